/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  Background workers: what they run, waiting for them, their errors.
 *
 * A worker does what the caller's session or transaction cannot: commands
 * like CREATE DATABASE, work in another database, and work that must commit
 * whatever becomes of the caller.  It connects, and is handed a job, a list of steps of
 * SQL or a function to call, through a queue in a dynamic shared memory segment, and sends notices, its error or
 * its success, and what else a function has to say, back through another one in the same
 * segment, in the form of the frontend protocol's messages, as parallel workers do.
 * Whoever will need one soon can start it before he knows what it is to do.
 *
 * Invariants:
 *
 * - A worker logs in as the extension's owner.  Steps run as the role that
 *	 they name, through exec.c; only top-level commands, which are ours and run
 *	 no user's code, run with the owner's full rights.
 * - Whoever waits for a worker goes on processing interrupts: CREATE and DROP
 *	 DATABASE wait for every backend to pass a barrier, the waiting one
 *	 included.
 * - The lock manager does not know that the caller waits for the worker.  A
 *	 worker that waits in turn for a lock of its caller would wait for ever, and
 *	 so would two callers whose workers wait for each other's locks, so a caller
 *	 looks for that itself after deadlock_timeout.  Of several, who have all looked,
 *	 the one with the highest PID fails; the others look again before they do.
 * - When tenancy_worker_run() returns or throws, the worker is gone from another
 *	 database: that can be copied or dropped.  One in ours, or whose job says so,
 *	 may still be ending, which takes a process that has seen much of the shared
 *	 memory longer than many a job; it holds nothing any more but its place among
 *	 the workers, for which the next one waits if there is no other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "context.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "guc.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "registry.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "worker.h"

#define WORKER_MAGIC		0x74656e61
#define WORKER_KEY_HEADER	1
#define WORKER_KEY_JOB		2
#define WORKER_KEY_QUEUE	3
#define WORKER_QUEUE_SIZE	((Size) 65536)

/* The types of our own messages; 'E' and 'N' are the protocol's. */
#define MESSAGE_DONE		'X'		/* success */
#define MESSAGE_DATA		'D'		/* for the job's receive function */

/* How many rows a step finds at once, and how many of these each of its transactions is for. */
#define MAX_FOUND		1000000
#define BATCH_ROWS		10000

/* How long to wait for the place of a worker that is ending. */
#define LEAVE_TIMEOUT_MS	1000

/* How often to look at a deadlock that another session is to end. */
#define DEADLOCK_PATIENCE	2

/* What a worker is called, by which others know whose it is. */
#define WORKER_NAME			"tenancy worker for PID %d"

typedef struct WorkerHeader
{
	Oid			database;
	Oid			role;
	int			progress_interval;	/* of the caller's */
} WorkerHeader;

/* A job as it goes through the queue: the steps and the argument follow. */
typedef struct JobHeader
{
	int			nsteps;
	Size		steps_size;
	char		function[NAMEDATALEN];	/* "" if there is none */
} JobHeader;

/* A step as it goes there, its strings behind it. */
typedef struct StepHeader
{
	bool		toplevel;
	bool		commit_before;
	bool		noforce_rls;
	bool		has_tenant;
	pg_uuid_t	tenant;
	Oid			role;
	Size		path_size;		/* with the terminating zeros */
	Size		sql_size;
	Size		expectation_size;	/* 0 if there is none */
	Size		rows_size;		/* the same */
} StepHeader;

/* A worker that somebody has started. */
struct TenancyWorker
{
	BackgroundWorkerHandle *handle;
	dsm_segment *seg;
	shm_mq_handle *job;			/* to it */
	shm_mq_handle *queue;		/* from it */
};

PGDLLEXPORT void tenancy_worker_main(Datum main_arg);


/* ----------------------------------------------------------------
 * Jobs
 * ----------------------------------------------------------------
 */

