--
-- Migrations across tenants in all three modes.
--
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.customer (id int PRIMARY KEY, name text);
CREATE TABLE regress_model.invoice (id int PRIMARY KEY,
	customer int REFERENCES regress_model.customer DEFERRABLE INITIALLY DEFERRED);
GRANT USAGE ON SCHEMA regress_model TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model TO regress_app;
RESET ROLE;
SET client_min_messages = warning;
SELECT tenancy.create_module('main', 'regress_model');
SELECT * FROM tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');
SELECT count(tenancy.create_tenant('shared' || i)) FROM generate_series(1, 2) i;
SELECT count(tenancy.create_tenant('schema' || i, 'schema')) FROM generate_series(1, 4) i;
SELECT count(tenancy.create_tenant('database1', 'database'));
SELECT tenancy.suspend_tenant('schema4');
RESET client_min_messages;

-- Arguments
CALL tenancy.migrate('nosuch');
CALL tenancy.migrate(tenants => '{}');
CALL tenancy.migrate(tenants => '{shared1,nosuch}');
CALL tenancy.migrate(tenants => '{shared1,NULL}');
CALL tenancy.migrate(workers => 0);
CALL tenancy.migrate(workers => 65);
CALL tenancy.migrate(canary => -1);
CALL tenancy.migrate(max_failures => NULL);
CALL tenancy.migrate(lock_timeout => '-1s');
CALL tenancy.migrate(lock_timeout => '1 year');
CALL tenancy.migrate(retries => -1);
CALL tenancy.migrate(dry_run => NULL);
BEGIN;
CALL tenancy.migrate();
ROLLBACK;
DO $$BEGIN CALL tenancy.migrate(); END$$;

-- Nothing to do
CALL tenancy.migrate();
SELECT tenant, version, pending, state FROM tenancy.migration_status ORDER BY tenant;

-- Structure and rows
\c -
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('shared1', false);
INSERT INTO regress_model.customer VALUES (1, 'ann'), (2, 'bob');
RESET ROLE;
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('shared2', false);
INSERT INTO regress_model.customer VALUES (3, 'cid');
RESET ROLE;
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('schema1', false);
INSERT INTO customer VALUES (1, 'eve'), (2, 'fay');
INSERT INTO invoice VALUES (1, 1);
RESET ROLE;

SELECT tenancy.add_migration(10, $$
	ALTER TABLE customer ADD COLUMN city text DEFAULT 'Oslo' NOT NULL;
	CREATE INDEX customer_city ON customer (city);
	UPDATE customer SET name = upper(name);$$, 'cities');
SELECT tenancy.add_migration(20, $$
	CREATE TABLE payment (id serial PRIMARY KEY, invoice int REFERENCES invoice, amount numeric);
	CREATE TABLE log (at date NOT NULL, what text) PARTITION BY RANGE (at);
	CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	CREATE VIEW rich AS SELECT * FROM payment WHERE amount > 1000;$$, 'payments');
SELECT tenant, version, pending, state FROM tenancy.migration_status ORDER BY tenant;

-- A dry run changes nothing.
CALL tenancy.migrate(dry_run => true);
SELECT tenant, version, pending, state FROM tenancy.migration_status ORDER BY tenant;
SELECT to_regclass('regress_model.payment'), to_regclass('tenant_schema1.payment');

CALL tenancy.migrate();
SELECT tenant, version, pending, state, last_error, attempts FROM tenancy.migration_status ORDER BY tenant;
SELECT total, dry_run, finished_at IS NULL FROM tenancy.migration_run ORDER BY id;
SELECT * FROM tenancy.migration_progress;

-- It reached all rows.
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('shared1', false);
SELECT name, city FROM customer ORDER BY id;
RESET ROLE;
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('schema1', false);
SELECT name, city FROM customer ORDER BY id;
RESET ROLE;

