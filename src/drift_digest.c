/*-------------------------------------------------------------------------
 *
 * drift_digest.c
 *	  A number that tells whether two copies are the same.
 *
 * It is a sum of hashes of the catalog rows that define what is in a schema,
 * with all that is the schema's own in them replaced: the OIDs of its objects by
 * what names them there, its name in a function's search_path, the tenant's id in
 * expressions.  Nothing is deparsed, and no cache of the session filled: it reads
 * by OID through the catalogs' indexes, so that it costs the same whatever else is
 * in the database.
 *
 * Copies that have the same digest are the same.  Copies that have not may be the
 * same all the same: a digest knows column numbers and the ways in which a default
 * can be spelled, say.  So it is for telling the many copies of a model apart, not
 * a copy from the model.
 *
 * All columns of a row count but for those named here, so that what a later
 * release adds counts by itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "compat.h"
#include "drift_digest.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* How a column counts */
typedef enum ColumnKind
{
	COLUMN_SKIPPED,
	COLUMN_VALUE,				/* as it is */
	COLUMN_OID,
	COLUMN_OIDS,				/* an array or vector of them */
	COLUMN_TEXTS,				/* an array: settings */
	COLUMN_BODY,				/* of a function */
	COLUMN_TREE					/* an expression or query */
} ColumnKind;

/* What names an object of the tenant's in its copies */
typedef struct Identity
{
	Oid			oid;			/* hash key: must be first */
	uint64		hash;
} Identity;

/* A row of a catalog that clone_catalog.h does not know */
typedef struct OtherRow
{
	Oid			classid;
	TupleDesc	desc;
	HeapTuple	tuple;
} OtherRow;

struct TenancyDigester
{
	Catalogs	catalogs;
	ColumnKind *kinds[CATALOGS];
	Datum	   *values;
	bool	   *nulls;
	StringInfoData buf;
	bool		has_labels;
	bool		has_needs;

	/* Of a tenant: */
	MemoryContext context;
	HTAB	   *identities;
	Oid			main_namespace;
	const pg_uuid_t *tenant;

	/* Of a schema: */
	List	   *rows[CATALOGS];
	List	   *internal_triggers;	/* of foreign keys, that are not as usual */
	List	   *others;			/* OtherRows */
	const char *name;			/* quoted */
	const char *main_name;
	TenancyDigest digest;
};

/*
 * Columns that say nothing about what the object is: numbers that the server
 * gives and figures that it keeps.  What differs by design is the schema's name.
 */
static const char *const skipped_columns[] = {
	"oid", "attcacheoff", "atthasmissing", "attmissingval", "indcheckxmin", "nspacl", "nspname",
	"relallfrozen", "relallvisible", "relfilenode", "relfrozenxid", "relhasindex", "relhasrules",
	"relhassubclass", "relhastriggers", "relispopulated", "relminmxid", "relpages", "relrewrite", "reltoastrelid", "reltuples",
};

/* What names the objects of catalogs, in an order in which one needs what is above it */
static const struct
{
	CatalogId	id;
	Oid			classid;
	AttrNumber	name;
	AttrNumber	whole;			/* what it is in or part of */
	AttrNumber	arguments;
}			identifying[] = {
	{CAT_CLASS, RelationRelationId, Anum_pg_class_relname, Anum_pg_class_relnamespace, 0},
	{CAT_TYPE, TypeRelationId, Anum_pg_type_typname, Anum_pg_type_typnamespace, 0},
	{CAT_PROC, ProcedureRelationId, Anum_pg_proc_proname, Anum_pg_proc_pronamespace, Anum_pg_proc_proargtypes},
	{CAT_CONSTRAINT, ConstraintRelationId, Anum_pg_constraint_conname, Anum_pg_constraint_conrelid, 0},
	{CAT_DOMAIN_CONSTRAINT, ConstraintRelationId, Anum_pg_constraint_conname, Anum_pg_constraint_contypid, 0},
	{CAT_POLICY, PolicyRelationId, Anum_pg_policy_polname, Anum_pg_policy_polrelid, 0},
	{CAT_REWRITE, RewriteRelationId, Anum_pg_rewrite_rulename, Anum_pg_rewrite_ev_class, 0},
	{CAT_STATISTICS, StatisticExtRelationId, Anum_pg_statistic_ext_stxname, Anum_pg_statistic_ext_stxrelid, 0},
	{CAT_TRIGGER, TriggerRelationId, Anum_pg_trigger_tgname, Anum_pg_trigger_tgrelid, 0},
};


