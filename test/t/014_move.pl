# A move that is stopped at any moment leaves the tenant whole on one side, and
# the next call or repair() does the rest.
#
# TAP and not regress, because the tests stop other sessions at a chosen moment,
# end backends, workers and the whole server, and restart it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Path qw(rmtree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('move', 'checkpoint_timeout = 1h');
my $db = 'shop';

new_application($node, $db, tables => 3);
$node->safe_psql($db, qq{
	SET ROLE shop_owner;
	@{[ gate_function($db) ]}
	CREATE TABLE shop.orders (n bigserial, note text CHECK (shop.pass(note)), tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, n));
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders TO app;
	GRANT USAGE ON SEQUENCE shop.orders_n_seq TO app;
	RESET ROLE;
});
$node->safe_psql($db, q{
	SELECT * FROM tenancy.protect_module('shop');
	SELECT tenancy.create_tenant('acme'), tenancy.create_tenant('other');
});
$node->safe_psql($db, $_, extra_params => [ '-U', 'app' ]) foreach map { qq{
	BEGIN;
	SELECT tenancy.set_tenant('$_');
	INSERT INTO notes SELECT '$_' || n FROM generate_series(1, 100) n;
	INSERT INTO orders (note) SELECT '$_' || n FROM generate_series(1, 100) n;
	COMMIT;
} } 'acme', 'other';

my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my $worker_waits = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'};
my $caller_waits = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND query LIKE 'CALL%' AND wait_event_type = 'Lock'};
my $acme = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'acme'});

# What the tenant sees of itself, as the application does.
sub rows_of
{
	my ($tenant) = @_;
	my $where = $node->safe_psql($db, "SELECT tenancy.tenant_database('$tenant')");

	return $node->safe_psql($where, qq{
		BEGIN;
		SELECT FROM tenancy.set_tenant('$tenant');
		SELECT count(*), md5(string_agg(note, ',' ORDER BY note)) FROM notes
		UNION ALL SELECT count(*), md5(string_agg(n || note, ',' ORDER BY n)) FROM orders;
		COMMIT;
	}, extra_params => [ '-U', 'app' ]);
}
my %rows = map { $_ => rows_of($_) } 'acme', 'other';

sub place
{
	return $node->safe_psql($db, q{SELECT mode || ' ' || status FROM tenancy.tenant WHERE slug = 'acme'});
}

# Nothing of the tenant is anywhere else.
sub is_whole
{
	my ($mode, $what) = @_;

	is(place(), "$mode active", "$what: the tenant is in mode $mode");
	is(rows_of('acme'), $rows{acme}, "$what: with all its rows");
	is(rows_of('other'), $rows{other}, "$what: and so is another tenant");
	is($node->safe_psql($db, qq{
		SELECT (SELECT count(*) FROM tenancy.move),
			(SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'),
			(SELECT count(*) FROM shop.orders WHERE tenant_id = '$acme') > 0,
			(SELECT count(*) FROM tenancy.module_copy WHERE tenant_id = '$acme'),
			(SELECT count(*) FROM pg_database WHERE datname = 'tenant_acme'),
			(SELECT count(*) FROM tenancy.pending_database),
			(SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, true) f WHERE f LIKE '%tenancy%')}),
		{ shared => '0|0|t|0|0|0|0', schema => '0|1|f|1|0|0|0', database => '0|0|f|1|1|0|0' }->{$mode}, "$what: and nothing elsewhere");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'),
		'', "$what: there is nothing to repair");
	return;
}

# Where a move can be stopped: statements of two sessions that stop it, how to see that
# it waits, and whether it has been switched.
my %moment = (
	'waiting for writers' => {
		before => {
			shared => q{BEGIN; UPDATE shop.notes SET note = note WHERE note = 'other1'},
			schema => q{BEGIN; UPDATE tenant_acme.notes SET note = note WHERE note = 'acme1'} },
		waits => $caller_waits },
	'before copying' => {
		before => q{BEGIN; LOCK TABLE tenancy.protected_table IN ACCESS EXCLUSIVE MODE}, waits => $worker_waits },
	'while copying' => {
		before => "BEGIN; SELECT pg_advisory_xact_lock($gate)", waits => $worker_waits },
	'before the switch' => {
		before => "BEGIN; SELECT pg_advisory_xact_lock($gate)", waits => $worker_waits,
		then => 'BEGIN; LOCK TABLE tenancy.move IN SHARE MODE' },
	'after the switch' => {
		before => {
			shared => q{BEGIN; SELECT FROM shop.notes WHERE note = 'acme50' FOR UPDATE},
			schema => 'BEGIN; SELECT FROM tenant_acme.notes' },
		waits => { shared => $worker_waits, schema => $caller_waits }, switched => 1 },
);

