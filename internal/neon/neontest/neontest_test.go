package neontest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// start serves a simulator for one test, with quick operations unless the test says otherwise.
func start(t *testing.T, o neontest.Options) *neontest.Server {
	t.Helper()
	if o.OperationTime == 0 {
		o.OperationTime = -1
	}
	s, err := neontest.New(pgtest.Shared(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *neontest.Server, spec neontest.Spec) neontest.Project {
	t.Helper()
	p, err := s.AddProject(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer is the answer to a call.
type answer struct {
	Status int
	Header http.Header
	Raw    []byte
	body   map[string]any
}

// at follows keys and indexes into the body: "projects", 0, "id".
func (a answer) at(t *testing.T, path ...any) any {
	t.Helper()
	var v any = a.body
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				t.Fatalf("nothing at %v in %s", path, a.Raw)
			}
			v = l[step]
		}
	}
	return v
}

func (a answer) text(t *testing.T, path ...any) string {
	t.Helper()
	s, ok := a.at(t, path...).(string)
	if !ok {
		t.Fatalf("no text at %v in %s", path, a.Raw)
	}
	return s
}

func callAs(t *testing.T, s *neontest.Server, key, route string, body any) answer {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	var in io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(body)
	default:
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		in = bytes.NewReader(encoded)
	}
	r, err := http.NewRequest(method, s.URL()+path, in)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := answer{Status: response.StatusCode, Header: response.Header}
	if a.Raw, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(a.Raw, &a.body) // a body that is not an object stays raw
	return a
}

// call is callAs with the organization's key, and requires a status.
func call(t *testing.T, s *neontest.Server, status int, route string, body any) answer {
	t.Helper()
	a := callAs(t, s, neontest.OrgKey, route, body)
	if a.Status != status {
		t.Fatalf("%s: status %d, want %d: %s", route, a.Status, status, a.Raw)
	}
	return a
}

// uri requests a project's connection string for Neon's default database and role.
func uri(t *testing.T, s *neontest.Server, id, more string) string {
	t.Helper()
	route := "GET /projects/" + id + "/connection_uri?database_name=neondb&role_name=neondb_owner" + more
	return call(t, s, 200, route, nil).text(t, "uri")
}

// query connects, runs one statement and returns its value.
func query(ctx context.Context, url, sql string) (string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var value string
	err = conn.QueryRow(ctx, sql).Scan(&value)
	return value, err
}

func mustQuery(t *testing.T, url, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	value, err := query(ctx, url, sql)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// refused returns the error that refuses a connection.
func refused(t *testing.T, url string) *pgconn.PgError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := query(ctx, url, "select ''")
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		t.Fatalf("want a refusal, got %v", err)
	}
	return refusal
}

// finish waits until a project's operations are done.
func finish(t *testing.T, s *neontest.Server, id string) {
	t.Helper()
	for range 300 {
		if !strings.Contains(string(call(t, s, 200, "GET /projects/"+id+"/operations", nil).Raw), "ing\"") {
			return
		}
		time.Sleep(100 * time.Millisecond) // within the limit of calls a second
	}
	t.Fatalf("the operations of %s don't end", id)
}

func TestConnectionURI(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{Name: "Acme"})
	q := add(t, s, neontest.Spec{Name: "Acme", Role: "boss", Database: "store"})
	got := uri(t, s, p.ID, "")
	if !strings.HasPrefix(got, "postgresql://neondb_owner_") ||
		!strings.HasSuffix(got, "?sslmode=require&channel_binding=require") || !strings.Contains(got, "%40") {
		t.Errorf("uri is %s", got)
	}
	if got != p.URL {
		t.Errorf("uri is %s, the project's is %s", got, p.URL)
	}
	if a, b := mustQuery(t, got, "select current_database()"), mustQuery(t, q.URL, "select current_database()"); a == b {
		t.Errorf("both projects have the database %s", a)
	}
	for _, c := range []struct {
		path   string
		status int
	}{
		{p.ID + "/connection_uri?database_name=neondb&role_name=neondb_owner&branch_id=" + p.BranchID +
			"&endpoint_id=" + p.EndpointID + "&pooled=false", 200},
		{q.ID + "/connection_uri?database_name=store&role_name=boss", 200},
		{q.ID + "/connection_uri?database_name=neondb&role_name=neondb_owner", 404},
		{p.ID + "/connection_uri?database_name=neondb", 400},
		{p.ID + "/connection_uri?role_name=neondb_owner", 400},
		{p.ID + "/connection_uri?database_name=neondb&role_name=nobody", 404},
		{p.ID + "/connection_uri?database_name=neondb&role_name=neondb_owner&branch_id=br-none", 404},
		{p.ID + "/connection_uri?database_name=neondb&role_name=neondb_owner&branch_id=BR_1", 400},
		{p.ID + "/connection_uri?database_name=neondb&role_name=neondb_owner&endpoint_id=" + q.EndpointID, 404},
		{p.ID + "/connection_uri?database_name=neondb&role_name=neondb_owner&pooled=1", 400},
		{"none/connection_uri?database_name=neondb&role_name=neondb_owner", 404},
	} {
		call(t, s, c.status, "GET /projects/"+c.path, nil)
	}
	if calls := s.Calls(); calls.ByProject[q.ID]["GET /projects/{project_id}/connection_uri"] != 2 {
		t.Errorf("calls about %s: %v", q.ID, calls.ByProject[q.ID])
	}
	secretive := add(t, s, neontest.Spec{NoStorePasswords: true})
	call(t, s, 412, "GET /projects/"+secretive.ID+"/connection_uri?database_name=neondb&role_name=neondb_owner", nil)
	role := fmt.Sprintf("/projects/%s/branches/%s/roles/neondb_owner", secretive.ID, secretive.BranchID)
	call(t, s, 412, "GET "+role+"/reveal_password", nil)
}

func TestPooled(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{})
	pooled := uri(t, s, p.ID, "&pooled=true")
	if pooled == p.URL {
		t.Fatal("the pooled address is the direct one")
	}
	mustQuery(t, pooled, "select 'through the proxy, with channel binding'")
	if e := refused(t, pooled+"&search_path=acme"); e.Message != "unsupported startup parameter: search_path" ||
		e.Code != "08P01" {
		t.Errorf("refused with %v", e)
	}
}

func TestManyProjectsQuickly(t *testing.T) {
	s := start(t, neontest.Options{})
	began := time.Now()
	made, err := s.AddProjects(context.Background(), make([]neontest.Spec, 100)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("100 real projects in %s", time.Since(began))
	seen := map[string]bool{}
	for _, p := range made {
		seen[p.URL] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different databases", len(seen))
	}
	mustQuery(t, made[99].URL, "select 'ok'")

	url := pgtest.Database(t)
	specs := make([]neontest.Spec, 5000)
	for i := range specs {
		specs[i] = neontest.Spec{Name: fmt.Sprint("tenant ", i), SharedDatabase: url}
	}
	began = time.Now()
	if made, err = s.AddProjects(context.Background(), specs...); err != nil {
		t.Fatal(err)
	}
	t.Logf("5,000 on one database in %s", time.Since(began))
	mustQuery(t, uri(t, s, made[4999].ID, ""), "select 'ok'")
	if _, err := s.AddProject(context.Background(), neontest.Spec{SharedDatabase: url, Disabled: true}); err == nil {
		t.Error("a shared project with a state of its own was accepted")
	}
}
