// Package wiretest shows what goes over the wire to a PostgreSQL server: a proxy that stands in for distance and counts
// round trips, and the least that any client could do, to compare with. It serves tests and the benchmarks.
package wiretest

import (
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy passes connections on to a server as if it stood a round trip away. Bandwidth is not limited, order is kept, and
// bytes pass untouched, so that TLS and channel binding hold through it.
type Proxy struct {
	listener  net.Listener
	target    string
	roundTrip time.Duration
	running   sync.WaitGroup
	closed    chan struct{}

	mu      sync.Mutex
	open    map[net.Conn]struct{}
	traffic Traffic
}

// Traffic is what a proxy has seen since [Proxy.Reset].
type Traffic struct {
	Connections int
	// RoundTrips counts how often a client had to wait for the server, all connections together. Opening a connection is
	// one. Every other one is an answer to something that was sent only after the answer before it had arrived.
	RoundTrips int
}

// NewProxy listens on a port of 127.0.0.1 for the server at target, host:port. A round trip of some milliseconds makes the
// count exact: without one, bytes of two directions that pass each other cannot be told from question and answer.
func NewProxy(target string, roundTrip time.Duration) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", target, err)
	}
	p := &Proxy{listener: l, target: target, roundTrip: roundTrip, closed: make(chan struct{}), open: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

// URL returns a connection string that leads through the proxy and is otherwise the same.
func (p *Proxy) URL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("a connection string is not a URL")
	}
	u.Host = p.listener.Addr().String()
	return u.String(), nil
}

// Traffic tells what has passed.
func (p *Proxy) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.traffic
}

// Reset begins to count anew.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic = Traffic{}
}

// Close cuts every connection and returns when nothing of the proxy runs any more.
func (p *Proxy) Close() {
	close(p.closed)
	_ = p.listener.Close() // accept then ends, which is all there is to it
	p.mu.Lock()
	for c := range p.open {
		_ = c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.pass(client, time.Now()) })
	}
}

// keep remembers a connection, so that Close can cut it; false where the proxy is closed already.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// pass serves one connection. The client's side of it was opened by the kernel at once; what the client sends counts as
// sent a round trip after that, when it could have known.
func (p *Proxy) pass(client net.Conn, accepted time.Time) {
	defer p.drop(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(client) || !p.keep(server) {
		return
	}
	p.count(Traffic{Connections: 1, RoundTrips: 1})
	var there, back sight // what has been delivered to the server, and to the client
	there.trips, back.trips = 0, 1
	var gone atomic.Bool // the client waits for nothing any more: a server's goodbye is no answer
	var both sync.WaitGroup
	both.Go(func() {
		p.copy(client, server, accepted.Add(p.roundTrip), way{
			sent:      back.at,
			delivered: func(trips int) { there.raise(trips) },
			ended:     func() { gone.Store(true) },
		})
	})
	both.Go(func() {
		p.copy(server, client, time.Time{}, way{
			sent: func() int { return there.at() + 1 },
			delivered: func(trips int) {
				if !gone.Load() {
					p.count(Traffic{RoundTrips: back.raise(trips)})
				}
			},
			ended: func() {},
		})
	})
	both.Wait()
}

func (p *Proxy) count(more Traffic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic.Connections += more.Connections
	p.traffic.RoundTrips += more.RoundTrips
}

// piece is some bytes on their way. trips is the number of round trips that had to happen for them to be sent: those
// that the sender had seen, and for a server's bytes one more.
type piece struct {
	bytes []byte
	due   time.Time
	trips int
}

// way is told what happens to the bytes of one direction.
type way struct {
	sent      func() int      // how many round trips the sender has seen
	delivered func(trips int) // before each delivery
	ended     func()          // the sender has closed its side
}

// copy carries bytes from one side to the other, half a round trip late, and never earlier than the beginning.
func (p *Proxy) copy(from, to net.Conn, beginning time.Time, w way) {
	// More than what is on its way at any moment; a sender that outruns it waits, as it would for a full window.
	underway := make(chan piece, 256)
	go func() {
		defer close(underway)
		for {
			buffer := make([]byte, 16<<10)
			n, err := from.Read(buffer)
			if n > 0 {
				sentAt := time.Now()
				if sentAt.Before(beginning) {
					sentAt = beginning
				}
				underway <- piece{buffer[:n], sentAt.Add(p.roundTrip / 2), w.sent()}
			}
			if err != nil {
				w.ended()
				return
			}
		}
	}()
	for one := range underway {
		p.wait(one.due)
		w.delivered(one.trips)
		if _, err := to.Write(one.bytes); err != nil {
			_ = from.Close() // the reader above ends by that; what it has read goes nowhere
			for range underway {
				continue
			}
			return
		}
	}
	// The sender has finished. Its other direction ends by itself when the receiver has finished too.
	p.wait(time.Now().Add(p.roundTrip / 2))
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// wait returns when it is time, or the proxy is closed.
func (p *Proxy) wait(until time.Time) {
	select {
	case <-p.closed:
	case <-time.After(time.Until(until)):
	}
}

// sight is the highest number of round trips that one side has seen the effect of.
type sight struct {
	mu    sync.Mutex
	trips int
}

func (s *sight) at() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trips
}

// raise lifts the number and returns by how much.
func (s *sight) raise(trips int) (more int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	more = max(0, trips-s.trips)
	s.trips += more
	return more
}