sub of_mode
{
	my ($value, $mode) = @_;

	return ref $value ? $value->{$mode} : $value;
}

# Begin a move to a mode and stop it; returns the blocking session and the caller.
sub stop_at
{
	my ($name, $mode) = @_;
	my $from = $mode eq 'schema' ? 'shared' : 'schema';
	my $moment = $moment{$name};
	my $blocker = session($node, $db);
	my $caller = session($node, $db);

	$blocker->rows(of_mode($moment->{before}, $from));
	$caller->send("CALL tenancy.move_tenant('acme', '$mode')");
	slow($node, $db, of_mode($moment->{waits}, $from)) or die "the move did not stop $name";
	if ($moment->{then})
	{
		my $second = session($node, $db);

		$second->rows($moment->{then});
		$blocker->rows('COMMIT');
		$blocker->quit;
		slow($node, $db, q{SELECT count(*) = 1 FROM pg_locks WHERE relation = 'tenancy.move'::regclass AND NOT granted})
			or die "the move did not stop $name";
		$blocker = $second;
	}
	return ($blocker, $caller);
}

my $worker = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my %blow = (
	'caller cancelled' => sub { my ($caller) = @_; $node->safe_psql($db, "SELECT pg_cancel_backend($caller->{pid})"); },
	'caller terminated' => sub { my ($caller) = @_; $node->safe_psql($db, "SELECT pg_terminate_backend($caller->{pid})"); },
	'worker terminated' => sub { $node->safe_psql($db, "SELECT pg_terminate_backend(pid) FROM ($worker) w"); },
);

# ---------------------------------------------------------------------------
# Errors: the move undoes itself, at once
# ---------------------------------------------------------------------------
my $mode = 'schema';
foreach my $name (sort keys %moment)
{
	foreach my $blow (sort keys %blow)
	{
		my $from = $mode eq 'schema' ? 'shared' : 'schema';
		my $what = "$blow $name, to $mode";

		next if $blow =~ /worker/ && of_mode($moment{$name}->{waits}, $from) ne $worker_waits;
		my ($blocker, $caller) = stop_at($name, $mode);

		# readers go on, writers are told
		unless ($moment{$name}->{switched} || $name =~ /before copying/)
		{
			is(place(), "$from moving", "$what: it is moving");
			is(rows_of('acme'), $rows{acme}, "$what: and can be read");
			is(sqlstate($node, $db, 'app', q{BEGIN; SELECT tenancy.set_tenant('acme'); INSERT INTO notes VALUES ('late')}),
				'TN002', "$what: but not written") if $from eq 'shared';
			is(sqlstate($node, $db, undef, "CALL tenancy.move_tenant('acme', '$mode')"), '55006', "$what: one move at a time");
			is($node->safe_psql($db, 'SELECT object FROM tenancy.repair()'), '', "$what: which is nothing to repair")
				if $name !~ /switch/;
		}
		$blow{$blow}->($caller);
		like($caller->wait->{state}, qr/^(57014|57P01|55000|)$/, "$what: an error");
		$blocker->quit;
		$caller->quit;
		slow($node, $db, $no_worker);
		if ($moment{$name}->{switched})
		{
			is(place(), "$mode active", "$what: it has moved");
			is(rows_of('acme'), $rows{acme}, "$what: with all its rows");
			is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), 'tenant acme|its move was begun and not finished|finished',
				"$what: repair() removes the rest");
			is_whole($mode, $what);
		}
		else
		{
			is_whole($from, $what);
			$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '$mode')");
			is_whole($mode, "$what, again");
		}
		$mode = $from;
	}
}

