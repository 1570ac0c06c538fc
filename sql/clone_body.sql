--
-- Functions whose bodies are strings, and name the model schema.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA "Order" AUTHORIZATION regress_owner;
CREATE SCHEMA plug AUTHORIZATION regress_owner;
SELECT tenancy.create_module('main', 'Order');
SELECT tenancy.create_module('plug', 'plug');
SELECT tenancy.grant_access('regress_app');
SET ROLE regress_owner;
CREATE TABLE "Order".item (id int PRIMARY KEY, name text);
CREATE TYPE "Order".mood AS ENUM ('sad', 'ok');
CREATE FUNCTION "Order".one() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT SELECT, INSERT ON "Order".item TO regress_app;
-- All names are in queries, and qualified with the schema
CREATE FUNCTION "Order".queries() RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO "Order".item AS i (id) SELECT 7 WHERE false;
	UPDATE "Order".item SET name = 'x' WHERE "Order".item.id = 3;
	DELETE FROM ONLY "Order".item WHERE id IN (SELECT "Order".one());
	WITH w AS (SELECT * FROM "Order" . item /* not "Order".this */)
	SELECT count(*) + 0 * "Order".one() FROM w, "Order".item j, LATERAL "Order".one() o
	WHERE 'sad'::"Order".mood <> 'ok'::"Order".mood OR ARRAY['ok']::"Order".mood[] IS NULL; -- "Order".that
$$;
COMMENT ON FUNCTION "Order".queries() IS 'kept';
GRANT EXECUTE ON FUNCTION "Order".queries() TO regress_app;
-- Names that are something else
CREATE FUNCTION "Order".alias() RETURNS bigint LANGUAGE sql AS 'SELECT count("Order".id) FROM "Order".item "Order" WHERE "Order".name IS NOT NULL';
CREATE FUNCTION "Order".words() RETURNS text LANGUAGE sql AS 'SELECT ''An Order. Order it! "order".item'' AS "Order"';
-- Names that nobody can tell
CREATE FUNCTION "Order".dynamic() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM "Order".item'' INTO n; RETURN n; END';
CREATE FUNCTION "Order".pl() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM "Order".item); END';
CREATE FUNCTION "Order".pl_path() RETURNS void LANGUAGE plpgsql AS 'BEGIN SET LOCAL search_path TO public, "Order"; END';
CREATE FUNCTION "Order".config() RETURNS text LANGUAGE sql AS 'SELECT set_config(''search_path'', ''"Order"'', true)';
CREATE FUNCTION "Order".escapes() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM U&"Order".item';
CREATE FUNCTION "Order".ddl() RETURNS void LANGUAGE sql AS 'SELECT count(*) FROM "Order".item; COMMENT ON TABLE "Order".item IS NULL';
CREATE FUNCTION "Order".broken() RETURNS void LANGUAGE sql SET check_function_bodies = off AS 'SELECT 1';
CREATE FUNCTION "Order".pieces() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM "Order".'' || quote_ident(''item'') INTO n; RETURN n; END';
CREATE FUNCTION "Order".formatted() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE format(''SELECT count(*) FROM "Order".%I'', ''item'') INTO n; RETURN n; END';
CREATE FUNCTION "Order".config_list() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN set_config(''search_path'', ''public, "Order"'', true); END';
CREATE FUNCTION plug.folded() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM Plug.thing'' INTO n; RETURN n; END';
CREATE FUNCTION plug.cut() RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM Plug.'' || ''thing'' INTO n; RETURN n; END';
-- Texts for people
CREATE FUNCTION plug.prose() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''Pull the plug. Or see https://plug.example.com, me@plug.example.com, /etc/plug.conf, a plug 2.5, plug.5.''; RETURN ''This is no plug.''; END';
-- Comments alone are nothing
CREATE FUNCTION "Order".pl_comment() RETURNS int LANGUAGE plpgsql AS 'BEGIN -- as "Order".one()
	RETURN 1; END';
SET check_function_bodies = off;
CREATE OR REPLACE FUNCTION "Order".broken() RETURNS void LANGUAGE sql AS 'SELEC "Order".one()';
CREATE FUNCTION "Order".unscannable() RETURNS void LANGUAGE plpgsql AS 'BEGIN "Order".one(); ''';
RESET check_function_bodies;
CREATE TABLE plug.thing (id int);
CREATE PROCEDURE plug.fill() LANGUAGE sql AS 'INSERT INTO "Order".item SELECT id FROM plug.thing';
CREATE FUNCTION plug.pathed() RETURNS bigint LANGUAGE sql SET search_path = plug, "Order", pg_temp AS 'SELECT count(*) FROM item';
GRANT SELECT, INSERT ON plug.thing TO regress_app;
RESET ROLE;

