package sweep

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// chaos decides at random what becomes of a run's calls. The same seed gives the same decisions, though not to the same
// calls: those of several workers come in any order.
type chaos struct {
	mu     sync.Mutex
	random *rand.Rand
	often  float64 // the part of all calls that something happens to
	struck int
}

// decide decides about a call. Without chaos nothing happens to it.
func (c *chaos) decide(f *fate) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.random.Float64() >= c.often {
		return
	}
	c.struck++
	f.verdict = []verdict{refuse, lose, delay}[c.random.IntN(3)]
	f.late = time.Duration(c.random.IntN(500)) * time.Millisecond
	f.status = []int{
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusTooManyRequests,
	}[c.random.IntN(4)]
}

func (c *chaos) intN(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// killBackends ends a session of a tenant's every so often, until the function that it returns is called.
func (c *chaos) killBackends(t *testing.T, server *pgtest.Server, every time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
			}
			// The simulators' own sessions are in the server's own databases.
			sql := fmt.Sprintf("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = "+
				"'client backend' and datname not in ('postgres', 'template1') order by pid limit 1 offset %d", c.intN(6))
			if err := server.Exec(ctx, "postgres", sql); err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); ended.Wait() }
}
