/*-------------------------------------------------------------------------
 *
 * clone_body.c
 *	  Names of model schemas in the bodies of functions that are strings, and in
 *	  texts of other definitions.
 *
 * PostgreSQL knows such a body as a text only.  What it qualifies with the name
 * of the model schema leads from a copy into the model.  In the language SQL, the
 * names of tables, functions, types and columns that its parser sees to be
 * qualified with that schema can be replaced, in their places in the text;
 * everything else can only be found: other statements, strings that may be
 * statements, other languages.
 *
 * Members of extensions in the model schema stay there, whoever names them: what
 * is qualified with the schema and means one of them is right as it is.
 *
 * Nothing here raises an error for a body that is none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "clone_body.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* What operators are made of */
#define OPERATOR_CHARS "+-*/<>=~!@#%^&|`?"

/* To the scanner nothing is a keyword, so that a schema may have the name of one. */
static const uint16 no_offsets[1] = {0};
const ScanKeywordList tenancy_clone_no_keywords = {
	.kw_string = "",
	.kw_offsets = no_offsets,
	.hash = NULL,
	.num_keywords = 0,
	.max_kw_len = 0
};

/* Where a schema is named */
typedef struct BodyNames
{
	const char *schema;
	List	   *places;			/* of the parser's: locations, as a List of int */
	List	   *tables;			/* where it names a table or an alias instead */
	List	   *found;			/* of the scanner's: those before a dot */
	bool		elsewhere;		/* in a string, or on a path */
	bool		alone;			/* by itself: an alias, perhaps */
	bool		constant;		/* in a constant of type regclass or the like */
} BodyNames;


/* ----------------------------------------------------------------
 * Words and names
 * ----------------------------------------------------------------
 */

static bool
is_word_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/* Is there a word in a string, whatever the case of its letters? */
static bool
has_word(const char *string, const char *word)
{
	size_t		len = strlen(word);
	char		first[] = {pg_tolower((unsigned char) *word), pg_toupper((unsigned char) *word), '\0'};

	for (const char *p = strpbrk(string, first); p != NULL; p = strpbrk(p + 1, first))
	{
		if (pg_strncasecmp(p, word, len) == 0 && (p == string || !is_word_char(p[-1])) &&
			!is_word_char(p[len]))
			return true;
	}
	return false;
}

/* The length of the name that begins here. */
static int
name_length(const char *name)
{
	const char *p = name;

	if (*p != '"')
	{
		while (is_word_char(*p))
			p++;
		return p - name;
	}
	for (p++; *p != '\0'; p++)
	{
		if (*p == '"' && *++p != '"')
			break;
	}
	return p - name;
}

/* The name that begins here, as catalogs have it, or the operator. */
static char *
read_name(const char *start)
{
	int			length = name_length(start);
	char	   *name;
	char	   *to;

	if (*start != '"')
		return length > 0 ? downcase_truncate_identifier(start, length, false) :
			pnstrdup(start, strspn(start, OPERATOR_CHARS));
	to = name = palloc(length + 1);
	for (const char *p = start + 1; *p != '\0' && (*p != '"' || *++p == '"'); p++)
		*to++ = *p;
	*to = '\0';
	return name;
}

/* A name in quotes, whether it needs them or not. */
static char *
quoted_name(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '"');
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(&buf, '"');
		appendStringInfoChar(&buf, *p);
	}
	appendStringInfoChar(&buf, '"');
	return buf.data;
}

/* Can a name do without quotes?  Keywords count as names. */
static bool
is_plain(const char *name)
{
	if (isdigit((unsigned char) *name) || *name == '$')
		return false;
	for (const char *p = name; *p != '\0'; p++)
	{
		if (!is_word_char(*p) || isupper((unsigned char) *p))
			return false;
	}
	return true;
}


/* ----------------------------------------------------------------
 * Members of extensions
 * ----------------------------------------------------------------
 */

