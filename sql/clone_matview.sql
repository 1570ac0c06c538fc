--
-- Materialized views: copied with all that is theirs but the privileges, which
-- only their owner has, because no row security holds their rows.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_reader LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_ref;
CREATE TABLE regress_ref.plan (id int PRIMARY KEY, name text);
INSERT INTO regress_ref.plan VALUES (1, 'free'), (2, 'paid');
GRANT USAGE ON SCHEMA regress_ref TO regress_owner, regress_app;
GRANT SELECT, REFERENCES ON regress_ref.plan TO regress_owner;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_plug AUTHORIZATION regress_owner;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_module('plug', 'regress_plug');
SET ROLE regress_owner;
SET search_path = regress_model;
CREATE TABLE sale (id int PRIMARY KEY, amount numeric, plan int REFERENCES regress_ref.plan);
GRANT SELECT, INSERT ON sale TO regress_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_app;
CREATE MATERIALIZED VIEW "By plan" (plan, name, "the sum") WITH (fillfactor = 70, toast.autovacuum_enabled = false) AS
	SELECT p.id, p.name, sum(s.amount) FROM regress_ref.plan p LEFT JOIN sale s ON s.plan = p.id GROUP BY p.id;
CREATE UNIQUE INDEX by_plan_key ON "By plan" (plan);
CREATE INDEX by_plan_sum ON "By plan" (("the sum" * 2) DESC) WHERE name <> 'x';
ALTER MATERIALIZED VIEW "By plan" ALTER name SET STATISTICS 7, ALTER name SET STORAGE EXTERNAL, ALTER name SET COMPRESSION pglz,
	ALTER "the sum" SET (n_distinct = 5), CLUSTER ON by_plan_key;
ALTER INDEX by_plan_sum ALTER COLUMN 1 SET STATISTICS 33;
CREATE STATISTICS by_plan_stat ON plan, name FROM "By plan";
COMMENT ON MATERIALIZED VIEW "By plan" IS 'mat''view';
COMMENT ON COLUMN "By plan"."the sum" IS 'column';
COMMENT ON INDEX by_plan_key IS 'index';
GRANT SELECT ON "By plan" TO PUBLIC;
GRANT SELECT (plan), UPDATE (plan) ON "By plan" TO regress_reader;
CREATE MATERIALIZED VIEW total AS SELECT sum("the sum") AS s, tenancy.current_tenant_id() AS tenant_id FROM "By plan";
CREATE MATERIALIZED VIEW never AS SELECT count(*) FROM total WITH NO DATA;
-- Views that read them, at any remove: with the owner's rights, and not
CREATE VIEW by_owner AS SELECT * FROM total;
CREATE VIEW by_invoker WITH (security_invoker) AS SELECT * FROM total;
CREATE VIEW at_a_remove AS SELECT * FROM by_invoker;
CREATE VIEW ruled WITH (security_invoker) AS SELECT 1 AS a;
CREATE RULE r AS ON INSERT TO ruled DO INSTEAD SELECT * FROM total;
CREATE VIEW other AS SELECT * FROM sale;
GRANT ALL ON by_owner, by_invoker, at_a_remove, ruled, other TO regress_app, regress_reader WITH GRANT OPTION;
-- In a plug-in
CREATE MATERIALIZED VIEW regress_plug.mine AS SELECT count(*) AS n FROM total;
CREATE VIEW regress_plug.of_main AS SELECT * FROM total;
CREATE VIEW regress_plug.of_other AS SELECT * FROM other;
GRANT SELECT ON regress_plug.mine, regress_plug.of_main, regress_plug.of_other TO regress_app;
RESET ROLE;
RESET search_path;
SELECT tenancy.grant_access('regress_app');
SET client_min_messages = notice;
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-00000000000a');
-- said once in a session
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-00000000000b');
SELECT tenancy.install_module('a', 'plug');
SET client_min_messages = warning;
SELECT * FROM tenancy.drift();
SELECT c.oid::regclass, c.relkind, c.relispopulated, c.relowner::regrole, c.reloptions,
	   array(SELECT a.grantee::regrole || ' ' || a.privilege_type FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner AND a.privilege_type IN ('SELECT', 'INSERT') ORDER BY 1) AS privileges
