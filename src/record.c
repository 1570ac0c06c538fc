/*-------------------------------------------------------------------------
 *
 * record.c
 *	  Recording what another tool does to a model, as a migration.
 *
 * Between start_recording() and stop_recording(), the statements are written
 * down that change the model of one module, by sessions that began in between.
 * These have tenancy.recording on, as a setting of the database, which also
 * has them load this library at their start.
 *
 * What is written down is the client's statement, whatever it did: the hooks
 * tell of statements (see hooks.c), event triggers of the objects that a
 * statement has made, changed or dropped, and plans of the tables whose rows it
 * changes.  It is written in the statement's own transaction, once, when it
 * first touches the model; again, if that was rolled back within the statement.
 *
 * It will run as the model's owner in all copies.  So only statements of clients
 * who have that role's rights count, whatever role a function within them runs
 * as: applications go on writing to shared tables all the while, and through
 * functions of the owner's.  What is done with our own functions does not
 * count either; they run as a restricted operation.
 *
 * What deferred triggers do when a transaction commits comes with the statements
 * that were recorded in it.
 *
 * A statement on the model by a session that is not recorded would be lost,
 * and is refused where event triggers tell us of it.
 *
 * Locks: start_recording() and stop_recording() hold the lock on the models,
 * so that no copy is made of a model between two levels; afterwards, the row in
 * tenancy.recording keeps others from it.  A statement holds that row locked in
 * share mode, and stop_recording() waits for such transactions to end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/dbcommands.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "migration.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "parser/scanner.h"
#include "record.h"
#include "registry.h"
#include "sibling.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(tenancy_record_start);
PG_FUNCTION_INFO_V1(tenancy_record_stop);
PG_FUNCTION_INFO_V1(tenancy_record_commands);

/* The recording that is under way. */
typedef struct Recording
{
	TenancyModule module;
	Oid			schema;
	Oid			owner;
	int64		version;
	List	   *ignore;			/* names of tables */
} Recording;

/* The client's statement that is running, and the commands within it. */
typedef struct Current
{
	const void *key;			/* tells it from the one before */
	const char *text;			/* may hold others, too */
	int			location;
	int			len;
	ParamListInfo params;
	const char *unrecordable;	/* what it is, if its text does not repeat it */
	bool		is_block;		/* a DO or CALL, which may end transactions */
	bool		is_recorded;
	SubTransactionId recorded_in;
	bool		makes_objects;	/* in the model */
} Current;

static Current current;
static int	depth = 0;
static bool transaction_recorded = false;	/* has recorded a statement */


/* ----------------------------------------------------------------
 * What is recorded
 * ----------------------------------------------------------------
 */

/*
 * Read the row about the recording, and lock it if a statement is about to be
 * recorded.  Returns NULL if there is none.
 */
static Recording *
get_recording(bool lock)
{
	Recording  *recording = NULL;
	TenancyExec exec;
	List	   *values;
	Oid			extension;

	/*
	 * Sessions of a recording may outlive the extension.  Or they make it: a database that was
	 * dumped, or goes through pg_upgrade, within a recording has its settings from the start.
	 */
	extension = get_extension_oid("tenancy", true);
	if (!OidIsValid(extension) || IsBinaryUpgrade ||
		(creating_extension && CurrentExtensionObject == extension))
		return NULL;
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	values = tenancy_exec_text_list(&exec, psprintf("SELECT v.v FROM (SELECT * FROM tenancy.recording%s) r,"
													" LATERAL (VALUES (0, r.module), (1, r.version::pg_catalog.text)) AS v(n, v)"
													" UNION ALL SELECT pg_catalog.unnest(ignore_tables) FROM tenancy.recording",
													lock ? " FOR SHARE" : ""));
	tenancy_exec_end(&exec);
	if (values == NIL)
		return NULL;

	recording = palloc0(sizeof(Recording));
	if (!tenancy_registry_module(linitial(values), &recording->module))
		return NULL;
	recording->version = strtoi64(lsecond(values), NULL, 10);
	recording->ignore = list_copy_tail(values, 2);
	recording->schema = tenancy_registry_model_schema(&recording->module);
	recording->owner = tenancy_registry_module_owner(&recording->module);
	return recording;
}

