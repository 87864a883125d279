package migration

import (
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Digests are the digests of the files' contents, by their versions: SHA-256 in hexadecimal. A change counts unless it
// is one of white space between tokens or of line endings: an editor and Git make those by themselves. Of drizzle's
// files only line endings do not count, and the digest is what drizzle records of the file with those of Unix.
func (m *Files) Digests() map[string]string {
	all := make(map[string]string, len(m.ordered))
	for _, one := range m.ordered {
		if m.RecordsContents() {
			all[one.version] = hashOf(sqltext.UnixLines(one.text))
			continue
		}
		all[one.version] = hashOf(canonical(m.files.contents[one.file]))
	}
	return all
}

// canonical returns SQL as it would be with the least white space: nothing but what sets tokens apart, and what is in
// quotes or in comments. Two texts that PostgreSQL or a reader would take for different stay different.
func canonical(sql string) string {
	sql = sqltext.UnixLines(sql)
	var b strings.Builder
	apart := true // nothing has to set the next token apart from the one before
	blank := false
	for i := 0; i < len(sql); {
		end, kind := sqltext.Token(sql, i)
		token := sql[i:end]
		i = end
		if kind == sqltext.Blank && strings.TrimSpace(token) == "" {
			blank = true
			continue
		}
		alone := kind == sqltext.Blank || strings.Contains("(),;[]", token)
		if blank && !apart && !alone {
			b.WriteByte(' ')
		}
		if strings.HasPrefix(token, "--") && kind == sqltext.Blank {
			token = strings.TrimRight(token, " \t\f\v") + "\n"
		}
		b.WriteString(token)
		apart, blank = alone, false
	}
	return b.String()
}
