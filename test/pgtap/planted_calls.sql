--
-- Planted code, and the administrators' calls that planted.sql does not have:
-- migrations, exports and imports, plug-ins, recordings, reports.  Many of them
-- work in background workers that log in as the extension's owner; what is
-- planted there must not get hold of that either.
--
\ir lib/setup.sql
\ir lib/trap.sql
SELECT * FROM tenancy.protect_table('shop.trapped_table') \g /dev/null

-- A plug-in with the same trap, and a module owner's functions
CREATE SCHEMA crm AUTHORIZATION shop_owner;
SET ROLE shop_owner;
GRANT USAGE ON SCHEMA crm TO app;
CREATE FUNCTION crm.trap_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.trap('crm ' || TG_NAME);
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TABLE crm.lead (id integer, a text CHECK (shop.trap('crm check')));
CREATE INDEX ON crm.lead ((shop.sly('crm index', a)));
CREATE TRIGGER before BEFORE INSERT OR UPDATE OR DELETE ON crm.lead FOR EACH ROW EXECUTE FUNCTION crm.trap_trigger();
CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE OR DELETE ON crm.lead DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION crm.trap_trigger();
CREATE VIEW crm.trapped_view AS SELECT shop.trap('crm view') AS sprung, a FROM crm.lead;
GRANT SELECT, INSERT, UPDATE, DELETE ON crm.lead TO app;
RESET ROLE;
SELECT tenancy.create_module('crm', 'crm') \g /dev/null
SELECT * FROM tenancy.protect_module('crm') \g /dev/null
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null

-- What a tenant's role can make: objects of its own around the tenants' tables
DROP SCHEMA IF EXISTS mine CASCADE;
CREATE SCHEMA mine AUTHORIZATION app;
SET ROLE app;
CREATE FUNCTION mine.trap(how text) RETURNS boolean LANGUAGE sql AS 'SELECT shop.trap(how)';
CREATE VIEW mine.spy AS SELECT mine.trap('view of app') AS sprung, c.* FROM shop.customers c;
CREATE TABLE mine.customers (a text DEFAULT mine.trap('default of app')::text CHECK (mine.trap('check of app')));
CREATE TYPE mine.t AS (a text);
CREATE FUNCTION mine.to_text(mine.t) RETURNS text LANGUAGE sql AS $$SELECT mine.trap('cast')::text$$;
CREATE CAST (mine.t AS text) WITH FUNCTION mine.to_text(mine.t) AS IMPLICIT;
RESET ROLE;

SELECT plan(120);
INSERT INTO t.armed DEFAULT VALUES;
-- the administrator's path leads through what is planted
SET search_path = mine, public, shop, crm, pg_temp;

-- Rows, by the application, which runs into its own traps
SELECT t.elsewhere('app', 'app', pg_catalog.format('SELECT tenancy.set_tenant(%L, false)', slug)),
	t.elsewhere('app', 'app', $$INSERT INTO trapped_table (a, b) VALUES ('by app', 'x'), ('by app, too', 'y')$$)
FROM unnest(ARRAY['acme', 'hooli', 'globex']) AS slug \g /dev/null
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('acme', false)$$),
	t.elsewhere('app', 'app', $$INSERT INTO vehicles (label, wheels) VALUES ('a child''s row', 4)$$) \g /dev/null
SELECT cmp_ok((SELECT count(*) FROM t.sprung WHERE who = 'app'), '>', 5::bigint, 'the application''s own work springs its traps');
SELECT is(t.caught(), '', 'and gains it nothing');

