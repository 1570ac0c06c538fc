/*-------------------------------------------------------------------------
 *
 * fleet.c
 *	  Workers that bring the copies of a module to its level.
 *
 * The queue is tenancy.module_copy itself: each worker walks it in the order of
 * its key and takes, row by row, what is behind and not locked by another.
 * What has to be tried again later, or was locked, it finds when it walks again.
 * There is nothing to fill or to clean up, and a worker that dies gives back
 * what it held.
 *
 * Locks, in this order: the copy's row, then the tenant's, so that nobody
 * drops, renames or moves it meanwhile; neither is waited for.  They are kept
 * until the migration commits, together with the copy's new level.  A lock of the
 * session keeps other workers from the copy where its row is free but we are not
 * done with it: between steps, and until a failure is noted.  It is not waited
 * for either, and whoever holds it may wait for the row.
 *
 * The leader, migrate(), holds a lock as long as it lives.  A worker that could
 * get it is an orphan, and ends.  Another one is held by the workers until they
 * find nothing left to do: what follows, the end of a process, the leader need not
 * wait for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "apply.h"
#include "catalog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "compat.h"
#include "context.h"
#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "fleet.h"
#include "ident.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "registry.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"
#include "worker.h"

/*
 * How long to wait before looking again for what others hold: doubled each time,
 * since it is mostly another worker's last tenant.
 */
#define POLL_MIN_MS			1
#define POLL_MAX_MS			50

/* After so many migrations, the catalog caches are thrown away ... */
#define CACHE_TURNS			250

/* ... and after so many, a worker ends, and the leader starts another one. */
#define WORKER_TURNS		1500

/* Advisory locks of SQL have 1 and 2. */
#define COPY_LOCK_CLASS		3

PGDLLEXPORT void tenancy_fleet_main(Datum main_arg);

/* A worker's argument. */
typedef struct FleetArgument
{
	Oid			database;
	Oid			role;
	int64		run;
} FleetArgument;

/* What all tenants of a run have in common. */
typedef struct Run
{
	int64		id;
	TenancyModule module;
	int			level;			/* where to go */
	int			max_failures;	/* 0 is no limit */
	TenancyPatience patience;
	List	   *migrations;		/* of TenancyMigration, split when needed; [position - 1] */
	List	   *undos;			/* the same, where they are to be undone */
	char	   *column;			/* tenant column of the module's tables, or NULL */
	int			leader_pid;
	char	   *following;		/* what follows the modules' schemas on the path */
	pg_uuid_t  *tenants;		/* the only ones, sorted; NULL for all */
	int			ntenants;
	MemoryContext context;		/* for all of this */
} Run;

/* A copy that is being migrated. */
typedef struct Copy
{
	TenancyTenant tenant;
	int			level;
	int			tries;			/* by this run, for its next migration */
	int			step;			/* how far it is with that ... */
	bool		under_way;		/* ... if it is not transactional */
} Copy;


/* ----------------------------------------------------------------
 * The leader's lock
 * ----------------------------------------------------------------
 */

static LOCKTAG leader_tag;
static LOCKTAG crew_tag;

