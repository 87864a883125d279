package backup

import (
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestRestoreNote(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	tables := []RestoredRows{{"public.a", 2}, {"public.hidden", -1}, {"public.b", 3}}
	for _, c := range []struct {
		detail RestoreDetail
		want   string
	}{
		{RestoreDetail{Target: "url"}, "0 rows in 0 tables from 2026-03-10 12:00:00"},
		{RestoreDetail{Target: "url", Tables: tables}, "5 rows in 3 tables from 2026-03-10 12:00:00"},
		{RestoreDetail{Target: "branch", TargetID: "br-1", Tables: tables[:1]},
			"2 rows in 1 table from 2026-03-10 12:00:00 into branch br-1"},
		{RestoreDetail{Target: "new-project", TargetID: "p-1"},
			"0 rows in 0 tables from 2026-03-10 12:00:00 into new project p-1"},
	} {
		if got := c.detail.note(at); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestNotFound(t *testing.T) {
	for _, c := range []struct{ key, message, remedy string }{
		{"", "there is no verified backup in s3://b/acme/",
			"check that s3-bucket, s3-prefix and tenant-key are those of the backup runs"},
		{"acme/x", "there is no backup acme/x in s3://b/acme/",
			"give the whole key of a backup of this tenant, as in the backup run's report or the bucket's listing"},
	} {
		err := notFound(c.key, "s3://b/acme/")
		if err.Error() != c.message || fleet.Remedy(err) != c.remedy {
			t.Errorf("got %v (%s)", err, fleet.Remedy(err))
		}
	}
}
