package migrate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
)

func TestDescribe(t *testing.T) {
	applied := []migration.Applied{{Version: "2", File: "2_b.sql", Elapsed: 1500 * time.Microsecond}}
	for name, c := range map[string]struct {
		m              migration.Result
		dryRun, failed bool
		note           string
		unchanged      bool
		warnings       int
	}{
		"nothing to do": {m: migration.Result{Before: "2", After: "2"}, unchanged: true},
		"applied":       {m: migration.Result{Applied: applied}, note: "1 applied"},
		"dry run": {m: migration.Result{Pending: []string{"2_b.sql", "3_c.sql"}}, dryRun: true,
			note: "2 pending"},
		"dry run, nothing": {m: migration.Result{}, dryRun: true, unchanged: true},
		"failed halfway": {m: migration.Result{Applied: applied, Pending: []string{"3_c.sql"}}, failed: true,
			note: "1 applied, 1 not"},
		"out of order": {m: migration.Result{Before: "9", Applied: applied, OutOfOrder: []string{"2_b.sql"}},
			note: "1 applied", warnings: 1},
		"its own warnings": {m: migration.Result{Applied: applied, Warnings: []string{"x"}}, note: "1 applied",
			warnings: 1},
		"refused, not moved": {m: migration.Result{Pending: []string{"2_b.sql"}, OutOfOrder: []string{"2_b.sql"}},
			failed: true, note: "0 applied, 1 not"},
	} {
		o := describe(c.m, c.dryRun, c.failed)
		if o.Note != c.note || o.Unchanged != c.unchanged || len(o.Warnings) != c.warnings {
			t.Errorf("%s: got %+v", name, o)
		}
	}
}

func TestOutOfOrderWarning(t *testing.T) {
	m := migration.Result{Before: "9", OutOfOrder: []string{"2_b.sql", "3_c.sql"}}
	for dryRun, want := range map[bool]string{
		false: "applied out of order, after the higher version 9: 2_b.sql, 3_c.sql",
		true:  "would be applied out of order, after the higher version 9: 2_b.sql, 3_c.sql",
	} {
		if diff := cmp.Diff([]string{want}, describe(m, dryRun, false).Warnings); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCreation(t *testing.T) {
	applied := Detail{Applied: []Applied{{Version: "2"}}}
	for name, c := range map[string]struct {
		before, after fleet.Outcome
	}{
		"with migrations": {
			fleet.Outcome{Note: "1 applied", Detail: applied},
			fleet.Outcome{Note: "created, 1 applied", Detail: Detail{Created: true, Applied: applied.Applied}},
		},
		"without": {
			fleet.Outcome{Unchanged: true, Detail: Detail{}},
			fleet.Outcome{Note: "created", Detail: Detail{Created: true}},
		},
	} {
		if diff := cmp.Diff(c.after, afterCreation(c.before), cmpopts.IgnoreUnexported(Detail{})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	for name, c := range map[string]struct {
		m              migration.Result
		dryRun, failed bool
		note           string
		created        bool
	}{
		"schema": {created: true, m: migration.Result{Creates: true, Applied: []migration.Applied{{}}},
			note: "created, 1 applied"},
		"schema, dry run": {m: migration.Result{Creates: true, Pending: []string{"2_b.sql"}}, dryRun: true,
			note: "would be created, 1 pending"},
		"schema, failed at once": {m: migration.Result{Pending: []string{"2_b.sql"}}, failed: true,
			note: "0 applied, 1 not"},
		"schema, failed": {created: true, m: migration.Result{Creates: true, Pending: []string{"2_b.sql"}}, failed: true,
			note: "0 applied, 1 not"},
	} {
		o := describe(c.m, c.dryRun, c.failed)
		if d, _ := o.Detail.(Detail); o.Note != c.note || d.Created != c.created {
			t.Errorf("%s: got %q, created: %t", name, o.Note, d.Created)
		}
	}
}

func TestFacts(t *testing.T) {
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := fleet.Result{State: fleet.Failed, Started: began, Elapsed: time.Minute}
	want := catalog.Facts{SchemaVersion: "2", MigratedAt: began.Add(time.Minute), Migration: "failed"}
	if diff := cmp.Diff(want, Detail{Before: "1", After: "2"}.Facts(r)); diff != "" {
		t.Error(diff)
	}
}
