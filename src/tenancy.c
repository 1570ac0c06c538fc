/*-------------------------------------------------------------------------
 *
 * tenancy.c
 *	  The library's entry point: a table of contents.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "context.h"
#include "database_settle.h"
#include "fmgr.h"
#include "guc.h"
#include "hooks.h"
#include "progress.h"
#include "registry.h"
#include "session.h"
#include "spare.h"
#include "token_key.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	tenancy_guc_init();
	tenancy_session_init();
	tenancy_registry_init();
	tenancy_context_init();
	tenancy_database_settle_init();
	tenancy_spare_init();
	tenancy_token_key_init();
	tenancy_progress_init();
	tenancy_hooks_init();
}
