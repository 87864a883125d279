package pgdump

import (
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// NotEmptyError is a target that holds something, and that a restore was not allowed to empty.
type NotEmptyError struct {
	Host, Database string
	Objects        []postgres.Object
}

func (e *NotEmptyError) Error() string {
	const most = 5
	var names []string
	for _, o := range e.Objects[:min(most, len(e.Objects))] {
		names = append(names, o.Type+" "+o.Name)
	}
	list := strings.Join(names, ", ")
	if more := len(e.Objects) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("the target database %q on %s is not empty: it holds %s", e.Database, e.Host, list)
}

// Remedy names the two ways out.
func (e *NotEmptyError) Remedy() string {
	return "name an empty database, or set overwrite: true to drop what this one holds; nothing was changed"
}

// oneLine is a program's message in one line.
func oneLine(text string) string {
	return strings.Join(strings.Fields(text), " ")
}
