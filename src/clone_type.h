/*-------------------------------------------------------------------------
 *
 * clone_type.h
 *	  Statements for a copy's types, and what types and tables have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_TYPE_H
#define TENANCY_CLONE_TYPE_H

#include "catalog/pg_constraint.h"
#include "clone_model.h"
#include "lib/stringinfo.h"

extern char *tenancy_clone_deparse(Table *table, Node *expr);
extern char *tenancy_clone_constraint_definition(const Object *part);
extern void tenancy_clone_append_options(StringInfo buf, const char *prefix, Datum options);
extern char *tenancy_clone_relation_options(HeapTuple class_row);
extern void tenancy_clone_append_type(StringInfo buf, Form_pg_attribute att);
extern void tenancy_clone_append_constraints(StringInfo buf, const Object *whole, const char *separator, bool *first);
extern Form_pg_constraint tenancy_clone_find_not_null(List *constraints, AttrNumber column);
extern void tenancy_clone_append_not_null(StringInfo buf, const NameData *name);
extern void tenancy_clone_create_domain(Model *m, Object *object);
extern void tenancy_clone_create_type(Model *m, Object *object);

#endif							/* TENANCY_CLONE_TYPE_H */
