--
-- Recording what another tool does to a model, and rolling it out.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT current_user AS admin \gset
CREATE ROLE regress_owner LOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
CREATE TABLE regress_model.kinds (name text PRIMARY KEY, weight numeric);
GRANT SELECT, INSERT, UPDATE, DELETE ON regress_model.notes, regress_model.kinds TO regress_app;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('s1', 'schema') IS NOT NULL AS made;

-- Arguments and states
SELECT tenancy.start_recording(NULL);
SELECT tenancy.start_recording(0);
SELECT tenancy.start_recording(1, module => 'nosuch');
SELECT tenancy.stop_recording();
SELECT tenancy.add_migration(5, 'ALTER TABLE notes ADD COLUMN five int');
SELECT tenancy.start_recording(6);
CALL tenancy.migrate();
SELECT tenancy.start_recording(5);
SELECT tenancy.start_recording(4);
SELECT tenancy.start_recording(6, 'by a tool');
SELECT tenancy.start_recording(7);
SELECT tenancy.create_tenant('s2', 'schema');
SELECT tenancy.create_tenant('shared') IS NOT NULL AS made;
SELECT tenancy.add_migration(7, 'SELECT 1');
CALL tenancy.migrate();
DELETE FROM tenancy.migration WHERE version = 7;
SHOW session_preload_libraries;

-- The tool, in a connection of its own, with the path that it likes
\c - regress_owner
SHOW tenancy.recording;
SET client_min_messages = warning;
CREATE TABLE regress_model.tags (id serial PRIMARY KEY, "Label" text NOT NULL,
	note bigint REFERENCES regress_model.notes); CREATE INDEX ON regress_model.tags (note); -- a comment; with a semicolon
SET search_path = regress_model, public;
BEGIN;
ALTER TABLE notes ADD COLUMN pinned boolean NOT NULL DEFAULT false /* why */;
SAVEPOINT a;
ALTER TABLE notes ADD COLUMN never text;
ROLLBACK TO a;
COMMIT;
BEGIN;
ALTER TABLE notes ADD COLUMN neither text;
ROLLBACK;
INSERT INTO kinds VALUES ('a', 1), ('b', 2.5);
PREPARE by_name (text) AS DELETE FROM kinds WHERE name = $1;
EXECUTE by_name('b');
WITH gone AS (DELETE FROM regress_model.kinds k WHERE k.name = 'b' RETURNING *) SELECT count(*) FROM gone;
COMMENT ON COLUMN regress_model.notes.pinned IS 'see regress_model';
CREATE FUNCTION regress_model.label(regress_model.tags) RETURNS text LANGUAGE sql STABLE AS $$SELECT $1."Label"$$;
CREATE TYPE regress_model.mood AS ENUM ('good', 'bad');
DO $do$
BEGIN
	ALTER TABLE notes ADD COLUMN mood mood DEFAULT 'good';
	INSERT INTO kinds VALUES ('c', 3);
END $do$;
CREATE VIEW v AS SELECT id FROM notes;
GRANT SELECT ON v TO regress_app;
TRUNCATE kinds;
INSERT INTO kinds VALUES ('z', 26);
CREATE INDEX CONCURRENTLY notes_body ON regress_model.notes (body);
DROP INDEX tags_note_idx;
SELECT count(*) FROM notes;
-- Not the model: the tool's own table, temporary ones, another schema
CREATE TABLE knex_migrations (id serial PRIMARY KEY, name text);
INSERT INTO knex_migrations (name) VALUES ('first');
CREATE TEMP TABLE notes_temp (id int);
INSERT INTO notes_temp VALUES (1);
-- What cannot be recorded
CREATE INDEX CONCURRENTLY ON notes (five);
GRANT SELECT ON ALL TABLES IN SCHEMA regress_model TO regress_app;
\c - regress_app
SET client_min_messages = warning;
-- What the application does is not recorded.
SELECT tenancy.current_tenant();
\c - :admin
SET client_min_messages = warning;
SELECT number, sql FROM tenancy.recorded_statement ORDER BY number;
-- What our own functions do is not recorded either.
SELECT tenancy.stop_recording();
SHOW tenancy.recording;
SHOW session_preload_libraries;
SELECT version, description, transactional, position FROM tenancy.migration ORDER BY version;
SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = current_database();
SELECT evtname, evtenabled FROM pg_event_trigger ORDER BY 1;
CALL tenancy.migrate();
SELECT tenant, pending, state, last_error FROM tenancy.migration_status ORDER BY 1;
SELECT object, difference FROM tenancy.drift('s1');
SELECT * FROM tenant_s1.kinds;
SELECT has_table_privilege('regress_app', 'tenant_s1.tags', 'INSERT') AS may_insert,
	has_table_privilege('regress_app', 'tenant_s1.v', 'SELECT') AS may_see;

