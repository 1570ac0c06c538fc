--
-- check_isolation(): each lint is shown to find nothing in a clean database,
-- to find what is broken and nothing else, and to be content with its fix.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
\pset fieldsep ' | '
CREATE EXTENSION tenancy;
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_other NOLOGIN;
CREATE ROLE regress_bypass NOLOGIN BYPASSRLS;
CREATE ROLE regress_super NOLOGIN SUPERUSER;

-- Nothing there yet
SELECT * FROM tenancy.check_isolation();

-- Whatever a superuser alone may see is not for everybody.
SET ROLE regress_app;
SELECT * FROM tenancy.check_isolation();
RESET ROLE;

--
-- A clean application: shared tenants, tenants in schemas and in a database
--
CREATE SCHEMA regress_ref AUTHORIZATION regress_owner;
CREATE SCHEMA regress_shop AUTHORIZATION regress_owner;
CREATE SCHEMA regress_aside AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_ref.country (code text PRIMARY KEY);
CREATE SEQUENCE regress_shop.number;
CREATE TABLE regress_shop.category (tenant_id uuid, id int, name text, PRIMARY KEY (tenant_id, id));
CREATE TABLE regress_shop.item (tenant_id uuid, id int, category int, country text,
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, category) REFERENCES regress_shop.category ON DELETE SET NULL (category));
CREATE TABLE regress_shop.note (body text);
CREATE TABLE regress_shop.event (tenant_id uuid, at date, PRIMARY KEY (tenant_id, at)) PARTITION BY RANGE (at);
CREATE TABLE regress_shop.event_1 PARTITION OF regress_shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
GRANT USAGE ON SCHEMA regress_ref, regress_shop TO regress_app;
GRANT SELECT ON regress_ref.country TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_shop TO regress_app;
RESET ROLE;
SELECT tenancy.create_module('shop', 'regress_shop');
SELECT tenancy.protect_module('shop');
SELECT tenancy.create_tenant('ann', id => 'a1a1a1a1-0000-4000-8000-000000000001');
SELECT tenancy.create_tenant('bob', id => 'a1a1a1a1-0000-4000-8000-000000000002');
SELECT tenancy.create_tenant('sam', 'schema', id => 'a1a1a1a1-0000-4000-8000-000000000003');
SELECT tenancy.create_tenant('sue', 'schema', id => 'a1a1a1a1-0000-4000-8000-000000000004');
SELECT tenancy.create_tenant('lintdb', 'database', id => 'a1a1a1a1-0000-4000-8000-000000000005');
SELECT tenancy.grant_access('regress_app');
ALTER TABLE regress_shop.item ADD FOREIGN KEY (country) REFERENCES regress_ref.country;
SELECT * FROM tenancy.check_isolation();

/*
 * Break something that was clean; show the findings with their fixes, apply
 * these (or, where a finding has none, what the DBA did), and check that the
 * database is clean again; then undo what is left of the breakage.
 */
CREATE FUNCTION public.prove(break text, undo text DEFAULT NULL, by_hand text DEFAULT NULL)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
DECLARE
	f record;
	n int;
BEGIN
	SELECT count(*) INTO n FROM tenancy.check_isolation();
	IF n > 0 THEN
		RAISE EXCEPTION 'not clean to begin with: % findings', n;
	END IF;
	EXECUTE break;
	FOR f IN SELECT * FROM tenancy.check_isolation()
	LOOP
		RETURN NEXT format('%s: %s: %s', f.severity, f.lint, f.object);
		RETURN NEXT coalesce(regexp_replace(replace(f.fix, format('OWNER TO %I', session_user), 'OWNER TO (superuser)'), '^', '    ', 'gn'), '    (no fix)');
		IF f.detail IS NULL OR f.detail !~ '\.$' THEN
			RAISE EXCEPTION 'finding without a detail: %', f;
		END IF;
		IF f.fix IS NOT NULL THEN
			EXECUTE f.fix;
		END IF;
	END LOOP;
	IF by_hand IS NOT NULL THEN
		EXECUTE by_hand;
	END IF;
	FOR f IN SELECT * FROM tenancy.check_isolation()
	LOOP
		RETURN NEXT format('STILL: %s: %s', f.lint, f.object);
	END LOOP;
	IF undo IS NOT NULL THEN
		EXECUTE undo;
	END IF;
END
$$;

--
-- Row security and the policies
--
SELECT public.prove('ALTER TABLE regress_shop.item DISABLE ROW LEVEL SECURITY');
SELECT public.prove('ALTER TABLE tenant_sam.item DISABLE ROW LEVEL SECURITY');
SELECT public.prove('ALTER TABLE regress_shop.event_1 NO FORCE ROW LEVEL SECURITY');
SELECT public.prove('ALTER TABLE tenant_sam.note NO FORCE ROW LEVEL SECURITY');
SELECT public.prove('DROP POLICY tenant_isolation ON regress_shop.item');
SELECT public.prove('DROP POLICY tenant_isolation ON tenant_sam.item');
SELECT public.prove('ALTER POLICY tenant_isolation ON regress_shop.item TO regress_app');
SELECT public.prove('ALTER POLICY tenant_isolation ON regress_shop.item USING (tenant_id = tenancy.policy_tenant_id() OR id = 1)');
SELECT public.prove('ALTER POLICY tenant_isolation ON regress_shop.item WITH CHECK (true)');
SELECT public.prove('ALTER POLICY tenant_isolation ON tenant_sam.item USING (tenancy.policy_is_tenant(''a1a1a1a1-0000-4000-8000-000000000004''))');
SELECT public.prove('ALTER POLICY tenant_isolation ON tenant_sam.item USING (id > 0)');
SELECT public.prove('ALTER POLICY tenant_isolation ON tenant_sam.item WITH CHECK (true)');
-- who renames the column, whose name is noted, is told the new one
SELECT public.prove('ALTER TABLE regress_shop.note RENAME COLUMN tenant_id TO owned_by',
	'ALTER TABLE regress_shop.note RENAME COLUMN owned_by TO tenant_id; SELECT tenancy.protect_table(''regress_shop.note'')');
