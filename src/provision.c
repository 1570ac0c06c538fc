/*-------------------------------------------------------------------------
 *
 * provision.c
 *	  Tenants' lives: create, suspend, resume, rename, drop, repair.
 *
 * A tenant's row is written first and by the caller's transaction, in every
 * mode, so that its unique keys decide between concurrent calls before a
 * schema or database is touched.  A schema comes and goes with the same
 * transaction; a database is settled at its end (database.c).
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

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "clone.h"
#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "miscadmin.h"
#include "policy.h"
#include "registry.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_provision_create_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_suspend_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_resume_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_rename_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_drop_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_repair);


/* ----------------------------------------------------------------
 * Creating
 * ----------------------------------------------------------------
 */

/* The main module; returns false if there is none yet. */
static bool
main_module(TenancyModule *module)
{
	List	   *modules = tenancy_registry_modules();

	if (modules == NIL)
		return false;
	*module = *(TenancyModule *) linitial(modules);
	return true;
}

/*
 * Rows of a shared tenant in a table that nobody protected would be
 * everybody's.
 */
static void
check_shared_tables(const TenancyModule *module)
{
	List	   *unprotected = tenancy_policy_unprotected(module);

	if (unprotected != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("module \"%s\" cannot serve shared tenants: not all of its tables are protected",
						module->name),
				 errdetail("Unprotected tables: %s.", tenancy_ident_enumerate(unprotected)),
				 errhint("Call tenancy.protect_module(%s), or create the tenant in mode schema or database.",
						 quote_literal_cstr(module->name))));
}

static void
check_mode(const TenancyTenant *tenant, TenancyModule *module)
{
	if (!main_module(module))
	{
		if (tenant->mode != TENANCY_SHARED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("there is no module whose tables a tenant in mode %s could get",
							tenancy_mode_text(tenant->mode)),
					 errhint("Call tenancy.create_module() first.")));
		return;
	}
	if (tenant->mode == TENANCY_SHARED)
		check_shared_tables(module);
	if (tenant->mode == TENANCY_SCHEMA &&
		OidIsValid(get_namespace_oid(tenant->schema_name, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", tenant->schema_name),
				 errdetail("An existing schema is never made a tenant's.")));
}

static char *
literal_or_null(const char *value)
{
	return value == NULL ? "NULL" : quote_literal_cstr(value);
}

/* Insert the tenant's row; its keys decide between concurrent calls. */
static void
insert_tenant(const TenancyTenant *tenant, const char *display_name,
			  const char *metadata)
{
	TenancyTenant other;
	TenancyExec exec;
	uint64		inserted;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	inserted = tenancy_exec_format("INSERT INTO tenancy.tenant (id, slug, mode,"
								   " schema_name, database_name, display_name, metadata)"
								   " VALUES ('%s', '%s', '%s', %s, %s, %s, %s) ON CONFLICT DO NOTHING",
								   tenancy_ident_uuid_text(&tenant->id),
								   tenant->slug, tenancy_mode_text(tenant->mode),
								   literal_or_null(tenant->mode == TENANCY_SCHEMA ? tenant->schema_name : NULL),
								   literal_or_null(tenant->mode == TENANCY_DATABASE ? tenant->database_name : NULL),
								   literal_or_null(display_name),
								   quote_literal_cstr(metadata));
	tenancy_exec_end(&exec);
	if (inserted > 0)
		return;

	if (tenancy_registry_by_id(&tenant->id, &other))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("tenant with id %s already exists",
						tenancy_ident_uuid_text(&tenant->id))));
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("tenant \"%s\" already exists", tenant->slug)));
}

