-- One row per run of the action that recorded into this catalog.

-- migrate:up
create table run (
    run_id      uuid primary key default gen_random_uuid(),
    mode        text not null,
    source      text not null,
    shard       text,
    started_at  timestamptz not null,
    finished_at timestamptz not null check (finished_at >= started_at),
    outcome     text not null check (outcome in ('succeeded', 'failed')),
    succeeded   integer not null check (succeeded >= 0),
    unchanged   integer not null check (unchanged >= 0),
    failed      integer not null check (failed >= 0),
    skipped     integer not null check (skipped >= 0),
    workflow_url text
);

create index run_mode_started_at_idx on run (mode, started_at desc);

comment on column run.workflow_url is 'The page of the GitHub Actions run.';

-- migrate:down
drop table run;
