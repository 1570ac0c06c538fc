/*-------------------------------------------------------------------------
 *
 * clone_create.c
 *	  Statements for what others can be defined by, in an order that works.
 *
 * Each object (a type, function, sequence, table or view) is created after
 * what it needs, according to pg_depend; otherwise in the order in which the
 * model's were created.  Defaults and constraints are parts of their table or
 * domain, and created with it where that is possible, which is cheaper than
 * ALTER TABLE (a foreign key of a new table is not validated), but break a
 * circle where it is not: then they are added afterwards.
 *
 * place() calls itself through place_needs() and place_parts(); the create_
 * functions write what it has found the place of, and call nothing above them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "clone_body.h"
#include "clone_catalog.h"
#include "clone_create.h"
#include "clone_elevated.h"
#include "clone_model.h"
#include "clone_other.h"
#include "commands/defrem.h"
#include "compat.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/*
 * The minor releases of late 2026 keep a column's version among its options.
 * It is the server's own, and no headers of before that know it.
 */
#ifndef ATTRIBUTE_VERSION_ATTOPTION
#define ATTRIBUTE_VERSION_ATTOPTION "pg_attver"
#endif

static bool place(Model *m, Object *object);


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
		need = tenancy_clone_find_object(m, dep->refclassid, dep->refobjid);
		if (need != NULL)
			needs = list_append_unique_ptr(needs, need);
	}
	return needs;
}

/* The same for the object or part at an address. */
static List *
add_needs_of(Model *m, List *needs, Oid classid, Oid oid)
{
	return add_needs(m, needs, tenancy_clone_rows2(&m->catalogs, CAT_DEPEND, classid, oid));
}

/*
 * Shall the foreign keys of a table stay apart?  Where they need not be validated,
 * they cost the same then, and PostgreSQL does not have to read their triggers again
 * whenever the table gets an index.
 */
static bool
is_cheaper_apart(const Model *m, const Table *table)
{
	return m->tenant != NULL && table->parents == NIL && table->children == NIL &&
		ROW(Form_pg_class, table->object.row)->relkind == RELKIND_RELATION;
}

/*
 * What a constraint needs.  A foreign key must come after the index that it
 * points to: it stays apart if that is no constraint's, or a partitioned
 * table's.  One that leads out of a tenant's copy stays apart as well.
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
			referenced = tenancy_clone_find_object(m, RelationRelationId, con->confrelid);
			if (referenced == NULL)
			{
				part->apart = part->apart || m->tenant != NULL;
				return NIL;
			}
			key = tenancy_clone_find_object(m, RelationRelationId, con->conindid);
			if (key == NULL || key->apart || is_cheaper_apart(m, (Table *) part->whole))
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

	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a constraint with a conrelid has a table */
	foreach(lc, table->children)
	{
		Object	   *child = tenancy_clone_find_object(m, RelationRelationId, lfirst_oid(lc));

		if (child != NULL)
			needs = list_append_unique_ptr(needs, child);
	}
	return needs;
}

/* Is it for clone_elevated.c?  Casts, which come first anyway, apart. */
static bool
is_elevated(const Object *object)
{
	return object->elevated || object->classid == OperatorClassRelationId ||
		object->classid == OperatorFamilyRelationId;
}

