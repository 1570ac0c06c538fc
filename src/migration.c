/*-------------------------------------------------------------------------
 *
 * migration.c
 *	  Migrations: their texts, their order, and the statements in them.
 *
 * A migration is a text of SQL with a version, of one module.  Here it is
 * checked and recorded; migrate.c runs it.  What can be told from the text
 * alone is told when it is added, and not when half of the tenants have had
 * it: its syntax, and statements that no migration can hold.
 *
 * A text that the model has had does not change any more.  The order in which
 * the model had them is recorded as positions 1, 2, ..., and every copy of the
 * model follows that order, whatever the versions say: so "how far" a copy is,
 * is one number.
 *
 * Locks: whoever adds locks the table against others who add, and against
 * migrate(), which gives a position to what it has run.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_authid.h"
#include "clone_body.h"
#include "commands/trigger.h"
#include "common/string.h"
#include "exec.h"
#include "executor/spi.h"
#include "file.h"
#include "fmgr.h"
#include "ident.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "migration.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"
#include "registry.h"
#include "storage/fd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(tenancy_migration_keep);
PG_FUNCTION_INFO_V1(tenancy_migration_add_migration);
PG_FUNCTION_INFO_V1(tenancy_migration_load_migrations);

/* A first line of a file that says what add_migration() has an argument for. */
#define NO_TRANSACTION_LINE "-- tenancy: transactional=false"

/* A migration that is being added. */
typedef struct Draft
{
	int64		version;
	const char *description;
	const char *sql;
	const char *down;			/* NULL if there is none */
	bool		transactional;
} Draft;


/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

static int
line_of(const char *sql, int offset)
{
	int			line = 1;

	for (int i = 0; i < offset && sql[i] != '\0'; i++)
	{
		if (sql[i] == '\n')
			line++;
	}
	return line;
}

/*
 * How many statements end before the offset?  The longest part that ends with
 * a semicolon there and parses tells.  Parsing leaves nothing behind, so that
 * its errors may be dropped without a subtransaction.
 */
static int
count_statements_before(const char *sql, int offset)
{
	MemoryContext context = CurrentMemoryContext;

	for (int end = offset; end > 0; end--)
	{
		volatile int count = -1;

		if (sql[end - 1] != ';')
			continue;
		PG_TRY();
		{
			count = list_length(raw_parser(pnstrdup(sql, end), RAW_PARSE_DEFAULT));
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(context);
			FlushErrorState();
		}
		PG_END_TRY();
		if (count >= 0)
			return count;
	}
	return 0;
}

/* Make a syntax error's position one in the migration's text, and not the caller's. */
static void
rethrow_syntax_error(ErrorData *edata, const char *sql)
{
	int			offset;

	if (edata->cursorpos <= 0)
		ReThrowError(edata);
	offset = pg_mbcharcliplen(sql, strlen(sql), edata->cursorpos - 1);
	edata->internalpos = edata->cursorpos;
	edata->cursorpos = 0;
	edata->internalquery = pstrdup(sql);
	edata->context = psprintf("statement %d, line %d of the migration%s",
							  count_statements_before(sql, offset) + 1, line_of(sql, offset),
							  edata->context ? psprintf("\n%s", edata->context) : "");
	ReThrowError(edata);
}

static List *
parse(const char *sql)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *raw = NIL;

	PG_TRY();
	{
		raw = raw_parser(sql, RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		rethrow_syntax_error(edata, sql);
	}
	PG_END_TRY();
	return raw;
}

/* Where a statement begins, comments before it left aside. */
static int
skip_to_token(const char *sql, int offset)
{
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;

	scanner = scanner_init(sql + offset, &extra, &ScanKeywords, ScanKeywordTokens);
	(void) core_yylex(&value, &location, scanner);
	scanner_finish(scanner);
	return offset + location;
}

