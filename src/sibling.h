/*-------------------------------------------------------------------------
 *
 * sibling.h
 *	  What new tables get from the tables beside them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_SIBLING_H
#define TENANCY_SIBLING_H

#include "registry.h"

extern char *tenancy_sibling_column(const TenancyModule *module);
extern void tenancy_sibling_complete(Oid schema, Oid owner, const char *column,
									 const pg_uuid_t *tenant, List *others);
extern void tenancy_sibling_restore_walls(Oid schema, Oid owner, bool is_copy);
extern void tenancy_sibling_notice_withheld(Oid schema);
extern void tenancy_sibling_withhold(const pg_uuid_t *tenant);

#endif							/* TENANCY_SIBLING_H */
