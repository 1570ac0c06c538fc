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
 * row for the root.  An event trigger (policy_join.c) gives the policies to what
 * joins the tree later, by the statement that makes it a partition or child.
 *
 * Invariants:
 *
 * - Protecting makes state, it does not log steps: each step looks at the
 *	 catalogs, adds what is missing and leaves alone what is right.  So it can
 *	 be called again at any time, and completes a tree that has grown or that
 *	 somebody has damaged.
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

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "compat.h"
#include "exec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "miscadmin.h"
#include "module.h"
#include "policy.h"
#include "policy_add.h"
#include "policy_grant.h"
#include "policy_table.h"
#include "progress.h"
#include "registry.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tenancy_policy_protect_table);
PG_FUNCTION_INFO_V1(tenancy_policy_protect_module);
PG_FUNCTION_INFO_V1(tenancy_policy_unprotect_table);
PG_FUNCTION_INFO_V1(tenancy_policy_is_protected);


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
				 errmsg("table \"%s\" belongs to tenant \"%s\"", tenancy_policy_label(relid), slug),
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
				 errmsg("table \"%s\" is a reference table", tenancy_policy_label(relid)),
				 errdetail("Its rows are for all tenants."),
				 errhint("Call tenancy.remove_reference_table() first.")));
}

/* Refuse a partition or inheritance child: its root must be protected. */
static void
refuse_child(Oid relid, bool is_partition)
{
	Oid			root = tenancy_policy_root_of(relid);

	if (root == relid)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 is_partition ?
			 errmsg("table \"%s\" is a partition", tenancy_policy_label(relid)) :
			 errmsg("table \"%s\" is an inheritance child", tenancy_policy_label(relid)),
			 errdetail("Its rows can be read through \"%s\" too.", tenancy_policy_label(root)),
			 errhint("Protect \"%s\": its children are protected with it.", tenancy_policy_label(root))));
}

/* Refuse what is not an ordinary root table of an application. */
static void
refuse_unsuitable(Oid relid)
{
	HeapTuple	tuple = tenancy_policy_fetch_class(relid);
	FormData_pg_class class;
	char	   *schema;
	Oid			extension;

	memcpy(&class, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	ReleaseSysCache(tuple);

	if (class.relkind != RELKIND_RELATION && class.relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", tenancy_policy_label(relid)),
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
				 errmsg("\"%s\" is a system catalog", tenancy_policy_label(relid)),
				 errdetail("Only an application's tables can be protected.")));
	extension = getExtensionOfObject(RelationRelationId, relid);
	if (OidIsValid(extension) || strcmp(schema, "tenancy") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" belongs to extension \"%s\"", tenancy_policy_label(relid),
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
check_parents(const TenancyProtection *protection, Oid relid, List *allowed)
{
	ListCell   *lc;

	foreach(lc, tenancy_policy_parents_of(relid))
	{
		Oid			parent = lfirst_oid(lc);

		if (list_member_oid(protection->tables, parent) ||
			list_member_oid(allowed, parent) || tenancy_policy_has_wall(parent, NULL))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" has another parent", tenancy_policy_label(relid)),
				 errdetail("Its rows can be read through \"%s\" too, which is not protected.",
						   tenancy_policy_label(parent)),
				 errhint("Protect both with tenancy.protect_module(), or use ALTER TABLE ... NO INHERIT.")));
	}
}

/* Check one descendant of the table. */
static void
check_descendant(const TenancyProtection *protection, Oid relid)
{
	HeapTuple	tuple = tenancy_policy_fetch_class(relid);
	FormData_pg_class class;

	memcpy(&class, GETSTRUCT(tuple), CLASS_TUPLE_SIZE);
	ReleaseSysCache(tuple);

	if (class.relkind != RELKIND_RELATION && class.relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect table \"%s\"", tenancy_policy_label(protection->relid)),
				 errdetail("Its child \"%s\" is a foreign table, for which there is no row security.",
						   tenancy_policy_label(relid)),
				 errhint("Detach the child first.")));
	if (class.relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot protect table \"%s\"", tenancy_policy_label(protection->relid)),
				 errdetail("Its child \"%s\" is a temporary table.", tenancy_policy_label(relid)),
				 errhint("Drop the child first.")));
	if (class.relowner != protection->owner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" and its child \"%s\" have different owners",
						tenancy_policy_label(protection->relid), tenancy_policy_label(relid)),
				 errdetail("The owner of a table can switch its row security off."),
				 errhint("Use ALTER TABLE ... OWNER TO.")));
}

