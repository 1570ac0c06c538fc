/*-------------------------------------------------------------------------
 *
 * clone_elevated.c
 *	  Statements for what only a superuser can create.
 *
 * Functions in C, aggregates with an internal state, operator families and classes,
 * casts without a function.  They
 * are in a model because a superuser made them there.  Their copies are created
 * with the rights of the extension's owner, and belong to it until all that needs
 * such rights is there; then they are handed to the module owner.
 *
 * The module owner may have planted code, and it may run (with its own rights)
 * while the rest of a copy is created: a domain's check, where a constant of that
 * domain is read, say.  It must get nothing from these statements that it had not
 * got by the model:
 *
 * - They run no code.  The types and functions that they name are not used, the
 *	 bodies of functions not looked at.  Expressions are nothing but constants of
 *	 PostgreSQL's own types, whose input functions are its own.
 * - They look nothing up by search_path.  Names are qualified, functions and
 *	 operators come with the types of all arguments; what is the model's is
 *	 named in the copy's schema, by what its OID was read as.
 * - What planted code could put in the place of an object of the copy is no more than
 *	 what the owner could make of the model's at any time by CREATE OR REPLACE.  A
 *	 function of type internal, which a superuser's alone can be, cannot be
 *	 replaced: as long as statements follow that name it, it is not the owner's to
 *	 rename.  Types that a function or a cast without one is for could be, so that
 *	 what they are made of is asked for by the same statement's transaction beforehand.
 * - A function that acts for its owner would act for the extension's as long as it
 *	 is that one's.  So it is SECURITY DEFINER only when it has been handed over.
 * - Whoever owns a function may execute it.  So one that the module owner may not
 *	 execute in the model is refused.
 * - Whoever owns a function can say that it is not strict, and what is written in C
 *	 for arguments that are never null ends the server when one is.  So a strict one
 *	 that is not the module owner's in the model is refused: a superuser must have
 *	 given it away.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "clone_catalog.h"
#include "clone_elevated.h"
#include "clone_model.h"
#include "commands/defrem.h"
#include "compat.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"


/* ----------------------------------------------------------------
 * Names
 * ----------------------------------------------------------------
 */

/* The name that an object will have, in the schema where it will be. */
static char *
qualified_name(Model *m, Oid classid, Oid oid, Oid namespace, const char *name)
{
	const char *schema;

	if (tenancy_clone_find_object(m, classid, oid) != NULL)
		schema = m->schema;
	else if (OidIsValid(m->main_namespace) && namespace == m->main_namespace &&
			 !tenancy_clone_is_extension_member(m, classid, oid))
		schema = m->main_schema;
	else
		schema = get_namespace_name(namespace);
	return psprintf("%s.%s", quote_identifier(schema),
					classid == OperatorRelationId ? name : quote_identifier(name));
}

static char *
type_name(Model *m, Oid oid)
{
	Oid			element = get_element_type(oid);
	HeapTuple	tuple;
	char	   *name;

	if (OidIsValid(element))
		return psprintf("%s[]", type_name(m, element));
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", oid);
	name = qualified_name(m, TypeRelationId, oid, ROW(Form_pg_type, tuple)->typnamespace,
						  NameStr(ROW(Form_pg_type, tuple)->typname));
	ReleaseSysCache(tuple);
	return name;
}

