package neontest_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestKeys(t *testing.T) {
	orgs := []neontest.Org{{ID: neontest.DefaultOrg, Name: "One"}, {ID: "org-two-1", Name: "Two"}}
	s := start(t, neontest.Options{Orgs: orgs})
	mine := add(t, s, neontest.Spec{})
	add(t, s, neontest.Spec{SharedDatabase: mine.URL})
	theirs := add(t, s, neontest.Spec{OrgID: "org-two-1", SharedDatabase: mine.URL})
	only := s.ProjectKeyFor(mine.ID)
	for _, c := range []struct {
		key, route string
		status     int
		projects   int
	}{
		{"", "GET /projects", 401, 0},
		{"napi_wrong", "GET /projects", 401, 0},
		{neontest.PersonalKey, "GET /projects", 400, 0},
		{neontest.PersonalKey, "GET /projects?org_id=" + neontest.DefaultOrg, 200, 2},
		{neontest.PersonalKey, "GET /projects?org_id=org-two-1", 200, 1},
		{neontest.PersonalKey, "GET /projects?org_id=org-none-1", 404, 0},
		{neontest.PersonalKey, "GET /projects?org_id=Org!", 400, 0},
		{neontest.PersonalKey, "GET /projects/" + theirs.ID, 200, 0},
		{neontest.OrgKey, "GET /projects", 200, 2},
		{neontest.OrgKey, "GET /projects?org_id=" + neontest.DefaultOrg, 200, 2},
		{neontest.OrgKey, "GET /projects?org_id=org-two-1", 403, 0},
		{neontest.OrgKey, "GET /projects/" + theirs.ID, 404, 0},
		{only, "GET /projects", 200, 1},
		{only, "GET /projects/" + mine.ID, 200, 0},
		{only, "DELETE /projects/" + mine.ID, 403, 0},
		{s.ProjectKeyFor(theirs.ID), "GET /projects/" + theirs.ID, 200, 0},
		{s.ProjectKeyFor(theirs.ID), "GET /projects/" + mine.ID, 404, 0},
	} {
		a := callAs(t, s, c.key, c.route, nil)
		if a.Status != c.status {
			t.Errorf("%.12s %s: %d, want %d: %s", c.key, c.route, a.Status, c.status, a.Raw)
		}
		if listed, _ := a.body["projects"].([]any); len(listed) != c.projects {
			t.Errorf("%.12s %s: %d projects, want %d", c.key, c.route, len(listed), c.projects)
		}
		if a.Status >= 400 && (a.text(t, "code") != "" || a.text(t, "message") == "" || a.text(t, "request_id") == "") {
			t.Errorf("error body %s", a.Raw)
		}
	}
	for key, orgs := range map[string]int{neontest.PersonalKey: 2, neontest.OrgKey: 1, only: 1} {
		if a := callAs(t, s, key, "GET /users/me/organizations", nil); len(a.at(t, "organizations").([]any)) != orgs {
			t.Errorf("%.12s sees the organizations %s", key, a.Raw)
		}
	}
}

// fleet adds n projects over one database and returns their ids, newest first as they are listed.
func fleet(t *testing.T, s *neontest.Server, n int) []string {
	t.Helper()
	specs := make([]neontest.Spec, n)
	for i := range specs {
		specs[i] = neontest.Spec{Name: fmt.Sprintf("Tenant %03d", i), SharedDatabase: "postgresql://r:p@127.0.0.1/d"}
	}
	made, err := s.AddProjects(context.Background(), specs...)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, p := range slices.Backward(made) {
		ids = append(ids, p.ID)
	}
	return ids
}

// pages lists to the end and returns the ids, those that were unavailable, and how many pages it took.
func pages(t *testing.T, s *neontest.Server, query string) (ids, unavailable []string, count int) {
	t.Helper()
	cursor := ""
	for count < 100 {
		a := call(t, s, 200, "GET /projects?"+query+cursor, nil)
		count++
		for i := range a.at(t, "projects").([]any) {
			ids = append(ids, a.text(t, "projects", i, "id"))
		}
		missed, _ := a.at(t, "unavailable_project_ids").([]any)
		for _, id := range missed {
			unavailable = append(unavailable, id.(string))
		}
		if a.at(t, "pagination") == nil {
			return ids, unavailable, count
		}
		cursor = "&cursor=" + strings.NewReplacer(":", "%3A", "+", "%2B").Replace(a.text(t, "pagination", "cursor"))
	}
	t.Fatal("the list has no end")
	return nil, nil, 0
}

