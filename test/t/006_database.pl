# Tenants with a database of their own: who gets in, what is there, and what
# happens to sessions in it.
#
# TAP and not regress, because a tenant's database is another database to
# connect to, as several roles and from many sessions at once, some of which
# get disconnected.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('database');
my $db = 'shop';
new_application($node, $db, tables => 20);

my $idle = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};

# SQLSTATE of a statement in a new session; of connecting to begin with.
sub connecting
{
	my ($database, $role) = @_;
	my ($out, $err);

	return 'in' if $node->psql($database, 'SELECT 1', extra_params => [ '-U', $role ], stderr => \$err) == 0;
	return 'closed' if $err =~ /not currently accepting connections/;
	return 'refused' if $err =~ /permission denied for database/;
	return 'none' if $err =~ /does not exist/;
	return $err;
}

$node->safe_psql($db, q{
	CREATE SCHEMA extensions;
	GRANT USAGE ON SCHEMA extensions TO app;
	CREATE EXTENSION ltree SCHEMA extensions;
	CREATE EXTENSION citext;
	-- rights on tables, but not yet access, nor USAGE on the schema
	CREATE ROLE late LOGIN;
	GRANT SELECT, INSERT ON shop.notes TO late;
	SELECT tenancy.create_tenant('one', 'database', '00000000-0000-4000-8000-000000000001');
	SELECT tenancy.create_tenant('two', 'database', '00000000-0000-4000-8000-000000000002');
	SELECT tenancy.create_tenant('pool', 'shared', '00000000-0000-4000-8000-000000000003');
	SELECT tenancy.grant_access('clerk', 'one');
});

# ---------------------------------------------------------------------------
# From the application's database
# ---------------------------------------------------------------------------
for my $local ('true', 'false')
{
	is(sqlstate($node, $db, 'app', "SELECT tenancy.set_tenant('one', $local)"), 'TN003', "a tenant that lives elsewhere (is_local $local)");
}
{
	my $app = session($node, $db, 'app');
	like($app->query(q{SELECT tenancy.set_tenant('one')})->{messages}, qr/tenant_one/, 'the error says where');
	is($app->rows('SELECT tenancy.current_tenant()'), '', 'no context afterwards');
	is($app->rows(q{SELECT tenancy.tenant_database('one')}), 'tenant_one', 'tenant_database()');
	is($app->rows(q{SELECT tenancy.tenant_database('00000000-0000-4000-8000-000000000002')}), 'tenant_two', 'tenant_database() by id');
	is($app->rows(q{SELECT tenancy.tenant_database('pool')}), $db, 'tenant_database() of a shared tenant');
	$app->quit;
	my $clerk = session($node, $db, 'clerk');
	is($clerk->rows(q{SELECT tenancy.tenant_database('one')}), 'tenant_one', 'a role with access to it may ask, too');
	is($clerk->state(q{SELECT tenancy.tenant_database('two')}), '42501', 'but not where another tenant lives');
	is($clerk->state(q{SELECT tenancy.tenant_database('nosuch')}), '42501', 'which it cannot tell from none');
	is($clerk->state(q{SELECT tenancy.set_tenant('two')}), '42501', 'not by set_tenant() either');
	$clerk->quit;
}

# ---------------------------------------------------------------------------
# Who gets in
# ---------------------------------------------------------------------------
is(connecting('tenant_one', 'app'), 'in', 'app: one');
is(connecting('tenant_two', 'app'), 'in', 'app: two');
is(connecting('tenant_one', 'clerk'), 'in', 'clerk: one');
is(connecting('tenant_two', 'clerk'), 'refused', 'clerk: not two');
is(connecting('tenant_one', 'stranger'), 'refused', 'stranger: not one');
is(connecting('tenant_one', 'shop_owner'), connecting('tenant_two', 'shop_owner'), 'the owner: none');
my $template = $node->safe_psql('postgres', q{SELECT datname FROM pg_database WHERE datname LIKE 'tenancy%'});
like($template, qr/^tenancy_template_\d+$/, 'there is one template');
isnt(connecting($template, 'app'), 'in', 'app: not the template');
isnt(connecting($template, 'postgres'), 'in', 'nor may a superuser enter it');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database d, aclexplode(COALESCE(datacl, acldefault('d', datdba))) a
	WHERE (datname LIKE 'tenant\_%' OR datname LIKE 'tenancy%') AND a.grantee = 0}), '0', 'PUBLIC has no right on any of them');

