package postgres

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// InvalidIndex is an index that the server maintains but uses for no query, because its build did not finish.
type InvalidIndex struct {
	Schema, Name string
	Table        string // without its schema; for an index of a TOAST table, the table that owns that
}

// String is the index's name as SQL needs it.
func (i InvalidIndex) String() string {
	return sqltext.QuoteIdentifier(i.Schema) + "." + sqltext.QuoteIdentifier(i.Name)
}

// AbandonedIndex is SQL's condition that an index, a row i of pg_index, is invalid and no other session is building it.
const AbandonedIndex = `not i.indisvalid and not exists (select from pg_catalog.pg_stat_progress_create_index p
	join pg_catalog.pg_locks l using (pid)
	where p.pid <> pg_catalog.pg_backend_pid() and l.relation = i.indrelid and l.granted
	and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
	and l.mode = 'ShareUpdateExclusiveLock')`

// InvalidIndexesSQL lists the invalid indexes of a schema, or of all schemas if it is empty, with the columns of
// [InvalidIndex]. It leaves out those that another session is building, and those of partitioned tables, which are
// invalid until every partition has its own.
func InvalidIndexesSQL(schema string) string {
	where := "owner.nspname !~ '^pg_(catalog|temp|toast_temp)'"
	if schema != "" {
		where = "owner.nspname = " + sqltext.QuoteLiteral(schema)
	}
	return `select n.nspname, c.relname, t.relname
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_class t on t.oid = coalesce(
	(select o.oid from pg_catalog.pg_class o where o.reltoastrelid = i.indrelid), i.indrelid)
join pg_catalog.pg_namespace owner on owner.oid = t.relnamespace
where c.relkind = 'i' and ` + where + ` and ` + AbandonedIndex + `
order by 1, 2`
}

// InvalidIndexes reads the rows of [InvalidIndexesSQL].
func InvalidIndexes(rows [][][]byte) []InvalidIndex {
	var all []InvalidIndex
	for _, r := range rows {
		all = append(all, InvalidIndex{string(r[0]), string(r[1]), string(r[2])})
	}
	return all
}

// InvalidIndexes runs [InvalidIndexesSQL].
func (c *Conn) InvalidIndexes(ctx context.Context, schema string) ([]InvalidIndex, error) {
	answers, err := c.Results(ctx, InvalidIndexesSQL(schema))
	if err != nil {
		return nil, fmt.Errorf("look for invalid indexes: %w", err)
	}
	return InvalidIndexes(answers[0]), nil
}