/* A job without steps, in a database. */
TenancyJob *
tenancy_worker_job(Oid database)
{
	TenancyJob *job = palloc0(sizeof(TenancyJob));

	job->database = database;
	job->leave = database == MyDatabaseId;
	return job;
}

static TenancyStep *add_step(TenancyJob *job, bool toplevel,
							 const char *format, va_list args) pg_attribute_printf(3, 0);

static TenancyStep *
add_step(TenancyJob *job, bool toplevel, const char *format, va_list args)
{
	TenancyStep *step = palloc0(sizeof(TenancyStep));

	step->toplevel = toplevel;
	step->commit_before = job->commit_next;
	step->role = tenancy_registry_owner();
	step->search_path = TENANCY_PATH_NONE;
	step->sql = tenancy_exec_vformat(format, args);
	job->commit_next = false;
	job->steps = lappend(job->steps, step);
	return step;
}

/*
 * Add statements, run as the extension's owner with nothing on the path
 * unless the caller changes that in the step returned.
 */
TenancyStep *
tenancy_worker_add(TenancyJob *job, const char *format,...)
{
	TenancyStep *step;
	va_list		args;

	va_start(args, format);
	step = add_step(job, false, format, args);
	va_end(args);
	return step;
}

/*
 * Add a command that no transaction block takes.  It still commits together
 * with the steps before it, up to tenancy_worker_commit(): that is for locks.
 */
TenancyStep *
tenancy_worker_add_toplevel(TenancyJob *job, const char *format,...)
{
	TenancyStep *step;
	va_list		args;

	va_start(args, format);
	step = add_step(job, true, format, args);
	va_end(args);
	return step;
}

/* Let what was added so far commit before what follows. */
void
tenancy_worker_commit(TenancyJob *job)
{
	job->commit_next = true;
}


/* ----------------------------------------------------------------
 * Running steps
 * ----------------------------------------------------------------
 */

/*
 * Run a parsed command as a client's own statement.  It may end the transaction
 * that it is begun in and leave another one.
 */
void
tenancy_worker_toplevel_node(Node *stmt, const char *sql)
{
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = stmt;
	if (PlannedStmtRequiresSnapshot(planned))
		PushActiveSnapshot(GetTransactionSnapshot());
	ProcessUtility(planned, sql, false, PROCESS_UTILITY_TOPLEVEL,
				   NULL, NULL, None_Receiver, NULL);
	if (ActiveSnapshotSet())
		PopActiveSnapshot();
	CommandCounterIncrement();
}

void
tenancy_worker_toplevel(const char *sql)
{
	tenancy_worker_toplevel_node(linitial_node(RawStmt, pg_parse_query(sql))->stmt, sql);
}

static void
begin_step(TenancyExec *exec, const TenancyStep *step)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_begin(exec, step->role, step->search_path);
	if (step->noforce_rls)
		tenancy_exec_noforce_rls();
	if (step->tenant != NULL)
		tenancy_context_act(step->tenant);
}

static void
end_step(TenancyExec *exec, const TenancyStep *step)
{
	if (step->tenant != NULL)
		tenancy_context_act_end();
	tenancy_exec_end(exec);
	PopActiveSnapshot();
}

static uint64
run_step(const TenancyStep *step)
{
	uint64		processed;
	TenancyExec exec;

	if (step->toplevel)
	{
		tenancy_worker_toplevel(step->sql);
		return 0;
	}

	begin_step(&exec, step);
	processed = tenancy_exec_sql(step->sql);
	end_step(&exec, step);
	if (step->expectation != NULL && processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg_internal("%s", step->expectation)));
	return processed;
}

