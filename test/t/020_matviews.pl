# Materialized views of tenants, in each way in which a tenant comes to be: nobody
# reads another tenant's, and they hold their own tenant's rows and nothing else.
#
# TAP and not regress, because tenants' databases are other ones to connect to, and
# rows go through files.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Tenancy;
use Test::More;

my $node = new_cluster('matviews');
my $db = 'shop';

# A shared model: what an application makes of materialized views that works in all modes.
$node->safe_psql('postgres', "CREATE DATABASE $db");
$node->safe_psql($db, q{
	CREATE EXTENSION tenancy;
	CREATE ROLE model_owner NOLOGIN;
	CREATE SCHEMA model AUTHORIZATION model_owner;
	SELECT tenancy.create_module('main', 'model');
	CREATE ROLE ref_owner NOLOGIN;
	CREATE TABLE public.plan (id int PRIMARY KEY, name text);
	ALTER TABLE public.plan OWNER TO ref_owner;
	INSERT INTO public.plan VALUES (1, 'free'), (2, 'paid');
	GRANT SELECT, REFERENCES ON public.plan TO model_owner, app;
	SET ROLE model_owner;
	SET search_path = model;
	CREATE TABLE sale (id int, amount numeric, plan int REFERENCES public.plan, tenant_id uuid, PRIMARY KEY (tenant_id, id));
	GRANT SELECT, INSERT, UPDATE, DELETE ON sale TO app;
	RESET ROLE;
	RESET search_path;
	SELECT tenancy.add_reference_table('public.plan');
	SELECT tenancy.protect_table('model.sale');
	SELECT tenancy.grant_access('app');
	SELECT tenancy.create_tenant('a', 'shared'), tenancy.create_tenant('b', 'shared');
});

