/*-------------------------------------------------------------------------
 *
 * drift_digest.h
 *	  A number that tells whether two copies are the same.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DRIFT_DIGEST_H
#define TENANCY_DRIFT_DIGEST_H

#include "utils/uuid.h"

typedef struct TenancyDigester TenancyDigester;

/* Hash key: no padding */
typedef struct TenancyDigest
{
	uint64		sum;
	uint64		count;
} TenancyDigest;

/* A schema that is somebody's copy of a module */
typedef struct TenancyDigestSchema
{
	pg_uuid_t	tenant;
	Oid			namespace;
	Oid			main_namespace; /* of the main module's copy; may be the same */
	int			position;		/* the module's */
	const char *privileges;		/* on the schema, those that it is to give left out; or NULL */
} TenancyDigestSchema;

extern TenancyDigester *tenancy_digest_open(void);
extern void tenancy_digest_close(TenancyDigester *d);
extern TenancyDigest tenancy_digest_schema(TenancyDigester *d,
										   const TenancyDigestSchema *schema);

#endif							/* TENANCY_DRIFT_DIGEST_H */
