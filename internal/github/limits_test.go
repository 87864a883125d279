package github_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/httpx"
)

// direct calls a handler without a network, so that hours can pass under a fake clock. Every call takes a while.
type direct struct {
	handler http.Handler
	takes   time.Duration
}

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	in.Host = r.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	time.Sleep(d.takes / 2)
	d.handler.ServeHTTP(recorder, in)
	time.Sleep(d.takes / 2)
	return recorder.Result(), r.Context().Err()
}

// limited starts a simulator and a client of it, whose waits are noted, without a network.
func limited(t *testing.T, o githubtest.Options) (*githubtest.Server, *github.Client, func() []string) {
	t.Helper()
	s := githubtest.New(o)
	furnish(s)
	var mu sync.Mutex
	var waits []string
	options := github.Limits()
	options.Base = direct{s, 100 * time.Millisecond}
	options.OnWait = func(d time.Duration, why string) {
		mu.Lock()
		defer mu.Unlock()
		waits = append(waits, fmt.Sprintf("%s for %s", d.Round(time.Minute), why))
	}
	c, err := github.New(github.Options{BaseURL: "http://simulator", Token: githubtest.DefaultToken,
		HTTP: httpx.New(options).HTTP()})
	if err != nil {
		t.Fatal(err)
	}
	return s, c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Compact(slices.Clone(waits))
	}
}

// write puts n secrets into the organization, which has room for them, with some workers, and returns how long that
// took.
func write(t *testing.T, c *github.Client, workers, n int) time.Duration {
	t.Helper()
	key := publicKey(t, c, acmeScope)
	start := time.Now()
	todo := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range todo {
				if err := c.PutVariable(t.Context(), acmeScope, fmt.Sprintf("V_%d", i), "x", false); err != nil {
					t.Errorf("write %d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		todo <- i
	}
	close(todo)
	group.Wait()
	if key.ID == "" {
		t.Error("the key has no id")
	}
	return time.Since(start)
}

func TestWritesKeepToTheLimits(t *testing.T) {
	for _, n := range []int{80, 100, 600} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, waits := limited(t, githubtest.Options{})
				took := write(t, c, 4, n)
				calls := s.Calls()
				t.Logf("%d writes in %s; at most %d in a minute, %d in an hour, %d at once; waited %q", n, took,
					calls.MostWritesPerMinute, calls.MostWritesPerHour, calls.MostWritesAtOnce, waits())
				if calls.Limited > 0 || calls.MostWritesPerMinute > 80 || calls.MostWritesPerHour > 500 ||
					calls.MostWritesAtOnce > 2 {
					t.Errorf("the limits were not kept: %+v", calls)
				}
				if least := github.WriteTime(n); took < least || took > least+40*time.Second {
					t.Errorf("took %s, want about %s", took, least)
				}
			})
		})
	}
}

func TestReadsDoNotWaitForWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := limited(t, githubtest.Options{})
		done := make(chan struct{})
		go func() { defer close(done); write(t, c, 4, 120) }()
		time.Sleep(30 * time.Second)
		start := time.Now()
		if _, err := c.Secrets(t.Context(), acmeScope); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("a read waited %s", took)
		}
		<-done
	})
}

