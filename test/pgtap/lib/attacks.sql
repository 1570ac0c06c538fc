--
-- Tenant acme (of mode "attacker") against tenant hooli (of mode "victim"):
-- reading, writing, probing, copying.  The role is app, which may act for
-- both, so that nothing but the context keeps them apart.  Beside the attacks,
-- the same thing with acme's own rows.
--
-- In a tenant's own database there is nobody else to attack: rows of hooli have
-- got there by a mistake (rows_planted.sql), and are nobody's to see.
--
\ir setup.sql
SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants \g /dev/null
SELECT tenancy.create_tenant('acme', :'attacker', :'acme') \g /dev/null
SELECT :'attacker' = 'database' AS is_database, current_database() AS application \gset
\set database :application
\if :is_database
SELECT tenancy.tenant_database('acme') AS database \gset
\connect :database :admin
SET client_min_messages = warning;
\ir helpers.sql
\else
SELECT tenancy.create_tenant('hooli', :'victim', :'hooli') \g /dev/null
\endif
DROP SCHEMA IF EXISTS mine CASCADE;
CREATE SCHEMA mine;
GRANT ALL ON SCHEMA mine TO app;

-- Where the victim's rows are, and what a statement that reaches for them
-- gets there: nothing, or a refusal where a schema tenant has no business.
SELECT CASE :'victim' WHEN 'schema' THEN 'tenant_hooli' ELSE 'shop' END AS there,
	CASE :'attacker' WHEN 'schema' THEN 'tenant_acme' ELSE 'shop' END AS here,
	CASE WHEN :'attacker' = 'schema' AND :'victim' = 'shared' THEN 'TN003' ELSE '0' END AS nothing,
	CASE WHEN :'attacker' = 'schema' AND :'victim' = 'shared' THEN 'TN003' ELSE '42501' END AS refusal,
	-- what the attacker finds there of its own
	CASE WHEN :'attacker' = 'schema' AND :'victim' = 'shared' THEN 'TN003'
		WHEN :'victim' IN ('shared', 'planted') THEN '2' ELSE '0' END AS own_there \gset

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

-- All that a tenant has, as one value.
CREATE FUNCTION t.all_rows() RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	name text;
	part text;
	rows text := '';
BEGIN
	FOREACH name IN ARRAY ARRAY['customers', 'orders', 'notes', 'events', 'assets', 'vehicles', 'messages'] LOOP
		EXECUTE format('SELECT string_agg(x::text, E''\n'' ORDER BY x::text) FROM %I x', name) INTO part;
		rows := rows || name || E':\n' || COALESCE(part, '') || E'\n';
	END LOOP;
	RETURN rows;
END $$;

-- A condition that shouts when it gets to see the victim's data.
CREATE FUNCTION t.shout(value text) RETURNS boolean
LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	IF value ~ 'Gavin|Jack|Twin|hooli' THEN
		RAISE EXCEPTION 'seen: %', value USING ERRCODE = 'XX999';
	END IF;
	RETURN true;
END $$;
CREATE FUNCTION t.shout_eq(a text, b integer) RETURNS boolean
LANGUAGE sql COST 0.0001 AS 'SELECT t.shout(a)';
-- A cursor on a query, and the text of a plan that was run.
CREATE FUNCTION t.cursor(sql text) RETURNS refcursor LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
BEGIN
	OPEN c FOR EXECUTE sql;
	RETURN c;
