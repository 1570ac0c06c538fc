--
-- Tables whose policy tenant_isolation somebody has dropped or weakened, by
-- hand or in the application's DDL, while sessions are at work: they are closed,
-- to plans that were made before as well.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema', '00000000-0000-4000-8000-00000000000c') \g /dev/null
\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
INSERT INTO notes (note) VALUES ('globex note');
INSERT INTO events (day, what) VALUES ('2026-01-01', 'login');
COMMIT;
SELECT plan(141);

PREPARE shared_rows AS SELECT note FROM shop.notes;
PREPARE schema_rows AS SELECT note FROM tenant_globex.notes;
SET plan_cache_mode = force_generic_plan;

-- What a statement reaches: a number of rows, or an SQLSTATE.
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

-- What reaches for a table's rows, whoever's they are; last, with a plan.
CREATE FUNCTION pg_temp.statements(place text, prepared text) RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT replace(s, 'PLACE', place) FROM unnest(ARRAY[
		'SELECT * FROM PLACE.notes',
		'SELECT * FROM (SELECT * FROM PLACE.notes n WHERE EXISTS (SELECT FROM PLACE.notes m WHERE m.note = n.note)) x',
		'WITH n AS MATERIALIZED (SELECT * FROM PLACE.notes) SELECT * FROM n',
		'SELECT * FROM PLACE.notes FOR UPDATE',
		'UPDATE PLACE.notes SET note = note',
		'UPDATE PLACE.notes SET note = note RETURNING *',
		'MERGE INTO PLACE.notes n USING (VALUES (1)) v ON true WHEN MATCHED THEN UPDATE SET note = n.note',
		'SELECT * FROM PLACE.events',
		'UPDATE PLACE.events SET what = what',
		'DELETE FROM PLACE.notes',
		'INSERT INTO PLACE.notes (note) VALUES (''new'')']) s
	UNION ALL SELECT 'EXECUTE ' || prepared
$$;

-- Each damage, and then each of them again; the tables are made whole after it.
CREATE FUNCTION pg_temp.closed(place text, prepared text, damage text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	broken text := replace(damage, 'PLACE', place);
BEGIN
	PERFORM t.admin('DO $d$BEGIN ' || broken || '; ' || replace(broken, '.notes', '.events') || '; END$d$; SELECT ''done''');
	FOR statement IN SELECT pg_temp.statements(place, prepared) LOOP
		RETURN NEXT ok(pg_temp.reach(statement) IN ('0', '42501'), broken || ': ' || statement);
	END LOOP;
END $$;

-- control: whole, each of them reaches the one row that is the tenant's
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(pg_temp.reach(s), '1', 'control: ' || s) FROM pg_temp.statements('tenant_globex', 'schema_rows') s WHERE s !~ '^EXEC';
ROLLBACK;
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT ok(pg_temp.reach(s) IN ('1', '3'), 'control: ' || s) FROM pg_temp.statements('shop', 'shared_rows') s WHERE s !~ '^EXEC';
ROLLBACK;

-- Shared tables: acme's session, with a plan for its own row in hand
SELECT tenancy.set_tenant('acme', false) \g /dev/null
EXECUTE shared_rows \g /dev/null
SELECT is(pg_temp.reach('EXECUTE shared_rows'), '1', 'the plan is good');
SELECT pg_temp.closed('shop', 'shared_rows', 'DROP POLICY tenant_isolation ON PLACE.notes');
SELECT t.admin($$SELECT count(*)::text FROM tenancy.protect_module('shop')$$) \g /dev/null
SELECT is(pg_temp.reach('EXECUTE shared_rows'), '1', 'protected again, the same plan gives rows again');
SELECT pg_temp.closed('shop', 'shared_rows', 'ALTER POLICY tenant_isolation ON PLACE.notes USING (true)');
SELECT t.admin($$SELECT count(*)::text FROM tenancy.protect_module('shop')$$) \g /dev/null
SELECT pg_temp.closed('shop', 'shared_rows', 'ALTER POLICY tenant_isolation ON PLACE.notes USING (tenant_id = tenancy.policy_tenant_id() OR true)');
SELECT t.admin($$SELECT count(*)::text FROM tenancy.protect_module('shop')$$) \g /dev/null
SELECT pg_temp.closed('shop', 'shared_rows', 'ALTER POLICY tenant_isolation ON PLACE.notes WITH CHECK (true)');
SELECT t.admin($$SELECT count(*)::text FROM tenancy.protect_module('shop')$$) \g /dev/null
SELECT pg_temp.closed('shop', 'shared_rows', 'ALTER POLICY tenant_isolation ON PLACE.notes TO stranger');
SELECT t.admin($$SELECT count(*)::text FROM tenancy.protect_module('shop')$$) \g /dev/null
SELECT pg_temp.closed('shop', 'shared_rows', 'ALTER TABLE PLACE.notes DROP COLUMN tenant_id CASCADE');
SELECT tenancy.reset_tenant() \g /dev/null

-- A schema tenant's: here the others must not get in
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
EXECUTE schema_rows \g /dev/null
SELECT is(pg_temp.reach('EXECUTE schema_rows'), '0', 'another tenant, with a plan for the schema''s table');
SELECT pg_temp.closed('tenant_globex', 'schema_rows', 'DROP POLICY tenant_isolation ON PLACE.notes');
SELECT t.admin($$DO $d$BEGIN EXECUTE (SELECT string_agg(fix, ';') FROM tenancy.check_isolation() WHERE lint LIKE 'isolation%' AND object LIKE '%tenant\_globex%'); END$d$; SELECT 'done'$$) \g /dev/null
SELECT tenancy.set_tenant('globex', false) \g /dev/null
SELECT is(pg_temp.reach('SELECT * FROM notes'), '1', 'mended, the tenant has its rows again');
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
SELECT pg_temp.closed('tenant_globex', 'schema_rows', 'ALTER POLICY tenant_isolation ON PLACE.notes USING (true)');
SELECT t.admin($$DO $d$BEGIN EXECUTE (SELECT string_agg(fix, ';') FROM tenancy.check_isolation() WHERE lint LIKE 'isolation%' AND object LIKE '%tenant\_globex%'); END$d$; SELECT 'done'$$) \g /dev/null
SELECT pg_temp.closed('tenant_globex', 'schema_rows', 'ALTER POLICY tenant_isolation ON PLACE.notes WITH CHECK (true)');
SELECT t.admin($$DO $d$BEGIN EXECUTE (SELECT string_agg(fix, ';') FROM tenancy.check_isolation() WHERE lint LIKE 'isolation%' AND object LIKE '%tenant\_globex%'); END$d$; SELECT 'done'$$) \g /dev/null

-- All goes
SELECT tenancy.reset_tenant() \g /dev/null
SELECT t.admin($$DO $d$BEGIN DROP EXTENSION tenancy CASCADE; END$d$; SELECT 'done'$$) \g /dev/null
SELECT is(t.rows('SELECT * FROM ' || table_name), 0::bigint, 'without the extension: ' || table_name)
FROM unnest(ARRAY['shop.notes', 'shop.events', 'shop.events_2025', 'shop.assets', 'shop.vehicles', 'tenant_globex.notes', 'tenant_globex.events']) table_name;
SELECT * FROM finish();
