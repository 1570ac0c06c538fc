/*-------------------------------------------------------------------------
 *
 * context.c
 *	  The tenant context: setting it, checking it, and what the policies call.
 *
 * The context is the value of tenancy.tenant_id (guc.c).  It is a claim, not
 * a proof: whoever uses it, a policy above all, calls context_ensure() first,
 * which checks it against the registry.
 *
 * Invariants:
 *
 * - A context is good for one statement of one role.  The check is repeated
 *	 when the client's statement, the role, the setting, or anything that we
 *	 know of the registry has changed, so that a tenant suspended or an access
 *	 revoked in mid-session is noticed by the next statement.  Within a
 *	 statement the check costs a few comparisons, because policies ask for
 *	 every row.
 * - The role that counts is the one the session acts as (SET ROLE included),
 *	 never the owner of a SECURITY DEFINER function that is running: a function
 *	 lends its rights on tables, not its tenants.
 * - Once a transaction has used or set a context, it is pinned to that tenant
 *	 until it ends, or until the subtransaction that pinned it aborts.  The pin
 *	 is checked where the context is used, so that it does not matter by what
 *	 way the setting changed.  Hence a scan or a deferred trigger never runs on
 *	 under another tenant.
 * - A cursor can outlive the pin: one WITH HOLD, or the loop of a procedure
 *	 that commits, the transaction; one that was opened before a savepoint and
 *	 read after it, the subtransaction.  What a policy has let see rows is noted
 *	 therefore, and no other tenant can be acted for while it is open.
 *
 * - While the extension itself acts for a tenant (it fills materialized views of
 *	 a copy, or deletes its rows, with triggers), none of this counts but the tenant: who is in session, whether the
 *	 tenant is active, a spare or being moved, and the transaction's pin.  Nothing is
 *	 pinned or noted either, and what was begun under it ends under it.
 *
 * In a parallel worker the setting, the role and the statement's start are
 * the leader's, and the check reads the same registry.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "cache.h"
#include "catalog/namespace.h"
#include "compat.h"
#include "context.h"
#include "exec.h"
#include "executor/execdesc.h"
#include "fmgr.h"
#include "guc.h"
#include "ident.h"
#include "miscadmin.h"
#include "nodes/supportnodes.h"
#include "registry.h"
#include "session.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(tenancy_context_set_by_name);
PG_FUNCTION_INFO_V1(tenancy_context_set_by_id);
PG_FUNCTION_INFO_V1(tenancy_context_reset);
PG_FUNCTION_INFO_V1(tenancy_context_current_slug);
PG_FUNCTION_INFO_V1(tenancy_context_current_id);
PG_FUNCTION_INFO_V1(tenancy_context_is_current);
PG_FUNCTION_INFO_V1(tenancy_context_policy_id);
PG_FUNCTION_INFO_V1(tenancy_context_policy_is);
PG_FUNCTION_INFO_V1(tenancy_context_policy_support);

/* The context as it was last checked. */
static struct
{
	bool		valid;
	TimestampTz statement;		/* start of the client's statement */
	Oid			role;
	uint64		serial;			/* of the setting and the registry */
	TenancyTenant tenant;
}			checked;

/* The tenant to which the current transaction is pinned. */
static struct
{
	bool		valid;
	pg_uuid_t	id;
	SubTransactionId subxact;
}			pin;

/* Whether the extension acts for the tenant itself: see tenancy_context_act(). */
static struct
{
	bool		active;
	SubTransactionId subxact;
	TenancyTenant before;		/* what "checked" has had until then */
}			acting;

/*
 * A cursor, or another portal that a client or a function can go on reading,
 * whose query a policy has let see rows of a tenant.  Kept in TopMemoryContext.
 */
typedef struct TenantPortal
{
	Portal		portal;
	char	   *name;
	TimestampTz created;
	pg_uuid_t	id;
} TenantPortal;

static List *tenant_portals = NIL;

bool		tenancy_context_any_status = false;

static inline bool
same_id(const pg_uuid_t *a, const pg_uuid_t *b)
{
	return memcmp(a->data, b->data, UUID_LEN) == 0;
}


/* ----------------------------------------------------------------
 * The pin
 * ----------------------------------------------------------------
 */