END $$;
CREATE FUNCTION t.analyzed(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE, BUFFERS, TIMING OFF) ' || sql LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan;
END $$;
CREATE OPERATOR t.=== (LEFTARG = text, RIGHTARG = integer, FUNCTION = t.shout_eq);
-- operators whose selectivity is estimated by asking them about the values in statistics
CREATE FUNCTION t.shout_both(a text, b text) RETURNS boolean
LANGUAGE plpgsql COST 0.0001 AS 'BEGIN RETURN t.shout(a) AND t.shout(b); END';
CREATE OPERATOR t.~== (LEFTARG = text, RIGHTARG = text, FUNCTION = t.shout_both, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR t.~<< (LEFTARG = text, RIGHTARG = text, FUNCTION = t.shout_both, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR t.~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = t.shout_both, RESTRICT = matchingsel, JOIN = matchingjoinsel);
-- all that the victim has where it does not belong
CREATE FUNCTION t.planted_rows() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = shop, pg_temp AS $$
DECLARE
	name text;
	part text;
	rows text := '';
BEGIN
	FOREACH name IN ARRAY ARRAY['customers', 'orders', 'notes', 'events', 'assets', 'vehicles', 'messages'] LOOP
		EXECUTE format('SELECT string_agg(x::text, $n$; $n$ ORDER BY x::text) FROM %I x WHERE tenant_id = $1', name) INTO part USING '00000000-0000-4000-8000-00000000000b'::uuid;
		rows := rows || name || E':\n' || COALESCE(part, '') || E'\n';
	END LOOP;
	RETURN rows;
END $$;

\connect :database app
SET client_min_messages = warning;
SET SESSION "tap.there" = :'there';
\if :is_database
\ir rows_acme.sql
\connect :database :admin
SET client_min_messages = warning;
\ir rows_planted.sql
\connect :database app
SET client_min_messages = warning;
SET SESSION "tap.there" = :'there';
\else
\ir rows.sql
\endif
SELECT t.admin('ANALYZE') \g /dev/null
SELECT plan(:tests);

CREATE FUNCTION pg_temp.there(sql text) RETURNS text
LANGUAGE sql AS $$SELECT replace(replace(sql, 'THERE', current_setting('tap.there')), 'HOOLI', '00000000-0000-4000-8000-00000000000b')$$;

BEGIN;
\if :is_database
SELECT t.planted_rows() AS before \gset
\else
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT t.all_rows() AS before \gset
\endif
SELECT ok(:'before' LIKE '%Gavin%' AND :'before' NOT LIKE '%Wile,%', 'the victim has rows');
COMMIT;

-- ---------------------------------------------------------------------------
-- Reading
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null

-- control: unqualified, all that is there is its own
SELECT is(t.reach(sql), own, 'own rows: ' || sql) FROM (VALUES
	('SELECT * FROM customers', '2'), ('SELECT * FROM orders', '2'), ('SELECT * FROM notes', '1'), ('SELECT * FROM events', '3'),
	('SELECT * FROM events_2025', '1'), ('SELECT * FROM events_2026', '2'), ('SELECT * FROM events_2026_login', '1'),
	('SELECT * FROM events_2026_rest', '1'), ('SELECT * FROM assets', '2'), ('SELECT * FROM ONLY assets', '1'),
	('SELECT * FROM vehicles', '1'), ('SELECT * FROM messages', '1'), ('SELECT * FROM totals', '2'),
	('SELECT * FROM my_customers', '2'), ('SELECT * FROM barrier', '2'), ('TABLE customers', '2'),
	('SELECT FROM customers c JOIN orders o USING (tenant_id, customer_id)', '2'),
	('SELECT FROM customers TABLESAMPLE SYSTEM (100)', '2'), ('SELECT FROM customers FOR UPDATE', '2'),
	('SELECT FROM customers FOR KEY SHARE', '2'),
	($$SELECT FROM generate_series(1, customer_count()) g$$, '2'),
	($$SELECT FROM generate_series(1, customer_count_as_owner()) g$$, '2')) AS controls (sql, own);

-- attack: the victim's, in its place
SELECT is(t.reach(pg_temp.there(format('SELECT * FROM THERE.%s WHERE tenant_id = ''HOOLI''', name))), :'nothing', name || ' by tenant')
FROM unnest(ARRAY['customers', 'orders', 'notes', 'events', 'events_2025', 'events_2026', 'events_2026_login', 'events_2026_rest',
	'assets', 'vehicles', 'messages']) AS name;
SELECT is(t.reach(pg_temp.there(sql)), :'nothing', sql) FROM unnest(ARRAY[
	$$SELECT * FROM ONLY THERE.assets WHERE label LIKE 'hooli%'$$,
	$$SELECT * FROM THERE.totals WHERE name IN ('Gavin', 'Jack', 'Twin')$$,
	$$SELECT * FROM THERE.my_customers WHERE name IN ('Gavin', 'Jack', 'Twin')$$,
	$$SELECT * FROM THERE.barrier WHERE name IN ('Gavin', 'Jack', 'Twin')$$,
	$$SELECT * FROM THERE.customers WHERE name = 'Gavin' OR true AND name = 'Gavin'$$,
	$$SELECT * FROM THERE.customers WHERE (tenant_id, customer_id) = ('HOOLI', 1)$$,
	$$SELECT * FROM THERE.customers WHERE ctid IN ('(0,3)', '(0,4)', '(0,5)', '(0,1)', '(0,2)') AND name IN ('Gavin', 'Jack', 'Twin')$$,
	$$SELECT * FROM THERE.customers WHERE tenant_id <> '00000000-0000-4000-8000-00000000000a'$$,
	$$SELECT * FROM THERE.customers WHERE tenant_id IS DISTINCT FROM tenancy.current_tenant_id()$$,
	$$SELECT * FROM THERE.customers WHERE tenant_id = ANY (ARRAY['HOOLI', '00000000-0000-4000-8000-00000000000a']::uuid[]) AND balance >= 1000$$,
	$$SELECT * FROM THERE.customers WHERE balance >= 1000 ORDER BY balance DESC LIMIT 1$$,
	$$SELECT * FROM THERE.customers c WHERE EXISTS (SELECT FROM THERE.orders o WHERE o.total >= 1000)$$,
	$$SELECT * FROM THERE.orders WHERE total IN (SELECT total FROM THERE.orders WHERE total >= 1000)$$,
	$$WITH x AS MATERIALIZED (SELECT * FROM THERE.customers) SELECT * FROM x WHERE balance >= 1000$$,
	$$WITH RECURSIVE x AS (SELECT customer_id FROM THERE.customers WHERE balance >= 1000 UNION SELECT c.customer_id FROM x, THERE.customers c) SELECT * FROM x$$,
	$$SELECT * FROM THERE.customers TABLESAMPLE SYSTEM (100) WHERE balance >= 1000$$,
	$$SELECT * FROM THERE.customers TABLESAMPLE BERNOULLI (100) WHERE balance >= 1000$$,
	$$SELECT * FROM THERE.customers WHERE balance >= 1000 FOR UPDATE$$,
	$$SELECT * FROM THERE.customers WHERE balance >= 1000 FOR SHARE SKIP LOCKED$$,
	$$SELECT * FROM (SELECT * FROM THERE.customers UNION ALL SELECT * FROM THERE.customers) u WHERE balance >= 1000$$,
	$$SELECT * FROM (SELECT *, max(balance) OVER () AS m FROM THERE.customers) w WHERE m >= 1000$$,
	$$SELECT * FROM generate_series(1, 5) n, LATERAL (SELECT * FROM THERE.customers c WHERE c.customer_id = n AND c.balance >= 1000) l$$,
	$$SELECT max(balance) FROM THERE.customers HAVING max(balance) >= 1000$$,
	$$SELECT name FROM THERE.customers GROUP BY GROUPING SETS ((name), ()) HAVING max(balance) >= 1000$$,
	$$SELECT xmin, ctid, tableoid, c FROM THERE.customers c WHERE c::text LIKE '%Gavin%'$$,
	$$SELECT to_jsonb(c) FROM THERE.customers c WHERE to_jsonb(c)::text LIKE '%Gavin%'$$]) AS sql;
SELECT is(t.value(pg_temp.there(sql)), own, sql) FROM (VALUES
	('SELECT t.reach(''SELECT * FROM THERE.customers'')', :'own_there'),
	('SELECT t.reach(''SELECT * FROM THERE.orders'')', :'own_there')) AS counts (sql, own);
-- a table's functions in its schema, which know their own tables only
SELECT ok(t.value(pg_temp.there(format('SELECT COALESCE((SELECT t.state(%L)), '''')', 'SELECT THERE.' || f))) IN ('00000', 'TN003', '42501')
	AND (t.state(pg_temp.there('SELECT THERE.' || f)) <> '00000' OR t.value(pg_temp.there('SELECT THERE.' || f)) IN ('0', '2')), f || ' of the victim counts none of its rows')
FROM unnest(ARRAY['customer_count()', 'customer_count_as_owner()']) AS f;

-- conditions that tell what they see, cheaper than any of ours
SELECT is(t.state(pg_temp.there(sql)), CASE :'nothing' WHEN '0' THEN '00000' ELSE :'nothing' END, sql) FROM unnest(ARRAY[
	'SELECT * FROM THERE.customers WHERE t.shout(name)',
	'SELECT * FROM THERE.customers WHERE t.shout(name) AND tenant_id = ''HOOLI''',
	'SELECT * FROM THERE.customers WHERE tenant_id = ''HOOLI'' OR t.shout(email || name)',
	'SELECT * FROM THERE.customers WHERE name OPERATOR(t.===) 1',
	'SELECT * FROM THERE.notes WHERE t.shout(note)',
	'SELECT * FROM THERE.events WHERE t.shout(what)',
	'SELECT * FROM THERE.events_2025 WHERE t.shout(what)',
	'SELECT * FROM THERE.assets WHERE t.shout(label)',
	'SELECT * FROM THERE.vehicles WHERE t.shout(label)',
	'SELECT * FROM THERE.messages WHERE t.shout(body)',
	'SELECT * FROM THERE.barrier WHERE t.shout(name)',
	'SELECT * FROM THERE.totals WHERE t.shout(name)',
	'SELECT * FROM THERE.my_customers WHERE t.shout(name)',
	'SELECT count(*) FILTER (WHERE t.shout(name)) FROM THERE.customers',
	'SELECT * FROM THERE.customers c LEFT JOIN THERE.orders o ON t.shout(c.name)',
	'SELECT * FROM THERE.customers ORDER BY t.shout(name)',
	'SELECT CASE WHEN t.shout(name) THEN 1 END FROM THERE.customers',
	'UPDATE THERE.customers SET name = name WHERE t.shout(name)',
	'DELETE FROM THERE.customers WHERE t.shout(name) AND name = ''''',
	'SELECT 1 / (balance - 1000) FROM THERE.customers',
	'SELECT * FROM THERE.customers WHERE 1 / (balance - 2000) > 5',
	'SELECT * FROM THERE.customers WHERE (CASE balance WHEN 3000 THEN name ELSE ''1'' END)::integer > 5']) AS sql;
-- control: the function does shout
SELECT throws_ok($$SELECT t.shout('Gavin')$$, 'XX999', NULL, 'the condition does tell what it sees');

-- statistics
SELECT is_empty($$SELECT * FROM pg_stats WHERE tablename IN ('customers', 'orders', 'notes', 'assets', 'messages')$$, 'statistics hold values of all tenants, and are shown to nobody');
SELECT throws_ok('SELECT * FROM pg_statistic', '42501', NULL, 'in no form');

-- nor are they given to operators, while a query is planned
SELECT ok(t.state(pg_temp.there(format('EXPLAIN SELECT FROM %s WHERE %s OPERATOR(t.%s) ''x''', rel, col, op))) IN ('00000', 'TN003'), format('a plan by %s of %s', op, rel))
FROM unnest(ARRAY['~==', '~<<', '~~~']) AS op,
	(VALUES ('THERE.customers', 'name'), ('THERE.customers', 'email'), ('THERE.notes', 'note'), ('THERE.events', 'what'), ('THERE.events_2025', 'what'),
		('THERE.events_2026', 'what'), ('THERE.events_2026_rest', 'what'), ('THERE.assets', 'label'), ('ONLY THERE.assets', 'label'), ('THERE.vehicles', 'label'), ('THERE.messages', 'body'),
		('THERE.barrier', 'name'), ('THERE.totals', 'name'), ('THERE.my_customers', 'name'), ('(SELECT name FROM THERE.customers UNION ALL SELECT what FROM THERE.events) u', 'name')) AS r (rel, col);
SELECT ok(t.state(pg_temp.there(format('EXPLAIN SELECT FROM THERE.customers a JOIN THERE.events b ON a.name OPERATOR(t.%s) b.what', op))) IN ('00000', 'TN003'), format('a plan of a join by %s', op))
FROM unnest(ARRAY['~==', '~<<', '~~~']) AS op;
-- control: for somebody whom row security does not bind, they are
SELECT throws_ok(format('SELECT t.admin(%L)', pg_temp.there('EXPLAIN SELECT FROM THERE.events WHERE what OPERATOR(t.~<<) ''x''')), 'XX999', NULL, 'a superuser''s plan tells what is in them');

-- row security cannot be asked to go
SET LOCAL row_security = off;
SELECT throws_ok(pg_temp.there('SELECT * FROM THERE.customers'), '42501', NULL, 'row_security = off is refused');
SELECT throws_ok('SELECT * FROM customers', '42501', NULL, 'for its own rows as well');
SET LOCAL row_security = on;
ROLLBACK;

-- ---------------------------------------------------------------------------
-- COPY
-- ---------------------------------------------------------------------------
\set file `mktemp`
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
COPY customers (name) TO STDOUT \g :file
\set copied `cat :file`
SELECT is(:'copied'::text, E'Wile\nRoad Runner', 'COPY TO copies its own rows');
COPY (SELECT name FROM customers) TO STDOUT \g :file
\set copied `cat :file`
SELECT is(:'copied'::text, E'Wile\nRoad Runner', 'as does COPY of a query');
\set ON_ERROR_STOP 0
COPY :there.customers (name) TO STDOUT \g :file
\set ON_ERROR_STOP 1
ROLLBACK;
\set copied `grep -c -E 'Gavin|Jack|Twin' :file`
\! rm -f :file
SELECT is(:'copied'::text, '0', 'COPY TO from the victim''s place copies none of its rows');
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
COPY :there.notes (tenant_id, note) FROM STDIN;
00000000-0000-4000-8000-00000000000b	copied
\.
\set ON_ERROR_STOP 1
\set state :SQLSTATE
ROLLBACK;
SELECT ok(:'state' IN ('0A000', 'TN003', '42501'), 'COPY FROM into it is refused');
SELECT throws_ok(format('COPY %s.customers TO PROGRAM ''cat''', :'there'), '42501', NULL, 'COPY TO PROGRAM is not for ordinary roles');

-- ---------------------------------------------------------------------------
-- Writing
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null

-- control
SELECT is(t.reach(sql), '1', 'own: ' || sql) FROM unnest(ARRAY[
	$$INSERT INTO customers (customer_id, email, name) VALUES (50, 'new@example.com', 'New')$$,
	$$INSERT INTO customers (tenant_id, customer_id, email) VALUES (tenancy.current_tenant_id(), 51, 'newer@example.com')$$,
	$$UPDATE customers SET balance = 7 WHERE customer_id = 50$$,
	$$INSERT INTO customers (customer_id, email) VALUES (50, 'x') ON CONFLICT (tenant_id, customer_id) DO UPDATE SET balance = 8$$,
	$$MERGE INTO customers c USING (VALUES (50)) v (id) ON c.customer_id = v.id WHEN MATCHED THEN UPDATE SET balance = 9$$,
	$$UPDATE my_customers SET name = 'Renamed' WHERE customer_id = 50$$,
	$$INSERT INTO my_customers (customer_id, email, name) VALUES (52, 'view@example.com', 'View')$$,
	$$DELETE FROM customers WHERE customer_id = 50$$,
	$$INSERT INTO events_2025 (day, what) VALUES ('2025-02-02', 'direct')$$,
	$$INSERT INTO vehicles (label, wheels) VALUES ('acme cart', 2)$$]) AS sql;

-- attack: rows that are there
SELECT is(t.reach(pg_temp.there(sql)), :'nothing', sql) FROM unnest(ARRAY[
	$$UPDATE THERE.customers SET name = 'owned' WHERE tenant_id = 'HOOLI'$$,
	$$UPDATE THERE.customers SET name = 'owned' WHERE balance >= 1000$$,
	$$UPDATE THERE.customers SET tenant_id = tenancy.current_tenant_id() WHERE balance >= 1000$$,
	$$UPDATE THERE.customers SET balance = 0 WHERE name = 'Gavin' RETURNING *$$,
	$$UPDATE ONLY THERE.assets SET label = 'owned' WHERE tenant_id = 'HOOLI'$$,
	$$UPDATE THERE.events_2025 SET what = 'owned' WHERE tenant_id = 'HOOLI'$$,
	$$UPDATE THERE.events SET day = '2026-01-01' WHERE tenant_id = 'HOOLI'$$,
	$$UPDATE THERE.vehicles SET wheels = 3 WHERE tenant_id = 'HOOLI'$$,
	$$UPDATE THERE.my_customers SET name = 'owned' WHERE name = 'Gavin'$$,
	$$UPDATE THERE.barrier SET name = 'owned' WHERE name = 'Gavin'$$,
	$$UPDATE THERE.orders o SET total = 0 FROM THERE.customers c WHERE c.customer_id = o.customer_id AND c.balance >= 1000$$,
	$$DELETE FROM THERE.customers WHERE tenant_id = 'HOOLI'$$,
	$$DELETE FROM THERE.customers WHERE balance >= 1000 RETURNING *$$,
	$$DELETE FROM THERE.orders USING THERE.customers c WHERE c.balance >= 1000$$,
	$$DELETE FROM THERE.events_2026_login WHERE tenant_id = 'HOOLI'$$,
	$$DELETE FROM THERE.my_customers WHERE name = 'Gavin'$$,
	$$MERGE INTO THERE.customers c USING (VALUES ('Gavin')) v (name) ON c.name = v.name WHEN MATCHED THEN DELETE$$,
	$$MERGE INTO THERE.customers c USING (VALUES ('Gavin')) v (name) ON c.name = v.name WHEN MATCHED THEN UPDATE SET balance = 0$$,
	$$MERGE INTO THERE.customers c USING (VALUES ('Gavin')) v (name) ON c.name = v.name WHEN NOT MATCHED THEN DO NOTHING$$,
	$$INSERT INTO notes (note) SELECT name FROM THERE.customers WHERE balance >= 1000$$,
	$$WITH d AS (DELETE FROM THERE.customers WHERE balance >= 1000 RETURNING *) SELECT * FROM d$$]) AS sql;

-- attack: rows for the victim
SELECT is(t.reach(pg_temp.there(sql)), :'refusal', sql) FROM unnest(ARRAY[
	$$INSERT INTO THERE.notes (tenant_id, note) VALUES ('HOOLI', 'planted')$$,
	$$INSERT INTO THERE.customers (tenant_id, customer_id, email) VALUES ('HOOLI', 99, 'planted')$$,
	$$INSERT INTO THERE.customers (tenant_id, customer_id, email) VALUES ('HOOLI', 1, 'gavin@example.com')$$,
	$$INSERT INTO THERE.customers (tenant_id, customer_id, email) VALUES ('HOOLI', 1, 'gavin@example.com') ON CONFLICT DO NOTHING$$,
	$$INSERT INTO THERE.customers (tenant_id, customer_id, email) VALUES ('HOOLI', 1, 'x') ON CONFLICT (tenant_id, customer_id) DO UPDATE SET balance = 0$$,
	$$INSERT INTO THERE.customers (tenant_id, customer_id, email) VALUES ('HOOLI', 1, 'x') ON CONFLICT (tenant_id, customer_id) DO UPDATE SET name = excluded.email RETURNING *$$,
	$$MERGE INTO THERE.customers c USING (VALUES ('nobody')) v (name) ON c.name = v.name WHEN NOT MATCHED THEN INSERT (tenant_id, customer_id, email) VALUES ('HOOLI', 98, 'planted')$$,
	$$INSERT INTO THERE.orders (tenant_id, order_id, customer_id, total) VALUES ('HOOLI', 99, 1, 1)$$,
	$$INSERT INTO THERE.events (tenant_id, day, what) VALUES ('HOOLI', '2025-03-03', 'planted')$$,
	$$INSERT INTO THERE.events_2025 (tenant_id, day, what) VALUES ('HOOLI', '2025-03-03', 'planted')$$,
	$$INSERT INTO THERE.events_2026_login (tenant_id, day, what) VALUES ('HOOLI', '2026-03-03', 'login')$$,
	$$INSERT INTO THERE.vehicles (tenant_id, label) VALUES ('HOOLI', 'planted')$$,
	$$INSERT INTO THERE.assets (tenant_id, label) VALUES ('HOOLI', 'planted')$$,
	$$INSERT INTO THERE.messages (tenant_id, body) VALUES ('HOOLI', 'planted')$$]) AS sql;
-- attack: its own rows given away (into the victim's place by tenant column,
-- where they are in the same table)
SELECT is(t.reach(pg_temp.there(sql)), CASE :'attacker' WHEN 'schema' THEN own ELSE '42501' END, sql) FROM (VALUES
	($$UPDATE customers SET tenant_id = 'HOOLI' WHERE customer_id = 2$$, '23503'),
	($$UPDATE notes SET tenant_id = 'HOOLI'$$, '1'),
	($$UPDATE events SET tenant_id = 'HOOLI', day = '2026-01-01' WHERE day = '2025-05-05'$$, '1'),
	($$INSERT INTO notes (tenant_id, note) VALUES ('HOOLI', 'labelled')$$, '1')) AS gifts (sql, own)
WHERE :'attacker' <> 'schema';
ROLLBACK;

-- ---------------------------------------------------------------------------
-- Probing: keys lead with the tenant, so that nothing can be learnt from them
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT lives_ok($$INSERT INTO customers (customer_id, email) VALUES (3, 'gavin@example.com')$$, 'a key and an e-mail that the victim has');
SELECT throws_ok($$INSERT INTO customers (customer_id, email) VALUES (70, 'wile@example.com')$$, '23505', NULL, 'where its own are taken');
SELECT throws_ok('INSERT INTO orders (order_id, customer_id, total) VALUES (70, 4, 1)', '23503', NULL, 'a reference to a row of the victim');
SELECT lives_ok('INSERT INTO orders (order_id, customer_id, total) VALUES (70, 1, 1)', 'where one to its own works');
SELECT unalike(t.error($$UPDATE customers SET balance = -1$$), '%Gavin%', 'the detail of an error');
SELECT is(t.rows('DELETE FROM customers WHERE customer_id = 1'), 1::bigint, 'a deletion that cascades');
SELECT is(t.value('SELECT string_agg(order_id::text, '','') FROM orders'), '2', 'to its own rows');
ROLLBACK;

-- ---------------------------------------------------------------------------
-- Copies, shadows, paths
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.reach(pg_temp.there('CREATE TABLE mine.copy AS SELECT * FROM THERE.customers WHERE balance >= 1000')), :'nothing', 'CREATE TABLE AS copies nothing of the victim');
SELECT is(t.reach('CREATE TABLE mine.own AS SELECT * FROM customers'), '2', 'but its own');
SELECT is(t.state(pg_temp.there('CREATE MATERIALIZED VIEW mine.mat AS SELECT * FROM THERE.customers WHERE balance >= 1000')), CASE :'nothing' WHEN '0' THEN '00000' ELSE :'nothing' END, 'a materialized view');
SELECT ok(t.reach('SELECT * FROM mine.mat') IN ('0', '42P01'), 'holds none either');
SELECT lives_ok(pg_temp.there('CREATE VIEW mine.view AS SELECT * FROM THERE.customers'), 'a view of one''s own');
SELECT is(t.reach('SELECT * FROM mine.view WHERE balance >= 1000'), :'nothing', 'shows none');
SELECT lives_ok(pg_temp.there($$CREATE FUNCTION mine.seen() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER AS 'SELECT name FROM THERE.customers WHERE balance >= 1000'$$), 'a definer function');
SELECT is(t.reach('SELECT * FROM mine.seen()'), :'nothing', 'shows none');
SELECT lives_ok(pg_temp.there('CREATE TABLE mine.like_it (LIKE THERE.customers INCLUDING ALL)'), 'a table LIKE it');
SELECT is(t.reach('SELECT * FROM mine.like_it'), '0', 'is empty');
ROLLBACK;

