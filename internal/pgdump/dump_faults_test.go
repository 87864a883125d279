package pgdump_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// wide is a table of about 30 MB as a plain dump: more than the buffers between the server and a writer hold. It
// compresses well, because compressing is slow under the race detector.
const wide = "create table wide as select i, repeat('x', 190) t from generate_series(1, 150000) i"

// gate is a writer that blocks at a number of bytes until it is opened, or until its ctx ends, as an upload does.
type gate struct {
	ctx     context.Context
	at      int
	reached chan struct{}
	open    chan struct{}
	once    sync.Once
	got     bytes.Buffer
	refuse  error // instead of blocking
}

func newGate(ctx context.Context, at int) *gate {
	return &gate{ctx: ctx, at: at, reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Write(p []byte) (int, error) {
	if g.got.Len()+len(p) > g.at {
		g.once.Do(func() { close(g.reached) })
		if g.refuse != nil {
			return 0, g.refuse
		}
		select {
		case <-g.open:
		case <-g.ctx.Done():
			return 0, context.Cause(g.ctx)
		}
	}
	return g.got.Write(p)
}

// named gives the sessions of a URL a name by which they are found. It is unique even if the same test runs twice on a
// machine.
func named(t testing.TB, url string) (with, name string) {
	t.Helper()
	name = strings.ReplaceAll(t.Name(), "/", "_")
	name = strings.ToLower(name[max(0, len(name)-50):] + "_" + rand.Text()[:8])
	return url + "&application_name=" + name, name
}

// nothingLeft fails if a session on the server outlives a failed dump.
func nothingLeft(t testing.TB, direct, name string) {
	t.Helper()
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, direct, sessionsNamed(name))) == 0
	})
}

// sessionsNamed selects the server processes of the sessions with a name.
func sessionsNamed(name string) string {
	return "select pid::text from pg_stat_activity where application_name = '" + name + "'"
}

// terminateNamed ends the sessions with a name.
func terminateNamed(name string) string {
	return "select pg_terminate_backend(pid) from pg_stat_activity where application_name = '" + name + "'"
}

// broken dumps into a gate, breaks something while pg_dump is in the middle, opens the gate, and returns the error.
func broken(t *testing.T, o pgdump.DumpOptions, url string, breakIt func()) (error, *gate) {
	t.Helper()
	g := newGate(t.Context(), 50<<10)
	done := make(chan error, 1)
	go func() {
		_, err := dumpURL(t.Context(), url, o, g)
		done <- err
	}()
	select {
	case <-g.reached:
	case err := <-done:
		t.Fatalf("it ended before it could be broken: %v", err)
	}
	breakIt()
	close(g.open)
	select {
	case err := <-done:
		return err, g
	case <-time.After(30 * time.Second):
		t.Fatal("still running after 30 s")
		return nil, nil
	}
}

// refusedDump fails unless the error contains the phrase and what was written is not a whole dump.
func refusedDump(t *testing.T, err error, g *gate, o pgdump.DumpOptions, phrase string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), phrase) {
		t.Fatalf("got %v, want %q in it", err, phrase)
	}
	t.Log(err)
	co := pgdump.CheckOptions{Format: o.Format, Compression: o.Compression}
	if _, err := pgdump.Check(context.Background(), bytes.NewReader(g.got.Bytes()), co); err == nil {
		t.Error("what was written is taken for a whole dump")
	}
}

func kinds() map[string]compress.Kind {
	return map[string]compress.Kind{"plain": compress.None, "gzip": compress.Gzip}
}

