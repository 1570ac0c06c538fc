--
-- All that there is in schema tenancy, as ordinary roles meet it: clerk, who may
-- act for acme only, and stranger, who may act for nobody.  The lists are
-- compared with the catalogs, so that a new object fails here until somebody has
-- thought about who may see what of it.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema', '00000000-0000-4000-8000-00000000000c') \g /dev/null
SELECT tenancy.create_token_key('k', 'HS256', '0123456789abcdef0123456789abcdef') \g /dev/null
GRANT USAGE ON SCHEMA tenancy TO stranger;

CREATE TABLE t.classified (object text PRIMARY KEY, class text);
GRANT SELECT ON t.classified TO PUBLIC;
-- For access roles: context functions, and what policies call.  For others: nothing.
INSERT INTO t.classified SELECT unnest(ARRAY['set_tenant(text,boolean)', 'set_tenant(uuid,boolean)',
	'set_tenant_token(text,boolean)', 'reset_tenant()', 'current_tenant()', 'current_tenant_id()', 'is_current_tenant(uuid)',
	'tenant_database(text)', 'policy_tenant_id()', 'policy_is_tenant(uuid)', 'policy_allow(oid)']), 'context';
-- For whom the DBA grants EXECUTE
INSERT INTO t.classified SELECT unnest(ARRAY['create_module(text,name)', 'create_tenant(text,tenancy.isolation_mode,uuid,text,jsonb)',
	'suspend_tenant(text,text,boolean)', 'session_contexts()', 'resume_tenant(text)', 'rename_tenant(text,text)', 'drop_tenant(text,boolean)',
	'set_spares(tenancy.isolation_mode,integer)', 'refill_spares()', 'model_fingerprint()', 'install_module(text,text)', 'uninstall_module(text,text,boolean)', 'repair()', 'grant_access(regrole,text)', 'revoke_access(regrole,text)',
	'create_token_key(text,text,text,timestamp with time zone,timestamp with time zone,boolean)', 'drop_token_key(text)', 'sign_token(text,interval,text)',
	'protect_table(regclass,name,boolean,text)', 'protect_module(text,name)', 'unprotect_table(regclass)', 'is_protected(regclass)', 'check_isolation()',
	'row_security_holes(integer)', 'add_migration(bigint,text,text,text,boolean,boolean,text)', 'load_migrations(text,text)',
	'migrate(text,text[],integer,integer,integer,interval,integer,boolean)', 'rollback(bigint,text,text[],integer,integer,integer,interval,integer,boolean)',
	'drift(text)', 'drift_objects(oid,uuid,text)', 'drift_owner(oid,oid,text)', 'drift_privileges(aclitem[],"char",oid,oid,text)', 'drift_withheld()', 'matview_readers(oid[])', 'names_schema(oid,text,boolean)', 'names_schema(pg_node_tree,text)', 'names_schema(text,text)', 'names_in_definitions(oid)', 'drift_schema_privileges(oid,uuid,text)', 'export_tenant(text,text)', 'import_tenant(text,text,tenancy.isolation_mode)',
	'copy_tenant(text,text,tenancy.isolation_mode)', 'start_recording(bigint,text,text,text[])', 'stop_recording(boolean)',
	'move_tenant(text,tenancy.isolation_mode,boolean)', 'add_reference_table(regclass)', 'remove_reference_table(regclass)',
	'sync_reference_tables()']), 'administrator';
-- Called by the server, triggers or our own workers, by nobody else
INSERT INTO t.classified SELECT unnest(ARRAY['invalidate_registry()', 'record_commands()', 'protect_children()', 'policy_support(internal)', 'policy_allow_support(internal)',
	'export_tables(jsonb,text)', 'import_tables(jsonb,text,uuid)', 'import_changes(jsonb,text,uuid)', 'import_schema(jsonb,text,uuid,text)', 'import_database(jsonb,text,uuid,text)', 'refresh_copies(uuid)', 'move_rows(uuid)', 'move_load(uuid,jsonb,text)', 'move_write(jsonb,text,text,xid8)', 'keep_migration()', 'move_note()']), 'internal';
-- The registry, which the extension's owner reads for others; sequences included
INSERT INTO t.classified SELECT unnest(ARRAY['module', 'tenant', 'tenant_module', 'module_copy', 'spare', 'spare_target', 'recording', 'access', 'protected_table', 'reference_table', 'pending_database',
	'token_key', 'migration', 'migration_run', 'migration_run_id_seq', 'move', 'move_change', 'recorded_statement', 'recorded_statement_number_seq',
	'drift_copy', 'drift_family_member', 'drift_member', 'drift_need', 'drift_policy', 'drift_sequence']), 'registry';
