package fingerprint

import (
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// requiredQuery returns of each relation that may be a required table the schema, quoted where it has to be, the name,
// the kind, and whether the session finds it without a schema. It goes before printing, which sets another search_path.
func requiredQuery(o Options) string {
	if len(o.Required) == 0 {
		return "select where false"
	}
	names := make([]string, len(o.Required))
	for i, t := range o.Required {
		names[i] = sqltext.QuoteLiteral(t.Name)
	}
	return "select c.relnamespace::pg_catalog.regnamespace, c.relname, c.relkind, pg_catalog.pg_table_is_visible(c.oid) " +
		"from pg_catalog.pg_class c where c.relname operator(pg_catalog.=) any (array[" + strings.Join(names, ", ") +
		"]::pg_catalog.name[])"
}

// readRequired adds a row of requiredQuery to what is there: without a schema too if it counts for a table that is
// required without one.
func (o Options) readRequired(w row, there map[postgres.Table]bool) {
	schema, ok := sqltext.Unquote(w.text(0))
	if !ok || !strings.Contains("rpfvm", w.text(2)) { // the name of a schema that is gone is a number
		return
	}
	there[postgres.Table{Schema: schema, Name: w.text(1)}] = true
	if o.Schema == "" && w.is(3) || o.Schema == schema {
		there[postgres.Table{Name: w.text(1)}] = true
	}
}
