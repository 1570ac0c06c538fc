/*-------------------------------------------------------------------------
 *
 * rows.c
 *	  Checking rows that were brought in past the triggers; files for rows.
 *
 * Rows that are imported or moved have been through the application's triggers
 * once, and these do not fire again.  Neither do those that check foreign keys,
 * so that queries do it when all rows are there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_constraint.h"
#include "compat.h"
#include "exec.h"
#include "miscadmin.h"
#include "progress.h"
#include "registry.h"
#include "rows.h"
#include "storage/fd.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Tables from this size on are worth it. */
#define ANALYZE_PAGES	16

/* What a foreign key, "k", is made of: its columns, "u", in both tables, and their operators. */
#define FOREIGN_KEY \
	" FROM pg_catalog.pg_constraint k" \
	" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop))" \
	"  WITH ORDINALITY AS u(fk, pk, op, n)" \
	" JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) k.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk" \
	" JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) k.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk" \
	" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.op" \
	" JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) o.oprnamespace" \
	" JOIN pg_catalog.pg_class fc ON fc.oid OPERATOR(pg_catalog.=) k.conrelid" \
	" JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) k.confrelid"

/* The rows that have a key, as far as a condition selects them. */
#define ROWS_WITH_KEY \
	"CASE fc.relkind WHEN 'r' THEN 'ONLY ' END, k.conrelid::pg_catalog.regclass," \
	" pg_catalog.string_agg(pg_catalog.format('f.%%I IS NOT NULL', fa.attname)," \
	"  CASE k.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END), %s"

/*
 * Is a row of the other table, p, what a key refers to, whose column is f.%4$I or, put aside,
 * f.c%5$s?  With PERIOD, all such rows together cover the time that its last column has.
 */
#define REFERRED_TO(column) \
	"pg_catalog.string_agg(pg_catalog.format('p.%%1$I OPERATOR(%%2$I.%%3$s) " column "', " MATCH_ARGUMENTS "), ' AND ')" \
	" OPERATOR(pg_catalog.||) CASE WHEN pg_catalog.bool_or(" TENANCY_IS_PERIOD ") THEN (pg_catalog.array_agg(pg_catalog.format(" \
	"' HAVING " column " OPERATOR(pg_catalog.<@) pg_catalog.range_agg(p.%%1$I)', " MATCH_ARGUMENTS ") ORDER BY u.n DESC))[1] ELSE '' END"
#define MATCH_ARGUMENTS \
	"pa.attname, opn.nspname, o.oprname, fa.attname, u.n"

static bool
finds_as(Oid role, const char *query)
{
	TenancyExec exec;
	bool		found;

	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	found = tenancy_exec_sql(query) > 0;
	tenancy_exec_end(&exec);
	return found;
}

/* A temporary table of a query's columns, for everybody: nobody else can reach it. */
static void
create_keys(const char *query)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_unrestrict();
	tenancy_exec_format("CREATE TEMPORARY TABLE tenancy_keys ON COMMIT DROP AS %s WITH NO DATA;"
						"GRANT SELECT, INSERT ON pg_temp.tenancy_keys TO PUBLIC", query);
	tenancy_exec_end(&exec);
}

/*
 * Does a foreign key point at rows that are not there, in a table that the
 * owner may refer to and not read?  So it puts the keys aside, and the other
 * table's owner looks for them.
 */
