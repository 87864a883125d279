package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/org/neon-tenants-action/internal/grace"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

const (
	// scratchPrefix begins the names of throwaway databases, so that whoever finds one knows where it came from.
	scratchPrefix = "neon_tenants_scratch_"
	dropGrace     = 5 * time.Second // for dropping one after a cancel
)

// WithScratchDatabase creates a database on the server, calls use with it, and drops it again, even if ctx has ended.
// The role needs the privilege to create databases. Errors are those of connecting, of the two statements, and of use.
func WithScratchDatabase(ctx context.Context, server Target, use func(Target) error) (err error) {
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
		late, cancel := grace.Context(ctx, dropGrace)
		defer cancel()
		err = errors.Join(err, dropScratch(late, server, name))
	}()
	scratch, err := server.At(name)
	if err != nil {
		return fmt.Errorf("create a throwaway database: %w", err)
	}
	return use(scratch)
}

// dropScratch opens a connection of its own, because a cancel may have closed the first one.
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
