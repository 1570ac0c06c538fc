/*-------------------------------------------------------------------------
 *
 * drift.c
 *	  drift(): how tenants' copies differ from their models.
 *
 * The function tenancy.drift_objects() describes a schema by its catalogs.  A copy and
 * its model are described each with its own schemas on the path, so that PostgreSQL
 * itself leaves these names out, and compared row by row.  Copies of a model are
 * mostly the same: a digest (drift_digest.c) tells which ones are, and of these only
 * the first is compared.
 *
 * Tenants are taken in batches, in the order of their slugs, so that memory does not
 * grow with their number.
 *
 * Reads committed state, takes no locks, runs nobody's code: the path begins
 * with pg_catalog, and expressions are deparsed, not evaluated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "drift.h"
#include "drift_digest.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "policy.h"
#include "registry.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_drift);

/* How many tenants are read at once, under one snapshot. */
#define BATCH 100

/* How many descriptions fill the session's caches before they are dropped. */
#define DESCRIBED_MAX 20

/* How often a copy is compared that is migrated meanwhile. */
#define MAX_TRIES 3

#define REPORT_MS 1000

/* A setting that is longer than this is not shown. */
#define SHOWN 200

/* What the catalogs have letters for */
static const struct
{
	const char *property;
	const char *letter;
	const char *word;
}			words[] = {
	{"command", "*", "ALL"},
	{"command", "a", "INSERT"},
	{"command", "d", "DELETE"},
	{"command", "r", "SELECT"},
	{"command", "w", "UPDATE"},
	{"compression", "l", "lz4"},
	{"compression", "p", "pglz"},
	{"enabled", "A", "always"},
	{"enabled", "D", "never"},
	{"enabled", "O", "but on replicas"},
	{"enabled", "R", "on replicas only"},
	{"generated", "s", "stored"},
	{"generated", "v", "virtual"},
	{"kind", "p", "partitioned"},
	{"kind", "r", "plain"},
	{"parallel", "r", "restricted"},
	{"parallel", "s", "safe"},
	{"parallel", "u", "unsafe"},
	{"persistence", "p", "permanent"},
	{"persistence", "t", "temporary"},
	{"persistence", "u", "unlogged"},
	{"replica identity", "d", "default"},
	{"replica identity", "f", "full"},
	{"replica identity", "i", "an index"},
	{"replica identity", "n", "nothing"},
	{"storage", "e", "external"},
	{"storage", "m", "main"},
	{"storage", "p", "plain"},
	{"storage", "x", "extended"},
	{"volatility", "i", "immutable"},
	{"volatility", "s", "stable"},
	{"volatility", "v", "volatile"},
};

/*
 * A schema, the main module's that belongs with it (or itself again), and from
 * which side it is looked at: see drift.sql.
 */
typedef struct Place
{
	Oid			namespace;
	const char *schema;
	const char *main_schema;
	const char *tenant_id;		/* of a copy in a schema; else NULL */
	const char *side;
} Place;

typedef struct Copy
{
	const char *tenant;
	const char *module;
	int			level;
	int			model_level;
	Place		place;
	Place		model;
	TenancyDigestSchema schema; /* for its digest */
} Copy;

/* A row of tenancy.drift_objects() */
typedef struct Described
{
	char	   *whole;			/* the objects that it is part of, with \x01 between them, or NULL */
	const char *object;
	int			nproperties;
	char	  **properties;
	char	  **settings;		/* NULL: not set */
} Described;

typedef struct Description
{
	const Place *place;
	int			count;
	Described  *rows;			/* in the order of their objects' names */
} Description;

/* A model as it was at a level */
typedef struct Model
{
	Place		place;
	int			level;
	Description *description;
} Model;

/* Hash key: no padding */
typedef struct SameKey
{
	TenancyDigest digest;
	uint32		model;
	int32		level;
} SameKey;

StaticAssertDecl(sizeof(SameKey) == sizeof(uint64) * 3, "hash key has padding");