static bool
is_broken_apart(Oid constraint, Oid owner, const char *condition)
{
	List	   *parts = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.unnest(ARRAY["
		"pg_catalog.format('SELECT %%s FROM %%s%%s f WHERE (%%s)%%s',"
		"  pg_catalog.string_agg(pg_catalog.format('f.%%I AS c%%s', fa.attname, u.n), ', '), " ROWS_WITH_KEY "),"
		" pg_catalog.format('SELECT FROM pg_temp.tenancy_keys f WHERE NOT EXISTS (SELECT FROM %%s%%s p WHERE %%s) LIMIT 1',"
		"  CASE pc.relkind WHEN 'r' THEN 'ONLY ' END, k.confrelid::pg_catalog.regclass,"
		"  " REFERRED_TO("f.c%%5$s") "),"
		" pc.relowner::pg_catalog.text])" FOREIGN_KEY
		" WHERE k.oid OPERATOR(pg_catalog.=) %u"
		" GROUP BY k.oid, k.conrelid, k.confrelid, k.confmatchtype, fc.relkind, pc.relkind, pc.relowner",
		condition, constraint));
	const char *keys = linitial(parts);
	bool		broken;

	create_keys(keys);
	broken = finds_as(owner, psprintf("INSERT INTO pg_temp.tenancy_keys %s", keys)) &&
		finds_as(atooid(lthird(parts)), lsecond(parts));
	(void) finds_as(tenancy_registry_owner(), "DROP TABLE pg_temp.tenancy_keys");
	return broken;
}

/*
 * What checks the foreign keys of a table, one for each, which the catalogs
 * write: the constraint's OID, whether the owner can run it, and a query that
 * finds a row if it is broken.  Row security would hide another owner's rows.  The condition on the table's rows, f, is a
 * literal, as text that begins with AND or is empty.  What refers to the
 * registry is right by itself.  Only those that lead out of the table's schema, if so wanted.
 */
static List *
foreign_key_checks(Oid table, Oid owner, const char *condition, bool outside)
{
	return tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s %%s SELECT FROM %%s%%s f WHERE (%%s)%%s AND NOT EXISTS (SELECT FROM %%s%%s p WHERE %%s) LIMIT 1',"
		" k.oid, (pg_catalog.has_schema_privilege(%u, pc.relnamespace, 'USAGE')"
		"  AND pg_catalog.bool_and(pg_catalog.has_column_privilege(%u, pc.oid, u.pk, 'SELECT'))"
		"  AND (pc.relowner OPERATOR(pg_catalog.=) %u OR NOT pc.relrowsecurity))::pg_catalog.int4,"
		" " ROWS_WITH_KEY ", CASE pc.relkind WHEN 'r' THEN 'ONLY ' END, k.confrelid::pg_catalog.regclass,"
		" " REFERRED_TO("f.%%4$I") ")"
		FOREIGN_KEY
		" WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND " TENANCY_IS_ENFORCED " AND k.confrelid OPERATOR(pg_catalog.<>) %u"
		" AND k.conparentid OPERATOR(pg_catalog.=) 0"	/* not again for partitions */
		" AND k.conrelid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT %u::pg_catalog.oid"
		"  UNION SELECT relid FROM pg_catalog.pg_partition_tree(%u)))%s"
		" GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype, fc.relkind, pc.oid, pc.relkind, pc.relnamespace, pc.relowner, pc.relrowsecurity",
		owner, owner, owner, condition, tenancy_registry_relation("tenant"), table, table,
		outside ? " AND pc.relnamespace OPERATOR(pg_catalog.<>) fc.relnamespace" : ""));
}

static char *
tenant_condition(const char *tenant_column, const char *id)
{
	return quote_literal_cstr(tenant_column == NULL ? "" :
							  psprintf(" AND f.%s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
									   quote_identifier(tenant_column), id));
}

/* An error: rows were brought in that break a foreign key. */
void
tenancy_rows_refuse_broken(Oid table, const char *constraint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("rows of table \"%s\" violate foreign key constraint \"%s\"",
					get_rel_name(table), constraint)));
}

/*
 * Let the planner know of rows that have come into tables: it knows nothing of
 * new tables, and what it knows of others may be of no use any more.  It would take
 * them for empty, and compare all rows of one with all of another below.  As the
 * tables' owners; what is locked is skipped.
 */
