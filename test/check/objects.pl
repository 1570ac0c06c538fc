# What the compiled files say about the sources: what they export, and who calls
# whom.  docs/architecture.md has the order in which they may, and the list of files.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Check;
use File::Basename;
use Test::More;

my $build = $ENV{TENANCY_BUILD};
my $architecture = slurp("$top/docs/architecture.md");

# The symbols of a file, as pairs of type and name.
sub symbols
{
	my ($file, @options) = @_;

	open my $nm, '-|', 'nm', '-P', @options, $file or die "could not run nm: $!";
	my @symbols = map { /^(\S+) (\S)/ ? [ $2, $1 ] : () } <$nm>;
	close $nm or die "nm failed for \"$file\"";
	return @symbols;
}

# ---------------------------------------------------------------------------
# Symbols
# ---------------------------------------------------------------------------
my $ours = qr/^(?:tenancy_|pg_finfo_tenancy_)/;
my @exported = map { $_->[1] } symbols("$build/tenancy.so", '-D', '--defined-only');
ok((grep { $_ eq '_PG_init' } @exported), 'the library has _PG_init');
is(join(' ', grep { !/$ours|^(?:_PG_init|Pg_magic_func)$/ } @exported), '',
	'whatever the library exports begins with tenancy_');

my (%file_of, %needs, %global);
for my $object (glob("$build/src/*.o"))
{
	my $file = basename($object, '.o');

	$global{$file} = 1;
	for my $symbol (symbols($object, '-g'))
	{
		my ($type, $name) = @$symbol;

		if ($type eq 'U') { $needs{$file}{$name} = 1; }
		else { $file_of{$name} = $file; }
	}
}
is(join(' ', sort keys %global), join(' ', sort map { basename($_, '.c') } glob("$top/src/*.c")),
	'each file is compiled');
is(join(' ', grep { !/$ours|^(?:_PG_init|Pg_magic_func)$/ } sort keys %file_of), '',
	'whatever a file exports begins with tenancy_');

# Nobody else's: should be static, unless PostgreSQL finds it by its name.
my %needed = map { %$_ } values %needs;
my $strings = join '', map { slurp($_) } glob("$top/src/*.{c,h,sql}");
is(join(' ', grep { /^tenancy_/ && !$needed{$_} && !exists $file_of{"pg_finfo_$_"} && $strings !~ /["']\Q$_\E["']/ }
	sort keys %file_of), '', 'whatever a file exports is used by another one');

# ---------------------------------------------------------------------------
# Order
# ---------------------------------------------------------------------------
my ($order) = $architecture =~ /^## Order\n.*?^```\n(.*?)^```/ms;
my (%line, $n);
for (split /\n/, $order)
{
	$n++;
	for my $file (split)
	{
		is($line{$file}, undef, "docs/architecture.md, Order: $file once") if defined $line{$file};
		$line{$file} = $n;
	}
}
my @unplaced = grep { !$line{$_} } sort keys %global;
my @gone = grep { !$global{$_} } sort keys %line;
ok(!@unplaced && !@gone, 'docs/architecture.md, Order: has each file of src/')
	or diag("docs/architecture.md, Order, lacks: @unplaced\nand has, but there is not: @gone");

my @upward;
my $calls = 0;
for my $file (sort keys %needs)
{
	for my $name (sort keys %{ $needs{$file} })
	{
		my $other = $file_of{$name} // next;

		$calls++;
		push @upward, "$file calls $name() of $other\n"
			unless ($line{$file} // 0) < ($line{$other} // 0);
	}
}
cmp_ok($calls, '>', 100, 'calls between files are seen');
is("@upward", '', 'calls go downward only');

# ---------------------------------------------------------------------------
# The list of files
# ---------------------------------------------------------------------------
my ($files) = $architecture =~ /^## Files\n(.*?)^## /ms;
my @named;
for my $cell ($files =~ /^\| (`.*?) \|/mg)
{
	my @here = $cell =~ /`(\w+\.\w+)`/g;

	push @named, @here, $cell =~ /and their `\.h`/ ? map { s/\.c$/.h/r } @here : ();
}
my %times;
$times{$_}++ for @named;
my %files = map { basename($_) => 1 } glob("$top/src/*.{c,h,sql}");
my @wrong = grep { ($times{$_} // 0) != 1 || !$files{$_} } sort keys %{ { %times, %files } };
is("@wrong", '', 'docs/architecture.md, Files: names each file of src/ once, and no other');

done_testing();
