--
-- What outlives the statement that began it: cursors, held cursors, scans in
-- progress, loops of PL/pgSQL, deferred triggers.  None of them may go on under
-- another tenant than the one it began with.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.create_tenant('umbrella', 'schema') \g /dev/null

-- a deferred trigger that writes down for whom it fires
CREATE TABLE t.fired (tenant text, rows bigint);
GRANT SELECT, INSERT, DELETE ON t.fired TO PUBLIC;
CREATE FUNCTION t.fire() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t.fired SELECT tenancy.current_tenant(), count(*) FROM shop.notes;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.notes DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION t.fire();

-- what asks for the tenant of a copy while that is made
CREATE MATERIALIZED VIEW shop.seen AS SELECT tenancy.current_tenant_id() AS tenant;
ALTER MATERIALIZED VIEW shop.seen OWNER TO shop_owner;
GRANT EXECUTE ON FUNCTION tenancy.create_tenant TO app;

-- a session of its own in which no context is no error, as a DBA may choose
ALTER ROLE lenient SET tenancy.missing_tenant = 'empty';

-- two roles' worth of rows in the schema tenants, too
\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
INSERT INTO notes (note) VALUES ('globex note 1'), ('globex note 2'), ('globex note 3');
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('umbrella') \g /dev/null
INSERT INTO notes (note) VALUES ('umbrella note');
COMMIT;

SELECT plan(54);

-- ---------------------------------------------------------------------------
-- Cursors
-- ---------------------------------------------------------------------------
BEGIN;
SELECT throws_ok('DECLARE c CURSOR FOR SELECT name FROM shop.customers', 'TN001', NULL, 'no cursor over shared rows without a context');
ROLLBACK;

BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
DECLARE c SCROLL CURSOR FOR SELECT name FROM customers ORDER BY name;
SELECT results_eq('FETCH 1 FROM c', ARRAY['Road Runner'], 'a cursor under a context');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'cannot be taken to another tenant');
SELECT results_eq('FETCH ALL FROM c', ARRAY['Wile'], 'and goes on');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(t.state('FETCH BACKWARD ALL FROM c') IN ('00000', 'TN001'), true, 'after reset_tenant() it still has nobody else''s rows');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'nor can another tenant follow the reset');
COMMIT;

-- A cursor that began outside a savepoint, was first read in it, and goes on
-- after the savepoint took its tenant back.
SELECT t.elsewhere('shared', 'lenient', 'SET enable_seqscan = off') \g /dev/null
SELECT t.elsewhere('shared', 'lenient', 'BEGIN') \g /dev/null
SELECT t.elsewhere('shared', 'lenient', 'DECLARE c CURSOR FOR SELECT name FROM shop.customers') \g /dev/null
SELECT t.elsewhere('shared', 'lenient', 'SAVEPOINT s') \g /dev/null
SELECT t.elsewhere('shared', 'lenient', $$SELECT tenancy.set_tenant('acme')$$) \g /dev/null
SELECT is(t.elsewhere('shared', 'lenient', 'FETCH 1 FROM c') IN ('Wile', 'Road Runner'), true, 'a cursor begun without a context, read under acme in a savepoint');
SELECT t.elsewhere('shared', 'lenient', 'ROLLBACK TO s') \g /dev/null
SELECT ok(t.state($$SELECT t.elsewhere('shared', 'lenient', $q$SELECT tenancy.set_tenant('hooli')$q$)$$) = 'TN004'
	OR t.elsewhere('shared', 'lenient', 'FETCH 1 FROM c') IS NULL, 'does not go on under hooli');
SELECT t.leave('shared') \g /dev/null

SELECT t.elsewhere('schema', 'app', 'BEGIN') \g /dev/null
SELECT t.elsewhere('schema', 'app', 'DECLARE c CURSOR FOR SELECT note FROM tenant_globex.notes') \g /dev/null
SELECT t.elsewhere('schema', 'app', 'SAVEPOINT s') \g /dev/null
SELECT t.elsewhere('schema', 'app', $$SELECT tenancy.set_tenant('globex')$$) \g /dev/null
SELECT is(t.elsewhere('schema', 'app', 'FETCH 1 FROM c'), 'globex note 1', 'the same with a schema tenant''s table');
SELECT t.elsewhere('schema', 'app', 'ROLLBACK TO s') \g /dev/null
SELECT ok(t.state($$SELECT t.elsewhere('schema', 'app', $q$SELECT tenancy.set_tenant('umbrella')$q$)$$) = 'TN004'
	OR t.elsewhere('schema', 'app', 'FETCH 1 FROM c') IS NULL, 'does not go on under umbrella');
