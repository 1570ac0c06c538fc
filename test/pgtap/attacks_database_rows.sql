--
-- A tenant in its own database, where rows of another one have got by mistake.
--
\set attacker database
\set victim planted
\set tests 268
\ir lib/attacks.sql
