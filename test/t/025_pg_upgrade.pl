# pg_upgrade, by the recipe of docs/operations.md: tenants of all modes are where
# they were and as isolated, and what was begun goes on.
#
# From another major version, if "oldinstall" says where one is installed (as for
# PostgreSQL's own test of pg_upgrade), or else from a version to itself: what pg_upgrade
# does to the catalogs is much the same.  Tables, types, roles and databases keep their
# OIDs; schemas, functions, policies and triggers do not, all rows of catalogs are new,
# and triggers of ours that are no part of the schema are gone.
#
# TAP and not regress, because it runs pg_upgrade and takes two clusters.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(time);

my ($bindir) = run_command([ 'pg_config', '--bindir' ]);
if (!-x "$bindir/pg_upgrade")
{
	diag("NOT TESTED: there is no $bindir/pg_upgrade");
	plan skip_all => "there is no $bindir/pg_upgrade";
}

# What is not said, versions do not agree about.
my @initdb = ('--data-checksums');
my $oldbindir = $ENV{oldinstall} ? "$ENV{oldinstall}/bin" : $bindir;
my $node = new_cluster('old', { install_path => $ENV{oldinstall}, initdb => \@initdb }, 'checkpoint_timeout = 1h');
my $db = 'shop';
my $gate = 4711;				# for rows that are copied
my $new;

# Objects without what versions differ in: 17 has another privilege, 18 a constraint for each NOT NULL.
sub plain
{
	my ($objects) = @_;

	$objects =~ s/arwdDxtm/arwdDxt/g;
	$objects =~ s/^constraint\|\S+ \S+ NOT NULL .*\n//gm;
	return $objects;
}

# What pg_dump says of a copy of the model with everything
sub definition
{
	my ($schema) = @_;
	my ($out) = run_command([ 'pg_dump', '--schema-only', '-n', $schema, '-d', $new->connstr('torture') ]);

	$out =~ s/\b\Q$schema\E\b/copy/g;
	$out =~ s/'[0-9a-f-]{36}'/'id'/g;
	return join("\n", sort grep { !/^(--|\\)/ } split /\n/, $out);
}

