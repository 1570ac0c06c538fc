# Does the documentation tell what there is?  Compares docs/reference.md, and the
# tables of README.md, with a database that has the extension: functions and
# procedures with their signatures, views and tables with their columns, settings;
# and with the sources: SQLSTATEs, lints.
#
# Where something is missing, the message of the failed test says what to write, or
# what to take out.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use Check;
use Test::More;

my $reference = slurp("$top/docs/reference.md");
my $readme = slurp("$top/README.md");

# One test: both sides are the same set.
sub same_set
{
	my ($what, $there, $documented, $where) = @_;
	my %there = map { $_ => 1 } @$there;
	my %documented = map { $_ => 1 } @$documented;
	my @missing = grep { !$documented{$_} } sort keys %there;
	my @stale = grep { !$there{$_} } sort keys %documented;

	ok(@$there > 0 && !@missing && !@stale, $what)
		or diag((map { "$where lacks: $_\n" } @missing), (map { "$where has, but there is not: $_\n" } @stale));
	return;
}

# The text of a section, up to the next heading of its level or above.
sub section
{
	my ($text, $heading) = @_;
	my ($level) = $heading =~ /^(#+)/;

	$text =~ /^\Q$heading\E\n(.*?)(?=^#{1,${\length $level}} |\z)/ms or die "there is no section \"$heading\"";
	return $1;
}

# The cells of the tables of a text, without their heads.
sub rows
{
	my ($text) = @_;
	my @rows;

	while ($text =~ /^\|[^\n]*\|\n\|[ -|]*-[ -|]*\|\n((?:\|[^\n]*\|\n)+)/mg)
	{
		push @rows, map { [ /\G\|\s*((?:\\\||`[^`]*`|[^|`])*?)\s*(?=\|)/g ] } split /\n/, $1;
	}
	return @rows;
}

