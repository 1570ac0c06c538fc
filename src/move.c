/*-------------------------------------------------------------------------
 *
 * move.c
 *	  Moving a tenant to another isolation mode.
 *
 * The caller's session leads, and commits between these:
 *
 * 1. The tenant becomes "moving", and tenancy.move says so: it can be read, and
 *	  whoever writes gets TN002 (context.c).
 * 2. Transactions that were writing to the tables before are waited for.  No
 *	  lock is taken on shared tables: other tenants notice nothing.
 * 3. A worker copies the rows, and switches the registry's row in the same
 *	  transaction (move_rows.c).  From then on the tenant is active elsewhere.
 *	  Into and out of a database the rows go through temporary files; into one, our
 *	  own transaction makes it and switches.  What somebody wrote in spite of all is
 *	  noticed just before.
 * 4. The rows, the schema or the database that are left where it was are removed;
 *	  rows by the same worker, if it can: it has the tables' pages mapped.
 *
 * Online, the tenant stays active while a worker copies its rows, notes what
 * is written meanwhile and catches up (move_online.c, move_files.c for databases,
 * move_log.c); 1. and 2. come when little is left to be done.
 *
 * A move that ends before the switch is undone: the tenant is active again
 * where it was.  An error has a worker do that, because the session that fails
 * cannot.  After a crash, nobody does until repair() or the next call, which
 * undo it, or finish it if it had been switched.
 *
 * Whoever leads or settles a move holds a lock on it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "compat.h"
#include "database.h"
#include "database_settle.h"
#include "drop_schema.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "move.h"
#include "move_log.h"
#include "move_remove.h"
#include "move_rows.h"
#include "move_source.h"
#include "postmaster/bgworker.h"
#include "provision.h"
#include "registry.h"
#include "rows.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "worker.h"
#include "writers.h"

PG_FUNCTION_INFO_V1(tenancy_move_tenant);

/* How long to wait for a failed move to be undone. */
#define UNDO_TIMEOUT_MS		10000

/* What the worker that undoes a move is told. */
typedef struct UndoArgument
{
	Oid			database;
	Oid			role;
	pg_uuid_t	id;
} UndoArgument;

typedef struct Leader
{
	UndoArgument undo;
	LOCKTAG		tag;
	bool		is_locked;
	bool		is_begun;		/* and not switched */
	bool		is_removed;		/* what has been left */
	char		directory[MAXPGPATH];	/* of temporary files; "" if there is none */
} Leader;

PGDLLEXPORT void tenancy_move_undo_main(Datum main_arg);


/* ----------------------------------------------------------------
 * Undoing and finishing
 * ----------------------------------------------------------------
 */

static void
init_tag(LOCKTAG *tag, const pg_uuid_t *id)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, tenancy_registry_relation("move"),
					   hash_bytes(id->data, UUID_LEN), 0);
}

/* Is there an online move of the tenant that is not finished? */
static bool
is_online(const char *id_text)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT tenant_id FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s' AND online", id_text)) != NIL;
}

/*
 * Let nothing of the tenant's be noted any more.  If it has not been switched,
 * it is active before that: dropping triggers may take time.  Both are done by
 * a worker, and committed.
 */
static void
stop_noting(const char *id_text, Oid database)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	tenancy_worker_add(job, "UPDATE tenancy.move SET phase = 'capturing' WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
					   " AND phase OPERATOR(pg_catalog.=) 'copying'", id_text);
	tenancy_worker_add(job, "UPDATE tenancy.tenant SET status = 'active', status_at = pg_catalog.now()"
					   " WHERE id OPERATOR(pg_catalog.=) '%s' AND status OPERATOR(pg_catalog.=) 'moving'", id_text);
	if (database != MyDatabaseId)
	{
		(void) tenancy_worker_run(job);
		job = tenancy_worker_job(database);
	}
	job->function = "tenancy_move_log_detach_main";
	job->argument = id_text;
	(void) tenancy_worker_run(job);
}

/* Let the tenant be active where it was.  Returns whether there was something to undo. */
static bool
undo(const pg_uuid_t *id)
{
	char	   *id_text = tenancy_ident_uuid_text(id);
	TenancyTenant tenant;
	TenancyExec exec;
	uint64		undone;

	if (!tenancy_registry_by_id(id, &tenant))
		return false;
	if (tenant.status == TENANCY_MOVING && tenant.mode == TENANCY_DATABASE)
		tenancy_move_set_status_inside(&tenant, "moving", "active");
	if (is_online(id_text))
		stop_noting(id_text, tenant.mode == TENANCY_DATABASE ? tenancy_database_oid(&tenant) : MyDatabaseId);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	undone = tenancy_exec_format("UPDATE tenancy.tenant SET status = 'active', status_at = pg_catalog.now()"
								 " WHERE id OPERATOR(pg_catalog.=) '%s' AND status OPERATOR(pg_catalog.=) 'moving'", id_text);
	undone += tenancy_exec_format("DELETE FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
								  " AND phase OPERATOR(pg_catalog.<>) 'switched'", id_text);
	tenancy_exec_end(&exec);
	return undone > 0;
}

