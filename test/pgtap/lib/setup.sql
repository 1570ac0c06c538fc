--
-- What all test files begin with: the roles, a helper schema, the model, and
-- tenants.  Included as a superuser in the file's own database, where the
-- extension and pgTAP exist already.
--
-- Roles belong to the cluster and may be there from another file, as they may
-- from an earlier run of the same one:
--
--   shop_owner   owns the model; NOLOGIN
--   app          the application: may act for all tenants
--   clerk        may act for tenant acme only
--   stranger     may use the tables, but act for nobody
--   member       is a member of role team, which it becomes with SET ROLE only
--   lenient      is app, but without a context sees no rows instead of an error
--
-- The variable "mode" tells how the tenants acme and hooli are isolated.
--
\set ECHO none
\set QUIET 1
\set admin :USER
\if :{?mode}
\else
	\set mode shared
\endif
SET client_min_messages = warning;

-- What an earlier run in this database left behind.
SELECT pg_catalog.format('SELECT tenancy.drop_tenant(%L, true)', slug)
FROM tenancy.tenants \gexec
SELECT pg_catalog.format('DROP SCHEMA %I CASCADE', nspname)
FROM pg_catalog.pg_namespace WHERE nspname LIKE 'tenant\_\_spare\_%' \gexec
DROP EXTENSION IF EXISTS tenancy CASCADE;
DROP SCHEMA IF EXISTS t CASCADE;
DROP SCHEMA IF EXISTS shop CASCADE;
CREATE EXTENSION tenancy;

SELECT pg_catalog.format('CREATE ROLE %I %s', name, attributes)
FROM (VALUES ('shop_owner', 'NOLOGIN'), ('app', 'LOGIN'), ('clerk', 'LOGIN'), ('stranger', 'LOGIN'),
	('team', 'NOLOGIN'), ('member', 'LOGIN NOINHERIT IN ROLE team'), ('lenient', 'LOGIN IN ROLE app')) AS r (name, attributes)
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name)
ORDER BY attributes LIKE '%IN ROLE%' \gexec

SET client_min_messages = error;
ALTER ROLE shop_owner NOSUPERUSER;
REVOKE app FROM clerk;
SET client_min_messages = warning;

\ir helpers.sql
\ir model.sql

SELECT tenancy.create_module('shop', 'shop') \g /dev/null
SELECT * FROM tenancy.protect_module('shop') \g /dev/null
SELECT tenancy.grant_access('app') \g /dev/null
SELECT tenancy.create_tenant('acme', :'mode', '00000000-0000-4000-8000-00000000000a') \g /dev/null
SELECT tenancy.create_tenant('hooli', :'mode', '00000000-0000-4000-8000-00000000000b') \g /dev/null
SELECT tenancy.grant_access('clerk', 'acme') \g /dev/null
\set acme 00000000-0000-4000-8000-00000000000a
\set hooli 00000000-0000-4000-8000-00000000000b
