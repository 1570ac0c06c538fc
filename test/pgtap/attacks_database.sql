--
-- A tenant with a database of its own, as the application meets it: first
-- from the application's database, then inside.  The SQL is that of the other
-- modes; what is tried is to be somebody else there.
--
\ir lib/setup.sql
DROP SCHEMA IF EXISTS ref CASCADE;
CREATE SCHEMA ref AUTHORIZATION shop_owner;
SET ROLE shop_owner;
CREATE TABLE ref.country (code text PRIMARY KEY, name text);
INSERT INTO ref.country VALUES ('de', 'Germany');
GRANT USAGE ON SCHEMA ref TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ref.country TO app;
RESET ROLE;
SELECT tenancy.add_reference_table('ref.country') \g /dev/null
SELECT 'CREATE ROLE maker LOGIN CREATEDB' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'maker') \gexec
GRANT app TO maker;
SELECT tenancy.create_tenant('pgtap-db', 'database', '00000000-0000-4000-8000-0000000000d1') \g /dev/null
SELECT tenancy.create_tenant('pgtap-db2', 'database', '00000000-0000-4000-8000-0000000000d2') \g /dev/null
SELECT tenancy.grant_access('clerk', 'pgtap-db') \g /dev/null
SELECT tenancy.set_spares('database', 1) \g /dev/null
CALL tenancy.refill_spares();
SELECT database_name AS spare FROM tenancy.tenant WHERE status = 'spare' \gset
SELECT 'tenancy_template_' || oid AS template FROM pg_database WHERE datname = current_database() \gset
SELECT current_database() AS application \gset