static void
next_transaction(void)
{
	CommitTransactionCommand();
	CHECK_FOR_INTERRUPTS();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

/*
 * Find rows: their ctids, in the caller's memory.  By one query for many of them,
 * because each would begin where the first one did, and see all that is dead.
 */
static ItemPointer
find_rows(const TenancyStep *step, int *nrows)
{
	MemoryContext context = CurrentMemoryContext;
	ItemPointer rows = NULL;
	TenancyExec exec;
	SPIPlanPtr	plan;
	Portal		portal;

	*nrows = 0;
	begin_step(&exec, step);
	plan = SPI_prepare(step->rows, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	for (SPI_cursor_fetch(portal, true, BATCH_ROWS); SPI_processed > 0 && *nrows < MAX_FOUND;
		 SPI_cursor_fetch(portal, true, BATCH_ROWS))
	{
		Size		size = (*nrows + SPI_processed) * sizeof(ItemPointerData);

		rows = rows == NULL ? MemoryContextAlloc(context, size) : repalloc(rows, size);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;

			rows[(*nrows)++] = *(ItemPointer) DatumGetPointer(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
																			1, &isnull));
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	end_step(&exec, step);
	return rows;
}

/* Run a step's statements for some rows. */
static uint64
run_batch(const TenancyStep *step, ItemPointer rows, int nrows)
{
	Oid			type = TIDARRAYOID;
	Datum	   *elements = palloc(nrows * sizeof(Datum));
	Datum		value;
	uint64		processed;
	TenancyExec exec;
	int			ret;

	for (int i = 0; i < nrows; i++)
		elements[i] = PointerGetDatum(&rows[i]);
	value = PointerGetDatum(construct_array(elements, nrows, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT));
	begin_step(&exec, step);

	/* To fetch them, rather than look at each row of a table that can be read faster in whole. */
	tenancy_exec_set("random_page_cost", "0");
	ret = SPI_execute_with_args(step->sql, 1, &type, &value, NULL, false, 0);
	if (ret < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(ret));
	processed = SPI_processed;
	end_step(&exec, step);
	return processed;
}

/* What there is to delete is found table by table. */
char *
tenancy_worker_deletion_line(const TenancyTally *tally)
{
	return psprintf(_("deleted %llu of %llu rows, %.0f rows/s, about %.0f s remaining in step %d of %d"),
					(unsigned long long) tally->done, (unsigned long long) tally->total,
					tenancy_progress_rate(&tally->pace, tally->done),
					tenancy_progress_remaining(&tally->pace, tally->done, tally->total),
					tally->table, tally->tables);
}

/*
 * Run a step for all rows that it finds, in batches, with a transaction for each.
 * A trigger may keep a row: it ends when none has gone.
 */
static void
run_batches(const TenancyStep *step)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tenancy rows", ALLOCSET_DEFAULT_SIZES);
	uint64		processed;

	do
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		int			nrows;
		ItemPointer rows = find_rows(step, &nrows);

		MemoryContextSwitchTo(old);
		tenancy_progress_expect(nrows);
		processed = 0;
		for (int i = 0; i < nrows; i += BATCH_ROWS)
		{
			processed += run_batch(step, rows + i, Min(BATCH_ROWS, nrows - i));
			next_transaction();
			tenancy_progress_add(Min(BATCH_ROWS, nrows - i));
		}
		MemoryContextReset(context);
	} while (processed > 0);
	MemoryContextDelete(context);
}

/* Run a job's steps; returns what the last one processed. */
static uint64
run_job(TenancyJob *job)
{
	uint64		processed = 0;
	int			deletions = 0;
	ListCell   *lc;

	foreach(lc, job->steps)
	{
		if (((TenancyStep *) lfirst(lc))->rows != NULL)
			deletions++;
	}
	if (deletions > 0)
		tenancy_progress_begin_tally(tenancy_worker_deletion_line, deletions);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	foreach(lc, job->steps)
	{
		TenancyStep *step = lfirst(lc);

		if (step->commit_before)
			next_transaction();
		pgstat_report_activity(STATE_RUNNING, step->sql);
		if (step->rows != NULL)
		{
			tenancy_progress_next_table();
			run_batches(step);
		}
		else
			processed = run_step(step);
	}
	CommitTransactionCommand();
	tenancy_progress_end_tally();
	pgstat_report_activity(STATE_IDLE, NULL);
	return processed;
}

