--
-- Reference tables: global tables that tenants' tables point at, and their
-- copies in tenants' databases.  (Crashes, locks, writers at the same time: see
-- t/018_reference.pl.)
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_global NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_reader LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_ref AUTHORIZATION regress_global;
GRANT USAGE ON SCHEMA regress_ref TO regress_app, regress_reader, regress_owner;
SET ROLE regress_global;
-- what writers need, and what readers see; types without equality; circles
CREATE TABLE regress_ref.country (code text COLLATE "C" PRIMARY KEY, name text NOT NULL UNIQUE, facts json);
CREATE FUNCTION regress_ref.check_price(numeric) RETURNS boolean LANGUAGE sql AS 'SELECT $1 >= 0';
CREATE TABLE regress_ref.plan (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"odd ""name" text NOT NULL DEFAULT 'new',
	better int REFERENCES regress_ref.plan,
	home text REFERENCES regress_ref.country ON DELETE CASCADE,
	price numeric CHECK (regress_ref.check_price(price)),
	loud text GENERATED ALWAYS AS (upper("odd ""name")) STORED,
	spans int4range[], shape point, code varchar(8) UNIQUE);
CREATE INDEX plan_price ON regress_ref.plan (price DESC, code);
CREATE INDEX plan_loud ON regress_ref.plan (lower(loud));
ALTER TABLE regress_ref.country ADD cheapest int REFERENCES regress_ref.plan;
COMMENT ON TABLE regress_ref.plan IS 'What one can buy';
COMMENT ON COLUMN regress_ref.plan.price IS 'in euros';
INSERT INTO regress_ref.country VALUES ('no', 'Norway', '{"a": 1, "a": 2}'), ('fr', 'France', NULL);
INSERT INTO regress_ref.plan ("odd ""name", better, home, price, spans, shape, code) VALUES
	('free', 2, 'no', 0.00, '{"[1,2)", NULL}', '(1,2)', 'a'), ('gold', NULL, 'fr', 9.90, NULL, NULL, 'b'), (E'tab\tand\\', 1, NULL, NULL, '{}', NULL, NULL);
UPDATE regress_ref.country SET cheapest = 1;
-- from 18 on, NOT NULL may be for new rows only
DO $$ BEGIN
	IF current_setting('server_version_num')::int >= 180000 THEN
		EXECUTE 'ALTER TABLE regress_ref.country ADD NOT NULL facts NOT VALID';
	END IF;
END $$;
GRANT SELECT ON regress_ref.country TO regress_app WITH GRANT OPTION;
GRANT SELECT, INSERT, UPDATE ON regress_ref.plan TO regress_reader;
GRANT SELECT (id, price) ON regress_ref.plan TO regress_app;
GRANT REFERENCES ON regress_ref.plan, regress_ref.country TO regress_owner;
RESET ROLE;
SET ROLE regress_owner;
CREATE TABLE regress_model.account (id int PRIMARY KEY, plan int NOT NULL REFERENCES regress_ref.plan,
	country text REFERENCES regress_ref.country ON DELETE SET NULL);
CREATE TABLE regress_model.visit (n int PRIMARY KEY, country text DEFAULT 'no' REFERENCES regress_ref.country (name) ON DELETE CASCADE ON UPDATE CASCADE);
GRANT USAGE ON SCHEMA regress_model TO regress_app, regress_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model TO regress_app;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT count(*) FROM tenancy.protect_module('main');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.grant_access('regress_reader');
SELECT current_database() AS application, current_user AS admin \gset

