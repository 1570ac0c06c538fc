/*-------------------------------------------------------------------------
 *
 * export.c
 *	  A tenant's rows as files: one for each table, and a manifest.
 *
 * A worker does it, in the database where the rows are, in one read-only
 * REPEATABLE READ transaction: the files show the same moment, and nobody
 * waits but for DDL, which waits for the worker as for any reader.
 *
 * Who may do what: the caller needs EXECUTE and pg_write_server_files.  Rows
 * are read by a query that runs as the table's owner, restricted, past
 * FORCE ROW LEVEL SECURITY, as foreign key checks are.  The owner needs no
 * right to write files: they are opened by the server in a directory that we have
 * just made.
 *
 * Code that somebody planted does not run but for what the planner evaluates
 * of indexes' predicates, as the table's owner: the query reads plain columns of
 * tables, compares the tenant column, a uuid, by the operator of pg_catalog,
 * and calls the types' output functions, which only a superuser can define.
 * Generated columns are left out, views are not read, policies not applied,
 * and foreign tables refused, partitions included.
 *
 * The files are written to a directory beside the one asked for, which is
 * renamed when all is on disk.  rename() replaces nothing but an empty
 * directory and follows no link, so whoever sees the directory sees all of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "catalog/pg_authid.h"
#include "compat.h"
#include "copy_file.h"
#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "export.h"
#include "file.h"
#include "fmgr.h"
#include "ident.h"
#include "mb/pg_wchar.h"
#include "migration.h"
#include "miscadmin.h"
#include "plugin.h"
#include "progress.h"
#include "postmaster/bgworker.h"
#include "provision.h"
#include "registry.h"
#include "rows.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_export_tenant);
PG_FUNCTION_INFO_V1(tenancy_export_tables);

/* The version of the manifest's form. */
#define MANIFEST_FORMAT 1
#define MANIFEST_NAME	"manifest.json"

/* Keys whose rows are exported: see rows.c. */
#define KEYS_NAME		"tenancy_changes"

/* What is exported, and where to. */
typedef struct Export
{
	const char *head;			/* of the manifest */
	const char *directory;
	bool		is_durable;		/* the files are to survive a crash */
	char	   *id;				/* the tenant's */
	char	   *main_schema;
	bool		shared;
	int			number;			/* of the last file */
	StringInfoData json;
} Export;

/* A table or sequence to be exported. */
typedef struct Source
{
	Oid			oid;
	Oid			owner;
	char		kind;			/* its relkind */
	char	   *schema;
	char	   *name;
	char	   *module;
	char	   *tenant_column;	/* NULL if there is none */
} Source;


/* ----------------------------------------------------------------
 * JSON
 * ----------------------------------------------------------------
 */

static void
add_text(StringInfo json, const char *key, const char *value)
{
	escape_json(json, key);
	appendStringInfoString(json, ": ");
	if (value == NULL)
		appendStringInfoString(json, "null");
	else
		escape_json(json, value);
	appendStringInfoString(json, ", ");
}

/* In place of the comma after the last member. */
static void
close_json(StringInfo json, char bracket)
{
	while (json->len > 0 && strchr(", ", json->data[json->len - 1]) != NULL)
		json->len--;
	appendStringInfoChar(json, bracket);
}


/* ----------------------------------------------------------------
 * In the worker: files
 * ----------------------------------------------------------------
 */

static void
remove_directory(int code, Datum arg)
{
	(void) rmtree(DatumGetCString(arg), true);
}

/* The name of a table's file: a number, and what a file system surely takes. */
static char *
file_name(int number, const Source *table)
{
	char	   *name = psprintf("%04d_%s.copy", number, table->name);

	for (char *c = name; *c != '\0'; c++)
	{
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789_.", *c) == NULL)
			*c = '_';
	}
	return name;
}

static void
write_manifest(const Export *export, const char *manifest)
{
	char	   *path = psprintf("%s/%s", export->directory, MANIFEST_NAME);

	tenancy_file_write(path, manifest);
	if (export->is_durable)
		fsync_fname(path, false);
}

