# Recording what a migration tool does to the model, and rolling it out: Knex,
# from npm, as its users run it; and sessions that the recording meets.
#
# TAP and not regress, because it takes several sessions and the tool.

use strict;
use warnings;

use File::Copy;
use File::Path qw(make_path);
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('record');
my $db = 'shop_app';

# The rows of a shared table need a tenant, which a tool does not have: here the
# tables are a schema tenant's, without a tenant column.
$node->safe_psql('postgres', "CREATE DATABASE $db; ALTER ROLE shop_owner LOGIN");
$node->safe_psql($db, q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA shop AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE shop.notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.notes TO app;
	RESET ROLE;
	SELECT tenancy.create_module('shop', 'shop');
	SELECT tenancy.grant_access('app');
	SELECT tenancy.create_tenant('t' || n, 'schema') FROM generate_series(1, 3) n;
	SELECT tenancy.create_tenant('d1', 'database');
});
my @owner = (extra_params => [ '-U', 'shop_owner' ]);

# ---------------------------------------------------------------------------
# Sessions
# ---------------------------------------------------------------------------
my $early = session($node, $db, 'shop_owner');
$early->rows('CREATE TABLE shop.dropped (a int); DROP TABLE shop.dropped');
$node->safe_psql($db, q{SELECT tenancy.start_recording(1, 'by hand')});
is($early->state('ALTER TABLE shop.notes ADD COLUMN unseen int'), '55000',
	'a session from before the recording cannot change the model');
is($early->state('DROP TABLE shop.notes CASCADE'), '55000', '... nor drop a table of it');
is($early->state('CREATE TEMP TABLE scratch (a int)'), '00000', '... but work elsewhere');
$early->quit;

my ($rc, $out, $err) = $node->psql($db, 'COPY shop.notes (note) FROM stdin', @owner);
like($err, qr/COPY from the client cannot be recorded/, 'COPY from the client is refused');
my $writer = session($node, $db, 'shop_owner');
$writer->rows('BEGIN');
$writer->rows('ALTER TABLE shop.notes ADD COLUMN late int');
my $dba = session($node, $db);
$dba->send('SELECT tenancy.stop_recording()');
ok(slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE query LIKE '%stop_recording%' AND wait_event_type = 'Lock'}),
	'stop_recording() waits for a transaction that has recorded a statement');
$writer->rows('COMMIT');
is($dba->wait->{rows}, '1', '... and has its statement');
is($writer->state('ALTER TABLE shop.notes ADD COLUMN later int'), '00000', 'what comes after it is not recorded');
$writer->rows('ALTER TABLE shop.notes DROP COLUMN later');
$writer->quit;
$dba->quit;

# An application writes to its tenant all the while, and is not recorded.
$node->safe_psql($db, q{SELECT tenancy.start_recording(2)});
$node->safe_psql($db, q{SELECT tenancy.set_tenant('t1', false); INSERT INTO notes (note) VALUES ('mine')},
	extra_params => [ '-U', 'app' ]);
is(sqlstate($node, $db, 'app', q{SELECT tenancy.stop_recording()}), '42501', 'an application cannot end a recording');
is(sqlstate($node, $db, 'app', q{SET tenancy.recording = off}), '42501', '... nor leave it');
is(sqlstate($node, $db, 'shop_owner', q{SET tenancy.recording = off}), '42501', '... nor can the owner of the model');
is(sqlstate($node, $db, 'app', q{SELECT * FROM tenancy.recorded_statement}), '42501', '... nor read it');
is($node->safe_psql($db, 'SELECT tenancy.stop_recording()'), '0', 'nothing was recorded');

# The server dies within a recording.
$node->safe_psql($db, q{SELECT tenancy.start_recording(3, 'with a crash')});
$node->safe_psql($db, 'ALTER TABLE shop.notes ADD COLUMN crash1 int', @owner);
$node->stop('immediate');
$node->start;
$node->safe_psql($db, 'ALTER TABLE shop.notes ADD COLUMN crash2 int', @owner);
is($node->safe_psql($db, 'SELECT tenancy.stop_recording()'), '2', 'a recording survives a crash');

# ---------------------------------------------------------------------------
# Knex
# ---------------------------------------------------------------------------
SKIP: {
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $log = "$dir/log";

	make_path("$dir/migrations");
	copy($_, "$dir/") for glob("$FindBin::RealBin/knex/*.js*");
	copy($_, "$dir/migrations/") for glob("$FindBin::RealBin/knex/migrations/*");
	system("cd '$dir' && npm install --no-audit --no-fund --no-package-lock >'$log' 2>&1") == 0
		or skip('npm cannot install knex: ' . slurp_file($log), 7);

	$node->safe_psql($db, q{SELECT tenancy.start_recording(20260102000000, 'by knex')});
	my $knex = "cd '$dir' && PGHOST='" . $node->host . "' PGPORT=" . $node->port .
		" PGDATABASE=$db PGUSER=shop_owner npx knex migrate:latest >'$log' 2>&1";
	is(system($knex), 0, 'knex migrates the model')
		or diag(slurp_file($log));
	my $recorded = $node->safe_psql($db, 'SELECT sql FROM tenancy.recorded_statement ORDER BY number');
	unlike($recorded, qr/knex_migrations|shop\./, 'its own tables are not recorded, nor the name of the schema');
	cmp_ok($node->safe_psql($db, 'SELECT tenancy.stop_recording()'), '>=', 7, 'its statements are');
	is(system($knex), 0, 'knex has nothing more to do');
	$node->safe_psql($db, 'CALL tenancy.migrate()');
	is($node->safe_psql($db, q{SELECT string_agg(format('%s|%s|%s', name, rank, share), ',' ORDER BY name) FROM tenant_t3.states
			WHERE since IS NULL OR since = '2026-01-02 03:04:05+00'}),
		q{back\\slash||,it's new|2|0.1250}, 'the values of parameters arrive as they were');
	is($node->safe_psql($db, q{SELECT object || ' ' || difference FROM tenancy.drift('t3') WHERE object NOT LIKE '%knex%'}), '',
		'a copy is like the model');
	is($node->safe_psql('tenant_d1', q{SELECT count(*) FROM shop.states}), '2', 'and so is a tenant\'s database');
}
$node->safe_psql($db, 'CALL tenancy.migrate()');
is($node->safe_psql($db, q{SELECT DISTINCT state, pending FROM tenancy.migration_status}), 'current|0', 'all tenants are current');

$node->stop;
done_testing();
