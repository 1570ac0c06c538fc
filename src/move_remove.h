/*-------------------------------------------------------------------------
 *
 * move_remove.h
 *	  Removing the rows that a tenant has left in shared tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_REMOVE_H
#define TENANCY_MOVE_REMOVE_H

#include "utils/uuid.h"

extern void tenancy_move_remove(const pg_uuid_t *id);

#endif							/* TENANCY_MOVE_REMOVE_H */
