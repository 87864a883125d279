package tenant

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/records"
)

func TestFresh(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	stored := func(age time.Duration) backups.Backup {
		return backups.Backup{Key: age.String(), Time: now.Add(-age)}
	}
	for name, c := range map[string]struct {
		newest backups.Backup
		want   bool
	}{
		"none":               {},
		"of minutes ago":     {stored(5 * time.Minute), true},
		"of an hour ago":     {stored(time.Hour), false},
		"just under an hour": {stored(time.Hour - time.Second), true},
	} {
		if got := fresh(c.newest, now); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestNotDropped(t *testing.T) {
	for _, c := range []struct {
		err    error
		remedy string
	}{
		{errors.New("no room"), "if its data is no longer needed, set without-backup: true"},
		{fleet.WithRemedy(errors.New("no room"), "make room"),
			"make room; if its data is no longer needed, set without-backup: true"},
	} {
		if err := notDropped(c.err); err.Error() != "no room; the tenant was not dropped" ||
			fleet.Remedy(err) != c.remedy {
			t.Errorf("got %v (%s)", err, fleet.Remedy(err))
		}
	}
}

func TestReliedOn(t *testing.T) {
	const key = "acme/20260102T030405Z-pg17.sql.gz"
	began := time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	backup := catalog.Facts{BackupKey: key, BackupAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	dropped := backup
	dropped.DroppedAt, dropped.Record = began.Add(time.Second), &records.Record{}
	for name, c := range map[string]struct {
		detail any
		output map[string]string
		facts  catalog.Facts
	}{
		"no detail": {},
		"without a backup": {detail: DropDetail{Dropped: true},
			facts: catalog.Facts{DroppedAt: began.Add(time.Second), Record: &records.Record{}}},
		"not dropped": {detail: DropDetail{Backup: key}, output: map[string]string{"backup-key": key},
			facts: backup},
		"dropped": {detail: DropDetail{Dropped: true, Backup: key},
			output: map[string]string{"backup-key": key}, facts: dropped},
	} {
		r := fleet.Result{Started: began, Elapsed: time.Second, Outcome: fleet.Outcome{Detail: c.detail}}
		e, err := reliedOn(t.Context(), []fleet.Result{r})
		if diff := cmp.Diff(c.output, e.Outputs) + cmp.Diff(c.facts, dropFacts(r)); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}