/* Does the client change the model in its owner's place? */
static bool
is_author(const Recording *recording)
{
	return !InSecurityRestrictedOperation() && has_privs_of_role(GetOuterUserId(), recording->owner);
}

static bool
is_ignored(const Recording *recording, const char *name)
{
	ListCell   *lc;

	foreach(lc, recording->ignore)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

static bool
is_model_table(const Recording *recording, Oid relid)
{
	char	   *name;

	if (!OidIsValid(relid) || get_rel_namespace(relid) != recording->schema)
		return false;
	name = get_rel_name(relid);
	return name != NULL && !is_ignored(recording, name);
}

static bool
is_model_rangevar(const Recording *recording, const RangeVar *rangevar)
{
	return rangevar != NULL &&
		is_model_table(recording, RangeVarGetRelid(rangevar, NoLock, true));
}


/* ----------------------------------------------------------------
 * Texts
 * ----------------------------------------------------------------
 */

/* A parameter's value as a literal, of its type. */
static void
append_param(StringInfo buf, ParamListInfo params, int number)
{
	ParamExternData data;
	ParamExternData *param = NULL;
	Oid			output;
	bool		is_varlena;

	if (params != NULL && number >= 1 && number <= params->numParams)
		param = params->paramFetch ? params->paramFetch(params, number, false, &data) :
			&params->params[number - 1];
	if (param == NULL || !OidIsValid(param->ptype))
		elog(ERROR, "no value found for parameter %d", number);
	if (param->isnull)
		appendStringInfoString(buf, "NULL");
	else
	{
		getTypeOutputInfo(param->ptype, &output, &is_varlena);
		appendStringInfoString(buf, quote_literal_cstr(OidOutputFunctionCall(output, param->value)));
	}
	appendStringInfo(buf, "::%s", format_type_be_qualified(param->ptype));
}

/* The text with its parameters' values. */
static char *
fill_in_params(const char *sql, ParamListInfo params)
{
	StringInfoData buf;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location = 0;
	int			copied = 0;
	TenancyExec exec;

	if (params == NULL || params->numParams == 0)
		return pstrdup(sql);
	initStringInfo(&buf);

	/* With settings under which every value can be read again. */
	tenancy_exec_begin(&exec, GetOuterUserId(), TENANCY_PATH_NONE);
	MemoryContextSwitchTo(exec.caller_context);
	tenancy_exec_set("extra_float_digits", "3");
	scanner = scanner_init(sql, &extra, &ScanKeywords, ScanKeywordTokens);
	while (core_yylex(&value, &location, scanner) != 0)
	{
		int			len;

		if (sql[location] != '$')
			continue;
		len = 1 + strspn(sql + location + 1, "0123456789");
		if (len == 1)
			continue;			/* a string in dollar quotes */
		appendBinaryStringInfo(&buf, sql + copied, location - copied);
		append_param(&buf, params, value.ival);
		copied = location + len;
	}
	scanner_finish(scanner);
	tenancy_exec_end(&exec);
	appendStringInfoString(&buf, sql + copied);
	return buf.data;
}

/* The client's statement by itself, without the semicolon. */
static char *
current_text(void)
{
	const char *start = current.text + Max(current.location, 0);
	int			len = current.len > 0 ? current.len : strlen(start);

	while (len > 0 && (isspace((unsigned char) *start)))
		start++, len--;
	while (len > 0 && (isspace((unsigned char) start[len - 1]) || start[len - 1] == ';'))
		len--;
	return pnstrdup(start, len);
}

static void
refuse_unrecordable(const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s cannot be recorded", what),
			 errhint("%s", hint)));
}

