-- drop.c: a shared tenant's rows go in batches, whatever refers to what
CREATE EXTENSION tenancy;
CREATE ROLE regress_owner NOLOGIN;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.line (tenant_id uuid NOT NULL, id int, doc int, PRIMARY KEY (tenant_id, id));
CREATE TABLE regress_model.doc (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id));
ALTER TABLE regress_model.line ADD FOREIGN KEY (tenant_id, doc) REFERENCES regress_model.doc;
-- refers to itself
CREATE TABLE regress_model.node (tenant_id uuid NOT NULL, id int, up int, PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, up) REFERENCES regress_model.node);
-- refer to each other
CREATE TABLE regress_model.hen (tenant_id uuid NOT NULL, id int, egg int, PRIMARY KEY (tenant_id, id));
CREATE TABLE regress_model.egg (tenant_id uuid NOT NULL, id int, hen int, PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, hen) REFERENCES regress_model.hen);
ALTER TABLE regress_model.hen ADD FOREIGN KEY (tenant_id, egg) REFERENCES regress_model.egg;
-- partitions, of which one is referred to by itself
CREATE TABLE regress_model.event (tenant_id uuid NOT NULL, id int, PRIMARY KEY (tenant_id, id)) PARTITION BY RANGE (id);
CREATE TABLE regress_model.event_low PARTITION OF regress_model.event FOR VALUES FROM (0) TO (100);
CREATE TABLE regress_model.event_high PARTITION OF regress_model.event FOR VALUES FROM (100) TO (200);
CREATE TABLE regress_model.alarm (tenant_id uuid NOT NULL, id int, event int, PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, event) REFERENCES regress_model.event_high);
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT count(*) FROM tenancy.protect_module('main');
SELECT tenancy.create_tenant('big', id => '00000000-0000-4000-8000-0000000000b1');
SELECT tenancy.create_tenant('small', id => '00000000-0000-4000-8000-0000000000b2');

