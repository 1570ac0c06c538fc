/*-------------------------------------------------------------------------
 *
 * clone_grant.c
 *	  Statements for the privileges on the objects of a copy.
 *
 * The grantor is always the module owner.  A tenant's copy gives no TRUNCATE,
 * REFERENCES or TRIGGER to whoever may act for tenants.  Default privileges
 * of other roles, who create nothing in a copy, are left out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_function.h"
#include "clone_grant.h"
#include "clone_model.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * Privileges that reach around row security: TRUNCATE empties a table for all
 * who share it, and foreign keys and triggers see other tenants' rows.
 */
#define UNSAFE_PRIVILEGES (ACL_TRUNCATE | ACL_REFERENCES | ACL_TRIGGER)

static const struct
{
	AclMode		mode;
	const char *name;
}			privilege_names[] =
{
	{ACL_SELECT, "SELECT"},
	{ACL_INSERT, "INSERT"},
	{ACL_UPDATE, "UPDATE"},
	{ACL_DELETE, "DELETE"},
	{ACL_TRUNCATE, "TRUNCATE"},
	{ACL_REFERENCES, "REFERENCES"},
	{ACL_TRIGGER, "TRIGGER"},
	{ACL_USAGE, "USAGE"},
	{ACL_EXECUTE, "EXECUTE"},
#ifdef ACL_MAINTAIN
	{ACL_MAINTAIN, "MAINTAIN"},
#endif
};

/* What a role holds, whoever granted it. */
typedef struct Holding
{
	Oid			role;
	AclMode		privileges;
	AclMode		options;		/* privileges it can grant on */
} Holding;

/* On what the privileges are. */
typedef struct GrantTarget
{
	const char *prefix;			/* of the statement */
	const char *keyword;		/* TABLE, ... */
	const char *object;			/* NULL in ALTER DEFAULT PRIVILEGES */
	const char *column;			/* or NULL */
} GrantTarget;

static void
read_access_roles(Model *m)
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (m->access_roles_read)
		return;
	rel = table_open(tenancy_registry_relation("access"), AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		role = heap_getattr(tuple, Anum_access_role, RelationGetDescr(rel), &isnull);

		m->access_roles = list_append_unique_oid(m->access_roles, DatumGetObjectId(role));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	m->access_roles_read = true;
}

/* Does somebody who may act for tenants have this role's privileges? */
static bool
is_shared_role(Model *m, Oid role)
{
	ListCell   *lc;

	if (role == ACL_ID_PUBLIC)
		return true;
	read_access_roles(m);
	foreach(lc, m->access_roles)
	{
		if (is_member_of_role_nosuper(lfirst_oid(lc), role))
			return true;
	}
	return false;
}

static Holding *
find_holding(List **holdings, Oid role)
{
	Holding    *holding;
	ListCell   *lc;

	foreach(lc, *holdings)
	{
		holding = lfirst(lc);
		if (holding->role == role)
			return holding;
	}
	holding = palloc0(sizeof(Holding));
	holding->role = role;
	*holdings = lappend(*holdings, holding);
	return holding;
}

/*
 * The ACL of an object with this owner as a List of Holdings of its copy, where
 * the owner's are the module owner's.  An owner's grant options go without
 * saying.
 */
static List *
acl_holdings(Model *m, const Acl *acl, Oid owner)
{
	List	   *holdings = NIL;
	const AclItem *items = ACL_DAT(acl);

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		Oid			grantee = items[i].ai_grantee;
		Holding    *holding = find_holding(&holdings, grantee == owner ? m->owner : grantee);

		holding->privileges |= ACLITEM_GET_PRIVS(items[i]);
		if (holding->role != m->owner)
			holding->options |= ACLITEM_GET_GOPTIONS(items[i]);
	}
	return holdings;
}

/* Take from a tenant's copy what would reach other tenants' rows. */
static void
remove_unsafe(Model *m, List *holdings)
{
	ListCell   *lc;

	foreach(lc, holdings)
	{
		Holding    *holding = lfirst(lc);

		if (holding->role != m->owner && (holding->privileges & UNSAFE_PRIVILEGES) != 0 &&
			is_shared_role(m, holding->role))
		{
			holding->privileges &= ~UNSAFE_PRIVILEGES;
			holding->options &= ~UNSAFE_PRIVILEGES;
		}
	}
}

