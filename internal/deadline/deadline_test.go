package deadline_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
)

var errLate = errors.New("late")

// Time that passes in pauses does not count, also if several of them overlap.
func TestPausesDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := deadline.Context(t.Context(), 10*time.Second, errLate)
		defer cancel()
		time.Sleep(6 * time.Second)
		first := deadline.Pause(ctx)
		time.Sleep(time.Hour)
		second := deadline.Pause(ctx)
		first(true)
		time.Sleep(time.Hour)
		if got := deadline.Paused(ctx); got != 2*time.Hour {
			t.Errorf("paused for %s", got)
		}
		second(false)
		time.Sleep(3 * time.Second)
		if left, ok := deadline.Left(ctx); left != time.Second || !ok || ctx.Err() != nil {
			t.Errorf("%s left, %v", left, ctx.Err())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if cause := context.Cause(ctx); !errors.Is(cause, errLate) || !errors.Is(cause, context.DeadlineExceeded) ||
			cause.Error() != "late" || deadline.Paused(ctx) != 2*time.Hour {
			t.Errorf("%v, paused for %s", context.Cause(ctx), deadline.Paused(ctx))
		}
	})
}

func TestWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := deadline.Context(t.Context(), time.Second, errLate)
		defer cancel()
		derived, stop := context.WithCancel(ctx)
		defer stop()
		<-derived.Done()
		if <-ctx.Done(); derived.Err() != context.DeadlineExceeded || ctx.Err() != context.DeadlineExceeded {
			t.Errorf("%v, derived %v", ctx.Err(), derived.Err())
		}
		if !errors.Is(context.Cause(ctx), errLate) || deadline.OnlyWaited(ctx) || deadline.Paused(ctx) != 0 {
			t.Errorf("%v", context.Cause(ctx))
		}
	})
}

func TestUnlimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := deadline.Context(t.Context(), 0, errLate)
		deadline.Pause(ctx)(true)
		time.Sleep(1000 * time.Hour)
		if _, ok := deadline.Left(ctx); ok || ctx.Err() != nil {
			t.Errorf("it is bounded: %v", ctx.Err())
		}
		cancel()
		if <-ctx.Done(); !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(context.Cause(ctx), context.Canceled) {
			t.Errorf("%v, %v", ctx.Err(), context.Cause(ctx))
		}
	})
}

func TestOnlyWaited(t *testing.T) {
	ctx, cancel := deadline.Context(t.Context(), time.Hour, errLate)
	defer cancel()
	inner, stop := context.WithCancel(ctx)
	defer stop()
	if deadline.OnlyWaited(inner) {
		t.Error("it has not begun to wait")
	}
	deadline.Pause(inner)(false)
	if !deadline.OnlyWaited(inner) {
		t.Error("it has waited in vain")
	}
	deadline.Pause(inner)(true)
	deadline.Pause(inner)(false)
	if deadline.OnlyWaited(inner) {
		t.Error("once it got what it waited for")
	}
	deadline.TurnAway(inner)
	if !deadline.OnlyWaited(inner) {
		t.Error("it was turned away after it had got something to begin with")
	}
	deadline.Change(inner)
	if deadline.OnlyWaited(inner) {
		t.Error("it has changed something")
	}
}

// The nearer of a clock and a Deadline counts, and a context without either is not bounded.
func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if _, ok := deadline.Left(t.Context()); ok {
			t.Error("nothing bounds it")
		}
		outer, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if left, ok := deadline.Left(outer); left != 5*time.Second || !ok {
			t.Errorf("%s, %v", left, ok)
		}
		for d, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Minute: 5 * time.Second} {
			ctx, stop := deadline.Context(outer, d, errLate)
			if left, ok := deadline.Left(ctx); left != want || !ok {
				t.Errorf("%s: %s, %v", d, left, ok)
			}
			stop()
		}
		deadline.Pause(t.Context())(true) // does nothing
		ctx, stop := deadline.Context(t.Context(), time.Second, errLate)
		defer stop()
		after := deadline.Unbounded(context.WithoutCancel(ctx))
		if left, ok := deadline.Left(after); ok {
			t.Errorf("what goes on after the work has %s", left)
		}
		inner, stop := deadline.Context(after, time.Hour, errLate)
		defer stop()
		if left, ok := deadline.Left(inner); left != time.Hour || !ok {
			t.Errorf("work of its own, after that, has %s, %v", left, ok)
		}
		<-ctx.Done()
		if left, ok := deadline.Left(after); ok {
			t.Errorf("what goes on after the work has %s", left)
		}
		after, cancel = context.WithTimeout(after, time.Minute)
		defer cancel()
		if left, ok := deadline.Left(after); left != time.Minute || !ok {
			t.Errorf("what goes on after the work has %s, %v", left, ok)
		}
	})
}
