/*-------------------------------------------------------------------------
 *
 * writers.h
 *	  Waiting for those who are writing to tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_WRITERS_H
#define TENANCY_WRITERS_H

#include "nodes/pg_list.h"

/* How long to wait for each of them, unless lock_timeout says so. */
#define TENANCY_WRITERS_TIMEOUT_MS	30000

/* SQL: the locks that keep SHARE locks away, but for VACUUM's, as an array. */
#define TENANCY_WRITERS_LOCKS \
	"'{RowExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'"

extern List *tenancy_writers_find(List *tables);
extern void tenancy_writers_wait(List *writers, int timeout_ms);

#endif							/* TENANCY_WRITERS_H */
