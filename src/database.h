/*-------------------------------------------------------------------------
 *
 * database.h
 *	  Dedicated databases: creating, opening, closing, renaming, dropping them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DATABASE_H
#define TENANCY_DATABASE_H

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
extern void tenancy_database_define_module(const TenancyTenant *tenant, const TenancyModule *module);
extern void tenancy_database_change_modules(const TenancyTenant *tenant);
extern Oid	tenancy_database_oid(const TenancyTenant *tenant);

#endif							/* TENANCY_DATABASE_H */
