package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// dependentsQuery finds what depends on the tables and types of {{schema}} and is not in it.
const dependentsQuery = `
with inside as (
	select c.oid from pg_catalog.pg_class c
	join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = {{schema}}
), types as (
	select t.oid from pg_catalog.pg_type t
	join pg_catalog.pg_namespace n on n.oid = t.typnamespace where n.nspname = {{schema}}
), outside as (
	select 'view ' || r.ev_class::regclass as what, r.ev_class as relation
	from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
	where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
	and d.refobjid in (select oid from inside)
	union select 'foreign key ' || pg_catalog.quote_ident(conname) || ' of ' || conrelid::regclass, conrelid
	from pg_catalog.pg_constraint where contype = 'f' and confrelid in (select oid from inside)
	union select 'table ' || inhrelid::regclass, inhrelid
	from pg_catalog.pg_inherits where inhparent in (select oid from inside)
	union select 'column ' || pg_catalog.quote_ident(attname) || ' of ' || attrelid::regclass, attrelid
	from pg_catalog.pg_attribute
	where attnum > 0 and not attisdropped and atttypid in (select oid from types)
)
select what from outside where relation not in (select oid from inside) order by 1`

// Dependents are the objects outside a schema that are dropped with it, because they depend on its tables or types:
// views, foreign keys, partitions and columns.
func (c *Conn) Dependents(ctx context.Context, schema string) ([]string, error) {
	answers, err := c.Results(ctx, strings.ReplaceAll(dependentsQuery, "{{schema}}", sqltext.QuoteLiteral(schema)))
	if err != nil {
		return nil, fmt.Errorf("look for what depends on schema %q: %w", schema, err)
	}
	var all []string
	for _, row := range answers[0] {
		all = append(all, string(row[0]))
	}
	return all, nil
}
