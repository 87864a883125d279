package input

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/workspace"
)

// File is a file that an input names.
type File struct {
	// Name is the path as the user knows it: relative to the workspace if the file is inside it.
	Name string
	// Path is the absolute path.
	Path string
}

// Workspace is what relative paths are relative to.
func (r *Reader) Workspace() workspace.Workspace { return r.workspace }

// Files returns the files that match a list of globs, which are absolute or relative to the workspace: *, ? and [abc]
// match within one name, ** any number of folders. The files are sorted by name, each once. A glob that is malformed or
// matches no file is a mistake.
func (r *Reader) Files(name string) []File { return r.files(name, true) }

// FilesIfAny is [Reader.Files], for globs that may match nothing.
func (r *Reader) FilesIfAny(name string) []File { return r.files(name, false) }

func (r *Reader) files(name string, required bool) []File {
	var files []File
	for _, glob := range r.List(name) {
		found, err := r.match(glob)
		switch {
		case errors.Is(err, path.ErrBadPattern):
			r.Mistake(name, "%q is not a valid glob; "+
				"*, ? and [abc] match within a name, ** any number of folders", glob)
		case err != nil:
			r.Mistake(name, "the files %q cannot be read: %v; "+
				"correct the glob, or give the workflow's user read access", glob, err)
		case len(found) == 0 && required:
			r.Mistake(name, "%q matches no file in the workspace; "+
				"check that an earlier step put the files there, or correct the glob", glob)
		}
		files = append(files, found...)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return slices.Compact(files)
}

// match finds the files that match one glob.
func (r *Reader) match(glob string) ([]File, error) {
	segments := strings.Split(path.Clean(filepath.ToSlash(glob)), "/")
	for _, s := range segments {
		if _, err := path.Match(s, ""); err != nil {
			return nil, err
		}
	}
	// The search begins in the folder before the first wildcard.
	fixed := slices.IndexFunc(segments, func(s string) bool { return strings.ContainsAny(s, `*?[\`) })
	if fixed < 0 {
		fixed = len(segments)
	}
	root := strings.Join(segments[:fixed], "/")
	if strings.HasPrefix(glob, "/") {
		root = "/" + root
	} else {
		root = filepath.Join(r.workspace.Root, root)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	var files []File
	err = filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return reason(err)
		}
		rest := strings.TrimPrefix(filepath.ToSlash(file), filepath.ToSlash(root))
		if matches(segments[fixed:], split(strings.TrimPrefix(rest, "/"))) {
			files = append(files, File{r.nameOf(file), file})
		}
		return nil
	})
	return files, err
}

// reason is an error without the absolute path, which in a container means nothing to the user.
func reason(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

func split(rest string) []string {
	if rest == "" {
		return nil
	}
	return strings.Split(rest, "/")
}

// matches compares the names of a path with those of a glob, in which ** stands for any number of folders.
func matches(glob, names []string) bool {
	if len(glob) == 0 {
		return len(names) == 0
	}
	if glob[0] == "**" {
		for i := range len(names) + 1 {
			if matches(glob[1:], names[i:]) {
				return true
			}
		}
		return false
	}
	if len(names) == 0 {
		return false
	}
	ok, err := path.Match(glob[0], names[0])
	return ok && err == nil && matches(glob[1:], names[1:])
}

// nameOf is a path as the user knows it; see [File].
func (r *Reader) nameOf(file string) string {
	base, err := filepath.Abs(r.workspace.Root)
	if err == nil {
		if name, err := filepath.Rel(base, file); err == nil && filepath.IsLocal(name) {
			return filepath.ToSlash(name)
		}
	}
	return file
}
