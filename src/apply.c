/*-------------------------------------------------------------------------
 *
 * apply.c
 *	  Applying a migration to one schema.
 *
 * All of this runs in background workers, which log in as the extension's
 * owner.  A migration's statements can meet code that others have planted: a
 * trigger, a deferred one above all, a default, a function or an operator.
 * So they run as the owner of the module, with a path that leads to the
 * schema and nowhere that others may create in, and the transaction commits as
 * that role too; SET ROLE and the like are refused all the while.  What a
 * migration leaves in the session, it leaves to nobody.
 *
 * The model of a module, in the application's database or in that of a tenant,
 * is migrated under the lock that keeps copies and levels together (see
 * registry.c).  The level is raised in the same transaction, so that a
 * migration has been applied if and only if the level says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "apply.h"
#include "catalog/namespace.h"
#include "clone.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "context.h"
#include "exec.h"
#include "executor/spi.h"
#include "guc.h"
#include "ident.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "sibling.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"
#include "worker.h"

/* How much of a statement to show in an error's context. */
#define STATEMENT_SHOWN		100

/* Pauses between tries: doubled each time, within these bounds. */
#define PAUSE_MIN_MS		100
#define PAUSE_MAX_MS		20000

PGDLLEXPORT void tenancy_apply_model_main(const char *argument);

/* The statement that is running, for an error's context. */
typedef struct Running
{
	const TenancyPlace *place;
	const TenancyMigration *migration;
	const TenancyStatement *statement;
	int			number;
} Running;


/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

static void
running_callback(void *arg)
{
	Running    *running = arg;
	const char *sql = running->statement->sql;
	int			len = strlen(sql);
	int			shown = pg_mbcliplen(sql, len, STATEMENT_SHOWN);

	errcontext("%smigration " INT64_FORMAT " of module \"%s\", statement %d of %d, line %d: %.*s%s",
			   running->migration->undoing ? "undoing " : "", running->migration->version, running->place->module->name,
			   running->number, list_length(running->migration->statements),
			   running->statement->line, shown, sql, shown < len ? "..." : "");
}

/*
 * Why a migration must not look for names in a schema: what is wrong with it, or
 * NULL.  Migrations name things without their schema, and run with the rights of
 * the model's owner.  Where those who act for tenants, or plug-ins' owners, can put a function
 * or operator on the path, one that fits the types better than PostgreSQL's own, a
 * migration would run it.  In a tenant's database, they are those who may connect.
 */
static char *
find_distrust(Oid owner, const char *schema)
{
	TenancyTenant home;

	return tenancy_exec_text_as(tenancy_registry_owner(),
								"WITH actor (oid, rolname) AS (SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r"
								"  WHERE NOT r.rolsuper AND NOT pg_catalog.pg_has_role(r.oid, %u, 'MEMBER') AND (%s"
								"  OR r.oid OPERATOR(pg_catalog.=) ANY (SELECT n.nspowner FROM tenancy.module m"
								"   JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
								"   WHERE m.position OPERATOR(pg_catalog.>) 1))),"
								" place (oid, nspname, nspacl) AS (SELECT n.oid, n.nspname, n.nspacl"
								"  FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) %s)"
								" SELECT pg_catalog.format('PUBLIC may create objects in schema %%I.', p.nspname)"
								" FROM place p, pg_catalog.aclexplode(p.nspacl) a"
								" WHERE a.privilege_type OPERATOR(pg_catalog.=) 'CREATE' AND a.grantee OPERATOR(pg_catalog.=) 0"
								" UNION ALL SELECT pg_catalog.format('Role %%I may create objects in schema %%I.', r.rolname, p.nspname)"
								" FROM place p, actor r WHERE pg_catalog.has_schema_privilege(r.oid, p.oid, 'CREATE')"
								" UNION ALL SELECT pg_catalog.format('Function %%s in schema %%I belongs to role %%I.', f.proname, p.nspname, r.rolname)"
								" FROM place p JOIN pg_catalog.pg_proc f ON f.pronamespace OPERATOR(pg_catalog.=) p.oid"
								" JOIN actor r ON r.oid OPERATOR(pg_catalog.=) f.proowner"
								" UNION ALL SELECT pg_catalog.format('Operator %%s in schema %%I belongs to role %%I.', o.oprname, p.nspname, r.rolname)"
								" FROM place p JOIN pg_catalog.pg_operator o ON o.oprnamespace OPERATOR(pg_catalog.=) p.oid"
								" JOIN actor r ON r.oid OPERATOR(pg_catalog.=) o.oprowner"
								" LIMIT 1", owner,
								tenancy_registry_home(&home) ?
								"pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT')" :
								"r.oid OPERATOR(pg_catalog.=) ANY (SELECT a.role FROM tenancy.access a)",
								quote_literal_cstr(schema));
}

