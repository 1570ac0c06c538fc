-- An attack must have reached no rows: their number is in "seen".
\set ECHO none
\echo '-- rows reached:' :seen
SELECT :seen = 0 AS none \gset
\if :none
\else
	DO $$ BEGIN RAISE EXCEPTION 'the tour failed: another tenant''s rows were reached'; END $$;
\endif
\set ECHO queries
