package postgres

import (
	"context"
	"fmt"
)

// Object is an object in a database that an empty database does not have.
type Object struct{ Type, Name string } // "table", `public."odd name"`

// objectsQuery lists what the database has beyond an empty template: everything that pg_dump would dump by itself. It
// leaves out what belongs to an extension or to another object, and, as the user has no work in them, extensions with
// the schemas that they alone are in, and default privileges, which a host sets in every database. Object identifiers
// below 16384 are initdb's, except those of large objects, which any client may choose.
const objectsQuery = `with own as (
	select oid from pg_catalog.pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'
), found(classid, objid) as (
	select 'pg_catalog.pg_class'::regclass, oid from pg_catalog.pg_class
		where relnamespace in (select oid from own) and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
	union all select 'pg_catalog.pg_proc'::regclass, oid from pg_catalog.pg_proc
		where pronamespace in (select oid from own)
	union all select 'pg_catalog.pg_type'::regclass, oid from pg_catalog.pg_type
		where typnamespace in (select oid from own) and typtype <> 'm' -- a multirange is its range's
		and (typrelid = 0 or exists (select from pg_catalog.pg_class where oid = typrelid and relkind = 'c'))
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
	union all select 'pg_catalog.pg_statistic_ext'::regclass, oid from pg_catalog.pg_statistic_ext
		where stxnamespace in (select oid from own)
	union all select 'pg_catalog.pg_language'::regclass, oid from pg_catalog.pg_language
	union all select 'pg_catalog.pg_am'::regclass, oid from pg_catalog.pg_am
	union all select 'pg_catalog.pg_transform'::regclass, oid from pg_catalog.pg_transform
	union all select 'pg_catalog.pg_subscription'::regclass, s.oid from pg_catalog.pg_subscription s
		join pg_catalog.pg_database d on d.oid = s.subdbid and d.datname = pg_catalog.current_database()
	union all select 'pg_catalog.pg_event_trigger'::regclass, oid from pg_catalog.pg_event_trigger
	union all select 'pg_catalog.pg_publication'::regclass, oid from pg_catalog.pg_publication
	union all select 'pg_catalog.pg_foreign_server'::regclass, oid from pg_catalog.pg_foreign_server
	union all select 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid from pg_catalog.pg_foreign_data_wrapper
	union all select 'pg_catalog.pg_cast'::regclass, oid from pg_catalog.pg_cast
	union all select 'pg_catalog.pg_largeobject'::regclass, oid from pg_catalog.pg_largeobject_metadata
)
select o.type, o.identity from found f, lateral pg_catalog.pg_identify_object(f.classid, f.objid, 0) o
where (f.objid >= 16384 or f.classid = 'pg_catalog.pg_largeobject'::regclass) -- whose identifiers users may choose
and not exists (
	select from pg_catalog.pg_depend d where d.classid = f.classid and d.objid = f.objid and d.deptype in ('e', 'i')
	and (d.refclassid, d.refobjid) <> (f.classid, f.objid)) -- a partitioned table depends on its own columns
order by o.type in ('table', 'view', 'schema') desc, o.type, o.identity collate "C"`

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
