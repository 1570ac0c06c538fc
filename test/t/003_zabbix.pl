# A real application: the schema and data of Zabbix, as Debian packages them,
# for a tenant with a schema and one with a database.  Nothing in its SQL knows
# of tenants: unqualified names, as an ordinary role.
#
# TAP and not regress, because the input is fetched when the test runs (its
# directory is in ZABBIX_SQL), is loaded by several sessions at once, and is
# compared by pg_dump across databases.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;
use Time::HiRes qw(time);

my $sql = $ENV{ZABBIX_SQL} // '';

if (!-f "$sql/data.sql")
{
	plan skip_all => "there is no apt-get to fetch Zabbix's schema with"
		if system('command -v apt-get >/dev/null') != 0;
	die "ZABBIX_SQL names no directory with schema.sql, images.sql and data.sql";
}

my $node = new_cluster('zabbix', 'max_wal_size = 4GB', 'shared_buffers = 256MB');

# ---------------------------------------------------------------------------
# The model, loaded by its owner; and, to compare with, a plain database
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', $_) for 'CREATE ROLE zabbix_owner NOLOGIN', 'CREATE DATABASE plain', 'CREATE DATABASE monitor';
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$sql/schema.sql" ], 'schema.sql, plainly');
$node->safe_psql('monitor', q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA zabbix AUTHORIZATION zabbix_owner;
	GRANT USAGE ON SCHEMA zabbix TO app;
});
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('monitor'),
	'-c', 'SET ROLE zabbix_owner', '-c', 'SET search_path = zabbix', '-f', "$sql/schema.sql",
	'-c', 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA zabbix TO app',
	'-c', 'GRANT USAGE ON ALL SEQUENCES IN SCHEMA zabbix TO app' ], 'schema.sql, as the model');
is($node->safe_psql('monitor', q{SELECT count(*) FROM pg_tables WHERE schemaname = 'zabbix'}),
	$node->safe_psql('plain', q{SELECT count(*) FROM pg_tables WHERE schemaname = 'public'}), 'all tables are in the model schema');
cmp_ok($node->safe_psql('monitor', q{SELECT count(*) FROM pg_tables WHERE schemaname = 'zabbix'}), '>', 150, 'and there are many');

# ---------------------------------------------------------------------------
# Tenants
# ---------------------------------------------------------------------------
$node->safe_psql('monitor', q{
	SELECT tenancy.create_module('zabbix', 'zabbix');
	SELECT tenancy.grant_access('app');
});
is(sqlstate($node, 'monitor', undef, q{SELECT tenancy.create_tenant('zp', 'shared')}), '55000', 'no shared tenant: its tables know no tenants');
for (['zs', 'schema'], ['zd', 'database'], ['zo', 'schema'])
{
	my ($slug, $mode) = @$_;
	my $start = time;

	$node->safe_psql('monitor', "SELECT tenancy.create_tenant('$slug', '$mode')");
	note(sprintf('create_tenant(%s, %s): %.0f ms', $slug, $mode, 1000 * (time - $start)));
}
is($node->safe_psql('monitor', q{SELECT string_agg(slug, ' ' ORDER BY slug) FROM tenancy.tenants}), 'zd zo zs', 'three tenants');

# ---------------------------------------------------------------------------
# Objects: as in the model
# ---------------------------------------------------------------------------
sub definition
{
	my ($database, $schema) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '--schema-only', '-n', $schema, '-d', $node->connstr($database) ]);
	my @lines = grep { !/^(--|SET|SELECT pg_catalog\.set_config|\\(un)?restrict|$)/ } split /\n/, $out;

	# what makes a table a tenant's is not the application's
	@lines = grep { !/^CREATE POLICY tenant_(isolation|access) ON|^ALTER TABLE (ONLY )?\S+ (ENABLE|FORCE) ROW LEVEL SECURITY;$/ } @lines;
	s/\b\Q$schema\E\./zabbix./g, s/SCHEMA \Q$schema\E\b/SCHEMA zabbix/g for @lines;
	return join("\n", @lines) . "\n";
}

