/*-------------------------------------------------------------------------
 *
 * policy.c
 *	  Protecting shared tables: protect_table(), protect_module(),
 *	  unprotect_table().
 *
 * A protected table has a tenant column and two policies.  tenant_isolation
 * is restrictive, so that no permissive policy of the application can OR its
 * way past it, and compares the column with tenancy.policy_tenant_id().
 * tenant_access is permissive and lets everything through, but is there only
 * where the table has no permissive policy of its own, whose finer rules it
 * would make void.  It calls tenancy.policy_allow(), which the planner replaces
 * by true where the table has its restrictive policy, as it should be, and by
 * false where it has not: to drop that one, or to weaken it, closes the table.
 * So does dropping the extension, with which the function goes.
 *
 * What is protected is a tree: a table with all its partitions or inheritance
 * children, each of which can be named in a query, in which case its own
 * policies count and not those of its parents.  tenancy.protected_table has a
 * row for the root.  An event trigger gives the policies to what joins the tree
 * later, by the statement that makes it a partition or child.
 *
 * Invariants:
 *
 * - Protecting makes state, it does not log steps: each step looks at the
 *	 catalogs, adds what is missing and leaves alone what is right.  So it can
 *	 be called again at any time, and completes a tree that has grown or that
 *	 somebody has damaged.
 * - Our own objects are known by what they refer to (the OID of a function or
 *	 a table), never by their text.
 * - DDL runs as the table's owner, restricted (see exec.c); a tree therefore
 *	 has one owner.  The rows are reached with SECURITY_NOFORCE_RLS, as
 *	 PostgreSQL's own foreign-key checks reach them: the owner would otherwise
 *	 be bound by the very policies that we add.
 * - No code of the table's users runs, with one exception: where the column
 *	 is there and rows lack a value, an UPDATE gives it to them.  Triggers and
 *	 rules are switched off for that (session_replication_role), because they
 *	 would run in the name of nobody who asked for it, and because a deferred
 *	 one cannot run in a restricted operation at all.  That switches off the
 *	 checks of foreign keys and of deferrable unique constraints too, so that
 *	 tables with such a constraint over the column are refused.  What remains
 *	 (check constraints, index expressions, ALWAYS triggers) runs with the
 *	 rights of the table's owner, and never a superuser's: refused as well.
 *
 * Locks: ACCESS EXCLUSIVE on the whole tree, root first, taken before its
 * state is looked at and kept until the transaction ends; before that, the
 * row of the tenant named by assign_to, in the order in which dropping a
 * tenant takes them.  protect_module() takes its tables in the order of their
 * OIDs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "compat.h"
#include "exec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "parser/parsetree.h"
#include "policy.h"
#include "progress.h"
#include "registry.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tenancy_policy_protect_table);
PG_FUNCTION_INFO_V1(tenancy_policy_protect_module);
PG_FUNCTION_INFO_V1(tenancy_policy_protect_children);
PG_FUNCTION_INFO_V1(tenancy_policy_unprotect_table);
PG_FUNCTION_INFO_V1(tenancy_policy_is_protected);
PG_FUNCTION_INFO_V1(tenancy_policy_allow);
PG_FUNCTION_INFO_V1(tenancy_policy_allow_support);

/*
 * What access roles must not hold on a table of tenants: TRUNCATE knows no row
 * security; a foreign key or a trigger is a way to learn of others' rows.
 */
#define UNSAFE_PRIVILEGES		(ACL_TRUNCATE | ACL_REFERENCES | ACL_TRIGGER)
#define UNSAFE_PRIVILEGES_SQL	"TRUNCATE, REFERENCES, TRIGGER"

/* A call to protect a tree of tables. */
typedef struct Protection
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
} Protection;

/* Policies of one table. */
typedef struct TablePolicies
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
} TablePolicies;

/* Roles that must not hold UNSAFE_PRIVILEGES, and what we know of others. */
typedef struct Restriction
{
	List	   *roles;			/* OIDs of access roles */
	List	   *restricted;		/* roles whose privileges one of those has */
	List	   *unrestricted;
} Restriction;

/* Grants of UNSAFE_PRIVILEGES on one table. */
typedef struct Grants
{
	List	   *grantees;		/* OIDs of restricted roles, or 0 for PUBLIC */
	List	   *holders;		/* roles that got a grant option from the owner */
	bool		indirect;		/* one of grantees got it from such a role */
} Grants;


/* ----------------------------------------------------------------
 * Names and OIDs
 * ----------------------------------------------------------------
 */

/* A table's name for SQL. */
static const char *
sql_name(Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	if (schema == NULL || name == NULL)
		elog(ERROR, "cache lookup failed for relation %u", relid);
	return quote_qualified_identifier(schema, name);
}

/* The same for a message, which puts it in quotes. */
static char *
label(Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	return psprintf("%s.%s", schema ? schema : "?", name ? name : "?");
}

static const char *
role_sql_name(Oid role)
{
	return quote_identifier(GetUserNameFromId(role, false));
}

/* The OID of one of our functions. */
static Oid
our_function(const char *name, int nargs, const Oid *argtypes)
{
	Oid			oid = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
									  CStringGetDatum(name),
									  PointerGetDatum(buildoidvector(argtypes, nargs)),
									  ObjectIdGetDatum(get_namespace_oid("tenancy", false)));

	if (!OidIsValid(oid))
		elog(ERROR, "function tenancy.%s does not exist", name);
	return oid;
}

static HeapTuple
fetch_class(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return tuple;
}

static Oid
table_owner(Oid relid)
{
	HeapTuple	tuple = fetch_class(relid);
	Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

	ReleaseSysCache(tuple);
	return owner;
}

/* Look a column up; system columns count. */
static bool
find_column(Oid relid, const char *name, FormData_pg_attribute *attribute)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);

	if (!HeapTupleIsValid(tuple))
		return false;
	memcpy(attribute, GETSTRUCT(tuple), ATTRIBUTE_FIXED_PART_SIZE);
	ReleaseSysCache(tuple);
	return true;
}

/*
 * Become the owner of a table, whose rows are to be reached whatever the
 * policies: see the head of this file.
 */