/* The objects of the model that must be there before this one. */
static List *
find_needs(Model *m, Object *object)
{
	List	   *needs = add_needs(m, NIL, object->dependencies);
	Form_pg_constraint con;
	ListCell   *lc;

	switch (object->kind)
	{
		case OBJ_OTHER:
			if (!is_elevated(object))
				return needs;
			foreach(lc, tenancy_clone_elevated_members(m, object))
				needs = add_needs_of(m, needs, ROW(Form_pg_depend, lfirst(lc))->classid,
									 ROW(Form_pg_depend, lfirst(lc))->objid);
			return needs;
		case OBJ_TYPE:
			return add_needs_of(m, needs, RelationRelationId,
								ROW(Form_pg_type, object->row)->typrelid);
		case OBJ_VIEW:
		case OBJ_MATVIEW:
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
			tenancy_clone_refuse(m, ProcedureRelationId, object->oid, "calls itself in its SQL body");
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
		return table->inherits;

	parent = tenancy_clone_find_table(m, linitial_oid(table->parents));
	foreach(lc, parent->object.parts)
	{
		Object	   *theirs = lfirst(lc);

		if (theirs->kind == OBJ_CONSTRAINT && strcmp(theirs->name, part->name) == 0)
			return theirs->state != OBJ_PLACED || theirs->inherited;
	}
	return true;
}

/* Does the column come from a parent that the table is created with? */
bool
tenancy_clone_is_inherited_column(const Table *table, Form_pg_attribute att)
{
	return table->inherits && att->attinhcount > 0;
}

/* Has a parent the same expression for a column that is generated? */
static bool
has_parents_expression(Model *m, Table *table, Form_pg_attribute att, const Object *part)
{
	char	   *expression = tenancy_clone_deparse(table, part->expr);
	ListCell   *lc;

	foreach(lc, table->parents)
	{
		Table	   *parent = tenancy_clone_find_table(m, lfirst_oid(lc));
		Form_pg_attribute theirs = tenancy_clone_find_column_by_name(parent, NameStr(att->attname));
		Object	   *def = theirs ? tenancy_clone_find_default(parent, theirs->attnum) : NULL;

		if (def != NULL && strcmp(tenancy_clone_deparse(parent, def->expr), expression) == 0)
			return true;
	}
	return false;
}

/*
 * A default of an inherited column is set afterwards; a generation expression
 * comes with the column, which must not say it once more.
 */
static void
classify_default(Model *m, Table *table, Object *part)
{
	Form_pg_attribute att;

	if (part->kind != OBJ_DEFAULT || table->object.kind != OBJ_TABLE)
		return;
	att = tenancy_clone_find_column(table, part->attno);
	if (!tenancy_clone_is_inherited_column(table, att) ||
		(att->attislocal &&
		 (att->attgenerated == '\0' || !has_parents_expression(m, table, att, part))))
		return;
	if (att->attgenerated != '\0')
		part->state = OBJ_PLACED;
	else
		part->apart = true;
}

bool
tenancy_clone_is_foreign_key(const Object *part)
{
	return part->kind == OBJ_CONSTRAINT &&
		ROW(Form_pg_constraint, part->row)->contype == CONSTRAINT_FOREIGN;
}

/*
 * Is it a foreign key of a tenant's copy to a table that is not of the copy?  To add
 * it, PostgreSQL locks that table against writers to the end of the transaction.
 */
bool
tenancy_clone_leads_outside(Model *m, Form_pg_constraint con)
{
	return m->tenant != NULL && con->contype == CONSTRAINT_FOREIGN &&
		tenancy_clone_find_object(m, RelationRelationId, con->confrelid) == NULL;
}

/* Decide which parts are created together with their whole. */
static void
place_parts(Model *m, Object *whole, bool foreign_keys)
{
	ListCell   *lc;

	foreach(lc, whole->parts)
	{
		Object	   *part = lfirst(lc);

		if (tenancy_clone_is_foreign_key(part) != foreign_keys)
			continue;
		if (whole->kind == OBJ_TABLE)
		{
			classify_default(m, (Table *) whole, part);
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
			tenancy_clone_find_column(table, part->attno)->attgenerated != '\0' &&
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
char *
tenancy_clone_deparse(Table *table, Node *expr)
{
	if (table != NULL && table->context == NIL)
		table->context = deparse_context_for(NameStr(ROW(Form_pg_class, table->object.row)->relname),
											 table->object.oid);
	return deparse_expression(expr, table ? table->context : NIL, false, false);
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

void
tenancy_clone_append_options(StringInfo buf, const char *prefix, Datum options)
{
	Datum	   *values;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(options), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
		append_option(buf, prefix, TextDatumGetCString(values[i]));
}

/* The options of a relation, with a table's TOAST table's. */
char *
tenancy_clone_relation_options(HeapTuple class_row)
{
	Oid			toast = ROW(Form_pg_class, class_row)->reltoastrelid;
	StringInfoData buf;
	bool		isnull;
	Datum		options;

	initStringInfo(&buf);
	options = SysCacheGetAttr(RELOID, class_row, Anum_pg_class_reloptions, &isnull);
	if (!isnull)
		tenancy_clone_append_options(&buf, "", options);
	if (OidIsValid(toast))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(toast));

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for relation %u", toast);
		options = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
		if (!isnull)
			tenancy_clone_append_options(&buf, "toast.", options);
		ReleaseSysCache(tuple);
	}
	return buf.data;
}

/*
 * PostgreSQL leaves out the options of a key's index.  They can be set afterwards,
 * but for those of a partitioned one.
 */
char *
tenancy_clone_constraint_definition(const Object *part)
{
	Form_pg_constraint con = ROW(Form_pg_constraint, part->row);
	char	   *definition = TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
																	 ObjectIdGetDatum(part->oid)));
	char	   *options;
	char	   *end;
	HeapTuple	tuple;

	if ((con->contype != CONSTRAINT_PRIMARY && con->contype != CONSTRAINT_UNIQUE) ||
		get_rel_relkind(con->conindid) != RELKIND_PARTITIONED_INDEX)
		return definition;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(con->conindid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", con->conindid);
	options = tenancy_clone_relation_options(tuple);
	ReleaseSysCache(tuple);
	if (options[0] == '\0')
		return definition;

	/* The columns end with the last parenthesis. */
	end = strrchr(definition, ')') + 1;
	return psprintf("%s WITH (%s)%s", pnstrdup(definition, end - definition), options, end);
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
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_ENUM, object->oid))
	{
		Form_pg_enum label = ROW(Form_pg_enum, lfirst(lc));

		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_literal_cstr(NameStr(label->enumlabel)));
	}
	appendStringInfoChar(&buf, ')');
	tenancy_clone_emit(m, buf.data);
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
	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_ATTRIBUTE, relid))
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		if (att->attnum <= 0 || att->attisdropped)
			continue;
		appendStringInfo(&buf, "%s%s", first ? "" : ", ", tenancy_clone_identifier(att->attname));
		append_type_and_collation(&buf, att);
		first = false;
	}
	appendStringInfoChar(&buf, ')');
	tenancy_clone_emit(m, buf.data);
}