-- Views for administrators: they show all tenants, and so are not to be granted to a tenant's role
INSERT INTO t.classified SELECT unnest(ARRAY['protected_tables', 'migration_status', 'migration_progress', 'progress', 'sessions', 'spares']), 'administrator''s view';
-- The one view that shows each role what is its own
INSERT INTO t.classified VALUES ('tenants', 'own');

CREATE VIEW t.objects AS
SELECT regexp_replace(p.oid::regprocedure::text, '^tenancy\.', '') AS object, p.oid AS function, NULL::oid AS relation, p.prokind
FROM pg_proc p WHERE p.pronamespace = 'tenancy'::regnamespace
UNION ALL
SELECT c.relname, NULL, c.oid, NULL FROM pg_class c
WHERE c.relnamespace = 'tenancy'::regnamespace AND c.relkind NOT IN ('i', 'I', 't');
GRANT SELECT ON t.objects TO PUBLIC;

-- What a role gets when it calls or reads the thing, with nulls for arguments
CREATE FUNCTION t.touch(object text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	o record;
BEGIN
	SELECT * INTO o FROM t.objects WHERE objects.object = touch.object;
	IF o.relation IS NOT NULL THEN
		RETURN t.state(format('SELECT * FROM tenancy.%I', object));
	END IF;
	RETURN t.state(format('%s tenancy.%I(%s)', CASE o.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.proname,
		(SELECT string_agg('NULL::' || format_type(a, NULL), ', ') FROM unnest(p.proargtypes) a))) FROM pg_proc p WHERE p.oid = o.function;
END $$;

\connect - clerk
SET client_min_messages = warning;
SELECT * FROM no_plan();

SELECT is_empty('SELECT object FROM t.objects EXCEPT SELECT object FROM t.classified', 'each object of the schema is classified');
SELECT is_empty($$SELECT object FROM t.classified EXCEPT SELECT object FROM t.objects$$, 'and each that is classified is there');
SELECT is_empty($$SELECT c.relname FROM pg_class c JOIN t.objects ON relation = c.oid WHERE c.relkind = 'r' AND NOT c.relrowsecurity AND c.relname <> 'tenant'$$, 'each table keeps out even those who read or write all data');

-- ---------------------------------------------------------------------------
-- One tenant: what is not for its role is refused, in any form
-- ---------------------------------------------------------------------------
SELECT is(t.touch(object), '42501', 'clerk: ' || object) FROM t.classified JOIN t.objects USING (object) WHERE class NOT IN ('context', 'internal');
SELECT ok(NOT has_function_privilege(function, 'EXECUTE'), 'clerk: ' || object || ' is not for calling')
FROM t.classified JOIN t.objects USING (object) WHERE class IN ('internal', 'administrator');
SELECT ok(NOT has_table_privilege(relation, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'), 'clerk: ' || object || ' is not for writing')
FROM t.classified JOIN t.objects USING (object) JOIN pg_class c ON c.oid = relation WHERE c.relkind IN ('r', 'v');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN t.objects ON relation = attrelid JOIN pg_class c ON c.oid = attrelid
	WHERE attnum > 0 AND NOT attisdropped AND c.relkind IN ('r', 'v') AND has_column_privilege(attrelid, attnum, 'SELECT, INSERT, UPDATE, REFERENCES')$$, 'clerk: no column is for reading');
SELECT isnt(t.touch(object), '42501', 'control: clerk may call ' || object) FROM t.classified WHERE class = 'context' AND object <> 'is_current_tenant(uuid)';
SELECT throws_ok($$TRUNCATE tenancy.tenant$$, '42501', NULL, 'clerk: TRUNCATE');
SELECT throws_ok($$SELECT nextval('tenancy.migration_run_id_seq')$$, '42501', NULL, 'clerk: a sequence');
SELECT throws_ok(format('SELECT %s', call), '42501', NULL, call) FROM unnest(ARRAY[
	'query_to_xml(''SELECT * FROM tenancy.tenant'', true, false, '''')', 'table_to_xml(''tenancy.tenant'', true, false, '''')',
	'schema_to_xml(''tenancy'', true, false, '''')', 'ts_stat(''SELECT to_tsvector(slug) FROM tenancy.tenant'')']) AS call
WHERE call NOT LIKE 'schema%';
SELECT unalike(query_to_xml('SELECT 1', true, false, '')::text || COALESCE((SELECT schema_to_xml('tenancy', true, false, '')::text WHERE t.state($$SELECT schema_to_xml('tenancy', true, false, '')$$) = '00000'), ''), '%hooli%', 'schema_to_xml() leaves out what cannot be read');

-- What the context functions tell of others
SELECT is(tenancy.current_tenant(), NULL, 'no context: no tenant');
SELECT is(tenancy.current_tenant_id(), NULL, 'nor its id');
SELECT ok(NOT tenancy.is_current_tenant(id), 'nor is it ' || id) FROM unnest(ARRAY[:'acme', :'hooli']::uuid[]) AS id;
SELECT throws_ok(format('SELECT tenancy.%s', call), state, NULL, call) FROM (VALUES
	($$tenant_database('hooli')$$, '42501'), ($$tenant_database('globex')$$, '42501'), ($$tenant_database('nosuch')$$, '42501'),
	($$set_tenant('hooli')$$, '42501'), ($$set_tenant('globex')$$, '42501'), ($$set_tenant('nosuch')$$, '42501'),
	($$set_tenant('00000000-0000-4000-8000-00000000000b'::uuid)$$, '42501'), ($$set_tenant('00000000-0000-4000-8000-0000000000ff'::uuid)$$, '42501'),
	($$set_tenant_token('x')$$, '28000'), ('policy_tenant_id()', 'TN001'), ($$policy_is_tenant('00000000-0000-4000-8000-00000000000b')$$, 'TN001')) AS calls (call, state);
SELECT ok(NOT tenancy.policy_allow(oid), 'policy_allow() by itself allows nothing: ' || oid::regclass) FROM pg_class WHERE relname IN ('pg_class', 'drift_member');
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(tenancy.policy_tenant_id(), :'acme'::uuid, 'under acme: its id');
SELECT is(t.value(format('SELECT tenancy.policy_is_tenant(%L)', id)), t.value(format('SELECT tenancy.policy_is_tenant(%L)', '00000000-0000-4000-8000-0000000000ff')), 'under acme: ' || id || ' is nobody''s or another''s')
FROM unnest(ARRAY[:'hooli', '00000000-0000-4000-8000-00000000000c']) AS id;
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, '42501', NULL, 'under acme: another tenant');
ROLLBACK;

-- The view of tenants, and those for administrators, where a DBA grants them
SELECT t.admin('GRANT SELECT ON tenancy.tenants, tenancy.migration_status TO clerk, stranger') \g /dev/null
SELECT set_eq('SELECT slug::text FROM tenancy.tenants', ARRAY['acme'], 'tenants shows clerk its own');
SELECT is(t.value('SELECT t.slug FROM tenancy.tenants t WHERE t::text LIKE ''%hooli%'''), NULL, 'as a whole row, too');
SELECT unalike(query_to_xml('SELECT * FROM tenancy.tenants', true, false, '')::text, '%hooli%', 'and as XML');
SELECT unalike(t.plan('SELECT * FROM tenancy.tenants WHERE slug = ''hooli'''), '%Rows Removed%', 'a plan tells no rows');
SELECT isnt_empty($$SELECT FROM tenancy.migration_status WHERE tenant = 'hooli'$$, 'a view for administrators does show others: it is not for tenants'' roles');

-- What everybody can read of us in PostgreSQL's own catalogs: no secret is there
SELECT is_empty($$SELECT FROM pg_stats WHERE schemaname = 'tenancy'$$, 'statistics of the registry');
SELECT is_empty($$SELECT FROM pg_stats_ext WHERE schemaname = 'tenancy'$$, 'extended ones');
SELECT is_empty($$SELECT FROM pg_proc WHERE prosrc ~ '0123456789abcdef' AND pronamespace = 'tenancy'::regnamespace$$, 'keys in functions');
SELECT is_empty($$SELECT FROM pg_settings WHERE name LIKE 'tenancy.%' AND setting ~ '0123456789abcdef'$$, 'or in settings');

SELECT is(t.elsewhere('stranger', 'stranger', format('SELECT t.touch(%L)', object)), CASE class WHEN 'own' THEN '00000' WHEN 'administrator''s view' THEN CASE object WHEN 'migration_status' THEN '00000' ELSE '42501' END ELSE '42501' END, 'stranger: ' || object)
FROM t.classified JOIN t.objects USING (object) WHERE class <> 'internal';
SELECT is(t.elsewhere('stranger', 'stranger', 'SELECT count(*) FROM tenancy.tenants'), '0', 'stranger: there are no tenants');
SELECT * FROM finish();
\connect - :admin
REVOKE USAGE ON SCHEMA tenancy FROM stranger;
