/* move.c, move_online.c, move_files.c, move_source.c, move_log.c, move_rows.c: moving tenants to another mode */

CREATE PROCEDURE tenancy.move_tenant(tenant text, mode tenancy.isolation_mode, online boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'tenancy_move_tenant'
LANGUAGE C;
COMMENT ON PROCEDURE tenancy.move_tenant(text, tenancy.isolation_mode, boolean) IS
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

CREATE FUNCTION tenancy.move_write(head jsonb, directory text, since text, leader xid8)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_move_write'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.move_write(jsonb, text, text, xid8) IS
'For move_tenant: how its background worker writes rows, or what has changed, to files';

CREATE FUNCTION tenancy.move_note()
RETURNS trigger
AS 'MODULE_PATHNAME', 'tenancy_move_note'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.move_note() IS
'For move_tenant: how triggers on a tenant''s tables note what is written while it moves online';

REVOKE ALL ON PROCEDURE tenancy.move_tenant(text, tenancy.isolation_mode, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION tenancy.move_rows(uuid), tenancy.move_load(uuid, jsonb, text),
	tenancy.move_write(jsonb, text, text, xid8), tenancy.move_note() FROM PUBLIC;