/*
 * The name by which PostgreSQL created a range or multirange type: that of the functions
 * that it made along with it, which do not follow when the type is renamed.
 */
static const char *
first_name(Model *m, Oid type)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_REFERENCE, TypeRelationId, type))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->classid == ProcedureRelationId && dep->deptype == DEPENDENCY_INTERNAL)
			return quote_identifier(get_func_name(dep->objid));
	}
	elog(ERROR, "type %u has no functions of its own", type);
	return NULL;				/* keep compiler quiet */
}

static char *
type_name(Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(oid));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", oid);
	name = pstrdup(NameStr(ROW(Form_pg_type, tuple)->typname));
	ReleaseSysCache(tuple);
	return name;
}

/* Rename a type that was created by another name. */
static void
rename_type(Model *m, const char *from, const char *to)
{
	if (strcmp(from, to) != 0)
		tenancy_clone_emit(m, psprintf("ALTER TYPE %s RENAME TO %s", from, to));
}

static void
create_range(Model *m, Object *object)
{
	const char *name = first_name(m, object->oid);
	const char *multirange_name;
	HeapTuple	tuple = SearchSysCache1(RANGETYPE, ObjectIdGetDatum(object->oid));
	Form_pg_range range;
	StringInfoData buf;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for range type %u", object->oid);
	range = ROW(Form_pg_range, tuple);
	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE TYPE %s AS RANGE (subtype = %s, subtype_opclass = %s",
					 name, format_type_be(range->rngsubtype),
					 generate_opclass_name(range->rngsubopc));
	if (OidIsValid(range->rngcollation))
		appendStringInfo(&buf, ", collation = %s",
						 generate_collation_name(range->rngcollation));
	if (OidIsValid(range->rngsubdiff))
		appendStringInfo(&buf, ", subtype_diff = %s",
						 tenancy_clone_function_name(m, range->rngsubdiff));
	multirange_name = first_name(m, range->rngmultitypid);
	appendStringInfo(&buf, ", multirange_type_name = %s)", multirange_name);
	tenancy_clone_emit(m, buf.data);
	rename_type(m, name, object->name);
	rename_type(m, multirange_name, quote_identifier(type_name(range->rngmultitypid)));
	ReleaseSysCache(tuple);
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
						 part->name, tenancy_clone_constraint_definition(part));
		*first = false;
	}
}

/*
 * The constraint, among those of a table or domain, that keeps a column from being
 * null, or NULL where versions have none; 0 for a domain.
 */
static Form_pg_constraint
find_not_null(List *constraints, AttrNumber column)
{
	ListCell   *lc;

	foreach(lc, constraints)
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));

		if (con->contype == CONSTRAINT_NOTNULL &&
			(column == 0 || tenancy_not_null_column(lfirst(lc)) == column))
			return con;
	}
	return NULL;
}

/* "NOT NULL", by its name where it has one. */
static void
append_not_null(StringInfo buf, const NameData *name)
{
	if (name != NULL)
		appendStringInfo(buf, " CONSTRAINT %s", tenancy_clone_identifier(*name));
	appendStringInfoString(buf, " NOT NULL");
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
						 tenancy_clone_deparse(NULL, stringToNode(TextDatumGetCString(value))));
	if (type->typnotnull)
	{
		Form_pg_constraint con = find_not_null(tenancy_clone_rows(&m->catalogs, CAT_DOMAIN_CONSTRAINT, object->oid), 0);

		append_not_null(&buf, con ? &con->conname : NULL);
	}
	append_inlined_constraints(&buf, object, " ", &first);
	tenancy_clone_emit(m, buf.data);
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
bool
tenancy_clone_append_names(StringInfo buf, const char *setting, char *value,
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

/* A list of names, as settings like search_path hold them, with one replaced. */
static char *
replace_name(const char *setting, char *value, const char *from, const char *to)
{
	List	   *names;
	StringInfoData buf;
	ListCell   *lc;

	if (!SplitGUCList(value, ',', &names))
		elog(ERROR, "invalid list syntax in setting \"%s\"", setting);
	initStringInfo(&buf);
	foreach(lc, names)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(strcmp(lfirst(lc), from) == 0 ? to : lfirst(lc)));
	return buf.data;
}