# ---------------------------------------------------------------------------
# What is there
# ---------------------------------------------------------------------------
{
	my $s = session($node, 'tenant_one', 'app');
	is($s->rows('SELECT tenancy.current_tenant()'), 'one', 'the tenant is in context from the start');
	is($s->rows('SELECT tenancy.current_tenant_id()'), '00000000-0000-4000-8000-000000000001', 'with the id that it has in the registry');
	is($s->rows('SHOW search_path'), 'shop, public, pg_temp', 'the model is on the path');
	is($s->rows(q{INSERT INTO notes (note) VALUES ('of one') RETURNING tenant_id}), '00000000-0000-4000-8000-000000000001', 'unqualified names, as everywhere');
	is($s->rows(q{BEGIN; SELECT tenancy.set_tenant('one'); SELECT note FROM notes; COMMIT}), "00000000-0000-4000-8000-000000000001\nof one", 'set_tenant() takes its own slug');
	is($s->rows(q{SELECT tenancy.set_tenant('00000000-0000-4000-8000-000000000001'::uuid, false)}), '00000000-0000-4000-8000-000000000001', 'or id');
	is($s->state(qq{SELECT tenancy.set_tenant('$_')}), 'TN003', "and nobody else's: $_")
		for 'two', 'pool', 'nosuch', '', '00000000-0000-4000-8000-000000000002', '00000000-0000-4000-8000-000000000003';
	is($s->rows(q{SELECT tenancy.tenant_database('one')}), 'tenant_one', 'tenant_database() of itself');
	is($s->state(q{SELECT tenancy.tenant_database('two')}), 'TN003', 'and of nobody else');
	is($s->state(q{INSERT INTO notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-000000000002', 'x')}), '42501', 'rows for another tenant are refused');
	$s->rows('SELECT tenancy.reset_tenant()');
	is($s->rows('SELECT tenancy.current_tenant()'), 'one', 'reset_tenant() leads back to the tenant of the database');
	$s->rows('DISCARD ALL');
	is($s->rows('SELECT tenancy.current_tenant() || current_setting($$search_path$$)'), 'oneshop, public, pg_temp', 'as does DISCARD ALL');
	is($s->state(q{SET tenancy.tenant_id = '00000000-0000-4000-8000-000000000002'}), '42501', 'the setting is refused here, too');
	is($s->state(q{SET tenancy.tenant_id = ''}), '42501', 'emptying it as well');
	is($s->rows('CREATE TEMP TABLE t (a int); SELECT count(*) FROM t'), '0', 'temporary tables are allowed');
	is($s->state('CREATE TABLE shop.t (a int)'), '42501', 'other ones are not');
	is($s->state('SELECT * FROM tenancy.tenant'), '42501', 'the registry is closed');
	is($s->state(q{SELECT tenancy.create_tenant('x')}), '42501', "as are an administrator's functions");
	is($s->state(q{SELECT 'A'::citext = 'a'}), '00000', "the application's extensions are there");
	is($s->state(q{SELECT extensions.text2ltree('a.b')}), '00000', 'also those in a schema that it was let into');
	is($s->rows(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r'}), '20', "the model's tables are there");
	is($s->rows(q{SELECT count(*) FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' AND relrowsecurity AND relforcerowsecurity}), '20', 'protected');
	$s->quit;
	is($node->safe_psql('tenant_one', q{SELECT slug, mode, database_name FROM tenancy.tenant}), 'one|database|tenant_one', 'the registry inside knows one tenant');
	is($node->safe_psql('tenant_one', q{SELECT bool_and(policies_intact AND row_security) FROM tenancy.protected_tables}), 't', 'its protection is as in the model');
	is(sqlstate($node, 'tenant_one', undef, $_), '55000', "not here: $_")
		for q{SELECT tenancy.create_tenant('x')}, q{SELECT tenancy.create_module('x', 'public')}, q{SELECT tenancy.suspend_tenant('one')},
		q{SELECT tenancy.drop_tenant('one', true)}, q{SELECT tenancy.rename_tenant('one', 'x')}, q{SELECT tenancy.grant_access('stranger')},
		q{SELECT tenancy.revoke_access('app')}, q{SELECT tenancy.repair()}, q{SELECT tenancy.protect_table('shop.notes')};
	is($node->safe_psql('tenant_two', q{SELECT count(*) FROM shop.notes}), '0', 'the other tenant has none of that');
	is($node->safe_psql($db, q{SELECT count(*) FROM shop.notes}), '0', 'nor has the application');

	$s = session($node, 'tenant_one', 'clerk');
	is($s->rows('SELECT note FROM notes'), 'of one', 'a role with access to this tenant only');
	$s->quit;
	# access that is granted when the database has long been there
	is(connecting('tenant_one', 'late'), 'refused', 'a role without access does not get in');
	$node->safe_psql($db, q{SELECT tenancy.grant_access('late', 'one')});
	$s = session($node, 'tenant_one', 'late');
	is($s->rows('SELECT note FROM notes'), 'of one', 'one that gets access later uses the tables as all do');
	is($s->rows(q{SELECT tenancy.set_tenant('one', false)}), '00000000-0000-4000-8000-000000000001', 'and may set its context');
	is($s->state('DELETE FROM notes'), '42501', 'with the rights on tables that it has');
	is($s->state('CREATE TABLE shop.t (a int)'), '42501', 'and no more on the schema');
	$s->quit;
	is(connecting('tenant_two', 'late'), 'refused', 'but not those of others');
	$node->safe_psql($db, q{SELECT tenancy.revoke_access('late', 'one')});
	is(connecting('tenant_one', 'late'), 'refused', 'until it is revoked');
	# who may connect may act, but needs rights on the tables
	$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE tenant_one TO shop_owner');
	$s = session($node, 'tenant_one', undef);
	$s->rows('SET ROLE shop_owner');
	is($s->rows('SELECT note FROM shop.notes'), 'of one', 'the owner is bound by the policies, which let the one tenant through');
	is($s->state(q{INSERT INTO shop.notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-000000000002', 'x')}), '42501', 'and nobody else');
	$s->quit;
	$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE tenant_one FROM shop_owner');
}

# ---------------------------------------------------------------------------
# Tokens: the keys are the application's, and its tenants' databases have them
# ---------------------------------------------------------------------------
sub key_state
{
	my ($slug, $kid, $tenant) = @_;
	my $token = $node->safe_psql($db, "SELECT tenancy.sign_token('$tenant', '1 h', '$kid')");

	return sqlstate($node, "tenant_$slug", 'app', "SELECT tenancy.set_tenant_token('$token', false)");
}
my $no_keys_pending = q{SELECT NOT EXISTS (SELECT FROM tenancy.pending_database WHERE action = 'keys')};
my $kids = q{SELECT COALESCE(string_agg(kid, ' ' ORDER BY kid), 'none') FROM tenancy.token_key};

$node->safe_psql($db, q{SELECT tenancy.create_token_key('k1', 'HS256', repeat('secret 1', 4))});
slow($node, $db, $no_keys_pending);
is(key_state($_, 'k1', $_), '00000', "a key that was added later is good in the database of $_") for 'one', 'two';
is(key_state('one', 'k1', 'two'), '28000', "a token for another tenant is not");
$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('two')});
$node->safe_psql($db, q{SELECT tenancy.create_token_key('k2', 'HS256', repeat('secret 2', 4), valid_until => 'infinity', dump => true)});
slow($node, $db, $no_keys_pending);
$node->safe_psql($db, q{SELECT tenancy.resume_tenant('two')});
is(key_state($_, 'k2', $_), '00000', "another one, also while suspended: $_") for 'one', 'two';
is($node->safe_psql('tenant_two', 'SELECT * FROM tenancy.token_key ORDER BY kid'), $node->safe_psql($db, 'SELECT * FROM tenancy.token_key ORDER BY kid'), 'they are the same in all respects');
$node->safe_psql($db, q{BEGIN; SELECT tenancy.create_token_key('k3', 'HS256', repeat('secret 3', 4)); SELECT tenancy.drop_token_key('k1'); ROLLBACK});
is($node->safe_psql('tenant_one', $kids), 'k1 k2', 'what is rolled back changes nothing');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('three', 'database', '00000000-0000-4000-8000-000000000009')});
is($node->safe_psql('tenant_three', $kids), 'k1 k2', 'a new database has them');
my $token = $node->safe_psql($db, q{SELECT tenancy.sign_token('one', '1 h', 'k1')});
$node->safe_psql($db, q{SELECT tenancy.drop_token_key('k1')});
slow($node, $db, $no_keys_pending);
is(sqlstate($node, 'tenant_one', 'app', "SELECT tenancy.set_tenant_token('$token', false)"), '28000', 'a key that was dropped is no longer good');
is($node->safe_psql("tenant_$_", $kids), 'k2', "nor there: $_") for 'one', 'two', 'three';
is(sqlstate($node, 'tenant_one', 'app', $_), '42501', "an ordinary role reads and writes none: $_")
	for 'SELECT kid FROM tenancy.token_key', q{UPDATE tenancy.token_key SET key = ''}, q{SELECT tenancy.create_token_key('x', 'HS256', repeat('x', 32))};
is(sqlstate($node, 'tenant_one', undef, $_), '55000', "nor are keys made here: $_")
	for q{SELECT tenancy.create_token_key('x', 'HS256', repeat('x', 32))}, q{SELECT tenancy.drop_token_key('k2')};

# One database that cannot take them does not keep them from the others.
$node->safe_psql('tenant_one', 'ALTER TABLE tenancy.token_key RENAME TO away');
$node->safe_psql($db, q{SELECT tenancy.create_token_key('k4', 'HS256', repeat('secret 4', 4))});
slow($node, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
is($node->safe_psql("tenant_$_", $kids), 'k2 k4', "a failure elsewhere: $_") for 'two', 'three';
is($node->safe_psql($db, q{SELECT string_agg(tenant_id || action, ',') FROM tenancy.pending_database}), '00000000-0000-4000-8000-000000000001keys', 'what failed is not forgotten');
$node->safe_psql('tenant_one', 'ALTER TABLE tenancy.away RENAME TO token_key');

# A copy of the application's database has that row as well, and keys of its own.
$node->safe_psql('postgres', "CREATE DATABASE copied TEMPLATE $db");
is($node->safe_psql('copied', q{SELECT count(*) FROM tenancy.pending_database}), '1', 'a copy takes unfinished work along');
$node->safe_psql('copied', q{SELECT tenancy.create_token_key('planted', 'HS256', repeat('secret 5', 4)); SELECT * FROM tenancy.repair()});
is($node->safe_psql("tenant_$_", $kids), $_ eq 'one' ? 'k2' : 'k2 k4', "repair() there gives the original's database no key: $_") for 'one', 'two';
is($node->safe_psql('copied', q{SELECT count(*) FROM tenancy.pending_database}), '0', 'and is done with it');
for my $action ('drop', 'disconnect', 'rename')
{
	my $s = session($node, 'tenant_one', 'app');

	$node->safe_psql('copied', qq{UPDATE tenancy.tenant SET slug = 'taken' WHERE slug = 'one';
		INSERT INTO tenancy.pending_database SELECT t.id, '$action', d.oid, pg_current_xact_id()
		FROM tenancy.tenant t, pg_database d WHERE t.database_name = 'tenant_one' AND d.datname = 'tenant_one'});
	$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE tenant_one FROM app') if $action eq 'disconnect';
	$node->safe_psql('copied', 'SELECT * FROM tenancy.repair()');
	is($s->rows('SELECT 1'), '1', "nor does it do a $action of the copy's");
	$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE tenant_one TO app') if $action eq 'disconnect';
	$s->quit;
}
is($node->safe_psql('tenant_one', 'SELECT slug FROM tenancy.tenant'), 'one', 'by which it would have another name');
is(sqlstate($node, 'copied', undef, "SELECT tenancy.export_tenant('two', '" . $node->basedir . "/copied')"), '55000', "nor can it export the original's rows");
ok(!-e $node->basedir . '/copied', 'of which there is no file');
is(sqlstate($node, 'copied', undef, q{SELECT tenancy.copy_tenant('two', 'two-again', 'schema')}), '55000', 'or copy them');
is(sqlstate($node, $db, undef, "SELECT tenancy.export_tenant('two', '" . $node->basedir . "/original')"), '00000', 'as the original can');
$node->safe_psql('postgres', 'DROP DATABASE copied');

$node->safe_psql($db, 'SELECT * FROM tenancy.repair()');
is($node->safe_psql('tenant_one', $kids), 'k2 k4', 'repair() does it');
unlike(slurp_file($node->logfile), qr/secret \d(?!', 4)/, 'the log holds no key');
$node->safe_psql($db, q{SELECT tenancy.drop_token_key('k2'); SELECT tenancy.drop_token_key('k4'); SELECT tenancy.drop_tenant('three', true)});
slow($node, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
is(leftovers($node, $db), '', 'nothing is left behind');

# A connection option goes before a database's setting: it must not make the
# session another tenant's.
for my $forged ('00000000-0000-4000-8000-000000000002', '')
{
	my $s = session($node, 'tenant_one', 'app', options => "-c tenancy.tenant_id=$forged");
	my $r = $s->query('SELECT tenancy.current_tenant_id()');

	ok($r->{state} ne '00000' || $r->{rows} ne '00000000-0000-4000-8000-000000000002', "PGOPTIONS with \"$forged\": not the other tenant");
	$r = $s->query('SELECT note FROM shop.notes');
	ok($r->{state} eq 'TN001' || $r->{rows} eq 'of one', "PGOPTIONS with \"$forged\": its own rows or an error");
	isnt($s->state(q{INSERT INTO shop.notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-000000000002', 'x')}), '00000', "PGOPTIONS with \"$forged\": no rows for another");
	$s->quit;
}

# ---------------------------------------------------------------------------
# Access, granted and revoked
# ---------------------------------------------------------------------------
{
	my $in_one = session($node, 'tenant_one', 'clerk');
	my $app = session($node, 'tenant_one', 'app');

	$node->safe_psql($db, q{SELECT tenancy.grant_access('clerk', 'two')});
	is(connecting('tenant_two', 'clerk'), 'in', 'granted: clerk may enter two');
	is($in_one->rows('SELECT 1'), '1', 'which disturbs nobody');
	$node->safe_psql($db, q{BEGIN; SELECT tenancy.revoke_access('clerk', 'one'); ROLLBACK});
	is($in_one->rows('SELECT 1'), '1', 'a revocation that was rolled back disturbs nobody either');
	$node->safe_psql($db, q{SELECT tenancy.revoke_access('clerk', 'one')});
	is($in_one->query('SELECT 1')->{state}, '', 'revoked: a session in one ends');
	is($app->rows('SELECT 1'), '1', 'but not that of another role');
	is(connecting('tenant_one', 'clerk'), 'refused', 'clerk may no longer enter one');
	is(connecting('tenant_two', 'clerk'), 'in', 'but two');
	$node->safe_psql($db, q{SELECT tenancy.revoke_access('clerk')});
	is(connecting('tenant_two', 'clerk'), 'refused', 'all revoked: not two either');
	is(leftovers($node, $db), '', 'nothing is pending');
	$node->safe_psql($db, q{SELECT tenancy.grant_access('clerk')});
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('three', 'database')});
	is(connecting('tenant_three', 'clerk'), 'in', 'a role for all tenants may enter one that came later');
	$node->safe_psql($db, q{SELECT tenancy.revoke_access('clerk')});
	is(connecting("tenant_$_", 'clerk'), 'refused', "all revoked: $_") for qw(one two three);
	$_->quit for $in_one, $app;

	# by membership
	$node->safe_psql('postgres', 'GRANT app TO stranger');
	is(connecting('tenant_one', 'stranger'), 'in', 'a member of a role with access');
	my $s = session($node, 'tenant_one', 'stranger');
	is($s->rows('SELECT note FROM notes'), 'of one', 'may act as that');
	$node->safe_psql('postgres', 'REVOKE app FROM stranger');
	is($s->state('SELECT note FROM notes'), '42501', 'until the membership ends');
	$s->quit;
	is(connecting('tenant_one', 'stranger'), 'refused', 'and with it the way in');
}

# ---------------------------------------------------------------------------
# Suspended and resumed
# ---------------------------------------------------------------------------
{
	my $s = session($node, 'tenant_one', 'app');
	my $busy = session($node, 'tenant_one', 'app');
	my $other = session($node, 'tenant_two', 'app');

	$node->safe_psql($db, q{BEGIN; SELECT tenancy.suspend_tenant('one'); ROLLBACK});
	is($s->rows('SELECT count(*) FROM notes'), '1', 'a suspension that was rolled back');
	is(connecting('tenant_one', 'app'), 'in', 'keeps nobody out');
	$busy->send('SELECT pg_sleep(60)');
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('one', 'unpaid')});
	is($s->query('SELECT count(*) FROM notes')->{state}, '', 'suspended: sessions end');
	is($busy->wait->{state}, '', 'busy ones, too');
	is($other->rows('SELECT 1'), '1', 'those of other tenants go on');
	is(connecting('tenant_one', $_), 'closed', "nobody gets in: $_") for 'app', 'postgres';
	is(leftovers($node, $db), '', 'nothing is pending');
	is(sqlstate($node, $db, 'app', q{SELECT tenancy.set_tenant('one')}), 'TN002', 'the application is told');
	$node->safe_psql($db, q{SELECT tenancy.resume_tenant('one')});
	is(connecting('tenant_one', 'app'), 'in', 'resumed: back again');
	is($node->safe_psql('tenant_one', 'SELECT note FROM notes', extra_params => [ '-U', 'app' ]), 'of one', 'with its rows');
	$_->quit for $s, $busy, $other;

	# open for pg_upgrade, as docs/operations.md has it, when it is resumed
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('one')});
	$node->safe_psql('postgres', q{ALTER DATABASE tenant_one ALLOW_CONNECTIONS true CONNECTION LIMIT 0});
	isnt(connecting('tenant_one', 'app'), 'in', 'open to superusers: not to the application');
	$node->safe_psql($db, q{SELECT tenancy.resume_tenant('one')});
	is(connecting('tenant_one', 'app'), 'in', 'resumed: to all');
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datconnlimit = 0}), '0', 'and the recipe does not close it again');

	# a limit that somebody has set stays
	$node->safe_psql('postgres', q{ALTER DATABASE tenant_one CONNECTION LIMIT 50});
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('one'); SELECT tenancy.resume_tenant('one')});
	is($node->safe_psql('postgres', q{SELECT datconnlimit FROM pg_database WHERE datname = 'tenant_one'}), '50', 'another limit stays');
	$node->safe_psql('postgres', q{ALTER DATABASE tenant_one CONNECTION LIMIT -1});
}

# ---------------------------------------------------------------------------
# Renamed
# ---------------------------------------------------------------------------
{
	my $s = session($node, 'tenant_one', 'app');

	is(sqlstate($node, $db, undef, q{SELECT tenancy.rename_tenant('one', 'two')}), '42710', 'not to the slug of another tenant');
	is($s->rows('SELECT 1'), '1', 'a refused renaming disturbs nobody');
	$node->safe_psql('postgres', 'CREATE DATABASE tenant_uno');
	is(sqlstate($node, $db, undef, q{SELECT tenancy.rename_tenant('one', 'uno')}), '42P04', "not to the name of another's database");
	is(state_of($node, $db, 'one'), 'active a database', 'then nothing has changed');
	$node->safe_psql('postgres', 'DROP DATABASE tenant_uno');
	$s->quit;

	$s = session($node, 'tenant_one', 'app');
	$node->safe_psql($db, q{SELECT tenancy.rename_tenant('one', 'uno')});
	is($s->query('SELECT 1')->{state}, '', 'renamed: sessions end');
	$s->quit;
	slow($node, $db, $idle);
	is(state_of($node, $db, 'uno'), 'active a database', 'the tenant and its database have the new name');
	is(connecting('tenant_one', 'app'), 'none', 'the old one is gone');
	is($node->safe_psql('tenant_uno', 'SELECT tenancy.current_tenant() || note FROM notes', extra_params => [ '-U', 'app' ]), 'unoof one', 'inside, too');
	is(sqlstate($node, 'tenant_uno', 'app', q{SELECT tenancy.set_tenant('uno')}), '00000', 'where the new slug serves');
	is(sqlstate($node, 'tenant_uno', 'app', q{SELECT tenancy.set_tenant('one')}), 'TN003', 'and the old one does not');
	is(leftovers($node, $db), '', 'nothing is pending');
	$node->safe_psql($db, q{BEGIN; SELECT tenancy.rename_tenant('uno', 'one'); ROLLBACK});
	is(state_of($node, $db, 'uno'), 'active a database', 'a renaming that was rolled back');
	is($node->safe_psql('tenant_uno', 'SELECT tenancy.current_tenant()'), 'uno', 'has changed nothing inside');
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('uno'); SELECT tenancy.rename_tenant('uno', 'one'); SELECT tenancy.resume_tenant('one')});
	slow($node, $db, $idle);
	is($node->safe_psql('tenant_one', 'SELECT tenancy.current_tenant()'), 'one', 'a suspended tenant can be renamed, too');
}

# ---------------------------------------------------------------------------
# Dropped
# ---------------------------------------------------------------------------
{
	my $s = session($node, 'tenant_three', 'app');
	my $busy = session($node, 'tenant_three', 'app');

	is(sqlstate($node, $db, undef, q{SELECT tenancy.drop_tenant('three')}), '55000', 'an active tenant is not dropped unforced');
	is($s->rows('SELECT 1'), '1', 'which disturbs nobody');
	$node->safe_psql($db, q{BEGIN; SELECT tenancy.drop_tenant('three', true); ROLLBACK});
	is($s->rows('SELECT 1'), '1', 'nor does a rollback');
	$busy->send('SELECT pg_sleep(60)');
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant('three', true)});
	slow($node, $db, $idle);
	is(state_of($node, $db, 'three'), 'no tenant, no database', 'dropped, with sessions in it');
	is($_->query('SELECT 1')->{state}, '', 'which have ended') for $s;
	is($busy->wait->{state}, '', 'busy ones, too');
	$_->quit for $s, $busy;
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('two'); SELECT tenancy.drop_tenant('two')});
	slow($node, $db, $idle);
	is(state_of($node, $db, 'two'), 'no tenant, no database', 'suspended, then dropped');
	is(leftovers($node, $db), '', 'nothing is left behind');

	# a database that somebody dropped by hand
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('gone', 'database')});
	$node->safe_psql('postgres', 'DROP DATABASE tenant_gone');
	like($node->safe_psql($db, 'SELECT object, problem FROM tenancy.repair()'), qr/gone.*does not exist/, 'a database dropped by hand is reported');
	is(sqlstate($node, $db, undef, q{SELECT tenancy.suspend_tenant('gone')}), '3D000', 'its tenant cannot be suspended');
	is(sqlstate($node, $db, undef, q{SELECT tenancy.drop_tenant('gone', true)}), '00000', 'but dropped');
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'after which all is well');
}

