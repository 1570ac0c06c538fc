/*-------------------------------------------------------------------------
 *
 * cache.c
 *	  Keeping a session's catalog caches within tenancy.cache_limit.
 *
 * PostgreSQL keeps what a session has learned of a relation until it changes:
 * some 17 kB for each table, for ever.  A session of a pool that works in a
 * thousand tenants' schemas has a thousand times as much of it as it has use
 * for.  So when the tenant changes and the caches are larger than the limit,
 * all of them are thrown away, as PostgreSQL itself does when it has missed
 * invalidations: it may happen wherever a lock is taken, and nobody relies on an
 * entry that he has not pinned.
 *
 * To add up the caches takes time that grows with them, and is no part of what
 * set_tenant() may cost.  So it is done only when they can have come halfway to
 * the limit from where they were, at the rate at which they have been growing,
 * and at least once in MAX_CHANGES changes.
 *
 * A session that has touched so many tables has grown by more than these caches:
 * references to statistics, plans, what lies between the pieces.  That is why
 * three quarters of the limit is where they are emptied.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "cache.h"
#include "guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"

#define MAX_CHANGES 32

static pg_uuid_t last_tenant;	/* zeroes before the first one */
static int	changes = 0;		/* of the tenant, since the caches were added up */
static int	next_check = 1;	/* after so many */
static Size last_size = 0;		/* of the caches then */

/* After how many changes to look again. */
static int
changes_until_halfway(Size size, Size limit)
{
	Size		growth = size > last_size ? (size - last_size) / changes : 0;
	Size		left = limit - size;

	if (growth == 0)
		return MAX_CHANGES;
	return (int) Max(1, Min((Size) MAX_CHANGES, left / 2 / growth));
}

/* The session is about to act for the tenant. */
void
tenancy_cache_trim(const pg_uuid_t *tenant)
{
	Size		limit = (Size) tenancy_guc_cache_limit * 1024 / 4 * 3;
	Size		size;

	if (memcmp(&last_tenant, tenant, UUID_LEN) == 0)
		return;
	last_tenant = *tenant;
	if (limit == 0 || ++changes < next_check)
		return;

	size = MemoryContextMemAllocated(CacheMemoryContext, true);
	if (size > limit)
	{
		InvalidateSystemCaches();
		size = MemoryContextMemAllocated(CacheMemoryContext, true);
		next_check = 1;
	}
	else
		next_check = changes_until_halfway(size, limit);
	last_size = size;
	changes = 0;
}
