/*-------------------------------------------------------------------------
 *
 * reference_sync.c
 *	  Which tables are reference tables; bringing all copies of them in step.
 *
 * To add or remove a reference table changes the registry only, in the caller's
 * transaction.  sync_reference_tables() has the rows written to files once, and
 * then goes from one tenant's database to the next.  What is done in each is
 * committed there, whatever becomes of the caller; since it is found by
 * comparing, the same call goes on where one has stopped.  What fails in one
 * database is reported, and the others go on.
 *
 * Nobody is kept from dropping or moving a tenant meanwhile: its database has
 * then been dealt with, or is none of ours any more.
 *
 * Locks: one call at a time, by a lock of its own to the end of the transaction, so
 * that an older state never follows a newer one.  Spares' rows that somebody has
 * locked are passed over: who takes the spare brings it in step himself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "miscadmin.h"
#include "progress.h"
#include "reference.h"
#include "registry.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_reference_add);
PG_FUNCTION_INFO_V1(tenancy_reference_remove);
PG_FUNCTION_INFO_V1(tenancy_reference_sync);

/* ----------------------------------------------------------------
 * Which tables
 * ----------------------------------------------------------------
 */

static char *
table_name(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/* Are there databases that will hear of a change only by the next synchronization? */
static void
hint_at_sync(void)
{
	if (tenancy_exec_format_as(tenancy_registry_owner(),
							   "SELECT FROM tenancy.tenant WHERE mode OPERATOR(pg_catalog.=) 'database' LIMIT 1") > 0)
		ereport(NOTICE,
				(errmsg("the databases of tenants have not changed yet"),
				 errhint("Call tenancy.sync_reference_tables() when the transaction has committed.")));
}

/* add_reference_table(rel regclass) */
Datum
tenancy_reference_add(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *name;

	tenancy_require_arg(fcinfo, 0, "rel");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	relid = PG_GETARG_OID(0);
	LockRelationOid(relid, AccessShareLock);
	name = table_name(relid);
	tenancy_registry_lock_access(ShareLock);
	tenancy_reference_check(relid);
	if (tenancy_exec_format_as(tenancy_registry_owner(),
							   "INSERT INTO tenancy.reference_table (relation) VALUES (%u) ON CONFLICT DO NOTHING", relid) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table \"%s\" is a reference table already", name)));
	hint_at_sync();
	PG_RETURN_VOID();
}

/* Does a model's foreign key need the table where the model is copied to? */
static void
refuse_needed(Oid relid, const char *name)
{
	ListCell   *lc;
	List	   *constraints = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%I on %%s', k.conname, k.conrelid::pg_catalog.regclass) FROM tenancy.module m"
		" JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
		" CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[n.oid]") " c"
		" JOIN pg_catalog.pg_constraint k ON k.conrelid OPERATOR(pg_catalog.=) c.oid"
		" WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) %u LIMIT 1", relid));

	foreach(lc, constraints)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("reference table \"%s\" is needed by foreign key %s", name, (char *) lfirst(lc)),
				 errdetail("Tenants' databases could not have the foreign key without it.")));
}

/* remove_reference_table(rel regclass) */
Datum
tenancy_reference_remove(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *name;

	tenancy_require_arg(fcinfo, 0, "rel");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	relid = PG_GETARG_OID(0);
	name = table_name(relid);
	refuse_needed(relid, name);
	if (tenancy_exec_format_as(tenancy_registry_owner(),
							   "DELETE FROM tenancy.reference_table WHERE relation::pg_catalog.oid OPERATOR(pg_catalog.=) %u", relid) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" is not a reference table", name)));
	hint_at_sync();
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * Synchronization
 * ----------------------------------------------------------------
 */

