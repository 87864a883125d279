package neontest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

const values = "select string_agg(v, ',' order by v) from t"

func keep(t *testing.T, s *neontest.Server, projectID, branchID string) neontest.Kept {
	t.Helper()
	at, err := s.Keep(t.Context(), projectID, branchID)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

// past is a project whose table t had a, then also b, then also c, a minute apart, and now, a minute later, has d.
func past(t *testing.T, s *neontest.Server) (p neontest.Project, branches string, points []neontest.Kept) {
	t.Helper()
	p = add(t, s, neontest.Spec{})
	execute(t, p.URL, "create table t (v text)")
	for _, v := range []string{"a", "b", "c"} {
		execute(t, p.URL, "insert into t values ('"+v+"')")
		points = append(points, keep(t, s, p.ID, ""))
		s.Age(p.ID, time.Minute)
		for i := range points {
			points[i].At = points[i].At.Add(-time.Minute)
		}
	}
	execute(t, p.URL, "delete from t; insert into t values ('d')")
	return p, "/projects/" + p.ID + "/branches", points
}

func TestBranchFromThePast(t *testing.T) {
	s := start(t, neontest.Options{})
	p, branches, points := past(t, s)
	for _, c := range []struct{ field, at, want string }{
		{"parent_timestamp", stamp(points[0].At), "a"},
		{"parent_timestamp", stamp(points[1].At.Add(59 * time.Second)), "a,b"},
		{"parent_timestamp", points[1].At.Add(time.Second).In(time.FixedZone("", -5*3600)).Format(time.RFC3339), "a,b"},
		{"parent_timestamp", stamp(points[2].At), "a,b,c"},
		{"parent_lsn", points[1].LSN, "a,b"},
		{"parent_lsn", "FFFFFFFF/FFFFFFFF", "a,b,c"},
	} {
		made := call(t, s, 201, "POST "+branches, `{"branch":{"`+c.field+`":"`+c.at+`"},`+withCompute+`}`)
		url := made.text(t, "connection_uris", 0, "connection_uri")
		if got := mustQuery(t, url, values); got != c.want {
			t.Errorf("at %s %s it has %s, want %s", c.field, c.at, got, c.want)
		}
		if got := made.text(t, "branch", "parent_lsn"); c.at == points[1].LSN && got != c.at {
			t.Errorf("made at LSN %s, it says %s", c.at, got)
		}
	}
	if got := mustQuery(t, p.URL, values); got != "d" {
		t.Errorf("the parent has %s", got)
	}
}

func TestThePastHasABeginning(t *testing.T) {
	s := start(t, neontest.Options{})
	p := add(t, s, neontest.Spec{HistorySeconds: 3600})
	branches := "/projects/" + p.ID + "/branches"
	began := s.Now()
	advance(t, s, time.Minute)
	first := keep(t, s, p.ID, p.BranchID)
	const beyond = "is outside of the project's history retention window"
	for _, c := range []struct {
		status      int
		field, at   string
		want        string
		advanceThen time.Duration
	}{
		{400, "parent_timestamp", "yesterday", "RFC 3339", 0},
		{400, "parent_timestamp", stamp(s.Now().Add(time.Hour)), "in the future", 0},
		{400, "parent_timestamp", stamp(began.Add(-time.Minute)), beyond, 0}, // before the project was there
		{501, "parent_timestamp", stamp(began.Add(time.Second)), "no state of the branch", 0},
		{400, "parent_lsn", "12", "not an LSN", 0},
		{501, "parent_lsn", "0/1", "no state of the branch", 0},
		{201, "parent_timestamp", stamp(first.At), "", 2 * time.Hour},
		{400, "parent_timestamp", stamp(first.At), beyond, 0},
		{400, "parent_lsn", first.LSN, beyond, 0},
	} {
		got := call(t, s, c.status, "POST "+branches, `{"branch":{"`+c.field+`":"`+c.at+`"}}`)
		if c.status != 201 && !strings.Contains(got.text(t, "message"), c.want) {
			t.Errorf("%s %s: %s", c.field, c.at, got.Raw)
		}
		advance(t, s, c.advanceThen)
	}
	call(t, s, 400, "POST "+branches,
		`{"branch":{"parent_timestamp":"`+stamp(s.Now())+`","parent_lsn":"`+first.LSN+`"}}`)
	if _, err := s.Keep(t.Context(), "none", ""); err == nil {
		t.Error("kept a project that is not there")
	}
	if _, err := s.Keep(t.Context(), p.ID, "br-none"); err == nil {
		t.Error("kept a branch that is not there")
	}
}
