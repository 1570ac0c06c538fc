# migrate() among others: locks, two calls at once, Ctrl-C, files, and crashes
# at random moments.
#
# TAP and not regress, because the tests leave sessions waiting, end backends and
# the whole server, and restart it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(time usleep);

# TENANCY_ROUNDS asks for more rounds of crashes.
my $rounds = $ENV{TENANCY_ROUNDS} // 50;
my $schemas = 20;

my $node = new_cluster('migrate', 'checkpoint_timeout = 1h');
my $db = 'shop';
new_application($node, $db, tables => 3);
$node->safe_psql($db, qq{
	SELECT tenancy.create_tenant('shared1');
	SELECT tenancy.create_tenant('t' || n, 'schema') FROM generate_series(1, $schemas) n;
	SELECT tenancy.create_tenant('d' || n, 'database') FROM generate_series(1, 2) n;
});
my $copies = $schemas + 2;
my $version = 0;

# Record a migration.
sub add
{
	my ($sql, @more) = @_;

	$version++;
	$node->safe_psql($db, join(', ', "SELECT tenancy.add_migration($version, \$migration\$$sql\$migration\$", @more) . ')');
	return;
}

# How many tenants are in which state.
sub states
{
	return $node->safe_psql($db, q{SELECT string_agg(state || ' ' || n, ', ' ORDER BY state)
		FROM (SELECT state, count(*) AS n FROM tenancy.migration_status GROUP BY 1) s});
}

my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};

# ---------------------------------------------------------------------------
# Other sessions' locks
# ---------------------------------------------------------------------------
my $reader = session($node, $db, 'app');
$reader->rows('BEGIN');
$reader->rows(q{SELECT tenancy.set_tenant('t7')});
$reader->rows('SELECT count(*) FROM notes');
add('ALTER TABLE notes ADD COLUMN locked int');
my $dba = session($node, $db);
$dba->send(q{CALL tenancy.migrate(lock_timeout => '300ms', retries => 3)});
# meanwhile, nobody queues up behind the migration for longer than that
my $longest = 0;
my $other = session($node, $db, 'app');
$other->rows(q{SELECT tenancy.set_tenant('t7', false)});
for (1 .. 30)
{
	my $start = time;
	$other->rows('SELECT count(*) FROM notes');
	my $took = time - $start;
	$longest = $took if $took > $longest;
	usleep(50_000);
}
my $r = $dba->wait;
is($r->{state}, '55000', 'a reader that stays keeps its tenant from being migrated');
like($r->{messages}, qr/migration failed for 1 of $copies tenants.*t7: 55P03: canceling statement due to lock timeout/s, 'which is reported');
cmp_ok($longest, '<', 10, "other readers of the tenant waited for $longest s at most");
is(states(), 'current ' . $copies . ', failed 1', 'all others were migrated');
is($node->safe_psql($db, q{SELECT attempts FROM tenancy.migration_status WHERE tenant = 't7'}), 4, 'it was tried again as often as asked for');
$reader->rows('COMMIT');
is($dba->state('CALL tenancy.migrate()'), '00000', 'afterwards one call finishes it');
is(states(), 'current ' . ($copies + 1), 'for all tenants');

$reader->rows('BEGIN');
$reader->rows(q{SELECT tenancy.set_tenant('t3')});
$reader->rows('SELECT count(*) FROM notes');
add('ALTER TABLE notes ADD COLUMN locked2 int');
$dba->send(q{CALL tenancy.migrate(lock_timeout => '100ms', retries => 20)});
slow($node, $db, q{SELECT count(*) = 1 AND min(tenant) = 't3' FROM tenancy.migration_status WHERE pending > 0});
pass('the others do not wait for it');
$reader->rows('COMMIT');
is($dba->wait->{state}, '00000', 'a lock that goes away in time does no harm');