-- ---------------------------------------------------------------------------
-- What can be one
-- ---------------------------------------------------------------------------
-- A model that points at other tables cannot be made in a database
SELECT tenancy.create_tenant('one', 'database');
SELECT tenancy.add_reference_table(NULL);
SELECT tenancy.add_reference_table(0);
SELECT tenancy.add_reference_table('regress_model.account');
SELECT tenancy.add_reference_table('tenancy.tenant');
SELECT tenancy.add_reference_table('pg_class');
SELECT tenancy.remove_reference_table('regress_ref.plan');
SET ROLE regress_global;
CREATE TABLE regress_ref.of_tenants (a int PRIMARY KEY, tenant_id uuid);
CREATE TYPE regress_ref.mood AS ENUM ('sad', 'fine');
CREATE DOMAIN regress_ref.ints AS int[];
CREATE COLLATION regress_ref.mine FROM "C";
CREATE TABLE regress_ref.own_type (a int PRIMARY KEY, b regress_ref.mood, c regress_ref.ints, d regress_ref.mood[], e text);
CREATE TABLE regress_ref.own_collation (a text COLLATE regress_ref.mine PRIMARY KEY);
CREATE TABLE regress_ref.no_key (a int UNIQUE);
CREATE TABLE regress_ref.late_key (a int PRIMARY KEY DEFERRABLE);
CREATE TABLE regress_ref.parts (a int PRIMARY KEY) PARTITION BY RANGE (a);
CREATE TABLE regress_ref.part PARTITION OF regress_ref.parts DEFAULT;
CREATE TABLE regress_ref.parent (a int PRIMARY KEY);
CREATE TABLE regress_ref.child () INHERITS (regress_ref.parent);
CREATE TABLE regress_ref.rls (a int PRIMARY KEY);
ALTER TABLE regress_ref.rls ENABLE ROW LEVEL SECURITY;
CREATE VIEW regress_ref.view AS SELECT 1 AS a;
RESET ROLE;
CREATE TEMPORARY TABLE short (a int PRIMARY KEY);
CREATE TABLE regress_ref.by_superuser (a int PRIMARY KEY);
CREATE TABLE regress_ref.by_app (a int PRIMARY KEY);
ALTER TABLE regress_ref.by_app OWNER TO regress_app;
CREATE TABLE regress_ref.to_tenants (a int PRIMARY KEY, account int REFERENCES regress_model.account);
ALTER TABLE regress_ref.to_tenants OWNER TO regress_global;
SELECT tenancy.add_reference_table('short');
SELECT tenancy.add_reference_table('regress_ref.own_type');
SELECT tenancy.add_reference_table('regress_ref.of_tenants');
SELECT tenancy.add_reference_table('regress_ref.own_collation');
SELECT tenancy.add_reference_table('regress_ref.no_key');
SELECT tenancy.add_reference_table('regress_ref.late_key');
SELECT tenancy.add_reference_table('regress_ref.parts');
SELECT tenancy.add_reference_table('regress_ref.part');
SELECT tenancy.add_reference_table('regress_ref.parent');
SELECT tenancy.add_reference_table('regress_ref.child');
SELECT tenancy.add_reference_table('regress_ref.rls');
SELECT tenancy.add_reference_table('regress_ref.view');
SELECT tenancy.add_reference_table('regress_ref.by_superuser');
SELECT tenancy.add_reference_table('regress_ref.by_app');
SELECT tenancy.add_reference_table('regress_ref.to_tenants');
DROP TABLE regress_ref.of_tenants, regress_ref.own_type, regress_ref.own_collation, regress_ref.no_key, regress_ref.late_key, regress_ref.parts,
	regress_ref.child, regress_ref.parent, regress_ref.rls, regress_ref.by_superuser, regress_ref.by_app, regress_ref.to_tenants;
SELECT relation FROM tenancy.reference_table;

SELECT tenancy.add_reference_table('regress_ref.plan'), tenancy.add_reference_table('regress_ref.country');
SELECT tenancy.add_reference_table('regress_ref.plan');
SELECT relation, definition FROM tenancy.reference_table ORDER BY 1;
-- and what a reference table cannot be
SELECT tenancy.protect_table('regress_ref.plan');
SELECT tenancy.create_module('other', 'regress_ref');
SELECT tenancy.grant_access('regress_global');

-- ---------------------------------------------------------------------------
-- A new tenant's database has them
-- ---------------------------------------------------------------------------
SELECT count(*) FROM tenancy.create_tenant('one', 'database') a, tenancy.create_tenant('two', 'database') b;
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
\d regress_ref.plan
\d regress_ref.country
SELECT c.oid::regclass AS table, p.col, p.grantee::regrole, string_agg(p.privilege_type, ' ' ORDER BY p.privilege_type)
FROM pg_class c CROSS JOIN LATERAL (SELECT NULL AS col, a.* FROM aclexplode(c.relacl) a
	UNION ALL SELECT t.attname, a.* FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = c.oid) p