static void
report_row(ReturnSetInfo *rsinfo, const char *tenant, const char *table, int altered,
		   int64 inserted, int64 updated, int64 deleted, const char *error)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(tenant);
	nulls[1] = nulls[2] = nulls[3] = nulls[4] = nulls[5] = table == NULL;
	if (table != NULL)
		values[1] = CStringGetTextDatum(table);
	values[2] = BoolGetDatum(altered != 0);
	values[3] = Int64GetDatum(inserted);
	values[4] = Int64GetDatum(updated);
	values[5] = Int64GetDatum(deleted);
	nulls[6] = error == NULL;
	if (error != NULL)
		values[6] = CStringGetTextDatum(error);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Return what was changed in a tenant's database. */
static void
report_changes(ReturnSetInfo *rsinfo, const char *tenant, List *lines)
{
	ListCell   *lc;

	foreach(lc, lines)
	{
		int			altered;
		unsigned long long inserted;
		unsigned long long updated;
		unsigned long long deleted;
		Oid			relid;

		if (sscanf(lfirst(lc), "%u %d %llu %llu %llu", &relid, &altered, &inserted, &updated, &deleted) != 5)
			elog(ERROR, "invalid result of a worker: %s", (char *) lfirst(lc));
		if (altered || inserted > 0 || updated > 0 || deleted > 0)
			report_row(rsinfo, tenant, table_name(relid), altered, inserted, updated, deleted, NULL);
	}
}

/* Does a tenant's or a spare's database still exist, as far as the registry knows? */
static bool
still_there(const TenancyTenant *tenant, TenancyTenant *now)
{
	return tenancy_registry_find(&tenant->id, now) && now->mode == TENANCY_DATABASE &&
		now->status != TENANCY_DROPPING;
}

/*
 * Bring one database in step; returns the error that this ended with, or NULL.
 * The error's detail is left out: it may quote the tenant's rows.
 */
static char *
try_database(const TenancyReferences *references, const TenancyTenant *tenant)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		tenancy_reference_send(references, tenancy_database_oid(tenant));
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED || edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		error = psprintf("%s: %s", unpack_sql_state(edata->sqlerrcode), edata->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* Returns whether the tenant's database is in step. */
static bool
sync_tenant(ReturnSetInfo *rsinfo, const TenancyReferences *references, const char *id)
{
	TenancyTenant tenant;
	TenancyTenant now;
	pg_uuid_t	uuid;
	char	   *error;

	if (!tenancy_ident_parse_uuid(id, &uuid))
		return false;
	tenant.id = uuid;
	if (!still_there(&tenant, &now))
		return false;
	tenant = now;
	error = try_database(references, &tenant);
	report_changes(rsinfo, tenant.slug, tenancy_reference_result(references));
	if (error != NULL && still_there(&tenant, &now))
	{
		report_row(rsinfo, tenant.slug, NULL, 0, 0, 0, 0, error);
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("reference tables of tenant \"%s\" were not synchronized", tenant.slug),
				 errdetail_internal("%s", error)));
	}
	return error == NULL;
}

/* Spares need not be looked at again when they are taken, unless they are being taken now. */
static void
note_spares(const char *ids, const char *digest)
{
	(void) tenancy_exec_format_as(tenancy_registry_owner(),
								  "UPDATE tenancy.spare s SET reference_digest = %s WHERE s.tenant_id OPERATOR(pg_catalog.=) ANY"
								  " (SELECT x.tenant_id FROM tenancy.spare x WHERE x.mode OPERATOR(pg_catalog.=) 'database'"
								  "  AND x.tenant_id OPERATOR(pg_catalog.=) ANY ('{%s}'::pg_catalog.uuid[]) FOR UPDATE SKIP LOCKED)",
								  quote_literal_cstr(digest), ids);
}

static void
report_progress(TenancyProgress *progress, int done, int total)
{
	if (tenancy_progress_is_due(progress))
		tenancy_progress_tell(psprintf(_("synchronized reference tables in %d of %d databases, %.1f databases/s, about %.0f s remaining"),
									   done, total,
									   tenancy_progress_rate(progress, done),
									   tenancy_progress_remaining(progress, done, total)));
}

