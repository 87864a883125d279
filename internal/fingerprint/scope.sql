-- What uncommon.sql chooses from: the objects of a database or a schema, those that [reader] finds too. It has one row
-- for each: the kind, the name, the table it belongs to, and everything that defines it. Names are resolved before the
-- search_path is set to the one for printing definitions; see query.go. What common.sql says of numbers, of columns and
-- of definitions holds here too.
with extension as (
  select classid, objid from pg_depend where refclassid = {{catalog pg_extension}} and deptype = 'e'
), space as (
  select n.oid, quote_ident(n.nspname) as quoted,
    case when n.nspname = {{home}} then '' else quote_ident(n.nspname) || '.' end as prefix
  from pg_namespace n
  where {{scope}} and not {{ledger_schema}}
    and not exists (select from extension e where e.classid = {{catalog pg_namespace}} and e.objid = n.oid)
), relation as (
  select c.*, s.prefix || quote_ident(c.relname) as name, s.quoted || '.' || quote_ident(c.relname) as qualified
  from pg_class c join space s on s.oid = c.relnamespace
  where c.oid >= 16384 and not c.relispartition
    and not {{is_ledger}} and not {{ledger_sequence}}
    and not exists (select from extension e where e.classid = {{catalog pg_class}} and e.objid = c.oid)
), routine as (
  select p.*, l.lanname,
    s.prefix || quote_ident(p.proname) || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name
  from pg_proc p join space s on s.oid = p.pronamespace join pg_language l on l.oid = p.prolang
  where p.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_proc}} and e.objid = p.oid)
    and not exists (
      select from pg_depend d where d.classid = {{catalog pg_proc}} and d.objid = p.oid and d.deptype = 'i')
), kind as (
  select t.*, s.prefix || quote_ident(t.typname) as name
  from pg_type t join space s on s.oid = t.typnamespace
  where t.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_type}} and e.objid = t.oid)
)
