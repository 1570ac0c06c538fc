# Two administrators at once: what one of them decided must not rest on what
# the other one has changed meanwhile.  And one who is no DBA: what he may call
# gives him no more rights than that.
#
# TAP and not an isolation spec, because it is the outcome that counts: whether
# the second one waits, fails or succeeds is left open, and work on databases
# waits in background workers, where the isolation tester does not see it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_cluster('administrators');
my $db = 'shop';
new_application($node, $db);
$node->safe_psql($db, q{SELECT tenancy.create_tenant('first', 'database')});

# The first does its work, the second comes while its transaction is open, and
# the first ends it.  Returns the second's result.
sub race
{
	my ($first, $second, $end) = @_;
	my $one = session($node, $db);
	my $two = session($node, $db);

	$one->rows("BEGIN; $first");
	$two->send($second);
	usleep(300_000);
	$one->query($end // 'COMMIT');
	my $result = $two->wait;
	$_->quit for $one, $two;
	slow($node, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
	# an internal error is no answer
	unlike($result->{state}, qr/^XX/, "$second: no internal error") or diag($result->{messages});
	return $result->{state};
}

# What there is of a tenant, by the names that it may have.
sub all_of
{
	my (@slugs) = @_;
	my $list = join ', ', map { "'$_'" } @slugs;
	my $names = join ', ', map { "'tenant_$_'" } @slugs;

	return $node->safe_psql($db, qq{SELECT concat_ws(' ',
		(SELECT string_agg(slug || ':' || status, ' ') FROM tenancy.tenant WHERE slug IN ($list)),
		(SELECT string_agg('schema:' || nspname, ' ') FROM pg_namespace WHERE nspname IN ($names)),
		(SELECT string_agg('database:' || datname || ':' || CASE WHEN datallowconn THEN 'open' ELSE 'closed' END, ' ') FROM pg_database WHERE datname IN ($names)),
		(SELECT string_agg('pending:' || action, ' ') FROM tenancy.pending_database))});
}

my %place = (
	shared => sub { '' },
	schema => sub { " schema:tenant_$_[0]" },
	database => sub { " database:tenant_$_[0]:" . ($_[1] // 'open') });

for my $mode ('shared', 'schema', 'database')
{
	my $s = $mode;

	# resumed while it is dropped, unforced
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$s-a', '$mode'); SELECT tenancy.suspend_tenant('$s-a')");
	isnt(race("SELECT tenancy.resume_tenant('$s-a')", "SELECT tenancy.drop_tenant('$s-a')"), '00000', "$mode: a tenant that has just been resumed is not dropped");
	is(all_of("$s-a"), "$s-a:active" . $place{$mode}->("$s-a"), "$mode: and is all there");

	# renamed while it is dropped, forced
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$s-b', '$mode')");
	if (race("SELECT tenancy.rename_tenant('$s-b', '$s-b2')", "SELECT tenancy.drop_tenant('$s-b', true)") eq '00000')
	{
		is(all_of("$s-b", "$s-b2"), '', "$mode: renamed and dropped, nothing is left of it");
	}
	else
	{
		is(all_of("$s-b", "$s-b2"), "$s-b2:active" . $place{$mode}->("$s-b2"), "$mode: renamed and not dropped, all is left of it");
	}

	# dropped while it is suspended, renamed, dropped, granted
	for my $second ("suspend_tenant('$s-c')", "rename_tenant('$s-c', '$s-c2')", "drop_tenant('$s-c', true)", "grant_access('clerk', '$s-c')")
	{
		$node->safe_psql($db, "SELECT tenancy.create_tenant('$s-c', '$mode')");
		is(race("SELECT tenancy.drop_tenant('$s-c', true)", "SELECT tenancy.$second"), '42704', "$mode: $second after it was dropped: there is no such tenant");
		is(all_of("$s-c", "$s-c2"), '', "$mode: $second after it was dropped: nothing is left of it");
		# and if it was not dropped after all
		$node->safe_psql($db, "SELECT tenancy.create_tenant('$s-d', '$mode')");
		is(race("SELECT tenancy.drop_tenant('$s-d', true)", "SELECT tenancy." . ($second =~ s/-c/-d/gr), 'ROLLBACK'), '00000', "$mode: $second after the other one thought better of it");
		like(all_of("$s-d", "$s-d2"), $second =~ /^suspend/ ? qr/^$s-d:suspended/ : $second =~ /^rename/ ? qr/^$s-d2:active/ : $second =~ /^drop/ ? qr/^$/ : qr/^$s-d:active/, "$mode: $second takes place");
		$node->safe_psql($db, "SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenant WHERE slug LIKE '$s-d%'");
	}

	# two names
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$s-e', '$mode')");
	is(race("SELECT tenancy.rename_tenant('$s-e', '$s-e2')", "SELECT tenancy.rename_tenant('$s-e', '$s-e3')"), '42704', "$mode: renamed, it is no longer to be found by its old name");
	is(all_of("$s-e", "$s-e2", "$s-e3"), "$s-e2:active" . $place{$mode}->("$s-e2"), "$mode: and has the name that was first");

	# suspended twice
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$s-f', '$mode')");
	is(race("SELECT tenancy.suspend_tenant('$s-f')", "SELECT tenancy.suspend_tenant('$s-f')"), '55000', "$mode: suspended once");
	is(race("SELECT tenancy.resume_tenant('$s-f')", "SELECT tenancy.suspend_tenant('$s-f')"), '00000', "$mode: resumed and suspended again");
	is(all_of("$s-f"), "$s-f:suspended" . $place{$mode}->("$s-f", 'closed'), "$mode: is suspended");
	$node->safe_psql($db, "SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenant WHERE slug LIKE '$s-%'");
}

# ---------------------------------------------------------------------------
# Access, while there is a tenant to come
# ---------------------------------------------------------------------------
my %reach = (
	schema => sub { $node->safe_psql($db, "SELECT has_schema_privilege('clerk', 'tenant_$_[0]', 'USAGE')") },
	database => sub { $node->safe_psql($db, "SELECT has_database_privilege('clerk', 'tenant_$_[0]', 'CONNECT')") });
my $n = 0;

for my $mode ('schema', 'database')
{
	my ($grant, $revoke) = (q{SELECT tenancy.grant_access('clerk')}, q{SELECT tenancy.revoke_access('clerk')});
	my $slug;

	$node->safe_psql($db, $grant);
	$slug = 'new' . ++$n;
	race("SELECT tenancy.create_tenant('$slug', '$mode')", $revoke);
	is($reach{$mode}->($slug), 'f', "$mode: access revoked while a tenant is created: not to that one either");

	$node->safe_psql($db, $grant);
	$slug = 'new' . ++$n;
	race($revoke, "SELECT tenancy.create_tenant('$slug', '$mode')");
	is($reach{$mode}->($slug), 'f', "$mode: a tenant created while access is revoked: not to that one either");

	$slug = 'new' . ++$n;
	race("SELECT tenancy.create_tenant('$slug', '$mode')", $grant);
	is($reach{$mode}->($slug), 't', "$mode: access granted while a tenant is created: to that one, too");
	$node->safe_psql($db, $revoke);

	$slug = 'new' . ++$n;
	race($grant, "SELECT tenancy.create_tenant('$slug', '$mode')");
	is($reach{$mode}->($slug), 't', "$mode: a tenant created while access is granted: to that one, too");
	$node->safe_psql($db, $revoke);

	# to one tenant, which is renamed
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$mode-g', '$mode'); SELECT tenancy.grant_access('clerk', '$mode-g')");
	my $state = race("SELECT tenancy.rename_tenant('$mode-g', '$mode-g2')", "SELECT tenancy.revoke_access('clerk', '$mode-g')");
	is($reach{$mode}->("$mode-g2"), $state eq '00000' ? 'f' : 't', "$mode: revoked while it is renamed: by both names or by none");
	is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.access WHERE role = 'clerk'::regrole}), $state eq '00000' ? '0' : '1', "$mode: and so says the registry");
	$node->safe_psql($db, $revoke);
}

# ---------------------------------------------------------------------------
# What everybody does to welcome a tenant, side by side
# ---------------------------------------------------------------------------
for my $mode ('shared', 'schema', 'database')
{
	my @s = map { session($node, $db) } 1 .. 2;

	# the template of databases may have to be built, for which others do wait
	$node->safe_psql($db, "SELECT tenancy.create_tenant('$mode-w', '$mode'); SELECT tenancy.drop_tenant('$mode-w', true)");
	$s[ $_ - 1 ]->rows("BEGIN; SELECT tenancy.create_tenant('$mode-w$_', '$mode')") for 1 .. 2;
	$s[ $_ - 1 ]->send("SELECT tenancy.grant_access('clerk', '$mode-w$_')") for 1 .. 2;
	usleep(300_000);
	$s[0]->send('COMMIT');
	my $state = $s[1]->wait->{state};
	is($state, '00000', "$mode: two who create a tenant and grant access to it do not stand in each other's way");
	$s[1]->query('COMMIT');
	$s[0]->wait;
	is($node->safe_psql($db, "SELECT count(*) FROM tenancy.tenants WHERE slug LIKE '$mode-w%'"), '2', "$mode: both tenants are there");
	is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.access WHERE role = 'clerk'::regrole}), '2', "$mode: with their access");
	$_->quit for @s;
	$node->safe_psql($db, q{SELECT tenancy.revoke_access('clerk')});
}

