/*-------------------------------------------------------------------------
 *
 * token_key.c
 *	  The keys that sign tokens: the rows, their cache, their signatures.
 *
 * The keys are rows of tenancy.token_key.  A backend keeps those that it used
 * in the form that OpenSSL wants.  The registry's trigger tells every session
 * when one changes, as it does for the registry itself: see registry.c, whose
 * rules for what may be cached hold here as well.  The absence of a key is
 * not cached, so that an INSERT need not invalidate anything.
 *
 * Invariants:
 *
 * - No message, no statement that a message could quote, and none that
 *	 pg_stat_activity goes on showing holds a key.
 * - What OpenSSL allocates hangs on a key, and a memory context frees it with
 *	 the key, whatever error comes in between.
 * - OpenSSL's error queue is left empty: the connection's TLS code reads it.
 * - A signature has one form: its length is checked before OpenSSL sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#if defined(__has_include)
#if !__has_include(<openssl/evp.h>)
#error "tenancy needs the headers of OpenSSL 3 (Debian's package libssl-dev)"
#endif
#endif

/* Nothing that OpenSSL 3.0 calls deprecated; PostgreSQL asks for more. */
#undef OPENSSL_API_COMPAT
#define OPENSSL_API_COMPAT 30000
#define OPENSSL_NO_DEPRECATED

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "database_settle.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "nodes/pg_list.h"
#include "registry.h"
#include "tcop/tcopprot.h"
#include "token_key.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "tenancy needs OpenSSL 3.0 or later"
#endif

PG_FUNCTION_INFO_V1(tenancy_token_create_key);
PG_FUNCTION_INFO_V1(tenancy_token_drop_key);

#define MIN_SECRET_SIZE		32		/* of what HMAC-SHA-256 yields: RFC 7518 */
#define MAX_KEY_SIZE		8192
#define MIN_RSA_BITS		2048

#define PEM_BEGIN			"-----BEGIN "
#define PEM_BEGIN_PUBLIC	"-----BEGIN PUBLIC KEY-----"
#define PEM_END_PUBLIC		"-----END PUBLIC KEY-----"

/* What the algorithms are to OpenSSL; in the order of TenancyAlgorithm. */
static const struct
{
	const char *name;			/* in tokens */
	const char *key_type;
	const char *digest;
	const char *requirement;
}			algorithms[] =
{
	{"HS256", NULL, "SHA256", NULL},
	{"RS256", "RSA", "SHA256", "RS256 takes an RSA key of at least 2048 bits."},
	{"ES256", "EC", "SHA256", "ES256 takes a key on the curve P-256."},
	{"EdDSA", "ED25519", NULL, "EdDSA takes an Ed25519 key."}
};

/* The keys that this backend used. */
static struct
{
	bool		valid;
	Oid			tenant;			/* relation whose invalidation we are told of */
	Oid			relation;
	Oid			index;
	MemoryContext context;
	List	   *keys;			/* of TenancyTokenKey */
}			cache;


/* ----------------------------------------------------------------
 * OpenSSL's side of a key
 * ----------------------------------------------------------------
 */

static void
free_key(void *arg)
{
	TenancyTokenKey *key = arg;

	EVP_PKEY_free(key->public_key);
	EVP_MAC_CTX_free(key->secret);
	key->public_key = NULL;
	key->secret = NULL;
}

/* A key that lives, with what OpenSSL will allocate for it, in context. */
static TenancyTokenKey *
new_key(MemoryContext context, TenancyAlgorithm algorithm)
{
	TenancyTokenKey *key = MemoryContextAllocZero(context, sizeof(TenancyTokenKey));
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));

	key->algorithm = algorithm;
	key->valid_from = DT_NOBEGIN;
	key->valid_until = DT_NOEND;
	callback->func = free_key;
	callback->arg = key;
	MemoryContextRegisterResetCallback(context, callback);
	return key;
}

static bool
parse_algorithm(const char *name, TenancyAlgorithm *algorithm)
{
	for (int i = 0; i < lengthof(algorithms); i++)
	{
		if (strcmp(algorithms[i].name, name) == 0)
		{
			*algorithm = i;
			return true;
		}
	}
	return false;
}

/* The key's algorithm as a token names it. */
const char *
tenancy_token_key_algorithm(const TenancyTokenKey *key)
{
	return algorithms[key->algorithm].name;
}

