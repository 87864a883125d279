package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/fingerprint"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// rehearsal migrates copies of tenants before any tenant is touched, and decides whether they may be.
type rehearsal struct {
	everybody bool // in the waves, or only the canaries
	limits    rehearsalLimits
	timeout   time.Duration
	migrator  *migrator
	copies    copier
	commenter *mode.Commenter // nil: no comment is wanted
	marker    string          // of the comment
	slots     slots
	conns     *mode.Connections // that only read

	// What the rehearsals found. It is complete, and does not change, once run has returned.
	done   map[string]*rehearsed // by the tenant's id
	public *rehearsed            // of the schema public; nil if none of its files is pending
	total  int                   // of the run's tenants
	failed []string              // names
	calls  int64                 // of Neon's API
}

// rehearsed is one tenant's rehearsal.
type rehearsed struct {
	tenant  fleet.Tenant
	order   int              // in the run
	missing bool             // it does not exist yet
	target  postgres.Target  // zero if it is not known
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

// run rehearses the chosen tenants, and notes what keeps the others from being touched. An error ends the run: the
// schema public could not be rehearsed.
func (r *rehearsal) run(ctx context.Context, found mode.Found) error {
	if r == nil {
		return nil
	}
	tenants := r.migrator.sleepers.Awake(found.Waves.Within(found.Tenants))
	r.total = len(tenants)
	if !r.everybody {
		tenants = r.migrator.sleepers.Awake(found.Tenants[:found.Waves.Canaries()])
	}
	calls := r.apiCalls()
	defer func() { r.calls = r.apiCalls() - calls }()
	r.conns = mode.NewConnections(r.migrator.env, mode.Reads)
	defer r.conns.Close()
	if err := r.rehearsePublic(ctx); err != nil && ctx.Err() == nil {
		return fmt.Errorf("rehearse the schema public: %w", err)
	}
	if len(tenants) == 0 {
		return nil
	}
	var underWay int
	r.slots, underWay = newSlots(r.migrator.env)
	observer, end := r.migrator.env.Progress("rehearsal", len(tenants))
	defer end()
	results, _ := fleet.Run(ctx, fleet.Plan{Tenants: tenants, Job: r.job}, fleet.Options{
		Concurrency: underWay, TenantTimeout: r.timeout, Observer: observer,
	})
	for i, result := range results {
		one, ok := result.Outcome.Detail.(*rehearsed)
		if !ok { // it was not started, or did not stop in time
			one = &rehearsed{}
		}
		one.tenant, one.order = result.Tenant, i
		if result.State == fleet.Failed || result.State == fleet.Skipped {
			one.err = result.Err
			r.failed = append(r.failed, result.Tenant.Name)
		}
		r.done[result.Tenant.ID] = one
	}
	return nil
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

// job rehearses one tenant. Its outcome's detail is a [*rehearsed], also with an error.
func (r *rehearsal) job(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	one := &rehearsed{tenant: t}
	outcome, err := r.rehearse(ctx, t, one, log)
	outcome.Detail = one
	return outcome, err
}

func (r *rehearsal) rehearse(
	ctx context.Context, t fleet.Tenant, one *rehearsed, log *slog.Logger,
) (fleet.Outcome, error) {
	place := slot{of: r.slots}
	if err := place.take(ctx); err != nil {
		return fleet.Outcome{}, err
	}
	defer place.leave()
	target, found, err := r.look(ctx, t, log)
	switch {
	case r.migrator.creator != nil && postgres.MissingDatabase(err), err == nil && found.Creates:
		one.missing = true
		return fleet.Outcome{Unchanged: true, Note: "nothing to rehearse: it does not exist yet"}, nil
	case err != nil:
		return fleet.Outcome{}, err
	}
	one.target, one.found = target, found
	if len(found.Pending) == 0 {
		return fleet.Outcome{Unchanged: true, Note: "nothing to rehearse"}, nil
	}
	err = r.copies.with(ctx, t, target, log, &place, func(c tenantCopy) error {
		one.copy = c.kind
		return r.migrate(ctx, t, c, one, log)
	}, one)
	if err != nil {
		return fleet.Outcome{}, onACopy(err)
	}
	return fleet.Outcome{Note: one.note()}, r.limits.judge(one)
}

// onACopy is the error of a rehearsal: where the remedy of a migration's error is about what it left in the tenant, it
// is another for a copy, which is gone.
func onACopy(err error) error {
	failed := (*migration.Error)(nil)
	if !errors.As(err, &failed) {
		return remedies.Explain(err)
	}
	remedy := remedies.Of(failed)
	switch failed.Cause() {
	case migration.RolledBack, migration.AppliedInPart, migration.IndexInvalid:
		remedy = "correct the file, or the tenant's data, and run again"
	case migration.ConnectionLost, migration.LostOutsideTransaction, migration.NotRecorded, migration.RecordUnknown,
		migration.SessionEnded, migration.Stopped, migration.TableLocked:
		remedy = "run again"
	}
	return fleet.WithRemedy(err, remedy+"; this was a copy, and no tenant was touched")
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
	conn, release, err := r.conns.OpenTarget(ctx, t, target, log)
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

// migrate runs the files on the copy and watches what they do.
func (r *rehearsal) migrate(
	ctx context.Context, t fleet.Tenant, c tenantCopy, one *rehearsed, log *slog.Logger,
) error {
	o := r.migrator.options
	o.Schema = r.migrator.env.Schema(t)
	if err := c.refuse(r.migrator.files, one.found.Pending); err != nil {
		return err
	}
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
	o.DryRun = false
	if files := r.migrator.schemas.public; files != nil {
		public := ofPublic(o, r.copies.shared[0])
		if _, err := migration.Migrate(ctx, conn, files, public); err != nil { // watched once, on a copy of its own
			return err
		}
	}
	o.Watch, o.Baseline = true, r.migrator.baseline.of(o, log)
	result, err := migration.Migrate(ctx, conn, r.migrator.files, o)
	if one.traces = result.Traces; err != nil {
		return err
	}
	after, err := fingerprint.Describe(ctx, conn, look)
	if err != nil {
		return err
	}
	one.change = shorten(fingerprint.Diff(before, after), log)
	return nil
}

// shorten redacts the lines of a difference, and keeps the first.
func shorten(lines []string, log *slog.Logger) []string {
	const most = 50
	kept := make([]string, 0, min(len(lines), most+1))
	for _, line := range lines[:min(len(lines), most)] {
		kept = append(kept, fleet.Redact(log, line))
	}
	if more := len(lines) - most; more > 0 {
		kept = append(kept, words.More(more))
	}
	return kept
}
