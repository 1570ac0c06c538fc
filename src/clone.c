/*-------------------------------------------------------------------------
 *
 * clone.c
 *	  A model schema's definition as DDL, and its copy for a tenant.
 *
 * The definition is read from the catalogs and written as SQL statements in
 * an order that works.  Names in it are left to search_path: what is in the
 * model schema comes unqualified, because definitions are deparsed with the
 * model schema first on the path, and resolves to the copy, whose schema is
 * first on the path when the statements run.  Everything else comes
 * qualified, and goes on pointing where it pointed.  No text is replaced but
 * the model's name in the search_path of a function.
 *
 * Reading is by OID through the catalogs' indexes, from what depends on the
 * schema, so that it costs the same whatever else is in the database.
 *
 * Order: each object that others can be defined by (a type, function,
 * sequence, table or view) is created after what it needs, according to
 * pg_depend; otherwise in the order in which the model's were created.
 * Defaults and constraints are parts of their table or domain, and created
 * with it where that is possible, which is cheaper than ALTER TABLE (a
 * foreign key of a new table is not validated), but break a circle where it
 * is not: then they are added afterwards.  What nothing can be defined by
 * (indexes, triggers, comments, grants, policies and the like) comes last.
 *
 * Invariants:
 *
 * - A copy is exact or refused, before anything is created: what is in the
 *	 schema and not known here is refused by name.  Different by design are
 *	 the privileges on the schema itself, sequences (they start anew), the
 *	 owner of everything and the grantor of privileges (always the module
 *	 owner) and the default privileges of other roles, who create nothing in a
 *	 copy.
 *	 A tenant's copy has our own policies in place of the model's, none of the
 *	 foreign keys to tenancy.tenant (each would hang two more triggers on that
 *	 table and lock it against other calls; the policies hold the tenant
 *	 column to the one value anyway), and no TRUNCATE, REFERENCES or TRIGGER
 *	 for whoever may act for tenants.
 * - All of it is done as the module owner, restricted, so that what somebody
 *	 planted in the model schema runs with no more rights than its owner's.
 *	 Our own reading calls no operator by name, and neither do PostgreSQL's
 *	 deparsing functions that we call, except for pg_get_ruledef(), for which
 *	 see read_rules().
 * - Only the schema itself is created by the extension's owner; an existing
 *	 one is never adopted.
 *
 * Locks: ACCESS SHARE on the model's tables, views and sequences, to the end
 * of the transaction: their definitions must not change while they are read
 * and copied.  The statements lock what they refer to outside of the schema;
 * that is SHARE ROW EXCLUSIVE on tables that foreign keys point to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "clone.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/tablespace.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "exec.h"
#include "executor/tuptable.h"
#include "ident.h"
#include "miscadmin.h"
#include "policy.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/* Column numbers, as in catalog.sql */
#define Anum_access_role					1
#define Anum_access_tenant_id				2
#define Anum_protected_table_relation		1
#define Anum_protected_table_tenant_column	2

/*
 * The minor releases of late 2026 keep a column's version among its options.
 * It is the server's own, and no headers of before that know it.
 */
#ifndef ATTRIBUTE_VERSION_ATTOPTION
#define ATTRIBUTE_VERSION_ATTOPTION "pg_attver"
#endif

/*
 * Privileges that reach around row security: TRUNCATE empties a table for all
 * who share it, and foreign keys and triggers see other tenants' rows.
 */
#define UNSAFE_PRIVILEGES (ACL_TRUNCATE | ACL_REFERENCES | ACL_TRIGGER)

/* The catalogs that are read, each by an index. */
typedef enum CatalogId
{
	CAT_ATTRDEF,
	CAT_ATTRIBUTE,
	CAT_CHILDREN,
	CAT_CONSTRAINT,
	CAT_DEFAULT_ACL,
	CAT_DEPEND,
	CAT_DESCRIPTION,
	CAT_DOMAIN_CONSTRAINT,
	CAT_ENUM,
	CAT_INDEX,
	CAT_PARENTS,
	CAT_POLICY,
	CAT_REFERENCE,
	CAT_REWRITE,
	CAT_SECLABEL,
	CAT_SEQUENCE,
	CAT_STATISTICS,
	CAT_TRIGGER
} CatalogId;

static const struct
{
	Oid			relid;
	Oid			index;
	int			nkeys;			/* how many of its columns select rows */
}			catalogs[] = {
	[CAT_ATTRDEF] = {AttrDefaultRelationId, AttrDefaultIndexId, 1},
	[CAT_ATTRIBUTE] = {AttributeRelationId, AttributeRelidNumIndexId, 2},
	[CAT_CHILDREN] = {InheritsRelationId, InheritsParentIndexId, 1},
	[CAT_CONSTRAINT] = {ConstraintRelationId, ConstraintRelidTypidNameIndexId, 1},
	[CAT_DEFAULT_ACL] = {DefaultAclRelationId, DefaultAclRoleNspObjIndexId, 2},
	[CAT_DEPEND] = {DependRelationId, DependDependerIndexId, 2},
	[CAT_DESCRIPTION] = {DescriptionRelationId, DescriptionObjIndexId, 2},
	[CAT_DOMAIN_CONSTRAINT] = {ConstraintRelationId, ConstraintTypidIndexId, 1},
	[CAT_ENUM] = {EnumRelationId, EnumTypIdSortOrderIndexId, 1},
	[CAT_INDEX] = {IndexRelationId, IndexIndrelidIndexId, 1},
	[CAT_PARENTS] = {InheritsRelationId, InheritsRelidSeqnoIndexId, 1},
	[CAT_POLICY] = {PolicyRelationId, PolicyPolrelidPolnameIndexId, 1},
	[CAT_REFERENCE] = {DependRelationId, DependReferenceIndexId, 2},
	[CAT_REWRITE] = {RewriteRelationId, RewriteRelRulenameIndexId, 1},
	[CAT_SECLABEL] = {SecLabelRelationId, SecLabelObjectIndexId, 2},
	[CAT_SEQUENCE] = {SequenceRelationId, SequenceRelidIndexId, 1},
	[CAT_STATISTICS] = {StatisticExtRelationId, StatisticExtRelidIndexId, 1},
	[CAT_TRIGGER] = {TriggerRelationId, TriggerRelidNameIndexId, 1},
};

/* Scans of all of them, under one snapshot. */
typedef struct Catalogs
{
	Snapshot	snapshot;
	Relation	rel[lengthof(catalogs)];
	Relation	index[lengthof(catalogs)];
	IndexScanDesc scan[lengthof(catalogs)];
	TupleTableSlot *slot[lengthof(catalogs)];
} Catalogs;

typedef enum ObjectKind
{
	OBJ_TYPE,					/* enum, composite, range */
	OBJ_DOMAIN,
	OBJ_FUNCTION,				/* or procedure */
	OBJ_SEQUENCE,
	OBJ_TABLE,
	OBJ_VIEW,
	OBJ_DEFAULT,				/* part of a table or view */
	OBJ_CONSTRAINT				/* part of a table or domain */
} ObjectKind;

typedef enum ObjectState
{
	OBJ_WAITING,
	OBJ_PLACING,				/* what it needs is being created */
	OBJ_PLACED					/* its statement has been written */
} ObjectState;

/* An object that others can be defined by, or a part of one. */
typedef struct Object
{
	ObjectKind	kind;
	Oid			classid;
	Oid			oid;
	char	   *name;			/* quoted; of a column, if a default */
	HeapTuple	row;			/* of the catalog classid */
	struct Object *whole;		/* of what this is a part */
	List	   *parts;
	List	   *dependencies;	/* rows of pg_depend; wholes only */
	ObjectState state;

	/* Parts only. */
	bool		apart;			/* cannot be created with the whole */
	bool		inlined;		/* is created with the whole */
	bool		inherited;		/* comes from a parent's */
	AttrNumber	attno;			/* a default's column */
	Node	   *expr;			/* a default's expression */

	/* Sequences only. */
	Oid			owner_relid;	/* the column that owns it, if any */
	AttrNumber	owner_attno;
	bool		identity;
} Object;

/* A table or view. */
typedef struct Table
{
	Object		object;			/* must be first */
	List	   *columns;		/* rows of pg_attribute, dropped ones left out */
	List	   *constraints;	/* rows of pg_constraint, all of them */
	List	   *triggers;		/* rows of pg_trigger, PostgreSQL's left out */
	List	   *parents;		/* OIDs */
	List	   *children;		/* OIDs */
	List	   *sequences;		/* of identity columns */
	List	   *actions;		/* of the last ALTER TABLE */
	List	   *context;		/* for deparsing expressions, made when needed */
	Oid			return_rule;	/* views only */
	bool		inherits;		/* is created with INHERITS */
} Table;

/* Key of the hash that finds an Object by an address of it. */
typedef struct ObjectKey
{
	Oid			classid;
	Oid			oid;
} ObjectKey;

typedef struct ObjectEntry
{
	ObjectKey	key;			/* must be first */
	Object	   *object;
} ObjectEntry;

/* Like grants, for many objects at once. */
typedef struct GrantGroup
{
	char	   *head;
	char	   *tail;
	StringInfoData objects;
} GrantGroup;

/* What has been read of a model schema, and what is being written of it. */
typedef struct Model
{
	const TenancyModule *module;
	const pg_uuid_t *tenant;	/* NULL: as it is, for the template database */
	const char *schema;			/* where the copy goes */
	Oid			namespace;
	Oid			owner;
	Oid			registry_tenant;	/* tenancy.tenant */
	List	   *protected_relids;	/* rows of tenancy.protected_table: */
	List	   *protected_columns;	/* ... OIDs and names of columns */
	List	   *access_roles;	/* OIDs; read when first needed */
	bool		access_roles_read;
	bool		has_extension_members;
	bool		has_labels;
	bool		has_other_owners;

	Catalogs	catalogs;
	HTAB	   *by_address;
	List	   *objects;		/* wholes, in order of their OIDs */
	List	   *statistics;		/* rows of pg_statistic_ext */
	List	   *internal_functions; /* rows of pg_depend */
	List	   *types;			/* OIDs, and their default operator classes */
	List	   *opclasses;
	List	   *index_attachments;	/* statements */
	List	   *revokes;		/* GrantGroups */
	List	   *grants;
	List	   *refused;		/* descriptions */

	MemoryContext result_context;
	List	   *statements;
} Model;

static bool place(Model *m, Object *object);


/* ----------------------------------------------------------------
 * Reading the catalogs
 * ----------------------------------------------------------------
 */

/*
 * Start a scan of each catalog.  There are thousands of look-ups: to restart a
 * scan costs half of what a new one does.
 */
static void
open_catalogs(Catalogs *c)
{
	c->snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int i = 0; i < lengthof(catalogs); i++)
	{
		c->rel[i] = table_open(catalogs[i].relid, AccessShareLock);
		c->index[i] = index_open(catalogs[i].index, AccessShareLock);
		c->slot[i] = table_slot_create(c->rel[i], NULL);
		c->scan[i] = index_beginscan(c->rel[i], c->index[i], c->snapshot,
									 catalogs[i].nkeys, 0);
	}
}

static void
close_catalogs(Catalogs *c)
{
	for (int i = 0; i < lengthof(catalogs); i++)
	{
		index_endscan(c->scan[i]);
		ExecDropSingleTupleTableSlot(c->slot[i]);
		index_close(c->index[i], AccessShareLock);
		table_close(c->rel[i], AccessShareLock);
	}
	UnregisterSnapshot(c->snapshot);
}

/*
 * Copies of the rows of a catalog that a key selects, in the index's order;
 * of pg_attribute without the system columns.
 */
static List *
rows2(Catalogs *c, CatalogId id, Oid key1, Oid key2)
{
	List	   *list = NIL;
	ScanKeyData key[2];

	ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key1));
	if (id == CAT_ATTRIBUTE)
		ScanKeyInit(&key[1], 2, BTGreaterStrategyNumber, F_INT2GT, Int16GetDatum(0));
	else
		ScanKeyInit(&key[1], 2, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key2));
	index_rescan(c->scan[id], key, catalogs[id].nkeys, NULL, 0);
	while (index_getnext_slot(c->scan[id], ForwardScanDirection, c->slot[id]))
		list = lappend(list, ExecCopySlotHeapTuple(c->slot[id]));
	return list;
}

static List *
rows(Catalogs *c, CatalogId id, Oid key)
{
	return rows2(c, id, key, InvalidOid);
}

static Datum
attr(Catalogs *c, CatalogId id, HeapTuple row, AttrNumber attno, bool *isnull)
{
	return heap_getattr(row, attno, RelationGetDescr(c->rel[id]), isnull);
}

/* A column of type text or pg_node_tree, NULL if it is null. */
static char *
attr_text(Catalogs *c, CatalogId id, HeapTuple row, AttrNumber attno)
{
	bool		isnull;
	Datum		value = attr(c, id, row, attno, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A statistics target: an integer, smaller and nullable from version 17 on. */
static int
attr_target(Catalogs *c, CatalogId id, HeapTuple row, AttrNumber attno)
{
	bool		isnull;
	Datum		value = attr(c, id, row, attno, &isnull);
	TupleDesc	desc = RelationGetDescr(c->rel[id]);

	if (isnull)
		return -1;
	if (TupleDescAttr(desc, attno - 1)->atttypid == INT2OID)
		return DatumGetInt16(value);
	return DatumGetInt32(value);
}

#define ROW(type, tuple) ((type) GETSTRUCT((HeapTuple) (tuple)))

static char *
identifier(NameData name)
{
	return pstrdup(quote_identifier(NameStr(name)));
}

static char *
role_identifier(Oid role)
{
	return pstrdup(quote_identifier(GetUserNameFromId(role, false)));
}

static char *
tablespace_identifier(Oid tablespace)
{
	char	   *name = get_tablespace_name(tablespace);

	if (name == NULL)
		elog(ERROR, "cache lookup failed for tablespace %u", tablespace);
	return pstrdup(quote_identifier(name));
}


/* ----------------------------------------------------------------
 * Refusing, writing, finding
 * ----------------------------------------------------------------
 */

/* Note that an object cannot be copied; reason may be NULL. */
static void
refuse(Model *m, Oid classid, Oid oid, const char *reason)
{
	ObjectAddress address;
	char	   *description;
	ListCell   *lc;

	ObjectAddressSet(address, classid, oid);
	description = getObjectDescription(&address, true);
	if (description == NULL)
		return;					/* dropped meanwhile */
	if (reason != NULL)
		description = psprintf("%s (%s)", description, reason);
	foreach(lc, m->refused)
	{
		if (strcmp(lfirst(lc), description) == 0)
			return;
	}
	m->refused = lappend(m->refused, description);
}

static int
compare_strings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Raise the error that names what was refused, if anything was. */
static void
check_refused(Model *m)
{
	if (m->refused == NIL)
		return;
	list_sort(m->refused, compare_strings);
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot copy model schema \"%s\"", m->module->model_schema),
			 errdetail("It contains what a copy cannot have: %s.",
					   tenancy_ident_enumerate(m->refused)),
			 errhint("Change or drop these objects, or move them to a schema that is no module's.")));
}

