# pgbench's tables, with the rows of "pgbench -i" in them, become shared ones;
# then several tenants work in them at once, in connections of their own and in
# the same ones.  Each must have the totals of its own work, and of nobody's else.
#
# TAP and not regress, because it takes pgbench, and several of them at once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('pgbench');
my $db = 'bench';
my $dir = $node->basedir;

$node->safe_psql('postgres', $_) for 'CREATE ROLE bench_owner LOGIN', 'CREATE DATABASE bench';
$node->safe_psql($db, 'CREATE EXTENSION tenancy; CREATE SCHEMA bench AUTHORIZATION bench_owner');
{
	local $ENV{PGOPTIONS} = '-c search_path=bench';
	$node->command_ok([ 'pgbench', '-i', '-q', '-s', '1', '-U', 'bench_owner', '--foreign-keys', $db ], 'pgbench -i');
	# some history, which pgbench -i makes none of
	$node->command_ok([ 'pgbench', '-n', '-t', '100', '-U', 'bench_owner', $db ], 'pgbench, while its tables were nobody\'s');
}

my @tables = qw(pgbench_branches pgbench_tellers pgbench_accounts pgbench_history);
my $before = $node->safe_psql($db, 'SELECT count(*), sum(abalance) FROM bench.pgbench_accounts');

# ---------------------------------------------------------------------------
# Protecting tables that hold rows
# ---------------------------------------------------------------------------
$node->safe_psql('postgres', 'ALTER ROLE bench_owner NOLOGIN');
$node->safe_psql($db, q{
	GRANT USAGE ON SCHEMA bench TO app;
	GRANT ALL ON ALL TABLES IN SCHEMA bench TO app;
	SELECT tenancy.create_tenant('acme', 'shared', '00000000-0000-4000-8000-00000000000a');
	SELECT tenancy.grant_access('app');
});
is(sqlstate($node, $db, undef, "SELECT tenancy.protect_table('bench.$_')"), '23502', "$_ holds rows, whose tenant must be named") for @tables;
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.protected_tables}), '0', 'nothing is protected yet');
for my $table (@tables)
{
	$node->safe_psql($db, "SELECT tenancy.protect_table('bench.$table', assign_to => 'acme')");
	is($node->safe_psql($db, "SELECT count(*) FILTER (WHERE tenant_id = '00000000-0000-4000-8000-00000000000a') = count(*) AND count(*) > 0 FROM bench.$table"), 't', "$table: all of its rows are acme's");
}
is($node->safe_psql($db, 'SELECT count(*), sum(abalance) FROM bench.pgbench_accounts'), $before, 'none is lost or changed');

# Keys that lead with the tenant, so that each can have its own account 1.  Not
# as the owner: it is bound by the policies, and so is the check of a new
# foreign key.
$node->safe_psql($db, q{
	SET search_path = bench;
	SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
	FROM pg_constraint WHERE connamespace = 'bench'::regnamespace AND contype = 'f' AND confrelid <> 'tenancy.tenant'::regclass \gexec
	ALTER TABLE pgbench_branches DROP CONSTRAINT pgbench_branches_pkey, ADD PRIMARY KEY (tenant_id, bid);
	ALTER TABLE pgbench_tellers DROP CONSTRAINT pgbench_tellers_pkey, ADD PRIMARY KEY (tenant_id, tid),
		ADD FOREIGN KEY (tenant_id, bid) REFERENCES pgbench_branches;
	ALTER TABLE pgbench_accounts DROP CONSTRAINT pgbench_accounts_pkey, ADD PRIMARY KEY (tenant_id, aid),
		ADD FOREIGN KEY (tenant_id, bid) REFERENCES pgbench_branches;
	ALTER TABLE pgbench_history ADD FOREIGN KEY (tenant_id, aid) REFERENCES pgbench_accounts;
});

