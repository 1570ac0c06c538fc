/*-------------------------------------------------------------------------
 *
 * import.c
 *	  A tenant from files that export.c wrote.
 *
 * One worker creates the tenant and loads its rows in one transaction of its
 * own: all or nothing.  For a tenant's database, another one loads them there,
 * before anybody is let in.  The caller needs EXECUTE and pg_read_server_files.
 *
 * Neither files nor manifest are trusted; whoever can write to the directory
 * may have changed both.
 *
 * - A row belongs to the tenant that is imported, whatever its file says: the
 *	 tenant column's field is replaced on the way in.  What COPY takes for the
 *	 end of a line or field must be that for us as well, so the encoding has to
 *	 be the database's (its bytes above 127 are never part of a delimiter), a
 *	 backslash hides what follows, and carriage returns, which COPY TO never
 *	 writes, are refused.  Afterwards the tenant's rows are counted.
 * - A file's name is a plain name in the directory, a regular file.
 * - Tables and columns must be those of the model.
 *
 * The files are read by us and fed to COPY, and its rows loaded (load.c), as the table's owner,
 * restricted: constraints, generated columns and index expressions call
 * functions that others wrote.  Triggers do not fire, for rows that have been
 * through them once, and with them foreign keys are not checked; so that is
 * done by queries when all rows are there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "clone.h"
#include "commands/copy.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "compat.h"
#include "database.h"
#include "exec.h"
#include "executor/spi.h"
#include "file.h"
#include "fmgr.h"
#include "ident.h"
#include "import.h"
#include "load.h"
#include "mb/pg_wchar.h"
#include "migration.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "postmaster/bgworker.h"
#include "provision.h"
#include "pgstat.h"
#include "progress.h"
#include "registry.h"
#include "rows.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/uuid.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_import_tenant);
PG_FUNCTION_INFO_V1(tenancy_import_tables);
PG_FUNCTION_INFO_V1(tenancy_import_schema);
PG_FUNCTION_INFO_V1(tenancy_import_database);
PG_FUNCTION_INFO_V1(tenancy_import_changes);

#define MANIFEST_FORMAT		"1"
#define MANIFEST_MAX		(64 * 1024 * 1024)
#define READ_SIZE			65536

/* SQL: the plug-ins of this database, "o", that a manifest has. */
#define PLUGINS_OF_MANIFEST \
	" FROM tenancy.module o" \
	" JOIN pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'modules') m" \
	" ON m OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) o.name" \
	" WHERE o.position OPERATOR(pg_catalog.>) 1 ORDER BY o.position"

/* A module that the tenant has. */
typedef struct Part
{
	TenancyModule *module;
	char	   *schema;			/* where the rows go */
	char	   *path;			/* that, and the main module's, whose types it may use */
} Part;

/* A table, as the manifest has it, and where its rows go. */
typedef struct Target
{
	const Part *part;
	char	   *name;
	char	   *file;
	char	   *sha256;
	char	   *rows;
	char	   *columns;		/* JSON */
	List	   *column_names;
	Oid			oid;
	Oid			owner;
	char	   *tenant_column;	/* NULL if there is none */

	/* Of changes only: the keys of rows that were written. */
	char	   *keys_file;
	char	   *keys_sha256;
	char	   *keys_columns;	/* JSON */
	char	   *keys_name;		/* of a temporary table */
	List	   *key_names;		/* of columns, those that tell rows apart first ... */
	List	   *key_operators;	/* ... by these operators */
} Target;

/* What is imported, and where to. */
typedef struct Import
{
	const char *manifest;		/* as a literal */
	const char *directory;
	char	   *id;				/* the tenant's */
	bool		shared;
	List	   *parts;			/* main module first */
} Import;

/* The file that COPY reads; it calls back without an argument of ours. */
static struct
{
	FILE	   *file;
	const char *path;
	pg_cryptohash_ctx *hash;
	char		raw[READ_SIZE];
	int			raw_len;
	int			raw_pos;
	int			field;			/* the current one's number in its line, from 0 */
	int			tenant_field;	/* -1 if there is none */
	bool		escaped;		/* the last byte was a backslash */
	bool		at_start;		/* of the tenant's field */
	const char *id;
	int			id_pos;			/* what was given of it; -1 if not giving */
}			source;


/* ----------------------------------------------------------------
 * Files
 * ----------------------------------------------------------------
 */

static FILE *
open_file(const char *path)
{
	FILE	   *file;

	(void) tenancy_file_size(path, false);
	file = AllocateFile(path, PG_BINARY_R);
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path)));
	return file;
}

/* Read on; returns false at the end of the file. */
static bool
fill_raw(void)
{
	source.raw_pos = 0;
	source.raw_len = fread(source.raw, 1, READ_SIZE, source.file);
	if (ferror(source.file))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", source.path)));
	if (source.raw_len > 0 &&
		pg_cryptohash_update(source.hash, (uint8 *) source.raw, source.raw_len) < 0)
		elog(ERROR, "could not update SHA-256");
	tenancy_progress_add(source.raw_len);
	return source.raw_len > 0;
}

/* A carriage return, or what ends a field or hides the next byte. */
static const bool is_special[256] = {
	['\r'] = true, ['\t'] = true, ['\n'] = true, ['\\'] = true
};

/* How many of the next bytes, at most max, are neither. */
static int
plain_length(int max)
{
	const char *start = source.raw + source.raw_pos;
	const char *end = start + Min(max, source.raw_len - source.raw_pos);
	const char *c = start;

	while (c < end && !is_special[(unsigned char) *c])
		c++;
	return c - start;
}

/*
 * Take the next byte, and keep up with where in a line it is.  Returns true
 * if COPY is to see it.
 */
