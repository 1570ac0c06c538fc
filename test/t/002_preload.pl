# The library preloaded by the server, by the session, or not at all: the same
# isolation, and the same answers to forged settings.
#
# TAP and not regress, because it restarts the server with other settings,
# connects as ordinary roles with options of their own, and looks at warnings.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('preload');
my $db = 'shop';
new_application($node, $db);
my %id = (
	acme => '00000000-0000-4000-8000-00000000000a',
	hooli => '00000000-0000-4000-8000-00000000000b',
	globex => '00000000-0000-4000-8000-00000000000c',
	initech => '00000000-0000-4000-8000-00000000000d');
$node->safe_psql($db, qq{
	SELECT tenancy.create_tenant('acme', 'shared', '$id{acme}');
	SELECT tenancy.create_tenant('hooli', 'shared', '$id{hooli}');
	SELECT tenancy.create_tenant('globex', 'schema', '$id{globex}');
	SELECT tenancy.create_tenant('initech', 'database', '$id{initech}');
	SELECT tenancy.grant_access('clerk', 'acme');
});
for my $slug ('acme', 'hooli', 'globex', 'initech')
{
	my $where = $slug eq 'initech' ? 'tenant_initech' : $db;

	$node->safe_psql($where, qq{BEGIN; SELECT tenancy.set_tenant('$slug');
		INSERT INTO notes (note) VALUES ('note of $slug'), ('more of $slug'); COMMIT}, extra_params => [ '-U', 'app' ]);
}

# What a new session sees without having set anything.
sub without_context
{
	my ($what, $role, $options, @before) = @_;
	my $s = session($node, $db, $role, options => $options);

	# With the settings known to the server, it refuses the connection.
	if (!$s->{pid} && defined $options)
	{
		ok($what =~ /^shared_preload/, "$what: only a preloaded library refuses the connection");
		like($s->{refused}, qr/permission denied to set parameter "tenancy\.|invalid value for parameter "tenancy\./i, "$what: because of the setting");
		return;
	}
	$s->query($_) for @before;
	is($s->state('SELECT * FROM shop.notes'), 'TN001', "$what: no shared rows");
	is($s->state('SELECT * FROM tenant_globex.notes'), $role eq 'app' ? 'TN001' : '42501', "$what: no rows of a schema tenant");
	is($s->state(q{INSERT INTO shop.notes (note) VALUES ('forged')}), 'TN001', "$what: nothing is written");
	is($s->rows('SELECT tenancy.current_tenant()'), '', "$what: no tenant");
	is($s->rows(q{SELECT tenancy.set_tenant('acme', false)}), $id{acme}, "$what: an honest context works");
	is($s->rows('SELECT note FROM notes ORDER BY note'), "more of acme\nnote of acme", "$what: and shows its rows");
	$s->rows('SELECT tenancy.reset_tenant()');
	is($s->rows('SELECT tenancy.current_tenant()'), '', "$what: and ends");
	is($s->state('SELECT * FROM shop.notes'), 'TN001', "$what: with nothing left");
	$s->rows('RESET ALL');
	is($s->state('SELECT * FROM shop.notes'), 'TN001', "$what: not after RESET ALL either");
	$s->quit;
}