/* A row of the result */
typedef struct Finding
{
	const char *object;
	const char *difference;
} Finding;

/* A call */
typedef struct Drift
{
	ReturnSetInfo *rsinfo;
	MemoryContext context;		/* lives as long as the call */
	List	   *models;
	HTAB	   *same;			/* digests of copies that are as their model */
	int			described;		/* since caches were dropped */
	int			done;
	int			total;
	TimestampTz started_at;
	TimestampTz reported_at;
} Drift;

static void
report(ReturnSetInfo *rsinfo, const char *tenant, const char *module,
	   const char *object, const char *difference)
{
	Datum		values[4];
	bool		nulls[4] = {tenant == NULL, false, false, false};

	values[0] = tenant == NULL ? (Datum) 0 : CStringGetTextDatum(tenant);
	values[1] = CStringGetTextDatum(module);
	values[2] = CStringGetTextDatum(object);
	values[3] = CStringGetTextDatum(difference);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}


/* ----------------------------------------------------------------
 * Copies
 * ----------------------------------------------------------------
 */

static char *
column_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static Oid
column_oid(uint64 row, int column)
{
	char	   *value = column_text(row, column);

	return value == NULL ? InvalidOid : atooid(value);
}

/*
 * The copies that are schemas of the tenants that a condition selects from
 * tenancy.tenant t.
 */
static List *
read_copies(const char *condition)
{
	List	   *copies = NIL;
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT tenant_id, tenant, module, level, model_level, namespace, schema_name,"
								" main_namespace, main_schema, model, model_schema,"
								" (SELECT m.model_schema FROM tenancy.module m WHERE m.position OPERATOR(pg_catalog.=) 1),"
								" position, tenancy.drift_schema_privileges(namespace, tenant_id, 'copy')"
								" FROM tenancy.drift_copy WHERE tenant_id OPERATOR(pg_catalog.=) ANY (ARRAY("
								"SELECT t.id FROM tenancy.tenant t WHERE t.mode OPERATOR(pg_catalog.=) 'schema'"
								" AND t.status OPERATOR(pg_catalog.<>) 'dropping' AND %s)) ORDER BY tenant, position",
								condition);
	old = MemoryContextSwitchTo(exec.caller_context);
	for (uint64 i = 0; i < nrows; i++)
	{
		Copy	   *copy = palloc0(sizeof(Copy));

		copy->place.tenant_id = column_text(i, 1);
		copy->place.side = "copy";
		copy->model.side = "model";
		(void) tenancy_ident_parse_uuid(copy->place.tenant_id, &copy->schema.tenant);
		copy->tenant = column_text(i, 2);
		copy->module = column_text(i, 3);
		copy->level = atoi(column_text(i, 4));
		copy->model_level = atoi(column_text(i, 5));
		copy->place.namespace = copy->schema.namespace = column_oid(i, 6);
		copy->place.schema = column_text(i, 7);
		copy->schema.main_namespace = column_oid(i, 8);
		copy->place.main_schema = column_text(i, 9);
		copy->model.namespace = column_oid(i, 10);
		copy->model.schema = column_text(i, 11);
		copy->model.main_schema = column_text(i, 12);
		copy->schema.position = atoi(column_text(i, 13));
		copy->schema.privileges = column_text(i, 14);
		copies = lappend(copies, copy);
	}
	MemoryContextSwitchTo(old);
	tenancy_exec_end(&exec);
	return copies;
}

static char *
prefix_of(const char *schema)
{
	return quote_literal_cstr(psprintf("%s.", quote_identifier(schema)));
}


/* ----------------------------------------------------------------
 * Describing
 * ----------------------------------------------------------------
 */

/* An array of texts, whose elements may be null. */
static char **
text_array(Datum array, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **texts;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, &nulls, count);
	texts = palloc(sizeof(char *) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		texts[i] = nulls[i] ? NULL : TextDatumGetCString(values[i]);
	return texts;
}

