/*-------------------------------------------------------------------------
 *
 * clone_other.h
 *	  Collations, operators, casts, and what text search is configured by.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_OTHER_H
#define TENANCY_CLONE_OTHER_H

#include "clone_model.h"

extern char *tenancy_clone_other_label(const Object *object);
extern void tenancy_clone_create_other(Model *m, const Object *object);

#endif							/* TENANCY_CLONE_OTHER_H */
