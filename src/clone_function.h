/*-------------------------------------------------------------------------
 *
 * clone_function.h
 *	  Statements for a copy's functions, procedures and aggregates.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_FUNCTION_H
#define TENANCY_CLONE_FUNCTION_H

#include "clone_model.h"
#include "lib/stringinfo.h"

extern bool tenancy_clone_append_names(StringInfo buf, const char *setting, char *value,
									   const char *from, const char *to);
extern char *tenancy_clone_function_signature(const Object *object);
extern void tenancy_clone_create_function(Model *m, Object *object);

#endif							/* TENANCY_CLONE_FUNCTION_H */