/* ----------------------------------------------------------------
 * Identities
 * ----------------------------------------------------------------
 */

/* Two objects of different catalogs may have the same OID: then it names both. */
static void
identify(TenancyDigester *d, Oid oid, uint64 hash)
{
	bool		found;
	Identity   *identity;

	if (!OidIsValid(oid))
		return;
	identity = hash_search(d->identities, &oid, HASH_ENTER, &found);
	identity->hash = found ? identity->hash + hash : hash;
}

/* The identity of an object of the tenant's, or NULL. */
static const Identity *
find_identity(TenancyDigester *d, Oid oid)
{
	if (oid < FirstNormalObjectId)
		return NULL;
	return hash_search(d->identities, &oid, HASH_FIND, NULL);
}

static void
append_oid(TenancyDigester *d, Oid oid)
{
	const Identity *identity = find_identity(d, oid);

	if (identity != NULL)
	{
		appendStringInfoCharMacro(&d->buf, '\x01');
		appendBinaryStringInfo(&d->buf, (char *) &identity->hash, sizeof(identity->hash));
	}
	else
	{
		appendStringInfoCharMacro(&d->buf, '\x02');
		appendBinaryStringInfo(&d->buf, (char *) &oid, sizeof(oid));
	}
}

static uint64
buffer_hash(TenancyDigester *d)
{
	return hash_bytes_extended((unsigned char *) d->buf.data, d->buf.len, 0);
}

/* Let what is in the buffer count. */
static void
add_buffer(TenancyDigester *d)
{
	d->digest.sum += buffer_hash(d);
	d->digest.count++;
}

static void
append_oids(TenancyDigester *d, Datum array)
{
	ArrayType  *oids = DatumGetArrayTypeP(array);
	int			n = ArrayGetNItems(ARR_NDIM(oids), ARR_DIMS(oids));

	appendBinaryStringInfo(&d->buf, (char *) &n, sizeof(n));
	for (int i = 0; i < n; i++)
		append_oid(d, ((Oid *) ARR_DATA_PTR(oids))[i]);
}

/* Put the objects of one catalog down. */
static void
identify_rows(TenancyDigester *d, int which)
{
	CatalogId	id = identifying[which].id;
	ListCell   *lc;

	foreach(lc, d->rows[id])
	{
		HeapTuple	row = lfirst(lc);
		TupleDesc	desc = RelationGetDescr(d->catalogs.rel[id]);
		bool		isnull;
		Oid			oid = DatumGetObjectId(heap_getattr(row, 1, desc, &isnull));
		uint64		hash;

		resetStringInfo(&d->buf);
		appendBinaryStringInfo(&d->buf, (char *) &identifying[which].classid, sizeof(Oid));
		append_oid(d, DatumGetObjectId(heap_getattr(row, identifying[which].whole, desc, &isnull)));
		if (identifying[which].arguments > 0)
			append_oids(d, heap_getattr(row, identifying[which].arguments, desc, &isnull));
		appendStringInfoString(&d->buf,
							   NameStr(*DatumGetName(heap_getattr(row, identifying[which].name, desc, &isnull))));
		hash = buffer_hash(d);
		identify(d, oid, hash);
		if (id == CAT_TYPE)
		{
			identify(d, ROW(Form_pg_type, row)->typarray, hash + 1);
			identify(d, ROW(Form_pg_type, row)->typrelid, hash + 2);
		}
	}
}

/* Row types and their arrays: of them, the rows are not read. */
static void
identify_row_types(TenancyDigester *d)
{
	ListCell   *lc;

	foreach(lc, d->rows[CAT_CLASS])
	{
		Form_pg_class class = ROW(Form_pg_class, lfirst(lc));
		const Identity *identity;
		List	   *types;

		if (!OidIsValid(class->reltype))
			continue;
		identity = find_identity(d, class->oid);
		types = tenancy_clone_rows(&d->catalogs, CAT_TYPE, class->reltype);
		if (identity == NULL || types == NIL)
			continue;
		identify(d, class->reltype, identity->hash + 1);
		identify(d, ROW(Form_pg_type, linitial(types))->typarray, identity->hash + 2);
	}
}

/*
 * The name of something is the first column of that type; what has none (a cast) is
 * known by the OIDs in it.
 */
