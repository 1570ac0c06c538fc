/* database.c: dedicated databases */

CREATE FUNCTION tenancy.tenant_database(tenant text)
RETURNS name
AS 'MODULE_PATHNAME', 'tenancy_database_of_tenant'
LANGUAGE C STABLE;
COMMENT ON FUNCTION tenancy.tenant_database(text) IS
'The database to connect to for a tenant';

CREATE FUNCTION tenancy.refresh_copies(id uuid)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_database_refresh_copies'
LANGUAGE C STRICT VOLATILE;
COMMENT ON FUNCTION tenancy.refresh_copies(uuid) IS
'Only for background workers: fills the materialized views in a new database of a tenant';

REVOKE ALL ON FUNCTION tenancy.tenant_database(text), tenancy.refresh_copies(uuid) FROM PUBLIC;
