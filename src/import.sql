/* import.c: a tenant from files that export_tenant() wrote */

CREATE FUNCTION tenancy.import_tenant(directory text,
									  slug text DEFAULT NULL,
									  mode tenancy.isolation_mode DEFAULT NULL)
RETURNS uuid
AS 'MODULE_PATHNAME', 'tenancy_import_tenant'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.import_tenant(text, text, tenancy.isolation_mode) IS
'Creates a tenant with the rows that export_tenant() wrote to a directory, and returns its id';

CREATE FUNCTION tenancy.import_tables(manifest jsonb, directory text, id uuid)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_import_tables'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.import_tables(jsonb, text, uuid) IS
'For import_tenant: how its background worker loads the tables';

CREATE FUNCTION tenancy.import_schema(manifest jsonb, directory text, id uuid, slug text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_import_schema'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.import_schema(jsonb, text, uuid, text) IS
'For import_tenant: how its background worker makes a tenant with schemas of its own';

CREATE FUNCTION tenancy.import_database(manifest jsonb, directory text, id uuid, slug text)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_import_database'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.import_database(jsonb, text, uuid, text) IS
'For import_tenant: how its background worker makes a tenant with a database of its own';

CREATE FUNCTION tenancy.import_changes(manifest jsonb, directory text, id uuid)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_import_changes'
LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION tenancy.import_changes(jsonb, text, uuid) IS
'For move_tenant: how its background worker in the tenant''s database applies what was written meanwhile';

REVOKE ALL ON FUNCTION tenancy.import_tenant(text, text, tenancy.isolation_mode),
	tenancy.import_tables(jsonb, text, uuid),
	tenancy.import_changes(jsonb, text, uuid),
	tenancy.import_schema(jsonb, text, uuid, text),
	tenancy.import_database(jsonb, text, uuid, text) FROM PUBLIC;
