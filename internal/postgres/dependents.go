package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/org/neon-tenants-action/internal/sqltext"
	"github.com/org/neon-tenants-action/internal/words"
)

// DependentsError is the error of a schema that other schemas' objects depend on: they would be dropped with it.
type DependentsError struct {
	Schema  string
	Objects []string // each with its kind: "view public.totals"
}

func (e *DependentsError) Error() string {
	const shown = 10
	return fmt.Sprintf("dropping schema %q would also drop what depends on it and is not part of it: %s", e.Schema,
		words.Clauses(e.Objects, shown))
}

// walk is the beginning of a query that finds, in going, everything that DROP SCHEMA … CASCADE drops with {{schema}}.
// It follows pg_depend as the server does: from an object to all that depends on it, and from a part of an object (a
// view's rule, an extension's member) to the whole. Where only a column goes, objsubid is its number.
//
// own tells what is the schema's from what is others'. The schema's is what lies in it, an extension that is installed
// in it included, and the parts of that wherever they are: an extension's members, TOAST tables. home is the schema in
// which an object lies; that of a trigger, default, policy and the like is its table's. What lies in no schema, such as
// an event trigger or a foreign server, is others', and so is every kind of object that is not named here. along is
// true of what goes with something else that is others': a table's columns, indexes and constraints, a view's rule.
const walk = `
with recursive target as (
	select oid from pg_catalog.pg_namespace where nspname = {{schema}}
), going(classid, objid, objsubid, home, own, along) as (
	select 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, oid, 0, oid, true, false from target
	union
	select n.classid, n.objid, n.objsubid, h.home,
		coalesce(h.home = t.oid or g.own and (n.part or n.auto and h.home = g.home), false),
		not g.own and n.bound and (n.classid, n.objid) <> (g.classid, g.objid)
	from going g cross join target t cross join lateral (
		select d.classid, d.objid, d.objsubid, d.deptype in ('i', 'e') as part, d.deptype = 'a' as auto,
			d.deptype <> 'n' as bound
		from pg_catalog.pg_depend d where d.refclassid = g.classid and d.refobjid = g.objid
			and (g.objsubid = 0 or d.refobjsubid = g.objsubid)
		union all
		select d.refclassid, d.refobjid, d.refobjsubid, false, false, false
		from pg_catalog.pg_depend d where d.classid = g.classid and d.objid = g.objid
			and (g.objsubid = 0 or d.objsubid = g.objsubid) and d.deptype in ('i', 'e')
	) n cross join lateral (
		select case n.classid
		when 'pg_catalog.pg_namespace'::pg_catalog.regclass then n.objid
		when 'pg_catalog.pg_class'::pg_catalog.regclass then
			(select relnamespace from pg_catalog.pg_class where oid = n.objid)
		when 'pg_catalog.pg_type'::pg_catalog.regclass then
			(select typnamespace from pg_catalog.pg_type where oid = n.objid)
		when 'pg_catalog.pg_proc'::pg_catalog.regclass then
			(select pronamespace from pg_catalog.pg_proc where oid = n.objid)
		when 'pg_catalog.pg_constraint'::pg_catalog.regclass then
			(select connamespace from pg_catalog.pg_constraint where oid = n.objid)
		when 'pg_catalog.pg_attrdef'::pg_catalog.regclass then (select c.relnamespace
			from pg_catalog.pg_attrdef a join pg_catalog.pg_class c on c.oid = a.adrelid where a.oid = n.objid)
		when 'pg_catalog.pg_rewrite'::pg_catalog.regclass then (select c.relnamespace
			from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class where r.oid = n.objid)
		when 'pg_catalog.pg_trigger'::pg_catalog.regclass then (select c.relnamespace
			from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid where t.oid = n.objid)
		when 'pg_catalog.pg_policy'::pg_catalog.regclass then (select c.relnamespace
			from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid where p.oid = n.objid)
		when 'pg_catalog.pg_publication_rel'::pg_catalog.regclass then (select c.relnamespace
			from pg_catalog.pg_publication_rel p join pg_catalog.pg_class c on c.oid = p.prrelid where p.oid = n.objid)
		when pg_catalog.to_regclass('pg_catalog.pg_publication_namespace') then ( -- which PostgreSQL 14 lacks
			select d.refobjid from pg_catalog.pg_depend d where d.classid = n.classid and d.objid = n.objid
				and d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass)
		when 'pg_catalog.pg_default_acl'::pg_catalog.regclass then
			(select defaclnamespace from pg_catalog.pg_default_acl where oid = n.objid)
		when 'pg_catalog.pg_extension'::pg_catalog.regclass then
			(select extnamespace from pg_catalog.pg_extension where oid = n.objid)
		when 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass then
			(select stxnamespace from pg_catalog.pg_statistic_ext where oid = n.objid)
		when 'pg_catalog.pg_collation'::pg_catalog.regclass then
			(select collnamespace from pg_catalog.pg_collation where oid = n.objid)
		when 'pg_catalog.pg_conversion'::pg_catalog.regclass then
			(select connamespace from pg_catalog.pg_conversion where oid = n.objid)
		when 'pg_catalog.pg_operator'::pg_catalog.regclass then
			(select oprnamespace from pg_catalog.pg_operator where oid = n.objid)
		when 'pg_catalog.pg_opclass'::pg_catalog.regclass then
			(select opcnamespace from pg_catalog.pg_opclass where oid = n.objid)
		when 'pg_catalog.pg_opfamily'::pg_catalog.regclass then
			(select opfnamespace from pg_catalog.pg_opfamily where oid = n.objid)
		when 'pg_catalog.pg_amop'::pg_catalog.regclass then (select f.opfnamespace
			from pg_catalog.pg_amop a join pg_catalog.pg_opfamily f on f.oid = a.amopfamily where a.oid = n.objid)
		when 'pg_catalog.pg_amproc'::pg_catalog.regclass then (select f.opfnamespace
			from pg_catalog.pg_amproc a join pg_catalog.pg_opfamily f on f.oid = a.amprocfamily where a.oid = n.objid)
		when 'pg_catalog.pg_ts_config'::pg_catalog.regclass then
			(select cfgnamespace from pg_catalog.pg_ts_config where oid = n.objid)
		when 'pg_catalog.pg_ts_dict'::pg_catalog.regclass then
			(select dictnamespace from pg_catalog.pg_ts_dict where oid = n.objid)
		when 'pg_catalog.pg_ts_parser'::pg_catalog.regclass then
			(select prsnamespace from pg_catalog.pg_ts_parser where oid = n.objid)
		when 'pg_catalog.pg_ts_template'::pg_catalog.regclass then
			(select tmplnamespace from pg_catalog.pg_ts_template where oid = n.objid)
		when 'pg_catalog.pg_transform'::pg_catalog.regclass then (select t.typnamespace
			from pg_catalog.pg_transform f join pg_catalog.pg_type t on t.oid = f.trftype where f.oid = n.objid)
		when 'pg_catalog.pg_cast'::pg_catalog.regclass then ( -- a cast is part of either type
			select case when t.oid in (a.typnamespace, b.typnamespace) then t.oid end from pg_catalog.pg_cast c
			join pg_catalog.pg_type a on a.oid = c.castsource join pg_catalog.pg_type b on b.oid = c.casttarget
			where c.oid = n.objid)
		end as home
	) h
)`