FROM pg_class c WHERE c.relnamespace IN ('tenant_a'::regnamespace, 'tenant_a_plugin_plug'::regnamespace) AND c.relkind IN ('m', 'v') ORDER BY c.oid;
SELECT a.attname, a.attacl, COALESCE(a.attstattarget, -1) AS target, a.attstorage, a.attcompression, col_description(a.attrelid, a.attnum)
FROM pg_attribute a WHERE a.attrelid = 'tenant_a."By plan"'::regclass AND a.attnum > 0 ORDER BY a.attnum;
SELECT pg_get_indexdef(indexrelid), indisclustered FROM pg_index WHERE indrelid = 'tenant_a."By plan"'::regclass ORDER BY 1;
-- Filled with what the tenant sees
SELECT * FROM tenant_a."By plan" ORDER BY plan;
SELECT * FROM tenant_a.total;
SELECT * FROM tenant_b.total;
SELECT * FROM tenant_a_plugin_plug.mine;

-- Row security holds while they are filled; nobody else in session counts, nor is anything pinned.
SET ROLE regress_owner;
CREATE FUNCTION regress_model.peek() RETURNS bigint LANGUAGE plpgsql SET search_path = regress_model, public AS
$$ BEGIN IF tenancy.current_tenant_id() IS NULL THEN RETURN -1; END IF; RETURN (SELECT count(*) FROM tenant_b.sale); END $$;
CREATE MATERIALIZED VIEW regress_model.peeks AS SELECT regress_model.peek() AS n;
RESET ROLE;
SELECT current_user AS admin \gset
\c - regress_app
BEGIN;
SELECT tenancy.set_tenant('b');
INSERT INTO sale VALUES (1, 10, 1), (2, 20, 2);
COMMIT;
\c - :admin
SET client_min_messages = warning;
\set SHOW_CONTEXT never
BEGIN;
SELECT tenancy.set_tenant('b');
SELECT count(*) FROM tenant_b.sale;
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-00000000000c');
SELECT tenancy.create_tenant('d', 'schema', '00000000-0000-4000-8000-00000000000d');
SELECT tenancy.current_tenant();
SELECT n AS must_be_0 FROM tenant_c.peeks UNION ALL SELECT n FROM tenant_d.peeks;
ROLLBACK;
-- An error on the way leaves the context as it was.
BEGIN;
SET ROLE regress_owner;
CREATE FUNCTION regress_model.fails() RETURNS int LANGUAGE plpgsql AS
$$ BEGIN IF tenancy.current_tenant_id() IS NOT NULL THEN RAISE EXCEPTION 'fails for %', tenancy.current_tenant_id(); END IF; RETURN 1; END $$;
CREATE MATERIALIZED VIEW regress_model.failing AS SELECT regress_model.fails() AS n;
RESET ROLE;
SAVEPOINT s;
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-00000000000c');
ROLLBACK TO s;
SELECT tenancy.current_tenant() IS NULL AS no_context;
SELECT count(*) FROM tenant_b.sale;
ROLLBACK TO s;
SELECT tenancy.set_tenant('b');
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-00000000000c');
ROLLBACK TO s;
SELECT tenancy.current_tenant();
ROLLBACK;
SET ROLE regress_app;
BEGIN;
SAVEPOINT s;
SELECT * FROM tenant_b.total;
ROLLBACK;
RESET ROLE;

-- A table's rule would hand out what it reads.
BEGIN;
SET LOCAL ROLE regress_owner;
CREATE RULE r AS ON UPDATE TO regress_model.sale DO ALSO SELECT * FROM regress_model.by_owner;
RESET ROLE;
SELECT tenancy.create_tenant('c', 'schema');
ROLLBACK;
-- And who owns a materialized view, fills it.
BEGIN;
ALTER MATERIALIZED VIEW regress_model.total OWNER TO regress_reader;
SELECT tenancy.create_tenant('c', 'schema');
ROLLBACK;

