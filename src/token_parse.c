/*-------------------------------------------------------------------------
 *
 * token_parse.c
 *	  Taking a token apart: base64url, the three parts, the JSON in them.
 *
 * All that is here works on text from whoever can send us a token, so it does
 * nothing else: no catalogs, no settings, no signatures.  It is compiled
 * outside the server too, for the fuzzer (test/fuzz).
 *
 * Invariants:
 *
 * - Nothing here raises an error, so that every bad token ends in the one
 *	 message of token.c.  Hence what PostgreSQL's JSON parser would raise an
 *	 error for is refused before it sees the text: deep nesting, and escapes
 *	 that the database's encoding may not have.
 * - There is one way to write a token: each base64url text that is taken is
 *	 the one that encodes what it decodes to, and no member occurs twice.
 * - Time and memory are linear in the token's size, but for a sort.
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include <math.h>

#include "common/jsonapi.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "token_parse.h"

/* Deeper than any claim that an identity provider nests. */
#define MAX_DEPTH		32

/* What the value of a member of the outermost object is. */
typedef enum MemberKind
{
	MEMBER_OTHER,				/* true, false, null, an object, a mixed array */
	MEMBER_STRING,
	MEMBER_NUMBER,
	MEMBER_STRINGS				/* an array of strings */
} MemberKind;

typedef struct Member
{
	char	   *name;
	MemberKind	kind;
	char	   *text;			/* of a string or a number */
	int			first;			/* a MEMBER_STRINGS' place in strings */
	int			count;
} Member;

/* A JSON object, as far as we look at it: one level deep. */
typedef struct Document
{
	bool		is_object;
	int			depth;
	Member	   *members;
	int			nmembers;
	char	  **strings;		/* the elements of all arrays of strings */
	int			nstrings;
} Document;


/* ----------------------------------------------------------------
 * base64url
 * ----------------------------------------------------------------
 */

static const char base64url[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The six bits that a character stands for; -1 if it is not in the alphabet. */
static inline int
base64url_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return -1;
}

/* Encode, without padding. */
char *
tenancy_token_encode(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	char	   *encoded = palloc(len / 3 * 4 + 5);
	char	   *p = encoded;
	uint32		bits = 0;
	int			nbits = 0;

	for (size_t i = 0; i < len; i++)
	{
		bits = (bits << 8) | bytes[i];
		for (nbits += 8; nbits >= 6; nbits -= 6)
			*p++ = base64url[(bits >> (nbits - 6)) & 63];
	}
	if (nbits > 0)
		*p++ = base64url[(bits << (6 - nbits)) & 63];
	*p = '\0';
	return encoded;
}

/*
 * Decode; returns NULL for anything but what tenancy_token_encode() makes: no
 * padding, no white space, no bits left over that are not zero.  The result
 * has a zero byte after its end.
 */
char *
tenancy_token_decode(const char *encoded, size_t len, size_t *decoded_len)
{
	char	   *data = palloc(len / 4 * 3 + 4);
	size_t		n = 0;
	uint32		bits = 0;
	int			nbits = 0;

	for (size_t i = 0; i < len; i++)
	{
		int			value = base64url_value(encoded[i]);

		if (value < 0)
			return NULL;
		bits = (bits << 6) | value;
		nbits += 6;
		if (nbits >= 8)
		{
			nbits -= 8;
			data[n++] = (char) ((bits >> nbits) & 255);
		}
	}
	if (nbits == 6 || (bits & ((1 << nbits) - 1)) != 0)
		return NULL;
	data[n] = '\0';
	*decoded_len = n;
	return data;
}

/* Find the three parts. */
const char *
tenancy_token_split(const char *token, size_t len, TenancyTokenParts *parts)
{
	const char *end = token + len;
	const char *first = memchr(token, '.', len);
	const char *second = NULL;

	if (first != NULL)
		second = memchr(first + 1, '.', end - (first + 1));
	if (second == NULL || memchr(second + 1, '.', end - (second + 1)) != NULL)
		return "It does not have three parts.";

	parts->header = token;
	parts->header_len = first - token;
	parts->claims = first + 1;
	parts->claims_len = second - (first + 1);
	parts->signature = second + 1;
	parts->signature_len = end - (second + 1);
	parts->signed_len = second - token;
	if (parts->header_len == 0 || parts->claims_len == 0 || parts->signature_len == 0)
		return "One of its parts is empty.";
	return NULL;
}


/* ----------------------------------------------------------------
 * JSON
 * ----------------------------------------------------------------
 */

/*
 * Make room for one more element of an array that has grown one by one: its
 * capacity is the power of two that its length has reached.
 */
