package servertest

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// ServePipes serves HTTP over in-memory pipes, so that a real client and a real server can run in a testing/synctest
// bubble, under its fake clock. The transport it returns reaches the server under any host's name. stop ends all
// connections and waits for the server.
func ServePipes(handler http.Handler) (transport *http.Transport, stop func()) {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: handler}
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(l) }()
	transport = &http.Transport{MaxIdleConnsPerHost: 100, DialContext: l.dial}
	return transport, func() {
		transport.CloseIdleConnections()
		_ = server.Close() // closing a pipe does not fail
		<-served
	}
}

// pipes is a listener for connections that its own dial makes.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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
