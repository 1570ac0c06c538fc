--
-- A tenant's schema or database that a DBA has dropped by hand, made again
-- under its name by a role that may create such things and act for nobody: it
-- waits for the tenant's rows, for the application's calls of its functions, and
-- for administrators who work in it.
--
\ir lib/setup.sql
CREATE SCHEMA crm AUTHORIZATION shop_owner;
SET ROLE shop_owner;
CREATE TABLE crm.lead (id integer);
GRANT USAGE ON SCHEMA crm TO app;
GRANT ALL ON crm.lead TO app;
RESET ROLE;
SELECT tenancy.create_module('crm', 'crm') \g /dev/null
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.create_tenant('umbrella', 'schema') \g /dev/null
SELECT tenancy.install_module('umbrella', 'crm') \g /dev/null
SELECT tenancy.create_tenant('pgtap-sq', 'database') \g /dev/null
SELECT 'CREATE ROLE squatter LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'squatter') \gexec
ALTER ROLE squatter CREATEDB;
GRANT CREATE ON DATABASE :DBNAME TO squatter;
SELECT current_database() AS application \gset

SELECT plan(47);

-- ---------------------------------------------------------------------------
-- Schemas
-- ---------------------------------------------------------------------------
SELECT lives_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('globex', false)$q$)$$, 'control: the tenant can be acted for');
DROP SCHEMA tenant_globex CASCADE;
DROP SCHEMA tenant_umbrella_plugin_crm CASCADE;

-- Of a name that is free, the first one has it; ours are not made its guests.
SET ROLE squatter;
CREATE SCHEMA tenant_globex;
CREATE TABLE tenant_globex.notes (note text);
CREATE TABLE tenant_globex.caught (who text, what text);
GRANT ALL ON SCHEMA tenant_globex TO PUBLIC;
GRANT ALL ON tenant_globex.notes, tenant_globex.caught TO PUBLIC;
CREATE FUNCTION tenant_globex.customer_count() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO tenant_globex.caught VALUES (current_user, 'customer_count()');
	RETURN 0;
END $$;
CREATE FUNCTION tenant_globex.trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO tenant_globex.caught VALUES (current_user, TG_OP);
	RETURN NULL;
END $$;
CREATE TRIGGER trap AFTER INSERT OR DELETE OR UPDATE OR TRUNCATE ON tenant_globex.notes EXECUTE FUNCTION tenant_globex.trap();
CREATE SCHEMA tenant_umbrella_plugin_crm;
CREATE TABLE tenant_umbrella_plugin_crm.lead (id integer);
GRANT ALL ON SCHEMA tenant_umbrella_plugin_crm TO PUBLIC;
GRANT ALL ON tenant_umbrella_plugin_crm.lead TO PUBLIC;
CREATE SCHEMA tenant_new;
CREATE SCHEMA tenant_acme_plugin_crm;
RESET ROLE;

SELECT throws_ok($$SELECT tenancy.create_tenant('new', 'schema')$$, '42P06', NULL, 'create_tenant() takes no schema that is there');
SELECT throws_ok($$SELECT tenancy.rename_tenant('umbrella', 'new')$$, '42P06', NULL, 'nor does rename_tenant()');
SELECT is((SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'tenant_new'), 'squatter', 'it is whose it was');
SELECT lives_ok($$SELECT tenancy.grant_access('clerk', 'globex')$$, 'access can be granted');

-- The application
SELECT t.leave('app') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('globex', false)$q$)$$, '55000', NULL, 'the application does not act for the tenant among its tables');
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('globex', true)$q$)$$, '55000', NULL, 'not for a transaction either');
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('umbrella', false)$q$)$$, '55000', NULL, 'a plug-in''s schema is enough');
SELECT is(t.elsewhere('app', 'app', 'SELECT tenancy.current_tenant()'), NULL, 'there is no context');
SELECT unalike(t.elsewhere('app', 'app', $$SELECT current_setting('search_path')$$), '%globex%', 'nor a path');
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$INSERT INTO notes (note) VALUES ('secret')$q$)$$, '42P01', NULL, 'nothing is written there');
SELECT lives_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('acme', false)$q$)$$, 'other tenants can be acted for');

