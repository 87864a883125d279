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
)

// Detail is what the report file says of a tenant whose connection string is a GitHub secret.
type Detail struct {
	Secret string `json:"secret,omitempty"` // its name; the bundle's, of a bundle
	Change string `json:"change,omitempty"` // created, updated or unchanged; of a dry run what would have been
}

// What became of a tenant's secret.
const (
	created   = "created"
	updated   = "updated"
	unchanged = "unchanged"
)

// syncer is the mode, its inputs read.
type syncer struct {
	env      mode.Env
	client   *github.Client
	scope    github.Scope
	template secrets.Template
	bundled  bool
	prune    bool
	maxPrune int
	file     *workflowFile // nil: none
	resolve  func(ctx context.Context, t fleet.Tenant) (fleet.Secret, error)
	memory   *memory

	// What Prepare finds out.
	run    context.Context // the run's: to wait for GitHub's limits is not one tenant's time
	found  mode.Found
	names  map[string]string    // of the tenants' secrets, by key; nil in bundles
	listed map[string]time.Time // when each secret was last written, by name
	left   leftovers

	mu      sync.Mutex
	key     *github.PublicKey
	refused error             // the token may not write: nothing further is tried
	values  map[string]string // of bundles: connection strings by key
	placed  map[string]int    // of bundles: where each key is now
	intact  map[int]bool      // of bundles: those that held what they have to
	strays  []string          // bundles beyond the last one, which no sync is known to have written
	adopted []string          // names that were overwritten and that no sync had written
	pruned  []string          // names that were deleted, or would be
	waiting []string          // names that were not deleted, because not all tenants have their secret in this layout yet
	dropped int               // members that left their bundle with their tenant
	block   string            // what became of the workflow file
}

// prepare finds out what there is, and refuses what cannot work before anything is written.
func (s *syncer) prepare(ctx context.Context, found mode.Found) error {
	s.run, s.found = ctx, found
	infos, err := s.client.Secrets(ctx, s.scope)
	if err != nil {
		return fmt.Errorf("list the secrets of %s: %w", s.scope, err)
	}
	s.listed = make(map[string]time.Time, len(infos))
	for _, info := range infos {
		s.listed[info.Name] = info.UpdatedAt
	}
	if err := s.memory.load(ctx); err != nil {
		return err
	}
	s.memory.members = maps.Clone(s.memory.state.Members)
	if !s.memory.known {
		s.memory.members = map[secrets.Print]secrets.Member{}
	}
	keys := make([]string, len(found.Tenants))
	for i, t := range found.Tenants {
		keys[i] = t.Key
	}
	if s.bundled {
		err = s.checkBundles()
	} else if s.names, err = s.template.Names(keys); err != nil {
		err = fleet.WithRemedy(fmt.Errorf("name the secrets by %s: %w", s.template, err), fleet.Remedy(err))
	} else {
		err = s.checkLimit(slices.Collect(maps.Values(s.names)))
	}
	if err != nil {
		return err
	}
	if s.left, err = s.findLeftovers(); err != nil {
		return err
	}
	s.announce()
	return nil
}

// checkLimit refuses more secrets than the scope takes.
func (s *syncer) checkLimit(names []string) error {
	all := maps.Clone(s.listed)
	for _, name := range names {
		all[name] = time.Time{}
	}
	if len(all) <= s.scope.Limit() {
		return nil
	}
	err := fmt.Errorf("%s would have %d secrets, and GitHub takes %d: %d are there now, and %d tenants have none yet",
		s.scope, len(all), s.scope.Limit(), len(s.listed), len(all)-len(s.listed))
	if s.bundled {
		return fleet.WithRemedy(err, "delete secrets that nobody needs, or use another secrets-scope")
	}
	return fleet.WithRemedy(err, "set secret-layout: bundle, which packs some 200 tenants into each secret; or use environments with a part of the tenants each")
}

// announce says how long the writes will take that are sure to come.
func (s *syncer) announce() {
	if s.bundled || s.env.DryRun {
		return
	}
	n := 0
	for _, name := range s.names {
		if _, ok := s.listed[name]; !ok || !s.memory.known {
			n++
		}
	}
	if least := github.WriteTime(n + 2); least > 0 { // and the state's two
		s.env.Say(fmt.Sprintf("%d secrets are to be written: at GitHub's %d writes a minute and %d an hour that takes %s at least", n, github.WritesPerMinute, github.WritesPerHour, least))
	}
}

// job brings one tenant's secret up to date; of bundles, it only resolves the connection string.
func (s *syncer) job(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	secret, err := s.resolve(ctx, t)
	if err != nil {
		return fleet.Outcome{}, err
	}
	mode.Hide(s.env, log, secret)
	if s.bundled {
		return s.member(t, secret.Reveal()), nil
	}
	name, value := s.names[t.Key], secret.Reveal()
	at, exists := s.listed[name]
	if exists && s.memory.current(name, value, at) {
		return fleet.Outcome{Unchanged: true, Detail: Detail{name, unchanged}}, nil
	}
	change := created
	if exists {
		change = updated
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

// adopt takes note of a secret that was there, and that no sync is known to have written.
func (s *syncer) adopt(name string) {
	if _, ok := s.listed[name]; ok && s.memory.known && !s.memory.ours(name) {
		s.mu.Lock()
		s.adopted = append(s.adopted, name)
		s.mu.Unlock()
	}
}

// finish writes the bundles, prunes, remembers, and brings the workflow file in step.
func (s *syncer) finish(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
	var errs []error
	if s.bundled {
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
