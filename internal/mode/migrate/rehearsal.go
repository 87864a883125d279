package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// rehearsal migrates copies of tenants before any tenant is touched, and decides whether they may be.
type rehearsal struct {
	everybody bool // or only the canaries
	limits    rehearsalLimits
	timeout   time.Duration
	migrator  *migrator
	copies    copier
	commenter *mode.Commenter // nil: no comment is wanted
	slots     slots

	done  map[string]*rehearsed // by the tenant's id
	total int                   // of the run's tenants
	// publicPending is true if files of the schema public are.
	publicPending bool
	failed        []string // names
	calls         int64    // of Neon's API
}

// rehearsed is one tenant's rehearsal.
type rehearsed struct {
	tenant  fleet.Tenant
	order   int // in the run
	target  postgres.Target
	found   migration.Result // what was pending in the tenant itself; known if target is
	copy    copyKind
	traces  []migration.Trace
	change  []string      // how the copy's schema changed: lines of a difference
	compute time.Duration // for which its branch's compute ran
	err     error
}

// elapsed is how long the files took.
func (r *rehearsed) elapsed() (d time.Duration) {
	for _, t := range r.traces {
		d += t.Elapsed
	}
	return d
}

// readRehearsal reads the inputs about rehearsals; nil if there is to be none.
func (m *migrator) readRehearsal(in *input.Reader) {
	which := in.Choice("rehearse", "none", "canary", "all")
	limits := noLimits
	if text := in.String("rehearse-fail-on"); text != "" {
		limits = input.Parse(in, "rehearse-fail-on", parseLimits)
		if which == "none" {
			in.Mistake("rehearse-fail-on", "limits what a rehearsal may show, and there is none; give rehearse: all, or "+
				"leave it out")
		}
	}
	comment := in.Bool("comment")
	if which == "none" || which == "" {
		if comment {
			in.Mistake("comment", "says on the pull request what a rehearsal showed, and there is none; give rehearse: all, "+
				"or leave it out")
		}
		return
	}
	if which == "canary" && strings.TrimSpace(in.String("canary")) == "" {
		in.Mistake("rehearse", "rehearses the canaries, and there are none; give canary: 1, or rehearse: all")
	}
	r := &rehearsal{everybody: which == "all", limits: limits, timeout: in.Duration("tenant-timeout"), migrator: m,
		done: map[string]*rehearsed{}}
	r.copies = copier{env: m.env, runID: in.Variable("GITHUB_RUN_ID"), table: m.options.Table,
		lifetime: min((aheadPerSlot+1)*r.timeout+time.Hour, longestLife)}
	if comment {
		r.commenter = mode.NewCommenter(in, m.env)
	}
	m.rehearsal = r
}

// run rehearses the chosen tenants, and notes what keeps the others from being touched.
func (r *rehearsal) run(ctx context.Context, found mode.Found) {
	if r == nil || len(found.Tenants) == 0 {
		return
	}
	tenants := found.Tenants
	if !r.everybody {
		tenants = tenants[:found.Canaries]
	}
	r.total = len(found.Tenants)
	for i, t := range tenants {
		r.done[t.ID] = &rehearsed{tenant: t, order: i}
	}
	r.lookAtPublic(ctx)
	calls := r.apiCalls()
	defer func() { r.calls = r.apiCalls() - calls }()
	var underWay int
	r.slots, underWay = newSlots(r.migrator.env)
	observer, end := r.migrator.env.Progress("rehearsal", len(tenants))
	defer end()
	for _, result := range fleet.Run(ctx, fleet.Plan{Tenants: tenants, Job: r.job}, fleet.Options{
		Concurrency: underWay, TenantTimeout: r.timeout, Observer: observer,
	}) {
		one := r.done[result.Tenant.ID]
		if result.State == fleet.Failed || result.State == fleet.Skipped {
			one.err = result.Err
			r.failed = append(r.failed, result.Tenant.Name)
		}
	}
}

// blocks reports whether no tenant may be touched.
func (r *rehearsal) blocks() bool { return r != nil && len(r.failed) > 0 }

// refuse returns why a tenant must not be touched; nil if it may be.
func (r *rehearsal) refuse(t fleet.Tenant) error {
	if !r.blocks() {
		return nil
	}
	if one := r.done[t.ID]; one != nil && one.err != nil && !errors.As(one.err, new(*fleet.NotStarted)) {
		return fmt.Errorf("it was not touched, because its rehearsal failed: %w", one.err)
	}
	if len(r.failed) == 1 {
		return &fleet.NotStarted{Reason: "the rehearsal of " + r.failed[0] + " failed"}
	}
	return &fleet.NotStarted{
		Reason: fmt.Sprintf("%d rehearsals failed: %s", len(r.failed), words.List(r.failed, 3))}
}

// targetOf returns where a tenant is, which its rehearsal has asked for.
func (r *rehearsal) targetOf(t fleet.Tenant) (postgres.Target, bool) {
	if r == nil || r.done[t.ID] == nil || r.done[t.ID].target.Zero() {
		return postgres.Target{}, false
	}
	return r.done[t.ID].target, true
}

// foundIn returns what was pending in a tenant before its rehearsal. In a dry run nothing is newer.
func (r *rehearsal) foundIn(t fleet.Tenant) (migration.Result, bool) {
	if _, known := r.targetOf(t); !known {
		return migration.Result{}, false
	}
	return r.done[t.ID].found, true
}