/* create_tenant(slug, mode, id, display_name, metadata) */
Datum
tenancy_provision_create_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	TenancyModule module;
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));
	Jsonb	   *metadata;

	tenancy_require_arg(fcinfo, 0, "slug");
	tenancy_require_arg(fcinfo, 1, "mode");
	tenancy_require_arg(fcinfo, 4, "metadata");
	tenancy_registry_refuse_home();

	memset(&tenant, 0, sizeof(tenant));
	tenancy_ident_check_slug(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	strlcpy(tenant.slug, text_to_cstring(PG_GETARG_TEXT_PP(0)), sizeof(tenant.slug));
	tenant.mode = tenancy_mode_from_datum(PG_GETARG_DATUM(1));
	tenant.id = *DatumGetUUIDP(PG_ARGISNULL(2) ?
							   DirectFunctionCall1(gen_random_uuid, (Datum) 0) :
							   PG_GETARG_DATUM(2));
	metadata = PG_GETARG_JSONB_P(4);
	if (!JB_ROOT_IS_OBJECT(metadata))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metadata must be a JSON object")));
	if (tenant.mode == TENANCY_SCHEMA)
		strlcpy(tenant.schema_name, tenancy_ident_schema(tenant.slug, NULL), NAMEDATALEN);
	if (tenant.mode == TENANCY_DATABASE)
		strlcpy(tenant.database_name, tenancy_ident_database(tenant.slug), NAMEDATALEN);
	tenancy_registry_lock_access(ShareLock);
	check_mode(&tenant, &module);

	insert_tenant(&tenant,
				  PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3)),
				  JsonbToCString(NULL, &metadata->root, VARSIZE(metadata)));
	if (tenant.mode == TENANCY_SCHEMA)
		tenancy_clone_schema(&tenant, &module);
	else if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_create(&tenant);

	*result = tenant.id;
	PG_RETURN_UUID_P(result);
}


/* ----------------------------------------------------------------
 * Suspending, resuming, renaming
 * ----------------------------------------------------------------
 */

/*
 * Look up and lock the tenant that a function's first argument names, so that
 * what we decide by its state holds to the end.
 */
static void
get_tenant(FunctionCallInfo fcinfo, TenancyTenant *tenant)
{
	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_registry_refuse_home();
	tenancy_registry_lock_access(ShareLock);
	tenancy_registry_get_locked(text_to_cstring(PG_GETARG_TEXT_PP(0)), tenant);
}

static void
refuse_status(const TenancyTenant *tenant, const char *hint)
{
	const char *status = tenant->status == TENANCY_ACTIVE ? "active" :
		tenant->status == TENANCY_SUSPENDED ? "suspended" : "being dropped";

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("tenant \"%s\" is %s", tenant->slug, status),
			 errhint("%s", hint)));
}

static void
set_status(const TenancyTenant *tenant, const char *status, const char *reason)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("UPDATE tenancy.tenant SET status = '%s', status_reason = %s,"
						" status_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) '%s'",
						status, literal_or_null(reason),
						tenancy_ident_uuid_text(&tenant->id));
	tenancy_exec_end(&exec);
}

/* suspend_tenant(tenant text, reason text) */
Datum
tenancy_provision_suspend_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;

	get_tenant(fcinfo, &tenant);
	if (tenant.status != TENANCY_ACTIVE)
		refuse_status(&tenant, "Only an active tenant can be suspended.");
	set_status(&tenant, "suspended",
			   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_suspend(&tenant);
	PG_RETURN_VOID();
}

/* resume_tenant(tenant text) */
Datum
tenancy_provision_resume_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;

	get_tenant(fcinfo, &tenant);
	if (tenant.status != TENANCY_SUSPENDED)
		refuse_status(&tenant, "Only a suspended tenant can be resumed.");
	set_status(&tenant, "active", NULL);
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_resume(&tenant);
	PG_RETURN_VOID();
}

