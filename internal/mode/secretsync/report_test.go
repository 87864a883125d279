package secretsync

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// ended is the result of a tenant whose secret has its last word.
func ended(detail Detail) fleet.Result {
	return fleet.Result{State: fleet.Succeeded, Outcome: fleet.Outcome{Detail: detail}}
}

func TestEnding(t *testing.T) {
	three := []fleet.Result{ended(Detail{"A", created}), ended(Detail{"B", updated}), ended(Detail{"C", unchanged})}
	known := situation{scope: repository, past: wroteNames("B", "C"), listed: listedAt(lastSync, "B", "C"), whole: true}
	theirs := known
	theirs.listed = listedAt(lastSync, "A", "B", "C")
	gone := map[secrets.Print]bool{keyring.Name("gone"): true}
	queued := "workflow runs that are queued from now on see what was written; this run does not"
	for what, c := range map[string]struct {
		in      settings
		at      situation
		left    leftovers
		end     conclusion
		dryRun  bool
		lines   []string
		warning string
	}{
		"all kinds of changes": {
			at: known, end: conclusion{results: three, done: journal{puts: map[string]put{"A": {}, "B": {}}}},
			lines: []string{"repository acme/app, per-tenant: 1 created, 1 updated, 1 unchanged, 0 deleted", queued},
		},
		"a dry run": {
			in: settings{prune: true}, at: theirs, dryRun: true, end: conclusion{
				results: three, dropped: 2, done: journal{puts: map[string]put{"A": {}, "B": {}}, deleted: []string{"OLD"}},
			},
			lines: []string{
				"repository acme/app, per-tenant: would be 1 created, 1 updated, 1 unchanged, 1 deleted",
				"would be deleted, no longer needed: OLD",
				"would be dropped from bundles: 2 tenants that are gone",
				"would be overwritten, although not known to come from a sync: A",
			},
		},
		"pruned": {
			in: settings{prune: true, bundled: true}, at: known, left: leftovers{alike: []string{"PROD"}, members: gone},
			end: conclusion{dropped: 1, done: journal{deleted: []string{"E", "D"}},
				strays: []string{bundle3}},
			lines: []string{
				"repository acme/app, bundle: 0 created, 0 updated, 0 unchanged, 2 deleted",
				"deleted, no longer needed: E, D",
				"dropped from bundles: 1 tenant that is gone",
				"named like a tenant's secret, but not known to come from a sync, so left alone: PROD",
			},
			warning: "bundles that no tenant needs and that may be out of date, but are not known to come from a sync; " +
				"delete them yourself: " + bundle3,
		},
		"a tenant failed": {
			in: settings{prune: true, bundled: true}, at: known, left: leftovers{members: gone, mayDrop: true},
			end: conclusion{kept: []string{"C", "D"}, why: "1 tenant's secret was not written"},
			lines: []string{
				"repository acme/app, bundle: 0 created, 0 updated, 0 unchanged, 0 deleted",
				"nothing was pruned, because 1 tenant's secret was not written: C, D",
				"left in bundles: 1 connection string that belongs to no tenant found",
			},
		},
		"a tenant failed, and nothing was to be pruned": {
			in: settings{prune: true}, at: known, left: leftovers{mayDrop: true},
			end:   conclusion{why: "1 tenant's secret was not written"},
			lines: []string{"repository acme/app, per-tenant: 0 created, 0 updated, 0 unchanged, 0 deleted"},
		},
		"nobody asked for pruning": {
			at: known, left: leftovers{secrets: []string{"D"}, alike: []string{"PROD"}, members: gone},
			lines: []string{
				"repository acme/app, per-tenant: 0 created, 0 updated, 0 unchanged, 0 deleted",
				"left in bundles: 1 connection string that belongs to no tenant found",
				"no longer needed (prune-secrets: true deletes what earlier syncs wrote): D",
			},
		},
		"too little is known for pruning": {
			in: settings{prune: true}, at: situation{scope: repository, past: unknown()},
			lines: []string{
				"repository acme/app, per-tenant: 0 created, 0 updated, 0 unchanged, 0 deleted",
				"nothing was pruned: that takes a complete discovery, and a run without tenants and shard",
				"nothing was pruned: it is not known what earlier syncs wrote",
			},
		},
		"an environment, and a workflow file": {
			at:  situation{scope: github.Scope{Repository: "acme/app", Environment: "prod"}},
			end: conclusion{results: three[:1], block: "x.yml is up to date"},
			lines: []string{
				"environment prod of acme/app, per-tenant: 1 created, 0 updated, 0 unchanged, 0 deleted",
				"x.yml is up to date",
				"jobs of the environment that start from now on see what was written",
			},
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := &syncer{
				env: mode.Env{DryRun: c.dryRun}, scope: c.at.scope,
				plan: &plan{settings: c.in, situation: c.at, left: c.left}, writer: &writer{state: &state{past: c.at.past}},
			}
			got := s.ending(c.end)
			if diff := cmp.Diff(c.lines, got.Sections[0].Lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			equal(t, "warnings", strings.Join(got.Warnings, "\n"), c.warning)
			equal(t, "remembered", got.Detail.(Run).Remember, c.at.past.keys != nil)
		})
	}
}

func TestSecretsInTheWorkflowFile(t *testing.T) {
	failed := fleet.Result{Tenant: fleet.Tenant{Key: "failed"}, State: fleet.Failed}
	fresh := fleet.Result{Tenant: fleet.Tenant{Key: "new"}, State: fleet.Failed}
	for what, c := range map[string]struct {
		plan plan
		end  conclusion
		want []string
	}{
		"their own": {
			plan: plan{
				situation: situation{listed: listedAt(lastSync, "FAILED_URL", "OTHER")},
				names:     map[string]string{"failed": "FAILED_URL", "new": "NEW_URL"},
			},
			end: conclusion{results: []fleet.Result{ended(Detail{"ACME_URL", created}), failed, fresh,
				ended(Detail{"NOT_WRITTEN", ""})}},
			want: []string{"ACME_URL", "FAILED_URL"},
		},
		"bundles": {
			plan: plan{
				settings: settings{bundled: true},
				situation: situation{listed: listedAt(lastSync, bundle1, bundle2, bundle3, "OTHER"),
					past: wroteNames(bundle1, bundle2)},
				bundles: []string{bundle1, bundle2, bundle3},
			},
			end: conclusion{results: []fleet.Result{ended(Detail{"NEON_TENANTS_BUNDLE_4", created}), failed},
				done: journal{deleted: []string{bundle2}}},
			want: []string{bundle1, "NEON_TENANTS_BUNDLE_4"},
		},
	} {
		t.Run(what, func(t *testing.T) {
			got := c.plan.existing(c.end)
			slices.Sort(got)
			equal(t, "secrets", got, c.want)
		})
	}
}
