package grace_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
)

var errInterrupted = errors.New("interrupted")

func TestEndsAfterItsParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		parent, interrupt := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
		late, cancel := grace.Context(parent, 3*time.Second)
		defer cancel()
		time.Sleep(time.Hour)
		if late.Err() != nil || late.Value(key{}) != "value" {
			t.Errorf("while its parent lives: %v, value %v", late.Err(), late.Value(key{}))
		}
		interrupt(errInterrupted)
		time.Sleep(3*time.Second - time.Nanosecond)
		synctest.Wait()
		if late.Err() != nil {
			t.Errorf("ended early: %v", late.Err())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if !errors.Is(late.Err(), context.Canceled) || !errors.Is(context.Cause(late), errInterrupted) {
			t.Errorf("ended with %v, cause %v", late.Err(), context.Cause(late))
		}
	})
}

func TestOutlivesADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		late, cancel := grace.Context(parent, 3*time.Second)
		defer cancel()
		if deadline, ok := late.Deadline(); ok {
			t.Errorf("it has the deadline %s", deadline)
		}
		start := time.Now()
		<-late.Done()
		if took := time.Since(start); took != 4*time.Second || !errors.Is(context.Cause(late), context.DeadlineExceeded) {
			t.Errorf("ended after %s with %v", took, context.Cause(late))
		}
	})
}

func TestCountsFromNowIfTheParentHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, interrupt := context.WithCancelCause(t.Context())
		interrupt(errInterrupted)
		time.Sleep(time.Hour)
		late, cancel := grace.Context(parent, 3*time.Second)
		defer cancel()
		start := time.Now()
		<-late.Done()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("ended after %s", took)
		}
	})
}

func TestAsksForThePeriodWhenTheParentEnds(t *testing.T) {
	for period, name := range map[time.Duration]string{5 * time.Second: "some", 0: "none"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				parent, interrupt := context.WithCancel(t.Context())
				late, cancel := grace.ContextFunc(parent, func() time.Duration { asked++; return period })
				defer cancel()
				time.Sleep(time.Hour)
				synctest.Wait()
				before := asked
				interrupt()
				start := time.Now()
				<-late.Done()
				if took := time.Since(start); before != 0 || asked != 1 || took != period {
					t.Errorf("asked %d times, %d of them early; ended after %s", asked, before, took)
				}
			})
		})
	}
}

// The bubble would report a goroutine or a timer that outlives the cancellation.
func TestCancelEndsItAtOnce(t *testing.T) {
	for _, test := range []struct {
		name        string
		interrupted bool
		cause       error
	}{
		{"before its parent ends", false, context.Canceled},
		{"in the grace period", true, errInterrupted},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, interrupt := context.WithCancelCause(t.Context())
				defer interrupt(nil)
				late, cancel := grace.Context(parent, time.Hour)
				if test.interrupted {
					interrupt(errInterrupted)
					time.Sleep(time.Minute)
				}
				cancel()
				if !errors.Is(late.Err(), context.Canceled) || !errors.Is(context.Cause(late), test.cause) {
					t.Errorf("ended with %v, cause %v", late.Err(), context.Cause(late))
				}
			})
		})
	}
}
