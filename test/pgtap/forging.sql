--
-- Forged contexts: what an ordinary role may try with settings, functions,
-- operators and roles to be a tenant that it did not set, or to be rid of the
-- policies.  Beside each kind, the honest way that works.
--
\ir lib/setup.sql
ALTER DATABASE :DBNAME RESET ALL;
GRANT CREATE ON SCHEMA public TO app, clerk;
DROP SCHEMA IF EXISTS mine CASCADE;
CREATE SCHEMA mine;
GRANT ALL ON SCHEMA mine TO PUBLIC;

\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql
SELECT plan(102);

-- ---------------------------------------------------------------------------
-- The setting, in a session that has loaded the library
-- ---------------------------------------------------------------------------
CREATE FUNCTION mine.nothing() RETURNS integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION pg_temp.refused(sql text, what text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT throws_ok(replace(sql, 'HOOLI', '00000000-0000-4000-8000-00000000000b'), '42501', NULL, what);
	RETURN NEXT is(tenancy.current_tenant(), NULL, what || ': no context afterwards');
END $$;

SELECT pg_temp.refused($$SET tenancy.tenant_id = 'HOOLI'$$, 'SET');
SELECT pg_temp.refused($$SET SESSION tenancy.tenant_id TO 'HOOLI'$$, 'SET SESSION');
SELECT pg_temp.refused($$SET LOCAL tenancy.tenant_id = 'HOOLI'$$, 'SET LOCAL');
SELECT pg_temp.refused($$SET "TENANCY"."Tenant_Id" = 'HOOLI'$$, 'SET in another case');
SELECT pg_temp.refused($$SELECT set_config('tenancy.tenant_id', 'HOOLI', true)$$, 'set_config() local');
SELECT pg_temp.refused($$SELECT set_config('tenancy.tenant_id', 'HOOLI', false)$$, 'set_config() for the session');
SELECT pg_temp.refused($$SELECT set_config('Tenancy.TENANT_ID', 'HOOLI', false)$$, 'set_config() in another case');
SELECT pg_temp.refused($$UPDATE pg_settings SET setting = 'HOOLI' WHERE name = 'tenancy.tenant_id'$$, 'UPDATE pg_settings');
SELECT pg_temp.refused($$ALTER ROLE app SET tenancy.tenant_id = 'HOOLI'$$, 'ALTER ROLE');
SELECT pg_temp.refused(format($$ALTER ROLE app IN DATABASE %I SET tenancy.tenant_id = 'HOOLI'$$, current_database()), 'ALTER ROLE IN DATABASE');
SELECT pg_temp.refused(format($$ALTER DATABASE %I SET tenancy.tenant_id = 'HOOLI'$$, current_database()), 'ALTER DATABASE');
SELECT pg_temp.refused($$CREATE FUNCTION mine.f() RETURNS bigint LANGUAGE sql SET tenancy.tenant_id = 'HOOLI' AS 'SELECT 1::bigint'$$, 'a function''s SET clause');
SELECT pg_temp.refused($$ALTER FUNCTION mine.nothing() SET tenancy.tenant_id = 'HOOLI'$$, 'ALTER FUNCTION SET');
SELECT pg_temp.refused($q$DO $do$ BEGIN SET LOCAL tenancy.tenant_id = 'HOOLI'; END $do$ $q$, 'SET in DO');
SELECT pg_temp.refused($$GRANT SET ON PARAMETER tenancy.tenant_id TO app$$, 'GRANT SET');
SELECT pg_temp.refused($$SET tenancy.missing_tenant = 'empty'$$, 'tenancy.missing_tenant');
SELECT throws_ok($$SELECT t.elsewhere('system', 'app', $q$ALTER SYSTEM SET tenancy.tenant_id = ''$q$)$$, '42501', NULL, 'ALTER SYSTEM');
SELECT throws_ok($$SET tenancy.tenant = 'hooli'$$, '42602', NULL, 'a setting of our prefix that does not exist');
SELECT throws_ok($$SET tenancy.require_nothing = 'on'$$, '42602', NULL, 'another one');
SELECT lives_ok($$SET LOCAL tenancy.search_path = 'mine, public'$$, 'what follows the tenant''s schemas is the role''s own business');
SELECT throws_ok($$SET tenancy.search_path = 'a, "b'$$, '22023', NULL, 'as far as it is a list of names');

-- Under a context of its own
SELECT tenancy.set_tenant('acme', false) \g /dev/null
SELECT throws_ok($$SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b'$$, '42501', NULL, 'SET, under a context');
SELECT throws_ok($$SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000a'$$, '42501', NULL, 'SET to the same value, under a context');
SELECT throws_ok('SET tenancy.tenant_id TO DEFAULT', '42501', NULL, 'SET TO DEFAULT');
SELECT throws_ok('RESET tenancy.tenant_id', '42501', NULL, 'RESET');
SELECT throws_ok($$CREATE FUNCTION mine.g() RETURNS bigint LANGUAGE sql SET tenancy.tenant_id FROM CURRENT AS 'SELECT 1::bigint'$$, '42501', NULL, 'SET FROM CURRENT, which would keep a context for later');
SELECT is(tenancy.current_tenant(), 'acme', 'the context is what it was');
SELECT is(current_setting('tenancy.tenant_id'), :'acme', 'the setting, too, which may be read');
SELECT tenancy.reset_tenant() \g /dev/null

-- ---------------------------------------------------------------------------
-- A placeholder, before the library loads
-- ---------------------------------------------------------------------------
-- PostgreSQL lets everybody set a setting that nothing has defined yet.
SELECT is(t.elsewhere('early', 'app', format('SET tenancy.tenant_id = %L', :'hooli')), 'SET', 'a placeholder can be set');
SELECT throws_ok($$SELECT t.elsewhere('early', 'app', 'SELECT name FROM shop.customers')$$, 'TN001', NULL, 'but is no context');
SELECT is(t.elsewhere('early', 'app', 'SELECT tenancy.current_tenant()'), NULL, 'not afterwards either');
SELECT is(t.elsewhere('early', 'app', $$SELECT current_setting('tenancy.tenant_id')$$), '', 'its value is gone');
SELECT is(t.elsewhere('early', 'app', $$SELECT tenancy.set_tenant('acme', false)$$), :'acme', 'an honest context');
SELECT is(t.elsewhere('early', 'app', 'SELECT count(*) FROM customers'), '2', 'works in the same session');
SELECT is(t.elsewhere('early', 'app', 'SELECT tenancy.reset_tenant()'), '', 'and when it is reset');
SELECT is(t.elsewhere('early', 'app', 'SELECT tenancy.current_tenant()'), NULL, 'the placeholder does not come back');
SELECT t.leave('early') \g /dev/null

SELECT is(t.elsewhere('early', 'app', $$SET tenancy.missing_tenant = 'empty'$$), 'SET', 'a placeholder for another setting');
SELECT throws_ok($$SELECT t.elsewhere('early', 'app', 'SELECT name FROM shop.customers')$$, 'TN001', NULL, 'is void as well');
SELECT is(t.elsewhere('early', 'app', $$SELECT current_setting('tenancy.missing_tenant')$$), 'error', 'and gone');
SELECT t.leave('early') \g /dev/null

SELECT t.elsewhere('early', 'app', 'BEGIN') \g /dev/null
SELECT t.elsewhere('early', 'app', format('SET LOCAL tenancy.tenant_id = %L', :'hooli')) \g /dev/null
SELECT t.elsewhere('early', 'app', 'SAVEPOINT one') \g /dev/null
SELECT t.elsewhere('early', 'app', format('SET tenancy.tenant_id = %L', :'hooli')) \g /dev/null
SELECT t.elsewhere('early', 'app', 'SAVEPOINT two') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('early', 'app', 'SELECT name FROM shop.customers')$$, 'TN001', NULL, 'a stack of placeholders in savepoints');
SELECT t.elsewhere('early', 'app', 'ROLLBACK TO two') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('early', 'app', 'SELECT name FROM shop.customers')$$, 'TN001', NULL, 'and the next one of it');
SELECT t.elsewhere('early', 'app', 'ROLLBACK TO one') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('early', 'app', 'SELECT name FROM shop.customers')$$, 'TN001', NULL, 'and the last');
SELECT t.elsewhere('early', 'app', 'ROLLBACK') \g /dev/null
SELECT is(t.elsewhere('early', 'app', 'SELECT tenancy.current_tenant()'), NULL, 'none of them remains');
SELECT t.leave('early') \g /dev/null

