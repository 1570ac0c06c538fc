--
-- Copies of definitions that PostgreSQL would not read as it writes them, or that
-- CREATE TABLE would make something else of.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_reader NOLOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
SET search_path = regress_model;

-- Arrays that are cast
CREATE DOMAIN "a domain" AS varchar(5) CHECK (VALUE NOT IN ('x]y', 'z'));
CREATE TABLE listed (
	id int PRIMARY KEY, s varchar(10) DEFAULT 'a' CHECK (s IN ('a', 'b''],', NULL)), d "a domain" CHECK (d IN ('a', 'b')),
	t text CHECK (t IN ('a', 'b')), n numeric CHECK (n IN (1, 2.5)), o oid CHECK (o IN ('pg_class'::regclass, 'pg_proc'::regclass)),
	c char(3) CHECK (c IN ('a', 'b')), v varchar(5)[] DEFAULT ARRAY['a', 'b'], i bigint[] DEFAULT ARRAY[1, 2], r numeric(5,1)[] DEFAULT ARRAY[2, 1.5],
	found boolean GENERATED ALWAYS AS (s IN ('a', 'b')) STORED,
	CHECK (s LIKE ANY (ARRAY['a%', 'b%'])), CHECK (s = ANY ('{a,b}')), CHECK (CASE WHEN s IN ('a') THEN true ELSE d IN ('b', 'c') END),
	CHECK (s NOT IN (lower('A')::varchar, 'b'::varchar || 'c')));
CREATE INDEX ON listed (id) WHERE s IN ('x', 'y') AND d IN ('a', 'b');
CREATE INDEX ON listed ((s IN ('a', 'b')));
CREATE STATISTICS listed_statistics ON (s IN ('a', 'b')), id FROM listed;
CREATE VIEW some_listed AS SELECT * FROM listed WHERE s IN ('a', 'b') AND s IN (SELECT 'b' UNION SELECT t FROM listed);
CREATE POLICY own ON listed USING (s IN ('a', 'b') AND EXISTS (SELECT 'x' FROM listed WHERE s IN ('c', 'd')));
ALTER TABLE listed ENABLE ROW LEVEL SECURITY;
CREATE RULE noted AS ON DELETE TO listed WHERE old.s IN ('x', 'y') DO ALSO INSERT INTO listed (s, t) SELECT 'deleted', old.s;
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER fire BEFORE UPDATE ON listed FOR EACH ROW WHEN (new.s IN ('a', 'b')) EXECUTE FUNCTION fire();

-- Columns without a name
CREATE FUNCTION hello(a varchar DEFAULT 'x') RETURNS text LANGUAGE sql BEGIN ATOMIC
	SELECT DISTINCT ON (id) 'x' FROM listed; SELECT DISTINCT 'y' FROM listed; SELECT 'a' UNION SELECT 'b'; SELECT NULL;
	SELECT (SELECT 'a'), 'b', id, -1, true, 'c' FROM listed ORDER BY id LIMIT 1; SELECT 'a' WHERE a IN ('b', 'c'); SELECT 'a'::varchar AS b; SELECT 'hello'; END;
CREATE FUNCTION is_there() RETURNS boolean LANGUAGE sql RETURN EXISTS (SELECT 'x' FROM listed WHERE s IN ('a', 'b'));
CREATE PROCEDURE fill() LANGUAGE sql BEGIN ATOMIC
	INSERT INTO listed (id, s) SELECT 1, 'created';
	INSERT INTO listed (id, s, t) SELECT 1, 'x', 'y' FROM listed GROUP BY 1 ON CONFLICT DO NOTHING RETURNING 'z', id;
	INSERT INTO listed (s) VALUES ('a'), ('b');
	UPDATE listed SET s = 'a', (t, c) = (SELECT 'x', 'y'); END;
CREATE VIEW unnamed AS SELECT 'x', NULL AS nothing, q.z FROM (SELECT 'y', 'z' AS z) q WHERE EXISTS (SELECT NULL FROM listed WHERE t IN (SELECT 'a'));

-- Two keys of the same columns
CREATE TABLE twice (id int PRIMARY KEY UNIQUE, code text UNIQUE, CONSTRAINT deferred UNIQUE (code) DEFERRABLE);
ALTER TABLE twice ADD UNIQUE (code), ADD UNIQUE (id);
CREATE TABLE of_twice (code text REFERENCES twice (code), id int REFERENCES twice);

-- What children have not, or have of their own
CREATE TABLE parent (a int NOT NULL, b int, c text COMPRESSION pglz);
ALTER TABLE parent ALTER c SET STORAGE EXTERNAL;
CREATE TABLE other_parent (b int DEFAULT 5 NOT NULL);
CREATE TABLE child () INHERITS (parent, other_parent);
ALTER TABLE child ALTER b DROP DEFAULT;
DO $$
BEGIN
	-- refused from PostgreSQL 18 on
	ALTER TABLE child ALTER a DROP NOT NULL, ALTER b DROP NOT NULL;
