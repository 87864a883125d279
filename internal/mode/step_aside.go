package mode

import (
	"context"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// StepAside calls wait, for a worker that cannot go on before another one has finished something. Meanwhile the worker
// is not on the server: the other one may need the connection's room, or its locks. Afterwards the connection has a new
// session. A connection that did not come from Open is kept, and renewed is false.
func (c *Connections) StepAside(
	ctx context.Context, conn *postgres.Conn, wait func() error,
) (renewed bool, err error) {
	c.mu.Lock()
	worker := c.workers[conn]
	delete(c.workers, conn)
	c.mu.Unlock()
	if worker == nil {
		return false, wait()
	}
	conn.Close()
	worker.Leave()
	if err := wait(); err != nil {
		return true, err
	}
	if err := worker.enter(ctx, worker.crew.hasRoom, true); err != nil {
		return true, err
	}
	_, err = c.withRoom(ctx, worker, func(o postgres.Options) (*postgres.Conn, error) {
		if idle := c.take(); idle != nil {
			idle.Close() // another session cannot be put into this connection, but its room is free
		}
		return conn, conn.Reopen(ctx, o)
	})
	if err != nil {
		return true, remedies.Explain(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.workers[conn] = worker
	return true, nil
}
