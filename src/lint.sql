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

REVOKE ALL ON FUNCTION tenancy.check_isolation(), tenancy.names_schema(oid, text, boolean), tenancy.row_security_holes(integer) FROM PUBLIC;
