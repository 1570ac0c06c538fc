/*-------------------------------------------------------------------------
 *
 * ident.h
 *	  Names: slugs, module names, the schemas and databases made of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_IDENT_H
#define TENANCY_IDENT_H

#include "nodes/pg_list.h"
#include "utils/uuid.h"

/* The longest slug: tenant_{slug} must leave room for a plug-in's name. */
#define TENANCY_SLUG_MAX	40

/* How a spare's slug begins. */
#define TENANCY_SPARE_PREFIX	"_spare_"

extern bool tenancy_ident_parse_uuid(const char *str, pg_uuid_t *uuid);
extern char *tenancy_ident_uuid_text(const pg_uuid_t *uuid);
extern void tenancy_ident_check_slug(const char *slug);
extern void tenancy_ident_check_module(const char *module);
extern char *tenancy_ident_schema(const char *slug, const char *plugin);
extern char *tenancy_ident_spare(const pg_uuid_t *id);
extern char *tenancy_ident_database(const char *slug);
extern const char *tenancy_ident_slug_of_database(const char *database);
extern char *tenancy_ident_clip(const char *str);
extern char *tenancy_ident_enumerate(List *names);

#endif							/* TENANCY_IDENT_H */