/*
 * tenancy.search_path as sessions of the extension's owner begin with it.  Ours may be
 * another role's, which has set it for itself, or in the options of its connection.
 */
static char *
owner_search_path(void)
{
	char	   *path;

	path = tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT COALESCE((SELECT pg_catalog.substr(c, pg_catalog.length('tenancy.search_path=') OPERATOR(pg_catalog.+) 1)"
								" FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c"
								" WHERE s.setrole OPERATOR(pg_catalog.=) ANY ('{0,%u}'::pg_catalog.oid[])"
								" AND s.setdatabase OPERATOR(pg_catalog.=) ANY ('{0,%u}'::pg_catalog.oid[])"
								" AND pg_catalog.starts_with(c, 'tenancy.search_path=')"
								" ORDER BY s.setrole DESC, s.setdatabase DESC LIMIT 1),"
								" (SELECT setting FROM pg_catalog.pg_file_settings"
								" WHERE name OPERATOR(pg_catalog.=) 'tenancy.search_path' AND applied"
								" ORDER BY seqno DESC LIMIT 1))",
								tenancy_registry_owner(), MyDatabaseId);
	return path != NULL ? path : pstrdup(TENANCY_GUC_DEFAULT_PATH);
}

/*
 * What follows the modules' schemas on the path of a migration, each with a comma
 * behind it: what tenancy.search_path has, less what cannot be trusted, of which
 * the caller may be told.
 */
char *
tenancy_apply_following(const TenancyModule *module, bool warn)
{
	Oid			owner = tenancy_registry_module_owner(module);
	char	   *raw = owner_search_path();
	StringInfoData following;
	List	   *names = NIL;
	ListCell   *lc;

	initStringInfo(&following);
	(void) SplitIdentifierString(raw, ',', &names);
	foreach(lc, names)
	{
		const char *schema = strcmp(lfirst(lc), "$user") == 0 ? GetUserNameFromId(owner, false) : lfirst(lc);
		char	   *distrust = find_distrust(owner, schema);

		if (distrust == NULL)
			appendStringInfo(&following, "%s, ", quote_identifier(schema));
		else if (warn)
			ereport(WARNING,
					(errmsg("migrations of module \"%s\" do not look for names in schema \"%s\"",
							module->name, schema),
					 errdetail("%s They would run with the rights of the model's owner what others put there.", distrust),
					 errhint("Revoke CREATE on the schema, and drop what they have made there, or have migrations name the schema.")));
	}
	return following.data;
}

/*
 * The path of a migration: the module's schema first, then all else that the tenant sees
 * and the module's owner trusts.
 */
char *
tenancy_apply_path(const TenancyTenant *tenant, const TenancyModule *module, const char *following)
{
	StringInfoData path;
	const char *first;
	List	   *schemas = NIL;
	ListCell   *lc;

	if (tenant != NULL)
		schemas = tenancy_registry_schemas(tenant);
	else
	{
		foreach(lc, tenancy_registry_modules())
			schemas = lappend(schemas, ((TenancyModule *) lfirst(lc))->model_schema);
	}
	first = module->model_schema;
	if (tenant != NULL && tenant->mode == TENANCY_SCHEMA)
		first = module->position == 1 ? tenant->schema_name :
			tenancy_ident_schema(tenant->slug, module->name);

	initStringInfo(&path);
	appendStringInfo(&path, "%s, ", quote_identifier(first));
	foreach(lc, tenancy_registry_trusted(schemas, tenancy_registry_schema_owner(first)))
	{
		if (strcmp(lfirst(lc), first) != 0)
			appendStringInfo(&path, "%s, ", quote_identifier(lfirst(lc)));
	}
	appendStringInfo(&path, "%spg_temp", following);
	return path.data;
}

static void
begin_context(ErrorContextCallback *callback, Running *running, const TenancyPlace *place,
			  const TenancyMigration *migration, int n)
{
	running->place = place;
	running->migration = migration;
	running->statement = list_nth(migration->statements, n);
	running->number = n + 1;
	callback->callback = running_callback;
	callback->arg = running;
	callback->previous = error_context_stack;
	error_context_stack = callback;
	CHECK_FOR_INTERRUPTS();
	pgstat_report_activity(STATE_RUNNING, running->statement->sql);
}

/* Could these statements make tables?  A look at the schema costs more than this one. */
static bool
may_make_tables(const TenancyMigration *migration, int from, int to)
{
	for (int n = from; n < to; n++)
	{
		switch (nodeTag(((TenancyStatement *) list_nth(migration->statements, n))->parsed))
		{
			case T_AlterTableStmt:
			case T_CommentStmt:
			case T_DropStmt:
			case T_GrantStmt:
			case T_IndexStmt:
				break;
			default:
				return true;
		}
	}
	return false;
}

/*
 * Could these statements make a materialized view, have a view read one, or give
 * privileges on them?
 */
static bool
may_expose(const TenancyMigration *migration, int from, int to)
{
	ListCell   *lc;

	for (int n = from; n < to; n++)
	{
		Node	   *stmt = ((TenancyStatement *) list_nth(migration->statements, n))->parsed;

		switch (nodeTag(stmt))
		{
			case T_AlterTableStmt:
				/* Of a view, options can be changed in its name as well. */
				foreach(lc, ((AlterTableStmt *) stmt)->cmds)
				{
					AlterTableType type = ((AlterTableCmd *) lfirst(lc))->subtype;

					if (type == AT_SetRelOptions || type == AT_ResetRelOptions ||
						type == AT_ReplaceRelOptions || type == AT_ChangeOwner)
						return true;
				}
				break;
			case T_CommentStmt:
			case T_CreateStmt:
			case T_DropStmt:
			case T_IndexStmt:
				break;
			default:
				return true;
		}
	}
	return false;
}

/* Do these statements make functions? */
static bool
makes_functions(const TenancyMigration *migration, int from, int to)
{
	for (int n = from; n < to; n++)
	{
		Node	   *stmt = ((TenancyStatement *) list_nth(migration->statements, n))->parsed;

		if (IsA(stmt, CreateFunctionStmt) || IsA(stmt, AlterFunctionStmt))
			return true;
	}
	return false;
}

/* Could these statements change a table's row security, or its policies? */
static bool
may_change_row_security(const TenancyMigration *migration, int from, int to)
{
	ListCell   *lc;

	for (int n = from; n < to; n++)
	{
		Node	   *stmt = ((TenancyStatement *) list_nth(migration->statements, n))->parsed;

		switch (nodeTag(stmt))
		{
			case T_AlterTableStmt:
				foreach(lc, ((AlterTableStmt *) stmt)->cmds)
				{
					AlterTableType type = ((AlterTableCmd *) lfirst(lc))->subtype;

					if (type == AT_EnableRowSecurity || type == AT_DisableRowSecurity ||
						type == AT_ForceRowSecurity || type == AT_NoForceRowSecurity)
						return true;
				}
				break;
			case T_DropStmt:
				if (((DropStmt *) stmt)->removeType == OBJECT_POLICY)
					return true;
				break;
			case T_CommentStmt:
			case T_CreateFunctionStmt:
			case T_CreateStmt:
			case T_CreateTrigStmt:
			case T_GrantStmt:
			case T_IndexStmt:
			case T_ViewStmt:
				break;
			default:
				return true;
		}
	}
	return false;
}

/* What names the models in a copy's new functions is to name the copies. */
static void
follow_models(const TenancyPlace *place)
{
	TenancyTenant tenant;
	TenancyModule *first = linitial(tenancy_registry_modules());
	char	   *schema = get_namespace_name(place->schema);

	tenancy_clone_follow(schema, place->owner, place->module->model_schema, schema);
	if (place->module->position != 1 && tenancy_registry_by_id(place->tenant, &tenant))
		tenancy_clone_follow(schema, place->owner, first->model_schema, tenant.schema_name);
}

/* Is the tenant in context suspended, or a spare? */
static bool
is_inactive(void)
{
	TenancyTenant tenant;

	return tenancy_guc_tenant.is_set && tenancy_registry_peek(&tenancy_guc_tenant.id, &tenant) &&
		tenant.status != TENANCY_ACTIVE;
}

/*
 * Run some of a migration's statements in the current transaction, as the
 * place's owner, and complete the tables that they have made.  Deferred
 * triggers fire here, because a table cannot be changed while it has any to
 * come.
 */
static void
run_statements(const TenancyPlace *place, const TenancyMigration *migration, int from, int to)
{
	TenancyExec exec;
	ErrorContextCallback callback;
	Running		running;
	TenancyTenant home;
	ConstraintsSetStmt immediate = {.type = T_ConstraintsSetStmt};	/* all of them */

	tenancy_exec_begin(&exec, place->owner, place->search_path);
	tenancy_exec_unrestrict();
	tenancy_exec_noforce_rls();
	if (place->tenant != NULL)
		tenancy_exec_set(TENANCY_GUC_TENANT_ID, tenancy_ident_uuid_text(place->tenant));

	/* Parallel workers would not know of tenancy_context_any_status. */
	if (is_inactive())
		tenancy_exec_set("max_parallel_workers_per_gather", "0");
	for (int n = from; n < to; n++)
	{
		begin_context(&callback, &running, place, migration, n);
		(void) tenancy_exec_sql(running.statement->sql);
		SPI_freetuptable(SPI_tuptable);
		if (n == to - 1)
			AfterTriggerSetState(&immediate);
		error_context_stack = callback.previous;
	}
	tenancy_exec_end(&exec);
	if (may_make_tables(migration, from, to))
		tenancy_sibling_complete(place->schema, place->owner, place->column, place->tenant, NIL);
	if (may_change_row_security(migration, from, to))
		tenancy_sibling_restore_walls(place->schema, place->owner, place->tenant != NULL);
	if (place->tenant != NULL && makes_functions(migration, from, to))
		follow_models(place);
	if (!may_expose(migration, from, to))
		return;
	if (place->tenant != NULL)
		tenancy_sibling_withhold(place->tenant);
	else if (!tenancy_registry_home(&home))
		tenancy_sibling_notice_withheld(place->schema);
}

/* Run a transactional migration in the current transaction. */
void
tenancy_apply_run(const TenancyPlace *place, const TenancyMigration *migration)
{
	run_statements(place, migration, 0, list_length(migration->statements));
}

/*
 * Throw away what a migration, or a step of one, has left in the session; in a
 * transaction.  Advisory locks stay between steps.
 */
static void
forget_step(void)
{
	PortalHashTableDeleteAll();
	DropAllPreparedStatements();
	ResetTempTableNamespace();
	ResetSequenceCaches();
}

void
tenancy_apply_forget_session(void)
{
	forget_step();
	LockReleaseAll(USER_LOCKMETHOD, true);
}

void
tenancy_apply_set_lock_timeout(int timeout_ms)
{
	SetConfigOption("lock_timeout", psprintf("%d", timeout_ms), PGC_USERSET, PGC_S_SESSION);
}


/* ----------------------------------------------------------------
 * Migrations that are not transactional
 *
 * Statements that a transaction takes are run in one of their own, and the note
 * that they are done commits with them.  Of the others it is noted before that
 * they are under way, and after it that they are done; in between, a crash
 * leaves open which.  Such a statement is run again, in a way that takes what
 * is done already for done.
 * ----------------------------------------------------------------
 */

/* Note how far the place is. */
static void
note_step(const TenancyPlace *place, const TenancyMigration *migration, int step, bool under_way)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (place->tenant != NULL)
		tenancy_exec_format("UPDATE tenancy.module_copy SET step = %d, under_way = %s"
							" WHERE module OPERATOR(pg_catalog.=) %s AND tenant_id OPERATOR(pg_catalog.=) '%s'",
							step, under_way ? "true" : "false", quote_literal_cstr(place->module->name),
							tenancy_ident_uuid_text(place->tenant));
	else
		tenancy_exec_format("UPDATE tenancy.migration SET step = %d, under_way = %s"
							" WHERE module OPERATOR(pg_catalog.=) %s AND version OPERATOR(pg_catalog.=) " INT64_FORMAT,
							step, under_way ? "true" : "false", quote_literal_cstr(place->module->name),
							migration->version);
	tenancy_exec_end(&exec);
}

