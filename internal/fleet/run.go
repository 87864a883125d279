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
)

const defaultGrace = 5 * time.Second

// Run works on every tenant of the plan and returns one result each, in the plan's order. One tenant's failure touches no
// other. When ctx ends nothing new starts, running jobs see their context end, and Run returns when they have, or after
// the grace; its cause names what ended it. Memory is one result a tenant and one log a worker.
func Run(ctx context.Context, p Plan, o Options) []Result {
	e := &engine{plan: p, options: o, results: make([]Result, len(p.Tenants)), logs: map[int]*tenantLog{}}
	if e.options.Observer == nil {
		e.options.Observer = silent{}
	}
	for i, t := range p.Tenants {
		e.results[i].Tenant = t
	}
	canary := min(p.Canary, len(p.Tenants))
	e.phase(ctx, 0, canary)
	e.judge(canary)
	e.phase(ctx, canary, len(p.Tenants))
	return e.results
}

// engine is one run. mu guards everything below it.
type engine struct {
	plan    Plan
	options Options

	mu       sync.Mutex
	results  []Result
	logs     map[int]*tenantLog // of the tenants that are being worked on
	next     int
	end      int
	failures int
	stop     error // why no further tenant is started
	closed   bool  // the phase has given up on jobs that do not end: late results are dropped
}

// phase works on the tenants from index low up to high with a bounded number of workers, and skips those it may not start.
func (e *engine) phase(ctx context.Context, low, high int) {
	if low == high {
		return
	}
	e.mu.Lock()
	e.next, e.end = low, high
	e.mu.Unlock()

	var workers sync.WaitGroup
	for range max(1, min(e.options.Concurrency, high-low)) {
		workers.Go(func() {
			for {
				i, started, log := e.take(ctx)
				if log == nil {
					return
				}
				e.work(ctx, i, started, log)
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
	e.close(ctx, low, high)
}

// take hands out the next tenant's index, its start and its log; no log where the run is to start no more.
func (e *engine) take(ctx context.Context) (i int, started time.Time, log *tenantLog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heed(ctx)
	if e.stop != nil || e.next == e.end {
		return 0, time.Time{}, nil
	}
	i, started, log = e.next, time.Now(), &tenantLog{}
	e.next++
	e.results[i].Started, e.logs[i] = started, log
	return i, started, log
}

// heed stops the run where its context has ended. It comes before every other reason that the end itself would bring about,
// such as the failures of cancelled jobs. e.mu is held.
func (e *engine) heed(ctx context.Context) {
	if e.stop == nil && ctx.Err() != nil {
		e.stop = fmt.Errorf("not started: %w", context.Cause(ctx))
	}
}

// work runs the job on one tenant and records the result.
func (e *engine) work(ctx context.Context, i int, started time.Time, log *tenantLog) {
	t := e.plan.Tenants[i]
	e.options.Observer.Started(t)

	outcome, err := e.job(ctx, t, log)

	r := Result{Tenant: t, Outcome: outcome, Started: started, Elapsed: time.Since(started)}
	switch {
	case err != nil:
		r.State, r.Err = Failed, log.redactError(err)
	case outcome.Unchanged:
		r.State = Unchanged
	default:
		r.State = Succeeded
	}
	r.Outcome.Note = log.redact(outcome.Note)
	r.Outcome.Warnings = slices.Clone(outcome.Warnings) // the job may have given every tenant the same slice
	for j, w := range r.Outcome.Warnings {
		r.Outcome.Warnings[j] = log.redact(w)
	}
	if !e.record(ctx, i, r) {
		return
	}
	r.Log = log.bytes()
	e.options.Observer.Finished(r)
}

// job calls the plan's job with the tenant's own deadline, and turns a panic into that tenant's error.
func (e *engine) job(ctx context.Context, t Tenant, log *tenantLog) (o Outcome, err error) {
	if d := e.options.TenantTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, d, WithRemedy(
			fmt.Errorf("stopped after the tenant-timeout of %s", d),
			"see in the tenant's log what it was waiting for; raise tenant-timeout where the work really takes longer"))
		defer cancel()
	}
	logger := slog.New(&logHandler{log: log})
	defer func() {
		if p := recover(); p != nil {
			logger.Error("panic", "value", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = WithRemedy(fmt.Errorf("internal error: %v", p), "this is a bug in neon-tenants-action: please report it with this tenant's log")
		}
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}()
	return e.plan.Job(ctx, t, logger)
}

// record stores a result and stops the run where too many have failed. It reports whether the result still counts.
func (e *engine) record(ctx context.Context, i int, r Result) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.heed(ctx)
	e.results[i] = r
	delete(e.logs, i)
	if r.State == Failed {
		e.failures++
		if e.stop == nil && e.options.MaxFailures.Passed(e.failures, len(e.plan.Tenants)) {
			e.stop = fmt.Errorf("not started: %d of %d tenants failed, more than max-failures: %s allows", e.failures, len(e.plan.Tenants), e.options.MaxFailures)
		}
	}
	return true
}

// close gives every tenant of the phase that has no state yet one: failed where its job did not end in time, skipped where
// it was never started.
func (e *engine) close(ctx context.Context, low, high int) {
	e.mu.Lock()
	e.heed(ctx)
	var told []Result
	for i := low; i < high; i++ {
		r := &e.results[i]
		if r.State != "" {
			continue
		}
		if r.Started.IsZero() {
			r.State, r.Err = Skipped, e.stop
			told = append(told, *r)
			continue
		}
		e.closed = true
		r.State, r.Elapsed = Failed, time.Since(r.Started)
		r.Err = fmt.Errorf("%w; its work did not end in time and was given up: its state is not known", context.Cause(ctx))
		given := *r
		given.Log = e.logs[i].bytes()
		told = append(told, given)
	}
	e.mu.Unlock()
	for _, r := range told {
		e.options.Observer.Finished(r)
	}
}

// judge stops the run where a canary did not succeed.
func (e *engine) judge(canaries int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var bad []string
	for _, r := range e.results[:canaries] {
		if r.State != Succeeded && r.State != Unchanged {
			bad = append(bad, r.Tenant.Name)
		}
	}
	switch {
	case len(bad) == 0 || e.stop != nil: // an earlier reason, a cancel for one, stands
	case len(bad) == 1:
		e.stop = fmt.Errorf("not started: the canary %s did not succeed", bad[0])
	default:
		e.stop = fmt.Errorf("not started: %d canaries did not succeed, %s first", len(bad), bad[0])
	}
}

type silent struct{}

func (silent) Started(Tenant)  {}
func (silent) Finished(Result) {}
