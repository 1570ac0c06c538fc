/*-------------------------------------------------------------------------
 *
 * migrate.c
 *	  Running migrations across all tenants.
 *
 * migrate() leads: it takes the lock that makes it the only one, has the model
 * migrated, which serves all shared tenants and proves the text, writes down in
 * tenancy.migration_run what is to be done with the copies, and starts workers
 * (fleet.c) that do it.  It commits before each wait, so that it holds neither a
 * snapshot nor a lock but that one: a migration may wait for all older
 * snapshots.  All state is in tables; whatever dies, the next call finds what
 * is left.
 *
 * When migrate() ends early, by an error or on request, its lock goes, and the
 * workers end after the tenant that they are at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "access/xact.h"
#include "apply.h"
#include "catalog/pg_type.h"
#include "exec.h"
#include "executor/spi.h"
#include "fleet.h"
#include "fmgr.h"
#include "guc.h"
#include "ident.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "progress.h"
#include "refill.h"
#include "registry.h"
#include "sibling.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_migrate);
PG_FUNCTION_INFO_V1(tenancy_migrate_rollback);

#define DEFAULT_WORKERS_MAX	4

/* How long to wait for a worker's signal before looking whether it still runs. */
#define WAIT_MS				1000

/* How long a call that ends early waits for tenants that are being migrated. */
#define STOP_TIMEOUT_MS		10000

/* How often to start workers again that ended without a reason that we know. */
#define MAX_RELAUNCHES		5

/* A call of migrate(). */
typedef struct Call
{
	List	   *modules;		/* of TenancyModule */
	List	   *tenants;		/* ids as text; NIL for all */
	int			workers;
	int			canary;
	int			max_failures;
	TenancyPatience patience;
	int64		first_run;		/* of this call, for tenants; 0 if there was none */
	bool		spares;			/* the run is for spares */
	bool		has_spares;		/* there was such a run */
	int			failed;
	int			total;
	BackgroundWorkerHandle *handles[TENANCY_MAX_WORKERS];
	int			nhandles;
	TenancyProgress pace;		/* of this run */
} Call;

/* How far a run is. */
typedef struct Progress
{
	int			done;
	int			failed;
	int			left;
} Progress;


/* ----------------------------------------------------------------
 * Arguments
 * ----------------------------------------------------------------
 */

static int
int_arg(FunctionCallInfo fcinfo, int n, const char *name, int min, int max)
{
	int			value;

	tenancy_require_arg(fcinfo, n, name);
	value = PG_GETARG_INT32(n);
	if (value < min || value > max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between %d and %d", name, min, max)));
	return value;
}

/* An interval in milliseconds. */
static int
ms_arg(FunctionCallInfo fcinfo, int n, const char *name)
{
	Interval   *interval;
	double		ms;

	tenancy_require_arg(fcinfo, n, name);
	interval = PG_GETARG_INTERVAL_P(n);
	ms = ceil(interval->time / 1000.0) +
		((double) interval->day + (double) interval->month * DAYS_PER_MONTH) * SECS_PER_DAY * 1000;
	if (ms < 0 || ms > INT_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 0 and 24 days", name)));
	return (int) ms;
}

static int
default_workers(void)
{
	if (tenancy_guc_workers > 0)
		return tenancy_guc_workers;
	return Max(1, Min(DEFAULT_WORKERS_MAX, (int) sysconf(_SC_NPROCESSORS_ONLN)));
}

/* The tenants' ids. */
static List *
tenants_arg(ArrayType *array)
{
	List	   *ids = NIL;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	if (n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tenants must not be empty"),
				 errhint("Leave it out for all tenants.")));
	for (int i = 0; i < n; i++)
	{
		TenancyTenant tenant;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("tenants must not contain null")));
		tenancy_registry_get(TextDatumGetCString(names[i]), &tenant);
		ids = lappend(ids, tenancy_ident_uuid_text(&tenant.id));
	}
	return ids;
}