sub as_tenant
{
	my ($slug, $sql, $database) = @_;

	return $node->safe_psql($database // $db, "BEGIN; SELECT tenancy.set_tenant('$slug') \\g /dev/null\n$sql; COMMIT", extra_params => [ '-U', 'app' ]);
}
as_tenant('a', 'INSERT INTO sale VALUES (1, 10, 1), (2, 20, 2)');
as_tenant('b', 'INSERT INTO sale VALUES (1, 300, 1)');

# The migration that a developer writes: he grants, too.
$node->safe_psql($db, q{
	SELECT tenancy.create_tenant('early', 'schema');
	SELECT tenancy.add_migration(1, $m$
		CREATE MATERIALIZED VIEW totals AS SELECT p.name, s.tenant_id, sum(s.amount) AS total
			FROM public.plan p JOIN sale s ON s.plan = p.id GROUP BY 1, 2;
		CREATE UNIQUE INDEX totals_key ON totals (tenant_id, name);
		GRANT SELECT ON totals TO app;
		CREATE VIEW through AS SELECT * FROM totals;
		GRANT SELECT ON through TO app;
		CREATE FUNCTION my_totals() RETURNS TABLE (name text, total numeric) LANGUAGE sql STABLE SECURITY DEFINER
			BEGIN ATOMIC SELECT t.name, t.total FROM totals t WHERE t.tenant_id = tenancy.current_tenant_id(); END;
		GRANT EXECUTE ON FUNCTION my_totals() TO app;
		CREATE FUNCTION refresh_totals() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS
			'BEGIN REFRESH MATERIALIZED VIEW totals; END';
	$m$);
});
my ($out, $err);
$node->psql($db, 'CALL tenancy.migrate()', stdout => \$out, stderr => \$err);
like($err, qr/privileges on materialized views.* are withheld in tenants' schemas\nDETAIL:.* materialized view totals, view through\./, 'migrate() tells that the grants are withheld');
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.drift()'), '0', 'no drift: it knows that they are');
is($node->safe_psql($db, q{SELECT string_agg(relname || ' ' || has_table_privilege('app', oid, 'SELECT'), ', ' ORDER BY relname) FROM pg_class
	WHERE relnamespace = 'tenant_early'::regnamespace AND relkind IN ('m', 'v')}), 'through false, totals false', "the migrated tenant's are for its owner only");
is($node->safe_psql($db, q{SELECT total FROM model.totals WHERE tenant_id = (SELECT id FROM tenancy.tenant WHERE slug = 'b')}), '300', "a migration fills the model's with all rows");
is($node->safe_psql($db, q{SELECT string_agg(object, ', ' ORDER BY object) FROM tenancy.check_isolation() WHERE lint = 'matview_exposes_tenants'}),
	'materialized view model.totals, view model.through', 'which the lint reports, with the view');
$node->safe_psql($db, q{REVOKE ALL ON model.totals, model.through FROM app});
# A later migration gives again
$node->safe_psql($db, q{SELECT tenancy.add_migration(2, 'GRANT SELECT ON totals, through TO app; ALTER VIEW through SET (security_barrier)')});
$node->psql($db, 'CALL tenancy.migrate()', stderr => \$err);
is($node->safe_psql($db, q{SELECT count(*) FROM pg_class WHERE relnamespace = 'tenant_early'::regnamespace AND relkind IN ('m', 'v') AND has_table_privilege('app', oid, 'SELECT')}), '0', 'a later migration cannot give them either');
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.drift()'), '0', 'no drift');
$node->safe_psql($db, q{SELECT tenancy.add_migration(3, 'REVOKE SELECT ON totals, through FROM app')});
$node->safe_psql($db, 'CALL tenancy.migrate()');

# ---------------------------------------------------------------------------
# Each way to come to be
# ---------------------------------------------------------------------------
my $mine = 'SELECT string_agg(name || total, $$ $$ ORDER BY name) FROM my_totals()';
is(as_tenant('a', $mine), 'free10 paid20', 'shared: the function hands out the own rows');
$node->safe_psql($db, q{CALL tenancy.move_tenant('b', 'schema')});
is($node->safe_psql($db, 'SELECT string_agg(name || total, $$ $$) FROM tenant_b.totals'), 'free300', "moved to a schema: filled with the tenant's rows, no others");
is(as_tenant('b', $mine), 'free300', 'its function hands them out');
$node->safe_psql($db, q{CALL tenancy.move_tenant('a', 'schema', online => true)});
is($node->safe_psql($db, 'SELECT string_agg(name || total, $$ $$ ORDER BY name) FROM tenant_a.totals'), 'free10 paid20', 'moved online: the same');
$node->safe_psql($db, q{SELECT tenancy.copy_tenant('a', 'copied', 'schema')});
is($node->safe_psql($db, 'SELECT string_agg(name || total, $$ $$ ORDER BY name) FROM tenant_copied.totals'), 'free10 paid20', 'copied, as its rows');
is($node->safe_psql($db, q{SELECT count(DISTINCT tenant_id) || ' ' || bool_and(tenant_id = (SELECT id FROM tenancy.tenant WHERE slug = 'copied')) FROM tenant_copied.totals}), '1 true', "as the copy's own");
$node->safe_psql($db, q{CALL tenancy.move_tenant('copied', 'database')});
is(as_tenant('copied', $mine, 'tenant_copied'), 'free10 paid20', 'moved to a database: filled');
is($node->safe_psql('tenant_copied', q{SELECT has_table_privilege('app', 'model.through', 'SELECT')}), 'f', 'privileges there are as in the model');
$node->safe_psql($db, q{CALL tenancy.move_tenant('copied', 'schema')});
is($node->safe_psql($db, 'SELECT string_agg(name || total, $$ $$ ORDER BY name) FROM tenant_copied.totals'), 'free10 paid20', 'and back');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('own', 'database')});
is(as_tenant('own', $mine, 'tenant_own'), '', 'a new database: filled, with nothing');
is($node->safe_psql('tenant_own', q{SELECT relispopulated FROM pg_class WHERE oid = 'model.totals'::regclass}), 't', 'so that it can be read');
$node->safe_psql($db, q{SELECT tenancy.set_spares('schema', 1), tenancy.set_spares('database', 1)});
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
is($node->safe_psql($db, q{SELECT string_agg(mode || ' ' || ready, ', ' ORDER BY mode) FROM tenancy.spares}), 'schema 1, database 1', 'spares');
$node->safe_psql($db, 'CALL tenancy.refill_spares()');
$node->safe_psql($db, q{SELECT tenancy.create_tenant('s1', 'schema'), tenancy.create_tenant('d1', 'database')});
is($node->safe_psql($db, q{SELECT count(*) FROM tenancy.spare}), '0', 'are taken');
is($node->safe_psql($db, q{SELECT relispopulated || ' ' || has_table_privilege('app', oid, 'SELECT') FROM pg_class WHERE oid = 'tenant_s1.totals'::regclass}), 'true false', 'filled, and withheld');
is($node->safe_psql($db, 'SELECT count(*) FROM tenancy.drift()'), '0', 'no drift in any of them');

