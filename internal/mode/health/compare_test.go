package health

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// seen returns observations from texts: key, hash, version and peers, separated by spaces.
func seen(texts ...string) (all []observation) {
	for i, text := range texts {
		f := strings.Split(text+"   ", " ")
		all = append(all, observation{i, fleet.Tenant{Name: f[0], ID: "id-" + f[0], Key: f[0]}, f[1], f[2],
			peers{applied: f[3]}, false})
	}
	return all
}

func TestCompareSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		all       []observation
		reference string
		want      []string // of each set: the norm | the others
	}{
		"nobody":                  {},
		"all the same":            {all: seen("b x", "a x"), want: []string{"x: a b"}},
		"the largest is the norm": {all: seen("a x", "b y", "c y"), want: []string{"y: b c | x: a"}},
		"others by their size": {all: seen("a x", "b y", "c y", "d z", "e z", "f z"),
			want: []string{"z: d e f | y: b c | x: a"}},
		"a tie goes to the newer one": {all: seen("a x 9", "b y 10"), want: []string{"y: b | x: a"}},
		"zeros before a version":      {all: seen("a x 010", "b y 9"), want: []string{"x: a | y: b"}},
		"then to the first key":       {all: seen("b x 9", "a y 9"), want: []string{"y: a | x: b"}},
		"the reference is the norm": {all: seen("a x", "b y", "c y"), reference: "id-a",
			want: []string{"x: a | y: b c"}},
		"of its own peers only": {all: seen("a x 1 p", "b y 2", "c y 2", "d z 2"), reference: "id-a",
			want: []string{"y: b c | z: d", "x: a"}},
		"those behind among themselves": {all: seen("a x 2", "b x 2", "c z 1 p", "d z 1 p", "e y 1 p"),
			want: []string{"z: c d | y: e", "x: a b"}},
	} {
		var got []string
		for _, one := range compareSchemas(c.all, c.reference) {
			var groups []string
			for _, g := range append([]schemaGroup{one.norm}, one.others...) {
				groups = append(groups, g.hash+": "+strings.Join(g.names(), " "))
			}
			got = append(got, strings.Join(groups, " | "))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPeersOf(t *testing.T) {
	current, behind := Detail{PostgresMajor: 17, Version: "9"},
		Detail{PostgresMajor: 17, Version: "8", Pending: []string{"9_x.sql"}}
	ahead, older := Detail{PostgresMajor: 17, Version: "10"}, Detail{PostgresMajor: 16, Version: "9"}
	for name, c := range map[string]struct {
		a, b     Detail
		compared bool
		equal    bool
	}{
		"nothing pending on either": {current, ahead, true, true},
		"one is behind":             {current, behind, true, false},
		"both are behind": {behind, Detail{PostgresMajor: 17, Pending: behind.Pending}, true,
			true},
		"another major version": {current, older, true, false},
		"another form of fingerprints": {current, Detail{PostgresMajor: 17, FingerprintVersion: 1}, true,
			false},
		"without files, another version":        {current, ahead, false, false},
		"without files, the same version":       {current, Detail{PostgresMajor: 17, Version: "9"}, false, true},
		"without files, pending does not count": {behind, Detail{PostgresMajor: 17, Version: "8"}, false, true},
	} {
		if equal := peersOf(c.a, c.compared) == peersOf(c.b, c.compared); equal != c.equal {
			t.Errorf("%s: compared with each other: %t", name, equal)
		}
	}
}

func TestObservations(t *testing.T) {
	read := Detail{Fingerprint: "x", Version: "9", PostgresMajor: 17}
	results := []fleet.Result{
		{Tenant: fleet.Tenant{ID: "unreachable"}, Outcome: fleet.Outcome{Detail: Detail{}}},
		{Tenant: fleet.Tenant{ID: "skipped"}},
		{Tenant: fleet.Tenant{ID: "a"}, Outcome: fleet.Outcome{Detail: read}},
	}
	want := []observation{{result: 2, tenant: fleet.Tenant{ID: "a"}, hash: "x", version: "9", peers: peers{major: 17}}}
	if diff := cmp.Diff(want, observations(results, true), cmp.AllowUnexported(observation{}, peers{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExtensionLines(t *testing.T) {
	var results []fleet.Result
	for _, e := range [][]string{{"vector 0.8.0", "citext 1.6"}, {"vector 0.8.0", "citext 1.6"},
		{"vector 0.7.4", "citext 1.6", "only here 1"}, nil} {
		results = append(results, fleet.Result{Outcome: fleet.Outcome{Detail: Detail{Extensions: e}}})
	}
	want := []string{"extension vector: 0.7.4 on 1 tenant, 0.8.0 on 2 tenants"}
	if diff := cmp.Diff(want, extensionLines(append(results, fleet.Result{}))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
