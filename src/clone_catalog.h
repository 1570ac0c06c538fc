/*-------------------------------------------------------------------------
 *
 * clone_catalog.h
 *	  How the catalogs are read for a copy of a model schema.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_CLONE_CATALOG_H
#define TENANCY_CLONE_CATALOG_H

#include "access/genam.h"
#include "access/htup_details.h"
#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

/* The catalogs that are read, each by an index. */
typedef enum CatalogId
{
	CAT_AGGREGATE,
	CAT_ATTRDEF,
	CAT_ATTRIBUTE,
	CAT_CHILDREN,
	CAT_CLASS,
	CAT_CONSTRAINT,
	CAT_DEFAULT_ACL,
	CAT_DEFAULT_ACL_OID,
	CAT_DEPEND,
	CAT_DESCRIPTION,
	CAT_DOMAIN_CONSTRAINT,
	CAT_ENUM,
	CAT_INDEX,
	CAT_NAMESPACE,
	CAT_PARENTS,
	CAT_PARTITIONED,
	CAT_POLICY,
	CAT_PROC,
	CAT_RANGE,
	CAT_REFERENCE,
	CAT_REWRITE,
	CAT_SECLABEL,
	CAT_SEQUENCE,
	CAT_STATISTICS,
	CAT_TRIGGER,
	CAT_TYPE
} CatalogId;

/* How many there are. */
#define CATALOGS (CAT_TYPE + 1)

/* Scans of those that have been needed, under one snapshot. */
typedef struct Catalogs
{
	MemoryContext context;
	Snapshot	snapshot;
	Relation	rel[CATALOGS];
	Relation	index[CATALOGS];
	IndexScanDesc scan[CATALOGS];
	TupleTableSlot *slot[CATALOGS];
} Catalogs;

/* A row of a catalog as its struct. */
#define ROW(type, tuple) ((type) GETSTRUCT((HeapTuple) (tuple)))

extern void tenancy_clone_open_catalogs(Catalogs *c);
extern void tenancy_clone_close_catalogs(Catalogs *c);
extern Relation tenancy_clone_catalog(Catalogs *c, CatalogId id);
extern List *tenancy_clone_rows2(Catalogs *c, CatalogId id, Oid key1, Oid key2);
extern List *tenancy_clone_rows(Catalogs *c, CatalogId id, Oid key);
extern Datum tenancy_clone_attr(Catalogs *c, CatalogId id, HeapTuple row,
								AttrNumber attno, bool *isnull);
extern char *tenancy_clone_attr_text(Catalogs *c, CatalogId id, HeapTuple row,
									 AttrNumber attno);
extern int tenancy_clone_attr_target(Catalogs *c, CatalogId id, HeapTuple row,
									 AttrNumber attno);
extern bool tenancy_clone_has_labels(Catalogs *c);
extern char *tenancy_clone_identifier(NameData name);
extern char *tenancy_clone_role_identifier(Oid role);
extern char *tenancy_clone_tablespace_identifier(Oid tablespace);

#endif							/* TENANCY_CLONE_CATALOG_H */
