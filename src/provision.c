/*-------------------------------------------------------------------------
 *
 * provision.c
 *	  Tenants' lives: create, suspend, resume, rename.  Their end is in drop.c.
 *
 * A tenant's row is written first and by the caller's transaction, in every
 * mode, so that its unique keys decide between concurrent calls before a
 * schema or database is touched.  A schema comes and goes with the same
 * transaction; a database is settled at its end (database_settle.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "clone.h"
#include "database.h"
#include "exec.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "policy.h"
#include "provision.h"
#include "registry.h"
#include "session.h"
#include "spare.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(tenancy_provision_create_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_suspend_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_resume_tenant);
PG_FUNCTION_INFO_V1(tenancy_provision_rename_tenant);


/* ----------------------------------------------------------------
 * Creating
 * ----------------------------------------------------------------
 */

/* The main module; returns false if there is none yet. */
static bool
main_module(TenancyModule *module)
{
	List	   *modules = tenancy_registry_modules();

	if (modules == NIL)
		return false;
	*module = *(TenancyModule *) linitial(modules);
	return true;
}

/*
 * Rows of a shared tenant in a table that nobody protected would be
 * everybody's.
 */
void
tenancy_provision_check_shared(const TenancyModule *module)
{
	List	   *unprotected = tenancy_policy_unprotected(module);

	if (unprotected != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("module \"%s\" cannot serve shared tenants: not all of its tables are protected",
						module->name),
				 errdetail("Unprotected tables: %s.", tenancy_ident_enumerate(unprotected)),
				 errhint("Call tenancy.protect_module(%s), or create the tenant in mode schema or database.",
						 quote_literal_cstr(module->name))));
}

static void
check_mode(const TenancyTenant *tenant, TenancyModule *module)
{
	if (!main_module(module))
	{
		if (tenant->mode != TENANCY_SHARED)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("there is no module whose tables a tenant in mode %s could get",
							tenancy_mode_text(tenant->mode)),
					 errhint("Call tenancy.create_module() first.")));
		return;
	}
	if (tenant->mode == TENANCY_SHARED)
		tenancy_provision_check_shared(module);
	if (tenant->mode == TENANCY_SCHEMA &&
		OidIsValid(get_namespace_oid(tenant->schema_name, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", tenant->schema_name),
				 errdetail("An existing schema is never made a tenant's.")));
}

static char *
literal_or_null(const char *value)
{
	return value == NULL ? "NULL" : quote_literal_cstr(value);
}

/* Insert the tenant's row; its keys decide between concurrent calls. */
void
tenancy_provision_insert(const TenancyTenant *tenant, const char *display_name,
						 const char *metadata)
{
	TenancyTenant other;
	uint64		inserted;

	inserted = tenancy_exec_format_as(tenancy_registry_owner(),
									  "INSERT INTO tenancy.tenant (id, slug, mode,"
									  " schema_name, database_name, display_name, metadata)"
									  " VALUES ('%s', '%s', '%s', %s, %s, %s, %s) ON CONFLICT DO NOTHING",
									  tenancy_ident_uuid_text(&tenant->id),
									  tenant->slug, tenancy_mode_text(tenant->mode),
									  literal_or_null(tenant->mode == TENANCY_SCHEMA ? tenant->schema_name : NULL),
									  literal_or_null(tenant->mode == TENANCY_DATABASE ? tenant->database_name : NULL),
									  literal_or_null(display_name),
									  quote_literal_cstr(metadata));
	if (inserted > 0)
		return;

	if (tenancy_registry_by_id(&tenant->id, &other))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("tenant with id %s already exists",
						tenancy_ident_uuid_text(&tenant->id))));
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("tenant \"%s\" already exists", tenant->slug)));
}