static void
begin_as_owner(TenancyExec *exec, Oid owner)
{
	tenancy_exec_begin(exec, owner, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
}

/* All roles that may act for a tenant. */
static List *
access_roles(void)
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


/* ----------------------------------------------------------------
 * Policies
 * ----------------------------------------------------------------
 */

/*
 * Is this node "column = tenancy.policy_tenant_id()"?  If so, return the
 * column.
 */
static AttrNumber
isolation_column(Node *qual)
{
	OpExpr	   *op = (OpExpr *) qual;
	Var		   *var;
	FuncExpr   *func;

	if (!IsA(qual, OpExpr) || list_length(op->args) != 2 ||
		get_opcode(op->opno) != F_UUID_EQ ||
		!IsA(linitial(op->args), Var) || !IsA(lsecond(op->args), FuncExpr))
		return InvalidAttrNumber;

	var = linitial(op->args);
	func = lsecond(op->args);
	if (var->varno != 1 || var->varlevelsup != 0 ||
		func->funcid != our_function("policy_tenant_id", 0, NULL))
		return InvalidAttrNumber;
	return var->varattno;
}

/* Is this node a call of tenancy.policy_is_tenant()? */
static bool
is_tenant_call(Node *qual)
{
	Oid			argtype = UUIDOID;

	return IsA(qual, FuncExpr) &&
		((FuncExpr *) qual)->funcid == our_function("policy_is_tenant", 1, &argtype);
}

/* Is this node "tenancy.policy_allow(tableoid)"? */
static bool
is_allow_call(Node *qual)
{
	Oid			argtype = OIDOID;
	FuncExpr   *func = (FuncExpr *) qual;
	Var		   *var;

	if (!IsA(qual, FuncExpr) || func->funcid != our_function("policy_allow", 1, &argtype))
		return false;
	var = linitial(func->args);
	return IsA(var, Var) && var->varattno == TableOidAttributeNumber;
}

/* Does the policy hold for PUBLIC? */
static bool
is_for_public(Datum roles)
{
	ArrayType  *array = DatumGetArrayTypeP(roles);

	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) == 1 &&
		*(Oid *) ARR_DATA_PTR(array) == ACL_ID_PUBLIC;
}

/*
 * Note whose table it is by the isolation policy, which calls policy_is_tenant().
 * Is the policy as we make it?  On new rows, it may check the tenant column as well.
 */
static bool
note_tenant(FuncExpr *call, Node *check, TablePolicies *policies)
{
	Const	   *id = linitial(call->args);
	OpExpr	   *op;
	List	   *args;

	policies->isolation_tenant = true;
	if (!IsA(id, Const) || id->constisnull)
		return false;
	policies->tenant = tenancy_ident_uuid_text(DatumGetUUIDP(id->constvalue));
	if (check == NULL)
		return true;
	if (!is_andclause(check))
		return false;
	args = ((BoolExpr *) check)->args;
	op = lsecond(args);
	if (list_length(args) != 2 || !IsA(op, OpExpr) || get_opcode(op->opno) != F_UUID_EQ ||
		!IsA(linitial(op->args), Var))
		return false;
	policies->check_attno = linitial_node(Var, op->args)->varattno;
	return equal(linitial(args), call) && equal(lsecond(op->args), id);
}

/* Judge one policy, and note it. */
static void
note_policy(HeapTuple tuple, TupleDesc desc, TablePolicies *policies)
{
	Form_pg_policy policy = (Form_pg_policy) GETSTRUCT(tuple);
	bool		is_isolation = strcmp(NameStr(policy->polname), TENANCY_POLICY_ISOLATION) == 0;
	bool		is_access = strcmp(NameStr(policy->polname), TENANCY_POLICY_ACCESS) == 0;
	bool		no_qual;
	bool		no_check;
	bool		isnull;
	bool		for_all;
	Datum		value;
	Datum		check;
	Node	   *qual;

	if (!is_isolation && !is_access)
	{
		if (policy->polpermissive)
			policies->has_permissive = true;
		else
			policies->has_restrictive = true;
		return;
	}

	value = heap_getattr(tuple, Anum_pg_policy_polroles, desc, &isnull);
	for_all = policy->polcmd == '*' && is_for_public(value);
	check = heap_getattr(tuple, Anum_pg_policy_polwithcheck, desc, &no_check);
	value = heap_getattr(tuple, Anum_pg_policy_polqual, desc, &no_qual);
	qual = no_qual ? NULL : stringToNode(TextDatumGetCString(value));

	if (is_isolation)
	{
		policies->isolation = policy->oid;
		policies->isolation_attno = no_qual ? InvalidAttrNumber : isolation_column(qual);
		if (!no_qual && is_tenant_call(qual))
			policies->tenant_intact =
				note_tenant((FuncExpr *) qual, no_check ? NULL : stringToNode(TextDatumGetCString(check)), policies) &&
				!policy->polpermissive && for_all;
		policies->isolation_intact = policies->isolation_attno != InvalidAttrNumber &&
			!policy->polpermissive && for_all && no_check;
	}
	else
	{
		policies->access = policy->oid;
		policies->access_intact = policy->polpermissive && for_all &&
			no_check && !no_qual && is_allow_call(qual);
	}
}

static void
read_policies(Oid relid, TablePolicies *policies)
{
	Relation	rel = table_open(PolicyRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	memset(policies, 0, sizeof(*policies));
	ScanKeyInit(&key, Anum_pg_policy_polrelid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, PolicyPolrelidPolnameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		note_policy(tuple, RelationGetDescr(rel), policies);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Is the isolation policy the one that we would make for this column? */
static bool
isolation_is_right(Oid relid, const TablePolicies *policies, const char *column)
{
	return policies->isolation_intact &&
		policies->isolation_attno == get_attnum(relid, column);
}

/*
 * Is this one table behind the wall: row security on and forced, and the
 * isolation policy in force?  column may be NULL: any.
 */
static bool
is_protected(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class class;
	TablePolicies policies;
	bool		on;

	if (!HeapTupleIsValid(tuple))
		return false;
	class = (Form_pg_class) GETSTRUCT(tuple);
	on = class->relrowsecurity && class->relforcerowsecurity;
	ReleaseSysCache(tuple);
	if (!on)
		return false;
	read_policies(relid, &policies);
	return column == NULL ? policies.isolation_intact :
		isolation_is_right(relid, &policies, column);
}


/* ----------------------------------------------------------------
 * What tenant_access asks
 * ----------------------------------------------------------------
 */

/* Does a policy keep tenants apart, in shared tables or in a schema tenant's? */
static bool
keeps_apart(const RowSecurityPolicy *policy)
{
	Node	   *qual = (Node *) policy->qual;
	Node	   *check = (Node *) policy->with_check_qual;

	if (policy->permissive || policy->polcmd != '*' || qual == NULL ||
		!is_for_public(PointerGetDatum(policy->roles)))
		return false;
	if (isolation_column(qual) != InvalidAttrNumber)
		return check == NULL;
	return is_tenant_call(qual) &&
		(check == NULL ||
		 (is_andclause(check) && is_tenant_call(linitial(((BoolExpr *) check)->args))));
}

static bool
has_wall(Oid relid, LOCKMODE lockmode)
{
	Relation	rel = table_open(relid, lockmode);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, rel->rd_rsdesc ? rel->rd_rsdesc->policies : NIL)
		found = found || keeps_apart(lfirst(lc));
	table_close(rel, NoLock);
	return found;
}

/*
 * policy_allow(rel oid): whether the table has a policy that keeps tenants
 * apart.  Seldom called: see below.
 */
Datum
tenancy_policy_allow(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "rel");
	PG_RETURN_BOOL(has_wall(PG_GETARG_OID(0), AccessShareLock));
}

/*
 * Planner support of policy_allow(): answer for good.  When a policy changes,
 * PostgreSQL plans every query of the table again.
 */
Datum
tenancy_policy_allow_support(PG_FUNCTION_ARGS)
{
	SupportRequestSimplify *request = (SupportRequestSimplify *) PG_GETARG_POINTER(0);
	Var		   *var;
	RangeTblEntry *rte;

	if (!IsA(request, SupportRequestSimplify) || request->root == NULL)
		PG_RETURN_POINTER(NULL);
	var = linitial(request->fcall->args);
	if (!IsA(var, Var) || var->varattno != TableOidAttributeNumber || var->varlevelsup != 0)
		PG_RETURN_POINTER(NULL);
	rte = planner_rt_fetch(var->varno, request->root);
	if (rte->rtekind != RTE_RELATION)
		PG_RETURN_POINTER(NULL);
	PG_RETURN_POINTER(makeBoolConst(has_wall(rte->relid, NoLock), false));
}


/* ----------------------------------------------------------------
 * The tenant column's default and foreign key
 * ----------------------------------------------------------------
 */

/* The column's default, or NULL. */
static Node *
column_default(Oid relid, const char *column)
{
	Relation	rel = table_open(relid, AccessShareLock);
	AttrNumber	attno = get_attnum(relid, column);
	Node	   *expr = NULL;

	if (attno > 0)
		expr = build_column_default(rel, attno);
	table_close(rel, AccessShareLock);
	return expr;
}

static bool
is_our_default(Node *expr)
{
	return expr != NULL && IsA(expr, FuncExpr) &&
		((FuncExpr *) expr)->funcid == our_function("current_tenant_id", 0, NULL);
}

/* Constraints from the column to the registry, as a List of OIDs. */
static List *
foreign_keys(Oid relid, const char *column)
{
	Relation	rel = table_open(relid, AccessShareLock);
	AttrNumber	attno = get_attnum(relid, column);
	Oid			registry = tenancy_registry_relation("tenant");
	List	   *constraints = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *fk = lfirst(lc);

		if (fk->confrelid == registry && fk->nkeys == 1 && fk->conkey[0] == attno)
			constraints = lappend_oid(constraints, fk->conoid);
	}
	table_close(rel, AccessShareLock);
	return constraints;
}


