--
-- Modules, tenants as the registry knows them, who may see what; the cache
-- and its invalidation.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_login_owner LOGIN;
CREATE ROLE regress_bypass NOLOGIN BYPASSRLS;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_monitor LOGIN;
CREATE ROLE regress_outsider LOGIN;

-- A schema of this name that somebody made beforehand is never adopted.
CREATE SCHEMA tenancy AUTHORIZATION regress_outsider;
\set VERBOSITY terse
CREATE EXTENSION tenancy;
DROP SCHEMA tenancy;
CREATE EXTENSION tenancy;

-- Everything is revoked from PUBLIC, has a comment, and functions say where
-- they look names up.
SELECT count(*) FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee = 0;
SELECT count(*) FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v') AND a.grantee = 0;
SELECT proname FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace
  AND (obj_description(oid, 'pg_proc') IS NULL OR prosecdef OR (prolang <> 13 AND proconfig IS NULL AND prosqlbody IS NULL));
SELECT relname FROM pg_class
WHERE relnamespace = 'tenancy'::regnamespace AND relkind IN ('r', 'v')
  AND obj_description(oid, 'pg_class') IS NULL;

-- create_module: bad input
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_super;
CREATE SCHEMA regress_bypassed AUTHORIZATION regress_bypass;
CREATE SCHEMA regress_loginable AUTHORIZATION regress_login_owner;
CREATE SCHEMA tenant_looking AUTHORIZATION regress_owner;
\set VERBOSITY default
SELECT tenancy.create_module(NULL, 'regress_model');
SELECT tenancy.create_module('main', NULL);
SELECT tenancy.create_module('', 'regress_model');
SELECT tenancy.create_module('Main', 'regress_model');
SELECT tenancy.create_module('main"; DROP SCHEMA regress_model; --', 'regress_model');
SELECT tenancy.create_module('main', 'regress_missing');
SELECT tenancy.create_module('main', 'regress_super');
SELECT tenancy.create_module('main', 'regress_bypassed');
SELECT tenancy.create_module('main', 'pg_catalog');
SELECT tenancy.create_module('main', 'information_schema');
SELECT tenancy.create_module('main', 'tenancy');
SELECT tenancy.create_module('main', 'tenant_looking');
SELECT * FROM tenancy.module;

-- Without rights, nothing.
SET ROLE regress_outsider;
SELECT tenancy.create_module('main', 'regress_model');
RESET ROLE;
GRANT USAGE ON SCHEMA tenancy TO regress_outsider;
SET ROLE regress_outsider;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_tenant('acme');
SELECT tenancy.suspend_tenant('acme');
SELECT tenancy.resume_tenant('acme');
SELECT tenancy.rename_tenant('acme', 'other');
SELECT tenancy.drop_tenant('acme');
SELECT tenancy.grant_access('regress_outsider');
SELECT tenancy.revoke_access('regress_outsider');
SELECT tenancy.protect_table('pg_class');
SELECT tenancy.set_tenant('acme');
SELECT tenancy.current_tenant();
SELECT tenancy.policy_tenant_id();
SELECT tenancy.tenant_database('acme');
SELECT * FROM tenancy.repair();
SELECT * FROM tenancy.tenant;
SELECT * FROM tenancy.tenants;
SELECT * FROM tenancy.access;
SELECT * FROM tenancy.protected_tables;
RESET ROLE;

-- Good input; an owner that can log in is worth a warning.
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_module('plug-in', 'regress_loginable');
SELECT tenancy.create_module('main', 'regress_other');
CREATE SCHEMA regress_other AUTHORIZATION regress_owner;
SELECT tenancy.create_module('main', 'regress_other');
SELECT tenancy.create_module('other', 'regress_model');
SELECT * FROM tenancy.module ORDER BY position;

-- A role with the right to call the functions needs no other.
GRANT USAGE ON SCHEMA tenancy TO regress_monitor;
GRANT EXECUTE ON FUNCTION tenancy.create_tenant TO regress_monitor;
GRANT SELECT ON tenancy.tenants TO regress_monitor, regress_app;
SET ROLE regress_monitor;
SELECT tenancy.create_tenant('acme', id => '00000000-0000-4000-8000-00000000000a', display_name => 'Acme "Inc"', metadata => '{"plan": "gold"}');
SELECT tenancy.create_tenant('globex', id => '00000000-0000-4000-8000-00000000000b');
SELECT count(*) FROM tenancy.tenants;
RESET ROLE;

-- The view shows a role its own tenants, or all to whoever may read the table.
SELECT slug, mode, status, schema_name, database_name, display_name, metadata FROM tenancy.tenants ORDER BY slug;
SELECT tenancy.grant_access('regress_app', 'globex');
SET ROLE regress_app;
SELECT slug FROM tenancy.tenants;
RESET ROLE;
GRANT SELECT ON tenancy.tenant TO regress_monitor;
SET ROLE regress_monitor;
SELECT slug FROM tenancy.tenants ORDER BY slug;
RESET ROLE;

-- What another statement, or a rollback, changes in the registry is seen.
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('globex');
COMMIT;
RESET ROLE;
UPDATE tenancy.tenant SET slug = 'initech' WHERE slug = 'globex';
SET ROLE regress_app;
SELECT tenancy.set_tenant('globex', false);
SELECT tenancy.set_tenant('initech', false);
SELECT tenancy.current_tenant();
SELECT tenancy.reset_tenant();
RESET ROLE;
BEGIN;
SELECT tenancy.create_tenant('brief', id => '00000000-0000-4000-8000-00000000000c');
SELECT tenancy.set_tenant('brief');
ROLLBACK;
SELECT tenancy.set_tenant('brief');
SELECT tenancy.set_tenant('00000000-0000-4000-8000-00000000000c'::uuid);

-- The library refuses SQL objects of another version.
BEGIN;
UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'tenancy';
UPDATE tenancy.tenant SET slug = slug;	-- forgets what was looked up
ROLLBACK;
UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'tenancy';
\c -
SET client_min_messages = warning;
SELECT tenancy.set_tenant('acme');
SELECT tenancy.create_tenant('new');
UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'tenancy';

-- Dropped and made again in the same session
DROP EXTENSION tenancy CASCADE;
SELECT tenancy.set_tenant('acme');
CREATE EXTENSION tenancy;
SELECT tenancy.set_tenant('acme');
SELECT tenancy.create_tenant('acme', id => '00000000-0000-4000-8000-00000000000d');

DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model, regress_super, regress_bypassed, regress_loginable, tenant_looking, regress_other;
DROP ROLE regress_owner, regress_login_owner, regress_bypass, regress_app, regress_monitor, regress_outsider;
