--
-- Tokens: what is taken, what is refused, and that a client cannot tell why.
-- The application side is done by ordinary roles.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_one LOGIN;
CREATE ROLE regress_none LOGIN;
CREATE ROLE "regress_müller" LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.item (id int PRIMARY KEY, name text);
GRANT USAGE ON SCHEMA regress_model TO regress_app, regress_one;
GRANT ALL ON regress_model.item TO regress_app, regress_one;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.protect_module('main');
SELECT tenancy.create_tenant('a', id => '00000000-0000-4000-8000-00000000000a');
SELECT tenancy.create_tenant('b', id => '00000000-0000-4000-8000-00000000000b');
SELECT tenancy.create_tenant('gone', id => '00000000-0000-4000-8000-00000000000c');
SELECT tenancy.create_tenant('regress-far', 'database', '00000000-0000-4000-8000-00000000000d');
SELECT tenancy.suspend_tenant('gone');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.grant_access('regress_müller');
SELECT tenancy.grant_access('regress_one', 'a');
INSERT INTO regress_model.item (id, name, tenant_id) VALUES (1, 'a1', '00000000-0000-4000-8000-00000000000a'), (2, 'b2', '00000000-0000-4000-8000-00000000000b');

-- A signer of our own, so that tokens can be wrong in every way.
CREATE SCHEMA regress_token;
GRANT USAGE ON SCHEMA regress_token TO PUBLIC;
CREATE FUNCTION regress_token.b64(data bytea) RETURNS text LANGUAGE sql IMMUTABLE
	AS $$ SELECT rtrim(translate(encode(data, 'base64'), E'+/\n', '-_'), '=') $$;
CREATE FUNCTION regress_token.b64(data text) RETURNS text LANGUAGE sql IMMUTABLE
	AS $$ SELECT regress_token.b64(convert_to(data, 'UTF8')) $$;
CREATE FUNCTION regress_token.hs256(data text, key text DEFAULT '0123456789abcdef0123456789abcdef') RETURNS text LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
	k bytea := convert_to(key, 'UTF8');
	ipad bytea := decode(repeat('36', 64), 'hex');
	opad bytea := decode(repeat('5c', 64), 'hex');
BEGIN
	IF length(k) > 64 THEN
		k := sha256(k);
	END IF;
	FOR i IN 0 .. length(k) - 1 LOOP
		ipad := set_byte(ipad, i, get_byte(ipad, i) # get_byte(k, i));
		opad := set_byte(opad, i, get_byte(opad, i) # get_byte(k, i));
	END LOOP;
	RETURN regress_token.b64(sha256(opad || sha256(ipad || convert_to(data, 'UTF8'))));
END
$$;
-- a token of this header and these claims, rightly signed
CREATE FUNCTION regress_token.jwt(header text, claims text) RETURNS text LANGUAGE sql IMMUTABLE
	AS $$ SELECT s || '.' || regress_token.hs256(s) FROM (SELECT regress_token.b64(header) || '.' || regress_token.b64(claims)) x (s) $$;
CREATE FUNCTION regress_token.jwt(claims text) RETURNS text LANGUAGE sql IMMUTABLE
	AS $$ SELECT regress_token.jwt('{"alg":"HS256","typ":"JWT","kid":"h1"}', claims) $$;
-- what the client sees
CREATE FUNCTION regress_token.try(token text) RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM tenancy.set_tenant_token(token);
	RETURN 'taken: ' || tenancy.current_tenant();
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, ''));
END
$$;

-- Keys: what is refused
SELECT tenancy.create_token_key(NULL, 'HS256', repeat('x', 32));
SELECT tenancy.create_token_key('k', NULL, repeat('x', 32));
SELECT tenancy.create_token_key('k', 'HS256', NULL);
SELECT tenancy.create_token_key('', 'HS256', repeat('x', 32));
SELECT tenancy.create_token_key('a key', 'HS256', repeat('x', 32));
SELECT tenancy.create_token_key('schlüssel', 'HS256', repeat('x', 32));
SELECT tenancy.create_token_key(repeat('k', 129), 'HS256', repeat('x', 32));
SELECT tenancy.create_token_key('k', 'none', '');
SELECT tenancy.create_token_key('k', 'hs256', repeat('x', 32));
SELECT tenancy.create_token_key('k', 'HS256', repeat('x', 31));
SELECT tenancy.create_token_key('k', 'HS256', repeat('x', 8193));
SELECT tenancy.create_token_key('k', 'RS256', repeat('x', 32));
SELECT tenancy.create_token_key('k', 'RS256', '');
SELECT tenancy.create_token_key('k', 'HS256', repeat('x', 32), '2026-02-01', '2026-01-01');
SELECT tenancy.drop_token_key(NULL);
SELECT tenancy.drop_token_key('k');
SELECT tenancy.sign_token('a', '1 min');
SELECT tenancy.sign_token('a', '1 min', 'k');