// others extends [walk] to the objects that go and are others'.
const others = walk + `, others as (
	select classid, objid, objsubid, pg_catalog.bool_or(along) as along
	from going group by classid, objid, objsubid having not pg_catalog.bool_or(own)
)`

// dependentsQuery names others' objects. It leaves out those that go along, unless there are no others.
const dependentsQuery = others + `
select n.name from (
	select *, pg_catalog.bool_and(along) over () as all_along,
		pg_catalog.min(objsubid) over (partition by classid, objid) as first
	from others
) o cross join lateral pg_catalog.pg_identify_object(o.classid, o.objid, o.objsubid) w
cross join lateral (select w.type || ' ' || w.identity as name) n
where (o.all_along or not o.along) and (o.objsubid = 0 or o.first <> 0) -- no columns of tables that go
order by n.name collate "C"`

// of puts a schema's name into a query.
func of(schema, query string) string {
	return strings.ReplaceAll(query, "{{schema}}", sqltext.QuoteLiteral(schema))
}

// Dependents are the objects that are not part of a schema, but depend on it and would be dropped with it, each with
// its kind. Parts of such an object are not listed.
func (c *Conn) Dependents(ctx context.Context, schema string) ([]string, error) {
	return c.names(ctx, fmt.Sprintf("look for what depends on schema %q", schema), of(schema, dependentsQuery))
}

// cascadeSQL drops {{schema}} with its contents, and fails with 2BP01 (dependent_objects_still_exist) if objects of
// others would go too. It runs within a transaction.
//
// Nobody can add such an object between the check and the drop if it uses a table, because the tables are locked first:
// the lock waits for a transaction that is creating a view, a foreign key or a partition, and the check then sees it.
// PostgreSQL has no such lock for functions, types and sequences: an object that uses one and is committed in the few
// milliseconds between the check and the drop is dropped unseen. So it is for tables that the role may drop but not
// lock.
const cascadeSQL = `declare
	tables text;
begin
	select pg_catalog.string_agg(pg_catalog.format('only %I.%I', n.nspname, c.relname), ', ' order by c.oid) into tables
		from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where n.nspname = {{schema}} and c.relkind in ('r', 'p')
		and pg_catalog.has_table_privilege(c.oid, 'update, delete, truncate');
	if tables is not null then
		execute 'lock table ' || tables || ' in access exclusive mode';
	end if;
	if exists (` + others + ` select from others) then
		raise exception using errcode = 'dependent_objects_still_exist',
			message = 'objects that are not part of the schema depend on it';
	end if;
	execute pg_catalog.format('drop schema if exists %I cascade', {{schema}});
end`

// cascade is a statement that runs [cascadeSQL].
func cascade(schema string) string { return "do " + sqltext.QuoteLiteral(of(schema, cascadeSQL)) }