/* Why no transaction takes the statement; NULL if one does. */
static const char *
needs_no_transaction(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return castNode(IndexStmt, stmt)->concurrent ? "CREATE INDEX CONCURRENTLY" : NULL;
		case T_DropStmt:
			return castNode(DropStmt, stmt)->concurrent ? "DROP INDEX CONCURRENTLY" : NULL;
		case T_VacuumStmt:
			return castNode(VacuumStmt, stmt)->is_vacuumcmd ? "VACUUM" : NULL;
		case T_ReindexStmt:
			{
				ListCell   *lc;

				foreach(lc, castNode(ReindexStmt, stmt)->params)
				{
					if (strcmp(lfirst_node(DefElem, lc)->defname, "concurrently") == 0)
						return "REINDEX CONCURRENTLY";
				}
				return NULL;
			}
		default:
			return NULL;
	}
}

/* The statements of a text, as a List of TenancyStatement. */
List *
tenancy_migration_split(const char *sql)
{
	List	   *statements = NIL;
	ListCell   *lc;

	foreach(lc, parse(sql))
	{
		RawStmt    *stmt = lfirst_node(RawStmt, lc);
		TenancyStatement *statement = palloc(sizeof(TenancyStatement));
		int			end = stmt->stmt_len > 0 ? stmt->stmt_location + stmt->stmt_len : strlen(sql);
		int			begin = skip_to_token(sql, stmt->stmt_location);

		statement->sql = pnstrdup(sql + begin, end - begin);
		statement->parsed = stmt->stmt;
		statement->line = line_of(sql, begin);
		statement->no_transaction = needs_no_transaction(stmt->stmt) != NULL;
		statements = lappend(statements, statement);
	}
	return statements;
}

static void
refuse_statement(const char *what, int number, int line, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s cannot be part of a migration", what),
			 errdetail("It is statement %d, line %d.", number, line),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

/* Refuse what cannot work, whatever it would meet. */
static void
check_statement(const TenancyStatement *statement, int number, bool transactional)
{
	Node	   *stmt = statement->parsed;
	const char *reason = needs_no_transaction(stmt);

	if (IsA(stmt, TransactionStmt))
		refuse_statement("a transaction command", number, statement->line,
						 "Each migration is a transaction already; use transactional => false for statements that none takes.");
	if (IsA(stmt, CopyStmt) && castNode(CopyStmt, stmt)->filename == NULL)
		refuse_statement("COPY from or to the client", number, statement->line, NULL);
	if (IsA(stmt, CreatedbStmt) || IsA(stmt, DropdbStmt) || IsA(stmt, AlterSystemStmt) ||
		IsA(stmt, CreateTableSpaceStmt) || IsA(stmt, DropTableSpaceStmt))
		refuse_statement("a statement about the whole server", number, statement->line, NULL);
	if (transactional && reason != NULL)
		refuse_statement(reason, number, statement->line, "Use transactional => false.");

	/* By its name we know one that a crash has left half built. */
	if (IsA(stmt, IndexStmt) && reason != NULL && castNode(IndexStmt, stmt)->idxname == NULL)
		refuse_statement("CREATE INDEX CONCURRENTLY without a name", number, statement->line,
						 "Give the index a name.");
}

/* The name or keyword that is the token at this place; NULL if it is neither. */
static const char *
name_at(const char *token, const core_YYSTYPE *value)
{
	int			len = 0;

	if (token[0] == '"')
		return value->str;
	while (IS_HIGHBIT_SET(token[len]) || isalpha((unsigned char) token[len]) || token[len] == '_' ||
		   (len > 0 && (isdigit((unsigned char) token[len]) || token[len] == '$')))
		len++;
	/* A quote that follows at once makes it the prefix of a string. */
	if (len == 0 || token[len] == '\'' || token[len] == '&')
		return NULL;
	return downcase_truncate_identifier(token, len, false);
}

/* A model schema's name that qualifies another one. */
typedef struct ModelName
{
	const char *schema;
	int			begin;			/* where it stands in the text ... */
	int			end;			/* ... and where the name that it qualifies begins */
	bool		is_first;		/* nothing qualifies it in turn */
} ModelName;

static bool
is_model_schema(List *modules, const char *name)
{
	ListCell   *lc;

	foreach(lc, modules)
	{
		if (strcmp(name, ((TenancyModule *) lfirst(lc))->model_schema) == 0)
			return true;
	}
	return false;
}

/*
 * Where a text names model schemas, as a List of ModelName; but for members of
 * extensions, which are there for the copies, too.
 */
static List *
find_model_names(const char *sql)
{
	List	   *modules = tenancy_registry_modules();
	List	   *names = NIL;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	int			token;
	int			before = 0;		/* the token before the name */
	int			last = 0;
	int			name_location = 0;
	const char *name = NULL;	/* the token before, if it is a name */
	ModelName  *open = NULL;	/* what the next token ends */

	scanner = scanner_init(sql, &extra, &ScanKeywords, ScanKeywordTokens);
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		if (open != NULL)
			open->end = location;
		if (open != NULL && tenancy_clone_means_extension(open->schema, sql + location))
			names = list_delete_last(names);
		open = NULL;
		if (name != NULL && token == '.' && is_model_schema(modules, name))
		{
			open = palloc(sizeof(ModelName));
			open->schema = name;
			open->begin = name_location;
			open->end = location + 1;
			open->is_first = before != '.';
			names = lappend(names, open);
		}
		name = name_at(sql + location, &value);
		if (name != NULL)
			before = last;
		name_location = location;
		last = token;
	}
	scanner_finish(scanner);
	return names;
}

