--
-- Tenants' lives in shared and schema mode: create, suspend, resume, rename,
-- drop.  (Databases: see database.)
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_super NOLOGIN SUPERUSER;
CREATE EXTENSION tenancy;

-- Before there is a module, a tenant can only be shared.
SELECT tenancy.create_tenant('early', id => '00000000-0000-4000-8000-000000000001');
SELECT tenancy.create_tenant('schemaless', 'schema');
SELECT tenancy.create_tenant('baseless', 'database');

CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.customer (id int PRIMARY KEY, name text);
CREATE TABLE regress_model.invoice (
	id int PRIMARY KEY, customer int REFERENCES regress_model.customer, reverses int REFERENCES regress_model.invoice DEFERRABLE INITIALLY DEFERRED);
GRANT USAGE ON SCHEMA regress_model TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model TO regress_app;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_tenant('toosoon');
SELECT tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');

-- Slugs: refused
SELECT tenancy.create_tenant('');
SELECT tenancy.create_tenant(repeat('x', 41));
SELECT tenancy.create_tenant(repeat('x', 10 * 1024 * 1024));
SELECT tenancy.create_tenant('Acme');
SELECT tenancy.create_tenant('o''hara');
SELECT tenancy.create_tenant('"quoted"');
SELECT tenancy.create_tenant('a,b');
SELECT tenancy.create_tenant(E'a\nb');
SELECT tenancy.create_tenant(E'a\x01b');
SELECT tenancy.create_tenant('a b');
SELECT tenancy.create_tenant('$user');
SELECT tenancy.create_tenant('-acme');
SELECT tenancy.create_tenant('acme-');
SELECT tenancy.create_tenant('_acme');
SELECT tenancy.create_tenant('acme_');
SELECT tenancy.create_tenant('00000000-0000-4000-8000-000000000001');
SELECT tenancy.create_tenant('00000000000040008000000000000001');
SELECT tenancy.create_tenant('0000-0000-0000-4000-8000-0000-0000-0001');
SELECT tenancy.create_tenant(U&'\0430cme');		-- a Cyrillic a
SELECT tenancy.create_tenant(U&'acm\FF45');		-- a full-width e
SELECT tenancy.create_tenant('a.b');

