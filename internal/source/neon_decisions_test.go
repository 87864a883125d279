package source

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/httpx"
	"github.com/org/neon-tenants-action/internal/neon"
)

// Two runs that created a project of one name at the same time come to the same end, whatever either listing shows.
func TestDecideWhichProjectIsKept(t *testing.T) {
	at := func(id string, second int) neon.Project {
		return neon.Project{ID: id, CreatedAt: time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)}
	}
	own := func(p neon.Project, found bool) *neon.NewProject { return &neon.NewProject{Project: p, Found: found} }
	a, b, twin := at("a", 1), at("b", 2), at("c", 1)
	for name, c := range map[string]struct {
		listed []neon.Project
		own    *neon.NewProject
		want   settlement
		first  string
	}{
		"before: none":              {want: settled},
		"before: one":               {listed: []neon.Project{b}, want: settled, first: "b"},
		"before: two":               {listed: []neon.Project{b, a}, want: waitForOther, first: "a"},
		"only its own":              {listed: []neon.Project{a}, own: own(a, false), want: settled, first: "a"},
		"its own is not listed yet": {own: own(a, false), want: settled, first: "a"},
		"its own is first": {listed: []neon.Project{b, a}, own: own(a, false), want: waitForOther,
			first: "a"},
		"its own is second": {listed: []neon.Project{b, a}, own: own(b, false), want: deleteOwn,
			first: "a"},
		"second and not listed yet": {listed: []neon.Project{a}, own: own(b, false), want: deleteOwn, first: "a"},
		"first and not listed yet": {listed: []neon.Project{b}, own: own(a, false), want: waitForOther,
			first: "a"},
		"in the same second, by id": {listed: []neon.Project{twin, a}, own: own(twin, false), want: deleteOwn,
			first: "a"},
		"in the same second, the other": {listed: []neon.Project{twin, a}, own: own(a, false), want: waitForOther,
			first: "a"},
		"second, but perhaps not its own": {listed: []neon.Project{b, a}, own: own(b, true), want: waitForOther,
			first: "a"},
	} {
		named := oldestFirst(c.listed, c.own)
		if got := decide(named, c.own); got != c.want || c.first != "" && named[0].ID != c.first {
			t.Errorf("%s: got %d of %v, want %d with %s first", name, got, named, c.want, c.first)
		}
	}
}

func answered(status int, method, message string) error {
	return &neon.Error{APIError: httpx.APIError{Status: status, Method: method, Message: message}}
}

func limited(code string) error {
	return &neon.Error{APIError: httpx.APIError{Status: 422, Method: http.MethodPost}, Code: code}
}

func TestFinalRefusals(t *testing.T) {
	for status, want := range map[int]bool{
		400: true, 401: true, 403: true, 404: true, 422: true,
		http.StatusLocked: false, http.StatusTooManyRequests: false, 500: false, 503: false, 0: false, 200: false,
	} {
		if got := final(answered(status, http.MethodDelete, "")); got != want {
			t.Errorf("%d: got %t", status, got)
		}
	}
	if final(errors.New("connection refused")) {
		t.Error("what is no answer of Neon's is final")
	}
}

func TestRemediesOfAPIErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err            error
		reading, other string // the beginning of the remedy for a call that reads, and for one that changes something
	}{
		"no answer": {err: errors.New("connection refused")},
		"unauthorized": {err: answered(401, http.MethodPost, ""), reading: "neon-api-key is wrong",
			other: "neon-api-key is wrong"},
		"forbidden": {err: answered(403, http.MethodPost, ""), reading: "the key in neon-api-key may not see this",
			other: "the key in neon-api-key may not change this"},
		"not found": {err: answered(404, http.MethodPost, ""), reading: "the key in neon-api-key may not see this",
			other: "the key in neon-api-key may not see this"},
		"another page": {err: answered(200, http.MethodPost, ""), reading: "something other than the Neon API",
			other: "something other than the Neon API"},
		"plan's limit": {err: answered(422, http.MethodPost, "branches limit exceeded"),
			other: "the plan's limit is reached"},
		"plan's limit of projects": {err: limited("PROJECTS_LIMIT_EXCEEDED"), other: "the account has as many projects as"},
		"plan's limit of branches": {err: limited("BRANCHES_LIMIT_EXCEEDED"), other: "the project has as many branches as"},
		"rate limit": {err: answered(429, http.MethodPost, "rate limit exceeded"), reading: "the account stayed over",
			other: "the account stayed over"},
		"reading, 403": {err: answered(403, http.MethodGet, ""), reading: "the key in neon-api-key may not see this",
			other: "the key in neon-api-key may not see this"},
		"server's fault": {err: answered(500, http.MethodPost, ""), reading: "Neon has a problem",
			other: "Neon has a problem"},
	} {
		for _, one := range []struct{ got, want string }{
			{fleet.Remedy(keyRemedy(c.err)), c.reading}, {fleet.Remedy(changeRemedy(c.err)), c.other},
		} {
			if (one.got == "") != (one.want == "") || !strings.HasPrefix(one.got, one.want) {
				t.Errorf("%s: got %q, want %q", name, one.got, one.want)
			}
		}
	}
	if keyRemedy(nil) != nil || changeRemedy(nil) != nil {
		t.Error("no error has a remedy")
	}
}