/* ----------------------------------------------------------------
 * Trees
 * ----------------------------------------------------------------
 */

/* The tables of which this one is a partition or an inheritance child. */
static List *
parents_of(Oid relid)
{
	Relation	rel = table_open(InheritsRelationId, AccessShareLock);
	List	   *parents = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parents = lappend_oid(parents, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return parents;
}

/* The top of the tree to which a table belongs; itself if it has no parent. */
static Oid
root_of(Oid relid)
{
	List	   *parents;

	while ((parents = parents_of(relid)) != NIL)
		relid = linitial_oid(parents);
	return relid;
}

static void
check_not_in_use(List *tables, const char *action)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);

		CheckTableNotInUse(rel, action);
		table_close(rel, NoLock);
	}
}

/*
 * The tables and partitioned tables of a schema, but those of extensions, in
 * the order of their OIDs; all of them, or those that the current transaction
 * has made.
 *
 * pg_class has no index on the schema, and must not be scanned: it holds the
 * tables of all tenants.  pg_depend has one.
 */
static List *
tables_of_schema(Oid schema, bool new_only)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	List	   *tables = NIL;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(schema));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(tuple);
		char		relkind;

		if (dep->classid != RelationRelationId)
			continue;
		if (new_only &&
			!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data)))
			continue;
		relkind = get_rel_relkind(dep->objid);
		if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
			continue;
		if (!OidIsValid(getExtensionOfObject(RelationRelationId, dep->objid)))
			tables = lappend_oid(tables, dep->objid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(tables, list_oid_cmp);
	return tables;
}


/* ----------------------------------------------------------------
 * What cannot be protected
 * ----------------------------------------------------------------
 */

/* Refuse a table in a tenant's own schema, which has policies of its own. */
static void
refuse_tenant_schema(Oid relid, const char *schema)
{
	char	   *literal = quote_literal_cstr(schema);
	char	   *slug;

	/* Names of schemas are made in ident.c; all begin so. */
	if (strncmp(schema, "tenant_", strlen("tenant_")) != 0)
		return;

	slug = tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT slug FROM tenancy.tenant WHERE schema_name = %s"
								" UNION ALL SELECT t.slug FROM tenancy.tenant t"
								" JOIN tenancy.tenant_module m ON m.tenant_id = t.id"
								" WHERE t.mode = 'schema' AND"
								" t.schema_name || '_plugin_' || m.module = %s",
								literal, literal);
	if (slug != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" belongs to tenant \"%s\"", label(relid), slug),
				 errdetail("A tenant's own schema is no place for shared tables.")));
}

/* Rows that all tenants' databases have a copy of are no tenant's. */
static void
refuse_reference_table(Oid relid)
{
	TenancyExec exec;
	bool		found;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	found = tenancy_exec_format("SELECT FROM tenancy.reference_table"
								" WHERE relation::pg_catalog.oid OPERATOR(pg_catalog.=) %u", relid) > 0;
	tenancy_exec_end(&exec);
	if (found)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is a reference table", label(relid)),
				 errdetail("Its rows are for all tenants."),
				 errhint("Call tenancy.remove_reference_table() first.")));
}

/* Refuse a partition or inheritance child: its root must be protected. */
static void
refuse_child(Oid relid, bool is_partition)
{
	Oid			root = root_of(relid);

	if (root == relid)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 is_partition ?
			 errmsg("table \"%s\" is a partition", label(relid)) :
			 errmsg("table \"%s\" is an inheritance child", label(relid)),
			 errdetail("Its rows can be read through \"%s\" too.", label(root)),
			 errhint("Protect \"%s\": its children are protected with it.", label(root))));
}

/* Refuse what is not an ordinary root table of an application. */
static void
refuse_unsuitable(Oid relid)
{
	HeapTuple	tuple = fetch_class(relid);
	FormData_pg_class class;
	char	   *schema;
	Oid			extension;

	memcpy(&class, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	ReleaseSysCache(tuple);

	if (class.relkind != RELKIND_RELATION && class.relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", label(relid)),
				 errdetail_relkind_not_supported(class.relkind),
				 class.relkind == RELKIND_VIEW || class.relkind == RELKIND_MATVIEW ?
				 errhint("Protect the tables that it reads.") : 0));
	if (class.relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is temporary", NameStr(class.relname)),
				 errdetail("No other session can see a temporary table's rows.")));

	schema = get_namespace_name(class.relnamespace);
	if (IsCatalogRelationOid(relid) || schema == NULL ||
		IsReservedName(schema) || strcmp(schema, "information_schema") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a system catalog", label(relid)),
				 errdetail("Only an application's tables can be protected.")));
	extension = getExtensionOfObject(RelationRelationId, relid);
	if (OidIsValid(extension) || strcmp(schema, "tenancy") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" belongs to extension \"%s\"", label(relid),
						OidIsValid(extension) ? get_extension_name(extension) : "tenancy"),
				 errdetail("Only an application's tables can be protected.")));

	refuse_tenant_schema(relid, schema);
	refuse_reference_table(relid);
	refuse_child(relid, class.relispartition);
}

/*
 * Refuse a tree with another way to its rows: a child with a parent outside.
 * Parents that are protected, or about to be (allowed), are all right.
 */
