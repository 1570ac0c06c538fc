/* repair.c */

CREATE FUNCTION tenancy.repair(OUT object text, OUT problem text, OUT action text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'tenancy_repair'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.repair() IS
'Finishes or undoes what a crash left half done, and reports what needs a DBA';

REVOKE ALL ON FUNCTION tenancy.repair() FROM PUBLIC;
