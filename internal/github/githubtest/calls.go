package githubtest

import (
	"maps"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Calls is what has arrived at the API, refused calls included.
type Calls struct {
	Total, Reads, Writes int
	Limited              int            // refused by the limits, not by a Fault
	ByRoute              map[string]int // by "PUT /repos/{owner}/{repo}/actions/secrets/{secret_name}"
	MostWritesPerMinute  int            // within any minute
	MostWritesPerHour    int
	MostWritesAtOnce     int
}

type calls struct {
	mu           sync.Mutex
	seen         Calls
	minute, long servertest.Window
	writing      int
}

// Calls returns what has arrived since New or the last ResetCalls.
func (s *Server) Calls() Calls {
	c := &s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	seen.ByRoute = maps.Clone(c.seen.ByRoute)
	seen.MostWritesPerMinute, seen.MostWritesPerHour = c.minute.Most, c.long.Most
	return seen
}

// ResetCalls starts the count again. The limits keep their own.
func (s *Server) ResetCalls() {
	c := &s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.minute, c.long = Calls{}, servertest.Window{}, servertest.Window{}
}

// arrived counts a call. The caller calls left when the call is over.
func (c *calls) arrived(route string, write bool, now time.Time) (left func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen.ByRoute == nil {
		c.seen.ByRoute = map[string]int{}
		c.minute, c.long = servertest.Window{Span: time.Minute}, servertest.Window{Span: time.Hour}
	}
	c.seen.Total++
	c.seen.ByRoute[route]++
	if !write {
		c.seen.Reads++
		return func() {}
	}
	c.seen.Writes++
	c.minute.Add(now)
	c.long.Add(now)
	c.writing++
	c.seen.MostWritesAtOnce = max(c.seen.MostWritesAtOnce, c.writing)
	return func() {
		c.mu.Lock()
		c.writing--
		c.mu.Unlock()
	}
}

func (c *calls) refused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Limited++
}
