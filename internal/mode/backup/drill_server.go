package backup

import (
	"context"
	"sync"

	"github.com/org/neon-tenants-action/internal/postgres"
)

// server is one on which throwaway databases are created.
type server struct {
	target  postgres.Target
	version string
	mu      sync.Mutex
	idle    []*postgres.Conn // those of drills that have ended, for the next ones
}

// borrow returns a connection to the server, and the function that gives it back.
func (s *server) borrow(ctx context.Context) (conn *postgres.Conn, giveBack func(), err error) {
	s.mu.Lock()
	if n := len(s.idle); n > 0 {
		conn, s.idle = s.idle[n-1], s.idle[:n-1]
	}
	s.mu.Unlock()
	if conn == nil {
		if conn, err = postgres.Connect(ctx, s.target, postgres.Options{Idles: true}); err != nil {
			return nil, nil, err
		}
	}
	return conn, func() {
		if conn.Closed() {
			conn.Close()
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.idle = append(s.idle, conn)
	}, nil
}

// withScratch calls use with a throwaway database. A connection that the server has closed since the last drill is
// replaced by another.
func (s *server) withScratch(ctx context.Context, encoding string, use func(postgres.Target) error) error {
	conn, giveBack, err := s.borrow(ctx)
	if err != nil {
		return err
	}
	defer giveBack()
	used := false
	try := func() error {
		return conn.WithScratch(ctx, encoding, func(scratch postgres.Target) error {
			used = true
			return use(scratch)
		})
	}
	if err = try(); err == nil || used || !conn.Closed() || ctx.Err() != nil {
		return err
	}
	if err := conn.Reopen(ctx, postgres.Options{Idles: true}); err != nil {
		return err
	}
	return try()
}