/* A function with the types of its arguments. */
static char *
function_name(Model *m, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(oid));
	Form_pg_proc proc;
	StringInfoData buf;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", oid);
	proc = ROW(Form_pg_proc, tuple);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%s(", tenancy_clone_elevated_function_name(m, oid));
	for (int i = 0; i < proc->pronargs; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", type_name(m, proc->proargtypes.values[i]));
	appendStringInfoChar(&buf, ')');
	ReleaseSysCache(tuple);
	return buf.data;
}

/* An operator's name alone. */
static char *
bare_operator_name(Model *m, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
	Form_pg_operator operator;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", oid);
	operator = ROW(Form_pg_operator, tuple);
	name = qualified_name(m, OperatorRelationId, oid, operator->oprnamespace, NameStr(operator->oprname));
	ReleaseSysCache(tuple);
	return name;
}

static char *
operator_name(Model *m, Oid oid)
{
	Oid			left;
	Oid			right;

	op_input_types(oid, &left, &right);
	return psprintf("%s (%s, %s)", bare_operator_name(m, oid),
					OidIsValid(left) ? type_name(m, left) : "NONE",
					OidIsValid(right) ? type_name(m, right) : "NONE");
}

static char *
family_name(Model *m, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(oid));
	Form_pg_opfamily family;
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", oid);
	family = ROW(Form_pg_opfamily, tuple);
	name = qualified_name(m, OperatorFamilyRelationId, oid, family->opfnamespace,
						  NameStr(family->opfname));
	ReleaseSysCache(tuple);
	return name;
}

/* The same, for aggregates, whose functions come without arguments. */
char *
tenancy_clone_elevated_type_name(Model *m, Oid oid)
{
	return type_name(m, oid);
}

const char *
tenancy_clone_elevated_function_name(Model *m, Oid oid)
{
	return qualified_name(m, ProcedureRelationId, oid, get_func_namespace(oid), get_func_name(oid));
}

char *
tenancy_clone_elevated_operator_name(Model *m, Oid oid)
{
	return psprintf("OPERATOR(%s)", bare_operator_name(m, oid));
}

/* The type that a domain is over, which may be a domain again. */
static Oid
domain_base(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			base;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	base = ROW(Form_pg_type, tuple)->typbasetype;
	ReleaseSysCache(tuple);
	return base;
}

/*
 * See to it that a type of the copy is made of what the model's is, and nobody has
 * put another one in its place.
 */
static void
check_type(Model *m, Oid type)
{
	Oid			element = get_element_type(type);
	char		kind;
	Oid			base;

	if (OidIsValid(element))
		type = element;
	if (type < FirstNormalObjectId)
		return;
	kind = get_typtype(type);
	base = kind == TYPTYPE_DOMAIN ? domain_base(type) : InvalidOid;
	tenancy_clone_emit_elevated(m, psprintf("SELECT 1 OPERATOR(pg_catalog./) (typtype OPERATOR(pg_catalog.=) '%c'"
											" AND typbasetype OPERATOR(pg_catalog.=) %s::pg_catalog.regtype)::pg_catalog.int4"
											" FROM pg_catalog.pg_type WHERE oid OPERATOR(pg_catalog.=) %s::pg_catalog.regtype",
											kind, OidIsValid(base) ? quote_literal_cstr(type_name(m, base)) : "0",
											quote_literal_cstr(type_name(m, type))));
	if (OidIsValid(base))
		check_type(m, base);
	if (kind != TYPTYPE_RANGE && kind != TYPTYPE_MULTIRANGE)
		return;
	base = get_range_subtype(kind == TYPTYPE_RANGE ? type : get_multirange_range(type));
	tenancy_clone_emit_elevated(m, psprintf("SELECT 1 OPERATOR(pg_catalog./) (rngsubtype OPERATOR(pg_catalog.=) %s::pg_catalog.regtype)::pg_catalog.int4"
											" FROM pg_catalog.pg_range WHERE %s OPERATOR(pg_catalog.=) %s::pg_catalog.regtype",
											quote_literal_cstr(type_name(m, base)),
											kind == TYPTYPE_RANGE ? "rngtypid" : "rngmultitypid",
											quote_literal_cstr(type_name(m, type))));
	check_type(m, base);
}

/* Write what hands an object to the module owner, for when all are there. */
static void
add_handover(Model *m, const char *what)
{
	m->handovers = lappend(m->handovers,
						   psprintf("ALTER %s OWNER TO %s", what,
									tenancy_clone_role_identifier(m->owner)));
}


/* ----------------------------------------------------------------
 * Functions
 * ----------------------------------------------------------------
 */

