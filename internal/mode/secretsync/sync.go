// Package secretsync is mode sync-secrets: every tenant's connection string in GitHub's secrets, and nothing else.
package secretsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

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
	file     *workflowFile // nil: none
	resolve  func(ctx context.Context, t fleet.Tenant) (fleet.Secret, error)
	memory   *memory

	// What Prepare finds out.
	run  context.Context // the run's: to wait for GitHub's limits is not one tenant's time
	plan *plan

	mu      sync.Mutex
	key     *github.PublicKey
	refused error             // the token may not write: nothing further is tried
	values  map[string]string // of bundles: connection strings by key
	placed  map[string]int    // of bundles: where each key is now
	intact  map[int]bool      // of bundles: those that held what they have to
	strays  []string          // bundles beyond the last one, which no sync is known to have written
	adopted []string          // names that were written, or would have been
	pruned  []string          // names that were deleted, or would be
	waiting []string          // names that were not deleted, because not all tenants have their secret in this layout yet
	dropped int               // members that left their bundle with their tenant
	block   string            // what became of the workflow file
}

// prepare finds out what there is, and makes the plan.
func (s *syncer) prepare(ctx context.Context, found mode.Found) error {
	s.run = ctx
	infos, err := s.client.Secrets(ctx, s.scope)
	if err != nil {
		return fmt.Errorf("list the secrets of %s: %w", s.scope, err)
	}
	listed := make(map[string]time.Time, len(infos))
	for _, info := range infos {
		listed[info.Name] = info.UpdatedAt
	}
	if err := s.memory.load(ctx); err != nil {
		return err
	}
	s.memory.members = maps.Clone(s.memory.past.state.Members)
	if !s.memory.past.known {
		s.memory.members = map[secrets.Print]secrets.Member{}
	}
	s.plan, err = newPlan(s.settings, situation{
		scope: s.scope, listed: listed, past: s.memory.past,
		tenants: keys(found.Tenants), all: keys(found.All), whole: found.Whole,
	})
	if err != nil {
		return err
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
	if s.env.DryRun {
		s.adopt(name)
		return fleet.Outcome{Note: "would be " + change, Detail: Detail{name, change}}, nil
	}
	if err := s.put(name, value); err != nil {
		return fleet.Outcome{Detail: Detail{Secret: name}}, err
	}
	return fleet.Outcome{Note: change, Detail: Detail{name, change}}, nil
}

// put writes one secret, and takes note of it.
func (s *syncer) put(name, value string) error {
	s.mu.Lock()
	refused := s.refused
	s.mu.Unlock()
	if refused != nil {
		return refused
	}
	s.memory.begin(s.run)
	key, err := s.publicKey()
	if err == nil {
		_, err = s.client.PutSecret(s.run, s.scope, key, name, value)
	}
	if err != nil {
		return s.refuse(fmt.Errorf("write the secret %s: %w", name, err), err)
	}
	s.adopt(name)
	s.memory.wrote(name, value)
	return nil
}

// refuse remembers that the token may not write, so that a hundred tenants don't ask again.
func (s *syncer) refuse(wrapped, err error) error {
	if github.IsStatus(err, http.StatusUnauthorized) || github.IsStatus(err, http.StatusForbidden) {
		s.mu.Lock()
		s.refused = fmt.Errorf("write the secrets of %s: %w", s.scope, err)
		wrapped = s.refused
		s.mu.Unlock()
	}
	return wrapped
}

// publicKey asks for the scope's key, once.
func (s *syncer) publicKey() (github.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		key, err := s.client.PublicKey(s.run, s.scope)
		if err != nil {
			return github.PublicKey{}, err
		}
		s.key = &key
	}
	return *s.key, nil
}

// adopt takes note of a secret that was written, or would have been.
func (s *syncer) adopt(name string) {
	s.mu.Lock()
	s.adopted = append(s.adopted, name)
	s.mu.Unlock()
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
	if err := s.memory.save(ctx); err != nil {
		warnings = append(warnings, errNotSaved(err))
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
	var errs []error
	for _, name := range names {
		errs = append(errs, s.remove(name))
	}
	return errors.Join(errs...)
}

// remove deletes one secret that a sync wrote.
func (s *syncer) remove(name string) error {
	if !s.env.DryRun {
		s.memory.begin(s.run)
		if err := s.client.DeleteSecret(s.run, s.scope, name); err != nil {
			return fmt.Errorf("delete the secret %s: %w", name, err)
		}
		s.memory.deleted(name)
	}
	s.pruned = append(s.pruned, name)
	return nil
}
