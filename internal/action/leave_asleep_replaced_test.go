package action

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// What this action does to a branch leaves nothing known of it, whoever keeps the records; what is known of other
// branches stays.
func TestAReplacedBranchIsNotLeftAsleep(t *testing.T) {
	sameClocks(t)
	for _, kept := range []string{"report", "catalog"} {
		for name, replace := range map[string][]string{
			"reset": {"reset-branches"}, "made again": {"delete-branches", "create-branches"},
		} {
			t.Run(kept+" "+name, func(t *testing.T) {
				t.Parallel()
				f := newFleet(t, named("a")...)
				records := "previous-report=reports/*.json"
				if kept == "catalog" {
					records = "catalog-url=" + pgtest.Database(t)
				}
				do := func(name string, inputs ...string) outcome {
					t.Helper()
					if kept == "catalog" {
						inputs = append(inputs, records)
					}
					o := f.run(t, t.Context(), inputs...)
					if o.err != nil {
						t.Fatal(o.log)
					}
					if kept == "report" {
						f.keep(t, name, o)
					}
					return o
				}
				staging := []string{"leave-asleep=true", "neon-branch=staging", records}
				do("1", "mode=create-branches", "branch-name=staging")
				do("2", staging...).counts(t, 1, 0, 0, 0)
				do("3", "mode=create-branches", "branch-name=other")
				do("4", staging...).says(t, "1 tenant left asleep")
				for i, mode := range replace {
					do("5"+string(rune('a'+i)), "mode="+mode, "branch-name=staging").counts(t, 1, 0, 0, 0)
				}
				do("6", staging...).counts(t, 1, 0, 0, 0)
				do("7", staging...).says(t, "1 tenant left asleep")
			})
		}
	}
}
