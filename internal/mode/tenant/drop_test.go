package tenant

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestFreshest(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	stored := func(age time.Duration, verified bool) backups.Backup {
		return backups.Backup{Key: age.String(), Time: now.Add(-age), Verified: verified}
	}
	for name, c := range map[string]struct {
		newestFirst []backups.Backup
		want        string // empty: none is relied on
	}{
		"none":                 {},
		"of minutes ago":       {[]backups.Backup{stored(5*time.Minute, true), stored(10*time.Minute, true)}, "5m0s"},
		"of an hour ago":       {[]backups.Backup{stored(time.Hour, true)}, ""},
		"just under an hour":   {[]backups.Backup{stored(time.Hour-time.Second, true)}, "59m59s"},
		"not verified":         {[]backups.Backup{stored(time.Minute, false)}, ""},
		"the one before it is": {[]backups.Backup{stored(time.Minute, false), stored(2*time.Minute, true)}, "2m0s"},
		"from the future":      {[]backups.Backup{stored(-2*time.Hour, true)}, ""},
	} {
		newest, fresh := freshest(c.newestFirst, now)
		if fresh != (c.want != "") || fresh && newest.Key != c.want {
			t.Errorf("%s: got %+v, %t", name, newest, fresh)
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
	dropped.DroppedAt = began.Add(time.Second)
	for name, c := range map[string]struct {
		detail any
		output map[string]string
		facts  catalog.Facts
	}{
		"no detail": {},
		"without a backup": {detail: DropDetail{Dropped: true},
			facts: catalog.Facts{DroppedAt: began.Add(time.Second)}},
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
