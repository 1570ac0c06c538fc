--
-- A schema tenant against another one, whose tables it can name.
--
\set attacker schema
\set victim schema
\set tests 267
\ir lib/attacks.sql
