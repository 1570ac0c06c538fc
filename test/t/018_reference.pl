# Reference tables while something happens: a synchronization that is stopped,
# at any moment, leaves each tenant's database with the old state or the new
# one, and the next call does the rest.
#
# TAP and not regress, because the tests stop other sessions at a chosen moment,
# end workers and the whole server, and restore a dump.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('reference');
my $db = 'shop';
my @tenants = ('acme', 'hooli', 'zeta');

new_application($node, $db);
$node->safe_psql($db, q{
	CREATE ROLE curator NOLOGIN;
	CREATE SCHEMA global AUTHORIZATION curator;
	GRANT USAGE ON SCHEMA global TO app, shop_owner;
	SET ROLE curator;
	CREATE TABLE global.country (code text PRIMARY KEY, name text NOT NULL UNIQUE);
	CREATE TABLE global.plan (id int PRIMARY KEY, name text NOT NULL, country text REFERENCES global.country);
	INSERT INTO global.country VALUES ('no', 'Norway'), ('fr', 'France');
	INSERT INTO global.plan VALUES (1, 'free', 'no'), (2, 'gold', 'fr'), (3, 'old', NULL);
	GRANT SELECT ON global.country, global.plan TO app;
	GRANT REFERENCES ON global.country, global.plan TO shop_owner;
	RESET ROLE;
	SET ROLE shop_owner;
	CREATE TABLE shop.account (id serial PRIMARY KEY, plan int REFERENCES global.plan, home text REFERENCES global.country ON DELETE SET NULL);
	GRANT SELECT, INSERT, UPDATE, DELETE ON shop.account TO app;
	GRANT USAGE ON SEQUENCE shop.account_id_seq TO app;
	RESET ROLE;
	SELECT * FROM tenancy.protect_module('shop');
	SELECT tenancy.add_reference_table('global.plan'), tenancy.add_reference_table('global.country');
});
$node->safe_psql($db, "SELECT tenancy.create_tenant('$_', 'database')") foreach @tenants;

my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my $sync = q{SELECT tenant, reference_table, altered, inserted, updated, deleted, left(error, 5) FROM tenancy.sync_reference_tables()};

# What the application sees in a tenant's database.
sub plans
{
	my ($tenant) = @_;

	return $node->safe_psql("tenant_$tenant", q{SELECT string_agg(id || p.name || COALESCE(c.code, ''), ' ' ORDER BY id) FROM global.plan p LEFT JOIN global.country c ON c.code = p.country},
		extra_params => [ '-U', 'app' ]);
}

# What is to be seen, as the source has it.
sub source
{
	return $node->safe_psql($db, q{SELECT string_agg(id || p.name || COALESCE(c.code, ''), ' ' ORDER BY id) FROM global.plan p LEFT JOIN global.country c ON c.code = p.country});
}

sub files
{
	return $node->safe_psql($db, q{SELECT count(*) FROM pg_ls_dir('base/pgsql_tmp', true, true) f WHERE f LIKE '%tenancy%'});
}

# A transaction in hooli's database that holds plan 3.
sub holder
{
	my $s = session($node, 'tenant_hooli', 'app');

	$s->rows('BEGIN');
	$s->rows('INSERT INTO account (plan) VALUES (3)');
	return $s;
}

# A call that waits in hooli's database for the holder: acme's has been done.
sub stop_in_hooli
{
	my $caller = session($node, $db);

	$caller->rows(q{SET lock_timeout = '60s'});
	$caller->send($sync);
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'tenancy worker' AND datname = 'tenant_hooli' AND wait_event_type = 'Lock'}) or die 'the worker did not stop';
	return $caller;
}

is(plans($_), source(), "$_: the rows are there from the start") foreach @tenants;
is($node->safe_psql($db, $sync), '', 'nothing to do');

