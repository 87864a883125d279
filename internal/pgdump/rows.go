package pgdump

import (
	"bytes"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// rowCounter counts the rows of each table in a plain dump that is written to it, so that a restore can be held against the
// very snapshot that was dumped. It knows pg_dump's own form only: a COPY block under its "Data for Name" heading.
type rowCounter struct {
	tables  []postgres.TableRows
	line    []byte // the line so far, cut at maxHeading: longer ones are data
	long    bool   // the line went on beyond that
	heading bool   // a heading of table data came, and no statement since
	inCopy  bool
}

// maxHeading is more than a COPY statement takes: 1,600 columns of 63 bytes, each quoted.
const maxHeading = 256 << 10

// Write implements io.Writer and never fails.
func (c *rowCounter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.keep(p)
			return n, nil
		}
		if len(c.line) == 0 && !c.long {
			c.end(p[:i])
		} else {
			c.keep(p[:i])
			c.end(c.line)
		}
		c.line, c.long = c.line[:0], false
		p = p[i+1:]
	}
}

// keep remembers the beginning of a line that is not complete; of a row of data two bytes tell all there is to know.
func (c *rowCounter) keep(p []byte) {
	room := maxHeading
	if c.inCopy {
		room = 3
	}
	room = max(0, room-len(c.line))
	if len(p) > room {
		c.long, p = true, p[:room]
	}
	c.line = append(c.line, p...)
}

func (c *rowCounter) end(line []byte) {
	switch {
	case c.inCopy && len(line) == 2 && string(line) == `\.` && !c.long:
		c.inCopy = false
	case c.inCopy:
		c.tables[len(c.tables)-1].Rows++
	case bytes.HasPrefix(line, []byte("-- Data for Name: ")):
		c.heading = true
	case len(line) == 0 || bytes.HasPrefix(line, []byte("--")):
	default:
		if table, ok := copied(line); ok && c.heading {
			c.tables = append(c.tables, postgres.TableRows{Table: table})
			c.inCopy = true
		}
		c.heading = false
	}
}

// copied returns the table of a COPY … FROM stdin; statement.
func copied(line []byte) (string, bool) {
	rest, ok := strings.CutPrefix(string(line), "COPY ")
	if !ok || !strings.HasSuffix(rest, " FROM stdin;") {
		return "", false
	}
	for i := 0; i < len(rest); {
		if rest[i] == ' ' {
			return rest[:i], true
		}
		end, _ := sqltext.Token(rest, i)
		i = end
	}
	return "", false
}
