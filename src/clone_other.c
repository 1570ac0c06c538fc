/*-------------------------------------------------------------------------
 *
 * clone_other.c
 *	  Statements for collations, operators, casts, and what text search is
 *	  configured by.
 *
 * All of them can be created by the module owner, but for what clone_elevated.c does.
 * Text search parsers and templates are refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "clone_catalog.h"
#include "clone_elevated.h"
#include "clone_model.h"
#include "clone_other.h"
#include "commands/defrem.h"
#include "compat.h"
#include "tsearch/ts_cache.h"
#include "tsearch/ts_public.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"


static char *
operand(Oid type)
{
	return OidIsValid(type) ? format_type_be(type) : pstrdup("NONE");
}

/* An object as COMMENT names it. */
char *
tenancy_clone_other_label(const Object *object)
{
	Form_pg_operator operator;

	switch (object->classid)
	{
		case CastRelationId:
			return psprintf("CAST %s", object->name);
		case CollationRelationId:
			return psprintf("COLLATION %s", object->name);
		case OperatorRelationId:
			operator = ROW(Form_pg_operator, object->row);
			return psprintf("OPERATOR %s (%s, %s)", object->name,
							operand(operator->oprleft), operand(operator->oprright));
		case OperatorClassRelationId:
			return psprintf("OPERATOR CLASS %s USING %s", object->name,
							quote_identifier(get_am_name(ROW(Form_pg_opclass, object->row)->opcmethod)));
		case OperatorFamilyRelationId:
			return psprintf("OPERATOR FAMILY %s USING %s", object->name,
							quote_identifier(get_am_name(ROW(Form_pg_opfamily, object->row)->opfmethod)));
		case TSConfigRelationId:
			return psprintf("TEXT SEARCH CONFIGURATION %s", object->name);
		default:
			return psprintf("TEXT SEARCH DICTIONARY %s", object->name);
	}
}


static void
append_collation_text(StringInfo buf, const char *option, HeapTuple row, AttrNumber attno)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(COLLOID, row, attno, &isnull);

	if (!isnull)
		appendStringInfo(buf, ", %s = %s", option, quote_literal_cstr(TextDatumGetCString(value)));
}

static void
create_collation(Model *m, const Object *object)
{
	Form_pg_collation collation = ROW(Form_pg_collation, object->row);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE COLLATION %s (PROVIDER = %s", object->name,
					 collation->collprovider == COLLPROVIDER_ICU ? "icu" :
					 collation->collprovider == COLLPROVIDER_LIBC ? "libc" : "builtin");
	if (!collation->collisdeterministic)
		appendStringInfoString(&buf, ", DETERMINISTIC = false");
	append_collation_text(&buf, "LC_COLLATE", object->row, Anum_pg_collation_collcollate);
	append_collation_text(&buf, "LC_CTYPE", object->row, Anum_pg_collation_collctype);
	append_collation_text(&buf, "LOCALE", object->row, TENANCY_COLLATION_LOCALE);
#ifdef TENANCY_COLLATION_RULES
	append_collation_text(&buf, "RULES", object->row, TENANCY_COLLATION_RULES);
#endif
	appendStringInfoChar(&buf, ')');
	tenancy_clone_emit(m, buf.data);
}

/*
 * The schema that an operator will be in with which one of the model's goes together;
 * NULL if they are to be brought together by that one's own copy, which comes later, or
 * never: a plug-in's.
 */
static const char *
partner_schema(Model *m, const Object *object, Oid partner, Oid namespace)
{
	ListCell   *lc;

	if (tenancy_clone_find_object(m, OperatorRelationId, partner) != NULL)
		return m->schema;
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);

		if (namespace != get_namespace_oid(module->model_schema, true) ||
			tenancy_clone_is_extension_member(m, OperatorRelationId, partner))
			continue;
		if (module->position == 1)
			return m->main_schema ? m->main_schema : module->model_schema;
		if (m->module->position == 1)
			return NULL;
	}

	/* It has one partner, and that is the model's. */
	tenancy_clone_refuse(m, OperatorRelationId, object->oid,
						 psprintf("goes together with operator %s", format_operator(partner)));
	return NULL;
}

