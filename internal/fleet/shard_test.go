package fleet

import (
	"fmt"
	"math"
	"testing"
)

func TestParseShard(t *testing.T) {
	for text, want := range map[string]Shard{"1/1": {1, 1}, "2/8": {2, 8}, " 8 / 8 ": {8, 8}, "1/256": {1, 256},
		"0+1/8": {1, 8}, "7 +1 / 8": {8, 8}} {
		if got, err := ParseShard(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "/", "2", "0/8", "9/8", "8+1/8", "-1+1/8", "+1/8", "1+2/8", "-1/8", "1/0", "a/b",
		"1/2/3", "1.5/2",
		"2\\8", "1/99999999999999999999"} {
		want := fmt.Sprintf("%q is not a shard; write for example 2/8, the second of eight (the first number must be "+
			"from 1 to the second)", text)
		if _, err := ParseShard(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if got := (Shard{2, 8}).String(); got != "2/8" {
		t.Errorf("String gives %q", got)
	}
	if got := (Shard{}).String(); got != "" {
		t.Errorf("String of the whole fleet gives %q", got)
	}
}

// TestShardsAreStable pins the hash to that of released versions: a change would move tenants between jobs that are
// already running, or leave some out.
func TestShardsAreStable(t *testing.T) {
	for id, want := range map[string][3]int{ // the shard of 2, of 8 and of 100
		"":                       {2, 2, 46},
		"a":                      {1, 1, 25},
		"1":                      {1, 1, 97},
		"2":                      {2, 2, 54},
		"morning-bread-81040908": {1, 1, 17},
		"late-frost-12345678":    {2, 2, 70},
		"tenant_1":               {2, 6, 50},
		"tenant_2":               {1, 5, 17},
		"日本":                     {1, 5, 53},
		"ACME":                   {1, 5, 85},
	} {
		for i, count := range []int{2, 8, 100} {
			for index := 1; index <= count; index++ {
				if has := (Shard{index, count}).Has(Tenant{ID: id}); has != (index == want[i]) {
					t.Errorf("shard %d/%d has %q: %v, want it in %d", index, count, id, has, want[i])
				}
			}
		}
	}
}

func TestShardsCoverEveryTenantOnce(t *testing.T) {
	kinds := map[string]func(i int) string{
		"neon": func(i int) string {
			return fmt.Sprintf("%s-%s-%08d", adjectives[i%5], nouns[i/5%5],
				10_000_000+i*7919)
		},
		"numbers": func(i int) string { return fmt.Sprint(i) },
		"schemas": func(i int) string { return fmt.Sprintf("tenant_%d", i) },
	}
	for kind, id := range kinds {
		for _, count := range []int{1, 2, 3, 8, 16, 100} {
			const n = 4000
			tenants := make([]Tenant, n)
			for i := range tenants {
				tenants[i] = Tenant{Name: "one name for all", ID: id(i)}
			}
			seen := map[string]int{}
			for index := 1; index <= count; index++ {
				share := Shard{index, count}.Select(tenants)
				for _, s := range share {
					seen[s.ID]++
				}
				mean := float64(n) / float64(count)
				// five standard deviations of a fair hash
				if off := math.Abs(float64(len(share)) - mean); off > 5*math.Sqrt(mean) {
					t.Errorf("%s: shard %d/%d has %d tenants, want about %.0f", kind, index, count, len(share), mean)
				}
			}
			for _, tenant := range tenants {
				if seen[tenant.ID] != 1 {
					t.Errorf("%s: %s is in %d of %d shards", kind, tenant.ID, seen[tenant.ID], count)
				}
			}
		}
	}
	if got := (Shard{}).Select(crowd(3)); len(got) != 3 {
		t.Errorf("no shard is %d of 3 tenants", len(got))
	}
}

var (
	adjectives = []string{"morning", "late", "cool", "weathered", "divine"}
	nouns      = []string{"bread", "frost", "sun", "band", "lake"}
)
