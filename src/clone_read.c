/*-------------------------------------------------------------------------
 *
 * clone_read.c
 *	  A model schema, read from the catalogs.
 *
 * What is in the schema becomes an Object each, with its parts and what it
 * depends on.  What is not known here is refused by name, before anything of
 * the copy is created; whoever teaches a copy a new kind of object begins in
 * read_member().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_model.h"
#include "clone_read.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

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
		tenancy_clone_refuse(m, classid, oid,
							 psprintf("owned by role %s", tenancy_clone_role_identifier(owner)));
	else
		m->has_other_owners = true;
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

/* Casts are in no cache by their OID. */
static HeapTuple
cast_row(Model *m, Oid oid)
{
	Relation	rel = table_open(CastRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_cast_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, CastOidIndexId, true, m->catalogs.snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

/* The row of an object, NULL if there is none or it is of a kind not known here. */
static HeapTuple
other_row(Model *m, Oid classid, Oid oid)
{
	switch (classid)
	{
		case CastRelationId:
			return cast_row(m, oid);
		case CollationRelationId:
			return SearchSysCacheCopy1(COLLOID, ObjectIdGetDatum(oid));
		case OperatorClassRelationId:
			return SearchSysCacheCopy1(CLAOID, ObjectIdGetDatum(oid));
		case OperatorFamilyRelationId:
			return SearchSysCacheCopy1(OPFAMILYOID, ObjectIdGetDatum(oid));
		case OperatorRelationId:
			return SearchSysCacheCopy1(OPEROID, ObjectIdGetDatum(oid));
		case TSConfigRelationId:
			return SearchSysCacheCopy1(TSCONFIGOID, ObjectIdGetDatum(oid));
		case TSDictionaryRelationId:
			return SearchSysCacheCopy1(TSDICTOID, ObjectIdGetDatum(oid));
		default:
			return NULL;
	}
}

/* A type of PostgreSQL's whose values are not names. */
static bool
is_plain_type(Oid type)
{
	return type < FirstGenbkiObjectId && strncmp(format_type_be(type), "reg", 3) != 0;
}

/* Is a value of this type, in this place, sure to be what it is in the model? */
static bool
is_sure_type(Oid type)
{
	return is_plain_type(type) ||
		(get_typtype(type) == TYPTYPE_RANGE && is_plain_type(get_range_subtype(type)));
}

/* Why a cast cannot be copied; NULL if it can. */
static const char *
cast_obstacle(Form_pg_cast cast)
{
	if (cast->castmethod == COERCION_METHOD_BINARY &&
		!(is_sure_type(cast->castsource) && is_sure_type(cast->casttarget)))
		return "without a function, between types that are neither PostgreSQL's nor ranges over such types";
	return NULL;
}

/* Why a copy could not have it; NULL if it can. */
static const char *
other_obstacle(Oid classid, HeapTuple row)
{
	if (classid == CastRelationId)
		return cast_obstacle(ROW(Form_pg_cast, row));
	if (classid == OperatorRelationId && !OidIsValid(ROW(Form_pg_operator, row)->oprcode))
		return "only a shell";
	return NULL;
}

/* A cast is nobody's. */
static Oid
other_owner(Model *m, Oid classid, HeapTuple row)
{
	switch (classid)
	{
		case CollationRelationId:
			return ROW(Form_pg_collation, row)->collowner;
		case OperatorClassRelationId:
			return ROW(Form_pg_opclass, row)->opcowner;
		case OperatorFamilyRelationId:
			return ROW(Form_pg_opfamily, row)->opfowner;
		case OperatorRelationId:
			return ROW(Form_pg_operator, row)->oprowner;
		case TSConfigRelationId:
			return ROW(Form_pg_ts_config, row)->cfgowner;
		case TSDictionaryRelationId:
			return ROW(Form_pg_ts_dict, row)->dictowner;
		default:
			return m->owner;
	}
}

/* The name as it is in statements; a cast is known by its types. */
static const char *
other_name(Oid classid, HeapTuple row)
{
	switch (classid)
	{
		case CastRelationId:
			return psprintf("(%s AS %s)", format_type_be(ROW(Form_pg_cast, row)->castsource),
							format_type_be(ROW(Form_pg_cast, row)->casttarget));
		case CollationRelationId:
			return tenancy_clone_identifier(ROW(Form_pg_collation, row)->collname);
		case OperatorClassRelationId:
			return tenancy_clone_identifier(ROW(Form_pg_opclass, row)->opcname);
		case OperatorFamilyRelationId:
			return tenancy_clone_identifier(ROW(Form_pg_opfamily, row)->opfname);
		case OperatorRelationId:
			return pstrdup(NameStr(ROW(Form_pg_operator, row)->oprname));
		case TSConfigRelationId:
			return tenancy_clone_identifier(ROW(Form_pg_ts_config, row)->cfgname);
		default:
			return tenancy_clone_identifier(ROW(Form_pg_ts_dict, row)->dictname);
	}
}

/* What clone_other.c creates, or is refused. */
static void
read_other(Model *m, Oid classid, Oid oid, List *dependencies)
{
	HeapTuple	row = other_row(m, classid, oid);
	const char *obstacle = row ? other_obstacle(classid, row) : NULL;
	Object	   *object;

	if (row == NULL || obstacle != NULL)
	{
		tenancy_clone_refuse(m, classid, oid, obstacle);
		return;
	}
	if (tenancy_clone_find_object(m, classid, oid) != NULL)
		return;					/* a cast between two types of the model */
	object = tenancy_clone_new_object(m, OBJ_OTHER, sizeof(Object), classid, oid, row);
	object->name = pstrdup(other_name(classid, row));
	object->dependencies = dependencies;
	m->objects = lappend(m->objects, object);
	check_owner(m, classid, oid, other_owner(m, classid, row), false);
}

/*
 * Does an object come with another one: an extension, or (as a range type's
 * functions and casts) what PostgreSQL has made it along with?
 */
static bool
comes_with_other(List *dependencies)
{
	return find_dependency(dependencies, DEPENDENCY_EXTENSION) != NULL ||
		find_dependency(dependencies, DEPENDENCY_INTERNAL) != NULL;
}

/* Casts and transforms have no schema, but would be missing from the copy. */
static void
read_type_users(Model *m, Oid type)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_REFERENCE, TypeRelationId, type))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		List	   *dependencies;

		if (dep->classid != CastRelationId && dep->classid != TransformRelationId)
			continue;
		dependencies = tenancy_clone_rows2(&m->catalogs, CAT_DEPEND, dep->classid, dep->objid);
		if (!comes_with_other(dependencies))
			read_other(m, dep->classid, dep->objid, dependencies);
	}
}

