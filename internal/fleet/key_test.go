package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAssignKeys(t *testing.T) {
	all := func(Tenant) bool { return true }
	only := func(id string) func(Tenant) bool { return func(t Tenant) bool { return t.ID == id } }
	const (
		names    = "tenants cannot be told apart by their names: "
		ids      = "tenants cannot be told apart by their ids: "
		useIDs   = "set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants"
		listThem = "the ids must be unique: list each of them once at the source"
	)
	for _, test := range []struct {
		name    string
		tenants []Tenant
		unread  []string
		by      KeyBy
		chosen  func(Tenant) bool
		keys    string // separated by blanks; empty: an error
		err     string
		remedy  string
	}{
		{
			name: "by name", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "Acme Corp", ID: "1"}, {Name: "Globex", ID: "2"}},
			keys:    "acme-corp globex",
		},
		{
			name: "by id", by: KeyByID, chosen: all,
			tenants: []Tenant{{Name: "Acme", ID: "late-frost-1"}, {Name: "Acme", ID: "late-frost-2"}},
			keys:    "late-frost-1 late-frost-2",
		},
		{
			name: "the same key twice", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "Acme Corp", ID: "1"}, {Name: "acme_corp", ID: "2"}, {Name: "x", ID: "3"}},
			err:     names + `"Acme Corp" (1) and "acme_corp" (2) have the same key acme-corp`,
			remedy:  useIDs,
		},
		{
			name: "accents apart", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "Müller", ID: "1"}, {Name: "Möller", ID: "2"}, {Name: "Größe GmbH", ID: "3"}},
			keys:    "muller moller grosse-gmbh",
		},
		{
			name: "names that leave nothing", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "🚀", ID: "late-frost-1"}, {Name: "", ID: "late-frost-2"}, {Name: "--", ID: "--"}},
			keys:    "late-frost-1 late-frost-2 d8156bae",
		},
		{
			name: "a new tenant, which has no id yet", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "a", ID: "1"}, {Name: "🚀"}},
			keys:    "a ",
		},
		{
			name: "a name that leaves nothing and the id of another", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "🚀", ID: "late-frost-1"}, {Name: "Late Frost 1", ID: "2"}},
			err:     names + `"🚀" (late-frost-1) and "Late Frost 1" (2) have the same key late-frost-1`,
			remedy:  useIDs,
		},
		{
			name: "schemas of one key", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "acme-corp", ID: "acme-corp"}, {Name: "acme_corp", ID: "acme_corp"}},
			err:     names + `"acme-corp" (acme-corp) and "acme_corp" (acme_corp) have the same key acme-corp`,
			remedy:  useIDs,
		},
		{
			name: "the same schemas by id", by: KeyByID, chosen: all,
			tenants: []Tenant{{Name: "acme-corp", ID: "acme-corp"}, {Name: "acme_corp", ID: "acme_corp"}},
			keys:    "acme-corp acme-corp-cca8c794",
		},
		{
			name: "one of them chosen", by: KeyByName, chosen: only("2"),
			tenants: []Tenant{{Name: "a", ID: "1"}, {Name: "A", ID: "2"}},
			err:     names + `"a" (1) and "A" (2) have the same key a`,
			remedy:  useIDs,
		},
		{
			name: "none of them chosen", by: KeyByName, chosen: only("4"),
			tenants: []Tenant{{Name: "a", ID: "1"}, {Name: "A", ID: "2"}, {Name: "-", ID: "3"}, {Name: "b", ID: "4"}},
			keys:    "a a 3 b",
		},
		{
			name: "many", by: KeyByID, chosen: all,
			tenants: append(crowd(7), crowd(7)...),
			err: ids + `"Tenant 0" (id-0) and "Tenant 0" (id-0) have the same key id-0; ` +
				`"Tenant 1" (id-1) and "Tenant 1" (id-1) have the same key id-1; ` +
				`"Tenant 2" (id-2) and "Tenant 2" (id-2) have the same key id-2; ` +
				`"Tenant 3" (id-3) and "Tenant 3" (id-3) have the same key id-3; ` +
				`"Tenant 4" (id-4) and "Tenant 4" (id-4) have the same key id-4; and 2 more`,
			remedy: listThem,
		},
		{name: "nobody", by: KeyByName, chosen: all},
		{
			name: "an unread tenant, by id", by: KeyByID, chosen: only("t-1"),
			tenants: []Tenant{{Name: "a", ID: "t-1"}, {Name: "b", ID: "t-2"}}, unread: []string{"t-1", "t-2", "t-3"},
			err:    ids + `"a" (t-1) and t-1, which could not be read, have the same key t-1`,
			remedy: listThem,
		},
		{
			name: "an unread tenant, by name", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "t-1", ID: "1"}}, unread: []string{"t-1"},
			keys: "t-1", // its id is no key, and its name is not known
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := AssignKeys(test.tenants, test.unread, test.by, test.chosen)
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
