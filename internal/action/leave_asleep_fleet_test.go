package action

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/postgres/pgtest"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// sharedFleet is a fleet of many projects that share one database, which costs nothing.
func sharedFleet(t *testing.T, tenants int) *organisation {
	t.Helper()
	url := pgtest.Database(t)
	specs := make([]neontest.Spec, tenants)
	for i := range specs {
		specs[i] = neontest.Spec{Name: fmt.Sprintf("t-%05d", i), ID: fmt.Sprintf("project-%05d", i), SharedDatabase: url}
	}
	// A client that holds to a minute's limits would make the test as long as that minute.
	return newFleetWith(t, neontest.Options{Limits: neontest.Limits{PerMinute: -1, PerSecond: -1}}, specs...)
}

// allAsleep is a report in which all tenants are as the first one is in another.
func allAsleep(t *testing.T, f *organisation, o outcome) outcome {
	t.Helper()
	first := o.report.Tenants[0]
	o.report.Tenants = nil
	for _, p := range f.projects {
		one := first
		one.Name, one.ID, one.Key = p.Name, p.ID, p.Name
		one.Detail = json.RawMessage(strings.ReplaceAll(string(first.Detail), first.ID, p.ID))
		o.report.Tenants = append(o.report.Tenants, one)
	}
	o.report.Totals = report.Totals{Total: len(f.projects), Succeeded: len(f.projects)}
	text, err := json.Marshal(o.report)
	if err != nil {
		t.Fatal(err)
	}
	o.reportText = string(text)
	return o
}

// Of ten thousand tenants of which three in a hundred are not current, only these cost a call and a connection each;
// the others cost their share of the list.
func TestTenThousandSleepers(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	sameClocks(t)
	const tenants, behind = 10_000, 300
	f := sharedFleet(t, tenants)
	o := f.run(t, t.Context(), "tenants=t-00000")
	o.counts(t, 1, 0, 0, 0)
	f.keep(t, "last", allAsleep(t, f, o))
	for _, p := range f.projects[:behind] {
		f.Use(p.ID, time.Now().Add(time.Hour))
	}
	f.ResetCalls()
	o = f.run(t, t.Context(), "leave-asleep=true", "previous-report=reports/last.json", "neon-requests-per-minute=60000")
	o.counts(t, 0, tenants, 0, 0)
	o.says(t, "9700 tenants left asleep")
	calls := f.Calls()
	if resolved := calls.ByRoute["GET /projects/{project_id}/connection_uri"]; resolved != behind ||
		calls.Total > tenants/400+1+behind {
		t.Errorf("%d calls, %d of them for connection strings", calls.Total, resolved)
	}
	if len(calls.ByProject) != behind {
		t.Errorf("calls were made about %d projects", len(calls.ByProject))
	}
	// All of them are current again, and so the next run leaves all asleep that nobody uses.
	for _, p := range f.projects[:behind] {
		f.Use(p.ID, time.Now())
	}
	f.keep(t, "last", o)
	f.ResetCalls()
	f.run(t, t.Context(), "leave-asleep=true", "previous-report=reports/last.json").says(t, "10000 tenants left asleep")
	if n := f.Calls().Total; n > tenants/400+1 {
		t.Errorf("%d calls", n)
	}
}
