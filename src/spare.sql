/* spare.c: schemas and databases that were cloned ahead of need */

CREATE FUNCTION tenancy.set_spares(mode tenancy.isolation_mode, spares integer)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_spare_set'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.set_spares(tenancy.isolation_mode, integer) IS
'Sets how many spares of a mode refill_spares() keeps';

CREATE FUNCTION tenancy.model_fingerprint()
RETURNS text
AS 'MODULE_PATHNAME', 'tenancy_spare_fingerprint'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.model_fingerprint() IS
'A text that changes whenever a model schema does';

CREATE VIEW tenancy.spares AS
	SELECT m.mode, COALESCE(g.spares, 0) AS wanted, n.ready::integer AS ready, n.outdated::integer AS outdated
	FROM (VALUES ('schema'::tenancy.isolation_mode), ('database'::tenancy.isolation_mode)) m (mode)
	CROSS JOIN (SELECT tenancy.model_fingerprint() AS fingerprint OFFSET 0) f
	LEFT JOIN tenancy.spare_target g ON g.mode OPERATOR(pg_catalog.=) m.mode
	CROSS JOIN LATERAL (
		SELECT pg_catalog.count(*) FILTER (WHERE s.fingerprint OPERATOR(pg_catalog.=) f.fingerprint) AS ready,
			   pg_catalog.count(*) FILTER (WHERE s.fingerprint OPERATOR(pg_catalog.<>) f.fingerprint) AS outdated
		FROM tenancy.spare s
		WHERE s.mode OPERATOR(pg_catalog.=) m.mode) n;
COMMENT ON VIEW tenancy.spares IS
'How many spares there shall be of each mode, how many can be taken, and how many are no copies of the models as they are now';

REVOKE ALL ON FUNCTION tenancy.set_spares(tenancy.isolation_mode, integer), tenancy.model_fingerprint() FROM PUBLIC;
REVOKE ALL ON tenancy.spares FROM PUBLIC;
