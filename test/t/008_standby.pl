# A hot standby: the same contexts, policies and refusals as on its primary,
# read-only; and what an administrator does on the primary is noticed there.
#
# TAP and not regress, because it takes two servers.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $primary = new_cluster('primary', 'wal_level = replica', 'max_wal_senders = 5');
my $db = 'shop';

new_application($primary, $db);
$primary->safe_psql($db, q{
	SELECT tenancy.create_tenant('acme', 'shared', '00000000-0000-4000-8000-00000000000a');
	SELECT tenancy.create_tenant('hooli', 'shared', '00000000-0000-4000-8000-00000000000b');
	SELECT tenancy.create_tenant('globex', 'schema', '00000000-0000-4000-8000-00000000000c');
	SELECT tenancy.create_tenant('initech', 'database', '00000000-0000-4000-8000-00000000000d');
	SELECT tenancy.grant_access('clerk', 'acme');
});
for my $slug ('acme', 'hooli', 'globex', 'initech')
{
	$primary->safe_psql($slug eq 'initech' ? 'tenant_initech' : $db, qq{SELECT tenancy.set_tenant('$slug', false);
		INSERT INTO notes (note) SELECT 'note of $slug' || n FROM generate_series(1, 5000) n}, extra_params => [ '-U', 'app' ]);
}
$primary->safe_psql($db, 'ANALYZE');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub catch_up
{
	$primary->wait_for_catchup('standby', 'replay', $primary->lsn('insert'));
	return;
}
catch_up();

# ---------------------------------------------------------------------------
# Contexts and policies
# ---------------------------------------------------------------------------
my $s = session($standby, $db, 'app');
is($s->rows('SELECT pg_is_in_recovery()'), 't', 'a standby');
is($s->state('SELECT * FROM shop.notes'), 'TN001', 'no context, no rows');
is($s->state('SELECT * FROM tenant_globex.notes'), 'TN001', 'nor a schema tenant\'s');
is($s->rows('SELECT tenancy.current_tenant()'), '', 'nor a tenant');
for my $slug ('acme', 'hooli', 'globex')
{
	$s->rows("BEGIN; SELECT tenancy.set_tenant('$slug')");
	is($s->rows('SELECT tenancy.current_tenant()'), $slug, "$slug in context");
	is($s->rows("SELECT count(*), count(*) FILTER (WHERE note NOT LIKE '%$slug%') FROM notes"), '5000|0', "$slug sees its own rows");
	is($s->rows('SELECT count(*) FROM tenant_globex.notes'), $slug eq 'globex' ? '5000' : '0', "$slug and the schema of globex");
	$s->rows('SAVEPOINT s');
	is($s->state("SELECT tenancy.set_tenant('acme')"), $slug eq 'acme' ? '00000' : 'TN004', "$slug: no change in a transaction");
	$s->rows('ROLLBACK TO s');
	is($s->state("INSERT INTO notes (note) VALUES ('x')"), '25006', "$slug: nothing can be written");
	$s->rows('ROLLBACK');
	is($s->rows('SELECT tenancy.current_tenant()'), '', "$slug: a local context ends with its transaction");
}
is($s->state(q{SELECT tenancy.set_tenant('initech')}), 'TN003', 'a tenant with a database lives there, too');
is($s->rows(q{SELECT tenancy.tenant_database('initech')}), 'tenant_initech', 'and the standby knows where');
is($s->state(q{SET tenancy.tenant_id = '00000000-0000-4000-8000-00000000000b'}), '42501', 'the setting cannot be forged');
$s->rows(q{SELECT tenancy.set_tenant('hooli', false)});
$s->rows('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off');
like($s->rows('EXPLAIN SELECT count(*) FROM notes'), qr/Parallel/, 'a parallel plan');
is($s->rows('SELECT count(*) FROM notes'), '5000', 'counts its own rows');
is($s->rows('BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT note FROM notes; COMMIT; SELECT 1'), '1', 'a held cursor');
is($s->state(q{SELECT tenancy.set_tenant('acme', false)}), 'TN004', 'keeps other tenants out');
$s->rows('CLOSE ALL');
is($s->state(q{SELECT tenancy.set_tenant('acme', false)}), '00000', 'until it is closed');
$s->quit;
is(sqlstate($standby, $db, 'clerk', q{SELECT tenancy.set_tenant('acme')}), '00000', 'clerk may act for acme');
is(sqlstate($standby, $db, 'clerk', q{SELECT tenancy.set_tenant('hooli')}), '42501', 'and for nobody else');
is(sqlstate($standby, $db, 'clerk', q{SELECT tenancy.set_tenant('nosuch')}), '42501', 'whether there is such a tenant or not');

