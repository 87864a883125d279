package servertest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// InstallNPM returns a directory with the files of source, package.json among them, and the npm packages that it names,
// or exactly those of a package-lock.json. The directory is in the user's cache and made once for each version of the
// files, because npm takes longer than the tests that use it. name tells whose it is.
func InstallNPM(ctx context.Context, name string, source fs.FS) (string, error) {
	dir, err := installNPM(ctx, name, source)
	if err != nil {
		return "", fmt.Errorf("install the npm packages of %s: %w", name, err)
	}
	return dir, nil
}

func installNPM(ctx context.Context, name string, source fs.FS) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "neon-tenants-action")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(cache, "making-") // beside the directory that it is renamed to
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(fresh) }() // gone if it was renamed
	sum, err := copyFiles(fresh, source)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name+"-"+sum)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	how := []string{"install", "--no-package-lock"}
	if _, err := fs.Stat(source, "package-lock.json"); err == nil {
		how = []string{"ci"}
	}
	install := exec.CommandContext(ctx, "npm", append(how, "--no-audit", "--no-fund", "--ignore-scripts",
		"--prefer-offline", "--loglevel=error")...)
	install.Dir = fresh
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	// A directory that another process has made in the meantime is just as good.
	if err := os.Rename(fresh, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
}

// copyFiles copies the files of one directory to another, and returns the first 8 bytes of their SHA-256 in hex.
func copyFiles(to string, from fs.FS) (sum string, err error) {
	entries, err := fs.ReadDir(from, ".") // sorted by name
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	for _, entry := range entries {
		content, err := fs.ReadFile(from, entry.Name())
		if err != nil {
			return "", err
		}
		_, _ = hash.Write(content) // never fails
		if err := os.WriteFile(filepath.Join(to, entry.Name()), content, 0o600); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}