BEGIN;
CREATE TEMP TABLE customers (name text);
INSERT INTO pg_temp.customers VALUES ('temporary');
CREATE TEMP VIEW notes AS SELECT 'temporary'::text AS note;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.value('SELECT count(*) FROM customers'), '2', 'a temporary table does not take a table''s place');
SELECT is(t.value('SELECT note FROM notes'), 'acme note', 'nor does a temporary view');
SELECT is(t.value('SELECT name FROM pg_temp.customers'), 'temporary', 'though they are there');
ROLLBACK;

BEGIN;
SET LOCAL tenancy.search_path = 'mine, public';
CREATE TABLE mine.customers (name text);
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.value('SELECT count(*) FROM customers'), '2', 'nor does a table in a schema of tenancy.search_path');
SELECT is(current_setting('search_path'), :'here' || ', mine, public, pg_temp', 'which comes after the tenant''s');
SELECT set_config('search_path', :'there' || ', public', true) \g /dev/null
SELECT is(t.reach('SELECT * FROM customers WHERE balance >= 1000'), :'nothing', 'a path that leads to the victim');
SELECT is(t.reach('UPDATE customers SET name = ''owned'' WHERE balance >= 1000'), :'nothing', 'gets no further than a name does');
SELECT is(tenancy.current_tenant(), 'acme', 'and is no context');
ROLLBACK;

