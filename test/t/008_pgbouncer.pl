# Transactions of many tenants through PgBouncer's transaction pooling, with more
# clients than server connections: none may see another's rows, and no context
# may outlive its transaction.  The control sets a context for the session,
# which the documentation forbids behind such a pooler, and sees it leak.
#
# TAP and not regress, because it takes a pooler.  Every wait has an end.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start kill_kill pump);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'there is no pgbouncer' unless $program;

$SIG{ALRM} = sub { die "the test did not end in time\n" };
alarm 900;

my $node = new_cluster('pooled', 'max_prepared_transactions = 20');
my $db = 'shop_app';
my @tenants = qw(acme hooli globex umbrella);
new_application($node, $db);
$node->safe_psql($db, qq{SELECT tenancy.create_token_key('k1', 'HS256', repeat('s', 32))});
for my $n (0 .. 3)
{
	my $mode = $n < 2 ? 'shared' : 'schema';

	$node->safe_psql($db, "SELECT tenancy.create_tenant('$tenants[$n]', '$mode')");
	$node->safe_psql($db, "SELECT tenancy.set_tenant('$tenants[$n]', false); INSERT INTO notes (note) VALUES ('$tenants[$n] 0')",
		extra_params => [ '-U', 'app' ]);
}
$node->safe_psql($db, q{SELECT tenancy.grant_access('app')});

