# Restarts and crashes while a tenant's database is created or dropped.
#
# TAP and not regress, because the tests stop other sessions at a chosen moment,
# end backends, workers and the whole server, and restart it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_cluster('crash', 'max_prepared_transactions = 5',
	# so that what waits for a crash need not wait long
	'checkpoint_timeout = 1h');
my $db = 'shop';
new_application($node, $db, tables => 20);

# With the template in place, what follows is about the tenant's own database.
$node->safe_psql($db, q{SELECT tenancy.create_tenant('first', 'database')});
is(state_of($node, $db, 'first'), 'active a database', 'a tenant with a database');
is(leftovers($node, $db), '', 'and nothing pending');

# Moments at which create_tenant() can be stopped: the lock that stops it, and
# how to see that it waits there.
my %moment = (
	'before its row is pending' => 'LOCK TABLE tenancy.pending_database IN SHARE MODE',
	'before the database is there' => 'LOCK TABLE pg_catalog.pg_database IN SHARE MODE',
	'when the database is there' => 'LOCK TABLE pg_catalog.pg_db_role_setting IN SHARE MODE',
);
my $worker_waits = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'};
my $worker = q{SELECT pid FROM pg_stat_activity
	WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'};
my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};

# What can happen to it, and what its caller then gets to see.
my %blow = (
	'caller cancelled' => sub { my ($caller) = @_; $node->safe_psql($db, "SELECT pg_cancel_backend($caller->{pid})"); return '57014'; },
	'caller terminated' => sub { my ($caller) = @_; $node->safe_psql($db, "SELECT pg_terminate_backend($caller->{pid})"); return '57P01'; },
	'worker cancelled' => sub { $node->safe_psql($db, "SELECT pg_cancel_backend(pid) FROM ($worker) w"); return '57014|57P01|00000'; },
	'worker terminated' => sub { $node->safe_psql($db, "SELECT pg_terminate_backend(pid) FROM ($worker) w"); return '57P01'; },
	'caller with statement_timeout' => sub { return '57014'; },
);

sub stop_at
{
	my ($moment, $slug, $before) = @_;
	my $blocker = session($node, $db);
	my $caller = session($node, $db);

	$blocker->rows('BEGIN');
	$blocker->rows($moment{$moment});
	$caller->rows($before) if $before;
	$caller->send("SELECT tenancy.create_tenant('$slug', 'database')");
	slow($node, $db, $worker_waits) or die "create_tenant() did not stop $moment";
	return ($blocker, $caller);
}

# After all of them: nothing is there, and the same call works.
sub works_again
{
	my ($slug, $what) = @_;

	is(state_of($node, $db, $slug), 'no tenant, no database', "$what: neither tenant nor database");
	is(leftovers($node, $db), '', "$what: nothing is left behind");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', "$what: there is nothing to repair");
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$slug', 'database')");
	is(state_of($node, $db, $slug), 'active a database', "$what: the same call works");
	is($node->safe_psql("tenant_$slug", 'SELECT tenancy.current_tenant()'), $slug, "$what: and the tenant is at home there");
	$node->safe_psql($db, "SELECT tenancy.drop_tenant('$slug', true)");
	slow($node, $db, $no_worker);
	is(state_of($node, $db, $slug), 'no tenant, no database', "$what: and can be dropped");
}

