package postgres

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// OwnedDatabases lists the server's databases that the connection's role owns and can connect to, except templates, the
// server's own database postgres, and throwaway databases, in which another run may restore a tenant at this moment.
func OwnedDatabases(ctx context.Context, c *Conn) ([]string, error) {
	return c.names(ctx, "list the role's databases", "select datname from pg_catalog.pg_database "+
		"where datallowconn and not datistemplate and datname <> 'postgres' and datname !~ '"+scratchForm+"' "+
		"and datdba = (select oid from pg_catalog.pg_roles where rolname = current_user) order by datname")
}

// SchemasWith lists the schemas that contain a table of that name.
func SchemasWith(ctx context.Context, c *Conn, table string) ([]string, error) {
	return c.names(ctx, "list the schemas that have "+table, "select n.nspname from pg_catalog.pg_class c "+
		"join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relname = "+sqltext.QuoteLiteral(table)+
		" and c.relkind in ('r', 'p') and n.nspname !~ '^pg_' order by n.nspname")
}

// names returns the first column of the last statement's rows. task describes it in an error.
func (c *Conn) names(ctx context.Context, task, sql string) ([]string, error) {
	answers, err := c.Results(ctx, "set transaction read only; set local search_path = ''; "+sql)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", task, err)
	}
	var all []string
	for _, row := range answers[len(answers)-1] {
		all = append(all, string(row[0]))
	}
	return all, nil
}
