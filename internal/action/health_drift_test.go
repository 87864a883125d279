package action

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// hold runs SQL in a transaction that stays open until the test ends or release is called.
func hold(t *testing.T, url, sql string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	release = func() { _ = conn.Close(context.Background()) }
	t.Cleanup(release)
	for _, statement := range []string{"begin", sql} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return release
}

// A locked table holds up its own tenant only for a moment. What else could be read is told, and the tenant is under a
// heading of its own.
func TestHealthWhileATableIsLocked(t *testing.T) {
	for name, statement := range map[string]string{
		"a table":                 "lock table users in access exclusive mode",
		"the table of migrations": "lock table schema_migrations in access exclusive mode",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, named("a", "b", "c")...)
			f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
			query(t, f.projects[1], "create view people as select * from users where id > 1")
			release := hold(t, f.projects[1].URL, statement)
			began := time.Now()
			o := f.run(t, t.Context(), "mode=health-check", "fail-on=none", "tenant-timeout=2m")
			o.counts(t, 3, 0, 0, 0)
			if o.err != nil || time.Since(began) > time.Minute {
				t.Errorf("after %s: %v\n%s", time.Since(began), o.err, o.log)
			}
			table := strings.Fields(statement)[2]
			o.says(t, "not everything could be checked: table "+table+" is locked by server process ",
				"not wholly checked, because another session keeps a table locked: 1 tenant", "b  table locked",
				"Schemas: 2 tenants match")
			if d := o.healthOf(t, "b"); !d.Locked || d.Fingerprint != "" {
				t.Errorf("got %+v", d)
			}
			o = f.run(t, t.Context(), "mode=health-check", "fail-on=unreachable")
			o.counts(t, 2, 0, 1, 0)
			o.says(t, "check it again when that session is done")
			release()
			query(t, f.projects[1], "drop view people")
			f.run(t, t.Context(), "mode=health-check").counts(t, 3, 0, 0, 0)
		})
	}
}

// A tenant whose time is over is a tenant that could not be checked.
func TestHealthThatTakesTooLong(t *testing.T) {
	f := newFleet(t, named("a", "b")...)
	f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
	hold(t, f.projects[1].URL, "lock table users in access exclusive mode")
	query(t, f.projects[0], "create view people as select * from users")
	o := f.run(t, t.Context(), "mode=health-check", "fail-on=none", "tenants=b", "tenant-timeout=1s")
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "could not be checked: 1 tenant", "tenant-timeout")
}