/*
 * Connect a worker to a database, one that takes no connections included.  What the
 * database has its clients begin with is not for us, who wait for locks and then look,
 * have the rights of our role, and take our time.
 */
void
tenancy_worker_connect(Oid database, Oid role)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] =
	{
		{"default_transaction_deferrable", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"role", "none"},
		{"session_replication_role", "origin"},
		TENANCY_WORKER_SETTINGS
	};

	BackgroundWorkerInitializeConnectionByOid(database, role,
											  TENANCY_WORKER_CONNECTION_FLAGS);
	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET, PGC_S_SESSION);
}

/* A lock that the process holds for as long as it lives. */
typedef struct HeldLock
{
	LOCKTAG		tag;
	LOCKMODE	mode;
} HeldLock;

static void
release_held(int code, Datum arg)
{
	HeldLock   *held = (HeldLock *) DatumGetPointer(arg);

	if (tenancy_lock_held_by_me(&held->tag, held->mode))
		(void) LockRelease(&held->tag, held->mode, true);
}

/*
 * Get a lock that the process holds until it ends, or gives it up.  A session's locks are
 * released by PostgreSQL when a transaction aborts, and by nobody when the session ends
 * outside of one: whoever gets its place among the processes would have them.
 */
void
tenancy_worker_hold(const LOCKTAG *tag, LOCKMODE mode)
{
	HeldLock   *held = MemoryContextAlloc(TopMemoryContext, sizeof(HeldLock));

	held->tag = *tag;
	held->mode = mode;
	before_shmem_exit(release_held, PointerGetDatum(held));
	(void) LockAcquire(tag, mode, true, false);
}

static List *
read_steps(char *pos, int nsteps)
{
	List	   *steps = NIL;

	for (int i = 0; i < nsteps; i++)
	{
		TenancyStep *step = palloc0(sizeof(TenancyStep));
		StepHeader	header;

		memcpy(&header, pos, sizeof(header));
		pos += sizeof(header);
		step->toplevel = header.toplevel;
		step->commit_before = header.commit_before;
		step->noforce_rls = header.noforce_rls;
		if (header.has_tenant)
		{
			pg_uuid_t  *tenant = palloc(sizeof(pg_uuid_t));

			*tenant = header.tenant;
			step->tenant = tenant;
		}
		step->role = header.role;
		step->search_path = pos;
		pos += header.path_size;
		step->sql = pos;
		pos += header.sql_size;
		if (header.expectation_size > 0)
			step->expectation = pos;
		pos += header.expectation_size;
		if (header.rows_size > 0)
			step->rows = pos;
		pos += header.rows_size;
		steps = lappend(steps, step);
	}
	return steps;
}