# ---------------------------------------------------------------------------
# Crashes: the next call, or repair()
# ---------------------------------------------------------------------------
foreach my $name (sort keys %moment)
{
	foreach my $settle ('repair', 'again')
	{
		my $from = $mode eq 'schema' ? 'shared' : 'schema';
		my $what = "crash $name, to $mode, $settle";
		my ($blocker, $caller) = stop_at($name, $mode);
		my $pid = $node->safe_psql($db, $worker);

		if ($pid ne '' && $settle eq 'again')
		{
			my $offset = -s $node->logfile;

			kill 'KILL', $pid;
			$_->wait for $caller;
			$_->quit for $blocker, $caller;
			recovered($node, $offset);
		}
		else
		{
			$node->stop('immediate');
			$_->quit for $blocker, $caller;
			$node->start;
		}
		is(rows_of('acme'), $rows{acme}, "$what: it can be read");
		if ($settle eq 'repair')
		{
			is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'),
				'tenant acme|its move was begun and not finished|' . ($moment{$name}->{switched} ? 'finished' : 'undone: it is active where it was'),
				"$what: repair() knows");
			is_whole($moment{$name}->{switched} ? $mode : $from, $what);
		}
		$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '$mode')");
		is_whole($mode, "$what, done");
		$mode = $from;
	}
}

# ---------------------------------------------------------------------------
# Somebody whom row security does not bind writes during the move
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{CALL tenancy.move_tenant('acme', 'shared')});
{
	my ($blocker, $caller) = stop_at('while copying', 'schema');

	$node->safe_psql($db, qq{INSERT INTO shop.notes (note, tenant_id) VALUES ('from above', '$acme')});
	$blocker->rows('COMMIT');
	is($caller->wait->{state}, '55000', 'a row from a superuser is not lost');
	$_->quit for $blocker, $caller;
	$node->safe_psql($db, q{DELETE FROM shop.notes WHERE note = 'from above'});
	is_whole('shared', 'the move is undone');
}

# ---------------------------------------------------------------------------
# Databases
# ---------------------------------------------------------------------------
sub move
{
	my ($to) = @_;

	$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '$to')");
	slow($node, $db, $no_worker);
	return;
}

# every way there is, and numbers go on where they were
foreach my $to ('database', 'shared', 'schema', 'database', 'schema', 'shared')
{
	my $place = $to eq 'database' ? 'tenant_acme' : $db;

	move($to);
	is_whole($to, "moved to $to");
	is($node->safe_psql($place, q{
		BEGIN;
		SELECT FROM tenancy.set_tenant('acme');
		INSERT INTO orders (note) VALUES ('next') RETURNING n > (SELECT max(n) FROM orders);
		ROLLBACK;
	}, extra_params => [ '-U', 'app' ]), 't', "moved to $to: numbers go on");
}

# into a database: stopped while the rows are loaded
foreach my $blow ('caller cancelled', 'caller terminated', 'worker terminated', 'crash')
{
	my $holder = session($node, $db);
	my $caller = session($node, $db);

	$holder->rows(q{SET application_name = 'gate'});
	$caller->send(q{CALL tenancy.move_tenant('acme', 'database')});
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'tenant_acme' AND query ~ 'import_tables'})
		or die 'no rows are loaded';
	is(place(), 'shared moving', "$blow, to database: it is moving");
	is(rows_of('acme'), $rows{acme}, "$blow, to database: and can be read");
	is(sqlstate($node, $db, 'app', q{BEGIN; SELECT tenancy.set_tenant('acme'); INSERT INTO notes VALUES ('late')}),
		'TN002', "$blow, to database: but not written");
	isnt($node->psql('tenant_acme', 'SELECT 1', extra_params => [ '-U', 'app' ]), 0, "$blow, to database: nobody is let in yet");
	if ($blow eq 'crash')
	{
		$node->stop('immediate');
		$_->quit for $caller, $holder;
		$node->start;
		is(rows_of('acme'), $rows{acme}, "$blow, to database: it can be read");
		isnt($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', "$blow, to database: repair() knows");
	}
	else
	{
		$blow{$blow}->($caller);
		$caller->wait;
		$_->quit for $caller, $holder;
	}
	slow($node, $db, $no_worker);
	is_whole('shared', "$blow, to database");
}

