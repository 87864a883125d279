package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Digests are the digests of the files' contents, by their versions: SHA-256 in hexadecimal. A change counts unless it
// is one of white space between tokens or of line endings: an editor and Git make those by themselves.
func (m *Files) Digests() map[string]string {
	all := make(map[string]string, len(m.ordered))
	for _, one := range m.ordered {
		sum := sha256.Sum256([]byte(canonical(m.files.contents[one.file])))
		all[one.version] = hex.EncodeToString(sum[:])
	}
	return all
}

// canonical returns SQL as it would be with the least white space: nothing but what sets tokens apart, and what is in
// quotes or in comments. Two texts that PostgreSQL or a reader would take for different stay different.
func canonical(sql string) string {
	sql = strings.ReplaceAll(sql, "\r\n", "\n")
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
