/*-------------------------------------------------------------------------
 *
 * database.c
 *	  Dedicated databases: the template, creation, removal, settling.
 *
 * A database tenant's database is a copy of the template database, which
 * holds the model schemas and this extension.  The template is built when it
 * is first needed, and again when the model's fingerprint says that the model
 * has changed since.
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
 * The tenant's own registry is a row of the copy that is written from outside,
 * unless a worker must go there for something else; until the creating
 * transaction opens the database, by its commit, nobody may connect.
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
 * mode, to the end of the transaction.  Whoever copies the template holds
 * the template lock in share mode to the end of its transaction; whoever
 * builds it, in exclusive mode.
 *
 * A database's OID is drawn before it is created.  A database that somebody
 * else has under the name that ours would get thus is never taken for ours.
 *
 * A copy of the application's database, made for a test, say, has the same
 * tenants in its registry, but their databases are the original's.  So each
 * of them carries the OID of the database that it belongs to, as the setting
 * tenancy.application_database, and nobody else touches it, or leads anybody
 * there.
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
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_shdescription.h"
#include "catalog/pg_type.h"
#include "clone.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "context.h"
#include "database.h"
#include "database_cache.h"
#include "database_registry.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "guc.h"
#include "ident.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "reference.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_database_of_tenant);
PG_FUNCTION_INFO_V1(tenancy_database_refresh_copies);

/* How long the end of a transaction lingers for the worker that settles. */
#define LINGER_MS 5000

/* How long a renaming waits for those who are about to leave the database. */
#define RENAME_WAIT_MS 1000

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
PGDLLEXPORT void tenancy_database_finish_copy(const char *argument);


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
tenancy_database_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* Text of the current (sub)transaction's id, as xid8. */
static char *
current_xid_text(void)
{
	return psprintf(UINT64_FORMAT,
					U64FromFullTransactionId(GetCurrentFullTransactionId()));
}

/*
 * Delete the pending row of a tenant that we, its creator, no longer need.  (An earlier
 * tenant of the id may have left a database that is still to be dropped.)
 * The worker committed it after our snapshot was taken, perhaps, so that
 * DELETE under REPEATABLE READ would not see it.
 */
static void
forget_pending(const TenancyTenant *tenant)
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
static void
add_pending(const TenancyTenant *tenant, const char *action, bool holds_lock)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "INSERT INTO tenancy.pending_database (tenant_id, action, database_oid, xid)"
						   " SELECT '%s', '%s', d.oid, '%s' FROM pg_catalog.pg_database d"
						   " WHERE d.datname OPERATOR(pg_catalog.=) %s"
						   " ON CONFLICT (tenant_id, action) DO UPDATE SET"
						   " database_oid = excluded.database_oid, xid = excluded.xid",
						   tenancy_ident_uuid_text(&tenant->id), action,
						   current_xid_text(),
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
static char *
modules_entry(const char *tenant_id)
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
	tenancy_worker_add(job, "%s", modules_entry(tenant_id));
	PopActiveSnapshot();
	(void) tenancy_worker_run(job);
}

/* The keys of tokens, for tenancy_database_receive_keys(); NULL if there is none. */
static char *
token_keys(void)
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
	keys = token_keys();
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
 * The template
 * ----------------------------------------------------------------
 */

static char *
template_name(void)
{
	return psprintf("tenancy_template_%u", MyDatabaseId);
}

/*
 * Creators of databases hold this lock in share mode, the builder of the
 * template in exclusive mode, to the end of the transaction.
 */
static void
lock_template(LOCKMODE mode)
{
	LockDatabaseObject(RelationRelationId,
					   tenancy_registry_relation("pending_database"), 1, mode);
}

/* The same in share mode, if nobody builds it. */
static bool
try_lock_template(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
					   tenancy_registry_relation("pending_database"), 1);
	return LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* The comment on a database as it is now, whatever this transaction's snapshot shows. */
