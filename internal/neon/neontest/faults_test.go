package neontest_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func TestFaults(t *testing.T) {
	s := start(t, neontest.Options{})
	ids := fleet(t, s, 2)
	get := func(id string) answer { return callAs(t, s, neontest.OrgKey, "GET /projects/"+id, nil) }

	s.Fail(neontest.Fault{Route: "GET /projects/{project_id}", Status: 503, RetryAfter: "7", Times: 2})
	for range 2 {
		if a := get(ids[0]); a.Status != 503 || a.Header.Get("Retry-After") != "7" || a.text(t, "message") == "" {
			t.Errorf("%d %v %s", a.Status, a.Header, a.Raw)
		}
	}
	if a := get(ids[0]); a.Status != 200 {
		t.Errorf("after the last time: %d", a.Status)
	}

	s.Fail(neontest.Fault{Project: ids[1], Status: 524})
	if a := get(ids[1]); a.Status != 524 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") ||
		!strings.Contains(string(a.Raw), "<html>") || a.Header.Get("Retry-After") != "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Raw)
	}
	if a := get(ids[0]); a.Status != 200 {
		t.Errorf("another project: %d", a.Status)
	}
	s.ClearFaults()

	date := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	s.Fail(neontest.Fault{Route: "* /projects/" + ids[0] + "*", Status: 429, RetryAfter: date, Times: 1})
	if a := get(ids[0]); a.Status != 429 || a.Header.Get("Retry-After") != date {
		t.Errorf("%d %v", a.Status, a.Header)
	}

	s.Fail(neontest.Fault{Drop: true, Times: 1})
	// Unlike a GET, net/http does not repeat it.
	request, _ := http.NewRequest("POST", s.URL()+"/projects", strings.NewReader("{}"))
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("a dropped connection answered %d", response.StatusCode)
	}

	s.Fail(neontest.Fault{Route: "DELETE /projects/{project_id}", Lose: true, Times: 1})
	request, _ = http.NewRequest("DELETE", s.URL()+"/projects/"+ids[1], nil)
	request.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("a lost answer is %d", response.StatusCode)
	}
	if a := get(ids[1]); a.Status != 404 {
		t.Errorf("the call whose answer was lost did nothing: %d", a.Status)
	}

	s.Fail(neontest.Fault{Delay: 300 * time.Millisecond, Times: 1})
	began := time.Now()
	if a := get(ids[0]); a.Status != 200 || time.Since(began) < 300*time.Millisecond {
		t.Errorf("%d after %s", a.Status, time.Since(began))
	}
}

func TestLimits(t *testing.T) {
	s := start(t, neontest.Options{Limits: neontest.Limits{PerMinute: 30, PerSecond: 20, RetryAfter: "3"}})
	burst := func(n int, route string) (limited int) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				a := callAs(t, s, neontest.OrgKey, route, nil)
				mu.Lock()
				defer mu.Unlock()
				if a.Status == 429 {
					limited++
					if a.Header.Get("Retry-After") != "3" {
						t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
					}
				}
			})
		}
		wg.Wait()
		return limited
	}
	if limited := burst(50, "GET /projects"); limited < 20 {
		t.Errorf("%d of 50 refused, with 30 a minute and 20 a second allowed", limited)
	}
	if limited := burst(40, "GET /users/me/organizations"); limited < 30 {
		t.Errorf("%d of 40 more refused", limited)
	}
	calls := s.Calls()
	if calls.Total != 90 || calls.Limited < 60 || calls.MostPerMinute < 40 ||
		calls.ByRoute["GET /users/me/organizations"] != 40 || calls.MostPerSecond["GET /projects"] == 0 {
		t.Errorf("counted %+v", calls)
	}
	s.ResetCalls()
	if calls := s.Calls(); calls.Total != 0 {
		t.Errorf("after a reset %+v", calls)
	}
}