void
tenancy_rows_analyze(List *tables)
{
	StringInfoData oids;
	ListCell   *lc;

	initStringInfo(&oids);
	foreach(lc, tables)
		appendStringInfo(&oids, "%s%u", foreach_current_index(lc) > 0 ? "," : "", lfirst_oid(lc));
	foreach(lc, tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s ANALYZE (SKIP_LOCKED) %%s', c.relowner, c.oid::pg_catalog.regclass)"
		" FROM pg_catalog.unnest('{%s}'::pg_catalog.oid[]) t"
		" CROSS JOIN LATERAL (SELECT t AS oid UNION SELECT p.relid FROM pg_catalog.pg_partition_tree(t) p) l"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) l.oid"
		" CROSS JOIN LATERAL (SELECT pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog./) %d AS pages) s"
		" WHERE c.relkind OPERATOR(pg_catalog.=) 'r' AND s.pages OPERATOR(pg_catalog.>=) %d"
		" AND (c.reltuples OPERATOR(pg_catalog.<) c.relpages OR c.reltuples OPERATOR(pg_catalog.<=) 0"
		"  OR s.pages OPERATOR(pg_catalog.>) (1.1 OPERATOR(pg_catalog.*) c.relpages)"
		"  OR NOT EXISTS (SELECT FROM pg_catalog.pg_statistic WHERE starelid OPERATOR(pg_catalog.=) c.oid))"
		" ORDER BY c.oid", oids.data, BLCKSZ, ANALYZE_PAGES)))
	{
		char	   *command;
		Oid			owner = strtoul(lfirst(lc), &command, 10);
		TenancyExec exec;

		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		(void) tenancy_exec_sql(command);
		tenancy_exec_end(&exec);
	}
}

static char *
check_line(const TenancyTally *tally)
{
	return psprintf(_("did %llu of %llu checks of rows, %.1f checks/s, about %.0f s remaining"),
					(unsigned long long) tally->done, (unsigned long long) tally->total,
					tenancy_progress_rate(&tally->pace, tally->done),
					tenancy_progress_remaining(&tally->pace, tally->done, tally->total));
}

/* Tell from now on how many checks have been done: of a table's foreign keys, or others. */
void
tenancy_rows_begin_checks(int checks)
{
	tenancy_progress_begin_tally(check_line, 0);
	tenancy_progress_expect(checks);
}

/* Check foreign keys of a table; the condition is as above. */
static void
check_foreign_keys(Oid table, Oid owner, const char *condition, bool outside)
{
	ListCell   *lc;

	foreach(lc, foreign_key_checks(table, owner, condition, outside))
	{
		char	   *readable;
		Oid			constraint = strtoul(lfirst(lc), &readable, 10);
		bool		broken = readable[1] == '1' ? finds_as(owner, readable + strlen(" 1 ")) :
			is_broken_apart(constraint, owner, condition);

		if (broken)
			tenancy_rows_refuse_broken(table, get_constraint_name(constraint));
	}
}

/*
 * Check the foreign keys of a table: of the tenant's rows, or of all of them
 * where there is no tenant column.  For workers.
 */
void
tenancy_rows_check_foreign_keys(Oid table, Oid owner, const char *tenant_column, const char *id)
{
	check_foreign_keys(table, owner, tenant_condition(tenant_column, id), false);
	tenancy_progress_add(1);
}

/*
 * Check those that lead out of a schema, for all rows of all tables in these schemas,
 * an array's text.  For workers.
 */
void
tenancy_rows_check_outside_keys(const char *schemas)
{
	ListCell   *lc;

	foreach(lc, tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s %%s', c.oid, c.relowner) FROM " TENANCY_RELATIONS_OF("'%s'::pg_catalog.oid[]") " c"
		" WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[]) AND NOT c.relispartition"
		" ORDER BY c.oid", schemas)))
	{
		char	   *owner;
		Oid			table = strtoul(lfirst(lc), &owner, 10);

		check_foreign_keys(table, atooid(owner + 1), tenant_condition(NULL, NULL), true);
	}
}

/*
 * The same for some of the tenant's rows, which a further condition on f
 * selects: queries for the caller to run as the owner, which return the name of
 * a constraint that is broken.  What the owner cannot read is checked at once, as
 * a whole.
 */