# More tenants, the last two with a schema, and rows of theirs with the same keys.
$node->safe_psql($db, q{
	SELECT tenancy.create_module('bench', 'bench');
	SELECT tenancy.create_tenant('hooli', 'shared');
	SELECT tenancy.create_tenant('globex', 'schema');
	SELECT tenancy.create_tenant('umbrella', 'schema');
	SELECT tenancy.create_tenant('idle', 'shared');
});
my @tenants = qw(acme hooli globex umbrella);
for my $tenant (@tenants[ 1 .. 3 ])
{
	$node->safe_psql($db, qq{
		SELECT tenancy.set_tenant('$tenant', false);
		INSERT INTO pgbench_branches (bid, bbalance) VALUES (1, 0);
		INSERT INTO pgbench_tellers (tid, bid, tbalance) SELECT n, 1, 0 FROM generate_series(1, 10) n;
		INSERT INTO pgbench_accounts (aid, bid, abalance) SELECT n, 1, 0 FROM generate_series(1, 2000) n;
	}, extra_params => [ '-U', 'app' ]);
}
$node->safe_psql($db, 'ANALYZE');

# ---------------------------------------------------------------------------
# Work
# ---------------------------------------------------------------------------
# As pgbench's own script, in the context of a tenant; it writes down in its
# history for whom it was meant.
for my $tenant (@tenants)
{
	append_to_file("$dir/$tenant.sql", qq{\\set aid random(1, 2000)
\\set tid random(1, 10)
\\set delta random(-5000, 5000)
BEGIN;
SELECT tenancy.set_tenant('$tenant');
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES (:tid, 1, :aid, :delta, CURRENT_TIMESTAMP, '$tenant');
END;
});
	append_to_file("$dir/$tenant-session.sql", qq{\\set aid random(1, 2000)
\\set delta random(-5000, 5000)
SELECT tenancy.set_tenant('$tenant', false);
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = 1;
UPDATE pgbench_branches SET bbalance = bbalance + :delta;
INSERT INTO pgbench_history (tid, bid, aid, delta, filler) VALUES (1, 1, :aid, :delta, '$tenant');
END;
});
}

# The accounts of a tenant's books: all four must agree.
sub books
{
	my ($tenant) = @_;

	return $node->safe_psql($db, qq{BEGIN; SELECT tenancy.set_tenant('$tenant') \\g /dev/null
		SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),
			(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history),
			(SELECT count(*) FROM pgbench_history), (SELECT string_agg(DISTINCT rtrim(filler), ',') FROM pgbench_history);
		COMMIT}, extra_params => [ '-U', 'app' ]);
}
my %done = (acme => 100);

