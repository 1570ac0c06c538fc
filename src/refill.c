/*-------------------------------------------------------------------------
 *
 * refill.c
 *	  Keeping spares: renewing, replacing and making them.
 *
 * A spare is good as long as it is what a clone of its model would be: drift()
 * finds nothing, no table has rows, no sequence has been drawn from.  (A data
 * statement of a migration reaches spares like tenants, and what it leaves in
 * one would be a new tenant's; a clone has none of it.)  A good spare whose
 * fingerprint is not that of the models any more, because they were migrated
 * with it, is renewed; any other is dropped.
 *
 * refill_spares() commits after each spare, so that it can be interrupted, holds
 * no lock for long, and goes on where it was when it is called again.  A lock
 * of the session makes it the only one; it is not held for the migrations,
 * which renew on their own.  A spare is locked while it is looked at, so that
 * it is not taken meanwhile; one that somebody else has locked is left alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "clone.h"
#include "database.h"
#include "drift.h"
#include "drop_schema.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "progress.h"
#include "refill.h"
#include "registry.h"
#include "remove.h"
#include "spare.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_refill_spares);

PGDLLEXPORT void tenancy_refill_main(Datum main_arg);

/* A call of refill_spares(). */
typedef struct Refill
{
	TenancyMode mode;
	int			wanted;
	int			there;			/* spares that are good */
	int			made;			/* by this call ... */
	int			to_make;		/* ... of so many */
	TenancyProgress progress;
} Refill;


/* ----------------------------------------------------------------
 * Transactions
 * ----------------------------------------------------------------
 */

/* A worker begins and ends its transactions itself, a procedure only ends them. */
static bool is_worker = false;

/* Outlives them. */
static MemoryContext work_context;

static void
begin_here(void)
{
	if (is_worker)
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
	}
	AcceptInvalidationMessages();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(work_context);
}

static void
commit_here(void)
{
	PopActiveSnapshot();
	if (is_worker)
		CommitTransactionCommand();
	else
	{
		SPI_commit();
		XactIsoLevel = XACT_READ_COMMITTED;
	}
	MemoryContextSwitchTo(work_context);
}


/* ----------------------------------------------------------------
 * One spare
 * ----------------------------------------------------------------
 */

/* Lock the spare; returns false if it is gone, or somebody else is at it. */
static bool
lock_spare(const char *id, TenancyTenant *spare)
{
	TenancyExec exec;
	pg_uuid_t	uuid;
	bool		found;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	found = tenancy_exec_format("SELECT FROM tenancy.spare s"
								" JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) s.tenant_id"
								" WHERE s.tenant_id OPERATOR(pg_catalog.=) '%s'"
								" AND t.status OPERATOR(pg_catalog.=) 'spare' FOR UPDATE OF s, t SKIP LOCKED", id) > 0;
	tenancy_exec_end(&exec);
	AcceptInvalidationMessages();
	return found && tenancy_ident_parse_uuid(id, &uuid) && tenancy_registry_find(&uuid, spare);
}

/* SQL: has relation c had rows, or been drawn from, as none has in a copy just made? */
#define IS_USED \
	"CASE c.relkind WHEN 'r' THEN pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog.>) 0" \
	" WHEN 'S' THEN pg_catalog.pg_sequence_last_value(c.oid) IS NOT NULL END"

static bool
is_unused_schema(const TenancyTenant *spare)
{
	TenancyExec exec;
	bool		used;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	used = tenancy_exec_finds(psprintf("SELECT FROM pg_catalog.pg_depend d"
									   " JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid"
									   " WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
									   " AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass"
									   " AND d.refobjid OPERATOR(pg_catalog.=) %u AND " IS_USED " LIMIT 1",
									   get_namespace_oid(spare->schema_name, false)));
	tenancy_exec_end(&exec);
	return !used;
}

