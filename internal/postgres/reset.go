package postgres

import (
	"context"
	"slices"
	"strings"
)

// ResetSettings are the statements that restore the role's and the database's own settings, whatever ran before them:
// files made by pg_dump empty the search_path, for one. (RESET ALL leaves the role alone.)
func ResetSettings() []string {
	return []string{"reset session authorization", "reset role", "reset all"}
}

// ResetSession are the statements that restore a session to its beginning, locks and temporary tables included. DISCARD
// ALL does the same and more, but must be sent alone.
func ResetSession() []string {
	return append(ResetSettings(), "close all", "deallocate all", "unlisten *", "select pg_catalog.pg_advisory_unlock_all()",
		"discard plans", "discard temp", "discard sequences")
}

// Reset rolls back what is open, releases every lock and forgets what was set, so that the next tenant finds the session as
// the first one did. A connection that cannot be reset is closed.
func (c *Conn) Reset(ctx context.Context) {
	sql := ResetSession()
	if c.pg.TxStatus() != 'I' {
		sql = slices.Insert(sql, 0, "rollback")
	}
	if _, err := c.Exec(ctx, strings.Join(sql, "; ")); err != nil {
		c.Close()
	}
}
