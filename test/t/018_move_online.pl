# A tenant that moves online: whoever writes meanwhile loses nothing, nobody else
# sees anything of it, and whatever stops the move leaves the tenant whole.
#
# TAP and not regress, because the tests write while another session's worker is
# stopped at a chosen moment, end backends, workers and the whole server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('online', 'checkpoint_timeout = 1h');
my $db = 'shop';
my $gate = 4711;				# for all rows that are copied
my $late = 4712;				# for those whose note begins with "late"

new_application($node, $db);
$node->safe_psql($db, qq{
	SET ROLE shop_owner;
	CREATE FUNCTION shop.pass(note text) RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN
			IF current_setting('session_replication_role') = 'replica' THEN
				IF current_user <> 'shop_owner' THEN
					RAISE 'planted code runs as %', current_user;
				END IF;
				PERFORM pg_advisory_xact_lock_shared($gate);
				IF note LIKE 'late%' THEN
					PERFORM pg_advisory_xact_lock_shared($late);
				END IF;
			END IF;
			RETURN true;
		END\$\$;
	CREATE TABLE shop.customer (id int, code text NOT NULL, tag text, tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, code), UNIQUE (tenant_id, tag));
	CREATE TABLE shop.orders (n int, at date, customer int, code text, note text CHECK (shop.pass(note)), tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, n, at),
		FOREIGN KEY (tenant_id, customer) REFERENCES shop.customer DEFERRABLE INITIALLY DEFERRED,
		FOREIGN KEY (tenant_id, code) REFERENCES shop.customer (tenant_id, code) ON UPDATE CASCADE)
		PARTITION BY RANGE (n);
	CREATE TABLE shop.orders_low PARTITION OF shop.orders FOR VALUES FROM (0) TO (100);
	CREATE TABLE shop.orders_high PARTITION OF shop.orders FOR VALUES FROM (100) TO (1000000);
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.customer, shop.orders TO app;

	-- one transaction of the application
	CREATE FUNCTION shop.work(i int) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			swapped text;
		BEGIN
			SET DateStyle = 'SQL, DMY';
			PERFORM tenancy.set_tenant('acme');
			INSERT INTO customer (id, code, tag) VALUES (i, 'c' || i, 't' || i);
			INSERT INTO orders (n, at, customer, code, note) VALUES (i, '02/01/2026', i, 'c' || i, 'n' || i);
			-- the tag of one goes to another: unique, and free only for a moment
			SELECT tag INTO swapped FROM customer WHERE id = i - 1;
			UPDATE customer SET tag = 'free' WHERE id = i - 1;
			UPDATE customer SET tag = swapped WHERE id = i;
			UPDATE customer SET tag = 't' || i WHERE id = i - 1;
			UPDATE orders SET n = n + 1000 WHERE n = i - 2;	-- to another partition
			UPDATE customer SET code = 'renamed' || id WHERE id = i - 3;
			DELETE FROM orders WHERE customer = i - 5;
			DELETE FROM customer WHERE id = i - 5;
		END\$\$;
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
	INSERT INTO customer (id, code, tag) SELECT n, 'c' || n, 't' || n FROM generate_series(1, 40) n;
	INSERT INTO orders (n, at, customer, code, note) SELECT n, '2026-01-02', n, 'c' || n, 'n' || n FROM generate_series(1, 40) n;
	COMMIT;
} } 'acme', 'other';

my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my $acme = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'acme'});
my $done = 40;					# the last transaction of shop.work()

sub doing
{
	my ($what) = @_;

	return qq{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND query LIKE '%$what'};
}

sub doing_and_waiting { my ($what) = @_; return doing($what) . q{ AND wait_event_type = 'Lock'}; }

# What the tenant sees of itself, as the application does.
sub rows_of
{
	my ($tenant) = @_;

	return $node->safe_psql($db, qq{
		BEGIN;
		SELECT FROM tenancy.set_tenant('$tenant');
		SELECT n, at, customer, code, note FROM orders ORDER BY n;
		SELECT id, code, tag FROM customer ORDER BY id;
		SELECT count(*), md5(string_agg(note, ',' ORDER BY note)) FROM notes WHERE note NOT LIKE 'late%';
		COMMIT;
	}, extra_params => [ '-U', 'app' ]);
}
my $other = rows_of('other');
my $notes = $node->safe_psql($db, q{SELECT count(*), md5(string_agg(note, ',' ORDER BY note)) FROM shop.notes WHERE note LIKE 'acme%'});

