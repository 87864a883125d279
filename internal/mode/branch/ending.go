package branch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// finish gives the branches to later steps and jobs.
func (p *previews) finish(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	var variables []string
	var err error
	if p.exports != nil && !p.env.DryRun {
		variables, err = p.exports.write(results)
	}
	e := p.output(results)
	e.Sections = []report.Section{{Title: "Branches", Lines: p.lines(results, variables)}}
	return e, err
}

// listed is one entry of the output branches.
type listed struct {
	Tenant string `json:"tenant"`
	Key    string `json:"key"`
	Detail
}

// output is the output branches: those of the tenants that did not fail.
func (p *previews) output(results []fleet.Result) (e mode.Ending) {
	list := []listed{}
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
		if ok && r.State != fleet.Failed && (d.ID != "" || p.env.DryRun) {
			list = append(list, listed{Tenant: r.Tenant.Name, Key: r.Tenant.Key, Detail: d})
		}
	}
	text, _ := json.Marshal(list) // texts and times always marshal
	if len(text) <= report.MaxOutput {
		e.Outputs = map[string]string{"branches": string(text)}
		return e
	}
	e.Warnings = []string{fmt.Sprintf("the output branches is not set: %s take %s, more than the %s that a later step "+
		"can be given; the report file lists them all", words.Count(len(list), "branch", "branches"),
		words.Size(int64(len(text))), words.Size(report.MaxOutput))}
	return e
}

// lines say what became of the branches, and what they cost.
func (p *previews) lines(results []fleet.Result, variables []string) []string {
	counts := map[change]int{}
	for _, r := range results {
		if d, ok := r.Outcome.Detail.(Detail); ok && r.State != fleet.Failed {
			counts[d.Change]++
		}
	}
	var parts []string
	for _, c := range []change{created, reset, deleted, unchanged} {
		switch n := counts[c]; {
		case n == 0:
		case p.env.DryRun && c != unchanged:
			parts = append(parts, fmt.Sprintf("%d would be %s", n, c))
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, c))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing was done"}
	}
	lines := []string{fmt.Sprintf("branch %q: %s", p.name, strings.Join(parts, ", "))}
	if counts[created] > 0 && !p.env.DryRun {
		lines = append(lines, cost, expiry(results))
	}
	if p.source != nil {
		lines = append(lines, words.Count(int(p.source.APICalls()), "call", "calls")+" of Neon's API")
	}
	if len(variables) > 0 {
		const shown = 10
		lines = append(lines, "connection strings for later steps of this job: "+words.List(variables, shown))
	}
	return lines
}

// cost is that of new branches.
const cost = "new branches count towards the limit of their project's plan, and cost what is written to them and the " +
	"time that their computes run"

// expiry says until when new branches cost something.
func expiry(results []fleet.Result) string {
	var first time.Time
	for _, r := range results {
		d, ok := r.Outcome.Detail.(Detail)
		if ok && d.Change == created && d.ExpiresAt != nil && (first.IsZero() || d.ExpiresAt.Before(first)) {
			first = *d.ExpiresAt
		}
	}
	if first.IsZero() {
		return "without branch-expires-in, they stay until mode delete-branches deletes them"
	}
	return "they expire from " + first.UTC().Format("2006-01-02 15:04 UTC") + " on, unless a later run renews them"
}
