--
-- Plans that live longer than a context: prepared statements with custom and
-- generic plans, plans that PL/pgSQL and SQL functions keep, and plans with
-- parallel workers, which must know the context of their leader.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.create_tenant('umbrella', 'schema') \g /dev/null
SELECT tenancy.grant_access('team', 'acme') \g /dev/null
GRANT USAGE ON SCHEMA shop TO team, member;
GRANT SELECT ON shop.notes TO team, member;

CREATE FUNCTION t.plpgsql_count() RETURNS bigint
LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM notes); END';
CREATE FUNCTION t.plpgsql_shared_count() RETURNS bigint
LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM shop.notes); END';
CREATE FUNCTION t.plpgsql_insert(note text) RETURNS uuid
LANGUAGE plpgsql AS $$
DECLARE
	id uuid;
BEGIN
	INSERT INTO notes (note) VALUES (note) RETURNING tenant_id INTO id;
	RETURN id;
END $$;
CREATE FUNCTION t.sql_count() RETURNS bigint
LANGUAGE sql STABLE AS 'SELECT count(*) FROM shop.notes';

-- a function for parallel workers, that tells which process asks
CREATE FUNCTION t.here(OUT pid integer, OUT tenant text, OUT id uuid, OUT mine boolean)
LANGUAGE sql STABLE PARALLEL SAFE
AS 'SELECT pg_catalog.pg_backend_pid(), tenancy.current_tenant(), tenancy.current_tenant_id(), tenancy.is_current_tenant(tenancy.current_tenant_id())';

\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
INSERT INTO notes (note) SELECT 'globex note ' || n FROM generate_series(1, 5) n;
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('umbrella') \g /dev/null
INSERT INTO notes (note) SELECT 'umbrella note ' || n FROM generate_series(1, 6) n;
COMMIT;
-- enough rows for a parallel plan
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
INSERT INTO events (day, what) SELECT '2025-01-01', 'many' FROM generate_series(1, 20000);
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
INSERT INTO events (day, what) SELECT '2025-01-01', 'many' FROM generate_series(1, 30000);
COMMIT;

SELECT plan(60);

-- ---------------------------------------------------------------------------
-- Prepared statements
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
PREPARE custom AS SELECT count(*)::text FROM shop.notes;
PREPARE generic AS SELECT count(*)::text FROM shop.notes WHERE note <> $1;
PREPARE write AS INSERT INTO shop.notes (note) VALUES ($1) RETURNING tenant_id::text;
PREPARE own AS SELECT count(*)::text FROM tenant_globex.notes;
PREPARE byname AS SELECT count(*)::text FROM notes;
COMMIT;

-- Each of them for each tenant in turn, with a plan made for another.
CREATE FUNCTION pg_temp.turn(kind text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v text;
BEGIN
	PERFORM set_config('plan_cache_mode', kind, true);
	EXECUTE 'EXECUTE ' || statement INTO v;
	RETURN v;
END $$;

BEGIN; SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(pg_temp.turn('force_generic_plan', 'custom'), '1', 'generic plan: acme');
SELECT is(pg_temp.turn('force_generic_plan', $$generic('')$$), '1', 'generic plan with a parameter: acme');
SELECT is(pg_temp.turn('force_generic_plan', $$write('prepared')$$), :'acme', 'generic INSERT: acme');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(pg_temp.turn('force_generic_plan', 'custom'), '2', 'the same generic plan: hooli');
SELECT is(pg_temp.turn('force_generic_plan', $$generic('')$$), '2', 'with a parameter: hooli');
SELECT is(pg_temp.turn('force_generic_plan', $$write('prepared')$$), :'hooli', 'INSERT: hooli');
COMMIT;
BEGIN;
SELECT throws_ok($$SELECT pg_temp.turn('force_generic_plan', 'custom')$$, 'TN001', NULL, 'the same generic plan: nobody');
SELECT throws_ok($$SELECT pg_temp.turn('force_generic_plan', 'write(''prepared'')')$$, 'TN001', NULL, 'INSERT: nobody');
ROLLBACK;
BEGIN; SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT throws_ok($$SELECT pg_temp.turn('force_generic_plan', 'custom')$$, 'TN003', NULL, 'the same generic plan: a schema tenant');
SELECT is(pg_temp.turn('force_generic_plan', 'own'), '5', 'a generic plan of a schema tenant''s table: its own');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('umbrella') \g /dev/null
SELECT is(pg_temp.turn('force_generic_plan', 'own'), '0', 'another one');
SELECT is(pg_temp.turn('force_generic_plan', 'byname'), '6', 'an unqualified name is looked up again with each path: umbrella');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(pg_temp.turn('force_generic_plan', 'byname'), '5', 'globex');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(pg_temp.turn('force_generic_plan', 'own'), '0', 'a shared tenant sees nothing in a schema tenant''s table');
SELECT is(pg_temp.turn('force_generic_plan', 'byname'), '3', 'and its own by the unqualified name');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(pg_temp.turn('force_custom_plan', 'custom'), '2', 'custom plans: acme');
SELECT is(pg_temp.turn('auto', 'custom'), '2', 'and as PostgreSQL chooses: acme');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(pg_temp.turn('force_custom_plan', 'custom'), '3', 'custom plans: hooli');
SELECT results_eq('SELECT pg_temp.turn(''auto'', ''custom'') FROM generate_series(1, 12)', 'SELECT ''3'' FROM generate_series(1, 12)', 'a dozen times, past the switch to a generic plan');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(pg_temp.turn('auto', 'custom'), '2', 'which acme uses next');
COMMIT;

-- Across roles: a plan made as one role, run as another of the same session.
SELECT t.elsewhere('roles', 'member', 'PREPARE q AS SELECT count(*) FROM shop.notes') \g /dev/null
SELECT t.elsewhere('roles', 'member', 'SET plan_cache_mode = force_generic_plan') \g /dev/null
SELECT t.elsewhere('roles', 'member', 'SET ROLE team') \g /dev/null
SELECT t.elsewhere('roles', 'member', $$SELECT tenancy.set_tenant('acme', false)$$) \g /dev/null
SELECT is(t.elsewhere('roles', 'member', 'EXECUTE q'), '2', 'a generic plan as a role with access');
SELECT t.elsewhere('roles', 'member', 'RESET ROLE') \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('roles', 'member', 'EXECUTE q')$$, '42501', NULL, 'the same plan as a role without');
SELECT t.elsewhere('roles', 'member', 'SET ROLE team') \g /dev/null
SELECT is(t.elsewhere('roles', 'member', 'EXECUTE q'), '2', 'and back');
SELECT t.admin($$SELECT tenancy.suspend_tenant('acme')$$) \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('roles', 'member', 'EXECUTE q')$$, 'TN002', NULL, 'the same plan, the tenant suspended');
SELECT t.admin($$SELECT tenancy.resume_tenant('acme')$$) \g /dev/null
SELECT is(t.elsewhere('roles', 'member', 'EXECUTE q'), '2', 'and resumed');

