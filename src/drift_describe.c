/*-------------------------------------------------------------------------
 *
 * drift_describe.c
 *	  What is in a schema, and how it differs from what is in another.
 *
 * The function tenancy.drift_objects() describes a schema by its catalogs, with
 * its own schemas on the path, so that PostgreSQL itself leaves these names out of
 * what it deparses.  Two such descriptions are compared row by row.
 *
 * It runs nobody's code: the path begins with pg_catalog, and expressions are
 * deparsed, not evaluated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_language.h"
#include "catalog/pg_type.h"
#include "clone_body.h"
#include "drift_describe.h"
#include "exec.h"
#include "executor/spi.h"
#include "registry.h"
#include "utils/array.h"
#include "utils/builtins.h"

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


/* ----------------------------------------------------------------
 * Describing
 * ----------------------------------------------------------------
 */

/* A column of a row of the current result, as text; NULL if it is null. */
char *
tenancy_drift_column(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

Oid
tenancy_drift_column_oid(uint64 row, int column)
{
	char	   *value = tenancy_drift_column(row, column);

	return value == NULL ? InvalidOid : atooid(value);
}

static bool
is_name_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || c == '"' || IS_HIGHBIT_SET(c);
}

/*
 * Replace a name by another, but not where it is the beginning or the end of a longer
 * one.  What begins or ends with something else than a name is not looked at there.
 */
static char *
replace_name(const char *string, const char *from, const char *to)
{
	size_t		len = strlen(from);
	const char *copied = string;
	StringInfoData buf;

	if (strstr(string, from) == NULL)
		return unconstify(char *, string);
	initStringInfo(&buf);
	for (const char *p = strstr(string, from); p != NULL; p = strstr(p + 1, from))
	{
		if (p < copied || (p > string && is_name_char(p[-1])) ||
			(is_name_char(from[len - 1]) && is_name_char(p[len])))
			continue;
		appendBinaryStringInfo(&buf, copied, p - copied);
		appendStringInfoString(&buf, to);
		copied = p + len;
	}
	appendStringInfoString(&buf, copied);
	return buf.data;
}

/*
 * Leave out what names the place although it is on the path: the object has the name
 * of one of PostgreSQL's.
 */
static char *
without_prefixes(const char *string, const TenancyPlace *place)
{
	string = replace_name(string, psprintf("%s.", quote_identifier(place->schema)), "");
	return replace_name(string, psprintf("%s.", quote_identifier(place->main_schema)), "");
}

static int
compare_objects(const void *a, const void *b)
{
	return strcmp(((const TenancyDescribed *) a)->object, ((const TenancyDescribed *) b)->object);
}

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
TenancyDescription *
tenancy_drift_describe(const TenancyPlace *place)
{
	TenancyDescription *description = palloc(sizeof(TenancyDescription));
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(),
					   psprintf("%s, %s, %s%spg_temp", quote_identifier(place->schema),
								quote_identifier(place->main_schema),
								place->homes ? place->homes : "", place->homes ? ", " : ""));
	nrows = tenancy_exec_format("SELECT whole, object, properties, settings FROM tenancy.drift_objects(%u, %s, '%s')",
								place->namespace, place->tenant_id ? quote_literal_cstr(place->tenant_id) : "NULL", place->side);
	old = MemoryContextSwitchTo(exec.caller_context);
	description->place = place;
	description->count = nrows;
	description->rows = palloc0(sizeof(TenancyDescribed) * Max(nrows, 1));
	for (uint64 i = 0; i < nrows; i++)
	{
		TenancyDescribed *row = &description->rows[i];
		bool		isnull;
		Datum		properties = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 3, &isnull);

		row->whole = tenancy_drift_column(i, 1);
		row->object = without_prefixes(tenancy_drift_column(i, 2), place);
		if (isnull)
			continue;
		row->properties = text_array(properties, &row->nproperties);
		row->settings = text_array(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 4, &isnull),
								   &row->nproperties);
	}
	qsort(description->rows, description->count, sizeof(TenancyDescribed), compare_objects);
	MemoryContextSwitchTo(old);
	tenancy_exec_end(&exec);
	return description;
}

