package migration

import (
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// ServerWide returns the first of some files that changes what a whole server has once, such as a role, and the
// statement's first words. What a function or a DO block does is not seen. ok is false if no file does.
func (m *Files) ServerWide(names []string) (path, statement string, ok bool) {
	for _, one := range m.ordered {
		if !slices.Contains(names, one.file) {
			continue
		}
		for _, s := range one.statements {
			if s.serverWide() {
				return one.path, strings.ToUpper(strings.Join(s.tokens[:2], " ")), true
			}
		}
	}
	return "", "", false
}

func (s statement) serverWide() bool {
	if len(s.tokens) < 2 {
		return false
	}
	switch s.tokens[0] {
	case "create", "alter", "drop":
		return slices.Contains([]string{
			"role", "user", "group", "tablespace", "database", "system", "subscription",
		}, s.tokens[1]) && !sqltext.Begins(s.tokens, s.tokens[0], "user", "mapping")
	}
	return false
}
