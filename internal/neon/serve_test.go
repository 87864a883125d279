package neon

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/httpx"
)

// fakeClock runs test under a fake clock, with a client of a real HTTP server, reached over pipes, that answers with
// handler. Each call is noted as its method and path under the API's address.
func fakeClock(
	t *testing.T, handler func(w http.ResponseWriter, r *http.Request),
	test func(t *testing.T, client *Client, calls *[]string),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var calls []string
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			calls = append(calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v2"))
			mu.Unlock()
			handler(w, r)
		})}
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(l) }()
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			select {
			case l.conns <- theirs:
				return ours, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}
		client := New(Options{BaseURL: "http://neon.test/api/v2", Key: testKey,
			HTTP: httpx.New(httpx.Options{Base: transport}).HTTP()})
		test(t, client, &calls)
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
		time.Sleep(time.Minute) // whatever is still under way comes to its end
	})
}

type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
