package neontest

import (
	"context"
	"sync/atomic"
	"time"
)

// clock is this machine's clock, ahead of it by what [Server.Advance] has added.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Now returns the time on the simulator's clock.
func (s *Server) Now() time.Time { return s.clock.now() }

// Advance moves the simulator's clock ahead, so that operations finish, computes wake up and branches expire without
// a test having to wait. When it returns, the branches that have expired are gone, with their computes and databases.
// The limits on calls keep to the machine's clock.
func (s *Server) Advance(ctx context.Context, d time.Duration) error {
	s.clock.ahead.Add(int64(d))
	s.mu.Lock()
	var databases []string
	for _, p := range s.projects {
		databases = append(databases, s.expire(p)...)
	}
	s.mu.Unlock()
	return s.drop(ctx, databases...)
}

// expire removes a project's expired branches, and returns their databases on the real server. A branch that a
// request may be copying from stays until the next time. Called with the lock held.
func (s *Server) expire(p *project) (databases []string) {
	for i := len(p.branches) - 1; i >= 0; i-- { // children come after their parents
		b := p.branches[i]
		if b.expired(s.clock.now()) && !p.changing && len(b.children()) == 0 {
			databases = append(databases, s.remove(b)...)
		}
	}
	return databases
}