# out of it: a writer is waited for, and refused when it goes on
move('database');
foreach my $blow ('none', 'caller cancelled', 'caller terminated', 'crash')
{
	my $writer = session($node, 'tenant_acme', 'app');
	my $reader = session($node, 'tenant_acme', 'app');
	my $holder = session($node, $db);
	my $caller = session($node, $db);

	# the blow comes before the move is over
	$holder->rows("SELECT pg_advisory_lock($gate)") if $blow ne 'none';
	$writer->rows(q{BEGIN; INSERT INTO notes VALUES ('half')});
	$reader->rows('SELECT count(*) FROM notes');
	$caller->send(q{CALL tenancy.move_tenant('acme', 'schema')});
	slow($node, $db, $caller_waits) or die 'the move does not wait for the writer';
	is($reader->rows('SELECT count(*) FROM notes'), 100, "$blow, from database: a reader goes on");
	is($reader->state(q{INSERT INTO notes VALUES ('late')}), 'TN002', "$blow, from database: and cannot write");
	is($writer->state(q{INSERT INTO notes VALUES ('late')}), 'TN002', "$blow, from database: nor can who has written");
	$writer->state('ROLLBACK') if $blow eq 'none';
	if ($blow eq 'crash')
	{
		$node->stop('immediate');
		$_->quit for $writer, $reader, $holder, $caller;
		$node->start;
		is($node->safe_psql('tenant_acme', 'SELECT status FROM tenancy.tenant'), 'moving', "$blow, from database: it is moving");
		is($node->safe_psql($db, 'SELECT action FROM tenancy.repair()'), 'undone: it is active where it was',
			"$blow, from database: repair() undoes it");
	}
	else
	{
		$blow{$blow}->($caller) if $blow ne 'none';
		$caller->wait;
		$_->quit for $writer, $reader, $holder, $caller;
	}
	slow($node, $db, $no_worker);
	if ($blow eq 'none')
	{
		is_whole('schema', "$blow, from database");
		move('database');
	}
	is_whole('database', "$blow, from database, in the end");
	is($node->safe_psql('tenant_acme', q{
		BEGIN; INSERT INTO notes VALUES ('fine') RETURNING note; ROLLBACK}, extra_params => [ '-U', 'app' ]), 'fine',
		"$blow, from database: and can be written to");
}

# stopped while the rows are loaded, and after that
{
	my ($blocker, $caller) = stop_at('while copying', 'shared');

	$node->safe_psql($db, "SELECT pg_terminate_backend(pid) FROM ($worker) w");
	$caller->wait;
	$_->quit for $blocker, $caller;
	slow($node, $db, $no_worker);
	is_whole('database', 'loading into shared tables failed');
}
move('shared');
is_whole('shared', 'from database to shared tables');

# files that a process left which died, perhaps one with the PID of ours
{
	my $left = $node->data_dir . '/base/pgsql_tmp/pgsql_tmp_tenancy';
	my $s = session($node, $db);
	my $other = session($node, $db);
	my @gone = ("$left.$s->{pid}", "$left.$s->{pid}.partial-$other->{pid}", "$left.99999999", "$left.99999999.partial-99999998");
	my @kept = ("$left.$other->{pid}", "$left.99999999.partial-$other->{pid}", "${left}_of_mine.99999999");

	foreach my $call (q{SELECT tenancy.copy_tenant('acme', 'copied', 'schema')}, q{CALL tenancy.move_tenant('copied', 'database')},
		q{CALL tenancy.move_tenant('copied', 'schema')}, q{SELECT tenancy.drop_tenant('copied', true)})
	{
		foreach (@gone, @kept)
		{
			mkdir $_;
			append_to_file("$_/0001_notes.copy", "half a row");
		}
		is($s->state($call), '00000', "$call does not mind old files");
	}
	$s->rows(q{CALL tenancy.move_tenant('acme', 'database')});
	is(join(' ', grep { -e } @gone), '', 'old files are removed');
	is(join(' ', grep { ! -e } @kept), '', 'others are not');
	$s->rows(q{CALL tenancy.move_tenant('acme', 'shared')});
	$_->quit for $s, $other;
	rmtree($_) for @kept;
}

# the pause is told, and settings of the database do not matter
$node->safe_psql($db, qq{ALTER DATABASE $db SET default_transaction_isolation = 'serializable'});
my ($out, $err);
$node->psql($db, q{CALL tenancy.move_tenant('acme', 'schema')}, stdout => \$out, stderr => \$err);
like($err, qr/NOTICE:  tenant "acme" has moved to mode schema\nDETAIL:  It could not be written to for \d+ ms\./, 'the pause is told');
is_whole('schema', 'with serializable transactions');

# out of a database whose table is rewritten by somebody who comes when writers have been
# waited for: the move's snapshot shows nothing of it
move('database');
{
	my ($writer, $owner) = map { session($node, 'tenant_acme') } 1 .. 2;
	my $caller = session($node, $db);

	$writer->rows(q{BEGIN; UPDATE shop.notes SET note = note WHERE note = 'acme1'});
	$caller->send(q{CALL tenancy.move_tenant('acme', 'shared')});
	slow($node, $db, $caller_waits) or die 'no writer is waited for';
	$owner->rows(q{BEGIN; ALTER TABLE shop.orders ALTER note TYPE text USING note || ''});
	$writer->rows('COMMIT');
	slow($node, $db, $worker_waits) or die 'no table is waited for';
	$owner->rows('COMMIT');
	is($caller->wait->{state}, '40001', 'a table is rewritten: the tenant does not move');
	$_->quit for $caller, $writer, $owner;
	slow($node, $db, $no_worker);
	is_whole('database', 'a table was rewritten');
}

