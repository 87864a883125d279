package tenant

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// listed is a fleet with two tenants of one name, and one whose name is another's id.
var listed = []fleet.Tenant{
	{Name: "acme", ID: "p-1"}, {Name: "twin", ID: "p-2"}, {Name: "twin", ID: "p-3"}, {Name: "p-1", ID: "p-4"},
}

func TestNamesake(t *testing.T) {
	for name, want := range map[string]string{
		"acme": "p-1", "p-2": "p-2", "p-4": "p-4", "ACME": "", "nobody": "", "acm*": "",
		"twin": `tenant-name: "twin" is the name or the id of 2 tenants: p-2 ("twin"), p-3 ("twin")`,
		"p-1":  `tenant-name: "p-1" is the name or the id of 2 tenants: p-1 ("acme"), p-4 ("p-1")`,
	} {
		got, found, err := namesake(listed, name, "the remedy")
		switch {
		case err != nil:
			if err.Error() != want || found || fleet.Remedy(err) != "the remedy" {
				t.Errorf("%s: %t, %v (%s)", name, found, err, fleet.Remedy(err))
			}
		case got.ID != want || found != (want != ""):
			t.Errorf("%s: got %+v, %t", name, got, found)
		}
	}
}

func TestNamesakeOfMany(t *testing.T) {
	many := make([]fleet.Tenant, 7)
	for i := range many {
		many[i] = fleet.Tenant{Name: "twin", ID: string(rune('a' + i))}
	}
	_, _, err := namesake(many, "twin", "")
	if err == nil ||
		!strings.HasSuffix(err.Error(),
			`of 7 tenants: a ("twin"), b ("twin"), c ("twin"), d ("twin"), e ("twin") and 2 more`) {
		t.Error(err)
	}
}

func TestToCreate(t *testing.T) {
	for name, c := range map[string]struct {
		want   fleet.Tenant
		listed bool
		err    string
	}{
		"acme": {want: listed[0], listed: true},
		"new":  {want: fleet.Tenant{Name: "new"}},
		"p-2":  {err: `tenant-name: "p-2" is the id of the tenant "twin"`},
		"twin": {err: "is the name or the id of 2 tenants"},
	} {
		got, found, err := toCreate(listed, name)
		if got != c.want || found != c.listed || !matches(err, c.err) {
			t.Errorf("%s: got %+v, %t, %v", name, got, found, err)
		}
	}
}

func TestToDrop(t *testing.T) {
	for name, c := range map[string]struct {
		name       string
		incomplete bool
		want       string // its id
		err        string
	}{
		"by name": {name: "acme", want: "p-1"},
		"by id":   {name: "p-2", want: "p-2"},
		"not listed": {name: "gone",
			err: `tenant-name: "gone" is none of the 4 listed tenants, and only a listed one is dropped`},
		"two of the name":                {name: "twin", err: "is the name or the id of 2 tenants"},
		"by name, listing is incomplete": {name: "acme", incomplete: true, err: "not every tenant could be listed"},
		"by id, listing is incomplete":   {name: "p-2", incomplete: true, want: "p-2"},
	} {
		got, err := toDrop(listed, !c.incomplete, c.name)
		if got.ID != c.want || !matches(err, c.err) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// matches reports whether an error holds a text and has a remedy; no text stands for no error.
func matches(err error, text string) bool {
	if text == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), text) && fleet.Remedy(err) != ""
}
