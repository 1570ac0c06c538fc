/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  The hooks of the server that the extension takes.
 *
 * The only place that installs hooks.  Each calls the one that was there
 * before, or the standard function.  Those of statements serve the recording of
 * migrations (record.c), and cost a look at a variable where nothing is recorded.
 * Those of shared memory (session.c) are taken where the server preloads us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "exec.h"
#include "executor/executor.h"
#include "hooks.h"
#include "miscadmin.h"
#include "record.h"
#include "session.h"
#include "storage/ipc.h"
#include "tcop/utility.h"

static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ExecutorFinish_hook_type prev_executor_finish = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

static void
shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();
	tenancy_session_request_memory();
}

static void
shmem_startup(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();
	tenancy_session_attach_memory();
}

static void
executor_start(QueryDesc *query, int eflags)
{
	if (tenancy_record_is_on() && !(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		tenancy_record_query(query);
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

static void
chain_executor_run(QueryDesc *query, ScanDirection direction, uint64 count TENANCY_EXECUTE_ONCE_PARAM)
{
	if (prev_executor_run)
		prev_executor_run(query, direction, count TENANCY_EXECUTE_ONCE);
	else
		standard_ExecutorRun(query, direction, count TENANCY_EXECUTE_ONCE);
}

static void
executor_run(QueryDesc *query, ScanDirection direction, uint64 count TENANCY_EXECUTE_ONCE_PARAM)
{
	if (!tenancy_record_is_on())
	{
		chain_executor_run(query, direction, count TENANCY_EXECUTE_ONCE);
		return;
	}
	tenancy_record_enter(query);
	PG_TRY();
	{
		chain_executor_run(query, direction, count TENANCY_EXECUTE_ONCE);
	}
	PG_FINALLY();
	{
		tenancy_record_leave();
	}
	PG_END_TRY();
}

static void
chain_executor_finish(QueryDesc *query)
{
	if (prev_executor_finish)
		prev_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

static void
executor_finish(QueryDesc *query)
{
	if (!tenancy_record_is_on())
	{
		chain_executor_finish(query);
		return;
	}
	tenancy_record_enter(query);
	PG_TRY();
	{
		chain_executor_finish(query);
	}
	PG_FINALLY();
	{
		tenancy_record_leave();
	}
	PG_END_TRY();
	tenancy_record_complete();
}

static void
chain_process_utility(PlannedStmt *pstmt, const char *query, bool read_only,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_process_utility)
		prev_process_utility(pstmt, query, read_only, context, params, environment, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only, context, params, environment, dest, qc);
}

static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *qc)
{
	if (!tenancy_record_is_on())
	{
		chain_process_utility(pstmt, query, read_only, context, params, environment, dest, qc);
		return;
	}
	tenancy_record_utility(pstmt, query, params);
	PG_TRY();
	{
		chain_process_utility(pstmt, query, read_only, context, params, environment, dest, qc);
	}
	PG_FINALLY();
	{
		tenancy_record_leave();
	}
	PG_END_TRY();
	tenancy_record_complete();
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (tenancy_record_is_on())
		tenancy_record_xact(event);
}

static void
subxact_callback(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (tenancy_record_is_on())
		tenancy_record_subxact(event, id);
}

void
tenancy_hooks_init(void)
{
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = executor_run;
	prev_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	tenancy_exec_note_hook(process_utility, prev_process_utility != NULL);
	if (process_shared_preload_libraries_in_progress)
	{
		prev_shmem_request = shmem_request_hook;
		shmem_request_hook = shmem_request;
		prev_shmem_startup = shmem_startup_hook;
		shmem_startup_hook = shmem_startup;
	}
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
