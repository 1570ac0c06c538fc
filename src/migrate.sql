/* migrate.c: running migrations across all tenants */

CREATE TABLE tenancy.migration_run (
	id				bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	module			text COLLATE "C" NOT NULL,
	level			integer NOT NULL,
	tenants			uuid[],
	total			integer NOT NULL,
	lock_timeout	integer NOT NULL,
	retries			integer NOT NULL,
	max_failures	integer NOT NULL,
	dry_run			boolean NOT NULL,
	down			boolean NOT NULL,
	leader_pid		integer NOT NULL,
	tenant_column	name,
	path_after		text NOT NULL,
	started_at		timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	finished_at		timestamptz
);
COMMENT ON TABLE tenancy.migration_run IS 'What calls of migrate() do, or have done, to the copies of a module';
COMMENT ON COLUMN tenancy.migration_run.level IS 'The level to which the copies are brought';
COMMENT ON COLUMN tenancy.migration_run.down IS 'Whether migrations are undone to get there';
COMMENT ON COLUMN tenancy.migration_run.tenants IS 'Only these; null for all';
COMMENT ON COLUMN tenancy.migration_run.tenant_column IS 'Tenant column of the module''s tables; null if they have none';
COMMENT ON COLUMN tenancy.migration_run.path_after IS 'What follows the modules'' schemas on the path, each schema with a comma behind it';

REVOKE ALL ON tenancy.migration_run FROM PUBLIC;
ALTER TABLE tenancy.migration_run ENABLE ROW LEVEL SECURITY;	/* see catalog.sql */

CREATE VIEW tenancy.migration_status AS
	SELECT t.slug AS tenant, m.name AS module, v.version, s.pending,
		   CASE WHEN s.pending OPERATOR(pg_catalog.=) 0 THEN 'current'
				WHEN c.failed THEN 'failed'
				WHEN c.under_way OR (t.mode OPERATOR(pg_catalog.=) 'shared' AND g.under_way) THEN 'under way'
				WHEN c.attempts OPERATOR(pg_catalog.>) 0 THEN 'retrying'
				ELSE 'pending' END AS state,
		   c.last_error, COALESCE(c.attempts, 0) AS attempts, c.attempted_at, c.duration
	FROM tenancy.tenant t
	CROSS JOIN tenancy.module m
	LEFT JOIN tenancy.tenant_module i
		ON i.tenant_id OPERATOR(pg_catalog.=) t.id AND i.module OPERATOR(pg_catalog.=) m.name
	LEFT JOIN tenancy.module_copy c
		ON t.mode OPERATOR(pg_catalog.<>) 'shared' AND c.tenant_id OPERATOR(pg_catalog.=) t.id
		AND c.module OPERATOR(pg_catalog.=) m.name
	LEFT JOIN (SELECT module, pg_catalog.count(*) AS migrations,
					  pg_catalog.bool_or(position IS NULL AND under_way) AS under_way
			   FROM tenancy.migration GROUP BY module) g
		ON g.module OPERATOR(pg_catalog.=) m.name
	LEFT JOIN (SELECT module, position,
					  pg_catalog.max(version) OVER (PARTITION BY module ORDER BY position) AS version
			   FROM tenancy.migration WHERE position IS NOT NULL) v
		ON v.module OPERATOR(pg_catalog.=) m.name
		AND v.position OPERATOR(pg_catalog.=) COALESCE(c.level, m.level)
	CROSS JOIN LATERAL (SELECT (COALESCE(g.migrations, 0) OPERATOR(pg_catalog.-) COALESCE(c.level, m.level))::integer AS pending) s
	WHERE t.status OPERATOR(pg_catalog.<>) 'spare'
	AND (m.position OPERATOR(pg_catalog.=) 1 OR i.tenant_id IS NOT NULL);
COMMENT ON VIEW tenancy.migration_status IS 'How far each tenant is with the migrations of each module, and what went wrong';

CREATE VIEW tenancy.migration_progress AS
	SELECT r.id AS run, r.module, r.dry_run, r.total,
		   n.done::integer AS done, n.failed::integer AS failed,
		   s.rate, CASE WHEN s.rate OPERATOR(pg_catalog.>) 0 THEN
			pg_catalog.make_interval(secs => (r.total OPERATOR(pg_catalog.-) n.done OPERATOR(pg_catalog.-) n.failed)::double precision
									 OPERATOR(pg_catalog./) s.rate) END AS remaining,
		   r.started_at, r.leader_pid
	FROM tenancy.migration_run r
	JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) r.leader_pid
		AND a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
		AND a.backend_start OPERATOR(pg_catalog.<=) r.started_at
	CROSS JOIN LATERAL (
		SELECT pg_catalog.count(*) FILTER (WHERE NOT c.failed AND NOT CASE WHEN r.down THEN c.level OPERATOR(pg_catalog.>) r.level ELSE c.level OPERATOR(pg_catalog.<) r.level END) AS done,
			   pg_catalog.count(*) FILTER (WHERE c.failed) AS failed
		FROM tenancy.module_copy c
		WHERE c.module OPERATOR(pg_catalog.=) r.module AND c.run OPERATOR(pg_catalog.=) r.id) n
	CROSS JOIN LATERAL (
		SELECT pg_catalog.round((n.done OPERATOR(pg_catalog.+) n.failed)::numeric OPERATOR(pg_catalog./)
			GREATEST(0.001, EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) r.started_at)), 1)::double precision AS rate) s
	WHERE r.finished_at IS NULL;
COMMENT ON VIEW tenancy.migration_progress IS 'How far a call of migrate() that is running has come, in tenants, tenants a second and time';

REVOKE ALL ON tenancy.migration_status, tenancy.migration_progress FROM PUBLIC;

CREATE PROCEDURE tenancy.migrate(module text DEFAULT NULL,
								 tenants text[] DEFAULT NULL,
								 workers integer DEFAULT NULL,
								 canary integer DEFAULT 0,
								 max_failures integer DEFAULT 0,
								 lock_timeout interval DEFAULT '2s',
								 retries integer DEFAULT 5,
								 dry_run boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'tenancy_migrate'
LANGUAGE C;
COMMENT ON PROCEDURE tenancy.migrate(text, text[], integer, integer, integer, interval, integer, boolean) IS
'Applies the migrations that modules and their copies have not had yet, in all modes';

REVOKE ALL ON PROCEDURE tenancy.migrate(text, text[], integer, integer, integer, interval, integer, boolean) FROM PUBLIC;

CREATE PROCEDURE tenancy.rollback(version bigint,
								  module text DEFAULT NULL,
								  tenants text[] DEFAULT NULL,
								  workers integer DEFAULT NULL,
								  canary integer DEFAULT 0,
								  max_failures integer DEFAULT 0,
								  lock_timeout interval DEFAULT '2s',
								  retries integer DEFAULT 5,
								  dry_run boolean DEFAULT false)
AS 'MODULE_PATHNAME', 'tenancy_migrate_rollback'
LANGUAGE C;
COMMENT ON PROCEDURE tenancy.rollback(bigint, text, text[], integer, integer, integer, interval, integer, boolean) IS
'Undoes a migration and all that were applied after it, in the copies and then in the model';

REVOKE ALL ON PROCEDURE tenancy.rollback(bigint, text, text[], integer, integer, integer, interval, integer, boolean) FROM PUBLIC;