/* Show the directory under its own name. */
static void
publish(const char *temporary, const char *directory)
{
	char	   *parent = pstrdup(directory);

	fsync_fname(temporary, true);
	if (rename(temporary, directory) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rename directory \"%s\" to \"%s\": %m",
						temporary, directory)));
	get_parent_directory(parent);
	fsync_fname(parent, true);
}


/* ----------------------------------------------------------------
 * In the worker: tables
 * ----------------------------------------------------------------
 */

/*
 * The tables of the tenant's schemas, or their sequences.  A partitioned table
 * stands for its partitions; an inheritance child is a table of its own.
 */
static List *
find_sources(const char *head, const char *kinds)
{
	TenancyExec exec;
	List	   *sources = NIL;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_prefer_indexes();
	nrows = tenancy_exec_format("SELECT c.oid, c.relowner, c.relkind, n.nspname, c.relname, m.name, p.tenant_column"
								" FROM " TENANCY_RELATIONS_OF("ARRAY(SELECT s.oid FROM pg_catalog.jsonb_to_recordset"
															  "(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'modules') AS m(schema pg_catalog.name)"
															  " JOIN pg_catalog.pg_namespace s ON s.nspname OPERATOR(pg_catalog.=) m.schema)") " c"
								" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
								" JOIN pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'modules')"
								"  AS m(name pg_catalog.text, position integer, schema pg_catalog.name, model_schema pg_catalog.name)"
								"  ON m.schema OPERATOR(pg_catalog.=) n.nspname"
								" LEFT JOIN pg_catalog.pg_namespace pn ON pn.nspname OPERATOR(pg_catalog.=) m.model_schema"
								" LEFT JOIN pg_catalog.pg_class pc ON pc.relnamespace OPERATOR(pg_catalog.=) pn.oid"
								"  AND pc.relname OPERATOR(pg_catalog.=) c.relname"
								" LEFT JOIN LATERAL (" TENANCY_TENANT_COLUMN_OF("pc.oid") ") p ON true"
								" WHERE c.relkind OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.\"char\"[])"
								" AND (NOT c.relispartition OR c.relkind OPERATOR(pg_catalog.=) 'f')"
								" ORDER BY m.position, c.relname",
								quote_literal_cstr(head), quote_literal_cstr(head), quote_literal_cstr(kinds));
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Source	   *source = palloc(sizeof(Source));

		source->oid = atooid(SPI_getvalue(tuple, desc, 1));
		source->owner = atooid(SPI_getvalue(tuple, desc, 2));
		source->kind = *SPI_getvalue(tuple, desc, 3);
		source->schema = SPI_getvalue(tuple, desc, 4);
		source->name = SPI_getvalue(tuple, desc, 5);
		source->module = SPI_getvalue(tuple, desc, 6);
		source->tenant_column = SPI_getvalue(tuple, desc, 7);
		sources = lappend(sources, source);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return sources;
}

/*
 * Refuse what would export another's rows, or run a foreign data wrapper, and
 * lock the tables, so that their columns stay as they are.
 */
static void
check_tables(List *tables, bool shared)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		Source	   *table = lfirst(lc);

		if (table->kind == RELKIND_FOREIGN_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot export foreign table \"%s\"",
							quote_qualified_identifier(table->schema, table->name))));
		tenancy_exec_refuse_superuser(table->owner, quote_qualified_identifier(table->schema, table->name));
		if (shared && table->tenant_column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot export a shared tenant's rows from table \"%s\", which is not protected",
							quote_qualified_identifier(table->schema, table->name)),
					 errhint("Call tenancy.protect_table() first.")));
		LockRelationOid(table->oid, AccessShareLock);
	}
}

