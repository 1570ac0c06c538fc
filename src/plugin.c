/*-------------------------------------------------------------------------
 *
 * plugin.c
 *	  Plug-ins: installing a module for one tenant, and taking it back.
 *
 * A schema tenant's plug-in is a schema beside its own.  Like that one, it
 * comes and goes with the caller's transaction, and all of the DDL runs as the
 * owner of the schema.  A shared tenant's are the shared tables of the module's
 * model; what makes it the tenant's is that it comes on its path.  Its rows there
 * are deleted by a worker, like those of a tenant that is dropped (drop.c).  A
 * database has the tables of all modules, from its beginning or since one was
 * first installed there: what makes them the tenant's is its path as well.
 *
 * Locks: the tenant's row, so that rename_tenant() and drop_tenant() find the
 * plug-in wholly there or not at all.  Uninstalling locks the row of the copy
 * before its tables, as a worker that migrates the copy does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "clone.h"
#include "database.h"
#include "drop.h"
#include "drop_schema.h"
#include "exec.h"
#include "fmgr.h"
#include "ident.h"
#include "plugin.h"
#include "provision.h"
#include "registry.h"
#include "utils/builtins.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_plugin_install_module);
PG_FUNCTION_INFO_V1(tenancy_plugin_uninstall_module);

/* Look up what a function's first two arguments name, and lock the tenant. */
static void
get_arguments(FunctionCallInfo fcinfo, TenancyTenant *tenant, TenancyModule *module)
{
	char	   *name;

	tenancy_require_arg(fcinfo, 1, "module");
	tenancy_provision_get_tenant(fcinfo, tenant);
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!tenancy_registry_module(name, module))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("module \"%s\" does not exist", tenancy_ident_clip(name))));
	if (module->position == 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("module \"%s\" is the main module", module->name),
				 errdetail("Every tenant has it, from its creation to its end.")));
	if (tenant->mode == TENANCY_DATABASE)
		(void) tenancy_database_oid(tenant);	/* is it there, and ours? */
}

/* Run a statement about this plug-in's row in one of the registry's tables. */
static void
change_row(const char *format, const TenancyTenant *tenant, const TenancyModule *module)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_sql(psprintf(format, tenancy_ident_uuid_text(&tenant->id),
							  quote_literal_cstr(module->name)));
	tenancy_exec_end(&exec);
}

#define INSERT_ROW "INSERT INTO tenancy.tenant_module (tenant_id, module) VALUES ('%s', %s)"

static void
install_schema(const TenancyTenant *tenant, const TenancyModule *module)
{
	char	   *schema = tenancy_ident_schema(tenant->slug, module->name);

	if (OidIsValid(get_namespace_oid(schema, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", schema),
				 errdetail("An existing schema is never made a tenant's.")));
	change_row(INSERT_ROW, tenant, module);
	tenancy_clone_schema(tenant, module);
}

/* Whoever may act for the tenant may not have been let into the model yet. */
static void
install_shared(const TenancyTenant *tenant, const TenancyModule *module)
{
	TenancyExec exec;

	tenancy_provision_check_shared(module);
	change_row(INSERT_ROW, tenant, module);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_clone_grant_usage(module->model_schema, &tenant->id);
	tenancy_exec_end(&exec);
}

/* The tables are in each database: what makes them the tenant's is its path. */
static void
install_database(const TenancyTenant *tenant, const TenancyModule *module)
{
	change_row(INSERT_ROW, tenant, module);
	tenancy_database_define_module(tenant, module);
	tenancy_database_change_modules(tenant);
}

/* install_module(tenant text, module text) */
Datum
tenancy_plugin_install_module(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	TenancyModule module;

	get_arguments(fcinfo, &tenant, &module);
	if (tenant.status != TENANCY_ACTIVE)
		tenancy_provision_refuse_status(&tenant, "Modules are installed for active tenants only.");
	tenancy_provision_refuse_move(&tenant);
	if (tenancy_registry_is_installed(&tenant, &module))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("module \"%s\" is already installed for tenant \"%s\"",
						module.name, tenant.slug)));
	if (tenant.mode == TENANCY_SHARED)
		install_shared(&tenant, &module);
	else if (tenant.mode == TENANCY_DATABASE)
		install_database(&tenant, &module);
	else
		install_schema(&tenant, &module);
	PG_RETURN_VOID();
}