/* Count an object of the schema, among those of extensions or the others. */
static void
count_object(Oid classid, Oid oid, int *extensions, int *others)
{
	if (OidIsValid(getExtensionOfObject(classid, oid)))
		(*extensions)++;
	else
		(*others)++;
}

static void
count_functions(const char *name, Oid namespace, int *extensions, int *others)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(&list->members[i]->tuple);

		if (proc->pronamespace == namespace)
			count_object(ProcedureRelationId, proc->oid, extensions, others);
	}
	ReleaseSysCacheList(list);
}

static void
count_operators(const char *name, Oid namespace, int *extensions, int *others)
{
	CatCList   *list = SearchSysCacheList1(OPERNAMENSP, CStringGetDatum(name));

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_operator oper = (Form_pg_operator) GETSTRUCT(&list->members[i]->tuple);

		if (oper->oprnamespace == namespace)
			count_object(OperatorRelationId, oper->oid, extensions, others);
	}
	ReleaseSysCacheList(list);
}

/* Do all objects in a schema that have the name that begins here belong to extensions? */
bool
tenancy_clone_means_extension(const char *schema, const char *start)
{
	Oid			namespace = get_namespace_oid(schema, true);
	char	   *name = read_name(start);
	int			extensions = 0;
	int			others = 0;
	Oid			oid;

	if (!OidIsValid(namespace) || *name == '\0')
		return false;
	if (strchr(OPERATOR_CHARS, *name) != NULL && *start != '"')
		count_operators(name, namespace, &extensions, &others);
	else
	{
		Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name), ObjectIdGetDatum(namespace));

		oid = get_relname_relid(name, namespace);
		if (OidIsValid(oid))
			count_object(RelationRelationId, oid, &extensions, &others);
		else if (OidIsValid(type))
			count_object(TypeRelationId, type, &extensions, &others);
		oid = GetSysCacheOid2(TSDICTNAMENSP, Anum_pg_ts_dict_oid, CStringGetDatum(name), ObjectIdGetDatum(namespace));
		if (OidIsValid(oid))
			count_object(TSDictionaryRelationId, oid, &extensions, &others);
		count_functions(name, namespace, &extensions, &others);
	}
	return extensions > 0 && others == 0;
}


/* ----------------------------------------------------------------
 * In strings
 * ----------------------------------------------------------------
 */

/* Is what begins here the end of a statement that goes on with a name? */
static bool
may_be_cut_off(const char *string, const char *here)
{
	static const char *const words[] = {"from", "join", "into", "update", "table", "only", "exists", "call", "select"};
	const char *end = here;
	const char *start;

	while (end > string && isspace((unsigned char) end[-1]))
		end--;
	if (end == here || end == string)
		return true;
	for (start = end; start > string && is_word_char(start[-1]); start--)
		;
	for (int i = 0; i < lengthof(words); i++)
	{
		if (pg_strncasecmp(start, words[i], end - start) == 0 && words[i][end - start] == '\0')
			return true;
	}
	return false;
}

/* Does a string qualify something with the schema, or set a path that has it? */
static bool
string_qualifies(const char *string, const char *schema)
{
	const char *quoted = quoted_name(schema);
	bool		plain = is_plain(schema);

	for (const char *p = string; *p != '\0'; p++)
	{
		const char *dot;

		/* Not in a longer word, nor in a host's or a file's name. */
		if (p > string && (is_word_char(p[-1]) || strchr("/@.\\-", p[-1]) != NULL))
			continue;
		if (strncmp(p, quoted, strlen(quoted)) == 0)
			dot = p + strlen(quoted);
		else if (plain && pg_strncasecmp(p, schema, strlen(schema)) == 0)
			dot = p + strlen(schema);
		else
			continue;
		if (*dot != '.')
			continue;
		if (dot[1] == '%' || ((dot[1] == '\0' || dot[1] == '\'') && may_be_cut_off(string, p)))
			return true;
		if ((dot[1] == '"' || (is_word_char(dot[1]) && !isdigit((unsigned char) dot[1]))) &&
			!tenancy_clone_means_extension(schema, dot + 1))
			return true;
	}
	return has_word(string, "search_path") && has_word(string, schema);
}

