/*-------------------------------------------------------------------------
 *
 * clone_function.c
 *	  Statements for a copy's functions, procedures and aggregates.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "clone_body.h"
#include "clone_elevated.h"
#include "clone_function.h"
#include "clone_model.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

/*
 * Append a list of names, as settings like search_path hold them, with one of
 * the names replaced.  Returns whether it was there.
 */
bool
tenancy_clone_append_names(StringInfo buf, const char *setting, char *value,
						   const char *from, const char *to)
{
	List	   *names;
	bool		found = false;
	ListCell   *lc;

	if (!SplitGUCList(value, ',', &names))
		elog(ERROR, "invalid list syntax in setting \"%s\"", setting);
	foreach(lc, names)
	{
		const char *name = lfirst(lc);

		if (from != NULL && strcmp(name, from) == 0)
		{
			name = to;
			found = true;
		}
		appendStringInfo(buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_literal_cstr(name));
	}
	if (names == NIL)
		appendStringInfoString(buf, "''");
	return found;
}

/* A list of names, as settings like search_path hold them, with one replaced. */
static char *
replace_name(const char *setting, char *value, const char *from, const char *to)
{
	List	   *names;
	StringInfoData buf;
	ListCell   *lc;

	if (!SplitGUCList(value, ',', &names))
		elog(ERROR, "invalid list syntax in setting \"%s\"", setting);
	initStringInfo(&buf);
	foreach(lc, names)
		appendStringInfo(&buf, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 quote_identifier(strcmp(lfirst(lc), from) == 0 ? to : lfirst(lc)));
	return buf.data;
}

/*
 * A function's "name=value"; lists of names are quoted name by name.  Where
 * search_path names the model schema, the copy's names its own; and that of a
 * plug-in names the tenant's copy of the main module's.
 */
static void
append_setting(Model *m, StringInfo buf, char *setting)
{
	char	   *value = strchr(setting, '=');
	bool		is_path;

	if (value == NULL)
		return;
	*value++ = '\0';
	appendStringInfo(buf, " SET %s TO ", quote_identifier(setting));
	is_path = strcmp(setting, "search_path") == 0;
	if (is_path && OidIsValid(m->main_namespace))
		value = replace_name(setting, value, get_namespace_name(m->main_namespace), m->main_schema);
	if ((GetConfigOptionFlags(setting, true) & GUC_LIST_QUOTE) == 0)
		appendStringInfoString(buf, quote_literal_cstr(value));
	else
		(void) tenancy_clone_append_names(buf, setting, value,
										  is_path ? m->module->model_schema : NULL, m->schema);
}

static void
append_settings(Model *m, HeapTuple row, StringInfo buf)
{
	bool		isnull;
	Datum		config = SysCacheGetAttr(PROCOID, row,
										 Anum_pg_proc_proconfig, &isnull);
	Datum	   *values;
	int			count;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
		append_setting(m, buf, TextDatumGetCString(values[i]));
}

static void
append_transforms(StringInfo buf, HeapTuple row)
{
	bool		isnull;
	Datum		types = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_protrftypes, &isnull);
	Datum	   *values;
	int			count;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(types), OIDOID, sizeof(Oid), true,
					  TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
		appendStringInfo(buf, "%s FOR TYPE %s", i == 0 ? " TRANSFORM" : ",",
						 format_type_be(DatumGetObjectId(values[i])));
}

static void
append_function_properties(StringInfo buf, Form_pg_proc proc, bool elevated)
{
	if (proc->prokind == PROKIND_WINDOW)
		appendStringInfoString(buf, " WINDOW");
	if (proc->provolatile == PROVOLATILE_IMMUTABLE)
		appendStringInfoString(buf, " IMMUTABLE");
	else if (proc->provolatile == PROVOLATILE_STABLE)
		appendStringInfoString(buf, " STABLE");
	if (proc->proparallel == PROPARALLEL_SAFE)
		appendStringInfoString(buf, " PARALLEL SAFE");
	else if (proc->proparallel == PROPARALLEL_RESTRICTED)
		appendStringInfoString(buf, " PARALLEL RESTRICTED");
	if (proc->proisstrict)
		appendStringInfoString(buf, " STRICT");

	/* What is created elevated is so only when it belongs to who it is to act for. */
	if (proc->prosecdef && !elevated)
		appendStringInfoString(buf, " SECURITY DEFINER");
	if (proc->prokind != PROKIND_PROCEDURE)
		appendStringInfo(buf, " COST %.9g", proc->procost);
	if (proc->proretset)
		appendStringInfo(buf, " ROWS %.9g", proc->prorows);
}

/*
 * A string body as a tenant's copy has it: with the names of the copied schemas in
 * place of the models', as far as that can be done.
 */
