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
 * called again, which goes on with what is left.  Only a tenant without rows is
 * dropped by the caller's own transaction.
 *
 * The worker goes through the tables from those that refer to those that are
 * referred to, and commits after each batch of rows, so that no transaction
 * grows with the tenant.  Tables whose rows refer to each other in a circle, or
 * to their own table, have no such order.  They, and what they refer to, are
 * left to one last statement, which deletes from all tables at once.
 *
 * Nothing but rows of the tenant is locked.  Who writes one while we are at it has
 * the tenant's row in the registry locked by a foreign key.  Where there is none, he is
 * waited for when the tenant is "dropping".
 *
 * A schema goes with the caller's transaction, unless it has too many tables for
 * that: these are dropped by a worker, in the same way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "apply.h"
#include "catalog/pg_inherits.h"
#include "compat.h"
#include "database.h"
#include "drop.h"
#include "drop_schema.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "provision.h"
#include "registry.h"
#include "remove.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "worker.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(tenancy_drop_tenant);

PGDLLEXPORT void tenancy_drop_tenant_main(const char *argument);

/* A protected table, as far as deleting a tenant's rows needs it. */
typedef struct SharedTable
{
	char	   *name;			/* qualified and quoted */
	char	   *column;			/* quoted */
	Oid			owner;
	Oid			relid;
	bool		loose;			/* no foreign key leads from its rows to the registry */
	bool		batched;		/* its rows are deleted in batches */
	const char *path;			/* where its triggers look for names */
} SharedTable;

/* A foreign key between two of them. */
typedef struct SharedKey
{
	Oid			referring;
	Oid			referred;
} SharedKey;

/* The protected tables, of one schema or (NULL) of all, in order of their owners. */
static List *
shared_tables(const char *schema)
{
	TenancyExec exec;
	List	   *tables = NIL;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname),"
								" pg_catalog.quote_ident(p.tenant_column), c.relowner, c.oid,"
								" NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid OPERATOR(pg_catalog.=) c.oid"
								"  AND k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) %u AND " TENANCY_IS_ENFORCED
								"  AND k.conkey OPERATOR(pg_catalog.=) ARRAY[(SELECT a.attnum FROM pg_catalog.pg_attribute a"
								"   WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) p.tenant_column)])"
								" FROM tenancy.protected_table p"
								" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.relation"
								" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
								" WHERE %s ORDER BY c.relowner, c.oid",
								tenancy_registry_relation("tenant"),
								schema == NULL ? "true" :
								psprintf("n.nspname OPERATOR(pg_catalog.=) %s", quote_literal_cstr(schema)));
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		SharedTable *table = palloc0(sizeof(SharedTable));

		table->name = pstrdup(SPI_getvalue(tuple, desc, 1));
		table->column = pstrdup(SPI_getvalue(tuple, desc, 2));
		table->owner = atooid(SPI_getvalue(tuple, desc, 3));
		table->relid = atooid(SPI_getvalue(tuple, desc, 4));
		table->loose = SPI_getvalue(tuple, desc, 5)[0] == 't';
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
		bool		found;

		/* From here on, nobody puts something else under its name. */
		LockRelationOid(table->relid, AccessShareLock);
		if (get_rel_name(table->relid) == NULL)
			continue;
		table->name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
												 get_rel_name(table->relid));
		tenancy_exec_begin(&exec, table->owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		found = tenancy_exec_finds(psprintf("SELECT %s LIMIT 1", rows_condition(table, id)));
		tenancy_exec_end(&exec);
		if (found)
			return true;
	}
	return false;
}

/* The foreign keys between protected tables. */
static List *
shared_keys(void)
{
	TenancyExec exec;
	List	   *keys = NIL;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_sql("SELECT DISTINCT k.conrelid, k.confrelid"
							 " FROM pg_catalog.pg_constraint k"
							 " JOIN tenancy.protected_table c ON c.relation OPERATOR(pg_catalog.=) k.conrelid"
							 " JOIN tenancy.protected_table p ON p.relation OPERATOR(pg_catalog.=) k.confrelid"
							 " WHERE k.contype OPERATOR(pg_catalog.=) 'f'");
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		SharedKey  *key = palloc(sizeof(SharedKey));

		key->referring = atooid(SPI_getvalue(tuple, desc, 1));
		key->referred = atooid(SPI_getvalue(tuple, desc, 2));
		keys = lappend(keys, key);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return keys;
}

