/* database.c: dedicated databases */

CREATE FUNCTION tenancy.tenant_database(tenant text)
RETURNS name
AS 'MODULE_PATHNAME', 'tenancy_database_of_tenant'
LANGUAGE C STABLE;
COMMENT ON FUNCTION tenancy.tenant_database(text) IS
'The database to connect to for a tenant';

REVOKE ALL ON FUNCTION tenancy.tenant_database(text) FROM PUBLIC;
