/*-------------------------------------------------------------------------
 *
 * clone_fingerprint.c
 *	  A number that changes when a model schema does.
 *
 * It is a sum over the versions of catalog rows, so that their order does not
 * matter, and tells whether the template database, or a spare, is still a copy
 * of the models.  create_tenant() waits for it when it takes a spare, and so it
 * has to be quick: objects that were created together have OIDs that are close
 * together, and the rows of a catalog about all of them are read by one scan of
 * a range of its index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "clone.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* OIDs with no more than this between them are read in one go. */
#define RUN_GAP 64

/* A set of OIDs; in order, and each once, after sort_set(). */
typedef struct OidSet
{
	Oid		   *oids;
	int			count;
	int			size;
} OidSet;

typedef struct Fingerprint
{
	uint64		sum;
	uint64		count;
	OidSet		relations;		/* tables, indexes, views, sequences, composite types */
	OidSet		toast;			/* their TOAST tables */
	OidSet		types;
	OidSet		row_types;		/* of these relations */
	OidSet		routines;
	OidSet		others;			/* of whatever catalog */
	OidSet		triggers;		/* without those of constraints */
	OidSet		described;		/* all of these and their parts */
} Fingerprint;

/* How to find the rows of a catalog that are about certain objects. */
typedef struct Source
{
	Oid			relid;
	Oid			index;
	AttrNumber	key;			/* the object's OID */
	AttrNumber	class_key;		/* the column before it in the index, or 0 */
	Oid			classid;		/* and its value */
	AttrNumber	oid;			/* the row's own OID, if it can have a comment, or 0 */
} Source;

typedef void (*RowFunction) (Fingerprint *f, const Source *source, Oid key, Relation rel,
							 HeapTuple row);


/* ----------------------------------------------------------------
 * Sets
 * ----------------------------------------------------------------
 */

static void
add_oid(OidSet *set, Oid oid)
{
	if (set->count == set->size)
	{
		set->size = Max(64, set->size * 2);
		set->oids = set->oids ? repalloc(set->oids, set->size * sizeof(Oid)) :
			palloc(set->size * sizeof(Oid));
	}
	set->oids[set->count++] = oid;
}

static int
compare_oids(const void *a, const void *b)
{
	Oid			left = *(const Oid *) a;
	Oid			right = *(const Oid *) b;

	return left < right ? -1 : left > right;
}

static void
sort_set(OidSet *set)
{
	int			kept = 0;

	if (set->count == 0)
		return;
	qsort(set->oids, set->count, sizeof(Oid), compare_oids);
	for (int i = 1; i < set->count; i++)
	{
		if (set->oids[i] != set->oids[kept])
			set->oids[++kept] = set->oids[i];
	}
	set->count = kept + 1;
}


/* ----------------------------------------------------------------
 * Rows
 * ----------------------------------------------------------------
 */

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
add_row(Fingerprint *f, Oid catalog, Oid key, HeapTuple row)
{
	uint32		version[4] = {catalog, key};

	version[2] = HeapTupleHeaderGetRawXmin(row->t_data);
	version[3] = HeapTupleHeaderGetRawCommandId(row->t_data);
	add_hash(f, version, sizeof(version));
}

/* The usual RowFunction: add the row, and note what can have a comment. */
static void
add_source_row(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	bool		isnull;

	add_row(f, source->relid, key, row);
	if (source->oid != 0)
		add_oid(&f->described,
				DatumGetObjectId(heap_getattr(row, source->oid, RelationGetDescr(rel), &isnull)));
}

/* Pass the rows about the objects from the first to the last to a function. */
static void
scan_run(Fingerprint *f, const Source *source, Relation rel, const OidSet *set,
		 int first, int last, RowFunction function)
{
	ScanKeyData keys[3];
	int			nkeys = 0;
	SysScanDesc scan;
	HeapTuple	row;

	if (source->class_key != 0)
		ScanKeyInit(&keys[nkeys++], source->class_key, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(source->classid));
	ScanKeyInit(&keys[nkeys++], source->key, BTGreaterEqualStrategyNumber, F_OIDGE,
				ObjectIdGetDatum(set->oids[first]));
	ScanKeyInit(&keys[nkeys++], source->key, BTLessEqualStrategyNumber, F_OIDLE,
				ObjectIdGetDatum(set->oids[last]));
	scan = systable_beginscan(rel, source->index, true, NULL, nkeys, keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			key = DatumGetObjectId(heap_getattr(row, source->key,
														RelationGetDescr(rel), &isnull));

		if (bsearch(&key, &set->oids[first], last - first + 1, sizeof(Oid), compare_oids) != NULL)
			function(f, source, key, rel, row);
	}
	systable_endscan(scan);
}