/*
 * A function's "name=value"; lists of names are quoted name by name.  Where
 * search_path names the model schema, the copy's names its own; and that of a
 * plug-in names the tenant's copy of the main module's.
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
	if (is_path && OidIsValid(m->main_namespace))
		value = replace_name(setting, value, get_namespace_name(m->main_namespace), m->main_schema);
	if ((GetConfigOptionFlags(setting, true) & GUC_LIST_QUOTE) == 0)
		appendStringInfoString(buf, quote_literal_cstr(value));
	else
		(void) tenancy_clone_append_names(buf, setting, value,
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
append_function_properties(StringInfo buf, Form_pg_proc proc, bool elevated)
{
	if (proc->prokind == PROKIND_WINDOW)
		appendStringInfoString(buf, " WINDOW");
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

	/* What is created elevated is so only when it belongs to who it is to act for. */
	if (proc->prosecdef && !elevated)
		appendStringInfoString(buf, " SECURITY DEFINER");
	if (proc->prokind != PROKIND_PROCEDURE)
		appendStringInfo(buf, " COST %.9g", proc->procost);
	if (proc->proretset)
		appendStringInfo(buf, " ROWS %.9g", proc->prorows);
}

/*
 * A string body as a tenant's copy has it: with the names of the copied schemas in
 * place of the models', as far as that can be done.
 */
static char *
copied_body(Model *m, const Object *object, char *body)
{
	Oid			language = ROW(Form_pg_proc, object->row)->prolang;
	bool		left = false;
	bool		main_left = false;

	if (m->tenant == NULL)
		return body;
	body = tenancy_clone_rewrite_body(body, language, m->module->model_schema, m->schema, &left);
	if (OidIsValid(m->main_namespace))
		body = tenancy_clone_rewrite_body(body, language, get_namespace_name(m->main_namespace),
										  m->main_schema, &main_left);
	if (left || main_left)
	{
		MemoryContext old = MemoryContextSwitchTo(m->result_context);

		m->names_model = lappend(m->names_model, tenancy_clone_function_signature(object));
		MemoryContextSwitchTo(old);
	}
	return body;
}

static void
append_function_body(Model *m, StringInfo buf, const Object *object)
{
	HeapTuple	row = object->row;
	Datum		oid = ObjectIdGetDatum(object->oid);
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
	appendStringInfo(buf, " AS %s", quote_literal_cstr(copied_body(m, object, TextDatumGetCString(value))));
}

/* What pg_get_functiondef() would say if it did not qualify the name. */
static void
append_aggregate_function(Model *m, const Object *object, StringInfo buf, const char *option, Oid oid)
{
	if (OidIsValid(oid))
		appendStringInfo(buf, ", %s = %s", option, object->elevated ?
						 tenancy_clone_elevated_function_name(m, oid) : tenancy_clone_function_name(m, oid));
}

static void
append_aggregate_type(Model *m, const Object *object, StringInfo buf, const char *option, Oid oid)
{
	appendStringInfo(buf, ", %s = %s", option, object->elevated ?
					 tenancy_clone_elevated_type_name(m, oid) : format_type_be(oid));
}

/* What a final function does to the state, unless that is the default. */
static void
append_final_modify(StringInfo buf, const char *option, char modify, char kind)
{
	if (modify != (kind == AGGKIND_NORMAL ? AGGMODIFY_READ_ONLY : AGGMODIFY_READ_WRITE))
		appendStringInfo(buf, ", %s = %s", option, modify == AGGMODIFY_SHAREABLE ? "SHAREABLE" :
						 modify == AGGMODIFY_READ_ONLY ? "READ_ONLY" : "READ_WRITE");
}

static void
append_initial_value(StringInfo buf, const char *option, HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(AGGFNOID, tuple, attno, &isnull);

	if (!isnull)
		appendStringInfo(buf, ", %s = %s", option,
						 quote_literal_cstr(TextDatumGetCString(value)));
}

/* The state of an aggregate over a window frame that moves. */
static void
append_moving_state(Model *m, const Object *object, StringInfo buf, HeapTuple tuple)
{
	Form_pg_aggregate agg = ROW(Form_pg_aggregate, tuple);

	if (!OidIsValid(agg->aggmtransfn))
		return;
	append_aggregate_function(m, object, buf, "MSFUNC", agg->aggmtransfn);
	append_aggregate_function(m, object, buf, "MINVFUNC", agg->aggminvtransfn);
	append_aggregate_type(m, object, buf, "MSTYPE", agg->aggmtranstype);
	if (agg->aggmtransspace != 0)
		appendStringInfo(buf, ", MSSPACE = %d", agg->aggmtransspace);
	append_aggregate_function(m, object, buf, "MFINALFUNC", agg->aggmfinalfn);
	if (agg->aggmfinalextra)
		appendStringInfoString(buf, ", MFINALFUNC_EXTRA");
	append_final_modify(buf, "MFINALFUNC_MODIFY", agg->aggmfinalmodify, agg->aggkind);
	append_initial_value(buf, "MINITCOND", tuple, Anum_pg_aggregate_aggminitval);
}

