--
-- Texts in definitions that name the model schema: nobody replaces them in copies.
--
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE ROLE regress_owner NOLOGIN;
CREATE ROLE regress_app LOGIN;
CREATE EXTENSION tenancy;
CREATE SCHEMA model AUTHORIZATION regress_owner;
CREATE SCHEMA "Plug ""in" AUTHORIZATION regress_owner;
CREATE SCHEMA models AUTHORIZATION regress_owner;
SELECT tenancy.create_module('main', 'model');
SELECT tenancy.create_module('plug', 'Plug "in');
SELECT tenancy.grant_access('regress_app');
SET ROLE regress_owner;
SET search_path = model;
CREATE SEQUENCE seq;
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION has(t text) RETURNS boolean LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT t IS NOT NULL; END;

-- What means something else, or is an OID, which copies have as their own
CREATE TABLE silent (
	id bigint DEFAULT nextval('model.seq'),
	rel regclass DEFAULT 'model.seq',
	rels regclass[] DEFAULT '{model.seq,model.silent}',
	kind text DEFAULT 'model' CHECK (kind IN ('model', 'models')),
	code varchar(20) DEFAULT 'model',
	site text DEFAULT 'https://model.example.com/model' CHECK (site <> 'me@model.example.com'),
	file text DEFAULT '/srv/model.d/x' CHECK (file <> '../model.txt'),
	word text DEFAULT 'models.x' CHECK (word NOT IN ('supermodel.x', 'model_x.y', 'a model.', 'Of this model. Or that', 'model 1.5, model.5')));
COMMENT ON TABLE silent IS 'model.silent';
CREATE TRIGGER fire BEFORE INSERT ON silent FOR EACH ROW WHEN (new.kind = 'model') EXECUTE FUNCTION fire('models', 'models.x', '');
CREATE VIEW silent_view AS SELECT id, 'model' AS kind FROM model.silent WHERE kind = 'model' AND rel = 'model.seq'::regclass;
CREATE FUNCTION silent() RETURNS int LANGUAGE sql SET search_path = model, pg_temp SET application_name = 'model' BEGIN ATOMIC SELECT 1; END;
SET client_min_messages = notice;
RESET ROLE;
SELECT tenancy.create_tenant('silent', 'schema') IS NOT NULL AS created;
SELECT * FROM tenancy.check_isolation() WHERE lint = 'definition_names_model';
SET client_min_messages = warning;
SELECT tenancy.drop_tenant('silent', true);

-- Each kind of definition
SET ROLE regress_owner;
CREATE TABLE a_default (id bigint DEFAULT nextval('model.seq'::text::regclass));
CREATE TABLE b_generated (id int, x boolean GENERATED ALWAYS AS (has('SELECT 1 FROM MODEL.silent')) STORED);
CREATE TABLE c_check (id int CONSTRAINT c_check CHECK (has('"model".silent')));
CREATE DOMAIN d_domain AS text CONSTRAINT d_check CHECK (has('model.' || value));
CREATE DOMAIN e_domain AS text DEFAULT lower('model.x');
CREATE TABLE f_index (id text);
CREATE INDEX f_expression ON f_index ((has(id || ' model.silent')));
CREATE INDEX f_predicate ON f_index (id) WHERE has('model.silent');
CREATE FUNCTION concat_op(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a || b; END;
CREATE TABLE g_exclusion (id text, CONSTRAINT g_excluded EXCLUDE USING btree (concat_op(id, 'model.silent') WITH =));
CREATE VIEW h_view AS SELECT to_regclass('model.silent') AS t;
CREATE VIEW h_sub AS SELECT 1 AS x FROM (SELECT has_schema_privilege('model', 'USAGE') AS t OFFSET 0) s WHERE EXISTS (SELECT FROM pg_class WHERE oid = s.t::int::oid);
CREATE MATERIALIZED VIEW i_matview AS SELECT format('SELECT * FROM %I.%I', 'model', 'silent') AS t;
CREATE TABLE j_rule (id int);
CREATE RULE j_ruled AS ON INSERT TO j_rule DO ALSO SELECT query_to_xml('SELECT * FROM model.silent', true, true, '');
CREATE TABLE k_trigger (id text);
CREATE TRIGGER k_argument BEFORE INSERT ON k_trigger FOR EACH ROW EXECUTE FUNCTION fire('', 'model');
CREATE TRIGGER k_arguments BEFORE INSERT ON k_trigger FOR EACH ROW EXECUTE FUNCTION fire('a\000b', 'ä', 'model.silent');
CREATE TRIGGER k_when BEFORE INSERT ON k_trigger FOR EACH ROW WHEN (new.id = 'model.silent') EXECUTE FUNCTION fire();
CREATE TABLE l_policy (id text);
ALTER TABLE l_policy ENABLE ROW LEVEL SECURITY;
CREATE POLICY l_using ON l_policy USING (has('model.silent'));
CREATE POLICY l_checked ON l_policy FOR INSERT WITH CHECK (has('model.silent'));
CREATE STATISTICS m_statistics ON has(id || 'model.silent') FROM k_trigger;
CREATE FUNCTION n_body() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT set_config('search_path', 'x, model', true); END;
CREATE FUNCTION n_return() RETURNS regclass LANGUAGE sql RETURN to_regclass('model.silent');
CREATE FUNCTION n_argument(t text DEFAULT 'model.silent') RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
CREATE FUNCTION n_setting() RETURNS int LANGUAGE sql SET application_name = 'for model.silent' BEGIN ATOMIC SELECT 1; END;
CREATE TABLE o_partitioned (id text, x boolean CHECK (has('model.silent'))) PARTITION BY RANGE (concat_op(id, 'model.silent'));
CREATE TABLE o_partition PARTITION OF o_partitioned FOR VALUES FROM ('a') TO ('b');
CREATE TABLE p_types (a text[] DEFAULT '{x,model.silent}', j jsonb DEFAULT '{"t": "model.silent"}', n name DEFAULT 'model.silent');
RESET search_path;
CREATE TABLE "Plug ""in".other (id text DEFAULT '"Plug ""in".other', main text DEFAULT 'model.silent', plain text DEFAULT 'plug in.other');
GRANT SELECT, INSERT ON model.silent, model.h_view TO regress_app;
GRANT USAGE ON SEQUENCE model.seq TO regress_app;
RESET ROLE;
SELECT current_user AS admin \gset
SET client_min_messages = notice;
SELECT tenancy.create_tenant('a', 'schema') IS NOT NULL AS created;
-- once in a session
SELECT tenancy.create_tenant('b', 'schema') IS NOT NULL AS created;
SELECT tenancy.install_module('a', 'plug');
SET client_min_messages = warning;
SELECT object, detail FROM tenancy.check_isolation() WHERE lint = 'definition_names_model';
SELECT DISTINCT severity, fix FROM tenancy.check_isolation() WHERE lint = 'definition_names_model';
SELECT * FROM tenancy.drift();

-- So they do; what is an OID does not
\c - regress_app
\set SHOW_CONTEXT never
SELECT tenancy.set_tenant('a', false) IS NOT NULL AS set;
SELECT t::text FROM h_view;
INSERT INTO silent DEFAULT VALUES RETURNING id, rel, rels, kind;
\c - :admin
SET client_min_messages = warning;

DROP EXTENSION tenancy CASCADE;
DROP SCHEMA model, models, "Plug ""in", tenant_a, tenant_b, "tenant_a_plugin_plug" CASCADE;
DROP ROLE regress_owner, regress_app;