# ---------------------------------------------------------------------------
# Stopped in the middle
# ---------------------------------------------------------------------------
my %blow = (
	'caller cancelled' => sub { $node->safe_psql($db, "SELECT pg_cancel_backend($_[0]->{pid})"); },
	'caller terminated' => sub { $node->safe_psql($db, "SELECT pg_terminate_backend($_[0]->{pid})"); },
	'worker killed' => sub { kill 'KILL', $node->safe_psql($db, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tenancy worker'}); },
	'server stopped' => sub { $node->stop('immediate'); $node->start; },
);
my $n = 0;
foreach my $blow (sort keys %blow)
{
	my $old = plans('hooli');
	my $name = 'gold' . ++$n;

	# plan 3 goes, while a tenant's transaction points at it
	$node->safe_psql($db, qq{BEGIN; DELETE FROM global.plan WHERE id = 3; UPDATE global.plan SET name = '$name' WHERE id = 2;
		INSERT INTO global.country VALUES ('c$n', 'Country $n'); UPDATE global.plan SET country = 'c$n' WHERE id = 1; COMMIT});
	my $holder = holder();
	my $caller = stop_in_hooli();

	is(plans('hooli'), $old, "$blow: readers go on meanwhile, and see the old state");
	$blow{$blow}->($caller);
	like($caller->wait->{state}, qr/^(57014|57P01|)$/, "$blow: the call ends");
	$_->quit for $holder, $caller;
	recovered($node);
	slow($node, $db, $no_worker);
	is(plans('acme'), source(), "$blow: what was done is done");
	is(plans('hooli'), $old, "$blow: what was not finished is as before");
	is(plans('zeta'), $old, "$blow: and so is what was not begun");
	is(files(), '0', "$blow: no files are left");
	is($node->safe_psql($db, $sync),
		join("\n", map { ("$_|global.country|f|1|0|0|", "$_|global.plan|f|0|2|1|") } 'hooli', 'zeta'), "$blow: the next call does the rest");
	is(plans($_), source(), "$blow: $_ is in step") foreach @tenants;
	$node->safe_psql($db, q{INSERT INTO global.plan VALUES (3, 'old', NULL)});
	$node->safe_psql($db, $sync);
}

# ---------------------------------------------------------------------------
# Some cannot, others go on
# ---------------------------------------------------------------------------
{
	my $holder = holder();
	my $caller = session($node, $db);

	$node->safe_psql($db, q{DELETE FROM global.plan WHERE id = 3});
	$caller->rows(q{SET lock_timeout = '100ms'});
	my $r = $caller->query($sync);
	is($r->{rows}, "acme|global.plan|f|0|0|1|\nhooli||||||55P03\nzeta|global.plan|f|0|0|1|", 'a tenant whose lock is in the way is reported');
	like($r->{messages}, qr/WARNING:.*tenant "hooli"/, 'by a warning, too');
	$holder->rows('COMMIT');
	is($caller->rows($sync), 'hooli||||||23503', 'now a row of it points there');
	$holder->rows('DELETE FROM account WHERE plan = 3');
	is($caller->rows($sync), 'hooli|global.plan|f|0|0|1|', 'and then not');

	# A reader's transaction is no obstacle, and goes on seeing one state.
	$holder->rows('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM global.plan');
	my $seen = $holder->rows('SELECT string_agg(name, $$ $$ ORDER BY id) FROM global.plan');
	$node->safe_psql($db, q{UPDATE global.plan SET name = name || '!'});
	is($caller->rows($sync), join("\n", map { "$_|global.plan|f|0|2|0|" } @tenants), 'readers do not hold it up');
	is($holder->rows('SELECT string_agg(name, $$ $$ ORDER BY id) FROM global.plan'), $seen, 'nor it them');
	$holder->rows('COMMIT');
	is(plans('hooli'), source(), 'later they see the new one');

	# Nor are writers that point at rows whose key stays, though all else changes.
	$holder->rows('BEGIN; INSERT INTO account (plan, home) VALUES (1, $$no$$)');
	$node->safe_psql($db, q{UPDATE global.plan SET name = name || '!', country = NULL; UPDATE global.country SET name = 'Noreg' WHERE code = 'no'});
	$caller->rows(q{SET lock_timeout = '60s'});
	$caller->send($sync);
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_locks WHERE mode = 'ExclusiveLock' AND locktype = 'relation' AND NOT granted});
	pass('but where another unique value changes, it waits for them');
	$holder->rows('COMMIT');
	is($caller->wait->{rows}, join("\n", map { ("$_|global.country|f|0|1|0|", "$_|global.plan|f|0|2|0|") } @tenants), 'and goes on');
	is($holder->rows('SELECT home FROM account'), 'no', 'their rows point where they pointed');
	$_->quit for $holder, $caller;
}
{
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('zeta')});
	$node->safe_psql('postgres', q{CREATE DATABASE parked});
	$node->safe_psql($db, q{UPDATE global.plan SET name = 'free' WHERE id = 1});
	$node->safe_psql($db, q{SELECT tenancy.suspend_tenant('hooli')});
	slow($node, $db, $no_worker);
	$node->safe_psql('postgres', q{ALTER DATABASE tenant_hooli RENAME TO elsewhere});
	is($node->safe_psql($db, $sync), "acme|global.plan|f|0|1|0|\nhooli||||||3D000\nzeta|global.plan|f|0|1|0|", 'a database that is missing; one that is suspended');
	$node->safe_psql('postgres', q{ALTER DATABASE elsewhere RENAME TO tenant_hooli});
	$node->safe_psql($db, q{SELECT tenancy.resume_tenant('hooli')});
	$node->safe_psql($db, $sync);
	$node->safe_psql($db, q{SELECT tenancy.resume_tenant('zeta')});
	is(plans($_), source(), "$_ is in step") foreach @tenants;
}