/* The arguments from the n-th on, which all of our procedures have. */
static void
read_arguments(FunctionCallInfo fcinfo, int n, Call *call)
{
	memset(call, 0, sizeof(*call));
	call->modules = tenancy_registry_modules();
	call->patience.undo_to = -1;
	if (!PG_ARGISNULL(n))
	{
		char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(n));
		TenancyModule *module = palloc(sizeof(TenancyModule));

		if (!tenancy_registry_module(name, module))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("module \"%s\" does not exist", tenancy_ident_clip(name))));
		call->modules = list_make1(module);
	}
	if (!PG_ARGISNULL(n + 1))
		call->tenants = tenants_arg(PG_GETARG_ARRAYTYPE_P(n + 1));
	call->workers = PG_ARGISNULL(n + 2) ? default_workers() : int_arg(fcinfo, n + 2, "workers", 1, TENANCY_MAX_WORKERS);
	call->canary = int_arg(fcinfo, n + 3, "canary", 0, INT_MAX);
	call->max_failures = int_arg(fcinfo, n + 4, "max_failures", 0, INT_MAX);
	call->patience.lock_timeout = ms_arg(fcinfo, n + 5, "lock_timeout");
	call->patience.retries = int_arg(fcinfo, n + 6, "retries", 0, 1000);
	tenancy_require_arg(fcinfo, n + 7, "dry_run");
	call->patience.dry_run = PG_GETARG_BOOL(n + 7);
}


/* ----------------------------------------------------------------
 * Runs
 * ----------------------------------------------------------------
 */

/* Commit, and go on without a snapshot. */
static void
commit_here(void)
{
	SPI_commit();
	AcceptInvalidationMessages();
}

/*
 * Write down a run of up to "limit" copies, 0 for all; returns its id, or 0 if
 * there is nothing to do.
 */
static int64
begin_run(Call *call, const TenancyModule *module, int level, int limit, int *total)
{
	TenancyExec exec;
	StringInfoData members;
	char	   *id = NULL;
	ListCell   *lc;

	initStringInfo(&members);
	appendStringInfo(&members, " FROM tenancy.module_copy c JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) c.tenant_id"
					 " WHERE c.module OPERATOR(pg_catalog.=) %s AND c.level OPERATOR(pg_catalog.%s) %d"
					 " AND t.status IN (%s)",
					 quote_literal_cstr(module->name), call->patience.undo_to >= 0 ? ">" : "<", level,
					 call->spares ? "'spare'" : "'active', 'suspended'");
	if (call->tenants != NIL)
	{
		appendStringInfoString(&members, " AND c.tenant_id OPERATOR(pg_catalog.=) ANY ('{");
		foreach(lc, call->tenants)
			appendStringInfo(&members, "%s%s", foreach_current_index(lc) > 0 ? "," : "", (char *) lfirst(lc));
		appendStringInfoString(&members, "}'::pg_catalog.uuid[])");
	}

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	*total = atoi(tenancy_exec_text(&exec, psprintf("SELECT pg_catalog.count(*)%s", members.data)));
	if (limit > 0)
		*total = Min(*total, limit);
	if (*total > 0)
	{
		const char *some = limit > 0 || call->tenants != NIL || call->spares ?
			psprintf("ARRAY(SELECT c.tenant_id%s ORDER BY c.tenant_id LIMIT %d)", members.data, *total) : "NULL";
		const char *column = tenancy_sibling_column(module);

		id = tenancy_exec_text_format(&exec, "INSERT INTO tenancy.migration_run (module, level, tenants, total,"
									  " lock_timeout, retries, max_failures, dry_run, down, leader_pid, tenant_column, path_after)"
									  " VALUES (%s, %d, %s, %d, %d, %d, %d, %s, %s, %d, %s, %s) RETURNING id",
									  quote_literal_cstr(module->name), level, some, *total,
									  call->patience.lock_timeout, call->patience.retries,
									  limit > 0 ? 1 : call->spares ? 0 : call->max_failures,
									  call->patience.dry_run ? "true" : "false",
									  call->patience.undo_to >= 0 ? "true" : "false", MyProcPid,
									  column ? quote_literal_cstr(column) : "NULL",
									  quote_literal_cstr(tenancy_apply_following(module, false)));
	}
	tenancy_exec_end(&exec);
	return id == NULL ? 0 : strtoi64(id, NULL, 10);
}

/* How far is the run? */
static void
read_progress(int64 run, Progress *progress)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("SELECT pg_catalog.count(*) FILTER (WHERE c.run OPERATOR(pg_catalog.=) r.id AND NOT c.failed"
						" AND NOT " TENANCY_FLEET_BEHIND ")::pg_catalog.int4,"
						" pg_catalog.count(*) FILTER (WHERE c.run OPERATOR(pg_catalog.=) r.id AND c.failed)::pg_catalog.int4,"
						" pg_catalog.count(*) FILTER (WHERE " TENANCY_FLEET_BEHIND
						" AND NOT (c.run IS NOT DISTINCT FROM r.id AND c.failed))::pg_catalog.int4"
						TENANCY_FLEET_MEMBERS " AND r.id OPERATOR(pg_catalog.=) " INT64_FORMAT, run);
	progress->done = atoi(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	progress->failed = atoi(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
	progress->left = atoi(SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3));
	tenancy_exec_end(&exec);
}