static void
identify_other(TenancyDigester *d, const OtherRow *other)
{
	bool		isnull;

	if (strcmp(NameStr(TupleDescAttr(other->desc, 0)->attname), "oid") != 0)
		return;
	resetStringInfo(&d->buf);
	appendBinaryStringInfo(&d->buf, (char *) &other->classid, sizeof(Oid));
	for (int i = 1; i < other->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(other->desc, i);
		Datum		value = heap_getattr(other->tuple, i + 1, other->desc, &isnull);

		if (att->atttypid == OIDOID)
			append_oid(d, DatumGetObjectId(value));
		if (att->atttypid != NAMEOID)
			continue;
		appendStringInfoString(&d->buf, NameStr(*DatumGetName(value)));
		break;
	}
	identify(d, DatumGetObjectId(heap_getattr(other->tuple, 1, other->desc, &isnull)), buffer_hash(d));
}

static void
identify_all(TenancyDigester *d)
{
	ListCell   *lc;

	identify_rows(d, 0);
	identify_row_types(d);
	for (int i = 1; i < lengthof(identifying); i++)
		identify_rows(d, i);
	foreach(lc, d->others)
		identify_other(d, lfirst(lc));
}


/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/* Keep the rows that a key selects, and return them. */
static List *
read_rows2(TenancyDigester *d, CatalogId id, Oid key1, Oid key2)
{
	List	   *rows = tenancy_clone_rows2(&d->catalogs, id, key1, key2);

	d->rows[id] = list_concat(d->rows[id], rows);
	return rows;
}

static List *
read_rows(TenancyDigester *d, CatalogId id, Oid key)
{
	return read_rows2(d, id, key, InvalidOid);
}

/* Keep what is said about an object: comments and security labels. */
static void
read_remarks(TenancyDigester *d, Oid classid, Oid oid)
{
	(void) read_rows2(d, CAT_DESCRIPTION, oid, classid);
	if (d->has_labels)
		(void) read_rows2(d, CAT_SECLABEL, oid, classid);
}

/* Keep rows, with the comments on the objects. */
static void
read_commented(TenancyDigester *d, CatalogId id, Oid classid, Oid key)
{
	ListCell   *lc;

	foreach(lc, read_rows(d, id, key))
	{
		bool		isnull;
		Oid			oid = DatumGetObjectId(heap_getattr(lfirst(lc), 1, RelationGetDescr(d->catalogs.rel[id]), &isnull));

		(void) read_rows2(d, CAT_DESCRIPTION, oid, classid);
	}
}

/* Keep what says ALTER ... DEPENDS ON EXTENSION. */
static void
read_needs(TenancyDigester *d, List *dependencies)
{
	ListCell   *lc;

	foreach(lc, dependencies)
	{
		if (ROW(Form_pg_depend, lfirst(lc))->deptype == DEPENDENCY_AUTO_EXTENSION)
			d->rows[CAT_DEPEND] = lappend(d->rows[CAT_DEPEND], lfirst(lc));
	}
}

/* The same for a part of something, whose dependencies are not read otherwise. */
static void
read_needs_of(TenancyDigester *d, Oid classid, Oid oid)
{
	if (d->has_needs)
		read_needs(d, tenancy_clone_rows2(&d->catalogs, CAT_DEPEND, classid, oid));
}

/*
 * PostgreSQL's own triggers are named by number, and come with a constraint: they
 * count if they are not enabled as usual.  Those of an online move do not.
 */
static void
read_triggers(TenancyDigester *d, Oid relid)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&d->catalogs, CAT_TRIGGER, relid))
	{
		Form_pg_trigger trigger = ROW(Form_pg_trigger, lfirst(lc));

		if (trigger->tgisinternal)
		{
			if (trigger->tgenabled != TRIGGER_FIRES_ON_ORIGIN && OidIsValid(trigger->tgconstraint))
				d->internal_triggers = lappend(d->internal_triggers, trigger);
			continue;
		}
		d->rows[CAT_TRIGGER] = lappend(d->rows[CAT_TRIGGER], lfirst(lc));
		(void) read_rows2(d, CAT_DESCRIPTION, trigger->oid, TriggerRelationId);
		read_needs_of(d, TriggerRelationId, trigger->oid);
	}
}