static void
begin_step(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
note_step_alone(const TenancyPlace *place, const TenancyMigration *migration, int step, bool under_way)
{
	begin_step();
	note_step(place, migration, step, under_way);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Is there something already that has the name of an index to be made, or nothing to be
 * dropped?  Then the statement fails, or does nothing, and nobody may take that for its
 * work later.
 */
static bool
is_idle(const TenancyPlace *place, Node *stmt)
{
	TenancyExec exec;
	bool		idle = false;

	begin_step();
	tenancy_exec_begin(&exec, place->owner, place->search_path);
	if (IsA(stmt, IndexStmt))
		idle = OidIsValid(get_relname_relid(castNode(IndexStmt, stmt)->idxname, place->schema));
	else if (IsA(stmt, DropStmt))
	{
		List	   *name = linitial_node(List, castNode(DropStmt, stmt)->objects);

		idle = !OidIsValid(RangeVarGetRelid(makeRangeVarFromNameList(name), NoLock, true));
	}
	tenancy_exec_end(&exec);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return idle;
}

/*
 * A statement that was under way when something ended us.  Returns true if it
 * had been done; else makes sure that it can be run again.
 */
static bool
was_done(const TenancyPlace *place, Node *stmt)
{
	bool		done = false;

	if (IsA(stmt, DropStmt))
		castNode(DropStmt, stmt)->missing_ok = true;
	else if (IsA(stmt, IndexStmt))
	{
		Oid			index;

		begin_step();
		index = get_relname_relid(castNode(IndexStmt, stmt)->idxname, place->schema);
		done = OidIsValid(index) && get_index_isvalid(index);
		if (OidIsValid(index) && !done && get_rel_relkind(index) == RELKIND_INDEX)
		{
			tenancy_exec_format_as(place->owner,
								   "DROP INDEX %s",
								   quote_qualified_identifier(get_namespace_name(place->schema),
															  castNode(IndexStmt, stmt)->idxname));
		}
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	return done;
}

/* Run a statement that makes its own transactions, as the place's owner. */
static void
run_toplevel(const TenancyPlace *place, const TenancyMigration *migration, int n, Node *stmt)
{
	const char *sql = ((TenancyStatement *) list_nth(migration->statements, n))->sql;
	MemoryContext context = CurrentMemoryContext;
	ErrorContextCallback callback;
	Running		running;
	Oid			userid;
	int			sec_context;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetConfigOption("search_path", place->search_path, PGC_SUSET, PGC_S_SESSION);
	SetUserIdAndSecContext(place->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();

		/* What the command works with must live longer than its transactions. */
		MemoryContextSwitchTo(context);
		PortalContext = context;
		begin_context(&callback, &running, place, migration, n);
		tenancy_worker_toplevel_node(stmt, sql);
		error_context_stack = callback.previous;
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		/* Abort here: it puts back the role with which the transaction began. */
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		PortalContext = NULL;
		SetUserIdAndSecContext(userid, sec_context);
		SetConfigOption("search_path", NULL, PGC_SUSET, PGC_S_SESSION);
		ReThrowError(edata);
	}
	PG_END_TRY();
	PortalContext = NULL;
	SetUserIdAndSecContext(userid, sec_context);
	SetConfigOption("search_path", NULL, PGC_SUSET, PGC_S_SESSION);
}

/*
 * Run a migration that is not transactional, outside of any transaction, from
 * where it stands.  What is left to the caller is to raise the level.
 */
void
tenancy_apply_run_steps(const TenancyPlace *place, const TenancyMigration *migration,
						int step, bool under_way)
{
	MemoryContext context = CurrentMemoryContext;

	for (int n = step; n < list_length(migration->statements); n++)
	{
		TenancyStatement *statement = list_nth(migration->statements, n);

		if (statement->no_transaction)
		{
			Node	   *stmt = copyObject(statement->parsed);
			bool		again = under_way && n == step;

			if (!again && !is_idle(place, stmt))
				note_step_alone(place, migration, n, true);
			MemoryContextSwitchTo(context);
			if (!(again && was_done(place, stmt)))
			{
				MemoryContextSwitchTo(context);
				run_toplevel(place, migration, n, stmt);
			}
			note_step_alone(place, migration, n + 1, false);
		}
		else
		{
			begin_step();
			forget_step();
			run_statements(place, migration, n, n + 1);
			note_step(place, migration, n + 1, false);
			PopActiveSnapshot();
			tenancy_exec_commit_as(place->owner, place->search_path,
								   place->tenant ? tenancy_ident_uuid_text(place->tenant) : NULL);
		}
		MemoryContextSwitchTo(context);
	}
}


/* ----------------------------------------------------------------
 * Trying again
 * ----------------------------------------------------------------
 */

/* Is it somebody else's lock that was in the way? */
bool
tenancy_apply_may_retry(int sqlstate)
{
	return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
		sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED ||
		sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE ||
		sqlstate == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
}

/* How long to wait before the next try, in milliseconds. */
int
tenancy_apply_pause(int tries)
{
	int			pause = PAUSE_MIN_MS;

	while (--tries > 0 && pause < PAUSE_MAX_MS)
		pause *= 2;
	return Min(pause, PAUSE_MAX_MS);
}

static void
sleep_ms(int ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}


/* ----------------------------------------------------------------
 * A model
 * ----------------------------------------------------------------
 */

/* The module as it is now, under the lock that whoever copies it takes too. */
static void
lock_model(const char *name, TenancyModule *module)
{
	tenancy_registry_lock_models(ExclusiveLock);
	if (!tenancy_registry_module(name, module))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("module \"%s\" does not exist", name)));
	tenancy_registry_refuse_recording(name);
}

static void
init_model_place(TenancyPlace *place, const TenancyModule *module, const char *following)
{
	place->module = module;
	place->schema = tenancy_registry_model_schema(module);
	place->owner = tenancy_registry_module_owner(module);
	place->search_path = tenancy_apply_path(NULL, module, following ? following :
											tenancy_apply_following(module, true));
	place->tenant = NULL;
	place->column = tenancy_sibling_column(module);
	tenancy_registry_refuse_superuser(module->model_schema, place->owner);
}

static void
report_migration(const TenancyModule *module, const TenancyMigration *migration, bool dry_run)
{
	TenancyTenant home;

	if (tenancy_registry_home(&home))
		return;					/* the caller counts tenants */
	if (migration->undoing)
		ereport(NOTICE,
				(errmsg(dry_run ? "migration " INT64_FORMAT " of module \"%s\" would be undone in the model" :
						"migration " INT64_FORMAT " of module \"%s\": undone in the model",
						migration->version, module->name)));
	else if (!dry_run)
		ereport(NOTICE,
				(errmsg("migration " INT64_FORMAT " of module \"%s\": model migrated",
						migration->version, module->name)));
	else if (migration->transactional)
		ereport(NOTICE,
				(errmsg("migration " INT64_FORMAT " of module \"%s\": model would be migrated",
						migration->version, module->name)));
	else
		ereport(NOTICE,
				(errmsg("migration " INT64_FORMAT " of module \"%s\" is not transactional: the dry run ends before it",
						migration->version, module->name)));
}

/* Apply transactional migrations, and end the transaction. */
static void
apply_in_transaction(TenancyModule *module, TenancyPlace *place, List *migrations, bool dry_run)
{
	ListCell   *lc;

	foreach(lc, migrations)
	{
		TenancyMigration *migration = lfirst(lc);

		if (migration->transactional)
		{
			migration->statements = tenancy_migration_split(migration->sql);
			tenancy_apply_run(place, migration);
			tenancy_migration_change_level(module, migration);
		}
		report_migration(module, migration, dry_run);
		if (!dry_run || !migration->transactional)
			break;
	}
	PopActiveSnapshot();
	if (dry_run)
		AbortCurrentTransaction();
	else
		tenancy_exec_commit_as(place->owner, place->search_path, NULL);
}

/*
 * Apply a migration that is not transactional.  Nobody may copy the model
 * meanwhile.
 */
static void
apply_in_steps(TenancyModule *module, TenancyPlace *place, TenancyMigration *migration,
			   MemoryContext context)
{
	migration->statements = tenancy_migration_split(migration->sql);
	tenancy_registry_lock_models_for_session();
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	tenancy_apply_run_steps(place, migration, migration->step, migration->under_way);
	begin_step();
	tenancy_migration_change_level(module, migration);
	report_migration(module, migration, false);
	PopActiveSnapshot();
	CommitTransactionCommand();
	tenancy_registry_unlock_models();
}

/*
 * A copy must not be above its model, which is about to go down: new copies
 * may have been made since the others went.
 */
static void
check_copies(const TenancyModule *module, int level)
{
	uint64		above;

	above = tenancy_exec_format_as(tenancy_registry_owner(),
								   "SELECT FROM tenancy.module_copy c JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) c.tenant_id"
								   " WHERE c.module OPERATOR(pg_catalog.=) %s AND c.level OPERATOR(pg_catalog.>) %d"
								   " AND t.status OPERATOR(pg_catalog.<>) 'spare'",
								   quote_literal_cstr(module->name), level);
	if (above > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model of module \"%s\" cannot be rolled back before its copies", module->name),
				 errdetail("Copies of " UINT64_FORMAT " tenants have not been rolled back; they may be new, or their tenants are being dropped or moved.", above),
				 errhint("Call tenancy.rollback() again.")));
}