# ---------------------------------------------------------------------------
# Many at once
# ---------------------------------------------------------------------------
{
	# The model has changed, so that all of them find that they need another
	# template.
	$node->safe_psql($db, q{SET ROLE shop_owner; CREATE TABLE shop.later (a int); GRANT SELECT, INSERT ON shop.later TO app});
	$node->safe_psql($db, q{SELECT * FROM tenancy.protect_module('shop')});
	my @s = map { session($node, $db) } 1 .. 6;

	$s[ $_ - 1 ]->send("SELECT tenancy.create_tenant('many$_', 'database')") for 1 .. 6;
	is($_->wait->{state}, '00000', 'one of several creations at once') for @s;
	for my $n (1 .. 6)
	{
		is($node->safe_psql("tenant_many$n", q{INSERT INTO later VALUES (1) RETURNING tenancy.current_tenant()}, extra_params => [ '-U', 'app' ]), "many$n", "many$n has the new model");
	}
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname LIKE 'tenancy%'}), '1', 'there still is one template');
	is(leftovers($node, $db), '', 'nothing is left behind');

	$_->send(q{SELECT tenancy.create_tenant('same', 'database')}) for @s;
	is(join(' ', sort map { $_->wait->{state} } @s), '00000 42710 42710 42710 42710 42710', 'of several creations of one slug, one succeeds');
	is(leftovers($node, $db), '', 'and the others leave nothing');

	$s[ $_ - 1 ]->send("SELECT tenancy.drop_tenant('many$_', true)") for 1 .. 6;
	is($_->wait->{state}, '00000', 'one of several removals at once') for @s;
	slow($node, $db, $idle);
	is(leftovers($node, $db), '', 'nothing is left behind');

	# creating and dropping, in turn and side by side
	for my $n (1 .. 4)
	{
		$s[ $_ ]->send("SELECT tenancy.create_tenant('turn$_', 'database'); SELECT tenancy.drop_tenant('turn$_', true)") for 0 .. 3;
		is(join(' ', map { $_->wait->{state} } @s[ 0 .. 3 ]), '00000 00000 00000 00000', "created and dropped side by side, round $n");
	}
	slow($node, $db, $idle);
	is(leftovers($node, $db), '', 'nothing is left behind');

	# several in one transaction
	$s[0]->rows(q{BEGIN; SELECT tenancy.create_tenant('t' || n, 'database') FROM generate_series(1, 3) n; COMMIT});
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname ~ '^tenant_t[123]$'}), '3', 'three tenants in one transaction');
	$s[0]->rows(q{BEGIN; SELECT tenancy.drop_tenant('t' || n, true) FROM generate_series(1, 3) n; COMMIT});
	slow($node, $db, $idle);
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname ~ '^tenant_t[123]$'}), '0', 'dropped in one transaction');
	$_->quit for @s;
}

