// Package action is one run from its inputs to its exit code: it reads the inputs, joins a source and a mode into a
// plan, has the fleet engine run that, and reports.
package action

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/workspace"
)

// Env is the run's surroundings, given by main or a test.
type Env struct {
	Definition []byte   // action.yml
	Version    string   // of the program, for the log
	Args       []string // the command line without the program's name
	LookupEnv  func(string) (string, bool)
	Environ    func() []string // all variables, as NAME=VALUE; nil: only those that are looked up count
	Stdout     io.Writer
}

func (e Env) get(name string) string {
	v, _ := e.LookupEnv(name)
	return v
}

// runID is GitHub's id of the workflow run, which its attempts and jobs share. Outside of Actions it is made up: the
// time, for people, and a random end.
func (e Env) runID() string {
	if id := e.get("GITHUB_RUN_ID"); id != "" {
		return id
	}
	return time.Now().UTC().Format("20060102T150405Z-") + strings.ToLower(rand.Text()[:6])
}

// errFailed is the error of a run that failed and has reported why.
var errFailed = errors.New("the run failed")

// Run does one run and reports it. An error means that the process must exit with a non-zero status; except for a
// Definition that cannot be parsed, it has been reported.
func Run(ctx context.Context, env Env) error {
	def, err := input.ParseDefinition(env.Definition)
	if err != nil {
		return err
	}
	// A runner gives every step a file for its outputs; without one, this is a shell.
	console := report.NewConsole(env.Stdout, env.get("GITHUB_OUTPUT") != "")
	in, err := input.New(def, env.Args, env.LookupEnv)
	if errors.Is(err, flag.ErrHelp) {
		def.Help(env.Stdout, modeNames())
		return nil
	}
	r := &run{env: env, in: in, console: console, record: report.Run{ID: env.runID(), Started: time.Now()}}
	r.do(ctx)
	return r.finish()
}

// run is one run in progress.
type run struct {
	env     Env
	in      *input.Reader
	console *report.Console
	record  report.Run
	outputs map[string]string // the mode's own
	// reportFile and reportHTML are where the record is written; zero: nowhere.
	reportFile, reportHTML workspace.File
	// refused is true if the run's inputs are mistaken, so that nothing was begun.
	refused bool
	// cancelled is true if the run's context ended before its work did.
	cancelled bool

	masked int // how many of the inputs' secrets the log hides
	direct postgres.DirectTLS

	mu      sync.Mutex // a job that was abandoned may send notices until the process ends
	notices []string   // for the record
}

// do fills the record with the results, or with the run's own error.
func (r *run) do(ctx context.Context) {
	defer func() {
		if len(r.record.Merged) == 0 { // a merged run took as long as its parts
			r.record.Elapsed = time.Since(r.record.Started)
		}
	}()
	s := r.settings()
	r.checkEnvironment()
	if r.record.Err = r.in.Err(); r.record.Err != nil {
		r.refused = true
		return
	}
	r.console.Line(fmt.Sprintf("neon-tenants-action %s: %s", r.env.Version, r.record.Mode))
	if c, ok := s.source.(fleet.Closer); ok {
		defer c.Close()
	}
	for _, name := range r.in.Unused() {
		where := "in mode " + r.record.Mode
		if r.record.Source != "" {
			where += " with tenant-source " + r.record.Source
		}
		r.notice(fmt.Sprintf("input %s has no effect %s", name, where))
	}
	if s.read != nil {
		r.read(s.read)
		return
	}
	r.withCatalog(ctx, s, func() mode.Found { return r.work(ctx, s) })
}

// work finds the tenants and runs the mode's job on them. It returns what was found even if nothing was done.
func (r *run) work(ctx context.Context, s settings) mode.Found {
	chosen, incomplete, err := r.discover(ctx, s)
	found := chosen.Found
	if err != nil {
		r.record.Err = err
		return found
	}
	if incomplete != nil { // the run works on what was found, and fails at the end
		r.console.Warning(incomplete.Error(), "", 0)
		err = incomplete
	}
	if s.work.Close != nil {
		defer s.work.Close()
	}
	if s.work.Prepare != nil {
		if failed := s.work.Prepare(ctx, found); failed != nil {
			r.record.Err = errors.Join(failed, err)
			return found
		}
	}
	if s.work.Order != nil {
		found.Tenants = s.work.Order(found.Tenants)
	}
	progress := report.NewProgress(r.console, len(found.Tenants))
	s.options.Observer = progress
	plan := fleet.Plan{Tenants: found.Tenants, Waves: found.Waves, Pause: s.pause, Job: explained(s.work.Job)}
	if plan.Pause > 0 && r.record.DryRun {
		plan.Pause = 0
		r.console.Line("wave-pause: a dry run changes nothing, and so does not wait between its waves")
	}
	results, waves := fleet.Run(ctx, plan, s.options)
	r.record.Results, r.record.Waves = results, report.WavesOf(waves)
	progress.Stop()
	if s.work.Finish != nil {
		ending, failed := s.work.Finish(ctx, r.record.Results)
		failed = errors.Join(failed, r.amend(ending.Amendments))
		r.outputs, r.record.Sections, r.record.Detail = ending.Outputs, ending.Sections, ending.Detail
		r.record.Made = ending.Made
		r.record.Warnings = append(r.record.Warnings, ending.Warnings...)
		err = errors.Join(failed, err)
	}
	if r.cancelled = ctx.Err() != nil; r.cancelled {
		err = errors.Join(context.Cause(ctx), err)
	}
	r.record.Err = err
	return found
}

// explained is a job whose errors come with their remedies.
func explained(job fleet.Job) fleet.Job {
	return func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		o, err := job(ctx, t, log)
		return o, remedies.Explain(err)
	}
}

// amend adds to the results what became known after they were announced.
func (r *run) amend(amendments []fleet.Amendment) error {
	announced := r.record.Results
	amendments = slices.Clone(amendments)
	for i := range amendments {
		amendments[i].Err = remedies.Explain(amendments[i].Err)
	}
	amended, err := fleet.Amend(announced, amendments)
	report.Amended(r.console, announced, amended)
	r.record.Results = amended
	return err
}

// read takes the record from a mode that works on no tenants.
func (r *run) read(record func() (report.Run, error)) {
	read, err := record()
	if err != nil {
		r.record.Err = err
		return
	}
	given := r.record
	r.record = read
	r.record.ReportFile, r.record.PageFile = given.ReportFile, given.PageFile
	r.record.Warnings = append(given.Warnings, read.Warnings...)
	for _, text := range read.Notices {
		r.notice(text)
	}
}

// notice adds a notice to the report and the log, each text once.
func (r *run) notice(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.notices, text) {
		r.notices = append(r.notices, text)
		r.console.Notice(text, "", 0)
	}
}

// noticesSoFar returns a copy of the notices.
func (r *run) noticesSoFar() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.notices)
}
