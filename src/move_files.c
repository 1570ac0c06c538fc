/*-------------------------------------------------------------------------
 *
 * move_files.c
 *	  Online moves into and out of a tenant's database: rows go through files.
 *
 * As in move_online.c, with two databases in place of one transaction.  The worker
 * that leads is in the application's database.  Its long transaction makes the
 * new place, lets another worker in the source's database write files, and has
 * them loaded: by itself, if its transaction is where the rows go, or by a worker in
 * the new database, which nobody else can enter.  At first these are all rows, as
 * one snapshot shows them; then, in rounds, the keys that were noted since the
 * snapshot before, and the rows that have them now.
 *
 * Each round has a transaction of its own in the source's database, REPEATABLE
 * READ, so that log and rows are of one snapshot; what that is goes into the
 * manifest, and is all that the next round needs to know.
 *
 * A new database is pending until the long transaction commits (database_settle.c), and
 * is dropped if it does not; nothing that was committed in it is ever seen.
 *
 * What the target is checked for: the files' checksums and numbers of rows, and the
 * foreign keys, as import.c does it; in rounds, those of and to the rows that were
 * written.  That the triggers were there all along is looked at before the switch.
 * In a tenant's database, nothing holds a lock on the tables from round to round: DDL
 * that changes rows is noticed by their storage.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "clone.h"
#include "compat.h"
#include "database.h"
#include "exec.h"
#include "export.h"
#include "fmgr.h"
#include "import.h"
#include "miscadmin.h"
#include "move_log.h"
#include "move_rows.h"
#include "move_source.h"
#include "pgstat.h"
#include "plugin.h"
#include "postmaster/bgworker.h"
#include "registry.h"
#include "rows.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_move_write);

PGDLLEXPORT void tenancy_move_files_main(const char *argument);

typedef struct Files
{
	TenancyMove move;
	char	   *directory;		/* of the files of a round */
	char	   *moment;			/* what the target is like; NULL if there is nothing yet */
	char	   *storage;		/* of the source's tables then */
	MemoryContext context;		/* for as long as the long transaction */
	bool		is_database;	/* the target is */
	bool		is_changed;		/* since the rows were loaded */
} Files;


/* ----------------------------------------------------------------
 * The source: a worker that writes files
 * ----------------------------------------------------------------
 */

/* A moment as text is the oldest transaction that it does not show for sure, and a snapshot. */
static void
parse_moment(const char *string, TenancyMoveMoment *moment)
{
	char	   *snapshot;

	moment->oldest = strtoull(string, &snapshot, 10);
	if (*snapshot++ != ' ')
		elog(ERROR, "invalid moment \"%s\"", string);
	moment->snapshot = snapshot;
}

/* What was written since a moment, as the transaction's snapshot shows it. */
static List *
find_changes(const TenancyMove *move, const TenancyMoveMoment *since)
{
	List	   *changes = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_move_log_tables(move->id, since, GetTransactionSnapshot()))
	{
		TenancyExportChange *change = palloc(sizeof(TenancyExportChange));

		change->table = lfirst_oid(lc);
		change->columns = tenancy_move_log_columns(change->table, tenancy_move_model_of(move, change->table));
		change->operators = tenancy_rows_key_operators(change->table);
		change->keys_query = tenancy_move_log_keys_query(move->id, change->table,
														 list_length(change->columns), since);
		changes = lappend(changes, change);
	}
	return changes;
}

/*
 * What the manifest has besides: of what moment the rows are, for the next round of the
 * transaction that leads.  Without one, their versions, for a last look.
 */
static char *
more_of_head(const TenancyMove *move, const char *head, FullTransactionId leader)
{
	TenancyMoveMoment moment;
	char	   *storage;

	if (!FullTransactionIdIsValid(leader))
		return tenancy_exec_text_as(tenancy_registry_owner(),
									"SELECT %s::pg_catalog.jsonb OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('versions', %s)",
									quote_literal_cstr(head), quote_literal_cstr(tenancy_move_versions(move)));
	storage = tenancy_move_storage(move);
	tenancy_move_log_moment(GetTransactionSnapshot(), XidFromFullTransactionId(leader), &moment);
	return tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT %s::pg_catalog.jsonb OPERATOR(pg_catalog.||)"
								" pg_catalog.jsonb_build_object('moment', '" UINT64_FORMAT " %s', 'storage', %s)",
								quote_literal_cstr(head), moment.oldest, moment.snapshot,
								quote_literal_cstr(storage ? storage : ""));
}

