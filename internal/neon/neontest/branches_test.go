package neontest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func execute(t *testing.T, url, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatal(err)
	}
}

func TestBranches(t *testing.T) {
	s := start(t, neontest.Options{OperationTime: 50 * time.Millisecond})
	p := add(t, s, neontest.Spec{})
	execute(t, p.URL, "create table t (id serial primary key, v text); insert into t (v) values ('parent')")
	branches := "/projects/" + p.ID + "/branches"
	const withCompute = `"endpoints":[{"type":"read_write"}]`

	plain := call(t, s, 201, "POST "+branches, nil)
	if n := len(plain.at(t, "endpoints").([]any)); n != 0 || plain.text(t, "branch", "current_state") != "init" {
		t.Errorf("a plain branch: %s", plain.Raw)
	}
	finish(t, s, p.ID)

	// A parent that is in use is copied too.
	ctx := context.Background()
	busy, err := pgx.Connect(ctx, p.URL)
	if err != nil {
		t.Fatal(err)
	}
	made := call(t, s, 201, "POST "+branches, `{"branch":{"name":"preview/pr-7"},`+withCompute+`}`)
	_ = busy.Close(ctx)
	finish(t, s, p.ID)
	id, url := made.text(t, "branch", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	execute(t, url, "update t set v = 'child'; insert into t (v) values ('more')")
	if got := mustQuery(t, p.URL, "select string_agg(v, ',') from t"); got != "parent" {
		t.Errorf("the parent has %s", got)
	}
	if got := uri(t, s, p.ID, "&branch_id="+id); mustQuery(t, got, "select string_agg(v, ',') from t") != "child,more" {
		t.Error("the branch's string leads elsewhere")
	}

	schema := call(t, s, 201, "POST "+branches, `{"branch":{"init_source":"schema-only"},`+withCompute+`}`)
	finish(t, s, p.ID)
	empty := uri(t, s, p.ID, "&branch_id="+schema.text(t, "branch", "id"))
	if got := mustQuery(t, empty, "select count(*)::text from t"); got != "0" {
		t.Errorf("a schema-only branch has %s rows", got)
	}

	// Its connection string still holds after a reset.
	call(t, s, 200, "POST "+branches+"/"+id+"/restore", `{"source_branch_id":"`+p.BranchID+`"}`)
	finish(t, s, p.ID)
	if got := mustQuery(t, url, "select string_agg(v, ',') from t"); got != "parent" {
		t.Errorf("after its reset the branch has %s", got)
	}

	// Undo: the default branch goes back to a branch made before.
	undo := call(t, s, 201, "POST "+branches, `{"branch":{"name":"undo/1"}}`).text(t, "branch", "id")
	finish(t, s, p.ID)
	execute(t, p.URL, "drop table t")
	call(t, s, 422, "POST "+branches+"/"+p.BranchID+"/restore", `{"source_branch_id":"`+undo+`"}`)
	call(t, s, 200, "POST "+branches+"/"+p.BranchID+"/restore",
		`{"source_branch_id":"`+undo+`","preserve_under_name":"broken"}`)
	finish(t, s, p.ID)
	if got := mustQuery(t, p.URL, "select v from t"); got != "parent" {
		t.Errorf("after undo: %s", got)
	}

	count := call(t, s, 200, "GET "+branches+"/count", nil).at(t, "count").(float64)
	seen, cursor := 0, ""
	for {
		page := call(t, s, 200, "GET "+branches+"?limit=2&sort_by=name&sort_order=asc"+cursor, nil)
		seen += len(page.at(t, "branches").([]any))
		next, _ := page.at(t, "pagination", "next").(string)
		if next == "" {
			break
		}
		cursor = "&cursor=" + next
	}
	if float64(seen) != count || seen != 6 {
		t.Errorf("%d branches on the pages, %v counted", seen, count)
	}
	found := call(t, s, 200, "GET "+branches+"?search=PR-7", nil)
	if len(found.at(t, "branches").([]any)) != 1 || found.text(t, "branches", 0, "id") != id {
		t.Errorf("found %s", found.Raw)
	}

	call(t, s, 200, "PATCH "+branches+"/"+id, `{"branch":{"name":"renamed","protected":true}}`)
	call(t, s, 422, "DELETE "+branches+"/"+id, nil)
	call(t, s, 200, "PATCH "+branches+"/"+id, `{"branch":{"protected":false}}`)
	call(t, s, 200, "DELETE "+branches+"/"+id, nil)
	finish(t, s, p.ID)
	call(t, s, 204, "DELETE "+branches+"/"+id, nil)
	call(t, s, 404, "GET "+branches+"/"+id, nil)
}

func TestSeveralDatabases(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	call(t, s, 201, "POST "+branches+"/"+p.BranchID+"/databases",
		`{"database":{"name":"Shop / two","owner_name":"neondb_owner"}}`)
	route := "GET /projects/" + p.ID + "/connection_uri?role_name=neondb_owner&database_name=Shop%20%2F%20two"
	execute(t, call(t, s, 200, route, nil).text(t, "uri"), "create table public.mine ()")
	// Neon names no connection string then.
	child := call(t, s, 201, "POST "+branches, `{"endpoints":[{"type":"read_write"}]}`)
	if len(child.at(t, "databases").([]any)) != 2 || child.at(t, "connection_uris") != nil {
		t.Errorf("a branch of two databases: %s", child.Raw)
	}
	mustQuery(t, call(t, s, 200, route+"&branch_id="+child.text(t, "branch", "id"), nil).text(t, "uri"),
		"select count(*)::text from mine")
}

func TestPasswords(t *testing.T) {
	s := start(t, neontest.Options{})
	made := call(t, s, 201, "POST /projects", `{"project":{"branch":{"role_name":"app"}}}`)
	b := "/projects/" + made.text(t, "project", "id") + "/branches/" + made.text(t, "branch", "id")
	password := made.text(t, "roles", 0, "password")
	if revealed := call(t, s, 200, "GET "+b+"/roles/app/reveal_password", nil).text(t, "password"); revealed != password {
		t.Errorf("created with %q, revealed %q", password, revealed)
	}
	if strings.Contains(string(call(t, s, 200, "GET "+b+"/roles", nil).Raw), "npg_") {
		t.Error("a list of roles shows passwords")
	}
}

func TestArchivedBranchTakesLongerToWake(t *testing.T) {
	s := start(t, neontest.Options{WakeTime: time.Hour})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	made := call(t, s, 201, "POST "+branches, `{"branch":{"archived":true},`+withCompute+`}`)
	id, url := made.text(t, "branch", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	state := func() string { return call(t, s, 200, "GET "+branches+"/"+id, nil).text(t, "branch", "current_state") }
	if e := refused(t, url); e.Message != "Couldn't connect to compute node" || state() != "archived" {
		t.Errorf("%v while it is %s", e, state())
	}
	advance(t, s, 2*time.Hour)
	if e := refused(t, url); e.Message != "Couldn't connect to compute node" {
		t.Errorf("after two hours: %v", e)
	}
	advance(t, s, time.Hour)
	mustQuery(t, url, "select 'awake'")
	if got := state(); got != "ready" {
		t.Errorf("the branch is %s", got)
	}
}
