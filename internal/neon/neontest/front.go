package neontest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// What Neon's proxy says instead of connecting, as an ERROR with SQLSTATE XX000.
const (
	wakingMessage   = "Couldn't connect to compute node"
	quotaMessage    = "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits."
	disabledMessage = "The endpoint has been disabled. Enable it using the API and retry."
	blockedMessage  = "This connection is trying to access this endpoint from a blocked network."
	addressMessage  = "This IP address %s is not allowed to connect to this endpoint. Please add it to the allowed list in the Neon console. Make sure to check for IPv4 or IPv6 addresses."
	unknownMessage  = "The requested endpoint could not be found, or you don't have access to it. Please check the provided ID and try again."
	unnamedMessage  = "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support or pass the endpoint ID (first part of the domain name) as a parameter: '?options=endpoint%3D<endpoint-id>'. See more at https://neon.tech/sni"
	insecureMessage = "connection is insecure (try using `sslmode=require`)"
)

// front is Neon's proxy. It ends TLS with the real server's own certificate, so that SCRAM's channel binding, which is to
// the certificate, holds through it; tells projects apart by their database, or by the endpoint that the client names; and
// answers in the compute's place or passes everything on.
type front struct {
	server           *Server
	tls              *tls.Config
	port, pooledPort int
	listeners        []net.Listener

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
	wait   sync.WaitGroup
}

func newFront(s *Server) (*front, error) {
	f := &front{server: s, tls: s.pg.TLSConfig(), open: map[net.Conn]bool{}}
	for _, pooled := range []bool{false, true} {
		l, err := net.Listen("tcp", net.JoinHostPort(s.options.Listen, "0"))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start Neon's proxy: %w", err), f.close())
		}
		f.listeners = append(f.listeners, l)
		port := l.Addr().(*net.TCPAddr).Port
		if pooled {
			f.pooledPort = port
		} else {
			f.port = port
		}
		f.wait.Go(func() { f.accept(l, pooled) })
	}
	return f, nil
}

func (f *front) close() error {
	f.mu.Lock()
	f.closed = true
	var errs []error
	for _, l := range f.listeners {
		errs = append(errs, l.Close())
	}
	for conn := range f.open {
		_ = conn.Close() // whoever uses it closes it again
	}
	f.mu.Unlock()
	f.wait.Wait()
	return errors.Join(errs...)
}

func (f *front) accept(l net.Listener, pooled bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		if !f.track(conn) {
			return
		}
		f.wait.Go(func() {
			defer f.untrack(conn)
			// A client that goes away in mid-handshake has nobody to complain to.
			_ = f.serve(conn, pooled)
		})
	}
}

// track remembers a connection for close, and closes it where that has been.
func (f *front) track(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = conn.Close()
		return false
	}
	f.open[conn] = true
	return true
}

func (f *front) untrack(conn net.Conn) {
	f.mu.Lock()
	delete(f.open, conn)
	f.mu.Unlock()
	_ = conn.Close()
}

const handshakeTimeout = 30 * time.Second

func (f *front) serve(raw net.Conn, pooled bool) error {
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	conn, sni := raw, ""
	for {
		code, body, err := readStartup(conn)
		if err != nil {
			return err
		}
		switch code {
		case sslRequest:
			if f.tls == nil {
				if _, err := conn.Write([]byte{'N'}); err != nil {
					return err
				}
				continue
			}
			if _, err := conn.Write([]byte{'S'}); err != nil {
				return err
			}
			secure := tls.Server(raw, f.tls)
			if err := secure.Handshake(); err != nil {
				return err
			}
			conn, sni = secure, secure.ConnectionState().ServerName
		case gssRequest:
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return err
			}
		case cancelRequest:
			return f.forwardCancel(body)
		default:
			if conn == raw && f.tls != nil {
				return writeError(conn, "ERROR", "XX000", insecureMessage)
			}
			start, err := parseStartup(code, body)
			if err != nil {
				return writeError(conn, "FATAL", "08P01", err.Error())
			}
			return f.connect(raw, conn, start, sni, pooled)
		}
	}
}

// connect answers a startup message, or passes it and all that follows on.
func (f *front) connect(raw, client net.Conn, start *startup, sni string, pooled bool) error {
	endpoint, _, _ := strings.Cut(sni, ".")
	if named := start.takeEndpoint(); named != "" {
		endpoint = named
	}
	endpoint, suffixed := strings.CutSuffix(endpoint, "-pooler")
	if pooled || suffixed {
		if refusal := start.refusedByPooler(); refusal != "" {
			return writeError(client, "FATAL", "08P01", refusal)
		}
	}
	address, err := netip.ParseAddrPort(raw.RemoteAddr().String())
	if err != nil {
		return err
	}
	if refusal := f.server.admit(endpoint, start, address.Addr().Unmap()); refusal != "" {
		return writeError(client, "ERROR", "XX000", refusal)
	}
	server, err := f.dial()
	if err != nil {
		return writeError(client, "ERROR", "XX000", wakingMessage)
	}
	defer f.untrack(server)
	if _, err := server.Write(start.encode()); err != nil {
		return err
	}
	_ = raw.SetDeadline(time.Time{})
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client) // either side's end is the connection's
		_ = server.Close()
	})
	_, err = io.Copy(client, server)
	_ = client.Close()
	_ = raw.Close()
	both.Wait()
	return err
}

// dial connects to the real server, with TLS where it has it, up to where the startup message goes.
func (f *front) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", f.server.pg.Host, f.server.pg.Port), handshakeTimeout)
	if err != nil {
		return nil, err
	}
	if !f.track(conn) {
		return nil, net.ErrClosed
	}
	if f.tls == nil {
		return conn, nil
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // SSLRequest
		f.untrack(conn)
		return nil, err
	}
	answer := []byte{0}
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'S' {
		f.untrack(conn)
		return nil, errors.New("PostgreSQL refused TLS")
	}
	// The server is this machine's own, and the client checks its certificate, which this proxy presents.
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		f.untrack(conn)
		return nil, err
	}
	f.mu.Lock()
	delete(f.open, conn)
	f.open[secure] = true
	f.mu.Unlock()
	return secure, nil
}

// forwardCancel passes a cancel request on: the process id and key that the client has are the real server's.
func (f *front) forwardCancel(body []byte) error {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", f.server.pg.Host, f.server.pg.Port), handshakeTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	if _, err := conn.Write(encodeStartup(cancelRequest, body)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn) // closes once the signal is sent, and the client waits for that
	return err
}