SELECT throws_ok(format($$SELECT t.elsewhere('early', 'app', $q$ALTER ROLE app SET tenancy.tenant_id = %L$q$)$$, :'hooli'), '42501', NULL, 'ALTER ROLE, without the library');
SELECT throws_ok(format($$SELECT t.elsewhere('early', 'app', $q$CREATE FUNCTION mine.f() RETURNS bigint LANGUAGE sql SET tenancy.tenant_id = %L AS 'SELECT 1::bigint'$q$)$$, :'hooli'), '42501', NULL, 'a function''s SET clause, without the library');
SELECT throws_ok($$SELECT t.elsewhere('early', 'app', $q$LOAD 'tenancy'$q$)$$, '42501', NULL, 'LOAD');
SELECT t.leave('early') \g /dev/null

-- ---------------------------------------------------------------------------
-- Roles
-- ---------------------------------------------------------------------------
SELECT throws_ok('SET ROLE shop_owner', '42501', NULL, 'SET ROLE to the owner');
SELECT throws_ok('SET ROLE ' || quote_ident(:'admin'), '42501', NULL, 'SET ROLE to a superuser');
SELECT throws_ok('SET SESSION AUTHORIZATION clerk', '42501', NULL, 'SET SESSION AUTHORIZATION');
SELECT throws_ok('SET session_replication_role = replica', '42501', NULL, 'session_replication_role');