/* create_tenant(slug, mode, id, display_name, metadata) */
Datum
tenancy_provision_create_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	TenancyModule module;
	pg_uuid_t  *result = palloc(sizeof(pg_uuid_t));
	Jsonb	   *metadata;
	char	   *display_name;
	char	   *metadata_text;

	tenancy_require_arg(fcinfo, 0, "slug");
	tenancy_require_arg(fcinfo, 1, "mode");
	tenancy_require_arg(fcinfo, 4, "metadata");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();

	memset(&tenant, 0, sizeof(tenant));
	tenancy_ident_check_slug(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	strlcpy(tenant.slug, text_to_cstring(PG_GETARG_TEXT_PP(0)), sizeof(tenant.slug));
	tenant.mode = tenancy_mode_from_datum(PG_GETARG_DATUM(1));
	tenant.id = *DatumGetUUIDP(PG_ARGISNULL(2) ?
							   DirectFunctionCall1(gen_random_uuid, (Datum) 0) :
							   PG_GETARG_DATUM(2));
	metadata = PG_GETARG_JSONB_P(4);
	if (!JB_ROOT_IS_OBJECT(metadata))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("metadata must be a JSON object")));
	if (tenant.mode == TENANCY_SCHEMA)
		strlcpy(tenant.schema_name, tenancy_ident_schema(tenant.slug, NULL), NAMEDATALEN);
	if (tenant.mode == TENANCY_DATABASE)
		strlcpy(tenant.database_name, tenancy_ident_database(tenant.slug), NAMEDATALEN);
	tenancy_registry_lock_access(ShareLock);
	check_mode(&tenant, &module);

	display_name = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	metadata_text = JsonbToCString(NULL, &metadata->root, VARSIZE(metadata));
	if (PG_ARGISNULL(2) && tenancy_spare_take(&tenant, display_name, metadata_text))
	{
		*result = tenant.id;
		PG_RETURN_UUID_P(result);
	}

	tenancy_provision_insert(&tenant, display_name, metadata_text);
	if (tenant.mode == TENANCY_SCHEMA)
		tenancy_clone_schema(&tenant, &module);
	else if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_create(&tenant, true);

	*result = tenant.id;
	PG_RETURN_UUID_P(result);
}


/* ----------------------------------------------------------------
 * Suspending, resuming, renaming
 * ----------------------------------------------------------------
 */

/*
 * Look up and lock the tenant that a function's first argument names, so that
 * what we decide by its state holds to the end.
 */
void
tenancy_provision_get_tenant(FunctionCallInfo fcinfo, TenancyTenant *tenant)
{
	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	tenancy_registry_lock_access(ShareLock);
	tenancy_registry_get_locked(text_to_cstring(PG_GETARG_TEXT_PP(0)), tenant);
}

/* An error: the tenant's status does not allow what was asked for. */
void
tenancy_provision_refuse_status(const TenancyTenant *tenant, const char *hint)
{
	const char *status = tenant->status == TENANCY_ACTIVE ? "active" :
		tenant->status == TENANCY_SUSPENDED ? "suspended" :
		tenant->status == TENANCY_MOVING ? "being moved" : "being dropped";

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("tenant \"%s\" is %s", tenant->slug, status),
			 errhint("%s", hint)));
}

/*
 * Refuse what would change where a tenant's rows are while it is moving, or
 * while some are left where it was: the move knows it as it is.
 */
void
tenancy_provision_refuse_move(const TenancyTenant *tenant)
{
	TenancyExec exec;
	char	   *phase;

	if (tenant->status == TENANCY_MOVING)
		tenancy_provision_refuse_status(tenant, "Wait for tenancy.move_tenant(), or call it again if it has failed.");
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	phase = tenancy_exec_text_format(&exec, "SELECT phase FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s'",
									 tenancy_ident_uuid_text(&tenant->id));
	tenancy_exec_end(&exec);
	if (phase == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 strcmp(phase, "switched") == 0 ?
			 errmsg("tenant \"%s\" has moved, and not all of its old rows are gone", tenant->slug) :
			 errmsg("tenant \"%s\" is being moved", tenant->slug),
			 errhint("Wait for tenancy.move_tenant(), or call it again if it has failed.")));
}

void
tenancy_provision_set_status(const TenancyTenant *tenant, const char *status, const char *reason)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "UPDATE tenancy.tenant SET status = '%s', status_reason = %s,"
						   " status_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) '%s'",
						   status, literal_or_null(reason),
						   tenancy_ident_uuid_text(&tenant->id));
}

/*
 * suspend_tenant(tenant text, reason text, end_sessions boolean): those of a database
 * always end.
 */
