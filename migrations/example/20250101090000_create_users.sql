-- The schema of the example tenant: a small project manager, one database per customer. These three files show what
-- migrations-path expects: dbmate files named VERSION_what_it_does.sql, which are applied in the order of their names,
-- each in its own transaction.

-- migrate:up
create table users (
    id         bigint generated always as identity primary key,
    email      text not null unique,
    name       text not null,
    created_at timestamptz not null default now()
);

-- migrate:down
drop table users;
