package bucket

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// stallTimeout is how long a connection may be idle while a request is under way. S3 responds to anything within
// seconds, and sends whitespace while it completes a large upload.
const stallTimeout = 60 * time.Second

// httpClient returns the SDK's own client, which honours AWS_CA_BUNDLE, with a limit on stalled connections. All its
// connections are among open while they last.
func httpClient(o Options, open *connections) *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		dial := o.dial
		if dial == nil {
			dial = t.DialContext
		}
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return open.add(&timedConn{Conn: conn, idle: cmp.Or(o.stall, stallTimeout)})
		}
		// One connection per request: S3 has no HTTP/2, and on a store that does, all streams would share one
		// connection.
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.MaxIdleConnsPerHost = 64
		t.WriteBufferSize = 64 << 10
		if o.CABundle != nil {
			roots, err := x509.SystemCertPool()
			if err != nil {
				roots = x509.NewCertPool()
			}
			roots.AppendCertsFromPEM(o.CABundle)
			if t.TLSClientConfig == nil {
				t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			}
			t.TLSClientConfig.RootCAs = roots
		}
	})
}

// connections are those that are open. The SDK's clients keep idle ones, and none can be told to end them.
type connections struct {
	mu   sync.Mutex
	open map[net.Conn]struct{} // nil once they are closed
}

func newConnections() *connections { return &connections{open: map[net.Conn]struct{}{}} }

func (c *connections) add(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	counted := &countedConn{conn, c}
	c.open[counted] = struct{}{}
	return counted, nil
}

// close ends all of them, and those that are still being dialled.
func (c *connections) close() {
	c.mu.Lock()
	open := c.open
	c.open = nil
	c.mu.Unlock()
	for conn := range open {
		_ = conn.Close()
	}
}

// countedConn is a connection that is open until it is closed.
type countedConn struct {
	net.Conn
	of *connections
}

func (c *countedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// timedConn fails once nothing has moved in either direction for a while. A write extends the deadline of a pending
// read, because the response can only come after the whole request body.
type timedConn struct {
	net.Conn
	idle    time.Duration
	stalled atomic.Pointer[error] // the timeout, once it has passed
}

func (c *timedConn) Read(p []byte) (int, error)  { return c.timed(c.Conn.Read, p) }
func (c *timedConn) Write(p []byte) (int, error) { return c.timed(c.Conn.Write, p) }

// timed tells of the timeout whichever direction is asked: net/http closes the connection at the first error, and if
// the other direction is the one it hears of, "use of closed network connection" would hide why.
func (c *timedConn) timed(move func([]byte) (int, error), p []byte) (n int, err error) {
	if err = c.SetDeadline(time.Now().Add(c.idle)); err == nil {
		n, err = move(p)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		first := err
		c.stalled.CompareAndSwap(nil, &first)
	}
	if timeout := c.stalled.Load(); timeout != nil && errors.Is(err, net.ErrClosed) {
		err = *timeout
	}
	return n, err
}
