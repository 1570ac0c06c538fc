/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Checking rows that were brought in past the triggers; files for rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_ROWS_H
#define TENANCY_ROWS_H

#include "nodes/pg_list.h"

extern List *tenancy_rows_foreign_key_queries(Oid table, Oid owner, const char *tenant_column,
											 const char *id, const char *condition);
extern void tenancy_rows_refuse_broken(Oid table, const char *constraint);
extern void tenancy_rows_check_foreign_keys(Oid table, Oid owner, const char *tenant_column,
											const char *id);
extern char *tenancy_rows_temporary_directory(void);

#endif							/* TENANCY_ROWS_H */
