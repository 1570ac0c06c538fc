/*-------------------------------------------------------------------------
 *
 * lint.c
 *	  check_isolation(): what weakens the isolation of tenants.
 *
 * A lint is a query over the catalogs and the registry whose rows are its
 * findings.  What many of them need (which tables are meant, which roles an
 * access role can become, ...) is computed once, into named tuplestores that
 * the queries refer to like tables: see "relations" below.
 *
 * Invariants:
 *
 * - Set-based: the number of queries is fixed, and each reads a catalog as a
 *	 whole.  Nothing opens the tables of tenants: a backend would keep each
 *	 one's cache entry.  So no function that deparses an expression with its
 *	 columns is called for tables in tenants' schemas, of which there are
 *	 many; of the shared ones there are few.
 * - All of it sees one snapshot: the queries are read-only.
 * - It runs as the extension's owner with a path of pg_catalog only, so that
 *	 names and operators without a schema are PostgreSQL's own.  No expression
 *	 that a user wrote is evaluated, only looked at.
 * - A fix qualifies the names of all objects, because it runs with whatever
 *	 path the DBA has; it is one text of one or several statements that are
 *	 meant to run as one transaction, by a superuser.  No fix needs another one
 *	 to have run before, and none is spoilt by another one of the same report
 *	 having run.  Where there is no statement that a DBA can run without
 *	 thinking (a view would change its meaning, say), there is no fix.
 * - What a tenant's schema has from the model is reported for the model alone,
 *	 if it is no worse in the copy.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_proc.h"
#include "clone_body.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "progress.h"
#include "registry.h"
#include "utils/builtins.h"
#include "utils/portal.h"
#include "utils/queryenvironment.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_lint_names_schema);
PG_FUNCTION_INFO_V1(tenancy_lint_string_names);
PG_FUNCTION_INFO_V1(tenancy_lint_expression_names);
PG_FUNCTION_INFO_V1(tenancy_lint_check_isolation);

/* How many rows to move at a time. */
#define BATCH_ROWS 1000

typedef struct LintRelation
{
	const char *name;
	const char *sql;
} LintRelation;

typedef struct Lint
{
	const char *severity;
	const char *name;
	const char *sql;			/* object, detail, fix */
} Lint;

/* Objects below this OID are PostgreSQL's own. */
#define USER_OBJECT(oid) oid " >= 16384"

/* Members of extensions are their authors' business. */
#define NOT_OF_EXTENSION(class, oid) \
	"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '" class "'::regclass" \
	" AND e.objid = " oid " AND e.deptype = 'e')"

/*
 * A superuser's REVOKE takes back what the owner granted; what somebody else
 * did, only as that role.  "a" is from aclexplode().
 */
#define AS_GRANTOR(owner, statement) \
	"CASE WHEN a.grantor = " owner " THEN '' ELSE format('SET ROLE %I; ', pg_get_userbyid(a.grantor)) END" \
	" || " statement " || CASE WHEN a.grantor = " owner " THEN '' ELSE '; RESET ROLE' END"

/*
 * Takes from a role of "reach" what it is directly a member of, for each who granted
 * that: from 16 on, these are memberships of their own.  Not if the role is itself what
 * it is not to reach.
 */
#define REVOKE_HOPS \
	"CASE WHEN bool_and(r.hop IS NOT NULL) THEN string_agg(DISTINCT" \
	" format('REVOKE %I FROM %s%s CASCADE', pg_get_userbyid(r.hop), r.name, h.by), E';\\n') FILTER (WHERE r.hop IS NOT NULL) END"
#define HOP \
	" LEFT JOIN LATERAL (SELECT ' GRANTED BY ' || quote_ident(g.rolname) AS by FROM pg_auth_members m" \
	"  LEFT JOIN pg_authid g ON g.oid = m.grantor AND g.oid <> 10" \
	"  WHERE m.member = r.role AND m.roleid = r.hop) h ON true"

/* All privileges on a relation, those on its columns included */
#define ALL_PRIVILEGES(relation, acl) \
	" (SELECT x.* FROM aclexplode(" acl ") x UNION" \
	" SELECT x.* FROM pg_attribute t, aclexplode(t.attacl) x" \
	" WHERE t.attrelid = " relation " AND t.attacl IS NOT NULL AND NOT t.attisdropped) "

/* A policy "p" of the name tenant_access that is as we made it */
#define ACCESS_INTACT \
	"p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}'::oid[] AND p.polwithcheck IS NULL" \
	" AND starts_with(p.polqual::text, format('{FUNCEXPR :funcid %s ', 'tenancy.policy_allow(oid)'::regprocedure::oid))" \
	" AND strpos(p.polqual::text, ' :varattno -6 ') > 0"

/* Privileges that reach around row security */
#define UNSAFE_PRIVILEGES "('TRUNCATE', 'REFERENCES', 'TRIGGER')"


/* ----------------------------------------------------------------
 * Relations
 * ----------------------------------------------------------------
 */

/* Roles that may act for tenants. */
#define ACCESS_ROLE \
	"SELECT DISTINCT r.oid AS role, quote_ident(r.rolname) AS name" \
	" FROM tenancy.access a JOIN pg_authid r ON r.oid = a.role"

/*
 * What they can become: the role itself too; "hop" is the membership that the
 * role has directly and that leads there.
 */
#define REACH \
	"WITH RECURSIVE m (role, name, member_of, hop) AS (" \
	" SELECT role, name, role, NULL::oid FROM access_role" \
	" UNION" \
	" SELECT m.role, m.name, a.roleid, coalesce(m.hop, a.roleid)" \
	" FROM m JOIN pg_auth_members a ON a.member = m.member_of)" \
	" SELECT role, name, member_of, hop FROM m"

/* Whoever must not hold certain privileges: those, and PUBLIC. */
#define GRANTEE \
	"SELECT DISTINCT r.member_of AS role, quote_ident(g.rolname) AS name" \
	" FROM reach r JOIN pg_authid g ON g.oid = r.member_of WHERE NOT g.rolsuper" \
	" UNION ALL SELECT 0::oid, 'PUBLIC'"

/* The schemas of tenants that there are. */
#define TENANT_SCHEMA \
	"SELECT n.oid AS nsp, n.nspname, t.id AS tenant, t.slug, x.model_schema" \
	" FROM tenancy.tenant t" \
	" CROSS JOIN LATERAL (" \
	"  SELECT t.schema_name AS name, m.model_schema FROM tenancy.module m WHERE m.position = 1" \
	"  UNION ALL" \
	"  SELECT (t.schema_name || '_plugin_' || i.module)::name, m.model_schema" \
	"  FROM tenancy.tenant_module i JOIN tenancy.module m ON m.name = i.module" \
	"  WHERE i.tenant_id = t.id AND m.position > 1) x" \
	" JOIN pg_namespace n ON n.nspname = x.name" \
	" WHERE t.schema_name IS NOT NULL"

/* Schemas that are on the path of a session that acts for a tenant. */
#define PATH_SCHEMA \
	"SELECT n.oid AS nsp, quote_ident(n.nspname) AS name, n.nspowner AS owner, n.nspacl AS acl," \
	" EXISTS (SELECT FROM tenant_schema s WHERE s.nsp = n.oid) AS of_tenant," \
	" EXISTS (SELECT FROM tenancy.module m WHERE m.model_schema = n.nspname) AS is_model" \
	" FROM pg_namespace n" \
	" WHERE n.oid IN (SELECT nsp FROM tenant_schema)" \
	" OR n.nspname IN (SELECT model_schema FROM tenancy.module)" \
	" OR n.nspname = 'tenancy'" \
	" OR n.nspname IN (SELECT btrim(p, ' \"')" \
	"  FROM string_to_table(current_setting('tenancy.search_path'), ',') p)"

/*
 * Shared tables that are protected, with their partitions and children, among
 * which there can be foreign tables; and without these.  A tree that is to be
 * protected again must have one owner.  A tenant column that was renamed is what the
 * policy, which follows it, depends on.
 */
#define SHARED \
	"SELECT m.*, coalesce(o.owners, '') || m.protect AS repair FROM member m" \
	" LEFT JOIN (SELECT x.root, string_agg(format(E'ALTER TABLE %s OWNER TO %I;\\n', x.name, pg_get_userbyid(r.relowner)), '' ORDER BY x.name) AS owners" \
	"  FROM member x JOIN pg_class r ON r.oid = x.root WHERE x.owner <> r.relowner AND x.relkind IN ('r', 'p')" \
	"  GROUP BY x.root) o ON o.root = m.root" \
	" WHERE m.relkind IN ('r', 'p')"
#define MEMBER \
	"WITH RECURSIVE renamed AS (" \
	" SELECT DISTINCT ON (p.relation) p.relation::oid AS root, a.attname" \
	" FROM tenancy.protected_table p" \
	" JOIN pg_policy i ON i.polrelid = p.relation AND i.polname = 'tenant_isolation'" \
	" JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = i.oid AND d.refobjid = p.relation" \
	" JOIN pg_attribute a ON a.attrelid = p.relation AND a.attnum = d.refobjsubid AND a.attnum > 0" \
	" WHERE NOT EXISTS (SELECT FROM pg_attribute x WHERE x.attrelid = p.relation AND x.attname = p.tenant_column)" \
	" ORDER BY p.relation)," \
	" covered (root, relation) AS (" \
	" SELECT p.relation::oid, p.relation::oid FROM tenancy.protected_table p" \
	" UNION" \
	" SELECT v.root, i.inhrelid FROM covered v JOIN pg_inherits i ON i.inhparent = v.relation)" \
	" SELECT DISTINCT ON (c.oid) c.oid AS relation, v.root, p.tenant_column, a.attnum," \
	" n.oid AS nsp, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname) AS name," \
	" c.relkind, c.relispartition, c.relowner AS owner, c.relrowsecurity AS rls," \
	" c.relforcerowsecurity AS forced, c.relacl AS acl," \
	" format('SELECT tenancy.protect_table(%L, %L%s)', format('%I.%I', rn.nspname, rc.relname), coalesce(z.attname, p.tenant_column)," \
	"  CASE WHEN EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = v.root" \
	"   AND f.contype = 'f' AND f.confrelid = 'tenancy.tenant'::regclass)" \
	"  THEN '' ELSE ', foreign_key => false' END) AS protect" \
	" FROM covered v" \
	" JOIN tenancy.protected_table p ON p.relation::oid = v.root" \
	" JOIN pg_class c ON c.oid = v.relation" \
	" JOIN pg_namespace n ON n.oid = c.relnamespace" \
	" JOIN pg_class rc ON rc.oid = v.root" \
	" JOIN pg_namespace rn ON rn.oid = rc.relnamespace" \
	" LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = p.tenant_column AND NOT a.attisdropped" \
	" LEFT JOIN renamed z ON z.root = v.root" \
	" ORDER BY c.oid, v.root"

