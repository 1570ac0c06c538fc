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
 * get it is an orphan, and ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "apply.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "context.h"
#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "fleet.h"
#include "ident.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "provision.h"
#include "registry.h"
#include "sibling.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"
#include "worker.h"

/* How long to wait before looking again for what others hold. */
#define POLL_MS				50

/* After so many migrations, the catalog caches are thrown away ... */
#define CACHE_TURNS			500

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
	List	   *migrations;		/* of TenancyMigration, split; [position - 1] */
	List	   *undos;			/* the same, where they are to be undone */
	char	   *column;			/* tenant column of the module's tables, or NULL */
	char	   *following;		/* what follows the modules' schemas on the path */
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

static bool
try_leader_lock(LOCKMODE mode)
{
	return LockAcquire(&leader_tag, mode, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

static void
init_leader_tag(void)
{
	SET_LOCKTAG_OBJECT(leader_tag, MyDatabaseId, RelationRelationId,
					   tenancy_registry_relation("migration_run"), 1);
}

/* Become the leader until the session ends or gives it up, if there is none. */
bool
tenancy_fleet_lock_leader(void)
{
	init_leader_tag();
	return try_leader_lock(ExclusiveLock);
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
	if (!try_leader_lock(ShareLock))
		return false;
	LockRelease(&leader_tag, ShareLock, true);
	return true;
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

/* A plan must walk the queue's index whatever the statistics say: others look at all copies for each one. */
static void
pin_planner(void)
{
	tenancy_exec_set("enable_seqscan", "off");
	tenancy_exec_set("enable_bitmapscan", "off");
	tenancy_exec_set("enable_hashjoin", "off");
	tenancy_exec_set("enable_mergejoin", "off");
	tenancy_exec_set("enable_sort", "off");
}

/* Run one of them, by a plan that is made once, and again where something has made it void. */
static uint64
run_plan(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			ret;

	if (*plan == NULL || !SPI_plan_is_valid(*plan))
		pin_planner();
	if (*plan == NULL)
	{
		*plan = SPI_prepare_cursor(sql, nargs, types, CURSOR_OPT_GENERIC_PLAN);
		if (*plan == NULL || SPI_keepplan(*plan) != 0)
			elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	}
	ret = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (ret < 0)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(ret));
	return SPI_processed;
}

static const char *
text_column(int n)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, n);

	return value == NULL ? "" : value;
}

/* What is the run about?  Returns false if it is over. */
static bool
read_run(Run *run)
{
	TenancyExec exec;
	MemoryContext old = MemoryContextSwitchTo(run->context);
	bool		found;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	found = tenancy_exec_format("SELECT module, level, max_failures, lock_timeout, retries, dry_run, down"
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
	}
	tenancy_exec_end(&exec);
	if (found)
	{
		tenancy_migration_check_complete(run->module.name, run->module.level);
		run->migrations = tenancy_migration_pending(run->module.name, 0);
		foreach(lc, run->migrations)
		{
			TenancyMigration *migration = lfirst(lc);

			if (run->patience.undo_to < 0)
				migration->statements = tenancy_migration_split(migration->sql);
			else
				run->undos = lappend(run->undos, migration->position <= run->level ? NULL :
									 tenancy_migration_undo(migration));
		}
		run->column = tenancy_sibling_column(&run->module);
		run->following = tenancy_apply_following(&run->module, false);
	}
	MemoryContextSwitchTo(old);
	return found;
}

/*
 * Take the next copy after "last" that is behind; returns false if there is
 * none, none that is free, or if the run is over.
 */
