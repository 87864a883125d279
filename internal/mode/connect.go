package mode

import (
	"context"
	"errors"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// diagnoser is a source that can find out why a tenant cannot be connected to. What it returns wraps err.
type diagnoser interface {
	Diagnose(ctx context.Context, t fleet.Tenant, err error) error
}

// connect resolves a tenant's connection string, hides and masks it before anything else happens, and connects to the
// compute itself, never through Neon's pooler.
func connect(ctx context.Context, env Env, t fleet.Tenant, insecure bool, log *slog.Logger) (*postgres.Conn, error) {
	secret, err := env.Source.URL(ctx, t)
	if err != nil {
		return nil, err
	}
	hide(env, log, secret)
	url, changed, err := postgres.DirectURL(secret.Reveal())
	if err != nil {
		return nil, err
	}
	if changed {
		hide(env, log, fleet.NewSecret(url))
		env.Notice("connection strings that name Neon's pooler (-pooler) were turned into direct ones: a migration needs a session of its own")
	}
	conn, err := postgres.Connect(ctx, url, postgres.Options{Insecure: insecure, ReadOnly: env.DryRun, Log: log})
	var refused *postgres.ConnectError
	if errors.As(err, &refused) {
		if d, ok := env.Source.(diagnoser); ok {
			err = d.Diagnose(ctx, t, err)
		}
	}
	return conn, err
}

func hide(env Env, log *slog.Logger, secret fleet.Secret) {
	fleet.Hide(log, secret)
	env.Mask(secret.Forms()...)
}
