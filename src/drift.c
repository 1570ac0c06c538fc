/*-------------------------------------------------------------------------
 *
 * drift.c
 *	  drift(): how tenants' copies differ from their models.
 *
 * The view tenancy.drift_object describes schemas by their catalogs.  Copies are
 * first compared by a sum of hashes over it, for many schemas in one query, in
 * which the schemas' own names are cut out of the text.  Where the sums differ,
 * both descriptions are read again, each with its own schemas on the path, so
 * that PostgreSQL itself leaves these names out, and compared row by row.  The
 * sum may say "different" of what is equal (a text that happens to hold the
 * model's name); the second look never does.
 *
 * Reads committed state, takes no locks, runs nobody's code: the path begins
 * with pg_catalog, and expressions are deparsed, not evaluated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "policy.h"
#include "registry.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_drift);

/* How many schemas one query looks at.  Its caches are dropped afterwards. */
#define BATCH 100

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

/* A schema, and the main module's that belongs with it (or itself again) */
typedef struct Place
{
	Oid			namespace;
	const char *schema;
	const char *main_schema;
} Place;

typedef struct Copy
{
	const char *tenant;
	const char *module;
	int			behind;			/* how many migrations its model is ahead */
	Place		place;
	Place		model;
	char	   *sum;
} Copy;

/* A row of tenancy.drift_object */
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
 * The quick look
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

