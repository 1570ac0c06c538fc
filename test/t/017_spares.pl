# Spares of databases, and what becomes of spares when processes die.
#
# TAP and not regress, because a tenant's database is another one to connect to,
# because sessions, workers and the server are killed in the middle, and because
# a preloaded library makes new spares by itself.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('spares');
my $db = 'shop';
new_application($node, $db, tables => 5);

my $counts = q{SELECT string_agg(format('%s %s/%s/%s', mode, wanted, ready, outdated), ', ' ORDER BY mode) FROM tenancy.spares};
my $idle = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my $settled = q{SELECT count(*) = 0 FROM tenancy.pending_database};
my $spare_databases = q{SELECT count(*) FROM pg_database WHERE datname LIKE 'tenant\_\_spare\_%'};
my $spare_schemas = q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\_\_spare\_%'};
my $no_trace = q{SELECT count(*) FROM tenancy.tenant t WHERE t.status = 'spare' AND NOT EXISTS (SELECT FROM tenancy.spare s WHERE s.tenant_id = t.id)};

# Everything that there is of spares belongs together.
sub sound
{
	my ($what) = @_;

	is($node->safe_psql($db, $no_trace), '0', "$what: no tenant's row without a spare's");
	is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.spare s WHERE NOT EXISTS (SELECT FROM tenancy.tenant t WHERE t.id = s.tenant_id)'),
		'0', "$what: no spare's row without a tenant's");
	is($node->safe_psql($db, $spare_databases), $node->safe_psql($db, q{SELECT count(*) FROM tenancy.spare WHERE mode = 'database'}),
		"$what: a database for each spare, and no other");
	is($node->safe_psql($db, $spare_schemas), $node->safe_psql($db, q{SELECT count(*) FROM tenancy.spare WHERE mode = 'schema'}),
		"$what: a schema for each spare, and no other");
}

# ---------------------------------------------------------------------------
# Databases
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{
	CREATE ROLE late LOGIN;
	SELECT tenancy.set_spares('database', 3), tenancy.set_spares('schema', 2);
});
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
is($node->safe_psql($db, $counts), 'schema 2/2/0, database 3/3/0', 'made');
my $spare = $node->safe_psql($db, q{SELECT database_name FROM tenancy.tenant WHERE mode = 'database' ORDER BY id LIMIT 1});
my $refused = session($node, $spare, 'app');
is($refused->{pid}, '', 'nobody gets into a spare');
like($refused->{refused}, qr/not currently accepting connections/, 'because it takes no connections');

my $id = $node->safe_psql($db, q{SELECT tenancy.create_tenant('one', 'database')});
is($node->safe_psql($db, $counts), 'schema 2/2/0, database 3/2/0', 'taken');
is($node->safe_psql($db, $spare_databases), '2', 'renamed');
# at once, before anybody may have told the database
{
	my $app = session($node, 'tenant_one', 'app');
	is($app->rows('SELECT tenancy.set_tenant(\'one\', false)'), $id, 'set_tenant()');
	is($app->rows('SELECT tenancy.current_tenant()'), 'one', 'current_tenant()');
	is($app->rows('SELECT tenancy.current_tenant_id()'), $id, 'current_tenant_id()');
	is($app->rows(q{SELECT tenancy.tenant_database('one')}), 'tenant_one', 'tenant_database()');
	is($app->state(q{INSERT INTO notes (note) VALUES ('of one')}), '00000', 'its rows are written');
	is($app->rows('SELECT note FROM notes'), 'of one', 'and read');
	is($app->state(q{SELECT tenancy.set_tenant('two')}), 'TN003', 'another tenant');
	$app->quit;
}

