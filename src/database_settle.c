/*-------------------------------------------------------------------------
 *
 * database_settle.c
 *	  What is to be done with tenants' databases when a transaction has ended.
 *
 * PostgreSQL creates and drops databases outside any transaction block, while
 * the tenant that a database belongs to comes and goes with the caller's
 * transaction.  What joins the two is a row of tenancy.pending_database for
 * each piece of work, keyed by tenant, that names the database by OID and the
 * (sub)transaction that asked for it.  "Settling" a tenant means to look at
 * its rows once that transaction has ended, do what its end calls for, and
 * delete them:
 *
 *	 create		 The row is committed by the worker, before the database is
 *				 created.  Aborted: drop the database.  The creating transaction
 *				 itself deletes the row, so that its commit leaves nothing to do.
 *	 drop		 The row is the caller's own, as are those below, so that it
 *				 exists only if the caller committed: drop the database.
 *	 disconnect	 End the sessions that are in the database, and may not be.
 *	 rename		 Tell the registry inside the database its tenant's new name.
 *	 keys		 Give the database the keys of tokens.
 *	 modules	 Tell the registry inside the database what plug-ins its tenant has.
 *
 * At the end of the transaction its backend launches a worker that settles,
 * and lingers a moment for it, so that whoever looks next sees the result.
 * If backend, worker or server die instead, the row stays, and repair()
 * settles.  All of these settle in the same way; it may be repeated.
 *
 * The keys of tokens are the application's.  Each tenant's database gets them
 * when it is created, and anew when one changes, for which one worker settles
 * all tenants, one after the other.
 *
 * Locks: the worker that creates a database holds its pending row's lock
 * meanwhile, so that settling waits for it.  Whoever changes a key holds the
 * key lock in exclusive mode, whoever gives the keys to a new database in share
 * mode, to the end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "database_settle.h"
#include "exec.h"
#include "executor/spi.h"
#include "ident.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "worker.h"

/* How long the end of a transaction lingers for the worker that settles. */
#define LINGER_MS 5000

/* A tenant to be settled when the current transaction ends. */
typedef struct Unsettled
{
	pg_uuid_t	tenant_id;
	Oid			role;			/* the extension's owner */
	bool		on_commit;		/* else on abort */
	bool		holds_lock;		/* the transaction has locked the database */
	SubTransactionId subxact;
} Unsettled;

/* What a settling worker is told. */
typedef struct SettleArgs
{
	Oid			database;		/* the application's */
	Oid			role;			/* the extension's owner */
	pg_uuid_t	tenant_id;
} SettleArgs;

/* Stands for all tenants whose databases wait for keys. */
static const pg_uuid_t all_tenants = {{0}};

static List *unsettled = NIL;

PGDLLEXPORT void tenancy_database_settle_main(Datum main_arg);
PGDLLEXPORT void tenancy_database_receive_keys(const char *keys);


/* ----------------------------------------------------------------
 * The end of the transaction
 * ----------------------------------------------------------------
 */

static void
settle_at_end(const pg_uuid_t *tenant_id, bool on_commit, bool holds_lock)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Unsettled  *entry = palloc(sizeof(Unsettled));

	entry->tenant_id = *tenant_id;
	entry->role = tenancy_registry_owner();
	entry->on_commit = on_commit;
	entry->holds_lock = holds_lock;
	entry->subxact = GetCurrentSubTransactionId();
	unsettled = lappend(unsettled, entry);
	MemoryContextSwitchTo(old);
}

static BackgroundWorkerHandle *
launch_worker(const pg_uuid_t *tenant_id, Oid role)
{
	SettleArgs	args;

	memset(&args, 0, sizeof(args));
	args.database = MyDatabaseId;
	args.role = role;
	args.tenant_id = *tenant_id;
	return tenancy_worker_launch("tenancy_database_settle_main",
								 &args, sizeof(args));
}

/*
 * Does the transaction hold a lock that settling needs?  To linger would only
 * make both wait.
 */
static bool
blocks_settling(void)
{
	ListCell   *lc;

	foreach(lc, unsettled)
	{
		if (((Unsettled *) lfirst(lc))->holds_lock)
			return true;
	}
	return false;
}

/* Have a worker settle; nothing here may fail. */
static void
launch_settling(const Unsettled *entry)
{
	BackgroundWorkerHandle *handle = launch_worker(&entry->tenant_id, entry->role);

	if (handle == NULL)
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free to finish the work on a tenant's database"),
				 errhint("Call tenancy.repair() later, or increase max_worker_processes.")));
	else if (!proc_exit_inprogress && !blocks_settling())
		tenancy_worker_linger(handle, LINGER_MS);
}

