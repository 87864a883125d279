// Package neontest is Neon for tests, the sandbox, the demo and the benchmarks: its API v2 as an http.Handler over a real
// PostgreSQL server, where every project is a role and a database of its own, and its proxy, which answers connections to
// projects whose compute is asleep, disabled or closed to the caller. It refuses what Neon refuses.
//
// What Neon does that this does not: time travel (branches start at their parent's head), a role's password per branch
// (a project's branches share the roles they were created with), and connection pooling (the pooled address refuses what
// a pooler refuses and passes on the rest).
package neontest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// What every server knows from the start. The keys have the shape of real ones and open nothing elsewhere.
const (
	// PersonalKey sees all organisations of the user.
	PersonalKey = "napi_personalujzde8gxd6ncf10epf91dhodzdoc9is0j8ht9lgmxg9edn581u33xtpl"
	// OrgKey sees the first organisation.
	OrgKey = "napi_organisationpft75v2seh60kvj50ce9uvw53efr4edt2sywb3wkh5dnsipzz5fk"
	// ProjectKey sees the first project that was added.
	ProjectKey = "napi_project2z9ri19r0wyojfljooa5lqsaj08xui6d39zzzzg4zdmen2khvdgaj8gxb"
	// DefaultOrg is the one organisation that there is unless Options say otherwise.
	DefaultOrg = "org-morning-bread-81040908"
)

// BasePath is where the API begins, as on console.neon.tech.
const BasePath = "/api/v2"

// Options make a server behave in other ways than Neon's usual one. The zero value is ready to use.
type Options struct {
	// Host is the address in connection strings; default 127.0.0.1. It has to lead to this machine.
	Host string
	// Listen is the address that the API and the proxy listen on; default 127.0.0.1.
	Listen string
	// Port is the API's; default any free one.
	Port int
	// Orgs are the organisations of the personal key's user; default one, [DefaultOrg].
	Orgs []Org
	// Limits on calls; default Neon's.
	Limits Limits
	// OperationTime is how long a change to a project takes; default 200 ms, negative: none.
	OperationTime time.Duration
	// WakeTime is how long a suspended compute takes to wake; default 1 s.
	WakeTime time.Duration
	// NoLastCursor leaves the cursor out on a list's last page, where Neon sends one that leads to an empty page.
	NoLastCursor bool
}

// Org is an organisation.
type Org struct{ ID, Name string }

// Server is the simulator. It serves its API from New on; its proxy listens from New to Close.
type Server struct {
	pg      *pgtest.Server
	options Options
	routes  *http.ServeMux
	front   *front
	started time.Time

	limits limiter
	faults faults
	calls  calls

	mu          sync.Mutex // guards what follows, and every project
	projects    []*project // by creation, which is strictly increasing
	byID        map[string]*project
	byDatabase  map[string]*branch // by the name on the real server, for the proxy
	keys        map[string]*key
	lastKeyID   int64
	lastID      int64     // of databases
	lastCreated time.Time // of projects and operations
	unavailable map[string]int
	http        *http.Server
	listener    net.Listener

	background sync.WaitGroup // drops of databases that nobody waits for
}

// New returns a simulator over a running PostgreSQL server, which stays the caller's to stop.
func New(pg *pgtest.Server, o Options) (*Server, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1"
	}
	if len(o.Orgs) == 0 {
		o.Orgs = []Org{{DefaultOrg, "Tenants & Sons"}}
	}
	switch {
	case o.OperationTime == 0:
		o.OperationTime = 200 * time.Millisecond
	case o.OperationTime < 0:
		o.OperationTime = 0
	}
	if o.WakeTime == 0 {
		o.WakeTime = time.Second
	}
	s := &Server{
		pg: pg, options: o, started: time.Now(),
		byID: map[string]*project{}, byDatabase: map[string]*branch{}, keys: map[string]*key{}, unavailable: map[string]int{},
	}
	s.limits.configure(o.Limits)
	s.addKey(&key{secret: PersonalKey, name: "personal"})
	s.addKey(&key{secret: OrgKey, name: "organisation", org: o.Orgs[0].ID})
	s.routes = s.newRoutes()
	var err error
	if s.front, err = newFront(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Start serves the API until Close.
func (s *Server) Start() error {
	listener, err := net.Listen("tcp", net.JoinHostPort(s.options.Listen, fmt.Sprint(s.options.Port)))
	if err != nil {
		return fmt.Errorf("serve Neon's API: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = listener
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	server := s.http
	s.background.Go(func() { _ = server.Serve(listener) }) // always ErrServerClosed: by Close
	return nil
}

// URL is the API's address after Start, without a slash at its end: the default is https://console.neon.tech/api/v2.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return fmt.Sprintf("http://%s:%d%s", s.options.Host, s.listener.Addr().(*net.TCPAddr).Port, BasePath)
}

// Close ends all connections and waits for what runs in the background. The projects' databases stay on the PostgreSQL
// server until that is stopped.
func (s *Server) Close() error {
	s.mu.Lock()
	server := s.http
	s.mu.Unlock()
	var err error
	if server != nil {
		err = server.Close()
	}
	err = errors.Join(err, s.front.close())
	s.background.Wait()
	return err
}

// do runs what a request has caused but does not wait for.
func (s *Server) do(work func(ctx context.Context) error) {
	s.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		// A database that could not be dropped hurts nobody: no request leads to it any more.
		_ = work(ctx)
	})
}