/* An encrypted key must not make OpenSSL ask the server's terminal. */
static int
no_password(char *buf, int size, int rwflag, void *arg)
{
	return -1;
}

static bool
load_public_key(TenancyTokenKey *key, const char *pem)
{
	BIO		   *bio = BIO_new_mem_buf(pem, -1);

	if (bio != NULL)
		key->public_key = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
	BIO_free(bio);
	ERR_clear_error();
	return key->public_key != NULL;
}

static bool
load_secret(TenancyTokenKey *key, const char *secret)
{
	EVP_MAC    *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	OSSL_PARAM	params[2];
	bool		ok;

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0);
	params[1] = OSSL_PARAM_construct_end();
	if (mac != NULL)
		key->secret = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	ok = key->secret != NULL &&
		EVP_MAC_init(key->secret, (const unsigned char *) secret, strlen(secret), params) == 1;
	ERR_clear_error();
	return ok;
}

static bool
load_key(TenancyTokenKey *key, const char *key_text)
{
	return key->algorithm == TENANCY_HS256 ?
		load_secret(key, key_text) : load_public_key(key, key_text);
}

/* Is the public key, which may be of any type, one for its algorithm? */
static bool
public_key_is_suitable(const TenancyTokenKey *key)
{
	EVP_PKEY_CTX *ctx;
	char		curve[32];
	bool		ok = EVP_PKEY_is_a(key->public_key, algorithms[key->algorithm].key_type);

	if (ok && key->algorithm == TENANCY_RS256)
		ok = EVP_PKEY_get_bits(key->public_key) >= MIN_RSA_BITS;
	if (ok && key->algorithm == TENANCY_ES256)
		ok = EVP_PKEY_get_group_name(key->public_key, curve, sizeof(curve), NULL) == 1 &&
			strcmp(curve, "prime256v1") == 0;
	if (ok)
	{
		/* for RSA, an exponent of 1, say; for EC, a point off the curve */
		ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->public_key, NULL);
		ok = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;
		EVP_PKEY_CTX_free(ctx);
	}
	ERR_clear_error();
	return ok;
}


/* ----------------------------------------------------------------
 * Signatures
 * ----------------------------------------------------------------
 */

/* Sign with an HS256 key; false if OpenSSL failed. */
bool
tenancy_token_key_sign(const TenancyTokenKey *key, const char *data, size_t len,
					   char signature[TENANCY_HS256_SIZE])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(key->secret);
	size_t		outlen = 0;
	bool		ok;

	ok = ctx != NULL &&
		EVP_MAC_update(ctx, (const unsigned char *) data, len) == 1 &&
		EVP_MAC_final(ctx, (unsigned char *) signature, &outlen, TENANCY_HS256_SIZE) == 1 &&
		outlen == TENANCY_HS256_SIZE;
	EVP_MAC_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

static bool
verify_secret(const TenancyTokenKey *key, const char *data, size_t len,
			  const char *signature, size_t signature_len)
{
	char		expected[TENANCY_HS256_SIZE];
	bool		ok;

	ok = signature_len == sizeof(expected) &&
		tenancy_token_key_sign(key, data, len, expected) &&
		CRYPTO_memcmp(expected, signature, sizeof(expected)) == 0;
	OPENSSL_cleanse(expected, sizeof(expected));
	return ok;
}

