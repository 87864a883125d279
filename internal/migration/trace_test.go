package migration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

func watching() migration.Options {
	o := options()
	o.Watch = true
	return o
}

// What an attempt did that was rolled back is not taken for the next one's.
func TestTraceOfASecondAttempt(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	pgtest.Do(t, url, shop+"; create sequence tries")
	got, err := migrate(t.Context(), url, files(t, "001_a.sql", up(`alter table orders add a int;
		alter table orders alter a type bigint;
		do $$ begin if nextval('tries') = 1 then raise exception 'again' using errcode = '40001'; end if; end $$`)),
		watching())
	if err != nil || len(got.Traces) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	var rewrote []int
	for _, r := range got.Traces[0].Rewrites {
		rewrote = append(rewrote, r.Statement)
	}
	servertest.Equal(t, "statements that rewrote", rewrote, []int{1})
}

// A statement is in one of the files that are committed together.
func TestTraceOfFilesCommittedTogether(t *testing.T) {
	t.Parallel()
	o := drizzle()
	o.Watch = true
	m := journaled(t, []any{10, "a", 30, "b", 20, "c"}, "create table a ()", "create table b ()", "\ncreate table c ()")
	got, err := migrate(t.Context(), pgtest.Database(t), m, o)
	if err != nil || len(got.Traces) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	var places []string
	for _, s := range got.Traces[1].Statements {
		places = append(places, fmt.Sprintf("%s:%d", s.File, s.Line))
	}
	servertest.Equal(t, "places", places, []string{"b.sql:1", "c.sql:2"})
}

// Each known shape has the locks and the rewrites that its hint speaks of, on a real server, and its safer form can be
// run as it is, on tables with rows, and comes to the same.
func TestTraces(t *testing.T) {
	for group, all := range map[string]map[string]traced{"": shapes, "named ": named, "parts ": parts} {
		for name, s := range all {
			t.Run(group+name, func(t *testing.T) {
				t.Parallel()
				testShape(t, s)
			})
		}
	}
}

func testShape(t *testing.T, s traced) {
	url := pgtest.Database(t)
	pgtest.Do(t, url, shop)
	file := up(s.sql + ";")
	if s.alone {
		file = alone(s.sql + ";")
	}
	got, err := migrate(t.Context(), url, files(t, "001_a.sql", file), watching())
	if err != nil || len(got.Traces) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	same(t, s, got.Traces[0])
	var forms []string
	for _, h := range got.Traces[0].Hints() {
		if h.Safer != "" {
			forms = append(forms, h.Safer)
		}
	}
	if !s.safer {
		for _, f := range forms {
			if !strings.Contains(f, "…") { // it takes something that only its reader knows
				t.Errorf("a safer form is not run:\n%s", f)
			}
		}
		return
	}
	safer := runSafer(t, forms)
	if !strings.Contains(s.sql, "stored") && !strings.Contains(s.sql, "detach") { // their forms say what is left to do
		servertest.Equal(t, "schema", pgtest.Ask(t, safer, schemaQuery), pgtest.Ask(t, url, schemaQuery))
	}
}

// schemaQuery describes columns, constraints and indexes, without their order.
const schemaQuery = `select * from (
	select attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' ||
		attcollation || ' ' || coalesce(pg_get_expr(adbin, adrelid), '') as line
	from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
	where attnum > 0 and not attisdropped and attrelid in
		(select oid from pg_class where oid >= 16384 and relkind in ('r', 'p'))
	union all select conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
	where conrelid >= 16384
	union all select pg_get_indexdef(indexrelid) || indisvalid from pg_index where indrelid in
		(select oid from pg_class where oid >= 16384 and relkind in ('r', 'p', 'm'))) s order by 1`