static bool
pass_byte(char c)
{
	bool		in_tenant = source.field == source.tenant_field;

	if (c == '\r')
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				 errmsg("file \"%s\" has a carriage return, which no export writes", source.path)));
	if (source.escaped)
	{
		source.escaped = false;
		return !in_tenant;
	}
	if (c == '\\')
	{
		source.escaped = true;
		return !in_tenant;
	}
	if (c != '\t' && c != '\n')
		return !in_tenant;
	source.field = c == '\t' ? source.field + 1 : 0;
	source.at_start = source.field == source.tenant_field;
	return true;
}

/* What COPY calls for data: at most maxread bytes. */
static int
read_source(void *outbuf, int minread, int maxread)
{
	char	   *out = outbuf;
	int			len = 0;

	while (len < maxread)
	{
		int			plain;

		if (source.id_pos >= 0)
		{
			if (source.id[source.id_pos] != '\0')
			{
				out[len++] = source.id[source.id_pos++];
				continue;
			}
			source.id_pos = -1;
		}
		if (source.raw_pos >= source.raw_len && !fill_raw())
			break;
		if (source.at_start)
		{
			source.at_start = false;
			source.id_pos = 0;
			continue;
		}
		plain = source.escaped ? 0 : plain_length(maxread - len);
		if (plain > 0 && source.field != source.tenant_field)
		{
			memcpy(out + len, source.raw + source.raw_pos, plain);
			len += plain;
		}
		source.raw_pos += plain;
		if (plain == 0 && pass_byte(source.raw[source.raw_pos++]))
			out[len++] = source.raw[source.raw_pos - 1];
	}
	return len;
}

static void
open_source(const char *path, int tenant_field, const char *id)
{
	memset(&source, 0, sizeof(source));
	source.path = path;
	source.file = open_file(path);
	source.hash = pg_cryptohash_create(PG_SHA256);
	if (source.hash == NULL || pg_cryptohash_init(source.hash) < 0)
		elog(ERROR, "could not begin SHA-256");
	source.tenant_field = tenant_field;
	source.at_start = tenant_field == 0;
	source.id = id;
	source.id_pos = -1;
}

/* Read to the end, and compare the file with its checksum. */
static void
close_source(const char *sha256)
{
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char		hex[2 * PG_SHA256_DIGEST_LENGTH + 1];

	while (fill_raw())
		;
	if (pg_cryptohash_final(source.hash, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not finish SHA-256");
	pg_cryptohash_free(source.hash);
	FreeFile(source.file);
	for (int i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	if (strcmp(hex, sha256) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" is not the one that was exported", source.path),
				 errdetail("Its SHA-256 is %s, that of the manifest %s.",
						   hex, tenancy_ident_clip(sha256))));
}


/* ----------------------------------------------------------------
 * The manifest
 * ----------------------------------------------------------------
 */

static void refuse(const char *what, const char *detail) pg_attribute_noreturn();

static void
refuse(const char *what, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("cannot import the tenant: %s", what),
			 detail != NULL ? errdetail("%s", detail) : 0));
}

/* The text of a query's first value, as the extension's owner. */
static char *
query_text(const char *search_path, const char *sql)
{
	TenancyExec exec;
	char	   *value;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), search_path);
	value = tenancy_exec_text(&exec, sql);
	tenancy_exec_end(&exec);
	return value;
}

/* The text of a member of a manifest, which is a literal, or NULL. */
char *
tenancy_import_member(const char *manifest, const char *name)
{
	return query_text(TENANCY_PATH_NONE,
					  psprintf("SELECT %s::pg_catalog.jsonb OPERATOR(pg_catalog.->>) %s",
							   manifest, quote_literal_cstr(name)));
}

/* The names of its modules, in the order of the registry's own. */
static char *
manifest_modules(const char *manifest)
{
	char	   *modules = query_text(TENANCY_PATH_NONE, psprintf(
		"SELECT pg_catalog.string_agg(e.m OPERATOR(pg_catalog.->>) 'name', ', ' ORDER BY o.position, e.n)"
		" FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'modules') WITH ORDINALITY e(m, n)"
		" LEFT JOIN tenancy.module o ON e.m OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) o.name", manifest));

	return modules == NULL ? "none" : modules;
}

/* A value that must be as given. */
static void
check_member(const char *manifest, const char *name, const char *value)
{
	char	   *found = tenancy_import_member(manifest, name);

	if (found == NULL || strcmp(found, value) != 0)
		refuse(psprintf("the manifest's \"%s\" does not fit", name),
			   psprintf("It is %s, and must be %s.",
						found == NULL ? "missing" : tenancy_ident_clip(found), value));
}

static void
check_file_name(const char *name)
{
	size_t		len = strlen(name);

	if (len < 6 || strcmp(name + len - 5, ".copy") != 0 || name[0] == '.' ||
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") != len)
		refuse("a table's file has a name that no export gives", tenancy_ident_clip(name));
}

/* The modules of the tenant, and their schemas, as what stands behind FROM. */
static char *
parts_as_table(const Import *import)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, import->parts)
	{
		const Part *part = lfirst(lc);

		appendStringInfo(&sql, "%s (%s, %u::pg_catalog.oid)", sql.len > 0 ? "," : "(VALUES",
						 quote_literal_cstr(part->module->name), get_namespace_oid(part->schema, false));
	}
	appendStringInfoString(&sql, ") p(module, schema)");
	return sql.data;
}