static void
check_parents(const Protection *protection, Oid relid, List *allowed)
{
	ListCell   *lc;

	foreach(lc, parents_of(relid))
	{
		Oid			parent = lfirst_oid(lc);

		if (list_member_oid(protection->tables, parent) ||
			list_member_oid(allowed, parent) || is_protected(parent, NULL))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" has another parent", label(relid)),
				 errdetail("Its rows can be read through \"%s\" too, which is not protected.",
						   label(parent)),
				 errhint("Protect both with tenancy.protect_module(), or use ALTER TABLE ... NO INHERIT.")));
	}
}

/* Check one descendant of the table. */
static void
check_descendant(const Protection *protection, Oid relid)
{
	HeapTuple	tuple = fetch_class(relid);
	FormData_pg_class class;

	memcpy(&class, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	ReleaseSysCache(tuple);

	if (class.relkind != RELKIND_RELATION && class.relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect table \"%s\"", label(protection->relid)),
				 errdetail("Its child \"%s\" is a foreign table, for which there is no row security.",
						   label(relid)),
				 errhint("Detach the child first.")));
	if (class.relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect table \"%s\"", label(protection->relid)),
				 errdetail("Its child \"%s\" is a temporary table.", label(relid)),
				 errhint("Drop the child first.")));
	if (class.relowner != protection->owner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" and its child \"%s\" have different owners",
						label(protection->relid), label(relid)),
				 errdetail("The owner of a table can switch its row security off."),
				 errhint("Use ALTER TABLE ... OWNER TO.")));
}

/* Check the tenant column of one table, where there is one. */
static void
check_column(const Protection *protection, Oid relid)
{
	FormData_pg_attribute att;

	if (!find_column(relid, protection->column, &att))
		return;
	if (att.attnum < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column name \"%s\" conflicts with a system column name",
						protection->column)));
	if (att.atttypid != UUIDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of table \"%s\" is of type %s",
						protection->column, label(relid), format_type_be(att.atttypid)),
				 errdetail("The tenant column must be of type uuid."),
				 errhint("Change its type, or name another column.")));
	if (att.attgenerated != '\0' || att.attidentity != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" of table \"%s\" is a generated column",
						protection->column, label(relid)),
				 errdetail("The tenant column must be an ordinary one.")));
}

/*
 * Refuse policies of the application that have our names.  Those of a
 * registered table are ours, however changed; and those that are as we would
 * make them are, too: of a partition detached from a protected table, say.
 */
static void
check_policy_names(const Protection *protection, Oid relid)
{
	TablePolicies policies;
	const char *name;

	read_policies(relid, &policies);
	if (policies.isolation_tenant)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" belongs to a tenant's own schema", label(relid)),
				 errdetail("It is protected already, by the policy of that tenant.")));
	if (OidIsValid(policies.isolation) &&
		!isolation_is_right(relid, &policies, protection->column))
		name = TENANCY_POLICY_ISOLATION;
	else if (OidIsValid(policies.access) && !policies.access_intact)
		name = TENANCY_POLICY_ACCESS;
	else
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("table \"%s\" has a policy \"%s\" of its own", label(relid), name),
			 errhint("Rename it with ALTER POLICY ... RENAME TO, or drop it.")));
}

/* The owner's rights that the statements to come need, beyond the table. */
static void
check_schema_rights(const Protection *protection, Oid relid)
{
	Oid			schema = get_rel_namespace(relid);

	if (tenancy_namespace_aclcheck(schema, protection->owner, ACL_USAGE) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\", the owner of table \"%s\", may not use the table's schema",
					GetUserNameFromId(protection->owner, false), label(relid)),
			 errhint("Use GRANT USAGE ON SCHEMA %s TO %s.",
					 quote_identifier(get_namespace_name(schema)),
					 role_sql_name(protection->owner))));
}

/*
 * Warn of an owner whom row security does not bind, and refuse one that a role
 * which may act for tenants can become, as grant_access() does.
 */
static void
check_owner(const Protection *protection)
{
	char	   *owner = GetUserNameFromId(protection->owner, false);
	ListCell   *lc;

	if (has_bypassrls_privilege(protection->owner))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("role \"%s\", the owner of table \"%s\", is not bound by row security",
						owner, label(protection->relid)),
				 errhint("Use ALTER TABLE ... OWNER TO a role that is no superuser and has no BYPASSRLS.")));

	foreach(lc, protection->access_roles)
	{
		if (is_member_of_role_nosuper(lfirst_oid(lc), protection->owner))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("role \"%s\", which may act for tenants, owns table \"%s\" or can become its owner",
							GetUserNameFromId(lfirst_oid(lc), false),
							label(protection->relid)),
					 errdetail("The owner of a table can switch its row security off."),
					 errhint("Use ALTER TABLE ... OWNER TO another role, with NOLOGIN.")));
	}
}


/* ----------------------------------------------------------------
 * The registry's row
 * ----------------------------------------------------------------
 */

/* The tenant column that the registry has for a table, or NULL. */
static char *
registered_column(Oid relid)
{
	return tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT tenant_column FROM tenancy.protected_table"
								" WHERE relation = '%u'::regclass", relid);
}

/*
 * Does the table bear a mark of protection: a policy, the column's default or
 * its foreign key?
 */
static bool
is_marked(Oid relid, const char *column, const TablePolicies *policies)
{
	return OidIsValid(policies->isolation) || OidIsValid(policies->access) ||
		is_our_default(column_default(relid, column)) ||
		foreign_keys(relid, column) != NIL;
}

/*
 * Find out whether the table is registered, and by which column.
 *
 * The row of a table that was dropped stays, until repair() removes it, and
 * its OID may come back as another table's.  So a row counts only if the table
 * bears a mark of protection.  The column may have been renamed, which the
 * policy follows and our row does not.
 */
static char *
find_registration(Oid relid)
{
	char	   *column = registered_column(relid);
	TablePolicies policies;

	if (column == NULL)
		return NULL;
	read_policies(relid, &policies);
	if (policies.isolation_attno != InvalidAttrNumber)
		return get_attname(relid, policies.isolation_attno, false);
	if (get_attnum(relid, column) <= 0 || !is_marked(relid, column, &policies))
		return NULL;
	return column;
}

static void
load_registration(Protection *protection)
{
	char	   *column = find_registration(protection->relid);

	protection->registered = (column != NULL);
	if (column == NULL || strcmp(column, protection->column) == 0)
		return;
	if (!protection->any_column)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is already protected by column \"%s\"",
						label(protection->relid), column),
				 errhint("Call tenancy.unprotect_table() first to protect it by another column.")));
	protection->column = column;
}