# ---------------------------------------------------------------------------
# Two applications in one cluster
# ---------------------------------------------------------------------------
{
	new_application($node, 'crm');
	is(sqlstate($node, 'crm', undef, q{SELECT tenancy.create_tenant('one', 'database')}), '42P04', 'a slug whose database another application has');
	is(state_of($node, $db, 'one'), 'active a database', 'which keeps it');
	$node->safe_psql('crm', q{SELECT tenancy.create_tenant('client', 'database')});
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname LIKE 'tenancy_template_%'}), '2', 'each application has its own template');
	is($node->safe_psql('tenant_client', 'SELECT tenancy.current_tenant()'), 'client', 'and its own tenants');
	is(sqlstate($node, $db, 'app', q{SELECT tenancy.tenant_database('client')}), '42704', 'which the other does not know');
	is(sqlstate($node, $db, undef, q{SELECT tenancy.drop_tenant('client', true)}), '42704', 'nor can drop');
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', 'or takes for an orphan');
	is($node->safe_psql('crm', 'SELECT * FROM tenancy.repair()'), '', 'in neither direction');
	$node->safe_psql('crm', q{SELECT tenancy.drop_tenant('client', true)});
	slow($node, 'crm', $idle);
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'tenant_client'}), '0', 'dropped by its own');
}

