package wiretest

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// OnDirect is what a [Front] does with a connection that begins TLS directly.
type OnDirect int

const (
	// Takes is what PostgreSQL 17 and Neon's proxy do.
	Takes OnDirect = iota
	// Closes is what PostgreSQL 16 and older do: they read a message length that is too large.
	Closes
	// Resets closes the connection with bytes of the client's left unread.
	Resets
	// Garbles is an answer that is not TLS.
	Garbles
	// WithoutALPN is a proxy that terminates TLS for any protocol.
	WithoutALPN
	// OtherALPN is one that terminates it for another protocol.
	OtherALPN
	// Silent is a firewall that drops what it does not know.
	Silent
)

// Front terminates TLS in front of a PostgreSQL server. It takes TLS that is asked for; what it does with direct TLS is
// its [OnDirect].
type Front struct {
	listener net.Listener
	target   string
	tls      *tls.Config
	running  sync.WaitGroup

	mu     sync.Mutex
	direct OnDirect
	waking int
	open   map[net.Conn]struct{} // nil: closed
	begun  Begun
}

// Begun is how many connections began TLS directly, and how many asked for it.
type Begun struct{ Directly, Asking int }

// NewFront listens on a port of 127.0.0.1 for the server at target, host:port. It presents the configuration's
// certificate, which has to be the server's own for SCRAM's channel binding.
func NewFront(target string, config *tls.Config, direct OnDirect) (*Front, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", target, err)
	}
	f := &Front{listener: l, target: target, tls: config, direct: direct, open: map[net.Conn]struct{}{}}
	f.running.Go(f.accept)
	return f, nil
}

// Address is host:port.
func (f *Front) Address() string { return f.listener.Addr().String() }

// Set changes what is done with TLS that begins directly.
func (f *Front) Set(direct OnDirect) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.direct = direct
}

// Wake answers the next connections as Neon's proxy does while a compute starts.
func (f *Front) Wake(connections int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waking = connections
}

// Begun returns how connections have begun so far.
func (f *Front) Begun() Begun {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun
}

// Close cuts every connection and waits until the front's goroutines have ended.
func (f *Front) Close() {
	_ = f.listener.Close() // ends accept
	f.mu.Lock()
	for c := range f.open {
		_ = c.Close()
	}
	f.open = nil
	f.mu.Unlock()
	f.running.Wait()
}

func (f *Front) accept() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() {
			if f.register(client) {
				_ = f.serve(client) // whoever hung up does not need to be told
			}
			_ = client.Close()
		})
	}
}

// register lets Close cut a connection. It returns false if the front is closed already.
func (f *Front) register(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open != nil {
		f.open[c] = struct{}{}
	}
	return f.open != nil
}

// peeked is a connection of which a reader has looked at the first bytes.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.reader.Read(b) }

func (f *Front) serve(raw net.Conn) error {
	client := peeked{raw, bufio.NewReader(raw)}
	first, err := client.reader.Peek(1)
	if err != nil {
		return err
	}
	config := f.tls.Clone()
	config.NextProtos = []string{alpn}
	// The only curve of PostgreSQL before 18. Go's client offers another first, which costs a round trip here as there.
	config.CurvePreferences = []tls.CurveID{tls.CurveP256}
	if first[0] == handshakeRecord {
		return f.serveDirect(client, config)
	}
	request := make([]byte, 8)
	if _, err := io.ReadFull(client, request); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(request[4:]) != sslRequest {
		return errors.New("without TLS")
	}
	f.count(Begun{Asking: 1})
	if _, err := raw.Write([]byte{'S'}); err != nil {
		return err
	}
	return f.forward(tls.Server(client, config))
}

const (
	alpn            = "postgresql"
	handshakeRecord = 0x16 // the first byte of TLS; every message of PostgreSQL's begins with a length below 2^24
	sslRequest      = 80877103
)

func (f *Front) count(more Begun) OnDirect {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun.Directly += more.Directly
	f.begun.Asking += more.Asking
	return f.direct
}

// serveDirect does what the front does with a connection that begins TLS directly.
func (f *Front) serveDirect(client peeked, config *tls.Config) error {
	switch f.count(Begun{Directly: 1}) {
	case Closes:
		return readRecord(client) // a connection that is closed with unread bytes is reset
	case Resets:
		return client.Conn.(*net.TCPConn).SetLinger(0)
	case Garbles:
		_ = readRecord(client)
		return writeError(client, "FATAL", "08P01", "bad packet header")
	case Silent:
		_, err := io.Copy(io.Discard, client)
		return err
	case WithoutALPN:
		config.NextProtos = nil
		return f.forward(tls.Server(client, config))
	case OtherALPN:
		config.NextProtos = []string{"http/1.1"}
	}
	secure := tls.Server(client, config)
	if err := secure.Handshake(); err != nil {
		return err
	}
	if secure.ConnectionState().NegotiatedProtocol != alpn {
		return errors.New("without ALPN")
	}
	return f.forward(secure)
}

// readRecord reads one record of TLS, such as a ClientHello.
func readRecord(r io.Reader) error {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, r, int64(binary.BigEndian.Uint16(head[3:])))
	return err
}

// forward passes everything on to the server, with TLS of its own.
func (f *Front) forward(client net.Conn) error {
	if f.wakes() {
		startup := make([]byte, 4)
		if _, err := io.ReadFull(client, startup); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, client, int64(binary.BigEndian.Uint32(startup))-4); err != nil {
			return err
		}
		return writeError(client, "ERROR", "XX000", "Couldn't connect to compute node")
	}
	raw, err := net.Dial("tcp", f.target)
	if err != nil {
		return err
	}
	defer raw.Close()
	if !f.register(raw) {
		return net.ErrClosed
	}
	if err := binary.Write(raw, binary.BigEndian, []int32{8, sslRequest}); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(raw, answer); err != nil || answer[0] != 'S' {
		return errors.Join(errors.New("PostgreSQL refused TLS"), err)
	}
	// The server runs on this machine, and the client checks its certificate, which this front presents.
	server := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server, client) // the connection ends when either side does
		_ = server.Close()
	})
	_, err = io.Copy(client, server)
	_ = client.Close()
	both.Wait()
	return err
}

// writeError sends an ErrorResponse.
func writeError(w io.Writer, severity, code, message string) error {
	body := "S" + severity + "\x00C" + code + "\x00M" + message + "\x00\x00"
	_, err := w.Write(append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(body)+4)), body...))
	return err
}

// wakes reports whether the compute is still starting, for one connection that has sent its startup message.
func (f *Front) wakes() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waking--
	return f.waking >= 0
}
