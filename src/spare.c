/*-------------------------------------------------------------------------
 *
 * spare.c
 *	  Schemas and databases that were cloned ahead of need.
 *
 * A spare is a row of tenancy.tenant whose id has been drawn, whose status is
 * "spare" and whose slug no tenant can have, with a schema or database named
 * after that.  So migrations reach it, and access to all tenants, and the
 * privileges that a role with access must not have, as if it were a tenant;
 * but the registry's look-ups don't find it, and nobody can act for it.
 *
 * To make it a tenant means to rename it.  It must be what a clone would be, so
 * its row in tenancy.spare carries the fingerprint of the models of which it is
 * known to be a copy, and it is taken only if that is their fingerprint now.
 * After a migration, or a change of the model that leaves no trace in its
 * copies, refill.c renews it.
 *
 * Locks, in this order: that of the models, in share mode, so that no migration
 * comes between the look at the fingerprint and the end of the transaction; then
 * the spare's two rows.  A spare that somebody else has locked is left to him:
 * two calls never wait for each other, and who finds none makes a clone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "clone.h"
#include "database.h"
#include "exec.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "reference.h"
#include "registry.h"
#include "spare.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/uuid.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_spare_fingerprint);
PG_FUNCTION_INFO_V1(tenancy_spare_set);

static bool is_preloaded = false;

/* Has this transaction taken a spare?  And who would make another one? */
static bool has_taken = false;
static Oid	refill_role;


/* ----------------------------------------------------------------
 * Taking one
 * ----------------------------------------------------------------
 */

static void
refuse_duplicate(const char *slug)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("tenant \"%s\" already exists", slug)));
}