static char *
database_comment(Oid database)
{
	Relation	rel = table_open(SharedDescriptionRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *comment = pstrdup("");

	ScanKeyInit(&keys[0], Anum_pg_shdescription_objoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(database));
	ScanKeyInit(&keys[1], Anum_pg_shdescription_classoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(DatabaseRelationId));
	scan = systable_beginscan(rel, SharedDescriptionObjIndexId, true, NULL, lengthof(keys), keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		comment = TextDatumGetCString(heap_getattr(tuple, Anum_pg_shdescription_description,
												   RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return comment;
}

/*
 * The template's comment, which tells what model it holds: NULL if there is
 * no template.  This transaction may have had it built.
 */
static char *
template_state(void)
{
	Oid			database = get_database_oid(template_name(), true);
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	if (owner != tenancy_registry_owner())
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_DATABASE),
				 errmsg("database \"%s\" is not owned by the owner of extension \"tenancy\"",
						template_name()),
				 errdetail("The template of the tenants' databases needs this name."),
				 errhint("Rename or drop the database.")));
	return database_comment(database);
}

/* Does a comment say that the template holds the model? */
static bool
holds_model(const char *state, const char *fingerprint)
{
	Size		len = strlen(fingerprint);

	return state != NULL && strncmp(state, fingerprint, len) == 0 &&
		(state[len] == '\0' || state[len] == ';');
}

/* What stands in the template's comment before the files of its registry. */
static char *
files_mark(Oid template)
{
	return psprintf("; %s ", tenancy_database_registry_identity(template));
}

/* CREATE DATABASE's options for a database like this one, but empty. */
static char *
like_this_database(void)
{
	TenancyExec exec;
	char	   *options;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	options = tenancy_exec_text_format(&exec,
									   "SELECT pg_catalog.format('TEMPLATE template0 TABLESPACE %%I ENCODING %%L LC_COLLATE %%L LC_CTYPE %%L',"
									   " (SELECT t.spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = dattablespace),"
									   " pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype)"
									   " || CASE datlocprovider"
									   "  WHEN 'i' THEN pg_catalog.format(' LOCALE_PROVIDER icu ICU_LOCALE %%L', locale)"
									   "  WHEN 'b' THEN pg_catalog.format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %%L', locale)"
									   "  ELSE ' LOCALE_PROVIDER libc' END"
									   " || CASE WHEN rules IS NOT NULL THEN pg_catalog.format(' ICU_RULES %%L', rules) ELSE '' END"
									   " FROM (SELECT d.*,"
									   "  COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') AS locale,"
									   "  pg_catalog.to_jsonb(d) ->> 'daticurules' AS rules"
									   "  FROM pg_catalog.pg_database d WHERE d.oid = %u) d",
									   MyDatabaseId);
	tenancy_exec_end(&exec);
	return options;
}

static List *
query_list(const char *sql)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), sql);
}

static void
add_statements(TenancyJob *job, List *statements)
{
	ListCell   *lc;

	foreach(lc, statements)
		(void) tenancy_worker_add(job, "%s", (char *) lfirst(lc));
}

/* The privileges on the schemas that meet a condition, of "n". */
static void
add_schema_grants(TenancyJob *job, const char *condition)
{
	add_statements(job, query_list(psprintf("SELECT pg_catalog.format('GRANT %%s ON SCHEMA %%I TO %%s%%s', a.privilege_type, n.nspname,"
											" CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END,"
											" CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
											" FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a"
											" WHERE %s AND a.grantee <> n.nspowner", condition)));
}

/*
 * The extensions of this database, as far as they can be had in another one:
 * what the model's definitions need must be there, but an extension that, say,
 * may only be in one database should not stop us.
 */
static void
add_extensions(TenancyJob *job)
{
	add_statements(job, query_list("SELECT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)"
								   " FROM pg_catalog.pg_extension e"
								   " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
								   " WHERE e.extname NOT IN ('tenancy', 'plpgsql')"
								   " AND n.nspname <> 'pg_catalog' GROUP BY n.nspname"));
	add_schema_grants(job, "n.nspname NOT IN ('pg_catalog', 'public')"
					  " AND n.oid IN (SELECT extnamespace FROM pg_catalog.pg_extension WHERE extname NOT IN ('tenancy', 'plpgsql'))");
	add_statements(job, query_list("SELECT pg_catalog.format('DO %L', pg_catalog.format("
								   "'BEGIN CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I VERSION %L CASCADE;"
								   " EXCEPTION WHEN OTHERS THEN"
								   " RAISE WARNING USING MESSAGE = %L, DETAIL = SQLERRM; END',"
								   " e.extname, n.nspname, e.extversion,"
								   " pg_catalog.format('extension \"%s\" cannot be installed in tenants'' databases', e.extname)))"
								   " FROM pg_catalog.pg_extension e"
								   " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
								   " WHERE e.extname NOT IN ('tenancy', 'plpgsql') ORDER BY e.oid"));
}

/*
 * The schema of a module, empty, with the model's privileges.  All may use it:
 * CONNECT is what a role must have to act for the tenant, and it may get that
 * at any time.
 */