func TestLimitsThatGitHubNames(t *testing.T) {
	for _, test := range []struct {
		name        string
		fault       githubtest.Fault
		least, most time.Duration
	}{
		{"secondary", githubtest.Fault{Secondary: true, Times: 1}, time.Minute, 68 * time.Second},
		{"secondary as 429", githubtest.Fault{Secondary: true, Status: 429, Times: 1}, time.Minute, 68 * time.Second},
		{"secondary, three times", githubtest.Fault{Secondary: true, Times: 3}, 7 * time.Minute, 8 * time.Minute},
		{"secondary with its time", githubtest.Fault{Secondary: true, RetryAfter: "7", Times: 1}, 7 * time.Second,
			9 * time.Second},
		{"429 with its time", githubtest.Fault{Status: 429, RetryAfter: "90", Times: 1}, 90 * time.Second, 92 * time.Second},
		{"429 alone", githubtest.Fault{Status: 429, Times: 1}, time.Minute, 68 * time.Second},
		{"primary", githubtest.Fault{Primary: 40 * time.Minute, Times: 1}, 40 * time.Minute, 41 * time.Minute},
		{"primary as 429", githubtest.Fault{Primary: 40 * time.Minute, Status: 429, Times: 1}, 40 * time.Minute,
			41 * time.Minute},
		{"a permission", githubtest.Fault{
			Status: 403, Message: "Resource not accessible by personal access token", Times: 1,
		}, 0, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, waits := limited(t, githubtest.Options{})
				key := publicKey(t, c, fleetScope)
				s.Fail(test.fault)
				start := time.Now()
				_, err := c.PutSecret(t.Context(), fleetScope, key, "A", "b")
				if took := time.Since(start); took < test.least || took > test.most || (err != nil) != (test.least == 0) {
					t.Errorf("took %s, want %s to %s: %v", took, test.least, test.most, err)
				}
				if told := waits(); (len(told) > 0) != (test.least >= time.Minute) ||
					len(told) > 0 && !strings.HasSuffix(told[0], "for the server's rate limit") {
					t.Errorf("told of %q", told)
				}
			})
		})
	}
}

// A wait that would end after the run is not begun, and says when it would have ended.
func TestNoWaitPastTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, _ := limited(t, githubtest.Options{})
		key := publicKey(t, c, fleetScope)
		s.Fail(githubtest.Fault{Primary: 40 * time.Minute, Times: 1})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
		defer cancel()
		start := time.Now()
		_, err := c.PutSecret(ctx, fleetScope, key, "A", "b")
		var e *github.Error
		if !errors.As(err, &e) || !strings.Contains(e.Remedy(), "over GitHub's rate limit") {
			t.Fatalf("%v", err)
		}
		const first = "PUT /repos/acme/fleet/actions/secrets/A: 403 Forbidden: API rate limit exceeded for user " +
			"ID 583231.; gave up with 30m0s left for another attempt: the next one is due in 40m1s (at 2000-01-01 00:40:01 UTC)"
		if got, _, _ := strings.Cut(err.Error(), " (request id"); got != first {
			t.Errorf("first call: %s", got)
		}
		_, err = c.PutSecret(ctx, fleetScope, key, "B", "b")
		const second = "PUT /repos/acme/fleet/actions/secrets/B: waiting for the server's rate limit, which " +
			"takes 40m1s (until 2000-01-01 00:40:01 UTC), with only 30m0s left: context deadline exceeded"
		if err == nil || err.Error() != second {
			t.Errorf("second call: %v", err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("waited %s", took)
		}
	})
}

func TestALowerLimitThanIsKnown(t *testing.T) {
	for _, header := range []string{"", "60"} {
		t.Run("Retry-After "+header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, _ := limited(t, githubtest.Options{Limits: githubtest.Limits{WritesPerMinute: 30, RetryAfter: header}})
				took := write(t, c, 4, 200)
				t.Logf("200 writes at a hidden limit of 30 a minute: %s, %d refused", took, s.Calls().Limited)
				if took > 25*time.Minute || s.Calls().Limited > 30 {
					t.Errorf("took %s, %d refused", took, s.Calls().Limited)
				}
			})
		})
	}
}

func TestWritingEndsAtOnceWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := limited(t, githubtest.Options{})
		write(t, c, 2, 80)
		reason := errors.New("the run was interrupted")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { time.Sleep(10 * time.Second); cancel(reason) }()
		start := time.Now()
		err := c.PutVariable(ctx, acmeScope, "LATER", "x", false)
		if took := time.Since(start); !errors.Is(err, context.Canceled) || !errors.Is(err, reason) || took > 11*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}
