--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: citext; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;


--
-- Name: EXTENSION citext; Type: COMMENT; Schema: -; Owner: -
--

COMMENT ON EXTENSION citext IS 'data type for case-insensitive character strings';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: customer; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.customer (
    customer_id uuid DEFAULT gen_random_uuid() NOT NULL,
    name public.citext NOT NULL,
    email public.citext,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT customer_email_check CHECK ((email OPERATOR(public.~~) '_%@_%'::public.citext)),
    CONSTRAINT customer_name_check CHECK ((name OPERATOR(public.<>) ''::public.citext))
);


--
-- Name: migration_set; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.migration_set (
    digest text NOT NULL,
    files jsonb NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT migration_set_files_check CHECK ((jsonb_typeof(files) = 'object'::text))
);


--
-- Name: TABLE migration_set; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.migration_set IS 'Migration files, each a digest of its contents by its version. Records refer to them.';


--
-- Name: neon_tenants_schema_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.neon_tenants_schema_migrations (
    version character varying NOT NULL
);


--
-- Name: payment; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.payment (
    payment_id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    amount numeric(14,2) NOT NULL,
    currency text NOT NULL,
    paid_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT payment_amount_check CHECK ((amount <> (0)::numeric)),
    CONSTRAINT payment_currency_check CHECK ((currency ~ '^[A-Z]{3}$'::text))
);


--
-- Name: project; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.project (
    project_id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid,
    name public.citext NOT NULL,
    neon_project_id text,
    database text,
    source text DEFAULT 'catalog'::text NOT NULL,
    source_id text,
    identity text GENERATED ALWAYS AS (
CASE
    WHEN (neon_project_id IS NOT NULL) THEN ('neon '::text || neon_project_id)
    WHEN (database IS NOT NULL) THEN ('database '::text || database)
    ELSE ((source || ' '::text) || source_id)
END) STORED,
    key text,
    schema_version text,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone,
    last_migration_at timestamp with time zone,
    last_migration_outcome text,
    last_backup_at timestamp with time zone,
    last_backup_key text,
    last_verified_restore_at timestamp with time zone,
    last_verified_restore_key text,
    dropped_at timestamp with time zone,
    record jsonb,
    record_noted_at timestamp with time zone,
    CONSTRAINT project_backup_is_whole CHECK (((last_backup_at IS NULL) = (last_backup_key IS NULL))),
    CONSTRAINT project_database_check CHECK (((octet_length(database) >= 1) AND (octet_length(database) <= 63))),
    CONSTRAINT project_last_migration_outcome_check CHECK ((last_migration_outcome = ANY (ARRAY['succeeded'::text, 'unchanged'::text, 'failed'::text]))),
    CONSTRAINT project_lives_in_one_place CHECK ((num_nonnulls(neon_project_id, database) <= 1)),
    CONSTRAINT project_lives_somewhere CHECK ((num_nonnulls(neon_project_id, database, source_id) > 0)),
    CONSTRAINT project_migration_is_whole CHECK (((last_migration_at IS NULL) = (last_migration_outcome IS NULL))),
    CONSTRAINT project_name_check CHECK ((name OPERATOR(public.<>) ''::public.citext)),
    CONSTRAINT project_neon_project_id_check CHECK ((neon_project_id <> ''::text)),
    CONSTRAINT project_record_is_whole CHECK (((record IS NULL) = (record_noted_at IS NULL))),
    CONSTRAINT project_source_check CHECK ((source <> ''::text)),
    CONSTRAINT project_source_id_check CHECK ((source_id <> ''::text))
);


--
-- Name: TABLE project; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.project IS 'One row per tenant.';


--
-- Name: COLUMN project.database; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.database IS 'Name of a database on the server of the catalog.';


--
-- Name: COLUMN project.identity; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.identity IS 'Derived from where the tenant lives; the same for every source that lists it.';


