package action

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// posts returns the input for an API that keeps what creates projects, and what it kept.
func (f *organisation) posts(t *testing.T) (input string, kept func() []string) {
	t.Helper()
	var mu sync.Mutex
	var bodies []string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == neontest.BasePath+"/projects" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			bodies = append(bodies, string(body))
			mu.Unlock()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return "neon-api-url=" + front.URL + neontest.BasePath, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return bodies
	}
}

// get returns the answer to a call of the API.
func (f *organisation) get(t *testing.T, path string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, neontest.BasePath+path, nil)
	r.Header.Set("Authorization", "Bearer "+neontest.OrgKey)
	answer := httptest.NewRecorder()
	f.ServeHTTP(answer, r)
	return answer.Body.String()
}

const allSettings = `autoscaling_limit_min_cu: 0.5
autoscaling_limit_max_cu: 4
suspend_timeout_seconds: 3600
history_retention_seconds: 604800
active_time_seconds: 360000
compute_time_seconds: 90000
written_data_bytes: 0
data_transfer_bytes: 53687091200
logical_size_bytes: 10737418240`

// The one call that creates the project has the settings, and Neon has them afterwards: for the project, for its
// compute, and for what leave-asleep goes by. A run that finds the project changes none of them, and says so.
func TestATenantIsCreatedWithItsSettings(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	api, kept := f.posts(t)
	f.run(t, t.Context(), create("new", api, "neon-settings="+allSettings)...).counts(t, 1, 0, 0, 0)
	const body = `{"project":{"name":"new","region_id":"aws-us-east-1","pg_version":16,` +
		`"branch":{"database_name":"neondb","role_name":"neondb_owner"},` +
		`"default_endpoint_settings":{"autoscaling_limit_min_cu":0.5,"autoscaling_limit_max_cu":4,` +
		`"suspend_timeout_seconds":3600},"history_retention_seconds":604800,` +
		`"settings":{"quota":{"active_time_seconds":360000,"compute_time_seconds":90000,"written_data_bytes":0,` +
		`"data_transfer_bytes":53687091200,"logical_size_bytes":10737418240}}}}`
	if diff := cmp.Diff([]string{body}, kept()); diff != "" {
		t.Error(diff)
	}
	f.keepsSettings(t)

	again := f.run(t, t.Context(), create("new", api, "neon-settings=history_retention_seconds=0")...)
	again.counts(t, 0, 1, 0, 0)
	again.says(t, `::notice::neon-settings is for new projects: "new" (`+again.outputs["tenant-id"]+") exists, and keeps "+
		"the settings that it has; change them in Neon's console")
	f.keepsSettings(t)
	if n := len(kept()); n != 1 {
		t.Errorf("%d projects were created", n)
	}
}

// keepsSettings checks what Neon says of the settings of the project new.
func (f *organisation) keepsSettings(t *testing.T) {
	t.Helper()
	p := f.projectsNamed(t, "new")[0]
	if p.SuspendAfter() != time.Hour || p.MinUnits() != 0.5 || p.HistorySeconds != 604800 ||
		p.Settings.Quota.DataTransferBytes != 53687091200 {
		t.Errorf("listed as %+v", p)
	}
	var project struct {
		Project struct {
			Settings struct{ Quota json.RawMessage }
		}
	}
	if err := json.Unmarshal([]byte(f.get(t, "/projects/"+p.ID)), &project); err != nil {
		t.Fatal(err)
	}
	if got := string(project.Project.Settings.Quota); got != `{"active_time_seconds":360000,"compute_time_seconds":90000,`+
		`"written_data_bytes":0,"data_transfer_bytes":53687091200,"logical_size_bytes":10737418240}` {
		t.Error(got)
	}
	endpoints := f.get(t, "/projects/"+p.ID+"/endpoints")
	for _, want := range []string{
		`"autoscaling_limit_min_cu":0.5`, `"autoscaling_limit_max_cu":4`, `"suspend_timeout_seconds":3600`,
	} {
		if !strings.Contains(endpoints, want) {
			t.Errorf("no %s in %s", want, endpoints)
		}
	}
}

// All that is wrong is said at once, before any call.
func TestWrongSettingsAreToldBeforeTheFirstCall(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	o := f.run(t, t.Context(), create("new", "neon-region=Frankfurt!", `neon-settings={
	"default_endpoint_settings": {"autoscaling_limit_min_cu": 4, "autoscaling_limit_max_cu": 2},
	"suspend_timeout": 300, "history_retention_seconds": "1d"}`)...)
	o.says(t, "4 mistakes in the inputs", "neon-region: ",
		`neon-settings: "suspend_timeout" is not one of its names; did you mean suspend_timeout_seconds?`,
		`neon-settings: history_retention_seconds is the text "1d", and must be a whole number of seconds from 0 to `+
			"2592000 (30 days); write for example history_retention_seconds: 86400",
		"neon-settings: autoscaling_limit_min_cu is 4 and autoscaling_limit_max_cu is 2; write the smaller one")
	if n := f.Calls().Total; o.err == nil || n > 0 {
		t.Errorf("%v after %d calls", o.err, n)
	}
}

// What the plan does not allow, only Neon knows. Its refusal leaves no project, and the remedy helps.
func TestSettingsThatThePlanRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ wrong, message, remedy, right string }{
		"suspend delay": {
			"suspend_timeout_seconds: 60\nautoscaling_limit_max_cu: 1",
			"modifying the suspend interval is not permitted on this account",
			"in neon-settings, change suspend_timeout_seconds to what", "autoscaling_limit_max_cu: 1",
		},
		"history": {
			"history_retention_seconds: 86400",
			`exceeds allowed maximum; requested_history_retention_seconds:"86400", max:"21600"`,
			"in neon-settings, change history_retention_seconds to what", "history_retention_seconds: 21600",
		},
		"size": {
			"autoscaling_limit_min_cu: 1\nautoscaling_limit_max_cu: 4", "exceeds the plan's maximum of 2",
			"in neon-settings, change autoscaling_limit_min_cu, autoscaling_limit_max_cu to what",
			"autoscaling_limit_min_cu: 1\nautoscaling_limit_max_cu: 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleetWith(t, neontest.Options{Plan: neontest.FreePlan})
			o := f.run(t, t.Context(), create("new", "neon-settings="+c.wrong)...)
			o.counts(t, 0, 0, 1, 0)
			o.says(t, c.message, c.remedy)
			if made := f.projectsNamed(t, "new"); len(made) > 0 {
				t.Errorf("made %v", made)
			}
			f.run(t, t.Context(), create("new", "neon-settings="+c.right)...).counts(t, 1, 0, 0, 0)
		})
	}
}
