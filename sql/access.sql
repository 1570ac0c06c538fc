--
-- grant_access and revoke_access.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_owner_member LOGIN IN ROLE regress_owner;
CREATE ROLE regress_super NOLOGIN SUPERUSER;
CREATE ROLE regress_bypass LOGIN BYPASSRLS;
CREATE ROLE regress_app LOGIN;
CREATE ROLE regress_one LOGIN;
CREATE ROLE regress_group NOLOGIN;
CREATE ROLE regress_member LOGIN IN ROLE regress_group;
CREATE ROLE regress_noinherit LOGIN NOINHERIT IN ROLE regress_group;
CREATE EXTENSION tenancy;
CREATE SCHEMA regress_model AUTHORIZATION regress_owner;
SET ROLE regress_owner;
CREATE TABLE regress_model.item (id int PRIMARY KEY, name text);
GRANT USAGE ON SCHEMA regress_model TO regress_app, regress_one, regress_group;
GRANT ALL ON regress_model.item TO regress_app, regress_one, regress_group;
RESET ROLE;
SELECT tenancy.create_module('main', 'regress_model');
SELECT tenancy.protect_module('main');
SELECT tenancy.create_tenant('a', id => '00000000-0000-4000-8000-00000000000a');
SELECT tenancy.create_tenant('b', id => '00000000-0000-4000-8000-00000000000b');
SELECT tenancy.create_tenant('s1', 'schema', '00000000-0000-4000-8000-0000000000f1');

-- Refused, with the reason
SELECT tenancy.grant_access('regress_super');
SELECT tenancy.grant_access('regress_bypass');
SELECT tenancy.grant_access('regress_owner');
SELECT tenancy.grant_access('regress_owner_member');
DO $$
DECLARE
	break text;
	detail text;
	role text;
BEGIN
	FOREACH break IN ARRAY ARRAY['ALTER ROLE regress_flawed SUPERUSER', 'ALTER ROLE regress_flawed REPLICATION',
		'ALTER ROLE regress_flawed CREATEROLE', 'ALTER ROLE regress_flawed BYPASSRLS',
		'GRANT pg_read_all_data TO regress_flawed', 'GRANT pg_write_all_data TO regress_flawed',
		'GRANT pg_read_server_files TO regress_flawed', 'GRANT pg_write_server_files TO regress_flawed',
		'GRANT pg_execute_server_program TO regress_flawed', 'GRANT regress_owner TO regress_flawed']
	LOOP
		CREATE ROLE regress_flawed NOLOGIN;
		CREATE ROLE regress_between NOINHERIT IN ROLE regress_flawed;
		CREATE ROLE regress_outer NOINHERIT IN ROLE regress_between;
		EXECUTE break;
		FOREACH role IN ARRAY ARRAY['regress_flawed', 'regress_outer'] LOOP
			BEGIN
				PERFORM tenancy.grant_access(role::regrole, 'a');
				RAISE WARNING '% was not refused', role;
			EXCEPTION WHEN invalid_grant_operation THEN
				GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
				RAISE WARNING '%: % %', break, role, detail;
			END;
		END LOOP;
		DROP ROLE regress_outer, regress_between, regress_flawed;
	END LOOP;
END $$;
-- what is no way around: these may be granted
CREATE ROLE regress_harmless LOGIN CREATEDB CONNECTION LIMIT 3 IN ROLE pg_signal_backend;
SELECT tenancy.grant_access('regress_harmless', 'a');
SELECT tenancy.revoke_access('regress_harmless');
DROP OWNED BY regress_harmless;
DROP ROLE regress_harmless;
SELECT tenancy.grant_access('regress_nobody');
SELECT tenancy.grant_access(4294967295::oid);
SELECT tenancy.grant_access(NULL);
SELECT tenancy.grant_access('regress_app', 'nobody');
SELECT tenancy.revoke_access(NULL);
SELECT tenancy.revoke_access('regress_app', 'nobody');
SELECT tenancy.revoke_access('regress_app');
SELECT * FROM tenancy.access;

SELECT tenancy.grant_access('regress_app');
SELECT tenancy.grant_access('regress_app');	-- again: nothing new
SELECT tenancy.grant_access('regress_one', 'a');
SELECT tenancy.grant_access('regress_one', '00000000-0000-4000-8000-0000000000f1');
SELECT tenancy.grant_access('regress_group', 'b');
SELECT role, t.slug FROM tenancy.access a LEFT JOIN tenancy.tenant t ON t.id = a.tenant_id ORDER BY 1, 2;

