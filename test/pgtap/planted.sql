--
-- Code that the application planted in its own tables and schemas, and what
-- becomes of it when an administrator calls our functions: it may run, if it
-- must, with the rights of its owner, and never with those of a superuser.
--
-- Here the superuser is the victim, so that the calls are a superuser's; what
-- is planted belongs to the ordinary roles shop_owner and app.
--
\set ECHO none
\set QUIET 1
SET client_min_messages = warning;

-- ---------------------------------------------------------------------------
-- A schema with our name, before there is the extension
-- ---------------------------------------------------------------------------
DROP EXTENSION IF EXISTS tenancy CASCADE;
SELECT 'CREATE ROLE app LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') \gexec
DROP OWNED BY app CASCADE;
DROP SCHEMA IF EXISTS tenancy CASCADE;
CREATE SCHEMA tenancy AUTHORIZATION app;
CREATE FUNCTION tenancy.policy_tenant_id() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
\set ON_ERROR_STOP 0
CREATE EXTENSION tenancy;
\set ON_ERROR_STOP 1
\set adopted :SQLSTATE
DROP SCHEMA tenancy CASCADE;
CREATE EXTENSION tenancy;

\ir lib/setup.sql

\ir lib/trap.sql

SELECT plan(58);
SELECT is(:'adopted'::text, '42P06', 'CREATE EXTENSION does not adopt a schema that somebody else made');
SELECT isnt((SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'tenancy'), 'app', 'it has its own');

INSERT INTO t.armed DEFAULT VALUES;

-- control: the trap springs, for whoever runs into it
INSERT INTO shop.trapped_table (a, b) VALUES ('by a superuser', 'x');
SELECT isnt(t.caught(), '', 'the trap works, and a superuser can run into it');
ALTER ROLE shop_owner NOSUPERUSER;
DELETE FROM t.sprung;

SET search_path = public, shop, pg_temp;

SELECT throws_ok($$SELECT tenancy.protect_table('shop.trapped_table')$$, '23502', NULL, 'rows without a tenant');
SELECT is(t.caught(), '', 'looking for them springs nothing');
SELECT t.call($$SELECT tenancy.protect_table('shop.trapped_table', assign_to => 'acme')$$);
SELECT t.call($$SELECT tenancy.protect_table('shop.trapped_table')$$);
SELECT t.call($$SELECT * FROM tenancy.protect_module('shop')$$);
SELECT t.call($$SELECT * FROM tenancy.protected_tables$$);
SELECT t.call($$SELECT tenancy.unprotect_table('shop.trapped_table')$$);
SET ROLE shop_owner;
ALTER TABLE shop.trapped_table ALTER tenant_id DROP NOT NULL;
RESET ROLE;
UPDATE shop.trapped_table SET tenant_id = NULL;
ALTER ROLE shop_owner NOSUPERUSER;
DELETE FROM t.sprung;
-- SET NOT NULL folds a CHECK constraint.  Where a function in it, IMMUTABLE by name only, runs statements, PostgreSQL
-- goes on with memory that it has freed: 15 gets away with it, later versions say "unrecognized token".
SELECT 'ALTER TABLE shop.trapped_table DROP CONSTRAINT by_domain' WHERE current_setting('server_version_num')::int >= 160000 \gexec
SELECT t.call($$SELECT tenancy.protect_table('shop.trapped_table', assign_to => 'hooli')$$);
SELECT $$ALTER TABLE shop.trapped_table ADD CONSTRAINT by_domain CHECK (shop.sly('constraint', true)) NOT VALID$$
WHERE current_setting('server_version_num')::int >= 160000 \gexec
SELECT t.call($$SELECT tenancy.create_tenant('planted')$$);
SELECT t.call($$SELECT tenancy.create_tenant('planted2', 'schema')$$);
SELECT t.call($$SELECT tenancy.rename_tenant('planted', 'planted3')$$);
SELECT t.call($$SELECT tenancy.rename_tenant('planted2', 'planted4')$$);
SELECT t.call($$SELECT tenancy.suspend_tenant('planted4')$$);
SELECT t.call($$SELECT tenancy.resume_tenant('planted4')$$);
SELECT t.call($$SELECT tenancy.grant_access('clerk')$$);
SELECT t.call($$SELECT tenancy.revoke_access('clerk')$$);
SELECT t.call($$SELECT tenancy.grant_access('clerk', 'planted4')$$);
SELECT t.call($$SELECT tenancy.revoke_access('clerk', 'planted4')$$);
SELECT t.call($$SELECT * FROM tenancy.repair()$$);
SELECT t.call($$SELECT * FROM tenancy.tenants$$);

