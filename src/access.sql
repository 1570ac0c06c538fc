/* access.c: which role may act for which tenants */

CREATE FUNCTION tenancy.grant_access(role regrole, tenant text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_access_grant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.grant_access(regrole, text) IS
'Lets a role act for a tenant, or for all tenants, those to come included';

CREATE FUNCTION tenancy.revoke_access(role regrole, tenant text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_access_revoke'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.revoke_access(regrole, text) IS
'Takes from a role the right to act for a tenant, or for any';

REVOKE ALL ON FUNCTION tenancy.grant_access(regrole, text),
	tenancy.revoke_access(regrole, text)
	FROM PUBLIC;