/* Is the run over?  Then it stays so. */
static bool
run_is_over(int64 run)
{
	TenancyExec exec;
	bool		over;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	over = tenancy_exec_format("SELECT FROM tenancy.migration_run WHERE id OPERATOR(pg_catalog.=) " INT64_FORMAT
							   " AND finished_at IS NULL", run) == 0;
	tenancy_exec_end(&exec);
	return over;
}

/* This run, or, of leaders that are dead, all that are there. */
static void
finish_runs(int64 run)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "UPDATE tenancy.migration_run SET finished_at = pg_catalog.clock_timestamp()"
						   " WHERE finished_at IS NULL AND (" INT64_FORMAT " OPERATOR(pg_catalog.=) 0"
						   " OR id OPERATOR(pg_catalog.=) " INT64_FORMAT ")", run, run);
}


/* ----------------------------------------------------------------
 * Workers
 * ----------------------------------------------------------------
 */

/* Start workers, or others in the place of those that have ended. */
static void
launch_workers(Call *call, int64 run, int wanted)
{
	while (call->nhandles < wanted)
	{
		BackgroundWorkerHandle *handle = tenancy_fleet_launch(run);

		if (handle == NULL)
			break;
		call->handles[call->nhandles++] = handle;
	}
	if (call->nhandles == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free"),
				 errhint("Try again later, or increase max_worker_processes.")));
}

/* Forget the workers that have ended; returns whether there were any. */
static bool
reap_workers(Call *call)
{
	int			running = 0;
	bool		reaped;
	pid_t		pid;

	for (int i = 0; i < call->nhandles; i++)
	{
		if (GetBackgroundWorkerPid(call->handles[i], &pid) != BGWH_STOPPED)
			call->handles[running++] = call->handles[i];
		else
			pfree(call->handles[i]);
	}
	reaped = running < call->nhandles;
	call->nhandles = running;
	return reaped;
}

/* All is done: let workers end by themselves. */
static void
leave_workers(Call *call)
{
	while (call->nhandles > 0)
		tenancy_worker_leave(call->handles[--call->nhandles]);
}

/*
 * Let workers end after the tenants that they are at, since nobody leads them
 * any more; those that take long are terminated.
 */
static void
stop_workers(int code, Datum arg)
{
	Call	   *call = (Call *) DatumGetPointer(arg);

	tenancy_fleet_unlock_leader();
	for (int i = 0; i < call->nhandles; i++)
		tenancy_worker_linger(call->handles[i], STOP_TIMEOUT_MS / call->nhandles);
	for (int i = 0; i < call->nhandles; i++)
		TerminateBackgroundWorker(call->handles[i]);
	for (int i = 0; i < call->nhandles; i++)
		tenancy_worker_linger(call->handles[i], STOP_TIMEOUT_MS / call->nhandles);
	call->nhandles = 0;
}

/* Tell the caller how far we are. */
static void
report_progress(Call *call, const Progress *progress, int total)
{
	int			ended = progress->done + progress->failed;

	if (ended == 0)
		tenancy_progress_tell(psprintf(_("migrated 0 of %d tenants"), total));
	else
		tenancy_progress_tell(psprintf(_("migrated %d of %d tenants, %d failed, %.1f tenants/s, about %.0f s remaining"),
									   progress->done, total, progress->failed,
									   tenancy_progress_rate(&call->pace, ended),
									   tenancy_progress_remaining(&call->pace, ended, total)));
}

/*
 * Wait until a worker has ended; returns false if none has, but none that is there
 * is at work.
 */
static bool
wait_for_worker(Call *call, int64 run, int total)
{
	while (!reap_workers(call))
	{
		int			events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
									   tenancy_progress_timeout(WAIT_MS), PG_WAIT_EXTENSION);

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if ((events & WL_LATCH_SET) && tenancy_fleet_is_idle())
			return reap_workers(call);
		if (!call->patience.dry_run && tenancy_progress_is_due(&call->pace))
		{
			Progress	progress;

			read_progress(run, &progress);
			commit_here();
			report_progress(call, &progress, total);
		}
	}
	return true;
}

/*
 * How many workers may a run have?  Each has another one work in a tenant's
 * database; could none of them start, they would wait for each other.
 */
