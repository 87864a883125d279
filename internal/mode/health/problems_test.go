package health

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
)

func TestFailOn(t *testing.T) {
	for text, want := range map[string]string{
		"unreachable, drift\npending": "unreachable drift pending",
		"none":                        "",
		"none,drift":                  "?",
		"drifts":                      "?",
		"Drift, BACKUP-AGE":           "drift backup-age",
		"None":                        "",
		"backup-age":                  "backup-age",
	} {
		got, err := parseFailOn(text)
		if err != nil {
			got = []string{"?"}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		d        Detail
		compared bool
		want     []string // check: note: text
	}{
		"healthy": {compared: true},
		"behind": {
			d: Detail{Version: "1", Pending: []string{"2_b.sql"}}, compared: true,
			want: []string{"pending: 1 pending: 1 migration is pending: 2_b.sql"},
		},
		"without files to compare with": {d: Detail{Pending: []string{"2_b.sql"}}},
		"out of order": {
			d:        Detail{Version: "9", Pending: []string{"2_b.sql", "10_c.sql"}, OutOfOrder: []string{"2_b.sql"}},
			compared: true,
			want: []string{"pending: 2 pending: 2 migrations are pending: 2_b.sql, 10_c.sql; " +
				"1 of them below the highest applied version, 9"},
		},
		"many pending": {
			d: Detail{Pending: strings.Fields("1 2 3 4 5 6 7")}, compared: true,
			want: []string{"pending: 7 pending: 7 migrations are pending: 1, 2, 3, 4, 5 and 2 more"},
		},
		"tables and versions": {
			d: Detail{MissingTables: []string{"users", "tasks"}, Unknown: []string{"8"}},
			want: []string{
				"tables: 2 tables missing: 2 required tables are missing: users, tasks",
				"unknown-versions: 1 unknown version: 1 recorded version has no file: 8",
			},
		},
	} {
		var got []string
		for _, p := range c.d.problems(c.compared) {
			got = append(got, p.check+": "+p.note+": "+p.text)
			if p.remedy == "" || p.err != nil {
				t.Errorf("%s: %+v", name, p)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestBackupAge(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	stored := func(age time.Duration) backups.Backup {
		return backups.Backup{Key: age.String(), Time: now.Add(-age)}
	}
	foreign := backups.Judged{Backup: stored(time.Minute), Standing: backups.Foreign}
	for name, c := range map[string]struct {
		newest  backups.Backup
		passed  []backups.Judged
		note    string // empty: no problem
		seconds int64
	}{
		"none":                {note: "no backup"},
		"only a namesake's":   {passed: []backups.Judged{foreign}, note: "no backup"},
		"recent":              {newest: stored(time.Hour), seconds: 3600},
		"as old as it may be": {newest: stored(49 * time.Hour), seconds: 176400},
		"too old":             {newest: stored(50 * time.Hour), note: "backup too old", seconds: 180000},
		"too old, and a namesake's": {newest: stored(50 * time.Hour), passed: []backups.Judged{foreign},
			note: "backup too old", seconds: 180000},
	} {
		var d Detail
		found := d.addBackup(c.newest, c.passed, now, 49*time.Hour)
		if c.note == "" && len(found) > 0 || c.note != "" &&
			(len(found) != 1 || found[0].note != c.note || found[0].check != onBackupAge) {
			t.Errorf("%s: %+v", name, found)
		}
		if len(found) > 0 && strings.Contains(found[0].text, "of another tenant") != (c.passed != nil) {
			t.Errorf("%s: it says %q", name, found[0].text)
		}
		if d.NewestBackup != c.newest.Key || (d.BackupAge != nil) != (c.newest.Key != "") || d.BackupAge != nil &&
			*d.BackupAge != c.seconds {
			t.Errorf("%s: newest %q, age %v", name, d.NewestBackup, d.BackupAge)
		}
	}
}

func TestOutcome(t *testing.T) {
	refused := fleet.WithRemedy(errors.New("connection refused"), "start the server")
	pending := problem{check: onPending, note: "1 pending", text: "one is pending", remedy: "migrate it"}
	tables := problem{check: onTables, note: "1 table missing", text: "users is missing", remedy: "create it"}
	again := problem{check: onDrift, note: "1 pending", text: "drift", remedy: "migrate it"}
	for name, c := range map[string]struct {
		found    problems
		failOn   []string
		note     string
		checks   []string
		warnings []string
		err      string // empty: the tenant is healthy enough
		remedy   string
	}{
		"healthy": {failOn: checks, note: "healthy", checks: []string{}},
		"tolerated": {found: problems{pending}, note: "1 pending", checks: []string{"pending"},
			warnings: []string{"one is pending"}},
		"fails for one of two": {
			found: problems{pending, tables}, failOn: []string{onTables}, note: "1 pending, 1 table missing",
			checks: []string{"pending", "tables"}, warnings: []string{"one is pending"},
			err: "users is missing", remedy: "create it",
		},
		"fails for both": {
			found: problems{pending, tables}, failOn: checks, note: "1 pending, 1 table missing",
			checks: []string{"pending", "tables"},
			err:    "one is pending; users is missing", remedy: "migrate it; create it",
		},
		"says nothing twice": {
			found: problems{pending, again}, failOn: checks, note: "1 pending",
			checks: []string{"pending", "drift"}, err: "one is pending; drift", remedy: "migrate it",
		},
		"unreachable": {
			found: problems{new(Detail).unreachable(t.Context(), refused)}, failOn: checks, note: "not checked",
			checks: []string{"unreachable"}, err: "connection refused", remedy: "start the server",
		},
	} {
		o, err := Detail{Version: "9"}.outcome(c.found, c.failOn)
		d, _ := o.Detail.(Detail)
		message := ""
		if err != nil {
			message = err.Error()
		}
		if o.Note != c.note || message != c.err || fleet.Remedy(err) != c.remedy || d.Version != "9" {
			t.Errorf("%s: got %+v, %v (%s)", name, o, err, fleet.Remedy(err))
		}
		if diff := cmp.Diff(c.checks, d.Problems) + cmp.Diff(c.warnings, o.Warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if found := notThere(refused); found != nil {
		t.Errorf("who cannot be reached may exist: %v", found)
	}
	found := problems{new(Detail).unreachable(t.Context(), refused)}
	if _, err := (Detail{}).outcome(found, checks); !errors.Is(err, refused) {
		t.Errorf("%v does not wrap the connection's error", err)
	}
}
