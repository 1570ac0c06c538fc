--
-- The copy of a model schema for a tenant: exact, or refused.
--
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_group NOLOGIN;
CREATE ROLE regress_member LOGIN IN ROLE regress_group;
CREATE ROLE regress_reader LOGIN;
CREATE EXTENSION tenancy;

-- What a model may point to outside
CREATE SCHEMA regress_ref;
CREATE TABLE regress_ref.plan (id int PRIMARY KEY, name text UNIQUE);
CREATE FUNCTION regress_ref.outside(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
GRANT USAGE ON SCHEMA regress_ref TO regress_owner, regress_app;
GRANT SELECT, REFERENCES ON regress_ref.plan TO regress_owner;

CREATE SCHEMA "Model ""1" AUTHORIZATION regress_owner;
SET ROLE regress_owner;
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
GRANT EXECUTE ON FUNCTION moods(mood) TO regress_app;
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
CREATE UNLOGGED TABLE ulog (id serial PRIMARY KEY, i int GENERATED BY DEFAULT AS IDENTITY, plan int REFERENCES regress_ref.plan, x int DEFAULT regress_ref.outside(3));
ALTER TABLE ulog ADD CONSTRAINT nvfk FOREIGN KEY (x) REFERENCES regress_ref.plan (id) MATCH FULL NOT VALID;
CREATE TABLE ident (i int GENERATED BY DEFAULT AS IDENTITY, j smallint GENERATED ALWAYS AS IDENTITY);
ALTER SEQUENCE ident_i_seq AS bigint MAXVALUE 99999999999 START WITH 7 RESTART;
CREATE TYPE tt AS (a int, b text);
CREATE TABLE typed OF tt (PRIMARY KEY (a), b WITH OPTIONS DEFAULT 'z' NOT NULL);
CREATE TABLE typed2 OF tt;
CREATE TABLE empty ();
-- from 18 on, NOT NULL has a name, and may be for new rows only
CREATE TABLE nn (a int CONSTRAINT "a's" NOT NULL, b int, c int CONSTRAINT not_below NOT NULL);
DO $$ BEGIN
	IF current_setting('server_version_num')::int >= 180000 THEN
		EXECUTE 'ALTER TABLE nn ADD CONSTRAINT later NOT NULL b NOT VALID; ALTER TABLE nn ALTER CONSTRAINT not_below NO INHERIT';
	END IF;
END $$;

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
CREATE VIEW v7 AS SELECT c.*, regress_ref.outside(1) AS o, p.name FROM "Model ""1".circle c LEFT JOIN regress_ref.plan p ON p.id = c.a;
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

-- Policies
CREATE TABLE pol (id int, who name DEFAULT current_user);
ALTER TABLE pol ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p 1" ON pol FOR SELECT TO regress_reader, regress_app USING (who = current_user AND EXISTS (SELECT FROM c1 WHERE c1.id = pol.id));
CREATE POLICY p2 ON pol AS RESTRICTIVE FOR UPDATE USING (id > 0) WITH CHECK (id < 10);
CREATE POLICY p3 ON pol FOR INSERT WITH CHECK (true);
COMMENT ON POLICY p2 ON pol IS 'policy';

-- Privileges
GRANT SELECT ON ALL TABLES IN SCHEMA "Model ""1" TO regress_reader;
GRANT INSERT, UPDATE ON "Order" TO regress_app;
GRANT SELECT ON v1, v2 TO regress_app;
GRANT SELECT ON "Order" TO PUBLIC;
GRANT SELECT (n, "select"), UPDATE (n) ON "Order" TO regress_reader WITH GRANT OPTION;
GRANT ALL ON c1 TO regress_reader WITH GRANT OPTION;
REVOKE DELETE ON c1 FROM regress_owner;
GRANT USAGE ON SEQUENCE "Seq alone" TO regress_app;
REVOKE EXECUTE ON FUNCTION sqlret(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sqlret(int) TO regress_app;
REVOKE ALL ON FUNCTION is_even(int) FROM regress_owner;
GRANT EXECUTE ON PROCEDURE proc(int, mood) TO regress_reader;
GRANT USAGE ON TYPE mood TO regress_app;
REVOKE USAGE ON TYPE posint FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Model ""1" GRANT SELECT ON TABLES TO regress_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Model ""1" GRANT EXECUTE ON FUNCTIONS TO regress_reader WITH GRANT OPTION;
RESET ROLE;
RESET search_path;

SELECT tenancy.create_module('main', 'Model "1');
SELECT tenancy.create_tenant('t1', 'schema', '00000000-0000-4000-8000-000000000001');

/*
 * Everything that is in a schema, in words from which the schema's own name is
 * gone, so that two schemas can be compared.  What the copy has on purpose,
 * our policies and row security, is left out.
 */
CREATE FUNCTION regress_ref.described(what text, nsp name) RETURNS text LANGUAGE sql AS
$$ SELECT replace(replace(replace(what, '"', ''), q || '.', ''), q, '~') FROM replace(nsp, '"', '') q $$;
CREATE FUNCTION regress_ref.privileges(acl aclitem[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(a.grantee::regrole || ':' || a.privilege_type || a.is_grantable, ',' ORDER BY a.grantee, a.privilege_type) FROM aclexplode(acl) a $$;
CREATE FUNCTION regress_ref.describe(nsp name) RETURNS TABLE (what text, def text) LANGUAGE sql AS $fn$
WITH n AS (SELECT oid FROM pg_namespace WHERE nspname = nsp),
rel AS (SELECT c.* FROM pg_class c JOIN n ON c.relnamespace = n.oid),
line (what, def) AS (
	SELECT 'relation ' || c.relname,
		   row(c.relkind, c.relowner::regrole, c.relpersistence, c.reloptions, t.reloptions, c.relam, c.reltablespace, c.relreplident,
			   c.relispartition, c.relhassubclass, c.reloftype::regtype, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
			   CASE WHEN c.relkind <> 'c' THEN regress_ref.privileges(COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) END)::text
	FROM rel c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
	UNION ALL
	SELECT 'column ' || c.relname || '.' || a.attname,
		   row(row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull, a.attidentity, a.attgenerated,
			   a.attstorage, a.attcompression, a.attstattarget, array(SELECT o FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_attver=%'),
			   a.attislocal, a.attinhcount, pg_get_expr(d.adbin, d.adrelid), regress_ref.privileges(a.attacl))::text
	FROM rel c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	UNION ALL
	SELECT 'constraint ' || x.conname || ' on ' || COALESCE(c.relname, t.typname),
		   row(x.contype, x.convalidated, x.conislocal, x.coninhcount, x.connoinherit AND x.contype = 'c', p.conname, pg_get_constraintdef(x.oid))::text
	FROM pg_constraint x JOIN n ON x.connamespace = n.oid LEFT JOIN pg_class c ON c.oid = x.conrelid LEFT JOIN pg_type t ON t.oid = x.contypid
	LEFT JOIN pg_constraint p ON p.oid = x.conparentid
	UNION ALL
	SELECT 'index ' || i.indexrelid::regclass,
		   row(pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident, h.inhparent::regclass)::text
	FROM rel c JOIN pg_index i ON i.indrelid = c.oid LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid
	UNION ALL
	SELECT 'inheritance ' || c.relname, string_agg(h.inhparent::regclass::text, ', ' ORDER BY h.inhseqno)
	FROM rel c JOIN pg_inherits h ON h.inhrelid = c.oid GROUP BY c.relname
	UNION ALL
	SELECT 'trigger ' || t.tgname || ' on ' || c.relname, row(t.tgenabled, pg_get_triggerdef(t.oid))::text
	FROM rel c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
	UNION ALL
	SELECT 'rule ' || r.rulename || ' on ' || c.relname, row(r.ev_enabled, pg_get_ruledef(r.oid))::text
	FROM rel c JOIN pg_rewrite r ON r.ev_class = c.oid
	UNION ALL
	SELECT 'policy ' || p.polname || ' on ' || c.relname,
		   row(p.polpermissive, p.polcmd, p.polroles::regrole[], pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid))::text
	FROM rel c JOIN pg_policy p ON p.polrelid = c.oid AND p.polname NOT IN ('tenant_isolation', 'tenant_access')
	UNION ALL
	SELECT 'function ' || p.oid::regprocedure,
		   CASE WHEN p.prolang <> 12 THEN pg_get_functiondef(p.oid) || p.proowner::regrole || regress_ref.privileges(COALESCE(p.proacl, acldefault('f', p.proowner))) END
	FROM pg_proc p JOIN n ON p.pronamespace = n.oid
	UNION ALL
	SELECT 'aggregate ' || p.oid::regprocedure,
		   concat_ws(' ', pg_get_function_arguments(p.oid), p.proparallel, p.proowner::regrole,
			   regress_ref.privileges(COALESCE(p.proacl, acldefault('f', p.proowner))), a.aggtranstype::regtype, a.aggmtranstype::regtype,
			   (SELECT string_agg(v.key || '=' || v.value, ' ' ORDER BY v.key) FROM jsonb_each_text(to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype}'::text[]) v))
	FROM pg_proc p JOIN n ON p.pronamespace = n.oid JOIN pg_aggregate a ON a.aggfnoid = p.oid
	UNION ALL
	SELECT 'type ' || t.typname,
		   row(t.typtype, t.typowner::regrole, format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault, t.typcollation::regcollation,
			   array(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
			   r.rngsubtype::regtype, r.rngcollation::regcollation, r.rngsubopc, r.rngsubdiff::oid::regprocedure, r.rngmultitypid::regtype,
			   regress_ref.privileges(t.typacl))::text
	FROM pg_type t JOIN n ON t.typnamespace = n.oid LEFT JOIN pg_range r ON r.rngtypid = t.oid
	UNION ALL
	SELECT 'sequence ' || c.relname, row(s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)::text
	FROM rel c JOIN pg_sequence s ON s.seqrelid = c.oid
	UNION ALL
	SELECT 'statistics ' || s.stxname, row(pg_get_statisticsobjdef(s.oid), s.stxstattarget)::text
	FROM pg_statistic_ext s JOIN n ON s.stxnamespace = n.oid
	UNION ALL
	SELECT 'default privileges ' || d.defaclobjtype::text, regress_ref.privileges(d.defaclacl)
	FROM pg_default_acl d JOIN n ON d.defaclnamespace = n.oid
	UNION ALL
	SELECT 'comment ' || i.type || ' ' || i.identity, d.description
	FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
	WHERE d.classoid <> 'pg_namespace'::regclass AND position(quote_ident(nsp) || '.' IN i.identity) > 0
)
SELECT regress_ref.described(what, nsp), regress_ref.described(def, nsp) FROM line
$fn$;
CREATE FUNCTION regress_ref.differences(model name, copy name) RETURNS TABLE (side text, what text, def text) LANGUAGE sql AS $fn$
WITH m AS (SELECT * FROM regress_ref.describe(model)), c AS (SELECT * FROM regress_ref.describe(copy))
SELECT 'model', * FROM (TABLE m EXCEPT ALL TABLE c) a UNION ALL SELECT 'copy', * FROM (TABLE c EXCEPT ALL TABLE m) b ORDER BY 2, 1
$fn$;

-- The comparison sees much, and finds nothing; but it would.
SELECT count(*) > 600 AS much FROM regress_ref.describe('Model "1');
SELECT * FROM regress_ref.differences('Model "1', 'tenant_t1');
BEGIN;
ALTER TABLE tenant_t1.c1 ALTER c2 SET STATISTICS 5;
SELECT side, what FROM regress_ref.differences('Model "1', 'tenant_t1');
ROLLBACK;

-- What the copy has of its own: every table is behind the wall.
SELECT relkind, relrowsecurity, relforcerowsecurity, count(*) FROM pg_class
WHERE relnamespace = 'tenant_t1'::regnamespace AND relkind IN ('r', 'p', 'v') GROUP BY 1, 2, 3 ORDER BY 1;
SELECT tablename, policyname, permissive, roles, cmd, qual, with_check FROM pg_policies
WHERE schemaname = 'tenant_t1' AND tablename IN ('c1', 'part_c1', 'pol') ORDER BY 1, 2;
SELECT count(*) FILTER (WHERE policyname = 'tenant_isolation') AS isolation,
	   count(*) FILTER (WHERE policyname = 'tenant_access') AS access FROM pg_policies WHERE schemaname = 'tenant_t1';
-- Sequences start anew.
SELECT last_value, is_called FROM tenant_t1.useq;
SELECT last_value, is_called FROM tenant_t1.ident_i_seq;
-- The model schema's privileges are not the copy's; nobody has access yet.
SELECT nspacl FROM pg_namespace WHERE nspname = 'tenant_t1';
-- Nothing in it refers to the model.
WITH model AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = '"Model ""1"'::regnamespace)
SELECT count(*) FROM pg_depend d JOIN model m ON d.refclassid = m.classid AND d.refobjid = m.objid
WHERE (pg_identify_object(d.classid, d.objid, d.objsubid)).identity LIKE '%tenant\_t1.%';

-- It works: as the application's role, in context, with bare names.
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.grant_access('regress_group');
GRANT TRUNCATE, REFERENCES, TRIGGER, INSERT ON "Model ""1".c1, "Model ""1".c2 TO regress_group WITH GRANT OPTION;
GRANT TRUNCATE, SELECT, INSERT ON "Model ""1".c1, "Model ""1".c2 TO PUBLIC;
GRANT TRUNCATE ON "Model ""1".c1 TO regress_reader;
GRANT REFERENCES (id), UPDATE (id) ON "Model ""1".c1 TO regress_app;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner IN SCHEMA "Model ""1" GRANT TRUNCATE, DELETE ON TABLES TO regress_app;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT TRUNCATE, UPDATE ON TABLES TO regress_app;
SELECT tenancy.create_tenant('t2', 'schema', '00000000-0000-4000-8000-000000000002');
-- Privileges that reach around row security are gone for who may act for tenants, or whose member may.
SELECT grantee::regrole, string_agg(privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, ', ' ORDER BY privilege_type)
FROM pg_class, aclexplode(relacl) WHERE oid = 'tenant_t2.c1'::regclass AND privilege_type <> 'MAINTAIN' GROUP BY 1 ORDER BY 1;
SELECT grantee::regrole, string_agg(privilege_type, ', ' ORDER BY privilege_type)
FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'tenant_t2.c1'::regclass GROUP BY 1 ORDER BY 1;
SELECT defaclobjtype, grantee::regrole, string_agg(privilege_type, ', ' ORDER BY privilege_type)
FROM pg_default_acl, aclexplode(defaclacl) WHERE defaclnamespace = 'tenant_t2'::regnamespace GROUP BY 1, 2 ORDER BY 1, 2;
SELECT side, what FROM regress_ref.differences('Model "1', 'tenant_t2');
SELECT grantee::regrole, privilege_type FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'tenant_t2' ORDER BY 1, 2;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner REVOKE TRUNCATE, UPDATE ON TABLES FROM regress_app;

SELECT current_user AS admin \gset
\c - regress_app
BEGIN;
SELECT tenancy.set_tenant('t2');
INSERT INTO "Order" ("select", n, d, r) VALUES ('a', 2, 1, '[1,2)'), ('b', 2, 2, '[3,4)') RETURNING tableoid::regclass, id, doubled;
INSERT INTO c1 VALUES (1);
INSERT INTO c2 VALUES (2);
SELECT idd, "renamed col" FROM v2;
SELECT * FROM c1, c2;
SELECT count(*) FROM tenant_t1."Order";
COMMIT;
BEGIN;
SELECT tenancy.set_tenant('t2');
TRUNCATE c1;
ROLLBACK;
BEGIN;
SELECT tenancy.set_tenant('t1');
SELECT count(*) FROM tenant_t2."Order";
UPDATE tenant_t2."Order" SET n = 3;
INSERT INTO tenant_t2."Order" ("select") VALUES ('mine');
ROLLBACK;
-- Without a context, nothing
SELECT count(*) FROM tenant_t2."Order";
\c - :admin
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- A schema that is there already is never adopted.
CREATE SCHEMA tenant_t3 AUTHORIZATION regress_owner;
SELECT tenancy.create_tenant('t3', 'schema');
DROP SCHEMA tenant_t3;
-- A function that is bound to the model's name is bound to the copy's, also after a renaming.
SET ROLE regress_owner;
CREATE FUNCTION "Model ""1".bound() RETURNS int LANGUAGE sql SET search_path = "$user", "Model ""1", "a b" SET work_mem = '1MB' AS 'SELECT 1';
RESET ROLE;
SELECT tenancy.create_tenant('t3', 'schema') IS NOT NULL AS created;
SELECT proconfig FROM pg_proc WHERE oid = 'tenant_t3.bound'::regproc;
SELECT tenancy.rename_tenant('t3', 'renamed');
SELECT proconfig FROM pg_proc WHERE oid = 'tenant_renamed.bound'::regproc;
SELECT tenancy.drop_tenant('renamed', true);
DROP FUNCTION "Model ""1".bound();
-- What another role owns belongs to the module owner in the copy.
BEGIN;
CREATE TABLE "Model ""1".not_mine (a int);
GRANT SELECT ON "Model ""1".not_mine TO regress_app;
ALTER TABLE "Model ""1".not_mine OWNER TO regress_reader;
SELECT tenancy.create_tenant('t3', 'schema') IS NOT NULL AS created;
SELECT relowner::regrole, has_table_privilege('regress_reader', oid, 'SELECT') AS reader, has_table_privilege('regress_app', oid, 'SELECT') AS app
FROM pg_class WHERE oid = 'tenant_t3.not_mine'::regclass;
ROLLBACK;

-- Refused, by name, before anything is created
SET search_path = "Model ""1";
BEGIN;
CREATE TEXT SEARCH PARSER parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE FUNCTION twice(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION twice(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE twice (varchar) (sfunc = twice, stype = int);
CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
CREATE COLLATION coll (locale = 'C');
CREATE TEXT SEARCH CONFIGURATION ts (parser = pg_catalog.default);
CREATE CAST (pair AS tt) WITH INOUT;
CREATE FUNCTION c_function() RETURNS int LANGUAGE internal AS 'pg_backend_pid';
CREATE FUNCTION leakproof() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1';
CREATE TYPE shell;
SAVEPOINT s;
SELECT tenancy.create_tenant('t3', 'schema');
ROLLBACK TO s;
SELECT * FROM tenancy.tenant WHERE slug = 't3';
ROLLBACK;
BEGIN;
CREATE FOREIGN DATA WRAPPER regress_fdw;
CREATE SERVER regress_server FOREIGN DATA WRAPPER regress_fdw;
CREATE FOREIGN TABLE remote (a int) SERVER regress_server;
CREATE TABLE regress_ref.outside_parent (a int);
CREATE TABLE child_of_outside () INHERITS (regress_ref.outside_parent);
ALTER TABLE child_of_outside OWNER TO regress_owner;
CREATE TABLE regress_ref.outside_child () INHERITS (inh_gen);
CREATE STATISTICS regress_ref.outside_stat ON a, b FROM pu;
ALTER STATISTICS regress_ref.outside_stat OWNER TO regress_owner;
CREATE STATISTICS outside_table ON id, name FROM regress_ref.plan;
ALTER TABLE sixty_three_bytes_long_name_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa DISABLE TRIGGER ALL;
CREATE FUNCTION definer() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
ALTER FUNCTION definer() OWNER TO regress_reader;
ALTER VIEW v5 OWNER TO regress_reader;
CREATE POLICY dormant ON pu USING (false);
CREATE POLICY tenant_isolation ON pol USING (true);
SAVEPOINT s;
SELECT tenancy.create_tenant('t3', 'schema');
ROLLBACK TO s;
DROP TABLE child_of_outside, regress_ref.outside_child;
DROP FOREIGN TABLE remote;
DROP STATISTICS regress_ref.outside_stat, outside_table;
ALTER TABLE sixty_three_bytes_long_name_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ENABLE TRIGGER ALL;
DROP FUNCTION definer();
ALTER VIEW v5 OWNER TO regress_owner;
SELECT tenancy.create_tenant('t3', 'schema');
ROLLBACK;
-- Circles that cannot be broken
BEGIN;
CREATE OR REPLACE VIEW old AS SELECT x, 1 AS y FROM on_old;
CREATE FUNCTION itself(i int) RETURNS int LANGUAGE sql RETURN i;
CREATE OR REPLACE FUNCTION itself(i int) RETURNS int LANGUAGE sql RETURN "Model ""1".itself(i - 1);
ALTER FUNCTION itself(int) OWNER TO regress_owner;
SELECT tenancy.create_tenant('t3', 'schema');
ROLLBACK;
RESET search_path;

-- Row security that lets nothing through lets nothing through in the copy.
SET ROLE regress_owner;
ALTER TABLE "Model ""1".pu ENABLE ROW LEVEL SECURITY;
RESET ROLE;
SELECT tenancy.create_tenant('t4', 'schema') IS NOT NULL AS created;
SELECT policyname FROM pg_policies WHERE schemaname = 'tenant_t4' AND tablename = 'pu';

DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenant_t1, tenant_t2, tenant_t4, "Model ""1" CASCADE;

-- Protected tables: rows of another tenant cannot even be written.
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.item (id int PRIMARY KEY, name text);
CREATE TABLE regress_model.log (id int, at int) PARTITION BY RANGE (at);
CREATE TABLE regress_model.log_1 PARTITION OF regress_model.log FOR VALUES FROM (0) TO (10);
CREATE TABLE regress_model.plain (id int);
CREATE TABLE regress_model.own (id int);
ALTER TABLE regress_model.own ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON regress_model.own USING (id > 0);
GRANT ALL ON ALL TABLES IN SCHEMA regress_model TO regress_app;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.protect_table('regress_model.item');
SELECT tenancy.protect_table('regress_model.log', 'owner "t');
SELECT tenancy.protect_table('regress_model.own');
SELECT tenancy.grant_access('regress_app');
SELECT tenancy.create_tenant('a', 'schema', '00000000-0000-4000-8000-00000000000a');
SELECT tenancy.create_tenant('b', 'schema', '00000000-0000-4000-8000-00000000000b');
SELECT tablename, policyname, permissive, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'tenant_a' ORDER BY 1, 2;
-- No foreign key leads to the registry, all else is the model's.
SELECT side, what FROM regress_ref.differences('regress_model', 'tenant_a');
SELECT count(*) FROM pg_constraint WHERE confrelid = 'tenancy.tenant'::regclass AND connamespace = 'tenant_a'::regnamespace;
\c - regress_app
BEGIN;
SELECT tenancy.set_tenant('a');
INSERT INTO item (id) VALUES (1) RETURNING tenant_id;
INSERT INTO log VALUES (1, 1) RETURNING "owner ""t";
INSERT INTO plain VALUES (1);
INSERT INTO own VALUES (1);
SAVEPOINT s;
INSERT INTO item (id, tenant_id) VALUES (2, '00000000-0000-4000-8000-00000000000b');
ROLLBACK TO s;
INSERT INTO log_1 VALUES (2, 2, '00000000-0000-4000-8000-00000000000b');
ROLLBACK TO s;
UPDATE item SET tenant_id = '00000000-0000-4000-8000-00000000000b';
ROLLBACK TO s;
INSERT INTO own VALUES (-1);
ROLLBACK TO s;
SELECT count(*) FROM tenant_b.item;
SELECT count(*) FROM tenant_b.log;
SELECT count(*) FROM tenant_b.log_1;
SELECT count(*) FROM tenant_b.plain;
SELECT count(*) FROM tenant_b.own;
COMMIT;
\c - :admin
SET client_min_messages = warning;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenant_a, tenant_b, regress_model CASCADE;

-- What somebody planted in the model runs with no more than its owner's rights.
\set SHOW_CONTEXT never
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
GRANT CREATE, USAGE ON SCHEMA regress_model TO regress_app;
SET ROLE regress_owner;
CREATE TABLE regress_model.item (id int PRIMARY KEY, name text DEFAULT 'x');
CREATE VIEW regress_model.v AS SELECT * FROM regress_model.item;
CREATE RULE r AS ON DELETE TO regress_model.v DO INSTEAD NOTHING;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
\c - regress_app
CREATE FUNCTION regress_model.planted(oid, oid) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'planted code runs as % for %', current_user, session_user; END $$;
CREATE OPERATOR regress_model.= (leftarg = oid, rightarg = oid, function = regress_model.planted);
\c - :admin
SET client_min_messages = warning;
\set SHOW_CONTEXT never
SELECT tenancy.create_tenant('a', 'schema');
ALTER FUNCTION regress_model.planted(oid, oid) OWNER TO regress_owner;
DROP OPERATOR regress_model.= (oid, oid);
SELECT tenancy.create_tenant('a', 'schema') IS NOT NULL AS created;

-- An exclusion constraint's index may need what is younger than the table.
SET ROLE regress_owner;
CREATE FUNCTION regress_model.younger(int) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true;
ALTER TABLE regress_model.item ADD CONSTRAINT alone EXCLUDE (id WITH =) WHERE (regress_model.younger(id));
RESET ROLE;
SELECT tenancy.create_tenant('c', 'schema') IS NOT NULL AS created;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'alone' AND connamespace = 'tenant_c'::regnamespace;
SELECT tenancy.drop_tenant('c', force => true);

-- Who is given the model gets what its owner needs.
CREATE ROLE regress_heir NOLOGIN;
REASSIGN OWNED BY regress_owner TO regress_heir;
SELECT has_schema_privilege('regress_heir', 'tenancy', 'USAGE');
SELECT tenancy.create_tenant('b', 'schema') IS NOT NULL AS created;
SELECT has_schema_privilege('regress_heir', 'tenancy', 'USAGE');
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA tenant_a, tenant_b, regress_model, regress_ref CASCADE;
DROP ROLE regress_heir, regress_owner, regress_app, regress_member, regress_group, regress_reader;
