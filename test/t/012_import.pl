# A tenant from the files of an export: every row again, in its own place, and
# nothing gained by whoever wrote the files, the model's code or the call.
#
# TAP and not regress, because files are tampered with.

use strict;
use warnings;

use Digest::SHA;
use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('import');
my $db = 'shop';
my $dir = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', "CREATE DATABASE $db");
$node->safe_psql($db, q{
	CREATE EXTENSION tenancy;
	CREATE ROLE keeper LOGIN IN ROLE pg_write_server_files, pg_read_server_files;
	CREATE ROLE clumsy LOGIN;
	GRANT USAGE ON SCHEMA tenancy TO keeper, clumsy;
	GRANT EXECUTE ON FUNCTION tenancy.export_tenant, tenancy.import_tenant, tenancy.import_tables TO keeper, clumsy;
	GRANT EXECUTE ON FUNCTION tenancy.copy_tenant TO clumsy;
	CREATE SCHEMA shop AUTHORIZATION shop_owner;
	GRANT USAGE ON SCHEMA shop TO app;
	SET ROLE shop_owner;
	CREATE TYPE shop.mood AS ENUM ('sad', 'fine');
	-- Whoever loads the rows runs this.
	CREATE FUNCTION shop.planted(text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			IF current_setting('session_replication_role') = 'replica'
				AND (current_user <> 'shop_owner' OR current_setting('is_superuser') = 'on'
					AND pg_catalog.has_function_privilege('pg_catalog.pg_read_file(text)', 'EXECUTE')) THEN
				RAISE 'planted code runs as %', current_user;
			END IF;
			RETURN true;
		END$$;
	CREATE FUNCTION shop.fire() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN NEW.name = 'fired'; RETURN NEW; END$$;
	CREATE TABLE shop.customer (
		id int GENERATED ALWAYS AS IDENTITY,
		name text NOT NULL CHECK (shop.planted(name)),
		feels shop.mood,
		boss int,
		upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
		photo bytea,
		tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, id),
		FOREIGN KEY (tenant_id, boss) REFERENCES shop.customer);
	CREATE TABLE shop.aa_order (n int, customer int, tenant_id uuid NOT NULL,
		FOREIGN KEY (tenant_id, customer) REFERENCES shop.customer);
	CREATE TABLE shop.parted (n int, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, n)) PARTITION BY RANGE (n);
	CREATE TABLE shop.parted_low PARTITION OF shop.parted FOR VALUES FROM (0) TO (10);
	CREATE TABLE shop.parted_high PARTITION OF shop.parted FOR VALUES FROM (10) TO (2000);
	RESET ROLE;
	SELECT tenancy.create_module('shop', 'shop');
	SELECT * FROM tenancy.protect_module('shop');
	SET ROLE shop_owner;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO app;
	RESET ROLE;
	SELECT tenancy.grant_access('app');
	SELECT tenancy.create_tenant('pool', display_name => 'Pool & Sons', metadata => '{"plan": "gold"}');
	SELECT tenancy.create_tenant('other'), tenancy.create_tenant('bridge', 'schema');
	SELECT tenancy.create_tenant('silo', 'database');
});
foreach my $tenant ('pool', 'other', 'bridge', 'silo')
{
	$node->safe_psql($tenant eq 'silo' ? 'tenant_silo' : $db, qq{
		BEGIN;
		SELECT tenancy.set_tenant('$tenant');
		INSERT INTO customer (name, feels, boss, photo) VALUES
			(E'tab\\tnew\\nline\\rback\\\\slash \\\\N \\\\.', 'sad', NULL, '\\x00ff5c0a'), ('', NULL, NULL, NULL);
		INSERT INTO customer (name, feels, boss) SELECT 'n' || n, 'fine', min(id) FROM customer, generate_series(1, 500) n GROUP BY n;
		INSERT INTO aa_order SELECT id, id FROM customer;
		INSERT INTO parted SELECT n FROM generate_series(1, 1000) n;
		COMMIT;
	}, extra_params => [ '-U', 'app' ]);
}
$node->safe_psql($db, qq{
	SET ROLE shop_owner;
	CREATE TRIGGER fire BEFORE INSERT ON shop.customer FOR EACH ROW EXECUTE FUNCTION shop.fire();
	RESET ROLE;
	SELECT tenancy.export_tenant(slug, '$dir/' || slug) FROM tenancy.tenant});

