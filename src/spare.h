/*-------------------------------------------------------------------------
 *
 * spare.h
 *	  Schemas and databases that were cloned ahead of need.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_SPARE_H
#define TENANCY_SPARE_H

#include "registry.h"

/* The most spares of a mode that can be asked for. */
#define TENANCY_MAX_SPARES	1000

/* What a worker is told that makes spares. */
typedef struct TenancyRefillArgument
{
	Oid			database;
	Oid			role;
} TenancyRefillArgument;

extern bool tenancy_spare_take(TenancyTenant *tenant, const char *display_name,
							   const char *metadata);
extern void tenancy_spare_make(TenancyMode mode);
extern void tenancy_spare_init(void);

#endif							/* TENANCY_SPARE_H */