static void
xact_callback(XactEvent event, void *arg)
{
	ListCell   *lc;

	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			foreach(lc, unsettled)
			{
				Unsettled  *entry = lfirst(lc);

				if (entry->on_commit == (event == XACT_EVENT_COMMIT))
					launch_settling(entry);
			}
			unsettled = NIL;	/* freed with the transaction */
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (unsettled != NIL)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has worked on a tenant's database")));
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subid,
				 SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	foreach(lc, unsettled)
	{
		Unsettled  *entry = lfirst(lc);

		if (entry->subxact != subid)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
		{
			entry->subxact = parent;
			continue;
		}
		if (!entry->on_commit)
			launch_settling(entry);
		unsettled = foreach_delete_current(unsettled, lc);
	}
}

void
tenancy_database_settle_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* Text of the current (sub)transaction's id, as xid8. */
char *
tenancy_database_settle_xid(void)
{
	return psprintf(UINT64_FORMAT,
					U64FromFullTransactionId(GetCurrentFullTransactionId()));
}

/* The current (sub)transaction creates a tenant's database: what if it does not commit? */
void
tenancy_database_settle_creation(const TenancyTenant *tenant)
{
	settle_at_end(&tenant->id, false, false);
}

/*
 * Delete the pending row of a tenant that we, its creator, no longer need.  (An earlier
 * tenant of the id may have left a database that is still to be dropped.)
 * The worker committed it after our snapshot was taken, perhaps, so that
 * DELETE under REPEATABLE READ would not see it.
 */
void
tenancy_database_settle_forget(const TenancyTenant *tenant)
{
	Relation	rel = table_open(tenancy_registry_relation("pending_database"),
								 RowExclusiveLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pending_database_tenant_id, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&tenant->id));
	ScanKeyEntryInitialize(&keys[1], 0, Anum_pending_database_action, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum("create"));
	scan = systable_beginscan(rel, tenancy_registry_relation("pending_database_pkey"),
							  true, NULL, lengthof(keys), keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		simple_heap_delete(rel, &tuple->t_self);
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* Note work on a tenant's database for the case that the caller commits. */
void
tenancy_database_settle_later(const TenancyTenant *tenant, const char *action, bool holds_lock)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "INSERT INTO tenancy.pending_database (tenant_id, action, database_oid, xid)"
						   " SELECT '%s', '%s', d.oid, '%s' FROM pg_catalog.pg_database d"
						   " WHERE d.datname OPERATOR(pg_catalog.=) %s"
						   " ON CONFLICT (tenant_id, action) DO UPDATE SET"
						   " database_oid = excluded.database_oid, xid = excluded.xid",
						   tenancy_ident_uuid_text(&tenant->id), action,
						   tenancy_database_settle_xid(),
						   quote_literal_cstr(tenant->database_name));
	settle_at_end(&tenant->id, true, holds_lock);
}


/* ----------------------------------------------------------------
 * Settling
 * ----------------------------------------------------------------
 */

typedef struct PendingRow
{
	char	   *action;
	char	   *database;		/* NULL if there is none, or it is not ours */
	Oid			database_oid;
	char	   *outcome;		/* of the transaction, see pg_xact_status() */
} PendingRow;

/*
 * Lock and read a tenant's pending rows, in a transaction.  Waits for the
 * worker that creates the database, should it be at it.
 *
 * CREATE DATABASE ... TEMPLATE copies pending rows, too: what is not this
 * database's is none of its business.  A database that is being created need
 * not say yet whose it is.
 */
static List *
read_pending(const char *tenant_id)
{
	TenancyExec exec;
	List	   *rows = NIL;
	uint64		nrows;

	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("SELECT FROM tenancy.pending_database"
						" WHERE tenant_id OPERATOR(pg_catalog.=) '%s' FOR UPDATE",
						tenant_id);
	nrows = tenancy_exec_format("SELECT p.action, d.datname, p.database_oid,"
								" COALESCE(pg_catalog.pg_xact_status(p.xid),"
								"  CASE WHEN t.id IS NULL THEN 'aborted' ELSE 'committed' END)"
								" FROM tenancy.pending_database p"
								" LEFT JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) p.tenant_id"
								" LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) p.database_oid"
								"  AND (p.action OPERATOR(pg_catalog.=) 'create' OR " TENANCY_DATABASE_IS_OURS ")"
								" WHERE p.tenant_id OPERATOR(pg_catalog.=) '%s' ORDER BY p.action",
								MyDatabaseId, tenant_id);
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		PendingRow *row = palloc0(sizeof(PendingRow));
		char	   *database = SPI_getvalue(tuple, desc, 2);

		row->action = pstrdup(SPI_getvalue(tuple, desc, 1));
		row->database = database ? pstrdup(database) : NULL;
		row->database_oid = atooid(SPI_getvalue(tuple, desc, 3));
		row->outcome = pstrdup(SPI_getvalue(tuple, desc, 4));
		rows = lappend(rows, row);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	PopActiveSnapshot();
	return rows;
}