-- ---------------------------------------------------------------------------
-- What the application's DBA adds: permissive policies, grants on sequences
-- ---------------------------------------------------------------------------
SELECT t.admin(format('CREATE POLICY open ON %s.customers USING (true) WITH CHECK (true)', :'there')) \g /dev/null
SELECT t.admin(format('CREATE POLICY open_to_app ON %s.notes FOR ALL TO app USING (true) WITH CHECK (true)', :'there')) \g /dev/null
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.reach(pg_temp.there(sql)), :'nothing', 'with an added permissive policy: ' || sql) FROM unnest(ARRAY[
	$$SELECT * FROM THERE.customers WHERE balance >= 1000$$,
	$$SELECT * FROM THERE.notes WHERE note LIKE 'hooli%'$$,
	$$UPDATE THERE.customers SET name = 'owned' WHERE balance >= 1000$$,
	$$DELETE FROM THERE.notes WHERE note LIKE 'hooli%'$$]) AS sql;
SELECT is(t.reach(pg_temp.there(sql)), :'refusal', 'with an added permissive policy: ' || sql) FROM unnest(ARRAY[
	$$INSERT INTO THERE.customers (tenant_id, customer_id, email) VALUES ('HOOLI', 97, 'planted')$$,
	$$INSERT INTO THERE.notes (tenant_id, note) VALUES ('HOOLI', 'planted')$$]) AS sql;
