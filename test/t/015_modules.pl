# Plug-ins in all that moves, keeps or copies a tenant: their rows come along with
# the main module's, nobody else's do, and what is stopped leaves all or nothing.
#
# TAP and not regress, because of tenants' databases, files, and the server's crash.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('modules', 'checkpoint_timeout = 1h');
my $db = 'shop';
my $dir = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', "CREATE DATABASE $db");
$node->safe_psql($db, q{
	CREATE EXTENSION tenancy;
	CREATE ROLE crm_owner NOLOGIN;
	CREATE SCHEMA shop AUTHORIZATION shop_owner;
	CREATE SCHEMA crm AUTHORIZATION shop_owner;
	CREATE SCHEMA tickets AUTHORIZATION crm_owner;
	GRANT USAGE ON SCHEMA shop TO app, crm_owner;
	GRANT USAGE ON SCHEMA crm, tickets TO app;
	SET ROLE shop_owner;
	CREATE TYPE shop.mood AS ENUM ('sad', 'fine');
	CREATE TABLE shop.customer (id int GENERATED ALWAYS AS IDENTITY, name text NOT NULL, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, id));
	-- the same names as in the main module, its types, its rows
	CREATE FUNCTION crm.planted(text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			IF current_setting('session_replication_role') = 'replica' AND (current_user <> 'shop_owner' OR session_user = 'shop_owner') THEN
				RAISE 'planted code runs as %', current_user;
			END IF;
			IF current_setting('session_replication_role') = 'replica' THEN
				PERFORM pg_advisory_xact_lock_shared(4711);
			END IF;
			RETURN true;
		END$$;
	CREATE TYPE crm.rank AS ENUM ('low', 'high');
	CREATE TABLE crm.lead (id bigserial, customer int, feels shop.mood, felt shop.mood[], rank crm.rank, note text CHECK (crm.planted(note)), tenant_id uuid NOT NULL,
		PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, customer) REFERENCES shop.customer);
	CREATE TABLE crm.history (n int, what text, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, n)) PARTITION BY RANGE (n);
	CREATE TABLE crm.history_low PARTITION OF crm.history FOR VALUES FROM (0) TO (50);
	CREATE TABLE crm.history_high PARTITION OF crm.history FOR VALUES FROM (50) TO (1000);
	GRANT REFERENCES, SELECT ON shop.customer TO crm_owner;
	RESET ROLE;
	SET ROLE crm_owner;
	CREATE TABLE tickets.ticket (n int, customer int, what text, tenant_id uuid NOT NULL, PRIMARY KEY (tenant_id, n),
		FOREIGN KEY (tenant_id, customer) REFERENCES shop.customer);
	RESET ROLE;
	SELECT tenancy.create_module('shop', 'shop');
	SELECT tenancy.create_module('crm', 'crm');
	SELECT tenancy.create_module('tickets', 'tickets');
	SELECT * FROM tenancy.protect_module('shop');
	SELECT * FROM tenancy.protect_module('crm');
	SELECT * FROM tenancy.protect_module('tickets');
	SET ROLE shop_owner;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm TO app;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA crm TO app;
	SET ROLE crm_owner;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tickets TO app;
	RESET ROLE;
	SELECT tenancy.grant_access('app');
	SELECT tenancy.create_tenant('acme'), tenancy.create_tenant('other'), tenancy.create_tenant('plain');
	SELECT tenancy.install_module(t, m) FROM unnest('{acme,other}'::text[]) t, unnest('{crm,tickets}'::text[]) m;
});
$node->safe_psql($db, $_, extra_params => [ '-U', 'app' ]) foreach map { qq{
	BEGIN;
	SELECT tenancy.set_tenant('$_');
	INSERT INTO customer (name) SELECT '$_' || n FROM generate_series(1, 100) n;
	INSERT INTO lead (customer, feels, felt, rank, note) SELECT id, 'sad', '{fine,sad}', 'high', E'$_\\t\\n' || id FROM customer;
	INSERT INTO history SELECT n, '$_' FROM generate_series(1, 100) n;
	INSERT INTO ticket SELECT row_number() OVER (), id, '$_' FROM customer;
	COMMIT;
} } 'acme', 'other';

