package bucket_test

import (
	"errors"
	"net"
	"os"
	"sync"
	"testing"
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

// TestStallIsNamed looks at the side that did not notice the timeout, after the other has closed the connection.
func TestStallIsNamed(t *testing.T) {
	t.Parallel()
	conn := bucket.Timed(dialed(t), time.Millisecond)
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a read with nothing to read: %v", err)
	}
	conn.Close()
	if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write after it: %v", err)
	}

	conn = bucket.Timed(dialed(t), time.Minute)
	conn.Close()
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write to a closed connection that was in time: %v", err)
	}
}

// dialed is a connection to a server that accepts it and says nothing.
func dialed(t *testing.T) net.Conn {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	conn, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