CREATE FUNCTION mine.peek() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM tenancy.set_tenant('hooli');
	RETURN (SELECT count(*) FROM shop.customers);
END $$;
CREATE FUNCTION mine.peek_as_app() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET role = app AS $$
BEGIN
	PERFORM tenancy.set_tenant('hooli');
	RETURN (SELECT count(*) FROM shop.customers);
END $$;
CREATE FUNCTION mine.look() RETURNS bigint
LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM shop.customers';
BEGIN;
SELECT is(mine.peek(), 3::bigint, 'a definer function of app, called by app');
ROLLBACK;
SELECT throws_ok($$SELECT t.elsewhere('clerk', 'clerk', 'SELECT mine.peek()')$$, '42501', NULL, 'lends its tenants to nobody');
SELECT throws_ok($$SELECT t.elsewhere('clerk', 'clerk', 'SELECT mine.peek_as_app()')$$, '42501', NULL, 'not with SET role either');
SELECT t.elsewhere('clerk', 'clerk', $$SELECT tenancy.set_tenant('acme', false)$$) \g /dev/null
SELECT is(t.elsewhere('clerk', 'clerk', 'SELECT mine.look()'), '2', 'one that only reads sees the caller''s tenant');
SELECT throws_ok($$SELECT t.elsewhere('clerk', 'clerk', 'SELECT mine.peek()')$$, '42501', NULL, 'and one that changes it still is refused');
SELECT t.leave('clerk') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('stranger', 'stranger', 'SELECT * FROM shop.customers')$$, '42501', NULL, 'rights on a table are no access to tenants');
SELECT throws_ok($$SELECT t.elsewhere('stranger', 'stranger', $q$SELECT tenancy.set_tenant('acme')$q$)$$, '42501', NULL, 'nor can such a role set one');
SELECT throws_ok($$SELECT t.elsewhere('stranger', 'stranger', 'SELECT mine.look()')$$, 'TN001', NULL, 'nor ask app''s function');
SELECT t.leave('stranger') \g /dev/null

