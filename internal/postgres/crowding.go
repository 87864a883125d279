package postgres

import (
	"context"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// OutOfLocks reports whether a server had no memory for another lock (out_of_memory): its transactions together hold as
// many as it has room for.
func OutOfLocks(err error) bool { return HasCode(err, "53200") }

// Session is a connection of this process, as its server sees it.
type Session struct {
	Backend string // the id of the process that serves it; empty: not known
	Schema  string // that it works in; empty: the whole database
}

// Backend is the id of the server process that serves the connection, as [ReadStatus] was told; empty before that. It
// may be called concurrently with everything else.
func (c *Conn) Backend() string {
	backend, _ := c.backend.Load().(string)
	return backend
}

// LockedBy reports whether one of the other sessions holds a lock in this database on a table or index outside the
// schema that it works in. Only there can sessions that work in different schemas wait for each other. False if that
// cannot be found out.
func (c *Conn) LockedBy(ctx context.Context, others []Session) bool {
	var rows []string
	for _, o := range others {
		if o.Backend != "" && o.Schema != "" {
			rows = append(rows, "("+o.Backend+", "+sqltext.QuoteLiteral(o.Schema)+")")
		}
	}
	if len(rows) == 0 {
		return false
	}
	answers, err := c.Results(ctx, "select exists (select from pg_catalog.pg_locks l "+
		"join (values "+strings.Join(rows, ", ")+") o(pid, schema) using (pid) "+
		"join pg_catalog.pg_class t on t.oid = l.relation join pg_catalog.pg_namespace n on n.oid = t.relnamespace "+
		"where l.granted and l.database = (select oid from pg_catalog.pg_database where datname = current_database()) "+
		"and n.nspname <> o.schema and n.nspname !~ '^pg_(catalog|toast)$')")
	return err == nil && string(answers[0][0][0]) == "t"
}