/* Write a statement. */
static void
emit(Model *m, const char *sql)
{
	MemoryContext old = MemoryContextSwitchTo(m->result_context);

	m->statements = lappend(m->statements, pstrdup(sql));
	MemoryContextSwitchTo(old);
}

static void
set_address(Model *m, Oid classid, Oid oid, Object *object)
{
	ObjectKey	key = {classid, oid};
	ObjectEntry *entry;

	if (!OidIsValid(oid))
		return;
	entry = hash_search(m->by_address, &key, HASH_ENTER, NULL);
	entry->object = object;
}

static Object *
find_object(Model *m, Oid classid, Oid oid)
{
	ObjectKey	key = {classid, oid};
	ObjectEntry *entry = hash_search(m->by_address, &key, HASH_FIND, NULL);

	return entry ? entry->object : NULL;
}

/* A table or view of the model; NULL if the OID is of something else. */
static Table *
find_table(Model *m, Oid relid)
{
	Object	   *object = find_object(m, RelationRelationId, relid);

	if (object == NULL || object->oid != relid ||
		(object->kind != OBJ_TABLE && object->kind != OBJ_VIEW))
		return NULL;
	return (Table *) object;
}

/* Fill in an object (size bytes, so that it can be a Table's). */
static Object *
new_object(Model *m, ObjectKind kind, Size size, Oid classid, Oid oid, HeapTuple row)
{
	Object	   *object = palloc0(size);

	object->kind = kind;
	object->classid = classid;
	object->oid = oid;
	object->row = row;
	set_address(m, classid, oid, object);
	return object;
}

static void
add_whole(Model *m, Object *object, NameData name, List *dependencies)
{
	object->name = identifier(name);
	object->dependencies = dependencies;
	m->objects = lappend(m->objects, object);
}

static Object *
new_part(Model *m, Object *whole, ObjectKind kind, Oid classid, Oid oid, HeapTuple row)
{
	Object	   *part = new_object(m, kind, sizeof(Object), classid, oid, row);

	part->whole = whole;
	whole->parts = lappend(whole->parts, part);
	return part;
}

/* The kinds of objects that getObjectDescription() speaks of, for SQL. */
static const char *
object_keyword(const Object *object)
{
	switch (object->kind)
	{
		case OBJ_TYPE:
			return "TYPE";
		case OBJ_DOMAIN:
			return "DOMAIN";
		case OBJ_FUNCTION:
			return "ROUTINE";
		case OBJ_SEQUENCE:
			return "SEQUENCE";
		case OBJ_TABLE:
			return "TABLE";
		case OBJ_VIEW:
			return "VIEW";
		case OBJ_DEFAULT:
		case OBJ_CONSTRAINT:
			break;
	}
	elog(ERROR, "unexpected kind of object: %d", (int) object->kind);
	return NULL;				/* keep compiler quiet */
}

/* The row of a column. */
static Form_pg_attribute
find_column(const Table *table, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		if (att->attnum == attno)
			return att;
	}
	elog(ERROR, "column %d of table %s does not exist", attno, table->object.name);
	return NULL;				/* keep compiler quiet */
}

static Form_pg_attribute
find_column_by_name(const Table *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		if (strcmp(NameStr(att->attname), name) == 0)
			return att;
	}
	return NULL;
}

static Object *
find_default(const Table *table, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, table->object.parts)
	{
		Object	   *part = lfirst(lc);

		if (part->kind == OBJ_DEFAULT && part->attno == attno)
			return part;
	}
	return NULL;
}


/* ----------------------------------------------------------------
 * Reading the model
 * ----------------------------------------------------------------
 */

/*
 * The copy of what another role owns belongs to the module owner, which is
 * worth a warning.  Refuse it if it acts with its owner's rights: a view, a
 * SECURITY DEFINER function, rules.
 */
static void
check_owner(Model *m, Oid classid, Oid oid, Oid owner, bool acts_as_owner)
{
	if (owner == m->owner)
		return;
	if (acts_as_owner)
		refuse(m, classid, oid,
			   psprintf("owned by role %s", role_identifier(owner)));
	else
		m->has_other_owners = true;
}

static void
warn_of_other_owners(const Model *m)
{
	if (m->has_other_owners)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("not all objects in model schema \"%s\" belong to role %s, which owns it",
						m->module->model_schema, role_identifier(m->owner)),
				 errdetail("Their copies do."),
				 errhint("Use ALTER ... OWNER TO.")));
}

/* A security label's provider may refuse us, or know names of objects. */
static void
check_labels(Model *m, Oid classid, Oid oid)
{
	if (m->has_labels && rows2(&m->catalogs, CAT_SECLABEL, oid, classid) != NIL)
		refuse(m, classid, oid, "has a security label");
}

/* The first dependency of a type, or NULL. */
static HeapTuple
find_dependency(List *dependencies, char type)
{
	ListCell   *lc;

	foreach(lc, dependencies)
	{
		if (ROW(Form_pg_depend, lfirst(lc))->deptype == type)
			return lfirst(lc);
	}
	return NULL;
}

/*
 * Does an object come with another one: an extension, or (as a range type's
 * functions and casts) what PostgreSQL has made it along with?
 */
static bool
comes_with_other(Model *m, Oid classid, Oid oid)
{
	List	   *dependencies = rows2(&m->catalogs, CAT_DEPEND, classid, oid);

	return find_dependency(dependencies, DEPENDENCY_EXTENSION) != NULL ||
		find_dependency(dependencies, DEPENDENCY_INTERNAL) != NULL;
}

/* Casts and transforms have no schema, but would be missing from the copy. */
static void
check_type_users(Model *m, Oid type)
{
	ListCell   *lc;

	foreach(lc, rows2(&m->catalogs, CAT_REFERENCE, TypeRelationId, type))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if ((dep->classid == CastRelationId || dep->classid == TransformRelationId) &&
			!comes_with_other(m, dep->classid, dep->objid))
			refuse(m, dep->classid, dep->objid, NULL);
	}
}

static void
read_columns(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_ATTRIBUTE, table->object.oid))
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		if (att->attnum > 0 && !att->attisdropped)
			table->columns = lappend(table->columns, lfirst(lc));
	}
}

static void
read_defaults(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_ATTRDEF, table->object.oid))
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_attrdef def = ROW(Form_pg_attrdef, row);
		Object	   *part = new_part(m, &table->object, OBJ_DEFAULT,
									AttrDefaultRelationId, def->oid, row);

		part->attno = def->adnum;
		part->name = identifier(find_column(table, def->adnum)->attname);
		part->expr = stringToNode(attr_text(&m->catalogs, CAT_ATTRDEF, row,
											Anum_pg_attrdef_adbin));
	}
}

/*
 * Is this foreign key one that its parent makes?  Those of a partition are
 * copied nevertheless where their names are their own: the parent's then finds
 * and adopts them.
 */
static bool
comes_from_parent(Form_pg_constraint con)
{
	HeapTuple	tuple;
	Form_pg_constraint parent;
	bool		result;

	if (!OidIsValid(con->conparentid))
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(con->conparentid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", con->conparentid);
	parent = ROW(Form_pg_constraint, tuple);
	result = parent->conrelid == con->conrelid ||
		strcmp(NameStr(parent->conname), NameStr(con->conname)) == 0;
	ReleaseSysCache(tuple);
	return result;
}

/* Constraints of a table that have a definition of their own. */
static void
read_constraints(Model *m, Table *table)
{
	bool		partitioned = ROW(Form_pg_class, table->object.row)->relkind == RELKIND_PARTITIONED_TABLE;
	ListCell   *lc;

	table->constraints = rows(&m->catalogs, CAT_CONSTRAINT, table->object.oid);
	foreach(lc, table->constraints)
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_constraint con = ROW(Form_pg_constraint, row);
		bool		is_index = con->contype == CONSTRAINT_PRIMARY ||
			con->contype == CONSTRAINT_UNIQUE ||
			con->contype == CONSTRAINT_EXCLUSION;
		Object	   *part;

		if (!is_index && con->contype != CONSTRAINT_CHECK &&
			con->contype != CONSTRAINT_FOREIGN)
			continue;
		if (con->contype == CONSTRAINT_FOREIGN &&
			(comes_from_parent(con) ||
			 (m->tenant != NULL && con->confrelid == m->registry_tenant)))
			continue;

		part = new_part(m, &table->object, OBJ_CONSTRAINT, ConstraintRelationId,
						con->oid, row);
		part->name = identifier(con->conname);
		if (is_index)
			set_address(m, RelationRelationId, con->conindid, part);

		/*
		 * What is created with a new table counts as valid.  An index of a
		 * partitioned table comes after its partitions', to which it is then
		 * attached one by one.
		 */
		part->apart = !con->convalidated ||
			(partitioned && con->contype != CONSTRAINT_CHECK);
	}
}

/* PostgreSQL's own triggers are made with their constraint, and enabled. */
static void
read_triggers(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_TRIGGER, table->object.oid))
	{
		Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));

		if (!trigger->tgisinternal)
			table->triggers = lappend(table->triggers, lfirst(lc));
		else if (trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN)
			refuse(m, ConstraintRelationId, trigger->tgconstraint,
				   "its triggers are disabled");
	}
}

/* Statistics of a table; they have a schema and an owner of their own. */
static void
read_statistics(Model *m, Oid relid)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_STATISTICS, relid))
	{
		Form_pg_statistic_ext stat = ROW(Form_pg_statistic_ext, lfirst(lc));

		if (stat->stxnamespace != m->namespace)
			refuse(m, StatisticExtRelationId, stat->oid, "in another schema than its table");
		check_owner(m, StatisticExtRelationId, stat->oid, stat->stxowner, false);
		m->statistics = lappend(m->statistics, lfirst(lc));
	}
}

/*
 * Parents and children must be in the schema.  A parent outside would show the
 * rows of all tenants, past the policies on their tables.
 */
static void
read_inheritance(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_PARENTS, table->object.oid))
	{
		Oid			parent = ROW(Form_pg_inherits, lfirst(lc))->inhparent;

		if (get_rel_namespace(parent) != m->namespace)
			refuse(m, RelationRelationId, table->object.oid,
				   "its parent is in another schema");
		table->parents = lappend_oid(table->parents, parent);
	}
	if (!ROW(Form_pg_class, table->object.row)->relhassubclass)
		return;
	foreach(lc, rows(&m->catalogs, CAT_CHILDREN, table->object.oid))
	{
		Form_pg_inherits inh = ROW(Form_pg_inherits, lfirst(lc));

		if (get_rel_namespace(inh->inhrelid) != m->namespace)
			refuse(m, RelationRelationId, table->object.oid,
				   "has a child in another schema");
		if (inh->inhdetachpending)
			refuse(m, RelationRelationId, inh->inhrelid, "is being detached");
		table->children = lappend_oid(table->children, inh->inhrelid);
	}
}

static void
read_table(Model *m, Oid relid, HeapTuple row, List *dependencies)
{
	Form_pg_class class = ROW(Form_pg_class, row);
	Table	   *table = (Table *) new_object(m, OBJ_TABLE, sizeof(Table),
											 RelationRelationId, relid, row);

	add_whole(m, &table->object, class->relname, dependencies);
	set_address(m, TypeRelationId, class->reltype, &table->object);
	set_address(m, TypeRelationId, get_array_type(class->reltype), &table->object);
	check_type_users(m, class->reltype);
	read_columns(m, table);
	read_defaults(m, table);
	read_constraints(m, table);
	read_inheritance(m, table);
	read_statistics(m, relid);
	if (class->relhastriggers)
		read_triggers(m, table);
}

/*
 * Find a view's query, and refuse rules where pg_get_ruledef(), which compares
 * two OIDs in SQL, would call a stranger's operator.
 */
static void
read_rules(Model *m, Table *table)
{
	bool		planted = SearchSysCacheExists4(OPERNAMENSP,
												CStringGetDatum("="),
												ObjectIdGetDatum(OIDOID),
												ObjectIdGetDatum(OIDOID),
												ObjectIdGetDatum(m->namespace));
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_REWRITE, table->object.oid))
	{
		Form_pg_rewrite rule = ROW(Form_pg_rewrite, lfirst(lc));

		if (table->object.kind == OBJ_VIEW && rule->ev_type == '1')
		{
			table->return_rule = rule->oid;
			set_address(m, RewriteRelationId, rule->oid, &table->object);
		}
		else if (planted)
			refuse(m, RewriteRelationId, rule->oid,
				   "the schema has an operator that compares OIDs");
	}
}

static void
read_view(Model *m, Oid relid, HeapTuple row, List *dependencies)
{
	Form_pg_class class = ROW(Form_pg_class, row);
	Table	   *view = (Table *) new_object(m, OBJ_VIEW, sizeof(Table),
											RelationRelationId, relid, row);
	ListCell   *lc;

	add_whole(m, &view->object, class->relname, dependencies);
	set_address(m, TypeRelationId, class->reltype, &view->object);
	set_address(m, TypeRelationId, get_array_type(class->reltype), &view->object);
	check_type_users(m, class->reltype);
	read_columns(m, view);
	read_defaults(m, view);
	foreach(lc, view->object.parts)
		((Object *) lfirst(lc))->apart = true;
	if (class->relhastriggers)
		read_triggers(m, view);
}

static void
read_sequence(Model *m, Oid relid, HeapTuple row, List *dependencies)
{
	Object	   *sequence = new_object(m, OBJ_SEQUENCE, sizeof(Object),
									  RelationRelationId, relid, row);
	ListCell   *lc;

	add_whole(m, sequence, ROW(Form_pg_class, row)->relname, dependencies);
	foreach(lc, dependencies)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->refclassid != RelationRelationId || dep->refobjsubid == 0 ||
			(dep->deptype != DEPENDENCY_AUTO && dep->deptype != DEPENDENCY_INTERNAL))
			continue;
		sequence->owner_relid = dep->refobjid;
		sequence->owner_attno = dep->refobjsubid;
		sequence->identity = dep->deptype == DEPENDENCY_INTERNAL;
		if (get_rel_namespace(dep->refobjid) != m->namespace)
			refuse(m, RelationRelationId, relid, "owned by a table in another schema");
	}
}

