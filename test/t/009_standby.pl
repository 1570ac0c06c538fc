# A hot standby: the same context and the same wall, read-only; what is suspended
# or revoked on the primary is refused there once it is replayed, also in
# sessions that had it in their cache; and after a promotion all goes on.
#
# TAP and not regress, because it takes two servers.  Every wait has an end.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

# No server or client may keep this test for longer.
$SIG{ALRM} = sub { die "the test did not end in time\n" };
alarm 900;

my $db = 'shop_app';
my $primary = new_cluster('primary', 'max_prepared_transactions = 5', 'wal_level = replica', 'max_wal_senders = 4', 'hot_standby = on');
new_application($primary, $db);
$primary->safe_psql($db, q{
	SELECT tenancy.create_tenant('acme');
	SELECT tenancy.create_tenant('hooli');
	SELECT tenancy.create_tenant('globex', 'schema');
	SELECT tenancy.create_tenant('silo', 'database');
});
$primary->safe_psql('tenant_silo', q{INSERT INTO notes (note) VALUES ('of silo')}, extra_params => [ '-U', 'app' ]);
$primary->safe_psql($db, qq{SELECT tenancy.set_tenant('$_', false); INSERT INTO notes (note) VALUES ('of $_')},
	extra_params => [ '-U', 'app' ]) for qw(acme hooli globex);

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# Until the standby has replayed what the primary has written; at most 20 s.
sub catch_up
{
	my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_flush_lsn()');

	for (1 .. 200)
	{
		return 1 if $standby->safe_psql('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't';
		select(undef, undef, undef, 0.1);
	}
	return 0;
}
ok(catch_up(), 'the standby follows');
is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'and is one');

# ---------------------------------------------------------------------------
# The same context and wall
# ---------------------------------------------------------------------------
my %s = map { $_ => session($standby, $db, 'app') } qw(acme hooli globex);
is($s{acme}->state('SELECT * FROM shop.notes'), 'TN001', 'no context, no rows');
for my $tenant (sort keys %s)
{
	$s{$tenant}->rows("SELECT tenancy.set_tenant('$tenant', false)");
	is($s{$tenant}->rows('SELECT note FROM notes'), "of $tenant", "$tenant sees its rows only");
	is($s{$tenant}->rows('SELECT tenancy.current_tenant()'), $tenant, "$tenant is the tenant");
	is($s{$tenant}->state("INSERT INTO notes (note) VALUES ('more')"), '25006', "$tenant cannot write");
	is($s{$tenant}->state("SET tenancy.tenant_id = ''"), '42501', "$tenant\'s context cannot be set by hand");
}
# A tenant's own database
is(sqlstate($standby, $db, 'app', q{SELECT tenancy.set_tenant('silo')}), 'TN003', 'a database tenant lives elsewhere');
{
	my $silo = session($standby, 'tenant_silo', 'app');

	is($silo->rows('SELECT tenancy.current_tenant()'), 'silo', 'in its own database, it is the tenant');
	is($silo->rows('SELECT note FROM notes'), 'of silo', 'with its rows');
	is($silo->rows(q{SELECT count(tenancy.set_tenant('silo', false))}), '1', 'set_tenant() takes its name');
	is($silo->state(qq{SELECT tenancy.set_tenant('$_')}), 'TN003', "and not $_") for qw(acme globex nosuch);
	is($silo->state(q{INSERT INTO notes (note) VALUES ('more')}), '25006', 'it cannot write');
	is($silo->state(q{RESET tenancy.tenant_id}), '42501', 'nor be rid of its context');
	$silo->quit;
	like(session($standby, 'tenant_silo', 'stranger')->{refused}, qr/permission denied for database/, 'nobody else gets in');
}
# What is prepared on the primary, and nobody has committed yet
for my $tenant (sort keys %s)
{
	$primary->safe_psql($db, qq{BEGIN; SELECT tenancy.set_tenant('$tenant'); INSERT INTO notes (note) VALUES ('prepared, of $tenant'); PREPARE TRANSACTION 'of $tenant'},
		extra_params => [ '-U', 'app' ]);
}
ok(catch_up(), 'prepared transactions are replayed');
for my $tenant (sort keys %s)
{
	is($s{$tenant}->rows('SELECT note FROM notes'), "of $tenant", "$tenant does not see what is prepared");
	is($s{$tenant}->state("COMMIT PREPARED 'of $tenant'"), '25006', 'nor can it commit that here');
	is($s{$tenant}->state("BEGIN; SELECT count(*) FROM notes; PREPARE TRANSACTION 'here'"), '25006', 'or prepare a transaction');
	$s{$tenant}->query('ROLLBACK');
	is($s{$tenant}->rows('SELECT tenancy.current_tenant()'), $tenant, 'which leaves the context alone');
}
is($s{acme}->rows('SELECT count(*) FROM tenant_globex.notes'), '0', 'nothing of a schema tenant by its qualified name');
is(sqlstate($standby, $db, 'stranger', q{SELECT tenancy.set_tenant('acme')}), '42501', 'nobody else may enter');