static void
read_indexes(TenancyDigester *d, Oid relid)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, read_rows(d, CAT_INDEX, relid))
	{
		Oid			index = ROW(Form_pg_index, lfirst(lc))->indexrelid;
		bool		no_expressions;

		foreach(lc2, read_rows(d, CAT_CLASS, index))
		{
			if (ROW(Form_pg_class, lfirst(lc2))->relispartition)
				(void) read_rows(d, CAT_PARENTS, index);
		}
		(void) tenancy_clone_attr(&d->catalogs, CAT_INDEX, lfirst(lc), Anum_pg_index_indexprs, &no_expressions);
		if (!no_expressions)
			(void) read_rows(d, CAT_ATTRIBUTE, index);
		(void) read_rows2(d, CAT_DESCRIPTION, index, RelationRelationId);
		read_needs_of(d, RelationRelationId, index);
	}
}

/* Of a TOAST table, named by number, only the options count. */
static void
read_toast(TenancyDigester *d, Form_pg_class class)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows(&d->catalogs, CAT_CLASS, class->reltoastrelid))
	{
		bool		isnull;
		Datum		options = tenancy_clone_attr(&d->catalogs, CAT_CLASS, lfirst(lc), Anum_pg_class_reloptions, &isnull);

		if (isnull)
			continue;
		resetStringInfo(&d->buf);
		appendStringInfo(&d->buf, "toast %s %s", NameStr(class->relname),
						 OidOutputFunctionCall(F_ARRAY_OUT, options));
		add_buffer(d);
	}
}

static void
read_table(TenancyDigester *d, Form_pg_class class)
{
	read_commented(d, CAT_CONSTRAINT, ConstraintRelationId, class->oid);
	read_commented(d, CAT_POLICY, PolicyRelationId, class->oid);
	read_commented(d, CAT_STATISTICS, StatisticExtRelationId, class->oid);
	(void) read_rows(d, CAT_PARENTS, class->oid);
	if (class->relkind == RELKIND_PARTITIONED_TABLE)
		(void) read_rows(d, CAT_PARTITIONED, class->oid);
	if (class->relhasindex)
		read_indexes(d, class->oid);
	if (OidIsValid(class->reltoastrelid))
		read_toast(d, class);
}

/* Keep the rows of any catalog; rare enough for scans of their own. */
static void
read_other_rows(TenancyDigester *d, Oid classid, Oid index, AttrNumber column, Oid oid)
{
	Relation	rel = table_open(classid, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, column, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, index, true, d->catalogs.snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		OtherRow   *other = palloc(sizeof(OtherRow));

		other->classid = classid;
		other->desc = CreateTupleDescCopy(RelationGetDescr(rel));
		other->tuple = heap_copytuple(tuple);
		d->others = lappend(d->others, other);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

static void
read_other(TenancyDigester *d, Oid classid, Oid oid)
{
	read_other_rows(d, classid, get_object_oid_index(classid), get_object_attnum_oid(classid), oid);
	if (classid == TSConfigRelationId)
		read_other_rows(d, TSConfigMapRelationId, TSConfigMapIndexId, Anum_pg_ts_config_map_mapcfg, oid);
	if (classid == OperatorFamilyRelationId)
	{
		read_other_rows(d, AccessMethodOperatorRelationId, AccessMethodStrategyIndexId, Anum_pg_amop_amopfamily, oid);
		read_other_rows(d, AccessMethodProcedureRelationId, AccessMethodProcedureIndexId, Anum_pg_amproc_amprocfamily, oid);
	}
}

/* Casts are in no schema. */
static void
read_casts(TenancyDigester *d, Oid type)
{
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&d->catalogs, CAT_REFERENCE, TypeRelationId, type))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->classid != CastRelationId)
			continue;
		read_other(d, CastRelationId, dep->objid);
		read_remarks(d, CastRelationId, dep->objid);
	}
}

static void
read_relation(TenancyDigester *d, Oid relid, List *dependencies)
{
	List	   *rows = read_rows(d, CAT_CLASS, relid);
	Form_pg_class class;
	ListCell   *lc;

	if (rows == NIL)
		return;					/* dropped meanwhile */
	class = ROW(Form_pg_class, linitial(rows));
	if (class->relkind == RELKIND_SEQUENCE)
	{
		(void) read_rows(d, CAT_SEQUENCE, relid);
		foreach(lc, dependencies)
		{
			/* whose it is */
			if (ROW(Form_pg_depend, lfirst(lc))->refobjsubid != 0)
				d->rows[CAT_DEPEND] = lappend(d->rows[CAT_DEPEND], lfirst(lc));
		}
		return;
	}
	(void) read_rows(d, CAT_ATTRIBUTE, relid);
	(void) read_rows(d, CAT_ATTRDEF, relid);
	read_casts(d, class->reltype);
	if (class->relhasrules)
		read_commented(d, CAT_REWRITE, RewriteRelationId, relid);
	if (class->relhastriggers)
		read_triggers(d, relid);
	if (class->relkind != RELKIND_VIEW)
		read_table(d, class);
}