/* The worker's entry point: undo what the session that launched us could not. */
void
tenancy_move_undo_main(Datum main_arg)
{
	UndoArgument argument;
	LOCKTAG		tag;

	memcpy(&argument, MyBgworkerEntry->bgw_extra, sizeof(argument));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	tenancy_worker_connect(argument.database, argument.role);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	init_tag(&tag, &argument.id);

	/* Whoever has the lock has undone it already. */
	if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		(void) undo(&argument.id);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static void
forget(const pg_uuid_t *id)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "DELETE FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s'",
						   tenancy_ident_uuid_text(id));
}

/* Remove what is left where the tenant was, and forget the move. */
static void
finish(const pg_uuid_t *id, TenancyMode from)
{
	TenancyTenant tenant;
	TenancyTenant old;

	tenancy_registry_get(tenancy_ident_uuid_text(id), &tenant);
	tenancy_move_target(&tenant, from, &old);
	if (from == TENANCY_SHARED)
	{
		/* A schema's triggers go with it. */
		if (is_online(tenancy_ident_uuid_text(id)))
			stop_noting(tenancy_ident_uuid_text(id), MyDatabaseId);
		tenancy_move_remove(id);
	}
	else if (from == TENANCY_DATABASE)
		tenancy_database_drop(&old);
	else
	{
		List	   *schemas = tenancy_registry_schemas(&old);

		tenancy_drop_check_dependents(psprintf("the schema that tenant \"%s\" has left", tenant.slug),
									  schemas, "Drop them, then call tenancy.move_tenant() again.");
		if (tenancy_drop_is_large(schemas))
			tenancy_drop_tables(tenancy_worker_job(MyDatabaseId), schemas);
		tenancy_drop_schemas(NULL, schemas, true);
		tenancy_move_log_forget(tenancy_ident_uuid_text(id));
	}
	forget(id);
}

/* Undo or finish a move, in the current transaction, with the lock on it. */
static TenancyMoveResult
settle(const pg_uuid_t *id)
{
	TenancyExec exec;
	char	   *from;

	if (undo(id))
		return TENANCY_MOVE_UNDONE;
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	from = tenancy_exec_text_format(&exec, "SELECT from_mode FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s'",
									tenancy_ident_uuid_text(id));
	tenancy_exec_end(&exec);
	if (from == NULL)
		return TENANCY_MOVE_NONE;
	finish(id, tenancy_mode_from_text(from));
	return TENANCY_MOVE_FINISHED;
}

/* For repair(): do what a call that died did not. */
TenancyMoveResult
tenancy_move_settle(const pg_uuid_t *id)
{
	LOCKTAG		tag;

	init_tag(&tag, id);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return TENANCY_MOVE_BUSY;
	return settle(id);
}


/* ----------------------------------------------------------------
 * Leading
 * ----------------------------------------------------------------
 */

/*
 * Commit, and go on without a snapshot, in a transaction that sees what workers
 * commit meanwhile.
 */
static void
commit_here(void)
{
	SPI_commit();
	XactIsoLevel = XACT_READ_COMMITTED;
	AcceptInvalidationMessages();
}

/* On an error: give the lock up, and have a move that is not switched undone. */
static void
abandon(int code, Datum arg)
{
	Leader	   *leader = (Leader *) DatumGetPointer(arg);
	BackgroundWorkerHandle *handle;

	if (leader->directory[0] != '\0' && access(leader->directory, F_OK) == 0)
		(void) rmtree(leader->directory, true);
	leader->directory[0] = '\0';
	if (leader->is_locked)
		(void) LockRelease(&leader->tag, ExclusiveLock, true);
	leader->is_locked = false;
	if (!leader->is_begun)
		return;
	leader->is_begun = false;
	handle = tenancy_worker_launch("tenancy_move_undo_main", &leader->undo, sizeof(leader->undo));
	if (handle != NULL)
		tenancy_worker_linger(handle, UNDO_TIMEOUT_MS);
}

/* What would fail anyway had better fail before anybody is held up. */
static void
check_move(const TenancyTenant *tenant, TenancyMode mode)
{
	ListCell   *lc;

	if (tenant->status == TENANCY_DROPPING)
		tenancy_provision_refuse_status(tenant, "Call tenancy.drop_tenant() again to finish that.");
	if (tenant->status != TENANCY_ACTIVE)
		tenancy_provision_refuse_status(tenant, "Only an active tenant can be moved.");
	if (tenant->mode == TENANCY_DATABASE)
		(void) tenancy_database_oid(tenant);	/* is it there, and ours? */
	if (tenancy_registry_modules() == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no module whose rows could be moved"),
				 errhint("Call tenancy.create_module() first.")));
	if (tenant->mode != TENANCY_SHARED && mode != TENANCY_SHARED)
		return;
	foreach(lc, tenancy_registry_installed(tenant))
		tenancy_provision_check_shared(lfirst(lc));
}

