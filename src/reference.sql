/* reference.c: tables that tenants' tables point at, in every database of a tenant */

CREATE FUNCTION tenancy.add_reference_table(rel regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_reference_add'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.add_reference_table(regclass) IS
'Makes a global table one that is copied into tenants'' databases, for their tables to point at';

CREATE FUNCTION tenancy.remove_reference_table(rel regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_reference_remove'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.remove_reference_table(regclass) IS
'Makes a reference table an ordinary one; the next synchronization drops its copies';

CREATE FUNCTION tenancy.sync_reference_tables()
RETURNS TABLE (tenant text, reference_table text, altered boolean,
			   inserted bigint, updated bigint, deleted bigint, error text)
AS 'MODULE_PATHNAME', 'tenancy_reference_sync'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.sync_reference_tables() IS
'Brings the copies of reference tables in tenants'' databases in step, and returns what was changed or failed';

REVOKE ALL ON FUNCTION tenancy.add_reference_table(regclass), tenancy.remove_reference_table(regclass),
	tenancy.sync_reference_tables()
	FROM PUBLIC;
