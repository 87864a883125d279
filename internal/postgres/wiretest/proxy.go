// Package wiretest measures the traffic to a PostgreSQL server: with a proxy that simulates distance and counts round
// trips, and with the least traffic that any client could cause, to compare with. It serves tests and benchmarks.
package wiretest

import (
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy forwards connections to a server as if it were a round trip away. It does not limit bandwidth, and keeps order
// and bytes as they are, so that TLS and channel binding work through it.
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
	// RoundTrips counts how often a client had to wait for the server, over all connections. Opening a connection is
	// one. Every other one is an answer to a message that was sent only after the previous answer had arrived.
	RoundTrips int
}

// NewProxy listens on a port of 127.0.0.1 for the server at target, host:port. With a round trip of some milliseconds
// the count is exact; without one, bytes that cross cannot be told from a question and its answer.
func NewProxy(target string, roundTrip time.Duration) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", target, err)
	}
	p := &Proxy{
		listener: l, target: target, roundTrip: roundTrip, closed: make(chan struct{}), open: map[net.Conn]struct{}{},
	}
	p.running.Go(p.accept)
	return p, nil
}

// URL returns a connection string that leads through the proxy and is otherwise the same.
func (p *Proxy) URL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", fmt.Errorf("a connection string is not a URL")
	}
	u.Host = p.Address()
	return u.String(), nil
}

// Address is where the proxy listens, host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Traffic returns what has passed since the last Reset.
func (p *Proxy) Traffic() Traffic {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.traffic
}

// Reset sets the counts to zero.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traffic = Traffic{}
}

// Close cuts every connection and waits until the proxy's goroutines have ended.
func (p *Proxy) Close() {
	close(p.closed)
	_ = p.listener.Close() // ends accept
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
		p.running.Go(func() { p.forward(client, time.Now()) })
	}
}

// register lets Close cut a connection. It returns false if the proxy is closed already.
func (p *Proxy) register(c net.Conn) bool {
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

// forward serves one connection. The kernel opened the client's side at once, but from a distance the client would
// learn of it only a round trip later, so what it sends before counts as sent then.
func (p *Proxy) forward(client net.Conn, accepted time.Time) {
	defer p.drop(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.register(client) || !p.register(server) {
		return
	}
	p.count(Traffic{Connections: 1, RoundTrips: 1})
	var atServer, atClient observed // what has been delivered to each
	atClient.trips = 1
	var hungUp atomic.Bool // the client waits for nothing any more: a server's goodbye is no answer
	var both sync.WaitGroup
	both.Go(func() {
		p.copy(client, server, accepted.Add(p.roundTrip), direction{
			sent:      atClient.count,
			delivered: func(trips int) { atServer.raise(trips) },
			ended:     func() { hungUp.Store(true) },
		})
	})
	both.Go(func() {
		p.copy(server, client, time.Time{}, direction{
			sent: func() int { return atServer.count() + 1 },
			delivered: func(trips int) {
				if !hungUp.Load() {
					p.count(Traffic{RoundTrips: atClient.raise(trips)})
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

// piece is some bytes in flight. trips is the number of round trips without which they could not have been sent: those
// that the sender had observed, and for a server's bytes one more.
type piece struct {
	bytes []byte
	due   time.Time
	trips int
}

// direction receives what happens to the bytes in one direction.
type direction struct {
	sent      func() int      // the number of round trips that the sender has observed
	delivered func(trips int) // before each delivery
	ended     func()          // the sender has closed its side
}

// copy copies bytes from one side to the other, half a round trip late, and none before the beginning.
func (p *Proxy) copy(from, to net.Conn, beginning time.Time, d direction) {
	// More than is in flight at any moment; a sender that outruns it waits, as for a full window.
	inFlight := make(chan piece, 256)
	go p.read(from, beginning, d, inFlight)
	for one := range inFlight {
		p.wait(one.due)
		d.delivered(one.trips)
		if _, err := to.Write(one.bytes); err != nil {
			_ = from.Close() // ends read; what it has read is discarded
			for range inFlight {
				continue
			}
			return
		}
	}
	// The sender has finished. The other direction ends by itself when the receiver has finished too.
	p.wait(time.Now().Add(p.roundTrip / 2))
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
}

// read reads from one side until it ends.
func (p *Proxy) read(from net.Conn, beginning time.Time, d direction, inFlight chan<- piece) {
	defer close(inFlight)
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			sentAt := time.Now()
			if sentAt.Before(beginning) {
				sentAt = beginning
			}
			inFlight <- piece{buffer[:n], sentAt.Add(p.roundTrip / 2), d.sent()}
		}
		if err != nil {
			d.ended()
			return
		}
	}
}

// wait returns when the time has come, or the proxy is closed.
func (p *Proxy) wait(until time.Time) {
	select {
	case <-p.closed:
	case <-time.After(time.Until(until)):
	}
}

// observed is the highest number of round trips of which one side has observed the effect.
type observed struct {
	mu    sync.Mutex
	trips int
}

func (o *observed) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.trips
}

// raise increases the number to trips, and returns by how much.
func (o *observed) raise(trips int) (more int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	more = max(0, trips-o.trips)
	o.trips += more
	return more
}
