/* move.c, move_rows.c: moving tenants to another mode */

CREATE PROCEDURE tenancy.move_tenant(tenant text, mode tenancy.isolation_mode)
AS 'MODULE_PATHNAME', 'tenancy_move_tenant'
LANGUAGE C;
COMMENT ON PROCEDURE tenancy.move_tenant(text, tenancy.isolation_mode) IS
'Moves a tenant with all its rows to another isolation mode';

CREATE FUNCTION tenancy.move_rows(id uuid)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_move_rows'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.move_rows(uuid) IS
'For move_tenant: how its background worker copies the rows';

CREATE FUNCTION tenancy.move_load(id uuid, manifest jsonb, directory text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_move_load'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.move_load(uuid, jsonb, text) IS
'For move_tenant: how its background worker loads the rows of a database tenant';

REVOKE ALL ON PROCEDURE tenancy.move_tenant(text, tenancy.isolation_mode) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenancy.move_rows(uuid), tenancy.move_load(uuid, jsonb, text) FROM PUBLIC;