-- The new tables have what their siblings have, in the model and in the copies (m is
-- MAINTAIN, of PostgreSQL 17),
SELECT c.oid::regclass, relrowsecurity, relforcerowsecurity, replace(relacl::text, 'tm/', 't/') AS relacl,
	(SELECT array_agg(polname || ': ' || pg_get_expr(polqual, polrelid) || COALESCE(' / ' || pg_get_expr(polwithcheck, polrelid), '') ORDER BY polname)
	 FROM pg_policy WHERE polrelid = c.oid) = (SELECT array_agg(polname || ': ' || pg_get_expr(polqual, polrelid) || COALESCE(' / ' || pg_get_expr(polwithcheck, polrelid), '') ORDER BY polname)
	 FROM pg_policy WHERE polrelid = (relnamespace::regnamespace || '.customer')::regclass) AS policies
FROM pg_class c WHERE relname IN ('payment', 'log', 'log_2026', 'payment_id_seq', 'rich')
AND relnamespace IN ('regress_model'::regnamespace, 'tenant_schema1'::regnamespace) ORDER BY relnamespace::regnamespace::text, relname;
-- as a copy that is made now has.
SET client_min_messages = warning;
SELECT count(tenancy.create_tenant('schema5', 'schema'));
RESET client_min_messages;
SELECT pending, state FROM tenancy.migration_status WHERE tenant = 'schema5';
SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum
WHERE relname = 'payment' AND relnamespace IN ('tenant_schema1'::regnamespace, 'tenant_schema5'::regnamespace) AND attnum > 0
ORDER BY attnum, relnamespace::regnamespace::text;
SELECT replace(pg_get_indexdef(i.oid), n.nspname, 'SCHEMA') AS index, count(*)
FROM pg_class i JOIN pg_namespace n ON n.oid = relnamespace
WHERE i.relkind IN ('i', 'I') AND nspname IN ('tenant_schema1', 'tenant_schema5') AND i.relname ~ '^(payment|log)' GROUP BY 1 ORDER BY 1;
SELECT format('%s to %s', a.privilege_type, a.grantee::regrole) AS granted, count(*)
FROM pg_class c, aclexplode(relacl) a WHERE a.privilege_type <> 'MAINTAIN' AND relname = 'payment' AND relnamespace IN ('tenant_schema1'::regnamespace, 'tenant_schema5'::regnamespace)
GROUP BY 1 ORDER BY 1;

-- In a tenant's database too
\c tenant_database1
SELECT relrowsecurity, relforcerowsecurity, replace(relacl::text, 'tm/', 't/') AS relacl FROM pg_class WHERE relname = 'payment';
SELECT name, level FROM tenancy.module;
SELECT version, position FROM tenancy.migration ORDER BY position;
\c contrib_regression
SELECT level, attempts, count(*) FROM tenancy.module_copy GROUP BY 1, 2;

-- An error in the model: nothing has happened, and the text may be corrected.
SELECT tenancy.add_migration(30, E'ALTER TABLE customer ADD COLUMN zip text;\n\nALTER TABLE customer\n  ADD COLUMN city text;');
\set SHOW_CONTEXT errors
CALL tenancy.migrate();
\set SHOW_CONTEXT never
SELECT tenant, pending, state, last_error FROM tenancy.migration_status WHERE tenant ~ '1$' ORDER BY 1;
SELECT tenancy.add_migration(30, 'ALTER TABLE invoice ADD UNIQUE (customer)', 'one each');

-- An error in a copy: all others are done; the error names no row.
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('schema1', false);
INSERT INTO invoice VALUES (2, 1);
SELECT FROM tenancy.set_tenant('schema3', false);
INSERT INTO customer VALUES (1);
INSERT INTO invoice VALUES (2, 1), (3, 1);
RESET ROLE;
CALL tenancy.migrate(canary => 1, tenants => '{schema1}');
CALL tenancy.migrate();
SELECT tenant, version, pending, state, last_error, attempts FROM tenancy.migration_status ORDER BY tenant;
SELECT tenancy.drop_tenant('schema3', true);
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('schema1', false);
DELETE FROM invoice WHERE id = 2;
RESET ROLE;
CALL tenancy.migrate();
SELECT tenant, pending, state, last_error, attempts FROM tenancy.migration_status WHERE state <> 'current' OR attempts > 0;