static bool
verify_public(const TenancyTokenKey *key, const char *data, size_t len,
			  const unsigned char *signature, size_t signature_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool		ok;

	ok = ctx != NULL &&
		EVP_DigestVerifyInit_ex(ctx, NULL, algorithms[key->algorithm].digest,
								NULL, NULL, key->public_key, NULL) == 1 &&
		EVP_DigestVerify(ctx, signature, signature_len,
						 (const unsigned char *) data, len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/* An ES256 signature is two numbers of 32 bytes; OpenSSL wants them as DER. */
static bool
verify_ecdsa(const TenancyTokenKey *key, const char *data, size_t len,
			 const char *signature, size_t signature_len)
{
	ECDSA_SIG  *numbers = NULL;
	BIGNUM	   *r = NULL;
	BIGNUM	   *s = NULL;
	unsigned char *der = NULL;
	int			der_len = -1;
	bool		ok = false;

	if (signature_len != 64)
		return false;
	numbers = ECDSA_SIG_new();
	r = BN_bin2bn((const unsigned char *) signature, 32, NULL);
	s = BN_bin2bn((const unsigned char *) signature + 32, 32, NULL);
	if (numbers != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(numbers, r, s) == 1)
	{
		r = s = NULL;			/* they are part of it now */
		der_len = i2d_ECDSA_SIG(numbers, &der);
	}
	if (der_len > 0)
		ok = verify_public(key, data, len, der, der_len);

	OPENSSL_free(der);
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(numbers);
	ERR_clear_error();
	return ok;
}

/* Is this the key's signature of data? */
bool
tenancy_token_key_verify(const TenancyTokenKey *key, const char *data, size_t len,
						 const char *signature, size_t signature_len)
{
	switch (key->algorithm)
	{
		case TENANCY_HS256:
			return verify_secret(key, data, len, signature, signature_len);
		case TENANCY_ES256:
			return verify_ecdsa(key, data, len, signature, signature_len);
		case TENANCY_RS256:
			return signature_len == EVP_PKEY_get_size(key->public_key) &&
				verify_public(key, data, len, (const unsigned char *) signature, signature_len);
		case TENANCY_EDDSA:
			return signature_len == 64 &&
				verify_public(key, data, len, (const unsigned char *) signature, signature_len);
	}
	return false;
}


/* ----------------------------------------------------------------
 * Looking up
 * ----------------------------------------------------------------
 */

static void
relcache_callback(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cache.tenant)
		cache.valid = false;
}

void
tenancy_token_key_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

/* Make the cache usable, emptying it where it is stale. */
static void
prepare_cache(void)
{
	if (cache.valid)
		return;
	if (cache.context != NULL)
		MemoryContextDelete(cache.context);
	memset(&cache, 0, sizeof(cache));
	cache.context = AllocSetContextCreate(CacheMemoryContext,
										  "tenancy token keys",
										  ALLOCSET_SMALL_SIZES);
	cache.tenant = tenancy_registry_relation("tenant");
	cache.relation = tenancy_registry_relation("token_key");
	cache.index = tenancy_registry_relation("token_key_pkey");
	cache.valid = true;
}

/* Make a key of its row, and cache it if that is allowed. */
static TenancyTokenKey *
read_key(HeapTuple tuple, TupleDesc desc)
{
	bool		may_cache;
	TenancyTokenKey *key;
	TenancyAlgorithm algorithm;
	MemoryContext old;
	Datum		value;
	bool		isnull;
	char	   *str;

	value = heap_getattr(tuple, Anum_token_key_algorithm, desc, &isnull);
	str = TextDatumGetCString(value);
	if (!parse_algorithm(str, &algorithm))
		elog(ERROR, "unrecognized token algorithm: \"%s\"", str);

	may_cache = cache.valid &&
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	key = new_key(may_cache ? cache.context : CurrentMemoryContext, algorithm);
	value = heap_getattr(tuple, Anum_token_key_kid, desc, &isnull);
	strlcpy(key->kid, TextDatumGetCString(value), sizeof(key->kid));
	value = heap_getattr(tuple, Anum_token_key_valid_from, desc, &isnull);
	if (!isnull)
		key->valid_from = DatumGetTimestampTz(value);
	value = heap_getattr(tuple, Anum_token_key_valid_until, desc, &isnull);
	if (!isnull)
		key->valid_until = DatumGetTimestampTz(value);

	value = heap_getattr(tuple, Anum_token_key_key, desc, &isnull);
	str = TextDatumGetCString(value);
	if (!load_key(key, str))
		elog(ERROR, "could not load token key \"%s\"", key->kid);
	OPENSSL_cleanse(str, strlen(str));

	if (may_cache)
	{
		old = MemoryContextSwitchTo(cache.context);
		cache.keys = lappend(cache.keys, key);
		MemoryContextSwitchTo(old);
	}
	return key;
}

/* Find a key's row; if kid is NULL, the row of the only key. */
static TenancyTokenKey *
fetch_key(const char *kid)
{
	Relation	rel = table_open(cache.relation, AccessShareLock);
	TenancyTokenKey *key = NULL;
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (kid != NULL)
		ScanKeyEntryInitialize(&scankey, 0, Anum_token_key_kid, BTEqualStrategyNumber,
							   InvalidOid, C_COLLATION_OID, F_TEXTEQ,
							   CStringGetTextDatum(kid));
	scan = systable_beginscan(rel, cache.index, kid != NULL, NULL,
							  kid != NULL ? 1 : 0, &scankey);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_copytuple(tuple);
		if (kid != NULL || !HeapTupleIsValid(systable_getnext(scan)))
			key = read_key(tuple, RelationGetDescr(rel));
		heap_freetuple(tuple);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return key;
}

/*
 * Find a key by its kid, which may be any text; without a kid, the only key
 * there is.  Returns NULL if there is no such key.
 */
const TenancyTokenKey *
tenancy_token_key_find(const char *kid)
{
	ListCell   *lc;

	/* A lock that we hold already would not make us read these. */
	AcceptInvalidationMessages();
	prepare_cache();
	if (kid == NULL)
		return fetch_key(NULL);
	if (strlen(kid) > TENANCY_KID_MAX)
		return NULL;
	foreach(lc, cache.keys)
	{
		TenancyTokenKey *key = lfirst(lc);

		if (strcmp(key->kid, kid) == 0)
			return key;
	}
	return fetch_key(kid);
}


/* ----------------------------------------------------------------
 * create_token_key, drop_token_key
 * ----------------------------------------------------------------
 */

/*
 * Show another text in place of the client's statement, which has a secret in it:
 * in pg_stat_activity, where others may see it for as long as the session does
 * nothing else, and in the log, should the statement fail later on.
 */
void
tenancy_token_key_hide_statement(const char *instead)
{
	debug_query_string = instead;
	pgstat_report_activity(STATE_RUNNING, instead);
}

/* The log must not hold the statement, which may hold the key. */
static void
refuse_key(const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid token key"),
			 errdetail("%s", detail),
			 hint != NULL ? errhint("%s", hint) : 0,
			 errhidestmt(true),
			 errhidecontext(true)));
}

