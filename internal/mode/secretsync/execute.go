package secretsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/github"
	"github.com/org/neon-tenants-action/internal/secrets"
)

// writer carries out what a plan says. In a dry run it only records it in the journal.
type writer struct {
	// ctx is the run's and not one tenant's: waiting for GitHub's limits is not the tenant's time.
	ctx    context.Context
	client *github.Client
	scope  github.Scope
	state  *state
	dryRun bool

	// mu is held while a secret is written or deleted: GitHub asks for serial writes, and since its limit per minute
	// takes longer, more at once would gain little. It guards everything below, and the state.
	mu      sync.Mutex
	key     *github.PublicKey
	refused error // the token may not write: no further write is tried
	done    journal
}

// journal is what a run has written and deleted, or in a dry run would have.
type journal struct {
	puts    map[string]put // by name
	deleted []string       // in their order
	last    time.Time      // when the last write ended
}

// put is a secret that was written.
type put struct {
	value secrets.Print // zero without a keyring
	ended time.Time     // when the write ended
}

// has reports whether a secret was written or deleted.
func (j journal) has(name string) bool {
	_, ok := j.puts[name]
	return ok || slices.Contains(j.deleted, name)
}

// written lists the secrets that were written, by name.
func (j journal) written() []string { return slices.Sorted(maps.Keys(j.puts)) }

// journal returns what was done so far. A job that did not stop when the run was cancelled may still be writing.
func (w *writer) journal() journal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return journal{puts: maps.Clone(w.done.puts), deleted: slices.Clone(w.done.deleted), last: w.done.last}
}

// put writes one secret.
func (w *writer) put(name, value string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.dryRun:
	case w.refused != nil:
		return w.refused
	case w.ctx.Err() != nil:
		return fmt.Errorf("write the secret %s: %w", name, context.Cause(w.ctx))
	default:
		if err := w.send(name, value); err != nil {
			return err
		}
	}
	w.note(name, value)
	return nil
}

// send makes the calls of a write, and remembers a refusal, so that a hundred tenants don't ask again.
func (w *writer) send(name, value string) error {
	w.state.begin(w.ctx)
	key, err := w.publicKey()
	if err == nil {
		_, err = w.client.PutSecret(w.ctx, w.scope, key, name, value)
	}
	switch {
	case github.IsStatus(err, http.StatusUnauthorized), github.IsStatus(err, http.StatusForbidden),
		github.IsStatus(err, http.StatusUnavailableForLegalReasons):
		w.refused = fmt.Errorf("write the secrets of %s: %w", w.scope, err)
		return w.refused
	case err != nil:
		return fmt.Errorf("write the secret %s: %w", name, err)
	}
	return nil
}

// publicKey asks for the scope's key, once.
func (w *writer) publicKey() (github.PublicKey, error) {
	if w.key == nil {
		key, err := w.client.PublicKey(w.ctx, w.scope)
		if err != nil {
			return github.PublicKey{}, err
		}
		w.key = &key
	}
	return *w.key, nil
}

// note enters a write into the journal.
func (w *writer) note(name, value string) {
	if w.done.puts == nil {
		w.done.puts = map[string]put{}
	}
	p := put{ended: time.Now()}
	if keys := w.state.past.keys; keys != nil {
		p.value = keys.Value(name, value)
	}
	w.done.puts[name], w.done.last = p, p.ended
}

// delete deletes one secret.
func (w *writer) delete(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dryRun {
		if w.ctx.Err() != nil {
			return fmt.Errorf("delete the secret %s: %w", name, context.Cause(w.ctx))
		}
		w.state.begin(w.ctx)
		if err := w.client.DeleteSecret(w.ctx, w.scope, name); err != nil {
			return fmt.Errorf("delete the secret %s: %w", name, err)
		}
	}
	w.done.deleted, w.done.last = append(w.done.deleted, name), time.Now()
	return nil
}

// deleteAll deletes what it can.
func (w *writer) deleteAll(names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, w.delete(name))
	}
	return errors.Join(errs...)
}

// writeBundles takes a plan's steps, in their order, and returns why bundles were not written, by number.
func (w *writer) writeBundles(steps []bundleStep) (failed map[int]error) {
	failed = map[int]error{}
	for _, s := range steps {
		if s.action != writeBundle {
			continue
		}
		var err error
		if (s.gives || s.loses) && len(failed) > 0 {
			err = fmt.Errorf("%s is left as it is, because another bundle, to which its tenants may have moved, could "+
				"not be written", s.name)
		} else {
			err = w.put(s.name, s.value)
		}
		if err != nil {
			failed[s.bundle] = err
		}
	}
	return failed
}

// mayDelete returns an error unless the variable still holds what this run wrote last. Otherwise the next sync would
// not know which secrets are a sync's, or another sync has run since and may have found other tenants.
func (w *writer) mayDelete(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dryRun {
		return nil
	}
	return w.state.undisturbed(ctx)
}

// remembers is [state.remembers].
func (w *writer) remembers() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.remembers()
}

// save has the next sync remember what was done, with what is known about members of bundles.
func (w *writer) save(ctx context.Context, members map[secrets.Print]secrets.Member) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.save(ctx, w.done, members)
}
