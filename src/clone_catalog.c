/*-------------------------------------------------------------------------
 *
 * clone_catalog.c
 *	  How the catalogs are read for a copy of a model schema.
 *
 * By OID through the catalogs' indexes, under one snapshot, so that it costs
 * the same whatever else is in the database.  The scans stay open and are
 * restarted: see tenancy_clone_catalog().  Our own reading calls no operator by name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "commands/tablespace.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

static const struct
{
	Oid			relid;
	Oid			index;
	int			nkeys;			/* how many of its columns select rows */
}			catalogs[CATALOGS] = {
	[CAT_AGGREGATE] = {AggregateRelationId, AggregateFnoidIndexId, 1},
	[CAT_ATTRDEF] = {AttrDefaultRelationId, AttrDefaultIndexId, 1},
	[CAT_ATTRIBUTE] = {AttributeRelationId, AttributeRelidNumIndexId, 2},
	[CAT_CHILDREN] = {InheritsRelationId, InheritsParentIndexId, 1},
	[CAT_CLASS] = {RelationRelationId, ClassOidIndexId, 1},
	[CAT_CONSTRAINT] = {ConstraintRelationId, ConstraintRelidTypidNameIndexId, 1},
	[CAT_DEFAULT_ACL] = {DefaultAclRelationId, DefaultAclRoleNspObjIndexId, 2},
	[CAT_DEFAULT_ACL_OID] = {DefaultAclRelationId, DefaultAclOidIndexId, 1},
	[CAT_DEPEND] = {DependRelationId, DependDependerIndexId, 2},
	[CAT_DESCRIPTION] = {DescriptionRelationId, DescriptionObjIndexId, 2},
	[CAT_DOMAIN_CONSTRAINT] = {ConstraintRelationId, ConstraintTypidIndexId, 1},
	[CAT_ENUM] = {EnumRelationId, EnumTypIdSortOrderIndexId, 1},
	[CAT_INDEX] = {IndexRelationId, IndexIndrelidIndexId, 1},
	[CAT_NAMESPACE] = {NamespaceRelationId, NamespaceOidIndexId, 1},
	[CAT_PARENTS] = {InheritsRelationId, InheritsRelidSeqnoIndexId, 1},
	[CAT_PARTITIONED] = {PartitionedRelationId, PartitionedRelidIndexId, 1},
	[CAT_POLICY] = {PolicyRelationId, PolicyPolrelidPolnameIndexId, 1},
	[CAT_PROC] = {ProcedureRelationId, ProcedureOidIndexId, 1},
	[CAT_RANGE] = {RangeRelationId, RangeTypidIndexId, 1},
	[CAT_REFERENCE] = {DependRelationId, DependReferenceIndexId, 2},
	[CAT_REWRITE] = {RewriteRelationId, RewriteRelRulenameIndexId, 1},
	[CAT_SECLABEL] = {SecLabelRelationId, SecLabelObjectIndexId, 2},
	[CAT_SEQUENCE] = {SequenceRelationId, SequenceRelidIndexId, 1},
	[CAT_STATISTICS] = {StatisticExtRelationId, StatisticExtRelidIndexId, 1},
	[CAT_TRIGGER] = {TriggerRelationId, TriggerRelidNameIndexId, 1},
	[CAT_TYPE] = {TypeRelationId, TypeOidIndexId, 1},
};

/* Begin to read: everything is seen as of now. */
void
tenancy_clone_open_catalogs(Catalogs *c)
{
	memset(c, 0, sizeof(*c));
	c->context = CurrentMemoryContext;
	c->snapshot = RegisterSnapshot(GetLatestSnapshot());
}

/*
 * A catalog, with its scan started.  There are thousands of look-ups: to
 * restart a scan costs half of what a new one does.
 */
Relation
tenancy_clone_catalog(Catalogs *c, CatalogId id)
{
	MemoryContext caller;

	if (c->rel[id] != NULL)
		return c->rel[id];
	caller = MemoryContextSwitchTo(c->context);
	c->rel[id] = table_open(catalogs[id].relid, AccessShareLock);
	c->index[id] = index_open(catalogs[id].index, AccessShareLock);
	c->slot[id] = table_slot_create(c->rel[id], NULL);
	c->scan[id] = tenancy_index_beginscan(c->rel[id], c->index[id], c->snapshot,
										  catalogs[id].nkeys);
	MemoryContextSwitchTo(caller);
	return c->rel[id];
}

