package secretsync

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/github/githubtest"
	"github.com/org/neon-tenants-action/internal/secrets"
)

func TestLoadState(t *testing.T) {
	usable, err := keyring.Encode(wroteNames("A").state)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		text   string // of the variable; empty: there is none
		fault  githubtest.Fault
		known  bool
		off    bool
		notice string
		said   string
		fails  string
	}{
		"usable": {text: usable, known: true},
		"none":   {said: "there is no variable NEON_TENANTS_STATE yet"},
		"not a sync's": {text: "something else",
			notice: "the variable NEON_TENANTS_STATE cannot be used: it was not written by a sync"},
		"may not be read": {fault: githubtest.Fault{Route: "GET *", Status: 403}, off: true,
			notice: "every run writes every secret"},
		"wrong token": {fault: githubtest.Fault{Route: "GET *", Status: 401}, off: true,
			notice: "every run writes every secret"},
		"another answer": {fault: githubtest.Fault{Route: "GET *", Status: 418},
			fails: "read the variable NEON_TENANTS_STATE: "},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHub(t)
			if c.text != "" {
				h.SetVariable(inSimulator, secrets.StateVariable, c.text)
			}
			if c.fault.Status != 0 {
				h.Fail(c.fault)
			}
			s, err := loadState(t.Context(), h.client, repository, keyring, h.env())
			fails(t, err, c.fails, "")
			if err != nil {
				return
			}
			equal(t, "known", s.past.known, c.known)
			equal(t, "first", s.first(), what == "none")
			equal(t, "remembers", s.remembers(), !c.off)
			if !strings.Contains(strings.Join(h.notices, "\n"), c.notice) || (c.notice == "") != (len(h.notices) == 0) {
				t.Errorf("notices: %q, want %q", h.notices, c.notice)
			}
			if !strings.Contains(strings.Join(h.said, "\n"), c.said) {
				t.Errorf("said: %q, want %q", h.said, c.said)
			}
		})
	}
}

func TestWithoutAKeyNothingIsAskedFor(t *testing.T) {
	h := newHub(t)
	s, err := loadState(t.Context(), h.client, repository, nil, h.env())
	fails(t, err, "", "")
	equal(t, "calls", h.Calls().Total, 0)
	if s.remembers() || len(h.notices) != 1 || !strings.Contains(h.notices[0], "neon-api-key") {
		t.Errorf("notices: %q", h.notices)
	}
}

// What one run saves, the next one finds, and it believes it.
func TestSave(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	w := h.writer(t, t.Context())
	fails(t, w.put("A", "v"), "", "")
	members := map[secrets.Print]secrets.Member{keyring.Name("acme"): {Bundle: 1}}
	fails(t, w.save(t.Context(), members), "", "")
	listed, err := listSecrets(t.Context(), h.client, repository)
	if err != nil {
		t.Fatal(err)
	}
	next := h.writer(t, t.Context()).state.past
	if !next.current("A", "v", listed["A"]) || next.current("A", "w", listed["A"]) || next.ours("B") {
		t.Errorf("the next run finds %+v", next.state)
	}
	equal(t, "members, of a bundle that no sync has written", len(next.state.Members), 0)
	equal(t, "notices", h.notices, nil)
}

// Saving again after a deletion forgets what was deleted, and still believes what was written before.
func TestSaveAgain(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	w := h.writer(t, t.Context())
	fails(t, w.put("A", "v"), "", "")
	fails(t, w.put("B", "v"), "", "")
	fails(t, w.save(t.Context(), nil), "", "")
	fails(t, w.mayDelete(t.Context()), "", "")
	fails(t, w.deleteAll([]string{"B"}), "", "")
	fails(t, w.save(t.Context(), nil), "", "")
	listed, err := listSecrets(t.Context(), h.client, repository)
	if err != nil {
		t.Fatal(err)
	}
	next := h.writer(t, t.Context()).state.past
	if !next.current("A", "v", listed["A"]) || next.ours("B") {
		t.Errorf("the next run finds %+v", next.state)
	}
	equal(t, "notices", h.notices, nil)
}