/*
 * Another operator that goes with this one.  It may be created later, for which
 * PostgreSQL makes a shell of it, in the schema that is named.
 */
static void
append_operator(Model *m, StringInfo buf, const Object *object, const char *option, Oid oid)
{
	HeapTuple	tuple;
	Form_pg_operator operator;
	const char *schema;

	if (!OidIsValid(oid))
		return;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		return;
	operator = ROW(Form_pg_operator, tuple);
	schema = partner_schema(m, object, oid, operator->oprnamespace);
	if (schema != NULL)
		appendStringInfo(buf, ", %s = OPERATOR(%s.%s)", option, quote_identifier(schema), NameStr(operator->oprname));
	ReleaseSysCache(tuple);
}

static void
append_estimator(Model *m, StringInfo buf, const char *option, Oid function)
{
	if (OidIsValid(function))
		appendStringInfo(buf, ", %s = %s", option, tenancy_clone_function_name(m, function));
}

static void
create_operator(Model *m, const Object *object)
{
	Form_pg_operator operator = ROW(Form_pg_operator, object->row);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE OPERATOR %s (FUNCTION = %s", object->name,
					 tenancy_clone_function_name(m, operator->oprcode));
	if (OidIsValid(operator->oprleft))
		appendStringInfo(&buf, ", LEFTARG = %s", format_type_be(operator->oprleft));
	if (OidIsValid(operator->oprright))
		appendStringInfo(&buf, ", RIGHTARG = %s", format_type_be(operator->oprright));
	append_operator(m, &buf, object, "COMMUTATOR", operator->oprcom);
	append_operator(m, &buf, object, "NEGATOR", operator->oprnegate);
	append_estimator(m, &buf, "RESTRICT", operator->oprrest);
	append_estimator(m, &buf, "JOIN", operator->oprjoin);
	if (operator->oprcanhash)
		appendStringInfoString(&buf, ", HASHES");
	if (operator->oprcanmerge)
		appendStringInfoString(&buf, ", MERGES");
	appendStringInfoChar(&buf, ')');
	tenancy_clone_emit(m, buf.data);
}

static void
create_cast(Model *m, const Object *object)
{
	Form_pg_cast cast = ROW(Form_pg_cast, object->row);
	const char *context = cast->castcontext == COERCION_CODE_IMPLICIT ? " AS IMPLICIT" :
		cast->castcontext == COERCION_CODE_ASSIGNMENT ? " AS ASSIGNMENT" : "";

	if (cast->castmethod == COERCION_METHOD_BINARY)
		tenancy_clone_elevated_cast(m, object, context);
	else if (cast->castmethod == COERCION_METHOD_INOUT)
		tenancy_clone_emit(m, psprintf("CREATE CAST %s WITH INOUT%s", object->name, context));
	else
		tenancy_clone_emit(m, psprintf("CREATE CAST %s WITH FUNCTION %s%s", object->name,
									   format_procedure(cast->castfunc), context));
}

/* Something of text search, by the name that is in the schema or comes qualified. */
static const char *
name_of(Model *m, Oid classid, Oid oid, NameData name, Oid namespace)
{
	return quote_qualified_identifier(tenancy_clone_qualifier(m, classid, oid, namespace), NameStr(name));
}

static const char *
template_name(Model *m, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(TSTEMPLATEOID, ObjectIdGetDatum(oid));
	const char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for text search template %u", oid);
	name = name_of(m, TSTemplateRelationId, oid, ROW(Form_pg_ts_template, tuple)->tmplname, ROW(Form_pg_ts_template, tuple)->tmplnamespace);
	ReleaseSysCache(tuple);
	return name;
}

static const char *
parser_name(Model *m, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(TSPARSEROID, ObjectIdGetDatum(oid));
	const char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for text search parser %u", oid);
	name = name_of(m, TSParserRelationId, oid, ROW(Form_pg_ts_parser, tuple)->prsname, ROW(Form_pg_ts_parser, tuple)->prsnamespace);
	ReleaseSysCache(tuple);
	return name;
}

