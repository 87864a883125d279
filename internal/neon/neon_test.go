package neon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/httpx"
)

const testKey = "napi_test"

// api is a server that answers by path, and counts.
type api struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string // method, path and query
}

func newAPI(t *testing.T, handler func(w http.ResponseWriter, r *http.Request)) (*api, *Client) {
	t.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.calls = append(a.calls, r.URL.RequestURI())
		a.mu.Unlock()
		if r.Header.Get("Authorization") != "Bearer "+testKey {
			fail(w, http.StatusUnauthorized, "supplied credentials do not pass authentication")
			return
		}
		handler(w, r)
	}))
	t.Cleanup(a.Close)
	o := httpx.Options{Retries: 1, AttemptTimeout: 5 * time.Second}
	return a, New(Options{BaseURL: a.URL + "/api/v2/", Key: testKey, HTTP: httpx.New(o).HTTP()})
}

// count returns how many calls had that prefix.
func (a *api) count(prefix string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, c := range a.calls {
		if strings.HasPrefix(c, "/api/v2"+prefix) {
			n++
		}
	}
	return n
}

func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	reply(w, map[string]any{"request_id": "58fd7378-0000", "code": "", "message": message})
}

func reply(w http.ResponseWriter, body any) { _ = json.NewEncoder(w).Encode(body) }

type object = map[string]any

func project(i int) object {
	return object{"id": fmt.Sprintf("p-%d", i), "name": fmt.Sprintf("tenant %d", i)}
}

func ids(projects []Project) []string {
	var out []string
	for _, p := range projects {
		out = append(out, p.ID)
	}
	return out
}

func TestProjectsFollowsEveryShapeOfPaging(t *testing.T) {
	cursor := func(c string) object { return object{"cursor": c} }
	for _, test := range []struct {
		name    string
		pages   map[string]object // by cursor
		want    []string
		missing []string
		says    string
	}{
		{"none", map[string]object{"": {"projects": []object{}}}, nil, nil, ""},
		{"last page without a cursor", map[string]object{
			"":  {"projects": []object{project(1), project(2)}, "pagination": cursor("2")},
			"2": {"projects": []object{project(3)}},
		}, []string{"p-1", "p-2", "p-3"}, nil, ""},
		{"every page with a cursor, then an empty one", map[string]object{
			"": {"projects": []object{project(1)},
				"pagination": cursor("2022-12-07T00:45:05.262011Z+a/b")},
			"2022-12-07T00:45:05.262011Z+a/b": {"projects": []object{project(2)}, "pagination": cursor("end")},
			"end":                             {"projects": []object{}},
		}, []string{"p-1", "p-2"}, nil, ""},
		{"an empty page that still has a cursor", map[string]object{
			"":  {"projects": []object{project(1)}, "pagination": cursor("x")},
			"x": {"projects": []object{}, "pagination": cursor("y")},
		}, []string{"p-1"}, nil, ""},
		{"a project on two pages", map[string]object{
			"":  {"projects": []object{project(1), project(2)}, "pagination": cursor("x")},
			"x": {"projects": []object{project(2), project(3)}},
		}, []string{"p-1", "p-2", "p-3"}, nil, ""},
		{"a page of unavailable projects only", map[string]object{
			"":  {"projects": []object{project(1)}, "pagination": cursor("x")},
			"x": {"projects": []object{}, "unavailable_project_ids": []string{"p-7", "p-1"}, "pagination": cursor("y")},
			"y": {"projects": []object{project(3)}},
		}, []string{"p-1", "p-3", "p-7"}, nil, ""},
		{"unavailable and since deleted", map[string]object{
			"": {"projects": []object{project(1)}, "unavailable_project_ids": []string{"gone"}},
		}, []string{"p-1"}, nil, ""},
		{"a cursor that comes again", map[string]object{
			"":  {"projects": []object{project(1)}, "pagination": cursor("x")},
			"x": {"projects": []object{project(2)}, "pagination": cursor("y")},
			"y": {"projects": []object{project(3)}, "pagination": cursor("x")},
		}, nil, nil, "twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
				if id, one := strings.CutPrefix(r.URL.Path, "/api/v2/projects/"); one {
					if id == "gone" {
						fail(w, http.StatusNotFound, "project not found")
						return
					}
					reply(w, object{"project": object{"id": id}})
					return
				}
				if q := r.URL.Query(); q.Get("limit") != "400" || q.Get("org_id") != "org-a" {
					t.Errorf("query is %s", r.URL.RawQuery)
				}
				reply(w, test.pages[r.URL.Query().Get("cursor")])
			})
			got, missing, err := client.Projects(t.Context(), "org-a")
			if test.says != "" {
				if err == nil || !strings.Contains(err.Error(), test.says) {
					t.Errorf("error is %v, want one that says %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, ids(got)); diff != "" {
				t.Errorf("projects:\n%s", diff)
			}
			if len(missing) != len(test.missing) {
				t.Errorf("missing %v", missing)
			}
		})
	}
}

