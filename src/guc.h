/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The extension's settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_GUC_H
#define TENANCY_GUC_H

#include "utils/uuid.h"

/* tenancy.missing_tenant: what policies do when there is no tenant context */
typedef enum TenancyMissing
{
	TENANCY_MISSING_ERROR,		/* raise TN001 */
	TENANCY_MISSING_EMPTY		/* show no rows, take none */
} TenancyMissing;

/* tenancy.tenant_id, parsed */
typedef struct TenancyTenantSetting
{
	bool		is_set;
	pg_uuid_t	id;
} TenancyTenantSetting;

#define TENANCY_GUC_TENANT_ID "tenancy.tenant_id"
#define TENANCY_GUC_DEFAULT_PATH "public"

#define TENANCY_MAX_WORKERS	64

/*
 * Changes with each assignment to tenancy.tenant_id and with each change of
 * the registry that we hear of: whoever derived something from these can tell
 * by a single comparison that it is stale.
 */
extern uint64 tenancy_guc_serial;

extern TenancyTenantSetting tenancy_guc_tenant;
extern int	tenancy_guc_missing_tenant;
extern char *tenancy_guc_search_path;
extern bool tenancy_guc_require_token;
extern int	tenancy_guc_token_leeway;	/* in seconds */
extern int	tenancy_guc_cache_limit;	/* in kB; 0 is no limit */
extern int	tenancy_guc_workers;	/* 0: as many as there are processors */
extern bool tenancy_guc_recording;
extern int	tenancy_guc_progress_interval;	/* in milliseconds; 0: tell nothing */

extern void tenancy_guc_init(void);

#endif							/* TENANCY_GUC_H */
