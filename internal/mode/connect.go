package mode

import (
	"context"
	"errors"
	"log/slog"

	"github.com/org/neon-tenants-action/internal/fleet"
	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/remedies"
)

// Resolve asks the source for a tenant's connection string. The string is hidden before anything else happens to it.
func Resolve(ctx context.Context, env Env, t fleet.Tenant, log *slog.Logger) (postgres.Target, error) {
	secret, err := env.Source.URL(ctx, t)
	if err != nil {
		return postgres.Target{}, err
	}
	return Parse(env, secret, log)
}

// Parse hides a connection string, then parses it. One that leads through Neon's pooler becomes a direct one.
func Parse(env Env, secret fleet.Secret, log *slog.Logger) (postgres.Target, error) {
	Hide(env, log, secret)
	target, err := env.parse(secret)
	if err != nil {
		return postgres.Target{}, remedies.Explain(err)
	}
	if target.Pooled() {
		Hide(env, log, fleet.NewSecret(target.Reveal()))
		env.Notice("some connection strings lead through Neon's pooler (-pooler); " +
			"this mode needs sessions of its own, and connects directly")
	}
	return target.Sharing(env.DirectTLS), nil
}

// parse parses a connection string by the rules for where it comes from.
func (e Env) parse(secret fleet.Secret) (postgres.Target, error) {
	if secret.Trusted() {
		return postgres.ParseTrusted(secret.Reveal(), e.Insecure)
	}
	return postgres.ParseTarget(secret.Reveal(), e.Insecure)
}

// Dial connects to a tenant. If that fails, the source adds why, where it can find out.
func Dial(
	ctx context.Context, env Env, t fleet.Tenant, target postgres.Target, o postgres.Options, log *slog.Logger,
) (*postgres.Conn, error) {
	if lender, ok := env.Source.(postgres.Lender); ok {
		if spare := lender.Lend(); spare != nil { // nobody uses it any more, and it takes up room on the server
			spare.Close()
		}
	}
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
		return // an input, masked already: there is no need to mask it again for each of thousands of tenants
	}
	env.Mask(secret.Forms()...)
}

// RefuseCatalog returns an error if the target is the run's own catalog, which a source may list as a tenant: it can be
// one project of the organization among many.
func RefuseCatalog(env Env, target postgres.Target) error {
	if env.Catalog == "" || env.Catalog != target.String() {
		return nil
	}
	return fleet.WithRemedy(errors.New("this is the catalog's own database (catalog-url) and not a tenant"),
		"exclude it with a line such as !catalog in tenants, or give catalog-url a database of its own")
}
