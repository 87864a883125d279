// Package fingerprint describes a schema as the server prints it, hashes the description, and shows how two differ.
package fingerprint

import (
	"context"
	_ "embed" // the query is a file of its own
	"fmt"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Options select what part of a database counts.
type Options struct {
	// Schema is the only schema that counts. Definitions do not name it, so that two schemas are equal if they were
	// made by the same statements. Empty: all schemas except the system's and those of extensions.
	Schema string
	// Table is where versions are recorded; it does not count. One without a schema does not count in any schema.
	Table postgres.Table
	// Required are tables or views that must exist.
	Required []postgres.Table
}

// Fingerprint is what a single round trip tells about a schema.
type Fingerprint struct {
	// Hash is equal for equal schemas: the SHA-256, in hex, over all objects. Owners, privileges, comments, storage
	// parameters, the order of a table's columns and attached partitions don't count.
	Hash string
	// Objects is the number of objects.
	Objects int
	// Extensions are those installed in the database, with their versions ("vector 0.8.0"). The versions don't count.
	Extensions []string
	// Missing are those of Required that do not exist.
	Missing []string
}

// Object is a table, column, index, function and so on.
type Object struct {
	Kind       string // "column"
	Name       string // "users.email": quoted if SQL needs it, and without the schema if that is Schema or public
	Parent     string // the table of a column, constraint, index, trigger and so on
	Definition string // everything else about it; several lines for views and functions
}

//go:embed fingerprint.sql
var fingerprintQuery string

// hashQuery hashes all objects, and counts them.
const hashQuery = `
select encode(sha256(convert_to(coalesce(string_agg(h, '' order by h collate "C"), ''), 'UTF8')), 'hex'), count(*),
  (select string_agg(extname || ' ' || extversion, E'\n' order by extname collate "C")
   from pg_extension where extname <> 'plpgsql')
from (
  select encode(sha256(convert_to(jsonb_build_array(kind, name, definition)::text, 'UTF8')), 'hex') as h from object
) hashed`

// describeQuery returns all objects.
const describeQuery = `
select kind, name, parent, definition from object order by kind collate "C", name collate "C"`

// Take has the server describe and hash its objects: in one round trip, and only the hash is sent back.
func Take(ctx context.Context, c *postgres.Conn, o Options) (Fingerprint, error) {
	answers, err := c.Results(ctx, "set transaction read only; "+missingQuery(o)+"; "+o.over(hashQuery))
	if err != nil {
		return Fingerprint{}, fmt.Errorf("take the schema's fingerprint: %w", err)
	}
	var f Fingerprint
	for _, row := range answers[1] {
		if i, err := strconv.Atoi(string(row[0])); err == nil && i < len(o.Required) {
			f.Missing = append(f.Missing, o.Required[i].String())
		}
	}
	row := answers[len(answers)-1][0]
	f.Hash = string(row[0])
	if f.Objects, err = strconv.Atoi(string(row[1])); err != nil {
		return Fingerprint{}, fmt.Errorf("take the schema's fingerprint: %w", err)
	}
	if row[2] != nil {
		f.Extensions = strings.Split(string(row[2]), "\n")
	}
	return f, nil
}

// Describe returns the objects that [Take] hashes, ordered by kind and name.
func Describe(ctx context.Context, c *postgres.Conn, o Options) ([]Object, error) {
	answers, err := c.Results(ctx, "set transaction read only; "+o.over(describeQuery))
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", err)
	}
	var all []Object
	for _, row := range answers[len(answers)-1] {
		all = append(all, Object{string(row[0]), string(row[1]), string(row[2]), string(row[3])})
	}
	return all, nil
}

// printSettings are the settings that affect how a server prints a definition. They differ from database to database.
var printSettings = [][2]string{
	{"search_path", ""}, {"quote_all_identifiers", "off"}, {"standard_conforming_strings", "on"},
	{"TimeZone", "UTC"}, {"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"extra_float_digits", "1"},
	{"bytea_output", "hex"}, {"lc_monetary", "C"}, {"xmlbinary", "base64"},
	{"jit", "off"}, // compiling takes longer than the query
}

// over returns the message that evaluates a query over the objects. Its last answer is that query's.
//
// The search_path decides which names are printed without a schema: those in o.Schema, and the system's, which are
// found first. But the query's own names must only find the system's, even if an object of o.Schema matches better.
// Hence the cursor: the query's names are resolved when it is declared, under the empty path, and definitions are
// printed when it is fetched from. A message of several statements is one transaction, whose end restores the settings,
// even after an error.
func (o Options) over(query string) string {
	var settings []string
	for _, s := range printSettings {
		settings = append(settings, fmt.Sprintf("pg_catalog.set_config('%s', '%s', true)", s[0], s[1]))
	}
	return "select " + strings.Join(settings, ", ") +
		"; declare neon_tenants_objects no scroll cursor for " + o.objects() + query +
		"; select set_config('search_path', quote_ident(" + o.home() + "), true)" +
		"; fetch all from neon_tenants_objects"
}

// home is SQL for the schema whose name is left out.
func (o Options) home() string {
	if o.Schema != "" {
		return sqltext.QuoteLiteral(o.Schema)
	}
	return sqltext.QuoteLiteral("public")
}

// objects is the WITH clause that fingerprint.sql makes of the options.
func (o Options) objects() string {
	scope, tableSchema := `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`, "true"
	if o.Schema != "" {
		scope = "n.nspname = " + o.home()
	}
	if o.Table.Schema != "" {
		tableSchema = "c.relnamespace = coalesce(to_regnamespace(quote_ident(" +
			sqltext.QuoteLiteral(o.Table.Schema) + "))::oid, 0)"
	}
	return strings.NewReplacer(
		"{{home}}", o.home(), "{{scope}}", scope, "{{table}}", sqltext.QuoteLiteral(o.Table.Name),
		"{{table_schema}}", tableSchema, "{{whole}}", strconv.FormatBool(o.Schema == ""),
	).Replace(compact(fingerprintQuery))
}

// compact removes comments and indentation from a query that has neither in its literals.
func compact(query string) string {
	var b strings.Builder
	for line := range strings.Lines(query) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "--") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// missingQuery returns the indexes of the required tables that do not exist. A table without a schema must be where the
// session finds it, or in o.Schema.
func missingQuery(o Options) string {
	if len(o.Required) == 0 {
		return "select where false"
	}
	path := "any (pg_catalog.current_schemas(false))"
	if o.Schema != "" {
		path = sqltext.QuoteLiteral(o.Schema)
	}
	var values []string
	for i, t := range o.Required {
		schema := path
		if t.Schema != "" {
			schema = sqltext.QuoteLiteral(t.Schema)
		}
		values = append(values, fmt.Sprintf("(%d, exists (select from pg_catalog.pg_class c "+
			"join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace "+
			"where c.relname operator(pg_catalog.=) %s and n.nspname operator(pg_catalog.=) %s "+
			"and c.relkind operator(pg_catalog.=) any ('{r,p,f,v,m}')))",
			i, sqltext.QuoteLiteral(t.Name), schema))
	}
	return "select i from (values " + strings.Join(values, ", ") + ") t (i, there) where not there order by i"
}