/* An online move needs to tell rows apart, and tables whose writers it can note. */
static void
check_online(const TenancyTenant *tenant)
{
	ListCell   *lc;

	foreach(lc, tenancy_registry_installed(tenant))
		tenancy_move_log_refuse_keyless(get_namespace_oid(tenancy_registry_schema(tenant, lfirst(lc)), false));
}

/* Write the move down, and unless it is online, let nobody begin to write to the tenant. */
static void
begin_move(Leader *leader, TenancyMode mode, bool online)
{
	TenancyTenant tenant;

	tenancy_registry_lock_access(ShareLock);
	tenancy_registry_get_locked(tenancy_ident_uuid_text(&leader->undo.id), &tenant);
	check_move(&tenant, mode);
	if (online)
		check_online(&tenant);
	else
		tenancy_provision_set_status(&tenant, "moving", NULL);
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "INSERT INTO tenancy.move (tenant_id, from_mode, to_mode, online, phase, refused_at)"
						   " VALUES ('%s', '%s', '%s', %s)",
						   tenancy_ident_uuid_text(&tenant.id),
						   tenancy_mode_text(tenant.mode), tenancy_mode_text(mode),
						   online ? "true, 'capturing', NULL" : "false, 'copying', pg_catalog.clock_timestamp()");
	SPI_commit();
	leader->is_begun = true;
	XactIsoLevel = XACT_READ_COMMITTED;
	AcceptInvalidationMessages();
}

/* The tenant has been switched: tell for how long its writers were refused. */
static void
report_switch(Leader *leader)
{
	TenancyTenant tenant;
	TenancyExec exec;
	char	   *ms;

	leader->is_begun = false;
	tenancy_registry_get(tenancy_ident_uuid_text(&leader->undo.id), &tenant);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	ms = tenancy_exec_text_format(&exec, "SELECT pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp()"
								  " OPERATOR(pg_catalog.-) refused_at) OPERATOR(pg_catalog.*) 1000)"
								  " FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s'",
								  tenancy_ident_uuid_text(&tenant.id));
	tenancy_exec_end(&exec);
	ereport(NOTICE,
			(errmsg("tenant \"%s\" has moved to mode %s", tenant.slug, tenancy_mode_text(tenant.mode)),
			 errdetail("It could not be written to for %s ms.", ms ? ms : "0")));
}

static void
receive_switch(StringInfo message, void *arg)
{
	Leader	   *leader = arg;

	AcceptInvalidationMessages();
	report_switch(leader);
	leader->is_removed = true;
}

/*
 * Have the rows copied and the tenant switched, in a worker.  If it leaves shared
 * tables, the same worker removes the rows there, which it has in reach.
 */
static void
run_worker(Leader *leader, TenancyMode from, TenancyMode to)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	tenancy_worker_add(job, "SELECT tenancy.move_rows('%s')", tenancy_ident_uuid_text(&leader->undo.id));
	if (from == TENANCY_SHARED && to == TENANCY_SCHEMA)
	{
		job->function = "tenancy_move_leave_main";
		job->argument = tenancy_ident_uuid_text(&leader->undo.id);
		job->receive = receive_switch;
		job->receive_arg = leader;
	}
	(void) tenancy_worker_run(job);
}

/* Write the tenant's rows to temporary files; returns the manifest. */
static char *
write_files(Leader *leader, const TenancyTenant *tenant)
{
	strlcpy(leader->directory, tenancy_rows_temporary_directory(), MAXPGPATH);
	return tenancy_move_write_files(tenant, leader->directory, NULL, NULL);
}

/*
 * To a database, which is dropped again if this transaction fails, through
 * files.  Nobody may connect to it before the switch.
 */
static void
move_to_database(Leader *leader, const TenancyTenant *tenant)
{
	TenancyTenant moved;
	TenancyTenant now;
	TenancyJob *job;
	char	   *manifest;

	run_worker(leader, TENANCY_SHARED, TENANCY_DATABASE);
	tenancy_registry_lock_access(ShareLock);
	tenancy_move_lock_cascades(tenant, TENANCY_DATABASE);
	tenancy_move_lock_source(tenant);
	tenancy_move_target(tenant, TENANCY_DATABASE, &moved);
	tenancy_database_create(&moved, false);
	manifest = write_files(leader, tenant);
	job = tenancy_worker_job(tenancy_database_oid(&moved));
	tenancy_worker_add(job, "SELECT tenancy.import_tables(%s, %s, '%s')", manifest,
					   quote_literal_cstr(leader->directory), tenancy_ident_uuid_text(&moved.id));
	(void) tenancy_worker_run(job);

	/* A schema's tables are locked. */
	if (tenant->mode == TENANCY_SHARED)
		tenancy_move_check_unwritten(tenant, manifest);

	/* Not before: whoever undoes a move that fails needs the tenant's row. */
	tenancy_registry_get_locked(tenancy_ident_uuid_text(&moved.id), &now);
	if (now.status != TENANCY_MOVING)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" is no longer being moved", now.slug)));
	tenancy_database_resume(&moved);
	tenancy_move_switch(&moved);
	commit_here();
}