static void
read_relation(Model *m, Oid relid, List *dependencies)
{
	HeapTuple	row = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class class;

	if (!HeapTupleIsValid(row))
		return;					/* dropped meanwhile */

	class = ROW(Form_pg_class, row);
	switch (class->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			read_table(m, relid, row, dependencies);
			break;
		case RELKIND_VIEW:
			read_view(m, relid, row, dependencies);
			break;
		case RELKIND_SEQUENCE:
			read_sequence(m, relid, row, dependencies);
			break;
		default:
			refuse(m, RelationRelationId, relid, NULL);
			return;
	}
	if (class->relhasrules)
		read_rules(m, find_table(m, relid));
	check_owner(m, RelationRelationId, relid, class->relowner,
				class->relkind == RELKIND_VIEW || class->relhasrules);
	check_labels(m, RelationRelationId, relid);
}

static void
read_domain_constraints(Model *m, Object *domain)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_DOMAIN_CONSTRAINT, domain->oid))
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));
		Object	   *part;

		if (con->contype != CONSTRAINT_CHECK)
			continue;
		part = new_part(m, domain, OBJ_CONSTRAINT, ConstraintRelationId,
						con->oid, lfirst(lc));
		part->name = identifier(con->conname);
		part->apart = !con->convalidated;
	}
}

static Oid
type_namespace(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(oid));
	Oid			namespace;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", oid);
	namespace = ROW(Form_pg_type, tuple)->typnamespace;
	ReleaseSysCache(tuple);
	return namespace;
}

/* A multirange comes with its range. */
static void
read_multirange(Model *m, Oid oid)
{
	if (type_namespace(get_multirange_range(oid)) != m->namespace)
		refuse(m, TypeRelationId, oid, "its range type is in another schema");
}

/* A range's canonical function cannot exist before the range does. */
static void
read_range(Model *m, Object *type)
{
	HeapTuple	tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(type->oid));
	Form_pg_range range;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for range type %u", type->oid);
	range = ROW(Form_pg_range, tuple);
	if (OidIsValid(range->rngcanonical))
		refuse(m, TypeRelationId, type->oid, "has a canonical function");
	if (type_namespace(range->rngmultitypid) != m->namespace)
		refuse(m, TypeRelationId, type->oid, "its multirange type is in another schema");
	set_address(m, TypeRelationId, range->rngmultitypid, type);
	set_address(m, TypeRelationId, get_array_type(range->rngmultitypid), type);
	ReleaseSysCache(tuple);
}

static void
read_type(Model *m, Oid oid, List *dependencies)
{
	HeapTuple	row = SearchSysCacheCopy1(TYPEOID, ObjectIdGetDatum(oid));
	Form_pg_type type;
	Object	   *object;

	if (!HeapTupleIsValid(row))
		return;					/* dropped meanwhile */
	type = ROW(Form_pg_type, row);
	if (type->typtype == TYPTYPE_MULTIRANGE)
	{
		read_multirange(m, oid);
		return;
	}
	if (!type->typisdefined ||
		(type->typtype != TYPTYPE_COMPOSITE && type->typtype != TYPTYPE_DOMAIN &&
		 type->typtype != TYPTYPE_ENUM && type->typtype != TYPTYPE_RANGE))
	{
		refuse(m, TypeRelationId, oid, NULL);
		return;
	}

	object = new_object(m, type->typtype == TYPTYPE_DOMAIN ? OBJ_DOMAIN : OBJ_TYPE,
						sizeof(Object), TypeRelationId, oid, row);
	add_whole(m, object, type->typname, dependencies);
	set_address(m, TypeRelationId, type->typarray, object);
	set_address(m, RelationRelationId, type->typrelid, object);
	check_type_users(m, oid);
	check_owner(m, TypeRelationId, oid, type->typowner, false);
	check_labels(m, TypeRelationId, oid);
	if (type->typtype == TYPTYPE_DOMAIN)
		read_domain_constraints(m, object);
	if (type->typtype == TYPTYPE_RANGE)
		read_range(m, object);
}

/* Why the module owner could not create this function; NULL if it can. */
static const char *
function_obstacle(Form_pg_proc proc)
{
	HeapTuple	tuple;
	Form_pg_language language;
	const char *obstacle = NULL;

	if (proc->prokind != PROKIND_FUNCTION && proc->prokind != PROKIND_PROCEDURE)
		return proc->prokind == PROKIND_AGGREGATE ? "aggregate" : "window function";
	if (proc->proleakproof)
		return "leakproof";
	if (OidIsValid(proc->prosupport))
		return "has a support function";

	tuple = SearchSysCache1(LANGOID, ObjectIdGetDatum(proc->prolang));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for language %u", proc->prolang);
	language = ROW(Form_pg_language, tuple);
	if (!language->lanpltrusted)
		obstacle = psprintf("in the untrusted language %s", NameStr(language->lanname));
	ReleaseSysCache(tuple);
	return obstacle;
}

static void
read_function(Model *m, Oid oid, List *dependencies)
{
	HeapTuple	row = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(oid));
	Form_pg_proc proc;
	HeapTuple	internal;
	const char *obstacle;
	Object	   *object;

	if (!HeapTupleIsValid(row))
		return;					/* dropped meanwhile */
	proc = ROW(Form_pg_proc, row);
	internal = find_dependency(dependencies, DEPENDENCY_INTERNAL);
	if (internal != NULL)
	{
		m->internal_functions = lappend(m->internal_functions, internal);
		return;
	}
	obstacle = function_obstacle(proc);
	if (obstacle != NULL)
	{
		refuse(m, ProcedureRelationId, oid, obstacle);
		return;
	}

	object = new_object(m, OBJ_FUNCTION, sizeof(Object), ProcedureRelationId, oid, row);
	add_whole(m, object, proc->proname, dependencies);
	check_owner(m, ProcedureRelationId, oid, proc->proowner, proc->prosecdef);
	check_labels(m, ProcedureRelationId, oid);
}

/* Something in the schema, by its address. */
static void
read_member(Model *m, Oid classid, Oid oid)
{
	List	   *dependencies;

	/* An extension only has its home here; its objects stay where they are. */
	if (classid == ExtensionRelationId)
		return;
	dependencies = rows2(&m->catalogs, CAT_DEPEND, classid, oid);
	if (find_dependency(dependencies, DEPENDENCY_EXTENSION) != NULL)
	{
		m->has_extension_members = true;
		return;
	}

	switch (classid)
	{
		case RelationRelationId:
			read_relation(m, oid, dependencies);
			break;
		case TypeRelationId:
			read_type(m, oid, dependencies);
			break;
		case ProcedureRelationId:
			read_function(m, oid, dependencies);
			break;
		case StatisticExtRelationId:
			/* read with its table, which read_members() makes sure of */
			break;
		default:
			refuse(m, classid, oid, NULL);
			break;
	}
}

static int
compare_members(const ListCell *a, const ListCell *b)
{
	Oid			x = ROW(Form_pg_depend, lfirst(a))->objid;
	Oid			y = ROW(Form_pg_depend, lfirst(b))->objid;

	return x < y ? -1 : x > y;
}

/* What is known by having read the whole schema. */
static void
connect_objects(Model *m)
{
	ListCell   *lc;

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);
		Table	   *table;

		/* An identity column's sequence is created by its table. */
		if (!object->identity)
			continue;
		table = find_table(m, object->owner_relid);
		if (table == NULL)
		{
			refuse(m, object->classid, object->oid, "its table stays where it is");
			continue;
		}
		table->sequences = lappend(table->sequences, object);
		object->whole = &table->object;
	}

	/* Who needs a range's constructor needs the range. */
	foreach(lc, m->internal_functions)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));
		Object	   *object = find_object(m, dep->refclassid, dep->refobjid);

		if (object != NULL)
			set_address(m, dep->classid, dep->objid, object);
	}
}

static bool
is_read_statistics(Model *m, Oid oid)
{
	ListCell   *lc;

	foreach(lc, m->statistics)
	{
		if (ROW(Form_pg_statistic_ext, lfirst(lc))->oid == oid)
			return true;
	}
	return false;
}

static bool
has_labels(Catalogs *c)
{
	SysScanDesc scan = systable_beginscan(c->rel[CAT_SECLABEL], InvalidOid,
										  false, NULL, 0, NULL);
	bool		result = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	return result;
}

/*
 * Read everything that is in the schema: all of it depends on it, but for
 * what is part of something else (indexes, row types, arrays).
 */
static void
read_members(Model *m)
{
	List	   *members = rows2(&m->catalogs, CAT_REFERENCE,
								NamespaceRelationId, m->namespace);
	ListCell   *lc;

	m->has_labels = has_labels(&m->catalogs);
	list_sort(members, compare_members);
	foreach(lc, members)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		/* Default privileges and publications hang on it with AUTO. */
		if (dep->deptype == DEPENDENCY_NORMAL)
			read_member(m, dep->classid, dep->objid);
	}
	foreach(lc, members)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->classid == StatisticExtRelationId &&
			!is_read_statistics(m, dep->objid))
			refuse(m, dep->classid, dep->objid, "its table is in another schema");
	}
	connect_objects(m);
}


/* ----------------------------------------------------------------
 * Order
 * ----------------------------------------------------------------
 */

/* Add the objects of the model that somebody with these dependencies needs. */
static List *
add_needs(Model *m, List *needs, List *dependencies)
{
	ListCell   *lc;

	foreach(lc, dependencies)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));
		Object	   *need;

		if (dep->refclassid == NamespaceRelationId)
			continue;
		need = find_object(m, dep->refclassid, dep->refobjid);
		if (need != NULL)
			needs = list_append_unique_ptr(needs, need);
	}
	return needs;
}

/* The same for the object or part at an address. */
static List *
add_needs_of(Model *m, List *needs, Oid classid, Oid oid)
{
	return add_needs(m, needs, rows2(&m->catalogs, CAT_DEPEND, classid, oid));
}

/*
 * What a constraint needs.  A foreign key must come after the index that it
 * points to: it stays apart if that is no constraint's, or a partitioned
 * table's.
 */
static List *
constraint_needs(Model *m, Object *part)
{
	Form_pg_constraint con = ROW(Form_pg_constraint, part->row);
	Object	   *referenced;
	Object	   *key;

	switch (con->contype)
	{
		case CONSTRAINT_FOREIGN:
			referenced = find_object(m, RelationRelationId, con->confrelid);
			if (referenced == NULL)
				return NIL;		/* outside of the model */
			key = find_object(m, RelationRelationId, con->conindid);
			if (key == NULL || key->apart)
				part->apart = true;
			if (part->apart)
				return NIL;
			return list_make2(referenced, key);
		case CONSTRAINT_PRIMARY:
		case CONSTRAINT_UNIQUE:
			return NIL;
		default:
			return add_needs_of(m, NIL, ConstraintRelationId, con->oid);
	}
}

/* Add the tables that are partitions of a table. */
static List *
add_partitions(Model *m, List *needs, const Table *table)
{
	ListCell   *lc;

	foreach(lc, table->children)
	{
		Object	   *child = find_object(m, RelationRelationId, lfirst_oid(lc));

		if (child != NULL)
			needs = list_append_unique_ptr(needs, child);
	}
	return needs;
}

/* The objects of the model that must be there before this one. */
static List *
find_needs(Model *m, Object *object)
{
	List	   *needs = add_needs(m, NIL, object->dependencies);
	Form_pg_constraint con;

	switch (object->kind)
	{
		case OBJ_TYPE:
			return add_needs_of(m, needs, RelationRelationId,
								ROW(Form_pg_type, object->row)->typrelid);
		case OBJ_VIEW:
			return add_needs_of(m, needs, RewriteRelationId,
								((Table *) object)->return_rule);
		case OBJ_SEQUENCE:
			return NIL;			/* what owns it is declared at the end */
		case OBJ_DEFAULT:
			if (IsA(object->expr, Const))
				return NIL;
			return add_needs_of(m, NIL, AttrDefaultRelationId, object->oid);
		case OBJ_CONSTRAINT:
			con = ROW(Form_pg_constraint, object->row);
			needs = constraint_needs(m, object);
			if (object->apart && OidIsValid(con->conrelid) &&
				con->contype != CONSTRAINT_FOREIGN)
				needs = add_partitions(m, needs, (Table *) object->whole);
			return needs;
		default:
			return needs;
	}
}

/*
 * Place what an object or part needs.  The whole of a part, and its other
 * parts, count as there, but for the key that a foreign key points to.
 */
static bool
place_needs(Model *m, Object *object)
{
	Object	   *whole = object->whole ? object->whole : object;
	ListCell   *lc;

	foreach(lc, find_needs(m, object))
	{
		Object	   *need = lfirst(lc);

		if (need == object && object->kind == OBJ_FUNCTION)
			refuse(m, ProcedureRelationId, object->oid, "calls itself in its SQL body");
		if (need == whole)
			continue;
		if (need->whole == whole)
		{
			if (need->kind == OBJ_CONSTRAINT && need->state != OBJ_PLACED)
				return false;
			continue;
		}
		if (!place(m, need))
			return false;
	}
	return true;
}

/*
 * A check that a child has only by inheritance comes from the parent, except
 * that a partition must have it before it is attached.
 */
static bool
is_inherited_check(Model *m, Object *part)
{
	Table	   *table = (Table *) part->whole;
	Table	   *parent;
	ListCell   *lc;

	if (part->kind != OBJ_CONSTRAINT || table->parents == NIL ||
		ROW(Form_pg_constraint, part->row)->contype != CONSTRAINT_CHECK ||
		ROW(Form_pg_constraint, part->row)->conislocal)
		return false;
	if (!ROW(Form_pg_class, table->object.row)->relispartition)
		return true;

	parent = find_table(m, linitial_oid(table->parents));
	foreach(lc, parent->object.parts)
	{
		Object	   *theirs = lfirst(lc);

		if (theirs->kind == OBJ_CONSTRAINT && strcmp(theirs->name, part->name) == 0)
			return theirs->state != OBJ_PLACED || theirs->inherited;
	}
	return true;
}

/* Does the column come from a parent that the table is created with? */
static bool
is_inherited_column(const Table *table, Form_pg_attribute att)
{
	return table->inherits && att->attinhcount > 0;
}

/*
 * A default of an inherited column is set afterwards; a generation expression
 * comes with the column.
 */
static void
classify_default(Table *table, Object *part)
{
	Form_pg_attribute att;

	if (part->kind != OBJ_DEFAULT || table->object.kind != OBJ_TABLE)
		return;
	att = find_column(table, part->attno);
	if (!is_inherited_column(table, att) || att->attislocal)
		return;
	if (att->attgenerated != '\0')
		part->state = OBJ_PLACED;
	else
		part->apart = true;
}

static bool
is_foreign_key(const Object *part)
{
	return part->kind == OBJ_CONSTRAINT &&
		ROW(Form_pg_constraint, part->row)->contype == CONSTRAINT_FOREIGN;
}

