/*-------------------------------------------------------------------------
 *
 * sibling.c
 *	  What new tables get from the tables beside them.
 *
 * A migration says CREATE TABLE, and nothing of tenants.  Before its
 * transaction commits, the tables that it has made get what their siblings in
 * the schema have: the policies (in the model only if it has protected tables),
 * the tenant column under the siblings' name, and their privileges.
 *
 * Privileges that the migration, or default privileges, have granted on a
 * table are its own; only where there are none, those come in that more than
 * half of the siblings grant.  So a copy's table gets what the model's got
 * without a look at the model, which may have had later migrations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "exec.h"
#include "ident.h"
#include "policy.h"
#include "sibling.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * The tenant column that most of the module's protected tables have, or NULL
 * if it has no protected table.
 */
char *
tenancy_sibling_column(const TenancyModule *module)
{
	return tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT p.tenant_column FROM tenancy.protected_table p"
								" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.relation"
								" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
								" WHERE n.nspname OPERATOR(pg_catalog.=) %s"
								" GROUP BY 1 ORDER BY pg_catalog.count(*) DESC, 1 LIMIT 1",
								quote_literal_cstr(module->model_schema));
}

/* GRANTs of what more than half of the schema's other tables grant, for tables without grants. */
static List *
table_grants(Oid schema, const char *new_tables, const char *others)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								psprintf("WITH sibling AS (SELECT c.relacl, c.relowner FROM pg_catalog.pg_depend d"
										 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid"
										 " WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
										 " AND d.refobjid OPERATOR(pg_catalog.=) %u"
										 " AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
										 " AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
										 " AND NOT c.oid OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])"
										 " AND NOT c.oid OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])),"
										 " wanted AS (SELECT a.privilege_type, a.is_grantable,"
										 " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS grantee"
										 " FROM sibling s, pg_catalog.aclexplode(s.relacl) a"
										 " WHERE a.grantor OPERATOR(pg_catalog.=) s.relowner AND a.grantee OPERATOR(pg_catalog.<>) s.relowner"
										 " GROUP BY 1, 2, 3"
										 " HAVING pg_catalog.count(*) OPERATOR(pg_catalog.*) 2 OPERATOR(pg_catalog.>) (SELECT pg_catalog.count(*) FROM sibling))"
										 " SELECT pg_catalog.format('GRANT %%s ON TABLE %%s TO %%s%%s', w.privilege_type,"
										 " c.oid::pg_catalog.regclass, w.grantee, CASE WHEN w.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
										 " FROM wanted w, pg_catalog.pg_class c"
										 " WHERE c.oid OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])"
										 " AND c.relacl IS NULL AND NOT c.relispartition",
										 schema, new_tables, others, new_tables));
}

/* Whoever may insert may use the sequences behind the tables' serial columns. */
static List *
sequence_grants(const char *new_tables)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								psprintf("SELECT pg_catalog.format('GRANT USAGE ON SEQUENCE %%s TO %%s', s.oid::pg_catalog.regclass,"
										 " CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)"
										 " FROM pg_catalog.pg_class c, pg_catalog.pg_depend d, pg_catalog.pg_class s,"
										 " pg_catalog.aclexplode(c.relacl) a"
										 " WHERE c.oid OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])"
										 " AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
										 " AND d.refobjid OPERATOR(pg_catalog.=) c.oid AND d.deptype OPERATOR(pg_catalog.=) 'a'"
										 " AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
										 " AND s.oid OPERATOR(pg_catalog.=) d.objid AND s.relkind OPERATOR(pg_catalog.=) 'S'"
										 " AND s.relacl IS NULL AND a.privilege_type OPERATOR(pg_catalog.=) 'INSERT'"
										 " AND a.grantee OPERATOR(pg_catalog.<>) c.relowner",
										 new_tables));
}

static void
run_as(Oid role, List *statements)
{
	TenancyExec exec;
	ListCell   *lc;

	if (statements == NIL)
		return;
	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	foreach(lc, statements)
		tenancy_exec_sql(lfirst(lc));
	tenancy_exec_end(&exec);
}

/*
 * A migration of a model may have made materialized views, or views that read them
 * with their owner's rights, or given privileges on them: say that tenants' schemas
 * do not follow.
 */
void
tenancy_sibling_notice_withheld(Oid schema)
{
	List	   *withheld = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.concat(CASE c.relkind WHEN 'm' THEN 'materialized ' END, 'view ', pg_catalog.quote_ident(c.relname))"
		" FROM tenancy.drift_withheld() r (oid)"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.oid AND c.relnamespace OPERATOR(pg_catalog.=) %u"
		" WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog.\"char\"[]) AND (EXISTS ("
		"SELECT FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee OPERATOR(pg_catalog.<>) c.relowner)"
		" OR EXISTS (SELECT FROM pg_catalog.pg_attribute t WHERE t.attrelid OPERATOR(pg_catalog.=) c.oid AND t.attacl IS NOT NULL))"
		" ORDER BY c.oid", schema));

	if (withheld != NIL)
		ereport(NOTICE,
				(errmsg("privileges on materialized views of model schema \"%s\" are withheld in tenants' schemas",
						get_namespace_name(schema)),
				 errdetail("There is no row security for materialized views. Only their owner has privileges on %s.",
						   tenancy_ident_enumerate(withheld)),
				 errhint("Let a SECURITY DEFINER function hand out those of their rows that belong to the tenant in context.")));
}

/*
 * Take from everybody but the owner what a migration or default privileges have
 * given on a tenant's materialized views, whose rows no row security holds, and
 * on what reads them with the owner's rights: in any of the tenant's schemas, since
 * a view of one may read those of another.
 */
