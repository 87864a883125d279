-- The example tenant's schema: a small project manager, one database per customer. These three files show what
-- migrations-path expects: one dbmate file a step, named VERSION_what_it_does.sql, applied in the order of their names,
-- each in a transaction of its own.

-- migrate:up
create table users (
    id         bigint generated always as identity primary key,
    email      text not null unique,
    name       text not null,
    created_at timestamptz not null default now()
);

-- migrate:down
drop table users;