/* Their schemas as an array's text. */
static char *
schemas_of(const Import *import)
{
	StringInfoData schemas;
	ListCell   *lc;

	initStringInfo(&schemas);
	foreach(lc, import->parts)
		appendStringInfo(&schemas, "%s%u", schemas.len > 0 ? "," : "{",
						 get_namespace_oid(((Part *) lfirst(lc))->schema, false));
	appendStringInfoChar(&schemas, '}');
	return schemas.data;
}

static const Part *
find_part(const Import *import, const char *module)
{
	ListCell   *lc;

	foreach(lc, import->parts)
	{
		if (strcmp(((Part *) lfirst(lc))->module->name, module) == 0)
			return lfirst(lc);
	}
	refuse("a table is of a module that the tenant has not", tenancy_ident_clip(module));
}

/* The tables of the manifest. */
static List *
read_targets(const Import *import)
{
	TenancyExec exec;
	List	   *targets = NIL;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT t.\"table\", t.file, t.sha256, t.rows, t.columns, t.module,"
								" t.keys_file, t.keys_sha256, t.keys_columns"
								" FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'tables')"
								" AS t(module pg_catalog.text, \"table\" pg_catalog.text, file pg_catalog.text, sha256 pg_catalog.text,"
								" rows bigint, columns pg_catalog.jsonb, keys_file pg_catalog.text,"
								" keys_sha256 pg_catalog.text, keys_columns pg_catalog.jsonb)",
								import->manifest);
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Target	   *target = palloc0(sizeof(Target));
		char	   *module = SPI_getvalue(tuple, desc, 6);

		target->name = SPI_getvalue(tuple, desc, 1);
		target->file = SPI_getvalue(tuple, desc, 2);
		target->sha256 = SPI_getvalue(tuple, desc, 3);
		target->rows = SPI_getvalue(tuple, desc, 4);
		target->columns = SPI_getvalue(tuple, desc, 5);
		if (!target->name || !target->file || !target->sha256 || !target->rows || !target->columns || !module)
			refuse("the manifest is incomplete about a table", NULL);
		target->part = find_part(import, module);
		check_file_name(target->file);
		target->keys_file = SPI_getvalue(tuple, desc, 7);
		target->keys_sha256 = SPI_getvalue(tuple, desc, 8);
		target->keys_columns = SPI_getvalue(tuple, desc, 9);
		targets = lappend(targets, target);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return targets;
}

/* The manifest must have each table of the modules once, and no other. */
static void
check_tables(const Import *import)
{
	char	   *difference;

	difference = query_text(TENANCY_PATH_NONE, psprintf(
		"SELECT pg_catalog.string_agg(pg_catalog.quote_ident(COALESCE(m.name, c.name)), ', ')"
		" FROM (SELECT t OPERATOR(pg_catalog.->>) 'module' AS module, t OPERATOR(pg_catalog.->>) 'table' AS name,"
		"  pg_catalog.count(*) AS n"
		"  FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'tables') t GROUP BY 1, 2) m"
		" FULL JOIN (SELECT p.module, relname::pg_catalog.text AS name FROM %s"
		"  CROSS JOIN LATERAL " TENANCY_RELATIONS_OF("ARRAY[p.schema]") " r"
		"  WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[])"
		"  AND NOT relispartition) c ON c.name OPERATOR(pg_catalog.=) m.name AND c.module OPERATOR(pg_catalog.=) m.module"
		" WHERE c.name IS NULL OR m.name IS NULL OR m.n OPERATOR(pg_catalog.>) 1",
		import->manifest, parts_as_table(import)));
	if (difference != NULL)
		refuse("its tables are not those of the modules",
			   psprintf("Tables on one side only, or twice: %s.", difference));
}

static int
position_of(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (name != NULL && strcmp(lfirst(lc), name) == 0)
			return foreach_current_index(lc);
	}
	return -1;
}

/* Find the table, and compare its columns with the manifest's. */
static void
find_target(const Import *import, Target *target)
{
	const char *sorted = "SELECT pg_catalog.string_agg(pg_catalog.format('%I %s', name, type), ', ' ORDER BY name)";
	const char *from = psprintf("FROM ROWS FROM (pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb)"
								" AS (name pg_catalog.text, type pg_catalog.text)) WITH ORDINALITY c(name, type, n)",
								quote_literal_cstr(target->columns));
	char	   *theirs;
	char	   *ours;

	target->oid = get_relname_relid(target->name, get_namespace_oid(target->part->schema, false));
	if (!OidIsValid(target->oid))
		refuse(psprintf("there is no table \"%s\" here", target->name), NULL);
	theirs = query_text(TENANCY_PATH_NONE, psprintf("%s %s", sorted, from));
	ours = query_text(psprintf("%s, pg_catalog", target->part->path), psprintf(
		"%s FROM (SELECT attname::pg_catalog.text AS name, pg_catalog.format_type(atttypid, atttypmod) AS type"
		" FROM pg_catalog.pg_attribute WHERE attrelid OPERATOR(pg_catalog.=) %u AND attnum OPERATOR(pg_catalog.>) 0"
		" AND NOT attisdropped AND attgenerated OPERATOR(pg_catalog.=) '') c",
		sorted, target->oid));
	/* A table may have no columns, or only generated ones. */
	if (strcmp(theirs ? theirs : "", ours ? ours : "") != 0)
		refuse(psprintf("the columns of table \"%s\" do not fit", target->name),
			   psprintf("Exported: %s. Here: %s.", theirs ? theirs : "none", ours ? ours : "none"));

	target->owner = atooid(query_text(TENANCY_PATH_NONE, psprintf(
		"SELECT relowner FROM pg_catalog.pg_class WHERE oid OPERATOR(pg_catalog.=) %u", target->oid)));
	tenancy_exec_refuse_superuser(target->owner, quote_qualified_identifier(target->part->schema, target->name));
	target->column_names = tenancy_exec_list_as(tenancy_registry_owner(),
												psprintf("SELECT name %s ORDER BY n", from));
	target->tenant_column = query_text(TENANCY_PATH_NONE, psprintf(
		"SELECT p.tenant_column FROM pg_catalog.pg_class c"
		" CROSS JOIN LATERAL (" TENANCY_TENANT_COLUMN_OF("c.oid") ") p"
		" WHERE c.relnamespace OPERATOR(pg_catalog.=) %u AND c.relname OPERATOR(pg_catalog.=) %s",
		get_namespace_oid(target->part->module->model_schema, false), quote_literal_cstr(target->name)));
	if (import->shared && target->tenant_column == NULL)
		refuse(psprintf("table \"%s\" is not protected", target->name), NULL);

	/* The type of a column may have been made to look like another column. */
	if (target->tenant_column != NULL && position_of(target->column_names, target->tenant_column) < 0)
		refuse(psprintf("the columns of table \"%s\" do not fit", target->name),
			   psprintf("Tenant column \"%s\" is missing.", target->tenant_column));
}


