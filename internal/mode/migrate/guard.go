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
)

// New is mode migrate, which with require-backup-within leaves a tenant alone that has no recent verified backup.
// A tenant that is just being created has none: create-tenant migrates without the guard.
func New(in *input.Reader, env mode.Env) mode.Work {
	work := NewUnguarded(in, env)
	within := in.Duration("require-backup-within")
	if within == 0 {
		return work
	}
	if in.String("s3-bucket") == "" {
		in.Mistake("require-backup-within", "needs the bucket in which the backups are; give s3-bucket and the other inputs about it as the backup workflow has them")
		return work
	}
	s := mode.ReadStore(in)
	migrate, prepare, done := work.Job, work.Prepare, work.Close
	work.Prepare = func(ctx context.Context, found mode.Found) error {
		err := s.Open(ctx, 1)
		if err == nil && prepare != nil {
			err = prepare(ctx, found)
		}
		return err
	}
	work.Job = func(ctx context.Context, t fleet.Tenant, log *slog.Logger) (fleet.Outcome, error) {
		if err := backedUp(ctx, s, t, within); err != nil {
			return fleet.Outcome{}, err
		}
		return migrate(ctx, t, log)
	}
	work.Close = func() {
		s.Close()
		if done != nil {
			done()
		}
	}
	return work
}

// backedUp says why a tenant has no verified backup that began within the duration; nil where it has one.
func backedUp(ctx context.Context, s *mode.Store, t fleet.Tenant, within time.Duration) error {
	refused := func(why string) error {
		return fleet.WithRemedy(errors.New("not migrated: "+why), "run mode backup on it first, and see why the backups before failed; or migrate without require-backup-within")
	}
	existing, err := s.List(ctx, t.Key)
	if err != nil {
		return fmt.Errorf("look for its newest backup: %w", err)
	}
	newest, ok := backups.NewestVerified(existing)
	if !ok {
		return refused(fmt.Sprintf("there is no verified backup in s3://%s/%s", s.Name(), s.Folder(t.Key)))
	}
	if time.Since(newest.Time).Abs() > within { // one of the future has a wrong clock
		return refused(fmt.Sprintf("its newest verified backup is of %s UTC, and require-backup-within is %s", newest.Time.Format(time.DateTime), within))
	}
	m, err := s.Manifest(ctx, newest.Key)
	if err != nil {
		return fmt.Errorf("look at its newest backup: %w", err)
	}
	if !m.Of(t.ID) { // of one that had the name, and so the folder, before
		return refused(fmt.Sprintf("the newest verified backup in s3://%s/%s is of another tenant, with the id %s", s.Name(), s.Folder(t.Key), m.Tenant.ID))
	}
	return nil
}
