/*
 * drift.c: comparing copies with their models
 *
 * The views and functions describe schemas by their catalogs.  Their operators are
 * bound here, while nothing but PostgreSQL's own are in reach, and not where they are
 * read.
 */

/* The copies of modules that are schemas of this database */
CREATE VIEW tenancy.drift_copy AS
	SELECT t.id AS tenant_id, t.slug AS tenant, m.name AS module, m.position,
		   c.level, m.level AS model_level, m.model_schema, model.oid AS model,
		   s.main_schema, main.oid AS main_namespace, s.schema_name, n.oid AS namespace
	FROM tenancy.tenant t
	JOIN tenancy.module_copy c ON c.tenant_id = t.id
	JOIN tenancy.module m ON m.name = c.module
	CROSS JOIN LATERAL (SELECT t.schema_name AS main_schema,
						CASE WHEN m.position = 1 THEN t.schema_name
						ELSE pg_catalog.concat(t.schema_name, '_plugin_', m.name)::name END AS schema_name) s
	LEFT JOIN pg_catalog.pg_namespace model ON model.nspname = m.model_schema
	LEFT JOIN pg_catalog.pg_namespace main ON main.nspname = s.main_schema
	LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema_name
	WHERE t.mode = 'schema' AND t.status <> 'dropping';

/* What is in schemas, but for members of extensions and what is part of something */
CREATE VIEW tenancy.drift_member AS
	SELECT d.refobjid AS namespace, n.nspowner AS owner, d.classid, d.objid
	FROM pg_catalog.pg_depend d
	JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid
	WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.deptype = 'n'
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classid
					AND e.objid = d.objid AND e.deptype IN ('e', 'i')
					AND e.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass
					AND (e.deptype = 'e' OR d.classid <> 'pg_catalog.pg_class'::pg_catalog.regclass));

/*
 * From which side a schema is looked at:
 *
 * copy		it is a schema tenant's copy of a module
 * model	it is the model, and described is what a copy in a schema is to be
 * database it is the copy in a tenant's database
 * template it is the model, and described is what a copy in a database is to be
 *
 * Whatever owner something has in the model, its copy has that of the schema.
 */
CREATE FUNCTION tenancy.drift_owner(owner oid, schema_owner oid, side text)
RETURNS oid
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT CASE WHEN side IN ('model', 'template', 'withheld') THEN schema_owner ELSE owner END;
END;

COMMENT ON FUNCTION tenancy.drift_owner(oid, oid, text) IS
'For drift(): the owner that something is to have';

/*
 * Who holds what, whoever granted it.  In a copy in a schema, nobody who may act for
 * tenants has TRUNCATE, REFERENCES or TRIGGER, whatever the model gives; and of what is
 * "withheld" there, only the owner has anything.
 */
CREATE FUNCTION tenancy.drift_privileges(acl aclitem[], kind "char", owner oid, schema_owner oid, side text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN (SELECT string_agg(p.text, ', ' ORDER BY p.text COLLATE "C")
		FROM (SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END || ' ' ||
			  lower(a.privilege_type) || CASE WHEN a.is_grantable AND a.grantee <> o.owner THEN ' with grant option' ELSE '' END AS text
			  FROM (SELECT tenancy.drift_owner(drift_privileges.owner, schema_owner, side)) o (owner),
			  LATERAL (SELECT CASE e.grantee WHEN drift_privileges.owner THEN o.owner ELSE e.grantee END AS grantee, e.privilege_type, e.is_grantable
					   FROM aclexplode(COALESCE(acl, acldefault(kind, drift_privileges.owner))) e) a
			  WHERE side NOT IN ('model', 'withheld') OR a.grantee = o.owner OR side = 'model' AND (a.privilege_type NOT IN ('TRUNCATE', 'REFERENCES', 'TRIGGER')
			  OR a.grantee <> 0 AND NOT EXISTS (SELECT FROM tenancy.access x WHERE pg_has_role(x.role, a.grantee, 'MEMBER')))) p);

COMMENT ON FUNCTION tenancy.drift_privileges(aclitem[], "char", oid, oid, text) IS
'For drift(): who holds which privileges, as a text';

/* The materialized views of models, and what reads them: see matview_readers(). */
CREATE FUNCTION tenancy.drift_withheld()
RETURNS SETOF oid
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT w FROM tenancy.matview_readers(ARRAY(
		SELECT c.oid FROM tenancy.module m
		JOIN pg_namespace n ON n.nspname = m.model_schema
		JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND d.classid = 'pg_class'::regclass
		JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'm')) w;
END;
COMMENT ON FUNCTION tenancy.drift_withheld() IS
'For drift(): what nobody but its owner has privileges on in tenants'' schemas';

/*
 * The same for a schema itself.  Whoever may act for a tenant, and nobody else but the
 * owners of plug-ins, is to use its schemas; in databases CONNECT is what counts, and all may use the schemas.
 */
CREATE FUNCTION tenancy.drift_schema_privileges(schema_oid oid, tenant uuid, side text)
RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN (SELECT string_agg(p.text, ', ' ORDER BY p.text COLLATE "C")
		FROM (SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END || ' ' ||
			  lower(a.privilege_type) || CASE WHEN a.is_grantable AND a.grantee <> n.nspowner THEN ' with grant option' ELSE '' END AS text
			  FROM pg_namespace n, aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) a
			  WHERE n.oid = schema_oid
			  AND (a.grantee = n.nspowner
				   OR side <> 'model' AND (a.privilege_type <> 'USAGE' OR a.is_grantable OR side = 'copy' AND NOT EXISTS (
					SELECT FROM tenancy.access x WHERE x.role = a.grantee AND (x.tenant_id IS NULL OR x.tenant_id = tenant)
					UNION ALL SELECT FROM tenancy.module m JOIN pg_namespace p ON p.nspname = m.model_schema
					WHERE m.position > 1 AND p.nspowner = a.grantee)))
			  UNION
			  SELECT r.oid::regrole::text || ' without usage'
			  FROM pg_namespace n, tenancy.access x JOIN pg_authid r ON r.oid = x.role
			  WHERE side = 'copy' AND n.oid = schema_oid AND (x.tenant_id IS NULL OR x.tenant_id = tenant)
			  AND NOT EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = r.oid AND a.privilege_type = 'USAGE')) p);

