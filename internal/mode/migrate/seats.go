package migrate

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
)

// seats are for the rehearsals that are at work in a database, at most the run's concurrency of them. The others wait
// for Neon to make or delete a branch, which takes over a second, and uses nothing of what concurrency spares.
type seats chan struct{}

// How many tenants are under way beyond concurrency, at most.
const (
	// aheadPerSeat is also how many tenants a branch may have to wait for, each for up to tenant-timeout.
	aheadPerSeat = 2
	// mostAhead is as many branches as Neon makes in a second. A cancelled job has the time to delete about four times as
	// many.
	mostAhead = 40
)

// newSeats returns the seats, and how many tenants are to be under way at once: more than there are seats if the source
// has branches.
func newSeats(env mode.Env) (_ seats, underWay int) {
	n := max(1, env.Concurrency)
	underWay = n
	if _, ok := env.Source.(fleet.Brancher); ok {
		underWay += min(aheadPerSeat*n, mostAhead)
	}
	return make(seats, n), underWay
}

// seat is one tenant's place.
type seat struct {
	of    seats
	taken bool
}

// take waits for a seat. The tenant's time does not pass meanwhile, because it is others that it waits for.
func (s *seat) take(ctx context.Context) error {
	resume := deadline.Pause(ctx)
	select {
	case s.of <- struct{}{}:
		s.taken = true
		resume(true)
		return nil
	case <-ctx.Done():
		resume(false)
		return fmt.Errorf("wait for the rehearsals of other tenants: %w", context.Cause(ctx))
	}
}

// leave gives a seat that was taken to another tenant.
func (s *seat) leave() {
	if s.taken {
		s.taken = false
		<-s.of
	}
}