/*
 * move_write(head jsonb, directory text, since text, leader xid8): write the
 * tenant's rows to files, or what has changed since a moment.
 */
Datum
tenancy_move_write(PG_FUNCTION_ARGS)
{
	TenancyMove move;
	TenancyMoveMoment since;
	char	   *directory;
	char	   *head;

	if (MyBgworkerEntry == NULL || !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a background worker can call this function"),
				 errhint("Call tenancy.move_tenant().")));
	for (int i = 0; i < 2; i++)
	{
		if (PG_ARGISNULL(i))
			elog(ERROR, "argument %d is null", i);
	}
	directory = text_to_cstring(PG_GETARG_TEXT_PP(1));
	head = JsonbToCString(NULL, &PG_GETARG_JSONB_P(0)->root, 0);
	memset(&move, 0, sizeof(move));
	move.id = tenancy_import_member(quote_literal_cstr(head), "id");
	tenancy_registry_get(move.id, &move.from);
	tenancy_move_find_parts(&move);
	head = more_of_head(&move, head, PG_ARGISNULL(3) ? InvalidFullTransactionId : PG_GETARG_FULLTRANSACTIONID(3));
	if (MakePGDirectory(directory) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", directory)));
	if (PG_ARGISNULL(2))
		tenancy_export_write(head, directory, false);
	else
	{
		parse_moment(text_to_cstring(PG_GETARG_TEXT_PP(2)), &since);
		tenancy_export_write_changes(head, directory, find_changes(&move, &since));
	}
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * The leader
 * ----------------------------------------------------------------
 */

static void
remove_directory(int code, Datum arg)
{
	const char *directory = DatumGetCString(arg);

	if (access(directory, F_OK) == 0)
		(void) rmtree(directory, true);
}

/* The database where the rows are. */
static Oid
source_database(const TenancyMove *move)
{
	return move->from.mode == TENANCY_DATABASE ? tenancy_database_oid(&move->from) : MyDatabaseId;
}

/* Have a worker there run a function of its own. */
static void
run_at_source(const TenancyMove *move, const char *function)
{
	TenancyJob *job = tenancy_worker_job(source_database(move));

	job->function = function;
	job->argument = move->id;
	(void) tenancy_worker_run(job);
}

/* Have them loaded, or the changes applied. */
static void
load_files(Files *files, const char *manifest)
{
	TenancyMove *move = &files->move;
	TenancyJob *job;

	if (!files->is_database && files->moment == NULL)
		tenancy_import_load(manifest, files->directory, &move->to);
	else if (!files->is_database)
		tenancy_import_apply(manifest, files->directory, &move->to);
	else
	{
		job = tenancy_worker_job(tenancy_database_oid(&move->to));
		tenancy_worker_add(job, "SELECT tenancy.%s(%s, %s, '%s')", files->moment ? "import_changes" : "import_tables",
						   manifest, quote_literal_cstr(files->directory), move->id);
		(void) tenancy_worker_run(job);
	}
}

/* How many keys there are in the files. */
static uint64
count_keys(const char *manifest)
{
	char	   *keys = tenancy_exec_text_as(tenancy_registry_owner(),
											"SELECT COALESCE(pg_catalog.sum((t OPERATOR(pg_catalog.->>) 'keys_rows')::bigint), 0)"
											" FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'tables') t",
											manifest);

	return strtoull(keys, NULL, 10);
}

/*
 * Bring the target to the source's present state: copy all rows, or catch up.
 * Returns how many keys were noted.
 */
static uint64
catch_up(Files *files)
{
	MemoryContext context = AllocSetContextCreate(files->context, "tenancy round", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	char	   *manifest = tenancy_move_write_files(&files->move.from, files->directory, files->moment,
												psprintf("'" UINT64_FORMAT "'", U64FromFullTransactionId(GetTopFullTransactionId())));
	uint64		keys = count_keys(manifest);
	char	   *storage = tenancy_import_member(manifest, "storage");

	files->is_changed |= keys > 0;
	if (files->moment == NULL)
		files->storage = MemoryContextStrdup(files->context, storage);
	else if (strcmp(storage, files->storage) != 0)
		tenancy_move_refuse_changed(&files->move);
	load_files(files, manifest);
	files->moment = MemoryContextStrdup(files->context, tenancy_import_member(manifest, "moment"));
	remove_directory(0, CStringGetDatum(files->directory));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	CHECK_FOR_INTERRUPTS();
	return keys;
}

/* Look at the source, and make ready where the rows go to. */
static void
prepare(Files *files)
{
	TenancyMove *move = &files->move;

	tenancy_move_read(move, false);
	files->is_database = move->to.mode == TENANCY_DATABASE;
	if (move->from.mode != TENANCY_DATABASE)
	{
		tenancy_move_lock_tables(&move->from, AccessShareLock);
		tenancy_move_check_attached(move);
	}
	tenancy_move_check_source(move);
	if (files->is_database)
		tenancy_database_create(&move->to, false);
	else
		tenancy_move_prepare_target(move);
}

/* Rounds, while writers go on, until the next one will be short. */
static void
catch_up_online(Files *files)
{
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: catching up");
	for (int i = 0; i < TENANCY_MOVE_MAX_ROUNDS; i++)
	{
		TimestampTz start = GetCurrentTimestamp();

		if (tenancy_move_is_short(start, catch_up(files)))
			return;
	}
}

/*
 * Copy the rows, and catch up with writers until little is left to be done.  The rounds check the
 * foreign keys that lead out of a schema from when they have been added.
 */
static void
copy_online(Files *files)
{
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: copying rows");
	prepare(files);
	(void) catch_up(files);
	if (files->move.from.mode == TENANCY_SHARED)
		tenancy_move_check_references(&files->move);
	catch_up_online(files);
	if (files->move.keys == NIL)
		return;
	tenancy_move_add_keys(&files->move);
	catch_up_online(files);
}

/* What the target's materialized views hold is of the rows that were loaded first. */
static void
refresh(const Files *files)
{
	const TenancyTenant *to = &files->move.to;

	if (!files->is_changed)
		return;
	if (to->mode == TENANCY_SCHEMA)
		tenancy_clone_refresh(to);
	if (files->is_database)
		tenancy_database_refresh(to);
}

/* Catch up with the last writers, and switch. */
static void
switch_tenant(Files *files)
{
	TenancyMove *move = &files->move;

	tenancy_move_read(move, true);
	if (move->from.mode != TENANCY_DATABASE)
		tenancy_move_lock_source(&move->from);
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: catching up for the last time");
	(void) catch_up(files);
	if (move->from.mode == TENANCY_DATABASE)
		run_at_source(move, "tenancy_move_check_attached_main");
	else
		tenancy_move_check_attached(move);
	tenancy_plugin_refuse_strays(&move->from);
	refresh(files);
	if (files->is_database)
		tenancy_database_resume(&move->to);
	if (move->to.mode == TENANCY_SHARED)
		tenancy_move_grant_model(move);
	tenancy_move_switch(&move->to);
}

static void
attach(Files *files)
{
	TenancyMove *move = &files->move;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(files->context);
	tenancy_move_read(move, false);
	if (move->from.mode == TENANCY_DATABASE)
	{
		pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: creating triggers");
		run_at_source(move, "tenancy_move_attach_main");
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(files->context);
	if (move->from.mode != TENANCY_DATABASE)
		tenancy_move_attach(move, files->context);
}

/* The worker's function.  Its argument is the tenant's id, and the caller's lock_timeout. */
void
tenancy_move_files_main(const char *argument)
{
	Files	   *files = MemoryContextAllocZero(TopMemoryContext, sizeof(Files));
	char	   *timeout;

	files->context = AllocSetContextCreate(TopMemoryContext, "tenancy move", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(files->context);
	files->move.id = pstrdup(argument);
	timeout = strchr(files->move.id, ' ');
	*timeout++ = '\0';
	files->directory = tenancy_rows_temporary_directory();
	attach(files);

	PG_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(files->directory));
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(files->context);
		copy_online(files);
		tenancy_move_refuse_writers(&files->move, atoi(timeout));
		switch_tenant(files);
	}
	PG_END_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(files->directory));

	/* Not within: temporary tables come with a callback of their own at commit. */
	PopActiveSnapshot();
	CommitTransactionCommand();
}