--
-- Name: COLUMN project.schema_version; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.schema_version IS 'Highest migration that was applied when the tenant was last seen.';


--
-- Name: COLUMN project.last_verified_restore_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.last_verified_restore_at IS 'When a backup of the tenant was last restored to prove it.';


--
-- Name: COLUMN project.dropped_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.dropped_at IS 'When the tenant was dropped. Its row stays as a record.';


--
-- Name: COLUMN project.record; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.record IS 'What the latest run found out about the tenant, for later runs.';


--
-- Name: COLUMN project.record_noted_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.project.record_noted_at IS 'When the run began that wrote the record.';


--
-- Name: run; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.run (
    run_id uuid DEFAULT gen_random_uuid() NOT NULL,
    mode text NOT NULL,
    source text NOT NULL,
    shard text,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    succeeded integer NOT NULL,
    unchanged integer NOT NULL,
    failed integer NOT NULL,
    skipped integer NOT NULL,
    workflow_url text,
    CONSTRAINT run_check CHECK ((finished_at >= started_at)),
    CONSTRAINT run_failed_check CHECK ((failed >= 0)),
    CONSTRAINT run_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text]))),
    CONSTRAINT run_skipped_check CHECK ((skipped >= 0)),
    CONSTRAINT run_succeeded_check CHECK ((succeeded >= 0)),
    CONSTRAINT run_unchanged_check CHECK ((unchanged >= 0))
);


--
-- Name: COLUMN run.workflow_url; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.run.workflow_url IS 'The page of the GitHub Actions run.';


--
-- Data for Name: customer; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: migration_set; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.migration_set VALUES ('8ba2c173585bca509ed25831dc1ce00522fc555b60afaa7581b50f38e5076c0b', '{"20250101090000": "d6677c22b72ede7bc3de80290339069854810c0a3f82bcec155999437de2794c"}', '2026-11-28 06:10:35.125076+00');
INSERT INTO public.migration_set VALUES ('c417cd37937c36e1d3538c91f2ad75c5142ddc358c44dc883329c4ea267627da', '{"20250101090000": "d6677c22b72ede7bc3de80290339069854810c0a3f82bcec155999437de2794c", "20250101090100": "c84593ad175bd464325660e08382ab9795084267f8b7ec875cb4bb75414a763d", "20250101090200": "24670a738095ad26feb46248db0ce09e288eee9af2ece263a45797dada575c9c"}', '2026-11-28 06:10:35.125076+00');


--
-- Data for Name: neon_tenants_schema_migrations; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.neon_tenants_schema_migrations VALUES ('20260101090000');
INSERT INTO public.neon_tenants_schema_migrations VALUES ('20260101090100');
INSERT INTO public.neon_tenants_schema_migrations VALUES ('20260101090200');
INSERT INTO public.neon_tenants_schema_migrations VALUES ('20260101090300');
INSERT INTO public.neon_tenants_schema_migrations VALUES ('20261127190000');


--
-- Data for Name: payment; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: project; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.project VALUES ('efdfa0f4-e0a7-4d24-8db4-232eed260d4b', NULL, 'Payroll Inc', 'misty-field-87654321', NULL, 'neon', 'misty-field-87654321', DEFAULT, 'payroll-inc', '20250101090000', '2026-11-28 06:10:34.710673+00', '2026-11-28 06:10:35.562661+00', '2026-11-28 06:10:35.073659+00', 'failed', NULL, NULL, NULL, NULL, NULL, '{"place": "neon misty-field-87654321 (default) neondb neondb_owner schema_migrations", "applied_sha256": "8ba2c173585bca509ed25831dc1ce00522fc555b60afaa7581b50f38e5076c0b"}', '2026-11-28 06:10:35.073659+00');
INSERT INTO public.project VALUES ('3cfee601-5e89-4e8e-b584-4e79e05461bc', NULL, 'ACME Corp', 'quiet-river-12345678', NULL, 'neon', 'quiet-river-12345678', DEFAULT, 'acme-corp', '20250101090200', '2026-11-28 06:10:34.710673+00', '2026-11-28 06:10:35.562661+00', '2026-11-28 06:10:35.405331+00', 'succeeded', '2026-11-28 06:10:35+00', 'tenants/acme-corp/20261128T061035Z-pg15.sql.gz', NULL, NULL, NULL, '{"place": "neon quiet-river-12345678 (default) neondb neondb_owner schema_migrations", "version": "20250101090200", "current_at": "2026-11-28T06:10:35.393Z", "files_sha256": "c417cd37937c36e1d3538c91f2ad75c5142ddc358c44dc883329c4ea267627da", "applied_sha256": "c417cd37937c36e1d3538c91f2ad75c5142ddc358c44dc883329c4ea267627da"}', '2026-11-28 06:10:35.17027+00');


