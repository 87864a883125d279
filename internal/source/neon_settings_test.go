package source

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/remedies"
)

// Every form of the same settings is read alike.
func TestParseSettings(t *testing.T) {
	const sizes = `{"default_endpoint_settings":{"autoscaling_limit_min_cu":0.25,"autoscaling_limit_max_cu":2,` +
		`"suspend_timeout_seconds":-1},"history_retention_seconds":0,"settings":{"quota":{"logical_size_bytes":7}}}`
	for name, c := range map[string]struct{ text, want string }{
		"nothing":  {"", "{}"},
		"comments": {"# none\n", "{}"},
		"empty":    {"{}", "{}"},
		"nested":   {sizes, sizes},
		"nested, with tabs": {"{\n\t\"default_endpoint_settings\": {\n\t\t\"suspend_timeout_seconds\": 60\n\t}\n}",
			`{"default_endpoint_settings":{"suspend_timeout_seconds":60}}`},
		"flat": {`{"autoscaling_limit_min_cu":0.25,"autoscaling_limit_max_cu":2,"suspend_timeout_seconds":-1,` +
			`"history_retention_seconds":0,"logical_size_bytes":7}`, sizes},
		"quota by itself": {`{"quota":{"active_time_seconds":1}}`, `{"settings":{"quota":{"active_time_seconds":1}}}`},
		"lines": {"  autoscaling_limit_min_cu: 0.25\n  autoscaling_limit_max_cu:2 # small\r\n\n" +
			"  suspend_timeout_seconds = -1\n  history_retention_seconds=0\n  logical_size_bytes: 7\n", sizes},
		"nested lines": {"settings:\n  quota:\n    written_data_bytes: 9223372036854775807",
			`{"settings":{"quota":{"written_data_bytes":9223372036854775807}}}`},
		"no line breaks": {"{suspend_timeout_seconds: 604800, history_retention_seconds: 2592000}",
			`{"default_endpoint_settings":{"suspend_timeout_seconds":604800},"history_retention_seconds":2592000}`},
		"one size": {"autoscaling_limit_min_cu: 56\nautoscaling_limit_max_cu: 56.0",
			`{"default_endpoint_settings":{"autoscaling_limit_min_cu":56,"autoscaling_limit_max_cu":56}}`},
		"the largest range": {"autoscaling_limit_min_cu: 0.25\nautoscaling_limit_max_cu: 8.25",
			`{"default_endpoint_settings":{"autoscaling_limit_min_cu":0.25,"autoscaling_limit_max_cu":8.25}}`},
		"all of Neon's defaults": {"suspend_timeout_seconds: 0\ncompute_time_seconds: 0\ndata_transfer_bytes: 0",
			`{"default_endpoint_settings":{"suspend_timeout_seconds":0},` +
				`"settings":{"quota":{"compute_time_seconds":0,"data_transfer_bytes":0}}}`},
	} {
		r := parseSettings(c.text)
		got, err := json.Marshal(r.settings)
		if err != nil || string(got) != c.want || len(r.mistakes) > 0 {
			t.Errorf("%s: got %s, %q, %v", name, got, r.mistakes, err)
		}
	}
}

