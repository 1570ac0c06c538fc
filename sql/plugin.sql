--
-- Plug-ins of schema and shared tenants.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_a LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_crm AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.customer (id int PRIMARY KEY);
CREATE TABLE regress_crm.lead (id int PRIMARY KEY, customer int REFERENCES regress_model.customer);
GRANT USAGE ON SCHEMA regress_model, regress_crm TO regress_app, regress_a;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model, regress_crm TO regress_app, regress_a;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_module('crm', 'regress_crm');
SELECT tenancy.protect_module('main');
SELECT tenancy.protect_module('crm');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-0000000000b1');
SELECT tenancy.create_tenant('s', id => '00000000-0000-4000-8000-0000000000c1');
SELECT tenancy.grant_access('regress_a', 'a');

-- Refused
SELECT tenancy.install_module(NULL, 'crm');
SELECT tenancy.install_module('a', NULL);
SELECT tenancy.uninstall_module('a', 'crm', NULL);
SELECT tenancy.install_module('nobody', 'crm');
SELECT tenancy.install_module('a', 'nothing');
SELECT tenancy.install_module('a', 'main');
SELECT tenancy.uninstall_module('a', 'main', true);
SELECT tenancy.uninstall_module('a', 'crm', true);
SELECT tenancy.suspend_tenant('a');
SELECT tenancy.install_module('a', 'crm');
SELECT tenancy.resume_tenant('a');
CREATE SCHEMA tenant_a_plugin_crm AUTHORIZATION regress_app;
SELECT tenancy.install_module('a', 'crm');
DROP SCHEMA tenant_a_plugin_crm;
SET ROLE regress_app;
SELECT tenancy.install_module('a', 'crm');
SELECT tenancy.uninstall_module('a', 'crm', true);
RESET ROLE;

-- A rollback leaves nothing behind.
BEGIN;
SELECT tenancy.install_module('a', 'crm');
ROLLBACK;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%plugin%';
SELECT tenant_id, module FROM tenancy.tenant_module;

SELECT tenancy.install_module('a', 'crm');
SELECT tenancy.install_module('a', 'crm');
SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname LIKE 'tenant%plugin%';
SELECT relname, relowner::regrole, relrowsecurity, relforcerowsecurity FROM pg_class
WHERE relnamespace = 'tenant_a_plugin_crm'::regnamespace AND relkind = 'r';
SELECT conrelid::regclass, confrelid::regclass FROM pg_constraint
WHERE conrelid = 'tenant_a_plugin_crm.lead'::regclass AND contype = 'f' ORDER BY 2;
SELECT tenant_id, module FROM tenancy.tenant_module;
SELECT tenant_id, module, level FROM tenancy.module_copy ORDER BY module, tenant_id;

-- The tenant that has it uses it, by a role for all tenants or its own.
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT current_schemas(false);
INSERT INTO customer VALUES (1);
INSERT INTO lead VALUES (10, 1);
INSERT INTO lead VALUES (11, 2);
ROLLBACK;
BEGIN;
SELECT tenancy.set_tenant('a');
INSERT INTO customer VALUES (1);
INSERT INTO lead VALUES (10, 1);
COMMIT;
SET ROLE regress_a;
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT id, customer FROM lead;
COMMIT;

-- The other one has it not, and cannot reach a's or the model's.
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('b');
SELECT current_schemas(false);
SAVEPOINT s;
SELECT * FROM lead;
ROLLBACK TO s;
SELECT count(*) FROM tenant_a_plugin_crm.lead;
SAVEPOINT s;
INSERT INTO tenant_a_plugin_crm.lead VALUES (12);
ROLLBACK TO s;
SELECT * FROM regress_crm.lead;
ROLLBACK;
SELECT * FROM tenant_a_plugin_crm.lead;		-- without a context
RESET ROLE;

-- It follows its tenant's name.
SELECT tenancy.rename_tenant('a', 'aa');
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%plugin%';
SELECT tenancy.rename_tenant('aa', 'a');

-- Rows, and what depends on it, keep it, and a refusal changes nothing.
SELECT tenancy.uninstall_module('a', 'crm');
SELECT tenant_id, module FROM tenancy.tenant_module;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
DELETE FROM lead;
COMMIT;
RESET ROLE;
CREATE VIEW public.regress_report AS SELECT id FROM tenant_a_plugin_crm.lead;
SELECT tenancy.uninstall_module('a', 'crm');
SELECT tenant_id, module FROM tenancy.tenant_module;
DROP VIEW public.regress_report;
SELECT tenancy.uninstall_module('a', 'crm');
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%plugin%';
SELECT tenant_id, module FROM tenancy.tenant_module;
SELECT tenant_id, module FROM tenancy.module_copy ORDER BY module, tenant_id;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT current_schemas(false);
SELECT count(*) FROM customer;
COMMIT;
RESET ROLE;

