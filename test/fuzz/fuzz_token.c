/*-------------------------------------------------------------------------
 *
 * fuzz_token.c
 *	  A libFuzzer target: what src/token_parse.c makes of any bytes.
 *
 * The first byte of an input says what the others are: a token, base64url,
 * the JSON of a header or of claims.  Beside what the sanitizers find, the
 * target fails where the parser breaks a promise of its own.
 *
 * The parser runs as in a frontend program, so the memory functions that it
 * and PostgreSQL's JSON parser use are here: they free all at the end of an
 * input, and each allocation is one of the sanitizer's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "mb/pg_wchar.h"
#include "token_parse.h"

#define FAIL_UNLESS(condition) \
	do { if (!(condition)) abort(); } while (0)

extern int	LLVMFuzzerTestOneInput(const uint8 *data, size_t size);


/* ----------------------------------------------------------------
 * Memory
 * ----------------------------------------------------------------
 */

typedef struct Chunk
{
	void	   *memory;
	struct Chunk *next;
} Chunk;

static Chunk *chunks = NULL;

void *
palloc(Size size)
{
	Chunk	   *chunk = malloc(sizeof(Chunk));

	chunk->memory = malloc(size);
	chunk->next = chunks;
	chunks = chunk;
	return chunk->memory;
}

void *
palloc0(Size size)
{
	return memset(palloc(size), 0, size);
}

void
pfree(void *pointer)
{
	for (Chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
	{
		if (chunk->memory == pointer)
		{
			free(pointer);
			chunk->memory = NULL;
			return;
		}
	}
	abort();
}

void *
repalloc(void *pointer, Size size)
{
	for (Chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
	{
		if (chunk->memory == pointer)
			return chunk->memory = realloc(pointer, size);
	}
	abort();
}

char *
pstrdup(const char *str)
{
	return strcpy(palloc(strlen(str) + 1), str);
}

static void
free_all(void)
{
	while (chunks != NULL)
	{
		Chunk	   *next = chunks->next;

		free(chunks->memory);
		free(chunks);
		chunks = next;
	}
}


/* ----------------------------------------------------------------
 * Promises
 * ----------------------------------------------------------------
 */

/* Strings that a claim holds are UTF-8, or ASCII where the server is not. */
static void
check_string(const char *str, int encoding)
{
	if (str == NULL)
		return;
	FAIL_UNLESS(pg_encoding_verifymbstr(PG_UTF8, str, strlen(str)) == strlen(str));
	for (; encoding != PG_UTF8 && *str != '\0'; str++)
		FAIL_UNLESS(!IS_HIGHBIT_SET(*str));
}

/* What is decoded encodes to what it was. */
static char *
try_decode(const char *text, size_t len, size_t *decoded_len)
{
	char	   *decoded = tenancy_token_decode(text, len, decoded_len);

	if (decoded != NULL)
	{
		char	   *again = tenancy_token_encode(decoded, *decoded_len);

		FAIL_UNLESS(strlen(again) == len && memcmp(again, text, len) == 0);
		FAIL_UNLESS(decoded[*decoded_len] == '\0');
	}
	return decoded;
}

static void
try_header(const char *json, size_t len, int encoding)
{
	TenancyTokenHeader header;

	if (tenancy_token_parse_header(json, len, encoding, &header) != NULL)
		return;
	FAIL_UNLESS(header.algorithm != NULL);
	check_string(header.algorithm, encoding);
	check_string(header.kid, encoding);
}

static void
try_claims(const char *json, size_t len, int encoding)
{
	TenancyTokenClaims claims;

	if (tenancy_token_parse_claims(json, len, encoding, &claims) != NULL)
		return;
	FAIL_UNLESS(claims.tenant != NULL);
	FAIL_UNLESS(claims.expires >= 0 && claims.expires <= TENANCY_TOKEN_MAX_TIME);
	FAIL_UNLESS(claims.not_before >= 0 && claims.not_before <= TENANCY_TOKEN_MAX_TIME);
	FAIL_UNLESS(claims.has_audience || claims.naudience == 0);
	check_string(claims.tenant, encoding);
	check_string(claims.role, encoding);
	for (int i = 0; i < claims.naudience; i++)
	{
		FAIL_UNLESS(claims.audience[i] != NULL);
		check_string(claims.audience[i], encoding);
	}
}

static void
try_token(const char *token, size_t len, int encoding)
{
	TenancyTokenParts parts;
	size_t		decoded_len;
	char	   *decoded;

	if (len > TENANCY_TOKEN_MAX_SIZE ||
		tenancy_token_split(token, len, &parts) != NULL)
		return;
	FAIL_UNLESS(parts.header_len > 0 && parts.claims_len > 0 && parts.signature_len > 0);
	FAIL_UNLESS(parts.header_len + parts.claims_len + parts.signature_len + 2 == len);
	FAIL_UNLESS(parts.signed_len + 1 + parts.signature_len == len);

	if ((decoded = try_decode(parts.header, parts.header_len, &decoded_len)) != NULL)
		try_header(decoded, decoded_len, encoding);
	if ((decoded = try_decode(parts.claims, parts.claims_len, &decoded_len)) != NULL)
		try_claims(decoded, decoded_len, encoding);
	(void) try_decode(parts.signature, parts.signature_len, &decoded_len);
}

int
LLVMFuzzerTestOneInput(const uint8 *data, size_t size)
{
	char	   *text;
	size_t		len;
	int			encoding;

	if (size == 0)
		return 0;
	encoding = (data[0] & 8) ? PG_LATIN1 : PG_UTF8;
	len = size - 1;
	text = palloc(len + 1);
	memcpy(text, data + 1, len);
	text[len] = '\0';

	switch (data[0] & 3)
	{
		case 0:
			try_token(text, len, encoding);
			break;
		case 1:
			(void) try_decode(text, len, &len);
			break;
		case 2:
			try_header(text, len, encoding);
			break;
		case 3:
			try_claims(text, len, encoding);
			break;
	}
	free_all();
	return 0;
}
