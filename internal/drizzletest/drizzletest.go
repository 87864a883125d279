// Package drizzletest runs the real drizzle-orm and drizzle-kit, so that tests can compare with what they do: the last
// line that keeps a journal, and the first that has a folder per migration. It needs node and npm.
package drizzletest

import (
	"context"
	"embed"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Line is a line of drizzle's releases.
type Line string

const (
	// Journal is 0.45 of drizzle-orm with 0.31 of drizzle-kit: files beside meta/_journal.json, which orders them.
	Journal Line = "journal"
	// Folders is 1.0 of both: a folder for each migration, whose name orders it.
	Folders Line = "folders"
)

// Lines are both.
var Lines = []Line{Journal, Folders}

//go:embed npm migrator.mjs all:generated
var files embed.FS

// Missing says which of the programs that this needs is not on PATH, if any.
func Missing() error {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return err
		}
	}
	return nil
}

// Install returns the directory with the packages of a line, which it installs once on a machine.
func Install(ctx context.Context, line Line) (string, error) {
	project, err := fs.Sub(files, path.Join("npm", string(line)))
	if err != nil {
		return "", err
	}
	return servertest.InstallNPM(ctx, "drizzle-"+string(line), project)
}

// kit is drizzle-kit's program in a directory of [Install].
func kit(dir string) string { return filepath.Join(dir, "node_modules", "drizzle-kit", "bin.cjs") }
