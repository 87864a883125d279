package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/input"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/words"
)

// New is mode migrate. With require-backup-within it leaves a tenant alone that has no recent verified backup. A tenant
// that is being created has none, so create-tenant uses [NewUnguarded].
func New(in *input.Reader, env mode.Env) mode.Work {
	work := NewUnguarded(in, env)
	within := in.Duration("require-backup-within")
	if within == 0 {
		return work
	}
	if in.String("s3-bucket") == "" {
		in.Mistake("require-backup-within",
			"needs the bucket with the backups; give s3-bucket and the inputs that go with it, as the backup "+
				"workflow has them")
		return work
	}
	store := mode.ReadStore(in)
	migrate, prepare, closeConns := work.Job, work.Prepare, work.Close
	work.Prepare = func(ctx context.Context, found mode.Found) error {
		if err := store.Open(ctx, 1); err != nil {
			return err
		}
		return prepare(ctx, found)
	}
	work.Job = func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		if err := requireBackup(ctx, store, t, within); err != nil {
			return fleet.Outcome{}, err
		}
		return migrate(ctx, t, log)
	}
	work.Close = func() {
		store.Close()
		closeConns()
	}
	return work
}

// requireBackup returns an error if the tenant has no verified backup that began within the duration.
func requireBackup(ctx context.Context, store *mode.Store, t fleet.Tenant, within time.Duration) error {
	existing, err := store.List(ctx, t.Key)
	if err != nil {
		return fmt.Errorf("find its newest backup: %w", err)
	}
	folder := fmt.Sprintf("s3://%s/%s", store.Name(), store.Folder(t.Key))
	newest, err := recentBackup(existing, folder, time.Now(), within)
	if err != nil {
		return err
	}
	m, err := store.Manifest(ctx, newest.Key)
	if err != nil {
		return fmt.Errorf("read the manifest of its newest backup: %w", err)
	}
	return backupOf(t, m, folder)
}

// recentBackup returns the newest verified backup in a tenant's folder, or an error if it began too long ago. A backup
// from the future has a wrong clock and is not trusted either.
func recentBackup(
	newestFirst []backups.Backup, folder string, now time.Time, within time.Duration,
) (backups.Backup, error) {
	newest, ok := backups.NewestVerified(newestFirst)
	if !ok {
		return backups.Backup{}, notMigrated("there is no verified backup in " + folder)
	}
	if now.Sub(newest.Time).Abs() > within {
		return backups.Backup{}, notMigrated(fmt.Sprintf("its newest verified backup is of %s UTC, and "+
			"require-backup-within is %s",
			newest.Time.Format(time.DateTime), words.Setting(within)))
	}
	return newest, nil
}

// backupOf returns an error if the backup belongs to another tenant, which had this tenant's key, and so its folder,
// before.
func backupOf(t fleet.Tenant, m backups.Manifest, folder string) error {
	if m.Of(t.ID) {
		return nil
	}
	return notMigrated(fmt.Sprintf("the newest verified backup in %s is of another tenant, whose id is %s",
		folder, m.Tenant.ID))
}

func notMigrated(why string) error {
	return fleet.WithRemedy(errors.New("not migrated: "+why),
		"run mode backup on it first and see why earlier backups failed, or migrate without require-backup-within")
}
