package backups_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
)

const day = 24 * time.Hour

// shelf is the folder of one test.
type shelf struct {
	t *testing.T
	backups.Store
	name string
}

// put stores a backup of some days ago. change may be nil; unverified ones have no manifest.
func (f shelf) put(daysAgo int, verified bool, change func(*backups.Manifest)) string {
	f.t.Helper()
	k := at(f.t, f.Store, f.name, f.Now().Add(-time.Duration(daysAgo)*day))
	put(f.t, f.Store, k, false)
	if verified {
		m := manifestOf(k)
		if change != nil {
			change(&m)
		}
		commit(f.t, f.Store, m)
	}
	return k.String()
}

// due returns what a policy deletes once there is a new backup, with the reasons.
func (f shelf) due(o backups.Owner, p backups.Policy) (map[string]string, []backups.Decision, []backups.Judged) {
	f.t.Helper()
	listed, err := f.List(f.t.Context(), f.name)
	if err != nil {
		f.t.Fatal(err)
	}
	written := at(f.t, f.Store, f.name, f.Now())
	o.Written = written.String()
	listed = slices.Insert(listed, 0, backups.Backup{Key: o.Written, Time: written.Time, Verified: true})
	decisions, judged, err := f.Due(f.t.Context(), listed, o, p)
	if err != nil {
		f.t.Fatal(err)
	}
	gone := map[string]string{}
	for _, d := range decisions {
		if !d.Keep {
			gone[d.Key] = strings.Join(d.Reasons, ", ")
		}
	}
	return gone, decisions, judged
}

func foreign(m *backups.Manifest)   { m.Tenant.ID = "id-2" }
func elsewhere(m *backups.Manifest) { m.Origin.Server = "other:5432" }
func partial(m *backups.Manifest)   { m.Whole, m.Args = false, []string{"-s"} }
func emptied(m *backups.Manifest)   { m.StoredSize = 7 }