-- What bypasses row security is taken from the role.
SELECT has_table_privilege('regress_app', 'regress_model.item', 'TRUNCATE') AS truncate,
	   has_table_privilege('regress_app', 'regress_model.item', 'REFERENCES') AS "references",
	   has_table_privilege('regress_app', 'regress_model.item', 'TRIGGER') AS trigger,
	   has_table_privilege('regress_app', 'tenant_s1.item', 'TRUNCATE') AS truncate_copy,
	   has_table_privilege('regress_app', 'regress_model.item', 'INSERT') AS insert;

-- Schemas are reachable for who may act for the tenant, those to come too.
SELECT tenancy.create_tenant('s2', 'schema', '00000000-0000-4000-8000-0000000000f2');
SELECT r, has_schema_privilege(r, 'tenant_s1', 'USAGE') AS s1, has_schema_privilege(r, 'tenant_s2', 'USAGE') AS s2
FROM unnest(ARRAY['regress_app', 'regress_one', 'regress_group']) r;

-- A role learns nothing of tenants that it may not act for.
SET SESSION AUTHORIZATION regress_one;
BEGIN; SELECT tenancy.set_tenant('a'); COMMIT;
SELECT tenancy.set_tenant('b');
SELECT tenancy.set_tenant('unknown');
SELECT tenancy.set_tenant('00000000-0000-4000-8000-00000000000b'::uuid);
SELECT tenancy.set_tenant('00000000-0000-4000-8000-0000000000ff'::uuid);
SELECT tenancy.tenant_database('a') = current_database();
SELECT tenancy.tenant_database('b');
SELECT tenancy.tenant_database('unknown');
BEGIN; SELECT tenancy.set_tenant('s1'); SELECT count(*) FROM item; COMMIT;
SELECT tenancy.set_tenant('s2');
SET SESSION AUTHORIZATION regress_app;
SELECT tenancy.set_tenant('unknown');

-- Members have what their group was granted, if they inherit.
SET SESSION AUTHORIZATION regress_member;
BEGIN; SELECT tenancy.set_tenant('b'); SELECT count(*) FROM item; COMMIT;
SELECT tenancy.set_tenant('a');
SET SESSION AUTHORIZATION regress_noinherit;
SELECT tenancy.set_tenant('b');
SET ROLE regress_group;
BEGIN; SELECT tenancy.set_tenant('b'); COMMIT;
RESET ROLE;
RESET SESSION AUTHORIZATION;
REVOKE regress_group FROM regress_member;
SET SESSION AUTHORIZATION regress_member;
SELECT tenancy.set_tenant('b');
RESET SESSION AUTHORIZATION;

-- The context is good for the role that acts, not for the one that set it.
SET SESSION AUTHORIZATION regress_app;
SELECT tenancy.set_tenant('b', false);
SELECT count(*) FROM item;
RESET SESSION AUTHORIZATION;
SET ROLE regress_one;
SELECT count(*) FROM regress_model.item;
SELECT tenancy.current_tenant();
RESET ROLE;
SELECT tenancy.reset_tenant();

-- Revoked
SELECT tenancy.revoke_access('regress_app', 'a');
SELECT tenancy.revoke_access('regress_one', 'b');
SELECT tenancy.revoke_access('regress_one', 'a');
SELECT tenancy.revoke_access('regress_app');
SELECT r, has_schema_privilege(r, 'tenant_s1', 'USAGE') AS s1, has_schema_privilege(r, 'tenant_s2', 'USAGE') AS s2,
	   has_schema_privilege(r, 'tenancy', 'USAGE') AS tenancy
FROM unnest(ARRAY['regress_app', 'regress_one', 'regress_group']) r;
SET SESSION AUTHORIZATION regress_one;
SELECT tenancy.set_tenant('a');
SET SESSION AUTHORIZATION regress_app;
SELECT tenancy.set_tenant('a');
RESET SESSION AUTHORIZATION;
SELECT tenancy.revoke_access('regress_one');
SELECT tenancy.revoke_access('regress_group');
SELECT * FROM tenancy.access;

-- A role that is dropped with its privileges leaves a row that repair() removes.
CREATE ROLE regress_leaver LOGIN;
SELECT tenancy.grant_access('regress_leaver', 'a');
DROP ROLE regress_leaver;
DROP OWNED BY regress_leaver;
DROP ROLE regress_leaver;
SELECT regexp_replace(object, '\d+', 'N') AS object, problem, action FROM tenancy.repair();
SELECT * FROM tenancy.access;

SELECT tenancy.drop_tenant(slug, true) FROM tenancy.tenants;
SET client_min_messages = error;
DROP EXTENSION tenancy CASCADE;
DROP SCHEMA regress_model CASCADE;
DROP ROLE regress_owner_member, regress_owner, regress_super, regress_bypass, regress_app, regress_one, regress_member, regress_noinherit, regress_group;
