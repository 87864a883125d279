package action

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// awkward has the tables whose rows are easily compared wrongly.
const awkward = `
create schema "Odd; ""schema""";
create table "Odd; ""schema"""."tablé" (id int primary key, "naïve; column" text);
insert into "Odd; ""schema"""."tablé" select i, 'é' from generate_series(1, 20) i;
create table plain (id int primary key, t text); insert into plain select i, E'a\nb\\.' from generate_series(1, 7) i;
create table empty (i int);
create table parted (id int, t text) partition by range (id);
create table parted_low partition of parted for values from (minvalue) to (10) partition by list (id);
create table parted_one partition of parted_low for values in (1);
create table parted_rest partition of parted_low default;
create table parted_high partition of parted default;
insert into parted select i, 'x' from generate_series(1, 30) i;
create table parent (i int); insert into parent values (1);
create table child () inherits (parent); insert into child values (2), (3);
create table forced (i int); insert into forced values (1), (2); alter table forced enable row level security;
create materialized view m as select * from plain; create materialized view later as select 1 with no data;
select lo_from_bytea(5, 'x');
`

// secretTenants are the inputs of a job whose tenants are these databases.
func secretTenants(t *testing.T, v *vault, urls map[string]string, more ...string) []string {
	t.Helper()
	secrets := map[string]string{}
	for name, url := range urls {
		secrets[strings.ToUpper(name)+"_DATABASE_URL"] = url
	}
	return v.inputs(append([]string{
		"neon-api-key=", "mode=backup", "tenant-source=secrets", "tenant-secrets=" + string(mustJSON(t, secrets)),
		"verify=restore", "verify-database-url=" + pgtest.Shared(t).URL("postgres"),
	}, more...)...)
}

// verifier is a superuser of its own to verify with: the throwaway databases that it owns are this test's.
func verifier(t *testing.T) string {
	t.Helper()
	url := pgtest.Database(t)
	role := pgtest.Identifier(column(t, url, "select current_user")[0])
	column(t, superuserURL(t, "postgres"), "alter role "+role+" superuser")
	return url
}

// scratchesOf lists the throwaway databases of a connection string's role.
func scratchesOf(t *testing.T, url string) []string {
	t.Helper()
	return column(t, url, "select datname from pg_database where datname like 'neon_tenants_scratch_%' "+
		"and datdba = current_user::regrole")
}

func superuserURL(t *testing.T, database string) string {
	t.Helper()
	return pgtest.Shared(t).URL(database)
}

// Every argument and format with which a backup is made, it can be proved with, too.
func TestVerificationOfEveryKindOfDump(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t), newVault(t)
	database := column(t, pgtest.Database(t), "select current_database()")[0]
	url := superuserURL(t, database)
	column(t, url, awkward+"select 1")
	const rows = 20 + 7 + 30 + 1 + 2 + 2
	const counted = " rows in 9 tables, counted in the database"
	for name, c := range map[string]struct{ inputs, compared string }{
		"as it is":       {"", strconv.Itoa(rows) + counted + " and in the dump"},
		"zstd":           {"compression=zstd", strconv.Itoa(rows) + counted + " and in the dump"},
		"custom":         {"backup-format=custom", strconv.Itoa(rows) + counted + " and in the dump"},
		"quoted":         {"pg-dump-args=--quote-all-identifiers", strconv.Itoa(rows) + counted + " and in the dump"},
		"quoted, custom": {"backup-format=custom pg-dump-args=--quote-all-identifiers", strconv.Itoa(rows) + counted},
		"root":           {"pg-dump-args=--load-via-partition-root", "62 rows in 7 tables, counted in the database and in"},
		"root, custom":   {"backup-format=custom pg-dump-args=--load-via-partition-root", "62 rows in 7 tables, counted"},
		"root, inserts": {"pg-dump-args=--load-via-partition-root|--inserts",
			"62 rows in 6 tables, counted in the database"},
		"inserts": {"pg-dump-args=--inserts", strconv.Itoa(rows) + " rows in 8 tables, counted in the database"},
		"column inserts": {"pg-dump-args=--column-inserts|--quote-all-identifiers", strconv.Itoa(rows) +
			" rows in 8 tables"},
		"many, no clash":  {"pg-dump-args=--rows-per-insert=3|--on-conflict-do-nothing", strconv.Itoa(rows) + " rows in 8"},
		"inserts, custom": {"backup-format=custom pg-dump-args=--inserts", strconv.Itoa(rows) + " rows in 8 tables"},
		"clean":           {"pg-dump-args=--clean|--if-exists", strconv.Itoa(rows) + counted},
		"latin1":          {"pg-dump-args=--encoding=LATIN1", strconv.Itoa(rows) + counted},
		"bytes":           {"pg-dump-args=--encoding=SQL_ASCII", strconv.Itoa(rows) + counted},
		"the rest": {"pg-dump-args=--disable-dollar-quoting|--disable-triggers|--no-comments|--no-tablespaces|--no-sync|" +
			"--serializable-deferrable|--extra-float-digits=0|--verbose|--no-publications|--no-toast-compression|" +
			"--use-set-session-authorization|--no-table-access-method|--strict-names|-b", strconv.Itoa(rows) + counted},
		"a table":       {`pg-dump-args=-t|*.tabl?`, "20 rows in 1 table, counted"},
		"a schema":      {"pg-dump-args=--schema=?dd*", "20 rows in 1 table, counted"},
		"without data":  {"pg-dump-args=--exclude-table-data=par*|--no-unlogged-table-data", "31 rows in 5 tables"},
		"schema only":   {"pg-dump-args=--schema-only", "0 rows in 0 tables"},
		"without one":   {"pg-dump-args=-T|plain|-T|m|-T|later", "55 rows in"},
		"before, after": {"pg-dump-args=--section=pre-data", "0 rows in 0 tables"},
	} {
		t.Run(name, func(t *testing.T) {
			more := []string{"s3-prefix=" + strings.ReplaceAll(name, " ", "-")}
			for word := range strings.FieldsSeq(c.inputs) {
				more = append(more, strings.ReplaceAll(word, "|", " "))
			}
			o := f.run(t, t.Context(), secretTenants(t, v, map[string]string{"a": url}, more...)...)
			o.counts(t, 1, 0, 0, 0)
			d := detail[backup.Detail](t, o, "a")
			if d.Key == "" {
				t.Fatal("no backup")
			}
			if m := v.manifest(t, d.Key); m.Verified.How != "restore" || !strings.HasPrefix(m.Verified.Compared, c.compared) {
				t.Errorf("verified: %+v", m.Verified)
			}
		})
	}
}

