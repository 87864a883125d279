package action

import (
	"slices"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// On a runner whose clock is ten minutes ahead of the store's, keys and ages go by the store's, and nothing is pruned.
// (The SDK signs by the store's clock too. MinIO, whose own clock is right, takes signatures of up to fifteen minutes
// ago.)
func TestARunnerWithAWrongClock(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("acme")...), newVault(t)
	proxy := buckettest.StartFaultProxy(t, v.Server)
	proxy.ShiftClock(-10 * time.Minute)
	inputs := func(more ...string) []string { return v.inputs(append(more, "s3-endpoint="+proxy.URL)...) }
	stored := time.Now().Add(-10 * time.Minute)
	yesterday, due := buckettest.BackupKey("tenants/acme/", stored.Add(-25*time.Hour+time.Minute)),
		buckettest.BackupKey("tenants/acme/", stored.AddDate(0, 0, -8))
	v.putBackup(t, f.projects[0].ID, yesterday, due)

	f.run(t, t.Context(), inputs("mode=health-check", "fail-on=backup-age", "max-backup-age=25h")...).counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), inputs("require-backup-within=25h")...).counts(t, 1, 0, 0, 0)
	for _, dry := range []string{"true", "false"} {
		o := f.run(t, t.Context(), inputs("mode=backup", "dry-run="+dry)...)
		o.counts(t, 1, 0, 0, 0)
		o.says(t, "nothing is pruned in this run, because the store's clock says ", " UTC and this runner's ")
		if d := detail[backup.Detail](t, o, "acme"); len(d.Pruned) > 0 {
			t.Errorf("pruned %+v", d.Pruned)
		}
		if key := o.outputs["backup-key"]; dry == "false" {
			k, ok := backups.ParseKey("tenants/acme/", key)
			if !ok || k.Time.Sub(stored).Abs() > time.Minute || len(v.keys(t)) != 6 {
				t.Errorf("the backup is %s; the bucket has %v", key, v.keys(t))
			}
		}
	}
	// Within five minutes there is nothing to say, and pruning goes on.
	proxy.ShiftClock(-4 * time.Minute)
	o := f.run(t, t.Context(), inputs("mode=backup")...)
	o.counts(t, 1, 0, 0, 0)
	if d := detail[backup.Detail](t, o, "acme"); len(d.Pruned) != 1 || d.Pruned[0].Key != due {
		t.Errorf("pruned %+v", d.Pruned)
	}
}

// A backup from the future, left by such a runner, takes no other's place and is not taken for the newest.
func TestABackupFromTheFuture(t *testing.T) {
	servertest.Long(t)
	f, v := newFleet(t, named("acme")...), newVault(t)
	future := buckettest.BackupKey("tenants/acme/", time.Now().AddDate(0, 0, 20))
	v.putBackup(t, f.projects[0].ID, future)
	why := future + " (its time has not come yet, so a clock was wrong)"
	o := f.run(t, t.Context(), v.inputs("mode=health-check", "fail-on=backup-age")...)
	o.counts(t, 0, 0, 1, 0)
	o.says(t, "it has no verified backup; 1 backup passed over: "+why)
	f.run(t, t.Context(), v.inputs("require-backup-within=1000h")...).counts(t, 0, 0, 1, 0)
	o = f.run(t, t.Context(), v.inputs("mode=backup", "skip-unchanged=true")...)
	o.counts(t, 1, 0, 0, 0)
	first := o.outputs["backup-key"]
	time.Sleep(time.Second) // keys tell seconds
	o = f.run(t, t.Context(), v.inputs("mode=backup", "retention-days=0", "keep-last=2")...)
	o.counts(t, 1, 0, 0, 0)
	if keys := v.keys(t); !slices.Contains(keys, first) || !slices.Contains(keys, future) {
		t.Errorf("the bucket has %v", keys)
	}
	f.run(t, t.Context(), v.inputs(drop("acme", "dry-run=true")...)...).says(t,
		"would be dropped with the backup "+o.outputs["backup-key"])
}