/* The copies that are schemas, of one tenant or of all. */
static List *
read_copies(const char *slug)
{
	List	   *copies = NIL;
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT tenant, module, model_level OPERATOR(pg_catalog.-) level, namespace,"
								" schema_name, main_schema, model, model_schema,"
								" (SELECT m.model_schema FROM tenancy.module m WHERE m.position OPERATOR(pg_catalog.=) 1)"
								" FROM tenancy.drift_copy%s%s ORDER BY tenant, position",
								slug ? " WHERE tenant OPERATOR(pg_catalog.=) " : "",
								slug ? quote_literal_cstr(slug) : "");
	old = MemoryContextSwitchTo(exec.caller_context);
	for (uint64 i = 0; i < nrows; i++)
	{
		Copy	   *copy = palloc0(sizeof(Copy));

		copy->tenant = column_text(i, 1);
		copy->module = column_text(i, 2);
		copy->behind = atoi(column_text(i, 3));
		copy->place.namespace = column_oid(i, 4);
		copy->place.schema = column_text(i, 5);
		copy->place.main_schema = column_text(i, 6);
		copy->model.namespace = column_oid(i, 7);
		copy->model.schema = column_text(i, 8);
		copy->model.main_schema = column_text(i, 9);
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

/* Sums over the descriptions of some schemas, as texts in *sums, in order. */
static void
read_sums(List *places, char **sums)
{
	TenancyExec exec;
	StringInfoData prefixes;
	StringInfoData oids;
	uint64		nrows;
	ListCell   *lc;
	int			i = 0;

	initStringInfo(&prefixes);
	initStringInfo(&oids);
	foreach(lc, places)
	{
		Place	   *place = lfirst(lc);

		appendStringInfo(&oids, "%s%u", oids.len > 0 ? "," : "", place->namespace);
		appendStringInfo(&prefixes, "%s(%u, %s, %s)", prefixes.len > 0 ? "," : "",
						 place->namespace, prefix_of(place->schema), prefix_of(place->main_schema));
	}

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT o.namespace, pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum("
								"pg_catalog.hashtextextended(pg_catalog.replace(pg_catalog.replace("
								"pg_catalog.concat(o.object, E'\\x01', o.whole, E'\\x01', pg_catalog.array_to_string(o.settings, E'\\x01', E'\\x02')),"
								" p.own, ''), p.main, ''), 0)))"
								" FROM tenancy.drift_object o"
								" JOIN (VALUES %s) p (namespace, own, main)"
								" ON p.namespace::pg_catalog.oid OPERATOR(pg_catalog.=) o.namespace"
								" WHERE o.namespace OPERATOR(pg_catalog.=) ANY ('{%s}'::pg_catalog.oid[])"
								" GROUP BY 1", prefixes.data, oids.data);
	foreach(lc, places)
	{
		sums[i] = NULL;
		for (uint64 row = 0; row < nrows; row++)
		{
			if (column_oid(row, 1) == ((Place *) lfirst(lc))->namespace)
				sums[i] = MemoryContextStrdup(exec.caller_context, column_text(row, 2));
		}
		i++;
	}
	tenancy_exec_end(&exec);
}

/* Put the sums of up to BATCH copies in place. */
static void
sum_copies(List *copies, int first)
{
	List	   *places = NIL;
	char	   *sums[BATCH];
	int			n = Min(list_length(copies) - first, BATCH);

	for (int i = 0; i < n; i++)
		places = lappend(places, &((Copy *) list_nth(copies, first + i))->place);
	read_sums(places, sums);
	for (int i = 0; i < n; i++)
		((Copy *) list_nth(copies, first + i))->sum = sums[i];
	InvalidateSystemCaches();
}


/* ----------------------------------------------------------------
 * The second look
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
								" properties, settings FROM tenancy.drift_object"
								" WHERE namespace OPERATOR(pg_catalog.=) %u::pg_catalog.oid"
								" ORDER BY 2",
								prefix_of(place->schema), prefix_of(place->main_schema), place->namespace);
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

/*
 * Report what one has and the other lacks.  What is part of something that
 * lacks as a whole goes without saying.
 */
static void
report_lacking(ReturnSetInfo *rsinfo, const Copy *copy, const Description *one,
			   const Description *other, const char *verdict)
{
	for (int i = 0; i < one->count; i++)
	{
		const Described *row = &one->rows[i];

		if (find_object(other, row->object) == NULL && has_wholes(other, row))
			report(rsinfo, copy->tenant, copy->module, row->object, verdict);
	}
}

static void
compare(ReturnSetInfo *rsinfo, const Copy *copy)
{
	Description *model = describe(&copy->model);
	Description *here = describe(&copy->place);

	report_lacking(rsinfo, copy, model, here, "missing");
	report_lacking(rsinfo, copy, here, model, "extra");
	for (int i = 0; i < here->count; i++)
	{
		const Described *model_row = find_object(model, here->rows[i].object);
		char	   *text;

		if (model_row == NULL)
			continue;
		text = difference(&here->rows[i], &copy->place, model_row, &copy->model);
		if (text != NULL)
			report(rsinfo, copy->tenant, copy->module, here->rows[i].object, text);
	}
}


/* ----------------------------------------------------------------
 * All of it
 * ----------------------------------------------------------------
 */

/* Report what makes a comparison pointless. */
static bool
is_comparable(ReturnSetInfo *rsinfo, const Copy *copy)
{
	if (!OidIsValid(copy->place.namespace))
		report(rsinfo, copy->tenant, copy->module, "the schema", "missing");
	else if (copy->behind != 0)
		report(rsinfo, copy->tenant, copy->module, "the schema",
			   psprintf(copy->behind > 0 ? "behind its model by %d migrations: call migrate()"
						: "ahead of its model by %d migrations: call migrate() or rollback()",
						abs(copy->behind)));
	else
		return OidIsValid(copy->model.namespace);
	return false;
}

static const char *
model_sum(List **sums, const Copy *copy)
{
	ListCell   *lc;
	Copy	   *model;

	foreach(lc, *sums)
	{
		model = lfirst(lc);
		if (model->model.namespace == copy->model.namespace)
			return model->sum;
	}
	model = palloc(sizeof(Copy));
	*model = *copy;
	read_sums(list_make1(&model->model), &model->sum);
	*sums = lappend(*sums, model);
	return model->sum;
}

static void
compare_copies(ReturnSetInfo *rsinfo, List *copies)
{
	List	   *comparable = NIL;
	List	   *sums = NIL;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "tenancy drift",
												  ALLOCSET_DEFAULT_SIZES);
	ListCell   *lc;
	int			i = 0;

	foreach(lc, copies)
	{
		if (is_comparable(rsinfo, lfirst(lc)))
			comparable = lappend(comparable, lfirst(lc));
	}
	foreach(lc, comparable)
	{
		Copy	   *copy = lfirst(lc);

		if (i % BATCH == 0)
			sum_copies(comparable, i);
		i++;
		if (copy->sum == NULL || strcmp(copy->sum, model_sum(&sums, copy)) != 0)
		{
			MemoryContext old = MemoryContextSwitchTo(context);

			compare(rsinfo, copy);
			MemoryContextSwitchTo(old);
			MemoryContextReset(context);
		}
	}
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

static bool
has_tenants(const char *mode)
{
	return tenancy_exec_list_as(tenancy_registry_owner(),
								psprintf("SELECT slug FROM tenancy.tenant WHERE mode OPERATOR(pg_catalog.=) '%s' LIMIT 1",
										 mode)) != NIL;
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
		if (has_tenants("shared"))
			report_unprotected(rsinfo, NULL);
		if (has_tenants("database"))
			ereport(NOTICE,
					(errmsg("tenants' databases are not compared")));
		compare_copies(rsinfo, read_copies(NULL));
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
		compare_copies(rsinfo, read_copies(tenant.slug));
	return (Datum) 0;
}
