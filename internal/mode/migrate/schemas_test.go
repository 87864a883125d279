package migrate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
)

// refusing is a source that gives no connection string to the tenants with these ids.
type refusing struct {
	fleet.Source
	refused map[string]error
}

func (r refusing) URL(_ context.Context, t fleet.Tenant) (fleet.Secret, error) {
	return fleet.Secret{}, r.refused[t.ID]
}

// What prepare read is covered by internal/migration; here nothing was read.
func TestMigrateWithoutConnection(t *testing.T) {
	reserved := errors.New("the name is reserved")
	env := mode.Env{Source: refusing{refused: map[string]error{"pg_x": reserved}}}
	for name, c := range map[string]struct {
		id, schema string
		known      bool
		err        error
	}{
		"a database of its own":          {id: "pg_x"},
		"a schema that was not read":     {id: "acme", schema: "acme"},
		"a name that can be no schema's": {id: "pg_x", schema: "pg_x", known: true, err: reserved},
	} {
		_, known, err := (&migrateSchemas{}).migrate(t.Context(), env, fleet.Tenant{ID: c.id}, nil,
			migration.Options{Schema: c.schema})
		if known != c.known || !errors.Is(err, c.err) {
			t.Errorf("%s: got %t, %v", name, known, err)
		}
	}
}

func TestEnding(t *testing.T) {
	applied := []migration.Applied{{Version: "2", File: "2_b.sql", Elapsed: 1234 * time.Millisecond}}
	for name, c := range map[string]struct {
		did      *migration.Result
		dryRun   bool
		lines    []string // nil: no section
		warnings int
	}{
		"no files":      {},
		"nothing to do": {did: &migration.Result{Before: "2", After: "2"}, lines: []string{"nothing pending"}},
		"applied":       {did: &migration.Result{Applied: applied}, lines: []string{"2_b.sql applied in 1.2s"}},
		"a dry run": {did: &migration.Result{Pending: []string{"2_b.sql", "3_c.sql"}}, dryRun: true,
			lines: []string{"2_b.sql is pending", "3_c.sql is pending"}},
		"with its warnings": {did: &migration.Result{Applied: applied, Warnings: []string{"x"}},
			lines: []string{"2_b.sql applied in 1.2s"}, warnings: 1},
	} {
		e := publicEnding(c.did, c.dryRun)
		var want []report.Section
		if c.lines != nil {
			want = []report.Section{{Title: "Schema public", Lines: c.lines}}
		}
		if diff := cmp.Diff(want, e.Sections); diff != "" || len(e.Warnings) != c.warnings ||
			(e.Detail != nil) != (c.did != nil) {
			t.Errorf("%s: %+v\n%s", name, e, diff)
		}
	}
}