-- Keys of each type, and tokens that the private halves signed
SELECT $pem$-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyV8D5L84erAA9IxD9iRg
d6fiD2lCSDKd17xXMsAipxGpld6OIFp6YF56e82l5ins3zfiMkeHQVpqAV3U8YiY
NBnHzbvWPGFWVb/2D8j/aG+HbUz6ste472crBTtpLpCpR8kBwapmiE4LLbWRqb6u
ADRyriFIMli9LKecwWnc1/nvBdVfu9Q3Ao3hsrYcqvD09wUuqYTHUhC7imp9Jouk
959IJXvEKk9bgNPtZYoX3fdrj8Ndm7dPD2kRsJe1Of6uLjZ3nBoCjDW5zEzGuK31
PUdLNXtuKMDhZVIRC0VQcKRNVP13m2oom3h1TQF6ouKhuJYDp4xaobDhk/LoYlyX
CwIDAQAB
-----END PUBLIC KEY-----
$pem$ AS rsa_key \gset
SELECT $pem$-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+nfvwPvqAhlUjXg9hSx9Y85K+kyR
HQHzq/E00/kdSc+yo7JWIYVPC/m8KrdVRBWeDz/jojQfT2hChRz2dBVMzw==
-----END PUBLIC KEY-----
$pem$ AS ec_key \gset
SELECT $pem$-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAsGfiHG21MAURtnEllHi2DG8ArlwXIYLyh00pbv+BsRw=
-----END PUBLIC KEY-----
$pem$ AS ed_key \gset
SELECT $pem$-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCto2IC3JVxuUkz50KtiQ+SnTt2
dQxBUTqJY3cmhplA3iZYx7R3zdcDWXqx5XkkGR3TOHozrOXnPK5wpFlZ6pnJrvIe
wGIiJKrvw9Ly2nzTOg7Aws5QcRAF2VARD3WYlH6gWC6c0TRZOeRhZEp7XcQ1rZv2
KwAvr632y0IYnlVbWQIDAQAB
-----END PUBLIC KEY-----
$pem$ AS rsa1024_key \gset
SELECT $pem$-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEEXgcVZ0FhmcG7TRq2GW89vTNTFB+PEY0
4Fd7PYX7EVoh75IBO1UQgsxqQMMFy65RAVlroLTZxZVnXeAWUpdDAeKl/OOv5XHm
3JWPLy2AMm0LCEwqBppFltGBZK8hj4dg
-----END PUBLIC KEY-----
$pem$ AS ec384_key \gset
SELECT $pem$-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAOIS990JgKiOBBjyz0AYOkvj
FL/lZnflpeDhZZGakNY3ggvjSBgUBclJg5RXmWf1gKTVmsQYBenXw8fO/C3lGevb
EsvnrgpxazVLJFVHrFzRiYn8GqN/vQ5BeBJG38OqlCYq6DlM9IrYOz520kf3mnxj
wqrWWTa1kInfwnE0Kn8kc5hFTdg6vVvCgLaCveUdbRGHM/kd7ddsb7YtpFwexoD5
SBctTT2K4DlytGy5EYmG8K9zzhllp/BnDhedGUvB6xCi/ZIGS+jwkSBM64L3th2+
Jz+FQcK2SAPnLKpKjEve/vjIEXz9z2jgOwSNE/P49BFTAMw1XKbFXp1FW8DK590C
AwEAAQ==
-----END PUBLIC KEY-----
$pem$ AS pss_key \gset
\set rs256 eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.Ds4yGenXxS2PBiA3JFRNs_WMxhCjoP91QMi6xiT_EAYoOCVnA6hfOT9ZaG-qCZbw4pcHt0s0yuvrogwBqbMR_5NRQ1HUEjDhC6Oowxk3ZLuBBmJZPkyJ2GMQSgDWOlFYU49kq9_5Fm4nbiWfmjJ0dEYVbCy1ojPXTrFohXvrO-gX8MJrawEUX4afnD9ndNsUxDuL4eCoPoT-JapsLiP-heX-9SLh83rHywDOS57ysi7CEc0_CW7BHDISkOg8JruHiGg6g8e0pAjzVOfVrdNF70zJI7R47B4n9et9cLGbwGDKtl2FphJUQYScEeRR6tLT6BjBi6BBCFFAJ-rY6EpOew
\set es256 eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.b7mizz7RTHhuOR7jBvUt4vx6HLO7gSAngaw0dxqGHCt8XxxEbz4rqQP2bdGCMOh-hAcsMCsE9x6wAC8btyANNg
\set eddsa eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.Fj0ZH22aJ3gw7SRsSjY5n0rPQmAKwr5GqDrnuLfkJl8AyX4bRnWnffRv1vF5XDver0dGdXP9fdjGi4MY_kBZBA
\set rs256_pss eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.NTrdC_yHF6P8C98OdGd7YEaBmPQTqztE9TVKimDGsjs3E1SDU8MiI7W40jbN0sX9s3w58rVmCSW8fO7mmXAXaa0oJQ7N7YakzG5XxqMnpXMd7ysyBrA6GNx_ADECfeSTPxC2PVwZBrtuzrR3uOCu1aK21-eAscoNld_BHHdXAIFKHUNCTGML4a1fRgAyiSAN4D-3SUhh8-_Dr4lq9Ze7CbUcHUQUqJwLLuPcbcKhMrEdptPrah1obynekziOQ1-jGpbakxSKThUYxf1oLG0l5OZNG_WkQGtqjGJ9KkP8wyLmJeeyQc0ggz-8CCmApb23GWteCZT46HxwQSmZM8LmpA
\set rs256_sha512 eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.s3Abc-hJpFOtTcqupo5YLf6owNAe2VnFaKqs-sNp6a13HPmmnDpg4_6mLe1WAF0oBoQTWHqpM6kjVrjsqEZ303ZptPUVUBlMOu1y0iiCys7q1d8zUDM3PHROjiun2paduqFoSRiuZ90lqOh0ol4QcZQKS-U7h5zQTTTzX-XN02x4QNJy7KKcwIYLe0FOaPORbJi84JYuA8uu4dPlEG8DLJOGTV8rzHPWpPHg7mKMv5QguwqvbxFFEKo8A3uSKofc0iSEXQFv4yOaOGohNJeLLxMhLGtnG4wOCNxPwGtTv2UKnwd4llJW6GCinfe-es0NCRsbjk3QFHYMOycyUlEqQQ
\set ps256 eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.FXBvCDe2U9F-9-qQjzXoP9O0cQ15h9ESNi_WjC5Mm-fXkX6TXCl4J-0I_YPv-fXD4JzfwiaLEAC8GJ7bSbgU4szC7jP-0PgDqGRlhkX8M22PzXchXFUqasAbTz5RNVDjhXi6VqrwXItM9fcuKhuSp1Y6owJXkQjga2iEv4TI0XbszqQQPPl4f3M-0X4lSXQbmBd3ospgeTCkS-MiaKs9Avhhw0nAWzNkXxqenBw0_NF7wLGIVvT1T5PguLhfnKPlQDw_HfoHECbNxZ4hBMGS4m8c7lgrcD4AeQmoS7Gmfq81MltP7T_3QITsgDSfv6hECGRvdFT35s_JUTrSvQxGGQ
\set es256_der eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.MEYCIQDbS-Pvc_pVMUJQv4Z58OtZcmK7saVF4kogBSF8TtqUFwIhAI2rg9LYjqA7-uU1ZDcdx65EGa92d1WoQWhcsw3b4xCN
\set es256_zero eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
\set eddsa_zero eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
\set rs_for_ec eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImVjIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.vkoHR_p58XVHhMSHCZBVEF5vm-0XYdLB9FTaMfcv3ECZ1ijYPPhpHxHg58qsgKlWDvUMSisVoo3NXorFhLzVGSmiIkf1Mier0TESMiM4b5f3i2ecaCD40fJcOCFs5uehnxkAnQIvmXqqo8sdBmhV6MkFDSZU3KGB4jJ1Ny3Tih-zHLxfz92sVIYZ_coLhICZ_zs-grkWkhtuRGmRQqyuL5RzeDw5rV15muIYy-EAiIptk4187ZmHh9iUlsXzTkIMLsOZU_kp2A6IT03Djh-naeATLyMFKczXVNTWNz6MJQDBlrD9DVSbtjpXlND9XFV325s8KoVXa2qy9F2TeFtvbA
\set es_for_rsa eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.0vXlu1zq6JdWrZTaV6PIIhCo3IDdY8pZ3El0i55aA1BDaubqD6XmuCDV970NKe1IXf2HDcYzi85rQ9aAM3JU1w
\set eddsa_expired eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImVkIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjoxNzAwMDAwMDAwfQ.BIkay1sQ54V5ZhvVs_A4EbMYrnXaP1njTaLJ6PJlx-JHht1kI1T3T3iWkk5QVnXplAmSiH2aoAC5e4mJsHxTCA
SELECT tenancy.create_token_key('k', 'RS256', :'rsa1024_key');
SELECT tenancy.create_token_key('k', 'RS256', :'pss_key');
SELECT tenancy.create_token_key('k', 'RS256', :'ec_key');
SELECT tenancy.create_token_key('k', 'ES256', :'ec384_key');
SELECT tenancy.create_token_key('k', 'ES256', :'ed_key');
SELECT tenancy.create_token_key('k', 'EdDSA', :'rsa_key');
SELECT tenancy.create_token_key('k', 'HS256', :'rsa_key');
SELECT tenancy.create_token_key('k', 'EdDSA', replace(:'ed_key', 'PUBLIC', 'PRIVATE'));
SELECT tenancy.create_token_key('k', 'EdDSA', :'ed_key' || replace(:'ed_key', 'PUBLIC', 'PRIVATE'));
SELECT tenancy.create_token_key('k', 'EdDSA', :'ed_key' || :'ed_key');
SELECT tenancy.create_token_key('k', 'EdDSA', 'my key: ' || :'ed_key');
SELECT tenancy.create_token_key('k', 'RS256', replace(:'rsa_key', 'PUBLIC KEY', 'RSA PUBLIC KEY'));
SELECT tenancy.create_token_key('k', 'RS256', replace(:'rsa_key', 'PUBLIC KEY', 'CERTIFICATE'));
SELECT tenancy.create_token_key('k', 'RS256', replace(:'rsa_key', 'A', 'B'));
SELECT count(*) FROM tenancy.token_key;