/* Record the table, and the row security flags that it had. */
static void
register_table(const Protection *protection, bool had_row_security, bool had_force)
{
	TenancyExec exec;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (protection->registered)
		tenancy_exec_format("UPDATE tenancy.protected_table SET tenant_column = %1$s"
							" WHERE relation = '%2$u'::regclass AND tenant_column <> %1$s",
							quote_literal_cstr(protection->column), protection->relid);
	else
		tenancy_exec_format("INSERT INTO tenancy.protected_table"
							" (relation, tenant_column, had_row_security, had_force)"
							" VALUES ('%u'::regclass, %s, %s, %s)"
							" ON CONFLICT (relation) DO UPDATE SET"
							" tenant_column = EXCLUDED.tenant_column,"
							" had_row_security = EXCLUDED.had_row_security,"
							" had_force = EXCLUDED.had_force",
							protection->relid, quote_literal_cstr(protection->column),
							had_row_security ? "true" : "false",
							had_force ? "true" : "false");

	/* A table that was protected and then attached is now part of this tree. */
	for_each_from(lc, protection->tables, 1)
		tenancy_exec_format("DELETE FROM tenancy.protected_table"
							" WHERE relation = '%u'::regclass", lfirst_oid(lc));
	tenancy_exec_end(&exec);
}

static void
read_flags(Oid relid, bool *row_security, bool *force)
{
	HeapTuple	tuple = fetch_class(relid);
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

	*row_security = class->relrowsecurity;
	*force = class->relforcerowsecurity;
	ReleaseSysCache(tuple);
}

/*
 * The row security flags that the application gave the table.  Flags that are
 * a relic of an earlier protection, when there are our own policies and no
 * others, do not count.
 */
static void
flags_before(const Protection *protection, bool *row_security, bool *force)
{
	TablePolicies policies;

	read_flags(protection->relid, row_security, force);
	read_policies(protection->relid, &policies);
	if (policies.isolation_intact && !policies.has_permissive && !policies.has_restrictive)
		*row_security = *force = false;
}


/* ----------------------------------------------------------------
 * Rows without a tenant
 * ----------------------------------------------------------------
 */

/* Does this one table, without its children, hold rows without a tenant? */
static bool
lacks_tenant(const Protection *protection, Oid relid)
{
	FormData_pg_attribute att;
	TenancyExec exec;
	StringInfoData sql;
	char	   *found;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT EXISTS (SELECT FROM ONLY %s", sql_name(relid));
	if (find_column(relid, protection->column, &att))
	{
		if (att.attnotnull)
			return false;
		appendStringInfo(&sql, " WHERE %s IS NULL", quote_identifier(protection->column));
	}
	appendStringInfoChar(&sql, ')');

	begin_as_owner(&exec, protection->owner);
	found = tenancy_exec_text(&exec, sql.data);
	tenancy_exec_end(&exec);
	return strcmp(found, "t") == 0;
}

static bool
tree_lacks_tenant(const Protection *protection)
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
			 errmsg("cannot assign the rows of table \"%s\" to a tenant", label(relid)),
			 errdetail_internal("%s", reason),
			 errhint("Give the rows their tenant with UPDATE, then call the function again.")));
}

/*
 * Refuse to UPDATE rows where the constraints that session_replication_role
 * switches off would have a say: foreign keys and deferrable unique
 * constraints over the column.
 */
static void
check_assignable(const Protection *protection, Oid relid)
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
 * this file for what can run meanwhile.
 */
static void
assign_rows(Protection *protection)
{
	TenancyExec exec;
	ListCell   *lc;

	if (superuser_arg(protection->owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot assign the rows of table \"%s\" to a tenant",
						label(protection->relid)),
				 errdetail("It is owned by a superuser, whose rights an UPDATE could lend to code of the table's users."),
				 errhint("Use ALTER TABLE ... OWNER TO a role that is no superuser, or give the rows their tenant with UPDATE.")));
	foreach(lc, protection->tables)
		check_assignable(protection, lfirst_oid(lc));

	begin_as_owner(&exec, protection->owner);
	tenancy_exec_set("session_replication_role", "replica");
	tenancy_exec_format("UPDATE %s SET %s = '%s'::uuid WHERE %s IS NULL",
						sql_name(protection->relid),
						quote_identifier(protection->column),
						protection->assign_to,
						quote_identifier(protection->column));
	tenancy_exec_end(&exec);
	protection->changed = true;
}


/* ----------------------------------------------------------------
 * Adding what is missing; all of this as the table's owner
 * ----------------------------------------------------------------
 */

/* Has a child the column, which its parent has not? */
static bool
child_has_column(const Protection *protection)
{
	FormData_pg_attribute att;
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		if (find_column(lfirst_oid(lc), protection->column, &att))
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
static void
add_column(Protection *protection)
{
	FormData_pg_attribute att;
	const char *column = quote_identifier(protection->column);

	if (find_column(protection->relid, protection->column, &att))
		return;
	if (protection->assign_to != NULL)
		tenancy_exec_format("ALTER TABLE %s ADD COLUMN %s uuid%s DEFAULT '%s'::uuid",
							sql_name(protection->relid), column,
							child_has_column(protection) ? "" : " NOT NULL", protection->assign_to);
	else
		tenancy_exec_format("ALTER TABLE %s ADD COLUMN %s uuid",
							sql_name(protection->relid), column);
	protection->column_added = true;
	protection->changed = true;
}

static void
add_not_null(Protection *protection)
{
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		FormData_pg_attribute att;

		if (!find_column(lfirst_oid(lc), protection->column, &att))
			elog(ERROR, "column \"%s\" of table \"%s\" is missing",
				 protection->column, label(lfirst_oid(lc)));
		if (att.attnotnull)
			continue;
		tenancy_exec_format("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
							sql_name(protection->relid),
							quote_identifier(protection->column));
		protection->changed = true;
		break;					/* that was for the whole tree */
	}
}

static void
add_default(Protection *protection)
{
	bool		missing = false;
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		Node	   *expr = column_default(lfirst_oid(lc), protection->column);

		if (is_our_default(expr))
			continue;
		missing = true;

		/* A column that we have added may have assign_to for a default. */
		if (expr != NULL && !protection->column_added)
			ereport(NOTICE,
					(errmsg("default of column \"%s\" of table \"%s\" is replaced by the current tenant's id",
							protection->column, label(lfirst_oid(lc)))));
	}
	if (!missing)
		return;
	tenancy_exec_format("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT tenancy.current_tenant_id()",
						sql_name(protection->relid),
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
add_index(Protection *protection, Oid relid)
{
	Oid			schema = get_rel_namespace(relid);

	if (has_index(relid, protection->column))
		return;
	if (tenancy_namespace_aclcheck(schema, protection->owner, ACL_CREATE) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", the owner of table \"%s\", may not create an index in the table's schema",
						GetUserNameFromId(protection->owner, false), label(relid)),
				 errhint("Use GRANT CREATE ON SCHEMA %s TO %s, or create an index on %s (%s).",
						 quote_identifier(get_namespace_name(schema)),
						 role_sql_name(protection->owner),
						 sql_name(relid), quote_identifier(protection->column))));
	tenancy_exec_format("CREATE INDEX ON %s (%s)",
						sql_name(relid), quote_identifier(protection->column));
	protection->changed = true;
}

static void
add_foreign_key(Protection *protection, Oid relid)
{
	if (foreign_keys(relid, protection->column) != NIL)
		return;
	tenancy_exec_format("ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES tenancy.tenant (id)",
						sql_name(relid), quote_identifier(protection->column));
	protection->changed = true;
}