sub check_books
{
	my ($what) = @_;

	for my $tenant (@tenants)
	{
		my ($accounts, $tellers, $branches, $history, $count, $names) = split /\|/, books($tenant);
		my $sum = defined $history && $history ne '' ? $history : 0;

		is("$accounts $tellers $branches", "$sum $sum $sum", "$what: $tenant\'s books agree");
		is($count, $done{$tenant} // 0, "$what: $tenant has as many entries as transactions") ;
		is($names // '', $done{$tenant} && $count > ($tenant eq 'acme' ? 100 : 0) ? $tenant : '', "$what: $tenant has nobody else's");
	}
}
check_books('before');

# Two tenants at once, each with connections of its own
for my $protocol ('simple', 'extended', 'prepared')
{
	my (%run, %out);

	for my $tenant ('acme', 'hooli')
	{
		$out{$tenant} = '';
		$run{$tenant} = start([ 'pgbench', '-n', '-c', '2', '-j', '2', '-t', '150', '-M', $protocol, '-f', "$dir/$tenant.sql",
			'-d', $node->connstr($db) . ' user=app' ], '<', '/dev/null', '>', \$out{$tenant}, '2>&1');
	}
	for my $tenant ('acme', 'hooli')
	{
		ok(finish($run{$tenant}), "$protocol: pgbench for $tenant") or diag($out{$tenant});
		like($out{$tenant}, qr{number of transactions actually processed: 300/300}, "$protocol: all of $tenant\'s transactions");
		$done{$tenant} += 300;
	}
	check_books("side by side, $protocol");
}

# All tenants in the same connections, in both ways to set a context
for my $protocol ('simple', 'prepared')
{
	for my $kind ('', '-session')
	{
		# one thread: several count a script's transactions without a lock
		my ($out, $err) = run_command([ 'pgbench', '-n', '-c', '4', '-j', '1', '-t', '150', '-M', $protocol,
			(map { ('-f', "$dir/$_$kind.sql") } @tenants), '-d', $node->connstr($db) . ' user=app' ]);
		my @counts = $out =~ /^ - (\d+) transactions/mg;

		like($out, qr{actually processed: 600/600}, "mixed$kind, $protocol: all transactions") or diag($err);
		is(scalar @counts, 4, "mixed$kind, $protocol: of all tenants");
		$done{ $tenants[$_] } += $counts[$_] for 0 .. 3;
		check_books("mixed$kind, $protocol");
	}
}

# A batch job over all tenants, with a transaction for each, as each protocol
# runs it
$node->safe_psql($db, q{
	GRANT SELECT ON tenancy.tenants TO app;
	GRANT CREATE ON SCHEMA public TO app;
});
$node->safe_psql($db, q{
	CREATE PROCEDURE public.sweep() LANGUAGE plpgsql AS $$
	DECLARE
		r record;
		a record;
	BEGIN
		FOR r IN SELECT slug FROM tenancy.tenants WHERE slug <> 'idle' ORDER BY slug LOOP
			PERFORM tenancy.set_tenant(r.slug);
			FOR a IN SELECT aid FROM pgbench_accounts WHERE aid <= 3 LOOP
				UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = a.aid;
			END LOOP;
			UPDATE pgbench_tellers SET tbalance = tbalance + 3 WHERE tid = 1;
			UPDATE pgbench_branches SET bbalance = bbalance + 3;
			INSERT INTO pgbench_history (tid, bid, aid, delta, filler) VALUES (1, 1, 1, 3, r.slug);
			COMMIT;
		END LOOP;
	END $$}, extra_params => [ '-U', 'app' ]);
append_to_file("$dir/sweep.sql", "CALL public.sweep();\n");
for my $protocol ('simple', 'extended', 'prepared')
{
	my ($out, $err) = run_command([ 'pgbench', '-n', '-c', '2', '-j', '2', '-t', '20', '-M', $protocol, '-f', "$dir/sweep.sql", '-d', $node->connstr($db) . ' user=app' ]);

	like($out, qr{actually processed: 40/40}, "sweep, $protocol: all calls") or diag($err);
	$done{$_} += 40 for @tenants;
	check_books("sweep, $protocol");
}

# ---------------------------------------------------------------------------
# Nobody else's
# ---------------------------------------------------------------------------
is(books('idle'), '||||0|', 'a tenant without rows sees none of all that');
my $s = session($node, $db, 'app');
is($s->state('SELECT count(*) FROM bench.pgbench_accounts'), 'TN001', 'without a context there is nothing to see');
$s->rows(q{SELECT tenancy.set_tenant('hooli', false)});
is($s->rows(q{SELECT count(*) FROM pgbench_accounts WHERE tenant_id <> tenancy.current_tenant_id()}), '0', 'nor anything of another tenant with one');
is($s->rows(q{UPDATE pgbench_branches SET bbalance = 0 WHERE tenant_id = '00000000-0000-4000-8000-00000000000a' RETURNING 1}), '', 'nor to change');
is($s->state('TRUNCATE pgbench_history'), '42501', 'TRUNCATE, which "GRANT ALL" gave, is gone');
is($s->rows('SELECT count(*) FROM tenant_globex.pgbench_history'), '0', 'in the schema of another');
$s->quit;
check_books('at the end');

$node->stop;
done_testing();
