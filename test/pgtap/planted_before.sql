--
-- What somebody planted in the schema in which CREATE EXTENSION would create
-- things (public, as a rule) before it ran: operators and functions that fit
-- better than PostgreSQL's own.  Views, policies, checks and defaults are bound
-- to what is found at that moment, and run for a superuser ever after.
--
\set ECHO none
\set QUIET 1
SET client_min_messages = warning;
SELECT 'CREATE ROLE app LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') \gexec
DROP EXTENSION IF EXISTS tenancy CASCADE;
DROP SCHEMA IF EXISTS tenancy, planted CASCADE;
CREATE SCHEMA planted AUTHORIZATION app;

-- Every operator that PostgreSQL finds by a cast or by guessing, for the types
-- of catalogs and registry, as an operator that needs neither.
SET ROLE app;
CREATE FUNCTION planted.spring() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'sprung for %', current_user USING ERRCODE = 'XX999';
END $$;
DO $do$
DECLARE
	op record;
BEGIN
	FOR op IN
		SELECT o.name, l.type::regtype AS lt, r.type::regtype AS rt,
			CASE o.name WHEN '||' THEN 'name' WHEN '+' THEN 'bigint' WHEN '-' THEN 'bigint' WHEN '/' THEN 'bigint' WHEN '->' THEN 'jsonb' WHEN '->>' THEN 'text' ELSE 'boolean' END AS result
		FROM unnest(ARRAY['=', '<>', '<', '>', '<=', '>=', '||', '+', '-', '/', '->', '->>', '~', '~~', '@>']) AS o (name)
		CROSS JOIN unnest(ARRAY['name', 'text', '"char"', 'oid', 'regclass', 'regrole', 'uuid', 'smallint', 'integer', 'bigint', 'boolean', 'jsonb', 'text[]', 'name[]', 'oid[]', 'timestamptz', 'interval', 'numeric', 'varchar']) AS l (type)
		CROSS JOIN unnest(ARRAY['name', 'text', '"char"', 'oid', 'regclass', 'regrole', 'uuid', 'smallint', 'integer', 'bigint', 'boolean', 'jsonb', 'text[]', 'name[]', 'oid[]', 'timestamptz', 'interval', 'numeric', 'varchar']) AS r (type)
		WHERE NOT EXISTS (SELECT FROM pg_operator p WHERE p.oprname = o.name AND p.oprleft = l.type::regtype AND p.oprright = r.type::regtype AND p.oprnamespace = 'pg_catalog'::regnamespace)
	LOOP
		EXECUTE format('CREATE OR REPLACE FUNCTION planted.trap_%s(%s, %s) RETURNS %s LANGUAGE sql AS $q$SELECT planted.spring()::%s$q$',
			translate(op.result, ' ', '_'), op.lt, op.rt, op.result, op.result);
		EXECUTE format('CREATE OPERATOR planted.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = planted.trap_%s)',
			op.name, op.lt, op.rt, translate(op.result, ' ', '_'));
	END LOOP;
	-- functions of PostgreSQL's names, for types for which it needs a cast
	FOR op IN
		SELECT DISTINCT p.proname, a.type::regtype AS type
		FROM pg_proc p CROSS JOIN unnest(ARRAY['name', 'text', '"char"', 'regclass', 'regrole', 'varchar', 'smallint']) AS a (type)
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.pronargs = 1 AND p.prokind = 'f'
		AND p.proname IN ('lower', 'upper', 'quote_ident', 'quote_literal', 'length', 'format_type', 'pg_get_viewdef', 'pg_get_indexdef', 'count', 'abs', 'hashtext', 'unnest', 'jsonb_typeof', 'obj_description')
		AND NOT EXISTS (SELECT FROM pg_proc q WHERE q.pronamespace = p.pronamespace AND q.proname = p.proname AND q.pronargs = 1 AND q.proargtypes[0] = a.type::regtype)
	LOOP
		EXECUTE format('CREATE FUNCTION planted.%I(%s) RETURNS text LANGUAGE sql AS $q$SELECT planted.spring()$q$', op.proname, op.type);
	END LOOP;
END $do$;
CREATE TYPE planted.isolation_mode AS ENUM ('shared');
RESET ROLE;

-- where CREATE EXTENSION would create what has no schema
SET search_path = planted;
CREATE EXTENSION tenancy;
RESET search_path;

SELECT plan(8);
SELECT cmp_ok((SELECT count(*) FROM pg_operator WHERE oprnamespace = 'planted'::regnamespace), '>', 1000::bigint, 'the operators are there');
CREATE FUNCTION planted.run_into_it() RETURNS text LANGUAGE plpgsql SET search_path = planted AS $$
BEGIN
	RETURN 'a'::name || 'b'::name;
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN SQLERRM;
END $$;
SELECT is(planted.run_into_it(), 'sprung for ' || current_user::text, 'control: one is found, and springs for whoever comes by');

-- All that the extension consists of, with what is part of it
CREATE TEMP VIEW ours AS
WITH RECURSIVE o (classid, objid) AS (
	SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'tenancy' AND d.deptype = 'e'
	UNION
	SELECT d.classid, d.objid FROM o JOIN pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid
	WHERE d.deptype IN ('i', 'a')
)
SELECT * FROM o;
SELECT cmp_ok((SELECT count(*) FROM ours), '>', 200::bigint, 'the extension''s objects are found');
SELECT is_empty($$SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ': ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
	FROM ours o JOIN pg_depend d USING (classid, objid)
	CROSS JOIN LATERAL pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) i
	WHERE i.schema = 'planted' OR i.identity ~ '^planted\.'$$, 'none of them uses what was planted');
SELECT is_empty($$SELECT pg_describe_object(o.classid, o.objid, 0) FROM ours o
	CROSS JOIN LATERAL pg_identify_object(o.classid, o.objid, 0) i
	WHERE i.schema NOT IN ('tenancy', 'pg_toast')$$, 'all of them are in its own schema');
SELECT isnt((SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'tenancy'), 'planted', 'the schema that came first is not the extension''s');
SELECT is((SELECT count(*)::integer FROM tenancy.drift()), 0, 'what reads the views springs nothing');
SELECT lives_ok('DROP SCHEMA planted CASCADE', 'and the schema can be dropped');
SELECT * FROM finish();
