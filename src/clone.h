/*-------------------------------------------------------------------------
 *
 * clone.h
 *	  A model schema's definition as DDL, and its copy for a tenant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_H
#define TENANCY_CLONE_H

#include "nodes/pg_list.h"
#include "registry.h"

/* A statement that makes a part of a copy. */
typedef struct TenancyCloneStatement
{
	bool		elevated;		/* as the extension's owner, with all names qualified */
	bool		refresh;		/* reads the tenant's rows: in its context */
	bool		wall;			/* of the policies around the tenant's tables */
	char		sql[FLEXIBLE_ARRAY_MEMBER];
} TenancyCloneStatement;

/* What a copy still lacks: the foreign keys that lead out of it. */
typedef struct TenancyCloneKeys
{
	Oid			owner;
	const char *path;
	List	   *statements;		/* TenancyCloneStatements */
	List	   *referenced;		/* OIDs of the tables that they lead to */
} TenancyCloneKeys;

extern List *tenancy_clone_statements(const TenancyModule *module);
extern void tenancy_clone_schema(const TenancyTenant *tenant, const TenancyModule *module);
extern TenancyCloneKeys *tenancy_clone_schema_without_keys(const TenancyTenant *tenant,
														   const TenancyModule *module);
extern void tenancy_clone_add_keys(List *copies);
extern void tenancy_clone_refresh(const TenancyTenant *tenant);
extern void tenancy_clone_grant_usage(const char *schema, const pg_uuid_t *tenant);
extern void tenancy_clone_follow(const char *schema, Oid owner, const char *from, const char *to);
extern char *tenancy_clone_fingerprint(void);

#endif							/* TENANCY_CLONE_H */
