package secretsync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// memory is what one sync knows of those before it, kept in an Actions variable, and what it will tell the next.
//
// The variable must never say that a secret holds what it does not, whatever other runs and people do at the same time:
//
//   - A run marks the variable as its own before its first write, and at its end looks whether the mark is still there.
//     Where it is not, another run was at work, and of what this run wrote it is only remembered that it did.
//   - What is remembered of a secret is the time of its last change in GitHub's own list, asked for after the write. A
//     later run believes it only while the list says exactly that time. The list has whole seconds, so it is asked for only
//     once the second of the last write is over: whoever writes after that has another second.
//   - A time that is too late to be that of this run's own write is not taken for it.
//
// A run that is killed leaves its mark, and what it wrote has times that nobody remembers: it is written again.
type memory struct {
	client *github.Client
	scope  github.Scope
	env    mode.Env

	past   past
	exists bool // there is a variable

	mu      sync.Mutex
	begun   bool
	off     bool      // the variable cannot be written
	mark    string    // what this run wrote before its first write
	marked  time.Time // before that was sent
	puts    map[string]put
	gone    map[string]bool // names that were deleted
	members map[secrets.Print]secrets.Member
	last    time.Time // of the last write's end
}

// put is a secret that this run wrote.
type put struct {
	value secrets.Print
	ended time.Time
}

// tick is how long a second of GitHub's list can last for the writer.
const tick = 1100 * time.Millisecond

// load reads the variable. A state that cannot be used is no error: everything is written again then, and the log says why.
func (m *memory) load(ctx context.Context) error {
	if m.past.keys == nil {
		m.env.Notice("nothing is remembered of what is written, so every secret is written again by every run: that needs neon-api-key (or database-url), by which fingerprints are keyed")
		return nil
	}
	text, _, found, err := m.client.Variable(ctx, m.scope, secrets.StateVariable)
	switch {
	case github.IsStatus(err, http.StatusForbidden), github.IsStatus(err, http.StatusUnauthorized):
		m.forget(err)
		return nil
	case err != nil:
		return fmt.Errorf("read the variable %s: %w", secrets.StateVariable, err)
	case !found:
		m.env.Say("there is no variable " + secrets.StateVariable + " yet: every secret is written")
		return nil
	}
	m.exists = true
	state, err := m.past.keys.Decode(text)
	if err != nil {
		m.env.Notice(fmt.Sprintf("every secret is written again, because the variable %s cannot be used: %v", secrets.StateVariable, err))
		return nil
	}
	m.past.state, m.past.known = state, true
	return nil
}

// forget gives up remembering.
func (m *memory) forget(err error) {
	m.off = true
	m.env.Notice(fmt.Sprintf("nothing is remembered of what is written, so every secret is written again by every run: %v", err) + remedyText(err))
}

func remedyText(err error) string {
	if remedy := fleet.Remedy(err); remedy != "" {
		return "; " + remedy
	}
	return ""
}

// begin marks the variable as this run's, once, before the first write.
func (m *memory) begin(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.begun || m.off || m.past.keys == nil {
		return
	}
	m.begun = true
	state := m.past.state.Clone()
	_, _ = rand.Read(state.Run[:]) // never fails
	mark, err := m.past.keys.Encode(state)
	if err == nil {
		m.marked = time.Now()
		err = m.client.PutVariable(ctx, m.scope, secrets.StateVariable, mark, m.exists)
	}
	if err != nil {
		m.forget(err)
		return
	}
	m.mark = mark
}

// wrote takes note of a secret that has just been written.
func (m *memory) wrote(name, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = time.Now()
	if m.past.keys != nil {
		m.puts[name] = put{m.past.keys.Value(name, value), m.last}
	}
}

// deleted takes note of a secret that has just been deleted.
func (m *memory) deleted(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last, m.gone[name] = time.Now(), true
}

// save tells the next sync what this one did. Its error is a warning's: the secrets are written.
func (m *memory) save(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mark == "" || m.off {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(m.last.Add(tick))):
	}
	list, err := m.client.Secrets(ctx, m.scope)
	if err != nil {
		return err
	}
	listed := make(map[string]time.Time, len(list))
	for _, info := range list {
		listed[info.Name] = info.UpdatedAt
	}
	text, changed, _, err := m.client.Variable(ctx, m.scope, secrets.StateVariable)
	if err != nil {
		return err
	}
	alone := text == m.mark
	base := m.past.state.Clone()
	if !alone {
		m.env.Notice("another sync was at work at the same time: what both may have written is written again by the next one")
		if other, err := m.past.keys.Decode(text); err == nil {
			base = other.Clone()
		}
	}
	for name, p := range m.puts {
		record := secrets.Record{Value: p.value}
		// Both times are GitHub's, cut to the second, and the run knows how long after the mark was sent its own write ended.
		if at, ok := listed[name]; ok && alone && at.Sub(changed) <= p.ended.Sub(m.marked)+time.Second {
			record.Updated = at.Unix()
		}
		base.Secrets[m.past.keys.Name(name)] = record
	}
	for name := range m.gone {
		delete(base.Secrets, m.past.keys.Name(name))
	}
	base.Members = mergeMembers(base.Members, m.members, alone)
	for key, member := range base.Members { // of a bundle that was deleted
		if _, ok := base.Secrets[m.past.keys.Name(secrets.BundleName(member.Bundle))]; !ok {
			delete(base.Members, key)
		}
	}
	_, _ = rand.Read(base.Run[:])
	if text, err = m.past.keys.Encode(base); err != nil {
		return err
	}
	return m.client.PutVariable(ctx, m.scope, secrets.StateVariable, text, true)
}

// mergeMembers returns what is to be remembered of members: what this run knows where it was alone, else that beside what
// the other run knows. Nil stays unknown.
func mergeMembers(theirs, ours map[secrets.Print]secrets.Member, alone bool) map[secrets.Print]secrets.Member {
	if alone || theirs == nil || ours == nil {
		return ours
	}
	for key, member := range ours {
		if _, ok := theirs[key]; !ok {
			theirs[key] = member
		}
	}
	return theirs
}

// errNotSaved words why the next sync will write again.
func errNotSaved(err error) string {
	if errors.Is(err, context.Canceled) {
		return "what was written is not remembered, because the run was cancelled: the next one writes it again"
	}
	return fmt.Sprintf("what was written is not remembered, and the next run writes it again: %v", err) + remedyText(err)
}
