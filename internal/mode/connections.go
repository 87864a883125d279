package mode

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// schema is the name of the tenant's schema, empty where a tenant is a whole database.
func (e Env) schema(t fleet.Tenant) string {
	if s, ok := e.Source.(fleet.SchemaHost); ok {
		return s.Schema(t)
	}
	return ""
}

// connections opens a mode's connections to its tenants. Where tenants are schemas of one database, a connection that was
// given back serves the next tenant: there are never more of them than workers. All others are closed when they are given back.
type connections struct {
	env     Env
	options postgres.Options
	shared  fleet.SchemaHost // nil: every tenant has a database of its own
	changes bool             // the mode changes its tenants, of which the run's catalog is none

	mu     sync.Mutex
	idle   []idleConn
	closed bool
}

type idleConn struct {
	conn  *postgres.Conn
	since time.Time
}

func newConnections(env Env, o postgres.Options) *connections {
	shared, ok := env.Source.(fleet.SchemaHost)
	o.NoSearchPath = ok
	return &connections{env: env, options: o, shared: shared}
}

// open connects to a tenant, and release gives the connection back. Whoever changes a session's state (settings, locks) calls
// the connection's Reset before; a connection that is broken or in a transaction is never used again.
func (c *connections) open(ctx context.Context, t fleet.Tenant, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	url, err := directURL(ctx, c.env, t, log)
	if err != nil {
		return nil, nil, err
	}
	if c.changes && c.shared == nil {
		if err := notTheCatalog(c.env, url); err != nil {
			return nil, nil, err
		}
	}
	return c.openURL(ctx, t, url, log)
}

// openURL is open for a tenant whose direct connection string is known, and hidden.
func (c *connections) openURL(ctx context.Context, t fleet.Tenant, url string, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	if conn = c.take(); conn != nil {
		conn.SetLog(log)
	} else if conn, err = dial(ctx, c.env, t, url, c.options, log); err != nil {
		return nil, nil, err
	}
	return conn, func() { c.give(conn) }, nil
}

// openShared connects to the database that all tenants share, for what concerns no single one.
func (c *connections) openShared(ctx context.Context, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	url, err := direct(c.env, c.shared.Database(), log)
	if err != nil {
		return nil, nil, err
	}
	return c.openURL(ctx, fleet.Tenant{}, url, log)
}

// trusted is for how long a connection that lies idle is taken for alive: a server or a firewall may end it later.
const trusted = 100 * time.Millisecond

// take returns an idle connection, nil where there is none.
func (c *connections) take() *postgres.Conn {
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
func (c *connections) borrow() *postgres.Conn {
	lender, ok := c.env.Source.(postgres.Lender)
	if !ok || c.options.ReadOnly != c.env.DryRun {
		return nil
	}
	conn := lender.Lend()
	if conn != nil && !conn.Alive() {
		conn.Close()
		return nil
	}
	return conn
}

func (c *connections) give(conn *postgres.Conn) {
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

// close closes the idle connections; those that are still in use are closed when they are given back.
func (c *connections) close() {
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
