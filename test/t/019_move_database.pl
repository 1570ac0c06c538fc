# A tenant that moves online into a database of its own, or out of it: whoever
# writes meanwhile loses nothing, nobody else sees anything of it, and whatever
# stops the move leaves the tenant whole.
#
# TAP and not regress, because of tenants' databases, sessions that write while
# others are stopped at a chosen moment, and the server's crash.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('movedatabase', 'checkpoint_timeout = 1h');
my $db = 'shop';
my $silo = 'tenant_acme';
my $gate = 4711;				# for all rows that are copied, in the application's database
my $late = 4712;				# for those whose note begins with "late"
# Nobody else is let into a new database to hold a gate: there, sessions anywhere do
# that, by being called "gate" or "late".

new_application($node, $db);
$node->safe_psql($db, qq{
	SET ROLE shop_owner;
	CREATE FUNCTION shop.pass(note text) RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN
			IF current_setting('session_replication_role') = 'replica' THEN
				IF current_user <> 'shop_owner' OR session_user = 'shop_owner' THEN
					RAISE 'planted code runs as %', current_user;
				END IF;
				IF current_database() <> '$db' THEN
					WHILE EXISTS (SELECT FROM pg_stat_activity
							WHERE application_name = 'gate' OR (application_name = 'late' AND note LIKE 'late%')) LOOP
						PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
					END LOOP;
				ELSE
					PERFORM pg_advisory_xact_lock_shared($gate);
					IF note LIKE 'late%' THEN
						PERFORM pg_advisory_xact_lock_shared($late);
					END IF;
				END IF;
			END IF;
			RETURN true;
		END\$\$;
	CREATE TYPE shop.mood AS ENUM ('sad', 'fine');
	CREATE TABLE shop.customer (id int, feels shop.mood, code text NOT NULL, tag text, tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, id, feels), UNIQUE (tenant_id, id), UNIQUE (tenant_id, code), UNIQUE (tenant_id, tag));
	CREATE TABLE shop.orders (n int, at date, customer int, code text, note text CHECK (shop.pass(note)), tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, n, at),
		FOREIGN KEY (tenant_id, customer) REFERENCES shop.customer (tenant_id, id) DEFERRABLE INITIALLY DEFERRED,
		FOREIGN KEY (tenant_id, code) REFERENCES shop.customer (tenant_id, code) ON UPDATE CASCADE)
		PARTITION BY RANGE (n);
	CREATE TABLE shop.orders_low PARTITION OF shop.orders FOR VALUES FROM (0) TO (100);
	CREATE TABLE shop.orders_high PARTITION OF shop.orders FOR VALUES FROM (100) TO (1000000);
	CREATE SEQUENCE shop.number;
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.customer, shop.orders TO app;
	GRANT USAGE ON SEQUENCE shop.number TO app;

	-- one transaction of the application
	CREATE FUNCTION shop.work(i int) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			swapped text;
		BEGIN
			SET DateStyle = 'SQL, DMY';
			PERFORM tenancy.set_tenant('acme');
			PERFORM nextval('number');
			INSERT INTO customer (id, feels, code, tag) VALUES (i, 'fine', 'c' || i, 't' || i);
			INSERT INTO orders (n, at, customer, code, note) VALUES (i, '02/01/2026', i, 'c' || i, E'n\\t\\\\' || i);
			-- the tag of one goes to another: unique, and free only for a moment
			SELECT tag INTO swapped FROM customer WHERE id = i - 1;
			UPDATE customer SET tag = 'free' WHERE id = i - 1;
			UPDATE customer SET tag = swapped WHERE id = i;
			UPDATE customer SET tag = 't' || i, feels = 'sad' WHERE id = i - 1;
			UPDATE orders SET n = n + 1000 WHERE n = i - 2;	-- to another partition
			UPDATE customer SET code = 'renamed' || id WHERE id = i - 3;
			DELETE FROM orders WHERE customer = i - 5;
			DELETE FROM customer WHERE id = i - 5;
		END\$\$;
	RESET ROLE;
	CREATE MATERIALIZED VIEW shop.totals AS SELECT count(*) AS notes FROM shop.notes;
	ALTER MATERIALIZED VIEW shop.totals OWNER TO shop_owner;
});
$node->safe_psql($db, q{
	SELECT * FROM tenancy.protect_module('shop');
	SELECT tenancy.create_tenant('acme'), tenancy.create_tenant('other');
});
$node->safe_psql($db, $_, extra_params => [ '-U', 'app' ]) foreach map { qq{
	BEGIN;
	SELECT tenancy.set_tenant('$_');
	INSERT INTO notes SELECT '$_' || n FROM generate_series(1, 50) n;
	INSERT INTO customer (id, feels, code, tag) SELECT n, 'fine', 'c' || n, 't' || n FROM generate_series(1, 40) n;
	INSERT INTO orders (n, at, customer, code, note) SELECT n, '2026-01-02', n, 'c' || n, E'n\\t\\\\' || n FROM generate_series(1, 40) n;
	COMMIT;
} } 'acme', 'other';