/* All between the name and the end. */
static char *
aggregate_definition(Model *m, const Object *object, HeapTuple tuple)
{
	Form_pg_proc proc = ROW(Form_pg_proc, object->row);
	Form_pg_aggregate agg = ROW(Form_pg_aggregate, tuple);
	StringInfoData buf;
	int			first;

	initStringInfo(&buf);
	appendStringInfo(&buf, "(%s) (",
					 tenancy_clone_elevated_arguments(m, object, agg->aggkind == AGGKIND_NORMAL ? -1 : agg->aggnumdirectargs));
	first = buf.len;
	append_aggregate_function(m, object, &buf, "SFUNC", agg->aggtransfn);
	append_aggregate_type(m, object, &buf, "STYPE", agg->aggtranstype);
	if (agg->aggtransspace != 0)
		appendStringInfo(&buf, ", SSPACE = %d", agg->aggtransspace);
	append_aggregate_function(m, object, &buf, "FINALFUNC", agg->aggfinalfn);
	if (agg->aggfinalextra)
		appendStringInfoString(&buf, ", FINALFUNC_EXTRA");
	append_final_modify(&buf, "FINALFUNC_MODIFY", agg->aggfinalmodify, agg->aggkind);
	append_aggregate_function(m, object, &buf, "COMBINEFUNC", agg->aggcombinefn);
	append_aggregate_function(m, object, &buf, "SERIALFUNC", agg->aggserialfn);
	append_aggregate_function(m, object, &buf, "DESERIALFUNC", agg->aggdeserialfn);
	append_initial_value(&buf, "INITCOND", tuple, Anum_pg_aggregate_agginitval);
	append_moving_state(m, object, &buf, tuple);
	if (OidIsValid(agg->aggsortop))
		appendStringInfo(&buf, ", SORTOP = %s", tenancy_clone_elevated_operator_name(m, agg->aggsortop));
	if (agg->aggkind == AGGKIND_HYPOTHETICAL)
		appendStringInfoString(&buf, ", HYPOTHETICAL");
	if (proc->proparallel != PROPARALLEL_UNSAFE)
		appendStringInfo(&buf, ", PARALLEL = %s",
						 proc->proparallel == PROPARALLEL_SAFE ? "SAFE" : "RESTRICTED");
	appendStringInfoChar(&buf, ')');

	/* There is no comma before the first. */
	buf.data[first] = ' ';
	return buf.data;
}

static void
create_aggregate(Model *m, Object *object)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(object->oid));
	char	   *definition;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", object->oid);
	definition = aggregate_definition(m, object, tuple);
	ReleaseSysCache(tuple);
	if (object->elevated)
		tenancy_clone_elevated_aggregate(m, object, definition);
	else
		tenancy_clone_emit(m, psprintf("CREATE AGGREGATE %s%s", object->name, definition));
}

static void
create_function(Model *m, Object *object)
{
	Form_pg_proc proc = ROW(Form_pg_proc, object->row);
	Datum		oid = ObjectIdGetDatum(object->oid);
	char	   *language = get_language_name(proc->prolang, false);
	StringInfoData buf;

	initStringInfo(&buf);
	if (object->elevated)
	{
		append_function_properties(&buf, proc, true);
		append_settings(m, object->row, &buf);
		tenancy_clone_elevated_function(m, object, buf.data);
		return;
	}
	appendStringInfo(&buf, "CREATE %s %s(%s)",
					 proc->prokind == PROKIND_PROCEDURE ? "PROCEDURE" : "FUNCTION",
					 object->name,
					 TextDatumGetCString(DirectFunctionCall1(pg_get_function_arguments, oid)));
	if (proc->prokind != PROKIND_PROCEDURE)
		appendStringInfo(&buf, " RETURNS %s",
						 TextDatumGetCString(DirectFunctionCall1(pg_get_function_result, oid)));
	append_transforms(&buf, object->row);
	appendStringInfo(&buf, " LANGUAGE %s", quote_identifier(language));
	append_function_properties(&buf, proc, false);
	append_settings(m, object->row, &buf);
	append_function_body(m, &buf, object);
	tenancy_clone_emit(m, buf.data);
}

/*
 * A function as other statements call it.  What an aggregate is ordered by is an
 * argument like others then; one that is variadic comes once.
 */
