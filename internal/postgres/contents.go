package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Object is an object in a database that an empty database does not have.
type Object struct{ Type, Name string } // "table", `public."odd name"`

// objectsQuery lists what the database has beyond an empty template: relations, routines, types and the like outside
// the system's schemas. It leaves out what belongs to an extension (an extension itself is not the user's data) or to
// another object. Object identifiers below 16384 are initdb's, except those of large objects, which any client may choose.
const objectsQuery = `with own as (
	select oid from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
), found(classid, objid) as (
	select 'pg_catalog.pg_class'::regclass, oid from pg_catalog.pg_class
		where relnamespace in (select oid from own) and relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c')
	union all select 'pg_catalog.pg_proc'::regclass, oid from pg_catalog.pg_proc
		where pronamespace in (select oid from own)
	union all select 'pg_catalog.pg_type'::regclass, oid from pg_catalog.pg_type
		where typnamespace in (select oid from own) and typrelid = 0 and typtype <> 'm'
	union all select 'pg_catalog.pg_collation'::regclass, oid from pg_catalog.pg_collation
		where collnamespace in (select oid from own)
	union all select 'pg_catalog.pg_conversion'::regclass, oid from pg_catalog.pg_conversion
		where connamespace in (select oid from own)
	union all select 'pg_catalog.pg_operator'::regclass, oid from pg_catalog.pg_operator
		where oprnamespace in (select oid from own)
	union all select 'pg_catalog.pg_opclass'::regclass, oid from pg_catalog.pg_opclass
		where opcnamespace in (select oid from own)
	union all select 'pg_catalog.pg_opfamily'::regclass, oid from pg_catalog.pg_opfamily
		where opfnamespace in (select oid from own)
	union all select 'pg_catalog.pg_ts_config'::regclass, oid from pg_catalog.pg_ts_config
		where cfgnamespace in (select oid from own)
	union all select 'pg_catalog.pg_ts_dict'::regclass, oid from pg_catalog.pg_ts_dict
		where dictnamespace in (select oid from own)
	union all select 'pg_catalog.pg_ts_parser'::regclass, oid from pg_catalog.pg_ts_parser
		where prsnamespace in (select oid from own)
	union all select 'pg_catalog.pg_ts_template'::regclass, oid from pg_catalog.pg_ts_template
		where tmplnamespace in (select oid from own)
	union all select 'pg_catalog.pg_namespace'::regclass, oid from pg_catalog.pg_namespace
		where oid in (select oid from own) and nspname <> 'public'
		and oid not in (select extnamespace from pg_catalog.pg_extension)
	union all select 'pg_catalog.pg_event_trigger'::regclass, oid from pg_catalog.pg_event_trigger
	union all select 'pg_catalog.pg_publication'::regclass, oid from pg_catalog.pg_publication
	union all select 'pg_catalog.pg_foreign_server'::regclass, oid from pg_catalog.pg_foreign_server
	union all select 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid from pg_catalog.pg_foreign_data_wrapper
	union all select 'pg_catalog.pg_cast'::regclass, oid from pg_catalog.pg_cast
	union all select 'pg_catalog.pg_largeobject'::regclass, oid from pg_catalog.pg_largeobject_metadata
)
select o.type, o.identity from found f, lateral pg_catalog.pg_identify_object(f.classid, f.objid, 0) o
where (f.objid >= 16384 or f.classid = 'pg_catalog.pg_largeobject'::regclass) and not exists (
	select from pg_catalog.pg_depend d where d.classid = f.classid and d.objid = f.objid and d.deptype in ('e', 'i')
	and (d.refclassid, d.refobjid) <> (f.classid, f.objid)) -- a partitioned table depends on its own columns
order by o.type in ('table', 'view', 'schema') desc, o.type, o.identity collate "C"`

