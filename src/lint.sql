/* lint.c: what weakens the isolation of tenants */

CREATE FUNCTION tenancy.check_isolation(OUT severity text, OUT lint text, OUT object text,
										OUT detail text, OUT fix text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'tenancy_lint_check_isolation'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tenancy.check_isolation() IS
'Reports what weakens the isolation of tenants, and SQL that fixes it where there is such';

/*
 * Holes in row security that minor releases closed.  A major version that is
 * not listed never had the hole.
 */
CREATE FUNCTION tenancy.row_security_holes(server_version_num integer)
RETURNS TABLE (cve text, fixed_in text, hole text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT k.cve, (k.fixed / 10000)::text || '.' || (k.fixed % 10000)::text, k.hole
	FROM (VALUES
		('CVE-2023-2455', 150003, 'policies are applied for the wrong user in inlined functions'),
		('CVE-2023-39418', 150004, 'MERGE does not enforce the policies for UPDATE and SELECT'),
		('CVE-2024-10976', 150009, 'policies below subqueries are applied for the wrong user'),
		('CVE-2024-10976', 160005, 'policies below subqueries are applied for the wrong user'),
		('CVE-2024-10976', 170001, 'policies below subqueries are applied for the wrong user'),
		('CVE-2025-8713', 150014, 'leaky operators see statistics of rows that policies hide'),
		('CVE-2025-8713', 160010, 'leaky operators see statistics of rows that policies hide'),
		('CVE-2025-8713', 170006, 'leaky operators see statistics of rows that policies hide')
	) k (cve, fixed, hole)
	WHERE k.fixed / 10000 = server_version_num / 10000 AND k.fixed > server_version_num
	ORDER BY k.cve
$$;
COMMENT ON FUNCTION tenancy.row_security_holes(integer) IS
'The known holes in row security of a server version (as in server_version_num)';

CREATE FUNCTION tenancy.names_schema(function oid, schema text, replaced boolean)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_lint_names_schema'
LANGUAGE C STABLE;
COMMENT ON FUNCTION tenancy.names_schema(oid, text, boolean) IS
'Whether a function''s body names a schema, other than where copies name their own';

CREATE FUNCTION tenancy.names_schema(expression pg_node_tree, schema text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_lint_expression_names'
LANGUAGE C STABLE;
COMMENT ON FUNCTION tenancy.names_schema(pg_node_tree, text) IS
'Whether a text in an expression names a schema';

CREATE FUNCTION tenancy.names_schema(string text, schema text)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_lint_string_names'
LANGUAGE C STABLE;
COMMENT ON FUNCTION tenancy.names_schema(text, text) IS
'Whether an argument or setting names a schema';

/*
 * What is in a schema and has a text in its definition that names a model schema.
 * PostgreSQL knows nothing of what such a text means, and a copy has it as it is.
 * Looks from the schema, so that it costs the same whatever else is in the database.
 */
CREATE FUNCTION tenancy.names_in_definitions(namespace oid)
RETURNS TABLE (object text, model_schema name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH member AS MATERIALIZED (
		SELECT d.classid, d.objid FROM pg_depend d
		WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = namespace
		AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')),
	rel AS MATERIALIZED (SELECT objid AS oid FROM member WHERE classid = 'pg_class'::regclass),
	expression (classid, objid, tree) AS (
		SELECT 'pg_attrdef'::regclass, a.oid, a.adbin FROM rel JOIN pg_attrdef a ON a.adrelid = rel.oid
		UNION ALL
		SELECT 'pg_constraint'::regclass, c.oid, c.conbin FROM rel JOIN pg_constraint c ON c.conrelid = rel.oid
		WHERE c.conbin IS NOT NULL AND c.conislocal
		UNION ALL
		SELECT 'pg_type'::regclass, c.contypid, c.conbin FROM member m JOIN pg_constraint c ON c.contypid = m.objid
		WHERE m.classid = 'pg_type'::regclass AND c.conbin IS NOT NULL
		UNION ALL
		SELECT 'pg_type'::regclass, t.oid, t.typdefaultbin FROM member m JOIN pg_type t ON t.oid = m.objid
		WHERE m.classid = 'pg_type'::regclass AND t.typdefaultbin IS NOT NULL
		UNION ALL
		SELECT 'pg_class'::regclass, i.indexrelid, t.tree FROM rel JOIN pg_index i ON i.indrelid = rel.oid,
		LATERAL (VALUES (i.indexprs), (i.indpred)) t (tree) WHERE t.tree IS NOT NULL
		UNION ALL
		SELECT 'pg_class'::regclass, p.partrelid, p.partexprs FROM rel JOIN pg_partitioned_table p ON p.partrelid = rel.oid
		WHERE p.partexprs IS NOT NULL
		UNION ALL
		SELECT CASE r.rulename WHEN '_RETURN' THEN 'pg_class'::regclass ELSE 'pg_rewrite'::regclass END,
			CASE r.rulename WHEN '_RETURN' THEN r.ev_class ELSE r.oid END, t.tree
		FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid, LATERAL (VALUES (r.ev_qual), (r.ev_action)) t (tree)
		UNION ALL
		SELECT 'pg_trigger'::regclass, t.oid, t.tgqual FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid
		WHERE t.tgparentid = 0 AND t.tgqual IS NOT NULL
		UNION ALL
		SELECT 'pg_policy'::regclass, p.oid, t.tree FROM rel JOIN pg_policy p ON p.polrelid = rel.oid,
		LATERAL (VALUES (p.polqual), (p.polwithcheck)) t (tree) WHERE t.tree IS NOT NULL
		UNION ALL
		SELECT 'pg_statistic_ext'::regclass, s.oid, s.stxexprs FROM rel JOIN pg_statistic_ext s ON s.stxrelid = rel.oid
		WHERE s.stxexprs IS NOT NULL
		UNION ALL
		SELECT 'pg_proc'::regclass, p.oid, t.tree FROM member m JOIN pg_proc p ON p.oid = m.objid,
		LATERAL (VALUES (p.prosqlbody), (p.proargdefaults)) t (tree) WHERE m.classid = 'pg_proc'::regclass AND t.tree IS NOT NULL),
	string (classid, objid, string) AS (
		/* Arguments of triggers: each ends with a zero byte. */
		SELECT 'pg_trigger'::regclass, t.oid, convert_from(decode(a, 'hex'), getdatabaseencoding())
		FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid,
		LATERAL string_to_table(regexp_replace(encode(t.tgargs, 'hex'), '..', '\& ', 'g'), '00 ') a
		WHERE t.tgparentid = 0 AND t.tgnargs > 0
		UNION ALL
		/* Settings: that of search_path follows. */
		SELECT 'pg_proc'::regclass, p.oid, c FROM member m JOIN pg_proc p ON p.oid = m.objid, LATERAL unnest(p.proconfig) c
		WHERE m.classid = 'pg_proc'::regclass AND NOT starts_with(c, 'search_path=')
		UNION ALL
		SELECT 'pg_ts_dict'::regclass, t.oid, t.dictinitoption FROM member m JOIN pg_ts_dict t ON t.oid = m.objid
		WHERE m.classid = 'pg_ts_dict'::regclass AND t.dictinitoption IS NOT NULL)
	SELECT DISTINCT pg_describe_object(x.classid, x.objid, 0), x.model_schema
	FROM (SELECT e.classid, e.objid, o.model_schema FROM tenancy.module o, expression e WHERE tenancy.names_schema(e.tree, o.model_schema)
		UNION ALL
		SELECT s.classid, s.objid, o.model_schema FROM tenancy.module o, string s WHERE tenancy.names_schema(s.string, o.model_schema)) x
	ORDER BY 1, 2
$$;
COMMENT ON FUNCTION tenancy.names_in_definitions(oid) IS
'What in a schema has a text in its definition that names a model schema';

REVOKE ALL ON FUNCTION tenancy.check_isolation(), tenancy.names_schema(oid, text, boolean), tenancy.names_schema(pg_node_tree, text),
	tenancy.names_schema(text, text), tenancy.names_in_definitions(oid), tenancy.row_security_holes(integer) FROM PUBLIC;
