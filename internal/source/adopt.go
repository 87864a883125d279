package source

import (
	"fmt"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/words"
)

// existing is a schema or database that has the name of a tenant to create, was there before this run, and is not
// listed.
type existing struct {
	name     string // with its kind and where it is: `the database has a schema "acme"`
	list     string // what lists tenants: "public.schema_tracker"
	register string // how to list it by hand
	holds    postgres.Existing
}

// adopt returns an error unless a run that was cut off may have left it: it is empty, or records a beginning of the
// migrations. versions are those of all files, in their order. Anything else belongs to another application: Rails,
// Ecto and golang-migrate name their table schema_migrations too.
func (e existing) adopt(versions []string) error {
	why := e.foreign(versions)
	if why == "" {
		return nil
	}
	return fleet.WithRemedy(fmt.Errorf("%s that %s does not list, and %s", e.name, e.list, why),
		"choose another name; or, if it is that tenant's, "+e.register)
}

// foreign says why no run can have left it, "" if one may have.
func (e existing) foreign(versions []string) string {
	unknown, skipped := compareRecord(e.holds.Versions, versions)
	switch {
	case e.holds.Foreign != "":
		return e.holds.Foreign
	case len(unknown) > 0:
		const shown = 3
		return fmt.Sprintf("%s records what no file in migrations-path has: version %s", e.holds.Record,
			words.List(unknown, shown))
	case skipped != "":
		return fmt.Sprintf("%s records later versions but not %s, so it is no beginning of the files in "+
			"migrations-path", e.holds.Record, skipped)
	case len(e.holds.Versions) == 0 && e.holds.Other != "":
		return "it holds something that no migration created: " + e.holds.Other
	}
	return ""
}

// compareRecord compares what is recorded with the versions of all files. unknown are recorded and have no file;
// skipped is the first that is not recorded although a later one is.
func compareRecord(recorded, versions []string) (unknown []string, skipped string) {
	last := -1
	for _, v := range recorded {
		if at := slices.Index(versions, v); at >= 0 {
			last = max(last, at)
		} else {
			unknown = append(unknown, v)
		}
	}
	slices.Sort(unknown)
	for _, v := range versions[:last+1] {
		if !slices.Contains(recorded, v) {
			return unknown, v
		}
	}
	return unknown, ""
}