static void
forget_check(void)
{
	checked.valid = false;
	tenancy_guc_serial++;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pin.valid = false;
			acting.active = false;
			forget_check();
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subid,
				 SubTransactionId parent, void *arg)
{
	if (acting.active && acting.subxact == subid && event == SUBXACT_EVENT_ABORT_SUB)
		tenancy_context_act_end();
	if (!pin.valid || pin.subxact != subid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		pin.subxact = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		pin.valid = false;
		forget_check();
	}
}

/*
 * Refuse another tenant than that which the transaction is pinned to, or which the
 * extension acts for: code that others wrote may run meanwhile.  That one is not named:
 * see tenancy_context_check_access().
 */
static void
check_pin(const TenancyTenant *tenant)
{
	const pg_uuid_t *only = acting.active ? &tenancy_guc_tenant.id : &pin.id;

	if ((acting.active || pin.valid) && !same_id(only, &tenant->id))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_ALREADY_SET),
				 errmsg("cannot act for tenant \"%s\" in a transaction that has acted for another tenant",
						tenant->slug),
				 errhint("End the transaction first.")));
}

static void
set_pin(const TenancyTenant *tenant)
{
	if (!pin.valid)
	{
		pin.valid = true;
		pin.id = tenant->id;
		pin.subxact = GetCurrentSubTransactionId();
	}
}

/* Does the portal that we noted still exist? */
static bool
portal_exists(const TenantPortal *noted)
{
	Portal		portal = GetPortalByName(noted->name);

	return PortalIsValid(portal) && portal == noted->portal &&
		portal->creation_time == noted->created;
}

/* Forget those that are gone, before a new one has the name, the place and the time of one. */
static void
forget_portals(void)
{
	ListCell   *lc;

	foreach(lc, tenant_portals)
	{
		TenantPortal *noted = lfirst(lc);

		if (portal_exists(noted))
			continue;
		tenant_portals = foreach_delete_current(tenant_portals, lc);
		pfree(noted->name);
		pfree(noted);
	}
}

/*
 * Note that the portal that is running reads rows of a tenant.  The portal of a
 * simple query (which does not show in pg_cursors either), of DO or of CALL
 * cannot be left and returned to.
 */
static void
note_portal(const pg_uuid_t *id)
{
	TenantPortal *noted;
	MemoryContext old;
	ListCell   *lc;

	if (ActivePortal == NULL || !ActivePortal->visible ||
		ActivePortal->strategy == PORTAL_MULTI_QUERY ||
		ActivePortal->commandTag == CMDTAG_CALL)
		return;
	forget_portals();
	foreach(lc, tenant_portals)
	{
		noted = lfirst(lc);
		if (noted->portal == ActivePortal && same_id(&noted->id, id))
			return;
	}

	old = MemoryContextSwitchTo(TopMemoryContext);
	noted = palloc(sizeof(TenantPortal));
	noted->portal = ActivePortal;
	noted->name = pstrdup(ActivePortal->name);
	noted->created = ActivePortal->creation_time;
	noted->id = *id;
	tenant_portals = lappend(tenant_portals, noted);
	MemoryContextSwitchTo(old);
}

/*
 * Refuse to act for a tenant while a cursor of another one is open.  The
 * portal that is running is no danger: it called us.
 */
static void
check_portals(const TenancyTenant *tenant)
{
	ListCell   *lc;

	forget_portals();
	foreach(lc, tenant_portals)
	{
		TenantPortal *noted = lfirst(lc);

		if (noted->portal != ActivePortal && !same_id(&noted->id, &tenant->id))
			ereport(ERROR,
					(errcode(ERRCODE_TENANCY_ALREADY_SET),
					 errmsg("cannot act for tenant \"%s\" while a cursor of another tenant is open",
							tenant->slug),
					 errhint("Close the cursor first.")));
	}
}


/* ----------------------------------------------------------------
 * Checking
 * ----------------------------------------------------------------
 */

static void
refuse_role(const char *slug_or_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for tenant \"%s\"", tenancy_ident_clip(slug_or_id))));
}