func TestWithRemains(t *testing.T) {
	failed, refused := fleet.WithRemedy(errors.New("no compute"), "raise the plan"), errors.New("423")
	err := withRemains(failed, `branch "x" (br-1)`, refused)
	if err.Error() != `no compute; branch "x" (br-1) is left: 423` || !errors.Is(err, failed) ||
		!errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if want := `raise the plan; and delete branch "x" (br-1) in Neon's console if nothing uses it`; fleet.Remedy(
		err) != want {
		t.Errorf("remedy %q, want %q", fleet.Remedy(err), want)
	}
}

// The causes in the order in which they are looked for; TestNeonDiagnose has the calls around them.
func TestComputeCause(t *testing.T) {
	timeout, waking := errors.New("connect: i/o timeout"), errors.New("FATAL: Couldn't connect to compute node")
	limited := func(protectedOnly bool) (p neon.Project) {
		p.Settings.AllowedIPs.IPs, p.Settings.AllowedIPs.ProtectedBranchesOnly = []string{"10.0.0.0/8"}, protectedOnly
		return p
	}
	compute := func(state string, disabled bool) []neon.Endpoint {
		return []neon.Endpoint{{ID: "ep-r", Type: "read_only", Disabled: true},
			{ID: "ep-a", Type: "read_write", State: state, Disabled: disabled}}
	}
	for name, c := range map[string]struct {
		project   neon.Project
		branch    neon.Branch
		endpoints []neon.Endpoint
		err       error
		cause     string // empty: none
	}{
		"nothing to find": {endpoints: compute("active", false), err: timeout},
		"no compute": {branch: neon.Branch{Name: "dev"}, err: timeout,
			cause: `branch "dev" has no read-write compute`},
		"only a read replica": {endpoints: compute("", false)[:1], err: timeout,
			cause: "has no read-write compute"},
		"disabled": {project: limited(false), endpoints: compute("idle", true),
			err: timeout, cause: disabled},
		"allow list": {project: limited(false), endpoints: compute("idle", false),
			err: timeout, cause: allowList},
		"allow list, let in": {project: limited(false), endpoints: compute("active", false),
			err: waking},
		"allow list of protected branches": {project: limited(true), endpoints: compute("active", false),
			err: timeout},
		"allow list, and the branch is protected": {project: limited(true), branch: neon.Branch{Protected: true},
			endpoints: compute("active", false), err: timeout, cause: allowList},
		"suspended": {endpoints: compute("idle", false), err: waking,
			cause: "compute ep-a is suspended"},
		"starting": {endpoints: compute("init", false), err: waking,
			cause: "compute ep-a was still starting"},
	} {
		d := computeCause(c.project, c.branch, c.endpoints, c.err)
		switch {
		case (d == nil) != (c.cause == ""):
			t.Errorf("%s: got %v, want %q", name, d, c.cause)
		case d != nil && (!strings.Contains(d.cause, c.cause) || d.remedy == "" || !errors.Is(d, c.err)):
			t.Errorf("%s: got %v (%s), want %q", name, d, d.remedy, c.cause)
		}
	}
}

func TestRegionLike(t *testing.T) {
	for text, want := range map[string]string{
		"eu-central-1": "aws-eu-central-1", "AWS-US-East-2": "aws-us-east-2", "us-west-2": "aws-us-west-2",
		"Azure-EastUS2": "azure-eastus2",
		"Frankfurt":     "aws-eu-central-1", "": "aws-eu-central-1", "gcp-x": "aws-eu-central-1", "aws-": "aws-eu-central-1",
	} {
		if got := regionLike(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