# ---------------------------------------------------------------------------
# The old cluster
# ---------------------------------------------------------------------------
new_application($node, $db, tables => 2);
$node->safe_psql($db, qq{
	ALTER ROLE shop_owner LOGIN;
	CREATE ROLE batch LOGIN;
	CREATE ROLE reporter LOGIN;
	CREATE ROLE curator NOLOGIN;
	CREATE SCHEMA global AUTHORIZATION curator;
	GRANT USAGE ON SCHEMA global TO app, clerk, batch, reporter, shop_owner;
	SET ROLE curator;
	CREATE TABLE global.plan (id int PRIMARY KEY, name text NOT NULL);
	INSERT INTO global.plan VALUES (1, 'free'), (2, 'gold');
	GRANT SELECT ON global.plan TO app;
	GRANT REFERENCES ON global.plan TO shop_owner;
	RESET ROLE;
	SELECT tenancy.add_reference_table('global.plan');

	SET ROLE shop_owner;
	CREATE FUNCTION shop.pass(note text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS \$\$
		BEGIN
			IF note LIKE 'slow%' AND current_setting('session_replication_role') = 'replica' THEN
				PERFORM pg_advisory_xact_lock_shared($gate);
			END IF;
			RETURN true;
		END\$\$;
	CREATE TYPE shop.mood AS ENUM ('sad', 'fine');
	CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY, gone int, note text CHECK (shop.pass(note)), mood shop.mood,
		plan int DEFAULT 1 REFERENCES global.plan, loud text GENERATED ALWAYS AS (upper(note)) STORED, tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, id));
	ALTER TABLE shop.orders DROP COLUMN gone;
	CREATE TABLE shop.events (day date NOT NULL, what text, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, day)) PARTITION BY RANGE (day);
	CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	CREATE VIEW shop.labels WITH (security_invoker) AS SELECT loud FROM shop.orders;
	CREATE FUNCTION shop.shout() RETURNS text LANGUAGE sql STABLE AS 'SELECT string_agg(loud, chr(44)) FROM shop.labels';
	CREATE POLICY fine_only ON shop.orders AS RESTRICTIVE TO clerk USING (mood = 'fine');
	GRANT USAGE ON SCHEMA shop TO batch, reporter;
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders, shop.events, shop.notes TO app, batch;
	GRANT SELECT ON shop.labels TO app, batch;
	GRANT SELECT (note, mood, tenant_id) ON shop.orders TO clerk, reporter;
	ALTER TABLE shop.notes DROP CONSTRAINT notes_pkey, ADD PRIMARY KEY (tenant_id, note);
	ALTER TABLE shop.bulk2 DROP CONSTRAINT bulk2_pkey, DROP CONSTRAINT bulk2_b_key, ADD PRIMARY KEY (tenant_id, a);
	RESET ROLE;
	CREATE SCHEMA addons AUTHORIZATION shop_owner;
});
$node->safe_psql($db, q{
	SELECT * FROM tenancy.protect_module('shop');
	GRANT USAGE ON SCHEMA addons TO app;
	SET ROLE shop_owner;
	CREATE TABLE addons.extra (n int, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, n));
	GRANT SELECT, INSERT, UPDATE, DELETE ON addons.extra TO app;
	RESET ROLE;
	SELECT tenancy.create_module('addons', 'addons');
	SELECT * FROM tenancy.protect_module('addons');
	SELECT tenancy.create_token_key('k1', 'HS256', repeat('k', 32));
	SELECT tenancy.grant_access('batch'), tenancy.grant_access('reporter');
	SELECT tenancy.create_tenant('acme', 'shared', '00000000-0000-4000-8000-00000000000a', 'Acme Corp.', '{"plan": "gold"}');
	SELECT tenancy.create_tenant('hooli', 'shared'), tenancy.create_tenant('mover', 'shared'), tenancy.create_tenant('asleep', 'shared');
	SELECT tenancy.create_tenant('globex', 'schema'), tenancy.create_tenant('umbrella', 'schema');
	SELECT tenancy.install_module(t, 'addons') FROM unnest('{acme,globex}'::text[]) t;
	SELECT tenancy.suspend_tenant('asleep', 'unpaid');
	SELECT tenancy.grant_access('clerk', 'acme'), tenancy.grant_access('clerk', 'globex');
	ALTER ROLE batch SET tenancy.require_token = on;
	ALTER ROLE reporter IN DATABASE shop SET tenancy.missing_tenant = 'empty';
	ALTER DATABASE shop SET tenancy.search_path = 'public, global';
});
$node->safe_psql($db, "SELECT tenancy.create_tenant('$_', 'database')") for 'initech', 'closed';
$node->safe_psql($db, q{SELECT tenancy.install_module('initech', 'addons')});
$node->safe_psql($db, q{
	SELECT tenancy.add_migration(1, 'ALTER TABLE notes ADD COLUMN stars int DEFAULT 0', 'stars');
});
$node->safe_psql($db, 'CALL tenancy.migrate()');
my @slugs = ('acme', 'hooli', 'mover', 'globex', 'umbrella', 'initech', 'closed');
foreach my $slug (@slugs)
{
	$node->safe_psql($slug =~ /initech|closed/ ? "tenant_$slug" : $db, qq{SELECT tenancy.set_tenant('$slug', false);
		INSERT INTO notes (note, stars) VALUES ('note of $slug', 5);
		INSERT INTO orders (note, mood) VALUES ('@{[ $slug eq 'mover' ? 'slow' : 'order' ]} of $slug', 'fine'), ('x', 'sad');
		INSERT INTO events (day, what) VALUES ('2026-01-01', 'event of $slug');
	}, extra_params => [ '-U', 'app' ]);
}
$node->safe_psql($_ eq 'initech' ? 'tenant_initech' : $db, "SELECT tenancy.set_tenant('$_', false); INSERT INTO extra VALUES (7)",
	extra_params => [ '-U', 'app' ]) for 'acme', 'globex', 'initech';
$node->safe_psql($db, q{
	SELECT tenancy.suspend_tenant('closed', 'moved away');
	SELECT tenancy.set_spares('schema', 1), tenancy.set_spares('database', 1);
});
my $token = $node->safe_psql($db, q{SELECT tenancy.sign_token('acme', '1 hour', 'k1')});