func TestPaging(t *testing.T) {
	for _, c := range []struct {
		name         string
		noLastCursor bool
		query        string
		listed       int
		pages        int
	}{
		{"default limit", false, "", 25, 4}, // 10, 10, 5, none
		{"limit", false, "limit=5", 25, 6},
		{"all at once", false, "limit=400", 25, 2},
		{"no last cursor", true, "limit=5", 25, 5},
		{"search a name", false, "search=tenant%2001", 10, 2},
		{"search nothing", false, "search=nobody", 0, 1},
		{"timeout", false, "limit=400&timeout=30000", 25, 2},
		{"recoverable", false, "recoverable=true", 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, neontest.Options{NoLastCursor: c.noLastCursor})
			want := fleet(t, s, 25)
			ids, _, count := pages(t, s, c.query)
			if len(ids) != c.listed || count != c.pages {
				t.Errorf("%d projects on %d pages, want %d on %d", len(ids), count, c.listed, c.pages)
			}
			if c.listed == 25 && !slices.Equal(ids, want) {
				t.Errorf("listed %v, want %v", ids, want)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	s := start(t, neontest.Options{})
	all := fleet(t, s, 12)
	s.Unavailable(all[3:5], 1)
	s.Unavailable(all[7:8], 0)
	for i, want := range [][]string{{all[3], all[4], all[7]}, {all[7]}, {all[7]}} {
		ids, unavailable, _ := pages(t, s, "limit=5")
		if !slices.Equal(unavailable, want) || len(ids)+len(unavailable) != 12 {
			t.Errorf("listing %d: %d listed, unavailable %v, want %v", i, len(ids), unavailable, want)
		}
	}
	call(t, s, 200, "GET /projects/"+all[7], nil)
}

func TestRefusals(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	project := func(text string) string { return `{"project":` + text + `}` }
	compute := func(text string) string { return `{"endpoint":{"branch_id":"` + p.BranchID + `",` + text + `}}` }
	b, endpoints := "/projects/"+p.ID+"/branches", "/projects/"+p.ID+"/endpoints"
	for _, c := range []struct {
		status int
		route  string
		body   any
	}{
		{404, "GET /nothing", nil},
		{404, "PUT /projects", nil},
		{400, "GET /projects?limit=0", nil},
		{400, "GET /projects?limit=401", nil},
		{400, "GET /projects?limit=ten", nil},
		{400, "GET /projects?timeout=99", nil},
		{400, "GET /projects?timeout=30001", nil},
		{400, "GET /projects?recoverable=yes", nil},
		{400, "GET /projects?cursor=elsewhere", nil},
		{404, "GET /projects/none", nil},
		{400, "POST /projects", nil},
		{400, "POST /projects", "{"},
		{400, "POST /projects", "{}"},
		{400, "POST /projects", project(`{"name":7}`)},
		{400, "POST /projects", project(`{"name":""}`)},
		{400, "POST /projects", project(`{"name":"` + strings.Repeat("ü", 257) + `"}`)},
		{400, "POST /projects", project(`{"pg_version":13}`)},
		{400, "POST /projects", project(`{"pg_version":19}`)},
		{400, "POST /projects", project(`{"region_id":"aws-moon-1"}`)},
		{400, "POST /projects", project(`{"history_retention_seconds":2592001}`)},
		{400, "POST /projects", project(`{"branch":{"database_name":"postgres"}}`)},
		{400, "POST /projects", project(`{"branch":{"role_name":"pg_boss"}}`)},
		{400, "POST /projects", project(`{"settings":{"allowed_ips":{"ips":["everyone"]}}}`)},
		{400, "PATCH " + b + "/" + p.BranchID, `{}`},
		{400, "PATCH " + b + "/" + p.BranchID, `{"branch":{"name":""}}`},
		{400, "GET " + b + "?limit=10001", nil},
		{400, "GET " + b + "?sort_by=size", nil},
		{400, "GET " + b + "?sort_order=up", nil},
		{400, "GET " + b + "?cursor=elsewhere", nil},
		{404, "GET " + b + "/br-none", nil},
		{204, "DELETE " + b + "/br-none", nil},
		{422, "DELETE " + b + "/" + p.BranchID, nil},
		{404, "POST " + b, `{"branch":{"parent_id":"br-none"}}`},
		{409, "POST " + b, `{"branch":{"name":"main"}}`},
		{400, "POST " + b, `{"branch":{"init_source":"thin-air"}}`},
		{422, "POST " + b, `{"branch":{"expires_at":"2020-01-01T00:00:00Z"}}`},
		{400, "POST " + b, `{"branch":{"expires_at":"tomorrow"}}`},
		{400, "POST " + b, `{"endpoints":[{"type":"write_only"}]}`},
		{400, "POST " + b + "/" + p.BranchID + "/restore", `{}`},
		{404, "POST " + b + "/" + p.BranchID + "/restore", `{"source_branch_id":"br-none"}`},
		{404, "GET " + b + "/br-none/databases", nil},
		{400, "POST " + b + "/" + p.BranchID + "/databases", `{}`},
		{404, "POST " + b + "/" + p.BranchID + "/databases", `{"database":{"name":"x","owner_name":"nobody"}}`},
		{409, "POST " + b + "/" + p.BranchID + "/databases", `{"database":{"name":"neondb","owner_name":"neondb_owner"}}`},
		{404, "GET " + b + "/br-none/roles", nil},
		{404, "GET " + b + "/" + p.BranchID + "/roles/none/reveal_password", nil},
		{404, "GET /projects/" + p.ID + "/operations/none", nil},
		{400, "GET /projects/" + p.ID + "/operations?limit=1001", nil},
		{404, "POST " + endpoints + "/ep-none/start", nil},
		{404, "GET " + endpoints + "/ep-none", nil},
		{204, "DELETE " + endpoints + "/ep-none", nil},
		{400, "POST " + endpoints, `{}`},
		{404, "POST " + endpoints, `{"endpoint":{"branch_id":"br-none","type":"read_only"}}`},
		{400, "POST " + endpoints, compute(`"type":"write_only"`)},
		{400, "POST " + endpoints, compute(`"type":"read_only","suspend_timeout_seconds":5`)},
		{400, "POST " + endpoints, compute(`"type":"read_only","autoscaling_limit_min_cu":3`)},
		{409, "POST " + endpoints, compute(`"type":"read_write"`)},
	} {
		call(t, s, c.status, c.route, c.body)
	}
	// What was refused has left nothing locked.
	call(t, s, 200, "PATCH "+b+"/"+p.BranchID, `{"branch":{"name":"New name"}}`)
}

func TestCreateAndDeleteProject(t *testing.T) {
	s := start(t, neontest.Options{OperationTime: 3 * time.Second})
	made := call(t, s, 201, "POST /projects",
		`{"project":{"name":"Acme","pg_version":16,"branch":{"database_name":"store"}}}`)
	id, url := made.text(t, "project", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	if e := refused(t, url); e.Message != "Couldn't connect to compute node" {
		t.Errorf("before the operations are finished: %v", e)
	}
	branch := "PATCH /projects/" + id + "/branches/" + made.text(t, "branch", "id")
	if a := callAs(t, s, neontest.OrgKey, branch, `{"branch":{"name":"x"}}`); a.Status != http.StatusLocked {
		t.Errorf("while operations run: %d %s", a.Status, a.Raw)
	}
	if status := made.text(t, "operations", 1, "status"); status != "scheduling" {
		t.Errorf("the last operation is %s", status)
	}
	finish(t, s, id)
	operation := call(t, s, 200, "GET /projects/"+id+"/operations/"+made.text(t, "operations", 0, "id"), nil)
	if operation.text(t, "operation", "status") != "finished" {
		t.Errorf("operation %s", operation.Raw)
	}
	mustQuery(t, url, "select 'by the string from its creation'")
	route := "GET /projects/" + id + "/connection_uri?database_name=store&role_name=store_owner"
	direct := call(t, s, 200, route, nil).text(t, "uri")
	mustQuery(t, direct, "select current_user::text")

	call(t, s, 200, "DELETE /projects/"+id, nil)
	call(t, s, 200, "DELETE /projects/"+id, nil)
	call(t, s, 404, "GET /projects/"+id, nil)
	if e := refused(t, direct); e.Code != "28000" {
		t.Errorf("after its deletion: %v", e)
	}
	if ids, _, _ := pages(t, s, "recoverable=true"); !slices.Equal(ids, []string{id}) {
		t.Errorf("recoverable: %v", ids)
	}
	call(t, s, 200, "POST /projects/"+id+"/recover", nil)
	mustQuery(t, direct, "select 'back'")
}

func TestTemplate(t *testing.T) {
	s := start(t, neontest.Options{})
	first := add(t, s, neontest.Spec{})
	ctx := context.Background()
	name := mustQuery(t, first.URL, "select current_database()::text")
	statements := []string{"create table seed as select 'sown'::text as v", "grant select on seed to public"}
	if err := pgtest.Shared(t).Exec(ctx, name, statements...); err != nil {
		t.Fatal(err)
	}
	if got := mustQuery(t, add(t, s, neontest.Spec{Template: name}).URL, "select v from seed"); got != "sown" {
		t.Errorf("got %q", got)
	}
}
