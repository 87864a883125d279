package httpx

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// serve serves HTTP until the end of the test, and returns a transport that reaches it under a fake clock.
func serve(t *testing.T, handler http.HandlerFunc) *http.Transport {
	t.Helper()
	transport, stop := servertest.ServePipes(handler)
	t.Cleanup(stop)
	return transport
}

// arrivals records when calls reach a server.
type arrivals struct {
	mu sync.Mutex
	at []time.Time
}

func (a *arrivals) add() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, time.Now())
	return len(a.at)
}

// most returns the most calls that arrived in any stretch of that length.
func (a *arrivals) most(span time.Duration) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.SortFunc(a.at, time.Time.Compare)
	most, from := 0, 0
	for i, t := range a.at {
		for t.Sub(a.at[from]) >= span {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

// between counts the arrivals in [from, to) after start.
func (a *arrivals) between(start time.Time, from, to time.Duration) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, t := range a.at {
		if d := t.Sub(start); d >= from && d < to {
			n++
		}
	}
	return n
}

func get(ctx context.Context, c *http.Client, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.test"+path, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(req)
}