SELECT public.prove('DROP POLICY tenant_isolation ON regress_shop.note; CREATE POLICY tenant_isolation ON regress_shop.note USING (tenant_id = tenancy.policy_tenant_id())');
-- one that comes later has its policies at once, unless somebody has kept the event trigger from it
SELECT public.prove('CREATE TABLE regress_shop.event_2 PARTITION OF regress_shop.event FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01''); ALTER TABLE regress_shop.event_2 OWNER TO regress_owner', 'DROP TABLE regress_shop.event_2');
SELECT public.prove('ALTER EVENT TRIGGER tenancy_protect DISABLE; CREATE TABLE regress_shop.event_2 PARTITION OF regress_shop.event FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01''); ALTER EVENT TRIGGER tenancy_protect ENABLE; ALTER TABLE regress_shop.event_2 OWNER TO regress_owner',
	'DROP TABLE regress_shop.event_2');
SELECT public.prove('ALTER EVENT TRIGGER tenancy_protect DISABLE');
SELECT public.prove('ALTER TABLE tenancy.access ENABLE TRIGGER invalidate');
SELECT public.prove('ALTER TABLE tenancy.tenant DISABLE TRIGGER invalidate');
-- nor is it there for tables of owners without rights on the tree, and for foreign tables
SELECT public.prove('CREATE TABLE regress_aside.loose (tenant_id uuid NOT NULL, at date NOT NULL); CREATE TABLE regress_aside.free (LIKE regress_aside.loose);
	ALTER TABLE regress_aside.loose OWNER TO regress_other; ALTER TABLE regress_aside.free OWNER TO regress_other;
	ALTER TABLE regress_shop.event ATTACH PARTITION regress_aside.loose FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01'');
	ALTER TABLE regress_shop.event ATTACH PARTITION regress_aside.free DEFAULT',
	'DROP TABLE regress_aside.loose, regress_aside.free');
SELECT public.prove('CREATE TABLE tenant_sam.loose (tenant_id uuid NOT NULL, at date NOT NULL); ALTER TABLE tenant_sam.loose OWNER TO regress_other;
	ALTER TABLE tenant_sam.event ATTACH PARTITION tenant_sam.loose FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01'')',
	'DROP TABLE tenant_sam.loose');
SELECT public.prove('CREATE TABLE regress_aside.loose (tenant_id uuid NOT NULL, at date NOT NULL); ALTER TABLE regress_aside.loose OWNER TO regress_other;
	ALTER TABLE tenant_sam.event ATTACH PARTITION regress_aside.loose FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01'')',
	'DROP TABLE regress_aside.loose');
CREATE FOREIGN DATA WRAPPER regress_fdw;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_fdw;
SELECT public.prove('CREATE FOREIGN TABLE regress_aside.away () INHERITS (regress_shop.note) SERVER regress_server',
	'DROP FOREIGN TABLE regress_aside.away');
SELECT public.prove('CREATE FOREIGN TABLE regress_aside.away () INHERITS (tenant_sam.note) SERVER regress_server',
	'DROP FOREIGN TABLE regress_aside.away');
SELECT public.prove('CREATE FOREIGN TABLE tenant_sam.away () INHERITS (tenant_sam.note) SERVER regress_server; GRANT SELECT ON tenant_sam.away TO regress_app',
	'DROP FOREIGN TABLE tenant_sam.away');
SELECT public.prove('CREATE TABLE tenant_sam.event_2 PARTITION OF tenant_sam.event FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01''); ALTER TABLE tenant_sam.event_2 OWNER TO regress_owner;
	ALTER TABLE tenant_sam.event DETACH PARTITION tenant_sam.event_2; ALTER EVENT TRIGGER tenancy_protect DISABLE;
	ALTER TABLE tenant_sam.event_2 SET SCHEMA tenant_sue; ALTER TABLE tenant_sue.event ATTACH PARTITION tenant_sue.event_2 FOR VALUES FROM (''2025-01-01'') TO (''2026-01-01''); ALTER EVENT TRIGGER tenancy_protect ENABLE',
	'DROP TABLE tenant_sue.event_2');
SELECT public.prove('CREATE TABLE regress_shop.stray (id int); ALTER TABLE regress_shop.stray OWNER TO regress_owner',
	'SELECT tenancy.unprotect_table(''regress_shop.stray''); DROP TABLE regress_shop.stray');
SELECT public.prove('CREATE TABLE regress_aside.loose (tenant_id uuid); ALTER TABLE regress_aside.loose OWNER TO regress_owner, ENABLE ROW LEVEL SECURITY;
	CREATE POLICY mine ON regress_aside.loose USING (tenant_id = tenancy.current_tenant_id())',
	'SELECT tenancy.unprotect_table(''regress_aside.loose''); DROP TABLE regress_aside.loose');
