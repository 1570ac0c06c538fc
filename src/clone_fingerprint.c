/*-------------------------------------------------------------------------
 *
 * clone_fingerprint.c
 *	  A number that changes when a model schema does.
 *
 * It is a sum over the versions of catalog rows, so that their order does not
 * matter, and tells whether the template database is still a copy of the
 * models.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "clone.h"
#include "clone_catalog.h"
#include "common/hashfn.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Column number, as in catalog.sql */
#define Anum_reference_table_relation	1

/* A sum over rows, so that their order does not matter. */
typedef struct Fingerprint
{
	Catalogs	catalogs;
	uint64		sum;
	uint64		count;
} Fingerprint;

static void
add_hash(Fingerprint *f, const void *data, int len)
{
	f->sum += hash_bytes_extended(data, len, 0);
	f->count++;
}

/*
 * Add a version of a row: whoever changes the row makes a new one, of another
 * transaction or at least another command.
 */
static void
add_row(Fingerprint *f, Oid catalog, Oid key1, Oid key2, HeapTuple row)
{
	uint32		version[5] = {catalog, key1, key2};

	version[3] = HeapTupleHeaderGetRawXmin(row->t_data);
	version[4] = HeapTupleHeaderGetRawCommandId(row->t_data);
	add_hash(f, version, sizeof(version));
}

/* Add the rows that a key selects, and return them. */
static List *
add_rows2(Fingerprint *f, CatalogId id, Oid key1, Oid key2)
{
	List	   *list = tenancy_clone_rows2(&f->catalogs, id, key1, key2);
	ListCell   *lc;

	foreach(lc, list)
		add_row(f, RelationGetRelid(f->catalogs.rel[id]), key1, key2, lfirst(lc));
	return list;
}

static List *
add_rows(Fingerprint *f, CatalogId id, Oid key)
{
	return add_rows2(f, id, key, InvalidOid);
}

static void
add_description(Fingerprint *f, Oid classid, Oid oid)
{
	(void) add_rows2(f, CAT_DESCRIPTION, oid, classid);
}

static void
add_syscache_row(Fingerprint *f, int cache, Oid classid, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(oid));

	if (!HeapTupleIsValid(tuple))
		return;
	add_row(f, classid, oid, InvalidOid, tuple);
	ReleaseSysCache(tuple);
	add_description(f, classid, oid);
}

static void
add_class_column(Fingerprint *f, HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(RELOID, tuple, attno, &isnull);
	struct varlena *data;

	if (isnull)
		return;
	data = PG_DETOAST_DATUM_PACKED(value);
	add_hash(f, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
}

/*
 * Add what defines a relation.  Its row as such would not do: TRUNCATE and
 * VACUUM FULL write a new one.
 */
static void
add_class(Fingerprint *f, HeapTuple tuple)
{
	Form_pg_class class = ROW(Form_pg_class, tuple);
	struct
	{
		NameData	name;
		Oid			oids[6];
		char		flags[8];
	}			definition;

	memset(&definition, 0, sizeof(definition));
	definition.name = class->relname;
	definition.oids[0] = class->oid;
	definition.oids[1] = class->relnamespace;
	definition.oids[2] = class->reloftype;
	definition.oids[3] = class->relowner;
	definition.oids[4] = class->relam;
	definition.oids[5] = class->reltablespace;
	definition.flags[0] = class->relpersistence;
	definition.flags[1] = class->relkind;
	definition.flags[2] = class->relreplident;
	definition.flags[3] = class->relrowsecurity;
	definition.flags[4] = class->relforcerowsecurity;
	definition.flags[5] = class->relispartition;
	add_hash(f, &definition, sizeof(definition));
	add_class_column(f, tuple, Anum_pg_class_relacl);
	add_class_column(f, tuple, Anum_pg_class_reloptions);
	add_class_column(f, tuple, Anum_pg_class_relpartbound);
}

static void
add_indexes(Fingerprint *f, Oid relid)
{
	ListCell   *lc;

	foreach(lc, add_rows(f, CAT_INDEX, relid))
	{
		Oid			index = ROW(Form_pg_index, lfirst(lc))->indexrelid;
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));
		bool		no_expressions;

		if (!HeapTupleIsValid(tuple))
			continue;
		add_class(f, tuple);
		if (ROW(Form_pg_class, tuple)->relispartition)
			(void) add_rows(f, CAT_PARENTS, index);
		ReleaseSysCache(tuple);
		(void) tenancy_clone_attr(&f->catalogs, CAT_INDEX, lfirst(lc), Anum_pg_index_indexprs,
								  &no_expressions);
		if (!no_expressions)
			(void) add_rows(f, CAT_ATTRIBUTE, index);
		(void) add_rows2(f, CAT_DEPEND, RelationRelationId, index);
		add_description(f, RelationRelationId, index);
	}
}

/* What hangs on a table, with the comments on it. */
static void
add_table_parts(Fingerprint *f, Oid relid)
{
	ListCell   *lc;

	foreach(lc, add_rows(f, CAT_CONSTRAINT, relid))
		add_description(f, ConstraintRelationId, ROW(Form_pg_constraint, lfirst(lc))->oid);
	foreach(lc, add_rows(f, CAT_POLICY, relid))
		add_description(f, PolicyRelationId, ROW(Form_pg_policy, lfirst(lc))->oid);
	foreach(lc, add_rows(f, CAT_STATISTICS, relid))
		add_description(f, StatisticExtRelationId, ROW(Form_pg_statistic_ext, lfirst(lc))->oid);
	(void) add_rows(f, CAT_PARENTS, relid);
}

