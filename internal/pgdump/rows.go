package pgdump

import (
	"bytes"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// rowCounter counts the rows of each table in a plain dump that is written to it, so that a restore can be compared
// with the very snapshot that was dumped. It knows only pg_dump's own form: a COPY block under its "Data for Name"
// heading.
type rowCounter struct {
	tables  []postgres.TableRows
	line    []byte // the beginning of the current line
	long    bool   // the line is longer than what is kept of it
	heading bool   // there was a heading of table data, and no statement since
	inCopy  bool

	relations int // that are created, see [createsRelation]
}

// maxHeading bounds what is kept of a line, in bytes. It is more than a COPY statement takes: 1,600 columns with names
// of 63 bytes, each quoted.
const maxHeading = 256 << 10

// Write implements io.Writer and never fails.
func (c *rowCounter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			c.buffer(p)
			return n, nil
		}
		if len(c.line) == 0 && !c.long {
			c.count(p[:i])
		} else {
			c.buffer(p[:i])
			c.count(c.line)
		}
		c.line, c.long = c.line[:0], false
		p = p[i+1:]
	}
}

// buffer keeps the beginning of an incomplete line. Of a row of data, its first bytes tell whether it is the last one.
func (c *rowCounter) buffer(p []byte) {
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

// count counts a complete line.
func (c *rowCounter) count(line []byte) {
	switch {
	case c.inCopy && len(line) == 2 && string(line) == `\.` && !c.long:
		c.inCopy = false
	case c.inCopy:
		c.tables[len(c.tables)-1].Rows++
	case bytes.HasPrefix(line, []byte("-- Data for Name: ")):
		c.heading = true
	case len(line) == 0 || bytes.HasPrefix(line, []byte("--")):
	default:
		if table, ok := copiedTable(line); ok && c.heading {
			c.tables = append(c.tables, postgres.TableRows{Table: table})
			c.inCopy = true
		} else if createsRelation(line) {
			c.relations++
		}
		c.heading = false
	}
}

// copiedTable returns the table of a COPY … FROM stdin; statement.
func copiedTable(line []byte) (string, bool) {
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
