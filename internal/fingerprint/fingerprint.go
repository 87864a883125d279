// Package fingerprint describes a schema as the server prints it, hashes the description, and shows how two differ.
package fingerprint

import (
	"context"
	"crypto/sha256"
	_ "embed" // the query's files
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

// Version is that of the fingerprints' form. It changes whenever equal schemas would get another hash, and hashes of
// different versions tell nothing about each other.
const Version = 2

// ErrChanged is the error of a schema that changed while it was read.
var ErrChanged = errors.New("the schema changed while it was read")

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
	// Hash is equal for equal schemas: a SHA-256, in hex, over all objects, with [Version]. What does not count is in
	// docs/health-check.md.
	Hash string
	// Objects is the number of objects.
	Objects int
	// Extensions are those installed in the database, with their versions ("vector 0.8.0"). The versions don't count.
	Extensions []string
	// Missing are those of Required that do not exist.
	Missing []string
	// Invalid are the indexes that are not used because building them did not end, and the constraints that were never
	// checked against all rows: "index users_email_idx". They count as such in Hash.
	Invalid []string
}

// Object is a table, column, index, function and so on.
type Object struct {
	Kind       string // "column"
	Name       string // "users.email": quoted if SQL needs it, and without the schema if that is Schema or public
	Parent     string // the table of a column, constraint, index, trigger and so on
	Definition string // everything else about it; several lines for views and functions
}

var (
	//go:embed tables.sql
	tablesQuery string
	//go:embed others.sql
	othersQuery string
)

// hashQuery counts all objects, and hashes those that [normalize] leaves as they are; it returns the others. A
// definition is null if its object was dropped in the meantime.
const hashQuery = `
select encode(sha256(convert_to(coalesce(string_agg(h, '' order by h collate "C"), ''), 'UTF8')), 'hex'), count(*),
  (select string_agg(extname || ' ' || extversion, E'\n' order by extname collate "C")
   from pg_extension where extname <> 'plpgsql'),
  json_agg(json_build_array(kind, name, definition, body)) filter (where h is null and definition is not null),
  json_agg(kind || ' ' || name order by kind, name) filter (where invalid),
  coalesce(bool_or(definition is null), false)
from (
  select *, case when not ` + mayBeRewritten + ` then encode(sha256(convert_to(
    jsonb_build_array(kind, name, definition, body)::text, 'UTF8')), 'hex') end as h
  from object
) hashed`

// describeQuery returns all objects.
const describeQuery = `
select kind, name, parent, definition, body from object order by kind collate "C", name collate "C"`

// Take has the server describe and hash its objects, in one round trip. Only the hash is sent back, and the definitions
// that must be normalized before they are hashed. The error is ErrChanged, or another, if the schema changes meanwhile;
// see [Changed].
func Take(ctx context.Context, c *postgres.Conn, o Options) (Fingerprint, error) {
	answers, err := c.Results(ctx, "set transaction read only; "+missingQuery(o)+"; "+o.over(hashQuery))
	if err != nil {
		return Fingerprint{}, fmt.Errorf("take the schema's fingerprint: %w", err)
	}
	f, err := read(answers[len(answers)-1][0])
	if err != nil {
		return Fingerprint{}, fmt.Errorf("take the schema's fingerprint: %w", err)
	}
	for _, row := range answers[1] {
		if i, err := strconv.Atoi(string(row[0])); err == nil && i < len(o.Required) {
			f.Missing = append(f.Missing, o.Required[i].String())
		}
	}
	return f, nil
}

// read is the fingerprint from the row of hashQuery.
func read(row [][]byte) (f Fingerprint, err error) {
	if string(row[5]) != "f" {
		return f, ErrChanged
	}
	if f.Objects, err = strconv.Atoi(string(row[1])); err != nil {
		return f, err
	}
	if row[2] != nil {
		f.Extensions = strings.Split(string(row[2]), "\n")
	}
	var printed [][4]string
	if row[3] != nil {
		if err := json.Unmarshal(row[3], &printed); err != nil {
			return f, err
		}
	}
	if row[4] != nil {
		if err := json.Unmarshal(row[4], &f.Invalid); err != nil {
			return f, err
		}
	}
	f.Hash = hash(string(row[0]), printed)
	return f, nil
}

