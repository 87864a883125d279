package workspace

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
)

// A file is written under a temporary name beside its own, and then renamed. Until then its process holds a lock on it
// (flock), which the kernel releases when the process dies, however that is. So a temporary file that nobody has locked
// is left over from a run that was killed: whoever writes into the directory next removes it.

var temporaryName = regexp.MustCompile(`^\.neon-tenants-[A-Z2-7]{26}\.tmp$`)

func newTemporaryName() string { return ".neon-tenants-" + rand.Text() + ".tmp" }

// errVanished is the error of a temporary file that somebody has removed: of a process that looked at it before it was
// locked, or on a volume that hides other machines' locks.
var errVanished = errors.New("the temporary file was removed while it was written")

// replace replaces the file at a path by one with what write writes. It is like the one that it replaces, or belongs to
// the owner of its directory.
func replace(root *os.Root, path string, write func(io.Writer) error, like fs.FileInfo) error {
	removeLeftovers(root, filepath.Dir(path))
	var err error
	for range 5 {
		if err = tryReplace(root, path, write, like); !errors.Is(err, errVanished) {
			return err
		}
	}
	return err
}

func tryReplace(root *os.Root, path string, write func(io.Writer) error, like fs.FileInfo) error {
	mode := fs.FileMode(0o644)
	if like.Mode().IsRegular() {
		mode = 0o600 // until it is complete
	}
	f, holder, fresh, err := createLocked(root, filepath.Dir(path), mode)
	if err != nil {
		if named := (*fs.PathError)(nil); errors.As(err, &named) {
			named.Path = path // the one that the user knows
		}
		return err
	}
	defer func() { _ = holder.Close() }()
	giveTo(f, like)
	err = write(f)
	if err == nil && like.Mode().IsRegular() {
		err = f.Chmod(like.Mode().Perm())
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = root.Rename(fresh, path)
	}
	if err == nil {
		return nil
	}
	if _, gone := root.Lstat(fresh); errors.Is(gone, fs.ErrNotExist) {
		return errors.Join(errVanished, err)
	}
	return errors.Join(err, root.Remove(fresh))
}

// createLocked makes a temporary file, and opens it once more to lock it: the lock outlives the closing of f, which is
// what tells of a full network file system. A process that looks for leftovers may have locked the file before, and
// removes it. Then another one is made, as often as it takes: nothing has been written yet.
func createLocked(root *os.Root, dir string, mode fs.FileMode) (f, holder *os.File, fresh string, err error) {
	for range 1000 {
		fresh = filepath.Join(dir, newTemporaryName())
		if f, err = root.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode); err != nil {
			return nil, nil, "", err
		}
		holder, err = root.OpenFile(fresh, os.O_RDWR, 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || err == nil && secure(root, fresh, holder) {
			return f, holder, fresh, nil // at worst without a lock
		}
		_ = f.Close()
		_ = holder.Close()
		_ = root.Remove(fresh) // which the other process does too
	}
	return nil, nil, "", errVanished
}

// secure locks a new file, and reports whether nobody removes it from now on. A file system without locks removes no
// leftovers either.
func secure(root *os.Root, path string, f *os.File) bool {
	if err := lock(f); err != nil {
		return !errors.Is(err, syscall.EWOULDBLOCK)
	}
	there, err := root.Lstat(path)
	opened, failed := f.Stat()
	return err == nil && failed == nil && os.SameFile(there, opened)
}

// removeLeftovers removes a directory's temporary files that nobody is writing. What cannot be removed is no reason not
// to write.
func removeLeftovers(root *os.Root, dir string) {
	d, err := root.Open(dir)
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if temporaryName.MatchString(name) {
			removeLeftover(root, filepath.Join(dir, name))
		}
	}
}

func removeLeftover(root *os.Root, path string) {
	there, err := root.Lstat(path)
	if err != nil || !there.Mode().IsRegular() {
		return // a link, a pipe or a directory is not from here
	}
	// Some network file systems lock only what is open for writing. Nothing is written, and a pipe put there meanwhile
	// does not block.
	f, err := root.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if lock(f) != nil {
		return // it is being written
	}
	// By now, it may have got its own name.
	opened, err := f.Stat()
	if err != nil {
		return
	}
	if there, err := root.Lstat(path); err == nil && os.SameFile(there, opened) {
		_ = root.Remove(path)
	}
}

// lock takes the lock on an open file, which goes when the file is closed. It is an error if another process has it.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
