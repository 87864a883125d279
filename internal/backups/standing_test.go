package backups_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
)

// replaced rewrites a stored manifest as a program of another version would have it.
func replaced(t *testing.T, s backups.Store, k backups.Key, text string) {
	t.Helper()
	if _, err := s.Delete(t.Context(), []string{k.Manifest()}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutSmall(t.Context(), k.Manifest(), []byte(text), "application/json"); err != nil {
		t.Fatal(err)
	}
}

// first is a manifest of version 1, which said less.
func first(k backups.Key, tenant, size string) string {
	return `{"version":1,"key":"` + k.String() + `","tenant":{"id":"` + tenant + `"},"stored_size":` + size +
		`,"stored_sha256":"` + strings.Repeat("0", 64) + `"}`
}

// Of everything that may lie in a tenant's folder only a whole, undamaged backup of this tenant, from where it is now,
// counts for anything.
func TestWhatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		store  func(t *testing.T, s backups.Store, k backups.Key)
		owner  func(o *backups.Owner)
		counts bool
		why    string
	}{
		"the tenant's own": {counts: true},
		"of another tenant": {why: "it is of another tenant, whose id is id-2",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Tenant.ID = "id-2" })
			}},
		"from another server": {why: "it is of old:5432/acme, and this tenant is at db:5432/acme",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Origin.Server = "old:5432" })
			}},
		"from another database": {why: "it is of db:5432/other, and this tenant is at db:5432/acme",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Origin.Database = "other" })
			}},
		"from a schema of the database": {why: "it is of db:5432/acme, schema x, and this tenant is at db:5432/acme",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Origin.Schema = "x" })
			}},
		"from another branch": {why: "branch dev, and this tenant is at db:5432/acme, branch main",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Origin.Branch = "dev" })
			},
			owner: func(o *backups.Owner) { o.Origin.Branch = "main" }},
		"where it was is not known yet": {counts: true, owner: func(o *backups.Owner) { o.Origin.Server = "" }},
		"partial": {why: "it is partial: pg_dump left something out, because of --schema-only",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Whole, m.Args = false, []string{"--schema-only"} })
			}},
		"partial, for one of the same kind": {counts: true,
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				with(t, s, k, func(m *backups.Manifest) { m.Whole, m.Args = false, []string{"--schema-only"} })
			},
			owner: func(o *backups.Owner) { o.Args = []string{"--schema-only"} }},
		"whole, for one that makes partial ones": {counts: true, owner: func(o *backups.Owner) { o.Args = []string{"-s"} }},
		"emptied": {why: "it holds 0 bytes, and held 4 when it was made",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				put(t, s, k, true)
				if _, err := s.Delete(t.Context(), []string{k.String()}); err != nil {
					t.Fatal(err)
				}
				if _, err := s.PutSmall(t.Context(), k.String(), nil, "application/gzip"); err != nil {
					t.Fatal(err)
				}
			}},
		"never verified": {why: "it was never verified",
			store: func(t *testing.T, s backups.Store, k backups.Key) { put(t, s, k, false) }},
		"of version 1": {counts: true,
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				put(t, s, k, true)
				replaced(t, s, k, first(k, "id-1", "4"))
			}},
		"of version 1, where it has to be proven": {why: "does not say which server, database and branch it came from",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				put(t, s, k, true)
				replaced(t, s, k, first(k, "id-1", "4"))
			},
			owner: func(o *backups.Owner) { o.Proven = true }},
		"of version 1, of another tenant": {why: "of another tenant, whose id is id-2",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				put(t, s, k, true)
				replaced(t, s, k, first(k, "id-2", "4"))
			}},
		"of version 1, emptied": {why: "it holds 4 bytes, and held 5",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				put(t, s, k, true)
				replaced(t, s, k, first(k, "id-1", "5"))
			}},
		"of a version to come": {why: "its manifest is of version 3, and this program knows up to 2",
			store: func(t *testing.T, s backups.Store, k backups.Key) {
				put(t, s, k, true)
				replaced(t, s, k, `{"version":3}`)
			}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := openStore(t)
			k, o := key(s, 1), backups.Owner{ID: "id-1", Origin: home}
			if c.owner != nil {
				c.owner(&o)
			}
			if c.store == nil {
				put(t, s, k, true)
			} else {
				c.store(t, s, k)
			}
			listed, err := s.List(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			found, passed, err := s.Newest(t.Context(), listed, o)
			if err != nil || (found.Key != "") != c.counts {
				t.Fatalf("found %+v, %v", found, err)
			}
			if !c.counts && (len(passed) != 1 || !strings.Contains(passed[0].Why(), c.why)) {
				t.Errorf("passed over %+v, want %q", passed, c.why)
			}
			named, err := s.Named(t.Context(), k, o)
			if err != nil || named.Standing != found.Standing && c.counts || !c.counts && named.Standing != passed[0].Standing {
				t.Errorf("named %+v, %v", named, err)
			}
		})
	}
}