-- One failure is enough.
SET client_min_messages = warning;
SELECT count(tenancy.create_tenant('bad' || i, 'schema', id => ('00000000-0000-4000-8000-00000000000' || i)::uuid)) FROM generate_series(1, 5) i;
RESET client_min_messages;
DO $$BEGIN
	FOR i IN 1..5 LOOP
		EXECUTE format('INSERT INTO tenant_bad%s.customer VALUES (1, NULL)', i);
	END LOOP;
END$$;
SELECT tenancy.add_migration(40, 'ALTER TABLE customer ALTER name SET NOT NULL');
CALL tenancy.migrate(tenants => '{bad1,bad2,bad3,bad4,bad5}', max_failures => 2, workers => 1);
SELECT state, count(*) FROM tenancy.migration_status WHERE tenant ~ 'bad' GROUP BY 1 ORDER BY 1;
CALL tenancy.migrate(tenants => '{bad1,bad2,bad3,bad4,bad5}', canary => 2, workers => 1);
-- Without a limit, all of them are tried.
CALL tenancy.migrate(tenants => '{bad1}', workers => 1);
SELECT attempts FROM tenancy.migration_status WHERE tenant = 'bad1';
SELECT tenancy.drop_tenant('bad' || i, true) FROM generate_series(1, 5) i;
CALL tenancy.migrate();

-- Statements that no transaction takes, one at a time
SELECT tenancy.add_migration(41, $$
	CREATE TYPE colour AS ENUM ('red');
	ALTER TABLE customer ADD colour colour;
	ALTER TYPE colour ADD VALUE 'green';
	UPDATE customer SET colour = 'green';
	CREATE INDEX CONCURRENTLY customer_colour ON customer (colour);
	VACUUM customer;$$, transactional => false);
SELECT tenancy.add_migration(42, 'CREATE UNIQUE INDEX CONCURRENTLY customer_name ON customer (tenant_id, name)', transactional => false);
SELECT tenancy.add_migration(43, 'DROP INDEX CONCURRENTLY customer_colour; REINDEX TABLE CONCURRENTLY customer', transactional => false);
SELECT tenancy.add_migration(43, 'CREATE INDEX CONCURRENTLY ON customer (name)', transactional => false);
SET ROLE regress_app;
SELECT FROM tenancy.set_tenant('schema2', false);
INSERT INTO customer VALUES (1, 'twin'), (2, 'twin');
RESET ROLE;
CALL tenancy.migrate(dry_run => true);
CALL tenancy.migrate();
SELECT tenant, version, state FROM tenancy.migration_status ORDER BY 1;
SELECT indexrelid::regclass, indisvalid FROM pg_index
WHERE indrelid IN ('tenant_schema1.customer'::regclass, 'tenant_schema2.customer'::regclass, 'regress_model.customer'::regclass) ORDER BY indexrelid::regclass::text;
SELECT step, under_way FROM tenancy.module_copy WHERE step <> 0;
SET ROLE regress_app;
UPDATE customer SET name = 'other' WHERE id = 2;
RESET ROLE;
CALL tenancy.migrate();
SELECT state, count(*) FROM tenancy.migration_status GROUP BY 1 ORDER BY 1;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'tenant_schema2.customer'::regclass ORDER BY indexrelid::regclass::text;
SELECT position, step, under_way FROM tenancy.migration WHERE version IN (41, 42, 43) ORDER BY 1;