/* Indexes and foreign keys go down to partitions, but not to other children. */
static void
add_index_and_key(Protection *protection)
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
copy_isolation_is_right(const Protection *protection, Oid relid, const TablePolicies *policies)
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
add_copy_isolation(Protection *protection, Oid relid, const TablePolicies *policies)
{
	StringInfoData buf;

	if (copy_isolation_is_right(protection, relid, policies))
		return;
	if (OidIsValid(policies->isolation))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ISOLATION, sql_name(relid));
	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE POLICY " TENANCY_POLICY_ISOLATION
					 " ON %s AS RESTRICTIVE USING (tenancy.policy_is_tenant('%s'))",
					 sql_name(relid), protection->copy_of);
	if (protection->column != NULL)
		appendStringInfo(&buf, " WITH CHECK (tenancy.policy_is_tenant('%s')"
						 " AND %s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid)",
						 protection->copy_of, quote_identifier(protection->column),
						 protection->copy_of);
	tenancy_exec_sql(buf.data);
	protection->changed = true;
}

static void
add_isolation(Protection *protection, Oid relid, const TablePolicies *policies)
{
	const char *table = sql_name(relid);

	if (protection->copy_of != NULL)
	{
		add_copy_isolation(protection, relid, policies);
		return;
	}
	if (isolation_is_right(relid, policies, protection->column))
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
add_access(Protection *protection, Oid relid, const TablePolicies *policies)
{
	const char *table = sql_name(relid);
	bool		wanted = !policies->has_permissive;

	if (OidIsValid(policies->access) && (!wanted || !policies->access_intact))
	{
		if (!wanted)
			ereport(NOTICE,
					(errmsg("policy \"%s\" of table \"%s\" gives way to the table's own permissive policies",
							TENANCY_POLICY_ACCESS, label(relid))));
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

static void
add_row_security(Protection *protection, Oid relid)
{
	TablePolicies policies;
	bool		on;
	bool		forced;

	read_flags(relid, &on, &forced);
	read_policies(relid, &policies);
	add_isolation(protection, relid, &policies);
	if (protection->column != NULL || !on)
		add_access(protection, relid, &policies);

	if (on && forced)
		return;
	tenancy_exec_format("ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
						sql_name(relid));
	protection->changed = true;
}


/* ----------------------------------------------------------------
 * Privileges
 * ----------------------------------------------------------------
 */

static void
init_restriction(Restriction *restriction, List *roles)
{
	restriction->roles = roles;
	restriction->restricted = NIL;
	restriction->unrestricted = NIL;
}

/* Does an access role have this role's privileges, or can it get them? */
static bool
is_restricted(Restriction *restriction, Oid grantee)
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
collect_grants(Datum acl_datum, Oid owner, Restriction *restriction, Grants *grants)
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
collect_table_grants(Oid relid, Restriction *restriction, Grants *grants)
{
	HeapTuple	tuple = fetch_class(relid);
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
	return grantee == ACL_ID_PUBLIC ? "PUBLIC" : role_sql_name(grantee);
}

/*
 * Take UNSAFE_PRIVILEGES on the table from restricted roles.  The owner can
 * take back only what it gave itself; what others passed on goes with their
 * grant options.  Returns whether there was anything to take.
 */
static bool
restrict_table(Oid relid, Restriction *restriction)
{
	TenancyExec exec;
	Grants		grants;
	const char *table;
	ListCell   *lc;

	collect_table_grants(relid, restriction, &grants);
	if (grants.grantees == NIL)
		return false;

	table = sql_name(relid);
	tenancy_exec_begin(&exec, table_owner(relid), TENANCY_PATH_NONE);
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

static void
restrict_tree(Protection *protection)
{
	Restriction restriction;
	ListCell   *lc;

	init_restriction(&restriction, protection->access_roles);
	foreach(lc, protection->tables)
	{
		if (restrict_table(lfirst_oid(lc), &restriction))
			protection->changed = true;
	}
}

/* Tables whose own ACL grants restricted roles what it should not. */
static List *
tables_to_restrict(Restriction *restriction)
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
	TablePolicies policies;

	read_policies(relid, &policies);
	return policies.isolation_attno != InvalidAttrNumber || policies.isolation_tenant;
}

/*
 * Take from a role that is given access, from the roles that it is a member
 * of, and from PUBLIC, what it must not hold on tables of tenants.
 */
void
tenancy_policy_restrict_role(Oid role)
{
	Restriction restriction;
	List	   *tables;
	ListCell   *lc;

	init_restriction(&restriction, list_make1_oid(role));
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
			(void) restrict_table(relid, &restriction);
		UnlockRelationOid(relid, AccessShareLock);
	}
}


/* ----------------------------------------------------------------
 * protect_table
 * ----------------------------------------------------------------
 */

/* Look the tenant up that gets the rows, and keep it from being dropped. */
static const char *
find_assignee(const char *slug_or_id)
{
	TenancyTenant tenant;
	TenancyExec exec;
	char	   *id;
	bool		locked;

	tenancy_registry_get(slug_or_id, &tenant);
	id = tenancy_ident_uuid_text(&tenant.id);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	locked = tenancy_exec_format("SELECT FROM tenancy.tenant WHERE id = '%s' FOR KEY SHARE", id) == 1;
	tenancy_exec_end(&exec);
	if (!locked)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("tenant \"%s\" does not exist", tenant.slug)));
	if (tenant.mode != TENANCY_SHARED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" is of mode \"%s\"",
						tenant.slug, tenancy_mode_text(tenant.mode)),
				 errdetail("Rows of shared tables belong to tenants of mode \"shared\".")));
	if (tenant.status == TENANCY_DROPPING)
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NOT_ACTIVE),
				 errmsg("tenant \"%s\" is being dropped", tenant.slug)));
	return id;
}

/*
 * Lock the tree and check all that can be checked before anything is changed,
 * but for rows without a tenant.  allowed: see check_parents().
 */
static void
prepare(Protection *protection, List *allowed)
{
	ListCell   *lc;

	/* Do not lock what is not ours to lock; and look again when it is. */
	refuse_unsuitable(protection->relid);
	LockRelationOid(protection->relid, AccessExclusiveLock);
	refuse_unsuitable(protection->relid);

	protection->owner = table_owner(protection->relid);
	check_owner(protection);
	protection->tables = find_all_inheritors(protection->relid, AccessExclusiveLock, NULL);
	foreach(lc, protection->tables)
		check_descendant(protection, lfirst_oid(lc));
	check_not_in_use(protection->tables, "protect table");

	load_registration(protection);
	foreach(lc, protection->tables)
	{
		Oid			relid = lfirst_oid(lc);

		check_parents(protection, relid, allowed);
		check_column(protection, relid);
		check_schema_rights(protection, relid);
		if (!protection->registered)
			check_policy_names(protection, relid);
	}
}

/*
 * Names were looked up many times since we looked at OIDs, and a schema can be
 * renamed under a locked table.  See that the right tables were changed.
 */
static void
verify(const Protection *protection)
{
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		if (!is_protected(lfirst_oid(lc), protection->column))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("table \"%s\" was changed while it was being protected",
							label(lfirst_oid(lc))),
					 errhint("Call the function again.")));
	}
}

