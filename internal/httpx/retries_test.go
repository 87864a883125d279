package httpx

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answer is one thing a server may do.
type answer struct {
	status     int
	retryAfter string
	body       string
	drop       bool // close the connection in the middle of the body
	hang       time.Duration
}

func (a answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(a.hang):
	case <-r.Context().Done():
		return
	}
	if a.drop {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		return
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// retryTest is a call of a server that answers in turn, the last answer again and again.
type retryTest struct {
	name, method string
	answers      []answer
	deadline     time.Duration
	calls        int
	status       int // 0: an error
	says         string
	least, most  time.Duration
}

func TestRetries(t *testing.T) {
	ok := answer{status: 200, body: "fine"}
	times := func(n int, a answer) []answer {
		var out []answer
		for range n {
			out = append(out, a)
		}
		return append(out, ok)
	}
	for _, test := range []retryTest{
		{name: "nothing to retry", method: "GET", answers: []answer{ok}, calls: 1, status: 200},
		{name: "GET over 503", method: "GET", answers: times(3, answer{status: 503}), calls: 4, status: 200,
			most: 2 * time.Second},
		{name: "POST over 503", method: "POST", answers: times(3, answer{status: 503}), calls: 4, status: 200,
			most: 2 * time.Second},
		{name: "503 says when", method: "GET", answers: times(1, answer{status: 503, retryAfter: "15"}), calls: 2,
			status: 200, least: 15 * time.Second, most: 16 * time.Second},
		{name: "423 says when by date", method: "POST",
			answers: times(1, answer{status: 423, retryAfter: "Sat, 01 Jan 2000 00:00:30 GMT"}), calls: 2, status: 200,
			least: 30 * time.Second, most: 31 * time.Second},
		{name: "423 outlasts the retries", method: "DELETE", answers: times(20, answer{status: 423}), calls: 21,
			status: 200, most: 3 * time.Minute},
		{name: "GET over 524", method: "GET", answers: times(2, answer{status: 524, body: "<html>"}), calls: 3, status: 200},
		{name: "POST, 524", method: "POST", answers: times(1, answer{status: 524, body: "<html>"}), calls: 1, status: 524},
		{name: "POST, 500", method: "POST", answers: times(1, answer{status: 500}), calls: 1, status: 500},
		{name: "GET, broken off", method: "GET", answers: times(2, answer{drop: true}), calls: 3, status: 200},
		{name: "POST, broken off", method: "POST", answers: times(1, answer{drop: true}), calls: 1,
			says: "POST /thing: read the answer: unexpected EOF"},
		{name: "GET, no answer", method: "GET", answers: times(1, answer{hang: time.Hour}), calls: 2, status: 200,
			least: 30 * time.Second, most: 32 * time.Second},
		{name: "never an answer", method: "GET", answers: times(100, answer{hang: time.Hour}), calls: 7,
			says: "GET /thing (7 attempts): no complete answer within 30s"},
		{name: "always 503", method: "GET", answers: times(100, answer{status: 503}), calls: 7, status: 503,
			says: "after 7 attempts"},
		{name: "404", method: "GET", answers: times(1, answer{status: 404}), calls: 1, status: 404},
		{name: "429, 20 times", method: "POST", answers: times(20, answer{status: 429, retryAfter: "3"}), calls: 21,
			status: 200, least: time.Minute, most: 2 * time.Minute},
		{name: "429, on and on", method: "GET", answers: times(1000, answer{status: 429}), status: 429,
			says: "after waiting", least: 8 * time.Minute, most: 10 * time.Minute},
		{name: "429 past the deadline", method: "GET", answers: times(1, answer{status: 429, retryAfter: "60"}),
			deadline: 20 * time.Second, calls: 1, status: 429,
			says: "with 20s left for another attempt: the next one is due in 1m0s"},
		{name: "503 past the budget", method: "GET", answers: times(1, answer{status: 503, retryAfter: "3600"}),
			calls: 1, status: 503, says: "due in 1h0m0s"},
		{name: "deadline while waiting for an answer", method: "GET", answers: times(1, answer{hang: time.Hour}),
			deadline: 5 * time.Second, calls: 1,
			says: "deadline exceeded", least: 5 * time.Second, most: 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) { synctest.Test(t, test.run) })
	}
}

func (test retryTest) run(t *testing.T) {
	var seen arrivals
	transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
		a := test.answers[min(seen.add(), len(test.answers))-1]
		body, err := io.ReadAll(r.Body)
		want := strings.Repeat("x", len(body))
		if err != nil || string(body) != want || (r.Method == "POST" && len(body) != 1000) {
			t.Errorf("body is %q, %v", body, err)
		}
		if got := r.Header.Get("User-Agent"); got != "test/1" {
			t.Errorf("User-Agent is %q", got)
		}
		a.ServeHTTP(w, r)
	})
	client := New(Options{UserAgent: "test/1", Account: perMinute, PerRoute: perSecond, Base: transport})
	start := time.Now()
	resp, err := client.RoundTrip(test.request(t))
	took := time.Since(start)
	test.check(t, resp, err)
	if n := seen.most(time.Hour); test.calls > 0 && n != test.calls {
		t.Errorf("%d calls, want %d", n, test.calls)
	}
	if took < test.least || (test.most > 0 && took > test.most) {
		t.Errorf("took %s, want %s to %s", took, test.least, test.most)
	}
}

func (test retryTest) request(t *testing.T) *http.Request {
	ctx := t.Context()
	if test.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, test.deadline)
		t.Cleanup(cancel)
	}
	var body io.Reader
	if test.method == "POST" {
		body = io.MultiReader(strings.NewReader(strings.Repeat("x", 1000))) // of a type that net/http can't rewind
	}
	req, err := http.NewRequestWithContext(ctx, test.method, "http://api.test/thing?secret=hunter2", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer hunter2")
	return req
}

func (test retryTest) check(t *testing.T, resp *http.Response, err error) {
	switch {
	case test.status == 0:
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("error is %v, want one that says %q", err, test.says)
		}
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), "hunter2") {
			t.Errorf("error gives a secret away: %v", err)
		}
	case err != nil:
		t.Errorf("error: %v", err)
	default:
		why := gaveUp(resp)
		if resp.StatusCode != test.status || !strings.Contains(why, test.says) || (test.says == "") != (why == "") {
			t.Errorf("status %d, gave up %q; want %d, %q", resp.StatusCode, why, test.status, test.says)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Errorf("read the body: %v", err)
		}
	}
}
