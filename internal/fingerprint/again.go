package fingerprint

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// ErrChanged is the error of a schema that changed while it was read.
var ErrChanged = errors.New("the schema changed while it was read")

// lockWait is how long a look waits for a lock. It locks one relation after another: a view, then the tables that its
// definition names. A migration that drops such a table locks them the other way round, so that the two can wait for
// each other. After deadlock_timeout, a second unless the server has another, PostgreSQL would end one of them, which
// may be the migration. So a look gives up long before, lets go of all its locks, and begins anew.
const lockWait = 200 * time.Millisecond

const (
	defaultPatience = 5 * time.Second
	mostLooks       = 5 // at a schema that changes
)

// again looks until the schema holds still. Patience begins with the first lock that is not to be had.
func again[T any](patience time.Duration, look func() (T, error)) (found T, err error) {
	var end time.Time
	for changes := 0; changes < mostLooks; {
		found, err = look()
		switch {
		case changed(err):
			changes++
		case !postgres.Locked(err):
			return found, err
		case end.IsZero():
			end = time.Now().Add(cmp.Or(patience, defaultPatience) - lockWait)
		case time.Now().After(end):
			return found, err
		}
	}
	return found, fmt.Errorf("the schema was changed each time it was read: %w", err)
}

// changed reports whether an error of a look is due to a change of the schema at the same moment: the server reads its
// catalogs' newest rows, and misses what was dropped meanwhile.
func changed(err error) bool {
	if errors.Is(err, ErrChanged) {
		return true
	}
	for _, code := range []string{"XX000", "42P01", "42703", "42704", "42883"} {
		if postgres.HasCode(err, code) {
			return true
		}
	}
	return false
}