# The same, as it must be when transactions up to $done are acknowledged.
sub expected_rows
{
	my (%orders, %customer);

	for my $i (1 .. 40) { $customer{$i} = [ "c$i", "t$i" ]; $orders{$i} = $i; }
	for my $i (41 .. $done)
	{
		$customer{$i} = [ "c$i", $customer{ $i - 1 }[1] ];
		$orders{$i} = $i;
		$customer{ $i - 1 }[1] = "t$i";
		$orders{ $i - 2 } += 1000 if $orders{ $i - 2 };
		$customer{ $i - 3 }[0] = 'renamed' . ($i - 3) if $customer{ $i - 3 };
		delete $orders{ $i - 5 };
		delete $customer{ $i - 5 };
	}
	return join "\n", (map { "$orders{$_}|2026-01-02|$_|$customer{$_}[0]|n$_" } sort { $orders{$a} <=> $orders{$b} } keys %orders),
		(map { "$_|$customer{$_}[0]|$customer{$_}[1]" } sort { $a <=> $b } keys %customer), $notes;
}

# Nothing of the tenant is anywhere else, and nothing of the move is left.
sub is_whole
{
	my ($mode, $what) = @_;

	is($node->safe_psql($db, q{SELECT mode || ' ' || status FROM tenancy.tenant WHERE slug = 'acme'}), "$mode active",
		"$what: the tenant is in mode $mode");
	is(rows_of('acme'), expected_rows(), "$what: with all its rows, each once");
	is(rows_of('other'), $other, "$what: and so is another tenant");
	is($node->safe_psql($db, qq{
		SELECT (SELECT count(*) FROM tenancy.move), (SELECT count(*) FROM tenancy.move_change),
			(SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tenancy_move%'),
			(SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_acme'),
			(SELECT count(*) FROM shop.orders WHERE tenant_id = '$acme') > 0}),
		$mode eq 'shared' ? '0|0|0|0|t' : '0|0|0|1|f', "$what: and nothing elsewhere");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'),
		'', "$what: there is nothing to repair");
	return;
}

# Write as the application, until the condition holds.  Returns the SQLSTATEs.
my %states;
sub work_until
{
	my ($writer, $condition) = @_;

	until ($condition->())
	{
		my $state = $writer->state('SELECT shop.work(' . ($done + 1) . ')');

		$states{$state}++;
		die "a writer gets $state" if $state !~ /^(00000|TN002|TN003)$/;
		$done++ if $state eq '00000';
	}
	return;
}

sub other_of { my ($mode) = @_; return $mode eq 'shared' ? 'schema' : 'shared'; }

# ---------------------------------------------------------------------------
# A writer goes on all the time
# ---------------------------------------------------------------------------
my $mode = 'shared';
my ($keeper, $writer);
foreach my $to ('schema', 'shared')
{
	my $caller = session($node, $db);
	my $here = $mode eq 'shared' ? 'shop' : 'tenant_acme';
	my $n;

	$keeper = session($node, $db);
	$writer = session($node, $db, 'app');
	$keeper->rows("SELECT pg_advisory_lock($gate)");
	$caller->send("CALL tenancy.move_tenant('acme', '$to', online => true)");
	slow($node, $db, doing_and_waiting('copying rows')) or die 'no rows are copied';

	# nothing is to be seen of it
	my $app = session($node, $db, 'app');
	is($app->state('SELECT FROM tenancy.move_change'), '42501', "to $to: nobody reads the log");
	is($app->state(qq{INSERT INTO tenancy.move_change VALUES ('$acme', 'shop.notes'::regclass, '3', '{x}')}), '42501',
		"to $to: or writes to it");
	is($app->state('SELECT tenancy.move_note()'), '42501', "to $to: or calls the triggers' function");
	is(sqlstate($node, $db, undef, q{SET ROLE shop_owner; CREATE TEMP TABLE fake (note text); CREATE TRIGGER fake AFTER INSERT ON fake
			EXECUTE FUNCTION tenancy.move_note('x', '1', 'note')}), '42501', "to $to: or makes a trigger of it");
	is(rows_of('other'), $other, "to $to: another tenant sees its own rows");
	is($app->state(q{BEGIN; SELECT tenancy.set_tenant('other'); INSERT INTO notes VALUES ('mine'); ROLLBACK}), '00000',
		"to $to: and writes");
	is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.move_change'), 0, "to $to: of which nothing is noted");
	$app->quit;
	is($node->safe_psql($db, q{SELECT status FROM tenancy.tenant WHERE slug = 'acme'}), 'active', "to $to: it is active");
	is(sqlstate($node, $db, undef, q{SELECT tenancy.rename_tenant('acme', 'acme2')}), '55000', "to $to: it keeps its name");
	is(sqlstate($node, $db, undef, q{SELECT tenancy.drop_tenant('acme', true)}), '55000', "to $to: and is not dropped");
	is($node->safe_psql($db, q{SELECT object FROM tenancy.repair()}), '', "to $to: there is nothing to repair");
	if ($to eq 'schema')
	{
		$node->safe_psql($db, q{SELECT tenancy.create_tenant('third', 'schema')});
		is($node->safe_psql($db, q{SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
				WHERE relnamespace = 'tenant_third'::regnamespace AND tgname LIKE 'tenancy_move%'}), 0, 'a clone has no such trigger');
		is($node->safe_psql($db, q{SELECT * FROM tenancy.drift()}), '', 'and does not differ');
		$node->safe_psql($db, q{SELECT tenancy.drop_tenant('third', true)});
	}

	# whom row security does not bind, and who switches triggers off, is noted too
	$node->safe_psql($db, qq{SET session_replication_role = replica;
		INSERT INTO $here.notes (note, tenant_id) VALUES ('late row of a superuser', '$acme')});

	$n = $done + 100;
	work_until($writer, sub { $done >= $n });
	is($states{'00000'}, $done - 40, "to $to: writers go on while rows are copied");
	my $truncate = session($node, $db);
	$truncate->send("TRUNCATE $here.notes");
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'}) or die 'TRUNCATE does not wait';
	$keeper->rows("SELECT pg_advisory_unlock($gate)");
	my $mark = $caller->{mark};
	work_until($writer, sub { $caller->{psql}->pump_nb; return $caller->{out} =~ /^\Q$mark\E /m; });
	my $result = $caller->wait;
	is($result->{state}, '00000', "to $to: it has moved");
	like($result->{messages}, qr/It could not be written to for \d+ ms\./, "to $to: the pause is told");
	like($truncate->wait->{state}, qr/^(55000|42P01)$/, "to $to: TRUNCATE is refused");
	$n = $done + 10;
	work_until($writer, sub { $done >= $n });
	is(join(' ', grep { !/^(00000|TN002|TN003)$/ } sort keys %states), '', "to $to: writers are told nothing else");
	$_->quit for $caller, $keeper, $writer, $truncate;
	$mode = $to;
	is_whole($mode, "to $to");
	is($node->safe_psql($db, q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); DELETE FROM notes WHERE note LIKE 'late%' RETURNING 1; COMMIT},
		extra_params => [ '-U', 'app' ]), 1, "to $to: the row of a superuser has come along");
}

