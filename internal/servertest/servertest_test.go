package servertest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/org/neon-tenants-action/internal/servertest"
)

func TestWindowSlides(t *testing.T) {
	w := servertest.Window{Span: time.Second}
	start := time.Now()
	for i := range 10 {
		w.Add(start.Add(time.Duration(i) * 200 * time.Millisecond)) // the last at 1.8 s
	}
	if n := w.Count(start.Add(1800 * time.Millisecond)); n != 6 || w.Most != 6 {
		t.Errorf("%d in the window, at most %d; want 6 (0.8 s to 1.8 s)", n, w.Most)
	}
	if n := w.Count(start.Add(2500 * time.Millisecond)); n != 2 {
		t.Errorf("%d left, want 2", n)
	}
	if n := w.Count(start.Add(time.Minute)); n != 0 {
		t.Errorf("%d left, want none", n)
	}
}

func TestFaultsStrikeInTurn(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults map[string]servertest.Trigger // added in the order of their names; those that begin with a match
		want   []string                      // by call
	}{
		{"none", nil, []string{"", ""}},
		{"for ever", map[string]servertest.Trigger{"a": {}}, []string{"a", "a", "a"}},
		{"another call's", map[string]servertest.Trigger{"b": {}}, []string{"", ""}},
		{"twice", map[string]servertest.Trigger{"a": {Times: 2}}, []string{"a", "a", "", ""}},
		{"the third and fourth", map[string]servertest.Trigger{"a": {After: 2, Times: 2}}, []string{"", "", "a", "a", ""}},
		{"one after another", map[string]servertest.Trigger{"a1": {Times: 1}, "a2": {Times: 1}}, []string{"a1", "a2", ""}},
		{"past one that is not due", map[string]servertest.Trigger{"a1": {After: 1, Times: 1}, "a2": {}},
			[]string{"a2", "a1", "a2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var faults servertest.Faults[string]
			var names []string
			for name := range test.faults {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				faults.Add(name, test.faults[name])
			}
			var got []string
			for range test.want {
				fault, ok := faults.Strike(func(name string) bool { return name[0] == 'a' })
				if ok != (fault != "") {
					t.Errorf("struck %v by %q", ok, fault)
				}
				got = append(got, fault)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("struck by %q, want %q", got, test.want)
			}
			faults.Clear()
			if fault, ok := faults.Strike(func(string) bool { return true }); ok {
				t.Errorf("cleared, and struck by %q", fault)
			}
		})
	}
}

func TestMatchRoute(t *testing.T) {
	const route, path = "GET /things/{id}", "GET /things/a.b"
	for pattern, want := range map[string]bool{
		"": true, route: true, path: true, "GET *": true, "* /things/*": true, "*": true,
		"GET": false, "PUT *": false, "GET /things/a_b": false, "/things/{id}": false,
	} {
		if got := servertest.MatchRoute(pattern, route, path); got != want {
			t.Errorf("%q: %v", pattern, got)
		}
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	files := servertest.Certificates{
		Authority: filepath.Join(dir, "ca.pem"), Server: filepath.Join(dir, "server.pem"),
		Key: filepath.Join(dir, "server.key"),
	}
	if err := files.Write(); err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	for scheme, serve := range map[string]func() (*servertest.HTTP, error){
		"http": func() (*servertest.HTTP, error) { return servertest.Serve("127.0.0.1:0", handler) },
		"https": func() (*servertest.HTTP, error) {
			return servertest.ServeTLS("127.0.0.1:0", handler, files.Server, files.Key)
		},
	} {
		t.Run(scheme, func(t *testing.T) {
			s, err := serve()
			if err != nil {
				t.Fatal(err)
			}
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.TLSClientConfig = trusting(t, files.Authority)
			client := http.Client{Transport: transport}
			defer client.CloseIdleConnections()
			url := fmt.Sprintf("%s://127.0.0.1:%d/", scheme, s.Port())
			resp, err := client.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(body) != "HTTP/1.1" {
				t.Errorf("answered over %s", body)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Errorf("closed twice: %v", err)
			}
			if resp, err := client.Get(url); err == nil {
				_ = resp.Body.Close()
				t.Error("it still answers")
			}
		})
	}
}

func TestServePipesUnderAFakeClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport, stop := servertest.ServePipes(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Hour)
			w.WriteHeader(http.StatusTeapot)
		}))
		client := http.Client{Transport: transport}
		start := time.Now()
		resp, err := client.Get("http://anything.test/")
		if err != nil || resp.StatusCode != http.StatusTeapot || time.Since(start) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		_ = resp.Body.Close()
		stop()
		if resp, err := client.Get("http://anything.test/"); err == nil {
			_ = resp.Body.Close()
			t.Error("it still answers")
		}
	})
}

func TestOnFreePort(t *testing.T) {
	taken, other := errors.New("address already in use"), errors.New("broken")
	for _, test := range []struct {
		name   string
		fails  []error
		starts int
		want   error
	}{
		{"free", nil, 1, nil},
		{"taken at first", []error{taken, taken}, 3, nil},
		{"always taken", []error{taken, taken, taken, taken, taken, taken}, 5, taken},
		{"broken", []error{other}, 1, other},
	} {
		t.Run(test.name, func(t *testing.T) {
			starts := 0
			err := servertest.OnFreePort(t.Context(), func(port int) error {
				if starts++; starts <= len(test.fails) {
					return test.fails[starts-1]
				}
				if port < 1 || port > 65535 {
					t.Errorf("the port %d", port)
				}
				return nil
			})
			if !errors.Is(err, test.want) || starts != test.starts {
				t.Errorf("%d starts, %v; want %d, %v", starts, err, test.starts, test.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	starts := 0
	err := servertest.OnFreePort(ctx, func(int) error { starts++; return taken })
	if !errors.Is(err, taken) || starts != 1 {
		t.Errorf("after its context: %d starts, %v", starts, err)
	}
}

// stoppable is a server that counts how often it was stopped.
type stoppable struct{ stopped int }

func (s *stoppable) Stop() error { s.stopped++; return nil }

func TestShared(t *testing.T) {
	var never, broken, shared servertest.Shared[*stoppable]
	if err := never.Stop(); err != nil {
		t.Errorf("never started: %v", err)
	}
	starts := 0
	wrong := errors.New("no such program")
	for range 2 {
		if _, err := broken.Get(func() (*stoppable, error) { starts++; return nil, wrong }); !errors.Is(err, wrong) {
			t.Errorf("broken: %v", err)
		}
	}
	if err := broken.Stop(); err != nil || starts != 1 {
		t.Errorf("broken: %d starts, stopped with %v", starts, err)
	}
	server := &stoppable{}
	for range 2 {
		if got, err := shared.Get(func() (*stoppable, error) { starts++; return server, nil }); got != server || err != nil {
			t.Errorf("got %p, %v", got, err)
		}
	}
	if err := shared.Stop(); err != nil || starts != 2 || server.stopped != 1 {
		t.Errorf("%d starts, stopped %d times with %v", starts, server.stopped, err)
	}
}

func TestADismissedWatchdogDoesNothing(t *testing.T) {
	dir := t.TempDir()
	w, err := servertest.Watch("servertest-watchdog", `rm -rf "$1"`, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Dismiss(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("dismissed, it has removed the directory: %v", err)
	}
}

// trusting is a client's configuration that trusts an authority.
func trusting(t *testing.T, file string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatalf("%s has no certificate", file)
	}
	return &tls.Config{RootCAs: roots}
}