/* SQL: each of these tables, "root", with a text that tells what files it and its partitions are in. */
#define STORAGE_OF \
	"(WITH RECURSIVE t(root, oid) AS (SELECT u, u FROM pg_catalog.unnest('{%s}'::pg_catalog.oid[]) u" \
	"  UNION SELECT t.root, i.inhrelid FROM t JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) t.oid" \
	"   AND p.relkind OPERATOR(pg_catalog.=) 'p'" \
	"   JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) p.oid)" \
	" SELECT t.root, pg_catalog.string_agg(pg_catalog.concat_ws(' ', t.oid, c.relfilenode), ',' ORDER BY t.oid) AS storage" \
	" FROM t LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.oid GROUP BY t.root) s"

static void
note_oid(TupleTableSlot *slot, void *arg)
{
	bool		isnull;

	*(Oid *) arg = DatumGetObjectId(slot_getattr(slot, 1, &isnull));
}

/*
 * The transaction's snapshot is older than our locks.  It shows nothing of a table that
 * somebody has rewritten or emptied in between, nor of a partition that is gone: what was
 * written of it is not what there was.  By now everything is locked, and stays as it is.
 */
static void
refuse_rewritten(List *tables)
{
	StringInfoData oids;
	Snapshot	now;
	TenancyExec exec;
	char	   *storage;
	Oid			rewritten = InvalidOid;
	ListCell   *lc;

	initStringInfo(&oids);
	foreach(lc, tables)
		appendStringInfo(&oids, "%s%u", oids.len > 0 ? "," : "", ((Source *) lfirst(lc))->oid);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_prefer_indexes();
	storage = tenancy_exec_text_format(&exec, "SELECT pg_catalog.jsonb_object_agg(s.root, s.storage) FROM " STORAGE_OF, oids.data);
	now = RegisterSnapshot(GetLatestSnapshot());
	(void) tenancy_exec_rows_at(psprintf("SELECT s.root FROM " STORAGE_OF " WHERE s.storage OPERATOR(pg_catalog.<>)"
										 " (%s::pg_catalog.jsonb OPERATOR(pg_catalog.->>) s.root::pg_catalog.text)",
										 oids.data, storage ? quote_literal_cstr(storage) : "NULL"),
								NULL, now, 1, note_oid, &rewritten);
	UnregisterSnapshot(now);
	tenancy_exec_end(&exec);
	foreach(lc, tables)
	{
		const Source *table = lfirst(lc);

		if (table->oid == rewritten)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("table \"%s\" was rewritten or emptied while its rows were to be read",
							quote_qualified_identifier(table->schema, table->name)),
					 errdetail("What it held at the moment that is to be shown is no longer there."),
					 errhint("Try again.")));
	}
}

/* The table's columns as a select list, and as JSON for the manifest. */
static char *
find_columns(const Source *table, const char *main_schema, char **json)
{
	TenancyExec exec;
	char	   *columns;
	const char *from = "FROM pg_catalog.pg_attribute"
		" WHERE attrelid OPERATOR(pg_catalog.=) %u AND attnum OPERATOR(pg_catalog.>) 0"
		" AND NOT attisdropped AND attgenerated OPERATOR(pg_catalog.=) ''";

	/*
	 * Types of the same schema go without its name, which another copy has not; and the
	 * main module's.  So do those that have the name of one of PostgreSQL's.
	 */
	tenancy_exec_begin(&exec, tenancy_registry_owner(), psprintf("%s, %s, pg_catalog", quote_identifier(table->schema),
																 quote_identifier(main_schema)));
	columns = tenancy_exec_text(&exec, psprintf(psprintf("SELECT pg_catalog.string_agg("
														 "'s.' OPERATOR(pg_catalog.||) pg_catalog.quote_ident(attname), ', ' ORDER BY attnum) %s",
														 from), table->oid));
	*json = tenancy_exec_text(&exec, psprintf(psprintf("SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
													   "'name', attname,"
													   " 'type', pg_catalog.format_type(atttypid, atttypmod),"
													   " 'identity', CASE WHEN attidentity OPERATOR(pg_catalog.<>) '' THEN attidentity::pg_catalog.text END)"
													   " ORDER BY attnum), '[]') %s",
													   from), table->oid));
	tenancy_exec_end(&exec);
	return columns == NULL ? "" : columns;
}

