package action

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/workspace"
)

// finish reports the record everywhere: report file, page, step summary, outputs, annotations, log. The file comes
// first, because the runner may kill a cancelled run before it is done; the page comes before the summary and the log,
// which point to it.
func (r *run) finish() error {
	replace, err := r.keepPrevious()
	if err != nil {
		r.record.Err = errors.Join(r.record.Err, err)
	}
	if !replace {
		r.reportFile, r.record.ReportFile = workspace.File{}, ""
	}
	r.record.Err, r.record.Notices = remedies.Explain(r.record.Err), r.noticesSoFar()
	if unset := report.Unset(r.record); unset != "" {
		r.record.Warnings = append(r.record.Warnings, unset)
	}
	if sha := r.env.get("GITHUB_SHA"); sha != "" {
		r.record.SourceURL = r.env.repositoryURL("blob/" + sha)
	}
	if err := r.writeReportFile(); err != nil {
		r.record.Err = errors.Join(r.record.Err, err)
		r.record.ReportFile = ""
	}
	if err := r.writePage(); err != nil {
		r.record.Err = errors.Join(r.record.Err, err)
		r.record.PageFile = ""
	}
	if path := r.env.get("GITHUB_STEP_SUMMARY"); path != "" {
		if err := appendText(path, report.Summary(r.record)); err != nil {
			r.record.Err = errors.Join(r.record.Err, fmt.Errorf("write the step summary: %w", err))
		}
	}
	if path := r.env.get("GITHUB_OUTPUT"); path != "" {
		outputs := report.Outputs(r.record)
		for _, name := range slices.Sorted(maps.Keys(r.outputs)) {
			outputs = append(outputs, report.Output{Name: name, Value: r.outputs[name]})
		}
		if err := report.AppendFile(path, outputs); err != nil {
			r.record.Err = errors.Join(r.record.Err, fmt.Errorf("write the outputs: %w", err))
		}
	}
	report.Annotate(r.console, r.record)
	for _, s := range r.record.Sections {
		r.console.Line(s.Text())
	}
	r.console.Line(report.Closing(r.record))
	if r.record.Failed() {
		return errFailed
	}
	return nil
}

// writeReportFile writes the JSON report, completely or not at all.
func (r *run) writeReportFile() error {
	if r.reportFile.Zero() {
		return nil
	}
	err := r.reportFile.Stream(func(w io.Writer) error { return report.WriteJSON(w, r.record) })
	if err != nil {
		return fleet.WithRemedy(fmt.Errorf("write report-file: %w", err),
			"name a path in the workspace that can be written, or set report-file: '' to write none")
	}
	return nil
}

// cancelledPage is how many tenants the page of a cancelled run may have. The process has to end within 7 s, and the
// report file, the summary and the outputs are worth more.
const cancelledPage = 20_000

// writePage writes the page for people, completely or not at all.
func (r *run) writePage() error {
	if r.reportHTML.Zero() {
		return nil
	}
	if n := len(r.record.Results); r.cancelled && n > cancelledPage {
		r.record.Warnings = append(r.record.Warnings, fmt.Sprintf("report-html is not written: the run was cancelled, and a "+
			"page of %d tenants takes longer than a runner waits; mode report makes it of the report file", n))
		r.record.PageFile = ""
		return nil
	}
	err := r.reportHTML.Stream(func(w io.Writer) error { return report.HTML(w, r.record) })
	if err != nil {
		return fleet.WithRemedy(fmt.Errorf("write report-html: %w", err),
			"name a path in the workspace that can be written, or leave report-html empty to write none")
	}
	return nil
}

func appendText(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the runner reads it
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
