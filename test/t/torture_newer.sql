-- A model schema with what PostgreSQL has had since 16, 17 and 18, for 021_exact.pl; before
-- 16, it is nearly empty.
SELECT current_setting('server_version_num')::int >= 160000 AS v16, current_setting('server_version_num')::int >= 170000 AS v17,
	current_setting('server_version_num')::int >= 180000 AS v18 \gset

CREATE SCHEMA newer AUTHORIZATION model_owner;
GRANT USAGE ON SCHEMA newer TO app;
SET ROLE model_owner;
SET search_path = newer;
CREATE TABLE item (id int PRIMARY KEY, name text, doc jsonb, price numeric, cost numeric);
CREATE TABLE part (id int NOT NULL, kind text NOT NULL, seats int4range, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
CREATE TABLE part_a PARTITION OF part FOR VALUES IN ('a');
CREATE TABLE part_b PARTITION OF part DEFAULT;

\if :v16
CREATE TABLE stored (a text STORAGE EXTERNAL COMPRESSION pglz, b bytea STORAGE PLAIN);
CREATE COLLATION ruled (provider = icu, locale = 'und', rules = '&V << w <<< W');
CREATE TABLE sorted (a text COLLATE ruled UNIQUE);
CREATE VIEW constructed AS SELECT JSON_OBJECT('a': i.id, 'b': i.name ABSENT ON NULL WITH UNIQUE KEYS RETURNING jsonb) AS o,
	JSON_ARRAY(SELECT p.id FROM part p ORDER BY p.id) AS a, i.name IS JSON OBJECT WITH UNIQUE KEYS AS j, s.n
	FROM item i, (SELECT count(*) AS n FROM part) s;
CREATE VIEW aggregated AS SELECT JSON_ARRAYAGG(i.id ORDER BY i.name NULL ON NULL) FILTER (WHERE i.id > 0) AS a, JSON_OBJECTAGG(i.name: i.price ABSENT ON NULL) AS o, any_value(i.doc) AS d FROM item i;
CREATE FUNCTION number_forms() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 0x1F + 0b11 + 0o17 + 1_000;
GRANT SELECT (id) ON item TO reader;
\endif

\if :v17
CREATE COLLATION plain (provider = builtin, locale = 'C.UTF-8');
CREATE TABLE plainly (a text COLLATE plain CHECK (a < 'b'), b int);
CREATE INDEX ON plainly (upper(a COLLATE plain));
ALTER TABLE plainly ALTER b SET STATISTICS DEFAULT;
CREATE STATISTICS of_plainly ON a, b FROM plainly;
ALTER STATISTICS of_plainly SET STATISTICS DEFAULT;
CREATE DOMAIN needed AS int CONSTRAINT "must be" NOT NULL;
CREATE DOMAIN later AS text CONSTRAINT short CHECK (length(value) < 9);
ALTER DOMAIN later ADD CONSTRAINT "is there" NOT NULL;
COMMENT ON CONSTRAINT "must be" ON DOMAIN needed IS 'of a domain';
CREATE TABLE with_domains (n needed, l later, ns needed[]);

-- Partitions share their identity, have exclusion constraints, and access methods
CREATE TABLE shared_ids (id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 2), k int, r int4range, PRIMARY KEY (id, k), CONSTRAINT apart EXCLUDE USING gist (r WITH &&, k WITH =)) PARTITION BY RANGE (k);
CREATE TABLE shared_ids_1 PARTITION OF shared_ids FOR VALUES FROM (1) TO (10);
CREATE TABLE shared_ids_2 PARTITION OF shared_ids FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (k);
CREATE TABLE shared_ids_2a PARTITION OF shared_ids_2 FOR VALUES FROM (10) TO (15);
CREATE TABLE attached (k int NOT NULL, r int4range, id bigint NOT NULL);
ALTER TABLE shared_ids_2 ATTACH PARTITION attached FOR VALUES FROM (15) TO (20);
CREATE TABLE by_method (id int, k int) PARTITION BY LIST (k) USING heap2;
CREATE TABLE by_method_1 PARTITION OF by_method FOR VALUES IN (1);
CREATE TABLE by_method_2 PARTITION OF by_method FOR VALUES IN (2) USING heap;

