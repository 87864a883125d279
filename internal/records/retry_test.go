package records

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestAgain(t *testing.T) {
	tenant := func(name string) fleet.Tenant { return fleet.Tenant{Name: name, ID: name} }
	a, b, c, d := tenant("a"), tenant("b"), tenant("c"), tenant("d")
	tried := []Tried{{a, fleet.Failed}, {b, fleet.Succeeded}, {c, fleet.Skipped}, {tenant("e"), fleet.Unchanged}}
	ofD := fleet.Shard{Index: 1, Count: 2} // the share that has d
	if !ofD.Has(d) {
		ofD.Index = 2
	}
	others := fleet.Shard{Index: 3 - ofD.Index, Count: 2}
	tests := map[string]struct {
		tried       []Tried
		chosen, all []fleet.Tenant
		unreported  []fleet.Shard
		share       fleet.Shard
		want        Retry
	}{
		"failed and skipped ones": {tried: tried, chosen: []fleet.Tenant{a, b, c}, all: []fleet.Tenant{a, b, c},
			want: Retry{Again: []fleet.Tenant{a, c}, Done: 1}},
		"in the order in which they are chosen": {tried: tried, chosen: []fleet.Tenant{c, b, a}, all: []fleet.Tenant{a, b, c},
			want: Retry{Again: []fleet.Tenant{c, a}, Done: 1}},
		"only some are chosen": {tried: tried, chosen: []fleet.Tenant{b}, all: []fleet.Tenant{a, b, c}, want: Retry{Done: 1}},
		"a new one": {tried: tried, chosen: []fleet.Tenant{b, d}, all: []fleet.Tenant{a, b, c, d},
			want: Retry{Done: 1, New: []fleet.Tenant{d}}},
		"one of a shard without a report": {tried: tried, chosen: []fleet.Tenant{d}, all: []fleet.Tenant{a, b, c, d},
			unreported: []fleet.Shard{ofD}, want: Retry{Unknown: 1}},
		"a new one beside such a shard": {tried: tried, chosen: []fleet.Tenant{d}, all: []fleet.Tenant{a, b, c, d},
			unreported: []fleet.Shard{others}, want: Retry{New: []fleet.Tenant{d}}},
		"gone": {tried: tried, chosen: []fleet.Tenant{c}, all: []fleet.Tenant{b, c},
			want: Retry{Again: []fleet.Tenant{c}, Gone: []fleet.Tenant{a}}},
		"gone from another share": {tried: []Tried{{d, fleet.Failed}}, chosen: nil, all: nil, share: others, want: Retry{}},
		"gone from this share": {tried: []Tried{{d, fleet.Failed}}, chosen: nil, all: nil, share: ofD,
			want: Retry{Gone: []fleet.Tenant{d}}},
		"nothing was tried": {want: Retry{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Again(test.tried, test.chosen, test.all, test.unreported, test.share)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
