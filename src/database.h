/*-------------------------------------------------------------------------
 *
 * database.h
 *	  Dedicated databases: the template, creation, removal, settling.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DATABASE_H
#define TENANCY_DATABASE_H

#include "nodes/pg_list.h"
#include "registry.h"

extern void tenancy_database_create(const TenancyTenant *tenant, bool is_open);
extern void tenancy_database_take(const TenancyTenant *spare, const TenancyTenant *tenant);
extern bool tenancy_database_is_ours(const TenancyTenant *tenant);
extern void tenancy_database_drop(const TenancyTenant *tenant);
extern void tenancy_database_rename(const TenancyTenant *tenant, const char *new_name);
extern void tenancy_database_refresh(const TenancyTenant *tenant);
extern void tenancy_database_suspend(const TenancyTenant *tenant);
extern void tenancy_database_resume(const TenancyTenant *tenant);
extern void tenancy_database_disconnect(const TenancyTenant *tenant);
extern void tenancy_database_share_keys(void);
extern void tenancy_database_define_module(const TenancyTenant *tenant, const TenancyModule *module);
extern void tenancy_database_change_modules(const TenancyTenant *tenant);
extern Oid	tenancy_database_oid(const TenancyTenant *tenant);
extern void tenancy_database_init(void);

/*
 * SQL: is database d, a row of pg_database, one that belongs to this one?
 * Takes this database's OID.
 */
#define TENANCY_DATABASE_IS_OURS \
	"EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s" \
	" WHERE s.setdatabase OPERATOR(pg_catalog.=) d.oid AND s.setrole OPERATOR(pg_catalog.=) 0" \
	" AND 'tenancy.application_database=%u' OPERATOR(pg_catalog.=) ANY (s.setconfig))"

/* For repair(): settle what a dead transaction left behind, and wait. */
extern void tenancy_database_settle(const pg_uuid_t *tenant_id);

#endif							/* TENANCY_DATABASE_H */
