/* record.c: recording what another tool does to a model, as a migration */

CREATE TABLE tenancy.recorded_statement (
	number			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	sql				text NOT NULL
);
COMMENT ON TABLE tenancy.recorded_statement IS 'The statements of the recording that is under way';

REVOKE ALL ON tenancy.recorded_statement FROM PUBLIC;
ALTER TABLE tenancy.recorded_statement ENABLE ROW LEVEL SECURITY;	/* see catalog.sql */

CREATE FUNCTION tenancy.start_recording(version bigint, description text DEFAULT '',
										module text DEFAULT NULL,
										ignore_tables text[] DEFAULT ARRAY['_prisma_migrations', 'schema_migrations',
											'ar_internal_metadata', 'knex_migrations', 'knex_migrations_lock',
											'flyway_schema_history', 'databasechangelog', 'databasechangeloglock',
											'alembic_version', 'django_migrations', 'migrations', 'SequelizeMeta'])
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_record_start'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.start_recording(bigint, text, text, text[]) IS
'Begins to record what new sessions of the model schema''s owner do to it';

CREATE FUNCTION tenancy.stop_recording(discard boolean DEFAULT false)
RETURNS integer
AS 'MODULE_PATHNAME', 'tenancy_record_stop'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.stop_recording(boolean) IS
'Ends a recording, adds what was recorded as a migration that the model has had, and returns the number of its statements';

CREATE FUNCTION tenancy.record_commands()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'tenancy_record_commands'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.record_commands() IS 'Notes that a statement has changed a model that is recorded, and keeps the extension from being dropped meanwhile';

REVOKE ALL ON FUNCTION
	tenancy.start_recording(bigint, text, text, text[]),
	tenancy.stop_recording(boolean),
	tenancy.record_commands()
	FROM PUBLIC;

/* Disabled, but while something is recorded */
CREATE EVENT TRIGGER tenancy_record_start ON ddl_command_start WHEN TAG IN ('DROP EXTENSION', 'DROP SCHEMA')
	EXECUTE FUNCTION tenancy.record_commands();
CREATE EVENT TRIGGER tenancy_record_end ON ddl_command_end
	EXECUTE FUNCTION tenancy.record_commands();
CREATE EVENT TRIGGER tenancy_record_drop ON sql_drop
	EXECUTE FUNCTION tenancy.record_commands();
ALTER EVENT TRIGGER tenancy_record_start DISABLE;
ALTER EVENT TRIGGER tenancy_record_end DISABLE;
ALTER EVENT TRIGGER tenancy_record_drop DISABLE;
