/*-------------------------------------------------------------------------
 *
 * move_remove.c
 *	  Removing the rows that a tenant has left in shared tables.
 *
 * A worker does that when the tenant has been switched, as the tables' owners,
 * restricted, past FORCE ROW LEVEL SECURITY, in transactions of some thousand
 * rows each.  Triggers do not fire, for rows that live on; neither do those of
 * foreign keys, so that the order is no matter.  Nothing but rows of the tenant is
 * locked.
 *
 * Rows are found by one query for many of them, because each would begin where
 * the first one did and see all that is dead, and then deleted one by one, by
 * their places.  A place may have another row by then, so whether it is (still) the
 * tenant's is looked at once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "exec.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "ident.h"
#include "load.h"
#include "miscadmin.h"
#include "move_remove.h"
#include "move_rows.h"
#include "pgstat.h"
#include "progress.h"
#include "registry.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "worker.h"

PGDLLEXPORT void tenancy_move_remove_main(const char *argument);
PGDLLEXPORT void tenancy_move_leave_main(const char *argument);

/* How many rows are found at once, and how many of these each transaction is for. */
#define MAX_FOUND		1000000
#define BATCH_ROWS		10000

/* A table with rows of the tenant's. */
typedef struct Left
{
	Oid			table;
	Oid			owner;
	char	   *column;			/* the tenant column */
	const char *id_text;
	pg_uuid_t	id;

	/* those that were found */
	ItemPointer rows;
	uint64		nrows;
	uint64		room;
} Left;

static void
begin(TenancyExec *exec, const Left *left)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_begin(exec, left->owner, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	tenancy_exec_set("session_replication_role", "replica");
}

static void
end(TenancyExec *exec)
{
	tenancy_exec_end(exec);
	PopActiveSnapshot();
	CommitTransactionCommand();
	CHECK_FOR_INTERRUPTS();
}

static void
add_found(TupleTableSlot *slot, void *arg)
{
	Left	   *left = arg;
	bool		isnull;

	if (left->nrows == left->room)
	{
		left->room = Max(left->room * 2, BATCH_ROWS);
		left->rows = repalloc(left->rows, left->room * sizeof(ItemPointerData));
	}
	left->rows[left->nrows++] = *(ItemPointer) DatumGetPointer(slot_getattr(slot, 1, &isnull));
}

/* The table's name; an empty string if it is gone. */
static const char *
name_of(const Left *left)
{
	char	   *name = get_rel_name(left->table);

	return name == NULL ? "" :
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(left->table)), name);
}

static int
compare_places(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(void *, a), unconstify(void *, b));
}

static void
find_rows(Left *left)
{
	TenancyExec exec;
	const char *name;

	left->nrows = 0;
	begin(&exec, left);
	name = name_of(left);
	if (*name != '\0')
		(void) tenancy_exec_rows_at(psprintf("SELECT ctid FROM ONLY %s WHERE %s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
											 name, quote_identifier(left->column), left->id_text),
									NULL, NULL, MAX_FOUND, add_found, left);
	end(&exec);
	qsort(left->rows, left->nrows, sizeof(ItemPointerData), compare_places);
}

/* Delete rows by a statement. */
static uint64
delete_by_statement(const Left *left, ItemPointer rows, int nrows)
{
	Datum	   *elements = palloc(nrows * sizeof(Datum));
	Oid			type = TIDARRAYOID;
	Datum		value;
	char	   *sql = psprintf(TENANCY_WORKER_DELETE_BATCH("%s", "%s", "'%s'"), name_of(left), quote_identifier(left->column), left->id_text);

	for (int i = 0; i < nrows; i++)
		elements[i] = PointerGetDatum(&rows[i]);
	value = PointerGetDatum(construct_array(elements, nrows, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));

	/* To fetch them, rather than look at each row of a table that can be read faster in whole. */
	tenancy_exec_set("random_page_cost", "0");
	if (SPI_execute_with_args(sql, 1, &type, &value, NULL, false, 0) < 0)
		elog(ERROR, "SPI_execute_with_args failed for \"%s\"", sql);
	return SPI_processed;
}

/*
 * Delete them one by one.  One that somebody else deletes or changes at the
 * moment is left to him, or to the next time.
 */