-- Forced, with rows and a view; and along with the tenant.
SELECT tenancy.install_module('a', 'crm');
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
INSERT INTO lead VALUES (13);
COMMIT;
RESET ROLE;
CREATE VIEW public.regress_report AS SELECT id FROM tenant_a_plugin_crm.lead;
SELECT tenancy.uninstall_module('a', 'crm', true);
SELECT to_regclass('public.regress_report'), to_regclass('tenant_a_plugin_crm.lead');
SELECT tenancy.install_module('a', 'crm');
SELECT tenancy.drop_tenant('a', true);
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%plugin%';
SELECT tenant_id, module FROM tenancy.tenant_module;

-- A shared tenant has the module's shared tables, on its path only if it is installed.
SELECT tenancy.create_tenant('u', id => '00000000-0000-4000-8000-0000000000c2');
SELECT tenancy.grant_access('regress_a', 's');
REVOKE USAGE ON SCHEMA regress_crm FROM regress_app, regress_a;
CREATE TABLE regress_crm.open (id int);
SELECT tenancy.install_module('s', 'crm');
DROP TABLE regress_crm.open;
SELECT tenancy.install_module('s', 'crm');
SELECT tenancy.install_module('s', 'crm');
SELECT has_schema_privilege('regress_app', 'regress_crm', 'USAGE'), has_schema_privilege('regress_a', 'regress_crm', 'USAGE');
SELECT tenant_id, module FROM tenancy.tenant_module;
SELECT tenant_id, module FROM tenancy.module_copy WHERE module = 'crm';
SET ROLE regress_a;
BEGIN;
SELECT tenancy.set_tenant('s');
SELECT current_schemas(false);
INSERT INTO customer VALUES (1);
INSERT INTO lead VALUES (10, 1), (11, 1);
COMMIT;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('u');
SELECT current_schemas(false);
SAVEPOINT s;
SELECT * FROM lead;
ROLLBACK TO s;
SELECT count(*) FROM regress_crm.lead;
INSERT INTO customer VALUES (2);
INSERT INTO regress_crm.lead VALUES (20, 2);
COMMIT;
RESET ROLE;

-- Taken back, not with rows unless forced, and never with another tenant's.
SELECT tenancy.uninstall_module('u', 'crm', true);
SELECT tenancy.uninstall_module('s', 'crm');
SELECT tenant_id, module FROM tenancy.tenant_module;
SELECT tenancy.uninstall_module('s', 'crm', true);
SELECT tenant_id, module FROM tenancy.tenant_module;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('s');
SELECT current_schemas(false);
SELECT (SELECT count(*) FROM regress_crm.lead), (SELECT count(*) FROM customer);
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('u');
SELECT (SELECT count(*) FROM regress_crm.lead), (SELECT count(*) FROM customer);
DELETE FROM regress_crm.lead;
COMMIT;
RESET ROLE;

-- Without rows, it can be rolled back; with them, a trigger may keep them.
SELECT tenancy.install_module('s', 'crm');
BEGIN;
SELECT tenancy.uninstall_module('s', 'crm');
ROLLBACK;
SELECT tenant_id, module FROM tenancy.tenant_module;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('s');
INSERT INTO lead VALUES (12, 1);
COMMIT;
RESET ROLE;
CREATE FUNCTION regress_crm.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON regress_crm.lead FOR EACH ROW EXECUTE FUNCTION regress_crm.keep();
SELECT tenancy.uninstall_module('s', 'crm', true);
SELECT tenant_id, module FROM tenancy.tenant_module;
DROP TRIGGER keep ON regress_crm.lead;
SELECT tenancy.drop_tenant('s', true);
SELECT tenant_id, module FROM tenancy.tenant_module;

-- What has a name that the plug-in has, too, is the tenant's all the same.
CREATE SCHEMA regress_same AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TYPE regress_model.mood AS ENUM ('sad');
CREATE FUNCTION regress_model.one() RETURNS int LANGUAGE sql IMMUTABLE RETURN 1;
CREATE TEXT SEARCH DICTIONARY regress_model.words (TEMPLATE = simple);
CREATE TYPE regress_same.mood AS ENUM ('glad');
CREATE FUNCTION regress_same.one() RETURNS int LANGUAGE sql IMMUTABLE RETURN 2;
CREATE TABLE regress_same.customer (id int PRIMARY KEY REFERENCES regress_model.customer, m regress_model.mood DEFAULT 'sad', own regress_same.mood DEFAULT 'glad',
	n int DEFAULT regress_model.one() + regress_same.one(), t text DEFAULT 'regress_model.customer', CHECK (n > regress_model.one()));