/* What the model shall have next. */
static List *
next_migrations(const TenancyModule *module, const TenancyPatience *patience)
{
	List	   *undo = NIL;
	ListCell   *lc;

	if (patience->undo_to < 0)
		return tenancy_migration_pending(module->name, module->level);
	if (module->level <= patience->undo_to)
		return NIL;
	if (!patience->dry_run)
		check_copies(module, patience->undo_to);
	foreach(lc, tenancy_migration_applied(module->name, patience->undo_to))
		undo = lappend(undo, tenancy_migration_undo(lfirst(lc)));
	return undo;
}

/*
 * Apply the next migration that the model has not had, or undo the last one; or
 * all of them if they are to be rolled back.  Returns false if there was none.
 */
static bool
apply_next(const char *name, const TenancyPatience *patience, const char *following)
{
	MemoryContext context = CurrentMemoryContext;
	TenancyModule module;
	TenancyPlace place;
	List	   *next;

	begin_step();
	tenancy_apply_forget_session();
	MemoryContextSwitchTo(context);
	lock_model(name, &module);
	next = next_migrations(&module, patience);
	if (next == NIL)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		return false;
	}
	init_model_place(&place, &module, following);
	if (patience->dry_run || ((TenancyMigration *) linitial(next))->transactional)
		apply_in_transaction(&module, &place, next, patience->dry_run);
	else
		apply_in_steps(&module, &place, linitial(next), context);
	return !patience->dry_run;
}

