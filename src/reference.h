/*-------------------------------------------------------------------------
 *
 * reference.h
 *	  Reference tables: what they are, and their way to a tenant's database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_REFERENCE_H
#define TENANCY_REFERENCE_H

#include "nodes/pg_list.h"

/* The reference tables as they are now, and their rows in files. */
typedef struct TenancyReferences
{
	List	   *tables;			/* OIDs, locked */
	char	   *definitions;	/* JSON, an array */
	char	   *directory;		/* NULL: without rows */
} TenancyReferences;

extern void tenancy_reference_check(Oid relid);

/* Definitions and rows, for one worker's argument. */
extern void tenancy_reference_begin(TenancyReferences *references);
extern void tenancy_reference_export(TenancyReferences *references);
extern void tenancy_reference_send(const TenancyReferences *references, Oid database);
extern List *tenancy_reference_result(const TenancyReferences *references);
extern void tenancy_reference_end(int code, Datum references);

/* Changes when a definition or a row does; "" if there are no reference tables. */
extern char *tenancy_reference_digest(void);

/* For a database that is being made. */
extern void tenancy_reference_define(Oid database);
extern void tenancy_reference_fill(Oid database);

/* The name of what a worker in a tenant's database calls: reference_apply.c. */
#define TENANCY_REFERENCE_APPLY "tenancy_reference_apply_main"

/*
 * SQL: the definition of a reference table, pg_class "c" in pg_namespace "n", as
 * its copies have it.  Names are as the path, pg_catalog, has them.
 */
#define TENANCY_REFERENCE_ROLE(oid) \
	"CASE " oid " WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(" oid ")) END"

/* Indexes, "i", that a copy has: without expressions, nothing in it can run code. */
#define TENANCY_REFERENCE_INDEX \
	"i.indisvalid AND i.indimmediate AND NOT i.indisexclusion AND i.indexprs IS NULL AND i.indpred IS NULL"

#endif							/* TENANCY_REFERENCE_H */