void
tenancy_clone_close_catalogs(Catalogs *c)
{
	for (int i = 0; i < CATALOGS; i++)
	{
		if (c->rel[i] == NULL)
			continue;
		index_endscan(c->scan[i]);
		ExecDropSingleTupleTableSlot(c->slot[i]);
		index_close(c->index[i], AccessShareLock);
		table_close(c->rel[i], AccessShareLock);
	}
	UnregisterSnapshot(c->snapshot);
}

/*
 * Copies of the rows of a catalog that a key selects, in the index's order;
 * of pg_attribute without the system columns.
 */
List *
tenancy_clone_rows2(Catalogs *c, CatalogId id, Oid key1, Oid key2)
{
	List	   *list = NIL;
	ScanKeyData key[2];
	MemoryContext caller;

	/* What the scan keeps must live as long as it. */
	caller = MemoryContextSwitchTo(c->context);
	(void) tenancy_clone_catalog(c, id);
	ScanKeyInit(&key[0], 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key1));
	if (id == CAT_ATTRIBUTE)
		ScanKeyInit(&key[1], 2, BTGreaterStrategyNumber, F_INT2GT, Int16GetDatum(0));
	else
		ScanKeyInit(&key[1], 2, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(key2));
	index_rescan(c->scan[id], key, catalogs[id].nkeys, NULL, 0);
	while (index_getnext_slot(c->scan[id], ForwardScanDirection, c->slot[id]))
	{
		MemoryContextSwitchTo(caller);
		list = lappend(list, ExecCopySlotHeapTuple(c->slot[id]));
		MemoryContextSwitchTo(c->context);
	}
	MemoryContextSwitchTo(caller);
	return list;
}

List *
tenancy_clone_rows(Catalogs *c, CatalogId id, Oid key)
{
	return tenancy_clone_rows2(c, id, key, InvalidOid);
}

Datum
tenancy_clone_attr(Catalogs *c, CatalogId id, HeapTuple row, AttrNumber attno, bool *isnull)
{
	return heap_getattr(row, attno, RelationGetDescr(c->rel[id]), isnull);
}

/* A column of type text or pg_node_tree, NULL if it is null. */
char *
tenancy_clone_attr_text(Catalogs *c, CatalogId id, HeapTuple row, AttrNumber attno)
{
	bool		isnull;
	Datum		value = tenancy_clone_attr(c, id, row, attno, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A statistics target: an integer, smaller and nullable from version 17 on. */
int
tenancy_clone_attr_target(Catalogs *c, CatalogId id, HeapTuple row, AttrNumber attno)
{
	bool		isnull;
	Datum		value = tenancy_clone_attr(c, id, row, attno, &isnull);
	TupleDesc	desc = RelationGetDescr(c->rel[id]);

	if (isnull)
		return -1;
	if (TupleDescAttr(desc, attno - 1)->atttypid == INT2OID)
		return DatumGetInt16(value);
	return DatumGetInt32(value);
}

/* Does anything in this database have a security label? */
bool
tenancy_clone_has_labels(Catalogs *c)
{
	SysScanDesc scan = systable_beginscan(tenancy_clone_catalog(c, CAT_SECLABEL), InvalidOid,
										  false, NULL, 0, NULL);
	bool		result = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	return result;
}

char *
tenancy_clone_identifier(NameData name)
{
	return pstrdup(quote_identifier(NameStr(name)));
}

char *
tenancy_clone_role_identifier(Oid role)
{
	return pstrdup(quote_identifier(GetUserNameFromId(role, false)));
}

char *
tenancy_clone_tablespace_identifier(Oid tablespace)
{
	char	   *name = get_tablespace_name(tablespace);

	if (name == NULL)
		elog(ERROR, "cache lookup failed for tablespace %u", tablespace);
	return pstrdup(quote_identifier(name));
}
