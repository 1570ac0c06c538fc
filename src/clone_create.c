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
 * place() calls itself through place_needs() and place_parts(); what it
 * has found the place of is written by others, which call nothing above them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_create.h"
#include "clone_elevated.h"
#include "clone_function.h"
#include "clone_model.h"
#include "clone_other.h"
#include "clone_table.h"
#include "clone_type.h"
#include "miscadmin.h"
#include "utils/memutils.h"

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
		case CONSTRAINT_EXCLUSION:
			/* What its expressions and operator classes need, its index does. */
			return list_delete_ptr(add_needs_of(m, add_needs_of(m, NIL, ConstraintRelationId, con->oid),
												RelationRelationId, con->conindid), part);
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
 * Creating what has found its place
 * ----------------------------------------------------------------
 */

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

/* All that is left of it are its statements: what they were made of is soon used again. */
static void
create_table(Model *m, Table *table)
{
	MemoryContext old = MemoryContextSwitchTo(m->scratch);

	tenancy_clone_create_table(m, table);
	MemoryContextSwitchTo(old);
	MemoryContextReset(m->scratch);
}

static void
create(Model *m, Object *object)
{
	switch (object->kind)
	{
		case OBJ_TYPE:
			tenancy_clone_create_type(m, object);
			break;
		case OBJ_DOMAIN:
			tenancy_clone_create_domain(m, object);
			break;
		case OBJ_FUNCTION:
			tenancy_clone_create_function(m, object);
			break;
		case OBJ_SEQUENCE:
			tenancy_clone_create_sequence(m, object);
			break;
		case OBJ_TABLE:
			create_table(m, (Table *) object);
			break;
		case OBJ_VIEW:
			tenancy_clone_create_view(m, (Table *) object);
			break;
		case OBJ_MATVIEW:
			tenancy_clone_create_matview(m, (Table *) object);
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
		tenancy_clone_choose_inheritance(m, (Table *) object);
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
