package action

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/report"
)

// forged is a backup and its manifest, to be altered.
type forged struct {
	data []byte
	m    backups.Manifest
}

// rewrite replaces the dump, and says so in the manifest.
func (f *forged) rewrite(t *testing.T, change func(sql string) string) {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(f.data))
	if err != nil {
		t.Fatal(err)
	}
	sql, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte(change(string(sql)))
	if bytes.Equal(plain, sql) {
		t.Fatal("nothing was changed")
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(plain)
	_ = w.Close()
	f.data = packed.Bytes()
	f.m.PlainSize, f.m.PlainSHA256 = int64(len(plain)), sum(plain)
	f.m.StoredSize, f.m.StoredSHA256 = int64(len(f.data)), sum(f.data)
}

func sum(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

var copied = regexp.MustCompile(`(?s)( FROM stdin;\n).*?(\\\.\n)`)

// drillSite is a bucket with the backup of the tenant "good", of which others are forged.
type drillSite struct {
	*organisation
	*vault
	key      string // of its backup
	original []byte
	want     map[string]string // what a drill says of each tenant; empty: it is proven
}

func newDrillSite(t *testing.T, more string) *drillSite {
	t.Helper()
	s := &drillSite{organisation: newFleet(t), vault: newVault(t), want: map[string]string{"good": ""}}
	// A superuser sees all rows, whatever policies there are.
	url := superuserURL(t, column(t, pgtest.Database(t), "select current_database()")[0])
	column(t, url, `create table orders (id int primary key, t text);
		insert into orders select i, 'x' || i from generate_series(1, 50) i;
		create table schema_migrations (version text primary key);
		insert into schema_migrations values ('20250101'); `+more+`; select 1`)
	s.run(t, t.Context(), secretTenants(t, s.vault, map[string]string{"good": url}, "verify=stream")...).
		counts(t, 1, 0, 0, 0)
	s.key = s.backupKeys(t)[0]
	s.original = buckettest.Read(t, s.vault.Server, s.bucket, s.key)
	return s
}

// forge puts a copy of the backup, with a change, into the bucket as that of another tenant.
func (s *drillSite) forge(t *testing.T, name, says string, change func(b *forged)) (key string) {
	t.Helper()
	b := &forged{slices.Clone(s.original), s.manifest(t, s.key)}
	b.m.Key = strings.Replace(s.key, "/good/", "/"+name+"/", 1)
	b.m.Tenant.ID, b.m.Tenant.Name = name, name
	change(b)
	text, err := json.Marshal(b.m)
	if err != nil {
		t.Fatal(err)
	}
	s.putText(t, b.m.Key, string(b.data))
	s.putText(t, b.m.Key+".json", string(text))
	s.want[name] = says
	return b.m.Key
}

// drill proves every tenant, and compares what is said of each.
func (s *drillSite) drill(t *testing.T, on string) {
	t.Helper()
	proven := 0
	for _, says := range s.want {
		if says == "" {
			proven++
		}
	}
	o := s.run(t, t.Context(), s.drillInputs(on, "sample=100%")...)
	o.counts(t, proven, 0, len(s.want)-proven, 0)
	for _, e := range o.report.Tenants {
		var got report.FileError
		if e.Error != nil {
			got = *e.Error
		}
		says := s.want[e.Name]
		if (e.Error != nil) != (says != "") || !strings.Contains(got.Message, says) || says != "" && got.Remedy == "" {
			t.Errorf("%s: %+v, want %q", e.Name, got, says)
		}
	}
	proofs := slices.DeleteFunc(s.keys(t), func(key string) bool { return !strings.HasSuffix(key, ".proof.json") })
	if len(proofs) != proven {
		t.Errorf("%d are proven, and there are the proofs %v", proven, proofs)
	}
	same(t, "left behind", scratchesOf(t, on), []string{})
}

// A drill finds bytes that are not those that were dumped, and what its server cannot load.
func TestDrillsCatchWhatDoesNotLoad(t *testing.T) {
	s := newDrillSite(t, "")
	s.forge(t, "truncated", "bytes, and held", func(b *forged) { b.data = b.data[:len(b.data)/2] })
	s.forge(t, "flipped", "does not restore", func(b *forged) { b.data[len(b.data)/2] ^= 4 })
	s.forge(t, "other-major", "was made by PostgreSQL 14", func(b *forged) {
		b.m.Key = regexp.MustCompile(`-pg\d+`).ReplaceAllString(b.m.Key, "-pg14")
	})
	s.forge(t, "lacks-extension", "because the server for throwaway databases did not load it", func(b *forged) {
		b.rewrite(t, func(sql string) string {
			return strings.Replace(sql, "CREATE TABLE", "CREATE EXTENSION nowhere;\n\nCREATE TABLE", 1)
		})
	})
	s.forge(t, "encrypted", "is encrypted", func(b *forged) { b.m.Key += ".age" })
	on := verifier(t)
	pgtest.Do(t, on, "create database neon_tenants_scratch_1000000000_abcdefghijklmnop") // of a run that was killed
	s.drill(t, on)
}

// A drill compares what was restored with everything that the manifest says.
func TestDrillsCatchWhatIsNotSo(t *testing.T) {
	s := newDrillSite(t, "")
	s.forge(t, "rows-lie", "51 rows in 2 tables were loaded, and the manifest says that 52 rows", func(b *forged) {
		*b.m.Contents.Rows++
	})
	s.forge(t, "schema-lies", "the schema that was restored is not the tenant's", func(b *forged) {
		b.m.Contents.Fingerprint = strings.Repeat("0", 64)
	})
	s.forge(t, "version-lies", "restores, but the restored database is at version 20250101, and the manifest says 2026",
		func(b *forged) { b.m.SchemaVersion = "20260101" })
	s.forge(t, "without-rows", "0 rows in 2 tables were loaded", func(b *forged) {
		b.rewrite(t, func(sql string) string { return copied.ReplaceAllString(sql, "$1$2") })
	})
	s.forge(t, "without-data", "it holds 2 tables and no data for any of them", func(b *forged) {
		b.rewrite(t, func(sql string) string {
			return regexp.MustCompile(`(?s)\nCOPY .*?\\\.\n`).ReplaceAllString(sql, "\n")
		})
		b.m.Contents = nil
	})
	s.forge(t, "earlier", "", func(b *forged) { b.m.Contents, b.m.Version = nil, 1 })
	s.drill(t, verifier(t))
	if p := s.proof(t, s.key); len(p.NotCompared) > 0 {
		t.Errorf("not compared: %v", p.NotCompared)
	}
}

// Once a backup is another object, it was never proven, and goes first.
func TestDrillsNoticeAnotherObject(t *testing.T) {
	s, on := newDrillSite(t, ""), verifier(t)
	replaced := s.forge(t, "replaced", "", func(*forged) {})
	s.drill(t, on)
	other := slices.Clone(s.original)
	other[len(other)/2] ^= 4
	s.putText(t, replaced, string(other))
	o := s.run(t, t.Context(), s.drillInputs(on, "sample=1")...)
	o.counts(t, 1, 0, 1, 0)
	o.says(t, "never been proven to restore: replaced", "does not restore")
}

// What max-size leaves out is said to be unproven.
func TestDrillsLeaveOutLargeBackups(t *testing.T) {
	s := newDrillSite(t, "")
	o := s.run(t, t.Context(), s.drillInputs(verifier(t), "max-size=1kb")...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "it is not proven: ", "more than max-size")
}

// A dump that holds the rows of foreign tables is not drilled: whoever loads it sends them to their servers once more.
// Mode restore does what it is asked to, and says so.
func TestDrillsLeaveOutForeignData(t *testing.T) {
	s := newDrillSite(t, "")
	key := s.forge(t, "far", "", func(b *forged) { b.m.Args = []string{"--include-foreign-data", "*"} })
	o := s.run(t, t.Context(), s.drillInputs(verifier(t), "sample=100%")...)
	o.counts(t, 1, 1, 0, 0)
	const why = " was made with --include-foreign-data, and to restore it would send those rows to the foreign servers"
	o.says(t, "it is not proven: "+key+why)

	inputs := secretTenants(t, s.vault, map[string]string{"far": pgtest.Database(t)}, "mode=restore", "dry-run=true",
		"backup-key="+key, "restore-url="+pgtest.Database(t))
	s.run(t, t.Context(), inputs...).says(t, "sends the rows of foreign tables to their servers once more")
}
