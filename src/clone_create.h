/*-------------------------------------------------------------------------
 *
 * clone_create.h
 *	  Statements for what others can be defined by, in an order that works.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_CREATE_H
#define TENANCY_CLONE_CREATE_H

#include "catalog/pg_constraint.h"
#include "clone_model.h"

extern bool tenancy_clone_is_inherited_column(const Table *table, Form_pg_attribute att);
extern bool tenancy_clone_is_foreign_key(const Object *part);
extern bool tenancy_clone_leads_outside(Model *m, Form_pg_constraint con);
extern char *tenancy_clone_deparse(Table *table, Node *expr);
extern char *tenancy_clone_constraint_definition(const Object *part);
extern void tenancy_clone_append_options(StringInfo buf, const char *prefix, Datum options);
extern char *tenancy_clone_relation_options(HeapTuple class_row);
extern bool tenancy_clone_append_names(StringInfo buf, const char *setting, char *value,
									   const char *from, const char *to);
extern char *tenancy_clone_function_signature(const Object *object);
extern const char *tenancy_clone_compression_name(char compression);
extern void tenancy_clone_place_all(Model *m);

#endif							/* TENANCY_CLONE_CREATE_H */