WHERE c.relnamespace::regnamespace::text LIKE 'regress\_ref%' AND c.relkind = 'r' AND p.privilege_type <> 'MAINTAIN'
GROUP BY c.oid, p.col, p.grantee ORDER BY c.oid::regclass::text, p.col NULLS FIRST, p.grantee::regrole::text;
SELECT obj_description('regress_ref.plan'::regclass), col_description('regress_ref.plan'::regclass, 5);
SELECT nspowner::regrole, has_schema_privilege('regress_app', 'regress_ref', 'CREATE') AS app, has_schema_privilege('regress_global', 'regress_ref', 'CREATE') AS owner
FROM pg_namespace WHERE nspname = 'regress_ref';
SELECT relation FROM tenancy.reference_table ORDER BY 1;
SELECT count(*) FROM pg_proc WHERE pronamespace = 'regress_ref'::regnamespace;
TABLE regress_ref.plan;
TABLE regress_ref.country;
SELECT tenancy.add_reference_table('regress_ref.plan');
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one regress_app
SELECT id, price FROM regress_ref.plan ORDER BY id;
SELECT loud FROM regress_ref.plan;
UPDATE regress_ref.country SET name = 'mine';
INSERT INTO account VALUES (1, 1, 'no'), (2, 3, 'fr') RETURNING id, plan, country;
INSERT INTO account VALUES (3, 4, 'no');
INSERT INTO visit VALUES (1, 'Norway'), (2, 'France');
\c tenant_one regress_reader
UPDATE regress_ref.plan SET price = 0;
\c :application :admin
SET client_min_messages = warning;

-- ---------------------------------------------------------------------------
-- Rows
-- ---------------------------------------------------------------------------
-- Changed, new; unique values exchanged; json, which has no equality; 1.0 and 1.00
UPDATE regress_ref.plan SET price = 0.0 WHERE id = 1;
UPDATE regress_ref.plan SET code = CASE id WHEN 1 THEN 'x' ELSE NULL END;
UPDATE regress_ref.plan SET code = CASE id WHEN 1 THEN 'b' WHEN 2 THEN 'a' END;
INSERT INTO regress_ref.plan ("odd ""name", better, code) VALUES ('last', 5, 'c'), ('very last', 4, 'd');
UPDATE regress_ref.country SET facts = '{"a":1,"a":2}' WHERE code = 'no';
-- a suspended tenant's database is closed, but not to this
SELECT tenancy.suspend_tenant('two');
SELECT * FROM tenancy.sync_reference_tables();
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
SELECT id, "odd ""name", better, price, code FROM regress_ref.plan ORDER BY id;
SELECT code, facts FROM regress_ref.country ORDER BY code;
\c :application :admin
SET client_min_messages = warning;

-- A key's other values change: ON UPDATE
UPDATE regress_ref.country SET name = 'Noreg' WHERE code = 'no';
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one regress_app
SELECT n, country FROM visit ORDER BY n;
\c :application :admin
SET client_min_messages = warning;

-- What a tenant's row refers to: the foreign key's action, or an error for that
-- tenant, and all of its rows stay as they were
DELETE FROM regress_ref.plan WHERE id = 3;
UPDATE regress_ref.plan SET price = 10 WHERE id = 2;
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one regress_app
SELECT id, price FROM regress_ref.plan ORDER BY id;
UPDATE account SET plan = 2 WHERE plan = 3;
\c :application :admin
SET client_min_messages = warning;
SELECT * FROM tenancy.sync_reference_tables();
UPDATE regress_ref.plan SET better = NULL WHERE id = 1;
DELETE FROM regress_ref.country WHERE code = 'fr';
SELECT id FROM regress_ref.plan ORDER BY id;
-- plan 2 went with it, by a foreign key between the two
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one regress_app
UPDATE account SET plan = 1;
\c :application :admin
SET client_min_messages = warning;
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one regress_app
SELECT id, plan, country FROM account ORDER BY id;
SELECT n, country FROM visit ORDER BY n;
\c tenant_one :admin
SELECT id FROM regress_ref.plan ORDER BY id;
SELECT code, name FROM regress_ref.country;
-- What a superuser has written there is taken back
UPDATE regress_ref.plan SET price = 99;
INSERT INTO regress_ref.country VALUES ('xx', 'mine');
GRANT INSERT ON regress_ref.plan TO regress_app;
\c :application :admin
SET client_min_messages = warning;
SELECT * FROM tenancy.sync_reference_tables();

