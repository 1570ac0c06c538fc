/* provision.c: tenants' lives */

CREATE FUNCTION tenancy.create_tenant(slug text,
									  mode tenancy.isolation_mode DEFAULT 'shared',
									  id uuid DEFAULT NULL,
									  display_name text DEFAULT NULL,
									  metadata jsonb DEFAULT '{}')
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_provision_create_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.create_tenant(text, tenancy.isolation_mode, uuid, text, jsonb) IS
'Creates a tenant, with its schema or database where the mode has one, and returns its id';

CREATE FUNCTION tenancy.suspend_tenant(tenant text, reason text DEFAULT NULL,
									   end_sessions boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_provision_suspend_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.suspend_tenant(text, text, boolean) IS
'Lets nobody act for the tenant until it is resumed';

CREATE FUNCTION tenancy.resume_tenant(tenant text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_provision_resume_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.resume_tenant(text) IS
'Makes a suspended tenant active again';

CREATE FUNCTION tenancy.rename_tenant(tenant text, new_slug text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_provision_rename_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.rename_tenant(text, text) IS
'Gives a tenant another slug, and its schema or database the name that goes with it';

REVOKE ALL ON FUNCTION
	tenancy.create_tenant(text, tenancy.isolation_mode, uuid, text, jsonb),
	tenancy.suspend_tenant(text, text, boolean), tenancy.resume_tenant(text),
	tenancy.rename_tenant(text, text)
	FROM PUBLIC;