my $n = 0;
for my $moment (sort keys %moment)
{
	for my $blow (sort keys %blow)
	{
		my $slug = 'b' . ++$n;
		my $what = "$blow $moment";
		my ($blocker, $caller) = stop_at($moment, $slug,
			$blow =~ /timeout/ ? 'SET statement_timeout = 5000' : undef);
		my $first = $node->safe_psql($db, $worker);
		my $expected = $blow{$blow}->($caller);

		# Let go what stops it as soon as it has noticed: what comes after may
		# need the same lock.  Where a signal cannot reach it, it goes on.
		if ($blow =~ /worker cancelled/)
		{
			usleep(300_000);
		}
		else
		{
			slow($node, $db, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $first");
		}
		$blocker->rows('COMMIT');
		my $result = $caller->wait;
		my $state = $result->{messages} =~ /(?:ERROR|FATAL):  (\w{5}):/ ? $1 : $result->{state};
		like($state, qr/^(?:$expected)$/, "$what: what the caller sees") or diag($result->{messages});
		$_->quit for $blocker, $caller;
		slow($node, $db, $no_worker) or fail("$what: the worker ends");
		if ($state eq '00000')
		{
			is(state_of($node, $db, $slug), 'active a database', "$what: had no effect");
			$node->safe_psql($db, "SELECT tenancy.drop_tenant('$slug', true)");
			next;
		}
		works_again($slug, $what);
	}
}

# ---------------------------------------------------------------------------
# Rollbacks
# ---------------------------------------------------------------------------
{
	my $s = session($node, $db);

	$s->rows(q{BEGIN; SELECT tenancy.create_tenant('r1', 'database')});
	is(state_of($node, $db, 'r1'), 'no tenant, a database', 'rollback: the database is there while the transaction is open');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'tenant_r1' AND
		has_database_privilege('stranger', oid, 'CONNECT')}), '0', 'rollback: but not open to everybody');
	$s->rows('ROLLBACK');
	works_again('r1', 'rollback');

	$s->rows(q{BEGIN; SAVEPOINT s; SELECT tenancy.create_tenant('r2', 'database'); ROLLBACK TO s; INSERT INTO shop.notes SELECT 'x' WHERE false});
	is(state_of($node, $db, 'r2'), 'no tenant, no database', 'rollback to savepoint: dropped at once');
	$s->rows(q{SELECT tenancy.create_tenant('r2', 'database'); COMMIT});
	is(state_of($node, $db, 'r2'), 'active a database', 'rollback to savepoint: again in the same transaction');
	$s->rows(q{SELECT tenancy.drop_tenant('r2', true)});
	slow($node, $db, $no_worker);

	$s->rows(q{BEGIN; SAVEPOINT s; SAVEPOINT s2; SELECT tenancy.create_tenant('r3', 'database'); RELEASE s2; ROLLBACK TO s; COMMIT});
	works_again('r3', 'released, then rolled back');
	$s->rows(q{BEGIN; SAVEPOINT s; SELECT tenancy.create_tenant('r4', 'database'); RELEASE s; ROLLBACK});
	works_again('r4', 'released, then all rolled back');
	is($s->state(q{DO $$ BEGIN PERFORM tenancy.create_tenant('r5', 'database'); RAISE EXCEPTION 'no'; END $$}), 'P0001', 'a failing DO block');
	works_again('r5', 'a failing DO block');
	$s->rows(q{DO $$ BEGIN BEGIN PERFORM tenancy.create_tenant('r6', 'database'); RAISE EXCEPTION 'no'; EXCEPTION WHEN raise_exception THEN NULL; END; END $$});
	works_again('r6', 'an exception that was caught');

	is($s->state(q{BEGIN; SELECT tenancy.create_tenant('p1', 'database')}), '00000', 'a transaction to be prepared');
	is($s->state(q{PREPARE TRANSACTION 'p'}), '0A000', 'PREPARE TRANSACTION is refused');
	$s->query('ROLLBACK');
	works_again('p1', 'PREPARE TRANSACTION');
	for my $level ('REPEATABLE READ', 'SERIALIZABLE')
	{
		# the template has to be built first, which the snapshot does not show
		$node->safe_psql($db, 'COMMENT ON TABLE shop.notes IS ' . "'$level'");
		$s->rows("BEGIN ISOLATION LEVEL $level; SELECT count(*) FROM tenancy.tenant; SELECT tenancy.create_tenant('iso', 'database'); COMMIT");
		is(state_of($node, $db, 'iso'), 'active a database', "created in a transaction $level");
		is(leftovers($node, $db), '', "$level: nothing is left behind");
		$s->rows("BEGIN ISOLATION LEVEL $level; SELECT tenancy.drop_tenant('iso', true); COMMIT");
		slow($node, $db, $no_worker);
		is(state_of($node, $db, 'iso'), 'no tenant, no database', "dropped in a transaction $level");
	}
	is($s->state('BEGIN READ ONLY; SELECT tenancy.create_tenant(\'ro\', \'database\')'), '25006', 'not in a read-only transaction');
	$s->query('ROLLBACK');
	works_again('ro', 'a read-only transaction');

	# the whole life in one transaction
	$s->rows(q{BEGIN; SELECT tenancy.create_tenant('l1', 'database'); SELECT tenancy.rename_tenant('l1', 'l2');
		SELECT tenancy.suspend_tenant('l2'); SELECT tenancy.drop_tenant('l2'); COMMIT});
	slow($node, $db, $no_worker);
	is(state_of($node, $db, 'l2'), 'no tenant, no database', 'created, renamed, suspended and dropped in one transaction');
	is(leftovers($node, $db), '', 'nothing is left of it');
	$s->rows(q{BEGIN; SELECT tenancy.create_tenant('l3', 'database'); SELECT tenancy.rename_tenant('l3', 'l4'); ROLLBACK});
	# it has locked the database, so that it does not wait for its removal
	slow($node, $db, $no_worker);
	slow($node, $db, $no_worker);
	works_again('l3', 'created, renamed, rolled back');
	works_again('l4', 'created, renamed, rolled back');
	$s->quit;
}

