/*-------------------------------------------------------------------------
 *
 * drop.h
 *	  Dropping tenants' schemas, and their rows in shared tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DROP_H
#define TENANCY_DROP_H

#include "nodes/pg_list.h"
#include "registry.h"

extern void tenancy_drop_check_dependents(const char *what, List *schemas, const char *hint);
extern bool tenancy_drop_finds_rows(const TenancyTenant *tenant, const char *schema);
extern void tenancy_drop_rows(const TenancyTenant *tenant, const char *schema);
extern void tenancy_drop_schemas(const char *what, List *schemas, bool force);

#endif							/* TENANCY_DROP_H */
