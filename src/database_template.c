/*-------------------------------------------------------------------------
 *
 * database_template.c
 *	  The template of tenants' databases: the models, and this extension.
 *
 * It is built when it is first needed, and again when the model's fingerprint,
 * which the comment on it holds, says that the model has changed since.  Nobody
 * can connect to it.
 *
 * Locks: whoever copies the template holds the template lock in share mode to
 * the end of its transaction; whoever builds it, in exclusive mode.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_database.h"
#include "catalog/pg_shdescription.h"
#include "clone.h"
#include "commands/dbcommands.h"
#include "context.h"
#include "database_cache.h"
#include "database_registry.h"
#include "database_template.h"
#include "exec.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "module.h"
#include "reference.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "worker.h"

char *
tenancy_database_template_name(void)
{
	return psprintf("tenancy_template_%u", MyDatabaseId);
}

/*
 * Creators of databases hold this lock in share mode, the builder of the
 * template in exclusive mode, to the end of the transaction.
 */
static void
lock_template(LOCKMODE mode)
{
	LockDatabaseObject(RelationRelationId,
					   tenancy_registry_relation("pending_database"), 1, mode);
}

/* The same in share mode, if nobody builds it. */
static bool
try_lock_template(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId,
					   tenancy_registry_relation("pending_database"), 1);
	return LockAcquire(&tag, ShareLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* The comment on a database as it is now, whatever this transaction's snapshot shows. */
static char *
database_comment(Oid database)
{
	Relation	rel = table_open(SharedDescriptionRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *comment = pstrdup("");

	ScanKeyInit(&keys[0], Anum_pg_shdescription_objoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(database));
	ScanKeyInit(&keys[1], Anum_pg_shdescription_classoid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(DatabaseRelationId));
	scan = systable_beginscan(rel, SharedDescriptionObjIndexId, true, NULL, lengthof(keys), keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;

		comment = TextDatumGetCString(heap_getattr(tuple, Anum_pg_shdescription_description,
												   RelationGetDescr(rel), &isnull));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return comment;
}

/*
 * The template's comment, which tells what model it holds: NULL if there is
 * no template.  This transaction may have had it built.
 */
static char *
template_state(void)
{
	Oid			database = get_database_oid(tenancy_database_template_name(), true);
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	if (owner != tenancy_registry_owner())
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_DATABASE),
				 errmsg("database \"%s\" is not owned by the owner of extension \"tenancy\"",
						tenancy_database_template_name()),
				 errdetail("The template of the tenants' databases needs this name."),
				 errhint("Rename or drop the database.")));
	return database_comment(database);
}

/* Does a comment say that the template holds the model? */
static bool
holds_model(const char *state, const char *fingerprint)
{
	Size		len = strlen(fingerprint);

	return state != NULL && strncmp(state, fingerprint, len) == 0 &&
		(state[len] == '\0' || state[len] == ';');
}

/* What stands in the template's comment before the files of its registry. */
static char *
files_mark(Oid template)
{
	return psprintf("; %s ", tenancy_database_registry_identity(template));
}

/* CREATE DATABASE's options for a database like this one, but empty. */
static char *
like_this_database(void)
{
	TenancyExec exec;
	char	   *options;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	options = tenancy_exec_text_format(&exec,
									   "SELECT pg_catalog.format('TEMPLATE template0 TABLESPACE %%I ENCODING %%L LC_COLLATE %%L LC_CTYPE %%L',"
									   " (SELECT t.spcname FROM pg_catalog.pg_tablespace t WHERE t.oid = dattablespace),"
									   " pg_catalog.pg_encoding_to_char(encoding), datcollate, datctype)"
									   " || CASE datlocprovider"
									   "  WHEN 'i' THEN pg_catalog.format(' LOCALE_PROVIDER icu ICU_LOCALE %%L', locale)"
									   "  WHEN 'b' THEN pg_catalog.format(' LOCALE_PROVIDER builtin BUILTIN_LOCALE %%L', locale)"
									   "  ELSE ' LOCALE_PROVIDER libc' END"
									   " || CASE WHEN rules IS NOT NULL THEN pg_catalog.format(' ICU_RULES %%L', rules) ELSE '' END"
									   " FROM (SELECT d.*,"
									   "  COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale') AS locale,"
									   "  pg_catalog.to_jsonb(d) ->> 'daticurules' AS rules"
									   "  FROM pg_catalog.pg_database d WHERE d.oid = %u) d",
									   MyDatabaseId);
	tenancy_exec_end(&exec);
	return options;
}

static List *
query_list(const char *sql)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), sql);
}

static void
add_statements(TenancyJob *job, List *statements)
{
	ListCell   *lc;

	foreach(lc, statements)
		(void) tenancy_worker_add(job, "%s", (char *) lfirst(lc));
}

