package pgdump

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// script passes a dump's SQL on to psql, and holds back its last bytes until finish.
//
// If psql can, its backslash commands are locked from the first line on, under a key of ours: \! runs a program on this
// machine, and neither a server that is not what it seems nor whoever may write to the bucket must be able to do that.
// Dumps of patched versions lock themselves with \restrict and \unrestrict, which a locked psql refuses, so script
// leaves these lines out.
type script struct {
	w        io.Writer
	restrict bool
	key      string

	head    []byte // until it has been examined
	started bool
	token   string // of the dump's own \restrict
	held    []byte // the last bytes
}

const (
	// scriptHead bytes contain \restrict, after nothing but comments and empty lines.
	scriptHead = 4 << 10
	// scriptHeld bytes are more than enough for the end marker and what follows it.
	scriptHeld = 4 << 10
)

var (
	restrictLine   = regexp.MustCompile(`\A(?:[ \t]*(?:--[^\n]*)?\r?\n)*(\\restrict ([A-Za-z0-9]+)\r?\n)`)
	unrestrictLine = regexp.MustCompile(`\n(\\unrestrict ([A-Za-z0-9]+)\s*)\z`)
)

// restrictsSince are the minor versions that brought \restrict to psql (August 2025, CVE-2025-8714); all of 18 have it.
var restrictsSince = map[int]int{13: 22, 14: 19, 15: 14, 16: 10, 17: 6}

// restricts reports whether psql of this version knows \restrict.
func restricts(version string) bool {
	major := postgres.MajorOf(version)
	since, old := restrictsSince[major]
	if !old {
		return major >= 18
	}
	_, minor, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(minor)
	return err == nil && n >= since
}

func (s *script) begin(prelude string) error {
	if s.restrict {
		prelude = `\restrict ` + s.key + "\n" + prelude
	}
	return s.send([]byte(prelude))
}

func (s *script) send(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := s.w.Write(p); err != nil {
		return &hungUpError{err}
	}
	return nil
}

func (s *script) readFrom(r io.Reader) error {
	buf := make([]byte, copyBuffer)
	for {
		n, err := r.Read(buf)
		if err := s.write(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return s.start()
		}
		if err != nil {
			return err
		}
	}
}

func (s *script) write(p []byte) error {
	if s.started {
		return s.pass(p)
	}
	s.head = append(s.head, p...)
	if len(s.head) < scriptHead {
		return nil
	}
	return s.start()
}

// start examines the beginning, once there is enough of it or no more to come.
func (s *script) start() error {
	if s.started {
		return nil
	}
	head := s.head
	s.started, s.head = true, nil
	if at := restrictLine.FindSubmatchIndex(head); at != nil {
		if !s.restrict {
			return &BackupError{Cause: RestrictUnknown,
				Problem: `it holds the line \restrict, which this psql is too old to know`}
		}
		s.token = string(head[at[4]:at[5]])
		head = append(bytes.Clone(head[:at[2]]), head[at[3]:]...)
	}
	return s.pass(head)
}

// pass sends everything except the last bytes.
func (s *script) pass(p []byte) error {
	if over := len(s.held) + len(p) - scriptHeld; over > 0 {
		first := min(over, len(s.held))
		if err := s.send(s.held[:first]); err != nil {
			return err
		}
		s.held = append(s.held[:0], s.held[first:]...)
		over -= first
		if err := s.send(p[:over]); err != nil {
			return err
		}
		p = p[over:]
	}
	s.held = append(s.held, p...)
	return nil
}

// finish sends the rest if it is the end of a dump.
func (s *script) finish() error {
	if !bytes.Contains(s.held[max(0, len(s.held)-markerWindow):], []byte(endMarker)) {
		return &BackupError{Problem: noMarker}
	}
	if s.token != "" {
		at := unrestrictLine.FindSubmatchIndex(s.held)
		if at == nil || string(s.held[at[4]:at[5]]) != s.token {
			return &BackupError{Problem: fmt.Sprintf(
				`it begins with \restrict and does not end with its \unrestrict %s`, s.token)}
		}
		s.held = s.held[:at[2]]
	}
	return s.send(s.held)
}
