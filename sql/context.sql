--
-- The tenant context: setting it, what it is good for, when it is refused.
-- All as an ordinary role; shared mode, but for the path.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA "Regress Model" AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE "Regress Model".item (id int PRIMARY KEY, name text);
GRANT ALL ON "Regress Model".item TO regress_app;
RESET ROLE;
SELECT tenancy.create_module('main', 'Regress Model');
SELECT tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('a', id => '00000000-0000-4000-8000-00000000000a');
SELECT tenancy.create_tenant('b', id => '00000000-0000-4000-8000-00000000000b');
SELECT tenancy.create_tenant('s', 'schema', '00000000-0000-4000-8000-00000000000c');
SELECT current_user AS admin \gset
\c - regress_app

-- NULLs and nonsense
SELECT tenancy.set_tenant(NULL::text);
SELECT tenancy.set_tenant(NULL::uuid);
SELECT tenancy.set_tenant('a', NULL);
SELECT tenancy.set_tenant('00000000-0000-4000-8000-00000000000a'::uuid, NULL);
SELECT tenancy.is_current_tenant(NULL);
SELECT tenancy.policy_is_tenant(NULL);
SELECT tenancy.tenant_database(NULL);
SELECT tenancy.set_tenant('');
SELECT tenancy.set_tenant('A');
SELECT tenancy.set_tenant('00000000-0000-4000-8000-0000000000ff');

-- No context
SELECT tenancy.current_tenant(), tenancy.current_tenant_id(), tenancy.is_current_tenant('00000000-0000-4000-8000-00000000000a');
\set VERBOSITY sqlstate
SELECT * FROM "Regress Model".item;
\set VERBOSITY default
INSERT INTO "Regress Model".item VALUES (0, 'nobody''s');
EXPLAIN SELECT * FROM "Regress Model".item;

-- Local to the transaction; outside one, a warning
SELECT tenancy.set_tenant('a');
SELECT tenancy.current_tenant();
DO $$ BEGIN PERFORM tenancy.set_tenant('a'); INSERT INTO item VALUES (1, 'a1'), (2, 'a2'); END $$;
BEGIN;
SELECT tenancy.set_tenant('b');
SELECT tenancy.current_tenant(), tenancy.current_tenant_id(), tenancy.is_current_tenant('00000000-0000-4000-8000-00000000000b'),
	tenancy.is_current_tenant('00000000-0000-4000-8000-00000000000a');
SHOW search_path;
INSERT INTO item VALUES (3, 'b3') RETURNING tenant_id;
COMMIT;
SELECT tenancy.current_tenant();
SHOW search_path;

-- By id, as uuid and as text; unknown literals are slugs
BEGIN; SELECT tenancy.set_tenant('00000000-0000-4000-8000-00000000000b'::uuid); SELECT * FROM item; COMMIT;
BEGIN; SELECT tenancy.set_tenant('{00000000-0000-4000-8000-00000000000B}'); SELECT * FROM item; COMMIT;

-- For the session
SELECT tenancy.set_tenant('a', false);
SELECT * FROM item;
BEGIN; SELECT * FROM item; COMMIT;
SELECT tenancy.set_tenant('b', is_local => false);
SELECT * FROM item;
SELECT tenancy.reset_tenant();
SELECT tenancy.current_tenant();
SHOW search_path;
SELECT tenancy.set_tenant('a', false);
DISCARD ALL;
SELECT tenancy.current_tenant();
SELECT tenancy.set_tenant('a', false);
RESET ALL;
SELECT tenancy.current_tenant();
BEGIN; SELECT tenancy.set_tenant('a', false); ROLLBACK;
SELECT tenancy.current_tenant();

-- The path: tenant's schemas, then tenancy.search_path, then pg_temp
BEGIN; SELECT tenancy.set_tenant('s'); SHOW search_path; COMMIT;
SET tenancy.search_path = '"unclosed';
SET tenancy.search_path = 'public, "My ""Schema"';
BEGIN; SELECT tenancy.set_tenant('s'); SHOW search_path; COMMIT;
SET tenancy.search_path = '';
BEGIN; SELECT tenancy.set_tenant('s'); SHOW search_path; SELECT count(*) FROM item; COMMIT;
RESET tenancy.search_path;
CREATE TEMP TABLE item (trap int);
BEGIN; SELECT tenancy.set_tenant('b'); SELECT * FROM item; COMMIT;
DROP TABLE pg_temp.item;

-- Forged: refused, whatever the way
SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b';
SET LOCAL tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b';
RESET tenancy.tenant_id;
SELECT set_config('tenancy.tenant_id', '00000000-0000-4000-8000-00000000000b', false);
SET tenancy.missing_tenant = 'empty';
ALTER ROLE regress_app SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b';
CREATE FUNCTION pg_temp.forge() RETURNS bigint LANGUAGE sql SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b'
	AS $$ SELECT count(*) FROM "Regress Model".item $$;
SELECT pg_temp.forge();
SET tenancy.unheard_of = 1;
UPDATE pg_settings SET setting = '00000000-0000-4000-8000-00000000000b' WHERE name = 'tenancy.tenant_id';
\c
-- before the library is loaded it is a placeholder, and goes when it loads
SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b';
SELECT count(*) FROM "Regress Model".item;
SHOW tenancy.tenant_id;

