/*-------------------------------------------------------------------------
 *
 * load.h
 *	  Rows into a table, many at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_LOAD_H
#define TENANCY_LOAD_H

#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

typedef struct TenancyLoad TenancyLoad;

extern bool tenancy_load_has_reactions(Relation rel, CmdType event);
extern TenancyLoad *tenancy_load_begin(Oid table, bool is_ours);
extern ExprContext *tenancy_load_context(TenancyLoad *load);
extern TupleTableSlot *tenancy_load_next(TenancyLoad *load);
extern void tenancy_load_add(TenancyLoad *load);
extern uint64 tenancy_load_end(TenancyLoad *load);

#endif							/* TENANCY_LOAD_H */
