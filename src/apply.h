/*-------------------------------------------------------------------------
 *
 * apply.h
 *	  Applying a migration to one schema.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_APPLY_H
#define TENANCY_APPLY_H

#include "migration.h"
#include "registry.h"

/* A schema that migrations are applied to. */
typedef struct TenancyPlace
{
	const TenancyModule *module;
	Oid			schema;
	Oid			owner;
	char	   *search_path;
	const pg_uuid_t *tenant;	/* whose copy it is; NULL for the model */
	const char *column;			/* tenant column of the module's tables, or NULL */
} TenancyPlace;

/* How to go about it. */
typedef struct TenancyPatience
{
	int			lock_timeout;	/* in milliseconds; 0 waits for ever */
	int			retries;		/* after a lock timeout or a deadlock */
	bool		dry_run;
	int			undo_to;		/* undo what is above this level; -1: go up */
} TenancyPatience;

extern char *tenancy_apply_following(const TenancyModule *module, bool warn);
extern char *tenancy_apply_path(const TenancyTenant *tenant, const TenancyModule *module,
								const char *following);
extern void tenancy_apply_run(const TenancyPlace *place, const TenancyMigration *migration);
extern void tenancy_apply_run_steps(const TenancyPlace *place, const TenancyMigration *migration,
									int step, bool under_way);
extern void tenancy_apply_forget_session(void);
extern void tenancy_apply_set_lock_timeout(int timeout_ms);
extern bool tenancy_apply_may_retry(int sqlstate);
extern int	tenancy_apply_pause(int tries);
extern void tenancy_apply_in_database(Oid database, const TenancyModule *module, List *migrations,
									  const char *following, const TenancyPatience *patience);

#endif							/* TENANCY_APPLY_H */