static void
add_triggers_and_rules(Fingerprint *f, Form_pg_class class)
{
	ListCell   *lc;

	if (class->relhastriggers)
	{
		foreach(lc, add_rows(f, CAT_TRIGGER, class->oid))
		{
			Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));

			if (trigger->tgisinternal)
				continue;
			(void) add_rows2(f, CAT_DEPEND, TriggerRelationId, trigger->oid);
			add_description(f, TriggerRelationId, trigger->oid);
		}
	}
	if (class->relhasrules)
	{
		foreach(lc, add_rows(f, CAT_REWRITE, class->oid))
			add_description(f, RewriteRelationId, ROW(Form_pg_rewrite, lfirst(lc))->oid);
	}
}

static void
add_relation(Fingerprint *f, Oid relid)
{
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
	HeapTuple	toast;
	Form_pg_class class;

	if (!HeapTupleIsValid(tuple))
		return;
	class = ROW(Form_pg_class, tuple);
	add_class(f, tuple);
	add_description(f, RelationRelationId, relid);
	if (class->relkind == RELKIND_SEQUENCE)
	{
		(void) add_rows(f, CAT_SEQUENCE, relid);
		(void) add_rows2(f, CAT_DEPEND, RelationRelationId, relid);
		return;
	}

	(void) add_rows(f, CAT_ATTRIBUTE, relid);
	(void) add_rows(f, CAT_ATTRDEF, relid);
	add_triggers_and_rules(f, class);
	if (class->relkind != RELKIND_VIEW)
		add_table_parts(f, relid);
	if (class->relhasindex)
		add_indexes(f, relid);
	toast = SearchSysCache1(RELOID, ObjectIdGetDatum(class->reltoastrelid));
	if (HeapTupleIsValid(toast))
	{
		add_class_column(f, toast, Anum_pg_class_reloptions);
		ReleaseSysCache(toast);
	}
}

static void
add_type(Fingerprint *f, Oid oid)
{
	ListCell   *lc;

	add_syscache_row(f, TYPEOID, TypeRelationId, oid);
	(void) add_rows(f, CAT_ENUM, oid);
	foreach(lc, add_rows(f, CAT_DOMAIN_CONSTRAINT, oid))
		add_description(f, ConstraintRelationId, ROW(Form_pg_constraint, lfirst(lc))->oid);
	if (get_typ_typrelid(oid) != InvalidOid)
	{
		(void) add_rows(f, CAT_ATTRIBUTE, get_typ_typrelid(oid));
		add_description(f, RelationRelationId, get_typ_typrelid(oid));
	}
}

static void
add_schema(Fingerprint *f, Oid namespace)
{
	ListCell   *lc;

	add_syscache_row(f, NAMESPACEOID, NamespaceRelationId, namespace);
	foreach(lc, add_rows2(f, CAT_REFERENCE, NamespaceRelationId, namespace))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		switch (dep->classid)
		{
			case RelationRelationId:
				add_relation(f, dep->objid);
				break;
			case TypeRelationId:
				add_type(f, dep->objid);
				break;
			case ProcedureRelationId:
				add_syscache_row(f, PROCOID, ProcedureRelationId, dep->objid);
				(void) add_rows2(f, CAT_DEPEND, ProcedureRelationId, dep->objid);
				break;
			default:
				break;
		}
	}
}

/* Add all rows of a small table. */
static void
add_whole_table(Fingerprint *f, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		add_row(f, relid, InvalidOid, InvalidOid, tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Add the reference tables, which are rows of the registry, and their schemas. */
static void
add_reference_tables(Fingerprint *f)
{
	Relation	rel = table_open(tenancy_registry_relation("reference_table"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(heap_getattr(tuple, Anum_reference_table_relation,
														  RelationGetDescr(rel), &isnull));

		add_relation(f, relid);
		add_syscache_row(f, NAMESPACEOID, NamespaceRelationId, get_rel_namespace(relid));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * A text that changes whenever a model schema, a reference table, the registry's
 * rows about modules and protected tables, or the list of extensions does.
 */
char *
tenancy_clone_fingerprint(void)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "tenancy fingerprint",
												  ALLOCSET_DEFAULT_SIZES);
	Fingerprint f;
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	memset(&f, 0, sizeof(f));
	tenancy_clone_open_catalogs(&f.catalogs);
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);
		Oid			namespace = get_namespace_oid(module->model_schema, false);

		add_schema(&f, namespace);
		(void) add_rows2(&f, CAT_DEFAULT_ACL,
						 tenancy_registry_module_owner(module), namespace);
	}
	add_reference_tables(&f);
	tenancy_clone_close_catalogs(&f.catalogs);
	add_whole_table(&f, tenancy_registry_relation("module"));
	add_whole_table(&f, tenancy_registry_relation("protected_table"));
	add_whole_table(&f, ExtensionRelationId);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return psprintf("%s/" UINT64_FORMAT "/%08x%08x", TENANCY_VERSION, f.count,
					(uint32) (f.sum >> 32), (uint32) f.sum);
}