SELECT t.leave('schema') \g /dev/null

-- An open cursor is hardly a way around a suspension: its next FETCH is a
-- statement.
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
DECLARE c CURSOR FOR SELECT note FROM notes;
SELECT results_eq('FETCH 1 FROM c', ARRAY['globex note 1'], 'a cursor over a schema tenant''s rows');
SELECT t.admin($$SELECT tenancy.suspend_tenant('globex')$$) \g /dev/null
SELECT throws_ok('FETCH 1 FROM c', 'TN002', NULL, 'is refused when its tenant has been suspended');
ROLLBACK;
SELECT t.admin($$SELECT tenancy.resume_tenant('globex')$$) \g /dev/null
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SET LOCAL enable_seqscan = off;
DECLARE c CURSOR FOR SELECT name FROM customers;
SELECT lives_ok('FETCH 1 FROM c', 'a cursor over shared rows, by index');
SELECT t.admin($$SELECT tenancy.suspend_tenant('acme')$$) \g /dev/null
-- The one exception: the key of an index scan was computed when it began, and
-- nothing of ours runs any more (docs/security.md).
SELECT lives_ok('FETCH 1 FROM c', 'reads on after a suspension');
SELECT throws_ok('SELECT name FROM customers', 'TN002', NULL, 'while the next query is refused');
ROLLBACK;
SELECT t.admin($$SELECT tenancy.resume_tenant('acme')$$) \g /dev/null
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SET LOCAL enable_indexscan = off;
SET LOCAL enable_bitmapscan = off;
DECLARE c CURSOR FOR SELECT name FROM customers;
SELECT lives_ok('FETCH 1 FROM c', 'a cursor over shared rows, by sequential scan');
SELECT t.admin($$SELECT tenancy.suspend_tenant('acme')$$) \g /dev/null
SELECT throws_ok('FETCH 1 FROM c', 'TN002', NULL, 'is refused when its tenant has been suspended');
ROLLBACK;
SELECT t.admin($$SELECT tenancy.resume_tenant('acme')$$) \g /dev/null

-- ---------------------------------------------------------------------------
-- Held cursors
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
DECLARE held CURSOR WITH HOLD FOR SELECT name FROM customers ORDER BY name;
COMMIT;
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'a held cursor keeps other tenants out');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli', false)$$, 'TN004', NULL, 'of the session, too');
BEGIN;
SELECT lives_ok($$SELECT tenancy.set_tenant('acme')$$, 'but not its own');
SELECT results_eq('FETCH ALL FROM held', ARRAY['Road Runner', 'Wile'], 'whose rows it has');
COMMIT;
SELECT tenancy.reset_tenant() \g /dev/null
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'reset_tenant() is no way around');
CLOSE held;
BEGIN;
SELECT lives_ok($$SELECT tenancy.set_tenant('hooli')$$, 'but closing the cursor is');
COMMIT;
SELECT tenancy.set_tenant('acme', false) \g /dev/null
DECLARE held CURSOR WITH HOLD FOR SELECT name FROM customers;
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli', false)$$, 'TN004', NULL, 'one of a session''s context is one, too');
CLOSE ALL;
SELECT lives_ok($$SELECT tenancy.set_tenant('hooli', false)$$, 'CLOSE ALL closes it');
SELECT tenancy.reset_tenant() \g /dev/null