/* Decide which parts are created together with their whole. */
static void
place_parts(Model *m, Object *whole, bool foreign_keys)
{
	ListCell   *lc;

	foreach(lc, whole->parts)
	{
		Object	   *part = lfirst(lc);

		if (is_foreign_key(part) != foreign_keys)
			continue;
		if (whole->kind == OBJ_TABLE)
		{
			classify_default((Table *) whole, part);
			if (is_inherited_check(m, part))
			{
				part->inherited = true;
				part->state = OBJ_PLACED;
			}
		}
		if (part->state != OBJ_PLACED && !part->apart &&
			place_needs(m, part) && !part->apart)
		{
			part->inlined = true;
			part->state = OBJ_PLACED;
		}
	}
}

/* A generated column cannot get its expression later. */
static bool
place_generated(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, table->object.parts)
	{
		Object	   *part = lfirst(lc);

		if (part->kind == OBJ_DEFAULT &&
			find_column(table, part->attno)->attgenerated != '\0' &&
			!place_needs(m, part))
			return false;
	}
	return true;
}


/* ----------------------------------------------------------------
 * Expressions, options
 * ----------------------------------------------------------------
 */

/* An expression over a table's columns, or (table is NULL) over none. */
static char *
deparse(Table *table, Node *expr)
{
	if (table != NULL && table->context == NIL)
		table->context = deparse_context_for(NameStr(ROW(Form_pg_class, table->object.row)->relname),
											 table->object.oid);
	return deparse_expression(expr, table ? table->context : NIL, false, false);
}

static char *
constraint_definition(const Object *part)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
												   ObjectIdGetDatum(part->oid)));
}

/* "name=value" as in reloptions, as "name='value'". */
static void
append_option(StringInfo buf, const char *prefix, char *option)
{
	char	   *value = strchr(option, '=');

	if (value == NULL)
		elog(ERROR, "invalid option \"%s\"", option);
	*value++ = '\0';
	if (strcmp(option, ATTRIBUTE_VERSION_ATTOPTION) == 0)
		return;
	appendStringInfo(buf, "%s%s%s=%s", buf->len > 0 ? ", " : "", prefix,
					 quote_identifier(option), quote_literal_cstr(value));
}

static void
append_options(StringInfo buf, const char *prefix, Datum options)
{
	Datum	   *values;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(options), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
		append_option(buf, prefix, TextDatumGetCString(values[i]));
}

/* The options of a relation, with a table's TOAST table's. */
static char *
relation_options(HeapTuple class_row)
{
	Oid			toast = ROW(Form_pg_class, class_row)->reltoastrelid;
	StringInfoData buf;
	bool		isnull;
	Datum		options;

	initStringInfo(&buf);
	options = SysCacheGetAttr(RELOID, class_row, Anum_pg_class_reloptions, &isnull);
	if (!isnull)
		append_options(&buf, "", options);
	if (OidIsValid(toast))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(toast));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for relation %u", toast);
		options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
		if (!isnull)
			append_options(&buf, "toast.", options);
		ReleaseSysCache(tuple);
	}
	return buf.data;
}


/* ----------------------------------------------------------------
 * Types
 * ----------------------------------------------------------------
 */

static void
create_enum(Model *m, Object *object)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE TYPE %s AS ENUM (", object->name);
	foreach(lc, rows(&m->catalogs, CAT_ENUM, object->oid))
	{
		Form_pg_enum label = ROW(Form_pg_enum, lfirst(lc));

		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_literal_cstr(NameStr(label->enumlabel)));
	}
	appendStringInfoChar(&buf, ')');
	emit(m, buf.data);
}

static void
append_type_and_collation(StringInfo buf, Form_pg_attribute att)
{
	appendStringInfo(buf, " %s", format_type_with_typemod(att->atttypid, att->atttypmod));
	if (OidIsValid(att->attcollation) &&
		att->attcollation != get_typcollation(att->atttypid))
		appendStringInfo(buf, " COLLATE %s", generate_collation_name(att->attcollation));
}

static void
create_composite(Model *m, Object *object)
{
	Oid			relid = ROW(Form_pg_type, object->row)->typrelid;
	bool		first = true;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE TYPE %s AS (", object->name);
	foreach(lc, rows(&m->catalogs, CAT_ATTRIBUTE, relid))
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		if (att->attnum <= 0 || att->attisdropped)
			continue;
		appendStringInfo(&buf, "%s%s", first ? "" : ", ", identifier(att->attname));
		append_type_and_collation(&buf, att);
		first = false;
	}
	appendStringInfoChar(&buf, ')');
	emit(m, buf.data);
}

/* A function's name alone; its arguments are known where it is called. */
static const char *
function_name(Model *m, Oid oid)
{
	Oid			namespace = get_func_namespace(oid);

	return quote_qualified_identifier(namespace == m->namespace ? NULL : get_namespace_name(namespace),
									  get_func_name(oid));
}

static void
create_range(Model *m, Object *object)
{
	HeapTuple	tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(object->oid));
	Form_pg_range range;
	StringInfoData buf;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for range type %u", object->oid);
	range = ROW(Form_pg_range, tuple);
	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE TYPE %s AS RANGE (subtype = %s, subtype_opclass = %s",
					 object->name, format_type_be(range->rngsubtype),
					 generate_opclass_name(range->rngsubopc));
	if (OidIsValid(range->rngcollation))
		appendStringInfo(&buf, ", collation = %s",
						 generate_collation_name(range->rngcollation));
	if (OidIsValid(range->rngsubdiff))
		appendStringInfo(&buf, ", subtype_diff = %s",
						 function_name(m, range->rngsubdiff));
	appendStringInfo(&buf, ", multirange_type_name = %s)",
					 format_type_be(range->rngmultitypid));
	ReleaseSysCache(tuple);
	emit(m, buf.data);
}

static void
append_inlined_constraints(StringInfo buf, const Object *whole, const char *separator,
						   bool *first)
{
	ListCell   *lc;

	foreach(lc, whole->parts)
	{
		Object	   *part = lfirst(lc);

		if (part->kind != OBJ_CONSTRAINT || !part->inlined)
			continue;
		appendStringInfo(buf, "%sCONSTRAINT %s %s", *first ? "" : separator,
						 part->name, constraint_definition(part));
		*first = false;
	}
}

static void
create_domain(Model *m, Object *object)
{
	Form_pg_type type = ROW(Form_pg_type, object->row);
	bool		first = false;
	StringInfoData buf;
	bool		isnull;
	Datum		value;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE DOMAIN %s AS %s", object->name,
					 format_type_with_typemod(type->typbasetype, type->typtypmod));
	if (OidIsValid(type->typcollation) &&
		type->typcollation != get_typcollation(type->typbasetype))
		appendStringInfo(&buf, " COLLATE %s", generate_collation_name(type->typcollation));
	value = SysCacheGetAttr(TYPEOID, object->row, Anum_pg_type_typdefaultbin, &isnull);
	if (!isnull)
		appendStringInfo(&buf, " DEFAULT %s",
						 deparse(NULL, stringToNode(TextDatumGetCString(value))));
	if (type->typnotnull)
		appendStringInfoString(&buf, " NOT NULL");
	append_inlined_constraints(&buf, object, " ", &first);
	emit(m, buf.data);
}

static void
create_type(Model *m, Object *object)
{
	switch (ROW(Form_pg_type, object->row)->typtype)
	{
		case TYPTYPE_ENUM:
			create_enum(m, object);
			break;
		case TYPTYPE_COMPOSITE:
			create_composite(m, object);
			break;
		default:
			create_range(m, object);
			break;
	}
}


/* ----------------------------------------------------------------
 * Functions
 * ----------------------------------------------------------------
 */

/*
 * Append a list of names, as settings like search_path hold them, with one of
 * the names replaced.  Returns whether it was there.
 */
static bool
append_names(StringInfo buf, const char *setting, char *value,
			 const char *from, const char *to)
{
	List	   *names;
	bool		found = false;
	ListCell   *lc;

	if (!SplitGUCList(value, ',', &names))
		elog(ERROR, "invalid list syntax in setting \"%s\"", setting);
	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		if (from != NULL && strcmp(name, from) == 0)
		{
			name = to;
			found = true;
		}
		appendStringInfo(buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_literal_cstr(name));
	}
	if (names == NIL)
		appendStringInfoString(buf, "''");
	return found;
}

/*
 * A function's "name=value"; lists of names are quoted name by name.  Where
 * search_path names the model schema, the copy's names its own.
 */
static void
append_setting(Model *m, StringInfo buf, char *setting)
{
	char	   *value = strchr(setting, '=');
	bool		is_path;

	if (value == NULL)
		return;
	*value++ = '\0';
	appendStringInfo(buf, " SET %s TO ", quote_identifier(setting));
	is_path = strcmp(setting, "search_path") == 0;
	if ((GetConfigOptionFlags(setting, true) & GUC_LIST_QUOTE) == 0)
		appendStringInfoString(buf, quote_literal_cstr(value));
	else
		(void) append_names(buf, setting, value,
							is_path ? m->module->model_schema : NULL, m->schema);
}

static void
append_settings(Model *m, HeapTuple row, StringInfo buf)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, row,
										 Anum_pg_proc_proconfig, &isnull);
	Datum	   *values;
	int			count;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
		append_setting(m, buf, TextDatumGetCString(values[i]));
}

static void
append_transforms(StringInfo buf, HeapTuple row)
{
	bool		isnull;
	Datum		types = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_protrftypes, &isnull);
	Datum	   *values;
	int			count;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(types), OIDOID, sizeof(Oid), true,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
		appendStringInfo(buf, "%s FOR TYPE %s", i == 0 ? " TRANSFORM" : ",",
						 format_type_be(DatumGetObjectId(values[i])));
}

static void
append_function_properties(StringInfo buf, Form_pg_proc proc)
{
	if (proc->provolatile == PROVOLATILE_IMMUTABLE)
		appendStringInfoString(buf, " IMMUTABLE");
	else if (proc->provolatile == PROVOLATILE_STABLE)
		appendStringInfoString(buf, " STABLE");
	if (proc->proparallel == PROPARALLEL_SAFE)
		appendStringInfoString(buf, " PARALLEL SAFE");
	else if (proc->proparallel == PROPARALLEL_RESTRICTED)
		appendStringInfoString(buf, " PARALLEL RESTRICTED");
	if (proc->proisstrict)
		appendStringInfoString(buf, " STRICT");
	if (proc->prosecdef)
		appendStringInfoString(buf, " SECURITY DEFINER");
	if (proc->prokind == PROKIND_FUNCTION)
		appendStringInfo(buf, " COST %.9g", proc->procost);
	if (proc->proretset)
		appendStringInfo(buf, " ROWS %.9g", proc->prorows);
}

static void
append_function_body(StringInfo buf, HeapTuple row)
{
	Datum		oid = ObjectIdGetDatum(ROW(Form_pg_proc, row)->oid);
	bool		isnull;
	Datum		value;

	(void) SysCacheGetAttr(PROCOID, row, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
	{
		value = DirectFunctionCall1(pg_get_function_sqlbody, oid);
		appendStringInfo(buf, " %s", TextDatumGetCString(value));
		return;
	}
	value = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_prosrc, &isnull);
	appendStringInfo(buf, " AS %s", quote_literal_cstr(TextDatumGetCString(value)));
}

/* What pg_get_functiondef() would say if it did not qualify the name. */
static void
create_function(Model *m, Object *object)
{
	Form_pg_proc proc = ROW(Form_pg_proc, object->row);
	Datum		oid = ObjectIdGetDatum(object->oid);
	char	   *language = get_language_name(proc->prolang, false);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %s %s(%s)",
					 proc->prokind == PROKIND_PROCEDURE ? "PROCEDURE" : "FUNCTION",
					 object->name,
					 TextDatumGetCString(DirectFunctionCall1(pg_get_function_arguments, oid)));
	if (proc->prokind == PROKIND_FUNCTION)
		appendStringInfo(&buf, " RETURNS %s",
						 TextDatumGetCString(DirectFunctionCall1(pg_get_function_result, oid)));
	append_transforms(&buf, object->row);
	appendStringInfo(&buf, " LANGUAGE %s", quote_identifier(language));
	append_function_properties(&buf, proc);
	append_settings(m, object->row, &buf);
	append_function_body(&buf, object->row);
	emit(m, buf.data);
}

/* A function as other statements call it. */
static char *
function_signature(const Object *object)
{
	Datum		args = DirectFunctionCall1(pg_get_function_identity_arguments,
										   ObjectIdGetDatum(object->oid));

	return psprintf("%s(%s)", object->name, TextDatumGetCString(args));
}


/* ----------------------------------------------------------------
 * Sequences
 * ----------------------------------------------------------------
 */

static Form_pg_sequence
sequence_row(Model *m, const Object *sequence)
{
	List	   *list = rows(&m->catalogs, CAT_SEQUENCE, sequence->oid);

	if (list == NIL)
		elog(ERROR, "cache lookup failed for sequence %u", sequence->oid);
	return ROW(Form_pg_sequence, linitial(list));
}

static void
append_sequence_options(StringInfo buf, Form_pg_sequence seq)
{
	appendStringInfo(buf, " INCREMENT BY " INT64_FORMAT " MINVALUE " INT64_FORMAT
					 " MAXVALUE " INT64_FORMAT " START WITH " INT64_FORMAT
					 " CACHE " INT64_FORMAT "%s",
					 seq->seqincrement, seq->seqmin, seq->seqmax, seq->seqstart,
					 seq->seqcache, seq->seqcycle ? " CYCLE" : "");
}

static void
create_sequence(Model *m, Object *object)
{
	Form_pg_class class = ROW(Form_pg_class, object->row);
	Form_pg_sequence seq = sequence_row(m, object);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sSEQUENCE %s AS %s",
					 class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
					 object->name, format_type_be(seq->seqtypid));
	append_sequence_options(&buf, seq);
	emit(m, buf.data);
}

/* The sequence of an identity column. */
static Object *
find_identity_sequence(const Table *table, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, table->sequences)
	{
		Object	   *sequence = lfirst(lc);

		if (sequence->owner_attno == attno)
			return sequence;
	}
	elog(ERROR, "column %d of table %s has no sequence", attno, table->object.name);
	return NULL;				/* keep compiler quiet */
}

/* The sequence is of the column's type, unless somebody changed it. */
static void
append_identity(Model *m, StringInfo buf, const Table *table, Form_pg_attribute att)
{
	Object	   *sequence = find_identity_sequence(table, att->attnum);
	Form_pg_sequence seq = sequence_row(m, sequence);

	appendStringInfo(buf, " GENERATED %s AS IDENTITY (SEQUENCE NAME %s",
					 att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS ? "ALWAYS" : "BY DEFAULT",
					 sequence->name);
	if (seq->seqtypid == att->atttypid)
		append_sequence_options(buf, seq);
	appendStringInfoChar(buf, ')');
}

