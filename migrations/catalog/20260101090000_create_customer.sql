-- The customers that tenants belong to. The action adds no rows: whoever sells the product does, and links projects to
-- them.

-- migrate:up
create extension if not exists citext;

create table customer (
    customer_id uuid primary key default gen_random_uuid(),
    name        citext not null unique check (name <> ''),
    email       citext check (email like '_%@_%'),
    created_at  timestamptz not null default now()
);

-- migrate:down
drop table customer;