# ---------------------------------------------------------------------------
# No worker to be had
# ---------------------------------------------------------------------------
{
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('late', 'database')});
	slow($node, $db, $idle);
	$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
	$node->restart;
	is(sqlstate($node, $db, undef, q{SELECT tenancy.create_tenant('nope', 'database')}), '53400', 'without background workers, no database');
	is(state_of($node, $db, 'nope'), 'no tenant, no database', 'and no tenant');
	my $s = session($node, $db);
	like($s->query(q{SELECT tenancy.drop_tenant('late', true)})->{messages}, qr/WARNING.*repair/s, 'a removal that must wait says so');
	$s->quit;
	is(state_of($node, $db, 'late'), 'no tenant, a database', 'the database is still there');
	is(sqlstate($node, $db, undef, q{SELECT * FROM tenancy.repair()}), '53400', 'repair() cannot do it either');
	$node->append_conf('postgresql.conf', 'max_worker_processes = 20');
	$node->restart;
	is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.repair()'), '1', 'until there are workers');
	is(state_of($node, $db, 'late'), 'no tenant, no database', 'then it is gone');
	is(leftovers($node, $db), '', 'and nothing is left behind');
}

# ---------------------------------------------------------------------------
# The tenant's row in its own database, which needs no session there
# ---------------------------------------------------------------------------
{
	my $template = $node->safe_psql($db, q{SELECT 'tenancy_template_' || oid FROM pg_database WHERE datname = current_database()});
	my ($id, $tenants) = ('00000000-0000-4000-8000-0000000000e', 0);

	# How many workers it takes to create a tenant
	my $workers = sub {
		my ($slug) = @_;
		my $offset = -s $node->logfile;

		$node->safe_psql($db, "SELECT tenancy.create_tenant('$slug', 'database', '$id" . ++$tenants . "')");
		return scalar(() = substr(slurp_file($node->logfile), $offset) =~ / registering background worker "tenancy worker/g);
	};
	# What the tenant and its role find there, by each of the indexes
	my $row_is_right = sub {
		my ($slug) = @_;

		is($node->safe_psql("tenant_$slug", "SET enable_seqscan = off; SELECT count(*) FROM tenancy.tenant WHERE $_"), '1', "$slug is found by $_")
			for "id = '$id$tenants'", "slug = '$slug'", "database_name = 'tenant_$slug'", 'schema_name IS NULL';
		is($node->safe_psql("tenant_$slug", q{SELECT mode, status, schema_name IS NULL, display_name IS NULL, metadata, status_reason IS NULL,
			created_at = status_at, age(clock_timestamp(), created_at) < '1 h', moved_in IS NULL FROM tenancy.tenant}),
			'database|active|t|t|{}|t|t|t|t', 'and is as an INSERT makes it');
		is($node->safe_psql("tenant_$slug", q{CREATE EXTENSION amcheck;
			SELECT count(*), bool_and(bt_index_check(indexrelid, true) IS NOT NULL) FROM pg_index WHERE indrelid = 'tenancy.tenant'::regclass}),
			'4|t', 'its indexes are in order');
		my $s = session($node, "tenant_$slug", 'app');
		is($s->rows(q{INSERT INTO notes (note) VALUES ('mine') RETURNING tenant_id}), "$id$tenants", 'rows refer to it');
		$s->quit;
	};

	$node->safe_psql($db, "SELECT tenancy.drop_token_key(kid) FROM tenancy.token_key");
	$node->append_conf('postgresql.conf', 'log_min_messages = debug1');
	$node->reload;
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('builds', 'database'); SELECT tenancy.drop_tenant('builds', true)});
	slow($node, $db, $idle);
	is($workers->('outside'), 1, 'one worker creates a database');
	$row_is_right->('outside');
	$node->stop('immediate');
	$node->start;
	is($node->safe_psql('tenant_outside', 'SELECT slug FROM tenancy.tenant'), 'outside', 'a crash of the server takes nothing away');
	is($node->safe_psql('tenant_outside', 'SELECT note FROM shop.notes'), 'mine', 'nor what refers to it');
	is(sqlstate($node, 'tenant_outside', undef, "INSERT INTO tenancy.tenant (id, slug, mode, database_name) VALUES ('$id$tenants', 'other', 'database', 'other')"),
		'23505', 'the row is one for others as well');

	# It is a transaction's
	$node->safe_psql($db, "BEGIN; SELECT tenancy.create_tenant('undone', 'database'); ROLLBACK");
	is(state_of($node, $db, 'undone'), 'no tenant, no database', 'nothing is left of a database that is not wanted');
	{
		my $s = session($node, $db);

		$s->rows(q{BEGIN; SELECT tenancy.create_tenant('closed', 'database')});
		is(connecting('tenant_closed', 'app'), 'closed', 'nobody gets in before the tenant is there');
		$s->rows('COMMIT');
		is(connecting('tenant_closed', 'app'), 'in', 'but then');
		$s->quit;
	}

	# Files that are not those that were noted are left alone.
	$node->safe_psql('postgres', "ALTER DATABASE $template ALLOW_CONNECTIONS true");
	$node->safe_psql($template, 'VACUUM FULL tenancy.tenant');
	$node->safe_psql('postgres', "ALTER DATABASE $template ALLOW_CONNECTIONS false");
	is($workers->('rebuilt'), 2, 'the table has another file: a session enters the tenant');
	$row_is_right->('rebuilt');
	my $comment = $node->safe_psql('postgres', "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '$template'");
	$comment =~ s{; \d+/}{; 1/} or die $comment;
	$node->safe_psql('postgres', "COMMENT ON DATABASE $template IS \$\$$comment\$\$");
	is($workers->('elsewhere'), 2, "the note is another cluster's: a session enters the tenant");
	$row_is_right->('elsewhere');

	# What else a database is to have takes a session there.
	$node->safe_psql('postgres', "DROP DATABASE $template");
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('builds', 'database'); SELECT tenancy.drop_tenant('builds', true)});
	slow($node, $db, $idle);
	$node->safe_psql($db, q{SELECT tenancy.create_token_key('last', 'HS256', repeat('secret 9', 4))});
	slow($node, $db, $no_keys_pending);
	is($workers->('keys'), 2, 'keys of tokens are brought by a session');
	$row_is_right->('keys');
	is($node->safe_psql('tenant_keys', $kids), 'last', 'there they are');
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants WHERE slug IN ('outside', 'closed', 'rebuilt', 'elsewhere', 'keys')});
	slow($node, $db, $idle);
	$node->append_conf('postgresql.conf', 'log_min_messages = warning');
	$node->restart;
}

