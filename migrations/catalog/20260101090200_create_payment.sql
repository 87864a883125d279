-- What customers paid. As with customers, the action only creates the table.

-- migrate:up
create table payment (
    payment_id  uuid primary key default gen_random_uuid(),
    customer_id uuid not null references customer,
    amount      numeric(14, 2) not null check (amount <> 0),
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    paid_at     timestamptz not null default now()
);

create index payment_customer_id_paid_at_idx on payment (customer_id, paid_at desc);
create index payment_paid_at_idx on payment (paid_at desc);

-- migrate:down
drop table payment;