/* All tables that tenants' rows are in: shared ones and those of schemas. */
#define SUBJECT \
	"SELECT relation, true AS shared, NULL::uuid AS tenant, root, tenant_column, attnum, nsp, nspname, relname," \
	" name, relkind, relispartition, owner, rls, forced, acl, repair" \
	" FROM shared" \
	" UNION ALL" \
	" SELECT c.oid, false, s.tenant, c.oid, m.tenant_column, NULL, s.nsp, s.nspname, c.relname," \
	" format('%I.%I', s.nspname, c.relname), c.relkind, c.relispartition, c.relowner, c.relrowsecurity," \
	" c.relforcerowsecurity, c.relacl," \
	" format('CREATE POLICY tenant_isolation ON %I.%I AS RESTRICTIVE USING (tenancy.policy_is_tenant(%L))', s.nspname, c.relname, s.tenant)" \
	" || CASE WHEN m.relation IS NULL THEN '' ELSE" \
	"  format(' WITH CHECK (tenancy.policy_is_tenant(%L) AND %I OPERATOR(pg_catalog.=) %L::pg_catalog.uuid)', s.tenant, m.tenant_column, s.tenant) END" \
	" FROM tenant_schema s" \
	" JOIN pg_class c ON c.relnamespace = s.nsp AND c.relkind IN ('r', 'p')" \
	" LEFT JOIN shared m ON m.nspname = s.model_schema AND m.relname = c.relname" \
	" WHERE c.oid NOT IN (SELECT relation FROM shared)"

/*
 * Isolation policies.  Those of schema tenants are deparsed without the table,
 * which would have to be opened, if nothing in them refers to it; the check
 * on their tenant column is held against the policy's own constant.
 */
#define ISOLATION \
	"SELECT s.relation, p.oid AS policy," \
	" NOT p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}'::oid[] AND p.polqual IS NOT NULL AND" \
	" CASE WHEN s.shared THEN p.polwithcheck IS NULL" \
	"   AND pg_get_expr(p.polqual, p.polrelid) = format('(%I = tenancy.policy_tenant_id())', s.tenant_column)" \
	"  WHEN strpos(p.polqual::text, '{VAR ') > 0 OR strpos(p.polqual::text, '{SUBLINK ') > 0 THEN false" \
	"  ELSE pg_get_expr(p.polqual, 0) = format('tenancy.policy_is_tenant(%L::uuid)', s.tenant)" \
	"   AND (p.polwithcheck IS NULL" \
	"    OR starts_with(p.polwithcheck::text, '{BOOLEXPR :boolop and :args (' || split_part(p.polqual::text, ' :args ', 1))" \
	"     AND split_part(split_part(p.polwithcheck::text, ':constvalue ', 2), ']', 1)" \
	"      = split_part(split_part(p.polqual::text, ':constvalue ', 2), ']', 1))" \
	" END AS intact" \
	" FROM subject s JOIN pg_policy p ON p.polrelid = s.relation AND p.polname = 'tenant_isolation'"

/* Functions that the policies of tenants' tables call, and whose tables. */
#define POLICY_CALL \
	"SELECT DISTINCT d.refobjid AS function, s.owner FROM pg_depend d" \
	" JOIN pg_policy p ON p.oid = d.objid JOIN subject s ON s.relation = p.polrelid" \
	" WHERE d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_proc'::regclass"

/* Policies that let rows through, apart from those that have our names. */
#define PERMISSIVE \
	"SELECT s.relation, p.oid AS policy, p.polname FROM subject s" \
	" JOIN pg_policy p ON p.polrelid = s.relation AND p.polpermissive AND p.polname NOT IN ('tenant_access', 'tenant_isolation')"

/*
 * Views and materialized views that read tenants' tables, at any remove; "stored"
 * is what comes to a view from a materialized one.
 */
#define READER \
	"WITH RECURSIVE uses (view, relation) AS (" \
	" SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r" \
	" JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid" \
	"  AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class" \
	" WHERE " USER_OBJECT("r.oid") ")," \
	" reads (view, relation, direct, stored) AS (" \
	" SELECT u.view, u.relation, true, false FROM uses u JOIN subject s ON s.relation = u.relation" \
	" UNION" \
	" SELECT u.view, x.relation, false, x.stored OR c.relkind = 'm'" \
	" FROM reads x JOIN uses u ON u.relation = x.view JOIN pg_class c ON c.oid = x.view)" \
	" SELECT x.view, x.relation, bool_or(x.direct) AS direct, bool_or(x.stored) AS stored," \
	" bool_and(x.stored) AS only_stored, c.relkind, c.relowner AS owner, c.relacl AS acl," \
	" n.oid AS nsp, format('%I.%I', n.nspname, c.relname) AS name," \
	" coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o" \
	"  WHERE o.option_name = 'security_invoker'), false) AS invoker" \
	" FROM reads x JOIN pg_class c ON c.oid = x.view AND c.relkind IN ('v', 'm')" \
	" JOIN pg_namespace n ON n.oid = c.relnamespace" \
	" WHERE n.nspname <> 'tenancy'" \
	" GROUP BY x.view, x.relation, c.oid, n.oid, n.nspname, c.relname, c.relkind, c.relowner, c.relacl, c.reloptions"

/* Functions that run with their owner's rights, and that others can call. */
#define DEFINER \
	"SELECT p.oid, p.oid::regprocedure::text AS name, p.proowner AS owner, p.proconfig AS config," \
	" quote_ident(n.nspname) AS nspname, p.prokind AS kind" \
	" FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace" \
	" WHERE p.prosecdef AND " USER_OBJECT("p.oid") " AND " NOT_OF_EXTENSION("pg_proc", "p.oid") \
	" AND (p.prorettype = 'trigger'::regtype" \
	"  OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a" \
	"   JOIN grantee g ON g.role = a.grantee))"

/*
 * Keys of shared tables that do not contain the tenant column, each with the
 * foreign keys that refer to it: neither can be changed without the others,
 * and no foreign key belongs to two of them, so that the order of the fixes
 * is of no importance.  A fix drops the foreign keys, replaces the key by one
 * that leads with the tenant column, and adds the foreign keys again, which
 * checks all rows.
 *
 * fk: foreign keys between shared tables that do not carry the tenant along.
 * A row's tenant never changes, so SET NULL and SET DEFAULT must spare its
 * column; for ON UPDATE, there is no way to say so.  MATCH FULL would forbid
 * nulls beside the tenant; where there can be some, a check takes its place.
 */
#define KEY_FK \
	"fk AS MATERIALIZED (" \
	" SELECT f.conindid AS key, f.conname, c.name AS child, p.name AS parent," \
	" f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd') AS cascades," \
	" f.confupdtype IN ('n', 'd') OR c.attnum = ANY (f.conkey) OR p.attnum = ANY (f.confkey)" \
	"  OR c.attnum IS NULL OR p.attnum IS NULL OR pg_get_constraintdef(f.oid) ~ '[( ]PERIOD ' AS stuck," \
	" format('ALTER TABLE %s DROP CONSTRAINT %I', c.name, f.conname) AS drop," \
	" format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%I, %s) REFERENCES %s (%I, %s)'," \
	"   c.name, f.conname, c.tenant_column, k.child_columns, p.name, p.tenant_column, k.parent_columns)" \
	"  || CASE WHEN f.confmatchtype = 'f' AND NOT k.nullable THEN ' MATCH FULL' ELSE '' END" \
	"  || CASE f.confupdtype WHEN 'r' THEN ' ON UPDATE RESTRICT' WHEN 'c' THEN ' ON UPDATE CASCADE' ELSE '' END" \
	"  || CASE f.confdeltype WHEN 'r' THEN ' ON DELETE RESTRICT' WHEN 'c' THEN ' ON DELETE CASCADE'" \
	"   WHEN 'n' THEN ' ON DELETE SET NULL (' || k.set_columns || ')'" \
	"   WHEN 'd' THEN ' ON DELETE SET DEFAULT (' || k.set_columns || ')' ELSE '' END" \
	"  || CASE WHEN f.condeferrable THEN ' DEFERRABLE' ELSE '' END" \
	"  || CASE WHEN f.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END" \
	"  || CASE WHEN pg_get_constraintdef(f.oid) LIKE '% NOT ENFORCED%' THEN ' NOT ENFORCED'" \
	"   WHEN NOT f.convalidated THEN ' NOT VALID' ELSE '' END" \
	"  || CASE WHEN f.confmatchtype = 'f' AND k.nullable AND k.columns > 1" \
	"   THEN format(E';\\nALTER TABLE %s ADD CHECK (pg_catalog.num_nulls(%s) IN (0, %s))', c.name, k.child_columns, k.columns) ELSE '' END" \
	"  || CASE WHEN obj_description(f.oid, 'pg_constraint') IS NULL THEN ''" \
	"   ELSE format(E';\\nCOMMENT ON CONSTRAINT %I ON %s IS %L', f.conname, c.name, obj_description(f.oid, 'pg_constraint')) END AS add" \
	" FROM pg_constraint f" \
	" JOIN shared p ON p.relation = f.confrelid" \
	" JOIN shared c ON c.relation = f.conrelid" \
	" CROSS JOIN LATERAL (" \
	"  SELECT string_agg(quote_ident(ca.attname), ', ' ORDER BY u.n) AS child_columns," \
	"  string_agg(quote_ident(pa.attname), ', ' ORDER BY u.n) AS parent_columns," \
	"  string_agg(quote_ident(ca.attname), ', ' ORDER BY u.n)" \
	"   FILTER (WHERE f.confdelsetcols IS NULL OR ca.attnum = ANY (f.confdelsetcols)) AS set_columns," \
	"  count(*) AS columns, bool_or(NOT ca.attnotnull) AS nullable" \
	"  FROM unnest(f.conkey, f.confkey) WITH ORDINALITY u (c, p, n)" \
	"  JOIN pg_attribute ca ON ca.attrelid = f.conrelid AND ca.attnum = u.c" \
	"  JOIN pg_attribute pa ON pa.attrelid = f.confrelid AND pa.attnum = u.p) k" \
	" WHERE f.contype = 'f' AND f.conparentid = 0" \
	" AND NOT EXISTS (SELECT FROM unnest(f.conkey, f.confkey) u (c, p) WHERE u.c = c.attnum AND u.p = p.attnum))"

