package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/words"
)

const defaultGrace = 5 * time.Second

// reportBug is the remedy of errors that only a mistake in this program can cause.
const reportBug = "this is a bug in neon-tenants-action: please report it"

// Run works on every tenant of the plan and returns one result per tenant, in the plan's order, and one per wave. A
// tenant that fails does not affect the others of its wave. When ctx ends, nothing new starts, running jobs see their
// context end, and Run returns once they have returned or the grace is over; the context's cause is in the results.
// Memory is bounded by one result per tenant and one log per worker.
func Run(ctx context.Context, p Plan, o Options) ([]Result, []WaveResult) {
	e := &engine{plan: p, options: o, results: make([]Result, len(p.Tenants)), running: map[int]*job{}}
	if e.options.Observer == nil {
		e.options.Observer = discard{}
	}
	for i, t := range p.Tenants {
		e.results[i].Tenant, e.results[i].Wave = t, p.Waves.Number(i)
	}
	e.planned = len(p.Waves.Within(p.Tenants))
	if len(p.Waves) > 0 {
		return e.results, e.waves(ctx)
	}
	e.phase(ctx, 0, e.planned)
	return e.results, nil
}

// engine is one run. mu guards everything below it.
type engine struct {
	plan    Plan
	options Options
	planned int // tenants that are in a wave

	mu        sync.Mutex
	results   []Result
	running   map[int]*job // by the tenant's index
	upcoming  int          // index of the tenant to start next
	end       int          // index after the phase's last tenant
	failures  int
	stop      *stop  // why no further tenant is started
	late      string // the name of the wave whose turn it is, if it is not reached
	abandoned bool   // jobs that did not stop were given up: late results are dropped
}

// job is the work on one tenant while it runs.
type job struct {
	index   int
	started time.Time
	log     *tenantLog
	own     context.Context
	release context.CancelFunc
}

// elapsed is how long it has run, without its waits.
func (j *job) elapsed() time.Duration { return time.Since(j.started) - deadline.Paused(j.own) }

