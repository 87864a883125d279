package migration

import (
	"slices"
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

// failed is an error that a statement of a migration met.
type failed struct {
	*pgconn.PgError
	statement sqltext.Statement
	head      int  // how many characters of the message are before the migration's SQL
	parsing   bool // no statement has run, so that it may be about another one
}

// offset converts one of the server's positions in the message into an offset in the migration's SQL.
func (f failed) offset(m migration, position int) int {
	return sqltext.RuneOffset(m.up, position-1-f.head)
}

// place finds the place of an error.
func (m migration) place(f failed) placed {
	s := f.statement
	first := sqltext.Leading(m.up, s, 1)[0]
	// The server parses all of a message before it runs a statement, so a syntax error may be further on. The position
	// that an EXECUTE has may be one in the PREPARE, and that in an earlier file.
	position := f.offset(m, int(f.Position))
	inside := position >= s.Start && position <= s.End
	if f.Position > 0 && (inside && first != "execute" || !inside && f.parsing) {
		return placed{offset: position}
	}
	if first == "do" || first == "create" {
		if at := m.placeInBody(f, first == "do"); at >= 0 {
			return placed{at, true}
		}
	}
	return placed{offset: s.Start}
}

// placeInBody finds the place of an error in the body of DO or CREATE FUNCTION; -1 if it is not there.
func (m migration) placeInBody(f failed, do bool) int {
	bodies := bodiesOf(m.up, f.statement, do)
	if len(bodies) != 1 {
		return -1
	}
	body := bodies[0]
	top, inFunction := outermost(f.Where)
	switch own := do && top.function == block || !do && top.compiling && top.function == m.created(f.statement); {
	case f.Where == "" && f.InternalPosition > 0 && f.InternalQuery == body.Value:
		return body.Offset(sqltext.RuneOffset(body.Value, int(f.InternalPosition)-1))
	case inFunction && own:
		in := inner(f.PgError)
		in.message = body.Index(f.offset(m, in.position))
		if at := placeOnLine(body.Value, top, in); at >= 0 {
			return body.Offset(at)
		}
	}
	return -1
}

// bodiesOf are the texts in DO or CREATE FUNCTION that may be a body.
func bodiesOf(sql string, s sqltext.Statement, do bool) []sqltext.Literal {
	return slices.DeleteFunc(sqltext.Literals(sql, s), func(l sqltext.Literal) bool {
		return do && l.Before == "language" || !do && l.Before != "as"
	})
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
	message  int // the same as an offset in the outer body, if position is one in the whole message; -1 if it can't be
}

// inner is what the outermost function was running.
func inner(pg *pgconn.PgError) innerSQL {
	before, last := "", pg.Where
	if i := strings.LastIndexByte(pg.Where, '\n'); i >= 0 {
		before, last = pg.Where[:i], pg.Where[i+1:]
	}
	if before == "" && last != "" {
		return innerSQL{text: pg.InternalQuery, position: int(pg.InternalPosition)}
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
	in.message -= start
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
	position := max(0, in.position-1-skipped)
	switch {
	case in.inOwnBody(at):
		return in.message
	case position > utf8.RuneCountInString(text):
		return at
	}
	return at + sqltext.RuneOffset(text, position)
}

// inOwnBody reports whether the position is one in the message. That is how the server gives it for an error in the
// body of a function that the inner SQL creates, or of a DO: it finds that body in the message, and calls the position
// one in the inner SQL. at is where the inner SQL is.
func (in innerSQL) inOwnBody(at int) bool {
	whole := sqltext.Statement{End: len(in.text)}
	do := sqltext.Begins(sqltext.Leading(in.text, whole, 1), "do")
	return slices.ContainsFunc(bodiesOf(in.text, whole, do), func(l sqltext.Literal) bool {
		return in.position > 0 && l.Index(in.message-at) >= 0
	})
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