func TestSettingsMistakes(t *testing.T) {
	const suspend = "and must be -1 (never), 0 (Neon's default) or a whole number of seconds from 60 to 604800 (a week)" +
		"; write for example suspend_timeout_seconds: 300"
	const units = "and must be a number of compute units from 0.25 to 56; write for example "
	form := func(why string) []string {
		return []string{"cannot be read (" + why + "); write one setting a line, such as suspend_timeout_seconds: 300, or " +
			"a JSON object such as {\"suspend_timeout_seconds\": 300}"}
	}
	for text, want := range map[string][]string{
		"small": form("it has no names with values"),
		"[1]":   form("it has no names with values"),
		"history_retention_seconds: 1\n---\nsuspend_timeout_seconds: 60": form("text follows the settings"),
		"{":                                form("line 1: did not find expected node content"),
		"suspend_timeout_seconds: 59":      {"suspend_timeout_seconds is 59, " + suspend},
		"suspend_timeout_seconds: 604801":  {"suspend_timeout_seconds is 604801, " + suspend},
		"suspend_timeout_seconds: -2":      {"suspend_timeout_seconds is -2, " + suspend},
		"suspend_timeout_seconds: 60.5":    {"suspend_timeout_seconds is 60.5, " + suspend},
		"suspend_timeout_seconds: 0x64":    {"suspend_timeout_seconds is 0x64, " + suspend},
		"suspend_timeout_seconds: 0100":    {"suspend_timeout_seconds is 0100, " + suspend},
		"suspend_timeout_seconds: 3_600":   {"suspend_timeout_seconds is 3_600, " + suspend},
		"suspend_timeout_seconds: 5m":      {`suspend_timeout_seconds is the text "5m", ` + suspend},
		`{"suspend_timeout_seconds":"60"}`: {`suspend_timeout_seconds is the text "60", ` + suspend},
		"suspend_timeout_seconds: true":    {"suspend_timeout_seconds is true, " + suspend},
		"suspend_timeout_seconds:":         {"suspend_timeout_seconds is empty, " + suspend},
		"suspend_timeout_seconds: null":    {"suspend_timeout_seconds is empty, " + suspend},
		"suspend_timeout_seconds: [60]":    {"suspend_timeout_seconds is a list, " + suspend},
		"suspend_timeout_seconds: {}":      {"suspend_timeout_seconds is an object, " + suspend},
		"autoscaling_limit_min_cu: &a 1\nautoscaling_limit_max_cu: *a": {
			"autoscaling_limit_max_cu is a reference, " + units + "autoscaling_limit_max_cu: 2"},
		"autoscaling_limit_min_cu: 0.2\nautoscaling_limit_max_cu: 57": {
			"autoscaling_limit_min_cu is 0.2, " + units + "autoscaling_limit_min_cu: 0.25",
			"autoscaling_limit_max_cu is 57, " + units + "autoscaling_limit_max_cu: 2"},
		"autoscaling_limit_max_cu: .inf": {"autoscaling_limit_max_cu is .inf, " + units + "autoscaling_limit_max_cu: 2"},
		"autoscaling_limit_min_cu: 2\nautoscaling_limit_max_cu: 1.5": {
			"autoscaling_limit_min_cu is 2 and autoscaling_limit_max_cu is 1.5; write the smaller one as the minimum, or " +
				"the same number twice for a compute of one size"},
		"autoscaling_limit_min_cu: 1\nautoscaling_limit_max_cu: 10": {
			"autoscaling_limit_max_cu is 10, and Neon scales by at most 8 compute units from autoscaling_limit_min_cu, " +
				"which is 1; write at most 9, or raise the minimum to at least 2"},
		"history_retention_seconds: 2592001": {"history_retention_seconds is 2592001, and must be a whole number of " +
			"seconds from 0 to 2592000 (30 days); write for example history_retention_seconds: 86400"},
		"active_time_seconds: -1": {"active_time_seconds is -1, and must be a whole number of seconds, or 0 for no limit; " +
			"write for example active_time_seconds: 3600"},
		"logical_size_bytes: 9223372036854775808": {"logical_size_bytes is 9223372036854775808, and must be a whole " +
			"number of bytes, or 0 for no limit; write for example logical_size_bytes: 10737418240"},
		"history_retention_seconds: 1\nhistory_retention_seconds: 2": {
			"history_retention_seconds is given twice; leave one of them out"},
		`{"quota":{"active_time_seconds":1},"active_time_seconds":1}`: {
			"active_time_seconds is given twice; leave one of them out"},
		`{"settings":{"history_retention_seconds":1}}`: {"history_retention_seconds is in settings, where Neon's API does " +
			"not have it; write it outside of every object"},
		`{"settings":{"active_time_seconds":1}}`: {"active_time_seconds is in settings, where Neon's API does not have it; " +
			"write it in settings.quota, or outside of every object"},
		"settings: 1": {`settings is 1, and must be an object with settings; write for example {"settings": {…}}`},
		"pg_settings: {}\nHISTORY_RETENTION_SECONDS: 1": {
			unknownSetting("pg_settings"),
			`"HISTORY_RETENTION_SECONDS" is not one of its names; did you mean history_retention_seconds?`},
	} {
		if diff := cmp.Diff(want, parseSettings(text).mistakes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

func TestSettingsRemedy(t *testing.T) {
	given := []string{"autoscaling_limit_min_cu", "suspend_timeout_seconds", "active_time_seconds"}
	for name, c := range map[string]struct {
		err   error
		given []string
		want  string
	}{
		"suspend": {answered(412, "POST", "modifying the suspend interval is not permitted on this account"), given,
			"in neon-settings, change suspend_timeout_seconds to what the account's plan allows"},
		"by its name": {answered(400, "POST", "active_time_seconds is too large"), given,
			"in neon-settings, change active_time_seconds to"},
		"another limit": {answered(422, "POST", "autoscaling limit exceeded"), given,
			"in neon-settings, change autoscaling_limit_min_cu to"},
		"not given": {answered(400, "POST", "requested history retention seconds exceeds allowed maximum"), given,
			"compare neon-region, neon-pg-version and neon-settings (autoscaling_limit_min_cu, suspend_timeout_seconds, "},
		"none given": {answered(412, "POST", "modifying the suspend interval is not permitted"), nil, ""},
		"too many": {answered(422, "POST", "user projects limit of 1 exceeded"), given,
			"the plan's limit is reached"},
		"no permission":        {answered(403, "POST", "suspend"), given, "the key in neon-api-key may not change this"},
		"before it is created": {answered(400, "GET", "suspend"), given, ""},
	} {
		if got := remedies.Of(settingsRemedy(c.err, c.given)); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
