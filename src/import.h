/*-------------------------------------------------------------------------
 *
 * import.h
 *	  A tenant from files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_IMPORT_H
#define TENANCY_IMPORT_H

#include "utils/uuid.h"

extern pg_uuid_t *tenancy_import_run(const char *directory, const char *slug, const char *mode);

#endif							/* TENANCY_IMPORT_H */