/* The keys themselves: constraints and mere indexes. */
#define KEY_INDEX \
	"bare AS MATERIALIZED (" \
	" SELECT i.indexrelid AS key, s.relation, s.name AS tab, quote_ident(s.tenant_column) AS tenant," \
	" s.attnum, ic.relname, ic.relkind, ic.reltablespace, ic.reloptions, am.oid AS am, am.amname, i.indclass," \
	" i.indnullsnotdistinct, i.indisclustered, i.indisreplident," \
	" (i.indkey::int2[])[0:i.indnkeyatts - 1] AS attnums," \
	" format('%I.%I', s.nspname, ic.relname) AS index_name," \
	" k.oid AS con, k.conname, k.contype, k.condeferrable, k.condeferred" \
	" FROM pg_index i" \
	" JOIN shared s ON s.relation = i.indrelid" \
	" JOIN pg_class ic ON ic.oid = i.indexrelid AND NOT ic.relispartition" \
	" JOIN pg_am am ON am.oid = ic.relam" \
	" LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')" \
	" WHERE (i.indisunique OR i.indisexclusion) AND s.attnum IS NOT NULL" \
	" AND s.attnum <> ALL ((i.indkey::int2[])[0:i.indnkeyatts - 1]))," \
	"defined AS MATERIALIZED (" \
	" SELECT b.*, pg_get_constraintdef(b.con) AS condef, pg_get_indexdef(b.key) AS indexdef," \
	" (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.n) FROM unnest(b.attnums) WITH ORDINALITY u (attnum, n)" \
	"  JOIN pg_attribute a ON a.attrelid = b.relation AND a.attnum = u.attnum) AS columns," \
	" (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY u.n)" \
	"  FROM pg_index i, unnest((i.indkey::int2[])[i.indnkeyatts:i.indnatts - 1]) WITH ORDINALITY u (attnum, n)" \
	"  JOIN pg_attribute a ON a.attrelid = b.relation AND a.attnum = u.attnum" \
	"  WHERE i.indexrelid = b.key) AS included," \
	" (SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM pg_options_to_table(b.reloptions) o) AS options" \
	" FROM bare b)"

/* ... and how to replace them; null where one cannot. */
#define KEY_REPLACED \
	"key AS MATERIALIZED (" \
	" SELECT d.*, (SELECT string_agg(pg_get_indexdef(d.key, n, false), ', ' ORDER BY n)" \
	"  FROM generate_series(1, cardinality(d.attnums)) n) AS label," \
	" CASE WHEN d.condef LIKE '%WITHOUT OVERLAPS%' THEN NULL" \
	" WHEN d.contype IN ('p', 'u') THEN" \
	"  format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s%s (%s, %s)', d.tab, d.conname, d.conname," \
	"   CASE d.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END," \
	"   CASE WHEN d.indnullsnotdistinct THEN ' NULLS NOT DISTINCT' ELSE '' END, d.tenant, d.columns)" \
	"  || coalesce(' INCLUDE (' || d.included || ')', '') || coalesce(' WITH (' || d.options || ')', '')" \
	"  || CASE WHEN d.condeferrable THEN ' DEFERRABLE' ELSE '' END" \
	"  || CASE WHEN d.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END" \
	" WHEN d.contype = 'x' THEN" \
	"  CASE WHEN starts_with(d.condef, 'EXCLUDE USING ' || d.amname || ' (') AND (d.amname IN ('gist', 'btree')) THEN" \
	"   CASE WHEN EXISTS (SELECT FROM pg_opclass o WHERE o.opcmethod = d.am AND o.opcdefault AND o.opcintype = 'uuid'::regtype)" \
	"    THEN '' ELSE E'CREATE EXTENSION IF NOT EXISTS btree_gist;\\n' END" \
	"   || format('ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I EXCLUDE USING %s (%s WITH OPERATOR(pg_catalog.=), %s'," \
	"    d.tab, d.conname, d.conname, d.amname, d.tenant, substr(d.condef, length('EXCLUDE USING ' || d.amname || ' (') + 1)) END" \
	" ELSE" \
	"  CASE WHEN starts_with(d.indexdef, p.prefix) AND d.amname = 'btree' THEN" \
	"   format(E'DROP INDEX %s;\\nCREATE UNIQUE INDEX %I ON %s USING btree (%s, %s', d.index_name, d.relname, d.tab, d.tenant," \
	"    substr(d.indexdef, length(p.prefix) + 1)) END" \
	" END AS replacement," \
	" concat_ws(E';\\n'," \
	"  CASE WHEN d.reltablespace <> 0 THEN (SELECT format('ALTER INDEX %s SET TABLESPACE %I', d.index_name, t.spcname)" \
	"   FROM pg_tablespace t WHERE t.oid = d.reltablespace) END," \
	"  CASE WHEN d.indisclustered THEN format('ALTER TABLE %s CLUSTER ON %I', d.tab, d.relname) END," \
	"  CASE WHEN d.indisreplident THEN format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', d.tab, d.relname) END," \
	"  CASE WHEN obj_description(d.con, 'pg_constraint') IS NOT NULL THEN" \
	"   format('COMMENT ON CONSTRAINT %I ON %s IS %L', d.conname, d.tab, obj_description(d.con, 'pg_constraint')) END," \
	"  CASE WHEN obj_description(d.key, 'pg_class') IS NOT NULL THEN" \
	"   format('COMMENT ON INDEX %s IS %L', d.index_name, obj_description(d.key, 'pg_class')) END) AS marks," \
	" EXISTS (SELECT FROM pg_index i WHERE i.indrelid = d.relation AND i.indisunique AND i.indisvalid AND i.indimmediate" \
	"  AND i.indpred IS NULL AND i.indexprs IS NULL" \
	"  AND (SELECT array_agg(x ORDER BY x) FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) x)" \
	"   = (SELECT array_agg(x ORDER BY x) FROM unnest(d.attnums || d.attnum) x)) AS has_tenant_key" \
	" FROM defined d" \
	" CROSS JOIN LATERAL (SELECT format('CREATE UNIQUE INDEX %I ON %s%s USING %s (', d.relname," \
	"  CASE WHEN d.relkind = 'I' THEN 'ONLY ' ELSE '' END, d.tab, d.amname) AS prefix) p)"

/*
 * What keeps a key from being replaced: foreign keys of tables without a
 * tenant column, and views that group by it and select other columns.  Then a
 * second key serves the foreign keys that can be changed.
 */
#define KEY_PIN \
	"pin AS MATERIALIZED (" \
	" SELECT key, string_agg(what, ', ' ORDER BY what) AS what FROM (" \
	"  SELECT f.conindid AS key, format('foreign key %s on %s', f.conname, f.conrelid::regclass) AS what" \
	"  FROM pg_constraint f JOIN key k ON k.key = f.conindid" \
	"  WHERE f.contype = 'f' AND f.conparentid = 0" \
	"  AND NOT EXISTS (SELECT FROM shared s WHERE s.relation = f.conrelid)" \
	"  UNION ALL" \
	"  SELECT DISTINCT k.key, pg_describe_object(coalesce(" \
	"   (SELECT 'pg_class'::regclass::oid FROM pg_rewrite r WHERE r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass), d.classid)," \
	"   coalesce((SELECT r.ev_class FROM pg_rewrite r WHERE r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass), d.objid), 0)" \
	"  FROM key k JOIN pg_depend d ON d.refclassid = 'pg_constraint'::regclass AND d.refobjid = k.con" \
	"  WHERE d.deptype = 'n' AND d.classid <> 'pg_constraint'::regclass) x" \
	" GROUP BY key)"

#define BROKEN_KEY \
	"WITH " KEY_FK "," KEY_INDEX "," KEY_REPLACED "," KEY_PIN \
	" SELECT CASE WHEN f.cascades THEN 'foreign_key_cascades' WHEN f.key IS NOT NULL THEN 'foreign_key_without_tenant'" \
	"  WHEN k.contype = 'x' THEN 'exclusion_without_tenant' ELSE 'unique_without_tenant' END AS lint," \
	" CASE WHEN k.con IS NULL THEN 'index ' ELSE 'constraint ' END || quote_ident(coalesce(k.conname, k.relname, c.relname))" \
	"  || ' on ' || coalesce(k.tab, f.parent) AS object," \
	" f.list, coalesce(k.label, pg_get_indexdef(f.key)) AS label, pin.what AS pin," \
	" CASE WHEN f.stuck OR k.key IS NULL THEN NULL" \
	"  WHEN pin.key IS NULL AND k.replacement IS NOT NULL THEN concat_ws(E';\\n', f.drops, k.replacement, nullif(k.marks, ''), f.adds)" \
	"  WHEN f.key IS NOT NULL THEN concat_ws(E';\\n', f.drops," \
	"   CASE WHEN NOT k.has_tenant_key THEN format('ALTER TABLE %s ADD UNIQUE (%s, %s)', k.tab, k.tenant, k.columns) END, f.adds)" \
	"  END AS fix" \
	" FROM key k" \
	" FULL JOIN (SELECT key, min(parent) AS parent, bool_or(cascades) AS cascades, bool_or(stuck) AS stuck," \
	"  string_agg(fk.drop, E';\\n' ORDER BY child, conname) AS drops," \
	"  string_agg(fk.add, E';\\n' ORDER BY child, conname) AS adds," \
	"  string_agg(format('%I on %s', conname, child), ', ' ORDER BY child, conname) AS list" \
	"  FROM fk GROUP BY key) f ON f.key = k.key" \
	" LEFT JOIN pin ON pin.key = k.key" \
	" LEFT JOIN pg_class c ON c.oid = f.key"

/* In the order in which they need each other. */
static const LintRelation relations[] =
{
	{"access_role", ACCESS_ROLE},
	{"reach", REACH},
	{"grantee", GRANTEE},
	{"tenant_schema", TENANT_SCHEMA},
	{"path_schema", PATH_SCHEMA},
	{"member", MEMBER},
	{"shared", SHARED},
	{"subject", SUBJECT},
	{"isolation", ISOLATION},
	{"policy_call", POLICY_CALL},
	{"permissive", PERMISSIVE},
	{"reader", READER},
	{"definer", DEFINER},
	{"broken_key", BROKEN_KEY},
};


/* ----------------------------------------------------------------
 * Lints
 * ----------------------------------------------------------------
 */

