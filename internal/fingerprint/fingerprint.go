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

// Options say what of a database is looked at.
type Options struct {
	// Schema is the one that counts, and definitions don't name it, so that two schemas which were made by the same
	// statements are equal. Empty: all of the database's schemas but the system's and those of extensions.
	Schema string
	// Table is where versions are recorded; it is left out. One without a schema is left out wherever it is.
	Table postgres.Table
	// Required are tables or views that have to be there.
	Required []postgres.Table
}

// Fingerprint is what one message learns of a schema.
type Fingerprint struct {
	// Hash is equal for equal schemas: the SHA-256, in hex, over all objects. Owners, privileges, comments, storage
	// parameters, the order of a table's columns and attached partitions don't count.
	Hash string
	// Objects is how many there are.
	Objects int
	// Extensions are the installed ones with their versions ("vector 0.8.0"), which don't count. Those of the whole
	// database, also where Schema is set.
	Extensions []string
	// Missing are those of Required that are not there.
	Missing []string
}

// Object is one table, column, index, function and so on.
type Object struct {
	Kind       string // "column"
	Name       string // "users.email": quoted where need be, and without the schema where that is Schema or public
	Parent     string // the table of a column, constraint, index, trigger and so on
	Definition string // everything else about it; of views and functions several lines
}

//go:embed fingerprint.sql
var fingerprintQuery string

// Take has the server describe and hash its objects: one round trip, and nothing but the hash travels.
func Take(ctx context.Context, c *postgres.Conn, o Options) (Fingerprint, error) {
	answers, err := c.Results(ctx, "set transaction read only; "+missingQuery(o)+"; "+o.over(`
select encode(sha256(convert_to(coalesce(string_agg(h, '' order by h collate "C"), ''), 'UTF8')), 'hex'), count(*),
  (select string_agg(extname || ' ' || extversion, E'\n' order by extname collate "C") from pg_extension where extname <> 'plpgsql')
from (select encode(sha256(convert_to(jsonb_build_array(kind, name, definition)::text, 'UTF8')), 'hex') as h from object) hashed`))
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

// Describe returns the objects that [Take] hashes, by kind and name.
func Describe(ctx context.Context, c *postgres.Conn, o Options) ([]Object, error) {
	answers, err := c.Results(ctx, "set transaction read only; "+o.over(`select kind, name, parent, definition from object order by kind collate "C", name collate "C"`))
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", err)
	}
	var all []Object
	for _, row := range answers[len(answers)-1] {
		all = append(all, Object{string(row[0]), string(row[1]), string(row[2]), string(row[3])})
	}
	return all, nil
}

// over returns the message that evaluates an end of the objects' query. Its last answer is the end's.
//
// How a server prints a definition depends on settings that may differ from tenant to tenant, so all of them are set. The
// search_path decides which names stand without a schema: the tenant's own shall, and those of the system, which are found first. But
// the query's own names must find the system's only, also where one of the tenant's would fit better. Hence a cursor: its
// names are resolved where it is declared, under the empty path, and definitions are printed where it is fetched from. A message of
// several statements is one transaction, whose end undoes the settings, also after an error.
func (o Options) over(end string) string {
	home, scope, space := sqltext.QuoteLiteral("public"), `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`, "true"
	if o.Schema != "" {
		home = sqltext.QuoteLiteral(o.Schema)
		scope = "n.nspname = " + home
	}
	if o.Table.Schema != "" {
		space = "c.relnamespace = coalesce(to_regnamespace(quote_ident(" + sqltext.QuoteLiteral(o.Table.Schema) + "))::oid, 0)"
	}
	query := strings.NewReplacer("{{home}}", home, "{{scope}}", scope, "{{table}}", sqltext.QuoteLiteral(o.Table.Name), "{{tablespace}}", space,
		"{{whole}}", strconv.FormatBool(o.Schema == "")).Replace(compact(fingerprintQuery))
	var set strings.Builder
	for i, one := range [][2]string{
		{"search_path", ""}, {"quote_all_identifiers", "off"}, {"standard_conforming_strings", "on"}, {"TimeZone", "UTC"}, {"DateStyle", "ISO, YMD"},
		{"IntervalStyle", "postgres"}, {"extra_float_digits", "1"}, {"bytea_output", "hex"}, {"lc_monetary", "C"}, {"xmlbinary", "base64"},
		{"jit", "off"}, // which would take longer than the query
	} {
		if i > 0 {
			set.WriteString(", ")
		}
		fmt.Fprintf(&set, "pg_catalog.set_config('%s', '%s', true)", one[0], one[1])
	}
	return "select " + set.String() + "; declare neon_tenants_objects no scroll cursor for " + query + end +
		"; select set_config('search_path', quote_ident(" + home + "), true)" +
		"; fetch all from neon_tenants_objects"
}

// compact takes comments and indentation from a query, which has neither within its literals.
func compact(query string) string {
	var b strings.Builder
	for line := range strings.Lines(query) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "--") {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// missingQuery returns the positions of those required tables that are not there. One that names no schema has to be where the
// session would find it, or in the schema that counts.
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
		values = append(values, fmt.Sprintf("(%d, exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid operator(pg_catalog.=) c.relnamespace "+
			"where c.relname operator(pg_catalog.=) %s and n.nspname operator(pg_catalog.=) %s and c.relkind operator(pg_catalog.=) any ('{r,p,f,v,m}')))",
			i, sqltext.QuoteLiteral(t.Name), schema))
	}
	return "select i from (values " + strings.Join(values, ", ") + ") t (i, there) where not there order by i"
}
