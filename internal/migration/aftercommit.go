package migration

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// The server lets nothing interrupt a commit, which can take seconds. A cancel, a timeout or the end of the session
// that comes meanwhile is the error of the statement after it: the clean-up of a migration that is applied and
// recorded.

// committed returns the tags of the migration's own statements if the server has acknowledged the message's commit.
func (m message) committed(tags []string) (own []string, ok bool) {
	to := len(m.prefix) + len(sqltext.Statements(m.up))
	at := to + slices.Index(m.suffix, "commit")
	if at >= len(tags) || tags[at] != "COMMIT" {
		return nil, false
	}
	return tags[len(m.prefix):to], true
}

// cleanup are the statements after the message's commit.
func (m message) cleanup() []string { return m.suffix[slices.Index(m.suffix, "commit")+1:] }

// afterCommit cleans up after a committed migration whose message ended in its clean-up. If the session has ended, that
// is an error only for the files that are left.
func (a *applier) afterCommit(m migration, cleanup []string, ended error) error {
	if errors.As(ended, new(*watchError)) {
		return ended
	}
	late, cancel := grace.Context(a.ctx, afterwards)
	defer cancel()
	if !a.conn.Closed() {
		if _, err := a.after(late, strings.Join(cleanup, "; ")); err == nil {
			return nil
		}
		a.conn.Close() // nobody may go on with the locks and settings of this one
	}
	if len(a.pending) == 0 {
		a.conn.Log().Warn("the session ended after the last file, which is applied", "file", m.file, "error", ended)
		return nil
	}
	return &Error{
		Version: m.version, Versions: m.versions(), File: m.path, ended: true,
		Err: fmt.Errorf("it is applied and recorded; the session ended after it: %w", ended),
	}
}