-- Statements within statements: whose they are, and whether they stay
CREATE SCHEMA regress_tools AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_tools TO regress_app;
SET ROLE regress_owner;
CREATE FUNCTION regress_tools.add_kind(name text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
	AS $$BEGIN INSERT INTO regress_model.kinds VALUES (name, 0); END$$;
CREATE FUNCTION regress_tools.add_column() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
	AS $$BEGIN ALTER TABLE notes ADD COLUMN forced int; END$$;
CREATE FUNCTION regress_tools.add_table() RETURNS void LANGUAGE plpgsql
	AS $$BEGIN CREATE TABLE regress_model.by_function (id int); END$$;
CREATE TABLE regress_tools.orders (name text);
CREATE FUNCTION regress_tools.ordered() RETURNS trigger LANGUAGE plpgsql
	AS $$BEGIN INSERT INTO regress_model.kinds VALUES (NEW.name, 0); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON regress_tools.orders DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION regress_tools.ordered();
RESET ROLE;
SELECT tenancy.start_recording(8, 'within');
\c - regress_app
SET client_min_messages = warning;
-- Not recorded, or whatever stands beside it would run as the owner in all copies
SELECT regress_tools.add_kind('by app'), current_user;
SET search_path = regress_model;
SELECT regress_tools.add_column();
\c - regress_owner
SET client_min_messages = warning;
SET search_path = regress_model;
CREATE FUNCTION note_kind() RETURNS trigger LANGUAGE plpgsql
	AS $$BEGIN INSERT INTO notes (body) VALUES (NEW.name); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON kinds DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION note_kind();
-- The trigger's insertion comes with the statement.
INSERT INTO kinds VALUES ('d', 4);
SELECT regress_tools.add_column();
BEGIN;
INSERT INTO kinds VALUES ('e', 5);
COMMIT;
-- The trigger of a table elsewhere would be lost.
INSERT INTO regress_tools.orders VALUES ('lost');
BEGIN;
INSERT INTO regress_tools.orders VALUES ('lost');
COMMIT;
DO $$
BEGIN
	BEGIN
		INSERT INTO kinds VALUES ('never', 5);
		RAISE EXCEPTION 'undo it';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	INSERT INTO kinds VALUES ('f', 6);
END $$;
DO $$BEGIN CREATE TABLE regress_model.half (id int); COMMIT; END$$;
DO $$BEGIN COMMIT; CREATE TABLE regress_model.half (id int); END$$;
DO $$BEGIN INSERT INTO kinds VALUES ('never', 5); ROLLBACK; INSERT INTO kinds VALUES ('never', 5); END$$;
BEGIN;
DECLARE c CURSOR FOR SELECT regress_tools.add_kind('by cursor');
FETCH c;
ROLLBACK;
\c - :admin
SET client_min_messages = warning;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenancy CASCADE;
CALL tenancy.rollback(6);
SELECT number - min(number) OVER () AS number, sql FROM tenancy.recorded_statement ORDER BY 1;
SELECT tenancy.stop_recording();
CALL tenancy.migrate();
SELECT * FROM tenant_s1.kinds ORDER BY 1;
SELECT body FROM tenant_s1.notes ORDER BY 1;

-- Nothing recorded
SELECT tenancy.start_recording(10, 'again', ignore_tables => '{}');
SELECT tenancy.stop_recording(discard => true);
SELECT tenancy.stop_recording();
SELECT count(*) FROM tenancy.migration;

-- A shared model: new tables get their wall at once.
SET ROLE regress_owner;
DROP TABLE regress_model.knex_migrations;
TRUNCATE regress_model.kinds, regress_model.notes CASCADE;
RESET ROLE;
SELECT tenancy.drop_tenant('s1', true);
SELECT tenancy.protect_module('main');
SELECT tenancy.create_tenant('shared') IS NOT NULL AS made;
ALTER DATABASE :"DBNAME" SET session_preload_libraries = 'auto_explain';
SELECT tenancy.start_recording(11, 'walled');
\c - regress_owner
BEGIN;
CREATE TABLE regress_model.walled (id int);
CREATE TABLE regress_model.ledger (id int);
COMMIT;
SELECT regress_tools.add_table();
\c - :admin
SET client_min_messages = warning;
SELECT tenancy.stop_recording();
SELECT sql FROM tenancy.migration WHERE version = 11;
\c -
SHOW session_preload_libraries;
SELECT relrowsecurity, relforcerowsecurity FROM pg_class
	WHERE oid IN ('regress_model.walled'::regclass, 'regress_model.by_function'::regclass);
SET client_min_messages = warning;
ALTER DATABASE :"DBNAME" RESET session_preload_libraries;
-- Should the extension go away in a recording, its sessions go on.
SELECT tenancy.start_recording(12);
ALTER EVENT TRIGGER tenancy_record_start DISABLE;
DROP EXTENSION tenancy CASCADE;
SET ROLE regress_owner;
ALTER TABLE regress_model.walled ADD COLUMN after int;
DELETE FROM regress_tools.orders;
RESET ROLE;
ALTER DATABASE :"DBNAME" RESET tenancy.recording;
ALTER DATABASE :"DBNAME" RESET session_preload_libraries;
DROP SCHEMA regress_model, regress_tools CASCADE;
DROP ROLE regress_owner, regress_app;
