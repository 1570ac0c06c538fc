# Calls that take long tell how far they are, as often as tenancy.progress_interval
# says, and not at all if it is 0.
#
# TAP and not regress, because what they tell differs from run to run.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('progress');
my $db = 'shop';
new_application($node, $db, tables => 5);
$node->safe_psql($db, q{
	CREATE ROLE curator NOLOGIN;
	CREATE SCHEMA global AUTHORIZATION curator;
	CREATE TABLE global.plan (id int PRIMARY KEY);
	ALTER TABLE global.plan OWNER TO curator;
	SELECT tenancy.add_reference_table('global.plan');
	SELECT tenancy.create_tenant('t' || n, 'schema') FROM generate_series(1, 6) n;
	SELECT tenancy.create_tenant('d' || n, 'database') FROM generate_series(1, 2) n;
});
my $pace = qr/[\d.]+ \w+\/s, about \d+ s remaining/;

# What each call tells, after what has been done to give it some work.
my @calls = (
	[ 'migrate', q{SELECT tenancy.add_migration(%d, 'SELECT pg_sleep(0.02)', down => 'SELECT pg_sleep(0.02)')},
		'CALL tenancy.migrate(workers => 1)', qr/migrated \d of 8 tenants, 0 failed, $pace/ ],
	[ 'rollback', '', 'CALL tenancy.rollback(%d, workers => 1)', qr/migrated \d of 8 tenants, 0 failed, $pace/ ],
	[ 'drift', '', 'SELECT * FROM tenancy.drift()', qr/compared \d of 8 tenants, $pace/ ],
	[ 'protect_module', 'SELECT tenancy.unprotect_table(relation) FROM tenancy.protected_tables',
		q{SELECT tenancy.protect_module('shop')}, qr/protected \d of 5 tables, $pace/ ],
	[ 'sync_reference_tables', 'INSERT INTO global.plan VALUES (%d)',
		'SELECT * FROM tenancy.sync_reference_tables()', qr/synchronized reference tables in \d of \d databases, $pace/ ],
	[ 'refill_spares', q{SELECT tenancy.set_spares('schema', %d * 3)},
		'CALL tenancy.refill_spares()', qr/made \d of 3 spares of mode schema, $pace/ ],
);
my $dba = session($node, $db);

$dba->rows("LOAD 'tenancy'");
is($dba->rows('SHOW tenancy.progress_interval'), '1s', 'the default');
is(sqlstate($node, $db, 'app', q{SELECT FROM tenancy.current_tenant(); SET tenancy.progress_interval = '1min'}), '00000', 'anybody sets it');
is($dba->state('SET tenancy.progress_interval = -1'), '22023', 'but to nothing below 0');

my %tells = ('1ms' => 1, '0' => 0, '1d' => 0);
my $n = 0;
for my $interval ('1ms', '0', '1d')
{
	$n++;
	$dba->rows("SET tenancy.progress_interval = '$interval'");
	for my $call (@calls)
	{
		my ($name, $before, $sql, $line) = @$call;

		$node->safe_psql($db, sprintf($before, $n)) if $before ne '';
		my $r = $dba->query(sprintf($sql, $n));
		is($r->{state}, '00000', "$name, interval $interval") or diag($r->{messages});
		if ($tells{$interval})
		{
			like($r->{messages}, qr/NOTICE: .*$line/, "$name tells how far it is");
		}
		else
		{
			unlike($r->{messages}, qr/ of \d+ /, "$name does not tell how far it is");
		}
	}
}
$dba->quit;

done_testing();
