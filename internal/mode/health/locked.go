package health

import (
	"cmp"
	"context"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// lockedError is why a tenant could not be checked, or not compared: another session keeps a table locked.
type lockedError struct {
	text string // which table, and whose lock
	err  error
}

func (e *lockedError) Error() string { return "not everything could be checked: " + e.text }

func (e *lockedError) Unwrap() error { return e.err }

// Remedy is for a reader who does not know the other session.
func (e *lockedError) Remedy() string {
	return "check it again when that session is done; end the session if it does nothing"
}

// explainLock turns the error of a wait for a lock that was too long into a lockedError.
func explainLock(ctx context.Context, conn *postgres.Conn, schema string, err error) error {
	if !postgres.Locked(err) {
		return err
	}
	return &lockedError{cmp.Or(postgres.LockedTable(ctx, conn, schema), "a table was locked for too long"), err}
}
