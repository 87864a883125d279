package action

import (
	"fmt"
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
	"github.com/org/neon-tenants-action/internal/servertest"
)

// An API that refuses a share of the calls slows the run down, which is said once, and fails nobody.
func TestAnAPIThatRefusesCallsIsToldOnce(t *testing.T) {
	servertest.Long(t)
	t.Parallel()
	names := make([]string, 12)
	for i := range names {
		names[i] = fmt.Sprintf("t%02d", i)
	}
	f := newFleet(t, named(names...)...)
	for after := range 2 {
		f.Fail(neontest.Fault{Route: "GET /projects/{project_id}/connection_uri", Status: 429, RetryAfter: "1",
			Times: 3, After: 5 * after})
	}
	o := f.run(t, t.Context(), "concurrency=3")
	o.counts(t, 12, 0, 0, 0)
	const notice = "Neon's API refuses calls because there are too many (429)"
	told := 0
	for _, text := range o.report.Notices {
		if strings.HasPrefix(text, notice) {
			told++
		}
	}
	if lines := strings.Count(o.log, "waiting 1s: "); told != 1 || lines != 1 {
		t.Errorf("told %d times, and of %d waits:\n%s", told, lines, o.log)
	}
}
