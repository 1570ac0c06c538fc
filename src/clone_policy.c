/*-------------------------------------------------------------------------
 *
 * clone_policy.c
 *	  Statements for the row security of a copy.
 *
 * A copy that is not a tenant's has the model's policies.  A tenant's has the
 * application's own, and our pair in place of the model's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_model.h"
#include "clone_part.h"
#include "clone_policy.h"
#include "clone_type.h"
#include "commands/policy.h"
#include "commands/tablecmds.h"
#include "ident.h"
#include "nodes/parsenodes.h"
#include "policy.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * The tenant column of a table that protect_table() protects, or whose parent
 * it does; NULL if it is not protected.
 */
static const char *
tenant_column(Model *m, const Table *table)
{
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, m->protected_relids, lc2, m->protected_columns)
	{
		if (lfirst_oid(lc) == table->object.oid)
			return lfirst(lc2);
	}
	foreach(lc, table->parents)
	{
		Table	   *parent = tenancy_clone_find_table(m, lfirst_oid(lc));
		const char *column = parent ? tenant_column(m, parent) : NULL;

		if (column != NULL)
			return column;
	}
	return NULL;
}

static bool
has_our_name(HeapTuple policy)
{
	const char *name = NameStr(ROW(Form_pg_policy, policy)->polname);

	return strcmp(name, TENANCY_POLICY_ISOLATION) == 0 ||
		strcmp(name, TENANCY_POLICY_ACCESS) == 0;
}

static const char *
command_name(char command)
{
	switch (command)
	{
		case ACL_SELECT_CHR:
			return "SELECT";
		case ACL_INSERT_CHR:
			return "INSERT";
		case ACL_UPDATE_CHR:
			return "UPDATE";
		case ACL_DELETE_CHR:
			return "DELETE";
		default:
			return "ALL";
	}
}

static void
append_roles(StringInfo buf, Datum roles)
{
	Datum	   *values;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(roles), OIDOID, sizeof(Oid), true,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		Oid			role = DatumGetObjectId(values[i]);

		appendStringInfo(buf, "%s%s", i > 0 ? ", " : "",
						 role == ACL_ID_PUBLIC ? "PUBLIC" : tenancy_clone_role_identifier(role));
	}
}

/* Copy a policy as it is. */
static void
copy_policy(Model *m, Table *table, HeapTuple row)
{
	Form_pg_policy policy = ROW(Form_pg_policy, row);
	char	   *name = tenancy_clone_identifier(policy->polname);
	char	   *using = tenancy_clone_attr_text(&m->catalogs, CAT_POLICY, row, Anum_pg_policy_polqual);
	char	   *check = tenancy_clone_attr_text(&m->catalogs, CAT_POLICY, row,
												 Anum_pg_policy_polwithcheck);
	StringInfoData buf;
	bool		isnull;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE POLICY %s ON %s%s FOR %s TO ", name, table->object.name,
					 policy->polpermissive ? "" : " AS RESTRICTIVE",
					 command_name(policy->polcmd));
	append_roles(&buf, tenancy_clone_attr(&m->catalogs, CAT_POLICY, row,
										  Anum_pg_policy_polroles, &isnull));
	if (using != NULL)
		appendStringInfo(&buf, " USING (%s)", tenancy_clone_deparse(table, stringToNode(using)));
	if (check != NULL)
		appendStringInfo(&buf, " WITH CHECK (%s)", tenancy_clone_deparse(table, stringToNode(check)));
	tenancy_clone_emit(m, buf.data);
	tenancy_clone_add_comment(m, PolicyRelationId, policy->oid,
							  psprintf("POLICY %s ON %s", name, table->object.name));
}

