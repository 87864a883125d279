package neon

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// createTest is a creation of a project and of a branch.
type createTest struct {
	name    string
	post    func(posted)
	posts   int    // -1: any number
	found   bool   // by a search
	unknown bool   // whether there is one
	says    string // empty: it succeeds
}

// A POST may go wrong in any way: one resource is created at most, and found if it was created.
func TestCreatesOnceThroughEveryFault(t *testing.T) {
	refuse := func(status, times int, message string) func(posted) {
		return func(p posted) {
			if p.n <= times {
				fail(p.w, status, message)
				return
			}
			p.succeed()
		}
	}
	for _, test := range []createTest{
		{name: "423", post: refuse(423, 3, "project already has running conflicting operations"), posts: 4},
		{name: "503", post: refuse(503, 2, ""), posts: 3},
		{name: "429", post: refuse(429, 2, ""), posts: 3},
		{name: "400", post: refuse(400, 1, "no"), posts: 1, says: "400 Bad Request: no"},
		{name: "409", post: refuse(409, 1, "exists"), posts: 1, says: "409 Conflict: exists"},
		{name: "503 for ever", post: refuse(503, 1000, ""), posts: 7, says: "503"},
		{name: "423 for ever", post: refuse(423, 10000, ""), posts: -1, says: "423"},
		{name: "dropped before", post: func(p posted) { p.drop() }, posts: 1, unknown: true, says: "EOF"},
		{name: "dropped after", post: func(p posted) { p.create(); p.drop() }, posts: 1, found: true},
		{name: "dropped in the answer", post: func(p posted) {
			p.create()
			p.w.Header().Set("Content-Length", "100")
			p.w.WriteHeader(201)
			_ = http.NewResponseController(p.w).Flush()
			p.drop()
		}, posts: 1, found: true},
		{name: "dropped and created later", post: func(p posted) {
			time.AfterFunc(6*time.Second, p.create)
			p.drop()
		}, posts: 1, found: true},
		{name: "524 and created", post: func(p posted) { p.create(); p.w.WriteHeader(524) }, posts: 1, found: true},
		{name: "500 and not created", post: func(p posted) { p.w.WriteHeader(500) }, posts: 1, unknown: true, says: "500"},
		{name: "an answer of something else", post: func(p posted) {
			p.create()
			_, _ = p.w.Write([]byte("<html>"))
		}, posts: 1, found: true},
		{name: "an answer without an id", post: func(p posted) { reply(p.w, object{}) }, posts: 1, unknown: true,
			says: "does not have the id"},
		{name: "no answer", post: func(p posted) { p.create(); p.hang() }, posts: 1, found: true},
	} {
		for _, kind := range []string{"project", "branch"} {
			t.Run(test.name+"/"+kind, func(t *testing.T) { test.run(t, kind) })
		}
	}
}

func (test createTest) run(t *testing.T, kind string) {
	c := &creation{post: test.post}
	fakeClock(t, c.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
		id, operations, found, err := create(t.Context(), client, kind)
		if test.posts >= 0 && c.posts() != test.posts {
			t.Errorf("asked %d times, want %d", c.posts(), test.posts)
		}
		if test.says != "" {
			var unknown *UnknownOutcomeError
			if err == nil || !strings.Contains(err.Error(), test.says) || errors.As(err, &unknown) != test.unknown {
				t.Fatalf("error is %v", err)
			}
			if unknown != nil && !strings.Contains(unknown.Remedy(), kind+` named "x"`) {
				t.Errorf("remedy is %q", unknown.Remedy())
			}
			return
		}
		if err != nil || id != "made" || len(c.made) != 1 || kind == "project" && found != test.found {
			t.Fatalf("%q, found %t, %v; %d made", id, found, err, len(c.made))
		}
		want := []string{"1"}
		if test.found {
			want = map[string][]string{"project": {"1", "0", "2"}, "branch": {"1", "2"}}[kind]
		}
		var got []string
		for _, o := range operations {
			got = append(got, o.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("operations:\n%s", diff)
		}
	})
}

func create(ctx context.Context, client *Client, kind string) (
	id string, operations []Operation, found bool, err error,
) {
	if kind == "project" {
		p, err := client.CreateProject(ctx, ProjectSpec{Name: "x", Database: "app", Role: "me"})
		if err != nil {
			return "", nil, false, err
		}
		return p.ID, p.Operations, p.Found, nil
	}
	b, err := client.CreateBranch(ctx, "p", BranchSpec{Name: "x"})
	if err != nil {
		return "", nil, false, err
	}
	return b.ID, b.Operations, false, nil
}