// Nothing is deleted unless the variable can be written and no other run has written to it.
func TestMayDelete(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		fault githubtest.Fault
		wrote bool // this run has written a secret and saved its state
		other bool // another run has written to the variable since
		fails string
	}{
		"first of all":  {},
		"after writing": {wrote: true},
		"it cannot be written": {fault: githubtest.Fault{Route: "POST *", Status: 403},
			fails: "what is written cannot be remembered"},
		"it cannot be read": {fault: githubtest.Fault{Route: "GET *", Status: 418, After: 1},
			fails: "the variable NEON_TENANTS_STATE cannot be read: "},
		"another run has written to it":    {wrote: true, other: true, fails: "another sync ran at the same time"},
		"another run wrote while it works": {other: true, fails: "another sync ran at the same time"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			if c.fault.Route != "" {
				h.Fail(c.fault)
			}
			w := h.writer(t, t.Context())
			if c.wrote {
				fails(t, w.put("A", "v"), "", "")
				fails(t, w.save(t.Context(), nil), "", "")
			}
			if c.other {
				w.state.begin(t.Context())
				h.SetVariable(inSimulator, secrets.StateVariable, "another's")
			}
			fails(t, w.mayDelete(t.Context()), c.fails, "")
		})
	}
	dry := &writer{dryRun: true}
	fails(t, dry.mayDelete(t.Context()), "", "")
}

func TestSaveBesideAnotherRun(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	w := h.writer(t, t.Context())
	fails(t, w.put("A", "v"), "", "")
	theirs, err := keyring.Encode(wroteNames("B").state)
	if err != nil {
		t.Fatal(err)
	}
	h.SetVariable(inSimulator, secrets.StateVariable, theirs)
	fails(t, w.save(t.Context(), nil), "", "")
	next := h.writer(t, t.Context()).state.past
	equal(t, "what became of A", next.state.Secrets[keyring.Name("A")], secrets.Record{Value: keyring.Value("A", "v")})
	equal(t, "what became of B", next.state.Secrets[keyring.Name("B")].Updated, lastSync.Unix())
	if len(h.notices) != 1 || !strings.Contains(h.notices[0], "another sync ran at the same time") {
		t.Errorf("notices: %q", h.notices)
	}
}

// The variable is marked in one call, whether it exists or not.
func TestTheMarkIsOneCall(t *testing.T) {
	h := newHub(t)
	for _, route := range []string{
		"POST /repos/{owner}/{repo}/actions/variables", "PATCH /repos/{owner}/{repo}/actions/variables/{name}",
	} {
		w := h.writer(t, t.Context())
		w.state.begin(t.Context())
		w.state.begin(t.Context())
		equal(t, route, h.Calls().ByRoute, map[string]int{route: 1})
	}
}

func TestSaveIsNothingWithoutAWrite(t *testing.T) {
	h := newHub(t)
	fails(t, h.writer(t, t.Context()).save(t.Context(), nil), "", "")
	equal(t, "calls", h.Calls().Total, 0)
}