/* The current statement has touched the model: write it down, if it is not yet. */
static void
record_current(const Recording *recording)
{
	TenancyExec exec;
	char	   *sql;

	if (current.is_recorded)
		return;
	if (current.unrecordable != NULL)
		refuse_unrecordable(current.unrecordable,
							"Change the model with a statement that does so wherever it is run.");
	sql = tenancy_migration_unqualify(recording->version, fill_in_params(current_text(), current.params));
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (tenancy_exec_format("INSERT INTO tenancy.recorded_statement (sql)"
							" SELECT %s FROM tenancy.recording FOR SHARE", quote_literal_cstr(sql)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the recording has ended")));
	tenancy_exec_end(&exec);
	current.is_recorded = true;
	current.recorded_in = GetCurrentSubTransactionId();
	transaction_recorded = true;
}


/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

/* Nothing runs: this may be the client's next statement. */
static void
begin_statement(const void *key, const char *query, const PlannedStmt *plan, ParamListInfo params)
{
	memset(&current, 0, sizeof(current));
	if (ActivePortal == NULL)
	{
		/* It is not, but a deferred trigger's, at commit. */
		current.unrecordable = "what a deferred trigger or a call by the fast-path protocol does";
		current.is_recorded = transaction_recorded;
		return;
	}
	current.key = key;
	current.text = query;
	current.location = plan->stmt_location;
	current.len = plan->stmt_len;
	current.params = params;
	if (plan->utilityStmt == NULL)
		return;
	current.is_block = IsA(plan->utilityStmt, DoStmt) || IsA(plan->utilityStmt, CallStmt);
	if (IsA(plan->utilityStmt, ExecuteStmt))
		current.unrecordable = "EXECUTE";
	else if (IsA(plan->utilityStmt, FetchStmt))
		current.unrecordable = "FETCH";
}

/* A query begins, the client's or one within: does it change rows of the model? */
void
tenancy_record_query(QueryDesc *query)
{
	Recording  *recording;
	ListCell   *lc;

	/* What we run ourselves, between the client's statement and its start */
	if (InSecurityRestrictedOperation())
		return;
	if (depth == 0)
		begin_statement(query, query->sourceText, query->plannedstmt, query->params);
	if (query->plannedstmt->resultRelations == NIL || current.is_recorded)
		return;
	recording = get_recording(false);
	if (recording == NULL || !is_author(recording))
		return;
	foreach(lc, query->plannedstmt->resultRelations)
	{
		if (is_model_table(recording, rt_fetch(lfirst_int(lc), query->plannedstmt->rtable)->relid))
			record_current(recording);
	}
}

/* A query is run, perhaps one of several that were begun. */
void
tenancy_record_enter(QueryDesc *query)
{
	if (depth == 0 && current.key != query && !InSecurityRestrictedOperation())
		begin_statement(query, query->sourceText, query->plannedstmt, query->params);
	depth++;
}

void
tenancy_record_leave(void)
{
	depth--;
}

/* Does GRANT or REVOKE concern the model?  Event triggers do not tell. */
static bool
is_model_grant(const Recording *recording, const GrantStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		Node	   *object = lfirst(lc);

		if (stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA)
		{
			if (strcmp(strVal(object), recording->module.model_schema) == 0)
				refuse_unrecordable("a privilege on all objects of a model schema", "Name the objects.");
		}
		else if (IsA(object, RangeVar) && is_model_rangevar(recording, (RangeVar *) object))
			return true;
		else if (IsA(object, ObjectWithArgs) &&
				 get_func_namespace(LookupFuncWithArgs(stmt->objtype, (ObjectWithArgs *) object, false)) == recording->schema)
			return true;
	}
	return false;
}

/* What event triggers do not tell of, or too late. */
static bool
changes_model(const Recording *recording, Node *stmt)
{
	ListCell   *lc;

	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			return is_model_grant(recording, (GrantStmt *) stmt);
		case T_TruncateStmt:
			foreach(lc, ((TruncateStmt *) stmt)->relations)
			{
				if (is_model_rangevar(recording, lfirst(lc)))
					return true;
			}
			return false;
		case T_CopyStmt:
			if (!((CopyStmt *) stmt)->is_from || !is_model_rangevar(recording, ((CopyStmt *) stmt)->relation))
				return false;
			if (((CopyStmt *) stmt)->filename == NULL)
				refuse_unrecordable("COPY from the client", "Use INSERT, or a file of the server.");
			return true;
		case T_IndexStmt:
			if (((IndexStmt *) stmt)->concurrent && ((IndexStmt *) stmt)->idxname == NULL &&
				is_model_rangevar(recording, ((IndexStmt *) stmt)->relation))
				refuse_unrecordable("CREATE INDEX CONCURRENTLY without a name", "Give the index a name.");
			return false;
		default:
			return false;
	}
}

