package action

import (
	"slices"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/bucket/buckettest"
	"github.com/org/neon-tenants-action/internal/mode/backup"
)

// What a killed run left unfinished is listed once for the whole fleet, and removed tenant by tenant.
func TestBackupCleansUpOnce(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp", "Payroll Inc", "Zebra Ltd")...), newVault(t)
	proxy := buckettest.StartFaultProxy(t, v.Server)
	left := []string{"tenants/acme-corp/20261122T120000Z-pg15.sql.gz", "tenants/zebra-ltd/20261122T120000Z-pg15.sql.gz"}
	stranger := "tenants/gone-gmbh/20261122T120000Z-pg15.sql.gz"
	for _, key := range append(slices.Clone(left), stranger) {
		if err := proxy.Abandon(t.Context(), v.bucket, key); err != nil {
			t.Fatal(err)
		}
	}
	proxy.Age(23 * time.Hour) // another run may have a longer tenant-timeout than this one, and be at it
	o := f.run(t, t.Context(), v.inputs("mode=backup", "s3-endpoint="+proxy.URL)...)
	o.counts(t, 3, 0, 0, 0)
	if got := proxy.Unfinished(); len(got) != 3 {
		t.Errorf("%v is left unfinished", got)
	}
	time.Sleep(time.Second) // a backup's key tells seconds apart
	proxy.Age(24 * time.Hour)
	o = f.run(t, t.Context(), v.inputs("mode=backup", "s3-endpoint="+proxy.URL)...)
	o.counts(t, 3, 0, 0, 0)
	cleaned := append(detail[backup.Detail](t, o, "ACME Corp").CleanedUp,
		detail[backup.Detail](t, o, "Zebra Ltd").CleanedUp...)
	if !slices.Equal(cleaned, left) {
		t.Errorf("cleaned up %v, want %v", cleaned, left)
	}
	if got := proxy.Unfinished(); !slices.Equal(got, []string{stranger}) {
		t.Errorf("%v is left unfinished, want %s alone", got, stranger)
	}
	if n := proxy.Calls("ListMultipartUploads"); n != 2 {
		t.Errorf("unfinished uploads were listed %d times by two runs", n)
	}
}

// What cannot be tidied up keeps no tenant from being backed up.
func TestBackupGoesOnThoughItCannotCleanUp(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp")...), newVault(t)
	proxy := buckettest.StartFaultProxy(t, v.Server)
	if err := proxy.Abandon(t.Context(), v.bucket, "tenants/acme-corp/20261122T120000Z-pg15.sql.gz"); err != nil {
		t.Fatal(err)
	}
	proxy.Age(24 * time.Hour)
	proxy.Inject(buckettest.Fault{Operation: "AbortMultipartUpload", Times: 1})
	o := f.run(t, t.Context(), v.inputs("mode=backup", "s3-endpoint="+proxy.URL)...)
	o.counts(t, 1, 0, 0, 0)
	o.says(t, "what earlier runs left unfinished was not removed", "s3:AbortMultipartUpload on this bucket")
	time.Sleep(time.Second) // a backup's key tells seconds apart
	o = f.run(t, t.Context(), v.inputs("mode=backup", "s3-endpoint="+proxy.URL)...)
	o.counts(t, 1, 0, 0, 0)
	if keys := v.keys(t); len(keys) != 4 { // nothing unfinished among them
		t.Errorf("the bucket holds %v", keys)
	}
}

// A bucket that cannot be read hides nothing else that is wrong with a tenant, and fails it only if fail-on says so.
func TestHealthWithABucketThatCannotBeRead(t *testing.T) {
	f, v := newFleet(t, named("ACME Corp")...), newVault(t)
	f.run(t, t.Context(), v.inputs("mode=backup")...).counts(t, 1, 0, 0, 0)
	proxy := buckettest.StartFaultProxy(t, v.Server)
	proxy.Inject(buckettest.Fault{Operation: "GetObject"})
	for failOn, fails := range map[string]bool{"unreachable": false, "backup-age": true, "proof-age": true} {
		o := f.run(t, t.Context(), v.inputs("mode=health-check", "s3-endpoint="+proxy.URL, "required-tables=nowhere",
			"fail-on="+failOn)...)
		if fails {
			o.counts(t, 0, 0, 1, 0)
		} else {
			o.counts(t, 1, 0, 0, 0)
		}
		o.says(t, "1 required table is missing: nowhere", "its backups could not be looked at: ")
		if d := o.healthOf(t, "ACME Corp"); !slices.Contains(d.Problems, "tables") ||
			!slices.Contains(d.Problems, "backup-age") {
			t.Errorf("fail-on %s: the problems are %v", failOn, d.Problems)
		}
	}
}
