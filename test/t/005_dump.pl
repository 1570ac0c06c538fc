# Dump and restore: the application's database into another one, and the whole
# cluster, tenants' databases included, into another cluster.
#
# TAP and not regress, because it runs pg_dump, pg_restore and pg_dumpall, and
# takes a second cluster.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('dump');
my $db = 'shop';
my $dir = $node->basedir;

new_application($node, $db, tables => 5);
$node->safe_psql($db, q{
	SET ROLE shop_owner;
	CREATE TABLE shop.events (day date NOT NULL, what text) PARTITION BY RANGE (day);
	CREATE TABLE shop.events_2026 PARTITION OF shop.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
	CREATE TABLE shop.assets (tenant_id uuid NOT NULL, label text);
	CREATE TABLE shop.vehicles (wheels int) INHERITS (shop.assets);
	CREATE VIEW shop.labels WITH (security_invoker) AS SELECT label FROM shop.assets;
	GRANT SELECT, INSERT ON shop.events, shop.events_2026, shop.assets, shop.vehicles, shop.labels TO app, clerk;
});
$node->safe_psql($db, q{
	SELECT * FROM tenancy.protect_module('shop');
	CREATE SCHEMA addons AUTHORIZATION shop_owner;
	SELECT tenancy.create_module('addons', 'addons');
	SELECT tenancy.create_tenant('acme', 'shared', '00000000-0000-4000-8000-00000000000a', 'Acme Corp.', '{"plan": "gold"}');
	SELECT tenancy.create_tenant('hooli', 'shared', '00000000-0000-4000-8000-00000000000b');
	SELECT tenancy.create_tenant('globex', 'schema', '00000000-0000-4000-8000-00000000000c');
	SELECT tenancy.create_tenant('umbrella-inc', 'schema', '00000000-0000-4000-8000-00000000000d');
	SELECT tenancy.create_tenant('initech', 'database', '00000000-0000-4000-8000-00000000000e');
	SELECT tenancy.create_tenant('sleepy', 'shared');
	SELECT tenancy.suspend_tenant('sleepy', 'unpaid');
	SELECT tenancy.grant_access('clerk', 'acme');

	-- two jobs load the largest table first: the one that names tenants, not that of the tenants
	DO $$BEGIN
		FOR i IN 1..30 LOOP
			EXECUTE format('CREATE ROLE a_member_of_a_rather_large_team_%s', i);
			PERFORM tenancy.grant_access(('a_member_of_a_rather_large_team_' || i)::regrole, t.slug) FROM tenancy.tenant t;
		END LOOP;
	END$$;
});
for my $slug ('acme', 'hooli', 'globex', 'umbrella-inc', 'initech')
{
	$node->safe_psql($slug eq 'initech' ? 'tenant_initech' : $db, qq{SELECT tenancy.set_tenant('$slug', false);
		INSERT INTO notes (note) VALUES ('note of $slug');
		INSERT INTO events (day, what) VALUES ('2026-01-01', 'event of $slug');
		INSERT INTO vehicles (label, wheels) VALUES ('van of $slug', 4);
	}, extra_params => [ '-U', 'app' ]);
}

