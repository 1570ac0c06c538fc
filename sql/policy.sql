--
-- Protecting shared tables: what is added, who can still read what, repair,
-- privileges, what is refused, undoing it.
--
\set SHOW_CONTEXT never
CREATE EXTENSION tenancy;
-- What becomes a partition or child later has its policies at once (test/pgtap/growth.sql): here is what the functions do without that.
ALTER EVENT TRIGGER tenancy_protect DISABLE;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_other NOLOGIN;
CREATE SCHEMA regress_shop AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA regress_shop TO regress_app;

-- Run a statement that must fail; print its SQLSTATE, message and hint.
CREATE FUNCTION public.refused(sql text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog
AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE sql;
	RETURN 'NOT REFUSED';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', state || ' ' || message,
					 'detail: ' || nullif(detail, ''), 'hint: ' || nullif(hint, ''));
END
$$;
CREATE FUNCTION public.refused_call(rel text, rest text DEFAULT '') RETURNS text
LANGUAGE sql
AS $$ SELECT public.refused(format('SELECT tenancy.protect_table(%L%s)', rel, rest)) $$;

-- What protects a table.
CREATE FUNCTION public.protection(rel regclass)
RETURNS TABLE (name text, rls text, policies text, "column" text, indexes text, keys text)
LANGUAGE sql
AS $$
	SELECT t.relid::regclass::text,
		   CASE WHEN c.relrowsecurity THEN 'on' ELSE 'off' END ||
		   CASE WHEN c.relforcerowsecurity THEN ', forced' ELSE '' END,
		   (SELECT string_agg(polname || CASE WHEN polpermissive THEN ' (permissive)' ELSE ' (restrictive)' END, ', ' ORDER BY polname)
			FROM pg_policy WHERE polrelid = c.oid),
		   (SELECT format('%s %s%s %s', attname, atttypid::regtype, CASE WHEN attnotnull THEN ' not null' END,
						  pg_get_expr(adbin, adrelid))
			FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE attrelid = c.oid AND attname IN ('tenant_id', 'Org "id"')),
		   (SELECT string_agg(pg_get_indexdef(indexrelid, 1, true), ', ' ORDER BY indexrelid::regclass::text)
			FROM pg_index WHERE indrelid = c.oid),
		   (SELECT string_agg(confrelid::regclass::text, ', ' ORDER BY confrelid::regclass::text)
			FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f')
	FROM pg_partition_tree($1) p
	RIGHT JOIN (SELECT p.relid FROM pg_partition_tree($1) p
				UNION SELECT $1 UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = $1) t ON t.relid = p.relid
	JOIN pg_class c ON c.oid = t.relid
	ORDER BY 1
$$;

SELECT tenancy.create_module('shop', 'regress_shop');
SELECT tenancy.create_tenant('alpha', id => 'a1a1a1a1-0000-4000-8000-000000000001') AS alpha \gset
SELECT tenancy.create_tenant('beta', id => 'b2b2b2b2-0000-4000-8000-000000000002') AS beta \gset

--
-- An empty table, from nothing
--
SET ROLE regress_owner;
CREATE TABLE regress_shop.item (id integer PRIMARY KEY, name text);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON regress_shop.item TO regress_app;
GRANT TRUNCATE ON regress_shop.item TO PUBLIC;
RESET ROLE;
SELECT tenancy.grant_access('regress_app');
-- not a table of tenants yet ("m", in PostgreSQL 17 and later, is MAINTAIN)
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'regress_shop.item'::regclass;
SELECT tenancy.protect_table('regress_shop.item');
SELECT * FROM public.protection('regress_shop.item') \gx
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'regress_shop.item'::regclass;
SELECT polname, polpermissive, polcmd, polroles, pg_get_expr(polqual, polrelid), polwithcheck IS NULL AS same_check
FROM pg_policy WHERE polrelid = 'regress_shop.item'::regclass ORDER BY 1;
SELECT * FROM tenancy.protected_tables \gx

-- called again, it has nothing to do
SELECT xmin AS before FROM pg_class WHERE oid = 'regress_shop.item'::regclass \gset
SELECT tenancy.protect_table('regress_shop.item');
SELECT xmin = :'before' AS untouched FROM pg_class WHERE oid = 'regress_shop.item'::regclass;

-- two tenants, each blind to the other
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('alpha') IS NOT NULL AS set;
INSERT INTO item VALUES (1, 'alpha''s');
SELECT public.refused(format('INSERT INTO regress_shop.item VALUES (2, ''smuggled'', %L)', :'beta'));
SELECT public.refused(format('UPDATE regress_shop.item SET tenant_id = %L', :'beta'));
SELECT public.refused('UPDATE regress_shop.item SET tenant_id = NULL');
SELECT public.refused('TRUNCATE regress_shop.item');
SELECT public.refused('ALTER TABLE regress_shop.item DISABLE ROW LEVEL SECURITY');
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('beta') IS NOT NULL AS set;
SELECT * FROM item;
INSERT INTO item VALUES (2, 'beta''s');
SELECT id, name FROM item;
UPDATE item SET name = 'overwritten';
DELETE FROM item WHERE id = 1;
COMMIT;
-- no context: an error, not an empty answer
SELECT public.refused('SELECT FROM regress_shop.item');
SELECT public.refused('INSERT INTO regress_shop.item VALUES (3)');
RESET ROLE;
-- the owner is bound as well
SET ROLE regress_owner;
SELECT public.refused('SELECT FROM regress_shop.item');
RESET ROLE;
SELECT id, name, tenant_id = :'alpha' AS is_alpha FROM regress_shop.item ORDER BY id;

--
-- Rows
--
SET ROLE regress_owner;
CREATE TABLE regress_shop.account (aid integer PRIMARY KEY, balance integer);
INSERT INTO regress_shop.account SELECT i, 100 FROM generate_series(1, 1000) i;
RESET ROLE;
SELECT public.refused_call('regress_shop.account');
SELECT public.refused_call('regress_shop.account', ', assign_to => ''nobody''');
SELECT public.refused_call('regress_shop.account', ', assign_to => ''''');
SELECT public.refused_call('regress_shop.account', ', assign_to => ''2f0c1c2e-0000-4000-8000-000000000000''');
-- nothing has changed
SELECT * FROM public.protection('regress_shop.account') \gx
SELECT pg_relation_filenode('regress_shop.account') AS before \gset
SELECT tenancy.protect_table('regress_shop.account', assign_to => 'alpha');
SELECT pg_relation_filenode('regress_shop.account') = :before AS not_rewritten;
SELECT * FROM public.protection('regress_shop.account') \gx
SELECT count(*), sum(balance), bool_and(tenant_id = :'alpha') AS is_alpha FROM regress_shop.account;

-- rows of a table that has the column already, some of them without a value;
-- nothing that the table's users planted runs, but for an ALWAYS trigger,
-- which has the owner's rights only
SET ROLE regress_owner;
CREATE TABLE regress_shop.parent (id integer PRIMARY KEY);
CREATE TABLE regress_shop.planted (
	id integer PRIMARY KEY,
	tenant_id uuid DEFAULT 'b2b2b2b2-0000-4000-8000-000000000002',
	parent integer REFERENCES regress_shop.parent DEFERRABLE INITIALLY DEFERRED,
	note text
);
CREATE TABLE regress_shop.log (who name, what text);
CREATE FUNCTION regress_shop.log() RETURNS trigger LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO regress_shop.log VALUES (current_user, TG_NAME || ', superuser: ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user));
	RETURN NEW;
END
$$;
INSERT INTO regress_shop.parent VALUES (1);
INSERT INTO regress_shop.planted VALUES (1, :'beta', 1, 'beta''s'), (2, NULL, 1, 'nobody''s'), (3, NULL, NULL, 'nobody''s');
CREATE TRIGGER before_row BEFORE UPDATE ON regress_shop.planted FOR EACH ROW EXECUTE FUNCTION regress_shop.log();
CREATE TRIGGER after_statement AFTER UPDATE ON regress_shop.planted EXECUTE FUNCTION regress_shop.log();
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON regress_shop.planted DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION regress_shop.log();
CREATE RULE instead AS ON UPDATE TO regress_shop.planted DO INSTEAD NOTHING;
RESET ROLE;
SELECT public.refused_call('regress_shop.planted');
BEGIN;
SELECT tenancy.protect_table('regress_shop.planted', assign_to => 'alpha');
SELECT id, note, tenant_id = :'alpha' AS is_alpha FROM regress_shop.planted ORDER BY id;
SELECT * FROM regress_shop.log;
SELECT current_setting('session_replication_role'), current_user = session_user AS same_user;
COMMIT;
SELECT * FROM regress_shop.log;
DROP TABLE regress_shop.planted;
SET ROLE regress_owner;
CREATE TABLE regress_shop.planted (id integer, tenant_id uuid);
INSERT INTO regress_shop.planted VALUES (1);
CREATE TRIGGER always BEFORE UPDATE ON regress_shop.planted FOR EACH ROW EXECUTE FUNCTION regress_shop.log();
ALTER TABLE regress_shop.planted ENABLE ALWAYS TRIGGER always;
RESET ROLE;
SELECT tenancy.protect_table('regress_shop.planted', assign_to => 'alpha');
SELECT * FROM regress_shop.log;
DROP TABLE regress_shop.planted;
-- nor does a setting that it changes outlive the call
SHOW search_path;
SET ROLE regress_owner;
CREATE TABLE regress_shop.planted (id integer, tenant_id uuid);
INSERT INTO regress_shop.planted VALUES (1);
CREATE FUNCTION regress_shop.set_path() RETURNS trigger LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM set_config('search_path', 'regress_shop', false);
	RETURN NEW;
END
$$;
CREATE TRIGGER always BEFORE UPDATE ON regress_shop.planted FOR EACH ROW EXECUTE FUNCTION regress_shop.set_path();
ALTER TABLE regress_shop.planted ENABLE ALWAYS TRIGGER always;
RESET ROLE;
SELECT tenancy.protect_table('regress_shop.planted', assign_to => 'alpha');
SHOW search_path;
DROP TABLE regress_shop.planted;
-- a deferred one cannot run in a restricted operation
SET ROLE regress_owner;
CREATE TABLE regress_shop.planted (id integer, tenant_id uuid);
INSERT INTO regress_shop.planted VALUES (1);
CREATE CONSTRAINT TRIGGER always AFTER UPDATE ON regress_shop.planted DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION regress_shop.log();
ALTER TABLE regress_shop.planted ENABLE ALWAYS TRIGGER always;
RESET ROLE;
SELECT public.refused_call('regress_shop.planted', ', assign_to => ''alpha''');
DROP TABLE regress_shop.planted;

-- constraints that would not be checked
SET ROLE regress_owner;
CREATE TABLE regress_shop.composite (tenant_id uuid, id integer, parent integer,
	UNIQUE (tenant_id, id), FOREIGN KEY (tenant_id, parent) REFERENCES regress_shop.composite (tenant_id, id));
CREATE TABLE regress_shop.deferrable (tenant_id uuid, id integer, UNIQUE (tenant_id, id) DEFERRABLE);
INSERT INTO regress_shop.composite VALUES (NULL, 1, 99);
INSERT INTO regress_shop.deferrable VALUES (NULL, 1), (NULL, 1);
RESET ROLE;
SELECT public.refused_call('regress_shop.composite', ', assign_to => ''alpha''');
SELECT public.refused_call('regress_shop.deferrable', ', assign_to => ''alpha''');
DROP TABLE regress_shop.composite, regress_shop.deferrable;

-- from 18 on, NOT NULL may be for new rows only
SET ROLE regress_owner;
CREATE TABLE regress_shop.earlier (tenant_id uuid);
INSERT INTO regress_shop.earlier VALUES (NULL);
DO $$ BEGIN
	IF current_setting('server_version_num')::int >= 180000 THEN
		EXECUTE 'ALTER TABLE regress_shop.earlier ADD NOT NULL tenant_id NOT VALID';
	END IF;
END $$;
RESET ROLE;
SELECT public.refused_call('regress_shop.earlier');
SELECT tenancy.protect_table('regress_shop.earlier', assign_to => 'alpha');
SELECT count(tenant_id) FROM regress_shop.earlier;
SELECT bool_and(convalidated) FROM pg_constraint WHERE conrelid = 'regress_shop.earlier'::regclass;
SELECT * FROM public.protection('regress_shop.earlier') \gx
DROP TABLE regress_shop.earlier;

-- rows of a tenant that does not exist
SET ROLE regress_owner;
CREATE TABLE regress_shop.unknown (tenant_id uuid);
INSERT INTO regress_shop.unknown VALUES ('2f0c1c2e-0000-4000-8000-000000000000');
RESET ROLE;
SELECT public.refused_call('regress_shop.unknown');
SELECT tenancy.protect_table('regress_shop.unknown', foreign_key => false);
SELECT * FROM public.protection('regress_shop.unknown') \gx
DROP TABLE regress_shop.unknown;

--
-- Partitions
--
SET ROLE regress_owner;
CREATE TABLE regress_shop.event (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE regress_shop.event_2023 PARTITION OF regress_shop.event FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE regress_shop.event_2024 PARTITION OF regress_shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (what);
CREATE TABLE regress_shop.event_2024_a PARTITION OF regress_shop.event_2024 FOR VALUES IN ('a');
INSERT INTO regress_shop.event VALUES ('2023-05-05', 'x'), ('2024-05-05', 'a');
GRANT ALL ON ALL TABLES IN SCHEMA regress_shop TO regress_app;
RESET ROLE;
SELECT public.refused_call('regress_shop.event_2024');
SELECT public.refused_call('regress_shop.event_2024_a');
SELECT public.refused_call('regress_shop.event');
SELECT tenancy.protect_table('regress_shop.event', assign_to => 'alpha');
SELECT * FROM public.protection('regress_shop.event') \gx
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('beta') IS NOT NULL AS set;
INSERT INTO event VALUES ('2024-06-06', 'a');
SELECT at, what FROM event;
SELECT at, what FROM event_2024_a;
SELECT at, what FROM event_2023;
SELECT public.refused('TRUNCATE regress_shop.event_2024_a');
SELECT public.refused(format('INSERT INTO regress_shop.event_2023 VALUES (''2023-06-06'', ''y'', %L)', :'alpha'));
COMMIT;
RESET ROLE;
-- a new partition is open until the next call
SET ROLE regress_owner;
CREATE TABLE regress_shop.event_2025 PARTITION OF regress_shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
GRANT SELECT, TRUNCATE ON regress_shop.event_2025 TO regress_app;
RESET ROLE;
SELECT relation, tables, row_security, policies_intact FROM tenancy.protected_tables ORDER BY relation::text;
SELECT tenancy.protect_table('regress_shop.event');
SELECT * FROM public.protection('regress_shop.event_2025') \gx
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'regress_shop.event_2025'::regclass;
-- a partition that was detached keeps its policies, and is then a table of its own
ALTER TABLE regress_shop.event DETACH PARTITION regress_shop.event_2025;
SELECT tenancy.is_protected('regress_shop.event_2025');
SELECT tenancy.protect_table('regress_shop.event_2025');
SELECT had_row_security, had_force FROM tenancy.protected_table WHERE relation = 'regress_shop.event_2025'::regclass;
-- and attached again, part of the tree again
ALTER TABLE regress_shop.event ATTACH PARTITION regress_shop.event_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
SELECT public.refused_call('regress_shop.event_2025');
SELECT tenancy.protect_table('regress_shop.event');
SELECT relation, tables, row_security, policies_intact FROM tenancy.protected_tables ORDER BY relation::text;
-- the column as partition key
SET ROLE regress_owner;
CREATE TABLE regress_shop.keyed (tenant_id uuid, id integer) PARTITION BY LIST (tenant_id);
CREATE TABLE regress_shop.keyed_alpha PARTITION OF regress_shop.keyed FOR VALUES IN (:'alpha');
CREATE TABLE regress_shop.keyed_null PARTITION OF regress_shop.keyed FOR VALUES IN (NULL);
INSERT INTO regress_shop.keyed VALUES (NULL, 1);
RESET ROLE;
SELECT public.refused_call('regress_shop.keyed', ', assign_to => ''beta''') ~ '^23514' AS refused;
SELECT tenancy.protect_table('regress_shop.keyed', assign_to => 'alpha');
SELECT tableoid::regclass, id FROM regress_shop.keyed;
DROP TABLE regress_shop.keyed;

--
-- Inheritance
--
SET ROLE regress_owner;
CREATE TABLE regress_shop.animal (name text);
CREATE TABLE regress_shop.dog (tricks text) INHERITS (regress_shop.animal);
CREATE TABLE regress_shop.cat (tenant_id uuid) INHERITS (regress_shop.animal);
INSERT INTO regress_shop.cat VALUES ('tom', NULL);
GRANT ALL ON ALL TABLES IN SCHEMA regress_shop TO regress_app;
RESET ROLE;
SELECT public.refused_call('regress_shop.dog');
SELECT public.refused_call('regress_shop.animal');
SELECT tenancy.protect_table('regress_shop.animal', assign_to => 'beta');
SELECT * FROM public.protection('regress_shop.animal') \gx
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('alpha') IS NOT NULL AS set;
INSERT INTO dog (name) VALUES ('rex');
SELECT name FROM animal;
SELECT name FROM cat;
COMMIT;
RESET ROLE;
-- a child with a second parent would be another way to the rows
SET ROLE regress_owner;
CREATE TABLE regress_shop.pet (owner text);
ALTER TABLE regress_shop.dog ADD COLUMN owner text;
ALTER TABLE regress_shop.dog INHERIT regress_shop.pet;
RESET ROLE;
SELECT public.refused_call('regress_shop.animal');
ALTER TABLE regress_shop.dog NO INHERIT regress_shop.pet;
DROP TABLE regress_shop.pet;
-- children that cannot be protected
CREATE FOREIGN DATA WRAPPER regress_policy_wrapper;
CREATE SERVER regress_policy_server FOREIGN DATA WRAPPER regress_policy_wrapper;
SET client_min_messages = warning;
CREATE FOREIGN TABLE regress_shop.remote () INHERITS (regress_shop.animal) SERVER regress_policy_server;
SELECT public.refused_call('regress_shop.animal');
BEGIN;
SELECT tenancy.unprotect_table('regress_shop.animal');
ROLLBACK;
DROP FOREIGN TABLE regress_shop.remote;
CREATE TEMPORARY TABLE temporary_animal () INHERITS (regress_shop.animal);
SELECT regexp_replace(public.refused_call('regress_shop.animal'), 'pg_temp_\d+', 'pg_temp');
DROP TABLE temporary_animal;
CREATE TABLE regress_shop.stray () INHERITS (regress_shop.animal);
ALTER TABLE regress_shop.stray OWNER TO regress_other;
SELECT public.refused_call('regress_shop.animal');
DROP TABLE regress_shop.stray;
RESET client_min_messages;

--
-- Policies of the application
--
SET ROLE regress_owner;
CREATE TABLE regress_shop.doc (id integer, secret boolean);
CREATE POLICY no_secrets ON regress_shop.doc USING (NOT secret);
ALTER TABLE regress_shop.doc ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON regress_shop.doc TO regress_app;
INSERT INTO regress_shop.doc VALUES (1, false), (2, true);
RESET ROLE;
SELECT tenancy.protect_table('regress_shop.doc', assign_to => 'alpha');
SELECT * FROM public.protection('regress_shop.doc') \gx
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('alpha') IS NOT NULL AS set;
SELECT id FROM doc;
COMMIT;
RESET ROLE;
-- one that would let everything through does not pass the wall
CREATE POLICY all_of_it ON regress_shop.doc USING (true) WITH CHECK (true);
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('beta') IS NOT NULL AS set;
SELECT id FROM doc;
COMMIT;
RESET ROLE;
-- a table protected first, and given a policy later
CREATE POLICY later ON regress_shop.item FOR SELECT USING (id < 100);
SELECT tenancy.protect_table('regress_shop.item');
SELECT policies FROM public.protection('regress_shop.item');
DROP POLICY later ON regress_shop.item;
SELECT tenancy.protect_table('regress_shop.item');
SELECT policies FROM public.protection('regress_shop.item');
-- without tenant_isolation, nothing comes through tenant_access
SELECT tenancy.policy_allow('regress_shop.item'::regclass), tenancy.policy_allow('pg_class'::regclass);
SELECT tenancy.policy_allow(NULL);
SELECT tenancy.policy_allow(0);
BEGIN;
SELECT tenancy.policy_allow('tenancy.tenant'::regclass);
-- it holds up nobody
SELECT mode FROM pg_locks WHERE relation = 'tenancy.tenant'::regclass AND pid = pg_backend_pid();
COMMIT;
BEGIN;
DROP POLICY tenant_isolation ON regress_shop.item;
SELECT policies FROM public.protection('regress_shop.item');
SELECT tenancy.policy_allow('regress_shop.item'::regclass);
SET LOCAL ROLE regress_owner;
EXPLAIN (COSTS OFF) SELECT * FROM regress_shop.item;
ROLLBACK;
-- of our names
SET ROLE regress_owner;
CREATE TABLE regress_shop.named (id integer);
CREATE POLICY tenant_isolation ON regress_shop.named USING (true);
RESET ROLE;
SELECT public.refused_call('regress_shop.named');
ALTER POLICY tenant_isolation ON regress_shop.named RENAME TO tenant_access;
SELECT public.refused_call('regress_shop.named');
ALTER POLICY tenant_access ON regress_shop.named USING (tenancy.policy_allow(tableoid));
SELECT tenancy.protect_table('regress_shop.named');
SELECT policies FROM public.protection('regress_shop.named');
SELECT tenancy.unprotect_table('regress_shop.named');
CREATE POLICY tenant_access ON regress_shop.named FOR SELECT USING (true);
SELECT public.refused_call('regress_shop.named');
DROP TABLE regress_shop.named;

--
-- Repairing
--
CREATE FUNCTION public.damage(sql text) RETURNS TABLE (intact boolean, repaired boolean, state text)
LANGUAGE plpgsql
AS $$
BEGIN
	EXECUTE sql;
	intact := tenancy.is_protected('regress_shop.item');
	PERFORM tenancy.protect_table('regress_shop.item');
	repaired := tenancy.is_protected('regress_shop.item');
	state := (SELECT p::text FROM public.protection('regress_shop.item') p);
	RETURN NEXT;
END
$$;
SELECT state AS good FROM public.damage('SELECT 1') \gset
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP POLICY tenant_isolation ON regress_shop.item');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP POLICY tenant_access ON regress_shop.item');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP POLICY tenant_access ON regress_shop.item; CREATE POLICY tenant_access ON regress_shop.item TO regress_other USING (true)');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER POLICY tenant_isolation ON regress_shop.item USING (true)');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER POLICY tenant_isolation ON regress_shop.item USING (tenant_id = tenancy.policy_tenant_id() OR id = 1)');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER POLICY tenant_isolation ON regress_shop.item WITH CHECK (true)');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER POLICY tenant_isolation ON regress_shop.item TO regress_other');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP POLICY tenant_isolation ON regress_shop.item; CREATE POLICY tenant_isolation ON regress_shop.item USING (tenant_id = tenancy.policy_tenant_id())');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP POLICY tenant_isolation ON regress_shop.item; CREATE POLICY tenant_isolation ON regress_shop.item AS RESTRICTIVE FOR SELECT USING (tenant_id = tenancy.policy_tenant_id())');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER TABLE regress_shop.item DISABLE ROW LEVEL SECURITY');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER TABLE regress_shop.item NO FORCE ROW LEVEL SECURITY');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER TABLE regress_shop.item ALTER tenant_id DROP NOT NULL');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER TABLE regress_shop.item ALTER tenant_id DROP DEFAULT');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER TABLE regress_shop.item ALTER tenant_id SET DEFAULT gen_random_uuid()');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP INDEX regress_shop.item_tenant_id_idx');
SELECT intact, repaired, state = :'good' AS same FROM public.damage('DROP INDEX regress_shop.item_tenant_id_idx; CREATE INDEX ON regress_shop.item (tenant_id) WHERE id > 1; ALTER INDEX regress_shop.item_tenant_id_idx RENAME TO partial');
DROP INDEX regress_shop.partial;
SELECT intact, repaired, state = :'good' AS same FROM public.damage('ALTER TABLE regress_shop.item DROP CONSTRAINT item_tenant_id_fkey');
-- an index that leads with the column will do
DROP INDEX regress_shop.item_tenant_id_idx;
CREATE UNIQUE INDEX tenant_and_id ON regress_shop.item (tenant_id, id);
SELECT tenancy.protect_table('regress_shop.item');
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'regress_shop.item'::regclass ORDER BY 1;
DROP INDEX regress_shop.tenant_and_id;
SELECT tenancy.protect_table('regress_shop.item');
-- the policy follows a column that is renamed
ALTER TABLE regress_shop.item RENAME tenant_id TO org;
SELECT tenancy.is_protected('regress_shop.item');
SELECT public.refused_call('regress_shop.item');
SELECT tenancy.protect_table('regress_shop.item', 'org');
SELECT tenant_column FROM tenancy.protected_tables WHERE table_name = 'item';
ALTER TABLE regress_shop.item RENAME org TO tenant_id;
SELECT tenancy.protect_table('regress_shop.item', 'tenant_id');