-- Without a kid, the only key counts.
SELECT tenancy.create_token_key('h1', 'HS256', '0123456789abcdef0123456789abcdef');
SELECT regress_token.try(regress_token.jwt('{"alg":"HS256"}', '{"tenant":"a","exp":4102444800}'));
SELECT tenancy.create_token_key('rsa', 'RS256', E'\n' || :'rsa_key' || E'\n \n');
SELECT tenancy.create_token_key('ec', 'ES256', :'ec_key');
SELECT tenancy.create_token_key('ed', 'EdDSA', :'ed_key');
SELECT regress_token.try(regress_token.jwt('{"alg":"HS256"}', '{"tenant":"a","exp":4102444800}'));
SELECT tenancy.create_token_key('h1', 'HS256', repeat('x', 32));
SELECT tenancy.create_token_key('late', 'HS256', '0123456789abcdef0123456789abcdef', valid_until => now() - interval '1 s');
SELECT tenancy.create_token_key('early', 'HS256', '0123456789abcdef0123456789abcdef', now() + interval '1 d');
SELECT tenancy.create_token_key('now', 'HS256', '0123456789abcdef0123456789abcdef', now() - interval '1 d', now() + interval '1 d', true);
SELECT kid, algorithm, key LIKE E'-----BEGIN PUBLIC KEY-----\n%-----END PUBLIC KEY-----\n' AS pem, dump FROM tenancy.token_key ORDER BY kid;

SELECT current_user AS admin \gset
\c - regress_app

-- Not an ordinary role's business
SELECT key FROM tenancy.token_key;
SELECT tenancy.create_token_key('k', 'HS256', repeat('x', 32));
SELECT tenancy.drop_token_key('h1');
SELECT tenancy.sign_token('a', '1 min', 'h1');
SELECT tenancy.set_tenant_token(NULL);
SELECT tenancy.set_tenant_token('x', NULL);
SET tenancy.token_leeway = 300;
SET tenancy.require_token = on;

