--
-- What others have made of a tenant's types and functions: not dropped with the
-- tenant, unless by force.
--
\ir lib/setup.sql
SET ROLE shop_owner;
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
RESET ROLE;
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.suspend_tenant('globex') \g /dev/null
SELECT plan(9);
CREATE TABLE t.keep (id integer, mood tenant_globex.mood);
INSERT INTO t.keep VALUES (1, 'good');
SELECT throws_ok($$SELECT tenancy.drop_tenant('globex')$$, '2BP01', NULL, 'a column of a tenant''s type');
ALTER TABLE t.keep ALTER mood TYPE text;
CREATE TABLE t.moods (moods tenant_globex.mood[]);
SELECT throws_ok($$SELECT tenancy.drop_tenant('globex')$$, '2BP01', NULL, 'of its array');
DROP TABLE t.moods;
CREATE FUNCTION t.f() RETURNS SETOF tenant_globex.notes LANGUAGE sql AS 'SELECT * FROM tenant_globex.notes';
SELECT throws_ok($$SELECT tenancy.drop_tenant('globex')$$, '2BP01', NULL, 'a function that returns a table''s rows');
DROP FUNCTION t.f();
ALTER TABLE t.keep ALTER id SET DEFAULT tenant_globex.customer_count();
SELECT throws_ok($$SELECT tenancy.drop_tenant('globex')$$, '2BP01', NULL, 'a default that calls a function');
ALTER TABLE t.keep ALTER id DROP DEFAULT;
CREATE VIEW t.v AS SELECT tenant_globex.customer_count();
SELECT throws_ok($$SELECT tenancy.drop_tenant('globex')$$, '2BP01', NULL, 'a view that does');
DROP VIEW t.v;
CREATE DOMAIN t.d AS tenant_globex.mood;
SELECT throws_ok($$SELECT tenancy.drop_tenant('globex')$$, '2BP01', NULL, 'a domain');
DROP DOMAIN t.d;
SELECT lives_ok($$SELECT tenancy.drop_tenant('globex')$$, 'without them it goes');
SELECT results_eq('SELECT mood FROM t.keep', ARRAY['good'], 'and the rows of others are there');
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
ALTER TABLE t.keep ADD m tenant_globex.mood;
SELECT lives_ok($$SELECT tenancy.drop_tenant('globex', true)$$, 'by force, columns go along');
SELECT * FROM finish();
DROP TYPE shop.mood;