static void
call_function(const char *name, const char *argument)
{
	TenancyWorkerFunction function = (TenancyWorkerFunction)
		load_external_function("tenancy", name, true, NULL);

	SetCurrentStatementStartTimestamp();
	function(argument);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* Send something to the caller, from a job's function. */
void
tenancy_worker_send(const char *data, int len)
{
	StringInfoData message;

	pq_beginmessage(&message, MESSAGE_DATA);
	pq_sendbytes(&message, data, len);
	pq_endmessage(&message);
	CHECK_FOR_INTERRUPTS();
}

/* Wait for the job; returns false if the caller has gone away without giving one. */
static bool
receive_job(shm_mq *queue, dsm_segment *seg, TenancyJob *job)
{
	JobHeader	header;
	Size		size;
	void	   *data;
	char	   *pos;

	shm_mq_set_receiver(queue, MyProc);
	if (shm_mq_receive(shm_mq_attach(queue, seg, NULL), &size, &data, false) != SHM_MQ_SUCCESS)
		return false;
	pos = memcpy(palloc(size), data, size);
	memcpy(&header, pos, sizeof(header));
	pos += sizeof(header);
	memset(job, 0, sizeof(*job));
	job->steps = read_steps(pos, header.nsteps);
	job->function = pstrdup(header.function);
	job->argument = pos + header.steps_size;
	return true;
}

/* A worker's entry point; its argument is the segment with the queues. */
void
tenancy_worker_main(Datum main_arg)
{
	dsm_segment *seg;
	shm_toc    *toc;
	shm_mq	   *queue;
	WorkerHeader *header;
	TenancyJob	job;
	uint64		processed;
	StringInfoData message;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentMemoryContext = AllocSetContextCreate(TopMemoryContext,
												 "tenancy worker",
												 ALLOCSET_DEFAULT_SIZES);

	seg = dsm_attach(DatumGetUInt32(main_arg));
	if (seg == NULL)
		return;					/* the caller does not need us any more */
	toc = shm_toc_attach(WORKER_MAGIC, dsm_segment_address(seg));
	if (toc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("invalid magic number in dynamic shared memory segment")));

	/* From here on, errors and notices go to the caller. */
	queue = shm_toc_lookup(toc, WORKER_KEY_QUEUE, false);
	shm_mq_set_sender(queue, MyProc);
	pq_redirect_to_shm_mq(seg, shm_mq_attach(queue, seg, NULL));

	header = shm_toc_lookup(toc, WORKER_KEY_HEADER, false);
	tenancy_worker_connect(header->database, header->role);
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name, PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("tenancy.progress_interval", psprintf("%d", header->progress_interval), PGC_USERSET, PGC_S_SESSION);
	if (!receive_job(shm_toc_lookup(toc, WORKER_KEY_JOB, false), seg, &job))
		return;
	processed = run_job(&job);
	if (job.function[0] != '\0')
		call_function(job.function, job.argument);

	pq_beginmessage(&message, MESSAGE_DONE);
	pq_sendint64(&message, (int64) processed);
	pq_endmessage(&message);
}


/* ----------------------------------------------------------------
 * Waiting
 * ----------------------------------------------------------------
 */

static shm_mq *
make_queue(shm_toc *toc, uint64 key)
{
	shm_mq	   *queue = shm_mq_create(shm_toc_allocate(toc, WORKER_QUEUE_SIZE), WORKER_QUEUE_SIZE);

	shm_toc_insert(toc, key, queue);
	return queue;
}

/* A new segment, with the two queues. */
static void
make_segment(TenancyWorker *worker, Oid database)
{
	shm_toc_estimator estimator;
	shm_toc    *toc;
	Size		size;
	WorkerHeader *header;
	shm_mq	   *job;
	shm_mq	   *queue;

	shm_toc_initialize_estimator(&estimator);
	shm_toc_estimate_chunk(&estimator, sizeof(WorkerHeader));
	shm_toc_estimate_chunk(&estimator, WORKER_QUEUE_SIZE);
	shm_toc_estimate_chunk(&estimator, WORKER_QUEUE_SIZE);
	shm_toc_estimate_keys(&estimator, 3);
	size = shm_toc_estimate(&estimator);

	worker->seg = dsm_create(size, 0);
	toc = shm_toc_create(WORKER_MAGIC, dsm_segment_address(worker->seg), size);

	header = shm_toc_allocate(toc, sizeof(WorkerHeader));
	header->database = database;
	header->role = tenancy_registry_owner();
	header->progress_interval = tenancy_guc_progress_interval;
	shm_toc_insert(toc, WORKER_KEY_HEADER, header);

	job = make_queue(toc, WORKER_KEY_JOB);
	shm_mq_set_sender(job, MyProc);
	worker->job = shm_mq_attach(job, worker->seg, NULL);
	queue = make_queue(toc, WORKER_KEY_QUEUE);
	shm_mq_set_receiver(queue, MyProc);
	worker->queue = shm_mq_attach(queue, worker->seg, NULL);
}