/* The role that owns a schema; invalid if there is no such schema. */
static Oid
schema_owner(const char *schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Rename the tenant's schemas: only a superuser may, without CREATE on the database. */
static void
rename_schemas(const TenancyTenant *tenant, const TenancyTenant *renamed)
{
	List	   *old_names = tenancy_registry_schemas(tenant);
	List	   *new_names = tenancy_registry_schemas(renamed);
	TenancyExec exec;
	ListCell   *lc_old;
	ListCell   *lc_new;

	forboth(lc_old, old_names, lc_new, new_names)
	{
		tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
		tenancy_exec_format("ALTER SCHEMA %s RENAME TO %s",
							quote_identifier(lfirst(lc_old)),
							quote_identifier(lfirst(lc_new)));
		tenancy_exec_end(&exec);
		tenancy_clone_follow_rename(lfirst(lc_old), lfirst(lc_new),
									schema_owner(lfirst(lc_new)));
	}
}

/* rename_tenant(tenant text, new_slug text) */
Datum
tenancy_provision_rename_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	TenancyTenant renamed;
	TenancyTenant other;
	TenancyExec exec;

	get_tenant(fcinfo, &tenant);
	tenancy_require_arg(fcinfo, 1, "new_slug");
	if (tenant.status == TENANCY_DROPPING)
		refuse_status(&tenant, "Call tenancy.drop_tenant() again to finish that.");
	renamed = tenant;
	tenancy_ident_check_slug(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	strlcpy(renamed.slug, text_to_cstring(PG_GETARG_TEXT_PP(1)), sizeof(renamed.slug));
	if (tenancy_registry_by_slug(renamed.slug, &other))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("tenant \"%s\" already exists", renamed.slug)));
	if (tenant.mode == TENANCY_SCHEMA)
		strlcpy(renamed.schema_name, tenancy_ident_schema(renamed.slug, NULL), NAMEDATALEN);
	if (tenant.mode == TENANCY_DATABASE)
		strlcpy(renamed.database_name, tenancy_ident_database(renamed.slug), NAMEDATALEN);

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("UPDATE tenancy.tenant SET slug = '%s', schema_name = %s, database_name = %s"
						" WHERE id OPERATOR(pg_catalog.=) '%s'",
						renamed.slug,
						literal_or_null(tenant.mode == TENANCY_SCHEMA ? renamed.schema_name : NULL),
						literal_or_null(tenant.mode == TENANCY_DATABASE ? renamed.database_name : NULL),
						tenancy_ident_uuid_text(&tenant.id));
	tenancy_exec_end(&exec);
	if (tenant.mode == TENANCY_SCHEMA)
		rename_schemas(&tenant, &renamed);
	else if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_rename(&tenant, renamed.database_name);
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * Dropping
 * ----------------------------------------------------------------
 */

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
		Oid			owner = schema_owner(lfirst(lc));
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
		refuse_status(tenant, "Suspend the tenant first, or use force => true.");
}

/* drop_tenant(tenant text, force boolean) */
Datum
tenancy_provision_drop_tenant(PG_FUNCTION_ARGS)
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

	get_tenant(fcinfo, &tenant);
	check_droppable(&tenant, force);
	if (tenant.mode == TENANCY_SCHEMA)
		drop_schemas(&tenant, force);
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_drop(&tenant);
	delete_tenant(&tenant);
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * Repairing
 * ----------------------------------------------------------------
 */

static void
report(ReturnSetInfo *rsinfo, const char *object, const char *problem,
	   const char *action)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	values[0] = CStringGetTextDatum(object);
	values[1] = CStringGetTextDatum(problem);
	values[2] = CStringGetTextDatum(action);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static List *
query_list(const char *sql)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), sql);
}

/* Work on databases whose transaction has ended without finishing it. */
static void
repair_databases(ReturnSetInfo *rsinfo)
{
	const char *pending = "SELECT DISTINCT tenant_id FROM tenancy.pending_database"
		" WHERE pg_catalog.pg_xact_status(xid) IS DISTINCT FROM 'in progress'";
	List	   *ids = query_list(pending);
	List	   *left;
	ListCell   *lc;

	foreach(lc, ids)
	{
		pg_uuid_t	id;

		if (tenancy_ident_parse_uuid(lfirst(lc), &id))
			tenancy_database_settle(&id);
	}
	left = query_list(pending);
	foreach(lc, ids)
	{
		bool		done = true;
		ListCell   *lc_left;

		foreach(lc_left, left)
			done = done && strcmp(lfirst(lc), lfirst(lc_left)) != 0;
		report(rsinfo, psprintf("database of tenant %s", (char *) lfirst(lc)),
			   "work on it was begun and not finished",
			   done ? "finished or undone" : "failed; the server's log tells why");
	}
}

