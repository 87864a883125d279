package action

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// crowd is an estate of many schemas, with migration files of its own.
func crowd(t *testing.T, schemas int, sql string) *estate {
	t.Helper()
	names := make([]string, schemas)
	for i := range names {
		names[i] = fmt.Sprintf("s%02d", i)
	}
	e := newEstate(t, names...)
	dir := filepath.Join(e.workspace, "own")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := "-- migrate:up\n" + sql + "\n-- migrate:down\n"
	if err := os.WriteFile(filepath.Join(dir, "1_a.sql"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *estate) migrateOwn(t *testing.T, inputs ...string) outcome {
	t.Helper()
	return e.run(t, append([]string{"migrations-path=own"}, inputs...)...)
}

// A role that may have three connections is enough for any number of workers.
func TestFewerConnectionsThanWorkers(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	e := crowd(t, 40, "create table a (i int)")
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	limit := "alter role " + pgtest.Identifier(u.User.Username()) + " connection limit 3"
	if err := pgtest.Shared(t).Exec(t.Context(), strings.TrimPrefix(u.Path, "/"), limit); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		o := e.migrateOwn(t)
		if o.err != nil || strings.Contains(o.log, "connecting failed") {
			t.Fatal(o.log)
		}
		if lines := strings.Count(o.log, "\n"); lines > 300 {
			t.Errorf("%d lines of log", lines)
		}
	}
	e.run(t, "mode=health-check", "migrations-path=own").counts(t, 40, 0, 0, 0)
}

// A run that a server has slowed down is faster again once the server has room, and says so once.
func TestMoreConnectionsMeanwhile(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	e := crowd(t, 60, "insert into public.seen select count(*) from pg_stat_activity where usename = current_user; "+
		"select pg_sleep(0.05)")
	e.do(t, "create table public.seen (sessions int)")
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	server, database := pgtest.Shared(t), strings.TrimPrefix(u.Path, "/")
	limit := "alter role " + pgtest.Identifier(u.User.Username()) + " connection limit "
	if err := server.Exec(t.Context(), database, limit+"3"); err != nil {
		t.Fatal(err)
	}
	done := make(chan outcome, 1)
	go func() { done <- e.migrateOwn(t, "concurrency=8") }()
	if err := server.Exec(t.Context(), database, "do $$ begin while (select count(*) from public.seen) < 10 loop "+
		"perform pg_sleep(0.01); end loop; end $$"); err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), database, limit+"-1"); err != nil {
		t.Fatal(err)
	}
	o := <-done
	o.counts(t, 60, 0, 0, 0)
	o.says(t, "has no room for more connections of this run")
	if n := strings.Count(o.log, "has no room for more"); n > 1 {
		t.Errorf("said %d times", n)
	}
	most := e.do(t, "select max(sessions) <= 3 from (select sessions from public.seen limit 10) f union all "+
		"select max(sessions) > 3 from public.seen")
	same(t, "few at first, and more later", most, []string{"t", "t"})
}

// Schemas whose migrations lock one shared table for a while wait for each other, however many there are.
func TestWorkersThatLockOneTable(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	e := crowd(t, 12, "create table a (i int references public.plans); select pg_sleep(0.15)")
	e.do(t, "create table plans (i int primary key)")
	o := e.migrateOwn(t, "statement-lock-timeout=300ms", "concurrency=12")
	o.counts(t, 12, 0, 0, 0)
	o.says(t, "workers of this run wait for each other's locks")
}

// Somebody else's lock is waited for as long as the inputs say, and stops no other tenant.
func TestAnothersLockStopsNobodyElse(t *testing.T) {
	t.Parallel()
	e := crowd(t, 3, "alter table b add column i int")
	for i := range 3 {
		e.do(t, fmt.Sprintf("create table s%02d.b ()", i))
	}
	holder, err := pgx.Connect(t.Context(), e.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(t.Context(), "begin; lock table s01.b"); err != nil {
		t.Fatal(err)
	}
	o := e.migrateOwn(t, "statement-lock-timeout=200ms", "concurrency=3")
	o.counts(t, 2, 0, 1, 0)
	if strings.Contains(o.log, "wait for each other's locks") {
		t.Errorf("blames its own workers:\n%s", o.log)
	}
}

// Migrations that need more locks together than the server has room for go on one at a time.
func TestWorkersThatUseUpTheLocks(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	server, err := pgtest.Start(t.Context(), pgtest.Options{Settings: map[string]string{
		"max_locks_per_transaction": "10", "max_connections": "20", "max_worker_processes": "1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	e := crowd(t, 8, "do $$ begin for i in 1..150 loop execute format('create table t%s ()', i); end loop; end $$; "+
		"select pg_sleep(0.3)")
	if e.url, err = server.CreateTenant(t.Context(), "tenant", "password", "tenant"); err != nil {
		t.Fatal(err)
	}
	e.do(t, "create table schema_tracker (name text primary key)")
	for i := range 8 {
		e.do(t, fmt.Sprintf("create schema s%02d; insert into schema_tracker values ('s%02[1]d')", i))
	}
	o := e.migrateOwn(t)
	o.counts(t, 8, 0, 0, 0)
	o.says(t, "workers of this run wait for each other's locks")
}

// Backups need two connections each, and have three among eight workers.
func TestBackupsWithFewerConnectionsThanWorkers(t *testing.T) {
	servertest.Long(t)
	e, v := crowd(t, 6, "create table a (i int)"), newVault(t)
	u, err := url.Parse(e.url)
	if err != nil {
		t.Fatal(err)
	}
	e.migrateOwn(t).counts(t, 6, 0, 0, 0)
	limit := "alter role " + pgtest.Identifier(u.User.Username()) + " connection limit 3"
	if err := pgtest.Shared(t).Exec(t.Context(), strings.TrimPrefix(u.Path, "/"), limit); err != nil {
		t.Fatal(err)
	}
	e.run(t, v.inputs("mode=backup")...).counts(t, 6, 0, 0, 0)
}

// A database's own limit concerns its tenant alone.
func TestADatabasesOwnLimitStopsNobodyElse(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	server := pgtest.Shared(t)
	object := map[string]string{}
	for _, name := range []string{"one", "two", "full"} {
		object[name] = pgtest.Database(t)
	}
	u, err := url.Parse(object["full"])
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/")
	if err := server.Exec(t.Context(), "postgres",
		"alter database "+pgtest.Identifier(database)+" connection limit 0"); err != nil {
		t.Fatal(err)
	}
	bundle, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	o := f.run(t, t.Context(), "neon-api-key=", "neon-api-url=", "tenant-source=secrets", "tenant-secrets="+string(bundle),
		"tenant-timeout=3s", "concurrency=3")
	o.counts(t, 2, 0, 1, 0)
	if strings.Contains(o.log, "no room for more connections") {
		t.Errorf("the fleet is slowed down:\n%s", o.log)
	}
}