void
tenancy_sibling_withhold(const pg_uuid_t *tenant)
{
	ListCell   *lc;

	foreach(lc, tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"WITH schema AS (SELECT k.namespace FROM tenancy.drift_copy k WHERE k.tenant_id OPERATOR(pg_catalog.=) '%s'),"
		" mine AS (SELECT c.oid, c.relacl, c.relowner FROM tenancy.matview_readers(ARRAY("
		"SELECT c.oid FROM schema k JOIN pg_catalog.pg_depend d ON d.refobjid OPERATOR(pg_catalog.=) k.namespace"
		" AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
		" AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid AND c.relkind OPERATOR(pg_catalog.=) 'm')) r (oid)"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.oid"
		" AND c.relkind OPERATOR(pg_catalog.=) ANY ('{v,m}'::pg_catalog.\"char\"[])"
		" JOIN schema k ON k.namespace OPERATOR(pg_catalog.=) c.relnamespace),"
		" held AS (SELECT m.oid, m.relowner, NULL::pg_catalog.name AS col, a.grantee FROM mine m, pg_catalog.aclexplode(m.relacl) a"
		"  WHERE a.grantee OPERATOR(pg_catalog.<>) m.relowner"
		" UNION SELECT m.oid, m.relowner, t.attname, a.grantee FROM mine m JOIN pg_catalog.pg_attribute t ON t.attrelid OPERATOR(pg_catalog.=) m.oid,"
		"  pg_catalog.aclexplode(t.attacl) a WHERE a.grantee OPERATOR(pg_catalog.<>) m.relowner)"
		" SELECT pg_catalog.format('%%s REVOKE ALL %%s ON TABLE %%s FROM %%s CASCADE', h.relowner,"
		" '(' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(h.col) OPERATOR(pg_catalog.||) ')',"
		" h.oid::pg_catalog.regclass, CASE h.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(h.grantee)) END)"
		" FROM held h ORDER BY h.oid, h.col NULLS FIRST", tenancy_ident_uuid_text(tenant))))
	{
		char	   *statement = strchr(lfirst(lc), ' ');

		run_as(atooid(lfirst(lc)), list_make1(statement));
	}
}

/* OIDs as the text of an array. */
static char *
oids_text(List *oids)
{
	StringInfoData array;
	ListCell   *lc;

	initStringInfo(&array);
	appendStringInfoChar(&array, '{');
	foreach(lc, oids)
		appendStringInfo(&array, "%s%u", array.len > 1 ? "," : "", lfirst_oid(lc));
	appendStringInfoChar(&array, '}');
	return array.data;
}

/*
 * A migration may switch off the row security of an application's own policies, which
 * is that of ours as well: switch it on again.  In a tenant's copy, tenant_access is
 * there only as long as no policy of the application's opens the table, which it would
 * make void; and as long as the model's has no row security at all.
 */
void
tenancy_sibling_restore_walls(Oid schema, Oid owner, bool is_copy)
{
	run_as(owner, tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"WITH mine AS (SELECT c.oid::pg_catalog.regclass AS name, c.relrowsecurity AS is_on, c.relforcerowsecurity AS is_forced,"
		"  EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid AND p.polname OPERATOR(pg_catalog.=) '" TENANCY_POLICY_ACCESS "') AS is_open,"
		"  EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid OPERATOR(pg_catalog.=) c.oid AND p.polname OPERATOR(pg_catalog.<>) '" TENANCY_POLICY_ACCESS "' AND p.polpermissive) AS has_own"
		"  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid"
		"  JOIN pg_catalog.pg_policy w ON w.polrelid OPERATOR(pg_catalog.=) c.oid AND w.polname OPERATOR(pg_catalog.=) '" TENANCY_POLICY_ISOLATION "'"
		"  WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid OPERATOR(pg_catalog.=) %u"
		"  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND c.relkind IN ('r', 'p'))"
		" SELECT pg_catalog.format('ALTER TABLE ONLY %%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', name) FROM mine WHERE NOT (is_on AND is_forced)"
		" UNION ALL SELECT pg_catalog.format('DROP POLICY " TENANCY_POLICY_ACCESS " ON %%s', name) FROM mine WHERE %s AND is_open AND has_own"
		" UNION ALL SELECT pg_catalog.format('CREATE POLICY " TENANCY_POLICY_ACCESS " ON %%s USING (tenancy.policy_allow(tableoid))', name) FROM mine"
		"  WHERE %s AND NOT is_on AND NOT is_open AND NOT has_own",
		schema, is_copy ? "true" : "false", is_copy ? "true" : "false")));
}

/*
 * Complete the tables that the current transaction has made in a schema: a
 * model's, or, with a tenant, a tenant's copy.  column is the siblings' tenant
 * column, NULL if they have none; others are tables that count neither as new nor
 * as siblings.  All as the schema's owner.
 */
void
tenancy_sibling_complete(Oid schema, Oid owner, const char *column, const pg_uuid_t *tenant,
						 List *others)
{
	List	   *new_tables = list_difference_oid(tenancy_policy_new_tables(schema), others);
	char	   *tables = oids_text(new_tables);
	ListCell   *lc;

	if (new_tables == NIL)
		return;
	run_as(owner, table_grants(schema, tables, oids_text(others)));
	run_as(owner, sequence_grants(tables));
	foreach(lc, new_tables)
	{
		if (tenant != NULL)
			tenancy_policy_protect_copy(lfirst_oid(lc), column, tenant);
		else if (column != NULL)
			tenancy_policy_protect_new(lfirst_oid(lc), column);
	}
}
