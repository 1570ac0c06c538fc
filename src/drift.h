/*-------------------------------------------------------------------------
 *
 * drift.h
 *	  How tenants' copies differ from their models.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DRIFT_H
#define TENANCY_DRIFT_H

#include "registry.h"

extern bool tenancy_drift_finds(const TenancyTenant *tenant);

#endif							/* TENANCY_DRIFT_H */
