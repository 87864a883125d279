package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// crowd makes n tenants.
func crowd(n int) []Tenant {
	out := make([]Tenant, n)
	for i := range out {
		out[i] = Tenant{Name: fmt.Sprintf("Tenant %d", i), ID: fmt.Sprintf("id-%d", i),
			Key: fmt.Sprintf("tenant-%d", i)}
	}
	return out
}

// witness is an observer that remembers.
type witness struct {
	mu       sync.Mutex
	started  []string
	finished map[string]Result
	twice    []string
	ends     []WaveEnd
	waves    []WaveResult // what Run returned
}

func (w *witness) WaveEnded(end WaveEnd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, end)
}

// canaries are the waves of a fleet whose first tenants are canaries; none for no canary.
func canaries(tenants []Tenant, n int) Waves {
	_, waves := WaveSizes{}.Plan(tenants, n)
	return waves
}

func (w *witness) Started(t Tenant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started = append(w.started, t.ID)
}

func (w *witness) Finished(r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finished == nil {
		w.finished = map[string]Result{}
	}
	if _, again := w.finished[r.Tenant.ID]; again {
		w.twice = append(w.twice, r.Tenant.ID)
	}
	w.finished[r.Tenant.ID] = r
}

// observe runs a plan and checks the invariants of every run: one result per tenant in the plan's order, each in one
// state with what belongs to it, and reported to the observer once.
func observe(ctx context.Context, t *testing.T, p Plan, o Options) ([]Result, *witness) {
	t.Helper()
	w := &witness{}
	o.Observer = w
	results, waves := Run(ctx, p, o)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waves = waves
	if len(results) != len(p.Tenants) || len(w.finished) != len(p.Tenants) || len(w.twice) > 0 {
		t.Fatalf("%d tenants, %d results, %d finished, twice: %v", len(p.Tenants), len(results), len(w.finished),
			w.twice)
	}
	for i, r := range results {
		id := p.Tenants[i].ID
		if r.Tenant != p.Tenants[i] || r.Wave != p.Waves.Number(i) || w.finished[id].Wave != r.Wave {
			t.Errorf("result %d is of %s in wave %d, want %s in wave %d", i, r.Tenant.ID, r.Wave, id, p.Waves.Number(i))
		}
		if r.Log != nil {
			t.Errorf("%s: the run holds a log", id)
		}
		if failing := r.State == Failed || r.State == Skipped; failing != (r.Err != nil) {
			t.Errorf("%s is %s with the error %v", id, r.State, r.Err)
		}
		// A skipped one may have been taken up, and then only have waited for an API's rate limit.
		begun := slices.Contains(w.started, id)
		if !begun && r.State != Skipped || r.Started.IsZero() != (r.State == Skipped) {
			t.Errorf("%s is %s, started %v at %v", id, r.State, begun, r.Started)
		}
		if seen := w.finished[id]; seen.State != r.State || seen.Elapsed != r.Elapsed ||
			fmt.Sprint(seen.Err) != fmt.Sprint(r.Err) {
			t.Errorf("%s: the observer got %v, Run returned %v", id, seen, r)
		}
	}
	return results, w
}

// states writes one letter per result, in their order.
func states(results []Result) string {
	var b strings.Builder
	for _, r := range results {
		b.WriteString(string(r.State)[:1])
	}
	return b.String()
}

func reasons(results []Result, state State) []string {
	var out []string
	for _, r := range results {
		if r.State == state && !slices.Contains(out, r.Err.Error()) {
			out = append(out, r.Err.Error())
		}
	}
	return out
}

func TestRunIsBoundedAndOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, concurrency = 200, 7
		var mu sync.Mutex
		running, most := 0, 0
		job := func(context.Context, Tenant, *slog.Logger) (Outcome, error) {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Duration(1+rand.IntN(1000)) * time.Millisecond)
			mu.Lock()
			running--
			mu.Unlock()
			return Outcome{}, nil
		}
		_, w := observe(t.Context(), t, Plan{Tenants: crowd(n), Job: job}, Options{Concurrency: concurrency})
		if most != concurrency {
			t.Errorf("%d at once, want %d", most, concurrency)
		}
		for i, id := range w.started { // workers that wake at the same instant may swap places
			var number int
			if _, err := fmt.Sscanf(id, "id-%d", &number); err != nil || number > i+concurrency ||
				number < i-concurrency {
				t.Errorf("%s was started as number %d", id, i)
			}
		}
	})
}