# ---------------------------------------------------------------------------
# Refused, before anything is changed
# ---------------------------------------------------------------------------
is(sqlstate($node, $db, undef, q{CALL tenancy.move_tenant('acme', 'schema', NULL)}), '22004', 'online is a boolean');
$node->safe_psql($db, q{
	SET ROLE shop_owner;
	ALTER TABLE shop.notes DROP CONSTRAINT notes_pkey;
	CREATE UNIQUE INDEX notes_key ON shop.notes (note);
});
my ($code, $out, $err) = $node->psql($db, q{CALL tenancy.move_tenant('acme', 'schema', online => true)});
like($err, qr/not all of its tables have a primary key.*Tables without one: notes\./s, 'not without a primary key');
is_whole('shared', 'refused');
$node->safe_psql($db, q{ALTER TABLE shop.notes REPLICA IDENTITY USING INDEX notes_key});

# ---------------------------------------------------------------------------
# Stopped at any moment
# ---------------------------------------------------------------------------

# The SQLSTATE of what row security does not hold up, nor triggers that can be switched off.
sub superuser_writes
{
	my ($here) = @_;

	return sqlstate($node, $db, undef, qq{SET session_replication_role = replica;
		INSERT INTO $here.customer (id, code, tenant_id) VALUES (99999, 'late', '$acme')});
}

