/*-------------------------------------------------------------------------
 *
 * access.c
 *	  Which role may act for which tenants.
 *
 * Access has three parts that these functions keep together: the row of
 * tenancy.access, which the context functions check; EXECUTE on the context
 * functions themselves; and what lets the role reach the places where tenants
 * live (USAGE on their schemas or the model's, CONNECT on their databases).  Privileges on
 * the tables are the application's business, and come with the model.
 *
 * A role that row security does not bind, that can become the owner of the
 * tables, or that reaches the data in another way, is refused: nothing here
 * would hold it.
 *
 * Locks: what is given out must fit the tenants that there are.  For one tenant,
 * its row is locked; for all of them, the lock that whoever creates, renames or
 * drops a tenant shares.  After these the one that has GRANTs on the same
 * functions wait for each other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "context.h"
#include "database.h"
#include "database_settle.h"
#include "exec.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "policy_grant.h"
#include "registry.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tenancy_access_grant);
PG_FUNCTION_INFO_V1(tenancy_access_revoke);

/* The rows of tenancy.tenant that a call is about: one tenant's, or all. */
static char *
tenant_condition(const TenancyTenant *tenant)
{
	if (tenant == NULL)
		return "true";
	return psprintf("t.id OPERATOR(pg_catalog.=) '%s'",
					tenancy_ident_uuid_text(&tenant->id));
}

/* The role's name, quoted; an error if there is no such role. */
static const char *
role_identifier(Oid role)
{
	char	   *name = GetUserNameFromId(role, true);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role with OID %u does not exist", role)));
	return quote_identifier(name);
}

/*
 * What is wrong with role "a", a row of pg_authid: a verb and more, null if
 * nothing is.  What the predefined roles may do goes around us: the registry
 * and the keys of tokens are tables, and the server's files hold everything.
 */
#define FLAW \
	"CASE WHEN a.rolsuper THEN 'is a superuser, which row security does not bind'" \
	" WHEN a.rolbypassrls THEN 'has BYPASSRLS, so that row security does not bind it'" \
	" WHEN a.rolreplication THEN 'has REPLICATION, and can copy all data'" \
	" WHEN a.rolcreaterole THEN 'has CREATEROLE, and can make itself a member of other roles'" \
	" WHEN a.oid OPERATOR(pg_catalog.=) ANY (ARRAY(" OWNERS ")) THEN 'owns tables of tenants, and can switch row security off'" \
	" WHEN EXISTS (SELECT FROM tenancy.reference_table r JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation" \
	"  WHERE c.relowner OPERATOR(pg_catalog.=) a.oid) THEN 'owns reference tables, and can change their rows for all tenants'" \
	" WHEN a.rolname OPERATOR(pg_catalog.=) 'pg_read_all_data' THEN 'reads all tables that have no row security'" \
	" WHEN a.rolname OPERATOR(pg_catalog.=) 'pg_write_all_data' THEN 'writes all tables that have no row security'" \
	" WHEN a.rolname OPERATOR(pg_catalog.=) ANY ('{pg_read_server_files,pg_write_server_files,pg_execute_server_program}')" \
	"  THEN 'reaches the files of the server, and all data in them'" \
	" END"

#define OWNERS \
	"SELECT n.nspowner FROM tenancy.module m" \
	" JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema" \
	" UNION SELECT c.relowner FROM tenancy.protected_table p" \
	" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.relation"

/*
 * Refuse a role that nothing here would hold, or that can become such a role:
 * a member can, whether it inherits or not.
 */
static void
check_grantee(Oid role, const char *name)
{
	char	   *reason;

	reason = tenancy_exec_text_as(tenancy_registry_owner(),
								  "WITH RECURSIVE reach (oid) AS (SELECT %u::oid UNION"
								  " SELECT m.roleid FROM pg_catalog.pg_auth_members m"
								  " JOIN reach r ON r.oid OPERATOR(pg_catalog.=) m.member)"
								  " SELECT CASE WHEN a.oid OPERATOR(pg_catalog.=) %u THEN 'It '"
								  "  ELSE pg_catalog.format('It is a member of role %%I, which ', a.rolname) END"
								  " OPERATOR(pg_catalog.||) f.flaw"
								  " FROM reach r JOIN pg_catalog.pg_authid a ON a.oid OPERATOR(pg_catalog.=) r.oid,"
								  " LATERAL (SELECT " FLAW ") f (flaw) WHERE f.flaw IS NOT NULL"
								  " ORDER BY a.oid OPERATOR(pg_catalog.<>) %u, a.rolname LIMIT 1",
								  role, role, role);
	if (reason != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_GRANT_OPERATION),
				 errmsg("cannot grant access to role %s", name),
				 errdetail("%s.", reason),
				 errhint("Grant access to the ordinary role that the application connects as.")));
}

/*
 * Let the role into the model schemas, where shared tenants live.  This is not
 * taken back: a session that has the schema on its path would go on to a table
 * of the same name in the next one, where the policies would have refused it.
 */
static void
grant_models(const char *role)
{
	TenancyExec exec;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		tenancy_exec_format("GRANT USAGE ON SCHEMA %s TO %s",
							quote_identifier(module->model_schema), role);
	}
	tenancy_exec_end(&exec);
}

/*
 * Grant or revoke what lets the role reach the tenants: verb and preposition
 * are GRANT and TO, or REVOKE and FROM.
 */
