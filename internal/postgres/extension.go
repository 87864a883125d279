package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Extension is an extension of a database.
type Extension struct{ Name, Schema string }

// Surroundings are what a dump of a part of a database may refer to without holding it.
type Surroundings struct {
	Encoding   string // the database's
	Schemas    []string
	Extensions []Extension // in the order in which they were created
}

// Surroundings returns the database's.
func (c *Conn) Surroundings(ctx context.Context) (s Surroundings, err error) {
	answers, err := c.Results(ctx, `select nspname from pg_catalog.pg_namespace
			where nspname !~ '^pg_' and nspname not in ('information_schema', 'public') order by oid;
		select e.extname, n.nspname from pg_catalog.pg_extension e
			join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname <> 'plpgsql' order by e.oid`)
	if err != nil {
		return s, fmt.Errorf("list the schemas and extensions: %w", err)
	}
	s.Encoding = c.Parameter("server_encoding")
	for _, row := range answers[0] {
		s.Schemas = append(s.Schemas, string(row[0]))
	}
	for _, row := range answers[1] {
		s.Extensions = append(s.Extensions, Extension{string(row[0]), string(row[1])})
	}
	return s, nil
}

// ExtensionError is the error of an extension that a server did not create.
type ExtensionError struct {
	Name string
	Err  error
}

func (e *ExtensionError) Error() string { return fmt.Sprintf("create extension %q: %v", e.Name, e.Err) }

func (e *ExtensionError) Unwrap() error { return e.Err }

// CreateExtensions creates extensions and the schemas that they are in. It goes on after one that the server lacks, or
// that the role may not create, and returns an [*ExtensionError] for each.
func CreateExtensions(ctx context.Context, t Target, list []Extension) (missing []error, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	c, err := Connect(ctx, t, Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for _, e := range list {
		schema := sqltext.QuoteIdentifier(e.Schema)
		sql := "create extension if not exists " + sqltext.QuoteIdentifier(e.Name) + " schema " + schema + " cascade"
		if !strings.HasPrefix(e.Schema, "pg_") { // nobody may create such a one, even if it exists
			sql = "create schema if not exists " + schema + "; " + sql
		}
		_, err := c.Exec(ctx, sql)
		switch {
		case c.Closed():
			return missing, err
		case err != nil:
			missing = append(missing, &ExtensionError{e.Name, err})
		}
	}
	return missing, nil
}