# Before the database has been told what it is called, it goes by its own name.
{
	my $row = q{SELECT slug || ' ' || database_name FROM tenancy.tenant};
	ok($node->poll_query_until('tenant_one', "SELECT ($row) = 'one tenant_one'"), 'its registry has been told');
	ok($node->poll_query_until($db, $settled), 'and nothing is left to do');
	my $hex = $id =~ s/-//gr;
	$node->safe_psql('tenant_one', qq{UPDATE tenancy.tenant SET slug = '_spare_$hex', database_name = 'tenant__spare_$hex'});
	my $app = session($node, 'tenant_one', 'app');
	is($app->rows('SELECT tenancy.set_tenant(\'one\', false)'), $id, 'not told: set_tenant()');
	is($app->rows('SELECT tenancy.current_tenant()'), 'one', 'not told: current_tenant()');
	is($app->rows("SELECT tenancy.set_tenant('$id', false)"), $id, 'not told: by id');
	is($app->rows(q{SELECT tenancy.tenant_database('one')}), 'tenant_one', 'not told: tenant_database()');
	is($app->rows('SELECT note FROM notes'), 'of one', 'not told: its rows are there');
	is($app->state("SELECT tenancy.set_tenant('_spare_$hex')"), 'TN003', 'not told: not by its old name');
	is($app->state(q{SELECT tenancy.set_tenant('two')}), 'TN003', 'not told: nobody else');
	$app->quit;
	is($node->psql('tenant_one', q{SELECT tenancy.create_tenant('nested')}), 3, 'not told: no administrator\'s calls');
	$node->safe_psql('tenant_one', q{UPDATE tenancy.tenant SET slug = 'one', database_name = 'tenant_one'});
}

# Access, from before and after
is($node->safe_psql($db, q{SELECT has_database_privilege('app', 'tenant_one', 'CONNECT'), has_database_privilege('late', 'tenant_one', 'CONNECT')}), 't|f', 'access of before');
$node->safe_psql($db, q{SELECT tenancy.grant_access('late')});
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('two', 'database')});
is($node->safe_psql($db, q{SELECT has_database_privilege('late', 'tenant_two', 'CONNECT')}), 't', 'access that was given when it was a spare');
$node->safe_psql($db, q{SELECT tenancy.revoke_access('late')});
$node->safe_psql($db, q{SELECT tenancy.create_tenant('three', 'database')});
is($node->safe_psql($db, q{SELECT has_database_privilege('late', 'tenant_three', 'CONNECT')}), 'f', 'access that was taken away when it was a spare');
is($node->safe_psql($db, $counts), 'schema 2/2/0, database 3/1/0', 'taken');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('last', 'database')});
is($node->safe_psql($db, $spare_databases), '0', 'all taken');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('four', 'database')});
is($node->safe_psql($db, $spare_databases), '0', 'the next one is made from the template');

# Keys of tokens reach spares.
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
$node->safe_psql($db, q{SELECT tenancy.create_token_key('k', 'HS256', repeat('secret', 8))});
ok($node->poll_query_until($db, $settled), 'keys are handed out');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('five', 'database')});
my $token = $node->safe_psql($db, q{SELECT tenancy.sign_token('five', '1 hour')});
is(sqlstate($node, 'tenant_five', 'app', "SELECT tenancy.set_tenant_token('$token')"), '00000', 'a token signed outside');

# So do reference tables.
$node->safe_psql($db, q{
	CREATE TABLE public.plans (name text PRIMARY KEY);
	ALTER TABLE public.plans OWNER TO shop_owner;
	GRANT SELECT ON public.plans TO app;
	SELECT tenancy.add_reference_table('public.plans');
});
is($node->safe_psql($db, q{SELECT ready || ' ' || outdated FROM tenancy.spares WHERE mode = 'database'}), '0 2', 'a new reference table: spares are outdated');
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
is($node->safe_psql($db, $counts), 'schema 2/2/0, database 3/3/0', 'and replaced');
$node->safe_psql($db, q{INSERT INTO plans VALUES ('free'), ('paid')});
$node->safe_psql($db, q{SELECT * FROM tenancy.sync_reference_tables()});
$node->safe_psql($db, q{SELECT tenancy.create_tenant('referring', 'database')});
is($node->safe_psql('tenant_referring', q{SELECT string_agg(name, ' ' ORDER BY name) FROM plans}, extra_params => [ '-U', 'app' ]), 'free paid', 'rows reach spares');

# A rollback, to a savepoint too
is($node->safe_psql($db, q{BEGIN; SELECT FROM tenancy.create_tenant('six', 'database'); ROLLBACK; SELECT count(*) FROM pg_database WHERE datname = 'tenant_six'}), '0', 'rolled back');
$node->safe_psql($db, q{BEGIN; SAVEPOINT s; SELECT FROM tenancy.create_tenant('six', 'database'); ROLLBACK TO s; SELECT FROM tenancy.create_tenant('seven', 'database'); COMMIT});
is($node->safe_psql($db, $counts), 'schema 2/2/0, database 3/1/0', 'the first one is a spare again');
is(sqlstate($node, 'tenant_seven', 'app', q{SELECT tenancy.set_tenant('seven')}), '00000', 'the second one is a tenant');
is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'nothing to repair');
sound('after rollbacks');

