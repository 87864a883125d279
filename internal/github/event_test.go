package github

import "testing"

func TestPullRequest(t *testing.T) {
	for name, c := range map[string]struct {
		event, ref string
		want       int
	}{
		"opened":                   {`{"action":"opened","number":7,"pull_request":{"number":7}}`, "refs/pull/7/merge", 7},
		"merged":                   {`{"action":"closed","pull_request":{"number":7}}`, "refs/heads/main", 7},
		"a comment on it":          {`{"issue":{"number":7,"pull_request":{"url":"x"}}}`, "refs/heads/main", 7},
		"a comment on an issue":    {`{"issue":{"number":7}}`, "refs/heads/main", 0},
		"a push":                   {`{"ref":"refs/heads/main"}`, "refs/heads/main", 0},
		"no event file":            {"", "refs/pull/12/merge", 12},
		"an event that is no JSON": {"{", "refs/pull/12/merge", 12},
		"no event":                 {"", "", 0},
		"a number as a ref":        {"", "12", 0},
		"another ref":              {"", "refs/pull/x/merge", 0},
		"a number below 1":         {`{"pull_request":{"number":-1}}`, "refs/pull/-1/merge", 0},
	} {
		if got := PullRequest([]byte(c.event), c.ref); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