Datum
tenancy_provision_suspend_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	bool		end_sessions;

	tenancy_provision_get_tenant(fcinfo, &tenant);
	tenancy_require_arg(fcinfo, 2, "end_sessions");
	if (tenant.status != TENANCY_ACTIVE)
		tenancy_provision_refuse_status(&tenant, "Only an active tenant can be suspended.");
	end_sessions = PG_GETARG_BOOL(2) && tenant.mode != TENANCY_DATABASE;
	if (end_sessions)
		tenancy_session_require();
	tenancy_provision_set_status(&tenant, "suspended",
								 PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_suspend(&tenant);
	if (end_sessions)
		tenancy_session_end(&tenant.id);
	PG_RETURN_VOID();
}

/* resume_tenant(tenant text) */
Datum
tenancy_provision_resume_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;

	tenancy_provision_get_tenant(fcinfo, &tenant);
	if (tenant.status != TENANCY_SUSPENDED)
		tenancy_provision_refuse_status(&tenant, "Only a suspended tenant can be resumed.");
	tenancy_provision_set_status(&tenant, "active", NULL);
	if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_resume(&tenant);
	PG_RETURN_VOID();
}

/* Rename the tenant's schemas: only a superuser may, without CREATE on the database. */
static void
rename_schemas(const TenancyTenant *tenant, const TenancyTenant *renamed)
{
	List	   *old_names = tenancy_registry_schemas(tenant);
	List	   *new_names = tenancy_registry_schemas(renamed);
	ListCell   *lc;
	ListCell   *lc_old;
	ListCell   *lc_new;

	forboth(lc_old, old_names, lc_new, new_names)
	{
		tenancy_registry_refuse_foreign_schema(tenant, lfirst(lc_old));
		tenancy_exec_format_as(tenancy_registry_owner(),
							   "ALTER SCHEMA %s RENAME TO %s",
							   quote_identifier(lfirst(lc_old)),
							   quote_identifier(lfirst(lc_new)));
	}
	/* Plug-ins may name the main module's as well. */
	foreach(lc, new_names)
	{
		Oid			owner = tenancy_registry_schema_owner(lfirst(lc));

		forboth(lc_old, old_names, lc_new, new_names)
			tenancy_clone_follow(lfirst(lc), owner, lfirst(lc_old), lfirst(lc_new));
	}
}

/* rename_tenant(tenant text, new_slug text) */
Datum
tenancy_provision_rename_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	TenancyTenant renamed;
	TenancyTenant other;

	tenancy_provision_get_tenant(fcinfo, &tenant);
	tenancy_require_arg(fcinfo, 1, "new_slug");
	if (tenant.status == TENANCY_DROPPING)
		tenancy_provision_refuse_status(&tenant, "Call tenancy.drop_tenant() again to finish that.");
	tenancy_provision_refuse_move(&tenant);
	renamed = tenant;
	tenancy_ident_check_slug(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	strlcpy(renamed.slug, text_to_cstring(PG_GETARG_TEXT_PP(1)), sizeof(renamed.slug));
	if (tenancy_registry_by_slug(renamed.slug, &other))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("tenant \"%s\" already exists", renamed.slug)));
	if (tenant.mode == TENANCY_SCHEMA)
		strlcpy(renamed.schema_name, tenancy_ident_schema(renamed.slug, NULL), NAMEDATALEN);
	if (tenant.mode == TENANCY_DATABASE)
		strlcpy(renamed.database_name, tenancy_ident_database(renamed.slug), NAMEDATALEN);

	tenancy_exec_format_as(tenancy_registry_owner(),
						   "UPDATE tenancy.tenant SET slug = '%s', schema_name = %s, database_name = %s"
						   " WHERE id OPERATOR(pg_catalog.=) '%s'",
						   renamed.slug,
						   literal_or_null(tenant.mode == TENANCY_SCHEMA ? renamed.schema_name : NULL),
						   literal_or_null(tenant.mode == TENANCY_DATABASE ? renamed.database_name : NULL),
						   tenancy_ident_uuid_text(&tenant.id));
	if (tenant.mode == TENANCY_SCHEMA)
		rename_schemas(&tenant, &renamed);
	else if (tenant.mode == TENANCY_DATABASE)
		tenancy_database_rename(&tenant, renamed.database_name);
	PG_RETURN_VOID();
}
