package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/catalog"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/mode/backup"
)

// DropDetail is what the report file says of a tenant that was dropped, or would be.
type DropDetail struct {
	Dropped    bool   `json:"dropped"`
	Backup     string `json:"backup,omitempty"` // the verified backup that was relied on
	BackupMade bool   `json:"backup_made"`      // by this run
}

// freshBackup is how old the backup of a tenant that is dropped may be, counted from when its dump began.
const freshBackup = time.Hour

// drop is the mode, its inputs read.
type drop struct {
	env    mode.Env
	source fleet.Provisioner
	name   string
	backup *backup.Job // nil: without-backup
}

// NewDrop makes the job that removes one tenant, once its data is known to be safe.
func NewDrop(in *input.Reader, env mode.Env) mode.Work {
	d := &drop{env: env, source: provisioner(in, env, "drop-tenant"), name: in.Required("tenant-name")}
	if confirm := in.String("confirm"); d.name != "" && confirm != d.name {
		in.Mistake("confirm", "is %q, and tenant-name is %q; write the name of the tenant that is to be dropped into both", confirm, d.name)
	}
	work := mode.Work{Choose: d.choose, Job: d.run, Facts: dropFacts}
	switch without := in.Bool("without-backup"); {
	case without:
	case in.String("s3-bucket") == "":
		in.Mistake("s3-bucket", "is empty, and drop-tenant needs a verified backup younger than an hour; give the inputs about the bucket as the backup workflow has them, "+
			"or set without-backup: true")
	default:
		d.backup = backup.Read(in, env)
		work.Prepare, work.Close, work.Finish = d.backup.Prepare, d.backup.Store.Close, reliedOn
	}
	return work
}

// choose finds the one listed tenant that is meant.
func (d *drop) choose(all []fleet.Tenant, complete bool) ([]fleet.Tenant, error) {
	t, listed, err := namesake(all, d.name, "give the id of the one that is meant as tenant-name and confirm, with tenant-key: id, since their keys are the same too")
	switch {
	case err != nil:
		return nil, err
	case !listed:
		return nil, fleet.WithRemedy(fmt.Errorf("tenant-name: %q is none of the %d tenants that are listed, and only a listed one is dropped", d.name, len(all)),
			"where it was dropped before nothing is left to do; else correct the name (letter case counts), or give the tenant's id")
	case !complete && t.ID != d.name:
		return nil, fleet.WithRemedy(fmt.Errorf("tenant-name: not every tenant could be listed, so %q may be the name of several", d.name),
			fmt.Sprintf("run again later, or give the tenant's id as tenant-name and confirm: %s is the one that was found", t.ID))
	}
	if err := d.source.CheckDrop(t); err != nil {
		return nil, fmt.Errorf("tenant %q is not dropped: %w", t.Name, err)
	}
	return []fleet.Tenant{t}, nil
}

// run drops the tenant, its backup first. What it does may be cut off anywhere and is completed by running it again.
func (d *drop) run(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
	var detail DropDetail
	if d.env.Catalog != "" && d.env.Schema(t) == "" {
		// One that gives no connection string any more is gone already, or says so below.
		if target, err := mode.Resolve(ctx, d.env, t, log); err == nil {
			if err := mode.RefuseCatalog(d.env, target); err != nil {
				return fleet.Outcome{Detail: detail}, err
			}
		}
	}
	safe := "without a backup"
	if d.backup != nil {
		err := d.covered(ctx, t)
		if err == nil {
			safe, err = d.secure(ctx, t, &detail, log)
		}
		if err != nil {
			return fleet.Outcome{Detail: detail}, unsafe(err)
		}
	}
	if d.env.DryRun {
		return fleet.Outcome{Note: "would be dropped, " + safe, Detail: detail}, nil
	}
	if ctx.Err() != nil {
		return fleet.Outcome{Detail: detail}, context.Cause(ctx)
	}
	if err := d.source.Drop(ctx, t, log); err != nil {
		again := "run again with the same inputs, which goes on from there"
		if first := fleet.Remedy(err); first != "" {
			again = first + "; then " + again
		}
		return fleet.Outcome{Detail: detail}, fleet.WithRemedy(fmt.Errorf("drop tenant %q: %w", t.Name, err), again)
	}
	detail.Dropped = true
	d.tell(t)
	return fleet.Outcome{Note: "dropped, " + safe, Detail: detail}, nil
}

// covered refuses a tenant that holds more than a backup of it does.
func (d *drop) covered(ctx context.Context, t fleet.Tenant) error {
	more, err := d.source.Beside(ctx, t)
	if err == nil && len(more) > 0 {
		err = fmt.Errorf("its backup would not hold all that goes with it: %s", strings.Join(more, ", "))
	}
	return err
}

// unsafe adds to why a tenant's data could not be made safe that the tenant is as it was.
func unsafe(err error) error {
	remedy := "where its data is needed no more, set without-backup: true"
	if first := fleet.Remedy(err); first != "" {
		remedy = first + "; " + remedy
	}
	return fleet.WithRemedy(fmt.Errorf("%w; the tenant was not dropped", err), remedy)
}

// secure finds a verified backup of the tenant that is young enough, or makes one, and words which it is.
func (d *drop) secure(ctx context.Context, t fleet.Tenant, detail *DropDetail, log *slog.Logger) (string, error) {
	existing, err := d.backup.Store.List(ctx, t.Key)
	if err != nil {
		return "", err
	}
	if newest, ok := backups.NewestVerified(existing); ok && time.Since(newest.Time).Abs() < freshBackup { // one of the future has a wrong clock
		m, err := d.backup.Store.Manifest(ctx, newest.Key)
		if err != nil {
			return "", err
		}
		if m.Of(t.ID) { // else it is one's that had the name, and the folder, before
			detail.Backup = newest.Key
			return "with the backup " + newest.Key, nil
		}
	}
	o, err := d.backup.Run(ctx, t, log)
	if err != nil {
		return "", err
	}
	if d.env.DryRun {
		return "after a backup that would be made", nil
	}
	b, ok := o.Detail.(backup.Detail)
	if !ok || b.Key == "" {
		return "", errors.New("no backup of it was made")
	}
	detail.Backup, detail.BackupMade = b.Key, true
	return "with the backup " + b.Key + ", made just now", nil
}

// tell says what is left of a dropped tenant.
func (d *drop) tell(t fleet.Tenant) {
	if how := d.source.Recovery(t); how != "" {
		d.env.Notice(fmt.Sprintf("%s: %s", t.Name, how))
	}
	d.env.Notice(fmt.Sprintf("%s: its backups, and a GitHub secret that sync-secrets wrote for it, are left: no run prunes the former any more, "+
		"sync-secrets with prune-secrets: true deletes the latter", t.Name))
}

// reliedOn names the backup that was relied on.
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
		f.DroppedAt = r.Started.Add(r.Elapsed)
	}
	return f
}