char *
tenancy_clone_function_signature(const Object *object)
{
	char	   *args = TextDatumGetCString(DirectFunctionCall1(pg_get_function_identity_arguments,
															   ObjectIdGetDatum(object->oid)));
	char	   *order = NULL;

	if (ROW(Form_pg_proc, object->row)->prokind == PROKIND_AGGREGATE)
		order = strstr(args, "ORDER BY ");
	if (order == NULL)
		return psprintf("%s(%s)", object->name, args);
	if (order == args)
		return psprintf("%s(%s)", object->name, args + strlen("ORDER BY "));
	order[-1] = '\0';
	order += strlen("ORDER BY ");
	if (strlen(order) <= strlen(args) && strcmp(args + strlen(args) - strlen(order), order) == 0 &&
		OidIsValid(ROW(Form_pg_proc, object->row)->provariadic))
		return psprintf("%s(%s)", object->name, args);
	return psprintf("%s(%s, %s)", object->name, args, order);
}


/* ----------------------------------------------------------------
 * Sequences
 * ----------------------------------------------------------------
 */

static Form_pg_sequence
sequence_row(Model *m, const Object *sequence)
{
	List	   *list = tenancy_clone_rows(&m->catalogs, CAT_SEQUENCE, sequence->oid);

	if (list == NIL)
		elog(ERROR, "cache lookup failed for sequence %u", sequence->oid);
	return ROW(Form_pg_sequence, linitial(list));
}

/* Is it counting up from 1, as sequences do of which nothing is said? */
static bool
is_plain_sequence(Form_pg_sequence seq)
{
	int64		max = seq->seqtypid == INT2OID ? PG_INT16_MAX :
		seq->seqtypid == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;

	return seq->seqincrement == 1 && seq->seqmin == 1 && seq->seqmax == max &&
		seq->seqstart == 1 && seq->seqcache == 1 && !seq->seqcycle;
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
	tenancy_clone_emit(m, buf.data);
}

/*
 * The sequence of an identity column; NULL if it is none, or if it is one of a partition
 * that shares its parent's sequence, as all do from 17 on: ATTACH PARTITION makes it one.
 */
static Object *
find_identity_sequence(const Table *table, Form_pg_attribute att)
{
	ListCell   *lc;

	if (att->attidentity == '\0')
		return NULL;
	foreach(lc, table->sequences)
	{
		Object	   *sequence = lfirst(lc);

		if (sequence->owner_attno == att->attnum)
			return sequence;
	}
	if (!ROW(Form_pg_class, table->object.row)->relispartition)
		elog(ERROR, "column %d of table %s has no sequence", att->attnum, table->object.name);
	return NULL;
}

/* The sequence is of the column's type, unless somebody changed it. */
static void
append_identity(Model *m, StringInfo buf, const Table *table, Form_pg_attribute att)
{
	Object	   *sequence = find_identity_sequence(table, att);
	Form_pg_sequence seq = sequence_row(m, sequence);

	appendStringInfo(buf, " GENERATED %s AS IDENTITY (SEQUENCE NAME %s",
					 att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS ? "ALWAYS" : "BY DEFAULT",
					 sequence->name);
	if (seq->seqtypid == att->atttypid && !is_plain_sequence(seq))
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
		if (seq->seqtypid != tenancy_clone_find_column(table, sequence->owner_attno)->atttypid)
		{
			StringInfoData buf;

			initStringInfo(&buf);
			appendStringInfo(&buf, "ALTER SEQUENCE %s AS %s", sequence->name,
							 format_type_be(seq->seqtypid));
			append_sequence_options(&buf, seq);
			appendStringInfo(&buf, " RESTART");
			tenancy_clone_emit(m, buf.data);
		}
		if (class->relpersistence != persistence)
			tenancy_clone_emit(m, psprintf("ALTER SEQUENCE %s SET %s", sequence->name,
										   class->relpersistence == RELPERSISTENCE_UNLOGGED ? "UNLOGGED" : "LOGGED"));
	}
}


/* ----------------------------------------------------------------
 * Tables
 * ----------------------------------------------------------------
 */

/* Constraints of columns that count for new rows only; a column cannot be created with one. */
static void
add_unvalidated_not_nulls(Model *m, const Table *table)
{
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		Form_pg_constraint con = ROW(Form_pg_constraint, lfirst(lc));

		if (con->contype == CONSTRAINT_NOTNULL && !con->convalidated &&
			(con->conislocal || !table->inherits))
			tenancy_clone_emit(m, psprintf("ALTER TABLE ONLY %s ADD CONSTRAINT %s NOT NULL %s%s NOT VALID",
										   table->object.name, tenancy_clone_identifier(con->conname),
										   quote_identifier(get_attname(table->object.oid, tenancy_not_null_column(lfirst(lc)), false)),
										   con->connoinherit ? " NO INHERIT" : ""));
	}
}

const char *
tenancy_clone_compression_name(char compression)
{
	return compression == 'l' ? "lz4" : compression == 'p' ? "pglz" : "default";
}

