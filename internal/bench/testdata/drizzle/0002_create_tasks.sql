create table tasks (
    id          bigint generated always as identity primary key,
    project_id  bigint not null references projects (id) on delete cascade,
    assignee_id bigint references users (id) on delete set null,
    title       text not null,
    status      text not null default 'open' constraint tasks_status_check check (status in ('open', 'in_progress', 'done')),
    due_on      date,
    created_at  timestamptz not null default now()
);
--> statement-breakpoint
create index tasks_project_id_idx on tasks (project_id);
--> statement-breakpoint
create index tasks_assignee_id_idx on tasks (assignee_id) where assignee_id is not null;
