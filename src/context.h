/*-------------------------------------------------------------------------
 *
 * context.h
 *	  The tenant context.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CONTEXT_H
#define TENANCY_CONTEXT_H

#include "fmgr.h"
#include "registry.h"
#include "utils/snapshot.h"

/* For GRANT and REVOKE: what the policies and defaults of protected tables call */
#define TENANCY_POLICY_FUNCTIONS \
	"tenancy.policy_tenant_id(), tenancy.policy_is_tenant(uuid), tenancy.policy_allow(oid)," \
	" tenancy.current_tenant_id()"

/* ... and what a role needs to act for tenants. */
#define TENANCY_CONTEXT_FUNCTIONS \
	"tenancy.set_tenant(text, boolean), tenancy.set_tenant(uuid, boolean)," \
	" tenancy.set_tenant_token(text, boolean)," \
	" tenancy.reset_tenant(), tenancy.current_tenant()," \
	" tenancy.is_current_tenant(uuid), tenancy.tenant_database(text), " \
	TENANCY_POLICY_FUNCTIONS

extern void tenancy_context_init(void);

/* For workers that maintain tenants: act for suspended ones too. */
extern bool tenancy_context_any_status;

extern void tenancy_context_act(const pg_uuid_t *tenant);
extern void tenancy_context_act_end(void);

extern bool tenancy_context_moved_since(const TenancyTenant *tenant, Snapshot snapshot);

/* Refuse a tenant, or NULL for one that there is not, as set_tenant() does. */
extern void tenancy_context_check_access(const char *slug_or_id, const TenancyTenant *tenant);

/* What set_tenant() does, for a function whose argument 1 is is_local. */
extern Datum tenancy_context_enter(FunctionCallInfo fcinfo, const char *slug_or_id);

#endif							/* TENANCY_CONTEXT_H */
