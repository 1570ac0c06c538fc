--
-- How tenants' databases differ from the models.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_other NOLOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_crm AUTHORIZATION regress_owner;
SELECT current_database() AS application, current_user AS admin \gset
SET ROLE regress_owner;
SET search_path = regress_model;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN posint AS int CONSTRAINT pos CHECK (value > 0);
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 2';
CREATE FUNCTION pathed() RETURNS int LANGUAGE sql SET search_path = regress_model, public AS 'SELECT 1';
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE SEQUENCE numbers;
CREATE TABLE customer (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	nr serial,
	name text NOT NULL DEFAULT 'new',
	m mood DEFAULT 'ok',
	n posint CONSTRAINT n_small CHECK (n < 1000)
);
CREATE TABLE orders (
	id bigint PRIMARY KEY DEFAULT nextval('numbers'),
	customer bigint CONSTRAINT orders_customer REFERENCES customer,
	amount numeric(10,2)
);
CREATE INDEX orders_twice ON orders (twice(amount::int));
CREATE VIEW rich AS SELECT c.id, sum(o.amount) FROM customer c JOIN orders o ON o.customer = c.id GROUP BY 1;
CREATE TRIGGER customer_trg BEFORE INSERT ON customer FOR EACH ROW EXECUTE FUNCTION trg();
CREATE TABLE notes (id int PRIMARY KEY, note text);
CREATE COLLATION plain (locale = 'C');
CREATE OPERATOR <<< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = >>>);
CREATE OPERATOR >>> (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = <<<);
CREATE TYPE pair AS (a int, b int);
CREATE CAST (mood AS pair) WITH INOUT;
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = pg_catalog.simple);
CREATE TEXT SEARCH CONFIGURATION search (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION search ALTER MAPPING FOR word WITH stems;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY cheap ON notes USING (twice(id) < 100);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON ALL TABLES IN SCHEMA regress_model TO regress_app;
GRANT USAGE ON SCHEMA regress_model, regress_crm TO regress_app, regress_other;
ALTER DEFAULT PRIVILEGES IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_app;
CREATE TABLE regress_crm.lead (id int PRIMARY KEY, customer bigint REFERENCES customer);
RESET ROLE;
RESET search_path;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_other IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_app;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_module('crm', 'regress_crm');
SELECT count(*) FROM tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('big', 'database', '00000000-0000-4000-8000-0000000000d1');
SELECT tenancy.create_tenant('next', 'database', '00000000-0000-4000-8000-0000000000d2');
SELECT tenancy.create_tenant('s', 'schema', '00000000-0000-4000-8000-0000000000b1');

-- What was just made is the same, also where nobody may connect.
SELECT * FROM tenancy.drift();
SELECT * FROM tenancy.drift('big');
SELECT tenancy.suspend_tenant('next');
SELECT * FROM tenancy.drift('next');

-- Each object that is changed is one row.
\c tenant_big
SET search_path = regress_model, public;
ALTER TABLE customer ALTER name SET DEFAULT 'old';
ALTER TABLE customer DROP CONSTRAINT n_small;
ALTER TABLE customer DISABLE TRIGGER customer_trg;
ALTER TABLE customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE orders ADD COLUMN extra int;
ALTER POLICY tenant_isolation ON orders WITH CHECK (true);
ALTER TABLE orders DISABLE TRIGGER ALL;
ALTER POLICY cheap ON notes USING (true);
ALTER TABLE notes ALTER note SET STATISTICS 7;
REVOKE INSERT ON notes FROM regress_app;
DROP VIEW rich;
CREATE TABLE own (a int);
ALTER FUNCTION pathed() SET search_path = public;
ALTER SEQUENCE numbers INCREMENT 5;
ALTER TYPE mood ADD VALUE 'fine';
DROP INDEX orders_twice;
GRANT CREATE ON SCHEMA regress_model TO regress_app;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_other IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_app;
ALTER TEXT SEARCH CONFIGURATION search DROP MAPPING FOR email;
DROP CAST (mood AS pair);
DROP SCHEMA regress_crm CASCADE;
SELECT * FROM tenancy.drift();
\c :application :admin
SET client_min_messages = warning;
SELECT module, object, difference FROM tenancy.drift('big');
SELECT tenant, count(*) FROM tenancy.drift() GROUP BY 1;

-- Not for ordinary roles
SET ROLE regress_app;
SELECT * FROM tenancy.drift('next');
RESET ROLE;

-- Migrations: copies that are behind are not compared.
SELECT tenancy.add_migration(1, 'CREATE TABLE later (id int PRIMARY KEY, of_customer bigint REFERENCES customer, m mood DEFAULT ''sad'')');
CALL tenancy.migrate(tenants => ARRAY['s']);
SELECT * FROM tenancy.drift() WHERE tenant <> 'big' OR module = 'main';
CALL tenancy.migrate();
SELECT * FROM tenancy.drift('next');

-- Databases that are gone, or another's, are told of, and the others are compared all the same.
SELECT tenancy.resume_tenant('next');
ALTER DATABASE tenant_big SET tenancy.application_database = '1';
DROP TABLE tenant_s.later;
SELECT * FROM tenancy.drift();
SELECT oid AS application_oid FROM pg_database WHERE datname = current_database() \gset
ALTER DATABASE tenant_big SET tenancy.application_database = :application_oid;
DROP DATABASE tenant_next WITH (FORCE);
SELECT * FROM tenancy.drift() WHERE tenant <> 'big';
SELECT * FROM tenancy.drift('next');

SELECT count(tenancy.drop_tenant(slug, true)) FROM tenancy.tenants;
SELECT 'tenancy_template_' || oid AS template FROM pg_database WHERE datname = current_database() \gset
DROP DATABASE :template;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model, regress_crm CASCADE;
DROP OWNED BY regress_owner, regress_app, regress_other CASCADE;
DROP ROLE regress_owner, regress_app, regress_other;