# A database that is being made has got the rows of before, and nobody else sees it yet.
{
	my $maker = session($node, $db);

	$maker->rows(q{BEGIN; SELECT tenancy.create_tenant('late', 'database')});
	$node->safe_psql($db, q{INSERT INTO global.plan VALUES (4, 'newer', NULL)});
	is($node->safe_psql($db, $sync), join("\n", map({ "$_|global.plan|f|1|0|0|" } @tenants), 'tenant_late||||||55006'), 'a database that is being made is reported');
	$maker->rows('COMMIT');
	is($node->safe_psql($db, $sync), 'late|global.plan|f|1|0|0|', 'and is synchronized when it is there');
	is(plans('late'), source(), 'late is in step');
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant('late', true); DELETE FROM global.plan WHERE id = 4});
	$node->safe_psql($db, $sync);
	$maker->quit;
}

# Two calls at once: the second one waits for the first.
{
	my $holder = holder_of_new();
	my $caller = stop_in_hooli();
	my $second = session($node, $db);

	$second->send($sync);
	slow($node, $db, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND wait_event_type = 'Lock' AND query LIKE '%sync_reference%'})
		or die 'the second call did not wait';
	$holder->rows('ROLLBACK');
	is($caller->wait->{rows}, join("\n", map { "$_|global.plan|f|0|0|1|" } @tenants), 'the first of two calls does it');
	is($second->wait->{rows}, '', 'the second one has nothing to do');
	$_->quit for $holder, $caller, $second;
}

sub holder_of_new
{
	$node->safe_psql($db, q{INSERT INTO global.plan VALUES (3, 'old', NULL)});
	$node->safe_psql($db, $sync);
	my $s = holder();
	$node->safe_psql($db, q{DELETE FROM global.plan WHERE id = 3});
	return $s;
}