SELECT t.elsewhere('held', 'app', 'BEGIN') \g /dev/null
SELECT t.elsewhere('held', 'app', 'DECLARE held CURSOR WITH HOLD FOR SELECT note FROM tenant_globex.notes') \g /dev/null
SELECT t.elsewhere('held', 'app', 'SAVEPOINT s') \g /dev/null
SELECT t.elsewhere('held', 'app', $$SELECT tenancy.set_tenant('globex')$$) \g /dev/null
SELECT is(t.elsewhere('held', 'app', 'FETCH 1 FROM held'), 'globex note 1', 'a held cursor first read in a savepoint');
SELECT t.elsewhere('held', 'app', 'ROLLBACK TO s') \g /dev/null
SELECT t.state($$SELECT t.elsewhere('held', 'app', $q$COMMIT$q$)$$) \g /dev/null
SELECT ok(t.state($$SELECT t.elsewhere('held', 'app', $q$SELECT tenancy.set_tenant('umbrella', false)$q$)$$) = 'TN004'
	OR t.state($$SELECT t.elsewhere('held', 'app', $q$FETCH 1 FROM held$q$)$$) = '34000'
	OR t.elsewhere('held', 'app', 'FETCH 1 FROM held') IS NULL, 'does not go on under another tenant');
SELECT t.leave('held') \g /dev/null

-- ---------------------------------------------------------------------------
-- Scans and loops in progress
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT throws_ok($$SELECT name, tenancy.set_tenant('acme') FROM customers$$, 'TN004', NULL, 'a scan cannot change its tenant in the middle');
SELECT throws_ok($$SELECT name FROM customers WHERE tenancy.set_tenant('acme') IS NOT NULL$$, 'TN004', NULL, 'nor by its condition');
SELECT throws_ok($$WITH x AS MATERIALIZED (SELECT tenancy.set_tenant('acme')) SELECT name FROM x, customers$$, 'TN004', NULL, 'nor by a part of the query');
SELECT throws_ok($$UPDATE customers SET name = tenancy.set_tenant('acme')::text$$, 'TN004', NULL, 'nor while updating');
SELECT throws_ok($$INSERT INTO notes (note) SELECT tenancy.set_tenant('acme')::text FROM customers$$, 'TN004', NULL, 'nor while inserting');
SELECT is(t.rows($$SELECT name, tenancy.set_tenant('hooli') FROM customers$$), 3::bigint, 'its own tenant is no change');
COMMIT;

-- The extension acts for another tenant meanwhile, whose materialized views it fills.
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
INSERT INTO notes (note) SELECT 'many ' || n FROM generate_series(1, 3000) n;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT is((SELECT count(*) FROM (SELECT CASE note WHEN 'many 1' THEN tenancy.create_tenant('initech', 'schema') END AS made
	FROM notes OFFSET 0) x), 3001::bigint, 'a scan by index goes on under its tenant when another one has been created');
ROLLBACK;
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
INSERT INTO notes (note) SELECT 'many ' || n FROM generate_series(1, 3000) n;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT is((SELECT count(*) FROM (SELECT CASE note WHEN 'many 1' THEN
	t.state($$SELECT tenancy.create_tenant('initech', 'schema'), 1 / (random() * 0)::integer$$) END AS made
	FROM notes OFFSET 0) x), 3001::bigint, 'or was about to be');
ROLLBACK;

-- A condition that takes a context, is undone, and takes another one.
CREATE FUNCTION pg_temp.switch(n integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE COST 0.0001 AS $$
BEGIN
	BEGIN
		PERFORM tenancy.set_tenant(CASE n % 2 WHEN 0 THEN 'acme' ELSE 'hooli' END);
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
		RETURN true;
	END;
END $$;
BEGIN;
SELECT throws_ok($$SELECT c.name FROM generate_series(1, 4) n, LATERAL (SELECT name FROM shop.customers WHERE pg_temp.switch(n)) c$$,
	'TN001', NULL, 'contexts that are set and undone in the middle of a scan show nothing');
ROLLBACK;

-- Loops are cursors, and held over a COMMIT.
SELECT t.elsewhere('loop', 'app', $do$CREATE PROCEDURE pg_temp.carry(from_tenant text, to_tenant text)
LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	PERFORM tenancy.set_tenant(from_tenant);
	FOR r IN SELECT note FROM notes LOOP
		COMMIT;
		PERFORM tenancy.set_tenant(to_tenant);
		INSERT INTO notes (note) VALUES ('carried: ' || r.note);
	END LOOP;
END $$$do$) \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('loop', 'app', $q$CALL pg_temp.carry('hooli', 'acme')$q$)$$, 'TN004', NULL,
	'a loop over one tenant''s rows does not go on under another');