-- ---------------------------------------------------------------------------
-- Objects that shadow what the policies call
-- ---------------------------------------------------------------------------
CREATE FUNCTION mine.policy_tenant_id() RETURNS uuid LANGUAGE sql AS $$SELECT '00000000-0000-4000-8000-00000000000b'::uuid$$;
CREATE FUNCTION mine.current_tenant_id() RETURNS uuid LANGUAGE sql AS $$SELECT '00000000-0000-4000-8000-00000000000b'::uuid$$;
CREATE FUNCTION mine.yes(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR mine.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = mine.yes);
CREATE FUNCTION pg_temp.uuid_eq(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true';
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SET LOCAL search_path = mine, pg_temp, pg_catalog, tenancy, shop, public;
SELECT is(t.value($$SELECT '00000000-0000-4000-8000-00000000000b'::uuid = '00000000-0000-4000-8000-00000000000a'::uuid$$), 'true', 'an operator of one''s own is found first');
SELECT is(t.value('SELECT count(*) FROM customers'), '2', 'but not by the policies');
SELECT lives_ok($$INSERT INTO notes (note) VALUES ('shadowed')$$, 'nor by the default of the tenant column');
SELECT is(t.value($$SELECT tenant_id FROM notes WHERE note = 'shadowed'$$), :'acme', 'which is the tenant');
ROLLBACK;

SELECT throws_ok('CREATE OR REPLACE FUNCTION tenancy.policy_tenant_id() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''', '42501', NULL, 'replacing the policies'' function');
SELECT throws_ok('CREATE FUNCTION tenancy.mine() RETURNS uuid LANGUAGE sql AS ''SELECT NULL::uuid''', '42501', NULL, 'a function in our schema');
SELECT throws_ok('CREATE TABLE tenancy.mine ()', '42501', NULL, 'a table in our schema');
SELECT throws_ok('ALTER FUNCTION tenancy.policy_tenant_id() IMMUTABLE', '42501', NULL, 'changing the policies'' function');
SELECT throws_ok('ALTER TABLE shop.customers DISABLE ROW LEVEL SECURITY', '42501', NULL, 'switching row security off');
SELECT throws_ok('ALTER TABLE shop.customers NO FORCE ROW LEVEL SECURITY', '42501', NULL, 'or its force');
SELECT throws_ok('DROP POLICY tenant_isolation ON shop.customers', '42501', NULL, 'dropping the policy');
SELECT throws_ok('ALTER POLICY tenant_isolation ON shop.customers USING (true)', '42501', NULL, 'changing it');
SELECT throws_ok('CREATE POLICY open ON shop.customers USING (true)', '42501', NULL, 'or adding one');
SELECT throws_ok('CREATE RULE r AS ON SELECT TO shop.customers DO INSTEAD SELECT 1', '42501', NULL, 'or a rule');
SELECT throws_ok('CREATE TRIGGER g BEFORE INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', '42501', NULL, 'or a trigger');
SELECT throws_ok('CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION mine.nothing()', '42501', NULL, 'or an event trigger');
SELECT throws_ok('ALTER TABLE shop.customers ALTER tenant_id SET DEFAULT NULL', '42501', NULL, 'or another default');
SELECT throws_ok('DROP EXTENSION tenancy', '42501', NULL, 'or dropping all of us');
SELECT throws_ok('CREATE TABLE mine.refers (tenant_id uuid, customer_id bigint, FOREIGN KEY (tenant_id, customer_id) REFERENCES shop.customers)', '42501', NULL, 'a foreign key to a shared table would tell what is in it');
SELECT throws_ok('CREATE TABLE mine.refers (id uuid REFERENCES tenancy.tenant)', '42501', NULL, 'and one to the registry who there is');
SELECT throws_ok('CREATE TABLE mine.child () INHERITS (shop.customers)', '42501', NULL, 'a child of a shared table would be read with it');
SELECT throws_ok($$CREATE TABLE mine.part PARTITION OF shop.events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')$$, '42501', NULL, 'as would a partition');
SELECT throws_ok('CREATE INDEX ON shop.customers (mine.nothing())', '42501', NULL, 'an index');
SELECT throws_ok('CREATE STATISTICS mine.s ON name, email FROM shop.customers', '42501', NULL, 'statistics');
SELECT throws_ok('CREATE PUBLICATION p FOR TABLE shop.customers', '42501', NULL, 'a publication');
SELECT throws_ok('ALTER TABLE shop.customers OWNER TO app', '42501', NULL, 'becoming the owner');
SELECT throws_ok('TRUNCATE shop.customers', '42501', NULL, 'TRUNCATE, which knows no row security');
SELECT throws_ok('LOCK TABLE tenancy.tenant IN ACCESS EXCLUSIVE MODE', '42501', NULL, 'locking the registry');

SELECT * FROM finish();
\connect - :admin
SET client_min_messages = warning;
REVOKE CREATE ON SCHEMA public FROM app, clerk;
DROP SCHEMA mine CASCADE;
