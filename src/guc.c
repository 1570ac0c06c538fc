/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The extension's settings.
 *
 * tenancy.tenant_id is the tenant context.  It is PGC_SUSET, so that no
 * ordinary role can SET it in any way; the context functions set it after
 * checking the registry.  PostgreSQL itself then rolls it back with a
 * transaction or savepoint, clears it on DISCARD ALL and RESET ALL and hands
 * it to parallel workers.  Its text is parsed once, here: the policies read
 * the result for every row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "compat.h"
#include "guc.h"
#include "ident.h"
#include "nodes/pg_list.h"
#include "session.h"
#include "utils/guc.h"
#include "utils/varlena.h"

uint64		tenancy_guc_serial = 1;
TenancyTenantSetting tenancy_guc_tenant;
int			tenancy_guc_missing_tenant = TENANCY_MISSING_ERROR;
char	   *tenancy_guc_search_path = NULL;
bool		tenancy_guc_require_token = false;
int			tenancy_guc_token_leeway = 0;
int			tenancy_guc_cache_limit = 64 * 1024;
int			tenancy_guc_workers = 0;
bool		tenancy_guc_recording = false;
int			tenancy_guc_progress_interval = 1000;

/* Values that only the GUC machinery looks at */
static char *tenant_id_text = NULL;
static char *application_database = NULL;

static const struct config_enum_entry missing_tenant_options[] = {
	{"error", TENANCY_MISSING_ERROR, false},
	{"empty", TENANCY_MISSING_EMPTY, false},
	{NULL, 0, false}
};

static bool
check_tenant_id(char **newval, void **extra, GucSource source)
{
	pg_uuid_t	id;

	if (*newval == NULL || **newval == '\0')
		return true;

	if (!tenancy_ident_parse_uuid(*newval, &id))
	{
		GUC_check_errdetail("The value must be a tenant's id (a uuid), or empty.");
		return false;
	}
	*extra = tenancy_guc_malloc(sizeof(id));
	if (*extra == NULL)
		return false;
	memcpy(*extra, &id, sizeof(id));
	return true;
}

static void
assign_tenant_id(const char *newval, void *extra)
{
	tenancy_guc_serial++;
	tenancy_guc_tenant.is_set = (extra != NULL);
	if (extra != NULL)
		tenancy_guc_tenant.id = *(pg_uuid_t *) extra;
	tenancy_session_note(extra);
}

static bool
check_following_path(char **newval, void **extra, GucSource source)
{
	char	   *raw = pstrdup(*newval);
	List	   *names;
	bool		ok = SplitIdentifierString(raw, ',', &names);

	if (!ok)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(raw);
	return ok;
}

static void
define_context_settings(void)
{
	DefineCustomStringVariable(TENANCY_GUC_TENANT_ID,
							   "The tenant context: the id of the tenant that the session acts for.",
							   "Set by tenancy.set_tenant(); only a superuser can set it directly.",
							   &tenant_id_text,
							   "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE,
							   check_tenant_id,
							   assign_tenant_id,
							   NULL);

	DefineCustomStringVariable("tenancy.search_path",
							   "The schemas that follow the tenant's own on the search path.",
							   NULL,
							   &tenancy_guc_search_path,
							   TENANCY_GUC_DEFAULT_PATH,
							   PGC_USERSET,
							   GUC_LIST_INPUT | GUC_NOT_IN_SAMPLE,
							   check_following_path,
							   NULL,
							   NULL);

	DefineCustomStringVariable("tenancy.application_database",
							   "In a tenant's database: the OID of the application's database that it belongs to.",
							   "Set for the database by tenancy.create_tenant().",
							   &application_database,
							   "",
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE,
							   NULL,
							   NULL,
							   NULL);

	DefineCustomEnumVariable("tenancy.missing_tenant",
							 "What protected tables do where there is no tenant context.",
							 "\"error\" raises an error; \"empty\" shows no rows and takes none.",
							 &tenancy_guc_missing_tenant,
							 TENANCY_MISSING_ERROR,
							 missing_tenant_options,
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL,
							 NULL,
							 NULL);
}

/*
 * Where the library is not preloaded, a setting of ours is a placeholder until
 * it loads, which an ordinary role may give a value in its connection options.
 * That hides the value that its role, the database or the configuration file
 * has, and when the library loads, PostgreSQL discards what the role may not
 * set and falls back on the built-in default.  So that nobody rids himself of
 * tenancy.require_token in this way, its default is on where it had a value
 * before: a good one takes the default's place, and a bad one leaves it.
 */
static bool
token_is_required_by_default(void)
{
	return GetConfigOption("tenancy.require_token", true, false) != NULL;
}

static void
define_token_settings(void)
{
	DefineCustomBoolVariable("tenancy.require_token",
							 "Whether tenancy.set_tenant() is refused, so that only a token sets the tenant.",
							 "Meant to be set for a role, with ALTER ROLE ... SET.",
							 &tenancy_guc_require_token,
							 token_is_required_by_default(),
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL,
							 NULL,
							 NULL);

	DefineCustomIntVariable("tenancy.token_leeway",
							"By how much the clock that dates tokens may differ from this server's.",
							NULL,
							&tenancy_guc_token_leeway,
							0,
							0,
							300,
							PGC_SUSET,
							GUC_UNIT_S | GUC_NOT_IN_SAMPLE,
							NULL,
							NULL,
							NULL);
}

static void
define_cache_settings(void)
{
	DefineCustomIntVariable("tenancy.cache_limit",
							"How large a session's catalog caches may become before a change of tenant empties them.",
							"0 is no limit.",
							&tenancy_guc_cache_limit,
							64 * 1024,
							0,
							MAX_KILOBYTES,
							PGC_USERSET,
							GUC_UNIT_KB | GUC_NOT_IN_SAMPLE,
							NULL,
							NULL,
							NULL);
}

static void
define_migration_settings(void)
{
	DefineCustomIntVariable("tenancy.workers",
							"How many workers tenancy.migrate() starts, unless it is told.",
							"0 is one for each processor, at most 4.",
							&tenancy_guc_workers,
							0,
							0,
							TENANCY_MAX_WORKERS,
							PGC_USERSET,
							GUC_NOT_IN_SAMPLE,
							NULL,
							NULL,
							NULL);

	DefineCustomBoolVariable("tenancy.recording",
							 "Whether statements on a model schema are recorded as a migration.",
							 "Set by tenancy.start_recording().",
							 &tenancy_guc_recording,
							 false,
							 PGC_SUSET,
							 GUC_NOT_IN_SAMPLE,
							 NULL,
							 NULL,
							 NULL);
}

static void
define_progress_settings(void)
{
	DefineCustomIntVariable("tenancy.progress_interval",
							"How often a long call tells how far it is.",
							"0 is never.",
							&tenancy_guc_progress_interval,
							1000,
							0,
							INT_MAX,
							PGC_USERSET,
							GUC_UNIT_MS | GUC_NOT_IN_SAMPLE,
							NULL,
							NULL,
							NULL);
}

/* Define the settings, and refuse any other of our prefix from now on. */
void
tenancy_guc_init(void)
{
	define_context_settings();
	define_token_settings();
	define_cache_settings();
	define_migration_settings();
	define_progress_settings();
	MarkGUCPrefixReserved("tenancy");
}
