-- What every tenant has. create-tenant applies it to a new database before it registers the tenant.

-- migrate:up
create table note (
    note_id    bigint generated always as identity primary key,
    text       text not null check (length(text) between 1 and 1000),
    created_at timestamptz not null default now()
);

-- The application may do this much here and no more. The role is the server's: create it once, before the first tenant.
grant select, insert on note to routing_app;

-- migrate:down
drop table note;
