-- tenancy: the install script begins here

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION tenancy" to load this file. \quit

/*
 * A schema of its own, never an adopted one: whoever owned a schema of this
 * name beforehand could have planted functions and operators in it.
 */
CREATE SCHEMA tenancy;
COMMENT ON SCHEMA tenancy IS 'Tenants of this database: registry, context, protection, migrations';
