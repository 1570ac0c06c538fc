--
-- Schema t: helpers that any role may call.
--
CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO PUBLIC;
CREATE EXTENSION IF NOT EXISTS dblink;

-- Run a statement; how many rows did it return or change?
CREATE FUNCTION t.rows(sql text) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	EXECUTE sql;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;

-- The first column of a query's first row, as text.
CREATE FUNCTION t.value(sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	v text;
BEGIN
	EXECUTE pg_catalog.format('SELECT x::text FROM (%s) AS s (x)', sql) INTO v;
	RETURN v;
END $$;

-- The error that a statement ends with: its SQLSTATE, or all of its text.
CREATE FUNCTION t.state(sql text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	RETURN '00000';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

CREATE FUNCTION t.error(sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE sql;
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN pg_catalog.concat_ws(' | ', SQLSTATE, SQLERRM, detail, hint);
END $$;

-- The text of a plan.
CREATE FUNCTION t.plan(sql text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || sql LOOP
		plan := plan || line || E'\n';
	END LOOP;
	RETURN plan;
END $$;

-- A statement in another session, committed when this returns; it keeps its
-- connection under a name.
CREATE FUNCTION t.elsewhere(session text, role text, database text, sql text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF NOT COALESCE(session = ANY (public.dblink_get_connections()), false) THEN
		PERFORM public.dblink_connect_u(session, format(E'host=%s port=%s dbname=\'%s\' user=\'%s\'',
			split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'),
			regexp_replace(database, E'([\'\\\\])', E'\\\\\\1', 'g'), regexp_replace(role, E'([\'\\\\])', E'\\\\\\1', 'g')));
		PERFORM public.dblink_exec(session, 'SET client_min_messages = warning');
	END IF;
	RETURN (SELECT v FROM public.dblink(session, sql) AS r (v text));
END $$;

CREATE FUNCTION t.elsewhere(session text, role text, sql text) RETURNS text
LANGUAGE sql AS 'SELECT t.elsewhere(session, role, pg_catalog.current_database(), sql)';

-- The administrator's session.
CREATE FUNCTION t.admin(sql text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT t.elsewhere(''admin'', current_user::text, sql)';

CREATE FUNCTION t.leave(session text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT public.dblink_disconnect(session)';