static void
add_model_schema(TenancyJob *job, const TenancyModule *module)
{
	const char *schema = quote_identifier(module->model_schema);
	Oid			owner = tenancy_registry_module_owner(module);
	const char *role = quote_identifier(GetUserNameFromId(owner, false));

	tenancy_worker_add(job, "CREATE SCHEMA IF NOT EXISTS %s; ALTER SCHEMA %s OWNER TO %s;"
					   "GRANT USAGE ON SCHEMA %s TO PUBLIC",
					   schema, schema, role, schema);
	add_schema_grants(job, psprintf("n.nspname = %s", quote_literal_cstr(module->model_schema)));
	tenancy_worker_add(job, "INSERT INTO tenancy.module VALUES (%s, %s, %d, %d)",
					   quote_literal_cstr(module->name),
					   quote_literal_cstr(module->model_schema), module->position,
					   module->level);
	tenancy_worker_add(job, "GRANT USAGE ON SCHEMA tenancy TO %s;"
					   "GRANT EXECUTE ON FUNCTION " TENANCY_POLICY_FUNCTIONS " TO %s;"
					   "GRANT SELECT (id), REFERENCES (id) ON tenancy.tenant TO %s",
					   role, role, role);
}

static void
add_model(TenancyJob *job, const TenancyModule *module)
{
	Oid			owner = tenancy_registry_module_owner(module);
	char	   *path = psprintf("%s, pg_catalog, pg_temp",
								quote_identifier(module->model_schema));
	ListCell   *lc;

	foreach(lc, tenancy_clone_statements(module))
	{
		TenancyCloneStatement *statement = lfirst(lc);
		TenancyStep *step = tenancy_worker_add(job, "%s", statement->sql);

		if (statement->elevated)
			continue;
		step->noforce_rls = statement->refresh;	/* of tables that are empty */
		step->role = owner;
		step->search_path = path;
	}
}

/* What is known of the protection of the module's tables. */
static void
add_protection(TenancyJob *job, const TenancyModule *module)
{
	add_statements(job, query_list(psprintf("SELECT pg_catalog.format('INSERT INTO tenancy.protected_table VALUES (%%L, %%L, %%L, %%L)',"
											" p.relation::text, p.tenant_column, p.had_row_security, p.had_force)"
											" FROM tenancy.protected_table p"
											" JOIN pg_catalog.pg_class c ON c.oid = p.relation"
											" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
											" WHERE n.nspname = %s", quote_literal_cstr(module->model_schema))));
}

/*
 * Fill the template.  In a tenant's database the context functions are open
 * to whoever may connect: CONNECT is the access right there.
 */
static void
fill_template(const char *fingerprint)
{
	TenancyJob *job = tenancy_worker_job(get_database_oid(template_name(), false));
	List	   *modules = tenancy_registry_modules();
	ListCell   *lc;

	tenancy_worker_add(job, "CREATE EXTENSION tenancy;"
					   "GRANT USAGE ON SCHEMA tenancy TO PUBLIC;"
					   "GRANT EXECUTE ON FUNCTION " TENANCY_CONTEXT_FUNCTIONS " TO PUBLIC");
	foreach(lc, modules)
		add_model_schema(job, lfirst(lc));
	add_extensions(job);
	(void) tenancy_worker_run(job);
	tenancy_reference_define(job->database);
	job = tenancy_worker_job(job->database);
	foreach(lc, modules)
		add_model(job, lfirst(lc));
	foreach(lc, modules)
		add_protection(job, lfirst(lc));
	tenancy_worker_add(job, "DO $do$ BEGIN EXECUTE pg_catalog.format('COMMENT ON DATABASE %%I IS %%L', %s::text, %s"
					   " OPERATOR(pg_catalog.||) CASE WHEN (" TENANCY_DATABASE_REGISTRY_LAYOUT ") OPERATOR(pg_catalog.=) %s"
					   " THEN %s OPERATOR(pg_catalog.||) " TENANCY_DATABASE_REGISTRY_FILES " ELSE '' END); END $do$",
					   quote_literal_cstr(template_name()), quote_literal_cstr(fingerprint),
					   quote_literal_cstr(tenancy_exec_text_as(tenancy_registry_owner(),
															   "SELECT " TENANCY_DATABASE_REGISTRY_LAYOUT)),
					   quote_literal_cstr(files_mark(job->database)));
	(void) tenancy_worker_run(job);
}