CREATE VIEW regress_same.both AS SELECT c.id, regress_model.one() FROM regress_model.customer c JOIN regress_same.customer s USING (id);
CREATE FUNCTION regress_same.pick(c regress_model.customer) RETURNS SETOF regress_model.customer LANGUAGE sql BEGIN ATOMIC SELECT c.* FROM regress_model.customer; END;
CREATE TEXT SEARCH CONFIGURATION regress_same.search (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION regress_same.search ALTER MAPPING FOR word WITH regress_model.words, simple;
RESET ROLE;
SELECT tenancy.create_module('same', 'regress_same');
SELECT tenancy.create_tenant('n', 'schema', '00000000-0000-4000-8000-0000000000d1');
SELECT tenancy.install_module('n', 'same');
SELECT * FROM tenancy.drift('n');
SELECT confrelid::regclass FROM pg_constraint WHERE conrelid = 'tenant_n_plugin_same.customer'::regclass AND contype = 'f';
SELECT attname, atttypid::regtype, pg_get_expr(adbin, adrelid) FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'tenant_n_plugin_same.customer'::regclass ORDER BY attnum;
WITH model AS (SELECT objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid IN ('regress_model'::regnamespace, 'regress_same'::regnamespace))
SELECT d.object FROM (SELECT pg_describe_object(classid, objid, objsubid) AS object FROM pg_depend WHERE refobjid IN (SELECT objid FROM model)) d WHERE d.object LIKE '%tenant\_n%';
SELECT tenancy.uninstall_module('n', 'same');
-- ... or the module is refused: where it might be an alias, or is in a constant; or where only another plug-in's model could be meant.
CREATE VIEW regress_same.alias AS SELECT regress_model.id FROM regress_model.customer regress_model;
ALTER VIEW regress_same.alias OWNER TO regress_owner;
SELECT tenancy.install_module('n', 'same');
DROP VIEW regress_same.alias;
CREATE SEQUENCE regress_model.numbers;
ALTER SEQUENCE regress_model.numbers OWNER TO regress_owner;
CREATE SEQUENCE regress_same.numbers;
ALTER SEQUENCE regress_same.numbers OWNER TO regress_owner;
ALTER TABLE regress_same.customer ADD d bigint DEFAULT nextval('regress_model.numbers');
SELECT tenancy.install_module('n', 'same');
ALTER TABLE regress_same.customer DROP d;
ALTER TABLE regress_same.customer ADD CONSTRAINT of_lead FOREIGN KEY (n) REFERENCES regress_crm.lead;
SELECT tenancy.install_module('n', 'same');

ALTER TABLE regress_same.customer DROP CONSTRAINT of_lead;

-- An operator that goes together with one of the main module's, which has been without in copies
CREATE SCHEMA regress_outside AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TYPE regress_model.pair AS (a int);
CREATE FUNCTION regress_model.lt(regress_model.pair, regress_model.pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a < ($2).a;
CREATE FUNCTION regress_same.gt(regress_model.pair, regress_model.pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a > ($2).a;
CREATE FUNCTION regress_same.ge(regress_model.pair, regress_model.pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a >= ($2).a;
CREATE OPERATOR regress_model.<# (FUNCTION = regress_model.lt, LEFTARG = regress_model.pair, RIGHTARG = regress_model.pair);
CREATE OPERATOR regress_same.># (FUNCTION = regress_same.gt, LEFTARG = regress_model.pair, RIGHTARG = regress_model.pair, COMMUTATOR = OPERATOR(regress_model.<#));
CREATE OPERATOR regress_same.>=# (FUNCTION = regress_same.ge, LEFTARG = regress_model.pair, RIGHTARG = regress_model.pair, NEGATOR = OPERATOR(regress_model.<#));
CREATE OPERATOR regress_model.<# (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR regress_same.># (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = OPERATOR(regress_model.<#));
RESET ROLE;
PREPARE operators AS SELECT oid::regoperator AS operator, oprcom::regoperator, oprnegate::regoperator FROM pg_operator
WHERE oprnamespace IN ('regress_model'::regnamespace, 'regress_same'::regnamespace, to_regnamespace('tenant_o'), to_regnamespace('tenant_o_plugin_same')) ORDER BY oid::regoperator::text COLLATE "C";
SELECT tenancy.create_tenant('o', 'schema', '00000000-0000-4000-8000-0000000000d2');
EXECUTE operators;
SELECT * FROM tenancy.drift('o');
SELECT tenancy.install_module('o', 'same');
EXECUTE operators;
SELECT * FROM tenancy.drift('o');
SET ROLE regress_owner;
DROP OPERATOR tenant_o_plugin_same.># (int, int);
CREATE OPERATOR tenant_o_plugin_same.># (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int);
RESET ROLE;
SELECT * FROM tenancy.drift('o');
SELECT tenancy.uninstall_module('o', 'same');
SELECT * FROM tenancy.drift('o');
-- ... or with one that stays where it is
CREATE OPERATOR regress_outside.># (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int, NEGATOR = OPERATOR(regress_model.<#));
SELECT tenancy.create_tenant('p', 'schema');
DROP OPERATOR regress_outside.># (int, int);
CREATE OPERATOR regress_crm.># (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int, NEGATOR = OPERATOR(regress_same.>#));
SELECT tenancy.install_module('o', 'same');

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants;
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model, regress_crm, regress_same, regress_outside CASCADE;
DROP ROLE regress_owner, regress_app, regress_a;