/* Write GRANT or REVOKE, or add the object to one that is otherwise the same. */
static void
add_grant(Model *m, List **groups, const char *verb, const char *preposition,
		  AclMode privileges, Oid role, const char *option, const GrantTarget *target)
{
	StringInfoData head;
	char	   *tail;
	GrantGroup *group;
	bool		first = true;
	ListCell   *lc;

	if (privileges == 0)
		return;
	initStringInfo(&head);
	appendStringInfo(&head, "%s%s ", target->prefix, verb);
	for (int i = 0; i < lengthof(privilege_names); i++)
	{
		if ((privileges & privilege_names[i].mode) == 0)
			continue;
		appendStringInfo(&head, "%s%s", first ? "" : ", ", privilege_names[i].name);
		if (target->column != NULL)
			appendStringInfo(&head, " (%s)", target->column);
		first = false;
	}
	appendStringInfo(&head, " ON %s", target->keyword);
	tail = psprintf(" %s %s%s", preposition,
					role == ACL_ID_PUBLIC ? "PUBLIC" : tenancy_clone_role_identifier(role), option);
	if (target->object == NULL)
	{
		tenancy_clone_emit(m, psprintf("%s%s", head.data, tail));
		return;
	}

	foreach(lc, *groups)
	{
		group = lfirst(lc);
		if (strcmp(group->head, head.data) == 0 && strcmp(group->tail, tail) == 0)
		{
			appendStringInfo(&group->objects, ", %s", target->object);
			return;
		}
	}
	group = palloc(sizeof(GrantGroup));
	group->head = head.data;
	group->tail = tail;
	initStringInfo(&group->objects);
	appendStringInfo(&group->objects, " %s", target->object);
	*groups = lappend(*groups, group);
}

/* Write what leads from the privileges that an object is born with to others. */
static void
change_privileges(Model *m, const GrantTarget *target, const Acl *born, Oid creator,
				  const Acl *wanted, Oid owner)
{
	List	   *old = acl_holdings(m, born, creator);
	List	   *new = acl_holdings(m, wanted, owner);
	ListCell   *lc;

	if (m->tenant != NULL)
		remove_unsafe(m, new);
	foreach(lc, old)
		(void) find_holding(&new, ((Holding *) lfirst(lc))->role);
	foreach(lc, new)
	{
		Holding    *want = lfirst(lc);
		Holding    *have = find_holding(&old, want->role);
		AclMode		gained = want->privileges & ~have->privileges;

		add_grant(m, &m->revokes, "REVOKE", "FROM",
				  have->privileges & ~want->privileges, want->role, "", target);
		add_grant(m, &m->revokes, "REVOKE GRANT OPTION FOR", "FROM",
				  have->options & ~want->options & want->privileges,
				  want->role, "", target);
		add_grant(m, &m->grants, "GRANT", "TO", gained & ~want->options,
				  want->role, "", target);
		add_grant(m, &m->grants, "GRANT", "TO", want->options & ~have->options,
				  want->role, " WITH GRANT OPTION", target);
	}
}

/*
 * Privileges of an object, whose column acl this is.  Of the default privileges that
 * have been set for a whole database, the template's has the module owner's.
 */
static void
copy_privileges(Model *m, const GrantTarget *target, ObjectType type, Oid creator,
				Oid owner, bool isnull, Datum acl)
{
	Acl		   *hardwired = acldefault(type, m->owner);
	Acl		   *born = m->tenant || creator == m->owner ? get_user_default_acl(type, creator, InvalidOid) : NULL;

	if (isnull && born == NULL)
		return;
	change_privileges(m, target, born ? born : hardwired, born ? creator : m->owner,
					  isnull ? hardwired : DatumGetAclP(acl),
					  isnull ? m->owner : owner);
}

/* ALTER DEFAULT PRIVILEGES for what the owner creates in the copy */
static char *
default_privileges_prefix(Model *m)
{
	return psprintf("ALTER DEFAULT PRIVILEGES IN SCHEMA %s ", quote_identifier(m->schema));
}

