--
-- Moving tenants between shared tables and schemas.  (Databases, crashes,
-- concurrent writers: see t/014_move.pl and the spec move-writer.)
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_other NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_a LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_global AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_global.country (code text PRIMARY KEY);
INSERT INTO regress_global.country VALUES ('no'), ('fr');
CREATE TYPE regress_model.mood AS ENUM ('sad', 'fine');
CREATE DOMAIN regress_model.email AS text CHECK (value LIKE '%@%');
CREATE FUNCTION regress_model.fire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a trigger fired: % of %', tg_op, tg_table_name; END$$;
-- identities, sequences, own types, large values, generated columns, circles
CREATE TABLE regress_model.customer (
	id int GENERATED ALWAYS AS IDENTITY,
	name text NOT NULL CHECK (name <> ''),
	dropped int,
	country text REFERENCES regress_global.country,
	feels regress_model.mood,
	felt regress_model.mood[],
	mail regress_model.email,
	boss int,
	loud text GENERATED ALWAYS AS (upper(name)) STORED,
	papers json,
	photo bytea,
	"odd ""name" numeric,
	tenant_id uuid NOT NULL,
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, boss) REFERENCES regress_model.customer);
ALTER TABLE regress_model.customer DROP COLUMN dropped;
CREATE TABLE regress_model.invoice (
	n bigserial PRIMARY KEY, customer int NOT NULL, paid_by bigint, tenant_id uuid NOT NULL,
	FOREIGN KEY (tenant_id, customer) REFERENCES regress_model.customer ON DELETE CASCADE);
CREATE TABLE regress_model.payment (
	n bigserial PRIMARY KEY, invoice bigint REFERENCES regress_model.invoice ON DELETE CASCADE, tenant_id uuid NOT NULL);
