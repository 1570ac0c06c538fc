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

/* SQL: the index whose columns tell a table's rows apart, or NULL; "table" is an expression. */
#define TENANCY_ROWS_KEY_INDEX(table) \
	"(SELECT ki.indexrelid FROM pg_catalog.pg_index ki WHERE ki.indrelid OPERATOR(pg_catalog.=) " table \
	" AND (ki.indisprimary OR ki.indisreplident) AND ki.indisunique AND ki.indimmediate AND ki.indisvalid" \
	" AND ki.indpred IS NULL AND ki.indexprs IS NULL ORDER BY ki.indisprimary DESC LIMIT 1)"

extern List *tenancy_rows_foreign_key_queries(Oid table, Oid owner, const char *tenant_column,
											 const char *id, const char *condition);
extern void tenancy_rows_refuse_broken(Oid table, const char *constraint);
extern void tenancy_rows_analyze(List *tables);
extern void tenancy_rows_begin_checks(int checks);
extern void tenancy_rows_check_outside_keys(const char *schemas);
extern void tenancy_rows_check_foreign_keys(Oid table, Oid owner, const char *tenant_column,
											const char *id);
extern char *tenancy_rows_deferrable_constraint(const char *schemas);
extern void tenancy_rows_check_deferrable(Oid table, Oid owner, const char *tenant_column,
										  const char *id);
extern List *tenancy_rows_key_operators(Oid table);
extern char *tenancy_rows_key_condition(List *columns, List *operators, const char *row);
extern List *tenancy_rows_left_behind_queries(Oid table, Oid owner, List *columns, const char *keys,
											 const char *schemas, const char *id);
extern Oid	tenancy_rows_create_keys(const char *name, int ncolumns);
extern void tenancy_rows_analyze_keys(const char *name);
extern void tenancy_rows_drop_keys(const char *name);
extern char *tenancy_rows_keys_of(const char *name, Oid table, List *columns);
extern char *tenancy_rows_temporary_directory(void);

#endif							/* TENANCY_ROWS_H */