CREATE TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2) STORED);
ALTER TABLE computed ALTER b SET EXPRESSION AS (a * 3);
CREATE VIEW from_json AS SELECT i.id, j.*, JSON_VALUE(i.doc, '$.n' RETURNING int DEFAULT 3 ON EMPTY ERROR ON ERROR) AS n,
	JSON_QUERY(i.doc, '$.a[*]' WITH CONDITIONAL WRAPPER KEEP QUOTES EMPTY ARRAY ON EMPTY) AS q, JSON_EXISTS(i.doc, '$.b ? (@ > $x)' PASSING i.id AS x UNKNOWN ON ERROR) AS e,
	JSON_SCALAR(i.id) AS s, JSON_SERIALIZE(i.doc RETURNING bytea) AS z
	FROM item i, JSON_TABLE(i.doc, '$.lines[*]' AS lines PASSING i.id AS id COLUMNS (nr FOR ORDINALITY, "the name" text PATH '$.name' DEFAULT 'x' ON EMPTY,
		has boolean EXISTS PATH '$.has', NESTED PATH '$.parts[*]' AS parts COLUMNS (p int PATH '$.p', d jsonb FORMAT JSON PATH '$.d' WITH WRAPPER))) AS j;
CREATE FUNCTION merged(i int) RETURNS TABLE (what text, id int) LANGUAGE sql
BEGIN ATOMIC
	MERGE INTO item t USING (SELECT i AS id, 'n' AS name) s ON t.id = s.id
	WHEN MATCHED AND t.price > 0 THEN UPDATE SET name = s.name
	WHEN MATCHED THEN DELETE
	WHEN NOT MATCHED BY SOURCE AND t.id < 0 THEN DO NOTHING
	WHEN NOT MATCHED BY TARGET THEN INSERT (id, name) VALUES (s.id, s.name)
	RETURNING merge_action(), t.id;
END;
GRANT MAINTAIN ON item TO app;
GRANT MAINTAIN ON part TO reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA newer GRANT MAINTAIN ON TABLES TO reader;
\endif

\if :v18
-- Columns computed when they are read
CREATE TABLE reckoned (a int, b int GENERATED ALWAYS AS (a * 2), c text GENERATED ALWAYS AS (upper(n) || 'x') VIRTUAL, n text COLLATE "C", d int GENERATED ALWAYS AS (a + 1) STORED, CHECK (b < 1000));
CREATE TABLE reckoned_too (x int) INHERITS (reckoned);
CREATE TABLE reckoned_part (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL) PARTITION BY RANGE (a);
CREATE TABLE reckoned_part_1 PARTITION OF reckoned_part (b GENERATED ALWAYS AS (a * 3) VIRTUAL) FOR VALUES FROM (0) TO (10);
CREATE VIEW of_reckoned AS SELECT r.b, r.c, p.b AS pb, p.a FROM reckoned r JOIN reckoned_part p USING (a);

-- NOT NULL constraints with names of their own
CREATE TABLE named (a int CONSTRAINT "a must" NOT NULL, b int NOT NULL, c int CONSTRAINT c_own NOT NULL NO INHERIT, d int, e int);
ALTER TABLE named ADD CONSTRAINT d_later NOT NULL d NOT VALID;
ALTER TABLE named RENAME b TO renamed;
COMMENT ON CONSTRAINT "a must" ON named IS 'of a NOT NULL';
CREATE TABLE named_child (f int CONSTRAINT f_must NOT NULL) INHERITS (named);
CREATE TABLE named_child_2 (a int CONSTRAINT own_name NOT NULL, d int) INHERITS (named);
ALTER TABLE named_child_2 ALTER e SET NOT NULL;
CREATE TABLE named_child_3 (a int, renamed int DEFAULT 3, g int) INHERITS (named);
CREATE TABLE named_part (a int CONSTRAINT part_must NOT NULL, b text) PARTITION BY LIST (a);
CREATE TABLE named_part_1 (b text CONSTRAINT only_here NOT NULL, a int CONSTRAINT another NOT NULL);
ALTER TABLE named_part ATTACH PARTITION named_part_1 FOR VALUES IN (1);
CREATE TABLE named_part_2 PARTITION OF named_part FOR VALUES IN (2);
CREATE TABLE keyed (id int CONSTRAINT key_must NOT NULL PRIMARY KEY);
CREATE TYPE item_line AS (id int, name text);
CREATE TABLE typed_rows OF item_line (PRIMARY KEY (id), name CONSTRAINT named_typed NOT NULL);