# Begin a move and stop it.  Returns sessions to end, the caller first.
sub stop_at
{
	my ($name, $to) = @_;
	my $here = $mode eq 'shared' ? 'shop' : 'tenant_acme';
	my ($caller, $gates, $blocker) = map { session($node, $db) } 1 .. 3;
	my $app = session($node, $db, 'app');

	$gates->rows("SELECT pg_advisory_lock($gate), pg_advisory_lock($late)");
	if ($name eq 'creating triggers')
	{
		$blocker->rows("BEGIN; LOCK TABLE $here.customer IN ROW EXCLUSIVE MODE");
		$caller->send("CALL tenancy.move_tenant('acme', '$to', online => true)");
		slow($node, $db, "SELECT count(*) > 0 FROM pg_trigger WHERE tgname LIKE 'tenancy_move%'") if $here eq 'shop';
		slow($node, $db, doing_and_waiting('creating triggers')) or die "not stopped $name";
		return ($caller, $gates, $blocker, $app);
	}
	$caller->send("CALL tenancy.move_tenant('acme', '$to', online => true)");
	slow($node, $db, doing_and_waiting('copying rows')) or die 'no rows are copied';
	$app->rows('SELECT shop.work(' . ++$done . ')');
	return ($caller, $gates, $blocker, $app) if $name eq 'copying rows';

	if ($name eq 'catching up')
	{
		$app->rows(q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); INSERT INTO notes VALUES ('late'); COMMIT});
		$app->rows(q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); INSERT INTO orders (n, at, note) VALUES (900, '2026-01-01', 'late'); COMMIT});
		$gates->rows("SELECT pg_advisory_unlock($gate)");
		slow($node, $db, doing_and_waiting('catching up')) or die "not stopped $name";
		$app->rows(q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); DELETE FROM orders WHERE note = 'late'; DELETE FROM notes WHERE note = 'late'; COMMIT});
		return ($caller, $gates, $blocker, $app);
	}
	if ($name eq 'waiting for writers')
	{
		$blocker->rows("BEGIN; UPDATE $here.customer SET code = code WHERE id = 20");
		$gates->rows("SELECT pg_advisory_unlock_all()");
		slow($node, $db, doing_and_waiting('waiting for writers')) or die "not stopped $name";
		is($app->state('SELECT shop.work(' . ($done + 1) . ')'), 'TN002', "$name, to $to: writers are refused");
		is(superuser_writes($here), 'TN002', "$name, to $to: and superusers");
		return ($caller, $gates, $blocker, $app);
	}
	# after the switch
	$blocker->rows("BEGIN; SELECT FROM $here.customer");
	$gates->rows("SELECT pg_advisory_unlock_all()");
	slow($node, $db, q{SELECT count(*) = 1 FROM tenancy.move WHERE phase = 'switched'}) or die "not stopped $name";
	is(superuser_writes($here), 'TN003', "$name, to $to: superusers write to the new place only")
		if $mode eq 'shared';	# a schema that is left is locked
	return ($caller, $gates, $blocker, $app);
}

foreach my $name ('creating triggers', 'copying rows', 'catching up', 'waiting for writers', 'after the switch')
{
	foreach my $blow ('caller cancelled', 'worker terminated', 'crash, repair', 'crash, again')
	{
		my $from = $mode;
		my $to = other_of($mode);
		my $what = "$blow, $name, to $to";
		my $switched = $name eq 'after the switch';

		next if $blow eq 'worker terminated' && $switched;
		my @sessions = stop_at($name, $to);
		if ($blow =~ /crash/)
		{
			$node->stop('immediate');
			$_->quit for @sessions;
			$node->start;
			# written to all the same, wherever it can be
			is(sqlstate($node, $db, 'app', 'SELECT shop.work(' . ($done + 1) . ')'), $name eq 'waiting for writers' ? 'TN002' : '00000',
				"$what: it is as it was");
			$done++ if $name ne 'waiting for writers';
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
			is_whole($to, "$what, again");
			$mode = $to;
			next;
		}
		is($node->safe_psql($db, 'SELECT action FROM tenancy.repair()'), $switched ? 'finished' : 'undone: it is active where it was',
			"$what: repair() knows") if $blow =~ /repair/ || $switched;
		$mode = $switched ? $to : $from;
		is_whole($mode, $what);
		# the other way is stopped too
		$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '@{[ other_of($mode) ]}', online => true)");
		$mode = other_of($mode);
		is_whole($mode, "$what, then");
	}
}

