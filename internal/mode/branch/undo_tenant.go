package branch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/migration"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// job undoes what the run did to one tenant. The restore is one change of Neon's, so a run that is cut off has begun it
// or not: the next one finds out which, and checks the result in either case.
func (u *undo) job(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	c := u.changes[t.ID]
	if !c.changed() {
		return u.findOut(ctx, t)
	}
	if c.point == nil {
		return fleet.Outcome{}, fleet.WithRemedy(fmt.Errorf("the run %s changed it and made no undo point of it before",
			u.run.id), "take it back with mode restore: with restore-to-time, or to a backup")
	}
	if err := u.brancher.CanBranch(t); err != nil {
		return fleet.Outcome{}, err
	}
	branches, err := u.look(ctx, t, c)
	if err != nil {
		return fleet.Outcome{}, err
	}
	conn, release, err := u.conns.Open(ctx, t, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	release = sync.OnceFunc(release)
	defer release()
	status, err := u.lock(ctx, conn)
	if err != nil {
		return fleet.Outcome{}, err
	}
	d := UndoDetail{Before: status.Highest(), After: status.Highest(), UndoPoint: *c.point, known: true}
	switch c.compare(status) {
	case asBefore:
		if c.mayBePartial() && branches.kept == nil {
			return fleet.Outcome{Detail: d}, c.fateUnknown()
		}
		return u.undoneAlready(d, branches), nil
	case another:
		return fleet.Outcome{Detail: d}, u.migratedSince(d, c)
	}
	if branches.kept != nil {
		return fleet.Outcome{Detail: d}, u.begunBefore(ctx, t, c, *branches.kept)
	}
	if err := u.check(branches, c); err != nil {
		return fleet.Outcome{Detail: d}, err
	}
	for _, v := range c.inDoubt(status.Versions) {
		log.Info("the run was cut off while it applied it, and it is recorded", "version", v)
	}
	d.Lost = lostSince(ctx, conn, c.point, status.At)
	if u.env.DryRun {
		d.known = false
		return fleet.Outcome{Detail: d, Note: "would be undone to " + c.point.Name + ", losing " + d.Lost.text()}, nil
	}
	return u.restore(ctx, t, c, d, release, log)
}

// branches are what an undo needs to know of a project's.
type branches struct {
	own     fleet.Branch
	point   bool          // the undo point is there
	kept    *fleet.Branch // keeps what was there before an undo of this run that has been begun; nil if there is none
	earlier string        // a point of an attempt of the run that no report tells of; empty if there is none
}

// look lists the project's branches, once a restore that an earlier run began has ended.
func (u *undo) look(ctx context.Context, t fleet.Tenant, c tenantChange) (found branches, err error) {
	all, err := u.brancher.Branches(ctx, t, u.run.id)
	if err != nil {
		return found, err
	}
	for _, b := range all {
		switch {
		case b.ID == c.point.BranchID:
			found.point = true
		case b.Name == mode.UndoneName(u.run.id):
			found.kept = &b
		case u.ownPoint(b.Name) && !c.points[b.ID] && b.CreatedAt.Before(c.point.CreatedAt):
			found.earlier = b.Name
		}
	}
	if found.kept != nil {
		if err := u.brancher.Settle(ctx, t); err != nil {
			return found, err
		}
	}
	found.own, err = u.brancher.OwnBranch(ctx, t)
	return found, err
}

// ownPoint reports whether a branch is an undo point of the run, by its name.
func (u *undo) ownPoint(branch string) bool {
	return regexp.MustCompile("^" + regexp.QuoteMeta(mode.UndoName(u.run.id)) + `(-\d+)?$`).MatchString(branch)
}

// findOut is the outcome of a tenant that the run began with, and of which its report tells nothing: the run makes an
// undo point right before it changes a tenant.
func (u *undo) findOut(ctx context.Context, t fleet.Tenant) (fleet.Outcome, error) {
	all, err := u.brancher.Branches(ctx, t, u.run.id)
	if err != nil {
		return fleet.Outcome{}, err
	}
	for _, b := range all {
		if u.ownPoint(b.Name) {
			return fleet.Outcome{}, fleet.WithRemedy(fmt.Errorf("not undone: the run made its undo point %s, and does not know "+
				"what it did to it then", b.Name), "look at the tenant: "+ifChanged(b.CreatedAt, b.Name))
		}
	}
	return fleet.Outcome{Unchanged: true, Note: "the run failed, and there is no undo point of it"}, nil
}

// ifChanged says how somebody takes back a tenant of which only a look tells whether the run changed it.
func ifChanged(point time.Time, name string) string {
	return "if it has changed, take it back with mode restore, restore-to-time: " + point.UTC().Format(time.RFC3339Nano) +
		", or reset its branch to " + name + " in Neon's console"
}

// lock reads the recorded versions. Unless this is a dry run, it holds the tenant's lock from then on, so that no
// migration runs until the restore ends the session.
func (u *undo) lock(ctx context.Context, conn *postgres.Conn) (postgres.Status, error) {
	if u.env.DryRun {
		return postgres.ReadStatus(ctx, conn, u.table, postgres.NoLock)
	}
	return migration.Lock(ctx, conn, u.table, u.lockTimeout)
}

// check refuses what a restore would not make right.
func (u *undo) check(found branches, c tenantChange) error {
	switch {
	case found.own.ID != c.point.ParentID:
		return fleet.WithRemedy(fmt.Errorf("its branch is %s (%s) now, and the undo point is one of %s", found.own.Name,
			found.own.ID, c.point.ParentID), "give the neon-branch that the run had")
	case !found.point:
		at := c.point.CreatedAt.UTC().Format(time.RFC3339Nano)
		return fleet.WithRemedy(fmt.Errorf("its undo point %s (%s) is not there any more; it was to expire on %s UTC",
			c.point.Name, c.point.BranchID, c.point.ExpiresAt.UTC().Format(time.DateTime)), fmt.Sprintf("take it back with "+
			"mode restore: restore-to-time: %s as far as Neon's history of the project reaches, or else the newest backup "+
			"from before", at))
	case found.earlier != "":
		return fleet.WithRemedy(fmt.Errorf("the run made another undo point of it before, %s, of an attempt whose report is "+
			"not given", found.earlier), "have previous-report match the reports of all attempts; if that one left none, take "+
			"the tenant back with mode restore and restore-to-time, to when that branch was made")
	}
	return nil
}

// restore takes the tenant back to its undo point, and proves by a new connection that it was. release gives back the
// one that holds the lock, which the restore ends.
func (u *undo) restore(
	ctx context.Context, t fleet.Tenant, c tenantChange, d UndoDetail, release func(), log *slog.Logger,
) (fleet.Outcome, error) {
	d.known = false
	name := mode.UndoneName(u.run.id)
	log.Info("restoring from the undo point", "branch", c.point.Name, "preserving what is there as", name)
	if err := u.brancher.RestoreBranch(ctx, t, d.UndoPoint.ParentID, c.point.BranchID, time.Time{}, name); err != nil {
		d.Lost = nil
		return fleet.Outcome{Detail: d}, fleet.WithRemedy(fmt.Errorf("take it back to %s: %w", c.point.Name, err),
			cmp.Or(remedies.Of(err), "run again, which completes what was begun"))
	}
	release()
	d.PreservedAs = name
	versions, err := u.recorded(ctx, t, log)
	if err != nil {
		return fleet.Outcome{Detail: d}, fleet.WithRemedy(fmt.Errorf("it was taken back to %s, but could not be asked "+
			"what it records now: %w", c.point.Name, err), cmp.Or(remedies.Of(err), "run again, which checks it"))
	}
	if c.compare(versions) != asBefore {
		return fleet.Outcome{Detail: d}, fleet.WithRemedy(fmt.Errorf("it was taken back to %s, but records other versions "+
			"than before the run, up to %s", c.point.Name, cmp.Or(versions.Highest(), "none")), "look at the tenant: a run may "+
			"have migrated it at once; what it was until the undo is kept as the branch "+name)
	}
	d.After, d.known = versions.Highest(), true
	return fleet.Outcome{Detail: d, Note: "undone to " + c.point.Name + ", losing " + d.Lost.text()}, nil
}

// recorded reads what the tenant records, through a new connection.
func (u *undo) recorded(ctx context.Context, t fleet.Tenant, log *slog.Logger) (postgres.Status, error) {
	conn, release, err := u.conns.Open(ctx, t, log)
	if err != nil {
		return postgres.Status{}, err
	}
	defer release()
	return postgres.ReadStatus(ctx, conn, u.table, postgres.NoLock)
}

// undoneAlready is the outcome of a tenant that records the versions of before.
func (u *undo) undoneAlready(d UndoDetail, found branches) fleet.Outcome {
	o := fleet.Outcome{Unchanged: true, Note: "records the versions of before the run"}
	if found.kept != nil {
		d.PreservedAs = mode.UndoneName(u.run.id)
		o.Note = "undone before; kept as " + d.PreservedAs
	}
	o.Detail = d
	return o
}

// migratedSince is the error of a tenant that records neither what the run left nor what was there before.
func (u *undo) migratedSince(d UndoDetail, c tenantChange) error {
	now, left := cmp.Or(d.Before, "none"), cmp.Or(c.after, "none")
	what := fmt.Sprintf("the run left it at version %s, and it is at %s now", left, now)
	if now == left {
		what = fmt.Sprintf("beside its version %s it records others than the run left", now)
	}
	if doubts := c.inDoubt(nil); len(doubts) > 0 {
		what += "; the run failed or was cut off while it applied " + words.List(doubts, shownVersions) +
			", so it does not know whether it did"
	}
	return fleet.WithRemedy(fmt.Errorf("not undone: it was migrated again since: %s", what),
		"if a later run did that, undo "+
			"that one first; if it was another attempt or step of this run, have previous-report match its report too")
}

const shownVersions = 3

// inDoubt are the versions of which the run does not know whether it applied them: those among recorded, or all if that
// is nil.
func (c *tenantChange) inDoubt(recorded map[string]bool) (versions []string) {
	for _, doubt := range c.doubts {
		for _, v := range doubt.Versions {
			if !c.applied[v] && (recorded == nil || recorded[v]) {
				versions = append(versions, v)
			}
		}
	}
	return versions
}

// fateUnknown is the error of a tenant that records the versions of before, and may have changed all the same.
func (c *tenantChange) fateUnknown() error {
	return fleet.WithRemedy(fmt.Errorf("not undone: it records the versions of before the run, but %s failed or was cut "+
		"off, and may have been applied, wholly or in part, without being recorded",
		words.List(c.inDoubt(nil), shownVersions)), "look at the tenant: "+ifChanged(c.point.CreatedAt, c.point.Name))
}

// begunBefore is the error of a tenant whose undo was begun before, and that records what the run left all the same.
// That the branch which keeps the old state is there does not prove that the restore succeeded.
func (u *undo) begunBefore(ctx context.Context, t fleet.Tenant, c tenantChange, kept fleet.Branch) error {
	restored, err := u.brancher.Restored(ctx, t, c.point.ParentID, kept)
	switch {
	case err != nil:
		return err
	case restored:
		return fleet.WithRemedy(fmt.Errorf("not undone: it was undone before, as the branch %s shows, and migrated again "+
			"since", kept.Name), "undo the run that migrated it")
	}
	return fleet.WithRemedy(fmt.Errorf("not undone: a restore was begun on %s UTC, and Neon does not say that it "+
		"succeeded", kept.CreatedAt.UTC().Format(time.DateTime)), fmt.Sprintf("if a run has migrated the tenant since "+
		"then, undo that one; if not, rename the branch %s (%s), which keeps what it was when the restore began, and run "+
		"again", kept.Name, kept.ID))
}

// lostSince is what was written since an undo point.
func lostSince(ctx context.Context, conn *postgres.Conn, p *mode.UndoPoint, now time.Time) *Lost {
	lost := &Lost{Since: p.CreatedAt.UTC(), ElapsedMS: max(0, now.Sub(p.CreatedAt)).Milliseconds()}
	written, err := postgres.ReadWritten(ctx, conn)
	if err != nil {
		return lost // it is told for information only
	}
	if rows, known := written.After(postgres.Written{Rows: p.RowsWritten, Since: p.CountedSince}); known {
		lost.Rows = &rows
	}
	return lost
}

// text says what is lost, as far as it is known.
func (l *Lost) text() string {
	text := "the last " + words.Duration(time.Duration(l.ElapsedMS)*time.Millisecond)
	if l.Rows != nil {
		text += ", about " + words.Count(int(*l.Rows), "row", "rows")
	}
	return text
}
