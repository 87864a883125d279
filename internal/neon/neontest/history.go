package neontest

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// contents are a branch's roles and databases, now or at a time that was kept.
type contents struct {
	roles     []*role
	databases []*database
}

// kept is a branch's contents at one time.
type kept struct {
	at  time.Time
	lsn string
	contents
}

// Kept is a point of a branch's history that branches can be made from and restored to.
type Kept struct {
	At  time.Time // to the microsecond
	LSN string
}

// Keep makes the present state of a branch a point of its history; the project's default branch if branchID is "".
// Neon has every state of a branch. The simulator has those that were kept, and answers a time or an LSN with the last
// one before it, so that what was written since then is missing. Whoever asks in whole seconds makes it older with
// [Server.Age] first.
func (s *Server) Keep(ctx context.Context, projectID, branchID string) (Kept, error) {
	b, err := s.holdBranch(ctx, projectID, branchID)
	if err != nil {
		return Kept{}, err
	}
	defer s.end(b.project)
	lsn, err := s.lsn(ctx)
	if err != nil {
		return Kept{}, err
	}
	databases, err := s.copyDatabases(ctx, &b.contents, b.roles, false)
	if err != nil {
		return Kept{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.now()
	b.history = append(b.history, kept{at, lsn, contents{b.roles, databases}})
	return Kept{at, lsn}, nil
}

// holdBranch waits until nobody changes a project, and keeps others from changing it until end.
func (s *Server) holdBranch(ctx context.Context, projectID, branchID string) (*branch, error) {
	for {
		s.mu.Lock()
		p := s.byID[projectID]
		if p == nil || p.shared {
			s.mu.Unlock()
			return nil, fmt.Errorf("no project %s with a database of its own", projectID)
		}
		b := p.defaultBranch()
		if branchID != "" {
			b = p.branch(branchID)
		}
		free := b != nil && !p.changing
		p.changing = p.changing || free
		s.mu.Unlock()
		switch {
		case b == nil:
			return nil, fmt.Errorf("no branch %s in project %s", branchID, projectID)
		case free:
			return b, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// point is a place in a branch's history as a request names it: its head if both are empty.
type point struct{ timestamp, lsn string }

func (at point) isHead() bool { return at == point{} }

// past returns what a branch was like at a point. The messages are not Neon's, which nobody has published. Called with
// the lock held.
func (b *branch) past(at point) (*kept, error) {
	if at.timestamp != "" && at.lsn != "" {
		return nil, refuse(http.StatusBadRequest, "a timestamp and an LSN can't be given both")
	}
	reached := func(k *kept) bool { return compareLSN(k.lsn, at.lsn) <= 0 }
	if at.timestamp != "" {
		t, err := b.checkTime(at.timestamp)
		if err != nil {
			return nil, err
		}
		reached = func(k *kept) bool { return !k.at.After(t) }
	} else if _, err := parseLSN(at.lsn); err != nil {
		return nil, refuse(http.StatusBadRequest, "%q is not an LSN", at.lsn)
	}
	for i := len(b.history) - 1; i >= 0; i-- {
		if k := b.history[i]; reached(&k) {
			if at.timestamp == "" && k.at.Before(b.project.historyStart()) {
				return nil, beyondHistory(at.lsn)
			}
			return &k, nil
		}
	}
	return nil, refuse(http.StatusNotImplemented, "the simulator has no state of the branch from before %s%s, only those "+
		"that its Keep made", at.timestamp, at.lsn)
}

// checkTime refuses times that are not in the branch's history.
func (b *branch) checkTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err != nil:
		return t, refuse(http.StatusBadRequest, "timestamp must be a time as in RFC 3339")
	case t.After(b.project.clock.now()):
		return t, refuse(http.StatusBadRequest, "timestamp is in the future")
	case t.Before(b.project.historyStart()):
		return t, beyondHistory(text)
	}
	return t, nil
}

func beyondHistory(at string) error {
	return refuse(http.StatusBadRequest, "%s is outside of the project's history retention window", at)
}

// historyStart is the oldest time that a project's branches can go back to.
func (p *project) historyStart() time.Time {
	start := p.clock.now().Add(-time.Duration(p.historySeconds) * time.Second)
	if began := p.created.Add(-p.age); began.After(start) {
		return began
	}
	return start
}

// lsn returns the place in the write-ahead log that comes next.
func (s *Server) lsn(ctx context.Context) (lsn string, err error) {
	err = s.pg.Superuser(ctx, "postgres", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&lsn)
	})
	return lsn, err
}

func compareLSN(a, b string) int {
	first, _ := parseLSN(a) // both have been checked
	second, _ := parseLSN(b)
	return cmp.Compare(first, second)
}

func parseLSN(text string) (uint64, error) {
	high, low, _ := strings.Cut(text, "/")
	first, err := strconv.ParseUint(high, 16, 32)
	if err != nil {
		return 0, err
	}
	second, err := strconv.ParseUint(low, 16, 32)
	return first<<32 | second, err
}