# The server's end cuts short an online move, and the creation of a database.
my $gatekeeper = session($node, $db);
$gatekeeper->rows("SELECT pg_advisory_lock($gate)");
my $caller = session($node, $db);
$caller->send(q{CALL tenancy.move_tenant('mover', 'schema', online => true)});
slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'
	AND query LIKE '%copying rows'}) or die 'the move does not wait';
my $creator = session($node, $db);
$creator->rows(q{BEGIN; SELECT tenancy.create_tenant('unborn', 'database')});
$node->stop('immediate');
$_->quit for $gatekeeper, $caller, $creator;
$node->start;

# A migration that only some have had, spares, a recording with a statement in it.
$node->safe_psql($db, q{SELECT tenancy.add_migration(2, 'ALTER TABLE notes ADD COLUMN rank int', 'rank')});
$node->safe_psql($db, q{CALL tenancy.migrate(tenants => ARRAY['globex', 'initech'])});
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
$node->safe_psql($db, q{SELECT tenancy.start_recording(3, 'colours')});
$node->safe_psql($db, 'ALTER TABLE shop.notes ADD COLUMN colour text', extra_params => [ '-U', 'shop_owner' ]);
is($node->safe_psql($db, q{SELECT string_agg(concat(mode, ready + outdated), ',' ORDER BY mode) FROM tenancy.spares}), 'schema1,database1', 'there are spares');

# Another application, with every kind of object that a model can have, but for what pg_upgrade
# or pg_dump cannot do: from 18 on, a NOT NULL of an older server that a parent has, too, is the
# parent's alone, as it can be of no table that is given its parent later.  And what calls the functions
# of a range type that was renamed is dumped before these have the name that it calls them by.
my $exports = PostgreSQL::Test::Utils::tempdir();
my $torture = slurp_file("$FindBin::RealBin/torture.sql") =~ s/ USING heap2\b| USING INDEX TABLESPACE elsewhere\b| TABLESPACE elsewhere\b| AS bigint MAXVALUE 99999999999\b|^ALTER TABLE inh_d INHERIT inh_p;\n|^CREATE TABLE spanned .*\n//gmr;
$node->safe_psql('postgres', $_) for 'CREATE ROLE model_owner NOLOGIN', 'CREATE ROLE reader LOGIN', 'CREATE DATABASE torture';
$node->safe_psql('torture', 'CREATE EXTENSION tenancy');
$node->safe_psql('torture', $torture);
$node->safe_psql('torture', qq{
	ALTER DEFAULT PRIVILEGES FOR ROLE model_owner IN SCHEMA "Model ""1" GRANT ALL ON TABLES TO clerk;
	SELECT tenancy.add_reference_table('ref.plan'), tenancy.create_module('main', 'Model "1'), tenancy.grant_access('app'), tenancy.grant_access('clerk');
	GRANT ALL ON "Model ""1".act, "Model ""1".v1 TO clerk;
	SELECT tenancy.create_tenant('early', 'schema');
	INSERT INTO tenant_early.act (id, u, a) VALUES (1, 10, 1), (2, 20, 1);
	INSERT INTO tenant_early.document VALUES ('die Katzen');
	SELECT tenancy.export_tenant('early', '$exports/early'), tenancy.set_spares('schema', 1);
});
$node->safe_psql('torture', q{SELECT tenancy.create_tenant('earlydb', 'database')});
$node->safe_psql('torture', 'CALL tenancy.refill_spares()');
is($node->safe_psql('torture', 'SELECT * FROM tenancy.drift()'), '', 'no drift in a model with everything');
my $lints = q{SELECT severity, lint, object FROM tenancy.check_isolation()};

my $status = q{SELECT tenant, module, version, pending, state FROM tenancy.migration_status WHERE tenant NOT LIKE '\_%' ORDER BY 1, 2};
my %before = (registry => registry_of($node, $db), objects => objects_of($node, $db), status => $node->safe_psql($db, $status),
	inside => objects_of($node, 'tenant_initech'), lints => $node->safe_psql('torture', $lints));