my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my $acme = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'acme'});
my $done = 40;					# the last transaction of shop.work()
my $numbers = 0;				# drawn from the sequence

sub place { my ($mode) = @_; return $mode eq 'database' ? $silo : $db; }
sub schema_in { my ($mode) = @_; return $mode eq 'schema' ? 'tenant_acme' : 'shop'; }

# What the tenant sees of itself, as the application does.
sub rows_of
{
	my ($tenant, $where) = @_;

	return $node->safe_psql($where, qq{
		BEGIN;
		SELECT FROM tenancy.set_tenant('$tenant');
		SELECT n, at, customer, code, note FROM orders ORDER BY n;
		SELECT id, feels, code, tag FROM customer ORDER BY id;
		SELECT count(*), md5(string_agg(note, ',' ORDER BY note)) FROM notes WHERE note NOT LIKE 'late%';
		COMMIT;
	}, extra_params => [ '-U', 'app' ]);
}
my $other = rows_of('other', $db);
my $notes = $node->safe_psql($db, q{SELECT count(*), md5(string_agg(note, ',' ORDER BY note)) FROM shop.notes WHERE note LIKE 'acme%'});

# The same, as it must be when transactions up to $done are acknowledged.
sub expected_rows
{
	my (%orders, %customer);

	for my $i (1 .. 40) { $customer{$i} = [ "c$i", "t$i", 'fine' ]; $orders{$i} = $i; }
	for my $i (41 .. $done)
	{
		$customer{$i} = [ "c$i", $customer{ $i - 1 }[1], 'fine' ];
		$orders{$i} = $i;
		@{ $customer{ $i - 1 } }[1, 2] = ("t$i", 'sad');
		$orders{ $i - 2 } += 1000 if $orders{ $i - 2 };
		$customer{ $i - 3 }[0] = 'renamed' . ($i - 3) if $customer{ $i - 3 };
		delete $orders{ $i - 5 };
		delete $customer{ $i - 5 };
	}
	return join "\n", (map { "$orders{$_}|2026-01-02|$_|$customer{$_}[0]|n\t\\$_" } sort { $orders{$a} <=> $orders{$b} } keys %orders),
		(map { "$_|$customer{$_}[2]|$customer{$_}[0]|$customer{$_}[1]" } sort { $a <=> $b } keys %customer), $notes;
}