-- An index that was there under the name is not what a migration has made, nor is it when it fails again.
SET ROLE regress_owner;
CREATE INDEX customer_both ON regress_model.customer (id);
RESET ROLE;
SELECT tenancy.add_migration(44, 'CREATE INDEX CONCURRENTLY customer_both ON customer (id, name)', transactional => false);
CALL tenancy.migrate();
CALL tenancy.migrate();
SELECT version, step, under_way FROM tenancy.migration WHERE position IS NULL;
DROP INDEX regress_model.customer_both;
CALL tenancy.migrate();
SELECT pg_get_indexdef('regress_model.customer_both'::regclass), pg_get_indexdef('tenant_schema1.customer_both'::regclass);
CALL tenancy.rollback(44);
SELECT tenancy.add_migration(44, 'CREATE INDEX CONCURRENTLY customer_both ON customer (id, name)', transactional => false,
	down => 'DROP INDEX customer_both');
CALL tenancy.rollback(44);
DELETE FROM tenancy.migration WHERE version = 44;

-- Nor is what was not there to be dropped dropped the second time.
SELECT tenancy.add_migration(44, 'DROP INDEX CONCURRENTLY customer_bth', transactional => false);
CALL tenancy.migrate();
CALL tenancy.migrate();
DELETE FROM tenancy.migration WHERE version = 44;

-- A model that has had a part of one is not copied: the copy could not have it again.
SELECT tenancy.add_migration(44, 'ALTER TABLE customer ADD half int; ALTER TABLE nosuch ADD half int; VACUUM customer', transactional => false);
CALL tenancy.migrate();
SELECT tenancy.create_tenant('half', 'schema');
SELECT tenancy.create_tenant('half', 'database');
CALL tenancy.move_tenant('shared1', 'schema');
SELECT FROM tenancy.create_tenant('half');
SELECT tenancy.drop_tenant('half', true);
SELECT tenancy.add_migration(44, 'ALTER TABLE customer DROP COLUMN IF EXISTS half; VACUUM customer', transactional => false, down => 'SELECT 1');
CALL tenancy.migrate();
CALL tenancy.rollback(44);
DELETE FROM tenancy.migration WHERE version = 44;

-- In a block that has made the session's first temporary table
\c -
DO $$ BEGIN CREATE TEMPORARY TABLE todo (); CALL tenancy.migrate(); DROP TABLE todo; END $$;

-- Undoing: the last ones first, in the copies and then in the model
SELECT tenancy.add_migration(44, 'CREATE TABLE gone (id int); ALTER TABLE customer ADD gone1 int', down => 'ALTER TABLE customer DROP gone1; DROP TABLE gone');
SELECT tenancy.add_migration(45, 'ALTER TABLE customer ADD gone2 int', 'twice');
CALL tenancy.migrate();
CALL tenancy.rollback(NULL);
CALL tenancy.rollback(43, 'nosuch');
CALL tenancy.rollback(99);
CALL tenancy.rollback(44);
SELECT tenancy.add_migration(45, 'ALTER TABLE customer ADD gone2 int', 'twice', down => 'ALTER TABLE customer DROP');
SELECT tenancy.add_migration(45, 'ALTER TABLE customer ADD gone2 int', 'twice', down => 'VACUUM customer');
SELECT tenancy.add_migration(45, 'ALTER TABLE customer ADD gone2 int', 'twice', down => 'ALTER TABLE customer DROP gone2');
BEGIN;
CALL tenancy.rollback(44);
ROLLBACK;
CALL tenancy.rollback(44, tenants => '{schema1,shared1}');
CALL tenancy.rollback(44, dry_run => true);
SELECT DISTINCT version, pending, state FROM tenancy.migration_status;
CALL tenancy.rollback(45, tenants => '{schema1}');
SELECT tenant, version, pending, state FROM tenancy.migration_status WHERE version < 45;
-- One that cannot go keeps the model where it is.
DO $$BEGIN EXECUTE 'CREATE VIEW public.users AS SELECT gone2 FROM tenant_schema2.customer'; END$$;
CALL tenancy.rollback(44);
SELECT version, pending, state, count(*) FROM tenancy.migration_status GROUP BY 1, 2, 3 ORDER BY 1, 2;
DROP VIEW public.users;
CALL tenancy.rollback(44);
SELECT version, pending, state, count(*) FROM tenancy.migration_status GROUP BY 1, 2, 3 ORDER BY 1, 2;
SELECT version, position FROM tenancy.migration WHERE version >= 43 ORDER BY 1;
SELECT count(*) FROM pg_class WHERE relname = 'gone';
SELECT count(*) FROM pg_attribute WHERE attname ~ '^gone' AND NOT attisdropped;
\c tenant_database1
SELECT level FROM tenancy.module;
SELECT count(*) FROM pg_class WHERE relname = 'gone';
SELECT count(*) FROM pg_attribute WHERE attname ~ '^gone' AND NOT attisdropped;
\c contrib_regression
-- Not applied any more, they may change, and be applied again.
SELECT tenancy.add_migration(45, 'ALTER TABLE customer ADD gone3 int', 'thrice', down => 'ALTER TABLE customer DROP gone3');
CALL tenancy.migrate();
SELECT version, pending, state, count(*) FROM tenancy.migration_status GROUP BY 1, 2, 3 ORDER BY 1, 2;
CALL tenancy.rollback(44, dry_run => true);
CALL tenancy.rollback(44);
DELETE FROM tenancy.migration WHERE version IN (44, 45);