# What differs, for people to read; nothing if all is the same.
sub differences
{
	my ($have, $want) = @_;
	my %have = map { $_ => 1 } split /\n/, $have;
	my %want = map { $_ => 1 } split /\n/, $want;
	my @differences = ((map { "- $_" } grep { !$have{$_} } sort keys %want), (map { "+ $_" } grep { !$want{$_} } sort keys %have));

	push @differences, 'another order' if !@differences && $have ne $want;
	$#differences = 19 if @differences > 20;
	return join("\n", @differences);
}
my $model = definition('monitor', 'zabbix');
cmp_ok(length($model), '>', 100_000, 'the definition of the model');
is(differences(definition('monitor', 'tenant_zs'), $model), '', "the schema tenant's objects are the model's");
is($node->safe_psql('monitor', q{SELECT object FROM tenancy.check_isolation() WHERE lint LIKE '%_names_model'}), '', 'nothing in the model names it in a text');
# CONNECT lets in to a tenant's database; whoever it lets in may use the schema
is(differences(definition('tenant_zd', 'zabbix'), $model), '+ GRANT USAGE ON SCHEMA zabbix TO PUBLIC;', "the database tenant's objects are the model's");
my $shape = q{SELECT concat_ws(' ',
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'SCHEMA'::regnamespace AND relkind = 'r'), 'tables',
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'SCHEMA'::regnamespace AND relkind = 'i'), 'indexes',
	(SELECT count(*) FROM pg_constraint WHERE connamespace = 'SCHEMA'::regnamespace AND contype = 'f'), 'foreign keys',
	(SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'SCHEMA'::regnamespace AND relkind = 'r'), 'columns')};
