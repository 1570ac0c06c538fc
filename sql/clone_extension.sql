--
-- Extensions in a model schema: their objects stay there, and the path of tenants
-- in schemas does not lead to them.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA model AUTHORIZATION regress_owner;
CREATE SCHEMA plug AUTHORIZATION regress_owner;
CREATE EXTENSION citext SCHEMA model;
CREATE EXTENSION pg_trgm SCHEMA model;
SET client_min_messages = notice;
SELECT tenancy.create_module('main', 'model');
SELECT tenancy.create_module('plug', 'plug');
SET client_min_messages = warning;
SELECT tenancy.grant_access('regress_app');
SET ROLE regress_owner;
CREATE TABLE model.item (id int, name model.citext DEFAULT 'x'::text::model.citext);
CREATE INDEX ON model.item USING gin (name model.gin_trgm_ops);
-- What is an extension's means that, by whatever name
CREATE FUNCTION model.qualified() RETURNS float4 LANGUAGE sql AS
	$$SELECT model.similarity('abc', 'abd') + count(*) FROM model.item WHERE name OPERATOR(model.=) 'X'::model.citext OR 'a' OPERATOR("model".%) 'b'$$;
CREATE FUNCTION model.only_extension() RETURNS boolean LANGUAGE plpgsql AS
	$$DECLARE a model.citext = 'x'; b boolean; BEGIN EXECUTE 'SELECT $1 OPERATOR(model.=) ''X''::model.citext AND model.similarity(''a'', ''a'') = 1' INTO b USING a; RETURN b AND a OPERATOR(model.=) 'X'; END$$;
CREATE FUNCTION model.other() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RETURN count(*) FROM model.item; END$$;
CREATE TABLE model.texts (id int, a text DEFAULT lower('model.similarity'), b text DEFAULT lower('model.item'));
-- A plug-in that has something of its name
CREATE FUNCTION plug.similarity(text, text) RETURNS float4 LANGUAGE sql BEGIN ATOMIC SELECT 0::float4; END;
CREATE VIEW plug.two AS SELECT model.similarity('abc', 'abd') AS theirs, plug.similarity('abc', 'abd') AS ours;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA model, plug TO regress_app;
RESET ROLE;
SET client_min_messages = notice;
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-00000000000a');
SELECT tenancy.install_module('a', 'plug');
SET client_min_messages = warning;
SELECT prosrc FROM pg_proc WHERE oid = 'tenant_a.qualified()'::regprocedure;
SELECT pg_get_viewdef('tenant_a_plugin_plug.two'::regclass);
SELECT lint, object FROM tenancy.check_isolation() WHERE lint IN ('function_names_model', 'definition_names_model');
SELECT * FROM tenancy.drift();
SELECT tenancy.rename_tenant('a', 'b');
SELECT prosrc FROM pg_proc WHERE oid = 'tenant_b.qualified()'::regprocedure;
SELECT current_user AS admin \gset
\c - regress_app
\set SHOW_CONTEXT never
SELECT tenancy.set_tenant('b', false);
INSERT INTO item VALUES (1, 'x');
SELECT qualified(), only_extension(), two.* FROM two;
-- A name without a schema is not found, and PostgreSQL's own operators take the place of the extension's.
SELECT word_similarity('abc', 'abd');
SELECT 'X'::citext;
SELECT count(*) FROM item WHERE name = 'X';
\c - :admin
SET client_min_messages = warning;
\set SHOW_CONTEXT never
-- With the schema, it is; what is not an extension's must not be named so.
SELECT tenancy.add_migration(1, 'ALTER TABLE model.item ADD COLUMN more model.citext', module => 'main');
SELECT tenancy.add_migration(1, 'ALTER TABLE item ADD COLUMN more model.citext; UPDATE item SET more = ''a'' WHERE name OPERATOR("model" . =) ''X''', module => 'main');
CALL tenancy.migrate();
SELECT tenancy.start_recording(2, 'recorded', 'main');
ALTER TABLE model.item ADD COLUMN recorded model.citext;
SELECT tenancy.stop_recording();
CALL tenancy.migrate();
SELECT sql FROM tenancy.migration WHERE version = 2;
SELECT attrelid::regclass, attname, atttypid::regtype FROM pg_attribute WHERE attname IN ('more', 'recorded') ORDER BY attrelid::regclass::text, 2;
SELECT * FROM tenant_b.item;
SELECT tenancy.add_migration(3, 'ALTER TABLE item ADD COLUMN last citext', module => 'main');
CALL tenancy.migrate();
SELECT tenant, version, state, last_error FROM tenancy.migration_status WHERE module = 'main' ORDER BY tenant;

-- No fix while functions might look for it where it is
SELECT severity, lint, object, detail, fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
DROP FUNCTION model.qualified(), model.only_extension(), model.other(), tenant_b.qualified(), tenant_b.only_extension(), tenant_b.other();
CREATE FUNCTION model.pinned() RETURNS float4 LANGUAGE plpgsql SET search_path = model, pg_temp AS $$BEGIN RETURN similarity('abc', 'abd'); END$$;
SELECT object, fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
ALTER FUNCTION model.pinned() SET search_path = model, public, pg_temp;
SELECT object, fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
-- nor where there is nowhere to move it to
SET tenancy.search_path = 'regress_none, pg_catalog, tenancy, model, tenant_b';
SELECT object, fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
RESET tenancy.search_path;
-- but one in which the application can create nothing, since migrations leave out the others
SET client_min_messages = error;
CREATE SCHEMA regress_ext;
GRANT CREATE ON SCHEMA regress_ext TO regress_app;
ALTER FUNCTION model.pinned() SET search_path = model, regress_ext, public, pg_temp;
SET tenancy.search_path = 'regress_ext, public';
SELECT object, fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
REVOKE CREATE ON SCHEMA regress_ext FROM regress_app;
SELECT object, fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
DROP SCHEMA regress_ext;
RESET tenancy.search_path;
SELECT fix FROM tenancy.check_isolation() WHERE lint = 'extension_in_model' \gexec
SELECT object FROM tenancy.check_isolation() WHERE lint = 'extension_in_model';
CALL tenancy.migrate();
SELECT tenant, version, state, last_error FROM tenancy.migration_status WHERE module = 'main' ORDER BY tenant;
\c - regress_app
\set SHOW_CONTEXT never
SELECT tenancy.set_tenant('b', false);
SELECT word_similarity('abc', 'abd'), count(*) FROM item WHERE name = 'X';
\c - :admin
SET client_min_messages = warning;

DROP EXTENSION tenancy CASCADE;
DROP SCHEMA model, plug, tenant_b, tenant_b_plugin_plug CASCADE;
DROP EXTENSION citext, pg_trgm;
DROP ROLE regress_owner, regress_app;
