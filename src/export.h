/*-------------------------------------------------------------------------
 *
 * export.h
 *	  A tenant's rows as files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_EXPORT_H
#define TENANCY_EXPORT_H

#include "registry.h"

extern void tenancy_export_rows(const TenancyTenant *tenant, const char *directory);
extern void tenancy_export_run(const char *name, const char *directory);

#endif							/* TENANCY_EXPORT_H */
