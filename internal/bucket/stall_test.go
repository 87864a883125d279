package bucket_test

import (
	"net"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

const (
	stall    = time.Second // of a connection that is made to stand still
	patience = time.Minute // longer than any machine is busy
)

// impatient gives up on a connection soon after the front lets it stand still, and never because the machine is busy.
func impatient(o bucket.Options, f *buckettest.Front) bucket.Options {
	var open sync.Map // *stallable by the client's address
	f.OnStall(func(client string) {
		if c, ok := open.Load(client); ok {
			c.(*stallable).stand()
		}
	})
	return bucket.Impatient(bucket.Through(o, func(conn net.Conn) net.Conn {
		c := &stallable{Conn: conn}
		open.Store(conn.LocalAddr().String(), c)
		return c
	}), stall)
}

// stallable is a connection whose deadlines are put off until it stands still.
type stallable struct {
	net.Conn

	mu       sync.Mutex
	deadline time.Time
	still    bool
}

func (c *stallable) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if !c.still {
		t = t.Add(patience)
	}
	return c.Conn.SetDeadline(t)
}

// stand holds the connection to its deadline from now on.
func (c *stallable) stand() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.still = true
	_ = c.Conn.SetDeadline(c.deadline) // fails where it was closed meanwhile
}