List *
tenancy_rows_foreign_key_queries(Oid table, Oid owner, const char *tenant_column, const char *id,
								 const char *condition)
{
	const char *tenant = tenant_condition(tenant_column, id);
	List	   *queries = NIL;
	ListCell   *lc;

	foreach(lc, foreign_key_checks(table, owner, psprintf("%s OPERATOR(pg_catalog.||) %s", tenant,
														  quote_literal_cstr(condition)), false))
	{
		char	   *readable;
		Oid			constraint = strtoul(lfirst(lc), &readable, 10);

		if (readable[1] == '1')
			queries = lappend(queries, psprintf("SELECT %s FROM (%s) broken",
												quote_literal_cstr(get_constraint_name(constraint)),
												readable + strlen(" 1 ")));
		else if (is_broken_apart(constraint, owner, tenant))
			tenancy_rows_refuse_broken(table, get_constraint_name(constraint));
	}
	return queries;
}


/* ----------------------------------------------------------------
 * Deferrable constraints
 * ----------------------------------------------------------------
 */

/*
 * Deferrable unique and exclusion constraints are checked by triggers, and these
 * do not fire.  In shared tables they cannot be checked later, either: another
 * tenant may just be writing what nobody else sees yet.  The name of one in these
 * schemas, an array's text, that does not keep to the rows of one tenant, or NULL.
 */
char *
tenancy_rows_deferrable_constraint(const char *schemas)
{
	List	   *constraints = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT k.conname FROM " TENANCY_RELATIONS_OF("'%s'::pg_catalog.oid[]") " c"
		" JOIN pg_catalog.pg_constraint k ON k.conrelid OPERATOR(pg_catalog.=) c.oid"
		" WHERE k.condeferrable AND k.contype OPERATOR(pg_catalog.=) ANY ('{p,u,x}'::pg_catalog.\"char\"[])"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a"
		"  WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)"
		"  AND a.attname OPERATOR(pg_catalog.=) (" TENANCY_TENANT_COLUMN_OF("c.oid") "))"
		" ORDER BY 1 LIMIT 1", schemas));

	return constraints == NIL ? NULL : linitial(constraints);
}

/*
 * What checks those of a table, one for each, which the catalogs write: the kind of
 * constraint, and a query that finds its name if two rows, a and b, break it.  The
 * keys are as the index has them, expressions and a predicate included.
 */
static List *
deferrable_checks(Oid table, const char *condition)
{
	return tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s SELECT %%L FROM (%%s) a JOIN (%%s) b"
		" ON ROW(a.t, a.c) OPERATOR(pg_catalog.<) ROW(b.t, b.c)%%s LIMIT 1', k.contype, k.conname, r.sql, r.sql, x.pairs)"
		" FROM pg_catalog.pg_constraint k"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.conrelid"
		" JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) k.conindid"
		" CROSS JOIN LATERAL (SELECT"
		"  pg_catalog.string_agg(pg_catalog.format(', (%%s) AS k%%s', pg_catalog.pg_get_indexdef(i.indexrelid, n, true), n), '') AS keys,"
		"  pg_catalog.string_agg(pg_catalog.format(' AND (a.k%%1$s OPERATOR(%%2$I.%%3$s) b.k%%1$s%%4$s)', n, opn.nspname, o.oprname,"
		"   CASE WHEN i.indnullsnotdistinct THEN pg_catalog.format(' OR a.k%%1$s IS NULL AND b.k%%1$s IS NULL', n) END), '') AS pairs"
		"  FROM pg_catalog.generate_series(1, i.indnkeyatts) n"
		"  JOIN pg_catalog.pg_opclass q ON q.oid OPERATOR(pg_catalog.=) i.indclass[n OPERATOR(pg_catalog.-) 1]"
		"  LEFT JOIN pg_catalog.pg_amop p ON p.amopfamily OPERATOR(pg_catalog.=) q.opcfamily AND p.amopstrategy OPERATOR(pg_catalog.=) 3"
		"   AND p.amoplefttype OPERATOR(pg_catalog.=) q.opcintype AND p.amoprighttype OPERATOR(pg_catalog.=) q.opcintype"
		"   AND k.conexclop IS NULL"
		"  JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) COALESCE(k.conexclop[n], p.amopopr)"
		"  JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) o.oprnamespace) x"
		" CROSS JOIN LATERAL (SELECT pg_catalog.format('SELECT f.tableoid AS t, f.ctid AS c%%s FROM %%s%%s f WHERE (%%s)%%s', x.keys,"
		"  CASE c.relkind WHEN 'r' THEN 'ONLY ' END, c.oid::pg_catalog.regclass,"
		"  COALESCE(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'true'), %s) AS sql) r"
		" WHERE k.condeferrable AND k.contype OPERATOR(pg_catalog.=) ANY ('{p,u,x}'::pg_catalog.\"char\"[])"
		" AND k.conparentid OPERATOR(pg_catalog.=) 0"
		" AND k.conrelid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT %u::pg_catalog.oid"
		"  UNION SELECT relid FROM pg_catalog.pg_partition_tree(%u)))",
		condition, table, table));
}

