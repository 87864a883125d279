package action

import (
	"testing"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// What GitHub asks to wait is waited for and told, and a key that is replaced in the middle of a run is taken anew.
func TestASyncObeysGitHub(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	h := newHub(t, numbered(8)...)
	h.Fail(githubtest.Fault{Route: "PUT *", Secondary: true, RetryAfter: "2", Times: 1})
	h.Fail(githubtest.Fault{Route: "PUT *", Status: 429, Secondary: true, RetryAfter: "1", Times: 1, After: 2})
	h.Fail(githubtest.Fault{Route: "PUT *", Do: func() { h.RotateKey(h.scope) }, Times: 1, After: 4})
	h.Fail(githubtest.Fault{Route: "PUT *", Lose: true, Times: 1, After: 5})
	o := h.sync(t)
	o.counts(t, 8, 0, 0, 0)
	o.says(t, "waiting 2s: GitHub's API asks for it")
	h.holds(t, h.perTenant())
	h.unchangedRun(t)
}

// A hundred writes are more than GitHub takes in a minute: the run says how long that will last before it begins.
func TestASyncSaysHowLongItWillTake(t *testing.T) {
	t.Parallel()
	h := newHub(t, numbered(100)...)
	h.Fail(githubtest.Fault{Route: "PUT *", Status: 403, Message: "Resource not accessible by personal access token"})
	o := h.sync(t)
	o.counts(t, 0, 0, 100, 0)
	o.says(t, "100 secrets to write: at GitHub's limits of 80 writes a minute and 500 an hour, this takes at least 1m")
}
