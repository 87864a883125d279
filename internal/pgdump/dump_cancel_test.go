package pgdump_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestDumpCancelled(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	pgtest.Do(t, direct, wide)
	enough := errors.New("enough")
	o := dumpOptions(t)
	o.Level = 1
	whole, _ := dump(t, direct, o)
	check := func(t *testing.T, err error, name string, g *gate, began time.Time) {
		t.Helper()
		if !errors.Is(err, enough) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		refusedDump(t, err, g, o, "enough")
		servertest.Equal(t, "left", len(programsOf(t, "pg_dump", name)), 0)
		nothingLeft(t, direct, name)
	}
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		url, name := named(t, direct)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(enough)
		g := newGate(ctx, 1<<30)
		began := time.Now()
		_, err := dumpURL(ctx, url, o, g)
		check(t, err, name, g, began)
	})
	t.Run("connecting", func(t *testing.T) {
		t.Parallel()
		mute, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = mute.Close() }()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, enough)
		defer cancel()
		url, name := named(t, "postgres://u:p@"+mute.Addr().String()+"/d?sslmode=require")
		g := newGate(ctx, 1<<30)
		began := time.Now()
		_, err = dumpURL(ctx, url, o, g)
		check(t, err, name, g, began)
	})
	for where, at := range map[string]int{"first": 0, "middle": len(whole) / 2, "last": len(whole) - 1000} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			url, name := named(t, direct)
			ctx, cancel := context.WithCancelCause(t.Context())
			g := newGate(ctx, at)
			var began time.Time
			go func() {
				<-g.reached
				began = time.Now()
				cancel(enough)
			}()
			_, err := dumpURL(ctx, url, o, g)
			check(t, err, name, g, began)
		})
	}
	// While pg_dump waits for a table's lock, a cancel must end the wait on the server too.
	t.Run("waiting", func(t *testing.T) {
		t.Parallel()
		locked := pgtest.Database(t)
		pgtest.Do(t, locked, wide)
		holding, release := context.WithCancel(t.Context())
		held := make(chan error, 1)
		go func() {
			conn, err := connect(holding, locked, postgres.Options{})
			if err == nil {
				defer conn.Close()
				_, err = conn.Exec(holding, "lock table wide in access exclusive mode; select pg_sleep(60)")
			}
			held <- err
		}()
		defer func() {
			release()
			if err := <-held; err == nil {
				t.Error("the lock was not held to the end")
			}
		}()
		waiting := "select count(*)::text from pg_locks where relation = 'wide'::regclass and "
		servertest.WaitFor(t, func() bool {
			return pgtest.Ask(t, locked, waiting+"granted and mode = 'AccessExclusiveLock'")[0] == "1"
		})
		url, name := named(t, locked)
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			servertest.WaitFor(t, func() bool { return pgtest.Ask(t, locked, waiting+"not granted")[0] == "1" })
			cancel(enough)
		}()
		g := newGate(ctx, 1<<30)
		_, err := dumpURL(ctx, url, o, g)
		check(t, err, name, g, time.Now())
		servertest.Equal(t, "still waiting", pgtest.Ask(t, locked, waiting+"not granted"), []string{"0"})

		o := o
		o.Args = []string{"--lock-wait-timeout=1s"}
		_, err = dumpURL(t.Context(), url, o, io.Discard)
		var failure *pgdump.ProgramError
		if !errors.As(err, &failure) || !strings.Contains(remedies.Of(err), "another session") {
			t.Errorf("got %v", err)
		}
	})
}