/* The same; returns false if somebody's lock was in the way. */
static bool
try_next(const char *name, const TenancyPatience *patience, const char *following,
		 bool last_try, bool *found)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		*found = apply_next(name, patience, following);
		done = true;
	}
	PG_CATCH();
	{
		if (last_try || !tenancy_apply_may_retry(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		AbortCurrentTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return done;
}

/*
 * A worker's function: apply to the model of this database what it has not
 * had, or undo what it shall not have.  The argument is made by
 * tenancy_apply_in_database().
 */
void
tenancy_apply_model_main(const char *argument)
{
	TenancyPatience patience;
	int			dry_run;
	int			name_offset;
	char	   *name;
	char	   *following;
	bool		found = true;

	if (sscanf(argument, "%d %d %d %d %n", &patience.lock_timeout, &patience.retries,
			   &dry_run, &patience.undo_to, &name_offset) != 4)
		elog(ERROR, "invalid argument of a worker: %s", argument);
	patience.dry_run = dry_run != 0;
	name = pstrdup(argument + name_offset);
	following = strchr(name, '\n');
	if (following != NULL)
		*following++ = '\0';
	tenancy_context_any_status = true;
	tenancy_apply_set_lock_timeout(patience.lock_timeout);
	while (found)
	{
		int			tries = 0;

		while (!try_next(name, &patience, following, tries >= patience.retries, &found))
			sleep_ms(tenancy_apply_pause(++tries));
	}
}

/*
 * Enter the migrations that a tenant's database shall have, or lose.  What an
 * earlier call entered and did not apply may be void now.
 */
static void
add_migrations(TenancyJob *job, const TenancyModule *module, List *migrations)
{
	StringInfoData versions;
	ListCell   *lc;

	initStringInfo(&versions);
	foreach(lc, migrations)
		appendStringInfo(&versions, "%s" INT64_FORMAT, versions.len > 0 ? "," : "",
						 ((TenancyMigration *) lfirst(lc))->version);
	tenancy_worker_add(job, "DELETE FROM tenancy.migration g USING tenancy.module m"
					   " WHERE m.name OPERATOR(pg_catalog.=) g.module AND m.name OPERATOR(pg_catalog.=) %s"
					   " AND (g.position IS NULL OR g.position OPERATOR(pg_catalog.>) m.level)"
					   " AND NOT g.version OPERATOR(pg_catalog.=) ANY ('{%s}')",
					   quote_literal_cstr(module->name), versions.data);
	foreach(lc, migrations)
	{
		TenancyMigration *migration = lfirst(lc);

		tenancy_worker_add(job, "INSERT INTO tenancy.migration AS m (module, version, description, sql, down, checksum, transactional, position)"
						   " VALUES (%s, " INT64_FORMAT ", '', %s, %s, '', %s, NULLIF(%d, 0))"
						   " ON CONFLICT (module, version) DO UPDATE SET sql = excluded.sql, down = excluded.down,"
						   " transactional = excluded.transactional, position = excluded.position,"
						   " step = CASE WHEN m.sql OPERATOR(pg_catalog.=) excluded.sql THEN m.step ELSE 0 END,"
						   " under_way = m.under_way AND m.sql OPERATOR(pg_catalog.=) excluded.sql",
						   quote_literal_cstr(module->name), migration->version,
						   quote_literal_cstr(migration->sql),
						   migration->down ? quote_literal_cstr(migration->down) : "NULL",
						   migration->transactional ? "true" : "false", migration->position);
	}
}

/*
 * Apply to the model in a database what it has not had, or undo, in a worker,
 * whose error becomes ours.  migrations is for a tenant's database, NIL for
 * ours, which knows them; following is for ours (see tenancy_apply_following()),
 * and NULL for a tenant's, which has roles of its own that it trusts.
 */
void
tenancy_apply_in_database(Oid database, const TenancyModule *module, List *migrations,
						  const char *following, const TenancyPatience *patience)
{
	TenancyJob *job = tenancy_worker_job(database);

	if (migrations != NIL)
		add_migrations(job, module, migrations);
	job->function = "tenancy_apply_model_main";
	job->argument = psprintf("%d %d %d %d %s%s%s", patience->lock_timeout, patience->retries,
							 patience->dry_run ? 1 : 0, patience->undo_to, module->name,
							 following ? "\n" : "", following ? following : "");
	(void) tenancy_worker_run(job);
}