-- Taken
SELECT name, regress_token.try(token) FROM (VALUES
	('HS256', regress_token.jwt('{"tenant":"a","exp":4102444800}')),
	('RS256', :'rs256'),
	('ES256', :'es256'),
	('EdDSA', :'eddsa'),
	('key with a validity', regress_token.jwt('{"alg":"HS256","kid":"now"}', '{"tenant":"a","exp":4102444800}')),
	('unknown members of the header', regress_token.jwt('{"alg":"HS256","kid":"h1","jku":"http://evil.example/","x5c":[{"a":[]}]}', '{"tenant":"a","exp":4102444800}')),
	('by id', regress_token.jwt('{"tenant":"00000000-0000-4000-8000-00000000000a","exp":4102444800}')),
	('fraction', regress_token.jwt('{"tenant":"a","exp":4102444800.25}')),
	('exponent', regress_token.jwt('{"tenant":"a","exp":4.1024448e9}')),
	('white space in JSON', regress_token.jwt(E'\n{ "tenant" : "a",\t"exp":4102444800 }\r\n')),
	('escapes', regress_token.jwt('{"\u0074enant":"\u0061","exp":4102444800}')),
	('other claims', regress_token.jwt('{"sub":"x","iat":0,"groups":[{"a":[1,null,"b"]},["c"]],"o":{"tenant":"b","exp":0},"n":null,"tenant":"a","exp":4102444800}')),
	('other claims, 32 deep', regress_token.jwt('{"x":' || repeat('[', 31) || repeat(']', 31) || ',"tenant":"a","exp":4102444800}')),
	('brackets in strings', regress_token.jwt('{"x":"\"\\' || repeat('[{', 100) || '","tenant":"a","exp":4102444800}')),
	('names of JavaScript''s prototypes', regress_token.jwt('{"__proto__":{},"tenant":"a","exp":4102444800}')),
	('nbf', regress_token.jwt('{"tenant":"a","exp":4102444800,"nbf":0}')),
	('aud', regress_token.jwt(format('{"tenant":"a","exp":4102444800,"aud":"%s"}', current_database()))),
	('aud, one of several', regress_token.jwt(format('{"tenant":"a","exp":4102444800,"aud":["x","%s",""]}', current_database()))),
	('role', regress_token.jwt('{"tenant":"a","exp":4102444800,"role":"regress_app"}')),
	('nearly 16 kB', regress_token.jwt('{"tenant":"a","exp":4102444800,"x":"' || repeat('x', 12100) || '"}'))
) t (name, token);

-- Refused: how it is written
SELECT name, regress_token.try(token) FROM
	(SELECT regress_token.jwt('{"tenant":"a","exp":4102444800}')) g (good),
	LATERAL (SELECT split_part(good, '.', 1), split_part(good, '.', 2), split_part(good, '.', 3)) p (header, claims, signature),
	LATERAL (VALUES
	('empty', ''),
	('one part', header),
	('two parts', header || '.' || claims),
	('four parts', good || '.' || signature),
	('five parts, as if encrypted', good || '.' || signature || '.' || signature),
	('dots only', '..'),
	('dot in front', '.' || good),
	('dot behind', good || '.'),
	('empty header', '.' || claims || '.' || signature),
	('empty claims', header || '..' || signature),
	('empty signature', header || '.' || claims || '.'),
	('space in front', ' ' || good),
	('space behind', good || ' '),
	('new line behind', good || E'\n'),
	('new line in a part', header || '.' || claims || E'.\n' || signature),
	('Bearer', 'Bearer ' || good),
	('padding behind', good || '='),
	('padding in claims', regress_token.b64('{"alg":"HS256","kid":"h1"}') || '.' || claims || '==.' ||
		regress_token.hs256(regress_token.b64('{"alg":"HS256","kid":"h1"}') || '.' || claims || '==')),
	('other alphabet in the signature', header || '.' || claims || '.' || left(signature, 41) || '+/'),
	('other alphabet, signed', (SELECT h || '.' || claims || '.' || regress_token.hs256(h || '.' || claims)
		FROM (SELECT encode('{"alg":"HS256","kid":"h1","x":"~~~???"}', 'base64')) x (h))),
	('not ASCII', header || '.' || claims || '.' || left(signature, 42) || 'ü'),
	('last character cut off', left(good, -1)),
	('last two characters cut off', left(good, -2)),
	('signature of 16 bytes', header || '.' || claims || '.' || left(signature, 21) || 'A'),
	('one character more', good || 'A'),
	('bits left over in the signature', header || '.' || claims || '.' || left(signature, 42) ||
		translate(right(signature, 1), 'AEIMQUYcgkosw048', 'BFJNRVZdhlptx159')),
	('bits left over in the claims, signed', (SELECT header || '.' || c || '.' || regress_token.hs256(header || '.' || c)
		FROM (SELECT left(regress_token.b64('{"tenant":"a","exp":4102444800 }'), -1) || translate(right(regress_token.b64('{"tenant":"a","exp":4102444800 }'), 1), '0', '1')) x (c))),
	('a zero for a signature', header || '.' || claims || '.' || regress_token.b64(decode(repeat('00', 32), 'hex'))),
	('signature of other claims', header || '.' || regress_token.b64('{"tenant":"b","exp":4102444800}') || '.' || signature),
	('signature of another header', regress_token.b64('{"alg":"HS256","kid":"h1"}') || '.' || claims || '.' || signature),
	('signed with another secret', header || '.' || claims || '.' || regress_token.hs256(header || '.' || claims, repeat('x', 32))),
	('signed with the empty secret', header || '.' || claims || '.' || regress_token.hs256(header || '.' || claims, '')),
	('JSON serialization', format('{"protected":"%s","payload":"%s","signature":"%s"}', header, claims, signature)),
	('over 16 kB', regress_token.jwt('{"tenant":"a","exp":4102444800,"x":"' || repeat('x', 12300) || '"}')),
	('1 MB of claims', header || '.' || repeat('A', 1024 * 1024) || '.' || signature),
	('1 MB of dots', repeat('.', 1024 * 1024))
) t (name, token);

