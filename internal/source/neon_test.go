package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
)

// neonInputs declares what the source reads, with action.yml's defaults.
var neonInputs = &input.Definition{Inputs: []input.Field{
	{Name: "neon-api-key"},
	{Name: "neon-org-id"},
	{Name: "neon-api-url", Default: "https://console.neon.tech/api/v2"},
	{Name: "neon-requests-per-minute", Default: "600"},
	{Name: "neon-branch"},
	{Name: "database-name", Default: "neondb"},
	{Name: "role-name", Default: "neondb_owner"},
}}

// neonSource returns a source with these inputs, which must have no mistake.
func neonSource(t *testing.T, inputs map[string]string) *Neon {
	t.Helper()
	in, n := readNeon(t, inputs)
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func readNeon(t *testing.T, inputs map[string]string) (*input.Reader, *Neon) {
	t.Helper()
	var args []string
	for name, value := range inputs {
		args = append(args, "--"+name, value)
	}
	in, err := input.New(neonInputs, args, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return in, newNeon(in, Options{}).(*Neon)
}

func TestNeonInputs(t *testing.T) {
	const key = "napi_0123456789"
	for _, test := range []struct {
		key, url string
		says     string
	}{
		{key, "", ""},
		{key, "https://neon.example.com/api/v2", ""},
		{key, "http://127.0.0.1:8080/api/v2", ""},
		{key, "http://[::1]:8080/api/v2", ""},
		{key, "http://172.17.0.1:8080/api/v2", ""},
		{key, "http://localhost:8080", ""},
		{key, "http://neontest:8080", ""},
		{key, "http://host.docker.internal:8080", ""},
		{key, "http://console.neon.tech/api/v2", "neon-api-url: the API key would be sent unencrypted to " +
			"console.neon.tech; write https://"},
		{key, "http://8.8.8.8/api/v2", "neon-api-url: the API key would be sent unencrypted"},
		{key, "ftp://neon.tech", "neon-api-url: is not an absolute https URL"},
		{"", "", "neon-api-key: is required"},
		{"napi_ 123", "", "neon-api-key: contains a space"},
		{"napi_1\n2", "", "neon-api-key: contains a space"},
	} {
		inputs := map[string]string{"neon-api-key": test.key}
		if test.url != "" {
			inputs["neon-api-url"] = test.url
		}
		in, _ := readNeon(t, inputs)
		err := in.Err()
		if (test.says == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), test.says)) {
			t.Errorf("key %q, url %q: %v, want %q", test.key, test.url, err, test.says)
		}
		if err != nil && test.key != "" && strings.Contains(err.Error(), test.key) {
			t.Errorf("the mistake repeats the key: %v", err)
		}
	}
}

type object = map[string]any

// neonAPI answers each path with what it is given for it, and counts the calls.
type neonAPI struct {
	answers map[string]any // by path under the API's address; an int is a status, anything else a JSON body
	mu      sync.Mutex
	calls   []string
}

