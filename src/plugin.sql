/* plugin.c: plug-ins */

CREATE FUNCTION tenancy.install_module(tenant text, module text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_plugin_install_module'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.install_module(text, text) IS
'Gives a tenant a plug-in module: a copy of it, or the shared tables on its path';

CREATE FUNCTION tenancy.uninstall_module(tenant text, module text, force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_plugin_uninstall_module'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.uninstall_module(text, text, boolean) IS
'Takes a plug-in module from a tenant, with its rows, and what depends on a copy of it, only if forced';

REVOKE ALL ON FUNCTION tenancy.install_module(text, text),
	tenancy.uninstall_module(text, text, boolean)
	FROM PUBLIC;