static void
scan_source(Fingerprint *f, const Source *source, const OidSet *set, RowFunction function)
{
	Relation	rel;
	int			first = 0;

	if (set->count == 0)
		return;
	rel = table_open(source->relid, AccessShareLock);
	for (int i = 1; i <= set->count; i++)
	{
		if (i < set->count && set->oids[i] - set->oids[i - 1] <= RUN_GAP)
			continue;
		scan_run(f, source, rel, set, first, i - 1, function);
		first = i;
	}
	table_close(rel, AccessShareLock);
}

static void
add_sources(Fingerprint *f, const Source *sources, int count, const OidSet *set)
{
	for (int i = 0; i < count; i++)
		scan_source(f, &sources[i], set, add_source_row);
}


/* ----------------------------------------------------------------
 * Relations
 * ----------------------------------------------------------------
 */

static void
add_class_column(Fingerprint *f, Relation rel, HeapTuple row, AttrNumber attno)
{
	bool		isnull;
	Datum		value = heap_getattr(row, attno, RelationGetDescr(rel), &isnull);
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
add_class(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	Form_pg_class class = (Form_pg_class) GETSTRUCT(row);
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
	definition.flags[6] = class->relispopulated;
	add_hash(f, &definition, sizeof(definition));
	add_class_column(f, rel, row, Anum_pg_class_relacl);
	add_class_column(f, rel, row, Anum_pg_class_reloptions);
	add_class_column(f, rel, row, Anum_pg_class_relpartbound);
	if (OidIsValid(class->reltoastrelid))
		add_oid(&f->toast, class->reltoastrelid);
	if (OidIsValid(class->reltype))
		add_oid(&f->row_types, class->reltype);
}

static void
add_toast_options(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	add_class_column(f, rel, row, Anum_pg_class_reloptions);
}

static void
add_index(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	add_row(f, source->relid, key, row);
	add_oid(&f->relations, ((Form_pg_index) GETSTRUCT(row))->indexrelid);
}

/*
 * PostgreSQL's own triggers come with foreign keys, which are counted where they
 * are: each tenant's tables hang more of them on a reference table.  Those of an
 * online move belong to no constraint, and not to the model.
 */
static void
add_trigger(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(row);

	if (trigger->tgisinternal &&
		(trigger->tgenabled == TRIGGER_FIRES_ON_ORIGIN || !OidIsValid(trigger->tgconstraint)))
		return;
	add_row(f, source->relid, key, row);
	if (trigger->tgisinternal)
		return;
	add_oid(&f->triggers, trigger->oid);
	add_oid(&f->described, trigger->oid);
}

static const Source class_source = {
	.relid = RelationRelationId,
	.index = ClassOidIndexId,
	.key = Anum_pg_class_oid,
};

static const Source index_source = {
	.relid = IndexRelationId,
	.index = IndexIndrelidIndexId,
	.key = Anum_pg_index_indrelid,
};

static const Source trigger_source = {
	.relid = TriggerRelationId,
	.index = TriggerRelidNameIndexId,
	.key = Anum_pg_trigger_tgrelid,
};

static const Source relation_sources[] = {
	{.relid = AttributeRelationId, .index = AttributeRelidNumIndexId,
	.key = Anum_pg_attribute_attrelid},
	{.relid = AttrDefaultRelationId, .index = AttrDefaultIndexId,
	.key = Anum_pg_attrdef_adrelid},
	{.relid = ConstraintRelationId, .index = ConstraintRelidTypidNameIndexId,
	.key = Anum_pg_constraint_conrelid, .oid = Anum_pg_constraint_oid},
	{.relid = RewriteRelationId, .index = RewriteRelRulenameIndexId,
	.key = Anum_pg_rewrite_ev_class, .oid = Anum_pg_rewrite_oid},
	{.relid = PolicyRelationId, .index = PolicyPolrelidPolnameIndexId,
	.key = Anum_pg_policy_polrelid, .oid = Anum_pg_policy_oid},
	{.relid = StatisticExtRelationId, .index = StatisticExtRelidIndexId,
	.key = Anum_pg_statistic_ext_stxrelid, .oid = Anum_pg_statistic_ext_oid},
	{.relid = InheritsRelationId, .index = InheritsRelidSeqnoIndexId,
	.key = Anum_pg_inherits_inhrelid},
	{.relid = SequenceRelationId, .index = SequenceRelidIndexId,
	.key = Anum_pg_sequence_seqrelid},
	{.relid = DependRelationId, .index = DependDependerIndexId,
	.key = Anum_pg_depend_objid, .class_key = Anum_pg_depend_classid, .classid = RelationRelationId},
};

static void
add_relations(Fingerprint *f)
{
	OidSet		tables = f->relations;

	if (tables.count == 0)
		return;

	/* The indexes are added to the set while it is read. */
	tables.oids = palloc(tables.count * sizeof(Oid));
	memcpy(tables.oids, f->relations.oids, tables.count * sizeof(Oid));
	sort_set(&tables);
	scan_source(f, &index_source, &tables, add_index);
	sort_set(&f->relations);
	scan_source(f, &class_source, &f->relations, add_class);
	sort_set(&f->toast);
	scan_source(f, &class_source, &f->toast, add_toast_options);
	add_sources(f, relation_sources, lengthof(relation_sources), &f->relations);
	scan_source(f, &trigger_source, &tables, add_trigger);
}


/* ----------------------------------------------------------------
 * Schemas
 * ----------------------------------------------------------------
 */

static void
add_type(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	Form_pg_type type = (Form_pg_type) GETSTRUCT(row);

	add_row(f, source->relid, key, row);
	if (OidIsValid(type->typrelid))
		add_oid(&f->relations, type->typrelid);
}

static const Source type_source = {
	.relid = TypeRelationId,
	.index = TypeOidIndexId,
	.key = Anum_pg_type_oid,
};

static const Source type_sources[] = {
	{.relid = EnumRelationId, .index = EnumTypIdSortOrderIndexId,
	.key = Anum_pg_enum_enumtypid},
	{.relid = ConstraintRelationId, .index = ConstraintTypidIndexId,
	.key = Anum_pg_constraint_contypid, .oid = Anum_pg_constraint_oid},
};

static const Source routine_sources[] = {
	{.relid = ProcedureRelationId, .index = ProcedureOidIndexId,
	.key = Anum_pg_proc_oid},
	{.relid = DependRelationId, .index = DependDependerIndexId,
	.key = Anum_pg_depend_objid, .class_key = Anum_pg_depend_classid, .classid = ProcedureRelationId},
};

static const Source trigger_sources[] = {
	{.relid = DependRelationId, .index = DependDependerIndexId,
	.key = Anum_pg_depend_objid, .class_key = Anum_pg_depend_classid, .classid = TriggerRelationId},
};

static const Source other_sources[] = {
	{.relid = CollationRelationId, .index = CollationOidIndexId, .key = Anum_pg_collation_oid},
	{.relid = OperatorClassRelationId, .index = OpclassOidIndexId, .key = Anum_pg_opclass_oid},
	{.relid = OperatorFamilyRelationId, .index = OpfamilyOidIndexId, .key = Anum_pg_opfamily_oid},
	{.relid = AccessMethodOperatorRelationId, .index = AccessMethodStrategyIndexId, .key = Anum_pg_amop_amopfamily},
	{.relid = AccessMethodProcedureRelationId, .index = AccessMethodProcedureIndexId, .key = Anum_pg_amproc_amprocfamily},
	{.relid = OperatorRelationId, .index = OperatorOidIndexId, .key = Anum_pg_operator_oid},
	{.relid = TSConfigRelationId, .index = TSConfigOidIndexId, .key = Anum_pg_ts_config_oid},
	{.relid = TSConfigMapRelationId, .index = TSConfigMapIndexId, .key = Anum_pg_ts_config_map_mapcfg},
	{.relid = TSDictionaryRelationId, .index = TSDictionaryOidIndexId, .key = Anum_pg_ts_dict_oid},
};

/* Casts, which are in no schema, depend on their types. */
static const Source cast_source = {
	.relid = DependRelationId,
	.index = DependReferenceIndexId,
	.key = Anum_pg_depend_refobjid,
	.class_key = Anum_pg_depend_refclassid,
	.classid = TypeRelationId,
};

static void
add_cast(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(row);

	if (dep->classid != CastRelationId)
		return;
	add_row(f, source->relid, key, row);
	add_oid(&f->described, dep->objid);
}

/* What is found by the OID of anything */
static const Source described_sources[] = {
	{.relid = DescriptionRelationId, .index = DescriptionObjIndexId,
	.key = Anum_pg_description_objoid},
	{.relid = SecLabelRelationId, .index = SecLabelObjectIndexId,
	.key = Anum_pg_seclabel_objoid},
};

static const Source namespace_source = {
	.relid = NamespaceRelationId,
	.index = NamespaceOidIndexId,
	.key = Anum_pg_namespace_oid,
};

static const Source member_source = {
	.relid = DependRelationId,
	.index = DependReferenceIndexId,
	.key = Anum_pg_depend_refobjid,
	.class_key = Anum_pg_depend_refclassid,
	.classid = NamespaceRelationId,
};

/* Sort what is in a schema into the sets. */
static void
add_member(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(row);

	switch (dep->classid)
	{
		case RelationRelationId:
			add_oid(&f->relations, dep->objid);
			break;
		case TypeRelationId:
			add_oid(&f->types, dep->objid);
			break;
		case ProcedureRelationId:
			add_oid(&f->routines, dep->objid);
			break;
		default:
			add_oid(&f->others, dep->objid);
			break;
	}
}

static void
add_to_described(Fingerprint *f, const OidSet *set)
{
	for (int i = 0; i < set->count; i++)
		add_oid(&f->described, set->oids[i]);
}

/* Add the reference tables, and their schemas, but not what else is in these. */
static void
add_reference_tables(Fingerprint *f, OidSet *namespaces)
{
	Relation	rel = table_open(tenancy_registry_relation("reference_table"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(heap_getattr(row, Anum_reference_table_relation,
														  RelationGetDescr(rel), &isnull));
		Oid			namespace = get_rel_namespace(relid);

		if (!OidIsValid(namespace))
			continue;
		add_oid(&f->relations, relid);
		add_oid(namespaces, namespace);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Add a model schema.  Who may merely use it is no part of a copy, and changes
 * whenever a role gets access.
 */
static void
add_model_schema(Fingerprint *f, const Source *source, Oid key, Relation rel, HeapTuple row)
{
	Form_pg_namespace namespace = (Form_pg_namespace) GETSTRUCT(row);
	bool		isnull;
	Datum		value = heap_getattr(row, Anum_pg_namespace_nspacl, RelationGetDescr(rel), &isnull);
	const Acl  *acl = isnull ? NULL : DatumGetAclP(value);

	add_hash(f, &namespace->nspname, sizeof(NameData));
	add_hash(f, &namespace->nspowner, sizeof(Oid));
	for (int i = 0; acl != NULL && i < ACL_NUM(acl); i++)
	{
		const AclItem *item = &ACL_DAT(acl)[i];

		if (item->ai_grantee == namespace->nspowner || ACLITEM_GET_RIGHTS(*item) != ACL_USAGE)
			add_hash(f, item, sizeof(AclItem));
	}
}

static void
add_schemas(Fingerprint *f, OidSet *namespaces)
{
	OidSet		references;

	memset(&references, 0, sizeof(references));
	sort_set(namespaces);
	scan_source(f, &namespace_source, namespaces, add_model_schema);
	scan_source(f, &member_source, namespaces, add_member);
	add_reference_tables(f, &references);
	sort_set(&references);
	scan_source(f, &namespace_source, &references, add_source_row);
	sort_set(&f->types);
	scan_source(f, &type_source, &f->types, add_type);
	add_sources(f, type_sources, lengthof(type_sources), &f->types);
	add_relations(f);
	sort_set(&f->routines);
	add_sources(f, routine_sources, lengthof(routine_sources), &f->routines);
	sort_set(&f->others);
	add_sources(f, other_sources, lengthof(other_sources), &f->others);
	scan_source(f, &cast_source, &f->types, add_cast);
	sort_set(&f->row_types);
	scan_source(f, &cast_source, &f->row_types, add_cast);
	sort_set(&f->triggers);
	add_sources(f, trigger_sources, lengthof(trigger_sources), &f->triggers);

	add_to_described(f, namespaces);
	add_to_described(f, &references);
	add_to_described(f, &f->relations);
	add_to_described(f, &f->types);
	add_to_described(f, &f->routines);
	add_to_described(f, &f->others);
	sort_set(&f->described);
	add_sources(f, described_sources, lengthof(described_sources), &f->described);
}

/* The default privileges that an owner has set in its model schema, or in the database. */
static void
add_default_privileges(Fingerprint *f, Oid owner, Oid namespace)
{
	Relation	rel = table_open(DefaultAclRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	row;

	ScanKeyInit(&keys[0], Anum_pg_default_acl_defaclrole, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(owner));
	ScanKeyInit(&keys[1], Anum_pg_default_acl_defaclnamespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(namespace));
	scan = systable_beginscan(rel, DefaultAclRoleNspObjIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		add_row(f, DefaultAclRelationId, namespace, row);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* Add all rows of a small table. */
static void
add_whole_table(Fingerprint *f, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
		add_row(f, relid, InvalidOid, row);
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
	OidSet		namespaces;
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	memset(&f, 0, sizeof(f));
	memset(&namespaces, 0, sizeof(namespaces));
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);
		Oid			namespace = tenancy_registry_model_schema(module);

		add_oid(&namespaces, namespace);
		add_default_privileges(&f, tenancy_registry_module_owner(module), namespace);
		add_default_privileges(&f, tenancy_registry_module_owner(module), InvalidOid);
	}
	add_schemas(&f, &namespaces);
	add_whole_table(&f, tenancy_registry_relation("module"));
	add_whole_table(&f, tenancy_registry_relation("protected_table"));
	add_whole_table(&f, ExtensionRelationId);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return psprintf("%s/" UINT64_FORMAT "/%08x%08x", TENANCY_VERSION, f.count,
					(uint32) (f.sum >> 32), (uint32) f.sum);
}
