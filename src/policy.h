/*-------------------------------------------------------------------------
 *
 * policy.h
 *	  Protecting shared tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_POLICY_H
#define TENANCY_POLICY_H

#include "nodes/pg_list.h"
#include "registry.h"

#define TENANCY_POLICY_ISOLATION	"tenant_isolation"	/* restrictive: the wall */
#define TENANCY_POLICY_ACCESS		"tenant_access" /* permissive: lets through */
#define TENANCY_POLICY_ALLOW		"tenancy.policy_allow(tableoid)"	/* its condition */

extern List *tenancy_policy_unprotected(const TenancyModule *module);
extern char *tenancy_policy_find_registration(Oid relid);
extern List *tenancy_policy_new_tables(Oid schema);
extern void tenancy_policy_protect_new(Oid relid, const char *column);
extern void tenancy_policy_protect_copy(Oid relid, const char *column, const pg_uuid_t *tenant);

#endif							/* TENANCY_POLICY_H */
