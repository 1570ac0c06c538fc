--
-- A tenant with a database of its own, as the application meets it: first
-- from the application's database, then inside.  The SQL is that of the other
-- modes; what is tried is to be somebody else there.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('pgtap-db', 'database', '00000000-0000-4000-8000-0000000000d1') \g /dev/null
SELECT tenancy.create_tenant('pgtap-db2', 'database', '00000000-0000-4000-8000-0000000000d2') \g /dev/null
SELECT tenancy.grant_access('clerk', 'pgtap-db') \g /dev/null
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

\connect :home app
SET client_min_messages = warning;
SELECT plan(66);
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
SELECT is(tenancy.current_tenant(), 'pgtap-db', 'after all that, the tenant is who it was');
SELECT is(pg_temp.reach('SELECT * FROM notes'), '1', 'with what it had');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(tenancy.current_tenant(), 'pgtap-db', 'reset_tenant() goes no further than the database');
CREATE TEMP TABLE notes (note text);
SELECT is(pg_temp.reach('SELECT * FROM notes'), '1', 'a temporary table takes no table''s place here either');
SELECT is(pg_temp.reach('SELECT * FROM pg_temp.notes'), '0', 'though it is there');
RESET ALL;
SELECT is(tenancy.current_tenant(), 'pgtap-db', 'nor does RESET ALL');
SELECT * FROM finish();

\connect :home clerk
SET client_min_messages = warning;
SELECT tenancy.current_tenant() = 'pgtap-db' AND count(*) = 1 AS good FROM notes \gset
\if :good
\else
	DO $$ BEGIN RAISE EXCEPTION 'clerk has access to this tenant, and sees no rows'; END $$;
\endif
\connect :application :admin
SELECT count(tenancy.drop_tenant(slug, true)) FROM tenancy.tenant WHERE mode = 'database' \g /dev/null
