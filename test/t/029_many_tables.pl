# A tenant's schema with more tables than the lock table has room for is dropped
# nevertheless, by a worker that commits now and then; what stops it does not undo that.
#
# TAP and not regress, because it needs a server with few locks.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('manytables', 'max_locks_per_transaction = 10', 'max_connections = 20', 'max_worker_processes = 4');
my $db = 'shop';
my $more = 80;					# tables that only the copies have, which come one by one

new_application($node, $db);
$node->safe_psql($db, q{
	CREATE ROLE curator NOLOGIN;
	CREATE SCHEMA global AUTHORIZATION curator;
	CREATE TABLE global.plan (id int PRIMARY KEY);
	ALTER TABLE global.plan OWNER TO curator;
	SELECT tenancy.add_reference_table('global.plan');
	GRANT USAGE ON SCHEMA global TO shop_owner;
	GRANT REFERENCES ON global.plan TO shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE shop.part (id int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
	CREATE TABLE shop.part_low PARTITION OF shop.part FOR VALUES FROM (0) TO (100);
	CREATE TABLE shop.bought (id int PRIMARY KEY, plan int REFERENCES global.plan);
	CREATE VIEW shop.plans AS SELECT plan, count(*) FROM shop.bought GROUP BY plan;
	RESET ROLE;
});
foreach my $tenant ('a', 'b', 'c')
{
	$node->safe_psql($db, qq{
		SELECT tenancy.create_tenant('$tenant', 'schema');
		SET ROLE shop_owner;
		SELECT format('CREATE TABLE tenant_$tenant.more%s (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, up int %s, t text)',
			n, CASE WHEN n > 1 THEN 'REFERENCES tenant_$tenant.more' || n - 1 END) FROM generate_series(1, $more) n \\gexec
	});
}

sub tables_of
{
	my ($tenant) = @_;

	return $node->safe_psql($db, "SELECT count(*) FROM pg_tables WHERE schemaname = 'tenant_$tenant'");
}

sub status_of
{
	my ($tenant) = @_;

	return $node->safe_psql($db, "SELECT status FROM tenancy.tenant WHERE slug = '$tenant'");
}
my $all = tables_of('a');
my $dba = session($node, $db);

cmp_ok($all, '>', $more, 'there are many tables');
is(sqlstate($node, $db, undef, 'DROP SCHEMA tenant_a CASCADE'), '53200', 'more than one transaction can drop here');

$node->safe_psql($db, q{CREATE TABLE public.report (a tenant_a.more1); SELECT tenancy.suspend_tenant('a')});
is($dba->state(q{SELECT tenancy.drop_tenant('a')}), '2BP01', 'what depends on a table is in the way');
is(tables_of('a') . status_of('a'), "${all}suspended", 'and nothing has changed');
$node->safe_psql($db, 'DROP TABLE public.report');
$dba->rows("SET tenancy.progress_interval = '1ms'");
my $r = $dba->query(q{SELECT tenancy.drop_tenant('a')});
is($r->{state}, '00000', 'otherwise the tenant is dropped') or diag($r->{messages});
like($r->{messages}, qr/NOTICE: .*dropped \d+ of $all tables, [\d.]+ tables\/s, about \d+ s remaining/, 'it tells how far it is');
unlike($r->{messages}, qr/cascade/, 'and not what goes along');
is(tables_of('a') . status_of('a'), '0', 'nothing is left of it');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_a'}), 0, 'nor its schema');
is(tables_of('b') . status_of('b'), "${all}active", 'another tenant is as it was');

# The caller's rollback
is($dba->state('BEGIN'), '00000', 'a transaction');
is($dba->state(q{SELECT tenancy.drop_tenant('b', true)}), '00000', 'drops a tenant');
is($dba->state('ROLLBACK'), '00000', 'and is rolled back');
is(tables_of('b') . status_of('b'), '0dropping', 'its tables are gone; it stays out of reach');
is(sqlstate($node, $db, 'app', q{SELECT tenancy.set_tenant('b')}), 'TN002', 'for whoever may act for it');
is($node->safe_psql($db, q{SELECT tenancy.drop_tenant('b')}), '', 'the next call ends it');
is(status_of('b'), '', 'then it is gone');

# Cancelled
my $user = session($node, $db);
$user->rows('BEGIN; SELECT count(*) FROM tenant_c.more20');
$dba->send(q{SELECT tenancy.drop_tenant('c', true)});
ok(slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'}), 'somebody is in the way');
$node->safe_psql($db, "SELECT pg_cancel_backend($dba->{pid})");
is($dba->wait->{state}, '57014', 'the call is cancelled');
ok(slow($node, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'}), 'its worker ends');
cmp_ok(tables_of('c'), '<', $all, 'some tables are gone');
cmp_ok(tables_of('c'), '>=', 20, 'others are not');
is(status_of('c'), 'dropping', 'the tenant is out of reach');
$user->rows('COMMIT');
is($dba->state(q{SELECT tenancy.drop_tenant('c', true)}), '00000', 'the next call goes on');
is(tables_of('c') . status_of('c'), '0', 'to the end');
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.repair()'), 0, 'nothing is left to repair');
$_->quit for $dba, $user;

done_testing();