/* A utility command begins, the client's or one within. */
void
tenancy_record_utility(PlannedStmt *pstmt, const char *query, ParamListInfo params)
{
	Node	   *stmt = pstmt->utilityStmt;

	if (depth == 0 && !InSecurityRestrictedOperation())
		begin_statement(pstmt, query, pstmt, params);

	/* The recording shall not end between what the statement does and our note of it. */
	if (GetCommandLogLevel(stmt) <= LOGSTMT_MOD && !XactReadOnly && IsTransactionState() &&
		!InSecurityRestrictedOperation())
	{
		Recording  *recording = get_recording(false);

		if (recording != NULL && is_author(recording) &&
			(recording = get_recording(true)) != NULL &&
			changes_model(recording, stmt))
			record_current(recording);
	}
	depth++;
}

/*
 * A transaction ends.  A DO block or procedure that ends its transaction cannot be
 * repeated within a migration's, and what it made before would stay without its wall.
 */
void
tenancy_record_xact(XactEvent event)
{
	const char *what = "a statement that ends its transaction";

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (depth > 0 && current.is_recorded)
				refuse_unrecordable(what, "Run its parts one by one.");
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			current.is_recorded = transaction_recorded = false;
			if (depth > 0 && current.is_block)
				current.unrecordable = what;
			break;
		default:
			break;
	}
}

/* What is rolled back is recorded no longer; the statement may go on. */
void
tenancy_record_subxact(SubXactEvent event, SubTransactionId id)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && current.is_recorded && id <= current.recorded_in)
		current.is_recorded = false;
}

/*
 * The client's statement has run: protect and grant the tables that it has
 * made, so that a shared table is never without its wall.
 */
void
tenancy_record_complete(void)
{
	Recording  *recording;
	List	   *ignored = NIL;
	ListCell   *lc;

	if (depth > 0 || !current.makes_objects || InSecurityRestrictedOperation())
		return;
	current.makes_objects = false;

	/* A query that returned rows finishes when its portal has gone. */
	PushActiveSnapshot(GetTransactionSnapshot());
	recording = get_recording(false);
	if (recording != NULL)
	{
		foreach(lc, recording->ignore)
		{
			Oid			relid = get_relname_relid(lfirst(lc), recording->schema);

			if (OidIsValid(relid))
				ignored = lappend_oid(ignored, relid);
		}
		tenancy_sibling_complete(recording->schema, recording->owner,
								 tenancy_sibling_column(&recording->module), NULL, ignored);
	}
	PopActiveSnapshot();
}


/* ----------------------------------------------------------------
 * Objects
 * ----------------------------------------------------------------
 */

/*
 * Has the command changed an object of the model?  An index and the sequence of a
 * column count as their table.
 */