// with stores a backup whose manifest is changed.
func with(t *testing.T, s backups.Store, k backups.Key, change func(*backups.Manifest)) {
	t.Helper()
	put(t, s, k, false)
	m := manifestOf(k)
	change(&m)
	commit(t, s, m)
}

func at(t *testing.T, s backups.Store, name string, when time.Time) backups.Key {
	t.Helper()
	return backups.Key{Folder: s.Folder(name), Time: when.UTC().Truncate(time.Second), Major: 17, Kind: backups.PlainGzip}
}

// A backup from the future has a wrong clock, and one that does not say where it came from is nobody's once the folder
// has some of the same id from elsewhere.
func TestNewestPassesOver(t *testing.T) {
	s, _ := openStore(t)
	o := backups.Owner{ID: "id-1", Origin: home}
	future, soon := at(t, s, "acme", s.Now().Add(time.Hour)), at(t, s, "acme", s.Now().Add(time.Minute))
	put(t, s, future, true)
	put(t, s, soon, true)
	newest := func(name string) (string, []string) {
		t.Helper()
		listed, err := s.List(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		found, passed, err := s.Newest(t.Context(), listed, o)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, j := range passed {
			keys = append(keys, j.Key)
		}
		return found.Key, keys
	}
	if found, passed := newest("acme"); found != soon.String() || !slices.Equal(passed, []string{future.String()}) {
		t.Errorf("found %s, passed over %v", found, passed)
	}
	old, elsewhere := at(t, s, "shared", s.Now().Add(-time.Hour)), at(t, s, "shared", s.Now().Add(-2*time.Hour))
	put(t, s, old, true)
	replaced(t, s, old, first(old, "id-1", "4"))
	if found, _ := newest("shared"); found != old.String() {
		t.Errorf("found %s", found)
	}
	with(t, s, elsewhere, func(m *backups.Manifest) { m.Origin.Server = "other:5432" })
	if found, passed := newest("shared"); found != "" || len(passed) != 2 {
		t.Errorf("found %s, passed over %v", found, passed)
	}
}

// A tenant that was renamed finds its backups under its earlier name, also where somebody else has that name now.
func TestRenamed(t *testing.T) {
	s, proxy := openStore(t)
	o := backups.Owner{ID: "id-1", Origin: home}
	now := s.Now()
	for i, name := range []string{"stranger", "gone"} {
		with(t, s, at(t, s, name, now.Add(time.Duration(-i)*time.Hour)), func(m *backups.Manifest) { m.Tenant.ID = name })
	}
	if _, err := s.PutSmall(t.Context(), s.Folder("logs")+"today", []byte("x"), "text/plain"); err != nil {
		t.Fatal(err)
	}
	present := map[string]string{"stranger": "stranger", "new-name": "id-1", "acme": "id-2"}
	look := func(want string) {
		t.Helper()
		found, err := s.Renamed(t.Context(), o, present)
		if err != nil || found.Key != want {
			t.Errorf("found %q, %v, want %q", found.Key, err, want)
		}
	}
	look("")
	// acme was id-1's, and is id-2's now.
	mine := at(t, s, "acme", now.Add(-3*time.Hour))
	put(t, s, mine, true)
	for i := range 3 {
		with(t, s, at(t, s, "acme", now.Add(time.Duration(i-3)*time.Minute)),
			func(m *backups.Manifest) { m.Tenant.ID = "id-2" })
	}
	before := proxy.Calls("GetObject")
	look(mine.String())
	if n := proxy.Calls("GetObject") - before; n > 5 {
		t.Errorf("%d manifests were read", n)
	}
	// Another name that it had is nobody's now, and looked into first.
	older := at(t, s, "acme-inc", now.Add(-4*time.Hour))
	put(t, s, older, true)
	look(older.String())
}

func TestOrigin(t *testing.T) {
	full := backups.Origin{Server: "db:5432", Database: "d", Branch: "main", Schema: "acme"}
	for text, o := range map[string]backups.Origin{
		"db:5432/d, schema acme, branch main": full,
		"an unknown place":                    {},
		"d":                                   {Database: "d"},
		"schema acme":                         {Schema: "acme"},
	} {
		if got := o.String(); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
	if !full.Same(full) || !full.Same(backups.Origin{Schema: "acme"}) || full.Same(backups.Origin{}) {
		t.Error("the same place is not the same, or a schema is the whole database")
	}
	want := map[string]string{"tenant-id": "1", "tenant-name": "Acme", "origin-server": "db:5432", "origin-database": "d",
		"origin-branch": "main", "origin-schema": "acme"}
	if diff := cmp.Diff(want, backups.Metadata(fleet.Tenant{ID: "1", Name: "Acme"}, full)); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	long := strings.Repeat("東", 160)
	want = map[string]string{"tenant-name": strings.Repeat("東", 30), "origin-database": "d"}
	got := backups.Metadata(fleet.Tenant{ID: long, Name: long}, backups.Origin{Database: "d"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata of long names (-want +got):\n%s", diff)
	}
}
