package action

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// heldDump is a tenant whose dumps stand still until release is called: they have locked the table users by then, and
// wait for another table's lock.
type heldDump struct {
	*organisation
	tenant  neontest.Project
	release func()
}

func newHeldDump(t *testing.T) *heldDump {
	t.Helper()
	f := newFleet(t, named("a")...)
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	query(t, f.projects[0], "create table later ()") // pg_dump locks the oldest table first
	holder, err := pgx.Connect(t.Context(), f.projects[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	release := func() { _ = holder.Close(context.Background()) }
	t.Cleanup(release)
	if _, err := holder.Exec(t.Context(), "begin; lock table later"); err != nil {
		t.Fatal(err)
	}
	return &heldDump{f, f.projects[0], release}
}

// begin starts a run, and returns the function that waits for its end.
func (h *heldDump) begin(t *testing.T, inputs ...string) func() outcome {
	done := make(chan outcome, 1)
	go func() { done <- h.run(t, t.Context(), inputs...) }()
	return func() outcome { return <-done }
}

// dumping waits until so many dumps stand still.
func (h *heldDump) dumping(t *testing.T, dumps int) {
	t.Helper()
	servertest.WaitFor(t, func() bool {
		return query(t, h.tenant, "select count(*)::text from pg_locks where relation = 'later'::regclass and not granted "+
			"and mode = 'AccessShareLock'") == strconv.Itoa(dumps)
	})
}

// While a tenant is dumped, twice at once, a migration waits for the lock that the dumps share. If it waited for a
// table's lock instead, everybody who reads the table would wait behind it.
func TestAMigrationWaitsForADumpAndNobodyBehindIt(t *testing.T) {
	h, v := newHeldDump(t), newVault(t)
	first := h.begin(t, v.inputs("mode=backup")...)
	second := h.begin(t, v.inputs("mode=backup", "s3-prefix=second")...)
	h.dumping(t, 2)
	same(t, "locks", query(t, h.tenant, "select count(*)::text from pg_locks where locktype = 'advisory' "+
		"and mode = 'ShareLock' and database = (select oid from pg_database where datname = current_database())"), "2")
	h.write(t, "20250302000000_b.sql", "alter table users add column more int;")
	o := h.run(t, t.Context(), "lock-timeout=1s")
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "a backup holds the migration lock, waiting for it", "a backup holds the migration lock (server process ",
		", neon-tenants-action, connected for ", "a backup holds this tenant until its dump is whole")

	const waiting = "select count(*)::text from pg_locks where relation = 'users'::regclass and not granted"
	migration := h.begin(t)
	servertest.WaitFor(t, func() bool {
		same(t, "waiting for the table", query(t, h.tenant, waiting), "0")
		return query(t, h.tenant, "select count(*)::text from pg_stat_activity where datname = current_database() "+
			"and query like '%pg_try_advisory_lock(%' and state = 'idle'") == "1"
	})
	same(t, "waiting for the table", query(t, h.tenant, waiting), "0")
	h.release()
	first().counts(t, 1, 0, 0, 0)
	second().counts(t, 1, 0, 0, 0)
	migration().counts(t, 1, 0, 0, 0)
}

// hang begins a migration of the only tenant that does not end, and returns once it holds the lock; end cancels it.
func (f *organisation) hang(t *testing.T) (end func()) {
	t.Helper()
	f.write(t, "20250302000000_hang.sql", "select pg_sleep(60);")
	migration, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.run(t, migration)
	}()
	servertest.WaitFor(t, func() bool { return sleeping(f.projects[0]) })
	return func() {
		cancel()
		<-ended
	}
}

// A backup waits for a migration no longer than it is told to, and then leaves nothing behind.
func TestABackupWaitsForAMigration(t *testing.T) {
	f, v := newFleet(t, named("a")...), newVault(t)
	end := f.hang(t)
	o := f.run(t, t.Context(), v.inputs("mode=backup", "lock-timeout=1s")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "nothing was dumped: another run holds the migration lock (server process ", "raise lock-timeout")
	same(t, "keys", len(v.keys(t)), 0)
	f.run(t, t.Context(), v.inputs("mode=backup", "lock-timeout=1s", "dry-run=true")...).counts(t, 1, 0, 0, 0)
	end()
}

