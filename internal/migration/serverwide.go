package migration

import (
	"regexp"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// serverWideKinds are the kinds of what a whole server has once.
var serverWideKinds = []string{"role", "user", "group", "tablespace", "database", "system", "subscription"}

var serverWideWords = regexp.MustCompile(
	`(?i)\b(?:create|alter|drop)\s+(?:` + strings.Join(serverWideKinds, "|") + `)\b`)

// LastIsServerWide reports whether the last file seems to change something that a whole server has once, as a role. A
// comment that says so counts as well: it is better to take too many files for such than too few.
func (m *Files) LastIsServerWide() bool {
	return serverWideWords.MatchString(m.ordered[len(m.ordered)-1].up)
}

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
		return slices.Contains(serverWideKinds, s.tokens[1]) && !sqltext.Begins(s.tokens, s.tokens[0], "user", "mapping")
	}
	return false
}
