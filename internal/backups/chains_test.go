package backups

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/bucket"
	"github.com/org/neon-tenants-action/internal/fleet"
)

var (
	chainBegin = time.Date(2026, 3, 10, 3, 0, 0, 0, time.UTC)
	here       = Origin{Server: "here:5432", Database: "d"}
	there      = Origin{Server: "there:5432", Database: "d"}
)

// chained is a judged backup of a tenant, so many days before chainBegin.
func chained(days int, id string, o Origin, s Standing) Judged {
	at := chainBegin.Add(-time.Duration(days) * 24 * time.Hour)
	return Judged{
		Backup:   Backup{Key: fmt.Sprintf("a/%d", days), Time: at, Verified: true},
		Manifest: Manifest{Version: manifestVersion, Tenant: fleet.Tenant{ID: id}, Origin: o}, Standing: s,
	}
}

func TestChainsOf(t *testing.T) {
	for name, c := range map[string]struct {
		judged []Judged
		want   string // of each chain: the newest's key, and how many days back it goes
		odd    int
	}{
		"one":     {[]Judged{chained(0, "1", here, Counts), chained(3, "1", here, Counts)}, "a/0 3", 0},
		"damaged": {[]Judged{chained(0, "1", here, Damaged), chained(1, "1", here, Counts)}, "a/0 1", 0},
		"partial": {[]Judged{chained(0, "1", here, Partial), chained(1, "1", here, Counts)}, "a/1 1", 0},
		"a name that came back": {[]Judged{
			chained(0, "1", here, Counts), chained(1, "2", here, Counts), chained(2, "1", here, Counts),
		}, "a/0 2, a/1 1", 0},
		"moved": {[]Judged{chained(0, "1", there, Counts), chained(5, "1", here, Counts)}, "a/0 0, a/5 5", 0},
		"of an earlier version": {[]Judged{
			chained(0, "1", here, Counts), chained(5, "1", Origin{}, Counts),
		}, "a/0 5", 0},
		"unreadable": {[]Judged{chained(0, "", Origin{}, Unreadable), chained(1, "1", here, Future)}, "", 2},
		"nothing":    {},
	} {
		chains, odd := chainsOf("a/", c.judged)
		var got []string
		for _, one := range chains {
			got = append(got, fmt.Sprintf("%s %.0f", one.Newest.Key, chainBegin.Sub(one.Since).Hours()/24))
		}
		if text := strings.Join(got, ", "); text != c.want || len(odd) != c.odd {
			t.Errorf("%s: %q, want %q; odd: %v", name, text, c.want, odd)
		}
	}
}

