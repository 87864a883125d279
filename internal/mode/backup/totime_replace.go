package backup

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// preservedName is the branch that keeps what a tenant was before it was taken to a time. It depends on nothing else,
// so that a run which repeats one that was cut off finds that the restore was begun.
func preservedName(at time.Time) string {
	return "before-restore-to/" + at.UTC().Format("20060102T150405.999999999Z")
}

// replace takes the tenant's own branch to the time, and keeps what it was.
func (r *toTime) replace(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	own, err := r.brancher.OwnBranch(ctx, t)
	if err != nil {
		return fleet.Outcome{}, err
	}
	name := preservedName(r.at)
	d := ToTimeDetail{RestoredTo: r.at, Target: ownBranch, TargetID: own.ID, Branch: own.Name}
	if own.ParentID != "" {
		return fleet.Outcome{}, fleet.WithRemedy(fmt.Errorf("its branch %s (%s) has a parent, and Neon takes only root "+
			"branches to a time", own.Name, own.ID), "leave out confirm, which makes a new branch of that time")
	}
	kept, err := r.brancher.Branches(ctx, t, name)
	if err != nil {
		return fleet.Outcome{}, err
	}
	for _, b := range kept {
		if b.Name == name {
			return r.replacedBefore(ctx, t, d, b, log)
		}
	}
	if err := r.checkHistory(ctx, t, log); err != nil {
		return fleet.Outcome{}, err
	}
	if r.env.DryRun {
		return fleet.Outcome{Detail: d, Note: fmt.Sprintf("would be restored to %s; what it is now would be kept as %s",
			moment(r.at), name)}, nil
	}
	release, err := r.lock(ctx, t, log)
	if err != nil {
		return fleet.Outcome{}, err
	}
	release = sync.OnceFunc(release)
	defer release()
	log.Info("restoring the branch", "id", own.ID, "to", moment(r.at), "preserving what is there as", name)
	if err := r.brancher.RestoreBranch(ctx, t, own.ID, own.ID, r.at, name); err != nil {
		return fleet.Outcome{}, r.notReplaced(ctx, t, err, log)
	}
	release() // the restore has ended its session
	d.PreservedAs = name
	if d.SchemaVersion, err = r.ask(ctx, t, log); err != nil {
		return fleet.Outcome{Detail: d}, fleet.WithRemedy(fmt.Errorf("it was taken to %s, with what it was before kept "+
			"as %s, but could not be asked what it records now: %w", moment(r.at), name, err),
			cmp.Or(remedies.Of(err), r.again()+", which asks it"))
	}
	return fleet.Outcome{Detail: d, Note: fmt.Sprintf("restored to %s; what it was before is kept as %s", moment(r.at),
		name)}, nil
}

// replacedBefore is the outcome of a tenant that an earlier run began to take to this very time. That the branch which
// keeps the old state is there does not prove that the restore succeeded.
func (r *toTime) replacedBefore(
	ctx context.Context, t fleet.Tenant, d ToTimeDetail, kept fleet.Branch, log *slog.Logger,
) (fleet.Outcome, error) {
	d.PreservedAs = kept.Name
	began := kept.CreatedAt.UTC().Format(time.DateTime)
	restored, err := r.brancher.Restored(ctx, t, d.TargetID, kept)
	if err == nil && !restored {
		err = fleet.WithRemedy(fmt.Errorf("a restore to %s was begun on %s UTC, and Neon does not say that it succeeded",
			moment(r.at), began), fmt.Sprintf("look at the tenant: if it is not what it was then, rename the branch %s (%s), "+
			"which keeps what it was when the restore began, and %s", kept.Name, kept.ID,
			r.again()))
	}
	if err == nil {
		d.SchemaVersion, err = r.ask(ctx, t, log)
	}
	if err != nil {
		return fleet.Outcome{Detail: d}, err
	}
	return fleet.Outcome{Unchanged: true, Detail: d, Note: fmt.Sprintf("was restored to %s before, on %s UTC; what it "+
		"was until then is kept as %s", moment(r.at), began, kept.Name)}, nil
}

// again says how to repeat the run so that it finds what this one began, which the exact time tells.
func (r *toTime) again() string {
	return "run again with restore-to-time: " + r.at.Format(time.RFC3339Nano)
}

// notReplaced is the error of a restore that failed, or whose outcome this run does not know.
func (r *toTime) notReplaced(ctx context.Context, t fleet.Tenant, err error, log *slog.Logger) error {
	err = r.refused(ctx, t, err, log)
	if remedies.Of(err) == "" {
		return fleet.WithRemedy(err, r.again()+", which finds out whether it was begun")
	}
	return fleet.WithRemedy(err, remedies.Of(err)+"; to repeat it, "+r.again())
}

// lock keeps migrations away until the restore ends the session. A tenant that cannot be connected to, which may be why
// it is restored, cannot be migrated either.
func (r *toTime) lock(ctx context.Context, t fleet.Tenant, log *slog.Logger) (release func(), err error) {
	conn, release, err := r.conns.Open(ctx, t, log)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		log.Info("the tenant cannot be connected to, so no lock keeps migrations away", "error", err)
		return func() {}, nil
	}
	if err := lockMigrationsOut(ctx, conn, r.table, r.lockTimeout, log); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// ask connects to the restored tenant and reads its version.
func (r *toTime) ask(ctx context.Context, t fleet.Tenant, log *slog.Logger) (string, error) {
	conn, release, err := r.conns.Open(ctx, t, log)
	if err != nil {
		return "", err
	}
	defer release()
	return r.version(ctx, conn)
}
