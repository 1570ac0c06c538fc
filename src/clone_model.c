/*-------------------------------------------------------------------------
 *
 * clone_model.c
 *	  A model schema as objects, and the statements that are written of it.
 *
 * What is in the schema is an Object each, with its parts and what it depends
 * on (clone_read.c).  Statements are collected in the order in which they are
 * to run.  What a copy cannot have is collected as well, and refused all at
 * once, before anything is created.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/dependency.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "clone_body.h"
#include "clone_catalog.h"
#include "clone_faithful.h"
#include "clone_model.h"
#include "compat.h"
#include "ident.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Note that an object cannot be copied; reason may be NULL. */
void
tenancy_clone_refuse(Model *m, Oid classid, Oid oid, const char *reason)
{
	MemoryContext old;
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
	old = MemoryContextSwitchTo(m->result_context);
	m->refused = lappend(m->refused, pstrdup(description));
	MemoryContextSwitchTo(old);
}

static int
compare_strings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* Raise the error that names what was refused, if anything was. */
void
tenancy_clone_check_refused(Model *m)
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

static TenancyCloneStatement *
emit(Model *m, const char *sql)
{
	MemoryContext old = MemoryContextSwitchTo(m->result_context);
	Size		size = strlen(sql) + 1;
	TenancyCloneStatement *statement = palloc0(offsetof(TenancyCloneStatement, sql) + size);

	memcpy(statement->sql, sql, size);
	m->statements = lappend(m->statements, statement);
	MemoryContextSwitchTo(old);
	return statement;
}

/*
 * In a plug-in, what has the name of something in the main module hides that from
 * search_path, so that it comes with its schema: let it be the tenant's.
 */
static const char *
in_main_schema(Model *m, const char *sql)
{
	const char *model;
	const char *rewritten;

	if (!OidIsValid(m->main_namespace))
		return sql;
	model = get_namespace_name(m->main_namespace);
	rewritten = tenancy_clone_rewrite_statement(sql, model, m->main_schema);
	if (rewritten == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot copy model schema \"%s\"", m->module->model_schema),
				 errdetail("It refers to something in schema \"%s\" that has the name of something of its own, where that name may be an alias, or in a constant.",
						   model),
				 errhint("Choose another name for one of them."),
				 errcontext("SQL statement \"%s\"", sql)));
	return rewritten;
}

/* Write a statement. */
void
tenancy_clone_emit(Model *m, const char *sql)
{
	(void) emit(m, in_main_schema(m, tenancy_clone_faithful(sql)));
}

/* Write one that only a superuser may run: see clone_elevated.c. */
void
tenancy_clone_emit_elevated(Model *m, const char *sql)
{
	emit(m, sql)->elevated = true;
}

/* Write one that fills a materialized view. */
void
tenancy_clone_emit_refresh(Model *m, const char *sql)
{
	emit(m, sql)->refresh = true;
}

/* Write one of our own row security: see tenancy_clone_put_up_wall(). */
void
tenancy_clone_emit_wall(Model *m, const char *sql)
{
	emit(m, sql)->wall = true;
}

void
tenancy_clone_set_address(Model *m, Oid classid, Oid oid, Object *object)
{
	ObjectKey	key = {classid, oid};
	ObjectEntry *entry;

	if (!OidIsValid(oid))
		return;
	entry = hash_search(m->by_address, &key, HASH_ENTER, NULL);
	entry->object = object;
}

Object *
tenancy_clone_find_object(Model *m, Oid classid, Oid oid)
{
	ObjectKey	key = {classid, oid};
	ObjectEntry *entry = hash_search(m->by_address, &key, HASH_FIND, NULL);

	return entry ? entry->object : NULL;
}

/* A table, or a view of any kind, of the model; NULL if the OID is of something else. */
Table *
tenancy_clone_find_table(Model *m, Oid relid)
{
	Object	   *object = tenancy_clone_find_object(m, RelationRelationId, relid);

	if (object == NULL || object->oid != relid ||
		(object->kind != OBJ_TABLE && object->kind != OBJ_VIEW && object->kind != OBJ_MATVIEW))
		return NULL;
	return (Table *) object;
}

/* Fill in an object (size bytes, so that it can be a Table's). */
Object *
tenancy_clone_new_object(Model *m, ObjectKind kind, Size size, Oid classid, Oid oid, HeapTuple row)
{
	Object	   *object = palloc0(size);

	object->kind = kind;
	object->classid = classid;
	object->oid = oid;
	object->row = row;
	tenancy_clone_set_address(m, classid, oid, object);
	return object;
}

void
tenancy_clone_add_whole(Model *m, Object *object, NameData name, List *dependencies)
{
	object->name = tenancy_clone_identifier(name);
	object->dependencies = dependencies;
	m->objects = lappend(m->objects, object);
}

Object *
tenancy_clone_new_part(Model *m, Object *whole, ObjectKind kind, Oid classid, Oid oid, HeapTuple row)
{
	Object	   *part = tenancy_clone_new_object(m, kind, sizeof(Object), classid, oid, row);

	part->whole = whole;
	whole->parts = lappend(whole->parts, part);
	return part;
}

/* The kinds of objects that getObjectDescription() speaks of, for SQL. */
const char *
tenancy_clone_object_keyword(const Object *object)
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
		case OBJ_MATVIEW:
			return "MATERIALIZED VIEW";
		case OBJ_OTHER:
		case OBJ_DEFAULT:
		case OBJ_CONSTRAINT:
			break;
	}
	elog(ERROR, "unexpected kind of object: %d", (int) object->kind);
	return NULL;				/* keep compiler quiet */
}

bool
tenancy_clone_is_extension_member(Model *m, Oid classid, Oid oid)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_DEPEND, classid, oid))
	{
		if (ROW(Form_pg_depend, lfirst(lc))->deptype == DEPENDENCY_EXTENSION)
			return true;
	}
	return false;
}

/*
 * The schema by which a statement names an object; NULL where search_path leads to
 * it, as it does to what extensions have in model schemas.
 */
const char *
tenancy_clone_qualifier(Model *m, Oid classid, Oid oid, Oid namespace)
{
	if (namespace == m->namespace)
		return NULL;
	if (!OidIsValid(m->main_namespace) || namespace != m->main_namespace)
		return get_namespace_name(namespace);
	return tenancy_clone_is_extension_member(m, classid, oid) ? NULL : m->main_schema;
}

/* A function's name alone; its arguments are known where it is called. */
const char *
tenancy_clone_function_name(Model *m, Oid oid)
{
	return quote_qualified_identifier(tenancy_clone_qualifier(m, ProcedureRelationId, oid, get_func_namespace(oid)),
									  get_func_name(oid));
}

/* The row of a column. */
Form_pg_attribute
tenancy_clone_find_column(const Table *table, AttrNumber attno)
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

Form_pg_attribute
tenancy_clone_find_column_by_name(const Table *table, const char *name)
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

Object *
tenancy_clone_find_default(const Table *table, AttrNumber attno)
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

/* Arguments' defaults, as a List of expressions. */
List *
tenancy_clone_argument_defaults(HeapTuple row)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_proargdefaults, &isnull);

	return isnull ? NIL : castNode(List, stringToNode(TextDatumGetCString(value)));
}

void
tenancy_clone_warn_of_other_owners(const Model *m)
{
	if (m->has_other_owners)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("not all objects in model schema \"%s\" belong to role %s, which owns it",
						m->module->model_schema, tenancy_clone_role_identifier(m->owner)),
				 errdetail("Their copies do."),
				 errhint("Use ALTER ... OWNER TO.")));
}
