package pgdump_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// waits commits only once nobody else holds an advisory lock.
const waits = `create table a (i int);
create function wait() returns trigger language plpgsql as
	$$ begin perform pg_advisory_xact_lock(1); return null; end $$;
create constraint trigger t after insert on a deferrable initially deferred for each row execute function wait();
insert into a values (1);
` + marker

// inCommit starts a restore and waits until the server is about to commit. release lets it.
func inCommit(t *testing.T, ctx context.Context, direct, url, name string) (done chan error, release func()) {
	t.Helper()
	_, major := clientRoot(t)
	target, err := postgres.ParseTarget(direct, false)
	if err != nil {
		t.Fatal(err)
	}
	holder, err := postgres.Connect(t.Context(), target, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(holder.Close)
	if _, err := holder.Exec(t.Context(), "select pg_advisory_lock(1)"); err != nil {
		t.Fatal(err)
	}
	done = make(chan error, 1)
	go func() {
		_, err := restoreURL(ctx, url, pgdump.RestoreOptions{Major: major, Format: pgdump.Plain}, strings.NewReader(waits))
		done <- err
	}()
	servertest.WaitFor(t, func() bool {
		return len(pgtest.Ask(t, direct, sessionsNamed(name)+" and query = 'commit' and wait_event = 'advisory'")) == 1
	})
	return done, holder.Close
}

// If the connection breaks while the server commits, what is said of it is what the server did.
func TestRestoreAsksWhetherItHasCommitted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		then func(t *testing.T, direct, session string, release func())
	}{
		"committed": {func(_ *testing.T, _, _ string, release func()) { release() }},
		"aborted": {func(t *testing.T, direct, session string, _ func()) {
			pgtest.Do(t, direct, terminateNamed(session))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.Database(t)
			url, session := named(t, direct)
			proxied, proxy := wiretest.Breakable(t, url)
			done, release := inCommit(t, t.Context(), direct, proxied, session)
			proxy.Stop()
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			c.then(t, direct, session, release)
			err := <-done
			t.Log(err)
			there := len(pgtest.Ask(t, direct, publicTables+" and relname = 'a'")) == 1
			if there != (err == nil) || name == "aborted" && (err == nil || !strings.Contains(err.Error(), "commit: ")) {
				t.Errorf("committed: %v; got %v", there, err)
			}
		})
	}
}

// If the server cannot be asked, nothing is claimed.
func TestRestoreDoesNotKnowWhetherItHasCommitted(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	url, session := named(t, direct)
	proxied, proxy := wiretest.Breakable(t, url)
	ctx, cancel := context.WithCancelCause(t.Context())
	done, _ := inCommit(t, ctx, direct, proxied, session)
	proxy.Stop()
	cancel(errors.New("enough"))
	began := time.Now()
	err := <-done
	if err == nil || !strings.Contains(err.Error(), "whether the server has committed is not known") ||
		!strings.Contains(remedies.Of(err), "look into the target") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("took %s", took)
	}
}

// A cancel during the commit is answered by the server, one way or the other.
func TestRestoreCancelledInItsCommit(t *testing.T) {
	t.Parallel()
	direct := pgtest.Database(t)
	url, session := named(t, direct)
	ctx, cancel := context.WithCancelCause(t.Context())
	done, _ := inCommit(t, ctx, direct, url, session)
	cancel(errors.New("enough"))
	if err := <-done; err == nil || !strings.Contains(err.Error(), "commit: canceling statement") {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "tables", pgtest.Ask(t, direct, publicTables), []string{})
	nothingLeft(t, direct, session)
}
