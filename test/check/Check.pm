# What the checks have in common: the sources, and a database of their own to ask.

package Check;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter qw(import);
use File::Basename;
use Test::More;

our @EXPORT = qw($top slurp sql create_database drop_database);
our $top = abs_path(dirname(__FILE__) . '/../..');
my $database;

binmode $_, ':encoding(UTF-8)' for Test::More->builder->failure_output, Test::More->builder->output;

# What is in a file.
sub slurp
{
	my ($file) = @_;

	open my $handle, '<:encoding(UTF-8)', $file or die "could not open \"$file\": $!";
	local $/;
	return scalar <$handle>;
}

# The lines of a query's result, in the check's database unless another one is named.
sub sql
{
	my ($query, $other) = @_;

	open my $psql, '-|:encoding(UTF-8)', 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $other // $database, '-c', $query
		or die "could not run psql: $!";
	my @lines = <$psql>;
	close $psql or die "\"$query\" failed";
	chomp @lines;
	return @lines;
}

sub create_database
{
	($database) = @_;
	sql("CREATE DATABASE $database", 'postgres');
	return;
}

sub drop_database
{
	sql("DROP DATABASE $database", 'postgres');
	return;
}

1;
