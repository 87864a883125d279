package tenant

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestShardMatrix(t *testing.T) {
	for _, c := range []struct {
		tenants, shards int
		want            string
	}{
		{500, 1, `{"shard":["1/1"]}`},
		{500, 3, `{"shard":["1/3","2/3","3/3"]}`},
		{2, 8, `{"shard":["1/2","2/2"]}`},
		{0, 8, `{"shard":["1/1"]}`}, // GitHub refuses a matrix without jobs
	} {
		got, err := json.Marshal(shardMatrix(c.tenants, c.shards))
		if err != nil || string(got) != c.want {
			t.Errorf("%d tenants, %d shards: %s, %v", c.tenants, c.shards, got, err)
		}
	}
}

func TestListing(t *testing.T) {
	results := []fleet.Result{{Tenant: fleet.Tenant{Name: `Zoë "<1>"`, ID: "p-1", Key: "zo-1"}},
		{Tenant: fleet.Tenant{Name: "b", ID: "p-2", Key: "b"}}}
	e, err := listing(results, 2)
	if err != nil {
		t.Fatal(err)
	}
	var back []fleet.Tenant
	if err := json.Unmarshal([]byte(e.Outputs["tenants"]), &back); err != nil ||
		cmp.Diff([]fleet.Tenant{results[0].Tenant, results[1].Tenant}, back) != "" {
		t.Errorf("%s: %v", e.Outputs["tenants"], err)
	}
	if e, err = listing(nil, 2); err != nil || e.Outputs["tenants"] != "[]" {
		t.Errorf("none: %+v, %v", e, err)
	}
}

// GitHub refuses outputs over its limit: the list is left out whole, and the matrix stays.
func TestListingThatIsTooLarge(t *testing.T) {
	results := make([]fleet.Result, 10_000)
	for i := range results {
		results[i].Tenant = fleet.Tenant{Name: fmt.Sprintf("customer %05d", i), ID: fmt.Sprintf("quiet-river-%08d", i),
			Key: fmt.Sprintf("customer-%05d", i)}
	}
	e, err := listing(results, 3)
	if _, set := e.Outputs["tenants"]; err != nil || set || e.Outputs["matrix"] != `{"shard":["1/3","2/3","3/3"]}` {
		t.Errorf("%v: %v", err, e.Outputs["matrix"])
	}
	if len(e.Warnings) != 1 || !strings.Contains(e.Warnings[0], "10000 tenants takes 1.5 MB") {
		t.Errorf("warnings: %q", e.Warnings)
	}
	if e, err = listing(results[:5000], 3); err != nil || e.Outputs["tenants"] == "" || len(e.Warnings) != 0 {
		t.Errorf("5,000 tenants have no list: %v, %q", err, e.Warnings)
	}
}