/* Get a lock, for the session, if nobody is in the way. */
static bool
try_lock(const LOCKTAG *tag, LOCKMODE mode)
{
	return LockAcquire(tag, mode, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

static void
init_tags(void)
{
	Oid			run = tenancy_registry_relation("migration_run");

	SET_LOCKTAG_OBJECT(leader_tag, MyDatabaseId, RelationRelationId, run, 1);
	SET_LOCKTAG_OBJECT(crew_tag, MyDatabaseId, RelationRelationId, run, 2);
}

/* Become the leader until the session ends or gives it up, if there is none. */
bool
tenancy_fleet_lock_leader(void)
{
	init_tags();
	return try_lock(&leader_tag, ExclusiveLock);
}

void
tenancy_fleet_unlock_leader(void)
{
	LockRelease(&leader_tag, ExclusiveLock, true);
}

/* For workers, outside of any transaction. */
static bool
leader_is_gone(void)
{
	if (!try_lock(&leader_tag, ShareLock))
		return false;
	LockRelease(&leader_tag, ShareLock, true);
	return true;
}

/* For the leader: is none of the workers that have begun at work? */
bool
tenancy_fleet_is_idle(void)
{
	if (!try_lock(&crew_tag, ExclusiveLock))
		return false;
	LockRelease(&crew_tag, ExclusiveLock, true);
	return true;
}

/* A worker has nothing left to do; the leader may be waiting for that. */
static void
tell_leader(int pid)
{
	PGPROC	   *leader = BackendPidGetProc(pid);

	if (tenancy_lock_held_by_me(&crew_tag, ShareLock))
		LockRelease(&crew_tag, ShareLock, true);
	if (leader != NULL)
		SetLatch(&leader->procLatch);
}

/* Start a worker for a run; NULL if there is no room for one. */
BackgroundWorkerHandle *
tenancy_fleet_launch(int64 run)
{
	FleetArgument argument;

	argument.database = MyDatabaseId;
	argument.role = tenancy_registry_owner();
	argument.run = run;
	return tenancy_worker_launch("tenancy_fleet_main", &argument, sizeof(argument));
}


/* ----------------------------------------------------------------
 * Statements of our own
 * ----------------------------------------------------------------
 */

static const char *
text_column(int n)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, n);

	return value == NULL ? "" : value;
}

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, UUID_LEN);
}

/* Which tenants it is for, from a column of a row that was read. */
static void
read_tenants(Run *run, int column)
{
	bool		isnull;
	Datum		array = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *ids;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(array), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR, &ids, NULL, &run->ntenants);
	run->tenants = MemoryContextAlloc(run->context, Max(run->ntenants, 1) * sizeof(pg_uuid_t));
	for (int i = 0; i < run->ntenants; i++)
		run->tenants[i] = *DatumGetUUIDP(ids[i]);
	qsort(run->tenants, run->ntenants, sizeof(pg_uuid_t), compare_ids);
}

/* What is the run about?  Returns false if it is over. */
static bool
read_run(Run *run)
{
	TenancyExec exec;
	MemoryContext old = MemoryContextSwitchTo(run->context);
	bool		found;
	char	   *column;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	found = tenancy_exec_format("SELECT module, level, max_failures, lock_timeout, retries, dry_run, down, tenants,"
								" leader_pid, tenant_column, path_after"
								" FROM tenancy.migration_run WHERE id OPERATOR(pg_catalog.=) " INT64_FORMAT
								" AND finished_at IS NULL", run->id) > 0;
	if (found)
	{
		if (!tenancy_registry_module(text_column(1), &run->module))
			elog(ERROR, "module \"%s\" does not exist", text_column(1));
		run->level = atoi(text_column(2));
		run->max_failures = atoi(text_column(3));
		run->patience.lock_timeout = atoi(text_column(4));
		run->patience.retries = atoi(text_column(5));
		run->patience.dry_run = text_column(6)[0] == 't';
		run->patience.undo_to = text_column(7)[0] == 't' ? run->level : -1;
		read_tenants(run, 8);
		run->leader_pid = atoi(text_column(9));
		column = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 10);
		run->column = column ? MemoryContextStrdup(run->context, column) : NULL;
		run->following = MemoryContextStrdup(run->context, text_column(11));
	}
	tenancy_exec_end(&exec);
	if (found)
	{
		tenancy_migration_check_complete(run->module.name, run->module.level);
		run->migrations = tenancy_migration_pending(run->module.name, 0);
		foreach(lc, run->migrations)
		{
			TenancyMigration *migration = lfirst(lc);

			if (run->patience.undo_to >= 0)
				run->undos = lappend(run->undos, migration->position <= run->level ? NULL :
									 tenancy_migration_undo(migration));
		}
	}
	MemoryContextSwitchTo(old);
	return found;
}