-- ---------------------------------------------------------------------------
-- Definitions
-- ---------------------------------------------------------------------------
SET ROLE regress_global;
ALTER TABLE regress_ref.plan ADD note text NOT NULL DEFAULT 'none', DROP shape, ALTER price TYPE int, ALTER code TYPE text;
ALTER TABLE regress_ref.plan RENAME id TO plan_id;
ALTER TABLE regress_ref.plan RENAME CONSTRAINT plan_pkey TO plan_key;
ALTER INDEX regress_ref.plan_price RENAME TO plan_by_price;
ALTER TABLE regress_ref.plan ALTER "odd ""name" DROP NOT NULL;
INSERT INTO regress_ref.plan ("odd ""name", note) VALUES (NULL, 'no name');
CREATE UNIQUE INDEX ON regress_ref.plan (note, plan_id);
ALTER TABLE regress_ref.country DROP CONSTRAINT country_cheapest_fkey;
ALTER TABLE regress_ref.country RENAME TO land;
REVOKE SELECT ON regress_ref.land FROM regress_app;
COMMENT ON TABLE regress_ref.plan IS NULL;
RESET ROLE;
CREATE SCHEMA regress_ref2 AUTHORIZATION regress_global;
GRANT USAGE ON SCHEMA regress_ref2 TO regress_owner;
ALTER TABLE regress_ref.land SET SCHEMA regress_ref2;
SELECT * FROM tenancy.sync_reference_tables();
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
\d regress_ref.plan
\d regress_ref2.land
SELECT c.oid::regclass AS table, p.col, p.grantee::regrole, string_agg(p.privilege_type, ' ' ORDER BY p.privilege_type)
FROM pg_class c CROSS JOIN LATERAL (SELECT NULL AS col, a.* FROM aclexplode(c.relacl) a
	UNION ALL SELECT t.attname, a.* FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = c.oid) p
WHERE c.relnamespace::regnamespace::text LIKE 'regress\_ref%' AND c.relkind = 'r' AND p.privilege_type <> 'MAINTAIN'
GROUP BY c.oid, p.col, p.grantee ORDER BY c.oid::regclass::text, p.col NULLS FIRST, p.grantee::regrole::text;
SELECT * FROM regress_ref.plan ORDER BY 1;
SELECT obj_description('regress_ref.plan'::regclass);
-- a table that is none of ours
CREATE TABLE regress_ref.squatted (a int);
\c :application :admin
SET client_min_messages = warning;
SET ROLE regress_global;
CREATE TABLE regress_ref.squatted (a int PRIMARY KEY);
CREATE TABLE regress_ref.replica (a int NOT NULL, b int);
CREATE UNIQUE INDEX replica_a ON regress_ref.replica (a);
ALTER TABLE regress_ref.replica REPLICA IDENTITY USING INDEX replica_a;
INSERT INTO regress_ref.replica VALUES (1, 1), (2, 2);
CREATE TABLE regress_ref.U&"odd\000a %s %I ""$1" (U&"odd\000a %s %1$I ""$1" int, U&"key\000a %s ""'" text UNIQUE, "select" text COLLATE "C",
	CONSTRAINT U&"pk\000a %s ""'" PRIMARY KEY (U&"odd\000a %s %1$I ""$1"));
INSERT INTO regress_ref.U&"odd\000a %s %I ""$1" VALUES (1, 'a', 'b'), (2, NULL, NULL);
COMMENT ON TABLE regress_ref.U&"odd\000a %s %I ""$1" IS '%s '' \';
GRANT SELECT (U&"odd\000a %s %1$I ""$1") ON regress_ref.U&"odd\000a %s %I ""$1" TO regress_app;
RESET ROLE;
SELECT tenancy.add_reference_table('regress_ref.squatted'), tenancy.add_reference_table('regress_ref.replica');
SELECT tenancy.add_reference_table(oid) FROM pg_class WHERE relname LIKE 'odd%' AND relkind = 'r';
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
DROP TABLE regress_ref.squatted;
\c :application :admin
SET client_min_messages = warning;
SELECT * FROM tenancy.sync_reference_tables();
UPDATE regress_ref.U&"odd\000a %s %I ""$1" SET U&"key\000a %s ""'" = 'c' WHERE "select" = 'b';
UPDATE regress_ref.U&"odd\000a %s %I ""$1" SET "select" = 'c' WHERE "select" IS NULL;
ALTER TABLE regress_ref.U&"odd\000a %s %I ""$1" RENAME "select" TO U&"from\000a %s %1$I ""'";
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
SELECT * FROM regress_ref.U&"odd\000a %s %I ""$1" ORDER BY 1;
\c :application :admin
SET client_min_messages = warning;
-- what cannot be a reference table any more stops all, before anything is changed
ALTER TABLE regress_ref.replica REPLICA IDENTITY NOTHING;
UPDATE regress_ref.plan SET price = 1;
SELECT * FROM tenancy.sync_reference_tables();
SELECT count(*) FROM tenancy.create_tenant('three', 'database');
ALTER TABLE regress_ref.replica ADD PRIMARY KEY (a);
SELECT * FROM tenancy.sync_reference_tables();

