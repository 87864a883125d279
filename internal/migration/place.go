package migration

import (
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// The server gives an error's position in the message only if it finds the failing text there. What fails while a body
// runs has a line in that body instead, or a position in the body's own statement.

// placed is where an error arose in a migration's SQL.
type placed struct {
	offset int  // in bytes
	inBody bool // a line of the statement's own body, which the outermost frame names
}

// place finds the place of an error that a statement of the migration met. position is the server's as an offset into
// the migration's SQL, and means nothing if the server gave none; parsing is true before the first statement ran.
func (m migration) place(s sqltext.Statement, pg *pgconn.PgError, position int, parsing bool) placed {
	first := sqltext.Leading(m.up, s, 1)[0]
	// The server parses all of a message before it runs a statement, so a syntax error may be further on. The position
	// that an EXECUTE has may be one in the PREPARE, and that in an earlier file.
	inside := position >= s.Start && position <= s.End
	if pg.Position > 0 && (inside && first != "execute" || !inside && parsing) {
		return placed{offset: position}
	}
	if first == "do" || first == "create" {
		if at := m.placeInBody(s, pg, first == "do"); at >= 0 {
			return placed{at, true}
		}
	}
	return placed{offset: s.Start}
}

// placeInBody finds the place of an error in the body of DO or CREATE FUNCTION; -1 if it is not there.
func (m migration) placeInBody(s sqltext.Statement, pg *pgconn.PgError, do bool) int {
	top, inFunction := outermost(pg.Where)
	var bodies []sqltext.Literal
	for _, l := range sqltext.Literals(m.up, s) {
		if do && l.Before != "language" || !do && l.Before == "as" {
			bodies = append(bodies, l)
		}
	}
	switch own := do && top.function == block || !do && top.compiling && top.function == m.created(s); {
	case len(bodies) != 1:
	case !inFunction && pg.Where == "" && pg.InternalPosition > 0 && pg.InternalQuery == bodies[0].Value:
		return bodies[0].Offset(sqltext.RuneOffset(bodies[0].Value, int(pg.InternalPosition)-1))
	case inFunction && own:
		if at := placeOnLine(bodies[0].Value, top, inner(pg)); at >= 0 {
			return bodies[0].Offset(at)
		}
	}
	return -1
}

// created is the name of the function that a statement creates, without its schema; "" if that is not known.
func (m migration) created(s sqltext.Statement) string {
	const most = 8 // create or replace function schema . name (
	tokens := sqltext.Leading(m.up, s, most)
	for i, token := range tokens {
		if token == "(" && i > 0 {
			name, _ := sqltext.Unquote(tokens[i-1])
			return name
		}
	}
	return ""
}

// innerSQL is a statement or an expression of a body, as PL/pgSQL sends it to the server.
type innerSQL struct {
	text     string
	position int // of the error in it, in characters from 1; 0 if it is not known
}

// inner is what the outermost function was running.
func inner(pg *pgconn.PgError) innerSQL {
	before, last := "", pg.Where
	if i := strings.LastIndexByte(pg.Where, '\n'); i >= 0 {
		before, last = pg.Where[:i], pg.Where[i+1:]
	}
	if before == "" && last != "" {
		return innerSQL{pg.InternalQuery, int(pg.InternalPosition)}
	}
	from := -1
	for _, head := range statementHeads {
		if i := strings.LastIndex("\n"+before, "\n"+head); i >= 0 {
			from = max(from, i+len(head))
		}
	}
	if from < 0 || from >= len(before) {
		return innerSQL{}
	}
	return innerSQL{text: strings.TrimSuffix(before[from:], `"`)}
}

// placeOnLine returns the offset in a body of what failed, which begins on the line of a frame; -1 if there is no such
// line. Without a better one, it is the first that the line holds.
func placeOnLine(body string, f frame, in innerSQL) int {
	start := lineStart(body, f.line)
	if start < 0 {
		return -1
	}
	if at := in.find(body[start:]); at >= 0 {
		return start + at
	}
	line, _, _ := strings.Cut(body[start:], "\n")
	doing, _, _ := strings.Cut(f.doing, " ")
	if at := onlyWord(line, doing); at >= 0 {
		return start + at
	}
	return start + len(line) - len(strings.TrimLeft(line, " \t"))
}

// lineStart is the offset of a line, from 1; -1 if the text has no such line.
func lineStart(text string, line int) int {
	at := 0
	for ; line > 1; line-- {
		n := strings.IndexByte(text[at:], '\n')
		if n < 0 {
			return -1
		}
		at += n + 1
	}
	if line < 1 {
		return -1
	}
	return at
}

// find returns the offset of the error in a body from the line of its statement on; -1 if the text is not there: parts
// of it may have been added while it ran, and INTO is not part of it. What begins after the line has to belong to the
// same statement.
func (in innerSQL) find(rest string) int {
	text, skipped := in.text, 0
	at := strings.Index(rest, text)
	if query, ok := strings.CutPrefix(text, "SELECT "); ok && at < 0 { // PERFORM
		text, skipped = query, utf8.RuneCountInString("SELECT ")
		at = strings.Index(rest, text)
	}
	if text == "" || at < 0 || strings.Contains(rest[:at], "\n") && strings.Contains(rest[:at], ";") {
		return -1
	}
	return at + sqltext.RuneOffset(text, max(0, in.position-1-skipped))
}

// onlyWord is the offset of a word that a line holds once; -1 otherwise.
func onlyWord(line, word string) int {
	found := -1
	for i := 0; i < len(line) && word != ""; {
		end, kind := sqltext.Token(line, i)
		if kind == sqltext.Word && strings.EqualFold(line[i:end], word) {
			if found >= 0 {
				return -1
			}
			found = i
		}
		i = end
	}
	return found
}