# Nothing of the tenant is anywhere else, and nothing of the move is left.
sub is_whole
{
	my ($mode, $what) = @_;
	my $here = q{SELECT (SELECT count(*) FROM tenancy.move_change), (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tenancy_move%')};

	is($node->safe_psql($db, q{SELECT mode || ' ' || status FROM tenancy.tenant WHERE slug = 'acme'}), "$mode active",
		"$what: the tenant is in mode $mode");
	is(rows_of('acme', place($mode)), expected_rows(), "$what: with all its rows, each once");
	is(rows_of('other', $db), $other, "$what: and so is another tenant");
	is(join('|', map { $node->safe_psql($_, $here) } $db, place($mode)), '0|0|0|0', "$what: nothing is noted any more");
	is($node->safe_psql($db, qq{
		SELECT (SELECT count(*) FROM tenancy.move),
			(SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'),
			(SELECT count(*) FROM shop.orders WHERE tenant_id = '$acme') > 0,
			(SELECT count(*) FROM pg_database WHERE datname = '$silo'),
			(SELECT count(*) FROM tenancy.pending_database),
			(SELECT count(*) FROM tenancy.module_copy WHERE tenant_id = '$acme'),
			(SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, true) f WHERE f LIKE '%tenancy%')}),
		{ shared => '0|0|t|0|0|0|0', schema => '0|1|f|0|0|1|0', database => '0|0|f|1|0|1|0' }->{$mode}, "$what: and nothing elsewhere");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'),
		'', "$what: there is nothing to repair");
	return;
}

# Write as the application where the tenant is, until the condition holds.  The
# writer follows the tenant, and takes what it was not told for not done.
my %states;
sub work_until
{
	my ($from, $condition) = @_;
	my $writer = session($node, place($from), 'app');

	until ($condition->())
	{
		my $state = $writer->state('SELECT shop.work(' . ($done + 1) . ')');

		$states{$state}++;
		$done++ if $state eq '00000';
		if ($state !~ /^(00000|TN002)$/)
		{
			# its database is gone, or it has moved into one
			die "a writer gets $state" if $state ne 'TN003' && $from ne 'database';
			eval { $writer->quit };
			$writer = session($node, $node->safe_psql($db, q{SELECT tenancy.tenant_database('acme')}), 'app');
		}
	}
	eval { $writer->quit };
	return;
}

sub slow_worker { my ($what) = @_; return qq{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND $what}; }

# ---------------------------------------------------------------------------
# A writer goes on all the time
# ---------------------------------------------------------------------------
my $mode = 'shared';
foreach my $to ('database', 'shared', 'database', 'schema', 'database')
{
	my ($caller, $keeper) = map { session($node, $db) } 1 .. 2;
	my $before = $done;
	my $copying = $to eq 'database' ? slow_worker("datname = '$silo' AND query ~ 'import_tables'") :
		slow_worker(q{query ~ 'copying rows' AND wait_event_type = 'Lock'});

	%states = ();
	$keeper->rows("SELECT pg_advisory_lock($gate); SET application_name = 'gate'");
	$caller->send("CALL tenancy.move_tenant('acme', '$to', online => true)");
	slow($node, $db, $copying) or die 'no rows are copied';
	is($node->safe_psql($db, q{SELECT status FROM tenancy.tenant WHERE slug = 'acme'}), 'active', "to $to: it is active");
	isnt($node->psql($silo, 'SELECT 1', extra_params => [ '-U', 'app' ]), 0, "to $to: nobody is let in yet") if $to eq 'database';
	is(rows_of('other', $db), $other, "to $to: another tenant sees its own rows");
	is($node->safe_psql($db, q{SELECT object FROM tenancy.repair()}), '', "to $to: there is nothing to repair");
	is(sqlstate($node, $db, undef, q{SELECT tenancy.drop_tenant('acme', true)}), '55000', "to $to: it is not dropped");

	# whom row security does not bind, and who switches triggers off, is noted too
	$node->safe_psql(place($mode), "SET session_replication_role = replica;
		INSERT INTO @{[ schema_in($mode) ]}.notes (note, tenant_id) VALUES ('late row of a superuser', '$acme')");
	work_until($mode, sub { return $done >= $before + 30; });
	is($states{'00000'}, 30, "to $to: writers go on while rows are copied");
	$keeper->rows("SELECT pg_advisory_unlock($gate); RESET application_name");
	my $mark = $caller->{mark};
	work_until($mode, sub { $caller->{psql}->pump_nb; return $caller->{out} =~ /^\Q$mark\E /m; });
	my $result = $caller->wait;
	is($result->{state}, '00000', "to $to: it has moved") or diag($result->{messages});
	like($result->{messages}, qr/It could not be written to for \d+ ms\./, "to $to: the pause is told");
	note("to $to: $done transactions; $1") if $result->{messages} =~ /(It could not.*)/;
	$_->quit for $caller, $keeper;
	slow($node, $db, $no_worker);
	$mode = $to;
	is_whole($mode, "to $to");
	is($node->safe_psql(place($mode), "SELECT notes - (SELECT count(*) FROM @{[ schema_in($mode) ]}.notes) FROM @{[ schema_in($mode) ]}.totals"), 0,
		"to $to: a materialized view has what was written meanwhile")
		if $mode ne 'shared';
	is($node->safe_psql(place($mode), q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); DELETE FROM notes WHERE note LIKE 'late%' RETURNING 1; COMMIT},
		extra_params => [ '-U', 'app' ]), 1, "to $to: the row of a superuser has come along");
	cmp_ok($node->safe_psql(place($mode), q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); SELECT nextval('number'); COMMIT}, extra_params => [ '-U', 'app' ]),
		'>', $done - 40, "to $to: numbers go on");
}

