# The copy of a model is the model: pg_dump's words about it, with the schema's name
# replaced, are the same, line by line, for models with all that a copy can have.
#
# TAP and not regress, because pg_dump is asked, in other databases, too.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

# Debian has no provider of security labels.
my $provider = PostgreSQL::Test::Utils::tempdir() . '/label_provider.so';
system_or_bail("cc -fPIC -shared -O1 -I$ENV{SERVER_INCLUDES} -o $provider $FindBin::RealBin/label_provider.c");

my $node = new_cluster('exact', 'allow_in_place_tablespaces = on', "shared_preload_libraries = '$provider'");

$node->safe_psql('postgres', $_) for 'CREATE ROLE model_owner NOLOGIN', 'CREATE ROLE app_group NOLOGIN', 'CREATE ROLE app_member LOGIN IN ROLE app_group',
	'CREATE ROLE reader LOGIN', q{CREATE TABLESPACE elsewhere LOCATION ''}, 'GRANT CREATE ON TABLESPACE elsewhere TO model_owner',
	'CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler';

# What there is of each kind, for a note.
sub kinds
{
	my ($database, $schema) = @_;

	return $node->safe_psql($database, qq{SELECT string_agg(n || ' ' || type, ', ' ORDER BY n DESC, type) FROM (SELECT i.type, count(*) AS n
		FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = '$schema'::regnamespace GROUP BY 1) k});
}

# Model and copies, all of them.
sub prove
{
	my ($database, $schema, $slug, $local, @withheld) = @_;
	my $copy = qq{"tenant_$slug"};

	note(kinds($database, $schema));
	$node->safe_psql($database, qq{SELECT tenancy.create_tenant('$slug', 'schema')});
	my $model = definition($node, $database, $schema, $schema, @withheld);
	cmp_ok(scalar(@$model), '>', $schema eq 'newer' ? 30 : 200, 'the model has ' . @$model . ' lines');
	is(differences(definition($node, $database, $copy, $schema, @withheld), $model), '', 'the copy in a schema is the model');
	is($node->safe_psql($database, 'SELECT * FROM tenancy.drift()'), '', 'drift() has nothing to say');
	$node->safe_psql($database, "CREATE TABLE $copy.added (a int)");
	like(differences(definition($node, $database, $copy, $schema, @withheld), $model), qr/^\+ CREATE TABLE .*\.added \($/m, '... which would notice a difference');
	like($node->safe_psql($database, 'SELECT object, difference FROM tenancy.drift()'), qr/^table added\|extra$/m, '... and so would drift()');
	$node->safe_psql($database, "DROP TABLE $copy.added");
	is($node->safe_psql($database, q{WITH model AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = (SELECT oid FROM pg_namespace WHERE quote_ident(nspname) = '} . $schema . q{')
			AND classid <> 'pg_extension'::regclass AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = pg_depend.classid AND e.objid = pg_depend.objid AND e.deptype = 'e')),
		copy AS (SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = '} . $copy . q{'::regnamespace)
		SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ') FROM copy c JOIN pg_depend d ON d.classid = c.classid AND d.objid = c.objid
		JOIN model m ON d.refclassid = m.classid AND d.refobjid = m.objid}), '', 'nothing in it refers to the model');
	$node->safe_psql($database, qq{SELECT tenancy.rename_tenant('$slug', 'renamed-$slug')});
	is(differences(definition($node, $database, qq{"tenant_renamed-$slug"}, $schema, @withheld), $model), '', 'renamed, it is the model as before');
	is($node->safe_psql($database, 'SELECT * FROM tenancy.drift()'), '', 'drift() has nothing to say');

	is($node->safe_psql($database, q{SELECT object FROM tenancy.check_isolation() WHERE lint LIKE '%_names_model'}), '', 'nothing leads from copies into the model');

	# What cannot be in databases goes first.
	$node->safe_psql($database, $_) for "SELECT tenancy.drop_tenant('renamed-$slug', true)", $local, "SELECT tenancy.create_tenant('d$slug', 'database')";
	is(differences([ grep { $_ ne "GRANT USAGE ON SCHEMA $schema TO PUBLIC;" } @{ definition($node, "tenant_d$slug", $schema, $schema) } ], definition($node, $database, $schema, $schema)),
		'', 'the copy in a database is the model, privileges included');
	is($node->safe_psql($database, 'SELECT * FROM tenancy.drift()'), '', 'drift() has nothing to say');
	$node->safe_psql($database, "SELECT tenancy.drop_tenant('d$slug', true)");
	return;
}

