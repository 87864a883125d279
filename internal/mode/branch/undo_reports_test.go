package branch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/report"
)

func versions(all ...string) map[string]bool {
	set := map[string]bool{}
	for _, v := range all {
		set[v] = true
	}
	return set
}

func TestCompare(t *testing.T) {
	c := tenantChange{point: &mode.UndoPoint{Versions: mode.HashVersions(versions("1", "2"))}, applied: versions("3", "4")}
	for now, want := range map[string]state{
		"1 2 3 4": asLeft, "1 2": asBefore,
		"1 2 3": another, "1 2 3 4 5": another, "1 3 4": another, "1 2 5": another, "": another, "3 4": another,
	} {
		if got := c.compare(postgres.Status{Versions: versions(strings.Fields(now)...)}); got != want {
			t.Errorf("%s: %d, want %d", now, got, want)
		}
	}
	first := tenantChange{point: &mode.UndoPoint{Versions: mode.HashVersions(nil)}, applied: versions("1")}
	for now, want := range map[string]state{"": asBefore, "1": asLeft, "2": another} {
		if got := first.compare(postgres.Status{Versions: versions(strings.Fields(now)...)}); got != want {
			t.Errorf("from nothing, %s: %d, want %d", now, got, want)
		}
	}
}

// Versions in doubt may be recorded or not, those of one baseline together.
func TestCompareWithDoubts(t *testing.T) {
	c := tenantChange{point: &mode.UndoPoint{Versions: mode.HashVersions(versions("1"))}, applied: versions("2"),
		doubts: []mode.InDoubt{{Versions: []string{"3"}}}}
	for now, want := range map[string]state{
		"1 2": asLeft, "1 2 3": asLeft, "1": asBefore, "1 3": another, "1 2 3 4": another, "1 2 4": another, "2 3": another,
	} {
		if got := c.compare(postgres.Status{Versions: versions(strings.Fields(now)...)}); got != want {
			t.Errorf("%s: %d, want %d", now, got, want)
		}
	}
	baseline := tenantChange{point: &mode.UndoPoint{Versions: mode.HashVersions(nil)},
		doubts: []mode.InDoubt{{Versions: []string{"1", "2"}}}}
	for now, want := range map[string]state{"": asBefore, "1 2": asLeft, "1": another, "1 2 3": another} {
		if got := baseline.compare(postgres.Status{Versions: versions(strings.Fields(now)...)}); got != want {
			t.Errorf("baseline, %s: %d, want %d", now, got, want)
		}
	}
}

// entry is a tenant of a report. Its detail is JSON without braces.
func entry(id string, minute int, detail string) report.TenantEntry {
	e := report.TenantEntry{Name: "tenant " + id, ID: id, Key: id, StartedAt: time.Date(2026, 3, 1, 9, minute, 0, 0,
		time.UTC)}
	if detail != "" {
		e.Detail = json.RawMessage("{" + detail + "}")
	}
	return e
}

func TestChanges(t *testing.T) {
	point := func(id string) string { return fmt.Sprintf(`,"undo_point":{"branch_id":%q,"versions_sha256":"x"}`, id) }
	doubtful := func(id, versions, doubt string) string {
		return fmt.Sprintf(`"version_after":"1","applied":[],"undo_point":{"branch_id":%q,"versions_sha256":%q,"in_doubt":`+
			`{"versions":["2"]%s}}`, id, versions, doubt)
	}
	const applied, nothing = `"version_after":"2","applied":[{"version":"2"}]`, `"version_after":"1","applied":[]`
	got, err := changesIn([]report.NamedFile{
		{Path: "late.json", File: report.File{Tenants: []report.TenantEntry{
			entry("twice", 9, strings.ReplaceAll(applied, "2", "3")+point("p2")),
			entry("second", 9, applied+point("p2")),
			// The second attempt's point holds what the first one's does, or more: that attempt's file was not applied, or was.
			entry("settled", 9, applied+point("p2")), entry("not applied", 9, nothing+point("p2")),
			entry("was applied", 9, strings.ReplaceAll(applied, "2", "3")+point("p2")),
			entry("in part", 9, applied+point("p2")),
		}}},
		{Path: "early.json", File: report.File{Tenants: []report.TenantEntry{
			entry("twice", 1, applied+point("p1")),
			entry("second", 1, nothing+point("p1")),
			entry("unchanged", 1, nothing), entry("failed", 1, nothing+point("p1")), entry("skipped", 1, ""),
			entry("recorded", 1, `"version_after":"2","applied":[],"recorded":["1_a.sql","2_b.sql"]`+point("p1")),
			entry("pointless", 1, applied),
			entry("lost", 1, doubtful("p1", "x", "")), entry("settled", 1, doubtful("p1", "x", "")),
			entry("not applied", 1, doubtful("p1", "x", "")), entry("was applied", 1, doubtful("p1", "y", "")),
			entry("in part", 1, doubtful("p1", "x", `,"outside_transaction":true`)),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, c := range got {
		id := "none"
		if c.point != nil {
			id = c.point.BranchID
		}
		text := fmt.Sprintf("%s from %s (of %d) by %d to %s", c.tenant.ID, id, len(c.points), len(c.applied), c.after)
		if len(c.doubts) > 0 {
			text += fmt.Sprintf(" and perhaps %v", c.inDoubt(nil))
		}
		said = append(said, text)
	}
	want := []string{
		"in part from p1 (of 2) by 1 to 2 and perhaps []", // 2 was applied by the second attempt
		"lost from p1 (of 1) by 0 to 1 and perhaps [2]",
		"pointless from none (of 0) by 1 to 2",
		"recorded from p1 (of 1) by 2 to 2",
		"second from p2 (of 2) by 1 to 2",
		"settled from p2 (of 2) by 1 to 2",
		"twice from p1 (of 2) by 2 to 3",
		"was applied from p1 (of 2) by 1 to 3 and perhaps [2]",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, broken := range []string{`"applied":7`, `"applied":[],"undo_point":{"name":"undo/7"}`} {
		_, err := changesIn([]report.NamedFile{{File: report.File{Tenants: []report.TenantEntry{entry("a", 1, broken)}}}})
		if err == nil || !strings.Contains(err.Error(), `read what the run did to tenant "tenant a"`) {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

// A tenant that was changed before the run made points cannot be undone; the others are.
func TestOnlySomeHaveAPoint(t *testing.T) {
	file := report.NamedFile{Path: "a.json", File: report.File{RunID: "7", Mode: "migrate", Source: "neon"}}
	file.Tenants = []report.TenantEntry{
		entry("a", 1, `"applied":[{"version":"2"}]`),
		entry("b", 1, `"applied":[{"version":"2"}],"undo_point":{"branch_id":"p","versions_sha256":"x"}`),
	}
	run, err := undoneBy([]report.NamedFile{file}, "neon")
	if err != nil || len(run.changes) != 2 {
		t.Fatalf("%+v, %v", run, err)
	}
	u := &undo{run: run, changes: map[string]tenantChange{"a": run.changes[0]}}
	_, err = u.job(t.Context(), run.changes[0].tenant, nil)
	if err == nil || err.Error() != "the run 7 changed it and made no undo point of it before" || fleet.Remedy(err) == "" {
		t.Error(err)
	}
	file.Tenants = file.Tenants[:1]
	if _, err := undoneBy([]report.NamedFile{file}, "neon"); err == nil || fleet.Remedy(err) == "" {
		t.Error(err)
	}
}
