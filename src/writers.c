/*-------------------------------------------------------------------------
 *
 * writers.c
 *	  Waiting for those who are writing to tables.
 *
 * A tenant that becomes "moving" or "dropping" lets nobody begin to write: whoever
 * locks a table after that was committed hears of it by that, and is refused.  Who
 * has a lock already may write without asking again, and must have ended before the
 * tenant's rows are all that there will be.  So whoever has one then is waited for.
 * No lock is taken on the tables: other tenants' sessions notice nothing.
 *
 * Nobody can tell for which tenant a transaction writes to a shared table, so
 * that it is all of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compat.h"
#include "exec.h"
#include "miscadmin.h"
#include "registry.h"
#include "storage/lmgr.h"
#include "writers.h"

/* Those of other sessions who write to some of these tables of our database, as virtual ids. */
List *
tenancy_writers_find(List *tables)
{
	StringInfoData oids;
	ListCell   *lc;

	initStringInfo(&oids);
	foreach(lc, tables)
		appendStringInfo(&oids, "%s%u", oids.len > 0 ? "," : "", lfirst_oid(lc));
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT virtualtransaction FROM pg_catalog.pg_locks"
		" WHERE locktype OPERATOR(pg_catalog.=) 'relation' AND database OPERATOR(pg_catalog.=) %u"
		" AND relation OPERATOR(pg_catalog.=) ANY ('{%s}'::pg_catalog.oid[]) AND granted"
		" AND mode OPERATOR(pg_catalog.=) ANY (" TENANCY_WRITERS_LOCKS ")"
		" AND pid IS DISTINCT FROM %d",
		MyDatabaseId, oids.data, MyProcPid));
}

/* Wait for them, for each so many milliseconds; 0: the usual ones. */
void
tenancy_writers_wait(List *writers, int timeout_ms)
{
	TenancyExec exec;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_set("lock_timeout", psprintf("%d", timeout_ms > 0 ? timeout_ms : TENANCY_WRITERS_TIMEOUT_MS));
	foreach(lc, writers)
	{
		VirtualTransactionId id;

		if (sscanf(lfirst(lc), "%d/%u", &tenancy_vxid_process(id), &id.localTransactionId) == 2)
			(void) VirtualXactLock(id, true);
	}
	tenancy_exec_end(&exec);
}
