/* copy.c: a tenant's copy */

CREATE FUNCTION tenancy.copy_tenant(tenant text, new_slug text,
									mode tenancy.isolation_mode DEFAULT NULL)
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_copy_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.copy_tenant(text, text, tenancy.isolation_mode) IS
'Creates a tenant with the rows of another, as of one moment, and returns its id';

REVOKE ALL ON FUNCTION tenancy.copy_tenant(text, text, tenancy.isolation_mode) FROM PUBLIC;