SELECT lives_ok($$SELECT t.elsewhere('loop', 'app', $q$CALL pg_temp.carry('hooli', 'hooli')$q$)$$, 'but does under its own');
-- A loop over the tenants is none over a tenant's rows: the batch job of every
-- application.
SELECT t.admin('GRANT SELECT ON tenancy.tenants TO app') \g /dev/null
SELECT t.elsewhere('sweep', 'app', $do$CREATE PROCEDURE pg_temp.sweep(INOUT seen text)
LANGUAGE plpgsql AS $$
DECLARE
	r record;
	n record;
BEGIN
	seen := '';
	FOR r IN SELECT slug FROM tenancy.tenants ORDER BY slug LOOP
		PERFORM tenancy.set_tenant(r.slug);
		FOR n IN SELECT note FROM notes ORDER BY note LOOP
			seen := seen || n.note || ';';
		END LOOP;
		COMMIT;
	END LOOP;
END $$$do$) \g /dev/null
SELECT is(t.elsewhere('sweep', 'app', $$CALL pg_temp.sweep('')$$),
	'acme note;globex note 1;globex note 2;globex note 3;carried: hooli note 1;carried: hooli note 2;hooli note 1;hooli note 2;umbrella note;', 'a loop over all tenants, with a transaction for each, goes through');
SELECT t.leave('sweep') \g /dev/null

-- A cursor of the same name as one that was another tenant's
SELECT t.elsewhere('again', 'app', $do$CREATE PROCEDURE pg_temp.again(INOUT seen text)
LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'again';
	n text;
BEGIN
	PERFORM tenancy.set_tenant('acme');
	OPEN c FOR SELECT name FROM customers ORDER BY name;
	FETCH c INTO seen;
	CLOSE c;
	COMMIT;
	PERFORM tenancy.set_tenant('hooli');
	OPEN c FOR SELECT name FROM customers ORDER BY name;
	FETCH c INTO n;
	PERFORM tenancy.set_tenant('hooli');
	seen := seen || ';' || n;
END $$$do$) \g /dev/null
SELECT alike(t.elsewhere('again', 'app', $$CALL pg_temp.again('')$$), 'Road Runner;%', 'is not that one');
SELECT t.leave('again') \g /dev/null

-- What a procedure was given stays what it was.
SELECT t.elsewhere('argument', 'app', $do$CREATE PROCEDURE pg_temp.keep(given uuid, INOUT kept uuid)
LANGUAGE plpgsql AS $$
BEGIN
	COMMIT;
	PERFORM tenancy.set_tenant('acme'), tenancy.current_tenant();
	kept := given;
END $$$do$) \g /dev/null
SELECT t.elsewhere('argument', 'app', $$SELECT tenancy.set_tenant('hooli', false)$$) \g /dev/null
SELECT is(t.elsewhere('argument', 'app', $$CALL pg_temp.keep(tenancy.current_tenant_id(), NULL)$$), :'hooli', 'an argument is its tenant''s still in a later transaction of another one');
SELECT is(t.elsewhere('argument', 'app', $$CALL pg_temp.keep(tenancy.policy_tenant_id(), NULL)$$), :'hooli', 'and so it is as policies ask for it');
SELECT t.leave('argument') \g /dev/null

-- What a function has collected is a cursor's as well.
SELECT t.elsewhere('collect', 'app', $do$CREATE FUNCTION pg_temp.collect() RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT name FROM shop.customers ORDER BY name LOOP
		RETURN NEXT r.name;
	END LOOP;
END $$$do$) \g /dev/null
SELECT t.elsewhere('collect', 'app', 'BEGIN') \g /dev/null
SELECT t.elsewhere('collect', 'app', 'DECLARE c CURSOR FOR SELECT * FROM pg_temp.collect()') \g /dev/null
SELECT t.elsewhere('collect', 'app', 'SAVEPOINT s') \g /dev/null
SELECT t.elsewhere('collect', 'app', $$SELECT tenancy.set_tenant('acme')$$) \g /dev/null
SELECT is(t.elsewhere('collect', 'app', 'FETCH 1 FROM c'), 'Road Runner', 'a cursor over what a function collects under acme in a savepoint');
SELECT t.elsewhere('collect', 'app', 'ROLLBACK TO s') \g /dev/null
SELECT ok(t.state($$SELECT t.elsewhere('collect', 'app', $q$SELECT tenancy.set_tenant('hooli')$q$)$$) = 'TN004'
	OR t.elsewhere('collect', 'app', 'FETCH 1 FROM c') IS NULL, 'does not go on under hooli');
