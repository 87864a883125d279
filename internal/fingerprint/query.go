package fingerprint

import (
	"cmp"
	"context"
	_ "embed" // the query's files
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/org/neon-tenants-action/internal/postgres"
	"github.com/org/neon-tenants-action/internal/sqltext"
)

var (
	//go:embed common.sql
	commonQuery string
	//go:embed scope.sql
	scopeQuery string
	//go:embed uncommon.sql
	uncommonQuery string
)

// statement is one of a message, and receives its rows; nil discards them.
type statement struct {
	sql string
	row func(row) error
}

// send sends statements as one message, which is one transaction.
func send(ctx context.Context, c *postgres.Conn, message []statement) error {
	texts := make([]string, len(message))
	for i, s := range message {
		texts[i] = s.sql
	}
	return c.EachRow(ctx, strings.Join(texts, "; "), func(i int, values [][]byte) error {
		if message[i].row == nil {
			return nil
		}
		return message[i].row(values)
	})
}

// printing sets what affects how a server prints a definition, and how long it waits, for the transaction: an error or
// its end restores it. It differs from database to database. The search_path, one schema, decides which names are
// printed without a schema: those in it, and the system's, which are found first.
func printing(path string) (all []statement) {
	for _, setting := range [][2]string{
		{"search_path", path},
		{"quote_all_identifiers", "off"}, {"standard_conforming_strings", "on"}, {"TimeZone", "UTC"},
		{"DateStyle", "ISO, YMD"}, {"IntervalStyle", "postgres"}, {"extra_float_digits", "1"}, {"bytea_output", "hex"},
		{"lc_monetary", "C"}, {"xmlbinary", "base64"}, {"lock_timeout", lockWait.String()},
		{"jit", "off"}, // compiling takes longer than the query
	} {
		all = append(all, statement{sql: "set local " + setting[0] + " = " + sqltext.QuoteLiteral(setting[1])})
	}
	return all
}

// common returns the statements of common.sql for a server, whose rows r reads.
func (o Options) common(r *reader, major int) []statement {
	all := printing(cmp.Or(o.Schema, postgres.PublicSchema))
	if o.Schema != "" {
		// A list of numbers is looked up in an index fast, but compared one by one in a scan.
		all = append(all, statement{sql: o.fill(gather)}, statement{sql: "set local enable_seqscan = off"})
	}
	read := r.read()
	for _, p := range o.paragraphs(major) {
		all = append(all, statement{p.sql, read[p.title]})
	}
	if o.Schema != "" {
		all = append(all, statement{sql: "set local enable_seqscan = on"}) // for what may follow
	}
	return all
}

// paragraph is one of common.sql, completed.
type paragraph struct{ title, sql string }

// completed keeps the paragraphs for whole databases, which are the same for all of a fleet, by what they depend on.
var completed sync.Map

// paragraphs returns those of common.sql for a server's major.
func (o Options) paragraphs(major int) []paragraph {
	if o.Schema != "" {
		return o.complete(major)
	}
	key := struct {
		table    postgres.Ledger
		portable bool
		major    int
	}{o.Table, o.Portable, major}
	known, ok := completed.Load(key)
	if !ok {
		known = o.complete(major)
		completed.Store(key, known)
	}
	return known.([]paragraph)
}

func (o Options) complete(major int) (all []paragraph) {
	_, text, _ := strings.Cut(commonQuery, "\n\n")
	for p := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), ";\n\n") {
		title, sql, _ := strings.Cut(p, "\n")
		sql = strings.Replace(sql, "{{locale}}", localeColumns(major), 1)
		sql = strings.Replace(sql, "{{enforced}}", enforcedColumn(major), 1)
		all = append(all, paragraph{strings.TrimPrefix(title, "-- "), o.fill(sql)})
	}
	return all
}

// localeColumns are what pg_database says of a locale besides its two names: who provides it, its name there, and rules
// of its own.
func localeColumns(major int) string {
	switch {
	case major < 15:
		return "null, null, null"
	case major == 15:
		return "d.datlocprovider, d.daticulocale, null"
	case major == 16:
		return "d.datlocprovider, d.daticulocale, d.daticurules"
	}
	return "d.datlocprovider, d.datlocale, d.daticurules"
}

// enforcedColumn is what pg_constraint says of whether a constraint is checked at all.
func enforcedColumn(major int) string {
	if major < 18 {
		return "true"
	}
	return "k.conenforced"
}

// uncommon returns the statements that evaluate a query over the objects of uncommon kinds, whose rows it hands over.
//
// The query's own names must only find the system's, even if an object of o.Schema matches better. Hence the cursor:
// they are resolved when it is declared, under the empty path, and definitions are printed when it is fetched from.
func (o Options) uncommon(query string, read func(row) error) []statement {
	clause := compact(scopeQuery) + ", object (kind, name, parent, definition) as (\n" + compact(uncommonQuery) + ")"
	return append(printing(""),
		statement{sql: "declare neon_tenants_objects no scroll cursor for " + o.fill(clause+query)},
		statement{sql: "set local search_path = " + o.home()},
		statement{"fetch all from neon_tenants_objects", read},
	)
}

// home is SQL for the schema whose name is left out.
func (o Options) home() string {
	if o.Schema != "" {
		return sqltext.QuoteLiteral(o.Schema)
	}
	return sqltext.QuoteLiteral(postgres.PublicSchema)
}