/*
 * The same text runs in the model schema and in every copy of it, so that a
 * name which is qualified with the model schema would lead from the copies
 * into the model.
 */
static void
check_names(const char *sql)
{
	List	   *names = find_model_names(sql);
	ModelName  *name = names == NIL ? NULL : linitial(names);

	if (name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a migration must not name the model schema \"%s\"", name->schema),
				 errdetail("It does in line %d; in a tenant's copy, the name would lead to the model.",
						   line_of(sql, name->begin)),
				 errhint("Leave the schema out: the migration's search_path leads to the right one.")));
}

/* The schemas that a statement is about, as a List of String nodes. */
static List *
schemas_of(Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			if (castNode(GrantStmt, stmt)->targtype == ACL_TARGET_ALL_IN_SCHEMA ||
				castNode(GrantStmt, stmt)->objtype == OBJECT_SCHEMA)
				return castNode(GrantStmt, stmt)->objects;
			return NIL;
		case T_AlterDefaultPrivilegesStmt:
			foreach(lc, castNode(AlterDefaultPrivilegesStmt, stmt)->options)
			{
				DefElem    *option = lfirst(lc);

				if (strcmp(option->defname, "schemas") == 0)
					return castNode(List, option->arg);
			}
			return NIL;
		case T_CommentStmt:
			if (castNode(CommentStmt, stmt)->objtype == OBJECT_SCHEMA)
				return list_make1(castNode(CommentStmt, stmt)->object);
			return NIL;
		default:
			return NIL;
	}
}

/* The same where the schema is not before a dot, but what the statement is about. */
static void
check_schemas(const TenancyStatement *statement)
{
	List	   *modules = tenancy_registry_modules();
	ListCell   *lc;

	foreach(lc, schemas_of(statement->parsed))
	{
		if (is_model_schema(modules, strVal(lfirst(lc))))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a migration must not name the model schema \"%s\"", strVal(lfirst(lc))),
					 errdetail("It does in line %d; in a tenant's copy, this would change the model once more.",
							   statement->line),
					 errhint("Name the objects, without a schema.")));
	}
}


/* ----------------------------------------------------------------
 * Adding
 * ----------------------------------------------------------------
 */