static void
check_kid(const char *kid)
{
	size_t		len = strlen(kid);

	for (size_t i = 0; i < len; i++)
	{
		/* visible ASCII, which every encoding of JSON and databases shares */
		if (kid[i] <= ' ' || kid[i] > '~')
			len = 0;
	}
	if (len == 0 || len > TENANCY_KID_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid kid of a token key"),
				 errdetail("A kid has 1 to %d characters, all of them visible ASCII ones.",
						   TENANCY_KID_MAX),
				 errhidestmt(true),
				 errhidecontext(true)));
}

static void
check_secret(const char *key_text)
{
	if (strstr(key_text, PEM_BEGIN) != NULL)
		refuse_key("An HS256 key is a secret text, not a PEM.",
				   "For a public key, use the algorithm RS256, ES256 or EdDSA.");
	if (strlen(key_text) < MIN_SECRET_SIZE)
		refuse_key("An HS256 key must have at least 32 bytes.",
				   "Use a random one, from \"openssl rand -base64 48\" for example.");
}

/*
 * Nothing but one public key: OpenSSL would skip what comes before it, a
 * private key for example, and we would keep that.
 */
static void
check_pem(const char *key_text)
{
	size_t		len = strlen(key_text);

	if (strstr(key_text, "PRIVATE KEY-----") != NULL)
		refuse_key("This is a private key, which must not be in the database.",
				   "Get the public key with \"openssl pkey -pubout\", and regard a private key that was sent here as exposed.");
	while (len > 0 && strchr(" \t\r\n", key_text[len - 1]) != NULL)
		len--;
	if (strncmp(key_text, PEM_BEGIN_PUBLIC, strlen(PEM_BEGIN_PUBLIC)) != 0 ||
		strstr(key_text + 1, PEM_BEGIN) != NULL ||
		len < strlen(PEM_END_PUBLIC) ||
		strncmp(key_text + len - strlen(PEM_END_PUBLIC), PEM_END_PUBLIC, strlen(PEM_END_PUBLIC)) != 0)
		refuse_key("The key must be one PEM, from \"" PEM_BEGIN_PUBLIC "\" to \"" PEM_END_PUBLIC "\".",
				   "Get it with \"openssl pkey -pubout\", or from a certificate with \"openssl x509 -pubkey -noout\".");
}

/* The public key as OpenSSL writes it, so that only a key is ever stored. */
static char *
public_key_text(const TenancyTokenKey *key)
{
	char	   *pem = palloc(MAX_KEY_SIZE);
	BIO		   *bio = BIO_new(BIO_s_mem());
	int			len = -1;

	if (bio != NULL && PEM_write_bio_PUBKEY(bio, key->public_key) == 1)
		len = BIO_read(bio, pem, MAX_KEY_SIZE - 1);
	BIO_free(bio);
	ERR_clear_error();
	if (len <= 0)
		elog(ERROR, "could not write a public key");
	pem[len] = '\0';
	return pem;
}