static void
read_columns(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_ATTRIBUTE, table->object.oid))
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

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_ATTRDEF, table->object.oid))
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_attrdef def = ROW(Form_pg_attrdef, row);
		Object	   *part = tenancy_clone_new_part(m, &table->object, OBJ_DEFAULT,
									AttrDefaultRelationId, def->oid, row);

		part->attno = def->adnum;
		part->name = tenancy_clone_identifier(tenancy_clone_find_column(table, def->adnum)->attname);
		part->expr = stringToNode(tenancy_clone_attr_text(&m->catalogs, CAT_ATTRDEF, row,
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

/*
 * What a foreign key to a table of another plug-in would ask, in a tenant's copy, are
 * rows in that one's model, which are not the tenant's.
 */
static void
check_foreign_key(Model *m, Form_pg_constraint con)
{
	Oid			namespace = get_rel_namespace(con->confrelid);
	ListCell   *lc;

	if (m->tenant == NULL || namespace == m->namespace || namespace == m->main_namespace)
		return;
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		if (namespace == get_namespace_oid(module->model_schema, true))
			tenancy_clone_refuse(m, ConstraintRelationId, con->oid,
								 psprintf("refers to a table of module %s", module->name));
	}
}

/*
 * Has a table another key of the same columns, before this one?  CREATE TABLE would
 * make one of both.
 */
static bool
is_second_key(Model *m, const Table *table, HeapTuple row)
{
	bool		isnull;
	Datum		columns = tenancy_clone_attr(&m->catalogs, CAT_CONSTRAINT, row, Anum_pg_constraint_conkey, &isnull);
	ListCell   *lc;

	foreach(lc, table->object.parts)
	{
		const Object *part = lfirst(lc);

		if (part->kind == OBJ_CONSTRAINT && part->row != row &&
			OidIsValid(ROW(Form_pg_constraint, part->row)->conindid) &&
			ROW(Form_pg_constraint, part->row)->contype != CONSTRAINT_FOREIGN &&
			datumIsEqual(columns, tenancy_clone_attr(&m->catalogs, CAT_CONSTRAINT, part->row, Anum_pg_constraint_conkey, &isnull), false, -1))
			return true;
	}
	return false;
}

/* Constraints of a table that have a definition of their own. */
static void
read_constraints(Model *m, Table *table)
{
	bool		partitioned = ROW(Form_pg_class, table->object.row)->relkind == RELKIND_PARTITIONED_TABLE;
	ListCell   *lc;

	table->constraints = tenancy_clone_rows(&m->catalogs, CAT_CONSTRAINT, table->object.oid);
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
		if (con->contype == CONSTRAINT_FOREIGN)
			check_foreign_key(m, con);

		part = tenancy_clone_new_part(m, &table->object, OBJ_CONSTRAINT, ConstraintRelationId,
						con->oid, row);
		part->name = tenancy_clone_identifier(con->conname);
		if (is_index)
			tenancy_clone_set_address(m, RelationRelationId, con->conindid, part);

		/*
		 * What is created with a new table counts as valid.  An index of a
		 * partitioned table comes after its partitions', to which it is then
		 * attached one by one.
		 */
		part->apart = !con->convalidated ||
			(partitioned && con->contype != CONSTRAINT_CHECK) ||
			(is_index && is_second_key(m, table, row));
	}
}

