package neontest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func TestPlanLimits(t *testing.T) {
	s := start(t, neontest.Options{Plan: neontest.Plan{
		Projects: 1, Branches: 5, RootBranches: 2, ProtectedBranches: 1, Endpoints: 2, HistorySeconds: 21600,
	}})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	limited := func(route, body, code, message string) {
		t.Helper()
		got := call(t, s, 422, route, body)
		if got.text(t, "code") != code || !strings.HasPrefix(got.text(t, "message"), message) {
			t.Errorf("%s: %s", route, got.Raw)
		}
	}
	call(t, s, 201, "POST "+branches, `{`+withCompute+`}`)
	limited("POST "+branches, `{`+withCompute+`}`, "ENDPOINTS_LIMIT_EXCEEDED", "endpoints limit exceeded")
	call(t, s, 201, "POST "+branches, `{"branch":{"protected":true}}`)
	limited("PATCH "+branches+"/"+p.BranchID, `{"branch":{"protected":true}}`, "BRANCHES_PROTECTED_LIMIT_EXCEEDED",
		"You have reached the maximum number of protected branches for your current plan.")
	restore := func(name string) (string, string) {
		at := stamp(keep(t, s, p.ID, "").At)
		return "POST " + branches + "/" + p.BranchID + "/restore", fmt.Sprintf(
			`{"source_branch_id":%q,"source_timestamp":%q,"preserve_under_name":%q}`, p.BranchID, at, name)
	}
	route, body := restore("one")
	call(t, s, 200, route, body)
	route, body = restore("two")
	limited(route, body, "ROOT_BRANCHES_LIMIT_EXCEEDED", "root branches limit exceeded")
	call(t, s, 201, "POST "+branches, nil)
	limited("POST "+branches, "", "BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded")
	limited("POST /projects", `{"project":{}}`, "PROJECTS_LIMIT_EXCEEDED", "projects limit exceeded")
	got := call(t, s, 400, "POST /projects", `{"project":{"history_retention_seconds":86400}}`).text(t, "message")
	if got != `requested history retention seconds exceeds allowed maximum; `+
		`requested_history_retention_seconds:"86400", max:"21600"` {
		t.Error(got)
	}
}

// The roles of a protected branch have other passwords in its children, which own what they have copied.
func TestChildrenOfAProtectedBranch(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	execute(t, p.URL, "create table t (v text); insert into t values ('parent')")
	branches := "/projects/" + p.ID + "/branches"
	reveal := func(branch string) string {
		return call(t, s, 200, "GET "+branches+"/"+branch+"/roles/neondb_owner/reveal_password", nil).text(t, "password")
	}
	open := call(t, s, 201, "POST "+branches, nil).text(t, "branch", "id")
	if reveal(open) != reveal(p.BranchID) {
		t.Error("the child of a branch that is not protected has another password")
	}
	call(t, s, 200, "PATCH "+branches+"/"+p.BranchID, `{"branch":{"protected":true}}`)
	call(t, s, 422, "DELETE /projects/"+p.ID, nil)
	made := call(t, s, 201, "POST "+branches, `{`+withCompute+`}`)
	id, url := made.text(t, "branch", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	password := reveal(id)
	if password == reveal(p.BranchID) || password != made.text(t, "roles", 0, "password") {
		t.Errorf("the child's password is %q", password)
	}
	execute(t, url, "alter table t add column more int; drop schema if exists nothing; update t set v = 'child'")
	execute(t, p.URL, "alter table t add column other int")
	if got := mustQuery(t, p.URL, values); got != "parent" {
		t.Errorf("the parent has %s", got)
	}
	call(t, s, 200, "POST "+branches+"/"+id+"/restore", `{"source_branch_id":"`+p.BranchID+`"}`)
	execute(t, url, "alter table t drop column other")
	if got := mustQuery(t, url, values); got != "parent" || reveal(id) != password {
		t.Errorf("after a reset the child has %s", got)
	}
	execute(t, p.URL, "alter table t drop column other")
}

func TestNoConnectionStringOfABranchWithSeveralRoles(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	branch := "/projects/" + p.ID + "/branches/" + p.BranchID
	call(t, s, 400, "POST "+branch+"/roles", `{"role":{"name":"pg_reader"}}`)
	reader := call(t, s, 201, "POST "+branch+"/roles", `{"role":{"name":"reader"}}`)
	if reader.text(t, "role", "password") == "" {
		t.Errorf("a role: %s", reader.Raw)
	}
	call(t, s, 409, "POST "+branch+"/roles", `{"role":{"name":"reader"}}`)
	child := call(t, s, 201, "POST /projects/"+p.ID+"/branches", `{`+withCompute+`}`)
	if len(child.at(t, "roles").([]any)) != 2 || child.at(t, "connection_uris") != nil {
		t.Errorf("a branch of two roles: %s", child.Raw)
	}
	got := call(t, s, 200, "GET /projects/"+p.ID+"/connection_uri?database_name=neondb&role_name=reader&branch_id="+
		child.text(t, "branch", "id"), nil)
	mustQuery(t, got.text(t, "uri"), "select 'as reader'")
}

func TestDefaultBranchWithoutCompute(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{NoCompute: true})
	if p.EndpointID != "" {
		t.Errorf("it has the compute %s", p.EndpointID)
	}
	call(t, s, 404, "GET /projects/"+p.ID+"/connection_uri?database_name=neondb&role_name=neondb_owner", nil)
	made := call(t, s, 201, "POST /projects/"+p.ID+"/branches", `{`+withCompute+`}`)
	mustQuery(t, made.text(t, "connection_uris", 0, "connection_uri"), "select 'its child has one'")
	call(t, s, 200, "POST /projects/"+p.ID+"/branches/"+made.text(t, "branch", "id")+"/restore",
		`{"source_branch_id":"`+p.BranchID+`"}`)
}
