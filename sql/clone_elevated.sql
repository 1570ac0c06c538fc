--
-- What only a superuser can create: functions in C, operator families and classes,
-- casts without a function.  Their copies are the module owner's.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA "Model 2" AUTHORIZATION regress_owner;
GRANT USAGE ON SCHEMA "Model 2" TO regress_app;
SET search_path = "Model 2";

-- Code that the owner has planted, which runs before what a superuser makes: it is the oldest of the model
CREATE TABLE public.planted (who name, did text);
GRANT ALL ON public.planted TO regress_owner;
SET ROLE regress_owner;
CREATE FUNCTION "Model 2".plant(i int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	copy name := (SELECT n.nspname FROM pg_catalog.pg_namespace n ORDER BY n.oid DESC LIMIT 1);
	try text;
BEGIN
	IF copy <> 'tenant_c' THEN
		RETURN true;
	END IF;
	-- nor does what is to act for its owner act for a superuser meanwhile
	BEGIN
		EXECUTE format('SELECT %I.definer()', copy) INTO try;
		INSERT INTO public.planted VALUES (current_user, 'acts as ' || try);
	EXCEPTION WHEN undefined_function THEN NULL;
	END;
	FOREACH try IN ARRAY ARRAY[
		'ALTER FUNCTION %1$I.union_(internal, internal) RENAME TO kept',
		'ALTER FUNCTION %1$I.picksplit(internal, internal) RENAME TO union_',
		'ALTER FUNCTION %1$I.union_(internal, internal) OWNER TO regress_owner',
		'CREATE OR REPLACE FUNCTION %1$I.consistent(internal, box, smallint, oid, internal) RETURNS boolean LANGUAGE internal AS ''gist_box_same''',
		'DROP FUNCTION %1$I.same_(box, box, internal)',
		'ALTER OPERATOR FAMILY %1$I.whole USING btree ADD OPERATOR 5 > (int, bigint)',
		'SET ROLE ' || session_user] LOOP
		BEGIN
			EXECUTE format(try, copy);
			RAISE EXCEPTION 'done, and undone: the copy would fail, since all is named that it needs' USING ERRCODE = 'P0099';
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO public.planted VALUES (current_user, try || ': ' || SQLSTATE);
		END;
	END LOOP;
	RETURN true;
END $$;
CREATE DOMAIN "Model 2".mined AS int CHECK ("Model 2".plant(value));
CREATE TYPE "Model 2".holder AS (m "Model 2".mined);
RESET ROLE;

-- Functions in C
CREATE FUNCTION distance(text, b text DEFAULT 'it''s') RETURNS int LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 7 AS '$libdir/fuzzystrmatch', 'levenshtein';
CREATE FUNCTION "row number"() RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number';
CREATE FUNCTION numbers_support(internal) RETURNS internal LANGUAGE internal AS 'generate_series_int4_support';
CREATE FUNCTION numbers(int, int) RETURNS TABLE ("n n" int) LANGUAGE internal ROWS 5 STRICT SUPPORT numbers_support SET work_mem = '1MB' AS 'generate_series_int4';
CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4eq';
CREATE FUNCTION zones(OUT name text, OUT abbrev text, OUT utc_offset interval, OUT is_dst boolean) RETURNS SETOF record LANGUAGE internal AS 'pg_timezone_names';
CREATE TYPE "odd (type" AS ENUM ('o');
CREATE FUNCTION odd_collect(internal, "odd (type") RETURNS internal LANGUAGE internal AS 'array_agg_transfn';
CREATE FUNCTION odd_count(internal) RETURNS int LANGUAGE internal AS 'pg_backend_pid';
CREATE AGGREGATE odds ("odd (type") (SFUNC = odd_collect, STYPE = internal, FINALFUNC = odd_count);
ALTER TYPE "odd (type" OWNER TO regress_owner;
ALTER FUNCTION odd_collect(internal, "odd (type") OWNER TO regress_owner;
ALTER FUNCTION odd_count(internal) OWNER TO regress_owner;
ALTER AGGREGATE odds ("odd (type") OWNER TO regress_owner;
CREATE FUNCTION definer() RETURNS name LANGUAGE internal STABLE AS 'current_user';
ALTER FUNCTION definer() OWNER TO regress_owner;
REVOKE EXECUTE ON FUNCTION distance(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION distance(text, text) TO regress_owner, regress_app;
COMMENT ON FUNCTION distance(text, text) IS 'in C';
SET ROLE regress_owner;
ALTER FUNCTION definer() SECURITY DEFINER;
RESET ROLE;

-- A class of the owner's own type, by functions of its own: the default one
SET ROLE regress_owner;
CREATE TYPE size AS ENUM ('small', 'large', 'medium');
CREATE FUNCTION rank(size) RETURNS int LANGUAGE sql IMMUTABLE RETURN array_position('{small,medium,large}'::text[], $1::text);
CREATE FUNCTION size_cmp(size, size) RETURNS int LANGUAGE sql IMMUTABLE RETURN btint4cmp(rank($1), rank($2));
CREATE FUNCTION size_lt(size, size) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN rank($1) < rank($2);
CREATE FUNCTION size_gt(size, size) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN rank($1) > rank($2);
CREATE FUNCTION size_eq(size, size) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN rank($1) = rank($2);
CREATE OPERATOR < (FUNCTION = size_lt, LEFTARG = size, RIGHTARG = size, COMMUTATOR = >);
CREATE OPERATOR > (FUNCTION = size_gt, LEFTARG = size, RIGHTARG = size, COMMUTATOR = <);
CREATE OPERATOR = (FUNCTION = size_eq, LEFTARG = size, RIGHTARG = size, COMMUTATOR = =);
CREATE OPERATOR <= (FUNCTION = size_lt, LEFTARG = size, RIGHTARG = size);
CREATE OPERATOR >= (FUNCTION = size_gt, LEFTARG = size, RIGHTARG = size);
RESET ROLE;
CREATE OPERATOR CLASS "by size" DEFAULT FOR TYPE size USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 size_cmp(size, size);
COMMENT ON OPERATOR CLASS "by size" USING btree IS 'class';
COMMENT ON OPERATOR FAMILY "by size" USING btree IS 'family';
-- A family with more than a class, whose members hang on itself
CREATE FUNCTION cmp48(int, bigint) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint48cmp';
CREATE OPERATOR FAMILY whole USING btree;
CREATE OPERATOR CLASS whole4 FOR TYPE int USING btree FAMILY whole AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE OPERATOR CLASS whole8 FOR TYPE bigint USING btree FAMILY whole AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint8cmp(bigint, bigint);
ALTER OPERATOR FAMILY whole USING btree ADD
	OPERATOR 1 < (int, bigint), OPERATOR 3 = (int, bigint), FUNCTION 1 (int, bigint) cmp48(int, bigint);
CREATE OPERATOR FAMILY empty USING hash;
-- GiST by functions in C, which are the superuser's
CREATE FUNCTION consistent(internal, box, smallint, oid, internal) RETURNS boolean LANGUAGE internal AS 'gist_box_consistent';
CREATE FUNCTION penalty(internal, internal, internal) RETURNS internal LANGUAGE internal AS 'gist_box_penalty';
CREATE FUNCTION picksplit(internal, internal) RETURNS internal LANGUAGE internal AS 'gist_box_picksplit';
CREATE FUNCTION union_(internal, internal) RETURNS box LANGUAGE internal AS 'gist_box_union';
CREATE FUNCTION same_(box, box, internal) RETURNS internal LANGUAGE internal AS 'gist_box_same';
CREATE FUNCTION far(internal, box, smallint, oid, internal) RETURNS float8 LANGUAGE internal AS 'gist_box_distance';
-- Before what follows, a constant is read that runs the planted code.
SET ROLE regress_owner;
CREATE FUNCTION "Model 2".reads(h "Model 2".holder DEFAULT ROW(1)::"Model 2".holder) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE TYPE "Model 2".early AS ENUM ('e');
CREATE FUNCTION "Model 2".early_cmp("Model 2".early, "Model 2".early) RETURNS int LANGUAGE sql IMMUTABLE
	BEGIN ATOMIC SELECT 0 WHERE '(7)'::"Model 2".holder IS NOT NULL; END;
RESET ROLE;
CREATE OPERATOR CLASS "Model 2".early FOR TYPE "Model 2".early USING btree AS FUNCTION 1 "Model 2".early_cmp("Model 2".early, "Model 2".early);
CREATE OPERATOR CLASS boxes FOR TYPE box USING gist AS
	OPERATOR 3 &&, OPERATOR 15 <-> (box, point) FOR ORDER BY pg_catalog.float_ops,
	FUNCTION 1 consistent(internal, box, smallint, oid, internal), FUNCTION 2 union_(internal, internal),
	FUNCTION 5 penalty(internal, internal, internal), FUNCTION 6 picksplit(internal, internal), FUNCTION 7 same_(box, box, internal),
	FUNCTION 8 far(internal, box, smallint, oid, internal);
-- GIN: it stores another type
CREATE OPERATOR CLASS ints FOR TYPE int[] USING gin AS
	OPERATOR 1 && (anyarray, anyarray), FUNCTION 1 btint4cmp(int, int), FUNCTION 2 pg_catalog.ginarrayextract(anyarray, internal, internal),
	FUNCTION 3 ginqueryarrayextract(anyarray, internal, smallint, internal, internal, internal, internal),
	FUNCTION 4 ginarrayconsistent(internal, smallint, anyarray, integer, internal, internal, internal, internal), STORAGE int;

-- The superuser may have taken EXECUTE from PUBLIC: the model's owner has it when it makes operators, and copies' privileges are the model's.
SELECT tenancy.create_module('main', 'Model 2');
-- those that are strict must be the owner's
ALTER FUNCTION distance(text, text) OWNER TO regress_owner;
ALTER FUNCTION numbers(int, int) OWNER TO regress_owner;
ALTER FUNCTION same(int, int) OWNER TO regress_owner;
ALTER FUNCTION cmp48(int, bigint) OWNER TO regress_owner;
BEGIN;
CREATE FUNCTION equal(int, int) RETURNS boolean LANGUAGE internal IMMUTABLE AS 'int4eq';
CREATE OPERATOR === (FUNCTION = equal, LEFTARG = int, RIGHTARG = int);
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
SET LOCAL client_min_messages = error;
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-00000000000b');
SELECT proname, a.grantee::regrole, a.privilege_type FROM pg_proc, aclexplode(COALESCE(proacl, acldefault('f', proowner))) a
WHERE pronamespace = 'tenant_b'::regnamespace AND proname IN ('distance', 'equal') ORDER BY 1, 2;
ROLLBACK;

-- A range by a class of the model, and what stores it
SET ROLE regress_owner;
CREATE TYPE sizes AS RANGE (subtype = size, subtype_opclass = "by size");
CREATE TYPE wholes AS RANGE (subtype = int, subtype_opclass = whole4);
CREATE TABLE thing (
	s size PRIMARY KEY, n int, b box, a int[], r sizes, w wholes,
	EXCLUDE USING gist (b boxes WITH &&)
);
CREATE INDEX thing_n ON thing (n whole4 DESC);
CREATE INDEX thing_a ON thing USING gin (a ints);
CREATE TABLE by_whole (n int) PARTITION BY RANGE (n whole4);
CREATE TABLE by_whole_1 PARTITION OF by_whole FOR VALUES FROM (1) TO (10);
CREATE VIEW numbered AS SELECT t.*, "row number"() OVER (ORDER BY t.s) AS nr FROM thing t WHERE same(n, n);
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA "Model 2" TO regress_app;
RESET ROLE;
SELECT current_setting('server_version_num')::int < 170000 AS has_range_casts \gset
\if :has_range_casts
CREATE CAST (wholes AS int4range) WITHOUT FUNCTION AS IMPLICIT;
\else
CREATE FUNCTION to_int4range(wholes) RETURNS int4range LANGUAGE sql RETURN int4range(lower($1), upper($1));
CREATE CAST (wholes AS int4range) WITH FUNCTION to_int4range(wholes) AS IMPLICIT;
\endif
-- All is the owner's, but for a function and a class.
DO $$
DECLARE
	what text;
BEGIN
	FOR what IN
		SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_proc p
		WHERE p.pronamespace = '"Model 2"'::regnamespace AND p.proname <> 'zones' AND p.prorettype::regtype::text NOT LIKE '%wholes%' AND p.prorettype::regtype::text NOT LIKE 'sizes%'
		UNION ALL
		SELECT format('OPERATOR CLASS %I USING %I', c.opcname, a.amname) FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
		WHERE c.opcnamespace = '"Model 2"'::regnamespace AND c.opcname <> 'ints'
		UNION ALL
		SELECT format('OPERATOR FAMILY %I USING %I', f.opfname, a.amname) FROM pg_opfamily f JOIN pg_am a ON a.oid = f.opfmethod
		WHERE f.opfnamespace = '"Model 2"'::regnamespace LOOP
		EXECUTE format('ALTER %s OWNER TO regress_owner', what);
	END LOOP;
END $$;
RESET search_path;

SET client_min_messages = error;
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-00000000000a');
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-00000000000b');
SET client_min_messages = warning;

-- What others own in the model is the module owner's in copies, as it is to be.
SELECT object, difference FROM tenancy.drift('a');
SELECT count(*) FROM tenancy.drift('b');
ALTER FUNCTION "Model 2".zones() OWNER TO regress_owner;
ALTER OPERATOR CLASS "Model 2".ints USING gin OWNER TO regress_owner;
SELECT * FROM tenancy.drift();
SELECT p.oid::regprocedure, l.lanname, p.prokind, p.probin, p.prosrc, p.proleakproof, p.prosupport, p.proowner::regrole
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'tenant_a'::regnamespace AND NOT l.lanpltrusted AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'i')
ORDER BY p.proname COLLATE "C";
SELECT opcname, opcowner::regrole, opcfamily = (SELECT f.oid FROM pg_opfamily f WHERE f.opfnamespace = opcnamespace AND f.opfmethod = opcmethod
	AND f.opfname = CASE WHEN opcname LIKE 'whole_' THEN 'whole' ELSE opcname END) AS own_family
FROM pg_opclass WHERE opcnamespace = 'tenant_a'::regnamespace ORDER BY 1;
SELECT c.relname, o.opcnamespace::regnamespace, o.opcname
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN LATERAL unnest(i.indclass::oid[]) k JOIN pg_opclass o ON o.oid = k
WHERE c.relnamespace = 'tenant_a'::regnamespace AND o.opcnamespace <> 'pg_catalog'::regnamespace ORDER BY 1;
-- Nothing in a copy refers to the model.
WITH model AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = '"Model 2"'::regnamespace)
SELECT count(*) FROM pg_depend d JOIN model m ON d.refclassid = m.classid AND d.refobjid = m.objid
WHERE (pg_identify_object(d.classid, d.objid, d.objsubid)).identity LIKE '%tenant\__.%';