static void *
grow(void *array, int count, size_t size)
{
	if (array == NULL)
		return palloc(size);
	if ((count & (count - 1)) == 0)
		return repalloc(array, 2 * count * size);
	return array;
}

static TENANCY_JSON_ACTION
start_object(void *state)
{
	Document   *doc = state;

	if (doc->depth == 0)
		doc->is_object = true;
	else if (doc->is_object && doc->depth == 2)
		doc->members[doc->nmembers - 1].kind = MEMBER_OTHER;
	doc->depth++;
	tenancy_json_continue();
}

static TENANCY_JSON_ACTION
start_array(void *state)
{
	Document   *doc = state;

	/* without an outermost object, there are no members */
	if (doc->is_object && doc->depth == 1)
	{
		Member	   *member = &doc->members[doc->nmembers - 1];

		member->kind = MEMBER_STRINGS;
		member->first = doc->nstrings;
	}
	else if (doc->is_object && doc->depth == 2)
		doc->members[doc->nmembers - 1].kind = MEMBER_OTHER;
	doc->depth++;
	tenancy_json_continue();
}

static TENANCY_JSON_ACTION
end_nested(void *state)
{
	((Document *) state)->depth--;
	tenancy_json_continue();
}

static TENANCY_JSON_ACTION
start_field(void *state, char *name, bool isnull)
{
	Document   *doc = state;

	if (doc->is_object && doc->depth == 1)
	{
		doc->members = grow(doc->members, doc->nmembers, sizeof(Member));
		memset(&doc->members[doc->nmembers], 0, sizeof(Member));
		doc->members[doc->nmembers++].name = name;
	}
	tenancy_json_continue();
}

static TENANCY_JSON_ACTION
read_scalar(void *state, char *token, JsonTokenType type)
{
	Document   *doc = state;
	Member	   *member;

	if (!doc->is_object || doc->depth > 2)
		tenancy_json_continue();
	member = &doc->members[doc->nmembers - 1];
	if (doc->depth == 1)
	{
		member->text = token;
		if (type == JSON_TOKEN_STRING)
			member->kind = MEMBER_STRING;
		else if (type == JSON_TOKEN_NUMBER)
			member->kind = MEMBER_NUMBER;
	}
	else if (member->kind == MEMBER_STRINGS)
	{
		if (type == JSON_TOKEN_STRING)
		{
			doc->strings = grow(doc->strings, doc->nstrings, sizeof(char *));
			doc->strings[doc->nstrings++] = token;
			member->count++;
		}
		else
			member->kind = MEMBER_OTHER;
	}
	tenancy_json_continue();
}

/*
 * What must not reach the JSON parser.  It does not check the encoding, would
 * raise an error where nesting exhausts the stack, and one for an escape that
 * the database's encoding lacks: where that is not UTF-8, only ASCII is taken.
 */
