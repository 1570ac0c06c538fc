# Two-phase commit: the context ends with PREPARE TRANSACTION, what was written
# is its tenant's whoever commits it, and locks and deferred work of one tenant
# are not another's.
#
# TAP and not regress, because it takes a server with max_prepared_transactions.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('prepared', 'max_prepared_transactions = 5');
my $db = 'shop';
new_application($node, $db);
$node->safe_psql($db, q{
	SELECT tenancy.create_tenant('acme');
	SELECT tenancy.create_tenant('hooli');
	SELECT tenancy.create_tenant('globex', 'schema');
	SELECT tenancy.grant_access('clerk', 'hooli');
});

for my $how ('shared', 'schema')
{
	my $tenant = $how eq 'shared' ? 'acme' : 'globex';
	my $s = session($node, $db, 'app');

	$s->rows("BEGIN; SELECT tenancy.set_tenant('$tenant'); INSERT INTO notes (note) VALUES ('prepared of $tenant')");
	is($s->state('PREPARE TRANSACTION \'one\''), '00000', "$how: a transaction with a context can be prepared");
	is($s->rows('SELECT tenancy.current_tenant()'), '', "$how: which ends the context");
	is($s->state('SELECT * FROM shop.notes'), 'TN001', "$how: with no rows after that");

	# another tenant, in the same session: not bound to the one that was prepared
	is($s->rows(q{BEGIN; SELECT tenancy.set_tenant('hooli') \g /dev/null
		SELECT count(*) FROM notes}), '0', "$how: another tenant can be acted for, and sees nothing of it");
	is($s->state(q{INSERT INTO notes (note) VALUES ('hooli')}), '00000', "$how: it writes");
	$s->rows('ROLLBACK');

	# a session context survives, as after a commit
	$s->rows(q{SELECT tenancy.set_tenant('hooli', false)});
	$s->rows(q{BEGIN; INSERT INTO notes (note) VALUES ('of hooli'); PREPARE TRANSACTION 'two'});
	is($s->rows('SELECT tenancy.current_tenant()'), 'hooli', "$how: a session's context goes on");
	is($s->rows('SELECT count(*) FROM notes'), '0', "$how: without what is not committed");
	is($s->state(q{COMMIT PREPARED 'one'}), '00000', "$how: under one tenant, what is another's is committed");
	is($s->rows('SELECT count(*) FROM notes'), '0', "$how: and stays that one's");
	is($s->state(q{COMMIT PREPARED 'two'}), '00000', "$how: its own, too");
	is($s->rows('SELECT note FROM notes'), 'of hooli', "$how: which it sees");
	is($s->rows(qq{SELECT tenancy.set_tenant('$tenant', false) \\g /dev/null
		SELECT note FROM notes}), "prepared of $tenant", "$how: the other one sees its own");

	# a role without access cannot have it committed, nor look into it
	$s->rows(q{BEGIN; INSERT INTO notes (note) VALUES ('more'); PREPARE TRANSACTION 'three'});
	is(sqlstate($node, $db, 'clerk', q{COMMIT PREPARED 'three'}), '42501', "$how: another role commits nothing of it");
	is($node->safe_psql($db, q{SELECT gid FROM pg_prepared_xacts}, extra_params => [ '-U', 'clerk' ]), 'three', "$how: though it sees its name");

	# suspended or revoked meanwhile: what was done was allowed when it was done
	$node->safe_psql($db, "SELECT tenancy.suspend_tenant('$tenant')") if $how eq 'schema';
	is($s->state(q{COMMIT PREPARED 'three'}), '00000', "$how: it is committed");
	is($s->state('SELECT note FROM notes'), $how eq 'schema' ? 'TN002' : '00000', "$how: which gives a suspended tenant nothing to read");
	$s->rows('SELECT tenancy.reset_tenant()');
	$node->safe_psql($db, "SELECT tenancy.resume_tenant('$tenant')") if $how eq 'schema';
	$node->safe_psql($db, q{SELECT tenancy.set_tenant('hooli', false); DELETE FROM notes}, extra_params => [ '-U', 'app' ]);
	$s->quit;
}

# A cursor WITH HOLD that has read a tenant's rows keeps a transaction from being prepared.
my $s = session($node, $db, 'app');
$s->rows(q{BEGIN; SELECT tenancy.set_tenant('acme'); DECLARE c CURSOR WITH HOLD FOR SELECT * FROM notes});
isnt($s->state(q{PREPARE TRANSACTION 'four'}), '00000', 'not with a cursor WITH HOLD');
$s->query('ROLLBACK');
is($s->rows('SELECT count(*) FROM pg_prepared_xacts'), '0', 'nothing is left prepared');
$s->quit;

# Administrators' calls that end in a transaction of their own
for my $call (q{SELECT tenancy.create_tenant('late')}, q{SELECT tenancy.create_tenant('later', 'schema')}, q{SELECT tenancy.suspend_tenant('acme')})
{
	$s = session($node, $db);
	$s->rows("BEGIN; $call");
	is($s->state(q{PREPARE TRANSACTION 'five'}), '00000', "$call can be prepared");
	is($s->state(q{ROLLBACK PREPARED 'five'}), '00000', "$call: and rolled back");
	$s->quit;
}
is($node->safe_psql($db, q{SELECT string_agg(slug || ' ' || status, ', ' ORDER BY slug) FROM tenancy.tenants}), 'acme active, globex active, hooli active', 'with nothing left of it');

$s = session($node, $db);
$s->rows(q{BEGIN; SELECT tenancy.create_tenant('silo', 'database')});
my $prepared = $s->state(q{PREPARE TRANSACTION 'six'});
$s->query($prepared eq '00000' ? q{ROLLBACK PREPARED 'six'} : 'ROLLBACK');
$s->quit;
unlike($prepared, qr/^XX/, 'a tenant with a database of its own: no internal error');
slow($node, $db, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tenancy worker'});
$node->safe_psql($db, 'SELECT * FROM tenancy.repair()');
is(leftovers($node, $db), '', 'and nothing is left behind');

$node->stop;
done_testing();