# ---------------------------------------------------------------------------
# A cascade, which no policy holds up, after the last round and before the switch
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{CALL tenancy.move_tenant('acme', 'shared', online => true)}) if $mode ne 'shared';
$node->safe_psql($db, q{
	CREATE SCHEMA world AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE world.plan (code text PRIMARY KEY);
	INSERT INTO world.plan VALUES ('old');
	ALTER TABLE shop.customer ADD COLUMN plan text REFERENCES world.plan ON UPDATE CASCADE;
	RESET ROLE;
	CALL tenancy.move_tenant('acme', 'schema', online => true);
	UPDATE tenant_acme.customer SET plan = 'old' WHERE id = (SELECT max(id) FROM tenant_acme.customer);
});
{
	my ($caller, $blocker, $planner) = map { session($node, $db) } 1 .. 3;
	my $plan = 'UPDATE world.plan SET code = $$new$$';

	$planner->rows('SET ROLE shop_owner');
	$blocker->rows('BEGIN; LOCK TABLE tenancy.module_copy IN SHARE MODE');
	$caller->send(q{CALL tenancy.move_tenant('acme', 'shared', online => true)});
	slow($node, $db, doing_and_waiting('catching up for the last time')) or die 'not stopped';
	$planner->send($plan);
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query ~ '^UPDATE world' AND wait_event_type = 'Lock'}) or die 'no cascade waits';
	$blocker->rows('COMMIT');
	is($caller->wait->{state}, '00000', 'a cascade: the tenant has moved');
	my $refused = $planner->wait;
	# while it moves, or once it has
	like($refused->{state}, qr/^TN00[23]$/, 'a cascade: it is refused, for it was for rows elsewhere');
	unlike($refused->{messages}, qr/ERROR.*acme/, 'a cascade: and not told which tenant it is');
	is($planner->state($plan), '00000', 'a cascade: and works again');
	is($node->safe_psql($db, q{SELECT plan FROM shop.customer WHERE plan IS NOT NULL}), 'new', 'a cascade: which reaches the rows');
	$_->quit for $caller, $blocker, $planner;
	is_whole('shared', 'a cascade');
}

# ---------------------------------------------------------------------------
# The more is noted, the longer it takes to forget: nobody waits for that
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{CALL tenancy.move_tenant('acme', 'schema', online => true)});
{
	my ($caller, $blocker, $holder) = map { session($node, $db) } 1 .. 3;

	$blocker->rows("SELECT pg_advisory_lock($gate)");
	$caller->send(q{CALL tenancy.move_tenant('acme', 'shared', online => true)});
	slow($node, $db, doing_and_waiting('copying rows')) or die 'not stopped';
	$node->safe_psql($db, q{UPDATE tenant_acme.customer SET plan = plan});
	$holder->rows('BEGIN; SELECT FROM tenancy.move_change FOR UPDATE');
	$blocker->rows("SELECT pg_advisory_unlock($gate)");
	ok(slow($node, $db, q{SELECT count(*) = 1 FROM tenancy.tenants WHERE slug = 'acme' AND mode = 'shared' AND status = 'active'}),
		'a log that cannot be forgotten: the tenant is at work again');
	$holder->rows('COMMIT');
	is($caller->wait->{state}, '00000', 'a log that cannot be forgotten: the tenant has moved');
	$_->quit for $caller, $blocker, $holder;
	is_whole('shared', 'a log that cannot be forgotten');
}

# ---------------------------------------------------------------------------
# Tables outside that a schema's foreign keys will lead to: writers go on while rows are copied
# ---------------------------------------------------------------------------
{
	my ($caller, $blocker, $planner) = map { session($node, $db) } 1 .. 3;
	my $move = q{CALL tenancy.move_tenant('acme', 'schema', online => true)};

	$planner->rows(q{SET lock_timeout = '5s'});
	for my $what ('a row that is referred to is lost', 'none is')
	{
		$blocker->rows("SELECT pg_advisory_lock($gate)");
		$caller->send($move);
		slow($node, $db, doing_and_waiting('copying rows')) or die 'not stopped';
		is($planner->state("INSERT INTO world.plan VALUES ('$what')"), '00000', "a table outside, $what: it can be written to");
		$planner->rows('BEGIN');
		is($planner->state("SELECT tenancy.create_tenant('next', 'schema')"), '00000', "a table outside, $what: a tenant can be created");
		$planner->rows('ROLLBACK');
		$planner->rows(q{SET session_replication_role = replica}), $planner->rows(q{DELETE FROM world.plan WHERE code = 'new'}),
			$planner->rows(q{RESET session_replication_role}) if $what ne 'none is';
		$blocker->rows("SELECT pg_advisory_unlock($gate)");
		my $moved = $caller->wait;
		is($moved->{state}, $what eq 'none is' ? '00000' : '23503', "a table outside, $what: the end of the move") or diag($moved->{messages});
		is_whole($what eq 'none is' ? 'schema' : 'shared', "a table outside, $what");
		$planner->rows(q{INSERT INTO world.plan VALUES ('new')}) if $what ne 'none is';
	}
	is($node->safe_psql($db, q{SELECT count(*) FROM pg_constraint WHERE conrelid = 'tenant_acme.customer'::regclass
		AND confrelid = 'world.plan'::regclass AND convalidated}), 1, 'a table outside: the foreign key is there');
	is($planner->state(q{DELETE FROM world.plan WHERE code = 'new'}), '23503', 'a table outside: and holds');
	$_->quit for $caller, $blocker, $planner;
}

$node->stop;
done_testing();
