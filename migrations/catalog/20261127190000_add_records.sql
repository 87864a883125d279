-- What runs found out about tenants, for later runs to start from: which files a tenant is current with, and with which
-- contents they were applied. A record is written and read as a whole.

-- migrate:up
alter table project
    add column record          jsonb,
    add column record_noted_at timestamptz,
    add constraint project_record_is_whole check ((record is null) = (record_noted_at is null));

create table migration_set (
    digest        text primary key,
    files         jsonb not null check (jsonb_typeof(files) = 'object'),
    first_seen_at timestamptz not null default now()
);

comment on column project.record is 'What the latest run found out about the tenant, for later runs.';
comment on column project.record_noted_at is 'When the run began that wrote the record.';
comment on table migration_set is 'Migration files, each a digest of its contents by its version. Records refer to them.';

-- migrate:down
drop table migration_set;
alter table project drop column record, drop column record_noted_at;