static const char *
mode_keyword(char mode)
{
	switch (mode)
	{
		case PROARGMODE_OUT:
			return "OUT ";
		case PROARGMODE_INOUT:
			return "INOUT ";
		case PROARGMODE_VARIADIC:
			return "VARIADIC ";
		default:
			return "";
	}
}

/* The arguments, or the columns of the table that is returned. */
static void
append_arguments(Model *m, StringInfo buf, HeapTuple row, bool columns)
{
	List	   *defaults = tenancy_clone_argument_defaults(row);
	int			inputs = ROW(Form_pg_proc, row)->pronargs;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			count = get_func_arg_info(row, &types, &names, &modes);
	int			input = 0;
	bool		first = true;

	appendStringInfoChar(buf, '(');
	for (int i = 0; i < count; i++)
	{
		char		mode = modes ? modes[i] : PROARGMODE_IN;
		bool		is_input = mode == PROARGMODE_IN || mode == PROARGMODE_INOUT || mode == PROARGMODE_VARIADIC;

		if (is_input)
			input++;
		if ((mode == PROARGMODE_TABLE) != columns)
			continue;
		appendStringInfo(buf, "%s%s", first ? "" : ", ", mode_keyword(mode));
		first = false;
		if (names != NULL && names[i][0] != '\0')
			appendStringInfo(buf, "%s ", quote_identifier(names[i]));
		check_type(m, types[i]);
		appendStringInfoString(buf, type_name(m, types[i]));
		if (is_input && input > inputs - list_length(defaults))
			appendStringInfo(buf, " DEFAULT %s",
							 deparse_expression(list_nth(defaults, input - 1 - inputs + list_length(defaults)),
												NIL, false, false));
	}
	appendStringInfoChar(buf, ')');
}

/*
 * The arguments of an aggregate: those from a number on (or, with -1, none) are
 * ordered by.  One that is variadic may be both.
 */
char *
tenancy_clone_elevated_arguments(Model *m, const Object *object, int order_by)
{
	StringInfoData buf;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			count = get_func_arg_info(object->row, &types, &names, &modes);

	initStringInfo(&buf);
	if (count == 0 && order_by < 0)
		appendStringInfoChar(&buf, '*');
	for (int i = 0; i < count + (order_by == count ? 1 : 0); i++)
	{
		int			n = Min(i, count - 1);

		if (i == order_by)
			appendStringInfo(&buf, "%sORDER BY ", i > 0 ? " " : "");
		else if (i > 0)
			appendStringInfoString(&buf, ", ");
		appendStringInfoString(&buf, mode_keyword(modes ? modes[n] : PROARGMODE_IN));
		if (names != NULL && names[n][0] != '\0')
			appendStringInfo(&buf, "%s ", quote_identifier(names[n]));
		appendStringInfoString(&buf, type_name(m, types[n]));
	}
	return buf.data;
}

/* Create an aggregate by a definition in names as they are above. */
void
tenancy_clone_elevated_aggregate(Model *m, const Object *object, const char *definition)
{
	tenancy_clone_emit_elevated(m, psprintf("CREATE AGGREGATE %s.%s%s", quote_identifier(m->schema),
											object->name, definition));
	tenancy_clone_emit_elevated(m, psprintf("GRANT EXECUTE ON ROUTINE %s TO %s",
											function_name(m, object->oid),
											tenancy_clone_role_identifier(m->owner)));
	add_handover(m, psprintf("ROUTINE %s", function_name(m, object->oid)));
}

static bool
returns_table(HeapTuple row)
{
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			count = get_func_arg_info(row, &types, &names, &modes);

	return count > 0 && modes != NULL && modes[count - 1] == PROARGMODE_TABLE;
}