$s = session($standby, 'tenant_initech', 'app');
is($s->rows('SELECT tenancy.current_tenant() || count(*) FROM notes'), 'initech5000', 'the tenant with a database is at home in it');
is($s->state(q{SELECT tenancy.set_tenant('acme')}), 'TN003', 'and nobody else');
is($s->rows(q{BEGIN; SELECT tenancy.set_tenant('initech'); COMMIT; SELECT 1}), "00000000-0000-4000-8000-00000000000d\n1", 'set_tenant() takes its own slug');
is($standby->psql('tenant_initech', 'SELECT 1', extra_params => [ '-U', 'stranger' ]), 2, 'strangers stay out');

# ---------------------------------------------------------------------------
# An administrator has no business here
# ---------------------------------------------------------------------------
is(sqlstate($standby, $db, undef, "SELECT tenancy.$_"), '25006', "read-only: $_")
	for q{create_tenant('x')}, q{create_tenant('x', 'schema')}, q{create_tenant('x', 'database')}, q{suspend_tenant('acme')}, q{rename_tenant('acme', 'x')},
	q{drop_tenant('acme', true)}, q{drop_tenant('initech', true)}, q{grant_access('stranger')}, q{revoke_access('clerk')}, q{protect_table('shop.notes')}, q{create_module('x', 'public')};

# ---------------------------------------------------------------------------
# What happens on the primary is noticed, also in sessions under way
# ---------------------------------------------------------------------------
my $acme = session($standby, $db, 'clerk');
my $repeatable = session($standby, $db, 'app');
$acme->rows(q{SELECT tenancy.set_tenant('acme', false)});
is($acme->rows('SELECT count(*) FROM notes'), '5000', 'a session on the standby');
$repeatable->rows(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT tenancy.set_tenant('acme'); SELECT count(*) FROM notes});
$primary->safe_psql($db, q{SELECT tenancy.suspend_tenant('acme'); SELECT tenancy.suspend_tenant('initech')});
catch_up();
is($acme->state('SELECT count(*) FROM notes'), 'TN002', 'suspended: the next statement is refused');
is($repeatable->state('SELECT count(*) FROM notes'), 'TN002', 'in REPEATABLE READ as well');
$repeatable->rows('ROLLBACK');
is($standby->psql('tenant_initech', 'SELECT 1', extra_params => [ '-U', 'app' ]), 2, 'the database of a suspended tenant takes no connections here');
$primary->safe_psql($db, q{SELECT tenancy.resume_tenant('acme'); SELECT tenancy.resume_tenant('initech')});
catch_up();
is($acme->rows('SELECT count(*) FROM notes'), '5000', 'resumed: the next one works');
$primary->safe_psql($db, q{SELECT tenancy.revoke_access('clerk', 'acme')});
catch_up();
is($acme->state('SELECT count(*) FROM shop.notes'), '42501', 'revoked: the next statement is refused');
$primary->safe_psql($db, q{SELECT tenancy.rename_tenant('acme', 'apex')});
catch_up();
is(sqlstate($standby, $db, 'app', q{SELECT tenancy.set_tenant('acme')}), '42704', 'renamed: the old name is gone');
is(sqlstate($standby, $db, 'app', q{SELECT tenancy.set_tenant('apex')}), '00000', 'the new one serves');
$s->quit;
$primary->safe_psql($db, q{SELECT tenancy.drop_tenant('initech', true); SELECT tenancy.drop_tenant('globex', true)});
catch_up();
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'tenant_initech'}), '0', 'dropped: the database is gone here, too');
is(sqlstate($standby, $db, 'app', q{SELECT tenancy.set_tenant('globex')}), '42704', 'as is the tenant with a schema');
$_->quit for $acme, $repeatable;

# ---------------------------------------------------------------------------
# Promoted
# ---------------------------------------------------------------------------
# With a tenant's database half made on the primary.
my $open = session($primary, $db);
$open->rows(q{BEGIN; SELECT tenancy.create_tenant('half', 'database')});
catch_up();
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname = 'tenant_half'}), '1', 'a database whose tenant is not committed');
$primary->stop('immediate');
$open->quit;
$standby->promote;
is($standby->safe_psql($db, 'SELECT count(*) FROM tenancy.repair()'), '1', 'promoted: repair() finds what the primary left half done');
is(leftovers($standby, $db), '', 'and drops it');
is(sqlstate($standby, $db, undef, q{SELECT tenancy.create_tenant('half', 'database')}), '00000', 'the same call works');
is(sqlstate($standby, $db, 'app', q{SELECT tenancy.set_tenant('hooli', false); INSERT INTO notes (note) VALUES ('new')}), '00000', 'and tenants can write');
is(leftovers($standby, $db), '', 'nothing is left behind');

$standby->stop;
done_testing();