EXCEPTION WHEN invalid_table_definition THEN
END $$;
CREATE TABLE grandchild (a int) INHERITS (child);
ALTER TABLE ONLY child ALTER c SET COMPRESSION default;
ALTER TABLE ONLY grandchild ALTER c SET COMPRESSION default, ALTER c SET STORAGE MAIN;
CREATE TABLE checked (a int);
CREATE TABLE checked_child () INHERITS (checked);
CREATE TABLE checked_grandchild () INHERITS (checked_child);
CREATE TABLE unchecked_child () INHERITS (checked);
ALTER TABLE checked ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
ALTER TABLE checked_child VALIDATE CONSTRAINT positive;
CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE generated_child (LIKE generated INCLUDING GENERATED, c int);
ALTER TABLE generated_child INHERIT generated;
CREATE TABLE parted (a int, b int, CONSTRAINT parted_key UNIQUE (a) INCLUDE (b) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED) PARTITION BY RANGE (a);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (2);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (2) TO (3);
ALTER TABLE parted ADD CONSTRAINT positive CHECK (b > 0) NOT VALID, ADD CONSTRAINT of_twice FOREIGN KEY (b) REFERENCES twice;
ALTER TABLE parted_1 VALIDATE CONSTRAINT positive;
ALTER TABLE parted_2 RENAME CONSTRAINT of_twice TO its_own;

-- Types that were renamed, and whose functions were not
CREATE TYPE spans AS RANGE (subtype = float8, multirange_type_name = many_spans);
CREATE TABLE spanned (a spans DEFAULT spans(1, 2), b many_spans DEFAULT many_spans(spans(1, 2)));
ALTER TYPE spans RENAME TO "spans, renamed";
ALTER TYPE many_spans RENAME TO "many renamed";

-- Parents that got columns later
CREATE TABLE elder (a int, t text NOT NULL DEFAULT 't', CHECK (a > 0));
CREATE TABLE younger (own serial PRIMARY KEY, z int CHECK (z > 0)) INHERITS (elder);
CREATE TABLE youngest (y int) INHERITS (younger, other_parent);
ALTER TABLE elder ADD late int DEFAULT 7 CONSTRAINT late CHECK (late > 0), ADD twice int GENERATED ALWAYS AS (a * 2) STORED;
ALTER TABLE elder ADD CONSTRAINT unchecked CHECK (late < 9) NOT VALID;
ALTER TABLE younger VALIDATE CONSTRAINT unchecked;
RESET search_path;
RESET ROLE;

SELECT count(tenancy.create_module('main', 'regress_model'));
SELECT count(tenancy.create_tenant('a', 'schema'));
SELECT object, difference FROM tenancy.drift();
SELECT conname, contype, condeferrable FROM pg_constraint WHERE conrelid = 'tenant_a.twice'::regclass AND contype <> 'n' ORDER BY conname;
SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'tenant_a'::regnamespace AND reloptions IS NOT NULL ORDER BY 1;
SELECT conrelid::regclass, convalidated, conislocal FROM pg_constraint
	WHERE connamespace = 'tenant_a'::regnamespace AND conname = 'positive' ORDER BY 1;

SELECT attrelid::regclass, attname, attislocal, attinhcount FROM pg_attribute
	WHERE attrelid IN ('tenant_a.younger'::regclass, 'tenant_a.youngest'::regclass) AND attnum > 0 ORDER BY attrelid::regclass::text, attnum;
SELECT conrelid::regclass, conname, convalidated, conislocal FROM pg_constraint
	WHERE conrelid IN ('tenant_a.younger'::regclass, 'tenant_a.youngest'::regclass) AND contype = 'c' ORDER BY conrelid::regclass::text, conname;

-- What a parent loses its children lose
BEGIN;
ALTER TABLE tenant_a.elder DROP COLUMN late, DROP CONSTRAINT elder_a_check;
SELECT conrelid::regclass, conname FROM pg_constraint
	WHERE conrelid IN ('tenant_a.younger'::regclass, 'tenant_a.youngest'::regclass) AND contype = 'c' ORDER BY conrelid::regclass::text, conname;
ROLLBACK;

-- drift() sees them
BEGIN;
ALTER TABLE tenant_a.unchecked_child VALIDATE CONSTRAINT positive;
ALTER TABLE tenant_a.parted_1 RENAME CONSTRAINT of_twice TO another;
COMMENT ON CONSTRAINT positive ON tenant_a.checked_child IS 'inherited';
COMMENT ON INDEX tenant_a.twice_pkey IS 'its index';
SELECT object, difference FROM tenancy.drift();
ROLLBACK;

-- A view of itself
CREATE VIEW regress_model.itself AS SELECT 1 AS a;
ALTER VIEW regress_model.itself OWNER TO regress_owner;
CREATE OR REPLACE VIEW regress_model.itself AS SELECT 1 AS a, (SELECT count(*) FROM regress_model.itself) AS n;
SELECT tenancy.create_tenant('b', 'schema');

SELECT count(tenancy.drop_tenant('a', true));
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP ROLE regress_owner, regress_reader;