sub import_as
{
	my ($role, $arguments) = @_;

	return sqlstate($node, $db, $role, "SELECT tenancy.import_tenant($arguments)");
}

# What a tenant has, its id left out; of the whole table if it is alone there.
sub digest
{
	my ($slug, $schema, $place) = @_;

	return $node->safe_psql($place // $db, qq{
		SELECT count(*), md5(string_agg(concat_ws('|', id, name, feels, boss, upper_name, photo), ',' ORDER BY id))
		FROM $schema.customer WHERE tenant_id = (SELECT id FROM tenancy.tenant WHERE slug = '$slug');
		SELECT count(*), sum(n), sum(customer) FROM $schema.aa_order WHERE tenant_id = (SELECT id FROM tenancy.tenant WHERE slug = '$slug');
		SELECT count(*), sum(n) FROM $schema.parted WHERE tenant_id = (SELECT id FROM tenancy.tenant WHERE slug = '$slug')});
}
my $others = sub { return digest('other', 'shop') . digest('bridge', 'tenant_bridge') };
my $before = $others->();
my $pool = digest('pool', 'shop');
like($pool, qr/^502\|\w+\n502\|.*\n1000\|/, 'the rows that are to come back');

# ---------------------------------------------------------------------------
# Round trips
# ---------------------------------------------------------------------------
is(sqlstate($node, $db, 'keeper', "SET default_transaction_read_only = on; SELECT tenancy.import_tenant('$dir/pool', 'pool2', 'schema')"),
	'25006', 'not where nothing is to be changed');
is(import_as('keeper', "'$dir/pool', 'pool2', 'schema'"), '00000', 'shared rows into a schema');
is(digest('pool2', 'tenant_pool2'), $pool, 'all of them, with the new id');
is($node->safe_psql($db, q{SELECT a.id <> b.id, a.metadata = b.metadata, a.display_name = b.display_name
	FROM tenancy.tenant a, tenancy.tenant b WHERE a.slug = 'pool' AND b.slug = 'pool2'}), 't|t|t', 'another id, because the own one is taken');
$node->safe_psql($db, q{SET ROLE app; BEGIN; SELECT tenancy.set_tenant('pool2');
	INSERT INTO customer (name) VALUES ('next'); COMMIT});
is($node->safe_psql($db, q{SELECT count(DISTINCT id) FROM tenant_pool2.customer}), '503', 'its sequence goes on');

my $id = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'pool'});
$node->safe_psql($db, q{SELECT tenancy.drop_tenant('pool', force => true)});
is(import_as('keeper', "'$dir/pool'"), '00000', 'back under the old name, in the old mode');
is($node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'pool'}), $id, 'and the old id');
is(digest('pool', 'shop'), $pool, 'with all rows');
is(import_as('keeper', "'$dir/silo', 'landed', 'shared'"), '00000', 'from a database into shared tables');
is((split /\n/, digest('landed', 'shop'))[2], (split /\n/, $pool)[2], 'with all rows');
is(import_as('keeper', "'$dir/bridge', 'bridge2'"), '00000', 'from a schema into another');
is(digest('bridge2', 'tenant_bridge2'), digest('bridge', 'tenant_bridge'), 'with all rows');
is($others->(), $before, 'other tenants have what they had');
$node->safe_psql($db, qq{SELECT tenancy.export_tenant('pool', '$dir/again')});
# PostgreSQL may use the space of the rows that were dropped, in another order.
is(join('', sort split /^/, slurp_file("$dir/again/$_")), join('', sort split /^/, slurp_file("$dir/pool/$_")),
	"the next export has the same rows: $_") foreach ('0001_aa_order.copy', '0002_customer.copy', '0003_parted.copy');

