package migration

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// transactionTries is how often a migration is run at most while lock_timeout, a deadlock or a serialization failure
// rolls it back as a whole.
const transactionTries = 3

// catalogTries is the same for transactions that meet in the server's own catalog, in a unique index or in a row,
// because they create or change one object at the same moment: an extension, for example, that every schema's file
// creates if it does not exist. One of them goes on each time, and those that try again find its work. There may be 32
// of them.
const catalogTries = 15

// await waits until a migration that was rolled back may be tried again: until other workers of this run are out of its
// way, and it is alone, or for a while. It returns the error if it may not be, or if the run has ended.
func (a *applier) await(m migration, try, tries int, failed error) (alone bool, err error) {
	alone, ended := a.aloneOnServer(a.ctx, failed)
	switch {
	case ended != nil, !alone && postgres.OutOfLocks(failed): // alone, a transaction has room or never will
		return false, failed
	case alone:
		a.conn.Log().Info("the migration was rolled back and is tried again while no other worker of this run is on the "+
			"server", "file", m.file, "error", failed)
		return true, nil
	}
	pause := time.Duration(min(try, transactionTries))*time.Second/2 + rand.N(500*time.Millisecond)
	a.conn.Log().Warn("the migration was rolled back and will be tried again",
		"file", m.file, "try", try+1, "of", tries, "in", pause, "error", failed)
	select {
	case <-a.ctx.Done():
		return false, failed
	case <-time.After(pause):
		return false, nil
	}
}

// triesAfter returns how often a transaction is run in all, the server having said why it had no effect. After any
// other error it is not run again.
func triesAfter(err error) int {
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		return 1
	case slices.Contains([]string{
		"55P03", // lock_not_available
		"40001", // serialization_failure
		"40P01", // deadlock_detected
	}, pg.Code), postgres.OutOfLocks(err):
		return transactionTries
	case pg.Code == "23505" && pg.SchemaName == "pg_catalog",
		pg.Code == "XX000" && strings.HasPrefix(pg.Message, "tuple concurrently "):
		return catalogTries
	}
	return 1
}