-- Refused: the header
SELECT name, regress_token.try(CASE WHEN token LIKE '{%' OR token NOT LIKE 'eyJ%' THEN
	regress_token.jwt(token, '{"tenant":"a","exp":4102444800}') ELSE token END) FROM (VALUES
	('alg none', '{"alg":"none","kid":"h1"}'),
	('alg None', '{"alg":"None","kid":"h1"}'),
	('alg NONE', '{"alg":"NONE","kid":"h1"}'),
	('alg none, no signature', regress_token.b64('{"alg":"none"}') || '.' || regress_token.b64('{"tenant":"a","exp":4102444800}') || '.'),
	('alg none, no kid', '{"alg":"none"}'),
	('alg hs256', '{"alg":"hs256","kid":"h1"}'),
	('alg HS512', '{"alg":"HS512","kid":"h1"}'),
	('alg empty', '{"alg":"","kid":"h1"}'),
	('alg null', '{"alg":null,"kid":"h1"}'),
	('alg array', '{"alg":["HS256"],"kid":"h1"}'),
	('alg missing', '{"kid":"h1"}'),
	('alg twice', '{"alg":"HS256","alg":"HS256","kid":"h1"}'),
	('alg twice, by escape', '{"alg":"HS256","\u0061lg":"HS256","kid":"h1"}'),
	('alg with a zero', '{"alg":"HS256\u0000","kid":"h1"}'),
	('kid missing', '{"alg":"HS256"}'),
	('kid unknown', '{"alg":"HS256","kid":"h2"}'),
	('kid empty', '{"alg":"HS256","kid":""}'),
	('kid number', '{"alg":"HS256","kid":1}'),
	('kid null', '{"alg":"HS256","kid":null}'),
	('kid object', '{"alg":"HS256","kid":{"kid":"h1"}}'),
	('kid twice', '{"alg":"HS256","kid":"ec","kid":"h1"}'),
	('kid in upper case', '{"alg":"HS256","kid":"H1"}'),
	('kid with a quote', '{"alg":"HS256","kid":"h1'' OR true --"}'),
	('kid with a file name', '{"alg":"HS256","kid":"../../../../dev/null"}'),
	('kid very long', '{"alg":"HS256","kid":"' || repeat('h', 10000) || '"}'),
	('typ at+jwt', '{"alg":"HS256","kid":"h1","typ":"at+jwt"}'),
	('typ null', '{"alg":"HS256","kid":"h1","typ":null}'),
	('crit', '{"alg":"HS256","kid":"h1","crit":["exp"],"exp":4102444800}'),
	('crit empty', '{"alg":"HS256","kid":"h1","crit":[]}'),
	('unencoded claims', '{"alg":"HS256","kid":"h1","b64":false,"crit":["b64"]}'),
	('member twice', '{"x":1,"alg":"HS256","kid":"h1","x":1}'),
	('key expired', '{"alg":"HS256","kid":"late"}'),
	('key not valid yet', '{"alg":"HS256","kid":"early"}'),
	('array', '[{"alg":"HS256","kid":"h1"}]'),
	('arrays', '[[{"alg":"HS256"}],[["kid"]]]'),
	('string', '"HS256"'),
	('null', 'null'),
	('empty object', '{}'),
	('cut off', '{"alg":"HS256","kid":"h1"'),
	('more behind', '{"alg":"HS256","kid":"h1"}{}'),
	('comma behind', '{"alg":"HS256","kid":"h1",}'),
	('not JSON', '{alg:HS256,kid:h1}'),
	('nested 5000 deep', '{"x":' || repeat('[', 5000) || repeat(']', 5000) || ',"alg":"HS256","kid":"h1"}'),
	('nested and not closed', repeat('{"a":', 2000)),
	('HS256 with an RSA key''s kid', '{"alg":"HS256","kid":"rsa"}'),
	('the RSA key as secret', (SELECT s || '.' || regress_token.hs256(s, :'rsa_key') FROM (SELECT regress_token.b64('{"alg":"HS256","kid":"rsa"}') || '.' || regress_token.b64('{"tenant":"a","exp":4102444800}')) x (s))),
	('the RSA key as secret, no kid', (SELECT s || '.' || regress_token.hs256(s, :'rsa_key') FROM (SELECT regress_token.b64('{"alg":"HS256"}') || '.' || regress_token.b64('{"tenant":"a","exp":4102444800}')) x (s))),
	('the RSA key as secret, its last new line off', (SELECT s || '.' || regress_token.hs256(s, rtrim(:'rsa_key', E'\n')) FROM (SELECT regress_token.b64('{"alg":"HS256","kid":"rsa"}') || '.' || regress_token.b64('{"tenant":"a","exp":4102444800}')) x (s))),
	('RS256 with an HS256 key''s kid', '{"alg":"RS256","kid":"h1"}'),
	('RS256, signed with PSS', :'rs256_pss'),
	('RS256, signed with SHA-512', :'rs256_sha512'),
	('PS256', :'ps256'),
	('ES256, signature in DER', :'es256_der'),
	('ES256, signature of zeros', :'es256_zero'),
	('EdDSA, signature of zeros', :'eddsa_zero'),
	('RS256 with an EC key''s kid', :'rs_for_ec'),
	('ES256 with an RSA key''s kid', :'es_for_rsa'),
	('RS256, signature cut off', left(:'rs256', -2)),
	('RS256, claims changed', split_part(:'rs256', '.', 1) || '.' || regress_token.b64('{"tenant":"b","exp":4102444800}') || '.' || split_part(:'rs256', '.', 3)),
	('ES256, claims changed', split_part(:'es256', '.', 1) || '.' || regress_token.b64('{"tenant":"b","exp":4102444800}') || '.' || split_part(:'es256', '.', 3)),
	('EdDSA, claims changed', split_part(:'eddsa', '.', 1) || '.' || regress_token.b64('{"tenant":"b","exp":4102444800}') || '.' || split_part(:'eddsa', '.', 3))
) t (name, token);