/* The module that an argument names; by default the main one. */
void
tenancy_migration_get_module(FunctionCallInfo fcinfo, int n, TenancyModule *module)
{
	List	   *modules = tenancy_registry_modules();
	char	   *name;

	if (PG_ARGISNULL(n))
	{
		if (modules == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("there is no module"),
					 errhint("Call tenancy.create_module() first.")));
		*module = *(TenancyModule *) linitial(modules);
		return;
	}
	name = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (!tenancy_registry_module(name, module))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("module \"%s\" does not exist", tenancy_ident_clip(name))));
}

static void
check_text(const Draft *draft, const char *sql, bool transactional)
{
	List	   *statements = tenancy_migration_split(sql);
	ListCell   *lc;

	if (statements == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migration " INT64_FORMAT " holds no statement", draft->version)));
	foreach(lc, statements)
		check_statement(lfirst(lc), foreach_current_index(lc) + 1, transactional);
	check_names(sql);
	foreach(lc, statements)
		check_schemas(lfirst(lc));
}

/*
 * All that can be said about a migration without running it, read with the
 * settings with which it will be.  What undoes it always is transactional.
 */
static void
check_draft(const Draft *draft)
{
	TenancyExec exec;

	if (draft->version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version must be greater than zero")));
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	check_text(draft, draft->sql, draft->transactional);
	if (draft->down != NULL)
		check_text(draft, draft->down, true);
	tenancy_exec_end(&exec);
}

/* The text of a column of the row that an SPI query has returned. */
static char *
first_row(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

static char *
literal_or_null(const char *value)
{
	return value == NULL ? "NULL" : quote_literal_cstr(value);
}

/* A migration that was applied stays as it was; only what undoes it may change. */
static bool
keep_applied(const char *module, const Draft *draft, const char *old_checksum, const char *checksum)
{
	if (strcmp(old_checksum, checksum) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " of module \"%s\" has been applied with another text",
						draft->version, module),
				 errdetail("The checksum of the text that was applied is %s, that of the new one is %s.",
						   old_checksum, checksum),
				 errhint("Restore the text, and put the change into a migration of its own.")));
	return draft->down != NULL &&
		tenancy_exec_format("UPDATE tenancy.migration SET down = %s"
							" WHERE module OPERATOR(pg_catalog.=) %s AND version OPERATOR(pg_catalog.=) " INT64_FORMAT
							" AND down IS DISTINCT FROM %s",
							quote_literal_cstr(draft->down), quote_literal_cstr(module),
							draft->version, quote_literal_cstr(draft->down)) > 0;
}

/* Does the version come before one that the model has had? */
static void
check_order(const char *module, const Draft *draft)
{
	char	   *newest;

	tenancy_exec_format("SELECT pg_catalog.max(version) FROM tenancy.migration"
						" WHERE module OPERATOR(pg_catalog.=) %s AND position IS NOT NULL",
						quote_literal_cstr(module));
	newest = first_row(1);
	if (newest != NULL && strtoi64(newest, NULL, 10) > draft->version)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " of module \"%s\" comes before migration %s, which has been applied",
						draft->version, module, newest),
				 errhint("Give it a greater version, or use out_of_order => true.")));
}

/* Record a migration, between exec_begin and exec_end; returns whether it is new or changed. */
static bool
record(const char *module, const Draft *draft, bool out_of_order)
{
	const char *literal = quote_literal_cstr(draft->sql);
	const char *old_checksum = NULL;
	const char *checksum;
	bool		applied = false;

