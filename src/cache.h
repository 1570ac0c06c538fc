/*-------------------------------------------------------------------------
 *
 * cache.h
 *	  Keeping a session's catalog caches within tenancy.cache_limit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CACHE_H
#define TENANCY_CACHE_H

#include "utils/uuid.h"

extern void tenancy_cache_trim(const pg_uuid_t *tenant);

#endif							/* TENANCY_CACHE_H */
