/*-------------------------------------------------------------------------
 *
 * database_registry.c
 *	  A tenant's row in the registry of its own database, written from outside.
 *
 * A tenant's database is a copy of the template but for one row, the tenant's
 * own in tenancy.tenant.  To start a process there for it, which connects and
 * fills its caches, takes a good part of the time that the copy takes.  So the
 * row is inserted from the application's database: CREATE DATABASE writes all
 * pages of the new database from outside, through shared buffers and WAL, and
 * this does the same, by PostgreSQL's own functions for a row and its index
 * entries.  All that they need to know of a table is how its rows look, which
 * the application's own table tells, and which file it is, which was noted in
 * the template when that was filled.
 *
 * Invariants:
 *
 * - The note is of use only for the very database that it was made in, see
 *	 tenancy_database_registry_identity(): a dump takes the comment along, and
 *	 has other files.
 * - Nothing is written unless the files are there and as empty as they were:
 *	 no page of the table, the first page of each index.
 * - The table is locked as by any other INSERT, and the row commits with the
 *	 worker's transaction.
 * - It is for a worker that ends soon: what is left in memory of the other
 *	 database's files, if that fails, must not outlive a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "compat.h"
#include "database_registry.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* A table, or one of its indexes, here and in the other database. */
typedef struct Twin
{
	Relation	here;
	Relation	there;
} Twin;

/*
 * What tells that the note is about this database: the cluster, its OID there,
 * which is never drawn again, and the version of the table.
 */
char *
tenancy_database_registry_identity(Oid template)
{
	return psprintf(UINT64_FORMAT "/%u/%d", GetSystemIdentifier(), template, Natts_tenant);
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(RelationGetRelationName((Relation) lfirst(a)),
				  RelationGetRelationName((Relation) lfirst(b)));
}

/* The application's table and its indexes, open and in the order of the note. */
static List *
open_relations(void)
{
	Relation	table = table_open(tenancy_registry_relation("tenant"), AccessShareLock);
	List	   *indexes = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(table))
		indexes = lappend(indexes, index_open(lfirst_oid(lc), AccessShareLock));
	list_sort(indexes, compare_names);
	return lcons(table, indexes);
}

/*
 * The same relation in another database: as here, but for what it is called by,
 * is locked by and is stored in.
 */
static Relation
make_twin(const RelationData *here, Oid database, Oid tablespace, Oid oid, Oid file)
{
	Relation	there = MemoryContextAlloc(TopMemoryContext, sizeof(RelationData));

	*there = *here;
	there->rd_id = oid;
	there->rd_lockInfo.lockRelId.relId = oid;
	there->rd_lockInfo.lockRelId.dbId = database;
	tenancy_set_locator(there, tablespace, database, file);
	there->rd_smgr = NULL;
	there->rd_amcache = NULL;
	there->pgstat_enabled = false;
	there->pgstat_info = NULL;
	return there;
}

static Oid
tablespace_of(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	Oid			tablespace;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	tablespace = ((Form_pg_database) GETSTRUCT(tuple))->dattablespace;
	ReleaseSysCache(tuple);
	return tablespace;
}

/* Take the note apart; returns NIL if it is about something else than these relations. */
static List *
make_twins(List *relations, Oid database, const char *files, Oid *mode)
{
	Oid			tablespace = tablespace_of(database);
	List	   *twins = NIL;
	char	   *end;
	ListCell   *lc;

	*mode = strtoul(files, &end, 10);
	foreach(lc, relations)
	{
		Twin	   *twin = palloc(sizeof(Twin));
		Oid			oid;

		oid = strtoul(end, &end, 10);
		if (*end++ != '/')
			return NIL;
		twin->here = lfirst(lc);
		twin->there = make_twin(twin->here, database, tablespace, oid, strtoul(end, &end, 10));
		twins = lappend(twins, twin);
	}
	return *end == '\0' && OidIsValid(*mode) && OidIsValid(tablespace) ? twins : NIL;
}

/* Is the file there, and as it is when nobody has ever written to the table? */
static bool
is_pristine(const Twin *twin)
{
	SMgrRelation file = RelationGetSmgr(twin->there);
	BlockNumber pages = twin->here->rd_rel->relkind == RELKIND_INDEX ? 1 : 0;

	return smgrexists(file, MAIN_FORKNUM) && smgrnblocks(file, MAIN_FORKNUM) == pages;
}

/* The row, as an INSERT there would make it. */
static HeapTuple
make_row(Relation table, const TenancyTenant *tenant, Oid mode)
{
	Datum		values[Natts_tenant] = {0};
	bool		nulls[Natts_tenant];
	NameData	database;
	Datum		now = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());

#define SET_COLUMN(column, value) \
	(values[Anum_tenant_##column - 1] = (value), nulls[Anum_tenant_##column - 1] = false)

	memset(nulls, true, sizeof(nulls));
	namestrcpy(&database, tenant->database_name);
	SET_COLUMN(id, UUIDPGetDatum(&tenant->id));
	SET_COLUMN(slug, CStringGetTextDatum(tenant->slug));
	SET_COLUMN(mode, ObjectIdGetDatum(mode));
	SET_COLUMN(status, CStringGetTextDatum("active"));
	SET_COLUMN(database_name, NameGetDatum(&database));
	SET_COLUMN(metadata, DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	SET_COLUMN(created_at, now);
	SET_COLUMN(status_at, now);
#undef SET_COLUMN
	return heap_form_tuple(RelationGetDescr(table), values, nulls);
}

static void
insert_row(List *twins, HeapTuple row)
{
	Twin	   *table = linitial(twins);
	ListCell   *lc;

	heap_insert(table->there, row, GetCurrentCommandId(true), 0, NULL);
	for_each_from(lc, twins, 1)
	{
		Twin	   *index = lfirst(lc);
		IndexInfo  *info = BuildIndexInfo(index->here);
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		for (int i = 0; i < info->ii_NumIndexAttrs; i++)
			values[i] = heap_getattr(row, info->ii_IndexAttrNumbers[i],
									 RelationGetDescr(table->here), &nulls[i]);
		(void) index_insert(index->there, values, nulls, &row->t_self, table->there,
							UNIQUE_CHECK_NO, false, info);
	}
}

/*
 * Enter the tenant in the registry of its database, which has just been copied
 * from the template.  Returns false, having done nothing, if that takes a session
 * there.
 */
bool
tenancy_database_registry_enter(Oid database, const char *files, const TenancyTenant *tenant)
{
	List	   *relations = open_relations();
	Relation	table = linitial(relations);
	List	   *twins;
	Oid			mode;
	bool		done;
	ListCell   *lc;

	Assert(MyBgworkerEntry != NULL);
	twins = make_twins(relations, database, files, &mode);
	done = twins != NIL && RelationGetNumberOfAttributes(table) == Natts_tenant;
	if (done)
		LockRelation(((Twin *) linitial(twins))->there, RowExclusiveLock);
	foreach(lc, twins)
		done = done && is_pristine(lfirst(lc));
	if (done)
		insert_row(twins, make_row(table, tenant, mode));
	foreach(lc, twins)
		RelationCloseSmgr(((Twin *) lfirst(lc))->there);
	foreach(lc, relations)
		relation_close(lfirst(lc), NoLock);
	return done;
}