-- It works.
SELECT current_user AS admin \gset
\c - regress_app
BEGIN;
SELECT tenancy.set_tenant('b');
INSERT INTO thing VALUES ('large', 1, '(0,0),(1,1)', '{1,2}', '[small,large]', NULL), ('medium', 2, '(2,2),(3,3)', '{3}', '[small,medium]', NULL), ('small', 3, '(4,4),(5,5)', '{4}', 'empty', '[1,5]');
SELECT s, nr, lower(w::int4range) FROM numbered ORDER BY s;
SET LOCAL enable_seqscan = off;
SELECT s FROM thing ORDER BY b <-> point(9, 9);
SELECT s FROM thing WHERE a && '{3}';
SELECT s FROM thing WHERE r @> 'medium'::size ORDER BY s;
SELECT distance('kitten', 'sitting'), distance('it');
COMMIT;
\c - :admin
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- A change is one row of drift(), and shows in the digest by which copies are told apart, and in the model's fingerprint.
SET client_min_messages = error;
SELECT tenancy.create_tenant('0', 'schema', '00000000-0000-4000-8000-000000000001');
SET client_min_messages = warning;
CREATE FUNCTION tried(change text) RETURNS TABLE (object text, difference text) LANGUAGE plpgsql AS $$
DECLARE
	found text[];
