package backups_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

// A manifest that cannot be used makes its own backup count for nothing, is named with the reason, and hides no other.
func TestJunkInPlaceOfAManifest(t *testing.T) {
	s, _ := openStore(t)
	owner := backups.Owner{ID: "id-1", Origin: home}
	good := key(s, 1)
	put(t, s, good, true)
	junk := map[string]string{ // what is there, and what is said about it
		"":                                "is empty",
		" \n":                             "is empty",
		"not JSON":                        "is damaged: it is not JSON",
		"\x00\xff\x1f\x8b":                "is damaged: it is not JSON",
		`{"version": 2, "key": "nightly/`: "is damaged: it is not JSON",
		"[]":                              "is not one that this program wrote",
		"null":                            "is not one that this program wrote",
		`"text"`:                          "is not one that this program wrote",
		`{"name": "another", "version": "1.2.3", "dependencies": {}}`: "is not one that this program wrote",
		`{"version": 2, "tenant": "acme"}`:                            "is not one that this program wrote",
		`{"version": 9, "tenant": "acme"}`:                            "is of version 9, and this program knows up to 2",
		strings.Repeat("[", 1000_000):                                 "is damaged: it is not JSON",
		strings.Repeat(" ", 1<<20) + "{}":                             "is larger than any that this program writes",
		`{"version": 2, "key": "` + good.String() + `", "stored_sha256": "` +
			strings.Repeat("0", 64) + `"}`: "is another backup's",
	}
	day := 1
	why := map[string]string{}
	for text, want := range junk {
		day++
		put(t, s, key(s, day), true)
		replaced(t, s, key(s, day), text)
		why[key(s, day).String()] = want
	}
	listed, err := s.List(t.Context(), "acme")
	if err != nil || len(listed) != len(why)+1 {
		t.Fatalf("%d listed, %v", len(listed), err)
	}
	found, passed, err := s.Newest(t.Context(), listed, owner)
	if err != nil || found.Key != good.String() || len(passed) != len(why) {
		t.Fatalf("found %s and passed over %d, %v", found.Key, len(passed), err)
	}
	for _, j := range passed {
		if j.Standing != backups.Unreadable || !strings.HasPrefix(j.Why(), "its manifest "+why[j.Key]) {
			t.Errorf("%s: %d, %s, want %s", j.Key, j.Standing, j.Why(), why[j.Key])
		}
	}
	if text := backups.Passed(passed); !strings.HasPrefix(text, "14 backups passed over: ") ||
		strings.Contains(text, "another\"") {
		t.Error(text)
	}

	t.Run("retention keeps them, and they keep nothing from it", func(t *testing.T) {
		decisions, judged, err := s.Due(t.Context(), listed, owner, backups.Policy{Days: 0, KeepLast: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if !d.Keep {
				t.Errorf("%s is pruned: %v", d.Key, d.Reasons)
			}
		}
		if backups.Passed(judged) == "" {
			t.Error("they are not named")
		}
		newer := backups.Backup{Key: key(s, 28).String(), Time: time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC), Verified: true}
		owner := owner
		owner.Written = newer.Key
		decisions, _, err = s.Due(t.Context(), append([]backups.Backup{newer}, listed...), owner,
			backups.Policy{Days: 0, KeepLast: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if d.Keep != (d.Key == newer.Key) || why[d.Key] != "" {
				t.Errorf("%s: keep is %v: %v", d.Key, d.Keep, d.Reasons)
			}
		}
	})
	t.Run("named", func(t *testing.T) {
		for _, b := range listed {
			k, _ := backups.ParseKey(s.Folder("acme"), b.Key)
			j, err := s.Named(t.Context(), k, owner)
			if err != nil || (j.Standing == backups.Unreadable) != (why[b.Key] != "") {
				t.Errorf("%s: %d, %v", b.Key, j.Standing, err)
			}
		}
	})
}

// A lifecycle rule that moves everything into an archive takes the manifests along.
func TestAnArchivedManifest(t *testing.T) {
	s, proxy := openStore(t)
	older, newer := key(s, 1), key(s, 2)
	put(t, s, older, true)
	put(t, s, newer, true)
	listed, err := s.List(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	proxy.Inject(buckettest.Fault{Operation: "GetObject", Times: 1, Status: http.StatusForbidden,
		Code: "InvalidObjectState"})
	found, passed, err := s.Newest(t.Context(), listed, backups.Owner{ID: "id-1", Origin: home})
	if err != nil || found.Key != older.String() ||
		!strings.Contains(backups.Passed(passed), "is in an archive of the store's") {
		t.Errorf("found %s, passed over %v, %v", found.Key, passed, err)
	}
}
