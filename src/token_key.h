/*-------------------------------------------------------------------------
 *
 * token_key.h
 *	  The keys that sign tokens: finding them, checking and making signatures.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TENANCY_TOKEN_KEY_H
#define TENANCY_TOKEN_KEY_H

#include "datatype/timestamp.h"

/* The longest kid */
#define TENANCY_KID_MAX			128

#define TENANCY_HS256_SIZE		32

typedef enum TenancyAlgorithm
{
	TENANCY_HS256,
	TENANCY_RS256,
	TENANCY_ES256,
	TENANCY_EDDSA
} TenancyAlgorithm;

/* These two are OpenSSL's EVP_PKEY and EVP_MAC_CTX; one of them is set. */
typedef struct TenancyTokenKey
{
	char		kid[TENANCY_KID_MAX + 1];
	TenancyAlgorithm algorithm;
	TimestampTz valid_from;
	TimestampTz valid_until;	/* exclusive */
	struct evp_pkey_st *public_key;
	struct evp_mac_ctx_st *secret;
} TenancyTokenKey;

extern void tenancy_token_key_init(void);

/* Good until the next lookup; kid NULL stands for the only key. */
extern const TenancyTokenKey *tenancy_token_key_find(const char *kid);

extern void tenancy_token_key_hide_statement(const char *instead);
extern const char *tenancy_token_key_algorithm(const TenancyTokenKey *key);
extern bool tenancy_token_key_verify(const TenancyTokenKey *key,
									 const char *data, size_t len,
									 const char *signature, size_t signature_len);
extern bool tenancy_token_key_sign(const TenancyTokenKey *key,
								   const char *data, size_t len,
								   char signature[TENANCY_HS256_SIZE]);

#endif							/* TENANCY_TOKEN_KEY_H */