/*
 * PostgreSQL's own triggers are made with their constraint, and enabled.  Those
 * of an online move belong to no constraint, and not to the model.
 */
static void
read_triggers(Model *m, Table *table)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_TRIGGER, table->object.oid))
	{
		Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));

		if (!trigger->tgisinternal)
			table->triggers = lappend(table->triggers, lfirst(lc));
		else if (trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN && OidIsValid(trigger->tgconstraint))
			tenancy_clone_refuse(m, ConstraintRelationId, trigger->tgconstraint,
								 "its triggers are disabled");
	}
}

/* Statistics of a table; they have a schema and an owner of their own. */
static void
read_statistics(Model *m, Oid relid)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_STATISTICS, relid))
	{
		Form_pg_statistic_ext stat = ROW(Form_pg_statistic_ext, lfirst(lc));

		if (stat->stxnamespace != m->namespace)
			tenancy_clone_refuse(m, StatisticExtRelationId, stat->oid,
								 "in another schema than its table");
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

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_PARENTS, table->object.oid))
	{
		Oid			parent = ROW(Form_pg_inherits, lfirst(lc))->inhparent;

		if (get_rel_namespace(parent) != m->namespace)
			tenancy_clone_refuse(m, RelationRelationId, table->object.oid,
								 "its parent is in another schema");
		table->parents = lappend_oid(table->parents, parent);
	}
	if (!ROW(Form_pg_class, table->object.row)->relhassubclass)
		return;
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_CHILDREN, table->object.oid))
	{
		Form_pg_inherits inh = ROW(Form_pg_inherits, lfirst(lc));

		if (get_rel_namespace(inh->inhrelid) != m->namespace)
			tenancy_clone_refuse(m, RelationRelationId, table->object.oid,
								 "has a child in another schema");
		if (inh->inhdetachpending)
			tenancy_clone_refuse(m, RelationRelationId, inh->inhrelid, "is being detached");
		table->children = lappend_oid(table->children, inh->inhrelid);
	}
}

static void
read_table(Model *m, Oid relid, HeapTuple row, List *dependencies)
{
	Form_pg_class class = ROW(Form_pg_class, row);
	Table	   *table = (Table *) tenancy_clone_new_object(m, OBJ_TABLE, sizeof(Table),
											 RelationRelationId, relid, row);

	tenancy_clone_add_whole(m, &table->object, class->relname, dependencies);
	tenancy_clone_set_address(m, TypeRelationId, class->reltype, &table->object);
	tenancy_clone_set_address(m, TypeRelationId, get_array_type(class->reltype), &table->object);
	read_type_users(m, class->reltype);
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

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_REWRITE, table->object.oid))
	{
		Form_pg_rewrite rule = ROW(Form_pg_rewrite, lfirst(lc));

		if (table->object.kind != OBJ_TABLE && rule->ev_type == '1')
		{
			table->return_rule = rule->oid;
			tenancy_clone_set_address(m, RewriteRelationId, rule->oid, &table->object);
		}
		else if (planted)
			tenancy_clone_refuse(m, RewriteRelationId, rule->oid,
								 "the schema has an operator that compares OIDs");
	}
}