static void
read_type(TenancyDigester *d, Oid oid)
{
	ListCell   *lc;

	foreach(lc, read_rows(d, CAT_TYPE, oid))
	{
		Form_pg_type type = ROW(Form_pg_type, lfirst(lc));

		if (type->typtype == TYPTYPE_ENUM)
			(void) read_rows(d, CAT_ENUM, oid);
		else if (type->typtype == TYPTYPE_DOMAIN)
			read_commented(d, CAT_DOMAIN_CONSTRAINT, ConstraintRelationId, oid);
		else if (type->typtype == TYPTYPE_RANGE)
			(void) read_rows(d, CAT_RANGE, oid);
		if (OidIsValid(type->typrelid))
		{
			(void) read_rows(d, CAT_ATTRIBUTE, type->typrelid);
			(void) read_rows2(d, CAT_DESCRIPTION, type->typrelid, RelationRelationId);
		}
	}
}

static void
read_function(TenancyDigester *d, Oid oid)
{
	ListCell   *lc;

	foreach(lc, read_rows(d, CAT_PROC, oid))
	{
		if (ROW(Form_pg_proc, lfirst(lc))->prokind == PROKIND_AGGREGATE)
			(void) read_rows(d, CAT_AGGREGATE, oid);
	}
}

/* Something in the schema, but for what is an extension's. */
static void
read_member(TenancyDigester *d, Oid classid, Oid oid)
{
	List	   *dependencies = tenancy_clone_rows2(&d->catalogs, CAT_DEPEND, classid, oid);
	ListCell   *lc;

	foreach(lc, dependencies)
	{
		if (ROW(Form_pg_depend, lfirst(lc))->deptype == DEPENDENCY_EXTENSION)
			return;
	}
	read_remarks(d, classid, oid);
	read_needs(d, dependencies);
	switch (classid)
	{
		case RelationRelationId:
			read_relation(d, oid, dependencies);
			break;
		case TypeRelationId:
			read_type(d, oid);
			read_casts(d, oid);
			break;
		case ProcedureRelationId:
			read_function(d, oid);
			break;
		case StatisticExtRelationId:
		case ExtensionRelationId:
			/* read with its table; only has its home here */
			break;
		default:
			read_other(d, classid, oid);
			break;
	}
}

/* Read what is in a schema; it adds to the digest only what it drops at once. */
static void
read_schema(TenancyDigester *d, Oid namespace, int position)
{
	ListCell   *lc;

	memset(d->rows, 0, sizeof(d->rows));
	d->internal_triggers = NIL;
	d->others = NIL;
	d->digest.sum = d->digest.count = 0;
	(void) read_rows(d, CAT_NAMESPACE, namespace);
	read_remarks(d, NamespaceRelationId, namespace);
	foreach(lc, tenancy_clone_rows2(&d->catalogs, CAT_REFERENCE, NamespaceRelationId, namespace))
	{
		Form_pg_depend dep = ROW(Form_pg_depend, lfirst(lc));

		if (dep->deptype == DEPENDENCY_NORMAL)
			read_member(d, dep->classid, dep->objid);
		else if (dep->classid == DefaultAclRelationId)
			(void) read_rows(d, CAT_DEFAULT_ACL_OID, dep->objid);
	}
	identify(d, namespace, position);
	identify_all(d);
}


/* ----------------------------------------------------------------
 * Expressions
 * ----------------------------------------------------------------
 */

static bool
is_delimiter(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '(' || c == ')' || c == '{' || c == '}';
}

static const char *
token_end(const char *p, const char *end)
{
	while (p < end && !is_delimiter(*p))
		p += (*p == '\\' && p + 1 < end) ? 2 : 1;
	return p;
}

static bool
has_text(const char *start, const char *end, const char *word)
{
	return end - start == strlen(word) && memcmp(start, word, end - start) == 0;
}

/* Are constants of this type OIDs? */
static bool
is_oid_type(Oid type)
{
	switch (type)
	{
		case OIDOID:
		case REGCLASSOID:
		case REGCOLLATIONOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGNAMESPACEOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGTYPEOID:
			return true;
		default:
			return false;
	}
}

/*
 * Append what replaces a constant, given by its bytes between brackets, and
 * return true; or return false.
 */
