package migrate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// Two kinds of sources, of which one has branches. Nothing is asked of either.
type (
	branchless struct{ fleet.Source }
	brancher   struct {
		fleet.Source
		fleet.Brancher
	}
)

func TestTenantsUnderWay(t *testing.T) {
	for _, c := range []struct {
		source                fleet.Source
		concurrency, underWay int
	}{
		{branchless{}, 16, 16},
		{brancher{}, 1, 3},
		{brancher{}, 16, 48},
		{brancher{}, 32, 72},
		{brancher{}, 64, 104},
	} {
		free, underWay := newSlots(mode.Env{Source: c.source, Concurrency: c.concurrency})
		servertest.Equal(t, "slots", cap(free), c.concurrency)
		servertest.Equal(t, "under way", underWay, c.underWay)
	}
}

func TestSlots(t *testing.T) {
	free := make(slots, 1)
	first, second := slot{of: free}, slot{of: free}
	if err := first.take(t.Context()); err != nil {
		t.Fatal(err)
	}

	t.Log("waiting for a slot ends with the run, and takes none of the tenant's time")
	run, cancel := context.WithCancelCause(t.Context())
	own, end := deadline.Context(run, time.Hour, errors.New("too late"))
	defer end()
	waits := make(chan error)
	go func() { waits <- second.take(own) }()
	stop := errors.New("cancelled by interrupt")
	cancel(stop)
	if err := <-waits; !errors.Is(err, stop) || !deadline.OnlyWaited(own) {
		t.Errorf("%v", err)
	}
	second.leave() // it has none, and gives nobody's away
	servertest.Equal(t, "taken", len(free), 1)

	t.Log("a slot that is left is free, and is left once")
	first.leave()
	if err := second.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.leave()
	servertest.Equal(t, "taken", len(free), 1)
}