-- Slugs: taken
SELECT tenancy.create_tenant('a', id => '00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.create_tenant(repeat('x', 40), 'schema', '00000000-0000-4000-8000-0000000000a2');
SELECT tenancy.create_tenant('0', id => '00000000-0000-4000-8000-0000000000a3');
SELECT tenancy.create_tenant('a-_-b', 'schema', '00000000-0000-4000-8000-0000000000a4');
SELECT slug, schema_name FROM tenancy.tenants ORDER BY id;

-- NULLs, and metadata that is no object
SELECT tenancy.create_tenant(NULL);
SELECT tenancy.create_tenant('n', NULL);
SELECT tenancy.create_tenant('n', metadata => NULL);
SELECT tenancy.create_tenant('n', metadata => '[1]');
SELECT tenancy.create_tenant('n', metadata => '"x"');
SELECT tenancy.suspend_tenant(NULL);
SELECT tenancy.resume_tenant(NULL);
SELECT tenancy.rename_tenant(NULL, 'x');
SELECT tenancy.rename_tenant('a', NULL);
SELECT tenancy.drop_tenant(NULL);
SELECT tenancy.drop_tenant('a', NULL);

-- What exists already
SELECT tenancy.create_tenant('a');
SELECT tenancy.create_tenant('a2', id => '00000000-0000-4000-8000-0000000000a1');
CREATE SCHEMA tenant_squatted AUTHORIZATION regress_app;
SELECT tenancy.create_tenant('squatted', 'schema');
DROP SCHEMA tenant_squatted;
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-0000000000b1');
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-0000000000c1');
SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname LIKE 'tenant\_%' ORDER BY 1;

-- Rows
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a') IS NULL;
INSERT INTO customer VALUES (1, 'one');
INSERT INTO invoice VALUES (1, 1, 2), (2, 1, 1);
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('b') IS NULL;
INSERT INTO customer VALUES (1, 'one');
INSERT INTO invoice VALUES (1, 1, 1);
COMMIT;

-- Suspended: refused for every use, whatever the mode
RESET ROLE;
SELECT tenancy.suspend_tenant('a', 'unpaid');
SELECT tenancy.suspend_tenant('b');
SELECT tenancy.suspend_tenant('b');
SELECT slug, status, status_reason FROM tenancy.tenants WHERE status <> 'active' ORDER BY slug;
SET ROLE regress_app;
SELECT tenancy.set_tenant('a', false);
SELECT tenancy.set_tenant('b', false);
RESET ROLE;
SELECT tenancy.resume_tenant('a');
SELECT tenancy.resume_tenant('a');
SELECT tenancy.resume_tenant('b');
SELECT slug, status, status_reason FROM tenancy.tenants WHERE slug IN ('a', 'b') ORDER BY slug;

-- A function's search_path that names the model names the copy in the copy,
-- and follows a rename.
SET ROLE regress_owner;
CREATE FUNCTION regress_model.customers() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = regress_model, "Odd ""name", pg_temp AS $$ BEGIN RETURN (SELECT count(*) FROM customer); END $$;
GRANT EXECUTE ON FUNCTION regress_model.customers() TO regress_app;
RESET ROLE;
SELECT tenancy.create_tenant('d', 'schema', '00000000-0000-4000-8000-0000000000c2');
SELECT proconfig FROM pg_proc WHERE oid = 'tenant_d.customers()'::regprocedure;
SELECT tenancy.rename_tenant('d', 'e');
SELECT proconfig FROM pg_proc WHERE oid = 'tenant_e.customers()'::regprocedure;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('e') IS NULL;
INSERT INTO customer VALUES (1, 'one'), (2, 'two');
SELECT customers();
COMMIT;
RESET ROLE;

-- A tenant's table whose restrictive policy is gone shows nobody its two rows.
DROP POLICY tenant_isolation ON tenant_e.customer;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('e') IS NULL;
SELECT count(*) FROM tenant_e.customer;
ROLLBACK;
SELECT count(*) FROM tenant_e.customer;
RESET ROLE;

-- What another role owns in the model belongs to the owner in the copy, unless
-- it acts with its owner's rights.
SET ROLE regress_super;
CREATE TABLE regress_model.foreign_owned (id int);
RESET ROLE;
GRANT SELECT ON regress_model.foreign_owned TO regress_app;
SELECT tenancy.protect_table('regress_model.foreign_owned');
SELECT tenancy.create_tenant('f', 'schema', '00000000-0000-4000-8000-0000000000c3');
SELECT relowner::regrole, has_table_privilege('regress_owner', oid, 'INSERT') AS owner_insert, has_table_privilege('regress_app', oid, 'SELECT') AS app_select, has_table_privilege('regress_app', oid, 'INSERT') AS app_insert FROM pg_class WHERE oid = 'tenant_f.foreign_owned'::regclass;
SET ROLE regress_super;
CREATE VIEW regress_model.foreign_view AS SELECT * FROM regress_model.foreign_owned;
RESET ROLE;
SELECT tenancy.create_tenant('g', 'schema', '00000000-0000-4000-8000-0000000000c4');
DROP VIEW regress_model.foreign_view;
DROP TABLE regress_model.foreign_owned;

-- Renamed
SELECT tenancy.rename_tenant('b', 'c');
SELECT tenancy.rename_tenant('b', 'Bad');
SELECT tenancy.rename_tenant('nobody', 'd');
SELECT tenancy.rename_tenant('a', 'alpha');
SELECT tenancy.rename_tenant('b', 'beta');
SELECT slug, schema_name FROM tenancy.tenants WHERE slug IN ('alpha', 'beta') ORDER BY slug;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('beta') IS NULL;
SELECT current_schemas(false), count(*) FROM invoice;
COMMIT;
RESET ROLE;
BEGIN;
SELECT tenancy.rename_tenant('beta', 'gamma');
ROLLBACK;
SELECT slug, schema_name FROM tenancy.tenants WHERE id = '00000000-0000-4000-8000-0000000000b1';

-- Dropped: an active one only by force
SELECT tenancy.drop_tenant('alpha');
SELECT tenancy.drop_tenant('beta');
SELECT tenancy.drop_tenant('nobody');

-- A schema goes with the transaction
BEGIN;
SELECT tenancy.drop_tenant('beta', true);
ROLLBACK;
SELECT count(*) FROM tenant_beta.invoice;	-- as superuser: RLS does not apply

-- ... unless somebody's view would go along
CREATE VIEW public.regress_report AS SELECT * FROM tenant_beta.invoice;
SELECT tenancy.suspend_tenant('beta');
SELECT tenancy.drop_tenant('beta');
SELECT tenancy.drop_tenant('beta', true);
SELECT to_regclass('public.regress_report') IS NULL, to_regnamespace('tenant_beta') IS NULL;

-- Shared rows go in a worker, in the order that foreign keys need
SELECT count(*) FROM regress_model.invoice;
BEGIN;
SELECT tenancy.suspend_tenant('alpha');
SELECT tenancy.drop_tenant('alpha');
ROLLBACK;
SELECT tenancy.drop_tenant('alpha', true);
SELECT count(*) FROM regress_model.invoice;
SELECT count(*) FROM regress_model.customer;

-- A trigger that the application planted runs with the owner's rights, and
-- one that keeps a row does not make us forget it.
SELECT tenancy.create_tenant('trap', id => '00000000-0000-4000-8000-0000000000d1');
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('trap') IS NULL;
INSERT INTO customer VALUES (5, 'five');
COMMIT;
RESET ROLE;
SET ROLE regress_owner;
CREATE FUNCTION regress_model.keep() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE WARNING 'trigger runs as %', current_user; RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE DELETE ON regress_model.customer FOR EACH ROW EXECUTE FUNCTION regress_model.keep();
RESET ROLE;
SELECT tenancy.drop_tenant('trap', true);
SELECT status FROM tenancy.tenants WHERE slug = 'trap';
SELECT regexp_replace(object, '\d{4,}', 'N') AS object, problem, action FROM tenancy.repair();
SET ROLE regress_app;
SELECT tenancy.set_tenant('trap', false);
RESET ROLE;
SELECT tenancy.resume_tenant('trap');
SELECT tenancy.rename_tenant('trap', 'trapped');
SET ROLE regress_owner;
DROP TRIGGER keep ON regress_model.customer;
RESET ROLE;
SELECT tenancy.drop_tenant('trap');
SELECT count(*) FROM tenancy.tenants WHERE slug = 'trap';
SELECT count(*) FROM regress_model.customer;

-- Created, filled and dropped in one transaction: refused, and all is undone
BEGIN;
SELECT tenancy.create_tenant('brief', id => '00000000-0000-4000-8000-0000000000d2');
INSERT INTO regress_model.customer VALUES (6, 'six', '00000000-0000-4000-8000-0000000000d2');
SELECT tenancy.drop_tenant('brief', true);
ROLLBACK;
-- ... without rows it is an ordinary part of the transaction
BEGIN;
SELECT tenancy.create_tenant('brief', id => '00000000-0000-4000-8000-0000000000d2');
SELECT tenancy.drop_tenant('brief', true);
COMMIT;
SELECT count(*) FROM tenancy.tenants WHERE slug = 'brief';

-- What only a DBA can decide about is reported.
SELECT tenancy.create_tenant('gone', 'schema', '00000000-0000-4000-8000-0000000000e1');
DROP SCHEMA tenant_gone CASCADE;
SELECT regexp_replace(object, '\d{4,}', 'N') AS object, problem, action FROM tenancy.repair();
SET ROLE regress_app;
SELECT tenancy.set_tenant('gone', false);
RESET ROLE;
SELECT tenancy.drop_tenant('gone', true);
SELECT regexp_replace(object, '\d{4,}', 'N') AS object, problem, action FROM tenancy.repair();

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant\_%';
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP ROLE regress_owner, regress_app, regress_super;