-- Refused: the claims, rightly signed
SELECT name, regress_token.try(regress_token.jwt(claims)) FROM (VALUES
	('empty object', '{}'),
	('array', '["tenant","a"]'),
	('null', 'null'),
	('not JSON', 'tenant=a'),
	('cut off', '{"tenant":"a","exp":4102444800'),
	('more behind', '{"tenant":"a","exp":4102444800} {}'),
	('NaN', '{"tenant":"a","exp":NaN}'),
	('Infinity', '{"tenant":"a","exp":Infinity}'),
	('tenant missing', '{"exp":4102444800}'),
	('tenant null', '{"tenant":null,"exp":4102444800}'),
	('tenant number', '{"tenant":1,"exp":4102444800}'),
	('tenant true', '{"tenant":true,"exp":4102444800}'),
	('tenant array', '{"tenant":["a"],"exp":4102444800}'),
	('tenant object', '{"tenant":{"tenant":"a"},"exp":4102444800}'),
	('tenant twice', '{"tenant":"b","exp":4102444800,"tenant":"a"}'),
	('tenant twice, the same', '{"tenant":"a","exp":4102444800,"tenant":"a"}'),
	('tenant twice, by escape', '{"tenant":"a","exp":4102444800,"tenan\u0074":"b"}'),
	('tenant with a zero', '{"tenant":"a\u0000b","exp":4102444800}'),
	('tenant in a nested object', '{"x":{"tenant":"a"},"exp":4102444800}'),
	('Tenant', '{"Tenant":"a","exp":4102444800}'),
	('lone surrogate', '{"tenant":"a","exp":4102444800,"x":"\ud800"}'),
	('bad escape', '{"tenant":"a","exp":4102444800,"x":"\x61"}'),
	('control character', E'{"tenant":"a","exp":4102444800,"x":"\x01"}'),
	('exp missing', '{"tenant":"a"}'),
	('exp null', '{"tenant":"a","exp":null}'),
	('exp string', '{"tenant":"a","exp":"4102444800"}'),
	('exp array', '{"tenant":"a","exp":[4102444800]}'),
	('exp object', '{"tenant":"a","exp":{"exp":4102444800}}'),
	('exp true', '{"tenant":"a","exp":true}'),
	('exp twice', '{"tenant":"a","exp":0,"exp":4102444800}'),
	('exp in a nested object', '{"tenant":"a","x":{"exp":4102444800}}'),
	('exp 0', '{"tenant":"a","exp":0}'),
	('exp -1', '{"tenant":"a","exp":-1}'),
	('exp 1e400', '{"tenant":"a","exp":1e400}'),
	('exp -1e400', '{"tenant":"a","exp":-1e400}'),
	('exp 1e308', '{"tenant":"a","exp":1e308}'),
	('exp 1e-400', '{"tenant":"a","exp":1e-400}'),
	('exp 99999999999999999999', '{"tenant":"a","exp":99999999999999999999}'),
	('exp 9223372036854775808', '{"tenant":"a","exp":9223372036854775808}'),
	('exp of 10000 digits', '{"tenant":"a","exp":' || repeat('9', 10000) || '}'),
	('exp in milliseconds', '{"tenant":"a","exp":4102444800000}'),
	('exp 0x', '{"tenant":"a","exp":0xF4865700}'),
	('exp 04102444800', '{"tenant":"a","exp":04102444800}'),
	('exp +4102444800', '{"tenant":"a","exp":+4102444800}'),
	('expired', '{"tenant":"a","exp":1700000000}'),
	('expired a moment ago', format('{"tenant":"a","exp":%s}', extract(epoch FROM clock_timestamp()))),
	('nbf to come', '{"tenant":"a","exp":4102444800,"nbf":4102444799}'),
	('nbf string', '{"tenant":"a","exp":4102444800,"nbf":"0"}'),
	('nbf 1e400', '{"tenant":"a","exp":4102444800,"nbf":1e400}'),
	('nbf -1e400', '{"tenant":"a","exp":4102444800,"nbf":-1e400}'),
	('nbf null', '{"tenant":"a","exp":4102444800,"nbf":null}'),
	('aud wrong', '{"tenant":"a","exp":4102444800,"aud":"elsewhere"}'),
	('aud in upper case', format('{"tenant":"a","exp":4102444800,"aud":"%s"}', upper(current_database()))),
	('aud empty', '{"tenant":"a","exp":4102444800,"aud":""}'),
	('aud array without us', '{"tenant":"a","exp":4102444800,"aud":["x","y"]}'),
	('aud empty array', '{"tenant":"a","exp":4102444800,"aud":[]}'),
	('aud mixed array', format('{"tenant":"a","exp":4102444800,"aud":["%s",1]}', current_database())),
	('aud nested array', format('{"tenant":"a","exp":4102444800,"aud":[["%s"]]}', current_database())),
	('aud array of objects', format('{"tenant":"a","exp":4102444800,"aud":["%s",{"x":1}]}', current_database())),
	('aud object', format('{"tenant":"a","exp":4102444800,"aud":{"aud":"%s"}}', current_database())),
	('aud null', '{"tenant":"a","exp":4102444800,"aud":null}'),
	('aud of another claim', format('{"tenant":"a","exp":4102444800,"x":["%s"],"aud":["y"]}', current_database())),
	('role wrong', '{"tenant":"a","exp":4102444800,"role":"regress_one"}'),
	('role in upper case', '{"tenant":"a","exp":4102444800,"role":"REGRESS_APP"}'),
	('role array', '{"tenant":"a","exp":4102444800,"role":["regress_app"]}'),
	('role null', '{"tenant":"a","exp":4102444800,"role":null}'),
	('role empty', '{"tenant":"a","exp":4102444800,"role":""}'),
	('nested too deeply', '{"x":' || repeat('[', 32) || repeat(']', 32) || ',"tenant":"a","exp":4102444800}')
) t (name, claims);
SELECT name, regress_token.try(s || '.' || regress_token.hs256(s)) FROM (VALUES
	('not UTF-8', '\x7b2274656e616e74223a2261222c22657870223a343130323434343830302c2278223a22ff227d'::bytea),
	('overlong UTF-8', '\x7b2274656e616e74223a2261222c22657870223a343130323434343830302c2278223a22c0af227d'),
	('zero byte', '\x7b2274656e616e74223a2261222c22657870223a343130323434343830307d00'),
	('byte order mark', '\xefbbbf7b2274656e616e74223a2261222c22657870223a343130323434343830307d')
) t (name, claims), LATERAL (SELECT regress_token.b64('{"alg":"HS256","kid":"h1"}') || '.' || regress_token.b64(claims)) x (s);
SELECT name, regress_token.try(token) FROM (VALUES
	('EdDSA, expired', :'eddsa_expired')
) t (name, token);