my $no_worker = q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'};
my $acme = $node->safe_psql($db, q{SELECT id FROM tenancy.tenant WHERE slug = 'acme'});

# What a tenant sees of itself, as the application does.
sub rows_of
{
	my ($tenant) = @_;
	my $where = $node->safe_psql($db, "SELECT tenancy.tenant_database('$tenant')");

	return $node->safe_psql($where, qq{
		BEGIN;
		SELECT FROM tenancy.set_tenant('$tenant');
		SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM customer
		UNION ALL SELECT count(*), md5(string_agg(concat(id, customer, feels, felt, rank, note), ',' ORDER BY id)) FROM lead
		UNION ALL SELECT count(*), md5(string_agg(n || what, ',' ORDER BY n)) FROM history
		UNION ALL SELECT count(*), md5(string_agg(concat(n, customer, what), ',' ORDER BY n)) FROM ticket;
		COMMIT;
	}, extra_params => [ '-U', 'app' ]);
}
my %rows = map { $_ => rows_of($_) } 'acme', 'other';
like($rows{acme}, qr/^(100\|\w{32}\n?){4}$/, 'rows in all modules');

# It is there, with the modules that it has, and nothing of it is anywhere else.
sub is_whole
{
	my ($mode, $what) = @_;
	my $place = $mode eq 'database' ? 'tenant_acme' : $db;

	is($node->safe_psql($db, q{SELECT mode || ' ' || status FROM tenancy.tenant WHERE slug = 'acme'}), "$mode active", "$what: in mode $mode");
	is(rows_of('acme'), $rows{acme}, "$what: with all its rows");
	is(rows_of('other'), $rows{other}, "$what: and so is another tenant");
	is($node->safe_psql($place, q{BEGIN; SELECT FROM tenancy.set_tenant('acme');
		INSERT INTO lead (customer) SELECT min(id) FROM customer RETURNING id > (SELECT max(id) FROM lead); ROLLBACK},
		extra_params => [ '-U', 'app' ]), 't', "$what: numbers go on");
	is(sqlstate($node, $place, 'app', q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); INSERT INTO lead (customer) VALUES (-1)}),
		'23503', "$what: foreign keys to the main module hold");
	is($node->safe_psql($db, qq{
		SELECT (SELECT count(*) FROM tenancy.move), (SELECT count(*) FROM tenancy.pending_database),
			(SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'tenant_acme%'),
			(SELECT count(*) FROM shop.customer WHERE tenant_id = '$acme') || ' ' || (SELECT count(*) FROM crm.lead WHERE tenant_id = '$acme')
				|| ' ' || (SELECT count(*) FROM crm.history WHERE tenant_id = '$acme') || ' ' || (SELECT count(*) FROM tickets.ticket WHERE tenant_id = '$acme'),
			(SELECT string_agg(module, ' ' ORDER BY module) FROM tenancy.module_copy WHERE tenant_id = '$acme'),
			(SELECT count(*) FROM pg_database WHERE datname = 'tenant_acme')}),
		{ shared => '0|0||100 100 100 100||0',
		  schema => '0|0|tenant_acme tenant_acme_plugin_crm tenant_acme_plugin_tickets|0 0 0 0|crm shop tickets|0',
		  database => '0|0||0 0 0 0|crm shop tickets|1' }->{$mode}, "$what: and nothing elsewhere");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'),
		'', "$what: there is nothing to repair, and no drift");
	return;
}