sub codes
{
	return $_[0] =~ /`([^`]+)`/g;
}

create_database('check_reference');
sql('CREATE EXTENSION tenancy');

# ---------------------------------------------------------------------------
# Functions and procedures
# ---------------------------------------------------------------------------

# Signatures as the documentation writes them.
my $query = q{
	WITH f AS (
		SELECT p.*, COALESCE(proallargtypes, (proargtypes::oid[])[0:]) AS types
		FROM pg_proc p WHERE pronamespace = 'tenancy'::regnamespace
	), a AS (
		SELECT f.oid, n, f.proargmodes[n] AS mode,
			concat_ws(' ', NULLIF(f.proargnames[n], ''), format_type(f.types[n], NULL)) AS arg,
			pg_get_function_arg_default(f.oid, n) AS value
		FROM f, generate_subscripts(f.types, 1) n
	), s AS (
		SELECT f.oid,
			string_agg(arg || COALESCE(' = ' || value, ''), ', ' ORDER BY n)
				FILTER (WHERE mode IS NULL OR mode IN ('i', 'b', 'v')) AS args,
			string_agg(arg, ', ' ORDER BY n) FILTER (WHERE mode IN ('o', 't')) AS outs
		FROM f LEFT JOIN a USING (oid) GROUP BY f.oid
	)
	SELECT concat(CASE WHEN prokind = 'p' THEN 'CALL ' END, proname, '(', args, ')',
		CASE WHEN prokind <> 'p' THEN ' → ' END,
		CASE WHEN proretset THEN 'setof ' END,
		CASE WHEN prokind <> 'p' THEN COALESCE('(' || outs || ')', format_type(prorettype, NULL)) END)
	FROM f JOIN s USING (oid) ORDER BY 1};

sub normalize
{
	my ($signature) = @_;

	for ($signature)
	{
		s/\btenancy\.//g;
		s/timestamp with time zone/timestamptz/g;
		s/ = ARRAY\[.*?\](?=[,)])/ = …/g;
		s/NULL::[\w \[\]]+/NULL/g;
		s/('(?:[^']|'')*')::[\w "]+(?=[,)])/$1/g;
		s/'00:00:(\d\d)'/"'" . ($1 + 0) . "s'"/e;
	}
	return $signature;
}

my @signatures = map { normalize($_) } sql($query);
my $signature = qr/(?:CALL )?\w+\([^`\n]*?\)(?: → (?:setof )?(?:\([^()`]*\)|"?\w+"?(?:\[\])?))?/;

# A heading has one or several signatures; headings in a row share what follows,
# and headings below them belong to it.
my (%body, @documented, @open);
my $said = 1;
for my $part (split /^(?=#)/m, $reference)
{
	my ($heading, $text) = $part =~ /^#+ ([^\n]*)\n(.*)/s or next;

	if ($heading =~ /^$signature/)
	{
		my @here = $heading =~ /(?:^|, )($signature)/g;

		@open = () if $said;
		push @documented, @here;
		push @open, map { /(\w+)\(/; $1 } @here;
	}
	elsif ($part !~ /^####/)
	{
		@open = ();
	}
	$said = $text =~ /\S/;
	$body{$_} .= $text for @open;
}
my $internal = section($reference, '### Internal functions');
my @internal = map { normalize($_) } grep { /^$signature$/ } map { codes($_->[0]) } rows($internal);
same_set('docs/reference.md: functions', \@signatures, [ @documented, @internal ], 'docs/reference.md');

# README's table names them without types.
my $functions = section($readme, '## Functions');
my %public = map { /(\w+)\(/; $1 => 1 } @documented;
my @named = map { /^(?:CALL )?(\w+)\(/ ? $1 : () } map { codes($_->[0]) } rows($functions);
my @unknown = grep { !$public{$_} } @named;
ok(@named > 0 && !@unknown, 'README.md: functions') or diag("README.md names what docs/reference.md does not: @unknown");

is(join(', ', sql(q{
	SELECT p.oid::regprocedure::text FROM pg_proc p
	WHERE pronamespace = 'tenancy'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL
	UNION ALL
	SELECT c.oid::regclass::text FROM pg_class c
	WHERE relnamespace = 'tenancy'::regnamespace AND relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL
})), '', 'every function, view and table has a comment');

# ---------------------------------------------------------------------------
# Views, tables, settings
# ---------------------------------------------------------------------------
my $columns = q{
	SELECT relname || '.' || attname || ' ' || format_type(atttypid, NULL)
	FROM pg_class c JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
	WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'v'};
my %internal = map { $_ => 1 } codes($internal);
my @views = sql(q{SELECT relname FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'v'});
my $views = section($reference, '## Views');
my @there = grep { /^(\w+)\./; !$internal{$1} } map { normalize($_) } sql($columns);
my @listed;

for my $part (split /^(?=### )/m, $views)
{
	my ($view) = $part =~ /^### (\w+)/ or next;

	for my $row (rows($part))
	{
		push @listed, map { "$view.$_ $row->[1]" } codes($row->[0]);
	}
}
same_set('docs/reference.md: views and their columns', \@there, \@listed, 'docs/reference.md, Views');
same_set('README.md: views', [ grep { !$internal{$_} } @views ],
	[ map { codes($_->[0]) } grep { $_->[0] =~ /^views? / } rows($functions) ], 'README.md, Functions');
same_set('docs/reference.md: tables',
	[ sql(q{SELECT relname FROM pg_class WHERE relnamespace = 'tenancy'::regnamespace AND relkind = 'r'}) ],
	[ map { codes($_->[0]) } rows(section($reference, '## Tables')) ], 'docs/reference.md, Tables');
same_set('docs/reference.md: types', [ sql(q{
	SELECT 'tenancy.' || typname || ' ' || string_agg(enumlabel, ' ' ORDER BY enumsortorder)
	FROM pg_type t JOIN pg_enum ON enumtypid = t.oid WHERE typnamespace = 'tenancy'::regnamespace GROUP BY typname}) ],
	[ map { my @codes = codes($_); "$codes[0] @codes[1 .. $#codes]" } grep { /an enum/ } map { $_->[1] } rows($reference) ],
	'docs/reference.md, Terms');

my @settings = sql(q{
	LOAD 'tenancy';
	SELECT concat_ws('|', name, CASE WHEN boot_val = '' THEN 'empty' WHEN unit IN ('kB', 'ms') THEN current_setting(name) ELSE boot_val END, context)
	FROM pg_settings WHERE name LIKE 'tenancy.%'});
same_set('docs/reference.md: settings', \@settings,
	[ map { join('|', codes($_->[0]), $_->[1] =~ s/`//gr, $_->[2]) } rows(section($reference, '## Settings')) ],
	'docs/reference.md, Settings');
my %default = map { /^(.*)\|(.*)\|/; $1 => $2 } @settings;
for my $row (rows(section($readme, '## Settings')))
{
	my ($name) = codes($row->[0]);

	is($row->[1] =~ s/`//gr, $default{$name}, "README.md: default of $name");
}

# ---------------------------------------------------------------------------
# SQLSTATEs: in the list, where one is raised, and with each function that can
# raise it, as far as its own C code goes
# ---------------------------------------------------------------------------
chomp(my $include = qx("$ENV{PG_CONFIG}" --includedir-server));
my %sqlstate = slurp("$include/utils/errcodes.h") =~
	/^#define ERRCODE_(\w+) MAKE_SQLSTATE\((.*?)\)/mg;
my (%source, %bodies, %raises, %calls, %global);

for my $file (glob("$top/src/*.[ch]"))
{
	my $text = slurp($file);

	%sqlstate = (%sqlstate, $text =~ /^#define ERRCODE_(\w+)\s+MAKE_SQLSTATE\((.*?)\)/mg);
	$text =~ s{/\*.*?\*/}{}gs;
	$source{$file} = $text;
	# a function's name begins a line, and so do its braces
	while ($text =~ /^(static [^\n]*\n)?^(\w+)\([^;{}]*\)\n\{\n(.*?)^\}/msg)
	{
		$bodies{$file}{$2} = $3;
		$global{$2} = $file unless $1;
	}
}
s/\W//g for values %sqlstate;

for my $file (keys %bodies)
{
	for my $name (keys %{ $bodies{$file} })
	{
		my $text = $bodies{$file}{$name} =~ s/"(?:\\.|[^"\\])*"/""/gr;
		my %called;

		# what is caught, compared or mapped is not raised
		$raises{"$file $name"} = [ $text =~ /errcode\(ERRCODE_(\w+)\)/g ];
		for my $other ($text =~ /\b([a-z]\w+)\b/g)
		{
			my $where = exists $bodies{$file}{$other} ? $file : $global{$other} // next;

			$called{"$where $other"} = 1;
		}
		$calls{"$file $name"} = [ keys %called ];
	}
}

sub reachable
{
	my %seen;
	my @queue = map { "$global{$_} $_" } @_;

	while (defined(my $name = shift @queue))
	{
		push @queue, @{ $calls{$name} // [] } unless $seen{$name}++;
	}
	my %states = map { $sqlstate{$_} => 1 } map { @{ $raises{$_} } } keys %seen;
	return keys %states;
}

my %raised = map { $_ => 1 } map { $sqlstate{$_} // die "no SQLSTATE is known for ERRCODE_$_" }
	map { @$_ } values %raises;
my @table = map { codes($_->[0]) } rows(section($reference, '## SQLSTATEs'));
my %listed_state = map { $_ => 1 } @table;
same_set('docs/reference.md: SQLSTATEs', [ keys %raised ], [ grep { $raised{$_} } @table ], 'docs/reference.md, SQLSTATEs');
my %known = map { $_ => 1 } values %sqlstate;
is(join(' ', grep { !$known{$_} } @table, map { /`(?!HS256|RS256|ES256)([0-9A-Z]{5})`/g } values %body), '', 'no SQLSTATE is made up');

# Said once for all
my %general = map { $_ => 1 } section($reference, '## Terms') =~ /`([0-9A-Z]{5})`/g;

# Can be reached by the calls in the sources, but not by this function.
my %impossible;
for my $function (keys %public)
{
	# names that were made before, and hence fit
	$impossible{$function} = ['42622'] unless $function =~ /^(create_tenant|rename_tenant|install_module)$/;
}
push @{ $impossible{$_->[0]} }, @{ $_->[1] } for (
	# files that the move itself has just written
	[ move_tenant => [ '22023', '42809' ] ],
	# becomes a row of its result
	[ repair => [ '2BP01', '3D000', '42704' ] ],
	[ sync_reference_tables => ['3D000'] ],
	# is noted as that tenant's error
	[ migrate => ['3D000'] ], [ rollback => ['3D000'] ],
	# the text is known to hold a statement
	[ record_commands => ['22023'] ],
	[ stop_recording => ['22023'] ],
);

my %entry;
for (sql(q{SELECT proname || '|' || prosrc FROM pg_proc JOIN pg_language l ON l.oid = prolang
	WHERE pronamespace = 'tenancy'::regnamespace AND lanname = 'c'}))
{
	my ($function, $c) = split /\|/;

	push @{ $entry{$function} }, $c;
}

sub documented_states
{
	my ($function, %seen) = @_;
	my $text = $body{$function} // '';
	my @states = $text =~ /`([0-9A-Z]{5})`/g;

	return () if $seen{$function};
	# "as for `this` and `that`"
	for my $other (map { codes($_) } $text =~ /\b(?:as|as for|as in|what|parts? of) (`\w+`(?: and `\w+`)?)/g)
	{
		push @states, documented_states($other, %seen, $function => 1) if $body{$other};
	}
	return @states;
}

for my $function (sort grep { $public{$_} } keys %entry)
{
	my %documented = map { $_ => 1 } documented_states($function), @{ $impossible{$function} // [] };
	my @missing = grep { !$general{$_} && !$documented{$_} } reachable(@{ $entry{$function} });

	ok(!@missing, "docs/reference.md: SQLSTATEs of $function()")
		or diag("docs/reference.md, $function, does not mention: @{[ sort @missing ]}\n"
			. "(if it cannot raise one of them, say so in %impossible)");
}

# ---------------------------------------------------------------------------
# Lints
# ---------------------------------------------------------------------------
my @lints = $source{"$top/src/lint.c"} =~ /^\s*\{\s*"(?:error|warning|info)", "([a-z_]+)",/mg;
same_set('docs/reference.md: lints', \@lints,
	[ map { codes($_->[0]) } rows($body{check_isolation}) ], 'docs/reference.md, check_isolation');
same_set('docs/lints.md', \@lints, [ map { codes($_->[0]) } rows(slurp("$top/docs/lints.md")) ], 'docs/lints.md');

drop_database();
done_testing();
