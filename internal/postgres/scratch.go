package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// scratchPrefix begins the names of throwaway databases, so that a person who finds one knows where it came from.
const scratchPrefix = "neon_tenants_scratch_"

// WithScratchDatabase makes a database on the server of a URL, calls do with its URL, and drops it again whatever happens
// to ctx. The role needs the privilege to create databases.
func WithScratchDatabase(ctx context.Context, server string, insecure bool, do func(url string) error) (err error) {
	direct, _, err := DirectURL(server)
	if err != nil {
		return err
	}
	c, err := Connect(ctx, direct, Options{Insecure: insecure})
	if err != nil {
		return err
	}
	defer c.Close()
	name := scratchPrefix + strings.ToLower(rand.Text()[:16])
	if _, err := c.Exec(ctx, "create database "+sqltext.QuoteIdentifier(name)+" template template0"); err != nil {
		return fmt.Errorf("make a throwaway database: %w", err)
	}
	defer func() {
		// A connection of its own: the first one may have been cut with ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, dropScratch(ctx, direct, insecure, name))
	}()
	target, err := DatabaseURL(direct, name)
	if err != nil {
		return fmt.Errorf("make a throwaway database: %w", err)
	}
	return do(target)
}

func dropScratch(ctx context.Context, server string, insecure bool, name string) error {
	c, err := Connect(ctx, server, Options{Insecure: insecure})
	if err != nil {
		return fmt.Errorf("drop the throwaway database %s: %w", name, err)
	}
	defer c.Close()
	if _, err := c.Exec(ctx, "drop database if exists "+sqltext.QuoteIdentifier(name)+" with (force)"); err != nil {
		return fmt.Errorf("drop the throwaway database %s: %w", name, err)
	}
	return nil
}
