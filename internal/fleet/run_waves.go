package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/words"
)

// waves runs the plan's waves one after the other, and skips the tenants beyond the last.
func (e *engine) waves(ctx context.Context) []WaveResult {
	ends := make([]WaveResult, len(e.plan.Waves))
	low := 0
	for i, w := range e.plan.Waves {
		ends[i].Wave = w
		high := low + w.Size
		reached := e.reach(ctx, i)
		if reached {
			ends[i].Started = time.Now()
		}
		e.phase(ctx, low, high)
		if reached {
			ends[i].Elapsed = time.Since(ends[i].Started)
			e.endWave(ctx, i, low, high, ends[i])
		}
		low = high
	}
	e.mu.Lock()
	e.stop, e.late = &stop{reason: fmt.Errorf("beyond the last wave of waves (%s)", e.plan.Waves[len(ends)-1].Until)}, ""
	e.mu.Unlock()
	e.endPhase(ctx, low, len(e.plan.Tenants))
	return ends
}

// reach reports whether the wave at this index may start, and otherwise notes that its tenants come too late.
func (e *engine) reach(ctx context.Context, i int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.checkCancel(ctx)
	if e.stop == nil {
		return true
	}
	if i > 0 {
		e.late = fmt.Sprintf("wave %d of %d", i+1, len(e.plan.Waves))
	}
	return false
}

// endWave decides whether the wave that has the tenants from low to high holds back the next, announces its end, and
// pauses.
func (e *engine) endWave(ctx context.Context, i, low, high int, result WaveResult) {
	end := WaveEnd{WaveResult: result, Number: i + 1, Of: len(e.plan.Waves), Results: e.results[low:high]}
	e.mu.Lock()
	if e.checkCancel(ctx); e.stop == nil {
		e.stop = e.gate(end, high)
	}
	end.Stopped = e.stop != nil
	e.mu.Unlock()
	if !end.Stopped && high > low && high < e.planned {
		end.Pause = e.plan.Pause
	}
	changed := slices.ContainsFunc(end.Results, func(r Result) bool { return r.State != Unchanged })
	if end.Pause > 0 && !changed {
		end.Pause, end.Needless = 0, true
	}
	e.options.Observer.WaveEnded(end)
	if end.Pause > 0 {
		timer := time.NewTimer(end.Pause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// gate returns why the wave that ended holds back the next; nil if it does not. All canaries must succeed. Of any other
// wave, none may have failed unless max-failures allows it. A percentage is then one of the tenants so far, as if the
// run ended here: one of the whole fleet would hardly ever be exceeded by a small first wave. The caller holds e.mu.
func (e *engine) gate(end WaveEnd, soFar int) *stop {
	var failed, skipped []Result
	for _, r := range end.Results {
		switch r.State {
		case Failed:
			failed = append(failed, r)
		case Skipped:
			skipped = append(skipped, r)
		}
	}
	limit := e.options.MaxFailures
	because := func(format string, args ...any) *stop {
		return &stop{fmt.Errorf("wave %d, "+format, append([]any{end.Number}, args...)...), true}
	}
	switch bad := len(failed) + len(skipped); {
	case end.Canary && bad == 1:
		return because("where the canary %s did not succeed", append(failed, skipped...)[0].Tenant.Name)
	case end.Canary && bad > 1:
		return because("where %d canaries did not succeed: %s", bad,
			words.ListFunc(append(failed, skipped...), 3, func(r Result) string { return r.Tenant.Name }))
	case limit.exceeded(e.failures, soFar):
		return because("by the end of which %d of %s had failed, more than max-failures (%s) allows", e.failures,
			words.Count(soFar, "tenant", "tenants"), limit)
	case !limit.set && len(failed) > 0:
		return because("where %d of %d failed", len(failed), end.Size)
	case len(skipped) > 0:
		return because("where %d of %d did not start: %s", len(skipped), end.Size,
			strings.TrimPrefix(skipped[0].Err.Error(), "not started: "))
	}
	return nil
}

// stop is why no further tenant is started.
type stop struct {
	reason error
	// wave is true if the reason is how a wave ended, and begins with its number.
	wave bool
}

// skip is the error of a tenant that is not started: for the reason alone, or because its wave, of the name late, comes
// too late.
func (s *stop) skip(late string) error {
	switch {
	case late == "":
		return fmt.Errorf("not started: %w", s.reason)
	case s.wave:
		return fmt.Errorf("not started: %s waits for %w", late, s.reason)
	}
	return fmt.Errorf("not started: %s: %w", late, s.reason)
}
