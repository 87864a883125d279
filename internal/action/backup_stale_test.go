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
	proxy.Age(24 * time.Hour)
	o := f.run(t, t.Context(), v.inputs("mode=backup", "s3-endpoint="+proxy.URL)...)
	o.counts(t, 3, 0, 0, 0)
	cleaned := append(detail[backup.Detail](t, o, "ACME Corp").CleanedUp,
		detail[backup.Detail](t, o, "Zebra Ltd").CleanedUp...)
	if !slices.Equal(cleaned, left) {
		t.Errorf("cleaned up %v, want %v", cleaned, left)
	}
	if got := proxy.Unfinished(); !slices.Equal(got, []string{stranger}) {
		t.Errorf("%v is left unfinished, want %s alone", got, stranger)
	}
	if n := proxy.Calls("ListMultipartUploads"); n != 1 {
		t.Errorf("unfinished uploads were listed %d times", n)
	}
}
