package httpx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/deadline"
	"github.com/org/neon-tenants-action/internal/grace"
)

// Neon's limits, less the margin that internal/neon keeps.
var (
	perMinute = Limit{690, time.Minute}
	perSecond = Limit{40, time.Second}
)

// flood makes n calls of one route with so many workers and returns how long they took.
func flood(t *testing.T, client *http.Client, workers, n int, path func(i int) string) time.Duration {
	t.Helper()
	start := time.Now()
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				resp, err := get(WithRoute(t.Context(), "GET /x/{}"), client, path(i))
				if err != nil {
					t.Errorf("call %d: %v", i, err)
					return
				}
				if resp.StatusCode != http.StatusOK {
					t.Errorf("call %d: status %d, %s", i, resp.StatusCode, gaveUp(resp))
				}
				_ = resp.Body.Close()
			}
		})
	}
	group.Wait()
	return time.Since(start)
}

func numbered(i int) string { return fmt.Sprintf("/x/%d", i) }

func TestLimitsHoldHoweverLongCallsAreOnTheirWay(t *testing.T) {
	for _, test := range []struct {
		name         string
		workers      int
		wayMax, work time.Duration
		under        time.Duration
	}{
		// 690 in the first minute and 690 in the second; the remaining 120 take 3 s at 40 a second.
		{"at once", 32, 0, time.Millisecond, 126 * time.Second},
		{"jittery", 64, 300 * time.Millisecond, 100 * time.Millisecond, 145 * time.Second},
		// 16 workers can't do more than 16 calls in 900 ms.
		{"slow", 16, 0, 900 * time.Millisecond, 160 * time.Second},
		{"slower than a route's window", 200, 1900 * time.Millisecond, 3 * time.Second, 240 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen arrivals
				transport := serve(t, func(http.ResponseWriter, *http.Request) { seen.add(); time.Sleep(test.work) })
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					if test.wayMax > 0 {
						time.Sleep(rand.N(test.wayMax)) // on the way to the server
					}
					return transport.RoundTrip(r)
				})
				client := New(Options{Account: perMinute, PerRoute: perSecond, Base: base})
				took := flood(t, client.HTTP(), test.workers, 1500, numbered)
				t.Logf("1500 calls in %s; at most %d in a second, %d in a minute", took, seen.most(time.Second),
					seen.most(time.Minute))
				if n := seen.most(time.Second); n > 40 {
					t.Errorf("%d calls arrived in one second", n)
				}
				if n := seen.most(time.Minute); n > 690 {
					t.Errorf("%d calls arrived in one minute", n)
				}
				if took > test.under {
					t.Errorf("took %s, want under %s", took, test.under)
				}
			})
		})
	}
}

func TestAFleetOfAHundredIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen arrivals
		transport := serve(t, func(http.ResponseWriter, *http.Request) { seen.add() })
		client := New(Options{Account: perMinute, PerRoute: perSecond, Base: transport})
		if took := flood(t, client.HTTP(), 32, 100, numbered); took > 2600*time.Millisecond {
			t.Errorf("100 calls took %s at 40 a second", took)
		}
	})
}

func TestRoutesDoNotHoldEachOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := serve(t, func(http.ResponseWriter, *http.Request) {})
		client := New(Options{Account: perMinute, PerRoute: perSecond, Base: transport})
		go flood(t, client.HTTP(), 32, 200, numbered) // five seconds of one route
		time.Sleep(time.Second)
		start := time.Now()
		resp, err := get(WithRoute(t.Context(), "GET /other"), client.HTTP(), "/other")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if d := time.Since(start); d > 50*time.Millisecond {
			t.Errorf("another route waited %s", d)
		}
		time.Sleep(10 * time.Second)
	})
}

func TestA429HoldsEveryCallBackThenSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen arrivals
		start := time.Now()
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if seen.add() == 100 {
				w.Header().Set("Retry-After", "12")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})
		var told []string
		client := New(Options{Account: perMinute, PerRoute: perSecond, Base: transport,
			OnWait: func(d time.Duration, why string) { told = append(told, round(d).String()+" for "+why) },
			OnSlow: func(s Slowdown) { told = append(told, fmt.Sprintf("%t %s", s.Over, round(s.Hold))) }})
		flood(t, client.HTTP(), 32, 400, numbered)
		seen.mu.Lock()
		hit := seen.at[99].Sub(start)
		seen.mu.Unlock()
		// A call that was let through in the very instant of the answer may still arrive.
		if n := seen.between(start, hit+100*time.Millisecond, hit+12*time.Second); n > 0 {
			t.Errorf("%d calls arrived in the 12 s that the server asked for", n)
		}
		after := hit + 12*time.Second
		if n := seen.between(start, after, after+10*time.Second); n < 100 || n > 120 {
			t.Errorf("%d calls arrived in the ten seconds after the pause, want the mean rate of 11.5 a second", n)
		}
		if len(told) != 1 || told[0] != "false 12s" {
			t.Errorf("told of waits %q, want the 12 s once", told)
		}
	})
}

// A server that lets fewer through than we count on, as when other jobs use the same account.
func TestPaceAdaptsToALowerLimit(t *testing.T) {
	for _, header := range []string{"", "1"} {
		t.Run("Retry-After "+header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var passed []time.Time
				rejected := 0
				transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					for len(passed) > 0 && time.Since(passed[0]) >= time.Minute {
						passed = passed[1:]
					}
					if len(passed) < 120 {
						passed = append(passed, time.Now())
						return
					}
					rejected++
					if header != "" {
						w.Header().Set("Retry-After", header)
					}
					w.WriteHeader(http.StatusTooManyRequests)
				})
				client := New(Options{Account: perMinute, PerRoute: perSecond, Base: transport})
				took := flood(t, client.HTTP(), 32, 1000, numbered)
				t.Logf("1000 calls at a hidden limit of 120 a minute: %s, %d rejected", took, rejected)
				if took > 12*time.Minute { // 8 min is the floor
					t.Errorf("took %s", took)
				}
				if rejected > 500 {
					t.Errorf("%d calls were rejected for 1000 that were not", rejected)
				}
			})
		})
	}
}

