/*-------------------------------------------------------------------------
 *
 * move_rows.h
 *	  A move's worker: copying a tenant's rows, and the switch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MOVE_ROWS_H
#define TENANCY_MOVE_ROWS_H

#include "registry.h"
#include "worker.h"

/*
 * The column that tells the tenants' rows apart in a table, whose OID is given
 * as an SQL expression: what was noted for it, or for what it is a part of.
 */
#define TENANCY_MOVE_TENANT_COLUMN(table) \
	"(WITH RECURSIVE up (oid) AS (SELECT " table " UNION" \
	" SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN up ON i.inhrelid OPERATOR(pg_catalog.=) up.oid)" \
	" SELECT pt.tenant_column FROM tenancy.protected_table pt JOIN up ON pt.relation OPERATOR(pg_catalog.=) up.oid LIMIT 1)"

extern void tenancy_move_lock_source(const TenancyTenant *tenant);
extern void tenancy_move_switch(const TenancyTenant *tenant);
extern void tenancy_move_target(const TenancyTenant *tenant, TenancyMode mode, TenancyTenant *moved);

#endif							/* TENANCY_MOVE_ROWS_H */
