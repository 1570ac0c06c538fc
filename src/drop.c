/*-------------------------------------------------------------------------
 *
 * drop.c
 *	  The end of a tenant's life, in any mode.
 *
 * Dropping a shared tenant means to delete rows by the million, perhaps, from
 * tables whose triggers the application wrote.  That is done by a worker, with
 * the rights of the tables' owner, in transactions of its own: the caller's
 * rollback does not bring the rows back, and if something stops the worker,
 * the tenant stays "dropping", out of everyone's reach, until drop_tenant() is
 * called again.  Only a tenant without rows is dropped by the caller's own
 * transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "provision.h"
#include "registry.h"
#include "utils/builtins.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_drop_tenant);

/* A protected table, as far as deleting a tenant's rows needs it. */
typedef struct SharedTable
{
	char	   *name;			/* qualified and quoted */
	char	   *column;			/* quoted */
	Oid			owner;
} SharedTable;

/* The protected tables, in order of their owners. */
static List *
shared_tables(void)
{
	TenancyExec exec;
	List	   *tables = NIL;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_sql("SELECT pg_catalog.format('%I.%I', n.nspname, c.relname),"
							 " pg_catalog.quote_ident(p.tenant_column), c.relowner"
							 " FROM tenancy.protected_table p"
							 " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.relation"
							 " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
							 " ORDER BY c.relowner, c.oid");
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		SharedTable *table = palloc(sizeof(SharedTable));

		table->name = pstrdup(SPI_getvalue(tuple, desc, 1));
		table->column = pstrdup(SPI_getvalue(tuple, desc, 2));
		table->owner = atooid(SPI_getvalue(tuple, desc, 3));
		tables = lappend(tables, table);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return tables;
}

static char *
rows_condition(const SharedTable *table, const char *id)
{
	return psprintf("FROM %s WHERE %s OPERATOR(pg_catalog.=) '%s'",
					table->name, table->column, id);
}

/* Has the tenant a row in any of these tables? */
static bool
has_rows(List *tables, const char *id)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		SharedTable *table = lfirst(lc);
		TenancyExec exec;
		uint64		found;

		tenancy_exec_begin(&exec, table->owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		found = tenancy_exec_format("SELECT %s LIMIT 1", rows_condition(table, id));
		tenancy_exec_end(&exec);
		if (found > 0)
			return true;
	}
	return false;
}

/*
 * Add the steps that delete the tenant's rows from those tables, from *next
 * on, that have the same owner.  One statement deletes from all of them, so
 * that foreign keys, circular ones included, are checked when all is gone.  A
 * constraint or trigger that is deferred cannot be left to a commit with other
 * rights, so it fires at once.
 */
static void
add_deletion(TenancyJob *job, List *tables, int *next, const char *id)
{
	Oid			owner = ((SharedTable *) list_nth(tables, *next))->owner;
	StringInfoData delete;
	StringInfoData check;
	TenancyStep *step;

	initStringInfo(&delete);
	initStringInfo(&check);
	for (int first = *next; *next < list_length(tables); (*next)++)
	{
		SharedTable *table = list_nth(tables, *next);
		char	   *rows = rows_condition(table, id);

		if (table->owner != owner)
			break;
		appendStringInfo(&delete, "%s d%d AS (DELETE %s)",
						 *next == first ? "WITH" : ",", *next, rows);
		appendStringInfo(&check, "%s NOT EXISTS (SELECT %s)",
						 *next == first ? "SELECT WHERE" : " AND", rows);
	}

	step = tenancy_worker_add(job, "SET CONSTRAINTS ALL IMMEDIATE; %s SELECT", delete.data);
	step->role = owner;
	step->noforce_rls = true;

	/* A trigger that the application wrote may have kept a row. */
	step = tenancy_worker_add(job, "%s", check.data);
	step->role = owner;
	step->noforce_rls = true;
	step->expectation = _("a trigger or another session has kept some of the tenant's rows");
}

/*
 * Delete a shared tenant and its rows, in a worker.  The worker decides by the
 * tenant's state as it then is: we must not hold a lock on its row.
 */
static void
drop_rows(const TenancyTenant *tenant, List *tables, bool force)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);
	char	   *id = tenancy_ident_uuid_text(&tenant->id);
	int			next = 0;

	tenancy_worker_add(job, "UPDATE tenancy.tenant SET status = 'dropping', status_at = pg_catalog.now()"
					   " WHERE id OPERATOR(pg_catalog.=) '%s'%s", id,
					   force ? "" : " AND status OPERATOR(pg_catalog.<>) 'active'")->expectation =
		_("the tenant has been resumed or dropped by another session");
	tenancy_worker_commit(job);
	while (next < list_length(tables))
		add_deletion(job, tables, &next, id);
	tenancy_worker_add(job, "DELETE FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s'", id);
	(void) tenancy_worker_run(job);
}