/* What cannot be said of an identity column's sequence when it is created. */
static void
adjust_identity_sequences(Model *m, const Table *table)
{
	char		persistence = ROW(Form_pg_class, table->object.row)->relpersistence;
	ListCell   *lc;

	foreach(lc, table->sequences)
	{
		Object	   *sequence = lfirst(lc);
		Form_pg_class class = ROW(Form_pg_class, sequence->row);
		Form_pg_sequence seq = sequence_row(m, sequence);

		sequence->state = OBJ_PLACED;
		if (seq->seqtypid != find_column(table, sequence->owner_attno)->atttypid)
		{
			StringInfoData buf;

			initStringInfo(&buf);
			appendStringInfo(&buf, "ALTER SEQUENCE %s AS %s", sequence->name,
							 format_type_be(seq->seqtypid));
			append_sequence_options(&buf, seq);
			appendStringInfo(&buf, " RESTART");
			emit(m, buf.data);
		}
		if (class->relpersistence != persistence)
			emit(m, psprintf("ALTER SEQUENCE %s SET %s", sequence->name,
							 class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED" : "LOGGED"));
	}
}


/* ----------------------------------------------------------------
 * Tables
 * ----------------------------------------------------------------
 */

static const char *
compression_name(char compression)
{
	return compression == 'l' ? "lz4" : compression == 'p' ? "pglz" : "default";
}

/* "name type ...", or for a typed table what is to be said beyond its type. */
static void
append_column(Model *m, StringInfo buf, Table *table, Form_pg_attribute att, bool typed)
{
	Object	   *def = find_default(table, att->attnum);

	appendStringInfoString(buf, identifier(att->attname));
	if (typed)
		appendStringInfoString(buf, " WITH OPTIONS");
	else
		append_type_and_collation(buf, att);
	if (att->attcompression != '\0' && !typed && !is_inherited_column(table, att))
		appendStringInfo(buf, " COMPRESSION %s", compression_name(att->attcompression));
	if (def != NULL && def->inlined && att->attgenerated != '\0')
		appendStringInfo(buf, " GENERATED ALWAYS AS (%s) %s", deparse(table, def->expr),
						 att->attgenerated == ATTRIBUTE_GENERATED_STORED ? "STORED" : "VIRTUAL");
	else if (def != NULL && def->inlined)
		appendStringInfo(buf, " DEFAULT %s", deparse(NULL, def->expr));
	if (att->attidentity != '\0')
		append_identity(m, buf, table, att);
	if (att->attnotnull)
		appendStringInfoString(buf, " NOT NULL");
}

static void
append_columns(Model *m, StringInfo buf, Table *table, bool *first)
{
	bool		typed = OidIsValid(ROW(Form_pg_class, table->object.row)->reloftype);
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));
		Object	   *def = find_default(table, att->attnum);

		if (is_inherited_column(table, att) && !att->attislocal)
			continue;
		if (typed && !att->attnotnull && att->attidentity == '\0' &&
			(def == NULL || !def->inlined))
			continue;
		if (!*first)
			appendStringInfoString(buf, ", ");
		append_column(m, buf, table, att, typed);
		*first = false;
	}
}

/* "(parent, ...)" */
static char *
parent_list(const Table *table)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, table->parents)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(get_rel_name(lfirst_oid(lc))));
	return buf.data;
}

/* What follows the columns. */
static void
append_table_properties(StringInfo buf, const Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	char	   *options = relation_options(table->object.row);

	if (table->inherits)
		appendStringInfo(buf, " INHERITS (%s)", parent_list(table));
	if (class->relkind == RELKIND_PARTITIONED_TABLE)
		appendStringInfo(buf, " PARTITION BY %s",
						 TextDatumGetCString(DirectFunctionCall1(pg_get_partkeydef,
																 ObjectIdGetDatum(table->object.oid))));
	if (OidIsValid(class->relam) && class->relam != HEAP_TABLE_AM_OID)
		appendStringInfo(buf, " USING %s", quote_identifier(get_am_name(class->relam)));
	if (options[0] != '\0')
		appendStringInfo(buf, " WITH (%s)", options);
	if (OidIsValid(class->reltablespace))
		appendStringInfo(buf, " TABLESPACE %s", tablespace_identifier(class->reltablespace));
}

/*
 * Would CREATE TABLE ... INHERITS put the columns in the order in which they
 * are: the parents' first, then its own?
 */
static bool
has_natural_order(Model *m, const Table *table)
{
	List	   *expected = NIL; /* names */
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table->parents)
	{
		foreach(lc2, find_table(m, lfirst_oid(lc))->columns)
		{
			char	   *name = NameStr(ROW(Form_pg_attribute, lfirst(lc2))->attname);
			bool		found = false;
			ListCell   *lc3;

			foreach(lc3, expected)
				found = found || strcmp(lfirst(lc3), name) == 0;
			if (!found)
				expected = lappend(expected, name);
		}
	}
	if (list_length(expected) > list_length(table->columns))
		return false;
	forboth(lc, expected, lc2, table->columns)
	{
		if (strcmp(lfirst(lc), NameStr(ROW(Form_pg_attribute, lfirst(lc2))->attname)) != 0)
			return false;
	}
	return true;
}

/* Is all that comes from the parents also the table's own? */
static bool
is_all_local(const Table *table)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		if (!ROW(Form_pg_attribute, lfirst(lc))->attislocal)
			return false;
	}
	foreach(lc, table->object.parts)
	{
		Object	   *part = lfirst(lc);

		if (part->kind == OBJ_CONSTRAINT &&
			ROW(Form_pg_constraint, part->row)->contype == CONSTRAINT_CHECK &&
			!ROW(Form_pg_constraint, part->row)->conislocal)
			return false;
	}
	return true;
}

/*
 * Decide how a child gets to its parents: created with them, or afterwards.
 * The parents have been placed.
 */
static void
choose_inheritance(Model *m, Table *table)
{
	if (table->parents == NIL || ROW(Form_pg_class, table->object.row)->relispartition)
		return;
	table->inherits = has_natural_order(m, table);
	if (!table->inherits && !is_all_local(table))
		refuse(m, RelationRelationId, table->object.oid,
			   "has inherited columns in another order than its parents");
}

static void
attach_partition(Model *m, const Table *table)
{
	bool		isnull;
	Datum		bound = SysCacheGetAttr(RELOID, table->object.row,
										Anum_pg_class_relpartbound, &isnull);

	if (isnull)
		elog(ERROR, "partition %s has no bound", table->object.name);
	emit(m, psprintf("ALTER TABLE ONLY %s ATTACH PARTITION %s %s",
					 quote_identifier(get_rel_name(linitial_oid(table->parents))),
					 table->object.name,
					 deparse(NULL, stringToNode(TextDatumGetCString(bound)))));
}

/* Make an inherited column an identity column. */
static void
add_inherited_identities(Model *m, const Table *table)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));
		char	   *prefix;
		StringInfoData buf;

		if (!is_inherited_column(table, att) || att->attislocal || att->attidentity == '\0')
			continue;
		prefix = psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s",
						  table->object.name, identifier(att->attname));
		emit(m, psprintf("%s SET NOT NULL", prefix));
		initStringInfo(&buf);
		appendStringInfo(&buf, "%s ADD", prefix);
		append_identity(m, &buf, table, att);
		emit(m, buf.data);
	}
}

static void
create_table(Model *m, Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	bool		first = true;
	int			start;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sTABLE %s ",
					 class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED " : "",
					 table->object.name);
	if (OidIsValid(class->reloftype))
		appendStringInfo(&buf, "OF %s ", format_type_be(class->reloftype));
	start = buf.len;
	appendStringInfoChar(&buf, '(');
	append_columns(m, &buf, table, &first);
	append_inlined_constraints(&buf, &table->object, ", ", &first);
	appendStringInfoChar(&buf, ')');
	if (first && OidIsValid(class->reloftype))
	{
		/* "()" is not accepted here. */
		buf.len = start;
		buf.data[start] = '\0';
	}
	append_table_properties(&buf, table);
	emit(m, buf.data);

	if (class->relispartition)
		attach_partition(m, table);
	else if (!table->inherits)
	{
		foreach(lc, table->parents)
			emit(m, psprintf("ALTER TABLE %s INHERIT %s", table->object.name,
							 quote_identifier(get_rel_name(lfirst_oid(lc)))));
	}
	add_inherited_identities(m, table);
	adjust_identity_sequences(m, table);
}

static void
create_view(Model *m, Table *view)
{
	char	   *options = relation_options(view->object.row);
	StringInfoData buf;
	ListCell   *lc;
	Query	   *query = NULL;

	foreach(lc, rows(&m->catalogs, CAT_REWRITE, view->object.oid))
	{
		if (ROW(Form_pg_rewrite, lfirst(lc))->oid == view->return_rule)
			query = linitial(stringToNode(attr_text(&m->catalogs, CAT_REWRITE, lfirst(lc),
													Anum_pg_rewrite_ev_action)));
	}
	if (query == NULL)
		elog(ERROR, "view %s has no query", view->object.name);

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE VIEW %s", view->object.name);
	foreach(lc, view->columns)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : " (",
						 identifier(ROW(Form_pg_attribute, lfirst(lc))->attname));
	appendStringInfo(&buf, "%s", view->columns != NIL ? ")" : "");
	if (options[0] != '\0')
		appendStringInfo(&buf, " WITH (%s)", options);
	appendStringInfo(&buf, " AS %s", pg_get_querydef(query, false));
	emit(m, buf.data);
}

/* A default or constraint that was not created with its whole. */
static void
add_part(Model *m, Object *part)
{
	Object	   *whole = part->whole;

	if (part->kind == OBJ_DEFAULT)
		emit(m, psprintf("ALTER %s %s ALTER COLUMN %s SET DEFAULT %s",
						 whole->kind == OBJ_VIEW ? "VIEW" : "TABLE ONLY",
						 whole->name, part->name, deparse(NULL, part->expr)));
	else
	{
		/* Checks go on to children, indexes of partitioned tables do not. */
		bool		only = whole->kind == OBJ_TABLE &&
			ROW(Form_pg_constraint, part->row)->contype != CONSTRAINT_CHECK;

		emit(m, psprintf("ALTER %s %s%s ADD CONSTRAINT %s %s", object_keyword(whole),
						 only ? "ONLY " : "", whole->name, part->name,
						 constraint_definition(part)));
	}
}

static void
create(Model *m, Object *object)
{
	switch (object->kind)
	{
		case OBJ_TYPE:
			create_type(m, object);
			break;
		case OBJ_DOMAIN:
			create_domain(m, object);
			break;
		case OBJ_FUNCTION:
			create_function(m, object);
			break;
		case OBJ_SEQUENCE:
			create_sequence(m, object);
			break;
		case OBJ_TABLE:
			create_table(m, (Table *) object);
			break;
		case OBJ_VIEW:
			create_view(m, (Table *) object);
			break;
		case OBJ_DEFAULT:
		case OBJ_CONSTRAINT:
			add_part(m, object);
			break;
	}
}

/*
 * Write an object's statement, after those of what it needs.  Returns false,
 * having written no statement for it, if it needs something that is being
 * placed: a circle, which the caller may be able to break.
 */
static bool
place(Model *m, Object *object)
{
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();

	if (object->state == OBJ_WAITING && object->whole != NULL &&
		object->whole->state != OBJ_PLACED && !place(m, object->whole))
		return false;
	if (object->state != OBJ_WAITING)
		return object->state == OBJ_PLACED;

	object->state = OBJ_PLACING;
	if (!place_needs(m, object) ||
		(object->kind == OBJ_TABLE && !place_generated(m, (Table *) object)))
	{
		object->state = OBJ_WAITING;
		return false;
	}
	if (object->kind == OBJ_TABLE)
		choose_inheritance(m, (Table *) object);
	place_parts(m, object, false);
	place_parts(m, object, true);
	create(m, object);
	object->state = OBJ_PLACED;
	return true;
}

/* Place everything but the foreign keys that stay apart. */
static void
place_all(Model *m)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if (!place(m, object))
			refuse(m, object->classid, object->oid, "its definition needs itself");
	}
	check_refused(m);
	foreach(lc, m->objects)
	{
		foreach(lc2, ((Object *) lfirst(lc))->parts)
		{
			Object	   *part = lfirst(lc2);

			if (!is_foreign_key(part) && !place(m, part))
				refuse(m, part->classid, part->oid, "its definition needs itself");
		}
	}
}


/* ----------------------------------------------------------------
 * What comes last: indexes, foreign keys, triggers, ...
 * ----------------------------------------------------------------
 */

static void
add_action(Table *table, char *action)
{
	table->actions = lappend(table->actions, action);
}

/* ALTER ... DEPENDS ON EXTENSION */
static void
add_extension_needs(Model *m, List *dependencies, const char *what)
{
	ListCell   *lc;

	foreach(lc, dependencies)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->deptype == DEPENDENCY_AUTO_EXTENSION)
			emit(m, psprintf("ALTER %s DEPENDS ON EXTENSION %s", what,
							 quote_identifier(get_extension_name(dep->refobjid))));
	}
}

static void
own_sequence(Model *m, const Object *sequence)
{
	Table	   *table;

	if (sequence->identity || !OidIsValid(sequence->owner_relid))
		return;
	table = find_table(m, sequence->owner_relid);
	if (table == NULL)
		elog(ERROR, "sequence %s is owned by an unknown table", sequence->name);
	emit(m, psprintf("ALTER SEQUENCE %s OWNED BY %s.%s", sequence->name, table->object.name,
					 identifier(find_column(table, sequence->owner_attno)->attname)));
}

/* What neither a constraint's definition nor pg_get_indexdef() says. */
static void
adjust_index(Model *m, HeapTuple row, const char *name, bool is_constraint)
{
	Form_pg_index index = ROW(Form_pg_index, row);
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index->indexrelid));
	Form_pg_class class;
	char	   *options;
	bool		no_expressions;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index->indexrelid);
	class = ROW(Form_pg_class, tuple);
	options = is_constraint ? relation_options(tuple) : "";
	if (!index->indisvalid && class->relkind == RELKIND_INDEX)
		refuse(m, RelationRelationId, index->indexrelid, "not valid");
	if (options[0] != '\0')
		emit(m, psprintf("ALTER INDEX %s SET (%s)", name, options));
	if (OidIsValid(class->reltablespace))
		emit(m, psprintf("ALTER INDEX %s SET TABLESPACE %s", name,
						 tablespace_identifier(class->reltablespace)));
	ReleaseSysCache(tuple);

	/* Only columns that are expressions can have statistics targets. */
	(void) attr(&m->catalogs, CAT_INDEX, row, Anum_pg_index_indexprs, &no_expressions);
	if (no_expressions)
		return;
	foreach(lc, rows(&m->catalogs, CAT_ATTRIBUTE, index->indexrelid))
	{
		int			target = attr_target(&m->catalogs, CAT_ATTRIBUTE, lfirst(lc),
										 Anum_pg_attribute_attstattarget);

		if (target >= 0)
			emit(m, psprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d", name,
							 ROW(Form_pg_attribute, lfirst(lc))->attnum, target));
	}
}