# ---------------------------------------------------------------------------
# Moves, every way there is
# ---------------------------------------------------------------------------
foreach my $to ('schema', 'database', 'shared', 'database', 'schema', 'shared')
{
	$node->safe_psql($db, "CALL tenancy.move_tenant('acme', '$to')");
	slow($node, $db, $no_worker);
	is_whole($to, "moved to $to");
}
# online: a writer goes on in all modules, whoever owns them
foreach my $to ('schema', 'shared')
{
	my $from = $to eq 'schema' ? 'crm' : 'tenant_acme_plugin_crm';
	my ($keeper, $caller) = map { session($node, $db) } 1 .. 2;
	my $app = session($node, $db, 'app');

	$keeper->rows('SELECT pg_advisory_lock(4711)');
	$caller->send("CALL tenancy.move_tenant('acme', '$to', online => true)");
	slow($node, $db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'})
		or die 'no rows are copied';
	is($app->state(q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); INSERT INTO customer (name) VALUES ('new');
		INSERT INTO lead (customer, feels, note) SELECT max(id), 'fine', 'new' FROM customer;
		UPDATE lead SET rank = 'low' WHERE customer = (SELECT min(id) FROM customer);
		DELETE FROM lead WHERE id = (SELECT min(id) + 10 FROM lead);
		UPDATE history SET n = n + 100 WHERE n = (SELECT min(n) FROM history);
		INSERT INTO ticket SELECT -max(id), max(id), 'new' FROM customer;
		DELETE FROM ticket WHERE customer = (SELECT max(id) - 1 FROM customer) AND what <> 'new'; COMMIT}), '00000', "online to $to: a writer goes on");
	my $seen = q{BEGIN; SELECT FROM tenancy.set_tenant('acme');
		SELECT md5(string_agg(concat(id, customer, feels, felt, rank, note), ',' ORDER BY id)), (SELECT string_agg(n::text, ',' ORDER BY n) FROM history),
			(SELECT string_agg(concat(n, ' ', customer), ',' ORDER BY n) FROM ticket) FROM lead; COMMIT};
	my $expected = $app->rows($seen);
	$keeper->rows('SELECT pg_advisory_unlock_all()');
	is($caller->wait->{state}, '00000', "online to $to: it has moved");
	is($app->rows($seen), $expected, "online to $to: with what was written meanwhile");
	is(rows_of('other'), $rows{other}, "online to $to: another tenant has its rows");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'),
		'', "online to $to: there is nothing to repair");
	$_->quit for $keeper, $caller, $app;
}
# a row to which one of another owner's plug-in refers goes away, past all triggers
{
	my ($keeper, $caller) = map { session($node, $db) } 1 .. 2;

	$node->safe_psql($db, q{BEGIN; SELECT FROM tenancy.set_tenant('acme'); INSERT INTO customer (name) VALUES ('gone');
		INSERT INTO ticket SELECT 1000, max(id), 'dangling' FROM customer; COMMIT}, extra_params => [ '-U', 'app' ]);
	$keeper->rows('SELECT pg_advisory_lock(4711)');
	$caller->send(q{CALL tenancy.move_tenant('acme', 'schema', online => true)});
	slow($node, $db, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND wait_event_type = 'Lock'})
		or die 'no rows are copied';
	$node->safe_psql($db, q{SET session_replication_role = replica; DELETE FROM shop.customer WHERE name = 'gone'});
	$keeper->rows('SELECT pg_advisory_unlock_all()');
	my $result = $caller->wait;
	is($result->{state}, '23503', 'online: a row that refers to none is noticed, in whosever table');
	like($result->{messages}, qr/table "ticket" violate foreign key constraint "ticket_tenant_id_customer_fkey"/, 'and named');
	$_->quit for $keeper, $caller;
	slow($node, $db, $no_worker);
	$node->safe_psql($db, q{DELETE FROM tickets.ticket WHERE what = 'dangling'});
}
$node->safe_psql($db, q{SELECT tenancy.uninstall_module('acme', 'tickets', true)});