/*
 * What outside a tenant's schemas depends on what is inside would be dropped
 * along: somebody's report over all tenants, say.
 */
static void
check_dependents(const TenancyTenant *tenant, List *schemas)
{
	TenancyExec exec;
	StringInfoData names;
	List	   *dependents = NIL;
	ListCell   *lc;

	/* Their names need no quoting: see ident.c. */
	initStringInfo(&names);
	foreach(lc, schemas)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "", (char *) lfirst(lc));

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	foreach(lc, schemas)
		dependents = list_concat(dependents,
								 tenancy_exec_text_list(&exec, psprintf(
		"SELECT DISTINCT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, o.oid, 0)"
		" FROM pg_catalog.pg_namespace n"
		" JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid"
		" JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
		"  AND d.refobjid OPERATOR(pg_catalog.=) c.oid"
		" LEFT JOIN pg_catalog.pg_rewrite w ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
		"  AND w.oid OPERATOR(pg_catalog.=) d.objid"
		" LEFT JOIN pg_catalog.pg_constraint f ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass"
		"  AND f.oid OPERATOR(pg_catalog.=) d.objid"
		" JOIN pg_catalog.pg_class o ON o.oid OPERATOR(pg_catalog.=) COALESCE(w.ev_class, f.conrelid)"
		" WHERE n.nspname OPERATOR(pg_catalog.=) %s AND o.relnamespace OPERATOR(pg_catalog.<>) n.oid"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace mine"
		"  WHERE mine.oid OPERATOR(pg_catalog.=) o.relnamespace"
		"  AND mine.nspname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]))",
		quote_literal_cstr(lfirst(lc)),
		quote_literal_cstr(psprintf("{%s}", names.data)))));
	tenancy_exec_end(&exec);

	if (dependents != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop tenant \"%s\" because other objects depend on its tables",
						tenant->slug),
				 errdetail("Depending objects: %s.", tenancy_ident_enumerate(dependents)),
				 errhint("Drop them first, or use force => true to drop them too.")));
}

static void
drop_schemas(const TenancyTenant *tenant, bool force)
{
	List	   *schemas = tenancy_registry_schemas(tenant);
	ListCell   *lc;

	if (!force)
		check_dependents(tenant, schemas);
	foreach(lc, schemas)
	{
		Oid			owner = tenancy_provision_schema_owner(lfirst(lc));
		TenancyExec exec;

		if (!OidIsValid(owner))
			continue;			/* gone already: nothing is left to drop */
		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		tenancy_exec_set("client_min_messages", "warning");
		tenancy_exec_format("DROP SCHEMA %s CASCADE", quote_identifier(lfirst(lc)));
		tenancy_exec_end(&exec);
	}
}

static void
delete_tenant(const TenancyTenant *tenant)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("DELETE FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s'",
						tenancy_ident_uuid_text(&tenant->id));
	tenancy_exec_end(&exec);
}

/* Drop a shared tenant that has rows; returns false if it has none. */
static bool
drop_shared(const TenancyTenant *tenant, bool force)
{
	List	   *tables = shared_tables();

	if (!has_rows(tables, tenancy_ident_uuid_text(&tenant->id)))
		return false;
	if (tenant->is_ours)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" was created or changed by this transaction, and has rows",
						tenant->slug),
				 errhint("Commit the transaction, then drop the tenant.")));
	drop_rows(tenant, tables, force);
	return true;
}

static void
check_droppable(const TenancyTenant *tenant, bool force)
{
	if (tenant->status == TENANCY_ACTIVE && !force)
		tenancy_provision_refuse_status(tenant, "Suspend the tenant first, or use force => true.");
}

/* drop_tenant(tenant text, force boolean) */
Datum
tenancy_drop_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	bool		force;

	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "force");
	tenancy_registry_refuse_home();
	tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
	force = PG_GETARG_BOOL(1);
	check_droppable(&tenant, force);
	if (tenant.mode == TENANCY_SHARED && drop_shared(&tenant, force))
		PG_RETURN_VOID();

	tenancy_provision_get_tenant(fcinfo, &tenant);
	check_droppable(&tenant, force);
	if (tenant.mode == TENANCY_SCHEMA)
		drop_schemas(&tenant, force);
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_drop(&tenant);
	delete_tenant(&tenant);
	PG_RETURN_VOID();
}
