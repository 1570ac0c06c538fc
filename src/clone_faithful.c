/*-------------------------------------------------------------------------
 *
 * clone_faithful.c
 *	  Definitions that PostgreSQL writes, and would read as something else.
 *
 * What it deparses means the same when it is parsed again, but is not always the
 * same, so that a copy would differ from its model without anybody's having
 * changed it.  Two such texts are of the kind that applications have:
 *
 * (ARRAY['a'::character varying])::text[], which comes from "IN ('a')" where the
 * column is a varchar, has an array that is cast.  Read again, each element is
 * cast, since the parser looks through the parentheses: so say the array's own type
 * first, (ARRAY['a'::character varying]::character varying[])::text[].
 *
 * SELECT 'a'::text, which comes from "SELECT 'a'" in the body of a function, in
 * EXISTS or after INSERT, has a column without a name.  Read again, it has
 * the type's: so say AS "?column?".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "clone_body.h"
#include "clone_faithful.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "parser/scanner.h"

/* How much has been read of an element of an array, or of a select list */
typedef enum ItemState
{
	ITEM_START,
	ITEM_PRIMARY,				/* a value, or a function's call */
	ITEM_TYPE,					/* that, cast to what goes on here */
	ITEM_OTHER					/* anything else */
} ItemState;

/* A word that says what the next token is */
typedef enum LastWord
{
	WORD_NONE,
	WORD_ARRAY,
	WORD_DISTINCT,
	WORD_ON						/* after DISTINCT */
} LastWord;

/* What is between two brackets, or in none */
typedef struct Level
{
	bool		is_array;
	bool		is_list;		/* in a select list */
	ItemState	state;
	bool		is_constant;
	const char *number;			/* the type that the item has, if it is a number */
	int			type;			/* where the item's type begins */
	const char *element;		/* of an array: its elements' type, or NULL */
} Level;

typedef struct Reader
{
	const char *sql;
	StringInfoData buf;
	int			copied;			/* up to where sql is in there */
	List	   *levels;			/* the innermost first */
	const char *array;			/* the type of the elements of an array that has just ended */
	int			array_end;		/* and where it has */
	LastWord	word;
} Reader;

static void
open_level(Reader *r, bool is_array)
{
	Level	   *level = palloc0(sizeof(Level));

	level->is_array = is_array;
	r->levels = lcons(level, r->levels);
}

static void
insert_text(Reader *r, int at, const char *what)
{
	appendBinaryStringInfo(&r->buf, r->sql + r->copied, at - r->copied);
	appendStringInfoString(&r->buf, what);
	r->copied = at;
}

/* Where what comes before a place ends */
static int
end_before(const Reader *r, int location)
{
	while (location > 0 && isspace((unsigned char) r->sql[location - 1]))
		location--;
	return location;
}

/* An element of an array, or of a select list, ends before this place. */
static void
end_item(Reader *r, Level *level, int location)
{
	int			end = end_before(r, location);

	if (level->state == ITEM_TYPE && level->is_array && level->element == NULL &&
		r->sql[end - 1] != ']')
		level->element = pnstrdup(r->sql + level->type, end - level->type);
	if (level->state == ITEM_PRIMARY && level->is_array && level->element == NULL)
		level->element = level->number;
	if (level->state == ITEM_TYPE && level->is_list && level->is_constant)
		insert_text(r, end, " AS \"?column?\"");
	level->state = ITEM_START;
	level->is_constant = false;
	level->number = NULL;
}

/* A value, or something that begins with one */
static void
read_value(Level *level, bool is_constant)
{
	level->is_constant = level->state == ITEM_START && is_constant;
	level->number = NULL;
	level->state = level->state == ITEM_START ? ITEM_PRIMARY : ITEM_OTHER;
}

/* The type of a number, which is written without one; NULL if that takes a closer look */
static const char *
number_type(const char *number)
{
	size_t		digits = strspn(number, "0123456789");

	if (number[digits] != '\0' && strchr(".eE", number[digits]) != NULL)
		return "numeric";
	return digits < 10 ? "integer" : NULL;
}

static bool
is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
	{
		if (strcmp(word, *words) == 0)
			return true;
	}
	return false;
}

