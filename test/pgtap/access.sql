--
-- Who may act for whom, and who may know of whom: grant_access(),
-- revoke_access(), memberships, the registry, and what a role cannot tell.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.create_tenant('umbrella', 'schema') \g /dev/null
SELECT tenancy.grant_access('clerk', 'globex') \g /dev/null
SELECT tenancy.create_tenant('sleepy') \g /dev/null
SELECT tenancy.suspend_tenant('sleepy') \g /dev/null
SELECT tenancy.create_tenant('far', 'shared', display_name => 'Far & Away', metadata => '{"plan": "gold"}') \g /dev/null

\connect - app
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
INSERT INTO notes (note) VALUES ('globex note');
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('umbrella') \g /dev/null
INSERT INTO notes (note) VALUES ('umbrella note');
COMMIT;

\connect - clerk
SET client_min_messages = warning;
SELECT plan(112);

-- ---------------------------------------------------------------------------
-- A role with some tenants cannot tell which others there are
-- ---------------------------------------------------------------------------
CREATE FUNCTION pg_temp.same(call text, known text, unknown text) RETURNS text
LANGUAGE sql AS $$
	SELECT is(replace(t.error(format(call, known)), known, '?'), replace(t.error(format(call, unknown)), unknown, '?'),
		format(call, known) || ' is refused as for an unknown tenant')
$$;
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, '42501', NULL, 'a forbidden tenant');
SELECT throws_ok($$SELECT tenancy.set_tenant('nosuch')$$, '42501', NULL, 'an unknown tenant');
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L)', 'hooli', 'nosuch');
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L, false)', 'hooli', 'nosuch');
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L)', 'umbrella', 'nosuch');
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L)', 'sleepy', 'nosuch');
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L)', :'hooli', '00000000-0000-4000-8000-0000000000ff');
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L::uuid)', :'hooli', '00000000-0000-4000-8000-0000000000ff');
SELECT pg_temp.same('SELECT tenancy.tenant_database(%L)', 'hooli', 'nosuch');
SELECT pg_temp.same('SELECT tenancy.tenant_database(%L)', :'hooli', '00000000-0000-4000-8000-0000000000ff');
SELECT lives_ok($$SELECT tenancy.tenant_database('acme')$$, 'its own tenant has a database, which is no secret');
SELECT is(tenancy.tenant_database('acme'), current_database(), 'this one');
SELECT is(tenancy.tenant_database('globex'), current_database(), 'for a schema tenant, too');
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT pg_temp.same('SELECT tenancy.set_tenant(%L)', 'hooli', 'nosuch');
SELECT pg_temp.same('SELECT tenancy.is_current_tenant(%L)', :'hooli', '00000000-0000-4000-8000-0000000000ff');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, 'TN004', NULL, 'to its own ones it can be franker');
SELECT unalike(t.error($$SELECT tenancy.set_tenant('globex')$$), '%hooli%', 'without naming others');
ROLLBACK;

-- Rights alone are nothing without access, and access is nothing without rights.
SELECT throws_ok('SELECT * FROM tenant_umbrella.notes', '42501', NULL, 'the schema of a tenant that one may not act for is closed');
SELECT throws_ok('SELECT * FROM tenant_globex.notes', 'TN001', NULL, 'that of one''s own is open, but asks for the context');
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT lives_ok('SELECT * FROM tenant_globex.notes', 'with which it works');
SELECT throws_ok('SELECT * FROM tenant_umbrella.notes', '42501', NULL, 'and another one is as closed as before');
ROLLBACK;

-- ---------------------------------------------------------------------------
-- What an access role may call
-- ---------------------------------------------------------------------------
SELECT set_eq($$SELECT p.oid::regprocedure::text FROM pg_proc p
	WHERE p.pronamespace = 'tenancy'::regnamespace AND has_function_privilege(p.oid, 'EXECUTE')$$,
	ARRAY['tenancy.set_tenant(text,boolean)', 'tenancy.set_tenant(uuid,boolean)',
		'tenancy.set_tenant_token(text,boolean)', 'tenancy.reset_tenant()',
		'tenancy.current_tenant()', 'tenancy.current_tenant_id()', 'tenancy.is_current_tenant(uuid)',
		'tenancy.tenant_database(text)', 'tenancy.policy_tenant_id()', 'tenancy.policy_is_tenant(uuid)', 'tenancy.policy_allow(oid)'],
	'the context functions are all that an access role may call');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p, aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a
	WHERE p.pronamespace = 'tenancy'::regnamespace AND a.grantee = 0$$, 'PUBLIC may call nothing');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c
	WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind IN ('r', 'v', 'S')
	AND has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$,
	'and an access role may do nothing with the registry''s tables');
