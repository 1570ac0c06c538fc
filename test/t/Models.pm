# Random models: what a schema can hold, made and altered in the order that a seed says.
#
# Nothing is asked of the server: an object whose statement fails is named by later ones
# nevertheless, which then fail as well.  So each statement must be run on its own.
package Models;

use strict;
use warnings;

# Types, and a constant of each
my @types = (
	[ 'int', '7' ], [ 'bigint', '8' ], [ 'smallint', '3' ], [ 'text', q{'te''x\\t'} ], [ 'varchar(20)', q{'v'} ], [ 'char(3)', q{'c'} ],
	[ 'numeric(10,2)', '1.50' ], [ 'boolean', 'true' ], [ 'date', q{'2020-01-02'} ], [ 'timestamptz(3)', q{'2020-01-02 03:04:05+00'} ],
	[ 'interval day to second(2)', q{'1 day'} ], [ 'uuid', 'gen_random_uuid()' ], [ 'jsonb', q{'{"a": 1}'} ], [ 'bytea', q{'\xde'} ],
	[ 'int[]', q{'{1,2}'} ], [ 'text[]', q{'{a,"b c"}'} ], [ 'float8', '0.1' ], [ 'bit varying(7)', q{B'101'} ], [ 'inet', q{'10.0.0.1'} ],
	[ 'point', q{'(1,2)'} ], [ 'tsvector', q{'a'} ], [ 'int4range', q{'[1,5)'} ], [ '"char"', q{'x'} ], [ 'name', 'current_user' ],
	[ 'regclass', q{'pg_class'} ], [ 'timestamp', 'now()' ], [ 'time(1)', q{'01:02:03'} ], [ 'json', 'NULL' ], [ 'int4multirange', 'NULL' ]);

# Names that collide with what PostgreSQL has, or with its grammar
my @taken = qw(pg_class text count lower user order oid2 int4 public now tenancy array abs box name value old new excluded coalesce row);

# A model that will be in this schema; the names in it go on from this number.
sub new
{
	my ($class, $seed, $schema, $number) = @_;

	srand($seed * 1000 + $number);
	return bless { schema => $schema, n => $number, sql => [], map { $_ => [] } qw(table parted view type domain enum sequence function procedure trigger constraint index statistics policy rule trigger_function) }, $class;
}

sub chance { return rand(100) < $_[0] }
sub pick { return @_ ? $_[ int(rand(@_)) ] : undef }
sub say_ { my ($self, @sql) = @_; push @{ $self->{sql} }, @sql; return }

# One of those of these kinds that there are
sub any { my ($self, @kinds) = @_; return pick(map { @{ $self->{$_} } } @kinds) }
sub any_table { return $_[0]->any(qw(table table table parted)) }
sub add { my ($self, $kind, $object) = @_; push @{ $self->{$kind} }, $object; return $object }

sub name
{
	my ($self, $kind) = @_;
	my $n = ++$self->{n};
	my $name = pick(("$kind$n") x 4, "$kind $n", "\u$kind$n", "select$n", "\xc3\xbc$n", "$kind\$$n", qq{q""$n}, "a'$n", "b\\$n", 'x' x (60 - length $n) . $n,
		chance(30) ? pick(@taken) : "$kind$n");

	return qq{"$name"};
}