/* The ACL that all tables and views of the model have; NULL if they differ, or have none. */
static const Acl *
common_acl(Model *m)
{
	const Acl  *common = NULL;
	ListCell   *lc;

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);
		bool		isnull;
		Datum		acl;

		if (object->kind != OBJ_TABLE && object->kind != OBJ_VIEW && object->kind != OBJ_MATVIEW)
			continue;
		acl = SysCacheGetAttr(RELOID, object->row, Anum_pg_class_relacl, &isnull);
		if (isnull || ((Table *) object)->withheld || ROW(Form_pg_class, object->row)->relowner != m->owner ||
			(common != NULL && !aclequal(common, DatumGetAclP(acl))))
			return NULL;
		common = DatumGetAclP(acl);
	}
	return common;
}

/*
 * Where all tables and views of a tenant's copy get the same privileges, have them
 * created with these: a GRANT changes each of them once more, and has PostgreSQL read
 * its definition again.  The owner must have what goes without saying.
 */
void
tenancy_clone_begin_privileges(Model *m)
{
	GrantTarget target = {default_privileges_prefix(m), "TABLES", NULL, NULL};
	const Acl  *acl = m->tenant ? common_acl(m) : NULL;
	List	   *holdings;
	ListCell   *lc;

	if (acl == NULL || get_user_default_acl(OBJECT_TABLE, m->owner, InvalidOid) != NULL)
		return;
	holdings = acl_holdings(m, acl, m->owner);
	remove_unsafe(m, holdings);
	if (find_holding(&holdings, m->owner)->privileges != ACL_ALL_RIGHTS_RELATION)
		return;
	foreach(lc, holdings)
	{
		Holding    *holding = lfirst(lc);

		if (holding->role == m->owner)
			continue;
		add_grant(m, &m->grants, "GRANT", "TO", holding->privileges & ~holding->options, holding->role, "", &target);
		add_grant(m, &m->grants, "GRANT", "TO", holding->options, holding->role, " WITH GRANT OPTION", &target);
	}
	m->born_with = holdings;
}

/* From here on, only the model's own default privileges count. */
static void
end_privileges(Model *m)
{
	GrantTarget target = {default_privileges_prefix(m), "TABLES", NULL, NULL};
	ListCell   *lc;

	foreach(lc, m->born_with)
	{
		Holding    *holding = lfirst(lc);

		if (holding->role != m->owner)
			add_grant(m, &m->revokes, "REVOKE", "FROM", holding->privileges, holding->role, "", &target);
	}
}

/* What an ACL gives to the owner. */
static Acl *
owner_acl(const Acl *acl, Oid owner)
{
	Acl		   *result = make_empty_acl();

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		if (ACL_DAT(acl)[i].ai_grantee == owner)
			result = aclupdate(result, &ACL_DAT(acl)[i], ACL_MODECHG_ADD, owner, DROP_RESTRICT);
	}
	return result;
}

static void
copy_relation_privileges(Model *m, const Object *object, bool withheld, List *columns)
{
	bool		is_sequence = object->kind == OBJ_SEQUENCE;
	Oid			owner = ROW(Form_pg_class, object->row)->relowner;
	GrantTarget target = {"", is_sequence ? "SEQUENCE" : "TABLE", object->name, NULL};
	bool		isnull;
	Datum		acl = SysCacheGetAttr(RELOID, object->row, Anum_pg_class_relacl, &isnull);
	ListCell   *lc;

	if (withheld)
		columns = NIL;
	if (withheld && !isnull)
		acl = PointerGetDatum(owner_acl(DatumGetAclP(acl), owner));
	if (is_sequence || m->born_with == NIL)
		copy_privileges(m, &target, is_sequence ? OBJECT_SEQUENCE : OBJECT_TABLE, m->owner,
						owner, isnull, acl);
	foreach(lc, columns)
	{
		acl = tenancy_clone_attr(&m->catalogs, CAT_ATTRIBUTE, lfirst(lc),
								 Anum_pg_attribute_attacl, &isnull);
		if (isnull)
			continue;
		target.column = tenancy_clone_identifier(ROW(Form_pg_attribute, lfirst(lc))->attname);
		change_privileges(m, &target, acldefault(OBJECT_COLUMN, m->owner), m->owner,
						  DatumGetAclP(acl), owner);
	}
}