static bool
append_constant(TenancyDigester *d, const char *p, const char *end, Oid type)
{
	unsigned char bytes[UUID_LEN] = {0};
	int			n;
	Oid			oid;

	if (type != UUIDOID && !is_oid_type(type))
		return false;
	for (n = 0; n < UUID_LEN && p < end && *p != ']'; n++)
	{
		char	   *after;

		bytes[n] = (unsigned char) strtol(p, &after, 10);
		for (p = after; p < end && *p == ' ';)
			p++;
	}
	if (type == UUIDOID)
	{
		if (n != UUID_LEN || memcmp(bytes, d->tenant->data, UUID_LEN) != 0)
			return false;
		appendStringInfoCharMacro(&d->buf, '\x03');
		return true;
	}
#ifdef WORDS_BIGENDIAN
	memcpy(&oid, bytes + sizeof(Datum) - sizeof(Oid), sizeof(Oid));
#else
	memcpy(&oid, bytes, sizeof(Oid));
#endif
	append_oid(d, oid);
	return true;
}

/*
 * Append the text of a tree of nodes without the places in some statement's text
 * that it names, and with the tenant's objects and id replaced.  A type's modifier
 * may look like an OID.
 */
static void
append_tree(TenancyDigester *d, const char *p, const char *end)
{
	const char *from = p;		/* what has not been appended yet */
	enum
	{
		TOKEN_ANY, TOKEN_LITERAL, TOKEN_CONSTTYPE
	}			expected = TOKEN_ANY;
	Oid			consttype = InvalidOid;

	while (p < end)
	{
		const char *start = p;

		if (is_delimiter(*p))
		{
			p++;
			continue;
		}
		p = token_end(p, end);
		if (*start == ':')
		{
			expected = TOKEN_ANY;
			if (has_text(start, p, ":consttype"))
				expected = TOKEN_CONSTTYPE;
			else if (p - start > 6 && memcmp(p - 6, "typmod", 6) == 0)
				expected = TOKEN_LITERAL;
			else if (has_text(start, p, ":location") || has_text(start, p, ":stmt_location") ||
					 has_text(start, p, ":stmt_len"))
			{
				appendBinaryStringInfo(&d->buf, from, p - from);
				from = p = token_end(Min(p + 1, end), end);
			}
			continue;
		}
		if (*start == '[')
		{
			while (p < end && *p != ']')
				p++;
			appendBinaryStringInfo(&d->buf, from, start - from);
			from = append_constant(d, start + 1, p, consttype) ? p : start;
		}
		else if (*start >= '1' && *start <= '9' && expected != TOKEN_LITERAL)
		{
			Oid			oid = (Oid) strtoul(start, NULL, 10);

			if (expected == TOKEN_CONSTTYPE)
				consttype = oid;
			if (find_identity(d, oid) != NULL)
			{
				appendBinaryStringInfo(&d->buf, from, start - from);
				append_oid(d, oid);
				from = p;
			}
		}
		expected = TOKEN_ANY;
	}
	appendBinaryStringInfo(&d->buf, from, end - from);
}


/* ----------------------------------------------------------------
 * Rows
 * ----------------------------------------------------------------
 */

static void
append_settings_path(TenancyDigester *d, const char *path)
{
	while (*path != '\0')
	{
		const char *end = strstr(path, ", ");
		int			len = end ? end - path : strlen(path);

		if (len == strlen(d->name) && memcmp(path, d->name, len) == 0)
			appendStringInfoCharMacro(&d->buf, '\x01');
		else if (len == strlen(d->main_name) && memcmp(path, d->main_name, len) == 0)
			appendStringInfoCharMacro(&d->buf, '\x02');
		else
			appendBinaryStringInfo(&d->buf, path, len);
		appendStringInfoCharMacro(&d->buf, ',');
		path += end ? len + 2 : len;
	}
}

/* Some releases keep a column's version among its options. */
static void
append_settings(TenancyDigester *d, Datum array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *setting = nulls[i] ? "" : TextDatumGetCString(values[i]);

		if (strncmp(setting, "pg_attver=", 10) == 0)
			continue;
		if (strncmp(setting, "search_path=", 12) == 0)
			append_settings_path(d, setting + 12);
		else
			appendStringInfoString(&d->buf, setting);
		appendStringInfoCharMacro(&d->buf, '\0');
	}
}

