package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/deadline"
)

func TestRunKeepsOutcomesAndErrors(t *testing.T) {
	broken := errors.New("broken")
	shared := []string{"out of order"} // the job returns the same slice for every tenant
	job := func(_ context.Context, tenant Tenant, log *slog.Logger) (Outcome, error) {
		log.Info("working", "on", tenant.ID)
		o := Outcome{Note: "2 applied", Warnings: shared, Detail: map[string]int{"applied": 2}}
		switch tenant.ID {
		case "id-1":
			o.Unchanged = true
		case "id-2":
			return o, WithRemedy(fmt.Errorf("migrate: %w", &located{broken}), "fix it")
		}
		return o, nil
	}
	results, w := observe(t.Context(), t, Plan{Tenants: crowd(3), Job: job}, Options{Concurrency: 3})
	if got := states(results); got != "suf" {
		t.Errorf("ended as %s, want suf", got)
	}
	for _, r := range results {
		want := Outcome{Unchanged: r.State == Unchanged, Note: "2 applied", Warnings: []string{"out of order"},
			Detail: map[string]int{"applied": 2}}
		if diff := cmp.Diff(want, r.Outcome); diff != "" {
			t.Errorf("%s's outcome (-want +got):\n%s", r.Tenant.ID, diff)
		}
		if log := string(w.finished[r.Tenant.ID].Log); !strings.HasSuffix(log, " working on="+r.Tenant.ID+"\n") ||
			strings.Count(log, "\n") != 1 {
			t.Errorf("%s's log: %q", r.Tenant.ID, log)
		}
	}
	err := results[2].Err
	if file, line := Location(err); !errors.Is(err, broken) || err.Error() != "migrate: broken" ||
		Remedy(err) != "fix it" || file != "a.sql" || line != 7 {
		t.Errorf("the error lost something: %v, remedy %q, at %s:%d", err, Remedy(err), file, line)
	}
}

func TestRunHidesSecrets(t *testing.T) {
	const url = `postgres://u:p%22w%2F1@host/db`
	forms := []string{url, `p%22w%2F1`, `p"w/1`, `p\"w/1`}
	job := func(_ context.Context, tenant Tenant, log *slog.Logger) (Outcome, error) {
		Hide(log, NewSecret(url))
		said := strings.Join(forms, " ") + fmt.Sprintf(" %q", forms[:3])
		log.Error(said, "attr", said)
		o := Outcome{Note: said, Warnings: []string{"fine", said}}
		switch tenant.ID {
		case "id-0":
			panic(said)
		case "id-1":
			return o, WithRemedy(errors.New(said), said)
		case "id-2":
			return o, &NotStarted{said}
		}
		return o, nil
	}
	results, w := observe(t.Context(), t, Plan{Tenants: crowd(4), Job: job}, Options{})
	for _, r := range results {
		seen := w.finished[r.Tenant.ID]
		text := fmt.Sprint(r.Err, Remedy(r.Err), r.Outcome, seen.Err, seen.Outcome, string(seen.Log))
		for _, form := range forms {
			if strings.Contains(text, form) {
				t.Errorf("%s (%s) gives %s away:\n%s", r.Tenant.ID, r.State, form, text)
			}
		}
		if !strings.Contains(text, "***") {
			t.Errorf("%s: nothing is left at all:\n%s", r.Tenant.ID, text)
		}
	}
}

func TestRunSurvivesPanics(t *testing.T) {
	job := func(_ context.Context, tenant Tenant, log *slog.Logger) (Outcome, error) {
		log.Info("before")
		switch tenant.ID {
		case "id-0":
			panic("boom")
		case "id-1":
			_ = []int{}[len(tenant.ID)]
		case "id-2":
			raise(nil)
		}
		return Outcome{}, nil
	}
	results, w := observe(t.Context(), t, Plan{Tenants: crowd(4), Job: job}, Options{Concurrency: 2})
	for i, want := range []string{
		"internal error: boom",
		"internal error: runtime error: index out of range [4] with length 0",
		"internal error: panic called with nil argument",
	} {
		r := results[i]
		if r.State != Failed || !strings.HasPrefix(r.Err.Error(), want) ||
			!strings.Contains(Remedy(r.Err), "report it") {
			t.Errorf("%s is %s: %v (%s), want %s", r.Tenant.ID, r.State, r.Err, Remedy(r.Err), want)
		}
		if log := string(w.finished[r.Tenant.ID].Log); !strings.Contains(log, " before\n") ||
			!strings.Contains(log, "job_test.go") {
			t.Errorf("the log lacks what came before the panic, or its place:\n%s", log)
		}
	}
	if results[3].State != Succeeded {
		t.Errorf("the panics reached %s: %v", results[3].Tenant.ID, results[3].Err)
	}
}

func raise(v any) { panic(v) }

func TestRunTenantTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		job := func(ctx context.Context, tenant Tenant, log *slog.Logger) (Outcome, error) {
			switch tenant.ID {
			case "id-0": // says what it was doing
				_, err := sleep(time.Hour)(ctx, tenant, log)
				return Outcome{}, fmt.Errorf("apply 1_a.sql: %w", err)
			case "id-1": // says why its context ended
				<-ctx.Done()
				return Outcome{}, fmt.Errorf("wait for the lock: %w", context.Cause(ctx))
			case "id-2": // succeeds in spite of the deadline
				<-ctx.Done()
				return Outcome{}, nil
			}
			return sleep(29*time.Second)(ctx, tenant, log)
		}
		results, _ := observe(t.Context(), t, Plan{Tenants: crowd(4), Job: job},
			Options{Concurrency: 2, TenantTimeout: 30 * time.Second})
		if got := states(results); got != "ffss" {
			t.Errorf("ended as %s, want ffss", got)
		}
		for i, want := range []string{
			"stopped after the tenant-timeout of 30s: apply 1_a.sql: context deadline exceeded",
			"wait for the lock: stopped after the tenant-timeout of 30s",
		} {
			if r := results[i]; r.Err.Error() != want || !strings.Contains(Remedy(r.Err), "raise tenant-timeout") ||
				r.Elapsed != 30*time.Second {
				t.Errorf("%s after %s: %v (%s), want %s", r.Tenant.ID, r.Elapsed, r.Err, Remedy(r.Err), want)
			}
		}
	})
}

// Waiting for an API's rate limit is not the tenant's time: it counts neither towards tenant-timeout nor towards how
// long the tenant took. A tenant that only waited when the run was cancelled is reported as not started.
func TestRunTimeWithoutWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		job := func(ctx context.Context, tenant Tenant, log *slog.Logger) (Outcome, error) {
			resume := deadline.Pause(ctx)
			d := time.Hour
			if tenant.ID == "id-2" {
				d = 10 * time.Hour
			}
			_, err := sleep(d)(ctx, tenant, log)
			resume(err == nil)
			if err != nil {
				return Outcome{}, fmt.Errorf("wait: %w", err)
			}
			if tenant.ID == "id-1" {
				d = 25 * time.Second
			} else {
				d = 15 * time.Second
			}
			return sleep(d)(ctx, tenant, log)
		}
		time.AfterFunc(2*time.Hour, func() { cancel(errors.New("by hand")) })
		results, _ := observe(ctx, t, Plan{Tenants: crowd(3), Job: job},
			Options{Concurrency: 3, TenantTimeout: 20 * time.Second, MaxFailures: Limit{}})
		if r := results[0]; r.State != Succeeded || r.Elapsed != 15*time.Second {
			t.Errorf("the first took %s", r.Elapsed)
		}
		if r := results[1]; !strings.Contains(fmt.Sprint(r.Err), "stopped after the tenant-timeout of 20s") {
			t.Errorf("the second: %v", r.Err)
		}
		if r := results[2]; r.State != Skipped || fmt.Sprint(r.Err) != "not started: by hand" || !r.Started.IsZero() {
			t.Errorf("the third: %v", r.Err)
		}
	})
}

// TestRunIsFlat runs ten thousand trivial jobs: nothing may be allocated for a tenant that waits for a worker.
func TestRunIsFlat(t *testing.T) {
	const n, concurrency = 10_000, 32
	before := runtime.NumGoroutine()
	var most atomic.Int64
	job := func(_ context.Context, _ Tenant, log *slog.Logger) (Outcome, error) {
		if now := int64(runtime.NumGoroutine()); now > most.Load() {
			most.Store(now)
		}
		log.Info("done")
		return Outcome{}, nil
	}
	plan := Plan{Tenants: crowd(n), Waves: canaries(crowd(n), 100), Job: job}
	var start, end runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&start)
	results, _ := Run(t.Context(), plan, Options{Concurrency: concurrency, TenantTimeout: time.Hour})
	runtime.GC()
	runtime.ReadMemStats(&end)
	if got := strings.Count(states(results), "s"); got != n {
		t.Errorf("%d of %d succeeded", got, n)
	}
	if limit := int64(before + concurrency + 4); most.Load() > limit {
		t.Errorf("%d goroutines at once, want at most %d", most.Load(), limit)
	}
	// Bytes kept and allocated per tenant; the race detector adds some.
	const result, job1 = 1 << 10, 8 << 10
	if kept := int64(end.HeapAlloc) - int64(start.HeapAlloc); kept > n*result {
		t.Errorf("%d bytes a tenant are kept, want at most %d", kept/n, result)
	}
	if allocated := end.TotalAlloc - start.TotalAlloc; allocated > n*job1 {
		t.Errorf("%d bytes a tenant were allocated, want at most %d", allocated/n, job1)
	}
	runtime.KeepAlive(plan)
}

// A job that the run has no use for skips its tenant, and is no failure.
func TestNotStartedIsSkipped(t *testing.T) {
	job := func(_ context.Context, tenant Tenant, _ *slog.Logger) (Outcome, error) {
		if tenant.ID == "id-1" {
			return Outcome{}, fmt.Errorf("migrate: %w", &NotStarted{"a rehearsal failed"})
		}
		return Outcome{}, nil
	}
	limit, err := ParseLimit("0")
	if err != nil {
		t.Fatal(err)
	}
	results, _ := observe(t.Context(), t, Plan{Tenants: crowd(3), Job: job}, Options{MaxFailures: limit})
	if results[1].State != Skipped || results[2].State != Succeeded || results[1].Err == nil ||
		!strings.Contains(results[1].Err.Error(), "not started: a rehearsal failed") {
		t.Errorf("%+v", results)
	}
}