static const Lint lints[] =
{
	/* Row security and our policies */
	{"error", "row_security_off",
		"SELECT 'table ' || s.name, 'Row security is off, so that every query reaches the rows of all tenants.',"
		" format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', s.name)"
		" FROM subject s JOIN isolation i ON i.relation = s.relation WHERE NOT s.rls"},

	{"error", "row_security_not_forced",
		"SELECT 'table ' || s.name, 'Row security does not bind the table''s owner, nor views and functions that run with the owner''s rights.',"
		" format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', s.name)"
		" FROM subject s JOIN isolation i ON i.relation = s.relation WHERE s.rls AND NOT s.forced"},

	{"error", "isolation_policy_missing",
		"SELECT 'table ' || s.name, 'Without policy tenant_isolation, nothing limits a query to the rows of the current tenant.',"
		" CASE WHEN s.shared THEN s.repair ELSE concat_ws(E';\\n',"
		"  format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', s.name), s.repair,"
		"  CASE WHEN NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = s.relation AND p.polpermissive)"
		"   THEN format('CREATE POLICY tenant_access ON %s USING (tenancy.policy_allow(tableoid))', s.name) END) END"
		" FROM subject s WHERE s.relation = s.root"
		" AND NOT EXISTS (SELECT FROM isolation i WHERE i.relation = s.relation)"},

	{"error", "isolation_policy_changed",
		"SELECT 'policy tenant_isolation on ' || s.name, 'The policy is not as it was made: it may be permissive, hold for some commands or roles only, or compare with something else than the current tenant.',"
		" CASE WHEN s.shared THEN s.repair ELSE concat_ws(E';\\n',"
		"  format('DROP POLICY tenant_isolation ON %s', s.name),"
		"  format('DROP POLICY IF EXISTS tenant_access ON %s', s.name), s.repair,"
		"  CASE WHEN NOT EXISTS (SELECT FROM permissive p WHERE p.relation = s.relation)"
		"   THEN format('CREATE POLICY tenant_access ON %s USING (tenancy.policy_allow(tableoid))', s.name) END) END"
		" FROM subject s JOIN isolation i ON i.relation = s.relation WHERE NOT i.intact"},

	{"error", "child_unprotected",
		"SELECT 'table ' || s.name, format('The partition or child of %s can be queried directly, where only its own policies count, and it lacks tenant_isolation.', s.root::regclass), s.repair"
		" FROM shared s WHERE s.relation <> s.root"
		" AND NOT EXISTS (SELECT FROM isolation i WHERE i.relation = s.relation)"},

	{"warning", "protection_switched_off",
		"SELECT format('event trigger %I', e.evtname), 'It is switched off: what becomes a partition or child of a protected table can be read directly until protect_table() is called again.',"
		" format('ALTER EVENT TRIGGER %I ENABLE', e.evtname)"
		" FROM pg_event_trigger e WHERE e.evtfoid = 'tenancy.protect_children()'::regprocedure AND e.evtenabled NOT IN ('O', 'A')"
		" UNION ALL"
		" SELECT format('trigger %I on %s', t.tgname, t.tgrelid::regclass), 'It does not always fire: sessions may go on for a tenant that was suspended, or for which their role may no longer act.',"
		" format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.tgrelid::regclass, t.tgname)"
		" FROM pg_trigger t WHERE t.tgfoid = 'tenancy.invalidate_registry()'::regprocedure AND t.tgenabled <> 'A'"},

	{"error", "child_is_foreign_table",
		"SELECT 'foreign table ' || s.name, format('There is no row security for the foreign child of %s: whoever may read it sees the rows of all tenants.', s.root::regclass),"
		" (SELECT format(CASE WHEN s.relispartition THEN 'ALTER TABLE %s DETACH PARTITION %s' ELSE 'ALTER FOREIGN TABLE %2$s NO INHERIT %1$s' END, i.inhparent::regclass, s.name)"
		"  FROM pg_inherits i WHERE i.inhrelid = s.relation ORDER BY i.inhseqno LIMIT 1)"
		" FROM member s WHERE s.relkind = 'f'"},

	{"error", "model_table_unprotected",
		"SELECT format('table %I.%I', n.nspname, c.relname), format('Nobody protected this table of module \"%s\", whose other tables or tenants are shared: all tenants read and write all of its rows.', m.name),"
		" format('SELECT tenancy.protect_table(%L)', format('%I.%I', n.nspname, c.relname))"
		" FROM tenancy.module m JOIN pg_namespace n ON n.nspname = m.model_schema"
		" JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')"
		" WHERE c.oid NOT IN (SELECT relation FROM shared)"
		" AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)"
		" AND " NOT_OF_EXTENSION("pg_class", "c.oid")
		" AND (EXISTS (SELECT FROM tenancy.tenant t WHERE t.mode = 'shared')"
		"  OR EXISTS (SELECT FROM shared s WHERE s.nsp = n.oid))"},

	{"error", "permissive_without_isolation",
		"SELECT format('policy %I on %s', p.polname, p.polrelid::regclass), 'A permissive policy calls our functions, but no restrictive one stands behind it: any other permissive policy opens the table to all tenants.',"
		" CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = p.polrelid AND a.attname = 'tenant_id' AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped)"
		"  AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
		"  THEN format('SELECT tenancy.protect_table(%L)', p.polrelid::regclass::text) END"
		" FROM (SELECT * FROM pg_policy WHERE polpermissive AND polrelid NOT IN (SELECT relation FROM subject) OFFSET 0) p"
		" JOIN pg_class c ON c.oid = p.polrelid"
		" WHERE c.relnamespace NOT IN (SELECT n.oid FROM pg_namespace n JOIN tenancy.module m ON m.model_schema = n.nspname)"
		" AND NOT (" ACCESS_INTACT ")"
		" AND EXISTS (SELECT FROM pg_depend d JOIN pg_proc f ON f.oid = d.refobjid"
		"  WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass"
		"  AND f.pronamespace = 'tenancy'::regnamespace)"},

	{"error", "policy_function_immutable",
		"SELECT format('function %s', f.oid::regprocedure), 'A policy calls it, and it is marked IMMUTABLE: a cached plan keeps its result and goes on serving the tenant for which it was planned.',"
		" format('ALTER FUNCTION %s STABLE', f.oid::regprocedure)"
		" FROM pg_proc f WHERE f.provolatile = 'i' AND " USER_OBJECT("f.oid")
		" AND (f.oid IN (SELECT function FROM policy_call)"
		"  AND " NOT_OF_EXTENSION("pg_proc", "f.oid")
		"  OR f.pronamespace = 'tenancy'::regnamespace"
		"   AND f.proname IN ('policy_tenant_id', 'policy_is_tenant', 'current_tenant_id', 'current_tenant', 'is_current_tenant'))"},

	{"error", "policy_function_owner",
		"SELECT format('function %s', f.oid::regprocedure), format('A policy calls it, and its owner, %s, who does not own the table, can replace it by one that lets everything through.', pg_get_userbyid(f.proowner)),"
		" format('ALTER FUNCTION %s OWNER TO %I', f.oid::regprocedure, pg_get_userbyid(min(c.owner)))"
		" FROM pg_proc f JOIN pg_authid o ON o.oid = f.proowner AND NOT o.rolsuper"
		" JOIN policy_call c ON c.function = f.oid"
		" WHERE " USER_OBJECT("f.oid") " AND f.pronamespace <> 'tenancy'::regnamespace"
		" GROUP BY f.oid, f.proowner HAVING NOT bool_or(f.proowner = c.owner)"},

	{"error", "table_function_owner",
		"SELECT format('function %s', f.oid::regprocedure), format('Tables of tenants call it (%s, for one), and its owner, %s, which may act for tenants, can replace it by code that runs for other tenants and for administrators.', min(s.name), f.name),"
		" format('ALTER ROUTINE %s OWNER TO %I', f.oid::regprocedure, pg_get_userbyid(min(s.owner)))"
		" FROM (WITH own AS MATERIALIZED (SELECT p.oid, r.name FROM pg_proc p JOIN access_role r ON r.role = p.proowner)"
		"  SELECT o.oid, o.name, t.tgrelid AS relation FROM own o JOIN pg_trigger t ON t.tgfoid = o.oid WHERE NOT t.tgisinternal"
		"  UNION SELECT o.oid, o.name, coalesce(x.adrelid, k.conrelid, i.indrelid)"
		"  FROM own o JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = o.oid"
		"  LEFT JOIN pg_attrdef x ON d.classid = 'pg_attrdef'::regclass AND x.oid = d.objid"
		"  LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid"
		"  LEFT JOIN pg_index i ON d.classid = 'pg_class'::regclass AND i.indexrelid = d.objid) f"
		" JOIN subject s ON s.relation = f.relation"
		" GROUP BY f.oid, f.name"},

	{"error", "context_function_changed",
		"SELECT format('function %s', f.oid::regprocedure), 'The function on which all policies rest has another owner, who can replace it.',"
		" format('ALTER FUNCTION %s OWNER TO %I', f.oid::regprocedure, pg_get_userbyid(e.extowner))"
		" FROM pg_proc f, pg_extension e"
		" WHERE e.extname = 'tenancy' AND f.pronamespace = 'tenancy'::regnamespace AND f.proowner <> e.extowner"},

	{"error", "tenant_column_nullable",
		"SELECT format('column %I of %s', s.tenant_column, s.name), 'A row whose tenant is null belongs to nobody: no tenant sees it, and no tenant''s removal deletes it.',"
		" format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', s.name, s.tenant_column)"
		" FROM shared s JOIN pg_attribute a ON a.attrelid = s.relation AND a.attnum = s.attnum"
		" WHERE NOT a.attnotnull OR EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = s.relation AND k.contype = 'n'"
		"  AND k.conkey = ARRAY[s.attnum] AND NOT k.convalidated)"},

	/* Keys */
	{"error", "foreign_key_cascades",
		"SELECT object, format('Foreign keys do not carry the tenant along, so that a row can refer to another tenant''s, and one tenant''s DELETE or UPDATE changes the rows of another: %s.', list)"
		" || coalesce(' The key itself cannot be replaced because of ' || pin || '.', ''), fix"
		" FROM broken_key WHERE lint = 'foreign_key_cascades'"},

	{"warning", "foreign_key_without_tenant",
		"SELECT object, format('Foreign keys do not carry the tenant along, so that a tenant can find out which rows others have, and keep them from being deleted: %s.', list)"
		" || coalesce(' The key itself cannot be replaced because of ' || pin || '.', ''), fix"
		" FROM broken_key WHERE lint = 'foreign_key_without_tenant'"},

	{"warning", "unique_without_tenant",
		"SELECT object, format('Values of (%s) are unique across tenants: the error about a duplicate tells a tenant which ones others have.', label)"
		" || coalesce(' The key cannot be replaced because of ' || pin || '.', ''), fix"
		" FROM broken_key WHERE lint = 'unique_without_tenant'"},

	{"warning", "exclusion_without_tenant",
		"SELECT object, 'The rows of one tenant exclude those of others: the error about a conflict tells a tenant which ones others have.', fix"
		" FROM broken_key WHERE lint = 'exclusion_without_tenant'"},

	{"warning", "foreign_key_from_unprotected",
		"SELECT format('constraint %I on %s', f.conname, f.conrelid::regclass), format('A table that nobody protected refers to %s: it keeps what belongs to tenants where all see it.', p.name),"
		" CASE WHEN EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = f.conrelid AND a.attname = 'tenant_id' AND a.atttypid = 'uuid'::regtype AND NOT a.attisdropped)"
		"  THEN format('SELECT tenancy.protect_table(%L)', f.conrelid::regclass::text) END"
		" FROM pg_constraint f JOIN subject p ON p.relation = f.confrelid"
		" JOIN pg_class c ON c.oid = f.conrelid"
		" WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid NOT IN (SELECT relation FROM subject)"
		" AND c.relnamespace NOT IN (SELECT n.oid FROM pg_namespace n JOIN tenancy.module m ON m.model_schema = n.nspname)"},

	{"error", "foreign_key_across_schemas",
		"SELECT format('constraint %I on %s', f.conname, c.name), format('A foreign key leads from one tenant''s tables to %s, which are not its own.', p.name),"
		" format('ALTER TABLE %s DROP CONSTRAINT %I', c.name, f.conname)"
		" FROM pg_constraint f JOIN subject c ON c.relation = f.conrelid JOIN subject p ON p.relation = f.confrelid"
		" WHERE f.contype = 'f' AND f.conparentid = 0 AND c.tenant IS DISTINCT FROM p.tenant"},

	{"error", "inheritance_across_schemas",
		"SELECT format('table %s.%I', c.relnamespace::regnamespace, c.relname), format('It is a child of %s, which is not in the same tenant''s schema: a query of the parent reads the child''s rows under the parent''s policies, and one of the child under its own, if it has any.', i.inhparent::regclass),"
		" format(CASE WHEN c.relispartition THEN 'ALTER TABLE %1$s DETACH PARTITION %2$s.%3$I' ELSE 'ALTER TABLE %2$s.%3$I NO INHERIT %1$s' END, i.inhparent::regclass, c.relnamespace::regnamespace, c.relname)"
		" FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent"
		" JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p', 'f')"
		" LEFT JOIN tenant_schema ct ON ct.nsp = c.relnamespace"
		" LEFT JOIN tenant_schema pt ON pt.nsp = p.relnamespace"
		" WHERE ct.tenant IS DISTINCT FROM pt.tenant"},

	{"warning", "view_across_schemas",
		"SELECT 'view ' || r.name, format('The view reads %s, in the schema of another tenant than its own.', min(s.name)), NULL"
		" FROM reader r JOIN subject s ON s.relation = r.relation AND s.tenant IS NOT NULL"
		" LEFT JOIN tenant_schema t ON t.nsp = r.nsp"
		" WHERE r.direct AND t.tenant IS DISTINCT FROM s.tenant"
		" GROUP BY r.view, r.name"},

	{"warning", "default_across_schemas",
		"SELECT format('column %I of %s', a.attname, c.name), format('The default draws from %s in the schema of another tenant, which tells how many rows that tenant adds, and goes when that tenant goes.', d.refobjid::regclass), NULL"
		" FROM pg_depend d JOIN pg_class q ON q.oid = d.refobjid AND q.relkind = 'S'"
		" JOIN pg_attrdef x ON x.oid = d.objid JOIN subject c ON c.relation = x.adrelid"
		" JOIN pg_attribute a ON a.attrelid = x.adrelid AND a.attnum = x.adnum"
		" JOIN tenant_schema t ON t.nsp = q.relnamespace"
		" WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass"
		" AND c.tenant IS DISTINCT FROM t.tenant"},

	/* Roles */
	{"error", "access_role_superuser",
		"SELECT 'role ' || r.name, 'A superuser is not bound by row security.', format('ALTER ROLE %s NOSUPERUSER', r.name)"
		" FROM access_role r JOIN pg_authid a ON a.oid = r.role WHERE a.rolsuper"},

	{"error", "access_role_bypassrls",
		"SELECT 'role ' || r.name, 'A role with BYPASSRLS is not bound by row security.', format('ALTER ROLE %s NOBYPASSRLS', r.name)"
		" FROM access_role r JOIN pg_authid a ON a.oid = r.role WHERE a.rolbypassrls"},

	{"error", "access_role_replication",
		"SELECT 'role ' || r.name, 'A role with REPLICATION can copy the whole cluster, or stream all changes of all tenants.', format('ALTER ROLE %s NOREPLICATION', r.name)"
		" FROM access_role r JOIN pg_authid a ON a.oid = r.role WHERE a.rolreplication"},

	{"error", "access_role_createrole",
		"SELECT 'role ' || r.name, 'A role with CREATEROLE can make itself a member of others, such as the tables'' owner.', format('ALTER ROLE %s NOCREATEROLE', r.name)"
		" FROM access_role r JOIN pg_authid a ON a.oid = r.role WHERE a.rolcreaterole"},

	{"error", "access_role_can_escalate",
		"SELECT 'role ' || r.name, format('The role can become %s, which row security does not bind or which can get around it.', string_agg(DISTINCT quote_ident(a.rolname), ', ')),"
		" " REVOKE_HOPS
		" FROM reach r JOIN pg_authid a ON a.oid = r.member_of" HOP
		" WHERE r.hop IS NOT NULL AND (a.rolsuper OR a.rolbypassrls OR a.rolreplication OR a.rolcreaterole)"
		" GROUP BY r.role, r.name"},

	{"error", "access_role_server_files",
		"SELECT 'role ' || r.name, format('As a member of %s, the role reads or writes the server''s files, or runs programs there.', string_agg(DISTINCT a.rolname, ', ')),"
		" " REVOKE_HOPS
		" FROM reach r JOIN pg_authid a ON a.oid = r.member_of" HOP
		" WHERE a.rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program') GROUP BY r.role, r.name"},

	{"error", "access_role_all_data",
		"SELECT 'role ' || r.name, format('As a member of %s, the role reads or writes all tables that have no row security, and enters all schemas.', string_agg(DISTINCT a.rolname, ', ')),"
		" " REVOKE_HOPS
		" FROM reach r JOIN pg_authid a ON a.oid = r.member_of" HOP
		" WHERE a.rolname IN ('pg_read_all_data', 'pg_write_all_data') GROUP BY r.role, r.name"},

	{"warning", "access_role_sees_sessions",
		"SELECT 'role ' || r.name, format('As a member of %s, the role sees the statements that run for other tenants, with the values in them.', string_agg(DISTINCT a.rolname, ', ')),"
		" " REVOKE_HOPS
		" FROM reach r JOIN pg_authid a ON a.oid = r.member_of" HOP
		" WHERE a.rolname IN ('pg_read_all_stats', 'pg_monitor') GROUP BY r.role, r.name"},

	{"error", "access_role_becomes_owner",
		"SELECT 'role ' || r.name, format('The role can become %s, which owns tables or schemas of tenants and can switch row security off.', string_agg(DISTINCT quote_ident(a.rolname), ', ')),"
		" " REVOKE_HOPS
		" FROM reach r JOIN pg_authid a ON a.oid = r.member_of" HOP
		" WHERE r.hop IS NOT NULL AND NOT (a.rolsuper OR a.rolbypassrls OR a.rolreplication OR a.rolcreaterole)"
		" AND r.member_of IN (SELECT owner FROM subject UNION SELECT owner FROM path_schema WHERE of_tenant OR is_model)"
		" GROUP BY r.role, r.name"},

	{"error", "access_role_owns_table",
		"SELECT 'table ' || s.name, format('Role %s may act for tenants, and can switch row security off because it owns the table.', r.name),"
		" CASE WHEN n.nspowner <> s.owner THEN format('ALTER TABLE %s OWNER TO %I', s.name, pg_get_userbyid(n.nspowner)) END"
		" FROM subject s JOIN access_role r ON r.role = s.owner JOIN pg_namespace n ON n.oid = s.nsp"},

	{"error", "access_role_owns_schema",
		"SELECT 'schema ' || p.name, format('Role %s may act for tenants, and can drop or replace anything in this schema because it owns it.', r.name), NULL"
		" FROM path_schema p JOIN access_role r ON r.role = p.owner"},

	{"error", "access_role_owns_database",
		"SELECT 'database ' || quote_ident(d.datname), format('Role %s may act for tenants, and the database''s owner decides what its sessions'' settings and path begin with, owns schema public, and can drop all of it.', string_agg(DISTINCT r.name, ', ')),"
		" format('ALTER DATABASE %I OWNER TO %I', d.datname, (SELECT e.extowner::regrole::text FROM pg_extension e WHERE e.extname = 'tenancy'))"
		" FROM pg_database d JOIN reach r ON r.member_of = d.datdba"
		" WHERE d.datname = current_database() AND NOT (SELECT a.rolsuper FROM pg_authid a WHERE a.oid = d.datdba) GROUP BY d.datname"},

	{"warning", "access_role_dropped",
		"SELECT format('role %s', a.role::oid), 'The role was dropped, but its access was not: a new role that happens to get the same OID would inherit it.',"
		" format('DELETE FROM tenancy.access WHERE role OPERATOR(pg_catalog.=) %s', a.role::oid)"
		" FROM (SELECT DISTINCT role FROM tenancy.access) a WHERE a.role NOT IN (SELECT oid FROM pg_authid)"},

	{"warning", "owner_bypasses",
		"SELECT 'role ' || quote_ident(o.rolname), format('It owns tables of tenants (%s, for one), and row security does not bind it: views and functions that it owns, and its foreign keys'' actions, reach all rows.', min(s.name)),"
		" string_agg(format('ALTER TABLE %s OWNER TO %I', s.name, n_owner.rolname), E';\\n' ORDER BY s.name) FILTER (WHERE s.shared AND s.relation = s.root)"
		" || CASE WHEN bool_and(NOT (n_owner.rolsuper OR n_owner.rolbypassrls) AND s.shared AND s.relation = s.root) THEN '' ELSE NULL END"
		" FROM subject s JOIN pg_authid o ON o.oid = s.owner AND (o.rolsuper OR o.rolbypassrls)"
		" JOIN pg_namespace n ON n.oid = s.nsp JOIN pg_authid n_owner ON n_owner.oid = n.nspowner"
		" GROUP BY o.oid, o.rolname"},

	/* Privileges */
	{"error", "unsafe_privilege",
		"SELECT 'table ' || s.name, format('%s holds %s: TRUNCATE knows no row security, and foreign keys and triggers are a way to learn of others'' rows.', g.name, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),"
		" " AS_GRANTOR("s.owner", "format('REVOKE %s ON TABLE %s FROM %s CASCADE', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), s.name, g.name)")
		" FROM subject s CROSS JOIN LATERAL aclexplode(s.acl) a JOIN grantee g ON g.role = a.grantee"
		" WHERE a.privilege_type IN " UNSAFE_PRIVILEGES " AND a.grantee <> s.owner"
		" GROUP BY s.name, s.owner, g.name, a.grantor"},

	{"error", "unsafe_column_privilege",
		"SELECT format('column %I of %s', c.attname, s.name), format('%s holds REFERENCES on the column: foreign keys are a way to learn of others'' rows.', g.name),"
		" " AS_GRANTOR("s.owner", "format('REVOKE REFERENCES (%I) ON TABLE %s FROM %s CASCADE', c.attname, s.name, g.name)")
		" FROM pg_attribute c JOIN subject s ON s.relation = c.attrelid CROSS JOIN LATERAL aclexplode(c.attacl) a JOIN grantee g ON g.role = a.grantee"
		" WHERE c.attacl IS NOT NULL AND NOT c.attisdropped AND a.privilege_type = 'REFERENCES' AND a.grantee <> s.owner"},

	{"warning", "default_privileges_unsafe",
		"SELECT format('default privileges of %I', o.rolname) || coalesce(' in schema ' || p.name, ''), format('%s will get %s on each new table.', g.name, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),"
		" format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE %s ON TABLES FROM %s', o.rolname, ' IN SCHEMA ' || p.name, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), g.name)"
		" FROM pg_default_acl d JOIN pg_authid o ON o.oid = d.defaclrole"
		" LEFT JOIN path_schema p ON p.nsp = d.defaclnamespace AND (p.of_tenant OR p.is_model)"
		" CROSS JOIN LATERAL aclexplode(d.defaclacl) a JOIN grantee g ON g.role = a.grantee"
		" WHERE d.defaclobjtype = 'r' AND a.privilege_type IN " UNSAFE_PRIVILEGES " AND a.grantee <> d.defaclrole"
		" AND (p.nsp IS NOT NULL OR d.defaclnamespace = 0 AND d.defaclrole IN (SELECT owner FROM path_schema WHERE of_tenant OR is_model))"
		" GROUP BY o.rolname, p.name, g.name"},

	{"error", "schema_create_granted",
		"SELECT 'schema ' || p.name, format('%s may create objects in the schema, which is on the path: functions and operators planted there run in the name of others.', g.name),"
		" " AS_GRANTOR("p.owner", "format('REVOKE CREATE ON SCHEMA %s FROM %s CASCADE', p.name, g.name)")
		" FROM path_schema p CROSS JOIN LATERAL aclexplode(p.acl) a JOIN grantee g ON g.role = a.grantee"
		" WHERE a.privilege_type = 'CREATE' AND a.grantee <> p.owner"},

	{"error", "schema_open_to_public",
		"SELECT 'schema ' || p.name, 'Every role of the cluster may enter the tenant''s schema, not just those that may act for the tenant.',"
		" " AS_GRANTOR("p.owner", "format('REVOKE USAGE ON SCHEMA %s FROM PUBLIC CASCADE', p.name)")
		" FROM path_schema p CROSS JOIN LATERAL aclexplode(p.acl) a"
		" WHERE p.of_tenant AND a.privilege_type = 'USAGE' AND a.grantee = 0"},

	{"error", "database_open_to_public",
		"SELECT format('database %I', d.datname), 'Every role of the cluster may connect to the tenant''s database, or make temporary objects in it, not just those that may act for the tenant.',"
		" format('REVOKE %s ON DATABASE %I FROM PUBLIC', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), d.datname)"
		" FROM tenancy.tenant t JOIN pg_database d ON d.datname = t.database_name"
		" CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE a.grantee = 0"
		" GROUP BY d.datname"},

	{"error", "registry_granted",
		"SELECT format('%s tenancy.%I', c.kind, c.relname), format('%s holds %s on the registry, which says who may act for whom, and shows all tenants.', g.name, string_agg(DISTINCT a.privilege_type, ', ')),"
		" " AS_GRANTOR("c.relowner", "format('REVOKE %s ON %s tenancy.%I FROM %s CASCADE', string_agg(DISTINCT a.privilege_type, ', '), CASE c.kind WHEN 'sequence' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname, g.name)")
		" FROM (SELECT oid, relname, relowner, relacl, CASE relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END AS kind"
		"  FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind IN ('r', 'v', 'S')) c"
		" CROSS JOIN LATERAL" ALL_PRIVILEGES("c.oid", "c.relacl") "a JOIN grantee g ON g.role = a.grantee"
		" WHERE a.grantee <> c.relowner AND NOT (c.relname = 'tenants' AND a.privilege_type = 'SELECT')"
		" AND NOT (c.relname = 'tenant' AND a.privilege_type IN ('SELECT', 'REFERENCES') AND a.grantee IN (SELECT owner FROM subject UNION SELECT owner FROM path_schema WHERE is_model))"
		" GROUP BY c.kind, c.relname, c.relowner, g.name, a.grantor"},

	{"error", "admin_function_granted",
		"SELECT format('function %s', f.oid::regprocedure), format('%s may call a function that is for administrators.', g.name),"
		" " AS_GRANTOR("f.proowner", "format('REVOKE EXECUTE ON ROUTINE %s FROM %s CASCADE', f.oid::regprocedure, g.name)")
		" FROM pg_proc f CROSS JOIN LATERAL aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a JOIN grantee g ON g.role = a.grantee"
		" WHERE f.pronamespace = 'tenancy'::regnamespace AND a.grantee <> f.proowner"
		" AND f.proname NOT IN ('set_tenant', 'set_tenant_token', 'reset_tenant', 'current_tenant', 'current_tenant_id', 'is_current_tenant',"
		"  'tenant_database', 'policy_tenant_id', 'policy_is_tenant', 'policy_allow')"},

	{"error", "setting_granted",
		"SELECT 'parameter ' || p.parname, format(CASE WHEN p.parname = 'session_replication_role' THEN '%s may switch triggers and foreign keys off.'"
		"  WHEN starts_with(p.parname, 'tenancy.') THEN '%s may set what the policies rest on: the tenant context can be forged, or a check of it is weakened.'"
		"  ELSE '%s may have the server run code of its choice.' END, g.name),"
		" format('REVOKE %s ON PARAMETER %s FROM %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), p.parname, g.name)"
		" FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a JOIN grantee g ON g.role = a.grantee"
		" WHERE p.parname IN ('session_replication_role', 'allow_system_table_mods', 'dynamic_library_path', 'jit_provider',"
		"  'session_preload_libraries', 'shared_preload_libraries', 'archive_command', 'archive_library', 'archive_cleanup_command',"
		"  'restore_command', 'recovery_end_command', 'ssl_passphrase_command')"
		" OR p.parname IN ('tenancy.tenant_id', 'tenancy.missing_tenant', 'tenancy.require_token', 'tenancy.token_leeway',"
		"  'tenancy.application_database', 'tenancy.recording')"
		" GROUP BY p.parname, g.name"},

	{"error", "setting_has_default",
		"SELECT 'setting tenancy.tenant_id' || CASE WHEN s.setrole <> 0 THEN format(' of role %I', pg_get_userbyid(s.setrole)) ELSE '' END"
		"  || CASE WHEN s.setdatabase <> 0 THEN format(' in database %I', d.datname) ELSE '' END,"
		" 'Sessions begin in the context of a tenant that nobody checked and that set_tenant() did not set.',"
		" CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN format('ALTER DATABASE %I RESET tenancy.tenant_id', d.datname)"
		"  ELSE format('ALTER ROLE %s%s RESET tenancy.tenant_id', CASE WHEN s.setrole = 0 THEN 'ALL' ELSE quote_ident(pg_get_userbyid(s.setrole)) END,"
		"   CASE WHEN s.setdatabase <> 0 THEN format(' IN DATABASE %I', d.datname) ELSE '' END) END"
		" FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase"
		" WHERE (s.setdatabase = 0 OR d.datname = current_database())"
		" AND EXISTS (SELECT FROM unnest(s.setconfig) c WHERE c ILIKE 'tenancy.tenant_id=%')"
		" UNION ALL SELECT DISTINCT 'setting tenancy.tenant_id in ' || regexp_replace(f.sourcefile, '.*/', ''),"
		" 'Sessions begin in the context of a tenant that nobody checked and that set_tenant() did not set.', NULL"
		" FROM pg_file_settings f WHERE lower(f.name) = 'tenancy.tenant_id'"},

	{"error", "function_sets_context",
		"SELECT format('function %s', f.oid::regprocedure), 'The function''s SET clause puts whoever calls it into a tenant''s context without a check.',"
		" format('ALTER ROUTINE %s RESET tenancy.tenant_id', f.oid::regprocedure)"
		" FROM pg_proc f WHERE f.proconfig IS NOT NULL AND EXISTS (SELECT FROM unnest(f.proconfig) c WHERE c ILIKE 'tenancy.tenant_id=%')"},

	/* Ways around the tables */
	{"error", "view_owner_bypasses",
		"SELECT 'view ' || r.name, format('The view reads tables of tenants with the rights of its owner, %s, which row security does not bind: it shows the rows of all tenants.', o.rolname),"
		" format('ALTER VIEW %s SET (security_invoker = true)', r.name)"
		" FROM reader r JOIN pg_authid o ON o.oid = r.owner WHERE r.relkind = 'v' AND NOT r.invoker AND NOT r.only_stored AND (o.rolsuper OR o.rolbypassrls)"
		" GROUP BY r.view, r.name, o.rolname"},

	{"warning", "view_not_security_invoker",
		"SELECT 'view ' || r.name, 'The view reads tables of tenants with its owner''s rights: policies that hold for certain roles do not see who asks.',"
		" format('ALTER VIEW %s SET (security_invoker = true)', r.name)"
		" FROM reader r JOIN pg_authid o ON o.oid = r.owner WHERE r.relkind = 'v' AND NOT r.invoker AND NOT r.only_stored AND NOT (o.rolsuper OR o.rolbypassrls)"
		" AND r.nsp NOT IN (SELECT nsp FROM tenant_schema)"
		" GROUP BY r.view, r.name"},

	{"warning", "function_names_model",
		"SELECT 'function ' || p.oid::regprocedure, format('Its body names the model schema %I, and goes on doing so in tenants'' schemas: names are replaced only where a query of the language SQL is qualified with it.', m.model_schema),"
		" NULL"
		" FROM tenancy.module o JOIN pg_namespace n ON n.nspname = o.model_schema"
		" JOIN pg_proc p ON p.pronamespace = n.oid AND p.prosqlbody IS NULL"
		" JOIN tenancy.module m ON strpos(lower(p.prosrc), lower(m.model_schema)) > 0 OR strpos(p.prosrc, quote_ident(m.model_schema)) > 0"
		" JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal')"
		" WHERE " NOT_OF_EXTENSION("pg_proc", "p.oid") " AND tenancy.names_schema(p.oid, m.model_schema, m.name = o.name OR m.position = 1)"},

	{"warning", "definition_names_model",
		"SELECT d.object, format('A text in its definition names the model schema %I, and goes on doing so in tenants'' schemas: it leads from them into the model.', d.model_schema),"
		" NULL"
		" FROM tenancy.module m JOIN pg_namespace n ON n.nspname = m.model_schema"
		" CROSS JOIN LATERAL tenancy.names_in_definitions(n.oid) d"},

	{"warning", "extension_in_model",
		"SELECT format('extension %I', e.extname), format('It is installed in the model schema %I, to which the path of tenants in schemas does not lead: there, names of its types and functions are not found, and other operators are used in place of its own.', m.model_schema),"
		" CASE WHEN e.extrelocatable AND t.nspname IS NOT NULL THEN format('ALTER EXTENSION %I SET SCHEMA %I', e.extname, t.nspname) END"
		" FROM tenancy.module m JOIN pg_namespace n ON n.nspname = m.model_schema"
		" JOIN pg_extension e ON e.extnamespace = n.oid"
		" LEFT JOIN LATERAL (SELECT s.nspname FROM string_to_table(current_setting('tenancy.search_path'), ',') WITH ORDINALITY p (name, place)"
		"  JOIN pg_namespace s ON s.nspname = btrim(p.name, ' \"') AND NOT starts_with(s.nspname, 'pg_') AND s.nspname <> 'tenancy'"
		"  JOIN path_schema x ON x.nsp = s.oid AND NOT x.is_model AND NOT x.of_tenant"
		/* Migrations do not look where the application can create something. */
		"  WHERE NOT EXISTS (SELECT FROM aclexplode(coalesce(x.acl, acldefault('n', x.owner))) a"
		"   JOIN grantee g ON g.role = a.grantee WHERE a.privilege_type = 'CREATE')"
		"  ORDER BY p.place LIMIT 1) t ON"
		/* It would have to be done in tenants' databases, too; and functions might look for it in the model schema. */
		"  NOT EXISTS (SELECT FROM tenancy.tenant d WHERE d.mode = 'database' AND d.status <> 'spare') AND NOT EXISTS ("
		"  SELECT FROM tenancy.module o JOIN pg_namespace u ON u.nspname = o.model_schema"
		"  JOIN pg_proc f ON f.pronamespace = u.oid AND f.prosqlbody IS NULL"
		"  WHERE " NOT_OF_EXTENSION("pg_proc", "f.oid") " AND (strpos(lower(f.prosrc), lower(n.nspname)) > 0"
		"   OR EXISTS (SELECT FROM unnest(f.proconfig) c WHERE starts_with(c, 'search_path=')"
		"    AND strpos(c, quote_ident(n.nspname)) > 0 AND strpos(c, quote_ident(t.nspname)) = 0)))"},

	{"error", "matview_exposes_tenants",
		"SELECT CASE r.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || r.name,"
		" format(CASE r.relkind WHEN 'm' THEN 'There is no row security for materialized views: %s reads the rows of whichever tenants they were made from.'"
		"  ELSE 'It reads a materialized view, for which there is no row security, with its owner''s rights: %s reads the rows of whichever tenants that was made from.' END, g.name),"
		" " AS_GRANTOR("r.owner", "format('REVOKE SELECT ON TABLE %s FROM %s CASCADE', r.name, g.name)")
		" FROM (SELECT DISTINCT view, name, relkind, owner, acl FROM reader WHERE relkind = 'm' OR (stored AND NOT invoker)) r"
		" CROSS JOIN LATERAL" ALL_PRIVILEGES("r.view", "r.acl") "a JOIN grantee g ON g.role = a.grantee"
		" WHERE a.privilege_type = 'SELECT' AND a.grantee <> r.owner"
		" GROUP BY r.view, r.name, r.relkind, r.owner, g.name, a.grantor"},

	{"warning", "foreign_table_exposed",
		"SELECT 'foreign table ' || c.oid::regclass, format('There is no row security for foreign tables, and %s may use this one, on the path of tenants'' sessions.', g.name),"
		" " AS_GRANTOR("c.relowner", "format('REVOKE ALL ON TABLE %s FROM %s CASCADE', c.oid::regclass, g.name)")
		" FROM pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN path_schema p ON p.nsp = c.relnamespace"
		" CROSS JOIN LATERAL" ALL_PRIVILEGES("c.oid", "c.relacl") "a JOIN grantee g ON g.role = a.grantee"
		" WHERE a.grantee <> c.relowner AND c.oid NOT IN (SELECT relation FROM member)"
		" GROUP BY c.oid, c.relowner, g.name, a.grantor"},

	{"warning", "publication_exposes_tenants",
		"SELECT format('publication %I', p.pubname), 'Logical replication knows no row security: subscribers get the rows of all tenants.',"
		" CASE WHEN NOT p.puballtables THEN concat_ws(E';\\n',"
		"  (SELECT format('ALTER PUBLICATION %I DROP TABLE ', p.pubname) || string_agg(s.name, ', ' ORDER BY s.name)"
		"   FROM pg_publication_rel r JOIN subject s ON s.relation = r.prrelid WHERE r.prpubid = p.oid),"
		"  (SELECT format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA ', p.pubname) || string_agg(n.pnnspid::regnamespace::text, ', ' ORDER BY n.pnnspid)"
		"   FROM pg_publication_namespace n WHERE n.pnpubid = p.oid AND n.pnnspid IN (SELECT nsp FROM subject))) END"
		" FROM pg_publication p"
		" WHERE p.puballtables AND EXISTS (SELECT FROM subject)"
		" OR p.oid IN (SELECT r.prpubid FROM pg_publication_rel r JOIN subject s ON s.relation = r.prrelid)"
		" OR p.oid IN (SELECT n.pnpubid FROM pg_publication_namespace n WHERE n.pnnspid IN (SELECT nsp FROM subject))"},

	{"error", "definer_function_unpinned",
		"SELECT 'function ' || f.name, 'The function runs with its owner''s rights and the caller''s search_path: the caller decides what its names mean.',"
		" format('ALTER ROUTINE %s SET search_path = %spg_temp', f.name, 'pg_catalog, ' || f.nspname || ', ')"
		" FROM definer f WHERE NOT EXISTS (SELECT FROM unnest(f.config) c WHERE c LIKE 'search_path=%')"},

	{"error", "definer_function_shadowed",
		"SELECT 'function ' || f.name, 'The function runs with its owner''s rights, and looks for names in the caller''s temporary schema first, because its path does not end with pg_temp: a temporary table of the caller''s, with triggers of his own, takes the place of a table that is meant.',"
		" format('ALTER ROUTINE %s SET search_path = %s, pg_temp', f.name, regexp_replace(f.path, '(\\m|\")pg_temp\"?, ', '', 'g'))"
		" FROM (SELECT f.*, substr(c, length('search_path=') + 1) AS path FROM definer f, unnest(f.config) c WHERE c LIKE 'search_path=%') f"
		" WHERE f.path !~ '(^|, )\"?pg_temp\"?$' AND f.path NOT IN ('', '\"\"', 'pg_catalog')"},

	{"error", "definer_function_sets_tenant",
		"SELECT 'function ' || f.name, 'The function runs with its owner''s rights, and sets a tenant. From then on it looks for names on the caller''s tenancy.search_path: the caller decides what those mean that are not the tenant''s.',"
		" format('ALTER ROUTINE %s SET tenancy.search_path = %L', f.name, current_setting('tenancy.search_path'))"
		" FROM definer f JOIN pg_proc p ON p.oid = f.oid"
		" WHERE NOT EXISTS (SELECT FROM unnest(f.config) c WHERE c LIKE 'tenancy.search_path=%')"
		" AND (p.prosrc ~* '\\mset_tenant(_token)?\\M' OR EXISTS (SELECT FROM pg_depend d JOIN pg_proc s ON s.oid = d.refobjid"
		"  WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_proc'::regclass"
		"  AND s.pronamespace = 'tenancy'::regnamespace AND s.proname IN ('set_tenant', 'set_tenant_token')))"},

	{"error", "definer_function_bypasses",
		"SELECT 'function ' || f.name, format('The function runs with the rights of %s, which row security does not bind.', o.rolname),"
		" (SELECT format('ALTER ROUTINE %s OWNER TO %I', f.name, w.rolname) FROM tenancy.module m"
		"  JOIN pg_namespace n ON n.nspname = m.model_schema JOIN pg_authid w ON w.oid = n.nspowner"
		"  WHERE NOT w.rolsuper AND NOT w.rolbypassrls ORDER BY m.position LIMIT 1)"
		" FROM definer f JOIN pg_authid o ON o.oid = f.owner WHERE o.rolsuper OR o.rolbypassrls"},

	{"error", "leakproof_function",
		"SELECT format('function %s', f.oid::regprocedure), 'A function that is marked LEAKPROOF runs before the policies filter rows, and can tell what it saw.',"
		" format('ALTER FUNCTION %s NOT LEAKPROOF', f.oid::regprocedure)"
		" FROM pg_proc f WHERE f.proleakproof AND " USER_OBJECT("f.oid") " AND " NOT_OF_EXTENSION("pg_proc", "f.oid")},

	{"warning", "policy_uses_setting",
		"SELECT format('policy %I on %s', p.polname, p.polrelid::regclass), 'The policy calls current_setting(): a setting that an application made up can be set by every role, to anything.', NULL"
		" FROM pg_policy p WHERE " USER_OBJECT("p.oid")
		" AND coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, '') ~ ':funcid (2077|3294) '"
		" AND p.polrelid NOT IN (SELECT relation FROM subject WHERE NOT shared)"},

	{"warning", "reference_table_writable",
		"SELECT format('table %s', c.oid::regclass), format('Tables of tenants refer to it, and %s may change its rows for all tenants.', g.name),"
		" " AS_GRANTOR("c.relowner", "format('REVOKE %s ON TABLE %s FROM %s CASCADE', string_agg(DISTINCT a.privilege_type, ', '), c.oid::regclass, g.name)")
		" FROM (SELECT DISTINCT f.confrelid FROM pg_constraint f JOIN shared s ON s.relation = f.conrelid"
		"  WHERE f.contype = 'f') x"
		" JOIN pg_class c ON c.oid = x.confrelid CROSS JOIN LATERAL" ALL_PRIVILEGES("c.oid", "c.relacl") "a JOIN grantee g ON g.role = a.grantee"
		" WHERE c.oid NOT IN (SELECT relation FROM subject) AND c.oid <> 'tenancy.tenant'::regclass"
		" AND c.relnamespace NOT IN (SELECT n.oid FROM pg_namespace n JOIN tenancy.module m ON m.model_schema = n.nspname)"
		" AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') AND a.grantee <> c.relowner"
		" GROUP BY c.oid, c.relowner, g.name, a.grantor"},

	/* Completeness */
	{"warning", "access_policy_beside_others",
		"SELECT 'policy tenant_access on ' || s.name, format('It lets everything of the tenant through, so that the application''s own permissive policies (%s) limit nothing.', string_agg(quote_ident(o.polname), ', ' ORDER BY o.polname)),"
		" format('DROP POLICY tenant_access ON %s', s.name)"
		" FROM subject s JOIN pg_policy p ON p.polrelid = s.relation AND p.polname = 'tenant_access'"
		" JOIN permissive o ON o.relation = s.relation"
		" GROUP BY s.name"},

	{"warning", "access_policy_changed",
		"SELECT 'policy tenant_access on ' || s.name, 'The policy is not as it was made, so that it lets through less than the tenant''s rows, or not for all, or goes on letting through when tenant_isolation is gone.',"
		" format('DROP POLICY tenant_access ON %s', s.name) || E';\\n'"
		"  || CASE WHEN s.shared THEN s.repair ELSE format('CREATE POLICY tenant_access ON %s USING (tenancy.policy_allow(tableoid))', s.name) END"
		" FROM subject s JOIN pg_policy p ON p.polrelid = s.relation AND p.polname = 'tenant_access'"
		" WHERE NOT (" ACCESS_INTACT ")"},

	{"info", "table_closed",
		"SELECT 'table ' || s.name, 'No permissive policy lets anything through, so that the table seems empty to everybody.',"
		" CASE WHEN s.shared THEN s.repair ELSE format('CREATE POLICY tenant_access ON %s USING (tenancy.policy_allow(tableoid))', s.name) END"
		" FROM subject s JOIN isolation i ON i.relation = s.relation"
		" WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = s.relation AND p.polpermissive)"},

	{"warning", "tenant_index_missing",
		"SELECT 'table ' || s.name, format('No index leads with %s: each query of a tenant reads the rows of all.', quote_ident(s.tenant_column)),"
		" format('CREATE INDEX ON %s (%I)', s.name, s.tenant_column)"
		" FROM shared s WHERE NOT s.relispartition AND s.attnum IS NOT NULL"
		" AND NOT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
		"  WHERE i.indrelid = s.relation AND i.indisvalid AND i.indkey[0] = s.attnum AND i.indpred IS NULL AND c.relam = 403)"},

	{"info", "tenant_default_missing",
		"SELECT format('column %I of %s', s.tenant_column, s.name), 'The column does not default to the current tenant, so that the application must name the tenant with each INSERT.',"
		" format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT tenancy.current_tenant_id()', s.name, s.tenant_column)"
		" FROM shared s LEFT JOIN pg_attrdef d ON d.adrelid = s.relation AND d.adnum = s.attnum"
		" WHERE s.attnum IS NOT NULL AND pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM 'tenancy.current_tenant_id()'"},

	{"info", "tenant_key_missing",
		"SELECT 'table ' || s.name, 'No foreign key leads to the registry: rows can name a tenant that does not exist.',"
		" format('ALTER TABLE %s ADD FOREIGN KEY (%I) REFERENCES tenancy.tenant', s.name, s.tenant_column)"
		" FROM shared s WHERE s.relation = s.root AND s.attnum IS NOT NULL"
		" AND NOT EXISTS (SELECT FROM pg_constraint f WHERE f.conrelid = s.relation AND f.contype = 'f'"
		"  AND f.confrelid = 'tenancy.tenant'::regclass AND f.conkey = ARRAY[s.attnum])"},

	{"error", "tenant_schema_missing",
		"SELECT 'tenant ' || t.slug, format('Its schema %I does not exist; whoever may create schemas can take the name.', x.name), NULL"
		" FROM tenancy.tenant t CROSS JOIN LATERAL (SELECT t.schema_name AS name UNION ALL"
		"  SELECT (t.schema_name || '_plugin_' || i.module)::name FROM tenancy.tenant_module i WHERE i.tenant_id = t.id) x"
		" WHERE t.mode = 'schema' AND t.status NOT IN ('dropping', 'spare') AND x.name NOT IN (SELECT nspname FROM pg_namespace)"},

	{"error", "tenant_database_missing",
		"SELECT 'tenant ' || t.slug, format('Its database %I does not exist; whoever may create databases can take the name.', t.database_name), NULL"
		" FROM tenancy.tenant t WHERE t.mode = 'database' AND t.status NOT IN ('dropping', 'spare') AND t.database_name NOT IN (SELECT datname FROM pg_database)"},

	{"error", "server_outdated",
		"SELECT 'server ' || current_setting('server_version'), format('%s: %s. Release %s closed the hole in row security.', cve, hole, fixed_in), NULL"
		" FROM tenancy.row_security_holes(current_setting('server_version_num')::integer)"},
};


