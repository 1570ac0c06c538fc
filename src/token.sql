/* token.c, token_key.c: signed tokens that name the tenant */

/*
 * Ordinary roles read nothing of it, and no function or view gives a key away.
 * "dump" is the key's own: by default a public key goes into dumps, a secret
 * does not.
 */
CREATE TABLE tenancy.token_key (
	kid				text COLLATE "C" PRIMARY KEY,
	algorithm		text COLLATE "C" NOT NULL
					CHECK (algorithm OPERATOR(pg_catalog.=) ANY (ARRAY['HS256', 'RS256', 'ES256', 'EdDSA'])),
	key				text NOT NULL,
	valid_from		timestamptz,
	valid_until		timestamptz,
	dump			boolean NOT NULL,
	created_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE tenancy.token_key IS 'Keys with which tokens are checked: public keys, and the secrets of HS256';
COMMENT ON COLUMN tenancy.token_key.kid IS 'The key''s name in the header of tokens';
COMMENT ON COLUMN tenancy.token_key.valid_until IS 'Exclusive';
COMMENT ON COLUMN tenancy.token_key.dump IS 'Whether pg_dump includes the key';
REVOKE ALL ON TABLE tenancy.token_key FROM PUBLIC;
ALTER TABLE tenancy.token_key ENABLE ROW LEVEL SECURITY;	/* see catalog.sql */
SELECT pg_catalog.pg_extension_config_dump('tenancy.token_key', 'WHERE dump');

CREATE TRIGGER invalidate AFTER UPDATE OR DELETE OR TRUNCATE ON tenancy.token_key
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy.invalidate_registry();
ALTER TABLE tenancy.token_key ENABLE ALWAYS TRIGGER invalidate;

CREATE FUNCTION tenancy.set_tenant_token(token text, is_local boolean DEFAULT true)
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_token_set_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.set_tenant_token(text, boolean) IS
'Sets the tenant context to the tenant that a signed token (a JWT) names';

CREATE FUNCTION tenancy.create_token_key(kid text, algorithm text, key text,
										 valid_from timestamptz DEFAULT NULL,
										 valid_until timestamptz DEFAULT NULL,
										 dump boolean DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_token_create_key'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.create_token_key(text, text, text, timestamptz, timestamptz, boolean) IS
'Adds a key for checking tokens: a secret (HS256) or a public key in PEM form (RS256, ES256, EdDSA)';

CREATE FUNCTION tenancy.drop_token_key(kid text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_token_drop_key'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.drop_token_key(text) IS
'Removes a key, so that the tokens which it signed are no longer good';

CREATE FUNCTION tenancy.sign_token(tenant text, ttl interval, kid text DEFAULT NULL)
RETURNS text
AS 'MODULE_PATHNAME', 'tenancy_token_sign'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.sign_token(text, interval, text) IS
'Makes a token with an HS256 key, for tests and scripts';

REVOKE ALL ON FUNCTION tenancy.set_tenant_token(text, boolean),
	tenancy.create_token_key(text, text, text, timestamptz, timestamptz, boolean),
	tenancy.drop_token_key(text), tenancy.sign_token(text, interval, text)
	FROM PUBLIC;
