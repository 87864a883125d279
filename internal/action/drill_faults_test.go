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

// A drill finds what is wrong with a backup, says it of that backup alone, and proves nothing that is not so.
func TestDrillsCatch(t *testing.T) {
	f, v := newFleet(t), newVault(t)
	url := pgtest.Database(t)
	column(t, url, `create table orders (id int primary key, t text);
		insert into orders select i, 'x' || i from generate_series(1, 50) i;
		create table schema_migrations (version text primary key);
		insert into schema_migrations values ('20250101'); select 1`)
	f.run(t, t.Context(), secretTenants(t, v, map[string]string{"good": url}, "verify=stream")...).counts(t, 1, 0, 0, 0)
	good := v.backupKeys(t)[0]
	original := buckettest.Read(t, v.Server, v.bucket, good)
	want := map[string]string{"good": ""}
	forge := func(name, says string, change func(b *forged)) (key string) {
		b := &forged{slices.Clone(original), v.manifest(t, good)}
		b.m.Key = strings.Replace(good, "/good/", "/"+name+"/", 1)
		b.m.Tenant.ID, b.m.Tenant.Name = name, name
		change(b)
		text, err := json.Marshal(b.m)
		if err != nil {
			t.Fatal(err)
		}
		v.putText(t, b.m.Key, string(b.data))
		v.putText(t, b.m.Key+".json", string(text))
		want[name] = says
		return b.m.Key
	}
	forge("truncated", "bytes, and held", func(b *forged) { b.data = b.data[:len(b.data)/2] })
	forge("flipped", "", func(b *forged) { b.data[len(b.data)/2] ^= 4 })
	want["flipped"] = "does not restore"
	forge("other-major", "was made by PostgreSQL 14", func(b *forged) {
		b.m.Key = regexp.MustCompile(`-pg\d+`).ReplaceAllString(b.m.Key, "-pg14")
	})
	forge("lacks-extension", "nowhere", func(b *forged) {
		b.rewrite(t, func(sql string) string {
			return strings.Replace(sql, "CREATE TABLE", "CREATE EXTENSION nowhere;\n\nCREATE TABLE", 1)
		})
	})
	forge("rows-lie", "51 rows in 2 tables were loaded, and the manifest says that 52 rows", func(b *forged) {
		*b.m.Contents.Rows++
	})
	forge("schema-lies", "the schema that was restored is not the tenant's", func(b *forged) {
		b.m.Contents.Fingerprint = strings.Repeat("0", 64)
	})
	forge("version-lies", "is at version 20250101, and the manifest says 20260101", func(b *forged) {
		b.m.SchemaVersion = "20260101"
	})
	noData := func(sql string) string { return copied.ReplaceAllString(sql, "$1$2") }
	forge("without-rows", "0 rows in 2 tables were loaded", func(b *forged) { b.rewrite(t, noData) })
	forge("without-data", "it holds 2 tables and no data for any of them", func(b *forged) {
		b.rewrite(t, func(sql string) string {
			return regexp.MustCompile(`(?s)\nCOPY .*?\\\.\n`).ReplaceAllString(sql, "\n")
		})
		b.m.Contents = nil
	})
	forge("encrypted", "is encrypted", func(b *forged) { b.m.Key += ".age" })
	forge("earlier", "", func(b *forged) { b.m.Contents, b.m.Version = nil, 1 })
	replaced := forge("replaced", "", func(*forged) {})

	on := verifier(t)
	pgtest.Do(t, on, "create database neon_tenants_scratch_1000000000_abcdefghijklmnop") // of a run that was killed
	o := f.run(t, t.Context(), v.drillInputs(on, "sample=100%")...)
	o.counts(t, 3, 0, len(want)-3, 0)
	for _, e := range o.report.Tenants {
		var got report.FileError
		if e.Error != nil {
			got = *e.Error
		}
		failed := want[e.Name] != ""
		if (e.Error != nil) != failed || !strings.Contains(got.Message, want[e.Name]) || failed && got.Remedy == "" {
			t.Errorf("%s: %+v, want %q", e.Name, got, want[e.Name])
		}
	}
	keys := v.keys(t)
	proofs := slices.DeleteFunc(keys, func(key string) bool { return !strings.HasSuffix(key, ".proof.json") })
	if len(proofs) != 3 || !slices.Contains(proofs, replaced+".proof.json") {
		t.Errorf("there are the proofs %v", proofs)
	}
	if p := v.proof(t, good); len(p.NotCompared) > 0 {
		t.Errorf("not compared: %v", p.NotCompared)
	}
	same(t, "left behind", scratchesOf(t, on), []string{})

	// Once it is another object, it was never proven, and goes first.
	other := slices.Clone(original)
	other[len(other)/2] ^= 4
	v.putText(t, replaced, string(other))
	o = f.run(t, t.Context(), v.drillInputs(on, "sample=1", "tenants=good, replaced, earlier")...)
	o.counts(t, 1, 1, 1, 0)
	o.says(t, "never been proven to restore: replaced", "does not restore")

	for query, says := range map[string]string{
		"select count(*) = 50 from orders": "", "select false": "check-sql returned false",
		"select 'secret'": "not a boolean", "delete from orders returning true": "read-only",
	} {
		o := f.run(t, t.Context(), v.drillInputs(on, "tenants=good", "check-sql="+query)...)
		if says == "" {
			o.counts(t, 1, 0, 0, 0)
			if p := v.proof(t, good); p.CheckSQL != sum([]byte(query)) {
				t.Errorf("the proof is %+v", p)
			}
			continue
		}
		o.counts(t, 0, 0, 1, 0)
		o.says(t, says)
	}
	o = f.run(t, t.Context(), v.drillInputs(on, "tenants=good", "max-size=1kb")...)
	o.counts(t, 0, 1, 0, 0)
	o.says(t, "it is not proven: ", "more than max-size")
}
