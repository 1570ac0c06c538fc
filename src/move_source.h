/*-------------------------------------------------------------------------
 *
 * move_source.h
 *	  Where a tenant is that moves: its writers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_SOURCE_H
#define TENANCY_MOVE_SOURCE_H

#include "datatype/timestamp.h"
#include "move_rows.h"
#include "registry.h"

/* How many rounds there may be before writers are refused. */
#define TENANCY_MOVE_MAX_ROUNDS		20

extern Oid	tenancy_move_model_of(const TenancyMove *move, Oid table);
extern char *tenancy_move_storage(const TenancyMove *move);
extern void tenancy_move_refuse_changed(const TenancyMove *move);
extern void tenancy_move_attach(TenancyMove *move, MemoryContext context);
extern void tenancy_move_check_attached(const TenancyMove *move);
extern List *tenancy_move_find_writers(const TenancyTenant *tenant);
extern void tenancy_move_refuse_writers(const TenancyMove *move, int timeout_ms);
extern void tenancy_move_set_status_inside(const TenancyTenant *tenant, const char *old, const char *new);
extern char *tenancy_move_write_files(const TenancyTenant *from, const char *directory, const char *since,
									  const char *leader);
extern bool tenancy_move_is_short(TimestampTz round_start, uint64 nkeys);

#endif							/* TENANCY_MOVE_SOURCE_H */
