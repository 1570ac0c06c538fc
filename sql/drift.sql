--
-- How tenants' copies differ from their models.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_other NOLOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA my_regress_model AUTHORIZATION regress_owner;
CREATE SCHEMA regress_crm AUTHORIZATION regress_owner;
SET ROLE regress_owner;
SET search_path = regress_model;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN posint AS int CONSTRAINT pos CHECK (value > 0);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT i * 2';
CREATE FUNCTION pathed() RETURNS int LANGUAGE sql SET search_path = regress_model, public AS 'SELECT 1';
CREATE FUNCTION of_row(p pair) RETURNS int LANGUAGE sql RETURN (p).a;
CREATE PROCEDURE proc() LANGUAGE plpgsql AS 'BEGIN END';
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION my_regress_model.outside() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE SEQUENCE numbers;
CREATE TABLE customer (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	nr serial,
	name text NOT NULL DEFAULT 'new',
	m mood DEFAULT 'ok',
	n posint CONSTRAINT n_small CHECK (n < 1000),
	o int DEFAULT my_regress_model.outside(),
	names_model text DEFAULT 'regress_model.customer',
	doubled int GENERATED ALWAYS AS (twice(n)) STORED,
	CONSTRAINT name_key UNIQUE (name)
);
CREATE TABLE orders (
	id bigint PRIMARY KEY DEFAULT nextval('numbers'),
	customer bigint CONSTRAINT orders_customer REFERENCES customer,
	amount numeric(10,2),
	r span
);
CREATE INDEX orders_amount ON orders (amount) WHERE amount > 0;
CREATE INDEX orders_twice ON orders (twice(amount::int));
CREATE STATISTICS orders_stat ON customer, amount FROM orders;
CREATE TABLE log (at date, note text) PARTITION BY RANGE (at);
CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (MINVALUE) TO ('2020-01-01');
CREATE INDEX log_at ON log (at);
-- Its name ends in the schema's.
CREATE TABLE of_regress_model (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF of_regress_model FOR VALUES IN (1);
CREATE TRIGGER part_trg AFTER INSERT ON of_regress_model FOR EACH ROW EXECUTE FUNCTION trg();
CREATE VIEW rich AS SELECT c.id, total(o.amount::int) AS sum FROM customer c JOIN orders o ON o.customer = c.id GROUP BY 1;
CREATE RULE no_insert AS ON INSERT TO rich DO INSTEAD NOTHING;
CREATE TRIGGER customer_trg BEFORE INSERT ON customer FOR EACH ROW WHEN (new.n > 5) EXECUTE FUNCTION trg();
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY cheap ON orders USING (twice(amount::int) < 100);
COMMENT ON TABLE customer IS 'who buys';
COMMENT ON SCHEMA regress_model IS 'the shop';
ALTER DEFAULT PRIVILEGES GRANT USAGE, CREATE ON SCHEMAS TO regress_other;
CREATE COLLATION plain (locale = 'C');
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE OPERATOR <<< (FUNCTION = int4lt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = >>>, NEGATOR = >==, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR >>> (FUNCTION = int4gt, LEFTARG = int, RIGHTARG = int, COMMUTATOR = <<<);
CREATE OPERATOR >== (FUNCTION = int4ge, LEFTARG = int, RIGHTARG = int, NEGATOR = <<<);
CREATE OPERATOR @#@ (FUNCTION = twice, RIGHTARG = int);
COMMENT ON OPERATOR @#@ (NONE, int) IS 'doubles';
CREATE FUNCTION to_pair(i int) RETURNS pair LANGUAGE sql IMMUTABLE AS 'SELECT i, i';
CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT;
CREATE CAST (mood AS pair) WITH INOUT;
COMMENT ON CAST (mood AS pair) IS 'fails';
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = pg_catalog.simple, STOPWORDS = english, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION search (COPY = pg_catalog.simple);
ALTER TEXT SEARCH CONFIGURATION search ALTER MAPPING FOR asciiword, word WITH stems, simple;
COMMENT ON TEXT SEARCH CONFIGURATION search IS 'finds';
CREATE TABLE words (
	w text COLLATE loose,
	found tsvector GENERATED ALWAYS AS (to_tsvector('search', w)) STORED,
	p pair DEFAULT 5,
	n int CHECK (n <<< 10)
);
CREATE VIEW few AS SELECT @#@ n AS n FROM words WHERE n >>> 1 ORDER BY w COLLATE plain;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_app;
GRANT USAGE ON SCHEMA regress_model, regress_crm TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_model TO regress_app;
-- What copies leave out
GRANT TRUNCATE, REFERENCES, TRIGGER ON orders TO regress_app;
GRANT REFERENCES (name), UPDATE (name) ON customer TO regress_app;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA regress_model GRANT USAGE ON TYPES TO regress_app;
CREATE TABLE regress_crm.lead (id int PRIMARY KEY, customer bigint REFERENCES customer);
CREATE FUNCTION regress_crm.pathed() RETURNS int LANGUAGE sql SET search_path = regress_crm, regress_model, my_regress_model AS 'SELECT 1';
RESET ROLE;
RESET search_path;
GRANT USAGE, CREATE ON SCHEMA regress_model TO regress_other;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_other IN SCHEMA regress_model GRANT SELECT ON TABLES TO regress_app;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.create_module('crm', 'regress_crm');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-0000000000a1');
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-0000000000b1');
SELECT tenancy.install_module('a', 'crm');

-- What was just made is the same.
SELECT * FROM tenancy.drift();
SELECT * FROM tenancy.drift('a');
SELECT * FROM tenancy.drift('nobody');
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner REVOKE USAGE, CREATE ON SCHEMAS FROM regress_other;
-- Not for ordinary roles
SET ROLE regress_app;
SELECT * FROM tenancy.drift();
SELECT * FROM tenancy.drift_objects('regress_model'::regnamespace, NULL, 'model');
RESET ROLE;

-- A copy that is the same comes first, so that each change must show in the digest by which copies are told apart.
SELECT tenancy.create_tenant('0', 'schema', '00000000-0000-4000-8000-000000000001');
SELECT tenancy.install_module('0', 'crm');

-- Each change is one row.  What is tried is undone.
CREATE FUNCTION tried(change text) RETURNS TABLE (object text, difference text) LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		SET LOCAL search_path = tenant_a;
		EXECUTE change;
		SET LOCAL search_path = public;
		SELECT array_agg(ARRAY[d.tenant || '.' || d.module || ': ' || d.object, d.difference] ORDER BY d.object COLLATE "C") INTO found FROM tenancy.drift() d;
		RAISE EXCEPTION USING ERRCODE = 'UNDO1';
	EXCEPTION
		WHEN SQLSTATE 'UNDO1' THEN NULL;
		WHEN OTHERS THEN found := ARRAY[ARRAY['the change failed', SQLERRM]];
	END;
	RETURN QUERY SELECT found[i][1], found[i][2] FROM generate_subscripts(found, 1) i;
END $$;
CREATE TABLE public.change (nr serial, sql text);
INSERT INTO public.change (sql) VALUES
	('DROP TABLE log'), ('DROP TABLE log_old'), ('CREATE TABLE tenant_a.own (a int PRIMARY KEY)'), ('ALTER TABLE log RENAME TO log2'),
	('ALTER TABLE orders SET UNLOGGED'), ('ALTER TABLE orders SET (fillfactor = 70)'), ('ALTER TABLE orders SET (toast.autovacuum_enabled = false)'),
	('ALTER TABLE orders OWNER TO regress_other'), ('ALTER TABLE orders REPLICA IDENTITY FULL'), ('COMMENT ON TABLE customer IS NULL'),
	('GRANT SELECT ON orders TO regress_other'), ('REVOKE INSERT ON orders FROM regress_app'), ('ALTER TABLE log DETACH PARTITION log_old'),
	('ALTER TABLE orders NO FORCE ROW LEVEL SECURITY'), ('ALTER TABLE orders DISABLE ROW LEVEL SECURITY'),
	('DROP POLICY tenant_isolation ON customer'), ('ALTER POLICY tenant_isolation ON customer USING (true)'), ('ALTER POLICY tenant_isolation ON customer TO regress_app'),
	('ALTER POLICY tenant_isolation ON customer USING (tenancy.policy_is_tenant(''00000000-0000-4000-8000-0000000000b1''))'),
	('ALTER POLICY tenant_isolation ON customer WITH CHECK (true)'), ('DROP POLICY tenant_access ON customer'),
	('ALTER TABLE orders ADD COLUMN extra int'), ('ALTER TABLE orders DROP COLUMN r'), ('ALTER TABLE orders RENAME r TO r2'),
	('ALTER TABLE orders ALTER r TYPE text'), ('ALTER TABLE orders ALTER amount SET NOT NULL'), ('ALTER TABLE customer ALTER name DROP DEFAULT'),
	('ALTER TABLE customer ALTER name SET DEFAULT ''old'''), ('ALTER TABLE customer ALTER names_model SET DEFAULT ''tenant_a.customer'''),
	('ALTER TABLE customer ALTER m SET DEFAULT ''sad'''), ('ALTER TABLE orders ALTER id SET DEFAULT nextval(''regress_model.numbers'')'),
	('ALTER TABLE customer ALTER doubled DROP EXPRESSION'), ('ALTER TABLE customer ALTER id SET GENERATED BY DEFAULT'),
	('ALTER TABLE customer ALTER id SET INCREMENT 5'), ('ALTER TABLE customer ALTER id DROP IDENTITY'), ('ALTER TABLE customer ALTER name SET STORAGE PLAIN'),
	('ALTER TABLE customer ALTER name SET STATISTICS 7'), ('ALTER TABLE customer ALTER name SET (n_distinct = 5)'), ('ALTER TABLE customer ALTER name SET COMPRESSION pglz'),
	('GRANT SELECT (name) ON customer TO regress_other'), ('COMMENT ON COLUMN customer.name IS ''x'''),
	('ALTER TABLE customer DROP CONSTRAINT n_small'), ('ALTER TABLE customer DROP CONSTRAINT name_key'), ('ALTER TABLE customer ADD CHECK (n <> 7)'),
	('ALTER TABLE orders DROP CONSTRAINT orders_customer'), ('ALTER TABLE orders ALTER CONSTRAINT orders_customer DEFERRABLE'),
	('ALTER TABLE orders DROP CONSTRAINT orders_customer, ADD CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES regress_model.customer'),
	('ALTER TABLE customer CLUSTER ON name_key'), ('ALTER INDEX name_key SET (fillfactor = 50)'), ('COMMENT ON CONSTRAINT name_key ON customer IS ''x'''),
	('DROP INDEX orders_amount'), ('CREATE INDEX own ON customer (n)'), ('DROP INDEX log_at'), ('ALTER INDEX orders_amount SET (fillfactor = 50)'),
	('DROP INDEX orders_amount; CREATE INDEX orders_amount ON orders (amount)'), ('ALTER INDEX orders_twice ALTER COLUMN 1 SET STATISTICS 9'),
	('DROP STATISTICS orders_stat'), ('ALTER STATISTICS orders_stat SET STATISTICS 9'),
	('DROP TRIGGER customer_trg ON customer'), ('ALTER TABLE customer DISABLE TRIGGER customer_trg'), ('ALTER TRIGGER customer_trg ON customer RENAME TO t2'),
	('DROP RULE no_insert ON rich'), ('CREATE RULE no_delete AS ON DELETE TO orders DO INSTEAD NOTHING'), ('CREATE OR REPLACE RULE no_insert AS ON INSERT TO rich DO ALSO NOTHING'),
	('DROP POLICY cheap ON orders'), ('ALTER POLICY cheap ON orders USING (true)'), ('CREATE POLICY more ON orders FOR SELECT USING (true)'), ('ALTER POLICY cheap ON orders TO regress_app'),
	('DROP VIEW rich'), ('CREATE OR REPLACE VIEW rich AS SELECT 1::bigint AS id, 2::int AS sum'), ('ALTER VIEW rich SET (security_barrier)'), ('CREATE VIEW own AS SELECT 1 AS a'),
	('ALTER SEQUENCE numbers INCREMENT 2'), ('ALTER SEQUENCE numbers OWNED BY orders.id'), ('CREATE SEQUENCE own'), ('ALTER SEQUENCE customer_nr_seq CYCLE'),
	('CREATE OR REPLACE FUNCTION twice(i int) RETURNS int LANGUAGE sql IMMUTABLE AS ''SELECT i + i'''), ('ALTER FUNCTION twice(int) STABLE'),
	('ALTER FUNCTION twice(int) SECURITY DEFINER'), ('ALTER FUNCTION pathed() SET search_path = regress_model, public'), ('ALTER FUNCTION twice(int) SET work_mem = ''1MB'''),
	('REVOKE EXECUTE ON FUNCTION twice(int) FROM PUBLIC'), ('DROP FUNCTION pathed()'), ('CREATE FUNCTION pathed(int) RETURNS int LANGUAGE sql RETURN 1'),
	('DROP PROCEDURE proc()'), ('CREATE AGGREGATE own (int) (SFUNC = int4pl, STYPE = int)'), ('COMMENT ON FUNCTION trg() IS ''x'''),
	('ALTER TYPE mood RENAME VALUE ''sad'' TO ''glum'''), ('ALTER TYPE pair ADD ATTRIBUTE c int'), ('ALTER TYPE posint OWNER TO regress_other'),
	('ALTER DOMAIN posint DROP CONSTRAINT pos'), ('ALTER DOMAIN posint SET DEFAULT 5'), ('COMMENT ON TYPE span IS ''x'''), ('CREATE TYPE own AS (a int)'),
	('CREATE OPERATOR tenant_a.@@@ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)'), ('CREATE COLLATION own FROM "C"'),
	('ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA tenant_a REVOKE SELECT ON TABLES FROM regress_app'),
	('ALTER SCHEMA tenant_a OWNER TO regress_other'),
	('GRANT TRUNCATE ON orders TO regress_app'), ('GRANT TRIGGER ON customer TO PUBLIC'), ('GRANT REFERENCES (name) ON customer TO regress_app'), ('REVOKE UPDATE (name) ON customer FROM regress_app'),
	('GRANT CREATE ON SCHEMA tenant_a TO regress_app'), ('GRANT USAGE ON SCHEMA tenant_a TO regress_other'), ('REVOKE USAGE ON SCHEMA tenant_a FROM regress_app'),
	('GRANT USAGE ON SCHEMA tenant_a TO regress_app WITH GRANT OPTION'), ('GRANT USAGE ON SCHEMA tenant_a_plugin_crm TO PUBLIC'),
	('ALTER DEFAULT PRIVILEGES FOR ROLE regress_other IN SCHEMA tenant_a GRANT SELECT ON TABLES TO regress_app'),
	('ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA tenant_a GRANT EXECUTE ON FUNCTIONS TO regress_app'),
	('ALTER POLICY tenant_isolation ON customer WITH CHECK (tenancy.policy_is_tenant(''00000000-0000-4000-8000-0000000000a1'') AND true)'),
	('ALTER POLICY tenant_access ON customer USING (true)'), ('ALTER POLICY tenant_access ON customer TO regress_app'), ('ALTER POLICY tenant_access ON customer WITH CHECK (true)'),
	('DROP POLICY tenant_access ON customer; CREATE POLICY tenant_access ON customer FOR SELECT USING (tenancy.policy_allow(tableoid))'),
	('CREATE POLICY tenant_access ON orders USING (tenancy.policy_allow(tableoid))'),
	('INSERT INTO pg_seclabel VALUES (''customer''::regclass, ''pg_class''::regclass, 0, ''regress'', ''secret'')'),
	('INSERT INTO pg_seclabel VALUES (''customer''::regclass, ''pg_class''::regclass, 3, ''regress'', ''secret'')'),
	('INSERT INTO pg_seclabel VALUES (''rich''::regclass, ''pg_class''::regclass, 0, ''regress'', ''secret'')'),
	('INSERT INTO pg_seclabel VALUES (''numbers''::regclass, ''pg_class''::regclass, 0, ''regress'', ''secret'')'),
	('INSERT INTO pg_seclabel VALUES (''trg''::regproc, ''pg_proc''::regclass, 0, ''regress'', ''secret'')'),
	('INSERT INTO pg_seclabel VALUES (''mood''::regtype, ''pg_type''::regclass, 0, ''regress'', ''secret'')'),
	('INSERT INTO pg_seclabel VALUES (''tenant_a''::regnamespace, ''pg_namespace''::regclass, 0, ''regress'', ''secret'')'),
	('ALTER TABLE orders DISABLE TRIGGER ALL'),
	('COMMENT ON COLLATION plain IS ''x'''), ('ALTER COLLATION loose OWNER TO regress_other'),
	('ALTER OPERATOR <<< (int, int) SET (RESTRICT = NONE)'), ('COMMENT ON OPERATOR @#@ (NONE, int) IS NULL'), ('DROP OPERATOR >== (int, int)'),
	('DROP CAST (mood AS pair)'), ('DROP CAST (int AS pair); CREATE CAST (int AS pair) WITH FUNCTION to_pair(int)'), ('COMMENT ON CAST (mood AS pair) IS NULL'),
	('CREATE CAST (words AS pair) WITH INOUT'),
	('ALTER TEXT SEARCH DICTIONARY stems (STOPWORDS)'), ('ALTER TEXT SEARCH CONFIGURATION search DROP MAPPING FOR email'), ('CREATE TEXT SEARCH CONFIGURATION own (COPY = pg_catalog.simple)'),
	('DROP TABLE tenant_a_plugin_crm.lead'), ('ALTER TABLE tenant_a_plugin_crm.lead ADD COLUMN x int'), ('DROP SCHEMA tenant_a_plugin_crm CASCADE'),
	('ALTER TABLE part_1 DISABLE TRIGGER part_trg'), ('ALTER TABLE of_regress_model DISABLE TRIGGER part_trg'),
	('ALTER TABLE part_1 CLUSTER ON part_1_pkey'), ('ALTER INDEX part_1_pkey RENAME TO part_1_key'),
	('ALTER SEQUENCE customer_id_seq RENAME TO ids'), ('COMMENT ON SEQUENCE customer_id_seq IS ''x'''), ('GRANT USAGE ON SEQUENCE customer_id_seq TO regress_other'),
	('ALTER FUNCTION twice(int) DEPENDS ON EXTENSION plpgsql'), ('ALTER INDEX orders_amount DEPENDS ON EXTENSION plpgsql'),
	('ALTER TRIGGER customer_trg ON customer DEPENDS ON EXTENSION plpgsql'),
	('COMMENT ON SCHEMA tenant_a IS ''x'''), ('ALTER TABLE orders RENAME TO bought'),
	('SELECT 1');
-- Everything but the last one is seen, as one row (a rename as two); a text that names the copy where the model's
-- names the model counts as the same.
SELECT c.sql, t.object, t.difference FROM public.change c LEFT JOIN LATERAL tried(c.sql) t ON true ORDER BY c.nr, t.object COLLATE "C";

SELECT tenancy.drop_tenant('0', true);

-- Migrations: a copy that is behind is one finding.
SELECT tenancy.add_migration(1, $$
	CREATE TABLE later (id int PRIMARY KEY, of_customer bigint REFERENCES customer, m mood DEFAULT 'sad');
	ALTER TABLE orders ADD COLUMN paid boolean NOT NULL DEFAULT false;
	CREATE INDEX ON orders (paid);$$, down => 'ALTER TABLE orders DROP COLUMN paid; DROP TABLE later');
SELECT tenancy.add_migration(2, 'CREATE VIEW unpaid AS SELECT id FROM orders WHERE NOT paid', down => 'DROP VIEW unpaid');
CALL tenancy.migrate(tenants => ARRAY['a']);
SELECT * FROM tenancy.drift();
CALL tenancy.migrate();
SELECT * FROM tenancy.drift();
DROP VIEW tenant_b.unpaid;
SELECT * FROM tenancy.drift();
-- What is found of one copy is reported of all that are the same.
DROP VIEW tenant_a.unpaid;
SELECT * FROM tenancy.drift();
SET ROLE regress_owner;
CREATE VIEW tenant_a.unpaid AS SELECT id FROM tenant_a.orders WHERE NOT paid;
CREATE VIEW tenant_b.unpaid AS SELECT id FROM tenant_b.orders WHERE NOT paid;
RESET ROLE;
SELECT * FROM tenancy.drift();
CALL tenancy.rollback(2);
SELECT * FROM tenancy.drift();

-- Renamed, and gone
SELECT tenancy.rename_tenant('a', 'a-2');
SELECT * FROM tenancy.drift();
SELECT tenancy.drop_tenant('a-2', true);
DROP SCHEMA tenant_b CASCADE;
SELECT * FROM tenancy.drift();
SELECT tenancy.drop_tenant('b', true);
SELECT * FROM tenancy.drift();

-- A shared tenant's tables are the model's: what they can lack is protection.
SELECT tenancy.create_tenant('c', id => '00000000-0000-4000-8000-0000000000c1');
SELECT tenancy.protect_module('main');
SELECT tenancy.protect_module('crm');
SELECT tenancy.create_tenant('c', id => '00000000-0000-4000-8000-0000000000c1');
SELECT * FROM tenancy.drift();
ALTER TABLE regress_model.customer NO FORCE ROW LEVEL SECURITY;
ALTER TABLE regress_crm.lead NO FORCE ROW LEVEL SECURITY;
SELECT * FROM tenancy.drift();
SELECT * FROM tenancy.drift('c');

-- A copy of protected tables
ALTER TABLE regress_model.customer FORCE ROW LEVEL SECURITY;
SELECT tenancy.create_tenant('d', 'schema', '00000000-0000-4000-8000-0000000000d1');
SELECT * FROM tenancy.drift('d');
ALTER POLICY tenant_isolation ON tenant_d.customer WITH CHECK (tenancy.policy_is_tenant('00000000-0000-4000-8000-0000000000d1') AND tenant_id IS NOT NULL);
SELECT * FROM tenancy.drift('d');

-- A role that acts for one tenant, and then for none
SELECT tenancy.revoke_access('regress_app');
SELECT tenancy.grant_access('regress_app', 'd');
SELECT tenancy.create_tenant('e', 'schema', '00000000-0000-4000-8000-0000000000e1');
SELECT object, difference FROM tenancy.drift('e');
SELECT object, difference FROM tenancy.drift('d');
SELECT tenancy.revoke_access('regress_app', 'd');
SELECT object, difference FROM tenancy.drift('d');

DROP EXTENSION tenancy CASCADE;
DROP FUNCTION tried(text);
DROP TABLE change;
DROP SCHEMA my_regress_model, regress_model, regress_crm, tenant_d, tenant_e CASCADE;
DROP OWNED BY regress_owner, regress_app, regress_other CASCADE;
DROP ROLE regress_owner, regress_app, regress_other;
