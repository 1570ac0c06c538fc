# A database with many tenants through pg_dump and pg_restore: all of them come
# back, and are isolated.
#
# What one tenant's calls read does not grow with their number.
#
# TENANCY_TEST_TENANTS (1000) is their number: some in databases of their own, a third
# in schemas, the rest in shared tables.
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
use Time::HiRes qw(time);

my $tenants = $ENV{TENANCY_TEST_TENANTS} // 1000;
my $in_databases = 5;
my $in_schemas = int($tenants / 3);
my $node = new_cluster('many', 'max_wal_size = 4GB', 'checkpoint_timeout = 1h');
my $db = 'shop';
my $dump = $node->basedir . '/shop.dump';

sub timed
{
	my ($what, @command) = @_;
	my $start = time;

	$node->command_ok([@command], $what);
	note(sprintf('%.1f s: %s', time - $start, $what));
	return;
}

new_application($node, $db, tables => 3);
$node->safe_psql($db, q{
	ALTER TABLE shop.notes DROP CONSTRAINT notes_pkey, ADD PRIMARY KEY (tenant_id, note);
	SELECT format('ALTER TABLE shop.%1$I DROP CONSTRAINT %1$s_pkey, DROP CONSTRAINT %1$s_b_key, ADD PRIMARY KEY (tenant_id, a), ADD UNIQUE (tenant_id, b)', t)
	FROM unnest('{bulk2,bulk3}'::text[]) t \gexec
});
$node->safe_psql($db, qq{
	DO \$\$BEGIN
		FOR n IN 1 .. $in_schemas LOOP
			PERFORM tenancy.create_tenant('s' || n, 'schema');
			COMMIT;
		END LOOP;
	END\$\$;
	SELECT count(tenancy.create_tenant('p' || n)) FROM generate_series(1, $tenants - $in_schemas - $in_databases) n;
});
$node->safe_psql($db, "SELECT tenancy.create_tenant('d$_', 'database')") for 1 .. $in_databases;
$node->safe_psql($db, q{
	INSERT INTO shop.notes (note, tenant_id) SELECT 'note of ' || slug, id FROM tenancy.tenant WHERE mode = 'shared';
	SELECT format('INSERT INTO %I.notes (note, tenant_id) VALUES (%L, %L)', schema_name, 'note of ' || slug, id)
	FROM tenancy.tenant WHERE mode = 'schema' \gexec
	SELECT tenancy.suspend_tenant('p1', 'unpaid'), tenancy.grant_access('clerk', 'p2'), tenancy.grant_access('clerk', 's2');
});

# What all tenants' rows and the registry are.
my $all = q{
	SELECT 'tenant', t::text FROM tenancy.tenant t
	UNION ALL SELECT 'access', role || ' ' || COALESCE(tenant_id::text, 'all') FROM tenancy.access
	UNION ALL SELECT 'protected', relation || ' ' || tenant_column FROM tenancy.protected_table
	UNION ALL SELECT 'copy', c::text FROM tenancy.module_copy c
	UNION ALL SELECT 'note', note || ' ' || tenant_id FROM shop.notes
	UNION ALL SELECT 'policy', concat_ws(' ', polrelid::regclass, polname, polpermissive, pg_get_expr(polqual, polrelid)) FROM pg_policy
	UNION ALL SELECT 'note', xpath_text FROM (SELECT unnest(xpath('//note/text()', table_to_xml(c.oid, false, false, '')))::text AS xpath_text
		FROM pg_class c WHERE relname = 'notes' AND relnamespace <> 'shop'::regnamespace) n
	ORDER BY 1, 2};

# as many tables as pg_dump locks, for docs/operations.md
my $tables = $node->safe_psql($db, q{SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text !~ '^(pg_|information)'});
note("$tables tables");

timed('pg_dump', 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($db));
$node->safe_psql('postgres', 'CREATE DATABASE copy');
timed("pg_restore, $_", 'pg_restore', "--section=$_", '--exit-on-error', '-j', '2', '-d', $node->connstr('copy'), $dump) for 'pre-data', 'data', 'post-data';
is($node->safe_psql('copy', $all), $node->safe_psql($db, $all), "$tenants tenants: all is as it was");
is($node->safe_psql('copy', q{SELECT * FROM tenancy.check_isolation()}), '', 'isolated');
is($node->safe_psql('copy', q{SELECT * FROM tenancy.drift() WHERE tenant !~ '^d'}), '', 'no drift');