SELECT t.leave('collect') \g /dev/null

-- A cursor of a role that the session no longer acts as
SELECT t.admin($$SELECT tenancy.grant_access('team', 'acme')$$) \g /dev/null
SELECT t.admin('GRANT USAGE ON SCHEMA shop TO team, member') \g /dev/null
SELECT t.admin('GRANT SELECT ON shop.customers TO team, member') \g /dev/null
SELECT t.elsewhere('role', 'member', 'BEGIN') \g /dev/null
SELECT t.elsewhere('role', 'member', 'SET LOCAL ROLE team') \g /dev/null
SELECT t.elsewhere('role', 'member', $$SELECT tenancy.set_tenant('acme')$$) \g /dev/null
SELECT t.elsewhere('role', 'member', 'SET LOCAL enable_indexscan = off') \g /dev/null
SELECT t.elsewhere('role', 'member', 'SET LOCAL enable_bitmapscan = off') \g /dev/null
SELECT t.elsewhere('role', 'member', 'DECLARE c CURSOR FOR SELECT name FROM shop.customers') \g /dev/null
SELECT isnt(t.elsewhere('role', 'member', 'FETCH 1 FROM c'), NULL, 'a cursor of a role with access');
SELECT t.elsewhere('role', 'member', 'RESET ROLE') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('role', 'member', 'FETCH 1 FROM c')$$, '42501', NULL, 'is not read on by one without');
SELECT t.leave('role') \g /dev/null

BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT results_eq('SELECT note FROM notes', ARRAY['acme note'], 'nothing was carried to acme');
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(t.rows($$DELETE FROM notes WHERE note LIKE 'carried: %'$$), 2::bigint, 'but to hooli');
COMMIT;

-- ---------------------------------------------------------------------------
-- Deferred triggers
-- ---------------------------------------------------------------------------
DELETE FROM t.fired;
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
INSERT INTO notes (note) VALUES ('deferred');
COMMIT;
SELECT results_eq('SELECT tenant, rows FROM t.fired', $$VALUES ('acme', 2::bigint)$$, 'a deferred trigger fires at COMMIT under its tenant');
DELETE FROM t.fired;
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
INSERT INTO notes (note) VALUES ('deferred');
SELECT tenancy.reset_tenant() \g /dev/null
\set ON_ERROR_STOP 0
COMMIT;
\set ON_ERROR_STOP 1
SELECT is(:'SQLSTATE'::text, 'TN001', 'without a context at COMMIT, it fails');
SELECT is_empty('SELECT * FROM t.fired', 'and the transaction with it');
BEGIN;
SAVEPOINT s;
SELECT tenancy.set_tenant('hooli') \g /dev/null
INSERT INTO notes (note) VALUES ('deferred');
RELEASE s;
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, 'TN004', NULL, 'while a trigger waits, the tenant cannot change');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT results_eq('SELECT tenant FROM t.fired', ARRAY['hooli'], 'nor is it another one with SET CONSTRAINTS');
ROLLBACK;

-- ---------------------------------------------------------------------------
-- Prepared transactions take their tenant nowhere
-- ---------------------------------------------------------------------------
SELECT tenancy.set_tenant('acme', false) \g /dev/null
BEGIN;
INSERT INTO notes (note) VALUES ('before the end');
COMMIT;
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
SELECT is_empty($$SELECT note FROM notes WHERE note = 'before the end'$$, 'the next transaction of the session is another tenant''s');
SELECT tenancy.reset_tenant() \g /dev/null

SELECT * FROM finish();