/* ----------------------------------------------------------------
 * The queue
 *
 * Read and written without SQL: what a statement costs would be felt for each
 * tenant.
 * ----------------------------------------------------------------
 */

/* Is the run for this tenant, if its status is one that migrations are for? */
static bool
is_member(const Run *run, const pg_uuid_t *id)
{
	return run->tenants == NULL ||
		bsearch(id, run->tenants, run->ntenants, sizeof(pg_uuid_t), compare_ids) != NULL;
}

/* Spares are for runs that name them. */
static bool
has_status(const Run *run, const TenancyTenant *tenant)
{
	return tenant->status == TENANCY_ACTIVE || tenant->status == TENANCY_SUSPENDED ||
		(tenant->status == TENANCY_SPARE && run->tenants != NULL);
}

/* What failures ended, or a leader that is dead. */
static bool
run_is_over(const Run *run)
{
	Relation	rel = table_open(tenancy_registry_relation("migration_run"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		over;

	ScanKeyInit(&key, Anum_migration_run_id, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run->id));
	scan = systable_beginscan(rel, tenancy_registry_relation("migration_run_pkey"), true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	over = !HeapTupleIsValid(tuple) || !heap_attisnull(tuple, Anum_migration_run_finished_at, RelationGetDescr(rel));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return over;
}

/* Read a row of the queue.  Returns whether the run takes it on, and now. */
static bool
read_copy(const Run *run, HeapTuple tuple, TupleDesc desc, Copy *copy)
{
	Datum		values[Natts_module_copy];
	bool		nulls[Natts_module_copy];
	bool		tried;

	heap_deform_tuple(tuple, desc, values, nulls);
	memset(copy, 0, sizeof(*copy));
	copy->tenant.id = *DatumGetUUIDP(values[Anum_module_copy_tenant_id - 1]);
	copy->level = DatumGetInt32(values[Anum_module_copy_level - 1]);
	copy->step = DatumGetInt32(values[Anum_module_copy_step - 1]);
	copy->under_way = DatumGetBool(values[Anum_module_copy_under_way - 1]);
	tried = !nulls[Anum_module_copy_run - 1] && DatumGetInt64(values[Anum_module_copy_run - 1]) == run->id;
	if (tried)
		copy->tries = DatumGetInt32(values[Anum_module_copy_tries - 1]);
	if (tried && (DatumGetBool(values[Anum_module_copy_failed - 1]) ||
				  (!nulls[Anum_module_copy_retry_at - 1] &&
				   DatumGetTimestampTz(values[Anum_module_copy_retry_at - 1]) > GetCurrentTimestamp())))
		return false;
	return run->patience.undo_to >= 0 ? copy->level > run->level : copy->level < run->level;
}

/*
 * Lock a copy's row and its tenant's, unless somebody is in the way, and read them
 * as they are then.
 */
static bool
lock_copy(const Run *run, Relation rel, ItemPointer tid, TupleTableSlot *slot, Copy *copy)
{
	pg_uuid_t	id = copy->tenant.id;

	return tenancy_registry_peek(&id, &copy->tenant) && has_status(run, &copy->tenant) &&
		tenancy_registry_lock_row(rel, tid, LockTupleNoKeyExclusive, LockWaitSkip, slot) &&
		read_copy(run, ExecFetchSlotHeapTuple(slot, false, NULL), RelationGetDescr(rel), copy) &&
		tenancy_registry_try_share(&id, &copy->tenant) && has_status(run, &copy->tenant);
}

/* Keys for the rows of the module, those of this tenant, or after it. */
static void
init_copy_keys(ScanKey keys, const Run *run, const pg_uuid_t *tenant, StrategyNumber strategy)
{
	ScanKeyEntryInitialize(&keys[0], 0, Anum_module_copy_module, BTEqualStrategyNumber, InvalidOid,
						   C_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(run->module.name));
	ScanKeyInit(&keys[1], Anum_module_copy_tenant_id, strategy,
				strategy == BTEqualStrategyNumber ? F_UUID_EQ : F_UUID_GT, UUIDPGetDatum(tenant));
}

/*
 * Take the next copy after "last" that is behind; returns false if there is
 * none, none that is free, or if the run is over.
 */
static bool
take_copy(const Run *run, const pg_uuid_t *last, Copy *copy)
{
	Relation	rel;
	Relation	index;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	TupleTableSlot *slot;
	bool		taken = false;

	if (run_is_over(run))
		return false;
	rel = table_open(tenancy_registry_relation("module_copy"), RowShareLock);
	index = index_open(tenancy_registry_relation("module_copy_pkey"), AccessShareLock);
	slot = table_slot_create(rel, NULL);
	init_copy_keys(keys, run, last, BTGreaterStrategyNumber);
	scan = systable_beginscan_ordered(rel, index, NULL, lengthof(keys), keys);
	while (!taken && HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		taken = read_copy(run, tuple, RelationGetDescr(rel), copy) && is_member(run, &copy->tenant.id) &&
			lock_copy(run, rel, &tuple->t_self, slot, copy);
	}
	systable_endscan_ordered(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(rel, NoLock);
	return taken;
}

/* Set columns of a copy's row; one that is not locked yet is waited for. */
static void
update_copy(const Run *run, const Copy *copy, Datum *values, bool *nulls, bool *replaces)
{
	Relation	rel = table_open(tenancy_registry_relation("module_copy"), RowExclusiveLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	init_copy_keys(keys, run, &copy->tenant.id, BTEqualStrategyNumber);
	scan = systable_beginscan(rel, tenancy_registry_relation("module_copy_pkey"), true, NULL,
							  lengthof(keys), keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		tenancy_registry_lock_row(rel, &tuple->t_self, LockTupleNoKeyExclusive, LockWaitBlock, slot))
	{
		HeapTuple	old = ExecFetchSlotHeapTuple(slot, false, NULL);
		HeapTuple	new = heap_modify_tuple(old, RelationGetDescr(rel), values, nulls, replaces);

		CatalogTupleUpdate(rel, &old->t_self, new);
	}
	systable_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
}

static void
note_success(const Run *run, const Copy *copy, int level)
{
	Datum		values[Natts_module_copy] = {0};
	bool		nulls[Natts_module_copy] = {false};
	bool		replaces[Natts_module_copy];
	Datum		start = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());

	/* All but the key: it counts as not tried, not failed and not begun. */
	memset(replaces, true, sizeof(replaces));
	replaces[Anum_module_copy_tenant_id - 1] = false;
	replaces[Anum_module_copy_module - 1] = false;
	nulls[Anum_module_copy_last_error - 1] = true;
	nulls[Anum_module_copy_retry_at - 1] = true;
	values[Anum_module_copy_level - 1] = Int32GetDatum(level);
	values[Anum_module_copy_run - 1] = Int64GetDatum(run->id);
	values[Anum_module_copy_attempted_at - 1] = start;
	values[Anum_module_copy_duration - 1] = DirectFunctionCall2(timestamp_mi, TimestampTzGetDatum(GetCurrentTimestamp()), start);
	update_copy(run, copy, values, nulls, replaces);
	CommandCounterIncrement();
}

/*
 * Note what went wrong: not the error's detail, which may quote a tenant's
 * rows.  And end the run if that was one failure too many.
 */
static void
note_failure(const Run *run, const Copy *copy, const ErrorData *edata)
{
	const char *where = edata->context ?
		strstr(edata->context, run->patience.undo_to >= 0 ? "undoing migration " : "migration ") : NULL;
	int			tries = copy->tries + 1;
	bool		failed = run->patience.dry_run || tries > run->patience.retries ||
		!tenancy_apply_may_retry(edata->sqlerrcode);
	StringInfoData message;
	TenancyExec exec;

	initStringInfo(&message);
	appendStringInfo(&message, "%s%s: %s", run->patience.dry_run ? "dry run: " : "",
					 unpack_sql_state(edata->sqlerrcode), edata->message);
	if (where != NULL)
		appendStringInfo(&message, "\n%.*s", (int) strcspn(where, "\n"), where);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("UPDATE tenancy.module_copy SET attempts = attempts OPERATOR(pg_catalog.+) 1,"
						" last_error = %s, run = " INT64_FORMAT ", tries = %d, failed = %s, attempted_at = pg_catalog.now(),"
						" retry_at = CASE WHEN %s THEN NULL ELSE pg_catalog.now() OPERATOR(pg_catalog.+)"
						" pg_catalog.make_interval(secs => %d / 1000.0) END"
						" WHERE module OPERATOR(pg_catalog.=) %s AND tenant_id OPERATOR(pg_catalog.=) '%s'",
						quote_literal_cstr(message.data), run->id, tries, failed ? "true" : "false",
						failed ? "true" : "false", tenancy_apply_pause(tries),
						quote_literal_cstr(run->module.name), tenancy_ident_uuid_text(&copy->tenant.id));
	if (failed && run->max_failures > 0)
		tenancy_exec_format("UPDATE tenancy.migration_run r SET finished_at = pg_catalog.clock_timestamp()"
							" WHERE id OPERATOR(pg_catalog.=) " INT64_FORMAT " AND finished_at IS NULL"
							" AND (SELECT pg_catalog.count(*) FROM tenancy.module_copy c WHERE c.run OPERATOR(pg_catalog.=) r.id"
							" AND c.failed) OPERATOR(pg_catalog.>=) %d",
							run->id, run->max_failures);
	tenancy_exec_end(&exec);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * When the next try is due of what is left, in milliseconds, 0 if others have all
 * of that locked; -1 if nothing is left, or the run is over.
 */
static int
time_to_next(const Run *run)
{
	TenancyExec exec;
	char	   *ms;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	ms = tenancy_exec_text_format(&exec,
								  "SELECT pg_catalog.min(CASE WHEN c.run IS DISTINCT FROM r.id OR c.retry_at IS NULL THEN 0"
								  " ELSE GREATEST(0, EXTRACT(epoch FROM c.retry_at OPERATOR(pg_catalog.-) pg_catalog.clock_timestamp())"
								  " OPERATOR(pg_catalog.*) 1000) END)::pg_catalog.int4"
								  TENANCY_FLEET_MEMBERS
								  " AND r.id OPERATOR(pg_catalog.=) " INT64_FORMAT " AND r.finished_at IS NULL"
								  " AND " TENANCY_FLEET_BEHIND " AND (c.run IS DISTINCT FROM r.id OR NOT c.failed)",
								  run->id);
	tenancy_exec_end(&exec);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return ms == NULL ? -1 : atoi(ms);
}


/* ----------------------------------------------------------------
 * One copy
 * ----------------------------------------------------------------
 */

static void
init_place(TenancyPlace *place, const Run *run, const Copy *copy)
{
	const char *schema = run->module.position == 1 ? copy->tenant.schema_name :
		tenancy_ident_schema(copy->tenant.slug, run->module.name);

	tenancy_registry_refuse_foreign_schema(&copy->tenant, schema);
	place->module = &run->module;
	place->schema = get_namespace_oid(schema, false);
	place->owner = tenancy_registry_schema_owner(schema);
	place->search_path = tenancy_apply_path(&copy->tenant, &run->module, run->following);
	place->tenant = &copy->tenant.id;
	place->column = run->column;
	tenancy_registry_refuse_superuser(schema, place->owner);
}

/* A migration by its position, with its statements. */
static TenancyMigration *
split_migration(const Run *run, int position)
{
	TenancyMigration *migration = list_nth(run->migrations, position - 1);

	if (migration->statements == NIL)
	{
		MemoryContext old = MemoryContextSwitchTo(run->context);

		migration->statements = tenancy_migration_split(migration->sql);
		MemoryContextSwitchTo(old);
	}
	return migration;
}

/* What the copy still has to have, or to lose, in that order. */
static List *
migrations_left(const Run *run, int level)
{
	List	   *left = NIL;

	if (run->patience.undo_to >= 0)
	{
		for (int i = level; i > run->level; i--)
			left = lappend(left, list_nth(run->undos, i - 1));
	}
	else
	{
		for (int i = level; i < Min(run->level, list_length(run->migrations)); i++)
			left = lappend(left, split_migration(run, i + 1));
	}
	return left;
}

/* For a tenant's database, the migrations themselves, by position. */
static List *
migrations_between(const Run *run, int level)
{
	List	   *between = NIL;

	for (int i = Min(level, run->level); i < Min(Max(level, run->level), list_length(run->migrations)); i++)
		between = lappend(between, list_nth(run->migrations, i));
	return between;
}

/* What is half applied can only be finished. */
static void
check_step(const Run *run, const Copy *copy)
{
	if (run->patience.undo_to >= 0 && (copy->step > 0 || copy->under_way))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a migration that is not transactional has been begun and not finished"),
				 errhint("Call tenancy.migrate() first.")));
}

/* Migrate a tenant's database; the transaction goes on. */
static int
migrate_database(const Run *run, const Copy *copy)
{
	TenancyPatience once = run->patience;

	once.retries = 0;			/* we try again ourselves, later */
	tenancy_apply_in_database(tenancy_database_oid(&copy->tenant), &run->module,
							  migrations_between(run, copy->level), NULL, &once);
	if (!run->patience.dry_run)
		note_success(run, copy, run->level);
	return run->level;
}

/* Have the copy's schema migrated in the current transaction, and end that. */
static int
migrate_in_transaction(const Run *run, const Copy *copy, const TenancyPlace *place, List *left)
{
	int			level = copy->level;
	ListCell   *lc;

	foreach(lc, left)
	{
		TenancyMigration *migration = lfirst(lc);

		if (!migration->transactional)
			break;				/* a dry run ends here */
		tenancy_apply_run(place, migration);
		level += migration->undoing ? -1 : 1;
		if (!run->patience.dry_run)
			break;
	}
	if (!run->patience.dry_run)
		note_success(run, copy, level);
	PopActiveSnapshot();
	if (run->patience.dry_run)
		AbortCurrentTransaction();
	else
		tenancy_exec_commit_as(place->owner, place->search_path,
							   tenancy_ident_uuid_text(&copy->tenant.id));
	return level;
}

/*
 * Migrate the copy in steps, in transactions of their own; the lock of the session
 * keeps other workers away between them.
 */
static int
migrate_in_steps(const Run *run, const Copy *copy, const TenancyPlace *place,
				 const TenancyMigration *migration, MemoryContext context)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	tenancy_apply_run_steps(place, migration, copy->step, copy->under_way);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	note_success(run, copy, copy->level + 1);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return copy->level + 1;
}

/* Migrate the copy whose rows are locked, and end the transaction; returns its new level. */
static int
migrate_copy(const Run *run, const Copy *copy, MemoryContext context)
{
	List	   *left = migrations_left(run, copy->level);
	TenancyMigration *next = linitial(left);
	TenancyPlace place;

	check_step(run, copy);
	if (copy->tenant.mode == TENANCY_DATABASE)
	{
		int			level = migrate_database(run, copy);

		PopActiveSnapshot();
		CommitTransactionCommand();
		return level;
	}
	MemoryContextSwitchTo(context);
	init_place(&place, run, copy);
	if (next->transactional || run->patience.dry_run)
		return migrate_in_transaction(run, copy, &place, left);
	return migrate_in_steps(run, copy, &place, next, context);
}

/*
 * An advisory lock outlives the abort of a transaction, which others of the session
 * don't; it goes when we forget the session, before the next copy.  The last number
 * is none that pg_advisory_lock() and the like use.
 */
static void
init_copy_tag(LOCKTAG *tag, const Copy *copy)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, hash_bytes(copy->tenant.id.data, UUID_LEN),
						 tenancy_registry_relation("module_copy"), COPY_LOCK_CLASS);
}

