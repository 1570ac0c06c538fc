/*-------------------------------------------------------------------------
 *
 * policy_add.c
 *	  What a table lacks to be protected, added as its owner.
 *
 * Each step looks at the catalogs, adds what is missing and leaves alone what is
 * right.  For what can run meanwhile, see the head of policy.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "compat.h"
#include "exec.h"
#include "miscadmin.h"
#include "policy.h"
#include "policy_add.h"
#include "policy_table.h"
#include "registry.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"


/* ----------------------------------------------------------------
 * Rows without a tenant
 * ----------------------------------------------------------------
 */

/* Can a column of a table, which is locked, have no nulls? */
static bool
has_no_nulls(Oid relid, AttrNumber attno)
{
	Relation	rel = table_open(relid, NoLock);
	bool		result = tenancy_has_no_nulls(RelationGetDescr(rel), attno);

	table_close(rel, NoLock);
	return result;
}

/* Does this one table, without its children, hold rows without a tenant? */
static bool
lacks_tenant(const TenancyProtection *protection, Oid relid)
{
	FormData_pg_attribute att;
	TenancyExec exec;
	StringInfoData sql;
	char	   *found;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT EXISTS (SELECT FROM ONLY %s", tenancy_policy_sql_name(relid));
	if (tenancy_policy_find_column(relid, protection->column, &att))
	{
		if (has_no_nulls(relid, att.attnum))
			return false;
		appendStringInfo(&sql, " WHERE %s IS NULL", quote_identifier(protection->column));
	}
	appendStringInfoChar(&sql, ')');

	tenancy_policy_begin_as_owner(&exec, protection->owner);
	found = tenancy_exec_text(&exec, sql.data);
	tenancy_exec_end(&exec);
	return strcmp(found, "t") == 0;
}

bool
tenancy_policy_tree_lacks_tenant(const TenancyProtection *protection)
{
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		if (lacks_tenant(protection, lfirst_oid(lc)))
			return true;
	}
	return false;
}

static void
refuse_assignment(Oid relid, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot assign the rows of table \"%s\" to a tenant", tenancy_policy_label(relid)),
			 errdetail_internal("%s", reason),
			 errhint("Give the rows their tenant with UPDATE, then call the function again.")));
}

/*
 * Refuse to UPDATE rows where the constraints that session_replication_role
 * switches off would have a say: foreign keys and deferrable unique
 * constraints over the column.
 */
static void
check_assignable(const TenancyProtection *protection, Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	AttrNumber	attno = get_attnum(relid, protection->column);
	Oid			registry = tenancy_registry_relation("tenant");
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);

		for (int i = 0; i < fk->nkeys; i++)
		{
			if (fk->conkey[i] == attno &&
				(fk->nkeys > 1 || fk->confrelid != registry))
				refuse_assignment(relid, _("The tenant column is part of a foreign key."));
		}
	}

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		/* 0 stands for an expression, which may use the column */
		for (int i = 0; i < index->rd_index->indnatts; i++)
		{
			if (!index->rd_index->indimmediate &&
				(index->rd_index->indkey.values[i] == attno ||
				 index->rd_index->indkey.values[i] == 0))
				refuse_assignment(relid, _("The tenant column is part of a deferrable constraint."));
		}
		index_close(index, AccessShareLock);
	}
	table_close(rel, NoLock);
}

/*
 * Give the rows that lack a tenant the one that was named.  See the head of
 * policy.c for what can run meanwhile.
 */
void
tenancy_policy_assign_rows(TenancyProtection *protection)
{
	TenancyExec exec;
	ListCell   *lc;

	if (superuser_arg(protection->owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot assign the rows of table \"%s\" to a tenant",
						tenancy_policy_label(protection->relid)),
				 errdetail("It is owned by a superuser, whose rights an UPDATE could lend to code of the table's users."),
				 errhint("Use ALTER TABLE ... OWNER TO a role that is no superuser, or give the rows their tenant with UPDATE.")));
	foreach(lc, protection->tables)
		check_assignable(protection, lfirst_oid(lc));

	tenancy_policy_begin_as_owner(&exec, protection->owner);
	tenancy_exec_set("session_replication_role", "replica");
	tenancy_exec_format("UPDATE %s SET %s = '%s'::uuid WHERE %s IS NULL",
						tenancy_policy_sql_name(protection->relid),
						quote_identifier(protection->column),
						protection->assign_to,
						quote_identifier(protection->column));
	tenancy_exec_end(&exec);
	protection->changed = true;
}


