--
-- The tenant context, as an application uses it: setting, asking, its end, and
-- its way through transactions, savepoints, exceptions, procedures and roles.
--
\ir lib/setup.sql
SET client_min_messages = warning;
SELECT tenancy.create_tenant('initech') \g /dev/null
SELECT tenancy.create_tenant('sleepy') \g /dev/null
SELECT tenancy.create_tenant('apart', 'schema') \g /dev/null
SELECT tenancy.suspend_tenant('sleepy', 'unpaid') \g /dev/null

-- a wrapper as DBAs write them, and one without a pinned path
CREATE FUNCTION t.enter(tenant text) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT tenancy.set_tenant(tenant)';
CREATE FUNCTION t.enter_open(tenant text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN tenancy.set_tenant(tenant); END';
CREATE FUNCTION t.path_after(tenant text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET tenancy.search_path = 'public'
AS 'BEGIN PERFORM tenancy.set_tenant(tenant); RETURN current_setting(''search_path''); END';

\connect - app
SET client_min_messages = warning;
SELECT plan(114);

-- ---------------------------------------------------------------------------
-- Without a context
-- ---------------------------------------------------------------------------
SELECT is(tenancy.current_tenant(), NULL, 'no tenant at first');
SELECT is(tenancy.current_tenant_id(), NULL, 'no id at first');
SELECT is(tenancy.is_current_tenant(:'acme'), false, 'nobody is the current tenant at first');
SELECT throws_ok('SELECT * FROM shop.customers', 'TN001', NULL, 'SELECT without a context');
SELECT throws_ok('SELECT count(*) FROM shop.customers', 'TN001', NULL, 'count without a context');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('x')$$, 'TN001', NULL, 'INSERT without a context');
SELECT throws_ok($$INSERT INTO shop.notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-00000000000a', 'x')$$,
	'TN001', NULL, 'INSERT with a tenant of its own choice, without a context');
SELECT throws_ok($$UPDATE shop.customers SET name = 'x'$$, 'TN001', NULL, 'UPDATE without a context');
SELECT throws_ok('DELETE FROM shop.customers', 'TN001', NULL, 'DELETE without a context');
SELECT throws_ok('SELECT * FROM shop.totals', 'TN001', NULL, 'a view without a context');
SELECT throws_ok('SELECT shop.customer_count_as_owner()', 'TN001', NULL, 'a definer function without a context');
SELECT throws_ok('SELECT * FROM shop.events_2025', 'TN001', NULL, 'a partition without a context');
SELECT throws_ok('SELECT * FROM shop.vehicles', 'TN001', NULL, 'an inheritance child without a context');
SELECT matches(t.error('SELECT * FROM shop.customers'), 'set_tenant', 'the error says what to do');

-- ---------------------------------------------------------------------------
-- Setting and asking
-- ---------------------------------------------------------------------------
BEGIN;
SELECT is(tenancy.set_tenant('acme'), :'acme'::uuid, 'set_tenant() returns the id');
SELECT is(tenancy.current_tenant(), 'acme', 'the current tenant');
SELECT is(tenancy.current_tenant_id(), :'acme'::uuid, 'its id');
SELECT ok(tenancy.is_current_tenant(:'acme'), 'is_current_tenant() of itself');
SELECT ok(NOT tenancy.is_current_tenant(:'hooli'), 'is_current_tenant() of another one');
SELECT is(current_setting('search_path'), 'shop, public, pg_temp', 'the path leads to the model, temporary objects last');
SELECT is(t.rows('SELECT * FROM customers'), 0::bigint, 'unqualified names work');
SELECT is(t.rows($$INSERT INTO notes (note) VALUES ('one')$$), 1::bigint, 'the tenant column has its default');
SELECT is(t.value('SELECT tenant_id FROM notes'), :'acme', 'and that is the current tenant');
COMMIT;
SELECT is(tenancy.current_tenant(), NULL, 'a local context ends with COMMIT');
SELECT is(current_setting('search_path'), '"$user", public', 'and so does its path');

-- a path that is the tenant's already is left alone
SET search_path = shop, public, pg_temp;
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.rows('SELECT * FROM notes'), 1::bigint, 'the path of the session is the tenant''s');
COMMIT;
SELECT is(current_setting('search_path'), 'shop, public, pg_temp', 'it stays when the transaction ends');
BEGIN;
SELECT tenancy.set_tenant('apart') \g /dev/null
SELECT is(current_setting('search_path'), 'tenant_apart, public, pg_temp', 'another tenant''s is another one');
ROLLBACK;
SELECT is(current_setting('search_path'), 'shop, public, pg_temp', 'and gives way to it');
RESET search_path;
BEGIN;
SAVEPOINT s;
SET LOCAL search_path = shop, public, pg_temp;
SELECT tenancy.set_tenant('acme') \g /dev/null
ROLLBACK TO s;
SELECT is(current_setting('search_path'), '"$user", public', 'the path of a savepoint goes with it');
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(current_setting('search_path'), 'shop, public, pg_temp', 'so that it is set again');
ROLLBACK;
BEGIN;
SET LOCAL search_path = shop, public, pg_temp;
SELECT tenancy.set_tenant('acme', is_local => false) \g /dev/null
COMMIT;
SELECT is(current_setting('search_path'), 'shop, public, pg_temp', 'a local path becomes the session''s with its context');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(current_setting('search_path'), '"$user", public', 'until that ends');