func TestDue(t *testing.T) {
	s, _ := openStore(t)
	week := backups.Policy{Days: 7, KeepLast: 1}
	type stored struct {
		daysAgo  int
		verified bool
		change   func(*backups.Manifest)
	}
	for i, c := range []struct {
		name   string
		stored []stored
		args   []string
		policy backups.Policy
		want   map[int]string // by the days
	}{
		{name: "none yet", policy: backups.Policy{KeepLast: 1}},
		{name: "all within days", stored: []stored{{1, true, nil}, {6, true, nil}}, policy: week},
		{name: "past days", stored: []stored{{1, true, nil}, {8, true, nil}}, policy: week,
			want: map[int]string{8: "older than 7 days"}},
		{name: "the new one is the last", stored: []stored{{1, true, nil}}, policy: backups.Policy{KeepLast: 1},
			want: map[int]string{1: "no rule keeps it"}},
		{name: "the new one is one of two", stored: []stored{{1, true, nil}, {2, true, nil}},
			policy: backups.Policy{KeepLast: 2}, want: map[int]string{2: "no rule keeps it"}},
		{name: "not verified", stored: []stored{{8, false, nil}}, policy: week,
			want: map[int]string{8: "older than 7 days, never verified"}},
		{name: "of another tenant, or from elsewhere", policy: week,
			stored: []stored{{1, true, foreign}, {8, true, foreign}, {9, true, elsewhere}}},
		{name: "another's takes no place", policy: backups.Policy{KeepLast: 2},
			stored: []stored{{1, true, foreign}, {2, true, nil}, {3, true, nil}}, want: map[int]string{3: "no rule keeps it"}},
		{name: "another's takes no period", policy: backups.Policy{Daily: 3},
			stored: []stored{{1, true, foreign}, {2, true, nil}, {3, true, nil}, {4, true, nil}},
			want:   map[int]string{4: "no rule keeps it"}},
		{name: "partial ones are a history of their own", policy: week,
			stored: []stored{{8, true, nil}, {9, true, partial}, {10, true, partial}},
			want:   map[int]string{8: "older than 7 days", 10: "older than 7 days"}},
		{name: "whole ones beside partial ones", policy: week, args: []string{"-s"},
			stored: []stored{{8, true, nil}, {9, true, nil}, {10, true, partial}},
			want:   map[int]string{9: "older than 7 days", 10: "older than 7 days"}},
		{name: "damaged", stored: []stored{{1, true, nil}, {9, true, emptied}}, policy: week,
			want: map[int]string{9: "older than 7 days, it holds 4 bytes, and held 7 when it was made"}},
		{name: "from the future", stored: []stored{{-20, true, nil}, {1, true, nil}}, policy: backups.Policy{KeepLast: 2}},
		{name: "from the future, and old ones", policy: backups.Policy{KeepLast: 2},
			stored: []stored{{-20, true, nil}, {1, true, nil}, {2, true, nil}}, want: map[int]string{2: "no rule keeps it"}},
	} {
		f := shelf{t, s, fmt.Sprintf("tenant-%d", i)}
		want := map[string]string{}
		for _, b := range c.stored {
			key := f.put(b.daysAgo, b.verified, b.change)
			if why, gone := c.want[b.daysAgo]; gone {
				want[key] = why
			}
		}
		got, _, _ := f.due(backups.Owner{ID: "id-1", Origin: home, Args: c.args}, c.policy)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// With nothing due one manifest is read, and of a long history only those that decide.
func TestDueReadsFewManifests(t *testing.T) {
	s, proxy := openStore(t)
	f, o := shelf{t, s, "acme"}, backups.Owner{ID: "id-1", Origin: home}
	for i := range 12 {
		f.put(i+1, true, nil)
	}
	for days, want := range map[int]int{30: 1, 11: 2, 10: 3} { // the one of 11 days ago is seconds older by now
		before := proxy.Calls("GetObject")
		gone, _, judged := f.due(o, backups.Policy{Days: days, KeepLast: 1})
		if n := proxy.Calls("GetObject") - before; n != want || len(gone) != max(0, 13-days) {
			t.Errorf("%d days: %d manifests were read for %d", days, n, len(gone))
		}
		if backups.Passed(judged) != "" {
			t.Errorf("%d days: %s", days, backups.Passed(judged))
		}
	}
	before := proxy.Calls("GetObject")
	f.due(o, backups.Policy{Days: 30, KeepLast: 5})
	if n := proxy.Calls("GetObject") - before; n != 1 {
		t.Errorf("to keep 5 of which none is due, %d manifests were read", n)
	}
	// The one before the new one is another tenant's: that is noticed though nothing is due.
	f = shelf{t, s, "zeta"}
	key := f.put(1, true, foreign)
	_, _, judged := f.due(o, backups.Policy{Days: 7, KeepLast: 1})
	if text := backups.Passed(judged); text != "1 backup passed over: "+key+" (it is of another tenant, whose id is "+
		"id-2)" {
		t.Errorf("it says %q", text)
	}
}

// An unfinished backup is deleted only if its own metadata says that it is this tenant's.
func TestPruneLeavesWhatMayBeAnothers(t *testing.T) {
	s, _ := openStore(t)
	f, o := shelf{t, s, "acme"}, backups.Owner{ID: "id-1", Origin: home}
	mine := f.put(20, false, nil)
	silent := at(t, s, "acme", s.Now().Add(-21*day)).String()
	if _, err := s.PutSmall(t.Context(), silent, []byte("dump"), "application/gzip"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		owner backups.Owner
		left  []string
	}{
		{backups.Owner{ID: "id-2", Origin: home}, []string{mine, silent}},
		{backups.Owner{ID: "id-1", Origin: backups.Origin{Server: "other:5432"}}, []string{mine, silent}},
		{o, []string{silent}},
	} {
		_, decisions, _ := f.due(c.owner, backups.Policy{Days: 7, KeepLast: 1})
		p, err := s.Prune(t.Context(), decisions, c.owner)
		if err != nil || !slices.Equal(p.Left, c.left) || len(p.Deleted) != 2-len(c.left) {
			t.Errorf("%+v: %+v, %v", c.owner, p, err)
		}
	}
}

// In a bucket that keeps versions a deletion is a mark, which is said; what Object Lock holds is not even marked.
func TestPruneOfVersions(t *testing.T) {
	s, server := lockedStore(t)
	f, o := shelf{t, s, "acme"}, backups.Owner{ID: "id-1", Origin: home}
	held, marked := f.put(9, true, nil), f.put(8, true, nil)
	_, err := server.Client().PutObjectRetention(t.Context(), &s3.PutObjectRetentionInput{
		Bucket: aws.String(s.Name()), Key: &held, Retention: &types.ObjectLockRetention{
			Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: aws.Time(time.Now().Add(day)),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, decisions, _ := f.due(o, backups.Policy{Days: 7, KeepLast: 1})
	p, err := s.Prune(t.Context(), decisions, o)
	if err != nil || !slices.Equal(p.Retained, []string{held}) || !slices.Equal(p.Marked, []string{marked}) ||
		len(p.Deleted) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	listed, err := s.List(t.Context(), "acme")
	if err != nil || len(listed) != 1 || listed[0].Key != held || !listed[0].Verified {
		t.Errorf("left %+v, %v", listed, err)
	}
	versions, err := server.Client().ListObjectVersions(t.Context(),
		&s3.ListObjectVersionsInput{Bucket: aws.String(s.Name()), Prefix: &marked})
	if err != nil || len(versions.Versions) != 2 { // the backup's and its manifest's
		t.Errorf("%d versions, %v", len(versions.Versions), err)
	}
}

// lockedStore opens a bucket with Object Lock, and so with versions.
func lockedStore(t *testing.T) (backups.Store, *buckettest.Server) {
	t.Helper()
	s := buckettest.Shared(t)
	return openBucket(t, s, s.URL, buckettest.Bucket(t, s, true)), s
}

// A proof from the future counts for no drill: it would be the newest for ever.
func TestProofsFromTheFuture(t *testing.T) {
	s, _ := openStore(t)
	f, o := shelf{t, s, "acme"}, backups.Owner{ID: "id-1", Origin: home}
	key := f.put(1, true, nil)
	prove := func(at time.Time) {
		t.Helper()
		m, err := s.Manifest(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		p := backups.RestoreProof{
			Key: key, Tenant: m.Tenant, Origin: m.Origin, StoredSize: m.StoredSize, StoredSHA256: m.StoredSHA256, FinishedAt: at,
		}
		if err := s.Prove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for ahead, counts := range map[time.Duration]bool{-time.Hour: true, backups.MaxSkew / 2: true, 365 * day: false} {
		prove(s.Now().Add(ahead))
		objects, err := s.Objects(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := s.Proven(t.Context(), s.Folder("acme"), objects, o); ok != counts || err != nil {
			t.Errorf("%s ahead: %v, %v", ahead, ok, err)
		}
		chains, odd, err := s.Chains(t.Context())
		if err != nil || len(chains) != 1 || (chains[0].Proof != nil) != counts || (len(odd) == 0) != counts {
			t.Errorf("%s ahead: chains %+v, odd %v, %v", ahead, chains, odd, err)
		}
	}
}
