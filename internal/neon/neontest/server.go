// Package neontest simulates Neon for tests, the sandbox, the demo and the benchmarks: its API v2 as an http.Handler
// over a real PostgreSQL server, on which every project is a role and a database of its own, and its proxy, which
// answers connections to projects whose compute is asleep, disabled or closed to the caller. It refuses what Neon
// refuses.
//
// A branch is a copy of its parent's databases. Unlike Neon's, its history has only the points that [Server.Keep] made,
// and branches have passwords of their own only below a protected branch. There is no connection pooling either: the
// pooled address refuses what a pooler refuses, and passes on the rest.
package neontest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What every server has from the start. The keys look like real ones and open nothing elsewhere.
const (
	// PersonalKey gives access to all organizations of the user.
	PersonalKey = "napi_personalujzde8gxd6ncf10epf91dhodzdoc9is0j8ht9lgmxg9edn581u33xtpl"
	// OrgKey gives access to the first organization.
	OrgKey = "napi_organisationpft75v2seh60kvj50ce9uvw53efr4edt2sywb3wkh5dnsipzz5fk"
	// DefaultOrg is the only organization, unless Options say otherwise.
	DefaultOrg = "org-morning-bread-81040908"
)

// BasePath is where the API begins, as on console.neon.tech.
const BasePath = "/api/v2"

// Options change how a server behaves. The zero value is Neon's usual behavior.
type Options struct {
	// Host is the address in connection strings, default 127.0.0.1. It has to reach this machine.
	Host string
	// Listen is the address that the API and the proxy listen on, default 127.0.0.1.
	Listen string
	// Front returns which port to put into connection strings in place of the one that the simulator's proxy or the
	// PostgreSQL server listens on, so that a test can put distance in between. Nil: the same.
	Front func(port int) int
	// Port is the API's, default any free one.
	Port int
	// Orgs are the organizations of the personal key's user, default one, [DefaultOrg].
	Orgs []Org
	// Limits on calls, default Neon's.
	Limits Limits
	// OperationTime is how long a change to a project takes, default 200 ms. Negative: no time.
	OperationTime time.Duration
	// WakeTime is how long a suspended compute takes to wake, default 1 s.
	WakeTime time.Duration
	// Plan is the account's, default [ScalePlan].
	Plan Plan
	// NoLastCursor leaves the cursor out of a list's last page. Neon's leads to an empty page.
	NoLastCursor bool
}

// Org is an organization.
type Org struct{ ID, Name string }

// Server is the simulator. From New on it is a handler of the API, and its proxy listens; both end with Close.
type Server struct {
	pg      *pgtest.Server
	options Options
	routes  *http.ServeMux
	proxy   *proxy
	started time.Time

	clock  clock
	limits limiter
	faults servertest.Faults[Fault]
	calls  calls

	mu          sync.Mutex // guards what follows, and every project
	projects    []*project // by creation, which is strictly increasing
	byID        map[string]*project
	byDatabase  map[string]*branch // by the name on the real server, for the proxy
	keys        map[string]*key
	lastID      int64     // of databases
	lastCreated time.Time // of projects and operations
	unavailable map[string]int
	http        *servertest.HTTP // nil until Start

	background sync.WaitGroup // of databases that are being dropped
}

// New returns a simulator over a running PostgreSQL server. The caller stops that server after Close.
func New(pg *pgtest.Server, o Options) (*Server, error) {
	o.Host, o.Listen = cmp.Or(o.Host, "127.0.0.1"), cmp.Or(o.Listen, "127.0.0.1")
	o.WakeTime = cmp.Or(o.WakeTime, time.Second)
	if len(o.Orgs) == 0 {
		o.Orgs = []Org{{DefaultOrg, "Tenants & Sons"}}
	}
	o.Plan = cmp.Or(o.Plan, ScalePlan)
	switch {
	case o.OperationTime == 0:
		o.OperationTime = 200 * time.Millisecond
	case o.OperationTime < 0:
		o.OperationTime = 0
	}
	s := &Server{
		pg: pg, options: o, started: time.Now(),
		byID: map[string]*project{}, byDatabase: map[string]*branch{}, keys: map[string]*key{}, unavailable: map[string]int{},
	}
	s.limits.configure(o.Limits)
	s.keys[PersonalKey], s.keys[OrgKey] = &key{}, &key{org: o.Orgs[0].ID}
	s.routes = s.newRoutes()
	var err error
	if s.proxy, err = newProxy(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Start serves the API until Close.
func (s *Server) Start() error {
	server, err := servertest.Serve(net.JoinHostPort(s.options.Listen, fmt.Sprint(s.options.Port)), s)
	if err != nil {
		return fmt.Errorf("serve Neon's API: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.http = server
	return nil
}

// URL returns the API's address after Start, in place of https://console.neon.tech/api/v2.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http == nil {
		return ""
	}
	return fmt.Sprintf("http://%s:%d%s", s.options.Host, s.http.Port(), BasePath)
}

// Close ends all connections and waits for work in the background. The projects' databases stay on the PostgreSQL
// server until that is stopped, or [Server.DropDatabases].
func (s *Server) Close() error {
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	var err error
	if server != nil {
		err = server.Close()
	}
	err = errors.Join(err, s.proxy.close())
	s.background.Wait()
	return err
}

// DropDatabases drops the projects' databases after [Server.Close], for a server with thousands of tests.
func (s *Server) DropDatabases(ctx context.Context) error {
	return s.drop(ctx, slices.Collect(maps.Keys(s.byDatabase))...)
}

// inBackground runs what a request has caused but does not wait for.
func (s *Server) inBackground(work func(ctx context.Context) error) {
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		// A database that could not be dropped does no harm: no request leads to it any more.
		_ = work(ctx)
	})
}