/* In the order of strcmp() */
static Description *
describe(const Place *place)
{
	Description *description = palloc(sizeof(Description));
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(),
					   psprintf("%s, %s, pg_temp", quote_identifier(place->schema),
								quote_identifier(place->main_schema)));
	nrows = tenancy_exec_format("SELECT whole, pg_catalog.replace(pg_catalog.replace(object, %s, ''), %s, '') COLLATE pg_catalog.\"C\","
								" properties, settings FROM tenancy.drift_objects(%u, %s, '%s') ORDER BY 2",
								prefix_of(place->schema), prefix_of(place->main_schema), place->namespace,
								place->tenant_id ? quote_literal_cstr(place->tenant_id) : "NULL", place->side);
	old = MemoryContextSwitchTo(exec.caller_context);
	description->place = place;
	description->count = nrows;
	description->rows = palloc0(sizeof(Described) * Max(nrows, 1));
	for (uint64 i = 0; i < nrows; i++)
	{
		Described  *row = &description->rows[i];
		bool		isnull;
		Datum		properties = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull);

		row->whole = column_text(i, 1);
		row->object = column_text(i, 2);
		if (isnull)
			continue;
		row->properties = text_array(properties, &row->nproperties);
		row->settings = text_array(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &isnull),
								   &row->nproperties);
	}
	MemoryContextSwitchTo(old);
	tenancy_exec_end(&exec);
	return description;
}

static int
compare_objects(const void *a, const void *b)
{
	return strcmp(((const Described *) a)->object, ((const Described *) b)->object);
}

static const Described *
find_object(const Description *description, const char *object)
{
	Described	key = {0};

	key.object = object;
	return bsearch(&key, description->rows, description->count, sizeof(Described), compare_objects);
}

/*
 * What names a schema although it is on the path: the object has the name of
 * one of PostgreSQL's.
 */
static char *
without_prefixes(const char *setting, const Place *place)
{
	const char *schemas[2] = {place->schema, place->main_schema};
	Datum		value = CStringGetTextDatum(setting);

	for (int i = 0; i < lengthof(schemas); i++)
		value = DirectFunctionCall3Coll(replace_text, DEFAULT_COLLATION_OID, value,
										CStringGetTextDatum(psprintf("%s.", quote_identifier(schemas[i]))),
										CStringGetTextDatum(""));
	return TextDatumGetCString(value);
}

static bool
is_same(const char *setting, const Place *place, const char *model_setting, const Place *model)
{
	if (setting == NULL || model_setting == NULL)
		return setting == model_setting;
	return strcmp(setting, model_setting) == 0 ||
		strcmp(without_prefixes(setting, place), without_prefixes(model_setting, model)) == 0;
}

/* A setting as it is shown: NULL if it is too long for that. */
static const char *
shown(const char *property, const char *setting)
{
	if (setting == NULL || setting[0] == '\0')
		return "none";
	for (int i = 0; i < lengthof(words); i++)
	{
		if (strcmp(words[i].property, property) == 0 && strcmp(words[i].letter, setting) == 0)
			return words[i].word;
	}
	return strlen(setting) > SHOWN || strchr(setting, '\n') ? NULL : setting;
}

/* What is different, in words; NULL if nothing is. */
static char *
difference(const Described *object, const Place *place, const Described *model_object, const Place *model)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < object->nproperties; i++)
	{
		const char *setting = object->settings[i];
		const char *model_setting = model_object->settings[i];

		if (is_same(setting, place, model_setting, model))
			continue;
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? "; " : "different: ", object->properties[i]);
		setting = shown(object->properties[i], setting);
		model_setting = shown(object->properties[i], model_setting);
		if (setting != NULL && model_setting != NULL)
			appendStringInfo(&buf, " is %s, in the model %s", setting, model_setting);
	}
	return buf.len > 0 ? buf.data : NULL;
}