// hash joins the server's hash with the objects that it left out: kind, name, definition, body.
func hash(server string, printed [][4]string) string {
	var sums []string
	for _, o := range printed {
		o[2] = normalize(o[2])
		sum := sha256.Sum256([]byte(strings.Join(o[:], "\x00"))) // no text has a zero byte
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	slices.Sort(sums)
	whole := sha256.Sum256([]byte(strconv.Itoa(Version) + "\n" + server + "\n" + strings.Join(sums, "")))
	return hex.EncodeToString(whole[:])
}

// Changed reports whether an error of [Take] or [Describe] is due to a change of the schema at the same moment, so that
// a second look may succeed: the server reads its catalogs' newest rows, and misses what was dropped meanwhile.
func Changed(err error) bool {
	return errors.Is(err, ErrChanged) || postgres.HasCode(err, "XX000") || postgres.HasCode(err, "42P01") ||
		postgres.HasCode(err, "42703") || postgres.HasCode(err, "42704") || postgres.HasCode(err, "42883")
}

// Describe returns the objects that [Take] hashes, ordered by kind and name.
func Describe(ctx context.Context, c *postgres.Conn, o Options) ([]Object, error) {
	answers, err := c.Results(ctx, "set transaction read only; "+o.over(describeQuery))
	if err != nil {
		return nil, fmt.Errorf("describe the schema: %w", err)
	}
	var all []Object
	for _, row := range answers[len(answers)-1] {
		if row[3] == nil {
			return nil, fmt.Errorf("describe the schema: %w", ErrChanged)
		}
		definition := normalize(string(row[3])) + string(row[4])
		all = append(all, Object{string(row[0]), string(row[1]), string(row[2]), definition})
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

// own is SQL for the tenant's own name: the schema's or the database's. Whatever bears it is not different for that.
func (o Options) own() string {
	if o.Schema != "" {
		return sqltext.QuoteLiteral(o.Schema) + "::text"
	}
	return "current_database()::text"
}

// objects is the WITH clause that the query's files make of the options.
func (o Options) objects() string {
	scope, tableSchema := `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`, "true"
	if o.Schema != "" {
		scope = "n.nspname = " + o.home()
	}
	if o.Table.Schema != "" {
		tableSchema = "c.relnamespace = coalesce(to_regnamespace(quote_ident(" +
			sqltext.QuoteLiteral(o.Table.Schema) + "))::oid, 0)"
	}
	query := fdwOptions.ReplaceAllString(compact(tablesQuery+othersQuery), optionsQuery)
	return strings.NewReplacer(
		"{{home}}", o.home(), "{{own}}", o.own(), "{{public}}", sqltext.QuoteLiteral("{"+publicOptions+"}"),
		"{{scope}}", scope, "{{table}}", sqltext.QuoteLiteral(o.Table.Name),
		"{{table_schema}}", tableSchema, "{{whole}}", strconv.FormatBool(o.Schema == ""),
	).Replace(query)
}

// fdwOptions matches what the query's files write for the options of a foreign data wrapper, server, table or column.
var fdwOptions = regexp.MustCompile(`{{options ([a-z.]+)}}`)

// optionsQuery prints options. Of those that are not known to be harmless, it leaves out the value, which may be a
// password.
const optionsQuery = `(select string_agg(quote_ident(split_part(o, '=', 1)) || case
  when split_part(o, '=', 1) <> all ({{public}}) then ''
  when substr(o, strpos(o, '=') + 1) = {{own}} then ' (its own)'
  else ' ' || quote_literal(substr(o, strpos(o, '=') + 1)) end, ', ' order by split_part(o, '=', 1) collate "C")
  from unnest($1) o)`

// publicOptions are those of postgres_fdw, dblink_fdw and file_fdw whose values are no secrets.
const publicOptions = "host,hostaddr,port,dbname,sslmode,connect_timeout,application_name,target_session_attrs," +
	"schema_name,table_name,column_name,updatable,truncatable,fetch_size,batch_size,async_capable,use_remote_estimate," +
	"fdw_startup_cost,fdw_tuple_cost,extensions,keep_connections,parallel_commit,parallel_abort,import_collate," +
	"filename,format,header,delimiter,quote,escape,null,encoding,force_not_null,force_null"

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
