package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/backup"
	"github.com/org/neon-tenants-action/internal/records"
	"github.com/org/neon-tenants-action/internal/remedies"
	"github.com/org/neon-tenants-action/internal/words"
)

// DropDetail is what the report file says about a tenant that was dropped, or would be.
type DropDetail struct {
	Dropped    bool   `json:"dropped"`
	Backup     string `json:"backup,omitempty"` // key of the verified backup that the drop relies on
	BackupMade bool   `json:"backup_made"`      // by this run
}

// freshBackup is how long ago the dump of a backup may have begun for a drop to rely on it.
const freshBackup = time.Hour

// drop is the mode with its inputs read.
type drop struct {
	env    mode.Env
	source fleet.Provisioner
	name   string
	backup *backup.Job // nil with without-backup
}

// NewDrop is mode drop-tenant: it drops one tenant once a backup holds everything that goes with it.
func NewDrop(in *input.Reader, env mode.Env) mode.Work {
	d := &drop{env: env, source: provisioner(in, env, "drop-tenant"), name: in.Required("tenant-name")}
	if confirm := in.String("confirm"); d.name != "" && confirm != d.name {
		in.Mistake("confirm", "is %q, but tenant-name is %q; give both the name of the tenant to drop", confirm, d.name)
	}
	work := mode.Work{Choose: d.choose, Job: d.run, Facts: dropFacts}
	switch without := in.Bool("without-backup"); {
	case without:
	case in.String("s3-bucket") == "":
		in.Mistake("s3-bucket", "is empty, and drop-tenant needs a verified backup younger than an hour; "+
			"give the inputs about the bucket as the backup workflow has them, or set without-backup: true")
	default:
		d.backup = backup.Read(in, env)
		d.backup.NeedWhole(in)
		work.Prepare, work.Close, work.Finish = d.backup.Prepare, d.backup.Store.Close, reliedOn
	}
	return work
}

func (d *drop) choose(all []fleet.Tenant, complete bool) ([]fleet.Tenant, error) {
	t, err := toDrop(all, complete, d.name)
	if err != nil {
		return nil, err
	}
	if err := d.source.CheckDrop(t); err != nil {
		return nil, fmt.Errorf("tenant %q is not dropped: %w", t.Name, err)
	}
	return []fleet.Tenant{t}, nil
}

// toDrop returns the one listed tenant with that name or id.
func toDrop(all []fleet.Tenant, complete bool, name string) (fleet.Tenant, error) {
	t, listed, err := namesake(all, name, "give the id of the one to drop as tenant-name and confirm, "+
		"with tenant-key: id, because their keys are the same too")
	switch {
	case err != nil:
		return fleet.Tenant{}, err
	case !listed:
		return fleet.Tenant{}, fleet.WithRemedy(
			fmt.Errorf("tenant-name: %q is none of the %d listed tenants, and only a listed one is dropped", name,
				len(all)),
			"if it has been dropped already, nothing is left to do; "+
				"otherwise correct the name (letter case counts), or give the tenant's id")
	case !complete && t.ID != name:
		return fleet.Tenant{}, fleet.WithRemedy(
			fmt.Errorf("tenant-name: not every tenant could be listed, so several may be named %q", name),
			fmt.Sprintf("run again later, or give the tenant's id as tenant-name and confirm; "+
				"the id of the one that was found is %s", t.ID))
	}
	return t, nil
}

// run drops the tenant once its data is safe. A run that is cut off is completed by the next.
func (d *drop) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	var detail DropDetail
	if err := d.refuseCatalog(ctx, t, log); err != nil {
		return fleet.Outcome{Detail: detail}, err
	}
	// Before a backup is made, and whatever the inputs say: what belongs to others is not this tenant's to give up.
	if err := d.source.CheckDependents(ctx, t); err != nil {
		return fleet.Outcome{Detail: detail}, fmt.Errorf("%w; the tenant was not dropped", err)
	}
	safe, warnings := "without a backup", []string(nil)
	if d.backup != nil {
		err := d.refuseUncovered(ctx, t)
		if err == nil {
			safe, warnings, err = d.secure(ctx, t, &detail, log)
		}
		if err != nil {
			if gone, unknown := d.source.Gone(ctx, t); unknown != nil || !gone {
				return fleet.Outcome{Detail: detail}, notDropped(err)
			}
			safe = "without a new backup: nothing of it was left but its entry in the list"
		}
	}
	if d.env.DryRun {
		return fleet.Outcome{Note: "would be dropped " + safe, Warnings: warnings, Detail: detail}, nil
	}
	if ctx.Err() != nil {
		return fleet.Outcome{Detail: detail}, context.Cause(ctx)
	}
	if err := d.source.Drop(ctx, t, log); err != nil {
		return fleet.Outcome{Detail: detail}, fleet.WithRemedy(fmt.Errorf("drop tenant %q: %w", t.Name, err),
			thenAgain(err, "run again with the same inputs to continue"))
	}
	detail.Dropped = true
	d.announceRemains(t)
	return fleet.Outcome{Note: "dropped " + safe, Warnings: warnings, Detail: detail}, nil
}