/* ----------------------------------------------------------------
 * Loading
 * ----------------------------------------------------------------
 */

/* Load what COPY makes of the source. */
static void
load_rows(TenancyLoad *load, CopyFromState state)
{
	ExprContext *context = tenancy_load_context(load);
	ErrorContextCallback callback = {error_context_stack, CopyFromErrorCallback, state};

	error_context_stack = &callback;
	for (;;)
	{
		TupleTableSlot *slot = tenancy_load_next(load);
		MemoryContext old = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
		bool		found = NextCopyFrom(state, context, slot->tts_values, slot->tts_isnull);

		MemoryContextSwitchTo(old);
		if (!found)
			break;
		tenancy_load_add(load);
	}
	error_context_stack = callback.previous;
}

/*
 * Let the source's rows into columns of a table, as the current user; is_ours: see
 * load.c.
 */
static uint64
copy_rows(Oid table, List *column_names, bool is_ours)
{
	Relation	rel = table_open(table, RowExclusiveLock);
	TenancyLoad *load = tenancy_load_begin(table, is_ours);
	ParseState *pstate = make_parsestate(NULL);
	DefElem    *encoding = makeDefElem("encoding",
									   (Node *) makeString(pstrdup(GetDatabaseEncodingName())), -1);
	List	   *columns = NIL;
	CopyFromState state;
	uint64		rows = 0;
	ListCell   *lc;

	foreach(lc, column_names)
		columns = lappend(columns, makeString(lfirst(lc)));
	(void) addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, NULL, false, false);
	state = BeginCopyFrom(pstate, rel, NULL, NULL, false, read_source, columns,
						  list_make1(encoding));
	if (load != NULL)
		load_rows(load, state);
	else
		rows = CopyFrom(state);
	EndCopyFrom(state);
	free_parsestate(pstate);
	table_close(rel, NoLock);
	if (load != NULL)
		rows = tenancy_load_end(load);
	return rows;
}

static void
load_table(const Import *import, const Target *target)
{
	TenancyExec exec;
	char	   *rows;

	open_source(psprintf("%s/%s", import->directory, target->file),
				position_of(target->column_names, target->tenant_column), import->id);
	tenancy_exec_begin(&exec, target->owner,
					   psprintf("%s, pg_temp", target->part->path));
	tenancy_exec_noforce_rls();
	tenancy_exec_set("session_replication_role", "replica");
	rows = psprintf(UINT64_FORMAT, copy_rows(target->oid, target->column_names,
											   !import->shared && target->keys_name == NULL));
	CommandCounterIncrement();
	if (target->tenant_column != NULL && target->keys_name == NULL)
		rows = tenancy_exec_text_format(&exec, "SELECT pg_catalog.count(*) FROM %s"
										" WHERE %s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
										quote_qualified_identifier(target->part->schema, target->name),
										quote_identifier(target->tenant_column), import->id);
	else
		rows = MemoryContextStrdup(exec.caller_context, rows);
	tenancy_exec_end(&exec);
	close_source(target->sha256);
	if (strcmp(rows, target->rows) != 0)
		refuse(psprintf("table \"%s\" has another number of rows than the manifest says", target->name),
			   psprintf("Rows loaded: %s, exported: %s.", rows, tenancy_ident_clip(target->rows)));
}

/*
 * Set the sequences, which must be ours and not gone.  Those of the shared
 * tables only go on, never back.
 */
static void
set_sequences(const Import *import)
{
	ListCell   *lc;
	List	   *commands = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s %%s %%s', c.relowner, c.oid,"
		" pg_catalog.format('SELECT pg_catalog.setval(%%s::pg_catalog.regclass, %%s, %%L) FROM %%I.%%I%%s',"
		"  pg_catalog.quote_literal(c.oid), m.last_value, m.is_called, n.nspname, c.relname,"
		"  CASE WHEN %s THEN pg_catalog.format(' WHERE last_value OPERATOR(pg_catalog.%%s) %%s OR (last_value OPERATOR(pg_catalog.=) %%s AND %%L)',"
		"   CASE WHEN q.seqincrement OPERATOR(pg_catalog.>) 0 THEN '<' ELSE '>' END, m.last_value, m.last_value, m.is_called) ELSE '' END))"
		" FROM pg_catalog.jsonb_to_recordset(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'sequences')"
		"  AS m(module pg_catalog.text, sequence pg_catalog.text, last_value bigint, is_called boolean)"
		" JOIN %s ON p.module OPERATOR(pg_catalog.=) m.module"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.schema"
		" JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid"
		"  AND c.relname OPERATOR(pg_catalog.=) m.sequence AND c.relkind OPERATOR(pg_catalog.=) 'S'"
		" JOIN pg_catalog.pg_sequence q ON q.seqrelid OPERATOR(pg_catalog.=) c.oid",
		import->shared ? "true" : "false", import->manifest, parts_as_table(import)));

	foreach(lc, commands)
	{
		char	   *command;
		Oid			owner = strtoul(lfirst(lc), &command, 10);
		Oid			sequence = strtoul(command, &command, 10);
		TenancyExec exec;

		tenancy_exec_refuse_superuser(owner, quote_qualified_identifier(get_namespace_name(get_rel_namespace(sequence)), get_rel_name(sequence)));
		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		(void) tenancy_exec_sql(command);
		tenancy_exec_end(&exec);
	}
}

