/* registry.c: the cache's invalidation */

CREATE FUNCTION tenancy.invalidate_registry()
RETURNS trigger
AS 'MODULE_PATHNAME', 'tenancy_registry_invalidate'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.invalidate_registry() IS
'Trigger: tells every session that the registry has changed';

/*
 * ALWAYS, so that changes that arrive by replication count as well.  What is
 * missing is not cached, so that an INSERT needs no invalidation, except of
 * modules, whose whole list is.
 */
CREATE TRIGGER invalidate AFTER UPDATE OR DELETE OR TRUNCATE ON tenancy.tenant
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy.invalidate_registry();
CREATE TRIGGER invalidate AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenancy.module
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy.invalidate_registry();
CREATE TRIGGER invalidate AFTER UPDATE OR DELETE OR TRUNCATE ON tenancy.access
	FOR EACH STATEMENT EXECUTE FUNCTION tenancy.invalidate_registry();
ALTER TABLE tenancy.tenant ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.module ENABLE ALWAYS TRIGGER invalidate;
ALTER TABLE tenancy.access ENABLE ALWAYS TRIGGER invalidate;

/*
 * What a role may know of the tenants: those it may act for, or all of them
 * if it may read the table itself.
 */
CREATE VIEW tenancy.tenants WITH (security_barrier) AS
SELECT t.slug, t.id, t.mode, t.status, t.schema_name, t.database_name,
	   t.display_name, t.metadata, t.created_at, t.status_at, t.status_reason
FROM tenancy.tenant t
WHERE t.status OPERATOR(pg_catalog.<>) 'spare'
	AND (pg_catalog.has_table_privilege('tenancy.tenant', 'SELECT')
	OR EXISTS (SELECT FROM tenancy.access a
			   WHERE (a.tenant_id OPERATOR(pg_catalog.=) t.id OR a.tenant_id IS NULL)
				 AND pg_catalog.pg_has_role(a.role, 'USAGE')));
COMMENT ON VIEW tenancy.tenants IS
'The tenants: all of them for whoever may read tenancy.tenant, else those that the role may act for';

REVOKE ALL ON FUNCTION tenancy.invalidate_registry() FROM PUBLIC;