# ---------------------------------------------------------------------------
# Copies
# ---------------------------------------------------------------------------
is(sqlstate($node, $db, 'app', q{SELECT tenancy.copy_tenant('pool', 'x')}), '42501', 'the application may not copy');
is(sqlstate($node, $db, 'clumsy', q{SELECT tenancy.copy_tenant('pool', 'staging', 'schema')}), '00000', 'who may copy needs no right to files');
is(digest('staging', 'tenant_staging'), $pool, 'all rows');
is(sqlstate($node, $db, 'clumsy', q{SELECT tenancy.copy_tenant('pool', 'staging2')}), '00000', 'in the same mode');
is(digest('staging2', 'shop'), $pool, 'all rows');
is(sqlstate($node, $db, 'clumsy', q{SELECT tenancy.copy_tenant('pool', 'staging')}), '42710', 'the name is taken');
is(sqlstate($node, $db, 'clumsy', q{SELECT tenancy.copy_tenant('pool', '../x')}), '22023', 'a bad name');
is(sqlstate($node, $db, 'clumsy', q{SELECT tenancy.copy_tenant('silo', 'silo2')}), '00000', 'of a database, into one of its own');
is(digest('silo2', 'shop', 'tenant_silo2'), digest('silo', 'shop', 'tenant_silo'), 'all rows');
is(digest('pool', 'shop') . $others->(), $pool . $before, 'all others as they were');
is(join(' ', glob $node->data_dir . '/base/pgsql_tmp/*'), '', 'no file is left');

# ---------------------------------------------------------------------------
# Who may, and what is refused
# ---------------------------------------------------------------------------
my $tenants = $node->safe_psql($db, 'SELECT string_agg(slug, $$ $$ ORDER BY slug) FROM tenancy.tenant');

is(import_as('app', "'$dir/pool', 'x'"), '42501', 'the application may not import');
is(import_as('clumsy', "'$dir/pool', 'x'"), '42501', 'nor whoever may not read files of the server');
is(sqlstate($node, $db, undef, "SELECT tenancy.import_tables('{}', '$dir/pool', '$id')"), '42501', 'nobody does the part of the worker');
is(import_as('keeper', 'NULL'), '22004', 'no directory');
is(import_as('keeper', "'pool', 'x'"), '42602', 'a relative path');
is(import_as('keeper', "'$dir/none', 'x'"), '58P01', 'no such directory');
is(import_as('keeper', "'$dir/pool'"), '42710', 'the name is taken');
is(import_as('keeper', "'$dir/pool', 'x''; DROP TABLE tenancy.tenant; --'"), '22023', 'a bad name');

# Change a copy of the export, import it, and see that nothing has come of it.
sub tampered
{
	my ($what, $expected, $change, $file_change) = @_;

	system('rm', '-rf', "$dir/bad") == 0 or die;
	mkdir "$dir/bad";
	copy($_, "$dir/bad/") foreach glob "$dir/pool/*";
	my $manifest = decode_json(slurp_file("$dir/bad/manifest.json"));
	if ($file_change)
	{
		my $path = "$dir/bad/0002_customer.copy";
		local $_ = slurp_file($path);
		$file_change->();
		unlink $path;
		append_to_file($path, $_);
		$manifest->{tables}[1]{sha256} = Digest::SHA::sha256_hex($_);
	}
	$change->($manifest) if $change;
	unlink "$dir/bad/manifest.json";
	append_to_file("$dir/bad/manifest.json", ref $manifest && !$manifest->{raw} ? encode_json($manifest) : $manifest->{raw});
	is(import_as('keeper', "'$dir/bad', 'bad', 'shared'"), $expected, $what);
	return;
}
my $other_id = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'other'});