COMMENT ON FUNCTION tenancy.drift_schema_privileges(oid, uuid, text) IS
'For drift(): who holds which privileges on a schema, but for those that it is to give, and who lacks these, as a text';

REVOKE ALL ON FUNCTION tenancy.drift_owner(oid, oid, text), tenancy.drift_privileges(aclitem[], "char", oid, oid, text), tenancy.drift_withheld() FROM PUBLIC;
REVOKE ALL ON FUNCTION tenancy.drift_schema_privileges(oid, uuid, text) FROM PUBLIC;

/* A sequence's parameters */
CREATE VIEW tenancy.drift_sequence AS
	SELECT s.seqrelid, pg_catalog.concat_ws(' ', pg_catalog.format_type(s.seqtypid, NULL),
		'start', s.seqstart, 'increment', s.seqincrement, 'minimum', s.seqmin, 'maximum', s.seqmax,
		'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END) AS parameters
	FROM pg_catalog.pg_sequence s;

/* Policies as texts */
CREATE VIEW tenancy.drift_policy AS
	SELECT p.polrelid, p.polname, pg_catalog.concat(CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
		CASE WHEN p.polcmd <> '*' THEN ' for one command only' END, CASE WHEN p.polroles <> '{0}' THEN ' for some roles only' END,
		' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
		' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')') AS text
	FROM pg_catalog.pg_policy p;

/* What is in operator families, as texts, and whether it hangs on a class or the family */
CREATE VIEW tenancy.drift_family_member AS
	SELECT o.amopfamily AS family, d.refclassid, d.refobjid,
		   pg_catalog.concat('operator ', o.amopstrategy, ' ', o.amopopr::pg_catalog.regoperator,
			(SELECT ' for order by ' || f.opfname FROM pg_catalog.pg_opfamily f WHERE f.oid = o.amopsortfamily)) AS text
	FROM pg_catalog.pg_amop o
	JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_amop'::pg_catalog.regclass AND d.objid = o.oid
UNION ALL
	SELECT p.amprocfamily, d.refclassid, d.refobjid,
		   pg_catalog.concat('function ', p.amprocnum, ' (', pg_catalog.format_type(p.amproclefttype, NULL), ', ',
			pg_catalog.format_type(p.amprocrighttype, NULL), ') ', p.amproc::pg_catalog.regprocedure)
	FROM pg_catalog.pg_amproc p
	JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_amproc'::pg_catalog.regclass AND d.objid = p.oid;

/* ALTER ... DEPENDS ON EXTENSION */
CREATE VIEW tenancy.drift_need AS
	SELECT d.classid, d.objid, pg_catalog.string_agg(e.extname, ', ' ORDER BY e.extname) AS extensions
	FROM pg_catalog.pg_depend d
	JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'x'
	GROUP BY d.classid, d.objid;

/*
 * Every object of a schema, with the objects that it is part of (with \x01 between
 * them), the names of its properties and their settings.
 *
 * It has no path of its own: PostgreSQL leaves out, of what it deparses, the names of
 * the schemas on the caller's, which is what makes copies comparable.  Nothing here is
 * looked up by name when it runs.
 */
CREATE FUNCTION tenancy.drift_objects(schema_oid oid, tenant uuid, side text)
RETURNS TABLE (whole text, object text, properties text[], settings text[])
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT NULL::text, 'the schema',
		   ARRAY['owner', 'privileges', 'comment', 'security labels'],
		   ARRAY[n.nspowner::pg_catalog.regrole::text, tenancy.drift_schema_privileges(schema_oid, tenant, side),
				 pg_catalog.obj_description(n.oid, 'pg_namespace'),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = n.oid AND l.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND l.objsubid = 0)]
	FROM pg_catalog.pg_namespace n WHERE n.oid = schema_oid
