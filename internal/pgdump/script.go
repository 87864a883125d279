package pgdump

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// script reads a dump's SQL from a stream, one statement at a time, in the form that pg_dump writes for psql: the data
// of COPY follows its statement, and a line may be a command of psql's. Dumps of patched versions begin with \restrict
// and end with \unrestrict, between which psql accepts no other command. script never accepts any other: \! runs a
// program on this machine, and neither a malicious server nor whoever may write to the bucket must be able to do that.
type script struct {
	r     io.Reader
	lexer sqltext.Lexer // as the session has standard_conforming_strings

	text   string // read, but not used yet
	ended  bool   // there is no more to read
	buffer []byte
	tail   []byte // the last bytes that were read

	begun      bool   // there was a statement
	key        string // that of \restrict
	unrestrict bool   // there was an \unrestrict with that key
}

// maxStatement is the largest message that a server takes, in bytes.
const maxStatement = 1 << 30

func newScript(r io.Reader) *script { return &script{r: r, buffer: make([]byte, copyBuffer)} }

// more at least doubles the text, so that scanning a long token again each time costs little.
func (s *script) more() error {
	if len(s.text) > maxStatement {
		return &BackupError{Problem: "it holds a statement of more than 1 GB, which no server accepts"}
	}
	var b strings.Builder
	for want := max(len(s.text), 1); want > 0 && !s.ended; {
		n, err := s.r.Read(s.buffer)
		if b.Len() == 0 {
			b.Grow(len(s.text) + max(want, n))
			b.WriteString(s.text)
		}
		b.Write(s.buffer[:n])
		s.tail = lastBytes(s.tail, s.buffer[:n], markerWindow)
		want -= n
		if ended(err) {
			s.ended = true
		} else if err != nil {
			return err
		}
	}
	s.text = b.String()
	return nil
}

// next returns the next statement without its semicolon, and io.EOF after the last one.
func (s *script) next() (string, error) {
	var nesting sqltext.Nesting
	i, begun := 0, false // the statement begins with the text
	for {
		if i == len(s.text) && !s.ended {
			if err := s.more(); err != nil {
				return "", err
			}
			continue
		}
		if i == len(s.text) {
			return "", s.end(begun)
		}
		end, kind, whole := s.lexer.Token(s.text, i)
		switch {
		case !whole && !s.ended:
			if err := s.more(); err != nil {
				return "", err
			}
		case kind == sqltext.Blank && !begun && (whole || s.text[i] == '-'):
			s.text = s.text[end:]
		case s.text[i] == '\\':
			if err := s.command(i == 0); err != nil {
				return "", err
			}
		case kind != sqltext.Blank && nesting.Ends(s.text[i:end], kind):
			statement := s.text[:i]
			s.text, i = s.text[end:], 0
			if begun {
				return statement, s.start()
			}
		default:
			i, begun = end, true
		}
	}
}

// end handles the end of the stream. An open comment counts as a statement.
func (s *script) end(inStatement bool) error {
	if inStatement {
		return &BackupError{Problem: "it ends in the middle of a statement"}
	}
	return io.EOF
}

func (s *script) start() error {
	s.begun = true
	if s.unrestrict {
		return &BackupError{Problem: `it has statements after its \unrestrict`}
	}
	return nil
}

var restriction = regexp.MustCompile(`\A\\(un)?restrict ([A-Za-z0-9]+)[ \t]*\r?(?:\n|\z)`)

// command reads a command of psql's, which must be \restrict or \unrestrict. alone is true between statements.
func (s *script) command(alone bool) error {
	const most = 1 << 10 // bytes of a line; pg_dump's have about 80
	for !s.ended && !strings.Contains(s.text, "\n") && len(s.text) < most {
		if err := s.more(); err != nil {
			return err
		}
	}
	line := restriction.FindStringSubmatch(s.text)
	switch {
	case !alone || line == nil:
		return &BackupError{Problem: "it holds a command of psql's (a backslash outside quotes), and none is ever run"}
	case line[1] == "" && s.key == "" && !s.begun:
		s.key = line[2]
	case line[1] != "" && s.key == line[2] && !s.unrestrict:
		s.unrestrict = true
	default:
		return &BackupError{Problem: `its \restrict and \unrestrict do not match`}
	}
	s.text = s.text[len(line[0]):]
	return nil
}

// finish returns an error unless what was read to the end is a whole dump.
func (s *script) finish() error {
	if !bytes.Contains(s.tail, []byte(endMarker)) {
		return &BackupError{Problem: noMarker}
	}
	if s.key != "" && !s.unrestrict {
		return &BackupError{Problem: fmt.Sprintf(
			`it begins with \restrict and does not end with its \unrestrict %s`, s.key)}
	}
	return nil
}