--
-- Privileges
--
CREATE ROLE regress_group NOLOGIN;
CREATE ROLE regress_holder NOLOGIN;
GRANT regress_group TO regress_app;
GRANT USAGE ON SCHEMA regress_shop TO regress_holder;
SET ROLE regress_owner;
GRANT SELECT, TRUNCATE ON regress_shop.item TO regress_group, regress_other;
GRANT TRIGGER, REFERENCES ON regress_shop.item TO regress_holder WITH GRANT OPTION;
GRANT REFERENCES (id) ON regress_shop.item TO PUBLIC;
GRANT REFERENCES (name) ON regress_shop.item TO regress_app;
SET ROLE regress_holder;
GRANT TRIGGER ON regress_shop.item TO regress_app;
RESET ROLE;
BEGIN;
SELECT tenancy.protect_table('regress_shop.item');
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'regress_shop.item'::regclass;
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'regress_shop.item'::regclass AND attnum IN (1, 2) ORDER BY 1;
ROLLBACK;
-- grant_access does it as well, and leaves other tables alone
SELECT tenancy.revoke_access('regress_app');
SET ROLE regress_owner;
CREATE TABLE regress_shop.unprotected (id integer);
GRANT ALL ON regress_shop.unprotected TO regress_app;
RESET ROLE;
SELECT tenancy.grant_access('regress_app', 'alpha');
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'regress_shop.item'::regclass;
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'regress_shop.item'::regclass AND attnum = 2 ORDER BY 1;
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'regress_shop.unprotected'::regclass;
DROP TABLE regress_shop.unprotected;
-- an owner that is an access role, or that one can become
CREATE TABLE regress_shop.owned (id integer);
ALTER TABLE regress_shop.owned OWNER TO regress_app;
SELECT public.refused_call('regress_shop.owned');
ALTER TABLE regress_shop.owned OWNER TO regress_group;
SELECT public.refused_call('regress_shop.owned');
-- an owner without the rights that it takes
ALTER TABLE regress_shop.owned OWNER TO regress_other;
SELECT public.refused_call('regress_shop.owned');
GRANT USAGE ON SCHEMA regress_shop TO regress_other;
SELECT public.refused_call('regress_shop.owned');
CREATE INDEX ON regress_shop.owned (id);
GRANT CREATE ON SCHEMA regress_shop TO regress_other;
SELECT tenancy.protect_table('regress_shop.owned');
SELECT tenancy.is_protected('regress_shop.owned');
DROP TABLE regress_shop.owned;
-- a role that was given the function, and no other right
CREATE ROLE regress_admin NOLOGIN;
GRANT USAGE ON SCHEMA tenancy, regress_shop TO regress_admin;
GRANT EXECUTE ON FUNCTION tenancy.protect_table, tenancy.unprotect_table, tenancy.protect_module TO regress_admin;
CREATE TABLE regress_shop.administered (id integer);
ALTER TABLE regress_shop.administered OWNER TO regress_owner;
INSERT INTO regress_shop.administered VALUES (1);
SET ROLE regress_admin;
SELECT tenancy.protect_table('regress_shop.administered', assign_to => 'alpha');
SELECT public.refused('SELECT FROM regress_shop.administered');
SELECT public.refused_call('pg_catalog.pg_authid');
SELECT tenancy.unprotect_table('regress_shop.administered');
RESET ROLE;
DROP TABLE regress_shop.administered;
-- a superuser's table
SELECT rolname AS super FROM pg_roles WHERE oid = 10 \gset
CREATE TABLE regress_shop.supers (tenant_id uuid);
ALTER TABLE regress_shop.supers OWNER TO :"super";
INSERT INTO regress_shop.supers VALUES (NULL);
\set VERBOSITY sqlstate
SELECT tenancy.protect_table('regress_shop.supers', assign_to => 'alpha');
TRUNCATE regress_shop.supers;
SELECT tenancy.protect_table('regress_shop.supers');
\set VERBOSITY default
SELECT tenancy.is_protected('regress_shop.supers');
DROP TABLE regress_shop.supers;