/* Is a string the schema's name, and nothing else? */
static bool
is_name(const char *string, const char *schema)
{
	return strcmp(string, schema) == 0 || strcmp(string, quoted_name(schema)) == 0;
}

/* Might a string be a statement, a setting or an argument that names the schema? */
bool
tenancy_clone_string_names(const char *string, const char *schema)
{
	return is_name(string, schema) || string_qualifies(string, schema);
}


/* Is there a literal in a statement where an argument may be? */
static bool
has_argument(const char *sql, const char *value)
{
	const char *literal = quote_literal_cstr(value);

	for (const char *p = strstr(sql, literal); p != NULL; p = strstr(p + 1, literal))
	{
		if (p > sql + 1 && (p[-1] == '(' || p[-2] == ','))
			return true;
	}
	return false;
}

/* Might a statement that defines something have a text that names the schema?  Cheap, and not exact. */
bool
tenancy_clone_statement_names(const char *sql, const char *schema)
{
	const char *quoted = quoted_name(schema);
	const char *string = strchr(sql, '\'');

	if (string == NULL || (!has_word(string, schema) && strstr(string, quoted) == NULL))
		return false;
	return string_qualifies(string, schema) || has_argument(sql, schema) || has_argument(sql, quoted);
}


/* ----------------------------------------------------------------
 * In constants of expressions
 * ----------------------------------------------------------------
 */

/* Is the value of a type a text of some kind?  That of regclass, say, is an OID. */
static bool
is_text(Oid type)
{
	char		category;
	bool		preferred;

	if (type == UNKNOWNOID || type == CSTRINGOID)
		return true;
	get_type_category_preferred(type, &category, &preferred);
	return get_typtype(type) == TYPTYPE_BASE &&
		(category == TYPCATEGORY_STRING || category == TYPCATEGORY_USER);
}

static bool
value_names(Oid type, Datum value, const char *schema, Oid function)
{
	Oid			output;
	bool		varlena;
	char	   *string;

	if (!is_text(type))
		return false;
	getTypeOutputInfo(type, &output, &varlena);
	string = OidOutputFunctionCall(output, value);
	return string_qualifies(string, schema) || (OidIsValid(function) && is_name(string, schema)) ||
		(function == F_SET_CONFIG && has_word(string, schema));
}

static bool
array_names(Oid element, Datum array, const char *schema)
{
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	if (!is_text(element))
		return false;
	get_typlenbyvalalign(element, &length, &by_value, &align);
	deconstruct_array(DatumGetArrayTypeP(array), element, length, by_value, align, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i] && value_names(element, values[i], schema, InvalidOid))
			return true;
	}
	return false;
}

/* function is the one whose argument it is, if that is so. */
static bool
constant_names(const Const *constant, const char *schema, Oid function)
{
	Oid			type = getBaseType(constant->consttype);
	Oid			element = get_element_type(type);

	if (constant->constisnull)
		return false;
	if (OidIsValid(element))
		return array_names(getBaseType(element), constant->constvalue, schema);
	return value_names(type, constant->constvalue, schema, function);
}

/*
 * Does a constant in an expression or query name the schema?  Its name alone means
 * it only where a function is called with it: elsewhere it may be any value.
 */
static bool
find_constant(Node *node, void *context)
{
	const char *schema = context;
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (IsA(node, Const))
		return constant_names((Const *) node, schema, InvalidOid);
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_constant, context, 0);
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CALL)
	{
		foreach(lc, ((FuncExpr *) node)->args)
		{
			Node	   *argument = strip_implicit_coercions(lfirst(lc));

			if (IsA(argument, Const) && constant_names((Const *) argument, schema, ((FuncExpr *) node)->funcid))
				return true;
		}
	}
	return expression_tree_walker(node, find_constant, context);
}

bool
tenancy_clone_expression_names(Node *expr, const char *schema)
{
	return find_constant(expr, unconstify(char *, schema));
}