/* Check them, for the tenant's rows, or for all of them where there is no tenant column.  For workers. */
void
tenancy_rows_check_deferrable(Oid table, Oid owner, const char *tenant_column, const char *id)
{
	ListCell   *lc;

	foreach(lc, deferrable_checks(table, tenant_condition(tenant_column, id)))
	{
		const char *check = lfirst(lc);
		TenancyExec exec;
		char	   *broken;

		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		broken = tenancy_exec_text(&exec, check + strlen("u "));
		tenancy_exec_end(&exec);
		if (broken != NULL)
			ereport(ERROR,
					(errcode(check[0] == CONSTRAINT_EXCLUSION ? ERRCODE_EXCLUSION_VIOLATION : ERRCODE_UNIQUE_VIOLATION),
					 errmsg("rows of table \"%s\" violate deferrable constraint \"%s\"",
							get_rel_name(table), broken)));
	}
}


/* ----------------------------------------------------------------
 * Rows by their keys
 * ----------------------------------------------------------------
 */

/* The operators by which the columns of a table's key are compared. */
List *
tenancy_rows_key_operators(Oid table)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('OPERATOR(%%I.%%s)', n.nspname, o.oprname) FROM pg_catalog.pg_index i"
		" CROSS JOIN LATERAL pg_catalog.unnest(i.indclass) WITH ORDINALITY u(opclass, n)"
		" JOIN pg_catalog.pg_opclass q ON q.oid OPERATOR(pg_catalog.=) u.opclass"
		" JOIN pg_catalog.pg_opclass c ON CASE WHEN i.indisexclusion"	/* WITHOUT OVERLAPS */
		"  THEN c.opcmethod OPERATOR(pg_catalog.=) %u AND c.opcdefault AND c.opcintype OPERATOR(pg_catalog.=) q.opcintype"
		"  ELSE c.oid OPERATOR(pg_catalog.=) q.oid END"
		" JOIN pg_catalog.pg_amop a ON a.amopfamily OPERATOR(pg_catalog.=) c.opcfamily"
		"  AND a.amoplefttype OPERATOR(pg_catalog.=) c.opcintype AND a.amoprighttype OPERATOR(pg_catalog.=) c.opcintype"
		"  AND a.amopstrategy OPERATOR(pg_catalog.=) 3"
		" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) a.amopopr"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace"
		" WHERE i.indexrelid OPERATOR(pg_catalog.=) " TENANCY_ROWS_KEY_INDEX("%u") " ORDER BY u.n", BTREE_AM_OID, table));
}

/* Has a row, called by that name, one of the keys k? */
char *
tenancy_rows_key_condition(List *columns, List *operators, const char *row)
{
	StringInfoData sql;
	ListCell   *lc_name;
	ListCell   *lc_operator;
	int			n = 0;

	initStringInfo(&sql);
	forboth(lc_name, columns, lc_operator, operators)
	{
		n++;
		appendStringInfo(&sql, "%s%s.%s %s k.k%d", n > 1 ? " AND " : "", row,
						 quote_identifier(lfirst(lc_name)), (char *) lfirst(lc_operator), n);
	}
	return sql.data;
}