/* Build the template, in place of another one, unless somebody else has. */
static void
build_template(const char *fingerprint)
{
	char	   *state;
	TenancyJob *job;

	lock_template(ExclusiveLock);
	state = template_state();
	if (holds_model(state, fingerprint))
		return;

	ereport(NOTICE,
			(errmsg("building the template of tenants' databases")));
	job = tenancy_worker_job(MyDatabaseId);
	if (state != NULL)
		tenancy_worker_add_toplevel(job, "DROP DATABASE %s WITH (FORCE)",
									quote_identifier(template_name()));
	tenancy_worker_commit(job);
	tenancy_worker_add_toplevel(job, "CREATE DATABASE %s ALLOW_CONNECTIONS false %s",
								quote_identifier(template_name()), like_this_database());
	tenancy_worker_commit(job);
	tenancy_worker_add(job, "REVOKE ALL ON DATABASE %s FROM PUBLIC",
					   quote_identifier(template_name()));
	(void) tenancy_worker_run(job);
	fill_template(fingerprint);
}

static void
dismiss_worker(TenancyWorker **worker)
{
	if (*worker != NULL)
		tenancy_worker_dismiss(*worker);
	*worker = NULL;
}

/*
 * Make sure that the template holds the model as it is now.  While we wait for who
 * builds it, or build it, no worker waits for its job: there may be too few.
 *
 * Returns where the registry of a copy is, for tenancy_database_registry_enter(),
 * or NULL if that is not known.
 */
static const char *
ensure_template(TenancyWorker **worker)
{
	char	   *fingerprint = psprintf("template of tenants' databases, model %s",
									   tenancy_clone_fingerprint());
	char	   *state = template_state();
	char	   *mark;
	char	   *files;

	if (holds_model(state, fingerprint))
	{
		if (!try_lock_template())
		{
			dismiss_worker(worker);
			lock_template(ShareLock);
		}
	}
	else
	{
		dismiss_worker(worker);
		build_template(fingerprint);
		state = template_state();
	}
	mark = files_mark(get_database_oid(template_name(), false));
	files = strstr(state, mark);
	return files != NULL ? files + strlen(mark) : NULL;
}


/* ----------------------------------------------------------------
 * Databases of tenants
 * ----------------------------------------------------------------
 */

static Oid
draw_database_oid(void)
{
	Relation	rel = table_open(DatabaseRelationId, AccessShareLock);
	Oid			oid = GetNewOidWithIndex(rel, DatabaseOidIndexId, Anum_pg_database_oid);

	table_close(rel, AccessShareLock);
	return oid;
}

/*
 * The path of sessions in a tenant's database, for a statement with the rights of a
 * superuser.  What follows the tenant's schemas is a setting that anybody has set:
 * each name of it is quoted.
 */
static char *
database_search_path(const TenancyTenant *tenant)
{
	char	   *following = pstrdup(tenancy_guc_search_path);
	List	   *names;
	StringInfoData path;
	ListCell   *lc;

	if (!SplitIdentifierString(following, ',', &names))
		elog(ERROR, "invalid tenancy.search_path");
	initStringInfo(&path);
	foreach(lc, list_concat(tenancy_registry_schemas(tenant), names))
		appendStringInfo(&path, "%s, ", quote_identifier(lfirst(lc)));
	appendStringInfoString(&path, "pg_temp");
	return path.data;
}

/* The roles that may act for the tenant, as a list for GRANT; NULL if none. */
static char *
access_roles(const TenancyTenant *tenant)
{
	TenancyExec exec;
	char	   *roles;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	roles = tenancy_exec_text_format(&exec,
									 "SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(r.rolname), ', ')"
									 " FROM tenancy.access a"
									 " JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.role"
									 " WHERE a.tenant_id IS NULL OR a.tenant_id OPERATOR(pg_catalog.=) '%s'",
									 tenancy_ident_uuid_text(&tenant->id));
	tenancy_exec_end(&exec);
	return roles;
}

/*
 * The file with which sessions of the template begin.  All such files go when
 * the server starts; then a session is needed that makes it.
 */
static StringInfo
template_cache(Oid template)
{
	StringInfo	content = tenancy_database_cache_read(template);

	if (content == NULL)
	{
		(void) tenancy_worker_run(tenancy_worker_job(template));
		content = tenancy_database_cache_read(template);
	}
	return content;
}

/* Is there a template, and such a file of it? */
static bool
template_is_warm(void)
{
	Oid			template = get_database_oid(template_name(), true);

	return OidIsValid(template) && tenancy_database_cache_exists(template);
}

/* The same for a copy of the template, if it is the template's still. */
static void
copy_cache(StringInfo content, Oid template, Oid database)
{
	StringInfo	now = tenancy_database_cache_read(template);

	if (content != NULL && now != NULL && content->len == now->len &&
		memcmp(content->data, now->data, now->len) == 0)
		tenancy_database_cache_write(database, now);
}