static bool
command_changed_model(const Recording *recording, bool is_drop)
{
	TenancyExec exec;
	StringInfoData ignore;
	ListCell   *lc;
	bool		changed;

	initStringInfo(&ignore);
	foreach(lc, recording->ignore)
		appendStringInfo(&ignore, "%s%s", ignore.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	if (is_drop)
		changed = tenancy_exec_format("SELECT FROM pg_catalog.pg_event_trigger_dropped_objects() d"
									  " WHERE d.original AND NOT d.is_temporary"
									  " AND COALESCE(d.schema_name, d.address_names[1]) OPERATOR(pg_catalog.=) %s"
									  " AND NOT COALESCE(CASE WHEN d.schema_name IS NULL THEN d.address_names[2] ELSE d.object_name END, '')"
									  " OPERATOR(pg_catalog.=) ANY (ARRAY[%s]::pg_catalog.text[])",
									  quote_literal_cstr(recording->module.model_schema), ignore.data) > 0;
	else
		changed = tenancy_exec_format("SELECT FROM (SELECT d.*, CASE WHEN d.objid IS NOT NULL THEN"
									  " (pg_catalog.pg_identify_object_as_address(d.classid, d.objid, d.objsubid)).object_names END AS names"
									  " FROM pg_catalog.pg_event_trigger_ddl_commands() d WHERE NOT d.in_extension) d"
									  " LEFT JOIN pg_catalog.pg_class c ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
									  " AND c.oid OPERATOR(pg_catalog.=) d.objid"
									  " LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid"
									  " LEFT JOIN pg_catalog.pg_depend s ON c.relkind OPERATOR(pg_catalog.=) 'S'"
									  " AND s.classid OPERATOR(pg_catalog.=) d.classid AND s.objid OPERATOR(pg_catalog.=) c.oid"
									  " AND s.refclassid OPERATOR(pg_catalog.=) d.classid AND s.deptype OPERATOR(pg_catalog.=) ANY ('{a,i}')"
									  " LEFT JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) COALESCE(i.indrelid, s.refobjid, c.oid)"
									  " WHERE COALESCE(d.schema_name, d.names[1]) OPERATOR(pg_catalog.=) %s"
									  " AND NOT COALESCE(t.relname::pg_catalog.text, CASE WHEN d.schema_name IS NULL THEN d.names[2] END, '')"
									  " OPERATOR(pg_catalog.=) ANY (ARRAY[%s]::pg_catalog.text[])",
									  quote_literal_cstr(recording->module.model_schema), ignore.data) > 0;
	tenancy_exec_end(&exec);
	return changed;
}

/* Who drops the extension could not end the recording, and its settings would stay. */
static void
refuse_drop(const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		Node	   *name = lfirst(lc);

		if ((stmt->removeType == OBJECT_EXTENSION || stmt->removeType == OBJECT_SCHEMA) &&
			strcmp(strVal(name), "tenancy") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("cannot drop extension \"%s\" while a migration is being recorded", "tenancy"),
					 errhint("Call tenancy.stop_recording() first.")));
	}
}

/* The event triggers' function. */
Datum
tenancy_record_commands(PG_FUNCTION_ARGS)
{
	EventTriggerData *data = (EventTriggerData *) fcinfo->context;
	Recording  *recording;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by event trigger manager")));
	if (strcmp(data->event, "ddl_command_start") == 0)
	{
		if (IsA(data->parsetree, DropStmt))
			refuse_drop((DropStmt *) data->parsetree);
		PG_RETURN_NULL();
	}
	if (InSecurityRestrictedOperation())
		PG_RETURN_NULL();
	recording = get_recording(false);
	if (recording == NULL || !command_changed_model(recording, strcmp(data->event, "sql_drop") == 0))
		PG_RETURN_NULL();
	if (!tenancy_record_is_on() || depth == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model schema \"%s\" is being recorded, and this session is not",
						recording->module.model_schema),
				 errdetail("It began before the recording, or does not load the library \"%s\" at its start.", "tenancy"),
				 errhint("Connect again.")));
	if (!is_author(recording))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("model schema \"%s\" is being recorded, and role \"%s\" does not act for its owner",
						recording->module.model_schema, GetUserNameFromId(GetOuterUserId(), false)),
				 errhint("Wait until tenancy.stop_recording() has been called.")));
	record_current(recording);
	current.makes_objects = true;
	PG_RETURN_NULL();
}


/* ----------------------------------------------------------------
 * Begin and end
 * ----------------------------------------------------------------
 */

