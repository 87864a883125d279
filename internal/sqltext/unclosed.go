package sqltext

import "strings"

// Unclosed finds a quote or comment that begins in a text and does not end in it. what says what it is, in words; empty
// if there is none.
func Unclosed(sql string) (offset int, what string) {
	for i := 0; i < len(sql); {
		end, kind, whole := Lexer{}.Token(sql, i)
		if rest := sql[i:]; !whole && end == len(sql) {
			switch {
			case kind == Quoted && !closedAtEnd(rest):
				return i, "a quoted text"
			case kind == Blank && strings.HasPrefix(rest, "/*"):
				return i, "a comment"
			}
		}
		i = end
	}
	return 0, ""
}

// closedAtEnd reports whether a string that is not whole is merely at the end of the text: what follows a string with
// backslash escapes may continue it.
func closedAtEnd(token string) bool {
	_, _, whole := Lexer{}.Token(token+" x", 0)
	return whole
}