/* Migrate the copy by one migration, or note why that failed.  Returns whether we are done with it. */
static bool
try_copy(const Run *run, const Copy *copy, MemoryContext context)
{
	volatile bool done = true;

	PG_TRY();
	{
		done = migrate_copy(run, copy, context) == run->level || run->patience.dry_run;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		(void) try_lock(&crew_tag, ShareLock);	/* this has released it */
		note_failure(run, copy, edata);
	}
	PG_END_TRY();
	return done;
}

/*
 * Take a copy after "last" and migrate it by one migration.  Returns false if
 * there is none to take; else moves "last" on if we are done with it.
 */
static bool
migrate_next(const Run *run, pg_uuid_t *last)
{
	Copy		copy;
	LOCKTAG		tag;
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_apply_forget_session();
	found = take_copy(run, last, &copy);
	if (!found)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		return false;
	}
	init_copy_tag(&tag, &copy);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		*last = copy.tenant.id;
		return true;
	}
	if (try_copy(run, &copy, context))
		*last = copy.tenant.id;
	return true;
}

/*
 * The catalogs' caches keep what they have seen of each schema.  None is seen
 * again, and so they would grow with the number of tenants.
 */
static void
trim_caches(int turns)
{
	if (turns % CACHE_TURNS != 0)
		return;
	StartTransactionCommand();
	InvalidateSystemCaches();
	CommitTransactionCommand();
}

