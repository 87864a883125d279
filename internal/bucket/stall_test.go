package bucket_test

import (
	"net"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

const (
	stall    = time.Second // after which a stalled connection fails
	patience = time.Minute // for which no busy machine makes a connection wait
)

// impatient gives up on a connection soon after the proxy stalls it, and never because the machine is busy.
func impatient(o bucket.Options, proxy *buckettest.FaultProxy) bucket.Options {
	var open sync.Map // *stallable by the client's address
	proxy.OnStall(func(client string) {
		if c, ok := open.Load(client); ok {
			c.(*stallable).enforce()
		}
	})
	return bucket.Impatient(bucket.WithConn(o, func(conn net.Conn) net.Conn {
		c := &stallable{Conn: conn}
		open.Store(conn.LocalAddr().String(), c)
		return c
	}), stall)
}

// stallable is a connection that postpones its deadlines until it is stalled.
type stallable struct {
	net.Conn

	mu       sync.Mutex
	deadline time.Time
	enforced bool
}

func (c *stallable) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if !c.enforced {
		t = t.Add(patience)
	}
	return c.Conn.SetDeadline(t)
}

// enforce holds the connection to its deadlines from now on.
func (c *stallable) enforce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enforced = true
	_ = c.Conn.SetDeadline(c.deadline) // fails if the connection has been closed
}
