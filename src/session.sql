/* session.c: which tenant each session acts for */

CREATE FUNCTION tenancy.session_contexts(OUT pid integer, OUT database oid, OUT tenant_id uuid)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'tenancy_session_contexts'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.session_contexts() IS
'The sessions of all databases that have a tenant context, if the library is preloaded; serves the view sessions';

CREATE VIEW tenancy.sessions AS
	SELECT t.slug AS tenant, s.pid, a.datname AS database, a.usename AS role, a.application_name, a.client_addr,
		   a.xact_start, a.query_start, a.state, a.query
	FROM tenancy.session_contexts() s
	JOIN tenancy.tenant t ON t.id OPERATOR(pg_catalog.=) s.tenant_id
	JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) s.pid
	WHERE a.datname OPERATOR(pg_catalog.=) COALESCE(t.database_name, pg_catalog.current_database())
		AND a.datid OPERATOR(pg_catalog.=) s.database;
COMMENT ON VIEW tenancy.sessions IS 'The sessions that act for a tenant, and what they are at';

REVOKE ALL ON FUNCTION tenancy.session_contexts() FROM PUBLIC;
REVOKE ALL ON tenancy.sessions FROM PUBLIC;
