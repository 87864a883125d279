create table projects (
    id          bigint generated always as identity primary key,
    owner_id    bigint not null references users (id) on delete cascade,
    name        text not null,
    description text,
    created_at  timestamptz not null default now()
);
--> statement-breakpoint
create index projects_owner_id_idx on projects (owner_id);
