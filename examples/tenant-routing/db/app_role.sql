-- The application's role and what it may read in the catalog: run once in the catalog's database, as its owner, after
-- the action has created the tables there. What it may do in a tenant is in migrations/, since create-tenant writes
-- nothing else into a new one.
create role routing_app login; -- then give it a password with psql's \password routing_app
grant select (customer_id) on public.customer to routing_app;
grant select (project_id, customer_id, key, database, dropped_at) on public.project to routing_app;
