--
-- A shared tenant against a schema tenant, whose tables it can name.
--
\set attacker shared
\set victim schema
\set tests 271
\ir lib/attacks.sql
