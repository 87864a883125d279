package postgres

// ClearSQL drops everything that [Conn.Objects] lists, and fails if something is left. Extensions stay, because nobody
// knows whether the role could create them again; from their configuration tables it deletes the rows that pg_dump
// would dump. It waits at most a minute for each lock.
//
// Event triggers go first, as one could refuse what follows. A subscription can be dropped in a transaction only once
// it has no slot, and the slot then stays on the publisher.
const ClearSQL = `set local lock_timeout = '60s';
do $clear$
declare
	types text[];
	names text[];
	slot text;
	config record;
begin
	select pg_catalog.array_agg(type order by rank), pg_catalog.array_agg(identity order by rank) into types, names
		from (select type, identity, (type <> 'event trigger', pg_catalog.row_number() over ()) as rank
			from (` + objectsQuery + `) listed) ranked;
	for i in 1 .. coalesce(pg_catalog.array_length(names, 1), 0) loop
		if types[i] = 'large object' then
			perform pg_catalog.lo_unlink(names[i]::pg_catalog.oid);
			continue;
		end if;
		if types[i] = 'subscription' then
			select subslotname into slot from pg_catalog.pg_subscription
				where pg_catalog.quote_ident(subname) = names[i];
			execute pg_catalog.format('alter subscription %s disable', names[i]);
			execute pg_catalog.format('alter subscription %s set (slot_name = none)', names[i]);
			if slot is null then
				raise warning 'the subscription % is dropped; it had no slot on the publisher', names[i];
			else
				raise warning 'the subscription % is dropped, and its slot % stays on the publisher: drop it there',
					names[i], slot;
			end if;
		end if;
		execute pg_catalog.format('drop %s if exists %s cascade', case types[i]
			when 'foreign-data wrapper' then 'foreign data wrapper' when 'statistics object' then 'statistics'
			when 'aggregate' then 'routine' when 'function' then 'routine' when 'procedure' then 'routine'
			else types[i] end, case types[i] -- the identity of a transform is not in the form that DROP wants
			when 'transform' then pg_catalog.regexp_replace(names[i], '^(.*) on (language .*)$', '\1 \2')
			else names[i] end);
	end loop;
	for config in select c.oid::pg_catalog.regclass as name, x.condition
		from pg_catalog.pg_extension e, unnest(e.extconfig, e.extcondition) x (id, condition)
		join pg_catalog.pg_class c on c.oid = x.id
		where c.relkind = 'r' and pg_catalog.has_table_privilege(c.oid, 'delete')
			and pg_catalog.has_table_privilege(c.oid, 'select')
	loop
		execute pg_catalog.format('delete from %s %s', config.name, config.condition);
	end loop;
	select pg_catalog.array_agg(type || ' ' || identity) into names from (` + objectsQuery + `) remaining;
	if names is not null then
		raise exception 'the target cannot be emptied: % is left', names[1];
	end if;
end $clear$;
set local lock_timeout = 0;
`
