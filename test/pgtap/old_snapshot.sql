--
-- Administrators' calls in a transaction whose snapshot is older than rows that
-- have been committed meanwhile: what is there now decides, not what the
-- transaction sees.
--
\ir lib/setup.sql
CREATE SCHEMA crm AUTHORIZATION shop_owner;
SET ROLE shop_owner;
CREATE TABLE crm.lead (tenant_id uuid NOT NULL, id integer);
CREATE TABLE shop.loose (tenant_id uuid NOT NULL, id integer);
GRANT USAGE ON SCHEMA crm TO app;
GRANT ALL ON crm.lead, shop.loose TO app;
RESET ROLE;
SELECT tenancy.create_module('crm', 'crm') \g /dev/null
SELECT * FROM tenancy.protect_module('crm') \g /dev/null
-- without a foreign key to the registry, nothing else would notice
SELECT tenancy.protect_table('shop.loose', foreign_key => false) \g /dev/null
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.install_module('globex', 'crm') \g /dev/null
SELECT tenancy.create_tenant('loose') \g /dev/null
SELECT plan(11);
SELECT t.elsewhere('app', 'app', $$SELECT tenancy.set_tenant('globex', false)$$) \g /dev/null
SELECT t.elsewhere('app2', 'app', $$SELECT tenancy.set_tenant('loose', false)$$) \g /dev/null

\set level 'REPEATABLE READ'
BEGIN ISOLATION LEVEL :level;
SELECT is((SELECT count(*) FROM tenant_globex_plugin_crm.lead), 0::bigint, :'level' || ': no rows of the plug-in yet') FROM tenancy.set_tenant('globex');
SELECT t.elsewhere('app', 'app', 'INSERT INTO lead (id) VALUES (1)') \g /dev/null
SELECT throws_ok($$SELECT tenancy.uninstall_module('globex', 'crm')$$, '55000', NULL, :'level' || ': a row that came meanwhile keeps the plug-in');
ROLLBACK;
SELECT is(t.elsewhere('app', 'app', 'SELECT count(*) FROM lead'), '1', 'it is there');
SELECT t.elsewhere('app', 'app', 'DELETE FROM lead') \g /dev/null

BEGIN ISOLATION LEVEL :level;
SELECT is((SELECT count(*) FROM shop.loose), 0::bigint, :'level' || ': no rows of the tenant yet') FROM tenancy.set_tenant('loose');
SELECT t.elsewhere('app2', 'app', 'INSERT INTO loose (id) VALUES (1)') \g /dev/null
SELECT tenancy.suspend_tenant('loose') \g /dev/null
SELECT is(t.state($$SELECT tenancy.drop_tenant('loose')$$), '55000', :'level' || ': a row that came meanwhile keeps the tenant');
ROLLBACK;
SELECT is(t.elsewhere('app2', 'app', 'SELECT count(*) FROM loose'), '1', 'it is there');

\set level SERIALIZABLE
BEGIN ISOLATION LEVEL :level;
SELECT is((SELECT count(*) FROM tenant_globex_plugin_crm.lead), 0::bigint, :'level' || ': no rows of the plug-in yet') FROM tenancy.set_tenant('globex');
SELECT t.elsewhere('app', 'app', 'INSERT INTO lead (id) VALUES (1)') \g /dev/null
SELECT throws_ok($$SELECT tenancy.uninstall_module('globex', 'crm')$$, '55000', NULL, :'level' || ': a row that came meanwhile keeps the plug-in');
ROLLBACK;
SELECT t.elsewhere('app', 'app', 'DELETE FROM lead') \g /dev/null

-- controls
SELECT t.leave('app'), t.leave('app2') \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT lives_ok($$SELECT tenancy.uninstall_module('globex', 'crm')$$, 'without rows it goes');
SELECT is(to_regnamespace('tenant_globex_plugin_crm'), NULL, 'with its schema');
COMMIT;
SELECT tenancy.suspend_tenant('loose') \g /dev/null
SELECT tenancy.drop_tenant('loose') \g /dev/null
SELECT is_empty('SELECT * FROM shop.loose', 'a tenant that is suspended goes with its rows');
SELECT * FROM finish();
DROP SCHEMA crm CASCADE;
