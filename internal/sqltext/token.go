package sqltext

import "strings"

// Kind is the kind of a token.
type Kind int

// The kinds.
const (
	Other  Kind = iota // punctuation
	Blank              // white space or a comment
	Quoted             // a string, a quoted identifier, a dollar-quoted body
	Word               // a keyword, a name or a number
)

// Token returns the end and the kind of the token that begins at sql[i], with standard_conforming_strings on. An
// unterminated token ends with the text.
func Token(sql string, i int) (end int, kind Kind) {
	end, kind, _ = Lexer{}.Token(sql, i)
	return end, kind
}

// Lexer reads tokens as the server does under its setting of standard_conforming_strings. The zero value is for on,
// the default.
type Lexer struct {
	Backslashes bool // the setting is off: a backslash escapes in every string
}

// Token returns the end and the kind of the token that begins at sql[i]. It is whole unless more text could make it
// longer.
func (l Lexer) Token(sql string, i int) (end int, kind Kind, whole bool) {
	rest := sql[i:]
	next := byte(0)
	if len(rest) > 1 {
		next = rest[1]
	}
	switch c := sql[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		return i + 1, Blank, true
	case c == '-' && next == '-':
		if n := strings.IndexAny(rest, "\r\n"); n >= 0 {
			return i + n, Blank, true
		}
		return len(sql), Blank, false
	case c == '/' && next == '*':
		end, whole = blockComment(sql, i)
		return end, Blank, whole
	case c == '"':
		end, whole = closing(sql, i, '"')
		return end, Quoted, whole
	case c == '\'':
		end, whole = l.text(sql, i)
		return end, Quoted, whole
	case next == '\'' && (c == 'e' || c == 'E'):
		end, whole = escaped(sql, i+1)
		return end, Quoted, whole
	case next == '\'' && strings.IndexByte("bBxX", c) >= 0:
		end, whole = closing(sql, i+1, '\'') // digits, in which a backslash is an error
		return end, Quoted, whole
	case c == '$':
		return dollar(sql, i)
	case isWord(c):
		end = wordEnd(sql, i)
		return end, Word, end < len(sql)
	case c == '-' || c == '/':
		return i + 1, Other, i+1 < len(sql)
	}
	return i + 1, Other, true
}

// text returns the end of the string that begins at sql[i].
func (l Lexer) text(sql string, i int) (end int, whole bool) {
	if l.Backslashes {
		return escaped(sql, i)
	}
	return closing(sql, i, '\'')
}

func isWord(c byte) bool { return isDigit(c) || startsName(c) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func startsName(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// wordEnd returns the end of the name or number at sql[i]. Only a name goes on after a dollar sign.
func wordEnd(sql string, i int) int {
	name := startsName(sql[i])
	for i < len(sql) && (isWord(sql[i]) || name && sql[i] == '$') {
		i++
	}
	return i
}

// blockComment returns the end of the comment at sql[i]. PostgreSQL's comments nest.
func blockComment(sql string, i int) (end int, whole bool) {
	depth := 0
	for i < len(sql) {
		switch {
		case strings.HasPrefix(sql[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(sql[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i, true
			}
		default:
			i++
		}
	}
	return len(sql), false
}

// closing returns the end of the quoted text that begins at sql[i]. A doubled quote counts as the end of one text and
// the beginning of the next, which comes to the same.
func closing(sql string, i int, quote byte) (end int, whole bool) {
	if n := strings.IndexByte(sql[i+1:], quote); n >= 0 {
		return i + 1 + n + 1, true
	}
	return len(sql), false
}

// escaped returns the end of a string with backslash escapes whose quote is sql[i].
func escaped(sql string, i int) (end int, whole bool) {
	for i++; i < len(sql); {
		n := strings.IndexAny(sql[i:], `\'`)
		switch {
		case n < 0:
			return len(sql), false
		case sql[i+n] == '\\':
			i += n + 2
			continue
		}
		i += n + 1
		again, whole := continued(sql, i)
		if again == 0 {
			return i, whole
		}
		i = again
	}
	return len(sql), false
}

// continued returns where a string goes on whose quote was closed before sql[i]: after another quote, either at once or
// in another line. 0 is nowhere. It matters only where a backslash escapes, because it goes on to do so.
func continued(sql string, i int) (next int, whole bool) {
	line := i // a quote goes on only here or beyond a line's end
	for j := i; j < len(sql); j++ {
		switch c := sql[j]; {
		case c == '\'' && (j == i || line > i):
			return j + 1, true
		case c == '\n' || c == '\r':
			line = j + 1
		case c == ' ' || c == '\t' || c == '\f' || c == '\v':
		case c == '-' && j+1 == len(sql):
			return 0, false
		case strings.HasPrefix(sql[j:], "--"):
			n := strings.IndexAny(sql[j:], "\r\n")
			if n < 0 {
				return 0, false
			}
			j += n - 1
		default:
			return 0, true
		}
	}
	return 0, false
}

// dollar returns the token at the dollar sign sql[i]: a dollar-quoted text, or the sign alone.
func dollar(sql string, i int) (end int, kind Kind, whole bool) {
	j := i + 1
	if j < len(sql) && startsName(sql[j]) {
		for j < len(sql) && isWord(sql[j]) {
			j++
		}
	}
	if j == len(sql) || sql[j] != '$' {
		return i + 1, Other, j < len(sql)
	}
	tag := sql[i : j+1]
	if n := strings.Index(sql[j+1:], tag); n >= 0 {
		return j + 1 + n + len(tag), Quoted, true
	}
	return len(sql), Quoted, false
}