/*
 * Where triggers of the tables of this owner look for names: as in a migration, in the
 * model schemas that are his own as well, and in what nobody else may create in.
 */
static const char *
trigger_path(Oid owner)
{
	TenancyModule *first = NULL;
	StringInfoData path;
	ListCell   *lc;

	initStringInfo(&path);
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		if (tenancy_registry_module_owner(module) != owner)
			continue;
		if (first == NULL)
			first = module;
		appendStringInfo(&path, "%s, ", quote_identifier(module->model_schema));
	}
	if (first == NULL)
		return TENANCY_PATH_NONE;
	appendStringInfo(&path, "%spg_temp", tenancy_apply_following(first, false));
	return path.data;
}

/* Find these for tables, which are in order of their owners. */
static void
find_paths(List *tables)
{
	const SharedTable *before = NULL;
	ListCell   *lc;

	foreach(lc, tables)
	{
		SharedTable *table = lfirst(lc);

		table->path = before != NULL && before->owner == table->owner ? before->path : trigger_path(table->owner);
		before = table;
	}
}

/*
 * Delete the tenant's rows from the table in batches.  ONLY: the rows of
 * partitions and children are deleted in these tables' own turn, because
 * foreign keys refer to them by themselves.
 */
static void
add_batches(TenancyJob *job, const SharedTable *table, const pg_uuid_t *tenant)
{
	const char *id = tenancy_ident_uuid_text(tenant);
	TenancyStep *step = tenancy_worker_add(job, "SET CONSTRAINTS ALL IMMEDIATE; "
										   TENANCY_WORKER_DELETE_BATCH("%s", "%s", "'%s'"),
										   table->name, table->column, id);

	step->rows = psprintf("SELECT ctid FROM ONLY %s WHERE %s OPERATOR(pg_catalog.=) '%s'",
						  table->name, table->column, id);
	step->role = table->owner;
	step->search_path = table->path;
	step->tenant = tenant;
	step->noforce_rls = true;
	tenancy_worker_commit(job);
}

/* May the table's rows go now: does nothing that is still there refer to them? */
static bool
is_unreferred(const SharedTable *table, List *tables, List *keys)
{
	ListCell   *lc;

	foreach(lc, keys)
	{
		SharedKey  *key = lfirst(lc);
		ListCell   *lc_table;

		if (key->referred != table->relid)
			continue;
		foreach(lc_table, tables)
		{
			SharedTable *other = lfirst(lc_table);

			if (other->relid == key->referring && !other->batched)
				return false;
		}
	}
	return true;
}

/*
 * Add batches for all tables that have an order.  After that, they have another
 * turn: a trigger may have written to a table that had had its own, a log.
 */
static void
add_ordered_batches(TenancyJob *job, List *tables, const pg_uuid_t *tenant)
{
	List	   *keys = shared_keys();
	bool		progress = true;
	ListCell   *lc;

	while (progress)
	{
		progress = false;
		foreach(lc, tables)
		{
			SharedTable *table = lfirst(lc);

			if (table->batched || !is_unreferred(table, tables, keys))
				continue;
			add_batches(job, table, tenant);
			table->batched = true;
			progress = true;
		}
	}
	foreach(lc, tables)
	{
		SharedTable *table = lfirst(lc);

		if (table->batched)
			add_batches(job, table, tenant);
	}
}

/*
 * Add the steps that delete the tenant's rows from those tables, from *next
 * on, that have the same owner.  One statement deletes from all of them, so
 * that foreign keys, circular ones included, are checked when all is gone.  A
 * constraint or trigger that is deferred cannot be left to a commit with other
 * rights, so it fires at once.
 */