/* Add what is missing. */
static void
protect(Protection *protection)
{
	TenancyExec exec;
	bool		had_row_security;
	bool		had_force;
	ListCell   *lc;

	flags_before(protection, &had_row_security, &had_force);

	/* Granting costs every session its cache of the registry. */
	if (pg_attribute_aclcheck(tenancy_registry_relation("tenant"), 1,
							  protection->owner, ACL_REFERENCES) != ACLCHECK_OK)
		tenancy_registry_grant_owner(protection->owner);

	begin_as_owner(&exec, protection->owner);
	add_column(protection);
	if (protection->assign_to != NULL && tree_lacks_tenant(protection))
		assign_rows(protection);
	add_not_null(protection);
	add_default(protection);
	add_index_and_key(protection);
	foreach(lc, protection->tables)
		add_row_security(protection, lfirst_oid(lc));
	tenancy_exec_end(&exec);

	restrict_tree(protection);
	verify(protection);
	if (!protection->registered)
		protection->changed = true;
	register_table(protection, had_row_security, had_force);
}

static const char *
get_column_arg(FunctionCallInfo fcinfo, int n)
{
	const char *column;

	tenancy_require_arg(fcinfo, n, "tenant_column");
	column = pstrdup(NameStr(*PG_GETARG_NAME(n)));
	if (column[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("tenant_column must not be empty")));
	return column;
}

/* protect_table(rel regclass, tenant_column name, foreign_key boolean, assign_to text) */
Datum
tenancy_policy_protect_table(PG_FUNCTION_ARGS)
{
	Protection	protection = {0};

	tenancy_require_arg(fcinfo, 0, "rel");
	protection.relid = PG_GETARG_OID(0);
	protection.column = get_column_arg(fcinfo, 1);
	tenancy_require_arg(fcinfo, 2, "foreign_key");
	protection.foreign_key = PG_GETARG_BOOL(2);
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_on_standby();
	if (!PG_ARGISNULL(3))
		protection.assign_to = find_assignee(text_to_cstring(PG_GETARG_TEXT_PP(3)));

	protection.access_roles = access_roles();
	prepare(&protection, NIL);
	if (protection.assign_to == NULL && tree_lacks_tenant(&protection))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("table \"%s\" holds rows without a tenant", label(protection.relid)),
				 errhint("Name the tenant to which they belong: assign_to => 'slug'.")));
	protect(&protection);
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * protect_module
 * ----------------------------------------------------------------
 */

/* The model tables that are roots, as a List of OIDs. */
static List *
module_roots(const TenancyModule *module)
{
	Oid			schema = get_namespace_oid(module->model_schema, false);
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, tables_of_schema(schema, false))
	{
		if (parents_of(lfirst_oid(lc)) == NIL)
			roots = lappend_oid(roots, lfirst_oid(lc));
	}
	return roots;
}

/* Prepare the protection of all tables, and refuse rows without a tenant. */
static List *
prepare_module(const TenancyModule *module, const char *column)
{
	List	   *roots = module_roots(module);
	List	   *roles = access_roles();
	List	   *protections = NIL;
	List	   *lacking = NIL;
	ListCell   *lc;

	foreach(lc, roots)
	{
		Protection *protection = palloc0(sizeof(Protection));

		protection->relid = lfirst_oid(lc);
		protection->column = column;
		protection->any_column = true;
		protection->access_roles = roles;
		prepare(protection, roots);

		/* A table may have been protected without a foreign key on purpose. */
		protection->foreign_key = !protection->registered;
		if (tree_lacks_tenant(protection))
			lacking = lappend(lacking, label(protection->relid));
		protections = lappend(protections, protection);
	}
	if (lacking != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg_plural("%d table of module \"%s\" holds rows without a tenant",
							   "%d tables of module \"%s\" hold rows without a tenant",
							   list_length(lacking),
							   list_length(lacking), module->name),
				 errdetail("Tables: %s.", tenancy_ident_enumerate(lacking)),
				 errhint("Call tenancy.protect_table() for them with assign_to, the tenant to which the rows belong.")));
	return protections;
}

static void
report_progress(TenancyProgress *progress, int done, int total)
{
	if (done < total && tenancy_progress_is_due(progress))
		tenancy_progress_tell(psprintf(_("protected %d of %d tables, %.1f tables/s, about %.0f s remaining"),
									   done, total,
									   tenancy_progress_rate(progress, done),
									   tenancy_progress_remaining(progress, done, total)));
}

/* protect_module(module text, tenant_column name) */
Datum
tenancy_policy_protect_module(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TenancyProgress progress;
	TenancyModule module;
	const char *column;
	List	   *protections;
	ListCell   *lc;
	char	   *name;

	tenancy_require_arg(fcinfo, 0, "module");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	column = get_column_arg(fcinfo, 1);
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_on_standby();
	if (!tenancy_registry_module(name, &module))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("module \"%s\" does not exist", tenancy_ident_clip(name))));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	tenancy_progress_start(&progress);
	protections = prepare_module(&module, column);
	foreach(lc, protections)
	{
		Protection *protection = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		protect(protection);
		if (protection->changed)
		{
			Datum		value = ObjectIdGetDatum(protection->relid);
			bool		isnull = false;

			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
		}
		report_progress(&progress, foreach_current_index(lc) + 1, list_length(protections));
	}
	tenancy_progress_end();
	return (Datum) 0;
}


