# Random models, and what must be true of the copies of each: they are the model, drift()
# sees that and what is not so, they follow migrations, and rows and definitions outlast moves,
# exports and imports; nobody sees another tenant's rows.
#
# A seed says what the model is.  FUZZ_SEED, or FUZZ_SEEDS from FUZZ_FROM on (make fuzz-models
# with SEED, SEEDS or FROM); otherwise a few that are always the same.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Models;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $from = $ENV{FUZZ_SEED} || $ENV{FUZZ_FROM} || ($ENV{FUZZ_SEEDS} ? 1 : 4);
my $seeds = $ENV{FUZZ_SEED} ? 1 : $ENV{FUZZ_SEEDS} || 2;

my $node = new_cluster('models', 'max_locks_per_transaction = 1024');
my ($seed, $db, $schema);

# Lines of pg_dump that may differ
my @quirks = (
	# In a tenant's own database, where there is nobody else, everybody may look into the schema.
	qr/^[-+] GRANT USAGE ON SCHEMA .* TO PUBLIC;$/,
);

$node->safe_psql('postgres', $_) for 'CREATE ROLE model_owner NOLOGIN', 'CREATE ROLE reader LOGIN', 'CREATE DATABASE base';
$node->safe_psql('base', 'CREATE EXTENSION tenancy');

sub sql
{
	my ($database, $sql) = @_;
	my ($status, $out, $err) = $node->psql($database, "SET client_min_messages = error; $sql", extra_params => [ '-q' ]);

	return $status ? "ERROR $err" : $out;
}

# Try each of these statements as the model's owner; those that worked.  Not for good, if
# it is a trial.
sub try
{
	my ($database, $path, $trial, @statements) = @_;
	my $script = join '', map { "$statements[$_];\n\\if :ERROR\n\\else\n\\echo done $_\n\\endif\n" } 0 .. $#statements;

	$script = "\\set ON_ERROR_ROLLBACK on\nBEGIN;\n${script}ROLLBACK;\n" if $trial;
	my ($status, $out) = $node->psql($database, "SET client_min_messages = error; SET search_path = $path; SET ROLE model_owner;\n$script",
		on_error_stop => 0, on_error_die => 0, extra_params => [ '-q' ]);
	return map { $statements[$_] } $out =~ /^done (\d+)$/mg;
}

# A copy, in this database and schema, is the model.
sub same_definition
{
	my ($database, $copy, $what) = @_;
	my @withheld = split /\n/, sql($db, 'SELECT quote_ident(relname) FROM pg_class WHERE oid IN (SELECT tenancy.drift_withheld())');
	my $differences = differences(definition($node, $database, $copy, $schema, @withheld), definition($node, $db, $schema, $schema, @withheld));

	for my $quirk (@quirks) { $differences = join "\n", grep { !/$quirk/ } split /\n/, $differences }
	is($differences, '', "seed $seed: $what is the model");
	return;
}

sub no_drift { is(sql($db, 'SELECT * FROM tenancy.drift()'), '', "seed $seed: drift() has nothing to say, $_[0]"); return }

# How many rows are in each table, which, and where sequences are
sub contents
{
	my ($database, $path) = @_;

	return sql($database, "SET search_path = $path; " . q{
		SELECT format('SELECT %L, count(*), md5(string_agg(x::text, chr(10) ORDER BY x::text)) FROM ONLY %s x', relname, oid::regclass) FROM pg_class
			WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind = 'r' ORDER BY relname COLLATE "C" \gexec
		SELECT relname, pg_sequence_last_value(oid) FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND relkind = 'S' ORDER BY relname COLLATE "C"});
}