/* What is to be done with a copy of the template, from outside. */
static char *
copy_settings(const TenancyTenant *tenant)
{
	const char *name = quote_identifier(tenant->database_name);
	char	   *roles = access_roles(tenant);

	return psprintf("ALTER DATABASE %s SET tenancy.application_database = '%u';"
					"ALTER DATABASE %s SET tenancy.tenant_id = '%s';"
					"ALTER DATABASE %s SET search_path = %s;"
					"REVOKE ALL ON DATABASE %s FROM PUBLIC%s",
					name, MyDatabaseId, name, tenancy_ident_uuid_text(&tenant->id), name,
					database_search_path(tenant), name,
					roles == NULL ? "" :
					psprintf(";GRANT CONNECT, TEMPORARY ON DATABASE %s TO %s", name, roles));
}

/*
 * What the worker that has copied the template does last: the settings, and the
 * tenant's row, if that can be entered from here, of which it tells the caller.
 */
void
tenancy_database_finish_copy(const char *argument)
{
	TenancyTenant tenant;
	Oid			database;
	char		id[UUID_LEN * 2 + 5];
	int			parsed;
	char	   *files;
	char	   *settings;
	bool		entered;

	memset(&tenant, 0, sizeof(tenant));
	if (sscanf(argument, "%u %36s %63s %63s%n", &database, id, tenant.slug, tenant.database_name, &parsed) != 4 ||
		!tenancy_ident_parse_uuid(id, &tenant.id))
		elog(ERROR, "invalid argument of a worker");
	files = pstrdup(argument + parsed + 1);
	settings = strchr(files, '\n');
	*settings++ = '\0';

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_format_as(tenancy_registry_owner(), "%s", settings);
	entered = files[0] != '\0' && tenancy_database_registry_enter(database, files, &tenant);
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (entered)
		tenancy_worker_send("", 0);
}

static void
receive_entered(StringInfo message, void *arg)
{
	*(bool *) arg = true;
}

/*
 * Copy the template.  Nobody may connect to the copy yet.  Files are where the
 * tenant can be entered in its registry, or NULL; returns whether that has been
 * done.
 */
static bool
copy_template(TenancyWorker *worker, const TenancyTenant *tenant, Oid oid, const char *files)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);
	char	   *id = tenancy_ident_uuid_text(&tenant->id);
	Oid			template = get_database_oid(template_name(), false);
	StringInfo	cache = template_cache(template);
	bool		entered = false;

	tenancy_worker_add(job, "INSERT INTO tenancy.pending_database (tenant_id, action, database_oid, xid)"
					   " VALUES ('%s', 'create', %u, '%s')", id, oid, current_xid_text());
	tenancy_worker_commit(job);
	tenancy_worker_add(job, "SELECT FROM tenancy.pending_database"
					   " WHERE tenant_id OPERATOR(pg_catalog.=) '%s' FOR UPDATE",
					   id)->expectation = _("the transaction that asked for the database has ended");
	tenancy_worker_add_toplevel(job, "CREATE DATABASE %s OID %u TEMPLATE %s ALLOW_CONNECTIONS false",
								quote_identifier(tenant->database_name), oid, quote_identifier(template_name()));
	job->function = "tenancy_database_finish_copy";
	job->argument = psprintf("%u %s %s %s\n%s\n%s", oid, id, tenant->slug, tenant->database_name,
							 files ? files : "", copy_settings(tenant));
	job->receive = receive_entered;
	job->receive_arg = &entered;
	if (worker != NULL)
		(void) tenancy_worker_run_in(worker, job);
	else
		(void) tenancy_worker_run(job);
	copy_cache(cache, template, oid);
	return entered;
}

static void
lock_keys(LOCKMODE mode)
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

	lock_keys(ExclusiveLock);
	databases = tenancy_exec_format_as(tenancy_registry_owner(),
									   "INSERT INTO tenancy.pending_database (tenant_id, action, database_oid, xid)"
									   " SELECT t.id, 'keys', d.oid, '%s' FROM tenancy.tenant t"
									   " JOIN pg_catalog.pg_database d ON d.datname OPERATOR(pg_catalog.=) t.database_name"
									   " WHERE " TENANCY_DATABASE_IS_OURS
									   " ORDER BY t.id"
									   " ON CONFLICT (tenant_id, action) DO UPDATE SET"
									   " database_oid = excluded.database_oid, xid = excluded.xid",
									   current_xid_text(), MyDatabaseId);
	if (databases > 0)
		settle_at_end(&all_tenants, true, false);
}

/* Have the models materialized views? */
static bool
has_matviews(void)
{
	TenancyExec exec;
	bool		result;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	result = tenancy_exec_finds("SELECT FROM tenancy.module m"
								" JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
								" JOIN pg_catalog.pg_depend d ON d.refobjid OPERATOR(pg_catalog.=) n.oid"
								"  AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
								"  AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
								" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid"
								"  AND c.relkind OPERATOR(pg_catalog.=) 'm'");
	tenancy_exec_end(&exec);
	return result;
}