/* ----------------------------------------------------------------
 * By the scanner
 * ----------------------------------------------------------------
 */

/* The schema's name is there, and not before a dot. */
static void
note_alone(BodyNames *names, bool path, bool qualified)
{
	names->elsewhere = names->elsewhere || path;
	names->alone = names->alone || !qualified;
}

static void
scan(const char *body, BodyNames *names)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	int			token;
	int			last = 0;
	bool		path = false;	/* have we come by a search_path? */
	int			name = -1;		/* where the last token names the schema */
	int			qualifier = -1; /* where it does before a dot that has come */
	bool		qualified = false;	/* and it comes after a dot */
	int			constant = 0;	/* 1 after a string that names the schema, 2 after a cast of that */

	scanner = scanner_init(body, &extra, &tenancy_clone_no_keywords, NULL);
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		const char *start = body + location;

		if (qualifier >= 0 && !tenancy_clone_means_extension(names->schema, start))
			names->found = lappend_int(names->found, qualifier);
		qualifier = name >= 0 && token == '.' && !qualified ? name : -1;
		if (name >= 0 && qualifier < 0)
			note_alone(names, path, qualified);
		name = -1;
		if (constant == 2 && pg_strncasecmp(start, "reg", 3) == 0)
			names->constant = true;
		constant = constant == 1 && strncmp(start, "::", 2) == 0 ? 2 : 0;
		if (*start == '\'' || (*start == '$' && !isdigit((unsigned char) start[1])) ||
			(isalpha((unsigned char) *start) && start[1] == '\'') ||
			pg_strncasecmp(start, "u&'", 3) == 0)
		{
			constant = tenancy_clone_string_names(value.str, names->schema) ? 1 : 0;
			names->elsewhere = names->elsewhere || constant == 1 ||
				(path && has_word(value.str, names->schema));
			path = path || strcmp(value.str, "search_path") == 0;
		}
		else if (*start == '"' || is_word_char(*start))
		{
			if (isdigit((unsigned char) *start) || *start == '$')
				continue;
			path = path || strcmp(value.str, "search_path") == 0;
			qualified = last == '.';
			if (strcmp(value.str, names->schema) == 0)
			{
				if (pg_strncasecmp(start, "u&\"", 3) == 0)
					names->elsewhere = true;	/* left as it is */
				else
					name = location;
			}
		}
		last = token;
	}
	if (qualifier >= 0)
		names->found = lappend_int(names->found, qualifier);
	if (name >= 0)
		note_alone(names, path, qualified);
	scanner_finish(scanner);
}


/* ----------------------------------------------------------------
 * By the parser
 * ----------------------------------------------------------------
 */

static void
note_names(BodyNames *names, List *parts, int least, int location)
{
	if (list_length(parts) >= least && IsA(linitial(parts), String) &&
		strcmp(strVal(linitial(parts)), names->schema) == 0)
		names->places = lappend_int(names->places, location);
}

static bool
find_names(Node *node, void *context)
{
	BodyNames  *names = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RangeVar:
			if (((RangeVar *) node)->catalogname == NULL && ((RangeVar *) node)->schemaname != NULL &&
				strcmp(((RangeVar *) node)->schemaname, names->schema) == 0)
				names->places = lappend_int(names->places, ((RangeVar *) node)->location);
			break;
		case T_FuncCall:
			note_names(names, ((FuncCall *) node)->funcname, 2, ((FuncCall *) node)->location);
			break;
		case T_TypeName:
			note_names(names, ((TypeName *) node)->names, 2, ((TypeName *) node)->location);
			break;
		case T_ColumnRef:
			/* Of two parts, the first is a table's name or alias. */
			if (list_length(((ColumnRef *) node)->fields) == 2)
				names->tables = lappend_int(names->tables, ((ColumnRef *) node)->location);
			else
				note_names(names, ((ColumnRef *) node)->fields, 3, ((ColumnRef *) node)->location);
			break;
		default:
			break;
	}
	return raw_expression_tree_walker(node, find_names, context);
}