/* Is there all that an object is part of? */
static bool
has_wholes(const Description *description, const Described *object)
{
	char	   *line = object->whole ? pstrdup(object->whole) : NULL;

	while (line != NULL)
	{
		char	   *end = strchr(line, '\x01');

		if (end != NULL)
			*end++ = '\0';
		if (find_object(description, line) == NULL)
			return false;
		line = end;
	}
	return true;
}

static List *
add_finding(List *findings, const char *object, const char *difference)
{
	Finding    *finding = palloc(sizeof(Finding));

	finding->object = object;
	finding->difference = difference;
	return lappend(findings, finding);
}

/*
 * Find what one has and the other lacks.  What is part of something that lacks as
 * a whole goes without saying.
 */
static List *
find_lacking(List *findings, const Description *one, const Description *other,
			 const char *verdict)
{
	for (int i = 0; i < one->count; i++)
	{
		const Described *row = &one->rows[i];

		if (find_object(other, row->object) == NULL && has_wholes(other, row))
			findings = add_finding(findings, row->object, verdict);
	}
	return findings;
}

static List *
compare(const Description *here, const Description *model)
{
	List	   *findings = find_lacking(NIL, model, here, "missing");

	findings = find_lacking(findings, here, model, "extra");
	for (int i = 0; i < here->count; i++)
	{
		const Described *model_row = find_object(model, here->rows[i].object);
		char	   *found;

		if (model_row == NULL)
			continue;
		found = difference(&here->rows[i], here->place, model_row, model->place);
		if (found != NULL)
			findings = add_finding(findings, here->rows[i].object, found);
	}
	return findings;
}


/* ----------------------------------------------------------------
 * All of it
 * ----------------------------------------------------------------
 */

/* Report what makes a comparison pointless. */
static bool
is_comparable(Drift *drift, const Copy *copy)
{
	int			behind = copy->model_level - copy->level;

	if (!OidIsValid(copy->place.namespace))
		report(drift->rsinfo, copy->tenant, copy->module, "the schema", "missing");
	else if (behind != 0)
		report(drift->rsinfo, copy->tenant, copy->module, "the schema",
			   psprintf(behind > 0 ? "behind its model by %d migrations: call migrate()"
						: "ahead of its model by %d migrations: call migrate() or rollback()",
						abs(behind)));
	else
		return OidIsValid(copy->model.namespace);
	return false;
}

/* The description of a copy's model, made when it is first needed. */
static const Description *
describe_model(Drift *drift, const Copy *copy)
{
	MemoryContext old;
	Model	   *model;
	ListCell   *lc;

	foreach(lc, drift->models)
	{
		model = lfirst(lc);
		if (model->place.namespace == copy->model.namespace && model->level == copy->model_level)
			return model->description;
	}
	old = MemoryContextSwitchTo(drift->context);
	model = palloc(sizeof(Model));
	model->place = copy->model;
	model->place.schema = pstrdup(copy->model.schema);
	model->place.main_schema = pstrdup(copy->model.main_schema);
	model->level = copy->model_level;
	model->description = describe(&model->place);
	drift->models = lappend(drift->models, model);
	MemoryContextSwitchTo(old);
	return model->description;
}

static List *
compare_with_model(Drift *drift, const Copy *copy)
{
	const Description *model = describe_model(drift, copy);

	if (drift->described++ >= DESCRIBED_MAX)
	{
		InvalidateSystemCaches();
		drift->described = 0;
	}
	return compare(describe(&copy->place), model);
}

/* A copy of the same tenant as it is now, or NULL if there is none any more. */
static Copy *
find_copy(List *copies, const char *module)
{
	ListCell   *lc;

	foreach(lc, copies)
	{
		if (strcmp(((Copy *) lfirst(lc))->module, module) == 0)
			return lfirst(lc);
	}
	return NULL;
}

