package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Table is a table's name, with or without a schema.
type Table struct{ Schema, Name string }

// ParseTable reads name or schema.name.
func ParseTable(text string) (Table, error) {
	parts := strings.Split(text, ".")
	invalid := func(part string) bool { return part == "" || len(part) > maxName }
	if len(parts) > 2 || slices.ContainsFunc(parts, invalid) {
		return Table{}, fmt.Errorf("%q is not a table's name; write name or schema.name, each of at most %d bytes",
			text, maxName)
	}
	if len(parts) == 2 {
		return Table{parts[0], parts[1]}, nil
	}
	return Table{Name: text}, nil
}

// Bare reports whether the table is named without a schema.
func (t Table) Bare() bool { return t.Schema == "" }

// In is the table of the same name in a schema.
func (t Table) In(schema string) Table { return Table{schema, t.Name} }

// Quoted is the table's name as SQL needs it.
func (t Table) Quoted() string {
	if t.Schema == "" {
		return sqltext.QuoteIdentifier(t.Name)
	}
	return sqltext.QuoteIdentifier(t.Schema) + "." + sqltext.QuoteIdentifier(t.Name)
}

// schemaExpression is SQL for the schema that the table is in or would be created in.
func (t Table) schemaExpression() string {
	if t.Schema == "" {
		return "current_schema()"
	}
	return sqltext.QuoteLiteral(t.Schema)
}

// String is the table's name as it was given, unquoted.
func (t Table) String() string {
	if t.Schema == "" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}
