package input

import (
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// File is a file that an input names.
type File struct {
	// Name is its path as the user knows it: relative to the workspace where it is in there.
	Name string
	// Path opens it.
	Path string
}

// Files returns the files that match the globs of a list: * and ? and [abc] within one name, ** any folders. They are relative to
// the workspace, or absolute. A glob that is wrong or that matches no file is a mistake. Files are sorted by name, each once.
func (r *Reader) Files(name string) []File {
	var files []File
	for _, glob := range r.List(name) {
		found, err := r.match(glob)
		switch {
		case errors.Is(err, path.ErrBadPattern):
			r.Mistake(name, "the glob %q is not one; * and ? and [abc] match within a name, ** any folders", glob)
		case err != nil:
			r.Mistake(name, "the files %q cannot be read: %v; correct the glob, or let the workflow's user read them", glob, err)
		case len(found) == 0:
			r.Mistake(name, "%q matches no file in the workspace; see whether the step before this one put the files there, and correct the glob", glob)
		}
		files = append(files, found...)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return slices.Compact(files)
}

// match finds the files of one glob.
func (r *Reader) match(glob string) ([]File, error) {
	segments := strings.Split(path.Clean(filepath.ToSlash(glob)), "/")
	for _, s := range segments {
		if _, err := path.Match(s, ""); err != nil {
			return nil, err
		}
	}
	// What comes before the first wildcard is where the search begins.
	fixed := slices.IndexFunc(segments, func(s string) bool { return strings.ContainsAny(s, `*?[\`) })
	if fixed < 0 {
		fixed = len(segments)
	}
	root := strings.Join(segments[:fixed], "/")
	if strings.HasPrefix(glob, "/") {
		root = "/" + root
	} else {
		root = filepath.Join(r.workspace, root)
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
		if rest := strings.TrimPrefix(strings.TrimPrefix(filepath.ToSlash(file), filepath.ToSlash(root)), "/"); matches(segments[fixed:], split(rest)) {
			files = append(files, File{r.nameOf(file), file})
		}
		return nil
	})
	return files, err
}

// reason is an error without the absolute path, which in a container is not the user's.
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

// matches holds a path's names against a glob's, of which ** stands for any number of folders.
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

// nameOf is a path as the user knows it.
func (r *Reader) nameOf(file string) string {
	base, err := filepath.Abs(r.workspace)
	if err == nil {
		if name, err := filepath.Rel(base, file); err == nil && filepath.IsLocal(name) {
			return filepath.ToSlash(name)
		}
	}
	return file
}
