package branch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// UndoDetail is what the report file says about a tenant in mode undo.
type UndoDetail struct {
	Before string `json:"version_before"` // the highest recorded version, empty if there was none
	After  string `json:"version_after"`
	// UndoPoint is the branch that the tenant was, or would be, taken back to.
	UndoPoint mode.UndoPoint `json:"undo_point"`
	// PreservedAs is the branch that keeps what the tenant was until then.
	PreservedAs string `json:"preserved_as,omitempty"`
	Lost        *Lost  `json:"lost,omitempty"` // nil if nothing was taken back now

	known bool // After is what the tenant records now
}

// Lost is what was written since an undo point, and what a tenant that is taken back to it lacks.
type Lost struct {
	Since     time.Time `json:"since"`
	ElapsedMS int64     `json:"elapsed_ms"`
	// Rows is how many rows the server counts that were written since, those of the migrations included; nil if it began
	// to count anew.
	Rows *int64 `json:"rows,omitempty"`
}

// undo is the mode with its inputs read.
type undo struct {
	env      mode.Env
	brancher fleet.Brancher
	conns    *mode.Connections
	table    postgres.Ledger
	// lockTimeout is how long to wait for a run that migrates the tenant.
	lockTimeout time.Duration
	run         undoneRun
	selection   string // the input tenants
	allowNone   bool

	changes map[string]tenantChange // of the tenants to work on, by id
	gone    []string                // tenants that the run changed and that are not listed
	listed  bool                    // all tenants could be listed
}

// NewUndo is mode undo: it takes exactly the tenants that a run of mode migrate changed back to their undo points.
func NewUndo(in *input.Reader, env mode.Env) mode.Work {
	u := &undo{
		env: env, conns: mode.NewConnections(env, mode.Changes),
		table: env.ReadLedger(in), lockTimeout: in.Duration("lock-timeout"),
		selection: in.Text("tenants"), allowNone: in.Bool("allow-empty"),
	}
	u.brancher, _ = mode.Able[fleet.Brancher](in, env, "tenant-source",
		"this source has no branches to take tenants back to; choose another mode")
	for _, selecting := range []string{"shard", "canary", "waves", "wave-pause"} {
		if in.Given(selecting) {
			in.Mistake(selecting, "has no meaning in mode undo, which works on the tenants that the run changed; leave it out")
		}
	}
	u.run = readUndoneRun(in, env)
	if confirm := in.String("confirm"); u.run.id != "" && confirm != u.run.id {
		in.Mistake("confirm", "is %q, and the run to undo is %s; give that run's id, which the address of a workflow run "+
			"ends in (…/actions/runs/%[2]s) and its report file has as run_id", confirm, u.run.id)
	}
	return mode.Work{Choose: u.choose, Job: u.job, Finish: u.finish, Close: u.conns.Close, Facts: undoFacts}
}

// choose returns the listed ones of the tenants that the run changed, as far as the input tenants selects them.
func (u *undo) choose(all []fleet.Tenant, complete bool) ([]fleet.Tenant, error) {
	u.listed = complete
	known, listed := slices.Clone(all), map[string]fleet.Tenant{}
	for _, t := range all {
		listed[t.ID] = t
	}
	for _, c := range u.run.changes {
		if _, ok := listed[c.tenant.ID]; !ok {
			known = append(known, c.tenant)
		}
	}
	selection, err := fleet.Resolve(u.selection, known)
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	u.warnAboutSelection(selection, known)
	u.changes = map[string]tenantChange{}
	var picked []fleet.Tenant
	for _, c := range u.run.changes {
		switch t, ok := listed[c.tenant.ID]; {
		case !c.changed() && (!ok || u.brancher.CanBranch(t) != nil):
			// Without an undo point it was not changed; or it is gone.
		case ok && selection.Matches(t):
			picked = append(picked, t)
			u.changes[t.ID] = c
		case !ok && selection.Matches(c.tenant):
			u.gone = append(u.gone, fmt.Sprintf("%s (%s)", c.tenant.Name, c.tenant.ID))
		}
	}
	if len(picked) > 0 || u.allowNone {
		return picked, nil
	}
	return nil, u.errNothingToUndo(len(all))
}

