package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// SearchPathError is the error of a search_path whose first schema does not exist: the server silently uses the next
// one.
type SearchPathError struct{ Missing, Instead string }

func (e *SearchPathError) Error() string {
	return fmt.Sprintf("the search_path names schema %q first, which does not exist or which the role may not use; "+
		"names without a schema would mean schema %q", e.Missing, e.Instead)
}

// missingFromPath returns the first schema of a search_path that the server passes over to come to current, the one in
// which new tables are created; "" if there is none. Passing over $user is usual: it is in PostgreSQL's own default. It
// is the one that stands for current if no other entry does.
func missingFromPath(path, current string) string {
	names := parsePath(path)
	for _, name := range names {
		switch {
		case name == current, name == "$user" && !slices.Contains(names, current):
			return ""
		case name != "" && name != "$user" && !strings.HasPrefix(name, "pg_"):
			return name
		}
	}
	return ""
}

// parsePath splits a search_path as the server shows it: "$user", public.
func parsePath(path string) []string {
	var names []string
	for path = strings.TrimSpace(path); path != ""; {
		var name string
		if inner, quoted := strings.CutPrefix(path, `"`); quoted {
			end := 0
			for end < len(inner) && (inner[end] != '"' || strings.HasPrefix(inner[end:], `""`)) {
				end++
				if inner[end-1] == '"' {
					end++ // the second of a doubled quote
				}
			}
			end = min(end, len(inner))
			name, path = strings.ReplaceAll(inner[:end], `""`, `"`), inner[min(end+1, len(inner)):]
			_, path, _ = strings.Cut(path, ",")
		} else {
			name, path, _ = strings.Cut(path, ",")
			name = sqltext.Fold(strings.TrimSpace(name))
		}
		names = append(names, name)
		path = strings.TrimSpace(path)
	}
	return names
}
