/* drop.c: the end of a tenant's life */

CREATE FUNCTION tenancy.drop_tenant(tenant text, force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_drop_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.drop_tenant(text, boolean) IS
'Drops a suspended tenant (or an active one, if forced) with all its rows';

REVOKE ALL ON FUNCTION tenancy.drop_tenant(text, boolean) FROM PUBLIC;