/*
 * refresh_copies(id uuid): in a new database of a tenant, where reference tables have
 * got their rows only after the model was copied.
 */
Datum
tenancy_database_refresh_copies(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;

	if (MyBgworkerEntry == NULL || !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a background worker can call this function"),
				 errhint("Call tenancy.create_tenant().")));
	tenancy_registry_get(tenancy_ident_uuid_text(PG_GETARG_UUID_P(0)), &tenant);
	tenancy_clone_refresh(&tenant);
	PG_RETURN_VOID();
}

/*
 * Fill the materialized views of a tenant's new database again: its rows have changed
 * since.  Most models have none, and need no session there.
 */
void
tenancy_database_refresh(const TenancyTenant *tenant)
{
	TenancyJob *job;

	if (!has_matviews())
		return;
	job = tenancy_worker_job(tenancy_database_oid(tenant));
	tenancy_worker_add(job, "SELECT tenancy.refresh_copies('%s')", tenancy_ident_uuid_text(&tenant->id));
	(void) tenancy_worker_run(job);
}

/*
 * Does a new database need more than the tenant's row?  Nobody adds or takes a key of
 * tokens now.
 */
static bool
needs_session(const TenancyTenant *tenant)
{
	TenancyExec exec;
	bool		result;

	if (list_length(tenancy_registry_installed(tenant)) > 1 || has_matviews())
		return true;
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	result = tenancy_exec_finds("SELECT FROM tenancy.token_key UNION ALL SELECT FROM tenancy.reference_table");
	tenancy_exec_end(&exec);
	return result;
}

/*
 * Enter the tenant in the registry of its own database, in a session there, and give
 * that the keys of tokens.
 */
static void
enter_tenant(const TenancyTenant *tenant, Oid oid)
{
	TenancyJob *job = tenancy_worker_job(oid);

	job->leave = true;			/* whoever copies or drops the database waits for it */
	tenancy_worker_add(job, "INSERT INTO tenancy.tenant (id, slug, mode, database_name)"
					   " VALUES ('%s', %s, 'database', %s)",
					   tenancy_ident_uuid_text(&tenant->id),
					   quote_literal_cstr(tenant->slug),
					   quote_literal_cstr(tenant->database_name));
	if (list_length(tenancy_registry_installed(tenant)) > 1)
		tenancy_worker_add(job, "%s", modules_entry(tenancy_ident_uuid_text(&tenant->id)));
	if (has_matviews())
		tenancy_worker_add(job, "SELECT tenancy.refresh_copies('%s')", tenancy_ident_uuid_text(&tenant->id));
	job->argument = token_keys();
	if (job->argument != NULL)
		job->function = "tenancy_database_receive_keys";
	(void) tenancy_worker_run(job);
}

static void
alter_database(const TenancyTenant *tenant, const char *what)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "ALTER DATABASE %s %s",
						   quote_identifier(tenant->database_name), what);
}

/*
 * Let sessions in.  A limit of none is what keeps them out of a database that is closed,
 * where PostgreSQL itself must be able to enter: see pg_upgrade in docs/operations.md.
 */
static void
open_database(const TenancyTenant *tenant)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(get_database_oid(tenant->database_name, false)));
	int32		limit;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database \"%s\"", tenant->database_name);
	limit = ((Form_pg_database) GETSTRUCT(tuple))->datconnlimit;
	ReleaseSysCache(tuple);
	alter_database(tenant, limit == 0 ? "ALLOW_CONNECTIONS true CONNECTION LIMIT -1" : "ALLOW_CONNECTIONS true");
}

/* Whatever has the database's name already is not ours. */
static void
refuse_existing(const TenancyTenant *tenant)
{
	if (OidIsValid(get_database_oid(tenant->database_name, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_DATABASE),
				 errmsg("database \"%s\" already exists", tenant->database_name)));
}

/*
 * Create the database of a tenant whose registry row the caller has just
 * inserted, or will change to its mode.  If the caller's transaction does not
 * commit, it is dropped again.  If it is not to be open, nobody may connect.
 */
