/*-------------------------------------------------------------------------
 *
 * clone_elevated.h
 *	  Statements for what only a superuser can create.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_ELEVATED_H
#define TENANCY_CLONE_ELEVATED_H

#include "catalog/pg_proc.h"
#include "clone_model.h"

extern List *tenancy_clone_elevated_members(Model *m, const Object *object);
extern char *tenancy_clone_elevated_type_name(Model *m, Oid oid);
extern const char *tenancy_clone_elevated_function_name(Model *m, Oid oid);
extern char *tenancy_clone_elevated_operator_name(Model *m, Oid oid);
extern char *tenancy_clone_elevated_arguments(Model *m, const Object *object, int order_by);
extern void tenancy_clone_elevated_aggregate(Model *m, const Object *object, const char *definition);
extern void tenancy_clone_elevated_function(Model *m, const Object *object,
											const char *properties);
extern void tenancy_clone_elevated_family(Model *m, const Object *object);
extern void tenancy_clone_elevated_class(Model *m, const Object *object);
extern void tenancy_clone_elevated_cast(Model *m, const Object *object, const char *context);

#endif							/* TENANCY_CLONE_ELEVATED_H */
