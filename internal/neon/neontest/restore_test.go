package neontest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

func TestRestoreToATime(t *testing.T) {
	s := start(t, neontest.Options{})
	p, branches, points := past(t, s)
	child := call(t, s, 201, "POST "+branches, `{`+withCompute+`}`)
	session := open(t, p.URL)
	restore := "POST " + branches + "/" + p.BranchID + "/restore"
	self := `{"source_branch_id":"` + p.BranchID + `","source_timestamp":"` + stamp(points[1].At) + `"`
	call(t, s, 422, restore, self+`}`)
	call(t, s, 200, restore, self+`,"preserve_under_name":"before"}`)

	var cut *pgconn.PgError
	if _, err := session.Exec(t.Context(), "select 1"); !errors.As(err, &cut) && !session.IsClosed() {
		t.Errorf("a session goes on: %v", err)
	}
	if got := mustQuery(t, p.URL, values); got != "a,b" {
		t.Errorf("restored to %s", got)
	}
	if got := uri(t, s, p.ID, ""); got != p.URL {
		t.Errorf("its connection string is now %s", got)
	}
	found := call(t, s, 200, "GET "+branches+"?search=before", nil)
	kept := found.text(t, "branches", 0, "id")
	if found.at(t, "branches", 0, "parent_id") != nil || found.at(t, "branches", 0, "default") != false {
		t.Errorf("what is preserved of a root branch is %s", found.Raw)
	}
	moved := call(t, s, 200, "GET "+branches+"/"+child.text(t, "branch", "id"), nil)
	if moved.text(t, "branch", "parent_id") != kept {
		t.Errorf("the child is still %s", moved.Raw)
	}
	call(t, s, 422, "DELETE "+branches+"/"+kept, nil)
	call(t, s, 201, "POST /projects/"+p.ID+"/endpoints", `{"endpoint":{"branch_id":"`+kept+`","type":"read_write"}}`)
	if got := mustQuery(t, uri(t, s, p.ID, "&branch_id="+kept), values); got != "d" {
		t.Errorf("what is preserved has %s", got)
	}
	// The history went with it.
	call(t, s, 200, restore, `{"source_branch_id":"`+kept+`","source_lsn":"`+points[2].LSN+`"}`)
	if got := mustQuery(t, p.URL, values); got != "a,b,c" {
		t.Errorf("restored from what was preserved, it has %s", got)
	}
}

// A restore replaces all databases: those that the source lacks are gone, and those that it has are there.
func TestRestoreReplacesEveryDatabase(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	database := func(branch, name string) {
		call(t, s, 201, "POST "+branches+"/"+branch+"/databases",
			`{"database":{"name":"`+name+`","owner_name":"neondb_owner"}}`)
	}
	named := func(branch, name string, status int) string {
		a := call(t, s, status, "GET /projects/"+p.ID+"/connection_uri?role_name=neondb_owner&database_name="+name+
			"&branch_id="+branch, nil)
		if status != 200 {
			return ""
		}
		return a.text(t, "uri")
	}
	database(p.BranchID, "shop")
	execute(t, named(p.BranchID, "shop", 200), "create table t (v text); insert into t values ('shop')")
	child := call(t, s, 201, "POST "+branches, `{`+withCompute+`}`).text(t, "branch", "id")
	shop := named(child, "shop", 200)
	execute(t, shop, "update t set v = 'changed'")
	database(child, "extra")
	database(p.BranchID, "late")
	call(t, s, 200, "POST "+branches+"/"+child+"/restore", `{"source_branch_id":"`+p.BranchID+`"}`)
	if got := mustQuery(t, shop, values); got != "shop" {
		t.Errorf("after the reset: %s", got)
	}
	mustQuery(t, named(child, "late", 200), "select 'there'")
	named(child, "extra", 404)
}

func TestRestoreIsRefused(t *testing.T) {
	s := start(t, neontest.Options{})
	p, branches, points := past(t, s)
	child := call(t, s, 201, "POST "+branches, `{"branch":{"name":"child"}}`).text(t, "branch", "id")
	call(t, s, 201, "POST "+branches, `{"branch":{"parent_id":"`+child+`"}}`)
	guarded := call(t, s, 201, "POST "+branches, `{"branch":{"protected":true}}`).text(t, "branch", "id")
	at := `,"source_timestamp":"` + stamp(points[0].At) + `"`
	future := stamp(s.Now().Add(time.Hour))
	from := func(id, more string) string { return `{"source_branch_id":"` + id + `"` + more + `}` }
	for _, c := range []struct {
		status     int
		branch     string
		body, says string
	}{
		{404, p.BranchID, from("br-none", ""), "source branch not found"},
		{400, p.BranchID, from(p.BranchID, ""),
			"source_timestamp or source_lsn is required if the branch is its own source"},
		{422, child, from(p.BranchID, ""),
			"preserve_under_name is required if the branch has children or is restored from itself"},
		{409, child, from(p.BranchID, `,"preserve_under_name":"child"`), "branch already exists"},
		{422, child, from(child, at+`,"preserve_under_name":"x"`), "only root branches can be restored to a point in time"},
		{422, guarded, from(p.BranchID, ""), "cannot reset a protected branch"},
		{400, p.BranchID, from(p.BranchID, `,"source_timestamp":"`+future+`","preserve_under_name":"x"`),
			"timestamp is in the future"},
	} {
		if got := call(t, s, c.status, "POST "+branches+"/"+c.branch+"/restore", c.body); got.text(t, "message") != c.says {
			t.Errorf("%s: %s", c.body, got.Raw)
		}
	}
	// What was refused has left nothing locked.
	call(t, s, 200, "POST "+branches+"/"+child+"/restore", from(p.BranchID, at+`,"preserve_under_name":"x"`))
}

// A restore that is refused, because the project is busy, is not the one that was to fail.
func TestTheRestoreThatFailsIsOneThatWasAccepted(t *testing.T) {
	s := start(t, neontest.Options{OperationTime: time.Hour})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	point := call(t, s, 201, "POST "+branches, `{"branch":{"name":"point"}}`).text(t, "branch", "id")
	s.FailRestore(p.ID)
	restore := "POST " + branches + "/" + p.BranchID + "/restore"
	body := `{"source_branch_id":"` + point + `","preserve_under_name":"was"}`
	call(t, s, 423, restore, body)
	wait := func() {
		if err := s.Advance(t.Context(), 2*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	wait()
	call(t, s, 200, restore, body)
	wait()
	if a := call(t, s, 200, "GET /projects/"+p.ID+"/operations", ""); !strings.Contains(string(a.Raw), `"failed"`) {
		t.Errorf("it did not fail: %s", a.Raw)
	}
}