/* The privileges on the schemas that meet a condition, of "n". */
static void
add_schema_grants(TenancyJob *job, const char *condition)
{
	add_statements(job, query_list(psprintf("SELECT pg_catalog.format('GRANT %%s ON SCHEMA %%I TO %%s%%s', a.privilege_type, n.nspname,"
											" CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::pg_catalog.regrole::text END,"
											" CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)"
											" FROM pg_catalog.pg_namespace n, pg_catalog.aclexplode(n.nspacl) a"
											" WHERE %s AND a.grantee <> n.nspowner", condition)));
}

/*
 * The extensions of this database, as far as they can be had in another one:
 * what the model's definitions need must be there, but an extension that, say,
 * may only be in one database should not stop us.
 */
static void
add_extensions(TenancyJob *job)
{
	add_statements(job, query_list("SELECT pg_catalog.format('CREATE SCHEMA IF NOT EXISTS %I', n.nspname)"
								   " FROM pg_catalog.pg_extension e"
								   " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
								   " WHERE e.extname NOT IN ('tenancy', 'plpgsql')"
								   " AND n.nspname <> 'pg_catalog' GROUP BY n.nspname"));
	add_schema_grants(job, "n.nspname NOT IN ('pg_catalog', 'public')"
					  " AND n.oid IN (SELECT extnamespace FROM pg_catalog.pg_extension WHERE extname NOT IN ('tenancy', 'plpgsql'))");
	add_statements(job, query_list("SELECT pg_catalog.format('DO %L', pg_catalog.format("
								   "'BEGIN CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I VERSION %L CASCADE;"
								   " EXCEPTION WHEN OTHERS THEN"
								   " RAISE WARNING USING MESSAGE = %L, DETAIL = SQLERRM; END',"
								   " e.extname, n.nspname, e.extversion,"
								   " pg_catalog.format('extension \"%s\" cannot be installed in tenants'' databases', e.extname)))"
								   " FROM pg_catalog.pg_extension e"
								   " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
								   " WHERE e.extname NOT IN ('tenancy', 'plpgsql') ORDER BY e.oid"));
}

/*
 * The schema of a module, empty, with the model's privileges.  All may use it:
 * CONNECT is what a role must have to act for the tenant, and it may get that
 * at any time.
 */
static void
add_model_schema(TenancyJob *job, const TenancyModule *module)
{
	const char *schema = quote_identifier(module->model_schema);
	Oid			owner = tenancy_registry_module_owner(module);
	const char *role = quote_identifier(GetUserNameFromId(owner, false));

	tenancy_worker_add(job, "CREATE SCHEMA IF NOT EXISTS %s; ALTER SCHEMA %s OWNER TO %s;"
					   "GRANT USAGE ON SCHEMA %s TO PUBLIC",
					   schema, schema, role, schema);
	add_schema_grants(job, psprintf("n.nspname = %s", quote_literal_cstr(module->model_schema)));
	tenancy_worker_add(job, "INSERT INTO tenancy.module VALUES (%s, %s, %d, %d)",
					   quote_literal_cstr(module->name),
					   quote_literal_cstr(module->model_schema), module->position,
					   module->level);
	tenancy_worker_add(job, "%s", tenancy_module_owner_grants(owner));
}

static void
add_model(TenancyJob *job, const TenancyModule *module)
{
	Oid			owner = tenancy_registry_module_owner(module);
	char	   *path = psprintf("%s, pg_catalog, pg_temp",
								quote_identifier(module->model_schema));
	ListCell   *lc;

	foreach(lc, tenancy_clone_statements(module))
	{
		TenancyCloneStatement *statement = lfirst(lc);
		TenancyStep *step = tenancy_worker_add(job, "%s", statement->sql);

		if (statement->elevated)
			continue;
		step->noforce_rls = statement->refresh;	/* of tables that are empty */
		step->role = owner;
		step->search_path = path;
	}
}

/* What is known of the protection of the module's tables. */
static void
add_protection(TenancyJob *job, const TenancyModule *module)
{
	add_statements(job, query_list(psprintf("SELECT pg_catalog.format('INSERT INTO tenancy.protected_table VALUES (%%L, %%L, %%L, %%L)',"
											" p.relation::text, p.tenant_column, p.had_row_security, p.had_force)"
											" FROM tenancy.protected_table p"
											" JOIN pg_catalog.pg_class c ON c.oid = p.relation"
											" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
											" WHERE n.nspname = %s", quote_literal_cstr(module->model_schema))));
}

/*
 * Have a job add a module, and what it may need, to a tenant's database that was made
 * before the module was.
 */
void
tenancy_database_template_add_module(TenancyJob *job, const TenancyModule *module)
{
	add_extensions(job);
	add_model_schema(job, module);
	add_model(job, module);
	add_protection(job, module);
}