	tenancy_exec_format("SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(%s, 'UTF8')), 'hex')",
						literal);
	checksum = first_row(1);
	if (tenancy_exec_format("SELECT checksum, position IS NOT NULL FROM tenancy.migration"
							" WHERE module OPERATOR(pg_catalog.=) %s AND version OPERATOR(pg_catalog.=) " INT64_FORMAT,
							quote_literal_cstr(module), draft->version) > 0)
	{
		old_checksum = first_row(1);
		applied = strcmp(first_row(2), "t") == 0;
	}
	if (applied)
		return keep_applied(module, draft, old_checksum, checksum);
	if (!out_of_order)
		check_order(module, draft);
	return tenancy_exec_format("INSERT INTO tenancy.migration AS m (module, version, description, sql, down, checksum, transactional)"
							   " VALUES (%s, " INT64_FORMAT ", %s, %s, %s, '%s', %s)"
							   " ON CONFLICT (module, version) DO UPDATE SET description = excluded.description,"
							   " sql = excluded.sql, down = excluded.down, checksum = excluded.checksum,"
							   " transactional = excluded.transactional, added_at = pg_catalog.now(),"
							   " step = 0, under_way = false"
							   " WHERE (m.description, m.down, m.checksum, m.transactional)"
							   " IS DISTINCT FROM (excluded.description, excluded.down, excluded.checksum, excluded.transactional)",
							   quote_literal_cstr(module), draft->version,
							   quote_literal_cstr(draft->description), literal,
							   literal_or_null(draft->down), checksum,
							   draft->transactional ? "true" : "false") > 0;
}

/* Record all drafts or none; returns how many are new or changed. */
static int
record_all(const TenancyModule *module, List *drafts, bool out_of_order)
{
	TenancyExec exec;
	ListCell   *lc;
	int			changed = 0;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_sql("LOCK TABLE tenancy.migration IN SHARE ROW EXCLUSIVE MODE");
	foreach(lc, drafts)
	{
		CHECK_FOR_INTERRUPTS();
		if (record(module->name, lfirst(lc), out_of_order))
			changed++;
	}
	tenancy_exec_end(&exec);
	return changed;
}

/* add_migration(version, sql, description, module, transactional, out_of_order, down) */
Datum
tenancy_migration_add_migration(PG_FUNCTION_ARGS)
{
	static const char *const names[] =
	{"version", "sql", "description", NULL, "transactional", "out_of_order"};
	TenancyModule module;
	Draft		draft;

	for (int i = 0; i < lengthof(names); i++)
	{
		if (names[i] != NULL)
			tenancy_require_arg(fcinfo, i, names[i]);
	}
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	tenancy_migration_get_module(fcinfo, 3, &module);
	draft.version = PG_GETARG_INT64(0);
	draft.sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
	draft.description = text_to_cstring(PG_GETARG_TEXT_PP(2));
	draft.transactional = PG_GETARG_BOOL(4);
	draft.down = PG_ARGISNULL(6) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(6));
	check_draft(&draft);
	(void) record_all(&module, list_make1(&draft), PG_GETARG_BOOL(5));
	PG_RETURN_VOID();
}

/* The model has had the migration, or has it no longer. */
void
tenancy_migration_change_level(TenancyModule *module, const TenancyMigration *migration)
{
	TenancyExec exec;

	module->level += migration->undoing ? -1 : 1;
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("UPDATE tenancy.migration SET position = %s, applied_at = %s, step = 0, under_way = false"
						" WHERE module OPERATOR(pg_catalog.=) %s AND version OPERATOR(pg_catalog.=) " INT64_FORMAT,
						migration->undoing ? "NULL" : psprintf("%d", module->level),
						migration->undoing ? "NULL" : "pg_catalog.now()",
						quote_literal_cstr(module->name), migration->version);
	tenancy_exec_format("UPDATE tenancy.module SET level = %d WHERE name OPERATOR(pg_catalog.=) %s",
						module->level, quote_literal_cstr(module->name));
	tenancy_exec_end(&exec);
}


/* ----------------------------------------------------------------
 * What another tool has done to the model (record.c)
 * ----------------------------------------------------------------
 */

