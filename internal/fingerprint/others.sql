-- Functions, types, extensions and the database itself.
  select case p.prokind when 'p' then 'procedure' else 'function' end, p.name, '',
    concat_ws(' ', '(' || pg_get_function_arguments(p.oid) || ')', 'returns ' || pg_get_function_result(p.oid),
      'language ' || p.lanname,
      case when p.prokind = 'w' then 'window' end,
      case p.provolatile when 'i' then 'immutable' when 's' then 'stable' end,
      case when p.proisstrict then 'strict' end, case when p.prosecdef then 'security definer' end,
      case when p.proleakproof then 'leakproof' end,
      case p.proparallel when 's' then 'parallel safe' when 'r' then 'parallel restricted' end,
      'cost ' || p.procost, case when p.prorows <> 0 then 'rows ' || p.prorows end,
      (select string_agg('set ' || split_part(s, '=', 1) || '=' || case
          when substr(s, strpos(s, '=') + 1) = {{own}} then '(its own)'
          when starts_with(s, 'search_path=') then (
            select string_agg(case when btrim(e) = quote_ident({{home}}) then '(its own)' else btrim(e) end, ', '
              order by n)
            from unnest(string_to_array(replace(substr(s, 13),
              '"' || replace({{home}}, '"', '""') || '"', '(its own)'), ',')) with ordinality u (e, n))
          else substr(s, strpos(s, '=') + 1) end, ' ' order by s collate "C")
       from unnest(p.proconfig) s)) ||
    coalesce(E'\n' || pg_get_function_sqlbody(p.oid), ''),
    case when pg_get_function_sqlbody(p.oid) is not null then ''
      else E'\n' || p.prosrc || coalesce(' ' || p.probin, '') end, false
  from routine p where p.prokind <> 'a'
  union all
  select 'type', t.name, '',
    'enum (' || coalesce((select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
      from pg_enum e where e.enumtypid = t.oid), '') || ')', '', false
  from kind t where t.typtype = 'e'
  union all
  select 'type', t.name, '',
    'composite (' || coalesce((select string_agg(concat_ws(' ',
          quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
          case when a.attcollation <> b.typcollation then 'collate ' || a.attcollation::regcollation::text end
        ), ', ' order by a.attnum)
      from pg_attribute a join pg_type b on b.oid = a.atttypid
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped), '') || ')', '', false
  from kind t join pg_class c on c.oid = t.typrelid and c.relkind = 'c'
  union all
  select 'domain', t.name, '',
    concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
      case when t.typcollation <> b.typcollation then 'collate ' || t.typcollation::regcollation::text end,
      case when t.typnotnull then 'not null' end, 'default ' || pg_get_expr(t.typdefaultbin, 0),
      (select string_agg('constraint ' || quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), ' '
         order by k.conname collate "C")
       from pg_constraint k where k.contypid = t.oid and k.contype = 'c')), '', false
  from kind t join pg_type b on b.oid = t.typbasetype where t.typtype = 'd'
  union all
  select 'extension', quote_ident(x.extname), '', case when {{whole}} then 'schema ' || n.nspname else '' end, '', false
  from pg_extension x join pg_namespace n on n.oid = x.extnamespace
  where case when {{whole}} then x.extname <> 'plpgsql' else x.extnamespace in (select oid from space) end
  union all
  select 'database', 'locale', '',
    concat_ws(' ', 'encoding', pg_encoding_to_char(d.encoding),
      'collate', quote_literal(replace(d.datcollate, 'UTF-8', 'utf8')),
      'ctype', quote_literal(replace(d.datctype, 'UTF-8', 'utf8')),
      'provider ' || nullif(to_jsonb(d) ->> 'datlocprovider', 'c'), 'locale ' ||
      quote_literal(coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')),
      'rules ' || quote_literal(to_jsonb(d) ->> 'daticurules')), '', false
  from pg_database d where {{whole}} and d.datname = current_database()