-- ---------------------------------------------------------------------------
-- In this session
-- ---------------------------------------------------------------------------
SELECT t.call($$SELECT tenancy.install_module('globex', 'crm')$$);
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('globex', false)$$), t.elsewhere('app', 'app', $$INSERT INTO lead VALUES (1, 'x')$$) \g /dev/null
DELETE FROM t.sprung;
SELECT throws_ok($$SELECT tenancy.uninstall_module('globex', 'crm')$$, '55000', NULL, 'a plug-in with rows');
SELECT is(t.caught(), '', 'looking for them springs nothing');
SELECT t.call($$SELECT tenancy.uninstall_module('globex', 'crm', true)$$);
SELECT t.call($$SELECT tenancy.install_module('globex', 'crm')$$);
SELECT t.elsewhere('app', 'app', $$INSERT INTO lead VALUES (1, 'x')$$) \g /dev/null
SELECT t.call($$SELECT tenancy.rename_tenant('globex', 'initech')$$);
SELECT t.call($$SELECT tenancy.rename_tenant('initech', 'globex')$$);
SELECT t.call($$SELECT count(*) FROM tenancy.check_isolation()$$);
SELECT t.call($$SELECT * FROM tenancy.names_in_definitions('shop'::pg_catalog.regnamespace)$$);
SELECT t.call($$SELECT count(*) FROM tenancy.drift()$$);
SELECT t.call($$SELECT count(*) FROM tenancy.drift('globex')$$);
SELECT t.call($$SELECT count(*) FROM tenancy.repair()$$);
SELECT t.call($$SELECT * FROM tenancy.migration_status$$);
SELECT t.call($$SELECT * FROM tenancy.migration_progress$$);
SELECT t.call($$SELECT * FROM tenancy.progress$$);
SELECT t.call($$DO 'BEGIN PERFORM FROM tenancy.sessions; EXCEPTION WHEN object_not_in_prerequisite_state THEN NULL; END'$$);
SELECT t.call($$SELECT * FROM tenancy.protected_tables$$);
SELECT t.call($$SELECT * FROM tenancy.spares$$);
SELECT t.call($$SELECT * FROM tenancy.protect_module('crm')$$);
SELECT t.call($$SELECT tenancy.create_token_key('k', 'HS256', '0123456789abcdef0123456789abcdef')$$);
SELECT t.call($$SELECT tenancy.sign_token('acme', '1 hour')$$);
SELECT t.call($$SELECT tenancy.drop_token_key('k')$$);
SELECT t.call($$SELECT tenancy.start_recording(9, 'recorded', 'shop')$$);
SELECT t.call($$ALTER TABLE shop.notes ADD COLUMN recorded text DEFAULT 'x'$$);
SELECT t.call($$SELECT tenancy.stop_recording(true)$$);
SELECT t.call($$ALTER TABLE shop.notes DROP COLUMN recorded$$);