/* What is said between result and body is given. */
void
tenancy_clone_elevated_function(Model *m, const Object *object, const char *properties)
{
	Form_pg_proc proc = ROW(Form_pg_proc, object->row);
	const char *language = proc->prolang == ClanguageId ? "c" : "internal";
	StringInfoData buf;
	bool		isnull;
	Datum		value;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %s %s.%s",
					 proc->prokind == PROKIND_PROCEDURE ? "PROCEDURE" : "FUNCTION",
					 quote_identifier(m->schema), object->name);
	append_arguments(m, &buf, object->row, false);
	if (proc->prokind != PROKIND_PROCEDURE && returns_table(object->row))
	{
		appendStringInfoString(&buf, " RETURNS TABLE ");
		append_arguments(m, &buf, object->row, true);
	}
	else if (proc->prokind != PROKIND_PROCEDURE)
	{
		check_type(m, proc->prorettype);
		appendStringInfo(&buf, " RETURNS %s%s", proc->proretset ? "SETOF " : "",
						 type_name(m, proc->prorettype));
	}
	appendStringInfo(&buf, " LANGUAGE %s%s%s", language, properties,
					 proc->proleakproof ? " LEAKPROOF" : "");
	if (OidIsValid(proc->prosupport))
	{
		/* The statement wants no arguments: a support function has always the same. */
		appendStringInfo(&buf, " SUPPORT %s", tenancy_clone_elevated_function_name(m, proc->prosupport));
	}
	value = SysCacheGetAttr(PROCOID, object->row, Anum_pg_proc_probin, &isnull);
	appendStringInfoString(&buf, " AS ");
	if (!isnull)
		appendStringInfo(&buf, "%s, ", quote_literal_cstr(TextDatumGetCString(value)));
	value = SysCacheGetAttr(PROCOID, object->row, Anum_pg_proc_prosrc, &isnull);
	appendStringInfoString(&buf, quote_literal_cstr(TextDatumGetCString(value)));
	tenancy_clone_emit_elevated(m, buf.data);

	/* The extension's owner may have taken from PUBLIC what it creates. */
	tenancy_clone_emit_elevated(m, psprintf("GRANT EXECUTE ON ROUTINE %s TO %s",
											function_name(m, object->oid),
											tenancy_clone_role_identifier(m->owner)));
	add_handover(m, psprintf("ROUTINE %s", function_name(m, object->oid)));
	if (proc->prosecdef)
		m->handovers = lappend(m->handovers, psprintf("ALTER ROUTINE %s SECURITY DEFINER",
													  function_name(m, object->oid)));
}


/* ----------------------------------------------------------------
 * Operator families and classes
 * ----------------------------------------------------------------
 */

/* A row of pg_amop or pg_amproc. */
static HeapTuple
member_row(Model *m, Oid classid, Oid oid)
{
	bool		is_operator = classid == AccessMethodOperatorRelationId;
	Relation	rel = table_open(classid, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, is_operator ? Anum_pg_amop_oid : Anum_pg_amproc_oid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(rel, is_operator ? AccessMethodOperatorOidIndexId : AccessMethodProcedureOidIndexId,
							  true, m->catalogs.snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "member %u of an operator family does not exist", oid);
	tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

static bool
is_of_family(Model *m, Form_pg_depend dep, Oid family)
{
	if (dep->classid == AccessMethodOperatorRelationId)
		return ROW(Form_pg_amop, member_row(m, dep->classid, dep->objid))->amopfamily == family;
	if (dep->classid == AccessMethodProcedureRelationId)
		return ROW(Form_pg_amproc, member_row(m, dep->classid, dep->objid))->amprocfamily == family;
	return false;
}

/*
 * The operators and functions that hang on a class or (those that hang on none of
 * its classes) on a family, as rows of pg_depend.  An operator hangs on the family
 * that it sorts by as well.
 */
List *
tenancy_clone_elevated_members(Model *m, const Object *object)
{
	Oid			family = object->classid == OperatorFamilyRelationId ? object->oid :
		ROW(Form_pg_opclass, object->row)->opcfamily;
	List	   *members = NIL;
	ListCell   *lc;

	foreach(lc, tenancy_clone_rows2(&m->catalogs, CAT_REFERENCE, object->classid, object->oid))
	{
		if (is_of_family(m, ROW(Form_pg_depend, lfirst(lc)), family))
			members = lappend(members, lfirst(lc));
	}
	return members;
}

static void
append_member(Model *m, StringInfo buf, Form_pg_depend dep)
{
	HeapTuple	row = member_row(m, dep->classid, dep->objid);

	if (dep->classid == AccessMethodOperatorRelationId)
	{
		Form_pg_amop amop = ROW(Form_pg_amop, row);

		appendStringInfo(buf, "OPERATOR %d %s", amop->amopstrategy, operator_name(m, amop->amopopr));
		if (OidIsValid(amop->amopsortfamily))
			appendStringInfo(buf, " FOR ORDER BY %s", family_name(m, amop->amopsortfamily));
	}
	else
	{
		Form_pg_amproc amproc = ROW(Form_pg_amproc, row);

		appendStringInfo(buf, "FUNCTION %d (%s, %s) %s", amproc->amprocnum,
						 type_name(m, amproc->amproclefttype), type_name(m, amproc->amprocrighttype),
						 function_name(m, amproc->amproc));
	}
}

static char *
member_list(Model *m, const Object *object)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, tenancy_clone_elevated_members(m, object))
	{
		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		append_member(m, &buf, ROW(Form_pg_depend, lfirst(lc)));
	}
	return buf.data;
}