my $s = session($node, 'copy', 'app');
foreach my $slug ('p2', 'p300', 's1', "s$in_schemas")
{
	next if $tenants < 500 && $slug eq 'p300';
	$s->rows("SELECT tenancy.set_tenant('$slug', false)");
	is($s->rows('SELECT string_agg(note, $$,$$) FROM notes'), "note of $slug", "$slug sees its own rows");
	is($s->rows('SELECT count(*) FROM tenant_s2.notes'), '0', 'and none of others');
}
$s->quit;
is(sqlstate($node, 'copy', 'app', q{SELECT tenancy.set_tenant('p1')}), 'TN002', 'a suspended tenant');
is(sqlstate($node, 'copy', 'clerk', q{SELECT tenancy.set_tenant('s2')}), '00000', 'access');
is(sqlstate($node, 'copy', 'clerk', q{SELECT tenancy.set_tenant('s3')}), '42501', 'no access');
is(sqlstate($node, 'copy', 'app', q{SELECT tenancy.set_tenant('d1')}), 'TN003', 'a tenant with a database');

# ---------------------------------------------------------------------------
# What one tenant's calls need of the catalogs is looked up there, and not
# searched for among what all tenants have.
# ---------------------------------------------------------------------------
my $files = $node->basedir . '/exported';

# How many rows were read from end to end of those catalogs that grow with the tenants.
sub rows_read
{
	return map { split /\|/ } split /\n/, $node->safe_psql($db, q{
		SELECT relname, seq_tup_read FROM pg_stat_sys_tables
		WHERE relid = ANY ('{pg_class,pg_constraint,pg_attribute,pg_index,pg_depend,pg_policy}'::regclass[])});
}

$node->safe_psql($db, q{
	CREATE SCHEMA loyalty AUTHORIZATION shop_owner;
	SELECT tenancy.create_module('loyalty', 'loyalty');
	VACUUM ANALYZE;
});
foreach my $call (
	"SELECT tenancy.create_tenant('mover')",
	"SELECT tenancy.create_tenant('schema', 'schema')",
	"CALL tenancy.move_tenant('mover', 'schema')",
	"CALL tenancy.move_tenant('mover', 'shared', online => true)",
	"CALL tenancy.move_tenant('mover', 'schema', online => true)",
	"CALL tenancy.move_tenant('mover', 'database')",
	"CALL tenancy.move_tenant('mover', 'shared')",
	"SELECT tenancy.export_tenant('mover', '$files')",
	"SELECT tenancy.import_tenant('$files', 'again', 'schema')",
	"SELECT tenancy.copy_tenant('again', 'third', 'shared')",
	"SELECT tenancy.install_module('again', 'loyalty')",
	"SELECT tenancy.uninstall_module('again', 'loyalty')",
	"SELECT tenancy.rename_tenant('again', 'renamed')",
	"SELECT tenancy.drop_tenant('renamed', true)",
	"SELECT tenancy.drop_tenant('mover', true)",
	"SELECT * FROM tenancy.drift('schema')")
{
	my %before = rows_read();

	$node->safe_psql($db, $call);
	my %after = rows_read();
	is(join(' ', grep { $after{$_} > $before{$_} } sort keys %after), '', "reads no catalog from end to end: $call");
}

# ---------------------------------------------------------------------------
# Locks: pg_dump holds one on each table at once
# ---------------------------------------------------------------------------
my $settings = "max_connections = 20\nmax_prepared_transactions = 0\nmax_worker_processes = 20\nautovacuum_max_workers = 1\nmax_wal_senders = 0";
my $enough = $node->safe_psql($db, q{SELECT ceil(count(*) / 20.0) FROM pg_class WHERE relkind IN ('r', 'p')});

# The server lends some of its spare memory: ask for much more than there is room for.
$node->append_conf('postgresql.conf', "$settings\nmax_locks_per_transaction = 10\nmax_connections = 10\nmax_worker_processes = 1");
$node->restart;
my ($out, $err) = run_command([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($db) ]);
like($err, qr/out of shared memory|max_locks_per_transaction/, 'too few locks: pg_dump says which setting') if $tenants >= 1000;
$node->append_conf('postgresql.conf', "$settings\nmax_locks_per_transaction = $enough");
$node->restart;
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($db) ], "max_locks_per_transaction = $enough: as many as there are tables for each connection");

$node->stop;
done_testing();