void
tenancy_database_create(const TenancyTenant *tenant, bool is_open)
{
	TenancyWorker *worker;
	const char *files;
	Oid			oid;
	ListCell   *lc;

	refuse_existing(tenant);
	tenancy_registry_lock_models(ShareLock);
	lock_keys(ShareLock);

	/* It starts while we look what there is to copy, if that takes no other one. */
	worker = template_is_warm() ? tenancy_worker_start(MyDatabaseId) : NULL;
	files = ensure_template(&worker);
	foreach(lc, tenancy_registry_modules())
		tenancy_registry_add_copy(&tenant->id, ((TenancyModule *) lfirst(lc))->name);
	oid = draw_database_oid();
	settle_at_end(&tenant->id, false, false);
	if (!copy_template(worker, tenant, oid, needs_session(tenant) ? NULL : files))
	{
		tenancy_reference_fill(oid);
		enter_tenant(tenant, oid);
	}
	if (is_open)
		open_database(tenant);
	forget_pending(tenant);
}

/* Is there a database of the tenant's name that meets a condition, of "d"? */
static bool
database_is(const TenancyTenant *tenant, const char *condition)
{
	uint64		found;

	found = tenancy_exec_format_as(tenancy_registry_owner(),
								   "SELECT FROM pg_catalog.pg_database d"
								   " WHERE d.datname OPERATOR(pg_catalog.=) %s AND %s",
								   quote_literal_cstr(tenant->database_name), condition);
	return found > 0;
}

/* Is the tenant's database there, and this one's? */
bool
tenancy_database_is_ours(const TenancyTenant *tenant)
{
	return database_is(tenant, psprintf(TENANCY_DATABASE_IS_OURS, MyDatabaseId));
}

/*
 * Or can it be nobody else's?  A database that was restored, with those of its
 * tenants, has another OID until repair() has been called.
 */
static bool
is_orphan(const TenancyTenant *tenant)
{
	return database_is(tenant,
					   "EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c"
					   " WHERE s.setdatabase OPERATOR(pg_catalog.=) d.oid AND s.setrole OPERATOR(pg_catalog.=) 0"
					   " AND pg_catalog.starts_with(c, 'tenancy.application_database=')"
					   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_database a"
					   "  WHERE 'tenancy.application_database=' OPERATOR(pg_catalog.||) a.oid::text OPERATOR(pg_catalog.=) c))");
}

static void
refuse_database(const TenancyTenant *tenant)
{
	if (!OidIsValid(get_database_oid(tenant->database_name, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_DATABASE),
				 errmsg("database \"%s\" of tenant \"%s\" does not exist",
						tenant->database_name, tenant->slug)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("database \"%s\" of tenant \"%s\" does not belong to this database",
					tenant->database_name, tenant->slug),
			 errdetail("It was created for another database, of which this one may be a copy."),
			 errhint("If it is this one's now, use ALTER DATABASE %s SET tenancy.application_database = '%u'.",
					 quote_identifier(tenant->database_name), MyDatabaseId)));
}

static void
check_ours(const TenancyTenant *tenant)
{
	if (!tenancy_database_is_ours(tenant))
		refuse_database(tenant);
}

/*
 * tenant_database(tenant text).  In a copy of the application's database, the
 * tenant's is the original's: to lead there would let a test write into it.
 */
Datum
tenancy_database_of_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	NameData   *result;
	char	   *name;
	bool		found;

	tenancy_require_arg(fcinfo, 0, "tenant");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	AcceptInvalidationMessages();
	found = tenancy_registry_by_name(name, &tenant);
	tenancy_context_check_access(name, found ? &tenant : NULL);
	if (tenant.mode == TENANCY_DATABASE && !tenancy_registry_is_home(&tenant) &&
		!tenancy_database_is_ours(&tenant) && !is_orphan(&tenant))
		refuse_database(&tenant);

	result = palloc0(sizeof(NameData));
	namestrcpy(result, tenant.mode == TENANCY_DATABASE ?
			   tenant.database_name : get_database_name(MyDatabaseId));
	PG_RETURN_NAME(result);
}

/* The tenant's database, for work in it. */
Oid
tenancy_database_oid(const TenancyTenant *tenant)
{
	check_ours(tenant);
	return get_database_oid(tenant->database_name, false);
}

/*
 * Drop the tenant's database when the caller's transaction commits.  If PostgreSQL does
 * not drop it then, a replication slot being there, nobody works in it any more.
 */
void
tenancy_database_drop(const TenancyTenant *tenant)
{
	if (!tenancy_database_is_ours(tenant))
	{
		ereport(NOTICE,
				(errmsg("database \"%s\" is left alone: it does not exist, or does not belong to this database",
						tenant->database_name)));
		return;
	}
	alter_database(tenant, "ALLOW_CONNECTIONS false");
	add_pending(tenant, "drop", false);
}

/* Let nobody in any more, and end the sessions when the caller commits. */
void
tenancy_database_suspend(const TenancyTenant *tenant)
{
	check_ours(tenant);
	alter_database(tenant, "ALLOW_CONNECTIONS false");
	add_pending(tenant, "disconnect", false);
}

