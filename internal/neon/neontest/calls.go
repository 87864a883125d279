package neontest

import (
	"maps"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// Calls is what has arrived at the API, refused calls included.
type Calls struct {
	Total     int
	Limited   int                       // refused with 429 by the limits, not by a Fault
	ByRoute   map[string]int            // by "GET /projects/{project_id}/connection_uri"
	ByProject map[string]map[string]int // by project id, then by route
	// The most calls that arrived within any minute and, by route, within any second.
	MostPerMinute int
	MostPerSecond map[string]int
}

type calls struct {
	mu     sync.Mutex
	seen   Calls
	minute servertest.Window
	second map[string]*servertest.Window // by route
}

// Calls returns what has arrived since New or the last ResetCalls.
func (s *Server) Calls() Calls {
	c := &s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	seen.ByRoute = maps.Clone(c.seen.ByRoute)
	seen.ByProject = map[string]map[string]int{}
	for id, routes := range c.seen.ByProject {
		seen.ByProject[id] = maps.Clone(routes)
	}
	seen.MostPerMinute = c.minute.Most
	seen.MostPerSecond = map[string]int{}
	for route, w := range c.second {
		seen.MostPerSecond[route] = w.Most
	}
	return seen
}

// ResetCalls starts the count again. The limits keep their own.
func (s *Server) ResetCalls() {
	c := &s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.minute, c.second = Calls{}, servertest.Window{}, nil
}

func (c *calls) arrived(route, project string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.second == nil {
		c.seen = Calls{ByRoute: map[string]int{}, ByProject: map[string]map[string]int{}}
		c.minute, c.second = servertest.Window{Span: time.Minute}, map[string]*servertest.Window{}
	}
	c.seen.Total++
	c.seen.ByRoute[route]++
	if project != "" {
		if c.seen.ByProject[project] == nil {
			c.seen.ByProject[project] = map[string]int{}
		}
		c.seen.ByProject[project][route]++
	}
	c.minute.Add(now)
	if c.second[route] == nil {
		c.second[route] = &servertest.Window{Span: time.Second}
	}
	c.second[route].Add(now)
}

func (c *calls) limited() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Limited++
}
