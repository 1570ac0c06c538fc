/*-------------------------------------------------------------------------
 *
 * policy_table.c
 *	  What is known of one table: its policies, its place in a tree.
 *
 * Our own objects are known by what they refer to (the OID of a function or a
 * table), never by their text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "exec.h"
#include "fmgr.h"
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
#include "policy_table.h"
#include "registry.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tenancy_policy_allow);
PG_FUNCTION_INFO_V1(tenancy_policy_allow_support);


/* ----------------------------------------------------------------
 * Names and OIDs
 * ----------------------------------------------------------------
 */

/* A table's name for SQL. */
const char *
tenancy_policy_sql_name(Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	if (schema == NULL || name == NULL)
		elog(ERROR, "cache lookup failed for relation %u", relid);
	return quote_qualified_identifier(schema, name);
}

/* The same for a message, which puts it in quotes. */
char *
tenancy_policy_label(Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	return psprintf("%s.%s", schema ? schema : "?", name ? name : "?");
}

const char *
tenancy_policy_role_sql_name(Oid role)
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

HeapTuple
tenancy_policy_fetch_class(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return tuple;
}

Oid
tenancy_policy_table_owner(Oid relid)
{
	HeapTuple	tuple = tenancy_policy_fetch_class(relid);
	Oid			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;

	ReleaseSysCache(tuple);
	return owner;
}

/* Look a column up; system columns count. */
bool
tenancy_policy_find_column(Oid relid, const char *name, FormData_pg_attribute *attribute)
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
 * policies: see the head of policy.c.
 */
void
tenancy_policy_begin_as_owner(TenancyExec *exec, Oid owner)
{
	tenancy_exec_begin(exec, owner, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
}

void
tenancy_policy_read_flags(Oid relid, bool *row_security, bool *force)
{
	HeapTuple	tuple = tenancy_policy_fetch_class(relid);
	Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

	*row_security = class->relrowsecurity;
	*force = class->relforcerowsecurity;
	ReleaseSysCache(tuple);
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
note_tenant(FuncExpr *call, Node *check, TenancyPolicies *policies)
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
note_policy(HeapTuple tuple, TupleDesc desc, TenancyPolicies *policies)
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

void
tenancy_policy_read(Oid relid, TenancyPolicies *policies)
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
bool
tenancy_policy_isolation_is_right(Oid relid, const TenancyPolicies *policies, const char *column)
{
	return policies->isolation_intact &&
		policies->isolation_attno == get_attnum(relid, column);
}

/*
 * Is this one table behind the wall: row security on and forced, and the
 * isolation policy in force?  column may be NULL: any.
 */
bool
tenancy_policy_has_wall(Oid relid, const char *column)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class class;
	TenancyPolicies policies;
	bool		on;

	if (!HeapTupleIsValid(tuple))
		return false;
	class = (Form_pg_class) GETSTRUCT(tuple);
	on = class->relrowsecurity && class->relforcerowsecurity;
	ReleaseSysCache(tuple);
	if (!on)
		return false;
	tenancy_policy_read(relid, &policies);
	return column == NULL ? policies.isolation_intact :
		tenancy_policy_isolation_is_right(relid, &policies, column);
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

/* Does the table have such a policy, in the form in which PostgreSQL plans queries? */
static bool
has_wall_in_cache(Oid relid, LOCKMODE lockmode)
{
	Relation	rel = try_table_open(relid, lockmode);
	bool		found = false;
	ListCell   *lc;

	if (rel == NULL)
		return false;
	foreach(lc, rel->rd_rsdesc ? rel->rd_rsdesc->policies : NIL)
		found = found || keeps_apart(lfirst(lc));
	table_close(rel, lockmode);
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
	PG_RETURN_BOOL(has_wall_in_cache(PG_GETARG_OID(0), AccessShareLock));
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
	PG_RETURN_POINTER(makeBoolConst(has_wall_in_cache(rte->relid, NoLock), false));
}


/* ----------------------------------------------------------------
 * The tenant column's default and foreign key
 * ----------------------------------------------------------------
 */

/* The column's default, or NULL. */
Node *
tenancy_policy_column_default(Oid relid, const char *column)
{
	Relation	rel = table_open(relid, AccessShareLock);
	AttrNumber	attno = get_attnum(relid, column);
	Node	   *expr = NULL;

	if (attno > 0)
		expr = build_column_default(rel, attno);
	table_close(rel, AccessShareLock);
	return expr;
}

bool
tenancy_policy_is_our_default(Node *expr)
{
	return expr != NULL && IsA(expr, FuncExpr) &&
		((FuncExpr *) expr)->funcid == our_function("current_tenant_id", 0, NULL);
}

/* Constraints from the column to the registry, as a List of OIDs. */
List *
tenancy_policy_foreign_keys(Oid relid, const char *column)
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
List *
tenancy_policy_parents_of(Oid relid)
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
Oid
tenancy_policy_root_of(Oid relid)
{
	List	   *parents;

	while ((parents = tenancy_policy_parents_of(relid)) != NIL)
		relid = linitial_oid(parents);
	return relid;
}

/*
 * The tables and partitioned tables of a schema, but those of extensions, in
 * the order of their OIDs; all of them, or those that the current transaction
 * has made.
 *
 * pg_class has no index on the schema, and must not be scanned: it holds the
 * tables of all tenants.  pg_depend has one.
 */
List *
tenancy_policy_tables_of_schema(Oid schema, bool new_only)
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
