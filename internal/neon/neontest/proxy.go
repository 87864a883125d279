package neontest

import (
	"bufio"
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

// What Neon's proxy answers instead of connecting, as an ERROR with SQLSTATE XX000.
const (
	wakingMessage   = "Couldn't connect to compute node"
	quotaMessage    = "Your account or project has exceeded the compute time quota. Upgrade your plan to increase limits."
	disabledMessage = "The endpoint has been disabled. Enable it using the API and retry."
	blockedMessage  = "This connection is trying to access this endpoint from a blocked network."
	addressMessage  = "This IP address %s is not allowed to connect to this endpoint. Please add it to the " +
		"allowed list in the Neon console. Make sure to check for IPv4 or IPv6 addresses."
	unknownMessage = "The requested endpoint could not be found, or you don't have access to it. Please check " +
		"the provided ID and try again."
	unnamedMessage = "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) " +
		"for SNI support or pass the endpoint ID (first part of the domain name) as a parameter: " +
		"'?options=endpoint%3D<endpoint-id>'. See more at https://neon.tech/sni"
	insecureMessage = "connection is insecure (try using `sslmode=require`)"
)

// proxy is Neon's proxy. It ends TLS with the real server's own certificate, because SCRAM's channel binding is to
// the certificate; tells projects apart by their database, or by the endpoint that the client names; and answers in
// place of the compute or passes everything on.
type proxy struct {
	server           *Server
	tls              *tls.Config
	port, pooledPort int
	listeners        []net.Listener

	mu     sync.Mutex
	open   map[net.Conn]bool
	keys   map[string][]byte // those of cancel requests: the proxy's → the compute's
	closed bool
	wait   sync.WaitGroup
}

func newProxy(s *Server) (*proxy, error) {
	p := &proxy{server: s, tls: s.pg.TLSConfig(), open: map[net.Conn]bool{}, keys: map[string][]byte{}}
	for _, pooled := range []bool{false, true} {
		l, err := net.Listen("tcp", net.JoinHostPort(s.options.Listen, "0"))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start Neon's proxy: %w", err), p.close())
		}
		p.listeners = append(p.listeners, l)
		port := l.Addr().(*net.TCPAddr).Port
		if pooled {
			p.pooledPort = port
		} else {
			p.port = port
		}
		p.wait.Go(func() { p.accept(l, pooled) })
	}
	return p, nil
}

func (p *proxy) close() error {
	p.mu.Lock()
	p.closed = true
	var errs []error
	for _, l := range p.listeners {
		errs = append(errs, l.Close())
	}
	for conn := range p.open {
		_ = conn.Close() // whoever uses it closes it again
	}
	p.mu.Unlock()
	p.wait.Wait()
	return errors.Join(errs...)
}

func (p *proxy) accept(l net.Listener, pooled bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		if !p.track(conn) {
			return
		}
		p.wait.Go(func() {
			defer p.untrack(conn)
			// Nobody would read the error of a client that disconnects during its handshake.
			_ = p.serve(conn, pooled)
		})
	}
}

// track remembers a connection for close, and closes it if close has run already.
func (p *proxy) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = conn.Close()
		return false
	}
	p.open[conn] = true
	return true
}

func (p *proxy) untrack(conn net.Conn) {
	p.mu.Lock()
	delete(p.open, conn)
	p.mu.Unlock()
	_ = conn.Close()
}

const handshakeTimeout = 30 * time.Second

func (p *proxy) serve(raw net.Conn, pooled bool) error {
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	var conn net.Conn = &peekedConn{raw, bufio.NewReader(raw)}
	var secure *tls.Conn
	direct, err := conn.(*peekedConn).beginsTLS()
	if err != nil {
		return err
	}
	if direct && p.tls != nil {
		if secure, err = p.handshake(conn, true); err != nil {
			return err
		}
		conn = secure
	}
	for {
		code, body, err := readStartup(conn)
		if err != nil {
			return err
		}
		switch code {
		case sslRequest:
			if p.tls == nil || secure != nil {
				if _, err := conn.Write([]byte{'N'}); err != nil {
					return err
				}
				continue
			}
			if _, err := conn.Write([]byte{'S'}); err != nil {
				return err
			}
			if secure, err = p.handshake(conn, false); err != nil {
				return err
			}
			conn = secure
		case gssRequest:
			if _, err := conn.Write([]byte{'N'}); err != nil {
				return err
			}
		case cancelRequest:
			return p.forwardCancel(body)
		default:
			if secure == nil && p.tls != nil {
				return writeError(conn, "ERROR", "XX000", insecureMessage)
			}
			start, err := parseStartup(code, body)
			if err != nil {
				return writeError(conn, "FATAL", "08P01", err.Error())
			}
			sni := ""
			if secure != nil {
				sni = secure.ConnectionState().ServerName
			}
			return p.connect(raw, conn, start, sni, pooled)
		}
	}
}

// connect answers a startup message, or passes it and everything after it on.
func (p *proxy) connect(raw, client net.Conn, start *startup, sni string, pooled bool) error {
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
	start.dropUnforwarded()
	address, err := netip.ParseAddrPort(raw.RemoteAddr().String())
	if err != nil {
		return err
	}
	if refusal := p.server.admit(endpoint, start, address.Addr().Unmap()); refusal != "" {
		return writeError(client, "ERROR", "XX000", refusal)
	}
	server, err := p.dial()
	if err != nil {
		return writeError(client, "ERROR", "XX000", wakingMessage)
	}
	defer p.untrack(server)
	if _, err := server.Write(start.encode()); err != nil {
		return err
	}
	_ = raw.SetDeadline(time.Time{})
	p.server.inUse(start.database())
	defer p.server.inUse(start.database())
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client) // the connection ends when either side does
		_ = server.Close()
	})
	key, err := p.passStart(client, server)
	if err == nil {
		_, err = io.Copy(client, server)
	}
	p.forget(key)
	_ = client.Close()
	_ = raw.Close()
	both.Wait()
	return err
}

// dial connects to the real server, with TLS if it has it. The startup message comes next.
func (p *proxy) dial() (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", p.server.pg.Host, p.server.pg.Port), handshakeTimeout)
	if err != nil {
		return nil, err
	}
	if !p.track(conn) {
		return nil, net.ErrClosed
	}
	if p.tls == nil {
		return conn, nil
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // SSLRequest
		p.untrack(conn)
		return nil, err
	}
	answer := []byte{0}
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != 'S' {
		p.untrack(conn)
		return nil, errors.New("PostgreSQL refused TLS")
	}
	// The server runs on this machine, and the client checks its certificate, which this proxy presents.
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		p.untrack(conn)
		return nil, err
	}
	p.mu.Lock()
	delete(p.open, conn)
	p.open[secure] = true
	p.mu.Unlock()
	return secure, nil
}

// forwardCancel passes a cancel request on, with the compute's own key. One with a key of nobody's has no effect.
func (p *proxy) forwardCancel(body []byte) error {
	p.mu.Lock()
	body, known := p.keys[string(body)]
	p.mu.Unlock()
	if !known {
		return nil
	}
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", p.server.pg.Host, p.server.pg.Port), handshakeTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	if _, err := conn.Write(encodeStartup(cancelRequest, body)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn) // ends once the signal is sent, which the client waits for
	return err
}