# ---------------------------------------------------------------------------
# An administrator who is no DBA
#
# Where code looks for names that runs with the rights of the model's owner is not the
# caller's to say, and what others have named is no part of a statement.
# ---------------------------------------------------------------------------
my $paths = 'paths';
my $version = 0;

new_application($node, $paths);
$node->safe_psql($paths, q{
	CREATE ROLE support LOGIN;
	GRANT USAGE ON SCHEMA tenancy TO support;
	GRANT EXECUTE ON PROCEDURE tenancy.migrate, tenancy.rollback TO support;
	GRANT EXECUTE ON FUNCTION tenancy.create_tenant, tenancy.drop_tenant TO support;
	SELECT tenancy.create_tenant('copy', 'schema');
	CREATE SCHEMA helpers AUTHORIZATION support;
	GRANT USAGE ON SCHEMA helpers TO PUBLIC;
	CREATE FUNCTION shop.path_seen() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN EXECUTE format('COMMENT ON SCHEMA shop IS %L', current_setting('search_path')); RETURN OLD; END $$;
	ALTER FUNCTION shop.path_seen() OWNER TO shop_owner;
	CREATE TRIGGER path_seen BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.path_seen();
});

# What follows the tenant's schemas for migrations in the model and in a copy, and for a
# trigger that a drop fires, where one who may call these wants it to be something else.
sub paths_seen
{
	my $note = q{DO $$ BEGIN EXECUTE format('COMMENT ON TABLE notes IS %L', current_setting('search_path')); END $$};

	$version++;
	$node->safe_psql($paths, qq{
		SELECT tenancy.add_migration($version, q.q, down => q.q) FROM (SELECT \$q\$$note\$q\$) q (q);
		SELECT tenancy.create_tenant('pool');
		INSERT INTO shop.notes (note, tenant_id) SELECT 'a', id FROM tenancy.tenant WHERE slug = 'pool'});
	local $ENV{PGOPTIONS} = '-c tenancy.search_path=helpers';
	is(sqlstate($node, $paths, 'support', $_), '00000', "support: $_")
		for 'CALL tenancy.migrate()', q{SELECT tenancy.drop_tenant('pool', true)};
	delete $ENV{PGOPTIONS};
	my $seen = $node->safe_psql($paths, q{
		SELECT string_agg(DISTINCT regexp_replace(c, '^[^,]*, (.*), pg_temp$', '\1'), ' / ') FROM (VALUES
			(obj_description('shop.notes'::regclass, 'pg_class')), (obj_description('tenant_copy.notes'::regclass, 'pg_class')),
			(obj_description('shop'::regnamespace, 'pg_namespace'))) AS v (c)});
	return $seen;
}

