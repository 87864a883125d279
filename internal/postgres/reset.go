package postgres

import (
	"context"
	"slices"
	"strings"
)

// ResetSettings are the statements that restore the session's settings, those of the role, of the database and of its
// options, whatever ran before: files made by pg_dump, for one, empty the search_path. (RESET ALL does not reset the
// role.)
func (c *Conn) ResetSettings() []string {
	all := []string{"reset session authorization", "reset role", "reset all"}
	if settings := c.options.settingsQuery(); settings != "" {
		all = append(all, settings)
	}
	return all
}

// ResetSession are the statements that restore a session to its beginning, locks and temporary tables included. DISCARD
// ALL does the same and more, but must be sent alone.
func (c *Conn) ResetSession() []string {
	return append(c.ResetSettings(), "close all", "deallocate all", "unlisten *",
		"select pg_catalog.pg_advisory_unlock_all()", "discard plans", "discard temp", "discard sequences")
}

// Reset rolls back an open transaction, releases all locks and resets all settings, so that the next user finds the
// session as the first one did, with what its options set. It closes a connection that cannot be reset.
func (c *Conn) Reset(ctx context.Context) {
	sql := c.ResetSession()
	if c.pg.TxStatus() != 'I' {
		sql = slices.Insert(sql, 0, "rollback")
	}
	if _, err := c.Exec(ctx, strings.Join(sql, "; ")); err != nil {
		c.Close()
	}
}