/* Refuse a version that is no new last one, or would come before one that the model has not had. */
void
tenancy_migration_check_new(const TenancyModule *module, int64 version)
{
	Draft		draft = {.version = version};
	List	   *pending = tenancy_migration_pending(module->name, module->level);
	TenancyExec exec;
	char	   *existing;

	if (version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version must be greater than zero")));
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	existing = tenancy_exec_text_format(&exec, "SELECT version FROM tenancy.migration"
										" WHERE module OPERATOR(pg_catalog.=) %s AND version OPERATOR(pg_catalog.=) " INT64_FORMAT,
										quote_literal_cstr(module->name), version);
	if (existing != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("migration " INT64_FORMAT " of module \"%s\" already exists", version, module->name)));
	if (pending != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model of module \"%s\" has not had migration " INT64_FORMAT,
						module->name, ((TenancyMigration *) linitial(pending))->version),
				 errhint("Call tenancy.migrate() first.")));
	check_order(module->name, &draft);
	tenancy_exec_end(&exec);
}

/*
 * A statement that was run on a model, as it can be run on a copy: without the
 * model schemas' names.  Checked like a migration.
 */
char *
tenancy_migration_unqualify(int64 version, const char *sql)
{
	Draft		draft = {.version = version};
	StringInfoData buf;
	int			copied = 0;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, find_model_names(sql))
	{
		ModelName  *name = lfirst(lc);

		if (!name->is_first)
			continue;
		appendBinaryStringInfo(&buf, sql + copied, name->begin - copied);
		copied = name->end;
	}
	appendStringInfoString(&buf, sql + copied);
	check_text(&draft, buf.data, false);
	return buf.data;
}

/* Add a migration that the model has had already; under the lock on the models. */
void
tenancy_migration_add_applied(TenancyModule *module, int64 version,
							  const char *description, const char *sql)
{
	Draft		draft = {.version = version,.description = description,.sql = sql,.transactional = true};
	TenancyMigration migration = {.version = version};
	ListCell   *lc;

	foreach(lc, tenancy_migration_split(sql))
	{
		if (((TenancyStatement *) lfirst(lc))->no_transaction)
			draft.transactional = false;
	}
	check_draft(&draft);
	(void) record_all(module, list_make1(&draft), false);
	tenancy_migration_change_level(module, &migration);
}


/* ----------------------------------------------------------------
 * Files
 * ----------------------------------------------------------------
 */

/* The text of a file, in the database's encoding; files are in UTF-8. */
static char *
read_text(const char *path)
{
	StringInfo	content;

	(void) tenancy_file_size(path, true);
	content = tenancy_file_read(path, false);
	return pg_any_to_server(content->data, content->len, PG_UTF8);
}

/* A file's name taken apart: <version>_<description>[.up|.down].sql */
static void
parse_name(const char *name, Draft *draft, bool *is_down)
{
	char	   *end;
	char	   *description;

	errno = 0;
	draft->version = strtoi64(name, &end, 10);
	if (!isdigit((unsigned char) name[0]) || *end != '_' || errno != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("file name \"%s\" does not have the form <version>_<description>.sql", name),
				 errdetail("The version is a number of at most 19 digits, such as 20260115093000."),
				 errhint("Rename the file, or move it out of the directory.")));
	description = pnstrdup(end + 1, strlen(end + 1) - strlen(".sql"));
	*is_down = pg_str_endswith(description, ".down");
	if (*is_down || pg_str_endswith(description, ".up"))
		*strrchr(description, '.') = '\0';
	for (char *c = description; *c != '\0'; c++)
	{
		if (*c == '_')
			*c = ' ';
	}
	draft->description = description;
}

static void
file_error_callback(void *arg)
{
	errcontext("file \"%s\"", (char *) arg);
}

/* Read a file, as a draft of which only the down text is there if it is one of that. */
static Draft *
read_draft(const char *directory, const char *name)
{
	Draft	   *draft = palloc0(sizeof(Draft));
	char	   *path = psprintf("%s/%s", directory, name);
	ErrorContextCallback callback;
	bool		is_down;

	parse_name(name, draft, &is_down);
	callback.callback = file_error_callback;
	callback.arg = path;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	if (is_down)
		draft->down = read_text(path);
	else
	{
		draft->sql = read_text(path);
		draft->transactional = strncmp(draft->sql, NO_TRANSACTION_LINE, strlen(NO_TRANSACTION_LINE)) != 0;
		check_draft(draft);
	}
	error_context_stack = callback.previous;
	return draft;
}