// ClearSQL drops everything that [Conn.Objects] lists, and fails if something is left. It waits at most a minute for
// each lock.
const ClearSQL = `set local lock_timeout = '60s';
do $clear$
declare
	types text[];
	names text[];
begin
	select pg_catalog.array_agg(type), pg_catalog.array_agg(identity) into types, names
		from (` + objectsQuery + `) listed;
	for i in 1 .. coalesce(pg_catalog.array_length(names, 1), 0) loop
		if types[i] = 'large object' then
			perform pg_catalog.lo_unlink(names[i]::pg_catalog.oid);
		else
			execute pg_catalog.format('drop %s if exists %s cascade', case types[i]
				when 'composite type' then 'type' when 'foreign-data wrapper' then 'foreign data wrapper'
				when 'aggregate' then 'routine' when 'function' then 'routine' when 'procedure' then 'routine'
				else types[i] end, names[i]);
		end if;
	end loop;
	select pg_catalog.array_agg(type || ' ' || identity) into names from (` + objectsQuery + `) remaining;
	if names is not null then
		raise exception 'the target cannot be emptied: % is left', names[1];
	end if;
end $clear$;
set local lock_timeout = 0;
`

// Objects lists what the database has beyond an empty one; extensions and what belongs to them do not count. Tables,
// views and schemas come first.
func (c *Conn) Objects(ctx context.Context) ([]Object, error) {
	answers, err := c.Results(ctx, objectsQuery)
	if err != nil {
		return nil, fmt.Errorf("list what the database holds: %w", err)
	}
	var objects []Object
	for _, row := range answers[0] {
		objects = append(objects, Object{string(row[0]), string(row[1])})
	}
	return objects, nil
}

// TableRows is the number of rows of a table or materialized view; -1 if the role may not see all of them.
type TableRows struct {
	Table string // with its schema, quoted where SQL needs it
	Rows  int64
}

// tablesQuery lists the tables and materialized views that are not an extension's; of a partitioned table, the
// partitions.
const tablesQuery = `select pg_catalog.format('%I.%I', n.nspname, c.relname)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relispopulated and c.relpersistence <> 't'
	and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (
		select from pg_catalog.pg_depend d
		where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by n.nspname collate "C", c.relname collate "C"`

// CountRows counts the rows of every table and materialized view that is not an extension's. Of a partitioned table it
// counts the partitions.
func (c *Conn) CountRows(ctx context.Context) ([]TableRows, error) {
	// With row security off, a count that a policy would falsify is an error.
	answers, err := c.Results(ctx, "set row_security = off; "+tablesQuery)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	var tables []TableRows
	for _, row := range answers[1] {
		tables = append(tables, TableRows{Table: string(row[0])})
	}
	const batch = 50 // tables in one round trip
	for from := 0; from < len(tables); from += batch {
		some := tables[from:min(from+batch, len(tables))]
		if c.countTables(ctx, some) == nil {
			continue
		}
		if err := c.countEach(ctx, some); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// countEach counts tables one by one, because the role may not read some of them.
func (c *Conn) countEach(ctx context.Context, tables []TableRows) error {
	for i := range tables {
		err := c.countTables(ctx, tables[i:i+1])
		if HasCode(err, "42501") {
			tables[i].Rows = -1
		} else if err != nil {
			return err
		}
	}
	return nil
}

// countTables counts tables in one round trip.
func (c *Conn) countTables(ctx context.Context, tables []TableRows) error {
	var counts []string
	for _, t := range tables {
		counts = append(counts, "select pg_catalog.count(*) from only "+t.Table)
	}
	answers, err := c.Results(ctx, strings.Join(counts, "; "))
	if err != nil {
		return fmt.Errorf("count the rows of %s: %w", tables[min(len(answers), len(tables)-1)].Table, err)
	}
	for i := range tables {
		if tables[i].Rows, err = strconv.ParseInt(string(answers[i][0][0]), 10, 64); err != nil {
			return fmt.Errorf("count the rows of %s: %w", tables[i].Table, err)
		}
	}
	return nil
}