-- What migrations meet runs with the rights of the module's owner, at commit too.
CREATE TABLE public.witness (what text, who text, path text, tenant text);
GRANT INSERT ON public.witness TO regress_owner;
GRANT CREATE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
CREATE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.witness VALUES (TG_NAME, current_user, current_setting('search_path'),
		CASE WHEN current_setting('tenancy.tenant_id', true) <> '' THEN 'a tenant' ELSE 'none' END);
	BEGIN
		SET ROLE postgres;
		INSERT INTO public.witness VALUES ('SET ROLE worked', current_user);
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO public.witness VALUES (SQLERRM);
	END;
	BEGIN
		RESET ROLE;
		INSERT INTO public.witness VALUES ('RESET ROLE', current_user);
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO public.witness VALUES (SQLERRM);
	END;
	BEGIN
		SET SESSION AUTHORIZATION DEFAULT;
		INSERT INTO public.witness VALUES ('SESSION AUTHORIZATION', current_user);
	EXCEPTION WHEN OTHERS THEN
		INSERT INTO public.witness VALUES (SQLERRM);
	END;
	IF TG_NAME <> 'again' THEN
		SET CONSTRAINTS ALL DEFERRED;
		UPDATE customer SET name = 'x' || name WHERE id = 77;
	END IF;
	RETURN NULL;
END$$;
RESET ROLE;
SELECT tenancy.add_migration(45, $$CREATE TABLE victim (id int);
	CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON victim DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW EXECUTE FUNCTION public.planted();
	CREATE CONSTRAINT TRIGGER again AFTER UPDATE ON customer DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (OLD.id = 77) EXECUTE FUNCTION public.planted();$$);
CALL tenancy.migrate();
SET client_min_messages = warning;
SELECT count(tenancy.create_tenant('planted', 'schema'));
RESET client_min_messages;
SELECT tenancy.add_migration(50, $$INSERT INTO customer SELECT 77, 'y', tenancy.current_tenant_id() WHERE tenancy.current_tenant_id() IS NOT NULL;
	INSERT INTO victim SELECT 1, tenancy.current_tenant_id() WHERE tenancy.current_tenant_id() IS NOT NULL;
	CREATE TEMP TABLE left_behind (a int);
	PREPARE left_behind AS SELECT 1; SELECT pg_advisory_lock(1);
	SET lock_timeout = 0$$);