# ---------------------------------------------------------------------------
# Functions that write
# ---------------------------------------------------------------------------
# Each function of the schema with what it does on a standby: refuse (25006), by
# name or as PostgreSQL itself does, or work, since it only reads.  A new
# function fails here until somebody has thought about it.
my %calls = (
	create_module => q{'x', 'shop'}, create_tenant => q{'late'}, suspend_tenant => q{'acme'}, resume_tenant => q{'acme'},
	rename_tenant => q{'acme', 'acme2'}, drop_tenant => q{'acme', true}, install_module => q{'globex', 'shop'},
	uninstall_module => q{'globex', 'shop', true}, grant_access => q{'clerk'}, revoke_access => q{'app'},
	create_token_key => q{'k', 'HS256', '0123456789abcdef0123456789abcdef'}, drop_token_key => q{'k'},
	protect_table => q{'shop.notes'}, protect_module => q{'shop'}, unprotect_table => q{'shop.notes'},
	add_migration => q{1, 'SELECT 1'}, load_migrations => q{'/tmp'}, migrate => q{}, rollback => q{1},
	start_recording => q{1}, stop_recording => q{}, repair => q{}, move_tenant => q{'acme', 'schema'},
	export_tenant => q{'acme', '/tmp/tenancy-standby-export'}, import_tenant => q{'/nowhere'}, copy_tenant => q{'acme', 'copy'},
	add_reference_table => q{'shop.notes'}, remove_reference_table => q{'shop.notes'}, sync_reference_tables => q{},
	set_spares => q{'schema', 1}, refill_spares => q{});
my %works = (
	check_isolation => q{}, drift => q{}, is_protected => q{'shop.notes'}, row_security_holes => q{150000},
	tenant_database => q{'acme'}, current_tenant => q{}, current_tenant_id => q{}, is_current_tenant => q{gen_random_uuid()},
	set_tenant => q{'acme', false}, reset_tenant => q{}, drift_objects => q{'shop'::regnamespace, NULL, 'model'}, drift_owner => q{10, 10, 'model'}, drift_privileges => q{NULL, 'r', 10, 10, 'model'},
	model_fingerprint => q{}, drift_withheld => q{}, matview_readers => q{'{}'}, names_schema => q{'tenancy.drift_withheld'::regproc, 'shop', true}, names_in_definitions => q{'shop'::regnamespace},
	drift_schema_privileges => q{'shop'::regnamespace, NULL, 'model'});
my %others = map { $_ => 1 } qw(session_contexts set_tenant_token sign_token policy_allow policy_tenant_id policy_is_tenant policy_support policy_allow_support
	invalidate_registry record_commands protect_children export_tables import_tables import_changes import_schema import_database refresh_copies move_rows move_load move_write move_note keep_migration);