/* From a database, which is dropped when the tenant has been switched. */
static void
move_from_database(Leader *leader, const TenancyTenant *tenant)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);
	char	   *manifest = write_files(leader, tenant);
	tenancy_worker_add(job, "SELECT tenancy.move_load('%s', %s, %s)", tenancy_ident_uuid_text(&tenant->id),
					   manifest, quote_literal_cstr(leader->directory));
	(void) tenancy_worker_run(job);
}

/* Refuse and wait for the tenant's writers, have its rows copied, and switch. */
static void
move_offline(Leader *leader, const TenancyTenant *tenant, TenancyMode mode)
{
	List	   *writers;

	if (tenant->mode == TENANCY_DATABASE)
		tenancy_move_set_status_inside(tenant, "active", "moving");
	writers = tenancy_move_find_writers(tenant);
	commit_here();				/* without a snapshot */
	tenancy_writers_wait(writers, LockTimeout);
	if (mode == TENANCY_DATABASE)
		move_to_database(leader, tenant);
	else if (tenant->mode == TENANCY_DATABASE)
		move_from_database(leader, tenant);
	else
		run_worker(leader, tenant->mode, mode);
}

/* Have a worker do all of that, at the end. */
static void
move_online(Leader *leader, const TenancyTenant *tenant, TenancyMode mode)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	job->function = tenant->mode == TENANCY_DATABASE || mode == TENANCY_DATABASE ?
		"tenancy_move_files_main" : "tenancy_move_online_main";
	job->argument = psprintf("%s %d", tenancy_ident_uuid_text(&leader->undo.id), LockTimeout);
	(void) tenancy_worker_run(job);
}

/* A database that a call which died has left half made is in our way. */
static void
settle_database(const pg_uuid_t *id)
{
	if (tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT action FROM tenancy.pending_database WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
		" AND pg_catalog.pg_xact_status(xid) IS DISTINCT FROM 'in progress'", tenancy_ident_uuid_text(id))) != NIL)
		tenancy_database_settle(id);
}

/* Move the tenant, with the lock on the move. */
static void
lead(Leader *leader, TenancyMode mode, bool online)
{
	TenancyTenant tenant;

	settle_database(&leader->undo.id);
	(void) settle(&leader->undo.id);
	commit_here();
	tenancy_registry_get(tenancy_ident_uuid_text(&leader->undo.id), &tenant);
	if (tenant.mode == mode)
	{
		ereport(NOTICE,
				(errmsg("tenant \"%s\" is in mode %s", tenant.slug, tenancy_mode_text(mode))));
		return;
	}
	begin_move(leader, mode, online);
	if (online)
		move_online(leader, &tenant, mode);
	else
		move_offline(leader, &tenant, mode);
	if (leader->is_removed)
		forget(&tenant.id);
	else
	{
		report_switch(leader);
		finish(&tenant.id, tenant.mode);
	}
	commit_here();
}

/* move_tenant(tenant text, mode isolation_mode, online boolean) */
Datum
tenancy_move_tenant(PG_FUNCTION_ARGS)
{
	Leader	   *leader = palloc0(sizeof(Leader));
	TenancyTenant tenant;
	TenancyMode mode;

	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "mode");
	tenancy_require_arg(fcinfo, 2, "online");
	tenancy_exec_refuse_transaction(fcinfo, "tenancy.move_tenant()", "It commits before and after it copies the tenant's rows.");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	mode = tenancy_mode_from_datum(PG_GETARG_DATUM(1));
	tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
	tenancy_exec_begin_procedure();
	leader->undo.database = MyDatabaseId;
	leader->undo.role = tenancy_registry_owner();
	leader->undo.id = tenant.id;
	init_tag(&leader->tag, &tenant.id);
	if (LockAcquire(&leader->tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session is moving tenant \"%s\"", tenant.slug)));
	leader->is_locked = true;
	PG_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(leader));
	{
		lead(leader, mode, PG_GETARG_BOOL(2));
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon, PointerGetDatum(leader));
	abandon(0, PointerGetDatum(leader));
	SPI_finish();
	PG_RETURN_VOID();
}