tampered('an older checksum', 'XX001', sub { $_[0]{tables}[1]{sha256} =~ tr/0-9/1-90/ });
tampered('a path out of the directory', '22023', sub { $_[0]{tables}[1]{file} = '../pool/0002_customer.copy' });
tampered('an absolute path', '22023', sub { $_[0]{tables}[1]{file} = '/etc/passwd' });
tampered('another number of rows', '22023', sub { $_[0]{tables}[1]{rows}++ });
tampered('a column too many', '22023', sub { push @{ $_[0]{tables}[1]{columns} }, { name => 'x', type => 'text' } });
tampered('a column of another type', '22023', sub { $_[0]{tables}[1]{columns}[0]{type} = 'bigint' });
tampered('a generated column', '22023', sub { $_[0]{tables}[1]{columns}[1]{name} = 'upper_name' });
tampered('a column within the type of another', '22023', sub {
	my $columns = $_[0]{tables}[1]{columns};
	my ($tenant) = grep { $_->{name} eq 'tenant_id' } @$columns;
	my ($before) = (sort { $b cmp $a } grep { $_ lt 'tenant_id' } map { $_->{name} } @$columns)[0];

	$_->{type} .= ', tenant_id uuid' foreach grep { $_->{name} eq $before } @$columns;
	@$columns = grep { $_ != $tenant } @$columns;
}, sub { s/\t\Q$id\E$//mg });
tampered('a table of another name', '22023', sub { $_[0]{tables}[1]{table} = 'pg_authid' });
tampered('a table too many, without columns', '22023', sub { push @{ $_[0]{tables} }, { %{ $_[0]{tables}[0] }, table => 'nosuch', columns => [] } });
tampered('a table twice', '22023', sub { push @{ $_[0]{tables} }, $_[0]{tables}[0] });
tampered('a table missing', '22023', sub { pop @{ $_[0]{tables} } });
tampered('another version', '22023', sub { $_[0]{tenancy} = '9.9' });
tampered('another encoding', '22023', sub { $_[0]{encoding} = 'SJIS' });
tampered('another module', '22023', sub { $_[0]{modules}[0]{name} = 'other' });
tampered('no tables', '22023', sub { $_[0]{tables} = 'x' });
tampered('an incomplete table', '22023', sub { delete $_[0]{tables}[0]{file} });
tampered('no JSON', '22P02', sub { $_[0]{raw} = '{"format": ' });
tampered('deep JSON', '54001', sub { $_[0]{raw} = '[' x 1000000 });
tampered('a sequence out of bounds', '22003', sub { $_->{last_value} = '9' x 10 foreach @{ $_[0]{sequences} } });
tampered('a foreign key without its row', '23503', undef, sub { s/^2\t/9999\t/m });
tampered('a carriage return', '22P04', undef, sub { s/\n/\r\n/ });
tampered('too few fields', '22P04', undef, sub { s/\t[^\t]*\n/\n/ });

unlink "$dir/bad/0002_customer.copy";
symlink("$dir/pool/0002_customer.copy", "$dir/bad/0002_customer.copy");
is(import_as('keeper', "'$dir/bad', 'bad', 'shared'"), '42809', 'a link');
is($node->safe_psql($db, 'SELECT string_agg(slug, $$ $$ ORDER BY slug) FROM tenancy.tenant'), $tenants, 'no tenant has come of it');
is(digest('pool', 'shop') . $others->(), $pool . $before, 'nor a row');

# Rows that claim to be another tenant's, in ways that COPY may see otherwise.
tampered('a row that says to be another\'s', '00000', undef, sub { s/\Q$id\E/$other_id/g });
is(digest('bad', 'shop'), $pool, 'belongs to the tenant that is imported');
is($others->(), $before, 'and not to the other');
$node->safe_psql($db, q{SELECT tenancy.drop_tenant('bad', force => true)});
tampered('a line that a backslash hides', '22P04', undef,
	sub { s/\Q$id\E\n/$id\\\n77\tx\t\\N\t\\N\t\\N\t$other_id\n/ });
tampered('a line after an end mark', '22023', undef, sub { s/\n/\n\\.\n/ });
is($others->(), $before, 'the other has nothing of it');
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.check_isolation() WHERE severity = 'error'}), '0', 'and all is well');