-- Administrators
SELECT current_setting('data_directory') || '/squatted_export' AS target \gset
SELECT tenancy.add_migration(1, 'CREATE TABLE added (a integer)', 'one', 'shop') \g /dev/null
SELECT tenancy.suspend_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
CALL tenancy.migrate('shop', retries => 0);
\set ON_ERROR_STOP 1
\set migrated :SQLSTATE
SELECT is(:'migrated'::text, '55000', 'migrate() fails for the tenant');
SELECT is(to_regclass('tenant_globex.added'), NULL, 'and leaves the schema alone');
SELECT alike((SELECT last_error FROM tenancy.migration_status WHERE tenant = 'globex' AND module = 'shop'), '%not the one that was made%', 'and says why');
SELECT isnt(to_regclass('tenant_umbrella.added'), NULL, 'where another one is migrated');
SELECT throws_ok(format('SELECT tenancy.export_tenant(%L, %L)', 'globex', :'target'), '55000', NULL, 'export_tenant() is refused');
SELECT throws_ok($$SELECT tenancy.copy_tenant('globex', 'copy')$$, '55000', NULL, 'copy_tenant(), too');
SELECT throws_ok($$SELECT tenancy.rename_tenant('globex', 'initech')$$, '55000', NULL, 'rename_tenant(), too');
SELECT is(to_regnamespace('tenant_initech'), NULL, 'and renames nothing');
SELECT isnt_empty($$SELECT FROM tenancy.drift('globex') WHERE object = 'the schema'$$, 'drift() tells of the owner');
SELECT isnt_empty($$SELECT FROM tenancy.repair() WHERE object = 'schema tenant_globex' AND problem = 'its owner is not the owner of the model'$$, 'repair(), too');
SELECT is_empty('SELECT * FROM tenant_globex.caught', 'nobody has run into the trap');
SELECT lives_ok($$SELECT tenancy.uninstall_module('umbrella', 'crm')$$, 'the plug-in can be taken from the tenant');
SELECT isnt(to_regnamespace('tenant_umbrella_plugin_crm'), NULL, 'which leaves the schema where it is');
SELECT lives_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('umbrella', false)$q$)$$, 'after that the tenant can be acted for');
SELECT throws_ok($$SELECT tenancy.install_module('umbrella', 'crm')$$, '42P06', NULL, 'and gets no plug-in in that schema');
SELECT lives_ok($$SELECT tenancy.drop_tenant('globex', true)$$, 'the tenant can be dropped');
SELECT isnt(to_regnamespace('tenant_globex'), NULL, 'which leaves the schema where it is');
SELECT is_empty($$SELECT FROM tenancy.tenant WHERE slug = 'globex'$$, 'and the tenant is gone');
-- control: a DBA who makes the schema again
DROP SCHEMA tenant_globex CASCADE;
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
ALTER SCHEMA tenant_globex OWNER TO :admin;
SELECT lives_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.set_tenant('globex', false)$q$)$$, 'a superuser''s schema is trusted');
SELECT t.leave('app') \g /dev/null