-- Keys over time
CREATE TABLE rented (id int4range, during daterange, what text, CONSTRAINT rented_key PRIMARY KEY (id, during WITHOUT OVERLAPS), CONSTRAINT rented_once UNIQUE (what, during WITHOUT OVERLAPS) DEFERRABLE);
CREATE TABLE rent (id int4range, during daterange, of int4range, PRIMARY KEY (id, during WITHOUT OVERLAPS),
	CONSTRAINT rent_of FOREIGN KEY (of, PERIOD during) REFERENCES rented (id, PERIOD during));
CREATE TABLE rented_part (id int, during tstzmultirange, PRIMARY KEY (id, during WITHOUT OVERLAPS)) PARTITION BY LIST (id);
CREATE TABLE rented_part_1 PARTITION OF rented_part FOR VALUES IN (1, 2);
COMMENT ON CONSTRAINT rent_of ON rent IS 'over time';

-- Constraints that are not enforced
CREATE TABLE loose (a int CONSTRAINT unchecked CHECK (a > 0) NOT ENFORCED, b int, i int CONSTRAINT i_key REFERENCES item NOT ENFORCED, CONSTRAINT deferred FOREIGN KEY (b) REFERENCES item DEFERRABLE INITIALLY DEFERRED NOT ENFORCED);
CREATE TABLE loose_child (a int CONSTRAINT unchecked CHECK (a > 0)) INHERITS (loose);
CREATE TABLE loose_part (a int, b text, i int, CHECK (a < 9) NOT ENFORCED, FOREIGN KEY (i) REFERENCES item NOT ENFORCED, FOREIGN KEY (a, b) REFERENCES part NOT ENFORCED) PARTITION BY RANGE (a);
CREATE TABLE loose_part_1 PARTITION OF loose_part FOR VALUES FROM (1) TO (5);
ALTER TABLE loose_part ADD CONSTRAINT part_later FOREIGN KEY (a) REFERENCES item NOT VALID;
ALTER TABLE loose ALTER CONSTRAINT i_key ENFORCED;
ALTER TABLE loose ALTER CONSTRAINT i_key NOT ENFORCED;

-- Old and new rows, in functions and rules; a locale
CREATE FUNCTION changed(i int) RETURNS TABLE (was text, is_now text) LANGUAGE sql
BEGIN ATOMIC UPDATE item SET name = 'n' WHERE item.id = i RETURNING WITH (OLD AS o, NEW AS n) o.name, n.name; END;
CREATE VIEW items AS SELECT id, name FROM item;
CREATE RULE inserted AS ON INSERT TO items DO INSTEAD INSERT INTO item (id, name) VALUES (new.id, new.name) RETURNING id, name;
CREATE COLLATION fast (provider = builtin, locale = 'PG_UNICODE_FAST');
CREATE TABLE folded (a text COLLATE fast, b text GENERATED ALWAYS AS (casefold(a)) STORED UNIQUE);
CREATE INDEX ON folded (a) WHERE casefold(a) <> 'x';
ALTER TABLE folded SET (autovacuum_vacuum_max_threshold = 99, vacuum_max_eager_freeze_failure_rate = 0.5);
GRANT SELECT (b) ON reckoned TO app WITH GRANT OPTION;
\endif
RESET ROLE;
RESET search_path;