/* Is the copy where it was, and what it was a copy of? */
static bool
is_as_before(const Copy *copy, const Copy *now)
{
	return now != NULL &&
		now->place.namespace == copy->place.namespace && now->level == copy->level &&
		now->model.namespace == copy->model.namespace && now->model_level == copy->model_level;
}

/*
 * Compare a copy and report.  One that is migrated while we look at it would seem
 * to differ: then look again.  Returns whether it is as it was when its digest
 * was made, and the same as its model.
 */
static bool
compare_copy(Drift *drift, const Copy *copy)
{
	List	   *findings = NIL;
	ListCell   *lc;

	for (int tries = 0; copy != NULL && tries < MAX_TRIES; tries++)
	{
		Copy	   *now;

		if (!is_comparable(drift, copy))
			return false;
		findings = compare_with_model(drift, copy);
		if (findings == NIL)
			return tries == 0;
		now = find_copy(read_copies(psprintf("t.slug OPERATOR(pg_catalog.=) %s",
											 quote_literal_cstr(copy->tenant))), copy->module);
		if (is_as_before(copy, now))
			break;
		copy = now;
	}
	if (copy == NULL)
		return false;			/* dropped meanwhile */
	foreach(lc, findings)
	{
		Finding    *finding = lfirst(lc);

		report(drift->rsinfo, copy->tenant, copy->module, finding->object, finding->difference);
	}
	return false;
}
/* Compare a copy, unless another with the same digest was the same as the model. */
static void
look_at(Drift *drift, TenancyDigester *digester, const Copy *copy)
{
	SameKey		key;
	MemoryContext context;
	MemoryContext old;

	if (!is_comparable(drift, copy))
		return;
	key.digest = tenancy_digest_schema(digester, &copy->schema);
	key.model = copy->model.namespace;
	key.level = copy->model_level;
	if (hash_search(drift->same, &key, HASH_FIND, NULL) != NULL)
		return;

	context = AllocSetContextCreate(CurrentMemoryContext, "tenancy drift of a copy", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	if (compare_copy(drift, copy))
		(void) hash_search(drift->same, &key, HASH_ENTER, NULL);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Tell the caller how far we are, unless that takes hardly any time. */
static void
report_progress(Drift *drift)
{
	TimestampTz now = GetCurrentTimestamp();
	double		rate;

	if (!TimestampDifferenceExceeds(drift->reported_at, now, REPORT_MS) || drift->done == 0)
		return;
	drift->reported_at = now;
	rate = drift->done / ((now - drift->started_at) / (double) USECS_PER_SEC);
	ereport(NOTICE,
			(errmsg("compared %d of %d tenants, %.1f tenants/s, about %.0f s remaining",
					drift->done, drift->total, rate, Max(drift->total - drift->done, 0) / rate)));
}

/* Compare the copies of some tenants. */
static void
compare_batch(Drift *drift, List *slugs)
{
	TenancyDigester *digester;
	StringInfoData condition;
	const char *tenant = NULL;
	ListCell   *lc;

	initStringInfo(&condition);
	foreach(lc, slugs)
		appendStringInfo(&condition, "%s%s", condition.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	digester = tenancy_digest_open();
	foreach(lc, read_copies(psprintf("t.slug OPERATOR(pg_catalog.=) ANY (ARRAY[%s])", condition.data)))
	{
		Copy	   *copy = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (tenant != NULL && strcmp(copy->tenant, tenant) != 0)
		{
			drift->done++;
			report_progress(drift);
		}
		tenant = copy->tenant;
		look_at(drift, digester, copy);
	}
	if (tenant != NULL)
		drift->done++;
	tenancy_digest_close(digester);
}

static HTAB *
create_same(void)
{
	HASHCTL		ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = ctl.entrysize = sizeof(SameKey);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("tenancy drift", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static int
count_tenants(const char *mode)
{
	List	   *count = tenancy_exec_list_as(tenancy_registry_owner(),
											 psprintf("SELECT pg_catalog.count(*) FROM tenancy.tenant"
													  " WHERE mode OPERATOR(pg_catalog.=) '%s'"
													  " AND status NOT IN ('dropping', 'spare')", mode));

	return atoi(linitial(count));
}

/* The slugs of the schema tenants that come after one. */
static List *
next_tenants(const char *after)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								psprintf("SELECT slug FROM tenancy.tenant WHERE mode OPERATOR(pg_catalog.=) 'schema'"
										 " AND status NOT IN ('dropping', 'spare') AND slug OPERATOR(pg_catalog.>) %s"
										 " ORDER BY slug LIMIT %d", quote_literal_cstr(after), BATCH));
}

/* Compare the schemas of one tenant, or (NULL) of all. */
static void
compare_schemas(ReturnSetInfo *rsinfo, const char *slug)
{
	Drift		drift = {.rsinfo = rsinfo, .context = CurrentMemoryContext};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy drift",
												  ALLOCSET_DEFAULT_SIZES);
	List	   *slugs;

	drift.same = create_same();
	drift.total = slug ? 1 : count_tenants("schema");
	drift.started_at = drift.reported_at = GetCurrentTimestamp();
	MemoryContextSwitchTo(context);
	if (slug != NULL)
		compare_batch(&drift, list_make1(unconstify(char *, slug)));
	else
	{
		char		after[NAMEDATALEN] = "";

		while ((slugs = next_tenants(after)) != NIL)
		{
			strlcpy(after, llast(slugs), NAMEDATALEN);
			compare_batch(&drift, slugs);
			MemoryContextReset(context);
		}
	}
	MemoryContextSwitchTo(drift.context);
	MemoryContextDelete(context);
}

/*
 * The model's tables are the shared tenants' own: they can lack protection,
 * which is the same for all tenants.
 */
static void
report_unprotected(ReturnSetInfo *rsinfo, const TenancyTenant *tenant)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		if (tenant != NULL && module->position > 1 && !tenancy_registry_is_installed(tenant, module))
			continue;
		foreach(lc2, tenancy_policy_unprotected(module))
			report(rsinfo, tenant ? tenant->slug : NULL, module->name,
				   psprintf("table %s", (char *) lfirst(lc2)),
				   "protection is missing: call protect_module()");
	}
}


