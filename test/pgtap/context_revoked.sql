--
-- A tenant suspended, or an access revoked, while sessions are at work: the
-- next statement is refused, whatever the transaction's isolation level, and
-- whatever it had been allowed before.
--
\ir lib/setup.sql
SELECT tenancy.create_tenant('globex', 'schema') \g /dev/null
SELECT tenancy.grant_access('clerk', 'globex') \g /dev/null
SELECT tenancy.grant_access('clerk', 'hooli') \g /dev/null
CREATE FUNCTION t.count(table_name text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %s', table_name) INTO n;
	RETURN n;
END $$;

\connect - app
SET client_min_messages = warning;
\ir lib/rows.sql
BEGIN;
SELECT tenancy.set_tenant('globex') \g /dev/null
INSERT INTO notes (note) VALUES ('globex note');
COMMIT;

\connect - clerk
SET client_min_messages = warning;
SELECT plan(99);

-- Each: a statement that works, another session's act, one that is refused.
-- The statements differ in what PostgreSQL has cached for them.
PREPARE by_plan AS SELECT count(*) FROM shop.notes;
PREPARE own_by_plan AS SELECT count(*) FROM tenant_globex.notes;

CREATE FUNCTION pg_temp.act(what text, tenant text) RETURNS text
LANGUAGE sql AS $$
	SELECT t.admin(CASE what
		WHEN 'suspend' THEN format('SELECT tenancy.suspend_tenant(%L)', tenant)
		WHEN 'resume' THEN format('SELECT tenancy.resume_tenant(%L)', tenant)
		WHEN 'revoke' THEN format('SELECT tenancy.revoke_access(''clerk'', %L)', tenant)
		WHEN 'grant' THEN format('SELECT tenancy.grant_access(''clerk'', %L)', tenant)
	END)
$$;

-- A shared tenant; suspend.
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared, READ COMMITTED: rows before suspend');
EXECUTE by_plan \g /dev/null
SELECT pg_temp.act('suspend', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, 'TN002', NULL, 'shared, READ COMMITTED: suspend, none after');
SELECT throws_ok('EXECUTE by_plan', 'TN002', NULL, 'shared, READ COMMITTED: suspend, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('late')$$, 'TN002', NULL, 'shared, READ COMMITTED: suspend, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, 'TN002', NULL, 'shared, READ COMMITTED: suspend, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, 'TN002', NULL, 'shared, READ COMMITTED: suspend, it cannot be set again');
COMMIT;
SELECT pg_temp.act('resume', 'acme') \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared, REPEATABLE READ: rows before suspend');
EXECUTE by_plan \g /dev/null
SELECT pg_temp.act('suspend', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, 'TN002', NULL, 'shared, REPEATABLE READ: suspend, none after');
SELECT throws_ok('EXECUTE by_plan', 'TN002', NULL, 'shared, REPEATABLE READ: suspend, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('late')$$, 'TN002', NULL, 'shared, REPEATABLE READ: suspend, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, 'TN002', NULL, 'shared, REPEATABLE READ: suspend, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, 'TN002', NULL, 'shared, REPEATABLE READ: suspend, it cannot be set again');
COMMIT;
SELECT pg_temp.act('resume', 'acme') \g /dev/null
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared, SERIALIZABLE: rows before suspend');
EXECUTE by_plan \g /dev/null
SELECT pg_temp.act('suspend', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, 'TN002', NULL, 'shared, SERIALIZABLE: suspend, none after');
SELECT throws_ok('EXECUTE by_plan', 'TN002', NULL, 'shared, SERIALIZABLE: suspend, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('late')$$, 'TN002', NULL, 'shared, SERIALIZABLE: suspend, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, 'TN002', NULL, 'shared, SERIALIZABLE: suspend, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, 'TN002', NULL, 'shared, SERIALIZABLE: suspend, it cannot be set again');
COMMIT;
SELECT pg_temp.act('resume', 'acme') \g /dev/null

-- A shared tenant; revoke.
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared, READ COMMITTED: rows before revoke');
EXECUTE by_plan \g /dev/null
SELECT pg_temp.act('revoke', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, '42501', NULL, 'shared, READ COMMITTED: revoke, none after');
SELECT throws_ok('EXECUTE by_plan', '42501', NULL, 'shared, READ COMMITTED: revoke, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('late')$$, '42501', NULL, 'shared, READ COMMITTED: revoke, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, '42501', NULL, 'shared, READ COMMITTED: revoke, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, '42501', NULL, 'shared, READ COMMITTED: revoke, it cannot be set again');
COMMIT;
SELECT pg_temp.act('grant', 'acme') \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared, REPEATABLE READ: rows before revoke');
EXECUTE by_plan \g /dev/null
SELECT pg_temp.act('revoke', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, '42501', NULL, 'shared, REPEATABLE READ: revoke, none after');
SELECT throws_ok('EXECUTE by_plan', '42501', NULL, 'shared, REPEATABLE READ: revoke, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('late')$$, '42501', NULL, 'shared, REPEATABLE READ: revoke, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, '42501', NULL, 'shared, REPEATABLE READ: revoke, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, '42501', NULL, 'shared, REPEATABLE READ: revoke, it cannot be set again');
COMMIT;
SELECT pg_temp.act('grant', 'acme') \g /dev/null
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared, SERIALIZABLE: rows before revoke');
EXECUTE by_plan \g /dev/null
SELECT pg_temp.act('revoke', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, '42501', NULL, 'shared, SERIALIZABLE: revoke, none after');
SELECT throws_ok('EXECUTE by_plan', '42501', NULL, 'shared, SERIALIZABLE: revoke, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('late')$$, '42501', NULL, 'shared, SERIALIZABLE: revoke, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, '42501', NULL, 'shared, SERIALIZABLE: revoke, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('acme')$$, '42501', NULL, 'shared, SERIALIZABLE: revoke, it cannot be set again');
COMMIT;
SELECT pg_temp.act('grant', 'acme') \g /dev/null

-- A context for the session, through several transactions
SELECT tenancy.set_tenant('acme', false) \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared: rows before');
SELECT pg_temp.act('suspend', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, 'TN002', NULL, 'shared: none after suspend_tenant()');
SELECT pg_temp.act('resume', 'acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'shared: rows again after resume_tenant()');
SELECT pg_temp.act('revoke', 'acme') \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, '42501', NULL, 'shared: none after revoke_access()');
SELECT lives_ok('SELECT tenancy.reset_tenant()', 'shared: reset_tenant() works for whom access was revoked');
SELECT pg_temp.act('grant', 'acme') \g /dev/null

-- A schema tenant; suspend.
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema, READ COMMITTED: rows before suspend');
EXECUTE own_by_plan \g /dev/null
SELECT pg_temp.act('suspend', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, 'TN002', NULL, 'schema, READ COMMITTED: suspend, none after');
SELECT throws_ok('EXECUTE own_by_plan', 'TN002', NULL, 'schema, READ COMMITTED: suspend, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, 'TN002', NULL, 'schema, READ COMMITTED: suspend, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, 'TN002', NULL, 'schema, READ COMMITTED: suspend, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, 'TN002', NULL, 'schema, READ COMMITTED: suspend, it cannot be set again');
COMMIT;
SELECT pg_temp.act('resume', 'globex') \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema, REPEATABLE READ: rows before suspend');
EXECUTE own_by_plan \g /dev/null
SELECT pg_temp.act('suspend', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, 'TN002', NULL, 'schema, REPEATABLE READ: suspend, none after');
SELECT throws_ok('EXECUTE own_by_plan', 'TN002', NULL, 'schema, REPEATABLE READ: suspend, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, 'TN002', NULL, 'schema, REPEATABLE READ: suspend, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, 'TN002', NULL, 'schema, REPEATABLE READ: suspend, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, 'TN002', NULL, 'schema, REPEATABLE READ: suspend, it cannot be set again');
COMMIT;
SELECT pg_temp.act('resume', 'globex') \g /dev/null
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema, SERIALIZABLE: rows before suspend');
EXECUTE own_by_plan \g /dev/null
SELECT pg_temp.act('suspend', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, 'TN002', NULL, 'schema, SERIALIZABLE: suspend, none after');
SELECT throws_ok('EXECUTE own_by_plan', 'TN002', NULL, 'schema, SERIALIZABLE: suspend, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, 'TN002', NULL, 'schema, SERIALIZABLE: suspend, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, 'TN002', NULL, 'schema, SERIALIZABLE: suspend, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, 'TN002', NULL, 'schema, SERIALIZABLE: suspend, it cannot be set again');
COMMIT;
SELECT pg_temp.act('resume', 'globex') \g /dev/null

-- A schema tenant; revoke.
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema, READ COMMITTED: rows before revoke');
EXECUTE own_by_plan \g /dev/null
SELECT pg_temp.act('revoke', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, '42501', NULL, 'schema, READ COMMITTED: revoke, none after');
SELECT throws_ok('EXECUTE own_by_plan', '42501', NULL, 'schema, READ COMMITTED: revoke, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, '42501', NULL, 'schema, READ COMMITTED: revoke, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, '42501', NULL, 'schema, READ COMMITTED: revoke, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, '42501', NULL, 'schema, READ COMMITTED: revoke, it cannot be set again');
COMMIT;
SELECT pg_temp.act('grant', 'globex') \g /dev/null
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema, REPEATABLE READ: rows before revoke');
EXECUTE own_by_plan \g /dev/null
SELECT pg_temp.act('revoke', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, '42501', NULL, 'schema, REPEATABLE READ: revoke, none after');
SELECT throws_ok('EXECUTE own_by_plan', '42501', NULL, 'schema, REPEATABLE READ: revoke, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, '42501', NULL, 'schema, REPEATABLE READ: revoke, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, '42501', NULL, 'schema, REPEATABLE READ: revoke, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, '42501', NULL, 'schema, REPEATABLE READ: revoke, it cannot be set again');
COMMIT;
SELECT pg_temp.act('grant', 'globex') \g /dev/null
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT tenancy.set_tenant('globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema, SERIALIZABLE: rows before revoke');
EXECUTE own_by_plan \g /dev/null
SELECT pg_temp.act('revoke', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, '42501', NULL, 'schema, SERIALIZABLE: revoke, none after');
SELECT throws_ok('EXECUTE own_by_plan', '42501', NULL, 'schema, SERIALIZABLE: revoke, nor with a plan that was made before');
SELECT throws_ok($$INSERT INTO tenant_globex.notes (note) VALUES ('late')$$, '42501', NULL, 'schema, SERIALIZABLE: revoke, nothing can be written');
SELECT throws_ok($$SELECT tenancy.current_tenant()$$, '42501', NULL, 'schema, SERIALIZABLE: revoke, and the context says so');
SELECT throws_ok($$SELECT tenancy.set_tenant('globex')$$, '42501', NULL, 'schema, SERIALIZABLE: revoke, it cannot be set again');
COMMIT;
SELECT pg_temp.act('grant', 'globex') \g /dev/null

-- A context for the session, through several transactions
SELECT tenancy.set_tenant('globex', false) \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema: rows before');
SELECT pg_temp.act('suspend', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, 'TN002', NULL, 'schema: none after suspend_tenant()');
SELECT pg_temp.act('resume', 'globex') \g /dev/null
SELECT is(t.count('tenant_globex.notes'), 1::bigint, 'schema: rows again after resume_tenant()');
SELECT pg_temp.act('revoke', 'globex') \g /dev/null
SELECT throws_ok($$SELECT t.count('tenant_globex.notes')$$, '42501', NULL, 'schema: none after revoke_access()');
SELECT lives_ok('SELECT tenancy.reset_tenant()', 'schema: reset_tenant() works for whom access was revoked');
SELECT pg_temp.act('grant', 'globex') \g /dev/null

-- ---------------------------------------------------------------------------
-- In the middle of a statement, and of a string of statements
-- ---------------------------------------------------------------------------
-- One statement may end as it began; the next of the same function may not,
-- once the transaction in progress has taken notice.
SELECT t.elsewhere('proc', 'clerk', $do$CREATE PROCEDURE pg_temp.steps(INOUT states text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM tenancy.set_tenant('acme', false);
	PERFORM * FROM shop.notes;
	COMMIT;
	PERFORM t.admin('SELECT tenancy.suspend_tenant(''acme'')');
	states := t.state('SELECT * FROM shop.notes');
	COMMIT;
	states := states || ' ' || t.state('SELECT * FROM shop.notes');
	PERFORM t.admin('SELECT tenancy.resume_tenant(''acme'')');
	states := states || ' ' || t.state('SELECT * FROM shop.notes');
END $$$do$) \g /dev/null
SELECT is(t.elsewhere('proc', 'clerk', 'CALL pg_temp.steps('''')'), 'TN002 TN002 00000', 'a procedure under way is refused, too, and goes on when the tenant is resumed');
SELECT t.leave('proc') \g /dev/null

-- An administrator's act that is not committed yet stops nobody.
SELECT t.admin('BEGIN') \g /dev/null
SELECT pg_temp.act('suspend', 'acme') \g /dev/null
BEGIN;
SELECT tenancy.set_tenant('acme') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'a suspension that is not committed');
SELECT t.admin('ROLLBACK') \g /dev/null
SELECT is(t.count('shop.notes'), 1::bigint, 'nor one that was rolled back');
COMMIT;

-- ---------------------------------------------------------------------------
-- A tenant renamed or dropped while it is in context
-- ---------------------------------------------------------------------------
BEGIN;
SELECT tenancy.set_tenant('hooli') \g /dev/null
SELECT is(t.count('shop.notes'), 2::bigint, 'rows before rename_tenant()');
SELECT t.admin($$SELECT tenancy.rename_tenant('hooli', 'raviga')$$) \g /dev/null
SELECT is(tenancy.current_tenant(), 'raviga', 'a tenant in context has its new name at once');
SELECT is(t.count('shop.notes'), 2::bigint, 'and its rows');
COMMIT;
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, '42501', NULL, 'the old name is nobody''s');
SELECT t.admin($$SELECT tenancy.create_tenant('hooli')$$) \g /dev/null
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, '42501', NULL, 'nor does clerk get a new tenant with the old name');
SELECT tenancy.set_tenant('raviga', false) \g /dev/null
SELECT t.admin($$SELECT tenancy.drop_tenant('raviga', true)$$) \g /dev/null
SELECT throws_ok('SELECT * FROM shop.notes', 'TN002', NULL, 'a dropped tenant''s context is good for nothing');
SELECT throws_ok($$INSERT INTO shop.notes (note) VALUES ('ghost')$$, 'TN002', NULL, 'nor can it be written for');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT tenancy.set_tenant('globex', false) \g /dev/null
SELECT t.admin($$SELECT tenancy.drop_tenant('globex', true)$$) \g /dev/null
SELECT throws_ok('SELECT tenancy.current_tenant()', 'TN002', NULL, 'nor is a dropped schema tenant''s');
SELECT throws_ok('SELECT * FROM notes', '42P01', NULL, 'whose tables are gone');
SELECT throws_ok('SELECT * FROM shop.notes', 'TN002', NULL, 'and which leads into no others');
SELECT tenancy.reset_tenant() \g /dev/null

-- ---------------------------------------------------------------------------
-- Access by membership
-- ---------------------------------------------------------------------------
SELECT t.admin($$GRANT app TO clerk$$) \g /dev/null
SELECT tenancy.set_tenant('hooli', false) \g /dev/null
SELECT is(t.count('shop.notes'), 0::bigint, 'a member of a role with access');
SELECT t.admin($$REVOKE app FROM clerk$$) \g /dev/null
SELECT throws_ok($$SELECT t.count('shop.notes')$$, '42501', NULL, 'loses it with the membership');
SELECT throws_ok($$SELECT tenancy.set_tenant('hooli')$$, '42501', NULL, 'for every tenant that it gave');
SELECT tenancy.reset_tenant() \g /dev/null
SELECT lives_ok($$SELECT tenancy.set_tenant('acme')$$, 'but not for its own');

SELECT * FROM finish();
