/* export.c: a tenant's rows as files */

CREATE FUNCTION tenancy.export_tenant(tenant text, directory text)
RETURNS jsonb
AS 'MODULE_PATHNAME', 'tenancy_export_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.export_tenant(text, text) IS
'Writes a tenant''s rows, as of one moment, to a new directory on the server, and returns its manifest';

CREATE FUNCTION tenancy.export_tables(head jsonb, directory text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_export_tables'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.export_tables(jsonb, text) IS
'For export_tenant: what its background worker does in the tenant''s database';

REVOKE ALL ON FUNCTION tenancy.export_tenant(text, text),
	tenancy.export_tables(jsonb, text) FROM PUBLIC;