/* ----------------------------------------------------------------
 * Running them
 * ----------------------------------------------------------------
 */

/* Run a query, and append its rows to a tuplestore; returns what they are. */
static TupleDesc
run_into(Tuplestorestate *store, const char *sql, double *nrows)
{
	SPIParseOpenOptions options = {.read_only = true};
	Portal		portal = SPI_cursor_parse_open(NULL, sql, &options);
	TupleDesc	desc = CreateTupleDescCopy(portal->tupDesc);

	*nrows = 0;
	for (;;)
	{
		uint64		count;

		SPI_cursor_fetch(portal, true, BATCH_ROWS);
		count = SPI_processed;
		for (uint64 i = 0; i < count; i++)
			tuplestore_puttuple(store, SPI_tuptable->vals[i]);
		SPI_freetuptable(SPI_tuptable);
		*nrows += count;
		if (count < BATCH_ROWS)
			break;
	}
	SPI_cursor_close(portal);
	return desc;
}

/* Compute a relation, and let the queries to come refer to it by name. */
static void
register_relation(const LintRelation *relation)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));
	Tuplestorestate *store = tuplestore_begin_heap(true, false, work_mem);
	int			ret;

	enr->md.name = pstrdup(relation->name);
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = run_into(store, relation->sql, &enr->md.enrtuples);
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->reldata = store;
	ret = SPI_register_relation(enr);
	if (ret != SPI_OK_REL_REGISTER)
		elog(ERROR, "SPI_register_relation failed: %s", SPI_result_code_string(ret));
}

