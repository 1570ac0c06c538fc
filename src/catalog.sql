/*
 * The catalog: types and tables.  Ordinary roles read none of them: the
 * functions of the library do, with the rights of the extension's owner.
 *
 * No foreign keys: pg_restore with several jobs loads the tables in any order,
 * and their constraints are there before.  Whoever adds a row that names a
 * tenant holds the tenant's row locked, and whoever deletes the tenant
 * deletes such rows along: tenancy_remove().
 */

CREATE TYPE tenancy.isolation_mode AS ENUM ('shared', 'schema', 'database');
COMMENT ON TYPE tenancy.isolation_mode IS 'Where a tenant''s rows live: in shared tables, a schema of its own, or a database of its own';

CREATE TABLE tenancy.module (
	name			text COLLATE "C" PRIMARY KEY,
	model_schema	name NOT NULL UNIQUE,
	position		integer NOT NULL UNIQUE CHECK (position OPERATOR(pg_catalog.>=) 1),
	level			integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE tenancy.module IS 'Named sets of tenant tables, each defined by a model schema';
COMMENT ON COLUMN tenancy.module.position IS '1 is the main module; the others are plug-ins, in their order on the search path';
COMMENT ON COLUMN tenancy.module.level IS 'How many migrations the model schema of this database has had';

CREATE TABLE tenancy.tenant (
	id				uuid PRIMARY KEY,
	slug			text COLLATE "C" NOT NULL UNIQUE,
	mode			tenancy.isolation_mode NOT NULL,
	status			text COLLATE "C" NOT NULL DEFAULT 'active'
					CHECK (status OPERATOR(pg_catalog.=) ANY (ARRAY['active', 'suspended', 'moving', 'dropping', 'spare'])),
	schema_name		name UNIQUE,
	database_name	name UNIQUE,
	display_name	text,
	metadata		jsonb NOT NULL DEFAULT '{}'
					CHECK (pg_catalog.jsonb_typeof(metadata) OPERATOR(pg_catalog.=) 'object'),
	status_reason	text,
	created_at		timestamptz NOT NULL DEFAULT pg_catalog.now(),
	status_at		timestamptz NOT NULL DEFAULT pg_catalog.now(),
	moved_in		xid8,
	CHECK ((mode OPERATOR(pg_catalog.=) 'schema') OPERATOR(pg_catalog.=) (schema_name IS NOT NULL)),
	CHECK ((mode OPERATOR(pg_catalog.=) 'database') OPERATOR(pg_catalog.=) (database_name IS NOT NULL))
);
COMMENT ON TABLE tenancy.tenant IS 'Customer organisations; rows of shared tables refer to them by id';
COMMENT ON COLUMN tenancy.tenant.status IS 'A row whose status is spare is no tenant yet: see tenancy.spare';
COMMENT ON COLUMN tenancy.tenant.moved_in IS 'The transaction that moved the tenant to where it lives';
COMMENT ON COLUMN tenancy.tenant.status_reason IS 'Why the tenant was suspended';

CREATE TABLE tenancy.tenant_module (
	tenant_id		uuid,
	module			text COLLATE "C",
	PRIMARY KEY (tenant_id, module)
);
COMMENT ON TABLE tenancy.tenant_module IS 'Plug-ins that are installed for a tenant; the main module always is';

/* A copy's level is committed together with what the migration did. */
CREATE TABLE tenancy.module_copy (
	tenant_id		uuid NOT NULL,
	module			text COLLATE "C" NOT NULL,
	level			integer NOT NULL,
	attempts		integer NOT NULL DEFAULT 0,
	last_error		text,
	attempted_at	timestamptz,
	duration		interval,
	run				bigint,
	tries			integer NOT NULL DEFAULT 0,
	failed			boolean NOT NULL DEFAULT false,
	retry_at		timestamptz,
	step			integer NOT NULL DEFAULT 0,
	under_way		boolean NOT NULL DEFAULT false,
	PRIMARY KEY (module, tenant_id)
) WITH (fillfactor = 50);	/* each migration changes each row, where it is */
COMMENT ON TABLE tenancy.module_copy IS 'Copies of modules, in schemas and databases of their own, and how many migrations each has had';
COMMENT ON COLUMN tenancy.module_copy.attempts IS 'How often the next migration failed';
COMMENT ON COLUMN tenancy.module_copy.run IS 'The run of migrate() that tried last';
COMMENT ON COLUMN tenancy.module_copy.tries IS 'How often it tried the next migration';
COMMENT ON COLUMN tenancy.module_copy.failed IS 'Whether it gave up on this copy';
COMMENT ON COLUMN tenancy.module_copy.step IS 'How many statements it has had of the next migration, if that is not transactional';
COMMENT ON COLUMN tenancy.module_copy.under_way IS 'Whether it may have had one more';
COMMENT ON COLUMN tenancy.module_copy.retry_at IS 'Not to be tried again before';

/*
 * At most one row, while another tool's statements on a model are recorded.
 * Whoever records a statement holds it locked in share mode, so that the
 * recording does not end under him.
 */
CREATE TABLE tenancy.recording (
	single			boolean PRIMARY KEY DEFAULT true CHECK (single),
	module			text COLLATE "C" NOT NULL,
	version			bigint NOT NULL,
	description		text NOT NULL,
	ignore_tables	text[] NOT NULL,
	preload			boolean NOT NULL,
	preload_before	text,
	started_at		timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE tenancy.recording IS 'The recording that is under way';
COMMENT ON COLUMN tenancy.recording.preload IS 'Whether it has set session_preload_libraries for the database ...';
COMMENT ON COLUMN tenancy.recording.preload_before IS '... and what was set there before; null for nothing';

CREATE TABLE tenancy.access (
	role			regrole NOT NULL,
	tenant_id		uuid,
	UNIQUE NULLS NOT DISTINCT (tenant_id, role)
);
COMMENT ON TABLE tenancy.access IS 'Which role may act for which tenant; a null tenant_id stands for all, those to come included';

CREATE TABLE tenancy.protected_table (
	relation			regclass PRIMARY KEY,
	tenant_column		name NOT NULL,
	had_row_security	boolean NOT NULL,
	had_force			boolean NOT NULL
);
COMMENT ON TABLE tenancy.protected_table IS 'Shared tables under the tenant policies, and the row security flags that they had before';

/*
 * Here, the tables whose copies are to be in tenants' databases; there, the
 * copies, and what each was made of: see reference.c.
 */
CREATE TABLE tenancy.reference_table (
	relation		regclass PRIMARY KEY,
	definition		jsonb
);
COMMENT ON TABLE tenancy.reference_table IS 'Global tables that tenants'' tables point at; in a tenant''s own database, the copies of them';
COMMENT ON COLUMN tenancy.reference_table.definition IS 'What a copy in a tenant''s database was made of; null for the table itself';

/*
 * A database is created and dropped outside the transaction that asks for
 * it.  A row here, committed before the database is touched, says what to do
 * about it should that transaction or the server die: see database_settle.c.
 */
CREATE TABLE tenancy.pending_database (
	tenant_id		uuid NOT NULL,
	action			text COLLATE "C" NOT NULL
					CHECK (action OPERATOR(pg_catalog.=) ANY (ARRAY['create', 'drop', 'disconnect', 'rename', 'keys', 'modules'])),
	database_oid	oid NOT NULL,
	xid				xid8 NOT NULL,
	PRIMARY KEY (tenant_id, action)
);
COMMENT ON TABLE tenancy.pending_database IS 'Work on tenants'' databases that a transaction began and whose end decides about it';

/*
 * A move that is under way, or that was begun and not finished.  Until the
 * switch, the tenant is "moving" (or "active", online), and whole where it was; after it, it is whole
 * where it is to be, and what is left where it was can go: see move.c.
 */
CREATE TABLE tenancy.move (
	tenant_id		uuid PRIMARY KEY,
	from_mode		tenancy.isolation_mode NOT NULL,
	to_mode			tenancy.isolation_mode NOT NULL,
	phase			text COLLATE "C" NOT NULL DEFAULT 'copying'
					CHECK (phase OPERATOR(pg_catalog.=) ANY (ARRAY['capturing', 'copying', 'switched'])),
	online			boolean NOT NULL DEFAULT false,
	started_at		timestamptz NOT NULL DEFAULT pg_catalog.now(),
	refused_at		timestamptz
);
COMMENT ON TABLE tenancy.move IS 'Moves of tenants to another mode that are not finished';
COMMENT ON COLUMN tenancy.move.phase IS 'capturing: online, the tenant is active and what is written to it is noted; copying: it is moving; switched: it is elsewhere, and what it left is being removed';
COMMENT ON COLUMN tenancy.move.refused_at IS 'Since when nobody could write to the tenant';

/*
 * What was written to tables of tenants that move online, by triggers in the
 * writers' transactions, past all privileges: see move_log.c.  Not dumped: a
 * move that was restored from a dump can only be undone.
 */
CREATE TABLE tenancy.move_change (
	tenant_id		uuid NOT NULL,
	relation		oid NOT NULL,
	xact			xid8 NOT NULL,
	key				text[] NOT NULL
);
CREATE INDEX move_change_tenant_id_xact_idx ON tenancy.move_change (tenant_id, xact);
COMMENT ON TABLE tenancy.move_change IS 'Keys of rows that were written while their tenant moved online';

/*
 * Schemas and databases that were cloned ahead of need.  Each has a row of
 * tenancy.tenant, with an id and a slug that no tenant can have, and is migrated
 * like a tenant: see spare.c.
 */
CREATE TABLE tenancy.spare (
	tenant_id		uuid PRIMARY KEY,
	mode			tenancy.isolation_mode NOT NULL,
	fingerprint		text COLLATE "C" NOT NULL,
	made_at			timestamptz NOT NULL DEFAULT pg_catalog.now(),
	reference_digest	text COLLATE "C"
);
COMMENT ON TABLE tenancy.spare IS 'Schemas and databases that were cloned ahead of need';
COMMENT ON COLUMN tenancy.spare.fingerprint IS 'Of the models of which it is known to be a copy';
COMMENT ON COLUMN tenancy.spare.reference_digest IS 'Of the reference tables with which it is known to be in step; null in mode schema';

CREATE TABLE tenancy.spare_target (
	mode			tenancy.isolation_mode PRIMARY KEY
					CHECK (mode OPERATOR(pg_catalog.<>) 'shared'),
	spares			integer NOT NULL CHECK (spares OPERATOR(pg_catalog.>=) 0)
);
COMMENT ON TABLE tenancy.spare_target IS 'How many spares refill_spares() keeps';

REVOKE ALL ON ALL TABLES IN SCHEMA tenancy FROM PUBLIC;

/*
 * A role with the privileges of pg_read_all_data or pg_write_all_data needs no
 * grant to read or write a table.  Row security without a policy keeps it out.
 * Not tenancy.tenant, to which foreign keys of the models' owners refer: they
 * are validated by a query that row security would turn into one for each row.
 */
ALTER TABLE tenancy.module ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.tenant_module ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.module_copy ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.recording ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.access ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.protected_table ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.reference_table ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.pending_database ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.move ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.move_change ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.spare ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenancy.spare_target ENABLE ROW LEVEL SECURITY;

SELECT pg_catalog.pg_extension_config_dump('tenancy.module', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.tenant', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.tenant_module', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.module_copy', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.move', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.spare', '');
SELECT pg_catalog.pg_extension_config_dump('tenancy.spare_target', '');

/*
 * A role or table that was dropped leaves its row behind until repair(), and the row
 * has nothing but a number of it.  In another cluster, that is another role's or table's.
 */
SELECT pg_catalog.pg_extension_config_dump('tenancy.access',
	'WHERE EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid OPERATOR(pg_catalog.=) role)');
SELECT pg_catalog.pg_extension_config_dump('tenancy.protected_table',
	'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) relation)');
SELECT pg_catalog.pg_extension_config_dump('tenancy.reference_table',
	'WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) relation)');
