package wiretest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
)

// echo answers every line with itself and, as servers do, with a goodbye when the client has finished.
func echo(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lines := bufio.NewScanner(c)
				for lines.Scan() {
					fmt.Fprintln(c, lines.Text())
				}
				fmt.Fprintln(c, "goodbye")
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *wiretest.Proxy) *net.TCPConn {
	t.Helper()
	url, err := p.URL("postgresql://u:p@db.example/x")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "postgresql://u:p@"), "/x"))
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func TestProxyCountsAndDelays(t *testing.T) {
	const roundTrip = 20 * time.Millisecond
	p, err := wiretest.NewProxy(echo(t), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	began := time.Now()
	c := dial(t, p)
	in := bufio.NewReader(c)
	ask := func(lines ...string) {
		t.Helper()
		for _, line := range lines { // written one by one: what is not waited for is no round trip
			fmt.Fprintln(c, line)
		}
		for _, line := range lines {
			if got, err := in.ReadString('\n'); err != nil || got != line+"\n" {
				t.Fatalf("got %q, %v, want %q", got, err, line)
			}
		}
	}
	ask("one")
	ask("two", "three", "four")
	ask("five")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "goodbye\n" {
		t.Fatalf("after the end: %q, %v", rest, err)
	}
	const want = 4 // opening, and three answers
	if took := time.Since(began); took < want*roundTrip {
		t.Errorf("took %s, want %s at least", took, want*roundTrip)
	}
	if got := p.Traffic(); got != (wiretest.Traffic{Connections: 1, RoundTrips: want}) {
		t.Errorf("counted %+v", got)
	}
}

func TestProxyKeepsOrderOfLargeData(t *testing.T) {
	p, err := wiretest.NewProxy(echo(t), 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := dial(t, p)
	const lines = 50_000
	go func() {
		out := bufio.NewWriter(c)
		for i := range lines {
			fmt.Fprintln(out, i)
		}
		_ = out.Flush()
		_ = c.CloseWrite()
	}()
	in := bufio.NewScanner(c)
	for i := range lines {
		if !in.Scan() || in.Text() != fmt.Sprint(i) {
			t.Fatalf("line %d reads %q, %v", i, in.Text(), in.Err())
		}
	}
}

// Closing a proxy cuts connections with data in flight.
func TestProxyClose(t *testing.T) {
	p, err := wiretest.NewProxy(echo(t), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, p)
	fmt.Fprintln(c, "never arrives")
	closed := make(chan struct{})
	go func() { p.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("Close hangs on data in flight")
	}
}
