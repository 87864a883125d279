package githubtest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

// call makes a request, with a token and a User-Agent unless headers say otherwise, and returns the answer and its
// body.
func call(t *testing.T, s *githubtest.Server, method, path, body string, headers ...string) (
	*http.Response, map[string]any,
) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+githubtest.DefaultToken)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if json.Unmarshal(raw, &answer) != nil {
		answer = map[string]any{"message": string(raw)}
	}
	return resp, answer
}

func TestRefusals(t *testing.T) {
	s := start(t)
	s.AddRepository("stranger/thing")
	s.AddToken(githubtest.Token{Secret: "github_pat_reader", Permissions: map[string]string{"secrets": "read"}})
	const here = "/repos/acme/fleet/actions/"
	long := strings.Repeat("x", 48<<10+1)
	for _, test := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"GET", here + "secrets", "", []string{"User-Agent", ""}, 403, "User-Agent header"},
		{"GET", here + "secrets", "", []string{"Authorization", "Bearer wrong"}, 401, "Bad credentials"},
		{"GET", here + "secrets", "", []string{"Authorization", ""}, 401, "Bad credentials"},
		{"GET", here + "secrets", "",
			[]string{"Authorization", "token " + githubtest.DefaultToken, "Accept", "text/html"}, 200, ""},
		{"GET", here + "secrets", "", []string{"Authorization", "Bearer " + githubtest.JobToken}, 403,
			"Resource not accessible by integration"},
		{"PUT", here + "secrets/X", "{}", []string{"Authorization", "Bearer github_pat_reader"}, 403,
			"Resource not accessible by personal access token"},
		{"GET", "/repos/acme/none/actions/secrets", "", nil, 404, "Not Found"},
		{"GET", "/orgs/none/actions/secrets", "", nil, 404, "Not Found"},
		{"GET", "/repos/acme/fleet/environments/none/secrets", "", nil, 404, "Not Found"},
		{"GET", "/nothing", "", nil, 404, "Not Found"},
		{"PUT", here + "secrets/1X", "{}", nil, 422, "alphanumeric"},
		{"PUT", here + "secrets/github_x", "{}", nil, 422, "must not start with GITHUB_"},
		{"PUT", here + "secrets/X", "{", nil, 400, "Problems parsing JSON"},
		{"PUT", here + "secrets/X", `{"encrypted_value":"eA=="}`, nil, 422, `"key_id" wasn't supplied`},
		{"PUT", here + "secrets/X", `{"encrypted_value":"eA==","key_id":"12"}`, nil, 422, "key_id 12"},
		{"DELETE", here + "secrets/X", "", nil, 404, "Not Found"},
		{"POST", here + "variables", `{"name":"GITHUB_X","value":""}`, nil, 422, "must not start with GITHUB_"},
		{"POST", here + "variables", `{"name":"X"}`, nil, 422, `"value" wasn't supplied`},
		{"POST", here + "variables", `{"name":"X","value":"` + long + `"}`, nil, 422, "48 KB"},
		{"POST", "/orgs/acme/actions/variables", `{"name":"X","value":""}`, nil, 422, `"visibility" wasn't supplied`},
		{"PATCH", here + "variables/X", `{"value":""}`, nil, 404, "Not Found"},
	} {
		resp, answer := call(t, s, test.method, test.path, test.body, test.headers...)
		if message, _ := answer["message"].(string); resp.StatusCode != test.status || !strings.Contains(message, test.says) {
			t.Errorf("%s %s %v: %s, %q", test.method, test.path, test.headers, resp.Status, message)
		}
		if test.status == 403 && test.says != "User-Agent header" &&
			!strings.Contains(resp.Header.Get("X-Accepted-GitHub-Permissions"), "secrets=") {
			t.Errorf("%s %s does not say what it wants: %v", test.method, test.path, resp.Header)
		}
		anonymous := test.status == 401 || test.says == "User-Agent header"
		if limited := resp.Header.Get("X-RateLimit-Remaining") != ""; limited == anonymous {
			t.Errorf("%s %s: %s, with the rate limit's headers: %v", test.method, test.path, resp.Status, limited)
		}
	}
}

func TestPages(t *testing.T) {
	s := start(t)
	for i := range 240 {
		s.SetSecret(acme, fmt.Sprintf("S_%03d", i), "x", time.Now())
	}
	const org, environment = "/orgs/acme/actions/secrets", "/repos/acme/fleet/environments/prod%2Feu%20west/secrets"
	for path, want := range map[string]struct {
		items int
		next  string
	}{
		org:                               {30, s.URL + org + "?per_page=30&page=2"},
		org + "?per_page=1000":            {100, s.URL + org + "?per_page=100&page=2"},
		"/api/v3" + org + "?per_page=100": {100, s.URL + "/api/v3" + org + "?per_page=100&page=2"},
		org + "?per_page=100&page=3":      {43, ""},
		org + "?per_page=100&page=9":      {0, ""},
		environment + "?per_page=2":       {2, s.URL + environment + "?per_page=2&page=2"},
	} {
		resp, answer := call(t, s, "GET", path, "")
		items, _ := answer["secrets"].([]any)
		next := ""
		for link := range strings.SplitSeq(resp.Header.Get("Link"), ", ") {
			if url, ok := strings.CutSuffix(link, `>; rel="next"`); ok {
				next = strings.TrimPrefix(url, "<")
			}
		}
		if len(items) != want.items || next != want.next {
			t.Errorf("%s: %d items, then %s", path, len(items), next)
		}
	}
}

func TestLimits(t *testing.T) {
	limits := githubtest.Limits{PerHour: 6, WritesPerMinute: 2, RetryAfter: "42", Status: 429}
	s, err := githubtest.Start(githubtest.Options{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddRepository("acme/fleet")
	for i, want := range []int{201, 201, 429, 429} {
		body := fmt.Sprintf(`{"name":"V_%d","value":""}`, i)
		resp, answer := call(t, s, "POST", "/repos/acme/fleet/actions/variables", body)
		if resp.StatusCode != want || (want == 429) != (resp.Header.Get("Retry-After") == "42") {
			t.Errorf("write %d: %s %v", i, resp.Status, answer)
		}
	}
	for i, want := range []int{200, 200, 403} {
		resp, answer := call(t, s, "GET", "/repos/acme/fleet/actions/variables", "")
		if resp.StatusCode != want || resp.Header.Get("X-RateLimit-Remaining") != fmt.Sprint(max(0, 1-i)) {
			t.Errorf("read %d: %s %v %v", i, resp.Status, resp.Header, answer)
		}
		reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
		if left := time.Until(time.Unix(reset, 0)); err != nil || left < 59*time.Minute || left > time.Hour {
			t.Errorf("starts anew in %s, %v", left, err)
		}
	}
	calls := s.Calls()
	if calls.Total != 7 || calls.Writes != 4 || calls.Reads != 3 || calls.Limited != 3 ||
		calls.ByRoute["POST /repos/{owner}/{repo}/actions/variables"] != 4 {
		t.Errorf("%+v", calls)
	}
}
