package postgres

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// SchemaList is a table that lists schemas in its column name.
type SchemaList struct{ Table Table }

// Schema is the schema that contains the list itself.
func (l SchemaList) Schema() string { return l.Table.Schema }

func (l SchemaList) String() string { return l.Table.Schema + "." + l.Table.Name }

// Names returns the listed names, each once, in byte order. Rows that name no schema are left out; blank holds their
// names as SQL writes them: NULL, the empty text, or one of blanks. Errors: [*MissingListError], [*TableError], the
// server's.
func (l SchemaList) Names(ctx context.Context, c *Conn) (names, blank []string, err error) {
	answers, err := c.Results(ctx, "select distinct coalesce(name::text, '') collate \"C\", quote_nullable(name::text), "+
		"coalesce(name::text ~ '[^[:space:]]', false) from "+l.Table.Quoted()+" order by 1, 2")
	if err != nil {
		return nil, nil, listError(err, l)
	}
	for _, row := range answers[0] {
		if string(row[2]) == "t" {
			names = append(names, string(row[0]))
		} else {
			blank = append(blank, string(row[1]))
		}
	}
	return names, blank, nil
}

// Add lists a schema, and creates the list if there is none. It is no error if the schema is listed already.
func (l SchemaList) Add(ctx context.Context, c *Conn, name string) error {
	// A user's own list may lack a unique constraint, or have more columns with defaults.
	insert := fmt.Sprintf("insert into %[1]s (name) select v.name from (select %[2]s::text as name) v "+
		"where not exists (select from %[1]s t where t.name::text = v.name) on conflict do nothing",
		l.Table.Quoted(), sqltext.QuoteLiteral(name))
	_, err := c.Exec(ctx, insert)
	if HasCode(err, "42P01") || HasCode(err, "3F000") {
		schema := ""
		if l.Table.Schema != "public" {
			schema = "create schema if not exists " + sqltext.QuoteIdentifier(l.Table.Schema) + "; "
		}
		_, err = c.Exec(ctx,
			schema+"create table if not exists "+l.Table.Quoted()+" (name text primary key); "+insert)
		if createdConcurrently(err) {
			_, err = c.Exec(ctx, insert)
		}
	}
	if err != nil {
		return fmt.Errorf("list schema %q in %s: %w", name, l, err)
	}
	return nil
}

// createdConcurrently reports whether CREATE … IF NOT EXISTS failed because another session created the same object at
// the same time.
func createdConcurrently(err error) bool {
	return HasCode(err, "23505") || HasCode(err, "42P06") || HasCode(err, "42P07") || HasCode(err, "42710")
}

// Create creates a schema unless it exists; created tells which.
func (l SchemaList) Create(ctx context.Context, c *Conn, name string) (created bool, err error) {
	_, err = c.Exec(ctx, "create schema "+sqltext.QuoteIdentifier(name))
	if createdConcurrently(err) { // or long ago
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("create schema %q: %w", name, err)
	}
	return true, nil
}

// Drop drops a listed schema with its contents, and its entry in the list, in one transaction, unless objects of others
// would go with it. It is no error if the schema neither exists nor is listed. Errors: [*UnlistedError],
// [*MissingListError], [*DependentsError], the server's.
func (l SchemaList) Drop(ctx context.Context, c *Conn, name string) error {
	if err := SchemaUsable(name); err != nil || name == l.Table.Schema {
		return fmt.Errorf("schema %q is never dropped", name)
	}
	// The deletion waits for another run that drops the same schema; only a later statement sees whether it is gone.
	answers, err := c.Results(ctx, "begin isolation level read committed; set local lock_timeout = '60s'; "+
		"with gone as (delete from "+l.Table.Quoted()+" where name::text = "+sqltext.QuoteLiteral(name)+
		" returning 1) select count(*) > 0 from gone; "+
		"select exists (select from pg_catalog.pg_namespace where nspname = "+sqltext.QuoteLiteral(name)+")")
	switch {
	case HasCode(err, "42P01"):
		err = &MissingListError{l}
	case err != nil:
		err = fmt.Errorf("drop schema %q: %w", name, err)
	case string(answers[2][0][0]) != "t" && string(answers[3][0][0]) == "t":
		err = &UnlistedError{name, l}
	default:
		err = c.dropSchema(ctx, name)
	}
	if err != nil {
		c.Reset(ctx)
	}
	return err
}

// dropSchema drops a schema with its contents, and commits.
func (c *Conn) dropSchema(ctx context.Context, name string) error {
	_, err := c.Exec(ctx, cascade(name)+"; commit")
	if err == nil {
		return nil
	}
	if HasCode(err, "2BP01") {
		c.Reset(ctx)
		if others, lookErr := c.Dependents(ctx, name); lookErr == nil && len(others) > 0 {
			return &DependentsError{name, others}
		}
	}
	return fmt.Errorf("drop schema %q: %w", name, err)
}
