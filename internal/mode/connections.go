package mode

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Schema is the name of the tenant's schema, empty where a tenant is a whole database.
func (e Env) Schema(t fleet.Tenant) string {
	if s, ok := e.Source.(fleet.SchemaHost); ok {
		return s.Schema(t)
	}
	return ""
}

// Connections opens a mode's connections to its tenants. Where tenants are schemas of one database, a connection that was
// given back serves the next tenant: there are never more of them than workers. All others are closed when they are given back.
type Connections struct {
	Env     Env
	options postgres.Options
	shared  fleet.SchemaHost // nil: every tenant has a database of its own
	Changes bool             // the mode changes its tenants, of which the run's catalog is none

	mu     sync.Mutex
	idle   []idleConn
	closed bool
}

type idleConn struct {
	conn  *postgres.Conn
	since time.Time
}

// NewConnections makes a mode's connections; none is open yet.
func NewConnections(env Env, o postgres.Options) *Connections {
	shared, ok := env.Source.(fleet.SchemaHost)
	o.NoSearchPath = ok
	return &Connections{Env: env, options: o, shared: shared}
}

// Open connects to a tenant, and release gives the connection back. Whoever changes a session's state (settings, locks) calls
// the connection's Reset before; a connection that is broken or in a transaction is never used again.
func (c *Connections) Open(ctx context.Context, t fleet.Tenant, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	target, err := Resolve(ctx, c.Env, t, log)
	if err != nil {
		return nil, nil, err
	}
	if c.Changes && c.shared == nil {
		if err := NotTheCatalog(c.Env, target); err != nil {
			return nil, nil, err
		}
	}
	return c.openTarget(ctx, t, target, log)
}

// openTarget is Open for a tenant whose connection string is resolved.
func (c *Connections) openTarget(ctx context.Context, t fleet.Tenant, target postgres.Target, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	if conn = c.take(); conn != nil {
		conn.SetLog(log)
	} else if conn, err = Dial(ctx, c.Env, t, target, c.options, log); err != nil {
		return nil, nil, err
	}
	return conn, func() { c.give(conn) }, nil
}

// OpenShared connects to the database that all tenants share, for what concerns no single one.
func (c *Connections) OpenShared(ctx context.Context, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	target, err := Parse(c.Env, c.shared.Database(), log)
	if err != nil {
		return nil, nil, err
	}
	return c.openTarget(ctx, fleet.Tenant{}, target, log)
}

// trusted is for how long a connection that lies idle is taken for alive: a server or a firewall may end it later.
const trusted = 100 * time.Millisecond

// take returns an idle connection, nil where there is none.
func (c *Connections) take() *postgres.Conn {
	for {
		c.mu.Lock()
		n := len(c.idle)
		if n == 0 {
			c.mu.Unlock()
			return c.borrow()
		}
		last := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		if time.Since(last.since) < trusted || last.conn.Alive() {
			return last.conn
		}
		last.conn.Close()
	}
}

// borrow returns the source's own connection, nil where it has none to give or one of another kind.
func (c *Connections) borrow() *postgres.Conn {
	lender, ok := c.Env.Source.(postgres.Lender)
	if !ok || c.options.ReadOnly != c.Env.DryRun {
		return nil
	}
	conn := lender.Lend()
	if conn != nil && !conn.Alive() {
		conn.Close()
		return nil
	}
	return conn
}

func (c *Connections) give(conn *postgres.Conn) {
	c.mu.Lock()
	keep := c.shared != nil && !c.closed && conn.Idle()
	if keep {
		conn.SetLog(slog.New(slog.DiscardHandler))
		c.idle = append(c.idle, idleConn{conn, time.Now()})
	}
	c.mu.Unlock()
	if !keep {
		conn.Close()
	}
}

// Close closes the idle connections; those that are still in use are closed when they are given back.
func (c *Connections) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	var all sync.WaitGroup
	for _, one := range idle {
		all.Go(one.conn.Close) // each waits for the server's goodbye
	}
	all.Wait()
}
