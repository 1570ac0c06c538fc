--
-- What migrations leave of tenants' row security, and of the owner's default privileges
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_reader NOLOGIN;
CREATE EXTENSION tenancy;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT SELECT ON TABLES TO regress_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT USAGE ON SEQUENCES TO regress_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.note (id int, who text);
CREATE TABLE regress_model.finer (id int, who text);
CREATE POLICY own ON regress_model.finer USING (id > 0);
ALTER TABLE regress_model.finer ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON regress_model.note, regress_model.finer TO regress_app;
RESET ROLE;
SELECT count(tenancy.create_module('main', 'regress_model'));
SELECT count(tenancy.grant_access('regress_app'));
SELECT count(tenancy.create_tenant(slug, mode::tenancy.isolation_mode)) FROM (VALUES ('a', 'schema'), ('b', 'schema'), ('d', 'database')) t (slug, mode);
SELECT object, difference FROM tenancy.drift();

SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a') IS NOT NULL;
INSERT INTO note VALUES (1, 'regress_app'), (2, 'somebody');
INSERT INTO finer VALUES (1, 'regress_app');
COMMIT;
RESET ROLE;

-- Policies of the application's own come, and go
SELECT tenancy.add_migration(1, 'ALTER TABLE note ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON note USING (who = current_user)');
SELECT tenancy.add_migration(2, 'DROP POLICY own ON finer; ALTER TABLE finer NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY');
SELECT tenancy.add_migration(3, 'CREATE VIEW notes AS SELECT * FROM note; CREATE SEQUENCE numbers;
	CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$SELECT 1$$');
CALL tenancy.migrate();
SELECT tenant, object, difference FROM tenancy.drift();
SELECT object, lint FROM tenancy.check_isolation() WHERE lint ~ 'row_security|isolation|access_policy' AND lint <> 'table_not_protected';
SELECT polrelid::regclass, string_agg(polname, ' ' ORDER BY polname) FROM pg_policy GROUP BY 1 ORDER BY 1::text;

SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a') IS NOT NULL;
SELECT * FROM note;
SELECT * FROM finer;
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('b') IS NOT NULL;
SELECT * FROM tenant_a.note;
SELECT * FROM tenant_a.finer;
COMMIT;
RESET ROLE;

-- Tenants that come now are the same
SELECT count(tenancy.create_tenant(slug, mode::tenancy.isolation_mode)) FROM (VALUES ('later', 'schema'), ('laterd', 'database')) t (slug, mode);
SELECT tenant, object, difference FROM tenancy.drift();

-- The wall of a shared table stays, too
SELECT * FROM tenancy.protect_module('main');
SELECT tenancy.add_migration(4, 'ALTER TABLE finer DISABLE ROW LEVEL SECURITY');
CALL tenancy.migrate();
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relnamespace = 'regress_model'::regnamespace AND relkind = 'r' ORDER BY 1;

-- A statement about the model schema would change it once more in each copy
SELECT tenancy.add_migration(5, 'GRANT SELECT ON ALL TABLES IN SCHEMA regress_model TO regress_reader');
SELECT tenancy.add_migration(5, E'SELECT 1;\nALTER DEFAULT PRIVILEGES IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_reader');
SELECT tenancy.add_migration(5, 'COMMENT ON SCHEMA regress_model IS ''a comment''');
SELECT tenancy.add_migration(5, 'GRANT USAGE ON SCHEMA public TO regress_reader');

-- Default privileges that a tenant's database has lost
SELECT 'tenant_d' AS database, current_database() AS here \gset
\c :database
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner REVOKE SELECT ON TABLES FROM regress_reader;
\c :here
SELECT tenant, object FROM tenancy.drift() WHERE object ~ 'default';

SET client_min_messages = warning;
SELECT count(tenancy.drop_tenant(slug, true)) FROM (SELECT slug FROM tenancy.tenant) t;
\set ECHO none
SELECT 'DROP DATABASE tenancy_template_' || oid FROM pg_database WHERE datname = current_database() \gexec
\set ECHO all
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP OWNED BY regress_owner;
DROP OWNED BY regress_reader;
DROP ROLE regress_owner, regress_app, regress_reader;
