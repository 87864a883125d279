package pgdump_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// A damaged backup leaves the target as it was, even if that was to be overwritten.
func TestRestoreRefusesDamage(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	pgtest.Do(t, source, hostile)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	with := []age.Identity{identity}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at func(p []byte) int) func(p []byte) []byte {
		return func(p []byte) []byte {
			p = bytes.Clone(p)
			p[at(p)] ^= 0x10
			return p
		}
	}
	damages := map[string]func(p []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"cut by a byte":   func(p []byte) []byte { return p[:len(p)-1] },
		"cut in half":     func(p []byte) []byte { return p[:len(p)/2] },
		"longer":          func(p []byte) []byte { return append(bytes.Clone(p), "more"...) },
		"first flipped":   flipped(func([]byte) int { return 0 }),
		"middle flipped":  flipped(func(p []byte) int { return len(p) / 2 }),
		"last flipped":    flipped(func(p []byte) int { return len(p) - 1 }),
		"another's bytes": func(p []byte) []byte { return bytes.ToUpper(p) },
	}
	for name, f := range forms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := dumpOptions(t)
			o.Format, o.Compression, o.Parallel = f.format, f.compression, f.parallel
			if f.encrypted {
				o.Recipients = []age.Recipient{identity.Recipient()}
			}
			whole, _ := dump(t, source, o)
			ro := pgdump.RestoreOptions{
				Major: o.Major, Root: o.Root, Format: f.format, Compression: f.inside(), Identities: with,
				WantSHA256: hash(whole),
			}
			co := pgdump.CheckOptions{
				Major: o.Major, Root: o.Root, Format: f.format, Compression: f.inside(), Identities: with,
				WantSHA256: hash(whole),
			}
			// A restore takes long, and the other forms are read the same way.
			restores := f.compression == compress.Gzip && f.parallel == 0
			target := pgtest.Database(t)
			pgtest.Do(t, target, "create table kept as select 1 i; create view kept_too as select 2")
			before := contents(t, target)
			refused := func(what string, stored []byte) {
				t.Helper()
				var bad *pgdump.BackupError
				var failed *pgdump.RestoreError
				if restores {
					_, err := restoreURL(t.Context(), target, ro, bytes.NewReader(stored))
					if !errors.As(err, &bad) && !errors.As(err, &failed) {
						t.Errorf("%s: restore: %v", what, err)
					}
				}
				if _, err := pgdump.Check(t.Context(), bytes.NewReader(stored), co); !errors.As(err, &bad) {
					t.Errorf("%s: check: %v", what, err)
				}
			}
			ro.Overwrite = true
			for what, damage := range damages {
				refused(what, damage(whole))
			}
			// Even if no hash is known, a part is not taken for the whole.
			ro.WantSHA256, co.WantSHA256 = "", ""
			for _, part := range []int{2, 3, 10} {
				refused("a part without a hash", whole[:len(whole)-len(whole)/part])
			}
			if f.encrypted {
				ro.Identities, co.Identities = nil, nil
				refused("no key", whole)
				ro.Identities, co.Identities = []age.Identity{stranger}, []age.Identity{stranger}
				refused("another key", whole)
			}
			ro.WantSHA256, ro.Identities = strings.Repeat("0", 64), with
			co.WantSHA256, co.Identities = ro.WantSHA256, with
			refused("another hash", whole)
			servertest.Equal(t, "the target", contents(t, target), before)
		})
	}
}

// slowly reads a backup's first bytes, then blocks until it is opened or its ctx ends.
type slowly struct {
	ctx     context.Context
	first   io.Reader
	reached chan struct{}
	open    chan struct{}
	rest    io.Reader
	waited  bool
}

func (s *slowly) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil {
		return n, nil
	}
	if !s.waited {
		s.waited = true
		close(s.reached)
		select {
		case <-s.open:
		case <-s.ctx.Done():
		}
	}
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.rest.Read(p)
}

// running is a restore in progress.
type running struct {
	target, name string // its database, and the name of its session
	cut          func() // cuts its connection
	cancel       context.CancelCauseFunc
}