/*
 * Walk the queue until nothing is left to do, or nobody wants it any more; or
 * until we have done our part.  Some of what the server keeps for each relation
 * that was touched, references to its statistics first, goes only with the process.
 */
static void
work(const Run *run)
{
	int			turns = 0;
	int			poll = POLL_MIN_MS;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy fleet",
												  ALLOCSET_DEFAULT_SIZES);
	pg_uuid_t	last;

	memset(&last, 0, sizeof(last));
	MemoryContextSwitchTo(context);
	while (!leader_is_gone())
	{
		int			wait;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		if (migrate_next(run, &last))
		{
			MemoryContextSwitchTo(context);
			poll = POLL_MIN_MS;
			if (++turns >= WORKER_TURNS && !run->patience.dry_run)
				break;
			trim_caches(turns);
			continue;
		}
		MemoryContextSwitchTo(context);
		memset(&last, 0, sizeof(last));
		if (run->patience.dry_run || (wait = time_to_next(run)) < 0)
			break;
		MemoryContextSwitchTo(context);
		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(Max(wait, poll), 1000), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		poll = Min(poll * 2, POLL_MAX_MS);
	}
}

/* A worker's entry point. */
void
tenancy_fleet_main(Datum main_arg)
{
	FleetArgument argument;
	Run			run;
	bool		found;

	memcpy(&argument, MyBgworkerEntry->bgw_extra, sizeof(argument));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	tenancy_worker_connect(argument.database, argument.role);
	tenancy_exec_pin_session();
	tenancy_context_any_status = true;

	memset(&run, 0, sizeof(run));
	run.id = argument.run;
	run.context = AllocSetContextCreate(TopMemoryContext, "tenancy migration run",
										ALLOCSET_DEFAULT_SIZES);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	init_tags();
	tenancy_worker_hold(&crew_tag, ShareLock);
	found = read_run(&run);
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (!found)
		return;
	tenancy_apply_set_lock_timeout(run.patience.lock_timeout);
	MemoryContextSwitchTo(run.context);
	work(&run);
	tell_leader(run.leader_pid);
}