static void
repair_rows(ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	foreach(lc, query_list("DELETE FROM tenancy.access a"
						   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_authid r WHERE r.oid OPERATOR(pg_catalog.=) a.role)"
						   " RETURNING a.role"))
		report(rsinfo, psprintf("access of role %s", (char *) lfirst(lc)),
			   "the role does not exist", "access deleted");
	foreach(lc, query_list("DELETE FROM tenancy.protected_table p"
						   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) p.relation)"
						   " RETURNING p.relation"))
		report(rsinfo, psprintf("protected table %s", (char *) lfirst(lc)),
			   "the table does not exist", "entry deleted");
}

/*
 * Databases that belong to an application's database which is gone: this one is
 * its copy, restored from a dump, and takes them over.  If there is a database
 * of that OID, only a DBA can tell whether it is the same.
 */
static void
repair_belonging(ReturnSetInfo *rsinfo)
{
	char	   *others = psprintf(" FROM tenancy.tenant t"
								  " JOIN pg_catalog.pg_database d ON d.datname = t.database_name"
								  " WHERE NOT " TENANCY_DATABASE_IS_OURS, MyDatabaseId);
	ListCell   *lc;

	foreach(lc, query_list(psprintf("SELECT d.datname%s AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s,"
									" pg_catalog.unnest(s.setconfig) c, pg_catalog.pg_database other"
									" WHERE s.setdatabase = d.oid AND s.setrole = 0"
									" AND c = 'tenancy.application_database=' || other.oid)", others)))
	{
		TenancyExec exec;

		tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
		tenancy_exec_format("ALTER DATABASE %s SET tenancy.application_database = '%u'",
							quote_identifier(lfirst(lc)), MyDatabaseId);
		tenancy_exec_end(&exec);
		report(rsinfo, psprintf("database %s", (char *) lfirst(lc)),
			   "it belongs to a database that does not exist", "taken over by this one");
	}
	foreach(lc, query_list(psprintf("SELECT d.datname%s", others)))
		report(rsinfo, psprintf("database %s", (char *) lfirst(lc)),
			   "it belongs to another database",
			   psprintf("none: if it is this one's, use ALTER DATABASE ... SET tenancy.application_database = '%u'",
						MyDatabaseId));
}

/* What only a DBA can decide about. */
static void
report_missing(ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	foreach(lc, query_list("SELECT relation FROM tenancy.protected_tables WHERE NOT policies_intact"))
		report(rsinfo, psprintf("table %s", (char *) lfirst(lc)),
			   "its protection is incomplete", "none: call tenancy.protect_table() again");
	foreach(lc, query_list("SELECT slug FROM tenancy.tenant WHERE status OPERATOR(pg_catalog.=) 'dropping'"))
		report(rsinfo, psprintf("tenant %s", (char *) lfirst(lc)),
			   "its removal was begun and not finished", "none: call tenancy.drop_tenant() again");
	foreach(lc, query_list("SELECT t.slug FROM tenancy.tenant t WHERE t.schema_name IS NOT NULL"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n"
						   " WHERE n.nspname OPERATOR(pg_catalog.=) t.schema_name)"))
		report(rsinfo, psprintf("tenant %s", (char *) lfirst(lc)),
			   "its schema does not exist", "none: restore the schema, or drop the tenant");
	foreach(lc, query_list("SELECT t.slug FROM tenancy.tenant t WHERE t.database_name IS NOT NULL"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_database d"
						   " WHERE d.datname OPERATOR(pg_catalog.=) t.database_name)"))
		report(rsinfo, psprintf("tenant %s", (char *) lfirst(lc)),
			   "its database does not exist", "none: restore the database, or drop the tenant");
}

/* repair() */
Datum
tenancy_provision_repair(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	tenancy_registry_refuse_home();
	repair_databases(rsinfo);
	repair_rows(rsinfo);
	repair_belonging(rsinfo);
	report_missing(rsinfo);
	return (Datum) 0;
}
