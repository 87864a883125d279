package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// prune deletes the tenant's backups that the policy does not keep, and records them in d. In a dry run it only records
// them. It warns of those in the tenant's folder that are not the tenant's, or that cannot be relied on.
func (b *Job) prune(ctx context.Context, t fleet.Tenant, o backups.Owner, d *Detail) (warnings []string, err error) {
	if b.policy == nil {
		return nil, nil
	}
	folder := b.Store.Folder(t.Key)
	objects, err := b.Store.Objects(ctx, t.Key)
	if err != nil {
		return nil, err
	}
	decisions, warnings, err := b.due(ctx, backups.Find(folder, objects), o, d)
	if err != nil || b.env.DryRun {
		return warnings, err
	}
	p, err := b.Store.Prune(ctx, decisions, o)
	err = errors.Join(err, b.Store.PruneProofs(ctx, folder, objects, p.Deleted, o))
	d.Pruned, d.Retained = pruned(p.Deleted), p.Retained
	for i := range d.Pruned {
		d.Pruned[i].VersionsStay = slices.Contains(p.Marked, d.Pruned[i].Key)
	}
	if len(p.Marked) > 0 {
		b.env.Notice("the bucket keeps the versions of its objects, so what is pruned is only marked as deleted, and " +
			"still stored and billed; a lifecycle rule with NoncurrentVersionExpiration deletes the versions")
	}
	if len(p.Left) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s past retention that were never finished, and that do not say that "+
			"they are this tenant's, are left: %s", words.Count(len(p.Left), "backup", "backups"), words.List(p.Left, 3)))
	}
	return warnings, err
}

// pruneOnly is the job of prune-only: it prunes a tenant's backups as [Job.Run] does after a new one. The tenant is
// resolved, because its backups are those from where it is now, and not connected to.
func (b *Job) pruneOnly(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	target, err := mode.Resolve(ctx, b.env, t, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	o, d := b.owner(t, target), Detail{}
	note := "%d pruned"
	if b.env.DryRun {
		note = "%d to prune"
	}
	warnings, err := b.prune(ctx, t, o, &d)
	if len(d.Pruned) == 0 && !b.env.DryRun {
		return fleet.Outcome{Unchanged: true, Warnings: warnings, Detail: d}, err
	}
	return fleet.Outcome{Note: fmt.Sprintf(note, len(d.Pruned)), Warnings: warnings, Detail: d}, err
}

// prunedOnly says what was pruned, or in a dry run would be.
func (b *Job) prunedOnly(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	title := "Pruned: "
	if b.env.DryRun {
		title = "To prune: "
	}
	return mode.Ending{Sections: prunedSection(title, results)}, nil
}

// prunedSection lists the first of the tenants' pruned backups; the report file has them all. There is none without
// any.
func prunedSection(title string, results []fleet.Result) []report.Section {
	const shown = 20
	var lines []string
	total := 0
	for _, r := range results {
		d, _ := r.Outcome.Detail.(Detail)
		for _, p := range d.Pruned {
			if total++; total <= shown {
				lines = append(lines, p.Key+": "+p.Reason)
			}
		}
	}
	if total == 0 {
		return nil
	}
	if total > shown {
		lines = append(lines, words.More(total-shown))
	}
	return []report.Section{{Title: title + words.Count(total, "backup", "backups"), Lines: lines}}
}

// due decides which of the listed backups the policy keeps, and records the others in d. It warns as [Job.prune] does.
func (b *Job) due(
	ctx context.Context, listed []backups.Backup, o backups.Owner, d *Detail,
) (decisions []backups.Decision, warnings []string, err error) {
	decisions, judged, err := b.Store.Due(ctx, listed, o, *b.policy)
	d.Pruned = pruned(decisions)
	return decisions, passed(judged), err
}

// passed warns of the backups in a tenant's folder that were passed over.
func passed(judged []backups.Judged) []string {
	if text := backups.Passed(judged); text != "" {
		return []string{text}
	}
	return nil
}

// wouldPrune records in d what would be pruned once there were a new backup with that key.
func (b *Job) wouldPrune(
	ctx context.Context, existing []backups.Backup, o backups.Owner, key backups.Key, d *Detail,
) (warnings []string, err error) {
	if b.policy == nil {
		return nil, nil
	}
	written := backups.Backup{Key: key.String(), Time: key.Time, Verified: true}
	_, warnings, err = b.due(ctx, slices.Insert(slices.Clone(existing), 0, written), o, d)
	return warnings, err
}

// pruned returns the backups that are not to be kept, with the reasons.
func pruned(decisions []backups.Decision) []Pruned {
	var out []Pruned
	for _, d := range decisions {
		if !d.Keep {
			out = append(out, Pruned{Key: d.Key, Reason: strings.Join(d.Reasons, ", ")})
		}
	}
	return out
}
