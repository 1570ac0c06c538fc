/*-------------------------------------------------------------------------
 *
 * exec.c
 *	  Running SQL as another role, restricted, with a pinned path.
 *
 * Whatever the extension runs as SQL runs between tenancy_exec_begin() and
 * tenancy_exec_end(): as a role that is named each time (the module owner
 * for DDL and bulk data work, the extension's owner for the registry and for
 * what only a superuser can create), as a security-restricted operation, so
 * that nothing in it can SET ROLE, leave a cursor or a temporary object
 * behind or queue a deferred trigger that fires later with more rights, and
 * with the settings that decide what a statement means pinned, search_path
 * first.
 *
 * On an error, there is nothing to do: the abort of the transaction or
 * subtransaction restores the role, the settings and SPI.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "exec.h"
#include "executor/spi.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/evtcache.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * Settings that change what a statement or a deparsed definition means.  What
 * is deparsed in one session may be run in another (a worker in a tenant's
 * database), so both sides must agree.  And jit: compiling a statement of ours takes
 * longer than running it, also where the planner expects otherwise.
 */
static const struct
{
	const char *name;
	const char *value;
}			pinned_settings[] =
{
	{"array_nulls", "on"},
	{"bytea_output", "hex"},
	{"check_function_bodies", "off"},	/* bodies may name what comes later */
	{"DateStyle", "ISO"},
	{"default_table_access_method", "heap"},
	{"default_tablespace", ""},
	{"extra_float_digits", "3"},
	{"IntervalStyle", "postgres"},
	{"jit", "off"},
	{"lc_monetary", "C"},		/* what a value of type money looks like */
	{"quote_all_identifiers", "off"},
	{"row_security", "on"},
	{"standard_conforming_strings", "on"},
	{"TimeZone", "UTC"},
	{"transform_null_equals", "off"},
	{"xmloption", "content"},
};

/* Our own hook for utility statements, and whether it calls another library's. */
static ProcessUtility_hook_type own_hook = NULL;
static bool own_hook_chained = false;

void
tenancy_exec_note_hook(ProcessUtility_hook_type own, bool chained)
{
	own_hook = own;
	own_hook_chained = chained;
}

/* Has somebody else an event trigger for statements of ours? */
static bool
has_event_trigger(EventTriggerEvent event, Oid own_namespace)
{
	ListCell   *lc;

	foreach(lc, EventCacheLookup(event))
	{
		if (get_func_namespace(((EventTriggerCacheItem *) lfirst(lc))->fnoid) != own_namespace)
			return true;
	}
	return false;
}

/*
 * Is somebody told of utility statements: another library, or an event trigger?
 * What is there to be seen then has to be done by statements.
 */
bool
tenancy_exec_is_watched(void)
{
	Oid			own_namespace = get_namespace_oid("tenancy", false);

	return own_hook_chained || ProcessUtility_hook != own_hook ||
		has_event_trigger(EVT_DDLCommandStart, own_namespace) ||
		has_event_trigger(EVT_DDLCommandEnd, own_namespace);
}

/* A procedure that commits cannot be called where it must not. */
void
tenancy_exec_refuse_transaction(FunctionCallInfo fcinfo, const char *procedure, const char *why)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot be called in a transaction block or a function", procedure),
				 errdetail_internal("%s", why)));
}

/*
 * Begin a procedure that commits: SPI_finish() ends it.  What the transaction has done so
 * far is committed here, because the server may register a callback for the session's end
 * with that, as for its first temporary table.  One that the procedure has registered
 * before, to clean up after an error, could not be taken back any more.
 */
void
tenancy_exec_begin_procedure(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
	SPI_commit();
	AcceptInvalidationMessages();
}

/*
 * Change a setting until tenancy_exec_end(), with the rights of a superuser:
 * session_replication_role, say, where user triggers must not fire.
 */