CREATE FUNCTION pg_temp.fill(tenant uuid, n int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO regress_model.doc SELECT tenant, i FROM generate_series(1, n) i;
	INSERT INTO regress_model.line SELECT tenant, i, i FROM generate_series(1, n) i;
	INSERT INTO regress_model.node SELECT tenant, i, NULLIF(i - 1, 0) FROM generate_series(1, 50) i;
	INSERT INTO regress_model.hen SELECT tenant, i, NULL FROM generate_series(1, 50) i;
	INSERT INTO regress_model.egg SELECT tenant, i, i FROM generate_series(1, 50) i;
	UPDATE regress_model.hen SET egg = id WHERE tenant_id = tenant;
	INSERT INTO regress_model.event SELECT tenant, i FROM generate_series(0, 199) i;
	INSERT INTO regress_model.alarm SELECT tenant, i, i FROM generate_series(100, 199) i;
$$;
CREATE VIEW regress_left AS
	SELECT t.slug, (SELECT count(*) FROM regress_model.doc r WHERE r.tenant_id = t.id) AS doc,
		(SELECT count(*) FROM regress_model.line r WHERE r.tenant_id = t.id) AS line,
		(SELECT count(*) FROM regress_model.node r WHERE r.tenant_id = t.id) AS node,
		(SELECT count(*) FROM regress_model.hen r WHERE r.tenant_id = t.id) AS hen,
		(SELECT count(*) FROM regress_model.egg r WHERE r.tenant_id = t.id) AS egg,
		(SELECT count(*) FROM regress_model.event r WHERE r.tenant_id = t.id) AS event,
		(SELECT count(*) FROM regress_model.alarm r WHERE r.tenant_id = t.id) AS alarm
	FROM (VALUES ('big', '00000000-0000-4000-8000-0000000000b1'::uuid),
				 ('small', '00000000-0000-4000-8000-0000000000b2')) t (slug, id);
SELECT pg_temp.fill('00000000-0000-4000-8000-0000000000b1', 25000);
SELECT pg_temp.fill('00000000-0000-4000-8000-0000000000b2', 10);
SELECT * FROM regress_left;

-- One transaction does not delete more than a batch.
CREATE TABLE regress_deleted (rel text, xid xid8, n int);
GRANT INSERT ON regress_deleted TO regress_owner;
CREATE FUNCTION regress_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.regress_deleted
		SELECT TG_TABLE_NAME, pg_current_xact_id(), count(*) FROM gone HAVING count(*) > 0;
	RETURN NULL;
END $$;
CREATE TRIGGER note AFTER DELETE ON regress_model.doc REFERENCING OLD TABLE AS gone
	FOR EACH STATEMENT EXECUTE FUNCTION regress_note();
CREATE TRIGGER note AFTER DELETE ON regress_model.line REFERENCING OLD TABLE AS gone
	FOR EACH STATEMENT EXECUTE FUNCTION regress_note();

-- What stops the worker half-way leaves what was committed ...
CREATE FUNCTION regress_stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE 'stopped';
END $$;
CREATE TRIGGER stop BEFORE DELETE ON regress_model.doc
	FOR EACH ROW WHEN (OLD.id = 25000) EXECUTE FUNCTION regress_stop();
-- (not in a transaction that changes nothing: the worker's would)
BEGIN READ ONLY;
SELECT tenancy.drop_tenant('big', true);
ROLLBACK;
SELECT tenancy.drop_tenant('big', true);
SELECT slug, status FROM tenancy.tenants ORDER BY slug;
SELECT line, doc > 0 AS doc, node, hen, egg FROM regress_left WHERE slug = 'big';
SELECT object, problem, action FROM tenancy.repair();
-- ... and another call goes on.
DROP TRIGGER stop ON regress_model.doc;
SELECT tenancy.drop_tenant('big');
SELECT slug, status FROM tenancy.tenants ORDER BY slug;
SELECT rel, count(DISTINCT xid) AS transactions, sum(n) AS rows, max(n) AS most
FROM regress_deleted GROUP BY rel ORDER BY rel;

-- Another tenant's rows are all there, and go as well.  A trigger's function may leave it to the path where its tables are.
SELECT * FROM regress_left;
SET ROLE regress_owner;
CREATE TABLE regress_model.trace (tenant_id uuid NOT NULL, what text);
CREATE FUNCTION regress_model.trace() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO trace VALUES (OLD.tenant_id, TG_TABLE_NAME || ' ' || current_setting('search_path'));
	RETURN OLD;
END $$;
CREATE TRIGGER trace AFTER DELETE ON regress_model.alarm FOR EACH ROW WHEN (OLD.id = 100) EXECUTE FUNCTION regress_model.trace();
CREATE TRIGGER trace AFTER DELETE ON regress_model.hen FOR EACH ROW WHEN (OLD.id = 1) EXECUTE FUNCTION regress_model.trace();
RESET ROLE;
-- It may write to a protected table, before or after that has had its turn.
CREATE TABLE regress_model.log (what text);
GRANT ALL ON regress_model.log TO regress_owner;
ALTER TABLE regress_model.log OWNER TO regress_owner;
SELECT tenancy.protect_table('regress_model.log');
CREATE FUNCTION regress_model.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO log VALUES (TG_TABLE_NAME);
	RETURN OLD;
END $$;
CREATE TRIGGER log AFTER DELETE ON regress_model.alarm FOR EACH ROW EXECUTE FUNCTION regress_model.log();
CREATE TRIGGER log AFTER DELETE ON regress_model.hen FOR EACH ROW EXECUTE FUNCTION regress_model.log();
-- No trigger turns that into another tenant's context.
SELECT tenancy.create_tenant('bystander', 'schema', '00000000-0000-4000-8000-0000000000b5');
GRANT EXECUTE ON FUNCTION tenancy.set_tenant(text, boolean) TO regress_owner;
CREATE FUNCTION regress_model.turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.set_tenant('bystander');
	RETURN OLD;
END $$;
CREATE TRIGGER turn AFTER DELETE ON regress_model.alarm FOR EACH ROW EXECUTE FUNCTION regress_model.turn();
SELECT tenancy.drop_tenant('small', true);
DROP FUNCTION regress_model.turn CASCADE;
REVOKE EXECUTE ON FUNCTION tenancy.set_tenant(text, boolean) FROM regress_owner;
SELECT tenancy.drop_tenant('bystander', true);
SELECT tenancy.drop_tenant('small', true);
SELECT count(*) FROM regress_model.log;
SELECT tenancy.unprotect_table('regress_model.log');
DROP TABLE regress_model.log;
DROP FUNCTION regress_model.log CASCADE;
SELECT what FROM regress_model.trace ORDER BY 1;
DROP TABLE regress_model.trace;
DROP FUNCTION regress_model.trace CASCADE;
SELECT * FROM regress_left;
SELECT count(*) FROM tenancy.tenants;

-- What has outlived its tenant is reported, and left alone.
SELECT tenancy.create_tenant('kept', 'schema', '00000000-0000-4000-8000-0000000000b3');
SELECT tenancy.create_tenant('lost', 'schema', '00000000-0000-4000-8000-0000000000b4');
SELECT * FROM tenancy.repair();
-- While the model is called something else, nobody can tell whose a schema is.
ALTER SCHEMA regress_model RENAME TO regress_renamed;
SELECT * FROM tenancy.repair();
SELECT tenancy.create_tenant('more');
SELECT tenancy.create_tenant('more', 'schema');
SELECT tenancy.set_tenant('kept');
SELECT tenancy.drop_tenant('kept', true);
SELECT * FROM tenancy.drift();
ALTER SCHEMA regress_renamed RENAME TO regress_model;
SELECT * FROM tenancy.repair();
DELETE FROM tenancy.tenant WHERE slug = 'lost';
CREATE SCHEMA tenant_kept_plugin_shop;
CREATE SCHEMA tenant_kept_plugin_plugin_;
CREATE SCHEMA tenant_lost_plugin_shop;
CREATE SCHEMA tenant_keptx_plugin_kept;
CREATE SCHEMA tenant_plugin_kept;
SELECT * FROM tenancy.repair();
SET client_min_messages = warning;
DROP SCHEMA tenant_kept_plugin_shop, tenant_kept_plugin_plugin_, tenant_lost_plugin_shop, tenant_keptx_plugin_kept, tenant_plugin_kept;
DROP SCHEMA tenant_lost CASCADE;
DROP TRIGGER note ON regress_model.doc;
DROP TRIGGER note ON regress_model.line;
SELECT tenancy.create_tenant('lost', 'database', '00000000-0000-4000-8000-0000000000b4');
SELECT * FROM tenancy.repair();
DELETE FROM tenancy.tenant WHERE slug = 'lost';
SELECT * FROM tenancy.repair();
DROP DATABASE tenant_lost;
SELECT tenancy.drop_tenant('kept', true);
SELECT * FROM tenancy.repair();

-- How many others there are does not matter: none of their relations are looked at.
CREATE FUNCTION pg_temp.reads(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE before bigint := pg_stat_get_xact_tuples_returned('pg_depend_reference_index'::regclass);
BEGIN
	EXECUTE statement;
	RETURN pg_stat_get_xact_tuples_returned('pg_depend_reference_index'::regclass) - before;
END$$;
BEGIN;
SELECT count(tenancy.create_tenant('many-' || i, 'schema')) FROM generate_series(1, 3) i;
SELECT count(tenancy.suspend_tenant('many-' || i)) FROM generate_series(1, 3) i;
SELECT pg_temp.reads($$SELECT tenancy.drop_tenant('many-1')$$) > 0 AS looks;
SELECT pg_temp.reads($$SELECT tenancy.drop_tenant('many-2')$$) AS few \gset
SELECT count(tenancy.create_tenant('many-' || i, 'schema')) FROM generate_series(4, 33) i;
SELECT pg_temp.reads($$SELECT tenancy.drop_tenant('many-3')$$) AS many \gset
SELECT :many < 1.2 * :few AS "looks at its own only";
ROLLBACK;

SET client_min_messages = error;
\set ECHO none
SELECT 'DROP DATABASE tenancy_template_' || oid FROM pg_database WHERE datname = current_database() \gexec
\set ECHO all
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP VIEW IF EXISTS regress_left;
DROP TABLE regress_deleted;
DROP FUNCTION regress_note(), regress_stop();
DROP ROLE regress_owner;
