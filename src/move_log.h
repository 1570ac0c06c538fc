/*-------------------------------------------------------------------------
 *
 * move_log.h
 *	  What is written to a tenant's tables while it moves online.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_LOG_H
#define TENANCY_MOVE_LOG_H

#include "nodes/pg_list.h"
#include "utils/snapshot.h"
#include "utils/uuid.h"

/* The keys of one table that a round has to deal with, column by column. */
typedef struct TenancyMoveKeys
{
	int			ncolumns;
	uint64		n;
	Datum	   *columns;		/* text[] each */
	Oid		   *types;			/* of these: all text[] */
} TenancyMoveKeys;

/* What a snapshot of the log shows. */
typedef struct TenancyMoveMoment
{
	uint64		oldest;			/* all transactions before this one */
	char	   *snapshot;		/* a pg_snapshot's text */
} TenancyMoveMoment;

extern void tenancy_move_log_refuse_keyless(Oid schema);
extern List *tenancy_move_log_columns(Oid table, Oid model);
extern void tenancy_move_log_attach(const pg_uuid_t *id, Oid table, Oid root,
									const char *tenant_column, List *columns);
extern bool tenancy_move_log_is_attached(const pg_uuid_t *id, Oid table, Oid root,
										 const char *tenant_column, List *columns);
extern void tenancy_move_log_moment(Snapshot snapshot, TransactionId leader, TenancyMoveMoment *moment);
extern List *tenancy_move_log_tables(const char *id, const TenancyMoveMoment *since, Snapshot snapshot);
extern void tenancy_move_log_keys(const char *id, Oid root, int ncolumns,
								  const TenancyMoveMoment *since, Snapshot snapshot,
								  TenancyMoveKeys *keys);
extern char *tenancy_move_log_keys_query(const char *id, Oid root, int ncolumns,
										 const TenancyMoveMoment *since);
extern void tenancy_move_log_close(const pg_uuid_t *id, Oid database);
extern void tenancy_move_log_forget(const char *id);

#endif							/* TENANCY_MOVE_LOG_H */
