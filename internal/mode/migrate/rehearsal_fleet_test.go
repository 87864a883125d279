package migrate

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
)

// ran is a tenant's rehearsal of one file that locks orders, and rewrites it if it has bytes.
func ran(name string, took time.Duration, bytes int64) *rehearsed {
	t := migration.Trace{Version: "1", File: "1_a.sql", Elapsed: took,
		Statements: []migration.TracedStatement{{Line: 3, SQL: "alter table orders alter total type bigint", Elapsed: took}},
		Locks:      []migration.TableLock{{Table: "orders", Mode: "ACCESS EXCLUSIVE", Held: took}}}
	if bytes > 0 {
		t.Rewrites = []migration.Rewrite{{Table: "orders", Bytes: bytes}}
	}
	return &rehearsed{tenant: fleet.Tenant{Name: name}, copy: onBranch, compute: 300 * time.Millisecond,
		traces: []migration.Trace{t}, change: []string{"~ column orders.total integer -> bigint"}}
}

func TestSummarize(t *testing.T) {
	failed := &rehearsed{tenant: fleet.Tenant{Name: "broken"}, err: errors.New("x")}
	idle := &rehearsed{tenant: fleet.Tenant{Name: "idle"}}
	missing := &rehearsed{tenant: fleet.Tenant{Name: "new"}, missing: true}
	acme := ran("acme", 41*time.Second, 2_100_000_000)
	for name, c := range map[string]struct {
		all     []*rehearsed
		tenants int
		want    string // the sentence
		lines   []string
	}{
		"nothing pending":  {[]*rehearsed{idle, idle}, 2, "nothing is pending in any of 2 tenants", nil},
		"only new tenants": {[]*rehearsed{missing, missing}, 2, "2 tenants do not exist yet", nil},
		"nothing pending, and a new one": {[]*rehearsed{idle, missing}, 2,
			"nothing is pending in any of 1 tenant; 1 tenant does not exist yet", nil},
		"one is large": {[]*rehearsed{acme, ran("umbra", time.Second, 0), idle}, 400,
			"1 of 3 tenants rewrites orders; the longest, acme, holds ACCESS EXCLUSIVE on it for 41s; " +
				"397 others were not looked at",
			[]string{"2 of 400 tenants rehearsed on 2 branches (about 1s of compute time, 0 calls of Neon's API); " +
				"1 with nothing pending.",
				"1_a.sql takes 41s at most (acme), median 1s over 2 tenants.",
				"1_a.sql rewrites orders in 1 tenant, 2.1 GB at most (acme).",
				"1_a.sql holds ACCESS EXCLUSIVE on orders in 2 tenants, 41s at most (acme): " +
					"nobody reads or writes it meanwhile."}},
		"no rewrite": {[]*rehearsed{ran("umbra", time.Second, 0)}, 1,
			"no table is rewritten; the longest tenant, umbra, takes 1s", nil},
		"one failed": {[]*rehearsed{ran("umbra", time.Second, 0), failed}, 2,
			"1 of 2 rehearsals failed; no table is rewritten; the longest tenant, umbra, takes 1s",
			[]string{"1 of 2 tenants rehearsed on 1 branch (about 1s of compute time, 0 calls of Neon's API); " +
				"1 failed, and so no tenant was touched."}},
		"none could be made": {[]*rehearsed{failed}, 1, "1 of 1 rehearsal failed", nil},
	} {
		f := summarize(c.all, nil, c.tenants, 32)
		if f.Sentence != c.want {
			t.Errorf("%s: %s", name, f.Sentence)
		}
		text := strings.Join(f.section().Lines, "\n")
		for _, line := range c.lines {
			if !strings.Contains(text, line) {
				t.Errorf("%s: no %q in\n%s", name, line, text)
			}
		}
		if f.Passed != (f.Failed == 0) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	f := summarize([]*rehearsed{acme, ran("b", time.Second, 0), ran("c", time.Second, 0)}, nil, 3, 2)
	want := []SchemaChange{{Lines: []string{"~ column orders.total integer -> bigint"},
		Tenants: []string{"acme", "b", "c"}, Count: 3}}
	if diff := cmp.Diff(want, f.Changes); diff != "" || f.EstimateMS != 41_000 || f.Files[0].TotalMS != 43_000 {
		t.Errorf("%+v\n%s", f, diff)
	}
}

// A file that took far longer than in its rehearsal is worth a warning, and one that took a little longer is not.
func TestFarFromItsRehearsal(t *testing.T) {
	r := ran("acme", time.Second, 0)
	for elapsed, warns := range map[time.Duration]bool{
		time.Second: false, 2900 * time.Millisecond: false, 4 * time.Second: true,
	} {
		text := r.slowerThanRehearsed([]migration.Applied{{Version: "1", File: "1_a.sql", Elapsed: elapsed}})
		if warns != strings.Contains(text, "1_a.sql took 4s, and 1s in its rehearsal") || !warns && text != "" {
			t.Errorf("%s: %q", elapsed, text)
		}
	}
	if text := (*rehearsed)(nil).slowerThanRehearsed([]migration.Applied{{Version: "1", Elapsed: time.Hour}}); text != "" {
		t.Error(text)
	}
}

// Files that are committed together are rehearsed, and compared, as one; a hint names the file that it is about.
func TestFilesThatAreCommittedTogether(t *testing.T) {
	r := ran("acme", time.Second, 1_000_000)
	r.traces[0].File, r.traces[0].Statements[0].File = "1_a.sql, 2_b.sql", "2_b.sql"
	text := r.slowerThanRehearsed([]migration.Applied{
		{Version: "1", File: "1_a.sql", Elapsed: 4 * time.Second}, {Version: "2", File: "2_b.sql", Elapsed: 4 * time.Second},
	})
	if !strings.HasPrefix(text, "1_a.sql, 2_b.sql took 4s, and 1s in its rehearsal: ") {
		t.Errorf("got %q", text)
	}
	f := summarize([]*rehearsed{r}, nil, 1, 1)
	if got := f.section().Blocks[0].Title; !strings.HasPrefix(got, "2_b.sql:3 ") {
		t.Errorf("the hint is about %s", got)
	}
	if got := r.detail().Files[0].Rewrites[0].File; got != "2_b.sql" {
		t.Errorf("the rewrite is in %q", got)
	}
}

// Several statements of a file may lock, rewrite or index one table: that is still one tenant.
func TestUsesAreCountedByTenant(t *testing.T) {
	twice := ran("acme", time.Second, 1_000)
	twice.traces[0].Rewrites = append(twice.traces[0].Rewrites, migration.Rewrite{Table: "orders", Bytes: 2_000})
	f := summarize([]*rehearsed{twice, ran("umbra", time.Second, 500)}, nil, 2, 1)
	got := f.Files[0].Rewrites
	if len(got) != 1 || got[0].Tenants != 2 || got[0].Bytes != 3_000 || got[0].Most != "acme" {
		t.Errorf("%+v", got)
	}
}

// The files of the schema public run once, and tenants that do not exist yet, or are adopted, are not idle.
func TestPublicAndTenantsWithoutFiles(t *testing.T) {
	public := ran("the schema public", 5*time.Second, 0)
	public.copy, public.compute = onSchema, 0
	missing := &rehearsed{tenant: fleet.Tenant{Name: "new"}, missing: true}
	adopted := &rehearsed{tenant: fleet.Tenant{Name: "old"}, copy: onBranch}
	f := summarize([]*rehearsed{ran("acme", time.Second, 0), missing, adopted}, public, 3, 1)
	if f.Rehearsed != 2 || f.Missing != 1 || f.Unchanged != 0 || f.EstimateMS != 6_000 || len(f.Public) != 1 ||
		f.Files[0].Tenants != 1 || f.Cost.WithoutData != 1 {
		t.Errorf("%+v", f)
	}
}

func TestLimitsNeedTheData(t *testing.T) {
	limits, err := parseLimits("rewrite>1GB")
	if err != nil {
		t.Fatal(err)
	}
	r := ran("acme", time.Second, 0)
	if err := limits.judge(r); err != nil {
		t.Error(err)
	}
	r.copy = onSchema
	if err := limits.judge(r); err == nil || !strings.Contains(err.Error(), "the copy has no data") {
		t.Errorf("%v", err)
	}
	if err := noLimits.judge(r); err != nil {
		t.Error(err)
	}
}
