package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// For tests that run these queries within a transaction of their own.
func DependentsSQL(schema string) string { return of(schema, dependentsQuery) }
func GoingSQL(schema string) string {
	return of(schema, walk+` select distinct classid::bigint, objid::bigint, objsubid from going`)
}
func CascadeSQL(schema string) string { return cascade(schema) }

// AfterStatus sends the message of ReadStatus, and then a query, without making settings that are due.
func AfterStatus(ctx context.Context, c *Conn, t Table, query string) (answer string, err error) {
	for _, sql := range []string{c.statusQuery(t, NoLock), query} {
		_, failed := c.send(ctx, sql, func(r *pgconn.ResultReader) error {
			if read := r.Read(); len(read.Rows) > 0 {
				answer = string(read.Rows[0][0])
			}
			return nil
		})
		err = errors.Join(err, failed)
	}
	return answer, err
}