static int
compare_indexes(const ListCell *a, const ListCell *b)
{
	Oid			x = ROW(Form_pg_index, lfirst(a))->indexrelid;
	Oid			y = ROW(Form_pg_index, lfirst(b))->indexrelid;

	return x < y ? -1 : x > y;
}

/* A partition's index is a part of its parent's. */
static void
note_attachment(Model *m, Oid index, const char *name)
{
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_PARENTS, index))
	{
		Oid			parent = ROW(Form_pg_inherits, lfirst(lc))->inhparent;

		m->index_attachments = lappend(m->index_attachments,
									   psprintf("ALTER INDEX %s ATTACH PARTITION %s",
												quote_identifier(get_rel_name(parent)), name));
	}
}

static char *
comment_text(Model *m, HeapTuple row)
{
	return quote_literal_cstr(attr_text(&m->catalogs, CAT_DESCRIPTION, row,
										Anum_pg_description_description));
}

static void
add_comment(Model *m, Oid classid, Oid oid, const char *what)
{
	ListCell   *lc;

	foreach(lc, rows2(&m->catalogs, CAT_DESCRIPTION, oid, classid))
	{
		if (ROW(Form_pg_description, lfirst(lc))->objsubid == 0)
			emit(m, psprintf("COMMENT ON %s IS %s", what, comment_text(m, lfirst(lc))));
	}
}

/* Is this the default operator class of btree for the type? */
static bool
is_default_opclass(Model *m, Oid opclass, Oid type)
{
	ListCell   *lc;
	ListCell   *lc2;

	/* PostgreSQL looks through all classes each time; there are few answers. */
	forboth(lc, m->types, lc2, m->opclasses)
	{
		if (lfirst_oid(lc) == type)
			return lfirst_oid(lc2) == opclass;
	}
	m->types = lappend_oid(m->types, type);
	m->opclasses = lappend_oid(m->opclasses, GetDefaultOpClass(type, BTREE_AM_OID));
	return llast_oid(m->opclasses) == opclass;
}

/* An array over an index's columns: oidvector or int2vector. */
static const void *
index_vector(Model *m, HeapTuple row, AttrNumber attno)
{
	bool		isnull;

	return DatumGetPointer(attr(&m->catalogs, CAT_INDEX, row, attno, &isnull));
}

/*
 * The definition of an index that has nothing but columns, as nearly all do;
 * NULL for others.
 */
static char *
plain_index_definition(Model *m, const Table *table, HeapTuple row, const char *name)
{
	Form_pg_index index = ROW(Form_pg_index, row);
	const oidvector *classes;
	const oidvector *collations;
	const int2vector *options;
	bool		isnull;
	StringInfoData buf;

	(void) attr(&m->catalogs, CAT_INDEX, row, Anum_pg_index_indpred, &isnull);
	if (!isnull || index->indnullsnotdistinct || index->indnatts != index->indnkeyatts)
		return NULL;
	classes = index_vector(m, row, Anum_pg_index_indclass);
	collations = index_vector(m, row, Anum_pg_index_indcollation);
	options = index_vector(m, row, Anum_pg_index_indoption);

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sINDEX %s ON %s USING btree (",
					 index->indisunique ? "UNIQUE " : "", name, table->object.name);
	for (int i = 0; i < index->indnatts; i++)
	{
		Form_pg_attribute att;

		if (index->indkey.values[i] <= 0)
			return NULL;
		att = find_column(table, index->indkey.values[i]);
		if (options->values[i] != 0 || collations->values[i] != att->attcollation ||
			!is_default_opclass(m, classes->values[i], att->atttypid))
			return NULL;
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", identifier(att->attname));
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

static char *
index_definition(Model *m, const Table *table, HeapTuple row, const char *name)
{
	Oid			oid = ROW(Form_pg_index, row)->indexrelid;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
	Form_pg_class class;
	char	   *definition = NULL;
	bool		no_options;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", oid);
	class = ROW(Form_pg_class, tuple);
	(void) SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &no_options);
	if (class->relkind == RELKIND_INDEX && class->relam == BTREE_AM_OID && no_options)
		definition = plain_index_definition(m, table, row, name);
	ReleaseSysCache(tuple);
	if (definition != NULL)
		return definition;
	return TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext,
												   ObjectIdGetDatum(oid),
												   Int32GetDatum(0),
												   BoolGetDatum(true)));
}

static void
create_indexes(Model *m, Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	List	   *indexes;
	ListCell   *lc;

	if (!class->relhasindex)
		return;
	indexes = rows(&m->catalogs, CAT_INDEX, table->object.oid);
	list_sort(indexes, compare_indexes);
	foreach(lc, indexes)
	{
		Form_pg_index index = ROW(Form_pg_index, lfirst(lc));
		const char *name = quote_identifier(get_rel_name(index->indexrelid));
		bool		is_constraint = find_object(m, RelationRelationId, index->indexrelid) != NULL;

		if (!is_constraint)
			emit(m, index_definition(m, table, lfirst(lc), name));
		adjust_index(m, lfirst(lc), name, is_constraint);
		add_extension_needs(m, rows2(&m->catalogs, CAT_DEPEND, RelationRelationId,
									 index->indexrelid),
							psprintf("INDEX %s", name));
		add_comment(m, RelationRelationId, index->indexrelid, psprintf("INDEX %s", name));
		if (class->relispartition)
			note_attachment(m, index->indexrelid, name);
		if (index->indisclustered)
			add_action(table, psprintf("CLUSTER ON %s", name));
		if (index->indisreplident)
			add_action(table, psprintf("REPLICA IDENTITY USING INDEX %s", name));
	}
}

/* Foreign keys that could not be created with their table. */
static void
add_foreign_keys(Model *m, const Table *table)
{
	bool		first = true;
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, table->object.parts)
	{
		Object	   *part = lfirst(lc);

		if (!is_foreign_key(part) || part->state == OBJ_PLACED)
			continue;
		appendStringInfo(&buf, "%s ADD CONSTRAINT %s %s", first ? "" : ",",
						 part->name, constraint_definition(part));
		first = false;
	}
	if (!first)
		emit(m, psprintf("ALTER TABLE %s%s", table->object.name, buf.data));
}

static void
create_statistics(Model *m, HeapTuple row)
{
	Form_pg_statistic_ext stat = ROW(Form_pg_statistic_ext, row);
	char	   *name = identifier(stat->stxname);
	char	   *def = pg_get_statisticsobjdef_string(stat->oid);
	char	   *qualified = psprintf("CREATE STATISTICS %s ",
									 quote_qualified_identifier(m->module->model_schema,
																NameStr(stat->stxname)));
	int			target = attr_target(&m->catalogs, CAT_STATISTICS, row,
									 Anum_pg_statistic_ext_stxstattarget);

	/* The name is qualified always, the rest as search_path wants it. */
	if (strncmp(def, qualified, strlen(qualified)) != 0)
		elog(ERROR, "unexpected definition of statistics %s: %s", name, def);
	emit(m, psprintf("CREATE STATISTICS %s %s", name, def + strlen(qualified)));
	if (target >= 0)
		emit(m, psprintf("ALTER STATISTICS %s SET STATISTICS %d", name, target));
	add_comment(m, StatisticExtRelationId, stat->oid, psprintf("STATISTICS %s", name));
}

/* "ENABLE REPLICA TRIGGER name" and the like; NULL if that is the default. */
static char *
firing_action(char enabled, const char *what, const char *name)
{
	switch (enabled)
	{
		case TRIGGER_DISABLED:
			return psprintf("DISABLE %s %s", what, name);
		case TRIGGER_FIRES_ON_REPLICA:
			return psprintf("ENABLE REPLICA %s %s", what, name);
		case TRIGGER_FIRES_ALWAYS:
			return psprintf("ENABLE ALWAYS %s %s", what, name);
		default:
			return NULL;
	}
}

static void
create_rules(Model *m, Table *table)
{
	ListCell   *lc;

	if (!ROW(Form_pg_class, table->object.row)->relhasrules)
		return;
	foreach(lc, rows(&m->catalogs, CAT_REWRITE, table->object.oid))
	{
		Form_pg_rewrite rule = ROW(Form_pg_rewrite, lfirst(lc));
		char	   *name = identifier(rule->rulename);
		char	   *action = firing_action(rule->ev_enabled, "RULE", name);

		if (rule->oid != table->return_rule)
			emit(m, TextDatumGetCString(DirectFunctionCall2(pg_get_ruledef_ext,
															ObjectIdGetDatum(rule->oid),
															BoolGetDatum(true))));
		if (action != NULL)
			add_action(table, action);
		add_comment(m, RewriteRelationId, rule->oid,
					psprintf("RULE %s ON %s", name, table->object.name));
	}
}

/* A partition's triggers that come from its parent differ in firing only. */
static void
create_triggers(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, table->triggers)
	{
		Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));
		char	   *name = identifier(trigger->tgname);
		char	   *what = psprintf("TRIGGER %s ON %s", name, table->object.name);
		char	   *action;

		if (!OidIsValid(trigger->tgparentid))
			emit(m, TextDatumGetCString(DirectFunctionCall2(pg_get_triggerdef_ext,
															ObjectIdGetDatum(trigger->oid),
															BoolGetDatum(true))));
		action = firing_action(trigger->tgenabled, "TRIGGER", name);
		if (action != NULL)
			add_action(table, action);
		add_extension_needs(m, rows2(&m->catalogs, CAT_DEPEND, TriggerRelationId, trigger->oid),
							what);
		add_comment(m, TriggerRelationId, trigger->oid, what);
	}
}

/* How a parent has the column; NULL if the table is not created with one. */
static Form_pg_attribute
find_parent_column(Model *m, const Table *table, Form_pg_attribute att)
{
	ListCell   *lc;

	if (!is_inherited_column(table, att))
		return NULL;
	foreach(lc, table->parents)
	{
		Form_pg_attribute theirs = find_column_by_name(find_table(m, lfirst_oid(lc)),
													   NameStr(att->attname));

		if (theirs != NULL)
			return theirs;
	}
	return NULL;
}

static const char *
storage_name(char storage)
{
	switch (storage)
	{
		case TYPSTORAGE_PLAIN:
			return "PLAIN";
		case TYPSTORAGE_EXTERNAL:
			return "EXTERNAL";
		case TYPSTORAGE_MAIN:
			return "MAIN";
		default:
			return "EXTENDED";
	}
}

/* Where an inherited column differs from its parent's. */
static void
add_inherited_actions(Table *table, Form_pg_attribute att, Form_pg_attribute theirs)
{
	char	   *column = psprintf("ALTER COLUMN %s", identifier(att->attname));

	if (att->attcompression != theirs->attcompression)
		add_action(table, psprintf("%s SET COMPRESSION %s", column,
								   compression_name(att->attcompression)));
	if (theirs->atthasdef && !att->atthasdef)
		add_action(table, psprintf("%s DROP DEFAULT", column));
	if (att->attnotnull && !theirs->attnotnull && !att->attislocal)
		add_action(table, psprintf("%s SET NOT NULL", column));
}

/* A column's options, "" if it has none. */
static char *
column_options(Model *m, HeapTuple row)
{
	StringInfoData buf;
	bool		isnull;
	Datum		options = attr(&m->catalogs, CAT_ATTRIBUTE, row,
							   Anum_pg_attribute_attoptions, &isnull);

	if (isnull)
		return "";
	initStringInfo(&buf);
	append_options(&buf, "", options);
	return buf.data;
}

/* What CREATE TABLE does not say of columns. */
static void
add_column_actions(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_attribute att = ROW(Form_pg_attribute, row);
		Form_pg_attribute theirs = find_parent_column(m, table, att);
		char		storage = theirs ? theirs->attstorage : get_typstorage(att->atttypid);
		int			target = attr_target(&m->catalogs, CAT_ATTRIBUTE, row,
										 Anum_pg_attribute_attstattarget);
		char	   *options = column_options(m, row);
		char	   *column;

		if (theirs != NULL)
			add_inherited_actions(table, att, theirs);
		if (att->attstorage == storage && target < 0 && options[0] == '\0')
			continue;
		column = psprintf("ALTER COLUMN %s", identifier(att->attname));
		if (att->attstorage != storage)
			add_action(table, psprintf("%s SET STORAGE %s", column,
									   storage_name(att->attstorage)));
		if (target >= 0)
			add_action(table, psprintf("%s SET STATISTICS %d", column, target));
		if (options[0] != '\0')
			add_action(table, psprintf("%s SET (%s)", column, options));
	}
}

static void
add_replica_identity(Table *table)
{
	switch (ROW(Form_pg_class, table->object.row)->relreplident)
	{
		case REPLICA_IDENTITY_FULL:
			add_action(table, "REPLICA IDENTITY FULL");
			break;
		case REPLICA_IDENTITY_NOTHING:
			add_action(table, "REPLICA IDENTITY NOTHING");
			break;
		default:
			break;
	}
}

/* All that is left to say of a table, in one statement. */
static void
alter_table(Model *m, const Table *table)
{
	StringInfoData buf;
	ListCell   *lc;

	if (table->actions == NIL)
		return;
	initStringInfo(&buf);
	appendStringInfo(&buf, "ALTER TABLE ONLY %s", table->object.name);
	foreach(lc, table->actions)
		appendStringInfo(&buf, "%s %s", foreach_current_index(lc) > 0 ? "," : "",
						 (char *) lfirst(lc));
	emit(m, buf.data);
}


/* ----------------------------------------------------------------
 * Comments
 * ----------------------------------------------------------------
 */

/* A relation's comment, and those of its columns. */
static void
comment_relation(Model *m, Oid relid, const char *keyword, const char *name, List *columns)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, rows2(&m->catalogs, CAT_DESCRIPTION, relid, RelationRelationId))
	{
		int			attno = ROW(Form_pg_description, lfirst(lc))->objsubid;

		if (attno == 0)
			emit(m, psprintf("COMMENT ON %s %s IS %s", keyword, name,
							 comment_text(m, lfirst(lc))));
		foreach(lc2, columns)
		{
			Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc2));

			if (att->attnum == attno && !att->attisdropped)
				emit(m, psprintf("COMMENT ON COLUMN %s.%s IS %s", name,
								 identifier(att->attname), comment_text(m, lfirst(lc))));
		}
	}
}

/* Constraint triggers have a constraint, too, that can have a comment. */
static void
comment_constraints(Model *m, List *constraints, const char *on)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));

		if (m->tenant == NULL || con->confrelid != m->registry_tenant)
			add_comment(m, ConstraintRelationId, con->oid,
						psprintf("CONSTRAINT %s ON %s", identifier(con->conname), on));
	}
}