# ---------------------------------------------------------------------------
# Attacks, by the application's role
# ---------------------------------------------------------------------------
as_tenant('s1', 'INSERT INTO sale VALUES (9, 9, 2)');
for my $what ('totals', 'through')
{
	for my $context ('a', 'b', 's1')
	{
		my $app = session($node, $db, 'app');

		$app->rows("SELECT tenancy.set_tenant('$context', false)");
		is($app->state("SELECT * FROM tenant_b.$what"), '42501', "$what of another, or one's own, in the context of $context");
		is($app->state("SELECT count(*) FROM $what"), '42501', '... by its bare name');
		is($app->state("COPY (SELECT * FROM tenant_b.$what) TO STDOUT"), '42501', '... by COPY');
		is($app->state("EXPLAIN ANALYZE SELECT * FROM tenant_b.$what"), '42501', '... by EXPLAIN');
		is($app->state("CREATE TEMP VIEW v AS SELECT * FROM tenant_b.$what") . $app->state('SELECT * FROM pg_temp.v'), '0000042501', '... through a view of its own');
		is($app->state('REFRESH MATERIALIZED VIEW tenant_b.totals'), '42501', '... nor does it refresh it');
		is($app->rows(q{SELECT count(*) FROM pg_stats WHERE schemaname = 'tenant_b' AND tablename = 'totals'}), '0', '... nor are there statistics to be seen');
		is($app->state('GRANT SELECT ON tenant_b.totals TO app'), '42501', '... nor can it grant');
		$app->quit;
	}
}
# The function of another's schema hands out what is the caller's tenant's: nothing.
is(as_tenant('a', 'SELECT count(*) FROM tenant_b.my_totals()'), '0', "another's function hands out nothing");
is(sqlstate($node, $db, 'app', 'SELECT * FROM tenant_b.my_totals()'), '00000', 'without a context');
is($node->safe_psql($db, 'SELECT count(*) FROM tenant_b.my_totals()', extra_params => [ '-U', 'app' ]), '0', '... nothing');
# A refresh by the application itself, in context
$node->safe_psql($db, q{GRANT EXECUTE ON FUNCTION tenant_s1.refresh_totals() TO app});
is(as_tenant('s1', "SELECT refresh_totals() \\g /dev/null\n$mine"), 'paid9', 'a function of the owner refreshes in context');
isnt(sqlstate($node, $db, 'app', 'SELECT tenant_s1.refresh_totals()'), '00000', '... and not without');
isnt(sqlstate($node, $db, 'app', q{BEGIN; SELECT tenancy.set_tenant('a'); SELECT tenant_s1.refresh_totals()}), 'x', '... and with another context');
is($node->safe_psql($db, 'SELECT count(*) FROM tenant_s1.totals JOIN tenancy.tenant t ON t.id = tenant_id WHERE t.slug <> $$s1$$'), '0', '... it never gets rows of another');

# ---------------------------------------------------------------------------
# A policy that reads one: by a function with the owner's rights only
# ---------------------------------------------------------------------------
$node->safe_psql($db, q{SELECT tenancy.create_tenant('sh'), tenancy.add_migration(4, $m$
	CREATE MATERIALIZED VIEW offered AS SELECT id FROM public.plan;
	GRANT SELECT ON offered TO app;
	CREATE POLICY offered ON sale AS RESTRICTIVE USING (plan IN (SELECT id FROM offered));
$m$)});
$node->safe_psql($db, 'CALL tenancy.migrate()');
as_tenant('sh', 'INSERT INTO sale VALUES (1, 10, 1)');
is(as_tenant('sh', 'SELECT count(*) FROM sale'), '1', 'in the model, such a policy is as good as its privileges');
is(sqlstate($node, $db, 'app', q{BEGIN; SELECT tenancy.set_tenant('a'); SELECT count(*) FROM sale}), '42501', 'in a copy there are none');
$node->safe_psql($db, q{SELECT tenancy.add_migration(5, $m$
	CREATE FUNCTION is_offered(plan int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER
		BEGIN ATOMIC SELECT EXISTS (SELECT FROM offered o WHERE o.id = plan); END;
	DROP POLICY offered ON sale;
	CREATE POLICY offered ON sale AS RESTRICTIVE USING (is_offered(plan));
$m$)});
$node->safe_psql($db, 'CALL tenancy.migrate()');
is(as_tenant('sh', 'SELECT count(*) FROM sale'), '1', 'by a function, it works there');
is(as_tenant('a', 'SELECT count(*) FROM sale'), '2', '... and here');

# ---------------------------------------------------------------------------
# Going
# ---------------------------------------------------------------------------
$node->safe_psql($db, qq{SELECT tenancy.drop_tenant('$_', true)}) for 'a', 'b', 'copied', 'own', 's1', 'd1', 'early', 'sh';
is(leftovers($node, $db), '', 'dropped, and nothing is left behind');

$node->stop;
done_testing();