--
-- What cannot be protected
--
SET ROLE regress_owner;
CREATE VIEW regress_shop.a_view AS SELECT 1 AS id;
CREATE MATERIALIZED VIEW regress_shop.a_matview AS SELECT 1 AS id;
CREATE SEQUENCE regress_shop.a_sequence;
CREATE TYPE regress_shop.a_type AS (id integer);
RESET ROLE;
CREATE FOREIGN TABLE regress_shop.a_foreign_table (id integer) SERVER regress_policy_server;
CREATE TEMPORARY TABLE a_temporary_table (id integer);
SELECT public.refused_call('regress_shop.a_view');
SELECT public.refused_call('regress_shop.a_matview');
SELECT public.refused_call('regress_shop.a_sequence');
SELECT public.refused_call('regress_shop.a_type');
SELECT public.refused_call('regress_shop.a_foreign_table');
SELECT public.refused_call('regress_shop.item_pkey');
SELECT public.refused_call('a_temporary_table');
SELECT public.refused_call('pg_catalog.pg_class');
SELECT public.refused_call('information_schema.sql_features');
SELECT public.refused_call('tenancy.tenant');
SELECT public.refused(format('SELECT tenancy.protect_table(%s::oid::regclass)', reltoastrelid)) ~ '^42809 .*is not a table' AS toast_refused
FROM pg_class WHERE oid = 'regress_shop.item'::regclass;
SELECT public.refused_call('1');
SELECT public.refused_call('regress_shop.nothing');
SET client_min_messages = warning;
DROP FOREIGN DATA WRAPPER regress_policy_wrapper CASCADE;
RESET client_min_messages;
DROP MATERIALIZED VIEW regress_shop.a_matview;
DROP SEQUENCE regress_shop.a_sequence;
DROP TYPE regress_shop.a_type;
DROP TABLE a_temporary_table;
-- a table of an extension, which a module does not count as its own
CREATE TABLE regress_shop.member (id integer);
ALTER EXTENSION plpgsql ADD TABLE regress_shop.member;
SELECT public.refused_call('regress_shop.member');
-- a tenant's own schema; a plug-in's; and a table under the policy of a tenant
INSERT INTO tenancy.tenant (id, slug, mode, schema_name)
VALUES ('c3c3c3c3-0000-4000-8000-000000000003', 'gamma', 'schema', 'tenant_gamma');
CREATE SCHEMA regress_extra AUTHORIZATION regress_owner;
SELECT tenancy.create_module('extra', 'regress_extra');
INSERT INTO tenancy.tenant_module VALUES ('c3c3c3c3-0000-4000-8000-000000000003', 'extra');
CREATE SCHEMA tenant_gamma AUTHORIZATION regress_owner;
CREATE SCHEMA tenant_gamma_plugin_extra AUTHORIZATION regress_owner;
CREATE SCHEMA tenant_nobody AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE tenant_gamma.own (id integer);
CREATE TABLE tenant_gamma_plugin_extra.own (id integer);
CREATE TABLE tenant_nobody.own (id integer);
CREATE POLICY tenant_isolation ON tenant_gamma.own AS RESTRICTIVE
	USING (tenancy.policy_is_tenant('c3c3c3c3-0000-4000-8000-000000000003'));
