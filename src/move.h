/*-------------------------------------------------------------------------
 *
 * move.h
 *	  Moving tenants to another mode.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_H
#define TENANCY_MOVE_H

#include "registry.h"

/* What was done about a move that was not finished */
typedef enum TenancyMoveResult
{
	TENANCY_MOVE_NONE,			/* there was nothing to do */
	TENANCY_MOVE_BUSY,			/* somebody is at it */
	TENANCY_MOVE_UNDONE,
	TENANCY_MOVE_FINISHED
} TenancyMoveResult;

extern TenancyMoveResult tenancy_move_settle(const pg_uuid_t *id);

#endif							/* TENANCY_MOVE_H */