# ---------------------------------------------------------------------------
# Rows in tables of a plug-in that the tenant has not
# ---------------------------------------------------------------------------
foreach my $mode ('shared', 'database')
{
	my $place = $mode eq 'database' ? 'tenant_plain' : $db;

	$node->safe_psql($db, "CALL tenancy.move_tenant('plain', '$mode')");
	slow($node, $db, $no_worker);
	$node->safe_psql($place, q{BEGIN; SELECT FROM tenancy.set_tenant('plain'); INSERT INTO crm.history VALUES (1, 'stray'); COMMIT},
		extra_params => [ '-U', 'app' ]);
	is(sqlstate($node, $db, undef, q{CALL tenancy.move_tenant('plain', 'schema')}), '55000', "$mode: a stray row is not left behind");
	is(sqlstate($node, $db, undef, "SELECT tenancy.export_tenant('plain', '$dir/plain')"), '55000', "$mode: nor left out");
	slow($node, $db, $no_worker);
	is($node->safe_psql($db, q{SELECT mode || ' ' || status FROM tenancy.tenant WHERE slug = 'plain'}), "$mode active", "$mode: it has not moved");
	$node->safe_psql($place, q{BEGIN; SELECT FROM tenancy.set_tenant('plain'); DELETE FROM crm.history; COMMIT}, extra_params => [ '-U', 'app' ]);
}

# ---------------------------------------------------------------------------
# Plug-ins of a tenant with a database
# ---------------------------------------------------------------------------
sub path { return $node->safe_psql('tenant_plain', 'SELECT current_schemas(false)', extra_params => [ '-U', 'app' ]); }

is(path(), '{shop,public}', 'a database without plug-ins');
$node->safe_psql($db, q{BEGIN; SELECT tenancy.install_module('plain', 'crm'); ROLLBACK});
is(path(), '{shop,public}', 'a rollback leaves it without');
$node->safe_psql($db, q{SELECT tenancy.install_module('plain', 'crm')});
slow($node, $db, $no_worker);
is(path(), '{shop,crm,public}', 'installed, it is on the path of new sessions');
is($node->safe_psql('tenant_plain', q{BEGIN; SELECT FROM tenancy.set_tenant('plain'); SELECT current_schemas(false); INSERT INTO lead (note) VALUES ('x') RETURNING note; COMMIT},
	extra_params => [ '-U', 'app' ]), "{shop,crm,public}\nx", 'and of set_tenant()');
is(sqlstate($node, $db, undef, q{SELECT tenancy.install_module('plain', 'crm')}), '42710', 'not twice');
is(sqlstate($node, $db, undef, q{SELECT tenancy.uninstall_module('plain', 'crm')}), '55000', 'rows keep it');
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.tenant_module i JOIN tenancy.tenant t ON t.id = tenant_id WHERE slug = 'plain'}), 1, 'and nothing has changed');
$node->safe_psql($db, q{SELECT tenancy.uninstall_module('plain', 'crm', true)});
slow($node, $db, $no_worker);
is(path(), '{shop,public}', 'taken back by force');
is($node->safe_psql('tenant_plain', q{SELECT (SELECT count(*) FROM crm.lead), (SELECT count(*) FROM tenancy.tenant_module)}), '0|0', 'with its rows');
is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'), '', 'nothing to repair');

# one that is newer than the database
$node->safe_psql($db, q{
	CREATE SCHEMA late AUTHORIZATION shop_owner;
	SET ROLE shop_owner;
	CREATE TABLE late.thing (n int PRIMARY KEY, customer int, tenant_id uuid NOT NULL, FOREIGN KEY (tenant_id, customer) REFERENCES shop.customer);
	GRANT USAGE ON SCHEMA late TO app;
	GRANT SELECT, INSERT ON late.thing TO app;
	RESET ROLE;
	SELECT tenancy.create_module('late', 'late');
	SELECT tenancy.protect_module('late');
	SELECT tenancy.add_migration(1, 'ALTER TABLE thing ADD COLUMN more int', 'more', 'late');
});
$node->safe_psql($db, q{BEGIN; SELECT tenancy.install_module('plain', 'late'); ROLLBACK});
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.module_copy WHERE module = 'late'}), 0, 'newer than the database, rolled back');
$node->safe_psql($db, q{CALL tenancy.migrate('late')});
$node->safe_psql($db, q{SELECT tenancy.install_module('plain', 'late')});
slow($node, $db, $no_worker);
is($node->safe_psql($db, q{SELECT state, pending FROM tenancy.migration_status WHERE tenant = 'plain' AND module = 'late'}), 'pending|1',
	'what was left of that is found, at its level');