// refuseCatalog refuses to drop the run's own catalog.
func (d *drop) refuseCatalog(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
	if d.env.Catalog == "" || d.env.Schema(t) != "" {
		return nil
	}
	target, err := mode.Resolve(ctx, d.env, t, log)
	if err != nil {
		return nil // it is gone already, or the steps below report what is wrong
	}
	return mode.RefuseCatalog(d.env, target)
}

// refuseUncovered refuses a tenant if dropping it deletes more than a backup of it holds.
func (d *drop) refuseUncovered(ctx context.Context, t fleet.Tenant) error {
	more, err := d.source.Beside(ctx, t)
	if err == nil && len(more) > 0 {
		err = fmt.Errorf("its backup would not hold everything that the drop deletes: %s", words.List(more, 0))
	}
	return err
}

// notDropped adds to why a tenant's data is not safe that the tenant was left as it was.
func notDropped(err error) error {
	remedy := "if its data is no longer needed, set without-backup: true"
	if first := remedies.Of(err); first != "" {
		remedy = first + "; " + remedy
	}
	return fleet.WithRemedy(fmt.Errorf("%w; the tenant was not dropped", err), remedy)
}

// secure finds a fresh backup that certainly holds this tenant, from where it is now, or makes one, and says which.
func (d *drop) secure(
	ctx context.Context, t fleet.Tenant, detail *DropDetail, log *slog.Logger,
) (safe string, warnings []string, err error) {
	existing, err := d.backup.Store.List(ctx, t.Key)
	if err != nil {
		return "", nil, err
	}
	target, err := mode.Resolve(ctx, d.env, t, log)
	if err != nil {
		return "", nil, err
	}
	owner := mode.Owner(d.env, t, target)
	owner.Proven = true
	newest, passed, err := d.backup.Store.Newest(ctx, existing, owner)
	if err != nil {
		return "", nil, err
	}
	if text := backups.Passed(passed); text != "" {
		warnings = append(warnings, text)
	}
	if fresh(newest.Backup, d.backup.Store.Now()) {
		detail.Backup = newest.Key
		return "with the backup " + newest.Key, warnings, nil
	}
	o, err := d.backup.Run(ctx, t, log)
	warnings = append(warnings, o.Warnings...)
	if err != nil {
		return "", warnings, err
	}
	if d.env.DryRun {
		return "after a new backup", warnings, nil
	}
	b, ok := o.Detail.(backup.Detail)
	if !ok || b.Key == "" {
		return "", warnings, errors.New("no backup was made")
	}
	detail.Backup, detail.BackupMade = b.Key, true
	return "with the new backup " + b.Key, warnings, nil
}

// fresh reports whether there is a backup that is not older than a drop allows. Its key is empty if there is none.
func fresh(newest backups.Backup, now time.Time) bool {
	return newest.Key != "" && now.Sub(newest.Time) < freshBackup
}

// announceRemains says what is left of a dropped tenant, and how it can be recovered.
func (d *drop) announceRemains(t fleet.Tenant) {
	if how := d.source.Recovery(t); how != "" {
		d.env.Notice(fmt.Sprintf("%s: %s", t.Name, how))
	}
	backups := "its backups remain"
	if d.backup == nil { // nobody looked
		backups = "backups that it has remain"
	}
	d.env.Notice(fmt.Sprintf("%s: %s, and no run prunes them any more; a GitHub secret that sync-secrets wrote for it "+
		"remains until sync-secrets runs with prune-secrets: true", t.Name, backups))
}

// reliedOn returns the output backup-key.
func reliedOn(_ context.Context, results []fleet.Result) (mode.Ending, error) {
	if len(results) == 1 {
		if d, _ := results[0].Outcome.Detail.(DropDetail); d.Backup != "" {
			return mode.Ending{Outputs: map[string]string{"backup-key": d.Backup}}, nil
		}
	}
	return mode.Ending{}, nil
}

// dropFacts returns when the tenant was dropped, and the backup that is left of it.
func dropFacts(r fleet.Result) catalog.Facts {
	d, _ := r.Outcome.Detail.(DropDetail)
	f := mode.BackupFacts(d.Backup)
	if d.Dropped {
		f.Record = &records.Record{}
		f.DroppedAt = r.Started.Add(r.Elapsed)
	}
	return f
}