// warnAboutSelection says what may be wrong with the input tenants.
func (u *undo) warnAboutSelection(selection fleet.Selection, known []fleet.Tenant) {
	for _, doubt := range selection.Doubts {
		u.env.Notice("tenants: " + doubt)
	}
	_, idle := selection.Select(known)
	for _, entry := range idle {
		u.env.Notice(fmt.Sprintf("tenants: the pattern %q matches none of the %d tenants found", entry, len(known)))
	}
}

// errNothingToUndo is the error of an undo that would work on no tenant.
func (u *undo) errNothingToUndo(listed int) error {
	switch changed := len(u.run.changes); {
	case changed == 0:
		return fleet.WithRemedy(fmt.Errorf("the run %s changed no tenant, so there is nothing to undo", u.run.id),
			"check that previous-report matches the report files of all its jobs; allow-empty: true accepts that")
	case len(u.gone) > 0:
		return u.unlisted()
	default:
		return fleet.WithRemedy(fmt.Errorf("tenants: %q selects none of the %s that the run %s changed", u.selection,
			words.Count(changed, "tenant", "tenants"), u.run.id),
			fmt.Sprintf("leave tenants out to undo all of them; %d tenants are listed", listed))
	}
}

// unlisted is the error about tenants that cannot be undone because nobody lists them; nil if there are none.
func (u *undo) unlisted() error {
	if len(u.gone) == 0 {
		return nil
	}
	const shown = 5
	if !u.listed {
		return fleet.WithRemedy(fmt.Errorf("the run %s changed tenants that could not be listed now and were not undone: %s",
			u.run.id, words.List(u.gone, shown)), "run again later; what is undone stays so")
	}
	return fleet.WithRemedy(fmt.Errorf("the run %s changed tenants that are not listed any more and were not undone: %s",
		u.run.id, words.List(u.gone, shown)),
		"if they were dropped, there is nothing to do; otherwise give the key, the organization and the source that the run "+
			"had, and run again")
}

// finish says where what was replaced is kept, and what could not be undone because it is not known or not there.
func (u *undo) finish(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	err := u.unlisted()
	if len(u.run.missing) > 0 {
		err = errors.Join(err, fleet.WithRemedy(fmt.Errorf("there is no report of shard %s of the run %s, whose tenants "+
			"were not undone", words.List(u.run.missing, 0), u.run.id),
			"have previous-report match the report files of all its jobs, and run again; what is undone stays so"))
	}
	ending := mode.Ending{}
	if section := u.section(results); len(section.Lines) > 0 {
		ending.Sections = []report.Section{section}
	}
	return ending, err
}

// section says what the tenants lose, or would lose in a dry run, where it is kept, and what that took; it has no lines
// if that is nothing.
func (u *undo) section(results []fleet.Result) report.Section {
	lost, kept, made, counted := 0, 0, 0, false
	for _, r := range results {
		d, _ := r.Outcome.Detail.(UndoDetail)
		if d.Lost != nil {
			lost++
			counted = counted || d.Lost.Rows != nil
		}
		if d.PreservedAs != "" {
			kept++
			if d.Lost != nil {
				made++ // and not by an earlier undo
			}
		}
	}
	s := report.Section{Title: "What is lost"}
	if lost > 0 {
		s.Lines = append(s.Lines, "everything that was written since the undo point, in all databases of the tenant's branch")
	}
	if counted {
		s.Lines = append(s.Lines, "the rows are the server's count of what was inserted, updated or deleted since then, "+
			"with what the migrations did, and without about the last second")
	}
	switch name := mode.UndoneName(u.run.id); {
	case u.env.DryRun && lost > 0:
		s.Title = "What would be lost"
		s.Lines = append(s.Lines, "a branch "+name+" in each project would keep it")
	case kept > 0:
		s.Lines = append(s.Lines, fmt.Sprintf("the branch %s of %s keeps what was there before the undo",
			name, words.Count(kept, "project", "projects")))
	}
	if made > 0 {
		s.Lines = append(s.Lines, mode.BranchCost(words.Count(made, "branch", "branches"), u.brancher))
	}
	return s
}

// undoFacts returns the version that an undone tenant was proved to record.
func undoFacts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(UndoDetail)
	nothing := &records.Record{} // is known of the tenant any more
	if !d.known {
		return catalog.Facts{Record: nothing}
	}
	return catalog.Facts{SchemaVersion: d.After, NoVersion: d.After == "", Record: nothing}
}