func TestProjectsReadsUnavailableOnesInRounds(t *testing.T) {
	var mu sync.Mutex
	tries := map[string]int{}
	_, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		id, one := strings.CutPrefix(r.URL.Path, "/api/v2/projects/")
		if !one {
			reply(w, object{"projects": []object{project(1)}, "unavailable_project_ids": []string{"late", "never", "late"}})
			return
		}
		mu.Lock()
		tries[id]++
		n := tries[id]
		mu.Unlock()
		if id == "never" || n < 2 {
			fail(w, http.StatusInternalServerError, "not now")
			return
		}
		reply(w, object{"project": object{"id": id}})
	})
	got, missing, err := client.Projects(t.Context(), "")
	if err != nil || !slices.Equal(ids(got), []string{"p-1", "late"}) || !slices.Equal(missing, []string{"never"}) {
		t.Errorf("found %v, missing %v, %v", ids(got), missing, err)
	}
	if n := tries["never"]; n != 6 {
		t.Errorf("the missing project was asked for %d times, want 3 rounds of 2 attempts", n)
	}
}

func TestProjectsStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v2/projects" {
			cancel()
			fail(w, http.StatusInternalServerError, "")
			return
		}
		reply(w, object{"projects": []object{project(1)}, "unavailable_project_ids": []string{"a", "b", "c"}})
	})
	if _, missing, err := client.Projects(ctx, ""); !errors.Is(err, context.Canceled) || len(missing) != 3 {
		t.Errorf("missing %v, error %v", missing, err)
	}
}

func TestProjectsResolvesTheOrganization(t *testing.T) {
	for _, test := range []struct {
		name string
		orgs []object
		says string
	}{
		{"one", []object{{"id": "org-a", "name": "Acme"}}, ""},
		{"several", []object{{"id": "org-a", "name": "Acme"}, {"id": "org-b", "name": "Beta"}},
			"the API key sees 2 organizations: org-a (Acme), org-b (Beta)"},
		{"none", nil, "the API key sees no organization"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/api/v2/users/me/organizations":
					reply(w, object{"organizations": test.orgs})
				case r.URL.Query().Get("org_id") == "":
					fail(w, http.StatusBadRequest, "org_id is required, you can find it on your organization settings page")
				case r.URL.Query().Get("org_id") == "org-a":
					reply(w, object{"projects": []object{project(1)}})
				}
			})
			got, _, err := client.Projects(t.Context(), "")
			if test.says != "" {
				if err == nil || err.Error() != test.says || !errors.As(err, new(*OrgError)) {
					t.Errorf("error is %v, want %q", err, test.says)
				}
				return
			}
			if err != nil || len(got) != 1 || a.count("/projects") != 2 {
				t.Errorf("%v, %v after %d calls", got, err, a.count("/projects"))
			}
		})
	}
}

func TestConnectionURI(t *testing.T) {
	const uri = "postgresql://neondb_owner:npg_x%40@ep-a.us-east-2.aws.neon.tech/neondb" +
		"?sslmode=require&channel_binding=require"
	a, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v2/projects/empty/connection_uri" {
			reply(w, object{})
			return
		}
		reply(w, object{"uri": uri})
	})
	if got, err := client.ConnectionURI(t.Context(), "p-1", "br-1", "a&b", "r o", true); got != uri || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	const want = "/api/v2/projects/p-1/connection_uri?branch_id=br-1&database_name=a%26b&pooled=true&role_name=r+o"
	if a.calls[0] != want {
		t.Errorf("called %s, want %s", a.calls[0], want)
	}
	if _, err := client.ConnectionURI(t.Context(), "empty", "", "d", "r", false); err == nil {
		t.Error("an empty string was taken for a connection string")
	}
}

func TestBranchesPages(t *testing.T) {
	_, client := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("cursor") {
		case "":
			reply(w, object{
				"branches":   []object{{"id": "br-1", "name": "main", "default": true, "current_state": "ready"}},
				"pagination": object{"next": "n"},
			})
		case "n":
			reply(w, object{
				"branches":   []object{{"id": "br-2", "name": "dev", "current_state": "archived", "protected": true}},
				"pagination": object{},
			})
		}
	})
	got, err := client.Branches(t.Context(), "p-1", "")
	want := []Branch{{ID: "br-1", Name: "main", State: "ready", Default: true},
		{ID: "br-2", Name: "dev", State: "archived", Protected: true}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestExceeded(t *testing.T) {
	var p Project
	p.ComputeTimeSeconds = 100
	if got := p.Exceeded(); got != "" {
		t.Errorf("no quota, and %q", got)
	}
	p.Settings.Quota.ComputeTimeSeconds = 100
	if got := p.Exceeded(); got != "compute_time_seconds: 100 of 100 used" {
		t.Errorf("got %q", got)
	}
}
