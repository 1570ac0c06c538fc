/*-------------------------------------------------------------------------
 *
 * clone_body.c
 *	  Names of model schemas in the bodies of functions that are strings.
 *
 * PostgreSQL knows such a body as a text only.  What it qualifies with the name
 * of the model schema leads from a copy into the model.  In the language SQL, the
 * names of tables, functions, types and columns that its parser sees to be
 * qualified with that schema can be replaced, in their places in the text;
 * everything else can only be found: other statements, strings that may be
 * statements, other languages.
 *
 * Nothing here raises an error for a body that is none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_language.h"
#include "clone_body.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "utils/builtins.h"

/* To the scanner nothing is a keyword, so that a schema may have the name of one. */
static const uint16 no_offsets[1] = {0};
static const ScanKeywordList no_keywords = {
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
 * By the scanner
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

	for (const char *p = string; *p != '\0'; p++)
	{
		if (pg_strncasecmp(p, word, len) == 0 && (p == string || !is_word_char(p[-1])) &&
			!is_word_char(p[len]))
			return true;
	}
	return false;
}

/* Might a string be a statement, or a setting, that names the schema? */
static bool
string_names(const char *string, const char *schema)
{
	size_t		len = strlen(schema);

	if (strcmp(string, schema) == 0 || strcmp(string, quote_identifier(schema)) == 0)
		return true;
	for (const char *p = strstr(string, schema); p != NULL; p = strstr(p + 1, schema))
	{
		const char *end = p + len;

		if (p > string && is_word_char(p[-1]))
			continue;
		if (*end == '"')
			end++;
		if (*end == '.' && (end[1] == '"' || is_word_char(end[1])))
			return true;
	}
	return has_word(string, "search_path") && has_word(string, schema);
}

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
	bool		qualified = false;	/* and it comes after a dot */
	int			constant = 0;	/* 1 after a string that names the schema, 2 after a cast of that */

	scanner = scanner_init(body, &extra, &no_keywords, NULL);
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		const char *start = body + location;

		if (name >= 0 && token == '.' && !qualified)
			names->found = lappend_int(names->found, name);
		else if (name >= 0)
			note_alone(names, path, qualified);
		name = -1;
		if (constant == 2 && pg_strncasecmp(start, "reg", 3) == 0)
			names->constant = true;
		constant = constant == 1 && strncmp(start, "::", 2) == 0 ? 2 : 0;
		if (*start == '\'' || (*start == '$' && !isdigit((unsigned char) start[1])) ||
			(isalpha((unsigned char) *start) && start[1] == '\'') ||
			pg_strncasecmp(start, "u&'", 3) == 0)
		{
			constant = string_names(value.str, names->schema) ? 1 : 0;
			names->elsewhere = names->elsewhere || constant == 1;
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
