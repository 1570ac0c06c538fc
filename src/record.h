/*-------------------------------------------------------------------------
 *
 * record.h
 *	  Recording what another tool does to a model, as a migration.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_RECORD_H
#define TENANCY_RECORD_H

#include "access/xact.h"
#include "executor/execdesc.h"
#include "guc.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"

/* Only sessions of clients are recorded, not the workers that they start. */
static inline bool
tenancy_record_is_on(void)
{
	return tenancy_guc_recording && MyBackendType == B_BACKEND;
}

/* For hooks.c: */
extern void tenancy_record_query(QueryDesc *query);
extern void tenancy_record_enter(QueryDesc *query);
extern void tenancy_record_utility(PlannedStmt *pstmt, const char *query, ParamListInfo params);
extern void tenancy_record_leave(void);
extern void tenancy_record_complete(void);
extern void tenancy_record_xact(XactEvent event);
extern void tenancy_record_subxact(SubXactEvent event, SubTransactionId id);

#endif							/* TENANCY_RECORD_H */
