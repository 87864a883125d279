package action

import (
	"errors"
	"fmt"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/health"
	"github.com/org/neon-tenants-action/internal/report"
)

// joined are the modes that find out something only from the results of all shards.
var joined = map[string]func(report.Run) (report.Run, error){"health-check": health.Merge}

// readReports merges the report files of sharded jobs into one run. A file that cannot be read is left out, and fails
// the run.
func readReports(in *input.Reader) func() (report.Run, error) {
	files := in.Files("report-files")
	if in.String("report-files") == "" {
		in.Mistake("report-files",
			"is required here and is empty; write a glob such as report-files: reports/**/*.json")
	}
	return func() (report.Run, error) {
		var read []report.NamedFile
		var merged []string
		var refused []error
		for _, f := range files {
			one, err := mode.ReadReport(f)
			if err != nil {
				refused = append(refused, err)
				continue
			}
			if len(one.Merged) > 0 { // from an earlier run of this mode; its parts are matched too
				merged = append(merged, f.Name)
				continue
			}
			read = append(read, one)
		}
		unread := errors.Join(refused...)
		if len(read) == 0 && unread != nil {
			return report.Run{}, unread
		}
		if len(read) == 0 {
			return report.Run{}, fleet.WithRemedy(
				fmt.Errorf("report-files matches merged reports only, such as %s", merged[0]),
				"have it match the files that report-file names in the jobs to merge")
		}
		run, err := report.Merge(read)
		if err != nil {
			return report.Run{}, errors.Join(err, unread)
		}
		run = mode.MergeSleep(joinShards(run))
		for _, name := range merged {
			run.Notices = append(run.Notices, name+" is a merged report itself and was left out")
		}
		if unread != nil { // the others' results are worth having, and the run is red
			run.Err = errors.Join(fleet.WithRemedy(fmt.Errorf("left out of the merged report: %w", unread),
				"take the file away, or run the job that left it once more"), run.Err)
		}
		return run, nil
	}
}

// joinShards adds what only the results of all shards show. Where that fails, the results are worth having as they are.
func joinShards(run report.Run) report.Run {
	join := joined[run.Mode]
	if join == nil {
		return run
	}
	whole, err := join(run)
	if err != nil {
		run.Err = errors.Join(run.Err, fmt.Errorf("the shards are merged, but not compared with each other: %w", err))
		return run
	}
	return whole
}
