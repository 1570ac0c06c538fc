/*-------------------------------------------------------------------------
 *
 * token.c
 *	  Signed tokens that name the tenant: checking them, and making them.
 *
 * A token is a JWT (RFC 7519) in the compact form of a JWS (RFC 7515), signed
 * by whoever authenticates the application's users.  Where a role must bring
 * one (tenancy.require_token), SQL injected into its session cannot choose
 * another tenant.
 *
 * Invariants:
 *
 * - Nothing of the claims is looked at before the signature was found good.
 * - The key decides about the algorithm; the token must agree with it.
 * - Whatever is wrong with a token, the client gets one and the same error.
 *	 The cause goes to the server's log, without the token.
 * - A good token does what set_tenant() does, with all of its checks: it
 *	 proves that the tenant is meant, not that the role may act for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "commands/dbcommands.h"
#include "compat.h"
#include "context.h"
#include "datatype/timestamp.h"
#include "exec.h"
#include "fmgr.h"
#include "guc.h"
#include "ident.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "registry.h"
#include "tcop/tcopprot.h"
#include "token_key.h"
#include "token_parse.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(tenancy_token_set_tenant);
PG_FUNCTION_INFO_V1(tenancy_token_sign);

#define UNIX_EPOCH_SECONDS	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (double) SECS_PER_DAY)


/* ----------------------------------------------------------------
 * Checking
 * ----------------------------------------------------------------
 */

/* The one error for all that can be wrong with a token. */
static void refuse(const char *cause) pg_attribute_noreturn();

static void
refuse(const char *cause)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("invalid tenant token"),
			 errdetail_log("%s", cause),
			 errhidestmt(true),
			 errhidecontext(true)));
}

/* The same, unless there is nothing wrong: NULL. */
static void
refuse_if(const char *cause)
{
	if (cause != NULL)
		refuse(cause);
}

/* A point in time as tokens have it: seconds since 1970. */
static double
unix_time(TimestampTz time)
{
	return time / (double) USECS_PER_SEC + UNIX_EPOCH_SECONDS;
}

/* Decode one of the parts. */
static char *
decode(const char *part, size_t len, size_t *decoded_len)
{
	char	   *decoded = tenancy_token_decode(part, len, decoded_len);

	if (decoded == NULL)
		refuse("One of its parts is not base64url.");
	return decoded;
}

/* Find the key that the header names, and check the signature. */
static void
check_signature(const TenancyTokenParts *parts)
{
	TenancyTokenHeader header;
	const TenancyTokenKey *key;
	TimestampTz now = GetCurrentTimestamp();
	size_t		len;
	char	   *json = decode(parts->header, parts->header_len, &len);
	char	   *signature;

	refuse_if(tenancy_token_parse_header(json, len, GetDatabaseEncoding(), &header));
	key = tenancy_token_key_find(header.kid);
	if (key == NULL)
		refuse(header.kid != NULL ? "There is no key with its \"kid\"." :
				  "It has no \"kid\", and there is not exactly one key.");
	if (now < key->valid_from || now >= key->valid_until)
		refuse("Its key is not valid now.");
	if (strcmp(header.algorithm, tenancy_token_key_algorithm(key)) != 0)
		refuse("Its \"alg\" is not the algorithm of its key.");

	signature = decode(parts->signature, parts->signature_len, &len);
	if (!tenancy_token_key_verify(key, parts->header, parts->signed_len, signature, len))
		refuse("Its signature is wrong.");
}

static bool
audience_includes(const TenancyTokenClaims *claims, const char *database)
{
	for (int i = 0; i < claims->naudience; i++)
	{
		if (strcmp(claims->audience[i], database) == 0)
			return true;
	}
	return false;
}

/* Is the token meant for now, here and us? */
static void
check_claims(const TenancyTokenClaims *claims)
{
	double		now = unix_time(GetCurrentTimestamp());

	if (now >= claims->expires + tenancy_guc_token_leeway)
		refuse("It has expired.");
	if (now < claims->not_before - tenancy_guc_token_leeway)
		refuse("It is not good yet.");
	if (claims->has_audience &&
		!audience_includes(claims, get_database_name(MyDatabaseId)))
		refuse("Its claim \"aud\" does not name this database.");
	if (claims->role != NULL &&
		strcmp(claims->role, GetUserNameFromId(GetOuterUserId(), false)) != 0)
		refuse("Its claim \"role\" does not name the current role.");
}

/*
 * A client that writes values into its statements shows its token to all
 * sessions of its role, which may have another tenant's and could use it.
 */
static void
hide_token(const text *token)
{
	if (debug_query_string != NULL &&
		strlen(debug_query_string) >= VARSIZE_ANY_EXHDR(token) &&
		strstr(debug_query_string, text_to_cstring(token)) != NULL)
		tenancy_token_key_hide_statement("SELECT tenancy.set_tenant_token(...)");
}

