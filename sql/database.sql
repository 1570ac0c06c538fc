--
-- Tenants with a database of their own.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_one LOGIN;
CREATE ROLE regress_outsider LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.customer (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE regress_model.invoice (id serial PRIMARY KEY, customer int NOT NULL REFERENCES regress_model.customer, amount numeric DEFAULT 0);
GRANT USAGE ON SCHEMA regress_model TO regress_app, regress_one;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model TO regress_app, regress_one;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA regress_model TO regress_app, regress_one;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');
SELECT current_database() AS application, current_user AS admin \gset

-- A database that exists is never taken for ours, nor dropped.
CREATE DATABASE tenant_squatted;
SELECT tenancy.create_tenant('squatted', 'database');
SELECT count(*) FROM pg_database WHERE datname = 'tenant_squatted';
DROP DATABASE tenant_squatted;

SELECT tenancy.create_tenant('big', 'database', '00000000-0000-4000-8000-0000000000d1');
SELECT tenancy.create_tenant('shared', 'shared', '00000000-0000-4000-8000-0000000000a1');
SELECT slug, mode, status, database_name FROM tenancy.tenants ORDER BY slug;
SELECT tenancy.tenant_database('big'), tenancy.tenant_database('shared') = current_database();

-- It is closed to PUBLIC, and open to the access roles; no template is left open.
SELECT r, has_database_privilege(r, 'tenant_big', 'CONNECT') AS connect, has_database_privilege(r, 'tenant_big', 'TEMP') AS temp,
	has_database_privilege(r, 'tenant_big', 'CREATE') AS create
FROM unnest(ARRAY['regress_app', 'regress_one', 'regress_outsider']) r;
SELECT datallowconn, datistemplate FROM pg_database
WHERE datname = 'tenancy_template_' || (SELECT oid FROM pg_database WHERE datname = current_database());

-- From the application's database, it is elsewhere.
SET SESSION AUTHORIZATION regress_app;
SELECT tenancy.set_tenant('big');
SELECT tenancy.tenant_database('big');
RESET SESSION AUTHORIZATION;
\set VERBOSITY sqlstate
SELECT tenancy.set_tenant('big');
\set VERBOSITY default

-- Inside: the same SQL, with or without set_tenant(), and nobody else.
\c tenant_big regress_app
SELECT tenancy.current_tenant(), tenancy.current_tenant_id();
SHOW search_path;
INSERT INTO customer (name) VALUES ('one');
INSERT INTO invoice (customer) VALUES (1);
BEGIN;
SELECT tenancy.set_tenant('big');
SELECT * FROM invoice;
COMMIT;
SELECT tenancy.set_tenant('00000000-0000-4000-8000-0000000000d1'::uuid, false);
SELECT tenancy.is_current_tenant('00000000-0000-4000-8000-0000000000d1');
SELECT tenancy.reset_tenant();
SELECT tenancy.current_tenant();
DISCARD ALL;
SELECT count(*) FROM invoice;
SELECT tenancy.set_tenant('shared');
SELECT tenancy.set_tenant('unknown');
SELECT tenancy.set_tenant('00000000-0000-4000-8000-0000000000a1'::uuid);
SET tenancy.tenant_id = '00000000-0000-4000-8000-0000000000a1';
INSERT INTO customer (name, tenant_id) VALUES ('forged', '00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.create_tenant('nested');
SELECT * FROM tenancy.tenant;
\c - :admin
SELECT slug, mode, database_name FROM tenancy.tenants;
SELECT name, model_schema FROM tenancy.module;
SELECT relation FROM tenancy.protected_table ORDER BY relation::text;
SELECT tenancy.create_tenant('nested');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.protect_module('main');
\c :application :admin
SET client_min_messages = warning;

-- The database goes and comes with the transaction.
BEGIN;
SELECT tenancy.create_tenant('undone', 'database', '00000000-0000-4000-8000-0000000000d2');
SELECT count(*) FROM pg_database WHERE datname = 'tenant_undone';
ROLLBACK;
SELECT count(*) FROM pg_database WHERE datname = 'tenant_undone';
BEGIN;
SAVEPOINT s;
SELECT tenancy.create_tenant('undone', 'database', '00000000-0000-4000-8000-0000000000d2');
ROLLBACK TO s;
SELECT count(*) FROM pg_database WHERE datname = 'tenant_undone';
SAVEPOINT s;
SELECT tenancy.create_tenant('kept', 'database', '00000000-0000-4000-8000-0000000000d3');
RELEASE s;
COMMIT;
SELECT count(*) FROM pg_database WHERE datname = 'tenant_kept';
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) FROM tenancy.tenants;
SELECT tenancy.create_tenant('undone', 'database', '00000000-0000-4000-8000-0000000000d2');
COMMIT;
SELECT * FROM tenancy.pending_database;
BEGIN;
SELECT tenancy.drop_tenant('undone', true);
ROLLBACK;
SELECT count(*) FROM pg_database WHERE datname = 'tenant_undone';
SELECT tenancy.drop_tenant('undone', true);
SELECT count(*) FROM pg_database WHERE datname = 'tenant_undone';

-- A changed model is in the next database; an older one is as it was.
SET ROLE regress_owner;
CREATE TABLE regress_model.later (id int PRIMARY KEY);
GRANT SELECT, INSERT ON regress_model.later TO regress_app;
RESET ROLE;
SELECT tenancy.protect_table('regress_model.later');
SELECT tenancy.create_tenant('newer', 'database', '00000000-0000-4000-8000-0000000000d4');
\c tenant_newer regress_app
INSERT INTO later VALUES (1);
SELECT tenant_id FROM later;
\c tenant_kept
SELECT to_regclass('later');
\c :application :admin
SET client_min_messages = warning;

-- Access to one tenant
SELECT tenancy.grant_access('regress_one', 'newer');
SELECT has_database_privilege('regress_one', 'tenant_newer', 'CONNECT'), has_database_privilege('regress_one', 'tenant_big', 'CONNECT');
SELECT tenancy.revoke_access('regress_one', 'newer');
SELECT has_database_privilege('regress_one', 'tenant_newer', 'CONNECT');

-- Suspended: closed
SELECT tenancy.suspend_tenant('newer');
SELECT datallowconn FROM pg_database WHERE datname = 'tenant_newer';
SET SESSION AUTHORIZATION regress_app;
SELECT tenancy.set_tenant('newer');
RESET SESSION AUTHORIZATION;
SELECT tenancy.resume_tenant('newer');
SELECT datallowconn FROM pg_database WHERE datname = 'tenant_newer';

-- Renamed: the database inside knows
SELECT tenancy.rename_tenant('newer', 'newest');
SELECT slug, database_name FROM tenancy.tenants WHERE slug = 'newest';
DO $$
BEGIN
	FOR i IN 1 .. 12000 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM tenancy.pending_database);
		PERFORM pg_sleep(0.01);
		COMMIT;
	END LOOP;