/* The same in a database, where its registry names the models' schemas. */
static bool
is_unused_database(const TenancyTenant *spare)
{
	TenancyJob *job = tenancy_worker_job(tenancy_database_oid(spare));

	tenancy_worker_add(job, "SELECT FROM tenancy.module m"
					   " JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
					   " CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " c"
					   " WHERE " IS_USED " LIMIT 1");
	return tenancy_worker_run(job) == 0;
}

/* Is the spare what a clone would be? */
static bool
is_good(const TenancyTenant *spare)
{
	if (spare->mode == TENANCY_DATABASE)
		return tenancy_database_is_ours(spare) && !tenancy_drift_finds(spare) && is_unused_database(spare);
	return OidIsValid(get_namespace_oid(spare->schema_name, true)) &&
		!tenancy_registry_is_foreign_schema(spare->schema_name) &&
		!tenancy_drift_finds(spare) && is_unused_schema(spare);
}

/* The spare is a copy of the models of which this is the fingerprint. */
static void
set_fingerprint(const TenancyTenant *spare, const char *fingerprint)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "UPDATE tenancy.spare SET fingerprint = %s WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
						   " AND fingerprint OPERATOR(pg_catalog.<>) %s",
						   quote_literal_cstr(fingerprint), tenancy_ident_uuid_text(&spare->id),
						   quote_literal_cstr(fingerprint));
}

static void
drop_spare(const TenancyTenant *spare)
{
	if (spare->mode == TENANCY_SCHEMA)
		tenancy_drop_schemas(psprintf("spare \"%s\"", spare->slug),
							 list_make1(pstrdup(spare->schema_name)), false);
	else
		tenancy_database_drop(spare);
	tenancy_remove(&spare->id);
}

/* The ids of the spares of a mode, or of those of all modes that are stale. */
static List *
spare_ids(const char *condition)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								psprintf("SELECT tenant_id FROM tenancy.spare WHERE %s"
										 " ORDER BY made_at, tenant_id", condition));
}

/*
 * Renew the spares that have been migrated, or whose model has changed without
 * leaving a trace.  The fingerprint is read before the spare is compared: if
 * the model changes in between, it is out of date, and the spare is not taken.
 * In a procedure that commits; begins and ends between two transactions.
 */
void
tenancy_refill_renew(void)
{
	char	   *fingerprint;
	List	   *ids;
	ListCell   *lc;

	work_context = CurrentMemoryContext;
	begin_here();
	fingerprint = tenancy_clone_fingerprint();
	ids = spare_ids(psprintf("fingerprint OPERATOR(pg_catalog.<>) %s", quote_literal_cstr(fingerprint)));
	commit_here();
	foreach(lc, ids)
	{
		TenancyTenant spare;

		begin_here();
		if (lock_spare(lfirst(lc), &spare) && is_good(&spare))
			set_fingerprint(&spare, fingerprint);
		commit_here();
	}
}


/* ----------------------------------------------------------------
 * Refilling
 * ----------------------------------------------------------------
 */

static void
report_checks(Refill *refill, int done, int total)
{
	if (tenancy_progress_is_due(&refill->progress))
		tenancy_progress_tell(psprintf(_("checked %d of %d spares of mode %s, %.1f spares/s, about %.0f s remaining"),
									   done, total, tenancy_mode_text(refill->mode),
									   tenancy_progress_rate(&refill->progress, done),
									   tenancy_progress_remaining(&refill->progress, done, total)));
}

/* Renew or drop what is there of a mode, and count what remains. */
static void
check_spares(Refill *refill)
{
	List	   *ids;
	ListCell   *lc;

	begin_here();
	ids = spare_ids(psprintf("mode OPERATOR(pg_catalog.=) '%s'", tenancy_mode_text(refill->mode)));
	commit_here();
	refill->there = 0;
	tenancy_progress_start(&refill->progress);
	foreach(lc, ids)
	{
		TenancyTenant spare;
		char	   *fingerprint;

		CHECK_FOR_INTERRUPTS();
		begin_here();
		fingerprint = tenancy_clone_fingerprint();
		if (lock_spare(lfirst(lc), &spare))
		{
			if (refill->there < refill->wanted && is_good(&spare))
			{
				set_fingerprint(&spare, fingerprint);
				refill->there++;
			}
			else
				drop_spare(&spare);
		}
		commit_here();
		report_checks(refill, foreach_current_index(lc) + 1, list_length(ids));
	}
}

