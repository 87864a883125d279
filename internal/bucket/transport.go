package bucket

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// stallTimeout is how long a connection may be idle while a request is under way. S3 responds to anything within
// seconds, and sends whitespace while it completes a large upload.
const stallTimeout = 60 * time.Second

// httpClient returns the SDK's own client, which honours AWS_CA_BUNDLE, with a limit on stalled connections.
func httpClient(o Options) *awshttp.BuildableClient {
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
			return &timedConn{Conn: conn, idle: cmp.Or(o.stall, stallTimeout)}, nil
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

// timedConn fails once nothing has moved in either direction for a while. A write extends the deadline of a pending
// read, because the response can only come after the whole request body.
type timedConn struct {
	net.Conn
	idle time.Duration
}

func (c *timedConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *timedConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