static void
check_status(const TenancyTenant *tenant)
{
	if (tenant->status == TENANCY_SUSPENDED && !tenancy_context_any_status)
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NOT_ACTIVE),
				 errmsg("tenant \"%s\" is suspended", tenant->slug)));
	if (tenant->status == TENANCY_DROPPING)
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NOT_ACTIVE),
				 errmsg("tenant \"%s\" is being dropped", tenant->slug)));
}

/* A database tenant can only be acted for in its database. */
static void
check_location(const TenancyTenant *tenant)
{
	if (tenant->mode == TENANCY_DATABASE && !tenancy_registry_is_home(tenant))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_ELSEWHERE),
				 errmsg("tenant \"%s\" lives in database \"%s\"",
						tenant->slug, tenant->database_name),
				 errhint("Connect to that database.")));
}

/*
 * Has the tenant moved since the snapshot was taken?  (An id that is yet to come is
 * from the server that the database was dumped from.)
 */
bool
tenancy_context_moved_since(const TenancyTenant *tenant, Snapshot snapshot)
{
	FullTransactionId next;

	if (!FullTransactionIdIsValid(tenant->moved_in))
		return false;
	next = ReadNextFullTransactionId();
	if (FullTransactionIdFollowsOrEquals(tenant->moved_in, next) ||
		U64FromFullTransactionId(next) - U64FromFullTransactionId(tenant->moved_in) > PG_INT32_MAX)
		return false;
	return !TransactionIdIsCurrentTransactionId(XidFromFullTransactionId(tenant->moved_in)) &&
		XidInMVCCSnapshot(XidFromFullTransactionId(tenant->moved_in), snapshot);
}

/*
 * A snapshot that is older than the tenant's move does not show the rows where
 * the tenant lives now.
 */
static void
check_snapshot(const TenancyTenant *tenant)
{
	if (IsolationUsesXactSnapshot() && tenancy_context_moved_since(tenant, GetTransactionSnapshot()))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access: tenant \"%s\" has moved since this transaction began",
						tenant->slug),
				 errhint("The transaction might succeed if retried.")));
}

/*
 * The slow path of context_ensure(): check the context against the registry,
 * raise an error unless it is good, and remember what was checked.
 */
static void
context_check(void)
{
	TenancyTenant tenant;
	Oid			role = GetOuterUserId();

	checked.valid = false;

	/* A lock that we hold already would not make us read these. */
	AcceptInvalidationMessages();

	if (!tenancy_registry_find(&tenancy_guc_tenant.id, &tenant) ||
		(tenant.status == TENANCY_SPARE && !tenancy_context_any_status && !acting.active))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NOT_ACTIVE),
				 errmsg("the tenant of the current context does not exist")));
	if (!acting.active)
	{
		if (!tenancy_registry_may_act(role, &tenant))
			refuse_role(tenant.slug);
		check_status(&tenant);
		check_location(&tenant);
		check_snapshot(&tenant);
		check_pin(&tenant);
		check_portals(&tenant);
		set_pin(&tenant);
	}

	checked.tenant = tenant;
	checked.statement = GetCurrentStatementStartTimestamp();
	checked.role = role;
	checked.serial = tenancy_guc_serial;
	checked.valid = true;
}

/*
 * Make sure that the context is good.  Returns false if there is none; any
 * other flaw is an error.
 */
static inline bool
context_ensure(void)
{
	if (!tenancy_guc_tenant.is_set)
		return false;
	if (unlikely(!checked.valid ||
				 checked.serial != tenancy_guc_serial ||
				 checked.statement != GetCurrentStatementStartTimestamp() ||
				 checked.role != GetOuterUserId()))
		context_check();
	return true;
}

/*
 * Is what the policy's query noted still good?  A policy asks for every row.
 * Each execution of a query has a FmgrInfo of its own, where the first call
 * notes the serial number under which it checked the context.  The role cannot
 * change while a query runs, only between the fetches from a cursor, whose
 * rows remain those that its opener may see.
 */
static inline bool
policy_is_checked(FunctionCallInfo fcinfo)
{
	return likely((uintptr_t) fcinfo->flinfo->fn_extra == (uintptr_t) tenancy_guc_serial &&
				  checked.statement == GetCurrentStatementStartTimestamp());
}

