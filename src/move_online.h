/*-------------------------------------------------------------------------
 *
 * move_online.h
 *	  A move's worker, for a tenant that is written to while it moves.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_ONLINE_H
#define TENANCY_MOVE_ONLINE_H

#include "registry.h"

extern List *tenancy_move_find_writers(const TenancyTenant *tenant);
extern void tenancy_move_wait_for_writers(List *writers, int timeout_ms);

#endif							/* TENANCY_MOVE_ONLINE_H */