BEGIN
	BEGIN
		SET LOCAL search_path = tenant_a;
		EXECUTE change;
		SET LOCAL search_path = public;
		SELECT array_agg(ARRAY[d.tenant || ': ' || d.object, d.difference] ORDER BY d.object COLLATE "C") INTO found FROM tenancy.drift() d;
		RAISE EXCEPTION 'undone' USING ERRCODE = 'P0042';
	EXCEPTION WHEN SQLSTATE 'P0042' THEN NULL;
	END;
	FOR i IN 1 .. COALESCE(array_length(found, 1), 0) LOOP
		object := found[i][1];
		difference := found[i][2];
		RETURN NEXT;
	END LOOP;
END $$;
SELECT t.* FROM unnest(ARRAY[
	'COMMENT ON OPERATOR CLASS "by size" USING btree IS NULL',
	'COMMENT ON OPERATOR FAMILY "by size" USING btree IS NULL',
	'ALTER OPERATOR CLASS whole8 USING btree RENAME TO other',
	'ALTER OPERATOR FAMILY empty USING hash OWNER TO regress_app',
	'ALTER OPERATOR CLASS boxes USING gist OWNER TO regress_app',
	'DROP OPERATOR FAMILY empty USING hash',
	'ALTER OPERATOR FAMILY whole USING btree ADD OPERATOR 5 > (int, bigint)',
	'ALTER OPERATOR FAMILY whole USING btree DROP FUNCTION 1 (int, bigint)',
	'CREATE OPERATOR FAMILY more USING btree',
	'ALTER FUNCTION numbers(int, int) RESET work_mem',
	'ALTER FUNCTION same(int, int) NOT LEAKPROOF',
	'ALTER FUNCTION numbers(int, int) SUPPORT pg_catalog.generate_series_int8_support',
	'CREATE OR REPLACE FUNCTION far(internal, box, smallint, oid, internal) RETURNS float8 LANGUAGE internal AS ''gist_poly_distance''',
	'CREATE OR REPLACE FUNCTION distance(text, b text DEFAULT ''it'') RETURNS int LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 7 AS ''$libdir/fuzzystrmatch'', ''levenshtein'''
]) c CROSS JOIN LATERAL tried(c) t;
SELECT tenancy.model_fingerprint() AS was \gset
BEGIN;
ALTER OPERATOR FAMILY "Model 2".whole USING btree ADD OPERATOR 5 > (int, bigint);
SELECT tenancy.model_fingerprint() <> :'was' AS changed;
ROLLBACK;
BEGIN;
ALTER OPERATOR CLASS "Model 2".boxes USING gist RENAME TO other;
SELECT tenancy.model_fingerprint() <> :'was' AS changed;
ROLLBACK;
BEGIN;
COMMENT ON OPERATOR FAMILY "Model 2".whole USING btree IS 'changed';
SELECT tenancy.model_fingerprint() <> :'was' AS changed;
ROLLBACK;

