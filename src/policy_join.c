/*-------------------------------------------------------------------------
 *
 * policy_join.c
 *	  What joins a tree of tables later: an event trigger gives it the policies.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "compat.h"
#include "exec.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "policy.h"
#include "policy_add.h"
#include "policy_grant.h"
#include "policy_table.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(tenancy_policy_protect_children);

/*
 * A table that a command names as a partition or child.  With IF [NOT] EXISTS, it may
 * have made it nothing: who has, holds this lock.
 */
static List *
add_joining(List *tables, RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	LOCKTAG		tag;

	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	return OidIsValid(relid) && tenancy_lock_held_by_me(&tag, AccessExclusiveLock) ?
		list_append_unique_oid(tables, relid) : tables;
}

/* The tables that a command has made partitions or children of others. */
static List *
joining_tables(Node *stmt)
{
	List	   *tables = NIL;
	ListCell   *lc;

	if (IsA(stmt, CreateStmt) && ((CreateStmt *) stmt)->inhRelations != NIL)
		return add_joining(NIL, ((CreateStmt *) stmt)->relation);
	if (IsA(stmt, CreateSchemaStmt))
	{
		foreach(lc, ((CreateSchemaStmt *) stmt)->schemaElts)
			tables = list_concat_unique_oid(tables, joining_tables(lfirst(lc)));
		return tables;
	}
	if (!IsA(stmt, AlterTableStmt))
		return NIL;
	foreach(lc, ((AlterTableStmt *) stmt)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddInherit)
			tables = add_joining(tables, ((AlterTableStmt *) stmt)->relation);
		else if (cmd->subtype == AT_AttachPartition)
			tables = add_joining(tables, castNode(PartitionCmd, cmd->def)->name);
	}
	return tables;
}

/* The tenant column of the protected table above this one, or NULL. */
static char *
column_above(Oid relid)
{
	ListCell   *lc;

	foreach(lc, tenancy_policy_parents_of(relid))
	{
		char	   *column = tenancy_policy_find_registration(lfirst_oid(lc));

		if (column == NULL)
			column = column_above(lfirst_oid(lc));
		if (column != NULL)
			return column;
	}
	return NULL;
}

/*
 * The same for a table in a schema tenant's copy: the tenant's id, or NULL, and the
 * column, NULL if there is none.
 */
static const char *
tenant_above(Oid relid, const char **column)
{
	ListCell   *lc;

	foreach(lc, tenancy_policy_parents_of(relid))
	{
		Oid			parent = lfirst_oid(lc);
		TenancyPolicies policies;

		tenancy_policy_read(parent, &policies);
		if (policies.tenant == NULL)
			continue;
		*column = policies.check_attno == InvalidAttrNumber ? NULL :
			get_attname(parent, policies.check_attno, false);
		return policies.tenant;
	}
	return NULL;
}

/*
 * Give a table its policies, as its owner, who may be the DBA still that created
 * it, or somebody who acts for the tree's owner.  Another role may not be allowed to;
 * check_isolation() tells of such a table, and of foreign ones, which have no row
 * security.
 */
static void
protect_joining(Oid relid, const char *column, const char *tenant, TenancyRestriction *restriction)
{
	TenancyProtection protection = {0};
	Oid			owner = tenancy_policy_table_owner(relid);
	TenancyExec exec;

	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE || (tenant == NULL && tenancy_policy_has_wall(relid, column)) ||
		!has_privs_of_role(owner, tenancy_policy_table_owner(tenancy_policy_root_of(relid))))
		return;
	protection.relid = relid;
	protection.column = column;
	protection.copy_of = tenant;
	tenancy_policy_begin_as_owner(&exec, owner);
	tenancy_policy_add_row_security(&protection, relid);
	tenancy_exec_end(&exec);
	(void) tenancy_policy_restrict_table(relid, restriction);
}

/* The event trigger's function.  What we do ourselves is complete without it. */
Datum
tenancy_policy_protect_children(PG_FUNCTION_ARGS)
{
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by event trigger manager")));
	if (InSecurityRestrictedOperation())
		PG_RETURN_NULL();
	foreach(lc, joining_tables(((EventTriggerData *) fcinfo->context)->parsetree))
	{
		Oid			relid = lfirst_oid(lc);
		const char *column = column_above(relid);
		const char *tenant = column == NULL ? tenant_above(relid, &column) : NULL;
		TenancyRestriction restriction;
		ListCell   *lc_table;

		if (column == NULL && tenant == NULL)
			continue;
		tenancy_policy_init_restriction(&restriction, tenancy_policy_access_roles());
		foreach(lc_table, find_all_inheritors(relid, AccessExclusiveLock, NULL))
			protect_joining(lfirst_oid(lc_table), column, tenant, &restriction);
	}
	PG_RETURN_NULL();
}