/* ----------------------------------------------------------------
 * What joins a tree later
 * ----------------------------------------------------------------
 */

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

	foreach(lc, parents_of(relid))
	{
		char	   *column = find_registration(lfirst_oid(lc));

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

	foreach(lc, parents_of(relid))
	{
		Oid			parent = lfirst_oid(lc);
		TablePolicies policies;

		read_policies(parent, &policies);
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
protect_joining(Oid relid, const char *column, const char *tenant, Restriction *restriction)
{
	Protection	protection = {0};
	Oid			owner = table_owner(relid);
	TenancyExec exec;

	if (get_rel_relkind(relid) == RELKIND_FOREIGN_TABLE || (tenant == NULL && is_protected(relid, column)) ||
		!has_privs_of_role(owner, table_owner(root_of(relid))))
		return;
	protection.relid = relid;
	protection.column = column;
	protection.copy_of = tenant;
	begin_as_owner(&exec, owner);
	add_row_security(&protection, relid);
	tenancy_exec_end(&exec);
	(void) restrict_table(relid, restriction);
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
		Restriction restriction;
		ListCell   *lc_table;

		if (column == NULL && tenant == NULL)
			continue;
		init_restriction(&restriction, access_roles());
		foreach(lc_table, find_all_inheritors(relid, AccessExclusiveLock, NULL))
			protect_joining(lfirst_oid(lc_table), column, tenant, &restriction);
	}
	PG_RETURN_NULL();
}


/* ----------------------------------------------------------------
 * unprotect_table
 * ----------------------------------------------------------------
 */

/* Put the row security flags back. */
static void
restore_flags(Oid relid, bool row_security, bool force)
{
	tenancy_exec_format("ALTER TABLE %s %s ROW LEVEL SECURITY, %s ROW LEVEL SECURITY",
						sql_name(relid),
						row_security ? "ENABLE" : "DISABLE",
						force ? "FORCE" : "NO FORCE");
}

/* Does a partition have this constraint from its parent? */
static bool
is_inherited(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool		inherited;

	if (!HeapTupleIsValid(tuple))
		return true;			/* gone together with its parent */
	inherited = OidIsValid(((Form_pg_constraint) GETSTRUCT(tuple))->conparentid);
	ReleaseSysCache(tuple);
	return inherited;
}

/* Drop foreign keys to the registry, but for those that came from a parent. */
static void
drop_foreign_keys(Oid relid, const char *column)
{
	ListCell   *lc;

	foreach(lc, foreign_keys(relid, column))
	{
		if (is_inherited(lfirst_oid(lc)))
			continue;
		tenancy_exec_format("ALTER TABLE %s DROP CONSTRAINT %s", sql_name(relid),
							quote_identifier(get_constraint_name(lfirst_oid(lc))));
	}
}

/*
 * Take our things off one table.  The registry knows how a root's row security
 * was; a child keeps it on where the application has policies on it.
 */
static void
unprotect(Oid relid, const char *column, bool is_root,
		  bool had_row_security, bool had_force)
{
	TenancyExec exec;
	TablePolicies policies;
	const char *table = sql_name(relid);
	char		relkind = get_rel_relkind(relid);

	/* A foreign table that somebody attached was never protected. */
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		return;

	read_policies(relid, &policies);
	begin_as_owner(&exec, table_owner(relid));
	if (OidIsValid(policies.access))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ACCESS, table);
	if (OidIsValid(policies.isolation))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ISOLATION, table);
	if (is_our_default(column_default(relid, column)))
		tenancy_exec_format("ALTER TABLE ONLY %s ALTER COLUMN %s DROP DEFAULT",
							table, quote_identifier(column));
	drop_foreign_keys(relid, column);
	if (is_root || !(policies.has_permissive || policies.has_restrictive))
		restore_flags(relid, had_row_security, had_force);
	tenancy_exec_end(&exec);
}

static void
refuse_unregistered(Oid relid)
{
	Oid			root = root_of(relid);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not protected", label(relid)),
			 root != relid && find_registration(root) != NULL ?
			 errhint("It is protected as a child of \"%s\".", label(root)) : 0));
}

/* Delete the registry's row, and say how the row security flags were. */
static void
unregister_table(Oid relid, bool *had_row_security, bool *had_force)
{
	char	   *had;

	had = tenancy_exec_text_as(tenancy_registry_owner(),
							   "DELETE FROM tenancy.protected_table"
							   " WHERE relation = '%u'::regclass"
							   " RETURNING had_row_security::int * 2 + had_force::int",
							   relid);
	if (had == NULL)
		elog(ERROR, "no row for table \"%s\" in tenancy.protected_table", label(relid));
	*had_row_security = (pg_strtoint32(had) & 2) != 0;
	*had_force = (pg_strtoint32(had) & 1) != 0;
}

/* unprotect_table(rel regclass) */
Datum
tenancy_policy_unprotect_table(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *column;
	List	   *tables;
	bool		had_row_security;
	bool		had_force;
	ListCell   *lc;

	tenancy_require_arg(fcinfo, 0, "rel");
	relid = PG_GETARG_OID(0);
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_on_standby();

	ReleaseSysCache(fetch_class(relid));
	if (registered_column(relid) == NULL)
		refuse_unregistered(relid);
	LockRelationOid(relid, AccessExclusiveLock);
	ReleaseSysCache(fetch_class(relid));
	column = find_registration(relid);
	if (column == NULL)
		refuse_unregistered(relid);
	tables = find_all_inheritors(relid, AccessExclusiveLock, NULL);
	check_not_in_use(tables, "unprotect table");

	unregister_table(relid, &had_row_security, &had_force);
	foreach(lc, tables)
		unprotect(lfirst_oid(lc), column, lfirst_oid(lc) == relid,
				  had_row_security, had_force);
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * Asking
 * ----------------------------------------------------------------
 */

/* is_protected(rel regclass): this one table, children aside */
Datum
tenancy_policy_is_protected(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "rel");
	PG_RETURN_BOOL(is_protected(PG_GETARG_OID(0), NULL));
}

static int
compare_strings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * The names of the module's model tables, and of their children wherever these
 * are, that are not behind the wall, as a sorted List of char *.  Foreign
 * tables that are children count: they never are.
 */
List *
tenancy_policy_unprotected(const TenancyModule *module)
{
	Oid			schema = get_namespace_oid(module->model_schema, false);
	List	   *tables = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, tables_of_schema(schema, false))
		tables = list_concat(tables, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
	list_sort(tables, list_oid_cmp);
	list_deduplicate_oid(tables);

	foreach(lc, tables)
	{
		if (!is_protected(lfirst_oid(lc), NULL))
			names = lappend(names, label(lfirst_oid(lc)));
	}
	list_sort(names, compare_strings);
	return names;
}


/* ----------------------------------------------------------------
 * Tables that a migration makes
 * ----------------------------------------------------------------
 */

/* The schema's tables that the current transaction has made. */
List *
tenancy_policy_new_tables(Oid schema)
{
	return tables_of_schema(schema, true);
}

/*
 * Protect a new table of a model as protect_table() does, or what belongs to
 * the tree of tables that it has become a part of.
 */
void
tenancy_policy_protect_new(Oid relid, const char *column)
{
	Protection	protection = {0};

	if (is_protected(relid, column))
		return;
	protection.relid = root_of(relid);
	protection.column = column;
	protection.access_roles = access_roles();
	prepare(&protection, NIL);
	if (tree_lacks_tenant(&protection))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("table \"%s\" holds rows without a tenant", label(relid)),
				 errhint("Give the table a column %s, and its rows a tenant in it.",
						 quote_identifier(column))));
	protect(&protection);
}

/*
 * The same for a new table in a schema tenant's copy.  Without a column, the
 * table has none in the model either; and if it has row security with no
 * policy to let rows through, so it shall be.
 */
void
tenancy_policy_protect_copy(Oid relid, const char *column, const pg_uuid_t *tenant)
{
	Protection	protection = {0};
	TenancyExec exec;
	ListCell   *lc;

	protection.relid = relid;
	protection.owner = table_owner(relid);
	protection.column = column;
	protection.copy_of = tenancy_ident_uuid_text(tenant);
	protection.assign_to = protection.copy_of;
	protection.access_roles = access_roles();
	protection.tables = find_all_inheritors(relid, AccessExclusiveLock, NULL);

	begin_as_owner(&exec, protection.owner);
	if (column != NULL && parents_of(relid) == NIL)
	{
		add_column(&protection);
		add_not_null(&protection);
		add_default(&protection);
		add_index_and_key(&protection);
	}
	foreach(lc, protection.tables)
		add_row_security(&protection, lfirst_oid(lc));
	tenancy_exec_end(&exec);
	restrict_tree(&protection);
}