/* Write a job's steps as read_steps() reads them. */
static void
write_steps(StringInfo steps, const TenancyJob *job)
{
	ListCell   *lc;

	foreach(lc, job->steps)
	{
		TenancyStep *step = lfirst(lc);
		StepHeader	header;

		memset(&header, 0, sizeof(header));
		header.toplevel = step->toplevel;
		header.commit_before = step->commit_before;
		header.noforce_rls = step->noforce_rls;
		header.has_tenant = step->tenant != NULL;
		if (step->tenant != NULL)
			header.tenant = *step->tenant;
		header.role = step->role;
		header.path_size = strlen(step->search_path) + 1;
		header.sql_size = strlen(step->sql) + 1;
		header.expectation_size =
			step->expectation ? strlen(step->expectation) + 1 : 0;
		header.rows_size = step->rows ? strlen(step->rows) + 1 : 0;
		appendBinaryStringInfo(steps, (char *) &header, sizeof(header));
		appendBinaryStringInfo(steps, step->search_path, header.path_size);
		appendBinaryStringInfo(steps, step->sql, header.sql_size);
		if (step->expectation != NULL)
			appendBinaryStringInfo(steps, step->expectation, header.expectation_size);
		if (step->rows != NULL)
			appendBinaryStringInfo(steps, step->rows, header.rows_size);
	}
}

/* Hand a job to a worker.  If that has failed already, it says why itself. */
static void
send_job(TenancyWorker *worker, const TenancyJob *job)
{
	const char *argument = job->argument ? job->argument : "";
	StringInfoData steps;
	JobHeader	header;
	shm_mq_iovec parts[3];

	initStringInfo(&steps);
	write_steps(&steps, job);
	memset(&header, 0, sizeof(header));
	header.nsteps = list_length(job->steps);
	header.steps_size = steps.len;
	strlcpy(header.function, job->function ? job->function : "", NAMEDATALEN);
	parts[0].data = (char *) &header;
	parts[0].len = sizeof(header);
	parts[1].data = steps.data;
	parts[1].len = steps.len;
	parts[2].data = argument;
	parts[2].len = strlen(argument) + 1;
	(void) shm_mq_sendv(worker->job, parts, lengthof(parts), false, true);
	pfree(steps.data);
}

static void
init_worker(BackgroundWorker *worker, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	worker->bgw_notify_pid = MyProcPid;
	snprintf(worker->bgw_library_name, BGW_MAXLEN, "tenancy");
	snprintf(worker->bgw_function_name, BGW_MAXLEN, "%s", function);
	snprintf(worker->bgw_name, BGW_MAXLEN, WORKER_NAME, MyProcPid);
	snprintf(worker->bgw_type, BGW_MAXLEN, "tenancy worker");
}

/* The processes whose locks one waits for. */
static List *
add_blockers(List *processes, int pid)
{
	ArrayType  *blockers = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, Int32GetDatum(pid)));
	Datum	   *pids;
	int			npids;

	deconstruct_array(blockers, INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, NULL, &npids);
	for (int i = 0; i < npids; i++)
		processes = list_append_unique_int(processes, DatumGetInt32(pids[i]));
	pfree(pids);
	return processes;
}

/* And the workers that it waits for, if it does: they are called after it. */
static List *
add_workers(List *processes, int pid)
{
	int			nbackends = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= nbackends; i++)
	{
		PgBackendStatus *backend = &tenancy_get_backend_status(i)->backendStatus;
		int			caller;

		if (backend->st_backendType == B_BG_WORKER &&
			sscanf(backend->st_appname, WORKER_NAME, &caller) == 1 && caller == pid)
			processes = list_append_unique_int(processes, backend->st_procpid);
	}
	return processes;
}

/*
 * Does the process wait, by itself or through others, for us?  For a lock of ours, or
 * for the job that we do.  And is there one among the others who waits for a worker as
 * we do, and is to fail rather than we?
 */
