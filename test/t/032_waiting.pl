# Whoever waits for a worker notices when that is for ever, and only then.
#
# TAP and not regress, because it takes several sessions, some of which wait.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('waiting', 'deadlock_timeout = 100ms');
my $db = 'shop';
my $dir = PostgreSQL::Test::Utils::tempdir;

new_application($node, $db);
$node->safe_psql($db, q{SELECT tenancy.create_tenant('one', 'schema'), tenancy.create_tenant('two', 'schema')});

# ---------------------------------------------------------------------------
# Two sessions, each with a worker that waits for a lock of the other one's
# ---------------------------------------------------------------------------
{
	my ($one, $two) = map { session($node, $db) } 1 .. 2;
	my @pids = ($one->{pid}, $two->{pid});
	my @states;

	$_->rows(q{SET statement_timeout = '60s'; SET deadlock_timeout = '2s'}) for $one, $two;
	$one->rows('BEGIN; LOCK TABLE tenant_two.notes');
	$two->rows('BEGIN; LOCK TABLE tenant_one.notes');
	$one->send("SELECT FROM tenancy.export_tenant('one', '$dir/one')");
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'}) or die 'no worker waits';
	like($node->safe_psql($db, q{SELECT application_name FROM pg_stat_activity WHERE backend_type = 'tenancy worker'}),
		qr/^tenancy worker for PID $one->{pid}$/, 'a worker tells whose it is');
	sleep 3;
	ok($node->safe_psql($db, "SELECT wait_event = 'Extension' FROM pg_stat_activity WHERE pid = $one->{pid}") eq 't', 'it waits for a lock that will be free');

	# Both look at the same time.
	kill 'STOP', $one->{pid};
	$two->send("SELECT FROM tenancy.export_tenant('two', '$dir/two')");
	slow($node, $db, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'}) or die 'no other worker waits';
	kill 'STOP', $two->{pid};
	sleep 3;
	kill 'CONT', @pids;
	@states = map { $_->wait->{state} } sort { $b->{pid} <=> $a->{pid} } $one, $two;
	is("@states", '40P01 00000', 'when each waits for the other one, that ends by an error of one');
	$_->quit for $one, $two;
}

# ---------------------------------------------------------------------------
# Behind many who wait for each other
# ---------------------------------------------------------------------------
{
	my @queue = map { session($node, $db) } 1 .. 25;
	my $caller = session($node, $db);

	$queue[0]->rows('BEGIN; LOCK TABLE tenant_one.notes');
	$_->send('BEGIN; LOCK TABLE tenant_one.notes') foreach @queue[1 .. $#queue];
	slow($node, $db, q{SELECT count(*) = 24 FROM pg_locks WHERE NOT granted}) or die 'they do not wait';
	$caller->send("SELECT FROM tenancy.export_tenant('one', '$dir/behind')");
	slow($node, $db, q{SELECT count(*) = 25 FROM pg_locks WHERE NOT granted}) or die 'the worker does not wait';
	sleep 1;
	is($node->safe_psql($db, "SELECT wait_event FROM pg_stat_activity WHERE pid = $caller->{pid}"), 'Extension',
		'to look who waits for whom takes no time');
	$node->safe_psql($db, 'SELECT ' . join(', ', map { "pg_terminate_backend($_->{pid})" } @queue));
	is($caller->wait->{state}, '00000', 'and when they have gone, it goes on');
	$caller->quit;
}

$node->stop;
done_testing();
