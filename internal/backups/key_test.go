package backups_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
)

func TestKey(t *testing.T) {
	at := time.Date(2026, 11, 22, 3, 15, 0, 999, time.FixedZone("", 2*3600))
	for _, test := range []struct {
		key  backups.Key
		want string
	}{
		{backups.Key{Folder: "nightly/acme/", Time: at, Major: 17, Kind: backups.PlainGzip},
			"nightly/acme/20261122T011500Z-pg17.sql.gz"},
		{backups.Key{Folder: "acme/", Time: at, Major: 9, Kind: backups.PlainZstd, Encrypted: true},
			"acme/20261122T011500Z-pg9.sql.zst.age"},
		{backups.Key{Time: at, Major: 18, Kind: backups.Custom}, "20261122T011500Z-pg18.dump"},
	} {
		if got := test.key.String(); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
		got, ok := backups.ParseKey(test.key.Folder, test.want)
		want := test.key
		want.Time = want.Time.UTC().Truncate(time.Second)
		if !ok || got != want {
			t.Errorf("%s is %+v, %v", test.want, got, ok)
		}
		if got.Manifest() != test.want+".json" {
			t.Errorf("the manifest of %s is %s", test.want, got.Manifest())
		}
	}
}

func TestForeignKeys(t *testing.T) {
	const ours = "a/20261122T011500Z-pg17.sql.gz"
	if _, ok := backups.ParseKey("a/", ours); !ok {
		t.Fatal("our own key is rejected")
	}
	for _, key := range []string{
		"", "a/", "a",
		"/" + ours, "b/20261122T011500Z-pg17.sql.gz", "a/a/20261122T011500Z-pg17.sql.gz", "a//20261122T011500Z-pg17.sql.gz",
		ours + ".json", ours + ".age.age", ours + ".bak", ours + "/", ours + " ",
		"a/20261122T011500-pg17.sql.gz", "a/20261122T011500z-pg17.sql.gz",
		"a/2026-11-22T01:15:00Z-pg17.sql.gz", "a/20261322T011500Z-pg17.sql.gz",
		"a/20260230T011500Z-pg17.sql.gz", "a/20261122T011560Z-pg17.sql.gz",
		"a/20261122T011500.5Z-pg17.sql.gz", "a/20261122T241500Z-pg17.sql.gz",
		"a/20261122T011500Z-pg017.sql.gz", "a/20261122T011500Z-pg+17.sql.gz",
		"a/20261122T011500Z-pg0.sql.gz", "a/20261122T011500Z-pg-1.sql.gz",
		"a/20261122T011500Z-pg.sql.gz", "a/20261122T011500Z-pg17-1.sql.gz",
		"a/20261122T011500Z-pg17.sql", "a/20261122T011500Z-pg17.SQL.GZ",
		"a/20261122T011500Z-pg17.tar", "a/20261122T011500Z-pg17.sql.gz.dump", "a/backup-20261122T011500Z-pg17.sql.gz",
	} {
		if k, ok := backups.ParseKey("a/", key); ok {
			t.Errorf("%q is taken for %+v", key, k)
		}
	}
	if _, ok := backups.ParseKey("a", ours); ok {
		t.Error("a folder without its slash is accepted")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("a/", "a/20261122T011500Z-pg17.sql.gz")
	f.Add("", "20261122T011500Z-pg9.dump.age")
	f.Add("a/b/", "a/b/20261122T011500Z-pg17.sql.zst.json")
	f.Fuzz(func(t *testing.T, folder, key string) {
		k, ok := backups.ParseKey(folder, key)
		if !ok {
			return
		}
		if k.String() != key || k.Folder != folder {
			t.Errorf("%q in %q is %+v, which is %q", key, folder, k, k)
		}
		if strings.Contains(strings.TrimPrefix(key, folder), "/") {
			t.Errorf("%q is taken to be directly in %q", key, folder)
		}
		if _, ok := backups.ParseKey(folder, k.Manifest()); ok {
			t.Errorf("the manifest %q is taken for a backup", k.Manifest())
		}
	})
}