// Migrations at the same moment are no drift: what differs by its fingerprint and is equal a moment later is equal, and
// what the server cannot read because it was just dropped is read again.
func TestHealthDuringMigrations(t *testing.T) {
	f := newFleet(t, named("a", "b", "c")...)
	f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- churn(ctx, f.projects[1].URL) }()
	for range 5 {
		o := f.run(t, t.Context(), "mode=health-check", "fail-on=none")
		o.counts(t, 3, 0, 0, 0)
		for _, e := range o.report.Tenants {
			drift := o.healthOf(t, e.Name).Drift
			// Where the server is slow, b may change during each of several looks.
			known := strings.Contains(drift, "churned") || strings.Contains(drift, "changed each time it was read")
			if e.Name != "b" && len(e.Warnings) > 0 || drift != "" && !known {
				t.Errorf("of %s it says %q, %q", e.Name, e.Warnings, drift)
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	f.run(t, t.Context(), "mode=health-check").counts(t, 3, 0, 0, 0)
}

// churn creates and drops a table with all that belongs to one, until ctx ends.
func churn(ctx context.Context, url string) error {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for ctx.Err() == nil {
		for _, statement := range []string{
			"create table churned (id serial primary key, a text default 'x' check (a in ('x', 'y')))",
			"create view churned_view as select * from churned", "create index on churned (lower(a))",
			"drop table churned cascade",
		} {
			if _, err := conn.Exec(context.Background(), statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// Indexes and constraints that are not valid are told; a constraint that is not valid on all tenants is no drift.
func TestHealthOfWhatIsNotValid(t *testing.T) {
	f := newFleet(t, named("a", "b", "c")...)
	f.run(t, t.Context()).counts(t, 3, 0, 0, 0)
	for _, p := range f.projects {
		query(t, p, "alter table users add constraint k check (id > 0) not valid")
	}
	o := f.run(t, t.Context(), "mode=health-check")
	o.counts(t, 3, 0, 0, 0)
	o.says(t, "1 index or constraint is not valid: constraint users.k", "indexes or constraints not valid: 3 tenants",
		"Schemas: 3 tenants match")
	f.run(t, t.Context(), "mode=health-check", "fail-on=invalid").counts(t, 0, 0, 3, 0)
	query(t, f.projects[0], "alter table users validate constraint k; insert into users (email, name) "+
		"select 'e' || i, 'same' from generate_series(1, 2) i")
	conn, err := pgx.Connect(t.Context(), f.projects[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err = conn.Exec(t.Context(), "create unique index concurrently twice on users (name)"); err == nil {
		t.Fatal("two users have the same name")
	}
	o = f.run(t, t.Context(), "mode=health-check", "fail-on=drift")
	o.counts(t, 2, 0, 1, 0)
	o.says(t, "1 index or constraint is not valid: index twice", ", not valid",
		"constraint users.k CHECK ((id > 0)) NOT VALID -> ")
}

// What few tenants have costs one more round trip the first time, and the others none.
func TestHealthRoundTripsForUncommonKinds(t *testing.T) {
	server := pgtest.Shared(t)
	proxy, err := wiretest.NewProxy(net.JoinHostPort(server.Host, strconv.Itoa(server.Port)), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	secrets := map[string]string{}
	for _, name := range []string{"A", "B", "C"} {
		database := pgtest.Database(t)
		pgtest.Do(t, database, "create aggregate g (integer) (sfunc = int4pl, stype = integer)")
		through, err := proxy.URL(database)
		if err != nil {
			t.Fatal(err)
		}
		through, _, _ = strings.Cut(through, "?")
		secrets[name+"_DATABASE_URL"] = through + "?sslmode=disable"
	}
	f := newFleet(t)
	inputs := []string{"neon-api-key=", "tenant-source=secrets", "tenant-secrets=" + string(mustJSON(t, secrets))}
	f.run(t, t.Context(), inputs...).counts(t, 3, 0, 0, 0)
	proxy.Reset()
	f.run(t, t.Context(), append(inputs, "mode=health-check", "concurrency=1")...).counts(t, 3, 0, 0, 0)
	const connecting = 4 // opening, and SCRAM
	if got := proxy.Traffic(); got.Connections != 3 || got.RoundTrips > 3*(connecting+2)+1 {
		t.Errorf("%+v, want three connections with 2 round trips each after connecting, and one more", got)
	}
}

// shardedHealth checks a fleet in shards and returns the merged outcome.
func shardedHealth(t *testing.T, f *organisation, shards int, inputs ...string) outcome {
	t.Helper()
	for i := 1; i <= shards; i++ {
		file := filepath.Join(f.workspace, "reports", fmt.Sprint(i), "neon-tenants-report.json")
		f.run(t, t.Context(), append([]string{"mode=health-check", fmt.Sprintf("shard=%d/%d", i, shards),
			"report-file=" + file}, inputs...)...)
	}
	return f.merge(t)
}

// A fleet that is checked in shards is compared as a whole: each shard knows only its own tenants.
func TestHealthOfAFleetInShards(t *testing.T) {
	servertest.Long(t)
	f := newFleet(t, named("a", "b", "c", "d", "e", "f", "g", "h")...)
	f.run(t, t.Context()).counts(t, 8, 0, 0, 0)
	var odd []neontest.Project
	var names []string
	first := fleet.Shard{Index: 1, Count: 2}
	for _, p := range f.projects {
		if first.Has(fleet.Tenant{ID: p.ID}) && len(odd) < 3 { // a shard's own tenants are alike, or most of them
			odd, names = append(odd, p), append(names, p.Name)
			query(t, p, "alter table users add extra integer")
		}
	}
	t.Run("drift between the shards", func(t *testing.T) {
		whole := f.run(t, t.Context(), "mode=health-check", "report-file=")
		o := shardedHealth(t, f, 2)
		o.counts(t, 8-len(odd), 0, len(odd), 0)
		if o.err == nil || o.outputs["failed-tenants"] != string(mustJSON(t, names)) {
			t.Errorf("%v: %s, want %q", o.err, o.outputs["failed-tenants"], names)
		}
		text := fmt.Sprintf("the schema differs from that of %d others: + column users.extra integer", 8-len(odd))
		section := fmt.Sprintf("Schemas: %d tenants match; 1 group differs\n", 8-len(odd))
		for _, run := range []outcome{whole, o} {
			run.says(t, text, section, fmt.Sprintf("Health: %d of 8 tenants healthy", 8-len(odd)),
				"turn the change into a migration for all tenants")
		}
		for _, e := range o.report.Tenants {
			if d := o.healthOf(t, e.Name); len(d.Problems) > 1 {
				t.Errorf("%s: %+v", e.Name, d)
			}
		}
		if h := o.fleetHealth(t); h.Problems["drift"] != len(odd) || len(h.Schemas) != 2 {
			t.Errorf("got %+v", h)
		}
	})
	t.Run("that need not fail", func(t *testing.T) {
		o := shardedHealth(t, f, 2, "fail-on=none")
		o.counts(t, 8, 0, 0, 0)
		o.says(t, "the schema differs from that of", "::warning::")
	})
	t.Run("with a reference in one shard", func(t *testing.T) {
		o := shardedHealth(t, f, 2, "reference-tenant="+odd[0].Name)
		o.counts(t, len(odd), 0, 8-len(odd), 0)
		o.says(t, "- column users.extra integer")
	})
	t.Run("with a reference that nobody checks", func(t *testing.T) {
		o := shardedHealth(t, f, 2, "reference-tenant="+odd[0].Name, "tenants=*,!"+odd[0].Name)
		o.counts(t, len(odd)-1, 0, 8-len(odd), 0)
		o.says(t, "- column users.extra integer")
	})
	t.Run("other problems stay", func(t *testing.T) {
		query(t, odd[0], "drop table tasks")
		o := shardedHealth(t, f, 2, "required-tables=tasks")
		if diff := cmp.Diff([]string{"tables", "drift"}, o.healthOf(t, odd[0].Name).Problems); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		o.says(t, "1 required table is missing: tasks; the schema differs from that of")
	})
	t.Run("with a report of another release", func(t *testing.T) {
		file := filepath.Join(f.workspace, "reports", "1", "neon-tenants-report.json")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		old := strings.ReplaceAll(string(data), `"fingerprint_version":2`, `"fingerprint_version":1`)
		old = strings.ReplaceAll(old, `"fingerprint_version": 2`, `"fingerprint_version": 1`)
		if err := os.WriteFile(file, []byte(old), 0o600); err != nil || old == string(data) {
			t.Fatal(err)
		}
		f.merge(t).says(t, "by another release of the action, whose fingerprints cannot be compared with these: ")
	})
}