SET client_min_messages = notice;
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-00000000000a');
-- once in a session
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-00000000000b');
SELECT tenancy.install_module('a', 'plug');
SET client_min_messages = warning;
CREATE VIEW body AS SELECT p.pronamespace::regnamespace AS schema, p.proname, p.prosrc, p.proconfig, obj_description(p.oid, 'pg_proc') AS comment, p.proacl
FROM pg_proc p WHERE p.pronamespace::regnamespace::text LIKE 'tenant\_%' OR p.pronamespace::regnamespace::text LIKE '"tenant\_%';
SELECT b.schema, b.proname, b.prosrc FROM body b JOIN pg_proc m ON m.proname = b.proname AND m.pronamespace IN ('"Order"'::regnamespace, 'plug'::regnamespace)
WHERE b.prosrc <> m.prosrc AND b.schema::text <> 'tenant_b' ORDER BY 1, 2;
SELECT * FROM tenancy.drift();
SELECT object, detail FROM tenancy.check_isolation() WHERE lint = 'function_names_model';
SELECT current_user AS admin \gset
\c - regress_app
BEGIN;
SELECT tenancy.set_tenant('a');
INSERT INTO item VALUES (1, 'a'), (2, 'b');
INSERT INTO thing VALUES (3);
CALL fill();
SELECT alias(), pathed();
COMMIT;
\c - :admin
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT id FROM "Order".item;

-- They follow when the tenant is renamed, plug-ins included; the rest of a function stays.  What somebody has made
-- there by hand for another role is not ours to change, and no obstacle.
CREATE ROLE regress_other NOLOGIN;
CREATE FUNCTION tenant_a.others() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM tenant_a.item';
CREATE FUNCTION tenant_a.others_path() RETURNS bigint LANGUAGE sql SET search_path = tenant_a AS 'SELECT count(*) FROM item';
CREATE FUNCTION tenant_a.others_silent() RETURNS bigint LANGUAGE sql SET search_path = "Order" AS 'SELECT 1';
ALTER FUNCTION tenant_a.others() OWNER TO regress_other;
ALTER FUNCTION tenant_a.others_path() OWNER TO regress_other;
ALTER FUNCTION tenant_a.others_silent() OWNER TO regress_other;
SELECT tenancy.rename_tenant('a', 'new-name');
DROP FUNCTION "tenant_new-name".others(), "tenant_new-name".others_path(), "tenant_new-name".others_silent();
SELECT b.schema, b.proname, b.prosrc, b.proconfig, b.comment, b.proacl FROM body b WHERE b.proname IN ('queries', 'alias', 'ddl', 'fill', 'pathed') AND b.schema::text LIKE '%new%' ORDER BY 1, 2;
SELECT * FROM tenancy.drift();
-- And when a spare becomes a tenant
SELECT tenancy.set_spares('schema', 1);
CALL tenancy.refill_spares();
SELECT tenancy.create_tenant('s', 'schema') IS NOT NULL AS created;
SELECT count(*) FROM tenancy.spare;
SELECT b.schema, b.proname, b.prosrc FROM body b WHERE b.proname IN ('alias', 'ddl') AND b.schema::text = 'tenant_s' ORDER BY 1, 2;
SELECT tenancy.set_spares('schema', 0);
-- What a migration makes does so, too
SELECT tenancy.add_migration(1, $$
	CREATE FUNCTION later() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM "Order".item';
	CREATE FUNCTION later_path() RETURNS bigint LANGUAGE sql SET search_path = "Order", pg_temp AS 'SELECT count(*) FROM item';
$$, module => 'main');
CREATE FUNCTION tenant_b.others() RETURNS bigint LANGUAGE sql SET search_path = "Order" AS 'SELECT count(*) FROM "Order".item';
ALTER FUNCTION tenant_b.others() OWNER TO regress_other;
SET client_min_messages = error;
CALL tenancy.migrate();
DROP FUNCTION tenant_b.others();
SET client_min_messages = warning;
SELECT b.schema, b.proname, b.prosrc, b.proconfig FROM body b WHERE b.proname LIKE 'later%' ORDER BY 1, 2;
SELECT count(*) FROM tenancy.drift();
-- In a tenant's database, the model has its own name.
DROP VIEW body;
-- Copies that differ by their names only have the same digest: a change in one of them is one row.
ALTER FUNCTION tenant_b.alias() STABLE;
SELECT tenant, object, difference FROM tenancy.drift();

DROP EXTENSION tenancy CASCADE;
DROP SCHEMA "tenant_new-name", "tenant_new-name_plugin_plug", tenant_b, tenant_s, "Order", plug CASCADE;
DROP ROLE regress_owner, regress_app, regress_other;