-- ---------------------------------------------------------------------------
-- In workers: from the top level, since they see what is committed only
-- ---------------------------------------------------------------------------
SELECT t.leave('app') \g /dev/null
-- a statement; then, what has sprung for a superuser?
CREATE FUNCTION t.after(state text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT is(state, '00000', what);
	RETURN NEXT is(t.caught(), '', what || ': nothing has sprung for a superuser');
	RETURN NEXT cmp_ok((SELECT count(*) FROM t.sprung WHERE who NOT IN ('shop_owner', 'app')), '=', 0::bigint, what || ': nor for anybody else');
END $$;
\set ON_ERROR_STOP 0

-- a migration that touches all traps, and one with traps of its own
SELECT tenancy.add_migration(1, $$
	ALTER TABLE trapped_table ADD COLUMN d timestamptz DEFAULT clock_timestamp();
	CREATE INDEX again ON trapped_table ((sly('new index', b::text)));
	ALTER TABLE trapped_table ADD CONSTRAINT new_check CHECK (trap('new check'));
	UPDATE trapped_table SET a = a || '!';
	INSERT INTO trapped_table (tenant_id, a, b) SELECT tenant_id, 'by migration', 'z' FROM trapped_table LIMIT 1;
	DELETE FROM trapped_table WHERE a = 'by migration';
$$, 'touches', 'shop', down => 'DROP INDEX again') \g /dev/null
SELECT tenancy.add_migration(2, $$
	CREATE TEMP TABLE later (a text CHECK (trap('temporary'))) ON COMMIT DROP;
	INSERT INTO later VALUES ('x');
	DECLARE held CURSOR WITH HOLD FOR SELECT trap('cursor at commit') FROM pg_catalog.generate_series(1, 2);
	PREPARE "SELECT" AS SELECT trap('prepared');
	CREATE TRIGGER last AFTER UPDATE ON trapped_table FOR EACH ROW EXECUTE FUNCTION trap_trigger();
	DO $q$ BEGIN PERFORM trap('DO'); END $q$;
	UPDATE trapped_table SET a = a;
$$, 'plants', 'shop', down => 'DROP TRIGGER last ON trapped_table') \g /dev/null
SELECT tenancy.add_migration(3, 'CREATE INDEX CONCURRENTLY third ON trapped_table ((sly(''concurrently'', a)))', 'concurrently', 'shop', false) \g /dev/null
DELETE FROM t.sprung;
CALL tenancy.migrate('shop', dry_run => true);
SELECT t.after(:'SQLSTATE', 'migrate(), dry run');
CALL tenancy.migrate('shop', retries => 0);
SELECT t.after(:'SQLSTATE', 'migrate()');
SELECT cmp_ok((SELECT count(*) FROM t.sprung WHERE who = 'shop_owner'), '>', 20::bigint, 'the owner''s traps have sprung for the owner');
SELECT is((SELECT pg_catalog.count(DISTINCT how)::integer FROM t.sprung WHERE how IN ('temporary', 'cursor at commit', 'DO', 'new index', 'new check', 'later', 'last', 'concurrently')), 8, 'all kinds of them');
SELECT isnt(to_regclass('tenant_globex.third'), NULL, 'in the schema tenant''s copy, too');
SELECT tenancy.set_spares('schema', 2) \g /dev/null
CALL tenancy.refill_spares();
SELECT t.after(:'SQLSTATE', 'refill_spares()');
CALL tenancy.refill_spares();
SELECT t.after(:'SQLSTATE', 'refill_spares(), looking at them');
SELECT tenancy.create_tenant('spared', 'schema') AS spared \g /dev/null
SELECT t.after(:'SQLSTATE', 'create_tenant(), from a spare');
SELECT is((SELECT count(*)::integer FROM tenancy.spare), 1, 'of which one is left');
SELECT tenancy.add_migration(4, 'SELECT 1', 'nothing', 'shop', down => 'SELECT trap(''down''); UPDATE trapped_table SET a = a') \g /dev/null
CALL tenancy.migrate('shop', retries => 0);
CALL tenancy.rollback(4, 'shop', retries => 0);
SELECT t.after(:'SQLSTATE', 'rollback()');
SELECT cmp_ok((SELECT count(*) FROM t.sprung WHERE who = 'shop_owner' AND how = 'down'), '>', 1::bigint, 'the owner''s traps have sprung for the owner');

-- a migration that asks for more than the owner has
SELECT tenancy.add_migration(10, 'ALTER ROLE shop_owner SUPERUSER', 'more', 'shop') \g /dev/null
CALL tenancy.migrate('shop', retries => 0);
SELECT is(:'SQLSTATE'::text, '42501', 'a migration that makes its owner a superuser fails');
SELECT is(t.caught(), '', 'and does not');
DELETE FROM tenancy.migration WHERE version >= 10;
SELECT tenancy.add_migration(11, 'RESET ROLE; ALTER ROLE shop_owner SUPERUSER', 'more', 'shop') \g /dev/null
CALL tenancy.migrate('shop', retries => 0);
SELECT isnt(:'SQLSTATE'::text, '00000', 'RESET ROLE in a migration');
SELECT is(t.caught(), '', 'gives no more rights');
DELETE FROM tenancy.migration WHERE version >= 10;
SELECT tenancy.add_migration(12, 'SET SESSION AUTHORIZATION DEFAULT; ALTER ROLE shop_owner SUPERUSER', 'more', 'shop') \g /dev/null
CALL tenancy.migrate('shop', retries => 0);
SELECT isnt(:'SQLSTATE'::text, '00000', 'SET SESSION AUTHORIZATION in a migration');
SELECT is(t.caught(), '', 'gives no more rights');
DELETE FROM tenancy.migration WHERE version >= 10;
-- The same from code that runs at the commit, when the statement is over.
SET ROLE shop_owner;
CREATE FUNCTION shop.grab_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE 'RESET ROLE';
	EXCEPTION WHEN OTHERS THEN
		BEGIN
			EXECUTE 'SET SESSION AUTHORIZATION DEFAULT';
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END;
	EXECUTE 'ALTER ROLE shop_owner SUPERUSER';
	RETURN NULL;
END $$;
RESET ROLE;
SELECT tenancy.add_migration(13, $$
	CREATE TABLE grabbing (a integer);
	CREATE CONSTRAINT TRIGGER g AFTER INSERT ON grabbing DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION grab_at_commit();
	INSERT INTO grabbing VALUES (1)$$, 'more', 'shop') \g /dev/null
CALL tenancy.migrate('shop', retries => 0);
SELECT is(:'SQLSTATE'::text, '42501', 'a deferred trigger of a migration fails');
SELECT is(t.caught(), '', 'and gets no more rights');
DELETE FROM tenancy.migration WHERE version >= 10;

-- Exports and imports
SELECT current_setting('data_directory') || '/planted_export' AS dir \gset
DELETE FROM t.sprung;
SELECT tenancy.export_tenant('acme', :'dir' || '1') \g /dev/null
SELECT t.after(:'SQLSTATE', 'export_tenant(), shared');
SELECT tenancy.export_tenant('hooli', :'dir' || '2') \g /dev/null
SELECT t.after(:'SQLSTATE', 'export_tenant(), again');
SELECT tenancy.import_tenant(:'dir' || '1', 'in-shared', 'shared') \g /dev/null
SELECT t.after(:'SQLSTATE', 'import_tenant(), shared');
SELECT tenancy.import_tenant(:'dir' || '1', 'in-schema', 'schema') \g /dev/null
SELECT t.after(:'SQLSTATE', 'import_tenant(), schema');
SELECT cmp_ok((SELECT count(*) FROM t.sprung WHERE who = 'shop_owner'), '>', 2::bigint, 'the owner''s checks and indexes have run for the owner');
-- what a protected table's inheritance child has goes along
SELECT is(CASE WHEN t.elsewhere('app', 'app', pg_catalog.format('SELECT tenancy.set_tenant(%L, false)', slug)) IS NOT NULL THEN t.elsewhere('app', 'app', 'SELECT count(*) FROM vehicles') END,
	'1', slug || ' has the row of an inheritance child')
FROM unnest(ARRAY['in-shared', 'in-schema']) AS slug;
SELECT t.leave('app') \g /dev/null
SELECT tenancy.copy_tenant('acme', 'copied', 'schema') \g /dev/null
SELECT t.after(:'SQLSTATE', 'copy_tenant(), to a schema');
SELECT tenancy.copy_tenant('in-schema', 'copied2', 'shared') \g /dev/null
SELECT t.after(:'SQLSTATE', 'copy_tenant(), to shared tables');
\! rm -rf :dir1 :dir2

-- A database of one's own
SELECT tenancy.create_tenant('planted-calls', 'database') \g /dev/null
SELECT t.after(:'SQLSTATE', 'create_tenant(), with a database');
SELECT t.elsewhere('app', 'app', 'tenant_planted-calls', $$INSERT INTO trapped_table (a, b) VALUES ('by app', 'x')$$) \g /dev/null
SELECT t.leave('app') \g /dev/null
SELECT tenancy.add_migration(5, 'UPDATE trapped_table SET a = a', 'five', 'shop') \g /dev/null
CALL tenancy.migrate('shop', retries => 0);
SELECT t.after(:'SQLSTATE', 'migrate(), with a database');
SELECT tenancy.export_tenant('planted-calls', :'dir' || '3') \g /dev/null
SELECT t.after(:'SQLSTATE', 'export_tenant(), of a database');
SELECT tenancy.rename_tenant('planted-calls', 'planted-calls2') \g /dev/null
SELECT t.after(:'SQLSTATE', 'rename_tenant(), of a database');
SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants ORDER BY slug \g /dev/null
SELECT t.after(:'SQLSTATE', 'drop_tenant(), of all');
SELECT ok(NOT rolsuper, 'shop_owner is what it was') FROM pg_roles WHERE rolname = 'shop_owner';
SELECT * FROM finish();

SET client_min_messages = error;
DROP OWNED BY app CASCADE;
REVOKE CREATE ON SCHEMA public FROM shop_owner;
DROP SCHEMA crm CASCADE;
