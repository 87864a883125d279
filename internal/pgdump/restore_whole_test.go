package pgdump_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/postgres/wiretest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// held is what a target holds before a restore overwrites it.
const held = `create table kept as select i, 'row ' || i t from generate_series(1, 100) i;
	create view kept_too as select count(*) from kept; select lo_from_bytea(7, 'kept')`

// lateSource has what used to end a restore's transaction, large objects, between a table and something that comes
// later in a dump.
const lateSource = wide + `; create table early as select 1 i;
	select lo_from_bytea(424242, decode(repeat('00ff5c27', 10000), 'hex')), lo_from_bytea(424243, 'b');`

// overwriting is a restore over a target that holds something.
type overwriting struct {
	target string // its database, not through the proxy
	name   string // of the session
	url    string
	whole  []byte
	o      pgdump.RestoreOptions
	ctx    context.Context
	cancel context.CancelCauseFunc
	cut    func()
}

// amid is in the data of the large table, and late after the large objects but for a few bytes.
const amid, late = 8 << 20, 100

// interrupted restores, and calls fault when all but that many bytes of the backup have been read.
func (w overwriting) interrupted(left int, fault func()) error {
	at := len(w.whole) - left
	r := &slowly{
		ctx: w.ctx, first: bytes.NewReader(w.whole[:at]), rest: bytes.NewReader(w.whole[at:]),
		reached: make(chan struct{}), open: make(chan struct{}),
	}
	done := make(chan error, 1)
	go func() {
		_, err := restoreURL(w.ctx, w.url, w.o, r)
		done <- err
	}()
	<-r.reached
	fault()
	close(r.open)
	return <-done
}

func (w overwriting) restore(stored []byte) error {
	_, err := restoreURL(w.ctx, w.url, w.o, bytes.NewReader(stored))
	return err
}

// Whatever ends a restore early, the target holds what it held before.
func TestOverwriteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	type fault struct {
		source string // SQL, in addition to lateSource
		phrase string
		run    func(t *testing.T, w overwriting) error
	}
	faults := map[string]fault{
		"a view that fails": {
			`create table zero as select 1 i; create materialized view m as select 1 / i from zero; update zero set i = 0`,
			"refresh materialized view public.m: division by zero (SQLSTATE 22012)",
			func(_ *testing.T, w overwriting) error { return w.restore(w.whole) },
		},
		"cancelled": {"", "enough", func(_ *testing.T, w overwriting) error {
			return w.interrupted(amid, func() { w.cancel(enough) })
		}},
		"cancelled late": {"", "enough", func(_ *testing.T, w overwriting) error {
			return w.interrupted(late, func() { w.cancel(enough) })
		}},
		"terminated": {"", "copy public.wide: ", func(t *testing.T, w overwriting) error {
			return w.interrupted(amid, func() { pgtest.Do(t, w.target, terminateNamed(w.name)) })
		}},
		"terminated late": {"", "", func(t *testing.T, w overwriting) error {
			return w.interrupted(late, func() { pgtest.Do(t, w.target, terminateNamed(w.name)) })
		}},
		"cut off": {"", "the connection was lost", func(_ *testing.T, w overwriting) error {
			return w.interrupted(amid, w.cut)
		}},
		"altered": {"", "", func(t *testing.T, w overwriting) error {
			altered := bytes.Clone(w.whole)
			if len(altered) < 2<<20 {
				t.Fatalf("only %d bytes", len(altered))
			}
			altered[len(altered)-1<<20] ^= 1
			return w.restore(altered)
		}},
		"a role that may not": {
			"", "empty it: must be owner of ", func(t *testing.T, w overwriting) error {
				w.url = stranger(t, w.target)
				return w.restore(w.whole)
			},
		},
	}
	do := dumpOptions(t)
	do.Compression = compress.None
	dumps := map[string][]byte{}
	for what, f := range faults {
		for _, format := range []pgdump.Format{pgdump.Plain, pgdump.Custom} {
			of := string(format) + f.source
			if dumps[of] == nil {
				source := pgtest.Database(t)
				pgtest.Do(t, source, lateSource+f.source)
				do.Format = format
				dumps[of], _ = dump(t, source, do)
			}
			whole := dumps[of]
			t.Run(what+" "+string(format), func(t *testing.T) {
				t.Parallel()
				servertest.OneOf(t, 3)
				w := overwriting{target: pgtest.Database(t), whole: whole, o: pgdump.RestoreOptions{
					Major: do.Major, Root: do.Root, Format: format, WantSHA256: hash(whole), Overwrite: true,
				}}
				pgtest.Do(t, w.target, held)
				before := contents(t, w.target)
				url, name := named(t, w.target)
				proxied, proxy := wiretest.Breakable(t, url)
				w.url, w.name, w.cut = proxied, name, proxy.Stop
				w.ctx, w.cancel = context.WithCancelCause(t.Context())
				defer w.cancel(nil)
				err := f.run(t, w)
				if err == nil || !strings.Contains(err.Error(), f.phrase) {
					t.Errorf("got %v", err)
				}
				t.Log(err)
				nothingLeft(t, w.target, name)
				servertest.Equal(t, "the target", contents(t, w.target), before)
			})
		}
	}
}

