package fleet

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSlug(t *testing.T) {
	for text, want := range map[string]string{
		"acme": "acme", "Acme Corp": "acme-corp", "ACME_Corp, Inc.": "acme-corp-inc", "--a--b--": "a-b",
		"a": "a", "007": "007", "": "", "-": "", "日本": "", "日本 1": "1", "Café": "caf", "Straße 5": "stra-e-5",
		"a\nb": "a-b", "a\xffb": "a-b", "\u212a": "", // the Kelvin sign, which is a k in lower case
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
	only := func(id string) func(Tenant) bool { return func(t Tenant) bool { return t.ID == id } }
	const (
		names      = "tenants cannot be told apart by their names: "
		ids        = "tenants cannot be told apart by their ids: "
		useIDs     = "set tenant-key: id (keys are then made from the ids, which are unique), or rename the tenants"
		renameThem = "these ids differ only in letter case or punctuation; rename them at the source"
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
			name: "no key at all", by: KeyByName, chosen: all,
			tenants: []Tenant{{Name: "日本", ID: "1"}, {Name: "", ID: "2"}},
			err:     names + `"日本" (1) has an empty key; "" (2) has an empty key`,
			remedy:  useIDs,
		},
		{
			name: "similar ids", by: KeyByID, chosen: all,
			tenants: []Tenant{{Name: "a", ID: "T_1"}, {Name: "b", ID: "t-1"}},
			err:     ids + `"a" (T_1) and "b" (t-1) have the same key t-1`,
			remedy:  renameThem,
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
			keys:    "a a  b",
		},
		{
			name: "many", by: KeyByID, chosen: all,
			tenants: append(crowd(7), crowd(7)...),
			err: ids + `"Tenant 0" (id-0) and "Tenant 0" (id-0) have the same key id-0; ` +
				`"Tenant 1" (id-1) and "Tenant 1" (id-1) have the same key id-1; ` +
				`"Tenant 2" (id-2) and "Tenant 2" (id-2) have the same key id-2; ` +
				`"Tenant 3" (id-3) and "Tenant 3" (id-3) have the same key id-3; ` +
				`"Tenant 4" (id-4) and "Tenant 4" (id-4) have the same key id-4; and 2 more`,
			remedy: renameThem,
		},
		{name: "nobody", by: KeyByName, chosen: all},
		{
			name: "an unread tenant, by id", by: KeyByID, chosen: only("T_1"),
			tenants: []Tenant{{Name: "a", ID: "T_1"}, {Name: "b", ID: "t-2"}}, unread: []string{"t-1", "T_2", "t-3"},
			err:    ids + `"a" (T_1) and t-1, which could not be read, have the same key t-1`,
			remedy: renameThem,
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