func TestRestoreFaults(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	pgtest.Do(t, source, wide+"; create table last as select 1 i")
	enough, gone := errors.New("enough"), errors.New("the store is gone")
	for format, compression := range map[pgdump.Format]compress.Kind{
		pgdump.Plain: compress.Gzip, pgdump.Custom: compress.None,
	} {
		o := dumpOptions(t)
		o.Format, o.Compression = format, compression
		whole, _ := dump(t, source, o)
		for what, c := range map[string]struct {
			phrase string
			fault  func(t *testing.T, r running)
			rest   io.Reader
		}{
			"backend terminated": {"", func(t *testing.T, r running) {
				pgtest.Do(t, r.target, terminateNamed(r.name))
			}, nil},
			"connection cut": {"the connection was lost", func(_ *testing.T, r running) { r.cut() }, nil},
			"cancelled":      {"enough", func(_ *testing.T, r running) { r.cancel(enough) }, nil},
			"store gone":     {"the store is gone", func(*testing.T, running) {}, failing{gone}},
		} {
			t.Run(string(format)+" "+what, func(t *testing.T) {
				t.Parallel()
				direct := pgtest.Database(t)
				url, name := named(t, direct)
				proxied, proxy := wiretest.Breakable(t, url)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				at := len(whole) / 4 * 3
				r := &slowly{
					ctx: ctx, first: bytes.NewReader(whole[:at]), rest: c.rest,
					reached: make(chan struct{}), open: make(chan struct{}),
				}
				if r.rest == nil {
					r.rest = bytes.NewReader(whole[at:])
				}
				done := make(chan error, 1)
				go func() {
					_, err := restoreURL(ctx, proxied, pgdump.RestoreOptions{
						Major: o.Major, Root: o.Root, Format: format, Compression: compression, WantSHA256: hash(whole),
					}, r)
					done <- err
				}()
				<-r.reached
				c.fault(t, running{direct, name, proxy.Stop, cancel})
				close(r.open)
				select {
				case err := <-done:
					if err == nil || !strings.Contains(err.Error(), c.phrase) {
						t.Errorf("got %v", err)
					}
					t.Log(err)
				case <-time.After(30 * time.Second):
					t.Fatal("still running after 30 s")
				}
				nothingLeft(t, direct, name)
				servertest.Equal(t, "tables", pgtest.Ask(t, direct, publicTables), []string{})
			})
		}
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A cancelled restore does not go on building an index on the server.
func TestRestoreCancelledInAStatement(t *testing.T) {
	t.Parallel()
	root, major := clientRoot(t)
	direct := pgtest.Database(t)
	url, name := named(t, direct)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		servertest.WaitFor(t, func() bool {
			return len(pgtest.Ask(t, direct, sessionsNamed(name)+" and query like '%pg_sleep%'")) == 1
		})
		cancel(errors.New("enough"))
	}()
	sql := "create table a (i int);\nselect pg_sleep(60);\n" + strings.Repeat("-- x\n", 200000) + marker
	_, err := restoreURL(ctx, url, pgdump.RestoreOptions{Major: major, Root: root}, strings.NewReader(sql))
	if err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, direct, name)
}

func TestRestoreIntoAnOlderServer(t *testing.T) {
	t.Parallel()
	o := pgdump.RestoreOptions{Major: 99, Root: newerPrograms(t)}
	_, err := restoreURL(t.Context(), pgtest.Database(t), o, strings.NewReader(marker))
	var bad *pgdump.BackupError
	if !errors.As(err, &bad) || !strings.Contains(remedies.Of(err), "PostgreSQL 99") {
		t.Errorf("got %v", err)
	}
}

// newerPrograms returns a root whose programs say that they are of PostgreSQL 99.
func newerPrograms(t testing.TB) string {
	t.Helper()
	root := fakePrograms(t, "exit 1")
	old := filepath.Join(root, "17")
	for _, program := range []string{"pg_dump", "pg_restore"} {
		path := filepath.Join(old, "bin", program)
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho '"+program+" (PostgreSQL) 99.1'\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(old, filepath.Join(root, "99")); err != nil {
		t.Fatal(err)
	}
	return root
}
