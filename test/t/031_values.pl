# Rows are the same wherever a tenant moves to, on a server whose OIDs have come far
# and with a locale that is one database's.
#
# TAP and not regress, because it takes such a server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = init_cluster('values');
my $db = 'shop';
my $locales = PostgreSQL::Test::Utils::tempdir;
my $locale = 'C';

# One that writes money without cents; it need not be installed.
if (system("localedef -i ja_JP -f UTF-8 '$locales/ja_JP.UTF-8' >'$locales/log' 2>&1") == 0)
{
	$locale = 'ja_JP.UTF-8';
	$ENV{LOCPATH} = $locales;
}
else
{
	diag 'no locale could be made: money is in the default one';
}

# From half of all OIDs on, one is a negative number to whoever takes it for signed.
command_ok([ 'pg_resetwal', '-o', '3000000000', $node->data_dir ], 'OIDs have come far');
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE shop_owner NOLOGIN; CREATE ROLE app LOGIN; CREATE ROLE clerk; CREATE ROLE stranger');
new_application($node, $db);
$node->safe_psql('postgres', "ALTER DATABASE $db SET lc_monetary = '$locale'");
$node->safe_psql($db, q{
	SET ROLE shop_owner;
	CREATE TYPE shop.mood AS ENUM ('sad', 'fine');
	CREATE DOMAIN shop.feeling AS shop.mood;
	CREATE TABLE shop.paid (
		n int PRIMARY KEY, mood shop.mood, feeling shop.feeling, flag boolean, letter "char",
		small smallint, whole int, day date, real real, object oid, price money DEFAULT '5', doc xml DEFAULT 'a<b/>c');
	RESET ROLE;
	SELECT * FROM tenancy.protect_module('shop');
	SELECT tenancy.create_tenant('acme');
	SELECT tenancy.set_tenant('acme', false);
	INSERT INTO shop.paid SELECT n, 'fine', 'sad', n > 0, chr(200 + abs(n))::"char", n, n, date '2000-01-01' + n, n, 4000000000 + n, (1000 * n)::money, n::text::xml
	FROM generate_series(-2, 2) n;
	INSERT INTO shop.paid (n) VALUES (3);
});
cmp_ok($node->safe_psql($db, q{SELECT max(oid) FROM pg_enum}), '>', 3000000000, 'an enum has such OIDs');

# What is no whole document is none to whoever is told to take documents only.
$node->safe_psql('postgres', 'ALTER ROLE CURRENT_USER SET xmloption = document');

my $columns = 'n, mood, feeling, flag, letter, small, whole, day, real, object, price::numeric, price, doc';
my $expected = $node->safe_psql($db, "SELECT tenancy.set_tenant('acme', false); SELECT $columns FROM shop.paid ORDER BY n");

sub rows
{
	my $from = $node->safe_psql($db, q{SELECT mode FROM tenancy.tenants WHERE slug = 'acme'});

	return $from ne 'database' ?
		$node->safe_psql($db, "SELECT tenancy.set_tenant('acme', false); SELECT $columns FROM paid ORDER BY n") :
		$node->safe_psql('tenant_acme', "SET lc_monetary = '$locale'; SELECT tenancy.set_tenant('acme', false); SELECT $columns FROM paid ORDER BY n");
}

foreach my $online ('false', 'true')
{
	foreach my $mode (qw(schema database shared database schema shared))
	{
		is($node->psql($db, "CALL tenancy.move_tenant('acme', '$mode', online => $online)"), 0, "it moves to mode $mode, online: $online");
		is(rows(), $expected, 'with the same rows');
	}
}

# Defaults of that type as well
$node->safe_psql($db, q{SELECT tenancy.create_tenant('far', 'database')});
is($node->safe_psql('tenant_far', q{SELECT tenancy.set_tenant('far', false); INSERT INTO paid (n) VALUES (1) RETURNING price::numeric}) =~ s/.*\n//r,
	$locale eq 'C' ? '5.00' : '0.05', 'a default is the same number of the smallest unit');
is($node->safe_psql($db, q{SELECT * FROM tenancy.drift()}), '', 'and is taken for the same');

# A file does not tell in which locale it was written.
my $files = "$locales/files";
$node->safe_psql($db, "SELECT tenancy.export_tenant('acme', '$files')");
$node->safe_psql('postgres', "ALTER DATABASE $db RESET lc_monetary");
$node->safe_psql($db, "SELECT tenancy.import_tenant('$files', 'copy', 'schema')");
$node->safe_psql('postgres', "ALTER DATABASE $db SET lc_monetary = '$locale'");
is($node->safe_psql($db, "SELECT tenancy.set_tenant('copy', false); SELECT $columns FROM paid ORDER BY n") =~ s/.*?\n//r,
	$expected =~ s/.*?\n//r, 'exported and imported');

$node->stop;
done_testing();