sub suite
{
	my ($how) = @_;

	for my $role ('app', 'clerk')
	{
		without_context("$how, $role", $role, undef);
		without_context("$how, $role, PGOPTIONS", $role, "-c tenancy.tenant_id=$id{hooli}");
		without_context("$how, $role, PGOPTIONS in another case", $role, "-c Tenancy.Tenant_ID=$id{hooli}");
		without_context("$how, $role, PGOPTIONS with --", $role, "--tenancy.tenant_id=$id{globex}");
		without_context("$how, $role, PGOPTIONS missing_tenant", $role, '-c tenancy.missing_tenant=empty');
		without_context("$how, $role, SET as the first statement", $role, undef, "SET tenancy.tenant_id = '$id{hooli}'");
		without_context("$how, $role, set_config() as the first statement", $role, undef, "SELECT set_config('tenancy.tenant_id', '$id{hooli}', false)");
		without_context("$how, $role, SET missing_tenant as the first statement", $role, undef, "SET tenancy.missing_tenant = 'empty'");
		without_context("$how, $role, all of them", $role, "-c tenancy.tenant_id=$id{globex} -c tenancy.missing_tenant=empty", "SET tenancy.tenant_id = '$id{hooli}'");
		without_context("$how, $role, not a uuid", $role, '-c tenancy.tenant_id=hooli', q{SET tenancy.tenant_id = ''' OR true --'});
		without_context("$how, $role, a path that leads elsewhere", $role, '-c search_path=tenant_globex,pg_temp -c tenancy.search_path=pg_temp,public');

		# within a transaction, and across savepoints
		my $s = session($node, $db, $role);
		$s->query("BEGIN; SET LOCAL tenancy.tenant_id = '$id{hooli}'");
		$s->query('ROLLBACK; BEGIN') if $how ne 'not preloaded';
		is($s->state('SELECT * FROM shop.notes'), 'TN001', "$how, $role, SET LOCAL: no rows");
		$s->query('ROLLBACK');
		is($s->state('SELECT * FROM shop.notes'), 'TN001', "$how, $role, SET LOCAL: not after it either");
		$s->quit;

		# what an ordinary role may not leave for its next session
		is(sqlstate($node, $db, $role, "ALTER ROLE $role SET tenancy.tenant_id = '$id{hooli}'"), '42501', "$how, $role: ALTER ROLE SET");
		is(sqlstate($node, $db, $role, "ALTER ROLE $role IN DATABASE $db SET tenancy.tenant_id = '$id{hooli}'"), '42501', "$how, $role: ALTER ROLE IN DATABASE SET");
		is(sqlstate($node, $db, $role, "ALTER ROLE $role SET tenancy.missing_tenant = 'empty'"), '42501', "$how, $role: ALTER ROLE SET missing_tenant");
		is(sqlstate($node, $db, $role, "ALTER DATABASE $db SET tenancy.tenant_id = '$id{hooli}'"), '42501', "$how, $role: ALTER DATABASE SET");
		is(sqlstate($node, $db, $role, "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql SET tenancy.tenant_id = '$id{hooli}' AS 'SELECT 1'"), '42501', "$how, $role: a function's SET clause");
		is(sqlstate($node, $db, $role, q{LOAD 'tenancy'}), '42501', "$how, $role: LOAD");
		is(sqlstate($node, $db, $role, "SET tenancy.tenant = 'hooli'; SELECT tenancy.current_tenant()"), '00000', "$how, $role: a setting that does not exist")
			if $how eq 'not preloaded';
	}

	# honest work
	my $s = session($node, $db, 'app');
	for my $slug ('acme', 'hooli', 'globex')
	{
		is($s->rows("BEGIN; SELECT tenancy.set_tenant('$slug') \\g /dev/null\nSELECT note FROM notes ORDER BY note"), "more of $slug\nnote of $slug", "$how: $slug sees its own");
		$s->rows('COMMIT');
	}
	is($s->state(q{SELECT tenancy.set_tenant('initech')}), 'TN003', "$how: initech lives elsewhere");
	$s->quit;
	$s = session($node, 'tenant_initech', 'app');
	is($s->rows('SELECT note FROM notes ORDER BY note'), "more of initech\nnote of initech", "$how: where it has its rows");
	is($s->rows('SELECT tenancy.current_tenant()'), 'initech', "$how: and its context");
	$s->quit;
	for my $options ("-c tenancy.tenant_id=$id{hooli}", '-c tenancy.tenant_id=')
	{
		$s = session($node, 'tenant_initech', 'app', options => $options);
		my $r = $s->query('SELECT tenancy.current_tenant()');
		if (!$s->{pid})
		{
			like($s->{refused}, qr/permission denied to set parameter "tenancy/, "$how: in its database, $options is refused");
			next;
		}
		ok($r->{state} ne '00000' || $r->{rows} =~ /^(initech)?$/, "$how: in its database, $options makes nobody else of it");
		$r = $s->query('SELECT count(*) FROM shop.notes');
		ok($r->{state} eq 'TN001' || $r->{rows} eq '2', "$how: and shows its own rows or none");
		$s->quit;
	}

	# What an administrator sets is honoured, and still no more than a claim.
	$node->safe_psql('postgres', "ALTER ROLE clerk IN DATABASE $db SET tenancy.tenant_id = '$id{acme}'");
	$s = session($node, $db, 'clerk');
	is($s->rows('SELECT count(*) FROM shop.notes'), '2', "$how: a context that an administrator gave the role");
	$s->quit;
	$node->safe_psql('postgres', "ALTER ROLE clerk IN DATABASE $db SET tenancy.tenant_id = '$id{hooli}'");
	$s = session($node, $db, 'clerk');
	is($s->state('SELECT count(*) FROM shop.notes'), '42501', "$how: but not for a tenant that it may not act for");
	is($s->rows(q{SELECT tenancy.set_tenant('acme', false) \g /dev/null
		SELECT count(*) FROM shop.notes}), '2', "$how: which it can leave");
	$s->quit;
	$node->safe_psql('postgres', "ALTER ROLE clerk IN DATABASE $db SET tenancy.missing_tenant = 'empty'");
	$node->safe_psql('postgres', "ALTER ROLE clerk IN DATABASE $db RESET tenancy.tenant_id");
	$s = session($node, $db, 'clerk');
	is($s->rows('SELECT count(*) FROM shop.notes'), '0', "$how: missing_tenant = empty shows no rows");
	is($s->state(q{INSERT INTO shop.notes (note) VALUES ('x')}), '42501', "$how: and takes none");
	is($s->state(qq{INSERT INTO shop.notes (tenant_id, note) VALUES ('$id{acme}', 'x')}), '42501', "$how: of nobody");
	is($s->rows('UPDATE shop.notes SET note = note RETURNING 1'), '', "$how: changes none");
	$s->quit;
	$node->safe_psql('postgres', "ALTER ROLE clerk IN DATABASE $db RESET ALL");

	# Warnings
	$s = session($node, $db, 'app');
	like($s->query(q{SELECT tenancy.set_tenant('acme')})->{messages}, qr/WARNING:  25P01: the tenant context ends with this statement.*HINT/s, "$how: a local context outside a transaction is warned of");
	is($s->query(q{SELECT tenancy.set_tenant('acme', false)})->{messages}, '', "$how: one for the session is not");
	$s->rows('SELECT tenancy.reset_tenant()');
	is($s->query(q{BEGIN; SELECT tenancy.set_tenant('acme'); COMMIT})->{messages}, '', "$how: nor one in a transaction");
	is($s->query(q{DO $$ BEGIN PERFORM tenancy.set_tenant('acme'); PERFORM * FROM notes; END $$})->{messages}, '', "$how: nor one in a DO block that goes on");
	is($s->query("SELECT tenancy.set_tenant('acme') \\; SELECT count(*) FROM notes")->{messages}, '', "$how: nor one with statements in the same string");
	$s->quit;
}

suite('not preloaded');

$node->append_conf('postgresql.conf', q{session_preload_libraries = 'tenancy'});
$node->restart;
suite('session_preload_libraries');

$node->append_conf('postgresql.conf', q{session_preload_libraries = ''
shared_preload_libraries = 'tenancy'});
$node->restart;
suite('shared_preload_libraries');

# A database without the extension is none of our business.
$node->safe_psql('postgres', 'CREATE DATABASE plain');
is($node->safe_psql('plain', 'CREATE TABLE t (a int); SELECT count(*) FROM t'), '0', 'preloaded, in a database without the extension');
is($node->safe_psql('plain', q{SELECT current_setting('tenancy.tenant_id')}), '', 'where the settings exist');

# and local_preload_libraries is for libraries that are made for it
$node->append_conf('postgresql.conf', q{shared_preload_libraries = ''});
$node->restart;
is(session($node, $db, 'app', options => '-c local_preload_libraries=tenancy')->{pid}, '', 'local_preload_libraries does not load it');

$node->stop;
done_testing();