static void
read_view(Model *m, Oid relid, HeapTuple row, List *dependencies)
{
	Form_pg_class class = ROW(Form_pg_class, row);
	bool		materialized = class->relkind == RELKIND_MATVIEW;
	Table	   *view = (Table *) tenancy_clone_new_object(m, materialized ? OBJ_MATVIEW : OBJ_VIEW, sizeof(Table),
											RelationRelationId, relid, row);
	ListCell   *lc;

	tenancy_clone_add_whole(m, &view->object, class->relname, dependencies);
	tenancy_clone_set_address(m, TypeRelationId, class->reltype, &view->object);
	tenancy_clone_set_address(m, TypeRelationId, get_array_type(class->reltype), &view->object);
	read_type_users(m, class->reltype);
	read_columns(m, view);
	read_defaults(m, view);
	foreach(lc, view->object.parts)
		((Object *) lfirst(lc))->apart = true;
	if (class->relhastriggers)
		read_triggers(m, view);
	if (materialized)
	{
		read_statistics(m, relid);
		m->has_matviews = true;
	}
}

static void
read_sequence(Model *m, Oid relid, HeapTuple row, List *dependencies)
{
	Object	   *sequence = tenancy_clone_new_object(m, OBJ_SEQUENCE, sizeof(Object),
									  RelationRelationId, relid, row);
	ListCell   *lc;

	tenancy_clone_add_whole(m, sequence, ROW(Form_pg_class, row)->relname, dependencies);
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
			tenancy_clone_refuse(m, RelationRelationId, relid, "owned by a table in another schema");
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
		case RELKIND_MATVIEW:
			read_view(m, relid, row, dependencies);
			break;
		case RELKIND_SEQUENCE:
			read_sequence(m, relid, row, dependencies);
			break;
		default:
			tenancy_clone_refuse(m, RelationRelationId, relid, NULL);
			return;
	}
	if (class->relhasrules)
		read_rules(m, tenancy_clone_find_table(m, relid));
	check_owner(m, RelationRelationId, relid, class->relowner,
				class->relkind == RELKIND_VIEW || class->relkind == RELKIND_MATVIEW || class->relhasrules);
}

static void
read_domain_constraints(Model *m, Object *domain)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_DOMAIN_CONSTRAINT, domain->oid))
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));
		Object	   *part;

		if (con->contype != CONSTRAINT_CHECK)
			continue;
		part = tenancy_clone_new_part(m, domain, OBJ_CONSTRAINT, ConstraintRelationId,
						con->oid, lfirst(lc));
		part->name = tenancy_clone_identifier(con->conname);
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
		tenancy_clone_refuse(m, TypeRelationId, oid, "its range type is in another schema");
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
		tenancy_clone_refuse(m, TypeRelationId, type->oid, "has a canonical function");
	if (type_namespace(range->rngmultitypid) != m->namespace)
		tenancy_clone_refuse(m, TypeRelationId, type->oid, "its multirange type is in another schema");
	tenancy_clone_set_address(m, TypeRelationId, range->rngmultitypid, type);
	tenancy_clone_set_address(m, TypeRelationId, get_array_type(range->rngmultitypid), type);
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
		tenancy_clone_refuse(m, TypeRelationId, oid, NULL);
		return;
	}

	object = tenancy_clone_new_object(m, type->typtype == TYPTYPE_DOMAIN ? OBJ_DOMAIN : OBJ_TYPE,
						sizeof(Object), TypeRelationId, oid, row);
	tenancy_clone_add_whole(m, object, type->typname, dependencies);
	tenancy_clone_set_address(m, TypeRelationId, type->typarray, object);
	tenancy_clone_set_address(m, RelationRelationId, type->typrelid, object);
	read_type_users(m, oid);
	check_owner(m, TypeRelationId, oid, type->typowner, false);
	if (type->typtype == TYPTYPE_DOMAIN)
		read_domain_constraints(m, object);
	if (type->typtype == TYPTYPE_RANGE)
		read_range(m, object);
}