# ---------------------------------------------------------------------------
# Code that somebody planted has its owner's rights, here as anywhere
# ---------------------------------------------------------------------------
$node->safe_psql('tenant_acme', q{
	CREATE TABLE public.seen (who text, super boolean, what text);
	GRANT INSERT ON public.seen TO PUBLIC;
	CREATE FUNCTION public.plant() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			INSERT INTO public.seen SELECT current_user, rolsuper, tg_table_name FROM pg_roles WHERE rolname = current_user;
			BEGIN
				EXECUTE 'SET ROLE postgres';
				INSERT INTO public.seen VALUES ('escaped', true, tg_table_name);
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
			RETURN NULL;
		END$$;
	CREATE TRIGGER plant AFTER INSERT OR UPDATE OR DELETE ON global.country FOR EACH STATEMENT EXECUTE FUNCTION public.plant();
	ALTER TABLE global.country ENABLE ALWAYS TRIGGER plant;
	CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON shop.account DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.plant();
	CREATE FUNCTION public.plant(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN
			IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE 'planted code runs as a superuser'; END IF;
			RETURN $1;
		END$$;
	CREATE INDEX ON global.country (public.plant(name));
});
$node->safe_psql('tenant_acme', q{INSERT INTO account (plan, home) VALUES (1, 'fr')}, extra_params => [ '-U', 'app' ]);
$node->safe_psql($db, q{DELETE FROM global.country WHERE code = 'fr'; INSERT INTO global.country VALUES ('se', 'Sweden')});
$node->safe_psql($db, q{ALTER TABLE global.country ALTER name TYPE varchar(50)});
is($node->safe_psql($db, $sync), join("\n", map { "$_|global.country|t|1|0|1|" } @tenants), 'rows go and come');
is($node->safe_psql('tenant_acme', q{SELECT DISTINCT who, super, what FROM public.seen ORDER BY 1, 3}), "curator|f|country\nshop_owner|f|account", "triggers have the rights of the tables' owners");
is($node->safe_psql('tenant_acme', q{SELECT home FROM account WHERE plan = 1}, extra_params => [ '-U', 'app' ]), '', "the foreign key's action was done");

# ---------------------------------------------------------------------------
# A new one, and a migration that points at it
# ---------------------------------------------------------------------------
is(sqlstate($node, $db, undef, q{BEGIN; CREATE TABLE global.tax (id int PRIMARY KEY); ALTER TABLE global.tax OWNER TO curator;
	SELECT tenancy.add_reference_table('global.tax'); SELECT tenancy.create_tenant('late', 'database')}), '40P01', 'a table that has not committed');
slow($node, $db, $no_worker);
is(leftovers($node, $db), '', 'leaves nothing behind');
$node->safe_psql($db, q{
	SET ROLE curator; CREATE TABLE global.tax (id int PRIMARY KEY, rate numeric); INSERT INTO global.tax VALUES (1, 25);
	GRANT SELECT ON global.tax TO app; GRANT REFERENCES ON global.tax TO shop_owner; RESET ROLE;
	SELECT tenancy.add_reference_table('global.tax');
	SELECT tenancy.add_migration(1, 'ALTER TABLE account ADD tax int DEFAULT 1 REFERENCES global.tax', module => 'shop');
});
is(sqlstate($node, $db, undef, 'CALL tenancy.migrate()'), '55000', 'tenants\' databases have not got it yet');
is($node->safe_psql($db, $sync), join("\n", map { "$_|global.tax|t|1|0|0|" } @tenants), 'now they have');
is(sqlstate($node, $db, undef, 'CALL tenancy.migrate()'), '00000', 'and can be migrated');
is($node->safe_psql("tenant_$_", q{INSERT INTO account (plan) VALUES (2) RETURNING tax}, extra_params => [ '-U', 'app' ]), '1', "$_: its rows point there") foreach @tenants;
is(sqlstate($node, 'tenant_acme', 'app', q{INSERT INTO account (tax) VALUES (2)}), '23503', 'and nowhere else');

# ---------------------------------------------------------------------------
# Spares: a tenant made of one has the rows of now
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT tenancy.set_spares('database', 3)});
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
my $ready = q{SELECT ready FROM tenancy.spares WHERE mode = 'database'};
is($node->safe_psql($db, $ready), '3', 'spares are made');
$node->safe_psql($db, q{UPDATE global.plan SET name = name || '?'});
is($node->safe_psql($db, "SELECT count(*) FROM tenancy.sync_reference_tables() WHERE updated = 2 AND error IS NULL"), '6', 'they are synchronized like tenants');
{
	my $digest = $node->safe_psql($db, q{SELECT DISTINCT reference_digest FROM tenancy.spare});

	isnt($digest, '', 'it is known with what');
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('spare1', 'database')});
	is(plans('spare1'), source(), 'a tenant of a spare that was in step');
	$node->safe_psql($db, q{INSERT INTO global.plan VALUES (9, 'newer', NULL)});
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('spare2', 'database')});
	is(plans('spare2'), source(), 'and of one that was not');
	is($node->safe_psql($db, q{SELECT DISTINCT reference_digest FROM tenancy.spare}), $digest, 'the last one is as it was');
	# in a transaction that does not commit, the spare stays one
	$node->safe_psql($db, q{BEGIN; SELECT tenancy.create_tenant('spare3', 'database'); ROLLBACK});
	is($node->safe_psql($db, $ready), '1', 'a rollback gives it back');
	$node->safe_psql($db, q{SELECT tenancy.create_tenant('spare3', 'database')});
	is(plans('spare3'), source(), 'a tenant of that one');
	is($node->safe_psql($db, $ready), '0', 'no spare is left');
}
slow($node, $db, q{SELECT count(*) = 0 FROM tenancy.pending_database});
$node->safe_psql($db, q{SELECT tenancy.set_spares('database', 0); SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants WHERE slug LIKE 'spare%'; DELETE FROM global.plan WHERE id = 9});
slow($node, $db, $no_worker);
$node->safe_psql($db, $sync);