/* drift(tenant text) */
Datum
tenancy_drift(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TenancyTenant tenant;

	InitMaterializedSRF(fcinfo, 0);
	tenancy_registry_refuse_home();
	if (PG_ARGISNULL(0))
	{
		if (count_tenants("shared") > 0)
			report_unprotected(rsinfo, NULL);
		if (count_tenants("database") > 0)
			ereport(NOTICE,
					(errmsg("tenants' databases are not compared")));
		compare_schemas(rsinfo, NULL);
		return (Datum) 0;
	}

	tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
	if (tenant.mode == TENANCY_DATABASE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("tenant \"%s\" has a database of its own, which cannot be compared",
						tenant.slug)));
	if (tenant.mode == TENANCY_SHARED)
		report_unprotected(rsinfo, &tenant);
	else
		compare_schemas(rsinfo, tenant.slug);
	return (Datum) 0;
}

/* Does a tenant's or a spare's copy differ from its model? */
bool
tenancy_drift_finds(const TenancyTenant *tenant)
{
	ReturnSetInfo rsinfo = {0};
	bool		found;

	if (tenant->mode != TENANCY_SCHEMA)
		return true;			/* not to be compared, and so not known to be equal */
	rsinfo.setDesc = CreateTemplateTupleDesc(4);
	for (int i = 1; i <= 4; i++)
		TupleDescInitEntry(rsinfo.setDesc, i, NULL, TEXTOID, -1, 0);
	rsinfo.setResult = tuplestore_begin_heap(false, false, work_mem);
	compare_schemas(&rsinfo, tenant->slug);
	found = tuplestore_tuple_count(rsinfo.setResult) > 0;
	tuplestore_end(rsinfo.setResult);
	return found;
}