END $$;
\c tenant_newest regress_app
SELECT tenancy.current_tenant(), count(*) FROM later;
\c :application :admin
SET client_min_messages = warning;

-- Whoever may create tenants gets no more rights than that by what follows on the path.
CREATE ROLE regress_clerk LOGIN;
GRANT USAGE ON SCHEMA tenancy TO regress_clerk;
GRANT EXECUTE ON FUNCTION tenancy.create_tenant TO regress_clerk;
SET SESSION AUTHORIZATION regress_clerk;
SET tenancy.search_path = 'public;ALTER/**/ROLE/**/regress_clerk/**/SUPERUSER;--, "Odd, ""one"""';
SELECT FROM tenancy.create_tenant('clerks', 'database');
RESET SESSION AUTHORIZATION;
RESET tenancy.search_path;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_clerk';
\c tenant_clerks :admin
SHOW search_path;
SELECT current_schemas(false);
\c :application :admin
SET client_min_messages = warning;
REVOKE ALL ON FUNCTION tenancy.create_tenant FROM regress_clerk;
REVOKE ALL ON SCHEMA tenancy FROM regress_clerk;
DROP ROLE regress_clerk;

-- The role that the database gives its clients is not the workers'.
ALTER DATABASE :"application" SET role = 'regress_app';
\c :application :admin
SET ROLE NONE;
SET client_min_messages = warning;
SELECT FROM tenancy.create_tenant('roled', 'database');
ALTER DATABASE :"application" RESET role;
\c :application :admin
SET client_min_messages = warning;
SELECT slug, status FROM tenancy.tenants WHERE slug = 'roled';

-- What PostgreSQL does not drop is closed all the same, and goes later, whoever has the id by then.
SELECT FROM tenancy.create_tenant('stuck', 'database', '00000000-0000-4000-8000-0000000000d7');
ALTER DATABASE tenant_stuck IS_TEMPLATE true;
SELECT tenancy.drop_tenant('stuck', true);
SELECT datallowconn FROM pg_database WHERE datname = 'tenant_stuck';
SELECT * FROM tenancy.repair();
SELECT FROM tenancy.create_tenant('unstuck', 'database', '00000000-0000-4000-8000-0000000000d7');
ALTER DATABASE tenant_stuck IS_TEMPLATE false;
SELECT * FROM tenancy.repair();
SELECT datname, datallowconn FROM pg_database WHERE datname ~ 'stuck';

-- A two-phase commit cannot decide about a database.
BEGIN;
SELECT tenancy.drop_tenant('kept', true);
PREPARE TRANSACTION 'regress';
SELECT count(*) FROM tenancy.tenants WHERE slug = 'kept';

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants;
SELECT datname FROM pg_database WHERE datname IN ('tenant_big', 'tenant_kept', 'tenant_newest', 'tenant_undone');
SELECT * FROM tenancy.repair();
\set ECHO none
SELECT 'DROP DATABASE tenancy_template_' || oid FROM pg_database WHERE datname = current_database() \gexec
\set ECHO all
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP ROLE regress_owner, regress_app, regress_one, regress_outsider;
