package mode

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
)

// If a server has room for three connections, forty workers find that out and go on three at a time.
func TestWorkersYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room = 3
		var w Workers
		var connected, most, refused atomic.Int64
		var notices sync.Map
		w.Notice = func(text string) { notices.Store(text, true) }
		done := make(chan error, 40)
		for range cap(done) {
			go func() {
				one, err := w.Enter(t.Context(), "h:1")
				if err != nil {
					done <- err
					return
				}
				defer one.Leave()
				for connected.Add(1) > room {
					connected.Add(-1)
					refused.Add(1)
					if again, err := one.Yield(t.Context(), 0); !again {
						done <- err
						return
					}
				}
				most.Store(max(most.Load(), connected.Load()))
				time.Sleep(time.Second)
				connected.Add(-1)
				done <- nil
			}()
		}
		began := time.Now()
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 14*time.Second || refused.Load() == 0 || most.Load() != room {
			t.Errorf("took %s, %d refused, %d at once", took, refused.Load(), most.Load())
		}
		texts := 0
		for text := range notices.Range {
			if texts++; texts > 1 {
				t.Errorf("another notice: %v", text)
			}
		}
		if texts == 0 {
			t.Error("no notice")
		}
	})
}

// A worker that is the only one on its server does not wait, whoever is on other servers.
func TestWorkersYieldToNobody(t *testing.T) {
	var w Workers
	one, _ := w.Enter(t.Context(), "h:1")
	other, _ := w.Enter(t.Context(), "h:2")
	defer other.Leave()
	if again, err := one.Yield(t.Context(), 0); again || err != nil || one.Others() {
		t.Errorf("%v, %v", again, err)
	}
	if alone, err := one.Alone(t.Context()); alone || err != nil {
		t.Errorf("%v, %v", alone, err)
	}
	one.Leave()
	one.Leave()
}

// Workers that want to be alone are so one after another, before newcomers, which then enter together.
func TestWorkersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Workers
		var active atomic.Int64
		alone := func() {
			one, err := w.Enter(t.Context(), "h:1")
			if err != nil {
				t.Error(err)
				return
			}
			defer one.Leave()
			time.Sleep(time.Second) // until all are there
			if ok, err := one.Alone(t.Context()); !ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
			if n := active.Add(1); n != 1 || one.Others() {
				t.Errorf("%d at once", n)
			}
			time.Sleep(time.Second)
			active.Add(-1)
		}
		for range 3 {
			go alone()
		}
		holder, _ := w.Enter(t.Context(), "h:1")
		time.AfterFunc(2*time.Second, holder.Leave)
		time.Sleep(1500 * time.Millisecond)
		began := time.Now()
		newcomer, err := w.Enter(t.Context(), "h:1")
		if err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != 3500*time.Millisecond {
			t.Errorf("a newcomer waited %s", waited)
		}
		newcomer.Leave()
	})
}

// The last of those that stood in each other's way is one of them, although the others have left to wait.
func TestWorkersAloneOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Workers
		one, _ := w.Enter(t.Context(), "h:1")
		two, _ := w.Enter(t.Context(), "h:1")
		first := make(chan bool)
		go func() {
			alone, _ := one.Alone(t.Context())
			again, _ := one.Alone(t.Context())
			first <- alone && !again
			one.Leave()
		}()
		synctest.Wait()
		go func() {
			alone, _ := two.Alone(t.Context())
			first <- alone
			two.Leave()
		}()
		for range 2 {
			if !<-first {
				t.Error("it was not alone, or more than once")
			}
		}
	})
}

// Whoever is cancelled before it began has only waited.
func TestWorkersThatOnlyWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Workers
		one, _ := w.Enter(t.Context(), "h:1")
		two, _ := w.Enter(t.Context(), "h:1")
		ctx, cancel := context.WithCancel(t.Context())
		own, release := deadline.Context(ctx, time.Minute, errors.New("late"))
		defer release()
		time.AfterFunc(time.Hour, cancel)
		if again, err := two.Yield(own, 0); again || err == nil || !deadline.OnlyWaited(own) {
			t.Errorf("%v, %v, only waited: %v", again, err, deadline.OnlyWaited(own))
		}
		one.Leave()
	})
}

// What was read from an API before, such as a connection string, begins nothing; what was written there does, and so
// does work on the server.
func TestWorkersThatPreparedAndWaited(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(context.Context)
		wait    func(context.Context, *Worker) error
		only    bool
	}{
		"an answer": {func(ctx context.Context) { deadline.Pause(ctx)(true) }, yield, true},
		"a change":  {deadline.Change, yield, false},
		"a migration that was rolled back": {func(ctx context.Context) { deadline.Pause(ctx)(true) },
			func(ctx context.Context, w *Worker) error {
				_, err := w.Alone(ctx)
				return err
			}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w Workers
				one, _ := w.Enter(t.Context(), "h:1")
				two, _ := w.Enter(t.Context(), "h:1")
				ctx, cancel := context.WithCancel(t.Context())
				own, release := deadline.Context(ctx, time.Minute, errors.New("late"))
				defer release()
				time.AfterFunc(time.Hour, cancel)
				c.prepare(own)
				if err := c.wait(own, two); err == nil || deadline.OnlyWaited(own) != c.only {
					t.Errorf("%v, only waited: %v", err, deadline.OnlyWaited(own))
				}
				one.Leave()
			})
		})
	}
}

func yield(ctx context.Context, w *Worker) error {
	_, err := w.Yield(ctx, 0)
	return err
}

// Whoever is cancelled while waiting keeps nobody else waiting.
func TestWorkersCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w Workers
		holder, _ := w.Enter(t.Context(), "h:1")
		one, _ := w.Enter(t.Context(), "h:1")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("enough")) })
		newcomer := make(chan time.Duration, 1)
		go func() {
			time.Sleep(time.Millisecond)
			began := time.Now()
			n, _ := w.Enter(t.Context(), "h:1")
			defer n.Leave()
			newcomer <- time.Since(began)
		}()
		if alone, err := one.Alone(ctx); alone || err == nil || err.Error() != "wait for other workers of this run: enough" {
			t.Errorf("%v, %v", alone, err)
		}
		one.Leave()
		if waited := <-newcomer; waited != 999*time.Millisecond {
			t.Errorf("a newcomer waited %s", waited)
		}
		holder.Leave()
	})
}
