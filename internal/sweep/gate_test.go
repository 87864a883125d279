package sweep

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/org/neon-tenants-action/internal/servertest"
)

// gate stands between a run and everything it talks to. It numbers the calls in the order in which they begin, and ends
// the run at one of them. A call is a request over HTTP or, on a connection to a database, whatever the client sends
// before it waits for an answer.
type gate struct {
	mu     sync.Mutex
	calls  []string // what each call was, for messages
	point  point
	kill   func() // of the run; nil once it is dead, or while none is to be
	kills  int    // of all runs
	fronts map[int]net.Listener
	conns  map[net.Conn]bool // nil once closed
	wait   sync.WaitGroup
}

func newGate() *gate { return &gate{fronts: map[int]net.Listener{}, conns: map[net.Conn]bool{}} }

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
	refuse
	answerNobody // it is carried out, and then the run is killed
)

// arm starts counting anew for a run.
func (g *gate) arm(p point, kill func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls, g.point, g.kill = nil, p, kill
}

// killed returns how many runs were killed so far.
func (g *gate) killed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kills
}

// made returns what each call of the current run was.
func (g *gate) made() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls
}

// begin counts a call.
func (g *gate) begin(what string) verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, what)
	switch {
	case len(g.calls) != g.point.call:
		return pass
	case g.point.after:
		return answerNobody
	}
	return refuse
}

// strike kills the run, and cuts its connections to databases, as the end of its container does.
func (g *gate) strike() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kill != nil {
		g.kill()
		g.kill = nil
		g.kills++
	}
	for c := range g.conns {
		_ = c.Close()
	}
}

// handler is a server behind the gate.
func (g *gate) handler(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch g.begin(name + ": " + r.Method + " " + r.URL.Path) {
		case refuse:
			g.strike()
			panic(http.ErrAbortHandler)
		case answerNobody:
			next.ServeHTTP(httptest.NewRecorder(), r)
			g.strike()
			panic(http.ErrAbortHandler)
		case pass:
			next.ServeHTTP(w, r)
		}
	})
}

// serve serves a handler behind the gate, until the test ends.
func (g *gate) serve(t *testing.T, name string, next http.Handler) *servertest.HTTP {
	t.Helper()
	server, err := servertest.Serve("127.0.0.1:0", g.handler(name, next))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// front returns a port of its own that leads to another one of this machine.
func (g *gate) front(t *testing.T, port int) int {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.fronts[port]; l != nil {
		return l.Addr().(*net.TCPAddr).Port
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.fronts[port] = l
	g.wait.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			g.wait.Go(func() { g.forward(client, fmt.Sprintf("127.0.0.1:%d", port)) })
		}
	})
	return l.Addr().(*net.TCPAddr).Port
}

// close ends all fronts and their connections.
func (g *gate) close() {
	g.mu.Lock()
	for _, l := range g.fronts {
		_ = l.Close()
	}
	for c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
	g.mu.Unlock()
	g.wait.Wait()
}

// track remembers a connection, or closes it if all are closed already.
func (g *gate) track(c net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns == nil {
		_ = c.Close()
		return false
	}
	g.conns[c] = true
	return true
}

func (g *gate) untrack(c net.Conn) {
	_ = c.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

// A connection's first messages agree on TLS and a password. Between them a kill does what it does before the first.
const greetings = 5

// thinning is for a connection that asks more than this, as pg_dump's does: of its further questions, which only read,
// one of so many counts.
const (
	thinAfter = 16
	thinning  = 16
)

// counts reports whether a connection's nth question is a call.
func counts(n int) bool {
	return n == 1 || n > greetings && (n <= thinAfter || n%thinning == 0)
}

// forward passes a connection on.
func (g *gate) forward(client net.Conn, target string) {
	defer g.untrack(client)
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer g.untrack(server)
	if !g.track(client) || !g.track(server) {
		return
	}
	var mu sync.Mutex
	questions, waiting, last := 0, false, false
	var both sync.WaitGroup
	both.Go(func() {
		defer server.Close()
		copyEach(server, client, func() bool {
			mu.Lock()
			defer mu.Unlock()
			if waiting {
				return true // the same question goes on
			}
			questions, waiting = questions+1, true
			if !counts(questions) {
				return true
			}
			switch g.begin(fmt.Sprintf("database: question %d of a connection", questions)) {
			case refuse:
				g.strike()
				return false
			case answerNobody:
				last = true
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
			if last {
				g.strike()
			}
			return !last
		})
	})
	both.Wait()
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