/* Write a query's rows to the table's next file, and add that to the manifest. */
static void
export_file(Export *export, const Source *table, Oid role, const char *sql, const char *prefix)
{
	TenancyExec exec;
	char	   *file = file_name(++export->number, table);
	char	   *path = psprintf("%s/%s", export->directory, file);
	TenancyCopyFile written;

	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	written = tenancy_copy_file_write(sql, path);
	written.sha256 = MemoryContextStrdup(exec.caller_context, written.sha256);
	tenancy_exec_end(&exec);
	if (export->is_durable)
		fsync_fname(path, false);

	add_text(&export->json, psprintf("%sfile", prefix), file);
	add_text(&export->json, psprintf("%ssha256", prefix), written.sha256);
	appendStringInfo(&export->json, "\"%sbytes\": " UINT64_FORMAT ", \"%srows\": " UINT64_FORMAT ", ",
					 prefix, written.nbytes, prefix, written.nrows);
}

/*
 * Write a table's file, and add the table to the manifest: all rows of the
 * tenant's, or those that meet a condition of s, a row, and k, something else.
 */
static void
export_table(Export *export, const Source *table, const char *keys, const char *condition)
{
	StringInfo	json = &export->json;
	StringInfoData sql;
	char	   *columns_json;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM %s%s s", find_columns(table, export->main_schema, &columns_json),
					 table->kind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 quote_qualified_identifier(table->schema, table->name));
	if (keys != NULL)
		appendStringInfo(&sql, " JOIN %s ON %s", keys, condition);
	if (export->shared)
		appendStringInfo(&sql, " WHERE s.%s OPERATOR(pg_catalog.=) %s::pg_catalog.uuid",
						 quote_identifier(table->tenant_column),
						 quote_literal_cstr(export->id));

	add_text(json, "module", table->module);
	add_text(json, "table", table->name);
	add_text(json, "tenant_column", table->tenant_column);
	export_file(export, table, table->owner, sql.data, "");
	appendStringInfo(json, "\"columns\": %s, ", columns_json);
}

/*
 * Add a sequence to the manifest.  Sequences are read after the tables, so
 * that what they give next is in no row.
 */
static void
export_sequence(const Source *sequence, StringInfo json)
{
	TenancyExec exec;
	char	   *state;

	tenancy_exec_refuse_superuser(sequence->owner, quote_qualified_identifier(sequence->schema, sequence->name));
	tenancy_exec_begin(&exec, sequence->owner, TENANCY_PATH_NONE);
	state = tenancy_exec_text_format(&exec, "SELECT pg_catalog.format('\"last_value\": %%s, \"is_called\": %%s',"
									 " last_value, is_called::pg_catalog.text) FROM %s",
									 quote_qualified_identifier(sequence->schema, sequence->name));
	tenancy_exec_end(&exec);
	appendStringInfoChar(json, '{');
	add_text(json, "module", sequence->module);
	add_text(json, "sequence", sequence->name);
	appendStringInfo(json, "%s}, ", state);
}

/* A member of the manifest's head, by its path. */
static char *
head_member(const char *head, const char *path)
{
	TenancyExec exec;
	char	   *value;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	value = tenancy_exec_text_format(&exec, "SELECT %s::pg_catalog.jsonb OPERATOR(pg_catalog.#>>) %s",
									 quote_literal_cstr(head), quote_literal_cstr(path));
	tenancy_exec_end(&exec);
	return value;
}

/*
 * What the caller has looked at must be what the transaction's snapshot shows: the
 * versions of modules are those of rows and tables.
 */