-- A good token does what set_tenant() does, with its checks.
SELECT tenancy.set_tenant_token(:'eddsa');
BEGIN;
SELECT tenancy.set_tenant_token(:'eddsa');
SELECT tenancy.current_tenant();
SHOW search_path;
SELECT id, name FROM item;
SAVEPOINT s;
SELECT tenancy.set_tenant_token(regress_token.jwt('{"tenant":"b","exp":4102444800}'));
ROLLBACK TO s;
SELECT tenancy.current_tenant();
COMMIT;
SELECT tenancy.current_tenant();
SELECT tenancy.set_tenant_token(:'es256', is_local => false);
SELECT id, name FROM item;
SELECT tenancy.set_tenant_token('x', false);
SELECT tenancy.current_tenant();
SELECT tenancy.reset_tenant();
SELECT regress_token.try(regress_token.jwt('{"tenant":"unknown","exp":4102444800}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"","exp":4102444800}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"gone","exp":4102444800}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"regress-far","exp":4102444800}'));
\c - regress_one
SELECT regress_token.try(regress_token.jwt('{"tenant":"a","exp":4102444800}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"b","exp":4102444800}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"unknown","exp":4102444800}'));
\c - regress_none
SELECT regress_token.try(regress_token.jwt('{"tenant":"a","exp":4102444800}'));

-- The role is the one that acts, not the owner of a function; names need not be ASCII.
\c - :admin
CREATE FUNCTION regress_token.definer(token text) RETURNS text LANGUAGE sql SECURITY DEFINER
	AS $$ SELECT regress_token.try(token) $$;
SET ROLE regress_app;
SELECT regress_token.try(regress_token.jwt('{"tenant":"a","exp":4102444800,"role":"regress_app"}'));
SELECT regress_token.definer(regress_token.jwt('{"tenant":"a","exp":4102444800,"role":"regress_app"}'));
SELECT regress_token.definer(regress_token.jwt(format('{"tenant":"a","exp":4102444800,"role":"%s"}', :'admin')));
SET ROLE "regress_müller";
SELECT regress_token.try(regress_token.jwt('{"tenant":"a","exp":4102444800,"role":"regress_müller"}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"a","exp":4102444800,"role":"regress_m\u00fcller"}'));
SELECT regress_token.try(regress_token.jwt('{"tenant":"a","exp":4102444800,"role":"regress_muller"}'));
RESET ROLE;

-- Signing
SELECT tenancy.sign_token(NULL, '1 h');
SELECT tenancy.sign_token('a', NULL);
SELECT tenancy.sign_token('unknown', '1 h');
SELECT tenancy.sign_token('a', '1 h', 'unknown');
SELECT tenancy.sign_token('a', '1 h', 'rsa');
SELECT tenancy.sign_token('a', '9000 years');
SELECT tenancy.sign_token('a', '-60 years');
SELECT convert_from(decode(rpad(h, (length(h) + 3) / 4 * 4, '='), 'base64'), 'UTF8') AS header
	FROM tenancy.sign_token('a', '1 h', 'now') token, split_part(token, '.', 1) h;
SELECT regexp_replace(convert_from(decode(rpad(c, (length(c) + 3) / 4 * 4, '='), 'base64'), 'UTF8')::text, '\d+\.\d{6}', 'T') LIKE '{"tenant":"00000000-0000-4000-8000-00000000000d","aud":"tenant_regress-far","exp":T}' AS claims
	FROM tenancy.sign_token('regress-far', '1 h', 'h1') token, translate(split_part(token, '.', 2), '-_', '+/') c;
SELECT regress_token.try(tenancy.sign_token('a', '1 h'));	-- the newest valid key
SELECT regress_token.try(tenancy.sign_token('a', '1 h', 'h1'));
SELECT regress_token.try(tenancy.sign_token('a', '1 h', 'late'));
SELECT regress_token.try(tenancy.sign_token('a', '-1 s', 'h1'));

-- The leeway counts at both ends.
SELECT tenancy.sign_token('a', '-10 s', 'h1') AS late \gset
SELECT regress_token.jwt(format('{"tenant":"a","exp":4102444800,"nbf":%s}', extract(epoch FROM clock_timestamp() + interval '100 s'))) AS early \gset
SELECT regress_token.try(:'late'), regress_token.try(:'early');
SET tenancy.token_leeway = '5min';
SELECT regress_token.try(:'late'), regress_token.try(:'early');
RESET tenancy.token_leeway;

-- A token expires within a transaction: what is right at its beginning is not for ever.
\c - regress_app
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT regress_token.jwt(format('{"tenant":"a","exp":%s}', extract(epoch FROM now() + interval '1 s'))) AS short,
	regress_token.jwt(format('{"tenant":"a","exp":%s}', extract(epoch FROM now() + interval '1 d'))) AS long \gset
SELECT tenancy.set_tenant_token(:'long');
SELECT count(*) FROM item;
SELECT FROM pg_sleep(1.1);
SELECT tenancy.set_tenant_token(:'short');
ROLLBACK;

-- A key dropped, rolled back, changed
\c - :admin
SELECT regress_token.jwt('{"tenant":"a","exp":4102444800}') AS token \gset
SELECT regress_token.try(:'token');
BEGIN;
SELECT tenancy.drop_token_key('h1');
SELECT regress_token.try(:'token');
ROLLBACK;
SELECT regress_token.try(:'token');
BEGIN;
SELECT tenancy.create_token_key('h3', 'HS256', repeat('y', 80));
SELECT regress_token.try(regress_token.jwt('{"alg":"HS256","kid":"h3"}', '{"tenant":"a","exp":4102444800}'));
SELECT regress_token.try(s || '.' || regress_token.hs256(s, repeat('y', 80)))
	FROM (SELECT regress_token.b64('{"alg":"HS256","kid":"h3"}') || '.' || regress_token.b64('{"tenant":"a","exp":4102444800}')) x (s);