static uint64
delete_one_by_one(const Left *left, Relation rel, ItemPointer rows, int nrows)
{
	AttrNumber	column = get_attnum(left->table, left->column);
	Snapshot	snapshot = GetActiveSnapshot();
	CommandId	command = GetCurrentCommandId(true);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	uint64		deleted = 0;

	if (column <= 0 || get_atttype(left->table, column) != UUIDOID)
		elog(ERROR, "table %u has no column \"%s\" of type uuid", left->table, left->column);
	CheckCmdReplicaIdentity(rel, CMD_DELETE);
	for (int i = 0; i < nrows; i++)
	{
		TM_FailureData failure;
		Datum		value;
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (!table_tuple_fetch_row_version(rel, &rows[i], snapshot, slot))
			continue;
		value = slot_getattr(slot, column, &isnull);
		if (!isnull && memcmp(DatumGetPointer(value), &left->id, UUID_LEN) == 0 &&
			table_tuple_delete(rel, &rows[i], command, snapshot, InvalidSnapshot, true, &failure, false) == TM_Ok)
			deleted++;
	}
	ExecDropSingleTupleTableSlot(slot);
	return deleted;
}

static uint64
delete_batch(const Left *left, ItemPointer rows, int nrows)
{
	TenancyExec exec;
	Relation	rel;
	uint64		deleted = 0;

	begin(&exec, left);
	rel = try_table_open(left->table, RowExclusiveLock);
	if (rel != NULL && tenancy_load_has_reactions(rel, CMD_DELETE))
		deleted = delete_by_statement(left, rows, nrows);
	else if (rel != NULL)
		deleted = delete_one_by_one(left, rel, rows, nrows);
	if (rel != NULL)
		table_close(rel, NoLock);
	end(&exec);
	return deleted;
}

/* Remove a table's rows.  A trigger may keep one: it ends when none has gone. */
static void
remove_rows(Left *left)
{
	uint64		deleted;

	do
	{
		deleted = 0;
		find_rows(left);
		tenancy_progress_expect(left->nrows);
		for (uint64 i = 0; i < left->nrows; i += BATCH_ROWS)
		{
			deleted += delete_batch(left, left->rows + i, Min(BATCH_ROWS, left->nrows - i));
			tenancy_progress_add(Min(BATCH_ROWS, left->nrows - i));
		}
	} while (deleted > 0);
}

/* The worker's function; its argument is the tenant's id. */
void
tenancy_move_remove_main(const char *argument)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tenancy move", ALLOCSET_DEFAULT_SIZES);
	Left		left = {.id_text = argument};
	List	   *tables;
	ListCell   *lc;

	if (!tenancy_ident_parse_uuid(argument, &left.id))
		elog(ERROR, "invalid id \"%s\"", argument);
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: removing rows");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
	tables = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.concat_ws(' ', c.oid, c.relowner, t.tenant_column)"
		" FROM " TENANCY_RELATIONS_OF("ARRAY(SELECT s.oid FROM tenancy.module m"
									  " JOIN pg_catalog.pg_namespace s ON s.nspname OPERATOR(pg_catalog.=) m.model_schema)") " c"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
		" JOIN tenancy.module m ON m.model_schema OPERATOR(pg_catalog.=) n.nspname"
		" LEFT JOIN tenancy.tenant_module i ON i.module OPERATOR(pg_catalog.=) m.name AND i.tenant_id OPERATOR(pg_catalog.=) '%s'"
		" CROSS JOIN LATERAL (SELECT (" TENANCY_TENANT_COLUMN_OF("c.oid") ") AS tenant_column) t"
		" WHERE (m.position OPERATOR(pg_catalog.=) 1 OR i.tenant_id IS NOT NULL) AND c.relkind OPERATOR(pg_catalog.=) 'r'"
		" AND t.tenant_column IS NOT NULL ORDER BY c.oid", argument));
	PopActiveSnapshot();
	CommitTransactionCommand();

	left.rows = MemoryContextAlloc(context, sizeof(ItemPointerData));
	tenancy_progress_begin_tally(tenancy_worker_deletion_line, list_length(tables));
	foreach(lc, tables)
	{
		tenancy_progress_next_table();
		left.table = strtoul(lfirst(lc), &left.column, 10);
		left.owner = strtoul(left.column, &left.column, 10);
		left.column++;
		remove_rows(&left);
	}
}

/* The same, for the worker that has just switched the tenant. */
void
tenancy_move_leave_main(const char *argument)
{
	tenancy_worker_send("", 0);
	tenancy_move_remove_main(argument);
}

/* Remove a tenant's rows, in a worker. */
void
tenancy_move_remove(const pg_uuid_t *id)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	job->function = "tenancy_move_remove_main";
	job->argument = tenancy_ident_uuid_text(id);
	(void) tenancy_worker_run(job);
}
