/* migration.c: migrations, as their authors write them */

CREATE TABLE tenancy.migration (
	module			text COLLATE "C" NOT NULL,
	version			bigint NOT NULL CHECK (version OPERATOR(pg_catalog.>) 0),
	description		text NOT NULL,
	sql				text NOT NULL,
	down			text,
	checksum		text COLLATE "C" NOT NULL,
	transactional	boolean NOT NULL,
	position		integer,
	step			integer NOT NULL DEFAULT 0,
	under_way		boolean NOT NULL DEFAULT false,
	added_at		timestamptz NOT NULL DEFAULT pg_catalog.now(),
	applied_at		timestamptz,
	PRIMARY KEY (module, version),
	UNIQUE (module, position)
);
COMMENT ON TABLE tenancy.migration IS 'Migrations of modules; the model has had those that have a position';
COMMENT ON COLUMN tenancy.migration.down IS 'What undoes it';
COMMENT ON COLUMN tenancy.migration.checksum IS 'SHA-256 of sql';
COMMENT ON COLUMN tenancy.migration.step IS 'How many statements of one that is not transactional the model has had';
COMMENT ON COLUMN tenancy.migration.under_way IS 'Whether it may have had one more';
COMMENT ON COLUMN tenancy.migration.position IS 'Place in the order in which the model had them, which its copies follow';

REVOKE ALL ON tenancy.migration FROM PUBLIC;
ALTER TABLE tenancy.migration ENABLE ROW LEVEL SECURITY;	/* see catalog.sql */

SELECT pg_catalog.pg_extension_config_dump('tenancy.migration', '');

CREATE FUNCTION tenancy.keep_migration()
RETURNS trigger
AS 'MODULE_PATHNAME', 'tenancy_migration_keep'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.keep_migration() IS 'Refuses to delete a migration that the model has had';

CREATE TRIGGER keep BEFORE DELETE ON tenancy.migration
	FOR EACH ROW EXECUTE FUNCTION tenancy.keep_migration();

CREATE FUNCTION tenancy.add_migration(version bigint, sql text,
									  description text DEFAULT '',
									  module text DEFAULT NULL,
									  transactional boolean DEFAULT true,
									  out_of_order boolean DEFAULT false,
									  down text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'tenancy_migration_add_migration'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.add_migration(bigint, text, text, text, boolean, boolean, text) IS
'Adds a migration of a module, to be run by migrate()';

CREATE FUNCTION tenancy.load_migrations(directory text, module text DEFAULT NULL)
RETURNS integer
AS 'MODULE_PATHNAME', 'tenancy_migration_load_migrations'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.load_migrations(text, text) IS
'Adds the migrations in the files <version>_<description>.sql of a directory, and returns how many were new or changed';

REVOKE ALL ON FUNCTION
	tenancy.keep_migration(),
	tenancy.add_migration(bigint, text, text, text, boolean, boolean, text),
	tenancy.load_migrations(text, text)
	FROM PUBLIC;