# the model: shared tenants' tables
$reader->rows('BEGIN');
$reader->rows(q{SELECT tenancy.set_tenant('shared1')});
$reader->rows('SELECT count(*) FROM notes');
add('ALTER TABLE notes ADD COLUMN locked3 int');
$r = $dba->query(q{CALL tenancy.migrate(lock_timeout => '100ms', retries => 1)});
is($r->{state}, '55P03', 'a reader of the shared tables');
is(states(), 'pending ' . ($copies + 1), 'nothing was touched');

# ---------------------------------------------------------------------------
# Two calls at once, and watching
# ---------------------------------------------------------------------------
$dba->send(q{CALL tenancy.migrate(lock_timeout => '60s')});
slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'});
my $second = session($node, $db);
my $start = time;
$r = $second->query('CALL tenancy.migrate()');
is($r->{state}, '55006', 'a second call is refused');
cmp_ok(time - $start, '<', 30, 'without waiting');
like($r->{messages}, qr/another session is running/, 'and says why');
$reader->rows('COMMIT');
is($dba->wait->{state}, '00000', 'the first one goes on');
is($second->state('CALL tenancy.migrate()'), '00000', 'and now the second can');

add('SELECT pg_sleep(0.3)');
$dba->send('CALL tenancy.migrate(workers => 1)');
ok(slow($node, $db, q{SELECT count(*) = 1 FROM tenancy.migration_progress WHERE done BETWEEN 3 AND total - 3 AND rate > 0 AND remaining > '0'}),
	'others see how far it is');
$r = $dba->wait;
is($r->{state}, '00000', 'it takes a while');
like($r->{messages}, qr/NOTICE: .*migrated \d+ of $copies tenants, 0 failed, [\d.]+ tenants\/s, about \d+ s remaining/, 'and says how long');
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.migration_progress'), 0, 'nothing is shown when it is over');

# ---------------------------------------------------------------------------
# Ctrl-C, and the end of the session
# ---------------------------------------------------------------------------
for my $end ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $caller = session($node, $db);
	add("ALTER TABLE notes ADD COLUMN $end int; SELECT pg_sleep(0.2)");
	$caller->send('CALL tenancy.migrate(workers => 2)');
	slow($node, $db, q{SELECT count(*) = 1 FROM tenancy.migration_progress WHERE done >= 3});
	$node->safe_psql($db, "SELECT $end($caller->{pid})");
	$r = $caller->wait;
	like($r->{state}, $end eq 'pg_cancel_backend' ? qr/^57014$/ : qr/^(57P01)?$/, "$end: the call ends");
	ok(slow($node, $db, $no_worker), "$end: and so do the workers");
	like(states(), qr/^current \d+, pending \d+$/, "$end: some tenants are done, the others are not");
	is($node->safe_psql($db, qq{SELECT count(*) FROM tenancy.module_copy c JOIN tenancy.tenant t ON t.id = tenant_id AND mode = 'schema'
		WHERE (c.level = (SELECT level FROM tenancy.module)) <> EXISTS (SELECT FROM pg_attribute
			WHERE attrelid = (schema_name || '.notes')::regclass AND attname = '$end')}), 0, "$end: as is noted");
	is($dba->state('CALL tenancy.migrate()'), '00000', "$end: another call goes on");
	is(states(), 'current ' . ($copies + 1), "$end: to the end");
}

# What takes long is interrupted.
add(q{SELECT CASE WHEN current_setting('tenancy.tenant_id', true) <> '' THEN pg_sleep(600) END});
$dba->send('CALL tenancy.migrate(workers => 2)');
slow($node, $db, q{SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event = 'PgSleep'});
$node->safe_psql($db, "SELECT pg_cancel_backend($dba->{pid})");
$start = time;
is($dba->wait->{state}, '57014', 'a migration that sleeps is cancelled');
cmp_ok(time - $start, '<', 200, 'long before it would end by itself');
ok(slow($node, $db, $no_worker), 'with its workers');
$node->safe_psql($db, "UPDATE tenancy.migration SET sql = 'SELECT 1' WHERE version = $version");
is($dba->state('CALL tenancy.migrate()'), '00000', 'and once it is repaired, goes on');

