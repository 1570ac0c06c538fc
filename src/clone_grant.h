/*-------------------------------------------------------------------------
 *
 * clone_grant.h
 *	  Statements for the privileges on the objects of a copy.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_GRANT_H
#define TENANCY_CLONE_GRANT_H

#include "clone_model.h"

extern void tenancy_clone_begin_privileges(Model *m);
extern void tenancy_clone_copy_object_privileges(Model *m, const Object *object);
extern void tenancy_clone_write_grants(Model *m, List *groups);
extern void tenancy_clone_copy_database_defaults(Model *m);
extern void tenancy_clone_copy_default_privileges(Model *m);

#endif							/* TENANCY_CLONE_GRANT_H */
