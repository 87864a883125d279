package pgdump

import (
	"errors"
	"io"
	"os"
	"strings"
)

// archiveCheck is a pg_restore that reads an archive while it is written, and discards the SQL that it makes of it. It
// must find every data block that the table of contents names, and each one's end: pg_restore --list does not look.
type archiveCheck struct {
	child *child
	stdin *os.File
	full  bool        // pg_restore reads no more: it has seen all it needs, or has failed
	rows  *rowCounter // of the SQL; complete once finish has returned
}

// startArchiveCheck starts one. To count rows takes CPU time, because the whole SQL comes back to this process.
func startArchiveCheck(c Clients, countRows bool) (*archiveCheck, error) {
	stdin, w, err := pipe()
	if err != nil {
		return nil, err
	}
	a := &archiveCheck{stdin: w, rows: &rowCounter{}}
	if countRows {
		a.child, err = startChild(c.Restore, []string{"--file=-"}, baseEnvironment(), stdin, a.rows)
	} else {
		a.child, err = startChild(c.Restore, []string{"--file=/dev/null"}, baseEnvironment(), stdin, nil)
	}
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return a, nil
}

func (a *archiveCheck) write(p []byte) {
	if a.full {
		return
	}
	if _, err := a.stdin.Write(p); err != nil {
		a.full = true // its exit status tells which of the two it is
	}
}

// finish ends pg_restore's input, and returns how it exited.
func (a *archiveCheck) finish() error {
	if err := a.stdin.Close(); err != nil {
		return err
	}
	return a.child.wait()
}

// end leaves no pg_restore behind, however the dump ended.
func (a *archiveCheck) end() {
	_ = a.stdin.Close() // for the second time if all went well
	a.child.kill()
	<-a.child.exited
}

// archiveServerVersion reads the server's version from the header of pg_dump's custom format: magic, version (3 bytes),
// sizes of integers and offsets, format; then the compression, the time (7 integers), and three texts: the database,
// the server's version, pg_dump's. It returns "" for a header that it does not understand.
func archiveServerVersion(head []byte) string {
	const magic = "PGDMP"
	if len(head) < len(magic)+6 || string(head[:len(magic)]) != magic {
		return ""
	}
	h := archiveHeader{rest: head[len(magic):]}
	h.bytes(1)
	minor := h.bytes(2)[0]
	intSize := int(h.bytes(1)[0])
	h.bytes(2)
	h.intSize = intSize
	if minor >= 15 {
		h.bytes(1) // the algorithm, since PostgreSQL 16
	} else {
		h.integer() // the level
	}
	for range 7 {
		h.integer()
	}
	h.text()
	version, _, _ := strings.Cut(h.text(), " ")
	if h.err != nil {
		return ""
	}
	return version
}

// archiveHeader reads pg_dump's integers (a sign byte, then the value, lowest byte first) and texts (length, bytes).
// After an error everything is zero.
type archiveHeader struct {
	rest    []byte
	intSize int
	err     error
}

func (h *archiveHeader) bytes(n int) []byte {
	if n < 0 || n > len(h.rest) {
		h.err = errors.Join(h.err, io.ErrUnexpectedEOF)
		return make([]byte, max(0, min(n, 8)))
	}
	b := h.rest[:n]
	h.rest = h.rest[n:]
	return b
}

func (h *archiveHeader) integer() int {
	sign := h.bytes(1)[0]
	n := 0
	for i, b := range h.bytes(h.intSize) {
		n |= int(b) << (8 * i)
	}
	if sign != 0 {
		return -n
	}
	return n
}

func (h *archiveHeader) text() string {
	n := h.integer()
	if n <= 0 || h.err != nil {
		return ""
	}
	return string(h.bytes(n))
}
