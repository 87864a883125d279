package backups_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestMain(m *testing.M) { buckettest.Main(m) }

// openStore opens a bucket of the test's own behind a fault proxy.
func openStore(t *testing.T) (backups.Store, *buckettest.FaultProxy) {
	t.Helper()
	s := buckettest.Shared(t)
	proxy := buckettest.StartFaultProxy(t, s)
	return openBucket(t, s, proxy.URL, buckettest.Bucket(t, s, false)), proxy
}

func openBucket(t *testing.T, s *buckettest.Server, endpoint, name string) backups.Store {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s.AccessKey, "AWS_SECRET_ACCESS_KEY": s.SecretKey, "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	b, err := bucket.Open(t.Context(), bucket.Options{
		Bucket: name, Prefix: "nightly", Region: buckettest.Region, Endpoint: endpoint, PathStyle: true, CABundle: s.CA,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return backups.Store{Bucket: b}
}

func key(s backups.Store, day int) backups.Key {
	at := time.Date(2026, 11, day, 3, 0, 0, 0, time.UTC)
	return backups.Key{Folder: s.Folder("acme"), Time: at, Major: 17, Kind: backups.PlainGzip}
}

// put stores a backup, with or without a manifest.
func put(t *testing.T, s backups.Store, k backups.Key, manifest bool) {
	t.Helper()
	w, err := s.Create(t.Context(), k.String(), bucket.Info{Metadata: backups.Metadata(fleet.Tenant{ID: "id-1"}, home)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("dump")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !manifest {
		return
	}
	commit(t, s, manifestOf(k))
}

var home = backups.Origin{Server: "db:5432", Database: "acme"}

// manifestOf is what is written beside a backup that [put] stores.
func manifestOf(k backups.Key) backups.Manifest {
	return backups.Manifest{
		Key: k.String(), Tenant: fleet.Tenant{ID: "id-1"}, Origin: home, Whole: true,
		StoredSize: 4, StoredSHA256: strings.Repeat("0", 64),
	}
}

func commit(t *testing.T, s backups.Store, m backups.Manifest) {
	t.Helper()
	if err := s.Commit(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// A manifest is deleted before its backup, and one that cannot be deleted keeps its backup.
func TestPrune(t *testing.T) {
	s, proxy := openStore(t)
	whole, held, denied, unverified := key(s, 1), key(s, 2), key(s, 3), key(s, 4)
	for _, k := range []backups.Key{whole, held, denied} {
		put(t, s, k, true)
	}
	put(t, s, unverified, false)
	proxy.DenyDelete(held.Manifest(), "AccessDenied", "Access Denied because object protected by object lock.")
	proxy.DenyDelete(denied.Manifest(), "AccessDenied", "Access Denied")

	listed, err := s.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var decisions []backups.Decision
	for _, b := range listed {
		decisions = append(decisions, backups.Decision{Backup: b})
	}
	p, err := s.Prune(t.Context(), decisions, backups.Owner{ID: "id-1", Origin: home})
	if err == nil || !strings.Contains(err.Error(), denied.Manifest()) {
		t.Errorf("got %v, want an error of %s", err, denied.Manifest())
	}
	var gone []string
	for _, d := range p.Deleted {
		gone = append(gone, d.Key)
	}
	if want := []string{unverified.String(), whole.String()}; !slices.Equal(gone, want) {
		t.Errorf("pruned %v, want %v", gone, want)
	}
	if want := []string{held.String()}; !slices.Equal(p.Retained, want) {
		t.Errorf("retained %v, want %v", p.Retained, want)
	}
	listed, err = s.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, b := range listed {
		left = append(left, b.Key)
		if !b.Verified {
			t.Errorf("%s is left without its manifest", b.Key)
		}
	}
	if diff := cmp.Diff([]string{denied.String(), held.String()}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestManifest(t *testing.T) {
	s, _ := openStore(t)
	k, other, hash := key(s, 1), key(s, 2), strings.Repeat("0", 64)
	put(t, s, k, true)
	m, err := s.Manifest(t.Context(), k.String())
	if err != nil || !m.Of("id-1") || m.Of("id-2") || m.Version != 2 {
		t.Errorf("got %+v, %v", m, err)
	}
	for name, text := range map[string]string{
		"another backup's":   `{"version":1,"key":"` + k.String() + `","stored_sha256":"` + hash + `"}`,
		"of a later version": `{"version":3,"key":"` + other.String() + `","stored_sha256":"` + hash + `"}`,
		"without a hash":     `{"version":1,"key":"` + other.String() + `"}`,
		"not JSON":           "manifest",
	} {
		if _, err := s.PutSmall(t.Context(), other.Manifest(), []byte(text), "application/json"); err != nil {
			t.Fatal(err)
		}
		if m, err := s.Manifest(t.Context(), other.String()); err == nil {
			t.Errorf("%s is read as %+v", name, m)
		}
		if _, err := s.Delete(t.Context(), []string{other.Manifest()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Manifest(t.Context(), other.String()); !bucket.IsNotFound(err) {
		t.Errorf("none: got %v", err)
	}
}