// An event trigger, which comes last in a dump, takes a superuser.
func TestOverwriteByAnOrdinaryOwner(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	pgtest.Do(t, source, `create table early as select 1 i; select lo_from_bytea(1, 'a');
		create function watch() returns event_trigger language plpgsql as $$ begin end $$`)
	s := pgtest.Shared(t)
	err := s.Exec(t.Context(), databaseOf(source), "create event trigger watching on ddl_command_end "+
		"execute function watch()")
	if err != nil {
		t.Fatal(err)
	}
	do := dumpOptions(t)
	whole, _ := dump(t, source, do)
	owner := "owner_" + strings.ToLower(t.Name())
	target, err := s.CreateTenant(t.Context(), owner, "x", owner)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Exec(context.Background(), "postgres", "drop database "+owner, "drop role "+owner) })
	pgtest.Do(t, target, held)
	before := contents(t, target)
	_, err = restoreURL(t.Context(), target, pgdump.RestoreOptions{
		Major: do.Major, Root: do.Root, Format: pgdump.Plain, Compression: compress.Gzip, Overwrite: true,
	}, bytes.NewReader(whole))
	if err == nil || !strings.Contains(err.Error(),
		"create event trigger watching on ddl_command_end execute function public.watch: permission denied") {
		t.Errorf("got %v", err)
	}
	servertest.Equal(t, "the target", contents(t, target), before)
}

// A client may choose any number for a large object, also one of those that are the server's own for everything else.
func TestLargeObjectOfALowNumber(t *testing.T) {
	t.Parallel()
	source, target := pgtest.Database(t), pgtest.Database(t)
	pgtest.Do(t, source, "select lo_create(5)")
	pgtest.Do(t, target, "select lo_create(5), lo_create(6)")
	do := dumpOptions(t)
	whole, _ := dump(t, source, do)
	for _, overwrite := range []bool{false, true} {
		_, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{
			Major: do.Major, Root: do.Root, Format: pgdump.Plain, Compression: compress.Gzip, Overwrite: overwrite,
		}, bytes.NewReader(whole))
		if refused := errors.As(err, new(*pgdump.NotEmptyError)); refused == overwrite || overwrite && err != nil {
			t.Errorf("overwrite %v: %v", overwrite, err)
		}
	}
	servertest.Equal(t, "large objects", pgtest.Ask(t, target, "select oid::text from pg_largeobject_metadata"),
		[]string{"5"})
}

// A message names the statement and the row, and no value of the backup.
func TestRestoreErrorsQuoteNoData(t *testing.T) {
	t.Parallel()
	_, major := clientRoot(t)
	const rows = "COPY a (t) FROM stdin;\nsecret\nsecret\n\\.\n"
	for sql, want := range map[string]string{
		"create table a (t int);\n" + rows: "copy a: row 1: invalid input syntax for type integer (SQLSTATE 22P02)",
		"create table a (t int);\nINSERT INTO a VALUES ('secret');\n": "insert into a: " +
			"invalid input syntax for type integer (SQLSTATE 22P02)",
		"create table a (t text);\n" + rows + "ALTER TABLE ONLY a ADD CONSTRAINT u UNIQUE (t);\n": "alter table only a " +
			`add constraint u unique: could not create unique index "u" (SQLSTATE 23505)`,
		"create table a (t text primary key);\n" + rows: "copy a: row 2: " +
			`duplicate key value violates unique constraint "a_pkey" (SQLSTATE 23505)`,
		"create table a (t text check (t = ''));\n" + rows: "copy a: row 1: new row for " +
			`relation "a" violates check constraint "a_t_check" (SQLSTATE 23514)`,
	} {
		target := pgtest.Database(t)
		_, err := restoreURL(t.Context(), target, pgdump.RestoreOptions{Major: major, Format: pgdump.Plain},
			strings.NewReader(sql+marker))
		if err == nil || !strings.HasSuffix(err.Error(), " on 127.0.0.1: "+want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	}
}

// An archive that cannot be loaded is not read to its end.
func TestRestoreStopsReading(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	pgtest.Do(t, source, wide)
	do := dumpOptions(t)
	do.Format, do.Compression = pgdump.Custom, compress.None
	whole, _ := dump(t, source, do)
	r := &counted{r: bytes.NewReader(whole)}
	_, err := restoreURL(t.Context(), stranger(t, pgtest.Database(t)), pgdump.RestoreOptions{
		Major: do.Major, Root: do.Root, Format: pgdump.Custom,
	}, r)
	if err == nil || !strings.Contains(err.Error(), "create table public.wide: permission denied for schema public") {
		t.Errorf("got %v", err)
	}
	if r.n > len(whole)/2 {
		t.Errorf("%d bytes were read", r.n)
	}
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func databaseOf(url string) string {
	return strings.Split(url[strings.LastIndexByte(url, '/')+1:], "?")[0]
}

// stranger returns the URL of a role that owns nothing in the database, and may create nothing.
func stranger(t *testing.T, url string) string {
	t.Helper()
	s, role := pgtest.Shared(t), "stranger_of_"+databaseOf(url)
	pgtest.Do(t, s.URL("postgres"), "create role "+role+" login password 'x'")
	t.Cleanup(func() { _ = s.Exec(context.Background(), "postgres", "drop role "+role) })
	return s.TenantURL(role, "x", databaseOf(url))
}
