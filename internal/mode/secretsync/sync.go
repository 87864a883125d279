// Package secretsync is mode sync-secrets: every tenant's connection string in GitHub's secrets, and nothing else.
package secretsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/secrets"
	"github.com/org/neon-tenants-action/internal/words"
)

// Detail is what the report file says of a tenant whose connection string is a GitHub secret.
type Detail struct {
	Secret string `json:"secret,omitempty"` // its name; the bundle's, of a bundle
	Change string `json:"change,omitempty"` // created, updated or unchanged; of a dry run what would have been
}

// syncer is the mode, its inputs read.
type syncer struct {
	env      mode.Env
	client   *github.Client
	scope    github.Scope
	settings settings
	keys     *secrets.Keyring // nil: nothing is remembered between runs
	file     *workflowFile    // nil: none
	resolve  func(ctx context.Context, t fleet.Tenant) (fleet.Secret, error)

	// What Prepare makes.
	plan   *plan
	writer *writer

	mu      sync.Mutex
	values  map[string]string // of bundles: connection strings by key
	placed  map[string]int    // of bundles: where each key is now
	intact  map[int]bool      // of bundles: those that held what they have to
	strays  []string          // bundles beyond the last one, which no sync is known to have written
	members map[secrets.Print]secrets.Member
	waiting []string // names that were not deleted, because not all tenants have their secret in this layout yet
	dropped int      // members that left their bundle with their tenant
	block   string   // what became of the workflow file
}

// prepare finds out what there is, and makes the plan.
func (s *syncer) prepare(ctx context.Context, found mode.Found) error {
	listed, err := listSecrets(ctx, s.client, s.scope)
	if err != nil {
		return fmt.Errorf("list the secrets of %s: %w", s.scope, err)
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
	s.members = maps.Clone(state.past.state.Members)
	if !state.past.known {
		s.members = map[secrets.Print]secrets.Member{}
	}
	if !s.env.DryRun {
		s.announce()
	}
	return nil
}

// keys lists the tenants' keys.
func keys(tenants []fleet.Tenant) []string {
	keys := make([]string, len(tenants))
	for i, t := range tenants {
		keys[i] = t.Key
	}
	return keys
}

// announce says how long the writes that are certain will take, if that is long.
func (s *syncer) announce() {
	n := s.plan.certainWrites()
	if least := github.WriteTime(n + 2); least > 0 { // and the state's two
		s.env.Say(fmt.Sprintf("%d secrets to write: at GitHub's limits of %d writes a minute and %d an hour, this takes at least %s",
			n, github.WritesPerMinute, github.WritesPerHour, words.Setting(least)))
	}
}

// job brings one tenant's secret up to date; of bundles, it only resolves the connection string.
func (s *syncer) job(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	secret, err := s.resolve(ctx, t)
	if err != nil {
		return fleet.Outcome{}, err
	}
	mode.Hide(s.env, log, secret)
	if s.settings.bundled {
		return s.member(t, secret.Reveal()), nil
	}
	value := secret.Reveal()
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

// finish writes the bundles, prunes, remembers, and brings the workflow file in step.
func (s *syncer) finish(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
	var errs []error
	if s.settings.bundled {
		errs = append(errs, s.writeBundles(ctx, results))
	}
	if ctx.Err() == nil {
		errs = append(errs, s.pruneLeftovers(results))
	}
	var warnings []string
	if err := s.writer.save(ctx, s.members); err != nil {
		warnings = append(warnings, notSaved(err))
	}
	if ctx.Err() == nil {
		errs = append(errs, s.keepWorkflow(results))
	}
	ending := s.ending(results)
	ending.Warnings = append(ending.Warnings, warnings...)
	return ending, errors.Join(errs...)
}

// pruneLeftovers deletes the secrets that belong to no tenant. It is called once everything is written.
func (s *syncer) pruneLeftovers(results []fleet.Result) error {
	failed := slices.ContainsFunc(results, func(r fleet.Result) bool {
		return r.State != fleet.Succeeded && r.State != fleet.Unchanged
	})
	names, waiting := s.plan.deletions(failed)
	s.waiting = waiting
	return s.writer.deleteAll(names)
}
