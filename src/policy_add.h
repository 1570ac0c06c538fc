/*-------------------------------------------------------------------------
 *
 * policy_add.h
 *	  What a table lacks to be protected, added as its owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_POLICY_ADD_H
#define TENANCY_POLICY_ADD_H

#include "nodes/pg_list.h"

/* A call to protect a tree of tables. */
typedef struct TenancyProtection
{
	Oid			relid;			/* the root */
	Oid			owner;			/* of the whole tree */
	const char *column;			/* the tenant column */
	bool		any_column;		/* a registered table may have another one */
	bool		foreign_key;
	const char *assign_to;		/* id of the tenant that gets the rows, or NULL */
	const char *copy_of;		/* id of the schema tenant whose table it is, or NULL */
	bool		registered;
	List	   *tables;			/* OIDs: the root, then its descendants */
	List	   *access_roles;	/* OIDs of the roles that may act for tenants */
	bool		column_added;	/* was there no tenant column? */
	bool		changed;		/* have we done anything? */
} TenancyProtection;

extern bool tenancy_policy_tree_lacks_tenant(const TenancyProtection *protection);
extern void tenancy_policy_assign_rows(TenancyProtection *protection);
extern void tenancy_policy_add_column(TenancyProtection *protection);
extern void tenancy_policy_add_not_null(TenancyProtection *protection);
extern void tenancy_policy_add_default(TenancyProtection *protection);
extern void tenancy_policy_add_index_and_key(TenancyProtection *protection);
extern void tenancy_policy_add_row_security(TenancyProtection *protection, Oid relid);

#endif							/* TENANCY_POLICY_ADD_H */