/* The policies of the wall around a tenant's copy of a table. */
static void
create_wall(Model *m, const Table *table)
{
	const char *column = tenant_column(m, table);
	const char *id = tenancy_ident_uuid_text(m->tenant);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE POLICY " TENANCY_POLICY_ISOLATION
					 " ON %s AS RESTRICTIVE USING (tenancy.policy_is_tenant('%s'))",
					 table->object.name, id);
	if (column != NULL)
		appendStringInfo(&buf, " WITH CHECK (tenancy.policy_is_tenant('%s')"
						 " AND %s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid)",
						 id, quote_identifier(column), id);
	tenancy_clone_emit_wall(m, buf.data);
	if (table->open)
		tenancy_clone_emit_wall(m, psprintf("CREATE POLICY " TENANCY_POLICY_ACCESS " ON %s USING ("
											TENANCY_POLICY_ALLOW ")",
											table->object.name));
}

/* The walls around all tables of a tenant's copy. */
void
tenancy_clone_create_walls(Model *m)
{
	ListCell   *lc;

	foreach(lc, m->objects)
	{
		if (((Object *) lfirst(lc))->kind == OBJ_TABLE)
			create_wall(m, lfirst(lc));
	}
	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if (object->kind == OBJ_TABLE)
			tenancy_clone_emit_wall(m, psprintf("ALTER TABLE ONLY %s FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY",
												object->name));
	}
}

/*
 * FORCE and ENABLE ROW LEVEL SECURITY on a table that is the current role's.
 */
static void
force_row_security(const RangeVar *name)
{
	Oid			relid = RangeVarGetRelidExtended(name, AccessExclusiveLock, 0,
												 RangeVarCallbackOwnsRelation, NULL);
	Relation	rel = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity = true;
	((Form_pg_class) GETSTRUCT(tuple))->relforcerowsecurity = true;
	CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	InvokeObjectPostAlterHook(RelationRelationId, relid, 0);
	heap_freetuple(tuple);
	table_close(rel, RowExclusiveLock);
}

/*
 * Run a statement of tenancy_clone_create_walls() without what a statement's end
 * brings: PostgreSQL would read the definition of the new table again four times, where
 * it does so once at the end of all of them.  None of them sees what the others do.
 */
void
tenancy_clone_put_up_wall(Node *statement)
{
	if (IsA(statement, CreatePolicyStmt))
		(void) CreatePolicy((CreatePolicyStmt *) statement);
	else
		force_row_security(castNode(AlterTableStmt, statement)->relation);
}

/*
 * The application's policies of a tenant's copy.  What lets rows through is ours
 * only where the application neither has such a policy of its own nor has, by row
 * security without one, let nothing through.
 */
static void
copy_application_policies(Model *m, Table *table)
{
	const char *column = tenant_column(m, table);
	bool		own_permissive = false;
	ListCell   *lc;

	table->open = column == NULL &&
		!ROW(Form_pg_class, table->object.row)->relrowsecurity;
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_POLICY, table->object.oid))
	{
		Form_pg_policy policy = ROW(Form_pg_policy, lfirst(lc));

		if (column != NULL && has_our_name(lfirst(lc)))
		{
			table->open = table->open || strcmp(NameStr(policy->polname), TENANCY_POLICY_ACCESS) == 0;
			continue;
		}
		if (has_our_name(lfirst(lc)))
			tenancy_clone_refuse(m, PolicyRelationId, policy->oid, "has the name of one of ours");
		else if (!ROW(Form_pg_class, table->object.row)->relrowsecurity)
			tenancy_clone_refuse(m, PolicyRelationId, policy->oid,
								 "is not in force, but would be in a tenant's schema");
		own_permissive = own_permissive || policy->polpermissive;
		copy_policy(m, table, lfirst(lc));
	}
	table->open = table->open && !own_permissive;
}

/* Policies that are the model's.  Those of ours come last, see tenancy_clone_create_walls(). */
void
tenancy_clone_create_policies(Model *m, Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	ListCell   *lc;

	if (m->tenant != NULL)
	{
		copy_application_policies(m, table);
		return;
	}
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_POLICY, table->object.oid))
		copy_policy(m, table, lfirst(lc));
	if (class->relforcerowsecurity)
		tenancy_clone_add_action(table, "FORCE ROW LEVEL SECURITY");
	if (class->relrowsecurity)
		tenancy_clone_add_action(table, "ENABLE ROW LEVEL SECURITY");
}