# ---------------------------------------------------------------------------
# The recipe
# ---------------------------------------------------------------------------
$new = init_cluster('new', { initdb => \@initdb }, 'shared_preload_libraries = tenancy');
note('from ' . $node->pg_version . ' to ' . $new->pg_version);
my $recipe = slurp_file("$FindBin::RealBin/../docs/operations.md");
my ($open, $close) = $recipe =~ /^\*\*PostgreSQL, with pg_upgrade\*\*.*?^```sql\n(.*?)^```.*?^```sql\n(.*?)^```/ms
	or die 'operations.md has no recipe';
my @pg_upgrade = ('pg_upgrade', '--no-sync', '-d', $node->data_dir, '-D', $new->data_dir, '-b', $oldbindir, '-B', $bindir,
	'-s', $new->host, '-p', $node->port, '-P', $new->port);

chdir $new->basedir;			# older releases write there
$node->stop;
my ($out) = run_command([ @pg_upgrade, '--check' ]);
like($out, qr/must allow connections/, 'without it, pg_upgrade refuses databases that take no connections');
$node->start;
$node->safe_psql('postgres', $open);
my $refused = session($node, 'tenant_closed', 'app');
like($refused->{refused}, qr/too many connections/, "it lets nobody into a suspended tenant's database");

# The minor releases of late 2026 keep a column's version among its options, which an older one of
# the new version refuses.
if (slurp_file("$bindir/postgres") !~ /pg_attver/)
{
	diag("NOT TESTED: versions of columns, which $bindir/postgres does not know");
	$node->safe_psql($_, q{
		SET allow_system_table_mods = on;
		UPDATE pg_attribute SET attoptions = NULLIF(ARRAY(SELECT o FROM unnest(attoptions) o WHERE NOT starts_with(o, 'pg_attver=')), '{}')
		WHERE attoptions IS NOT NULL;
	}) for split /\n/, $node->safe_psql('postgres', 'SELECT datname FROM pg_database WHERE datallowconn');
}
$node->stop;
$new->command_ok([ @pg_upgrade, '--check' ], 'pg_upgrade --check');
my $start = time;
$new->command_ok(\@pg_upgrade, 'pg_upgrade');
note(sprintf('%.1f s', time - $start));
$new->start;
is(sqlstate($new, $db, 'app', 'SELECT * FROM shop.notes'), 'TN001', 'before the recipe is through, nothing is open');
$new->safe_psql('postgres', $close);
is($new->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datconnlimit <> -1}), '0', 'the limits are gone');

# ---------------------------------------------------------------------------
# All is as it was
# ---------------------------------------------------------------------------
same_lines(registry_of($new, $db), $before{registry}, 'the registry is as it was');
same_lines(plain(objects_of($new, $db)), plain($before{objects}), 'policies, privileges, triggers and constraints are as they were');
same_lines(plain(objects_of($new, 'tenant_initech')), plain($before{inside}), "and in a tenant's database");
is($new->safe_psql($db, $status), $before{status}, 'and the ledger');
is($new->safe_psql($db, q{SELECT tenancy.tenant_database('initech')}), 'tenant_initech', "a tenant's database is still this one's");

