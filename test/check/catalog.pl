# Does C read the extension's tables by the columns that they have?  A change of a
# table that src/catalog.h does not follow would have it read another column.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Check;
use File::Basename;
use Test::More;

create_database('check_catalog');
sql('CREATE EXTENSION tenancy');

# What the header would say of each column: a line without its white space
my %line;
for (sql(q{SELECT relname, attname, attnum, format_type(atttypid, atttypmod), relnatts
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r' AND attnum > 0}))
{
	my ($table, $column, $number, $type, $columns) = split /\|/;

	is($line{"Anum_${table}_$column"}, undef, "Anum_${table}_$column means one column") if $line{"Anum_${table}_$column"};
	$line{"Anum_${table}_$column"} = "#define Anum_${table}_$column $number /* $type */";
	$line{"Natts_$table"} = "#define Natts_$table $columns";
}

my $lines = 0;
for (slurp("$top/src/catalog.h") =~ /^(#define (?:Anum|Natts)_.*)$/mg)
{
	my ($name) = /^#define (\w+)/;

	$lines++;
	is(s/\s+/ /gr, $line{$name} // 'nothing', "src/catalog.h: $name");
}
cmp_ok($lines, '>', 40, 'there are columns');

for my $file (glob("$top/src/*.c"))
{
	my @own = slurp($file) =~ /^#define (Anum_\w+|Natts_\w+)/mg;

	is("@own", '', basename($file) . ': has no column numbers of its own') if @own;
}

drop_database();
done_testing();