/* Check the tenant column of one table, where there is one. */
static void
check_column(const TenancyProtection *protection, Oid relid)
{
	FormData_pg_attribute att;

	if (!tenancy_policy_find_column(relid, protection->column, &att))
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
						protection->column, tenancy_policy_label(relid), format_type_be(att.atttypid)),
				 errdetail("The tenant column must be of type uuid."),
				 errhint("Change its type, or name another column.")));
	if (att.attgenerated != '\0' || att.attidentity != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" of table \"%s\" is a generated column",
						protection->column, tenancy_policy_label(relid)),
				 errdetail("The tenant column must be an ordinary one.")));
}

/*
 * Refuse policies of the application that have our names.  Those of a
 * registered table are ours, however changed; and those that are as we would
 * make them are, too: of a partition detached from a protected table, say.
 */
static void
check_policy_names(const TenancyProtection *protection, Oid relid)
{
	TenancyPolicies policies;
	const char *name;

	tenancy_policy_read(relid, &policies);
	if (policies.isolation_tenant)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" belongs to a tenant's own schema", tenancy_policy_label(relid)),
				 errdetail("It is protected already, by the policy of that tenant.")));
	if (OidIsValid(policies.isolation) &&
		!tenancy_policy_isolation_is_right(relid, &policies, protection->column))
		name = TENANCY_POLICY_ISOLATION;
	else if (OidIsValid(policies.access) && !policies.access_intact)
		name = TENANCY_POLICY_ACCESS;
	else
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("table \"%s\" has a policy \"%s\" of its own", tenancy_policy_label(relid), name),
			 errhint("Rename it with ALTER POLICY ... RENAME TO, or drop it.")));
}

/* The owner's rights that the statements to come need, beyond the table. */
static void
check_schema_rights(const TenancyProtection *protection, Oid relid)
{
	Oid			schema = get_rel_namespace(relid);

	if (tenancy_namespace_aclcheck(schema, protection->owner, ACL_USAGE) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\", the owner of table \"%s\", may not use the table's schema",
					GetUserNameFromId(protection->owner, false), tenancy_policy_label(relid)),
			 errhint("Use GRANT USAGE ON SCHEMA %s TO %s.",
					 quote_identifier(get_namespace_name(schema)),
					 tenancy_policy_role_sql_name(protection->owner))));
}

/*
 * Warn of an owner whom row security does not bind, and refuse one that a role
 * which may act for tenants can become, as grant_access() does.
 */
static void
check_owner(const TenancyProtection *protection)
{
	char	   *owner = GetUserNameFromId(protection->owner, false);
	ListCell   *lc;

	if (has_bypassrls_privilege(protection->owner))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("role \"%s\", the owner of table \"%s\", is not bound by row security",
						owner, tenancy_policy_label(protection->relid)),
				 errhint("Use ALTER TABLE ... OWNER TO a role that is no superuser and has no BYPASSRLS.")));

	foreach(lc, protection->access_roles)
	{
		if (is_member_of_role_nosuper(lfirst_oid(lc), protection->owner))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("role \"%s\", which may act for tenants, owns table \"%s\" or can become its owner",
							GetUserNameFromId(lfirst_oid(lc), false),
							tenancy_policy_label(protection->relid)),
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
is_marked(Oid relid, const char *column, const TenancyPolicies *policies)
{
	return OidIsValid(policies->isolation) || OidIsValid(policies->access) ||
		tenancy_policy_is_our_default(tenancy_policy_column_default(relid, column)) ||
		tenancy_policy_foreign_keys(relid, column) != NIL;
}

/*
 * Find out whether the table is registered, and by which column.
 *
 * The row of a table that was dropped stays, until repair() removes it, and
 * its OID may come back as another table's.  So a row counts only if the table
 * bears a mark of protection.  The column may have been renamed, which the
 * policy follows and our row does not.
 */
char *
tenancy_policy_find_registration(Oid relid)
{
	char	   *column = registered_column(relid);
	TenancyPolicies policies;

	if (column == NULL)
		return NULL;
	tenancy_policy_read(relid, &policies);
	if (policies.isolation_attno != InvalidAttrNumber)
		return get_attname(relid, policies.isolation_attno, false);
	if (get_attnum(relid, column) <= 0 || !is_marked(relid, column, &policies))
		return NULL;
	return column;
}

static void
load_registration(TenancyProtection *protection)
{
	char	   *column = tenancy_policy_find_registration(protection->relid);

	protection->registered = (column != NULL);
	if (column == NULL || strcmp(column, protection->column) == 0)
		return;
	if (!protection->any_column)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is already protected by column \"%s\"",
						tenancy_policy_label(protection->relid), column),
				 errhint("Call tenancy.unprotect_table() first to protect it by another column.")));
	protection->column = column;
}

/* Record the table, and the row security flags that it had. */
static void
register_table(const TenancyProtection *protection, bool had_row_security, bool had_force)
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

/*
 * The row security flags that the application gave the table.  Flags that are
 * a relic of an earlier protection, when there are our own policies and no
 * others, do not count.
 */
