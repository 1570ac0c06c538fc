/*-------------------------------------------------------------------------
 *
 * provision.h
 *	  What creating, dropping and moving tenants have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_PROVISION_H
#define TENANCY_PROVISION_H

#include "fmgr.h"
#include "registry.h"

extern void tenancy_provision_get_tenant(FunctionCallInfo fcinfo, TenancyTenant *tenant);
extern void tenancy_provision_refuse_status(const TenancyTenant *tenant, const char *hint);
extern void tenancy_provision_refuse_move(const TenancyTenant *tenant);
extern void tenancy_provision_check_shared(const TenancyModule *module);
extern void tenancy_provision_insert(const TenancyTenant *tenant, const char *display_name,
									const char *metadata);
extern void tenancy_provision_set_status(const TenancyTenant *tenant, const char *status,
										 const char *reason);

#endif							/* TENANCY_PROVISION_H */