# Is a copy as good as the original?
sub check_copy
{
	my ($what, $copy, $name) = @_;

	same_lines(registry_of($copy, $name), registry_of($node, $db), "$what: the registry is as it was");
	same_lines(objects_of($copy, $name), objects_of($node, $db), "$what: policies, privileges, triggers and constraints are as they were");

	my $s = session($copy, $name, 'app');
	is($s->state('SELECT * FROM shop.notes'), 'TN001', "$what: no context, no rows");
	for my $slug ('acme', 'hooli', 'globex', 'umbrella-inc')
	{
		$s->rows("SELECT tenancy.set_tenant('$slug', false)");
		is($s->rows('SELECT note, what, label FROM notes, events, assets'), "note of $slug|event of $slug|van of $slug", "$what: $slug has its rows");
		is($s->rows('SELECT count(*) FROM tenant_globex.notes'), $slug eq 'globex' ? '1' : '0', "$what: $slug and the rows of globex");
		is($s->state(q{INSERT INTO notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-00000000000f', 'x')}), '42501', "$what: $slug writes for itself only");
		is($s->state(qq{BEGIN; INSERT INTO notes (note) VALUES ('more'); ROLLBACK}), '00000', "$what: and can") ;
	}
	is($s->state(q{SELECT tenancy.set_tenant('sleepy', false)}), 'TN002', "$what: the suspended tenant is");
	is($s->state(q{SELECT tenancy.set_tenant('initech')}), 'TN003', "$what: the tenant with a database has it");
	if ($copy == $node)
	{
		my $r = $s->query(q{SELECT tenancy.tenant_database('initech')});
		is($r->{state}, '55000', "$what: which is the original's, so that nobody is sent there");
		like($r->{messages}, qr/of which this one may be a copy/, "$what: and the error says why");
	}
	else
	{
		is($s->rows(q{SELECT tenancy.tenant_database('initech')}), 'tenant_initech', "$what: under its name, before repair() as well");
	}
	is($s->state('TRUNCATE shop.notes'), '42501', "$what: no TRUNCATE");
	$s->quit;
	is(sqlstate($copy, $name, 'clerk', q{SELECT tenancy.set_tenant('acme')}), '00000', "$what: clerk may act for acme");
	is(sqlstate($copy, $name, 'clerk', q{SELECT tenancy.set_tenant('hooli')}), '42501', "$what: but not for hooli");
	is(sqlstate($copy, $name, 'stranger', q{SELECT tenancy.set_tenant('acme')}), '42501', "$what: stranger for nobody");

	# it can be worked with
	is(sqlstate($copy, $name, undef, $_), '00000', "$what: $_")
		for q{SELECT tenancy.create_tenant('copied')}, q{SELECT tenancy.create_tenant('copied2', 'schema')}, q{SELECT tenancy.rename_tenant('copied', 'copied3')},
		q{SELECT tenancy.protect_table('shop.notes')}, q{SELECT tenancy.suspend_tenant('copied2')}, q{SELECT tenancy.drop_tenant('copied2')},
		q{SELECT tenancy.drop_tenant('copied3', true)}, q{SELECT tenancy.resume_tenant('sleepy')};
	# a session's cache learns of what others change
	$s = session($copy, $name, 'app');
	$s->rows(q{SELECT tenancy.set_tenant('hooli', false)});
	$copy->safe_psql($name, q{SELECT tenancy.suspend_tenant('hooli')});
	is($s->state('SELECT * FROM notes'), 'TN002', "$what: a suspension is noticed");
	$s->quit;
	return;
}

# ---------------------------------------------------------------------------
# One database, in the custom format and as SQL
# ---------------------------------------------------------------------------
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/shop.dump", '-d', $node->connstr($db) ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-f', "$dir/shop.sql", '-d', $node->connstr($db) ], 'pg_dump as SQL');
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'copy1', 'copy2', 'copy3';
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy1'), "$dir/shop.dump" ], 'pg_restore');
check_copy('pg_restore', $node, 'copy1');
$node->command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy2'), '-f', "$dir/shop.sql" ], 'the SQL');
check_copy('SQL', $node, 'copy2');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-j', '2', '-d', $node->connstr('copy3'), "$dir/shop.dump" ], 'pg_restore by two jobs');
same_lines(objects_of($node, 'copy3'), objects_of($node, $db), 'two jobs: all is there');

# The same tenants' databases belong to the original, whatever a copy of the
# registry says.
$node->psql('copy1', q{SELECT tenancy.drop_tenant('initech', true)});
slow($node, 'copy1', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
is(state_of($node, $db, 'initech'), 'active a database', "dropping a tenant of a copy does not drop the original's database");
$node->psql('copy2', q{SELECT tenancy.suspend_tenant('initech')});
is($node->psql('tenant_initech', 'SELECT 1', extra_params => [ '-U', 'app' ]), 0, 'nor does suspending it close it');
$node->psql('copy2', q{SELECT tenancy.rename_tenant('initech', 'renamed')});
is($node->psql('tenant_initech', 'SELECT 1', extra_params => [ '-U', 'app' ]), 0, 'nor does renaming it take its name');

# What lets rows through in a copy goes with what keeps tenants apart, as in the
# original.
for my $copy ('copy1', 'copy2')
{
	my $s = session($node, $copy, 'app');
	$s->rows(q{SELECT tenancy.set_tenant('acme', false)});
	is($s->rows('SELECT note FROM shop.notes'), 'note of acme', "$copy: a tenant's rows");
	$node->safe_psql($copy, 'DROP POLICY tenant_isolation ON shop.notes; DROP POLICY tenant_isolation ON tenant_globex.notes');
	is($s->rows('SELECT note FROM shop.notes; SELECT note FROM tenant_globex.notes'), '', "$copy: without tenant_isolation, tables are closed");
	$node->safe_psql($copy, 'DROP EXTENSION tenancy CASCADE');
	is($s->rows("SELECT * FROM $_"), '', "$copy: without the extension: $_")
		for 'shop.notes', 'shop.events', 'shop.assets', 'tenant_globex.notes', 'tenant_globex.events';
	$s->quit;
}

# ---------------------------------------------------------------------------
# Roles and tables that are gone: to another cluster, their numbers are somebody else's
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'gone', 'copy4';
$node->safe_psql('gone', q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA gone AUTHORIZATION shop_owner;
	SELECT tenancy.create_module('gone', 'gone');
	SET ROLE shop_owner;
	CREATE TABLE gone.item (id int PRIMARY KEY);
	CREATE TABLE gone.old (id int PRIMARY KEY);
	RESET ROLE;
	CREATE TABLE public.plan (id int PRIMARY KEY);
	CREATE TABLE public.old (id int PRIMARY KEY);
	ALTER TABLE public.plan OWNER TO shop_owner;
	ALTER TABLE public.old OWNER TO shop_owner;
	SELECT * FROM tenancy.protect_module('gone');
	SELECT tenancy.add_reference_table('public.plan'), tenancy.add_reference_table('public.old');
	SELECT tenancy.create_tenant('one');
	CREATE ROLE leaver;
	SELECT tenancy.grant_access('leaver', 'one'), tenancy.grant_access('clerk', 'one');
	DROP TABLE gone.old, public.old;
	DROP OWNED BY leaver;
	DROP ROLE leaver;
});
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/gone.dump", '-d', $node->connstr('gone') ], 'pg_dump without what is gone');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('copy4'), "$dir/gone.dump" ], 'pg_restore');
is($node->safe_psql('copy4', 'SELECT role FROM tenancy.access'), 'clerk', 'a role that is gone has no access in a copy');
is($node->safe_psql('copy4', 'SELECT relation FROM tenancy.protected_table'), 'gone.item', 'a table that is gone is not protected there');
is($node->safe_psql('copy4', 'SELECT relation FROM tenancy.reference_table'), 'plan', 'nor a reference table');

# ---------------------------------------------------------------------------
# An ordinary role's dump
# ---------------------------------------------------------------------------
my ($out, $err) = run_command([ 'pg_dump', '--data-only', '-t', 'shop.notes', '-d', $node->connstr($db) . ' user=app' ]);
unlike($out, qr/note of/, "an ordinary role cannot dump everybody's rows");
like($err, qr/row-level security|no tenant context/, 'and is told why');
($out, $err) = run_command([ 'pg_dump', '--data-only', '--enable-row-security', '-t', 'shop.notes', '-d', $node->connstr($db) . ' user=app' ]);
unlike($out, qr/note of/, 'nor any without a context');

# ---------------------------------------------------------------------------
# The whole cluster
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', "DROP DATABASE $_") for 'copy1', 'copy2', 'copy3';
if (state_of($node, $db, 'initech') ne 'active a database')
{
	# somebody has dropped it; the rest needs it
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant('initech', true); SELECT tenancy.create_tenant('initech', 'database', '00000000-0000-4000-8000-00000000000e')});
}
$node->command_ok([ 'pg_dumpall', '-f', "$dir/all.sql", '-d', $node->connstr('postgres') ], 'pg_dumpall');
my $other = init_cluster('other');
$other->start;
($out, $err) = run_command([ 'psql', '-Xq', '-o', '/dev/null', '-d', $other->connstr('postgres'), '-f', "$dir/all.sql" ]);
is(join("\n", grep { /ERROR/ && !/role "\w+" already exists/ } split /\n/, $err), '', 'restored into another cluster');
check_copy('pg_dumpall', $other, $db);
my $s = session($other, 'tenant_initech', 'app');
is($s->rows('SELECT tenancy.current_tenant()'), 'initech', "pg_dumpall: the tenant's database is its own");
is($s->rows('SELECT note FROM notes'), 'note of initech', 'pg_dumpall: with its rows, on its path');
is($s->state(q{INSERT INTO notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-00000000000f', 'x')}), '42501', 'pg_dumpall: and for nobody else');
$s->quit;
is($other->psql('tenant_initech', 'SELECT 1', extra_params => [ '-U', 'stranger' ]), 2, 'pg_dumpall: nor does it let others in');
like($other->safe_psql($db, 'SELECT * FROM tenancy.repair()'), qr/^database tenant_initech\|.*\|taken over by this one$/m,
	'pg_dumpall: repair() gives the database to the restored registry, whose OID is another');
is($other->safe_psql($db, q{SELECT tenancy.tenant_database('initech')}), 'tenant_initech', 'pg_dumpall: where tenant_database() leads');
is(sqlstate($other, $db, undef, q{SELECT tenancy.create_tenant('fresh', 'database')}), '00000', 'pg_dumpall: more databases can be made');
is(sqlstate($other, $db, undef, q{SELECT tenancy.drop_tenant('initech', true)}), '00000', 'pg_dumpall: and that one dropped');
slow($other, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
is(state_of($other, $db, 'initech'), 'no tenant, no database', 'pg_dumpall: in this cluster');
is(leftovers($other, $db), '', 'pg_dumpall: nothing is left behind');
is(state_of($node, $db, 'initech'), 'active a database', 'pg_dumpall: not in the other');

# ---------------------------------------------------------------------------
# The extension dropped: what is left of the tables shows nothing
# ---------------------------------------------------------------------------
$node->safe_psql($db, 'DROP EXTENSION tenancy CASCADE');
$s = session($node, $db, 'app');
is($s->query('SELECT * FROM shop.notes')->{rows}, '', 'without the extension, shared tables are closed');
isnt($s->state(q{INSERT INTO shop.notes (tenant_id, note) VALUES ('00000000-0000-4000-8000-00000000000a', 'x')}), '00000', 'in both directions');
is($s->query('SELECT * FROM tenant_globex.notes')->{rows}, '', "and so are schema tenants'");
$s->quit;
is($node->safe_psql($db, 'SELECT count(*) FROM shop.notes'), '2', 'their rows are still there');

$other->stop;
$node->stop;
done_testing();