static void
flags_before(const TenancyProtection *protection, bool *row_security, bool *force)
{
	TenancyPolicies policies;

	tenancy_policy_read_flags(protection->relid, row_security, force);
	tenancy_policy_read(protection->relid, &policies);
	if (policies.isolation_intact && !policies.has_permissive && !policies.has_restrictive)
		*row_security = *force = false;
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
 * Lock the tree and check all that can be checked before anything is changed,
 * but for rows without a tenant.  allowed: see check_parents().
 */
static void
prepare(TenancyProtection *protection, List *allowed)
{
	ListCell   *lc;

	/* Do not lock what is not ours to lock; and look again when it is. */
	refuse_unsuitable(protection->relid);
	LockRelationOid(protection->relid, AccessExclusiveLock);
	refuse_unsuitable(protection->relid);

	protection->owner = tenancy_policy_table_owner(protection->relid);
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

static void
restrict_tree(TenancyProtection *protection)
{
	TenancyRestriction restriction;
	ListCell   *lc;

	tenancy_policy_init_restriction(&restriction, protection->access_roles);
	foreach(lc, protection->tables)
	{
		if (tenancy_policy_restrict_table(lfirst_oid(lc), &restriction))
			protection->changed = true;
	}
}

/*
 * Names were looked up many times since we looked at OIDs, and a schema can be
 * renamed under a locked table.  See that the right tables were changed.
 */
static void
verify(const TenancyProtection *protection)
{
	ListCell   *lc;

	foreach(lc, protection->tables)
	{
		if (!tenancy_policy_has_wall(lfirst_oid(lc), protection->column))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("table \"%s\" was changed while it was being protected",
							tenancy_policy_label(lfirst_oid(lc))),
					 errhint("Call the function again.")));
	}
}

/* Add what is missing. */
static void
protect(TenancyProtection *protection)
{
	TenancyExec exec;
	bool		had_row_security;
	bool		had_force;
	ListCell   *lc;

	flags_before(protection, &had_row_security, &had_force);

	tenancy_module_ensure_owner(protection->owner);

	tenancy_policy_begin_as_owner(&exec, protection->owner);
	tenancy_policy_add_column(protection);
	if (protection->assign_to != NULL && tenancy_policy_tree_lacks_tenant(protection))
		tenancy_policy_assign_rows(protection);
	tenancy_policy_add_not_null(protection);
	tenancy_policy_add_default(protection);
	tenancy_policy_add_index_and_key(protection);
	foreach(lc, protection->tables)
		tenancy_policy_add_row_security(protection, lfirst_oid(lc));
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
	TenancyProtection protection = {0};

	tenancy_require_arg(fcinfo, 0, "rel");
	protection.relid = PG_GETARG_OID(0);
	protection.column = get_column_arg(fcinfo, 1);
	tenancy_require_arg(fcinfo, 2, "foreign_key");
	protection.foreign_key = PG_GETARG_BOOL(2);
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	if (!PG_ARGISNULL(3))
		protection.assign_to = find_assignee(text_to_cstring(PG_GETARG_TEXT_PP(3)));

	protection.access_roles = tenancy_policy_access_roles();
	prepare(&protection, NIL);
	if (protection.assign_to == NULL && tenancy_policy_tree_lacks_tenant(&protection))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("table \"%s\" holds rows without a tenant", tenancy_policy_label(protection.relid)),
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
	Oid			schema = tenancy_registry_model_schema(module);
	List	   *roots = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_policy_tables_of_schema(schema, false))
	{
		if (tenancy_policy_parents_of(lfirst_oid(lc)) == NIL)
			roots = lappend_oid(roots, lfirst_oid(lc));
	}
	return roots;
}

