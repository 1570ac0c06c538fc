--
-- The application goes on while a migration is recorded.  What it does with
-- the rights of the model's owner, by a foreign key's cascade or a definer
-- function, is not the author's: its text must not become a migration, which
-- the owner would run later on.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SET ROLE shop_owner;
CREATE FUNCTION shop.add_note(note text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = shop, pg_temp AS 'INSERT INTO notes (note) VALUES (note)';
CREATE FUNCTION shop.add_table() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = shop, pg_temp AS 'CREATE TABLE by_function (a integer)';
CREATE FUNCTION shop.empty() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = shop, pg_temp AS 'TRUNCATE orders';
RESET ROLE;
DROP SCHEMA IF EXISTS mine CASCADE;
CREATE SCHEMA mine AUTHORIZATION app;

\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql
\connect - :admin
SET client_min_messages = warning;
SELECT plan(14);
SELECT tenancy.start_recording(1, 'recorded', 'shop') \g /dev/null

SELECT t.elsewhere('app', 'app', $$CREATE FUNCTION mine.evil() RETURNS text LANGUAGE sql AS 'SELECT current_user::text'$$) \g /dev/null
SELECT is(t.elsewhere('app', 'app', $$SELECT current_setting('tenancy.recording')$$), 'on', 'the application''s session is one that is recorded');
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('acme', false)$$) \g /dev/null
SELECT is(t.elsewhere('app', 'app', $$WITH d AS (DELETE FROM customers WHERE customer_id = 1 RETURNING mine.evil()) SELECT evil FROM d$$), 'app', 'it deletes a row whose orders go along, as the owner''s work');
SELECT is(t.elsewhere('app', 'app', 'SELECT count(*) FROM orders WHERE customer_id = 1'), '0', 'as they do');
SELECT is_empty('SELECT * FROM tenancy.recorded_statement', 'that is no statement of the model''s author');
SELECT t.elsewhere('app', 'app', $$SELECT shop.add_note('by a function, ' || mine.evil())::text$$) \g /dev/null
SELECT is_empty('SELECT * FROM tenancy.recorded_statement', 'nor is one that calls a definer function which writes rows');
SELECT t.elsewhere('app', 'app', 'SELECT shop.empty()::text') \g /dev/null
SELECT is_empty('SELECT * FROM tenancy.recorded_statement', 'or empties a table');
SELECT throws_ok($$SELECT t.elsewhere('app', 'app', 'SELECT shop.add_table()::text')$$, '55000', NULL, 'one that creates a table would be lost, and is refused');
SELECT is_empty('SELECT * FROM tenancy.recorded_statement', 'and not recorded');
SELECT is(to_regclass('shop.by_function'), NULL, 'nor is there the table');

-- control: the author's statements are recorded
SELECT t.elsewhere('author', :'admin', 'SET ROLE shop_owner') \g /dev/null
SELECT t.elsewhere('author', :'admin', 'TRUNCATE shop.orders') \g /dev/null
SELECT results_eq('SELECT sql FROM tenancy.recorded_statement ORDER BY number', ARRAY['TRUNCATE orders'], 'the author''s is, of a session that became the owner');
SELECT t.elsewhere('author', :'admin', 'SELECT shop.add_table()::text') \g /dev/null
SELECT is((SELECT count(*)::integer FROM tenancy.recorded_statement), 2, 'and a call of the same function');
SELECT isnt(to_regclass('shop.by_function'), NULL, 'which makes its table');
SELECT t.leave('app'), t.leave('author') \g /dev/null
SELECT is(tenancy.stop_recording(true), 2, 'two statements in all');
SELECT is((SELECT count(*)::integer FROM tenancy.migration), 0, 'and none that becomes a migration');
SELECT * FROM finish();
DROP SCHEMA mine CASCADE;