BEGIN;
SELECT is(tenancy.set_tenant(:'acme'::text), :'acme'::uuid, 'set_tenant() by the text of an id');
SELECT is(tenancy.set_tenant(upper('{' || :'acme' || '}')), :'acme'::uuid, 'in any form that a uuid can have');
SELECT is(tenancy.set_tenant(:'acme'::uuid), :'acme'::uuid, 'set_tenant() by uuid');
SELECT is(tenancy.set_tenant('acme'), :'acme'::uuid, 'the same tenant again is no change');
ROLLBACK;
SELECT is(tenancy.current_tenant(), NULL, 'a local context ends with ROLLBACK');

-- ---------------------------------------------------------------------------
-- Session contexts
-- ---------------------------------------------------------------------------
SELECT is(tenancy.set_tenant('acme', false), :'acme'::uuid, 'a context for the session');
SELECT is(tenancy.current_tenant(), 'acme', 'outlives its transaction');
BEGIN;
SELECT is(tenancy.set_tenant('hooli'), :'hooli'::uuid, 'a local context goes before it');
SELECT is(tenancy.current_tenant(), 'hooli', 'for the transaction');
COMMIT;
SELECT is(tenancy.current_tenant(), 'acme', 'and the session''s is back after it');
BEGIN;
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
ROLLBACK;
SELECT is(tenancy.current_tenant(), 'acme', 'a session context that was rolled back never was');
BEGIN;
SELECT is(t.rows('SELECT * FROM notes'), 1::bigint, 'a transaction that has used the session''s context');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'cannot change to another tenant, locally');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli', false)$$, 'TN004', NULL, 'or for the session');
SELECT is(tenancy.current_tenant(), 'acme', 'and goes on with its own');
COMMIT;
SELECT is(tenancy.set_tenant('hooli', false), :'hooli'::uuid, 'between transactions, the session can change');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(tenancy.current_tenant(), NULL, 'reset_tenant() ends a session context');
SELECT is(current_setting('search_path'), '"$user", public', 'and puts the path back');

BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(tenancy.current_tenant(), NULL, 'reset_tenant() ends a local context');
SELECT throws_ok('SELECT * FROM shop.customers', 'TN001', NULL, 'no context, no rows');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'reset_tenant() is no way to another tenant in a transaction');
COMMIT;
SELECT is(tenancy.current_tenant(), NULL, 'after the transaction there is none either');


SELECT tenancy.set_tenant('acme', false) \g /dev/null
RESET ALL;
SET client_min_messages = warning;
SELECT is(tenancy.current_tenant(), NULL, 'RESET ALL ends a context');
SELECT throws_ok('SELECT * FROM shop.customers', 'TN001', NULL, 'and nothing of it is left');
SELECT is(t.elsewhere('pooled', 'app', $$SELECT tenancy.set_tenant('acme', false)$$), :'acme', 'a session of a pool');
SELECT is(t.elsewhere('pooled', 'app', 'SELECT tenancy.current_tenant()'), 'acme', 'has its context');
SELECT is(t.elsewhere('pooled', 'app', 'DISCARD ALL'), 'DISCARD ALL', 'until DISCARD ALL,');
SELECT is(t.elsewhere('pooled', 'app', 'SELECT tenancy.current_tenant()'), NULL, 'which ends it,');
SELECT throws_ok($$SELECT t.elsewhere('pooled', 'app', 'SELECT name FROM shop.customers')$$, 'TN001', NULL, 'leaving nothing');