func TestDumpFaults(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, wide)
	for kind, compression := range kinds() {
		for what, c := range map[string]struct {
			phrase string
			fault  func(t *testing.T, name string, cut func())
		}{
			"killed": {"pg_dump was ended by a signal (killed)", func(t *testing.T, name string, _ func()) {
				killed := 0
				for _, pid := range programsOf(t, "pg_dump", name) {
					killed++
					if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
						t.Error(err)
					}
				}
				servertest.Equal(t, "killed", killed, 1)
			}},
			"backend terminated": {"pg_dump failed with exit status 1", func(t *testing.T, name string, _ func()) {
				pgtest.Do(t, direct, terminateNamed(name))
			}},
			"connection cut": {"dump database", func(_ *testing.T, _ string, cut func()) { cut() }},
		} {
			t.Run(kind+" "+what, func(t *testing.T) {
				t.Parallel()
				o := dumpOptions(t)
				o.Compression, o.Level, o.Parallel = compression, 1, 1
				url, name := named(t, direct)
				proxied, proxy := wiretest.Breakable(t, url)
				err, g := broken(t, o, proxied, func() { c.fault(t, name, proxy.Stop) })
				refusedDump(t, err, g, o, c.phrase)
				var failure *pgdump.ProgramError
				if !errors.As(err, &failure) {
					t.Errorf("got %T", err)
				}
				if what != "killed" && remedies.Of(err) == "" {
					t.Error("no remedy")
				}
				servertest.Equal(t, "left", len(programsOf(t, "pg_dump", name)), 0)
				nothingLeft(t, direct, name)
			})
		}
	}
}

func TestDumpOfAServerThatEnds(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(s *pgtest.Server) error{
		"stopped": func(s *pgtest.Server) error { return s.Stop() },
		"killed":  func(s *pgtest.Server) error { return s.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, err := pgtest.Start(t.Context(), pgtest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Stop() })
			url, err := server.CreateTenant(t.Context(), "tenant", "pass word", "tenant")
			if err != nil {
				t.Fatal(err)
			}
			pgtest.Do(t, url, wide)
			url, app := named(t, url)
			o := dumpOptions(t)
			o.Level = 1
			err, g := broken(t, o, url, func() {
				if err := stop(server); err != nil {
					t.Error(err)
				}
			})
			refusedDump(t, err, g, o, "pg_dump failed with exit status 1")
			servertest.Equal(t, "left", len(programsOf(t, "pg_dump", app)), 0)
		})
	}
}

// A connection that carries nothing any more, and that nobody closes, ends the dump.
func TestDumpStalled(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, wide)
	url, name := named(t, direct)
	proxied, proxy := wiretest.Breakable(t, url)
	o := dumpOptions(t)
	o.Stall, o.Compression = 10*time.Second, compress.None // on a busy machine pg_dump's start takes seconds
	err, g := broken(t, o, proxied, func() {
		for _, way := range []string{"upstream", "downstream"} {
			toxic := fmt.Sprintf(
				`{"type": "timeout", "attributes": {"timeout": 0}, "stream": %q, "name": %q}`, way, way)
			if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
				t.Error(err)
			}
		}
	})
	refusedDump(t, err, g, o, "nothing came from the server for 10s")
	servertest.Equal(t, "left", len(programsOf(t, "pg_dump", name)), 0)
	pgtest.Do(t, direct, terminateNamed(name))
}

func TestDumpIntoAWriterThatRefuses(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, wide)
	full := errors.New("the store is full")
	for kind, compression := range kinds() {
		o := dumpOptions(t)
		o.Compression, o.Level, o.Parallel = compression, 1, 1
		whole, _ := dump(t, direct, o)
		for where, at := range map[string]int{"first": 0, "middle": len(whole) / 2, "last": len(whole) - 1000} {
			t.Run(kind+" "+where, func(t *testing.T) {
				t.Parallel()
				url, name := named(t, direct)
				g := newGate(t.Context(), at)
				g.refuse = full
				_, err := dumpURL(t.Context(), url, o, g)
				if !errors.Is(err, full) {
					t.Fatalf("got %v", err)
				}
				refusedDump(t, err, g, o, "the store is full")
				servertest.Equal(t, "left", len(programsOf(t, "pg_dump", name)), 0)
				nothingLeft(t, direct, name)
			})
		}
	}
}

// programsOf lists the running programs of this name whose environment has the session's name.
func programsOf(t testing.TB, program, session string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		name, err1 := os.ReadFile("/proc/" + e.Name() + "/comm")
		environment, err2 := os.ReadFile("/proc/" + e.Name() + "/environ")
		if err1 == nil && err2 == nil && strings.TrimSpace(string(name)) == program &&
			bytes.Contains(environment, []byte("PGAPPNAME="+session+"\x00")) {
			found = append(found, pid)
		}
	}
	return found
}