for my $name (split /\n/, $standby->safe_psql($db, q{SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace ORDER BY 1}))
{
	next if $others{$name};
	ok(exists $calls{$name} || exists $works{$name}, "$name() is among those tried on a standby") or next;
	my $verb = $standby->safe_psql($db, qq{SELECT CASE WHEN bool_or(prokind = 'p') THEN 'CALL' ELSE 'SELECT * FROM' END FROM pg_proc WHERE pronamespace = 'tenancy'::regnamespace AND proname = '$name'});
	my $s = session($standby, $db);
	my $r = $s->query("$verb tenancy.$name(" . ($calls{$name} // $works{$name}) . ')');

	is($r->{state}, exists $works{$name} ? '00000' : '25006', "$name() " . (exists $works{$name} ? 'works' : 'is refused')) or diag($r->{messages});
	unlike($r->{messages}, qr/cannot acquire lock mode|could not/, "$name(): in the user's words");
	$s->quit;
}
is(sqlstate($standby, $db, undef, "SELECT tenancy.create_tenant('late', '$_')"), '25006', "create_tenant(), mode $_") for qw(schema database);
is($standby->safe_psql($db, "SELECT count(*) FROM tenancy.$_") =~ /^\d+$/, 1, "view $_ can be read")
	for qw(tenants protected_tables migration_status migration_progress progress spares);

is(sqlstate($standby, $db, undef, 'SELECT FROM tenancy.sessions'), '55000', 'view sessions says that the library is not preloaded');

# ---------------------------------------------------------------------------
# Cached rows of the registry, and replay
# ---------------------------------------------------------------------------
for my $tenant ('acme', 'globex')
{
	$primary->safe_psql($db, "SELECT tenancy.suspend_tenant('$tenant')");
	ok(catch_up(), "$tenant: the suspension is replayed");
	is($s{$tenant}->state('SELECT note FROM notes'), 'TN002', "$tenant is suspended in a session that had it cached");
	is($s{hooli}->rows('SELECT note FROM notes'), 'of hooli', 'another one goes on');
	$primary->safe_psql($db, "SELECT tenancy.resume_tenant('$tenant')");
	ok(catch_up(), "$tenant: the end of it as well");
	is($s{$tenant}->rows('SELECT note FROM notes'), "of $tenant", "$tenant is back");
}
$primary->safe_psql($db, q{SELECT tenancy.revoke_access('app'); SELECT tenancy.grant_access('app', 'hooli')});
ok(catch_up(), 'the revoked access is replayed');
is($s{acme}->state('SELECT note FROM notes'), '42501', 'its session is refused');
is($s{hooli}->rows('SELECT note FROM notes'), 'of hooli', 'what is left goes on');
$primary->safe_psql($db, q{SELECT tenancy.grant_access('app')});
ok(catch_up(), 'the access is given again');
$_->quit for values %s;

# ---------------------------------------------------------------------------
# Promotion
# ---------------------------------------------------------------------------
$primary->stop('immediate');
$standby->promote;
ok(slow($standby, 'postgres', 'SELECT NOT pg_is_in_recovery()'), 'promoted');
$standby->safe_psql($db, q{SELECT tenancy.create_tenant('initech', 'schema'); SELECT tenancy.create_tenant('umbrella')});
for my $tenant (qw(acme hooli globex initech umbrella))
{
	my $s = session($standby, $db, 'app');

	$s->rows("SELECT tenancy.set_tenant('$tenant', false)");
	$s->rows("INSERT INTO notes (note) VALUES ('new, of $tenant')");
	is($s->rows(q{SELECT string_agg(note, '; ' ORDER BY note) FROM notes}),
		$tenant =~ /initech|umbrella/ ? "new, of $tenant" : "new, of $tenant; of $tenant", "$tenant writes, and has nobody else's rows");
	$s->quit;
}
for my $tenant (qw(acme hooli globex))
{
	my $s = session($standby, $db, 'app');

	is($s->state("COMMIT PREPARED 'of $tenant'"), '00000', 'what was prepared on the primary that is gone is committed, without a context');
	is($s->rows('SELECT tenancy.current_tenant()'), '', 'and there is none then');
	for my $other (qw(acme hooli globex initech umbrella))
	{
		is($s->rows(qq{SELECT tenancy.set_tenant('$other', false) \\g /dev/null
			SELECT count(*) FROM notes WHERE note = 'prepared, of $tenant'}), $other eq $tenant ? '1' : '0', $other eq $tenant ? "$other has its row" : "$other has none of it");
	}
	$s->quit;
}
is(leftovers($standby, $db), '', 'nothing is left behind');

alarm 0;
$standby->stop;
done_testing();