/* "name type ...", or for a typed table what is to be said beyond its type. */
static void
append_column(Model *m, StringInfo buf, Table *table, Form_pg_attribute att, bool typed)
{
	Object	   *def = tenancy_clone_find_default(table, att->attnum);
	Form_pg_constraint not_null = find_not_null(table->constraints, att->attnum);

	appendStringInfoString(buf, tenancy_clone_identifier(att->attname));
	if (typed)
		appendStringInfoString(buf, " WITH OPTIONS");
	else
		append_type_and_collation(buf, att);
	if (att->attcompression != '\0' && !typed && !tenancy_clone_is_inherited_column(table, att))
		appendStringInfo(buf, " COMPRESSION %s", tenancy_clone_compression_name(att->attcompression));
	if (def != NULL && def->inlined && att->attgenerated != '\0')
		appendStringInfo(buf, " GENERATED ALWAYS AS (%s) %s", tenancy_clone_deparse(table, def->expr),
						 att->attgenerated == ATTRIBUTE_GENERATED_STORED ? "STORED" : "VIRTUAL");
	else if (def != NULL && def->inlined)
		appendStringInfo(buf, " DEFAULT %s", tenancy_clone_deparse(NULL, def->expr));
	if (find_identity_sequence(table, att) != NULL)
		append_identity(m, buf, table, att);
	if (!att->attnotnull ||
		(not_null != NULL && (!not_null->convalidated || (table->inherits && !not_null->conislocal))))
		return;
	append_not_null(buf, not_null ? &not_null->conname : NULL);
	if (not_null != NULL && not_null->connoinherit)
		appendStringInfoString(buf, " NO INHERIT");
}

static void
append_columns(Model *m, StringInfo buf, Table *table, bool *first)
{
	bool		typed = OidIsValid(ROW(Form_pg_class, table->object.row)->reloftype);
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));
		Object	   *def = tenancy_clone_find_default(table, att->attnum);

		if (tenancy_clone_is_inherited_column(table, att) && !att->attislocal)
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
	char	   *options = tenancy_clone_relation_options(table->object.row);

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
		appendStringInfo(buf, " TABLESPACE %s",
						 tenancy_clone_tablespace_identifier(class->reltablespace));
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
		foreach(lc2, tenancy_clone_find_table(m, lfirst_oid(lc))->columns)
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

/* Has a column that may be null a parent that says NOT NULL? */
static bool
has_dropped_not_null(Model *m, const Table *table)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table->columns)
	{
		Form_pg_attribute att = ROW(Form_pg_attribute, lfirst(lc));

		foreach(lc2, table->parents)
		{
			Form_pg_attribute theirs = tenancy_clone_find_column_by_name(tenancy_clone_find_table(m, lfirst_oid(lc2)),
																		 NameStr(att->attname));

			if (theirs != NULL && theirs->attnotnull && !att->attnotnull)
				return true;
		}
	}
	return false;
}

/*
 * Decide how a child gets to its parents: created with them, or afterwards, where its
 * columns are in another order, as when a parent has got a column later.  The
 * parents have been placed.
 */
static void
choose_inheritance(Model *m, Table *table)
{
	if (table->parents == NIL || ROW(Form_pg_class, table->object.row)->relispartition)
		return;
	table->inherits = has_natural_order(m, table);
	if (!table->inherits && has_dropped_not_null(m, table))
		tenancy_clone_refuse(m, RelationRelationId, table->object.oid,
							 "has inherited columns in another order than its parents, and not their NOT NULL");
}

static void
attach_partition(Model *m, const Table *table)
{
	bool		isnull;
	Datum		bound = SysCacheGetAttr(RELOID, table->object.row,
										Anum_pg_class_relpartbound, &isnull);

	if (isnull)
		elog(ERROR, "partition %s has no bound", table->object.name);
	tenancy_clone_emit(m, psprintf("ALTER TABLE ONLY %s ATTACH PARTITION %s %s",
								   quote_identifier(get_rel_name(linitial_oid(table->parents))),
								   table->object.name,
								   tenancy_clone_deparse(NULL, stringToNode(TextDatumGetCString(bound)))));
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

		if (!tenancy_clone_is_inherited_column(table, att) || att->attislocal ||
			find_identity_sequence(table, att) == NULL)
			continue;
		prefix = psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s",
						  table->object.name, tenancy_clone_identifier(att->attname));
		tenancy_clone_emit(m, psprintf("%s SET NOT NULL", prefix));
		initStringInfo(&buf);
		appendStringInfo(&buf, "%s ADD", prefix);
		append_identity(m, &buf, table, att);
		tenancy_clone_emit(m, buf.data);
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
	tenancy_clone_emit(m, buf.data);
	add_unvalidated_not_nulls(m, table);

	if (class->relispartition)
		attach_partition(m, table);
	else if (!table->inherits)
	{
		foreach(lc, table->parents)
			tenancy_clone_emit(m, psprintf("ALTER TABLE %s INHERIT %s", table->object.name,
										   quote_identifier(get_rel_name(lfirst_oid(lc)))));
	}
	add_inherited_identities(m, table);
	adjust_identity_sequences(m, table);
}