# ---------------------------------------------------------------------------
# What the database has its clients begin with
# ---------------------------------------------------------------------------
$node->safe_psql($db, "ALTER DATABASE $db SET $_") for q{default_transaction_isolation = 'serializable'}, 'default_transaction_read_only = on';
{
	my $s = session($node, $db);

	is($s->rows('SHOW transaction_isolation'), 'serializable', 'transactions are serializable, and read only');
	$s->rows('BEGIN READ WRITE');
	is($s->state(qq{SELECT tenancy.create_tenant('$_', 'database')}), '00000', "$_: workers write, and do not conflict with who waits for them") for 'one-of-two', 'two-of-two';
	$s->rows('COMMIT');
	is(state_of($node, $db, $_), 'active a database', "$_: created") for 'one-of-two', 'two-of-two';
	is(leftovers($node, $db), '', 'nothing is left behind');
	$s->rows("BEGIN READ WRITE; SELECT tenancy.drop_tenant('one-of-two', true), tenancy.drop_tenant('two-of-two', true); COMMIT");
	slow($node, $db, $no_worker);
	is(state_of($node, $db, $_), 'no tenant, no database', "$_: dropped") for 'one-of-two', 'two-of-two';
	$s->quit;
}
$node->safe_psql($db, "BEGIN READ WRITE; ALTER DATABASE $db RESET $_; COMMIT") for 'default_transaction_isolation', 'default_transaction_read_only';

# ---------------------------------------------------------------------------
# A name that somebody else has
# ---------------------------------------------------------------------------
{
	$node->safe_psql('postgres', 'CREATE DATABASE tenant_squat OWNER stranger');
	is(sqlstate($node, $db, undef, q{SELECT tenancy.create_tenant('squat', 'database')}), '42P04', 'a database of that name exists');
	is(state_of($node, $db, 'squat'), 'no tenant, a database', 'and stays');
	$node->safe_psql('postgres', 'DROP DATABASE tenant_squat');

	# between our look and our CREATE DATABASE
	my ($blocker, $caller) = stop_at('before its row is pending', 'squat');
	$node->safe_psql('postgres', 'CREATE DATABASE tenant_squat OWNER stranger');
	$blocker->rows('COMMIT');
	is($caller->wait->{state}, '42P04', 'one that comes in between');
	slow($node, $db, $no_worker);
	is(state_of($node, $db, 'squat'), 'no tenant, a database', 'stays, too');
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'also when repaired');
	is($node->safe_psql('postgres', q{SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'tenant_squat'}), 'stranger', 'with its owner');
	$node->safe_psql('postgres', 'DROP DATABASE tenant_squat');
	$_->quit for $blocker, $caller;
	works_again('squat', 'squatted');

	# the crash of a creation that a squatter follows
	($blocker, $caller) = stop_at('before the database is there', 'squat');
	$node->stop('immediate');
	$_->quit for $blocker, $caller;
	$node->start;
	$node->safe_psql('postgres', 'CREATE DATABASE tenant_squat OWNER stranger');
	$node->safe_psql($db, 'SELECT * FROM tenancy.repair()');
	is(state_of($node, $db, 'squat'), 'no tenant, a database', 'a database that came after a crash is not the one that crashed');
	$node->safe_psql('postgres', 'DROP DATABASE tenant_squat');
	works_again('squat', 'squatted after a crash');
}

