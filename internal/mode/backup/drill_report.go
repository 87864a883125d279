package backup

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// Drills is what the report file says about a run of mode verify-backups as a whole.
type Drills struct {
	Tenants     int     `json:"tenants_with_backups"`
	Restored    int     `json:"restored"`
	Failed      int     `json:"failed"`
	NeverProven int     `json:"never_proven"`
	Overdue     int     `json:"overdue"` // whose proof is older than max-proof-age
	OldestProof int64   `json:"oldest_proof_age_seconds"`
	RestoreP95  float64 `json:"restore_p95_seconds,omitempty"`
}

// proofAge is a tenant with a backup, after the run.
type proofAge struct {
	name   string
	age    time.Duration
	proven bool
}

// finish says how old the proofs are.
func (d *drill) finish(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	d.mu.Lock()
	proven := maps.Clone(d.proven) // a job that was abandoned may still come so far
	d.mu.Unlock()
	var ages []proofAge
	var seconds []float64
	var whole Drills
	for _, r := range results {
		c, ok := d.source.chains[r.Tenant.ID]
		if !ok {
			continue
		}
		if p, done := proven[r.Tenant.ID]; done {
			c.Proof = &p
			seconds = append(seconds, p.Seconds)
			whole.Restored++
		} else if r.State == fleet.Failed {
			whole.Failed++
		}
		ages = append(ages, proofAge{cmp.Or(r.Tenant.Name, r.Tenant.ID), c.Unproven(d.source.store.Now()), c.Proof != nil})
	}
	slices.SortStableFunc(ages, func(a, b proofAge) int { return cmp.Compare(b.age, a.age) })
	whole.Tenants = len(ages)
	var overdue, never []string
	for _, a := range ages {
		if !a.proven {
			never = append(never, a.name)
		}
		if a.age > d.maxAge {
			overdue = append(overdue, a.name)
		}
	}
	whole.NeverProven, whole.Overdue = len(never), len(overdue)
	e := mode.Ending{Outputs: map[string]string{}}
	if len(ages) > 0 {
		whole.OldestProof = int64(ages[0].age / time.Second)
		e.Outputs["oldest-proof-age"] = strconv.FormatInt(whole.OldestProof, 10)
	}
	if len(seconds) > 0 {
		whole.RestoreP95 = percentile(seconds, 95)
		e.Outputs["restore-p95-seconds"] = strconv.FormatFloat(whole.RestoreP95, 'f', -1, 64)
	}
	e.Warnings = d.warnings(overdue, never)
	e.Sections, e.Detail = []report.Section{d.section(whole, ages)}, whole
	return e, nil
}

// warnings are what the fleet's backups lack.
func (d *drill) warnings(overdue, never []string) (all []string) {
	const shown = 10
	if len(d.source.chains) == 0 {
		all = append(all, fmt.Sprintf("no backup was found under s3://%s/%s, so nothing is proven; %s",
			d.source.store.Name(), d.source.store.Folder(""), checkPlace))
	}
	if n := len(overdue); n > 0 {
		all = append(all, fmt.Sprintf("%s not proven within max-proof-age: %s: %s",
			words.Count(n, "tenant's backups were", "tenants' backups were"), words.Setting(d.maxAge),
			words.List(overdue, shown)))
	}
	if n := len(never); n > 0 {
		all = append(all, fmt.Sprintf("%s never been proven to restore: %s",
			words.Count(n, "tenant's backups have", "tenants' backups have"), words.List(never, shown)))
	}
	if n := len(d.source.odd); n > 0 {
		all = append(all, fmt.Sprintf("%s in the bucket that no drill can prove: %s",
			words.Count(n, "thing looks like a backup", "things look like backups"), words.List(d.source.odd, shown)))
	}
	return all
}

// section shows the ages of the oldest proofs.
func (d *drill) section(whole Drills, ages []proofAge) report.Section {
	const bars = 25
	s := report.Section{Title: "Restore drills", Lines: []string{}}
	if d.env.DryRun {
		s.Lines = append(s.Lines, "a dry run restores nothing")
	} else {
		line := fmt.Sprintf("%s restored and compared", words.Count(whole.Restored, "backup", "backups"))
		if whole.Failed > 0 {
			line += fmt.Sprintf(", %d failed", whole.Failed)
		}
		if whole.RestoreP95 > 0 {
			line += fmt.Sprintf("; 95%% of them took no longer than %s",
				words.Duration(time.Duration(whole.RestoreP95*float64(time.Second))))
		}
		s.Lines = append(s.Lines, line)
	}
	s.Lines = append(s.Lines, fmt.Sprintf("of %s with backups, %d proven within %s, %d longer ago, %d never",
		words.Count(whole.Tenants, "tenant", "tenants"), recent(ages, d.maxAge), words.Setting(d.maxAge),
		whole.Tenants-whole.NeverProven-recent(ages, d.maxAge), whole.NeverProven))
	if len(ages) > 0 {
		s.Lines = append(s.Lines, fmt.Sprintf("longest without a proof: %s, %s", ages[0].name, words.Duration(ages[0].age)))
	}
	s.Bars.Title = "Age of each tenant's newest proof"
	if len(ages) > bars {
		s.Bars.Title = fmt.Sprintf("Age of the %d oldest of the newest proofs", bars)
	}
	for _, a := range ages[:min(bars, len(ages))] {
		label := a.name
		if !a.proven {
			label = "never - " + label
		}
		s.Bars.Bars = append(s.Bars.Bars, report.Bar{Label: label, LengthMS: a.age.Milliseconds()})
	}
	return s
}

// recent counts the proofs that are not older than maxAge.
func recent(ages []proofAge, maxAge time.Duration) (n int) {
	for _, a := range ages {
		if a.proven && a.age <= maxAge {
			n++
		}
	}
	return n
}

// percentile is the smallest of the values that so many percent of them do not exceed.
func percentile(values []float64, percent float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	i := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[max(0, i-1)]
}
