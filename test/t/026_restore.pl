# Dumps restored in other ways than into an empty database at once: over what is
# there, with the database itself, in parts. (005_dump.pl has the plain ones.)
#
# TAP and not regress, because it runs pg_dump and pg_restore.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('restore');
my $db = 'shop';
my $dir = $node->basedir;

new_application($node, $db, tables => 2);
$node->safe_psql($db, q{
	ALTER ROLE shop_owner LOGIN;
	SET ROLE shop_owner;
	CREATE TABLE shop.events (day date NOT NULL, what text) PARTITION BY RANGE (day);
	CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	CREATE TABLE shop.lines (note text REFERENCES shop.notes);
	CREATE POLICY clerks ON shop.lines AS RESTRICTIVE TO clerk USING (note <> 'secret');
	GRANT SELECT, INSERT ON shop.events, shop.lines TO app;
	RESET ROLE;
	SELECT * FROM tenancy.protect_module('shop');
	SELECT tenancy.create_tenant('acme'), tenancy.create_tenant('globex', 'schema'), tenancy.create_tenant('asleep');
	SELECT tenancy.suspend_tenant('asleep', 'unpaid');
	SELECT tenancy.grant_access('clerk', 'acme');
	SELECT tenancy.create_token_key('k1', 'HS256', repeat('k', 32), dump => true);
	ALTER DATABASE shop SET tenancy.search_path = 'public, global';
	CREATE SCHEMA global;
});
$node->safe_psql($db, q{SELECT tenancy.create_tenant('initech', 'database')});
foreach my $slug ('acme', 'globex', 'initech')
{
	$node->safe_psql($slug eq 'initech' ? 'tenant_initech' : $db, qq{SELECT tenancy.set_tenant('$slug', false);
		INSERT INTO notes (note) VALUES ('note of $slug');
		INSERT INTO lines (note) VALUES ('note of $slug');
		INSERT INTO events (day, what) VALUES ('2026-01-01', 'event of $slug');
	}, extra_params => [ '-U', 'app' ]);
}
my ($registry, $objects) = (registry_of($node, $db), objects_of($node, $db));

# Is it what was dumped, and does it keep tenants apart?
sub check_restored
{
	my ($what, $name) = @_;

	same_lines(registry_of($node, $name), $registry, "$what: the registry is as it was");
	same_lines(objects_of($node, $name), $objects, "$what: policies, privileges, triggers and constraints are as they were");
	my $s = session($node, $name, 'app');
	is($s->state('SELECT * FROM shop.notes'), 'TN001', "$what: no context, no rows");
	foreach my $slug ('acme', 'globex')
	{
		$s->rows("SELECT tenancy.set_tenant('$slug', false)");
		is($s->rows('SELECT note, what FROM notes JOIN lines USING (note), events'), "note of $slug|event of $slug", "$what: $slug has its rows");
		is($s->rows('SELECT count(*) FROM tenant_globex.notes'), $slug eq 'globex' ? '1' : '0', "$what: $slug and the rows of globex");
	}
	is($s->state(q{SELECT tenancy.set_tenant('asleep', false)}), 'TN002', "$what: a suspended tenant");
	$s->quit;
	is(sqlstate($node, $name, 'clerk', q{SELECT tenancy.set_tenant('globex')}), '42501', "$what: no access");
	is(sqlstate($node, $name, 'shop_owner', q{SET ROLE shop_owner; ALTER TABLE shop.notes ADD COLUMN more int; ALTER TABLE shop.notes DROP COLUMN more}), '00000',
		"$what: the model's owner works on");
	return;
}

sub restored
{
	my ($what, $name, @restore) = @_;

	$node->command_ok([ 'pg_restore', '--exit-on-error', @$_, '-d', $node->connstr($name) ], "$what: pg_restore @$_[0 .. $#$_ - 1]") for @restore;
	return;
}

