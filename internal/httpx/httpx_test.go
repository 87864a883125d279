package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClassify(t *testing.T) {
	reset := &url.Error{Op: "Get", URL: "https://api.test/", Err: errors.New("connection reset by peer")}
	untrusted := &url.Error{Op: "Get", URL: "https://api.test/", Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}
	for _, test := range []struct {
		status    int
		err       error
		get, post Action
	}{
		{status: 200, get: Return, post: Return},
		{status: 400, get: Return, post: Return},
		{status: 401, get: Return, post: Return},
		{status: 404, get: Return, post: Return},
		{status: 412, get: Return, post: Return},
		{status: 423, get: Wait, post: Wait},
		{status: 429, get: Hold, post: Hold},
		{status: 500, get: Retry, post: Return},
		{status: 501, get: Return, post: Return},
		{status: 502, get: Retry, post: Return},
		{status: 503, get: Retry, post: Retry},
		{status: 504, get: Retry, post: Return},
		{status: 524, get: Retry, post: Return},
		{err: reset, get: Retry, post: Return},
		{err: untrusted, get: Return, post: Return},
	} {
		for method, want := range map[string]Action{
			"GET": test.get, "HEAD": test.get, "OPTIONS": test.get,
			"POST": test.post, "PUT": test.post, "PATCH": test.post, "DELETE": test.post,
		} {
			var resp *http.Response
			if test.err == nil {
				resp = &http.Response{StatusCode: test.status}
			}
			if got := Classify(method, resp, test.err); got != want {
				t.Errorf("%s with %d %v: %d, want %d", method, test.status, test.err, got, want)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                               -1,
		"0":                              0,
		"12":                             12 * time.Second,
		" 7 ":                            7 * time.Second,
		"-3":                             -1,
		"1.5":                            -1,
		"soon":                           -1,
		"99999999999999999999":           -1,
		"Sun, 22 Nov 2026 12:01:30 GMT":  90 * time.Second,
		"Sun, 22 Nov 2026 11:00:00 GMT":  0, // past
		"Sunday, 22-Nov-26 12:00:05 GMT": 5 * time.Second,
	} {
		got, ok := RetryAfter(&http.Response{Header: http.Header{"Retry-After": {text}}}, now)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestRetryAfterGoesByTheServersClock(t *testing.T) {
	h := http.Header{"Date": {"Sun, 22 Nov 2026 12:00:00 GMT"}, "Retry-After": {"Sun, 22 Nov 2026 12:00:20 GMT"}}
	ahead := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	if d, ok := RetryAfter(&http.Response{Header: h}, ahead); d != 20*time.Second || !ok {
		t.Errorf("%s, %v", d, ok)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("12")
	f.Add("Sun, 22 Nov 2026 12:01:30 GMT")
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := RetryAfter(&http.Response{Header: http.Header{"Retry-After": {text}}}, time.Unix(0, 0)); d < 0 || (!ok && d != 0) {
			t.Errorf("%q: %s, %v", text, d, ok)
		}
	})
}

func TestBackoffStaysWithinItsBounds(t *testing.T) {
	for n := range 100 {
		limit := 10 * time.Second
		if n < 6 {
			limit = 250 * time.Millisecond << n
		}
		for range 50 {
			if d := backoff(n); d <= 0 || d > limit+time.Millisecond {
				t.Fatalf("backoff %d is %s", n, d)
			}
			if d := hold(n); d < time.Second/2 || d > 15*time.Second {
				t.Fatalf("hold %d is %s", n, d)
			}
		}
	}
}

// answer is one thing a server may do.
type answer struct {
	status     int
	retryAfter string
	body       string
	drop       bool // close the connection in the middle of the body
	hang       time.Duration
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
	for _, test := range []struct {
		name, method string
		answers      []answer
		deadline     time.Duration
		calls        int
		status       int // 0: an error
		says         string
		least, most  time.Duration
	}{
		{name: "nothing to retry", method: "GET", answers: []answer{ok}, calls: 1, status: 200},
		{name: "GET over 503", method: "GET", answers: times(3, answer{status: 503}), calls: 4, status: 200, most: 2 * time.Second},
		{name: "POST over 503", method: "POST", answers: times(3, answer{status: 503}), calls: 4, status: 200, most: 2 * time.Second},
		{name: "503 says when", method: "GET", answers: times(1, answer{status: 503, retryAfter: "15"}), calls: 2, status: 200, least: 15 * time.Second, most: 16 * time.Second},
		{name: "423 says when by date", method: "POST", answers: times(1, answer{status: 423, retryAfter: "Sat, 01 Jan 2000 00:00:30 GMT"}), calls: 2, status: 200,
			least: 30 * time.Second, most: 31 * time.Second},
		{name: "423 outlasts the retries", method: "DELETE", answers: times(20, answer{status: 423}), calls: 21, status: 200, most: 3 * time.Minute},
		{name: "GET over 524", method: "GET", answers: times(2, answer{status: 524, body: "<html>"}), calls: 3, status: 200},
		{name: "POST, 524", method: "POST", answers: times(1, answer{status: 524, body: "<html>"}), calls: 1, status: 524},
		{name: "POST, 500", method: "POST", answers: times(1, answer{status: 500}), calls: 1, status: 500},
		{name: "GET, broken off", method: "GET", answers: times(2, answer{drop: true}), calls: 3, status: 200},
		{name: "POST, broken off", method: "POST", answers: times(1, answer{drop: true}), calls: 1, says: "POST /thing: read the answer: unexpected EOF"},
		{name: "GET, no answer", method: "GET", answers: times(1, answer{hang: time.Hour}), calls: 2, status: 200, least: 30 * time.Second, most: 32 * time.Second},
		{name: "never an answer", method: "GET", answers: times(100, answer{hang: time.Hour}), calls: 7, says: "GET /thing (7 attempts): no complete answer within 30s"},
		{name: "always 503", method: "GET", answers: times(100, answer{status: 503}), calls: 7, status: 503, says: "after 7 attempts"},
		{name: "404", method: "GET", answers: times(1, answer{status: 404}), calls: 1, status: 404},
		{name: "429, 20 times", method: "POST", answers: times(20, answer{status: 429, retryAfter: "3"}), calls: 21, status: 200, least: time.Minute, most: 2 * time.Minute},
		{name: "429, on and on", method: "GET", answers: times(1000, answer{status: 429}), status: 429, says: "after waiting", least: 8 * time.Minute, most: 10 * time.Minute},
		{name: "429 past the deadline", method: "GET", answers: times(1, answer{status: 429, retryAfter: "60"}), deadline: 20 * time.Second, calls: 1, status: 429,
			says: "as the next try would be due in 1m0s, and only 20s are left"},
		{name: "503 past the budget", method: "GET", answers: times(1, answer{status: 503, retryAfter: "3600"}), calls: 1, status: 503, says: "due in 1h0m0s"},
		{name: "deadline while waiting for an answer", method: "GET", answers: times(1, answer{hang: time.Hour}), deadline: 5 * time.Second, calls: 1,
			says: "deadline exceeded", least: 5 * time.Second, most: 5 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen arrivals
				transport := serve(t, func(w http.ResponseWriter, r *http.Request) {
					a := test.answers[min(seen.add(), len(test.answers))-1]
					body, err := io.ReadAll(r.Body)
					if want := strings.Repeat("x", len(body)); err != nil || string(body) != want || (r.Method == "POST" && len(body) != 1000) {
						t.Errorf("body is %q, %v", body, err)
					}
					if got := r.Header.Get("User-Agent"); got != "test/1" {
						t.Errorf("User-Agent is %q", got)
					}
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
				})
				client := New(Options{UserAgent: "test/1", Account: perMinute, PerRoute: perSecond, Base: transport})
				ctx := t.Context()
				if test.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.deadline)
					defer cancel()
				}
				var body io.Reader
				if test.method == "POST" {
					body = io.MultiReader(strings.NewReader(strings.Repeat("x", 1000))) // of a kind that net/http can't rewind
				}
				req, err := http.NewRequestWithContext(ctx, test.method, "http://api.test/thing?secret=hunter2", body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer hunter2")
				start := time.Now()
				resp, err := client.RoundTrip(req)
				took := time.Since(start)
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
					if resp.StatusCode != test.status || !strings.Contains(GaveUp(resp), test.says) || (test.says == "") != (GaveUp(resp) == "") {
						t.Errorf("status %d, gave up %q; want %d, %q", resp.StatusCode, GaveUp(resp), test.status, test.says)
					}
					if _, err := io.Copy(io.Discard, resp.Body); err != nil {
						t.Errorf("read the body: %v", err)
					}
				}
				if n := seen.most(time.Hour); test.calls > 0 && n != test.calls {
					t.Errorf("%d calls, want %d", n, test.calls)
				}
				if took < test.least || (test.most > 0 && took > test.most) {
					t.Errorf("took %s, want %s to %s", took, test.least, test.most)
				}
			})
		})
	}
}

func TestRedirectsKeepCredentialsAtHome(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	var home *httptest.Server
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, home.URL+"/there", http.StatusTemporaryRedirect)
		case "/there":
			body, _ := io.ReadAll(r.Body)
			_, _ = w.Write(append([]byte(r.Header.Get("Authorization")), body...))
		}
	}))
	defer home.Close()
	client := New(Options{}).HTTP()
	post := func(path string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, home.URL+path, bytes.NewReader([]byte("!")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer me")
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	resp := post("/here")
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(body) != "Bearer me!" {
		t.Errorf("redirect within the host gave %q", body)
	}
	resp = post("/away")
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect || reached {
		t.Errorf("status %d, other host reached: %v", resp.StatusCode, reached)
	}
}
