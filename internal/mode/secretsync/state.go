package secretsync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// state is what a sync learns from those before it and tells the next, kept in an Actions variable.
//
// The variable must never say that a secret holds a value that it does not, whatever others do meanwhile:
//
//   - A run marks the variable as its own before its first write, and looks at its end whether the mark is still there.
//     If it is not, another run was at work, and this one records only that it wrote, not what.
//   - A secret is recorded with the time of its last change in GitHub's own list, fetched after the write. A later run
//     believes the record only while the list has exactly that time. The list has whole seconds, so a run fetches it
//     only once the second of its last write is over: whoever writes after that gets a later second.
//   - A time that is too late to be that of this run's own write is not recorded.
//
// A run that is killed leaves its mark but records nothing, so the next one writes again what it wrote.
type state struct {
	client *github.Client
	scope  github.Scope
	env    mode.Env
	past   past // as the run found it
	exists bool // there is a variable

	begun  bool      // the run has tried to write its mark
	off    bool      // the variable cannot be read or written
	mark   string    // what the run wrote last: its mark or, after that, its state; empty: nothing
	marked time.Time // when the run began to write it
	shared bool      // another run has written since
}

// loadState reads the variable. A state that cannot be used is no error: everything is written again then, and the log
// says why. Without keys nothing is remembered.
func loadState(ctx context.Context, client *github.Client, scope github.Scope, keys *secrets.Keyring, env mode.Env,
) (*state, error) {
	s := &state{client: client, scope: scope, env: env, past: past{keys: keys}}
	if keys == nil {
		env.Notice("every run writes every secret, because what it writes can be remembered only with neon-api-key, " +
			"which keys the fingerprints; a GitHub App's token, another one in every run, cannot take its place")
		return s, nil
	}
	text, _, found, err := client.Variable(ctx, scope, secrets.StateVariable)
	switch {
	case denied(err):
		s.giveUp(err)
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("read the variable %s: %w", secrets.StateVariable, err)
	case !found:
		env.Say("there is no variable " + secrets.StateVariable + " yet: every secret is written")
		return s, nil
	}
	s.exists = true
	decoded, err := keys.Decode(text)
	if err != nil {
		env.Notice(fmt.Sprintf("every secret is written again, because the variable %s cannot be used: %v",
			secrets.StateVariable, err))
		return s, nil
	}
	s.past.state, s.past.known = decoded, true
	return s, nil
}

// giveUp stops remembering. The sync works without.
func (s *state) giveUp(err error) {
	s.off = true
	what := "what this run writes is not remembered, and the next one writes it again: "
	if denied(err) {
		what = "every run writes every secret, because what it writes cannot be remembered: "
	}
	s.env.Notice(what + remedies.Sentence(err) + "; the sync itself works without that, and prunes nothing")
}

// denied reports whether GitHub refuses a request as long as the token's permissions are what they are.
func denied(err error) bool {
	return github.IsStatus(err, http.StatusForbidden) || github.IsStatus(err, http.StatusUnauthorized)
}

// remembers reports whether the next sync will be able to tell what is unchanged.
func (s *state) remembers() bool { return s.past.keys != nil && !s.off }

// first reports whether no sync has left a state, and this one does. One that cannot may not be the first.
func (s *state) first() bool { return !s.exists && s.remembers() }

// begin marks the variable as this run's, once, before the first write.
func (s *state) begin(ctx context.Context) {
	if s.begun || !s.remembers() {
		return
	}
	s.begun = true
	marked := s.past.state.Clone()
	_, _ = rand.Read(marked.Run[:]) // never fails
	mark, err := s.past.keys.Encode(marked)
	if err == nil {
		s.marked = time.Now()
		err = s.client.PutVariable(ctx, s.scope, secrets.StateVariable, mark, s.exists)
	}
	if err != nil {
		s.giveUp(err)
		return
	}
	s.mark = mark
}

// tick is how long to wait after a write until GitHub's list has reached the next second.
const tick = 1100 * time.Millisecond