SELECT tenancy.add_migration(60, 'CREATE TEMP TABLE left_behind (a int); PREPARE left_behind AS SELECT 1; ALTER TABLE customer ADD last_one int; SET search_path = nowhere');
CALL tenancy.migrate(tenants => '{planted}', workers => 1);
SELECT what, who, path, tenant, count(*) FROM public.witness GROUP BY 1, 2, 3, 4 ORDER BY 1, 2;
SELECT name FROM tenant_planted.customer;

-- Nor is there a way out in the text itself.
SELECT tenancy.add_migration(70, 'SET ROLE postgres');
CALL tenancy.migrate();
SELECT tenancy.add_migration(70, 'RESET SESSION AUTHORIZATION');
CALL tenancy.migrate();
SELECT tenancy.add_migration(70, 'ALTER TABLE tenancy.tenant ADD COLUMN x int');
CALL tenancy.migrate();
SELECT tenancy.add_migration(70, 'SELECT 1');
-- The schema must not be a superuser's.
ALTER SCHEMA regress_model OWNER TO CURRENT_USER;
CALL tenancy.migrate();
ALTER SCHEMA regress_model OWNER TO regress_owner;
-- A new table with rows that no tenant has
SELECT tenancy.add_migration(70, 'CREATE TABLE plan AS SELECT ''gold'' AS name');
CALL tenancy.migrate();
SELECT tenancy.add_migration(70, 'SELECT 1');
CALL tenancy.migrate();
SELECT state, count(*) FROM tenancy.migration_status GROUP BY 1 ORDER BY 1;

-- What has been applied cannot be lost, or is missed.
DELETE FROM tenancy.migration WHERE version = 70;
ALTER TABLE tenancy.migration DISABLE TRIGGER keep;
BEGIN;
CREATE TABLE public.kept AS SELECT * FROM tenancy.migration WHERE version = 50;
DELETE FROM tenancy.migration WHERE version = 50;
COMMIT;
UPDATE tenancy.module_copy SET level = 0 WHERE tenant_id = (SELECT id FROM tenancy.tenant WHERE slug = 'planted');
CALL tenancy.migrate();
CALL tenancy.rollback(70);
INSERT INTO tenancy.migration SELECT * FROM public.kept;
UPDATE tenancy.module_copy SET level = m.level FROM tenancy.module m WHERE m.name = module_copy.module;
CALL tenancy.migrate();
DROP TABLE public.kept;
ALTER TABLE tenancy.migration ENABLE TRIGGER keep;
SELECT tenancy.add_migration(80, 'SELECT 1');
DELETE FROM tenancy.migration WHERE version = 80;

-- A suspended tenant, where a query would have parallel workers
SELECT slug, mode, status FROM tenancy.tenants WHERE status = 'suspended';
SELECT tenancy.add_migration(90, $$
	SET LOCAL min_parallel_table_scan_size = 0;
	SET LOCAL parallel_setup_cost = 0;
	SET LOCAL parallel_tuple_cost = 0;
	SET LOCAL parallel_leader_participation = off;
	ALTER TABLE customer SET (parallel_workers = 4);
	CREATE TABLE known AS SELECT id FROM customer WHERE tenancy.current_tenant_id()::text || id <> '';$$);
CALL tenancy.migrate();

-- Not for everybody
SET ROLE regress_app;
CALL tenancy.migrate();
SELECT * FROM tenancy.migration_status;
SELECT * FROM tenancy.migration_progress;
RESET ROLE;

SET client_min_messages = warning;
SELECT count(tenancy.drop_tenant(slug, true)) FROM (SELECT slug FROM tenancy.tenant WHERE mode <> 'shared') t;
DROP FUNCTION public.planted CASCADE;
DROP TABLE public.witness;
REVOKE CREATE ON SCHEMA public FROM regress_owner;
\set ECHO none
SELECT 'DROP DATABASE tenancy_template_' || oid FROM pg_database WHERE datname = current_database() \gexec
\set ECHO all
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP ROLE regress_owner, regress_app;