--
-- Data for Name: run; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.run VALUES ('4e4171d5-04f8-4fa3-9344-1f7ac287f06d', 'migrate', 'neon', '1/2', '2026-11-28 06:10:34.710673+00', '2026-11-28 06:10:35.074033+00', 'failed', 0, 0, 1, 0, NULL);
INSERT INTO public.run VALUES ('22fe49c7-d837-43ad-9109-220f5803f2a9', 'migrate', 'neon', '2/2', '2026-11-28 06:10:35.17027+00', '2026-11-28 06:10:35.405531+00', 'succeeded', 1, 0, 0, 0, NULL);
INSERT INTO public.run VALUES ('53c3132d-df6a-4dfe-a8d0-5f9e9a093617', 'backup', 'neon', NULL, '2026-11-28 06:10:35.562661+00', '2026-11-28 06:10:36.110327+00', 'succeeded', 1, 0, 0, 0, NULL);


--
-- Name: customer customer_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT customer_name_key UNIQUE (name);


--
-- Name: customer customer_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT customer_pkey PRIMARY KEY (customer_id);


--
-- Name: migration_set migration_set_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.migration_set
    ADD CONSTRAINT migration_set_pkey PRIMARY KEY (digest);


--
-- Name: neon_tenants_schema_migrations neon_tenants_schema_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.neon_tenants_schema_migrations
    ADD CONSTRAINT neon_tenants_schema_migrations_pkey PRIMARY KEY (version);


--
-- Name: payment payment_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_pkey PRIMARY KEY (payment_id);


--
-- Name: project project_identity_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_identity_key UNIQUE (identity);


--
-- Name: project project_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_pkey PRIMARY KEY (project_id);


--
-- Name: run run_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (run_id);


--
-- Name: payment_customer_id_paid_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_customer_id_paid_at_idx ON public.payment USING btree (customer_id, paid_at DESC);


--
-- Name: payment_paid_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX payment_paid_at_idx ON public.payment USING btree (paid_at DESC);


--
-- Name: project_customer_id_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX project_customer_id_idx ON public.project USING btree (customer_id);


--
-- Name: project_last_backup_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX project_last_backup_at_idx ON public.project USING btree (last_backup_at) WHERE (dropped_at IS NULL);


--
-- Name: project_last_seen_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX project_last_seen_at_idx ON public.project USING btree (last_seen_at) WHERE (dropped_at IS NULL);


--
-- Name: project_name_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX project_name_idx ON public.project USING btree (name);


--
-- Name: project_schema_version_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX project_schema_version_idx ON public.project USING btree (schema_version) WHERE (dropped_at IS NULL);


--
-- Name: run_mode_started_at_idx; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX run_mode_started_at_idx ON public.run USING btree (mode, started_at DESC);


--
-- Name: payment payment_customer_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.payment
    ADD CONSTRAINT payment_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customer(customer_id);


--
-- Name: project project_customer_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.project
    ADD CONSTRAINT project_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customer(customer_id);


--
-- PostgreSQL database dump complete
--


