--
-- A shared tenant against another shared one: rows of the same tables.
--
\set attacker shared
\set victim shared
\set tests 271
\ir lib/attacks.sql
