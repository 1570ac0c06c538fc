--
-- Models that change after they were protected, and models of odd shapes: what
-- nobody has protected yet must be seen to be open, keep shared tenants out,
-- and be closed by the next call; and what can be protected can be copied.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql

\connect - :admin
SET client_min_messages = warning;
SELECT plan(199);

-- What app sees of hooli's rows, in the context of acme.
CREATE FUNCTION t.seen(name text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	seen text;
BEGIN
	PERFORM t.elsewhere('seer', 'app', 'BEGIN');
	PERFORM t.elsewhere('seer', 'app', 'SELECT tenancy.set_tenant(''acme'')');
	BEGIN
		seen := t.elsewhere('seer', 'app', format('SELECT count(*) FROM %s x WHERE x::text LIKE ''%%hooli%%''', name));
	EXCEPTION WHEN OTHERS THEN
		seen := SQLSTATE;
	END;
	PERFORM t.elsewhere('seer', 'app', 'ROLLBACK');
	RETURN seen;
END $$;
CREATE FUNCTION t.intact(name text) RETURNS boolean
LANGUAGE sql AS $$SELECT policies_intact AND row_security FROM tenancy.protected_tables WHERE table_schema = 'shop' AND table_name = name$$;

SELECT is((SELECT count(*) FROM tenancy.protected_tables WHERE policies_intact AND row_security), 6::bigint, 'all of the model is protected');
SELECT is(t.seen('shop.events'), '0', 'control: nothing to be seen');

-- ---------------------------------------------------------------------------
-- What becomes a partition or child later has the policies by the same statement
-- ---------------------------------------------------------------------------
CREATE FUNCTION t.joined(name text, root text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN NEXT is(t.seen('shop.' || name), '0', name || ': nothing of others is to be seen');
	RETURN NEXT ok(t.intact(root), name || ': its tree is protected');
	RETURN NEXT ok(NOT has_table_privilege('app', 'shop.' || name, 'TRUNCATE'), name || ': with the privileges that are too many');
END $$;
SET ROLE shop_owner;
CREATE TABLE shop.later_1 PARTITION OF shop.events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE TABLE shop.later_2 PARTITION OF shop.events_2026 FOR VALUES IN ('later');
CREATE TABLE shop.later_3 (tenant_id uuid NOT NULL, day date NOT NULL, what text NOT NULL);
CREATE TABLE shop.later_4 (tenant_id uuid NOT NULL, day date NOT NULL, what text NOT NULL) PARTITION BY LIST (what);
CREATE TABLE shop.later_5 PARTITION OF shop.later_4 DEFAULT;
CREATE TABLE shop.later_6 (masts integer) INHERITS (shop.assets);
CREATE TABLE shop.later_7 (tenant_id uuid NOT NULL, label text NOT NULL);
RESET ROLE;
INSERT INTO shop.later_1 VALUES (:'hooli', '2030-01-01', 'hooli later');
INSERT INTO shop.later_2 VALUES (:'hooli', '2026-01-01', 'later');
INSERT INTO shop.later_3 VALUES (:'hooli', '2031-01-01', 'hooli later');
INSERT INTO shop.later_4 VALUES (:'hooli', '2032-01-01', 'hooli later');
INSERT INTO shop.later_6 VALUES (:'hooli', 'hooli later');
INSERT INTO shop.later_7 VALUES (:'hooli', 'hooli later');
SELECT is(t.seen('shop.later_5'), '1', 'control: a table that is nobody''s partition');
SELECT is(t.seen('shop.later_7'), '1', 'control: or child');
-- as its owner, and as a superuser
SET ROLE shop_owner;
ALTER TABLE shop.events ATTACH PARTITION shop.later_3 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
RESET ROLE;
ALTER TABLE shop.events ATTACH PARTITION shop.later_4 FOR VALUES FROM ('2032-01-01') TO ('2033-01-01');
ALTER TABLE shop.later_7 INHERIT shop.assets;
SELECT t.joined(name, root) FROM (VALUES ('later_1', 'events'), ('later_2', 'events'), ('later_3', 'events'), ('later_4', 'events'), ('later_5', 'events'),
	('later_6', 'assets'), ('later_7', 'assets')) j (name, root);
CREATE TABLE shop.later_8 PARTITION OF shop.events FOR VALUES FROM ('2033-01-01') TO ('2034-01-01');
GRANT SELECT ON shop.later_8 TO app;
INSERT INTO shop.later_8 VALUES (:'hooli', '2033-01-01', 'hooli later');
SELECT t.joined('later_8', 'events');
-- and as somebody who may act for the owner
CREATE ROLE deputy NOLOGIN IN ROLE shop_owner;
SET ROLE deputy;
CREATE TABLE shop.later_9 PARTITION OF shop.events FOR VALUES FROM ('2034-01-01') TO ('2035-01-01');
GRANT SELECT ON shop.later_9 TO app;
RESET ROLE;
INSERT INTO shop.later_9 VALUES (:'hooli', '2034-01-01', 'hooli later');
SELECT t.joined('later_9', 'events');
SELECT is((SELECT relowner::regrole::text FROM pg_class WHERE oid = 'shop.later_8'::regclass), current_user::text, 'one of a superuser''s stays his');
SELECT is(t.seen('shop.events'), '0', 'nothing is to be seen by the parent''s name');
SELECT is(t.state('CREATE TABLE t.unrelated (tenant_id uuid); CREATE TABLE t.child () INHERITS (t.unrelated); ALTER TABLE t.unrelated ADD a integer; DROP TABLE t.unrelated CASCADE'), '00000', 'other tables are nobody''s business');
SELECT throws_ok('SELECT tenancy.protect_children()', NULL, NULL, 'the event trigger''s function is for nothing else');

-- within CREATE SCHEMA
CREATE SCHEMA later CREATE TABLE later.ship (masts integer) INHERITS (shop.assets) CREATE TABLE boat (oars integer) INHERITS (shop.assets);
SELECT is(tenancy.is_protected(name::regclass), true, name || ': protected in a schema that comes with it') FROM unnest(ARRAY['later.ship', 'later.boat']) AS name;
DROP SCHEMA later CASCADE;
-- What a statement finds there already is let alone: nobody waits for its readers.
SELECT t.elsewhere('reader', 'app', 'BEGIN') \g /dev/null
SELECT t.elsewhere('reader', 'app', 'SELECT tenancy.set_tenant(''acme'')') \g /dev/null
SELECT t.elsewhere('reader', 'app', 'SELECT count(*) FROM shop.later_2') \g /dev/null
SET lock_timeout = '2s';
SELECT is(t.state('CREATE TABLE IF NOT EXISTS shop.events_2026 PARTITION OF shop.events FOR VALUES FROM (''2026-01-01'') TO (''2027-01-01'') PARTITION BY LIST (what)'), '00000', 'IF NOT EXISTS');
SELECT is(t.state('ALTER TABLE IF EXISTS shop.nothing ATTACH PARTITION shop.events_2026 DEFAULT'), '00000', 'IF EXISTS');
RESET lock_timeout;
SELECT t.leave('reader') \g /dev/null
-- The column's name is what it is now, whatever it was when the table was protected.
BEGIN;
ALTER TABLE shop.events RENAME COLUMN tenant_id TO org;
SELECT is(t.state('CREATE TABLE shop.later_10 PARTITION OF shop.events FOR VALUES FROM (''2036-01-01'') TO (''2037-01-01'')'), '00000', 'a partition of a table whose column has another name now');
SELECT is(to_regclass('shop.later_10') IS NOT NULL AND tenancy.is_protected('shop.later_10'), true, 'is protected');
ROLLBACK;

-- in a tenant's schema
SET ROLE shop_owner;
CREATE TABLE tenant_globex.later_1 PARTITION OF tenant_globex.events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
CREATE TABLE tenant_globex.later_2 (tenant_id uuid NOT NULL, day date NOT NULL, what text NOT NULL);
CREATE TABLE tenant_globex.later_3 () INHERITS (tenant_globex.assets);
GRANT SELECT, INSERT ON tenant_globex.later_1, tenant_globex.later_2, tenant_globex.later_3 TO app;
RESET ROLE;
SELECT id AS globex FROM tenancy.tenant WHERE slug = 'globex' \gset
INSERT INTO tenant_globex.later_1 VALUES (:'globex', '2030-01-01', 'hooli');
INSERT INTO tenant_globex.later_2 VALUES (:'globex', '2031-01-01', 'hooli');
INSERT INTO tenant_globex.later_3 VALUES (:'globex', 'hooli');
SELECT is(t.seen('tenant_globex.later_2'), '1', 'control: a table that is nobody''s partition');
ALTER TABLE tenant_globex.events ATTACH PARTITION tenant_globex.later_2 FOR VALUES FROM ('2031-01-01') TO ('2032-01-01');
SELECT is(t.seen('tenant_globex.' || name), '0', 'in a tenant''s schema, ' || name || ' shows nothing to others') FROM unnest(ARRAY['later_1', 'later_2', 'later_3']) AS name;
SELECT t.elsewhere('globex', 'app', $$SELECT tenancy.set_tenant('globex', false)$$) \g /dev/null
SELECT is(t.elsewhere('globex', 'app', format('SELECT count(*) FROM %s', name)), '1', 'and its row to the tenant: ' || name) FROM unnest(ARRAY['later_1', 'later_2', 'later_3']) AS name;
SELECT throws_ok(format($$SELECT t.elsewhere('globex', 'app', $q$INSERT INTO later_3 (tenant_id, label) VALUES (%L, 'planted')$q$)$$, :'hooli'), '42501', NULL, 'which cannot write another one''s');
SELECT t.leave('globex') \g /dev/null
-- A partition that changes hands has the policy of the tenant that it comes to.
SELECT tenancy.create_tenant('umbrella', 'schema') AS umbrella \gset
SET ROLE shop_owner;
CREATE TABLE tenant_globex.handed PARTITION OF tenant_globex.events FOR VALUES FROM ('2045-01-01') TO ('2046-01-01');
CREATE TABLE shop.handed PARTITION OF shop.events FOR VALUES FROM ('2040-01-01') TO ('2041-01-01');
GRANT SELECT ON tenant_globex.handed, shop.handed TO app;
ALTER TABLE tenant_globex.events DETACH PARTITION tenant_globex.handed;
ALTER TABLE shop.events DETACH PARTITION shop.handed;
ALTER TABLE tenant_umbrella.events ATTACH PARTITION tenant_globex.handed FOR VALUES FROM ('2045-01-01') TO ('2046-01-01');
ALTER TABLE tenant_umbrella.events ATTACH PARTITION shop.handed FOR VALUES FROM ('2040-01-01') TO ('2041-01-01');
RESET ROLE;
INSERT INTO tenant_umbrella.events VALUES (:'umbrella', '2045-01-01', 'umbrella'), (:'umbrella', '2040-01-01', 'umbrella');
CREATE FUNCTION t.count_as(tenant text, name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.elsewhere(tenant, 'app', format('SELECT tenancy.set_tenant(%L, false)', tenant));
	RETURN t.elsewhere(tenant, 'app', format('SELECT count(*) FROM %s', name));
END $$;
SELECT is(t.count_as('globex', 'tenant_globex.handed'), '0', 'a partition that goes to another tenant shows nothing to the one that it came from');
SELECT is(t.count_as('umbrella', 'tenant_globex.handed'), '1', 'and its row to whose it is');
SELECT is(t.count_as('umbrella', 'shop.handed'), '1', 'as does one that came from the shared tables');
SELECT is(t.seen('shop.handed'), '0', 'which shows nothing to others');
SELECT bag_eq($$SELECT lint, object FROM tenancy.check_isolation() WHERE object ~ 'handed'$$, $$VALUES
	('inheritance_across_schemas', 'table tenant_globex.handed'), ('inheritance_across_schemas', 'table shop.handed'),
	('isolation_policy_changed', 'policy tenant_isolation on tenant_globex.handed')$$, 'check_isolation() tells that they are in the wrong schema');
ALTER TABLE tenant_globex.handed SET SCHEMA tenant_umbrella;
SELECT is_empty($$SELECT lint, object FROM tenancy.check_isolation() WHERE object ~ '[la].handed'$$, 'and is content with one in the right one');
SELECT is(t.count_as('globex', 'tenant_umbrella.handed'), '0', 'where it is as closed to others');
-- back to the shared tables
ALTER TABLE tenant_umbrella.events DETACH PARTITION tenant_umbrella.handed;
TRUNCATE tenant_umbrella.handed;
ALTER TABLE shop.events ATTACH PARTITION tenant_umbrella.handed FOR VALUES FROM ('2042-01-01') TO ('2043-01-01');
SELECT is(tenancy.is_protected('tenant_umbrella.handed'), true, 'to the shared tables it comes with their policy');
SELECT t.leave('globex'), t.leave('umbrella') \g /dev/null
DROP TABLE tenant_umbrella.handed, shop.handed;
DROP TABLE tenant_globex.later_1, tenant_globex.later_2, tenant_globex.later_3;
DROP TABLE shop.later_1, shop.later_2, shop.later_3, shop.later_4, shop.later_6, shop.later_7, shop.later_8, shop.later_9;
DROP ROLE deputy;
-- without it, what is attached is open until it is protected
ALTER EVENT TRIGGER tenancy_protect DISABLE;

-- ---------------------------------------------------------------------------
-- A partition that comes later
-- ---------------------------------------------------------------------------
SET ROLE shop_owner;
CREATE TABLE shop.events_2027 PARTITION OF shop.events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
RESET ROLE;
INSERT INTO shop.events (tenant_id, day, what) VALUES (:'hooli', '2027-01-01', 'hooli later');
SELECT is(t.seen('shop.events'), '0', 'by its parent''s name, its rows are behind the parent''s policies');
SELECT is(t.intact('events'), false, 'a partition without policies is seen to be there');
SELECT throws_ok($$SELECT tenancy.create_tenant('late')$$, '55000', NULL, 'and keeps new shared tenants out');
SELECT matches(t.error($$SELECT tenancy.create_tenant('late')$$), 'events_2027', 'with its name in the error');
SELECT lives_ok($$SELECT tenancy.protect_table('shop.events')$$, 'protecting the parent again');
SELECT is(t.intact('events'), true, 'closes it');
SELECT is(t.seen('shop.events_2027'), '0', 'by its own name as well');
SELECT ok(NOT has_table_privilege('app', 'shop.events_2027', 'TRUNCATE'), 'with the privileges that are too many');

-- one that was a table of its own, with rows
SET ROLE shop_owner;
CREATE TABLE shop.events_2028 (tenant_id uuid NOT NULL, day date NOT NULL, what text NOT NULL);
RESET ROLE;
INSERT INTO shop.events_2028 VALUES (:'hooli', '2028-01-01', 'hooli attached');
SELECT isnt(t.seen('shop.events_2028'), '0', 'a table that nobody has protected is open: control');
SELECT throws_ok($$SELECT tenancy.create_tenant('late')$$, '55000', NULL, 'and keeps new shared tenants out');
ALTER TABLE shop.events ATTACH PARTITION shop.events_2028 FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');
SELECT is(t.intact('events'), false, 'attached, it is seen to be open');
SELECT throws_ok($$SELECT tenancy.protect_table('shop.events_2028')$$, '42809', NULL, 'a partition is protected with its parent');
SELECT lives_ok($$SELECT tenancy.protect_module('shop')$$, 'as is the whole module');
SELECT is(t.seen('shop.events_2028'), '0', 'which closes it');
SELECT is(t.intact('events'), true, 'and says so');
ALTER TABLE shop.events DETACH PARTITION shop.events_2028;
SELECT is(t.seen('shop.events_2028'), '0', 'detached again, it keeps its policies');
SELECT isnt((SELECT count(*) FROM tenancy.protect_module('shop')), 0::bigint, 'and is registered on its own by the next call');
SELECT is(t.intact('events_2028'), true, 'as it should be');
SELECT lives_ok($$SELECT tenancy.create_tenant('late')$$, 'so that shared tenants may come');

-- ---------------------------------------------------------------------------
-- Children
-- ---------------------------------------------------------------------------
SET ROLE shop_owner;
CREATE TABLE shop.ships (masts integer) INHERITS (shop.assets);
RESET ROLE;
INSERT INTO shop.ships (tenant_id, label, masts) VALUES (:'hooli', 'hooli ship', 3);
SELECT is(t.seen('shop.assets'), '0', 'a child that came later, by its parent''s name');
SELECT is(t.intact('assets'), false, 'is seen to be open');
SELECT isnt(t.seen('shop.ships'), '0', 'which it is: control');
SELECT lives_ok($$SELECT tenancy.protect_table('shop.assets')$$, 'protecting the parent again');
SELECT is(t.seen('shop.ships'), '0', 'closes it');
SET ROLE shop_owner;
ALTER TABLE shop.ships NO INHERIT shop.assets;
RESET ROLE;
SELECT is(t.seen('shop.ships'), '0', 'and it stays closed when it leaves its parent');
DROP TABLE shop.ships;

-- ---------------------------------------------------------------------------
-- Damage, and mending it
-- ---------------------------------------------------------------------------
CREATE FUNCTION t.damage(ddl text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE ddl;
	RETURN NEXT is(t.intact('notes'), false, ddl || ': is seen');
	RETURN NEXT throws_ok($q$SELECT tenancy.create_tenant('late2')$q$, '55000', NULL, ddl || ': keeps shared tenants out');
	PERFORM tenancy.protect_table('shop.notes');
	RETURN NEXT is(t.intact('notes'), true, ddl || ': protect_table() mends it');
	RETURN NEXT ok(tenancy.is_protected('shop.notes'), ddl || ': is_protected() agrees');
END $$;
SELECT t.damage('ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY');
SELECT t.damage('ALTER TABLE shop.notes NO FORCE ROW LEVEL SECURITY');
SELECT t.damage('DROP POLICY tenant_isolation ON shop.notes');
SELECT t.damage('ALTER POLICY tenant_isolation ON shop.notes USING (true)');
SELECT t.damage('ALTER POLICY tenant_isolation ON shop.notes WITH CHECK (true)');
SELECT t.damage('ALTER POLICY tenant_isolation ON shop.notes TO clerk');
SELECT t.damage('ALTER POLICY tenant_isolation ON shop.notes RENAME TO other');
SELECT t.damage($$DROP POLICY tenant_isolation ON shop.notes; CREATE POLICY tenant_isolation ON shop.notes AS PERMISSIVE USING (tenant_id = tenancy.policy_tenant_id())$$);
SELECT t.damage($$DROP POLICY tenant_isolation ON shop.notes; CREATE POLICY tenant_isolation ON shop.notes AS RESTRICTIVE FOR SELECT USING (tenant_id = tenancy.policy_tenant_id())$$);
SELECT t.damage($$DROP POLICY tenant_isolation ON shop.notes; CREATE POLICY tenant_isolation ON shop.notes AS RESTRICTIVE USING (tenant_id = tenancy.policy_tenant_id() OR true)$$);
SELECT t.damage($$DROP POLICY tenant_isolation ON shop.notes; CREATE POLICY tenant_isolation ON shop.notes AS RESTRICTIVE USING (tenant_id = tenancy.current_tenant_id())$$);
SELECT t.damage($$DROP POLICY tenant_isolation ON shop.notes; CREATE POLICY tenant_isolation ON shop.notes AS RESTRICTIVE USING (tenant_id = current_setting('tenancy.tenant_id')::uuid)$$);
SELECT is(t.seen('shop.notes'), '0', 'after all of that, nothing is to be seen');

-- what is not of the wall, but of comfort
ALTER TABLE shop.notes ALTER tenant_id DROP DEFAULT;
ALTER TABLE shop.notes ALTER tenant_id DROP NOT NULL;
SELECT tenancy.protect_table('shop.notes') \g /dev/null
SELECT col_not_null('shop', 'notes', 'tenant_id', 'NOT NULL comes back');
SELECT col_default_is('shop', 'notes', 'tenant_id', 'tenancy.current_tenant_id()', 'as does the default');

-- ---------------------------------------------------------------------------
-- The application's own policies
-- ---------------------------------------------------------------------------
SELECT is(t.seen('shop.messages'), '0', 'a table with a policy of its own');
SELECT t.elsewhere('hooli', 'app', $$SELECT tenancy.set_tenant('hooli', false)$$) \g /dev/null
SELECT is(t.elsewhere('hooli', 'app', 'SELECT string_agg(body, '','') FROM messages'), 'hooli open', 'shows what both allow');
SET ROLE shop_owner;
CREATE POLICY secret_too ON shop.messages USING (true);
RESET ROLE;
SELECT is(t.elsewhere('hooli', 'app', 'SELECT string_agg(body, '','' ORDER BY body) FROM messages'), 'hooli open,hooli secret', 'another permissive one adds to it');
SELECT is(t.seen('shop.messages'), '0', 'but not to anybody else''s');
SET ROLE shop_owner;
DROP POLICY secret_too ON shop.messages;
DROP POLICY not_secret ON shop.messages;
RESET ROLE;
SELECT is(t.elsewhere('hooli', 'app', 'SELECT count(*) FROM messages'), '0', 'without any, nothing is shown');
SELECT tenancy.protect_table('shop.messages') \g /dev/null
SELECT is(t.elsewhere('hooli', 'app', 'SELECT count(*) FROM messages'), '2', 'until it is protected again');
SELECT is(t.seen('shop.messages'), '0', 'for its own tenant only');
SELECT t.leave('hooli') \g /dev/null

-- ---------------------------------------------------------------------------
-- No longer protected
-- ---------------------------------------------------------------------------
SELECT lives_ok($$SELECT tenancy.unprotect_table('shop.notes')$$, 'unprotect_table()');
SELECT isnt(t.seen('shop.notes'), '0', 'opens the table: control');
SELECT throws_ok($$SELECT tenancy.create_tenant('late3')$$, '55000', NULL, 'and keeps shared tenants out');
SELECT tenancy.protect_table('shop.notes') \g /dev/null
SELECT is(t.seen('shop.notes'), '0', 'protecting it closes it');
SELECT is((SELECT count(*) FROM shop.notes), 3::bigint, 'no row was lost by all that');

-- ---------------------------------------------------------------------------
-- Shapes of tables: what can be protected can be copied, with the same SQL.  So can
-- inheritance children, whose parents get the tenant column after they had columns of
-- their own.
-- ---------------------------------------------------------------------------
CREATE FUNCTION t.shape(name text, ddl text) RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL ROLE shop_owner;
	SET LOCAL search_path = shop, public, pg_temp;
	EXECUTE ddl;
	RESET ROLE;
	RESET search_path;
	RETURN NEXT lives_ok($q$SELECT * FROM tenancy.protect_module('shop')$q$, name || ': can be protected');
	RETURN NEXT lives_ok(format($q$SELECT tenancy.create_tenant('shape-%s', 'schema')$q$, name), name || ': and copied');
	RETURN NEXT lives_ok(format($q$SELECT tenancy.create_tenant('shaped-%s')$q$, name), name || ': and serve shared tenants');
END $$;
SELECT t.shape('plain', 'CREATE TABLE s1 (a int PRIMARY KEY)');
SELECT t.shape('no-columns', 'CREATE TABLE s2 ()');
SELECT t.shape('dropped-column', 'CREATE TABLE s3 (a int, b text, c int); ALTER TABLE s3 DROP b');
SELECT t.shape('odd-names', 'CREATE TABLE "S 4" ("Tenant Id" int, "select" text, "a""b" text, "ü" text, CONSTRAINT "C!" CHECK ("select" <> ''x''), UNIQUE ("a""b"))');
SELECT t.shape('self-reference', 'CREATE TABLE s5 (id int PRIMARY KEY, parent int REFERENCES s5)');
SELECT t.shape('circle', 'CREATE TABLE s6a (id int PRIMARY KEY, b int); CREATE TABLE s6b (id int PRIMARY KEY, a int REFERENCES s6a); ALTER TABLE s6a ADD FOREIGN KEY (b) REFERENCES s6b DEFERRABLE INITIALLY DEFERRED');
SELECT t.shape('serial', 'CREATE TABLE s7 (id serial PRIMARY KEY, n bigserial)');
SELECT t.shape('generated', 'CREATE TABLE s8 (a int, b int GENERATED ALWAYS AS (a * 2) STORED)');
SELECT t.shape('exclusion', 'CREATE TABLE s9 (r int4range, EXCLUDE USING gist (r WITH &&))');
SELECT t.shape('types', 'CREATE TYPE mood AS ENUM (''sad'', ''happy''); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE TYPE pair AS (a int, b mood); CREATE TABLE s10 (m mood DEFAULT ''sad'', p positive, q pair, r mood[])');
SELECT t.shape('list-of-hash', 'CREATE TABLE s11 (a int, b text) PARTITION BY LIST (a); CREATE TABLE s11_1 PARTITION OF s11 FOR VALUES IN (1) PARTITION BY HASH (b); CREATE TABLE s11_1_0 PARTITION OF s11_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE s11_1_1 PARTITION OF s11_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE TABLE s11_d PARTITION OF s11 DEFAULT');
SELECT t.shape('unlogged', 'CREATE UNLOGGED TABLE s12 (a int)');
SELECT t.shape('options', 'CREATE TABLE s13 (a text COLLATE "C") WITH (fillfactor = 70, autovacuum_enabled = off); ALTER TABLE s13 ALTER a SET STORAGE EXTERNAL; COMMENT ON TABLE s13 IS ''it''''s a table''; ALTER TABLE s13 REPLICA IDENTITY FULL');
SELECT t.shape('view-on-view', 'CREATE TABLE s14 (a int); CREATE VIEW v14 AS SELECT a FROM s14; CREATE VIEW w14 WITH (security_barrier) AS SELECT a + 1 AS b FROM v14');
SELECT t.shape('function', 'CREATE TABLE s15 (a int); CREATE FUNCTION f15(x s15) RETURNS int LANGUAGE sql AS ''SELECT x.a''; CREATE PROCEDURE p15() LANGUAGE sql AS ''INSERT INTO s15 VALUES (1)''');
SELECT t.shape('trigger', 'CREATE TABLE s16 (a int); CREATE FUNCTION f16() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''; CREATE TRIGGER g BEFORE INSERT ON s16 FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION f16()');
SELECT t.shape('two-parents', 'CREATE TABLE s18a (tenant_id uuid NOT NULL, a int); CREATE TABLE s18b (tenant_id uuid NOT NULL, b int); CREATE TABLE s18c () INHERITS (s18a, s18b)');
SELECT t.shape('children', 'CREATE TABLE s17 (label text); CREATE TABLE s17_child (wheels int) INHERITS (s17)');

SELECT * FROM finish();
