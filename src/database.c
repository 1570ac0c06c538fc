/*-------------------------------------------------------------------------
 *
 * database.c
 *	  Dedicated databases: creating, opening, closing, renaming, dropping them.
 *
 * A database tenant's database is a copy of the template database
 * (database_template.c).  What a transaction that may still roll back cannot do
 * to a database is noted, and done when it has ended (database_settle.c).
 *
 * The tenant's own registry is a row of the copy that is written from outside,
 * unless a worker must go there for something else; until the creating
 * transaction opens the database, by its commit, nobody may connect.
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
 * Locks: to create a database takes the models' lock (registry.c), the keys'
 * (database_settle.c) and the template's (database_template.c), in this order, in
 * share mode to the end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/pg_database.h"
#include "clone.h"
#include "commands/dbcommands.h"
#include "context.h"
#include "database.h"
#include "database_cache.h"
#include "database_registry.h"
#include "database_settle.h"
#include "database_template.h"
#include "exec.h"
#include "fmgr.h"
#include "guc.h"
#include "ident.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "reference.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
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

/* How long a renaming waits for those who are about to leave the database. */
#define RENAME_WAIT_MS 1000

PGDLLEXPORT void tenancy_database_finish_copy(const char *argument);

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
	Oid			template = get_database_oid(tenancy_database_template_name(), false);
	StringInfo	cache = tenancy_database_template_cache(template);
	bool		entered = false;

	tenancy_worker_add(job, "INSERT INTO tenancy.pending_database (tenant_id, action, database_oid, xid)"
					   " VALUES ('%s', 'create', %u, '%s')", id, oid, tenancy_database_settle_xid());
	tenancy_worker_commit(job);
	tenancy_worker_add(job, "SELECT FROM tenancy.pending_database"
					   " WHERE tenant_id OPERATOR(pg_catalog.=) '%s' FOR UPDATE",
					   id)->expectation = _("the transaction that asked for the database has ended");
	tenancy_worker_add_toplevel(job, "CREATE DATABASE %s OID %u TEMPLATE %s ALLOW_CONNECTIONS false",
								quote_identifier(tenant->database_name), oid, quote_identifier(tenancy_database_template_name()));
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
		tenancy_worker_add(job, "%s", tenancy_database_settle_modules(tenancy_ident_uuid_text(&tenant->id)));
	if (has_matviews())
		tenancy_worker_add(job, "SELECT tenancy.refresh_copies('%s')", tenancy_ident_uuid_text(&tenant->id));
	job->argument = tenancy_database_settle_keys();
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
 * A tenant of this id whose transaction was ended by a crash may have left a database,
 * and the row that tells of it.  The end of our transaction settles it.
 */
static void
refuse_unsettled(const TenancyTenant *tenant)
{
	const char *id = tenancy_ident_uuid_text(&tenant->id);

	if (tenancy_exec_format_as(tenancy_registry_owner(),
							   "SELECT FROM tenancy.pending_database WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
							   " AND action OPERATOR(pg_catalog.=) 'create'", id) == 0)
		return;
	tenancy_database_settle_creation(tenant);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a database that was begun for a tenant with id %s has not been dropped yet", id),
			 errhint("Try again, or call tenancy.repair().")));
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

	refuse_unsettled(tenant);
	refuse_existing(tenant);
	tenancy_registry_lock_models(ShareLock);
	tenancy_database_lock_keys(ShareLock);

	/* It starts while we look what there is to copy, if that takes no other one. */
	worker = tenancy_database_template_is_warm() ? tenancy_worker_start(MyDatabaseId) : NULL;
	files = tenancy_database_template_ensure(&worker);
	foreach(lc, tenancy_registry_modules())
		tenancy_registry_add_copy(&tenant->id, ((TenancyModule *) lfirst(lc))->name);
	oid = draw_database_oid();
	tenancy_database_settle_creation(tenant);
	if (!copy_template(worker, tenant, oid, needs_session(tenant) ? NULL : files))
	{
		tenancy_reference_fill(oid);
		enter_tenant(tenant, oid);
	}
	if (is_open)
		open_database(tenant);
	tenancy_database_settle_forget(tenant);
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
	tenancy_database_settle_later(tenant, "drop", false);
}

/* Let nobody in any more, and end the sessions when the caller commits. */
void
tenancy_database_suspend(const TenancyTenant *tenant)
{
	check_ours(tenant);
	alter_database(tenant, "ALLOW_CONNECTIONS false");
	tenancy_database_settle_later(tenant, "disconnect", false);
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
		tenancy_database_settle_later(tenant, "disconnect", false);
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
	tenancy_database_settle_later(tenant, "rename", true);
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
	tenancy_database_settle_later(spare, "rename", true);
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
		tenancy_database_template_add_module(job, module);
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
	tenancy_database_settle_later(tenant, "modules", false);
}
