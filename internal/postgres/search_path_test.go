package postgres

import (
	"slices"
	"testing"
)

func TestMissingFromPath(t *testing.T) {
	for _, c := range []struct {
		path, current, missing string
		names                  []string
	}{
		{`"$user", public`, "public", "", []string{"$user", "public"}},
		{`"$user", public`, "alice", "", []string{"$user", "public"}}, // the schema that has the role's name
		{`tenant_x, "$user"`, "alice", "tenant_x", []string{"tenant_x", "$user"}},
		{`tenant_x, public`, "public", "tenant_x", []string{"tenant_x", "public"}},
		{`"$user",tenant_x,public`, "public", "tenant_x", []string{"$user", "tenant_x", "public"}},
		{`tenant_x, public`, "tenant_x", "", []string{"tenant_x", "public"}},
		{`"My, ""App""", public`, `My, "App"`, "", []string{`My, "App"`, "public"}},
		{`"My, ""App""", public`, "public", `My, "App"`, []string{`My, "App"`, "public"}},
		{`""`, "", "", []string{""}},
		{``, "", "", nil},
		{`TENANT, Public`, "public", "tenant", []string{"tenant", "public"}},
		{`Übung`, "Übung", "", []string{"Übung"}},
		{`pg_temp, public`, "public", "", []string{"pg_temp", "public"}},
		{`"open`, "public", "open", []string{"open"}},
	} {
		if got := missingFromPath(c.path, c.current); got != c.missing {
			t.Errorf("%s with %s: got %q, want %q", c.path, c.current, got, c.missing)
		}
		if got := parsePath(c.path); !slices.Equal(got, c.names) {
			t.Errorf("%s: got %q", c.path, got)
		}
	}
}
