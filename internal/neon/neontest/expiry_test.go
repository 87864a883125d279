package neontest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

const withCompute = `"endpoints":[{"type":"read_write"}]`

func advance(t *testing.T, s *neontest.Server, d time.Duration) {
	t.Helper()
	if err := s.Advance(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// open opens a session that lasts until the test ends.
func open(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // which the server may have done
	return conn
}

// expires is a branch's body with that time.
func expires(at time.Time) string {
	return `{"branch":{"expires_at":"` + at.UTC().Format(time.RFC3339) + `"},` + withCompute + `}`
}

func TestBranchExpires(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	at := s.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made := call(t, s, 201, "POST "+branches, expires(at))
	id, url := made.text(t, "branch", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	if got := made.text(t, "branch", "expires_at"); got != at.Format(time.RFC3339) {
		t.Errorf("expires at %s, want %s", got, at)
	}
	session := open(t, url)
	real := mustQuery(t, url, "select current_database()::text") // other tests share the server
	exists := func() string {
		return mustQuery(t, p.URL, "select count(*)::text from pg_database where datname = "+pgtest.Literal(real))
	}
	if exists() != "1" {
		t.Fatalf("the branch's database %s is not there", real)
	}
	advance(t, s, 30*time.Minute)
	call(t, s, 200, "GET "+branches+"/"+id, nil)
	mustQuery(t, url, "select 'still there'")
	advance(t, s, 30*time.Minute)
	call(t, s, 404, "GET "+branches+"/"+id, nil)
	endpoint := made.text(t, "endpoints", 0, "id")
	call(t, s, 404, "GET /projects/"+p.ID+"/endpoints/"+endpoint, nil)
	if err := session.Ping(t.Context()); err == nil {
		t.Error("a session on an expired branch goes on")
	}
	if _, err := query(t.Context(), url, "select ''"); err == nil {
		t.Error("an expired branch can be connected to")
	}
	servertest.WaitFor(t, func() bool { return exists() == "0" })
}

func TestExpiryIsRefused(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	parent := call(t, s, 201, "POST "+branches, nil).text(t, "branch", "id")
	call(t, s, 201, "POST "+branches, `{"branch":{"parent_id":"`+parent+`"}}`)
	mortal := call(t, s, 201, "POST "+branches, expires(s.Now().Add(time.Hour))).text(t, "branch", "id")
	soon := expires(s.Now().Add(time.Hour))
	for _, c := range []struct {
		status int
		route  string
		body   string
	}{
		{422, "POST " + branches, expires(s.Now())},
		{422, "POST " + branches, expires(s.Now().Add(-time.Hour))},
		{422, "POST " + branches, expires(s.Now().Add(30*24*time.Hour + time.Minute))},
		{201, "POST " + branches, expires(s.Now().Add(30*24*time.Hour - time.Minute))},
		{400, "POST " + branches, `{"branch":{"expires_at":"2099-01-01T00:00:00"}}`},
		{400, "POST " + branches, `{"branch":{"expires_at":"tomorrow"}}`},
		{422, "POST " + branches, `{"branch":{"parent_id":"` + mortal + `"}}`},
		{422, "PATCH " + branches + "/" + p.BranchID, soon},
		{422, "PATCH " + branches + "/" + parent, soon},
		{422, "PATCH " + branches + "/" + mortal, `{"branch":{"protected":true}}`},
		{200, "PATCH " + branches + "/" + mortal, `{"branch":{"expires_at":null,"protected":true}}`},
		{422, "PATCH " + branches + "/" + mortal, soon},
	} {
		call(t, s, c.status, c.route, c.body)
	}
	advance(t, s, 2*time.Hour)
	if got := call(t, s, 200, "GET "+branches+"/"+mortal, nil); strings.Contains(string(got.Raw), "expires_at") {
		t.Errorf("an expiry that was taken back: %s", got.Raw)
	}
}

func TestResetRestartsTheExpiry(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	id := call(t, s, 201, "POST "+branches, expires(s.Now().Add(time.Hour))).text(t, "branch", "id")
	advance(t, s, 40*time.Minute)
	call(t, s, 200, "POST "+branches+"/"+id+"/restore", `{"source_branch_id":"`+p.BranchID+`"}`)
	advance(t, s, 40*time.Minute)
	call(t, s, 200, "GET "+branches+"/"+id, nil)
	advance(t, s, 21*time.Minute)
	call(t, s, 404, "GET "+branches+"/"+id, nil)
}

// While a change's operations run, the project takes no other, and its new branches are not ready.
func TestBusyUntilTheClockMoves(t *testing.T) {
	s := start(t, neontest.Options{OperationTime: time.Hour})
	p := add(t, s, neontest.Spec{})
	branches := "/projects/" + p.ID + "/branches"
	made := call(t, s, 201, "POST "+branches, `{`+withCompute+`}`)
	id, url := made.text(t, "branch", "id"), made.text(t, "connection_uris", 0, "connection_uri")
	const locked = "project already has running conflicting operations, scheduling of new ones is prohibited"
	for _, c := range []struct {
		status  int
		message string
		route   string
		body    any
	}{
		{423, locked, "POST " + branches, nil},
		{422, "branch not ready yet", "POST " + branches, `{"branch":{"parent_id":"` + id + `"}}`},
		{423, locked, "PATCH " + branches + "/" + id, `{"branch":{"name":"x"}}`},
		{423, locked, "DELETE " + branches + "/" + id, nil},
		{423, locked, "POST " + branches + "/" + id + "/restore", `{"source_branch_id":"` + p.BranchID + `"}`},
	} {
		if got := call(t, s, c.status, c.route, c.body).text(t, "message"); got != c.message {
			t.Errorf("%s: %s", c.route, got)
		}
	}
	if e := refused(t, url); e.Message != "Couldn't connect to compute node" {
		t.Errorf("before it is ready: %v", e)
	}
	statuses := func() (all []string) {
		list := call(t, s, 200, "GET /projects/"+p.ID+"/operations", nil)
		for i := range list.at(t, "operations").([]any) {
			all = append(all, list.text(t, "operations", i, "status"))
		}
		return all
	}
	first := strings.Join(statuses(), " ")
	advance(t, s, 40*time.Minute)
	second := strings.Join(statuses(), " ")
	advance(t, s, 20*time.Minute)
	third := strings.Join(statuses(), " ")
	if first != "scheduling running" || second != "running finished" || third != "finished finished" {
		t.Errorf("operations are %s; then %s; then %s", first, second, third)
	}
	mustQuery(t, url, "select 'ready'")
	call(t, s, 200, "DELETE "+branches+"/"+id, nil)
}

// A branch is made of a parent that is in use, and neither waits for the other.
func TestBranchOfABusyParent(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	execute(t, p.URL, "create table t (v text); insert into t values ('committed')")
	session := open(t, p.URL)
	tx, err := session.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "insert into t values ('under way')"); err != nil {
		t.Fatal(err)
	}
	made := call(t, s, 201, "POST /projects/"+p.ID+"/branches", `{`+withCompute+`}`)
	url := made.text(t, "connection_uris", 0, "connection_uri")
	if got := mustQuery(t, url, "select string_agg(v, ',') from t"); got != "committed" {
		t.Errorf("the branch has %s", got)
	}
	if got := mustQuery(t, url, "select tableowner::text from pg_tables where tablename = 't'"); got !=
		mustQuery(t, url, "select current_user::text") {
		t.Errorf("the branch's table belongs to %s", got)
	}
	if err := errors.Join(tx.Commit(t.Context()), session.Ping(t.Context())); err != nil {
		t.Errorf("the parent's session: %v", err)
	}
	execute(t, url, "drop table t")
	if got := mustQuery(t, p.URL, "select string_agg(v, ',') from t"); got != "committed,under way" {
		t.Errorf("the parent has %s", got)
	}
}
