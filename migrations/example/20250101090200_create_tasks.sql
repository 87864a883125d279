-- migrate:up
create table tasks (
    id          bigint generated always as identity primary key,
    project_id  bigint not null references projects (id) on delete cascade,
    assignee_id bigint references users (id) on delete set null,
    title       text not null,
    -- A check and not an enum type, because a later migration can extend it within its transaction.
    status      text not null default 'open'
                constraint tasks_status_check check (status in ('open', 'in_progress', 'done')),
    due_on      date,
    created_at  timestamptz not null default now()
);

create index tasks_project_id_idx on tasks (project_id);
create index tasks_assignee_id_idx on tasks (assignee_id) where assignee_id is not null;

-- migrate:down
drop table tasks;
