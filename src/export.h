/*-------------------------------------------------------------------------
 *
 * export.h
 *	  A tenant's rows as files.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_EXPORT_H
#define TENANCY_EXPORT_H

#include "nodes/pg_list.h"
#include "registry.h"

/* Rows of a table that were written, by their keys. */
typedef struct TenancyExportChange
{
	Oid			table;
	List	   *columns;		/* the names of the key's columns, those that tell rows apart first */
	List	   *operators;		/* for these */
	char	   *keys_query;		/* gives the columns' values, as text */
} TenancyExportChange;

extern char *tenancy_export_head(const TenancyTenant *tenant);
extern void tenancy_export_write(const char *head, const char *directory, bool is_durable);
extern void tenancy_export_write_changes(const char *head, const char *directory, List *changes);
extern void tenancy_export_run(const char *name, const char *directory);

#endif							/* TENANCY_EXPORT_H */