# ---------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------
my $files = $node->basedir . '/migrations';
mkdir $files;
sub file
{
	my ($name, $text) = @_;

	append_to_file("$files/$name", $text);
	return;
}
file('00000000000101_add_price.sql', "ALTER TABLE notes ADD COLUMN price int;\n");
file('00000000000102_index__price.sql', "-- tenancy: transactional=false\nCREATE INDEX CONCURRENTLY notes_price ON notes (price);\n");
file('99_old.sql', "CREATE TABLE old (caf\xc3\xa9 int);");
file('README.md', 'not SQL');
mkdir "$files/undo";
file('00000000000101_add_price.down.sql', 'ALTER TABLE notes DROP COLUMN price');
is($node->safe_psql($db, "SELECT tenancy.load_migrations('$files')"), 3, 'files are loaded');
is($node->safe_psql($db, "SELECT tenancy.load_migrations('$files')"), 0, 'once');
is($node->safe_psql($db, 'SELECT version, description, transactional FROM tenancy.migration WHERE version >= 99 ORDER BY 1'),
	"99|old|t\n101|add price|t\n102|index  price|f", 'by version');
is($dba->state('CALL tenancy.migrate()'), '00000', 'and applied');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_attribute WHERE attname = U&'caf\00e9' AND NOT attisdropped}), $schemas + 1, 'in UTF-8');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_class c JOIN pg_index ON indexrelid = c.oid WHERE relname = 'notes_price' AND indisvalid}),
	$schemas + 1, 'without a transaction, too');
is($node->safe_psql('tenant_d1', q{SELECT count(*) FROM pg_class c JOIN pg_index ON indexrelid = c.oid WHERE relname = 'notes_price' AND indisvalid}),
	1, 'in databases as well');
sub refused
{
	my ($what, $state, $message) = @_;
	my $result = $dba->query("SELECT tenancy.load_migrations('$files')");

	is($result->{state}, $state, "$what is refused");
	like($result->{messages}, $message, "$what: with the reason");
	return;
}
file('99_old.sql', ' -- changed');
refused('a changed file', '55000', qr/applied with another text.*checksum of the text that was applied is [0-9a-f]{64}, that of the new one is [0-9a-f]{64}/s);
unlink "$files/99_old.sql";
file('100_late.sql', 'SELECT 1');
refused('a late file', '55000', qr/comes before migration 102/);
unlink "$files/100_late.sql";
file('0102_twice.sql', 'SELECT 1');
refused('a version twice', '42710', qr/two files with version 102/);
unlink "$files/0102_twice.sql";
for my $name ('create_table.sql', '103.sql', '103-dash.sql', '99999999999999999999_big.sql', '-5_x.sql')
{
	file($name, 'SELECT 1');
	refused("the name $name", '42602', qr/does not have the form/);
	unlink "$files/$name";
}
file('55_nothing.down.sql', 'SELECT 1');
refused('a down file without its migration', '42602', qr/undoes migration 55/);
unlink "$files/55_nothing.down.sql";
file('103_wrong.sql', "SELECT 1;\nSELECT FROM WHERE;");
refused('a syntax error', '42601', qr/statement 2, line 2 of the migration.*103_wrong\.sql/s);
unlink "$files/103_wrong.sql";
file('103_latin.sql', "SELECT '\xe9'");
refused('another encoding', '22021', qr/103_latin\.sql/);
unlink "$files/103_latin.sql";
symlink '/etc', "$files/104_dir.sql";
refused('a directory', '42809', qr/not a regular file/);
unlink "$files/104_dir.sql";
is($dba->state('CALL tenancy.rollback(101)'), '55000', 'what cannot be undone is not begun to be');
file('00000000000102_index__price.down.sql', 'DROP INDEX notes_price');
is($node->safe_psql($db, "SELECT tenancy.load_migrations('$files')"), 1, 'a down file that came later');
is($dba->state('CALL tenancy.rollback(101)'), '00000', 'is used');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_attribute WHERE attname = 'price' AND NOT attisdropped}), 0, 'in all schemas');
is($dba->state('CALL tenancy.migrate()'), '00000', 'and forward again');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_class c JOIN pg_index ON indexrelid = c.oid WHERE relname = 'notes_price' AND indisvalid}),
	$schemas + 1, 'as before');