# ---------------------------------------------------------------------------
# Every kind of object
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', 'CREATE DATABASE torture');
$node->safe_psql('torture', 'CREATE EXTENSION tenancy');
$node->safe_psql('torture', q{CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler});
$node->command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('torture'), '-f', "$FindBin::RealBin/torture.sql" ], 'torture.sql');
$node->safe_psql('torture', q{SELECT tenancy.add_reference_table('ref.plan'), tenancy.create_module('main', 'Model "1'), tenancy.grant_access('app'), tenancy.grant_access('app_group')});
$node->safe_psql('torture', qq{SET search_path = "Model ""1"; SECURITY LABEL FOR "the house" ON $_}) for q{TABLE "Order" IS 'it''s'}, q{COLUMN "Order".m IS 'a column'}, q{VIEW v1 IS 'v'}, q{COLUMN v1.idd IS 'of a view'},
	q{SEQUENCE "Seq alone" IS 's'}, q{TYPE mood IS 't'}, q{DOMAIN posint IS 'd'}, q{COLUMN pair."B b" IS 'of a type'}, q{FUNCTION tdiff(mood, mood) IS 'f'}, q{SCHEMA "Model ""1" IS 'the schema'}, q{MATERIALIZED VIEW "mat view" IS 'm'};
prove('torture', '"Model ""1"', 'a-b', 'DROP TABLE "Model ""1".heaped', '"mat view"', 'mat_empty', 'of_mat');