# ---------------------------------------------------------------------------
# Crashes
# ---------------------------------------------------------------------------
sub crashed
{
	my ($slug, $what, $pending) = @_;
	is($node->safe_psql($db, "SELECT count(*) FROM tenancy.tenant WHERE slug = '$slug'"), '0', "$what: no tenant");
	my $repaired = $node->safe_psql($db, 'SELECT count(*) FROM tenancy.repair()');
	is($repaired, '1', "$what: repair() reports what it found") if $pending;
	slow($node, $db, $no_worker);
	works_again($slug, $what);
}

for my $moment (sort keys %moment)
{
	my $pending = $moment !~ /row is pending/;

	for my $way ('immediate shutdown', 'SIGKILL of the caller', 'SIGKILL of the worker')
	{
		my $slug = 'c' . ++$n;
		my ($blocker, $caller) = stop_at($moment, $slug);
		my $what = "$way $moment";

		if ($way eq 'immediate shutdown')
		{
			$node->stop('immediate');
			$_->quit for $blocker, $caller;
			$node->start;
		}
		else
		{
			my $pid = $way =~ /caller/ ? $caller->{pid} : $node->safe_psql($db, $worker);

			my $offset = -s $node->logfile;

			kill 'KILL', $pid;
			$caller->wait;
			$_->quit for $blocker, $caller;
			recovered($node, $offset);
		}
		crashed($slug, $what, $pending);
	}
}

# SIGKILL of the postmaster leaves its children to themselves for a while.
{
	my ($blocker, $caller) = stop_at('when the database is there', 'orphan');

	my $postmaster = (split /\n/, slurp_file($node->data_dir . '/postmaster.pid'))[0];

	$node->kill9;
	for (1 .. 100)
	{
		last if !kill 0, $postmaster;
		usleep(100_000);
	}
	$_->quit for $blocker, $caller;
	for (1 .. 100)
	{
		last if $node->start(fail_ok => 1);
		usleep(100_000);
	}
	crashed('orphan', 'SIGKILL of the postmaster', 1);
}

# Created, but not committed.
{
	my $s = session($node, $db);

	$s->rows(q{BEGIN; SELECT tenancy.create_tenant('open', 'database')});
	$node->stop('immediate');
	$s->quit;
	$node->start;
	is(state_of($node, $db, 'open'), 'no tenant, a database', 'an open transaction: the crash leaves its database');
	crashed('open', 'an open transaction', 1);

	$s = session($node, $db);
	$s->rows(q{BEGIN; SELECT tenancy.create_tenant('open', 'database')});
	$s->rows(q{SELECT pg_switch_wal()});
	$s->rows('COMMIT');
	$node->stop('immediate');
	$s->quit;
	$node->start;
	is(state_of($node, $db, 'open'), 'active a database', 'a committed one: the crash takes nothing');
	is($node->safe_psql('tenant_open', 'SELECT tenancy.current_tenant()'), 'open', 'the tenant is at home in it');
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'and there is nothing to repair');
}

