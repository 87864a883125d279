package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// Nobody but the store would end the connections of a process that goes on, and a store may take its time.
func TestCloseEndsConnections(t *testing.T) {
	t.Parallel()
	s := buckettest.Shared(t)
	var dialled, open atomic.Int32
	o := bucket.Impatient(bucket.WithConn(custom(t, s), func(conn net.Conn) net.Conn {
		dialled.Add(1)
		open.Add(1)
		return &closing{Conn: conn, closed: func() { open.Add(-1) }}
	}), patience)
	b, err := bucket.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			_, err := write(t.Context(), b, keyAt(b, fmt.Sprintf("acme-%d", i), noon), small, bucket.Info{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if dialled.Load() < 2 || open.Load() == 0 {
		t.Errorf("%d connections were made, of which %d are open: what does this test show?", dialled.Load(), open.Load())
	}
	b.Close()
	if n := open.Load(); n > 0 {
		t.Errorf("%d connections are open after Close", n)
	}
	if _, err := b.Head(t.Context(), b.Folder("acme-0")+"x"); err == nil || open.Load() > 0 {
		t.Errorf("a closed bucket answers (%v), or has %d connections", err, open.Load())
	}

	o.Bucket = "there-is-none"
	if _, err := bucket.Open(t.Context(), o); err == nil || open.Load() > 0 {
		t.Errorf("an Open that failed with %v has left %d connections", err, open.Load())
	}
}

// closing is a connection that tells of its end, once.
type closing struct {
	net.Conn
	told   atomic.Bool
	closed func()
}

func (c *closing) Close() error {
	if !c.told.Swap(true) {
		c.closed()
	}
	return c.Conn.Close()
}

// With a mode of defaults, the SDK would put a dialer of its own in place of the one that limits stalls: in the store's
// client, and in those by which AWS's own chain gets credentials.
func TestDefaultsModeKeepsTheDialer(t *testing.T) {
	o := custom(t, buckettest.Shared(t))
	ours := errors.New("dialled")
	o = bucket.Impatient(bucket.WithDialer(o,
		func(context.Context, string, string) (net.Conn, error) { return nil, ours }), patience)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, variables := range map[string]map[string]string{
		"the store": {},
		"the chain": {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_WEB_IDENTITY_TOKEN_FILE": token,
			"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/x", "AWS_ENDPOINT_URL_STS": o.Endpoint},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_DEFAULTS_MODE", "standard")
			for name, value := range variables {
				t.Setenv(name, value)
			}
			if _, err := bucket.Open(t.Context(), o); !errors.Is(err, ours) {
				t.Errorf("got %v", err)
			}
		})
	}
}
