--
-- Migrations as texts: what is refused when they are added, and what is kept.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;

-- Without a module, there is nothing to migrate.
SELECT tenancy.add_migration(1, 'SELECT 1');

CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA data AUTHORIZATION regress_owner;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_module('addon', 'data');

-- Settings
SET tenancy.workers = 65;
SET tenancy.workers = -1;

-- Arguments
SELECT tenancy.add_migration(NULL, 'SELECT 1');
SELECT tenancy.add_migration(1, NULL);
SELECT tenancy.add_migration(1, 'SELECT 1', NULL);
SELECT tenancy.add_migration(0, 'SELECT 1');
SELECT tenancy.add_migration(-1, 'SELECT 1');
SELECT tenancy.add_migration(1, 'SELECT 1', module => 'nosuch');
SELECT tenancy.add_migration(1, 'SELECT 1', transactional => NULL);
SELECT tenancy.add_migration(1, 'SELECT 1', out_of_order => NULL);

-- Texts without a statement
SELECT tenancy.add_migration(1, '');
SELECT tenancy.add_migration(1, E' ;;\n -- nothing\n /* at all */ ;');

-- Syntax errors: statement, line and position, in the migration's text
\set SHOW_CONTEXT errors
SELECT tenancy.add_migration(1, 'CREATE TABLE');
SELECT tenancy.add_migration(1, E'CREATE TABLE a (id int);\n\nALTER TABLE a ADD COLUMN;\nSELECT 1');
SELECT tenancy.add_migration(1, E'SELECT '';'';\nCREATE FUNCTION f() RETURNS void BEGIN ATOMIC SELECT 1; SELECT 2; END;\n'
	'DO $x$ BEGIN; $x$; /* ; */ SELECT $q$;$q$, FROM;');
SELECT tenancy.add_migration(1, E'SELECT 1; SELECT ''never closed');
SELECT tenancy.add_migration(1, E'SELECT ''d\u00e9j\u00e0 vu'';\nSELECT oops oops oops');

-- Statements that no migration can hold
SELECT tenancy.add_migration(1, 'SELECT 1; BEGIN');
SELECT tenancy.add_migration(1, E'SELECT 1;\nSELECT 2;\n\n  COMMIT;');
SELECT tenancy.add_migration(1, 'SAVEPOINT x');
SELECT tenancy.add_migration(1, 'COPY t FROM STDIN');
SELECT tenancy.add_migration(1, 'CREATE DATABASE x');
SELECT tenancy.add_migration(1, 'ALTER SYSTEM SET work_mem = 1');
SELECT tenancy.add_migration(1, 'CREATE INDEX CONCURRENTLY ON t (a)');
SELECT tenancy.add_migration(1, 'DROP INDEX CONCURRENTLY i');
SELECT tenancy.add_migration(1, 'REINDEX TABLE CONCURRENTLY t');
SELECT tenancy.add_migration(1, 'VACUUM t', transactional => true);
\set SHOW_CONTEXT never

-- Names that would lead from the copies into the model
SELECT tenancy.add_migration(1, 'ALTER TABLE regress_model.t ADD COLUMN a int');
SELECT tenancy.add_migration(1, E'SELECT 1;\nALTER TABLE "regress_model" . t ADD COLUMN a int');
SELECT tenancy.add_migration(1, 'SELECT * FROM Regress_Model /* x */ .t');
SELECT tenancy.add_migration(1, 'SELECT * FROM DATA.t', module => 'addon');
SELECT tenancy.add_migration(1, 'CREATE FUNCTION f() RETURNS int RETURN (SELECT a FROM regress_model.t)');
SELECT count(*) FROM tenancy.migration;

-- Such a name in a string, a comment, or as something else, does not.
SELECT tenancy.add_migration(1, $$SELECT 'regress_model.t', E'regress_model.t', U&'data.t' -- regress_model.t
	, 1 AS data, 2 AS "Data", "Data".x, data1.y, "regress model".z FROM data$$);

-- Added twice: the same text is the same migration.
SELECT tenancy.add_migration(20260101120000, 'CREATE TABLE a (id int)', 'a');
SELECT tenancy.add_migration(20260101120000, 'CREATE TABLE a (id int)', 'a');
SELECT tenancy.add_migration(9223372036854775807, 'VACUUM a', transactional => false, module => 'addon');
SELECT module, version, description, sql, checksum = encode(sha256(sql::bytea), 'hex') AS checksum, transactional, position
FROM tenancy.migration ORDER BY 1, 2;

-- Not applied yet: the text may change.
SELECT tenancy.add_migration(20260101120000, 'CREATE TABLE b (id int)', 'b');
SELECT description, sql FROM tenancy.migration WHERE version = 20260101120000;

-- Applied: it may not, and nothing comes before it unasked.
UPDATE tenancy.migration SET position = 1 WHERE version = 20260101120000;
SELECT tenancy.add_migration(20260101120000, 'CREATE TABLE b (id int)', 'b');
SELECT tenancy.add_migration(20260101120000, 'CREATE TABLE c (id int)', 'b');
SELECT tenancy.add_migration(5, 'CREATE TABLE c (id int)');
SELECT tenancy.add_migration(5, 'CREATE TABLE c (id int)', out_of_order => true);
SELECT tenancy.add_migration(5, 'CREATE TABLE c (id int)', module => 'addon');

-- Not for everybody
SET ROLE regress_app;
SELECT tenancy.add_migration(6, 'SELECT 1');
SELECT tenancy.load_migrations('/tmp');
SELECT * FROM tenancy.migration;
RESET ROLE;
GRANT USAGE ON SCHEMA tenancy TO regress_app;
GRANT EXECUTE ON FUNCTION tenancy.load_migrations TO regress_app;
SET ROLE regress_app;
SELECT tenancy.load_migrations('/tmp');
RESET ROLE;

-- Files: see also the TAP tests.
SELECT tenancy.load_migrations(NULL);
SELECT tenancy.load_migrations('migrations');
SELECT tenancy.load_migrations('/nonexistent/migrations');

DROP EXTENSION tenancy;
DROP SCHEMA regress_model, data CASCADE;
DROP ROLE regress_owner, regress_app;
