--
-- Spares: schemas that were cloned ahead of need.  Those of mode database are
-- tested in test/t, together with what needs several servers' lives.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_late LOGIN;
CREATE ROLE regress_later LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
CREATE FUNCTION regress_model.notes() RETURNS bigint LANGUAGE sql SET search_path = regress_model
	AS 'SELECT count(*) FROM note';
GRANT USAGE ON SCHEMA regress_model TO regress_app, regress_late;
GRANT SELECT, INSERT, UPDATE, DELETE ON regress_model.note TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON regress_model.note TO regress_late;
RESET ROLE;

-- Refused
SELECT tenancy.set_spares(NULL, 1);
SELECT tenancy.set_spares('schema', NULL);
SELECT tenancy.set_spares('shared', 1);
SELECT tenancy.set_spares('schema', -1);
SELECT tenancy.set_spares('schema', 1001);
SELECT tenancy.set_spares('schema', 3);
CALL tenancy.refill_spares();
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.grant_access('regress_app');
BEGIN;
CALL tenancy.refill_spares();
ROLLBACK;
SET ROLE regress_app;
CALL tenancy.refill_spares();
SELECT tenancy.set_spares('schema', 0);
SELECT * FROM tenancy.spares;
RESET ROLE;

CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;
CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;

-- Nobody sees a spare as a tenant, or can act for it or on it.
SELECT count(*) FROM tenancy.tenants;
SELECT count(*) FROM tenancy.migration_status;
SELECT count(*) FROM tenancy.drift();
SELECT severity, lint, object FROM tenancy.check_isolation();
SELECT * FROM tenancy.repair();
SELECT id AS spare, slug, schema_name FROM tenancy.tenant JOIN tenancy.spare ON tenant_id = id ORDER BY made_at LIMIT 1 \gset spare_
CREATE FUNCTION pg_temp.attempt(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE call;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || regexp_replace(SQLERRM, '_spare_[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27}', ' SPARE', 'g');
END $$;
GRANT EXECUTE ON FUNCTION pg_temp.attempt(text) TO regress_app;
SELECT call, pg_temp.attempt(format(call, n.name))
FROM (VALUES ('SELECT tenancy.set_tenant(%L)'), ('SELECT tenancy.tenant_database(%L)'),
			 ('SELECT tenancy.suspend_tenant(%L)'), ('SELECT tenancy.rename_tenant(%L, ''mine'')'),
			 ('SELECT tenancy.drop_tenant(%L, true)'), ('SELECT tenancy.export_tenant(%L, ''/nowhere'')'),
			 ('SELECT tenancy.copy_tenant(%L, ''mine'')'), ('SELECT tenancy.grant_access(''regress_late'', %L)'),
			 ('SELECT tenancy.drift(%L)'), ('SELECT tenancy.sign_token(%L, ''1 h'')'),
			 ('SELECT tenancy.install_module(%L, ''main'')'), ('SELECT tenancy.create_tenant(%L, ''schema'')')) c (call),
	 (VALUES (1, :'spare_spare'), (2, :'spare_slug')) n (n, name)
ORDER BY call, n.n;
SELECT pg_temp.attempt(format('SELECT tenancy.set_tenant(%L::uuid)', :'spare_spare'));
SET ROLE regress_app;
SELECT pg_temp.attempt(format('SELECT tenancy.set_tenant(%L)', :'spare_spare')),
	   pg_temp.attempt(format('SELECT tenancy.set_tenant(%L)', :'spare_slug')),
	   pg_temp.attempt(format('SELECT tenancy.tenant_database(%L)', :'spare_spare')),
	   pg_temp.attempt(format('SELECT * FROM %I.note', :'spare_schema_name')),
	   pg_temp.attempt(format('INSERT INTO %I.note (note) VALUES (''mine'')', :'spare_schema_name'));
RESET ROLE;

-- A superuser may set the context by hand, but there is no such tenant.
SET tenancy.tenant_id = :'spare_spare';
SELECT tenancy.current_tenant(), tenancy.is_current_tenant(:'spare_spare');
RESET tenancy.tenant_id;

-- Taken: it has the spare's id, and is what a clone would be.
SELECT tenancy.create_tenant('a', 'schema', display_name => 'The A', metadata => '{"size": 1}') AS id \gset
SELECT count(*) FROM tenancy.spare WHERE tenant_id = :'id';
SELECT slug, mode, status, schema_name, display_name, metadata, created_at = status_at AS fresh FROM tenancy.tenants;
SELECT * FROM tenancy.spares;
SELECT * FROM tenancy.drift();
SELECT * FROM tenancy.migration_status;
SELECT n.nspname, n.nspowner::regrole, p.proconfig FROM pg_namespace n LEFT JOIN pg_proc p ON p.pronamespace = n.oid
WHERE n.nspname = 'tenant_a';
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a') = :'id';
INSERT INTO note (note) VALUES ('of a');
SELECT *, notes() FROM note;
COMMIT;
RESET ROLE;

-- A rollback puts it back, and so does one to a savepoint.
BEGIN;
SELECT FROM tenancy.create_tenant('b', 'schema');
SELECT * FROM tenancy.spares;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT FROM tenancy.create_tenant('b', 'schema');
ROLLBACK TO s;
SELECT FROM tenancy.create_tenant('b', 'schema');
COMMIT;
SELECT * FROM tenancy.spares;
SELECT slug, status FROM tenancy.tenants ORDER BY slug;

-- Not taken: where the id is given, the snapshot is kept, or the slug is not to be had.
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-0000000000c1');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT FROM tenancy.create_tenant('d', 'schema');
COMMIT;
SELECT FROM tenancy.create_tenant('a', 'schema');
SELECT FROM tenancy.create_tenant('A', 'schema');
SELECT FROM tenancy.create_tenant('shared');
CREATE SCHEMA tenant_e AUTHORIZATION regress_app;
SELECT FROM tenancy.create_tenant('e', 'schema');
DROP SCHEMA tenant_e;
SELECT * FROM tenancy.spares;

-- When there is none left, a clone is made.
SELECT FROM tenancy.create_tenant('f', 'schema');
SELECT FROM tenancy.create_tenant('g', 'schema');
SELECT * FROM tenancy.spares;
CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;

-- What belongs to another role in the model is the module owner's in copies.
CREATE TABLE regress_model.others (id int GENERATED ALWAYS AS IDENTITY, what text);
GRANT SELECT (what) ON regress_model.others TO regress_owner WITH GRANT OPTION;
SET client_min_messages = error;
CALL tenancy.refill_spares();
SELECT array_agg(tenant_id ORDER BY tenant_id) AS before FROM tenancy.spare \gset
CALL tenancy.refill_spares();
SET client_min_messages = warning;
SELECT array_agg(tenant_id ORDER BY tenant_id) = :'before' FROM tenancy.spare;
SELECT * FROM tenancy.drift('a');
DROP TABLE regress_model.others;
CALL tenancy.refill_spares();

-- A role gets access to all tenants: the spares are as good as before.
SELECT tenancy.grant_access('regress_later');
SELECT * FROM tenancy.spares;
SELECT tenancy.revoke_access('regress_later');
SELECT * FROM tenancy.spares;

-- A role that is given access later holds nothing more on spares than on tenants' tables.
SELECT array_agg(tenant_id ORDER BY tenant_id) AS before FROM tenancy.spare \gset
SELECT tenancy.grant_access('regress_late');
CALL tenancy.refill_spares();
SELECT array_agg(tenant_id ORDER BY tenant_id) = :'before' FROM tenancy.spare;
SELECT tenancy.create_tenant('h', 'schema') = ANY (:'before');
SELECT c.relnamespace::regnamespace, a.privilege_type
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relname = 'note' AND c.relnamespace = 'tenant_h'::regnamespace AND a.grantee = 'regress_late'::regrole
ORDER BY 2;
SELECT has_schema_privilege('regress_late', 'tenant_h', 'USAGE');
SELECT tenancy.revoke_access('regress_late');
SELECT tenancy.create_tenant('i', 'schema') = ANY (:'before');
SELECT has_schema_privilege('regress_late', 'tenant_i', 'USAGE');
SET ROLE regress_late;
SELECT pg_temp.attempt('SELECT tenancy.set_tenant(''i'')');
RESET ROLE;

-- The model is changed by hand: a spare of before is not taken, and replaced.
CALL tenancy.refill_spares();
ALTER TABLE regress_model.note ADD COLUMN author text DEFAULT 'nobody';
SELECT FROM tenancy.create_tenant('j', 'schema');
SELECT attname FROM pg_attribute WHERE attrelid = 'tenant_j.note'::regclass AND attnum > 0 ORDER BY attnum;
SELECT * FROM tenancy.spares;
SELECT min(tenant_id::text) AS before FROM tenancy.spare \gset
CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;
SELECT count(*) FROM tenancy.spare WHERE tenant_id = :'before';
SELECT FROM tenancy.create_tenant('k', 'schema');
SELECT * FROM tenancy.spares;
SELECT * FROM tenancy.drift('k');
COMMENT ON TABLE regress_model.note IS 'Notes';
GRANT REFERENCES ON regress_model.note TO regress_late;
SELECT FROM tenancy.create_tenant('l', 'schema');
SELECT obj_description('tenant_l.note'::regclass);

-- A change without a trace: they are found good again, and kept.
CALL tenancy.refill_spares();
SELECT array_agg(tenant_id ORDER BY tenant_id) AS before FROM tenancy.spare \gset
ALTER TABLE regress_model.note ADD COLUMN passing int;
ALTER TABLE regress_model.note ALTER COLUMN note SET NOT NULL;
ALTER TABLE regress_model.note DROP COLUMN passing;
ALTER TABLE regress_model.note ALTER COLUMN note DROP NOT NULL;
CALL tenancy.refill_spares();
SELECT array_agg(tenant_id ORDER BY tenant_id) = :'before' FROM tenancy.spare;

-- Migrations reach spares, which are taken as what they are then.
SELECT tenancy.add_migration(1, 'ALTER TABLE note ADD COLUMN day date; CREATE INDEX ON note (day)');
CALL tenancy.migrate();
SELECT array_agg(tenant_id ORDER BY tenant_id) = :'before' FROM tenancy.spare;
SELECT * FROM tenancy.spares;
SELECT FROM tenancy.create_tenant('m', 'schema');
SELECT * FROM tenancy.spares;
SELECT * FROM tenancy.drift('m');
SELECT tenant, version, pending, state FROM tenancy.migration_status WHERE tenant = 'm';

-- Only some tenants are migrated: the spares stay behind, and are not taken.
SELECT tenancy.add_migration(2, 'ALTER TABLE note ADD COLUMN hour int');
CALL tenancy.migrate(tenants => ARRAY['a']);
SELECT * FROM tenancy.spares;
SELECT FROM tenancy.create_tenant('n', 'schema');
SELECT pending FROM tenancy.migration_status WHERE tenant = 'n';
SELECT * FROM tenancy.spares;
CALL tenancy.migrate();
SELECT * FROM tenancy.spares;
SELECT FROM tenancy.create_tenant('o', 'schema');
SELECT * FROM tenancy.spares;

-- A spare that got rows is no clone; neither is one that somebody changed.
CALL tenancy.refill_spares();
SELECT tenancy.add_migration(3, 'INSERT INTO note (note) VALUES (''for all'')');
CALL tenancy.migrate();
SELECT FROM tenancy.create_tenant('p', 'schema');
SELECT count(*) FROM tenant_p.note;
SELECT min(schema_name) AS spare FROM tenancy.tenant WHERE status = 'spare' \gset
CALL tenancy.refill_spares();
SELECT count(*) FROM pg_namespace WHERE nspname = :'spare';
SELECT id AS spare, schema_name AS spare_schema FROM tenancy.tenant WHERE status = 'spare' ORDER BY id LIMIT 1 \gset
ALTER TABLE :"spare_schema".note ADD COLUMN planted text;
CALL tenancy.refill_spares();
SELECT count(*) FROM tenancy.spare WHERE tenant_id = :'spare';
SELECT * FROM tenancy.spares;

-- A spare on which a migration fails stops nothing.
SELECT schema_name AS spare_schema FROM tenancy.tenant WHERE status = 'spare' ORDER BY id LIMIT 1 \gset
ALTER TABLE :"spare_schema".note ADD COLUMN minute int;
SELECT tenancy.add_migration(4, 'ALTER TABLE note ADD COLUMN minute int');
CALL tenancy.migrate();
SELECT DISTINCT state FROM tenancy.migration_status;
SELECT * FROM tenancy.spares;
CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;

-- Undoing a migration
SELECT tenancy.add_migration(5, 'ALTER TABLE note ADD COLUMN second int', down => 'ALTER TABLE note DROP COLUMN second');
CALL tenancy.migrate();
CALL tenancy.rollback(5);
SELECT * FROM tenancy.spares;
SELECT FROM tenancy.create_tenant('q', 'schema');
SELECT * FROM tenancy.spares;
SELECT * FROM tenancy.drift('q');

-- Somebody takes a spare's schema away, or puts his own in its place.
SELECT schema_name AS spare_schema FROM tenancy.tenant WHERE status = 'spare' ORDER BY id LIMIT 1 \gset
DROP SCHEMA :"spare_schema" CASCADE;
SELECT FROM tenancy.create_tenant('r', 'schema');
SELECT FROM tenancy.create_tenant('s', 'schema');
SELECT FROM tenancy.create_tenant('t', 'schema');
SELECT nspowner::regrole FROM pg_namespace WHERE nspname IN ('tenant_r', 'tenant_s', 'tenant_t');
SELECT regexp_replace(object, '[0-9a-f]{32}', 'SPARE'), problem, action FROM tenancy.repair();
SELECT * FROM tenancy.spares;
CALL tenancy.refill_spares();
SELECT schema_name AS spare_schema FROM tenancy.tenant WHERE status = 'spare' ORDER BY id LIMIT 1 \gset
DROP SCHEMA :"spare_schema" CASCADE;
CREATE SCHEMA :"spare_schema" AUTHORIZATION regress_app;
SELECT FROM tenancy.create_tenant('u', 'schema');
SELECT FROM tenancy.create_tenant('v', 'schema');
SELECT FROM tenancy.create_tenant('w', 'schema');
SELECT nspowner::regrole FROM pg_namespace WHERE nspname IN ('tenant_u', 'tenant_v', 'tenant_w');
SET client_min_messages = error;
CALL tenancy.refill_spares();
SET client_min_messages = warning;
SELECT * FROM tenancy.spares;
SELECT nspowner::regrole FROM pg_namespace WHERE nspname = :'spare_schema';
DROP SCHEMA :"spare_schema";

-- In a block that has made the session's first temporary table
\c -
SET client_min_messages = warning;
DO $$ BEGIN CREATE TEMPORARY TABLE todo (); CALL tenancy.refill_spares(); END $$;

-- Fewer of them, or none
SELECT tenancy.set_spares('schema', 1);
CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;
SELECT tenancy.set_spares('schema', 0);
CALL tenancy.refill_spares();
SELECT * FROM tenancy.spares;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\_\_spare\_%';
SELECT count(*) FROM tenancy.tenant WHERE status = 'spare';
SELECT count(*) FROM tenancy.module_copy c WHERE NOT EXISTS (SELECT FROM tenancy.tenant t WHERE t.id = c.tenant_id);

DO $$ BEGIN PERFORM tenancy.drop_tenant(slug, true) FROM tenancy.tenant; END $$;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP OWNED BY regress_app, regress_late, regress_later, regress_owner;
DROP ROLE regress_app, regress_late, regress_later, regress_owner;