-- ---------------------------------------------------------------------------
-- Values that are none
-- ---------------------------------------------------------------------------
SELECT throws_ok('SELECT tenancy.set_tenant(NULL::text)', '22004', NULL, 'set_tenant(NULL::text)');
SELECT throws_ok('SELECT tenancy.set_tenant(NULL::uuid)', '22004', NULL, 'set_tenant(NULL::uuid)');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme', NULL)$$, '22004', NULL, 'set_tenant() with is_local NULL');
SELECT throws_ok('SELECT tenancy.is_current_tenant(NULL)', '22004', NULL, 'is_current_tenant(NULL)');
SELECT throws_ok('SELECT tenancy.tenant_database(NULL)', '22004', NULL, 'tenant_database(NULL)');
SELECT throws_ok('SELECT tenancy.policy_is_tenant(NULL)', '22004', NULL, 'the policy''s function of NULL');
SELECT throws_ok($$SELECT tenancy.set_tenant('')$$, '42704', NULL, 'an empty name is no tenant');
SELECT throws_ok($$SELECT tenancy.set_tenant('ACME')$$, '42704', NULL, 'nor is one in another case');
SELECT throws_ok($$SELECT tenancy.set_tenant(' acme')$$, '42704', NULL, 'nor one with a blank');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme'', ''hooli')$$, '42704', NULL, 'nor one with quotes');
SELECT throws_ok($$SELECT tenancy.set_tenant(repeat('a', 10000000))$$, '42704', NULL, 'nor one of 10 MB');
SELECT ok(length(t.error($$SELECT tenancy.set_tenant(repeat('a', 10000000))$$)) < 300, 'which no message repeats');
SELECT throws_ok($$SELECT tenancy.set_tenant('sleepy')$$, 'TN002', NULL, 'a suspended tenant cannot be set');
SELECT is(tenancy.current_tenant(), NULL, 'and after all that there is no context');

-- ---------------------------------------------------------------------------
-- Savepoints
-- ---------------------------------------------------------------------------
BEGIN;
SAVEPOINT one;
SELECT tenancy.set_tenant('acme') \g /dev/null
ROLLBACK TO one;
SELECT is(tenancy.current_tenant(), NULL, 'ROLLBACK TO a savepoint takes a context back');
SELECT is(tenancy.set_tenant('hooli'), :'hooli'::uuid, 'so that another tenant can be set');
SAVEPOINT two;
SELECT tenancy.reset_tenant() \g /dev/null
SELECT is(tenancy.current_tenant(), NULL, 'a reset in a savepoint');
ROLLBACK TO two;
SELECT is(tenancy.current_tenant(), 'hooli', 'is taken back as well');
SELECT is(current_setting('search_path'), 'shop, public, pg_temp', 'with the path');
SAVEPOINT three;
SELECT is(tenancy.set_tenant('hooli', false), :'hooli'::uuid, 'from local to session in a savepoint');
RELEASE three;
COMMIT;
SELECT is(tenancy.current_tenant(), 'hooli', 'stays when it is released and committed');
SELECT tenancy.reset_tenant() \g /dev/null

BEGIN;
SAVEPOINT one;
SAVEPOINT two;
SELECT tenancy.set_tenant('acme') \g /dev/null
RELEASE two;
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, 'TN004', NULL, 'a released savepoint hands its tenant on');
ROLLBACK TO one;
SELECT is(tenancy.current_tenant(), NULL, 'to the one around it');
SELECT lives_ok($$SELECT tenancy.set_tenant('hooli')$$, 'which can be rolled back');
SAVEPOINT three;
\set ON_ERROR_STOP 0
SELECT tenancy.set_tenant('acme');
\set ON_ERROR_STOP 1
\set refused :SQLSTATE
ROLLBACK TO three;
SELECT is(:'refused'::text, 'TN004', 'after a refused change');
SELECT is(tenancy.current_tenant(), 'hooli', 'the context is what it was');
COMMIT;

-- ---------------------------------------------------------------------------
-- PL/pgSQL: exceptions, procedures that commit
-- ---------------------------------------------------------------------------
CREATE FUNCTION pg_temp.try(tenant text, fail boolean) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM tenancy.set_tenant(tenant);
		IF fail THEN
			RAISE EXCEPTION 'undo';
		END IF;
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN tenancy.current_tenant();
END $$;
SELECT is(pg_temp.try('acme', true), NULL, 'an exception takes the context back');
SELECT is(pg_temp.try('acme', false), 'acme', 'without one it stays until the transaction ends');
SELECT is(tenancy.current_tenant(), NULL, 'which it did');
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(pg_temp.try('acme', true), 'acme', 'an exception takes back no more than its block did');
COMMIT;