# ---------------------------------------------------------------------------
# Deferrable constraints, whose triggers do not fire
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', 'CREATE DATABASE lax');
$node->safe_psql('lax', q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA lax AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE lax.item (id int, code text, name text, tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, id),
		UNIQUE NULLS NOT DISTINCT (tenant_id, code) DEFERRABLE,
		EXCLUDE (tenant_id WITH =, lower(name) WITH =) WHERE (name <> 'free') DEFERRABLE INITIALLY DEFERRED);
	CREATE TABLE lax.parted (day int, code text, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, day),
		UNIQUE (tenant_id, day, code) DEFERRABLE) PARTITION BY RANGE (day);
	CREATE TABLE lax.parted_low PARTITION OF lax.parted (UNIQUE (tenant_id, code) DEFERRABLE) FOR VALUES FROM (0) TO (10);
	CREATE TABLE lax.parted_high PARTITION OF lax.parted FOR VALUES FROM (10) TO (100);
	RESET ROLE;
	SELECT tenancy.create_module('lax', 'lax');
	SELECT * FROM tenancy.protect_module('lax');
	SELECT tenancy.create_tenant('first', 'schema');
	ALTER TABLE tenant_first.item DROP CONSTRAINT item_tenant_id_code_key, DROP CONSTRAINT item_tenant_id_lower_excl;
	ALTER TABLE tenant_first.parted_low DROP CONSTRAINT parted_low_tenant_id_code_key;
	INSERT INTO tenant_first.item SELECT n, 'c' || n, 'free', id FROM tenancy.tenant, generate_series(1, 3) n;
	INSERT INTO tenant_first.item SELECT n, 'c' || n, 'n' || n, id FROM tenancy.tenant, generate_series(4, 6) n;
	INSERT INTO tenant_first.item SELECT 7, NULL, NULL, id FROM tenancy.tenant;
	INSERT INTO tenant_first.item SELECT 8, 'c8', NULL, id FROM tenancy.tenant;
	INSERT INTO tenant_first.parted SELECT n, 'c', id FROM tenancy.tenant, generate_series(9, 11) n;
});
my $bad = 0;					# what has failed may still be there
foreach my $mode ('shared', 'schema', 'database')
{
	is(sqlstate($node, 'lax', undef, "SELECT tenancy.copy_tenant('first', 'good$mode', '$mode')"), '00000', "deferrable constraints, $mode: kept");
	foreach my $case ([ 'item', q{UPDATE %s SET code = 'c2' WHERE id = 3}, '23505', 'a value twice' ],
		[ 'item', q{UPDATE %s SET code = NULL WHERE id = 3}, '23505', 'NULL twice' ],
		[ 'item', q{UPDATE %s SET name = 'N5' WHERE id = 4}, '23P01', 'excluded' ],
		[ 'parted', q{INSERT INTO %s SELECT 8, 'c', id FROM tenancy.tenant WHERE slug = 'first'}, '23505', 'a value twice in a partition' ])
	{
		my ($table, $change, $state, $what) = @$case;

		$node->safe_psql('lax', qq{CREATE TABLE before AS SELECT * FROM tenant_first.$table; } . sprintf($change, "tenant_first.$table"));
		is(sqlstate($node, 'lax', undef, "SELECT tenancy.copy_tenant('first', 'bad@{[ ++$bad ]}', '$mode')"), $state, "deferrable constraints, $mode: $what");
		$node->safe_psql('lax', qq{DELETE FROM tenant_first.$table; INSERT INTO tenant_first.$table SELECT * FROM before; DROP TABLE before});
	}
}
$node->safe_psql('lax', 'ALTER TABLE lax.item ADD UNIQUE (code, id) DEFERRABLE');
is(sqlstate($node, 'lax', undef, q{SELECT tenancy.copy_tenant('first', 'bad', 'shared')}), '0A000', 'deferrable constraints: one for all tenants');
is(sqlstate($node, 'lax', undef, q{CALL tenancy.move_tenant('first', 'shared')}), '0A000', '... and for a move');