# A provider may change its mind.
$node->safe_psql('torture', q{SET allow_system_table_mods = on; UPDATE pg_seclabel SET label = 'refused' WHERE label = 'v'});
is(sqlstate($node, 'torture', undef, q{SELECT tenancy.create_tenant('labelled', 'schema')}), '42602', 'the provider refuses a label in a copy');
is($node->safe_psql('torture', q{SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant_labelled'}), 0, '... and there is none');

# ---------------------------------------------------------------------------
# Extensions in the model schema: what is theirs stays, and is pointed at
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', 'CREATE DATABASE contrib');
$node->safe_psql('contrib', 'CREATE EXTENSION tenancy; CREATE SCHEMA contrib AUTHORIZATION model_owner');

# All that can be installed into a schema
my (@installed, @not);

for my $name (split /\n/, $node->safe_psql('contrib', q{SELECT name FROM pg_available_extensions WHERE name NOT IN ('tenancy', 'plpgsql', 'pgtap') AND installed_version IS NULL ORDER BY name}))
{
	my $state = sqlstate($node, 'contrib', undef, qq{CREATE EXTENSION IF NOT EXISTS "$name" SCHEMA contrib CASCADE});

	push @{ $state eq '00000' ? \@installed : \@not }, $name;
}
note('installed: ' . join(' ', @installed));
note('cannot be installed into a schema: ' . join(' ', @not));
my %installed = map { $_ => 1 } @installed;
my @wanted = qw(bloom btree_gin btree_gist citext cube dict_int earthdistance fuzzystrmatch hstore intarray isn lo ltree moddatetime pg_trgm pgcrypto seg tablefunc tsm_system_rows unaccent uuid-ossp xml2);
SKIP:
{
	skip('not all of contrib is there', 1) if grep { !$installed{$_} } @wanted;
	$node->safe_psql('contrib', q{
		GRANT USAGE ON SCHEMA contrib TO app;
		SET search_path = contrib;
		SET ROLE model_owner;
		CREATE DOMAIN email AS citext CHECK (value ~ '@');
		CREATE TABLE used (
			id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), other uuid DEFAULT gen_random_uuid(), mail email UNIQUE, name citext COLLATE "C" NOT NULL DEFAULT 'Nobody'::citext,
			attributes hstore DEFAULT 'a=>1', path ltree, pattern lquery, point cube DEFAULT '(1,2)', place earth, span seg, book isbn13 UNIQUE, series issn, image lo,
			tags int[], more citext[], secret text DEFAULT encode(digest('x', 'sha256'), 'hex'), searched tsvector,
			tag_sum int GENERATED ALWAYS AS (icount(tags)) STORED,
			CHECK (path ~ 'a.*'::lquery), CHECK (attributes ? 'a'), CHECK (similarity(name::text, 'x') < 1),
			EXCLUDE USING gist (tag_sum WITH =, point WITH &&), EXCLUDE USING gist (span WITH &&, secret WITH =) WHERE (tag_sum > 0));
		CREATE INDEX ON used USING gin (attributes);
		CREATE INDEX ON used USING gist (attributes gist_hstore_ops (siglen = 32));
		CREATE INDEX ON used USING gin (secret gin_trgm_ops, tag_sum);
		CREATE INDEX ON used USING gist (secret gist_trgm_ops (siglen = 64));
		CREATE INDEX ON used USING gist (path gist_ltree_ops (siglen = 100));
		CREATE INDEX ON used USING gin (tags gin__int_ops);
		CREATE INDEX ON used USING gist (tags gist__intbig_ops (siglen = 252));
		CREATE INDEX ON used USING bloom (tag_sum, secret) WITH (length = 80, col1 = 2);
		CREATE INDEX ON used (mail citext_pattern_ops, book);
		CREATE INDEX ON used USING hash (book);
		CREATE INDEX ON used (soundex(secret), levenshtein(secret, 'x'));
		CREATE STATISTICS used_stat ON (attributes -> 'a'), mail FROM used;
		CREATE TABLE parted (k citext, v ltree) PARTITION BY LIST (k);
		CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN ('A', 'b');
		CREATE TABLE ranged (k isbn13, v seg) PARTITION BY RANGE (k);
		CREATE TABLE ranged_1 PARTITION OF ranged FOR VALUES FROM ('978-0-393-04002-9') TO ('978-0-393-04003-6');
		CREATE TRIGGER touched BEFORE UPDATE ON used FOR EACH ROW EXECUTE FUNCTION moddatetime('name');
		CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON used FOR EACH ROW EXECUTE FUNCTION lo_manage(image);
		ALTER TRIGGER kept ON used DEPENDS ON EXTENSION lo;
		ALTER INDEX used_secret_tag_sum_idx DEPENDS ON EXTENSION pg_trgm;
		CREATE TEXT SEARCH CONFIGURATION plain (COPY = pg_catalog.simple);
		ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR word, asciiword WITH unaccent, intdict, pg_catalog.simple;
		CREATE TEXT SEARCH DICTIONARY mine (TEMPLATE = contrib.unaccent, RULES = 'unaccent');
		CREATE FUNCTION find(c citext DEFAULT 'x'::citext, OUT h hstore) RETURNS hstore LANGUAGE sql STABLE RETURN (SELECT u.attributes || hstore('b', '2') FROM used u WHERE u.name = c LIMIT 1);
		CREATE FUNCTION old_find(c citext) RETURNS SETOF contrib.used LANGUAGE sql AS 'SELECT * FROM contrib.used u WHERE u.name = c::contrib.citext';
		ALTER FUNCTION find(citext) DEPENDS ON EXTENSION hstore;
		CREATE AGGREGATE joined (hstore) (SFUNC = hs_concat, STYPE = hstore, INITCOND = '');
		CREATE TYPE couple AS (c citext, h hstore[]);
		CREATE TYPE pathrange AS RANGE (subtype = ltree);
		CREATE OPERATOR ~~~ (FUNCTION = hs_contains, LEFTARG = hstore, RIGHTARG = hstore, RESTRICT = contsel, JOIN = contjoinsel);
		CREATE VIEW sampled AS SELECT u.*, u.attributes -> 'a' AS a, earth_distance(u.place, ll_to_earth(1, 2)) AS d, similarity(u.secret, 'x') AS s, u.path @> 'a.b'::ltree AS below
			FROM used u TABLESAMPLE system_rows (10) WHERE u.mail = 'X@Y' AND u.path ~ 'a.*'::lquery AND u.tags && '{1}'::int[] AND u.attributes ~~~ 'a=>1'::hstore AND xml_valid('<a/>');
		CREATE VIEW crossed AS SELECT * FROM crosstab('SELECT 1, 2, 3') AS c (a int, b int);
		CREATE MATERIALIZED VIEW counted AS SELECT name, count(*) FROM used GROUP BY name;
		CREATE UNIQUE INDEX ON counted (name);
		CREATE POLICY own_mail ON used FOR SELECT TO app USING (mail <> 'x@y'::citext);
		ALTER TABLE used ENABLE ROW LEVEL SECURITY;
		GRANT SELECT ON used, parted, sampled, crossed, counted TO app;
		RESET ROLE;
		CREATE OPERATOR CLASS by_hash FOR TYPE hstore USING hash AS OPERATOR 1 =, FUNCTION 1 hstore_hash(hstore);
		ALTER OPERATOR CLASS by_hash USING hash OWNER TO model_owner;
		ALTER OPERATOR FAMILY by_hash USING hash OWNER TO model_owner;
		SET ROLE model_owner;
		CREATE INDEX ON used USING hash (attributes by_hash);
		RESET ROLE;
		SELECT tenancy.create_module('main', 'contrib'), tenancy.grant_access('app');
	});
	prove('contrib', 'contrib', 'c-d', 'SELECT 1', 'counted');

	# A plug-in may use them as well.
	$node->safe_psql('contrib', q{
		CREATE SCHEMA plugged AUTHORIZATION model_owner;
		SET ROLE model_owner;
		CREATE TABLE plugged.thing (id uuid PRIMARY KEY REFERENCES contrib.used, name contrib.citext DEFAULT 'Nobody', path contrib.ltree, EXCLUDE USING gist (path WITH OPERATOR(contrib.=)));
		CREATE INDEX ON plugged.thing USING gin ((name::text) contrib.gin_trgm_ops);
		CREATE TEXT SEARCH CONFIGURATION plugged.plain (COPY = pg_catalog.simple);
		ALTER TEXT SEARCH CONFIGURATION plugged.plain ALTER MAPPING FOR word WITH contrib.unaccent, contrib.mine, pg_catalog.simple;
		CREATE TYPE contrib.pair AS (a int);
		CREATE FUNCTION contrib.lt(contrib.pair, contrib.pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a < ($2).a;
		CREATE FUNCTION plugged.gt(contrib.pair, contrib.pair) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).a > ($2).a;
		CREATE OPERATOR contrib.<# (FUNCTION = contrib.lt, LEFTARG = contrib.pair, RIGHTARG = contrib.pair);
		CREATE OPERATOR plugged.># (FUNCTION = plugged.gt, LEFTARG = contrib.pair, RIGHTARG = contrib.pair, COMMUTATOR = OPERATOR(contrib.<#));
		RESET ROLE;
		SELECT tenancy.create_module('plugged', 'plugged'), tenancy.create_tenant('plugged', 'schema'), tenancy.create_tenant('dplugged', 'database');
		SELECT tenancy.install_module('plugged', 'plugged'), tenancy.install_module('dplugged', 'plugged')});
	is($node->safe_psql('contrib', q{SELECT confrelid::regclass FROM pg_constraint WHERE conrelid = 'tenant_plugged_plugin_plugged.thing'::regclass AND contype = 'f'}), 'tenant_plugged.used', 'a plug-in refers to the tenant');
	is($node->safe_psql('contrib', q{SELECT string_agg(DISTINCT mapdict::regdictionary::text, ' ') FROM pg_ts_config_map WHERE mapcfg = 'tenant_plugged_plugin_plugged.plain'::regconfig AND mapdict::regdictionary::text ~ 'un|mine'}),
		'contrib.unaccent tenant_plugged.mine', 'its configuration has the extension\'s dictionary, and the tenant\'s');
	is($node->safe_psql('contrib', 'SELECT * FROM tenancy.drift()'), '', 'drift() has nothing to say');
	my $plugin = definition($node, 'contrib', 'plugged', 'plugged');

	is(differences([ map { s/tenant_plugged\b/contrib/gr } @{ definition($node, 'contrib', 'tenant_plugged_plugin_plugged', 'plugged') } ], $plugin), '', 'the copy of the plug-in is its model');
	is(differences([ grep { $_ ne 'GRANT USAGE ON SCHEMA plugged TO PUBLIC;' } @{ definition($node, 'tenant_dplugged', 'plugged', 'plugged') } ], $plugin), '', '... and so is the one in a database');
	like(join("\n", @$plugin), qr/COMMUTATOR = OPERATOR\(contrib\.<#\)/, '... with an operator that goes together with the main module\'s');
}

# ---------------------------------------------------------------------------
# What came with the versions since 16
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', 'CREATE DATABASE newer');
$node->safe_psql('newer', 'CREATE EXTENSION tenancy; CREATE EXTENSION btree_gist; CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler');
$node->command_ok([ 'psql', '-Xq', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('newer'), '-f', "$FindBin::RealBin/torture_newer.sql" ], 'torture_newer.sql');
$node->safe_psql('newer', q{SELECT tenancy.create_module('main', 'newer'), tenancy.grant_access('app')});
prove('newer', 'newer', 'e-f', 'DROP TABLE IF EXISTS newer.by_method');

# ---------------------------------------------------------------------------
# A database in a tablespace of its own
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', $_) for 'CREATE DATABASE placed TABLESPACE elsewhere', 'GRANT CREATE ON TABLESPACE pg_default TO model_owner';
$node->safe_psql('placed', q{
	CREATE EXTENSION tenancy;
	CREATE SCHEMA placed AUTHORIZATION model_owner;
	SET ROLE model_owner;
	CREATE TABLE placed.here (id int);
	CREATE TABLE placed.there (id int PRIMARY KEY USING INDEX TABLESPACE elsewhere) TABLESPACE pg_default;
	RESET ROLE;
	SELECT tenancy.create_module('main', 'placed')});
$node->safe_psql('placed', q{SELECT tenancy.create_tenant('placed', 'database')});
is($node->safe_psql('placed', q{SELECT t.spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE datname = 'tenant_placed'}), 'elsewhere', q{a tenant's database is where the application's is});
is($node->safe_psql('placed', 'SELECT * FROM tenancy.drift()'), '', 'drift() has nothing to say');
is($node->safe_psql('tenant_placed', 'SELECT slug FROM tenancy.tenant'), 'placed', 'its registry knows the tenant');

$node->stop;
done_testing();
