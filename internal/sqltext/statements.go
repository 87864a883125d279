// Package sqltext reads SQL as the server's parser does: tokens, statements, and their places in the text. It also
// quotes names and values. It connects to nothing.
package sqltext

import "strings"

// Statement is the place of an SQL statement in a text: the byte offsets of its beginning, after white space and
// comments, and of its end.
type Statement struct{ Start, End int }

// Statements splits SQL at the semicolons at which the server splits it: outside quotes, dollar quotes, comments and
// parentheses. It leaves out empty statements. It serves to locate a statement, never to decide what is run: a BEGIN
// ATOMIC body counts as several.
func Statements(sql string) []Statement {
	var out []Statement
	start, depth := -1, 0
	for i := 0; i < len(sql); {
		end, kind := Token(sql, i)
		switch {
		case kind == Blank:
		case sql[i] == ';' && depth == 0:
			if start >= 0 {
				out = append(out, Statement{start, i})
			}
			start = -1
		default:
			if start < 0 {
				start = i
			}
			switch sql[i] {
			case '(':
				depth++
			case ')':
				depth = max(0, depth-1)
			}
		}
		i = end
	}
	if start >= 0 {
		out = append(out, Statement{start, len(sql)})
	}
	return out
}

// Kind is the kind of a token.
type Kind int

// The kinds.
const (
	Other  Kind = iota // punctuation
	Blank              // white space or a comment
	Quoted             // a string, a quoted identifier, a dollar-quoted body
	Word               // a keyword, a name or a number
)

// Token returns the end and the kind of the token that begins at sql[i]. An unterminated token ends with the text.
func Token(sql string, i int) (end int, kind Kind) {
	rest := sql[i:]
	switch c := sql[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		return i + 1, Blank
	case strings.HasPrefix(rest, "--"):
		if n := strings.IndexAny(rest, "\r\n"); n >= 0 {
			return i + n, Blank
		}
		return len(sql), Blank
	case strings.HasPrefix(rest, "/*"):
		return blockComment(sql, i), Blank
	case c == '\'':
		return closing(sql, i, '\'', false), Quoted
	case c == '"':
		return closing(sql, i, '"', false), Quoted
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		return closing(sql, i+1, '\'', true), Quoted
	case c == '$':
		if end := dollarQuote(sql, i); end > 0 {
			return end, Quoted
		}
		return i + 1, Other
	case isWord(c):
		for i < len(sql) && (isWord(sql[i]) || sql[i] == '$') {
			i++
		}
		return i, Word
	}
	return i + 1, Other
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// blockComment returns the end of the comment at sql[i]. PostgreSQL's comments nest.
func blockComment(sql string, i int) int {
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
				return i
			}
		default:
			i++
		}
	}
	return len(sql)
}

// closing returns the end of the quoted text that begins at sql[i]. A doubled quote counts as the end of one text and
// the beginning of the next, which comes to the same.
func closing(sql string, i int, quote byte, escapes bool) int {
	for i++; i < len(sql); i++ {
		switch {
		case sql[i] == '\\' && escapes:
			i++
		case sql[i] == quote && escapes && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case sql[i] == quote:
			return i + 1
		}
	}
	return len(sql)
}

// dollarQuote returns the end of the dollar-quoted text at sql[i], 0 if none begins there.
func dollarQuote(sql string, i int) int {
	j := i + 1
	for j < len(sql) && isWord(sql[j]) {
		j++
	}
	if j == len(sql) || sql[j] != '$' || (j > i+1 && sql[i+1] >= '0' && sql[i+1] <= '9') {
		return 0
	}
	tag := sql[i : j+1]
	if n := strings.Index(sql[j+1:], tag); n >= 0 {
		return j + 1 + n + len(tag)
	}
	return len(sql)
}

// CopiesFromStdin reports whether a statement is COPY … FROM STDIN. A migration file cannot carry its data, for which
// the server would wait forever.
func CopiesFromStdin(sql string, s Statement) bool {
	var previous, first string
	for i := s.Start; i < s.End; {
		end, kind := Token(sql, i)
		if kind == Word {
			w := strings.ToLower(sql[i:end])
			if first == "" {
				if first = w; first != "copy" {
					return false
				}
			}
			if previous == "from" && w == "stdin" {
				return true
			}
			previous = w
		} else if kind != Blank {
			previous = ""
		}
		i = end
	}
	return false
}
