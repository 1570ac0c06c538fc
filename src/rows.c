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

#include "common/file_perm.h"
#include "compat.h"
#include "exec.h"
#include "miscadmin.h"
#include "registry.h"
#include "rows.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

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
						"GRANT ALL ON pg_temp.tenancy_keys TO PUBLIC", query);
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
		"  pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) f.c%%s', pa.attname, opn.nspname, o.oprname, u.n), ' AND ')),"
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
 * registry is right by itself.
 */
static List *
foreign_key_checks(Oid table, Oid owner, const char *condition)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s %%s SELECT FROM %%s%%s f WHERE (%%s)%%s AND NOT EXISTS (SELECT FROM %%s%%s p WHERE %%s) LIMIT 1',"
		" k.oid, (pg_catalog.has_schema_privilege(%u, pc.relnamespace, 'USAGE')"
		"  AND pg_catalog.bool_and(pg_catalog.has_column_privilege(%u, pc.oid, u.pk, 'SELECT'))"
		"  AND (pc.relowner OPERATOR(pg_catalog.=) %u OR NOT pc.relrowsecurity))::pg_catalog.int4,"
		" " ROWS_WITH_KEY ", CASE pc.relkind WHEN 'r' THEN 'ONLY ' END, k.confrelid::pg_catalog.regclass,"
		" pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) f.%%I', pa.attname, opn.nspname, o.oprname, fa.attname), ' AND '))"
		FOREIGN_KEY
		" WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.<>) %u"
		" AND k.conparentid OPERATOR(pg_catalog.=) 0"	/* not again for partitions */
		" AND (k.conrelid OPERATOR(pg_catalog.=) %u OR EXISTS (SELECT FROM pg_catalog.pg_partition_tree(%u)"
		"  WHERE relid OPERATOR(pg_catalog.=) k.conrelid))"
		" GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype, fc.relkind, pc.oid, pc.relkind, pc.relnamespace, pc.relowner, pc.relrowsecurity",
		owner, owner, owner, condition, tenancy_registry_relation("tenant"), table, table));
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
 * Check the foreign keys of a table: of the tenant's rows, or of all of them
 * where there is no tenant column.  For workers.
 */
void
tenancy_rows_check_foreign_keys(Oid table, Oid owner, const char *tenant_column, const char *id)
{
	const char *condition = tenant_condition(tenant_column, id);
	ListCell   *lc;

	foreach(lc, foreign_key_checks(table, owner, condition))
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
														  quote_literal_cstr(condition))))
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

/*
 * The path of a directory for files that nobody is to see, which is not there
 * yet.  They are temporary ones of PostgreSQL by their place and name.
 */
char *
tenancy_rows_temporary_directory(void)
{
	char	   *parent = psprintf("%s/base/%s", DataDir, PG_TEMP_FILES_DIR);

	if (MakePGDirectory(parent) < 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", parent)));
	return psprintf("%s/%s_tenancy.%d", parent, PG_TEMP_FILE_PREFIX, MyProcPid);
}
