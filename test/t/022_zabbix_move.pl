# A real application, the schema and data of Zabbix with a plug-in beside it, on its
# way through all isolation modes, and through files: in the end it has every row.
#
# TAP and not regress, because the input is fetched when the test runs (its
# directory is in ZABBIX_SQL), and because of tenants' databases.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(time);

my $sql = $ENV{ZABBIX_SQL} // '';

if (!-f "$sql/data.sql")
{
	plan skip_all => "there is no apt-get to fetch Zabbix's schema with"
		if system('command -v apt-get >/dev/null') != 0;
	die "ZABBIX_SQL names no directory with schema.sql, images.sql and data.sql";
}

my $node = new_cluster('zabbixmove', 'max_wal_size = 4GB', 'shared_buffers = 256MB', 'max_locks_per_transaction = 256');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my ($seed) = join '', grep { /^INSERT INTO .*;$/ } map { "$_\n" } split /\n/, slurp_file("$sql/schema.sql");

append_to_file("$dir/seed.sql", $seed);
# the model is a model: rows are the tenants'
append_to_file("$dir/schema.sql", join '', grep { !/^INSERT INTO / } map { "$_\n" } split /\n/, slurp_file("$sql/schema.sql"));

# A database with the model, which is protected or not, and a plug-in that refers to it.
sub new_monitor
{
	my ($db, $protect) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, q{
		CREATE EXTENSION tenancy;
		CREATE SCHEMA zabbix AUTHORIZATION shop_owner;
		CREATE SCHEMA extra AUTHORIZATION shop_owner;
		GRANT USAGE ON SCHEMA zabbix, extra TO app;
	});
	$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db), '-c', 'SET ROLE shop_owner', '-c', 'SET search_path = zabbix',
		'-f', "$dir/schema.sql" ], "$db: the model");
	$node->safe_psql($db, q{
		SET ROLE shop_owner;
		CREATE TABLE extra.remark (n bigserial PRIMARY KEY, hostid bigint REFERENCES zabbix.hosts, remark text);
		GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA zabbix, extra TO app;
		GRANT USAGE ON ALL SEQUENCES IN SCHEMA zabbix, extra TO app;
		RESET ROLE;
		SELECT tenancy.create_module('zabbix', 'zabbix'), tenancy.create_module('extra', 'extra');
		SELECT tenancy.grant_access('app');
	});
	$node->safe_psql($db, q{SELECT count(*) FROM tenancy.protect_module('zabbix'); SELECT count(*) FROM tenancy.protect_module('extra')}) if $protect;
	return;
}

# The tenant's rows as it sees them: of each table, their number and a sum.
sub contents
{
	my ($db, $tenant) = @_;
	my $place = $node->safe_psql($db, "SELECT tenancy.tenant_database('$tenant')");
	my $tables = $node->safe_psql($db, q{SELECT tablename FROM pg_tables WHERE schemaname IN ('zabbix', 'extra') ORDER BY tablename COLLATE "C"});
	my $query = join ' UNION ALL ', map { qq{SELECT '$_', count(*), sum(hashtextextended(t::text, 0)) FROM $_ t} } split /\n/, $tables;

	return $node->safe_psql($place, qq{BEGIN; SELECT tenancy.set_tenant('$tenant') \\g /dev/null\n $query; COMMIT},
		extra_params => [ '-U', 'app' ]);
}

sub load
{
	my ($db, $tenant, @files) = @_;

	$node->command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($db) . ' user=app',
		'-c', "SELECT tenancy.set_tenant('$tenant', false)", (map { ('-f', $_) } @files),
		'-c', q{INSERT INTO remark (hostid, remark) SELECT hostid, 'about ' || name FROM hosts UNION ALL SELECT NULL, 'about nothing'} ], "$db: the data of $tenant");
	$node->safe_psql($db, 'ANALYZE');		# as autovacuum would
	return;
}

sub tables_that_differ
{
	my ($have, $want) = @_;
	my %want = map { $_ => 1 } split /\n/, $want;

	return join ' ', grep { !$want{$_} } split /\n/, $have;
}

my $clean = q{SELECT object || ' ' || problem FROM tenancy.repair() UNION ALL SELECT tenant || ' ' || object || ' ' || difference FROM tenancy.drift()};

