package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Table names a table, with a schema or without.
type Table struct{ Schema, Name string }

// ParseTable reads name or schema.name.
func ParseTable(text string) (Table, error) {
	parts := strings.Split(text, ".")
	if len(parts) > 2 || slices.Contains(parts, "") || slices.ContainsFunc(parts, func(p string) bool { return len(p) > 63 }) {
		return Table{}, fmt.Errorf("%q is not a table's name; write name or schema.name, each of 63 bytes at most", text)
	}
	if len(parts) == 2 {
		return Table{parts[0], parts[1]}, nil
	}
	return Table{Name: text}, nil
}

// Bare reports whether the table is named without a schema.
func (t Table) Bare() bool { return t.Schema == "" }

// In is the table of that name in a schema.
func (t Table) In(schema string) Table { return Table{schema, t.Name} }

// Quoted is the table as SQL names it.
func (t Table) Quoted() string {
	if t.Schema == "" {
		return sqltext.QuoteIdentifier(t.Name)
	}
	return sqltext.QuoteIdentifier(t.Schema) + "." + sqltext.QuoteIdentifier(t.Name)
}

// target is the expression of the schema that the table is in or would be made in.
func (t Table) target() string {
	if t.Schema == "" {
		return "current_schema()"
	}
	return sqltext.QuoteLiteral(t.Schema)
}

// String is the table as it was named, unquoted.
func (t Table) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}