static void
comment_type(Model *m, const Object *object)
{
	Oid			relid = ROW(Form_pg_type, object->row)->typrelid;

	add_comment(m, TypeRelationId, object->oid,
				psprintf("%s %s", object_keyword(object), object->name));
	if (object->kind == OBJ_DOMAIN)
		comment_constraints(m, rows(&m->catalogs, CAT_DOMAIN_CONSTRAINT, object->oid),
							psprintf("DOMAIN %s", object->name));
	if (OidIsValid(relid))
		comment_relation(m, relid, "TYPE", object->name,
						 rows(&m->catalogs, CAT_ATTRIBUTE, relid));
}

static void
comment_object(Model *m, const Object *object)
{
	const Table *table = (const Table *) object;

	switch (object->kind)
	{
		case OBJ_TABLE:
		case OBJ_VIEW:
			comment_relation(m, object->oid, object_keyword(object), object->name,
							 table->columns);
			comment_constraints(m, table->constraints, object->name);
			break;
		case OBJ_SEQUENCE:
			comment_relation(m, object->oid, "SEQUENCE", object->name, NIL);
			break;
		case OBJ_FUNCTION:
			add_comment(m, ProcedureRelationId, object->oid,
						psprintf("ROUTINE %s", function_signature(object)));
			break;
		default:
			comment_type(m, object);
			break;
	}
}


/* ----------------------------------------------------------------
 * Privileges
 * ----------------------------------------------------------------
 */

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
					role == ACL_ID_PUBLIC ? "PUBLIC" : role_identifier(role), option);
	if (target->object == NULL)
	{
		emit(m, psprintf("%s%s", head.data, tail));
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
change_privileges(Model *m, const GrantTarget *target, const Acl *born,
				  const Acl *wanted, Oid owner)
{
	List	   *old = acl_holdings(m, born, m->owner);
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
 * Privileges of an object, whose column acl this is.  Default privileges that
 * the owner has set for the whole database are those of this database: in the
 * template's, there are none.
 */
static void
copy_privileges(Model *m, const GrantTarget *target, ObjectType type,
				Oid owner, bool isnull, Datum acl)
{
	Acl		   *hardwired = acldefault(type, m->owner);
	Acl		   *born = m->tenant ? get_user_default_acl(type, m->owner, InvalidOid) : NULL;

	if (isnull && born == NULL)
		return;
	change_privileges(m, target, born ? born : hardwired,
					  isnull ? hardwired : DatumGetAclP(acl),
					  isnull ? m->owner : owner);
}

static void
copy_relation_privileges(Model *m, const Object *object, List *columns)
{
	bool		is_sequence = object->kind == OBJ_SEQUENCE;
	Oid			owner = ROW(Form_pg_class, object->row)->relowner;
	GrantTarget target = {"", is_sequence ? "SEQUENCE" : "TABLE", object->name, NULL};
	bool		isnull;
	Datum		acl = SysCacheGetAttr(RELOID, object->row, Anum_pg_class_relacl, &isnull);
	ListCell   *lc;

	copy_privileges(m, &target, is_sequence ? OBJECT_SEQUENCE : OBJECT_TABLE,
					owner, isnull, acl);
	foreach(lc, columns)
	{
		acl = attr(&m->catalogs, CAT_ATTRIBUTE, lfirst(lc), Anum_pg_attribute_attacl, &isnull);
		if (isnull)
			continue;
		target.column = identifier(ROW(Form_pg_attribute, lfirst(lc))->attname);
		change_privileges(m, &target, acldefault(OBJECT_COLUMN, m->owner),
						  DatumGetAclP(acl), owner);
	}
}

static void
copy_object_privileges(Model *m, const Object *object)
{
	GrantTarget target = {"", "TYPE", object->name, NULL};
	bool		isnull;
	Datum		acl;

	switch (object->kind)
	{
		case OBJ_TABLE:
		case OBJ_VIEW:
			copy_relation_privileges(m, object, ((Table *) object)->columns);
			break;
		case OBJ_SEQUENCE:
			copy_relation_privileges(m, object, NIL);
			break;
		case OBJ_FUNCTION:
			target.keyword = "ROUTINE";
			target.object = function_signature(object);
			acl = SysCacheGetAttr(PROCOID, object->row, Anum_pg_proc_proacl, &isnull);
			copy_privileges(m, &target, OBJECT_FUNCTION,
							ROW(Form_pg_proc, object->row)->proowner, isnull, acl);
			break;
		default:
			acl = SysCacheGetAttr(TYPEOID, object->row, Anum_pg_type_typacl, &isnull);
			copy_privileges(m, &target, OBJECT_TYPE,
							ROW(Form_pg_type, object->row)->typowner, isnull, acl);
			break;
	}
}

static void
write_grants(Model *m, List *groups)
{
	ListCell   *lc;

	foreach(lc, groups)
	{
		GrantGroup *group = lfirst(lc);

		emit(m, psprintf("%s%s%s", group->head, group->objects.data, group->tail));
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

/* What the owner has set for what it creates in the model schema. */
static void
copy_default_privileges(Model *m)
{
	GrantTarget target = {0};
	ListCell   *lc;

	target.prefix = psprintf("ALTER DEFAULT PRIVILEGES IN SCHEMA %s ",
							 quote_identifier(m->schema));
	foreach(lc, rows2(&m->catalogs, CAT_DEFAULT_ACL, m->owner, m->namespace))
	{
		bool		isnull;
		Datum		acl = attr(&m->catalogs, CAT_DEFAULT_ACL, lfirst(lc),
							   Anum_pg_default_acl_defaclacl, &isnull);

		target.keyword = default_acl_keyword(ROW(Form_pg_default_acl, lfirst(lc))->defaclobjtype);
		change_privileges(m, &target, make_empty_acl(), DatumGetAclP(acl), m->owner);
	}
}


/* ----------------------------------------------------------------
 * Policies
 * ----------------------------------------------------------------
 */

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
		Table	   *parent = find_table(m, lfirst_oid(lc));
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
						 role == ACL_ID_PUBLIC ? "PUBLIC" : role_identifier(role));
	}
}

/* Copy a policy as it is. */
static void
copy_policy(Model *m, Table *table, HeapTuple row)
{
	Form_pg_policy policy = ROW(Form_pg_policy, row);
	char	   *name = identifier(policy->polname);
	char	   *using = attr_text(&m->catalogs, CAT_POLICY, row, Anum_pg_policy_polqual);
	char	   *check = attr_text(&m->catalogs, CAT_POLICY, row, Anum_pg_policy_polwithcheck);
	StringInfoData buf;
	bool		isnull;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE POLICY %s ON %s%s FOR %s TO ", name, table->object.name,
					 policy->polpermissive ? "" : " AS RESTRICTIVE",
					 command_name(policy->polcmd));
	append_roles(&buf, attr(&m->catalogs, CAT_POLICY, row, Anum_pg_policy_polroles, &isnull));
	if (using != NULL)
		appendStringInfo(&buf, " USING (%s)", deparse(table, stringToNode(using)));
	if (check != NULL)
		appendStringInfo(&buf, " WITH CHECK (%s)", deparse(table, stringToNode(check)));
	emit(m, buf.data);
	add_comment(m, PolicyRelationId, policy->oid,
				psprintf("POLICY %s ON %s", name, table->object.name));
}

/* The wall around a tenant's copy of a table. */
static void
create_isolation(Model *m, const Table *table, const char *column)
{
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
	emit(m, buf.data);
}

/*
 * Policies of a tenant's copy: ours, and the application's.  What lets rows
 * through is ours only where the application neither has such a policy of its
 * own nor has, by row security without one, let nothing through.
 */
static void
create_tenant_policies(Model *m, Table *table)
{
	const char *column = tenant_column(m, table);
	bool		open = column == NULL &&
		!ROW(Form_pg_class, table->object.row)->relrowsecurity;
	bool		own_permissive = false;
	ListCell   *lc;

	foreach(lc, rows(&m->catalogs, CAT_POLICY, table->object.oid))
	{
		Form_pg_policy policy = ROW(Form_pg_policy, lfirst(lc));

		if (column != NULL && has_our_name(lfirst(lc)))
		{
			open = open || strcmp(NameStr(policy->polname), TENANCY_POLICY_ACCESS) == 0;
			continue;
		}
		if (has_our_name(lfirst(lc)))
			refuse(m, PolicyRelationId, policy->oid, "has the name of one of ours");
		else if (!ROW(Form_pg_class, table->object.row)->relrowsecurity)
			refuse(m, PolicyRelationId, policy->oid,
				   "is not in force, but would be in a tenant's schema");
		own_permissive = own_permissive || policy->polpermissive;
		copy_policy(m, table, lfirst(lc));
	}
	create_isolation(m, table, column);
	if (open && !own_permissive)
		emit(m, psprintf("CREATE POLICY " TENANCY_POLICY_ACCESS " ON %s USING (" TENANCY_POLICY_ALLOW ")",
						 table->object.name));
	add_action(table, "FORCE ROW LEVEL SECURITY");
	add_action(table, "ENABLE ROW LEVEL SECURITY");
}

static void
create_policies(Model *m, Table *table)
{
	Form_pg_class class = ROW(Form_pg_class, table->object.row);
	ListCell   *lc;

	if (m->tenant != NULL)
	{
		create_tenant_policies(m, table);
		return;
	}
	foreach(lc, rows(&m->catalogs, CAT_POLICY, table->object.oid))
		copy_policy(m, table, lfirst(lc));
	if (class->relforcerowsecurity)
		add_action(table, "FORCE ROW LEVEL SECURITY");
	if (class->relrowsecurity)
		add_action(table, "ENABLE ROW LEVEL SECURITY");
}


/* ----------------------------------------------------------------
 * The whole
 * ----------------------------------------------------------------
 */

/* What nothing else can be defined by. */
static void
place_rest(Model *m)
{
	ListCell   *lc;

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if (object->kind == OBJ_SEQUENCE)
			own_sequence(m, object);
		else if (object->kind == OBJ_TABLE)
			create_indexes(m, (Table *) object);
		else if (object->kind == OBJ_FUNCTION)
			add_extension_needs(m, object->dependencies,
								psprintf("ROUTINE %s", function_signature(object)));
	}
	foreach(lc, m->index_attachments)
		emit(m, lfirst(lc));
	foreach(lc, m->statistics)
		create_statistics(m, lfirst(lc));

	/* Before row security, which would hide rows from their validation. */
	foreach(lc, m->objects)
	{
		if (((Object *) lfirst(lc))->kind == OBJ_TABLE)
			add_foreign_keys(m, lfirst(lc));
	}

	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);
		Table	   *table = lfirst(lc);

		if (object->kind == OBJ_TABLE || object->kind == OBJ_VIEW)
		{
			create_rules(m, table);
			create_triggers(m, table);
		}
		if (object->kind == OBJ_TABLE)
		{
			add_column_actions(m, table);
			add_replica_identity(table);
			create_policies(m, table);
			alter_table(m, table);
		}
		comment_object(m, object);
		copy_object_privileges(m, object);
	}
	write_grants(m, m->revokes);
	write_grants(m, m->grants);
	copy_default_privileges(m);
}

/*
 * Open the catalogs with a snapshot that is younger than the locks on all
 * relations of the schema: what it shows does not change from then on.  The
 * locks are taken in the order of the OIDs.
 */
static void
lock_and_open(Model *m)
{
	List	   *locked = NIL;

	for (;;)
	{
		int			count = list_length(locked);
		List	   *members;
		ListCell   *lc;

		open_catalogs(&m->catalogs);
		members = rows2(&m->catalogs, CAT_REFERENCE, NamespaceRelationId, m->namespace);
		list_sort(members, compare_members);
		foreach(lc, members)
		{
			Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

			if (dep->classid != RelationRelationId || list_member_oid(locked, dep->objid))
				continue;
			LockRelationOid(dep->objid, AccessShareLock);
			locked = lappend_oid(locked, dep->objid);
		}
		if (list_length(locked) == count)
			return;
		close_catalogs(&m->catalogs);
	}
}