static void
append_value(TenancyDigester *d, Datum value, Form_pg_attribute att)
{
	if (att->attbyval)
		appendBinaryStringInfo(&d->buf, (char *) &value, sizeof(value));
	else if (att->attlen > 0)
		appendBinaryStringInfo(&d->buf, DatumGetPointer(value),
							   att->atttypid == NAMEOID ? strlen(NameStr(*DatumGetName(value))) + 1 : att->attlen);
	else
	{
		struct varlena *data = PG_DETOAST_DATUM_PACKED(value);
		int32		len = VARSIZE_ANY_EXHDR(data);

		appendBinaryStringInfo(&d->buf, (char *) &len, sizeof(len));
		appendBinaryStringInfo(&d->buf, VARDATA_ANY(data), len);
	}
}

/* The body of a function may name the schemas, where the model's names the models. */
static void
append_body(TenancyDigester *d, const char *body)
{
	const char *names[2] = {d->name, d->main_name};

	for (const char *p = body; *p != '\0';)
	{
		int			len = 0;

		for (int i = 0; i < lengthof(names) && len == 0; i++)
		{
			int			length = strlen(names[i]);

			if (length == 0 || strncmp(p, names[i], length) != 0 || p[length] != '.')
				continue;
			appendStringInfoCharMacro(&d->buf, i == 0 ? '\x01' : '\x02');
			len = length;
		}
		if (len == 0)
			appendStringInfoCharMacro(&d->buf, *p);
		p += Max(len, 1);
	}
	appendStringInfoCharMacro(&d->buf, '\0');
}

static ColumnKind
column_kind(Form_pg_attribute att)
{
	for (int i = 0; i < lengthof(skipped_columns); i++)
	{
		if (strcmp(NameStr(att->attname), skipped_columns[i]) == 0)
			return COLUMN_SKIPPED;
	}
	if (strcmp(NameStr(att->attname), "prosrc") == 0)
		return COLUMN_BODY;
	switch (att->atttypid)
	{
		case OIDOID:
		case REGPROCOID:
			return COLUMN_OID;
		case OIDVECTOROID:
		case OIDARRAYOID:
			return COLUMN_OIDS;
		case TEXTARRAYOID:
			return COLUMN_TEXTS;
		case PG_NODE_TREEOID:
			return COLUMN_TREE;
		default:
			return COLUMN_VALUE;
	}
}

static ColumnKind *
column_kinds(TupleDesc desc)
{
	ColumnKind *kinds = palloc(sizeof(ColumnKind) * desc->natts);

	for (int i = 0; i < desc->natts; i++)
		kinds[i] = column_kind(TupleDescAttr(desc, i));
	return kinds;
}

static void
add_row(TenancyDigester *d, Oid classid, TupleDesc desc, const ColumnKind *kinds, HeapTuple row)
{
	heap_deform_tuple(row, desc, d->values, d->nulls);
	resetStringInfo(&d->buf);
	appendBinaryStringInfo(&d->buf, (char *) &classid, sizeof(classid));
	for (int i = 0; i < desc->natts; i++)
	{
		struct varlena *data;

		if (kinds[i] == COLUMN_SKIPPED)
			continue;
		appendStringInfoCharMacro(&d->buf, d->nulls[i] ? 'n' : 'v');
		if (d->nulls[i])
			continue;
		switch (kinds[i])
		{
			case COLUMN_OID:
				append_oid(d, DatumGetObjectId(d->values[i]));
				break;
			case COLUMN_OIDS:
				append_oids(d, d->values[i]);
				break;
			case COLUMN_TEXTS:
				append_settings(d, d->values[i]);
				break;
			case COLUMN_BODY:
				append_body(d, TextDatumGetCString(d->values[i]));
				break;
			case COLUMN_TREE:
				data = PG_DETOAST_DATUM_PACKED(d->values[i]);
				append_tree(d, VARDATA_ANY(data), VARDATA_ANY(data) + VARSIZE_ANY_EXHDR(data));
				break;
			default:
				append_value(d, d->values[i], TupleDescAttr(desc, i));
				break;
		}
	}
	add_buffer(d);
}

/* What has been dropped of a table goes on having a row. */
static bool
is_dropped_column(CatalogId id, HeapTuple row)
{
	return id == CAT_ATTRIBUTE && ROW(Form_pg_attribute, row)->attisdropped;
}