func TestCreateDoesNotClaimWhatIsNotItsOwn(t *testing.T) {
	for _, test := range []struct {
		name string
		made func(c *creation)
		says string
	}{
		{"renamed in the meantime", func(c *creation) { c.add("old", time.Now().Add(-time.Hour)) },
			`it is not known whether project "x" was created`},
		{"two at once", func(c *creation) { c.add("a", time.Now()); c.add("b", time.Now()) },
			`project "x" could be any of several new ones (a, b): `},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &creation{post: func(p posted) { test.made(p.server); p.drop() }}
			fakeClock(t, c.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
				_, err := client.CreateProject(t.Context(), ProjectSpec{Name: "x"})
				if err == nil || !strings.Contains(err.Error(), test.says) || !errors.As(err, new(*UnknownOutcomeError)) {
					t.Errorf("error is %v, want one that says %q", err, test.says)
				}
			})
		})
	}
}

func TestCreateWaitsForAParentThatIsNotReady(t *testing.T) {
	c := &creation{post: func(p posted) {
		if p.n < 4 {
			fail(p.w, 422, notReady)
			return
		}
		p.succeed()
	}}
	fakeClock(t, c.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
		start := time.Now()
		_, err := client.CreateBranch(t.Context(), "p", BranchSpec{Name: "x"})
		if took := time.Since(start); err != nil || took != 6*time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// A branch of the name that has another parent or another end is not the one that was asked for.
func TestCreateBranchDoesNotClaimAnother(t *testing.T) {
	for _, spec := range []BranchSpec{{Name: "x", ParentID: "br-main"}, {Name: "x", ExpiresAt: time.Now()}} {
		c := &creation{post: func(p posted) { p.create(); p.drop() }}
		fakeClock(t, c.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
			_, err := client.CreateBranch(t.Context(), "p", spec)
			if !errors.As(err, new(*UnknownOutcomeError)) {
				t.Errorf("%+v: %v", spec, err)
			}
		})
	}
}

// stopTest is the creation of a branch whose context ends.
type stopTest struct {
	name   string
	post   func(posted)
	stop   time.Duration // when the context ends
	took   time.Duration // after stop, at most
	id     string
	posts  int
	says   string
	remedy bool // of the API's own error
}

// If the context ends during a POST, either the result is known, or nothing was created.
func TestCreateStops(t *testing.T) {
	busy := func(p posted) {
		p.w.Header().Set("Retry-After", "60")
		fail(p.w, 423, "")
	}
	const unknown = `it is not known whether branch "x" was created`
	for _, test := range []stopTest{
		{name: "before", stop: 0, says: "by hand"},
		{name: "answered in time", post: func(p posted) { time.Sleep(3 * time.Second); p.succeed() },
			stop: time.Second, took: 2 * time.Second, id: "made", posts: 1},
		{name: "created, and never answered", post: func(p posted) { p.create(); p.hang() },
			stop: time.Second, took: answerGrace, id: "made", posts: 1},
		{name: "created late", post: func(p posted) {
			time.AfterFunc(4*time.Second-searchInterval/2, p.create) // between two searches
			p.hang()
		}, stop: time.Second, took: answerGrace + searchInterval, id: "made", posts: 1},
		{name: "never created", post: func(p posted) { p.hang() },
			stop: time.Second, took: searchGrace, posts: 1, says: unknown},
		{name: "refused for now", post: busy, stop: time.Second, posts: 1, says: "context canceled"},
		{name: "refused after the stop", post: func(p posted) { time.Sleep(2 * time.Second); busy(p) },
			stop: time.Second, took: time.Second + bodyGrace, posts: 1, says: "context canceled"},
		{name: "while searching", post: func(p posted) { p.drop() },
			stop: 2 * time.Second, took: searchGrace, posts: 1, says: unknown, remedy: true},
	} {
		t.Run(test.name, test.run)
	}
}

func (test stopTest) run(t *testing.T) {
	c := &creation{post: test.post}
	fakeClock(t, c.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		start := time.Now()
		if test.stop == 0 {
			cancel(errors.New("by hand"))
		} else {
			time.AfterFunc(test.stop, func() { cancel(errors.New("by hand")) })
		}
		id, _, _, err := create(ctx, client, "branch")
		took := time.Since(start) - test.stop
		if took > test.took || c.posts() != test.posts {
			t.Errorf("%s after the stop, %d POSTs; want at most %s, %d", took, c.posts(), test.took, test.posts)
		}
		if id != test.id || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q, %v; want %q, %q", id, err, test.id, test.says)
		}
		var e *Error
		if errors.As(err, &e) && e.Status == 0 && (e.Remedy() != "") != test.remedy {
			t.Errorf("its remedy is %q", e.Remedy())
		}
	})
}
