package action

import (
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/source"
	"github.com/org/neon-tenants-action/internal/words"
	"github.com/org/neon-tenants-action/internal/workspace"
)

// settings is what a run's inputs say.
type settings struct {
	read    func() (report.Run, error) // of a mode that works on no tenants; then everything else is zero
	source  fleet.Source
	catalog catalogSettings
	work    mode.Work
	options fleet.Options
	choice  choice
	pause   time.Duration // between waves
}

// guards are the inputs that say whom a run works on, whether it changes anything, and what it may delete. One that is
// given and empty, as a mistyped expression gives it, is a mistake: its default may be everybody, for real.
var guards = []string{
	"tenants", "dry-run", "shard", "min-tenants", "max-prune",
	"retention-days", "keep-last", "keep-daily", "keep-weekly", "keep-monthly",
}

// settings reads every input, so that all mistakes are known before the first call.
func (r *run) settings() settings {
	in := r.in
	in.Guard(guards...)
	r.reportFiles()
	r.record.Mode = input.Canonical(in.Required("mode"), modeNames())
	m, err := modeNamed(r.record.Mode)
	if err != nil && r.record.Mode != "" {
		in.Mistake("mode", "%v", err)
	}
	if m.read != nil {
		return settings{read: m.read(in)}
	}
	r.record.DryRun = in.Bool("dry-run")
	insecure := in.Bool("allow-insecure")
	in.Choice("tenant-source", source.Names()...)
	r.record.Source = in.String("tenant-source")
	var ledger postgres.Ledger
	if m.creates {
		ledger = mode.ReadLedger(in)
	}
	s := settings{
		source:  r.source(m, ledger),
		catalog: r.catalogSettings(insecure),
		choice:  readChoice(in),
		options: fleet.Options{
			MaxFailures:   input.Parse(in, "max-failures", fleet.ParseLimit),
			TenantTimeout: in.Duration("tenant-timeout"),
			Concurrency:   in.Int("concurrency", 1, 1000),
		},
	}
	s.pause = r.readPause(s.choice)
	s.choice.searcher, _ = s.source.(fleet.Searcher)
	if m.one {
		s.choice.soleTenantMode = r.record.Mode
	}
	r.record.Shard = s.choice.shard.String()
	r.mask() // before a mode can log anything
	if err != nil {
		s.choice.readBounds(in)
		return s
	}
	if s.options.Concurrency == 0 {
		s.options.Concurrency = m.concurrency
	}
	if m.retries {
		s.choice.retry = mode.ReadRetry(in, r.record.Mode, r.record.Source)
	}
	s.work = m.construct(in, mode.Env{
		Source:      s.source,
		Kinds:       source.Kinds(),
		Version:     r.env.Version,
		RunID:       r.record.ID,
		Concurrency: s.options.Concurrency,
		DryRun:      r.record.DryRun,
		Insecure:    insecure,
		DirectTLS:   &r.direct,
		Workers:     &mode.Workers{Notice: r.notice, Say: r.console.Line},
		Catalog:     s.catalog.target.String(),
		Retry:       s.choice.retry,
		Remembered:  s.catalog.remembered(s.source, r.record.Source),
		Mask:        r.console.Mask,
		Notice:      r.notice,
		Say:         r.console.Line,
		Progress: func(label string, total int) (fleet.Observer, func()) {
			p := report.NewProgress(r.console, total)
			p.Label = label
			return p, p.Stop
		},
	})
	if s.work.Choose == nil {
		s.choice.readBounds(in)
	}
	r.mask()
	return s
}

// source returns the source that the inputs ask for. A mode that finds tenants itself can do without.
func (r *run) source(m entry, ledger postgres.Ledger) fleet.Source {
	if m.finds != nil && r.record.Source == "neon" && r.in.String("neon-api-key") == "" {
		r.record.Source = ""
		return m.finds(r.in, nil)
	}
	given := source.New(r.in, source.Options{
		Creating: m.creates, Ledger: ledger, OnWait: r.waiting, DirectTLS: &r.direct,
		OnSlow: mode.Slowed("Neon's API", r.notice, r.console.Line),
		Notice: r.notice,
		Warn:   func(text string) { r.record.Warnings = append(r.record.Warnings, text) },
	})
	if m.finds != nil {
		return m.finds(r.in, given)
	}
	return given
}

// readPause reads how long to wait between waves.
func (r *run) readPause(c choice) time.Duration {
	pause := input.Parse(r.in, "wave-pause", input.ParseDurationOrZero)
	if pause > 0 && !c.waves.Asked() && strings.TrimSpace(c.canaryInput) == "" {
		r.in.Mistake("wave-pause", "is how long to wait between waves, and there is only one; give waves: 1, 10%%, 100%%, "+
			"or leave it out")
	}
	return pause
}

// reportFiles reads where the run's results go.
func (r *run) reportFiles() {
	if r.reportFile = r.in.File("report-file"); !r.reportFile.Zero() {
		r.record.ReportFile = r.in.Optional("report-file")
	}
	if r.reportHTML = r.in.File("report-html"); !r.reportHTML.Zero() {
		r.record.PageFile = r.in.Optional("report-html")
	}
	if r.reportHTML == r.reportFile && !r.reportFile.Zero() {
		r.in.Mistake("report-html", "%q is the report-file too, and would replace it; name another file",
			r.record.PageFile)
		r.reportHTML, r.record.PageFile = workspace.File{}, ""
	}
}

// checkEnvironment tells of variables and arguments with which somebody most likely meant something else.
func (r *run) checkEnvironment() {
	if r.env.Environ != nil {
		r.in.CheckVariables(r.env.Environ(), func(name string) bool {
			_, bundle := secrets.IsBundle(name)
			return bundle || name == secrets.StateVariable
		})
	}
	for _, name := range r.in.Exposed() {
		r.notice(fmt.Sprintf("%s was given as an argument, which every process of this machine can read; "+
			"give it as the variable %s", name, input.Variable(name)))
	}
}

// waiting reports a wait for an API's rate limit.
func (r *run) waiting(d time.Duration, why string) {
	r.console.Line(fmt.Sprintf("waiting %s: %s", words.Duration(d), why))
}

// mask hides the secrets that were read since the last call.
func (r *run) mask() {
	read := r.in.Secrets()
	for _, secret := range read[r.masked:] {
		r.console.Mask(secret.Forms()...)
	}
	r.masked = len(read)
}
