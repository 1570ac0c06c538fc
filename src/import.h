/*-------------------------------------------------------------------------
 *
 * import.h
 *	  A tenant from files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_IMPORT_H
#define TENANCY_IMPORT_H

#include "registry.h"
#include "utils/uuid.h"

extern char *tenancy_import_manifest(const char *directory);
extern char *tenancy_import_member(const char *manifest, const char *name);
extern void tenancy_import_apply(const char *manifest, const char *directory,
								 const TenancyTenant *tenant);
extern void tenancy_import_load(const char *manifest, const char *directory,
								const TenancyTenant *tenant);
extern pg_uuid_t *tenancy_import_run(const char *directory, const char *slug, const char *mode);

#endif							/* TENANCY_IMPORT_H */