/* Does a query read a relation?  A view's has the view itself among its tables, too. */
static bool
reads_relation(Node *node, void *context)
{
	const Oid  *relid = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, reads_relation, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->relid == *relid && rte->inFromCl)
			return true;
	}
	return query_tree_walker((Query *) node, reads_relation, context, 0);
}

/* A view's query. */
static char *
view_query(Model *m, const Table *view)
{
	Query	   *query = NULL;
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&m->catalogs, CAT_REWRITE, view->object.oid))
	{
		if (ROW(Form_pg_rewrite, lfirst(lc))->oid == view->return_rule)
			query = linitial(stringToNode(tenancy_clone_attr_text(&m->catalogs, CAT_REWRITE, lfirst(lc),
																  Anum_pg_rewrite_ev_action)));
	}
	if (query == NULL)
		elog(ERROR, "view %s has no query", view->object.name);
	if (reads_relation((Node *) query, unconstify(Oid *, &view->object.oid)))
		tenancy_clone_refuse(m, RelationRelationId, view->object.oid, "reads itself");
	return pg_get_querydef(query, false);
}

static void
append_view_columns(StringInfo buf, const Table *view)
{
	ListCell   *lc;

	foreach(lc, view->columns)
		appendStringInfo(buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : " (",
						 tenancy_clone_identifier(ROW(Form_pg_attribute, lfirst(lc))->attname));
	appendStringInfo(buf, "%s", view->columns != NIL ? ")" : "");
}

static void
create_view(Model *m, Table *view)
{
	char	   *options = tenancy_clone_relation_options(view->object.row);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE VIEW %s", view->object.name);
	append_view_columns(&buf, view);
	if (options[0] != '\0')
		appendStringInfo(&buf, " WITH (%s)", options);
	appendStringInfo(&buf, " AS %s", view_query(m, view));
	tenancy_clone_emit(m, buf.data);
}

/* It is filled when all that its query may come upon is there. */
static void
create_matview(Model *m, Table *view)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE MATERIALIZED VIEW %s", view->object.name);
	append_view_columns(&buf, view);
	append_table_properties(&buf, view);
	appendStringInfo(&buf, " AS %s WITH NO DATA", view_query(m, view));
	tenancy_clone_emit(m, buf.data);
	if (ROW(Form_pg_class, view->object.row)->relispopulated)
		m->refreshes = lappend(m->refreshes, psprintf("REFRESH MATERIALIZED VIEW %s", view->object.name));
}

/* A default or constraint that was not created with its whole. */
static void
add_part(Model *m, Object *part)
{
	Object	   *whole = part->whole;

	if (part->kind == OBJ_DEFAULT)
		tenancy_clone_emit(m, psprintf("ALTER %s %s ALTER COLUMN %s SET DEFAULT %s",
									   whole->kind == OBJ_VIEW ? "VIEW" : "TABLE ONLY",
									   whole->name, part->name, tenancy_clone_deparse(NULL, part->expr)));
	else
	{
		/* Checks go on to children, indexes of partitioned tables do not. */
		bool		only = whole->kind == OBJ_TABLE &&
			ROW(Form_pg_constraint, part->row)->contype != CONSTRAINT_CHECK;

		tenancy_clone_emit(m, psprintf("ALTER %s %s%s ADD CONSTRAINT %s %s",
									   tenancy_clone_object_keyword(whole),
									   only ? "ONLY " : "", whole->name, part->name,
									   tenancy_clone_constraint_definition(part)));
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
			if (ROW(Form_pg_proc, object->row)->prokind == PROKIND_AGGREGATE)
				create_aggregate(m, object);
			else
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
		case OBJ_MATVIEW:
			create_matview(m, (Table *) object);
			break;
		case OBJ_OTHER:
			tenancy_clone_create_other(m, object);
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
void
tenancy_clone_place_all(Model *m)
{
	ListCell   *lc;
	ListCell   *lc2;

	/*
	 * Nothing that uses a cast depends on it.  What is elevated comes early, so that
	 * little of what is the owner's can have run before.
	 */
	foreach(lc, m->objects)
	{
		if (is_elevated(lfirst(lc)) || ((Object *) lfirst(lc))->classid == CastRelationId)
			(void) place(m, lfirst(lc));
	}
	foreach(lc, m->objects)
	{
		Object	   *object = lfirst(lc);

		if (!place(m, object))
			tenancy_clone_refuse(m, object->classid, object->oid, "its definition needs itself");
	}
	tenancy_clone_check_refused(m);
	foreach(lc, m->objects)
	{
		foreach(lc2, ((Object *) lfirst(lc))->parts)
		{
			Object	   *part = lfirst(lc2);

			if (!tenancy_clone_is_foreign_key(part) && !place(m, part))
				tenancy_clone_refuse(m, part->classid, part->oid, "its definition needs itself");
		}
	}
	foreach(lc, m->handovers)
		tenancy_clone_emit_elevated(m, lfirst(lc));
}