// save records what this run did, and may be called again after more was done. Its error is a warning's: the secrets
// are written.
func (s *state) save(ctx context.Context, done journal, members map[secrets.Print]secrets.Member) error {
	if s.mark == "" || s.off {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(done.last.Add(tick))):
	}
	listed, err := listSecrets(ctx, s.client, s.scope)
	if err != nil {
		return err
	}
	text, changed, _, err := s.client.Variable(ctx, s.scope, secrets.StateVariable)
	if err != nil {
		return err
	}
	base, alone := s.past.state, text == s.mark
	if !alone {
		s.shared = true
		s.env.Notice("another sync ran at the same time: the next one writes again what both may have written")
		if other, err := s.past.keys.Decode(text); err == nil {
			base = other
		}
	}
	next := record(s.past.keys, base, done, members, observation{listed, alone, s.marked, changed})
	_, _ = rand.Read(next.Run[:])
	if text, err = s.past.keys.Encode(next); err != nil {
		return err
	}
	began := time.Now()
	if err := s.client.PutVariable(ctx, s.scope, secrets.StateVariable, text, true); err != nil {
		return err
	}
	s.mark, s.marked = text, began
	return nil
}

// undisturbed returns an error unless the variable can be written and holds what this run wrote last.
func (s *state) undisturbed(ctx context.Context) error {
	s.begin(ctx)
	if !s.remembers() {
		return errors.New("what is written cannot be remembered")
	}
	text, _, _, err := s.client.Variable(ctx, s.scope, secrets.StateVariable)
	switch {
	case err != nil:
		return fmt.Errorf("the variable %s cannot be read: %w", secrets.StateVariable, err)
	case s.shared || text != s.mark:
		return errors.New("another sync ran at the same time")
	}
	return nil
}

// observation is what a run finds at GitHub after its last write.
type observation struct {
	listed  map[string]time.Time // when each secret was last written, by name
	alone   bool                 // the variable still has the run's mark
	marked  time.Time            // when the run began to write the mark, by its own clock
	changed time.Time            // when the variable was last written
}

// record returns the state after a run. base is the state before it, or the other run's if this one was not alone.
func record(keys *secrets.Keyring, base secrets.State, done journal, members map[secrets.Print]secrets.Member,
	seen observation,
) secrets.State {
	next := base.Clone()
	for name, p := range done.puts {
		r := secrets.Record{Value: p.value}
		// Only differences count, because the clocks may differ: GitHub's from the mark to the listed time, cut to
		// seconds, and this machine's from the mark to the end of the write.
		latest := p.ended.Sub(seen.marked) + time.Second
		if at, ok := seen.listed[name]; ok && seen.alone && at.Sub(seen.changed) <= latest {
			r.Updated = at.Unix()
		}
		next.Secrets[keys.Name(name)] = r
	}
	for _, name := range done.deleted {
		delete(next.Secrets, keys.Name(name))
	}
	next.Members = mergeMembers(next.Members, members, seen.alone)
	for key, m := range next.Members {
		if _, ok := next.Secrets[keys.Name(secrets.BundleName(m.Bundle))]; !ok { // its bundle was deleted
			delete(next.Members, key)
		}
	}
	return next
}

// mergeMembers returns what to record of members: what this run knows, and if it was not alone also what the other run
// knows, which wins. Nil stands for unknown members; what this run does not know stays unknown.
func mergeMembers(theirs, ours map[secrets.Print]secrets.Member, alone bool) map[secrets.Print]secrets.Member {
	if alone || theirs == nil || ours == nil {
		return maps.Clone(ours)
	}
	merged := maps.Clone(ours)
	maps.Copy(merged, theirs)
	return merged
}

// notSaved words why the next sync writes again.
func notSaved(err error) string {
	if errors.Is(err, context.Canceled) {
		return "what was written is not remembered, because the run was cancelled: the next run writes it again"
	}
	return "what was written is not remembered, and the next run writes it again: " + remedies.Sentence(err)
}

// listSecrets returns when each secret of a scope was last written, by name.
func listSecrets(ctx context.Context, client *github.Client, scope github.Scope) (map[string]time.Time, error) {
	infos, err := client.Secrets(ctx, scope)
	if err != nil {
		return nil, err
	}
	listed := make(map[string]time.Time, len(infos))
	for _, info := range infos {
		listed[info.Name] = info.UpdatedAt
	}
	return listed, nil
}