ROLLBACK;
SELECT regress_token.try(s || '.' || regress_token.hs256(s, repeat('y', 80)))
	FROM (SELECT regress_token.b64('{"alg":"HS256","kid":"h3"}') || '.' || regress_token.b64('{"tenant":"a","exp":4102444800}')) x (s);
UPDATE tenancy.token_key SET valid_until = clock_timestamp() WHERE kid = 'h1';
SELECT regress_token.try(:'token');
UPDATE tenancy.token_key SET valid_until = NULL WHERE kid = 'h1';
SELECT regress_token.try(:'token');
SELECT tenancy.drop_token_key('h1');
SELECT regress_token.try(:'token');
SELECT tenancy.create_token_key('h1', 'HS256', repeat('z', 32));
SELECT regress_token.try(:'token');
SELECT tenancy.drop_token_key('h1');
SELECT tenancy.create_token_key('h1', 'HS256', '0123456789abcdef0123456789abcdef');
SELECT regress_token.try(:'token');

-- Only a token sets the tenant, where that is required.
ALTER ROLE regress_app SET tenancy.require_token = on;
\c - regress_app
SELECT tenancy.set_tenant('a');
SELECT tenancy.set_tenant('00000000-0000-4000-8000-00000000000a'::uuid, false);
SELECT regress_token.try(:'token');
SELECT tenancy.set_tenant(NULL::text);
SET tenancy.require_token = off;
RESET tenancy.require_token;
SELECT set_config('tenancy.require_token', 'off', false);
ALTER ROLE regress_app SET tenancy.require_token = off;
ALTER ROLE regress_app RESET tenancy.require_token;
DISCARD ALL;
SELECT tenancy.set_tenant('a');
\c
-- before the library is loaded it is a placeholder
SET tenancy.require_token = off;
SELECT tenancy.set_tenant('a');
\c
ALTER ROLE regress_app SET tenancy.require_token = off;
\c -reuse-previous=on "options='-c tenancy.require_token=off'"
SELECT tenancy.set_tenant('a');
SHOW tenancy.require_token;
\c -reuse-previous=on "options='-c tenancy.require_token=nonsense'"
SELECT tenancy.set_tenant('a');
\c -reuse-previous=on "options=''"
SELECT tenancy.set_tenant('a');
\c - :admin
ALTER ROLE regress_app RESET tenancy.require_token;
SELECT format('ALTER DATABASE %I SET tenancy.require_token = on', current_database()) \gexec
ALTER ROLE regress_one SET tenancy.require_token = off;
\c - regress_app
SELECT tenancy.set_tenant('a');
\c -reuse-previous=on "options='-c tenancy.require_token=off'"
SELECT tenancy.set_tenant('a');
\c -reuse-previous=on "options='' user=regress_one"
SELECT regress_token.try(:'token');
BEGIN; SELECT tenancy.set_tenant('a'); COMMIT;
\c - :admin
SELECT tenancy.set_tenant('a');
SELECT format('ALTER DATABASE %I RESET tenancy.require_token', current_database()) \gexec
-- A role that has no such setting locks itself out by trying.
\c - regress_app
SET tenancy.require_token = off;
SELECT tenancy.set_tenant('a');
\c
BEGIN; SELECT tenancy.set_tenant('a'); COMMIT;
SET tenancy.require_token = off;

-- A tenant's own database has the keys of the application's.
\c - :admin
SELECT current_database() AS database \gset
SELECT tenancy.sign_token('regress-far', '1 h', 'h1') AS far \gset
\c tenant_regress-far regress_app
SELECT tenancy.set_tenant_token(:'far', false);
SELECT tenancy.set_tenant_token(:'token', false);
\c :database :admin

-- In another encoding than UTF-8, JSON must be ASCII; still the same error.
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\c regress_latin1
SET client_min_messages = warning;
CREATE EXTENSION tenancy;
SELECT tenancy.create_token_key('h1', 'HS256', '0123456789abcdef0123456789abcdef');
SELECT tenancy.create_tenant('a', id => '00000000-0000-4000-8000-00000000000a');
-- {"alg":"HS256","kid":"h1"} and claims with "x":"e", "\u0065", "\u20ac", "\ud83d\ude00", "\u00e9", "€"
\set VERBOSITY terse
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4IjoiZSJ9.FKNNhr2gy1Uci5eiNhw_zODC_5eLsRZkjsUbJPIYrJE', false) IS NOT NULL AS taken;
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4IjoiXHUwMDY1In0.CJ3o5Ov1-GTMjBlmrHoBTkcPnaob-xIca6pQUXLV32g', false) IS NOT NULL AS taken;
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4IjoiXHUyMGFjIn0.hDFHWGe1d1hxd1G4waG85xTL3W59fFGVtfp242BBWdc', false) IS NOT NULL AS taken;
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4IjoiXHVkODNkXHVkZTAwIn0.TcTKwfCYovGZsfB8DsO1xWaidLJ5afIXmHXjzinWhxo', false) IS NOT NULL AS taken;
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4IjoiXHUwMGU5In0.3lrdPTsIMkL06_z5VwkMU__pxT1C5kIyRQcmGMTnEOw', false) IS NOT NULL AS taken;
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4IjoiXCJcdTAwODAifQ.eA_b-ifYyveDJQSjnTbEfV8NLc1EpmphhWJCrx8XfGE', false) IS NOT NULL AS taken;
SELECT tenancy.set_tenant_token('eyJhbGciOiJIUzI1NiIsImtpZCI6ImgxIn0.eyJ0ZW5hbnQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwLCJ4Ijoi4oKsIn0.ueGgDQvMPmUUgAD7MZLaI9A56xsm7egFuv80trXIJg8', false) IS NOT NULL AS taken;
\set VERBOSITY default
\c :database
DROP DATABASE regress_latin1;

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants;
SELECT 'tenancy_template_' || oid AS template FROM pg_database WHERE datname = current_database() \gset
DROP DATABASE :"template";
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP SCHEMA regress_token CASCADE;
DROP ROLE regress_owner, regress_app, regress_one, regress_none, "regress_müller";