# The application sees its own row only, wherever it looks.
sub apart
{
	my ($database, $slug, @others) = @_;
	my $as = "SET ROLE app; BEGIN; SELECT FROM tenancy.set_tenant('$slug');";

	is(sql($database, "$as SELECT note FROM fuzz_notes; SELECT note FROM fuzz_view"), "$slug\n$slug", "seed $seed: the application sees the row of $slug");
	for my $other (@others)
	{
		my ($status, $out) = $node->psql($db, qq{$as SELECT format('SELECT count(*) FROM %s', oid::regclass) FROM pg_class
			WHERE relnamespace = '"tenant_$other"'::regnamespace AND (relkind IN ('r', 'p') OR relname = 'fuzz_view') \\gexec}, on_error_stop => 0, extra_params => [ '-q', '-v', 'ON_ERROR_ROLLBACK=on' ]);
		is(join(' ', grep { $_ ne '0' } split /\n/, $out), '', "seed $seed: ... and nothing of $other");
	}
	return;
}

# Was it refused?  Only for reasons that are documented; a test fails otherwise.
sub refused
{
	my ($what, $answer) = @_;

	return 0 unless $answer =~ /^ERROR/;
	if ($answer =~ /cannot copy model schema|must not name the model schema|cannot add column to typed table/) { note("seed $seed: $what refused: $answer") }
	else { fail("seed $seed: $what"); diag($answer) }
	return 1;
}

# Tenant a in a schema and d in a database, and a migration for both
sub copies
{
	my $model = shift;

	return 0 if refused('create_tenant', sql($db, "SELECT tenancy.create_tenant('a-$seed', 'schema'), tenancy.create_tenant('b-$seed', 'schema')"));
	same_definition($db, qq{"tenant_a-$seed"}, 'the copy in a schema');
	return 0 if refused('create_tenant', sql($db, "SELECT tenancy.create_tenant('d-$seed', 'database')"));
	same_definition("tenant_d-$seed", $schema, 'the copy in a database');
	no_drift('of new tenants');

	my $version = 0;
	for my $statement (try($db, $schema, 1, $model->statements(12)))
	{
		# Without a policy, this is not for copies that are there: see docs/migrations.md.
		next if $statement =~ /ENABLE ROW LEVEL SECURITY/;
		my $migration = try($db, $schema, 1, $statement) ? $statement : next;
		my $literal = $migration =~ s/'/''/gr =~ s/\\/\\\\/gr;

		$version++;
		if (refused('add_migration', sql($db, "SELECT tenancy.add_migration($version, E'$literal')"))) { $version--; next }
		if (refused("migration $migration", sql($db, 'CALL tenancy.migrate()'))) { last }
	}
	same_definition($db, qq{"tenant_a-$seed"}, "the copy in a schema, after $version migrations,");
	same_definition("tenant_d-$seed", $schema, "the copy in a database, after $version migrations,");
	no_drift('after migrations');
	is(sql($db, q{SELECT lint, object FROM tenancy.check_isolation() WHERE lint LIKE '%\_names\_model' AND object NOT LIKE '%search_path%'}), '', "seed $seed: nothing leads into the model");
	return 1;
}

# Rows for all, and the ways that they go
sub journeys
{
	my $model = shift;
	my %place = ("a-$seed" => [ $db, qq{"tenant_a-$seed"} ], "b-$seed" => [ $db, qq{"tenant_b-$seed"} ], "d-$seed" => [ "tenant_d-$seed", $schema ]);
	my $dir = PostgreSQL::Test::Utils::tempdir . "/export-$seed";

	for my $slug (sort keys %place)
	{
		try(@{ $place{$slug} }, 0, $model->rows);
		is(sql($place{$slug}[0], "INSERT INTO $place{$slug}[1].fuzz_notes (note) VALUES ('$slug')"), '', "seed $seed: a row for $slug");
	}
	my $before = contents(@{ $place{"a-$seed"} });
	apart($db, "a-$seed", "b-$seed");
	apart("tenant_d-$seed", "d-$seed");

	if (!refused('move_tenant', sql($db, "CALL tenancy.move_tenant('a-$seed', 'database')")))
	{
		same_definition("tenant_a-$seed", $schema, 'what moved to a database');
		same_lines(contents("tenant_a-$seed", $schema), $before, "seed $seed: ... with its rows");
		return if refused('move_tenant', sql($db, "CALL tenancy.move_tenant('a-$seed', 'schema')"));
		same_definition($db, qq{"tenant_a-$seed"}, 'what moved back');
		same_lines(contents($db, qq{"tenant_a-$seed"}), $before, "seed $seed: ... with its rows");
	}
	if (!refused('export_tenant', sql($db, "SELECT tenancy.export_tenant('a-$seed', '$dir')")) && !refused('import_tenant', sql($db, "SELECT tenancy.import_tenant('$dir', 'i-$seed', 'schema')")))
	{
		same_definition($db, qq{"tenant_i-$seed"}, 'what was imported');
		same_lines(contents($db, qq{"tenant_i-$seed"}), $before, "seed $seed: ... with its rows");
	}
	no_drift('after moves and imports');
	return;
}