static void
add_deletion(TenancyJob *job, List *tables, int *next, const pg_uuid_t *tenant)
{
	const char *id = tenancy_ident_uuid_text(tenant);
	Oid			owner = ((SharedTable *) list_nth(tables, *next))->owner;
	const char *path = ((SharedTable *) list_nth(tables, *next))->path;
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

	/* The second time, what triggers have written the first time. */
	for (int i = 0; i < 2; i++)
	{
		step = tenancy_worker_add(job, "SET CONSTRAINTS ALL IMMEDIATE; %s SELECT", delete.data);
		step->role = owner;
		step->search_path = path;
		step->tenant = tenant;
		step->noforce_rls = true;
	}

	/* A trigger that the application wrote may have kept a row. */
	step = tenancy_worker_add(job, "%s", check.data);
	step->role = owner;
	step->noforce_rls = true;
	step->expectation = _("a trigger or another session has kept some of the tenant's rows");
}

/* OIDs of tables. */
static List *
table_oids(List *tables)
{
	List	   *oids = NIL;
	ListCell   *lc;

	foreach(lc, tables)
		oids = lappend_oid(oids, ((SharedTable *) lfirst(lc))->relid);
	return oids;
}

/*
 * Add the steps that delete the tenant's rows from all of these tables.  The
 * application's triggers run with the rights of the tables' owners, and with the
 * tenant in context: a log of theirs may be a protected table.
 */
static void
add_removal(TenancyJob *job, List *tables, const pg_uuid_t *tenant)
{
	const char *id = tenancy_ident_uuid_text(tenant);
	int			next = 0;
	ListCell   *lc;

	foreach(lc, tables)
	{
		SharedTable *table = lfirst(lc);

		if (!superuser_arg(table->owner))
			continue;
		if (has_rows(list_make1(table), id))
			tenancy_exec_refuse_superuser(table->owner, table->name);
		tables = foreach_delete_current(tables, lc);
	}
	tenancy_remove_refuse_borrowers(table_oids(tables), NIL);
	find_paths(tables);
	add_ordered_batches(job, tables, tenant);
	while (next < list_length(tables))
		add_deletion(job, tables, &next, tenant);
}

/* Has a shared tenant rows in the protected tables of a schema? */
bool
tenancy_drop_finds_rows(const TenancyTenant *tenant, const char *schema)
{
	return has_rows(shared_tables(schema), tenancy_ident_uuid_text(&tenant->id));
}

/* Delete a shared tenant's rows from the protected tables of a schema, in a worker. */
void
tenancy_drop_rows(const TenancyTenant *tenant, const char *schema)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	add_removal(job, shared_tables(schema), &tenant->id);
	(void) tenancy_worker_run(job);
}

/*
 * A job for a worker that begins to drop a tenant.  The worker decides by the tenant's
 * state as it then is: we must not hold a lock on its row.
 */
static TenancyJob *
begin_dropping(const TenancyTenant *tenant, bool force)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	tenancy_worker_add(job, "UPDATE tenancy.tenant SET status = 'dropping', status_at = pg_catalog.now()"
					   " WHERE id OPERATOR(pg_catalog.=) '%s' AND mode OPERATOR(pg_catalog.=) '%s'"
					   " AND NOT EXISTS (SELECT FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) id)%s",
					   tenancy_ident_uuid_text(&tenant->id), tenancy_mode_text(tenant->mode),
					   force ? "" : " AND status OPERATOR(pg_catalog.<>) 'active'")->expectation =
		_("the tenant has been resumed, moved or dropped by another session");
	tenancy_worker_commit(job);
	return job;
}

/*
 * Those of the tables, as OIDs, from which no foreign key leads to the registry, with their
 * partitions and children, to which one can write without naming the root.
 */
static List *
loose_tables(List *tables)
{
	List	   *loose = NIL;
	ListCell   *lc;

	foreach(lc, tables)
	{
		SharedTable *table = lfirst(lc);

		if (table->loose)
			loose = list_concat(loose, find_all_inheritors(table->relid, NoLock, NULL));
	}
	return loose;
}

