-- The last statement must have failed with the SQLSTATE in "expected".  Ends
-- the transaction that it has broken.
\set ECHO none
\set got :SQLSTATE
ROLLBACK;
SELECT :'got' = :'expected' AS as_expected \gset
\if :as_expected
	\echo '-- refused, SQLSTATE' :got
\else
	DO $$ BEGIN RAISE EXCEPTION 'the tour failed: the last statement was not refused as expected'; END $$;
\endif
\set ECHO queries
