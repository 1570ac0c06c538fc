# Is the install script safe to run, and what it makes safe to use?  As the script
# says, whoever is there before it must not be able to change what it means, and
# whoever calls its functions must not be able to change what they do.
#
# What somebody could plant beforehand is tried in test/pgtap/planted_before.sql;
# here are the rules that keep it without effect.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Check;
use Test::More;

# Statements that may use operators by name only, each with the reason.
my @answered = (
	# bound when they are created, with nothing but pg_catalog on the path
	qr/^CREATE VIEW tenancy\.drift_\w+ /,
	# likewise, or with a path of its own that is pinned (see below)
	qr/^CREATE FUNCTION .*\b(?:BEGIN ATOMIC|SET search_path = pg_catalog, pg_temp)\b/s,
	# no operator: the grammar's list of command tags
	qr/^CREATE EVENT TRIGGER \w+ ON \w+ WHEN TAG IN \([^)]*\)/,
);

# ---------------------------------------------------------------------------
# The control file: with pg_catalog as the schema, the script's operators and
# functions are PostgreSQL's own
# ---------------------------------------------------------------------------
my $control = slurp("$top/tenancy.control");
like($control, qr/^schema = pg_catalog$/m, 'the script runs with nothing but pg_catalog on its path');
like($control, qr/^$_->[0] = $_->[1]$/m, "tenancy.control: $_->[0]")
	for [ 'trusted', 'false' ], [ 'superuser', 'true' ], [ 'relocatable', 'false' ];

# ---------------------------------------------------------------------------
# The text, without comments, and with constants blanked
# ---------------------------------------------------------------------------
my $script = slurp("$ENV{TENANCY_BUILD}/tenancy--1.0.sql");
$script =~ s{^\\[^\n]*|--[^\n]*|/\*.*?\*/}{}msg;
$script =~ s{'(?:[^']|'')*'}{''}g;
$script =~ s{(\$\w*\$)(.*?)\1}{ "body " . ($2 =~ tr/;/ /r) . " body" }gse;
my @statements = map { s/^\s+//r } split /;/, $script;
cmp_ok(scalar(@statements), '>', 100, 'there is a script');

for my $word ('OR REPLACE', 'IF NOT EXISTS', 'IF EXISTS', 'CASCADE', 'TO PUBLIC')
{
	my @bad = grep { /\b\Q$word\E\b/i && !/\bON (DELETE|UPDATE) CASCADE\b/ } @statements;

	is("@bad", '', "no $word");
}

# What PostgreSQL looks up by name on the path: operators, and words that stand for them.
sub operator_in
{
	my ($text) = @_;

	for ($text)
	{
		s/\bOPERATOR\s*\(pg_catalog\.[^()\s]+\)//g;
		s/::|=>|:=//g;
		s/\) WITH \(\w+ = \d+\)//g;	# storage parameters
		s/\(\*\)|\.\*|SELECT \*//g;
	}
	return $text =~ m{([-+*/<>=~!\@#%^&|?`]+)}
		|| $text =~ /\b(IN\s*\(|(?:NOT )?I?LIKE\b|BETWEEN\b|SIMILAR TO\b|DISTINCT FROM\b|NULLIF\b|CASE \w+(?:\.\w+)? WHEN)/
		? $1 : undef;
}

ok(defined operator_in($_), "is found: $_")
	for 'SELECT a <> b', 'SELECT a IN (b)', 'SELECT NULLIF(a, b)', 'CASE a.b WHEN c THEN d END', 'a NOT LIKE b';
is(operator_in($_), undef, "is none: $_")
	for 'SELECT a OPERATOR(pg_catalog.<>) b', 'f(a => b::text)', 'SELECT count(*)', 'CASE WHEN a THEN b END',
	'CREATE TABLE t (a integer) WITH (fillfactor = 50)';

my (@operators, %used);
for my $statement (@statements)
{
	my $operator = operator_in($statement) // next;
	my @why = grep { $statement =~ /$answered[$_]/ } 0 .. $#answered;

	push @operators, "$operator in: " . substr($statement =~ s/\s+/ /gr, 0, 80) . "\n" unless @why;
	$used{$_} = 1 for @why;
}
is("@operators", '', 'operators are qualified: OPERATOR(pg_catalog.=), or the statement is answered in this test');
is(join(' ', grep { !$used{$_} } 0 .. $#answered), '', 'no answer is idle');

# ---------------------------------------------------------------------------
# What it makes
# ---------------------------------------------------------------------------
create_database('check_script');
sql('CREATE EXTENSION tenancy');

is(join(', ', sql(q{
	SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = prolang
	WHERE pronamespace = 'tenancy'::regnamespace AND lanname <> 'c'
	AND proconfig IS DISTINCT FROM ARRAY['search_path=pg_catalog, pg_temp']
	-- what is bound when it is created
	AND prosqlbody IS NULL})), '', 'each function in SQL or PL/pgSQL pins its path');
is(join(', ', sql(q{
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE pronamespace = 'tenancy'::regnamespace AND prosecdef})), '', 'no function is SECURITY DEFINER');
is(join(', ', sql(q{
	SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = prolang
	WHERE pronamespace = 'tenancy'::regnamespace AND lanname = 'c' AND proconfig IS NOT NULL})), '',
	'no function in C has a SET clause');
is(join(', ', sql(q{
	SELECT d.objid::text || ' of ' || d.classid::regclass
	FROM pg_depend d
	JOIN (SELECT 'pg_proc'::regclass AS class, oid, pronamespace AS namespace FROM pg_proc
		UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace FROM pg_operator
		UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace FROM pg_type
		UNION ALL SELECT 'pg_class'::regclass, oid, relnamespace FROM pg_class) r
		ON r.class = d.refclassid AND r.oid = d.refobjid
	WHERE r.namespace NOT IN ('pg_catalog'::regnamespace, 'tenancy'::regnamespace, 'pg_toast'::regnamespace)
	AND EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')})), '',
	'nothing depends on what is neither PostgreSQL\'s nor ours');
is(join(', ', sql(q{
	SELECT p.oid::regprocedure::text FROM pg_proc p, aclexplode(COALESCE(proacl, acldefault('f', proowner))) a
	WHERE pronamespace = 'tenancy'::regnamespace AND a.grantee = 0
	UNION ALL
	SELECT c.oid::regclass::text FROM pg_class c, aclexplode(relacl) a
	WHERE relnamespace = 'tenancy'::regnamespace AND a.grantee = 0})), '', 'nothing is granted to PUBLIC');

drop_database();
done_testing();