/*
 * Queries that find rows which refer to one that was written and is gone: for
 * each foreign key that refers to the table, the catalogs write one.  The keys
 * are a table k with columns k1, k2, ..., which are the columns named; the schemas
 * are those of the referring tables, as an array's text.  With an id, only the
 * tenant's rows count.  They are for the table's owner; the rows of a table of another one are
 * checked at once, all of them.
 */
List *
tenancy_rows_left_behind_queries(Oid table, Oid owner, List *columns, const char *keys, const char *schemas, const char *id)
{
	StringInfoData names;
	List	   *foreign_keys;
	List	   *queries = NIL;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, columns)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "ARRAY[", quote_literal_cstr(lfirst(lc)));
	foreign_keys = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.unnest(ARRAY[q.oid::pg_catalog.text, q.conrelid::pg_catalog.text, q.fowner::pg_catalog.text,"
		" CASE WHEN %s THEN (" TENANCY_TENANT_COLUMN_OF("q.conrelid") ") END,"
		" pg_catalog.format(CASE WHEN q.period"
		"  THEN 'SELECT %%1$L FROM %%2$s JOIN %%6$s f ON %%7$s%%8$s WHERE NOT EXISTS (SELECT FROM %%3$s p WHERE %%5$s) LIMIT 1'"
		"  ELSE 'SELECT %%1$L FROM (SELECT * FROM %%2$s WHERE NOT EXISTS (SELECT FROM %%3$s p WHERE %%4$s)) k JOIN %%6$s f ON %%7$s%%8$s LIMIT 1' END,"
		"  q.conname, %s, q.ptable, q.pmatch, q.referred, q.ftable, q.fmatch,"
		"  CASE WHEN %s THEN pg_catalog.format(' AND f.%%I OPERATOR(pg_catalog.=) %%L::pg_catalog.uuid',"
		"   (" TENANCY_TENANT_COLUMN_OF("q.conrelid") "), '%s') END)])"
		" FROM (SELECT k.oid, k.conname, k.conrelid, fc.relowner AS fowner, pg_catalog.bool_or(" TENANCY_IS_PERIOD ") AS period,"
		"  pg_catalog.concat(CASE fc.relkind WHEN 'r' THEN 'ONLY ' END, k.conrelid::pg_catalog.regclass) AS ftable,"
		"  pg_catalog.concat(CASE pc.relkind WHEN 'r' THEN 'ONLY ' END, k.confrelid::pg_catalog.regclass) AS ptable,"
		"  pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) k.k%%s', pa.attname, ppn.nspname, ppo.oprname, l.n), ' AND ') AS pmatch,"
		"  pg_catalog.string_agg(pg_catalog.format('k.k%%s OPERATOR(%%I.%%s) f.%%I', l.n, opn.nspname, o.oprname, fa.attname), ' AND ') AS fmatch,"
		"  " REFERRED_TO("f.%%4$I") " AS referred"
		"  FROM " TENANCY_KEYS_TO("%u") " k"
		"  JOIN pg_catalog.pg_class fc ON fc.oid OPERATOR(pg_catalog.=) k.conrelid"
		"  JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) k.confrelid"
		"  CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey),"
		"   pg_catalog.unnest(k.conpfeqop), pg_catalog.unnest(k.conppeqop)) WITH ORDINALITY AS u(fk, pk, pf, pp, n)"
		"  JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) k.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk"
		"  JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) k.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk"
		"  JOIN pg_catalog.unnest(%s]) WITH ORDINALITY l(name, n) ON l.name OPERATOR(pg_catalog.=) pa.attname::pg_catalog.text"
		"  JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.pf"
		"  JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) o.oprnamespace"
		"  JOIN pg_catalog.pg_operator ppo ON ppo.oid OPERATOR(pg_catalog.=) u.pp"
		"  JOIN pg_catalog.pg_namespace ppn ON ppn.oid OPERATOR(pg_catalog.=) ppo.oprnamespace"
		"  WHERE k.conparentid OPERATOR(pg_catalog.=) 0 AND " TENANCY_IS_ENFORCED " AND fc.relnamespace OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])"
		"  GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, fc.relowner, fc.relkind, pc.relkind) q",
		id ? "true" : "false", quote_literal_cstr(keys), id ? "true" : "false", id ? id : "", table, table, names.data, schemas));

	for (int i = 0; i < list_length(foreign_keys); i += 5)
	{
		Oid			constraint = atooid(list_nth(foreign_keys, i));
		Oid			referring_owner = atooid(list_nth(foreign_keys, i + 2));

		if (referring_owner == owner)
			queries = lappend(queries, list_nth(foreign_keys, i + 4));
		else if (is_broken_apart(constraint, referring_owner, tenant_condition(list_nth(foreign_keys, i + 3), id)))
			tenancy_rows_refuse_broken(atooid(list_nth(foreign_keys, i + 1)), get_constraint_name(constraint));
	}
	return queries;
}