SELECT t.elsewhere('proc', 'app', $do$CREATE PROCEDURE pg_temp.each(names text[], is_local boolean)
LANGUAGE plpgsql AS $$
DECLARE
	n text;
BEGIN
	FOREACH n IN ARRAY names LOOP
		PERFORM tenancy.set_tenant(n, is_local);
		INSERT INTO notes (note) VALUES ('by procedure for ' || n);
		COMMIT;
		IF tenancy.current_tenant() IS DISTINCT FROM (CASE WHEN is_local THEN NULL ELSE n END) THEN
			RAISE EXCEPTION 'context is % after COMMIT', tenancy.current_tenant();
		END IF;
		-- asking has bound the transaction to the tenant
		COMMIT;
	END LOOP;
END $$$do$) \g /dev/null
SELECT is(t.elsewhere('proc', 'app', $$CALL pg_temp.each('{acme,hooli,acme}', true)$$), 'CALL', 'a procedure that commits changes tenants between its transactions');
SELECT is(t.elsewhere('proc', 'app', $$CALL pg_temp.each('{hooli,acme,hooli}', false)$$), 'CALL', 'also those of the session');
SELECT is(t.elsewhere('proc', 'app', 'SELECT tenancy.current_tenant()'), 'hooli', 'the last of which stays');
SELECT throws_ok($$SELECT t.elsewhere('proc', 'app', 'DO $do$ BEGIN
	PERFORM tenancy.set_tenant(''acme''); COMMIT; PERFORM count(*) FROM shop.notes; PERFORM tenancy.set_tenant(''acme'');
	END $do$')$$, 'TN004', NULL, 'what the transaction has used before counts, there too');
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT results_eq('SELECT note FROM notes ORDER BY note', ARRAY['by procedure for acme', 'by procedure for acme', 'by procedure for acme', 'one'], 'each row went to its tenant: acme');
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT results_eq('SELECT note FROM notes ORDER BY note', ARRAY['by procedure for hooli', 'by procedure for hooli', 'by procedure for hooli'], 'each row went to its tenant: hooli');
COMMIT;

-- ---------------------------------------------------------------------------
-- Roles: a context is checked for the role that the session acts as
-- ---------------------------------------------------------------------------
SELECT is(t.elsewhere('clerk', 'clerk', $$SELECT tenancy.set_tenant('acme', false)$$), :'acme', 'clerk may act for acme');
SELECT throws_ok($$SELECT t.elsewhere('clerk', 'clerk', $q$SELECT tenancy.set_tenant('hooli')$q$)$$, '42501', NULL, 'but not for hooli');
SELECT throws_ok($$SELECT t.elsewhere('clerk', 'clerk', $q$SELECT t.enter('hooli')$q$)$$, '42501', NULL, 'nor through a definer function');
SELECT throws_ok($$SELECT t.elsewhere('clerk', 'clerk', $q$SELECT t.enter_open('hooli')$q$)$$, '42501', NULL, 'of either kind');
SELECT is(t.elsewhere('clerk', 'clerk', $$SELECT t.enter_open('acme')$$), :'acme', 'where acme is no problem');
SELECT is(t.elsewhere('clerk', 'clerk', 'SELECT tenancy.current_tenant()'), 'acme', 'and all that changed nothing');

BEGIN;
SELECT t.enter_open('acme') \g /dev/null
SELECT is(t.value('SELECT tenancy.current_tenant() || count(*) FROM notes'), 'acme4', 'a definer function can set a context for its caller');
COMMIT;
BEGIN;
SELECT t.enter('acme') \g /dev/null
SELECT is(tenancy.current_tenant(), 'acme', 'one that pins its path keeps the context');
SELECT is(current_setting('search_path'), '"$user", public', 'but puts the path back');
SELECT throws_ok('SELECT * FROM customers', '42P01', NULL, 'and so leads nowhere');
COMMIT;
BEGIN;
SET LOCAL tenancy.search_path = 'planted';
SELECT is(t.path_after('acme'), 'shop, public, pg_temp', 'one that pins tenancy.search_path does not follow its caller''s');
COMMIT;

SELECT t.admin($$SELECT tenancy.grant_access('team', 'acme')$$) \g /dev/null
SELECT t.admin('GRANT SELECT ON ALL TABLES IN SCHEMA shop TO team') \g /dev/null
SELECT t.admin('GRANT USAGE ON SCHEMA shop TO team') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('member', 'member', $q$SELECT tenancy.set_tenant('acme', false)$q$)$$, '42501', NULL, 'a member that does not inherit has no access');
SELECT t.elsewhere('member', 'member', 'SET ROLE team') \g /dev/null
SELECT is(t.elsewhere('member', 'member', $$SELECT tenancy.set_tenant('acme', false)$$), :'acme', 'SET ROLE gives it');
SELECT is(t.elsewhere('member', 'member', 'SELECT count(*) FROM notes'), '4', 'with the rows');
SELECT t.elsewhere('member', 'member', 'RESET ROLE') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('member', 'member', 'SELECT count(*) FROM shop.notes')$$, '42501', NULL, 'and RESET ROLE takes it');
SELECT t.elsewhere('member', 'member', 'SET ROLE team') \g /dev/null
SELECT is(t.elsewhere('member', 'member', 'SELECT count(*) FROM shop.notes'), '4', 'until SET ROLE again');

SELECT * FROM finish();
