/*-------------------------------------------------------------------------
 *
 * drift_describe.h
 *	  What is in a schema, and how it differs from what is in another.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_DRIFT_DESCRIBE_H
#define TENANCY_DRIFT_DESCRIBE_H

#include "nodes/pg_list.h"

/*
 * A schema, the main module's that belongs with it (or itself again), and from
 * which side it is looked at: see drift.sql.  Objects of extensions that are in a
 * model schema are there for its copies as well, and named without a schema in both;
 * not so the model's own, which the copy's hide.
 */
typedef struct TenancyPlace
{
	Oid			namespace;
	const char *schema;
	const char *main_schema;
	const char *tenant_id;		/* of a copy in a schema; else NULL */
	const char *homes;			/* likewise: models that extensions have objects in, quoted; or NULL */
	const char *side;
} TenancyPlace;

/* A row of tenancy.drift_objects() */
typedef struct TenancyDescribed
{
	char	   *whole;			/* the objects that it is part of, with \x01 between them, or NULL */
	const char *object;
	int			nproperties;
	char	  **properties;
	char	  **settings;		/* NULL: not set */
} TenancyDescribed;

/* A schema, described */
typedef struct TenancyDescription
{
	const TenancyPlace *place;
	int			count;
	TenancyDescribed *rows;		/* in the order of their objects' names */
} TenancyDescription;

/* A way in which a schema differs from its model */
typedef struct TenancyFinding
{
	const char *object;
	const char *difference;
} TenancyFinding;

extern char *tenancy_drift_column(uint64 row, int column);
extern Oid	tenancy_drift_column_oid(uint64 row, int column);
extern List *tenancy_drift_add(List *findings, const char *object, const char *difference);
extern TenancyDescription *tenancy_drift_describe(const TenancyPlace *place);
extern List *tenancy_drift_compare(const TenancyDescription *here,
								   const TenancyDescription *model);

#endif							/* TENANCY_DRIFT_DESCRIBE_H */
