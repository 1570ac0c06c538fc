/*-------------------------------------------------------------------------
 *
 * session.c
 *	  Which tenant each session acts for, known to the others.
 *
 * A tenant context is a setting, and thus a session's own affair.  Who wants
 * to see which sessions act for a tenant, or to end these, needs to be told.
 * Where the library is preloaded by the server, each session notes the value of
 * its context in a slot in shared memory.  Where it is not, nobody is told;
 * nothing that keeps tenants apart depends on it.
 *
 * Invariants:
 *
 * - A slot says what the setting says: guc.c notes each assignment, among them
 *	 those that PostgreSQL makes when a transaction or savepoint ends.  The
 *	 sessions of a tenant's own database have its context from their start.
 *	 Parallel workers, which go with their leader, and our own workers do not
 *	 show, nor does a session while the extension itself acts for a tenant in it.
 * - Sessions are ended when the transaction that asked for it has committed, and
 *	 its invalidation messages are out: after that, whoever notes the tenant
 *	 and then checks his context (context_check() reads the messages first)
 *	 finds it suspended, and whoever checked before has noted it before.
 * - A session is signalled under the lock of its slot.  It cannot leave the tenant
 *	 meanwhile, or the server; so that another tenant's transaction, or whoever
 *	 has got the process id since, is never ended in its place.
 *
 * Locks: one for each slot, for a few instructions, or for a call of kill().
 * Nobody ever holds two.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "postmaster/bgworker.h"
#include "session.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_session_contexts);

#define TRANCHE "tenancy_session"

/* No two are in a line of the processor's cache: each session writes its own. */
typedef struct pg_attribute_aligned(PG_CACHE_LINE_SIZE) Slot
{
	bool		is_set;
	int			pid;
	Oid			database;
	pg_uuid_t	tenant;
} Slot;

/* One for each process that may have a session; NULL if there is no memory for them */
static Slot *slots = NULL;
static LWLockPadded *locks = NULL;

/* This session's slot */
static bool is_noted = false;
static bool is_registered = false;	/* session_exit() is */
static bool is_leaving = false;

/* A tenant whose sessions are to end when the transaction commits */
typedef struct Ending
{
	pg_uuid_t	tenant;
	SubTransactionId subxact;
} Ending;

static List *endings = NIL;		/* in TopTransactionContext */


/* ----------------------------------------------------------------
 * Shared memory
 * ----------------------------------------------------------------
 */

static Size
memory_size(void)
{
	return mul_size(MaxBackends, sizeof(Slot));
}

void
tenancy_session_request_memory(void)
{
	RequestAddinShmemSpace(memory_size());
	RequestNamedLWLockTranche(TRANCHE, MaxBackends);
}

void
tenancy_session_attach_memory(void)
{
	bool		found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slots = ShmemInitStruct(TRANCHE, memory_size(), &found);
	if (!found)
		memset(slots, 0, memory_size());
	LWLockRelease(AddinShmemInitLock);
	locks = GetNamedLWLockTranche(TRANCHE);
}


/* ----------------------------------------------------------------
 * Noting
 * ----------------------------------------------------------------
 */

static void
set_slot(const pg_uuid_t *tenant)
{
	Slot	   *slot = &slots[TENANCY_PROC_NUMBER];
	LWLock	   *lock = &locks[TENANCY_PROC_NUMBER].lock;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	slot->is_set = (tenant != NULL);
	if (tenant != NULL)
	{
		slot->pid = MyProcPid;
		slot->database = MyDatabaseId;
		slot->tenant = *tenant;
	}
	LWLockRelease(lock);
	is_noted = (tenant != NULL);
}

/* What ends a transaction at the exit may bring a session's own context back. */
static void
session_exit(int code, Datum arg)
{
	is_leaving = true;
	set_slot(NULL);
}

/* Is this a client's session, or what does such a one's work in the background? */
static bool
is_session(void)
{
	return MyProc != NULL && !is_leaving && !IsParallelWorker() &&
		(MyBackendType == B_BACKEND ||
		 (MyBackendType == B_BG_WORKER && strcmp(MyBgworkerEntry->bgw_library_name, "tenancy") != 0));
}

/* This session acts for that tenant from now on, or for none. */
void
tenancy_session_note(const pg_uuid_t *tenant)
{
	if (slots == NULL || (tenant == NULL && !is_noted) || !is_session())
		return;
	if (!is_registered)
		before_shmem_exit(session_exit, 0);
	is_registered = true;
	set_slot(tenant);
}

/* Refuse what needs to know of other sessions. */
void
tenancy_session_require(void)
{
	if (slots == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("which sessions act for a tenant is known only if \"tenancy\" is in shared_preload_libraries"),
				 errhint("Add it there, and restart the server.")));
}


/* ----------------------------------------------------------------
 * Ending
 * ----------------------------------------------------------------
 */

/* End all sessions of this database that act for the tenant, but our own. */
static void
end_sessions(const pg_uuid_t *tenant)
{
	for (int i = 0; i < MaxBackends; i++)
	{
		Slot	   *slot = &slots[i];
		LWLock	   *lock = &locks[i].lock;

		LWLockAcquire(lock, LW_SHARED);
		if (slot->is_set && slot->database == MyDatabaseId && slot->pid != MyProcPid &&
			memcmp(&slot->tenant, tenant, sizeof(pg_uuid_t)) == 0)
			(void) kill(slot->pid, SIGTERM);
		LWLockRelease(lock);
	}
}

/* Do so when the transaction has committed. */
void
tenancy_session_end(const pg_uuid_t *tenant)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Ending	   *ending = palloc(sizeof(Ending));

	ending->tenant = *tenant;
	ending->subxact = GetCurrentSubTransactionId();
	endings = lappend(endings, ending);
	MemoryContextSwitchTo(old);
}

/*
 * The callback of a transaction's end comes before its invalidation messages are
 * sent.  This one is the next after that.
 */
static void
release_callback(ResourceReleasePhase phase, bool is_commit, bool is_top_level, void *arg)
{
	List	   *due = endings;
	ListCell   *lc;

	if (due == NIL || phase != RESOURCE_RELEASE_AFTER_LOCKS || !is_top_level)
		return;
	endings = NIL;
	if (!is_commit)
		return;
	foreach(lc, due)
		end_sessions(&((Ending *) lfirst(lc))->tenant);
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_PREPARE && endings != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that ends the sessions of a tenant")));
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subid,
				 SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(lc, endings)
	{
		Ending	   *ending = lfirst(lc);

		if (ending->subxact != subid)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			ending->subxact = parent;
		else
			endings = foreach_delete_current(endings, lc);
	}
}


/* ----------------------------------------------------------------
 * Asking
 * ----------------------------------------------------------------
 */

/* session_contexts(): the sessions of all databases that act for a tenant */
Datum
tenancy_session_contexts(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	tenancy_session_require();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < MaxBackends; i++)
	{
		Slot		slot;
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		LWLockAcquire(&locks[i].lock, LW_SHARED);
		slot = slots[i];
		LWLockRelease(&locks[i].lock);
		if (!slot.is_set)
			continue;
		values[0] = Int32GetDatum(slot.pid);
		values[1] = ObjectIdGetDatum(slot.database);
		values[2] = UUIDPGetDatum(&slot.tenant);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

void
tenancy_session_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	RegisterResourceReleaseCallback(release_callback, NULL);
}