static void
report_progress(Refill *refill)
{
	if (tenancy_progress_is_due(&refill->progress))
		tenancy_progress_tell(psprintf(_("made %d of %d spares of mode %s, %.1f spares/s, about %.0f s remaining"),
									   refill->made, refill->to_make, tenancy_mode_text(refill->mode),
									   tenancy_progress_rate(&refill->progress, refill->made),
									   tenancy_progress_remaining(&refill->progress, refill->made, refill->to_make)));
}

static void
make_spares(Refill *refill)
{
	refill->made = 0;
	refill->to_make = refill->wanted - refill->there;
	tenancy_progress_start(&refill->progress);
	while (refill->made < refill->to_make)
	{
		CHECK_FOR_INTERRUPTS();
		begin_here();
		tenancy_spare_make(refill->mode);
		commit_here();
		refill->made++;
		report_progress(refill);
	}
}

static int
wanted_spares(TenancyMode mode)
{
	char	   *wanted;

	begin_here();
	wanted = tenancy_exec_text_as(tenancy_registry_owner(),
								  "SELECT spares FROM tenancy.spare_target WHERE mode OPERATOR(pg_catalog.=) '%s'",
								  tenancy_mode_text(mode));
	commit_here();
	return wanted ? atoi(wanted) : 0;
}

static void
refill_mode(TenancyMode mode)
{
	Refill		refill = {0};

	refill.mode = mode;
	refill.wanted = wanted_spares(mode);
	check_spares(&refill);
	make_spares(&refill);
	tenancy_progress_end();
}

/* The lock of whoever is the only one. */
static void
init_tag(LOCKTAG *tag)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, RelationRelationId,
					   tenancy_registry_relation("spare"), 1);
}

static void
release_lock(int code, Datum arg)
{
	LockRelease((LOCKTAG *) DatumGetPointer(arg), ExclusiveLock, true);
}

static void
refill(void)
{
	work_context = CurrentMemoryContext;
	refill_mode(TENANCY_SCHEMA);
	refill_mode(TENANCY_DATABASE);
}

/* refill_spares() */
Datum
tenancy_refill_spares(PG_FUNCTION_ARGS)
{
	LOCKTAG		tag;

	tenancy_exec_refuse_transaction(fcinfo, "tenancy.refill_spares()", "It commits spare by spare.");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	tenancy_exec_begin_procedure();
	init_tag(&tag);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("another session is making spares")));
	PG_ENSURE_ERROR_CLEANUP(release_lock, PointerGetDatum(&tag));
	{
		refill();
	}
	PG_END_ENSURE_ERROR_CLEANUP(release_lock, PointerGetDatum(&tag));
	release_lock(0, PointerGetDatum(&tag));
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * The worker that is started when a spare has been taken.  If another one is at
 * it, that one has counted before this one was taken, perhaps: so wait for it.
 */
void
tenancy_refill_main(Datum main_arg)
{
	TenancyRefillArgument argument;
	LOCKTAG		tag;
	MemoryContext context;

	memcpy(&argument, MyBgworkerEntry->bgw_extra, sizeof(argument));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	tenancy_worker_connect(argument.database, argument.role);
	is_worker = true;
	context = AllocSetContextCreate(TopMemoryContext, "tenancy refill", ALLOCSET_DEFAULT_SIZES);
	StartTransactionCommand();
	init_tag(&tag);
	tenancy_worker_hold(&tag, ExclusiveLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	refill();
}
