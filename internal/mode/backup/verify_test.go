package backup

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres"
)

func TestCompareRows(t *testing.T) {
	dumped := []postgres.TableRows{{Table: "public.a", Rows: 2}, {Table: "public.b", Rows: 0}}
	for name, c := range map[string]struct {
		restored []postgres.TableRows
		ok       bool
	}{
		"the same":         {dumped, true},
		"more tables":      {append([]postgres.TableRows{{Table: "public.empty"}}, dumped...), true}, // no data was dumped
		"rows unknown":     {[]postgres.TableRows{{Table: "public.a", Rows: -1}, {Table: "public.b"}}, true},
		"a row is missing": {[]postgres.TableRows{{Table: "public.a", Rows: 1}, {Table: "public.b"}}, false},
		"a table is":       {dumped[:1], false},
	} {
		if err := compareRows(dumped, c.restored); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