/*
 * Fill the template.  In a tenant's database the context functions are open
 * to whoever may connect: CONNECT is the access right there.
 */
static void
fill_template(const char *fingerprint)
{
	TenancyJob *job = tenancy_worker_job(get_database_oid(tenancy_database_template_name(), false));
	List	   *modules = tenancy_registry_modules();
	ListCell   *lc;

	tenancy_worker_add(job, "CREATE EXTENSION tenancy;"
					   "GRANT USAGE ON SCHEMA tenancy TO PUBLIC;"
					   "GRANT EXECUTE ON FUNCTION " TENANCY_CONTEXT_FUNCTIONS " TO PUBLIC");
	foreach(lc, modules)
		add_model_schema(job, lfirst(lc));
	add_extensions(job);
	(void) tenancy_worker_run(job);
	tenancy_reference_define(job->database);
	job = tenancy_worker_job(job->database);
	foreach(lc, modules)
		add_model(job, lfirst(lc));
	foreach(lc, modules)
		add_protection(job, lfirst(lc));
	tenancy_worker_add(job, "DO $do$ BEGIN EXECUTE pg_catalog.format('COMMENT ON DATABASE %%I IS %%L', %s::text, %s"
					   " OPERATOR(pg_catalog.||) CASE WHEN (" TENANCY_DATABASE_REGISTRY_LAYOUT ") OPERATOR(pg_catalog.=) %s"
					   " THEN %s OPERATOR(pg_catalog.||) " TENANCY_DATABASE_REGISTRY_FILES " ELSE '' END); END $do$",
					   quote_literal_cstr(tenancy_database_template_name()), quote_literal_cstr(fingerprint),
					   quote_literal_cstr(tenancy_exec_text_as(tenancy_registry_owner(),
															   "SELECT " TENANCY_DATABASE_REGISTRY_LAYOUT)),
					   quote_literal_cstr(files_mark(job->database)));
	(void) tenancy_worker_run(job);
}

/* Build the template, in place of another one, unless somebody else has. */
static void
build_template(const char *fingerprint)
{
	char	   *state;
	TenancyJob *job;

	lock_template(ExclusiveLock);
	state = template_state();
	if (holds_model(state, fingerprint))
		return;

	ereport(NOTICE,
			(errmsg("building the template of tenants' databases")));
	job = tenancy_worker_job(MyDatabaseId);
	if (state != NULL)
		tenancy_worker_add_toplevel(job, "DROP DATABASE %s WITH (FORCE)",
									quote_identifier(tenancy_database_template_name()));
	tenancy_worker_commit(job);
	tenancy_worker_add_toplevel(job, "CREATE DATABASE %s ALLOW_CONNECTIONS false %s",
								quote_identifier(tenancy_database_template_name()), like_this_database());
	tenancy_worker_commit(job);
	tenancy_worker_add(job, "REVOKE ALL ON DATABASE %s FROM PUBLIC",
					   quote_identifier(tenancy_database_template_name()));
	(void) tenancy_worker_run(job);
	fill_template(fingerprint);
}

static void
dismiss_worker(TenancyWorker **worker)
{
	if (*worker != NULL)
		tenancy_worker_dismiss(*worker);
	*worker = NULL;
}

/*
 * Make sure that the template holds the model as it is now.  While we wait for who
 * builds it, or build it, no worker waits for its job: there may be too few.
 *
 * Returns where the registry of a copy is, for tenancy_database_registry_enter(),
 * or NULL if that is not known.
 */
const char *
tenancy_database_template_ensure(TenancyWorker **worker)
{
	char	   *fingerprint = psprintf("template of tenants' databases, model %s",
									   tenancy_clone_fingerprint());
	char	   *state = template_state();
	char	   *mark;
	char	   *files;

	if (holds_model(state, fingerprint))
	{
		if (!try_lock_template())
		{
			dismiss_worker(worker);
			lock_template(ShareLock);
		}
	}
	else
	{
		dismiss_worker(worker);
		build_template(fingerprint);
		state = template_state();
	}
	mark = files_mark(get_database_oid(tenancy_database_template_name(), false));
	files = strstr(state, mark);
	return files != NULL ? files + strlen(mark) : NULL;
}

/*
 * The file with which sessions of the template begin.  All such files go when
 * the server starts; then a session is needed that makes it.
 */
StringInfo
tenancy_database_template_cache(Oid template)
{
	StringInfo	content = tenancy_database_cache_read(template);

	if (content == NULL)
	{
		(void) tenancy_worker_run(tenancy_worker_job(template));
		content = tenancy_database_cache_read(template);
	}
	return content;
}

/* Is there a template, and such a file of it? */
bool
tenancy_database_template_is_warm(void)
{
	Oid			template = get_database_oid(tenancy_database_template_name(), true);

	return OidIsValid(template) && tenancy_database_cache_exists(template);
}
