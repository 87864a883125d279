package mode

import (
	"context"
	"errors"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
)

// DirectURL resolves a tenant's connection string, and hides and masks it before anything else happens.
func DirectURL(ctx context.Context, env Env, t fleet.Tenant, log *slog.Logger) (string, error) {
	secret, err := env.Source.URL(ctx, t)
	if err != nil {
		return "", err
	}
	return direct(env, secret, log)
}

// direct hides a connection string and takes Neon's pooler out of it.
func direct(env Env, secret fleet.Secret, log *slog.Logger) (string, error) {
	Hide(env, log, secret)
	url, changed, err := postgres.DirectURL(secret.Reveal())
	if err != nil {
		return "", err
	}
	if changed {
		Hide(env, log, fleet.NewSecret(url))
		env.Notice("connection strings that name Neon's pooler (-pooler) were turned into direct ones: this mode needs a session of its own")
	}
	return url, nil
}

// Dial connects, and has the source find out why where that fails.
func Dial(ctx context.Context, env Env, t fleet.Tenant, url string, o postgres.Options, log *slog.Logger) (*postgres.Conn, error) {
	o.Log = log
	conn, err := postgres.Connect(ctx, url, o)
	var refused *postgres.ConnectError
	if errors.As(err, &refused) {
		if d, ok := env.Source.(fleet.Diagnoser); ok {
			err = d.Diagnose(ctx, t, err)
		}
	}
	return conn, err
}

func Hide(env Env, log *slog.Logger, secret fleet.Secret) {
	fleet.Hide(log, secret)
	if s, ok := env.Source.(fleet.SchemaHost); ok && s.Database() == secret {
		return // an input, which is masked already: thousands of tenants need not say it again
	}
	env.Mask(secret.Forms()...)
}

// NotTheCatalog refuses to change the database that a connection string leads to where it is the catalog's own: a project of the
// organization like all others, which a fleet's pattern takes in by mistake.
func NotTheCatalog(env Env, url string) error {
	server, database, err := postgres.Place(url)
	if err != nil || env.Catalog == "" || env.Catalog != server+"/"+database {
		return nil // what is wrong with the string is said where it is used
	}
	return fleet.WithRemedy(errors.New("this is the catalog's own database, that of catalog-url, and no tenant"),
		"leave it out, with a line such as !catalog in tenants, or give catalog-url a database of its own")
}