sub type
{
	my $self = shift;
	my $own = chance(25) ? $self->any(qw(type enum domain)) : undef;

	return @{ pick(@types) } unless $own;
	return chance(20) ? ("$own->{name}\[]", 'NULL') : ($own->{name}, $own->{constant} // 'NULL');
}

sub column_of { return pick(@{ $_[0]{columns} }) }

# An expression; with a relation's columns, if there is one.
sub scalar_of
{
	my ($self, $relation) = @_;
	my @e = ('1', '2.5', q{'l''i\\t'}, 'NULL', 'now()', 'current_user', 'ARRAY[1, 2]');
	my $enum = $self->any('enum');
	my $other = $self->any(qw(table view));
	my $function = $self->any('function');

	push @e, "'a'::$enum->{name}", "pg_typeof(NULL::$enum->{name})" if $enum;
	push @e, "$function->{name}(" . join(', ', map { "NULL::$_" } @{ $function->{arguments} }) . ')' if $function;
	push @e, "'" . $other->{name} =~ s/'/''/gr . "'::regclass" if $other;
	if ($relation)
	{
		my $c = column_of($relation)->[0];

		push @e, $c, $c, "($c)::text", "length(($c)::text)", "CASE WHEN $c IS NULL THEN 1 ELSE 2 END", "pg_catalog.lower(($c)::text)", "$c IS DISTINCT FROM NULL";
	}
	return pick(@e);
}

sub condition
{
	my ($self, $relation) = @_;
	my $e = $self->scalar_of($relation);

	return pick("($e) IS NOT NULL", "($e)::text <> 'x'", "length(($e)::text) < 100", "NOT (($e) IS NULL)");
}

sub query
{
	my $self = shift;
	my $r = $self->any(qw(table parted view)) // return 'SELECT 1 AS one';
	my $s = $self->any(qw(table parted view));
	my $c = column_of($r)->[0];
	my ($e, $b) = ($self->scalar_of($r), $self->condition($r));

	return pick("SELECT * FROM $r->{name}", "SELECT $c FROM $r->{name} WHERE $b UNION ALL SELECT $c FROM $r->{name}", "SELECT $e AS $c FROM $r->{name}",
		"SELECT x.*, row_number() OVER (ORDER BY x.${c}::text) AS rn FROM $r->{name} x", "WITH w AS (SELECT $c FROM $r->{name}) SELECT w.*, (SELECT count(*) FROM $s->{name}) AS n FROM w",
		"SELECT a.$c FROM $r->{name} a LEFT JOIN $s->{name} b ON a.$c IS NOT NULL", "SELECT DISTINCT ON ($c) $c FROM ONLY $r->{name}", "SELECT t AS $c FROM $r->{name} t", "TABLE $r->{name}");
}

sub options { return pick('fillfactor = 50', 'autovacuum_enabled = false', 'toast.autovacuum_vacuum_threshold = 77, fillfactor = 30', 'parallel_workers = 2', 'toast_tuple_target = 2000') }

# A column's name, type and constant, and its definition
sub column
{
	my ($self, $plain) = @_;
	my ($type, $constant) = $self->type;
	my $name = $self->name('c');
	my $sql = "$name $type";

	$sql .= ' COLLATE ' . pick('"C"', '"POSIX"') if $type =~ /^(text|varchar|char)/ && chance(25);
	$sql .= ' COMPRESSION pglz' if $type =~ /^(text|jsonb|bytea)$/ && chance(12);
	if (chance(40)) { $sql .= ' DEFAULT ' . (chance(60) ? $constant : $self->scalar_of) }
	elsif ($type =~ /int$/ && !$plain && chance(25)) { $sql .= ' GENERATED ' . pick('ALWAYS', 'BY DEFAULT') . ' AS IDENTITY' . pick('', ' (START 5 INCREMENT -2 MINVALUE -1000)', ' (CACHE 7 CYCLE)') }
	$sql .= ' NOT NULL' if chance(20);
	$sql .= ' UNIQUE' if !$plain && chance(6);
	$sql .= ' CONSTRAINT ' . $self->name('ck') . " CHECK ($name IS NOT NULL)" . pick('', $plain ? '' : ' NO INHERIT') if chance(8);
	return [ $name, $type, $constant, $sql ];
}

# What makes or alters objects, with how often it is to be done
my %makers = (
	enum => [ 3, sub {
		my $self = shift;
		my $t = $self->add('enum', { name => $self->name('e'), constant => q{'a'} });

		$self->say_("CREATE TYPE $t->{name} AS ENUM ('a', 'b''c', 'U \"x\"')");
		$self->say_("ALTER TYPE $t->{name} " . pick("ADD VALUE 'n' BEFORE 'a'", "RENAME VALUE 'b''c' TO 'r'", "ADD VALUE 'n'")) if chance(30);
	} ],
	composite => [ 3, sub {
		my $self = shift;
		my $t = { name => $self->name('ct'), columns => [ map { $self->column(1) } 0 .. rand(4) ] };

		$self->say_("CREATE TYPE $t->{name} AS (" . join(', ', map { "$_->[0] $_->[1]" } @{ $t->{columns} }) . ')');
		$self->add('type', $t);
		$self->say_("ALTER TYPE $t->{name} " . pick('ADD ATTRIBUTE ' . $self->name('f') . ' text COLLATE "C"', "DROP ATTRIBUTE $t->{columns}[0][0]")) if chance(30);
		if (chance(40))
		{
			my $table = { name => $self->name('ty'), columns => $t->{columns} };

			$self->say_("CREATE TABLE $table->{name} OF $t->{name} ($t->{columns}[0][0] WITH OPTIONS " . pick('NOT NULL', 'DEFAULT NULL', 'UNIQUE') . ')');
			$self->add('table', $table);
		}
	} ],
	domain => [ 3, sub {
		my $self = shift;
		my ($type, $constant) = $self->type;
		my $name = $self->name('d');

		$self->say_("CREATE DOMAIN $name AS $type" . (chance(40) ? " DEFAULT $constant" : '') . (chance(15) ? ' NOT NULL' : '')
			. join('', map { ' CONSTRAINT ' . $self->name('dc') . ' CHECK (' . pick('VALUE IS NOT NULL', "VALUE::text <> 'x'") . ')' } 1 .. rand(3)));
		$self->add('domain', { name => $name, constant => $constant });
		$self->say_("ALTER DOMAIN $name " . pick('ADD CONSTRAINT ' . $self->name('dc') . q{ CHECK (VALUE::text <> 'y') NOT VALID}, 'SET NOT NULL', 'DROP NOT NULL', 'DROP DEFAULT')) if chance(40);
	} ],
	range => [ 2, sub {
		my $self = shift;
		my $enum = $self->any('enum');
		my $name = $self->name('rg');

		$self->say_("CREATE TYPE $name AS RANGE (" . pick('subtype = float8, subtype_diff = float8mi', 'subtype = text, collation = "C"', 'subtype = text, subtype_opclass = text_pattern_ops', $enum ? "subtype = $enum->{name}" : 'subtype = numeric')
			. (chance(40) ? ', multirange_type_name = ' . $self->name('mr') : '') . ')');
		push @{ $self->{domain} }, { name => $name };
	} ],
	sequence => [ 2, sub {
		my $self = shift;
		my $name = $self->name('s');
		my $table = $self->any('table');

		$self->say_("CREATE SEQUENCE $name" . pick('', ' AS smallint', ' INCREMENT -3 MINVALUE -100 MAXVALUE 50 START 20 CACHE 5 CYCLE', ' START 9', ' MINVALUE 0 START 0'));
		$self->say_("ALTER SEQUENCE $name " . pick('CYCLE', 'INCREMENT 4', 'AS bigint', 'START 4', $table ? "OWNED BY $table->{name}." . column_of($table)->[0] : 'CACHE 9')) if chance(50);
		$self->add('sequence', { name => $name });
	} ],
	table => [ 10, sub {
		my $self = shift;
		my $t = { name => $self->name('t'), columns => [ map { $self->column } 0 .. rand(6) ] };
		my $id = $self->name('id');
		my ($type, $constant) = @{ pick([ 'int', 1 ], [ 'bigint', 2 ], [ 'uuid', 'gen_random_uuid()' ], [ 'serial', 1 ], [ 'int GENERATED ALWAYS AS IDENTITY', 'DEFAULT' ]) };

		unshift @{ $t->{columns} }, [ $id, $type, $constant, "$id $type" . pick(' PRIMARY KEY', ' PRIMARY KEY', ' UNIQUE', '') ];
		$t->{key} = $t->{columns}[0];
		my $generated = chance(15) ? ', ' . $self->name('g') . " text GENERATED ALWAYS AS (($id)::text) STORED" : '';
		$self->say_('CREATE ' . pick(('') x 5, 'UNLOGGED ') . "TABLE $t->{name} (" . join(', ', map { $_->[3] } @{ $t->{columns} }) . "$generated)" . (chance(15) ? ' WITH (' . options() . ')' : ''));
		$self->add('table', $t);
	} ],
	child => [ 3, sub {
		my $self = shift;
		my $parent = $self->any('table') // return;
		my $own = $self->column;
		my $t = { name => $self->name('ch'), columns => [ @{ $parent->{columns} }, $own ] };
		my $c = column_of($parent);

		if (chance(70)) { $self->say_("CREATE TABLE $t->{name} ($own->[3]" . (chance(50) ? ", $c->[0] $c->[1]" . pick('', ' DEFAULT NULL', ' NOT NULL') : '') . ") INHERITS ($parent->{name})") }
		else { $self->say_("CREATE TABLE $t->{name} (LIKE $parent->{name} INCLUDING CONSTRAINTS INCLUDING GENERATED)", "ALTER TABLE $t->{name} ADD COLUMN $own->[3]", "ALTER TABLE $t->{name} INHERIT $parent->{name}") }
		$self->add('table', $t);
	} ],
	partitioned => [ 3, sub {
		my $self = shift;
		my $k = $self->name('k');
		my $t = { name => $self->name('pt'), columns => [ [ $k, 'int', 5, "$k int" ], map { $self->column(1) } 0 .. rand(4) ] };
		my $how = pick('RANGE', 'LIST', 'HASH');
		my @bounds = $how eq 'RANGE' ? ('FROM (MINVALUE) TO (3)', 'FROM (3) TO (9)') : $how eq 'LIST' ? ('IN (1, 2)', 'IN (5, NULL)') : map { "WITH (MODULUS 2, REMAINDER $_)" } 0, 1;

		$self->say_("CREATE TABLE $t->{name} (" . join(', ', map { $_->[3] } @{ $t->{columns} }) . (chance(40) ? ", PRIMARY KEY ($k)" : '') . ") PARTITION BY $how ($k)");
		$self->add('parted', $t);
		for my $bound (@bounds)
		{
			my $p = { name => $self->name('p'), columns => $t->{columns} };

			if (chance(60)) { $self->say_("CREATE TABLE $p->{name} PARTITION OF $t->{name} FOR VALUES $bound" . (chance(20) ? " PARTITION BY LIST ($k)" : '')) }
			else
			{
				my $gone = $self->name('gone');

				$self->say_("CREATE TABLE $p->{name} ($gone int, LIKE $t->{name} INCLUDING CONSTRAINTS INCLUDING DEFAULTS)", "ALTER TABLE $p->{name} DROP COLUMN $gone",
					"ALTER TABLE $t->{name} ATTACH PARTITION $p->{name} FOR VALUES $bound");
			}
			$self->add('table', $p);
		}
		$self->say_('CREATE TABLE ' . $self->name('pd') . " PARTITION OF $t->{name} DEFAULT") if $how ne 'HASH' && chance(50);
	} ],
	alter_table => [ 14, sub {
		my $self = shift;
		my $t = $self->any_table // return;
		my $c = column_of($t)->[0];
		my $added = $self->column(1);
		my $alter = "ALTER TABLE " . pick('', '', 'ONLY ') . $t->{name};

		$self->say_($alter . ' ' . pick("ADD COLUMN $added->[3]", "ADD COLUMN $added->[3]", "DROP COLUMN $c", map { "ALTER COLUMN $c $_" } 'SET NOT NULL', 'SET NOT NULL', 'DROP NOT NULL', 'DROP DEFAULT', 'SET DEFAULT ' . $self->scalar_of,
			'SET STORAGE ' . pick('PLAIN', 'EXTERNAL', 'MAIN'), 'SET COMPRESSION pglz', 'SET STATISTICS ' . pick(0, 55), 'SET (n_distinct = -0.5)', 'ADD GENERATED ALWAYS AS IDENTITY', 'DROP IDENTITY', 'SET INCREMENT 3', 'DROP EXPRESSION', 'TYPE text', 'TYPE varchar(9) COLLATE "C"'));
		$self->say_("ALTER TABLE $t->{name} " . pick('SET (' . options() . ')', 'SET UNLOGGED', 'REPLICA IDENTITY FULL')) if chance(20);
		push @{ $t->{columns} }, $added if $self->{sql}[-1] =~ /ADD COLUMN/;
	} ],
	constraint => [ 8, sub {
		my $self = shift;
		my $t = $self->any_table // return;
		my ($c, $d) = (column_of($t)->[0], column_of($t)->[0]);
		my $name = $self->name('con');

		$self->say_('ALTER TABLE ' . pick('', '', 'ONLY ') . "$t->{name} ADD CONSTRAINT $name " . pick('CHECK (' . $self->condition($t) . ')' . pick('', '', ' NO INHERIT', ' NOT VALID'),
			"UNIQUE ($c)" . pick('', " INCLUDE ($d)", ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED', ' WITH (fillfactor = 70)'), "UNIQUE NULLS NOT DISTINCT ($c)", "EXCLUDE USING gist ($c WITH &&)", "EXCLUDE USING btree ($c WITH =) WHERE (" . $self->condition($t) . ')'));
		$self->say_("COMMENT ON CONSTRAINT $name ON $t->{name} IS 'it''s'") if chance(20);
		$self->add('constraint', { name => $name, table => $t });
	} ],
	foreign_key => [ 6, sub {
		my $self = shift;
		my $to = $self->any(qw(table parted)) // return;
		my $t = $self->any_table;
		my $key = $to->{key} // $to->{columns}[0];
		my ($name, $c) = ($self->name('fk'), $self->name('fc'));

		$self->say_("ALTER TABLE $t->{name} ADD COLUMN $c " . ($key->[1] =~ s/^serial$|^int GEN.*/int/r), "ALTER TABLE $t->{name} ADD CONSTRAINT $name FOREIGN KEY ($c) REFERENCES $to->{name} ($key->[0])" . pick('', ' MATCH FULL')
			. pick('', ' ON DELETE CASCADE', ' ON DELETE SET DEFAULT', " ON DELETE SET NULL ($c)", ' ON UPDATE RESTRICT') . pick('', '', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED', ' NOT VALID'));
		push @{ $t->{columns} }, [ $c, $key->[1], 'NULL' ];
		$self->add('constraint', { name => $name, table => $t });
	} ],
	alter_constraint => [ 3, sub {
		my $self = shift;
		my $c = $self->any('constraint') // return;

		$self->say_("ALTER TABLE $c->{table}{name} " . pick('DROP CONSTRAINT ', 'VALIDATE CONSTRAINT ', 'VALIDATE CONSTRAINT ') . $c->{name});
	} ],
	index => [ 8, sub {
		my $self = shift;
		my $t = $self->any_table // return;
		my $c = column_of($t)->[0];
		my $name = $self->name('i');
		my $method = pick(qw(btree btree btree hash gin gist brin spgist));

		$self->say_('CREATE ' . pick('', '', 'UNIQUE ') . "INDEX $name ON " . pick('', '', 'ONLY ') . "$t->{name} USING $method (" . pick($c, $c, "$c DESC", "$c COLLATE \"C\"", "$c text_pattern_ops", '(' . $self->scalar_of($t) . ')') . ')'
			. pick('', '', ' INCLUDE (' . column_of($t)->[0] . ')', ' NULLS NOT DISTINCT', ' WITH (fillfactor = 60)') . pick('', '', ' WHERE ' . $self->condition($t)));
		$self->say_(pick("ALTER INDEX $name SET (fillfactor = 80)", "ALTER INDEX $name ALTER COLUMN 1 SET STATISTICS 42", "ALTER TABLE $t->{name} CLUSTER ON $name", "ALTER TABLE $t->{name} REPLICA IDENTITY USING INDEX $name", "COMMENT ON INDEX $name IS E'a\\nb'")) if chance(40);
	} ],
	statistics => [ 3, sub {
		my $self = shift;
		my $t = $self->any_table // return;
		my $name = $self->name('st');

		$self->say_("CREATE STATISTICS $name" . pick('', ' (ndistinct)', ' (mcv, dependencies)') . ' ON ' . column_of($t)->[0] . ', ' . pick(column_of($t)->[0], '(' . $self->scalar_of($t) . ')') . " FROM $t->{name}");
		$self->say_("ALTER STATISTICS $name SET STATISTICS 44") if chance(30);
	} ],
	view => [ 6, sub {
		my $self = shift;
		my $v = { name => $self->name('v'), columns => [ [ $self->name('vc') ], [ $self->name('vc') ] ] };
		my $r = $self->any(qw(table parted view)) // return;

		$self->say_("CREATE VIEW $v->{name} ($v->{columns}[0][0])" . pick('', '', ' WITH (security_barrier)', ' WITH (security_invoker = true)', ' WITH (check_option = local)') . ' AS ' . $self->query);
		$self->say_("ALTER VIEW $v->{name} ALTER $v->{columns}[0][0] SET DEFAULT " . $self->scalar_of) if chance(20);
		pop @{ $v->{columns} };
		$self->add('view', $v);
	} ],
	matview => [ 2, sub {
		my $self = shift;
		my ($name, $c) = ($self->name('mv'), $self->name('mc'));

		$self->say_("CREATE MATERIALIZED VIEW $name ($c) AS " . $self->query . pick('', ' WITH NO DATA'), "CREATE INDEX ON $name ($c)");
		$self->say_("ALTER MATERIALIZED VIEW $name ALTER $c SET STATISTICS 9") if chance(30);
	} ],
	rule => [ 2, sub {
		my $self = shift;
		my ($t, $u) = ($self->any(qw(table view)), $self->any('table'));
		my $name = $self->name('r');

		return unless $t && $u;
		$self->say_("CREATE RULE $name AS ON UPDATE TO $t->{name}" . pick('', ' WHERE old.' . column_of($t)->[0] . ' IS NOT NULL') . ' DO ' . pick('INSTEAD NOTHING', 'ALSO NOTIFY n', "ALSO DELETE FROM $u->{name} WHERE false", "INSTEAD UPDATE $u->{name} SET " . column_of($u)->[0] . ' = DEFAULT'));
		$self->say_("ALTER TABLE $t->{name} " . pick('DISABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA') . " RULE $name") if chance(30);
	} ],
	trigger => [ 5, sub {
		my $self = shift;
		my $t = $self->any(qw(table table parted view)) // return;
		my $f = chance(60) ? $self->any('trigger_function') : undef;
		my ($name, $c) = ($self->name('tr'), column_of($t)->[0]);

		unless ($f)
		{
			$f = $self->add('trigger_function', { name => $self->name('tf') });
			$self->say_("CREATE FUNCTION $f->{name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'");
		}
		my ($constraint, $when) = @{ pick([ '', "BEFORE INSERT OR UPDATE ON $t->{name} FOR EACH ROW" ], [ '', "AFTER UPDATE OF $c ON $t->{name} FOR EACH ROW" ], [ '', "BEFORE UPDATE ON $t->{name} FOR EACH ROW WHEN (old.$c IS DISTINCT FROM new.$c)" ],
			[ '', "INSTEAD OF UPDATE ON $t->{name} FOR EACH ROW" ], [ '', "AFTER UPDATE ON $t->{name} REFERENCING OLD TABLE AS o NEW TABLE AS \"N w\" FOR EACH STATEMENT" ], [ 'CONSTRAINT ', "AFTER INSERT ON $t->{name} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW" ]) };
		$self->say_("CREATE ${constraint}TRIGGER $name $when EXECUTE FUNCTION $f->{name}(" . pick('', q{'a''b', 'c\\d'}) . ')');
		$self->say_(pick("ALTER TABLE $t->{name} DISABLE TRIGGER $name", "ALTER TABLE ONLY $t->{name} ENABLE ALWAYS TRIGGER $name", "COMMENT ON TRIGGER $name ON $t->{name} IS 'tr'")) if chance(40);
	} ],
	function => [ 7, sub {
		my $self = shift;
		my @arguments = map { ($self->type)[0] } 1 .. rand(3);
		my ($name, $type) = ($self->name('fn'), ($self->type)[0]);
		my $relation = $self->any(qw(table view));
		my $row = $relation ? $relation->{name} : 'int';
		my $options = join '', map { pick('', '', $_) } ' IMMUTABLE', ' STRICT', ' PARALLEL SAFE', ' COST 7.5', q{ SET work_mem TO '1MB'}, " SET search_path TO $self->{schema}, pg_temp";
		my $in = join ', ', map { "$_" . pick('', '', ' DEFAULT NULL') } @arguments;

		$self->say_(pick("CREATE FUNCTION $name($in) RETURNS text LANGUAGE sql$options RETURN (" . $self->scalar_of . ')::text', "CREATE FUNCTION $name($in) RETURNS $type LANGUAGE plpgsql$options AS " . q{'BEGIN RETURN NULL; END -- \\ '' $$'},
			"CREATE FUNCTION $name($in) RETURNS bigint LANGUAGE sql$options BEGIN ATOMIC SELECT count(*) FROM (" . $self->query . ') q; END', "CREATE FUNCTION $name($in) RETURNS TABLE (a $type, \"x y\" int) LANGUAGE plpgsql ROWS 33 AS 'BEGIN END'",
			"CREATE FUNCTION $name(x $row) RETURNS SETOF $row LANGUAGE plpgsql AS 'BEGIN END'", "CREATE PROCEDURE $name($in) LANGUAGE sql BEGIN ATOMIC " . $self->query . '; END',
			"CREATE FUNCTION $name(x anyelement, VARIADIC y anyarray DEFAULT NULL) RETURNS anyelement LANGUAGE sql AS 'SELECT \$1'", "CREATE AGGREGATE $name (int) (SFUNC = int4pl, STYPE = int, INITCOND = 5, COMBINEFUNC = int4pl)"));
		$self->say_("ALTER ROUTINE $name " . pick('STABLE', 'STRICT', 'COST 99', 'RESET ALL', 'SET search_path = pg_catalog')) if chance(25);
		$self->say_("GRANT EXECUTE ON ROUTINE $name TO reader", "REVOKE ALL ON ROUTINE $name FROM PUBLIC") if chance(25);
		$self->add('function', { name => $name, arguments => \@arguments }) if $self->{sql}[-1] =~ /RETURNS (text|bigint)/;
	} ],
	operator => [ 2, sub {
		my $self = shift;
		my ($e, $f) = ($self->any(qw(enum type)) // return, $self->name('of'));
		my $o = pick('<#', '#>', '@@@', '=#', '<%>');

		$self->say_("CREATE FUNCTION $f($e->{name}, $e->{name}) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN true",
			"CREATE OPERATOR $o (FUNCTION = $f, LEFTARG = $e->{name}, RIGHTARG = $e->{name}" . pick('', ", COMMUTATOR = $o", ', RESTRICT = eqsel') . ')');
		$self->say_("CREATE CAST ($e->{name} AS bigint) WITH INOUT" . pick('', ' AS ASSIGNMENT')) if chance(50);
	} ],
	other => [ 2, sub {
		my $self = shift;
		my $name = $self->name('o');

		$self->say_(pick("CREATE COLLATION $name " . pick(q{(provider = icu, locale = 'de-u-co-phonebk')}, 'FROM "C"'), "CREATE TEXT SEARCH DICTIONARY $name (TEMPLATE = simple, ACCEPT = false)", "CREATE TEXT SEARCH CONFIGURATION $name (PARSER = pg_catalog.default)",
			'ALTER DEFAULT PRIVILEGES IN SCHEMA ' . $self->{schema} . ' GRANT ' . pick('SELECT ON TABLES', 'USAGE ON SEQUENCES', 'EXECUTE ON FUNCTIONS') . ' TO reader'));
	} ],
	policy => [ 2, sub {
		my $self = shift;
		my $t = $self->any_table // return;

		# A policy that is not in force is refused.
		$self->say_("ALTER TABLE $t->{name} ENABLE ROW LEVEL SECURITY", 'CREATE POLICY ' . $self->name('po') . " ON $t->{name}" . pick('', ' AS RESTRICTIVE', ' FOR SELECT') . ' TO ' . pick('app', 'PUBLIC', 'reader') . ' USING (' . $self->condition($t) . ')');
	} ],
	grant => [ 6, sub {
		my $self = shift;
		my $t = $self->any(qw(table table parted view)) // return;
		my $c = column_of($t)->[0];

		$self->say_(pick("GRANT SELECT, INSERT ON $t->{name} TO app", "GRANT ALL ON $t->{name} TO reader WITH GRANT OPTION", "GRANT SELECT ($c), UPDATE ($c) ON $t->{name} TO reader", "REVOKE TRUNCATE ON $t->{name} FROM model_owner", "GRANT SELECT ON $t->{name} TO PUBLIC"));
	} ],
	comment => [ 4, sub {
		my $self = shift;
		my $t = $self->any_table // return;

		$self->say_('COMMENT ON ' . pick("TABLE $t->{name}", "COLUMN $t->{name}." . column_of($t)->[0]) . ' IS ' . pick(q{'it''s \\ "c"'}, q{E'a\\nb'}, q{'x'}));
	} ],
	rename => [ 2, sub {
		my $self = shift;
		my $t = $self->any(qw(table parted view)) // return;
		my ($name, $c) = ($self->name('rn'), column_of($t));

		if (chance(50)) { $self->say_("ALTER TABLE $t->{name} RENAME TO $name"); $t->{name} = $name }
		else { $self->say_("ALTER TABLE $t->{name} RENAME COLUMN $c->[0] TO $name"); $c->[0] = $name }
	} ],
	drop => [ 1, sub {
		my $self = shift;
		my $t = $self->any(qw(table view)) // return;

		$self->say_("DROP TABLE $t->{name}" . pick('', ' CASCADE'));
	} ]);

my @bag = map { ($_) x $makers{$_}[0] } sort keys %makers;

# The statements of that many steps
sub statements
{
	my ($self, $steps) = @_;

	$self->{sql} = [];
	$makers{ pick(@bag) }[1]->($self) for 1 .. $steps;
	return @{ $self->{sql} };
}

# A row for each table, as far as one can be guessed
sub rows
{
	my $self = shift;

	return map { my $t = $_; my @c = grep { $_->[2] ne 'DEFAULT' } @{ $t->{columns} };
		"INSERT INTO $t->{name} (" . join(', ', map { $_->[0] } @c) . ') VALUES (' . join(', ', map { $_->[2] } @c) . ')', "INSERT INTO $t->{name} DEFAULT VALUES" } @{ $self->{table} }, @{ $self->{parted} };
}

1;