/* By version, the down text last. */
static int
compare_drafts(const ListCell *a, const ListCell *b)
{
	const Draft *left = lfirst(a);
	const Draft *right = lfirst(b);

	if (left->version != right->version)
		return left->version < right->version ? -1 : 1;
	return (left->sql == NULL) - (right->sql == NULL);
}

/* Two files of one version are a migration and its down text, or one too many. */
static void
add_down(Draft *draft, const Draft *down)
{
	if (draft == NULL || draft->version != down->version)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("there is a file that undoes migration " INT64_FORMAT ", but none with the migration",
						down->version)));
	if (down->sql != NULL || draft->down != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("there are two files with version " INT64_FORMAT, draft->version),
				 errdetail("Their descriptions are \"%s\" and \"%s\".",
						   draft->description, down->description)));
	draft->down = down->down;
	check_draft(draft);
}

/* The migrations in a directory, in their order. */
static List *
read_drafts(const char *directory)
{
	DIR		   *dir = AllocateDir(directory);
	struct dirent *entry;
	List	   *files = NIL;
	List	   *drafts = NIL;
	ListCell   *lc;

	while ((entry = ReadDir(dir, directory)) != NULL)
	{
		if (pg_str_endswith(entry->d_name, ".sql"))
			files = lappend(files, read_draft(directory, entry->d_name));
		CHECK_FOR_INTERRUPTS();
	}
	FreeDir(dir);
	list_sort(files, compare_drafts);
	foreach(lc, files)
	{
		Draft	   *draft = lfirst(lc);
		Draft	   *previous = drafts == NIL ? NULL : llast(drafts);

		if (draft->sql == NULL || (previous != NULL && previous->version == draft->version))
			add_down(previous, draft);
		else
			drafts = lappend(drafts, draft);
	}
	return drafts;
}

/* load_migrations(directory text, module text) */
Datum
tenancy_migration_load_migrations(PG_FUNCTION_ARGS)
{
	TenancyModule module;
	char	   *directory;

	tenancy_require_arg(fcinfo, 0, "directory");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	directory = text_to_cstring(PG_GETARG_TEXT_PP(0));
	canonicalize_path(directory);
	if (!is_absolute_path(directory))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("directory must be an absolute path on the server")));
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read files of the server"),
				 errdetail("Only roles with privileges of the \"%s\" role may load migrations.",
						   "pg_read_server_files")));
	tenancy_migration_get_module(fcinfo, 1, &module);
	PG_RETURN_INT32(record_all(&module, read_drafts(directory), false));
}


/* ----------------------------------------------------------------
 * For whoever runs them
 * ----------------------------------------------------------------
 */

/* Migrations of a module, as a List of TenancyMigration in the caller's memory context. */
static List *
fetch(const char *module, const char *condition)
{
	TenancyExec exec;
	List	   *migrations = NIL;
	MemoryContext caller = CurrentMemoryContext;
	uint64		n;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	n = tenancy_exec_format("SELECT version, COALESCE(position, 0), transactional, sql, step, under_way, down FROM tenancy.migration"
							" WHERE module OPERATOR(pg_catalog.=) %s AND %s",
							quote_literal_cstr(module), condition);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		TenancyMigration *migration = palloc0(sizeof(TenancyMigration));
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		down;

		migration->version = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		migration->position = DatumGetInt32(SPI_getbinval(tuple, desc, 2, &isnull));
		migration->transactional = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
		migration->sql = TextDatumGetCString(SPI_getbinval(tuple, desc, 4, &isnull));
		migration->step = DatumGetInt32(SPI_getbinval(tuple, desc, 5, &isnull));
		migration->under_way = DatumGetBool(SPI_getbinval(tuple, desc, 6, &isnull));
		down = SPI_getbinval(tuple, desc, 7, &isnull);
		if (!isnull)
			migration->down = TextDatumGetCString(down);
		migrations = lappend(migrations, migration);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return migrations;
}

