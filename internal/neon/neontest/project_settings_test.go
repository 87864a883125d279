package neontest_test

import (
	"strings"
	"testing"

	"github.com/org/neon-tenants-action/internal/neon/neontest"
)

// A project keeps its settings and answers with them; the computes that it gets later have them too.
func TestProjectSettings(t *testing.T) {
	s := start(t, neontest.Options{OperationTime: -1})
	const settings = `{"project":{"default_endpoint_settings":{"autoscaling_limit_min_cu":3,` +
		`"suspend_timeout_seconds":60},"history_retention_seconds":3600,` +
		`"settings":{"quota":{"active_time_seconds":0,"logical_size_bytes":5}}}}`
	made := call(t, s, 201, "POST /projects", settings)
	id := made.text(t, "project", "id")
	got := call(t, s, 200, "GET /projects/"+id, nil)
	for _, want := range []string{
		`"default_endpoint_settings":{"autoscaling_limit_min_cu":3,"suspend_timeout_seconds":60}`,
		`"quota":{"active_time_seconds":0,"logical_size_bytes":5}`, `"history_retention_seconds":3600`,
	} {
		if !strings.Contains(string(got.Raw), want) || !strings.Contains(string(made.Raw), want) {
			t.Errorf("no %s in %s or %s", want, got.Raw, made.Raw)
		}
	}
	branch := call(t, s, 201, "POST /projects/"+id+"/branches", `{`+withCompute+`}`)
	for _, a := range []answer{made, branch} {
		for _, want := range []string{
			`"autoscaling_limit_min_cu":3,"autoscaling_limit_max_cu":3,`, `"suspend_timeout_seconds":60,"provisioner"`,
		} {
			if !strings.Contains(string(a.Raw), want) {
				t.Errorf("no %s in %s", want, a.Raw)
			}
		}
	}
}

func TestProjectSettingsThatAreRefused(t *testing.T) {
	scale, free := start(t, neontest.Options{}), start(t, neontest.Options{Plan: neontest.FreePlan})
	compute := func(settings string) string { return `"default_endpoint_settings":{` + settings + `}` }
	for _, c := range []struct {
		server *neontest.Server
		status int
		body   string
	}{
		{scale, 400, compute(`"autoscaling_limit_min_cu":0.1`)},
		{scale, 400, compute(`"autoscaling_limit_min_cu":2,"autoscaling_limit_max_cu":1`)},
		{scale, 400, compute(`"autoscaling_limit_min_cu":1,"autoscaling_limit_max_cu":10`)},
		{scale, 400, compute(`"autoscaling_limit_min_cu":"1"`)},
		{scale, 422, compute(`"autoscaling_limit_min_cu":57,"autoscaling_limit_max_cu":57`)},
		{scale, 400, compute(`"suspend_timeout_seconds":59`)},
		{scale, 400, compute(`"suspend_timeout_seconds":604801`)},
		{scale, 400, compute(`"suspend_timeout_seconds":-2`)},
		{scale, 400, `"history_retention_seconds":-1`},
		{scale, 400, `"history_retention_seconds":2592001`},
		{scale, 400, `"settings":{"quota":{"written_data_bytes":-1}}`},
		{scale, 400, `"settings":{"quota":{"written_data_bytes":0.5}}`},
		{free, 412, compute(`"suspend_timeout_seconds":300`)},
		{free, 422, compute(`"autoscaling_limit_min_cu":1,"autoscaling_limit_max_cu":3`)},
		{free, 400, `"history_retention_seconds":21601`},
	} {
		call(t, c.server, c.status, "POST /projects", `{"project":{`+c.body+`}}`)
	}
	for _, s := range []*neontest.Server{scale, free} {
		if list := call(t, s, 200, "GET /projects", nil); !strings.Contains(string(list.Raw), `"projects":[]`) {
			t.Errorf("made %s", list.Raw)
		}
	}
}