-- Refused: what the owner of a copy would get more rights by, and what cannot be there twice
BEGIN;
CREATE FUNCTION "Model 2".secret(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all';
REVOKE EXECUTE ON FUNCTION "Model 2".secret(text) FROM PUBLIC;
-- its copy's owner could have it called with nulls
CREATE FUNCTION "Model 2".upper_(text) RETURNS text LANGUAGE internal STRICT AS 'upper';
CREATE FUNCTION "Model 2".now_(timestamptz DEFAULT now()) RETURNS timestamptz LANGUAGE internal AS 'now';
CREATE FUNCTION "Model 2".of_thing(regclass DEFAULT 'pg_class') RETURNS oid LANGUAGE internal AS 'regclassout';
CREATE OPERATOR CLASS "Model 2".points DEFAULT FOR TYPE point USING hash AS OPERATOR 1 ~= (point, point), FUNCTION 1 hashfloat8(float8);
CREATE OPERATOR CLASS "Model 2".in_family FOR TYPE oid USING hash FAMILY pg_catalog.aclitem_ops AS OPERATOR 1 =, FUNCTION 1 hashoid(oid);
CREATE AGGREGATE "Model 2".hidden (numeric) (SFUNC = pg_catalog.numeric_avg_accum, STYPE = internal, FINALFUNC = pg_catalog.numeric_avg);
REVOKE EXECUTE ON FUNCTION "Model 2".hidden(numeric) FROM PUBLIC;
SAVEPOINT s;
SELECT tenancy.create_tenant('c', 'schema');
ROLLBACK TO s;
DROP AGGREGATE "Model 2".hidden(numeric);
ALTER FUNCTION "Model 2".upper_(text) OWNER TO regress_owner;
DROP FUNCTION "Model 2".secret(text), "Model 2".now_(timestamptz), "Model 2".of_thing(regclass);
SELECT tenancy.create_tenant('c', 'schema');
ROLLBACK;

-- Nor does the owner's code get to put another type in the place of one that a function in C is for.
BEGIN;
SET LOCAL search_path = "Model 2";
SET LOCAL ROLE regress_owner;
CREATE DOMAIN code AS text;
CREATE OR REPLACE FUNCTION plant(i int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	copy name := (SELECT n.nspname FROM pg_catalog.pg_namespace n ORDER BY n.oid DESC LIMIT 1);
BEGIN
	EXECUTE format('ALTER DOMAIN %1$I.code RENAME TO kept; CREATE DOMAIN %1$I.code AS bigint', copy);
	RETURN true;
EXCEPTION WHEN undefined_object OR duplicate_object THEN
	RETURN true;
END $$;
CREATE FUNCTION swaps() RETURNS boolean LANGUAGE sql BEGIN ATOMIC SELECT 'x'::code IS NOT NULL AND '(7)'::holder IS NOT NULL; END;
CREATE DOMAIN later AS int CHECK (swaps());
RESET ROLE;
CREATE FUNCTION code_length(code[], later) RETURNS int LANGUAGE internal AS 'array_length';
SAVEPOINT s;
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-00000000000c');
ROLLBACK TO s;
DROP FUNCTION code_length(code[], later);
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-00000000000c');
SELECT format_type(typbasetype, -1) FROM pg_type WHERE oid = 'tenant_c.code'::regtype;
ROLLBACK;

-- The code that the owner planted ran as the owner, while a copy is made, and changed nothing of it.
SET client_min_messages = error;
SELECT tenancy.create_tenant('c', 'schema', '00000000-0000-4000-8000-00000000000c');
SET client_min_messages = warning;
SELECT who, did, count(*) FROM public.planted GROUP BY 1, 2 ORDER BY did COLLATE "C", 3;
SELECT object, difference FROM tenancy.drift('c');
SELECT p.amprocnum, f.prosrc, f.pronamespace::regnamespace FROM pg_amproc p JOIN pg_opclass c ON c.opcfamily = p.amprocfamily JOIN pg_proc f ON f.oid = p.amproc
WHERE c.opcnamespace = 'tenant_c'::regnamespace AND c.opcname = 'boxes' ORDER BY 1;
-- A support function that its owner replaces runs for nobody while a copy is made, and for others as an index's does.
SET ROLE regress_owner;
CREATE OR REPLACE FUNCTION "Model 2".size_cmp("Model 2".size, "Model 2".size) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
$$ BEGIN RAISE EXCEPTION 'planted code runs as % for %', current_user, session_user; END $$;
RESET ROLE;
SET client_min_messages = error;
SELECT tenancy.create_tenant('d', 'schema', '00000000-0000-4000-8000-00000000000d');
SET client_min_messages = warning;
-- Nor does who is no superuser get to create such things.
SET ROLE regress_owner;
CREATE OPERATOR FAMILY tenant_d.own USING btree;
CREATE OR REPLACE FUNCTION tenant_d.same(int, int) RETURNS boolean LANGUAGE internal AS 'int4ne';
RESET ROLE;

DROP TABLE public.planted;
DROP FUNCTION tried(text);
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenant_a, tenant_b, tenant_0, tenant_c, tenant_d, "Model 2" CASCADE;
DROP ROLE regress_owner, regress_app;