/* Has a schema several functions of this one's name? */
static bool
is_overloaded(Oid function)
{
	char	   *name = get_func_name(function);
	Oid			namespace = get_func_namespace(function);
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	int			count = 0;

	for (int i = 0; i < list->n_members; i++)
	{
		if (ROW(Form_pg_proc, &list->members[i]->tuple)->pronamespace == namespace)
			count++;
	}
	ReleaseSysCacheList(list);
	return count > 1;
}

/*
 * Is the name of an aggregate's function enough to find it again?  It is, if there is
 * no other, or if its arguments are just those that it is looked for with: one
 * type, or the types of a state and of the aggregate's arguments.  (With no state: who
 * knows.)
 */
static bool
is_found_again(Oid function, Oid state, const oidvector *arguments)
{
	Oid		   *types;
	int			count;
	bool		result;

	if (!OidIsValid(function) || !is_overloaded(function))
		return true;
	if (!OidIsValid(state))
		return false;
	(void) get_func_signature(function, &types, &count);
	result = count == 1 + (arguments ? arguments->dim1 : 0) && types[0] == state &&
		(arguments == NULL ||
		 memcmp(types + 1, arguments->values, sizeof(Oid) * arguments->dim1) == 0);
	pfree(types);
	return result;
}

/* The same for a function that takes two states. */
static bool
is_combiner_found_again(Oid function, Oid state)
{
	oidvector  *second = buildoidvector(&state, 1);

	return is_found_again(function, state, second);
}

static bool
has_initial_value(HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;

	(void) SysCacheGetAttr(AGGFNOID, tuple, attno, &isnull);
	return !isnull;
}

/* Can only a superuser make an aggregate with such a state? */
static bool
is_internal(Form_pg_aggregate agg)
{
	return agg->aggtranstype == INTERNALOID || agg->aggmtranstype == INTERNALOID;
}

/* What an aggregate has that its copy could not have, or not for sure. */
static const char *
aggregate_obstacle(Model *m, HeapTuple row)
{
	Form_pg_proc proc = ROW(Form_pg_proc, row);
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(proc->oid));
	const oidvector *args = &proc->proargtypes;
	Form_pg_aggregate agg;
	Oid			state;
	const char *obstacle = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", proc->oid);
	agg = ROW(Form_pg_aggregate, tuple);

	/* An ordered-set aggregate's functions get some of the arguments only. */
	state = agg->aggkind == AGGKIND_NORMAL ? agg->aggtranstype : InvalidOid;
	if (!is_found_again(agg->aggtransfn, state, args) ||
		!is_found_again(agg->aggmtransfn, agg->aggmtranstype, args) ||
		!is_found_again(agg->aggminvtransfn, agg->aggmtranstype, args) ||
		!is_found_again(agg->aggfinalfn, state, agg->aggfinalextra ? args : NULL) ||
		!is_found_again(agg->aggmfinalfn, agg->aggmtranstype, agg->aggmfinalextra ? args : NULL) ||
		!is_combiner_found_again(agg->aggcombinefn, agg->aggtranstype) ||
		!is_found_again(agg->aggserialfn, INTERNALOID, NULL) ||
		!is_found_again(agg->aggdeserialfn, BYTEAOID, buildoidvector((Oid[]) {INTERNALOID}, 1)))
		obstacle = "aggregate of an overloaded function";
	else if (!is_internal(agg))
		obstacle = NULL;
	else if (tenancy_function_aclcheck(proc->oid, m->owner, ACL_EXECUTE) != ACLCHECK_OK)
		obstacle = "aggregate whose state is internal, and the owner of the model may not execute it";
	else if ((has_initial_value(tuple, Anum_pg_aggregate_agginitval) && !is_plain_type(agg->aggtranstype)) ||
			 (has_initial_value(tuple, Anum_pg_aggregate_aggminitval) && !is_plain_type(agg->aggmtranstype)))
		obstacle = "aggregate whose state is internal, and which has an initial value of another type than PostgreSQL's";
	ReleaseSysCache(tuple);
	return obstacle;
}