// A statement that ends early, as one that failed may, has hints or none, and they end.
func TestHintsOfPartOfAStatement(t *testing.T) {
	for _, all := range []map[string]traced{shapes, named, parts} {
		for _, s := range all {
			for end := range s.sql {
				trace := migration.Trace{Statements: []migration.TracedStatement{{SQL: s.sql[:end]}},
					Locks: []migration.TableLock{{Mode: "EXCLUSIVE"}}, Rewrites: []migration.Rewrite{{Bytes: 1}}}
				if n := len(trace.Hints()); n > 2 {
					t.Errorf("%s: %d hints", s.sql[:end], n)
				}
			}
		}
	}
}

func same(t *testing.T, want traced, got migration.Trace) {
	t.Helper()
	var locks, rewrites, indexes, hints []string
	for _, l := range got.Locks {
		locks = append(locks, l.Table+" "+l.Mode)
		if l.Held > got.Elapsed {
			t.Errorf("held %s of %s", l.Held, got.Elapsed)
		}
	}
	for _, r := range got.Rewrites {
		rewrites = append(rewrites, r.Table)
		if r.Bytes == 0 {
			t.Errorf("no size: %+v", r)
		}
	}
	for _, i := range got.Indexes {
		indexes = append(indexes, i.Index+" on "+i.Table)
		if i.Bytes == 0 {
			t.Errorf("no size: %+v", i)
		}
	}
	for _, h := range got.Hints() {
		hints = append(hints, h.ID)
	}
	for _, list := range [][]string{locks, rewrites, indexes} {
		slices.Sort(list)
	}
	if !got.Sampled { // short ones are only seen by luck
		servertest.Equal(t, "locks", locks, want.locks)
	}
	servertest.Equal(t, "rewrites", rewrites, want.rewrites)
	servertest.Equal(t, "indexes", indexes, want.indexes)
	servertest.Equal(t, "hints", strings.Join(hints, " "), want.hint)
}

// runSafer runs safer forms, each of their files as a migration, and returns the database. There are no hints about
// them, and no table is read or rewritten under a strong lock.
func runSafer(t *testing.T, forms []string) (url string) {
	t.Helper()
	url = pgtest.Database(t)
	pgtest.Do(t, url, shop)
	var pairs, parts []string
	for _, form := range forms {
		for i, part := range strings.Split(form, "-- in a file of its own") {
			if _, text, separated := strings.Cut(part, ":\n"); separated && i > 0 {
				part = text
			}
			if strings.TrimSpace(part) == "" {
				continue
			}
			if !strings.Contains(part, "migrate:up") {
				part = "-- migrate:up\n" + part
			}
			parts = append(parts, part)
			pairs = append(pairs, fmt.Sprintf("%03d_a.sql", len(pairs)/2+1), part+"\n-- migrate:down\n")
		}
	}
	got, err := migrate(t.Context(), url, files(t, pairs...), watching())
	if err != nil {
		t.Fatalf("%s\n%v", forms, err)
	}
	for _, trace := range got.Traces {
		for _, h := range trace.Hints() {
			t.Errorf("%s: %s", trace.Statements[h.Statement].SQL, h.ID)
		}
	}
	readsNothing(t, parts)
	return url
}

// readsNothing proves that PostgreSQL, by its own account, rewrites no table for these files, and reads one only to
// validate a constraint.
func readsNothing(t *testing.T, parts []string) {
	t.Helper()
	url := pgtest.Database(t)
	pgtest.Do(t, url, shop)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message) }
	config.RuntimeParams["client_min_messages"] = "debug1"
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(t.Context()) }()
	for _, part := range parts {
		notices = nil
		if _, err := c.PgConn().Exec(t.Context(), part).ReadAll(); err != nil {
			t.Fatalf("%s\n%v", part, err)
		}
		proven := false
		for _, n := range notices {
			proven = proven || strings.Contains(n, "are sufficient to prove")
			if strings.HasPrefix(n, "rewriting table") ||
				strings.HasPrefix(n, "verifying table") && !strings.Contains(part, "validate constraint") {
				t.Errorf("%s\n%s", part, n)
			}
		}
		if strings.Contains(part, "set not null") && !proven {
			t.Errorf("%s\n%q", part, notices)
		}
	}
}