func TestRecord(t *testing.T) {
	print, member := keyring.Name, func(bundle int) secrets.Member { return secrets.Member{Bundle: bundle} }
	const b1, b2 = "NEON_TENANTS_BUNDLE_1", "NEON_TENANTS_BUNDLE_2"
	marked := lastSync.Add(time.Hour)
	changed := marked.Add(-10 * time.Minute).Truncate(time.Second) // by GitHub's clock, which is behind
	ended := marked.Add(5 * time.Second)
	done := func(deleted []string, written ...string) journal {
		j := journal{puts: map[string]put{}, deleted: deleted, last: ended}
		for _, name := range written {
			j.puts[name] = put{keyring.Value(name, "v"), ended}
		}
		return j
	}
	written := func(name string, at time.Time) secrets.Record {
		r := secrets.Record{Value: keyring.Value(name, "v")}
		if !at.IsZero() {
			r.Updated = at.Unix()
		}
		return r
	}
	in := changed.Add(5 * time.Second) // when the write ended, by GitHub's clock
	type records = map[secrets.Print]secrets.Record
	type members = map[secrets.Print]secrets.Member
	for what, c := range map[string]struct {
		base        secrets.State
		done        journal
		members     members
		at          time.Time // what GitHub lists for A; zero: nothing
		beside      bool      // another run was at work
		want        records
		wantMembers members
	}{
		"a write": {
			base: wroteNames("B").state, done: done(nil, "A"), at: in,
			want: records{print("A"): written("A", in), print("B"): written("B", lastSync)},
		},
		"as late as the write can have ended": {done: done(nil, "A"), at: in.Add(time.Second),
			want: records{print("A"): written("A", in.Add(time.Second))}},
		"later than the write": {done: done(nil, "A"), at: in.Add(2 * time.Second),
			want: records{print("A"): written("A", time.Time{})}},
		"deleted since": {done: done(nil, "A"), want: records{print("A"): written("A", time.Time{})}},
		"beside another run": {done: done(nil, "A"), at: in, beside: true,
			want: records{print("A"): written("A", time.Time{})}},
		"a deletion": {base: wroteNames("A", "B").state, done: done([]string{"B"}), at: lastSync,
			want: records{print("A"): written("A", lastSync)}},

		"members": {
			base: wroteNames(b1).inBundles(map[string]int{"old": 1}).state, done: done(nil),
			members: members{print("acme"): member(1)},
			want:    records{print(b1): written(b1, lastSync)}, wantMembers: members{print("acme"): member(1)},
		},
		"members of a bundle that was deleted": {
			base: wroteNames(b1, b2).state, done: done([]string{b2}),
			members: members{print("acme"): member(1), print("gone"): member(2)},
			want:    records{print(b1): written(b1, lastSync)}, wantMembers: members{print("acme"): member(1)},
		},
		"members that are not known": {
			base: wroteNames(b1).inBundles(map[string]int{"old": 1}).state, done: done(nil),
			want: records{print(b1): written(b1, lastSync)},
		},
		"members of both runs, of which the other's win": {
			base: secrets.State{Secrets: wroteNames(b1, b2).state.Secrets,
				Members: members{print("acme"): member(1), print("globex"): member(1)}},
			done: done(nil), members: members{print("acme"): member(2), print("new"): member(2)}, beside: true,
			want:        records{print(b1): written(b1, lastSync), print(b2): written(b2, lastSync)},
			wantMembers: members{print("acme"): member(1), print("globex"): member(1), print("new"): member(2)},
		},
		"this run did not know its members": {
			base: wroteNames(b1).inBundles(map[string]int{"old": 1}).state, done: done(nil), beside: true,
			want: records{print(b1): written(b1, lastSync)},
		},
		"the other run did not know its members": {
			base: secrets.State{Secrets: wroteNames(b1).state.Secrets}, done: done(nil),
			members: members{print("acme"): member(1)}, beside: true,
			want: records{print(b1): written(b1, lastSync)}, wantMembers: members{print("acme"): member(1)},
		},
	} {
		t.Run(what, func(t *testing.T) {
			seen := observation{listed: map[string]time.Time{}, alone: !c.beside, marked: marked, changed: changed}
			if !c.at.IsZero() {
				seen.listed["A"] = c.at
			}
			got := record(keyring, c.base, c.done, c.members, seen)
			if diff := cmp.Diff(secrets.State{Secrets: c.want, Members: c.wantMembers}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotSaved(t *testing.T) {
	equal(t, "cancelled", notSaved(context.Canceled),
		"what was written is not remembered, because the run was cancelled: the next run writes it again")
	equal(t, "refused", notSaved(fleet.WithRemedy(errors.New("no"), "do")),
		"what was written is not remembered, and the next run writes it again: no; do")
}
