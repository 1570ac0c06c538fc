# A tenant that is much larger than the others, among small ones in pgbench's
# tables, goes through all modes and through files; every row is as it was, in its
# own tables and in those of the others.
#
# TENANCY_TEST_ACCOUNTS (100000) is the number of its accounts, in hundreds of
# thousands, TENANCY_TEST_TENANTS (100) that of the others.
#
# TAP and not regress, because it takes pgbench and a while.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(time);

my $accounts = $ENV{TENANCY_TEST_ACCOUNTS} // 100000;
my $tenants = $ENV{TENANCY_TEST_TENANTS} // 100;
my $node = new_cluster('large', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h');
my $db = 'bench';
my $files = $node->basedir . '/files';

die 'TENANCY_TEST_ACCOUNTS must be a multiple of 100000' if $accounts % 100000 != 0 || $accounts == 0;
$node->safe_psql('postgres', 'CREATE ROLE bench_owner LOGIN; CREATE DATABASE bench');
$node->safe_psql($db, 'CREATE EXTENSION tenancy; CREATE SCHEMA bench AUTHORIZATION bench_owner');
{
	local $ENV{PGOPTIONS} = '-c search_path=bench';
	$node->command_ok([ 'pgbench', '-i', '-q', '-s', $accounts / 100000, '-U', 'bench_owner', $db ], 'pgbench -i');
	$node->command_ok([ 'pgbench', '-n', '-t', '1000', '-U', 'bench_owner', $db ], 'pgbench, for a history');
}
$node->safe_psql('postgres', 'ALTER ROLE bench_owner NOLOGIN');
$node->safe_psql($db, qq{
	SET search_path = bench;
	SELECT tenancy.create_tenant('large');
	SELECT tenancy.protect_table(c, assign_to => 'large') FROM unnest('{pgbench_branches,pgbench_tellers,pgbench_accounts,pgbench_history}'::regclass[]) c;
	ALTER TABLE pgbench_branches DROP CONSTRAINT pgbench_branches_pkey, ADD PRIMARY KEY (tenant_id, bid);
	ALTER TABLE pgbench_tellers DROP CONSTRAINT pgbench_tellers_pkey, ADD PRIMARY KEY (tenant_id, tid),
		ADD FOREIGN KEY (tenant_id, bid) REFERENCES pgbench_branches;
	ALTER TABLE pgbench_accounts DROP CONSTRAINT pgbench_accounts_pkey, ADD PRIMARY KEY (tenant_id, aid),
		ADD FOREIGN KEY (tenant_id, bid) REFERENCES pgbench_branches;
	ALTER TABLE pgbench_history ADD FOREIGN KEY (tenant_id, aid) REFERENCES pgbench_accounts;
	CREATE INDEX ON pgbench_history (tenant_id, aid);
	SELECT tenancy.create_module('bench', 'bench');
	SELECT count(tenancy.create_tenant('small' || n)) FROM generate_series(1, $tenants) n;
	INSERT INTO pgbench_branches (bid, bbalance, tenant_id) SELECT 1, 0, id FROM tenancy.tenant WHERE slug <> 'large';
	INSERT INTO pgbench_tellers (tid, bid, tbalance, tenant_id) SELECT n, 1, n, id FROM generate_series(1, 10) n, tenancy.tenant WHERE slug <> 'large';
	INSERT INTO pgbench_accounts (aid, bid, abalance, filler, tenant_id)
	SELECT n, 1, n, slug, id FROM generate_series(1, 100) n, tenancy.tenant WHERE slug <> 'large';
	INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, tenant_id)
	SELECT 1, 1, n, n, now(), id FROM generate_series(1, 20) n, tenancy.tenant WHERE slug <> 'large';
	ANALYZE;
});
my $id = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'large'});
my %columns = (
	pgbench_branches => 'bid, bbalance, filler, tenant_id', pgbench_tellers => 'tid, bid, tbalance, filler, tenant_id',
	pgbench_accounts => 'aid, bid, abalance, filler, tenant_id', pgbench_history => 'tid, bid, aid, delta, mtime, filler, tenant_id');

# Rows in a schema, or of some tenants in it, each table's by their number and the sum of
# parts of their MD5.
sub rows_in
{
	my ($place, $schema, $where) = @_;

	return join("\n", map { $node->safe_psql($place, qq{
		SELECT '$_', count(*), sum(('x' || substr(md5(ROW($columns{$_})::text), 1, 15))::bit(60)::bigint) FROM $schema.$_ WHERE $where});
	} sort keys %columns);
}
my $large = rows_in($db, 'bench', "tenant_id = '$id'");
my $small = rows_in($db, 'bench', "tenant_id <> '$id'");
like($large, qr/^pgbench_accounts\|$accounts\|/, "$accounts accounts");

sub check
{
	my ($what, $place, $schema) = @_;

	is(rows_in($place, $schema, "tenant_id = '$id'"), $large, "$what: every row is there");
	is(rows_in($place, $schema, "tenant_id <> '$id'"), rows_in($db, 'bench', 'false'), "$what: and no other") if $schema ne 'bench' || $place ne $db;
	is(rows_in($db, 'bench', "tenant_id <> '$id'"), $small, "$what: the others' are as they were");
	is(rows_in($db, 'bench', "tenant_id = '$id'"), rows_in($db, 'bench', 'false'), "$what: nothing is left behind") if $schema ne 'bench' || $place ne $db;
	is($node->safe_psql($db, q{SELECT * FROM tenancy.drift()}), '', "$what: no drift");
	is($node->safe_psql($db, q{SELECT * FROM tenancy.check_isolation()}), '', "$what: isolated");
	is($node->safe_psql($db, q{SELECT * FROM tenancy.repair()}), '', "$what: nothing to repair");
	return;
}

# Run something, and tell how long it took.
sub timed
{
	my ($sql) = @_;
	my $start = time;

	$node->safe_psql($db, $sql);
	note(sprintf('%.2f s: %s', time - $start, $sql));
	return;
}

check('at first', $db, 'bench');
foreach ([ 'schema', $db, 'tenant_large' ], [ 'database', 'tenant_large', 'bench' ], [ 'shared', $db, 'bench' ])
{
	my ($mode, $place, $schema) = @$_;

	timed("CALL tenancy.move_tenant('large', '$mode')");
	check("moved to $mode", $place, $schema);
}
foreach my $mode ('schema', 'database', 'shared')
{
	my ($place, $schema) = $mode eq 'shared' ? ($db, 'bench') : $mode eq 'schema' ? ($db, 'tenant_large') : ('tenant_large', 'bench');

	timed("SELECT tenancy.export_tenant('large', '$files$mode')");
	timed(q{SELECT tenancy.drop_tenant('large', true)});
	is(rows_in($db, 'bench', "tenant_id = '$id'"), rows_in($db, 'bench', 'false'), 'dropped: nothing is left behind');
	slow($node, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
	timed("SELECT tenancy.import_tenant('$files$mode', mode => '$mode')");
	check("imported to $mode", $place, $schema);
}

$node->stop;
done_testing();
