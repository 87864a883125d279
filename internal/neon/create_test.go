package neon

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// creation is a server that makes a project or a branch of the name "x", one for each POST that reaches it whole.
type creation struct {
	mu   sync.Mutex
	made []object // of the name x
	// post answers the POST with that number, from 1 on, in place of the usual answer; it calls made to make one.
	post func(n int, w http.ResponseWriter, r *http.Request, made func())
	sent []string // the POSTs' bodies
}

func (c *creation) posts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

func (c *creation) body() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent[len(c.sent)-1]
}

func (c *creation) add(id string, created time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, object{"id": id, "name": "x", "created_at": created.UTC().Format(time.RFC3339Nano)})
}

func (c *creation) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := "project"
	if strings.Contains(r.URL.Path, "/branches") {
		kind = "branch"
	}
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.sent = append(c.sent, string(body))
		n := len(c.sent)
		c.mu.Unlock()
		if c.post != nil {
			c.post(n, w, r, func() { c.add("made", time.Now()) })
			return
		}
		c.add("made", time.Now())
		c.answer(w, kind)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/operations") {
		reply(w, object{"operations": []object{{"id": "2", "branch_id": "made"}, {"id": "0", "branch_id": "main"},
			{"id": "1", "branch_id": "made"}}})
		return
	}
	if r.URL.Query().Get("search") != "x" {
		fail(w, http.StatusBadRequest, "the whole list is not needed")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	others := object{"id": "xy", "name": "xy", "created_at": time.Now().UTC().Format(time.RFC3339Nano)}
	list := map[string]string{"project": "projects", "branch": "branches"}[kind]
	reply(w, object{list: append([]object{others}, c.made...)})
}

func (c *creation) answer(w http.ResponseWriter, kind string) {
	w.WriteHeader(http.StatusCreated)
	reply(w, object{
		kind:         object{"id": "made", "name": "x", "pg_version": 16},
		"operations": []object{{"id": "1", "action": "create_branch", "status": "running"}},
		"connection_uris": []object{
			{"connection_uri": "postgresql://other", "connection_parameters": object{"database": "other", "role": "me"}},
			{"connection_uri": "postgresql://app", "connection_parameters": object{"database": "app", "role": "me"}},
		},
	})
}

func TestCreateProject(t *testing.T) {
	c := &creation{}
	_, client := newAPI(t, c.ServeHTTP)
	got, err := client.CreateProject(t.Context(), ProjectSpec{
		Name: "x", OrgID: "org-a", Region: "aws-eu-central-1", PgVersion: 16, Database: "app", Role: "me",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &NewProject{
		URI: "postgresql://app", Operations: []Operation{{ID: "1", Action: "create_branch", Status: "running"}},
	}
	want.ID, want.Name, want.PgVersion = "made", "x", 16
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	const sent = `{"project":{"name":"x","org_id":"org-a","region_id":"aws-eu-central-1","pg_version":16,` +
		`"branch":{"database_name":"app","role_name":"me"}}}`
	if c.body() != sent {
		t.Errorf("sent %s, want %s", c.body(), sent)
	}
	var exists *ExistsError
	if _, err := client.CreateProject(t.Context(), ProjectSpec{Name: "x"}); !errors.As(err, &exists) ||
		exists.ID != "made" || exists.Remedy() == "" || c.posts() != 1 {
		t.Errorf("a second one: %v after %d POSTs", err, c.posts())
	}
	c = &creation{}
	_, client = newAPI(t, c.ServeHTTP)
	if _, err := client.CreateProject(t.Context(), ProjectSpec{Name: "x"}); err != nil ||
		c.body() != `{"project":{"name":"x","branch":{}}}` {
		t.Errorf("%v; sent %s", err, c.body())
	}
}

func TestCreateProjectNamesTheOrganizationOfAPersonalKey(t *testing.T) {
	var sent string
	_, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/v2/users/me/organizations":
			reply(w, object{"organizations": []object{{"id": "org-a", "name": "Acme"}}})
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			sent = string(body)
			w.WriteHeader(http.StatusCreated)
			reply(w, object{"project": object{"id": "made"}})
		case r.URL.Query().Get("org_id") == "":
			fail(w, http.StatusBadRequest, "org_id is required, you can find it on your organization settings page")
		default:
			reply(w, object{"projects": []object{}})
		}
	})
	got, err := client.CreateProject(t.Context(), ProjectSpec{Name: "x"})
	if err != nil || got.ID != "made" || got.URI != "" || !strings.Contains(sent, `"org_id":"org-a"`) {
		t.Errorf("%+v, %v; sent %s", got, err, sent)
	}
}

