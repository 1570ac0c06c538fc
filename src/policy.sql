/* policy.c: protecting shared tables */

CREATE FUNCTION tenancy.protect_table(rel regclass, tenant_column name DEFAULT 'tenant_id',
	foreign_key boolean DEFAULT true, assign_to text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_policy_protect_table'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tenancy.protect_table(regclass, name, boolean, text) IS
'Makes a table, with its partitions and children, a shared table of which each tenant has its own rows';

CREATE FUNCTION tenancy.protect_module(module text, tenant_column name DEFAULT 'tenant_id')
RETURNS SETOF regclass
AS 'MODULE_PATHNAME', 'tenancy_policy_protect_module'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tenancy.protect_module(text, name) IS
'Protects all tables of a module; returns those for which there was something to do';

/* Whatever becomes a partition or child of a protected table has its policies at once. */
CREATE FUNCTION tenancy.protect_children()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'tenancy_policy_protect_children'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tenancy.protect_children() IS
'Event trigger: protects what becomes a partition or inheritance child of a protected table';
CREATE EVENT TRIGGER tenancy_protect ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE SCHEMA')
	EXECUTE FUNCTION tenancy.protect_children();

CREATE FUNCTION tenancy.unprotect_table(rel regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_policy_unprotect_table'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tenancy.unprotect_table(regclass) IS
'Undoes protect_table(), but keeps the tenant column, its index and the rows';

CREATE FUNCTION tenancy.is_protected(rel regclass)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_policy_is_protected'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION tenancy.is_protected(regclass) IS
'Whether row security is on and forced for this one table, and its isolation policy is unchanged';

/*
 * What lets rows through to tenant_isolation.  The planner replaces the call,
 * so that it costs nothing when a query runs.
 */
CREATE FUNCTION tenancy.policy_allow_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'tenancy_policy_allow_support'
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION tenancy.policy_allow_support(internal) IS
'Planner support of tenancy.policy_allow()';

CREATE FUNCTION tenancy.policy_allow(rel oid)
RETURNS boolean
AS 'MODULE_PATHNAME', 'tenancy_policy_allow'
LANGUAGE C STABLE PARALLEL SAFE LEAKPROOF
SUPPORT tenancy.policy_allow_support;
COMMENT ON FUNCTION tenancy.policy_allow(oid) IS
'For the policies of tenants'' tables: whether the table has the policy that keeps tenants apart';

/*
 * The row of a table that was dropped stays in tenancy.protected_table until
 * repair() removes it, and is not shown.
 */
CREATE VIEW tenancy.protected_tables AS
WITH RECURSIVE covered (root, relation) AS (
	SELECT p.relation::oid, p.relation::oid
	FROM tenancy.protected_table p
	UNION
	SELECT v.root, i.inhrelid
	FROM covered v
	JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) v.relation
)
SELECT n.nspname AS table_schema,
	   c.relname AS table_name,
	   p.relation,
	   p.tenant_column,
	   m.name AS module,
	   s.tables,
	   s.row_security,
	   s.policies_intact
FROM tenancy.protected_table p
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.relation::oid
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN tenancy.module m ON m.model_schema OPERATOR(pg_catalog.=) n.nspname
CROSS JOIN LATERAL (
	SELECT pg_catalog.count(*) AS tables,
		   pg_catalog.bool_and(t.relrowsecurity AND t.relforcerowsecurity) AS row_security,
		   pg_catalog.bool_and(tenancy.is_protected(t.oid::regclass)) AS policies_intact
	FROM covered v
	JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) v.relation
	WHERE v.root OPERATOR(pg_catalog.=) p.relation::oid
) s;
COMMENT ON VIEW tenancy.protected_tables IS 'Shared tables under the tenant policies';
COMMENT ON COLUMN tenancy.protected_tables.table_schema IS 'The table''s schema';
COMMENT ON COLUMN tenancy.protected_tables.table_name IS 'The table''s name';
COMMENT ON COLUMN tenancy.protected_tables.relation IS 'The table: the root of its partitions or inheritance children';
COMMENT ON COLUMN tenancy.protected_tables.tenant_column IS 'The column that says to which tenant a row belongs';
COMMENT ON COLUMN tenancy.protected_tables.module IS 'The module whose model schema holds the table; null if none does';
COMMENT ON COLUMN tenancy.protected_tables.tables IS 'How many tables are meant: the table itself and its partitions or inheritance children';
COMMENT ON COLUMN tenancy.protected_tables.row_security IS 'Whether row security is on and forced for all of them';
COMMENT ON COLUMN tenancy.protected_tables.policies_intact IS 'Whether all of them are protected as they should be; if not, call protect_table() again';

REVOKE ALL ON FUNCTION tenancy.protect_table(regclass, name, boolean, text),
	tenancy.protect_module(text, name), tenancy.protect_children(), tenancy.unprotect_table(regclass),
	tenancy.is_protected(regclass), tenancy.policy_allow(oid), tenancy.policy_allow_support(internal)
	FROM PUBLIC;

/*
 * Row security does not hold the rows of materialized views.  So nobody but the owner
 * of a tenant's schema has privileges on them there, nor on what reads them, at any
 * remove, with its owner's rights: views that are not security_invoker, and
 * rules.  Given materialized views, these are the relations, themselves included.
 */
CREATE FUNCTION tenancy.matview_readers(matviews oid[])
RETURNS SETOF oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	WITH RECURSIVE reads (relation, as_owner) AS (
		SELECT m, true FROM unnest(matviews) m
	UNION
		SELECT r.ev_class, r.ev_type <> '1' OR NOT COALESCE((SELECT o.option_value::boolean
			FROM pg_class c, pg_options_to_table(c.reloptions) o
			WHERE c.oid = r.ev_class AND o.option_name = 'security_invoker'), false)
		FROM reads x
		JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = x.relation
			AND d.classid = 'pg_rewrite'::regclass
		JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> x.relation
	)
	SELECT DISTINCT x.relation FROM reads x WHERE x.as_owner;
END;
COMMENT ON FUNCTION tenancy.matview_readers(oid[]) IS
'Materialized views, and what reads them with its owner''s rights';

REVOKE ALL ON FUNCTION tenancy.matview_readers(oid[]) FROM PUBLIC;
