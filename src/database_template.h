/*-------------------------------------------------------------------------
 *
 * database_template.h
 *	  The template of tenants' databases: the models, and this extension.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DATABASE_TEMPLATE_H
#define TENANCY_DATABASE_TEMPLATE_H

#include "lib/stringinfo.h"
#include "worker.h"
#include "registry.h"

extern char *tenancy_database_template_name(void);
extern const char *tenancy_database_template_ensure(TenancyWorker **worker);
extern bool tenancy_database_template_is_warm(void);
extern StringInfo tenancy_database_template_cache(Oid template);
extern void tenancy_database_template_add_module(TenancyJob *job, const TenancyModule *module);

#endif							/* TENANCY_DATABASE_TEMPLATE_H */