/* ----------------------------------------------------------------
 * Adding what is missing
 * ----------------------------------------------------------------
 */

/* Has a child the column, which its parent has not? */
static bool
child_has_column(const TenancyProtection *protection)
{
	FormData_pg_attribute att;
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		if (tenancy_policy_find_column(lfirst_oid(lc), protection->column, &att))
			return true;
	}
	return false;
}

/*
 * Add the column where the table has none.  With rows to assign, their tenant
 * is the column's first default, which costs no rewrite and fires no trigger.
 * Where a child's own column becomes one with it, its rows come later, and NOT NULL
 * after them: from 18 on, the child would have that at once.
 */
void
tenancy_policy_add_column(TenancyProtection *protection)
{
	FormData_pg_attribute att;
	const char *column = quote_identifier(protection->column);

	if (tenancy_policy_find_column(protection->relid, protection->column, &att))
		return;
	if (protection->assign_to != NULL)
		tenancy_exec_format("ALTER TABLE %s ADD COLUMN %s uuid%s DEFAULT '%s'::uuid",
							tenancy_policy_sql_name(protection->relid), column,
							child_has_column(protection) ? "" : " NOT NULL", protection->assign_to);
	else
		tenancy_exec_format("ALTER TABLE %s ADD COLUMN %s uuid",
							tenancy_policy_sql_name(protection->relid), column);
	protection->column_added = true;
	protection->changed = true;
}

void
tenancy_policy_add_not_null(TenancyProtection *protection)
{
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		FormData_pg_attribute att;

		if (!tenancy_policy_find_column(lfirst_oid(lc), protection->column, &att))
			elog(ERROR, "column \"%s\" of table \"%s\" is missing",
				 protection->column, tenancy_policy_label(lfirst_oid(lc)));
		if (has_no_nulls(lfirst_oid(lc), att.attnum))
			continue;
		tenancy_exec_format("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
							tenancy_policy_sql_name(protection->relid),
							quote_identifier(protection->column));
		protection->changed = true;
		break;					/* that was for the whole tree */
	}
}

void
tenancy_policy_add_default(TenancyProtection *protection)
{
	bool		missing = false;
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		Node	   *expr = tenancy_policy_column_default(lfirst_oid(lc), protection->column);

		if (tenancy_policy_is_our_default(expr))
			continue;
		missing = true;

		/* A column that we have added may have assign_to for a default. */
		if (expr != NULL && !protection->column_added)
			ereport(NOTICE,
					(errmsg("default of column \"%s\" of table \"%s\" is replaced by the current tenant's id",
							protection->column, tenancy_policy_label(lfirst_oid(lc)))));
	}
	if (!missing)
		return;
	tenancy_exec_format("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT tenancy.current_tenant_id()",
						tenancy_policy_sql_name(protection->relid),
						quote_identifier(protection->column));
	protection->changed = true;
}

/* Is there an index that serves "column = value" for all of the table's rows? */
static bool
has_index(Oid relid, const char *column)
{
	Relation	rel = table_open(relid, NoLock);
	AttrNumber	attno = get_attnum(relid, column);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		found = index->rd_rel->relam == BTREE_AM_OID &&
			index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == attno &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
		index_close(index, AccessShareLock);
		if (found)
			break;
	}
	table_close(rel, NoLock);
	return found;
}

static void
add_index(TenancyProtection *protection, Oid relid)
{
	Oid			schema = get_rel_namespace(relid);

	if (has_index(relid, protection->column))
		return;
	if (tenancy_namespace_aclcheck(schema, protection->owner, ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", the owner of table \"%s\", may not create an index in the table's schema",
						GetUserNameFromId(protection->owner, false), tenancy_policy_label(relid)),
				 errhint("Use GRANT CREATE ON SCHEMA %s TO %s, or create an index on %s (%s).",
						 quote_identifier(get_namespace_name(schema)),
						 tenancy_policy_role_sql_name(protection->owner),
						 tenancy_policy_sql_name(relid), quote_identifier(protection->column))));
	tenancy_exec_format("CREATE INDEX ON %s (%s)",
						tenancy_policy_sql_name(relid), quote_identifier(protection->column));
	protection->changed = true;
}