/* Is the library in a list of libraries? */
static bool
loads_us(const char *libraries)
{
	List	   *names;
	ListCell   *lc;

	if (libraries == NULL || !SplitDirectoriesString(pstrdup(libraries), ',', &names))
		return false;
	foreach(lc, names)
	{
		char	   *name = last_dir_separator(lfirst(lc));

		if (strcmp(name ? name + 1 : lfirst(lc), "tenancy") == 0)
			return true;
	}
	return false;
}

/* Set the libraries that sessions of this database load; NULL for no setting. */
static void
set_libraries(const char *libraries)
{
	char	   *database = pstrdup(quote_identifier(get_database_name(MyDatabaseId)));
	StringInfoData list;
	List	   *names = NIL;
	ListCell   *lc;

	if (libraries == NULL || !SplitDirectoriesString(pstrdup(libraries), ',', &names) || names == NIL)
	{
		tenancy_exec_format("ALTER DATABASE %s RESET session_preload_libraries", database);
		return;
	}
	initStringInfo(&list);
	foreach(lc, names)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	tenancy_exec_format("ALTER DATABASE %s SET session_preload_libraries = %s", database, list.data);
}

/*
 * Have new sessions load the library and be recorded.  preload says whether
 * that took a setting, before what the database had for it.
 */
static void
set_database(TenancyExec *exec, bool *preload, char **before)
{
	char	   *libraries;

	*before = tenancy_exec_text(exec, "SELECT pg_catalog.substr(c, pg_catalog.length('session_preload_libraries=') OPERATOR(pg_catalog.+) 1)"
								" FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c"
								" WHERE s.setrole OPERATOR(pg_catalog.=) 0 AND s.setdatabase OPERATOR(pg_catalog.=)"
								" (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
								" AND pg_catalog.starts_with(c, 'session_preload_libraries=')");

	/* Ours may be from a recording that has ended: what do the server's files say? */
	libraries = *before != NULL ? *before :
		tenancy_exec_text(exec, "SELECT setting FROM pg_catalog.pg_file_settings"
						  " WHERE name OPERATOR(pg_catalog.=) 'session_preload_libraries' AND applied"
						  " ORDER BY seqno DESC LIMIT 1");
	*preload = !loads_us(GetConfigOption("shared_preload_libraries", true, false)) &&
		!loads_us(libraries);
	if (*preload)
		set_libraries(libraries != NULL && libraries[0] != '\0' ? psprintf("%s, tenancy", libraries) : "tenancy");
	tenancy_exec_format("ALTER DATABASE %s SET tenancy.recording = on",
						quote_identifier(get_database_name(MyDatabaseId)));
}

static void
set_triggers(const char *state)
{
	tenancy_exec_format("ALTER EVENT TRIGGER tenancy_record_start %s", state);
	tenancy_exec_format("ALTER EVENT TRIGGER tenancy_record_end %s", state);
	tenancy_exec_format("ALTER EVENT TRIGGER tenancy_record_drop %s", state);
}

/* Record this session too, or no longer. */
static void
set_session(bool on)
{
	(void) set_config_option("tenancy.recording", on ? "on" : "off", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
}

static void
check_start(const TenancyModule *module, int64 version)
{
	Recording  *other = get_recording(false);

	if (other != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("migration " INT64_FORMAT " of module \"%s\" is being recorded",
						other->version, other->module.name),
				 errhint("Call tenancy.stop_recording() first.")));
	tenancy_registry_refuse_superuser(module->model_schema, tenancy_registry_module_owner(module));
	tenancy_migration_check_new(module, version);
}