/* Check a new key; returns the text to store. */
static char *
check_key(TenancyAlgorithm algorithm, char *key_text)
{
	TenancyTokenKey *key = new_key(CurrentMemoryContext, algorithm);

	if (strlen(key_text) > MAX_KEY_SIZE)
		refuse_key("A key must not have more than 8192 bytes.", NULL);
	if (algorithm == TENANCY_HS256)
	{
		check_secret(key_text);
		if (!load_secret(key, key_text))
			refuse_key("OpenSSL does not take it.", NULL);
		return key_text;
	}
	key_text += strspn(key_text, " \t\r\n");
	check_pem(key_text);
	if (!load_public_key(key, key_text))
		refuse_key("OpenSSL cannot read this PEM.", NULL);
	if (!public_key_is_suitable(key))
		refuse_key(algorithms[algorithm].requirement, NULL);
	return public_key_text(key);
}

/*
 * Insert the row.  The key is a parameter, not part of the statement, because
 * an error would quote that.  Returns false if there is such a kid already.
 */
static bool
insert_key(FunctionCallInfo fcinfo, const char *key)
{
	TenancyExec exec;
	Oid			types[6] = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[6];
	char		nulls[6];
	bool		inserted;

	for (int i = 0; i < lengthof(values); i++)
	{
		values[i] = fcinfo->args[i].value;
		nulls[i] = fcinfo->args[i].isnull ? 'n' : ' ';
	}
	values[2] = CStringGetTextDatum(key);

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (SPI_execute_with_args("INSERT INTO tenancy.token_key (kid, algorithm, key, valid_from, valid_until, dump)"
							  " VALUES ($1, $2, $3, $4, $5,"
							  " COALESCE($6, $2 OPERATOR(pg_catalog.<>) 'HS256'))"
							  " ON CONFLICT (kid) DO NOTHING",
							  lengthof(values), types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert a token key");
	inserted = SPI_processed > 0;
	tenancy_exec_end(&exec);
	return inserted;
}

/*
 * create_token_key(kid text, algorithm text, key text, valid_from timestamptz,
 * valid_until timestamptz, dump boolean)
 */
Datum
tenancy_token_create_key(PG_FUNCTION_ARGS)
{
	TenancyAlgorithm algorithm;
	char	   *kid;
	char	   *name;

	tenancy_token_key_hide_statement("SELECT tenancy.create_token_key(...)");
	tenancy_require_arg(fcinfo, 0, "kid");
	tenancy_require_arg(fcinfo, 1, "algorithm");
	tenancy_require_arg(fcinfo, 2, "key");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	kid = text_to_cstring(PG_GETARG_TEXT_PP(0));
	name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	check_kid(kid);
	if (!parse_algorithm(name, &algorithm))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized token algorithm"),
				 errhint("The algorithms are HS256, RS256, ES256 and EdDSA."),
				 errhidestmt(true),
				 errhidecontext(true)));
	if (!PG_ARGISNULL(3) && !PG_ARGISNULL(4) &&
		PG_GETARG_TIMESTAMPTZ(3) >= PG_GETARG_TIMESTAMPTZ(4))
		refuse_key("Its validity ends before it begins.", NULL);

	if (!insert_key(fcinfo, check_key(algorithm, text_to_cstring(PG_GETARG_TEXT_PP(2)))))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("token key \"%s\" already exists", kid),
				 errhint("Give the new key a kid of its own, so that both are good while tokens of the old one are in use."),
				 errhidestmt(true),
				 errhidecontext(true)));
	tenancy_database_share_keys();
	PG_RETURN_VOID();
}

/* drop_token_key(kid text) */
Datum
tenancy_token_drop_key(PG_FUNCTION_ARGS)
{
	TenancyExec exec;
	char	   *kid;

	tenancy_require_arg(fcinfo, 0, "kid");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	kid = text_to_cstring(PG_GETARG_TEXT_PP(0));
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (tenancy_exec_format("DELETE FROM tenancy.token_key WHERE kid OPERATOR(pg_catalog.=) %s",
							quote_literal_cstr(kid)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("token key \"%s\" does not exist", tenancy_ident_clip(kid))));
	tenancy_exec_end(&exec);
	tenancy_database_share_keys();
	PG_RETURN_VOID();
}