/*
 * Refuse to drop rows.  The tables are locked first, so that none comes in
 * after we have looked.
 */
static void
refuse_rows(const TenancyTenant *tenant, const TenancyModule *module, const char *schema)
{
	Oid			owner = tenancy_registry_schema_owner(schema);
	List	   *tables;
	List	   *filled = NIL;
	TenancyExec exec;
	ListCell   *lc;

	if (!OidIsValid(owner) || tenancy_registry_is_foreign_schema(schema))
		return;					/* gone already, or not ours to drop */
	tenancy_registry_refuse_superuser(schema, owner);
	tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	tables = tenancy_exec_text_list(&exec, psprintf(
		"SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)"
		" FROM pg_catalog.pg_namespace n"
		" CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " c"
		" WHERE n.nspname OPERATOR(pg_catalog.=) %s"
		" AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog.\"char\"[])"
		" ORDER BY c.relname", quote_literal_cstr(schema)));
	foreach(lc, tables)
		tenancy_exec_format("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE", (char *) lfirst(lc));
	foreach(lc, tables)
	{
		if (tenancy_exec_finds(psprintf("SELECT FROM %s LIMIT 1", (char *) lfirst(lc))))
			filled = lappend(filled, lfirst(lc));
	}
	tenancy_exec_end(&exec);
	if (filled != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tables of module \"%s\" hold rows of tenant \"%s\"",
						module->name, tenant->slug),
				 errdetail("Tables: %s.", tenancy_ident_enumerate(filled)),
				 errhint("Delete the rows first, or use force => true to drop them too.")));
}

static void
uninstall_schema(const TenancyTenant *tenant, const TenancyModule *module, bool force)
{
	char	   *schema = tenancy_ident_schema(tenant->slug, module->name);

	if (!force)
		refuse_rows(tenant, module, schema);
	tenancy_drop_schemas(psprintf("module \"%s\" of tenant \"%s\"", module->name, tenant->slug),
						 list_make1(schema), force);
}

/* A row that another session writes just now stays, and is the tenant's as before. */
static void
uninstall_shared(const TenancyTenant *tenant, const TenancyModule *module, bool force)
{
	if (!tenancy_drop_finds_rows(tenant, module->model_schema))
		return;
	if (!force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tables of module \"%s\" hold rows of tenant \"%s\"",
						module->name, tenant->slug),
				 errhint("Delete the rows first, or use force => true to delete them too.")));
	tenancy_drop_rows(tenant, module->model_schema);
}

/* The ordinary and partitioned tables of a model schema, with its name. */
static List *
model_tables(const TenancyModule *module)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)"
		" FROM pg_catalog.pg_namespace n"
		" CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " c"
		" WHERE n.nspname OPERATOR(pg_catalog.=) %s AND NOT c.relispartition"
		" AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[])"
		" ORDER BY c.relname", quote_literal_cstr(module->model_schema)));
}

/* Have a worker in the tenant's database see that the module's tables there are empty. */
static void
add_empty_check(TenancyJob *job, const TenancyModule *module, const char *expectation)
{
	StringInfoData sql;
	TenancyStep *step;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, model_tables(module))
		appendStringInfo(&sql, "%s NOT EXISTS (SELECT FROM %s)",
						 sql.len > 0 ? " AND" : "SELECT WHERE", (char *) lfirst(lc));
	if (sql.len == 0)
		return;
	step = tenancy_worker_add(job, "%s", sql.data);
	step->role = tenancy_registry_module_owner(module);
	tenancy_registry_refuse_superuser(module->model_schema, step->role);
	step->noforce_rls = true;
	step->expectation = expectation;
}