-- ---------------------------------------------------------------------------
-- Plans of functions
-- ---------------------------------------------------------------------------
SELECT tenancy.set_tenant('acme', false) \g /dev/null
SELECT results_eq('SELECT t.plpgsql_count() FROM generate_series(1, 12)', 'SELECT 2::bigint FROM generate_series(1, 12)', 'PL/pgSQL: acme, until its plan is generic');
SELECT is(t.plpgsql_shared_count(), 2::bigint, 'PL/pgSQL, qualified: acme');
SELECT is(t.sql_count(), 2::bigint, 'SQL function: acme');
SELECT is(t.plpgsql_insert('by function'), :'acme'::uuid, 'PL/pgSQL writes for acme');
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
SELECT results_eq('SELECT t.plpgsql_count() FROM generate_series(1, 12)', 'SELECT 3::bigint FROM generate_series(1, 12)', 'PL/pgSQL: hooli');
SELECT is(t.plpgsql_shared_count(), 3::bigint, 'PL/pgSQL, qualified: hooli');
SELECT is(t.sql_count(), 3::bigint, 'SQL function: hooli');
SELECT is(t.plpgsql_insert('by function'), :'hooli'::uuid, 'PL/pgSQL writes for hooli');
SELECT tenancy.set_tenant('globex', false) \g /dev/null
SELECT is(t.plpgsql_count(), 5::bigint, 'PL/pgSQL: globex, in its schema');
SELECT throws_ok('SELECT t.plpgsql_shared_count()', 'TN003', NULL, 'PL/pgSQL, qualified: not for globex');
SELECT throws_ok('SELECT t.sql_count()', 'TN003', NULL, 'SQL function: not for globex');
SELECT is(t.plpgsql_insert('by function'), t.value($$SELECT tenancy.current_tenant_id()$$)::uuid, 'PL/pgSQL writes for globex');
SELECT is(t.plpgsql_count(), 6::bigint, 'into its schema');
SELECT tenancy.set_tenant('umbrella', false) \g /dev/null
SELECT is(t.plpgsql_count(), 6::bigint, 'PL/pgSQL: umbrella');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT throws_ok('SELECT t.plpgsql_shared_count()', 'TN001', NULL, 'PL/pgSQL: nobody');
SELECT throws_ok('SELECT t.sql_count()', 'TN001', NULL, 'SQL function: nobody');

-- ---------------------------------------------------------------------------
-- Estimates: the planner asks the policies' functions, too
-- ---------------------------------------------------------------------------
SELECT t.admin('ANALYZE shop.events_2025') \g /dev/null
CREATE FUNCTION pg_temp.estimate(sql text) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || sql INTO plan;
	RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
BEGIN; SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT ok(pg_temp.estimate('SELECT * FROM shop.events_2025') BETWEEN 10000 AND 40000, 'the rows of acme, as the planner sees them');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT ok(pg_temp.estimate('SELECT * FROM shop.events_2025') BETWEEN 15000 AND 60000, 'the rows of hooli');
COMMIT;

