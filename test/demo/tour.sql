--
-- The tour of "make demo": one application, three isolation modes.
--
-- Every statement is printed as it is sent.  The tour stops with an error if a
-- statement fails that should not, and also if one succeeds that should not:
-- check_*.sql, beside this file, see to that.  (psql heeds ON_ERROR_STOP as it
-- was when it read a line, hence not set by check_refused.sql.)
--
\set ON_ERROR_STOP 1
\set ECHO queries
\set QUIET 1
\set superuser :USER
\pset footer off
\pset null '-'

\echo
\echo '=== 1. An application: a database, a schema, its owner, and the role that it connects as'
\echo
CREATE DATABASE shop;
\connect shop
CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE app LOGIN;

CREATE SCHEMA shop AUTHORIZATION shop_owner;
SET ROLE shop_owner;

-- The keys begin with the tenant, so that a reference cannot leave it either.
CREATE TABLE shop.customers (
	tenant_id	uuid NOT NULL,
	customer_id	bigint GENERATED ALWAYS AS IDENTITY,
	name		text NOT NULL,
	PRIMARY KEY (tenant_id, customer_id)
);
CREATE TABLE shop.orders (
	tenant_id	uuid NOT NULL,
	order_id	bigint GENERATED ALWAYS AS IDENTITY,
	customer_id	bigint NOT NULL,
	ordered_at	timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, order_id),
	FOREIGN KEY (tenant_id, customer_id) REFERENCES shop.customers
);
CREATE TABLE shop.order_lines (
	tenant_id	uuid NOT NULL,
	order_id	bigint NOT NULL,
	line		integer NOT NULL,
	product		text NOT NULL,
	quantity	integer NOT NULL CHECK (quantity > 0),
	price		numeric(10, 2) NOT NULL,
	PRIMARY KEY (tenant_id, order_id, line),
	FOREIGN KEY (tenant_id, order_id) REFERENCES shop.orders
);
GRANT USAGE ON SCHEMA shop TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO app;
RESET ROLE;

\echo
\echo '=== 2. Multi-tenant from here on: the schema becomes a module, its tables are protected'
\echo
CREATE EXTENSION tenancy;
SELECT tenancy.create_module('shop', 'shop');
SELECT * FROM tenancy.protect_module('shop');
SELECT tenancy.grant_access('app');

\echo
\echo '=== 3. Three tenants in three modes, and a neighbour in the tables of the first'
\echo
SELECT tenancy.create_tenant('acme', 'shared');
SELECT tenancy.create_tenant('hooli', 'shared');
SELECT tenancy.create_tenant('globex', 'schema');
SELECT tenancy.create_tenant('initech', 'database');
SELECT slug, mode, status, schema_name, database_name FROM tenancy.tenants ORDER BY mode, slug;

-- for the attacks below: ids are no secret
SELECT id AS hooli_id FROM tenancy.tenants WHERE slug = 'hooli' \gset
SELECT id AS globex_id FROM tenancy.tenants WHERE slug = 'globex' \gset

\echo
\echo '=== 4. The application writes as each of them: the same SQL, without qualified names'
\echo
\connect - app
\set tenant acme
\set customer 'Wile E. Coyote'
\ir write.sql
\set tenant hooli
\set customer 'Gavin Belson'
\ir write.sql
\set tenant globex
\set customer 'Hank Scorpio'
\ir write.sql

\echo '--- initech has a database of its own, and the application learns which one'
SELECT tenancy.tenant_database('initech') AS initech_database \gset
\connect :initech_database
\set tenant initech
\set customer 'Bill Lumbergh'
\ir write.sql

\echo
\echo '=== 5. It reads as each of them: the same query, and each sees its own'
\echo
\connect shop
\set tenant acme
\set customer 'Wile E. Coyote'
\ir read.sql
\set tenant hooli
\set customer 'Gavin Belson'
\ir read.sql
\set tenant globex
\set customer 'Hank Scorpio'
\ir read.sql
\connect :initech_database
\set tenant initech
\set customer 'Bill Lumbergh'
\ir read.sql

