/*-------------------------------------------------------------------------
 *
 * fleet.h
 *	  Workers that bring the copies of a module to its level.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_FLEET_H
#define TENANCY_FLEET_H

#include "postmaster/bgworker.h"

/*
 * SQL: what run %s (an id, as text) of module_copy c and tenant t takes on; spares
 * only where it names them.
 */
#define TENANCY_FLEET_MEMBERS \
	" FROM tenancy.migration_run r" \
	" JOIN tenancy.module_copy c ON c.module OPERATOR(pg_catalog.=) r.module" \
	" JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) c.tenant_id" \
	" AND (t.status IN ('active', 'suspended') OR (t.status OPERATOR(pg_catalog.=) 'spare' AND r.tenants IS NOT NULL))" \
	" WHERE (r.tenants IS NULL OR c.tenant_id OPERATOR(pg_catalog.=) ANY (r.tenants))"

/* ... and which of them still are where they shall not be. */
#define TENANCY_FLEET_BEHIND \
	"(CASE WHEN r.down THEN c.level OPERATOR(pg_catalog.>) r.level ELSE c.level OPERATOR(pg_catalog.<) r.level END)"

extern bool tenancy_fleet_lock_leader(void);
extern void tenancy_fleet_unlock_leader(void);
extern BackgroundWorkerHandle *tenancy_fleet_launch(int64 run);
extern bool tenancy_fleet_is_idle(void);

#endif							/* TENANCY_FLEET_H */
