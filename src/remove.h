/*-------------------------------------------------------------------------
 *
 * remove.h
 *	  Deleting a tenant, or a spare, from the registry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_REMOVE_H
#define TENANCY_REMOVE_H

#include "nodes/pg_list.h"
#include "utils/uuid.h"

extern void tenancy_remove_refuse_borrowers(List *deleted, List *updated);
extern void tenancy_remove(const pg_uuid_t *tenant);

#endif							/* TENANCY_REMOVE_H */