static bool
waits_for_us(int pid, bool *rival)
{
	List	   *processes = add_blockers(NIL, pid);
	bool		found;

	*rival = false;
	if (processes == NIL)
		return false;

	/* What was there a while ago is no help. */
	pgstat_clear_backend_activity_snapshot();

	/* It grows while we walk it. */
	for (int i = 0; i < list_length(processes); i++)
	{
		int			process = list_nth_int(processes, i);
		int			before;

		CHECK_FOR_INTERRUPTS();
		if (process == MyProcPid)
			break;
		processes = add_blockers(processes, process);
		before = list_length(processes);
		processes = add_workers(processes, process);
		if (list_length(processes) > before && process > MyProcPid)
			*rival = true;
	}
	found = list_member_int(processes, MyProcPid);
	list_free(processes);
	return found;
}

/* Fail if there is a deadlock, unless somebody else should; "found" counts how often that was so. */
static void
check_deadlock(BackgroundWorkerHandle *handle, int *found)
{
	pid_t		pid;
	bool		rival;

	if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STARTED || !waits_for_us(pid, &rival))
		*found = 0;
	else if (!rival || ++*found > DEADLOCK_PATIENCE)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_DEADLOCK_DETECTED),
				 errmsg("deadlock detected"),
				 errdetail("A background worker that does this transaction's work waits for a lock that the transaction holds."),
				 errhint("Commit the transaction first, then call the function again.")));
}

/* Handle a message; returns true if it is the last one. */
static bool
handle_message(const TenancyJob *job, char *data, Size size, uint64 *processed)
{
	StringInfoData message;
	char		type;

	initStringInfo(&message);
	appendBinaryStringInfo(&message, data, size);
	type = pq_getmsgbyte(&message);
	if (type == 'E' || type == 'N')
	{
		ErrorData	edata;

		pq_parse_errornotice(&message, &edata);

		/* A worker's death is not ours. */
		edata.elevel = Min(edata.elevel, ERROR);
		ThrowErrorData(&edata);
	}
	else if (type == MESSAGE_DONE)
	{
		*processed = (uint64) pq_getmsgint64(&message);
		return true;
	}
	else if (type == MESSAGE_DATA && job->receive != NULL)
		job->receive(&message, job->receive_arg);
	pfree(message.data);
	return false;
}

/* Pass on what the worker sends until it has done its job. */
static uint64
wait_for_worker(const TenancyJob *job, TenancyWorker *worker)
{
	uint64		processed = 0;
	int			deadlocks = 0;

	for (;;)
	{
		Size		size;
		void	   *data;
		shm_mq_result result = shm_mq_receive(worker->queue, &size, &data, true);

		if (result == SHM_MQ_SUCCESS)
		{
			if (handle_message(job, data, size, &processed))
				return processed;
			continue;
		}
		if (result == SHM_MQ_DETACHED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("lost connection to the background worker"),
					 errhint("The server's log may tell why it ended.")));

		if (WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					  DeadlockTimeout, PG_WAIT_EXTENSION) & WL_TIMEOUT)
			check_deadlock(worker->handle, &deadlocks);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* End a worker whose caller failed, and wait until it is gone. */
static void
abandon_worker(int code, Datum arg)
{
	BackgroundWorkerHandle *handle = (BackgroundWorkerHandle *) DatumGetPointer(arg);

	TerminateBackgroundWorker(handle);
	tenancy_worker_linger(handle, 10000);
}

/* Workers that have done their work, and may be ending still. */
static List *leaving = NIL;

/* Nobody waits for the end of a worker any more, unless its place is needed. */
void
tenancy_worker_leave(BackgroundWorkerHandle *handle)
{
	MemoryContext old;
	ListCell   *lc;
	pid_t		pid;

	foreach(lc, leaving)
	{
		if (GetBackgroundWorkerPid(lfirst(lc), &pid) != BGWH_STOPPED)
			continue;
		pfree(lfirst(lc));
		leaving = foreach_delete_current(leaving, lc);
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	leaving = lappend(leaving, handle);
	MemoryContextSwitchTo(old);
}

/* Without throwing.  The handle lives as long as the session. */
static bool
register_worker(BackgroundWorker *worker, BackgroundWorkerHandle **handle)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		registered = RegisterDynamicBackgroundWorker(worker, handle);

	if (!registered && leaving != NIL)
	{
		ListCell   *lc;

		foreach(lc, leaving)
			tenancy_worker_linger(lfirst(lc), LEAVE_TIMEOUT_MS);
		registered = RegisterDynamicBackgroundWorker(worker, handle);
	}
	MemoryContextSwitchTo(old);
	return registered;
}

