package mode

import (
	"context"
	"errors"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// Resolve resolves a tenant's connection string. Before anything else happens, it is masked in the run's log and redacted
// in the tenant's.
func Resolve(ctx context.Context, env Env, t fleet.Tenant, log *slog.Logger) (postgres.Target, error) {
	secret, err := env.Source.URL(ctx, t)
	if err != nil {
		return postgres.Target{}, err
	}
	return Parse(env, secret, log)
}

// Parse masks and reads a connection string.
func Parse(env Env, secret fleet.Secret, log *slog.Logger) (postgres.Target, error) {
	Hide(env, log, secret)
	target, err := postgres.ParseTarget(secret.Reveal(), env.Insecure)
	if err != nil {
		return postgres.Target{}, remedies.Explain(err)
	}
	if target.Pooled() {
		Hide(env, log, fleet.NewSecret(target.Reveal()))
		env.Notice("connection strings that name Neon's pooler (-pooler) were turned into direct ones: this mode needs a session of its own")
	}
	return target, nil
}

// Dial connects, and has the source find out why where that fails.
func Dial(ctx context.Context, env Env, t fleet.Tenant, target postgres.Target, o postgres.Options, log *slog.Logger) (*postgres.Conn, error) {
	o.Log = log
	conn, err := postgres.Connect(ctx, target, o)
	err = remedies.Explain(err)
	var refused *postgres.ConnectError
	if errors.As(err, &refused) {
		if d, ok := env.Source.(fleet.Diagnoser); ok {
			err = d.Diagnose(ctx, t, err)
		}
	}
	return conn, err
}

// Hide masks a connection string in the run's log, and redacts it in the tenant's.
func Hide(env Env, log *slog.Logger, secret fleet.Secret) {
	fleet.Hide(log, secret)
	if s, ok := env.Source.(fleet.SchemaHost); ok && s.Database() == secret {
		return // an input, which is masked already: thousands of tenants need not say it again
	}
	env.Mask(secret.Forms()...)
}

// NotTheCatalog refuses to change a tenant whose database is the catalog's own: a project of the organization like all
// others, which a fleet's pattern selects by mistake.
func NotTheCatalog(env Env, target postgres.Target) error {
	if env.Catalog == "" || env.Catalog != target.String() {
		return nil
	}
	return fleet.WithRemedy(errors.New("this is the catalog's own database, that of catalog-url, and no tenant"),
		"leave it out, with a line such as !catalog in tenants, or give catalog-url a database of its own")
}