/* Prepare the protection of all tables, and refuse rows without a tenant. */
static List *
prepare_module(const TenancyModule *module, const char *column)
{
	List	   *roots = module_roots(module);
	List	   *roles = tenancy_policy_access_roles();
	List	   *protections = NIL;
	List	   *lacking = NIL;
	ListCell   *lc;

	foreach(lc, roots)
	{
		TenancyProtection *protection = palloc0(sizeof(TenancyProtection));

		protection->relid = lfirst_oid(lc);
		protection->column = column;
		protection->any_column = true;
		protection->access_roles = roles;
		prepare(protection, roots);

		/* A table may have been protected without a foreign key on purpose. */
		protection->foreign_key = !protection->registered;
		if (tenancy_policy_tree_lacks_tenant(protection))
			lacking = lappend(lacking, tenancy_policy_label(protection->relid));
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
	tenancy_registry_refuse_read_only();
	if (!tenancy_registry_module(name, &module))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("module \"%s\" does not exist", tenancy_ident_clip(name))));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	tenancy_progress_start(&progress);
	protections = prepare_module(&module, column);
	foreach(lc, protections)
	{
		TenancyProtection *protection = lfirst(lc);

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
 * unprotect_table
 * ----------------------------------------------------------------
 */

/* Put the row security flags back. */
static void
restore_flags(Oid relid, bool row_security, bool force)
{
	tenancy_exec_format("ALTER TABLE %s %s ROW LEVEL SECURITY, %s ROW LEVEL SECURITY",
						tenancy_policy_sql_name(relid),
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

	foreach(lc, tenancy_policy_foreign_keys(relid, column))
	{
		if (is_inherited(lfirst_oid(lc)))
			continue;
		tenancy_exec_format("ALTER TABLE %s DROP CONSTRAINT %s", tenancy_policy_sql_name(relid),
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
	TenancyPolicies policies;
	const char *table = tenancy_policy_sql_name(relid);
	char		relkind = get_rel_relkind(relid);

	/* A foreign table that somebody attached was never protected. */
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		return;

	tenancy_policy_read(relid, &policies);
	tenancy_policy_begin_as_owner(&exec, tenancy_policy_table_owner(relid));
	if (OidIsValid(policies.access))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ACCESS, table);
	if (OidIsValid(policies.isolation))
		tenancy_exec_format("DROP POLICY %s ON %s", TENANCY_POLICY_ISOLATION, table);
	if (tenancy_policy_is_our_default(tenancy_policy_column_default(relid, column)))
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
	Oid			root = tenancy_policy_root_of(relid);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not protected", tenancy_policy_label(relid)),
			 root != relid && tenancy_policy_find_registration(root) != NULL ?
			 errhint("It is protected as a child of \"%s\".", tenancy_policy_label(root)) : 0));
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
		elog(ERROR, "no row for table \"%s\" in tenancy.protected_table", tenancy_policy_label(relid));
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
	tenancy_registry_refuse_read_only();

	ReleaseSysCache(tenancy_policy_fetch_class(relid));
	if (registered_column(relid) == NULL)
		refuse_unregistered(relid);
	LockRelationOid(relid, AccessExclusiveLock);
	ReleaseSysCache(tenancy_policy_fetch_class(relid));
	column = tenancy_policy_find_registration(relid);
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

/* tenancy_policy_has_wall(rel regclass): this one table, children aside */
Datum
tenancy_policy_is_protected(PG_FUNCTION_ARGS)
{
	tenancy_require_arg(fcinfo, 0, "rel");
	PG_RETURN_BOOL(tenancy_policy_has_wall(PG_GETARG_OID(0), NULL));
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
	Oid			schema = tenancy_registry_model_schema(module);
	List	   *tables = NIL;
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_policy_tables_of_schema(schema, false))
		tables = list_concat(tables, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
	list_sort(tables, list_oid_cmp);
	list_deduplicate_oid(tables);

	foreach(lc, tables)
	{
		if (!tenancy_policy_has_wall(lfirst_oid(lc), NULL))
			names = lappend(names, tenancy_policy_label(lfirst_oid(lc)));
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
	return tenancy_policy_tables_of_schema(schema, true);
}

/*
 * Protect a new table of a model as protect_table() does, or what belongs to
 * the tree of tables that it has become a part of.
 */
void
tenancy_policy_protect_new(Oid relid, const char *column)
{
	TenancyProtection protection = {0};

	if (tenancy_policy_has_wall(relid, column))
		return;
	protection.relid = tenancy_policy_root_of(relid);
	protection.column = column;
	protection.access_roles = tenancy_policy_access_roles();
	prepare(&protection, NIL);
	if (tenancy_policy_tree_lacks_tenant(&protection))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("table \"%s\" holds rows without a tenant", tenancy_policy_label(relid)),
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
	TenancyProtection protection = {0};
	TenancyExec exec;
	ListCell   *lc;

	protection.relid = relid;
	protection.owner = tenancy_policy_table_owner(relid);
	protection.column = column;
	protection.copy_of = tenancy_ident_uuid_text(tenant);
	protection.assign_to = protection.copy_of;
	protection.access_roles = tenancy_policy_access_roles();
	protection.tables = find_all_inheritors(relid, AccessExclusiveLock, NULL);

	tenancy_policy_begin_as_owner(&exec, protection.owner);
	if (column != NULL && tenancy_policy_parents_of(relid) == NIL)
	{
		tenancy_policy_add_column(&protection);
		tenancy_policy_add_not_null(&protection);
		tenancy_policy_add_default(&protection);
		tenancy_policy_add_index_and_key(&protection);
	}
	foreach(lc, protection.tables)
		tenancy_policy_add_row_security(&protection, lfirst_oid(lc));
	tenancy_exec_end(&exec);
	restrict_tree(&protection);
}