static int
room_for_workers(int64 run)
{
	TenancyExec exec;
	bool		databases;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	databases = tenancy_exec_format("SELECT" TENANCY_FLEET_MEMBERS " AND r.id OPERATOR(pg_catalog.=) " INT64_FORMAT
									" AND t.mode OPERATOR(pg_catalog.=) 'database' LIMIT 1", run) > 0;
	tenancy_exec_end(&exec);
	return databases ? Max(1, (max_worker_processes - 1) / 2) : TENANCY_MAX_WORKERS;
}

/*
 * Have workers go on until nothing is left for them.  They end then; or before
 * that, to give their memory back, and others go on in their place.
 */
static void
keep_workers(Call *call, int64 run, int total, int wanted, Progress *progress, bool *over)
{
	int			left = total;
	int			relaunches = 0;

	launch_workers(call, run, wanted);
	wanted = call->nhandles;
	while (call->nhandles > 0)
	{
		bool		ended = wait_for_worker(call, run, total);

		read_progress(run, progress);
		*over = run_is_over(run);
		commit_here();
		if (progress->left == 0 && !*over)
			leave_workers(call);
		if (!ended || progress->left == 0 || *over || call->patience.dry_run)
			continue;
		relaunches = progress->left < left ? 0 : relaunches + 1;
		left = progress->left;
		if (relaunches > MAX_RELAUNCHES)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("background workers ended before all tenants were migrated"),
					 errdetail("%d of %d tenants are left.", left, total),
					 errhint("The server's log may tell why.  Call tenancy.migrate() again to go on.")));
		launch_workers(call, run, wanted);
	}
}

/* A spare that fails is nobody's: it does not stop the tenants, and will be replaced. */
static void
end_spares(Call *call, int failed, int total)
{
	call->has_spares = true;
	if (failed > 0)
		ereport(WARNING,
				(errmsg("migration failed for %d of %d spares", failed, total),
				 errhint("CALL tenancy.refill_spares() replaces them.")));
}

/* Bring copies to the level; returns false if the run was ended by failures. */
static bool
run_fleet(Call *call, const TenancyModule *module, int level, int limit)
{
	Progress	progress = {0};
	int			total;
	int64		run = begin_run(call, module, level, limit, &total);
	int			wanted = Min(call->workers, total);
	bool		over = false;

	if (run != 0)
		wanted = Min(wanted, room_for_workers(run));
	commit_here();
	if (run == 0)
		return true;
	if (call->first_run == 0 && !call->spares)
		call->first_run = run;
	tenancy_progress_start(&call->pace);
	keep_workers(call, run, total, wanted, &progress, &over);
	tenancy_progress_end();
	finish_runs(run);
	commit_here();
	if (call->spares)
		end_spares(call, progress.failed, total);
	else
	{
		call->total += total;
		call->failed += progress.failed;
	}
	return !over;
}

/* ----------------------------------------------------------------
 * migrate
 * ----------------------------------------------------------------
 */

/* Name some of the tenants that failed, with their errors. */
static char *
describe_failures(const Call *call)
{
	TenancyExec exec;
	char	   *detail;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	detail = tenancy_exec_text_format(&exec,
									  "SELECT pg_catalog.string_agg(line, E'\\n') FROM ("
									  "SELECT pg_catalog.format('%%s: %%s', t.slug, c.last_error) AS line"
									  " FROM tenancy.module_copy c JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) c.tenant_id"
									  " WHERE c.failed AND c.run OPERATOR(pg_catalog.>=) " INT64_FORMAT
									  " ORDER BY t.slug LIMIT 5) f", call->first_run);
	tenancy_exec_end(&exec);
	return detail;
}

/* Bring all copies to the level: spares, then canaries, then the others. */
static void
migrate_copies(Call *call, const TenancyModule *module, int level)
{
	if (call->tenants == NIL && !call->patience.dry_run)
	{
		call->spares = true;
		(void) run_fleet(call, module, level, 0);
		call->spares = false;
	}
	if (call->canary > 0 && (!run_fleet(call, module, level, call->canary) || call->failed > 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration of the canaries failed; no other tenant was migrated"),
				 errdetail_internal("%s", describe_failures(call))));
	if (!run_fleet(call, module, level, 0))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration was stopped after %d failures", call->failed),
				 errdetail_internal("%s", describe_failures(call)),
				 errhint("See tenancy.migration_status.  Call the procedure again to go on.")));
}