/* start_recording(version bigint, description text, module text, ignore_tables text[]) */
Datum
tenancy_record_start(PG_FUNCTION_ARGS)
{
	TenancyModule module;
	TenancyExec exec;
	char	   *description;
	char	   *ignore;
	bool		preload;
	char	   *before;

	tenancy_require_arg(fcinfo, 0, "version");
	tenancy_require_arg(fcinfo, 1, "description");
	tenancy_require_arg(fcinfo, 3, "ignore_tables");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	description = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ignore = OidOutputFunctionCall(F_ARRAY_OUT, PG_GETARG_DATUM(3));
	tenancy_registry_lock_models(ExclusiveLock);
	tenancy_migration_get_module(fcinfo, 2, &module);
	check_start(&module, PG_GETARG_INT64(0));

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	set_database(&exec, &preload, &before);
	tenancy_exec_sql("DELETE FROM tenancy.recorded_statement");
	tenancy_exec_format("INSERT INTO tenancy.recording (module, version, description, ignore_tables, preload, preload_before)"
						" VALUES (%s, " INT64_FORMAT ", %s, pg_catalog.array_remove(%s::pg_catalog.text[], NULL), %s, %s)",
						quote_literal_cstr(module.name), PG_GETARG_INT64(0), quote_literal_cstr(description),
						quote_literal_cstr(ignore), preload ? "true" : "false",
						before ? quote_literal_cstr(before) : "NULL");
	set_triggers("ENABLE");
	tenancy_exec_end(&exec);
	set_session(true);
	PG_RETURN_VOID();
}

/* Undo what start_recording() has set, and take the row away. */
static void
unset_all(void)
{
	TenancyExec exec;
	char	   *preload;
	char	   *before;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	preload = tenancy_exec_text(&exec, "SELECT preload FROM tenancy.recording FOR UPDATE");
	before = tenancy_exec_text(&exec, "SELECT preload_before FROM tenancy.recording");
	if (preload != NULL && strcmp(preload, "t") == 0)
		set_libraries(before);
	tenancy_exec_format("ALTER DATABASE %s RESET tenancy.recording",
						quote_identifier(get_database_name(MyDatabaseId)));
	set_triggers("DISABLE");
	tenancy_exec_sql("DELETE FROM tenancy.recording");
	tenancy_exec_end(&exec);
	set_session(false);
}

/* What was recorded, as one text; takes it out of its table. */
static char *
take_statements(int *count)
{
	StringInfoData sql;
	List	   *statements;
	ListCell   *lc;

	statements = tenancy_exec_list_as(tenancy_registry_owner(),
									  "SELECT sql FROM tenancy.recorded_statement ORDER BY number");
	(void) tenancy_exec_list_as(tenancy_registry_owner(),
								"WITH d AS (DELETE FROM tenancy.recorded_statement RETURNING number) SELECT number FROM d");
	initStringInfo(&sql);
	foreach(lc, statements)
		appendStringInfo(&sql, "%s\n;\n", (char *) lfirst(lc));
	*count = list_length(statements);
	return sql.data;
}

/* stop_recording(discard boolean) */
Datum
tenancy_record_stop(PG_FUNCTION_ARGS)
{
	Recording  *recording;
	char	   *description;
	char	   *sql;
	int			count;

	tenancy_require_arg(fcinfo, 0, "discard");
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("tenancy.stop_recording() needs the isolation level READ COMMITTED")));
	tenancy_registry_lock_models(ExclusiveLock);
	recording = get_recording(false);
	if (recording == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no migration is being recorded")));
	description = linitial(tenancy_exec_list_as(tenancy_registry_owner(),
												"SELECT description FROM tenancy.recording"));

	/* This waits for the transactions that have recorded statements. */
	unset_all();
	sql = take_statements(&count);
	if (count > 0 && !PG_GETARG_BOOL(0))
	{
		tenancy_migration_add_applied(&recording->module, recording->version, description, sql);
		ereport(NOTICE,
				(errmsg_plural("migration " INT64_FORMAT " of module \"%s\": %d statement recorded",
							   "migration " INT64_FORMAT " of module \"%s\": %d statements recorded",
							   count, recording->version, recording->module.name, count),
				 errhint("Call tenancy.migrate() to apply it to the tenants.")));
	}
	PG_RETURN_INT32(count);
}
