-- What every object of the extension must have: a comment, and no privilege for
-- PUBLIC.
SELECT plan(3);

CREATE TEMP VIEW ours AS
SELECT p.oid, p.oid::regprocedure::text AS name, p.proacl
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'tenancy';

SELECT cmp_ok((SELECT count(*) FROM ours), '>', 30::bigint, 'the functions are found');
SELECT is_empty($$SELECT name FROM ours WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'each function has a comment');
SELECT is_empty($$SELECT name FROM ours
	WHERE proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0)$$,
	'PUBLIC may execute none of them');
SELECT * FROM finish();
