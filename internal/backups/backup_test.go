package backups_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/bucket"
)

func TestFind(t *testing.T) {
	var objects []bucket.Object
	for _, key := range []string{
		"acme/20261120T030000Z-pg17.sql.gz", "acme/20261120T030000Z-pg17.sql.gz.json",
		"acme/20261121T030000Z-pg17.sql.gz",           // without a manifest
		"acme/20261119T030000Z-pg17.sql.zst.age.json", // only a manifest
		"acme/notes.txt", "acme/notes.json", "acme/20261120T030000Z-pg17.sql.gz.bak",
		"other/20261120T030000Z-pg17.sql.gz",
	} {
		objects = append(objects, bucket.Object{Key: key, Size: 7})
	}
	day := func(day int) time.Time { return time.Date(2026, 11, day, 3, 0, 0, 0, time.UTC) }
	want := []backups.Backup{
		{Key: "acme/20261121T030000Z-pg17.sql.gz", Time: day(21), Size: 7},
		{Key: "acme/20261120T030000Z-pg17.sql.gz", Time: day(20), Size: 7, Verified: true},
	}
	if diff := cmp.Diff(want, backups.Find("acme/", objects)); diff != "" {
		t.Errorf("backups (-want +got):\n%s", diff)
	}
}
