/*-------------------------------------------------------------------------
 *
 * checksum.h
 *	  What tells sets of rows apart: their number, and a checksum.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CHECKSUM_H
#define TENANCY_CHECKSUM_H

#include "executor/tuptable.h"
#include "nodes/params.h"
#include "utils/snapshot.h"

typedef struct TenancyChecksum
{
	uint64		nrows;
	uint64		sum;			/* of the rows' hashes: their order is no matter */
} TenancyChecksum;

extern void tenancy_checksum_add(TupleTableSlot *slot, TenancyChecksum *checksum);
extern TenancyChecksum tenancy_checksum_query(const char *sql, ParamListInfo params, Snapshot snapshot);

#endif							/* TENANCY_CHECKSUM_H */