SELECT is(t.reach('SELECT * FROM customers'), '2', 'its own rows are there');
ROLLBACK;

-- identity sequences are nobody's to ask or turn
SELECT throws_ok(format('SELECT %s(%L%s)', f, :'there' || '.customers_customer_id_seq', a), '42501', NULL, f || '() on the victim''s sequence')
FROM (VALUES ('nextval', ''), ('setval', ', 1')) AS calls (f, a);
SELECT throws_ok(format('SELECT last_value FROM %s.customers_customer_id_seq', :'there'), '42501', NULL, 'nor its value');

SELECT throws_ok(format('TRUNCATE %s.%s', :'there', name), '42501', NULL, 'TRUNCATE ' || name)
FROM unnest(ARRAY['customers', 'orders', 'notes', 'events', 'events_2025', 'events_2026_login', 'assets', 'vehicles', 'messages']) AS name;
SELECT throws_ok(format('TRUNCATE %s.customers CASCADE', :'here'), '42501', NULL, 'TRUNCATE is not for access roles, their own tenant''s tables included');

-- ---------------------------------------------------------------------------
-- By the server's own functions and cursors: they read as the role does
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
-- control
SELECT alike(t.value(sql), '%Road Runner%', 'own: ' || sql) FROM unnest(ARRAY[
	$$SELECT query_to_xml('SELECT * FROM customers', true, false, '')$$, $$SELECT query_to_xml_and_xmlschema('SELECT * FROM customers', true, false, '')$$,
	$$SELECT table_to_xml('customers', true, false, '')$$, $$SELECT cursor_to_xml(t.cursor('SELECT * FROM customers'), 10, true, false, '')$$,
	$$SELECT json_agg(c) FROM customers c$$]) AS sql;