static void
delete_pending(const char *tenant_id, const char *action)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "DELETE FROM tenancy.pending_database"
						   " WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
						   " AND action OPERATOR(pg_catalog.=) '%s'",
						   tenant_id, action);
	PopActiveSnapshot();
}

/* End the sessions that are in the database but may not be. */
static void
disconnect(const PendingRow *row)
{
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "SELECT pg_catalog.pg_terminate_backend(a.pid)"
						   " FROM pg_catalog.pg_stat_activity a"
						   " JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) a.datid"
						   " WHERE d.oid OPERATOR(pg_catalog.=) %u"
						   " AND a.backend_type OPERATOR(pg_catalog.=) 'client backend'"
						   " AND (NOT d.datallowconn OR NOT"
						   "  pg_catalog.has_database_privilege(a.usesysid, d.oid, 'CONNECT'))",
						   row->database_oid);
	PopActiveSnapshot();
}

/* Tell the registry inside a tenant's database what its tenant is called now. */
static void
rename_inside(const char *tenant_id, const PendingRow *row)
{
	TenancyExec exec;
	char	   *update;

	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	update = tenancy_exec_text_format(&exec,
									  "SELECT pg_catalog.format('UPDATE tenancy.tenant SET slug = %%L,"
									  " database_name = %%L WHERE id OPERATOR(pg_catalog.=) %%L',"
									  " slug, database_name, id)"
									  " FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s'",
									  tenant_id);
	tenancy_exec_end(&exec);
	PopActiveSnapshot();
	if (update != NULL)
	{
		TenancyJob *job = tenancy_worker_job(row->database_oid);

		tenancy_worker_add(job, "%s", update);
		(void) tenancy_worker_run(job);
	}
}

/* What enters a tenant's plug-ins in the registry of its own database. */
char *
tenancy_database_settle_modules(const char *tenant_id)
{
	char	   *modules = tenancy_exec_text_as(tenancy_registry_owner(),
											   "SELECT COALESCE(pg_catalog.array_agg(module), '{}') FROM tenancy.tenant_module"
											   " WHERE tenant_id OPERATOR(pg_catalog.=) '%s'", tenant_id);

	return psprintf("DELETE FROM tenancy.tenant_module WHERE tenant_id OPERATOR(pg_catalog.=) '%s';"
					"INSERT INTO tenancy.tenant_module SELECT '%s', pg_catalog.unnest(%s::pg_catalog.text[])",
					tenant_id, tenant_id, quote_literal_cstr(modules));
}

static void
send_modules(const char *tenant_id, const PendingRow *row)
{
	TenancyJob *job = tenancy_worker_job(row->database_oid);

	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_worker_add(job, "%s", tenancy_database_settle_modules(tenant_id));
	PopActiveSnapshot();
	(void) tenancy_worker_run(job);
}

/* The keys of tokens, for tenancy_database_receive_keys(); NULL if there is none. */
char *
tenancy_database_settle_keys(void)
{
	TenancyExec exec;
	char	   *keys;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	keys = tenancy_exec_text(&exec, "SELECT pg_catalog.json_agg(k) FROM tenancy.token_key k");
	tenancy_exec_end(&exec);
	return keys;
}

static void
send_keys(const PendingRow *row)
{
	TenancyJob *job = tenancy_worker_job(row->database_oid);
	char	   *keys;

	PushActiveSnapshot(GetTransactionSnapshot());
	keys = tenancy_database_settle_keys();
	PopActiveSnapshot();
	job->function = "tenancy_database_receive_keys";
	job->argument = keys ? keys : "[]";
	(void) tenancy_worker_run(job);
}

/*
 * What a worker in a tenant's database does with them.  They are a parameter,
 * not part of the statement, because an error would quote that.
 */