// own is SQL for the tenant's own name: the schema's or the database's. Whatever bears it is not different for that. It
// is null, and equals nothing, if a dump is to be compared: that names all as they are called.
func (o Options) own() string {
	if o.Portable {
		return "null::pg_catalog.text"
	}
	if o.Schema != "" {
		return sqltext.QuoteLiteral(o.Schema) + "::pg_catalog.text"
	}
	return "pg_catalog.current_database()::pg_catalog.text"
}

// fill completes SQL of the query's files with the options.
func (o Options) fill(sql string) string {
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
	sql = named.ReplaceAllString(fdwOptions.ReplaceAllString(o.limit(numberCatalogs(sql)), optionsQuery), namedQuery)
	return strings.NewReplacer(
		"{{home}}", o.home(), "{{own}}", o.own(), "{{public}}", sqltext.QuoteLiteral("{"+publicOptions+"}"),
		"{{scope}}", scope, "{{is_ledger}}", "("+o.isLedger("c")+")",
		"{{ledger_sequence}}", sequence, "{{ledger_schema}}", alone,
		"{{whole}}", strconv.FormatBool(o.Schema == ""), "{{portable}}", strconv.FormatBool(o.Portable),
		"{{around}}", strconv.FormatBool(o.Schema == "" || !o.Portable),
	).Replace(sql)
}

// limits are what common.sql writes for whether a number is that of a schema that counts, of a relation in one, of a
// table in one that is no partition, or of a type in one; and what it means in a database and in a schema. The other
// schemas may have far more relations, so those of a schema are found once, by gather.
var limits = []struct {
	written       *regexp.Regexp
	whole, schema string
}{
	{
		regexp.MustCompile(`{{type ([a-z._]+)}}`), "true",
		"$1 in (select t.oid from pg_catalog.pg_type t where t.typtype = 'e' and {{in t.typnamespace}})",
	},
	{
		regexp.MustCompile(`{{in ([a-z._]+)}}`), "true",
		"$1 = (select n.oid from pg_catalog.pg_namespace n where n.nspname = {{home}})",
	},
	{regexp.MustCompile(`{{of ([a-z._]+)}}`), "$1 >= '16384'", "$1 = " + gathered},
	{
		regexp.MustCompile(`{{table ([a-z._]+)}}`),
		"$1 >= '16384' and $1 not in (select part.oid from pg_catalog.pg_class part " +
			"where part.relispartition or part.relkind in ('i', 'I', 't'))",
		"$1 = " + gathered,
	},
}

// gather keeps the numbers of a schema's relations in a setting of the transaction, and gathered reads them there.
const (
	gather = "select pg_catalog.set_config('tenants_action.relations', " +
		"coalesce(pg_catalog.array_agg(c.oid)::pg_catalog.text, '{}'), true) " +
		"from pg_catalog.pg_class c where {{in c.relnamespace}} and not c.relispartition"
	gathered = "any ((select pg_catalog.current_setting('tenants_action.relations')::pg_catalog.oid[])::pg_catalog.oid[])"
)

// limit replaces the limits in a statement.
func (o Options) limit(sql string) string {
	for _, l := range limits {
		meaning := l.whole
		if o.Schema != "" {
			meaning = l.schema
		}
		sql = l.written.ReplaceAllString(sql, meaning)
	}
	return sql
}

// isLedger is SQL for whether a relation is the table of versions. It and the next two are evaluated as they stand in
// common.sql and in scope.sql.
func (o Options) isLedger(relation string) string {
	schema := ""
	if o.Table.Schema != "" {
		schema = " and " + relation + ".relnamespace = coalesce(pg_catalog.to_regnamespace(pg_catalog.quote_ident(" +
			sqltext.QuoteLiteral(o.Table.Schema) + "))::pg_catalog.oid, '0')"
	}
	return relation + ".relname = " + sqltext.QuoteLiteral(o.Table.Name) + " and " + relation + ".relkind in ('r', 'p')" +
		schema
}

// What an object in pg_depend is, and what it depends on.
var (
	inRelations = "classid = " + numberOf("pg_class")
	toRelation  = "refclassid = " + numberOf("pg_class")
	toSchema    = "refclassid = " + numberOf("pg_namespace")
)

// numbersLedger is SQL for whether the relation with an oid numbers the rows of the table of versions.
func (o Options) numbersLedger(oid string) string {
	return "exists (select from pg_catalog.pg_depend owned join pg_catalog.pg_class ledger " +
		"on ledger.oid = owned.refobjid where owned." + inRelations + " and owned." + toRelation + " and " +
		"owned.objid = " + oid + " and owned.deptype in ('a', 'i') and " + o.isLedger("ledger") + ")"
}

// ledgerSchema is SQL for whether the schema n is one that holds the table of versions and nothing else. What is in a
// schema depends on it, but for parts of tables.
func (o Options) ledgerSchema() string {
	return "(n.nspname = " + sqltext.QuoteLiteral(o.Table.Schema) + " and not exists (select from pg_catalog.pg_depend " +
		"inside where inside." + toSchema + " and inside.refobjid = n.oid and inside.deptype = 'n' and not (inside." +
		inRelations + " and (exists (select from pg_catalog.pg_class ledger where ledger.oid = inside.objid and " +
		o.isLedger("ledger") + ") or " + o.numbersLedger("inside.objid") + "))))"
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