/* Is the function in a language that is for superusers only, or an aggregate for them? */
static bool
is_elevated(Form_pg_proc proc)
{
	bool		is_aggregate = proc->prokind == PROKIND_AGGREGATE;
	HeapTuple	tuple = is_aggregate ? SearchSysCache1(AGGFNOID, ObjectIdGetDatum(proc->oid)) :
		SearchSysCache1(LANGOID, ObjectIdGetDatum(proc->prolang));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", proc->oid);
	result = is_aggregate ? is_internal(ROW(Form_pg_aggregate, tuple)) :
		!ROW(Form_pg_language, tuple)->lanpltrusted;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Why a function that is not in a language for everybody cannot be copied; NULL
 * if it can.
 */
static const char *
elevated_obstacle(Model *m, HeapTuple row)
{
	Form_pg_proc proc = ROW(Form_pg_proc, row);
	bool		isnull;
	ListCell   *lc;

	if (proc->prolang != INTERNALlanguageId && proc->prolang != ClanguageId)
		return psprintf("in the untrusted language %s", get_language_name(proc->prolang, false));
	if (tenancy_function_aclcheck(proc->oid, m->owner, ACL_EXECUTE) != ACLCHECK_OK)
		return "in the language C, and the owner of the model may not execute it";

	/* Its owner can have it called with nulls, which would end the server. */
	if (proc->proisstrict && proc->proowner != m->owner)
		return "in the language C, strict, and not owned by the owner of the model";
	foreach(lc, tenancy_clone_argument_defaults(row))
	{
		if (!IsA(lfirst(lc), Const) || !is_plain_type(((Const *) lfirst(lc))->consttype))
			return "in the language C, with a default that is not a plain constant";
	}
	(void) SysCacheGetAttr(PROCOID, row, Anum_pg_proc_protrftypes, &isnull);
	if (!isnull)
		return "in the language C, with transforms";
	return NULL;
}

/* Why a copy could not have this function; NULL if it can. */
static const char *
function_obstacle(Model *m, HeapTuple row)
{
	Form_pg_proc proc = ROW(Form_pg_proc, row);

	if (proc->prokind == PROKIND_AGGREGATE)
		return aggregate_obstacle(m, row);
	if (is_elevated(proc))
		return elevated_obstacle(m, row);
	if (proc->proleakproof)
		return "leakproof";
	if (OidIsValid(proc->prosupport))
		return "has a support function";
	return NULL;
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
	obstacle = function_obstacle(m, row);
	if (obstacle != NULL)
	{
		tenancy_clone_refuse(m, ProcedureRelationId, oid, obstacle);
		return;
	}

	object = tenancy_clone_new_object(m, OBJ_FUNCTION, sizeof(Object), ProcedureRelationId, oid, row);
	object->elevated = is_elevated(proc);
	tenancy_clone_add_whole(m, object, proc->proname, dependencies);
	check_owner(m, ProcedureRelationId, oid, proc->proowner, proc->prosecdef);
}

/* Something in the schema, by its address. */
static void
read_member(Model *m, Oid classid, Oid oid)
{
	List	   *dependencies;

	/* An extension only has its home here; its objects stay where they are. */
	if (classid == ExtensionRelationId)
		return;
	dependencies = tenancy_clone_rows2(&m->catalogs, CAT_DEPEND, classid, oid);
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
			/* read with its table, which tenancy_clone_read_members() makes sure of */
			break;
		default:
			read_other(m, classid, oid, dependencies);
			break;
	}
}

int
tenancy_clone_compare_members(const ListCell *a, const ListCell *b)
{
	Oid			x = ROW(Form_pg_depend, lfirst(a))->objid;
	Oid			y = ROW(Form_pg_depend, lfirst(b))->objid;

	return x < y ? -1 : x > y;
}

/*
 * Does a relation that is not in the schema read a materialized view of the main
 * module?  Views cannot read each other in circles.
 */
static bool
is_outside_reader(Model *m, Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	ListCell   *lc;
	ListCell   *lc2;

	check_stack_depth();
	if (relkind == RELKIND_MATVIEW)
		return OidIsValid(m->main_namespace) && get_rel_namespace(relid) == m->main_namespace;
	if (relkind != RELKIND_VIEW)
		return false;
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_REWRITE, relid))
	{
		foreach(lc2, tenancy_clone_rows2(&m->catalogs, CAT_DEPEND, RewriteRelationId,
										 ROW(Form_pg_rewrite, lfirst(lc))->oid))
		{
			Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc2));

			if (dep->refclassid == RelationRelationId && dep->refobjid != relid &&
				is_outside_reader(m, dep->refobjid))
				return true;
		}
	}
	return false;
}

