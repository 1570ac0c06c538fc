/*-------------------------------------------------------------------------
 *
 * module.c
 *	  create_module(): a schema becomes the model of a set of tenants' tables.
 *
 * All DDL on a model and its copies runs with the rights of the schema's owner,
 * and row security must bind it: neither a superuser nor a role with BYPASSRLS
 * is accepted, here or later (tenancy_registry_refuse_superuser()).
 *
 * Locks: of access, in share mode, so that who is granted access meanwhile can use
 * the schema; of the table of modules, against another call, which would get
 * the same position.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "context.h"
#include "exec.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "module.h"
#include "registry.h"
#include "storage/lockdefs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tenancy_module_create);

/*
 * What the owner of protected tables must be granted: what their policies, defaults
 * and foreign keys refer to.  Without SELECT, foreign keys would be validated row
 * by row.
 */
char *
tenancy_module_owner_grants(Oid owner)
{
	const char *role = quote_identifier(GetUserNameFromId(owner, false));

	return psprintf("GRANT USAGE ON SCHEMA tenancy TO %s;"
					"GRANT EXECUTE ON FUNCTION " TENANCY_POLICY_FUNCTIONS " TO %s;"
					"GRANT SELECT (id), REFERENCES (id) ON tenancy.tenant TO %s",
					role, role, role);
}

static void
grant_owner(Oid owner)
{
	tenancy_registry_lock_grants();
	tenancy_exec_format_as(tenancy_registry_owner(), "%s", tenancy_module_owner_grants(owner));
}

/*
 * Grant it what it lacks of that: tables, and a model, may have been given to another
 * role since.  Granting costs every session its cache of the registry.
 */
void
tenancy_module_ensure_owner(Oid owner)
{
	if (pg_attribute_aclcheck(tenancy_registry_relation("tenant"), 1, owner, ACL_REFERENCES) != ACLCHECK_OK ||
		tenancy_namespace_aclcheck(get_namespace_oid("tenancy", false), owner, ACL_USAGE) != ACLCHECK_OK)
		grant_owner(owner);
}

/* All DDL runs with the owner's rights, and row security must bind it. */
static void
check_module_owner(const char *schema, Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(owner));
	Form_pg_authid role;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for role %u", owner);
	role = (Form_pg_authid) GETSTRUCT(tuple);
	if (role->rolsuper || role->rolbypassrls)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model schema \"%s\" is owned by role \"%s\", which row security does not bind",
						schema, NameStr(role->rolname)),
				 errdetail("The module's DDL runs with the rights of the schema's owner, which must be neither a superuser nor have BYPASSRLS."),
				 errhint("Use ALTER SCHEMA ... OWNER TO a role with NOLOGIN.")));
	if (role->rolcanlogin)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("role \"%s\", the owner of model schema \"%s\", can log in",
						NameStr(role->rolname), schema),
				 errhint("The owner can switch row security off; use ALTER ROLE ... NOLOGIN.")));
	ReleaseSysCache(tuple);
}

/* Reference tables are for all tenants, a model's tables are each one's own. */
static void
refuse_reference_schema(const char *schema)
{
	char	   *table;

	table = tenancy_exec_text_as(tenancy_registry_owner(),
								 "SELECT c.relname FROM tenancy.reference_table r"
								 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) r.relation"
								 " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
								 " WHERE n.nspname OPERATOR(pg_catalog.=) %s ORDER BY c.relname LIMIT 1", quote_literal_cstr(schema));
	if (table != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" cannot be a model schema", schema),
				 errdetail("Its table \"%s\" is a reference table.", table),
				 errhint("Use ALTER TABLE ... SET SCHEMA, or call tenancy.remove_reference_table().")));
}

static void
check_model_schema(const char *schema)
{
	TenancyModule probe;

	if (IsReservedName(schema) ||
		strcmp(schema, "information_schema") == 0 ||
		strcmp(schema, "tenancy") == 0 ||
		strncmp(schema, "tenant_", strlen("tenant_")) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema \"%s\" cannot be a model schema", schema),
				 errdetail("It belongs to the system, to this extension or to a tenant.")));

	memset(&probe, 0, sizeof(probe));
	strlcpy(probe.model_schema, schema, NAMEDATALEN);
	if (!OidIsValid(get_namespace_oid(schema, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", schema),
				 errhint("Create the model schema first, owned by a role with NOLOGIN; it may be empty.")));
	refuse_reference_schema(schema);
	check_module_owner(schema, tenancy_registry_module_owner(&probe));
}

/* What extensions have in a model schema, the path of tenants in schemas does not lead to. */
static void
tell_of_extensions(TenancyExec *exec, const char *schema)
{
	char	   *extensions = tenancy_exec_text(exec, psprintf(
		"SELECT pg_catalog.string_agg(e.extname, ', ' ORDER BY e.extname) FROM pg_catalog.pg_extension e"
		" WHERE e.extnamespace OPERATOR(pg_catalog.=) %u", get_namespace_oid(schema, false)));

	if (extensions != NULL)
		ereport(NOTICE,
				(errmsg("extensions are installed in model schema \"%s\": %s", schema, extensions),
				 errdetail("The path of tenants in schemas does not lead there: queries, functions and migrations do not find their types, functions and operators."),
				 errhint("Move them to a schema of tenancy.search_path by ALTER EXTENSION ... SET SCHEMA.")));
}

/* create_module(name text, model_schema name) */
Datum
tenancy_module_create(PG_FUNCTION_ARGS)
{
	TenancyExec exec;
	TenancyModule module;
	ListCell   *lc;
	char	   *roles;

	tenancy_require_arg(fcinfo, 0, "name");
	tenancy_require_arg(fcinfo, 1, "model_schema");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();

	memset(&module, 0, sizeof(module));
	tenancy_ident_check_module(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	strlcpy(module.name, text_to_cstring(PG_GETARG_TEXT_PP(0)), NAMEDATALEN);
	strlcpy(module.model_schema, NameStr(*PG_GETARG_NAME(1)), NAMEDATALEN);
	check_model_schema(module.model_schema);

	tenancy_registry_lock_access(ShareLock);

	/* Positions are handed out one after the other. */
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_sql("LOCK TABLE tenancy.module IN SHARE ROW EXCLUSIVE MODE");
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *other = lfirst(lc);

		if (strcmp(other->name, module.name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("module \"%s\" already exists", module.name)));
		if (strcmp(other->model_schema, module.model_schema) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("schema \"%s\" is already the model schema of module \"%s\"",
							module.model_schema, other->name)));
	}
	tenancy_exec_format("INSERT INTO tenancy.module (name, model_schema, position)"
						" SELECT %s, %s, COALESCE(pg_catalog.max(position), 0) OPERATOR(pg_catalog.+) 1"
						" FROM tenancy.module",
						quote_literal_cstr(module.name),
						quote_literal_cstr(module.model_schema));

	/* Shared tenants live here: let in the roles that may act for them. */
	roles = tenancy_exec_text(&exec,
							  "SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(r.rolname), ', ')"
							  " FROM tenancy.access a"
							  " JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.role"
							  " LEFT JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) a.tenant_id"
							  " WHERE t.id IS NULL OR t.mode OPERATOR(pg_catalog.=) 'shared'");
	if (roles != NULL)
		tenancy_exec_format("GRANT USAGE ON SCHEMA %s TO %s",
							quote_identifier(module.model_schema), roles);
	tell_of_extensions(&exec, module.model_schema);
	tenancy_exec_end(&exec);
	grant_owner(tenancy_registry_module_owner(&module));
	PG_RETURN_VOID();
}
