/*-------------------------------------------------------------------------
 *
 * database_registry.h
 *	  A tenant's row in the registry of its own database, written from outside.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DATABASE_REGISTRY_H
#define TENANCY_DATABASE_REGISTRY_H

#include "registry.h"

/*
 * SQL: what the registry's table of tenants is like; where both databases say
 * the same, a row of one is a row of the other.
 */
#define TENANCY_DATABASE_REGISTRY_LAYOUT \
	"(SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))," \
	"  ', ' ORDER BY a.attnum)" \
	" FROM pg_catalog.pg_attribute a" \
	" WHERE a.attrelid OPERATOR(pg_catalog.=) 'tenancy.tenant'::pg_catalog.regclass AND a.attnum OPERATOR(pg_catalog.>) 0)" \
	" OPERATOR(pg_catalog.||) '; ' OPERATOR(pg_catalog.||)" \
	" (SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid), ', ' ORDER BY i.indexrelid::pg_catalog.regclass::text COLLATE \"C\")" \
	" FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) 'tenancy.tenant'::pg_catalog.regclass)"

/*
 * SQL: where it is, for tenancy_database_registry_enter(): the mode's value, then
 * the OID and file of the table, and of its indexes, in the order of their names.
 */
#define TENANCY_DATABASE_REGISTRY_FILES \
	"(SELECT e.oid::text FROM pg_catalog.pg_enum e" \
	" WHERE e.enumtypid OPERATOR(pg_catalog.=) 'tenancy.isolation_mode'::pg_catalog.regtype" \
	" AND e.enumlabel OPERATOR(pg_catalog.=) 'database')" \
	" OPERATOR(pg_catalog.||)" \
	" (SELECT pg_catalog.string_agg(pg_catalog.concat(' ', c.oid, '/', pg_catalog.pg_relation_filenode(c.oid)), ''" \
	"  ORDER BY c.relkind DESC, c.relname)" \
	" FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) 'tenancy.tenant'::pg_catalog.regclass" \
	" OR c.oid OPERATOR(pg_catalog.=) ANY (SELECT indexrelid FROM pg_catalog.pg_index" \
	"  WHERE indrelid OPERATOR(pg_catalog.=) 'tenancy.tenant'::pg_catalog.regclass))"

extern char *tenancy_database_registry_identity(Oid template);
extern bool tenancy_database_registry_enter(Oid database, const char *files,
											const TenancyTenant *tenant);

#endif							/* TENANCY_DATABASE_REGISTRY_H */
