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

// stallTimeout is how long a connection may stand still while something is waited for. S3 takes at most seconds for
// anything it is asked, and sends blanks while it completes a large upload.
const stallTimeout = 60 * time.Second

// httpClient is the SDK's own, so that AWS_CA_BUNDLE goes on working, with connections that don't stall for ever.
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
			return &steadyConn{Conn: conn, limit: cmp.Or(o.stall, stallTimeout)}, nil
		}
		// One connection a part: S3 has no HTTP/2, and where a store has it, all streams would share one connection.
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

// steadyConn fails when nothing moves in either direction for its limit: a read waits for the answer as long as the
// request's body is still going out.
type steadyConn struct {
	net.Conn
	limit time.Duration
}

func (c *steadyConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *steadyConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