/* Find what can be replaced; nothing in statements that the walker does not know. */
static void
parse(const char *body, BodyNames *names)
{
	ListCell   *lc;

	foreach(lc, raw_parser(body, RAW_PARSE_DEFAULT))
	{
		Node	   *stmt = ((RawStmt *) lfirst(lc))->stmt;

		switch (nodeTag(stmt))
		{
			case T_SelectStmt:
			case T_InsertStmt:
			case T_UpdateStmt:
			case T_DeleteStmt:
				(void) find_names(stmt, names);
				break;
			default:
				break;
		}
	}
}

/* Run scan() or parse(); returns false if the body is not what they read. */
static bool
attempt(void (*function) (const char *body, BodyNames *names), const char *body, BodyNames *names)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = true;

	PG_TRY();
	{
		function(body, names);
	}
	PG_CATCH();
	{
		int			code = geterrcode();

		if (ERRCODE_TO_CATEGORY(code) != ERRCODE_TO_CATEGORY(ERRCODE_SYNTAX_ERROR) &&
			ERRCODE_TO_CATEGORY(code) != ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED) &&
			ERRCODE_TO_CATEGORY(code) != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
			code != ERRCODE_INTERNAL_ERROR)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		done = false;
	}
	PG_END_TRY();
	return done;
}


/* ----------------------------------------------------------------
 * Replacing
 * ----------------------------------------------------------------
 */

/*
 * A body with a schema's name replaced by another where it can be, or as it is.
 * left tells whether it is (or may be) named in other places; if there is no other
 * name, in any.
 */
char *
tenancy_clone_rewrite_body(const char *body, Oid language, const char *from, const char *to,
						   bool *left)
{
	BodyNames	names = {.schema = from, .places = NIL, .tables = NIL, .found = NIL, .elsewhere = false, .alone = false, .constant = false};
	StringInfoData buf;
	int			copied = 0;
	ListCell   *lc;

	*left = false;
	if (!has_word(body, from) && strstr(body, quote_identifier(from)) == NULL)
		return unconstify(char *, body);
	if (!attempt(scan, body, &names))
	{
		*left = true;
		return unconstify(char *, body);
	}
	if (language == SQLlanguageId && names.found != NIL && !attempt(parse, body, &names))
		names.places = names.tables = NIL;

	initStringInfo(&buf);
	*left = names.elsewhere;
	foreach(lc, names.found)
	{
		int			location = lfirst_int(lc);

		if (list_member_int(names.tables, location))
			continue;
		if (to == NULL || !list_member_int(names.places, location))
		{
			*left = true;
			continue;
		}
		appendBinaryStringInfo(&buf, body + copied, location - copied);
		appendStringInfoString(&buf, quote_identifier(to));
		copied = location + name_length(body + location);
	}
	appendStringInfoString(&buf, body + copied);
	return buf.data;
}

/*
 * A statement with a schema's name replaced by another where it qualifies something.
 * Returns NULL if it might be an alias there: then it stands somewhere alone as well;
 * and if it is within a constant that means an object.
 */
char *
tenancy_clone_rewrite_statement(const char *sql, const char *from, const char *to)
{
	BodyNames	names = {.schema = from, .places = NIL, .tables = NIL, .found = NIL, .elsewhere = false, .alone = false, .constant = false};
	StringInfoData buf;
	int			copied = 0;
	ListCell   *lc;

	if (strstr(sql, quote_identifier(from)) == NULL)
		return unconstify(char *, sql);
	if (!attempt(scan, sql, &names) || names.constant || (names.found != NIL && names.alone))
		return NULL;
	initStringInfo(&buf);
	foreach(lc, names.found)
	{
		int			location = lfirst_int(lc);

		appendBinaryStringInfo(&buf, sql + copied, location - copied);
		appendStringInfoString(&buf, quote_identifier(to));
		copied = location + name_length(sql + location);
	}
	appendStringInfoString(&buf, sql + copied);
	return buf.data;
}