static char *
copied_body(Model *m, const Object *object, char *body)
{
	Oid			language = ROW(Form_pg_proc, object->row)->prolang;
	bool		left = false;
	bool		main_left = false;

	if (m->tenant == NULL)
		return body;
	body = tenancy_clone_rewrite_body(body, language, m->module->model_schema, m->schema, &left);
	if (OidIsValid(m->main_namespace))
		body = tenancy_clone_rewrite_body(body, language, get_namespace_name(m->main_namespace),
										  m->main_schema, &main_left);
	if (left || main_left)
	{
		MemoryContext old = MemoryContextSwitchTo(m->result_context);

		m->names_model = lappend(m->names_model, tenancy_clone_function_signature(object));
		MemoryContextSwitchTo(old);
	}
	return body;
}

static void
append_function_body(Model *m, StringInfo buf, const Object *object)
{
	HeapTuple	row = object->row;
	Datum		oid = ObjectIdGetDatum(object->oid);
	bool		isnull;
	Datum		value;

	(void) SysCacheGetAttr(PROCOID, row, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull)
	{
		value = DirectFunctionCall1(pg_get_function_sqlbody, oid);
		appendStringInfo(buf, " %s", TextDatumGetCString(value));
		return;
	}
	value = SysCacheGetAttr(PROCOID, row, Anum_pg_proc_prosrc, &isnull);
	appendStringInfo(buf, " AS %s", quote_literal_cstr(copied_body(m, object, TextDatumGetCString(value))));
}

/* What pg_get_functiondef() would say if it did not qualify the name. */
static void
append_aggregate_function(Model *m, const Object *object, StringInfo buf, const char *option, Oid oid)
{
	if (OidIsValid(oid))
		appendStringInfo(buf, ", %s = %s", option, object->elevated ?
						 tenancy_clone_elevated_function_name(m, oid) : tenancy_clone_function_name(m, oid));
}

static void
append_aggregate_type(Model *m, const Object *object, StringInfo buf, const char *option, Oid oid)
{
	appendStringInfo(buf, ", %s = %s", option, object->elevated ?
					 tenancy_clone_elevated_type_name(m, oid) : format_type_be(oid));
}

/* What a final function does to the state, unless that is the default. */
static void
append_final_modify(StringInfo buf, const char *option, char modify, char kind)
{
	if (modify != (kind == AGGKIND_NORMAL ? AGGMODIFY_READ_ONLY : AGGMODIFY_READ_WRITE))
		appendStringInfo(buf, ", %s = %s", option, modify == AGGMODIFY_SHAREABLE ? "SHAREABLE" :
						 modify == AGGMODIFY_READ_ONLY ? "READ_ONLY" : "READ_WRITE");
}

static void
append_initial_value(StringInfo buf, const char *option, HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(AGGFNOID, tuple, attno, &isnull);

	if (!isnull)
		appendStringInfo(buf, ", %s = %s", option,
						 quote_literal_cstr(TextDatumGetCString(value)));
}

/* The state of an aggregate over a window frame that moves. */
static void
append_moving_state(Model *m, const Object *object, StringInfo buf, HeapTuple tuple)
{
	Form_pg_aggregate agg = ROW(Form_pg_aggregate, tuple);

	if (!OidIsValid(agg->aggmtransfn))
		return;
	append_aggregate_function(m, object, buf, "MSFUNC", agg->aggmtransfn);
	append_aggregate_function(m, object, buf, "MINVFUNC", agg->aggminvtransfn);
	append_aggregate_type(m, object, buf, "MSTYPE", agg->aggmtranstype);
	if (agg->aggmtransspace != 0)
		appendStringInfo(buf, ", MSSPACE = %d", agg->aggmtransspace);
	append_aggregate_function(m, object, buf, "MFINALFUNC", agg->aggmfinalfn);
	if (agg->aggmfinalextra)
		appendStringInfoString(buf, ", MFINALFUNC_EXTRA");
	append_final_modify(buf, "MFINALFUNC_MODIFY", agg->aggmfinalmodify, agg->aggkind);
	append_initial_value(buf, "MINITCOND", tuple, Anum_pg_aggregate_aggminitval);
}

