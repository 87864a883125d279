package sqltext

import "strings"

// Fold folds a word that is not in quotes as PostgreSQL does in a database in UTF-8: only the letters of ASCII.
func Fold(word string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, word)
}

// UnixLines ends lines as Unix does, which an editor or Git may have changed.
func UnixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// QuoteIdentifier quotes a name for SQL. It drops NUL characters, which no name can contain.
func QuoteIdentifier(name string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(name, "\x00", ""), `"`, `""`) + `"`
}

// QuoteLiteral quotes a text for SQL, for any value of standard_conforming_strings. It drops NUL characters, which no
// text can contain.
func QuoteLiteral(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\x00", ""), `'`, `''`)
	if strings.Contains(text, `\`) {
		return ` E'` + strings.ReplaceAll(text, `\`, `\\`) + `'`
	}
	return `'` + text + `'`
}

// QuoteLiterals quotes texts, and joins them by commas.
func QuoteLiterals(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = QuoteLiteral(text)
	}
	return strings.Join(quoted, ", ")
}
