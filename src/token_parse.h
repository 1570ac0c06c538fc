/*-------------------------------------------------------------------------
 *
 * token_parse.h
 *	  Taking a token apart: base64url, the three parts, the JSON in them.
 *
 * Also compiled outside the server, for the fuzzer: no backend types here.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_TOKEN_PARSE_H
#define TENANCY_TOKEN_PARSE_H

/* A longer text is not looked at. */
#define TENANCY_TOKEN_MAX_SIZE	(16 * 1024)

/* The end of the year 9999, in seconds since 1970: no later date is serious. */
#define TENANCY_TOKEN_MAX_TIME	253402300799.0

/* Where the parts of a token lie in its text; none is empty. */
typedef struct TenancyTokenParts
{
	const char *header;
	size_t		header_len;
	const char *claims;
	size_t		claims_len;
	const char *signature;
	size_t		signature_len;
	size_t		signed_len;		/* of what is signed, from the header on */
} TenancyTokenParts;

typedef struct TenancyTokenHeader
{
	char	   *algorithm;
	char	   *kid;			/* or NULL */
} TenancyTokenHeader;

/* Times are in seconds since 1970. */
typedef struct TenancyTokenClaims
{
	char	   *tenant;
	double		expires;
	double		not_before;		/* 0 where the claim is missing */
	char	   *role;			/* or NULL */
	bool		has_audience;
	char	  **audience;
	int			naudience;
} TenancyTokenClaims;

/*
 * These return NULL, or what is wrong: a sentence for the server's log, which
 * holds nothing of the token.
 */
extern const char *tenancy_token_split(const char *token, size_t len,
									   TenancyTokenParts *parts);
extern const char *tenancy_token_parse_header(const char *json, size_t len, int encoding,
											  TenancyTokenHeader *header);
extern const char *tenancy_token_parse_claims(const char *json, size_t len, int encoding,
											  TenancyTokenClaims *claims);

extern char *tenancy_token_encode(const void *data, size_t len);
extern char *tenancy_token_decode(const char *encoded, size_t len, size_t *decoded_len);

#endif							/* TENANCY_TOKEN_PARSE_H */