/*
 * The databases that are being made, for new tenants or for ones that move there.  They have
 * got the tables' rows already, perhaps older ones than ours, and nobody else sees them yet.
 */
static List *
find_unfinished(void)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								"SELECT COALESCE(t.slug, d.datname::pg_catalog.text, p.tenant_id::pg_catalog.text)"
								" FROM tenancy.pending_database p"
								" LEFT JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) p.tenant_id"
								" LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) p.database_oid"
								" WHERE p.action OPERATOR(pg_catalog.=) 'create'"
								" AND pg_catalog.pg_xact_status(p.xid) OPERATOR(pg_catalog.=) 'in progress'"
								" AND p.xid IS DISTINCT FROM pg_catalog.pg_current_xact_id_if_assigned() ORDER BY 1");
}

static void
report_unfinished(ReturnSetInfo *rsinfo, List *unfinished)
{
	ListCell   *lc;

	foreach(lc, unfinished)
	{
		report_row(rsinfo, lfirst(lc), NULL, 0, 0, 0, 0,
				   psprintf("%s: %s", unpack_sql_state(ERRCODE_OBJECT_IN_USE), _("the database is being made")));
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("reference tables of \"%s\" were not synchronized", (char *) lfirst(lc)),
				 errdetail("The database is being made, and may have the rows of before."),
				 errhint("Call tenancy.sync_reference_tables() again when it is there.")));
	}
}

static void
sync_all(ReturnSetInfo *rsinfo, TenancyReferences *references, const char *digest)
{
	List	   *unfinished = find_unfinished();
	List	   *tenants = tenancy_exec_list_as(tenancy_registry_owner(),
											   "SELECT id FROM tenancy.tenant WHERE mode OPERATOR(pg_catalog.=) 'database'"
											   " AND status OPERATOR(pg_catalog.<>) 'dropping' ORDER BY slug");
	TenancyProgress progress;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy reference tables",
												  ALLOCSET_DEFAULT_SIZES);
	StringInfoData done;
	ListCell   *lc;

	initStringInfo(&done);
	tenancy_progress_start(&progress);
	foreach(lc, tenants)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		CHECK_FOR_INTERRUPTS();
		if (sync_tenant(rsinfo, references, lfirst(lc)))
			appendStringInfo(&done, "%s%s", done.len > 0 ? "," : "", (char *) lfirst(lc));
		report_progress(&progress, foreach_current_index(lc) + 1, list_length(tenants));
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	}
	tenancy_progress_end();
	MemoryContextDelete(context);
	report_unfinished(rsinfo, unfinished);
	note_spares(done.data, digest);
}

/* A table that was dropped is no reference table. */
static void
forget_dropped(void)
{
	(void) tenancy_exec_format_as(tenancy_registry_owner(),
								  "DELETE FROM tenancy.reference_table r WHERE NOT EXISTS"
								  " (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) r.relation)");
}

/* sync_reference_tables() */
Datum
tenancy_reference_sync(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TenancyReferences *references = palloc0(sizeof(TenancyReferences));
	char	   *digest;

	InitMaterializedSRF(fcinfo, 0);
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();

	/* One call at a time: an older state must not follow a newer one. */
	LockDatabaseObject(RelationRelationId, tenancy_registry_relation("reference_table"), 1, ExclusiveLock);
	forget_dropped();
	digest = tenancy_reference_digest();
	tenancy_reference_begin(references);
	PG_ENSURE_ERROR_CLEANUP(tenancy_reference_end, PointerGetDatum(references));
	{
		tenancy_reference_export(references);
		sync_all(rsinfo, references, digest);
	}
	PG_END_ENSURE_ERROR_CLEANUP(tenancy_reference_end, PointerGetDatum(references));
	tenancy_reference_end(0, PointerGetDatum(references));
	return (Datum) 0;
}