# ---------------------------------------------------------------------------
# Into another database
# ---------------------------------------------------------------------------
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/shop.dump", '-d', $node->connstr($db) ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-Fd', '-j', '2', '-f', "$dir/shop.dir", '-d', $node->connstr($db) ], 'pg_dump by two jobs');
my $file = "$dir/shop.dump";
my %ways = (
	'one transaction' => [ [ '--single-transaction', $file ] ],
	'a directory' => [ map { [ "--section=$_", '-j', '2', "$dir/shop.dir" ] } 'pre-data', 'data', 'post-data' ],
	sections => [ map { [ "--section=$_", '-j', '2', $file ] } 'pre-data', 'data', 'post-data' ],
	'schema, then data' => [ [ '--schema-only', $file ], [ '--data-only', '--disable-triggers', $file ] ],
);
foreach my $way (sort keys %ways)
{
	$node->safe_psql('postgres', 'CREATE DATABASE other');
	restored($way, 'other', @{ $ways{$way} });
	if ($way eq 'schema, then data')
	{
		# known of PostgreSQL: ENABLE TRIGGER ALL forgets that they always fire
		is($node->safe_psql('other', q{SELECT count(*) FROM tenancy.check_isolation() WHERE lint = 'protection_switched_off'}), '4', "$way: reported");
		$node->safe_psql('other', q{SELECT fix FROM tenancy.check_isolation() WHERE lint = 'protection_switched_off' \gexec});
	}
	check_restored($way, 'other');
	if ($way eq 'sections')
	{
		# over what is there by now
		$node->safe_psql('other', q{SELECT tenancy.create_tenant('surplus'), tenancy.grant_access('stranger')});
		restored('--clean', 'other', [ '--clean', '--if-exists', $file ]);
		check_restored('--clean', 'other');
		restored('--clean in one transaction', 'other', [ '--clean', '--if-exists', '--single-transaction', $file ]);
		check_restored('--clean in one transaction', 'other');
	}
	$node->safe_psql('postgres', 'DROP DATABASE other');
}

# ---------------------------------------------------------------------------
# In place of the original
# ---------------------------------------------------------------------------
$node->command_ok([ 'pg_dump', '-Fc', '--create', '-f', $file, '-d', $node->connstr($db) ], 'pg_dump --create');
restored('--clean --create', 'postgres', [ '--clean', '--create', $file ]);
check_restored('--clean --create', $db);
is($node->safe_psql($db, q{SELECT current_setting('tenancy.search_path')}), 'public, global', "--create: the database's setting");
is($node->safe_psql($db, 'SELECT object, action FROM tenancy.repair()'), 'database tenant_initech|taken over by this one', "--create: repair() takes tenants' databases over");
is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', '--create: and finds no more');
is($node->safe_psql($db, 'SELECT * FROM tenancy.drift()'), '', '--create: no drift');

my $inside = objects_of($node, 'tenant_initech');
$node->command_ok([ 'pg_dump', '-Fc', '--create', '-f', "$dir/initech.dump", '-d', $node->connstr('tenant_initech') ], "pg_dump --create of a tenant's database");
restored("a tenant's database", 'postgres', [ '--clean', '--create', "$dir/initech.dump" ]);
same_lines(objects_of($node, 'tenant_initech'), $inside, "a tenant's database: policies, privileges, triggers and constraints are as they were");
is($node->safe_psql('tenant_initech', 'SELECT tenancy.current_tenant(), note FROM notes', extra_params => [ '-U', 'app' ]), 'initech|note of initech', "a tenant's database: its rows");
is($node->psql('tenant_initech', 'SELECT', extra_params => [ '-U', 'stranger' ]), 2, "a tenant's database: others stay out");
is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', "a tenant's database: it is this one's");
is($node->safe_psql($db, 'SELECT * FROM tenancy.drift()'), '', "a tenant's database: no drift");
is(sqlstate($node, $db, undef, q{CALL tenancy.move_tenant('initech', 'schema')}), '00000', "a tenant's database: it can be moved");

# ---------------------------------------------------------------------------
# Within a recording
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT tenancy.start_recording(1, 'colours')});
($registry, $objects) = (registry_of($node, $db), objects_of($node, $db) =~ s/^(event trigger\|tenancy_record_\w+) O$/$1 D/gmr);
$node->command_ok([ 'pg_dump', '-Fc', '--create', '-f', $file, '-d', $node->connstr($db) ], 'pg_dump --create within a recording');
restored('a recording', 'postgres', [ '--clean', '--create', $file ]);
check_restored('a recording', $db);
is(sqlstate($node, $db, undef, 'SELECT tenancy.stop_recording()'), '55000', 'a recording: it has not come along');
like($node->safe_psql($db, q{SELECT object, problem FROM tenancy.repair()}), qr/^setting tenancy.recording of the database\|there is no recording$/m,
	'a recording: repair() knows that');
is($node->safe_psql($db, q{SHOW tenancy.recording}), 'off', 'a recording: sessions are recorded no longer');
is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'a recording: repair() finds no more');

$node->stop;
done_testing();