/* The modules that the tenant has, which must be those of the manifest. */
static List *
find_parts(const char *manifest, const TenancyTenant *tenant)
{
	List	   *parts = NIL;
	char	   *main_schema = NULL;
	StringInfoData names;
	char	   *theirs = manifest_modules(manifest);
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, tenancy_registry_installed(tenant))
	{
		Part	   *part = palloc(sizeof(Part));

		part->module = lfirst(lc);
		part->schema = tenancy_registry_schema(tenant, part->module);
		part->path = pstrdup(quote_identifier(part->schema));
		if (main_schema != NULL)
			part->path = psprintf("%s, %s", part->path, quote_identifier(main_schema));
		else
			main_schema = part->schema;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", part->module->name);
		parts = lappend(parts, part);
	}
	if (strcmp(names.data, theirs) != 0)
		refuse("its modules are not those of the tenant",
			   psprintf("Exported: %s. The tenant has: %s.", tenancy_ident_clip(theirs), names.data));
	return parts;
}

/* What is to be loaded; the manifest is a literal. */
static List *
begin_load(Import *import, const char *manifest, const char *directory, const TenancyTenant *tenant)
{
	List	   *targets;
	ListCell   *lc;

	import->manifest = manifest;
	import->directory = directory;
	import->id = tenancy_ident_uuid_text(&tenant->id);
	import->shared = tenant->mode == TENANCY_SHARED;
	import->parts = find_parts(manifest, tenant);
	targets = read_targets(import);
	foreach(lc, targets)
		find_target(import, lfirst(lc));
	return targets;
}

static char *
import_line(const TenancyTally *tally)
{
	double		done = tally->done / (1024.0 * 1024.0);
	double		total = tally->total / (1024.0 * 1024.0);

	return psprintf(_("loaded %.1f of %.1f MB, table %d of %d, %.1f MB/s, about %.0f s remaining"),
					done, total, tally->table, tally->tables,
					tenancy_progress_rate(&tally->pace, done),
					tenancy_progress_remaining(&tally->pace, done, total));
}

/* Tell from now on how much of the tables' files is loaded. */
static void
begin_progress(const Import *import, List *targets)
{
	ListCell   *lc;

	tenancy_progress_begin_tally(import_line, list_length(targets));
	foreach(lc, targets)
	{
		struct stat st;

		/* One that is not there is an error later. */
		if (stat(psprintf("%s/%s", import->directory, ((Target *) lfirst(lc))->file), &st) == 0)
			tenancy_progress_expect(st.st_size);
	}
}

/*
 * Load the files of a directory into the tables of all modules, where the
 * tenant has them.  For workers.
 */
void
tenancy_import_load(const char *manifest, const char *directory, const TenancyTenant *tenant)
{
	Import		import;
	List	   *targets = begin_load(&import, manifest, directory, tenant);
	List	   *tables = NIL;
	char	   *constraint = import.shared ? tenancy_rows_deferrable_constraint(schemas_of(&import)) : NULL;
	ListCell   *lc;

	if (constraint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot import a tenant into shared tables with deferrable constraint \"%s\"", constraint),
				 errdetail("The tenant column is not a part of it.")));
	check_tables(&import);
	begin_progress(&import, targets);
	foreach(lc, targets)
	{
		tenancy_progress_next_table();
		load_table(&import, lfirst(lc));
		tables = lappend_oid(tables, ((Target *) lfirst(lc))->oid);
	}
	tenancy_progress_end_tally();
	pgstat_report_activity(STATE_RUNNING, "tenancy: checking rows");
	tenancy_rows_analyze(tables);
	tenancy_rows_begin_checks(list_length(targets));
	foreach(lc, targets)
	{
		Target	   *target = lfirst(lc);
		const char *tenant_column = import.shared ? target->tenant_column : NULL;

		tenancy_rows_check_deferrable(target->oid, target->owner, tenant_column, import.id);
		tenancy_rows_check_foreign_keys(target->oid, target->owner, tenant_column, import.id);
	}
	tenancy_progress_end_tally();
	set_sequences(&import);
	if (!import.shared)
		tenancy_clone_refresh(tenant);
}


/* ----------------------------------------------------------------
 * Changes
 * ----------------------------------------------------------------
 */

