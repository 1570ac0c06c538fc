/*-------------------------------------------------------------------------
 *
 * clone_type.c
 *	  Statements for a copy's types, and what types and tables have in common:
 *	  expressions, options, constraints.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_model.h"
#include "clone_type.h"
#include "compat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/*
 * The minor releases of late 2026 keep a column's version among its options.
 * It is the server's own, and no headers of before that know it.
 */
#ifndef ATTRIBUTE_VERSION_ATTOPTION
#define ATTRIBUTE_VERSION_ATTOPTION "pg_attver"
#endif

/* ----------------------------------------------------------------
 * Expressions, options
 * ----------------------------------------------------------------
 */

/* An expression over a table's columns, or (table is NULL) over none. */
char *
tenancy_clone_deparse(Table *table, Node *expr)
{
	if (table != NULL && table->context == NIL)
	{
		/* It lasts as long as the table, which may be longer than what is current. */
		MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(table));

		table->context = deparse_context_for(NameStr(ROW(Form_pg_class, table->object.row)->relname),
											 table->object.oid);
		MemoryContextSwitchTo(old);
	}
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

void
tenancy_clone_append_type(StringInfo buf, Form_pg_attribute att)
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
		tenancy_clone_append_type(&buf, att);
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

void
tenancy_clone_append_constraints(StringInfo buf, const Object *whole, const char *separator,
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
Form_pg_constraint
tenancy_clone_find_not_null(List *constraints, AttrNumber column)
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
void
tenancy_clone_append_not_null(StringInfo buf, const NameData *name)
{
	if (name != NULL)
		appendStringInfo(buf, " CONSTRAINT %s", tenancy_clone_identifier(*name));
	appendStringInfoString(buf, " NOT NULL");
}

void
tenancy_clone_create_domain(Model *m, Object *object)
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
		Form_pg_constraint con = tenancy_clone_find_not_null(tenancy_clone_rows(&m->catalogs, CAT_DOMAIN_CONSTRAINT, object->oid), 0);

		tenancy_clone_append_not_null(&buf, con ? &con->conname : NULL);
	}
	tenancy_clone_append_constraints(&buf, object, " ", &first);
	tenancy_clone_emit(m, buf.data);
}

void
tenancy_clone_create_type(Model *m, Object *object)
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