# ---------------------------------------------------------------------------
# One is dropped while somebody waits for it
# ---------------------------------------------------------------------------
$node->safe_psql($db, qq{SET ROLE curator; CREATE TABLE global.gone$_ (id int PRIMARY KEY); RESET ROLE; SELECT tenancy.add_reference_table('global.gone$_')}) for 1 .. 3;
$node->safe_psql($db, $sync);
{
	my ($caller, $other) = map { session($node, $db) } 1, 2;
	my $waits = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query ~ '^SELECT .*(create_tenant|sync_reference)' AND wait_event_type = 'Lock'};

	$other->rows('BEGIN; DROP TABLE global.gone2');
	$caller->send(q{SELECT tenancy.create_tenant('meanwhile', 'database')});
	slow($node, $db, $waits) or die 'does not wait';
	$other->rows('COMMIT');
	is($caller->wait->{state}, '00000', 'a database is created while a reference table is dropped');
	$other->rows('BEGIN; LOCK TABLE global.gone1');
	$caller->send('SELECT * FROM tenancy.sync_reference_tables()');
	slow($node, $db, $waits) or die 'does not wait';
	$node->safe_psql($db, 'DROP TABLE global.gone3');
	$other->rows('COMMIT');
	is($caller->wait->{state}, '00000', 'and so are the copies brought in step');
	$_->quit foreach $caller, $other;
}
$node->safe_psql($db, q{SELECT tenancy.drop_tenant('meanwhile', true); DROP TABLE global.gone1});
$node->safe_psql($db, 'DELETE FROM tenancy.reference_table r WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relation)');
slow($node, $db, $no_worker);
$node->safe_psql($db, $sync);

# ---------------------------------------------------------------------------
# A dump
# ---------------------------------------------------------------------------
my $dump = $node->basedir . '/shop.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr($db) ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored'), $dump ], 'restore');
is($node->safe_psql('restored', 'SELECT relation FROM tenancy.reference_table ORDER BY relation::text'),
	"global.country\nglobal.plan\nglobal.tax", 'the registry comes back');
is($node->safe_psql('restored', "SELECT tenant, left(error, 5) FROM tenancy.sync_reference_tables()"), join("\n", map { "$_|55000" } @tenants), "a copy leaves the original's databases alone");
$dump = $node->basedir . '/acme.dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('tenant_acme') ], 'dump of a tenant');
$node->safe_psql('postgres', q{DROP DATABASE tenant_acme});
$node->safe_psql('postgres', q{CREATE DATABASE tenant_acme});
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('tenant_acme'), $dump ], 'and back');
$node->safe_psql('postgres', "ALTER DATABASE tenant_acme SET tenancy.application_database = '" . $node->safe_psql($db, 'SELECT oid FROM pg_database WHERE datname = current_database()') . "'");
is($node->safe_psql($db, $sync), '', 'nothing differs');
$node->safe_psql($db, q{UPDATE global.plan SET name = 'more' WHERE id = 1});
is($node->safe_psql($db, $sync), join("\n", map { "$_|global.plan|f|0|1|0|" } @tenants), 'and it goes on');

$node->stop;
done_testing();
