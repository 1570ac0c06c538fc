/*-------------------------------------------------------------------------
 *
 * ident.c
 *	  Names: slugs, module names, the schemas and databases made of them.
 *
 * A slug is part of the names of schemas and databases and of messages, so
 * its alphabet is small enough to need no thought about quoting, case or
 * encoding anywhere else.  It is never shaped like a uuid: where a function
 * takes a slug or the text of an id, the two must not be confused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ident.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

/* How much of a user's bad value a message repeats, and how many names. */
#define CLIP_BYTES 64
#define MAX_NAMES 50

#define DATABASE_PREFIX "tenant_"

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/*
 * Parse a uuid in any form that uuid_in() takes: braces around it and a
 * hyphen after each group of four digits are optional.  Unlike uuid_in(), it
 * never throws, which a GUC's check hook may not do.
 */
bool
tenancy_ident_parse_uuid(const char *str, pg_uuid_t *uuid)
{
	const char *p = str;
	bool		braces = (*p == '{');

	if (braces)
		p++;

	for (int i = 0; i < UUID_LEN; i++)
	{
		int			high = hex_value(p[0]);
		int			low = (high < 0) ? -1 : hex_value(p[1]);

		if (low < 0)
			return false;
		uuid->data[i] = (unsigned char) (high << 4 | low);
		p += 2;
		if (*p == '-' && i % 2 == 1 && i < UUID_LEN - 1)
			p++;
	}

	if (braces && *p++ != '}')
		return false;
	return *p == '\0';
}

/*
 * The canonical text of a uuid, palloc'd.  set_tenant() needs it each time, and
 * uuid_out() takes ten times as long.
 */
char *
tenancy_ident_uuid_text(const pg_uuid_t *uuid)
{
	static const int groups[] = {4, 2, 2, 2, 6};	/* of bytes */
	char	   *result = palloc(2 * UUID_LEN + lengthof(groups));
	char	   *p = result;
	const char *data = (const char *) uuid->data;

	for (int i = 0; i < lengthof(groups); i++)
	{
		p += hex_encode(data, groups[i], p);
		*p++ = '-';
		data += groups[i];
	}
	p[-1] = '\0';
	return result;
}

/* A user's value for a message: never 10 MB of it, and never half a character. */
char *
tenancy_ident_clip(const char *str)
{
	int			len = strlen(str);
	int			clipped = pg_mbcliplen(str, len, CLIP_BYTES);

	if (clipped == len)
		return pstrdup(str);
	return psprintf("%.*s...", clipped, str);
}

/* "a, b and 3 more" of a List of char *, for a message. */
char *
tenancy_ident_enumerate(List *names)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
	{
		int			i = foreach_current_index(lc);

		if (i == MAX_NAMES)
		{
			appendStringInfo(&buf, " and %d more", list_length(names) - i);
			break;
		}
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", (char *) lfirst(lc));
	}
	return buf.data;
}

static bool
is_slug_edge(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* ^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$ */
static bool
is_slug_shaped(const char *str)
{
	size_t		len = strlen(str);

	if (len == 0 || len > TENANCY_SLUG_MAX)
		return false;
	if (!is_slug_edge(str[0]) || !is_slug_edge(str[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (!is_slug_edge(str[i]) && str[i] != '_' && str[i] != '-')
			return false;
	}
	return true;
}

/* Refuse what is no slug. */
void
tenancy_ident_check_slug(const char *slug)
{
	pg_uuid_t	ignored;

	if (!is_slug_shaped(slug))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid tenant slug: \"%s\"", tenancy_ident_clip(slug)),
				 errdetail("A slug has 1 to %d lower-case ASCII letters, digits, hyphens and underscores, and begins and ends with a letter or digit.",
						   TENANCY_SLUG_MAX)));

	if (tenancy_ident_parse_uuid(slug, &ignored))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid tenant slug: \"%s\"", slug),
				 errdetail("A slug must not have the form of a uuid, which would be taken for a tenant's id.")));
}

/* Refuse what is no module name: it becomes part of a schema's name. */
void
tenancy_ident_check_module(const char *module)
{
	if (!is_slug_shaped(module))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid module name: \"%s\"", tenancy_ident_clip(module)),
				 errdetail("A module's name has 1 to %d lower-case ASCII letters, digits, hyphens and underscores, and begins and ends with a letter or digit.",
						   TENANCY_SLUG_MAX)));
}

static char *
check_length(char *name)
{
	if (strlen(name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("name \"%s\" would be longer than %d bytes",
						name, NAMEDATALEN - 1),
				 errhint("Choose a shorter slug or module name.")));
	return name;
}

/* The schema of a tenant's main module (plugin is NULL), or of a plug-in. */
char *
tenancy_ident_schema(const char *slug, const char *plugin)
{
	if (plugin == NULL)
		return check_length(psprintf("tenant_%s", slug));
	return check_length(psprintf("tenant_%s_plugin_%s", slug, plugin));
}

/* The database of a database tenant. */
char *
tenancy_ident_database(const char *slug)
{
	return check_length(psprintf(DATABASE_PREFIX "%s", slug));
}

/* The reverse; NULL if it is no such name. */
const char *
tenancy_ident_slug_of_database(const char *database)
{
	size_t		len = strlen(DATABASE_PREFIX);

	return strncmp(database, DATABASE_PREFIX, len) == 0 ? database + len : NULL;
}

/*
 * The slug of a spare, which no tenant can have, and of which a schema's and a
 * database's name can be made.
 */
char *
tenancy_ident_spare(const pg_uuid_t *id)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, TENANCY_SPARE_PREFIX);
	for (int i = 0; i < UUID_LEN; i++)
		appendStringInfo(&buf, "%02x", id->data[i]);
	return buf.data;
}