void
tenancy_database_resume(const TenancyTenant *tenant)
{
	check_ours(tenant);
	open_database(tenant);
}

/* End the sessions of roles that may no longer connect, after a REVOKE. */
void
tenancy_database_disconnect(const TenancyTenant *tenant)
{
	if (tenancy_database_is_ours(tenant))
		add_pending(tenant, "disconnect", false);
}

/*
 * PostgreSQL renames a database only while nobody is in it.  A worker of ours may
 * be ending there, which takes it a few milliseconds; PostgreSQL would look again
 * after 100.  Whoever stays longer is left to PostgreSQL.
 */
static void
rename_database(const TenancyTenant *tenant, const char *new_name)
{
	Oid			oid = get_database_oid(tenant->database_name, false);

	for (int i = 0; i < RENAME_WAIT_MS && CountDBBackends(oid) > 0; i++)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	alter_database(tenant, psprintf("RENAME TO %s", quote_identifier(new_name)));
}

/*
 * Rename the tenant's database.  PostgreSQL does that only while nobody is
 * connected to it, so its sessions end first.
 */
void
tenancy_database_rename(const TenancyTenant *tenant, const char *new_name)
{
	check_ours(tenant);
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "SELECT pg_catalog.pg_terminate_backend(pid, 5000)"
						   " FROM pg_catalog.pg_stat_activity"
						   " WHERE datname OPERATOR(pg_catalog.=) %s"
						   " AND backend_type OPERATOR(pg_catalog.=) 'client backend'",
						   quote_literal_cstr(tenant->database_name));
	add_pending(tenant, "rename", true);
	rename_database(tenant, new_name);
}

/*
 * Make the database of a spare, which nobody has been in, that of a tenant.  Its
 * own registry is told when the caller has committed; until then, it takes the
 * tenant's name from the database's: see tenancy_registry_home().
 */
void
tenancy_database_take(const TenancyTenant *spare, const TenancyTenant *tenant)
{
	refuse_existing(tenant);
	add_pending(spare, "rename", true);
	rename_database(spare, tenant->database_name);
	alter_database(tenant, psprintf("SET search_path = %s", database_search_path(tenant)));
	open_database(tenant);
}


/* ----------------------------------------------------------------
 * Plug-ins
 * ----------------------------------------------------------------
 */

/*
 * How many migrations the model in the tenant's database has had, -1 if the
 * module is not there.
 */
static int
level_inside(Oid database, const TenancyModule *module)
{
	TenancyJob *job = tenancy_worker_job(database);

	tenancy_worker_add(job, "SELECT FROM tenancy.module m CROSS JOIN LATERAL pg_catalog.generate_series(0, m.level)"
					   " WHERE m.name OPERATOR(pg_catalog.=) %s", quote_literal_cstr(module->name));
	return (int) tenancy_worker_run(job) - 1;
}

/*
 * See to it that the module is in the tenant's database, which has those that
 * there were when it was made.  What a worker commits there stays if the caller
 * rolls back, and is found by the next call.
 */
void
tenancy_database_define_module(const TenancyTenant *tenant, const TenancyModule *module)
{
	Oid			database = tenancy_database_oid(tenant);
	int			level;

	tenancy_registry_lock_models(ShareLock);
	if (tenancy_exec_text_as(tenancy_registry_owner(),
							 "SELECT module FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
							 " AND module OPERATOR(pg_catalog.=) %s", tenancy_ident_uuid_text(&tenant->id),
							 quote_literal_cstr(module->name)) != NULL)
		return;
	tenancy_registry_add_copy(&tenant->id, module->name);
	level = level_inside(database, module);
	if (level < 0)
	{
		TenancyJob *job;

		tenancy_reference_fill(database);
		job = tenancy_worker_job(database);
		add_extensions(job);
		add_model_schema(job, module);
		add_model(job, module);
		add_protection(job, module);
		(void) tenancy_worker_run(job);
		return;
	}
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "UPDATE tenancy.module_copy SET level = %d WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
						   " AND module OPERATOR(pg_catalog.=) %s", level,
						   tenancy_ident_uuid_text(&tenant->id), quote_literal_cstr(module->name));
}

/*
 * The caller has given the tenant a plug-in, or taken it: new sessions have
 * another path, and when the caller commits, the tenant's own registry is told.
 */
void
tenancy_database_change_modules(const TenancyTenant *tenant)
{
	check_ours(tenant);
	alter_database(tenant, psprintf("SET search_path = %s", database_search_path(tenant)));
	add_pending(tenant, "modules", false);
}