func TestThrottleEndsAfterTwoQuietWindows(t *testing.T) {
	c := throttle{limit: perMinute, hold: hold}
	start := time.Now()
	if d := c.rejected(&reservation{sent: start}, start); d <= 0 || d > time.Second {
		t.Errorf("first hold is %s", d)
	}
	if d := c.rejected(&reservation{sent: start.Add(-time.Second)}, start.Add(time.Millisecond)); d != 0 ||
		c.pacer.limiter.Limit() != 11.5 {
		t.Errorf("a 429 to a call sent before the last one slowed down further: %s, %v", d, c.pacer.limiter.Limit())
	}
	for i := range 10 {
		now := start.Add(time.Duration(i+1) * time.Second)
		c.inRow = 0 // another call was accepted
		c.rejected(&reservation{sent: now}, now)
	}
	if got := float64(c.pacer.limiter.Limit()); got != 11.5/32 {
		t.Errorf("slowest pace is %v a second", got)
	}
	for s := 11; s < 3*60 && c.pacer.limiter != nil; s++ {
		c.delay(start.Add(time.Duration(s) * time.Second))
	}
	if c.pacer.limiter != nil {
		t.Errorf("still slow after three minutes: %v a second", c.pacer.limiter.Limit())
	}
}

func TestWaitingEndsAtOnceWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := serve(t, func(http.ResponseWriter, *http.Request) {})
		client := New(Options{Account: Limit{10, time.Minute}, PerRoute: Limit{5, time.Second}, Base: transport})
		reason := errors.New("the run was interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		var group sync.WaitGroup
		var failed atomic.Int64
		for i := range 500 {
			group.Go(func() {
				resp, err := get(ctx, client.HTTP(), fmt.Sprintf("/%d", i%3))
				if err == nil {
					_ = resp.Body.Close()
					return
				}
				failed.Add(1)
				if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
					t.Errorf("error %v does not say why", err)
				}
			})
		}
		time.Sleep(20 * time.Second)
		start := time.Now()
		cancel(reason)
		group.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("waiting went on for %s", d)
		}
		if failed.Load() != 490 {
			t.Errorf("%d calls failed, want 490", failed.Load())
		}
	})
}

func TestNoWaitBeyondTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := serve(t, func(http.ResponseWriter, *http.Request) {})
		client := New(Options{Account: Limit{1, time.Minute}, Base: transport})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for range 2 {
			start := time.Now()
			resp, err := get(ctx, client.HTTP(), "/")
			if time.Since(start) != 0 {
				t.Errorf("waited %s", time.Since(start))
			}
			if err == nil {
				_ = resp.Body.Close()
				continue
			}
			const want = "waiting for the account's rate limit, which takes 1m0s (until 2000-01-01 00:01:00 UTC), " +
				"with only 20s left"
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v", err)
			}
		}
	})
}

// A server that asks for a day's rest does not make the run wait for it, neither the call that is told nor the others.
func TestNoWaitForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "100000")
			w.WriteHeader(http.StatusTooManyRequests)
		})
		client := New(Options{Account: perMinute, Base: transport})
		start := time.Now()
		resp, err := get(t.Context(), client.HTTP(), "/")
		if err != nil || gaveUp(resp) == "" {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
		_, err = get(t.Context(), client.HTTP(), "/")
		const want = "waiting for the server's rate limit, which lasts 27h46m40s (until 2000-01-02 03:46:40 UTC): not " +
			"waited for"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the next: %v", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %s", d)
		}
	})
}

// The time of a piece of work stands still while its calls wait for the limit.
func TestWaitsAreNotTheWorksTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := serve(t, func(http.ResponseWriter, *http.Request) {})
		client := New(Options{Account: Limit{1, time.Minute}, Base: transport})
		ctx, cancel := deadline.Context(t.Context(), 20*time.Second, errors.New("late"))
		defer cancel()
		for range 3 {
			resp, err := get(ctx, client.HTTP(), "/")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
		}
		if got := deadline.Paused(ctx); got < 2*time.Minute {
			t.Errorf("paused for %s", got)
		}
	})
}

// What cleans up after work whose time is over is repeated like any other call.
func TestRetriesAfterTheWorksTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen arrivals
		client := New(Options{Base: serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if seen.add() < 3 {
				w.WriteHeader(http.StatusLocked)
			}
		})})
		ctx, cancel := deadline.Context(t.Context(), time.Second, errors.New("late"))
		defer cancel()
		<-ctx.Done()
		late, stop := grace.Context(ctx, time.Minute)
		defer stop()
		resp, err := get(late, client.HTTP(), "/")
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
	})
}

// Work that ends while it waits to begin has only waited if its calls have read, and not written.
func TestReadsBeginNoWork(t *testing.T) {
	client := New(Options{Base: serve(t, func(http.ResponseWriter, *http.Request) {})})
	for method, begins := range map[string]bool{http.MethodGet: false, http.MethodPost: true} {
		ctx, cancel := deadline.Context(t.Context(), time.Minute, errors.New("late"))
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, "http://api.example.com/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.HTTP().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		deadline.TurnAway(ctx)
		if deadline.OnlyWaited(ctx) == begins {
			t.Errorf("%s: only waited: %t", method, !begins)
		}
	}
}