# somebody whom row security does not bind writes to rows that have gone into files
foreach my $to ('shared', 'database')
{
	my $from = $to eq 'shared' ? 'database' : 'shared';
	my $place = $to eq 'shared' ? 'tenant_acme' : $db;

	foreach my $write ("INSERT INTO shop.notes (note, tenant_id) VALUES ('from above', '$acme')",
		"DELETE FROM shop.notes WHERE note = 'acme1'",
		"BEGIN; SAVEPOINT s; UPDATE shop.orders SET note = 'from above' WHERE note = 'acme1'; RELEASE s; COMMIT")
	{
		my $holder = session($node, $db);
		my $caller = session($node, $db);

		$holder->rows($to eq 'shared' ? "SELECT pg_advisory_lock($gate)" : q{SET application_name = 'gate'});
		$caller->send("CALL tenancy.move_tenant('acme', '$to')");
		slow($node, $db, $to eq 'shared' ? $worker_waits : q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'tenant_acme' AND query ~ 'import_tables'})
			or die 'no rows are loaded';
		$node->safe_psql($place, $write);
		$holder->quit;
		is($caller->wait->{state}, '55000', "to $to: not without \"$write\"");
		$caller->quit;
		slow($node, $db, $no_worker);
		$node->safe_psql($place, $write =~ /^INSERT/ ? q{DELETE FROM shop.notes WHERE note = 'from above'} :
			$write =~ /^DELETE/ ? "INSERT INTO shop.notes (note, tenant_id) VALUES ('acme1', '$acme')" :
			q{UPDATE shop.orders SET note = 'acme1' WHERE note = 'from above'});
		is_whole($from, "to $to, written to");
	}
	move($to);
	is_whole($to, "to $to, when nobody writes");
}
move('database');

# a cascade from a table that is no tenant's, which no policy holds up, waits
$node->safe_psql($db, qq{ALTER DATABASE $db RESET default_transaction_isolation});
$node->safe_psql($db, q{
	CALL tenancy.move_tenant('acme', 'shared');
	CREATE SCHEMA world AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE world.plan (code text PRIMARY KEY);
	INSERT INTO world.plan VALUES ('old');
	ALTER TABLE shop.orders ADD COLUMN plan text REFERENCES world.plan ON UPDATE CASCADE;
	RESET ROLE;
	CALL tenancy.move_tenant('acme', 'schema');
	UPDATE tenant_acme.orders SET plan = 'old' WHERE n = (SELECT max(n) FROM tenant_acme.orders);
});
{
	my ($caller, $blocker, $planner) = map { session($node, $db) } 1 .. 3;

	$planner->rows('SET ROLE shop_owner');
	$blocker->rows('BEGIN; LOCK TABLE tenancy.module_copy IN SHARE MODE');
	$caller->send(q{CALL tenancy.move_tenant('acme', 'shared')});
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'}) or die 'not stopped';
	$planner->send('UPDATE world.plan SET code = $$new$$');
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^UPDATE world' AND wait_event_type = 'Lock'}) or die 'no cascade waits';
	$blocker->rows('COMMIT');
	is($caller->wait->{state}, '00000', 'a cascade: the tenant has moved');
	is($planner->wait->{state}, '00000', 'a cascade: it has waited');
	is($node->safe_psql($db, q{SELECT plan FROM shop.orders WHERE plan IS NOT NULL}), 'new', 'a cascade: and reaches the rows');
	$_->quit for $caller, $blocker, $planner;
	is_whole('shared', 'a cascade');
}

# ---------------------------------------------------------------------------
# A model without tables
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', 'CREATE DATABASE hollow');
$node->safe_psql('hollow', q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA hollow AUTHORIZATION shop_owner;
	SELECT tenancy.create_module('hollow', 'hollow'), tenancy.create_tenant('nothing');
});
is(sqlstate($node, 'hollow', undef, "CALL tenancy.move_tenant('nothing', '$_')"), '00000', "no tables: to mode $_") for qw(schema database shared database schema shared);

$node->stop;
done_testing();
