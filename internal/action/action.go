// Package action is one run from its inputs to its exit: it reads the mode, joins a source and a mode into a plan, has the
// fleet engine run it and reports. Everything flows one way: inputs → source → plan → fleet → report.
package action

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/remedies"
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
	found, canaries, err := r.discover(ctx, s)
	var incomplete *fleet.IncompleteError
	if err != nil && !errors.As(err, &incomplete) {
		r.record.Err = err
		return found
	}
	if incomplete != nil { // what was found is worked on; the run fails at its end
		r.console.Warning(err.Error(), "", 0)
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
	r.record.Results = fleet.Run(ctx, fleet.Plan{Tenants: found.Tenants, Canary: canaries, Job: explained(s.work.Job)}, s.options)
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
	selection  fleet.Selection
	canary     fleet.Canary
	shard      fleet.Shard
	minTenants int
	allowEmpty bool
}

// settings reads every input of the run, so that all mistakes are known before the first call.
func (r *run) settings() settings {
	in := r.in
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
	r.record.Shard = s.shard.String()
	s.selection = input.Parse(in, "tenants", func(text string) (fleet.Selection, error) { return fleet.ParseSelection(input.List(text)) })
	s.canary = input.Parse(in, "canary", func(text string) (fleet.Canary, error) { return fleet.ParseCanary(input.List(text)) })
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

// discover lists the tenants and chooses among them; canaries is how many come first. With an [*fleet.IncompleteError] the tenants
// are valid as far as they go.
func (r *run) discover(ctx context.Context, s settings) (found mode.Found, canaries int, err error) {
	all, listErr := s.source.Tenants(ctx)
	var incomplete *fleet.IncompleteError
	if listErr != nil && !errors.As(listErr, &incomplete) {
		if ctx.Err() != nil {
			listErr = fmt.Errorf("%w: %w", context.Cause(ctx), listErr)
		}
		return mode.Found{}, 0, fmt.Errorf("list tenants: %w", listErr)
	}
	if s.work.Choose != nil {
		found, err := r.named(all, incomplete == nil, s)
		if err != nil {
			return mode.Found{}, 0, err
		}
		return found, 0, listErr
	}
	if len(all) < s.minTenants {
		return mode.Found{}, 0, fleet.WithRemedy(fmt.Errorf("found %d tenants, fewer than min-tenants: %d", len(all), s.minTenants),
			"see whether the key and the organization are the right ones; lower min-tenants where so few are right")
	}
	if err := fleet.AssignKeys(all, s.keys, s.selection.Matches); err != nil {
		return mode.Found{}, 0, err
	}
	chosen, idle := s.selection.Select(all)
	for _, pattern := range idle {
		r.warn(fmt.Sprintf("tenants: the pattern %q matches none of the %d tenants found", pattern, len(all)))
	}
	if len(chosen) == 0 && !s.allowEmpty {
		return mode.Found{}, 0, fleet.WithRemedy(fmt.Errorf("tenants: %q selects none of the %d tenants found", r.in.String("tenants"), len(all)),
			"correct the patterns (they match names and ids, and letter case counts), or set allow-empty: true")
	}
	slices.SortFunc(chosen, func(a, b fleet.Tenant) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID)) })
	if _, n := s.canary.Order(chosen); n == 0 && !s.canary.Zero() && len(chosen) > 0 {
		return mode.Found{}, 0, fleet.WithRemedy(fmt.Errorf("canary: %q is none of the %d selected tenants", r.in.String("canary"), len(chosen)),
			"name a selected tenant, or give a count such as canary: 3")
	}
	found.All = all
	found.Tenants, canaries = s.canary.Order(s.shard.Select(chosen))
	found.Whole = incomplete == nil && s.selection.Everything() && s.shard.Count <= 1
	r.console.Line(announcement(len(all), len(found.Tenants), canaries, s))
	return found, canaries, listErr
}

// announcement words what the run is about to do.
func announcement(all, chosen, canaries int, s settings) string {
	text := fmt.Sprintf("found %d tenants", all)
	if chosen != all {
		text += fmt.Sprintf(", selected %d", chosen)
	}
	if shard := s.shard.String(); shard != "" {
		text += fmt.Sprintf(" in shard %s", shard)
	}
	if canaries > 0 {
		text += fmt.Sprintf(", %d of them first as canaries", canaries)
	}
	return fmt.Sprintf("%s; %d at once", text, max(1, min(s.options.Concurrency, chosen)))
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
