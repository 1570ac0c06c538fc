/*-------------------------------------------------------------------------
 *
 * policy_grant.c
 *	  What access roles must not hold on a table of tenants, taken from them.
 *
 * All of it is done as the tables' owner, who can take back only what he gave
 * himself; what others have passed on goes with their grant options.
 *
 * Locks: each table is locked as for reading while its privileges are changed, and
 * released, because there may be more tables than there is room for locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_shdepend.h"
#include "exec.h"
#include "miscadmin.h"
#include "policy_grant.h"
#include "policy_table.h"
#include "registry.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * What access roles must not hold on a table of tenants: TRUNCATE knows no row
 * security; a foreign key or a trigger is a way to learn of others' rows.
 */
#define UNSAFE_PRIVILEGES		(ACL_TRUNCATE | ACL_REFERENCES | ACL_TRIGGER)
#define UNSAFE_PRIVILEGES_SQL	"TRUNCATE, REFERENCES, TRIGGER"

/* Grants of UNSAFE_PRIVILEGES on one table. */
typedef struct Grants
{
	List	   *grantees;		/* OIDs of restricted roles, or 0 for PUBLIC */
	List	   *holders;		/* roles that got a grant option from the owner */
	bool		indirect;		/* one of grantees got it from such a role */
} Grants;

/* All roles that may act for a tenant. */
List *
tenancy_policy_access_roles(void)
{
	TenancyExec exec;
	List	   *texts;
	List	   *roles = NIL;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	texts = tenancy_exec_text_list(&exec, "SELECT DISTINCT role::oid FROM tenancy.access");
	tenancy_exec_end(&exec);
	foreach(lc, texts)
	{
		Oid			role = atooid(lfirst(lc));

		/* Dropping a role leaves its rows behind. */
		if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
			roles = lappend_oid(roles, role);
	}
	return roles;
}

void
tenancy_policy_init_restriction(TenancyRestriction *restriction, List *roles)
{
	restriction->roles = roles;
	restriction->restricted = NIL;
	restriction->unrestricted = NIL;
}

/* Does an access role have this role's privileges, or can it get them? */
static bool
is_restricted(TenancyRestriction *restriction, Oid grantee)
{
	ListCell   *lc;

	if (grantee == ACL_ID_PUBLIC ||
		list_member_oid(restriction->restricted, grantee))
		return true;
	if (list_member_oid(restriction->unrestricted, grantee))
		return false;

	foreach(lc, restriction->roles)
	{
		if (is_member_of_role_nosuper(lfirst_oid(lc), grantee))
		{
			restriction->restricted = lappend_oid(restriction->restricted, grantee);
			return true;
		}
	}
	restriction->unrestricted = lappend_oid(restriction->unrestricted, grantee);
	return false;
}

/* Collect what an ACL grants and should not.  Returns whether there is any. */
static bool
collect_grants(Datum acl_datum, Oid owner, TenancyRestriction *restriction, Grants *grants)
{
	Acl		   *acl = DatumGetAclP(acl_datum);
	AclItem    *items = ACL_DAT(acl);
	bool		found = false;

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		AclItem    *item = &items[i];

		if ((ACLITEM_GET_PRIVS(*item) & UNSAFE_PRIVILEGES) == 0 ||
			item->ai_grantee == owner)
			continue;
		if ((ACLITEM_GET_GOPTIONS(*item) & UNSAFE_PRIVILEGES) != 0 &&
			item->ai_grantor == owner)
			grants->holders = list_append_unique_oid(grants->holders, item->ai_grantee);
		if (is_restricted(restriction, item->ai_grantee))
		{
			grants->grantees = list_append_unique_oid(grants->grantees, item->ai_grantee);
			if (item->ai_grantor != owner)
				grants->indirect = true;
			found = true;
		}
	}
	if ((Pointer) acl != DatumGetPointer(acl_datum))
		pfree(acl);
	return found;
}

/* Collect from the table's ACL and its columns'. */
static void
collect_table_grants(Oid relid, TenancyRestriction *restriction, Grants *grants)
{
	HeapTuple	tuple = tenancy_policy_fetch_class(relid);
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
	bool		isnull;
	Datum		acl;

	memset(grants, 0, sizeof(*grants));
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	if (!isnull)
		(void) collect_grants(acl, class->relowner, restriction, grants);

	for (AttrNumber attno = 1; attno <= class->relnatts; attno++)
	{
		HeapTuple	att = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
										  Int16GetDatum(attno));

		if (!HeapTupleIsValid(att))
			continue;
		acl = SysCacheGetAttr(ATTNUM, att, Anum_pg_attribute_attacl, &isnull);
		if (!isnull)
			(void) collect_grants(acl, class->relowner, restriction, grants);
		ReleaseSysCache(att);
	}
	ReleaseSysCache(tuple);
}