static void
read_word(Reader *r, Level *level, const char *word, LastWord last, int location)
{
	static const char *const ends[] = {
		"from", "where", "group", "having", "window", "order", "limit", "offset", "fetch", "for",
		"union", "intersect", "except", "on", NULL
	};
	static const char *const operators[] = {
		"and", "or", "not", "is", "isnull", "notnull", "in", "like", "ilike", "similar", "between",
		"collate", "at", "as", NULL
	};

	if (strcmp(word, "select") == 0 || strcmp(word, "returning") == 0)
	{
		end_item(r, level, location);
		level->is_list = true;
	}
	else if (level->is_list && level->state == ITEM_START && strcmp(word, "distinct") == 0)
		r->word = WORD_DISTINCT;
	else if (last == WORD_DISTINCT && strcmp(word, "on") == 0)
		r->word = WORD_ON;
	else if (level->is_list && is_one_of(word, ends))
	{
		end_item(r, level, location);
		level->is_list = false;
	}
	else if (level->state == ITEM_TYPE)
		level->state = is_one_of(word, operators) ? ITEM_OTHER : ITEM_TYPE;
	else
	{
		read_value(level, strcmp(word, "null") == 0);
		if (strcmp(word, "array") == 0)
			r->word = WORD_ARRAY;
	}
}

static void
close_level(Reader *r, int location)
{
	Level	   *level = linitial(r->levels);

	end_item(r, level, location);
	r->levels = list_delete_first(r->levels);
	if (level->is_array)
	{
		r->array = level->element;
		r->array_end = location + 1;
	}
}

/* What is neither a name, nor a string, nor a number */
static void
read_sign(Reader *r, Level *level, const char *sign, LastWord last, int location)
{
	switch (*sign)
	{
		case '(':
		case '[':
			if (level->state == ITEM_START && last != WORD_ON)
				read_value(level, false);
			open_level(r, *sign == '[' && last == WORD_ARRAY);
			break;
		case ')':
		case ']':
			if (list_length(r->levels) > 1)
				close_level(r, location);
			break;
		case ',':
			end_item(r, level, location);
			break;
		case ';':
			end_item(r, level, location);
			level->is_list = false;
			break;
		case '.':
			if (level->state != ITEM_PRIMARY && level->state != ITEM_TYPE)
				level->state = ITEM_OTHER;
			break;
		case ':':
			if (strncmp(sign, "::", 2) == 0 && (level->state == ITEM_PRIMARY || level->state == ITEM_TYPE))
			{
				level->state = ITEM_TYPE;
				level->type = location + 2;
				break;
			}
			/* FALLTHROUGH */
		default:
			level->state = ITEM_OTHER;
			break;
	}
}

/* The next token, a word perhaps; last is the first character of the one before it. */
static void
read_token(Reader *r, const char *word, char last, int location)
{
	const char *start = r->sql + location;
	Level	   *level = linitial(r->levels);
	LastWord	last_word = r->word;

	/* A cast of the array that has ended, perhaps in parentheses */
	if (r->array != NULL && strncmp(start, "::", 2) == 0)
		insert_text(r, r->array_end, psprintf("::%s[]", r->array));
	if (*start != ')' || last != ']')
		r->array = NULL;
	r->word = WORD_NONE;
	if (last == '.' || (*start == '"' && level->state == ITEM_TYPE))
		return;					/* a name goes on */
	if (*start == '\'' || (isalpha((unsigned char) *start) && start[1] == '\''))
		read_value(level, true);
	else if (isalpha((unsigned char) *start) || *start == '_' || IS_HIGHBIT_SET(*start))
		read_word(r, level, word, last_word, location);
	else if (*start == '"' || *start == '$' || isdigit((unsigned char) *start))
	{
		read_value(level, false);
		if (isdigit((unsigned char) *start) && level->state == ITEM_PRIMARY)
			level->number = number_type(start);
	}
	else
		read_sign(r, level, start, last_word, location);
}

/*
 * A statement, with such texts in it changed.  It is one that PostgreSQL has deparsed,
 * as a whole or in parts: there is nothing that the scanner does not know.
 */
const char *
tenancy_clone_faithful(const char *sql)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	char		last = '\0';
	int			token;
	Reader		r = {.sql = sql};

	if (strstr(sql, "::") == NULL || (strstr(sql, "ARRAY[") == NULL && strstr(sql, "SELECT ") == NULL))
		return sql;
	initStringInfo(&r.buf);
	open_level(&r, false);
	scanner = scanner_init(sql, &extra, &tenancy_clone_no_keywords, NULL);
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		read_token(&r, value.str, last, location);
		last = sql[location];
	}
	end_item(&r, linitial(r.levels), strlen(sql));
	scanner_finish(scanner);
	appendStringInfoString(&r.buf, sql + r.copied);
	return r.buf.data;
}