CREATE FUNCTION regress_aside.allowed() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS 'SELECT true';
ALTER FUNCTION regress_aside.allowed() OWNER TO regress_owner;
CREATE POLICY allowed ON regress_shop.note AS RESTRICTIVE USING (regress_aside.allowed());
SELECT public.prove('ALTER FUNCTION regress_aside.allowed() IMMUTABLE');
SELECT public.prove('ALTER FUNCTION tenancy.policy_tenant_id() IMMUTABLE');
SELECT public.prove('ALTER FUNCTION regress_aside.allowed() OWNER TO regress_other');
SELECT public.prove('ALTER FUNCTION tenancy.current_tenant_id() OWNER TO regress_owner');
DROP POLICY allowed ON regress_shop.note;
CREATE FUNCTION regress_aside.called() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION regress_aside.value(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
ALTER FUNCTION regress_aside.called() OWNER TO regress_owner;
ALTER FUNCTION regress_aside.value(int) OWNER TO regress_owner;
CREATE TRIGGER called BEFORE INSERT ON regress_shop.note FOR EACH ROW EXECUTE FUNCTION regress_aside.called();
CREATE INDEX item_value ON regress_shop.item (tenant_id, regress_aside.value(id));
SELECT public.prove('ALTER FUNCTION regress_aside.called() OWNER TO regress_app');
SELECT public.prove('ALTER FUNCTION regress_aside.value(int) OWNER TO regress_app');
DROP TRIGGER called ON regress_shop.note;
DROP INDEX regress_shop.item_value;
SELECT public.prove('ALTER FUNCTION regress_aside.value(int) OWNER TO regress_app; ALTER TABLE tenant_sam.item ADD CONSTRAINT c CHECK (regress_aside.value(id) > 0)', 'ALTER TABLE tenant_sam.item DROP CONSTRAINT c');
DROP FUNCTION regress_aside.called(), regress_aside.value(int);
SELECT public.prove('CREATE POLICY setting ON regress_shop.note AS RESTRICTIVE USING (current_setting(''app.tenant'', true) = body)',
	NULL, 'DROP POLICY setting ON regress_shop.note');
SELECT public.prove('CREATE POLICY mine ON regress_shop.note USING (body <> '''')', 'DROP POLICY mine ON regress_shop.note; SELECT tenancy.protect_table(''regress_shop.note'')');
SELECT public.prove('CREATE POLICY mine ON tenant_sam.note USING (body <> '''')', 'DROP POLICY mine ON tenant_sam.note; CREATE POLICY tenant_access ON tenant_sam.note USING (tenancy.policy_allow(tableoid))');
SELECT public.prove('ALTER POLICY tenant_access ON regress_shop.note TO regress_app');
SELECT public.prove('ALTER POLICY tenant_access ON tenant_sam.note USING (false)');
SELECT public.prove('DROP POLICY tenant_access ON regress_shop.note');
SELECT public.prove('DROP POLICY tenant_access ON tenant_sam.note');
SELECT public.prove('DROP POLICY tenant_access ON regress_shop.note; CREATE POLICY tenant_access ON regress_shop.note USING (true)');

--
-- The tenant column
--
SELECT public.prove('ALTER TABLE regress_shop.note ALTER tenant_id DROP NOT NULL');
-- from 18 on, it may be for new rows only
SELECT public.prove('ALTER TABLE regress_shop.note ALTER tenant_id DROP NOT NULL'
	|| CASE WHEN current_setting('server_version_num')::int >= 180000 THEN '; ALTER TABLE regress_shop.note ADD NOT NULL tenant_id NOT VALID' ELSE '' END);
SELECT public.prove('ALTER TABLE regress_shop.note ALTER tenant_id DROP DEFAULT');
SELECT public.prove('ALTER TABLE regress_shop.note DROP CONSTRAINT note_tenant_id_fkey');
SELECT public.prove('DROP INDEX regress_shop.note_tenant_id_idx');

--
-- Keys: the fix alone is shown, and what it keeps.  More of them below.
--
SELECT public.prove('ALTER TABLE regress_shop.note ADD CONSTRAINT one_body UNIQUE (body)');
SELECT public.prove('ALTER TABLE regress_shop.note DROP CONSTRAINT one_body;
	CREATE UNIQUE INDEX "One body" ON regress_shop.note (lower(body) DESC NULLS LAST) INCLUDE (body) NULLS NOT DISTINCT WITH (fillfactor = 80) WHERE body <> ''x'';
	COMMENT ON INDEX regress_shop."One body" IS ''It''''s one''', 'DROP INDEX regress_shop."One body"');
SELECT public.prove('ALTER TABLE regress_shop.note ADD CONSTRAINT once EXCLUDE USING btree (body WITH =) WHERE (body <> ''x'') DEFERRABLE INITIALLY DEFERRED',
	'ALTER TABLE regress_shop.note DROP CONSTRAINT once');
ALTER TABLE regress_shop.category ADD parent int, ADD UNIQUE (tenant_id, parent);
SELECT public.prove('ALTER TABLE regress_shop.category ADD CONSTRAINT one_id UNIQUE (id) WITH (fillfactor = 80), ADD CONSTRAINT up FOREIGN KEY (parent) REFERENCES regress_shop.category (id);
	COMMENT ON CONSTRAINT up ON regress_shop.category IS ''up''; COMMENT ON CONSTRAINT one_id ON regress_shop.category IS ''one''');
SELECT conname, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname IN ('up', 'one_id') ORDER BY 1;
ALTER TABLE regress_shop.category DROP CONSTRAINT up, DROP CONSTRAINT one_id;
SELECT public.prove('ALTER TABLE regress_shop.category ADD CONSTRAINT one_id UNIQUE (id);
	ALTER TABLE regress_shop.note ADD category int CONSTRAINT of REFERENCES regress_shop.category (id) ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE');
ALTER TABLE regress_shop.note DROP COLUMN category;
ALTER TABLE regress_shop.category DROP CONSTRAINT one_id;

-- A table that has no tenant refers to the key: the others get another one.
SELECT public.prove('ALTER TABLE regress_shop.category ADD CONSTRAINT one_id UNIQUE (id);
	CREATE TABLE regress_aside.log (category int REFERENCES regress_shop.category (id));
	ALTER TABLE regress_shop.item ADD other int REFERENCES regress_shop.category (id) ON DELETE CASCADE',
	NULL, 'DROP TABLE regress_aside.log; ALTER TABLE regress_shop.category DROP CONSTRAINT one_id');
ALTER TABLE regress_shop.item DROP COLUMN other;
ALTER TABLE regress_shop.category DROP COLUMN parent;

-- ON UPDATE SET NULL cannot spare the tenant column.
SELECT public.prove('ALTER TABLE regress_shop.category ADD CONSTRAINT one_id UNIQUE (id);
	ALTER TABLE regress_shop.note ADD category int REFERENCES regress_shop.category (id) ON UPDATE SET NULL',
	NULL, 'ALTER TABLE regress_shop.note DROP category; ALTER TABLE regress_shop.category DROP CONSTRAINT one_id');

-- A view that groups by the key
SELECT public.prove('CREATE TABLE regress_shop.grouped (id int PRIMARY KEY, name text); ALTER TABLE regress_shop.grouped OWNER TO regress_owner;
	SELECT tenancy.protect_table(''regress_shop.grouped'');
	CREATE VIEW regress_shop.groups WITH (security_invoker) AS SELECT id, name, count(*) FROM regress_shop.grouped GROUP BY id',
	NULL, 'SELECT tenancy.unprotect_table(''regress_shop.grouped''); DROP TABLE regress_shop.grouped CASCADE');

SELECT public.prove('CREATE TABLE regress_aside.log (tenant_id uuid, item int, FOREIGN KEY (tenant_id, item) REFERENCES regress_shop.item); ALTER TABLE regress_aside.log OWNER TO regress_owner',
	'SELECT tenancy.unprotect_table(''regress_aside.log''); DROP TABLE regress_aside.log');

--
-- From one tenant's schema into another's
--
SELECT public.prove('ALTER TABLE tenant_sue.item ADD CONSTRAINT across FOREIGN KEY (tenant_id, id) REFERENCES tenant_sam.item');
SELECT public.prove('ALTER TABLE tenant_sue.item ADD CONSTRAINT across FOREIGN KEY (tenant_id, id) REFERENCES regress_shop.item');
SELECT public.prove('ALTER TABLE tenant_sue.note INHERIT tenant_sam.note');
SELECT public.prove('CREATE VIEW tenant_sue.theirs WITH (security_invoker) AS SELECT * FROM tenant_sam.note', NULL, 'DROP VIEW tenant_sue.theirs');
SELECT public.prove('ALTER TABLE tenant_sue.item ALTER id SET DEFAULT nextval(''tenant_sam.number'')', NULL, 'ALTER TABLE tenant_sue.item ALTER id DROP DEFAULT');

--
-- Roles
--
SELECT public.prove('ALTER ROLE regress_app SUPERUSER');
SELECT public.prove('ALTER ROLE regress_app BYPASSRLS');
SELECT public.prove('ALTER ROLE regress_app REPLICATION');
SELECT public.prove('ALTER ROLE regress_app CREATEROLE');
SELECT public.prove('GRANT regress_other TO regress_app; GRANT regress_bypass TO regress_other', 'REVOKE regress_bypass FROM regress_other');
SELECT public.prove('GRANT regress_super TO regress_app');
SELECT public.prove('GRANT regress_owner TO regress_app');
SELECT public.prove('GRANT pg_read_server_files TO regress_app');
SELECT public.prove('GRANT pg_monitor TO regress_app');
SELECT public.prove('GRANT pg_monitor TO regress_other WITH ADMIN OPTION; SET ROLE regress_other; GRANT pg_monitor TO regress_app; RESET ROLE',
	'REVOKE pg_monitor FROM regress_other');
SELECT public.prove('INSERT INTO tenancy.access (role) VALUES (''pg_monitor'')', NULL, 'DELETE FROM tenancy.access WHERE role = ''pg_monitor''::regrole');
SELECT public.prove('GRANT pg_read_all_data, pg_write_all_data TO regress_app');
SELECT public.prove('GRANT pg_write_all_data TO regress_other; GRANT regress_other TO regress_app', 'REVOKE pg_write_all_data FROM regress_other');
SELECT public.prove(format('ALTER DATABASE %I OWNER TO regress_app', current_database()));
SELECT public.prove('ALTER TABLE regress_shop.note OWNER TO regress_app');
SELECT public.prove('ALTER SCHEMA tenant_sam OWNER TO regress_app', NULL, 'ALTER SCHEMA tenant_sam OWNER TO regress_owner');
SELECT public.prove('INSERT INTO tenancy.access (role) VALUES (''4000000000'')');
SELECT public.prove('ALTER TABLE regress_shop.note OWNER TO regress_super');

--
-- Privileges
--
SELECT public.prove('GRANT ALL ON regress_shop.item TO regress_app',
	'GRANT SELECT, INSERT, UPDATE, DELETE ON regress_shop.item TO regress_app');
SELECT public.prove('GRANT TRUNCATE ON tenant_sam.item TO PUBLIC');
SELECT public.prove('GRANT TRUNCATE ON regress_shop.item TO regress_other WITH GRANT OPTION; GRANT USAGE ON SCHEMA regress_shop TO regress_other;
	SET ROLE regress_other; GRANT TRUNCATE ON regress_shop.item TO regress_app; RESET ROLE',
	'REVOKE ALL ON regress_shop.item FROM regress_other CASCADE; REVOKE ALL ON SCHEMA regress_shop FROM regress_other');
SELECT public.prove('GRANT REFERENCES (id), SELECT (id) ON regress_shop.item TO regress_app');
SELECT public.prove('ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA regress_shop GRANT ALL ON TABLES TO regress_app',
	'ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA regress_shop REVOKE ALL ON TABLES FROM regress_app');
SELECT public.prove('ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT TRIGGER ON TABLES TO PUBLIC');
SELECT public.prove('GRANT CREATE ON SCHEMA regress_shop TO PUBLIC');
SELECT public.prove('GRANT CREATE ON SCHEMA public TO regress_app');
SELECT public.prove('GRANT USAGE ON SCHEMA tenant_sam TO PUBLIC');
SELECT database_name AS db FROM tenancy.tenants WHERE slug = 'lintdb' \gset
SELECT public.prove(format('GRANT CONNECT ON DATABASE %I TO PUBLIC', :'db'));
SELECT public.prove('GRANT SELECT ON tenancy.access TO regress_app');
SELECT public.prove('GRANT SELECT (slug) ON tenancy.tenant TO regress_app');
SELECT public.prove('GRANT SELECT ON tenancy.migration_status TO PUBLIC');
SELECT public.prove('GRANT USAGE ON SEQUENCE tenancy.migration_run_id_seq TO regress_app');
-- the view that shows each role its own tenants is for them
GRANT SELECT ON tenancy.tenants TO regress_app;
SELECT * FROM tenancy.check_isolation();
REVOKE SELECT ON tenancy.tenants FROM regress_app;
SELECT public.prove('GRANT EXECUTE ON FUNCTION tenancy.repair() TO PUBLIC');
SELECT public.prove('GRANT EXECUTE ON PROCEDURE tenancy.refill_spares() TO regress_app');
-- the context functions are not for administrators, and all others are
BEGIN;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA tenancy TO regress_app;
SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace
EXCEPT SELECT object FROM tenancy.check_isolation() WHERE lint = 'admin_function_granted' ORDER BY 1;
ROLLBACK;
SELECT public.prove('GRANT SET ON PARAMETER tenancy.tenant_id TO regress_app');
SELECT public.prove('GRANT SET ON PARAMETER session_replication_role TO PUBLIC');
SELECT public.prove('GRANT SET, ALTER SYSTEM ON PARAMETER tenancy.token_leeway TO regress_app');
SELECT public.prove('GRANT ALTER SYSTEM ON PARAMETER archive_command TO regress_app');
SELECT public.prove('ALTER ROLE regress_app SET tenancy.tenant_id = ''a1a1a1a1-0000-4000-8000-000000000001''');
SELECT public.prove('ALTER ROLE regress_app IN DATABASE contrib_regression SET tenancy.tenant_id = ''a1a1a1a1-0000-4000-8000-000000000001''');
SELECT public.prove('ALTER DATABASE contrib_regression SET tenancy.tenant_id = ''a1a1a1a1-0000-4000-8000-000000000001''');
SELECT public.prove('CREATE FUNCTION regress_aside.f() RETURNS int LANGUAGE sql SET tenancy.tenant_id = ''a1a1a1a1-0000-4000-8000-000000000001'' AS ''SELECT 1''',
	'DROP FUNCTION regress_aside.f()');

ALTER SYSTEM SET tenancy.tenant_id = 'a1a1a1a1-0000-4000-8000-000000000001';
SELECT lint, object, fix FROM tenancy.check_isolation();
ALTER SYSTEM RESET tenancy.tenant_id;
SELECT lint, object, fix FROM tenancy.check_isolation();

--
-- Ways around the tables
--
SELECT public.prove('CREATE VIEW regress_aside.notes AS SELECT * FROM regress_shop.note; ALTER VIEW regress_aside.notes OWNER TO regress_super',
	'DROP VIEW regress_aside.notes');
SELECT public.prove('CREATE VIEW regress_aside.notes AS SELECT * FROM regress_shop.note; ALTER VIEW regress_aside.notes OWNER TO regress_owner;
	CREATE VIEW regress_aside.more WITH (security_invoker) AS SELECT * FROM regress_aside.notes', 'DROP VIEW regress_aside.notes CASCADE');
SELECT public.prove('CREATE VIEW tenant_sam.notes AS SELECT * FROM tenant_sam.note; ALTER VIEW tenant_sam.notes OWNER TO regress_super',
	'DROP VIEW tenant_sam.notes');
SELECT public.prove('CREATE MATERIALIZED VIEW regress_aside.all_notes AS SELECT * FROM regress_shop.note; GRANT SELECT ON regress_aside.all_notes TO regress_app',
	'DROP MATERIALIZED VIEW regress_aside.all_notes');
SELECT public.prove('CREATE MATERIALIZED VIEW regress_aside.all_notes AS SELECT * FROM regress_shop.note; GRANT SELECT (body) ON regress_aside.all_notes TO PUBLIC',
	'DROP MATERIALIZED VIEW regress_aside.all_notes');
-- by a view, with the rights of its owner; with one's own, only if these suffice
SELECT public.prove('CREATE MATERIALIZED VIEW regress_aside.all_notes AS SELECT * FROM regress_shop.note; ALTER MATERIALIZED VIEW regress_aside.all_notes OWNER TO regress_owner;
	CREATE VIEW regress_aside.notes AS SELECT * FROM regress_aside.all_notes; ALTER VIEW regress_aside.notes OWNER TO regress_owner; GRANT SELECT ON regress_aside.notes TO regress_app;
	CREATE VIEW regress_aside.more WITH (security_invoker) AS SELECT * FROM regress_aside.all_notes; GRANT SELECT ON regress_aside.more TO regress_app',
	'DROP MATERIALIZED VIEW regress_aside.all_notes CASCADE');
SELECT public.prove('CREATE FOREIGN TABLE regress_shop.away (a int) SERVER regress_server; GRANT SELECT (a) ON regress_shop.away TO regress_app',
	'DROP FOREIGN TABLE regress_shop.away');
SELECT public.prove('CREATE FOREIGN TABLE regress_shop.away (a int) SERVER regress_server; GRANT SELECT ON regress_shop.away TO regress_app',
	'DROP FOREIGN TABLE regress_shop.away');
SELECT public.prove('SET LOCAL client_min_messages = error; CREATE PUBLICATION regress_pub FOR TABLE regress_shop.note, regress_ref.country, TABLES IN SCHEMA tenant_sam', 'DROP PUBLICATION regress_pub');
SELECT public.prove('SET LOCAL client_min_messages = error; CREATE PUBLICATION regress_pub FOR ALL TABLES', NULL, 'DROP PUBLICATION regress_pub');
SELECT public.prove('CREATE FUNCTION regress_aside.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS ''SELECT 1''; ALTER FUNCTION regress_aside.f() OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f()');
SELECT public.prove('CREATE FUNCTION regress_aside.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS ''SELECT 1''; ALTER FUNCTION regress_aside.f() OWNER TO regress_bypass',
	'DROP FUNCTION regress_aside.f()');
-- A temporary table of the caller's is found first, but where the path says otherwise.
SELECT public.prove('CREATE FUNCTION regress_aside.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = regress_shop AS ''SELECT count(*) FROM note''; ALTER FUNCTION regress_aside.f() OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f()');
SELECT public.prove('CREATE FUNCTION regress_aside.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, "regress_shop" AS ''SELECT count(*) FROM note''; ALTER FUNCTION regress_aside.f() OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f()');
SELECT public.prove('CREATE FUNCTION regress_aside.f(text) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS ''BEGIN RETURN tenancy.Set_Tenant($1); END''; ALTER FUNCTION regress_aside.f(text) OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f(text)');
SELECT public.prove('CREATE FUNCTION regress_aside.f(text) RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog BEGIN ATOMIC SELECT tenancy.set_tenant_token($1); END; ALTER FUNCTION regress_aside.f(text) OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f(text)');
SELECT public.prove('CREATE FUNCTION regress_aside.f(text) RETURNS uuid LANGUAGE sql SET search_path = pg_catalog AS ''SELECT tenancy.set_tenant($1)''; CREATE FUNCTION regress_aside.g() RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog SET tenancy.search_path = '''' AS ''SELECT tenancy.set_tenant(NULL::text)''; ALTER FUNCTION regress_aside.g() OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f(text), regress_aside.g()');
SELECT public.prove('CREATE FUNCTION regress_aside.f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = '''' AS ''SELECT count(*) FROM regress_shop.note''; ALTER FUNCTION regress_aside.f() OWNER TO regress_owner',
	'DROP FUNCTION regress_aside.f()');
SELECT public.prove('ALTER TABLE regress_shop.note ALTER body SET DEFAULT pg_catalog.lower(''regress_shop.note'')', NULL, 'ALTER TABLE regress_shop.note ALTER body DROP DEFAULT');
-- What would have to be done in tenants' databases as well is no fix.
SELECT public.prove('CREATE EXTENSION citext SCHEMA regress_shop', 'DROP EXTENSION citext', 'ALTER EXTENSION citext SET SCHEMA public');
SELECT public.prove('CREATE FUNCTION regress_aside.f(int) RETURNS int LANGUAGE sql LEAKPROOF AS ''SELECT 1''', 'DROP FUNCTION regress_aside.f(int)');
SELECT public.prove('GRANT UPDATE ON regress_ref.country TO regress_app');
SELECT public.prove('GRANT UPDATE (code) ON regress_ref.country TO regress_app');

--
-- The registry and what there is
--
SELECT public.prove('UPDATE tenancy.tenant SET schema_name = ''tenant_gone'' WHERE slug = ''sue''',
	NULL, 'UPDATE tenancy.tenant SET schema_name = ''tenant_sue'' WHERE slug = ''sue''');
SELECT public.prove('UPDATE tenancy.tenant SET database_name = ''tenant_gone'' WHERE slug = ''lintdb''',
	NULL, format('UPDATE tenancy.tenant SET database_name = %L WHERE slug = ''lintdb''', :'db'));

-- The server's version, which a test cannot change
SELECT * FROM tenancy.row_security_holes(150002);
SELECT * FROM tenancy.row_security_holes(150013);
SELECT * FROM tenancy.row_security_holes(170000);
SELECT * FROM tenancy.row_security_holes(170006);
SELECT * FROM tenancy.row_security_holes(180000);

SELECT * FROM tenancy.check_isolation();

--
-- A larger schema: a hundred tables that refer to each other in circles, with
-- every kind of key, protected as they are
--
CREATE SCHEMA regress_big AUTHORIZATION regress_owner;
SET ROLE regress_owner;
DO $$
DECLARE
	actions text[] := ARRAY['', 'ON DELETE CASCADE', 'ON DELETE SET NULL', 'ON DELETE SET DEFAULT', 'ON UPDATE CASCADE ON DELETE RESTRICT',
							'ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED', 'ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE'];
BEGIN
	FOR i IN 1..100 LOOP
		EXECUTE format('CREATE TABLE regress_big.t%s (id %s, code text, kind int NOT NULL DEFAULT 1, a int, b int, up int, near int, UNIQUE %s (code) %s, UNIQUE (kind, id))', i,
			CASE i % 4 WHEN 0 THEN 'serial PRIMARY KEY' WHEN 1 THEN 'int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY'
				WHEN 2 THEN 'int CONSTRAINT "Key' || i || '" PRIMARY KEY' ELSE 'bigint PRIMARY KEY' END,
			CASE WHEN i % 5 = 0 THEN 'NULLS NOT DISTINCT' ELSE '' END,
			CASE WHEN i % 7 = 0 THEN 'DEFERRABLE' WHEN i % 3 = 0 THEN 'INCLUDE (kind) WITH (fillfactor = 70)' ELSE '' END);
		IF i % 6 = 0 THEN
			EXECUTE format('CREATE UNIQUE INDEX ON regress_big.t%s (lower(code), kind) WHERE kind > 0', i);
		END IF;
	END LOOP;
	FOR i IN 1..100 LOOP
		-- up: a circle of all; near: itself or a neighbour; (a, b): a pair
		EXECUTE format('ALTER TABLE regress_big.t%s ADD FOREIGN KEY (up) REFERENCES regress_big.t%s %s', i, i % 100 + 1, actions[i % 7 + 1]);
		EXECUTE format('ALTER TABLE regress_big.t%s ADD CONSTRAINT "near %s" FOREIGN KEY (near) REFERENCES regress_big.t%s %s', i, i,
			CASE WHEN i % 2 = 0 THEN i ELSE i / 2 + 1 END, actions[i % 5 + 1]);
		EXECUTE format('ALTER TABLE regress_big.t%s ADD FOREIGN KEY (a, b) REFERENCES regress_big.t%s (kind, id) %s %s', i, 100 - i + 1,
			CASE WHEN i % 3 = 0 THEN 'MATCH FULL' ELSE '' END, CASE WHEN i % 4 = 0 THEN 'ON DELETE SET NULL (b)' ELSE actions[i % 2 + 1] END);
		IF i % 10 = 0 THEN
			EXECUTE format('ALTER TABLE regress_big.t%s REPLICA IDENTITY USING INDEX %I', i, CASE i % 4 WHEN 2 THEN 'Key' || i ELSE 't' || i || '_pkey' END);
			EXECUTE format('ALTER TABLE regress_big.t%s CLUSTER ON %I', i, CASE i % 4 WHEN 2 THEN 'Key' || i ELSE 't' || i || '_pkey' END);
		END IF;
	END LOOP;
END
$$;
CREATE TABLE regress_big.part (id int, at int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE regress_big.part_1 PARTITION OF regress_big.part FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_big.part_2 PARTITION OF regress_big.part FOR VALUES FROM (10) TO (20);
CREATE TABLE regress_big.parts (id int PRIMARY KEY, part int, at int, FOREIGN KEY (part, at) REFERENCES regress_big.part ON DELETE CASCADE);
CREATE TABLE regress_big.holder (id int, at int, t1 int REFERENCES regress_big.t1 ON DELETE CASCADE) PARTITION BY LIST (at);
CREATE TABLE regress_big.holder_1 PARTITION OF regress_big.holder DEFAULT;
RESET ROLE;
SELECT tenancy.create_module('big', 'regress_big');
SELECT count(*) FROM tenancy.protect_module('big');

-- Three rows for each of two tenants, with references
DO $$
BEGIN
	FOR t IN 1..2 LOOP
		FOR i IN 1..100 LOOP
			EXECUTE format('INSERT INTO regress_big.t%s (tenant_id, id, code) SELECT $1, $2 * 10 + n, $2 || ''/'' || n FROM generate_series(1, 3) n', i)
				USING ('a1a1a1a1-0000-4000-8000-00000000000' || t)::uuid, t;
		END LOOP;
		FOR i IN 1..100 LOOP
			EXECUTE format('UPDATE regress_big.t%s SET up = id, near = id, a = kind, b = id WHERE tenant_id = $1 AND id %% 10 < 3', i)
				USING ('a1a1a1a1-0000-4000-8000-00000000000' || t)::uuid;
		END LOOP;
	END LOOP;
END
$$;
INSERT INTO regress_big.part (tenant_id, id, at) SELECT 'a1a1a1a1-0000-4000-8000-000000000001', n, n FROM generate_series(1, 15) n;
INSERT INTO regress_big.parts (tenant_id, id, part, at) SELECT 'a1a1a1a1-0000-4000-8000-000000000001', n, n, n FROM generate_series(1, 15) n;
INSERT INTO regress_big.holder (tenant_id, id, at, t1) VALUES ('a1a1a1a1-0000-4000-8000-000000000001', 1, 1, 11);

-- Everything in the tables, and what is to stay as it is about the keys
CREATE FUNCTION public.contents() RETURNS TABLE (name text, digest text)
LANGUAGE sql
AS $$
	SELECT c.oid::regclass::text, md5(query_to_xml(format('SELECT * FROM %s t ORDER BY t::text', c.oid::regclass), true, false, '')::text)
	FROM pg_class c WHERE relnamespace = 'regress_big'::regnamespace AND relkind IN ('r', 'p')
$$;
CREATE VIEW public.kept AS
SELECT k.conrelid, k.conname, k.contype, k.condeferrable, k.condeferred, k.convalidated, k.confrelid, k.confupdtype, k.confdeltype,
	   i.indisreplident, i.indisclustered, i.indnullsnotdistinct, i.indnatts - i.indnkeyatts AS included, ic.reloptions,
	   pg_get_expr(i.indpred, i.indrelid) AS predicate
FROM pg_constraint k LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.contype <> 'f'
LEFT JOIN pg_class ic ON ic.oid = i.indexrelid
WHERE k.connamespace = 'regress_big'::regnamespace AND k.contype IN ('p', 'u', 'x', 'f') AND k.conparentid = 0;
CREATE TABLE public.before_contents AS SELECT * FROM public.contents();
CREATE TABLE public.before_kept AS SELECT * FROM public.kept;

SELECT severity, lint, count(*), count(fix) AS fixes FROM tenancy.check_isolation() GROUP BY 1, 2 ORDER BY 1, 2;
CREATE FUNCTION public.mend(which text) RETURNS int
LANGUAGE plpgsql
AS $$
DECLARE
	fixes text[];
	f text;
BEGIN
	SELECT array_agg(fix) INTO fixes FROM tenancy.check_isolation() WHERE severity = which AND fix IS NOT NULL;
	FOREACH f IN ARRAY coalesce(fixes, '{}') LOOP
		EXECUTE f;
	END LOOP;
	RETURN cardinality(fixes);
END
$$;
\timing off
SELECT public.mend('error');
SELECT severity, lint, count(*), count(fix) AS fixes FROM tenancy.check_isolation() GROUP BY 1, 2 ORDER BY 1, 2;
\timing off
SELECT public.mend('warning');
SELECT severity, lint, count(*), count(fix) AS fixes FROM tenancy.check_isolation() GROUP BY 1, 2 ORDER BY 1, 2;

-- Nothing is lost: no row, no property of a key.
SELECT count(*) FROM public.before_contents;
(TABLE public.before_contents EXCEPT SELECT * FROM public.contents()) UNION ALL (SELECT * FROM public.contents() EXCEPT TABLE public.before_contents);
SELECT contype, count(*) FROM public.before_kept GROUP BY 1 ORDER BY 1;
(TABLE public.before_kept EXCEPT TABLE public.kept) UNION ALL (TABLE public.kept EXCEPT TABLE public.before_kept);

-- Some of them, and what the application does with them
SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid::regclass::text = ANY ('{regress_big.t2,regress_big.t3,regress_big.t12,regress_big.part,regress_big.parts,regress_big.holder}')
AND contype <> 'n' AND conparentid = 0 AND confrelid <> 'tenancy.tenant'::regclass
ORDER BY conrelid::regclass::text, conname COLLATE "C";
GRANT USAGE ON SCHEMA regress_big TO regress_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA regress_big TO regress_app;
SET ROLE regress_app;
BEGIN;
SELECT tenancy.set_tenant('bob');
SET LOCAL search_path = regress_big;
INSERT INTO t1 (id, code) VALUES (11, '1/1');	-- as ann has
INSERT INTO t2 (id, code, up) VALUES (1, 'mine', 12);	-- which is ann's
ROLLBACK;
BEGIN;
SELECT tenancy.set_tenant('ann');
SET LOCAL search_path = regress_big;
INSERT INTO t3 (id, code) VALUES (99, 'new');
INSERT INTO t2 (id, code, up) VALUES (1, 'mine', 99);
DELETE FROM t3 WHERE id = 99;
SELECT id, up FROM t2 WHERE id = 1;
ROLLBACK;
RESET ROLE;

--
-- Away with everything
--
DROP VIEW public.kept;
DROP TABLE public.before_contents, public.before_kept;
DROP FUNCTION public.prove(text, text, text), public.contents(), public.mend(text);
SELECT tenancy.drop_tenant('lintdb', true);
SELECT tenancy.drop_tenant('sam', true);
SELECT tenancy.drop_tenant('sue', true);
SELECT tenancy.revoke_access('regress_app');
DROP SERVER regress_server;
DROP FOREIGN DATA WRAPPER regress_fdw;
SET client_min_messages = error;
DROP SCHEMA regress_big, regress_shop, regress_aside, regress_ref CASCADE;
DROP EXTENSION tenancy CASCADE;
SELECT 'DROP DATABASE tenancy_template_' || oid FROM pg_database WHERE datname = current_database() \gexec
DROP ROLE regress_owner, regress_app, regress_other, regress_bypass, regress_super;
