-- What the measurements run on; "tenants" is their number.
SET client_min_messages = warning;
CREATE ROLE bench_owner NOLOGIN;
CREATE ROLE bench_app LOGIN;
CREATE ROLE bench_plain LOGIN BYPASSRLS;	-- for baselines without row security
CREATE DATABASE bench;
\connect bench
SET client_min_messages = warning;
CREATE EXTENSION tenancy;

-- how much processor time a session has used, in milliseconds
CREATE FUNCTION public.processor_ms() RETURNS numeric
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::numeric / 1000000$$;

-- Tenants t1, t2, ... with ids that tell their numbers.
SELECT count(tenancy.create_tenant('t' || i, 'shared',
	('00000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid))
FROM generate_series(1, :tenants) i;

-- A million rows: 1,000 for each tenant, or half of them for the first and
-- the rest for the others.  The rows of one tenant are all over the table.
CREATE SCHEMA bench AUTHORIZATION bench_owner;
SET ROLE bench_owner;
CREATE TABLE bench.even (
	tenant_id	uuid NOT NULL,
	item_id		bigint NOT NULL,
	quantity	integer NOT NULL,
	note		text NOT NULL,
	PRIMARY KEY (tenant_id, item_id)
);
CREATE TABLE bench.uneven (LIKE bench.even INCLUDING ALL);
INSERT INTO bench.even
SELECT ('00000000-0000-4000-8000-' || lpad((i % :tenants + 1)::text, 12, '0'))::uuid,
	i / :tenants + 1, i % 97, 'note on item ' || i
FROM generate_series(0, 999999) i;
INSERT INTO bench.uneven
SELECT ('00000000-0000-4000-8000-' || lpad(
			CASE i % 2 WHEN 0 THEN 1 ELSE 2 + i / 2 % (:tenants - 1) END::text, 12, '0'))::uuid,
	i, i % 97, 'note on item ' || i
FROM generate_series(0, 999999) i;
GRANT USAGE ON SCHEMA bench TO bench_app, bench_plain;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bench TO bench_app, bench_plain;
RESET ROLE;

-- The same with policies that are usual without us: the plain one, and the one
-- that is recommended for its speed.
CREATE SCHEMA usual AUTHORIZATION bench_owner;
SET ROLE bench_owner;
CREATE TABLE usual.even (LIKE bench.even INCLUDING ALL);
CREATE TABLE usual.uneven (LIKE bench.even INCLUDING ALL);
INSERT INTO usual.even SELECT * FROM bench.even;
INSERT INTO usual.uneven SELECT * FROM bench.uneven;
ALTER TABLE usual.even ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE usual.uneven ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON usual.even USING (tenant_id = current_setting('bench.tenant_id')::uuid);
CREATE POLICY tenant ON usual.uneven USING (tenant_id = (SELECT current_setting('bench.tenant_id')::uuid));
GRANT USAGE ON SCHEMA usual TO bench_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA usual TO bench_app;
RESET ROLE;

SELECT tenancy.create_module('main', 'bench');
SELECT tenancy.protect_module('main');
SELECT tenancy.grant_access('bench_app');
VACUUM ANALYZE;
CHECKPOINT;