static void
refuse_migrated(const char *head, const char *id)
{
	char	   *migrated = tenancy_exec_text_as(tenancy_registry_owner(),
												"SELECT pg_catalog.string_agg(l.key, ', ')"
												" FROM pg_catalog.jsonb_each_text(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'levels') l"
												" JOIN tenancy.module o ON o.name OPERATOR(pg_catalog.=) l.key"
												" LEFT JOIN tenancy.module_copy c ON c.module OPERATOR(pg_catalog.=) l.key"
												"  AND c.tenant_id OPERATOR(pg_catalog.=) '%s'"
												" WHERE COALESCE(c.level, o.level)::pg_catalog.text OPERATOR(pg_catalog.<>) l.value",
												quote_literal_cstr(head), id);

	if (migrated != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the tenant was migrated at the moment at which its rows were to be read"),
				 errdetail("Modules: %s.", migrated),
				 errhint("Try again.  If a migration was interrupted, call tenancy.migrate() first.")));
}

static void
begin_export(Export *export, const char *head, const char *directory, bool is_durable)
{
	export->directory = directory;
	export->is_durable = is_durable;
	export->id = head_member(head, "{id}");
	export->head = head;
	refuse_migrated(head, export->id);
	export->main_schema = head_member(head, "{modules,0,schema}");
	export->shared = strcmp(head_member(head, "{mode}"), "shared") == 0;
	export->number = 0;
	initStringInfo(&export->json);
	appendStringInfoChar(&export->json, '{');
	add_text(&export->json, "encoding", GetDatabaseEncodingName());
	appendStringInfoString(&export->json, "\"tables\": [");
}

/* Write the sequences, and the manifest. */
static void
end_export(Export *export)
{
	TenancyExec exec;
	char	   *manifest;
	ListCell   *lc;

	close_json(&export->json, ']');
	appendStringInfoString(&export->json, ", \"sequences\": [");
	foreach(lc, find_sources(export->head, "{S}"))
		export_sequence(lfirst(lc), &export->json);
	close_json(&export->json, ']');
	appendStringInfoChar(&export->json, '}');

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	manifest = tenancy_exec_text_format(&exec, "SELECT pg_catalog.jsonb_pretty("
										"%s::pg_catalog.jsonb OPERATOR(pg_catalog.-) 'levels' OPERATOR(pg_catalog.||) %s::pg_catalog.jsonb)",
										quote_literal_cstr(export->head), quote_literal_cstr(export->json.data));
	tenancy_exec_end(&exec);
	write_manifest(export, manifest);
}

static char *
export_line(const TenancyTally *tally)
{
	double		mb = tally->done / (1024.0 * 1024.0);

	return psprintf(_("exported %.1f MB, table %d of %d, %.1f MB/s"),
					mb, tally->table, tally->tables, tenancy_progress_rate(&tally->pace, mb));
}

/* Write all files to a directory, which is there, as the transaction's snapshot shows the rows. */
void
tenancy_export_write(const char *head, const char *directory, bool is_durable)
{
	Export		export;
	List	   *tables;
	ListCell   *lc;

	begin_export(&export, head, directory, is_durable);
	tables = find_sources(head, "{r,p,f}");
	check_tables(tables, export.shared);
	tenancy_progress_begin_tally(export_line, list_length(tables));
	foreach(lc, tables)
	{
		tenancy_progress_next_table();
		appendStringInfoChar(&export.json, '{');
		export_table(&export, lfirst(lc), NULL, NULL);
		close_json(&export.json, '}');
		appendStringInfoString(&export.json, ", ");
	}
	tenancy_progress_end_tally();
	refuse_rewritten(tables);
	end_export(&export);
}

/* Write the keys of a change, then the rows that have them now. */
static void
export_change(Export *export, const Source *table, const TenancyExportChange *change)
{
	ListCell   *lc;

	(void) tenancy_rows_create_keys(KEYS_NAME, list_length(change->columns));
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "INSERT INTO pg_temp." KEYS_NAME " %s", change->keys_query);
	tenancy_rows_analyze_keys(KEYS_NAME);

	appendStringInfoChar(&export->json, '{');
	export_file(export, table, tenancy_registry_owner(), "SELECT * FROM pg_temp." KEYS_NAME, "keys_");
	appendStringInfoString(&export->json, "\"keys_columns\": [");
	foreach(lc, change->columns)
	{
		escape_json(&export->json, lfirst(lc));
		appendStringInfoString(&export->json, ", ");
	}
	close_json(&export->json, ']');
	appendStringInfoString(&export->json, ", ");
	export_table(export, table,
				 tenancy_rows_keys_of(KEYS_NAME, table->oid, list_copy_head(change->columns, list_length(change->operators))),
				 tenancy_rows_key_condition(change->columns, change->operators, "s"));
	close_json(&export->json, '}');
	appendStringInfoString(&export->json, ", ");
	tenancy_rows_drop_keys(KEYS_NAME);
}