# Migrated, in step with their tenants
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
my $ids = q{SELECT string_agg(tenant_id::text, ' ' ORDER BY tenant_id) FROM tenancy.spare};
my $before = $node->safe_psql($db, $ids);
$node->safe_psql($db, q{SELECT tenancy.add_migration(1, 'ALTER TABLE notes ADD COLUMN day date')});
$node->safe_psql($db, 'CALL tenancy.migrate()');
is($node->safe_psql($db, $counts), 'schema 2/2/0, database 3/3/0', 'after a migration');
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
is($node->safe_psql($db, $ids), $before, 'they are the same');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('eight', 'database'), tenancy.create_tenant('nine', 'schema')});
is($node->safe_psql('tenant_eight', q{SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'shop.notes'::regclass AND attnum > 0}),
	$node->safe_psql($db, q{SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'shop.notes'::regclass AND attnum > 0}), 'has been migrated');
is($node->safe_psql($db, q{SELECT string_agg(DISTINCT state, ' ') FROM tenancy.migration_status}), 'current', 'all are current');
$node->safe_psql($db, q{SELECT tenancy.add_migration(2, 'ALTER TABLE notes ADD COLUMN hour int')});
$node->safe_psql($db, 'CALL tenancy.migrate()');
is($node->safe_psql('tenant_eight', q{SELECT count(*) FROM pg_attribute WHERE attrelid = 'shop.notes'::regclass AND attname = 'hour'}), '1', 'goes on to be migrated');

# One that has rows, or that somebody has changed, is none.
my $with_rows = $node->safe_psql($db, q{SELECT database_name FROM tenancy.tenant WHERE status = 'spare' AND mode = 'database' ORDER BY id LIMIT 1});
my $changed = $node->safe_psql($db, q{SELECT database_name FROM tenancy.tenant WHERE status = 'spare' AND mode = 'database' ORDER BY id DESC LIMIT 1});
for my $name ($with_rows, $changed)
{
	$node->safe_psql('postgres', "ALTER DATABASE $name ALLOW_CONNECTIONS true");
	$node->safe_psql($name, $name eq $changed ? 'ALTER TABLE shop.notes ADD COLUMN planted text' :
		'ALTER TABLE shop.notes NO FORCE ROW LEVEL SECURITY; SET row_security = off; INSERT INTO shop.notes (tenant_id, note) SELECT id, $$planted$$ FROM tenancy.tenant; ALTER TABLE shop.notes FORCE ROW LEVEL SECURITY');
	$node->safe_psql('postgres', "ALTER DATABASE $name ALLOW_CONNECTIONS false");
}
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname IN ('$with_rows', '$changed')"), '0', 'rows, or a column: replaced');

# ---------------------------------------------------------------------------
# Dying
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT tenancy.set_spares('database', 6), tenancy.set_spares('schema', 6)});
for my $round (1 .. 6)
{
	my $refill = session($node, $db, 'postgres');
	my $pause = 0.02 + rand(0.6);

	$refill->send('CALL tenancy.refill_spares()');
	select(undef, undef, undef, $pause);
	if ($round % 3 == 0)
	{
		$node->stop('immediate');
		$node->start;
	}
	elsif ($round % 3 == 1)
	{
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($refill->{pid})");
	}
	else
	{
		my $offset = -s $node->logfile;

		kill('KILL', $refill->{pid});
		recovered($node, $offset);
	}
	$refill->quit;
	ok($node->poll_query_until($db, $idle), "round $round: no worker is left");
	$node->safe_psql($db, 'SELECT * FROM tenancy.repair()');
	ok($node->poll_query_until($db, $settled), "round $round: settled");
	sound("round $round");
	$node->safe_psql($db, q{SELECT tenancy.set_spares('database', 3), tenancy.set_spares('schema', 3)}) if $round == 3;
}
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
is($node->safe_psql($db, $counts), 'schema 3/3/0, database 3/3/0', 'the next call goes on');
is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'nothing to repair');

