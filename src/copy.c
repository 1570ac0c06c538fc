/*-------------------------------------------------------------------------
 *
 * copy.c
 *	  A tenant's copy: an export and an import in one call.
 *
 * The files are temporary ones of PostgreSQL by their place and name: base
 * backups leave them out, and a restart after a crash removes them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "compat.h"
#include "exec.h"
#include "export.h"
#include "fmgr.h"
#include "ident.h"
#include "import.h"
#include "miscadmin.h"
#include "registry.h"
#include "rows.h"
#include "storage/ipc.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(tenancy_copy_tenant);

static void
remove_directory(int code, Datum arg)
{
	const char *directory = DatumGetCString(arg);

	/* The worker may have failed before it made it. */
	if (access(directory, F_OK) == 0)
		(void) rmtree(directory, true);
}

/* copy_tenant(tenant text, new_slug text, mode isolation_mode) */
Datum
tenancy_copy_tenant(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	char	   *slug;
	const char *mode;
	char	   *directory;
	pg_uuid_t  *id;

	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "new_slug");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
	slug = text_to_cstring(PG_GETARG_TEXT_PP(1));
	tenancy_ident_check_slug(slug);
	mode = tenancy_mode_text(PG_ARGISNULL(2) ? tenant.mode :
							 tenancy_mode_from_datum(PG_GETARG_DATUM(2)));
	if (tenancy_registry_by_slug(slug, &tenant))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("tenant \"%s\" already exists", slug)));

	directory = tenancy_rows_temporary_directory();
	PG_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(directory));
	{
		tenancy_export_run(text_to_cstring(PG_GETARG_TEXT_PP(0)), directory);
		id = tenancy_import_run(directory, slug, mode);
	}
	PG_END_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(directory));
	remove_directory(0, CStringGetDatum(directory));
	PG_RETURN_UUID_P(id);
}