/* Is there any of this mode?  Where there are none, nothing else shall cost time, nor a statement's plan. */
static bool
has_spares(TenancyMode mode)
{
	Relation	rel = table_open(tenancy_registry_relation("spare"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		found = tenancy_mode_from_datum(heap_getattr(tuple, Anum_spare_mode, RelationGetDescr(rel), &isnull)) == mode;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* Lock a spare that is a copy of the models as they are now; returns false if there is none. */
static bool
lock_spare(const char *mode, TenancyTenant *spare)
{
	char	   *fingerprint = tenancy_clone_fingerprint();
	char	   *id;
	bool		found;

	id = tenancy_exec_text_as(tenancy_registry_owner(),
							  "SELECT t.id FROM tenancy.spare s"
							  " JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) s.tenant_id"
							  " WHERE s.mode OPERATOR(pg_catalog.=) '%s' AND t.status OPERATOR(pg_catalog.=) 'spare'"
							  " AND s.fingerprint OPERATOR(pg_catalog.=) %s"
							  " AND (EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) t.schema_name)"
							  " OR EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) t.database_name))"
							  " ORDER BY s.made_at LIMIT 1 FOR UPDATE OF s, t SKIP LOCKED",
							  mode, quote_literal_cstr(fingerprint));
	found = id != NULL;
	if (found)
	{
		pg_uuid_t	uuid;

		found = tenancy_ident_parse_uuid(id, &uuid) && tenancy_registry_find(&uuid, spare);
	}
	return found;
}

/* Is what has the name that the spare's row promises ours? */
static bool
is_ours(const TenancyTenant *spare)
{
	return spare->mode == TENANCY_DATABASE ? tenancy_database_is_ours(spare) :
		!tenancy_registry_is_foreign_schema(spare->schema_name);
}

/*
 * Make the spare's row the tenant's.  Another call may have taken the slug since
 * we looked, or may be about to.
 */
static void
update_row(const TenancyTenant *tenant, const char *display_name, const char *metadata)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *id = tenancy_ident_uuid_text(&tenant->id);
	TenancyExec exec;

	PG_TRY();
	{
		tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
		tenancy_exec_format("UPDATE tenancy.tenant SET slug = '%s', status = 'active', schema_name = %s,"
							" database_name = %s, display_name = %s, metadata = %s,"
							" created_at = pg_catalog.now(), status_at = pg_catalog.now()"
							" WHERE id OPERATOR(pg_catalog.=) '%s'",
							tenant->slug,
							tenant->mode == TENANCY_SCHEMA ? quote_literal_cstr(tenant->schema_name) : "NULL",
							tenant->mode == TENANCY_DATABASE ? quote_literal_cstr(tenant->database_name) : "NULL",
							display_name ? quote_literal_cstr(display_name) : "NULL",
							quote_literal_cstr(metadata), id);
		tenancy_exec_format("DELETE FROM tenancy.spare WHERE tenant_id OPERATOR(pg_catalog.=) '%s'", id);
		tenancy_exec_end(&exec);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		if (edata->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		refuse_duplicate(tenant->slug);
	}
	PG_END_TRY();
}

static void
rename_schema(const TenancyTenant *spare, const TenancyTenant *tenant)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "ALTER SCHEMA %s RENAME TO %s", quote_identifier(spare->schema_name),
						   quote_identifier(tenant->schema_name));
	tenancy_clone_follow(tenant->schema_name, tenancy_registry_schema_owner(tenant->schema_name),
						 spare->schema_name, tenant->schema_name);
}

/*
 * Bring the reference tables in a spare's database in step, unless nothing has
 * changed since that was done last: it takes two workers.
 */
static void
fill_references(const TenancyTenant *spare, const char *known)
{
	if (known == NULL || strcmp(known, tenancy_reference_digest()) != 0)
		tenancy_reference_fill(tenancy_database_oid(spare));
}

/*
 * Make a spare the tenant that is described, but for its id, which becomes the
 * spare's.  Returns false if there is none to be had; then nothing has
 * changed.
 *
 * A transaction that keeps its snapshot would fail when another one has taken
 * the spare that it sees.
 */
bool
tenancy_spare_take(TenancyTenant *tenant, const char *display_name, const char *metadata)
{
	const char *mode = tenancy_mode_text(tenant->mode);
	TenancyTenant spare;
	TenancyTenant other;
	char	   *digest;

	if (tenant->mode == TENANCY_SHARED || IsolationUsesXactSnapshot() || !has_spares(tenant->mode))
		return false;
	if (tenancy_registry_by_slug(tenant->slug, &other))
		refuse_duplicate(tenant->slug);
	tenancy_registry_lock_models(ShareLock);
	if (!lock_spare(mode, &spare) || !is_ours(&spare))
		return false;

	tenant->id = spare.id;
	digest = tenancy_exec_text_as(tenancy_registry_owner(), "SELECT reference_digest FROM tenancy.spare"
								  " WHERE tenant_id OPERATOR(pg_catalog.=) '%s'", tenancy_ident_uuid_text(&spare.id));
	update_row(tenant, display_name, metadata);
	if (tenant->mode == TENANCY_SCHEMA)
		rename_schema(&spare, tenant);
	else
	{
		fill_references(&spare, digest);
		tenancy_database_take(&spare, tenant);
	}
	has_taken = true;
	refill_role = tenancy_registry_owner();
	return true;
}


/* ----------------------------------------------------------------
 * Making one
 * ----------------------------------------------------------------
 */

/* Make a spare, in the caller's transaction as far as there are transactions. */
void
tenancy_spare_make(TenancyMode mode)
{
	TenancyTenant spare;
	TenancyExec exec;
	List	   *modules = tenancy_registry_modules();
	char	   *fingerprint;
	char	   *digest;

	if (modules == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("there is no module whose tables a spare could get"),
				 errhint("Call tenancy.create_module() first.")));

	memset(&spare, 0, sizeof(spare));
	spare.id = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	spare.mode = mode;
	spare.status = TENANCY_SPARE;
	strlcpy(spare.slug, tenancy_ident_spare(&spare.id), sizeof(spare.slug));
	if (mode == TENANCY_SCHEMA)
		strlcpy(spare.schema_name, tenancy_ident_schema(spare.slug, NULL), NAMEDATALEN);
	else
		strlcpy(spare.database_name, tenancy_ident_database(spare.slug), NAMEDATALEN);

	tenancy_registry_lock_access(ShareLock);
	tenancy_registry_lock_models(ShareLock);

	/*
	 * If the model changes from now on, it is not this fingerprint's any more, and
	 * the rows of reference tables not this digest's.
	 */
	fingerprint = tenancy_clone_fingerprint();
	digest = mode == TENANCY_DATABASE ? quote_literal_cstr(tenancy_reference_digest()) : "NULL";
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("INSERT INTO tenancy.tenant (id, slug, mode, status, schema_name, database_name)"
						" VALUES ('%s', '%s', '%s', 'spare', %s, %s)",
						tenancy_ident_uuid_text(&spare.id), spare.slug, tenancy_mode_text(mode),
						mode == TENANCY_SCHEMA ? quote_literal_cstr(spare.schema_name) : "NULL",
						mode == TENANCY_DATABASE ? quote_literal_cstr(spare.database_name) : "NULL");
	tenancy_exec_format("INSERT INTO tenancy.spare (tenant_id, mode, fingerprint, reference_digest) VALUES ('%s', '%s', %s, %s)",
						tenancy_ident_uuid_text(&spare.id), tenancy_mode_text(mode),
						quote_literal_cstr(fingerprint), digest);
	tenancy_exec_end(&exec);
	if (mode == TENANCY_SCHEMA)
		tenancy_clone_schema(&spare, linitial(modules));
	else
		tenancy_database_create(&spare, false);
}


