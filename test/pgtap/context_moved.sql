--
-- A tenant that has moved out of its schema while sessions have it open, and
-- one that has not moved in yet: its copy there is dead, and neither gives rows
-- nor takes any, whatever had been planned, prepared or opened before.  What a
-- move does last, or first, is done here by hand: the tenant's row changes,
-- and the schema is still there.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema', '00000000-0000-4000-8000-00000000000c') \g /dev/null
SELECT tenancy.create_tenant('initech', 'schema', '00000000-0000-4000-8000-00000000000d') \g /dev/null

-- The tenant's row: moved to another mode, or back into its schema.
CREATE FUNCTION t.move(tenant text, new_mode text) RETURNS text
LANGUAGE sql AS $$
	SELECT t.admin(format('UPDATE tenancy.tenant SET mode = %1$L,'
		' schema_name = CASE %1$L WHEN ''schema'' THEN ''tenant_'' || slug END,'
		' database_name = CASE %1$L WHEN ''database'' THEN ''nowhere_'' || slug END'
		' WHERE slug = %2$L RETURNING mode::text', new_mode, tenant))
$$;

\connect - app
SET client_min_messages = warning;
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
INSERT INTO notes (note) VALUES ('globex note');
INSERT INTO customers (customer_id, email) VALUES (1, 'globex@example.com');
INSERT INTO events (day, what) VALUES ('2026-01-01', 'login');
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('initech') \g /dev/null
INSERT INTO notes (note) VALUES ('copied');
COMMIT;

SELECT plan(82);
PREPARE reading AS SELECT * FROM tenant_globex.notes;
PREPARE writing AS INSERT INTO tenant_globex.notes (note) VALUES ('prepared');
CREATE FUNCTION pg_temp.cached() RETURNS bigint
LANGUAGE plpgsql AS $$BEGIN RETURN count(*) FROM tenant_globex.notes; END $$;

-- All that reaches for the copy of globex.
CREATE FUNCTION pg_temp.statements() RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT unnest(ARRAY[
		'SELECT * FROM notes',
		'SELECT * FROM tenant_globex.notes',
		'SELECT * FROM tenant_globex.events',
		'SELECT * FROM tenant_globex.events_2026_login',
		'SELECT * FROM tenant_globex.my_customers',
		'SELECT * FROM tenant_globex.notes FOR UPDATE',
		'UPDATE tenant_globex.notes SET note = ''late''',
		'DELETE FROM tenant_globex.notes',
		'INSERT INTO notes (note) VALUES (''late'')',
		'INSERT INTO tenant_globex.notes (note) VALUES (''late'')',
		'INSERT INTO tenant_globex.customers (customer_id, email) VALUES (1, ''x'') ON CONFLICT DO NOTHING',
		'INSERT INTO tenant_globex.events (day, what) VALUES (''2026-02-02'', ''late'')',
		'MERGE INTO tenant_globex.notes n USING (VALUES (1)) v ON true WHEN MATCHED THEN DELETE',
		'EXECUTE reading',
		'EXECUTE writing',
		'SELECT pg_temp.cached()'])
$$;

-- ---------------------------------------------------------------------------
-- Moved out, in mid-transaction
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.state(sql), '00000', 'control: ' || sql) FROM pg_temp.statements() AS sql;
ROLLBACK;

BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.rows('SELECT * FROM notes'), 1::bigint, 'READ COMMITTED: rows before');
SELECT t.move('globex', 'shared') \g /dev/null
SELECT is(t.state(sql), 'TN003', 'READ COMMITTED: ' || sql) FROM pg_temp.statements() AS sql;
ROLLBACK;
SELECT t.move('globex', 'schema') \g /dev/null

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.rows('SELECT * FROM notes'), 1::bigint, 'REPEATABLE READ: rows before, of a snapshot that will be older than the move');
SELECT t.move('globex', 'shared') \g /dev/null
SELECT is(t.state(sql), 'TN003', 'REPEATABLE READ: ' || sql) FROM pg_temp.statements() AS sql;
ROLLBACK;
SELECT t.move('globex', 'schema') \g /dev/null

-- ---------------------------------------------------------------------------
-- Moved out, between the transactions of a session
-- ---------------------------------------------------------------------------
SELECT tenancy.set_tenant('globex', false) \g /dev/null
SELECT is(t.rows('SELECT * FROM notes'), 1::bigint, 'a session''s context: rows before');
SELECT t.move('globex', 'shared') \g /dev/null
SELECT is(t.state(sql), 'TN003', 'a session''s context: ' || sql) FROM pg_temp.statements() AS sql;
SELECT is(tenancy.current_tenant(), 'globex', 'the context itself is good');
SELECT is(t.rows('SELECT * FROM shop.notes'), 0::bigint, 'where the tenant lives now, it is served');
SELECT matches(t.error('SELECT * FROM notes'), 'set_tenant\(\) again', 'the hint says what to do');
SELECT tenancy.set_tenant('globex', false) \g /dev/null
SELECT lives_ok($$INSERT INTO notes (note) VALUES ('moved')$$, 'which helps');
SELECT is(t.value('SELECT note FROM shop.notes'), 'moved', 'and leads to the shared table');
DELETE FROM shop.notes;
SELECT t.move('globex', 'database') \g /dev/null
SELECT throws_ok('SELECT * FROM tenant_globex.notes', 'TN003', NULL, 'moved to a database: not read');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, 'TN003', NULL, 'nor written');
SELECT t.move('globex', 'schema') \g /dev/null
SELECT is(t.rows('SELECT * FROM tenant_globex.notes'), 1::bigint, 'moved back: its rows, no more and no fewer');
SELECT tenancy.reset_tenant() \g /dev/null

-- ---------------------------------------------------------------------------
-- A cursor that is open
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
DECLARE c CURSOR FOR SELECT note FROM tenant_globex.notes;
SELECT t.move('globex', 'shared') \g /dev/null
SELECT throws_ok('FETCH c', 'TN003', NULL, 'a cursor that was opened before');
ROLLBACK;
SELECT t.move('globex', 'schema') \g /dev/null

-- ---------------------------------------------------------------------------
-- What has not moved in yet; others
-- ---------------------------------------------------------------------------
SELECT t.move('initech', 'shared') \g /dev/null
BEGIN;
SELECT tenancy.set_tenant('initech') \g /dev/null
SELECT throws_ok('SELECT * FROM tenant_initech.notes', 'TN003', NULL, 'a copy that is being filled: not read');
SELECT throws_ok($$INSERT INTO tenant_initech.notes (note) VALUES ('early')$$, 'TN003', NULL, 'nor written');
SELECT lives_ok($$INSERT INTO notes (note) VALUES ('here')$$, 'while the shared tables serve');
ROLLBACK;
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.rows('SELECT * FROM tenant_initech.notes'), 0::bigint, 'others see nothing in it, as before');
SELECT throws_ok($$INSERT INTO tenant_initech.notes (note) VALUES ('planted')$$, '42501', NULL, 'and put nothing in');
ROLLBACK;
SELECT t.move('initech', 'schema') \g /dev/null
BEGIN;
SELECT tenancy.set_tenant('initech') \g /dev/null
SELECT lives_ok($$INSERT INTO tenant_initech.notes (note) VALUES ('in')$$, 'moved in');
ROLLBACK;

SELECT * FROM finish();