my $app = session($new, $db, 'app');
is($app->state('SELECT * FROM shop.notes'), 'TN001', 'no context, no rows');
foreach my $slug (grep { !/initech|closed/ } @slugs)
{
	$app->rows("SELECT tenancy.set_tenant('$slug', false)");
	is($app->rows(q{SELECT note, stars FROM notes; SELECT what FROM events; SELECT shout()}),
		"note of $slug|5\nevent of $slug\n" . ($slug eq 'mover' ? 'SLOW' : 'ORDER') . ' OF ' . uc($slug) . ',X', "$slug has its rows");
	is($app->rows('SELECT count(*) FROM tenant_globex.notes'), $slug eq 'globex' ? '1' : '0', "$slug and the rows of globex");
	is($app->state(q{INSERT INTO notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-00000000000f', 'x')}), '42501', "$slug writes for itself only");
	is($app->rows(q{INSERT INTO orders (note, mood) VALUES ('new', 'sad') RETURNING id > 2, plan}), 't|1', "$slug: and does");
}
is($app->rows(q{SELECT tenancy.set_tenant('globex', false); SELECT n FROM extra}) =~ s/^.*\n//r, '7', 'a plug-in');
is($app->state(q{SELECT tenancy.set_tenant('asleep', false)}), 'TN002', 'a suspended tenant is');
is($app->state(q{SELECT tenancy.set_tenant('initech', false)}), 'TN003', 'a tenant with a database has it');
$app->quit;
$app = session($new, 'tenant_initech', 'app');
is($app->rows('SELECT tenancy.current_tenant(); SELECT note FROM notes; SELECT n FROM extra; SELECT name FROM global.plan WHERE id = 2'),
	"initech\nnote of initech\n7\ngold", 'and in it its rows, its plug-in, and reference tables');
$app->quit;
like(session($new, 'tenant_closed')->{refused}, qr/not currently accepting connections/, "a suspended tenant's database is closed");
like(session($new, 'tenant_initech', 'stranger')->{refused}, qr/permission denied/, "a tenant's database lets in whom it let in");

is(sqlstate($new, $db, 'clerk', q{SELECT tenancy.set_tenant('hooli')}), '42501', 'no access');
is($new->safe_psql($db, q{SELECT tenancy.set_tenant('acme', false); SELECT note FROM orders}, extra_params => [ '-U', 'clerk' ]) =~ s/^.*\n//r,
	'order of acme', "access, and the application's own policy");
is(sqlstate($new, $db, 'batch', q{SELECT tenancy.set_tenant('acme')}), '42501', 'a role that needs a token');
is($new->safe_psql($db, "SELECT tenancy.set_tenant_token('$token', false); SELECT note FROM notes", extra_params => [ '-U', 'batch' ]),
	"00000000-0000-4000-8000-00000000000a\nnote of acme", 'and one from before');
is($new->safe_psql($db, 'SELECT count(note) FROM shop.orders', extra_params => [ '-U', 'reporter' ]), '0', "a role's setting");
is($new->safe_psql($db, q{SELECT current_setting('tenancy.search_path')}), 'public, global', "the database's setting");

# ---------------------------------------------------------------------------
# What was begun goes on
# ---------------------------------------------------------------------------
like($new->safe_psql($db, 'SELECT object, action FROM tenancy.repair()'),
	qr/^database of tenant \S+\|finished or undone\ntenant mover\|undone: it is active where it was$/, 'repair() undoes what had been begun');
is($new->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'tenant_unborn'}), '0', 'in the cluster, too');
is($new->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'and finds no more');
$new->safe_psql($db, 'ALTER TABLE shop.notes ADD COLUMN size int', extra_params => [ '-U', 'shop_owner' ]);
is($new->safe_psql($db, 'SELECT tenancy.stop_recording()'), '2', 'the recording went on');
is($new->safe_psql($db, q{SELECT string_agg(concat(mode, wanted, ready, outdated), ',' ORDER BY mode) FROM tenancy.spares}), 'schema101,database101', 'spares wait to be looked at');
$new->safe_psql($db, 'CALL tenancy.migrate()');
is($new->safe_psql($db, q{SELECT DISTINCT state, pending FROM tenancy.migration_status WHERE tenant <> 'closed'}), 'current|0', 'all tenants are migrated');
is($new->safe_psql($db, q{SELECT colour, size, rank FROM tenant_umbrella.notes}), '||', 'as the model');

$new->safe_psql($db, q{SELECT tenancy.resume_tenant('closed'), tenancy.resume_tenant('asleep')});
$new->safe_psql($db, 'CALL tenancy.migrate()');
is($new->safe_psql('tenant_closed', q{SELECT note, colour FROM notes}, extra_params => [ '-U', 'app' ]), 'note of closed|', 'and who was suspended, once it is not');
$new->safe_psql($db, 'CALL tenancy.refill_spares()');
is($new->safe_psql($db, q{SELECT string_agg(concat(mode, wanted, ready, outdated), ',' ORDER BY mode) FROM tenancy.spares}), 'schema110,database110', 'spares are ready');
is($new->safe_psql($db, q{SELECT * FROM tenancy.check_isolation()}), '', 'isolated');
is($new->safe_psql($db, q{SELECT * FROM tenancy.drift()}), '', 'no drift');

# ---------------------------------------------------------------------------
# And new work
# ---------------------------------------------------------------------------
foreach my $mode ('schema', 'database')
{
	# the worker that replaces a spare holds those that it looks at
	slow($new, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
	my $spare = $new->safe_psql($db, "SELECT tenant_id FROM tenancy.spare WHERE mode = '$mode'");
	is($new->safe_psql($db, "SELECT tenancy.create_tenant('fresh$mode', '$mode')"), $spare, "a spare $mode becomes a tenant");
}
is(sqlstate($new, $db, undef, "CALL tenancy.move_tenant('$$_[0]', '$$_[1]', online => $$_[2])"), '00000', "move: @$_")
	for ['mover', 'schema', 'true'], ['globex', 'shared', 'false'], ['acme', 'database', 'true'], ['initech', 'schema', 'false'];
$app = session($new, $db, 'app');
foreach my $slug ('mover', 'globex', 'initech')
{
	$app->rows("SELECT tenancy.set_tenant('$slug', false)");
	is($app->rows('SELECT note, stars FROM notes'), "note of $slug|5", "$slug has its rows after a move");
}
$app->quit;
is($new->safe_psql('tenant_acme', 'SELECT note FROM notes; SELECT n FROM extra', extra_params => [ '-U', 'app' ]), "note of acme\n7", 'acme, too');
is(sqlstate($new, $db, undef, $_), '00000', $_)
	for q{SELECT * FROM tenancy.sync_reference_tables()}, q{SELECT tenancy.rename_tenant('freshdatabase', 'new')},
	q{SELECT tenancy.drop_tenant('umbrella', true)}, q{SELECT tenancy.drop_tenant('hooli', true)}, q{SELECT tenancy.drop_tenant('closed', true)};
slow($new, $db, q{SELECT count(*) = 0 FROM tenancy.pending_database});
is($new->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'repair() finds nothing');
is($new->safe_psql($db, q{SELECT * FROM tenancy.check_isolation()}), '', 'isolated');
is($new->safe_psql($db, q{SELECT * FROM tenancy.drift()}), '', 'no drift');

# The model with everything: older copies and newer ones are the same.
same_lines($new->safe_psql('torture', $lints), $before{lints}, 'check_isolation() says what it said');
is($new->safe_psql('torture', 'SELECT * FROM tenancy.drift()'), '', 'no drift in a model with everything');
$new->safe_psql('torture', 'CALL tenancy.refill_spares()');
is($new->safe_psql('torture', q{SELECT concat(ready, outdated) FROM tenancy.spares WHERE mode = 'schema'}), '10', 'a spare is ready');
$new->safe_psql('torture', $_) for q{SELECT tenancy.set_spares('schema', 0)}, q{SELECT tenancy.create_tenant('spare', 'schema')},
	q{SELECT tenancy.create_tenant('late', 'schema')}, q{SELECT tenancy.create_tenant('latedb', 'database')},
	qq{SELECT tenancy.import_tenant('$exports/early', 'again')};
is($new->safe_psql('torture', 'SELECT * FROM tenancy.drift()'), '', '... nor with new tenants');
is($new->safe_psql('torture', q{SELECT id, u, a FROM tenant_again.act UNION ALL SELECT 0, 0, count(*) FROM tenant_again.document WHERE found @@ 'katz' ORDER BY 1}),
	"0|0|1\n1|10|1\n2|20|1", "an older server's files are imported");
same_lines(definition('tenant_early'), definition('tenant_late'), 'what pg_dump says of an older copy is what it says of a newer one');
same_lines(definition('tenant_spare'), definition('tenant_late'), '... and of a spare');

# The extension is one still: a dump brings the registry, DROP EXTENSION its end.
my $dump = $new->basedir . '/shop.dump';
$new->safe_psql('postgres', 'CREATE DATABASE copy');
$new->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $new->connstr($db) ], 'pg_dump');
$new->command_ok([ 'pg_restore', '--exit-on-error', '-d', $new->connstr('copy'), $dump ], 'pg_restore');
same_lines(registry_of($new, 'copy'), registry_of($new, $db), 'with the registry');
same_lines(objects_of($new, 'copy'), objects_of($new, $db), 'and policies and privileges');
is(sqlstate($new, 'copy', undef, 'DROP EXTENSION tenancy CASCADE'), '00000', 'DROP EXTENSION');
is($new->safe_psql('copy', q{SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text = 'tenancy'}), '0', 'leaves nothing of itself');

$new->stop;
done_testing();
