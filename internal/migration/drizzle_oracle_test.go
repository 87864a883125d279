package migration_test

import (
	"fmt"
	"testing"

	"github.com/org/neon-tenants-action/internal/drizzletest"
	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// drizzleTable is where drizzle records what it has applied.
const drizzleTable = "drizzle.__drizzle_migrations"

func drizzleOptions() migration.Options {
	o := options()
	table, _ := postgres.ParseTable(drizzleTable)
	o.Table = postgres.Ledger{Table: table, Format: postgres.Drizzle}
	return o
}

// byUs migrates with this package.
func byUs(t testing.TB, url, folder string) (migration.Result, error) {
	t.Helper()
	m, err := migration.Load(folder, "drizzle", postgres.Drizzle)
	if err != nil {
		return migration.Result{}, err
	}
	return migrate(t.Context(), url, m, drizzleOptions())
}

// byThem migrates with drizzle-orm.
func byThem(t testing.TB, line drizzletest.Line, url, folder string) error {
	t.Helper()
	return drizzletest.Migrate(t, line, drizzletest.Migration{URLs: []string{url}, Folder: folder})
}

// must is for migrations that have to succeed.
func must(t testing.TB, who string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
}

// stateOf is what a migration may change in a database, drizzle's own table included, with the rows of that.
func stateOf(t testing.TB, url string) []string {
	t.Helper()
	return pgtest.Ask(t, url, `select 'column ' || c.oid::regclass || '.' || attname || ' ' ||
			format_type(atttypid, atttypmod) || ' ' || attnotnull || coalesce(' ' || pg_get_expr(adbin, adrelid), '')
		from pg_attribute a join pg_class c on c.oid = attrelid
			left join pg_attrdef d on d.adrelid = c.oid and d.adnum = attnum
		where attnum > 0 and c.oid >= 16384 and relkind in ('r', 'v')
	union all select 'constraint ' || conname || ' ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
		from pg_constraint where oid >= 16384
	union all select indexdef from pg_indexes where schemaname !~ '^pg_'
	union all select 'schema ' || nspname from pg_namespace where oid >= 16384
	union all select 'function ' || oid::regprocedure from pg_proc where oid >= 16384
	union all select 'rows ' || query_to_xml('select to_jsonb(m) - ''applied_at'' as r,
			to_jsonb(m) ->> ''applied_at'' is null as n from `+drizzleTable+` m order by id', true, false, '')::text
		where to_regclass('`+drizzleTable+`') is not null
	order by 1`)
}

// objects is all that a health check compares of a database, and drizzle's own table.
func objects(t testing.TB, url string) []fingerprint.Object {
	t.Helper()
	c, err := connect(t.Context(), url, postgres.Options{})
	must(t, "connect", err)
	defer c.Close()
	nothing, _ := postgres.ParseTable("nowhere.nothing")
	all, err := fingerprint.Describe(t.Context(), c, fingerprint.Options{Table: postgres.Ledger{Table: nothing}})
	must(t, "describe", err)
	return all
}

// nothingLeft checks that both find nothing to do in a database, and leave it as it is.
func nothingLeft(t testing.TB, line drizzletest.Line, url, folder string) {
	t.Helper()
	before := stateOf(t, url)
	must(t, "drizzle, with nothing to do", byThem(t, line, url, folder))
	servertest.Equal(t, "after drizzle found nothing to do", stateOf(t, url), before)
	got, err := byUs(t, url, folder)
	must(t, "ours, with nothing to do", err)
	if len(got.Applied)+len(got.Pending)+len(got.Unknown)+len(got.Skipped) > 0 || len(got.Edited) > 0 {
		t.Errorf("ours finds something to do: %+v", got)
	}
	servertest.Equal(t, "after ours found nothing to do", stateOf(t, url), before)
}

// eachLine runs a test for each line of drizzle, in parallel.
func eachLine(t *testing.T, test func(*testing.T, drizzletest.Line)) {
	t.Parallel()
	drizzletest.Need(t)
	for _, line := range drizzletest.Lines {
		t.Run(string(line), func(t *testing.T) {
			t.Parallel()
			test(t, line)
		})
	}
}

// numbered are files in their order, a second apart, with names for both layouts.
func numbered(sql ...string) []drizzletest.File {
	var all []drizzletest.File
	for i, text := range sql {
		all = append(all, numberedAs(i, fmt.Sprintf("file%d", i), text))
	}
	return all
}

// numberedAs is a file of a name, i seconds after the first of 2026.
func numberedAs(i int, name, sql string) drizzletest.File {
	return drizzletest.File{Name: fmt.Sprintf("202601010000%02d_%s", i, name), SQL: sql,
		When: 1767225600000 + 1000*int64(i)}
}

// TestBesideDrizzleEitherWay gives folders that drizzle-kit generated to both, whole and file by file in turns, and
// compares what they leave.
func TestBesideDrizzleEitherWay(t *testing.T) {
	eachLine(t, func(t *testing.T, line drizzletest.Line) {
		for _, name := range []string{"shop", "tenant", "public"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				folder := drizzletest.Generated(t, string(line)+"/"+name)
				eitherWay(t, line, folder, drizzletest.Read(t, line, folder))
			})
		}
	})
}

// eitherWay checks that we do with a folder what drizzle does, and take turns with it.
func eitherWay(t *testing.T, line drizzletest.Line, folder string, files []drizzletest.File) {
	t.Helper()
	theirs, ours := pgtest.Database(t), pgtest.Database(t)
	must(t, "drizzle", byThem(t, line, theirs, folder))
	want := stateOf(t, theirs)
	got, err := byUs(t, ours, folder)
	must(t, "ours", err)
	servertest.Equal(t, "files applied", len(got.Applied), len(files))
	servertest.Equal(t, "what ours leaves", stateOf(t, ours), want)
	servertest.Equal(t, "objects that ours leaves", objects(t, ours), objects(t, theirs))
	nothingLeft(t, line, ours, folder)
	nothingLeft(t, line, theirs, folder)
	for first := range 2 {
		turns := pgtest.Database(t)
		for i := range files {
			part := drizzletest.Write(t, line, files[:i+1]...)
			if (i+first)%2 == 0 {
				must(t, "drizzle, in turns", byThem(t, line, turns, part))
				continue
			}
			_, err := byUs(t, turns, part)
			must(t, "ours, in turns", err)
		}
		servertest.Equal(t, fmt.Sprintf("in turns, from %d", first), stateOf(t, turns), want)
		nothingLeft(t, line, turns, folder)
	}
}
