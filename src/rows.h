/*-------------------------------------------------------------------------
 *
 * rows.h
 *	  Checking rows that were brought in past the triggers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_ROWS_H
#define TENANCY_ROWS_H

extern void tenancy_rows_check_foreign_keys(Oid table, Oid owner, const char *tenant_column,
											const char *id);

#endif							/* TENANCY_ROWS_H */
