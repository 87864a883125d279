package neontest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
)

// alpn is PostgreSQL's name in TLS.
const alpn = "postgresql"

// peekedConn is a connection whose first byte can be looked at.
type peekedConn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *peekedConn) Read(b []byte) (int, error) { return c.reader.Read(b) }

// beginsTLS reports whether the client begins TLS without asking, as Neon's proxy allows since July 2024. Every message
// of PostgreSQL's begins with a zero, because its length is below 2^24.
func (c *peekedConn) beginsTLS() (bool, error) {
	const handshakeRecord = 0x16
	first, err := c.reader.Peek(1)
	return err == nil && first[0] == handshakeRecord, err
}

// handshake begins TLS with a client. A protocol that is not PostgreSQL's is refused with an alert. A client that began
// directly has to name it, as PostgreSQL 17 requires, although Neon's proxy takes one that names none: a client that
// works here works with both.
func (p *proxy) handshake(conn net.Conn, direct bool) (*tls.Conn, error) {
	config := p.tls.Clone()
	config.NextProtos = []string{alpn}
	secure := tls.Server(conn, config)
	if err := secure.Handshake(); err != nil {
		return nil, err
	}
	if direct && secure.ConnectionState().NegotiatedProtocol != alpn {
		return nil, errors.New("direct TLS without ALPN")
	}
	return secure, nil
}