$version = 1000;

# ---------------------------------------------------------------------------
# Few background workers: those for tenants' databases find room
# ---------------------------------------------------------------------------
$node->append_conf('postgresql.conf', 'max_worker_processes = 3');
$node->restart;
add('ALTER TABLE notes ADD COLUMN few int');
$node->safe_psql($db, q{CALL tenancy.migrate(workers => 4, retries => 0)});
is(states(), "current @{[ $copies + 1 ]}", 'tenants with databases are migrated with two background workers');
$node->append_conf('postgresql.conf', 'max_worker_processes = 8');
$node->restart;

# ---------------------------------------------------------------------------
# Many tenants: a worker does its part, and another one goes on
# ---------------------------------------------------------------------------
new_application($node, 'many', tables => 1);
$node->safe_psql('many', q{
	CREATE TABLE public.seen (pid int);
	GRANT INSERT ON public.seen TO shop_owner;
});
$node->safe_psql('many', join(";\n", map { "SELECT tenancy.create_tenant('t$_', 'schema')" } 1 .. 1600));
$node->safe_psql('many', q{
	SELECT tenancy.add_migration(1, 'INSERT INTO public.seen VALUES (pg_backend_pid())');
	CALL tenancy.migrate(workers => 1);
});
is($node->safe_psql('many', q{SELECT string_agg(DISTINCT state, ',') FROM tenancy.migration_status}), 'current',
	'all of 1600 tenants are migrated');
is($node->safe_psql('many', q{SELECT count(*) || ' by ' || count(DISTINCT pid) FROM seen}), '1601 by 3',
	'... by one worker for the model and two for the copies');

# A tenant that fails is tried once, whatever number of workers is about.
$node->safe_psql('many', q{SELECT tenancy.add_migration(2, 'SELECT 1 / (tenancy.current_tenant_id() IS NULL)::int')});
is(sqlstate($node, 'many', 'postgres', 'CALL tenancy.migrate(workers => 4)'), '55000', 'a migration that fails everywhere');
is($node->safe_psql('many', q{SELECT state, attempts, count(*) FROM tenancy.migration_status GROUP BY 1, 2}), 'failed|1|1600',
	'... has been tried once for each tenant');