/*
 * Start a worker in a database, which connects and waits for its job.  Returns
 * NULL if there is no room for one.  If the caller's transaction fails first, it
 * ends.
 */
TenancyWorker *
tenancy_worker_start(Oid database)
{
	TenancyWorker *worker = palloc0(sizeof(TenancyWorker));
	BackgroundWorker registration;

	make_segment(worker, database);
	init_worker(&registration, "tenancy_worker_main");
	registration.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(worker->seg));
	if (!register_worker(&registration, &worker->handle))
	{
		dsm_detach(worker->seg);
		return NULL;
	}
	shm_mq_set_handle(worker->job, worker->handle);
	shm_mq_set_handle(worker->queue, worker->handle);
	return worker;
}

/* There is nothing to do for it after all: it ends. */
void
tenancy_worker_dismiss(TenancyWorker *worker)
{
	dsm_detach(worker->seg);
	tenancy_worker_leave(worker->handle);
}

/*
 * Run a job in a worker that was started in the job's database, and wait for it.
 * The worker's error becomes ours.  Returns the number of rows that the last step
 * processed.
 */
uint64
tenancy_worker_run_in(TenancyWorker *worker, TenancyJob *job)
{
	uint64		processed = 0;

	PG_ENSURE_ERROR_CLEANUP(abandon_worker, PointerGetDatum(worker->handle));
	{
		send_job(worker, job);
		processed = wait_for_worker(job, worker);
	}
	PG_END_ENSURE_ERROR_CLEANUP(abandon_worker, PointerGetDatum(worker->handle));

	if (!job->leave)
		(void) WaitForBackgroundWorkerShutdown(worker->handle);
	tenancy_worker_leave(worker->handle);
	dsm_detach(worker->seg);

	/* See what the worker committed. */
	AcceptInvalidationMessages();
	return processed;
}

/* The same in a new worker. */
uint64
tenancy_worker_run(TenancyJob *job)
{
	TenancyWorker *worker = tenancy_worker_start(job->database);

	if (worker == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free"),
				 errhint("Try again later, or increase max_worker_processes.")));
	return tenancy_worker_run_in(worker, job);
}

/*
 * Start a worker from a transaction's end, where nothing may fail; returns
 * NULL if there is no room for one.  The function finds its argument in
 * MyBgworkerEntry->bgw_extra.
 */
BackgroundWorkerHandle *
tenancy_worker_launch(const char *function, const void *extra, Size size)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle = NULL;

	init_worker(&worker, function);
	Assert(size <= BGW_EXTRALEN);
	memcpy(worker.bgw_extra, extra, size);
	if (!register_worker(&worker, &handle))
		return NULL;
	return handle;
}

/*
 * Wait for a worker's end, but not for ever, and without throwing: for the
 * end of a transaction, where interrupts are held off.  The barriers that
 * CREATE and DROP DATABASE wait for must be passed all the same.
 */
void
tenancy_worker_linger(BackgroundWorkerHandle *handle, int timeout_ms)
{
	TimestampTz start = GetCurrentTimestamp();
	pid_t		pid;

	while (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
	{
		int			rc;

		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), timeout_ms))
			return;
		rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH,
					   10, PG_WAIT_EXTENSION);
		if (rc & WL_POSTMASTER_DEATH)
			return;
		ResetLatch(MyLatch);
		if (ProcSignalBarrierPending)
			ProcessProcSignalBarrier();
	}
}
