/*-------------------------------------------------------------------------
 *
 * policy_table.h
 *	  What is known of one table: its policies, its place in a tree.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_POLICY_TABLE_H
#define TENANCY_POLICY_TABLE_H

#include "access/htup.h"
#include "catalog/pg_attribute.h"
#include "exec.h"
#include "nodes/pg_list.h"

/* Policies of one table. */
typedef struct TenancyPolicies
{
	Oid			isolation;		/* the policy of the name, if any ... */
	bool		isolation_intact;	/* ... which is as we made it */
	AttrNumber	isolation_attno;	/* column that it compares, 0 if not ours */
	bool		isolation_tenant;	/* ... of a schema tenant's table: */
	const char *tenant;			/* the tenant's id, if that is a constant */
	bool		tenant_intact;	/* ... and it is as we made it */
	AttrNumber	check_attno;	/* column that new rows' tenant is in, or 0 */
	Oid			access;
	bool		access_intact;
	bool		has_permissive; /* the application's own: permissive, */
	bool		has_restrictive;	/* restrictive */
} TenancyPolicies;

extern const char *tenancy_policy_sql_name(Oid relid);
extern char *tenancy_policy_label(Oid relid);
extern const char *tenancy_policy_role_sql_name(Oid role);
extern HeapTuple tenancy_policy_fetch_class(Oid relid);
extern Oid	tenancy_policy_table_owner(Oid relid);
extern bool tenancy_policy_find_column(Oid relid, const char *name, FormData_pg_attribute *attribute);
extern void tenancy_policy_begin_as_owner(TenancyExec *exec, Oid owner);
extern void tenancy_policy_read_flags(Oid relid, bool *row_security, bool *force);

extern void tenancy_policy_read(Oid relid, TenancyPolicies *policies);
extern bool tenancy_policy_isolation_is_right(Oid relid, const TenancyPolicies *policies, const char *column);
extern bool tenancy_policy_has_wall(Oid relid, const char *column);
extern Node *tenancy_policy_column_default(Oid relid, const char *column);
extern bool tenancy_policy_is_our_default(Node *expr);
extern List *tenancy_policy_foreign_keys(Oid relid, const char *column);

extern List *tenancy_policy_parents_of(Oid relid);
extern Oid	tenancy_policy_root_of(Oid relid);
extern List *tenancy_policy_tables_of_schema(Oid schema, bool new_only);

#endif							/* TENANCY_POLICY_TABLE_H */
