package words

import "testing"

func TestNearest(t *testing.T) {
	settings := []string{
		"autoscaling_limit_min_cu", "autoscaling_limit_max_cu", "suspend_timeout_seconds", "history_retention_seconds",
		"active_time_seconds", "logical_size_bytes",
	}
	inputs := []string{
		"mode", "tenant-source", "neon-api-key", "tenant-key", "tenants", "min-tenants", "dry-run", "migrations-path",
		"migrations-format",
	}
	for _, tt := range []struct {
		names       []string
		given, want string
	}{
		{settings, "autoscalingLimitMinCu", "autoscaling_limit_min_cu"},
		{settings, "autoscaling-limit-max-cu", "autoscaling_limit_max_cu"},
		{settings, "max_cu", "autoscaling_limit_max_cu"},
		{settings, "suspend_timeout", "suspend_timeout_seconds"},
		{settings, "suspend_timout_seconds", "suspend_timeout_seconds"},
		{settings, "history_retention", "history_retention_seconds"},
		{settings, "logical_size", "logical_size_bytes"},
		{settings, "active_time_second", "active_time_seconds"},
		{settings, "settings.quota", ""},
		{settings, "allowed_ips", ""},
		{settings, "x", ""},
		{settings, "", ""},
		{inputs, "tenant", "tenants"}, // a letter less is nearer than a part
		{inputs, "TENANT", "tenants"},
		{inputs, "DRYRUN", "dry-run"},
		{inputs, "neon_apikey", "neon-api-key"},
		{inputs, "migration-path", "migrations-path"},
		{inputs, "migrations", "migrations-path"},
		{inputs, "min-tenant", "min-tenants"},
		{inputs, "mod", "mode"},
		{inputs, "token", ""},
		{nil, "mode", ""},
	} {
		if got := Nearest(tt.given, tt.names); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.given, got, tt.want)
		}
	}
}