-- Each change is one row; whether they are filled is none.
CREATE FUNCTION tried(change text) RETURNS TABLE (object text, difference text) LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		SET LOCAL search_path = tenant_a;
		EXECUTE change;
		SET LOCAL search_path = public;
		SELECT array_agg(ARRAY[d.tenant || ': ' || d.object, d.difference] ORDER BY d.object COLLATE "C") INTO found FROM tenancy.drift() d;
		RAISE EXCEPTION 'undone' USING ERRCODE = 'P0042';
	EXCEPTION WHEN SQLSTATE 'P0042' THEN NULL;
	END;
	FOR i IN 1 .. COALESCE(array_length(found, 1), 0) LOOP
		object := found[i][1];
		difference := found[i][2];
		RETURN NEXT;
	END LOOP;
END $$;
SELECT tenancy.create_tenant('0', 'schema', '00000000-0000-4000-8000-000000000001');
DROP MATERIALIZED VIEW regress_model.peeks, tenant_0.peeks;
DROP FUNCTION regress_model.peek(), tenant_0.peek();
-- (privileges without what they are: not all versions have MAINTAIN, and too long a list is left out)
SELECT t.object, regexp_replace(t.difference, '(privileges) is .*', '\1') AS difference FROM unnest(ARRAY[
	'GRANT SELECT ON total TO regress_app',
	'GRANT SELECT (s) ON total TO regress_app',
	'GRANT SELECT ON by_owner TO PUBLIC',
	'GRANT INSERT ON ruled TO regress_app',
	'REVOKE SELECT ON other FROM regress_app',
	'DROP MATERIALIZED VIEW never',
	'ALTER MATERIALIZED VIEW "By plan" ALTER name SET STATISTICS 8',
	'ALTER MATERIALIZED VIEW "By plan" SET (fillfactor = 71)',
	'ALTER MATERIALIZED VIEW "By plan" SET WITHOUT CLUSTER',
	'ALTER MATERIALIZED VIEW "By plan" OWNER TO regress_app',
	'COMMENT ON MATERIALIZED VIEW "By plan" IS NULL',
	'COMMENT ON COLUMN "By plan"."the sum" IS NULL',
	'DROP INDEX by_plan_key',
	'ALTER STATISTICS by_plan_stat SET STATISTICS 5',
	'CREATE MATERIALIZED VIEW more AS SELECT 1 AS x',
	'REFRESH MATERIALIZED VIEW total WITH NO DATA'
]) c CROSS JOIN LATERAL tried(c) t;
SELECT tenancy.model_fingerprint() AS was \gset
BEGIN;
REFRESH MATERIALIZED VIEW regress_model.total WITH NO DATA;
SELECT tenancy.model_fingerprint() <> :'was' AS changed;
ROLLBACK;

-- Lints: nothing, until somebody gives what was withheld.
SELECT lint, object, fix FROM tenancy.check_isolation() WHERE lint = 'matview_exposes_tenants';
GRANT SELECT ON tenant_a.total, tenant_a.at_a_remove TO regress_app;
SELECT lint, object, fix FROM tenancy.check_isolation() WHERE lint = 'matview_exposes_tenants' AND object LIKE '%tenant%';
SELECT string_agg(fix, ';') AS fixes FROM tenancy.check_isolation() WHERE lint = 'matview_exposes_tenants' AND object LIKE '%tenant%' \gset
:fixes;
SELECT lint, object, fix FROM tenancy.check_isolation() WHERE lint = 'matview_exposes_tenants' AND object LIKE '%tenant%';

-- A view that reads one only since a migration, and so makes others read it, in a plug-in's schema too
SELECT has_table_privilege('regress_app', 'tenant_a.other', 'SELECT') AS main, has_table_privilege('regress_app', 'tenant_a_plugin_plug.of_other', 'SELECT') AS plugin;
SELECT tenancy.add_migration(1, 'CREATE OR REPLACE VIEW other AS SELECT s.id, s.amount, s.plan FROM sale s CROSS JOIN total', module => 'main');
SET client_min_messages = error;
CALL tenancy.migrate();
SET client_min_messages = warning;
SELECT has_table_privilege('regress_app', 'tenant_a.other', 'SELECT') AS main, has_table_privilege('regress_app', 'tenant_a_plugin_plug.of_other', 'SELECT') AS plugin;
SELECT * FROM tenancy.drift();

DROP FUNCTION tried(text);
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenant_a, tenant_a_plugin_plug, tenant_b, tenant_0, regress_model, regress_plug, regress_ref CASCADE;
DROP ROLE regress_owner, regress_app, regress_reader;
