/* plugin.c: plug-ins */

CREATE FUNCTION tenancy.install_module(tenant text, module text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_plugin_install_module'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.install_module(text, text) IS
'Gives a schema tenant a copy of a plug-in module';

CREATE FUNCTION tenancy.uninstall_module(tenant text, module text, force boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_plugin_uninstall_module'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.uninstall_module(text, text, boolean) IS
'Drops a schema tenant''s copy of a plug-in module; with rows, or what depends on it, only if forced';

REVOKE ALL ON FUNCTION tenancy.install_module(text, text),
	tenancy.uninstall_module(text, text, boolean)
	FROM PUBLIC;
