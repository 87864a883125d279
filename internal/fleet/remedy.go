package fleet

import "errors"

// WithRemedy adds to an error what its reader can do about it. A nil error stays nil.
func WithRemedy(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &remedyError{err, remedy}
}

// Remedy returns the outermost remedy in err's tree, or "". Adapters do not import this package: their errors have a
// method Remedy() string.
func Remedy(err error) string {
	var r interface{ Remedy() string }
	if errors.As(err, &r) {
		return r.Remedy()
	}
	return ""
}

// Location returns the file and line in the workspace that an error is about, or "" and 0. Adapters' errors have a
// method Location() (file string, line int).
func Location(err error) (file string, line int) {
	var l interface{ Location() (string, int) }
	if errors.As(err, &l) {
		return l.Location()
	}
	return "", 0
}

type remedyError struct {
	error
	remedy string
}

func (e *remedyError) Unwrap() error  { return e.error }
func (e *remedyError) Remedy() string { return e.remedy }