// A folder without a chain says why: backups that leave something out are not such that nobody finished.
func TestUnfinished(t *testing.T) {
	partial := func(days int, args ...string) Judged {
		j := chained(days, "1", here, Partial)
		j.Manifest.Args = args
		return j
	}
	logs := []string{"--no-owner", "--exclude-table-data=logs"}
	bare := Backup{Key: "a/9"}
	for name, c := range map[string]struct {
		bare   int
		judged []Judged
		want   string
	}{
		"nothing":    {},
		"unverified": {3, nil, "none of its 3 backups has a manifest"},
		"partial": {0, []Judged{partial(0, logs...), partial(1, logs...)},
			"2 partial backups, made with --exclude-table-data=logs"},
		"in two ways": {0, []Judged{partial(0, "-t", "users"), partial(1, logs...)},
			"2 partial backups, made with -t users, --exclude-table-data=logs"},
		"both": {1, []Judged{partial(0, logs...)},
			"1 partial backup, made with --exclude-table-data=logs, and 1 without a manifest"},
		"unreadable": {1, []Judged{chained(0, "", Origin{}, Unreadable)}, ""},
	} {
		listed := slices.Repeat([]Backup{bare}, c.bare)
		for _, j := range c.judged {
			listed = append(listed, j.Backup)
		}
		if got := unfinished(listed, c.judged); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestUnproven(t *testing.T) {
	c := Chain{Since: chainBegin.Add(-5 * time.Hour)}
	if got := c.Unproven(chainBegin); got != 5*time.Hour {
		t.Errorf("never proven: %s", got)
	}
	c.Proof = &RestoreProof{FinishedAt: chainBegin.Add(-time.Hour)}
	if got := c.Unproven(chainBegin); got != time.Hour {
		t.Errorf("proven: %s", got)
	}
}

// A proof is one of the very object that was restored.
func TestProves(t *testing.T) {
	proof := RestoreProof{StoredSize: 3, StoredSHA256: "aa", ETag: `"tag"`}
	object := bucket.Object{Size: 3, ETag: `"tag"`, Modified: chainBegin}
	stored := bucket.Object{Modified: chainBegin.Add(time.Second)}
	m := Manifest{StoredSHA256: "aa"}
	for name, c := range map[string]struct {
		change func()
		want   bool
	}{
		"as it was":               {func() {}, true},
		"in the same second":      {func() { stored.Modified = chainBegin }, true},
		"a tag without quotes":    {func() { object.ETag = "tag" }, true},
		"older than its object":   {func() { stored.Modified = chainBegin.Add(-time.Second) }, false},
		"another size":            {func() { object.Size = 4 }, false},
		"another object":          {func() { object.ETag = `"other"` }, false},
		"a manifest says another": {func() { m.StoredSHA256 = "bb" }, false},
	} {
		p, o, s, manifest := proof, object, stored, m
		c.change()
		if got := p.proves(object, stored, m); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		proof, object, stored, m = p, o, s, manifest
	}
}

// The proof of a backup that is gone is deleted, unless it is the owner's newest.
func TestOutlivedProofs(t *testing.T) {
	key := func(day int) string { return fmt.Sprintf("a/202603%02dT030000Z-pg17.sql.gz", day) }
	proofOf := func(day int) string { return key(day) + ".proof.json" }
	for name, c := range map[string]struct{ objects, want []string }{
		"both":             {[]string{key(2), key(2) + ".json", proofOf(2)}, nil},
		"the only one":     {[]string{key(9), proofOf(2)}, nil},
		"an older one":     {[]string{key(9), proofOf(2), proofOf(3)}, []string{proofOf(2)}},
		"beside a newer":   {[]string{key(9), proofOf(9), proofOf(2), proofOf(3)}, []string{proofOf(3), proofOf(2)}},
		"with its backup":  {[]string{key(9), proofOf(9), key(2), proofOf(2)}, nil},
		"of somebody else": {[]string{key(9), proofOf(9), "a/notes.proof.json", "a/b/" + proofOf(2)}, nil},
	} {
		var objects []bucket.Object
		for _, k := range c.objects {
			objects = append(objects, bucket.Object{Key: k})
		}
		own, _ := proofsIn("a/", objects)
		exists := map[string]bool{}
		for _, k := range c.objects {
			exists[k] = true
		}
		if diff := cmp.Diff(c.want, outlived(own, exists)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, b := range Find("a/", objects) {
			if strings.Contains(b.Key, "proof") {
				t.Errorf("%s: %s is taken for a backup", name, b.Key)
			}
		}
	}
}

// What somebody else wrote there is no proof, whatever it is.
func TestDecodeProof(t *testing.T) {
	whole := `{"version": 1, "key": "k", "stored_sha256": "` + strings.Repeat("0", 64) +
		`", "finished_at": "2026-03-10T03:00:00Z"}`
	for text, want := range map[string]bool{
		whole: true, strings.Replace(whole, `"k"`, `"other"`, 1): false, strings.Replace(whole, "1", "2", 1): false,
		"": false, "{}": false, "[]": false, `{"version": "1"}`: false,
	} {
		if _, ok := decodeProof([]byte(text), "k"); ok != want {
			t.Errorf("%s: %v", text, ok)
		}
	}
}