my $plain = $node->safe_psql('plain', $shape =~ s/SCHEMA/public/gr);
note($plain);
is($node->safe_psql('monitor', $shape =~ s/SCHEMA/tenant_zs/gr), $plain, 'as many of each kind as in the plain database: schema');
is($node->safe_psql('tenant_zd', $shape =~ s/SCHEMA/zabbix/gr), $plain, 'database');
is($node->safe_psql('monitor', q{SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_zs'::regnamespace AND relkind = 'r' AND NOT (relrowsecurity AND relforcerowsecurity)}), '0', "all of the schema tenant's tables are behind policies");
is($node->safe_psql('monitor', q{SELECT count(*) FROM pg_constraint c JOIN pg_class r ON r.oid = confrelid WHERE connamespace = 'tenant_zs'::regnamespace AND r.relnamespace <> connamespace}), '0', 'no foreign key leaves its schema');
is($node->safe_psql('monitor', q{SELECT count(DISTINCT relowner) || ' ' || min(relowner::regrole::text) FROM pg_class WHERE relnamespace = 'tenant_zs'::regnamespace}), '1 zabbix_owner', 'all belong to the owner of the model');

# ---------------------------------------------------------------------------
# Data: the package's own files, by three sessions at once
# ---------------------------------------------------------------------------
# A row or two are part of schema.sql, and went to the model with it: a tenant
# gets them with its data.
my $seed = $node->basedir . '/seed.sql';
append_to_file($seed, join '', grep { /^INSERT INTO .*;$/ } map { "$_\n" } split /\n/, slurp_file("$sql/schema.sql"));
cmp_ok(-s $seed, '>', 0, 'schema.sql has rows of its own');

my %load = (
	'plainly' => [ 'plain', undef, [] ],
	'for the schema tenant' => [ 'monitor', 'app', [ '-c', q{SELECT tenancy.set_tenant('zs', false)}, '-f', $seed ] ],
	'for the database tenant' => [ 'tenant_zd', 'app', [ '-c', q{SELECT tenancy.set_tenant('zd', false)}, '-f', $seed ] ]);
my (%run, %err);
my $start = time;

for my $name (sort keys %load)
{
	my ($database, $role, $before) = @{ $load{$name} };

	$err{$name} = '';
	$run{$name} = start([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($database) . ($role ? " user=$role" : ''),
		@$before, '-f', "$sql/images.sql", '-f', "$sql/data.sql" ], '<', '/dev/null', '2>', \$err{$name});
}
ok(finish($run{$_}), "images.sql and data.sql, $_") or diag($err{$_}) for sort keys %run;
note(sprintf('loading: %.1f s', time - $start));

# The rows of each table: their number, and a sum over their contents.
sub contents
{
	my ($database, $schema, $context) = @_;
	my $tables = $node->safe_psql($database, qq{SELECT tablename FROM pg_tables WHERE schemaname = '$schema' ORDER BY tablename COLLATE "C"});
	my $query = join ' UNION ALL ', map { qq{SELECT '$_', count(*), sum(hashtextextended(t::text, 0)) FROM $_ t} } split /\n/, $tables;

	return join "\n", sort split /\n/, $node->safe_psql($database, qq{BEGIN; } . ($context ? "SELECT tenancy.set_tenant('$context') \\g /dev/null\n" : '') . "$query;\nCOMMIT",
		extra_params => $context ? [ '-U', 'app' ] : []);
}
my $rows = contents('plain', 'public');
my $total = 0;
$total += (split /\|/)[1] for split /\n/, $rows;
cmp_ok($total, '>', 100_000, 'rows of a plain load');
is(differences(contents('monitor', 'tenant_zs', 'zs'), $rows), '', 'the schema tenant has the same rows in each table');
is(differences(contents('tenant_zd', 'zabbix', 'zd'), $rows), '', 'the database tenant has the same rows in each table');

# ---------------------------------------------------------------------------
# Another tenant
# ---------------------------------------------------------------------------
my $nothing = join "\n", map { (split /\|/)[0] . '|0|' } split /\n/, $rows;
is(differences(contents('monitor', 'tenant_zo', 'zo'), $nothing), '', 'another tenant has no rows under the same names');

my $other = session($node, 'monitor', 'app');
my $reached = 0;
my $refused = 0;
$other->rows(q{SELECT tenancy.set_tenant('zo', false)});
for my $table (map { (split /\|/)[0] } split /\n/, $rows)
{
	$reached += $other->rows("SELECT count(*) FROM tenant_zs.$table");
	$refused++ if $other->rows("DELETE FROM tenant_zs.$table RETURNING 1") ne '';
}
is($reached, 0, "another tenant in context sees nothing in the schema tenant's tables");
is($refused, 0, 'nor can it delete anything there');
is($other->state(q{INSERT INTO tenant_zs.role (roleid, name) VALUES (99, 'planted')}), '42501', 'nor plant anything');
is($other->state(q{SELECT tenancy.set_tenant('zd')}), 'TN003', "nor reach the database tenant's from here");
$other->rows(q{SELECT tenancy.set_tenant('zs', false)});
is($other->rows('SELECT count(*) FROM users'), $node->safe_psql('plain', 'SELECT count(*) FROM users'), 'which its own context can');
$other->quit;
is(sqlstate($node, 'tenant_zd', 'app', q{SELECT tenancy.set_tenant('zs')}), 'TN003', 'nor does anybody else act in its database');
is($node->psql('tenant_zd', 'SELECT 1', extra_params => [ '-U', 'stranger' ]), 2, 'which lets nobody else in');
is(differences(contents('monitor', 'tenant_zs', 'zs'), $rows), '', 'after that, the schema tenant has what it had');

# the model is a model: none of this went there
is($node->safe_psql('monitor', q{SELECT count(*) FROM zabbix.users}), '0', 'no rows went to the model');

$node->safe_psql('monitor', qq{SELECT tenancy.drop_tenant('$_', true)}) for 'zs', 'zd', 'zo';
is($node->safe_psql('monitor', q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tenant\_%'}), '0', 'dropped, with all its tables');
is(leftovers($node, 'monitor'), '', 'and nothing is left behind');

$node->stop;
done_testing();
