package action

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/workspace"
)

// replacesPrevious reports whether this run's report would take the place of one that previous-report names.
func (r *run) replacesPrevious() bool {
	return slices.ContainsFunc(r.in.FilesIfAny("previous-report"), func(f input.File) bool {
		previous, err := r.in.Workspace().File(f.Path)
		return err == nil && previous == r.reportFile
	})
}

// keepPrevious keeps the report that this run's is about to replace if it is still needed: whoever repeats an undo
// gives the report of the run to undo once more. replace is false if that is to stay where it is, as for a run that was
// refused, which has nothing to say that is worth another's report.
func (r *run) keepPrevious() (replace bool, err error) {
	switch {
	case r.reportFile.Zero(), !r.replacesPrevious():
		return true, nil
	case r.refused:
		return false, nil
	case r.record.Mode != "undo":
		return true, nil
	}
	data, err := r.reportFile.Read()
	if err != nil {
		return false, err
	}
	ending := filepath.Ext(r.record.ReportFile)
	name := strings.TrimSuffix(r.record.ReportFile, ending) + ".before-" + r.record.ID + cmp.Or(ending, ".json")
	var kept workspace.File
	if kept, err = r.in.Workspace().File(name); err == nil {
		err = kept.Write(data)
	}
	if err != nil {
		return false, fmt.Errorf("keep the report that this run's would replace as %s: %w", name, err)
	}
	r.notice(fmt.Sprintf("the report that previous-report named is kept as %s, since this run's takes its place; undo "+
		"again with previous-report: %s", name, name))
	return true, nil
}