# ---------------------------------------------------------------------------
# Crashes at random moments: each migration is applied exactly once
# ---------------------------------------------------------------------------
srand(42);
my %blow = (
	'SIGKILL of a worker' => sub { my $pid = $node->safe_psql($db, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tenancy worker' ORDER BY random() LIMIT 1}); kill 'KILL', $pid if $pid; },
	'SIGKILL of the leader' => sub { my ($caller) = @_; kill 'KILL', $caller->{pid}; },
	'immediate shutdown' => sub { $node->stop('immediate'); $node->start; },
	'SIGKILL of the postmaster' => sub { $node->kill9; },
	'SIGTERM of a worker' => sub { $node->safe_psql($db, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'tenancy worker' ORDER BY random() LIMIT 1}); },
);
my @ways = sort keys %blow;
my $good = 0;
my $interrupted = 0;
for my $round (1 .. $rounds)
{
	my $way = $ways[$round % @ways];
	my $caller = session($node, $db);

	add("ALTER TABLE notes ADD COLUMN r$version int DEFAULT $version; SELECT pg_sleep(0.01);\n" .
		($round % 3 ? "CREATE INDEX notes_r$version ON notes (r$version)" : "CREATE INDEX CONCURRENTLY notes_r$version ON notes (r$version)"),
		'transactional => ' . ($round % 3 ? 'true' : 'false'));
	$caller->send('CALL tenancy.migrate(workers => 2)');
	usleep(1000 * rand 250);

	my $offset = -s $node->logfile;
	my $struck = eval { $blow{$way}->($caller) };

	$caller->wait;
	# whatever has happened, the server comes back
	if ($way eq 'SIGKILL of the postmaster')
	{
		my $up;

		# its children end by themselves
		for (1 .. 200)
		{
			usleep(100_000);
			$node->{_pid} = undef;
			last if $up = $node->start(fail_ok => 1);
		}
		die 'the server does not start' unless $up;
	}
	recovered($node, $struck && $way =~ /SIGKILL of (?!the postmaster)/ ? $offset : undef);
	slow($node, $db, $no_worker);
	$interrupted++ if $node->safe_psql($db, 'SELECT count(*) > 0 FROM tenancy.migration_status WHERE pending > 0') eq 't';
	my $again = $node->psql($db, 'CALL tenancy.migrate()', stderr => \my $err);
	if ($again == 0 && states() eq 'current ' . ($copies + 1)) { $good++ }
	else { diag("round $round, $way: " . states() . " $err"); last }
}
is($good, $rounds, "after each of $rounds crashes one call finishes the migration");
cmp_ok($interrupted, '>', $rounds / 4, "$interrupted calls were interrupted before the end");

# Each column is there once, as a matter of course; so each migration must have
# been applied, and none can have been twice: the second time fails.
my $expected = $node->safe_psql($db, q{SELECT count(*) FROM tenancy.migration WHERE sql ~ 'ADD COLUMN r'});
my $columns = q{FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relname = 'notes' AND relkind = 'r' AND attname ~ '^r\d' AND NOT attisdropped};
my $indexes = q{FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname ~ '^notes_r\d' AND indisvalid};
is($node->safe_psql($db, "SELECT DISTINCT count(*) $columns GROUP BY attrelid"), $expected, 'all schemas have had all migrations');
is($node->safe_psql($db, "SELECT DISTINCT count(*) $indexes GROUP BY indrelid"), $expected, 'with their indexes');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_index WHERE NOT indisvalid}), 0, 'none is left half built');
is($node->safe_psql($db, "SELECT count(*) $columns"), $expected * ($schemas + 1), 'and no schema was forgotten');
is($node->safe_psql("tenant_$_", "SELECT count(*) $columns"), $expected, "and so has database $_") for 'd1', 'd2';
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.migration_run WHERE finished_at IS NULL'), 0, 'no run is left open');
is($node->safe_psql($db, 'SELECT * FROM tenancy.drift()'), '', 'and no copy differs from its model');

# ---------------------------------------------------------------------------
# Workers that come when all is done, or have met an error, leave no lock to whoever
# gets their place among the processes
# ---------------------------------------------------------------------------
{
	my $offset = -s $node->logfile;

	foreach my $n (1 .. 20)
	{
		$node->safe_psql($db, "SELECT tenancy.add_migration(" . (900000000000000000 + $n) . ", 'CREATE TABLE late$n ()')");
		$node->safe_psql($db, 'CREATE TABLE tenant_t1.late20 ()') if $n == 20;
		$node->psql($db, 'CALL tenancy.migrate(workers => 6)');
	}
	ok($node->poll_query_until($db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'}), 'the workers end');
	is($node->safe_psql($db, q{SELECT count(*) FROM pg_locks l WHERE NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = l.pid)}), 0,
		'they have left no lock');
	unlike(slurp_file($node->logfile, $offset), qr/is already held|don't own a lock/, 'none meets another one\'s lock, nor misses its own');
}

$node->stop;
done_testing();