// A restore into the tenant's own database waits for a migration, which would go on with what it loads, no longer than
// it is told to, and then keeps migrations away until it has ended.
func TestARestoreAndAMigrationDoNotMeet(t *testing.T) {
	t.Parallel()
	f, v := newFleet(t, named("a")...), newVault(t)
	p := f.projects[0]
	f.run(t, t.Context()).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 1, 0, 0, 0)
	restore := v.inputs("mode=restore", "restore-url="+p.URL, "overwrite=true")
	end := f.hang(t)
	o := f.run(t, t.Context(), append(restore, "lock-timeout=1s")...)
	end()
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "nothing was restored: another run holds the migration lock (server process ", "raise lock-timeout")

	reader, err := pgx.Connect(t.Context(), p.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close(context.Background()) }()
	if _, err := reader.Exec(t.Context(), "begin; lock table users in access share mode"); err != nil {
		t.Fatal(err)
	}
	done := make(chan outcome, 1)
	go func() { done <- f.run(t, t.Context(), restore...) }()
	servertest.WaitFor(t, func() bool {
		return len(done) > 0 || query(t, p, "select count(*) from pg_locks where relation = 'users'::regclass and "+
			"not granted") == "1"
	})
	same(t, "locks", query(t, p, "select count(*)::text from pg_locks where locktype = 'advisory' and "+
		"mode = 'ExclusiveLock' and database = (select oid from pg_database where datname = current_database())"), "1")
	_ = reader.Close(t.Context())
	o = <-done
	o.counts(t, 1, 0, 0, 0)
	same(t, "version", query(t, p, highest), "20250101090200")
}

// A backup whose lock is lost is as whole as any other.
func TestABackupLosesItsLock(t *testing.T) {
	h, v := newHeldDump(t), newVault(t)
	done := h.begin(t, v.inputs("mode=backup")...)
	h.dumping(t, 1)
	query(t, h.tenant, "select pg_terminate_backend(pid)::text from pg_locks where locktype = 'advisory' "+
		"and database = (select oid from pg_database where datname = current_database())")
	h.release()
	o := done()
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "the session that kept migrations away was lost during the dump")
	same(t, "keys", len(v.keys(t)), 2)
}

// The connection that listed the schemas takes none of the room that their backups need: one connection is enough for
// them, and two keep migrations away too.
func TestSchemasAreBackedUpWithRoomForTwoConnections(t *testing.T) {
	servertest.Long(t)
	e, v := newEstate(t, "a", "b"), newVault(t)
	e.run(t).counts(t, 2, 0, 0, 0)
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	for room, guarded := range map[string]bool{"1": false, "2": true} {
		limit := "alter role " + pgtest.Identifier(u.User.Username()) + " connection limit " + room
		if err := pgtest.Shared(t).Exec(t.Context(), strings.TrimPrefix(u.Path, "/"), limit); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // keys tell seconds
		o := e.run(t, v.inputs("mode=backup", "concurrency=1")...)
		o.counts(t, 2, 0, 0, 0)
		if warned := strings.Contains(o.log, "nothing kept migrations away"); warned == guarded {
			t.Errorf("with room for %s, it warned: %v\n%s", room, warned, o.log)
		}
	}
}

// Where a role may have one connection, pg_dump gets it.
func TestABackupWithRoomForOneConnection(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	direct := pgtest.Database(t)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	limit := "alter role " + pgtest.Identifier(u.User.Username()) + " connection limit 1"
	if err := pgtest.Shared(t).Exec(t.Context(), strings.TrimPrefix(u.Path, "/"), limit); err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), v.inputs("mode=backup", "neon-api-key=", "tenant-source=secrets",
		"tenant-secrets="+string(mustJSON(t, map[string]string{"ONE_DATABASE_URL": direct})))...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "nothing kept migrations away during the dump, because the server has room for a single connection")
}