/* Load the keys of a table's changes into a temporary table. */
static void
load_keys(const Import *import, Target *target, int n)
{
	TenancyExec exec;
	List	   *columns = NIL;
	Oid			keys;

	if (target->keys_file == NULL || target->keys_sha256 == NULL || target->keys_columns == NULL)
		refuse("the manifest is incomplete about a table", NULL);
	check_file_name(target->keys_file);
	target->key_names = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT name FROM pg_catalog.jsonb_array_elements_text(%s::pg_catalog.jsonb) WITH ORDINALITY c(name, n) ORDER BY n",
		quote_literal_cstr(target->keys_columns)));
	target->key_operators = tenancy_rows_key_operators(target->oid);
	target->keys_name = psprintf("tenancy_changes_%d", n);
	keys = tenancy_rows_create_keys(target->keys_name, list_length(target->key_names));
	for (int i = 1; i <= list_length(target->key_names); i++)
		columns = lappend(columns, psprintf("k%d", i));

	open_source(psprintf("%s/%s", import->directory, target->keys_file), -1, NULL);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	(void) copy_rows(keys, columns, false);
	tenancy_exec_end(&exec);
	close_source(target->keys_sha256);
	CommandCounterIncrement();
	tenancy_rows_analyze_keys(target->keys_name);
}

/* The keys that tell rows apart. */
static char *
keys_of(const Target *target)
{
	return tenancy_rows_keys_of(target->keys_name, target->oid,
								list_copy_head(target->key_names, list_length(target->key_operators)));
}

/* Delete the rows that have one of the keys: the tenant's, whatever others have. */
static void
delete_changed(const Import *import, const Target *target)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, target->owner, psprintf("%s, pg_temp", target->part->path));
	tenancy_exec_noforce_rls();
	tenancy_exec_set("session_replication_role", "replica");
	tenancy_exec_format("DELETE FROM %s%s t USING %s WHERE %s%s",
						get_rel_relkind(target->oid) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
						quote_qualified_identifier(target->part->schema, target->name), keys_of(target),
						tenancy_rows_key_condition(target->key_names, target->key_operators, "t"),
						!import->shared ? "" :
						psprintf(" AND t.%s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
								 quote_identifier(target->tenant_column), import->id));
	tenancy_exec_end(&exec);
}

/* Check the foreign keys of and to the rows that were written. */
static void
check_changed(const Import *import, const Target *target)
{
	List	   *queries;
	ListCell   *lc;

	queries = tenancy_rows_foreign_key_queries(target->oid, target->owner,
											   import->shared ? target->tenant_column : NULL, import->id,
											   psprintf(" AND EXISTS (SELECT FROM %s WHERE %s)", keys_of(target),
														tenancy_rows_key_condition(target->key_names, target->key_operators, "f")));
	queries = list_concat(queries,
						  tenancy_rows_left_behind_queries(target->oid, target->owner, target->key_names,
														   tenancy_rows_keys_of(target->keys_name, target->oid, target->key_names),
														   schemas_of(import), import->shared ? import->id : NULL));
	foreach(lc, queries)
	{
		TenancyExec exec;
		char	   *broken;

		tenancy_exec_begin(&exec, target->owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		broken = tenancy_exec_text(&exec, lfirst(lc));
		tenancy_exec_end(&exec);
		if (broken != NULL)
			tenancy_rows_refuse_broken(target->oid, broken);
	}
}

/*
 * Let the tables have what was written to their source, as files tell: the keys
 * of the rows, and the rows that have them now.  For workers.
 */
void
tenancy_import_apply(const char *manifest, const char *directory, const TenancyTenant *tenant)
{
	Import		import;
	List	   *targets = begin_load(&import, manifest, directory, tenant);
	ListCell   *lc;

	foreach(lc, targets)
	{
		load_keys(&import, lfirst(lc), foreach_current_index(lc) + 1);
		delete_changed(&import, lfirst(lc));
		load_table(&import, lfirst(lc));
	}
	foreach(lc, targets)
		check_changed(&import, lfirst(lc));
	foreach(lc, targets)
		tenancy_rows_drop_keys(((Target *) lfirst(lc))->keys_name);
	set_sequences(&import);
}


/* ----------------------------------------------------------------
 * The workers' part
 * ----------------------------------------------------------------
 */

static char *
manifest_literal(Jsonb *manifest)
{
	return quote_literal_cstr(JsonbToCString(NULL, &manifest->root, VARSIZE(manifest)));
}

/*
 * Begin a worker's part.  The statement that calls it has the manifest in it, and would
 * be all that is seen of an error: it is left out of the context, until that is set again.
 */
static ErrorContextCallback *
begin_worker_part(void)
{
	ErrorContextCallback *statement = error_context_stack;

	if (MyBgworkerEntry == NULL || !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a background worker can call this function"),
				 errhint("Call tenancy.import_tenant().")));
	error_context_stack = NULL;
	return statement;
}

static void
import_as_worker(FunctionCallInfo fcinfo, void (*import) (const char *, const char *, const TenancyTenant *))
{
	ErrorContextCallback *statement = begin_worker_part();
	TenancyTenant tenant;

	tenancy_registry_get(tenancy_ident_uuid_text(PG_GETARG_UUID_P(2)), &tenant);
	import(manifest_literal(PG_GETARG_JSONB_P(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), &tenant);
	error_context_stack = statement;
}

/* import_tables(manifest jsonb, directory text, id uuid): the worker's part */
Datum
tenancy_import_tables(PG_FUNCTION_ARGS)
{
	import_as_worker(fcinfo, tenancy_import_load);
	PG_RETURN_VOID();
}

/* import_changes(manifest jsonb, directory text, id uuid): the same for changes */
Datum
tenancy_import_changes(PG_FUNCTION_ARGS)
{
	import_as_worker(fcinfo, tenancy_import_apply);
	PG_RETURN_VOID();
}

/*
 * Enter the tenant that the worker is told of, with the plug-ins of the manifest; its
 * tables are still to be made.
 */
static void
enter_tenant(FunctionCallInfo fcinfo, TenancyMode mode, const char *manifest, TenancyTenant *tenant)
{
	char	   *metadata = tenancy_import_member(manifest, "metadata");

	memset(tenant, 0, sizeof(*tenant));
	tenant->id = *PG_GETARG_UUID_P(2);
	tenant->mode = mode;
	strlcpy(tenant->slug, text_to_cstring(PG_GETARG_TEXT_PP(3)), sizeof(tenant->slug));
	if (mode == TENANCY_SCHEMA)
		strlcpy(tenant->schema_name, tenancy_ident_schema(tenant->slug, NULL), NAMEDATALEN);
	else
		strlcpy(tenant->database_name, tenancy_ident_database(tenant->slug), NAMEDATALEN);
	tenancy_registry_lock_access(ShareLock);
	tenancy_provision_insert(tenant, tenancy_import_member(manifest, "display_name"), metadata ? metadata : "{}");
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "INSERT INTO tenancy.tenant_module (tenant_id, module)"
						   " SELECT '%s', o.name" PLUGINS_OF_MANIFEST, tenancy_ident_uuid_text(&tenant->id), manifest);
}

