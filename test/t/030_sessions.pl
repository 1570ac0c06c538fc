# Which session acts for which tenant, and ending those of one tenant.
#
# TAP and not regress, because the library must be preloaded, and sessions end.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_cluster('sessions', q{shared_preload_libraries = 'tenancy'}, 'max_prepared_transactions = 2',
	q{log_line_prefix = '%m [%p] app=%a '});
my $db = 'shop';
new_application($node, $db);
my %mode = (acme => 'shared', hooli => 'shared', globex => 'schema', umbrella => 'schema', initech => 'database');
$node->safe_psql($db, "SELECT tenancy.create_tenant('$_', '$mode{$_}')") for sort keys %mode;
for my $slug (sort keys %mode)
{
	$node->safe_psql($mode{$slug} eq 'database' ? "tenant_$slug" : $db,
		"BEGIN; SELECT tenancy.set_tenant('$slug'); INSERT INTO notes VALUES ('of $slug'); COMMIT", extra_params => [ '-U', 'app' ]);
}

# The pids that the view shows for a tenant, in order
sub shown
{
	my ($tenant) = @_;
	return $node->safe_psql($db, "SELECT pid FROM tenancy.sessions WHERE tenant = '$tenant' ORDER BY pid");
}

sub pids
{
	return join("\n", sort { $a <=> $b } map { $_->{pid} } @_);
}

# A session of the role app's, at rest in a transaction of a tenant
sub in_transaction
{
	my ($tenant) = @_;
	my $s = session($node, $mode{$tenant} eq 'database' ? "tenant_$tenant" : $db, 'app');

	$s->rows('BEGIN');
	$s->rows("SELECT tenancy.set_tenant('$tenant')");
	$s->rows('SELECT count(*) FROM notes');
	return $s;
}

# A session that has ended, or has not, says so by its next statement.
sub is_ended
{
	my ($s, $what) = @_;
	my $r = $s->query('SELECT 1');

	ok($r->{state} eq '' && $r->{messages} =~ /terminating connection due to administrator command|57P01/, "$what: ended") or diag($r->{messages});
	$s->quit;
	return;
}

# ---------------------------------------------------------------------------
# The view shows what the setting says
# ---------------------------------------------------------------------------
my $s = session($node, $db, 'app');
is(shown('acme'), '', 'nobody acts for the tenant');
$s->rows('BEGIN');
$s->rows(q{SELECT tenancy.set_tenant('acme')});
is(shown('acme'), $s->{pid}, 'a transaction has a context');
is($node->safe_psql($db, q{SELECT tenant, database, role, state, query LIKE '%set_tenant%', client_addr IS NULL, xact_start <= query_start FROM tenancy.sessions}),
	"acme|$db|app|idle in transaction|t|t|t", 'and shows with what it is at');
is(shown('hooli'), '', 'for no other tenant');
$s->rows('COMMIT');
is(shown('acme'), '', 'it ends with the transaction');
$s->rows('BEGIN');
$s->rows('SAVEPOINT a');
$s->rows(q{SELECT tenancy.set_tenant('globex')});
is(shown('globex'), $s->{pid}, 'a schema tenant, after a savepoint');
$s->rows('ROLLBACK TO a');
is(shown('globex'), '', 'and not when it is rolled back');
$s->rows('ROLLBACK');
$s->rows(q{SELECT tenancy.set_tenant('acme', false)});
is(shown('acme'), $s->{pid}, "a session's own context shows between transactions");
$s->rows('BEGIN');
$s->rows('SAVEPOINT a');
is($s->state('SELECT 1/0'), '22012', 'an error');
$s->rows('ROLLBACK');
is(shown('acme'), $s->{pid}, 'and after a rollback');
$s->rows(q{SELECT tenancy.set_tenant('hooli', false)});
is(shown('acme') . '/' . shown('hooli'), "/$s->{pid}", 'it has changed');
$s->rows('SELECT tenancy.reset_tenant()');
is(shown('hooli'), '', 'reset_tenant()');
$s->rows(q{SELECT tenancy.set_tenant('acme', false)});
$s->rows('DISCARD ALL');
is(shown('acme'), '', 'DISCARD ALL');
$s->rows(q{SELECT tenancy.set_tenant('acme', false)});
$s->rows('BEGIN');
$s->rows('SELECT count(*) FROM notes');
is(shown('acme'), $s->{pid}, 'a session that is about to leave');
$s->quit;
ok(slow($node, $db, q{SELECT count(*) = 0 FROM tenancy.session_contexts()}), 'a session that has left');

my $inside = in_transaction('initech');
is(shown('initech'), $inside->{pid}, 'a session in the database of a tenant');
is($node->safe_psql('tenant_initech', q{SELECT count(*) FROM tenancy.sessions WHERE tenant = 'initech'}), 2, 'seen from there as well, with whoever looks');
$inside->quit;