static void
add_rows(TenancyDigester *d)
{
	ListCell   *lc;

	for (int id = 0; id < CATALOGS; id++)
	{
		Relation	rel = d->catalogs.rel[id];

		foreach(lc, d->rows[id])
		{
			if (!is_dropped_column(id, lfirst(lc)))
				add_row(d, RelationGetRelid(rel), RelationGetDescr(rel), d->kinds[id], lfirst(lc));
		}
	}
	foreach(lc, d->internal_triggers)
	{
		Form_pg_trigger trigger = lfirst(lc);

		resetStringInfo(&d->buf);
		append_oid(d, trigger->tgrelid);
		append_oid(d, trigger->tgconstraint);
		append_oid(d, trigger->tgfoid);
		appendStringInfoChar(&d->buf, trigger->tgenabled);
		add_buffer(d);
	}
	foreach(lc, d->others)
	{
		OtherRow   *other = lfirst(lc);

		add_row(d, other->classid, other->desc, column_kinds(other->desc), other->tuple);
	}
}


/* ----------------------------------------------------------------
 * Schemas
 * ----------------------------------------------------------------
 */

/* Does anything in this database depend on an extension without being a part of it? */
static bool
has_extension_needs(TenancyDigester *d)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key, Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	scan = systable_beginscan(tenancy_clone_catalog(&d->catalogs, CAT_DEPEND), DependReferenceIndexId,
							  true, d->catalogs.snapshot, 1, &key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
		found = ROW(Form_pg_depend, tuple)->deptype == DEPENDENCY_AUTO_EXTENSION;
	systable_endscan(scan);
	return found;
}

/* Begin to read: everything is seen as of now. */
TenancyDigester *
tenancy_digest_open(void)
{
	TenancyDigester *d = palloc0(sizeof(TenancyDigester));

	d->values = palloc(sizeof(Datum) * MaxTupleAttributeNumber);
	d->nulls = palloc(sizeof(bool) * MaxTupleAttributeNumber);
	initStringInfo(&d->buf);
	d->context = AllocSetContextCreate(CurrentMemoryContext, "tenancy digest", ALLOCSET_DEFAULT_SIZES);
	tenancy_clone_open_catalogs(&d->catalogs);
	d->has_labels = tenancy_clone_has_labels(&d->catalogs);
	d->has_needs = has_extension_needs(d);
	for (int id = 0; id < CATALOGS; id++)
		d->kinds[id] = column_kinds(RelationGetDescr(tenancy_clone_catalog(&d->catalogs, id)));
	return d;
}

void
tenancy_digest_close(TenancyDigester *d)
{
	tenancy_clone_close_catalogs(&d->catalogs);
	MemoryContextDelete(d->context);
	for (int id = 0; id < CATALOGS; id++)
		pfree(d->kinds[id]);
	pfree(d->buf.data);
	pfree(d->nulls);
	pfree(d->values);
	pfree(d);
}

/* The name of a schema, as it stands in a search_path. */
static const char *
schema_name(TenancyDigester *d, Oid namespace)
{
	List	   *rows = tenancy_clone_rows(&d->catalogs, CAT_NAMESPACE, namespace);

	return rows == NIL ? "" : tenancy_clone_identifier(ROW(Form_pg_namespace, linitial(rows))->nspname);
}

/* Begin with a tenant: what is in its main module's copy, others may name. */
static void
begin_tenant(TenancyDigester *d, const TenancyDigestSchema *schema)
{
	HASHCTL		ctl;

	MemoryContextReset(d->context);
	MemoryContextSwitchTo(d->context);
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Identity);
	ctl.hcxt = d->context;
	d->identities = hash_create("tenancy identities", 512, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	d->main_namespace = schema->main_namespace;
	if (schema->main_namespace != schema->namespace && OidIsValid(schema->main_namespace))
		read_schema(d, schema->main_namespace, 1);
}

/*
 * The digest of a schema.  Those of the same tenant are best asked for one after
 * the other, the main module's first.
 */
TenancyDigest
tenancy_digest_schema(TenancyDigester *d, const TenancyDigestSchema *schema)
{
	MemoryContext old = MemoryContextSwitchTo(d->context);

	d->tenant = &schema->tenant;
	if (d->identities == NULL || d->main_namespace != schema->main_namespace ||
		schema->namespace == schema->main_namespace)
		begin_tenant(d, schema);
	d->name = schema_name(d, schema->namespace);
	d->main_name = schema_name(d, schema->main_namespace);
	read_schema(d, schema->namespace, schema->position);
	add_rows(d);
	resetStringInfo(&d->buf);
	appendStringInfo(&d->buf, "privileges %s", schema->privileges ? schema->privileges : "");
	add_buffer(d);
	MemoryContextSwitchTo(old);
	return d->digest;
}