static bool
take_copy(const Run *run, const pg_uuid_t *last, Copy *copy)
{
	static SPIPlanPtr plan = NULL;
	static Oid	types[] = {INT8OID, TEXTOID, UUIDOID, INT4OID, BOOLOID};
	Datum		values[] = {Int64GetDatum(run->id), CStringGetTextDatum(run->module.name),
		UUIDPGetDatum(last), Int32GetDatum(run->level), BoolGetDatum(run->patience.undo_to >= 0)};
	TenancyExec exec;
	bool		found;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	found = run_plan(&plan,
					 "SELECT c.tenant_id, c.level, CASE WHEN c.run OPERATOR(pg_catalog.=) $1 THEN c.tries ELSE 0 END,"
					 " t.slug, t.mode, t.schema_name, t.database_name, c.step, c.under_way"
					 " FROM tenancy.module_copy c JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) c.tenant_id"
					 " WHERE c.module OPERATOR(pg_catalog.=) $2 AND c.tenant_id OPERATOR(pg_catalog.>) $3"
					 " AND CASE WHEN $5 THEN c.level OPERATOR(pg_catalog.>) $4 ELSE c.level OPERATOR(pg_catalog.<) $4 END"
					 " AND t.status IN ('active', 'suspended', 'spare')"
					 " AND (c.run IS DISTINCT FROM $1"
					 " OR (NOT c.failed AND (c.retry_at IS NULL OR c.retry_at OPERATOR(pg_catalog.<=) pg_catalog.clock_timestamp())))"
					 " AND EXISTS (SELECT FROM tenancy.migration_run r WHERE r.id OPERATOR(pg_catalog.=) $1"
					 " AND r.finished_at IS NULL"
					 " AND CASE WHEN r.tenants IS NULL THEN t.status OPERATOR(pg_catalog.<>) 'spare'"
					 " ELSE c.tenant_id OPERATOR(pg_catalog.=) ANY (r.tenants) END)"
					 " ORDER BY c.tenant_id LIMIT 1 FOR NO KEY UPDATE OF c SKIP LOCKED FOR SHARE OF t SKIP LOCKED",
					 lengthof(types), types, values, NULL) > 0;
	if (found)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		memset(copy, 0, sizeof(*copy));
		copy->tenant.id = *DatumGetUUIDP(SPI_getbinval(tuple, desc, 1, &isnull));
		copy->level = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
		copy->tries = DatumGetInt32(SPI_getbinval(tuple, desc, 3, &isnull));
		strlcpy(copy->tenant.slug, text_column(4), NAMEDATALEN);
		copy->tenant.mode = tenancy_mode_from_datum(SPI_getbinval(tuple, desc, 5, &isnull));
		strlcpy(copy->tenant.schema_name, text_column(6), NAMEDATALEN);
		strlcpy(copy->tenant.database_name, text_column(7), NAMEDATALEN);
		copy->step = atoi(text_column(8));
		copy->under_way = text_column(9)[0] == 't';
	}
	tenancy_exec_end(&exec);
	return found;
}

static void
note_success(const Run *run, const Copy *copy, int level)
{
	static SPIPlanPtr plan = NULL;
	static Oid	types[] = {INT8OID, TEXTOID, UUIDOID, INT4OID};
	Datum		values[] = {Int64GetDatum(run->id), CStringGetTextDatum(run->module.name),
	UUIDPGetDatum(&copy->tenant.id), Int32GetDatum(level)};
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	run_plan(&plan, "UPDATE tenancy.module_copy SET level = $4, attempts = 0, last_error = NULL, run = $1,"
			 " tries = 0, failed = false, retry_at = NULL, step = 0, under_way = false, attempted_at = pg_catalog.now(),"
			 " duration = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.now()"
			 " WHERE module OPERATOR(pg_catalog.=) $2 AND tenant_id OPERATOR(pg_catalog.=) $3",
			 lengthof(types), types, values, NULL);
	tenancy_exec_end(&exec);
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
 * When to look again for what is locked or waits for its next try, in
 * milliseconds; -1 if nothing is left, or the run is over.
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
	return ms == NULL ? -1 : Max(atoi(ms), POLL_MS);
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
	if (superuser_arg(place->owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" is owned by a superuser", schema)));
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
			left = lappend(left, list_nth(run->migrations, i));
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
							  migrations_between(run, copy->level), &once);
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
						 Min(wait, 1000), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
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
	init_leader_tag();
	found = read_run(&run);
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (!found)
		return;
	tenancy_apply_set_lock_timeout(run.patience.lock_timeout);
	MemoryContextSwitchTo(run.context);
	work(&run);
}