// job rehearses one tenant.
func (r *rehearsal) job(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	one := r.done[t.ID]
	place := slot{of: r.slots}
	if err := place.take(ctx); err != nil {
		return fleet.Outcome{}, err
	}
	defer place.leave()
	target, found, err := r.look(ctx, t, log)
	switch {
	case r.migrator.creator != nil && postgres.MissingDatabase(err), err == nil && found.Creates:
		return fleet.Outcome{Unchanged: true, Note: "nothing to rehearse: it does not exist yet"}, nil
	case err != nil:
		return fleet.Outcome{}, err
	}
	one.target, one.found = target, found
	publicToo := r.publicPending && one.order == 0 // its files are the same for all
	if len(found.Pending) == 0 && !publicToo {
		return fleet.Outcome{Unchanged: true, Note: "nothing to rehearse"}, nil
	}
	err = r.copies.with(ctx, t, target, log, &place, func(c tenantCopy) error {
		one.copy = c.kind
		return r.migrate(ctx, t, c, one, log)
	}, one)
	if failed := (*migration.Error)(nil); errors.As(err, &failed) {
		err = fleet.WithRemedy(err, "correct the file, or the tenant's data, and run again; this was a copy, and no tenant "+
			"was touched")
	}
	if err != nil {
		return fleet.Outcome{}, remedies.Explain(err)
	}
	if over := r.limits.exceeded(one.traces); len(over) > 0 {
		return fleet.Outcome{}, fleet.WithRemedy(
			fmt.Errorf("rehearse-fail-on does not allow this: %s", words.List(over, 3)),
			"write the file in a safer form (the summary has one where it is known), or raise the limit; "+
				"no tenant was touched")
	}
	return fleet.Outcome{Note: one.note()}, nil
}

// look reads what is pending in the tenant itself, over a connection that only reads.
func (r *rehearsal) look(
	ctx context.Context, t fleet.Tenant, log *slog.Logger,
) (target postgres.Target, found migration.Result, err error) {
	env := r.migrator.env
	if target, err = mode.Resolve(ctx, env, t, log); err != nil {
		return target, found, err
	}
	o := r.migrator.options
	if o.Schema = env.Schema(t); o.Schema == "" {
		if err := mode.RefuseCatalog(env, target); err != nil {
			return target, found, err
		}
	}
	conns := mode.NewConnections(env, mode.Reads)
	defer conns.Close()
	conn, release, err := conns.OpenTarget(ctx, t, target, log)
	if err != nil {
		return target, found, err
	}
	defer release()
	o.DryRun, o.Baseline = true, nil
	found, err = migration.Migrate(ctx, conn, r.migrator.files, o)
	return target, found, remedies.Explain(err)
}

// apiCalls is how many calls of Neon's API the run has made so far.
func (r *rehearsal) apiCalls() int64 {
	if b, ok := r.migrator.env.Source.(fleet.Brancher); ok {
		return b.APICalls()
	}
	return 0
}

// lookAtPublic finds out whether files of the schema public are pending. What keeps it from being read fails the run
// later, before any tenant.
func (r *rehearsal) lookAtPublic(ctx context.Context) {
	files := r.migrator.schemas.public
	if files == nil {
		return
	}
	conns := mode.NewConnections(r.migrator.env, mode.Reads)
	defer conns.Close()
	conn, release, err := conns.OpenShared(ctx, slog.New(slog.DiscardHandler))
	if err != nil {
		return
	}
	defer release()
	o := r.migrator.options
	o.Schema, o.CreateSchema, o.DryRun = "public", false, true
	found, err := migration.Migrate(ctx, conn, files, o)
	r.publicPending = err == nil && len(found.Pending) > 0
}

// migrate runs the files on the copy and watches what they do.
func (r *rehearsal) migrate(
	ctx context.Context, t fleet.Tenant, c tenantCopy, one *rehearsed, log *slog.Logger,
) error {
	o := r.migrator.options
	o.Schema = r.migrator.env.Schema(t)
	conn, err := mode.Dial(ctx, r.migrator.env, t, c.target, postgres.Options{NoSearchPath: o.Schema != ""}, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	look := fingerprint.Options{Schema: o.Schema, Table: o.Table}
	before, err := fingerprint.Describe(ctx, conn, look)
	if err != nil {
		return err
	}
	o.Watch, o.DryRun = true, false
	if files := r.migrator.schemas.public; files != nil {
		public := o
		public.Schema, public.CreateSchema = "public", false
		result, err := migration.Migrate(ctx, conn, files, public)
		if one.traces = result.Traces; err != nil {
			return err
		}
	}
	o.Baseline = r.migrator.baseline.of(o, log)
	result, err := migration.Migrate(ctx, conn, r.migrator.files, o)
	if one.traces = append(one.traces, result.Traces...); err != nil {
		return err
	}
	after, err := fingerprint.Describe(ctx, conn, look)
	if err != nil {
		return err
	}
	for _, line := range fingerprint.Diff(before, after) {
		one.change = append(one.change, fleet.Redact(log, line))
	}
	return nil
}

// note says in a line of progress what the rehearsal showed.
func (r *rehearsed) note() string {
	text := fmt.Sprintf("%s in %s", words.Count(len(r.traces), "file", "files"), words.Duration(r.elapsed()))
	var rewrites []string
	var longest migration.TableLock
	for _, t := range r.traces {
		for _, w := range t.Rewrites {
			rewrites = append(rewrites, w.Table)
		}
		for _, l := range t.Locks {
			if l.Held > longest.Held {
				longest = l
			}
		}
	}
	if len(rewrites) > 0 {
		text += "; writes anew: " + words.List(rewrites, 3)
	}
	if longest.Held > 0 {
		text += fmt.Sprintf("; holds %s on %s for %s", longest.Mode, longest.Table, words.Duration(longest.Held))
	}
	return text
}
