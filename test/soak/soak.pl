# A thousand tenants in all three modes at work, behind PgBouncer, with crashes of the
# server and of its workers in between; and then a reckoning.
#
# Each process below writes what it is about to do, and what was acknowledged, to a
# file of its own.  In the end these files say what must be there: nothing that was
# acknowledged may be missing, nothing may be where it does not belong, and nothing
# that is not whole may be left.
#
# The values that tenants write begin with their slugs, which are never given twice,
# so that a row of another tenant can be told without knowing where it came from.

use strict;
use warnings;

use DBI;
use POSIX ();
use Time::HiRes qw(sleep time);

my ($dir) = @ARGV;
my $seconds = $ENV{SOAK_SECONDS} // 60;
my $ntenants = $ENV{SOAK_TENANTS} // 1000;
my $nschemas = int($ntenants * ($ENV{SOAK_SCHEMAS} // 10) / 100);
my $ndatabases = int($ntenants * ($ENV{SOAK_DATABASES} // 1) / 100);
my $seed = $ENV{SOAK_SEED} // 1;
my $work = "$dir/work";
my $pool_port = 6543;
my $started = time;

# Crashes end when a third of the time is left: memory is watched then.
my ($calm, $end);

$SIG{__WARN__} = sub { };

# ---------------------------------------------------------------------------
# Connections
# ---------------------------------------------------------------------------
sub connect_to
{
	my ($database, $role, $pooled) = @_;
	my $where = $pooled ? "host=$work;port=$pool_port" : "host=$dir/socket;port=5432";

	return DBI->connect("dbi:Pg:dbname=$database;$where;connect_timeout=20", $role, '', {
		RaiseError => 1, PrintError => 0, PrintWarn => 0, AutoCommit => 1, pg_server_prepare => 0, pg_enable_utf8 => 0 });
}

sub admin
{
	return connect_to('soak', 'postgres', 0);
}

# As admin(), but wait for a server that is restarting.
sub patient_admin
{
	for (1 .. 600)
	{
		my $dbh = eval { admin() };

		return $dbh if $dbh;
		sleep 0.1;
	}
	die "the server does not come back\n";
}

sub report
{
	printf "%7.1f s  %s\n", time - $started, "@_";
}

# ---------------------------------------------------------------------------
# Before: the application, its tenants, the pooler
# ---------------------------------------------------------------------------
sub set_up
{
	my $dbh = connect_to('postgres', 'postgres', 0);

	$dbh->do($_) for 'CREATE ROLE shop_owner NOLOGIN', 'CREATE ROLE app LOGIN', 'CREATE DATABASE soak';
	$dbh = admin();
	$dbh->do($_) for split /;\n/, <<'END';
CREATE EXTENSION tenancy;
CREATE SCHEMA shop AUTHORIZATION shop_owner;
SET ROLE shop_owner;
CREATE TABLE shop.orders (tenant_id uuid NOT NULL, id text, note text NOT NULL, PRIMARY KEY (tenant_id, id));
CREATE TABLE shop.lines (tenant_id uuid NOT NULL, order_id text, line int, note text NOT NULL,
	PRIMARY KEY (tenant_id, order_id, line),
	FOREIGN KEY (tenant_id, order_id) REFERENCES shop.orders ON DELETE CASCADE);
GRANT USAGE ON SCHEMA shop TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO app;
RESET ROLE;
SELECT tenancy.create_module('main', 'shop');
SELECT count(*) FROM tenancy.protect_module('main');
SELECT tenancy.grant_access('app')
END
	for my $n (1 .. $ntenants)
	{
		my $mode = $n <= $ndatabases ? 'database' : $n <= $ndatabases + $nschemas ? 'schema' : 'shared';

		$dbh->do('SELECT tenancy.create_tenant(?, ?::tenancy.isolation_mode)', undef, "t$n", $mode);
	}
	report("$ntenants tenants: $nschemas in schemas, $ndatabases in databases");
	return;
}

sub start_pooler
{
	open my $ini, '>', "$work/ini" or die $!;
	print $ini <<END;
[databases]
* = host=$dir/socket port=5432
[pgbouncer]
listen_addr =
listen_port = $pool_port
unix_socket_dir = $work
auth_type = any
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
server_idle_timeout = 3
server_login_retry = 0.2
query_wait_timeout = 20
log_connections = 0
log_disconnections = 0
END
	close $ini;
	# "any" acts as one user: each database names it
	rewrite("$work/ini", qr/^(\* = .*)$/m, ' user=app');
	my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
	my $pid = fork // die $!;

	if ($pid == 0)
	{
		open STDOUT, '>', "$work/pgbouncer.log";
		open STDERR, '>&', \*STDOUT;
		exec $program, "$work/ini";
	}
	for (1 .. 100)
	{
		return $pid if -S "$work/.s.PGSQL.$pool_port";
		sleep 0.1;
	}
	die "pgbouncer does not start, see $work/pgbouncer.log\n";
}

sub rewrite
{
	my ($file, $pattern, $appended) = @_;

	open my $in, '<', $file or die $!;
	local $/;
	my $text = <$in>;
	$text =~ s/$pattern/$1$appended/;
	open my $out, '>', $file or die $!;
	print $out $text;
	close $out;
	return;
}

# ---------------------------------------------------------------------------
# The processes.  Each gets a name, and a function that is called again and again,
# whose errors are part of the game.
# ---------------------------------------------------------------------------
my %children;
my $log;

sub note
{
	print $log join("\t", @_), "\n";
	return;
}

sub process
{
	my ($name, $until, $step) = @_;
	my $pid = fork // die $!;

	if ($pid)
	{
		$children{$pid} = $name;
		return;
	}
	open $log, '>', "$work/$name.log" or die $!;
	$log->autoflush(1);
	# what the server says when it ends a session
	open STDERR, '>', "$work/$name.messages" or die $!;
	srand(unpack('%32C*', $name) + $seed * 7919);
	my $self = { name => $name, n => 0 };
	while (time < $until)
	{
		eval { $step->($self); 1 } or do {
			my $message = $@ =~ s/\n.*//sr;

			note('error', $DBI::state // '', $message);
			for my $dbh (qw(dbh own))
			{
				next unless $self->{$dbh};
				eval { $self->{$dbh}->rollback unless $self->{$dbh}{AutoCommit}; 1 } && $self->{$dbh}->ping
					or delete $self->{$dbh};
			}
			sleep 0.05 + rand 0.1;
		};
	}
	# no destructor of the parent's
	POSIX::_exit(0);
}

# A tenant that is there, or was a moment ago.
sub some_tenant
{
	my ($self) = @_;

	if (!$self->{slugs} || time > $self->{slugs_until})
	{
		my $dbh = admin();

		$self->{slugs} = $dbh->selectcol_arrayref(q{SELECT slug FROM tenancy.tenant ORDER BY slug});
		$self->{slugs_until} = time + 2;
		$dbh->disconnect;
	}
	return $self->{slugs}[ rand @{ $self->{slugs} } ];
}

# Begin a transaction as the application for a tenant, wherever it lives.
sub begin_as
{
	my ($self, $slug) = @_;

	$self->{dbh} //= connect_to('soak', 'app', 1);
	my $dbh = $self->{dbh};

	$dbh->begin_work;
	return $dbh if eval { $dbh->selectrow_array('SELECT tenancy.set_tenant(?)', undef, $slug); 1 };
	my ($state, $message) = ($dbh->state, $@);

	eval { $dbh->rollback };
	die $message if $state ne 'TN003';
	my ($database) = $dbh->selectrow_array('SELECT tenancy.tenant_database(?)', undef, $slug);
	die "no database of its own\n" if $database eq 'soak';
	$self->{own} = connect_to($database, 'app', 1);
	$self->{own}->begin_work;
	return $self->{own};
}

# Orders come with two lines, in one transaction.  Now and then one goes.
sub write_orders
{
	my ($self) = @_;
	my $slug = some_tenant($self);
	my $old = $self->{written}{$slug};
	my $delete = $old && @$old && rand() < 0.15;
	my $id = $delete ? shift @$old : "$self->{name}-" . ++$self->{n};
	my $dbh = begin_as($self, $slug);

	if ($delete)
	{
		$dbh->do('DELETE FROM orders WHERE id = ?', undef, $id);
	}
	else
	{
		$dbh->do('INSERT INTO orders (id, note) VALUES (?, ?)', undef, $id, "$slug of $id");
		$dbh->do('INSERT INTO lines (order_id, line, note) SELECT ?, n, ? FROM generate_series(1, 2) n', undef,
			$id, "$slug of $id");
	}
	note($delete ? 'deleting' : 'inserting', $slug, $id);
	$dbh->commit;
	note($delete ? 'deleted' : 'inserted', $slug, $id);
	push @{ $self->{written}{$slug} }, $id unless $delete;
	return;
}

# Whoever reads sees its own rows, whole orders, and nothing at all without a tenant.
sub read_orders
{
	my ($self) = @_;
	my $slug = some_tenant($self);
	my $dbh = begin_as($self, $slug);
	my ($all, $foreign, $lines) = $dbh->selectrow_array(q{
		SELECT count(*), count(*) FILTER (WHERE split_part(note, ' ', 1) <> ?), (SELECT count(*) FROM lines) FROM orders}, undef, $slug);

	note('leak', $slug, "$foreign rows") if $foreign;
	note('torn', $slug, "$all orders, $lines lines") if $lines != 2 * $all;
	note('read', $slug, $all);
	$dbh->rollback;

	# other tenants' tables by name, and the shared ones
	my $other = some_tenant($self);
	$dbh = begin_as($self, $slug);
	my $rows = eval { $dbh->selectcol_arrayref("SELECT note FROM \"tenant_$other\".orders") } // [];

	note('leak', $slug, "rows of $other by its schema") if grep { !/^\Q$slug\E / } @$rows;
	eval { $dbh->rollback };
	$self->{dbh} = connect_to('soak', 'app', 1);
	$rows = eval { $self->{dbh}->selectcol_arrayref('SELECT note FROM shop.orders') } // [];
	note('leak', 'no tenant', scalar(@$rows) . ' rows') if @$rows;
	$self->{dbh}->disconnect;
	delete $self->{dbh};
	return;
}

# What administrators do.  Whether a tenant is there is known of those calls that
# were acknowledged.
sub create_and_drop
{
	my ($self) = @_;

	$self->{dbh} //= admin();
	if (rand() < 0.5)
	{
		my $slug = "$self->{name}n" . ++$self->{n};
		my $mode = rand() < 0.7 ? 'shared' : rand() < 0.93 ? 'schema' : 'database';

		note('creating', $slug);
		$self->{dbh}->do('SELECT tenancy.create_tenant(?, ?::tenancy.isolation_mode)', undef, $slug, $mode);
		note('created', $slug);
	}
	else
	{
		my $slug = some_tenant($self);

		note('dropping', $slug);
		$self->{dbh}->do('SELECT tenancy.drop_tenant(?, true)', undef, $slug);
		note('dropped', $slug);
	}
	sleep rand 0.3;
	return;
}

sub suspend_and_resume
{
	my ($self) = @_;
	my $slug = some_tenant($self);

	$self->{dbh} //= admin();
	$self->{dbh}->do('SELECT tenancy.suspend_tenant(?)', undef, $slug);
	sleep rand 0.2;
	$self->{dbh}->do('SELECT tenancy.resume_tenant(?)', undef, $slug);
	sleep rand 0.2;
	return;
}

sub move
{
	my ($self) = @_;
	my $slug = some_tenant($self);
	my $mode = rand() < 0.45 ? 'schema' : rand() < 0.8 ? 'shared' : 'database';
	my $online = rand() < 0.5;

	$self->{dbh} //= admin();
	my ($from) = $self->{dbh}->selectrow_array('SELECT mode FROM tenancy.tenant WHERE slug = ?', undef, $slug);
	$self->{dbh}->do("CALL tenancy.move_tenant(?, ?::tenancy.isolation_mode, online => ?)", undef, $slug, $mode, $online ? 't' : 'f');
	note(!$online ? 'moved' : grep({ ($_ // '') eq 'database' } $from, $mode) ? 'moved online by files' : 'moved online', $slug, $mode);
	sleep rand 0.2;
	return;
}

sub migrate
{
	my ($self) = @_;

	$self->{dbh} //= admin();
	my $version = $self->{dbh}->selectrow_array('SELECT COALESCE(max(version), 0) + 1 FROM tenancy.migration');
	$self->{dbh}->do('SELECT tenancy.add_migration(?, ?)', undef, $version, "ALTER TABLE orders ADD COLUMN c$version integer")
		if !$self->{pending};
	$self->{pending} = 1;
	$self->{dbh}->do('CALL tenancy.migrate(workers => 2)');
	$self->{pending} = 0;
	note('migrated', $version);
	sleep 1 + rand 2;
	return;
}

# An export's files hold its own tenant's rows only.
sub export
{
	my ($self) = @_;
	my $slug = some_tenant($self);
	my $where = "$work/export-" . ++$self->{n};

	$self->{dbh} //= admin();
	$self->{dbh}->do('SELECT tenancy.export_tenant(?, ?)', undef, $slug, $where);
	for my $file (glob("$where/*"))
	{
		next if $file =~ /manifest\.json$/;
		open my $in, '<', $file or die $!;
		while (<$in>)
		{
			my ($of) = /\t(\S+) of /;

			note('leak', $slug, "export of $of") if defined $of && $of ne $slug;
		}
	}
	note('exported', $slug);
	system('rm', '-rf', $where);
	sleep rand 0.5;
	return;
}

# Crashes: of a worker, of any backend, of the server.
sub crash
{
	my ($self) = @_;

	sleep 1 + rand 4;
	return if time > $calm - 3;
	my $what = rand() < 0.3 ? 'server' : rand() < 0.6 ? 'worker' : 'backend';

	if ($what eq 'server')
	{
		system("pg_ctl -s -D '$dir/data' -m immediate -w stop >/dev/null 2>&1");
		system("pg_ctl -s -D '$dir/data' -l '$dir/server.log' -w -t 60 start >/dev/null 2>&1");
	}
	else
	{
		my $dbh = admin();
		my $type = $what eq 'worker' ? 'tenancy worker' : 'client backend';
		my $pid;

		# workers come and go
		for (1 .. 50)
		{
			($pid) = $dbh->selectrow_array(q{SELECT pid FROM pg_stat_activity
				WHERE backend_type = ? AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1}, undef, $type);
			last if $pid;
			sleep 0.05;
		}
		kill 'KILL', $pid // return;
	}
	note('crashed', $what);
	note("crashed $what");
	my $dbh = patient_admin();
	$dbh->do('SELECT count(*) FROM tenancy.repair()');
	return;
}

# A session that goes from tenant to tenant; how much memory it has of its own.
sub walk
{
	my ($self) = @_;

	if (!$self->{dbh})
	{
		$self->{dbh} = connect_to('soak', 'app', 0);
		$self->{since} = time;
		$self->{steps} = 0;
	}
	my $slug = some_tenant($self);

	$self->{dbh}->begin_work;
	eval {
		$self->{dbh}->selectrow_array('SELECT tenancy.set_tenant(?)', undef, $slug);
		$self->{dbh}->selectrow_array('SELECT count(*) FROM orders JOIN lines ON order_id = id');
		1;
	} or do { die $@ unless $self->{dbh}->ping };
	$self->{dbh}->rollback;
	if (++$self->{steps} % 50 == 0)
	{
		open my $status, '<', "/proc/$self->{dbh}{pg_pid}/status" or return;
		my ($kb) = map { /^RssAnon:\s+(\d+)/ ? $1 : () } <$status>;

		note('memory', $self->{dbh}{pg_pid}, sprintf('%.1f', time - $started), $self->{steps}, $kb) if $kb;
	}
	return;
}

# ---------------------------------------------------------------------------
# After: what the files say, and what there is
# ---------------------------------------------------------------------------
my @wrong;

sub wrong
{
	push @wrong, "@_";
	return;
}

sub read_logs
{
	my (%row, %tenant, %count);

	$tenant{"t$_"} = 'created' for 1 .. $ntenants;
	for my $file (glob("$work/*.log"))
	{
		my ($name) = $file =~ m{([^/]+)\.log$};
		next if $name eq 'pgbouncer';
		open my $in, '<', $file or die $!;
		while (<$in>)
		{
			chomp;
			my ($what, $slug, $id) = split /\t/;

			$count{$what}++;
			# of an error, what is the same for all tenants
			$count{"error $slug " . substr($id =~ s/"[^"]*"|\d+/./gr =~ s/^DBD::Pg::\S+ \w+ failed: //r =~ s/ at \S+ line .*//r, 0, 70)}++
				if $what eq 'error';
			wrong("$name: $_") if $what eq 'leak' || $what eq 'torn';
			$row{$slug}{$id} = $what if $what =~ /^(insert|delet)/;
			# several may have tried to drop it; once one was told so, it is gone
			$tenant{$slug} = $what if $what =~ /^(creat|dropp)/ && ($tenant{$slug} // '') ne 'dropped';
		}
	}
	return (\%row, \%tenant, \%count);
}

# Finish what crashes have left, as an administrator would.
sub settle
{
	my $dbh = patient_admin();

	$dbh->do('SELECT count(*) FROM tenancy.repair()');
	$dbh->do('SELECT tenancy.resume_tenant(slug) FROM tenancy.tenant WHERE status = ?', undef, 'suspended');
	for my $slug (@{ $dbh->selectcol_arrayref(q{SELECT slug FROM tenancy.tenant WHERE status = 'dropping'}) })
	{
		eval { $dbh->do('SELECT tenancy.drop_tenant(?, true)', undef, $slug); 1 } or wrong("drop of $slug: $@");
	}
	eval { $dbh->do('CALL tenancy.migrate()'); 1 } or wrong("migrate: $@");

	my $left = $dbh->selectall_arrayref('SELECT object, problem, action FROM tenancy.repair()');
	wrong("repair(): @$_") for @$left;
	$left = $dbh->selectall_arrayref(q{
		SELECT 'status', slug, status FROM tenancy.tenant WHERE status <> 'active'
		UNION ALL SELECT 'move', tenant_id::text, phase FROM tenancy.move
		UNION ALL SELECT 'pending', tenant_id::text, action FROM tenancy.pending_database
		UNION ALL SELECT 'migration', tenant, state FROM tenancy.migration_status WHERE state <> 'current'
		UNION ALL SELECT 'schema', nspname, '' FROM pg_namespace
			WHERE nspname ~ '^tenant_' AND nspname NOT IN (SELECT schema_name FROM tenancy.tenant WHERE schema_name IS NOT NULL)
		UNION ALL SELECT 'database', datname, '' FROM pg_database
			WHERE datname ~ '^tenant_' AND datname NOT IN (SELECT database_name FROM tenancy.tenant WHERE database_name IS NOT NULL)
		UNION ALL SELECT 'rows of no shared tenant', o.tenant_id::text, count(*)::text FROM shop.orders o
			WHERE NOT EXISTS (SELECT FROM tenancy.tenant t WHERE t.id = o.tenant_id AND mode = 'shared') GROUP BY 2
		UNION ALL SELECT 'worker', pid::text, query FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
	wrong("left behind: @$_") for @$left;
	$left = $dbh->selectall_arrayref(q{SELECT severity, lint, object FROM tenancy.check_isolation() WHERE severity = 'error'});
	wrong("check_isolation(): @$_") for @$left;
	$left = $dbh->selectall_arrayref(q{SELECT tenant, object, difference FROM tenancy.drift() WHERE tenant IS NOT NULL});
	wrong("drift(): @$_") for @$left;
	return $dbh;
}

# Each tenant has the rows that were acknowledged, perhaps those whose answer was
# lost, and no other.
sub check_rows
{
	my ($dbh, $row, $tenant) = @_;
	my %there = map { $_->[0] => $_ } @{ $dbh->selectall_arrayref('SELECT slug, mode, database_name FROM tenancy.tenant') };
	my $app = connect_to('soak', 'app', 0);
	my ($checked, $unknown) = (0, 0);

	for my $slug (sort keys %there)
	{
		my $of = $there{$slug}[1] eq 'database' ? connect_to($there{$slug}[2], 'app', 0) : $app;

		wrong("$slug is there, and nobody made it") unless $tenant->{$slug};
		wrong("$slug was dropped, and is there") if ($tenant->{$slug} // '') eq 'dropped';
		$of->begin_work;
		$of->selectrow_array('SELECT tenancy.set_tenant(?)', undef, $slug);
		my %found = map { $_->[0] => $_ } @{ $of->selectall_arrayref(q{
			SELECT id, note, (SELECT count(*) FROM lines l WHERE l.order_id = o.id AND l.note = o.note) FROM orders o}) };
		my ($lines) = $of->selectrow_array('SELECT count(*) FROM lines');

		$of->rollback;
		wrong("$slug: $lines lines of " . keys(%found) . ' orders') if $lines != 2 * keys %found;
		for my $id (keys %found)
		{
			my $state = $row->{$slug}{$id};

			wrong("$slug has $id: $found{$id}[1]") unless defined $state && $found{$id}[1] eq "$slug of $id";
			wrong("$slug has $id, which was deleted") if ($state // '') eq 'deleted';
			wrong("$slug: $id is not whole") unless $found{$id}[2] == 2;
		}
		for my $id (keys %{ $row->{$slug} // {} })
		{
			my $state = $row->{$slug}{$id};

			wrong("$slug has lost $id") if $state eq 'inserted' && !$found{$id};
			$unknown++ if $state =~ /ing$/;
			$checked++;
		}
	}
	for my $slug (keys %$tenant)
	{
		wrong("$slug is lost") if $tenant->{$slug} eq 'created' && !$there{$slug};
	}
	report(scalar(keys %there) . " tenants, $checked rows checked, of which $unknown had lost their answer");
	return;
}

# Would it have been noticed?  Takes a row away, and changes one into another's.
sub check_control
{
	my ($dbh, $row, $tenant) = @_;
	my ($lost, $leaked) = map { $_->[0] } @{ $dbh->selectall_arrayref(q{
		SELECT slug FROM tenancy.tenant t WHERE mode = 'shared'
		AND EXISTS (SELECT FROM shop.orders o WHERE o.tenant_id = t.id) ORDER BY slug LIMIT 2}) };

	$dbh->do(q{DELETE FROM shop.orders WHERE (tenant_id, id) IN (SELECT tenant_id, max(o.id) FROM shop.orders o
		JOIN tenancy.tenant t ON t.id = o.tenant_id WHERE slug = ? GROUP BY tenant_id)}, undef, $lost);
	$dbh->do(q{UPDATE shop.orders SET note = ? || ' of ' || id WHERE (tenant_id, id) IN (SELECT tenant_id, max(o.id) FROM shop.orders o
		JOIN tenancy.tenant t ON t.id = o.tenant_id WHERE slug = ? GROUP BY tenant_id)}, undef, $lost, $leaked);
	check_rows($dbh, $row, $tenant);
	my @noticed = @wrong;

	@wrong = ();
	wrong('a row that was taken away is not noticed') unless grep { /^\Q$lost\E has lost/ } @noticed;
	wrong('a row of another tenant is not noticed') unless grep { /^\Q$leaked\E has .*: \Q$lost\E of/ } @noticed;
	return;
}

# The longest series of the session that walked: its last third against the middle one.
sub check_memory
{
	my %series;

	open my $in, '<', "$work/walker.log" or die $!;
	while (<$in>)
	{
		my ($what, $pid, undef, $steps, $kb) = split /\t/;

		push @{ $series{$pid} }, [ $steps, $kb ] if $what eq 'memory';
	}
	my ($longest) = sort { @{ $series{$b} } <=> @{ $series{$a} } } keys %series;
	return wrong('no session lived long enough to watch its memory') if !$longest || @{ $series{$longest} } < 6;
	my @samples = @{ $series{$longest} };
	my @kb = map { $_->[1] } @samples;
	my $third = int(@kb / 3);
	my ($first, $middle, $last) = map { my $part = $_; (sort { $a <=> $b } @kb[ $part * $third .. ($part + 1) * $third - 1 ])[-1] } 0 .. 2;

	report(sprintf('memory of a session that went to %d tenants: %.1f, %.1f, %.1f MB at most, by thirds of its life',
		$samples[-1][0], $first / 1024, $middle / 1024, $last / 1024));
	wrong('the session grows') if $last > $middle * 1.15 + 2048;
	return;
}

sub check_server_log
{
	open my $in, '<', "$dir/server.log" or die $!;
	while (<$in>)
	{
		wrong("server's log: $_") if /TRAP:|PANIC|was terminated by signal (?!9:)/;
	}
	return;
}

# ---------------------------------------------------------------------------
set_up();
my $pooler = start_pooler();
$calm = time + $seconds * 2 / 3;
$end = time + $seconds;
process("w$_", $end, \&write_orders) for 1 .. 4;
process("r$_", $end, \&read_orders) for 1 .. 2;
process('c', $calm, \&create_and_drop);
process('s', $end, \&suspend_and_resume);
process('m', $end, \&move);
process('g', $calm, \&migrate);
process('e', $end, \&export);
process('crasher', $calm, \&crash);
process('walker', $end, \&walk);
while ((my $pid = wait) != -1)
{
	last if $pid == $pooler;
	wrong("process $children{$pid} failed") if $?;
	delete $children{$pid};
	last unless %children;
}
wrong('pgbouncer has ended') if %children;
kill 'TERM', $pooler;
waitpid $pooler, 0;

my ($row, $tenant, $count) = read_logs();
report(join ', ', map { "$count->{$_} $_" } grep { !/^error|ing$/ } sort keys %$count);
report(sprintf '%6d errors %s', $count->{$_}, s/^error //r)
	for grep { defined } (sort { $count->{$b} <=> $count->{$a} } grep { /^error / } keys %$count)[0 .. 11];
my $dbh = settle();
check_rows($dbh, $row, $tenant);
check_control($dbh, $row, $tenant) unless @wrong;
check_memory();
check_server_log();
for my $needed (qw(inserted deleted read created dropped moved exported crashed migrated memory), 'moved online')
{
	wrong("nothing was $needed") unless $count->{$needed};
}
print map { "WRONG: $_\n" } @wrong;
printf "%s after %.0f s\n", @wrong ? scalar(@wrong) . ' things are wrong' : 'nothing is wrong', time - $started;
exit(@wrong ? 1 : 0);
