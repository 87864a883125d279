package sqltext

import "strings"

// Leading returns up to n tokens with which a statement begins, without white space and comments: words in lower case,
// quoted texts and punctuation as they are written.
func Leading(sql string, s Statement, n int) []string {
	var tokens []string
	for i := s.Start; i < s.End && len(tokens) < n; {
		end, kind := Token(sql, i)
		switch kind {
		case Blank:
		case Word:
			tokens = append(tokens, Fold(sql[i:end]))
		default:
			tokens = append(tokens, sql[i:end])
		}
		i = end
	}
	return tokens
}

// Begins reports whether a statement's leading tokens begin with these words.
func Begins(tokens []string, words ...string) bool {
	if len(tokens) < len(words) {
		return false
	}
	for i, w := range words {
		if tokens[i] != w {
			return false
		}
	}
	return true
}

// Unquote returns the name that a token stands for: a word in lower case, a quoted identifier without its quotes. ok is
// false for a token that is no name.
func Unquote(token string) (name string, ok bool) {
	if inner, quoted := strings.CutPrefix(token, `"`); quoted && strings.HasSuffix(inner, `"`) {
		return strings.ReplaceAll(inner[:len(inner)-1], `""`, `"`), true
	}
	if token == "" || !isWord(token[0]) || token[0] >= '0' && token[0] <= '9' {
		return "", false
	}
	return Fold(token), true
}