func (a *neonAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.calls = append(a.calls, r.URL.RequestURI())
	answer, ok := a.answers[r.URL.Path]
	a.mu.Unlock()
	if !ok {
		answer = http.StatusNotFound
	}
	if status, ok := answer.(int); ok {
		w.WriteHeader(status)
		answer = object{"code": "", "message": "refused"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func serveNeon(t *testing.T, answers map[string]any, inputs map[string]string) (*neonAPI, *Neon) {
	t.Helper()
	api := &neonAPI{answers: answers}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	all := map[string]string{"neon-api-key": "napi_0123", "neon-api-url": server.URL}
	for name, value := range inputs {
		all[name] = value
	}
	return api, neonSource(t, all)
}

// project is the answers of a healthy project, altered by change.
func project(change func(answers map[string]any)) map[string]any {
	answers := map[string]any{
		"/projects": object{"projects": []object{
			{"id": "p", "name": "Acme", "store_passwords": true}}},
		"/projects/p": object{"project": object{"id": "p", "name": "Acme"}},
		"/projects/p/connection_uri": object{
			"uri": "postgresql://neondb_owner:npg_x@ep-a.neon.tech/neondb?sslmode=require"},
		"/projects/p/branches": object{"branches": []object{
			{"id": "br-dev", "name": "dev", "current_state": "ready"},
			{"id": "br-main", "name": "main", "current_state": "ready", "default": true},
		}},
		"/projects/p/branches/br-main/endpoints": object{"endpoints": []object{
			{"id": "ep-ro", "type": "read_only", "disabled": true},
			{"id": "ep-a", "type": "read_write", "current_state": "active"},
		}},
		"/projects/p/branches/br-main/databases": object{"databases": []object{{"name": "neondb"}, {"name": "other"}}},
		"/projects/p/branches/br-main/roles":     object{"roles": []object{{"name": "neondb_owner"}}},
	}
	if change != nil {
		change(answers)
	}
	return answers
}

var acme = fleet.Tenant{Name: "Acme", ID: "p", Key: "acme"}

func TestNeonURL(t *testing.T) {
	for _, test := range []struct {
		name    string
		inputs  map[string]string
		change  func(map[string]any)
		calls   []string
		says    string
		remedy  string
		listing bool
	}{
		{name: "one call", calls: []string{"/projects/p/connection_uri?database_name=neondb&role_name=neondb_owner"}},
		{name: "a branch by name", inputs: map[string]string{"neon-branch": "dev", "database-name": "app",
			"role-name": "me"}, calls: []string{
			"/projects/p/branches?limit=1000&search=dev",
			"/projects/p/connection_uri?branch_id=br-dev&database_name=app&role_name=me"}},
		{name: "no such branch", inputs: map[string]string{"neon-branch": "staging"},
			says:   `project p has no branch named "staging"`,
			remedy: `this one has "dev", "main"`},
		{name: "no such database", inputs: map[string]string{"database-name": "app"},
			change: func(a map[string]any) { a["/projects/p/connection_uri"] = 404 },
			says:   `the project has no database "app": `,
			remedy: `set database-name to one that it has: "neondb", "other"`},
		{name: "no such role", inputs: map[string]string{"role-name": "me"},
			change: func(a map[string]any) { a["/projects/p/connection_uri"] = 404 },
			says:   `the project has no role "me": `, remedy: `set role-name to one that it has: "neondb_owner"`},
		{name: "gone", change: func(a map[string]any) {
			a["/projects/p/connection_uri"],
				a["/projects/p/branches"] = 404, 404
		}, says: "404 Not Found", remedy: namesRemedy},
		{name: "no stored password", listing: true, change: func(a map[string]any) {
			a["/projects"] = object{"projects": []object{{"id": "p", "name": "Acme", "store_passwords": false}}}
			a["/projects/p/connection_uri"] = 412
		}, says: "412", remedy: noPasswords},
		{name: "a string without a password", change: func(a map[string]any) {
			a["/projects/p/connection_uri"] = object{"uri": "postgresql://neondb_owner@ep-a.neon.tech/neondb"}
		}, says: "has no password", remedy: noPasswords},
		{name: "no URL at all", change: func(a map[string]any) {
			a["/projects/p/connection_uri"] = object{"uri": "host=hunter2"}
		}, says: "is not a Postgres URL"},
		{name: "empty URL", change: func(a map[string]any) {
			a["/projects/p/connection_uri"] = object{"uri": ""}
		}, says: "the connection string is empty", remedy: "check that the project still exists"},
		{name: "key revoked", change: func(a map[string]any) { a["/projects/p/connection_uri"] = 401 }, says: "401",
			remedy: "neon-api-key is wrong or was revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			api, n := serveNeon(t, project(test.change), test.inputs)
			if test.listing {
				if _, err := n.Tenants(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			url, err := n.URL(t.Context(), acme)
			if test.says == "" {
				if err != nil || !strings.HasPrefix(url.Reveal(), "postgresql://neondb_owner:npg_x@") {
					t.Errorf("%v", err)
				}
				if diff := cmp.Diff(test.calls, api.calls); diff != "" {
					t.Errorf("calls:\n%s", diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("error is %v, want one that says %q", err, test.says)
			}
			if got := fleet.Remedy(err); !strings.Contains(got, test.remedy) {
				t.Errorf("remedy is %q, want %q", got, test.remedy)
			}
		})
	}
}

func TestNeonTenants(t *testing.T) {
	t.Parallel()
	_, n := serveNeon(t, project(func(a map[string]any) {
		a["/projects"] = object{"projects": []object{{"id": "p", "name": "Acme"}, {"id": "q", "name": "Acme"}},
			"unavailable_project_ids": []string{"x"}}
		a["/projects/x"] = 403
	}), nil)
	tenants, err := n.Tenants(t.Context())
	if diff := cmp.Diff([]fleet.Tenant{{Name: "Acme", ID: "p"}, {Name: "Acme", ID: "q"}}, tenants); diff != "" {
		t.Error(diff)
	}
	var incomplete *fleet.IncompleteError
	if !errors.As(err, &incomplete) || !cmp.Equal(incomplete.Missing, []string{"x"}) {
		t.Errorf("error is %v", err)
	}
	for status, remedy := range map[int]string{401: "neon-api-key is wrong or was revoked", 403: "neon-org-id",
		404: "neon-api-url"} {
		_, n := serveNeon(t, map[string]any{"/projects": status}, nil)
		if _, err := n.Tenants(t.Context()); err == nil || !strings.Contains(fleet.Remedy(err), remedy) {
			t.Errorf("%d: %v, remedy %q", status, err, fleet.Remedy(err))
		}
	}
}

// A restore's copy is no tenant, and whoever finds too few tenants learns how many projects were left out for that.
func TestNeonLeavesRestoresCopiesOut(t *testing.T) {
	t.Parallel()
	copied := fleet.RestoredName("Acme", time.Now(), time.Now())
	_, n := serveNeon(t, project(func(a map[string]any) {
		a["/projects"] = object{"projects": []object{{"id": "p", "name": "Acme"}, {"id": "q", "name": copied}}}
	}), nil)
	tenants, err := n.Tenants(t.Context())
	if diff := cmp.Diff([]fleet.Tenant{{Name: "Acme", ID: "p"}}, tenants); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	if looked, _ := n.Searched(); !strings.HasSuffix(looked, "counts, except 1 that mode restore made") {
		t.Errorf("it looked at %q", looked)
	}
}

func TestNeonAsksWhichOrganization(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/projects" {
			w.WriteHeader(http.StatusBadRequest)
			_,
				_ = fmt.Fprint(w,
				`{"code":"","message":"org_id is required, you can find it on your organization settings page"}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"organizations":[{"id":"org-a","name":"Acme"},{"id":"org-b","name":"Beta"}]}`)
	}))
	defer server.Close()
	n := neonSource(t, map[string]string{"neon-api-key": "napi_1", "neon-api-url": server.URL})
	_, err := n.Tenants(t.Context())
	if err == nil || !strings.Contains(err.Error(), "org-a (Acme), org-b (Beta)") ||
		!strings.Contains(fleet.Remedy(err), "neon-org-id") {
		t.Errorf("error is %v, remedy %q", err, fleet.Remedy(err))
	}
}