SELECT is(t.value($$SELECT count(*) FROM ts_stat('SELECT to_tsvector(''simple'', name) FROM customers')$$), '3', 'own: ts_stat()');
CREATE FUNCTION pg_temp.sees(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN t.value(sql) ~ 'Gavin|gavin|Jack|Twin|hooli [a-z]' THEN 'seen' ELSE 'nothing' END;
EXCEPTION WHEN OTHERS THEN
	RETURN CASE WHEN SQLERRM ~ 'Gavin|gavin|Jack|Twin' THEN 'seen' ELSE 'nothing' END;
END $$;
SELECT is(pg_temp.sees(pg_temp.there(sql)), 'nothing', sql) FROM unnest(ARRAY[
	$$SELECT query_to_xml('SELECT * FROM THERE.customers', true, false, '')$$,
	$$SELECT query_to_xml_and_xmlschema('SELECT name FROM THERE.customers', true, false, '')$$,
	$$SELECT table_to_xml('THERE.customers', true, false, '')$$, $$SELECT table_to_xml('THERE.notes', true, false, '')$$,
	$$SELECT table_to_xml('THERE.barrier', true, false, '')$$, $$SELECT table_to_xml('THERE.totals', true, false, '')$$,
	$$SELECT cursor_to_xml(t.cursor('SELECT * FROM THERE.customers'), 10, true, false, '')$$,
	$$SELECT string_agg(word, ' ') FROM ts_stat('SELECT to_tsvector(''simple'', name) FROM THERE.customers')$$,
	$$SELECT string_agg(query, ' ') FROM ts_rewrite('a'::tsquery, 'SELECT to_tsquery(name), to_tsquery(name) FROM THERE.customers') q (query)$$,
	$$SELECT json_agg(c) FROM THERE.customers c$$, $$SELECT xmlforest(c.name) FROM THERE.customers c WHERE balance >= 1000$$,
	$$SELECT string_agg(most_common_vals::text, ' ') FROM pg_stats$$, $$SELECT string_agg(most_common_vals::text, ' ') FROM pg_stats_ext$$,
	$$SELECT string_agg(x::text, ' ') FROM pg_stats_ext_exprs x$$, $$SELECT string_agg(histogram_bounds::text, ' ') FROM pg_stats WHERE schemaname <> 'pg_catalog'$$,
	$$SELECT t.plan('SELECT * FROM THERE.customers')$$, $$SELECT t.plan('SELECT * FROM THERE.customers WHERE balance >= 1000')$$,
	$$SELECT t.analyzed('SELECT * FROM THERE.customers')$$, $$SELECT t.analyzed('SELECT * FROM THERE.customers ORDER BY name')$$]) AS sql;
-- A plan counts what the policy has removed (security.md), and shows none of it.
SELECT CASE :'attacker' || :'victim' WHEN 'schemashared' THEN pass('an error, and no plan')
	ELSE alike(t.analyzed(pg_temp.there('SELECT * FROM THERE.notes')), '%Rows Removed by Filter%', 'a plan with the number of rows removed') END;

-- where a cursor stands
DECLARE own CURSOR FOR SELECT * FROM customers WHERE customer_id = 2 FOR UPDATE;
FETCH own \g /dev/null
SELECT is(t.reach('UPDATE customers SET name = ''by cursor'' WHERE CURRENT OF own'), '1', 'own: WHERE CURRENT OF');
CLOSE own;
SELECT CASE :'nothing' WHEN '0' THEN 'DECLARE theirs CURSOR FOR SELECT * FROM ' || :'there' || '.customers WHERE balance >= 1000 FOR UPDATE' ELSE 'SELECT 1' END AS open_theirs \gset
:open_theirs \g /dev/null
SELECT ok(t.reach(pg_temp.there('UPDATE THERE.customers SET name = ''owned'' WHERE CURRENT OF theirs')) IN ('0', '24000', '34000', 'TN003'), 'a cursor stands on no row of the victim');
ROLLBACK;

-- A snapshot of the victim's session shows what it shows to whom it is shown.
\if :is_database
\else
SELECT t.elsewhere('snapshot', 'app', 'BEGIN ISOLATION LEVEL REPEATABLE READ') \g /dev/null
SELECT t.elsewhere('snapshot', 'app', $$SELECT tenancy.set_tenant('hooli')$$) \g /dev/null
SELECT t.elsewhere('snapshot', 'app', 'SELECT pg_export_snapshot()') AS snapshot \gset
SELECT is(t.elsewhere('snapshot', 'app', 'SELECT count(*) FROM customers'), '3', 'the victim''s session');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET TRANSACTION SNAPSHOT :'snapshot';
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT t.reach('SELECT * FROM customers') AS own_rows, t.reach(pg_temp.there('SELECT * FROM THERE.customers WHERE balance >= 1000')) AS their_rows \gset
ROLLBACK;
SELECT is(:'own_rows'::text, '2', 'with its snapshot, another one sees its own rows');
SELECT is(:'their_rows'::text, :'nothing', 'and no other');
SELECT t.leave('snapshot') \g /dev/null
\endif

-- ---------------------------------------------------------------------------
-- After all that
-- ---------------------------------------------------------------------------
BEGIN;
\if :is_database
SELECT is(t.planted_rows(), :'before'::text, 'the victim''s rows are what they were');
\else
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(t.all_rows(), :'before'::text, 'the victim has what it had');
\endif
COMMIT;

SELECT * FROM finish();
\connect :application :admin
SET client_min_messages = warning;
\if :is_database
SELECT count(tenancy.drop_tenant(slug, true)) FROM tenancy.tenant WHERE mode = 'database' \g /dev/null
\endif
DROP SCHEMA IF EXISTS mine CASCADE;