static const char *
dictionary_name(Model *m, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(TSDICTOID, ObjectIdGetDatum(oid));
	const char *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for text search dictionary %u", oid);
	name = name_of(m, TSDictionaryRelationId, oid, ROW(Form_pg_ts_dict, tuple)->dictname, ROW(Form_pg_ts_dict, tuple)->dictnamespace);
	ReleaseSysCache(tuple);
	return name;
}

/* The catalog has the options as they are written. */
static void
create_dictionary(Model *m, const Object *object)
{
	bool		isnull;
	Datum		options = SysCacheGetAttr(TSDICTOID, object->row, Anum_pg_ts_dict_dictinitoption, &isnull);

	tenancy_clone_emit(m, psprintf("CREATE TEXT SEARCH DICTIONARY %s (TEMPLATE = %s%s%s)", object->name,
								   template_name(m, ROW(Form_pg_ts_dict, object->row)->dicttemplate),
								   isnull ? "" : ", ", isnull ? "" : TextDatumGetCString(options)));
}

/* What a parser calls a type of token. */
static const char *
token_name(LexDescr *types, int id)
{
	for (LexDescr *type = types; type != NULL && type->lexid != 0; type++)
	{
		if (type->lexid == id)
			return quote_identifier(type->alias);
	}
	elog(ERROR, "text search parser knows no token type %d", id);
	return NULL;				/* keep compiler quiet */
}

/* A configuration's mappings: its dictionaries for a type of token, in order. */
static void
add_mappings(Model *m, const Object *object)
{
	TSParserCacheEntry *parser = lookup_ts_parser_cache(ROW(Form_pg_ts_config, object->row)->cfgparser);
	LexDescr   *types = (LexDescr *) DatumGetPointer(OidFunctionCall1(parser->lextypeOid, (Datum) 0));
	Relation	rel = table_open(TSConfigMapRelationId, AccessShareLock);
	Relation	index = index_open(TSConfigMapIndexId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	int			token = 0;
	StringInfoData buf;

	initStringInfo(&buf);
	ScanKeyInit(&key, Anum_pg_ts_config_map_mapcfg, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(object->oid));
	scan = systable_beginscan_ordered(rel, index, m->catalogs.snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		Form_pg_ts_config_map map = ROW(Form_pg_ts_config_map, tuple);

		if (map->maptokentype != token && buf.len > 0)
		{
			tenancy_clone_emit(m, buf.data);
			resetStringInfo(&buf);
		}
		token = map->maptokentype;
		if (buf.len == 0)
			appendStringInfo(&buf, "ALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %s WITH %s", object->name,
							 token_name(types, token), dictionary_name(m, map->mapdict));
		else
			appendStringInfo(&buf, ", %s", dictionary_name(m, map->mapdict));
	}
	if (buf.len > 0)
		tenancy_clone_emit(m, buf.data);
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
}

static void
create_configuration(Model *m, const Object *object)
{
	tenancy_clone_emit(m, psprintf("CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %s)", object->name,
								   parser_name(m, ROW(Form_pg_ts_config, object->row)->cfgparser)));
	add_mappings(m, object);
}

void
tenancy_clone_create_other(Model *m, const Object *object)
{
	switch (object->classid)
	{
		case CastRelationId:
			create_cast(m, object);
			break;
		case CollationRelationId:
			create_collation(m, object);
			break;
		case OperatorRelationId:
			create_operator(m, object);
			break;
		case OperatorClassRelationId:
			tenancy_clone_elevated_class(m, object);
			break;
		case OperatorFamilyRelationId:
			tenancy_clone_elevated_family(m, object);
			break;
		case TSConfigRelationId:
			create_configuration(m, object);
			break;
		case TSDictionaryRelationId:
			create_dictionary(m, object);
			break;
		default:
			elog(ERROR, "unexpected kind of object: %u", object->classid);
	}
}
