package postgres

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// LockedTable says of an error that a wait for a lock was too long which table of a schema, of any if it is empty, is
// locked against reading and by whom: "table users is locked by server process 42, psql, for 7 s". It is "" if the lock
// is gone or that cannot be found out.
func LockedTable(ctx context.Context, c *Conn, schema string) string {
	where := ""
	if schema != "" {
		where = " and n.nspname = " + sqltext.QuoteLiteral(schema)
	}
	answers, err := c.Results(ctx, `select pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), l.pid,
  a.application_name,
  extract(epoch from now() - a.xact_start)::bigint
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.mode = 'AccessExclusiveLock' and l.granted and l.pid <> pg_catalog.pg_backend_pid()
and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
and n.nspname !~ '^pg_'`+where+`
order by c.relkind in ('r', 'p', 'm', 'f') desc, a.xact_start, c.relname limit 1`)
	if err != nil || len(answers[0]) == 0 {
		return ""
	}
	r := answers[0][0]
	table := string(r[1])
	if schema == "" && string(r[0]) != "public" {
		table = string(r[0]) + "." + table
	}
	text := fmt.Sprintf("table %s is locked by server process %s", table, r[2])
	if len(r[3]) > 0 {
		text += ", " + string(r[3])
	}
	if r[4] != nil {
		text += fmt.Sprintf(", for %s s", r[4])
	}
	return text
}