static void
change_reach(const char *verb, const char *preposition, const char *role,
			 const TenancyTenant *tenant)
{
	TenancyExec exec;
	char	   *names;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	names = tenancy_exec_text_format(&exec,
									 "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n.nspname), ', ')"
									 " FROM tenancy.tenant t"
									 " LEFT JOIN tenancy.tenant_module i ON i.tenant_id OPERATOR(pg_catalog.=) t.id,"
									 " LATERAL (VALUES (t.schema_name), (t.schema_name OPERATOR(pg_catalog.||) '_plugin_' OPERATOR(pg_catalog.||) i.module)) s (name)"
									 " JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) s.name::name"
									 " WHERE t.schema_name IS NOT NULL AND %s",
									 tenant_condition(tenant));
	if (names != NULL)
		tenancy_exec_format("%s USAGE ON SCHEMA %s %s %s", verb, names, preposition, role);

	names = tenancy_exec_text_format(&exec,
									 "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(d.datname), ', ')"
									 " FROM tenancy.tenant t"
									 " JOIN pg_catalog.pg_database d ON d.datname OPERATOR(pg_catalog.=) t.database_name"
									 " WHERE %s AND " TENANCY_DATABASE_IS_OURS,
									 tenant_condition(tenant), MyDatabaseId);
	if (names != NULL)
		tenancy_exec_format("%s CONNECT, TEMPORARY ON DATABASE %s %s %s",
							verb, names, preposition, role);
	tenancy_exec_end(&exec);
}

/* Lock what the second argument names, a tenant or, by NULL, all of them. */
static TenancyTenant *
lock_tenant(FunctionCallInfo fcinfo, TenancyTenant *found)
{
	bool		all = PG_ARGISNULL(1);

	if (all)
		tenancy_registry_lock_access(ExclusiveLock);
	else
		tenancy_registry_get_locked(text_to_cstring(PG_GETARG_TEXT_PP(1)), found);
	tenancy_registry_lock_grants();
	return all ? NULL : found;
}

/* grant_access(role regrole, tenant text) */
Datum
tenancy_access_grant(PG_FUNCTION_ARGS)
{
	TenancyExec exec;
	TenancyTenant found;
	TenancyTenant *tenant;
	Oid			role;
	const char *name;

	tenancy_require_arg(fcinfo, 0, "role");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	role = PG_GETARG_OID(0);
	name = role_identifier(role);
	check_grantee(role, name);
	tenant = lock_tenant(fcinfo, &found);

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("INSERT INTO tenancy.access (role, tenant_id) VALUES (%u, %s)"
						" ON CONFLICT DO NOTHING", role,
						tenant ? quote_literal_cstr(tenancy_ident_uuid_text(&tenant->id)) : "NULL");
	tenancy_exec_format("GRANT USAGE ON SCHEMA tenancy TO %s;"
						"GRANT EXECUTE ON FUNCTION " TENANCY_CONTEXT_FUNCTIONS " TO %s",
						name, name);
	tenancy_exec_end(&exec);
	change_reach("GRANT", "TO", name, tenant);
	if (tenant == NULL || tenant->mode == TENANCY_SHARED)
		grant_models(name);
	tenancy_policy_restrict_role(role);
	PG_RETURN_VOID();
}

/* Delete access rows; warns if there are none. */
static void
delete_access(Oid role, const char *name, const TenancyTenant *tenant)
{
	TenancyExec exec;
	uint64		deleted;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (tenant != NULL &&
		tenancy_exec_format("SELECT FROM tenancy.access"
							" WHERE role OPERATOR(pg_catalog.=) %u AND tenant_id IS NULL", role) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("role %s may act for all tenants", name),
				 errhint("Revoke its access to all tenants, and grant access to the tenants that it needs.")));
	deleted = tenancy_exec_format("DELETE FROM tenancy.access WHERE role OPERATOR(pg_catalog.=) %u AND %s",
								  role,
								  tenant ? psprintf("tenant_id OPERATOR(pg_catalog.=) '%s'",
													tenancy_ident_uuid_text(&tenant->id)) : "true");
	if (deleted == 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("role %s had no such access", name)));
	tenancy_exec_end(&exec);
}

/* If nothing is left to act for, take the context functions back. */
static void
revoke_functions(Oid role, const char *name)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (tenancy_exec_format("SELECT FROM tenancy.access WHERE role OPERATOR(pg_catalog.=) %u",
							role) == 0)
		tenancy_exec_format("REVOKE EXECUTE ON FUNCTION " TENANCY_CONTEXT_FUNCTIONS " FROM %s;"
							"REVOKE USAGE ON SCHEMA tenancy FROM %s", name, name);
	tenancy_exec_end(&exec);
}

/* End the sessions that are in databases which the role may no longer enter. */
static void
disconnect_databases(const TenancyTenant *tenant)
{
	List	   *slugs;
	ListCell   *lc;

	slugs = tenancy_exec_list_as(tenancy_registry_owner(),
								 psprintf("SELECT t.slug FROM tenancy.tenant t"
										  " WHERE t.database_name IS NOT NULL"
										  " AND t.status OPERATOR(pg_catalog.<>) 'spare' AND %s",
										  tenant_condition(tenant)));
	foreach(lc, slugs)
	{
		TenancyTenant database_tenant;

		tenancy_registry_get(lfirst(lc), &database_tenant);
		tenancy_database_disconnect(&database_tenant);
	}
}

/* revoke_access(role regrole, tenant text) */
Datum
tenancy_access_revoke(PG_FUNCTION_ARGS)
{
	TenancyTenant found;
	TenancyTenant *tenant;
	Oid			role;
	const char *name;

	tenancy_require_arg(fcinfo, 0, "role");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	role = PG_GETARG_OID(0);
	name = role_identifier(role);
	tenant = lock_tenant(fcinfo, &found);

	delete_access(role, name, tenant);
	change_reach("REVOKE", "FROM", name, tenant);
	disconnect_databases(tenant);
	revoke_functions(role, name);
	PG_RETURN_VOID();
}