# Parallel workers, and ours
$s = session($node, $db, 'app');
$s->rows(q{SELECT tenancy.set_tenant('acme', false)});
$s->rows('INSERT INTO notes SELECT n || repeat($$x$$, 100) FROM generate_series(1, 20000) n');
$node->safe_psql($db, 'VACUUM ANALYZE shop.notes; CREATE FUNCTION public.nap(text) RETURNS text LANGUAGE sql PARALLEL SAFE AS $$SELECT pg_sleep(0.001)::text || $1$$');
$s->rows("SET $_") for 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0', 'min_parallel_table_scan_size = 0';
$s->send('SELECT count(nap(note)) FROM notes');
ok(slow($node, $db, "SELECT count(*) > 0 FROM pg_stat_activity WHERE leader_pid = $s->{pid} AND backend_type = 'parallel worker'"), 'a parallel query');
is(shown('acme'), $s->{pid}, 'its workers do not show');
is($node->safe_psql($db, "SELECT pg_cancel_backend($s->{pid})"), 't', 'cancel it');
is($s->wait->{state}, '57014', 'it ends');
$s->quit;
my $mover = session($node, $db);
$node->safe_psql($db, q{ALTER TABLE shop.notes ADD CONSTRAINT slow CHECK (pg_sleep(0.0005) IS NOT NULL) NOT VALID});
$mover->send(q{CALL tenancy.move_tenant('acme', 'database')});
ok(slow($node, $db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'tenant_acme'}), 'workers fill a database');
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.session_contexts()}), 0, 'they do not show');
is($mover->wait->{state}, '00000', 'the move');
$node->safe_psql($db, q{ALTER TABLE shop.notes DROP CONSTRAINT slow});
is($mover->state(q{CALL tenancy.move_tenant('acme', 'shared')}), '00000', 'and back');

# ---------------------------------------------------------------------------
# Who may look
# ---------------------------------------------------------------------------
$node->safe_psql($db, 'GRANT USAGE ON SCHEMA tenancy TO stranger');
for my $role ('app', 'stranger')
{
	is(sqlstate($node, $db, $role, 'SELECT * FROM tenancy.sessions'), '42501', "$role: not the view");
	is(sqlstate($node, $db, $role, 'SELECT * FROM tenancy.session_contexts()'), '42501', "$role: not the function");
	is(sqlstate($node, $db, $role, q{SELECT tenancy.suspend_tenant('acme', end_sessions => true)}), '42501', "$role: nor end sessions");
}

# ---------------------------------------------------------------------------
# Ending sessions
# ---------------------------------------------------------------------------
my $dba = session($node, $db);
for my $tenant ('acme', 'globex')
{
	my $other = $tenant eq 'acme' ? 'hooli' : 'umbrella';
	my @own = (in_transaction($tenant), session($node, $db, 'app'), session($node, $db, 'app'));
	my @others = (in_transaction($other), session($node, $db, 'app'));
	my $inside = in_transaction('initech');

	$own[$_]->rows("SELECT tenancy.set_tenant('$tenant', false)") for 1, 2;
	$own[2]->send('SELECT pg_sleep(600) FROM (SELECT count(*) FROM notes) n');
	ok(slow($node, $db, "SELECT count(*) = 1 FROM tenancy.sessions WHERE query LIKE 'SELECT pg_sleep(600)%' AND state = 'active'"), "$tenant: a long statement");
	is(shown($tenant), pids(@own), "$tenant: its sessions");

	# Nothing is done that is not committed.
	$dba->rows('BEGIN');
	$dba->rows("SELECT tenancy.suspend_tenant('$tenant', 'unpaid', true)");
	is(shown($tenant), pids(@own), "$tenant: nobody is ended before the commit");
	$dba->rows('ROLLBACK');
	is(shown($tenant), pids(@own), "$tenant: or by a rollback");
	$dba->rows('BEGIN');
	$dba->rows('SAVEPOINT a');
	$dba->rows("SELECT tenancy.suspend_tenant('$tenant', 'unpaid', true)");
	$dba->rows('ROLLBACK TO a');
	$dba->rows('COMMIT');
	is(shown($tenant), pids(@own), "$tenant: or by that of a savepoint");
	is($own[0]->state('SELECT count(*) FROM notes'), '00000', "$tenant: its transaction goes on");
	is($dba->state("BEGIN; SELECT tenancy.suspend_tenant('$tenant', NULL, true); PREPARE TRANSACTION 'p'"), '0A000', "$tenant: not in a prepared transaction");
	is($dba->state("SELECT tenancy.suspend_tenant('$tenant', 'unpaid', NULL)"), '22004', "$tenant: yes or no");
	$dba->rows("SELECT tenancy.suspend_tenant('$tenant', 'unpaid')");
	is(shown($tenant), pids(@own), "$tenant: sessions are not ended unasked");
	is($own[1]->state('SELECT count(*) FROM notes'), 'TN002', "$tenant: but refused");
	is($dba->state("SELECT tenancy.suspend_tenant('$tenant', 'unpaid', true)"), '55000', "$tenant: it is suspended already");
	$dba->rows("SELECT tenancy.resume_tenant('$tenant')");

	# The caller's own goes on, whoever it acts for.
	$dba->rows("SELECT tenancy.set_tenant('$tenant', false)");
	$dba->rows("BEGIN; SAVEPOINT a; SELECT tenancy.suspend_tenant('$tenant', 'unpaid', true); RELEASE a; COMMIT");
	ok(slow($node, $db, "SELECT array_agg(pid) = '{$dba->{pid}}' FROM tenancy.sessions WHERE tenant = '$tenant'"), "$tenant: all but the caller's are ended");
	is($dba->state('SELECT tenancy.current_tenant()'), 'TN002', "$tenant: which is refused as ever");
	$dba->rows('SELECT tenancy.reset_tenant()');
	is_ended($own[0], "$tenant, idle in a transaction");
	is_ended($own[1], "$tenant, idle");
	my $r = $own[2]->wait;
	ok($r->{state} eq '' && $r->{messages} =~ /57P01/, "$tenant, in a statement: ended") or diag($r->{messages});
	is($others[0]->rows('SELECT note FROM notes'), "of $other", "$tenant: another tenant's transaction goes on");
	is($others[1]->rows('SELECT 1'), 1, "$tenant: and a session without a context");
	is($inside->rows('SELECT note FROM notes'), 'of initech', "$tenant: and one in another's database");
	is(sqlstate($node, $db, 'app', "BEGIN; SELECT tenancy.set_tenant('$tenant')"), 'TN002', "$tenant: nobody comes back");
	$dba->rows("SELECT tenancy.resume_tenant('$tenant')");
	$_->quit for @others, $inside;
}
$inside = in_transaction('initech');
$dba->rows(q{SELECT tenancy.suspend_tenant('initech')});
is_ended($inside, 'initech, whose database closes');
is($dba->state(q{SELECT tenancy.resume_tenant('initech'); SELECT tenancy.suspend_tenant('initech', NULL, true)}), '00000', 'initech: it may be said as well');
$dba->rows(q{SELECT tenancy.resume_tenant('initech')});

