package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/report"
	"github.com/org/neon-tenants-action/internal/words"
)

// undoPoints makes a branch of each tenant before its first pending migration.
type undoPoints struct {
	brancher fleet.Brancher
	runID    string
	keep     time.Duration
}

// readUndoPoint reads the inputs about undo points, and returns the mode's work with them.
func (m *migrator) readUndoPoint(in *input.Reader, work mode.Work) mode.Work {
	keep := input.Parse(in, "undo-keep", mode.ParseBranchLife)
	if !in.Bool("undo-point") {
		return work
	}
	brancher, ok := mode.Able[fleet.Brancher](in, m.env, "undo-point",
		"this source has no branches to take a tenant back to; leave it out")
	if !ok {
		return work
	}
	m.undo = &undoPoints{brancher: brancher, runID: m.env.RunID, keep: keep}
	job, finish := work.Job, work.Finish
	work.Job = func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		o, err := job(ctx, t, log)
		return withDoubt(o, err), err
	}
	work.Finish = func(ctx context.Context, results []fleet.Result) (mode.Ending, error) {
		ending, err := finish(ctx, results)
		if s := m.undo.section(results); len(s.Lines) > 0 {
			ending.Sections = append(ending.Sections, s)
		}
		return ending, err
	}
	return work
}

// before has a migration make the tenant's undo point first. The point is zero until that has happened; it is nil if
// tenants get none.
func (u *undoPoints) before(o *migration.Options, t fleet.Tenant, log *slog.Logger) *mode.UndoPoint {
	if u == nil {
		return nil
	}
	point := &mode.UndoPoint{}
	o.Before = func(ctx context.Context, c *postgres.Conn, s postgres.Status) error {
		made, err := u.make(ctx, t, log)
		if err != nil {
			return fleet.WithRemedy(fmt.Errorf("the undo point could not be made, so nothing was changed: %w", err),
				cmp.Or(remedies.Of(err), "run again, or leave out undo-point"))
		}
		made.Versions = mode.HashVersions(s.Keys(s.Versions))
		if written, err := postgres.ReadWritten(ctx, c); err == nil { // else an undo cannot tell what it takes back
			made.RowsWritten, made.CountedSince = written.Rows, written.Since
		}
		*point = made
		return nil
	}
	return point
}

// make makes the branch. A name that is taken is that of an earlier attempt or step of this run, whose point holds an
// earlier state: this one gets the next number.
func (u *undoPoints) make(ctx context.Context, t fleet.Tenant, log *slog.Logger) (mode.UndoPoint, error) {
	if err := u.brancher.CanBranch(t); err != nil {
		return mode.UndoPoint{}, err
	}
	name := mode.UndoName(u.runID)
	spec := fleet.BranchSpec{Name: name, ExpiresAt: u.brancher.Now().Add(u.keep), NoCompute: true}
	b, _, err := u.brancher.CreateBranch(ctx, t, spec)
	if errors.As(err, new(*fleet.ExistingBranch)) {
		var taken []fleet.Branch
		if taken, err = u.brancher.Branches(ctx, t, name); err != nil {
			return mode.UndoPoint{}, err
		}
		spec.Name = nextName(name, taken)
		b, _, err = u.brancher.CreateBranch(ctx, t, spec)
	}
	if err != nil {
		return mode.UndoPoint{}, err
	}
	log.Info("made the undo point", "branch", b.Name, "id", b.ID, "expires", b.ExpiresAt.UTC().Format(time.DateTime))
	return mode.UndoPoint{
		BranchID: b.ID, Name: b.Name, ParentID: b.ParentID, CreatedAt: b.CreatedAt.UTC(), ExpiresAt: b.ExpiresAt.UTC(),
	}, nil
}

// nextName returns the first of name-2, name-3 and so on that no branch has.
func nextName(name string, taken []fleet.Branch) string {
	for i := 2; ; i++ {
		next := fmt.Sprintf("%s-%d", name, i)
		if !slices.ContainsFunc(taken, func(b fleet.Branch) bool { return b.Name == next }) {
			return next
		}
	}
}

// withUndoPoint adds to a tenant's outcome the undo point that was made.
func withUndoPoint(o fleet.Outcome, point *mode.UndoPoint) fleet.Outcome {
	d, ok := o.Detail.(Detail)
	if point == nil || point.BranchID == "" || !ok {
		return o
	}
	d.UndoPoint = point
	o.Detail = d
	o.Note += ", undo point " + point.Name
	return o
}

// withDoubt adds to the undo point of a tenant that failed what the run cannot know: whether a migration was applied
// during which the connection broke, or which part of one that ran outside a transaction. Without that, an undo would
// leave the tenant out, or blame another run for the migration.
func withDoubt(o fleet.Outcome, err error) fleet.Outcome {
	d, _ := o.Detail.(Detail)
	doubt := inDoubt(err)
	if doubt == nil || d.UndoPoint == nil {
		return o
	}
	point := *d.UndoPoint
	point.InDoubt = doubt
	d.UndoPoint = &point
	o.Detail = d
	return o
}

// inDoubt returns what may have been applied by a migration that failed; nil if that is known.
func inDoubt(err error) *mode.InDoubt {
	var failed *migration.Error
	var baseline *migration.LostBaselineError
	switch {
	case errors.As(err, &baseline):
		return &mode.InDoubt{Versions: baseline.Versions}
	case !errors.As(err, &failed):
		return nil
	}
	switch cause := failed.Cause(); {
	case cause == migration.ConnectionLost:
		return &mode.InDoubt{Versions: failed.Versions}
	case cause == migration.LostOutsideTransaction, cause == migration.NotRecorded, cause == migration.RecordUnknown,
		cause == migration.AppliedInPart,
		cause == migration.IndexInvalid && failed.OutsideTransaction():
		return &mode.InDoubt{Versions: failed.Versions, OutsideTransaction: true}
	}
	return nil
}

// section says how the run is undone, and what its points took; it has no lines if none was made.
func (u *undoPoints) section(results []fleet.Result) report.Section {
	var first time.Time // to expire
	made, changed := 0, 0
	for _, r := range results {
		d, _ := r.Outcome.Detail.(Detail)
		if d.UndoPoint != nil {
			made++
		}
		if d.UndoPoint == nil || len(d.Applied)+len(d.Recorded) == 0 && d.UndoPoint.InDoubt == nil {
			continue
		}
		changed++
		if first.IsZero() || d.UndoPoint.ExpiresAt.Before(first) {
			first = d.UndoPoint.ExpiresAt
		}
	}
	s := report.Section{Title: "Undo points"}
	if changed > 0 {
		s.Lines = []string{fmt.Sprintf("until %s UTC, mode undo takes %s back to before this run: give it this run's "+
			"report file as previous-report, and confirm: %s", first.Format(time.DateTime),
			words.Count(changed, "tenant", "tenants"), u.runID)}
	}
	if made > 0 {
		s.Lines = append(s.Lines, mode.BranchCost(words.Count(made, "branch", "branches"), u.brancher))
	}
	return s
}