# ---------------------------------------------------------------------------
# DDL in the database that it leaves, which no lock holds up
# ---------------------------------------------------------------------------
{
	my ($caller, $keeper) = map { session($node, $db) } 1 .. 2;

	$keeper->rows("SELECT pg_advisory_lock($gate)");
	$caller->send(q{CALL tenancy.move_tenant('acme', 'shared', online => true)});
	slow($node, $db, slow_worker(q{query ~ 'copying rows' AND wait_event_type = 'Lock'})) or die 'no rows are copied';
	$node->safe_psql($silo, 'VACUUM FULL shop.customer');
	is(sqlstate($node, $silo, undef, 'TRUNCATE shop.notes'), '55000', 'a table cannot be emptied');
	$keeper->rows("SELECT pg_advisory_unlock($gate)");
	is($caller->wait->{state}, '55000', 'a table that was rewritten is noticed');
	$_->quit for $caller, $keeper;
	slow($node, $db, $no_worker);
	is_whole('database', 'a table was rewritten');
}

# ---------------------------------------------------------------------------
# Stopped at any moment
# ---------------------------------------------------------------------------

# The SQLSTATE of what row security does not hold up, nor triggers that can be switched off.
sub superuser_writes
{
	my ($here) = @_;

	return sqlstate($node, place($mode), undef, qq{SET session_replication_role = replica;
		INSERT INTO $here.customer (id, feels, code, tenant_id) VALUES (99999, 'fine', 'late', '$acme')});
}

# Begin a move and stop it.  Returns sessions to end, the caller first.
sub stop_at
{
	my ($name, $to) = @_;
	my $here = schema_in($mode);
	my ($caller, $gates) = map { session($node, $db) } 1 .. 2;
	my $blocker = session($node, place($mode));
	my $app = session($node, place($mode), 'app');

	$gates->rows("SELECT pg_advisory_lock($gate), pg_advisory_lock($late); SET application_name = 'gate'");
	$blocker->rows("BEGIN; LOCK TABLE $here.customer IN ROW EXCLUSIVE MODE") if $name eq 'creating triggers';
	$gates->rows('BEGIN; LOCK TABLE tenancy.pending_database IN SHARE MODE') if $name eq 'after the switch' && $mode eq 'database';
	$caller->send("CALL tenancy.move_tenant('acme', '$to', online => true)");
	if ($name eq 'creating triggers')
	{
		slow($node, $db, slow_worker(q{query ~ 'creating triggers' AND wait_event_type = 'Lock'})) or die "not stopped $name";
		return ($caller, $gates, $blocker, $app);
	}
	slow($node, $db, $to eq 'database' ? slow_worker("datname = '$silo' AND query ~ 'import_tables'") :
		slow_worker(q{query ~ 'copying rows' AND wait_event_type = 'Lock'})) or die 'no rows are copied';
	is($app->state('SELECT shop.work(' . ($done + 1) . ')'), '00000', "$name, to $to: a writer goes on");
	$done++;
	return ($caller, $gates, $blocker, $app) if $name eq 'copying rows';

	if ($name eq 'catching up')
	{
		$app->rows(q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); INSERT INTO orders (n, at, note) SELECT 900 + n, '2026-01-01', 'late' FROM generate_series(1, 3) n; COMMIT});
		$gates->rows("SELECT pg_advisory_unlock($gate); SET application_name = 'late'");
		slow($node, $db, $to eq 'database' ? slow_worker("datname = '$silo' AND query ~ 'import_changes'") :
			slow_worker(q{query ~ 'catching up' AND wait_event_type = 'Lock'})) or die "not stopped $name";
		$app->rows(q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); DELETE FROM orders WHERE note = 'late'; COMMIT});
		return ($caller, $gates, $blocker, $app);
	}
	if ($name eq 'waiting for writers')
	{
		$blocker->rows("BEGIN; UPDATE $here.customer SET code = code WHERE id = 20");
		$gates->rows('SELECT pg_advisory_unlock_all(); RESET application_name');
		slow($node, $db, slow_worker(q{query ~ 'waiting for writers' AND wait_event_type = 'Lock'})) or die "not stopped $name";
		is($app->state('SELECT shop.work(' . ($done + 1) . ')'), 'TN002', "$name, to $to: writers are refused");
		is(superuser_writes($here), 'TN002', "$name, to $to: and superusers");
		is($app->state('BEGIN; SELECT FROM tenancy.set_tenant($$acme$$); SELECT FROM orders'), '00000', "$name, to $to: readers are not");
		$app->rows('COMMIT');
		return ($caller, $gates, $blocker, $app);
	}
	# after the switch
	$blocker->rows("BEGIN; SELECT FROM $here.customer");
	$gates->rows('SELECT pg_advisory_unlock_all(); RESET application_name');
	slow($node, $db, q{SELECT count(*) = 1 FROM tenancy.move WHERE phase = 'switched'}) or die "not stopped $name";
	slow($node, $db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
		AND (query ~ 'CALL' OR backend_type = 'tenancy worker')}) or die "not stopped $name";
	is(superuser_writes($here), $mode eq 'database' ? 'TN002' : 'TN003', "$name, to $to: superusers write to the new place only")
		if $mode ne 'schema';	# one that is left is locked
	return ($caller, $gates, $blocker, $app);
}