// phase works on the tenants from index low up to, not including, high, and skips those that it may not start.
func (e *engine) phase(ctx context.Context, low, high int) {
	if low == high {
		return
	}
	e.mu.Lock()
	e.upcoming, e.end = low, high
	e.mu.Unlock()

	var workers sync.WaitGroup
	for range max(1, min(e.options.Concurrency, high-low)) {
		workers.Go(func() {
			for {
				j := e.next(ctx)
				if j == nil {
					return
				}
				e.work(ctx, j)
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		grace := e.options.Grace
		if grace == 0 {
			grace = defaultGrace
		}
		select {
		case <-done:
		case <-time.After(grace):
		}
	}
	e.endPhase(ctx, low, high)
}

// next returns the job of the next tenant, which work releases; nil if no further tenant is to be started.
func (e *engine) next(ctx context.Context) *job {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checkCancel(ctx)
	if e.stop != nil || e.upcoming == e.end {
		return nil
	}
	j := &job{index: e.upcoming, started: time.Now(), log: &tenantLog{}}
	j.own, j.release = e.bound(ctx)
	e.upcoming++
	e.results[j.index].Started, e.running[j.index] = j.started, j
	return j
}

// checkCancel stops the run if its context has ended. It is called before any other reason to stop is looked at: a
// cancel makes running jobs fail, and those failures must not be blamed. The caller holds e.mu.
func (e *engine) checkCancel(ctx context.Context) {
	if e.stop == nil && ctx.Err() != nil {
		e.stop = &stop{reason: context.Cause(ctx)}
	}
}

// work runs the job on one tenant and records the result.
func (e *engine) work(ctx context.Context, j *job) {
	defer j.release()
	i, own, log := j.index, j.own, j.log
	t := e.plan.Tenants[i]
	e.options.Observer.Started(t)
	outcome, err := e.call(own, t, log)

	r := Result{Tenant: t, Outcome: outcome, Started: j.started, Elapsed: j.elapsed()}
	switch {
	case err != nil && ctx.Err() != nil && deadline.OnlyWaited(own):
		r = Result{Tenant: t, State: Skipped, Err: fmt.Errorf("not started: %w", context.Cause(ctx))}
	case errors.As(err, new(*NotStarted)):
		r = Result{Tenant: t, State: Skipped, Err: log.redactError(err)}
	case err != nil:
		r.State, r.Err = Failed, log.redactError(err)
	case outcome.Unchanged:
		r.State = Unchanged
	default:
		r.State = Succeeded
	}
	r.Wave, r.Outcome.Note = e.plan.Waves.Number(i), log.redact(r.Outcome.Note)
	r.Outcome.Warnings = slices.Clone(r.Outcome.Warnings) // the job may have returned the same slice for every tenant
	for n, w := range r.Outcome.Warnings {
		r.Outcome.Warnings[n] = log.redact(w)
	}
	if !e.record(ctx, i, r) {
		return
	}
	r.Log = log.bytes()
	e.options.Observer.Finished(r)
}

// bound limits a tenant's time. Waiting for an API's rate limit or for other workers, which all tenants share, does not
// count.
func (e *engine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	d := e.options.TenantTimeout
	return deadline.Context(ctx, d, WithRemedy(
		fmt.Errorf("stopped after the tenant-timeout of %s", words.Setting(d)),
		"see in the tenant's log what it was waiting for; raise tenant-timeout if the work really takes longer"))
}

// call calls the plan's job, and turns a panic into that tenant's error.
func (e *engine) call(ctx context.Context, t Tenant, log *tenantLog) (o Outcome, err error) {
	logger := slog.New(&logHandler{log: log})
	defer func() {
		if p := recover(); p != nil {
			logger.Error("panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = WithRemedy(fmt.Errorf("internal error: %v", p), reportBug+" with this tenant's log")
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}()
	return e.plan.Job(ctx, t, logger)
}

// record stores a result and stops the run if too many tenants have failed. It reports whether the result still
// counts.
func (e *engine) record(ctx context.Context, i int, r Result) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.abandoned {
		return false
	}
	e.checkCancel(ctx)
	e.results[i] = r
	delete(e.running, i)
	if r.State == Failed {
		e.failures++
		e.checkFailures()
	}
	return true
}

// checkFailures stops the run if more tenants have failed than may. The caller holds e.mu.
func (e *engine) checkFailures() {
	limit := e.options.MaxFailures
	if e.stop == nil && limit.exceeded(e.failures, e.planned) {
		e.stop = &stop{reason: fmt.Errorf("%d of %s failed, more than max-failures (%s) allows",
			e.failures, words.Count(e.planned, "tenant", "tenants"), limit)}
	}
}

// endPhase gives a state to every tenant of the phase that has none: failed if its job did not stop in time, skipped if
// it was never started.
func (e *engine) endPhase(ctx context.Context, low, high int) {
	e.mu.Lock()
	e.checkCancel(ctx)
	var ended []Result
	for i := low; i < high; i++ {
		r := &e.results[i]
		if r.State != "" {
			continue
		}
		if r.Started.IsZero() {
			r.State, r.Err = Skipped, e.stop.skip(e.late)
			ended = append(ended, *r)
			continue
		}
		e.abandoned = true
		r.State, r.Elapsed = Failed, e.running[i].elapsed()
		r.Err = fmt.Errorf("%w; its job did not stop in time and was abandoned, so the tenant's state is unknown",
			context.Cause(ctx))
		withLog := *r
		withLog.Log = e.running[i].log.bytes()
		ended = append(ended, withLog)
	}
	e.mu.Unlock()
	for _, r := range ended {
		e.options.Observer.Finished(r)
	}
}

// NotStarted is the error of a job that did nothing, because of something that concerns the run and not this tenant.
// The tenant is skipped.
type NotStarted struct{ Reason string }

func (e *NotStarted) Error() string { return "not started: " + e.Reason }

// discard is the observer of a run that nobody watches.
type discard struct{}

func (discard) Started(Tenant)    {}
func (discard) Finished(Result)   {}
func (discard) WaveEnded(WaveEnd) {}