/*
 * import_schema(manifest jsonb, directory text, id uuid, slug text): the worker's part
 * for a tenant with schemas of its own.  The foreign keys that lead out of these come last:
 * the tables that they lead to are locked against writers from then on.
 */
Datum
tenancy_import_schema(PG_FUNCTION_ARGS)
{
	ErrorContextCallback *statement = begin_worker_part();
	char	   *manifest = manifest_literal(PG_GETARG_JSONB_P(0));
	TenancyTenant tenant;
	List	   *keys = NIL;
	StringInfoData schemas;
	ListCell   *lc;

	enter_tenant(fcinfo, TENANCY_SCHEMA, manifest, &tenant);
	initStringInfo(&schemas);
	foreach(lc, tenancy_registry_installed(&tenant))
	{
		keys = lappend(keys, tenancy_clone_schema_without_keys(&tenant, lfirst(lc)));
		appendStringInfo(&schemas, "%s%u", schemas.len > 0 ? "," : "{",
						 get_namespace_oid(tenancy_registry_schema(&tenant, lfirst(lc)), false));
	}
	appendStringInfoChar(&schemas, '}');

	tenancy_import_load(manifest, text_to_cstring(PG_GETARG_TEXT_PP(1)), &tenant);
	tenancy_clone_add_keys(keys);
	tenancy_rows_check_outside_keys(schemas.data);
	error_context_stack = statement;
	PG_RETURN_VOID();
}

/*
 * import_database(manifest jsonb, directory text, id uuid, slug text): the
 * worker's part for a tenant with a database of its own.  Our transaction makes
 * it, and opens it when another worker has loaded the rows; it is dropped if we
 * do not commit, and nobody has been in it (database.c).
 */
Datum
tenancy_import_database(PG_FUNCTION_ARGS)
{
	ErrorContextCallback *statement = begin_worker_part();
	char	   *manifest = manifest_literal(PG_GETARG_JSONB_P(0));
	TenancyTenant tenant;
	TenancyJob *job;

	enter_tenant(fcinfo, TENANCY_DATABASE, manifest, &tenant);
	tenancy_database_create(&tenant, false);

	job = tenancy_worker_job(tenancy_database_oid(&tenant));
	tenancy_worker_add(job, "SELECT tenancy.import_tables(%s, %s, '%s')", manifest,
					   quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(1))),
					   tenancy_ident_uuid_text(&tenant.id));
	(void) tenancy_worker_run(job);
	tenancy_database_resume(&tenant);
	error_context_stack = statement;
	PG_RETURN_VOID();
}


/* ----------------------------------------------------------------
 * The caller's part
 * ----------------------------------------------------------------
 */

/* The manifest as a literal of type text. */
static char *
read_manifest(const char *directory)
{
	char	   *path = psprintf("%s/manifest.json", directory);
	StringInfo	content;

	if (tenancy_file_size(path, false) > MANIFEST_MAX)
		refuse("the manifest is too large", path);
	content = tenancy_file_read(path, false);
	if (strlen(content->data) != content->len)
		refuse("the manifest is none", path);
	(void) pg_verifymbstr(content->data, content->len, false);
	(void) DirectFunctionCall1(jsonb_in, CStringGetDatum(content->data));
	return quote_literal_cstr(content->data);
}

/* Its modules must be known here, and their models have had the same migrations. */
static void
check_modules(const char *manifest)
{
	TenancyModule *first = linitial(tenancy_registry_modules());
	char	   *unknown = query_text(TENANCY_PATH_NONE, psprintf(
		"SELECT pg_catalog.string_agg(COALESCE(m OPERATOR(pg_catalog.->>) 'name', '?'), ', ')"
		" FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'modules') m"
		" WHERE NOT EXISTS (SELECT FROM tenancy.module o WHERE m OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) o.name)",
		manifest));
	ListCell   *lc;

	if (unknown != NULL)
		refuse("its modules do not fit", psprintf("There is no module here that is called %s.", tenancy_ident_clip(unknown)));
	if (strstr(psprintf(", %s, ", manifest_modules(manifest)), psprintf(", %s, ", first->name)) == NULL)
		refuse("its modules do not fit",
			   psprintf("They are %s. The main module here is %s.",
						tenancy_ident_clip(manifest_modules(manifest)), first->name));
	foreach(lc, tenancy_registry_modules())
	{
		TenancyModule *module = lfirst(lc);
		char	   *ours = tenancy_migration_version(module->name, module->level);
		char	   *theirs = query_text(TENANCY_PATH_NONE, psprintf(
			"SELECT COALESCE(m OPERATOR(pg_catalog.->>) 'version', 'none')"
			" FROM pg_catalog.jsonb_array_elements(%s::pg_catalog.jsonb OPERATOR(pg_catalog.->) 'modules') m"
			" WHERE m OPERATOR(pg_catalog.->>) 'name' OPERATOR(pg_catalog.=) %s",
			manifest, quote_literal_cstr(module->name)));

		if (theirs != NULL && strcmp(theirs, ours ? ours : "none") != 0)
			refuse(psprintf("module \"%s\" is of another version", module->name),
				   psprintf("The last migration that its tables have had is %s where they were exported, and %s here.",
							tenancy_ident_clip(theirs), ours ? ours : "none"));
	}
}