# Killed after the commit, before the database was told
{
	my $s = session($node, $db, 'postgres');
	$s->query('BEGIN');
	is($s->state(q{SELECT tenancy.create_tenant('ten', 'database')}), '00000', 'about to be killed');
	$node->stop('immediate');
	$node->start;
	$s->quit;
	is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.tenants WHERE slug = 'ten'}), '0', 'not committed: no tenant');
	is($node->safe_psql($db, $counts), 'schema 3/3/0, database 3/3/0', 'not committed: still a spare');
	sound('killed in the middle');
}
$node->safe_psql($db, q{SELECT tenancy.create_tenant('ten', 'database')});
$node->stop('immediate');
$node->start;
is(sqlstate($node, 'tenant_ten', 'app', q{SELECT tenancy.set_tenant('ten')}), '00000', 'killed right after: a tenant');
$node->safe_psql($db, 'SELECT * FROM tenancy.repair()');
ok($node->poll_query_until($db, $settled), 'killed right after: settled');
is($node->safe_psql('tenant_ten', 'SELECT slug FROM tenancy.tenant'), 'ten', 'killed right after: told');

# A spare's database is dropped by hand.
$spare = $node->safe_psql($db, q{SELECT database_name FROM tenancy.tenant WHERE status = 'spare' AND mode = 'database' ORDER BY id LIMIT 1});
$node->safe_psql('postgres', "DROP DATABASE $spare");
$node->safe_psql($db, q{SELECT tenancy.create_tenant('eleven', 'database')});
like($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), qr/spare .*spare deleted/, 'repair() forgets it');
sound('dropped by hand');

# ---------------------------------------------------------------------------
# Dumped and restored
# ---------------------------------------------------------------------------
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
$node->run_log([ 'pg_dump', '-Fc', '-f', $node->basedir . '/dump', '-h', $node->host, '-p', $node->port, $db ]);
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-d', 'restored', $node->basedir . '/dump' ], 'restored');
like($node->safe_psql('restored', $counts), qr/^schema 3\/0\/3/, 'what is restored is not known to be a copy');
$node->safe_psql('restored', q{SELECT tenancy.set_spares('database', 0)});
$node->safe_psql('restored', 'CALL tenancy.refill_spares()');
is($node->safe_psql('restored', $counts), 'schema 3/3/0, database 0/0/0', 'but found to be, where it is there');
is($node->safe_psql($db, $spare_databases), '3', 'and the other database keeps its databases');
$node->safe_psql('restored', q{SELECT tenancy.create_tenant('new', 'schema')});
is($node->safe_psql('restored', q{SELECT count(*) FROM tenancy.drift('new')}), '0', 'a spare of before is taken');
is($node->safe_psql('restored', q{SELECT severity || ' ' || lint || ' ' || object FROM tenancy.check_isolation() WHERE object LIKE '%spare%'}), '', 'no lint speaks of spares');

# ---------------------------------------------------------------------------
# Preloaded
# ---------------------------------------------------------------------------
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tenancy'");
$node->restart;
$node->safe_psql($db, q{SELECT tenancy.create_tenant('twelve', 'schema'), tenancy.create_tenant('thirteen', 'database')});
ok($node->poll_query_until($db, "SELECT ($counts) = 'schema 3/3/0, database 3/3/0'"), 'preloaded: new ones are made');
$node->safe_psql($db, q{BEGIN; SELECT tenancy.create_tenant('fourteen', 'schema'); ROLLBACK});
ok($node->poll_query_until($db, $idle), 'preloaded: no worker is left');
is($node->safe_psql($db, $counts), 'schema 3/3/0, database 3/3/0', 'preloaded: no more than that');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_locks l WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)}), 0,
	'preloaded: the worker has left no lock');
$node->safe_psql($db, "SELECT tenancy.create_tenant('$_', 'schema')") foreach 'fifteen', 'sixteen';
ok($node->poll_query_until($db, "SELECT ($counts) = 'schema 3/3/0, database 3/3/0'"), 'preloaded: new ones are made again');
ok($node->poll_query_until($db, $idle), 'preloaded: no worker is left again');
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
sound('preloaded');

$node->stop;
done_testing();