SELECT throws_ok(format('SELECT tenancy.%s', call), '42501', NULL, call || ' is an administrator''s')
FROM (VALUES ($$create_module('x', 'shop')$$), ($$create_tenant('x')$$), ($$suspend_tenant('acme')$$), ($$resume_tenant('sleepy')$$),
	($$rename_tenant('acme', 'x')$$), ($$drop_tenant('acme', true)$$), ($$repair()$$), ($$drift()$$), ($$grant_access('clerk')$$),
	($$grant_access('clerk', 'hooli')$$), ($$revoke_access('app')$$), ($$protect_table('shop.notes')$$), ($$unprotect_table('shop.notes')$$),
	($$protect_module('shop')$$), ($$is_protected('shop.notes')$$)) AS calls (call);
SELECT throws_ok('SELECT * FROM tenancy.' || name, '42501', NULL, name || ' is not for an access role')
FROM unnest(ARRAY['tenant', 'module', 'access', 'tenant_module', 'protected_table', 'pending_database', 'tenants', 'protected_tables']) AS name;
SELECT throws_ok($$SELECT t.elsewhere('copy', 'clerk', 'COPY tenancy.tenant TO STDOUT')$$, '42501', NULL, 'not with COPY either');
SELECT throws_ok($$UPDATE tenancy.tenant SET slug = 'x'$$, '42501', NULL, 'nor to be written');
SELECT throws_ok($$INSERT INTO tenancy.access VALUES ('clerk', NULL)$$, '42501', NULL, 'nor to give itself access');

-- The view of the tenants, where a DBA grants it
SELECT t.admin('GRANT SELECT ON tenancy.tenants TO clerk, app, stranger, member') \g /dev/null
SELECT is(t.value('SELECT string_agg(slug, '','' ORDER BY slug) FROM tenancy.tenants'), 'acme,globex', 'the view shows a role its own tenants');
SELECT is_empty($$SELECT * FROM tenancy.tenants WHERE slug = 'hooli'$$, 'and no other, asked for by name');
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	IF $1 NOT IN ('acme', 'globex') THEN
		RAISE EXCEPTION 'seen: %', $1;
	END IF;
	RETURN true;
END $$;
SELECT lives_ok('SELECT * FROM tenancy.tenants WHERE pg_temp.leak(slug)', 'or by a condition that tells what it sees');
SELECT is(t.elsewhere('all', 'app', 'SELECT count(*) FROM tenancy.tenants'), '6', 'a role for all tenants sees all');
SELECT throws_ok($$SELECT t.elsewhere('none', 'stranger', 'SELECT count(*) FROM tenancy.tenants')$$, '42501', NULL, 'one without access none');
SELECT t.admin('GRANT USAGE ON SCHEMA tenancy TO stranger, member') \g /dev/null
SELECT is(t.elsewhere('none', 'stranger', 'SELECT count(*) FROM tenancy.tenants'), '0', 'even with rights on the schema');
SELECT t.admin($$SELECT tenancy.grant_access('team', 'hooli')$$) \g /dev/null
SELECT is(t.elsewhere('member', 'member', 'SELECT count(*) FROM tenancy.tenants'), '0', 'a member that does not inherit sees none');
SELECT t.elsewhere('member', 'member', 'SET ROLE team') \g /dev/null
SELECT t.admin('GRANT SELECT ON tenancy.tenants TO team') \g /dev/null
SELECT is(t.elsewhere('member', 'member', 'SELECT string_agg(slug, '','') FROM tenancy.tenants'), 'hooli', 'until SET ROLE');
SELECT t.leave('member') \g /dev/null

-- ---------------------------------------------------------------------------
-- A role for all tenants
-- ---------------------------------------------------------------------------
SELECT throws_ok($$SELECT t.elsewhere('all', 'app', $q$SELECT tenancy.set_tenant('nosuch')$q$)$$, '42704', NULL, 'learns that a tenant is unknown');
SELECT throws_ok($$SELECT t.elsewhere('all', 'app', $q$SELECT tenancy.set_tenant('sleepy')$q$)$$, 'TN002', NULL, 'or suspended');
SELECT throws_ok($$SELECT t.elsewhere('all', 'app', $q$SELECT tenancy.tenant_database('nosuch')$q$)$$, '42704', NULL, 'also from tenant_database()');
SELECT t.admin($$SELECT tenancy.create_tenant('newcomer')$$) \g /dev/null
SELECT t.admin($$SELECT tenancy.create_tenant('newschema', 'schema')$$) \g /dev/null
SELECT lives_ok($$SELECT t.elsewhere('all', 'app', $q$SELECT tenancy.set_tenant('newcomer')$q$)$$, 'may act for a tenant that came later');
SELECT lives_ok($$SELECT t.elsewhere('all', 'app', $q$SELECT tenancy.set_tenant('newschema', false)$q$)$$, 'and for a schema tenant that came later');
SELECT is(t.elsewhere('all', 'app', 'SELECT count(*) FROM notes'), '0', 'with its tables');
SELECT throws_ok($$SELECT tenancy.set_tenant('newcomer')$$, '42501', NULL, 'which clerk may not');
SELECT throws_ok('SELECT * FROM tenant_newschema.notes', '42501', NULL, 'in no way');