/* What this transaction has written, a worker does not see, nor wait for. */
static void
refuse_own_writes(const TenancyTenant *tenant, List *loose)
{
	ListCell   *lc;

	foreach(lc, loose)
	{
		Relation	rel = try_table_open(lfirst_oid(lc), AccessShareLock);

		if (rel != NULL && CheckRelationLockedByMe(rel, RowExclusiveLock, true))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("this transaction has written to table \"%s\", which may have rows of tenant \"%s\"",
							RelationGetRelationName(rel), tenant->slug),
					 errhint("Commit the transaction, then drop the tenant.")));
		if (rel != NULL)
			table_close(rel, NoLock);
	}
}

/* Delete a shared tenant and its rows, in a worker. */
static void
drop_rows(const TenancyTenant *tenant, List *tables, bool force)
{
	List	   *loose = loose_tables(tables);
	TenancyJob *job = begin_dropping(tenant, force);

	if (loose != NIL)
	{
		/* What is refused is so before anything is changed. */
		refuse_own_writes(tenant, loose);
		add_removal(tenancy_worker_job(MyDatabaseId), tables, &tenant->id);
		(void) tenancy_worker_run(job);
		tenancy_writers_wait(tenancy_writers_find(loose), LockTimeout);
		job = tenancy_worker_job(MyDatabaseId);
		tables = shared_tables(NULL);
	}
	add_removal(job, tables, &tenant->id);
	job->function = "tenancy_drop_tenant_main";
	job->argument = tenancy_ident_uuid_text(&tenant->id);
	(void) tenancy_worker_run(job);
}

/* What the worker does last; its argument is the tenant's id. */
void
tenancy_drop_tenant_main(const char *argument)
{
	pg_uuid_t	id;

	if (!tenancy_ident_parse_uuid(argument, &id))
		elog(ERROR, "invalid argument of a worker");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_remove(&id);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Drop a shared tenant that has rows, or may get some; returns false if not. */
static bool
drop_shared(const TenancyTenant *tenant, bool force)
{
	List	   *tables = shared_tables(NULL);
	bool		filled = has_rows(tables, tenancy_ident_uuid_text(&tenant->id));

	if (!filled && loose_tables(tables) == NIL)
		return false;
	if (tenant->is_ours)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" was created or changed by this transaction, and %s",
						tenant->slug, filled ? "has rows" : "may get rows from others"),
				 errhint("Commit the transaction, then drop the tenant.")));
	drop_rows(tenant, tables, force);
	return true;
}

/*
 * Drop most of what a tenant with very many tables has in its schemas.  What this
 * transaction has made no worker sees; and a snapshot that it keeps would not show
 * what the worker did.  It does without, if it can.
 */
static void
drop_tables(const TenancyTenant *tenant, bool force)
{
	List	   *schemas = tenancy_registry_schemas(tenant);

	if (tenant->is_ours || IsolationUsesXactSnapshot() || !tenancy_drop_is_large(schemas))
		return;
	if (!force)
		tenancy_drop_check_dependents(psprintf("tenant \"%s\"", tenant->slug), schemas,
									  "Drop them first, or use force => true to drop them too.");
	tenancy_drop_tables(begin_dropping(tenant, force), schemas);
}

static void
check_droppable(const TenancyTenant *tenant, bool force)
{
	if (tenant->status == TENANCY_ACTIVE && !force)
		tenancy_provision_refuse_status(tenant, "Suspend the tenant first, or use force => true.");
	tenancy_provision_refuse_move(tenant);
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
	tenancy_registry_refuse_read_only();
	tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
	force = PG_GETARG_BOOL(1);
	check_droppable(&tenant, force);
	if (tenant.mode == TENANCY_SHARED && drop_shared(&tenant, force))
		PG_RETURN_VOID();
	if (tenant.mode == TENANCY_SCHEMA)
		drop_tables(&tenant, force);

	tenancy_provision_get_tenant(fcinfo, &tenant);
	check_droppable(&tenant, force);
	if (tenant.mode == TENANCY_SCHEMA)
		tenancy_drop_schemas(psprintf("tenant \"%s\"", tenant.slug),
							 tenancy_registry_schemas(&tenant), force);
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_drop(&tenant);
	tenancy_remove(&tenant.id);
	PG_RETURN_VOID();
}
