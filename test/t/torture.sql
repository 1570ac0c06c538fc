-- A model schema with every kind of object that a copy can have, for 021_exact.pl; most of
-- it is that of sql/clone.sql.
-- What a model may point to outside
CREATE SCHEMA ref;
CREATE TABLE ref.plan (id int PRIMARY KEY, name text UNIQUE);
GRANT USAGE ON SCHEMA ref TO model_owner, app;
GRANT SELECT, REFERENCES ON ref.plan TO model_owner;
CREATE ROLE ref_owner NOLOGIN;
ALTER TABLE ref.plan OWNER TO ref_owner;
GRANT USAGE ON SCHEMA ref TO ref_owner;

CREATE SCHEMA "Model ""1" AUTHORIZATION model_owner;
COMMENT ON SCHEMA "Model ""1" IS 'the model''s';
ALTER DEFAULT PRIVILEGES FOR ROLE model_owner GRANT USAGE, CREATE ON SCHEMAS TO PUBLIC;
SET ROLE model_owner;
SET search_path = "Model ""1";

-- Types
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s "fine"');
ALTER TYPE mood ADD VALUE 'meh' BEFORE 'ok';
CREATE TYPE pair AS (a int, "B b" text COLLATE "C", m mood, gone int);
ALTER TYPE pair DROP ATTRIBUTE gone;
COMMENT ON TYPE pair IS 'pair''s comment';
COMMENT ON COLUMN pair."B b" IS 'of an attribute';
CREATE DOMAIN posint AS integer DEFAULT 7 NOT NULL CONSTRAINT pos CHECK (value > 0) CONSTRAINT small CHECK (value < 1000000);
CREATE DOMAIN ctext AS text COLLATE "C" CHECK (value <> '');
ALTER DOMAIN ctext ADD CONSTRAINT nv CHECK (length(value) < 10) NOT VALID;
COMMENT ON DOMAIN posint IS 'domain';
COMMENT ON CONSTRAINT pos ON DOMAIN posint IS 'of a domain''s constraint';
CREATE DOMAIN pairdom AS pair CHECK ((value).a > 0);
CREATE TYPE frange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE trange AS RANGE (subtype = text, collation = "C", multirange_type_name = "my multi");
CREATE FUNCTION tdiff(mood, mood) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8';
CREATE TYPE moodrange AS RANGE (subtype = mood, subtype_diff = tdiff);
CREATE FUNCTION tdiff(int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT 1.0::float8';

-- Sequences
CREATE SEQUENCE "Seq alone" AS smallint INCREMENT BY -3 MINVALUE -100 MAXVALUE 50 START 20 CACHE 5 CYCLE;
CREATE UNLOGGED SEQUENCE useq;
SELECT nextval('useq'), nextval('useq');
COMMENT ON SEQUENCE useq IS 'sequence';

-- Functions
CREATE FUNCTION is_even(i int) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$ SELECT i % 2 = 0 $$;
CREATE FUNCTION "weird $f$ 'name"(a int DEFAULT 3, INOUT "b ""x" text DEFAULT 'q\z', VARIADIC c int[] DEFAULT '{1,2}'::int[])
LANGUAGE plpgsql STABLE SECURITY DEFINER COST 7.5
SET search_path TO public, "my schema", pg_temp SET work_mem TO '1MB' SET datestyle TO 'ISO, DMY' AS $$
BEGIN
	-- with 'quotes', \ and $x$
	RETURN;
END $$;
CREATE FUNCTION srf(n int) RETURNS TABLE (x int, m mood) LANGUAGE plpgsql ROWS 33 AS $$ BEGIN RETURN; END $$;
CREATE PROCEDURE proc(IN a int, INOUT b mood) LANGUAGE plpgsql AS $$ BEGIN b := 'ok'; END $$;
CREATE FUNCTION emptypath() RETURNS int LANGUAGE sql SET search_path = '' AS 'SELECT 1';
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE FUNCTION sqlret(i int) RETURNS int LANGUAGE sql IMMUTABLE RETURN i + 1;
CREATE FUNCTION add_mood(int, mood) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';
CREATE FUNCTION sub_mood(int, mood) RETURNS int LANGUAGE sql AS 'SELECT $1 - 1';
CREATE FUNCTION end_mood(int, mood) RETURNS text LANGUAGE sql AS 'SELECT $1 || '' moods''';
CREATE AGGREGATE moods (m mood) (SFUNC = add_mood, STYPE = int, SSPACE = 64, FINALFUNC = end_mood, FINALFUNC_EXTRA,
	FINALFUNC_MODIFY = READ_WRITE, COMBINEFUNC = int4pl, INITCOND = '10', MSFUNC = add_mood, MINVFUNC = sub_mood, MSTYPE = int,
	MSSPACE = 32, MFINALFUNC = end_mood, MFINALFUNC_EXTRA, MFINALFUNC_MODIFY = SHAREABLE, MINITCOND = '20', PARALLEL = SAFE);
CREATE AGGREGATE how_many (*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0', PARALLEL = RESTRICTED);
COMMENT ON AGGREGATE moods(mood) IS 'aggregate';
REVOKE ALL ON FUNCTION moods(mood) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION moods(mood) TO app;
CREATE VIEW counted AS SELECT moods(m) AS m, how_many(*) AS n FROM unnest(enum_range(NULL::mood)) m;
COMMENT ON FUNCTION srf(int) IS 'function';
COMMENT ON PROCEDURE proc(int, mood) IS 'procedure';

-- Names that PostgreSQL has, too
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TABLE pg_class (oid oid PRIMARY KEY);
CREATE TABLE circle (a int, b int, c pg_catalog.circle, d text DEFAULT "Model ""1".lower('A') || pg_catalog.lower('B'));
CREATE VIEW of_both AS SELECT a.oid, b.relname FROM "Model ""1".pg_class a, pg_catalog.pg_class b;

-- Tables
CREATE TABLE "Order" (
	id bigint GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME "Order ids" START 100 INCREMENT 5 CACHE 3 CYCLE MAXVALUE 5000) PRIMARY KEY,
	"select" text COLLATE "C" NOT NULL DEFAULT 'x''y\z',
	m mood DEFAULT 'ok'::mood,
	moods mood[] DEFAULT ARRAY['sad', 'meh']::mood[],
	p pair, d posint, c ctext DEFAULT 'c',
	doubled int GENERATED ALWAYS AS (length("select") * 2) STORED,
	e boolean DEFAULT is_even(4),
	ts timestamptz DEFAULT '2020-01-01 00:00:00+02', iv interval DEFAULT '1 day 02:03:04', f float8 DEFAULT 0.1, n numeric(10,2) DEFAULT 1.50,
	j jsonb DEFAULT '{"a": [1, 2]}', b bytea DEFAULT '\xdeadbeef', r frange DEFAULT frange(1, 2), mr fmultirange,
	gone int,
	CONSTRAINT "chk even" CHECK (is_even(doubled)),
	CONSTRAINT noinh CHECK (id > 0) NO INHERIT,
	CONSTRAINT "u nulls" UNIQUE NULLS NOT DISTINCT ("select", m) INCLUDE (n) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED,
	CONSTRAINT excl EXCLUDE USING gist (r WITH &&) WHERE (doubled > 0)
) WITH (fillfactor = 50, autovacuum_enabled = false, toast.autovacuum_vacuum_threshold = 77);
ALTER TABLE "Order" DROP COLUMN gone;
ALTER TABLE "Order" ADD CONSTRAINT later_nv CHECK (f < 100) NOT VALID;
ALTER TABLE "Order" ALTER "select" SET STORAGE EXTERNAL, ALTER j SET COMPRESSION pglz, ALTER n SET STATISTICS 55, ALTER f SET (n_distinct = -0.5, n_distinct_inherited = 3);
COMMENT ON TABLE "Order" IS 'tab''le';
COMMENT ON COLUMN "Order"."select" IS E'col\n\\umn';
COMMENT ON CONSTRAINT "chk even" ON "Order" IS 'constraint';
CREATE TABLE sixty_three_bytes_long_name_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (
	sixty_three_bytes_long_name_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb serial UNIQUE,
	s2 smallserial, s3 bigserial,
	"user" int REFERENCES "Order" (id) ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE);
ALTER SEQUENCE sixty_three_bytes_long_name_aaaaaaaaaaaaaaaaaaaaaaaaaaaa_s3_seq OWNED BY NONE;
CREATE UNLOGGED TABLE ulog (id serial PRIMARY KEY, i int GENERATED BY DEFAULT AS IDENTITY, plan int REFERENCES ref.plan, x int DEFAULT pg_catalog.abs(3));
ALTER TABLE ulog ADD CONSTRAINT nvfk FOREIGN KEY (x) REFERENCES ref.plan (id) MATCH FULL NOT VALID;
CREATE TABLE ident (i int GENERATED BY DEFAULT AS IDENTITY, j smallint GENERATED ALWAYS AS IDENTITY);
ALTER SEQUENCE ident_i_seq AS bigint MAXVALUE 99999999999 START WITH 7 RESTART;
CREATE TYPE tt AS (a int, b text);
CREATE TABLE typed OF tt (PRIMARY KEY (a), b WITH OPTIONS DEFAULT 'z' NOT NULL);
CREATE TABLE typed2 OF tt;
CREATE TABLE empty ();

-- Foreign keys: circular, to itself, to a mere index, some columns
CREATE TABLE c1 (id int PRIMARY KEY, c2 int);
CREATE TABLE c2 (id int PRIMARY KEY, c1 int REFERENCES c1 INITIALLY DEFERRED, parent int REFERENCES c2 ON DELETE CASCADE);
ALTER TABLE c1 ADD CONSTRAINT c1_c2 FOREIGN KEY (c2) REFERENCES c2;
CREATE TABLE pu (a int NOT NULL, b int);
CREATE UNIQUE INDEX pu_a ON pu (a);
CREATE TABLE refpu (a int REFERENCES pu (a));
CREATE TABLE t_setnull (a int, b int, UNIQUE (a, b));
CREATE TABLE t_setnull2 (x int, y int, FOREIGN KEY (x, y) REFERENCES t_setnull (a, b) ON DELETE SET NULL (y) ON UPDATE RESTRICT);

-- Circles of tables and functions
CREATE FUNCTION circle_fn(c "Model ""1".circle) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION circle_cnt() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM circle; END;
CREATE TABLE circle2 (a int, b bigint, c int CONSTRAINT pos CHECK (c > 0));
CREATE FUNCTION circle2_ok(c circle2) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION circle2_cnt() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM circle2; END;
ALTER TABLE circle2 ADD CONSTRAINT cc CHECK (circle2_ok(circle2.*)), ALTER b SET DEFAULT circle2_cnt();
CREATE INDEX circle2_i ON circle2 (circle2_ok(circle2.*));
CREATE FUNCTION sqlstd(i int, m mood DEFAULT 'meh') RETURNS SETOF "Order" LANGUAGE sql STABLE
BEGIN ATOMIC SELECT * FROM "Order" o WHERE o.id = i AND o.m = sqlstd.m; END;
CREATE PROCEDURE sqlproc(i int) LANGUAGE sql BEGIN ATOMIC INSERT INTO c1 VALUES (i, NULL); DELETE FROM c1 WHERE id = i; END;

-- Indexes, statistics
CREATE INDEX "Idx expr" ON "Order" (pg_catalog.lower("select") text_pattern_ops DESC NULLS LAST, (doubled + 1)) INCLUDE (d) WITH (fillfactor = 60) WHERE m <> 'sad';
ALTER INDEX "Idx expr" ALTER COLUMN 2 SET STATISTICS 99;
CREATE INDEX gin_j ON "Order" USING gin (j jsonb_path_ops);
CREATE UNIQUE INDEX und ON "Order" (d) NULLS NOT DISTINCT;
CREATE INDEX collx ON "Order" ("select" COLLATE "POSIX");
ALTER TABLE "Order" CLUSTER ON und;
ALTER TABLE c1 REPLICA IDENTITY FULL;
ALTER TABLE c2 REPLICA IDENTITY NOTHING;
ALTER TABLE pu REPLICA IDENTITY USING INDEX pu_a;
CREATE STATISTICS st1 (ndistinct, mcv) ON "select", n FROM "Order";
CREATE STATISTICS "St 2" ON (pg_catalog.lower("select")), (n * 2), f FROM "Order";
ALTER STATISTICS "St 2" SET STATISTICS 44;
CREATE STATISTICS st3 ON (f * 2) FROM "Order";
COMMENT ON INDEX und IS 'index';
COMMENT ON STATISTICS st1 IS 'statistics';

-- Views, also on what is younger than they are
CREATE VIEW v1 (idd, "Sel") WITH (security_barrier) AS SELECT id, "select" FROM "Order" WHERE m = 'ok';
ALTER VIEW v1 RENAME COLUMN "Sel" TO "renamed col";
CREATE VIEW v2 WITH (security_invoker = true, check_option = local) AS SELECT * FROM v1 WHERE idd > 0;
CREATE VIEW v3 AS SELECT o.m, count(*), sqlret(2) AS r FROM "Order" o GROUP BY o.m;
CREATE VIEW v4 AS SELECT id, "select", n FROM "Order" GROUP BY id;
CREATE RECURSIVE VIEW v5 (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM v5 WHERE n < 10;
ALTER VIEW v2 ALTER COLUMN idd SET DEFAULT 42;
CREATE VIEW v7 AS SELECT c.*, pg_catalog.abs(1) AS o, p.name FROM "Model ""1".circle c LEFT JOIN ref.plan p ON p.id = c.a;
CREATE VIEW v8 AS SELECT (p).a, (p)."B b", moods[1] FROM "Order" TABLESAMPLE SYSTEM (10);
CREATE VIEW old AS SELECT 1 AS x;
CREATE VIEW on_old AS SELECT * FROM old;
CREATE FUNCTION late_fn() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 5; END;
CREATE OR REPLACE VIEW old AS SELECT 1 AS x, late_fn() AS y;
COMMENT ON VIEW v1 IS 'view';
COMMENT ON COLUMN v1."renamed col" IS 'of a view''s column';

-- Rules, triggers
CREATE RULE r1 AS ON INSERT TO v2 DO INSTEAD INSERT INTO "Order" ("select") VALUES (new."renamed col") RETURNING id, "select";
CREATE RULE "r 2" AS ON DELETE TO ulog WHERE old.id > 5 DO ALSO (INSERT INTO c1 VALUES (old.id, NULL); UPDATE c1 SET c2 = 1 WHERE id = old.i);
CREATE RULE r3 AS ON UPDATE TO c1 DO INSTEAD NOTHING;
ALTER TABLE c1 DISABLE RULE r3;
ALTER TABLE ulog ENABLE ALWAYS RULE "r 2";
COMMENT ON RULE "r 2" ON ulog IS 'rule';
CREATE TRIGGER "t 1" BEFORE INSERT OR UPDATE OF "select", n ON "Order" FOR EACH ROW WHEN (new.n > 0 AND new."select" <> 'x.y') EXECUTE FUNCTION trg('a''b', 'c\d', 'x.y');
CREATE TRIGGER t2 AFTER UPDATE ON "Order" REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION trg();
CREATE TRIGGER t2b AFTER UPDATE ON "Order" FOR EACH ROW WHEN (old.* IS DISTINCT FROM new.*) EXECUTE FUNCTION trg();
CREATE TRIGGER t3 AFTER TRUNCATE ON "Order" EXECUTE FUNCTION trg();
CREATE CONSTRAINT TRIGGER t4 AFTER INSERT ON c2 FROM c1 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trg();
CREATE TRIGGER t5 INSTEAD OF UPDATE ON v1 FOR EACH ROW EXECUTE FUNCTION trg();
ALTER TABLE "Order" DISABLE TRIGGER t2;
ALTER TABLE "Order" ENABLE REPLICA TRIGGER t3;
ALTER TABLE c2 ENABLE ALWAYS TRIGGER t4;
COMMENT ON TRIGGER "t 1" ON "Order" IS 'trigger';

-- Partitions
CREATE TABLE part (id int NOT NULL, k text NOT NULL DEFAULT 'k', v int, CONSTRAINT part_pk PRIMARY KEY (id, k), CONSTRAINT vpos CHECK (v > 0), CONSTRAINT part_fk FOREIGN KEY (v) REFERENCES c1) PARTITION BY RANGE (id);
CREATE TABLE part_a PARTITION OF part FOR VALUES FROM (MINVALUE) TO (10);
CREATE TABLE part_b (k text NOT NULL, v int DEFAULT 5, id int NOT NULL, extra int);
ALTER TABLE part_b DROP COLUMN extra, ADD CONSTRAINT vpos CHECK (v > 0), ADD CONSTRAINT own CHECK (v < 1000),
	ADD CONSTRAINT b_own_fk FOREIGN KEY (v) REFERENCES c1, ADD CONSTRAINT b_pk PRIMARY KEY (id, k), ALTER k SET STORAGE MAIN;
CREATE INDEX b_v ON part_b (v);
ALTER TABLE part ATTACH PARTITION part_b FOR VALUES FROM (10) TO (20);
CREATE TABLE part_c PARTITION OF part FOR VALUES FROM (20) TO (MAXVALUE) PARTITION BY LIST (k);
CREATE TABLE part_c1 PARTITION OF part_c FOR VALUES IN ('a', 'b''c', NULL);
CREATE TABLE "part_C def" PARTITION OF part_c DEFAULT;
CREATE INDEX part_v ON part (v) WHERE v > 3;
CREATE INDEX part_v2 ON part (v);
CREATE INDEX part_v3 ON part (v);
CREATE UNIQUE INDEX part_u ON part (id, k, v);
CREATE INDEX only_parent ON ONLY part (k);
CREATE INDEX part_a_k ON part_a (k);
ALTER INDEX only_parent ATTACH PARTITION part_a_k;
ALTER TABLE part ADD CONSTRAINT nvchk CHECK (v < 500) NOT VALID;
CREATE TRIGGER pt AFTER INSERT ON part FOR EACH ROW EXECUTE FUNCTION trg();
ALTER TABLE part_a DISABLE TRIGGER pt;
CREATE TABLE refpart (id int, k text, FOREIGN KEY (id, k) REFERENCES part);
CREATE TABLE hashp (a int, b int) PARTITION BY HASH (a, is_even(b));
CREATE TABLE hashp0 PARTITION OF hashp FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashp1 PARTITION OF hashp FOR VALUES WITH (MODULUS 2, REMAINDER 1) WITH (fillfactor = 33);
COMMENT ON INDEX part_v IS 'partitioned index';
COMMENT ON CONSTRAINT vpos ON part IS 'of a partitioned table''s constraint';

-- Inheritance
CREATE TABLE inh_p (a int DEFAULT 1, b text NOT NULL, CONSTRAINT ap CHECK (a > 0));
CREATE TABLE inh_q (b text, q int CHECK (q <> 3));
CREATE TABLE inh_c (c serial PRIMARY KEY, a int DEFAULT 2) INHERITS (inh_p, inh_q);
ALTER TABLE inh_c ALTER b SET DEFAULT 'bdef', ALTER q SET NOT NULL, ALTER q SET STORAGE PLAIN, ALTER q ADD GENERATED ALWAYS AS IDENTITY;
CREATE TABLE inh_c2 () INHERITS (inh_p);
ALTER TABLE inh_c2 ALTER a DROP DEFAULT, ALTER b SET STORAGE EXTERNAL, ALTER b SET STATISTICS 3;
ALTER TABLE inh_p ADD CONSTRAINT late CHECK (a < 1000);
CREATE TABLE inh_d (x int, b text NOT NULL, a int, CONSTRAINT ap CHECK (a > 0), CONSTRAINT late CHECK (a < 1000));
ALTER TABLE inh_d INHERIT inh_p;
ALTER TABLE inh_q ADD CONSTRAINT qni CHECK (q < 9) NO INHERIT;
CREATE TABLE inh_gen (x int, y int GENERATED ALWAYS AS (x * 2) STORED);
CREATE TABLE inh_gen_c (z int) INHERITS (inh_gen);

-- What PostgreSQL would not read as it writes it, and what CREATE TABLE would make something else of
CREATE TABLE listed (id int PRIMARY KEY UNIQUE, s varchar(10) DEFAULT 'a' UNIQUE CHECK (s IN ('a', 'b''],', NULL)), t text CHECK (t IN ('a', 'b')), v varchar(5)[] DEFAULT ARRAY['a', 'b'],
	found boolean GENERATED ALWAYS AS (s IN ('a', 'b')) STORED, CHECK (CASE WHEN s IN ('a') THEN true ELSE s NOT IN ('b', 'c') END));
ALTER TABLE listed ADD UNIQUE (s);
CREATE INDEX ON listed ((s IN ('a', 'b'))) WHERE s IN ('x', 'y');
CREATE STATISTICS listed_statistics ON (s IN ('a', 'b')), id FROM listed;
CREATE VIEW some_listed AS SELECT 'x', NULL AS nothing, q.z, l.* FROM listed l, (SELECT 'y', 'z' AS z) q WHERE s IN ('a', 'b') AND EXISTS (SELECT NULL FROM listed WHERE t IN (SELECT 'a'));
CREATE POLICY own_listed ON listed USING (s IN ('a', 'b') AND EXISTS (SELECT 'x' FROM listed WHERE s IN ('c', 'd')));
ALTER TABLE listed ENABLE ROW LEVEL SECURITY;
CREATE RULE noted AS ON DELETE TO listed WHERE old.s IN ('x', 'y') DO ALSO INSERT INTO listed (s, t) SELECT 'deleted', old.s;
CREATE TRIGGER fire BEFORE UPDATE ON listed FOR EACH ROW WHEN (new.s IN ('a', 'b')) EXECUTE FUNCTION trg();
CREATE FUNCTION hello(a varchar DEFAULT 'x') RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT DISTINCT ON (id) 'x' FROM listed; SELECT 'a' WHERE a IN ('b', 'c'); SELECT 'hello'; END;
CREATE PROCEDURE fill() LANGUAGE sql BEGIN ATOMIC INSERT INTO listed (id, s, t) SELECT 1, 'x', 'y' FROM listed GROUP BY 1 ON CONFLICT DO NOTHING RETURNING 'z', id; END;
CREATE TABLE parted_options (a int, b int, CONSTRAINT parted_options_key UNIQUE (a) INCLUDE (b) WITH (fillfactor = 70) DEFERRABLE) PARTITION BY RANGE (a);
CREATE TABLE parted_options_1 PARTITION OF parted_options FOR VALUES FROM (1) TO (2);
ALTER TABLE parted_options ADD CONSTRAINT unchecked CHECK (b > 0) NOT VALID;
ALTER TABLE parted_options_1 VALIDATE CONSTRAINT unchecked;
CREATE TABLE kept (a text COMPRESSION pglz, b int DEFAULT 5);
ALTER TABLE kept ALTER a SET STORAGE EXTERNAL;
CREATE TABLE kept_child () INHERITS (kept);
ALTER TABLE kept_child ALTER b DROP DEFAULT;
CREATE TABLE kept_grandchild () INHERITS (kept_child);
ALTER TABLE ONLY kept_child ALTER a SET COMPRESSION default;
CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
CREATE TABLE computed_child (LIKE computed INCLUDING GENERATED, c int);
ALTER TABLE computed_child INHERIT computed;
CREATE TYPE spans AS RANGE (subtype = float8, multirange_type_name = many_spans);
CREATE TABLE spanned (a spans DEFAULT spans(1, 2), b many_spans DEFAULT many_spans(spans(1, 2)));
ALTER TYPE spans RENAME TO "spans, renamed";
ALTER TYPE many_spans RENAME TO "many renamed";
CREATE TABLE elder (a int, b text NOT NULL DEFAULT 'b', CHECK (a > 0));
CREATE TABLE younger (own serial PRIMARY KEY, z int CHECK (z > 0)) INHERITS (elder);
ALTER TABLE elder ADD late int DEFAULT 7 CONSTRAINT late CHECK (late > 0);

-- Policies
CREATE TABLE pol (id int, who name DEFAULT current_user);
ALTER TABLE pol ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p 1" ON pol FOR SELECT TO reader, app USING (who = current_user AND EXISTS (SELECT FROM c1 WHERE c1.id = pol.id));
CREATE POLICY p2 ON pol AS RESTRICTIVE FOR UPDATE USING (id > 0) WITH CHECK (id < 10);
CREATE POLICY p3 ON pol FOR INSERT WITH CHECK (true);
COMMENT ON POLICY p2 ON pol IS 'policy';

-- Names: keywords, 63 bytes (of more than one, too), with all that can be in them
CREATE TABLE "table" ("select" int PRIMARY KEY, "from" text, "user" name, "primary" bool, "end" date DEFAULT CURRENT_DATE);
CREATE TABLE "with space, ""quotes"", 'apostrophes', \backslash and $dollars$" ("a b" int, "c""d" int, CHECK ("a b" > "c""d"));
CREATE TABLE "ääääääääääääääääääääääääääääääääa" ("ööööööööööööööööööööööööööööööööö" serial PRIMARY KEY);
CREATE INDEX "Model ""1 index" ON "table" ("from");
CREATE TABLE "Model ""1" (id int);
CREATE FUNCTION "function"("in" int DEFAULT 1, "out" text DEFAULT 'a.b', "Model ""1" int DEFAULT 3) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT "in"';
CREATE VIEW "view" AS SELECT "function"("out" => 'x') AS "case", "select", "from" FROM "table" "where" WHERE "select" > 0;

-- Tables: access method, tablespace, compression, storage
CREATE TABLE heaped (id int, t text COMPRESSION lz4, u text) USING heap2 WITH (parallel_workers = 3, toast.autovacuum_enabled = false);
ALTER TABLE heaped ALTER u SET STORAGE EXTERNAL, ALTER t SET (n_distinct = 7);
CREATE TABLE spaced (id int PRIMARY KEY USING INDEX TABLESPACE elsewhere, t text UNIQUE) TABLESPACE elsewhere;
CREATE INDEX spaced_t ON spaced (lower(t)) TABLESPACE elsewhere;
CREATE TABLE spaced_p (id int) PARTITION BY LIST (id) TABLESPACE elsewhere;
CREATE TABLE spaced_p1 PARTITION OF spaced_p FOR VALUES IN (1);
-- Inheritance over several levels, from several parents
CREATE TABLE multi_1 (a int CHECK (a > 0), b text DEFAULT 'one');
CREATE TABLE multi_2 (b text DEFAULT 'two', c int NOT NULL);
CREATE TABLE multi_3 (d int, b text DEFAULT 'three') INHERITS (multi_1, multi_2);
CREATE TABLE multi_4 (e serial) INHERITS (multi_3);
-- Partitions over several levels, foreign keys to and from them, and an identity
CREATE TABLE deep (region text, year int, id int GENERATED BY DEFAULT AS IDENTITY, v numeric DEFAULT 1.5, PRIMARY KEY (region, year, id)) PARTITION BY LIST (region);
CREATE TABLE deep_eu PARTITION OF deep FOR VALUES IN ('eu', 'uk') PARTITION BY RANGE (year);
CREATE TABLE deep_eu_2020 PARTITION OF deep_eu (v DEFAULT 2.5) FOR VALUES FROM (2020) TO (2021) PARTITION BY HASH (id);
CREATE TABLE deep_eu_2020_0 PARTITION OF deep_eu_2020 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE deep_eu_2020_1 PARTITION OF deep_eu_2020 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE deep_default PARTITION OF deep DEFAULT;
CREATE TABLE of_deep (region text, year int, id int, FOREIGN KEY (region, year, id) REFERENCES deep ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED) PARTITION BY RANGE (year);
CREATE TABLE of_deep_1 PARTITION OF of_deep FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
CREATE UNIQUE INDEX deep_v ON deep (v, region, year, id);
ALTER TABLE deep_eu_2020_0 CLUSTER ON deep_eu_2020_0_pkey;
-- Foreign keys: all actions
CREATE TABLE act (id int PRIMARY KEY, u int UNIQUE,
	a int REFERENCES act ON DELETE NO ACTION ON UPDATE NO ACTION, b int REFERENCES act (u) ON DELETE RESTRICT ON UPDATE RESTRICT,
	c int REFERENCES act ON DELETE CASCADE ON UPDATE CASCADE, d int REFERENCES act ON DELETE SET NULL ON UPDATE SET NULL,
	e int DEFAULT 1 REFERENCES act ON DELETE SET DEFAULT ON UPDATE SET DEFAULT, f int REFERENCES act MATCH FULL NOT DEFERRABLE);
CREATE TABLE act2 (x int, y int DEFAULT 2, FOREIGN KEY (x, y) REFERENCES t_setnull (a, b) ON DELETE SET DEFAULT (y));

-- Text search, collations, operators, casts
CREATE COLLATION german (provider = icu, locale = 'de-u-co-phonebk');
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION "C copy" FROM "C";
COMMENT ON COLLATION german IS 'collation';
CREATE TABLE sorted (g text COLLATE german, n text COLLATE nocase UNIQUE, c text COLLATE "C copy");
CREATE INDEX sorted_g ON sorted (n COLLATE german, c COLLATE nocase);
CREATE TEXT SEARCH DICTIONARY stem (TEMPLATE = pg_catalog.snowball, LANGUAGE = german, STOPWORDS = german);
CREATE TEXT SEARCH DICTIONARY "Simple" (TEMPLATE = pg_catalog.simple, ACCEPT = false);
CREATE TEXT SEARCH CONFIGURATION search (PARSER = pg_catalog.default);
ALTER TEXT SEARCH CONFIGURATION search ADD MAPPING FOR asciiword, word, hword WITH "Simple", stem;
ALTER TEXT SEARCH CONFIGURATION search ADD MAPPING FOR int WITH pg_catalog.simple;
COMMENT ON TEXT SEARCH CONFIGURATION search IS 'configuration';
COMMENT ON TEXT SEARCH DICTIONARY stem IS 'dictionary';
CREATE TABLE document (body text, found tsvector GENERATED ALWAYS AS (to_tsvector('search', body)) STORED);
CREATE INDEX document_found ON document USING gin (found);
CREATE FUNCTION pair_lt(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a < ($2).a;
CREATE FUNCTION pair_gt(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a > ($2).a;
CREATE OPERATOR <# (FUNCTION = pair_lt, LEFTARG = pair, RIGHTARG = pair, COMMUTATOR = >#, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR ># (FUNCTION = pair_gt, LEFTARG = pair, RIGHTARG = pair, COMMUTATOR = <#);
CREATE OPERATOR !! (FUNCTION = is_even, RIGHTARG = int);
COMMENT ON OPERATOR <# (pair, pair) IS 'operator';
CREATE FUNCTION pair_of(mood) RETURNS pair LANGUAGE sql IMMUTABLE RETURN ROW(1, 'x', $1)::pair;
CREATE CAST (mood AS pair) WITH FUNCTION pair_of(mood) AS ASSIGNMENT;
CREATE CAST (pair AS tt) WITH INOUT;
COMMENT ON CAST (mood AS pair) IS 'cast';
CREATE VIEW operated AS SELECT p <# 'ok'::mood::pair AS lt, !! 3 AS e FROM "Order";

-- Functions: all that can be said of them
CREATE FUNCTION every_mode(a int, OUT b int, INOUT c text, VARIADIC d text[]) RETURNS record LANGUAGE plpgsql AS 'BEGIN b := a; END';
CREATE FUNCTION returns_trigger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = "Model ""1", pg_temp AS 'BEGIN RETURN new; END';
CREATE FUNCTION many(anyarray) RETURNS SETOF anyelement LANGUAGE sql STABLE ROWS 12 COST 3 PARALLEL RESTRICTED AS 'SELECT unnest($1)';
CREATE FUNCTION names_model() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM "Model ""1"."Order" o, "Model ""1".is_even(1) WHERE ''ok''::"Model ""1".mood = o.m';
CREATE FUNCTION pair_last(pair, pair) RETURNS pair LANGUAGE sql IMMUTABLE RETURN CASE WHEN $1 ># $2 THEN $1 ELSE $2 END;
CREATE FUNCTION mood_state(int, mood) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 1;
CREATE FUNCTION mood_final(int, mood) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 2;
CREATE FUNCTION twice(int, int, mood) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 2;
CREATE FUNCTION twice(int, int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 + 2;
CREATE FUNCTION windowed() RETURNS int LANGUAGE plpgsql WINDOW AS 'BEGIN RETURN 1; END';
CREATE PROCEDURE standard(INOUT x int DEFAULT 5) LANGUAGE sql BEGIN ATOMIC SELECT x + 1; END;
CREATE AGGREGATE greatest_of (int) (SFUNC = int4larger, STYPE = int, SORTOP = >, COMBINEFUNC = int4larger, PARALLEL = SAFE);
CREATE AGGREGATE last_pair (pair) (SFUNC = pair_last, STYPE = pair, SORTOP = >#);
CREATE AGGREGATE ordered (ORDER BY int) (SFUNC = int4pl, STYPE = int, INITCOND = '3');
CREATE AGGREGATE directly (w mood ORDER BY o mood) (SFUNC = mood_state, STYPE = int, FINALFUNC = mood_final, FINALFUNC_MODIFY = READ_ONLY);
CREATE AGGREGATE overloaded (int, mood) (SFUNC = twice, STYPE = int);
COMMENT ON AGGREGATE directly (mood ORDER BY mood) IS 'ordered-set aggregate';
GRANT EXECUTE ON FUNCTION directly (mood, mood) TO app;
REVOKE EXECUTE ON FUNCTION ordered (int) FROM PUBLIC;
RESET ROLE;
CREATE AGGREGATE half (p float8 ORDER BY anyelement) (SFUNC = pg_catalog.ordered_set_transition, STYPE = internal, FINALFUNC = pg_catalog.percentile_disc_final, FINALFUNC_EXTRA);
CREATE AGGREGATE ranked (VARIADIC "any" ORDER BY VARIADIC "any") (SFUNC = pg_catalog.ordered_set_transition_multi, STYPE = internal, FINALFUNC = pg_catalog.rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE AGGREGATE averaged (numeric) (SFUNC = pg_catalog.numeric_avg_accum, STYPE = internal, SSPACE = 128, FINALFUNC = pg_catalog.numeric_avg, COMBINEFUNC = pg_catalog.numeric_avg_combine,
	SERIALFUNC = pg_catalog.numeric_avg_serialize, DESERIALFUNC = pg_catalog.numeric_avg_deserialize, MSFUNC = pg_catalog.numeric_avg_accum, MINVFUNC = pg_catalog.numeric_accum_inv,
	MSTYPE = internal, MSSPACE = 128, MFINALFUNC = pg_catalog.numeric_avg, PARALLEL = SAFE);
COMMENT ON AGGREGATE averaged (numeric) IS 'with an internal state';
CREATE FUNCTION distance(text, text DEFAULT '$it''s') RETURNS int LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS '$libdir/fuzzystrmatch', 'levenshtein';
CREATE FUNCTION "row number"() RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number';
CREATE FUNCTION support(internal) RETURNS internal LANGUAGE internal AS 'generate_series_int4_support';
CREATE FUNCTION numbers(int, int) RETURNS TABLE ("n n" int) LANGUAGE internal ROWS 5 STRICT SUPPORT support SET work_mem = '1MB' AS 'generate_series_int4';
CREATE FUNCTION consistent(internal, box, smallint, oid, internal) RETURNS boolean LANGUAGE internal AS 'gist_box_consistent';
CREATE FUNCTION union_(internal, internal) RETURNS box LANGUAGE internal AS 'gist_box_union';
CREATE FUNCTION same_int(int, int) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'int4eq';
COMMENT ON FUNCTION distance(text, text) IS 'in C';

-- Operator families and classes
CREATE FUNCTION mood_cmp(mood, mood) RETURNS int LANGUAGE sql IMMUTABLE RETURN enum_cmp($1, $2);
CREATE OPERATOR CLASS "mood ops" FOR TYPE mood USING btree AS FUNCTION 1 mood_cmp(mood, mood);
CREATE OPERATOR FAMILY whole USING btree;
CREATE OPERATOR CLASS whole4 FOR TYPE int USING btree FAMILY whole AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE OPERATOR CLASS whole8 FOR TYPE bigint USING btree FAMILY whole AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint8cmp(bigint, bigint);
ALTER OPERATOR FAMILY whole USING btree ADD OPERATOR 1 < (int, bigint), OPERATOR 3 = (int, bigint), FUNCTION 1 (int, bigint) btint48cmp(int, bigint);
CREATE OPERATOR CLASS boxes FOR TYPE box USING gist AS OPERATOR 3 &&, OPERATOR 15 <-> (box, point) FOR ORDER BY pg_catalog.float_ops,
	FUNCTION 1 consistent(internal, box, smallint, oid, internal), FUNCTION 2 union_(internal, internal), FUNCTION 5 gist_box_penalty(internal, internal, internal),
	FUNCTION 6 gist_box_picksplit(internal, internal), FUNCTION 7 gist_box_same(box, box, internal), FUNCTION 8 gist_box_distance(internal, box, smallint, oid, internal);
CREATE OPERATOR CLASS hashed FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int);
CREATE OPERATOR CLASS stored FOR TYPE int[] USING gin AS OPERATOR 1 && (anyarray, anyarray), FUNCTION 1 btint4cmp(int, int), FUNCTION 2 ginarrayextract(anyarray, internal, internal),
	FUNCTION 3 ginqueryarrayextract(anyarray, internal, smallint, internal, internal, internal, internal),
	FUNCTION 4 ginarrayconsistent(internal, smallint, anyarray, integer, internal, internal, internal, internal), STORAGE int;
COMMENT ON OPERATOR CLASS boxes USING gist IS 'class';
COMMENT ON OPERATOR FAMILY whole USING btree IS 'family';
CREATE TYPE wholes AS RANGE (subtype = int, subtype_opclass = whole4, multirange_type_name = "whole's");
SELECT format('ALTER %s OWNER TO model_owner', what) FROM (
	SELECT 'ROUTINE ' || p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = '"Model ""1"'::regnamespace AND p.proowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'i')
	UNION ALL SELECT format('OPERATOR CLASS %I USING %I', c.opcname, a.amname) FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod WHERE c.opcnamespace = '"Model ""1"'::regnamespace
	UNION ALL SELECT format('OPERATOR FAMILY %I USING %I', c.opfname, a.amname) FROM pg_opfamily c JOIN pg_am a ON a.oid = c.opfmethod WHERE c.opfnamespace = '"Model ""1"'::regnamespace
	UNION ALL SELECT 'TYPE wholes') o (what) \gexec
SET ROLE model_owner;
CREATE TABLE indexed (m mood PRIMARY KEY, n int, b box, a int[], w wholes, EXCLUDE USING gist (b boxes WITH &&));
CREATE INDEX indexed_m ON indexed (m "mood ops");
CREATE INDEX indexed_n ON indexed (n whole4 DESC NULLS LAST);
CREATE INDEX indexed_h ON indexed USING hash (n hashed);
CREATE INDEX indexed_a ON indexed USING gin (a stored) WITH (fastupdate = off);
CREATE INDEX indexed_brin ON indexed USING brin (n) WITH (pages_per_range = 7);
CREATE INDEX indexed_sp ON indexed USING spgist (b);
CREATE TABLE by_whole (n int) PARTITION BY RANGE (n whole4);
CREATE TABLE by_whole_1 PARTITION OF by_whole FOR VALUES FROM (1) TO (10);
CREATE VIEW numbered AS SELECT i.m, "row number"() OVER (PARTITION BY n ORDER BY m) AS nr FROM indexed i;
CREATE VIEW aggregated AS SELECT half(0.5) WITHIN GROUP (ORDER BY n) AS h, ranked(3) WITHIN GROUP (ORDER BY n) AS r, averaged(n) AS a, greatest_of(n) AS g FROM indexed;

-- Materialized views
CREATE MATERIALIZED VIEW "mat view" ("sum of", "m") WITH (fillfactor = 40, toast.autovacuum_enabled = off) AS SELECT sum(o.n), o.m FROM "Order" o GROUP BY o.m;
CREATE UNIQUE INDEX "mat key" ON "mat view" (m);
CREATE INDEX mat_sum ON "mat view" (("sum of" * 2)) WHERE m = 'ok';
ALTER MATERIALIZED VIEW "mat view" ALTER "sum of" SET STATISTICS 9, CLUSTER ON "mat key";
COMMENT ON MATERIALIZED VIEW "mat view" IS 'materialized';
COMMENT ON COLUMN "mat view"."sum of" IS 'its column';
CREATE MATERIALIZED VIEW mat_empty TABLESPACE elsewhere AS SELECT * FROM "mat view" WITH NO DATA;
CREATE STATISTICS mat_stat ON m, "sum of" FROM "mat view";
CREATE VIEW of_mat AS SELECT * FROM "mat view";
CREATE VIEW of_mat_invoker WITH (security_invoker = on) AS SELECT * FROM "mat view";

-- More of triggers, rules, views
CREATE TRIGGER truncating BEFORE TRUNCATE ON act EXECUTE FUNCTION returns_trigger();
CREATE TRIGGER inserting AFTER INSERT ON act REFERENCING NEW TABLE AS "new table" FOR EACH STATEMENT EXECUTE FUNCTION returns_trigger('a', '"b"', '');
CREATE TRIGGER deep_t BEFORE INSERT ON deep FOR EACH ROW EXECUTE FUNCTION returns_trigger();
ALTER TABLE deep_eu_2020_1 ENABLE ALWAYS TRIGGER deep_t;
CREATE RULE "do nothing" AS ON DELETE TO act WHERE old.id < 0 DO INSTEAD NOTHING;
CREATE RULE notified AS ON UPDATE TO act DO ALSO NOTIFY acted;
CREATE VIEW barred WITH (security_barrier, check_option = cascaded) AS SELECT * FROM act WHERE id > 0;
CREATE VIEW windows AS SELECT id, rank() OVER w AS r, lag(u, 1, 0) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM act WINDOW w AS (PARTITION BY a ORDER BY b DESC NULLS LAST);
CREATE VIEW complicated AS WITH RECURSIVE r (n, path) AS (VALUES (1, ARRAY[1]) UNION ALL SELECT n + 1, path || n FROM r WHERE n < 5) SEARCH DEPTH FIRST BY n SET o CYCLE n SET looped USING p
	SELECT DISTINCT ON (r.n) r.n, r.path, x.*, GROUPING(a.b) AS g FROM r CROSS JOIN LATERAL (SELECT a FROM act LIMIT 1 OFFSET 1) x FULL JOIN act a USING (a) GROUP BY GROUPING SETS ((r.n, r.path, x.a, a.a, a.b), ()) ORDER BY r.n, 2;

-- Privileges
GRANT SELECT ON ALL TABLES IN SCHEMA "Model ""1" TO reader;
GRANT INSERT, UPDATE ON "Order" TO app;
GRANT SELECT ON v1, v2 TO app;
GRANT SELECT ON "Order" TO PUBLIC;
GRANT SELECT (n, "select"), UPDATE (n) ON "Order" TO reader WITH GRANT OPTION;
GRANT ALL ON c1 TO reader WITH GRANT OPTION;
REVOKE DELETE ON c1 FROM model_owner;
GRANT USAGE ON SEQUENCE "Seq alone" TO app;
REVOKE EXECUTE ON FUNCTION sqlret(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sqlret(int) TO app;
REVOKE ALL ON FUNCTION is_even(int) FROM model_owner;
GRANT EXECUTE ON PROCEDURE proc(int, mood) TO reader;
GRANT USAGE ON TYPE mood TO app;
REVOKE USAGE ON TYPE posint FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Model ""1" GRANT SELECT ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Model ""1" GRANT EXECUTE ON FUNCTIONS TO reader WITH GRANT OPTION;
RESET ROLE;
RESET search_path;