static const char *
grantee_sql_name(Oid grantee)
{
	return grantee == ACL_ID_PUBLIC ? "PUBLIC" : tenancy_policy_role_sql_name(grantee);
}

/*
 * Take UNSAFE_PRIVILEGES on the table from restricted roles.  The owner can
 * take back only what it gave itself; what others passed on goes with their
 * grant options.  Returns whether there was anything to take.
 */
bool
tenancy_policy_restrict_table(Oid relid, TenancyRestriction *restriction)
{
	TenancyExec exec;
	Grants		grants;
	const char *table;
	ListCell   *lc;

	collect_table_grants(relid, restriction, &grants);
	if (grants.grantees == NIL)
		return false;

	table = tenancy_policy_sql_name(relid);
	tenancy_exec_begin(&exec, tenancy_policy_table_owner(relid), TENANCY_PATH_NONE);
	if (grants.indirect)
	{
		foreach(lc, grants.holders)
			tenancy_exec_format("REVOKE GRANT OPTION FOR " UNSAFE_PRIVILEGES_SQL
								" ON TABLE %s FROM %s CASCADE",
								table, grantee_sql_name(lfirst_oid(lc)));
	}
	foreach(lc, grants.grantees)
		tenancy_exec_format("REVOKE " UNSAFE_PRIVILEGES_SQL " ON TABLE %s FROM %s CASCADE",
							table, grantee_sql_name(lfirst_oid(lc)));
	tenancy_exec_end(&exec);
	return true;
}

/* Tables whose own ACL grants restricted roles what it should not. */
static List *
tables_to_restrict(TenancyRestriction *restriction)
{
	Relation	rel = table_open(RelationRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	List	   *tables = NIL;
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);
		Grants		grants = {0};
		bool		isnull;
		Datum		acl;

		CHECK_FOR_INTERRUPTS();
		if (class->relkind != RELKIND_RELATION &&
			class->relkind != RELKIND_PARTITIONED_TABLE)
			continue;
		acl = heap_getattr(tuple, Anum_pg_class_relacl, RelationGetDescr(rel), &isnull);
		if (!isnull && collect_grants(acl, class->relowner, restriction, &grants))
			tables = lappend_oid(tables, class->oid);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return tables;
}

/*
 * Tables with a column's ACL that mentions the role.  pg_attribute would be a
 * lot to scan; pg_shdepend knows them, but for PUBLIC.
 */
static List *
tables_with_column_grants(Oid role)
{
	Relation	rel = table_open(SharedDependRelationId, AccessShareLock);
	List	   *tables = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_shdepend_refclassid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&keys[1], Anum_pg_shdepend_refobjid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
	scan = systable_beginscan(rel, SharedDependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend dep = (Form_pg_shdepend) GETSTRUCT(tuple);

		if (dep->dbid == MyDatabaseId && dep->classid == RelationRelationId &&
			dep->deptype == SHARED_DEPENDENCY_ACL && dep->objsubid != 0)
			tables = lappend_oid(tables, dep->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tables;
}

/* All roles whose privileges this one has or can get. */
static List *
roles_of_member(Oid member)
{
	Relation	rel = table_open(AuthIdRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(rel, 0, NULL);
	List	   *roles = NIL;
	HeapTuple	tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Oid			role = ((Form_pg_authid) GETSTRUCT(tuple))->oid;

		if (is_member_of_role_nosuper(member, role))
			roles = lappend_oid(roles, role);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return roles;
}

/* Is this a table of tenants, shared or a tenant's own? */
static bool
has_tenant_policy(Oid relid)
{
	TenancyPolicies policies;

	tenancy_policy_read(relid, &policies);
	return policies.isolation_attno != InvalidAttrNumber || policies.isolation_tenant;
}

/*
 * Take from a role that is given access, from the roles that it is a member
 * of, and from PUBLIC, what it must not hold on tables of tenants.
 */
void
tenancy_policy_restrict_role(Oid role)
{
	TenancyRestriction restriction;
	List	   *tables;
	ListCell   *lc;

	tenancy_policy_init_restriction(&restriction, list_make1_oid(role));
	tables = tables_to_restrict(&restriction);
	foreach(lc, roles_of_member(role))
		tables = list_concat(tables, tables_with_column_grants(lfirst_oid(lc)));
	list_sort(tables, list_oid_cmp);
	list_deduplicate_oid(tables);

	foreach(lc, tables)
	{
		Oid			relid = lfirst_oid(lc);

		CHECK_FOR_INTERRUPTS();
		if (!has_tenant_policy(relid))
			continue;

		/*
		 * Nobody may drop or rename it meanwhile.  The lock is not kept: there
		 * may be more tables than there is room for locks, and two who change
		 * the same table's privileges find out by themselves.
		 */
		LockRelationOid(relid, AccessShareLock);
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			(void) tenancy_policy_restrict_table(relid, &restriction);
		UnlockRelationOid(relid, AccessShareLock);
	}
}
