package neontest

import (
	"maps"
	"sync"
	"time"
)

// Calls is what has arrived at the API, refused calls included.
type Calls struct {
	Total     int
	Limited   int                       // refused with 429 by the limits (not by a Fault)
	ByRoute   map[string]int            // by "GET /projects/{project_id}/connection_uri"
	ByProject map[string]map[string]int // by project id, then by route
	// The most calls that arrived within any minute, and within any second by route.
	MostPerMinute int
	MostPerSecond map[string]int
	First, Last   time.Time
}

type calls struct {
	mu     sync.Mutex
	seen   Calls
	minute window
	second map[string]*window
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
	seen.MostPerMinute = c.minute.most
	seen.MostPerSecond = map[string]int{}
	for route, w := range c.second {
		seen.MostPerSecond[route] = w.most
	}
	return seen
}

// ResetCalls begins to count anew. The limits' windows stay as they are.
func (s *Server) ResetCalls() {
	c := &s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.minute, c.second = Calls{}, window{}, nil
}

func (c *calls) arrived(route, project string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.second == nil {
		c.seen = Calls{ByRoute: map[string]int{}, ByProject: map[string]map[string]int{}, First: now}
		c.minute, c.second = window{span: time.Minute}, map[string]*window{}
	}
	c.seen.Total++
	c.seen.Last = now
	c.seen.ByRoute[route]++
	if project != "" {
		if c.seen.ByProject[project] == nil {
			c.seen.ByProject[project] = map[string]int{}
		}
		c.seen.ByProject[project][route]++
	}
	c.minute.add(now)
	if c.second[route] == nil {
		c.second[route] = &window{span: time.Second}
	}
	c.second[route].add(now)
}

func (c *calls) limited() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen.Limited++
}