// A database in another encoding, with names that differ by it.
func TestVerificationOfOtherEncodings(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t), newVault(t)
	s := pgtest.Shared(t)
	urls := map[string]string{}
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "EUC_JP"} {
		name := "encoded_" + strings.ToLower(encoding)
		t.Cleanup(func() { _ = s.Exec(context.Background(), "postgres", "drop database if exists "+name) })
		if err := s.Exec(t.Context(), "postgres", "create database "+name+" template template0 encoding '"+encoding+
			"' lc_collate 'C' lc_ctype 'C'"); err != nil {
			t.Fatal(err)
		}
		urls[name] = s.URL(name)
		column(t, urls[name], `create table t (t text); insert into t values ('x'); select 1`)
	}
	column(t, urls["encoded_latin1"]+"&client_encoding=UTF8", `create table "Größe é" ("naïf" text);
		insert into "Größe é" values ('ÿ'), ('ü'); select 1`)
	column(t, urls["encoded_sql_ascii"], `create table bytes (t text); insert into bytes values (E'\xff\xfe'); select 1`)
	column(t, urls["encoded_euc_jp"]+"&client_encoding=UTF8", `create table "日本" (t text);
		insert into "日本" values ('語'); select 1`)
	for _, format := range []string{"plain", "custom"} {
		o := f.run(t, t.Context(), secretTenants(t, v, urls, "backup-format="+format, "s3-prefix="+format)...)
		o.counts(t, 3, 0, 0, 0)
	}
}

// A tenant that is a schema may use the types of an extension that is not in it, or is.
func TestVerificationOfASchemaThatNeedsExtensions(t *testing.T) {
	servertest.Long(t)
	e, v := newEstate(t, "acme", "inside", "plain"), newVault(t)
	for _, sql := range []string{
		"create extension citext schema public", "create extension hstore schema inside",
		`create table acme.users (email public.citext primary key, "é" text); insert into acme.users values ('A'), ('B')`,
		"create table inside.facts (h inside.hstore); insert into inside.facts values ('a=>1')",
		"create table plain.t (i int); insert into plain.t values (1)",
	} {
		e.do(t, sql+"; select 1")
	}
	verify := v.inputs("mode=backup", "verify=restore", "verify-database-url="+pgtest.Shared(t).URL("postgres"))
	for _, format := range []string{"plain", "custom"} {
		o := e.run(t, append(verify, "backup-format="+format)...)
		o.counts(t, 3, 0, 0, 0)
		if m := v.manifest(t, detail[backup.Detail](t, o, "acme").Key); m.Verified.Rows != 2 || m.Verified.How != "restore" {
			t.Errorf("%+v", m.Verified)
		}
		time.Sleep(time.Second) // keys tell seconds
	}
	// What a schema needs of another schema is in no backup of it.
	e.do(t, "create table public.shared (i int primary key); create table plain.uses (i int references public.shared); "+
		"select 1")
	o := e.run(t, append(verify, "tenants=plain")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "is whole and counts as with verify: stream, but could not be restored for verification",
		`relation "public.shared" does not exist`, "the dump refers to what the error names and does not hold it")
	d := detail[backup.Detail](t, o, "plain")
	if m := v.manifest(t, d.Key); m.Verified.How != "stream" || m.Verified.Problem == "" || len(d.Pruned) > 0 {
		t.Errorf("%+v, %+v", m.Verified, d)
	}
}

// Whoever restores such a backup has to create the extension first, and is told so.
func TestRestoreOfASchemaThatNeedsExtensions(t *testing.T) {
	servertest.Long(t)
	e, v := newEstate(t, "acme", "inside"), newVault(t)
	for _, sql := range []string{
		"create extension citext schema public", "create extension hstore schema inside",
		"create table acme.users (email public.citext primary key); insert into acme.users values ('A')",
		"create table inside.facts (h inside.hstore); insert into inside.facts values ('a=>1')",
	} {
		e.do(t, sql+"; select 1")
	}
	e.run(t, v.inputs("mode=backup")...).counts(t, 2, 0, 0, 0)
	for tenant, extension := range map[string]string{
		"acme": "create extension citext", "inside": "create schema inside; create extension hstore schema inside",
	} {
		target := pgtest.Database(t)
		restore := v.inputs("mode=restore", "tenants="+tenant, "restore-url="+target)
		o := e.run(t, restore...)
		o.counts(t, 0, 0, 1, 0)
		o.says(t, "does not exist (SQLSTATE 42704)", "create that in the target first")
		column(t, target, extension+"; select 1")
		e.run(t, restore...).counts(t, 1, 0, 0, 0)
	}
}
