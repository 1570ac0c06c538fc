/*-------------------------------------------------------------------------
 *
 * migration.h
 *	  Migrations: their texts, their order, and the statements in them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_MIGRATION_H
#define TENANCY_MIGRATION_H

#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "registry.h"

/* One statement of a migration's text. */
typedef struct TenancyStatement
{
	char	   *sql;
	Node	   *parsed;			/* by the raw parser */
	int			line;			/* where it begins, from 1 */
	bool		no_transaction; /* no transaction takes it */
} TenancyStatement;

typedef struct TenancyMigration
{
	int64		version;
	int			position;		/* place in the order of application, 0 if none yet */
	bool		transactional;
	int			step;			/* how many of its statements the model has had ... */
	bool		under_way;		/* ... and whether it may have had one more */
	char	   *sql;
	char	   *down;			/* undoes it; NULL if there is none */
	bool		undoing;		/* sql is another one's down */
	List	   *statements;		/* of TenancyStatement; NIL until split */
} TenancyMigration;

extern List *tenancy_migration_split(const char *sql);
extern void tenancy_migration_check_complete(const char *module, int level);
extern List *tenancy_migration_pending(const char *module, int level);
extern List *tenancy_migration_applied(const char *module, int level);
extern TenancyMigration *tenancy_migration_undo(const TenancyMigration *migration);
extern void tenancy_migration_change_level(TenancyModule *module, const TenancyMigration *migration);
extern void tenancy_migration_get_module(FunctionCallInfo fcinfo, int n, TenancyModule *module);
extern void tenancy_migration_check_new(const TenancyModule *module, int64 version);
extern char *tenancy_migration_unqualify(int64 version, const char *sql);
extern void tenancy_migration_add_applied(TenancyModule *module, int64 version,
										  const char *description, const char *sql);
extern char *tenancy_migration_version(const char *module, int level);
extern int	tenancy_migration_position(const TenancyModule *module, int64 version);

#endif							/* TENANCY_MIGRATION_H */
