package buckettest

import (
	"context"
	"errors"

	"github.com/org/neon-tenants-action/internal/github/githubtest"
)

// Trusting is a server with a role that the jobs of its own issuer may assume.
type Trusting struct {
	*Server
	Issuer *githubtest.Issuer
}

// StartTrusting starts both. The caller must stop them.
func StartTrusting() (*Trusting, error) {
	issuer, err := githubtest.StartIssuer(githubtest.IssuerOptions{})
	if err != nil {
		return nil, err
	}
	server, err := Start(context.Background(), Options{Issuer: issuer.URL})
	if err != nil {
		return nil, errors.Join(err, issuer.Close())
	}
	return &Trusting{server, issuer}, nil
}

// Stop stops both.
func (t *Trusting) Stop() error { return errors.Join(t.Server.Stop(), t.Issuer.Close()) }