# The id of a tenant whose creation a crash has ended.
{
	my $s = session($node, $db);
	my $again = q{SELECT tenancy.create_tenant('other', 'database', '00000000-0000-4000-8000-00000000000a')};

	$s->rows(q{BEGIN; SELECT tenancy.create_tenant('same', 'database', '00000000-0000-4000-8000-00000000000a')});
	$node->stop('immediate');
	$s->quit;
	$node->start;
	is(sqlstate($node, $db, undef, $again), '55000', 'an id whose database a crash has left is not free');
	slow($node, $db, $no_worker);
	is(state_of($node, $db, 'same'), 'no tenant, no database', 'the attempt has that dropped');
	is(sqlstate($node, $db, undef, $again), '00000', 'then the id is free');
	is(leftovers($node, $db), '', 'and nothing is left behind');
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant('other', true)});
	slow($node, $db, $no_worker);
}

# At any moment, of a creation that has to copy something.
for my $round (1 .. 8)
{
	my $slug = "random$round";
	my $s = session($node, $db);

	$s->send("SELECT tenancy.create_tenant('$slug', 'database')");
	usleep(10_000 + $round * 20_000);
	if ($round % 2)
	{
		$node->stop('immediate');
		$s->quit;
		$node->start;
	}
	else
	{
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($s->{pid})");
		$s->wait;
		$s->quit;
		slow($node, $db, $no_worker);
	}
	$node->safe_psql($db, 'SELECT * FROM tenancy.repair()');
	slow($node, $db, $no_worker);
	like(state_of($node, $db, $slug), qr/^(no tenant, no database|active a database)$/, "round $round: all or nothing");
	is(leftovers($node, $db), '', "round $round: nothing is left behind");
	if (state_of($node, $db, $slug) eq 'active a database')
	{
		is($node->safe_psql("tenant_$slug", 'SELECT tenancy.current_tenant()'), $slug, "round $round: the tenant is at home");
		$node->safe_psql($db, "SELECT tenancy.drop_tenant('$slug', true)");
	}
	else
	{
		works_again($slug, "round $round");
	}
}

# ---------------------------------------------------------------------------
# Building the template, and dropping
# ---------------------------------------------------------------------------
{
	# a model that has changed: the next tenant needs another template
	$node->safe_psql($db, 'SET ROLE shop_owner; CREATE TABLE shop.later (a int)');
	$node->safe_psql($db, q{SELECT * FROM tenancy.protect_module('shop')});
	my $blocker = session($node, $db);
	my $caller = session($node, $db);

	$blocker->rows('BEGIN; LOCK TABLE pg_catalog.pg_shdescription IN SHARE MODE');
	$caller->send(q{SELECT tenancy.create_tenant('t1', 'database')});
	slow($node, $db, $worker_waits) or fail('building the template waits for us');
	$node->stop('immediate');
	$_->quit for $blocker, $caller;
	$node->start;
	is(state_of($node, $db, 't1'), 'no tenant, no database', 'a crash while the template is built: neither tenant nor database');
	is($node->safe_psql($db, q{SELECT tenancy.create_tenant('t1', 'database') IS NOT NULL}), 't', 'the template is built again');
	is($node->safe_psql('tenant_t1', q{SELECT to_regclass('shop.later') IS NOT NULL}), 't', 'and holds the model as it is now');

	# committed, but the server dies before the database is dropped
	$blocker = session($node, $db);
	$caller = session($node, $db);
	$blocker->rows('BEGIN; LOCK TABLE pg_catalog.pg_shdescription IN SHARE MODE');
	$caller->send(q{SELECT tenancy.drop_tenant('t1', true)});
	slow($node, $db, $worker_waits) or fail('dropping waits for us');
	$node->stop('immediate');
	$_->quit for $blocker, $caller;
	$node->start;
	is(state_of($node, $db, 't1'), 'no tenant, a database', 'a crash after drop_tenant() has committed');
	is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.repair()'), '1', 'is repaired');
	is(state_of($node, $db, 't1'), 'no tenant, no database', 'the database is dropped');
	is(leftovers($node, $db), '', 'and nothing is left behind');
}

is(state_of($node, $db, 'first'), 'active a database', 'the first tenant has seen it all');
is($node->safe_psql('tenant_first', 'SELECT tenancy.current_tenant()'), 'first', 'and is where it was');
$node->stop;
done_testing();