void
tenancy_clone_copy_object_privileges(Model *m, const Object *object)
{
	GrantTarget target = {"", "TYPE", object->name, NULL};
	bool		isnull;
	Datum		acl;

	switch (object->kind)
	{
		case OBJ_TABLE:
		case OBJ_VIEW:
		case OBJ_MATVIEW:
			copy_relation_privileges(m, object, ((Table *) object)->withheld, ((Table *) object)->columns);
			break;
		case OBJ_SEQUENCE:
			copy_relation_privileges(m, object, false, NIL);
			break;
		case OBJ_FUNCTION:
			target.keyword = "ROUTINE";
			target.object = tenancy_clone_function_signature(object);
			acl = SysCacheGetAttr(PROCOID, object->row, Anum_pg_proc_proacl, &isnull);
			copy_privileges(m, &target, OBJECT_FUNCTION,
							object->elevated ? tenancy_registry_owner() : m->owner,
							ROW(Form_pg_proc, object->row)->proowner, isnull, acl);
			break;
		case OBJ_OTHER:
			break;				/* has none */
		default:
			acl = SysCacheGetAttr(TYPEOID, object->row, Anum_pg_type_typacl, &isnull);
			copy_privileges(m, &target, OBJECT_TYPE, m->owner,
							ROW(Form_pg_type, object->row)->typowner, isnull, acl);
			break;
	}
}

void
tenancy_clone_write_grants(Model *m, List *groups)
{
	ListCell   *lc;

	foreach(lc, groups)
	{
		GrantGroup *group = lfirst(lc);

		tenancy_clone_emit(m, psprintf("%s%s%s", group->head, group->objects.data, group->tail));
	}
}

static const char *
default_acl_keyword(char type)
{
	switch (type)
	{
		case DEFACLOBJ_RELATION:
			return "TABLES";
		case DEFACLOBJ_SEQUENCE:
			return "SEQUENCES";
		case DEFACLOBJ_FUNCTION:
			return "ROUTINES";
		case DEFACLOBJ_TYPE:
			return "TYPES";
		default:
			elog(ERROR, "unexpected type of default privileges: %d", type);
			return NULL;		/* keep compiler quiet */
	}
}

/* The privileges that objects have of which nobody has said anything */
static Acl *
hardwired_acl(const Model *m, char type)
{
	switch (type)
	{
		case DEFACLOBJ_RELATION:
			return acldefault(OBJECT_TABLE, m->owner);
		case DEFACLOBJ_SEQUENCE:
			return acldefault(OBJECT_SEQUENCE, m->owner);
		case DEFACLOBJ_FUNCTION:
			return acldefault(OBJECT_FUNCTION, m->owner);
		case DEFACLOBJ_TYPE:
			return acldefault(OBJECT_TYPE, m->owner);
		default:
			return NULL;
	}
}

/*
 * What the owner has set for what it creates, in the model schema or (an invalid OID)
 * in all of the database.  That for schemas and the like is for the owner's own.
 */
static void
copy_default_privileges(Model *m, const char *prefix, Oid namespace)
{
	GrantTarget target = {prefix, NULL, NULL, NULL};
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_DEFAULT_ACL, m->owner, namespace))
	{
		char		type = ROW(Form_pg_default_acl, lfirst(lc))->defaclobjtype;
		Acl		   *hardwired = hardwired_acl(m, type);
		bool		isnull;
		Datum		acl = tenancy_clone_attr(&m->catalogs, CAT_DEFAULT_ACL, lfirst(lc),
											 Anum_pg_default_acl_defaclacl, &isnull);

		if (hardwired == NULL)
			continue;
		target.keyword = default_acl_keyword(type);
		change_privileges(m, &target, OidIsValid(namespace) ? make_empty_acl() : hardwired, m->owner,
						  DatumGetAclP(acl), m->owner);
	}
}

/* Those for all of a database: a copy in a schema is where they are already. */
void
tenancy_clone_copy_database_defaults(Model *m)
{
	if (m->tenant == NULL)
		copy_default_privileges(m, "ALTER DEFAULT PRIVILEGES ", InvalidOid);
}

void
tenancy_clone_copy_default_privileges(Model *m)
{
	end_privileges(m);
	copy_default_privileges(m, default_privileges_prefix(m), m->namespace);
}