-- One tenant for each transaction, used or set
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT tenancy.set_tenant('a');
SAVEPOINT s;
\set VERBOSITY sqlstate
SELECT tenancy.set_tenant('b');
\set VERBOSITY default
ROLLBACK TO s;
SELECT tenancy.reset_tenant();
SAVEPOINT s;
SELECT count(*) FROM "Regress Model".item;
ROLLBACK TO s;
SELECT tenancy.set_tenant('b');
ROLLBACK;
SELECT tenancy.set_tenant('a', false);
BEGIN;
SELECT count(*) FROM item;
SELECT tenancy.set_tenant('b');
ROLLBACK;
BEGIN;	-- set for the session before, not used here
SELECT tenancy.set_tenant('b');
SELECT count(*) FROM item;
COMMIT;
SELECT tenancy.current_tenant();
SELECT tenancy.reset_tenant();

-- Savepoints: the context goes back with them, and so does the pin
BEGIN;
SAVEPOINT s1;
SELECT tenancy.set_tenant('a');
SELECT count(*) FROM item;
ROLLBACK TO s1;
SELECT tenancy.current_tenant();
SAVEPOINT s2;
SELECT tenancy.set_tenant('b');
RELEASE s2;
SELECT count(*) FROM item;
ROLLBACK TO s1;
SELECT tenancy.set_tenant('a');
SELECT count(*) FROM item;
SAVEPOINT s3;
SELECT tenancy.reset_tenant();
ROLLBACK TO s3;
SELECT tenancy.current_tenant(), count(*) FROM item;
COMMIT;

-- Exceptions in PL/pgSQL are savepoints; a procedure may go on to another
-- tenant in another transaction.
DO $$
BEGIN
	BEGIN
		PERFORM tenancy.set_tenant('a');
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		RAISE NOTICE 'tenant %', tenancy.current_tenant();
	END;
	PERFORM tenancy.set_tenant('b');
	RAISE NOTICE 'tenant % has %', tenancy.current_tenant(), (SELECT count(*) FROM item);
	COMMIT;
	RAISE NOTICE 'tenant %', tenancy.current_tenant();
	PERFORM tenancy.set_tenant('a');
	RAISE NOTICE 'tenant % has %', tenancy.current_tenant(), (SELECT count(*) FROM item);
END $$;

-- Cursors
BEGIN;
SELECT tenancy.set_tenant('a');
DECLARE c CURSOR FOR SELECT id FROM item ORDER BY id;
FETCH c;
SAVEPOINT s;
SELECT tenancy.set_tenant('b');
ROLLBACK TO s;
FETCH c;
DECLARE h CURSOR WITH HOLD FOR SELECT name FROM item ORDER BY id;
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('a');	-- the same tenant may go on
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('b');
COMMIT;
SELECT tenancy.set_tenant('b', false);
CLOSE h;
BEGIN;
SELECT tenancy.set_tenant('b');
COMMIT;

-- Plans are not bound to a tenant
SET plan_cache_mode = force_generic_plan;
PREPARE p AS SELECT name FROM "Regress Model".item WHERE id > $1 ORDER BY id;
BEGIN; SELECT tenancy.set_tenant('a'); EXECUTE p (0); COMMIT;
BEGIN; SELECT tenancy.set_tenant('b'); EXECUTE p (0); COMMIT;
EXECUTE p (0);
RESET plan_cache_mode;

-- A definer's function lends its rights on tables, not its tenants.
\c - :admin
SET client_min_messages = warning;
CREATE ROLE regress_other LOGIN;
GRANT USAGE ON SCHEMA "Regress Model", tenancy TO regress_other;
CREATE FUNCTION public.regress_definer(tenant text) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ BEGIN PERFORM tenancy.set_tenant(tenant); RETURN (SELECT count(*) FROM "Regress Model".item); END $$;
ALTER FUNCTION public.regress_definer OWNER TO regress_app;
SET SESSION AUTHORIZATION regress_other;
SELECT public.regress_definer('a');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT public.regress_definer('b');
SELECT public.regress_definer('a');
COMMIT;
RESET SESSION AUTHORIZATION;
DROP FUNCTION public.regress_definer;

-- A missing tenant as no rows, where the DBA chose that
ALTER ROLE regress_app SET tenancy.missing_tenant = 'empty';
\c - regress_app
SELECT count(*) FROM "Regress Model".item;
INSERT INTO "Regress Model".item VALUES (9, 'nobody''s');
SELECT tenancy.set_tenant('s', false);
SELECT count(*) FROM "Regress Model".item;
\c - :admin
ALTER ROLE regress_app RESET tenancy.missing_tenant;

-- The superuser sets what it likes, if it is an id.
SET tenancy.tenant_id = 'a';
SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000A';
SELECT tenancy.current_tenant();
SET ROLE regress_app;
SELECT count(*) FROM "Regress Model".item;
RESET ROLE;
SET tenancy.tenant_id = '00000000-0000-4000-8000-0000000000ff';
SELECT tenancy.current_tenant();
BEGIN;
SELECT tenancy.set_tenant('a');
SET LOCAL tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b';
SELECT tenancy.current_tenant();
ROLLBACK;
RESET tenancy.tenant_id;

-- A schema that is missing or closed is an error, not the next one's table.
REVOKE USAGE ON SCHEMA tenant_s FROM regress_app;
SET ROLE regress_app;
SELECT tenancy.set_tenant('s', false);
RESET ROLE;
ALTER SCHEMA tenant_s RENAME TO elsewhere;
SELECT tenancy.set_tenant('s', false);
ALTER SCHEMA elsewhere RENAME TO tenant_s;

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants;
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA "Regress Model" CASCADE;
DROP ROLE regress_owner, regress_app, regress_other;
