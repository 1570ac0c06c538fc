/*-------------------------------------------------------------------------
 *
 * policy_grant.h
 *	  What access roles must not hold on a table of tenants, taken from them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_POLICY_GRANT_H
#define TENANCY_POLICY_GRANT_H

#include "nodes/pg_list.h"

/* Roles that must not hold such privileges, and what we know of others. */
typedef struct TenancyRestriction
{
	List	   *roles;			/* OIDs of access roles */
	List	   *restricted;		/* roles whose privileges one of those has */
	List	   *unrestricted;
} TenancyRestriction;

extern List *tenancy_policy_access_roles(void);
extern void tenancy_policy_init_restriction(TenancyRestriction *restriction, List *roles);
extern bool tenancy_policy_restrict_table(Oid relid, TenancyRestriction *restriction);
extern void tenancy_policy_restrict_role(Oid role);

#endif							/* TENANCY_POLICY_GRANT_H */
