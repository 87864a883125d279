package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// inWaves is a plan of tenants that are in waves of these sizes; the sum may leave some out.
func inWaves(n int, job Job, sizes ...int) Plan {
	p := Plan{Tenants: crowd(n), Job: job}
	for _, size := range sizes {
		p.Waves = append(p.Waves, Wave{Size: size, Until: fmt.Sprint(size)})
	}
	return p
}

// letters writes one letter per result, in their order; x is skipped.
func letters(results []Result) string {
	out := ""
	for _, r := range results {
		if r.State == Skipped {
			out += "x"
			continue
		}
		out += string(r.State)[:1]
	}
	return out
}

func limitOf(t *testing.T, text string) Limit {
	t.Helper()
	if text == "" {
		return Limit{}
	}
	l, err := ParseLimit(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWavesStop(t *testing.T) {
	notStarted := func(_ context.Context, tenant Tenant, _ *slog.Logger) (Outcome, error) {
		if tenant.ID == "id-1" {
			return Outcome{}, &NotStarted{"the rehearsal of acme failed"}
		}
		return Outcome{}, nil
	}
	for name, test := range map[string]struct {
		plan    Plan
		limit   string
		want    string
		reasons []string
		reached int
	}{
		"all succeed": {plan: inWaves(6, failing(), 1, 2, 3), want: "sususu", reached: 3},
		"one fails": {plan: inWaves(6, failing(1), 1, 2, 3), want: "sfsxxx", reached: 2,
			reasons: []string{"not started: wave 3 of 3 waits for wave 2, where 1 of 2 failed"}},
		"each later wave is told": {plan: inWaves(6, failing(0), 1, 2, 3), want: "fxxxxx", reached: 1,
			reasons: []string{"not started: wave 2 of 3 waits for wave 1, where 1 of 1 failed",
				"not started: wave 3 of 3 waits for wave 1, where 1 of 1 failed"}},
		"a wave goes on to its end": {plan: inWaves(6, failing(1, 3), 1, 4, 1), want: "sfsfsx", reached: 2,
			reasons: []string{"not started: wave 3 of 3 waits for wave 2, where 2 of 4 failed"}},
		"within a count": {plan: inWaves(6, failing(0), 1, 2, 3), limit: "1", want: "fususu", reached: 3},
		"past a count": {plan: inWaves(6, failing(0, 1), 1, 2, 3), limit: "1", want: "ffxxxx", reached: 2,
			reasons: []string{"not started: 2 of 6 tenants failed, more than max-failures (1) allows",
				"not started: wave 3 of 3: 2 of 6 tenants failed, more than max-failures (1) allows"}},
		"a percentage is one of the tenants so far": {plan: inWaves(6, failing(0), 1, 2, 3), limit: "50%",
			want: "fxxxxx", reached: 1, reasons: []string{
				"not started: wave 2 of 3 waits for wave 1, by the end of which 1 of 1 tenant had failed, " +
					"more than max-failures (50%) allows",
				"not started: wave 3 of 3 waits for wave 1, by the end of which 1 of 1 tenant had failed, " +
					"more than max-failures (50%) allows"}},
		"within a percentage":             {plan: inWaves(6, failing(1), 1, 3, 2), limit: "25%", want: "sfsusu", reached: 3},
		"the last wave holds back nobody": {plan: inWaves(6, failing(5), 3, 3), want: "sususf", reached: 2},
		"an empty wave":                   {plan: inWaves(4, failing(), 1, 0, 3), want: "susu", reached: 3},
		"an empty wave behind a failed one": {plan: inWaves(4, failing(0), 1, 0, 3), want: "fxxx", reached: 1,
			reasons: []string{"not started: wave 3 of 3 waits for wave 1, where 1 of 1 failed"}},
		"beyond the last": {plan: inWaves(5, failing(), 1, 2), want: "susxx", reached: 2,
			reasons: []string{"not started: beyond the last wave of waves (2)"}},
		"beyond the last, of which one fails": {plan: inWaves(5, failing(0), 1, 2), want: "fxxxx", reached: 1,
			reasons: []string{"not started: wave 2 of 2 waits for wave 1, where 1 of 1 failed",
				"not started: beyond the last wave of waves (2)"}},
		"max-failures counts those in waves": {plan: inWaves(100, failing(0), 2), limit: "40%", reached: 1,
			want: "fx" + strings.Repeat("x", 98), reasons: []string{
				"not started: 1 of 2 tenants failed, more than max-failures (40%) allows",
				"not started: beyond the last wave of waves (2)"}},
		"a job that is not started": {plan: inWaves(4, notStarted, 2, 2), limit: "1", want: "sxxx", reached: 1,
			reasons: []string{"not started: the rehearsal of acme failed",
				"not started: wave 2 of 2 waits for wave 1, where 1 of 2 did not start: the rehearsal of acme failed"}},
		"no tenants": {plan: inWaves(0, failing(), 0, 0), want: "", reached: 2},
	} {
		t.Run(name, func(t *testing.T) {
			results, w := observe(t.Context(), t, test.plan, Options{MaxFailures: limitOf(t, test.limit)})
			if got := letters(results); got != test.want {
				t.Errorf("ended as %s, want %s", got, test.want)
			}
			if diff := cmp.Diff(test.reasons, reasons(results, Skipped)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
			reached := 0
			for i, wave := range w.waves {
				if !wave.Started.IsZero() {
					reached = i + 1
				}
			}
			if reached != test.reached || len(w.ends) != reached || len(w.waves) != len(test.plan.Waves) {
				t.Errorf("%d of %d waves were reached and %d announced, want %d", reached, len(w.waves), len(w.ends), test.reached)
			}
		})
	}
}

// Canaries must all succeed, whatever max-failures allows.
func TestCanariesAreAWave(t *testing.T) {
	plan := inWaves(6, failing(1), 2, 1, 3)
	plan.Waves[0].Canary = true
	results, _ := observe(t.Context(), t, plan, Options{MaxFailures: limitOf(t, "5")})
	if got := letters(results); got != "sfxxxx" {
		t.Errorf("ended as %s", got)
	}
	want := []string{"not started: wave 2 of 3 waits for wave 1, where the canary Tenant 1 did not succeed",
		"not started: wave 3 of 3 waits for wave 1, where the canary Tenant 1 did not succeed"}
	if diff := cmp.Diff(want, reasons(results, Skipped)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
}

func TestPauses(t *testing.T) {
	const minute = time.Minute
	changing := func(ctx context.Context, _ Tenant, _ *slog.Logger) (Outcome, error) {
		return Outcome{}, sleepFor(ctx, time.Second)
	}
	for name, test := range map[string]struct {
		plan Plan
		took time.Duration
		want []time.Duration // after each wave
	}{
		"between waves, and not after the last": {inWaves(6, changing, 1, 2, 3), 3*time.Second + 2*minute,
			[]time.Duration{minute, minute, 0}},
		"not for an empty wave": {inWaves(4, changing, 1, 0, 3), 2*time.Second + minute,
			[]time.Duration{minute, 0, 0}},
		"not where only empty ones come": {inWaves(1, changing, 1, 0, 0), time.Second, []time.Duration{0, 0, 0}},
		"not for those beyond the last":  {inWaves(5, changing, 1, 2), 2*time.Second + minute, []time.Duration{minute, 0}},
		"not where nothing was changed": {inWaves(4, func(_ context.Context, t Tenant, _ *slog.Logger) (Outcome, error) {
			return Outcome{Unchanged: t.ID != "id-2"}, nil
		}, 2, 1, 1), minute, []time.Duration{0, minute, 0}},
		"not where no further wave starts": {inWaves(4, failing(0), 1, 2, 1), 0, []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				test.plan.Pause = minute
				_, w := observe(t.Context(), t, test.plan, Options{Concurrency: 9, TenantTimeout: 5 * time.Second})
				if took := time.Since(start); took != test.took {
					t.Errorf("took %s, want %s", took, test.took)
				}
				var pauses []time.Duration
				for _, end := range w.ends {
					pauses = append(pauses, end.Pause)
					if end.Elapsed > time.Second {
						t.Errorf("wave %d took %s: the pause counts", end.Number, end.Elapsed)
					}
				}
				if diff := cmp.Diff(test.want, pauses); diff != "" {
					t.Errorf("pauses (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func sleepFor(ctx context.Context, d time.Duration) error {
	_, err := sleep(d)(ctx, Tenant{}, nil)
	return err
}

func TestCancelDuringAPauseEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		time.AfterFunc(time.Minute, func() { cancel(errors.New("cancelled by interrupt")) })
		plan := inWaves(6, failing(), 1, 2, 2)
		plan.Pause = time.Hour
		start := time.Now()
		results, w := observe(ctx, t, plan, Options{})
		if took := time.Since(start); took != time.Minute {
			t.Errorf("took %s", took)
		}
		if got := letters(results); got != "sxxxxx" || len(w.ends) != 1 || !w.waves[1].Started.IsZero() {
			t.Errorf("ended as %s, %d waves reached", got, len(w.ends))
		}
		want := []string{"not started: wave 2 of 3: cancelled by interrupt",
			"not started: wave 3 of 3: cancelled by interrupt", "not started: beyond the last wave of waves (2)"}
		if diff := cmp.Diff(want, reasons(results, Skipped)); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	})
}