/* The same of what was changed in some tables: a List of TenancyExportChange. */
void
tenancy_export_write_changes(const char *head, const char *directory, List *changes)
{
	Export		export;
	List	   *tables;
	ListCell   *lc;
	ListCell   *lc2;

	begin_export(&export, head, directory, false);
	tables = find_sources(head, "{r,p,f}");
	check_tables(tables, export.shared);
	foreach(lc, changes)
	{
		const TenancyExportChange *change = lfirst(lc);

		foreach(lc2, tables)
		{
			if (((Source *) lfirst(lc2))->oid == change->table)
				export_change(&export, lfirst(lc2), change);
		}
	}
	refuse_rewritten(tables);
	end_export(&export);
}

/* export_tables(head jsonb, directory text): the worker's part */
Datum
tenancy_export_tables(PG_FUNCTION_ARGS)
{
	Jsonb	   *head_json = PG_GETARG_JSONB_P(0);
	char	   *head = JsonbToCString(NULL, &head_json->root, VARSIZE(head_json));
	char	   *directory = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *temporary = psprintf("%s.partial-%d", directory, MyProcPid);

	if (MyBgworkerEntry == NULL || !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a background worker can call this function"),
				 errhint("Call tenancy.export_tenant().")));
	if (MakePGDirectory(temporary) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", temporary)));
	PG_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(temporary));
	{
		tenancy_export_write(head, temporary, true);
		publish(temporary, directory);
	}
	PG_END_ENSURE_ERROR_CLEANUP(remove_directory, CStringGetDatum(temporary));
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * The caller's part
 * ----------------------------------------------------------------
 */

static void
check_caller(void)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_WRITE_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to write a tenant's rows to files of the server"),
				 errhint("Only superusers and roles with the privileges of \"pg_write_server_files\" may.")));
}

/* An absolute path of something that is not there, or an empty directory. */
static char *
check_directory(char *directory)
{
	struct stat st;

	if (!is_absolute_path(directory))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("relative path not allowed for an export")));
	canonicalize_path(directory);
	if (strlen(directory) >= MAXPGPATH / 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("path of the directory is too long")));
	if (lstat(directory, &st) < 0)
	{
		if (errno == ENOENT)
			return directory;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat \"%s\": %m", directory)));
	}
	if (!S_ISDIR(st.st_mode) || pg_check_dir(directory) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_FILE),
				 errmsg("\"%s\" exists and is not an empty directory", directory)));
	return directory;
}

/* How many migrations the tenant's tables of a module have had. */
static int
module_level(const TenancyTenant *tenant, const TenancyModule *module)
{
	char	   *level = tenant->mode == TENANCY_SHARED ? NULL :
		tenancy_exec_text_as(tenancy_registry_owner(),
							 "SELECT level FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
							 " AND module OPERATOR(pg_catalog.=) %s",
							 tenancy_ident_uuid_text(&tenant->id), quote_literal_cstr(module->name));

	return level ? atoi(level) : module->level;
}

/*
 * The manifest's head: what the registry knows of the tenant.  The modules' levels are for
 * the worker alone.
 */