# Tables without columns, or with generated ones only, have rows, too; types may have the names
# of PostgreSQL's.
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->safe_psql('bare', q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA bare AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE bare.nothing ();
	CREATE TABLE bare.made (two int GENERATED ALWAYS AS (1 + 1) STORED);
	CREATE TYPE bare.name AS ENUM ('first', 'last');
	CREATE TYPE bare.point AS (x int);
	CREATE TABLE bare.hidden (n bare.name, p bare.point[], o point, i int GENERATED ALWAYS AS IDENTITY);
	RESET ROLE;
	SELECT tenancy.create_module('bare', 'bare'), tenancy.create_tenant('rows', 'schema');
	INSERT INTO tenant_rows.nothing DEFAULT VALUES;
	INSERT INTO tenant_rows.nothing DEFAULT VALUES;
	INSERT INTO tenant_rows.made DEFAULT VALUES;
	INSERT INTO tenant_rows.hidden VALUES ('last', '{(7)}', '(1,2)');
});
is(sqlstate($node, 'bare', undef, "SELECT tenancy.copy_tenant('rows', 'rows$_', '$_')"), '00000', "no columns to copy: $_") for 'schema', 'database';
is(sqlstate($node, 'bare', undef, "CALL tenancy.move_tenant('rows', '$_')"), '00000', "... to move: $_") for 'database', 'schema';
is($node->safe_psql('bare', 'SELECT count(*), (SELECT sum(two) FROM tenant_rows.made) FROM tenant_rows.nothing'), '2|2', '... they are there');
is($node->safe_psql('bare', 'SELECT count(*), (SELECT sum(two) FROM tenant_rowsschema.made) FROM tenant_rowsschema.nothing'), '2|2', '... in a copy, too');
is($node->safe_psql('tenant_rowsdatabase', 'SELECT count(*), (SELECT sum(two) FROM bare.made) FROM bare.nothing'), '2|2', '... and in a database');
is($node->safe_psql($$_[0], "SELECT n, p, o, i FROM $$_[1].hidden"), 'last|{(7)}|(1,2)|1', "types with PostgreSQL's names: $$_[1]")
	for [ 'bare', 'tenant_rows' ], [ 'bare', 'tenant_rowsschema' ], [ 'tenant_rowsdatabase', 'bare' ];

# Tables outside that foreign keys of schemas lead to can be written to while rows are loaded.
$node->safe_psql('postgres', 'CREATE DATABASE linked');
$node->safe_psql('linked', q{
	CREATE EXTENSION tenancy;
	CREATE TABLE public.plan (code text PRIMARY KEY);
	INSERT INTO public.plan VALUES ('old');
	GRANT SELECT, REFERENCES ON public.plan TO shop_owner;
	CREATE SCHEMA linked AUTHORIZATION shop_owner;
	CREATE SCHEMA extra AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE FUNCTION linked.gate(text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_advisory_xact_lock_shared(4711); RETURN true; END$$;
	CREATE TABLE linked.item (n int PRIMARY KEY, plan text REFERENCES public.plan CHECK (linked.gate(plan)));
	CREATE TABLE extra.note (item int REFERENCES linked.item);
	RESET ROLE;
	SELECT tenancy.create_module('linked', 'linked'), tenancy.create_module('extra', 'extra');
	SELECT tenancy.create_tenant('first', 'schema');
	SELECT tenancy.install_module('first', 'extra');
	INSERT INTO tenant_first.item VALUES (1, 'old');
	INSERT INTO tenant_first_plugin_extra.note VALUES (1);
});
foreach my $case ([ 'whole', '00000' ], [ 'broken', '23503' ])
{
	my ($slug, $state) = @$case;
	my ($caller, $gate, $writer) = map { session($node, 'linked') } 1 .. 3;

	$gate->rows('SELECT pg_advisory_lock(4711)');
	$caller->send("SELECT tenancy.copy_tenant('first', '$slug')");
	slow($node, 'linked', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}) or die 'not stopped';
	$writer->rows(q{SET lock_timeout = '5s'});
	is($writer->state("INSERT INTO plan VALUES ('$slug')"), '00000', "a table outside, $slug: it can be written to");
	if ($slug eq 'broken')
	{
		$writer->rows('SET session_replication_role = replica');
		$writer->rows(q{DELETE FROM plan WHERE code = 'old'});
	}
	$gate->rows('SELECT pg_advisory_unlock(4711)');
	is($caller->wait->{state}, $state, "a table outside, $slug: the end of the import");
	$_->quit for $caller, $gate, $writer;
}
is($node->safe_psql('linked', q{SELECT string_agg(concat(conrelid::regclass, ' ', confrelid::regclass), ', ' ORDER BY conrelid)
	FROM pg_constraint WHERE contype = 'f' AND convalidated AND conrelid::regclass::text ~ 'whole|broken'}),
	'tenant_whole.item plan, tenant_whole_plugin_extra.note tenant_whole.item', 'a table outside: the foreign keys are there');
is($node->safe_psql('linked', q{SELECT string_agg(slug, ', ' ORDER BY slug) FROM tenancy.tenants}), 'first, whole', '... and nothing of what failed');

done_testing();