# ---------------------------------------------------------------------------
# The file with which sessions begin, which holds addresses and so is never made the same twice
# ---------------------------------------------------------------------------
{
	my $file = sub {
		my $oid = $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname LIKE '$_[0]'");

		return $node->data_dir . "/base/$oid/pg_internal.init";
	};
	my $template = $node->safe_psql($db, q{SELECT 'tenancy_template_' || oid FROM pg_database WHERE datname = current_database()});

	ok(!-e $file->($template), 'after a restart, the template has none');
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('begun', 'database')});
	ok(slurp_file($file->($template)) eq slurp_file($file->('tenant_begun')), 'a new database has the one of its template');
	$node->safe_psql('tenant_begun', 'CREATE SCHEMA beside; CREATE TABLE beside.t (n integer PRIMARY KEY); REINDEX SYSTEM tenant_begun');
	is($node->safe_psql('tenant_begun', 'SELECT count(*) FROM beside.t'), '0', 'it can be worked in, and its catalogs rebuilt');
	unlink $file->($template);
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('begun2', 'database')});
	ok(slurp_file($file->($template)) eq slurp_file($file->('tenant_begun2')), 'one that is missing is made');
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant(t, true) FROM unnest('{begun,begun2}'::text[]) t});
	slow($node, $db, $idle);
}

$node->stop;
done_testing();
