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

// WithScratchDatabase creates a database on the server, calls do with it, and drops it again whatever happens to ctx. The
// role needs the privilege to create databases.
func WithScratchDatabase(ctx context.Context, server Target, do func(Target) error) (err error) {
	c, err := Connect(ctx, server, Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	name := scratchPrefix + strings.ToLower(rand.Text()[:16])
	if _, err := c.Exec(ctx, "create database "+sqltext.QuoteIdentifier(name)+" template template0"); err != nil {
		return fmt.Errorf("create a throwaway database: %w", err)
	}
	defer func() {
		// A connection of its own: the first one may have been cut with ctx.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, dropScratch(ctx, server, name))
	}()
	scratch, err := server.At(name)
	if err != nil {
		return fmt.Errorf("create a throwaway database: %w", err)
	}
	return do(scratch)
}

func dropScratch(ctx context.Context, server Target, name string) error {
	c, err := Connect(ctx, server, Options{})
	if err != nil {
		return fmt.Errorf("drop the throwaway database %s: %w", name, err)
	}
	defer c.Close()
	if _, err := c.Exec(ctx, "drop database if exists "+sqltext.QuoteIdentifier(name)+" with (force)"); err != nil {
		return fmt.Errorf("drop the throwaway database %s: %w", name, err)
	}
	return nil
}
