package pgdump_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/org/neon-tenants-action/internal/compress"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// clientRoot returns a root with the programs of the shared server's own version.
func clientRoot(t testing.TB) (root string, major int) {
	t.Helper()
	s := pgtest.Shared(t)
	root = t.TempDir()
	bin := filepath.Join(root, strconv.Itoa(s.Version))
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.BinDir, filepath.Join(bin, "bin")); err != nil {
		t.Fatal(err)
	}
	return root, s.Version
}

func dumpOptions(t testing.TB) pgdump.DumpOptions {
	t.Helper()
	root, major := clientRoot(t)
	return pgdump.DumpOptions{Major: major, Root: root, Compression: compress.Gzip, Level: 6}
}

// hostile has names, texts and kinds of objects that are easily mishandled.
const hostile = `
create schema "odd "" schema; \! touch /tmp/x";
create type "odd "" schema; \! touch /tmp/x"."mood's" as enum ('fine', 'it''s', E'back\\slash');
create table "odd "" schema; \! touch /tmp/x"."tablé ☃ ' \ $1" (
	id serial primary key, "a""b" text, mood "odd "" schema; \! touch /tmp/x"."mood's");
insert into "odd "" schema; \! touch /tmp/x"."tablé ☃ ' \ $1" ("a""b", mood) values
	(E'\\.\n\\! touch /tmp/x\n-- PostgreSQL database dump complete\n\\unrestrict x', 'it''s'),
	(E'tab\tand\rreturn', E'back\\slash'), (null, 'fine');
create table parted (id int, t text) partition by range (id);
create table parted_1 partition of parted for values from (0) to (10);
create table parted_2 partition of parted for values from (10) to (1000);
insert into parted select i, repeat('☃', i) from generate_series(0, 99) i;
create view seen as select count(*) from parted;
create materialized view stored as select id from parted where id < 5;
create function twice(n int) returns int language sql as $$ select n * 2; -- :"psql" :'variable' $$;
create aggregate total (int) (sfunc = int4pl, stype = int, initcond = '0');
create domain positive as int check (value > 0);
create table big (id bigint generated always as identity primary key, n positive, t text);
insert into big (n, t) select i, md5(i::text) || repeat('x', i % 100) from generate_series(1, 4000) i;
create index on big (t);
select lo_from_bytea(424242, 'a large object');
comment on table big is E'line one\n\\! touch /tmp/x\nline three';
`

func dump(t testing.TB, url string, o pgdump.DumpOptions) ([]byte, pgdump.Dumped) {
	t.Helper()
	var out bytes.Buffer
	d, err := dumpURL(t.Context(), url, o, &out)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), d
}

func hash(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

// form is one way to store a backup.
type form struct {
	format      pgdump.Format
	compression compress.Kind
	parallel    int
	encrypted   bool
}

func forms(t testing.TB) map[string]form {
	t.Helper()
	all := map[string]form{
		"plain gzip":             {pgdump.Plain, compress.Gzip, 0, false},
		"plain gzip on 2 cores":  {pgdump.Plain, compress.Gzip, 1, false},
		"plain zstd":             {pgdump.Plain, compress.Zstd, 0, false},
		"plain gzip age 2 cores": {pgdump.Plain, compress.Gzip, 1, true},
		"plain":                  {pgdump.Plain, compress.None, 0, false},
		"custom gzip":            {pgdump.Custom, compress.Gzip, 0, false},
		"custom age":             {pgdump.Custom, compress.None, 0, true},
	}
	if pgtest.Shared(t).Version >= 16 {
		all["custom zstd"] = form{pgdump.Custom, compress.Zstd, 0, false}
	}
	return all
}

// inside is how the stored bytes must be decompressed: an archive decompresses itself.
func (f form) inside() compress.Kind {
	if f.format == pgdump.Custom {
		return compress.None
	}
	return f.compression
}

func TestDumpCheckRestore(t *testing.T) {
	t.Parallel()
	source := pgtest.Database(t)
	pgtest.Do(t, source, hostile)
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range forms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := dumpOptions(t)
			o.Format, o.Compression, o.Parallel = f.format, f.compression, f.parallel
			var with []age.Identity
			if f.encrypted {
				o.Recipients, with = []age.Recipient{identity.Recipient()}, []age.Identity{identity}
			}
			stored, dumped := dump(t, source, o)
			major := strconv.Itoa(o.Major) + "."
			if dumped.PlainSize == 0 || !strings.HasPrefix(dumped.ServerVersion, major) ||
				!strings.HasPrefix(dumped.ClientVersion, major) {
				t.Errorf("got %+v", dumped)
			}
			checked, err := pgdump.Check(t.Context(), bytes.NewReader(stored), pgdump.CheckOptions{
				Format: f.format, Compression: f.inside(), Identities: with, WantSHA256: hash(stored), Major: o.Major,
				Root: o.Root,
			})
			if err != nil {
				t.Fatal(err)
			}
			servertest.Equal(t, "checked", checked, pgdump.Checked{
				StoredSize: int64(len(stored)), StoredSHA256: hash(stored), PlainSize: dumped.PlainSize,
				PlainSHA256: dumped.PlainSHA256, ServerVersion: dumped.ServerVersion, Relations: dumped.Relations,
			})

			target := pgtest.Database(t)
			ro := pgdump.RestoreOptions{
				Major: o.Major, Root: o.Root, Format: f.format, Compression: f.inside(), Identities: with,
				WantSHA256: hash(stored),
			}
			restored, err := restoreURL(t.Context(), target, ro, bytes.NewReader(stored))
			if err != nil {
				t.Fatal(err)
			}
			servertest.Equal(t, "rows", restored.Tables, []postgres.TableRows{
				{Table: `"odd "" schema; \! touch /tmp/x"."tablé ☃ ' \ $1"`, Rows: 3},
				{Table: "public.big", Rows: 4000}, {Table: "public.parted_1", Rows: 10},
				{Table: "public.parted_2", Rows: 90}, {Table: "public.stored", Rows: 5},
			})
			servertest.Equal(t, "stored size", restored.StoredSize, int64(len(stored)))
			servertest.Equal(t, "the schemas and the data", contents(t, target), contents(t, source))

			// A second time the target is not empty; with overwrite it is emptied first.
			_, err = restoreURL(t.Context(), target, ro, bytes.NewReader(stored))
			var full *pgdump.NotEmptyError
			if !errors.As(err, &full) || remedies.Of(err) == "" {
				t.Fatalf("got %v", err)
			}
			pgtest.Do(t, target, "insert into big (n) values (1); create table extra (i int)")
			ro.Overwrite = true
			if _, err := restoreURL(t.Context(), target, ro, bytes.NewReader(stored)); err != nil {
				t.Fatal(err)
			}
			servertest.Equal(t, "after overwriting", contents(t, target), contents(t, source))
		})
	}
}

// contents is a dump without what differs from one to the next.
func contents(t testing.TB, url string) string {
	t.Helper()
	o := dumpOptions(t)
	o.Compression = compress.None
	text, _ := dump(t, url, o)
	return regexp.MustCompile(`\\(un)?restrict \w+`).ReplaceAllString(string(text), "")
}
