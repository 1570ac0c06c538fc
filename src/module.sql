/* module.c: modules */

CREATE FUNCTION tenancy.create_module(name text, model_schema name)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_module_create'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.create_module(text, name) IS
'Makes the tables of a schema a module; the first one is the main module';

REVOKE ALL ON FUNCTION tenancy.create_module(text, name) FROM PUBLIC;