static const TenancyDescribed *
find_object(const TenancyDescription *description, const char *object)
{
	TenancyDescribed	key = {0};

	key.object = object;
	return bsearch(&key, description->rows, description->count, sizeof(TenancyDescribed), compare_objects);
}

static bool
is_same(const char *setting, const TenancyPlace *place, const char *model_setting, const TenancyPlace *model)
{
	if (setting == NULL || model_setting == NULL)
		return setting == model_setting;
	return strcmp(setting, model_setting) == 0 ||
		strcmp(without_prefixes(setting, place), without_prefixes(model_setting, model)) == 0;
}

/* Is the body of a function of the language SQL what a copy makes of the model's? */
static bool
is_same_body(const char *body, const TenancyPlace *place, const char *model_body, const TenancyPlace *model)
{
	bool		left;
	const char *expected;

	if (body == NULL || model_body == NULL)
		return false;
	expected = tenancy_clone_rewrite_body(model_body, SQLlanguageId, model->schema, place->schema, &left);
	expected = tenancy_clone_rewrite_body(expected, SQLlanguageId, model->main_schema, place->main_schema, &left);
	return strcmp(body, expected) == 0;
}

/* A plug-in's function may name the main module's schema on its path. */
static bool
is_same_path(const char *settings, const TenancyPlace *place, const char *model_settings, const TenancyPlace *model)
{
	const char *expected;

	if (settings == NULL || model_settings == NULL || strcmp(place->schema, place->main_schema) == 0)
		return false;
	expected = replace_name(model_settings, quote_identifier(model->main_schema),
							quote_identifier(place->main_schema));
	return strcmp(settings, expected) == 0;
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
difference(const TenancyDescribed *object, const TenancyPlace *place, const TenancyDescribed *model_object, const TenancyPlace *model)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < object->nproperties; i++)
	{
		const char *setting = object->settings[i];
		const char *model_setting = model_object->settings[i];

		if (is_same(setting, place, model_setting, model) ||
			(strcmp(object->properties[i], "body") == 0 && is_same_body(setting, place, model_setting, model)) ||
			(strcmp(object->properties[i], "settings") == 0 && is_same_path(setting, place, model_setting, model)))
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
has_wholes(const TenancyDescription *description, const TenancyDescribed *object)
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

/* Add a finding to a list. */
List *
tenancy_drift_add(List *findings, const char *object, const char *difference)
{
	TenancyFinding *finding = palloc(sizeof(TenancyFinding));

	finding->object = object;
	finding->difference = difference;
	return lappend(findings, finding);
}

/*
 * Find what one has and the other lacks.  What is part of something that lacks as
 * a whole goes without saying.
 */
static List *
find_lacking(List *findings, const TenancyDescription *one, const TenancyDescription *other,
			 const char *verdict)
{
	for (int i = 0; i < one->count; i++)
	{
		const TenancyDescribed *row = &one->rows[i];

		if (find_object(other, row->object) == NULL && has_wholes(other, row))
			findings = tenancy_drift_add(findings, row->object, verdict);
	}
	return findings;
}

/*
 * Is it part of something that has been renamed?  How it differs by that goes without
 * saying, but for a partition, of which there is more to be said.
 */
static bool
is_moved(const TenancyDescription *here, const TenancyDescribed *object,
		 const TenancyDescription *model, const TenancyDescribed *model_object)
{
	return strncmp(object->object, "table ", strlen("table ")) != 0 &&
		!has_wholes(model, object) && !has_wholes(here, model_object);
}

List *
tenancy_drift_compare(const TenancyDescription *here, const TenancyDescription *model)
{
	List	   *findings = find_lacking(NIL, model, here, "missing");

	findings = find_lacking(findings, here, model, "extra");
	for (int i = 0; i < here->count; i++)
	{
		const TenancyDescribed *model_row = find_object(model, here->rows[i].object);
		char	   *found;

		if (model_row == NULL || is_moved(here, &here->rows[i], model, model_row))
			continue;
		found = difference(&here->rows[i], here->place, model_row, model->place);
		if (found != NULL)
			findings = tenancy_drift_add(findings, here->rows[i].object, found);
	}
	return findings;
}
