package mode

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// schemaSource is a source whose tenants are schemas of one database, so that they have one connection string.
type schemaSource interface {
	// Schema is the name of the tenant's schema.
	Schema(t fleet.Tenant) string
}

// schema is the name of the tenant's schema, empty where a tenant is a whole database.
func (e Env) schema(t fleet.Tenant) string {
	if s, ok := e.Source.(schemaSource); ok {
		return s.Schema(t)
	}
	return ""
}

// connections opens a mode's connections to its tenants. Where tenants are schemas of one database, a connection that was
// given back serves the next tenant: there are never more of them than workers. All others are closed when they are given back.
type connections struct {
	env     Env
	options postgres.Options
	shared  bool // tenants share one database

	mu     sync.Mutex
	idle   []idleConn
	closed bool
}

type idleConn struct {
	conn  *postgres.Conn
	since time.Time
}

func newConnections(env Env, o postgres.Options) *connections {
	_, shared := env.Source.(schemaSource)
	o.NoSearchPath = shared
	return &connections{env: env, options: o, shared: shared}
}

// open connects to a tenant, and release gives the connection back. Whoever changes a session's state (settings, locks) calls
// the connection's Reset before; a connection that is broken or in a transaction is never used again.
func (c *connections) open(ctx context.Context, t fleet.Tenant, log *slog.Logger) (conn *postgres.Conn, release func(), err error) {
	url, err := directURL(ctx, c.env, t, log)
	if err != nil {
		return nil, nil, err
	}
	if conn = c.take(); conn != nil {
		conn.SetLog(log)
	} else if conn, err = dial(ctx, c.env, t, url, c.options, log); err != nil {
		return nil, nil, err
	}
	return conn, func() { c.give(conn) }, nil
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
			return nil
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

func (c *connections) give(conn *postgres.Conn) {
	c.mu.Lock()
	keep := c.shared && !c.closed && conn.Idle()
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