UNION ALL
	-- Copies take over the owner's default privileges only
	SELECT NULL, 'default privileges of ' || d.defaclrole::pg_catalog.regrole::text || ' for ' || CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' ELSE d.defaclobjtype::text END
		   || CASE WHEN d.defaclnamespace = 0 THEN ' in all schemas' ELSE '' END,
		   ARRAY['privileges'],
		   ARRAY[tenancy.drift_privileges(d.defaclacl, 'r', d.defaclrole, d.defaclrole, side)]
	FROM pg_catalog.pg_namespace n
	JOIN pg_catalog.pg_default_acl d ON d.defaclnamespace = n.oid OR
		(side IN ('database', 'template') AND d.defaclnamespace = 0 AND d.defaclrole = n.nspowner AND d.defaclobjtype IN ('r', 'S', 'f', 'T'))
	WHERE n.oid = schema_oid AND (d.defaclrole = n.nspowner OR side IN ('copy', 'database'))
UNION ALL
	-- Tables
	SELECT CASE WHEN c.relispartition THEN (SELECT 'table ' || p.relname FROM pg_catalog.pg_inherits i
						 JOIN pg_catalog.pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid) END,
		   CASE c.relkind WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || c.relname,
		   ARRAY['kind', 'persistence', 'owner', 'access method', 'tablespace', 'storage options', 'replica identity',
				 'type', 'parents', 'partition key', 'partition bounds', 'keys of its parent', 'constraints of its parents', 'triggers of its parent', CASE WHEN side IN ('copy', 'model') THEN 'isolation' ELSE 'row security' END,
				 CASE WHEN side IN ('copy', 'model') THEN 'isolation''s check' ELSE 'policy tenant_isolation' END,
				 CASE WHEN side IN ('copy', 'model') THEN 'access policy' ELSE 'policy tenant_access' END, 'privileges', 'comment', 'security labels'],
		   ARRAY[c.relkind::text, c.relpersistence::text, tenancy.drift_owner(c.relowner, m.owner, side)::pg_catalog.regrole::text,
				 (SELECT a.amname::text FROM pg_catalog.pg_am a WHERE a.oid = c.relam),
				 (SELECT s.spcname::text FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace),
				 pg_catalog.concat(c.reloptions::text, (SELECT t.reloptions::text FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid)),
				 c.relreplident::text,
				 CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END,
				 (SELECT pg_catalog.string_agg(i.inhparent::pg_catalog.regclass::text, ', ' ORDER BY i.inhseqno)
				  FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
				 CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
				 pg_catalog.pg_get_expr(c.relpartbound, c.oid),
				 CASE WHEN c.relispartition THEN
				 (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(k.conname), CASE WHEN i.indisclustered THEN '(clustered)' END,
				   CASE WHEN i.indisreplident THEN '(replica identity)' END, x.reloptions::text,
				   (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = x.reltablespace), pg_catalog.obj_description(k.oid, 'pg_constraint')), ', ' ORDER BY k.conname)
				  FROM pg_catalog.pg_constraint k
				  JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid
				  JOIN pg_catalog.pg_class x ON x.oid = k.conindid
				  WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x') AND k.conparentid <> 0) END,
				 (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(k.conname), CASE WHEN NOT k.convalidated THEN '(not valid)' END,
				   pg_catalog.obj_description(k.oid, 'pg_constraint')), ', ' ORDER BY k.conname)
				  FROM pg_catalog.pg_constraint k
				  WHERE k.conrelid = c.oid AND (k.contype = 'c' AND NOT k.conislocal OR k.contype = 'f' AND EXISTS (
				   SELECT FROM pg_catalog.pg_constraint u WHERE u.oid = k.conparentid AND u.conrelid <> k.conrelid))
				  AND k.confrelid <> 'tenancy.tenant'::pg_catalog.regclass),
				 CASE WHEN c.relispartition AND c.relhastriggers THEN
				 (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(g.tgname),
				   CASE g.tgenabled WHEN u.tgenabled THEN NULL WHEN 'O' THEN '(enabled)' WHEN 'D' THEN '(disabled)' WHEN 'R' THEN '(enabled on replicas only)' ELSE '(enabled always)' END,
				   pg_catalog.obj_description(g.oid, 'pg_trigger')), ', ' ORDER BY g.tgname)
				  FROM pg_catalog.pg_trigger g
				  JOIN pg_catalog.pg_trigger u ON u.oid = g.tgparentid
				  WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
				  AND (g.tgenabled <> u.tgenabled OR pg_catalog.obj_description(g.oid, 'pg_trigger') IS NOT NULL)) END,
				 CASE WHEN side = 'model' THEN 'in force'
				 WHEN side <> 'copy' THEN
				 CASE WHEN c.relrowsecurity THEN 'on' ELSE 'off' END || CASE WHEN c.relforcerowsecurity THEN ', forced' ELSE '' END
				 WHEN c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
					SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_isolation'
					AND NOT p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}'
					AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'tenancy.policy_is_tenant(''' || tenant || '''::uuid)')
				 THEN 'in force' ELSE 'broken' END,
				 CASE side WHEN 'model' THEN
				 (WITH RECURSIVE up (relation) AS (SELECT c.oid UNION SELECT i.inhparent FROM up JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.relation)
				  SELECT '(tenancy.policy_is_tenant(''(own id)''::uuid) AND (' || pg_catalog.quote_ident(t.tenant_column) || ' = ''(own id)''::uuid))'
				  FROM up JOIN tenancy.protected_table t ON t.relation = up.relation LIMIT 1)
				 WHEN 'copy' THEN
				 (SELECT pg_catalog.replace(pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), tenant::text, '(own id)')
				  FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_isolation')
				 ELSE (SELECT p.text FROM tenancy.drift_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_isolation') END,
				 CASE side WHEN 'model' THEN
				 CASE WHEN (NOT c.relrowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_access'))
				 AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polname <> 'tenant_access')
				 THEN 'lets through' ELSE 'none' END
				 WHEN 'copy' THEN COALESCE(
				 (SELECT CASE WHEN p.polpermissive AND p.polcmd = '*' AND p.polroles = '{0}' AND p.polwithcheck IS NULL
				  AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'tenancy.policy_allow(tableoid)' THEN 'lets through' ELSE 'not what it should be' END
				  FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_access'), 'none')
				 ELSE (SELECT p.text FROM tenancy.drift_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant_access') END,
				 tenancy.drift_privileges(c.relacl, 'r', c.relowner, m.owner, side),
				 pg_catalog.obj_description(c.oid, 'pg_class'),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = c.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = 0)]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid AND c.relkind IN ('r', 'p', 'f')
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Views
	SELECT NULL, CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || c.relname,
		   ARRAY['query', 'owner', 'options', 'access method', 'tablespace', 'replica identity', 'columns'' defaults', 'depends on extensions', 'privileges', 'comment', 'security labels'],
		   ARRAY[pg_catalog.pg_get_viewdef(c.oid), tenancy.drift_owner(c.relowner, m.owner, side)::pg_catalog.regrole::text,
				 pg_catalog.concat(c.reloptions::text, (SELECT t.reloptions::text FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid)),
				 (SELECT a.amname::text FROM pg_catalog.pg_am a WHERE a.oid = c.relam),
				 (SELECT s.spcname::text FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace), c.relreplident::text,
				 (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, pg_catalog.pg_get_expr(f.adbin, f.adrelid),
				  CASE WHEN a.attacl IS NOT NULL THEN tenancy.drift_privileges(a.attacl, 'c', c.relowner, m.owner,
				   CASE WHEN side = 'model' AND c.oid IN (SELECT tenancy.drift_withheld()) THEN 'withheld' ELSE side END) END,
				  pg_catalog.col_description(c.oid, a.attnum)), ', ' ORDER BY a.attnum)
				  FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
				  WHERE a.attrelid = c.oid AND a.attnum > 0 AND c.relkind = 'v'),
				 (SELECT n.extensions FROM tenancy.drift_need n WHERE n.classid = m.classid AND n.objid = c.oid),
				 tenancy.drift_privileges(c.relacl, 'r', c.relowner, m.owner,
				  CASE WHEN side = 'model' AND c.oid IN (SELECT tenancy.drift_withheld()) THEN 'withheld' ELSE side END),
				 pg_catalog.obj_description(c.oid, 'pg_class'),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = c.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = 0)]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid AND c.relkind IN ('v', 'm')
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Sequences, but for those of identity columns
	SELECT 'column ' || o.relname || '.' || a.attname, 'sequence ' || c.relname,
		   ARRAY['parameters', 'column', 'persistence', 'owner', 'privileges', 'comment', 'security labels'],
		   ARRAY[s.parameters, o.relname || '.' || a.attname, c.relpersistence::text, tenancy.drift_owner(c.relowner, m.owner, side)::pg_catalog.regrole::text,
				 tenancy.drift_privileges(c.relacl, 's', c.relowner, m.owner, side),
				 pg_catalog.obj_description(c.oid, 'pg_class'),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = c.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = 0)]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid AND c.relkind = 'S'
	JOIN tenancy.drift_sequence s ON s.seqrelid = c.oid
	LEFT JOIN pg_catalog.pg_depend d ON d.classid = m.classid AND d.objid = c.oid AND d.objsubid = 0
		AND d.refclassid = m.classid AND d.refobjsubid <> 0 AND d.deptype IN ('a', 'i')
	LEFT JOIN pg_catalog.pg_class o ON o.oid = d.refobjid
	LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IS DISTINCT FROM 'i'
UNION ALL
	-- Columns; the server keeps a version of its own among the options
	SELECT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'table ' END || c.relname, 'column ' || c.relname || '.' || a.attname,
		   ARRAY['type', 'not null', 'default', 'generated', 'identity', 'sequence of the identity', 'collation', 'storage', 'compression',
				 'statistics target', 'options', 'privileges', 'comment', 'security labels'],
		   ARRAY[pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull::text,
				 pg_catalog.pg_get_expr(f.adbin, f.adrelid), a.attgenerated::text,
				 CASE a.attidentity WHEN '' THEN NULL ELSE
				 (SELECT pg_catalog.concat_ws(' ', CASE a.attidentity WHEN 'a' THEN 'always' ELSE 'by default' END, s.parameters)
				  FROM pg_catalog.pg_depend d JOIN tenancy.drift_sequence s ON s.seqrelid = d.objid
				  WHERE d.classid = m.classid AND d.refclassid = m.classid AND d.refobjid = c.oid
				  AND d.refobjsubid = a.attnum AND d.deptype = 'i') END,
				 CASE a.attidentity WHEN '' THEN NULL ELSE
				 (SELECT pg_catalog.concat_ws(', ', pg_catalog.quote_ident(q.relname), CASE q.relpersistence WHEN c.relpersistence THEN NULL WHEN 'u' THEN 'unlogged' ELSE 'logged' END,
				   tenancy.drift_privileges(q.relacl, 's', q.relowner, m.owner, side), pg_catalog.obj_description(q.oid, 'pg_class'),
				   (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
					FROM pg_catalog.pg_seclabel l WHERE l.objoid = q.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = 0))
				  FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class q ON q.oid = d.objid
				  WHERE d.classid = m.classid AND d.refclassid = m.classid AND d.refobjid = c.oid
				  AND d.refobjsubid = a.attnum AND d.deptype = 'i') END,
				 CASE WHEN a.attcollation <> 0 THEN a.attcollation::pg_catalog.regcollation::text END,
				 a.attstorage::text, a.attcompression::text, COALESCE(a.attstattarget, -1)::text,
				 (SELECT pg_catalog.string_agg(o, ', ') FROM pg_catalog.unnest(a.attoptions) o WHERE NOT pg_catalog.starts_with(o, 'pg_attver=')),
				 CASE WHEN a.attacl IS NOT NULL THEN tenancy.drift_privileges(a.attacl, 'c', c.relowner, m.owner,
				  CASE WHEN side = 'model' AND c.relkind = 'm' THEN 'withheld' ELSE side END) END,
				 pg_catalog.col_description(c.oid, a.attnum),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = c.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objsubid = a.attnum)]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid AND c.relkind IN ('r', 'p', 'f', 'm')
	JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Constraints, but for inherited ones and the reference to the registry
	SELECT 'table ' || c.relname, 'constraint ' || k.conname || ' on ' || c.relname,
		   ARRAY['definition', 'enforced', 'index options', 'index tablespace', 'clustered', 'replica identity', 'comment', 'comment on its index'],
		   ARRAY[pg_catalog.pg_get_constraintdef(k.oid),
				 CASE WHEN k.contype = 'f' THEN (NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgenabled IN ('D', 'R')))::text END,
				 x.reloptions::text,
				 (SELECT s.spcname::text FROM pg_catalog.pg_tablespace s WHERE s.oid = x.reltablespace),
				 i.indisclustered::text, i.indisreplident::text,
				 pg_catalog.obj_description(k.oid, 'pg_constraint'), pg_catalog.obj_description(x.oid, 'pg_class')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid
	JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
		AND k.conparentid = 0 AND (k.conislocal OR k.contype <> 'c')
		AND k.confrelid <> 'tenancy.tenant'::pg_catalog.regclass
	LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
	LEFT JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Indexes, but for those of constraints
	SELECT pg_catalog.concat_ws(E'\x01', CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'table ' END || c.relname,
											 (SELECT 'index ' || p.relname FROM pg_catalog.pg_inherits h
											  JOIN pg_catalog.pg_class p ON p.oid = h.inhparent WHERE h.inhrelid = x.oid)),
		   'index ' || x.relname,
		   ARRAY['definition', 'tablespace', 'valid', 'clustered', 'replica identity', 'statistics targets', 'depends on extensions', 'comment'],
		   ARRAY[pg_catalog.pg_get_indexdef(x.oid, 0, true),
				 (SELECT s.spcname::text FROM pg_catalog.pg_tablespace s WHERE s.oid = x.reltablespace),
				 i.indisvalid::text, i.indisclustered::text, i.indisreplident::text,
				 CASE WHEN i.indexprs IS NOT NULL THEN
				 (SELECT pg_catalog.string_agg(COALESCE(a.attstattarget, -1)::text, ' ' ORDER BY a.attnum)
				  FROM pg_catalog.pg_attribute a WHERE a.attrelid = x.oid) END,
				 (SELECT n.extensions FROM tenancy.drift_need n WHERE n.classid = m.classid AND n.objid = x.oid),
				 pg_catalog.obj_description(x.oid, 'pg_class')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid
	JOIN pg_catalog.pg_index i ON i.indrelid = c.oid
	JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = m.classid AND d.objid = x.oid
					AND d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.deptype = 'i')
UNION ALL
	-- Policies, but for ours
	SELECT 'table ' || c.relname, 'policy ' || p.polname || ' on ' || c.relname,
		   ARRAY['permissive', 'command', 'roles', 'condition', 'check', 'comment'],
		   ARRAY[p.polpermissive::text, p.polcmd::text,
				 (SELECT pg_catalog.string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE r::pg_catalog.regrole::text END, ', ' ORDER BY r)
				  FROM pg_catalog.unnest(p.polroles) r),
				 pg_catalog.pg_get_expr(p.polqual, c.oid), pg_catalog.pg_get_expr(p.polwithcheck, c.oid),
				 pg_catalog.obj_description(p.oid, 'pg_policy')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid
	JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid AND p.polname NOT IN ('tenant_isolation', 'tenant_access')
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Triggers
	SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.relname,
		   'trigger ' || g.tgname || ' on ' || c.relname,
		   ARRAY['definition', 'enabled', 'depends on extensions', 'comment'],
		   ARRAY[pg_catalog.pg_get_triggerdef(g.oid, true), g.tgenabled::text,
				 (SELECT n.extensions FROM tenancy.drift_need n WHERE n.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND n.objid = g.oid),
				 pg_catalog.obj_description(g.oid, 'pg_trigger')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid AND c.relhastriggers
	JOIN pg_catalog.pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgparentid = 0
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Rules, but for views' queries
	SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.relname,
		   'rule ' || r.rulename || ' on ' || c.relname,
		   ARRAY['definition', 'enabled', 'comment'],
		   ARRAY[pg_catalog.pg_get_ruledef(r.oid, true), r.ev_enabled::text, pg_catalog.obj_description(r.oid, 'pg_rewrite')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid AND c.relhasrules
	JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename <> '_RETURN'
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Extended statistics
	SELECT CASE c.relkind WHEN 'm' THEN 'materialized view ' ELSE 'table ' END || c.relname, 'statistics ' || s.stxname,
		   ARRAY['columns', 'kinds', 'owner', 'statistics target', 'comment'],
		   ARRAY[c.relname || ': ' || pg_catalog.pg_get_statisticsobjdef_columns(s.oid), s.stxkind::text,
				 tenancy.drift_owner(s.stxowner, m.owner, side)::pg_catalog.regrole::text, COALESCE(s.stxstattarget, -1)::text,
				 pg_catalog.obj_description(s.oid, 'pg_statistic_ext')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_class c ON c.oid = m.objid
	JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = c.oid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
UNION ALL
	-- Functions, procedures, aggregates
	SELECT NULL,
		   CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END || p.proname
		   || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
		   ARRAY['kind', 'body', 'arguments', 'result', 'language', 'volatility', 'strict', 'security definer', 'leakproof',
				 'parallel', 'cost', 'rows', 'settings', 'aggregate', 'support function', 'depends on extensions', 'owner', 'privileges', 'comment', 'security labels'],
		   ARRAY[p.prokind::text, COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), pg_catalog.concat_ws(' ', p.probin, p.prosrc)),
				 pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid),
				 (SELECT l.lanname::text FROM pg_catalog.pg_language l WHERE l.oid = p.prolang),
				 p.provolatile::text, p.proisstrict::text, p.prosecdef::text, p.proleakproof::text, p.proparallel::text,
				 p.procost::text, p.prorows::text,
				 (SELECT pg_catalog.string_agg(CASE WHEN pg_catalog.starts_with(s, 'search_path=') THEN
				   'search_path=' || COALESCE((SELECT pg_catalog.string_agg(CASE e WHEN pg_catalog.quote_ident(n.nspname) THEN '(own)' ELSE e END, ', ' ORDER BY o)
				   FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.substr(s, 13), ', ')) WITH ORDINALITY u(e, o)), '')
				   ELSE s END, ', ' ORDER BY s)
				  FROM pg_catalog.unnest(p.proconfig) s, pg_catalog.pg_namespace n WHERE n.oid = m.namespace),
				 (SELECT pg_catalog.concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn,
				   a.aggminvtransfn, a.aggmfinalfn, a.aggfinalextra, a.aggmfinalextra, a.aggfinalmodify, a.aggmfinalmodify,
				   pg_catalog.format_type(a.aggtranstype, NULL), a.aggtransspace, pg_catalog.format_type(a.aggmtranstype, NULL),
				   a.aggmtransspace, a.agginitval, a.aggminitval, a.aggkind, a.aggnumdirectargs, NULLIF(a.aggsortop, 0)::pg_catalog.regoperator)
				  FROM pg_catalog.pg_aggregate a WHERE a.aggfnoid = p.oid),
				 NULLIF(p.prosupport::text, '-'),
				 (SELECT n.extensions FROM tenancy.drift_need n WHERE n.classid = m.classid AND n.objid = p.oid),
				 tenancy.drift_owner(p.proowner, m.owner, side)::pg_catalog.regrole::text,
				 tenancy.drift_privileges(p.proacl, 'f', p.proowner, m.owner, side),
				 pg_catalog.obj_description(p.oid, 'pg_proc'),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = p.oid AND l.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND l.objsubid = 0)]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_proc p ON p.oid = m.objid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
UNION ALL
	-- Types
	SELECT NULL, CASE t.typtype WHEN 'd' THEN 'domain ' ELSE 'type ' END || t.typname,
		   ARRAY['kind', 'labels', 'attributes', 'base type', 'not null', 'default', 'collation', 'constraints', 'range', 'owner', 'privileges', 'comment', 'security labels'],
		   ARRAY[t.typtype::text,
				 (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
				  FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
				 (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(a.attname), pg_catalog.format_type(a.atttypid, a.atttypmod),
				   CASE WHEN a.attcollation <> 0 THEN a.attcollation::pg_catalog.regcollation END, pg_catalog.col_description(a.attrelid, a.attnum)), ', ' ORDER BY a.attnum)
				  FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped),
				 CASE WHEN t.typbasetype <> 0 THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
				 t.typnotnull::text, t.typdefault,
				 CASE WHEN t.typcollation <> 0 THEN t.typcollation::pg_catalog.regcollation::text END,
				 (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.quote_ident(k.conname), pg_catalog.pg_get_constraintdef(k.oid),
				   pg_catalog.obj_description(k.oid, 'pg_constraint')), ', ' ORDER BY k.conname)
				  FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid),
				 (SELECT pg_catalog.concat_ws(' ', pg_catalog.format_type(r.rngsubtype, NULL), pg_catalog.format_type(r.rngmultitypid, NULL),
				   CASE WHEN r.rngcollation <> 0 THEN r.rngcollation::pg_catalog.regcollation END, r.rngcanonical, r.rngsubdiff,
				   (SELECT o.opcname FROM pg_catalog.pg_opclass o WHERE o.oid = r.rngsubopc))
				  FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
				 tenancy.drift_owner(t.typowner, m.owner, side)::pg_catalog.regrole::text,
				 tenancy.drift_privileges(t.typacl, 'T', t.typowner, m.owner, side),
				 pg_catalog.obj_description(t.oid, 'pg_type'),
				 (SELECT pg_catalog.string_agg(l.provider || ': ' || l.label, ', ' ORDER BY l.provider COLLATE pg_catalog."C")
				  FROM pg_catalog.pg_seclabel l WHERE l.objoid = t.oid AND l.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass AND l.objsubid = 0)]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_type t ON t.oid = m.objid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.typtype <> 'm'
UNION ALL
	-- Collations
	SELECT NULL, 'collation ' || l.collname,
		   ARRAY['provider', 'deterministic', 'locale', 'owner', 'comment'],
		   ARRAY[l.collprovider::text, l.collisdeterministic::text,
				 pg_catalog.concat_ws(' ', l.collcollate, l.collctype,
				  (SELECT pg_catalog.concat_ws(' ', j ->> 'colllocale', j ->> 'colliculocale', j ->> 'collicurules') FROM pg_catalog.to_jsonb(l) j)),
				 tenancy.drift_owner(l.collowner, m.owner, side)::pg_catalog.regrole::text, pg_catalog.obj_description(l.oid, 'pg_collation')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_collation l ON l.oid = m.objid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass
UNION ALL
	-- Operators; those that go together with a plug-in's, which is not on the path, do so where the plug-in is
	SELECT NULL, 'operator ' || o.oprname || '(' || CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END
		   || ',' || CASE WHEN o.oprright = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprright, NULL) END || ')',
		   ARRAY['function', 'result', 'commutator', 'negator', 'estimators', 'hashes', 'merges', 'owner', 'comment'],
		   ARRAY[o.oprcode::pg_catalog.regprocedure::text, pg_catalog.format_type(o.oprresult, NULL),
				 (SELECT p.oid::pg_catalog.regoperator::text FROM pg_catalog.pg_operator p JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace
				  WHERE p.oid = o.oprcom AND n.nspname = ANY (pg_catalog.current_schemas(false))),
				 (SELECT p.oid::pg_catalog.regoperator::text FROM pg_catalog.pg_operator p JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace
				  WHERE p.oid = o.oprnegate AND n.nspname = ANY (pg_catalog.current_schemas(false))),
				 pg_catalog.concat_ws(' ', NULLIF(o.oprrest::text, '-'), NULLIF(o.oprjoin::text, '-')),
				 o.oprcanhash::text, o.oprcanmerge::text, tenancy.drift_owner(o.oprowner, m.owner, side)::pg_catalog.regrole::text, pg_catalog.obj_description(o.oid, 'pg_operator')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_operator o ON o.oid = m.objid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass
UNION ALL
	-- Operator classes and families, with what hangs on each
	SELECT NULL, 'operator class ' || o.opcname || ' for ' || a.amname,
		   ARRAY['type', 'default', 'storage', 'family', 'operators and functions', 'owner', 'comment'],
		   ARRAY[pg_catalog.format_type(o.opcintype, NULL), o.opcdefault::text,
				 CASE WHEN o.opckeytype <> 0 THEN pg_catalog.format_type(o.opckeytype, NULL) END,
				 (SELECT f.opfname::text FROM pg_catalog.pg_opfamily f WHERE f.oid = o.opcfamily),
				 (SELECT pg_catalog.string_agg(f.text, ', ' ORDER BY f.text COLLATE pg_catalog."C") FROM tenancy.drift_family_member f
				  WHERE f.family = o.opcfamily AND f.refclassid = m.classid AND f.refobjid = o.oid),
				 tenancy.drift_owner(o.opcowner, m.owner, side)::pg_catalog.regrole::text, pg_catalog.obj_description(o.oid, 'pg_opclass')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_opclass o ON o.oid = m.objid
	JOIN pg_catalog.pg_am a ON a.oid = o.opcmethod
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass
UNION ALL
	SELECT NULL, 'operator family ' || o.opfname || ' for ' || a.amname,
		   ARRAY['operators and functions', 'owner', 'comment'],
		   ARRAY[(SELECT pg_catalog.string_agg(f.text, ', ' ORDER BY f.text COLLATE pg_catalog."C") FROM tenancy.drift_family_member f
				  WHERE f.family = o.oid AND f.refclassid = m.classid AND f.refobjid = o.oid),
				 tenancy.drift_owner(o.opfowner, m.owner, side)::pg_catalog.regrole::text, pg_catalog.obj_description(o.oid, 'pg_opfamily')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_opfamily o ON o.oid = m.objid
	JOIN pg_catalog.pg_am a ON a.oid = o.opfmethod
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass
UNION ALL
	-- Casts from and to its types
	SELECT DISTINCT NULL, 'cast from ' || pg_catalog.format_type(k.castsource, NULL) || ' to ' || pg_catalog.format_type(k.casttarget, NULL),
		   ARRAY['function', 'method', 'context', 'comment'],
		   ARRAY[CASE WHEN k.castfunc <> 0 THEN k.castfunc::pg_catalog.regprocedure::text END, k.castmethod::text, k.castcontext::text,
				 pg_catalog.obj_description(k.oid, 'pg_cast')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass
		AND d.refobjid = CASE m.classid WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN m.objid
		ELSE (SELECT c.reltype FROM pg_catalog.pg_class c WHERE c.oid = m.objid) END
	JOIN pg_catalog.pg_cast k ON k.oid = d.objid
	WHERE m.namespace = schema_oid AND m.classid IN ('pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)
	AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype IN ('e', 'i'))
UNION ALL
	-- Text search dictionaries
	SELECT NULL, 'text search dictionary ' || t.dictname,
		   ARRAY['template', 'options', 'owner', 'comment'],
		   ARRAY[(SELECT p.tmplnamespace::pg_catalog.regnamespace || '.' || p.tmplname FROM pg_catalog.pg_ts_template p WHERE p.oid = t.dicttemplate),
				 t.dictinitoption, tenancy.drift_owner(t.dictowner, m.owner, side)::pg_catalog.regrole::text, pg_catalog.obj_description(t.oid, 'pg_ts_dict')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_ts_dict t ON t.oid = m.objid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass
UNION ALL
	-- Text search configurations
	SELECT NULL, 'text search configuration ' || t.cfgname,
		   ARRAY['parser', 'mappings', 'owner', 'comment'],
		   ARRAY[(SELECT p.prsnamespace::pg_catalog.regnamespace || '.' || p.prsname FROM pg_catalog.pg_ts_parser p WHERE p.oid = t.cfgparser),
				 (SELECT pg_catalog.string_agg(y.alias || ' ' || k.mapdict::pg_catalog.regdictionary, ', ' ORDER BY k.maptokentype, k.mapseqno)
				  FROM pg_catalog.pg_ts_config_map k JOIN pg_catalog.ts_token_type(t.cfgparser) y ON y.tokid = k.maptokentype WHERE k.mapcfg = t.oid),
				 tenancy.drift_owner(t.cfgowner, m.owner, side)::pg_catalog.regrole::text, pg_catalog.obj_description(t.oid, 'pg_ts_config')]
	FROM tenancy.drift_member m
	JOIN pg_catalog.pg_ts_config t ON t.oid = m.objid
	WHERE m.namespace = schema_oid AND m.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass
UNION ALL
	-- What no model has, since it could not be copied
	SELECT NULL, i.type || ' ' || COALESCE(i.name, i.identity), NULL, NULL
	FROM tenancy.drift_member m
	CROSS JOIN LATERAL pg_catalog.pg_identify_object(m.classid, m.objid, 0) i
	WHERE m.namespace = schema_oid AND m.classid NOT IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass,
		'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass,
		'pg_catalog.pg_extension'::pg_catalog.regclass, 'pg_catalog.pg_default_acl'::pg_catalog.regclass, 'pg_catalog.pg_collation'::pg_catalog.regclass,
		'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass, 'pg_catalog.pg_opfamily'::pg_catalog.regclass,
		'pg_catalog.pg_ts_dict'::pg_catalog.regclass, 'pg_catalog.pg_ts_config'::pg_catalog.regclass);
END;

COMMENT ON FUNCTION tenancy.drift_objects(oid, uuid, text) IS
'For drift(): what is in a schema, with its properties';

REVOKE ALL ON FUNCTION tenancy.drift_objects(oid, uuid, text) FROM PUBLIC;

COMMENT ON VIEW tenancy.drift_copy IS 'For drift(): the copies of modules that are schemas of this database';
COMMENT ON VIEW tenancy.drift_family_member IS 'For drift(): what is in operator families, as texts';
COMMENT ON VIEW tenancy.drift_member IS 'For drift(): what is in schemas';
COMMENT ON VIEW tenancy.drift_need IS 'For drift(): what depends on extensions without being a part of them';
COMMENT ON VIEW tenancy.drift_policy IS 'For drift(): policies as texts';
COMMENT ON VIEW tenancy.drift_sequence IS 'For drift(): the parameters of sequences';

REVOKE ALL ON tenancy.drift_copy, tenancy.drift_family_member, tenancy.drift_member, tenancy.drift_need, tenancy.drift_policy, tenancy.drift_sequence FROM PUBLIC;

CREATE FUNCTION tenancy.drift(tenant text DEFAULT NULL,
							  OUT tenant text, OUT module text, OUT object text, OUT difference text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'tenancy_drift'
LANGUAGE C VOLATILE;
COMMENT ON FUNCTION tenancy.drift(text) IS
'How tenants'' copies of modules differ from their models; no tenant means all';

REVOKE ALL ON FUNCTION tenancy.drift(text) FROM PUBLIC;
