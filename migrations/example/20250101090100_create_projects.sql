-- migrate:up
create table projects (
    id          bigint generated always as identity primary key,
    owner_id    bigint not null references users (id) on delete cascade,
    name        text not null,
    description text,
    created_at  timestamptz not null default now()
);

-- Postgres indexes a primary key by itself, but not a column that references it.
create index projects_owner_id_idx on projects (owner_id);

-- migrate:down
drop table projects;
