# Do README.md and docs/guide.md work?  Their commands are run as they stand there,
# those of SQL in the order of the page, in one psql session for each section.
# Comments are what they promise:
#
#   -- ERROR: message    the statement before it fails with a message that begins so
#   -- no rows, -- one row
#
# All others must succeed.  Links must lead somewhere, in the other pages too.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;
use Check;
use File::Basename;
use File::Temp;
use Test::More;

# The blocks of code of a page: language, heading above it, code.
sub blocks
{
	my ($page) = @_;
	my $heading = '';
	my @blocks;

	while ($page =~ /^(?:#+ ([^\n]*)|```(\w+)\n(.*?)^```)$/msg)
	{
		$heading = $1 if defined $1;
		push @blocks, [ $2, $heading, $3 ] if defined $2;
	}
	return @blocks;
}

my (%sql, %sh);
for my $block (blocks(slurp("$top/README.md")))
{
	my ($language, $heading, $code) = @$block;

	push @{ $sql{$heading} }, $code if $language eq 'sql';
	push @{ $sh{$heading} }, $code if $language eq 'sh';
	fail("README.md: nobody runs a block of \"$language\"") unless $language =~ /^(sql|sh)$/;
}

# ---------------------------------------------------------------------------
# Shell
# ---------------------------------------------------------------------------
my $scratch = File::Temp->newdir;
my @sh = map { @$_ } values %sh;
is(scalar(@sh), 2, 'README.md: two blocks of shell commands');

for my $block (@{ $sh{Install} })
{
	if ($block =~ /^make demo/)
	{
		# These would run this test again: are they there, at least?
		for my $target ($block =~ /\bmake ([a-z-]+)/g)
		{
			is(system("make -C '$top' -n $target >/dev/null 2>&1"), 0, "README.md: make $target");
		}
		next;
	}

	# Installs elsewhere, and needs no sudo for that.
	my $sources = "$scratch/sources";
	my $output = qx(mkdir '$sources' && cd '$top' && tar --exclude=.git --exclude='*.o' --exclude='*.so' -cf - . |
		tar -C '$sources' -xf - && cd '$sources' && export DESTDIR='$scratch/installed' MAKEFLAGS='-j2 with_llvm=no' &&
		{ sudo() { "\$@"; }; set -e; $block } 2>&1);

	is($?, 0, 'README.md: make, make install') or diag($output);
	for my $file (qw(tenancy.so tenancy.control tenancy--1.0.sql))
	{
		my @found = split /\n/, qx(find '$scratch/installed' -name '$file');

		is(scalar(@found), 1, "README.md: it installs $file");
	}
}

# ---------------------------------------------------------------------------
# SQL
# ---------------------------------------------------------------------------

# Statements and psql's commands, each with the comment that is with it or below.
sub statements
{
	my ($text) = @_;
	my @statements;

	for my $line (split /\n/, $text)
	{
		my ($code, $comment) = $line =~ /^(.*?)\s*(?:-- (.*))?$/;
		my $open = @statements && $statements[-1]{code} !~ /(;|\\gexec)$|^\\/;

		if ($code ne '' && $open)
		{
			$statements[-1]{code} .= "\n$code";
		}
		elsif ($code =~ /^[^;]*$|^[^;]*;$/ && $code ne '')
		{
			push @statements, { code => $code, comment => '' };
		}
		elsif ($code ne '')
		{
			fail("README.md: one statement in a line: $code");
		}
		$statements[-1]{comment} = $comment if defined $comment && @statements;
	}
	return @statements;
}

my %promises;

# Run statements in one session, and see that each does what its comment says.
sub run
{
	my ($section, $database, @statements) = @_;
	my $file = "$scratch/statements.sql";

	open my $handle, '>:encoding(UTF-8)', $file or die $!;
	for my $n (0 .. $#statements)
	{
		print $handle "$statements[$n]{code}\n\\echo == $n :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE\n";
	}
	close $handle;
	my $output = qx(psql -X -q -d '$database' -f '$file' 2>'$scratch/stderr');
	my %result = map { /^(\d+) (.*)/ } $output =~ /^== (\d+ .*)$/mg;

	for my $n (0 .. $#statements)
	{
		my ($code, $comment) = @{ $statements[$n] }{qw(code comment)};
		my ($state, $rows, $message) = ($result{$n} // 'none 0 lost') =~ /^(\S+) (\S+) ?(.*)/;
		my $what = "$section: " . $code =~ s/\s+/ /gr;
		my $ok = $code =~ /^\\/ ? $state ne 'none' : $state eq '00000';

		if ($comment =~ /^ERROR: +(.*)/)
		{
			$ok = $state !~ /^(none|00000)$/ && $message =~ /^\Q$1\E/;
			$promises{error}++;
		}
		elsif ($comment =~ /^(no rows|one row)/)
		{
			$ok &&= $rows == ($1 eq 'no rows' ? 0 : 1);
			$promises{rows}++;
		}
		ok($ok, $what) or diag("$state, $rows rows, $message\n$output", slurp("$scratch/stderr"));
	}
	return;
}

sub query
{
	my ($database, $query) = @_;
	my $output = qx(psql -XAtq -v ON_ERROR_STOP=1 -d '$database' -c "$query" 2>&1);

	chomp $output;
	return $output;
}

query('postgres', 'CREATE DATABASE check_readme');
run('README.md, Install', 'check_readme', statements($_)) for @{ $sql{Install} };
query('postgres', 'DROP DATABASE check_readme');

my @start = @{ $sql{'Getting started'} };
my ($old) = grep { /old_notes/ } @start;
run('README.md, Getting started', 'postgres', map { statements($_) } grep { $_ ne $old } @start);
is(query('shop', 'SELECT slug, mode, status FROM tenancy.tenants ORDER BY slug'),
	"acme|shared|active\nglobex|schema|active\ninitech|database|active", 'README.md: three tenants in three modes');

# ---------------------------------------------------------------------------
# The guide goes on from there, but for an application that is there already
# ---------------------------------------------------------------------------
my @guide = grep { $_->[0] eq 'sql' } blocks(slurp("$top/docs/guide.md"));
my $existing = 'An application that has rows already';
my $backup = "$scratch/backup";

# the server, another user, writes there
mkdir $backup or die $!;
chmod 0777, $backup or die $!;
chmod 0711, "$scratch" or die $!;
query('postgres', 'CREATE DATABASE check_guide');
query('check_guide', q{CREATE ROLE crm_owner;
	CREATE TABLE account (id bigint PRIMARY KEY, name text);
	CREATE TABLE customer (id bigint PRIMARY KEY, account_id bigint NOT NULL REFERENCES account, email text UNIQUE);
	CREATE TABLE invoice (id bigint PRIMARY KEY, account_id bigint NOT NULL REFERENCES account, customer_id bigint REFERENCES customer);
	INSERT INTO account VALUES (1, 'Acme'), (2, 'Globex');
	INSERT INTO customer VALUES (1, 1, 'a'), (2, 2, 'b');
	INSERT INTO invoice VALUES (1, 1, 1), (2, 2, 2);
	ALTER TABLE customer OWNER TO crm_owner;
	ALTER TABLE invoice OWNER TO crm_owner;
	GRANT REFERENCES ON account TO crm_owner;});
for my $section (do { my %seen; grep { !$seen{$_}++ } map { $_->[1] } @guide })
{
	my $own = $section eq $existing;
	my $role = $section =~ /^(Monitoring)$/ ? 'ops' : $section eq 'Tenants with databases of their own' ? 'app' : undef;
	my @code = map { $_->[2] =~ s{/backup/}{$backup/}gr } grep { $_->[1] eq $section } @guide;

	run("guide.md, $section", $own ? 'check_guide' : 'shop',
		($role ? { code => "SET ROLE $role;", comment => '' } : ()), map { statements($_) } @code);
}
is(query('check_guide', q{SELECT count(*) FROM crm.customer c JOIN tenancy.tenant t ON t.id = c.tenant_id
	AND t.slug = 'account-' || c.account_id}), 2, 'guide.md: the rows are their tenants\'');
query('postgres', 'DROP DATABASE check_guide');
query('postgres', 'DROP ROLE crm_owner');
is(query('shop', q{SELECT slug, mode, (SELECT count(*) FROM tenancy.tenants) FROM tenancy.tenants WHERE slug = 'acme'}),
	'acme|database|3', 'guide.md: the tenant was restored, and moved');
query('shop', q{CALL tenancy.move_tenant('acme', 'shared')});

# What is for tables that are there already needs one.
query('shop', q{CREATE TABLE old_notes (body text); ALTER TABLE old_notes OWNER TO shop_owner; INSERT INTO old_notes VALUES ('old');
	GRANT CREATE ON SCHEMA public TO shop_owner});
run('README.md, Getting started', 'shop', statements($old));
is(query('shop', 'SELECT count(*) FROM old_notes n JOIN tenancy.tenant t ON t.id = n.tenant_id AND t.slug = \'acme\''),
	1, 'README.md: the rows are the tenant\'s');

# What the page begins with, and the form that an application sends.
for my $section ('tenancy', 'Context, and poolers')
{
	run("README.md, $section", 'shop', { code => 'SET ROLE app;', comment => '' }, map { statements(s/\$1/'acme'/gr) } @{ $sql{$section} });
}
is(join(', ', sort keys %sql), 'Context, and poolers, Getting started, Install, tenancy', 'README.md: no other SQL');
ok($promises{error} && $promises{rows}, 'README.md: it promises results');

# ---------------------------------------------------------------------------
# Links
# ---------------------------------------------------------------------------
for my $page ("$top/README.md", glob("$top/docs/*.md"))
{
	my $text = slurp($page) =~ s/^```.*?^```$//msgr;
	my @broken;

	for my $link ($text =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ /^https?:/;
		my ($file, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $target = $file eq '' ? $page : dirname($page) . "/$file";

		if (!-e $target)
		{
			push @broken, $link;
			next;
		}
		next unless defined $anchor;

		# the name that a heading gets
		my %anchors = map { lc(s/[^\w\s-]//gr =~ s/\s/-/gr) => 1 } slurp($target) =~ /^#+ (.*)$/mg;
		push @broken, $link unless $anchors{$anchor};
	}
	is("@broken", '', 'links of ' . basename($page));
}

done_testing();
