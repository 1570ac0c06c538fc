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

/* SQL: the index whose columns tell a table's rows apart, or NULL; "table" is an expression. */
#define TENANCY_MOVE_KEY_INDEX(table) \
	"(SELECT ki.indexrelid FROM pg_catalog.pg_index ki WHERE ki.indrelid OPERATOR(pg_catalog.=) " table \
	" AND (ki.indisprimary OR ki.indisreplident) AND ki.indisunique AND ki.indimmediate AND ki.indisvalid" \
	" AND ki.indpred IS NULL AND ki.indexprs IS NULL ORDER BY ki.indisprimary DESC LIMIT 1)"

extern void tenancy_move_log_refuse_keyless(Oid schema);
extern List *tenancy_move_log_columns(Oid table, Oid model);
extern void tenancy_move_log_attach(const pg_uuid_t *id, Oid table, Oid root,
									const char *tenant_column, List *columns);
extern bool tenancy_move_log_is_attached(const pg_uuid_t *id, Oid table, Oid root,
										 const char *tenant_column, List *columns);
extern void tenancy_move_log_moment(Snapshot snapshot, TenancyMoveMoment *moment);
extern List *tenancy_move_log_tables(const char *id, const TenancyMoveMoment *since, Snapshot snapshot);
extern void tenancy_move_log_keys(const char *id, Oid root, int ncolumns,
								  const TenancyMoveMoment *since, Snapshot snapshot,
								  TenancyMoveKeys *keys);
extern void tenancy_move_log_forget(const char *id);

#endif							/* TENANCY_MOVE_LOG_H */