ALTER TABLE regress_model.invoice ADD FOREIGN KEY (paid_by) REFERENCES regress_model.payment;
CREATE TABLE regress_model.event (n int, what text, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, n)) PARTITION BY RANGE (n);
CREATE TABLE regress_model.event_low PARTITION OF regress_model.event FOR VALUES FROM (0) TO (50);
CREATE TABLE regress_model.event_high PARTITION OF regress_model.event FOR VALUES FROM (50) TO (200);
CREATE TABLE regress_model.empty (n int, tenant_id uuid NOT NULL);
-- the same row twice
CREATE TABLE regress_model.twice (n int, tenant_id uuid NOT NULL);
CREATE SEQUENCE regress_model.down INCREMENT -1;
GRANT USAGE ON SCHEMA regress_model TO regress_app, regress_a;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model TO regress_app, regress_a;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA regress_model TO regress_app, regress_a;
RESET ROLE;
SELECT tenancy.create_tenant('early', id => '00000000-0000-4000-8000-0000000000e1');
CALL tenancy.move_tenant('early', 'schema');
SELECT tenancy.create_module('main', 'regress_model');
CALL tenancy.move_tenant('early', 'schema');
SELECT count(*) FROM tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('a', id => '00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.create_tenant('b', id => '00000000-0000-4000-8000-0000000000b1');
SELECT tenancy.create_tenant('s', 'schema', '00000000-0000-4000-8000-0000000000c1');
SELECT tenancy.grant_access('regress_a', 's');

CREATE FUNCTION pg_temp.fill(tenant text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.set_tenant(tenant);
	INSERT INTO customer (name, country, feels, felt, mail, papers, photo, "odd ""name")
	VALUES (E'tab\t, \\ and "quote"', 'no', 'sad', '{fine,sad}', 'x@' || tenant, '{"b":1, "a": [null]}', decode(repeat('00ff', 5000), 'hex'), 1.00),
		('nothing', NULL, NULL, NULL, NULL, NULL, NULL, 'NaN');
	INSERT INTO customer (name, boss) SELECT tenant || i, min(id) FROM customer, generate_series(1, 20) i GROUP BY i;
	INSERT INTO invoice (customer) SELECT id FROM customer;
	INSERT INTO payment (invoice) SELECT n FROM invoice;
	UPDATE invoice SET paid_by = p.n FROM payment p WHERE p.invoice = invoice.n;
	INSERT INTO event SELECT i, tenant FROM generate_series(0, 99) i;
	INSERT INTO twice VALUES (1), (1), (NULL), (NULL);
END$$;
SET ROLE regress_app;
BEGIN; SELECT pg_temp.fill('a'); COMMIT;
BEGIN; SELECT pg_temp.fill('b'); COMMIT;
BEGIN; SELECT pg_temp.fill('s'); COMMIT;
RESET ROLE;
-- from now on, none of them may fire
SET ROLE regress_owner;
CREATE TRIGGER fire BEFORE INSERT OR DELETE ON regress_model.customer FOR EACH ROW EXECUTE FUNCTION regress_model.fire();
CREATE TRIGGER fire AFTER INSERT OR DELETE ON regress_model.event FOR EACH ROW EXECUTE FUNCTION regress_model.fire();
RESET ROLE;

-- What the tenant sees of itself
CREATE FUNCTION pg_temp.sums() RETURNS TABLE (what text, n bigint, sum text) LANGUAGE plpgsql AS $$
DECLARE
	rel text;
BEGIN
	FOREACH rel IN ARRAY '{customer,invoice,payment,event,event_low,event_high,empty,twice}'::text[] LOOP
		RETURN QUERY EXECUTE format('SELECT %L::text, count(*), md5(string_agg(r::text, %L ORDER BY r::text)) FROM %I r', rel, ',', rel);
	END LOOP;
END$$;
CREATE TEMP TABLE sums (tenant text, what text, n bigint, sum text);
GRANT ALL ON sums TO regress_app;
SET ROLE regress_app;
BEGIN; SELECT tenancy.set_tenant('a'); INSERT INTO sums SELECT 'a', * FROM pg_temp.sums(); COMMIT;
BEGIN; SELECT tenancy.set_tenant('b'); INSERT INTO sums SELECT 'b', * FROM pg_temp.sums(); COMMIT;
BEGIN; SELECT tenancy.set_tenant('s'); INSERT INTO sums SELECT 's', * FROM pg_temp.sums(); COMMIT;
RESET ROLE;
SELECT tenant, what, n FROM sums ORDER BY 1, 2;
CREATE VIEW pg_temp.state AS
	SELECT t.slug, t.mode, t.status, t.schema_name, m.phase, c.level,
		(SELECT count(*) FROM regress_model.customer r WHERE r.tenant_id = t.id) AS shared_customers
	FROM tenancy.tenant t LEFT JOIN tenancy.move m ON m.tenant_id = t.id
	LEFT JOIN tenancy.module_copy c ON c.tenant_id = t.id;

-- Refused
CALL tenancy.move_tenant(NULL, 'schema');
CALL tenancy.move_tenant('a', NULL);
CALL tenancy.move_tenant('a', 'schema', NULL);
CALL tenancy.move_tenant('nobody', 'schema');
CALL tenancy.move_tenant('a', 'elsewhere');
BEGIN; CALL tenancy.move_tenant('a', 'schema'); ROLLBACK;
CREATE FUNCTION pg_temp.move() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL tenancy.move_tenant('a', 'schema'); END $$;
SELECT pg_temp.move();
SELECT tenancy.move_rows('00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.move_load('00000000-0000-4000-8000-0000000000a1', '{}', '');
SET ROLE regress_app;
CALL tenancy.move_tenant('a', 'schema');
SELECT tenancy.move_rows('00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.move_load('00000000-0000-4000-8000-0000000000a1', '{}', '');
RESET ROLE;
-- online: tables without a key
CALL tenancy.move_tenant('a', 'schema', online => true);
SELECT tenancy.move_write('{}', '/nonexistent', NULL, '3');
CREATE TABLE pg_temp.fake (n int);
CREATE TRIGGER fake AFTER INSERT ON pg_temp.fake FOR EACH ROW EXECUTE FUNCTION tenancy.move_note('00000000-0000-4000-8000-0000000000a1', '1', 'n');
INSERT INTO pg_temp.fake VALUES (1);
SELECT * FROM pg_temp.state WHERE slug = 'a';
SELECT tenancy.suspend_tenant('a');
CALL tenancy.move_tenant('a', 'schema');
SELECT tenancy.resume_tenant('a');
CREATE SCHEMA tenant_a;
CALL tenancy.move_tenant('a', 'schema');
DROP SCHEMA tenant_a;
SELECT * FROM pg_temp.state ORDER BY slug;

-- There it is.
CALL tenancy.move_tenant('a', 'schema');
SELECT * FROM pg_temp.state ORDER BY slug;
SELECT * FROM tenancy.drift();
SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname LIKE 'tenant%' ORDER BY 1;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
SHOW search_path;
SELECT s.what, n, sum FROM pg_temp.sums() s EXCEPT SELECT what, n, sum FROM sums WHERE tenant = 'a';
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('b');
SELECT s.what, n, sum FROM pg_temp.sums() s EXCEPT SELECT what, n, sum FROM sums WHERE tenant = 'b';
COMMIT;
-- numbers go on where they were
BEGIN;
SELECT tenancy.set_tenant('a');
INSERT INTO invoice (customer) SELECT min(id) FROM customer RETURNING n;
SELECT nextval('down');
ROLLBACK;
-- the old place is closed
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT FROM regress_model.customer;
ROLLBACK;
RESET ROLE;
-- foreign keys hold, also those to tables outside
SELECT conname FROM pg_constraint WHERE connamespace = 'tenant_a'::regnamespace AND contype = 'f' AND convalidated AND conparentid = 0 ORDER BY 1;
-- Once more: nothing to do
SET client_min_messages = notice;
CALL tenancy.move_tenant('a', 'schema');
SET client_min_messages = warning;

-- And back.  The schema tenant of old comes along, and those who may act only for it.
CALL tenancy.move_tenant('a', 'shared');
SELECT * FROM pg_temp.state ORDER BY slug;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%' ORDER BY 1;
REVOKE USAGE ON SCHEMA regress_model FROM regress_a;
-- its invoices have the numbers of others
CALL tenancy.move_tenant('s', 'shared');
SELECT * FROM pg_temp.state ORDER BY slug;
SET session_replication_role = replica;
UPDATE tenant_s.invoice SET n = n + 10000, paid_by = paid_by + 10000;
UPDATE tenant_s.payment SET n = n + 10000, invoice = invoice + 10000;
RESET session_replication_role;
SELECT setval('tenant_s.invoice_n_seq', 10022), setval('tenant_s.down', -5);
CALL tenancy.move_tenant('s', 'shared');
SELECT * FROM pg_temp.state ORDER BY slug;
SELECT last_value, is_called FROM regress_model.invoice_n_seq;
SELECT last_value, is_called FROM regress_model.down;
SELECT last_value, is_called FROM regress_model.customer_id_seq;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT s.what, n, sum FROM pg_temp.sums() s EXCEPT SELECT what, n, sum FROM sums WHERE tenant = 'a';
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('b');
SELECT s.what, n, sum FROM pg_temp.sums() s EXCEPT SELECT what, n, sum FROM sums WHERE tenant = 'b';
COMMIT;
SET ROLE regress_a;
BEGIN;
SELECT tenancy.set_tenant('s');
SELECT what, n FROM pg_temp.sums();
SELECT count(*), min(n) FROM invoice;
ROLLBACK;
RESET ROLE;

-- While it is moving, it is read and not written.
SET ROLE regress_owner;
CREATE FUNCTION regress_model.read_and_write() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM twice;
	INSERT INTO twice VALUES (7);
END$$;
RESET ROLE;
UPDATE tenancy.tenant SET status = 'moving' WHERE slug = 'a';
SELECT tenancy.suspend_tenant('a');
SELECT tenancy.resume_tenant('a');
SELECT tenancy.rename_tenant('a', 'a2');
SELECT tenancy.drop_tenant('a');
SELECT tenancy.drop_tenant('a', true);
SELECT tenancy.export_tenant('a', '/nonexistent/a');
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT count(*) FROM twice;
SELECT n FROM twice FOR UPDATE;
SELECT nextval('invoice_n_seq') > 0;
SELECT count(*) FROM customer;
INSERT INTO twice VALUES (7);
ROLLBACK;
BEGIN; SELECT tenancy.set_tenant('a'); UPDATE twice SET n = 7; ROLLBACK;
BEGIN; SELECT tenancy.set_tenant('a'); DELETE FROM event WHERE n = 1; ROLLBACK;
BEGIN; SELECT tenancy.set_tenant('a'); INSERT INTO event_low VALUES (7, ''); ROLLBACK;
BEGIN; SELECT tenancy.set_tenant('a'); WITH w AS (INSERT INTO twice VALUES (7) RETURNING n) SELECT FROM w; ROLLBACK;
BEGIN; SELECT tenancy.set_tenant('a'); SELECT regress_model.read_and_write(); ROLLBACK;
-- another tenant writes
BEGIN; SELECT tenancy.set_tenant('b'); INSERT INTO twice VALUES (7) RETURNING n; ROLLBACK;
RESET ROLE;
-- nobody moves it: repair() knows, and so does the next call
SELECT * FROM tenancy.repair();
SELECT * FROM pg_temp.state WHERE slug = 'a';
UPDATE tenancy.tenant SET status = 'moving' WHERE slug = 'a';
INSERT INTO tenancy.move (tenant_id, from_mode, to_mode) SELECT id, 'shared', 'schema' FROM tenancy.tenant WHERE slug = 'a';
SELECT * FROM tenancy.repair();
SELECT * FROM pg_temp.state WHERE slug = 'a';
UPDATE tenancy.tenant SET status = 'moving' WHERE slug = 'a';
INSERT INTO tenancy.move (tenant_id, from_mode, to_mode) SELECT id, 'shared', 'schema' FROM tenancy.tenant WHERE slug = 'a';
CALL tenancy.move_tenant('a', 'schema');
SELECT * FROM pg_temp.state WHERE slug = 'a';

-- Rows, and a schema, that are left where it was
INSERT INTO tenancy.move (tenant_id, from_mode, to_mode, phase) SELECT id, 'shared', 'schema', 'switched' FROM tenancy.tenant WHERE slug = 'a';
SET session_replication_role = replica;
INSERT INTO regress_model.customer (name, tenant_id) SELECT 'left', '00000000-0000-4000-8000-0000000000a1' FROM generate_series(1, 25000);
RESET session_replication_role;
SELECT tenancy.rename_tenant('a', 'a2');
SELECT tenancy.drop_tenant('a', true);
SELECT * FROM tenancy.repair();
SELECT * FROM pg_temp.state WHERE slug = 'a';
CALL tenancy.move_tenant('a', 'shared');
CREATE SCHEMA tenant_a AUTHORIZATION regress_owner;
CREATE TABLE tenant_a.customer (name text);
CREATE VIEW regress_report AS SELECT name FROM tenant_a.customer;
INSERT INTO tenancy.move (tenant_id, from_mode, to_mode, phase) SELECT id, 'schema', 'shared', 'switched' FROM tenancy.tenant WHERE slug = 'a';
SELECT tenancy.drop_tenant('a', true);
SELECT * FROM tenancy.repair();
SELECT * FROM pg_temp.state WHERE slug = 'a';
DROP VIEW regress_report;
CALL tenancy.move_tenant('a', 'shared');
SELECT * FROM pg_temp.state WHERE slug = 'a';
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant%' ORDER BY 1;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('a');
SELECT s.what, n, sum FROM pg_temp.sums() s EXCEPT SELECT what, n, sum FROM sums WHERE tenant = 'a';
COMMIT;
RESET ROLE;

-- A row of another tenant refers to one of ours, and one of ours to another's.
INSERT INTO regress_model.payment (invoice, tenant_id)
SELECT min(n), '00000000-0000-4000-8000-0000000000b1' FROM regress_model.invoice WHERE tenant_id = '00000000-0000-4000-8000-0000000000a1';
CALL tenancy.move_tenant('a', 'schema');
CALL tenancy.move_tenant('b', 'schema');
SELECT * FROM pg_temp.state ORDER BY slug;
DELETE FROM regress_model.payment WHERE n = (SELECT max(n) FROM regress_model.payment WHERE tenant_id = '00000000-0000-4000-8000-0000000000b1');
-- what refers to it from outside, its rows or nothing
CREATE TABLE regress_global.audit (invoice bigint REFERENCES regress_model.invoice);
CALL tenancy.move_tenant('a', 'schema');
ALTER TABLE regress_global.audit OWNER TO regress_owner;
INSERT INTO regress_global.audit SELECT min(n) FROM regress_model.invoice WHERE tenant_id = '00000000-0000-4000-8000-0000000000a1';
CALL tenancy.move_tenant('a', 'schema');
DELETE FROM regress_global.audit;
CALL tenancy.move_tenant('a', 'schema');
DROP TABLE regress_global.audit;
SELECT * FROM pg_temp.state ORDER BY slug;

-- What the shared tables cannot take, or what would be dropped along
CREATE VIEW regress_report AS SELECT name FROM tenant_a.customer;
CALL tenancy.move_tenant('a', 'shared');
DROP VIEW regress_report;
ALTER TABLE tenant_a.empty ADD COLUMN more int;
CALL tenancy.move_tenant('a', 'shared');
ALTER TABLE tenant_a.empty DROP COLUMN more;
CREATE TABLE tenant_a.more (n int);
CALL tenancy.move_tenant('a', 'shared');
DROP TABLE tenant_a.more;
UPDATE tenancy.module_copy SET level = -1;
CALL tenancy.move_tenant('a', 'shared');
UPDATE tenancy.module_copy SET level = 0;
ALTER TABLE regress_model.empty ADD UNIQUE (n) DEFERRABLE;
CALL tenancy.move_tenant('a', 'shared');
ALTER TABLE regress_model.empty DROP CONSTRAINT empty_n_key;
ALTER TABLE regress_model.empty OWNER TO regress_other;
CALL tenancy.move_tenant('a', 'shared');
ALTER TABLE regress_model.empty OWNER TO regress_owner;
-- a row that is not its own
ALTER TABLE tenant_a.twice NO FORCE ROW LEVEL SECURITY;
INSERT INTO tenant_a.twice VALUES (1, '00000000-0000-4000-8000-0000000000b1');
\set VERBOSITY terse
CALL tenancy.move_tenant('a', 'shared');
\set VERBOSITY default
DELETE FROM tenant_a.twice WHERE tenant_id = '00000000-0000-4000-8000-0000000000b1';
ALTER TABLE tenant_a.twice FORCE ROW LEVEL SECURITY;
-- a schema that somebody else has put in the place of the tenant's
ALTER SCHEMA tenant_a OWNER TO regress_other;
CALL tenancy.move_tenant('a', 'shared');
ALTER SCHEMA tenant_a OWNER TO regress_owner;
-- plug-ins
CREATE SCHEMA regress_crm AUTHORIZATION regress_owner;
SELECT tenancy.create_module('crm', 'regress_crm');
SET ROLE regress_owner;
CREATE TABLE regress_crm.lead (id int PRIMARY KEY);
RESET ROLE;
SELECT tenancy.install_module('a', 'crm');
CALL tenancy.move_tenant('a', 'shared');
SELECT count(*) FROM tenancy.protect_module('crm');
-- in tables of one that the tenant has not, no rows may be left
INSERT INTO regress_crm.lead VALUES (1, '00000000-0000-4000-8000-0000000000b1');
CALL tenancy.move_tenant('b', 'schema');
SELECT tenancy.export_tenant('b', '/nonexistent/b');
SELECT tenancy.install_module('b', 'crm');
SELECT slug, mode FROM pg_temp.state WHERE slug IN ('a', 'b');
SELECT * FROM tenancy.repair();

-- in a block that has made the session's first temporary table: what cleans up after an error goes as it came
\c -
SET client_min_messages = warning;
SELECT FROM tenancy.create_tenant('listed');
DO $$
BEGIN
	CREATE TEMPORARY TABLE todo AS SELECT 'listed' AS slug;
	CALL tenancy.move_tenant('listed', 'schema');
	CALL tenancy.move_tenant('listed', 'shared');
END $$;
SELECT mode FROM tenancy.tenants WHERE slug = 'listed';

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenant WHERE mode = 'schema';
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_crm, regress_model, regress_global CASCADE;
DROP OWNED BY regress_app, regress_a, regress_owner, regress_other;
DROP ROLE regress_app, regress_a, regress_owner, regress_other;