func TestRunKeepsEveryWorkerBusy(t *testing.T) {
	for _, test := range []struct {
		tenants, concurrency int
		want                 time.Duration
	}{
		{0, 4, 0}, {1, 4, time.Second}, {4, 4, time.Second}, {5, 4, 2 * time.Second}, {100, 7, 15 * time.Second},
		{3, 0, 3 * time.Second}, {3, -1, 3 * time.Second}, {3, 1000, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			results, _ := observe(t.Context(), t, Plan{Tenants: crowd(test.tenants), Job: sleep(time.Second)},
				Options{Concurrency: test.concurrency})
			if got := time.Since(start); got != test.want {
				t.Errorf("%d tenants, %d at once, took %s, want %s", test.tenants, test.concurrency, got, test.want)
			}
			for _, r := range results {
				if r.State != Succeeded || r.Elapsed != time.Second {
					t.Errorf("%s: %s after %s", r.Tenant.ID, r.State, r.Elapsed)
				}
			}
		})
	}
}

// sleep is a job that takes d and obeys its context.
func sleep(d time.Duration) Job {
	return func(ctx context.Context, _ Tenant, _ *slog.Logger) (Outcome, error) {
		select {
		case <-time.After(d):
			return Outcome{}, nil
		case <-ctx.Done():
			return Outcome{}, ctx.Err()
		}
	}
}

// failing is a job that fails on the tenants with these numbers.
func failing(numbers ...int) Job {
	return func(_ context.Context, t Tenant, _ *slog.Logger) (Outcome, error) {
		var n int
		if _, err := fmt.Sscanf(t.ID, "id-%d", &n); err != nil {
			return Outcome{}, err
		}
		if slices.Contains(numbers, n) {
			return Outcome{}, errors.New("broken")
		}
		return Outcome{Unchanged: n%2 == 1}, nil
	}
}

func TestRunCanary(t *testing.T) {
	for _, test := range []struct {
		name   string
		canary int
		job    Job
		want   string
		reason []string
	}{
		{"none", 0, failing(0), "fususu", nil},
		{"succeed, one with nothing to do", 2, failing(), "sususu", nil},
		{"one fails", 3, failing(1), "sfssss",
			[]string{"not started: wave 2 of 2 waits for wave 1, where the canary Tenant 1 did not succeed"}},
		{"all fail", 3, failing(0, 1, 2), "fffsss",
			[]string{"not started: wave 2 of 2 waits for wave 1, where 3 canaries did not succeed: " +
				"Tenant 0, Tenant 1, Tenant 2"}},
		{"a later one fails", 2, failing(4), "susufu", nil},
		{"all are canaries", 6, failing(0), "fususu", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			results, w := observe(t.Context(), t, Plan{Tenants: crowd(6), Waves: canaries(crowd(6), test.canary), Job: test.job},
				Options{Concurrency: 3})
			got := ""
			for _, r := range results {
				if r.State == Skipped {
					got += "s"
					continue
				}
				got += string(r.State)[:1]
			}
			if got != test.want {
				t.Errorf("ended as %s, want %s", got, test.want)
			}
			if diff := cmp.Diff(test.reason, reasons(results, Skipped)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			if test.reason != nil && len(w.started) != test.canary {
				t.Errorf("%d were started, want the %d canaries", len(w.started), test.canary)
			}
		})
	}
}

func TestRunStartsOthersAfterTheSlowestCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		job := func(_ context.Context, tenant Tenant, _ *slog.Logger) (Outcome, error) {
			switch tenant.ID {
			case "id-0":
				time.Sleep(time.Minute)
			case "id-1":
			default:
				if since := time.Since(start); since < time.Minute {
					t.Errorf("%s was started after %s, while a canary ran", tenant.ID, since)
				}
			}
			return Outcome{}, nil
		}
		observe(t.Context(), t, Plan{Tenants: crowd(9), Waves: canaries(crowd(9), 2), Job: job}, Options{Concurrency: 8})
	})
}