/* All between the name and the end. */
static char *
aggregate_definition(Model *m, const Object *object, HeapTuple tuple)
{
	Form_pg_proc proc = ROW(Form_pg_proc, object->row);
	Form_pg_aggregate agg = ROW(Form_pg_aggregate, tuple);
	StringInfoData buf;
	int			first;

	initStringInfo(&buf);
	appendStringInfo(&buf, "(%s) (",
					 tenancy_clone_elevated_arguments(m, object, agg->aggkind == AGGKIND_NORMAL ? -1 : agg->aggnumdirectargs));
	first = buf.len;
	append_aggregate_function(m, object, &buf, "SFUNC", agg->aggtransfn);
	append_aggregate_type(m, object, &buf, "STYPE", agg->aggtranstype);
	if (agg->aggtransspace != 0)
		appendStringInfo(&buf, ", SSPACE = %d", agg->aggtransspace);
	append_aggregate_function(m, object, &buf, "FINALFUNC", agg->aggfinalfn);
	if (agg->aggfinalextra)
		appendStringInfoString(&buf, ", FINALFUNC_EXTRA");
	append_final_modify(&buf, "FINALFUNC_MODIFY", agg->aggfinalmodify, agg->aggkind);
	append_aggregate_function(m, object, &buf, "COMBINEFUNC", agg->aggcombinefn);
	append_aggregate_function(m, object, &buf, "SERIALFUNC", agg->aggserialfn);
	append_aggregate_function(m, object, &buf, "DESERIALFUNC", agg->aggdeserialfn);
	append_initial_value(&buf, "INITCOND", tuple, Anum_pg_aggregate_agginitval);
	append_moving_state(m, object, &buf, tuple);
	if (OidIsValid(agg->aggsortop))
		appendStringInfo(&buf, ", SORTOP = %s", tenancy_clone_elevated_operator_name(m, agg->aggsortop));
	if (agg->aggkind == AGGKIND_HYPOTHETICAL)
		appendStringInfoString(&buf, ", HYPOTHETICAL");
	if (proc->proparallel != PROPARALLEL_UNSAFE)
		appendStringInfo(&buf, ", PARALLEL = %s",
						 proc->proparallel == PROPARALLEL_SAFE ? "SAFE" : "RESTRICTED");
	appendStringInfoChar(&buf, ')');

	/* There is no comma before the first. */
	buf.data[first] = ' ';
	return buf.data;
}

static void
create_aggregate(Model *m, Object *object)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(object->oid));
	char	   *definition;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", object->oid);
	definition = aggregate_definition(m, object, tuple);
	ReleaseSysCache(tuple);
	if (object->elevated)
		tenancy_clone_elevated_aggregate(m, object, definition);
	else
		tenancy_clone_emit(m, psprintf("CREATE AGGREGATE %s%s", object->name, definition));
}

static void
create_function(Model *m, Object *object)
{
	Form_pg_proc proc = ROW(Form_pg_proc, object->row);
	Datum		oid = ObjectIdGetDatum(object->oid);
	char	   *language = get_language_name(proc->prolang, false);
	StringInfoData buf;

	initStringInfo(&buf);
	if (object->elevated)
	{
		append_function_properties(&buf, proc, true);
		append_settings(m, object->row, &buf);
		tenancy_clone_elevated_function(m, object, buf.data);
		return;
	}
	appendStringInfo(&buf, "CREATE %s %s(%s)",
					 proc->prokind == PROKIND_PROCEDURE ? "PROCEDURE" : "FUNCTION",
					 object->name,
					 TextDatumGetCString(DirectFunctionCall1(pg_get_function_arguments, oid)));
	if (proc->prokind != PROKIND_PROCEDURE)
		appendStringInfo(&buf, " RETURNS %s",
						 TextDatumGetCString(DirectFunctionCall1(pg_get_function_result, oid)));
	append_transforms(&buf, object->row);
	appendStringInfo(&buf, " LANGUAGE %s", quote_identifier(language));
	append_function_properties(&buf, proc, false);
	append_settings(m, object->row, &buf);
	append_function_body(m, &buf, object);
	tenancy_clone_emit(m, buf.data);
}

/* Functions, procedures and aggregates */
void
tenancy_clone_create_function(Model *m, Object *object)
{
	if (ROW(Form_pg_proc, object->row)->prokind == PROKIND_AGGREGATE)
		create_aggregate(m, object);
	else
		create_function(m, object);
}

/*
 * A function as other statements call it.  What an aggregate is ordered by is an
 * argument like others then; one that is variadic comes once.
 */
char *
tenancy_clone_function_signature(const Object *object)
{
	char	   *args = TextDatumGetCString(DirectFunctionCall1(pg_get_function_identity_arguments,
															   ObjectIdGetDatum(object->oid)));
	char	   *order = NULL;

	if (ROW(Form_pg_proc, object->row)->prokind == PROKIND_AGGREGATE)
		order = strstr(args, "ORDER BY ");
	if (order == NULL)
		return psprintf("%s(%s)", object->name, args);
	if (order == args)
		return psprintf("%s(%s)", object->name, args + strlen("ORDER BY "));
	order[-1] = '\0';
	order += strlen("ORDER BY ");
	if (strlen(order) <= strlen(args) && strcmp(args + strlen(args) - strlen(order), order) == 0 &&
		OidIsValid(ROW(Form_pg_proc, object->row)->provariadic))
		return psprintf("%s(%s)", object->name, args);
	return psprintf("%s(%s, %s)", object->name, args, order);
}
