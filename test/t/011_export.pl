# A tenant's rows as files, in each mode: that they are all there and nobody
# else's, as of one moment, and that nobody gains anything by asking.
#
# TAP and not regress, because the files are looked at, and sessions are left
# waiting.

use strict;
use warnings;

use Digest::SHA;
use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('export');
my $db = 'shop';
my $dir = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', "CREATE DATABASE $db");
$node->safe_psql($db, q{
	CREATE EXTENSION tenancy;
	CREATE ROLE keeper LOGIN IN ROLE pg_write_server_files;
	CREATE ROLE clumsy LOGIN;
	GRANT USAGE ON SCHEMA tenancy TO keeper, clumsy;
	GRANT EXECUTE ON FUNCTION tenancy.export_tenant, tenancy.export_tables TO keeper, clumsy;
	CREATE SCHEMA shop AUTHORIZATION shop_owner;
	GRANT USAGE ON SCHEMA shop TO app;
	SET ROLE shop_owner;
	CREATE FUNCTION shop.planted() RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN RAISE 'planted code runs as %', current_user; END$$;
	CREATE TABLE shop.customer (
		id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		name text NOT NULL,
		gone int,
		upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
		tags text[],
		photo bytea);
	ALTER TABLE shop.customer DROP COLUMN gone;
	CREATE TABLE shop."odd/../Name" (
		"a ""b" int PRIMARY KEY, customer int REFERENCES shop.customer);
	CREATE TABLE shop.parted (n int PRIMARY KEY) PARTITION BY RANGE (n);
	CREATE TABLE shop.parted_low PARTITION OF shop.parted FOR VALUES FROM (0) TO (10);
	CREATE TABLE shop.parted_high PARTITION OF shop.parted FOR VALUES FROM (10) TO (20);
	CREATE SEQUENCE shop.ticket;
	CREATE VIEW shop.sly AS SELECT shop.planted();
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO app;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA shop TO app;
	RESET ROLE;
	SELECT tenancy.create_module('shop', 'shop');
	SELECT * FROM tenancy.protect_module('shop');
	SELECT tenancy.grant_access('app');
	SELECT tenancy.create_tenant('pool'), tenancy.create_tenant('other'),
		tenancy.create_tenant('bridge', 'schema');
	SELECT tenancy.create_tenant('silo', 'database');
});

# The same rows for each, at odds with the COPY format wherever possible.
sub fill
{
	my ($tenant, $first) = @_;
	my $database = $tenant eq 'silo' ? 'tenant_silo' : $db;

	$node->safe_psql($database, qq{
		BEGIN;
		SELECT tenancy.set_tenant('$tenant');
		INSERT INTO customer (id, name, tags, photo) OVERRIDING SYSTEM VALUE VALUES
			($first, E'tab\\tnew\\nline back\\\\slash \\\\N \\\\.' || (SELECT string_agg(chr(n), '') FROM generate_series(1, 255) n)
				|| repeat(E'\\\\\\u20ac\\t', 50000), NULL, '\\x00ff5c0a'),
			($first + 1, '', '{NULL,"a,b"}', NULL),
			($first + 2, '$tenant', '{}', '\\x');
		INSERT INTO "odd/../Name" SELECT id, id FROM customer;
		INSERT INTO parted SELECT n FROM generate_series($first % 5, $first % 5 + 10, 5) n;
		COMMIT;
	}, extra_params => [ '-U', 'app' ]);
	return;
}
fill('pool', 1);
fill('other', 4);
fill('bridge', 1);
fill('silo', 1);

my %place = (pool => [ $db, 'shop' ], bridge => [ $db, 'tenant_bridge' ], silo => [ 'tenant_silo', 'shop' ]);

sub export_as
{
	my ($role, $tenant, $directory) = @_;

	return sqlstate($node, $db, $role, "SELECT tenancy.export_tenant('$tenant', '$directory')");
}

# A value of a manifest.
sub manifest
{
	my ($tenant, $path) = @_;

	return $node->safe_psql($db, qq{
		SELECT jsonb_path_query_array(pg_read_file('$dir/$tenant/manifest.json')::jsonb, '$path')});
}