-- ---------------------------------------------------------------------------
-- A database
-- ---------------------------------------------------------------------------
SELECT is(t.elsewhere('app', 'app', $$SELECT tenancy.tenant_database('pgtap-sq')$$), 'tenant_pgtap-sq', 'control: the tenant''s database');
DROP DATABASE "tenant_pgtap-sq";
SELECT t.elsewhere('squatter', 'squatter', 'CREATE DATABASE "tenant_pgtap-sq"') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.tenant_database('pgtap-sq')$q$)$$, '55000', NULL, 'nobody is led to one that somebody else made');
-- It cannot be labelled as ours, with the library loaded or not ...
SELECT throws_ok(format($$SELECT t.elsewhere('squatter', 'squatter', 'ALTER DATABASE "tenant_pgtap-sq" SET tenancy.application_database = %s')$$, oid), '42501', NULL, 'its owner cannot label it')
FROM pg_database WHERE datname = current_database();
SELECT tenancy.grant_access('squatter', 'acme') \g /dev/null
SELECT is(t.elsewhere('squatter', 'squatter', 'SELECT tenancy.current_tenant()'), NULL, 'a session of its owner with the library');
SELECT throws_ok(format($$SELECT t.elsewhere('squatter', 'squatter', 'ALTER DATABASE "tenant_pgtap-sq" SET tenancy.application_database = %s')$$, oid), '42501', NULL, 'cannot either')
FROM pg_database WHERE datname = current_database();
SELECT tenancy.revoke_access('squatter') \g /dev/null
-- ... and does not become ours.  There it would wait for a superuser.
SELECT t.elsewhere('there', 'squatter', 'tenant_pgtap-sq', 'CREATE SCHEMA tenancy') \g /dev/null
SELECT t.elsewhere('there', 'squatter', 'tenant_pgtap-sq', $$CREATE FUNCTION tenancy.export_tables(jsonb, text) RETURNS void LANGUAGE plpgsql AS 'BEGIN ALTER ROLE squatter SUPERUSER; END'$$) \g /dev/null
SELECT t.leave('there') \g /dev/null
SELECT set_eq($$SELECT problem FROM tenancy.repair() WHERE object = 'database tenant_pgtap-sq'$$, ARRAY['it belongs to another database'], 'repair() does not take it over');
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', $q$SELECT tenancy.tenant_database('pgtap-sq')$q$)$$, '55000', NULL, 'nobody is led there after that');
SELECT throws_ok(format('SELECT tenancy.export_tenant(%L, %L)', 'pgtap-sq', :'target'), '55000', NULL, 'export_tenant() is refused');
SELECT throws_ok($$SELECT tenancy.suspend_tenant('pgtap-sq')$$, '55000', NULL, 'suspend_tenant(), too');
SELECT throws_ok($$SELECT tenancy.rename_tenant('pgtap-sq', 'pgtap-sq2')$$, '55000', NULL, 'rename_tenant(), too');
SELECT lives_ok($$SELECT tenancy.create_token_key('k', 'HS256', '0123456789abcdef0123456789abcdef')$$, 'a key can be created');
SELECT t.elsewhere('there', 'squatter', 'tenant_pgtap-sq', 'SELECT 1') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('there', 'squatter', 'tenant_pgtap-sq', 'SELECT count(*) FROM tenancy.token_key')$$, '42P01', NULL, 'and does not get there');
SELECT t.leave('there') \g /dev/null
SELECT tenancy.drop_tenant('pgtap-sq', true) \g /dev/null
SELECT isnt_empty($$SELECT FROM pg_database WHERE datname = 'tenant_pgtap-sq'$$, 'drop_tenant() leaves it where it is');
SELECT is_empty($$SELECT FROM tenancy.tenant WHERE slug = 'pgtap-sq'$$, 'and the tenant is gone');
SELECT throws_ok($$SELECT tenancy.create_tenant('pgtap-sq', 'database')$$, '42P04', NULL, 'create_tenant() takes no database that is there');
SELECT ok(NOT rolsuper, 'squatter is what it was') FROM pg_roles WHERE rolname = 'squatter';
SELECT * FROM finish();

\set ON_ERROR_STOP 0
SELECT t.leave('app'), t.leave('squatter') \g /dev/null
DROP DATABASE "tenant_pgtap-sq";
SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants \g /dev/null
DROP EXTENSION tenancy CASCADE;
DROP OWNED BY squatter CASCADE;
DROP ROLE squatter;
DROP SCHEMA crm CASCADE;