/* Have it empty them.  What refers to them from other tables is an error. */
static void
add_truncation(TenancyJob *job, const TenancyModule *module)
{
	StringInfoData sql;
	TenancyStep *step;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, model_tables(module))
		appendStringInfo(&sql, "%s%s", sql.len > 0 ? ", " : "TRUNCATE ", (char *) lfirst(lc));
	if (sql.len == 0)
		return;
	step = tenancy_worker_add(job, "%s", sql.data);
	step->role = tenancy_registry_module_owner(module);
	tenancy_registry_refuse_superuser(module->model_schema, step->role);
}

/* The tables stay in the database, empty, and get the module's migrations. */
static void
uninstall_database(const TenancyTenant *tenant, const TenancyModule *module, bool force)
{
	TenancyJob *job = tenancy_worker_job(tenancy_database_oid(tenant));

	if (force)
	{
		add_truncation(job, module);
		tenancy_worker_add(job, "SELECT tenancy.refresh_copies('%s')", tenancy_ident_uuid_text(&tenant->id));
	}
	else
		add_empty_check(job, module,
						psprintf(_("tables of module \"%s\" hold rows of tenant \"%s\""),
								 module->name, tenant->slug));
	(void) tenancy_worker_run(job);
	tenancy_database_change_modules(tenant);
}

/* uninstall_module(tenant text, module text, force boolean) */
Datum
tenancy_plugin_uninstall_module(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	TenancyModule module;

	tenancy_require_arg(fcinfo, 2, "force");
	get_arguments(fcinfo, &tenant, &module);
	if (tenant.status == TENANCY_DROPPING)
		tenancy_provision_refuse_status(&tenant, "Call tenancy.drop_tenant() again to finish that.");
	tenancy_provision_refuse_move(&tenant);
	if (!tenancy_registry_is_installed(&tenant, &module))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("module \"%s\" is not installed for tenant \"%s\"",
						module.name, tenant.slug)));

	if (tenant.mode != TENANCY_DATABASE)
		change_row("DELETE FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
				   " AND module OPERATOR(pg_catalog.=) %s", &tenant, &module);
	change_row("DELETE FROM tenancy.tenant_module WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
			   " AND module OPERATOR(pg_catalog.=) %s", &tenant, &module);
	if (tenant.mode == TENANCY_SHARED)
		uninstall_shared(&tenant, &module, PG_GETARG_BOOL(2));
	else if (tenant.mode == TENANCY_DATABASE)
		uninstall_database(&tenant, &module, PG_GETARG_BOOL(2));
	else
		uninstall_schema(&tenant, &module, PG_GETARG_BOOL(2));
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * Rows of plug-ins that a tenant has not
 * ----------------------------------------------------------------
 */

/* Is there a copy of the module in the tenant's database? */
static bool
has_copy(const TenancyTenant *tenant, const TenancyModule *module)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT module FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
		" AND module OPERATOR(pg_catalog.=) %s",
		tenancy_ident_uuid_text(&tenant->id), quote_literal_cstr(module->name))) != NIL;
}

/*
 * Refuse to leave rows behind: in shared tables and in a database, a tenant can
 * write to those of a plug-in that it has not, by their qualified names.
 */
void
tenancy_plugin_refuse_strays(const TenancyTenant *tenant)
{
	TenancyJob *job = NULL;
	ListCell   *lc;

	if (tenant->mode == TENANCY_SCHEMA)
		return;
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		if (tenancy_registry_is_installed(tenant, module))
			continue;
		if (tenant->mode == TENANCY_SHARED)
		{
			if (tenancy_drop_finds_rows(tenant, module->model_schema))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("tables of module \"%s\", which tenant \"%s\" has not, hold rows of the tenant",
								module->name, tenant->slug),
						 errhint("Call tenancy.install_module(), or delete the rows.")));
		}
		else if (has_copy(tenant, module))
		{
			if (job == NULL)
				job = tenancy_worker_job(tenancy_database_oid(tenant));
			add_empty_check(job, module,
							psprintf(_("tables of module \"%s\", which tenant \"%s\" has not, hold rows of the tenant"),
									 module->name, tenant->slug));
		}
	}
	if (job != NULL)
		(void) tenancy_worker_run(job);
}