my $turn = 0;
sub next_mode { return $mode ne 'database' ? 'database' : $turn++ % 2 ? 'schema' : 'shared'; }

foreach my $name ('creating triggers', 'copying rows', 'catching up', 'waiting for writers', 'after the switch')
{
	foreach my $blow ('caller cancelled', 'worker terminated', 'crash, repair', 'crash, again')
	{
		foreach (1 .. 2)
		{
			my $from = $mode;
			my $to = next_mode();
			my $what = "$blow, $name, $from to $to";
			my $switched = $name eq 'after the switch';

			next if $switched && $blow eq 'worker terminated';
			my @sessions = stop_at($name, $to);
			if ($blow =~ /crash/)
			{
				$node->stop('immediate');
				$_->quit for @sessions;
				$node->start;
				# written to all the same, wherever it can be
				my $state = $switched ? '00000' : $name eq 'waiting for writers' ? 'TN002' : '00000';
				is(sqlstate($node, place($switched ? $to : $from), 'app', 'SELECT shop.work(' . ($done + 1) . ')'), $state, "$what: it is as it was");
				$done++ if $state eq '00000';
			}
			else
			{
				$blow =~ /caller/ ? $node->safe_psql($db, "SELECT pg_cancel_backend($sessions[0]{pid})") :
					$node->safe_psql($db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
				like($sessions[0]->wait->{state}, qr/^(57014|57P01|55000)$/, "$what: an error");
				$_->quit for @sessions;
				slow($node, $db, $no_worker);
			}
			if ($blow eq 'crash, again')
			{
				$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '$to', online => true)");
				slow($node, $db, $no_worker);
				is_whole($to, "$what, again");
				$mode = $to;
				next;
			}
			like($node->safe_psql($db, 'SELECT action FROM tenancy.repair()'),
				$switched ? qr/^finished$/m : qr/^undone: it is active where it was$/m, "$what: repair() knows") if $blow =~ /repair/ || $switched;
			slow($node, $db, $no_worker);
			$mode = $switched ? $to : $from;
			is_whole($mode, $what);
			# in the end, it has moved
			if (!$switched)
			{
				$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '$to', online => true)");
				slow($node, $db, $no_worker);
				$mode = $to;
				is_whole($mode, "$what, then");
			}
		}
	}
}

$node->stop;
done_testing();