/* set_tenant_token(token text, is_local boolean) */
Datum
tenancy_token_set_tenant(PG_FUNCTION_ARGS)
{
	TenancyTokenParts parts;
	TenancyTokenClaims claims;
	text	   *token;
	char	   *json;
	size_t		len;

	tenancy_require_arg(fcinfo, 0, "token");
	tenancy_require_arg(fcinfo, 1, "is_local");

	/* before it is even decompressed */
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ > TENANCY_TOKEN_MAX_SIZE)
		refuse("It is too long.");
	token = PG_GETARG_TEXT_PP(0);
	hide_token(token);
	refuse_if(tenancy_token_split(VARDATA_ANY(token), VARSIZE_ANY_EXHDR(token), &parts));
	check_signature(&parts);

	json = decode(parts.claims, parts.claims_len, &len);
	refuse_if(tenancy_token_parse_claims(json, len, GetDatabaseEncoding(), &claims));
	check_claims(&claims);
	return tenancy_context_enter(fcinfo, claims.tenant);
}


/* ----------------------------------------------------------------
 * Making
 * ----------------------------------------------------------------
 */

/* The newest HS256 key that is valid. */
static char *
newest_secret(void)
{
	char	   *kid;

	kid = tenancy_exec_text_as(tenancy_registry_owner(),
							   "SELECT k.kid FROM tenancy.token_key k, pg_catalog.clock_timestamp() now"
							   " WHERE k.algorithm OPERATOR(pg_catalog.=) 'HS256'"
							   " AND (k.valid_from OPERATOR(pg_catalog.<=) now OR k.valid_from IS NULL)"
							   " AND (k.valid_until OPERATOR(pg_catalog.>) now OR k.valid_until IS NULL)"
							   " ORDER BY k.created_at DESC, k.kid LIMIT 1");
	if (kid == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no HS256 token key that is valid now"),
				 errhint("Add one with tenancy.create_token_key().")));
	return kid;
}

static const TenancyTokenKey *
find_secret(const char *kid)
{
	const TenancyTokenKey *key = tenancy_token_key_find(kid);

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("token key \"%s\" does not exist", tenancy_ident_clip(kid))));
	if (key->algorithm != TENANCY_HS256)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("token key \"%s\" is a public key, which cannot sign", kid),
				 errhint("Sign where the private key is, or use an HS256 key.")));
	return key;
}

/* When a token that lives for ttl from now expires. */
static double
expiry(Interval *ttl)
{
	TimestampTz expires = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
																  TimestampTzGetDatum(GetCurrentTimestamp()),
																  IntervalPGetDatum(ttl)));
	double		seconds = unix_time(expires);

	if (TIMESTAMP_NOT_FINITE(expires) || seconds < 0 || seconds > TENANCY_TOKEN_MAX_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the token would expire out of the range of tokens"),
				 errdetail("A token expires between the years 1970 and 9999.")));
	return seconds;
}

/* Append a string, in the encoding of JSON. */
static void
append_string(StringInfo json, const char *name, const char *value)
{
	appendStringInfo(json, "\"%s\":", name);
	escape_json(json, pg_server_to_any(value, strlen(value), PG_UTF8));
}

/*
 * sign_token(tenant text, ttl interval, kid text): a token that is good in the
 * database where the tenant lives
 */
Datum
tenancy_token_sign(PG_FUNCTION_ARGS)
{
	TenancyTenant tenant;
	const TenancyTokenKey *key;
	StringInfoData json;
	StringInfoData token;
	double		expires;
	char		signature[TENANCY_HS256_SIZE];

	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "ttl");
	tenancy_registry_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), &tenant);
	expires = expiry(PG_GETARG_INTERVAL_P(1));
	key = find_secret(PG_ARGISNULL(2) ? newest_secret() :
					  text_to_cstring(PG_GETARG_TEXT_PP(2)));

	initStringInfo(&token);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"alg\":\"HS256\",\"typ\":\"JWT\",");
	append_string(&json, "kid", key->kid);
	appendStringInfoChar(&json, '}');
	appendStringInfo(&token, "%s.", tenancy_token_encode(json.data, json.len));

	resetStringInfo(&json);
	appendStringInfoChar(&json, '{');
	append_string(&json, "tenant", tenancy_ident_uuid_text(&tenant.id));
	appendStringInfoChar(&json, ',');
	append_string(&json, "aud", tenant.mode == TENANCY_DATABASE ?
				  tenant.database_name : get_database_name(MyDatabaseId));
	appendStringInfo(&json, ",\"exp\":%.6f}", expires);
	appendStringInfoString(&token, tenancy_token_encode(json.data, json.len));

	if (!tenancy_token_key_sign(key, token.data, token.len, signature))
		elog(ERROR, "could not sign a token");
	appendStringInfo(&token, ".%s", tenancy_token_encode(signature, sizeof(signature)));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(token.data, token.len));
}
