package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// siteDatabase begins the names of the databases and of their copies on the real server.
const siteDatabase = "tenant_site"

// rehearsalSite is a fleet of simulated Neon projects whose databases, and the branches of them, are a round trip away.
type rehearsalSite struct {
	*bench
	neon      *neontest.Server
	projects  []neontest.Project
	databases []siteTenant

	mu     sync.Mutex
	fronts map[int]*wiretest.Proxy // by the port behind it
	failed error                   // to start one of them
}

// siteTenant is a project's database on the real server.
type siteTenant struct{ name, role string }

func (b *bench) newRehearsalSite(ctx context.Context, n int) (*rehearsalSite, error) {
	s := &rehearsalSite{bench: b, fronts: map[int]*wiretest.Proxy{}}
	var err error
	if s.neon, err = neontest.New(b.server, neontest.Options{Front: s.front}); err != nil {
		return nil, err
	}
	if err = s.provide(ctx, n); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

func (s *rehearsalSite) provide(ctx context.Context, n int) error {
	if err := s.neon.Start(); err != nil {
		return err
	}
	s.progress("creating %d projects", n)
	specs := make([]neontest.Spec, n)
	for i := range specs {
		specs[i] = neontest.Spec{Name: fmt.Sprintf("customer-%03d", i), Database: siteDatabase}
	}
	var err error
	if s.projects, err = s.neon.AddProjects(ctx, specs...); err != nil {
		return err
	}
	for _, p := range s.projects {
		u, err := url.Parse(p.URL)
		if err != nil {
			return errors.New("a project's connection string is not a URL")
		}
		s.databases = append(s.databases, siteTenant{u.Path[1:], u.User.Username()})
	}
	return nil
}

// close also drops the databases, which take up room on the disk while other sections run.
func (s *rehearsalSite) close(ctx context.Context) error {
	err := s.neon.Close()
	for _, p := range s.fronts {
		p.Close()
	}
	return errors.Join(err, s.each(ctx, func(ctx context.Context, t siteTenant) error {
		return s.server.Exec(ctx, "postgres", "drop database "+pgtest.Identifier(t.name)+" with (force)",
			"drop role "+pgtest.Identifier(t.role))
	}))
}

// front returns the port of a proxy that adds the distance to a port of this machine.
func (s *rehearsalSite) front(port int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.fronts[port]
	if p == nil {
		var err error
		address := net.JoinHostPort(s.server.Host, strconv.Itoa(port))
		if p, err = wiretest.NewProxy(address, distanceRoundTrip); err != nil {
			s.failed = err
			return port
		}
		s.fronts[port] = p
	}
	_, text, _ := net.SplitHostPort(p.Address()) // which the proxy itself made
	front, _ := strconv.Atoi(text)
	return front
}

func (s *rehearsalSite) each(ctx context.Context, do func(context.Context, siteTenant) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(setupConcurrency)
	for _, t := range s.databases {
		g.Go(func() error { return do(ctx, t) })
	}
	return g.Wait()
}

// empty empties the tenants.
func (s *rehearsalSite) empty(ctx context.Context) error {
	return s.each(ctx, func(ctx context.Context, t siteTenant) error {
		return s.server.Exec(ctx, t.name, "set client_min_messages = warning; drop schema public cascade; "+
			"create schema public authorization "+pgtest.Identifier(t.role))
	})
}

// check returns an error unless every tenant has its tables, or none has any.
func (s *rehearsalSite) check(ctx context.Context, migrated bool) error {
	var done atomic.Int64
	err := s.each(ctx, func(ctx context.Context, t siteTenant) error {
		return s.server.Superuser(ctx, t.name, func(conn *pgx.Conn) error {
			var tables int64
			err := conn.QueryRow(ctx, "select count(*) from pg_tables where schemaname = 'public' and tablename in "+
				"('users', 'projects', 'tasks')").Scan(&tables)
			done.Add(tables)
			return err
		})
	})
	want := 0
	if migrated {
		want = 3 * len(s.databases)
	}
	if err == nil && done.Load() != int64(want) {
		err = fmt.Errorf("%d tables exist, want %d", done.Load(), want)
	}
	return errors.Join(err, s.failed)
}

// settle waits until nothing is left of the contender before: its sessions, and the branches' databases, which the
// simulator drops after it has answered.
func (s *rehearsalSite) settle(ctx context.Context) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		var databases int
		err := s.server.Superuser(ctx, "postgres", func(conn *pgx.Conn) error {
			return conn.QueryRow(ctx, "select count(*) from pg_database where datname like $1 || '%'", siteDatabase).
				Scan(&databases)
		})
		if err != nil {
			return err
		}
		if databases <= len(s.databases) {
			return s.bench.settle(ctx)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d databases of branches are left", databases-len(s.databases))
		}
	}
}

// serverCPU is the CPU time that PostgreSQL has used so far, also in sessions that go on, such as the simulator's.
func (s *rehearsalSite) serverCPU() (time.Duration, error) {
	pid := s.server.PID()
	sum, err := processCPU(pid)
	for _, child := range strings.Fields(readText(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))) {
		if id, err := strconv.Atoi(child); err == nil {
			one, _ := processCPU(id) // one that has just ended is counted already
			sum += one
		}
	}
	return sum, err
}