/* Has this transaction begun to write to a table where the tenant's rows are? */
static bool
is_writing(const TenancyTenant *tenant)
{
	ListCell   *lc;

	foreach(lc, tenancy_registry_tables(tenant))
	{
		LOCKTAG		tag;

		SET_LOCKTAG_RELATION(tag, MyDatabaseId, lfirst_oid(lc));
		if (tenancy_lock_held_by_me(&tag, RowExclusiveLock))
			return true;
	}
	return false;
}

/*
 * While a tenant is moving, what is written would be lost.  Whoever writes has
 * locked the table before a policy is asked, and this is done for each query
 * and not for each statement, because a function may read first.  The lock
 * makes us hear of the move, or the move waits for its end: see move.c.
 */
static void
refuse_writer(const TenancyTenant *tenant)
{
	if (is_writing(tenant))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NOT_ACTIVE),
				 errmsg("tenant \"%s\" is being moved, and can only be read", tenant->slug),
				 errhint("Try the transaction again when tenancy.move_tenant() has ended.")));
}

/*
 * What a policy does when it is not: check, and note that.  Returns false if
 * there is no context and the DBA chose that this be no error.
 */
static bool
policy_check(FunctionCallInfo fcinfo)
{
	if (context_ensure())
	{
		if (checked.tenant.status == TENANCY_MOVING && !acting.active)
			refuse_writer(&checked.tenant);
		if (!acting.active)
			note_portal(&checked.tenant.id);
		fcinfo->flinfo->fn_extra = (void *) (uintptr_t) tenancy_guc_serial;
		return true;
	}
	if (tenancy_guc_missing_tenant == TENANCY_MISSING_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NO_TENANT),
				 errmsg("no tenant context is set"),
				 errhint("Call tenancy.set_tenant() first, in the same transaction.")));
	return false;
}


/* ----------------------------------------------------------------
 * Setting
 * ----------------------------------------------------------------
 */

static void
set_setting(const char *name, const char *value, bool is_local)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 is_local ? GUC_ACTION_LOCAL : GUC_ACTION_SET,
							 true, 0, false);
}

/*
 * A schema on the path that is missing, or that the role may not use, would
 * be skipped by PostgreSQL without a word, and a table of the same name in the
 * next schema taken.  Somebody else's schema is full of traps.
 */
static void
check_schema(const TenancyTenant *tenant, const char *schema)
{
	Oid			nsp = get_namespace_oid(schema, true);

	if (!OidIsValid(nsp))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" of tenant \"%s\" does not exist",
						schema, tenant->slug)));
	if (tenant->mode == TENANCY_SCHEMA)
		tenancy_registry_refuse_foreign_schema(tenant, schema);
	if (tenancy_namespace_aclcheck(nsp, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for schema %s", schema),
				 errhint("Grant USAGE on the schema to the role.")));
}

/*
 * The tenant's search_path: its schemas, then tenancy.search_path.  Temporary
 * objects come last, so that one left behind in a pooled session cannot take
 * the place of a tenant's table.
 */
static char *
tenant_search_path(const TenancyTenant *tenant)
{
	StringInfoData path;
	ListCell   *lc;

	initStringInfo(&path);
	foreach(lc, tenancy_registry_schemas(tenant))
	{
		check_schema(tenant, lfirst(lc));
		appendStringInfoString(&path, quote_identifier(lfirst(lc)));
		appendStringInfoString(&path, ", ");
	}
	if (tenancy_guc_search_path[0] != '\0')
	{
		appendStringInfoString(&path, tenancy_guc_search_path);
		appendStringInfoString(&path, ", ");
	}
	appendStringInfoString(&path, "pg_temp");
	return path.data;
}

/*
 * Outside a transaction block a local context ends with the statement that
 * set it, which nobody wants, unless that statement runs a function or a DO
 * block of which this call is a part.  The call is the statement's own if its
 * executor state is the portal's.
 */
static void
warn_if_lost(FunctionCallInfo fcinfo, bool is_local)
{
	if (is_local && !IsTransactionBlock() &&
		ActivePortal != NULL && ActivePortal->queryDesc != NULL &&
		ActivePortal->queryDesc->estate->es_query_cxt == fcinfo->flinfo->fn_mcxt)
		ereport(WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("the tenant context ends with this statement"),
				 errhint("Call tenancy.set_tenant() in a transaction block, or with is_local => false.")));
}