# ---------------------------------------------------------------------------
# Who may, and where to
# ---------------------------------------------------------------------------
is(export_as('app', 'pool', "$dir/no"), '42501', 'the application may not export');
is(export_as('clumsy', 'pool', "$dir/no"), '42501', 'nor whoever may not write files of the server');
is(sqlstate($node, $db, 'keeper', "SELECT tenancy.export_tables('{}', '$dir/no')"), '42501',
	'nobody does the part of the worker');
is(sqlstate($node, $db, undef, "SELECT tenancy.export_tables('{}', '$dir/no')"), '42501',
	'not even a superuser');
is(export_as('keeper', 'nobody', "$dir/no"), '42704', 'an unknown tenant');
is(export_as('keeper', 'pool', 'no'), '42602', 'a relative path');
is(export_as('keeper', 'pool', "$dir/no/such/place"), '58P01', 'a directory in none');
is(sqlstate($node, $db, 'keeper', "SELECT tenancy.export_tenant('pool', NULL)"), '22004', 'no directory');

mkdir "$dir/full";
append_to_file("$dir/full/precious", 'precious');
mkdir "$dir/empty";
symlink("$dir/empty", "$dir/link");
symlink("$dir/nothing", "$dir/dangling");
is(export_as('keeper', 'pool', "$dir/full"), '58P02', 'a directory with something in it');
is(export_as('keeper', 'pool', "$dir/full/precious"), '58P02', 'a file');
is(export_as('keeper', 'pool', "$dir/link"), '58P02', 'a link to an empty directory');
is(export_as('keeper', 'pool', "$dir/dangling"), '58P02', 'a dangling link');
is(slurp_file("$dir/full/precious"), 'precious', 'what was there is as it was');
is(join(' ', map { s/.*\///r } sort glob "$dir/*"), 'dangling empty full link', 'and nothing else is');

# ---------------------------------------------------------------------------
# What is in the files
# ---------------------------------------------------------------------------

# Code that the tables' owner can plant on the way of a reader.
$node->safe_psql($_->[0], qq{
	SET ROLE shop_owner;
	CREATE POLICY sly ON $_->[1].customer AS RESTRICTIVE USING (shop.planted());
	CREATE FUNCTION $_->[1].uuid_eq(uuid, uuid) RETURNS boolean LANGUAGE sql AS 'SELECT shop.planted()';
	CREATE OPERATOR $_->[1].= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = $_->[1].uuid_eq);
	ALTER ROLE shop_owner SET search_path = $_->[1], pg_catalog;
}) foreach values %place;

mkdir "$dir/pool";
foreach my $tenant (sort keys %place)
{
	my ($database, $schema) = @{ $place{$tenant} };

	is(export_as('keeper', $tenant, "$dir/x/../$tenant/"), '00000', "$tenant is exported");
	is(manifest($tenant, '$.tables[*].table'), '["customer", "odd/../Name", "parted"]', "$tenant: its tables");
	is(manifest($tenant, '$.tables[*].rows'), '[3, 3, 3]', "$tenant: rows");
	is(manifest($tenant, '$.tables[0].columns[*].name'), '["id", "name", "tags", "photo", "tenant_id"]',
		"$tenant: columns, but generated ones");
	is(manifest($tenant, '$.tables[0].columns[0].identity'), '["a"]', "$tenant: an identity");
	is(manifest($tenant, '$.slug'), "[\"$tenant\"]", "$tenant: its name");
	is(manifest($tenant, '$.sequences[*].sequence'), '["customer_id_seq", "ticket"]', "$tenant: sequences");

	my @files = map { s/.*\///r } sort glob "$dir/$tenant/*";
	is("@files", '0001_customer.copy 0002_odd_..__ame.copy 0003_parted.copy manifest.json', "$tenant: files");
	my $sums = join ', ', map { '"' . Digest::SHA->new(256)->addfile("$dir/$tenant/$_")->hexdigest . '"' } @files[0 .. 2];
	is(manifest($tenant, '$.tables[*].sha256'), "[$sums]", "$tenant: checksums");
	is(manifest($tenant, '$.tables[*].bytes'), '[' . join(', ', map { -s "$dir/$tenant/$_" } @files[0 .. 2]) . ']',
		"$tenant: sizes");

	# Plain COPY FROM takes them.
	my $id = $node->safe_psql($db, "SELECT id FROM tenancy.tenant WHERE slug = '$tenant'");
	my $differences = $node->safe_psql($database, qq{
		CREATE TEMP TABLE c (id int, name text, tags text[], photo bytea, tenant_id uuid);
		CREATE TEMP TABLE o (a int, customer int, tenant_id uuid);
		CREATE TEMP TABLE p (n int, tenant_id uuid);
		COPY c FROM '$dir/$tenant/$files[0]';
		COPY o FROM '$dir/$tenant/$files[1]';
		COPY p FROM '$dir/$tenant/$files[2]';
		COPY c TO '$dir/$tenant.again';
		CREATE TEMP VIEW cs AS SELECT id, name, tags, photo, tenant_id FROM $schema.customer WHERE tenant_id = '$id';
		CREATE TEMP VIEW os AS SELECT * FROM $schema."odd/../Name" WHERE tenant_id = '$id';
		CREATE TEMP VIEW ps AS SELECT * FROM $schema.parted WHERE tenant_id = '$id';
		SELECT (SELECT count(*) FROM cs) || ' ' || count(*) FROM (
			((TABLE c EXCEPT ALL TABLE cs) UNION ALL (TABLE cs EXCEPT ALL TABLE c))) d;
		SELECT (SELECT count(*) FROM os) || ' ' || count(*) FROM (
			((TABLE o EXCEPT ALL TABLE os) UNION ALL (TABLE os EXCEPT ALL TABLE o))) d;
		SELECT (SELECT count(*) FROM ps) || ' ' || count(*) FROM (
			((TABLE p EXCEPT ALL TABLE ps) UNION ALL (TABLE ps EXCEPT ALL TABLE p))) d;
	});
	is($differences, "3 0\n3 0\n3 0", "$tenant: every row, as it is, and no other");
	ok(slurp_file("$dir/$tenant/$files[0]") eq slurp_file("$dir/$tenant.again"), "$tenant: byte for byte what COPY writes");
}
is(export_as('keeper', 'pool', "$dir/pool"), '58P02', 'an export is not written over');

$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('silo')});
is(export_as('keeper', 'silo', "$dir/silo2"), '00000', 'a suspended tenant, in a database that takes no connections');
is(slurp_file("$dir/silo2/0001_customer.copy"), slurp_file("$dir/silo/0001_customer.copy"), 'with its rows');

# As docs/operations.md says.
$node->safe_psql($_->[0], qq{
	SET ROLE shop_owner;
	DROP POLICY sly ON $_->[1].customer;
}) foreach ($place{pool}, $place{bridge});
my $pool_id = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'pool'});
$node->safe_psql($db, q{SELECT tenancy.drop_tenant('pool', force => true)});
$node->safe_psql($db, qq{
	SELECT tenancy.create_tenant('pool', 'shared', '$pool_id');
	BEGIN;
	CREATE TEMP TABLE c (id int, name text, tags text[], photo bytea, tenant_id uuid);
	CREATE TEMP TABLE o (a int, customer int, tenant_id uuid);
	CREATE TEMP TABLE p (n int, tenant_id uuid);
	COPY c FROM '$dir/pool/0001_customer.copy';
	COPY o FROM '$dir/pool/0002_odd_..__ame.copy';
	COPY p FROM '$dir/pool/0003_parted.copy';
	GRANT SELECT ON c, o, p TO app;
	SET LOCAL ROLE app;
	SELECT tenancy.set_tenant('pool');
	INSERT INTO customer (id, name, tags, photo, tenant_id) OVERRIDING SYSTEM VALUE TABLE c;
	INSERT INTO "odd/../Name" TABLE o;
	INSERT INTO parted TABLE p;
	COMMIT;
});
is(export_as('keeper', 'pool', "$dir/again"), '00000', 'a tenant that was dropped and loaded is exported again');
is(slurp_file("$dir/again/$_"), slurp_file("$dir/pool/$_"), "with the same rows: $_")
	foreach ('0001_customer.copy', '0002_odd_..__ame.copy', '0003_parted.copy');