char *
tenancy_export_head(const TenancyTenant *tenant)
{
	StringInfoData modules;
	StringInfoData levels;
	TenancyExec exec;
	char	   *head;
	ListCell   *lc;

	initStringInfo(&levels);
	appendStringInfoChar(&levels, '{');
	initStringInfo(&modules);
	appendStringInfoChar(&modules, '[');
	foreach(lc, tenancy_registry_installed(tenant))
	{
		TenancyModule *module = lfirst(lc);
		char	   *schema = tenancy_registry_schema(tenant, module);
		int			level = module_level(tenant, module);
		char	   *version = tenancy_migration_version(module->name, level);

		if (tenant->mode == TENANCY_SCHEMA)
			tenancy_registry_refuse_foreign_schema(tenant, schema);
		appendStringInfoChar(&modules, '{');
		add_text(&modules, "name", module->name);
		add_text(&modules, "model_schema", module->model_schema);
		add_text(&modules, "schema", schema);
		appendStringInfo(&modules, "\"version\": %s, ", version ? version : "null");
		appendStringInfo(&modules, "\"position\": %d}, ", module->position);
		escape_json(&levels, module->name);
		appendStringInfo(&levels, ": %d, ", level);
	}
	close_json(&modules, ']');
	close_json(&levels, '}');

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	head = tenancy_exec_text_format(&exec, "SELECT pg_catalog.jsonb_build_object('format', %d,"
									" 'tenancy', '%s',"
									" 'server_version', pg_catalog.current_setting('server_version'),"
									" 'exported_at', pg_catalog.clock_timestamp(),"
									" 'id', id, 'slug', slug, 'mode', mode, 'display_name', display_name,"
									" 'metadata', metadata, 'modules', %s::pg_catalog.jsonb, 'levels', %s::pg_catalog.jsonb)"
									" FROM tenancy.tenant WHERE id OPERATOR(pg_catalog.=) '%s'",
									MANIFEST_FORMAT, TENANCY_VERSION,
									quote_literal_cstr(modules.data), quote_literal_cstr(levels.data),
									tenancy_ident_uuid_text(&tenant->id));
	tenancy_exec_end(&exec);
	return head;
}

static Datum
read_manifest(const char *directory)
{
	StringInfo	content = tenancy_file_read(psprintf("%s/%s", directory, MANIFEST_NAME), false);

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(content->data));
}

/* The export itself, of a tenant that stays where it is meanwhile. */
static void
export_rows(const TenancyTenant *tenant, const char *directory)
{
	TenancyJob *job = tenancy_worker_job(tenant->mode == TENANCY_DATABASE ?
										 tenancy_database_oid(tenant) : MyDatabaseId);

	tenancy_worker_add_toplevel(job, "SET default_transaction_isolation = 'repeatable read'");
	tenancy_worker_add_toplevel(job, "SET default_transaction_read_only = on");
	tenancy_worker_commit(job);
	tenancy_worker_add(job, "SELECT tenancy.export_tables(%s, %s)",
					   quote_literal_cstr(tenancy_export_head(tenant)), quote_literal_cstr(directory));
	(void) tenancy_worker_run(job);
}

/* Export a tenant to a directory that is not there, or empty. */
void
tenancy_export_run(const char *name, const char *directory)
{
	TenancyTenant tenant;

	tenancy_registry_get_locked(name, &tenant);
	if (tenant.status == TENANCY_DROPPING)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" is being dropped", tenant.slug),
				 errhint("Call tenancy.drop_tenant() again to finish that.")));
	if (tenant.status == TENANCY_MOVING)
		tenancy_provision_refuse_move(&tenant);
	if (tenant.is_ours)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" was created or changed by this transaction", tenant.slug),
				 errhint("Commit the transaction, then export or copy the tenant.")));
	tenancy_plugin_refuse_strays(&tenant);

	export_rows(&tenant, directory);
}

/* export_tenant(tenant text, directory text) */
Datum
tenancy_export_tenant(PG_FUNCTION_ARGS)
{
	char	   *directory;

	tenancy_require_arg(fcinfo, 0, "tenant");
	tenancy_require_arg(fcinfo, 1, "directory");
	tenancy_registry_refuse_home();
	check_caller();
	directory = check_directory(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	tenancy_export_run(text_to_cstring(PG_GETARG_TEXT_PP(0)), directory);
	return read_manifest(directory);
}