# Whoever may suspend may end: no superuser need be at hand.
$node->safe_psql($db, q{CREATE ROLE support LOGIN; GRANT USAGE ON SCHEMA tenancy TO support;
	GRANT EXECUTE ON FUNCTION tenancy.suspend_tenant(text, text, boolean) TO support});
$s = in_transaction('hooli');
is(sqlstate($node, $db, 'support', q{SELECT tenancy.suspend_tenant('hooli', 'unpaid', end_sessions => true)}), '00000', 'support suspends');
is_ended($s, 'hooli');
$dba->rows(q{SELECT tenancy.resume_tenant('hooli')});

# ---------------------------------------------------------------------------
# Sessions that change from one tenant to the other all the time
# ---------------------------------------------------------------------------
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/$_.sql", qq{BEGIN;\nSELECT tenancy.set_tenant('$_');\nSET LOCAL application_name = '$_';\n}
	. qq{SELECT count(*) FROM (SELECT FROM notes LIMIT 3) n;\nSET LOCAL application_name = 'ending';\nCOMMIT;\n}) for 'acme', 'hooli';
my $offset = -s $node->logfile;
my @clients = map {
	my $out = '';
	IPC::Run::start([ 'sh', '-c', 'end=$(($(date +%s) + 15)); while [ $(date +%s) -lt $end ]; do pgbench -n -c 2 -T 1 -f "$1/acme.sql" -f "$1/hooli.sql" -h "$2" -p "$3" -U app "$4" >/dev/null 2>&1; done',
		'sh', $dir, $node->host, $node->port, $db ], '>', \$out, '2>&1')
} 1 .. 2;
my $ended = 0;
for (1 .. 60)
{
	$dba->rows(q{SELECT tenancy.suspend_tenant('acme', 'unpaid', true)});
	$ended++ if slow($node, $db, q{SELECT count(*) = 0 FROM tenancy.sessions WHERE tenant = 'acme' AND xact_start < now() - interval '5 s'});
	$dba->rows(q{SELECT tenancy.resume_tenant('acme')});
	usleep(100_000);
}
IPC::Run::finish($_) for @clients;
my $log = slurp_file($node->logfile, $offset);
is($ended, 60, 'no session goes on for a tenant that was suspended');
cmp_ok(scalar(() = $log =~ /app=(?:acme|ending) FATAL: .*administrator command/g), '>', 3, 'sessions were ended while they acted for it');
is(scalar(() = $log =~ /app=hooli FATAL: .*administrator command/g), 0, "and none in another tenant's transaction");

# ---------------------------------------------------------------------------
# Not preloaded
# ---------------------------------------------------------------------------
$dba->quit;
$mover->quit;
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
is(sqlstate($node, $db, undef, 'SELECT * FROM tenancy.sessions'), '55000', 'not preloaded: the view says so');
is(sqlstate($node, $db, undef, q{SELECT tenancy.suspend_tenant('acme', 'unpaid', true)}), '55000', 'nobody can be ended');
is($node->safe_psql($db, q{SELECT status FROM tenancy.tenants WHERE slug = 'acme'}), 'active', 'and nothing has been changed');
is(sqlstate($node, $db, undef, q{SELECT tenancy.suspend_tenant('initech', 'unpaid', true)}), '00000', 'but in databases of their own');

done_testing();
