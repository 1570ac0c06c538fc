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

/*
 * Check the foreign keys of a table by one query for each, which the catalogs
 * write: of the tenant's rows, or of all of them where there is no tenant
 * column.  What refers to the registry is right by itself.
 */
void
tenancy_rows_check_foreign_keys(Oid table, Oid owner, const char *tenant_column, const char *id)
{
	ListCell   *lc;
	List	   *queries = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('SELECT %%L FROM %%s%%s f WHERE (%%s)%%s AND NOT EXISTS (SELECT FROM %%s%%s p WHERE %%s) LIMIT 1',"
		" k.conname, CASE fc.relkind WHEN 'r' THEN 'ONLY ' END, k.conrelid::pg_catalog.regclass,"
		" pg_catalog.string_agg(pg_catalog.format('f.%%I IS NOT NULL', fa.attname),"
		"  CASE k.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END),"
		" %s, CASE pc.relkind WHEN 'r' THEN 'ONLY ' END, k.confrelid::pg_catalog.regclass,"
		" pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) f.%%I', pa.attname, opn.nspname, o.oprname, fa.attname), ' AND '))"
		" FROM pg_catalog.pg_constraint k"
		" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop)) AS u(fk, pk, op)"
		" JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) k.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk"
		" JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) k.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk"
		" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.op"
		" JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) o.oprnamespace"
		" JOIN pg_catalog.pg_class fc ON fc.oid OPERATOR(pg_catalog.=) k.conrelid"
		" JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) k.confrelid"
		" WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.<>) %u"
		" AND k.conparentid OPERATOR(pg_catalog.=) 0"	/* not again for partitions */
		" AND (k.conrelid OPERATOR(pg_catalog.=) %u OR EXISTS (SELECT FROM pg_catalog.pg_partition_tree(%u)"
		"  WHERE relid OPERATOR(pg_catalog.=) k.conrelid))"
		" GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, k.confmatchtype, fc.relkind, pc.relkind",
		tenant_column == NULL ? "''" :
		quote_literal_cstr(psprintf(" AND f.%s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
									quote_identifier(tenant_column), id)),
		tenancy_registry_relation("tenant"), table, table));

	foreach(lc, queries)
	{
		TenancyExec exec;
		char	   *broken;

		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		broken = tenancy_exec_text(&exec, lfirst(lc));
		tenancy_exec_end(&exec);
		if (broken != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
					 errmsg("rows of table \"%s\" violate foreign key constraint \"%s\"",
							get_rel_name(table), broken)));
	}
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
