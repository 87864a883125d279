package action

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

// In a bucket with versions, pruning says that what it deletes is still stored and billed; what is locked it leaves
// where restore finds it.
func TestPruningABucketThatKeepsVersions(t *testing.T) {
	f, v := newFleet(t, named("acme")...), newVault(t)
	v.bucket = buckettest.Bucket(t, v.Server, true)
	old := buckettest.BackupKey("tenants/acme/", time.Now().AddDate(0, 0, -8))
	v.putBackup(t, f.projects[0].ID, old)
	o := f.run(t, t.Context(), v.inputs("mode=backup", "s3-object-lock-days=2")...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "the bucket keeps the versions of its objects", "NoncurrentVersionExpiration")
	if d := detail[backup.Detail](t, o, "acme"); len(d.Pruned) != 1 || d.Pruned[0].Key != old ||
		!d.Pruned[0].VersionsStay {
		t.Errorf("pruned %+v", d.Pruned)
	}
	locked := o.outputs["backup-key"]
	time.Sleep(time.Second) // keys tell seconds
	o = f.run(t, t.Context(), v.inputs("mode=backup", "retention-days=0")...)
	o.counts(t, 1, 0, 0, 0)
	if d := detail[backup.Detail](t, o, "acme"); len(d.Pruned) != 0 || len(d.Retained) != 1 || d.Retained[0] != locked {
		t.Errorf("pruned %+v, retained %v", d.Pruned, d.Retained)
	}
	o.says(t, "retention-days: 0 keeps no backup by its age, and leaves of each tenant only the newest backup "+
		"(keep-last: 1); ")
	versions, err := v.Client().ListObjectVersions(t.Context(),
		&s3.ListObjectVersionsInput{Bucket: &v.bucket, Prefix: &old})
	if err != nil || len(versions.Versions) != 2 {
		t.Errorf("%d versions, %v", len(versions.Versions), err)
	}
}

// A backup that restore can never load is not made.
func TestArgumentsOfWhatCannotBeRestored(t *testing.T) {
	f := newFleet(t, named("acme")...)
	for _, args := range []string{"--schema=public", "-n public", "--data-only", "--section=data", "--clean"} {
		o := f.run(t, t.Context(), "mode=backup", "s3-bucket=b", "aws-region=x", "pg-dump-args="+args)
		o.says(t, "input pg-dump-args: with ", ", restore could never load the backup: ")
	}
	o := f.run(t, t.Context(), "mode=backup", "s3-bucket=b", "aws-region=x", "verify=restore",
		"verify-database-url=postgres://u:p@127.0.0.1/d", "pg-dump-args=--include-foreign-data=*")
	o.says(t, "input verify: to restore a backup with --include-foreign-data=* would send its rows")
}

// A list of recipients that names none does not mean that the backups may be read by everybody.
func TestRecipientsThatAreNone(t *testing.T) {
	f := newFleet(t, named("acme")...)
	f.ResetCalls()
	for _, recipients := range []string{"# only a comment", "\n# age1...\n,\n", ","} {
		o := f.run(t, t.Context(), "mode=backup", "s3-bucket=b", "aws-region=x", "age-recipients="+recipients)
		o.says(t, "input age-recipients: names no recipient, so the backups would not be encrypted")
	}
	if n := f.Calls().Total; n != 0 {
		t.Errorf("%d calls were made", n)
	}
	o := f.run(t, t.Context(), "mode=backup", "s3-bucket=b", "retention-days=0", "keep-last=3", "keep-weekly=2",
		"compression=lz4")
	if strings.Contains(o.log, "- retention-days") {
		t.Errorf("a policy is refused:\n%s", o.log)
	}
}

// S3 has 2 KB for an object's metadata, in which a letter that is not ASCII takes up to twelve.
func TestATenantWithALongNameIsBackedUp(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("東京", 120)
	f, v := newFleet(t, named(name)...), newVault(t)
	o := f.run(t, t.Context(), v.inputs("mode=backup", "tenant-key=id")...)
	o.counts(t, 1, 0, 0, 0)
	f.run(t, t.Context(), v.inputs("mode=restore", "tenant-key=id", "restore-url="+pgtest.Database(t))...).
		counts(t, 1, 0, 0, 0)
}