/*
 * names_schema(function oid, schema text, replaced boolean): does the body of a
 * function that is a string name a schema, where (if it is replaced in copies) it would
 * be left?
 */
Datum
tenancy_lint_names_schema(PG_FUNCTION_ARGS)
{
	HeapTuple	tuple;
	char	   *schema;
	char	   *body;
	Oid			language;
	bool		isnull;
	bool		left;

	tenancy_require_arg(fcinfo, 0, "function");
	tenancy_require_arg(fcinfo, 1, "schema");
	tenancy_require_arg(fcinfo, 2, "replaced");
	schema = text_to_cstring(PG_GETARG_TEXT_PP(1));
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(PG_GETARG_OID(0)));
	if (!HeapTupleIsValid(tuple))
		PG_RETURN_NULL();		/* dropped meanwhile */
	body = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull));
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	(void) tenancy_clone_rewrite_body(body, language, schema, PG_GETARG_BOOL(2) ? schema : NULL, &left);
	PG_RETURN_BOOL(left);
}

/* names_schema(expression pg_node_tree, schema text): does a text in it name the schema? */
Datum
tenancy_lint_expression_names(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "expression");
	tenancy_require_arg(fcinfo, 1, "schema");
	PG_RETURN_BOOL(tenancy_clone_expression_names(stringToNode(text_to_cstring(PG_GETARG_TEXT_PP(0))),
												  text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

/* names_schema(string text, schema text): does a text that is an argument or setting? */
Datum
tenancy_lint_string_names(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "string");
	tenancy_require_arg(fcinfo, 1, "schema");
	PG_RETURN_BOOL(tenancy_clone_string_names(text_to_cstring(PG_GETARG_TEXT_PP(0)),
											  text_to_cstring(PG_GETARG_TEXT_PP(1))));
}

static void
run_lint(const Lint *lint, Tuplestorestate *findings)
{
	double		nrows;

	(void) run_into(findings,
					psprintf("SELECT '%s'::text, '%s'::text, l.object::text, l.detail::text, l.fix::text"
							 " FROM (%s) l (object, detail, fix)"
							 " ORDER BY l.object::text COLLATE \"C\", l.fix::text COLLATE \"C\"",
							 lint->severity, lint->name, lint->sql),
					&nrows);
}

static void
report_progress(TenancyProgress *progress, int done)
{
	int			total = lengthof(relations) + lengthof(lints);

	if (tenancy_progress_is_due(progress))
		tenancy_progress_tell(psprintf(_("did %d of %d steps, %.1f steps/s, about %.0f s remaining"),
									   done, total,
									   tenancy_progress_rate(progress, done),
									   tenancy_progress_remaining(progress, done, total)));
}

/* check_isolation() */
Datum
tenancy_lint_check_isolation(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TenancyProgress progress;
	TenancyExec exec;

	tenancy_registry_refuse_home();
	InitMaterializedSRF(fcinfo, 0);
	tenancy_progress_start(&progress);

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);

	/* Catalogs of ten thousand tenants: sorts and hashes need some room. */
	tenancy_exec_set("work_mem", "64MB");
	for (int i = 0; i < lengthof(relations); i++)
	{
		register_relation(&relations[i]);
		report_progress(&progress, i + 1);
	}
	for (int i = 0; i < lengthof(lints); i++)
	{
		CHECK_FOR_INTERRUPTS();
		run_lint(&lints[i], rsinfo->setResult);
		report_progress(&progress, lengthof(relations) + i + 1);
	}
	tenancy_exec_end(&exec);
	tenancy_progress_end();
	return (Datum) 0;
}
