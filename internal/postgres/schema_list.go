package postgres

import (
	"context"
	"fmt"

	"github.com/org/neon-tenants-action/internal/sqltext"
)

// SchemaList is a table that lists schemas in its column name.
type SchemaList struct{ Table Table }

// Schema is the one that the list itself is in.
func (l SchemaList) Schema() string { return l.Table.Schema }

func (l SchemaList) String() string { return l.Table.Schema + "." + l.Table.Name }

// MissingListError is a list that is not there.
type MissingListError struct{ List SchemaList }

func (e *MissingListError) Error() string {
	return fmt.Sprintf("the database has no table %s, which is to list the tenants' schemas", e.List)
}

// Remedy says how to make one.
func (e *MissingListError) Remedy() string {
	return fmt.Sprintf("name the right table with schema-tracker, make it with create table %s (name text primary key), or let mode create-tenant make it; "+
		"database-url may also name another database", e.List.Table.Quoted())
}

// Names returns the listed names, each once, in the order of their bytes. Errors: [*MissingListError], [*TableError].
func (l SchemaList) Names(ctx context.Context, c *Conn) ([]string, error) {
	answers, err := c.Results(ctx, "select distinct name::text collate \"C\" from "+l.Table.Quoted()+" where name is not null order by 1")
	switch {
	case HasCode(err, "42P01"):
		return nil, &MissingListError{l}
	case HasCode(err, "42703"):
		return nil, &TableError{fmt.Sprintf("%s has no column name: %v", l, err), "name the table that lists the schemas with schema-tracker; the schema's name stands in its column name"}
	case HasCode(err, "42501"):
		return nil, &TableError{fmt.Sprintf("the role may not read %s: %v", l, err), "grant it select there, or give the connection string of the role that owns it"}
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", l, err)
	}
	names := make([]string, len(answers[0]))
	for i, row := range answers[0] {
		names[i] = string(row[0])
	}
	return names, nil
}

// Add lists a schema, and makes the list where there is none. One that is listed already is no error.
func (l SchemaList) Add(ctx context.Context, c *Conn, name string) error {
	// A list of a user's own may lack a unique constraint, or have more columns with defaults.
	insert := fmt.Sprintf("insert into %[1]s (name) select v.name from (select %[2]s::text as name) v where not exists (select from %[1]s t where t.name::text = v.name) on conflict do nothing",
		l.Table.Quoted(), sqltext.QuoteLiteral(name))
	_, err := c.Exec(ctx, insert)
	if HasCode(err, "42P01") || HasCode(err, "3F000") {
		schema := ""
		if l.Table.Schema != "public" {
			schema = "create schema if not exists " + sqltext.QuoteIdentifier(l.Table.Schema) + "; "
		}
		_, err = c.Exec(ctx, schema+"create table if not exists "+l.Table.Quoted()+" (name text primary key); "+insert)
		if concurrently(err) { // another run made the list at this moment
			_, err = c.Exec(ctx, insert)
		}
	}
	if err != nil {
		return fmt.Errorf("list schema %q in %s: %w", name, l, err)
	}
	return nil
}

// concurrently reports whether what was to be created if it does not exist was created by another session at the same time.
func concurrently(err error) bool {
	return HasCode(err, "23505") || HasCode(err, "42P06") || HasCode(err, "42P07") || HasCode(err, "42710")
}

// Found is what is in a database under a schema's name.
type Found struct {
	Exists   bool
	Empty    bool // no table, view, function or type is in it
	Recorded bool // it has the table of applied versions
}

