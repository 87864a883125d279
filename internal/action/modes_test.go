package action

import (
	"strings"
	"testing"
)

func TestUnknownModeListsTheModes(t *testing.T) {
	want := `"migrat" is not a mode; the modes are ` + strings.Join(modeNames(), ", ")
	if _, err := modeNamed("migrat"); err == nil || err.Error() != want || !strings.Contains(want, "backup, ") {
		t.Errorf("got %v", err)
	}
}

// A value of a closed list may be given in any letter case; the report has it as the documentation does.
func TestClosedListsInAnyLetterCase(t *testing.T) {
	f := newFleet(t, named("a")...)
	o := f.run(t, t.Context(), "mode=Migrate", "tenant-source=NEON", "tenant-key=Name", "migrations-format=Dbmate",
		"rehearse=None", "changed-files=WARN", "dry-run=True")
	o.counts(t, 1, 0, 0, 0)
	if o.report.Mode != "migrate" || o.report.Source != "neon" || !o.report.DryRun || len(o.report.Notices) > 0 {
		t.Errorf("%+v", o.report)
	}
	f.run(t, t.Context(), "mode=Health-Check", "fail-on=Pending, UNREACHABLE").says(t, "3 migrations are pending")
}