static const char *
check_text(const char *json, size_t len, int encoding)
{
	bool		in_string = false;
	int			depth = 0;

	if (pg_encoding_verifymbstr(PG_UTF8, json, len) != len)
		return "Its JSON is not valid UTF-8.";

	for (size_t i = 0; i < len; i++)
	{
		char		c = json[i];

		if (encoding != PG_UTF8 && IS_HIGHBIT_SET(c))
			return "Its JSON is not ASCII, and the database's encoding is not UTF-8.";
		if (in_string)
		{
			if (c == '\\')
			{
				/* the zero byte behind the text ends any comparison */
				i++;
				if (encoding != PG_UTF8 && json[i] == 'u' &&
					!(strncmp(&json[i + 1], "00", 2) == 0 && json[i + 3] <= '7'))
					return "Its JSON is not ASCII, and the database's encoding is not UTF-8.";
			}
			else if (c == '"')
				in_string = false;
		}
		else if (c == '"')
			in_string = true;
		else if ((c == '{' || c == '[') && ++depth > MAX_DEPTH)
			return "Its JSON is nested too deeply.";
		else if (c == '}' || c == ']')
			depth--;
	}
	return NULL;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Parsers disagree about which one of two members of the same name counts. */
static bool
has_duplicates(const Document *doc)
{
	char	  **names;
	bool		found = false;

	if (doc->nmembers < 2)
		return false;
	names = palloc(doc->nmembers * sizeof(char *));
	for (int i = 0; i < doc->nmembers; i++)
		names[i] = doc->members[i].name;
	qsort(names, doc->nmembers, sizeof(char *), compare_names);
	for (int i = 1; i < doc->nmembers && !found; i++)
		found = strcmp(names[i - 1], names[i]) == 0;
	pfree(names);
	return found;
}

/* Parse the JSON of a header or of claims, which has a zero byte behind it. */
static const char *
parse_document(const char *json, size_t len, int encoding, Document *doc)
{
	const char *cause = check_text(json, len, encoding);
	JsonSemAction actions;

	memset(doc, 0, sizeof(*doc));
	if (cause != NULL)
		return cause;

	memset(&actions, 0, sizeof(actions));
	actions.semstate = doc;
	actions.object_start = start_object;
	actions.object_end = end_nested;
	actions.array_start = start_array;
	actions.array_end = end_nested;
	actions.object_field_start = start_field;
	actions.scalar = read_scalar;
	if (pg_parse_json(tenancy_json_lex_context((char *) json, len), &actions) != JSON_SUCCESS)
		return "It is not valid JSON.";
	if (!doc->is_object)
		return "Its JSON is not an object.";
	if (has_duplicates(doc))
		return "A member of its JSON occurs twice.";
	return NULL;
}

static const Member *
find_member(const Document *doc, const char *name)
{
	for (int i = 0; i < doc->nmembers; i++)
	{
		if (strcmp(doc->members[i].name, name) == 0)
			return &doc->members[i];
	}
	return NULL;
}

/* Read a member that must be a string; false if it is something else. */
static bool
read_string(const Document *doc, const char *name, char **value)
{
	const Member *member = find_member(doc, name);

	*value = NULL;
	if (member == NULL)
		return true;
	*value = member->text;
	return member->kind == MEMBER_STRING;
}

/* The same for a point in time. */
static bool
read_time(const Document *doc, const char *name, double *value)
{
	const Member *member = find_member(doc, name);

	*value = 0;
	if (member == NULL)
		return true;
	if (member->kind != MEMBER_NUMBER)
		return false;
	*value = strtod(member->text, NULL);
	return isfinite(*value) && *value >= 0 && *value <= TENANCY_TOKEN_MAX_TIME;
}

/* Read "aud": a string or an array of strings. */
static bool
read_audience(const Document *doc, TenancyTokenClaims *claims)
{
	const Member *member = find_member(doc, "aud");

	if (member == NULL)
		return true;
	claims->has_audience = true;
	if (member->kind == MEMBER_STRING)
	{
		claims->audience = palloc(sizeof(char *));
		claims->audience[0] = member->text;
		claims->naudience = 1;
		return true;
	}
	if (member->count > 0)
		claims->audience = doc->strings + member->first;
	claims->naudience = member->count;
	return member->kind == MEMBER_STRINGS;
}

/*
 * Parse a header.  Members other than these say nothing about how to check a
 * signature with a key that we know, and are ignored, as the standard wants.
 */
const char *
tenancy_token_parse_header(const char *json, size_t len, int encoding,
						   TenancyTokenHeader *header)
{
	Document	doc;
	char	   *type;
	const char *cause = parse_document(json, len, encoding, &doc);

	memset(header, 0, sizeof(*header));
	if (cause != NULL)
		return cause;
	if (!read_string(&doc, "alg", &header->algorithm) || header->algorithm == NULL)
		return "Its header has no \"alg\" that is a string.";
	if (!read_string(&doc, "kid", &header->kid))
		return "The \"kid\" of its header is not a string.";
	if (!read_string(&doc, "typ", &type) || (type != NULL && strcmp(type, "JWT") != 0))
		return "The \"typ\" of its header is not \"JWT\".";
	if (find_member(&doc, "crit") != NULL)
		return "Its header has \"crit\", and no extension is known.";
	return NULL;
}

/* Parse claims, those that we know; others are ignored. */
const char *
tenancy_token_parse_claims(const char *json, size_t len, int encoding,
						   TenancyTokenClaims *claims)
{
	Document	doc;
	const char *cause = parse_document(json, len, encoding, &doc);

	memset(claims, 0, sizeof(*claims));
	if (cause != NULL)
		return cause;
	if (!read_string(&doc, "tenant", &claims->tenant) || claims->tenant == NULL)
		return "It has no claim \"tenant\" that is a string.";
	if (!read_time(&doc, "exp", &claims->expires) || find_member(&doc, "exp") == NULL)
		return "It has no claim \"exp\" that is a point in time.";
	if (!read_time(&doc, "nbf", &claims->not_before))
		return "Its claim \"nbf\" is not a point in time.";
	if (!read_string(&doc, "role", &claims->role))
		return "Its claim \"role\" is not a string.";
	if (!read_audience(&doc, claims))
		return "Its claim \"aud\" is neither a string nor an array of strings.";
	return NULL;
}