\echo
\echo '=== 6. Where the rows are, as the superuser sees it, who is above row security'
\echo
\connect shop :superuser
SELECT t.slug, c.name FROM shop.customers c JOIN tenancy.tenants t ON t.id = c.tenant_id ORDER BY 1;
SELECT t.slug, c.name FROM tenant_globex.customers c JOIN tenancy.tenants t ON t.id = c.tenant_id;
\connect :initech_database
SELECT c.name FROM shop.customers c;

\echo
\echo '=== 7. None sees another''s rows, whatever it tries'
\echo
\connect shop app
\echo '--- By filter: acme asks for the rows of hooli, in the same table'
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT count(*) AS seen FROM customers WHERE tenant_id = :'hooli_id' \gset
\ir check_none.sql
UPDATE customers SET name = 'mine' WHERE tenant_id = :'hooli_id';
\set seen :ROW_COUNT
\ir check_none.sql
DELETE FROM customers WHERE tenant_id = :'hooli_id';
\set seen :ROW_COUNT
\ir check_none.sql
COMMIT;

\echo
\echo '--- By qualified name: acme in the schema of globex'
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT count(*) AS seen FROM tenant_globex.customers \gset
\ir check_none.sql
COMMIT;

\echo
\echo '--- By qualified name: globex in the shared tables'
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
\set ON_ERROR_STOP 0
SELECT * FROM shop.customers;
\set ON_ERROR_STOP 1
\set expected TN003
\ir check_refused.sql

\echo
\echo '--- By INSERT with the id of another tenant'
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
INSERT INTO customers (tenant_id, name) VALUES (:'hooli_id', 'planted');
\set ON_ERROR_STOP 1
\set expected 42501
\ir check_refused.sql

BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
INSERT INTO tenant_globex.customers (tenant_id, name) VALUES (:'globex_id', 'planted');
\set ON_ERROR_STOP 1
\set expected 42501
\ir check_refused.sql

\echo
\echo '--- By giving a row away'
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
UPDATE customers SET tenant_id = :'hooli_id';
\set ON_ERROR_STOP 1
\set expected 42501
\ir check_refused.sql

\echo
\echo '--- By a reference: an order for a customer of hooli'
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT customer_id AS hooli_customer FROM customers \gset
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
INSERT INTO orders (customer_id) VALUES (:hooli_customer);
\set ON_ERROR_STOP 1
\set expected 23503
\ir check_refused.sql

\echo
\echo '--- By a forged setting'
BEGIN;
\set ON_ERROR_STOP 0
SET tenancy.tenant_id = :'hooli_id';
\set ON_ERROR_STOP 1
\set expected 42501
\ir check_refused.sql

BEGIN;
\set ON_ERROR_STOP 0
SELECT set_config('tenancy.tenant_id', :'hooli_id', true);
\set ON_ERROR_STOP 1
\set expected 42501
\ir check_refused.sql

\echo
\echo '--- By changing the tenant in the middle of a transaction'
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
\set ON_ERROR_STOP 0
SELECT tenancy.set_tenant('hooli');
\set ON_ERROR_STOP 1
\set expected TN004
\ir check_refused.sql

\echo
\echo '--- Without a tenant at all'
BEGIN;
\set ON_ERROR_STOP 0
SELECT * FROM shop.customers;
\set ON_ERROR_STOP 1
\set expected TN001
\ir check_refused.sql

\echo
\echo '--- In the database of initech, as somebody else'
\connect :initech_database
BEGIN;
\set ON_ERROR_STOP 0
SELECT tenancy.set_tenant('acme');
\set ON_ERROR_STOP 1
\set expected TN003
\ir check_refused.sql

\echo
\echo 'Nothing got through.'