// Where Neon can't say whether there is one of the name, none is made.
func TestCreateProjectRefusesWhatItCannotSee(t *testing.T) {
	fakeClock(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			t.Error("made")
		case r.URL.Path == "/api/v2/projects":
			reply(w, object{"projects": []object{}, "unavailable_project_ids": []string{"p-1"}})
		default:
			fail(w, http.StatusForbidden, "")
		}
	}, func(t *testing.T, client *Client, _ *[]string) {
		if _, err := client.CreateProject(t.Context(), ProjectSpec{Name: "x"}); err == nil ||
			!strings.Contains(err.Error(), "[p-1]") {
			t.Errorf("%v", err)
		}
	})
}

func TestCreateBranch(t *testing.T) {
	c := &creation{}
	a, client := newAPI(t, c.ServeHTTP)
	at := time.Date(2026, 11, 22, 13, 0, 0, 999, time.FixedZone("", 3600))
	got, err := client.CreateBranch(t.Context(), "p/1", BranchSpec{Name: "x", ParentID: "br-main", ExpiresAt: at})
	want := &NewBranch{Branch{ID: "made", Name: "x"}, []Operation{{ID: "1", Action: "create_branch", Status: "running"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	const sent = `{"branch":{"name":"x","parent_id":"br-main","expires_at":"2026-11-22T12:00:00Z"},` +
		`"endpoints":[{"type":"read_write"}]}`
	if c.body() != sent {
		t.Errorf("sent %s, want %s", c.body(), sent)
	}
	if n := a.count("/projects/p%2F1/branches"); n != 2 {
		t.Errorf("%d calls on the escaped path, want 2", n)
	}
	var exists *ExistsError
	if _, err := client.CreateBranch(t.Context(), "p", BranchSpec{Name: "x"}); !errors.As(err, &exists) ||
		exists.ID != "made" || c.posts() != 1 {
		t.Errorf("a second one: %v after %d POSTs", err, c.posts())
	}
	c = &creation{}
	_, client = newAPI(t, c.ServeHTTP)
	if _, err := client.CreateBranch(t.Context(), "p", BranchSpec{Name: "x"}); err != nil ||
		!json.Valid([]byte(c.body())) || strings.Contains(c.body(), "expires_at") {
		t.Errorf("%v; sent %s", err, c.body())
	}
}

// What comes of a POST that goes wrong in every way: whether one is made, found and never asked for twice.
func TestCreatesOnceThroughEveryFault(t *testing.T) {
	drop := func() { panic(http.ErrAbortHandler) }
	type post = func(n int, w http.ResponseWriter, r *http.Request, made func())
	refuse := func(status, times int, message string) func(*creation) post {
		return func(c *creation) post {
			return func(n int, w http.ResponseWriter, r *http.Request, made func()) {
				if n <= times {
					fail(w, status, message)
					return
				}
				made()
				kind := "project"
				if strings.Contains(r.URL.Path, "/branches") {
					kind = "branch"
				}
				c.answer(w, kind)
			}
		}
	}
	always := func(p post) func(*creation) post { return func(*creation) post { return p } }
	for _, test := range []struct {
		name    string
		post    func(*creation) post
		posts   int
		found   bool // without the answer
		unknown bool
		says    string
	}{
		{name: "423", post: refuse(423, 3, "project already has running conflicting operations"), posts: 4},
		{name: "503", post: refuse(503, 2, ""), posts: 3},
		{name: "429", post: refuse(429, 2, ""), posts: 3},
		{name: "400", post: refuse(400, 1, "no"), posts: 1, says: "400 Bad Request: no"},
		{name: "409", post: refuse(409, 1, "exists"), posts: 1, says: "409 Conflict: exists"},
		{name: "503 for ever", post: refuse(503, 1000, ""), posts: 7, says: "503"},
		{name: "423 for ever", post: refuse(423, 10000, ""), posts: -1, says: "423"},
		{name: "dropped before", post: always(func(int, http.ResponseWriter, *http.Request, func()) { drop() }),
			posts: 1, unknown: true, says: "EOF"},
		{name: "dropped after", post: always(func(_ int, _ http.ResponseWriter, _ *http.Request, made func()) {
			made()
			drop()
		}), posts: 1, found: true},
		{name: "dropped in the answer", post: always(func(_ int, w http.ResponseWriter, _ *http.Request, made func()) {
			made()
			w.Header().Set("Content-Length", "100")
			w.WriteHeader(201)
			_ = http.NewResponseController(w).Flush()
			drop()
		}), posts: 1, found: true},
		{name: "dropped and made later", post: always(func(_ int, _ http.ResponseWriter, _ *http.Request, made func()) {
			time.AfterFunc(6*time.Second, made)
			drop()
		}), posts: 1, found: true},
		{name: "524 and made", post: always(func(_ int, w http.ResponseWriter, _ *http.Request, made func()) {
			made()
			w.WriteHeader(524)
		}), posts: 1, found: true},
		{name: "500 and not made", post: always(func(_ int, w http.ResponseWriter, _ *http.Request, _ func()) {
			w.WriteHeader(500)
		}), posts: 1, unknown: true, says: "500"},
		{name: "an answer of something else", post: always(func(_ int, w http.ResponseWriter, _ *http.Request, made func()) {
			made()
			_, _ = w.Write([]byte("<html>"))
		}), posts: 1, found: true},
		{name: "an answer without an id", post: always(func(_ int, w http.ResponseWriter, _ *http.Request, _ func()) {
			reply(w, object{})
		}), posts: 1, unknown: true, says: "does not have the id"},
		{name: "no answer", post: always(func(_ int, _ http.ResponseWriter, r *http.Request, made func()) {
			made()
			<-r.Context().Done()
		}), posts: 1, found: true},
	} {
		for _, kind := range []string{"project", "branch"} {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				c := &creation{}
				c.post = test.post(c)
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
			})
		}
	}
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

func TestCreateTakesNothingForItsOwnThatIsNot(t *testing.T) {
	for _, test := range []struct {
		name string
		made func(c *creation)
		says string
	}{
		{"renamed meanwhile", func(c *creation) { c.add("old", time.Now().Add(-time.Hour)) },
			`it is not known whether project "x" was created`},
		{"two at once", func(c *creation) { c.add("a", time.Now()); c.add("b", time.Now()) },
			`project "x" could be any of several new ones (a, b): `},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &creation{}
			c.post = func(int, http.ResponseWriter, *http.Request, func()) { test.made(c); panic(http.ErrAbortHandler) }
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
	c := &creation{}
	c.post = func(n int, w http.ResponseWriter, _ *http.Request, made func()) {
		if n < 4 {
			fail(w, 422, notReady)
			return
		}
		made()
		c.answer(w, "branch")
	}
	fakeClock(t, c.ServeHTTP, func(t *testing.T, client *Client, _ *[]string) {
		start := time.Now()
		if _, err := client.CreateBranch(t.Context(), "p", BranchSpec{Name: "x"}); err != nil ||
			time.Since(start) != 6*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// A context that ends while a POST is under way: what was made is known, or was not made.
func TestCreateStops(t *testing.T) {
	type post = func(n int, w http.ResponseWriter, r *http.Request, made func())
	wait := func(d time.Duration, p post) post {
		return func(n int, w http.ResponseWriter, r *http.Request, made func()) { time.Sleep(d); p(n, w, r, made) }
	}
	for _, test := range []struct {
		name  string
		post  func(*creation) post
		stop  time.Duration
		took  time.Duration // after stop, at most
		id    string
		posts int
		says  string
	}{
		{name: "before", stop: 0, says: "by hand"},
		{name: "answered in time", post: func(c *creation) post {
			return wait(3*time.Second, func(_ int, w http.ResponseWriter, _ *http.Request, made func()) {
				made()
				c.answer(w, "branch")
			})
		}, stop: time.Second, took: 2 * time.Second, id: "made", posts: 1},
		{name: "made, and never answered", post: func(*creation) post {
			return func(_ int, _ http.ResponseWriter, r *http.Request, made func()) { made(); <-r.Context().Done() }
		}, stop: time.Second, took: answerGrace, id: "made", posts: 1},
		{name: "made late", post: func(*creation) post {
			return func(_ int, _ http.ResponseWriter, r *http.Request, made func()) {
				time.AfterFunc(4*time.Second-searchInterval/2, made) // between two looks
				<-r.Context().Done()
			}
		}, stop: time.Second, took: answerGrace + searchInterval, id: "made", posts: 1},
		{name: "made too late", post: func(*creation) post {
			return func(_ int, _ http.ResponseWriter, r *http.Request, _ func()) { <-r.Context().Done() }
		}, stop: time.Second, took: searchGrace, posts: 1, says: `it is not known whether branch "x" was created`},
		{name: "refused for now", post: func(*creation) post {
			return func(_ int, w http.ResponseWriter, _ *http.Request, _ func()) {
				w.Header().Set("Retry-After", "60")
				fail(w, 423, "")
			}
		}, stop: time.Second, posts: 1, says: "context canceled"},
		{name: "refused after the stop", post: func(*creation) post {
			return wait(2*time.Second, func(_ int, w http.ResponseWriter, _ *http.Request, _ func()) {
				w.Header().Set("Retry-After", "60")
				fail(w, 423, "")
			})
		}, stop: time.Second, took: time.Second + bodyGrace, posts: 1, says: "context canceled"},
		{name: "while looking", post: func(*creation) post {
			return func(int, http.ResponseWriter, *http.Request, func()) { panic(http.ErrAbortHandler) }
		}, stop: 2 * time.Second, took: searchGrace, posts: 1, says: `it is not known whether branch "x" was created`},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &creation{}
			if test.post != nil {
				c.post = test.post(c)
			}
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
				if errors.As(err, &e) && e.Status == 0 && e.Remedy() != "" && test.name != "while looking" {
					t.Errorf("what was stopped has the remedy %q", e.Remedy())
				}
			})
		})
	}
}

func TestDelete(t *testing.T) {
	for _, test := range []struct {
		name  string
		fails []int // statuses of the first answers; 0 drops
		last  int
		calls int
		says  string
	}{
		{"there", nil, 200, 1, ""},
		{"gone", nil, 204, 1, ""},
		{"busy", []int{423, 503}, 200, 3, ""},
		{"dropped, 524", []int{0, 524}, 204, 3, ""},
		{"dropped for ever", []int{0, 0, 0, 0}, 200, 3, "EOF"},
		{"refused", nil, 422, 1, "cannot delete"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fails := test.fails
			fakeClock(t, func(w http.ResponseWriter, _ *http.Request) {
				status := test.last
				if len(fails) > 0 {
					status, fails = fails[0], fails[1:]
				}
				switch status {
				case 0:
					panic(http.ErrAbortHandler)
				case 200:
					reply(w, object{"branch": object{}})
				case 204:
					w.WriteHeader(status)
				default:
					fail(w, status, "cannot delete")
				}
			}, func(t *testing.T, client *Client, calls *[]string) {
				err := client.DeleteBranch(t.Context(), "p", "br")
				if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v", err)
				}
				if len(*calls) != test.calls || (*calls)[0] != "DELETE /projects/p/branches/br" {
					t.Errorf("calls %v, want %d", *calls, test.calls)
				}
			})
		})
	}
	a, client := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { reply(w, object{"project": object{}}) })
	if err := client.DeleteProject(t.Context(), "p"); err != nil || a.calls[0] != "/api/v2/projects/p" {
		t.Errorf("%v, %v", err, a.calls)
	}
}
