// Package secretsync is mode sync-secrets: every tenant's connection string in GitHub's secrets, and nothing else.
package secretsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/words"
)

// Detail is what the report file says of a tenant whose connection string is a GitHub secret.
type Detail struct {
	Secret string `json:"secret,omitempty"` // its name; the bundle's, of a bundle
	Change string `json:"change,omitempty"` // created, updated or unchanged; in a dry run, what would become of it
}

// syncer is the mode with its inputs read.
type syncer struct {
	env      mode.Env
	client   *github.Client
	scope    github.Scope
	settings settings
	keys     *secrets.Keyring // nil: nothing is remembered between runs
	file     *workflowFile    // nil: none
	resolve  func(ctx context.Context, t fleet.Tenant) (fleet.Secret, error)

	// Set by prepare.
	plan   *plan
	writer *writer
}

// prepare reads what exists, and plans.
func (s *syncer) prepare(ctx context.Context, found mode.Found) error {
	listed, err := listSecrets(ctx, s.client, s.scope)
	if err != nil {
		return fmt.Errorf("list the secrets of %s: %w", s.scope, s.alsoVariables(err))
	}
	state, err := loadState(ctx, s.client, s.scope, s.keys, s.env)
	if err != nil {
		return err
	}
	s.plan, err = newPlan(s.settings, situation{
		scope: s.scope, listed: listed, past: state.past,
		tenants: keys(found.Tenants), all: keys(found.All), whole: found.Whole,
	})
	if err != nil {
		return err
	}
	s.writer = &writer{ctx: ctx, client: s.client, scope: s.scope, state: state, dryRun: s.env.DryRun}
	if !s.env.DryRun {
		s.announce()
	}
	return nil
}

// alsoVariables adds to the remedy for a missing permission the one that the next run would ask for. An environment has
// a single one for both.
func (s *syncer) alsoVariables(err error) error {
	var e *github.Error
	if !errors.As(err, &e) || e.Lacks() == "" || s.keys == nil || s.scope.Environment != "" {
		return err
	}
	need := "Variables: write"
	if s.scope.Organization != "" {
		need = "Organization variables: write"
	}
	return fleet.WithRemedy(err, fmt.Sprintf("%s; give it %q too: without that, which is optional, every run writes "+
		"every secret and prunes none", e.Remedy(), need))
}

// keys lists the tenants' keys.
func keys(tenants []fleet.Tenant) []string {
	keys := make([]string, len(tenants))
	for i, t := range tenants {
		keys[i] = t.Key
	}
	return keys
}

// announce says how long the writes that are certain will take, if that is a minute or more.
func (s *syncer) announce() {
	n := s.plan.certainWrites()
	if least := github.WriteTime(n + 2); least > 0 { // and the state's two
		s.env.Say(fmt.Sprintf("%d secrets to write: at GitHub's limits of %d writes a minute and %d an hour, "+
			"this takes at least %s", n, github.WritesPerMinute, github.WritesPerHour, words.Setting(least)))
	}
}

// job brings one tenant's secret up to date. With bundles it only resolves the connection string.
func (s *syncer) job(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	if err := s.plan.nameless[t.Key]; err != nil {
		return fleet.Outcome{}, fmt.Errorf("secret-name %s: %w", s.plan.template, err)
	}
	secret, err := s.resolve(ctx, t)
	if err != nil {
		return fleet.Outcome{}, err
	}
	mode.Hide(s.env, log, secret)
	value := secret.Reveal()
	if s.plan.bundled {
		change := s.plan.member(t.Key, value)
		o := fleet.Outcome{Unchanged: change == unchanged, Detail: reading{Detail{Change: change}, secret}}
		if !o.Unchanged {
			o.Note = "read"
		}
		return o, nil
	}
	name, change := s.plan.secret(t.Key, value)
	if change == unchanged {
		return fleet.Outcome{Unchanged: true, Detail: Detail{name, unchanged}}, nil
	}
	if err := s.writer.put(name, value); err != nil {
		return fleet.Outcome{Detail: Detail{Secret: name}}, err
	}
	return fleet.Outcome{Note: s.would(change), Detail: Detail{name, change}}, nil
}

// would words what became of a secret, or what a dry run says would have.
func (s *syncer) would(change string) string {
	if s.env.DryRun {
		return "would be " + change
	}
	return change
}

// conclusion is what is known at a run's end.
type conclusion struct {
	results []fleet.Result // amended
	done    journal
	first   bool     // no sync was before this one
	strays  []string // as in [bundlePlan]
	dropped int      // tenants that are gone and left their bundle
	kept    []string // secrets that would have been deleted
	why     string   // nothing was pruned; empty: there was nothing to prune, or it was
	block   string   // what became of the workflow file; empty: there is none
}

// finish writes the bundles, has the next sync remember, deletes the leftovers, and updates the workflow file.
func (s *syncer) finish(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
	b, err := s.writeBundles(ctx, results)
	errs := []error{err}
	amendments := b.amendments(results, s.would)
	amended, _ := fleet.Amend(results, amendments) // the run reports what cannot be amended
	saved := s.writer.save(ctx, b.members)
	c := conclusion{results: amended, strays: b.strays}
	c.kept = s.plan.deletions(b.bundlePlan)
	if c.why = s.plan.whyNotPruned(amended, err, saved, ctx.Err()); c.why == "" && len(c.kept) > 0 {
		if err := s.writer.mayDelete(ctx); err != nil {
			c.why = err.Error()
		} else {
			errs = append(errs, s.writer.deleteAll(c.kept))
			c.kept = nil
			saved = s.writer.save(ctx, s.rememberMembers(&b))
		}
	}
	c.done, c.dropped, c.first = s.writer.journal(), b.dropped, s.writer.state.first()
	switch {
	case ctx.Err() != nil || s.file == nil:
	case b.err != nil: // the bundles that exist are as good as before, but it may not be known which are a sync's
		c.block = s.file.name + " is left as it is: no bundle was written"
	default:
		c.block, err = s.file.update(s.plan, c, s.env.DryRun)
		errs = append(errs, err)
	}
	ending := s.ending(c)
	ending.Amendments = amendments
	if saved != nil {
		ending.Warnings = append(ending.Warnings, notSaved(saved))
	}
	return ending, errors.Join(errs...)
}

// rememberMembers returns what the next sync has to know about tenants in bundles after more was done.
func (s *syncer) rememberMembers(b *bundled) map[secrets.Print]secrets.Member {
	if b.place != nil {
		b.members, b.dropped = s.plan.members(b.bundlePlan, b.failed, s.writer.journal())
	}
	return b.members
}

// writeBundles writes the bundles that changed, if the layout has any. Its error is what no tenant reports.
func (s *syncer) writeBundles(ctx context.Context, results []fleet.Result) (bundled, error) {
	untouched := bundled{members: s.plan.past.members()}
	switch {
	case !s.plan.bundled:
		return untouched, nil
	case ctx.Err() != nil:
		untouched.err = fmt.Errorf("its bundle was not written: %w", context.Cause(ctx))
		return untouched, nil
	}
	planned, err := s.plan.pack(valuesRead(results))
	if err != nil {
		untouched.err = errors.New("no bundle was written: see the run's own error")
		return untouched, err
	}
	b := bundled{bundlePlan: planned, failed: s.writer.writeBundles(planned.steps)}
	s.rememberMembers(&b)
	return b, s.plan.unreported(planned, b.failed)
}