void
tenancy_exec_set(const char *setting, const char *value)
{
	(void) set_config_option(setting, value,
							 PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * What follows looks a few objects up among those of all tenants.  How many a
 * schema has or an array names, the planner does not know, and where it guesses
 * too high, it reads the catalogs from end to end.  These are joined as they are
 * written: to look for a better order takes longer than to look them up.
 */
void
tenancy_exec_prefer_indexes(void)
{
	tenancy_exec_set("enable_seqscan", "off");
	tenancy_exec_set("enable_hashjoin", "off");
	tenancy_exec_set("enable_mergejoin", "off");
	tenancy_exec_set("join_collapse_limit", "1");
}

/* A setting may have more after what is pinned, as DateStyle has the order of days and months. */
static bool
is_pinned(int i)
{
	const char *value = pinned_settings[i].value;
	const char *now = GetConfigOption(pinned_settings[i].name, true, false);
	int			len = strlen(value);

	return now != NULL && strncmp(now, value, len) == 0 &&
		(now[len] == '\0' || now[len] == ',');
}

/*
 * Pin the settings for the rest of a worker's life, so that tenancy_exec_begin()
 * finds them pinned: changing them and changing them back, for each statement of ours,
 * is what a short migration would feel.
 */
void
tenancy_exec_pin_session(void)
{
	for (int i = 0; i < lengthof(pinned_settings); i++)
		SetConfigOption(pinned_settings[i].name, pinned_settings[i].value,
						PGC_SUSET, PGC_S_SESSION);
}

/*
 * Become role, restricted, with search_path pinned.  Nothing else of the
 * extension changes the current user.
 */
void
tenancy_exec_begin(TenancyExec *exec, Oid role, const char *search_path)
{
	exec->caller_context = CurrentMemoryContext;
	GetUserIdAndSecContext(&exec->save_userid, &exec->save_sec_context);
	SetUserIdAndSecContext(role,
						   exec->save_sec_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);

	exec->save_nestlevel = NewGUCNestLevel();
	for (int i = 0; i < lengthof(pinned_settings); i++)
	{
		if (!is_pinned(i))
			tenancy_exec_set(pinned_settings[i].name, pinned_settings[i].value);
	}
	tenancy_exec_set("search_path", search_path);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/*
 * Tenants' rows are read and written as the owner of the table or sequence that
 * they are in, since code of others can run with that: triggers, checks, or what
 * somebody puts under the name in its place.  So this must be no superuser.
 */
void
tenancy_exec_refuse_superuser(Oid owner, const char *relation)
{
	if (superuser_arg(owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation %s is owned by a superuser", relation),
				 errdetail("What is done with tenants' rows is done with the rights of their owner, and never with a superuser's."),
				 errhint("Use ALTER ... OWNER TO the owner of the model schema.")));
}

/*
 * Let the current role, a table's owner, reach all rows of its table until
 * tenancy_exec_end(), as PostgreSQL does for foreign key checks: FORCE ROW
 * LEVEL SECURITY binds it otherwise.
 */
void
tenancy_exec_noforce_rls(void)
{
	Oid			role;
	int			sec_context;

	GetUserIdAndSecContext(&role, &sec_context);
	SetUserIdAndSecContext(role, sec_context | SECURITY_NOFORCE_RLS);
}

/*
 * Let the current role do what a restricted operation does not: queue deferred
 * triggers (a foreign key may be one), create temporary tables.  Only for a
 * worker that commits with tenancy_exec_commit_as(), so that nothing of that
 * runs later with more rights; SET ROLE remains refused.
 */
void
tenancy_exec_unrestrict(void)
{
	Oid			role;
	int			sec_context;

	GetUserIdAndSecContext(&role, &sec_context);
	SetUserIdAndSecContext(role, sec_context & ~SECURITY_RESTRICTED_OPERATION);
}

/*
 * Commit a worker's transaction as role, so that deferred triggers have its
 * rights, its path and its tenant (NULL for none).
 */
void
tenancy_exec_commit_as(Oid role, const char *search_path, const char *tenant)
{
	Oid			save_userid;
	int			save_sec_context;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(role,
						   save_sec_context |
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	(void) set_config_option("search_path", search_path, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	if (tenant != NULL)
		(void) set_config_option(TENANCY_GUC_TENANT_ID, tenant, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	CommitTransactionCommand();
	SetUserIdAndSecContext(save_userid, save_sec_context);
}

/* Put back what tenancy_exec_begin() changed. */
void
tenancy_exec_end(TenancyExec *exec)
{
	SPI_finish();

	/* Not even what a function in between has SET for the session stays. */
	AtEOXact_GUC(false, exec->save_nestlevel);
	SetUserIdAndSecContext(exec->save_userid, exec->save_sec_context);
	MemoryContextSwitchTo(exec->caller_context);
}

/*
 * Run one or several statements.  Returns the number of rows that the last
 * one processed.
 */
uint64
tenancy_exec_sql(const char *sql)
{
	int			ret = SPI_execute(sql, false, 0);

	if (ret < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(ret));
	return SPI_processed;
}

/* A statement put together printf-like, palloc'd. */
char *
tenancy_exec_vformat(const char *format, va_list args)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, format, copy);
		va_end(copy);
		if (needed == 0)
			return buf.data;
		enlargeStringInfo(&buf, needed);
	}
}

/*
 * The same for a statement put together printf-like; quote identifiers and
 * literals with quote_identifier() and quote_literal_cstr().
 */
uint64
tenancy_exec_format(const char *format,...)
{
	va_list		args;
	char	   *sql;
	uint64		processed;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	processed = tenancy_exec_sql(sql);
	pfree(sql);
	return processed;
}

/* A single statement of this kind as a role, with no path. */
uint64
tenancy_exec_format_as(Oid role, const char *format,...)
{
	TenancyExec exec;
	va_list		args;
	char	   *sql;
	uint64		processed;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	processed = tenancy_exec_sql(sql);
	tenancy_exec_end(&exec);
	pfree(sql);
	return processed;
}

/*
 * Run a query as of now.  The caller's transaction may have a snapshot that is older
 * than a row whose existence decides something.
 */
static uint64
run_latest(const char *sql, long limit)
{
	int			ret;

	PushActiveSnapshot(GetLatestSnapshot());
	ret = SPI_execute(sql, true, limit);
	PopActiveSnapshot();
	if (ret < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(ret));
	return SPI_processed;
}

uint64
tenancy_exec_latest(const char *sql)
{
	return run_latest(sql, 0);
}

/* Does a query find a row, as of now? */
bool
tenancy_exec_finds(const char *sql)
{
	return run_latest(sql, 1) > 0;
}

/*
 * Run a query and return the text of its first row's first column, palloc'd
 * in the caller's memory context, or NULL where that is null or there is no
 * row.
 */
char *
tenancy_exec_text(TenancyExec *exec, const char *sql)
{
	char	   *value = NULL;

	if (tenancy_exec_sql(sql) > 0 && SPI_tuptable != NULL)
	{
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		if (value != NULL)
			value = MemoryContextStrdup(exec->caller_context, value);
	}
	SPI_freetuptable(SPI_tuptable);
	return value;
}

char *
tenancy_exec_text_format(TenancyExec *exec, const char *format,...)
{
	va_list		args;
	char	   *sql;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	return tenancy_exec_text(exec, sql);
}

/* The text of the first column of all rows, as a List in the caller's context. */
List *
tenancy_exec_text_list(TenancyExec *exec, const char *sql)
{
	List	   *list = NIL;
	uint64		nrows = tenancy_exec_sql(sql);

	for (uint64 i = 0; i < nrows && SPI_tuptable != NULL; i++)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[i],
										 SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(exec->caller_context);

		list = lappend(list, value == NULL ? NULL : pstrdup(value));
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	return list;
}

/* The same for a query by itself. */
List *
tenancy_exec_list_as(Oid role, const char *sql)
{
	TenancyExec exec;
	List	   *list;

	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	list = tenancy_exec_text_list(&exec, sql);
	tenancy_exec_end(&exec);
	return list;
}

/* The same for a query that looks a few objects up in the catalogs. */
List *
tenancy_exec_lookup_as(Oid role, const char *sql)
{
	TenancyExec exec;
	List	   *list;

	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	tenancy_exec_prefer_indexes();
	list = tenancy_exec_text_list(&exec, sql);
	tenancy_exec_end(&exec);
	return list;
}

/* The text of the first value that a query by itself gives, or NULL. */
char *
tenancy_exec_text_as(Oid role, const char *format,...)
{
	TenancyExec exec;
	va_list		args;
	char	   *sql;
	char	   *value;

	va_start(args, format);
	sql = tenancy_exec_vformat(format, args);
	va_end(args);
	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	value = tenancy_exec_text(&exec, sql);
	tenancy_exec_end(&exec);
	return value;
}


/* ----------------------------------------------------------------
 * Rows that go by
 * ----------------------------------------------------------------
 */

typedef struct RowReceiver
{
	DestReceiver pub;
	TenancyExecRow row;
	void	   *arg;
	MemoryContext context;
} RowReceiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->context);

	receiver->row(slot, receiver->arg);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->context);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receiver_end(DestReceiver *self)
{
}

/*
 * Hand each row of a query to a function, without keeping any: at most as many as
 * the limit (0: all).  With parameters, if there are any, and as a snapshot shows them, or as of
 * now without one.  Returns their number.
 */
uint64
tenancy_exec_rows_at(const char *sql, ParamListInfo params, Snapshot snapshot, uint64 limit,
					 TenancyExecRow row, void *arg)
{
	RowReceiver receiver = {
		{receive_row, receiver_startup, receiver_end, receiver_end, DestTuplestore},
		row, arg, NULL
	};
	SPIExecuteOptions options;
	int			nparams = params ? params->numParams : 0;
	Oid		   *types = palloc(nparams * sizeof(Oid));
	SPIPlanPtr	plan;
	int			ret;

	for (int i = 0; i < nparams; i++)
		types[i] = params->params[i].ptype;
	plan = SPI_prepare(sql, nparams, types);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	receiver.context = AllocSetContextCreate(CurrentMemoryContext, "tenancy row", ALLOCSET_DEFAULT_SIZES);
	memset(&options, 0, sizeof(options));
	options.params = params;
	options.read_only = snapshot != NULL;
	options.tcount = limit;
	options.dest = (DestReceiver *) &receiver;
	if (snapshot != NULL)
	{
		/* What we have written ourselves is there as well. */
		CommandCounterIncrement();
		PushCopiedSnapshot(snapshot);
		UpdateActiveSnapshotCommandId();
	}
	ret = SPI_execute_plan_extended(plan, &options);
	if (snapshot != NULL)
		PopActiveSnapshot();
	if (ret != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(ret));
	MemoryContextDelete(receiver.context);
	return SPI_processed;
}

uint64
tenancy_exec_rows(const char *sql, TenancyExecRow row, void *arg)
{
	return tenancy_exec_rows_at(sql, NULL, NULL, 0, row, arg);
}