static Datum
context_set(FunctionCallInfo fcinfo, const TenancyTenant *tenant)
{
	bool		is_local = PG_GETARG_BOOL(1);
	char	   *path;
	pg_uuid_t  *result;

	check_status(tenant);
	check_location(tenant);
	check_snapshot(tenant);
	check_pin(tenant);
	check_portals(tenant);
	if (tenant->mode == TENANCY_SCHEMA)
		tenancy_cache_trim(&tenant->id);
	path = tenant_search_path(tenant);
	warn_if_lost(fcinfo, is_local);

	set_setting(TENANCY_GUC_TENANT_ID, tenancy_ident_uuid_text(&tenant->id), is_local);

	/*
	 * To set the path and put it back costs as much as the rest together.  One
	 * that is the same already, as the default of the role or the database, stays.
	 */
	if (!is_local || strcmp(path, namespace_search_path) != 0)
		set_setting("search_path", path, is_local);
	set_pin(tenant);

	result = palloc(sizeof(pg_uuid_t));
	*result = tenant->id;
	PG_RETURN_UUID_P(result);
}

/*
 * Refuse a tenant that the role may not act for.  Only a role that may act for
 * all learns whether the tenant exists.
 */
void
tenancy_context_check_access(const char *slug_or_id, const TenancyTenant *tenant)
{
	Oid			role = GetOuterUserId();
	TenancyTenant home;

	if (tenant != NULL && tenancy_registry_may_act(role, tenant))
		return;
	if (tenancy_registry_home(&home))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_ELSEWHERE),
				 errmsg("this is the database of tenant \"%s\"", home.slug),
				 errdetail("No other tenant can be set here.")));
	if (tenant == NULL && tenancy_registry_may_act_for_all(role))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("tenant \"%s\" does not exist", tenancy_ident_clip(slug_or_id))));
	refuse_role(slug_or_id);
}

/* Set the context to the tenant that the caller has been told. */
Datum
tenancy_context_enter(FunctionCallInfo fcinfo, const char *slug_or_id)
{
	TenancyTenant tenant;
	bool		found;

	AcceptInvalidationMessages();
	found = tenancy_registry_by_name(slug_or_id, &tenant);
	tenancy_context_check_access(slug_or_id, found ? &tenant : NULL);
	return context_set(fcinfo, &tenant);
}

/* Whoever can run SQL in this role's session must not choose the tenant. */
static void
refuse_without_token(void)
{
	if (tenancy_guc_require_token)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function tenancy.set_tenant()"),
				 errdetail("tenancy.require_token is on: only a token sets the tenant."),
				 errhint("Call tenancy.set_tenant_token() with a token that names the tenant.")));
}

/* set_tenant(tenant text, is_local boolean) */
Datum
tenancy_context_set_by_name(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "is_local");
	refuse_without_token();
	return tenancy_context_enter(fcinfo, text_to_cstring(PG_GETARG_TEXT_PP(0)));
}

/* set_tenant(tenant uuid, is_local boolean) */
Datum
tenancy_context_set_by_id(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	pg_uuid_t  *id;
	bool		found;

	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "is_local");
	refuse_without_token();
	id = PG_GETARG_UUID_P(0);
	AcceptInvalidationMessages();
	found = tenancy_registry_by_id(id, &tenant);
	tenancy_context_check_access(tenancy_ident_uuid_text(id), found ? &tenant : NULL);
	return context_set(fcinfo, &tenant);
}

