package postgres

import "strings"

// quoteIdentifier quotes a name for SQL.
func quoteIdentifier(name string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(name, "\x00", ""), `"`, `""`) + `"`
}

// quoteLiteral quotes a text for SQL, whatever standard_conforming_strings says.
func quoteLiteral(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\x00", ""), `'`, `''`)
	if strings.Contains(text, `\`) {
		return ` E'` + strings.ReplaceAll(text, `\`, `\\`) + `'`
	}
	return `'` + text + `'`
}