# ---------------------------------------------------------------------------
# The pooler: three server connections; one for the control
# ---------------------------------------------------------------------------
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $server = 'host=' . $node->host . ' port=' . $node->port . " dbname=$db";
append_to_file("$dir/users", qq{"app" ""\n});
append_to_file("$dir/ini", "[databases]
pooled = $server pool_size=3
single = $server pool_size=1
[pgbouncer]
listen_port = $port
unix_socket_dir = $dir
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
max_client_conn = 100
");
my $log = '';
my $bouncer = start([ $program, "$dir/ini" ], '<', '/dev/null', '>', \$log, '2>&1');
END { kill_kill($bouncer, grace => 5) if $bouncer; }
for (1 .. 100)
{
	$bouncer->pump_nb;
	last if -S "$dir/.s.PGSQL.$port";
	select(undef, undef, undef, 0.1);
}

sub pooled
{
	return "host=$dir port=$port user=app dbname=" . ($_[0] // 'pooled');
}

# ---------------------------------------------------------------------------
# Interleaved transactions; each statement that should not be true divides by zero
# ---------------------------------------------------------------------------
append_to_file("$dir/none.sql", q{SELECT 1 / (tenancy.current_tenant() IS NULL)::int;
DO $$ BEGIN PERFORM FROM shop.notes; RAISE 'rows without a context'; EXCEPTION WHEN SQLSTATE 'TN001' THEN END $$;
});
for my $tenant (@tenants)
{
	my $token = $node->safe_psql($db, "SELECT tenancy.sign_token('$tenant', '10 minutes')");
	my $check = "SELECT 1 / (count(*) > 0 AND bool_and(note LIKE '$tenant %') AND tenancy.current_tenant() = '$tenant')::int FROM notes";
	my $work = "INSERT INTO notes (note) VALUES ('$tenant ' || gen_random_uuid())";

	append_to_file("$dir/$tenant-commit.sql", "BEGIN;\nSELECT tenancy.set_tenant('$tenant');\n$check;\n$work;\nCOMMIT;\n");
	append_to_file("$dir/$tenant-token.sql",
		"BEGIN;\nSELECT tenancy.set_tenant_token('$token');\nPREPARE p AS $check;\nEXECUTE p;\nDEALLOCATE p;\nCOMMIT;\n");
	append_to_file("$dir/$tenant-rollback.sql", "BEGIN;\nSELECT tenancy.set_tenant('$tenant');\n$check;\n"
		. "INSERT INTO notes (note) VALUES ('undone');\nROLLBACK;\n");
	append_to_file("$dir/$tenant-error.sql", "DO \$\$ BEGIN PERFORM tenancy.set_tenant('$tenant'); PERFORM 1 / 0;\n"
		. "EXCEPTION WHEN division_by_zero THEN END \$\$;\nSELECT 1 / (tenancy.current_tenant() IS NULL)::int;\n");
}
my @files = ("$dir/none.sql", map { my $t = $_; map { "$dir/$t-$_.sql" } qw(commit token rollback error) } @tenants);
for my $protocol ('simple', 'extended')
{
	my ($out, $err) = run_command([ 'timeout', '300', 'pgbench', '-n', '-c', '12', '-j', '2', '-t', '150', '-M', $protocol,
		(map { ('-f', $_) } @files), '-d', pooled() ]);

	like($out, qr{actually processed: 1800/1800}, "$protocol: no transaction saw what is not its tenant's") or diag("$out\n$err\n$log");
}
for my $tenant (@tenants)
{
	is($node->safe_psql($db, qq{BEGIN; SELECT tenancy.set_tenant('$tenant') \\g /dev/null
		SELECT count(*) > 1 AND bool_and(note LIKE '$tenant %') FROM notes; COMMIT}, extra_params => [ '-U', 'app' ]),
		't', "$tenant has its own rows, and no others");
}

# ---------------------------------------------------------------------------
# Two-phase commit: between the phases, the server connection is another client's
# ---------------------------------------------------------------------------
for my $tenant (@tenants)
{
	append_to_file("$dir/$tenant-two.sql", "BEGIN;\nSELECT tenancy.set_tenant('$tenant');\nINSERT INTO notes (note) VALUES ('$tenant ' || gen_random_uuid());\n"
		. "PREPARE TRANSACTION '$tenant :client_id';\nSELECT 1 / (tenancy.current_tenant() IS NULL)::int;\n"
		. "DO \$\$ BEGIN PERFORM FROM shop.notes; RAISE 'rows without a context'; EXCEPTION WHEN SQLSTATE 'TN001' THEN END \$\$;\n"
		. "COMMIT PREPARED '$tenant :client_id';\n");
}
my ($two, $two_err) = run_command([ 'timeout', '300', 'pgbench', '-n', '-c', '12', '-j', '2', '-t', '40',
	(map { ('-f', "$dir/$_-two.sql", '-f', "$dir/$_-commit.sql") } @tenants), '-d', pooled() ]);
like($two, qr{actually processed: 480/480}, 'no prepared transaction lent its tenant to another client') or diag("$two\n$two_err\n$log");
is($node->safe_psql($db, 'SELECT count(*) FROM pg_prepared_xacts'), '0', 'and all of them were committed');
is($node->safe_psql($db, qq{BEGIN; SELECT tenancy.set_tenant('$_') \\g /dev/null
	SELECT count(*) > 1 AND bool_and(note LIKE '$_ %') FROM notes; COMMIT}, extra_params => [ '-U', 'app' ]),
	't', "$_ has its own rows, and no others") for @tenants;

# ---------------------------------------------------------------------------
# A client that is killed in a transaction, and the one that comes after it
# ---------------------------------------------------------------------------
sub ask
{
	my ($database, $sql) = @_;
	my ($out, $err) = run_command([ 'timeout', '120', 'psql', '-XAtq', '-d', pooled($database), '-c', $sql ]);

	return $out . ($err =~ /ERROR: +(.*)/ ? $1 : '');
}
for my $tenant (@tenants)
{
	my ($in, $out) = ("BEGIN;\nSELECT tenancy.set_tenant('$tenant') IS NOT NULL;\n", '');
	my $psql = start([ 'psql', '-XAtq', '-d', pooled('single') ], '<', \$in, '>', \$out, '2>&1', IPC::Run::timeout(120));

	pump $psql until $out =~ /t\n/;
	$psql->signal('KILL');
	eval { $psql->finish };
	is(ask('single', 'SELECT tenancy.current_tenant() IS NULL'), 't', "$tenant: no context after a client that was killed");
	is(ask('single', 'SELECT * FROM shop.notes'), 'no tenant context is set', "$tenant: and no rows");

	# what one client has prepared, on the connection that the next ones get
	ask('single', "BEGIN; SELECT tenancy.set_tenant('$tenant'); INSERT INTO notes (note) VALUES ('$tenant prepared'); PREPARE TRANSACTION 'left'");
	is(ask('single', 'SELECT tenancy.current_tenant() IS NULL'), 't', "$tenant: no context after PREPARE TRANSACTION");
	is(ask('single', 'SELECT * FROM shop.notes'), 'no tenant context is set', "$tenant: and no rows");
	for my $other (grep { $_ ne $tenant } @tenants)
	{
		is(ask('single', "SELECT FROM tenancy.set_tenant('$other'); SELECT count(*) FROM notes WHERE note NOT LIKE '$other %'"), "0", "$other, next, has its own rows only");
	}
	ask('single', "COMMIT PREPARED 'left'");
	is(ask('single', "SELECT FROM tenancy.set_tenant('$tenant'); SELECT count(*) FROM notes WHERE note = '$tenant prepared'"), '1', "$tenant: the row is its own, whoever commits it");
}

# ---------------------------------------------------------------------------
# The control
# ---------------------------------------------------------------------------
ask('single', q{SELECT tenancy.set_tenant('acme', false)});
is(ask('single', 'SELECT tenancy.current_tenant()'), 'acme', 'a context for the session meets the next client');
ask('single', 'SELECT tenancy.reset_tenant()');
is(ask('single', 'SELECT tenancy.current_tenant() IS NULL'), 't', 'until it is reset');

alarm 0;
kill_kill($bouncer, grace => 5);
$bouncer = undef;
$node->stop;
done_testing();
