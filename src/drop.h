/*-------------------------------------------------------------------------
 *
 * drop.h
 *	  Deleting tenants' rows in shared tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DROP_H
#define TENANCY_DROP_H

#include "registry.h"

extern bool tenancy_drop_finds_rows(const TenancyTenant *tenant, const char *schema);
extern void tenancy_drop_rows(const TenancyTenant *tenant, const char *schema);

#endif							/* TENANCY_DROP_H */
