package mode

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// Schema returns the name of the tenant's schema, empty if the tenant is a whole database.
func (e Env) Schema(t fleet.Tenant) string {
	if s, ok := e.Source.(fleet.SchemaHost); ok {
		return s.Schema(t)
	}
	return ""
}

// Access is what a mode does to its tenants.
type Access int

// What a mode may do.
const (
	Reads   Access = iota // nothing is changed: every connection is read-only, and waits for no lock for long
	Changes               // connections are read-only in a dry run, and the run's catalog is refused as a tenant
)

// Connections opens a mode's connections to its tenants. If the tenants are schemas of one database, a released
// connection serves the next tenant, so there are never more connections than workers; otherwise it is closed.
type Connections struct {
	env     Env
	access  Access
	options postgres.Options
	shared  fleet.SchemaHost // nil if each tenant has a database of its own

	mu      sync.Mutex
	idle    []idleConn
	closed  bool
	workers map[*postgres.Conn]*Worker // of the connections in use
}

// readLockTimeout is how long a mode that only reads waits for a lock. A table that is locked for longer than this is
// being rebuilt, or its session has been forgotten.
const readLockTimeout = 5 * time.Second

type idleConn struct {
	conn  *postgres.Conn
	since time.Time
}

// NewConnections returns a mode's connections, none of them open.
func NewConnections(env Env, access Access) *Connections {
	shared, ok := env.Source.(fleet.SchemaHost)
	options := postgres.Options{ReadOnly: access == Reads || env.DryRun, NoSearchPath: ok, Late: true}
	if access == Reads {
		options.LockTimeout = readLockTimeout
	}
	return &Connections{
		env: env, access: access, shared: shared, options: options, workers: map[*postgres.Conn]*Worker{},
	}
}

// Open connects to a tenant; release returns the connection. A caller that changes the session's state, such as
// settings or locks, calls the connection's Reset before release. A connection that is broken or in a transaction is
// not reused.
func (c *Connections) Open(
	ctx context.Context, t fleet.Tenant, log *slog.Logger,
) (conn *postgres.Conn, release func(), err error) {
	target, err := Resolve(ctx, c.env, t, log)
	if err != nil {
		return nil, nil, err
	}
	if c.access == Changes && c.shared == nil {
		if err := RefuseCatalog(c.env, target); err != nil {
			return nil, nil, err
		}
	}
	return c.OpenTarget(ctx, t, target, log)
}

// OpenShared is Open for the database that all tenants share, for work that concerns no single one.
func (c *Connections) OpenShared(
	ctx context.Context, log *slog.Logger,
) (conn *postgres.Conn, release func(), err error) {
	target, err := Parse(c.env, c.shared.Database(), log)
	if err != nil {
		return nil, nil, err
	}
	return c.OpenTarget(ctx, fleet.Tenant{}, target, log)
}

// OpenTarget is Open for a tenant that was resolved before. While other workers of the run are on the server and it has
// no room for one more connection, it waits for one of theirs.
func (c *Connections) OpenTarget(
	ctx context.Context, t fleet.Tenant, target postgres.Target, log *slog.Logger,
) (conn *postgres.Conn, release func(), err error) {
	worker, err := c.env.Workers.Enter(ctx, target.Server())
	if err != nil {
		return nil, nil, err
	}
	if conn, err = c.connect(ctx, t, target, worker, log); err != nil {
		worker.Leave()
		return nil, nil, err
	}
	worker.schema = c.env.Schema(t)
	c.mu.Lock()
	c.workers[conn] = worker
	c.mu.Unlock()
	return conn, func() { c.release(conn, worker) }, nil
}

// connect takes an idle connection or makes one.
func (c *Connections) connect(
	ctx context.Context, t fleet.Tenant, target postgres.Target, worker *Worker, log *slog.Logger,
) (*postgres.Conn, error) {
	return c.withRoom(ctx, worker, func(o postgres.Options) (*postgres.Conn, error) {
		if conn := c.take(); conn != nil {
			conn.SetLog(log)
			return conn, nil
		}
		return Dial(ctx, c.env, t, target, o, log)
	})
}

// withRoom calls connect until the server has room for the worker's connection.
func (c *Connections) withRoom(
	ctx context.Context, worker *Worker, connect func(postgres.Options) (*postgres.Conn, error),
) (*postgres.Conn, error) {
	crowded := false // the server is full, and other workers of the run are on it
	options := c.options
	options.NoRoom = func() bool {
		_, idle := c.count()
		crowded = idle > 0 || worker.Others()
		return crowded
	}
	for {
		conn, err := worker.Connect(ctx, options, connect)
		if err == nil || !crowded || !postgres.NoRoom(err) {
			return conn, err
		}
		if crowded = false; c.shared == nil && postgres.DatabaseFull(err) {
			options.NoRoom = nil // no other tenant's worker takes this one's room
			continue
		}
		used, idle := c.count()
		if idle > 0 {
			continue // with one that was released meanwhile
		}
		if c.shared == nil {
			used = 0 // they are on many servers
		}
		if _, err := worker.Yield(ctx, used); err != nil {
			return nil, err
		}
	}
}

// count returns how many connections are in use, and how many are idle.
func (c *Connections) count() (used, idle int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.workers), len(c.idle)
}

// Alone is for a worker whose transaction was rolled back because of another session's locks; failed is the error. If
// they are those of other workers of the run, it waits until these have left the server, keeps them away until the
// connection is released, and returns true.
func (c *Connections) Alone(ctx context.Context, conn *postgres.Conn, failed error) (bool, error) {
	worker, others := c.others(conn)
	if worker == nil || !postgres.OutOfLocks(failed) && !conn.LockedBy(ctx, others) {
		return false, nil
	}
	return worker.Alone(ctx)
}

// others returns a connection's worker, and the sessions of all other connections.
func (c *Connections) others(conn *postgres.Conn) (worker *Worker, others []postgres.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, w := range c.workers {
		if other != conn {
			others = append(others, postgres.Session{Backend: other.Backend(), Schema: w.schema})
		}
	}
	return c.workers[conn], others
}

// trusted is how long an idle connection is assumed to be alive; later, a server or a firewall may have ended it.
const trusted = 100 * time.Millisecond

// take returns an idle connection, nil if there is none.
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

// borrow returns the source's own connection, nil if the source has none to spare. One with other access than this
// mode's is closed, because it would take up room on the server.
func (c *Connections) borrow() *postgres.Conn {
	lender, ok := c.env.Source.(postgres.Lender)
	if !ok {
		return nil
	}
	conn := lender.Lend()
	if conn != nil && (c.access == Reads || c.options.ReadOnly != c.env.DryRun || !conn.Alive()) {
		conn.Close()
		return nil
	}
	return conn
}

func (c *Connections) release(conn *postgres.Conn, worker *Worker) {
	defer worker.Leave() // after the connection is free
	c.mu.Lock()
	delete(c.workers, conn)
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

// Close closes the idle connections. Those still in use are closed when they are released.
func (c *Connections) Close() {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.closed = nil, true
	c.mu.Unlock()
	var all sync.WaitGroup
	for _, one := range idle {
		all.Go(one.conn.Close) // concurrently: each waits for its server
	}
	all.Wait()
}