GRANT ALL ON tenant_gamma.own TO regress_app;
CREATE TABLE regress_shop.copied (id integer);
CREATE POLICY tenant_isolation ON regress_shop.copied AS RESTRICTIVE
	USING (tenancy.policy_is_tenant('c3c3c3c3-0000-4000-8000-000000000003'));
RESET ROLE;
SELECT public.refused_call('tenant_gamma.own');
SELECT public.refused_call('tenant_gamma_plugin_extra.own');
SELECT public.refused_call('regress_shop.copied');
SELECT tenancy.protect_table('tenant_nobody.own');
SELECT public.refused_call('regress_shop.item', ', assign_to => ''gamma''');
-- what an access role must not hold, it must not hold there either
SELECT tenancy.grant_access('regress_app', 'alpha');
SELECT regexp_replace(relacl::text, 'm\*?/', '/', 'g') AS relacl FROM pg_class WHERE oid = 'tenant_gamma.own'::regclass;
SET client_min_messages = warning;
DROP SCHEMA tenant_gamma, tenant_gamma_plugin_extra, tenant_nobody CASCADE;
RESET client_min_messages;
DROP TABLE regress_shop.copied;
DELETE FROM tenancy.tenant WHERE slug = 'gamma';
-- columns
SET ROLE regress_owner;
CREATE TABLE regress_shop.col (
	number integer,
	domain information_schema.sql_identifier,
	generated uuid GENERATED ALWAYS AS ('2f0c1c2e-0000-4000-8000-000000000000') STORED
);
RESET ROLE;
SELECT public.refused_call('regress_shop.col', ', ''number''');
SELECT public.refused_call('regress_shop.col', ', ''domain''');
SELECT public.refused_call('regress_shop.col', ', ''generated''');
SELECT public.refused_call('regress_shop.col', ', ''ctid''');
SELECT public.refused_call('regress_shop.col', ', ''''');
SELECT public.refused_call('regress_shop.col', ', NULL');
SELECT public.refused_call('regress_shop.col', ', foreign_key => NULL');
SELECT public.refused('SELECT tenancy.protect_table(NULL)');
SELECT public.refused('SELECT tenancy.unprotect_table(NULL)');
SELECT public.refused('SELECT tenancy.protect_module(NULL)');
SELECT public.refused('SELECT tenancy.protect_module(''shop'', NULL)');
SELECT public.refused('SELECT tenancy.protect_module(''nothing'')');
SELECT public.refused('SELECT tenancy.is_protected(NULL)');
SELECT tenancy.is_protected(1);
SELECT * FROM public.protection('regress_shop.col') \gx
DROP TABLE regress_shop.col;
-- a table in use
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM regress_shop.parent;
FETCH c;
SELECT public.refused_call('regress_shop.parent');
ROLLBACK;
-- without rights
SET ROLE regress_app;
SELECT public.refused_call('regress_shop.parent');
SELECT public.refused('SELECT tenancy.unprotect_table(''regress_shop.item'')');
SELECT public.refused('SELECT tenancy.protect_module(''shop'')');
SELECT public.refused('SELECT tenancy.is_protected(''regress_shop.item'')');
SELECT public.refused('SELECT FROM tenancy.protected_tables');
RESET ROLE;

--
-- Names
--
CREATE SCHEMA "Regress ""X""" AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE "Regress ""X"""."Ta""ble, it's" (id integer);
CREATE TABLE "Regress ""X""".this_name_is_as_long_as_postgresql_lets_names_be_sixty_three_by (id integer);
CREATE TABLE "Regress ""X"""."select" (id integer);
INSERT INTO "Regress ""X"""."Ta""ble, it's" VALUES (1);
RESET ROLE;
SELECT tenancy.protect_table('"Regress ""X"""."Ta""ble, it''s"', 'Org "id"', assign_to => 'beta');
SELECT tenancy.protect_table('"Regress ""X""".this_name_is_as_long_as_postgresql_lets_names_be_sixty_three_by',
	'a_column_of_this_name_is_as_long_as_it_may_be_sixty_three_bytes');
SELECT tenancy.protect_table('"Regress ""X"""."select"', 'from');
SELECT * FROM public.protection('"Regress ""X"""."Ta""ble, it''s"') \gx
SELECT tenancy.protect_table('"Regress ""X"""."Ta""ble, it''s"', 'Org "id"');
SELECT table_schema, table_name, tenant_column, module, tables, row_security, policies_intact
FROM tenancy.protected_tables WHERE table_schema LIKE 'Regress%' ORDER BY table_name;
SELECT tenancy.unprotect_table(relation) FROM tenancy.protected_tables WHERE table_schema LIKE 'Regress%';
SELECT * FROM public.protection('"Regress ""X"""."Ta""ble, it''s"') \gx
SET client_min_messages = warning;
DROP SCHEMA "Regress ""X""" CASCADE;
RESET client_min_messages;

--
-- Unprotecting
--
SELECT public.refused('SELECT tenancy.unprotect_table(1)');
SELECT public.refused('SELECT tenancy.unprotect_table(''regress_shop.parent'')');
SELECT public.refused('SELECT tenancy.unprotect_table(''regress_shop.event_2023'')');
SELECT public.refused('SELECT tenancy.unprotect_table(''regress_shop.a_view'')');
SELECT tenancy.unprotect_table('regress_shop.event');
SELECT * FROM public.protection('regress_shop.event') \gx
SELECT tenancy.unprotect_table('regress_shop.animal');
SELECT * FROM public.protection('regress_shop.animal') \gx
-- as it was: row security on, not forced
SELECT tenancy.unprotect_table('regress_shop.doc');
SELECT * FROM public.protection('regress_shop.doc') \gx
SELECT tenancy.unprotect_table('regress_shop.item');
SELECT * FROM public.protection('regress_shop.item') \gx
SELECT public.refused('SELECT tenancy.unprotect_table(''regress_shop.item'')');
SELECT id, name, tenant_id = :'alpha' AS is_alpha FROM regress_shop.item ORDER BY id;
-- and again
SELECT tenancy.protect_table('regress_shop.item');
SELECT * FROM public.protection('regress_shop.item') \gx
SELECT tenancy.protect_table('regress_shop.event');
-- a default of the table's own is not ours to drop
ALTER TABLE regress_shop.item ALTER tenant_id SET DEFAULT gen_random_uuid();
BEGIN;
SELECT tenancy.unprotect_table('regress_shop.item');
SELECT "column" FROM public.protection('regress_shop.item');
ROLLBACK;
SELECT tenancy.protect_table('regress_shop.item');

--
-- A module
--
-- nothing is changed while there are rows without a tenant
SELECT public.refused('SELECT tenancy.protect_module(''shop'')');
SELECT relation FROM tenancy.protected_tables ORDER BY relation::text;
-- and nobody's rows can live in the module's tables
SELECT public.refused('SELECT tenancy.create_tenant(''delta'')');
DROP TABLE regress_shop.log CASCADE;
SELECT tenancy.protect_table('regress_shop.parent', assign_to => 'alpha');
SELECT protect_module FROM tenancy.protect_module('shop') ORDER BY protect_module::text;
SELECT protect_module FROM tenancy.protect_module('shop');
SELECT tenancy.create_tenant('delta') IS NOT NULL AS created;
SELECT relation, tenant_column, module, tables, row_security, policies_intact FROM tenancy.protected_tables ORDER BY relation::text;
-- a table by another column, or without a foreign key, stays as it is
SELECT tenancy.unprotect_table('regress_shop.doc');
SELECT tenancy.protect_table('regress_shop.doc', foreign_key => false);
SELECT tenancy.unprotect_table('regress_shop.item');
ALTER TABLE regress_shop.item RENAME tenant_id TO org_id;
SELECT tenancy.protect_table('regress_shop.item', 'org_id');
SELECT tenancy.protect_module('shop');
SELECT keys FROM public.protection('regress_shop.doc');
-- what is missing is added, with children of two parents too
SET ROLE regress_owner;
CREATE TABLE regress_shop.mother (a integer);
CREATE TABLE regress_shop.father (b integer);
CREATE TABLE regress_shop.child () INHERITS (regress_shop.mother, regress_shop.father);
RESET ROLE;
DROP POLICY tenant_isolation ON regress_shop.item;
SELECT protect_module FROM tenancy.protect_module('shop') ORDER BY protect_module::text;
SELECT protect_module FROM tenancy.protect_module('shop') ORDER BY protect_module::text;
-- a module without tables
CREATE SCHEMA regress_empty AUTHORIZATION regress_owner;
SELECT tenancy.create_module('empty', 'regress_empty');
SELECT tenancy.protect_module('empty');

--
-- Dropped tables
--
SELECT 'regress_shop.item'::regclass::oid AS item \gset
DROP TABLE regress_shop.item;
SELECT count(*) AS dangling FROM tenancy.protected_table WHERE relation = :item;
SELECT public.refused_call(:'item') = format('42P01 relation with OID %s does not exist', :'item') AS refused;
SELECT public.refused(format('SELECT tenancy.unprotect_table(%s)', :'item')) = format('42P01 relation with OID %s does not exist', :'item') AS refused;
SELECT relation FROM tenancy.protected_tables ORDER BY relation::text;
-- the same OID for another table: the old row means nothing
SET ROLE regress_owner;
CREATE TABLE regress_shop.reborn (tenant_id uuid);
ALTER TABLE regress_shop.reborn ENABLE ROW LEVEL SECURITY;
RESET ROLE;
UPDATE tenancy.protected_table SET relation = 'regress_shop.reborn'::regclass WHERE relation = :item;
SELECT public.refused('SELECT tenancy.unprotect_table(''regress_shop.reborn'')');
SELECT tenancy.protect_table('regress_shop.reborn');
SELECT tenant_column, had_row_security, had_force FROM tenancy.protected_table WHERE relation = 'regress_shop.reborn'::regclass;

-- a partition that nobody protected counts
SET ROLE regress_owner;
CREATE TABLE regress_shop.event_2026 PARTITION OF regress_shop.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
RESET ROLE;
SELECT public.refused('SELECT tenancy.create_tenant(''epsilon'')');

--
-- The extension gone, the tables are closed, not open
--
SET client_min_messages = warning;
DROP EXTENSION tenancy CASCADE;
RESET client_min_messages;
GRANT SELECT ON regress_shop.account TO regress_app;
SET ROLE regress_app;
SELECT count(*) FROM regress_shop.account;
RESET ROLE;
SELECT * FROM public.protection('regress_shop.account') \gx

SET client_min_messages = warning;
ALTER EXTENSION plpgsql DROP TABLE regress_shop.member;
DROP SCHEMA regress_shop, regress_empty, regress_extra CASCADE;
DROP FUNCTION public.refused(text), public.refused_call(text, text),
	public.protection(regclass), public.damage(text);
DROP ROLE regress_owner, regress_app, regress_other, regress_group, regress_holder, regress_admin;
