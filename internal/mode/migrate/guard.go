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
// that is being created has none, and no tables to adopt, so create-tenant uses [NewUnguarded].
func New(in *input.Reader, env mode.Env) mode.Work {
	unguarded := NewUnguarded(in, env)
	m := unguarded.migrator
	m.records = mode.ReadRecords(in, env)
	m.readSleepers(in)
	m.readChangedFiles(in)
	if m.files != nil {
		env.Retry.CheckFiles(in, m.written.files, m.changed.nameOf)
	}
	m.readBaseline(in)
	m.readRehearsal(in)
	work := m.readUndoPoint(in, unguarded.Work)
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
	m.backedUp = func(ctx context.Context, t fleet.Tenant, log *slog.Logger) error {
		return requireBackup(ctx, env, store, t, within, log)
	}
	prepare, closeConns := work.Prepare, work.Close
	work.Prepare = func(ctx context.Context, found mode.Found) error {
		if err := store.Open(ctx, 1); err != nil {
			return err
		}
		return prepare(ctx, found)
	}
	work.Close = func() {
		store.Close()
		closeConns()
	}
	return work
}

// requireBackup returns an error if the tenant has no verified backup that began within the duration. Only the newest
// backup that counts is looked at, and only those of the same server, database and branch do.
func requireBackup(
	ctx context.Context, env mode.Env, store *mode.Store, t fleet.Tenant, within time.Duration, log *slog.Logger,
) error {
	existing, err := store.List(ctx, t.Key)
	if err != nil {
		return fmt.Errorf("find its newest backup: %w", err)
	}
	target, err := mode.Resolve(ctx, env, t, log)
	if err != nil {
		return err
	}
	newest, passed, err := store.Newest(ctx, existing, mode.Owner(env, t, target))
	if err != nil {
		return fmt.Errorf("find its newest backup: %w", err)
	}
	folder := fmt.Sprintf("s3://%s/%s", store.Name(), store.Folder(t.Key))
	return recentBackup(newest.Backup, passed, folder, store.Now(), within)
}

// recentBackup returns an error if a tenant's newest backup that counts began too long ago. Its key is empty if there
// is none. passed are those that do not count, newer ones or all.
func recentBackup(
	newest backups.Backup, passed []backups.Judged, folder string, now time.Time, within time.Duration,
) error {
	because := backups.Passed(passed)
	if because != "" {
		because = "; " + because
	}
	if newest.Key == "" {
		return notMigrated("there is no verified backup in " + folder + because)
	}
	if now.Sub(newest.Time) > within {
		return notMigrated(fmt.Sprintf("its newest verified backup is of %s UTC, and require-backup-within is %s%s",
			newest.Time.Format(time.DateTime), words.Setting(within), because))
	}
	return nil
}

func notMigrated(why string) error {
	return fleet.WithRemedy(errors.New("not migrated: "+why),
		"run mode backup on it first and see why earlier backups failed, or migrate without require-backup-within")
}
