package fingerprint

import (
	"errors"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// ErrChanged is the error of a schema that changed while it was read.
var ErrChanged = errors.New("the schema changed while it was read")

// lockWait is how long a look waits for a lock. It locks one relation after another: a view, then the tables that
// its definition names. A migration that drops such a table locks them the other way round, so that the two can wait
// for each other. After deadlock_timeout, a second unless the server has another, PostgreSQL would end one of them, and
// that may be the migration. So a look gives up first, lets go of all its locks, and begins anew.
const lockWait = "500ms"

const (
	lockPatience = 5 * time.Second // a table that is locked for longer is being rebuilt, or its session was forgotten
	mostLooks    = 5               // at a schema that changes
)

// again looks until the schema holds still.
func again[T any](look func() (T, error)) (found T, err error) {
	end := time.Now().Add(lockPatience)
	for changes := 0; changes < mostLooks; {
		found, err = look()
		switch {
		case changed(err):
			changes++
		case !locked(err) || time.Now().After(end):
			return found, err
		}
	}
	return found, fmt.Errorf("the schema was changed each time it was read: %w", err)
}

// changed reports whether an error of a look is due to a change of the schema at the same moment: the server reads its
// catalogs' newest rows, and misses what was dropped meanwhile.
func changed(err error) bool {
	return errors.Is(err, ErrChanged) || hasCode(err, "XX000", "42P01", "42703", "42704", "42883")
}

// locked reports whether a look gave up, or was made to, because of another session's locks.
func locked(err error) bool { return hasCode(err, "55P03", "40P01") }

func hasCode(err error, codes ...string) bool {
	for _, code := range codes {
		if postgres.HasCode(err, code) {
			return true
		}
	}
	return false
}