$node->safe_psql($db, q{CALL tenancy.migrate('late')});
is($node->safe_psql('tenant_plain', q{INSERT INTO thing VALUES (1, NULL) RETURNING more IS NULL}, extra_params => [ '-U', 'app' ]), 't', 'migrations reach it');
is($node->safe_psql($db, q{SELECT * FROM tenancy.drift('plain')}), '', 'it is as the model');
$node->safe_psql($db, q{CALL tenancy.move_tenant('plain', 'schema')});
slow($node, $db, $no_worker);
is($node->safe_psql($db, q{SELECT count(*) FROM tenant_plain_plugin_late.thing}), 1, 'and moves with the tenant');

# ---------------------------------------------------------------------------
# Files and copies
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT tenancy.install_module('acme', 'tickets')});
$node->safe_psql($db, q{BEGIN; SELECT tenancy.set_tenant('acme'); INSERT INTO ticket SELECT n, (SELECT min(id) FROM customer), 'again' FROM generate_series(1, 10) n; COMMIT},
	extra_params => [ '-U', 'app' ]);
$rows{acme} = rows_of('acme');
my $from = 'shared';
foreach my $mode ('schema', 'database', 'shared')
{
	my $manifest = decode_json($node->safe_psql($db, "SELECT tenancy.export_tenant('acme', '$dir/$mode')"));

	is(join(' ', map { "$_->{name} " . ($_->{version} // 'none') } @{ $manifest->{modules} }), 'shop none crm none tickets none', "from $from: the manifest has all modules");
	is(join(' ', map { "$_->{module}.$_->{table} $_->{rows}" } @{ $manifest->{tables} }),
		join(' ', map { my ($table, $n) = @$_; "$table $n" } [ 'shop.customer', (split /\|/, (split /\n/, $rows{acme})[0])[0] ],
			[ 'crm.history', 100 ], [ 'crm.lead', (split /\|/, (split /\n/, $rows{acme})[1])[0] ], [ 'tickets.ticket', 10 ]), "from $from: with all tables");
	is($node->safe_psql($db, "SELECT tenancy.copy_tenant('acme', 'copy', '$mode') <> '$acme'"), 't', "copied to $mode");
	slow($node, $db, $no_worker);
	is(rows_of('copy'), $rows{acme}, "copied to $mode: all rows");
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant('copy', true)});
	$node->safe_psql($db, q{SELECT tenancy.drop_tenant('acme', true)});
	slow($node, $db, $no_worker);
	$node->safe_psql($db, "SELECT tenancy.import_tenant('$dir/$mode', mode => '$mode')");
	slow($node, $db, $no_worker);
	is($node->safe_psql($db, q{SELECT id, mode FROM tenancy.tenant WHERE slug = 'acme'}), "$acme|$mode", "imported to $mode: with its id");
	is(rows_of('acme'), $rows{acme}, "imported to $mode: all rows");
	is(rows_of('other'), $rows{other}, "imported to $mode: nobody else's");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair() UNION ALL SELECT tenant, object, difference FROM tenancy.drift()'),
		'', "imported to $mode: nothing to repair");
	$from = $mode;
}

# what does not fit
sub tampered
{
	my ($what, $change) = @_;
	my $manifest = decode_json(slurp_file("$dir/schema/manifest.json"));

	system('rm', '-rf', "$dir/bad");
	system('cp', '-r', "$dir/schema", "$dir/bad");
	$change->($manifest);
	unlink "$dir/bad/manifest.json";
	append_to_file("$dir/bad/manifest.json", encode_json($manifest));
	foreach my $mode ('shared', 'schema', 'database')
	{
		is(sqlstate($node, $db, undef, "SELECT tenancy.import_tenant('$dir/bad', 'bad', '$mode')"), '22023', "$what: not into mode $mode");
	}
	slow($node, $db, $no_worker);
	is($node->safe_psql($db, q{SELECT (SELECT count(*) FROM tenancy.tenant WHERE slug = 'bad'), (SELECT count(*) FROM pg_database WHERE datname = 'tenant_bad'),
		(SELECT count(*) FROM tenancy.pending_database), (SELECT count(*) FROM tenancy.tenant_module WHERE tenant_id NOT IN (SELECT id FROM tenancy.tenant))}),
		'0|0|0|0', "$what: nothing is left");
	return;
}
tampered('an unknown module', sub { $_[0]{modules}[1]{name} = 'pg_catalog' });
tampered('no main module', sub { shift @{ $_[0]{modules} } });
tampered('a module less', sub { pop @{ $_[0]{modules} } });
tampered('another version', sub { $_[0]{modules}[1]{version} = 7 });
tampered('a table of another module', sub { $_[0]{tables}[1]{module} = 'tickets' });
tampered('a table of a module that it has not', sub { $_[0]{tables}[1]{module} = 'late' });
tampered('another number of rows in a plug-in', sub { $_[0]{tables}[2]{rows}++ });

# ---------------------------------------------------------------------------
# An import into a database that is stopped
# ---------------------------------------------------------------------------
foreach my $blow ('cancelled', 'worker terminated', 'crash')
{
	my $caller = session($node, $db);
	my $importing = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'tenancy worker' AND datname = 'tenant_half' AND query ~ 'import_tables'};

	# the gate is in each database by itself: nobody but a superuser's worker is let in
	$node->safe_psql($db, q{SET ROLE shop_owner; CREATE OR REPLACE FUNCTION crm.planted(text) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN IF current_setting('session_replication_role') = 'replica' THEN PERFORM pg_sleep(0.02); END IF; RETURN true; END$$});
	$caller->send("SELECT tenancy.import_tenant('$dir/schema', 'half', 'database')");
	slow($node, $db, "SELECT count(*) = 1 FROM ($importing) i") or die 'no rows are loaded';
	is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.tenant WHERE slug = 'half'}), 0, "$blow: nobody sees it yet");
	isnt($node->psql('tenant_half', 'SELECT 1', extra_params => [ '-U', 'app' ]), 0, "$blow: nobody is let in");
	if ($blow eq 'crash')
	{
		$node->stop('immediate');
		$caller->quit;
		$node->start;
		like($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), qr/work on it was begun and not finished\|finished or undone/, "$blow: repair() knows");
	}
	else
	{
		$node->safe_psql($db, $blow eq 'cancelled' ? "SELECT pg_cancel_backend($caller->{pid})" : "SELECT pg_terminate_backend(pid) FROM ($importing) i");
		like($caller->wait->{state}, qr/^(57014|57P01|55000)$/, "$blow: an error");
		$caller->quit;
	}
	slow($node, $db, $no_worker);
	is(state_of($node, $db, 'half'), 'no tenant, no database', "$blow: nothing is left");
	is(leftovers($node, $db), '', "$blow: nowhere");
	is($node->safe_psql($db, 'SELECT * FROM tenancy.repair()'), '', "$blow: nothing to repair");
}
$node->safe_psql($db, "SELECT tenancy.import_tenant('$dir/schema', 'half', 'database')");
is(rows_of('half'), $rows{acme}, 'again, it is all there');
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.check_isolation() WHERE severity = 'error'}), '0', 'and all is well');
is(join(' ', glob $node->data_dir . '/base/pgsql_tmp/*'), '', 'no file is left');

$node->stop;
done_testing();
