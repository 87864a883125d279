package migrate

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
)

// slots are for the rehearsals that are at work in a database, at most the run's concurrency of them. The others wait
// for Neon to make or delete a branch, which takes over a second, and uses nothing of what concurrency spares.
type slots chan struct{}

// How many tenants are under way beyond concurrency, at most.
const (
	// aheadPerSlot is also how many tenants a branch may have to wait for, each for up to tenant-timeout.
	aheadPerSlot = 2
	// mostAhead is as many branches as Neon makes in a second. A cancelled job has the time to delete about four times as
	// many.
	mostAhead = 40
)

// newSlots returns the slots, and how many tenants are to be under way at once: more than there are slots if the source
// has branches.
func newSlots(env mode.Env) (_ slots, underWay int) {
	n := max(1, env.Concurrency)
	underWay = n
	if _, ok := env.Source.(fleet.Brancher); ok {
		underWay += min(aheadPerSlot*n, mostAhead)
	}
	return make(slots, n), underWay
}

// slot is one tenant's place.
type slot struct {
	of    slots
	taken bool
}

// take waits for a slot. The tenant's time does not pass meanwhile, because it is others that it waits for.
func (s *slot) take(ctx context.Context) error {
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

// leave gives a slot that was taken to another tenant.
func (s *slot) leave() {
	if s.taken {
		s.taken = false
		<-s.of
	}
}