void
tenancy_clone_elevated_family(Model *m, const Object *object)
{
	char	   *members = member_list(m, object);
	char	   *what = psprintf("OPERATOR FAMILY %s USING %s", family_name(m, object->oid),
								quote_identifier(get_am_name(ROW(Form_pg_opfamily, object->row)->opfmethod)));

	tenancy_clone_emit_elevated(m, psprintf("CREATE %s", what));
	if (members[0] != '\0')
		tenancy_clone_emit_elevated(m, psprintf("ALTER %s ADD %s", what, members));
	add_handover(m, what);
}

void
tenancy_clone_elevated_class(Model *m, const Object *object)
{
	Form_pg_opclass class = ROW(Form_pg_opclass, object->row);
	const char *name = qualified_name(m, OperatorClassRelationId, object->oid, class->opcnamespace,
									  NameStr(class->opcname));
	const char *method = quote_identifier(get_am_name(class->opcmethod));
	char	   *members = member_list(m, object);
	Oid			storage = InvalidOid;

	if (tenancy_clone_find_object(m, OperatorFamilyRelationId, class->opcfamily) == NULL)
		tenancy_clone_refuse(m, OperatorClassRelationId, object->oid, "its family is in another schema");
	if (class->opcdefault && tenancy_clone_find_object(m, TypeRelationId, class->opcintype) == NULL)
		tenancy_clone_refuse(m, OperatorClassRelationId, object->oid,
							 "is the default of a type in another schema, which can have but one");

	/* It cannot be empty; to store the type as it is says nothing. */
	if (OidIsValid(class->opckeytype) && class->opckeytype != class->opcintype)
		storage = class->opckeytype;
	else if (members[0] == '\0')
		storage = class->opcintype;
	tenancy_clone_emit_elevated(m, psprintf("CREATE OPERATOR CLASS %s %sFOR TYPE %s USING %s FAMILY %s AS %s%s%s",
											name, class->opcdefault ? "DEFAULT " : "",
											type_name(m, class->opcintype), method,
											family_name(m, class->opcfamily), members,
											members[0] != '\0' && OidIsValid(storage) ? ", " : "",
											OidIsValid(storage) ? psprintf("STORAGE %s", type_name(m, storage)) : ""));
	add_handover(m, psprintf("OPERATOR CLASS %s USING %s", name, method));
}


/* ----------------------------------------------------------------
 * Casts
 * ----------------------------------------------------------------
 */

void
tenancy_clone_elevated_cast(Model *m, const Object *object, const char *context)
{
	Form_pg_cast cast = ROW(Form_pg_cast, object->row);

	check_type(m, cast->castsource);
	check_type(m, cast->casttarget);
	tenancy_clone_emit_elevated(m, psprintf("CREATE CAST (%s AS %s) WITHOUT FUNCTION%s",
											type_name(m, cast->castsource),
											type_name(m, cast->casttarget), context));
}
