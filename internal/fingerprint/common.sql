-- What [reader] makes the objects of common kinds of: rows of the catalogs, hardly joined, one statement after another.
-- Most of what a fingerprint costs is planning in a session that is new. There, each function, operator and catalog is
-- looked up for the first time, and all memory is new; one query over everything takes four times as long as these.
-- Names are resolved under the path for printing definitions, where a schema's own objects come after the system's:
-- hence pg_catalog before the name of each function, and quoted numbers, which take the type of what they are compared
-- with, as an operator for these very types is always the system's.
-- Numbers below 16384 (PostgreSQL's FirstNormalObjectId) are the system's own objects, and filtering by number avoids
-- reading these one by one. Definitions are printed without the pretty form of pg_get_…, because normalize knows where
-- the other form has parentheses; that one names tables with their schema.

-- names
select {{own}}, pg_catalog.quote_ident({{home}}), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype,
{{locale}}, session_user from pg_catalog.pg_database d where d.datname = pg_catalog.current_database();

-- spaces
select n.oid, n.nspname, pg_catalog.quote_ident(n.nspname), n.nspname = {{home}}, {{ledger_schema}}
from pg_catalog.pg_namespace n where {{whole}} or n.nspname = {{home}};

-- members
select d.classid, d.objid from pg_catalog.pg_depend d
where d.refclassid = {{catalog pg_extension}} and d.deptype = 'e' and d.classid in ({{catalog pg_namespace}},
{{catalog pg_class}}, {{catalog pg_type}}, {{uncommon}});

-- extensions
select x.extnamespace, x.extname, pg_catalog.quote_ident(x.extname), x.extversion from pg_catalog.pg_extension x;

-- uncommon
select d.classid, d.objid from pg_catalog.pg_depend d where d.objid >= '16384' and d.classid in ({{uncommon}});

-- publications
select from pg_catalog.pg_publication where {{whole}} limit 1;

-- relations
select c.oid, c.relnamespace, c.relkind, pg_catalog.quote_ident(c.relname), c.relpersistence, c.relrowsecurity,
c.relforcerowsecurity, c.relreplident, c.relowner, c.reltype, pg_catalog.to_json(c.reloptions),
case when c.reloftype <> '0' then pg_catalog.format_type(c.reloftype, null) end,
case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
case when c.relkind in ('v', 'm') and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid
and d.classid = {{catalog pg_class}} and d.deptype = 'e') then pg_catalog.pg_get_viewdef(c.oid) end
from pg_catalog.pg_class c
where {{of c.oid}} and not c.relispartition
and not {{is_ledger}} and not {{ledger_sequence}};

-- parents
select i.inhrelid, i.inhseqno, i.inhparent::pg_catalog.regclass from pg_catalog.pg_inherits i where {{of i.inhrelid}};

-- defaults
select d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d
where {{of d.adrelid}};

-- columns
select a.attrelid, a.attnum, pg_catalog.quote_ident(a.attname), pg_catalog.format_type(a.atttypid, a.atttypmod),
case when a.attcollation <> (select t.typcollation from pg_catalog.pg_type t where t.oid = a.atttypid)
then a.attcollation::pg_catalog.regcollation end, a.attnotnull, a.attidentity, a.attgenerated
from pg_catalog.pg_attribute a where {{table a.attrelid}} and a.attnum > '0' and not a.attisdropped;

-- triggers
select g.tgrelid, g.tgrelid::pg_catalog.regclass, g.tgenabled, g.tgconstraint, g.tgisinternal, g.tgnargs,
pg_catalog.quote_ident(g.tgname), case when not g.tgisinternal and {{of g.tgrelid}}
then pg_catalog.pg_get_triggerdef(g.oid) end
from pg_catalog.pg_trigger g
where not g.tgisinternal and {{of g.tgrelid}} or g.tgconstraint <> '0' and g.tgenabled <> 'O';

-- constraints
select k.oid, k.conrelid, k.contypid, k.conindid, k.conname, pg_catalog.quote_ident(k.conname), k.contype,
pg_catalog.pg_get_constraintdef(k.oid), not k.convalidated and {{enforced}}
from pg_catalog.pg_constraint k
where {{in k.connamespace}} and ({{of k.conrelid}} or k.contypid > '0') and k.conparentid = '0'
and (k.contype in ('p', 'u', 'x', 'f', 'c') or k.contype = 'n' and not k.convalidated);

-- indexes
select x.indexrelid, x.indrelid, x.indisunique, x.indisvalid, case when x.indisreplident
then x.indexrelid::pg_catalog.regclass end, pg_catalog.pg_get_indexdef(x.indexrelid)
from pg_catalog.pg_index x where {{table x.indrelid}} and not x.indisprimary;

-- sequences
select q.seqrelid, pg_catalog.format_type(q.seqtypid, null), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
q.seqcycle, (select pg_catalog.json_build_array(d.refobjid::pg_catalog.regclass, (select pg_catalog.quote_ident(a.attname)
from pg_catalog.pg_attribute a where a.attrelid = d.refobjid and a.attnum = d.refobjsubid),
(select p.relispartition::pg_catalog.text from pg_catalog.pg_class p where p.oid = d.refobjid))
from pg_catalog.pg_depend d where d.objid = q.seqrelid and d.classid = {{catalog pg_class}}
and d.refclassid = {{catalog pg_class}} and d.deptype in ('a', 'i') limit 1)
from pg_catalog.pg_sequence q where {{of q.seqrelid}};

-- rules
select r.ev_class, pg_catalog.quote_ident(r.rulename), r.ev_enabled, pg_catalog.pg_get_ruledef(r.oid)
from pg_catalog.pg_rewrite r where {{of r.ev_class}} and r.rulename <> '_RETURN';

-- policies
select o.polrelid, pg_catalog.quote_ident(o.polname), o.polpermissive, o.polcmd, pg_catalog.to_json(o.polroles),
pg_catalog.to_json(o.polroles::pg_catalog.regrole[]),
pg_catalog.pg_get_expr(o.polqual, o.polrelid), pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid)
from pg_catalog.pg_policy o where {{of o.polrelid}};

-- routines
select p.pronamespace, pg_catalog.quote_ident(p.proname), pg_catalog.pg_get_function_identity_arguments(p.oid),
p.prokind, pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid),
(select l.lanname from pg_catalog.pg_language l where l.oid = p.prolang), p.provolatile, p.proisstrict, p.prosecdef,
p.proleakproof, p.proparallel, p.procost, p.prorows, pg_catalog.to_json(p.proconfig),
pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc, p.probin
from pg_catalog.pg_proc p where p.oid >= '16384' and {{in p.pronamespace}} and p.oid not in (
select d.objid from pg_catalog.pg_depend d
where d.classid = {{catalog pg_proc}} and d.deptype in ('e', 'i'));

-- labels
select e.enumtypid, e.enumsortorder, e.enumlabel from pg_catalog.pg_enum e where {{type e.enumtypid}};

-- types
select t.oid, t.typnamespace, pg_catalog.quote_ident(t.typname), t.typtype,
pg_catalog.format_type(t.typbasetype, t.typtypmod),
case when t.typcollation <> (select b.typcollation from pg_catalog.pg_type b where b.oid = t.typbasetype)
then t.typcollation::pg_catalog.regcollation end, t.typnotnull, pg_catalog.pg_get_expr(t.typdefaultbin, '0')
from pg_catalog.pg_type t where t.oid >= '16384' and t.typtype in ('d', 'e', 'r') and {{in t.typnamespace}}
