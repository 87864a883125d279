package backup

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
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
		{RestoreDetail{Target: "branch", TargetID: "br-1", TargetName: "restore/1", Tables: tables[:1]},
			"2 rows in 1 table from 2026-03-10 12:00:00 into branch restore/1 (br-1)"},
		{RestoreDetail{Target: "new-project", TargetID: "p-1", TargetName: "Acme restored"},
			"0 rows in 0 tables from 2026-03-10 12:00:00 into new project Acme restored (p-1)"},
	} {
		if got := c.detail.note(at); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestNoSuchBackup(t *testing.T) {
	for remedy, newest := range map[string][]string{
		"give the key of a backup of this tenant, and check that s3-bucket, s3-prefix and tenant-key are those of the " +
			"backup runs": nil,
		"name one of its newest (acme/4, acme/3, acme/2), or leave backup-key out for the newest": {
			"acme/4", "acme/3", "acme/2", "acme/1"},
	} {
		err := noSuch("acme/x", "s3://b/acme/", newest)
		if err.Error() != "there is no backup acme/x in s3://b/acme/" || fleet.Remedy(err) != remedy {
			t.Errorf("got %v (%s)", err, fleet.Remedy(err))
		}
	}
}

// backup-key takes what a report, a listing or a console shows of a backup, and refuses the rest before any call.
func TestReadKey(t *testing.T) {
	const name = "20261122T031500Z-pg17.sql.gz"
	for text, want := range map[string]string{
		"":                                "",
		"p/acme/" + name:                  "p/acme/" + name,
		name:                              name,
		name + ".json":                    name,
		"p/acme/" + name + ".json":        "p/acme/" + name,
		"s3://b/p/acme/" + name:           "p/acme/" + name,
		"s3://b/p/acme/" + name + ".json": "p/acme/" + name,
		"s3://c/p/acme/" + name:           "? is in the bucket c, and s3-bucket is b",
		"s3://b":                          "? does not end with the name of a backup, such as " + name,
		"p/acme/":                         "? does not end with",
		"newest":                          "? does not end with",
		"p/acme/notes.txt":                "? does not end with",
		name + ".proof.json":              "? does not end with",
	} {
		definition := &input.Definition{Inputs: []input.Field{{Name: "backup-key"}, {Name: "s3-bucket"}}}
		in, err := input.New(definition, []string{"--backup-key", text, "--s3-bucket", "b"},
			func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		got := readKey(in)
		says, mistake := strings.CutPrefix(want, "?")
		if err := in.Err(); !mistake && (err != nil || got != want) ||
			mistake && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}
