package servertest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// HTTP is a running HTTP server.
type HTTP struct {
	server  *http.Server
	address *net.TCPAddr
	served  chan struct{} // closed once the server has stopped
}

// Serve serves HTTP on an address, such as 127.0.0.1:0, until Close.
func Serve(address string, handler http.Handler) (*HTTP, error) {
	server := &http.Server{Handler: handler}
	return listen(address, server, server.Serve)
}

// ServeTLS is [Serve] over TLS, with the PEM files of a certificate and its key. It speaks HTTP/1.1 only, so that a
// fault can cut the connection of a single call, and does not log failed handshakes.
func ServeTLS(address string, handler http.Handler, certificate, key string) (*HTTP, error) {
	server := &http.Server{
		Handler: handler, ErrorLog: log.New(io.Discard, "", 0),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	return listen(address, server, func(l net.Listener) error { return server.ServeTLS(l, certificate, key) })
}

func listen(address string, server *http.Server, serve func(net.Listener) error) (*HTTP, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	server.ReadHeaderTimeout = 10 * time.Second
	s := &HTTP{server: server, address: l.Addr().(*net.TCPAddr), served: make(chan struct{})}
	go func() {
		defer close(s.served)
		_ = serve(l) // http.ErrServerClosed, after Close
	}()
	return s, nil
}

// Address returns the host and port that the server listens on.
func (s *HTTP) Address() string { return s.address.String() }

// Port returns the port that the server listens on.
func (s *HTTP) Port() int { return s.address.Port }

// HangUp ends the connections that no request is under way on.
func (s *HTTP) HangUp() {
	s.server.SetKeepAlivesEnabled(false)
	s.server.SetKeepAlivesEnabled(true)
}

// Close ends all connections and stops the server. Closing it twice is no error.
func (s *HTTP) Close() error {
	err := s.server.Close()
	<-s.served
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
