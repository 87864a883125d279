package action

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// That nobody has backed a tenant up is wrong, and no reason to wake it: its schema is as it was.
func TestATenantWithoutABackupIsLeftAsleep(t *testing.T) {
	servertest.Long(t)
	sameClocks(t)
	for _, kept := range []string{"report", "catalog"} {
		t.Run(kept, func(t *testing.T) {
			f, v := newFleet(t, named("a", "b")...), newVault(t)
			f.run(t, t.Context()).counts(t, 2, 0, 0, 0)
			records := "previous-report=reports/*.json"
			if kept == "catalog" {
				records = "catalog-url=" + pgtest.Database(t)
			}
			inputs := v.inputs("mode=health-check", "leave-asleep=true", "fail-on=drift,backup-age", records)
			for i, asleep := range []int{0, 2, 2} {
				f.resolved()
				o := f.run(t, t.Context(), inputs...)
				o.counts(t, 0, 0, 2, 0)
				o.says(t, "it has no verified backup")
				if n := f.resolved(); slept(t, o).LeftAsleep != asleep || asleep > 0 && n > 0 {
					t.Errorf("run %d left %d asleep, and asked for %d connection strings", i, slept(t, o).LeftAsleep, n)
				}
				if kept == "report" {
					f.keep(t, "last", o)
				}
			}
		})
	}
}
