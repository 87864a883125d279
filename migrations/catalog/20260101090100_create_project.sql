-- One row per tenant, wherever it lives: a Neon project, a database on the catalog's own server, or anything else that
-- a source of the action lists. No column holds a connection string or any other secret.

-- migrate:up
create table project (
    project_id      uuid primary key default gen_random_uuid(),
    customer_id     uuid references customer,
    name            citext not null check (name <> ''),

    -- Where it lives: one of the first two; if neither is set, the source that lists it and its id there identify it.
    neon_project_id text check (neon_project_id <> ''),
    database        text check (octet_length(database) between 1 and 63),
    source          text not null default 'catalog' check (source <> ''),
    source_id       text check (source_id <> ''),

    -- Rows with the same identity are the same tenant, whichever source lists it.
    identity        text unique generated always as (
        case
            when neon_project_id is not null then 'neon ' || neon_project_id
            when database is not null then 'database ' || database
            else source || ' ' || source_id
        end
    ) stored,

    -- What the action records.
    key                       text,
    schema_version            text,
    first_seen_at             timestamptz not null default now(),
    last_seen_at              timestamptz,
    last_migration_at         timestamptz,
    last_migration_outcome    text check (last_migration_outcome in ('succeeded', 'unchanged', 'failed')),
    last_backup_at            timestamptz,
    last_backup_key           text,
    last_verified_restore_at  timestamptz,
    last_verified_restore_key text,
    dropped_at                timestamptz,

    constraint project_lives_somewhere check (num_nonnulls(neon_project_id, database, source_id) > 0),
    constraint project_lives_in_one_place check (num_nonnulls(neon_project_id, database) <= 1),
    constraint project_migration_is_whole check ((last_migration_at is null) = (last_migration_outcome is null)),
    constraint project_backup_is_whole check ((last_backup_at is null) = (last_backup_key is null))
);

create index project_customer_id_idx on project (customer_id);
create index project_name_idx on project (name);
create index project_schema_version_idx on project (schema_version) where dropped_at is null;
create index project_last_backup_at_idx on project (last_backup_at) where dropped_at is null;
create index project_last_seen_at_idx on project (last_seen_at) where dropped_at is null;

comment on table project is 'One row per tenant.';
comment on column project.database is 'Name of a database on the server of the catalog.';
comment on column project.identity is 'Derived from where the tenant lives; the same for every source that lists it.';
comment on column project.schema_version is 'Highest migration that was applied when the tenant was last seen.';
comment on column project.last_verified_restore_at is 'When a backup of the tenant was last restored to prove it.';
comment on column project.dropped_at is 'When the tenant was dropped. Its row stays as a record.';

-- migrate:down
drop table project;
