package fleet

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseShard(t *testing.T) {
	for text, want := range map[string]Shard{"1/1": {1, 1}, "2/8": {2, 8}, " 8 / 8 ": {8, 8}, "1/256": {1, 256}} {
		if got, err := ParseShard(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "/", "2", "0/8", "9/8", "-1/8", "1/0", "a/b", "1/2/3", "1.5/2", "2\\8", "1/99999999999999999999"} {
		want := fmt.Sprintf("%q is not a shard of the form 2/8 (the second of eight; the first number is from 1 to the second)", text)
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

// TestShardsAreStable holds the hash to what released versions did: a change would move tenants between jobs that are
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
		"neon":    func(i int) string { return fmt.Sprintf("%s-%s-%08d", adjectives[i%5], nouns[i/5%5], 10_000_000+i*7919) },
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
				if off := math.Abs(float64(len(share)) - mean); off > 5*math.Sqrt(mean) { // five standard deviations of a fair hash
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

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{
		"acme": "acme", "Acme Corp": "acme-corp", "ACME_Corp, Inc.": "acme-corp-inc", "--a--b--": "a-b", "a": "a", "007": "007",
		"": "", "-": "", "日本": "", "日本 1": "1", "Café": "caf", "Straße 5": "stra-e-5", "a\nb": "a-b", "a\xffb": "a-b", "\u212a": "", // the last is the Kelvin sign, a k in lower case
		"tenant-morning-bread-81040908": "tenant-morning-bread-81040908",
	} {
		if got := Slug(text); got != want {
			t.Errorf("Slug(%q) = %q, want %q", text, got, want)
		}
	}
}

var slugForm = regexp.MustCompile(`^([a-z0-9]+(-[a-z0-9]+)*)?$`)

func FuzzSlug(f *testing.F) {
	for _, seed := range []string{"Acme Corp", "--", "日本-1", "\xff", "İı", "a\x00b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		slug := Slug(text)
		if !slugForm.MatchString(slug) {
			t.Errorf("Slug(%q) = %q", text, slug)
		}
		if again := Slug(slug); again != slug {
			t.Errorf("Slug(%q) = %q, and of that %q", text, slug, again)
		}
		if Slug(" "+text+"_") != slug || utf8.ValidString(text) && Slug(strings.ToUpper(slug)) != slug {
			t.Errorf("Slug(%q) = %q depends on its surroundings or its case", text, slug)
		}
	})
}

func TestAssignKeys(t *testing.T) {
	all := func(Tenant) bool { return true }
	for _, test := range []struct {
		name    string
		tenants []Tenant
		by      KeyBy
		chosen  func(Tenant) bool
		keys    string // separated by blanks; empty: an error
		err     string
		remedy  string
	}{
		{
			name: "by name", tenants: []Tenant{{Name: "Acme Corp", ID: "1"}, {Name: "Globex", ID: "2"}}, by: KeyByName, chosen: all,
			keys: "acme-corp globex",
		},
		{
			name: "by id", tenants: []Tenant{{Name: "Acme", ID: "late-frost-1"}, {Name: "Acme", ID: "late-frost-2"}}, by: KeyByID, chosen: all,
			keys: "late-frost-1 late-frost-2",
		},
		{
			name: "two of one key", tenants: []Tenant{{Name: "Acme Corp", ID: "1"}, {Name: "acme_corp", ID: "2"}, {Name: "x", ID: "3"}}, by: KeyByName, chosen: all,
			err:    `tenants cannot be told apart by their names: "Acme Corp" (1) and "acme_corp" (2) have the same key acme-corp`,
			remedy: "set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants",
		},
		{
			name: "no key at all", tenants: []Tenant{{Name: "日本", ID: "1"}, {Name: "", ID: "2"}}, by: KeyByName, chosen: all,
			err:    `tenants cannot be told apart by their names: "日本" (1) leaves an empty key; "" (2) leaves an empty key`,
			remedy: "set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants",
		},
		{
			name: "ids that are alike", tenants: []Tenant{{Name: "a", ID: "T_1"}, {Name: "b", ID: "t-1"}}, by: KeyByID, chosen: all,
			err:    `tenants cannot be told apart by their ids: "a" (T_1) and "b" (t-1) have the same key t-1`,
			remedy: "the source gives ids that differ only in letter case or punctuation; rename them there",
		},
		{
			name: "one of them chosen", tenants: []Tenant{{Name: "a", ID: "1"}, {Name: "A", ID: "2"}}, by: KeyByName, chosen: func(t Tenant) bool { return t.ID == "2" },
			err:    `tenants cannot be told apart by their names: "a" (1) and "A" (2) have the same key a`,
			remedy: "set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants",
		},
		{
			name: "none of them chosen", tenants: []Tenant{{Name: "a", ID: "1"}, {Name: "A", ID: "2"}, {Name: "-", ID: "3"}, {Name: "b", ID: "4"}}, by: KeyByName,
			chosen: func(t Tenant) bool { return t.ID == "4" },
			keys:   "a a  b",
		},
		{
			name: "many", tenants: append(crowd(7), crowd(7)...), by: KeyByID, chosen: all,
			err: `tenants cannot be told apart by their ids: "Tenant 0" (id-0) and "Tenant 0" (id-0) have the same key id-0; ` +
				`"Tenant 1" (id-1) and "Tenant 1" (id-1) have the same key id-1; "Tenant 2" (id-2) and "Tenant 2" (id-2) have the same key id-2; ` +
				`"Tenant 3" (id-3) and "Tenant 3" (id-3) have the same key id-3; "Tenant 4" (id-4) and "Tenant 4" (id-4) have the same key id-4; and 2 more`,
			remedy: "the source gives ids that differ only in letter case or punctuation; rename them there",
		},
		{name: "nobody", by: KeyByName, chosen: all},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := AssignKeys(test.tenants, test.by, test.chosen)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(test.err, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.remedy, Remedy(err)); diff != "" {
				t.Errorf("remedy (-want +got):\n%s", diff)
			}
			var keys []string
			for _, tenant := range test.tenants {
				keys = append(keys, tenant.Key)
			}
			if got := strings.Join(keys, " "); test.err == "" && got != test.keys {
				t.Errorf("keys %q, want %q", got, test.keys)
			}
		})
	}
}

func TestIncompleteError(t *testing.T) {
	few, many := &IncompleteError{Missing: []string{"a", "b"}}, &IncompleteError{Missing: strings.Split("abcdefgh", "")}
	if got, want := few.Error(), "2 tenants exist that could not be read: [a b]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := many.Error(), "8 tenants exist that could not be read: [a b c d e] and 3 more"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if Remedy(fmt.Errorf("list tenants: %w", few)) == "" {
		t.Error("no remedy")
	}
}

func TestRemedy(t *testing.T) {
	inner := WithRemedy(fmt.Errorf("broken"), "inner")
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("broken"), ""},
		{fmt.Errorf("open: %w", inner), "inner"},
		{WithRemedy(fmt.Errorf("open: %w", inner), "outer"), "outer"},
		{fmt.Errorf("%w: %w", inner, WithRemedy(fmt.Errorf("x"), "second")), "inner"},
	} {
		if got := Remedy(test.err); got != test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
	if WithRemedy(nil, "none") != nil {
		t.Error("a remedy for no error is an error")
	}
	if file, line := Location(inner); file != "" || line != 0 {
		t.Errorf("a location out of nothing: %s:%d", file, line)
	}
}