my $owner = $node->safe_psql($paths, 'SELECT current_user');

is(paths_seen(), 'public', 'by default, public follows');
$node->append_conf('postgresql.conf', "tenancy.search_path = 'of_file'");
$node->reload;
is(paths_seen(), 'of_file', 'what the configuration file has');
$node->safe_psql($paths, "ALTER DATABASE $paths SET tenancy.search_path = 'of_database, public'");
is(paths_seen(), 'of_database, public', 'what the database has');
$node->safe_psql($paths, qq{ALTER ROLE "$owner" SET tenancy.search_path = 'of_owner'});
is(paths_seen(), 'of_owner', 'what the extension\'s owner has');
$node->safe_psql($paths, qq{ALTER ROLE "$owner" IN DATABASE $paths SET tenancy.search_path = ''});
like($node->safe_psql($paths, 'SHOW tenancy.search_path'), qr/^$/, 'the owner\'s sessions');
{
	local $ENV{PGOPTIONS} = '-c tenancy.search_path=helpers';
	is(sqlstate($node, $paths, 'support', "CALL tenancy.rollback($version)"), '00000', 'support: rollback()');
}
is($node->safe_psql($paths, q{SELECT obj_description('shop.notes'::regclass, 'pg_class')}), 'shop, pg_temp', 'and nothing, if that is what he has there');

# Whoever may create schemas and trusted extensions
$node->safe_psql($paths, qq{GRANT CREATE ON DATABASE $paths TO support});
is(sqlstate($node, $paths, 'support', q{CREATE SCHEMA "e$do$; ALTER ROLE support SUPERUSER; --"}), '00000', 'a schema of any name');
is(sqlstate($node, $paths, 'support', q{CREATE EXTENSION pgcrypto SCHEMA "e$do$; ALTER ROLE support SUPERUSER; --"}), '00000', 'an extension in it');
is(sqlstate($node, $paths, 'support', q{SELECT tenancy.create_tenant('named', 'database')}), '00000', 'a database with the extension');
is($node->safe_psql('tenant_named', q{SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pgcrypto'}),
	'e$do$; ALTER ROLE support SUPERUSER; --', 'where it was');
is($node->safe_psql($paths, q{SELECT rolsuper FROM pg_roles WHERE rolname = 'support'}), 'f', 'and nobody has become a superuser');
$node->safe_psql($paths, q{SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenant});

is(leftovers($node, $db), '', 'nothing is left behind');
$node->stop;
done_testing();
