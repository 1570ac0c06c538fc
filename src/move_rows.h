/*-------------------------------------------------------------------------
 *
 * move_rows.h
 *	  A move's worker: copying a tenant's rows, and the switch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_ROWS_H
#define TENANCY_MOVE_ROWS_H

#include "checksum.h"
#include "exec.h"
#include "registry.h"
#include "worker.h"

/* A module that the tenant has, on both sides. */
typedef struct TenancyMovePart
{
	TenancyModule module;
	Oid			source_schema;
	Oid			target_schema;
} TenancyMovePart;

/* A table on both sides. */
typedef struct TenancyMovePair
{
	TenancyMovePart *part;
	char	   *name;
	Oid			source;
	Oid			target;
	char		source_kind;	/* their relkinds */
	char		target_kind;
	Oid			owner;			/* of both */
	Oid			target_owner;
	char	   *tenant_column;	/* of the shared table */
	StringInfoData columns;		/* of the target */
	StringInfoData values;		/* of the source, for them */
	StringInfoData compared;	/* the same, with the tenant column as it is */
	List	   *names;			/* the columns' */
	List	   *logged;			/* names of the columns that the log has: move_log.c */
	List	   *operators;		/* of those that tell rows apart, which come first */
} TenancyMovePair;

typedef struct TenancyMove
{
	TenancyTenant from;
	TenancyTenant to;
	char	   *id;
	List	   *parts;			/* main module first */
	char	   *source_schemas; /* of all parts, as an array's text, in their order */
	char	   *target_schemas;
	List	   *pairs;
	List	   *keys;			/* what the target's schemas still lack, see clone.h */
} TenancyMove;

extern char *tenancy_move_rows_of(const TenancyMove *move, const TenancyMovePair *pair,
								  const TenancyTenant *side);
extern char *tenancy_move_copy_statement(const TenancyMove *move, const TenancyMovePair *pair,
										 const char *rows);
extern void tenancy_move_begin_copy(const TenancyMove *move);
extern void tenancy_move_copy(const TenancyMove *move, const TenancyMovePair *pair, Snapshot snapshot,
							  TenancyChecksum *checksum);
extern char *tenancy_move_source_query(const TenancyMovePair *pair, const char *rows);
extern char *tenancy_move_target_query(const TenancyMovePair *pair, const char *rows);
extern void tenancy_move_compare(const TenancyMovePair *pair, TenancyChecksum source, TenancyChecksum target);
extern void tenancy_move_exec_begin(const TenancyMove *move, const TenancyMovePair *pair,
									TenancyExec *exec);
extern void tenancy_move_read(TenancyMove *move, bool writers_refused);
extern void tenancy_move_find_parts(TenancyMove *move);
extern char *tenancy_move_versions(const TenancyMove *move);
extern void tenancy_move_check_unwritten(const TenancyTenant *from, const char *manifest);
extern void tenancy_move_prepare_target(TenancyMove *move);
extern void tenancy_move_check_source(const TenancyMove *move);
extern void tenancy_move_prepare(TenancyMove *move);
extern void tenancy_move_add_keys(const TenancyMove *move);
extern void tenancy_move_analyze(const TenancyMove *move);
extern void tenancy_move_check_references(const TenancyMove *move);
extern void tenancy_move_set_sequences(const TenancyMove *move);
extern void tenancy_move_grant_model(const TenancyMove *move);
extern void tenancy_move_lock_tables(const TenancyTenant *tenant, LOCKMODE mode);
extern void tenancy_move_lock_cascades(const TenancyTenant *tenant, TenancyMode to);
extern void tenancy_move_lock_source(const TenancyTenant *tenant);
extern void tenancy_move_switch(const TenancyTenant *tenant);
extern void tenancy_move_target(const TenancyTenant *tenant, TenancyMode mode, TenancyTenant *moved);

#endif							/* TENANCY_MOVE_ROWS_H */