/* ----------------------------------------------------------------
 * How many there shall be
 * ----------------------------------------------------------------
 */

/* set_spares(mode, spares) */
Datum
tenancy_spare_set(PG_FUNCTION_ARGS)
{
	TenancyMode mode;
	int			spares;

	tenancy_require_arg(fcinfo, 0, "mode");
	tenancy_require_arg(fcinfo, 1, "spares");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	mode = tenancy_mode_from_datum(PG_GETARG_DATUM(0));
	spares = PG_GETARG_INT32(1);
	if (mode == TENANCY_SHARED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no spares of mode \"shared\""),
				 errdetail("A shared tenant has nothing that could be made ahead of need.")));
	if (spares < 0 || spares > TENANCY_MAX_SPARES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("spares must be between 0 and %d", TENANCY_MAX_SPARES)));

	tenancy_exec_format_as(tenancy_registry_owner(),
						   "INSERT INTO tenancy.spare_target (mode, spares) VALUES ('%s', %d)"
						   " ON CONFLICT (mode) DO UPDATE SET spares = excluded.spares",
						   tenancy_mode_text(mode), spares);
	PG_RETURN_VOID();
}

/* model_fingerprint() */
Datum
tenancy_spare_fingerprint(PG_FUNCTION_ARGS)
{
	tenancy_registry_refuse_home();
	PG_RETURN_TEXT_P(cstring_to_text(tenancy_clone_fingerprint()));
}

/*
 * Where the library is preloaded, and only there, a worker makes another one
 * as soon as one is taken; nobody waits for it.  If no worker can be had,
 * the next refill_spares() does.
 */
static void
xact_callback(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT && has_taken && is_preloaded)
	{
		TenancyRefillArgument argument;
		BackgroundWorkerHandle *handle;

		argument.database = MyDatabaseId;
		argument.role = refill_role;
		handle = tenancy_worker_launch("tenancy_refill_main", &argument, sizeof(argument));
		if (handle != NULL)
			pfree(handle);
	}
	has_taken = false;
}

void
tenancy_spare_init(void)
{
	is_preloaded = process_shared_preload_libraries_in_progress;
	RegisterXactCallback(xact_callback, NULL);
}
