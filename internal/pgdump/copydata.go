package pgdump

import (
	"errors"
	"io"
	"strings"
	"sync"
)

// copyData reads the data that follows a COPY statement in a script, up to the line \. that ends it. Its memory is
// bounded, however long a row is.
type copyData struct {
	mu     sync.Mutex
	script *script
	inLine bool  // within a line
	err    error // io.EOF after the last row
}

var errStopped = errors.New("the data is no longer wanted")

// data returns a reader of the data after a COPY statement, which begins on the next line.
func (s *script) data() (*copyData, error) {
	for {
		line := strings.TrimLeft(s.text, " \t\r")
		switch {
		case strings.HasPrefix(line, "\n"):
			s.text = line[1:]
			return &copyData{script: s}, nil
		case line != "" || s.ended:
			return nil, &BackupError{Problem: "it holds a COPY statement whose data does not begin on the next line"}
		}
		if err := s.more(); err != nil {
			return nil, err
		}
	}
}

// Read implements io.Reader.
func (d *copyData) Read(p []byte) (n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil && len(p) > 0 {
		n, d.err = d.read(p)
	}
	return n, d.err
}

func (d *copyData) read(p []byte) (int, error) {
	s := d.script
	for {
		if !d.inLine && d.atEnd() {
			return 0, io.EOF
		}
		if n := d.rows(len(p)); n > 0 {
			copy(p, s.text[:n])
			d.inLine = s.text[n-1] != '\n'
			s.text = s.text[n:]
			return n, nil
		}
		if s.ended {
			return 0, &BackupError{Problem: `it ends in the middle of a table's data`}
		}
		if err := s.more(); err != nil {
			return 0, err
		}
	}
}

// atEnd reports whether the line that begins here is the one that ends the data, and skips it if it is.
func (d *copyData) atEnd() bool {
	for _, line := range []string{"\\.\n", "\\.\r\n"} {
		if rest, ok := strings.CutPrefix(d.script.text, line); ok {
			d.script.text = rest
			return true
		}
	}
	return false
}

// rows returns how many of the next bytes, up to most, certainly belong to the data.
func (d *copyData) rows(most int) int {
	const last = "\\.\r\n" // the longest form of the last line
	text := d.script.text
	if !d.inLine && len(text) < len(last) && !d.script.ended && strings.HasPrefix(last, text[:min(1, len(text))]) {
		return 0
	}
	window := text[:min(len(text), most+len("\n\\."))]
	if i := strings.Index(window, "\n\\."); i >= 0 {
		return min(i+1, most)
	}
	if len(window) == len(text) && !d.script.ended {
		return max(0, min(most, len(text)-len("\n\\")))
	}
	return min(most, len(text))
}

// stop makes every later read fail, after the one in progress.
func (d *copyData) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = errStopped
	}
}

// failed is why the data could not be read; nil if it ended, or if reading was stopped.
func (d *copyData) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil || d.err == io.EOF || d.err == errStopped { //nolint:errorlint // its own
		return nil
	}
	return d.err
}