static void
add_foreign_key(TenancyProtection *protection, Oid relid)
{
	if (tenancy_policy_foreign_keys(relid, protection->column) != NIL)
		return;
	tenancy_exec_format("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES tenancy.tenant (id)",
						tenancy_policy_sql_name(relid), quote_identifier(protection->column));
	protection->changed = true;
}

/* Indexes and foreign keys go down to partitions, but not to other children. */
void
tenancy_policy_add_index_and_key(TenancyProtection *protection)
{
	bool		recurses = get_rel_relkind(protection->relid) == RELKIND_PARTITIONED_TABLE;
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		add_index(protection, lfirst_oid(lc));
		if (protection->foreign_key)
			add_foreign_key(protection, lfirst_oid(lc));
		if (recurses)
			break;
	}
}

/* Is the isolation policy the one that we would make for this tenant's copy? */
static bool
copy_isolation_is_right(const TenancyProtection *protection, Oid relid, const TenancyPolicies *policies)
{
	return policies->tenant_intact && strcmp(policies->tenant, protection->copy_of) == 0 &&
		(protection->column == NULL ? policies->check_attno == InvalidAttrNumber :
		 policies->check_attno == get_attnum(relid, protection->column));
}

/*
 * The isolation policy of a table in a schema tenant's copy; see clone.c.  A table
 * that comes from elsewhere may have that of another tenant.
 */
static void
add_copy_isolation(TenancyProtection *protection, Oid relid, const TenancyPolicies *policies)
{
	StringInfoData buf;

	if (copy_isolation_is_right(protection, relid, policies))
		return;
	if (OidIsValid(policies->isolation))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ISOLATION, tenancy_policy_sql_name(relid));
	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE POLICY " TENANCY_POLICY_ISOLATION
					 " ON %s AS RESTRICTIVE USING (tenancy.policy_is_tenant('%s'))",
					 tenancy_policy_sql_name(relid), protection->copy_of);
	if (protection->column != NULL)
		appendStringInfo(&buf, " WITH CHECK (tenancy.policy_is_tenant('%s')"
						 " AND %s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid)",
						 protection->copy_of, quote_identifier(protection->column),
						 protection->copy_of);
	tenancy_exec_sql(buf.data);
	protection->changed = true;
}

static void
add_isolation(TenancyProtection *protection, Oid relid, const TenancyPolicies *policies)
{
	const char *table = tenancy_policy_sql_name(relid);

	if (protection->copy_of != NULL)
	{
		add_copy_isolation(protection, relid, policies);
		return;
	}
	if (tenancy_policy_isolation_is_right(relid, policies, protection->column))
		return;
	if (OidIsValid(policies->isolation))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ISOLATION, table);
	tenancy_exec_format("CREATE POLICY %s ON %s AS RESTRICTIVE FOR ALL TO PUBLIC"
						" USING (%s OPERATOR(pg_catalog.=) tenancy.policy_tenant_id())",
						TENANCY_POLICY_ISOLATION, table,
						quote_identifier(protection->column));
	protection->changed = true;
}

static void
add_access(TenancyProtection *protection, Oid relid, const TenancyPolicies *policies)
{
	const char *table = tenancy_policy_sql_name(relid);
	bool		wanted = !policies->has_permissive;

	if (OidIsValid(policies->access) && (!wanted || !policies->access_intact))
	{
		if (!wanted)
			ereport(NOTICE,
					(errmsg("policy \"%s\" of table \"%s\" gives way to the table's own permissive policies",
							TENANCY_POLICY_ACCESS, tenancy_policy_label(relid))));
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ACCESS, table);
		protection->changed = true;
	}
	if (wanted && !policies->access_intact)
	{
		tenancy_exec_format("CREATE POLICY %s ON %s AS PERMISSIVE FOR ALL TO PUBLIC USING (" TENANCY_POLICY_ALLOW ")",
							TENANCY_POLICY_ACCESS, table);
		protection->changed = true;
	}
}

void
tenancy_policy_add_row_security(TenancyProtection *protection, Oid relid)
{
	TenancyPolicies policies;
	bool		on;
	bool		forced;

	tenancy_policy_read_flags(relid, &on, &forced);
	tenancy_policy_read(relid, &policies);
	add_isolation(protection, relid, &policies);
	if (protection->column != NULL || !on)
		add_access(protection, relid, &policies);

	if (on && forced)
		return;
	tenancy_exec_format("ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
						tenancy_policy_sql_name(relid));
	protection->changed = true;
}