-- ---------------------------------------------------------------------------
-- Parallel workers
-- ---------------------------------------------------------------------------
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;

-- A worker each for the plan's processes, so that all of them have some part.
CREATE FUNCTION pg_temp.launched(sql text) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT json) ' || sql INTO plan;
	RETURN substring(plan::text FROM '"Workers Launched": ([0-9]+)')::integer;
END $$;
BEGIN; SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT matches(t.plan('SELECT count(*) FROM shop.events_2025'), 'Parallel Seq Scan', 'a count goes parallel');
SELECT ok(pg_temp.launched('SELECT count(*) FROM shop.events_2025') > 0, 'with workers');
SELECT is(t.value('SELECT count(*) FROM events_2025'), '20001', 'in workers, too, acme has its rows');
SET LOCAL parallel_leader_participation = off;
SELECT is(t.value('SELECT count(*) FROM events_2025'), '20001', 'and in workers only');
SELECT is(t.value('SELECT string_agg(DISTINCT (h).tenant || (h).mine::text, '''') FROM (SELECT t.here() AS h FROM events_2025 OFFSET 0) s'), 'acmetrue', 'the context functions agree in workers');
SELECT isnt(t.value('SELECT min(pg_backend_pid()) FROM events_2025 WHERE (t.here()).pid <> 0'), NULL, 'a worker can ask');
COMMIT;
BEGIN; SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(t.value('SELECT count(*) FROM events_2025'), '30001', 'hooli has its own');
SELECT is(t.value('SELECT count(*) FROM events'), '30004', 'over all partitions');
SELECT is(t.value($$SELECT count(*) FROM events WHERE what LIKE 'acme%'$$), '0', 'and none of acme''s');
SELECT is(t.value($$SELECT count(*) FROM events e JOIN events f USING (tenant_id) WHERE e.what = 'login' AND f.what <> 'many'$$), '4', 'in joins as well');
COMMIT;
BEGIN;
SELECT throws_ok('SELECT count(*) FROM shop.events_2025', 'TN001', NULL, 'no context, none in workers');
SET LOCAL plan_cache_mode = force_generic_plan;
ROLLBACK;

-- A generic parallel plan for one tenant after the other.
SET plan_cache_mode = force_generic_plan;
PREPARE par AS SELECT count(*)::text FROM shop.events_2025;
SELECT tenancy.set_tenant('acme', false) \g /dev/null
SELECT matches(t.plan('EXECUTE par'), 'Parallel Seq Scan', 'a generic parallel plan');
EXECUTE par \gset acme_
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
EXECUTE par \gset hooli_
SELECT is(:'acme_count' || ' ' || :'hooli_count', '20001 30001', 'each tenant with one generic parallel plan');
SELECT tenancy.reset_tenant() \g /dev/null

-- A tenant that only this transaction knows of; what it inserted is there for
-- workers, and what a worker looks up is what its leader sees.
SELECT t.admin('SET parallel_setup_cost = 0') \g /dev/null
SELECT t.admin('SET parallel_tuple_cost = 0') \g /dev/null
SELECT t.admin('SET min_parallel_table_scan_size = 0') \g /dev/null
SELECT is(t.elsewhere('parallel role', 'clerk', $$SELECT tenancy.set_tenant('acme', false)$$), :'acme', 'clerk, who may act for acme only');
SELECT t.elsewhere('parallel role', 'clerk', 'SET parallel_setup_cost = 0') \g /dev/null
SELECT t.elsewhere('parallel role', 'clerk', 'SET parallel_tuple_cost = 0') \g /dev/null
SELECT t.elsewhere('parallel role', 'clerk', 'SET min_parallel_table_scan_size = 0') \g /dev/null
SELECT t.elsewhere('parallel role', 'clerk', 'SET enable_bitmapscan = off') \g /dev/null
SELECT t.elsewhere('parallel role', 'clerk', 'SET enable_indexscan = off') \g /dev/null
SELECT t.elsewhere('parallel role', 'clerk', 'SET enable_indexonlyscan = off') \g /dev/null
SELECT is(t.elsewhere('parallel role', 'clerk', 'SELECT count(*) FROM events_2025'), '20001', 'counts in parallel');
SELECT t.admin($$SELECT tenancy.revoke_access('clerk', 'acme')$$) \g /dev/null
SELECT throws_ok($$SELECT t.elsewhere('parallel role', 'clerk', 'SELECT count(*) FROM shop.events_2025')$$, '42501', NULL, 'but not once access is revoked');
SELECT t.admin($$SELECT tenancy.grant_access('clerk', 'acme')$$) \g /dev/null
SELECT is(t.elsewhere('parallel role', 'clerk', 'SELECT count(*) FROM events_2025'), '20001', 'granted again, the same session counts again');

SELECT * FROM finish();