/* Run statements about a temporary table, as the extension's owner. */
static void
alter_keys(const char *format, const char *name)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_unrestrict();
	tenancy_exec_sql(psprintf(format, name, name));
	tenancy_exec_end(&exec);
}

/*
 * Make a temporary table of keys, as text, which everybody can read and nobody
 * else can reach.  For workers.
 */
Oid
tenancy_rows_create_keys(const char *name, int ncolumns)
{
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 1; i <= ncolumns; i++)
		appendStringInfo(&columns, "%sk%d pg_catalog.text", i > 1 ? ", " : "", i);
	alter_keys(psprintf("CREATE TEMPORARY TABLE %%s (%s) ON COMMIT DROP; GRANT SELECT ON pg_temp.%%s TO PUBLIC",
						columns.data), name);
	return get_relname_relid(name, LookupExplicitNamespace("pg_temp", false));
}

/* Tell the planner how many there are. */
void
tenancy_rows_analyze_keys(const char *name)
{
	alter_keys("ANALYZE pg_temp.%s", name);
}

void
tenancy_rows_drop_keys(const char *name)
{
	alter_keys("DROP TABLE pg_temp.%s", name);
}

/* The keys of such a table, each once, as k with columns of the types that a table has. */
char *
tenancy_rows_keys_of(const char *name, Oid table, List *columns)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, columns)
	{
		int			n = foreach_current_index(lc) + 1;
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(table, get_attnum(table, lfirst(lc)), &type, &typmod, &collation);
		appendStringInfo(&sql, "%s k%d::%s AS k%d", n > 1 ? "," : "(SELECT DISTINCT", n,
						 format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY), n);
	}
	appendStringInfo(&sql, " FROM pg_temp.%s) k", name);
	return sql.data;
}

/*
 * A directory of temporary_directory() whose process is gone, which could not
 * remove it, or had our PID.  A worker that writes has its own PID in the name.
 */
static bool
is_left_over(const char *name)
{
	int			leader;
	int			worker;
	int			npids = sscanf(name, PG_TEMP_FILE_PREFIX "_tenancy.%d.partial-%d", &leader, &worker);

	if (npids < 1)
		return false;
	if (leader == MyProcPid)
		return true;
	return BackendPidGetProc(leader) == NULL && (npids < 2 || BackendPidGetProc(worker) == NULL);
}

/*
 * The path of a directory for files that nobody is to see, which is not there
 * yet.  They are temporary ones of PostgreSQL by their place and name.  What
 * others have left of theirs is removed: a restart after a crash does that, but
 * not with remove_temp_files_after_crash = off.
 */
char *
tenancy_rows_temporary_directory(void)
{
	char	   *parent = psprintf("%s/base/%s", DataDir, PG_TEMP_FILES_DIR);
	DIR		   *dir;
	struct dirent *entry;

	if (MakePGDirectory(parent) < 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", parent)));
	dir = AllocateDir(parent);
	while ((entry = ReadDir(dir, parent)) != NULL)
	{
		if (is_left_over(entry->d_name))
			(void) rmtree(psprintf("%s/%s", parent, entry->d_name), true);
	}
	FreeDir(dir);
	return psprintf("%s/%s_tenancy.%d", parent, PG_TEMP_FILE_PREFIX, MyProcPid);
}