/* reset_tenant() */
Datum
tenancy_context_reset(PG_FUNCTION_ARGS)
{
	set_setting(TENANCY_GUC_TENANT_ID, NULL, false);
	set_setting("search_path", NULL, false);
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * Asking
 * ----------------------------------------------------------------
 */

/*
 * Act for a tenant, which need not be active or have moved in yet, until
 * tenancy_context_act_end(), whoever is in session; between tenancy_exec_begin() and
 * tenancy_exec_end().  Parallel workers would not know.  The key of an index scan that
 * has begun before, as a cursor's, points to the tenant checked then, which comes back.
 */
void
tenancy_context_act(const pg_uuid_t *tenant)
{
	tenancy_exec_set(TENANCY_GUC_TENANT_ID, tenancy_ident_uuid_text(tenant));
	tenancy_session_note(NULL);
	tenancy_exec_set("max_parallel_workers_per_gather", "0");
	acting.active = true;
	acting.subxact = GetCurrentSubTransactionId();
	acting.before = checked.tenant;
	forget_check();
}

void
tenancy_context_act_end(void)
{
	acting.active = false;
	checked.tenant = acting.before;
	forget_check();
}

/* current_tenant() */
Datum
tenancy_context_current_slug(PG_FUNCTION_ARGS)
{
	if (!context_ensure())
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(checked.tenant.slug));
}

/*
 * The id for who may keep it, as a procedure keeps its arguments: that of another tenant
 * may be checked before it ends.
 */
static Datum
copy_of_id(void)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	*id = checked.tenant.id;
	return UUIDPGetDatum(id);
}

/* current_tenant_id() */
Datum
tenancy_context_current_id(PG_FUNCTION_ARGS)
{
	if (!context_ensure())
		PG_RETURN_NULL();
	PG_RETURN_DATUM(copy_of_id());
}

/* is_current_tenant(tenant uuid) */
Datum
tenancy_context_is_current(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "tenant");
	PG_RETURN_BOOL(context_ensure() &&
				   same_id(PG_GETARG_UUID_P(0), &checked.tenant.id));
}

static pg_noinline Datum
policy_id_unchecked(FunctionCallInfo fcinfo)
{
	if (!policy_check(fcinfo))
		PG_RETURN_NULL();
	if (checked.tenant.mode == TENANCY_SCHEMA)
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_ELSEWHERE),
				 errmsg("tenant \"%s\" lives in schema \"%s\", not in the shared tables",
						checked.tenant.slug, checked.tenant.schema_name),
				 errhint("Do not qualify the table's name with the model schema.")));
	PG_RETURN_DATUM(copy_of_id());
}

/*
 * policy_tenant_id(): what the policies of shared tables compare the tenant
 * column with.  But for the first call, it returns a pointer to static memory, which
 * stays the same for as long as the statement runs: an allocation for every row would
 * cost more than the rest.
 */
Datum
tenancy_context_policy_id(PG_FUNCTION_ARGS)
{
	if (policy_is_checked(fcinfo))
		PG_RETURN_UUID_P(&checked.tenant.id);
	return policy_id_unchecked(fcinfo);
}

static pg_noinline void
refuse_old_copy(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_TENANCY_ELSEWHERE),
			 errmsg("tenant \"%s\" does not live in a schema", checked.tenant.slug),
			 errdetail("This table is in a copy of a model that is not, or no longer, the tenant's."),
			 errhint("Call tenancy.set_tenant() again: it sets the path to where the tenant lives.")));
}

/*
 * policy_is_tenant(tenant uuid): the policy of a schema tenant's tables.  A
 * session that has them open still when the tenant has moved out, and one that
 * finds the copy before the tenant has moved in, gets an error: no rows would
 * be a wrong answer, and what it writes there would be lost.
 */
Datum
tenancy_context_policy_is(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "tenant");
	if (!policy_is_checked(fcinfo) && !policy_check(fcinfo))
		PG_RETURN_BOOL(false);
	if (!same_id(PG_GETARG_UUID_P(0), &checked.tenant.id))
		PG_RETURN_BOOL(false);
	if (unlikely(checked.tenant.mode != TENANCY_SCHEMA) && !acting.active)
		refuse_old_copy();
	PG_RETURN_BOOL(true);
}

/*
 * Planner support of policy_is_tenant(): whoever queries a tenant's tables is
 * that tenant, so the policy keeps every row.
 */
Datum
tenancy_context_policy_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (IsA(request, SupportRequestSelectivity))
	{
		((SupportRequestSelectivity *) request)->selectivity = 1.0;
		PG_RETURN_POINTER(request);
	}
	PG_RETURN_POINTER(NULL);
}

void
tenancy_context_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