-- ---------------------------------------------------------------------------
-- Granting and revoking
-- ---------------------------------------------------------------------------
SELECT t.admin($$SELECT tenancy.grant_access('clerk', 'umbrella')$$) \g /dev/null
SELECT lives_ok($$SELECT tenancy.set_tenant('umbrella', false)$$, 'granted: umbrella');
SELECT is(t.value('SELECT count(*) FROM notes'), '1', 'with its tables');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT t.admin($$SELECT tenancy.revoke_access('clerk', 'umbrella')$$) \g /dev/null
SELECT throws_ok($$SELECT tenancy.set_tenant('umbrella')$$, '42501', NULL, 'revoked: umbrella');
SELECT throws_ok('SELECT * FROM tenant_umbrella.notes', '42501', NULL, 'with its tables');
SELECT lives_ok($$SELECT tenancy.set_tenant('acme')$$, 'but not: acme');
SELECT t.admin($$SELECT tenancy.grant_access('clerk')$$) \g /dev/null
SELECT lives_ok($$SELECT tenancy.set_tenant('hooli')$$, 'granted: all');
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.revoke_access('clerk', 'hooli')$q$)$$, '55000', NULL, 'one tenant cannot be taken out of all');
SELECT lives_ok($$SELECT tenancy.set_tenant('hooli')$$, 'and so it was not');
SELECT t.admin($$SELECT tenancy.revoke_access('clerk')$$) \g /dev/null
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, '42501', NULL, 'revoked: all');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, '42501', NULL, 'with those that were granted one by one');
SELECT throws_ok('SELECT * FROM shop.notes', '42501', NULL, 'nothing is left');
SELECT throws_ok('SELECT * FROM tenant_globex.notes', '42501', NULL, 'nowhere');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
	WHERE n.nspname = 'tenancy' AND has_function_privilege(p.oid, 'EXECUTE')$$, 'and no function may be called');
SELECT t.admin($$SELECT tenancy.grant_access('clerk', 'acme')$$) \g /dev/null
SELECT t.admin($$SELECT tenancy.grant_access('clerk', 'acme')$$) \g /dev/null
SELECT lives_ok($$SELECT tenancy.set_tenant('acme')$$, 'granted twice: acme');
SELECT t.admin($$SELECT tenancy.revoke_access('clerk', 'acme')$$) \g /dev/null
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, '42501', NULL, 'revoked once: acme');

-- Whom access is not for
SELECT throws_ok($$SELECT t.admin('SELECT tenancy.grant_access(current_user::regrole)')$$, '0LP01', NULL, 'no access for a superuser');
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.grant_access('shop_owner')$q$)$$, '0LP01', NULL, 'nor for the owner of the tables');
SELECT t.admin('ALTER ROLE member BYPASSRLS') \g /dev/null
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.grant_access('member', 'acme')$q$)$$, '0LP01', NULL, 'nor for a role with BYPASSRLS');
SELECT t.admin('ALTER ROLE member NOBYPASSRLS') \g /dev/null
SELECT t.admin('GRANT shop_owner TO member') \g /dev/null
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.grant_access('member', 'acme')$q$)$$, '0LP01', NULL, 'nor for one that can become the owner, though it does not inherit');
SELECT t.admin('REVOKE shop_owner FROM member') \g /dev/null
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.grant_access('member', 'nosuch')$q$)$$, '42704', NULL, 'nor to a tenant that is none');
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.grant_access('nosuch', 'acme')$q$)$$, '42704', NULL, 'nor for a role that is none');
SELECT throws_ok($$SELECT t.admin($q$SELECT tenancy.grant_access(0::regrole, 'acme')$q$)$$, '42704', NULL, 'nor for nobody');
SELECT throws_ok($$SELECT t.admin('SELECT tenancy.grant_access(NULL)')$$, '22004', NULL, 'grant_access(NULL)');
SELECT throws_ok($$SELECT t.admin('SELECT tenancy.revoke_access(NULL)')$$, '22004', NULL, 'revoke_access(NULL)');

-- TRUNCATE, REFERENCES and TRIGGER are nothing for access roles, whether
-- granted before or after the tables were protected.
SELECT ok(NOT has_table_privilege('app', c.oid, 'TRUNCATE, REFERENCES, TRIGGER'), 'app may not TRUNCATE ' || c.oid::regclass)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('shop', 'tenant_newschema') AND c.relkind IN ('r', 'p') ORDER BY c.oid::regclass::text COLLATE "C";

SELECT * FROM finish();
