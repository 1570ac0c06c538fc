--
-- A schema tenant against a shared one, in the model's tables.
--
\set attacker schema
\set victim shared
\set tests 267
\ir lib/attacks.sql
