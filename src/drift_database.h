/*-------------------------------------------------------------------------
 *
 * drift_database.h
 *	  What is in a tenant's database, described by a worker there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DRIFT_DATABASE_H
#define TENANCY_DRIFT_DATABASE_H

#include "drift_describe.h"

extern List *tenancy_drift_describe_database(Oid database);
extern const TenancyDescription *tenancy_drift_find_description(List *descriptions,
																const char *schema);

#endif							/* TENANCY_DRIFT_DATABASE_H */