static void
check_manifest(const char *manifest)
{
	char	   *shape = query_text(TENANCY_PATH_NONE, psprintf(
		"SELECT pg_catalog.jsonb_typeof(m) OPERATOR(pg_catalog.=) 'object'"
		" AND pg_catalog.jsonb_typeof(m OPERATOR(pg_catalog.->) 'tables') OPERATOR(pg_catalog.=) 'array'"
		" AND pg_catalog.jsonb_typeof(m OPERATOR(pg_catalog.->) 'sequences') OPERATOR(pg_catalog.=) 'array'"
		" AND pg_catalog.jsonb_typeof(m OPERATOR(pg_catalog.->) 'modules') OPERATOR(pg_catalog.=) 'array'"
		" FROM (SELECT %s::pg_catalog.jsonb AS m) x", manifest));

	if (shape == NULL || strcmp(shape, "t") != 0)
		refuse("the manifest has not the form of one", NULL);
	check_member(manifest, "format", MANIFEST_FORMAT);
	check_member(manifest, "tenancy", TENANCY_VERSION);
	check_member(manifest, "encoding", GetDatabaseEncodingName());
	if (tenancy_registry_modules() == NIL)
		refuse("there is no module here", NULL);
	check_modules(manifest);
}

/* The manifest as a literal of type text; it is that of a tenant of this model. */
char *
tenancy_import_manifest(const char *directory)
{
	char	   *manifest = read_manifest(directory);

	check_manifest(manifest);
	return manifest;
}

static char *
literal_or_null(const char *value)
{
	return value == NULL ? "NULL" : quote_literal_cstr(value);
}

/* The id of the export if it is free, else a new one. */
static pg_uuid_t
choose_id(const char *manifest)
{
	char	   *id_text = tenancy_import_member(manifest, "id");
	TenancyTenant other;
	pg_uuid_t	id;

	if (id_text == NULL || !tenancy_ident_parse_uuid(id_text, &id))
		refuse("the manifest's \"id\" is none", NULL);
	if (tenancy_registry_by_id(&id, &other))
		return *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	return id;
}

/* The statements that install the plug-ins of the manifest. */
static void
add_plugins(TenancyJob *job, const char *manifest, const char *id)
{
	ListCell   *lc;

	foreach(lc, tenancy_exec_list_as(tenancy_registry_owner(),
									 psprintf("SELECT o.name" PLUGINS_OF_MANIFEST, manifest)))
		tenancy_worker_add(job, "SELECT tenancy.install_module('%s', %s)", id, quote_literal_cstr(lfirst(lc)));
}

/*
 * Create a tenant from what is in a directory; without slug or mode, with those
 * of the export.
 */
pg_uuid_t *
tenancy_import_run(const char *directory, const char *slug, const char *mode)
{
	char	   *manifest = tenancy_import_manifest(directory);
	char	   *metadata;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));
	TenancyJob *job;

	if (slug == NULL)
		slug = tenancy_import_member(manifest, "slug");
	if (mode == NULL)
		mode = tenancy_import_member(manifest, "mode");
	if (slug == NULL || mode == NULL)
		refuse("the manifest has no slug or no mode", NULL);
	tenancy_ident_check_slug(slug);
	metadata = tenancy_import_member(manifest, "metadata");
	*id = choose_id(manifest);

	job = tenancy_worker_job(MyDatabaseId);
	if (strcmp(mode, "schema") == 0 || strcmp(mode, "database") == 0)
		tenancy_worker_add(job, "SELECT tenancy.import_%s(%s, %s, '%s', %s)", mode, manifest,
						   quote_literal_cstr(directory), tenancy_ident_uuid_text(id), quote_literal_cstr(slug));
	else
	{
		tenancy_worker_add(job, "SELECT tenancy.create_tenant(%s, %s, '%s', %s, %s)",
						   quote_literal_cstr(slug), quote_literal_cstr(mode),
						   tenancy_ident_uuid_text(id),
						   literal_or_null(tenancy_import_member(manifest, "display_name")),
						   quote_literal_cstr(metadata == NULL ? "{}" : metadata));
		add_plugins(job, manifest, tenancy_ident_uuid_text(id));
		tenancy_worker_add(job, "SELECT tenancy.import_tables(%s, %s, '%s')",
						   manifest, quote_literal_cstr(directory), tenancy_ident_uuid_text(id));
	}
	(void) tenancy_worker_run(job);
	return id;
}

/* import_tenant(directory text, slug text, mode isolation_mode) */
Datum
tenancy_import_tenant(PG_FUNCTION_ARGS)
{
	char	   *directory;

	tenancy_require_arg(fcinfo, 0, "directory");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read a tenant's rows from files of the server"),
				 errhint("Only superusers and roles with the privileges of \"pg_read_server_files\" may.")));
	directory = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (!is_absolute_path(directory))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("relative path not allowed for an import")));
	canonicalize_path(directory);
	PG_RETURN_UUID_P(tenancy_import_run(directory,
										PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
										PG_ARGISNULL(2) ? NULL :
										tenancy_mode_text(tenancy_mode_from_datum(PG_GETARG_DATUM(2)))));
}