# Shared rows; of all models, some cannot be protected.
sub shared
{
	return if refused('protect_module', sql($db, q{SELECT * FROM tenancy.protect_module('main')}));
	is(sql($db, "SELECT FROM tenancy.create_tenant('s-$seed') s, tenancy.create_tenant('t-$seed') t"), '', "seed $seed: tenants that share tables");
	for my $slug ("s-$seed", "t-$seed") { is(sql($db, "BEGIN; SELECT FROM tenancy.set_tenant('$slug'); SET ROLE app; INSERT INTO fuzz_notes (note) VALUES ('$slug'); COMMIT"), '', "seed $seed: a row for $slug") }
	apart($db, $_, "b-$seed") for "s-$seed", "t-$seed";
	return;
}

# Whoever breaks a copy is told, by pg_dump's words and by drift().
sub broken
{
	my @table = split /\n/, sql($db, qq{SELECT oid::regclass FROM pg_class WHERE relnamespace = '"tenant_b-$seed"'::regnamespace AND relkind = 'r' AND relname <> 'fuzz_notes' ORDER BY oid LIMIT 1});

	for my $table (@table, qq{"tenant_b-$seed".fuzz_notes})
	{
		is(sql($db, "ALTER TABLE $table ADD CONSTRAINT planted CHECK (true)"), '', "seed $seed: break $table");
		like(differences(definition($node, $db, qq{"tenant_b-$seed"}, $schema), definition($node, $db, $schema, $schema)), qr/^\+ .*planted CHECK/m, '... which makes a difference');
		like(sql($db, qq{SELECT object FROM tenancy.drift('b-$seed')}), qr/planted/, '... and drift() tells');
		sql($db, "ALTER TABLE $table DROP CONSTRAINT planted");
	}
	return;
}

for my $n ($from .. $from + $seeds - 1)
{
	$seed = $n;
	my $failed = grep { !$_ } Test::More->builder->summary;

	$db = "fuzz_$seed";
	$schema = ('model', '"Model ""1"', '"select"')[ $seed % 3 ];
	my $model = Models->new($seed, $schema, 0);

	$node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE base");
	$node->safe_psql($db, "CREATE SCHEMA $schema AUTHORIZATION model_owner; GRANT USAGE ON SCHEMA $schema TO app; SET ROLE model_owner; SET search_path = $schema;
		CREATE TABLE fuzz_notes (id serial PRIMARY KEY, note text); CREATE VIEW fuzz_view AS SELECT * FROM fuzz_notes; GRANT SELECT, INSERT, UPDATE, DELETE ON fuzz_notes, fuzz_view TO app; GRANT USAGE ON SEQUENCE fuzz_notes_id_seq TO app");
	my @made = try($db, $schema, 0, $model->statements(60));
	cmp_ok(scalar(@made), '>', 10, "seed $seed: " . @made . ' statements make the model');
	my $bare = $schema =~ s/^"(.*)"$/$1/r =~ s/""/"/gr;
	$node->safe_psql($db, "SELECT tenancy.create_module('main', '$bare'), tenancy.grant_access('app')");
	if (copies($model))
	{
		broken();
		journeys($model);
		shared();
	}

	if ((grep { !$_ } Test::More->builder->summary) > $failed)
	{
		diag("The model, in schema $schema:\n" . join('', map { "$_;\n" } @made) . "Rerun with: make fuzz-models SEED=$seed");
	}
	sql($db, qq{SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants WHERE mode = 'database'});
	sql('postgres', "DROP DATABASE $db WITH (FORCE)");
}

$node->stop;
done_testing();