-- How many rows a statement reached, or its SQLSTATE.
CREATE FUNCTION t.reach(sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE sql;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

-- Who gets in where: in, or the SQLSTATE
CREATE FUNCTION t.enter(role text, database text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN t.elsewhere('enter', role, database, 'SELECT ''in''') || left(t.leave('enter'), 0);
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT string_agg(role || ' ' || CASE database WHEN :'spare' THEN 'spare' WHEN :'template' THEN 'template' ELSE database END || ' ' || t.enter(role, database), ', ' ORDER BY role, n) AS entered
FROM unnest(ARRAY['app', 'clerk', 'stranger', 'shop_owner']) role, unnest(ARRAY['tenant_pgtap-db', 'tenant_pgtap-db2', :'spare', :'template']) WITH ORDINALITY d (database, n)
WHERE role <> 'shop_owner' \gset

-- A role that may create databases makes no copy of a tenant's, and takes no name of one that is there.
SELECT string_agg(CASE WHEN sql LIKE '%template\_%' THEN 'template' WHEN sql LIKE '%spare%' THEN 'spare' ELSE split_part(sql, ' TEMPLATE ', 2) END || t.elsewhere('maker', 'maker', 'postgres', 'SELECT 1') || ':' ||
	COALESCE((SELECT t.state(format('SELECT t.elsewhere(''maker'', ''maker'', ''postgres'', %L)', sql))), ''), ', ') AS copied
FROM (SELECT format('CREATE DATABASE pgtap_mine TEMPLATE %I', d) AS sql FROM unnest(ARRAY['tenant_pgtap-db', 'tenant_pgtap-db2', :'spare', :'template']) WITH ORDINALITY u (d, n) ORDER BY n) c \gset
SELECT t.leave('maker') \g /dev/null
SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'pgtap_mine') AS was_copied \gset

-- What other databases' sessions do is not seen in a tenant's.
SELECT t.elsewhere('holder', 'app', $$SELECT tenancy.set_tenant('hooli', false)$$), t.elsewhere('holder', 'app', 'SELECT pg_advisory_lock(4711)::text') \g /dev/null

\connect - app
SET client_min_messages = warning;
SELECT t.reach($$SELECT tenancy.set_tenant('pgtap-db')$$) AS r1,
	t.reach($$SELECT tenancy.set_tenant('pgtap-db', false)$$) AS r2,
	t.reach($$SELECT tenancy.set_tenant('00000000-0000-4000-8000-0000000000d1'::uuid)$$) AS r3,
	tenancy.tenant_database('pgtap-db') AS home, tenancy.current_tenant() IS NULL AS r4 \gset
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT t.reach($$SELECT tenancy.set_tenant('pgtap-db')$$) AS r5 \gset
ROLLBACK;
\connect - clerk
SELECT t.reach($$SELECT tenancy.tenant_database('pgtap-db2')$$) AS r6, t.reach($$SELECT tenancy.tenant_database('nosuch')$$) AS r7,
	t.reach($$SELECT tenancy.set_tenant('pgtap-db2')$$) AS r8, tenancy.tenant_database('pgtap-db') AS r9 \gset

-- A connection that brings a context of its own, before the library is loaded
\connect -reuse-previous=on "dbname=tenant_pgtap-db user=app options='-c tenancy.tenant_id=00000000-0000-4000-8000-0000000000d2'"
SET client_min_messages = error;
\set ON_ERROR_STOP 0
SELECT * FROM shop.notes;
\set o1 :SQLSTATE
\set ON_ERROR_STOP 1
SELECT tenancy.current_tenant() IS NULL AS o2 \gset
SELECT tenancy.set_tenant('pgtap-db', false) AS o3, '00000000-0000-4000-8000-0000000000d1'::uuid AS o4 \gset
\connect -reuse-previous=on "dbname=tenant_pgtap-db user=app options=''"
SELECT tenancy.set_tenant('pgtap-db', false) \g /dev/null
DISCARD ALL;
SELECT tenancy.current_tenant() AS o5 \gset

\connect :home app
SET client_min_messages = warning;
SELECT * FROM no_plan();
SELECT is(:'entered'::text, 'app tenant_pgtap-db in, app tenant_pgtap-db2 in, app spare 08001, app template 08001, '
	|| 'clerk tenant_pgtap-db in, clerk tenant_pgtap-db2 08001, clerk spare 08001, clerk template 08001, '
	|| 'stranger tenant_pgtap-db 08001, stranger tenant_pgtap-db2 08001, stranger spare 08001, stranger template 08001', 'who gets into which database');
SELECT unalike(:'copied'::text, '%:00000%', 'no database of a tenant serves as a template');
SELECT is(:'was_copied'::text, 'f', 'so that none is made of it');
SELECT is(:'r1'::text, 'TN003', 'from the application''s database: the tenant lives elsewhere');
SELECT is(:'r2'::text, 'TN003', 'for the session as well');
SELECT is(:'r3'::text, 'TN003', 'by id as well');
SELECT is(:'r4'::text, 't', 'and no context is left of that');
SELECT is(:'r5'::text, 'TN003', 'the same from another context');
SELECT is(:'home'::text, 'tenant_pgtap-db', 'tenant_database() says where');
SELECT is(:'r6'::text, '42501', 'but not to whom it is no business');
SELECT is(:'r7'::text, '42501', 'for whom there is no such tenant');
SELECT is(:'r8'::text, '42501', 'in any way');
SELECT is(:'r9'::text, 'tenant_pgtap-db', 'a role with access may know');
SELECT is(current_database()::text, 'tenant_pgtap-db', 'inside, from here on');

-- ---------------------------------------------------------------------------
-- The same SQL as everywhere
-- ---------------------------------------------------------------------------
CREATE FUNCTION pg_temp.reach(sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE sql;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
SELECT is(tenancy.current_tenant(), 'pgtap-db', 'the tenant is in context');
SELECT is(tenancy.current_tenant_id(), '00000000-0000-4000-8000-0000000000d1'::uuid, 'with its id');
SELECT is(pg_temp.reach(sql), '1', sql) FROM unnest(ARRAY[
	$$INSERT INTO customers (customer_id, email, name, balance) VALUES (1, 'wile@example.com', 'Wile', 100)$$,
	$$INSERT INTO orders (order_id, customer_id, total) VALUES (1, 1, 10)$$,
	$$INSERT INTO notes (note) VALUES ('a note')$$,
	$$INSERT INTO events (day, what) VALUES ('2025-05-05', 'signup')$$,
	$$INSERT INTO events_2026_login (day, what) VALUES ('2026-05-05', 'login')$$,
	$$INSERT INTO vehicles (label, wheels) VALUES ('van', 4)$$,
	$$INSERT INTO messages (secret, body) VALUES (false, 'open')$$,
	$$UPDATE customers SET balance = balance + 1 WHERE customer_id = 1$$,
	$$SELECT * FROM customers JOIN orders USING (tenant_id, customer_id)$$,
	$$SELECT * FROM totals$$, $$SELECT * FROM my_customers$$, $$SELECT * FROM barrier$$,
	$$SELECT * FROM assets$$, $$SELECT * FROM notes WHERE tenant_id = tenancy.current_tenant_id()$$,
	$$SELECT FROM generate_series(1, customer_count()) g$$,
	$$SELECT FROM generate_series(1, customer_count_as_owner()) g$$]) AS sql;
BEGIN;
SELECT is(tenancy.set_tenant('pgtap-db'), '00000000-0000-4000-8000-0000000000d1'::uuid, 'set_tenant(), as the application does everywhere');
SELECT is(pg_temp.reach('SELECT * FROM notes'), '1', 'changes nothing');
COMMIT;

-- ---------------------------------------------------------------------------
-- To be somebody else
-- ---------------------------------------------------------------------------
SELECT is(pg_temp.reach(format('SELECT tenancy.set_tenant(%L)', who)), 'TN003', 'set_tenant(' || who || ')')
FROM unnest(ARRAY['acme', 'hooli', 'pgtap-db2', 'nosuch', '', '00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-0000000000d2']) AS who;
SELECT is(pg_temp.reach(sql), '42501', sql) FROM unnest(ARRAY[
	$$SET tenancy.tenant_id = '00000000-0000-4000-8000-0000000000d2'$$,
	$$SET tenancy.tenant_id = ''$$,
	$$RESET tenancy.tenant_id$$,
	$$SELECT set_config('tenancy.tenant_id', '00000000-0000-4000-8000-0000000000d2', false)$$,
	$$ALTER ROLE app SET tenancy.tenant_id = '00000000-0000-4000-8000-0000000000d2'$$,
	$$ALTER DATABASE "tenant_pgtap-db" SET tenancy.tenant_id = '00000000-0000-4000-8000-0000000000d2'$$,
	$$ALTER DATABASE "tenant_pgtap-db" RESET ALL$$,
	$$ALTER DATABASE "tenant_pgtap-db" RENAME TO mine$$,
	$$INSERT INTO notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-0000000000d2', 'planted')$$,
	$$UPDATE notes SET tenant_id = '00000000-0000-4000-8000-0000000000d2'$$,
	$$INSERT INTO tenancy.tenant (id, slug, mode) VALUES ('00000000-0000-4000-8000-0000000000d2', 'mine', 'shared')$$,
	$$UPDATE tenancy.tenant SET slug = 'mine'$$,
	$$SELECT * FROM tenancy.tenant$$,
	$$SELECT tenancy.create_tenant('mine')$$,
	$$SELECT tenancy.grant_access('stranger')$$,
	$$TRUNCATE notes$$,
	$$ALTER TABLE notes DISABLE ROW LEVEL SECURITY$$,
	$$DROP POLICY tenant_isolation ON notes$$,
	$$DROP EXTENSION tenancy$$,
	$$CREATE TABLE shop.mine ()$$,
	$$CREATE SCHEMA mine$$,
	$$SET ROLE shop_owner$$]) AS sql;

-- What is in schema tenancy, but for the context functions
SELECT ok(NOT has_function_privilege(p.oid, 'EXECUTE'), 'not for calling: ' || p.oid::regprocedure) FROM pg_proc p
WHERE p.pronamespace = 'tenancy'::regnamespace AND p.proname NOT IN ('set_tenant', 'set_tenant_token', 'reset_tenant', 'current_tenant', 'current_tenant_id',
	'is_current_tenant', 'tenant_database', 'policy_tenant_id', 'policy_is_tenant', 'policy_allow');
SELECT ok(NOT has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'), 'nor anything to be read: ' || c.relname) FROM pg_class c
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v', 'S');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'tenancy'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND has_column_privilege(attrelid, attnum, 'SELECT, INSERT, UPDATE, REFERENCES')$$, 'not even a column');

-- Names of others, asked for here
SELECT is(pg_temp.reach(format('SELECT tenancy.tenant_database(%L)', who)), 'TN003', 'tenant_database(' || who || ')') FROM unnest(ARRAY['acme', 'hooli', 'pgtap-db2', 'nosuch']) AS who;
SELECT is(pg_temp.reach(sql), '0A000', sql) FROM unnest(ARRAY[
	$$SELECT * FROM "tenant_pgtap-db2".shop.notes$$, $$INSERT INTO "tenant_pgtap-db2".shop.notes (note) VALUES ('x')$$, $$SELECT * FROM contrib_regression.shop.notes$$]) AS sql;

-- Making, changing and leaving things
SELECT is(pg_temp.reach(sql), '42501', sql) FROM unnest(ARRAY[
	'ALTER DATABASE "tenant_pgtap-db2" CONNECTION LIMIT 0', 'ALTER DATABASE "tenant_pgtap-db" OWNER TO app',
	'COMMENT ON DATABASE "tenant_pgtap-db" IS ''mine''',
	'CREATE EXTENSION hstore', 'CREATE EXTENSION file_fdw', 'ALTER EXTENSION tenancy ADD TABLE shop.notes',
	'CREATE FUNCTION public.mine() RETURNS integer LANGUAGE sql AS ''SELECT 1''', 'CREATE FUNCTION shop.mine() RETURNS integer LANGUAGE sql AS ''SELECT 1''',
	'CREATE FUNCTION tenancy.mine() RETURNS integer LANGUAGE sql AS ''SELECT 1''', 'CREATE OPERATOR public.=== (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = uuid_eq)',
	'CREATE OR REPLACE FUNCTION shop.customer_count() RETURNS bigint LANGUAGE sql AS ''SELECT 0::bigint''',
	'CREATE TRIGGER g BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', 'CREATE RULE r AS ON INSERT TO notes DO INSTEAD NOTHING',
	'CREATE POLICY open ON notes USING (true)', 'ALTER POLICY tenant_isolation ON notes USING (true)', 'ALTER TABLE notes NO FORCE ROW LEVEL SECURITY', 'ALTER TABLE notes OWNER TO app',
	'ALTER TABLE notes ALTER tenant_id DROP NOT NULL', 'CREATE INDEX ON notes (note)', 'CREATE PUBLICATION p FOR TABLE notes', 'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION tenancy.record_commands()',
	'DROP TABLE notes', 'DROP SCHEMA shop CASCADE', 'ALTER SCHEMA shop RENAME TO mine', 'DROP SCHEMA tenancy CASCADE', 'TRUNCATE customers CASCADE', 'LOCK TABLE tenancy.tenant',
	'SELECT nextval(''customers_customer_id_seq'')', 'SELECT setval(''customers_customer_id_seq'', 1)', 'SELECT * FROM customers_customer_id_seq',
	'SELECT pg_read_file(''PG_VERSION'')', 'COPY notes TO ''/tmp/notes''', 'COPY notes FROM PROGRAM ''cat''', 'SELECT lo_import(''PG_VERSION'')',
	'SELECT * FROM pg_authid', 'SELECT * FROM pg_statistic',
	'SET session_replication_role = replica', 'SET tenancy.application_database = ''0''', 'SET tenancy.missing_tenant = empty',
	'SET tenancy.require_token = off', 'ALTER ROLE app SUPERUSER', 'ALTER ROLE app BYPASSRLS', 'SET SESSION AUTHORIZATION clerk']) AS sql;
SELECT pg_temp.reach(sql) FROM unnest(ARRAY['GRANT CONNECT ON DATABASE "tenant_pgtap-db" TO stranger', 'REVOKE CONNECT ON DATABASE "tenant_pgtap-db" FROM clerk']) AS sql \g /dev/null
SELECT ok(NOT has_database_privilege('stranger', current_database(), 'CONNECT') AND has_database_privilege('clerk', current_database(), 'CONNECT'), 'who may connect is not the role''s to say');

-- Reference tables are for reading, and what is behind them is nobody's to see.
SELECT is(pg_temp.reach('SELECT * FROM ref.country'), '1', 'a reference table is read');
SELECT is(pg_temp.reach(sql), '42501', sql) FROM unnest(ARRAY[$$INSERT INTO ref.country VALUES ('fr', 'France')$$, $$UPDATE ref.country SET name = 'mine'$$,
	'DELETE FROM ref.country', 'TRUNCATE ref.country', 'ALTER TABLE ref.country OWNER TO app', 'CREATE TABLE ref.mine ()', 'DROP TABLE ref.country',
	'SELECT definition FROM tenancy.reference_table']) AS sql;

-- Locks and notifications are this database's.
SELECT is(t.pg_try, true, 'an advisory lock of a session in another database is not in the way') FROM (SELECT pg_try_advisory_lock(4711)) t (pg_try);
SELECT is_empty($$SELECT FROM pg_locks WHERE locktype = 'advisory' AND database <> (SELECT oid FROM pg_database WHERE datname = current_database()) AND pid = pg_backend_pid()$$, 'nor is ours in another one''s');
SELECT pg_advisory_unlock_all() \g /dev/null

-- What a role can do in its temporary schema takes no function's or operator's place.
CREATE FUNCTION pg_temp.policy_tenant_id() RETURNS uuid LANGUAGE sql AS $$SELECT '00000000-0000-4000-8000-0000000000d2'::uuid$$;
CREATE FUNCTION pg_temp.uuid_eq(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR pg_temp.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = pg_temp.uuid_eq);
SELECT set_config('search_path', 'pg_temp, pg_catalog, tenancy, shop, public', false) \g /dev/null
SELECT is(pg_temp.reach('SELECT * FROM shop.notes'), '1', 'nor by search_path');
SELECT is(pg_temp.reach($$INSERT INTO shop.notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-0000000000d2', 'planted')$$), '42501', 'by which nothing is planted');
SELECT tenancy.set_tenant('pgtap-db', false) \g /dev/null

SELECT is(tenancy.current_tenant(), 'pgtap-db', 'after all that, the tenant is who it was');
SELECT is(pg_temp.reach('SELECT * FROM notes'), '1', 'with what it had');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(tenancy.current_tenant(), 'pgtap-db', 'reset_tenant() goes no further than the database');
CREATE TEMP TABLE notes (note text);
SELECT is(pg_temp.reach('SELECT * FROM notes'), '1', 'a temporary table takes no table''s place here either');
SELECT is(pg_temp.reach('SELECT * FROM pg_temp.notes'), '0', 'though it is there');
RESET ALL;
SELECT is(tenancy.current_tenant(), 'pgtap-db', 'nor does RESET ALL');
SELECT is(:'o1'::text, 'TN001', 'a connection''s option is void, and hides the database''s own setting');
SELECT is(:'o2'::text, 't', 'so that there is no context');
SELECT is(:'o3'::text, :'o4'::text, 'but the one that set_tenant() takes here');
SELECT is(:'o5'::text, 'pgtap-db', 'which DISCARD ALL leaves alone');
SELECT * FROM finish();

\connect :home clerk
SET client_min_messages = warning;
SELECT tenancy.current_tenant() = 'pgtap-db' AND count(*) = 1 AS good FROM notes \gset
\if :good
\else
	DO $$ BEGIN RAISE EXCEPTION 'clerk has access to this tenant, and sees no rows'; END $$;
\endif
\connect :application :admin
REVOKE app FROM maker;
SELECT tenancy.set_spares('database', 0) \g /dev/null
CALL tenancy.refill_spares();
SELECT count(tenancy.drop_tenant(slug, true)) FROM tenancy.tenant WHERE mode = 'database' \g /dev/null
