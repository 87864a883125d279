package httpx

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	reset := &url.Error{Op: "Get", URL: "https://api.test/", Err: errors.New("connection reset by peer")}
	untrusted := &url.Error{Op: "Get", URL: "https://api.test/",
		Err: &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}}
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
		d, ok := RetryAfter(&http.Response{Header: http.Header{"Retry-After": {text}}}, time.Unix(0, 0))
		if d < 0 || (!ok && d != 0) {
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