# ---------------------------------------------------------------------------
# Its tables know tenants: all modes
# ---------------------------------------------------------------------------
new_monitor('monitor', 1);
$node->safe_psql('monitor', q{SELECT tenancy.create_tenant('zp'), tenancy.create_tenant('other')});
$node->safe_psql('monitor', qq{SELECT tenancy.install_module('$_', 'extra')}) foreach 'zp', 'other';
load('monitor', 'zp', "$dir/seed.sql", "$sql/images.sql", "$sql/data.sql");
$node->safe_psql('monitor', q{BEGIN; SELECT FROM tenancy.set_tenant('other');
	INSERT INTO hosts (hostid, host, name) VALUES (999999, 'other', 'other'); INSERT INTO remark (hostid, remark) VALUES (999999, 'other'); COMMIT},
	extra_params => [ '-U', 'app' ]);
my $rows = contents('monitor', 'zp');
my $others = contents('monitor', 'other');
my $total = 0;
$total += (split /\|/)[1] for split /\n/, $rows;
cmp_ok($total, '>', 100_000, 'rows of the tenant');
foreach my $to ('schema', 'database', 'shared')
{
	my $start = time;

	$node->safe_psql('monitor', "CALL tenancy.move_tenant('zp', '$to')");
	note(sprintf('%d rows moved to %s: %.1f s', $total, $to, time - $start));
	slow($node, 'monitor', $no_worker);
	is(tables_that_differ(contents('monitor', 'zp'), $rows), '', "moved to $to: the same rows in each table");
	is(tables_that_differ(contents('monitor', 'other'), $others), '', "moved to $to: another tenant has its own");
	is($node->safe_psql('monitor', $clean), '', "moved to $to: nothing to repair, and no drift");
}

$node->safe_psql('monitor', "SELECT tenancy.export_tenant('zp', '$dir/zp')");
$node->safe_psql('monitor', q{SELECT tenancy.drop_tenant('zp', true)});
is($node->safe_psql('monitor', q{SELECT (SELECT count(*) FROM zabbix.hosts), (SELECT count(*) FROM extra.remark)}), '1|1', 'dropped, with all its rows');
foreach my $mode ('database', 'shared')
{
	my $start = time;

	$node->safe_psql('monitor', "SELECT tenancy.import_tenant('$dir/zp', mode => '$mode')");
	note(sprintf('%d rows imported to %s: %.1f s', $total, $mode, time - $start));
	is(tables_that_differ(contents('monitor', 'zp'), $rows), '', "imported to $mode: the same rows in each table");
	is(tables_that_differ(contents('monitor', 'other'), $others), '', "imported to $mode: another tenant has its own");
	is($node->safe_psql('monitor', $clean), '', "imported to $mode: nothing to repair, and no drift");
	$node->safe_psql('monitor', q{SELECT tenancy.drop_tenant('zp', true)});
	slow($node, 'monitor', $no_worker);
}

# ---------------------------------------------------------------------------
# As it is, its tables know no tenants: schemas and databases
# ---------------------------------------------------------------------------
new_monitor('bare', 0);
$node->safe_psql('bare', q{SELECT tenancy.create_tenant('zs', 'schema'); SELECT tenancy.install_module('zs', 'extra')});
load('bare', 'zs', "$dir/seed.sql", "$sql/images.sql");
$rows = contents('bare', 'zs');
is(sqlstate($node, 'bare', undef, q{CALL tenancy.move_tenant('zs', 'shared')}), '55000', 'not into shared tables');
foreach my $to ('database', 'schema')
{
	$node->safe_psql('bare', "CALL tenancy.move_tenant('zs', '$to')");
	slow($node, 'bare', $no_worker);
	is(tables_that_differ(contents('bare', 'zs'), $rows), '', "unprotected, moved to $to: the same rows in each table");
	is($node->safe_psql('bare', $clean), '', "unprotected, moved to $to: nothing to repair, and no drift");
}
$node->safe_psql('bare', q{SELECT tenancy.copy_tenant('zs', 'staging', 'database')});
is(tables_that_differ(contents('bare', 'staging'), $rows), '', 'unprotected, copied into a database: the same rows in each table');
is(tables_that_differ(contents('bare', 'zs'), $rows), '', 'and where they were');
is($node->safe_psql('bare', $clean), '', 'nothing to repair, and no drift');

$node->stop;
done_testing();
