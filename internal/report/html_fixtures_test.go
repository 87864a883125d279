package report

import (
	"fmt"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
)

// drifted is a health check that finds another schema on some tenants.
func drifted() Run {
	r := Run{Mode: "health-check", Source: "neon", ID: "14923871102", Started: began, Elapsed: 9 * time.Second,
		ReportFile: "neon-tenants-report.json", SourceURL: "https://github.com/acme/app/blob/0123abc"}
	var names []string
	for i := range 40 {
		t, took := tenantNo(i), time.Duration(90+i)*time.Millisecond
		if i%7 != 3 {
			r.Results = append(r.Results, unchanged(t, took))
			r.Results[i].Outcome.Note = "healthy"
			continue
		}
		names = append(names, t.Name)
		res := failed(t, fleet.WithRemedy(fmt.Errorf("drift: 1 object more, 1 less and 1 that differs"),
			"bring the schema back to that of the others, or put the change into a migration"), took)
		res.Outcome.Detail = map[string]any{"problems": []string{"drift"}, "version": "20260312101500", "objects": 42,
			"fingerprint_version": 2, "extensions": []string{"citext 1.6", "pg_trgm 1.6"}}
		r.Results = append(r.Results, res)
	}
	r.Sections = []Section{
		{Title: "Health", Lines: []string{"34 of 40 tenants are healthy."},
			Pie: []Slice{{"healthy", "#2da44e", 34}, {"schema drift", "#8250df", 6}}},
		{Title: "Schemas: 6 of 40 tenants differ", Lines: []string{"The norm is the schema of 34 tenants."},
			Blocks: []Block{
				{Title: "5 tenants differ from 34 others", Names: names[:5], Diff: []string{
					"+ column users.extra integer", "- index users_email_idx on users using btree (lower(email))",
					"~ column projects.name text not null", "  here: varchar(200)"}},
				{Title: "1 tenant differs from 34 others", Names: names[5:], Diff: []string{"+ table tmp_export"}},
			}},
	}
	return r
}

// rehearsed is a migration with a rehearsal.
func rehearsed() Run {
	r := hundred()
	for i := range r.Results {
		if r.Results[i].State == fleet.Succeeded {
			r.Results[i].Outcome.Detail = map[string]any{"version_before": "20260228080000",
				"version_after": "20260312101500", "out_of_order": []string{}, "applied": []map[string]any{
					{"version": "20260301090000", "file": "20260301090000_plans.sql", "elapsed_ms": 31},
					{"version": "20260312101500", "file": "20260312101500_add_invoices.sql", "elapsed_ms": 310}}}
		}
	}
	r.Sections = []Section{{
		Title: "Rehearsal", Lines: []string{
			"3 of 100 tenants rewrite events; the longest, acme-corp, holds ACCESS EXCLUSIVE on it for 41s.",
			"97 of 100 tenants rehearsed on 97 branches (about 5m12s of compute time, 388 calls of Neon's API); 3 with " +
				"nothing pending."},
		Bars: Bars{Title: "Where the time goes", Bars: []Bar{{"20260312101500_add_invoices.sql", 61_000},
			{"20260301090000_plans.sql", 8_200}, {"20260302101500_index.sql", 940}}},
		Blocks: []Block{
			{Title: "20260312101500_add_invoices.sql:12 A foreign key checks every row while both tables are locked.",
				SQL: []string{"alter table invoices add constraint fk foreign key (customer_id)",
					"  references customers (id) not valid;", "alter table invoices validate constraint fk;"}},
			{Title: "How 97 schemas change", Diff: []string{"+ table invoices", "+ column invoices.id bigint not null"}},
		},
	}}
	return r
}

// many is a large fleet on a good day, with some of everything.
func many(n int) Run {
	r := Run{Mode: "migrate", Source: "neon", ID: "14923871102", Started: began, Elapsed: 9 * time.Minute,
		ReportFile: "neon-tenants-report.json"}
	for i := range n {
		t, took := tenantNo(i), time.Duration(150+(i*7919)%900)*time.Millisecond
		if i == 4321 {
			t.Key = "renamed"
		}
		switch {
		case i%500 == 77:
			r.Results = append(r.Results, failed(t, missingRelation(t), took))
		case i%9 == 2:
			r.Results = append(r.Results, unchanged(t, took/5))
		default:
			r.Results = append(r.Results, succeeded(t, "2 applied", took))
		}
		if i%250 == 10 {
			r.Results[i].Outcome.Warnings = []string{"its schema holds 1 version that no file has: 20251111111111"}
		}
		r.Results[i].Outcome.Detail = map[string]any{"version_before": "20260228080000",
			"version_after": "20260312101500", "applied": []map[string]any{
				{"version": "20260301090000", "file": "20260301090000_plans.sql", "elapsed_ms": 31},
				{"version": "20260312101500", "file": "20260312101500_add_invoices.sql", "elapsed_ms": 310}}}
	}
	return r
}

// joinedShards is a report merged from two shards.
func joinedShards() Run {
	r := five()
	r.ID = ""
	r.Merged = []MergedRun{
		{File: "reports/1/neon-tenants-report.json", Shard: "1/2", ElapsedMS: 2100, Totals: Totals{Total: 3, Failed: 1}},
		{File: "reports/2/neon-tenants-report.json", Shard: "2/2", ElapsedMS: 1900, Totals: Totals{Total: 2}},
	}
	return r
}
