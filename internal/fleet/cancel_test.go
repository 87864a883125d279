package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/deadline"
)

func TestRunCancel(t *testing.T) {
	ended := errors.New("cancelled by interrupt")
	const running = "cancelled by interrupt: context canceled"
	limit, err := ParseLimit("0")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name        string
		plan        Plan
		options     Options
		after, took time.Duration
		want        string // states; x is skipped
		failed      []string
	}{
		{"before it begins", Plan{Job: sleep(time.Second)}, Options{Concurrency: 2}, 0, 0, "xxxxxx", nil},
		{"while some run", Plan{Job: sleep(time.Second)}, Options{Concurrency: 2}, 1500 * time.Millisecond,
			1500 * time.Millisecond, "ssffxx", []string{running}},
		// The failures that the cancel causes are not the reason.
		{"with max-failures", Plan{Job: sleep(time.Second)}, Options{Concurrency: 2, MaxFailures: limit},
			500 * time.Millisecond, 500 * time.Millisecond, "ffxxxx", []string{running}},
		{"while the canary runs", Plan{Job: sleep(time.Second), Waves: canaries(crowd(6), 3)}, Options{Concurrency: 8},
			500 * time.Millisecond, 500 * time.Millisecond, "fffxxx", []string{running}},
		{
			"with jobs that need a while to end",
			Plan{Job: func(ctx context.Context, _ Tenant, _ *slog.Logger) (Outcome, error) {
				<-ctx.Done()
				time.Sleep(4 * time.Second)
				return Outcome{}, errors.New("rolled back")
			}},
			Options{Concurrency: 6}, time.Second, 5 * time.Second, "ffffff",
			[]string{"cancelled by interrupt: rolled back"},
		},
		{"after the end", Plan{Job: sleep(time.Second)}, Options{Concurrency: 6}, 2 * time.Second, time.Second,
			"ssssss", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if test.after == 0 {
					cancel(ended)
				}
				time.AfterFunc(test.after, func() { cancel(ended) })
				start := time.Now()
				test.plan.Tenants = crowd(6)
				results, _ := observe(ctx, t, test.plan, test.options)
				if took := time.Since(start); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				got := ""
				for _, r := range results {
					if r.State == Skipped {
						got += "x"
						if !errors.Is(r.Err, ended) || r.Err.Error() != notStarted(r) {
							t.Errorf("%s was skipped: %v", r.Tenant.ID, r.Err)
						}
						continue
					}
					got += string(r.State)[:1]
				}
				if got != test.want {
					t.Errorf("ended as %s, want %s", got, test.want)
				}
				if diff := cmp.Diff(test.failed, reasons(results, Failed)); diff != "" {
					t.Errorf("errors (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// notStarted is why a tenant was not started before an interrupt.
func notStarted(r Result) string {
	if r.Wave == 2 {
		return "not started: wave 2 of 2: cancelled by interrupt"
	}
	return "not started: cancelled by interrupt"
}

func TestRunGivesUpOnJobsThatIgnoreTheirContext(t *testing.T) {
	for _, grace := range []time.Duration{0, 2 * time.Second} {
		for _, canary := range []int{0, 2} {
			t.Run(fmt.Sprintf("grace %s canary %d", grace, canary), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					time.AfterFunc(time.Second, func() { cancel(errors.New("cancelled by interrupt")) })
					var late atomic.Int32
					job := func(_ context.Context, _ Tenant, log *slog.Logger) (Outcome, error) {
						log.Info("hanging")
						time.Sleep(time.Hour)
						log.Info("still there")
						late.Add(1)
						return Outcome{Note: "late"}, errors.New("late")
					}
					want := time.Second + 5*time.Second
					if grace > 0 {
						want = time.Second + grace
					}
					start := time.Now()
					plan := Plan{Tenants: crowd(5), Waves: canaries(crowd(5), canary), Job: job}
					results, w := observe(ctx, t, plan, Options{Concurrency: 2, Grace: grace})
					if took := time.Since(start); took != want {
						t.Errorf("took %s, want %s", took, want)
					}
					check := func() {
						if got := states(results); got != "ffsss" {
							t.Errorf("ended as %s, want ffsss", got)
						}
						for _, r := range results[:2] {
							wantErr := "cancelled by interrupt; its job did not stop in time and was abandoned, " +
								"so the tenant's state is unknown"
							if r.State != Failed || r.Err.Error() != wantErr || r.Elapsed != want ||
								r.Outcome.Note != "" {
								t.Errorf("%s is %s after %s: %v", r.Tenant.ID, r.State, r.Elapsed, r.Err)
							}
						}
						for _, r := range results[2:] {
							if r.State != Skipped || r.Err.Error() != notStarted(r) {
								t.Errorf("%s is %s: %v", r.Tenant.ID, r.State, r.Err)
							}
						}
					}
					check()
					if log := string(w.finished["id-0"].Log); !strings.HasSuffix(log, " hanging\n") {
						t.Errorf("what it hung on is lost: %q", log)
					}
					time.Sleep(2 * time.Hour)
					synctest.Wait()
					if n := late.Load(); n != 2 {
						t.Errorf("%d jobs ended late, want 2", n)
					}
					check() // with the race detector, too: nothing writes to the results any more
					if len(w.twice) > 0 || len(w.started) != 2 {
						t.Errorf("finished twice: %v, started: %v", w.twice, w.started)
					}
				})
			})
		}
	}
}

// The time of a job that is abandoned is without its waits too.
func TestAnAbandonedJobsTimeIsWithoutItsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		job := func(ctx context.Context, _ Tenant, _ *slog.Logger) (Outcome, error) {
			resume := deadline.Pause(ctx)
			time.Sleep(time.Hour - time.Second)
			resume(true)
			time.Sleep(time.Hour)
			return Outcome{}, nil
		}
		results, _ := Run(ctx, Plan{Tenants: crowd(1), Job: job}, Options{Grace: time.Second})
		if r := results[0]; r.State != Failed || r.Elapsed != 2*time.Second {
			t.Errorf("%s after %s", r.State, r.Elapsed)
		}
		time.Sleep(2 * time.Hour)
	})
}
