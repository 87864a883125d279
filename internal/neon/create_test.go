package neon

import (
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

// creation is a server that creates a project or a branch of the name "x" for each POST.
type creation struct {
	mu   sync.Mutex
	made []object     // of the name x
	post func(posted) // answers a POST; nil: posted.succeed
	sent []string     // the bodies of the POSTs
}

// posted is a POST that has reached the server.
type posted struct {
	server *creation
	n      int // from 1 on
	w      http.ResponseWriter
	r      *http.Request
}

func (p posted) create()  { p.server.add("made", time.Now()) }
func (p posted) succeed() { p.create(); p.answer() }
func (p posted) hang()    { <-p.r.Context().Done() }
func (p posted) drop()    { panic(http.ErrAbortHandler) }

func (p posted) kind() string {
	if strings.Contains(p.r.URL.Path, "/branches") {
		return "branch"
	}
	return "project"
}

func (p posted) answer() {
	p.w.WriteHeader(http.StatusCreated)
	reply(p.w, object{
		p.kind():     object{"id": "made", "name": "x", "pg_version": 16},
		"operations": []object{{"id": "1", "action": "create_branch", "status": "running"}},
		"connection_uris": []object{
			{"connection_uri": "postgresql://other", "connection_parameters": object{"database": "other", "role": "me"}},
			{"connection_uri": "postgresql://app", "connection_parameters": object{"database": "app", "role": "me"}},
		},
	})
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
	switch {
	case r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		c.sent = append(c.sent, string(body))
		p := posted{c, len(c.sent), w, r}
		c.mu.Unlock()
		switch {
		case c.post != nil:
			c.post(p)
		case p.kind() == "branch" && len(c.made) > 0:
			fail(w, http.StatusConflict, "branch already exists")
		default:
			p.succeed()
		}
	case strings.HasSuffix(r.URL.Path, "/operations"):
		reply(w, object{"operations": []object{
			{"id": "2", "branch_id": "made"}, {"id": "0", "branch_id": "main"}, {"id": "1", "branch_id": "made"},
		}})
	case r.URL.Query().Get("search") != "x":
		fail(w, http.StatusBadRequest, "the whole list is not needed")
	default:
		c.mu.Lock()
		defer c.mu.Unlock()
		other := object{"id": "xy", "name": "xy", "created_at": time.Now().UTC().Format(time.RFC3339Nano)}
		list := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		reply(w, object{list: append([]object{other}, c.made...)})
	}
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

// What is given is sent, zeros included; the rest is Neon's choice.
func TestCreateProjectSendsItsSettings(t *testing.T) {
	c := &creation{}
	_, client := newAPI(t, c.ServeHTTP)
	spec := ProjectSpec{Name: "x", Settings: ProjectSettings{
		Compute: ComputeSettings{MinUnits: new(0.25), SuspendSeconds: new(int64(0))}, HistorySeconds: new(int64(0)),
	}}
	spec.Settings.Settings.Quota.LogicalSizeBytes = new(int64(1 << 33))
	_, err := client.CreateProject(t.Context(), spec)
	const sent = `{"project":{"name":"x","branch":{},"default_endpoint_settings":{"autoscaling_limit_min_cu":0.25,` +
		`"suspend_timeout_seconds":0},"history_retention_seconds":0,"settings":{"quota":{"logical_size_bytes":8589934592}}}}`
	if err != nil || c.body() != sent {
		t.Errorf("%v; sent %s, want %s", err, c.body(), sent)
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

// If Neon cannot tell whether there is one of that name, none is created.
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
	got, err := client.CreateBranch(t.Context(), "p/1", BranchSpec{
		Name: "x", ParentID: "br-main", ExpiresAt: at, Database: "app", Role: "me",
	})
	want := &NewBranch{Branch{ID: "made", Name: "x"}, "postgresql://app",
		[]Operation{{ID: "1", Action: "create_branch", Status: "running"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v\n%s", err, diff)
	}
	const sent = `{"branch":{"name":"x","parent_id":"br-main","expires_at":"2026-11-22T12:00:00Z"},` +
		`"endpoints":[{"type":"read_write"}]}`
	if c.body() != sent {
		t.Errorf("sent %s, want %s", c.body(), sent)
	}
	if n := a.count("/projects/p%2F1/branches"); n != 1 {
		t.Errorf("%d calls on the escaped path, want 1", n)
	}
	var exists *ExistsError
	if _, err := client.CreateBranch(t.Context(), "p", BranchSpec{Name: "x"}); !errors.As(err, &exists) ||
		exists.ID != "made" || len(c.made) != 1 {
		t.Errorf("a second one: %v, %d made", err, len(c.made))
	}
	c = &creation{}
	_, client = newAPI(t, c.ServeHTTP)
	if _, err := client.CreateBranch(t.Context(), "p", BranchSpec{Name: "x"}); err != nil ||
		!json.Valid([]byte(c.body())) || strings.Contains(c.body(), "expires_at") {
		t.Errorf("%v; sent %s", err, c.body())
	}
}

func TestCreateBranchFromThePast(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 0, 0, 5000, time.FixedZone("", 3600))
	for _, test := range []struct {
		spec BranchSpec
		sent string
	}{
		{BranchSpec{Name: "x", ParentTime: at, NoCompute: true},
			`{"branch":{"name":"x","parent_timestamp":"2026-11-22T12:00:00.000005Z"}}`},
	} {
		c := &creation{}
		_, client := newAPI(t, c.ServeHTTP)
		if _, err := client.CreateBranch(t.Context(), "p", test.spec); err != nil || c.body() != test.sent {
			t.Errorf("%v; sent %s, want %s", err, c.body(), test.sent)
		}
	}
}
