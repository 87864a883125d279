package migrate

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// searchPath is where a tenant's session looks up names without a schema. The role's or the database's setting may name
// a schema that a new database does not have.
type searchPath struct {
	setting string
	first   string // the schema in which new tables are created
}

func readSearchPath(ctx context.Context, c *postgres.Conn) (searchPath, error) {
	answers, err := c.Results(ctx, "select pg_catalog.current_setting('search_path'), pg_catalog.current_schema()")
	if err != nil {
		return searchPath{}, fmt.Errorf("read the search_path: %w", err)
	}
	row := answers[0][0]
	return searchPath{string(row[0]), string(row[1])}, nil
}

// connect connects to a throwaway database, in which names are looked up as in the tenant's. The files cannot make the
// schema that the path names first, because a database without it is not migrated. For a tenant that is a schema the
// path is empty.
func (p searchPath) connect(ctx context.Context, scratch postgres.Target, schema string) (*postgres.Conn, error) {
	conn, err := postgres.Connect(ctx, scratch, postgres.Options{NoSearchPath: schema != ""})
	if err != nil || schema != "" {
		return conn, err
	}
	if err := p.apply(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (p searchPath) apply(ctx context.Context, conn *postgres.Conn) error {
	if p.first != "" && p.first != "public" && !strings.HasPrefix(p.first, "pg_") {
		if _, err := conn.Exec(ctx, "create schema if not exists "+sqltext.QuoteIdentifier(p.first)); err != nil {
			return fmt.Errorf("create the schema that the search_path names first: %w", err)
		}
	}
	own, err := readSearchPath(ctx, conn)
	if err != nil || own.setting == p.setting {
		return err
	}
	return conn.Reopen(ctx, postgres.Options{SearchPath: p.setting, NoSearchPath: p.setting == ""})
}
