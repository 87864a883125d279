// Package action is one run from its inputs to its exit: it reads the mode, joins a source and a mode into a plan, has the
// fleet engine run it and reports. Everything flows one way: inputs → source → plan → fleet → report.
package action

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/source"
)

// Env is the world as main or a test gives it.
type Env struct {
	Definition []byte   // action.yml
	Version    string   // of the program, for the log
	Args       []string // the command line without the program's name
	LookupEnv  func(string) (string, bool)
	Stdout     io.Writer
}

func (e Env) get(name string) string {
	v, _ := e.LookupEnv(name)
	return v
}

// errFailed is a run that failed and has said so in every place where it reports.
var errFailed = errors.New("the run failed")

// Run does one run. A non-nil error means that the process must end non-zero; whatever it is has been reported.
func Run(ctx context.Context, env Env) error {
	def, err := input.ParseDefinition(env.Definition)
	if err != nil {
		return err
	}
	// A runner gives every step a file for outputs; without one this is a shell.
	console := report.NewConsole(env.Stdout, env.get("GITHUB_OUTPUT") != "")
	in, err := input.New(def, env.Args, env.LookupEnv)
	if errors.Is(err, flag.ErrHelp) {
		def.Help(env.Stdout, modeNames())
		return nil
	}
	r := &run{env: env, in: in, console: console, record: report.Run{Started: time.Now()}}
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
	masked  int               // how many of the inputs' secrets the log hides

	mu sync.Mutex // guards the record's notices while the fleet runs
}

// do fills the record: with results, or with the run's own error.
func (r *run) do(ctx context.Context) {
	defer func() {
		if len(r.record.Merged) == 0 { // else it is the merged runs' time that counts
			r.record.Elapsed = time.Since(r.record.Started)
		}
	}()
	s := r.settings()
	if r.record.Err = r.in.Err(); r.record.Err != nil {
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

// work finds the tenants and has the mode's job done on them. It returns what was found also where nothing was done.
func (r *run) work(ctx context.Context, s settings) mode.Found {
	d, err := r.discover(ctx, s)
	found := d.found
	if err != nil {
		r.record.Err = err
		return found
	}
	if d.incomplete != nil { // what was found is worked on; the run fails at its end
		r.console.Warning(d.incomplete.Error(), "", 0)
		err = d.incomplete
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
	progress := report.NewProgress(r.console, len(found.Tenants))
	s.options.Observer = progress
	r.record.Results = fleet.Run(ctx, fleet.Plan{Tenants: found.Tenants, Canary: d.canaries, Job: s.work.Job}, s.options)
	progress.Stop()
	if s.work.Finish != nil {
		ending, failed := s.work.Finish(ctx, r.record.Results)
		failed = errors.Join(failed, r.amend(ending.Amendments))
		r.outputs, r.record.Sections, r.record.Detail = ending.Outputs, ending.Sections, ending.Detail
		r.record.Warnings = append(r.record.Warnings, ending.Warnings...)
		err = errors.Join(failed, err)
	}
	if ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	r.record.Err = err
	return found
}

// amend adds to the results what became known after they were announced.
func (r *run) amend(amendments []fleet.Amendment) error {
	announced := r.record.Results
	amended, err := fleet.Amend(announced, amendments)
	report.Amended(r.console, announced, amended)
	r.record.Results = amended
	return err
}

// read takes the record from what other runs left behind.
func (r *run) read(record func() (report.Run, error)) {
	made, err := record()
	if err != nil {
		r.record.Err = err
		return
	}
	given := r.record
	r.record = made
	r.record.ReportFile, r.record.Notices = given.ReportFile, given.Notices
	for _, text := range made.Notices {
		r.notice(text)
	}
}

// settings are a run's inputs, read.
type settings struct {
	read       func() (report.Run, error) // of a mode without tenants, for which all else is zero
	source     fleet.Source
	catalog    catalogSettings
	work       mode.Work
	options    fleet.Options
	keys       fleet.KeyBy
	tenants    string // what the inputs tenants and canary mean depends on the tenants that are found
	canary     string
	one        bool // the mode takes exactly one tenant
	shard      fleet.Shard
	minTenants int
	allowEmpty bool
}

// guards are the inputs that say whom a run works on, whether it changes anything, and what it may delete. One that is
// given and empty, as a mistyped expression gives it, is a mistake: its default may be everybody, for real.
var guards = []string{
	"tenants", "dry-run", "shard", "min-tenants", "max-prune",
	"retention-days", "keep-last", "keep-daily", "keep-weekly", "keep-monthly",
}

// settings reads every input of the run, so that all mistakes are known before the first call.
func (r *run) settings() settings {
	in := r.in
	in.Guard(guards...)
	r.record.ReportFile = in.Optional("report-file")
	r.record.Mode = in.Required("mode")
	m, err := modeNamed(r.record.Mode)
	if err != nil && r.record.Mode != "" {
		in.Mistake("mode", "%v", err)
	}
	if m.Read != nil {
		return settings{read: m.Read(in)}
	}
	r.record.DryRun = in.Bool("dry-run")
	insecure := in.Bool("allow-insecure")
	r.record.Source = in.String("tenant-source")
	s := settings{
		source:     source.New(in, source.Options{Creating: m.Creates, OnWait: r.waiting}),
		catalog:    r.catalogSettings(insecure),
		keys:       fleet.KeyBy(in.Choice("tenant-key", string(fleet.KeyByName), string(fleet.KeyByID))),
		shard:      input.Parse(in, "shard", fleet.ParseShard),
		minTenants: in.Int("min-tenants", 0, 1_000_000),
		allowEmpty: in.Bool("allow-empty"),
	}
	r.mask() // before a mode has anything to say
	if s.shard.Count == 1 {
		s.shard = fleet.Shard{} // the whole fleet
	}
	r.record.Shard = s.shard.String()
	s.tenants, s.canary, s.one = in.Text("tenants"), in.Text("canary"), m.One
	s.options = fleet.Options{
		MaxFailures:   input.Parse(in, "max-failures", fleet.ParseLimit),
		TenantTimeout: in.Duration("tenant-timeout"),
		Concurrency:   in.Int("concurrency", 1, 1000),
	}
	if err != nil {
		return s
	}
	if s.options.Concurrency == 0 {
		s.options.Concurrency = m.Concurrency
	}
	s.work = m.New(in, mode.Env{Source: s.source, Kinds: source.Kinds(), Concurrency: s.options.Concurrency, DryRun: r.record.DryRun, Catalog: s.catalog.target.String(), Insecure: insecure, Mask: r.console.Mask, Notice: r.notice, Say: r.console.Line})
	r.mask()
	return s
}

// waiting tells of a wait for an API's rate limit.
func (r *run) waiting(d time.Duration, why string) {
	r.console.Line(fmt.Sprintf("waiting %s: %s", d.Round(time.Second), why))
}

// mask hides the secrets that were read since it was called last.
func (r *run) mask() {
	secrets := r.in.Secrets()
	for _, secret := range secrets[r.masked:] {
		r.console.Mask(secret.Forms()...)
	}
	r.masked = len(secrets)
}

// notice adds a notice to the report, once for each text.
func (r *run) notice(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.record.Notices, text) {
		r.record.Notices = append(r.record.Notices, text)
		r.console.Notice(text, "", 0)
	}
}

func (r *run) warn(text string) {
	r.record.Warnings = append(r.record.Warnings, text)
}
