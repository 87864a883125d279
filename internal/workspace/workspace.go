// Package workspace reads and writes files in a job's workspace, and keeps to it: a path of an input, or a link that a
// checkout holds, leads nowhere else, even if it changes meanwhile.
package workspace

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Workspace is the directory that relative paths are relative to.
type Workspace struct {
	// Root is the workspace. Empty: the working directory, from where a path may lead anywhere.
	Root string
	// Confined is true inside GitHub Actions, where an absolute path must be in the workspace too: there, anything else
	// is lost with the job's container. From a shell it is the user's own choice.
	Confined bool
}

// ErrOutside is the error of a path that leads out of the workspace.
var ErrOutside = errors.New("it leads out of the workspace")

// File is a file to be read or written. The zero File is none.
type File struct {
	root string // nothing outside of it is touched
	path string // from there
	free bool   // the path is the user's own choice
}

// File returns the file at a path, whether it exists or not. Its error is [ErrOutside], or that of a working directory
// that is gone.
func (w Workspace) File(path string) (File, error) {
	root, err := filepath.Abs(w.Root)
	if err != nil {
		return File{}, err
	}
	abs := filepath.Clean(path)
	if !filepath.IsAbs(path) {
		abs = filepath.Join(root, path)
	}
	rel, err := filepath.Rel(root, abs)
	switch {
	case err == nil && filepath.IsLocal(rel):
		return File{root, rel, !w.Confined}, nil
	case w.Confined, w.Root != "" && !filepath.IsAbs(path):
		return File{}, ErrOutside
	}
	// The user's own choice, of which only the part that exists can be a root.
	for root = filepath.Dir(abs); root != filepath.Dir(root); root = filepath.Dir(root) {
		if info, err := os.Stat(root); err == nil && info.IsDir() {
			break
		}
	}
	rel, err = filepath.Rel(root, abs)
	return File{root, rel, true}, err
}

// Zero reports whether this is no file at all.
func (f File) Zero() bool { return f == File{} }

// Read returns the file's content. Its error is [ErrOutside] if a link leads out of the workspace.
func (f File) Read() ([]byte, error) {
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	data, err := root.ReadFile(f.path)
	return data, explain(err)
}

// Write replaces the file by one with this content, as [File.Stream] does.
func (f File) Write(data []byte) error {
	return f.Stream(func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Stream replaces the file by one with what is written to it, in one step, or not at all if that fails, and makes the
// directories that are missing. Now and then it calls write again, with an empty file. A file that exists keeps its
// permissions and its owner. Whatever is new belongs to the owner of the directory that it is in: a container runs as
// root, and the steps after it as the runner's user, who could neither change nor delete root's files. A device or a
// pipe that the user names, such as /dev/null or /dev/stdout, is written to instead. Its error is [ErrOutside] if a
// link leads out of the workspace.
func (f File) Stream(write func(io.Writer) error) error {
	if f.isDevice() {
		return writeInto(filepath.Join(f.root, f.path), write)
	}
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := makeDirectory(root, filepath.Dir(f.path)); err != nil {
		return explain(err)
	}
	// In place of a link is put a file.
	like, err := root.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !like.Mode().IsRegular() {
		like, err = root.Stat(filepath.Dir(f.path))
	}
	if err != nil {
		return explain(err)
	}
	if there, err := root.Lstat(f.path); err == nil && !there.Mode().IsRegular() && there.Mode().Type() != fs.ModeSymlink {
		return fmt.Errorf("%s is not a file", f.path)
	}
	return explain(replace(root, f.path, write, like))
}

// isDevice reports whether the user names a device or a pipe, which must not be replaced by a file.
func (f File) isDevice() bool {
	if !f.free {
		return false
	}
	info, err := os.Stat(filepath.Join(f.root, f.path))
	return err == nil && info.Mode().Type()&(fs.ModeDevice|fs.ModeNamedPipe) != 0
}

// writeInto writes to a device or a pipe. A pipe that nobody reads is an error, and no reason to wait.
func writeInto(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// makeDirectory makes a directory and those above it, as far as they are missing.
func makeDirectory(root *os.Root, path string) error {
	info, err := root.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", path)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := makeDirectory(root, filepath.Dir(path)); err != nil {
		return err
	}
	switch err := root.Mkdir(path, 0o755); {
	case errors.Is(err, fs.ErrExist): // another process was faster, or it is a link to nothing
		info, err := root.Stat(path)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a directory", path)
		}
		return err
	case err != nil:
		return err
	}
	above, err := root.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	made, err := root.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = made.Close() }()
	if info, err := made.Stat(); err == nil && info.IsDir() { // and not what somebody has put in its place
		giveTo(made, above)
	}
	return nil
}

// giveTo gives a file to the owner of another one. Only root can, and a file system may have no owners: then it stays
// as it is.
func giveTo(f *os.File, like fs.FileInfo) {
	if stat, ok := like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		_ = f.Chown(int(stat.Uid), int(stat.Gid))
	}
}

// explain tells apart the error of [os.Root] for a path that leads out of it. It has no name of its own.
func explain(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path) && path.Err.Error() == escapes, errors.As(err, &link) && link.Err.Error() == escapes:
		return ErrOutside
	}
	return err
}

const escapes = "path escapes from parent"