# ---------------------------------------------------------------------------
# One moment, nobody in the way, and nothing left
# ---------------------------------------------------------------------------
my $waits = q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'};
my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
{
	my $blocker = session($node, $db);
	my $keeper = session($node, $db, 'keeper');
	my $writer = session($node, $db, 'app');

	$blocker->rows('BEGIN; LOCK TABLE shop.parted');
	$keeper->send("SELECT tenancy.export_tenant('pool', '$dir/moment')");
	ok(slow($node, $db, $waits), 'an export waits for a table');
	is($writer->state(q{BEGIN; SELECT tenancy.set_tenant('pool');
		INSERT INTO "odd/../Name" VALUES (90, NULL); COMMIT}), '00000', 'the tenant writes meanwhile');
	$blocker->rows(q{INSERT INTO shop.parted SELECT 19, id FROM tenancy.tenant WHERE slug = 'pool'; COMMIT});
	is($keeper->wait->{state}, '00000', 'the export goes on');
	is(manifest('moment', '$.tables[*].rows'), '[3, 3, 3]', 'and shows the moment when it began');

	$blocker->rows('BEGIN; LOCK TABLE shop.parted_high');
	foreach my $end ('pg_cancel_backend', 'pg_terminate_backend')
	{
		$keeper = session($node, $db, 'keeper');
		$keeper->send("SELECT tenancy.export_tenant('pool', '$dir/cancelled')");
		ok(slow($node, $db, $waits), 'an export is at it');
		is(scalar(() = glob "$dir/cancelled.partial-*/0002*"), 1, 'with some files written');
		$node->safe_psql($db, "SELECT $end($keeper->{pid})");
		is($keeper->wait->{state}, $end =~ /cancel/ ? '57014' : '', "its caller ends by $end");
		ok(slow($node, $db, $no_worker), 'the worker ends');
		is(join(' ', glob "$dir/cancelled*"), '', 'and leaves nothing');
	}
	$blocker->rows('ROLLBACK');

	# What a snapshot does not show any more, though it was there: rows of a table that is
	# rewritten or emptied, of a partition that goes; a migration that comes in between
	my %between = (
		rewritten => [ 'ALTER TABLE shop.customer ALTER photo TYPE bytea USING photo || $$$$' ],
		emptied => [ 'TRUNCATE shop.parted_low' ],
		detached => [ 'ALTER TABLE shop.parted DETACH PARTITION shop.parted_high',
			'ALTER TABLE shop.parted ATTACH PARTITION shop.parted_high FOR VALUES FROM (10) TO (20)' ],
		migrated => [ 'LOCK TABLE pg_db_role_setting; UPDATE tenancy.module SET level = 1', 'UPDATE tenancy.module SET level = 0' ]);
	$keeper = session($node, $db, 'keeper');
	foreach my $change (sort keys %between)
	{
		my ($do, $undo) = @{$between{$change}};

		$blocker->rows("BEGIN; $do");
		$keeper->send("SELECT tenancy.export_tenant('pool', '$dir/$change')");

		# seen by this session, because nobody may be able to connect
		$blocker->rows(q{DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP; END $$; COMMIT});
		is($keeper->wait->{state}, '40001', "$change: an export does not end as if nothing had been there");
		is(join(' ', glob "$dir/$change*"), '', "$change: nor does it leave anything");
		$blocker->rows($undo) if $undo;
	}

	my $own = session($node, $db);
	is($own->state(qq{BEGIN; SELECT tenancy.create_tenant('fresh');
		SELECT tenancy.export_tenant('fresh', '$dir/fresh')}), '55000', 'not what this transaction created');
	is($own->state(qq{ROLLBACK; BEGIN; LOCK TABLE shop.customer;
		SELECT tenancy.export_tenant('pool', '$dir/lock')}), '40P01', 'nor while it holds a lock on a table');
	$_->quit foreach ($blocker, $keeper, $writer, $own);
}

$node->safe_psql($db, q{CREATE TABLE shop.bare (n int); ALTER TABLE shop.bare OWNER TO shop_owner});
is(export_as('keeper', 'pool', "$dir/bare"), '55000', 'a table that is not protected: whose rows would that be?');
$node->safe_psql($db, q{DROP TABLE shop.bare;
	CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
	CREATE FOREIGN TABLE shop.far (n int) SERVER s});
is(export_as('keeper', 'pool', "$dir/far"), '0A000', 'a foreign table');
is(join(' ', glob "$dir/bare* $dir/far* $dir/lock* $dir/fresh*"), '', 'and none of these leaves anything');

done_testing();