void
tenancy_database_receive_keys(const char *keys)
{
	TenancyExec exec;
	Oid			type = TEXTOID;
	Datum		value;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	value = CStringGetTextDatum(keys);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_sql("DELETE FROM tenancy.token_key");
	if (SPI_execute_with_args("INSERT INTO tenancy.token_key SELECT *"
							  " FROM pg_catalog.json_populate_recordset(NULL::tenancy.token_key, $1::json)",
							  1, &type, &value, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert token keys");
	tenancy_exec_end(&exec);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Settle one piece of work.  A row whose transaction has not ended is left to
 * that transaction.
 */
static bool
settle_row(const char *tenant_id, const PendingRow *row)
{
	bool		aborted = strcmp(row->outcome, "aborted") == 0;
	bool		creation = strcmp(row->action, "create") == 0;

	if (strcmp(row->outcome, "in progress") == 0)
		return false;

	if (row->database != NULL)
	{
		if (strcmp(row->action, "drop") == 0)
			disconnect(row);
		if (creation ? aborted : strcmp(row->action, "drop") == 0)
			tenancy_worker_toplevel(psprintf("DROP DATABASE %s WITH (FORCE)",
											 quote_identifier(row->database)));
		else if (strcmp(row->action, "disconnect") == 0)
			disconnect(row);
		else if (strcmp(row->action, "rename") == 0)
			rename_inside(tenant_id, row);
		else if (strcmp(row->action, "keys") == 0)
			send_keys(row);
		else if (strcmp(row->action, "modules") == 0)
			send_modules(tenant_id, row);
	}
	delete_pending(tenant_id, row->action);
	return true;
}

/*
 * Settle a tenant.  One transaction for each row, because DROP DATABASE must
 * be the first thing that cannot be undone.
 */
static void
settle(const pg_uuid_t *id)
{
	int			left = 0;
	bool		more = true;

	while (more)
	{
		char	   *tenant_id;
		List	   *rows;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		tenant_id = tenancy_ident_uuid_text(id);
		rows = read_pending(tenant_id);
		more = list_length(rows) > left;
		if (more && !settle_row(tenant_id, list_nth(rows, left)))
			left++;
		CommitTransactionCommand();
	}
}

/* The tenants whose databases wait for keys. */
static List *
tenants_without_keys(void)
{
	List	   *ids = NIL;
	List	   *texts;
	ListCell   *lc;
	MemoryContext old;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	texts = tenancy_exec_list_as(tenancy_registry_owner(),
								 "SELECT tenant_id FROM tenancy.pending_database"
								 " WHERE action OPERATOR(pg_catalog.=) 'keys' ORDER BY tenant_id");
	PopActiveSnapshot();
	old = MemoryContextSwitchTo(TopMemoryContext);
	foreach(lc, texts)
	{
		pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

		if (tenancy_ident_parse_uuid(lfirst(lc), id))
			ids = lappend(ids, id);
	}
	MemoryContextSwitchTo(old);
	CommitTransactionCommand();
	return ids;
}

/* Settle a tenant; what goes wrong is reported, and does not stop us. */
static pg_noinline void
try_to_settle(const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		settle(id);
	}
	PG_CATCH();
	{
		EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		CHECK_FOR_INTERRUPTS();
	}
	PG_END_TRY();
}

static void
settle_keys(void)
{
	ListCell   *lc;

	foreach(lc, tenants_without_keys())
		try_to_settle(lfirst(lc));
}

/* A worker's entry point: settle a tenant, or the keys of all. */
void
tenancy_database_settle_main(Datum main_arg)
{
	SettleArgs	args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	tenancy_worker_connect(args.database, args.role);
	if (memcmp(&args.tenant_id, &all_tenants, UUID_LEN) == 0)
		settle_keys();
	else
		settle(&args.tenant_id);
}

/* Settle a tenant and wait until that is done. */
void
tenancy_database_settle(const pg_uuid_t *tenant_id)
{
	BackgroundWorkerHandle *handle = launch_worker(tenant_id, tenancy_registry_owner());

	if (handle == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free"),
				 errhint("Try again later, or increase max_worker_processes.")));
	(void) WaitForBackgroundWorkerShutdown(handle);
}


/* ----------------------------------------------------------------
 * Keys of tokens
 * ----------------------------------------------------------------
 */

/* In exclusive mode, nobody gives a new database the keys, and the other way round. */
void
tenancy_database_lock_keys(LOCKMODE mode)
{
	LockDatabaseObject(RelationRelationId, tenancy_registry_relation("token_key"), 1, mode);
}

/*
 * The caller has changed a key of tokens: when it commits, the tenants'
 * databases are to have them as they are then.
 */
void
tenancy_database_share_keys(void)
{
	uint64		databases;

	tenancy_database_lock_keys(ExclusiveLock);
	databases = tenancy_exec_format_as(tenancy_registry_owner(),
									   "INSERT INTO tenancy.pending_database (tenant_id, action, database_oid, xid)"
									   " SELECT t.id, 'keys', d.oid, '%s' FROM tenancy.tenant t"
									   " JOIN pg_catalog.pg_database d ON d.datname OPERATOR(pg_catalog.=) t.database_name"
									   " WHERE " TENANCY_DATABASE_IS_OURS
									   " ORDER BY t.id"
									   " ON CONFLICT (tenant_id, action) DO UPDATE SET"
									   " database_oid = excluded.database_oid, xid = excluded.xid",
									   tenancy_database_settle_xid(), MyDatabaseId);
	if (databases > 0)
		settle_at_end(&all_tenants, true, false);
}
