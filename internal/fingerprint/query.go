package fingerprint

import (
	_ "embed" // the query's files
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

var (
	//go:embed scope.sql
	scopeQuery string
	//go:embed tables.sql
	tablesQuery string
	//go:embed others.sql
	othersQuery string
	//go:embed uncommon.sql
	uncommonQuery string
)

var (
	commonKinds   = []*string{&tablesQuery, &othersQuery}
	uncommonKinds = []*string{&uncommonQuery}
)

// printSettings are the settings that affect how a server prints a definition. They differ from database to database.
var printSettings = [][2]string{
	{"search_path", ""}, {"quote_all_identifiers", "off"}, {"standard_conforming_strings", "on"},
	{"TimeZone", "UTC"}, {"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"extra_float_digits", "1"},
	{"bytea_output", "hex"}, {"lc_monetary", "C"}, {"xmlbinary", "base64"},
	{"jit", "off"}, // compiling takes longer than the query
}

// over returns the message that evaluates a query over the objects of some kinds. Its fourth and last answer is that
// query's.
//
// The search_path decides which names are printed without a schema: those in o.Schema, and the system's, which are
// found first. But the query's own names must only find the system's, even if an object of o.Schema matches better.
// Hence the cursor: the query's names are resolved when it is declared, under the empty path, and definitions are
// printed when it is fetched from. A message of several statements is one transaction, whose end restores the settings,
// even after an error.
func (o Options) over(kinds []*string, query string) string {
	var settings []string
	for _, s := range printSettings {
		settings = append(settings, fmt.Sprintf("pg_catalog.set_config('%s', '%s', true)", s[0], s[1]))
	}
	return "select " + strings.Join(settings, ", ") +
		"; declare neon_tenants_objects no scroll cursor for " + o.fill(kinds, query) +
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

// fill returns a query with the WITH clause that the query's files make of the options.
func (o Options) fill(kinds []*string, query string) string {
	scope := `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`
	if o.Schema != "" {
		scope = "n.nspname = " + o.home()
	}
	sequence, alone := "false", "false"
	if o.Table.Format == postgres.Drizzle {
		sequence = "(c.relkind = 'S' and " + o.numbersLedger("c.oid") + ")"
		if o.Table.Schema == postgres.HomeSchema {
			alone = o.ledgerSchema()
		}
	}
	var branches []string
	for _, k := range kinds {
		branches = append(branches, compact(*k))
	}
	clause := compact(scopeQuery) + ", object (kind, name, parent, definition, body, invalid) as (\n" +
		strings.Join(branches, "union all\n") + ")"
	return strings.NewReplacer(
		"{{home}}", o.home(), "{{own}}", o.own(), "{{public}}", sqltext.QuoteLiteral("{"+publicOptions+"}"),
		"{{scope}}", scope, "{{is_ledger}}", "("+o.isLedger("c")+")",
		"{{ledger_sequence}}", sequence, "{{ledger_schema}}", alone,
		"{{whole}}", strconv.FormatBool(o.Schema == ""),
	).Replace(named.ReplaceAllString(fdwOptions.ReplaceAllString(clause, optionsQuery), namedQuery) + query)
}

// isLedger is SQL for whether a relation is the table of versions.
func (o Options) isLedger(relation string) string {
	schema := ""
	if o.Table.Schema != "" {
		schema = " and " + relation + ".relnamespace = coalesce(to_regnamespace(quote_ident(" +
			sqltext.QuoteLiteral(o.Table.Schema) + "))::oid, 0)"
	}
	return relation + ".relname = " + sqltext.QuoteLiteral(o.Table.Name) + " and " + relation + ".relkind in ('r', 'p')" +
		schema
}

// numbersLedger is SQL for whether the relation with an oid numbers the rows of the table of versions.
func (o Options) numbersLedger(oid string) string {
	return "exists (select from pg_depend owned join pg_class ledger on ledger.oid = owned.refobjid " +
		"where owned.classid = 'pg_class'::regclass and owned.refclassid = 'pg_class'::regclass " +
		"and owned.objid = " + oid + " and owned.deptype in ('a', 'i') and " + o.isLedger("ledger") + ")"
}

// ledgerSchema is SQL for whether the schema n is one that holds the table of versions and nothing else. What is in a
// schema depends on it, but for parts of tables.
func (o Options) ledgerSchema() string {
	return "(n.nspname = " + sqltext.QuoteLiteral(o.Table.Schema) + " and not exists (select from pg_depend inside " +
		"where inside.refclassid = 'pg_namespace'::regclass and inside.refobjid = n.oid and inside.deptype = 'n' " +
		"and not (inside.classid = 'pg_class'::regclass and (exists (select from pg_class ledger " +
		"where ledger.oid = inside.objid and " + o.isLedger("ledger") + ") or " + o.numbersLedger("inside.objid") + "))))"
}

// named matches what the query's files write for a name in the database that may be the tenant's own.
var named = regexp.MustCompile(`{{named ([a-z.]+)}}`)

const namedQuery = `case $1 when {{own}} then '(its own)' else quote_ident($1) end`

// fdwOptions matches what the query's files write for the options of a foreign data wrapper, server, table or column.
var fdwOptions = regexp.MustCompile(`{{options ([a-z.]+)}}`)

// optionsQuery prints options. Of those that are not known to be harmless, it leaves out the value, which may be a
// password.
const optionsQuery = `(select string_agg(quote_ident(split_part(o, '=', 1)) || case
  when not split_part(o, '=', 1) = any ({{public}}) then ''
  when substr(o, strpos(o, '=') + 1) = {{own}} then ' (its own)'
  else ' ' || quote_literal(substr(o, strpos(o, '=') + 1)) end, ', ' order by split_part(o, '=', 1) collate "C")
  from unnest($1) o)`

// publicOptions are those of postgres_fdw, dblink_fdw and file_fdw whose values are no secrets.
const publicOptions = "host,hostaddr,port,dbname,sslmode,connect_timeout,application_name,target_session_attrs," +
	"schema_name,table_name,column_name,updatable,truncatable,fetch_size,batch_size,async_capable," +
	"use_remote_estimate,fdw_startup_cost,fdw_tuple_cost,extensions,keep_connections,parallel_commit," +
	"parallel_abort,import_collate,filename,format,header,delimiter,quote,escape,encoding,force_not_null,force_null"

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
