package pgdump

import (
	"errors"
	"io"
	"os"
	"strings"
)

// reread is a pg_restore that reads an archive while it is written, and turns it into SQL for nobody. It has to find
// every data block that the table of contents names, and each one's end: what pg_restore --list does not look at.
type reread struct {
	child *child
	stdin *os.File
	fed   bool // pg_restore takes no more: it has seen all it needs, or has failed
}

func startReread(c Clients) (*reread, error) {
	stdin, w, err := pipe()
	if err != nil {
		return nil, err
	}
	p, err := startChild(c.Restore, []string{"--file=/dev/null"}, baseEnvironment(), stdin, nil)
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return &reread{child: p, stdin: w}, nil
}

func (r *reread) write(p []byte) {
	if r.fed {
		return
	}
	if _, err := r.stdin.Write(p); err != nil {
		r.fed = true // its exit status says which of the two it is
	}
}

// finish tells pg_restore that this was all, and returns what it thinks of it.
func (r *reread) finish() error {
	if err := r.stdin.Close(); err != nil {
		return err
	}
	return r.child.wait()
}

// end leaves no pg_restore behind, whatever became of the dump.
func (r *reread) end() {
	_ = r.stdin.Close() // a second time where all went well
	r.child.kill()
	<-r.child.exited
}

// archiveServerVersion reads the server's version in the header of pg_dump's custom format: magic, version (3 bytes),
// sizes of integers and offsets, format; then the compression, the time (7 integers), and three texts: the database, the
// server's version, pg_dump's. It returns "" for a header that it does not understand.
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

// archiveHeader reads pg_dump's integers (a sign byte, then the value, lowest byte first) and texts (length, bytes). After
// an error everything is zero.
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