/* A column of a trigger's row as text, NULL if it is null. */
static char *
column_value(const TriggerData *data, const char *name)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);

	return SPI_getvalue(data->tg_trigtuple, desc, SPI_fnumber(desc, name));
}

/* Are the migrations there that the model has had?  Copies may need them. */
void
tenancy_migration_check_complete(const char *module, int level)
{
	uint64		missing;

	missing = tenancy_exec_format_as(tenancy_registry_owner(),
									 "SELECT FROM pg_catalog.generate_series(1, %d) n WHERE NOT EXISTS"
									 " (SELECT FROM tenancy.migration WHERE module OPERATOR(pg_catalog.=) %s"
									 " AND position OPERATOR(pg_catalog.=) n)",
									 level, quote_literal_cstr(module));
	if (missing > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("migrations that the model of module \"%s\" has had are missing", module),
				 errdetail("tenancy.migration does not hold " UINT64_FORMAT " of %d.", missing, level),
				 errhint("Insert them again, each with its text and position.")));
}

/* Trigger function of tenancy.migration: what has been applied is not deleted. */
Datum
tenancy_migration_keep(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	TenancyModule module;
	char	   *position;
	char	   *version;
	char	   *name;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"tenancy.keep_migration")));
	position = column_value(data, "position");
	version = column_value(data, "version");
	name = column_value(data, "module");
	if (position != NULL && tenancy_registry_module(name, &module) && atoi(position) <= module.level)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration %s of module \"%s\" has been applied", version, name),
				 errhint("Call tenancy.rollback() to undo it first.")));
	return PointerGetDatum(data->tg_trigtuple);
}

/*
 * What a schema of the given level still has to have, in its order.  In the
 * model's database the last ones may have no position yet.
 */
List *
tenancy_migration_pending(const char *module, int level)
{
	return fetch(module, psprintf("(position OPERATOR(pg_catalog.>) %d OR position IS NULL)"
								  " ORDER BY position NULLS LAST, version", level));
}

/* What is to be undone to come back to the given level, latest first. */
List *
tenancy_migration_applied(const char *module, int level)
{
	return fetch(module, psprintf("position OPERATOR(pg_catalog.>) %d ORDER BY position DESC", level));
}

/* The migration that undoes another one. */
TenancyMigration *
tenancy_migration_undo(const TenancyMigration *migration)
{
	TenancyMigration *undo = palloc(sizeof(TenancyMigration));

	if (migration->down == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " cannot be undone: it has no down text",
						migration->version),
				 errhint("Call tenancy.add_migration() with the same text and the argument down.")));
	*undo = *migration;
	undo->undoing = true;
	undo->transactional = true;
	undo->sql = migration->down;
	undo->statements = tenancy_migration_split(undo->sql);
	return undo;
}

/* The last version of those that make up a level of a module, or NULL. */
char *
tenancy_migration_version(const char *module, int level)
{
	return tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT pg_catalog.max(version) FROM tenancy.migration"
								" WHERE module OPERATOR(pg_catalog.=) %s AND position OPERATOR(pg_catalog.<=) %d",
								quote_literal_cstr(module), level);
}

/* The place of an applied migration in the order of the model. */
int
tenancy_migration_position(const TenancyModule *module, int64 version)
{
	List	   *found = fetch(module->name, psprintf("version OPERATOR(pg_catalog.=) " INT64_FORMAT, version));
	TenancyMigration *migration = found == NIL ? NULL : linitial(found);

	if (migration == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("migration " INT64_FORMAT " of module \"%s\" does not exist", version, module->name)));
	if (migration->position == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " of module \"%s\" has not been applied", version, module->name)));
	return migration->position;
}