-- as the tenants' own work springs it for the one who does it
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('planted4', false)$$) \g /dev/null
SELECT t.elsewhere('app', 'app', $$INSERT INTO trapped_table (a, b) VALUES ('by app', 'x')$$) \g /dev/null
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('planted3', false)$$) \g /dev/null
SELECT t.elsewhere('app', 'app', $$INSERT INTO trapped_table (a, b) VALUES ('by app', 'x')$$) \g /dev/null
SELECT is_empty($$SELECT * FROM t.sprung WHERE who = 'app' AND how = 'never'$$, 'the application''s own work is its own');
SELECT cmp_ok((SELECT count(*) FROM t.sprung WHERE who = 'app'), '>', 5::bigint, 'where its traps spring as they should');
SELECT t.call($$SELECT tenancy.drop_tenant('planted4', true)$$);

-- A tenant with rows is dropped in a background worker, in a transaction of
-- its own: hence from the top level.
DELETE FROM t.sprung;
SELECT tenancy.drop_tenant('planted3', true) \g /dev/null
SELECT is(t.caught(), '', 'drop_tenant() of a tenant with rows: nothing has sprung for a superuser');
SELECT cmp_ok((SELECT count(*) FROM t.sprung WHERE who = 'shop_owner'), '>', 0::bigint, 'but for the owner of the tables, whose triggers they are');
SELECT is_empty($$SELECT FROM tenancy.tenant WHERE slug LIKE 'planted%'$$, 'and the tenant is gone');

-- A trigger that keeps rows, or fails, stops the removal, and nothing is lost.
-- (The trap would spring for us, who look at the rows as a superuser.)
DELETE FROM t.armed;
SELECT tenancy.create_tenant('kept') \g /dev/null
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('kept', false)$$) \g /dev/null
SELECT t.elsewhere('app', 'app', $$INSERT INTO trapped_table (a, b) VALUES ('kept', 'x')$$) \g /dev/null
SELECT t.leave('app') \g /dev/null
CREATE FUNCTION t.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON shop.trapped_table FOR EACH ROW EXECUTE FUNCTION t.keep();
\set ON_ERROR_STOP 0
SELECT tenancy.drop_tenant('kept', true);
\set ON_ERROR_STOP 1
SELECT isnt(:'SQLSTATE'::text, '00000', 'a trigger that keeps a row makes drop_tenant() fail');
SELECT is((SELECT status FROM tenancy.tenant WHERE slug = 'kept'), 'dropping', 'the tenant stays, out of reach');
SELECT is((SELECT count(*) FROM shop.trapped_table WHERE a = 'kept'), 1::bigint, 'with its row');
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('kept')$q$)$$, 'TN002', NULL, 'nobody can act for it');
SELECT isnt_empty($$SELECT FROM tenancy.repair() WHERE object LIKE '%kept%'$$, 'repair() knows of it');
DROP TRIGGER keep ON shop.trapped_table;
SELECT tenancy.drop_tenant('kept') \g /dev/null
SELECT is_empty($$SELECT FROM tenancy.tenant WHERE slug = 'kept'$$, 'without the trigger, the same call finishes');

-- A database of one's own
DELETE FROM t.sprung;
INSERT INTO t.armed DEFAULT VALUES;
SELECT tenancy.create_tenant('planted-db', 'database') \g /dev/null
SELECT is(t.caught(), '', 'create_tenant(database): nothing has sprung for a superuser here');
SELECT is(t.elsewhere('db', :'admin', 'tenant_planted-db', $$SELECT count(*)::text FROM pg_class WHERE relname = 'trapped_table'$$), '1', 'the trapped table is there');
SELECT t.leave('db') \g /dev/null
SELECT tenancy.drop_tenant('planted-db', true) \g /dev/null
SELECT is(t.caught(), '', 'drop_tenant(database): nothing has sprung for a superuser');

SELECT ok(NOT rolsuper, 'shop_owner is what it was') FROM pg_roles WHERE rolname = 'shop_owner';
SELECT * FROM finish();

SET client_min_messages = error;
DROP OWNED BY app CASCADE;
REVOKE CREATE ON SCHEMA public FROM shop_owner;