-- ---------------------------------------------------------------------------
-- Removal
-- ---------------------------------------------------------------------------
SELECT tenancy.remove_reference_table('regress_ref.plan');
SELECT tenancy.remove_reference_table('regress_ref.replica');
DROP TABLE regress_ref.squatted;
\c tenant_one
CREATE VIEW regress_model.looks AS SELECT * FROM regress_ref.replica;
\c :application :admin
SET client_min_messages = warning;
UPDATE regress_ref.plan SET price = 2;
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
DROP VIEW regress_model.looks;
\c :application :admin
SET client_min_messages = warning;
SELECT * FROM tenancy.sync_reference_tables();
\c tenant_one
SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text LIKE 'regress_ref%' ORDER BY 1;
SELECT relation FROM tenancy.reference_table ORDER BY 1;
\c :application :admin
SET client_min_messages = warning;
SELECT relation FROM tenancy.reference_table ORDER BY 1;

-- ---------------------------------------------------------------------------
-- Moves
-- ---------------------------------------------------------------------------
SELECT count(*) FROM tenancy.create_tenant('pool');
SET SESSION AUTHORIZATION regress_app;
BEGIN;
SELECT count(*) FROM tenancy.set_tenant('pool');
INSERT INTO account VALUES (7, 1, 'no');
COMMIT;
RESET SESSION AUTHORIZATION;
CALL tenancy.move_tenant('pool', 'database');
\c tenant_pool regress_app
SELECT id, plan, country FROM account;
SELECT id FROM account JOIN regress_ref.plan p ON plan = plan_id;
\c :application :admin
SET client_min_messages = warning;
-- and back, though the model's owner may point at the tables and not read them;
-- that their rows are there is checked all the same
CALL tenancy.move_tenant('pool', 'schema');
SELECT has_table_privilege('regress_owner', 'regress_ref.plan', 'SELECT');
SET session_replication_role = replica;
UPDATE tenant_pool.account SET plan = 99;
CALL tenancy.move_tenant('pool', 'shared');
CALL tenancy.move_tenant('pool', 'database');
UPDATE tenant_pool.account SET plan = 1;
RESET session_replication_role;
CALL tenancy.move_tenant('pool', 'shared');
SELECT id, plan, country FROM regress_model.account;
-- who acts for tenants gets nothing of this
SET ROLE regress_app;
\set VERBOSITY sqlstate
SELECT tenancy.add_reference_table('regress_ref.plan');
SELECT * FROM tenancy.sync_reference_tables();
TABLE tenancy.reference_table;
\set VERBOSITY default
RESET ROLE;
SELECT lint, object FROM tenancy.check_isolation() WHERE object LIKE '%regress_ref%' ORDER BY 1, 2;
SELECT * FROM tenancy.repair();

SELECT count(tenancy.drop_tenant(slug, true)) FROM tenancy.tenants;
DO $$
BEGIN
	FOR i IN 1 .. 12000 LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_database WHERE datname IN ('tenant_one', 'tenant_two', 'tenant_three', 'tenant_pool'));
		PERFORM pg_sleep(0.01);
		COMMIT;
	END LOOP;
END $$;
SELECT datname FROM pg_database WHERE datname IN ('tenant_one', 'tenant_two', 'tenant_three', 'tenant_pool');
\set ECHO none
SELECT 'DROP DATABASE tenancy_template_' || oid FROM pg_database WHERE datname = current_database() \gexec
\set ECHO all
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model, regress_ref, regress_ref2 CASCADE;
DROP ROLE regress_owner, regress_global, regress_app, regress_reader;
