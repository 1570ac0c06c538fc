/* progress.c: how far calls are that take long */

CREATE VIEW tenancy.progress AS
	SELECT a.pid, a.datname AS database, a.usename AS role, a.backend_type, a.query_start AS started_at,
		   pg_catalog.regexp_replace(a.query, '^tenancy[.a-z_]*: ', '') AS progress
	FROM pg_catalog.pg_stat_activity a
	WHERE a.state OPERATOR(pg_catalog.=) 'active' AND a.query OPERATOR(pg_catalog.~) '^tenancy[.a-z_]*: ';
COMMENT ON VIEW tenancy.progress IS 'What calls that take long tell of how far they are, and what their workers are at';

REVOKE ALL ON tenancy.progress FROM PUBLIC;

