/*-------------------------------------------------------------------------
 *
 * database_settle.h
 *	  What is to be done with tenants' databases when a transaction has ended.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DATABASE_SETTLE_H
#define TENANCY_DATABASE_SETTLE_H

#include "registry.h"
#include "storage/lockdefs.h"

/*
 * SQL: is database d, a row of pg_database, one that belongs to this one?
 * Takes this database's OID.
 */
#define TENANCY_DATABASE_IS_OURS \
	"EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s" \
	" WHERE s.setdatabase OPERATOR(pg_catalog.=) d.oid AND s.setrole OPERATOR(pg_catalog.=) 0" \
	" AND 'tenancy.application_database=%u' OPERATOR(pg_catalog.=) ANY (s.setconfig))"

extern void tenancy_database_settle_creation(const TenancyTenant *tenant);
extern void tenancy_database_settle_forget(const TenancyTenant *tenant);
extern void tenancy_database_settle_later(const TenancyTenant *tenant, const char *action, bool holds_lock);
extern char *tenancy_database_settle_xid(void);

/* What enters plug-ins and keys in a tenant's database. */
extern char *tenancy_database_settle_modules(const char *tenant_id);
extern char *tenancy_database_settle_keys(void);
extern void tenancy_database_lock_keys(LOCKMODE mode);
extern void tenancy_database_share_keys(void);

/* For repair(): settle what a dead transaction left behind, and wait. */
extern void tenancy_database_settle(const pg_uuid_t *tenant_id);

extern void tenancy_database_settle_init(void);

#endif							/* TENANCY_DATABASE_SETTLE_H */