/* Does a rule read a materialized view, as far as is known? */
static bool
rule_reads_matview(Model *m, const Table *table, Form_pg_rewrite rule)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_DEPEND, RewriteRelationId, rule->oid))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));
		Table	   *read;

		if (dep->refclassid != RelationRelationId || dep->refobjid == table->object.oid)
			continue;
		read = tenancy_clone_find_table(m, dep->refobjid);
		if (read ? read->object.kind == OBJ_MATVIEW || read->reads_matview :
			is_outside_reader(m, dep->refobjid))
			return true;
	}
	return false;
}

static bool
is_security_invoker(const Table *view)
{
	bool		isnull;
	Datum		options = SysCacheGetAttr(RELOID, view->object.row, Anum_pg_class_reloptions, &isnull);
	ListCell   *lc;

	if (isnull)
		return false;
	foreach(lc, untransformRelOptions(options))
	{
		if (strcmp(((DefElem *) lfirst(lc))->defname, "security_invoker") == 0)
			return defGetBoolean(lfirst(lc));
	}
	return false;
}

/*
 * Look at a relation's rules.  Returns whether it has been found out only now that
 * it reads a materialized view.
 */
static bool
find_reader(Model *m, Table *table)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_REWRITE, table->object.oid))
	{
		Form_pg_rewrite rule = ROW(Form_pg_rewrite, lfirst(lc));

		if (!rule_reads_matview(m, table, rule))
			continue;
		found = found || !table->reads_matview;
		table->reads_matview = true;
		if (table->object.kind == OBJ_TABLE)
			tenancy_clone_refuse(m, RewriteRelationId, rule->oid, "reads a materialized view");
		else if (rule->oid != table->return_rule || !is_security_invoker(table))
			table->withheld = true;
	}
	return found;
}

/*
 * Row security does not hold the rows of a materialized view, so that nobody but
 * the owner of a tenant's copy gets any privilege on it, nor on what reads it with
 * the owner's rights.
 */
static void
find_withheld(Model *m)
{
	MemoryContext old;
	bool		found;
	ListCell   *lc;

	do
	{
		found = false;
		foreach(lc, m->objects)
		{
			Object	   *object = lfirst(lc);

			if (object->kind == OBJ_MATVIEW)
				((Table *) object)->withheld = true;
			else if ((object->kind == OBJ_TABLE || object->kind == OBJ_VIEW) &&
					 ROW(Form_pg_class, object->row)->relhasrules)
				found = find_reader(m, (Table *) object) || found;
		}
	} while (found);

	old = MemoryContextSwitchTo(m->result_context);
	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if ((object->kind == OBJ_MATVIEW || object->kind == OBJ_VIEW) && ((Table *) object)->withheld)
			m->withheld = lappend(m->withheld, psprintf("%s %s", object->kind == OBJ_MATVIEW ? "materialized view" : "view",
														object->name));
	}
	MemoryContextSwitchTo(old);
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
		table = tenancy_clone_find_table(m, object->owner_relid);
		if (table == NULL)
		{
			tenancy_clone_refuse(m, object->classid, object->oid, "its table stays where it is");
			continue;
		}
		table->sequences = lappend(table->sequences, object);
		object->whole = &table->object;
	}

	/* Who needs a range's constructor needs the range. */
	foreach(lc, m->internal_functions)
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));
		Object	   *object = tenancy_clone_find_object(m, dep->refclassid, dep->refobjid);

		if (object != NULL)
			tenancy_clone_set_address(m, dep->classid, dep->objid, object);
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

/*
 * Read everything that is in the schema: all of it depends on it, but for
 * what is part of something else (indexes, row types, arrays).
 */
void
tenancy_clone_read_members(Model *m)
{
	List	   *members = tenancy_clone_rows2(&m->catalogs, CAT_REFERENCE,
											  NamespaceRelationId, m->namespace);
	ListCell   *lc;

	m->has_labels = tenancy_clone_has_labels(&m->catalogs);
	list_sort(members, tenancy_clone_compare_members);
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
			tenancy_clone_refuse(m, dep->classid, dep->objid, "its table is in another schema");
	}
	connect_objects(m);
	if (m->tenant != NULL && (m->has_matviews || OidIsValid(m->main_namespace)))
		find_withheld(m);
}
