/*-------------------------------------------------------------------------
 *
 * drop_schema.h
 *	  Dropping tenants' schemas.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DROP_SCHEMA_H
#define TENANCY_DROP_SCHEMA_H

#include "nodes/pg_list.h"
#include "worker.h"

extern void tenancy_drop_check_dependents(const char *what, List *schemas, const char *hint);
extern void tenancy_drop_schemas(const char *what, List *schemas, bool force);
extern bool tenancy_drop_is_large(List *schemas);
extern void tenancy_drop_tables(TenancyJob *job, List *schemas);

#endif							/* TENANCY_DROP_SCHEMA_H */