// Create makes a schema, unless it is there; found is what was there before.
func (l SchemaList) Create(ctx context.Context, c *Conn, name string, versions Table) (found Found, err error) {
	literal := sqltext.QuoteLiteral(name)
	look := "select n.oid is not null, not exists (select from pg_catalog.pg_class where relnamespace = n.oid) " +
		"and not exists (select from pg_catalog.pg_proc where pronamespace = n.oid) and not exists (select from pg_catalog.pg_type where typnamespace = n.oid), " +
		"exists (select from pg_catalog.pg_class where relnamespace = n.oid and relname = " + sqltext.QuoteLiteral(versions.Name) + ") " +
		"from (select 1) one left join pg_catalog.pg_namespace n on n.nspname = " + literal
	answers, err := c.Results(ctx, look+"; create schema if not exists "+sqltext.QuoteIdentifier(name))
	if concurrently(err) {
		answers, err = c.Results(ctx, look)
	}
	if err != nil {
		return Found{}, fmt.Errorf("create schema %q: %w", name, err)
	}
	row := answers[0][0]
	return Found{Exists: string(row[0]) == "t", Empty: string(row[1]) == "t", Recorded: string(row[2]) == "t"}, nil
}

// UnlistedError is a schema that is there, but not listed.
type UnlistedError struct {
	Schema string
	List   SchemaList
}

func (e *UnlistedError) Error() string {
	return fmt.Sprintf("schema %q is not listed in %s, and is left alone", e.Schema, e.List)
}

// Remedy says how it becomes one that may be dropped.
func (e *UnlistedError) Remedy() string {
	return fmt.Sprintf("where it is a tenant's, insert its name into %s, and run again", e.List)
}

// Drop drops a listed schema with all that is in it, and its entry, in one transaction. One that is neither there nor listed
// is no error. Errors: [*UnlistedError].
func (l SchemaList) Drop(ctx context.Context, c *Conn, name string) error {
	if err := SchemaUsable(name); err != nil || name == l.Table.Schema {
		return fmt.Errorf("schema %q is never dropped", name)
	}
	// Deleting waits for another run that drops it; only a statement after that sees whether the schema went.
	answers, err := c.Results(ctx, "begin isolation level read committed; set local lock_timeout = '60s'; "+
		"with gone as (delete from "+l.Table.Quoted()+" where name::text = "+sqltext.QuoteLiteral(name)+" returning 1) select count(*) > 0 from gone; "+
		"select exists (select from pg_catalog.pg_namespace where nspname = "+sqltext.QuoteLiteral(name)+")")
	if err == nil {
		listed, exists := string(answers[2][0][0]) == "t", string(answers[3][0][0]) == "t"
		if !listed && exists {
			c.Reset(ctx)
			return &UnlistedError{name, l}
		}
		_, err = c.Exec(ctx, "drop schema if exists "+sqltext.QuoteIdentifier(name)+" cascade; commit")
	}
	if err == nil {
		return nil
	}
	c.Reset(ctx)
	if HasCode(err, "42P01") {
		return &MissingListError{l}
	}
	return fmt.Errorf("drop schema %q: %w", name, err)
}

// Dependents are what is outside of a schema and would be dropped with it, because it depends on the schema's tables or types:
// views, foreign keys, partitions and columns.
func (c *Conn) Dependents(ctx context.Context, schema string) ([]string, error) {
	answers, err := c.Results(ctx, `with inside as (select c.oid, c.reltype from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = `+sqltext.QuoteLiteral(schema)+`),
		types as (select t.oid from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace where n.nspname = `+sqltext.QuoteLiteral(schema)+`),
		outside as (
			select 'view ' || r.ev_class::regclass as what, r.ev_class as relation from pg_catalog.pg_depend d join pg_catalog.pg_rewrite r on r.oid = d.objid
				where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid in (select oid from inside)
			union select 'foreign key ' || pg_catalog.quote_ident(conname) || ' of ' || conrelid::regclass, conrelid from pg_catalog.pg_constraint
				where contype = 'f' and confrelid in (select oid from inside)
			union select 'table ' || inhrelid::regclass, inhrelid from pg_catalog.pg_inherits where inhparent in (select oid from inside)
			union select 'column ' || pg_catalog.quote_ident(attname) || ' of ' || attrelid::regclass, attrelid from pg_catalog.pg_attribute
				where attnum > 0 and not attisdropped and atttypid in (select oid from types))
		select what from outside where relation not in (select oid from inside) order by 1`)
	if err != nil {
		return nil, fmt.Errorf("look for what depends on schema %q: %w", schema, err)
	}
	var all []string
	for _, row := range answers[0] {
		all = append(all, string(row[0]))
	}
	return all, nil
}