static void
check_failures(const Call *call)
{
	if (call->failed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration failed for %d of %d tenants", call->failed, call->total),
				 errdetail_internal("%s", describe_failures(call)),
				 call->patience.dry_run ? errhint("Nothing was changed.") :
				 errhint("All others have been migrated.  See tenancy.migration_status, and call the procedure again after a repair.")));
}

/* The model first, then its copies. */
static void
migrate_module(Call *call, const TenancyModule *module)
{
	TenancyModule now;
	List	   *pending;
	const char *following = NULL;
	int			level;

	tenancy_migration_check_complete(module->name, module->level);

	/* A worker takes longer than to see that there is nothing to do. */
	pending = tenancy_migration_pending(module->name, module->level);
	if (pending != NIL)
		following = tenancy_apply_following(module, true);
	commit_here();
	if (pending != NIL)
		tenancy_apply_in_database(MyDatabaseId, module, NIL, following, &call->patience);
	if (!tenancy_registry_module(module->name, &now))
		return;
	level = now.level;
	if (call->patience.dry_run)
		level += list_length(pending);
	migrate_copies(call, module, level);
}

static void
lead_up(Call *call)
{
	ListCell   *lc;

	foreach(lc, call->modules)
		migrate_module(call, lfirst(lc));
	if (call->has_spares)
		tenancy_refill_renew();
	check_failures(call);
}

/* The copies first, then their model, unless only some tenants are meant. */
static void
lead_down(Call *call)
{
	TenancyModule *module = linitial(call->modules);

	migrate_copies(call, module, call->patience.undo_to);
	check_failures(call);
	if (call->tenants == NIL)
	{
		const char *following = tenancy_apply_following(module, false);

		commit_here();
		tenancy_apply_in_database(MyDatabaseId, module, NIL, following, &call->patience);
	}
	if (call->has_spares)
		tenancy_refill_renew();
}

/* Be the only one, and do it. */
static void
lead(Call *call, void (*work) (Call *call))
{
	tenancy_exec_begin_procedure();
	if (!tenancy_fleet_lock_leader())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session is running migrations"),
				 errhint("See tenancy.migration_progress.")));
	PG_ENSURE_ERROR_CLEANUP(stop_workers, PointerGetDatum(call));
	{
		finish_runs(0);
		commit_here();
		work(call);
	}
	PG_END_ENSURE_ERROR_CLEANUP(stop_workers, PointerGetDatum(call));
	tenancy_fleet_unlock_leader();
	SPI_finish();
}

/*
 * migrate(module, tenants, workers, canary, max_failures, lock_timeout, retries, dry_run)
 */
Datum
tenancy_migrate(PG_FUNCTION_ARGS)
{
	Call	   *call = palloc(sizeof(Call));

	tenancy_exec_refuse_transaction(fcinfo, "tenancy.migrate()", "It commits tenant by tenant.");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	read_arguments(fcinfo, 0, call);
	lead(call, lead_up);
	PG_RETURN_VOID();
}

/* Shared tables cannot be rolled back for one of their tenants. */
static void
refuse_shared(List *tenants)
{
	ListCell   *lc;

	foreach(lc, tenants)
	{
		TenancyTenant tenant;

		tenancy_registry_get(lfirst(lc), &tenant);
		if (tenant.mode == TENANCY_SHARED)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("tenant \"%s\" shares its tables with others", tenant.slug),
					 errdetail("A migration can be undone in shared tables only for all tenants.")));
	}
}

/*
 * rollback(version, module, tenants, workers, canary, max_failures, lock_timeout, retries, dry_run)
 */
Datum
tenancy_migrate_rollback(PG_FUNCTION_ARGS)
{
	Call	   *call = palloc(sizeof(Call));
	TenancyModule *module;
	ListCell   *lc;

	tenancy_exec_refuse_transaction(fcinfo, "tenancy.rollback()", "It commits tenant by tenant.");
	tenancy_require_arg(fcinfo, 0, "version");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	read_arguments(fcinfo, 1, call);
	if (call->modules == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no module")));
	module = linitial(call->modules);
	tenancy_registry_refuse_recording(module->name);
	refuse_shared(call->tenants);
	call->patience.undo_to = tenancy_migration_position(module, PG_GETARG_INT64(0)) - 1;

	/* All of them must be able to. */
	tenancy_migration_check_complete(module->name, module->level);
	foreach(lc, tenancy_migration_applied(module->name, call->patience.undo_to))
		(void) tenancy_migration_undo(lfirst(lc));
	lead(call, lead_down);
	PG_RETURN_VOID();
}
