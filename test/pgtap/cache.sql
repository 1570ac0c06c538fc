--
-- tenancy.cache_limit: a session that works in many tenants' schemas keeps its
-- catalog caches small, and works on as before, whatever is open when they are
-- emptied.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('t' || n, 'schema') FROM generate_series(1, 60) n \g /dev/null
CREATE TABLE public.numbers AS SELECT n FROM generate_series(1, 1000) n;
GRANT SELECT ON public.numbers TO app;
SELECT plan(17);

-- All of a session's memory, in kB
CREATE FUNCTION t.memory() RETURNS bigint LANGUAGE sql SECURITY DEFINER
AS 'SELECT (sum(total_bytes) / 1024)::bigint FROM pg_catalog.pg_backend_memory_contexts';
GRANT EXECUTE ON FUNCTION t.memory() TO app;
-- Touch all tables of a tenant.
CREATE FUNCTION t.visit(slug text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	name name;
	rows bigint;
BEGIN
	PERFORM tenancy.set_tenant(slug, false);
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = ('tenant_' || slug)::regnamespace AND relkind = 'r' AND NOT relispartition LOOP
		EXECUTE format('SELECT FROM %I', name);
	END LOOP;
	INSERT INTO notes (note) VALUES ('note of ' || slug);
	SELECT count(*) FROM notes WHERE note = 'note of ' || slug INTO rows;
	RETURN rows;
END $$;
GRANT EXECUTE ON FUNCTION t.visit(text) TO app;

-- ---------------------------------------------------------------------------
-- The setting
-- ---------------------------------------------------------------------------
SELECT t.elsewhere(s, 'app', 'SELECT tenancy.current_tenant()') FROM unnest(ARRAY['none', 'small', 'tiny']) s \g /dev/null
SELECT is(t.elsewhere('none', 'app', 'SHOW tenancy.cache_limit'), '64MB', 'the default');
SELECT t.elsewhere('none', 'app', 'SET tenancy.cache_limit = 0'), t.elsewhere('small', 'app', 'SET tenancy.cache_limit = ''3MB'''),
	t.elsewhere('tiny', 'app', 'SET tenancy.cache_limit = ''1kB''') \g /dev/null
SELECT is(t.elsewhere('small', 'app', 'SHOW tenancy.cache_limit'), '3MB', 'a session sets it');
SELECT throws_ok($$SELECT t.elsewhere('small', 'app', 'SET tenancy.cache_limit = -1')$$, '22023', NULL, 'but to nothing below 0');

-- ---------------------------------------------------------------------------
-- Sixty tenants, twice
-- ---------------------------------------------------------------------------
CREATE TABLE t.size (session text, round int, kb bigint);
SELECT t.elsewhere(s, 'app', 'SELECT t.visit(''t1'')') FROM unnest(ARRAY['none', 'small', 'tiny']) s \g /dev/null
INSERT INTO t.size SELECT s, 0, t.elsewhere(s, 'app', 'SELECT t.memory()')::bigint FROM unnest(ARRAY['none', 'small', 'tiny']) s;
SELECT is((SELECT sum(t.elsewhere(s, 'app', format('SELECT t.visit(%L)', 't' || n))::int) FROM unnest(ARRAY['none']) s, generate_series(2, 60) n), 59::bigint, 'no limit: each tenant''s own rows');
SELECT is((SELECT sum(t.elsewhere(s, 'app', format('SELECT t.visit(%L)', 't' || n))::int) FROM unnest(ARRAY['small']) s, generate_series(2, 60) n), 118::bigint, 'a small one: the same');
SELECT is((SELECT sum(t.elsewhere(s, 'app', format('SELECT t.visit(%L)', 't' || n))::int) FROM unnest(ARRAY['tiny']) s, generate_series(2, 60) n), 177::bigint, 'a tiny one: the same');
INSERT INTO t.size SELECT s, 1, t.elsewhere(s, 'app', 'SELECT t.memory()')::bigint FROM unnest(ARRAY['none', 'small', 'tiny']) s;
SELECT is((SELECT sum(t.elsewhere('small', 'app', format('SELECT t.visit(%L)', 't' || n))::int) FROM generate_series(1, 60) n), 240::bigint, 'and once more');
INSERT INTO t.size SELECT s, 2, t.elsewhere(s, 'app', 'SELECT t.memory()')::bigint FROM unnest(ARRAY['small']) s;
CREATE FUNCTION t.grown(s text, r int) RETURNS bigint LANGUAGE sql AS
	'SELECT max(kb) FILTER (WHERE round = r) - max(kb) FILTER (WHERE round = 0) FROM t.size WHERE session = s';
SELECT cmp_ok(t.grown('none', 1), '>', 5000::bigint, 'without a limit, the session has grown');
SELECT cmp_ok(t.grown('small', 1), '<', 3500::bigint, 'with one, no more than that');
SELECT cmp_ok(t.grown('small', 2), '<', 3500::bigint, 'nor by more of the same');
SELECT cmp_ok(t.grown('tiny', 1), '<', t.grown('none', 1) / 2, 'nor with one that empties them each time');

-- ---------------------------------------------------------------------------
-- What is open when they are emptied
-- ---------------------------------------------------------------------------
SELECT t.elsewhere('tiny', 'app', 'PREPARE mine AS SELECT note FROM notes LIMIT 1'), t.elsewhere('tiny', 'app', 'SELECT t.visit(''t3'')'),
	t.elsewhere('tiny', 'app', 'CREATE TEMP TABLE temporary AS SELECT 1 AS n') \g /dev/null
SELECT is(t.elsewhere('tiny', 'app', 'EXECUTE mine'), 'note of t3', 'a prepared statement of another tenant''s time');
SELECT t.elsewhere('tiny', 'app', 'BEGIN'), t.elsewhere('tiny', 'app', 'SELECT tenancy.reset_tenant()'),
	t.elsewhere('tiny', 'app', 'DECLARE c CURSOR FOR SELECT n.n FROM public.numbers n JOIN temporary t ON true ORDER BY 1'),
	t.elsewhere('tiny', 'app', 'MOVE 10 FROM c') \g /dev/null
SELECT is(t.elsewhere('tiny', 'app', 'SELECT tenancy.set_tenant(''t4'')') IS NOT NULL, true, 'a cursor of the transaction is open');
SELECT is(t.elsewhere('tiny', 'app', 'FETCH FROM c'), '11', 'and goes on');
SELECT is(t.elsewhere('tiny', 'app', 'SELECT DISTINCT note FROM notes'), 'note of t4', 'beside the tenant''s rows');
SELECT t.elsewhere('tiny', 'app', 'COMMIT') \g /dev/null
SELECT is(t.elsewhere('tiny', 'app', 'SELECT count(tenancy.set_tenant(''t5'')) FROM public.numbers n JOIN temporary t ON n.n > t.n'), '999', 'in the middle of a query');
SELECT is(t.elsewhere('tiny', 'app', $$SELECT string_agg(x, ' ') FROM (SELECT (SELECT t.visit('t6'))::text AS x UNION ALL SELECT tenancy.current_tenant()) y$$), '5 t6', 'in a function, in a query');

SELECT t.leave(s) FROM unnest(ARRAY['none', 'small', 'tiny']) s \g /dev/null
DROP TABLE public.numbers;
SELECT * FROM finish();
