package sweep

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// proxy stands between a run and everything it talks to. It numbers the calls in the order in which they begin, and
// kills the run at one of them. A call is a request over HTTP or, on a connection to a database, whatever the client
// sends before it waits for an answer.
type proxy struct {
	mu     sync.Mutex
	run    int      // which one it is
	calls  []string // what each call was, for messages
	point  point
	kill   func() // of the run; nil once it is dead, or while none is to be
	kills  int    // of all runs
	chaos  *chaos // nil: nothing else happens to calls
	dumps  bool   // the runs start pg_dump
	fronts map[int]net.Listener
	conns  map[net.Conn]bool // nil once closed
	http   []*servertest.HTTP
	wait   sync.WaitGroup
}

func newProxy() *proxy { return &proxy{fronts: map[int]net.Listener{}, conns: map[net.Conn]bool{}} }

// point is where a run is killed: before or after its nth call. The zero value is nowhere.
type point struct {
	call  int
	after bool
}

func (p point) String() string {
	if p.after {
		return fmt.Sprintf("after call %d", p.call)
	}
	return fmt.Sprintf("before call %d", p.call)
}

// verdict is what becomes of a call.
type verdict int

const (
	pass verdict = iota
	killBefore
	killAfter // it is carried out, and then the run is killed
	refuse    // it is not carried out: an error is the answer, or on a connection to a database the connection's end
	lose      // it is carried out, and the connection ends in place of an answer
	delay     // it is carried out late
)

// fate is what becomes of a call of a run.
type fate struct {
	verdict
	run    int           // which one it is
	late   time.Duration // by how much, with delay
	status int           // of HTTP's answer, with refuse
}

// arm starts counting anew for a run.
func (p *proxy) arm(at point, kill func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run, p.calls, p.point, p.kill = p.run+1, nil, at, kill
}

// disturb lets chaos decide about the calls of the next run.
func (p *proxy) disturb(c *chaos) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chaos = c
}

// disarm ends what is left of a run that has exited, so that nothing of it counts for the next one.
func (p *proxy) disarm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run, p.kill, p.point, p.chaos = p.run+1, nil, point{}, nil
	for c := range p.conns {
		_ = c.Close()
	}
	for _, s := range p.http {
		s.HangUp()
	}
}

// killed returns how many runs were killed so far.
func (p *proxy) killed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kills
}

// made returns what each call of the current run was.
func (p *proxy) made() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// begin counts a call, and decides what becomes of it.
func (p *proxy) begin(what string) fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, what)
	f := fate{run: p.run}
	switch {
	case len(p.calls) != p.point.call:
		p.chaos.decide(&f)
	case p.point.after:
		f.verdict = killAfter
	default:
		f.verdict = killBefore
	}
	return f
}

// killRun kills the run, and cuts its connections to databases, as the end of its container does.
func (p *proxy) killRun(run int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if run != p.run {
		return // that one has exited by itself
	}
	if p.kill != nil {
		p.kill()
		p.kill = nil
		p.kills++
	}
	for c := range p.conns {
		_ = c.Close()
	}
}

// handler is a server behind the proxy.
func (p *proxy) handler(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := p.begin(name + ": " + r.Method + " " + r.URL.Path)
		switch f.verdict {
		case killBefore:
			p.killRun(f.run)
			panic(http.ErrAbortHandler)
		case killAfter:
			next.ServeHTTP(httptest.NewRecorder(), r)
			p.killRun(f.run)
			panic(http.ErrAbortHandler)
		case lose:
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case refuse:
			w.Header().Set("Retry-After", "1")
			http.Error(w, "made by a test", f.status)
		case delay:
			time.Sleep(f.late)
			next.ServeHTTP(w, r)
		case pass:
			next.ServeHTTP(w, r)
		}
	})
}

// serve serves a handler behind the proxy, until the test ends.
func (p *proxy) serve(t *testing.T, name string, next http.Handler) *servertest.HTTP {
	t.Helper()
	return p.own(t, func() (*servertest.HTTP, error) { return servertest.Serve("127.0.0.1:0", p.handler(name, next)) })
}

// own starts a server that ends with the test, and whose idle connections end with each run.
func (p *proxy) own(t *testing.T, start func() (*servertest.HTTP, error)) *servertest.HTTP {
	t.Helper()
	server, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.http = append(p.http, server)
	return server
}

// front returns a port of its own that leads to another one of this machine.
func (p *proxy) front(t *testing.T, port int) int {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.fronts[port]; l != nil {
		return l.Addr().(*net.TCPAddr).Port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.fronts[port] = l
	p.wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.wait.Go(func() { p.forward(client, fmt.Sprintf("127.0.0.1:%d", port)) })
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

// close ends all fronts and their connections.
func (p *proxy) close() {
	p.mu.Lock()
	for _, l := range p.fronts {
		_ = l.Close()
	}
	for c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	p.wait.Wait()
}

// track remembers a connection, or closes it if all are closed already.
func (p *proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns == nil {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) untrack(c net.Conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// A connection's first messages agree on TLS and a password. Between them a kill does what it does before the first.
// Where TLS needs no agreement, they are one less than elsewhere.
const loginMessages = 4

// pg_dump asks a hundred times, and only reads: after so many messages of a connection, one in so many counts.
const (
	sampleAfter = 16
	sampleEvery = 16
)

// counts reports whether a connection's nth message is a call.
func (p *proxy) counts(n int) bool {
	return n == 1 || n > loginMessages && (!p.dumps || n <= sampleAfter || n%sampleEvery == 0)
}

// forward passes a connection on.
func (p *proxy) forward(client net.Conn, target string) {
	defer p.untrack(client)
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer p.untrack(server)
	if !p.track(client) || !p.track(server) {
		return
	}
	var mu sync.Mutex
	messages, waiting, lost, last := 0, false, false, 0 // last is the run to kill after this answer
	var both sync.WaitGroup
	both.Go(func() {
		defer server.Close()
		copyEach(server, client, func() bool {
			mu.Lock()
			defer mu.Unlock()
			if waiting {
				return true // the same message goes on
			}
			messages, waiting = messages+1, true
			if !p.counts(messages) {
				return true
			}
			f := p.begin(fmt.Sprintf("database: message %d of a connection", messages))
			switch f.verdict {
			case killBefore:
				p.killRun(f.run)
				return false
			case killAfter:
				last = f.run
			case refuse:
				client.Close()
				return false
			case lose:
				lost = true
			case delay:
				time.Sleep(f.late)
			case pass:
			}
			return true
		})
	})
	both.Go(func() {
		defer client.Close()
		copyEach(client, server, func() bool {
			mu.Lock()
			defer mu.Unlock()
			waiting = false
			if last > 0 {
				p.killRun(last)
			}
			return last == 0 && !lost
		})
	})
	both.Wait()
	if last > 0 { // a call that nobody answers, such as the end of a connection
		p.killRun(last)
	}
}

// copyEach copies what arrives, while may says so.
func copyEach(to io.Writer, from io.Reader, may func() bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !may() {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
