-- Kinds of objects that few schemas have. Planning this takes several times as long as everything else, so it is sent
-- only if there are some. A schema's dump leaves out what is around the schema, so with portable that does not count.
  select 'event trigger', quote_ident(v.evtname), '',
    concat_ws(' ', 'on', v.evtevent, 'when', array_to_string(v.evttags, ', '),
      'execute', v.evtfoid::regprocedure::text, v.evtenabled)
  from pg_event_trigger v
  where {{whole}}
    and not exists (select from extension e where e.classid = {{catalog pg_event_trigger}} and e.objid = v.oid)
  union all
  select 'partition', c.name || '.' || quote_ident(p.relname), c.name, pg_get_expr(p.relpartbound, p.oid)
  from pg_inherits i join relation c on c.oid = i.inhparent join pg_class p on p.oid = i.inhrelid
  join pg_partitioned_table g on g.partrelid = c.oid
  where p.relispartition and (g.partstrat = 'h' or p.oid = g.partdefid
    or g.partstrat = 'l' and (select t.typcategory from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attnum = g.partattrs[0]) in ('S', 'E', 'B'))
  union all
  select 'collation', s.prefix || quote_ident(l.collname), '',
    concat_ws(' ', 'provider', l.collprovider,
      case when not {{portable}} then 'encoding ' || nullif(l.collencoding, -1) end, 'locale',
      quote_literal(coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale', l.collcollate::text)),
      'ctype ' || quote_literal(nullif(l.collctype::text, l.collcollate::text)),
      'rules ' || quote_literal(to_jsonb(l) ->> 'collicurules'),
      case when not l.collisdeterministic then 'not deterministic' end)
  from pg_collation l join space s on s.oid = l.collnamespace
  where l.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_collation}} and e.objid = l.oid)
  union all
  select 'text search configuration', s.prefix || quote_ident(f.cfgname), '',
    'parser ' || (select quote_ident(r.prsname) from pg_ts_parser r where r.oid = f.cfgparser) || coalesce(
      (select string_agg(E'\n' || m.token || ' with ' || m.dictionaries, '' order by m.token)
       from (
         select m.maptokentype as token, string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno)
         from pg_ts_config_map m where m.mapcfg = f.oid group by 1
       ) m (token, dictionaries)), '')
  from pg_ts_config f join space s on s.oid = f.cfgnamespace
  where f.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_ts_config}} and e.objid = f.oid)
  union all
  select 'text search dictionary', s.prefix || quote_ident(f.dictname), '',
    concat_ws(' ', 'template', (select quote_ident(t.tmplname) from pg_ts_template t where t.oid = f.dicttemplate),
      f.dictinitoption)
  from pg_ts_dict f join space s on s.oid = f.dictnamespace
  where f.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_ts_dict}} and e.objid = f.oid)
  union all
  select 'operator', s.prefix || o.oprname || ' (' ||
      case o.oprleft when 0 then 'none' else format_type(o.oprleft, null) end || ', ' ||
      case o.oprright when 0 then 'none' else format_type(o.oprright, null) end || ')', '',
    concat_ws(' ', 'function', o.oprcode::regprocedure::text, 'commutator ' || nullif(o.oprcom, 0)::regoperator::text,
      'negator ' || nullif(o.oprnegate, 0)::regoperator::text, 'restrict ' || nullif(o.oprrest, 0)::regproc::text,
      'join ' || nullif(o.oprjoin, 0)::regproc::text, case when o.oprcanhash then 'hashes' end,
      case when o.oprcanmerge then 'merges' end)
  from pg_operator o join space s on s.oid = o.oprnamespace
  where o.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_operator}} and e.objid = o.oid)
  union all
  select 'operator class', s.prefix || quote_ident(o.opcname) || ' using ' || m.amname, '',
    concat_ws(' ', case when o.opcdefault then 'default' end, 'for', format_type(o.opcintype, null),
      'storage ' || format_type(nullif(o.opckeytype, 0), null), 'family', quote_ident(f.opfname))
  from pg_opclass o join space s on s.oid = o.opcnamespace join pg_am m on m.oid = o.opcmethod
  join pg_opfamily f on f.oid = o.opcfamily
  where o.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_opclass}} and e.objid = o.oid)
  union all
  select 'operator family', s.prefix || quote_ident(f.opfname) || ' using ' || m.amname, '',
    concat_ws(E'\n',
      (select string_agg(concat_ws(' ', 'operator', a.amopstrategy, a.amopopr::regoperator, a.amoppurpose,
           (select quote_ident(b.opfname) from pg_opfamily b where b.oid = a.amopsortfamily)), E'\n'
         order by a.amopstrategy, a.amopopr::regoperator::text collate "C")
       from pg_amop a where a.amopfamily = f.oid),
      (select string_agg(concat_ws(' ', 'function', p.amprocnum, format_type(p.amproclefttype, null),
           format_type(p.amprocrighttype, null), p.amproc::regprocedure), E'\n'
         order by p.amprocnum, p.amproc::regprocedure::text collate "C")
       from pg_amproc p where p.amprocfamily = f.oid))
  from pg_opfamily f join space s on s.oid = f.opfnamespace join pg_am m on m.oid = f.opfmethod
  where f.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_opfamily}} and e.objid = f.oid)
  union all
  select 'cast', format_type(a.castsource, null) || ' as ' || format_type(a.casttarget, null), '',
    concat_ws(' ', case a.castmethod when 'f' then 'function ' || a.castfunc::regprocedure::text
        when 'i' then 'inout' else 'binary' end,
      case a.castcontext when 'i' then 'implicit' when 'a' then 'as assignment' else 'explicit' end)
  from pg_cast a
  where a.oid >= 16384 and {{around}}
    and ({{whole}} or exists (select from kind t where t.oid in (a.castsource, a.casttarget)))
    and not exists (select from extension e where e.classid = {{catalog pg_cast}} and e.objid = a.oid)
  union all
  select 'conversion', s.prefix || quote_ident(v.conname), '',
    concat_ws(' ', case when v.condefault then 'default' end, pg_encoding_to_char(v.conforencoding), 'to',
      pg_encoding_to_char(v.contoencoding), 'function', v.conproc::regprocedure::text)
  from pg_conversion v join space s on s.oid = v.connamespace
  where v.oid >= 16384
    and not exists (select from extension e where e.classid = {{catalog pg_conversion}} and e.objid = v.oid)
  union all
  select 'foreign data wrapper', {{named w.fdwname}}, '',
    concat_ws(' ', 'handler ' || nullif(w.fdwhandler, 0)::regproc::text,
      'validator ' || nullif(w.fdwvalidator, 0)::regproc::text, 'options (' || {{options w.fdwoptions}} || ')')
  from pg_foreign_data_wrapper w
  where {{whole}}
    and not exists (select from extension e where e.classid = {{catalog pg_foreign_data_wrapper}} and e.objid = w.oid)
  union all
  select 'server', {{named v.srvname}}, '',
    concat_ws(' ', 'type ' || quote_literal(v.srvtype), 'version ' || quote_literal(v.srvversion),
      'foreign data wrapper', {{named w.fdwname}}, 'options (' || {{options v.srvoptions}} || ')')
  from pg_foreign_server v join pg_foreign_data_wrapper w on w.oid = v.srvfdw
  where {{whole}}
    and not exists (select from extension e where e.classid = {{catalog pg_foreign_server}} and e.objid = v.oid)
  union all
  select 'publication', {{named b.pubname}}, '',
    concat_ws(', ', case when b.puballtables then 'all tables' end, case when b.pubinsert then 'insert' end,
      case when b.pubupdate then 'update' end, case when b.pubdelete then 'delete' end,
      case when b.pubtruncate then 'truncate' end, case when b.pubviaroot then 'via the partition root' end,
      'generated columns ' || nullif(to_jsonb(b) ->> 'pubgencols', 'n'))
  from pg_publication b where {{whole}}
  union all
  select 'published table',
    c.name || '.' || {{named b.pubname}}, c.name,
    concat_ws(' ',
      case when jsonb_typeof(to_jsonb(r) -> 'prattrs') = 'array' then '(' || (
        select string_agg(quote_ident(a.attname), ', ' order by a.attname) from pg_attribute a
        where a.attrelid = c.oid and to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum)) || ')' end,
      case when to_jsonb(r) ->> 'prqual' is not null then 'where ' || (
        select to_jsonb(p) ->> 'rowfilter' from pg_publication_tables p
        where p.pubname = b.pubname and p.tablename = c.relname
          and p.schemaname = (select n.nspname from pg_namespace n where n.oid = c.relnamespace)) end)
  from pg_publication_rel r join pg_publication b on b.oid = r.prpubid join relation c on c.oid = r.prrelid
  where {{around}}
  union all
  select 'published schema',
    coalesce(nullif(left(s.prefix, -1), ''), '(its own)') || '.' || {{named b.pubname}}, '', ''
  from pg_publication b
  join pg_depend d on d.refclassid = {{catalog pg_publication}} and d.refobjid = b.oid
    and d.classid = {{catalog pg_publication_namespace}}
  join pg_depend m on m.classid = d.classid and m.objid = d.objid and m.refclassid = {{catalog pg_namespace}}
  join space s on s.oid = m.refobjid
  where {{around}}
  union all
  select 'statistics', s.prefix || quote_ident(x.stxname), c.name,
    '(' || array_to_string(x.stxkind, ', ') || ') on ' || concat_ws(', ',
      (select string_agg(quote_ident(a.attname), ', ' order by n)
       from unnest(x.stxkeys) with ordinality k (attnum, n)
       join pg_attribute a on a.attrelid = x.stxrelid and a.attnum = k.attnum),
      array_to_string(pg_get_statisticsobjdef_expressions(x.oid), ', ')) || ' from ' || c.name
  from pg_statistic_ext x join space s on s.oid = x.stxnamespace join relation c on c.oid = x.stxrelid
  union all
  select 'type', t.name, '',
    concat_ws(' ', 'range of', format_type(r.rngsubtype, null),
      case when r.rngcollation <> 0 then 'collate ' || r.rngcollation::regcollation::text end,
      case when r.rngcanonical <> 0 then 'canonical ' || r.rngcanonical::text end,
      case when r.rngsubdiff <> 0 then 'subtype_diff ' || r.rngsubdiff::text end)
  from kind t join pg_range r on r.rngtypid = t.oid
  union all
  select 'aggregate', p.name, '',
    concat_ws(' ', '(' || pg_get_function_arguments(p.oid) || ')', 'returns ' || pg_get_function_result(p.oid),
      case p.provolatile when 'i' then 'immutable' when 's' then 'stable' end,
      case p.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
      'sfunc', a.aggtransfn::text, 'stype', format_type(a.aggtranstype, null),
      'finalfunc', a.aggfinalfn::text, a.aggfinalmodify, case when a.aggfinalextra then 'extra' end,
      'combinefunc', a.aggcombinefn::text, 'serialfunc', a.aggserialfn::text, 'deserialfunc', a.aggdeserialfn::text,
      'msfunc', a.aggmtransfn::text, 'minvfunc', a.aggminvtransfn::text, 'mfinalfunc', a.aggmfinalfn::text,
      'kind', a.aggkind, 'sortop', nullif(a.aggsortop, 0)::regoperator::text,
      'initcond', quote_nullable(a.agginitval), 'minitcond', quote_nullable(a.aggminitval))
  from routine p join pg_aggregate a on a.aggfnoid = p.oid
  union all
  select 'options', c.name, c.name,
    concat_ws(' ', 'server', {{named v.srvname}},
      'options (' || {{options f.ftoptions}} || ')')
  from relation c join pg_foreign_table f on f.ftrelid = c.oid join pg_foreign_server v on v.oid = f.ftserver
  union all
  select 'options', c.name || '.' || quote_ident(a.attname), c.name, {{options a.attfdwoptions}}
  from relation c join pg_attribute a on a.attrelid = c.oid and a.attfdwoptions is not null and not a.attisdropped
  where c.relkind = 'f'
