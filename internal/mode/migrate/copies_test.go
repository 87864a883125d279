package migrate

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// late is a platform that has not yet deleted branches which are past their time. The simulator never is.
type late struct {
	fleet.Brancher
	now      time.Time
	branches []fleet.Branch
	deleted  []string
}

func (l *late) Branches(_ context.Context, _ fleet.Tenant, search string) ([]fleet.Branch, error) {
	return slices.DeleteFunc(slices.Clone(l.branches), func(b fleet.Branch) bool {
		return !strings.Contains(b.Name, search)
	}), nil
}

func (l *late) Now() time.Time { return l.now }

func (l *late) DeleteBranch(_ context.Context, _ fleet.Tenant, id string) error {
	l.deleted = append(l.deleted, id)
	return nil
}

// Only branches of rehearsals are deleted, and only those past their time by the platform's clock, which this machine's
// may be ahead of: another run may be at work on the others.
func TestSweep(t *testing.T) {
	now := time.Now().Add(-3 * time.Hour)
	past, future := now.Add(-time.Minute), now.Add(time.Hour)
	l := &late{now: now, branches: []fleet.Branch{
		{ID: "1", Name: "rehearsal/12-old", ExpiresAt: past}, {ID: "2", Name: "rehearsal/13-running", ExpiresAt: future},
		{ID: "3", Name: "rehearsal/kept"}, {ID: "4", Name: "my-rehearsal/12", ExpiresAt: past}, {ID: "5", Name: "main"},
	}}
	var notices []string
	c := copier{env: mode.Env{Notice: func(text string) { notices = append(notices, text) }}}
	if n := c.sweep(t.Context(), fleet.Tenant{Name: "acme"}, l); n != 1 || !slices.Equal(l.deleted, []string{"1"}) {
		t.Errorf("deleted %q", l.deleted)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "acme: deleted the branch rehearsal/12-old of an earlier") {
		t.Errorf("said %q", notices)
	}
}

func TestBranchNames(t *testing.T) {
	one, two := copier{runID: "42"}.branchName(), copier{runID: "42"}.branchName()
	if one == two || !strings.HasPrefix(one, "rehearsal/42-") || !strings.HasPrefix(copier{}.branchName(), "rehearsal/") {
		t.Errorf("%q, %q", one, two)
	}
}

// A copy gets the records of what is migrated on it, and no other: a table of that name elsewhere may be anybody's.
func TestTablesOfACopy(t *testing.T) {
	table := postgres.Ledger{Table: postgres.Table{Name: "__drizzle_migrations"}, Format: postgres.Drizzle}
	home := table.In(postgres.HomeSchema)
	alone, both := copier{table: table}, copier{table: table, shared: []postgres.Ledger{home}}
	for _, c := range []struct {
		name   string
		copier copier
		schema string
		want   []postgres.Ledger
	}{
		{"a database", copier{table: home}, "", []postgres.Ledger{home}},
		{"a schema", alone, "acme", []postgres.Ledger{table.In("acme")}},
		{"a schema beside public", both, "acme", []postgres.Ledger{table.In("acme"), home}},
		{"public", both, postgres.PublicSchema, []postgres.Ledger{home}},
	} {
		if got := c.copier.tables(c.schema); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