/* Read tenancy.protected_table. */
static void
read_protected(Model *m)
{
	Relation	rel = table_open(tenancy_registry_relation("protected_table"),
								 AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		relid = heap_getattr(tuple, Anum_protected_table_relation,
										 RelationGetDescr(rel), &isnull);
		Datum		column = heap_getattr(tuple, Anum_protected_table_tenant_column,
										  RelationGetDescr(rel), &isnull);

		m->protected_relids = lappend_oid(m->protected_relids, DatumGetObjectId(relid));
		m->protected_columns = lappend(m->protected_columns,
									   pstrdup(NameStr(*DatumGetName(column))));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static HTAB *
create_address_hash(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(ObjectKey);
	ctl.entrysize = sizeof(ObjectEntry);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("tenancy model", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* A search_path of some schemas, then PostgreSQL's. */
static char *
path_of(List *schemas)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, schemas)
		appendStringInfo(&buf, "%s, ", quote_identifier(lfirst(lc)));
	appendStringInfoString(&buf, "pg_catalog, pg_temp");
	return buf.data;
}

/* The main module, if this one is another. */
static TenancyModule *
main_module(const TenancyModule *module)
{
	TenancyModule *first;

	if (module->position == 1)
		return NULL;
	first = linitial(tenancy_registry_modules());
	return first->position == 1 ? first : NULL;
}

/*
 * The schemas whose objects are left to search_path.  In a tenant's copy of a
 * plug-in, those of the main module are the tenant's as well.
 */
static List *
model_schemas(const TenancyModule *module, bool for_tenant)
{
	TenancyModule *first = for_tenant ? main_module(module) : NULL;

	if (first == NULL)
		return list_make1(pstrdup(module->model_schema));
	return list_make2(pstrdup(module->model_schema), first->model_schema);
}

/*
 * Write the statements that make the module's model schema in a schema, with
 * m filled in as far as the arguments go.
 */
static void
generate(Model *m, const TenancyModule *module, const pg_uuid_t *tenant, const char *schema)
{
	TenancyExec exec;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "tenancy model",
												  ALLOCSET_DEFAULT_SIZES);

	memset(m, 0, sizeof(*m));
	m->module = module;
	m->tenant = tenant;
	m->schema = schema;
	m->result_context = CurrentMemoryContext;
	m->owner = tenancy_registry_module_owner(module);
	m->namespace = get_namespace_oid(module->model_schema, false);
	m->registry_tenant = tenancy_registry_relation("tenant");

	tenancy_exec_begin(&exec, m->owner, path_of(model_schemas(module, tenant != NULL)));
	MemoryContextSwitchTo(context);
	m->by_address = create_address_hash();
	read_protected(m);
	lock_and_open(m);
	read_members(m);
	check_refused(m);
	place_all(m);
	place_rest(m);
	check_refused(m);
	warn_of_other_owners(m);
	close_catalogs(&m->catalogs);
	tenancy_exec_end(&exec);
	MemoryContextDelete(context);
}

/* The schema of a tenant's copy of a module. */
static char *
tenant_schema(const TenancyTenant *tenant, const TenancyModule *module)
{
	if (module->position == 1)
		return pstrdup(tenant->schema_name);
	return tenancy_ident_schema(tenant->slug, module->name);
}

/*
 * The statements that make a module's model schema once more, as a List of
 * char *: as it is (tenant is NULL), or as a tenant's copy.  They are to be
 * run as the module owner, with the new schema first on the path.
 */
List *
tenancy_clone_statements(const TenancyModule *module, const pg_uuid_t *tenant)
{
	Model		m;
	TenancyTenant row;

	if (tenant != NULL && !tenancy_registry_by_id(tenant, &row))
		elog(ERROR, "tenant %s does not exist", tenancy_ident_uuid_text(tenant));
	generate(&m, module, tenant,
			 tenant ? tenant_schema(&row, module) : module->model_schema);
	return m.statements;
}

/* Create a schema for the owner.  Whatever has its name already is not ours. */
static void
create_schema(const char *schema, Oid owner)
{
	TenancyExec exec;

	if (OidIsValid(get_namespace_oid(schema, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", schema),
				 errhint("Rename or drop the schema, or give the tenant another slug.")));
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("CREATE SCHEMA %s AUTHORIZATION %s",
						quote_identifier(schema), role_identifier(owner));
	tenancy_exec_end(&exec);
}

/* Add the roles that may act for a tenant, or (NULL) for all of them. */
static List *
add_access_roles(List *roles, const pg_uuid_t *tenant)
{
	Relation	rel = table_open(tenancy_registry_relation("access"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (tenant != NULL)
		ScanKeyInit(&key, Anum_access_tenant_id, BTEqualStrategyNumber, F_UUID_EQ,
					UUIDPGetDatum(tenant));
	else
		ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNULL, Anum_access_tenant_id,
							   InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
	scan = systable_beginscan(rel, tenancy_registry_relation("access_tenant_id_role_key"),
							  true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			role = DatumGetObjectId(heap_getattr(tuple, Anum_access_role,
														 RelationGetDescr(rel), &isnull));

		/* Dropping a role leaves its rows behind. */
		if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
			roles = list_append_unique_oid(roles, role);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return roles;
}

/* Let the roles that may act for the tenant into its schema. */
static void
grant_usage(const char *schema, const pg_uuid_t *tenant)
{
	List	   *roles = add_access_roles(add_access_roles(NIL, tenant), NULL);
	StringInfoData list;
	ListCell   *lc;

	if (roles == NIL)
		return;
	initStringInfo(&list);
	foreach(lc, roles)
		appendStringInfo(&list, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 role_identifier(lfirst_oid(lc)));
	tenancy_exec_format("GRANT USAGE ON SCHEMA %s TO %s", quote_identifier(schema), list.data);
}

/*
 * Create a tenant's copy of a module, in a schema of its own.  Definitions
 * name members of extensions that are in the model schema without a schema, so
 * that it must be on the path then, after the copy's.
 */
void
tenancy_clone_schema(const TenancyTenant *tenant, const TenancyModule *module)
{
	char	   *schema = tenant_schema(tenant, module);
	List	   *schemas = list_make1(schema);
	TenancyModule *first = main_module(module);
	TenancyExec exec;
	Model		m;
	ListCell   *lc;

	tenancy_registry_lock_models(ShareLock);
	generate(&m, module, &tenant->id, schema);
	create_schema(schema, m.owner);
	tenancy_registry_add_copy(&tenant->id, module->name);

	if (first != NULL)
		schemas = lappend(schemas, tenant_schema(tenant, first));
	if (m.has_extension_members)
		schemas = list_concat(schemas, model_schemas(module, true));
	tenancy_exec_begin(&exec, m.owner, path_of(schemas));
	tenancy_exec_set("client_min_messages", "warning");
	foreach(lc, m.statements)
		tenancy_exec_sql(lfirst(lc));
	grant_usage(schema, &tenant->id);
	tenancy_exec_end(&exec);
	list_free_deep(m.statements);
}


/* ----------------------------------------------------------------
 * Renaming
 * ----------------------------------------------------------------
 */

/* The search_path of a function with that setting, without its name. */
static char *
function_path(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	bool		isnull;
	Datum		config;
	Datum	   *values;
	int			count;
	char	   *path = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", oid);
	config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *setting = TextDatumGetCString(values[i]);

		if (strncmp(setting, "search_path=", strlen("search_path=")) == 0)
			path = setting + strlen("search_path=");
	}
	ReleaseSysCache(tuple);
	return path;
}

/*
 * A tenant's schema has been renamed: let the functions in it whose
 * search_path names it follow.
 */
void
tenancy_clone_follow_rename(const char *old_schema, const char *schema, Oid owner)
{
	TenancyExec exec;
	List	   *functions;
	ListCell   *lc;

	tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
	functions = tenancy_exec_text_list(&exec,
									   psprintf("SELECT p.oid FROM pg_catalog.pg_proc p"
												" WHERE p.pronamespace = %s::pg_catalog.regnamespace"
												" AND EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) s"
												"  WHERE pg_catalog.starts_with(s, 'search_path='))",
												quote_literal_cstr(quote_identifier(schema))));
	foreach(lc, functions)
	{
		Oid			oid = atooid(lfirst(lc));
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "ALTER ROUTINE %s SET search_path TO ",
						 format_procedure_qualified(oid));
		if (append_names(&sql, "search_path", function_path(oid), old_schema, schema))
			tenancy_exec_sql(sql.data);
	}
	tenancy_exec_end(&exec);
}


/* ----------------------------------------------------------------
 * Fingerprint
 * ----------------------------------------------------------------
 */

/* A sum over rows, so that their order does not matter. */
typedef struct Fingerprint
{
	Catalogs	catalogs;
	uint64		sum;
	uint64		count;
} Fingerprint;

static void
add_hash(Fingerprint *f, const void *data, int len)
{
	f->sum += hash_bytes_extended(data, len, 0);
	f->count++;
}

/*
 * Add a version of a row: whoever changes the row makes a new one, of another
 * transaction or at least another command.
 */
static void
add_row(Fingerprint *f, Oid catalog, Oid key1, Oid key2, HeapTuple row)
{
	uint32		version[5] = {catalog, key1, key2};

	version[3] = HeapTupleHeaderGetRawXmin(row->t_data);
	version[4] = HeapTupleHeaderGetRawCommandId(row->t_data);
	add_hash(f, version, sizeof(version));
}

/* Add the rows that a key selects, and return them. */
static List *
add_rows2(Fingerprint *f, CatalogId id, Oid key1, Oid key2)
{
	List	   *list = rows2(&f->catalogs, id, key1, key2);
	ListCell   *lc;

	foreach(lc, list)
		add_row(f, catalogs[id].relid, key1, key2, lfirst(lc));
	return list;
}

static List *
add_rows(Fingerprint *f, CatalogId id, Oid key)
{
	return add_rows2(f, id, key, InvalidOid);
}

static void
add_description(Fingerprint *f, Oid classid, Oid oid)
{
	(void) add_rows2(f, CAT_DESCRIPTION, oid, classid);
}

static void
add_syscache_row(Fingerprint *f, int cache, Oid classid, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(oid));

	if (!HeapTupleIsValid(tuple))
		return;
	add_row(f, classid, oid, InvalidOid, tuple);
	ReleaseSysCache(tuple);
	add_description(f, classid, oid);
}

static void
add_class_column(Fingerprint *f, HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(RELOID, tuple, attno, &isnull);
	struct varlena *data;

	if (isnull)
		return;
	data = PG_DETOAST_DATUM_PACKED(value);
	add_hash(f, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
}

/*
 * Add what defines a relation.  Its row as such would not do: TRUNCATE and
 * VACUUM FULL write a new one.
 */
static void
add_class(Fingerprint *f, HeapTuple tuple)
{
	Form_pg_class class = ROW(Form_pg_class, tuple);
	struct
	{
		NameData	name;
		Oid			oids[6];
		char		flags[8];
	}			definition;

	memset(&definition, 0, sizeof(definition));
	definition.name = class->relname;
	definition.oids[0] = class->oid;
	definition.oids[1] = class->relnamespace;
	definition.oids[2] = class->reloftype;
	definition.oids[3] = class->relowner;
	definition.oids[4] = class->relam;
	definition.oids[5] = class->reltablespace;
	definition.flags[0] = class->relpersistence;
	definition.flags[1] = class->relkind;
	definition.flags[2] = class->relreplident;
	definition.flags[3] = class->relrowsecurity;
	definition.flags[4] = class->relforcerowsecurity;
	definition.flags[5] = class->relispartition;
	add_hash(f, &definition, sizeof(definition));
	add_class_column(f, tuple, Anum_pg_class_relacl);
	add_class_column(f, tuple, Anum_pg_class_reloptions);
	add_class_column(f, tuple, Anum_pg_class_relpartbound);
}

static void
add_indexes(Fingerprint *f, Oid relid)
{
	ListCell   *lc;

	foreach(lc, add_rows(f, CAT_INDEX, relid))
	{
		Oid			index = ROW(Form_pg_index, lfirst(lc))->indexrelid;
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
		bool		no_expressions;

		if (!HeapTupleIsValid(tuple))
			continue;
		add_class(f, tuple);
		if (ROW(Form_pg_class, tuple)->relispartition)
			(void) add_rows(f, CAT_PARENTS, index);
		ReleaseSysCache(tuple);
		(void) attr(&f->catalogs, CAT_INDEX, lfirst(lc), Anum_pg_index_indexprs,
					&no_expressions);
		if (!no_expressions)
			(void) add_rows(f, CAT_ATTRIBUTE, index);
		(void) add_rows2(f, CAT_DEPEND, RelationRelationId, index);
		add_description(f, RelationRelationId, index);
	}
}

/* What hangs on a table, with the comments on it. */
static void
add_table_parts(Fingerprint *f, Oid relid)
{
	ListCell   *lc;

	foreach(lc, add_rows(f, CAT_CONSTRAINT, relid))
		add_description(f, ConstraintRelationId, ROW(Form_pg_constraint, lfirst(lc))->oid);
	foreach(lc, add_rows(f, CAT_POLICY, relid))
		add_description(f, PolicyRelationId, ROW(Form_pg_policy, lfirst(lc))->oid);
	foreach(lc, add_rows(f, CAT_STATISTICS, relid))
		add_description(f, StatisticExtRelationId, ROW(Form_pg_statistic_ext, lfirst(lc))->oid);
	(void) add_rows(f, CAT_PARENTS, relid);
}

static void
add_triggers_and_rules(Fingerprint *f, Form_pg_class class)
{
	ListCell   *lc;

	if (class->relhastriggers)
	{
		foreach(lc, add_rows(f, CAT_TRIGGER, class->oid))
		{
			Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));

			if (trigger->tgisinternal)
				continue;
			(void) add_rows2(f, CAT_DEPEND, TriggerRelationId, trigger->oid);
			add_description(f, TriggerRelationId, trigger->oid);
		}
	}
	if (class->relhasrules)
	{
		foreach(lc, add_rows(f, CAT_REWRITE, class->oid))
			add_description(f, RewriteRelationId, ROW(Form_pg_rewrite, lfirst(lc))->oid);
	}
}

static void
add_relation(Fingerprint *f, Oid relid)
{
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
	HeapTuple	toast;
	Form_pg_class class;

	if (!HeapTupleIsValid(tuple))
		return;
	class = ROW(Form_pg_class, tuple);
	add_class(f, tuple);
	add_description(f, RelationRelationId, relid);
	if (class->relkind == RELKIND_SEQUENCE)
	{
		(void) add_rows(f, CAT_SEQUENCE, relid);
		(void) add_rows2(f, CAT_DEPEND, RelationRelationId, relid);
		return;
	}

	(void) add_rows(f, CAT_ATTRIBUTE, relid);
	(void) add_rows(f, CAT_ATTRDEF, relid);
	add_triggers_and_rules(f, class);
	if (class->relkind != RELKIND_VIEW)
		add_table_parts(f, relid);
	if (class->relhasindex)
		add_indexes(f, relid);
	toast = SearchSysCache1(RELOID, ObjectIdGetDatum(class->reltoastrelid));
	if (HeapTupleIsValid(toast))
	{
		add_class_column(f, toast, Anum_pg_class_reloptions);
		ReleaseSysCache(toast);
	}
}

static void
add_type(Fingerprint *f, Oid oid)
{
	ListCell   *lc;

	add_syscache_row(f, TYPEOID, TypeRelationId, oid);
	(void) add_rows(f, CAT_ENUM, oid);
	foreach(lc, add_rows(f, CAT_DOMAIN_CONSTRAINT, oid))
		add_description(f, ConstraintRelationId, ROW(Form_pg_constraint, lfirst(lc))->oid);
	if (get_typ_typrelid(oid) != InvalidOid)
	{
		(void) add_rows(f, CAT_ATTRIBUTE, get_typ_typrelid(oid));
		add_description(f, RelationRelationId, get_typ_typrelid(oid));
	}
}

static void
add_schema(Fingerprint *f, Oid namespace)
{
	ListCell   *lc;

	add_syscache_row(f, NAMESPACEOID, NamespaceRelationId, namespace);
	foreach(lc, add_rows2(f, CAT_REFERENCE, NamespaceRelationId, namespace))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		switch (dep->classid)
		{
			case RelationRelationId:
				add_relation(f, dep->objid);
				break;
			case TypeRelationId:
				add_type(f, dep->objid);
				break;
			case ProcedureRelationId:
				add_syscache_row(f, PROCOID, ProcedureRelationId, dep->objid);
				(void) add_rows2(f, CAT_DEPEND, ProcedureRelationId, dep->objid);
				break;
			default:
				break;
		}
	}
}

/* Add all rows of a small table. */
static void
add_whole_table(Fingerprint *f, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		add_row(f, relid, InvalidOid, InvalidOid, tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * A text that changes whenever a model schema, the registry's rows about
 * modules and protected tables, or the list of extensions does.
 */
char *
tenancy_clone_fingerprint(void)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tenancy fingerprint",
												  ALLOCSET_DEFAULT_SIZES);
	Fingerprint f;
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	memset(&f, 0, sizeof(f));
	open_catalogs(&f.catalogs);
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);
		Oid			namespace = get_namespace_oid(module->model_schema, false);

		add_schema(&f, namespace);
		(void) add_rows2(&f, CAT_DEFAULT_ACL,
						 tenancy_registry_module_owner(module), namespace);
	}
	close_catalogs(&f.catalogs);
	add_whole_table(&f, tenancy_registry_relation("module"));
	add_whole_table(&f, tenancy_registry_relation("protected_table"));
	add_whole_table(&f, ExtensionRelationId);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return psprintf("%s/" UINT64_FORMAT "/%08x%08x", TENANCY_VERSION, f.count,
					(uint32) (f.sum >> 32), (uint32) f.sum);
}
