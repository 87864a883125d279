package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/org/neon-tenants-action/internal/backups"
	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/mode"
	"github.com/org/neon-tenants-action/internal/pgdump"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

const (
	// madeGrace is how long after the run's end what was made may still be deleted: half a second less than a cancelled
	// job is given, so that the error that names what is left can still be reported.
	madeGrace = 4500 * time.Millisecond
	// madeBudget is how long deleting it may take while the run goes on.
	madeBudget = 30 * time.Second
)

// made is the project or branch that a restore made for itself.
type made struct {
	id     string
	name   string
	text   string // says what it is, with both
	delete func(context.Context) error
}

// loadInto makes the project or branch to restore into, and loads the backup there. If that fails, the target is empty
// and nobody's, and is deleted again; otherwise the error says that it stays.
func (r *restore) loadInto(
	ctx context.Context, t fleet.Tenant, key backups.Key, d *RestoreDetail, log *slog.Logger,
	load func(postgres.Target) (pgdump.Restored, error),
) (restored pgdump.Restored, err error) {
	late, stop := grace.Context(ctx, madeGrace)
	defer stop()
	m, url, err := r.create(ctx, t, key)
	if err != nil {
		return restored, err
	}
	log.Info("created the target", "kind", r.into, "name", m.name, "id", m.id)
	d.TargetID, d.TargetName = m.id, m.name
	target, err := mode.Parse(r.env, url, log)
	if err == nil {
		restored, err = load(target)
	}
	switch {
	case err == nil:
		return restored, nil
	case mayHold(err):
		return restored, fmt.Errorf("%w; the target is %s, which stays", err, m.text)
	}
	late, cancel := context.WithTimeout(late, madeBudget)
	defer cancel()
	if left := m.delete(late); left != nil {
		return restored, m.remains(err, left)
	}
	d.TargetID, d.TargetName = "", ""
	return restored, fmt.Errorf("%w; %s, which was made for this restore, was deleted again", err, m.text)
}

// mayHold reports whether the target of a restore that failed may hold the backup all the same.
func mayHold(err error) bool {
	var failed *pgdump.RestoreError
	return errors.As(err, new(*pgdump.UncountedError)) ||
		errors.As(err, &failed) && failed.Cause() == pgdump.CommitUnknown
}

// remains adds to an error that the target is left, and why it was not deleted.
func (m made) remains(err, left error) error {
	remedy := "delete " + m.text + " in Neon's console"
	if first := remedies.Of(err); first != "" {
		remedy = first + "; and " + remedy
	}
	return fleet.WithRemedy(fmt.Errorf("%w; %s, which was made for this restore, is left and empty, because it could "+
		"not be deleted: %w", err, m.text, left), remedy)
}

// create creates the project or branch to restore into.
func (r *restore) create(ctx context.Context, t fleet.Tenant, key backups.Key) (m made, url fleet.Secret, err error) {
	now := time.Now()
	if r.into == "new-project" {
		m.name = fleet.RestoredName(t.Name, key.Time, now)
		m.id, url, err = r.maker.CreateProject(ctx, t, m.name)
		m.text = fmt.Sprintf("the new project %q (%s)", m.name, m.id)
		m.delete = func(ctx context.Context) error { return r.maker.DeleteProject(ctx, t, m.id) }
		return m, url, err
	}
	// With the time of the restore, the name is new even if the same backup is restored again.
	const layout = "20060102-150405"
	m.name = "restore/" + key.Time.Format(layout) + "-at-" + now.UTC().Format(layout)
	b, url, err := r.brancher.CreateBranch(ctx, t, fleet.BranchSpec{Name: m.name})
	m.id = b.ID
	m.text = fmt.Sprintf("the new branch %q (%s) of %s", m.name, m.id, t.Name)
	m.delete = func(ctx context.Context) error { return r.brancher.DeleteBranch(ctx, t, m.id) }
	return m, url, err
}
