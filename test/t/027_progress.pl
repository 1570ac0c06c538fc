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
	SELECT tenancy.create_tenant('big', 'schema');
});
my $big = session($node, $db, 'app');
$big->rows(q{SELECT tenancy.set_tenant('big', false)});
$big->rows(q{INSERT INTO notes SELECT n || repeat('x', 80) FROM generate_series(1, 40000) n});
$big->quit;
my $dir = PostgreSQL::Test::Utils::tempdir();
my $pace = qr/[\d.]+ \w+\/s, about \d+ s remaining/;
my $exported = qr/exported [\d.]+ MB, table \d of 5, [\d.]+ MB\/s/;
my $loaded = qr/loaded [\d.]+ of [\d.]+ MB, table \d of 5, $pace/;
my $copied = qr/copied \d+ rows, table \d of 5, \d+ rows\/s/;
my $checked = qr/did \d+ of 10 checks of rows, $pace/;
my $deleted = qr/deleted \d+ of 40000 rows, $pace in step \d+ of \d+/;

# What each call tells, after what has been done to give it some work.
my @calls = (
	[ 'migrate', q{SELECT tenancy.add_migration(%d, 'SELECT pg_sleep(0.02)', down => 'SELECT pg_sleep(0.02)')},
		'CALL tenancy.migrate(workers => 1)', qr/migrated \d of 9 tenants, 0 failed, $pace/ ],
	[ 'rollback', '', 'CALL tenancy.rollback(%d, workers => 1)', qr/migrated \d of 9 tenants, 0 failed, $pace/ ],
	[ 'drift', '', 'SELECT * FROM tenancy.drift()', qr/compared \d of 9 tenants, $pace/ ],
	[ 'protect_module', 'SELECT tenancy.unprotect_table(relation) FROM tenancy.protected_tables',
		q{SELECT tenancy.protect_module('shop')}, qr/protected \d of 5 tables, $pace/ ],
	[ 'sync_reference_tables', 'INSERT INTO global.plan VALUES (%d)',
		'SELECT * FROM tenancy.sync_reference_tables()', qr/synchronized reference tables in \d of \d databases, $pace/ ],
	[ 'refill_spares', q{SELECT tenancy.set_spares('schema', %d * 3)},
		'CALL tenancy.refill_spares()', qr/made \d of 3 spares of mode schema, $pace/ ],
	[ 'refill_spares, some are there', '', 'CALL tenancy.refill_spares()', qr/checked \d of \d spares of mode schema, $pace/ ],
	[ 'check_isolation', '', 'SELECT * FROM tenancy.check_isolation()', qr/did \d+ of \d+ steps, $pace/ ],
	[ 'export_tenant', '', "SELECT tenancy.export_tenant('big', '$dir/%d')", $exported ],
	[ 'import_tenant', '', "SELECT tenancy.import_tenant('$dir/%d', 'big%1\$d', 'schema')", $loaded ],
	[ 'move_tenant, schema to shared', '', "CALL tenancy.move_tenant('big%d', 'shared')", $copied ],
	[ 'move_tenant, shared to schema', '', "CALL tenancy.move_tenant('big%d', 'schema')", qr/$copied.*$checked.*$deleted/s ],
	[ 'move_tenant, online', '', "CALL tenancy.move_tenant('big%d', 'shared', online => true)", $copied ],
	[ 'move_tenant, shared to database', '', "CALL tenancy.move_tenant('big%d', 'database')", qr/$exported.*$loaded.*$deleted/s ],
	[ 'move_tenant, database to shared, online', '', "CALL tenancy.move_tenant('big%d', 'shared', online => true)", qr/$exported.*$loaded/s ],
	[ 'drop_tenant', '', "SELECT tenancy.drop_tenant('big%d', true)", $deleted ],
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
			unlike($r->{messages}, qr/ of 0 /, "$name knows of how much");
		}
		else
		{
			unlike($r->{messages}, qr/ of \d+ /, "$name does not tell how far it is");
		}
	}
}

# Others see it too, in place of the query, which comes back.
my $holder = session($node, $db);
$dba->rows("SET tenancy.progress_interval = '1ms'");
$holder->rows('BEGIN; LOCK TABLE tenancy.token_key IN ACCESS EXCLUSIVE MODE');
$dba->send('SELECT * FROM tenancy.check_isolation()');
ok(slow($node, $db, qq{SELECT progress ~ '^did \\d+ of \\d+ steps, ' AND database = '$db' AND role = 'postgres'
		AND backend_type = 'client backend' AND started_at < now() FROM tenancy.progress WHERE pid = $dba->{pid}}),
	'others see how far a call is');
is($node->safe_psql($db, q{GRANT USAGE ON SCHEMA tenancy TO stranger; GRANT SELECT ON tenancy.progress TO stranger;
		SET ROLE stranger; SELECT count(*) FROM tenancy.progress}),
	0, 'not those who may not see what it does');
$holder->rows('COMMIT');
is($dba->wait->{state}, '00000', 'it ends');
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.progress'), 0, 'then nothing is under way');
like($node->safe_psql($db, "SELECT query FROM pg_stat_activity WHERE pid = $dba->{pid}"), qr/^SELECT \* FROM tenancy\.check_isolation/, 'and the last query is what it was');

# A call that is cancelled has done what it told, and the next one goes on.
$node->safe_psql($db, q{
	SET ROLE shop_owner;
	CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END';
	CREATE TRIGGER stop BEFORE DELETE ON shop.notes FOR EACH ROW WHEN (OLD.note LIKE '39999x%') EXECUTE FUNCTION shop.stop();
});
$node->safe_psql($db, qq{SELECT tenancy.import_tenant('$dir/$n', 'big9', 'shared')});
$dba->rows('SET tenancy.progress_interval = 1');
$holder->rows('SELECT pg_advisory_lock(1)');
$dba->send(q{SELECT tenancy.drop_tenant('big9', true)});
ok(slow($node, $db, q{SELECT count(*) = 1 FROM tenancy.progress WHERE backend_type = 'tenancy worker'
	AND progress LIKE 'deleted 30000 of 40000 rows, %'}), 'others see how far a worker is');
$node->safe_psql($db, "SELECT pg_cancel_backend($dba->{pid})");
my $r = $dba->wait;
is($r->{state}, '57014', 'the call is cancelled');
like($r->{messages}, qr/deleted 30000 of 40000 rows/, 'after what it told last');
$holder->rows('SELECT pg_advisory_unlock(1)');
$r = $dba->query(q{SELECT tenancy.drop_tenant('big9', true)});
is($r->{state}, '00000', 'the next call goes on');
like($r->{messages}, qr/deleted 10000 of 10000 rows/, 'with what is left');
$_->quit for $dba, $holder;

done_testing();
