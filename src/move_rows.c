/*-------------------------------------------------------------------------
 *
 * move_rows.c
 *	  A move's worker: copying a tenant's rows, and the switch.
 *
 * All in one transaction, so that a crash or an error leaves the tenant where
 * it was: the new schema is made from the model, the rows are copied, the
 * sequences set, everything is checked, and the registry's row switched.
 *
 * Rows are copied by one query for each table (load.c; where that cannot be, by
 * INSERT ... SELECT), as the tables'
 * owner, restricted, past FORCE ROW LEVEL SECURITY.  Triggers do not fire, for
 * rows that have been through them once, nor do rules; identities are kept, and
 * generated columns computed anew.  A type of the model schema has its own copy
 * in a tenant's schema, and a value passes from one to the other as text.
 *
 * Foreign keys that lead out of a new schema are added when the rows are there: the
 * tables that they lead to are locked against writers from then on.
 *
 * Each table's rows are counted and hashed on both sides, by statements that are
 * younger than all the copying: what somebody wrote to the source in spite of
 * all (row security does not hold up a superuser) is noticed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "clone.h"
#include "compat.h"
#include "database.h"
#include "drop_schema.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "import.h"
#include "load.h"
#include "miscadmin.h"
#include "move_rows.h"
#include "pgstat.h"
#include "plugin.h"
#include "progress.h"
#include "postmaster/bgworker.h"
#include "registry.h"
#include "rows.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(tenancy_move_rows);
PG_FUNCTION_INFO_V1(tenancy_move_load);

PGDLLEXPORT void tenancy_move_check_unwritten_main(const char *argument);

/* How long to wait for locks, in milliseconds: the tenant's writers wait, too. */
#define LOCK_TIMEOUT	"10000"

/* How many rows are copied before progress is looked at. */
#define TALLY_ROWS		1000

/* ----------------------------------------------------------------
 * What there is to move
 * ----------------------------------------------------------------
 */

/* The tenant as it will be in another mode. */
void
tenancy_move_target(const TenancyTenant *tenant, TenancyMode mode, TenancyTenant *moved)
{
	*moved = *tenant;
	moved->mode = mode;
	moved->schema_name[0] = '\0';
	moved->database_name[0] = '\0';
	if (mode == TENANCY_SCHEMA)
		strlcpy(moved->schema_name, tenancy_ident_schema(tenant->slug, NULL), NAMEDATALEN);
	if (mode == TENANCY_DATABASE)
		strlcpy(moved->database_name, tenancy_ident_database(tenant->slug), NAMEDATALEN);
}

/* The target's schema of a part, then that of the main module, whose types it may use. */
static char *
target_path(const TenancyMovePart *part, const TenancyMove *move)
{
	const TenancyMovePart *first = linitial(move->parts);
	char	   *path = pstrdup(quote_identifier(tenancy_registry_schema(&move->to, &part->module)));

	if (part != first)
		path = psprintf("%s, %s", path, quote_identifier(tenancy_registry_schema(&move->to, &first->module)));
	return psprintf("%s, pg_temp", path);
}

static void refuse_difference(const TenancyMove *move, const char *detail) pg_attribute_noreturn();

static void
refuse_difference(const TenancyMove *move, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the tables of tenant \"%s\" are not those of the model", move->from.slug),
			 errdetail_internal("%s", detail),
			 errhint("See tenancy.drift().")));
}

static void
check_pair(const TenancyMove *move, const TenancyMovePair *pair)
{
	if (!OidIsValid(pair->source) || !OidIsValid(pair->target) ||
		pair->source_kind != pair->target_kind)
		refuse_difference(move, psprintf(_("Table \"%s\" is not the same on both sides."), pair->name));
	if (pair->source_kind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move the rows of foreign table \"%s\"", pair->name)));
	if (pair->owner != pair->target_owner || superuser_arg(pair->owner))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move the rows of table \"%s\", whose owner is not that of the model schema",
						pair->name),
				 errhint("Use ALTER TABLE ... OWNER TO that role.")));
	if (pair->tenant_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot move the rows of table \"%s\", which is not protected", pair->name),
				 errhint("Call tenancy.protect_table() first.")));
}

/* A partitioned table stands for its partitions. */
#define TABLES_OF_SCHEMA \
	"(SELECT oid, relname, relkind, relowner FROM " TENANCY_RELATIONS_OF("ARRAY[%u]::pg_catalog.oid[]") " c" \
	" WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,p,f}'::pg_catalog.\"char\"[])" \
	" AND (NOT relispartition OR relkind OPERATOR(pg_catalog.=) 'f'))"

static void
find_pairs(TenancyMove *move, TenancyMovePart *part)
{
	TenancyExec exec;
	uint64		nrows;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_prefer_indexes();
	nrows = tenancy_exec_format("SELECT COALESCE(s.relname, t.relname), s.oid, t.oid, s.relkind, t.relkind,"
								" s.relowner, t.relowner,"
								" CASE WHEN %s THEN (" TENANCY_TENANT_COLUMN_OF("s.oid") ")"
								" ELSE (" TENANCY_TENANT_COLUMN_OF("t.oid") ") END"
								" FROM " TABLES_OF_SCHEMA " s FULL JOIN " TABLES_OF_SCHEMA " t"
								" ON t.relname OPERATOR(pg_catalog.=) s.relname ORDER BY 1",
								move->from.mode == TENANCY_SHARED ? "true" : "false",
								part->source_schema, part->target_schema);
	for (uint64 i = 0; i < nrows; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		TenancyMovePair *pair = palloc0(sizeof(TenancyMovePair));
		char	   *values[8];

		for (int n = 0; n < lengthof(values); n++)
			values[n] = SPI_getvalue(tuple, desc, n + 1);
		pair->part = part;
		pair->name = values[0];
		pair->source = values[1] ? atooid(values[1]) : InvalidOid;
		pair->target = values[2] ? atooid(values[2]) : InvalidOid;
		pair->source_kind = values[3] ? *values[3] : '\0';
		pair->target_kind = values[4] ? *values[4] : '\0';
		pair->owner = values[5] ? atooid(values[5]) : InvalidOid;
		pair->target_owner = values[6] ? atooid(values[6]) : InvalidOid;
		pair->tenant_column = values[7];
		check_pair(move, pair);
		move->pairs = lappend(move->pairs, pair);
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
}

static void
append_item(StringInfo list, const char *item)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? ", " : "", item);
}

/* Note a column of the pair, by its name and type on both sides. */
static void
add_column(const TenancyMove *move, TenancyMovePair *pair, const char *name, Oid source_type, Oid target_type,
		   const char *type_name)
{
	const char *column = quote_identifier(name);
	const char *value = source_type == target_type ? column : psprintf("%s::pg_catalog.text::%s", column, type_name);

	append_item(&pair->columns, column);
	append_item(&pair->compared, value);
	append_item(&pair->values, strcmp(name, pair->tenant_column) != 0 ? value :
				psprintf("'%s'::pg_catalog.uuid", move->id));
	pair->names = lappend(pair->names, pstrdup(name));
}

#define COLUMNS_OF_TABLE \
	"(SELECT a.attnum, a.attname, a.atttypid, a.atttypmod, y.typname, y.typnamespace" \
	" FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid OPERATOR(pg_catalog.=) a.atttypid" \
	" WHERE a.attrelid OPERATOR(pg_catalog.=) %u AND a.attnum OPERATOR(pg_catalog.>) 0" \
	" AND NOT a.attisdropped AND a.attgenerated OPERATOR(pg_catalog.=) '')"

static void
find_columns(const TenancyMove *move, TenancyMovePair *pair)
{
	TenancyExec exec;
	uint64		nrows;

	initStringInfo(&pair->columns);
	initStringInfo(&pair->values);
	initStringInfo(&pair->compared);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_format("SELECT COALESCE(s.attname, t.attname), s.atttypid, t.atttypid,"
								" pg_catalog.format_type(t.atttypid, t.atttypmod),"
								" COALESCE(s.atttypmod OPERATOR(pg_catalog.=) t.atttypmod"
								"  AND (s.atttypid OPERATOR(pg_catalog.=) t.atttypid"
								"   OR (s.typname OPERATOR(pg_catalog.=) t.typname"
								"    AND EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest('%s'::pg_catalog.oid[]),"
								"      pg_catalog.unnest('%s'::pg_catalog.oid[])) p(source, target)"
								"     WHERE p.source OPERATOR(pg_catalog.=) s.typnamespace"
								"     AND p.target OPERATOR(pg_catalog.=) t.typnamespace))), false)"
								" FROM " COLUMNS_OF_TABLE " s FULL JOIN " COLUMNS_OF_TABLE " t"
								" ON t.attname OPERATOR(pg_catalog.=) s.attname ORDER BY t.attnum",
								move->source_schemas, move->target_schemas, pair->source, pair->target);
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *name = SPI_getvalue(tuple, desc, 1);
		MemoryContext old;

		if (*SPI_getvalue(tuple, desc, 5) != 't')
			refuse_difference(move, psprintf(_("Column \"%s\" of table \"%s\" is not the same on both sides."),
											 name, pair->name));
		old = MemoryContextSwitchTo(exec.caller_context);
		add_column(move, pair, name, atooid(SPI_getvalue(tuple, desc, 2)),
				   atooid(SPI_getvalue(tuple, desc, 3)), SPI_getvalue(tuple, desc, 4));
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
}

/* Where the tenant's rows are on a side: what stands behind FROM. */
char *
tenancy_move_rows_of(const TenancyMove *move, const TenancyMovePair *pair, const TenancyTenant *side)
{
	return psprintf("%s%s%s", pair->source_kind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					quote_qualified_identifier(tenancy_registry_schema(side, &pair->part->module), pair->name),
					side->mode != TENANCY_SHARED ? "" :
					psprintf(" WHERE %s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
							 quote_identifier(pair->tenant_column), move->id));
}


/* ----------------------------------------------------------------
 * Copying
 * ----------------------------------------------------------------
 */

/* The statement that copies what is selected FROM rows. */
char *
tenancy_move_copy_statement(const TenancyMove *move, const TenancyMovePair *pair, const char *rows)
{
	return psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s",
					quote_qualified_identifier(tenancy_registry_schema(&move->to, &pair->part->module), pair->name),
					pair->columns.data, pair->values.data, rows);
}

/* Run statements that write to the target. */
void
tenancy_move_exec_begin(const TenancyMove *move, const TenancyMovePair *pair, TenancyExec *exec)
{
	tenancy_exec_begin(exec, pair->owner, target_path(pair->part, move));
	tenancy_exec_noforce_rls();
	tenancy_exec_set("session_replication_role", "replica");
}

typedef struct Copying
{
	TenancyLoad *load;
	int		   *positions;		/* where the source's columns are among the target's */
	int			tenant_position;	/* where the tenant column is there */
	pg_uuid_t	id;				/* what is in it */
	uint64		nrows;
	TenancyChecksum *checksum;	/* of them, or NULL */
} Copying;

static void
copy_row(TupleTableSlot *slot, void *arg)
{
	Copying    *copying = arg;
	TupleTableSlot *row = tenancy_load_next(copying->load);

	if (copying->checksum != NULL)
		tenancy_checksum_add(slot, copying->checksum);
	slot_getallattrs(slot);
	memset(row->tts_isnull, true, row->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		row->tts_values[copying->positions[i]] = slot->tts_values[i];
		row->tts_isnull[copying->positions[i]] = slot->tts_isnull[i];
	}
	row->tts_values[copying->tenant_position] = UUIDPGetDatum(&copying->id);
	row->tts_isnull[copying->tenant_position] = false;
	tenancy_load_add(copying->load);
	if (++copying->nrows % TALLY_ROWS == 0)
		tenancy_progress_add(TALLY_ROWS);
}

/* Copy the rows that a query selects, one by one. */
static void
load_rows(const TenancyMove *move, const TenancyMovePair *pair, TenancyLoad *load, const char *query,
		  Snapshot snapshot, TenancyChecksum *checksum)
{
	Copying		copying;
	ListCell   *lc;

	memset(&copying, 0, sizeof(copying));
	copying.load = load;
	copying.positions = palloc(list_length(pair->names) * sizeof(int));
	copying.tenant_position = get_attnum(pair->target, pair->tenant_column) - 1;
	copying.id = move->from.id;
	copying.checksum = checksum;
	foreach(lc, pair->names)
		copying.positions[foreach_current_index(lc)] = get_attnum(pair->target, lfirst(lc)) - 1;
	(void) tenancy_exec_rows_at(query, NULL, snapshot, 0, copy_row, &copying);
	tenancy_progress_add(copying.nrows % TALLY_ROWS);
	(void) tenancy_load_end(load);
}

/* Copy them by a statement. */
static uint64
insert_rows(const char *statement, Snapshot snapshot)
{
	SPIPlanPtr	plan = SPI_prepare(statement, 0, NULL);

	if (plan == NULL ||
		SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot, false, true, 0) != SPI_OK_INSERT)
		elog(ERROR, "SPI_execute_snapshot failed for \"%s\"", statement);
	return SPI_processed;
}

static char *
copy_line(const TenancyTally *tally)
{
	return psprintf(_("copied %llu rows, table %d of %d, %.0f rows/s"),
					(unsigned long long) tally->done, tally->table, tally->tables,
					tenancy_progress_rate(&tally->pace, tally->done));
}

/* Tell from now on how many rows are copied; each table's are a call of what follows. */
void
tenancy_move_begin_copy(const TenancyMove *move)
{
	tenancy_progress_begin_tally(copy_line, list_length(move->pairs));
}

/*
 * Copy a table's rows as they are now, or as a snapshot shows them.  Their number and
 * checksum are noted, if the caller wants that.
 */
void
tenancy_move_copy(const TenancyMove *move, const TenancyMovePair *pair, Snapshot snapshot, TenancyChecksum *checksum)
{
	const char *rows = tenancy_move_rows_of(move, pair, &move->from);
	const char *query = tenancy_move_source_query(pair, rows);
	TenancyExec exec;
	TenancyLoad *load;

	tenancy_progress_next_table();
	tenancy_move_exec_begin(move, pair, &exec);
	load = tenancy_load_begin(pair->target, move->to.mode == TENANCY_SCHEMA);
	if (load != NULL)
		load_rows(move, pair, load, query, snapshot, checksum);
	else
	{
		tenancy_progress_add(insert_rows(tenancy_move_copy_statement(move, pair, rows), snapshot));
		if (checksum != NULL)
			*checksum = tenancy_checksum_query(query, NULL, snapshot);
	}
	tenancy_exec_end(&exec);
}

/*
 * Each is read and set as its owner, by name: whoever owns it can put something
 * else under that name before we look, a view with a function of his own, say.
 */
static void
set_sequences(const TenancyMove *move, const TenancyMovePart *part)
{
	ListCell   *lc;
	List	   *commands = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('%%s %%s SELECT pg_catalog.setval(%%s::pg_catalog.regclass, s.last_value, s.is_called) FROM %%s s, %%s t%%s',"
		" s.relowner, t.relowner, pg_catalog.quote_literal(t.oid), s.oid::pg_catalog.regclass, t.oid::pg_catalog.regclass,"
		" CASE WHEN %s THEN pg_catalog.format(' WHERE s.last_value OPERATOR(pg_catalog.%%s) t.last_value"
		" OR (s.last_value OPERATOR(pg_catalog.=) t.last_value AND s.is_called)',"
		"  CASE WHEN q.seqincrement OPERATOR(pg_catalog.>) 0 THEN '>' ELSE '<' END) ELSE '' END)"
		" FROM " TENANCY_RELATIONS_OF("ARRAY[%u]::pg_catalog.oid[]") " s"
		" JOIN pg_catalog.pg_class t ON t.relname OPERATOR(pg_catalog.=) s.relname"
		" JOIN pg_catalog.pg_sequence q ON q.seqrelid OPERATOR(pg_catalog.=) t.oid"
		" WHERE t.relnamespace OPERATOR(pg_catalog.=) %u"
		" AND s.relkind OPERATOR(pg_catalog.=) 'S' AND t.relkind OPERATOR(pg_catalog.=) 'S'",
		move->to.mode == TENANCY_SHARED ? "true" : "false",
		part->source_schema, part->target_schema));

	foreach(lc, commands)
	{
		char	   *command;
		Oid			owner = strtoul(lfirst(lc), &command, 10);
		Oid			target_owner = strtoul(command, &command, 10);
		TenancyExec exec;

		if (owner != target_owner || superuser_arg(owner))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot move a tenant of a model with a sequence whose owner is not that of the model schema"),
					 errhint("Use ALTER SEQUENCE ... OWNER TO that role.")));
		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		tenancy_exec_sql(command);
		tenancy_exec_end(&exec);
	}
}

/*
 * Let the sequences go on where those of the source are.  Those of the shared
 * tables are never set back.
 */
void
tenancy_move_set_sequences(const TenancyMove *move)
{
	ListCell   *lc;

	foreach(lc, move->parts)
		set_sequences(move, lfirst(lc));
}


/* ----------------------------------------------------------------
 * Checking
 * ----------------------------------------------------------------
 */

/*
 * Queries for what tells whether both sides have the same rows, which are what
 * stands behind FROM: the source's as the target should have them.
 */
char *
tenancy_move_source_query(const TenancyMovePair *pair, const char *rows)
{
	return psprintf("SELECT %s FROM %s", pair->compared.data, rows);
}

char *
tenancy_move_target_query(const TenancyMovePair *pair, const char *rows)
{
	return psprintf("SELECT %s FROM %s", pair->columns.data, rows);
}

/* Compare both sides. */
void
tenancy_move_compare(const TenancyMovePair *pair, TenancyChecksum source, TenancyChecksum target)
{
	if (source.nrows != target.nrows || source.sum != target.sum)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rows of table \"%s\" are not the same where they were copied to", pair->name),
				 errdetail("There are " UINT64_FORMAT " rows with checksum " UINT64_FORMAT
						   "; the copy has " UINT64_FORMAT " rows with checksum " UINT64_FORMAT ".",
						   source.nrows, source.sum, target.nrows, target.sum),
				 errhint("While a tenant is moving, nobody whom row security does not bind may write to its tables.")));
}

/* Compare both sides as they are now. */
static void
compare_rows(const TenancyMove *move, const TenancyMovePair *pair)
{
	TenancyExec exec;
	TenancyChecksum source;
	TenancyChecksum target;

	tenancy_move_exec_begin(move, pair, &exec);
	source = tenancy_checksum_query(tenancy_move_source_query(pair, tenancy_move_rows_of(move, pair, &move->from)), NULL, NULL);
	target = tenancy_checksum_query(tenancy_move_target_query(pair, tenancy_move_rows_of(move, pair, &move->to)), NULL, NULL);
	tenancy_exec_end(&exec);
	tenancy_move_compare(pair, source, target);
}

/* Run a query that finds what must not be; returns that, or NULL. */
static char *
find_flaw(Oid role, const char *query)
{
	TenancyExec exec;
	char	   *flaw;

	tenancy_exec_begin(&exec, role, TENANCY_PATH_NONE);
	tenancy_exec_noforce_rls();
	flaw = tenancy_exec_text(&exec, query);
	tenancy_exec_end(&exec);
	return flaw;
}

/*
 * Rows of others must not refer to rows that go away from the shared tables.
 * For each foreign key that allows it, the catalogs write a query; it needs to
 * read both tables, and so they must be of one owner.
 */
void
tenancy_move_check_references(const TenancyMove *move)
{
	ListCell   *lc;
	List	   *queries = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT CASE WHEN k.fowner OPERATOR(pg_catalog.=) k.powner THEN k.fowner ELSE 0 END OPERATOR(pg_catalog.||)"
		" pg_catalog.format(' SELECT %%L FROM %%s f, %%s p WHERE %%s AND p.%%I OPERATOR(pg_catalog.=) %%L::pg_catalog.uuid%%s LIMIT 1',"
		"  k.conname, k.conrelid::pg_catalog.regclass, k.confrelid::pg_catalog.regclass,"
		"  pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) f.%%I', pa.attname, opn.nspname, o.oprname, fa.attname), ' AND '),"
		"  k.pcolumn, '%s',"
		"  CASE WHEN k.fcolumn IS NULL THEN '' ELSE pg_catalog.format(' AND f.%%I OPERATOR(pg_catalog.<>) %%L::pg_catalog.uuid', k.fcolumn, '%s') END)"
		" FROM (SELECT k.*, fc.relowner AS fowner, pc.relowner AS powner,"
		"  (" TENANCY_TENANT_COLUMN_OF("fc.oid") ") AS fcolumn, (" TENANCY_TENANT_COLUMN_OF("pc.oid") ") AS pcolumn"
		"  FROM " TENANCY_RELATIONS_OF("'%s'::pg_catalog.oid[]") " pc"
		"  CROSS JOIN LATERAL " TENANCY_KEYS_TO("pc.oid") " k"
		"  JOIN pg_catalog.pg_class fc ON fc.oid OPERATOR(pg_catalog.=) k.conrelid"
		"  WHERE k.conparentid OPERATOR(pg_catalog.=) 0 AND " TENANCY_IS_ENFORCED ") k"
		" CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey), pg_catalog.unnest(k.conpfeqop)) AS u(fk, pk, op)"
		" JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) k.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk"
		" JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) k.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk"
		" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) u.op"
		" JOIN pg_catalog.pg_namespace opn ON opn.oid OPERATOR(pg_catalog.=) o.oprnamespace"
		" GROUP BY k.oid, k.conname, k.conrelid, k.confrelid, k.fowner, k.powner, k.fcolumn, k.pcolumn"
		" HAVING NOT pg_catalog.bool_or(fa.attname OPERATOR(pg_catalog.=) k.fcolumn"
		"  AND pa.attname OPERATOR(pg_catalog.=) k.pcolumn) IS TRUE",
		move->id, move->id, move->source_schemas));

	foreach(lc, queries)
	{
		char	   *query = strchr(lfirst(lc), ' ') + 1;
		Oid			owner = atooid(lfirst(lc));
		char	   *constraint;

		if (!OidIsValid(owner))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a table of another owner refers to the tables of the model"),
					 errdetail("Whether its rows refer to those of the tenant cannot be told.")));
		constraint = find_flaw(owner, query);
		if (constraint != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
					 errmsg("rows that are not the tenant's refer to its rows by foreign key constraint \"%s\"",
							constraint),
					 errhint("See tenancy.check_isolation().")));
	}
}

/* A copy that has not had all migrations, or too many, is not like the model. */
static void
check_level(const TenancyMove *move, const TenancyModule *module)
{
	uint64		found;

	found = tenancy_exec_format_as(tenancy_registry_owner(),
								   "SELECT FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
								   " AND module OPERATOR(pg_catalog.=) %s AND level OPERATOR(pg_catalog.=) %d"
								   " AND step OPERATOR(pg_catalog.=) 0 AND NOT under_way",
								   move->id, quote_literal_cstr(module->name), module->level);
	if (found == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" has not had the migrations of the model", move->from.slug),
				 errhint("Call tenancy.migrate() first.")));
}


/* ----------------------------------------------------------------
 * The whole
 * ----------------------------------------------------------------
 */

/* Note what a list of schemas is to SQL. */
static char *
as_array(List *oids)
{
	StringInfoData array;
	ListCell   *lc;

	initStringInfo(&array);
	appendStringInfoChar(&array, '{');
	foreach(lc, oids)
		appendStringInfo(&array, "%s%u", foreach_current_index(lc) > 0 ? "," : "", lfirst_oid(lc));
	appendStringInfoChar(&array, '}');
	return array.data;
}

/*
 * What changes if anybody writes to the rows that are to be moved, whoever he is: for each
 * table, how many versions of rows there are, and a checksum of what tells these apart.
 */
char *
tenancy_move_versions(const TenancyMove *move)
{
	const char *is_shared = move->from.mode == TENANCY_SHARED ? "true" : "false";
	StringInfoData versions;
	ListCell   *lc;

	initStringInfo(&versions);
	foreach(lc, tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.concat_ws(' ', c.oid, c.relowner, pg_catalog.format('FROM %%s%%s%%s',"
		"  CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'p' THEN '' ELSE 'ONLY ' END, c.oid::pg_catalog.regclass,"
		"  CASE WHEN %s THEN pg_catalog.format(' WHERE %%I OPERATOR(pg_catalog.=) %%L', t.tenant_column, '%s') END))"
		" FROM " TENANCY_RELATIONS_OF("'%s'::pg_catalog.oid[]") " c"
		" CROSS JOIN LATERAL (SELECT (" TENANCY_TENANT_COLUMN_OF("c.oid") ") AS tenant_column) t"
		" WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[]) AND NOT c.relispartition"
		" AND (t.tenant_column IS NOT NULL OR NOT %s) ORDER BY c.oid",
		is_shared, move->id, move->source_schemas, is_shared)))
	{
		char	   *from;
		Oid			table = strtoul(lfirst(lc), &from, 10);
		Oid			owner = strtoul(from, &from, 10);
		TenancyChecksum checksum;
		TenancyExec exec;

		tenancy_exec_begin(&exec, owner, TENANCY_PATH_NONE);
		tenancy_exec_noforce_rls();
		checksum = tenancy_checksum_query(psprintf("SELECT tableoid, ctid, xmin %s", from), NULL, NULL);
		tenancy_exec_end(&exec);
		appendStringInfo(&versions, "%u " UINT64_FORMAT " " UINT64_FORMAT ",", table, checksum.nrows, checksum.sum);
	}
	return versions.data;
}

/* Find the modules that are to be moved, and where their rows are. */
void
tenancy_move_find_parts(TenancyMove *move)
{
	List	   *schemas = NIL;
	ListCell   *lc;

	move->parts = NIL;
	foreach(lc, tenancy_registry_installed(&move->from))
	{
		TenancyMovePart *part = palloc0(sizeof(TenancyMovePart));

		part->module = *(TenancyModule *) lfirst(lc);
		part->source_schema = get_namespace_oid(tenancy_registry_schema(&move->from, &part->module), false);
		schemas = lappend_oid(schemas, part->source_schema);
		move->parts = lappend(move->parts, part);
	}
	move->source_schemas = as_array(schemas);
}

/*
 * What is to be done, as the caller has written it down; locked, once writers
 * are refused.  While it is written down, no module is installed or taken back.
 */
void
tenancy_move_read(TenancyMove *move, bool writers_refused)
{
	TenancyExec exec;
	char	   *mode;

	tenancy_registry_lock_access(ShareLock);
	if (writers_refused)
		tenancy_registry_get_locked(move->id, &move->from);
	else
		tenancy_registry_get(move->id, &move->from);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	mode = tenancy_exec_text_format(&exec, "SELECT to_mode FROM tenancy.move WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
									" AND phase OPERATOR(pg_catalog.=) %s", move->id,
									writers_refused ? "'copying' FOR UPDATE" : "'capturing'");
	tenancy_exec_end(&exec);
	if (mode == NULL || move->from.status != (writers_refused ? TENANCY_MOVING : TENANCY_ACTIVE))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tenant \"%s\" is no longer being moved", move->from.slug)));
	tenancy_move_target(&move->from, tenancy_mode_from_text(mode), &move->to);
	tenancy_registry_lock_models(ShareLock);
	if (!writers_refused || move->parts == NIL)
		tenancy_move_find_parts(move);
}

static void
lock_all(List *tables, LOCKMODE mode)
{
	TenancyExec exec;
	ListCell   *lc;

	list_sort(tables, list_oid_cmp);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_set("lock_timeout", LOCK_TIMEOUT);
	foreach(lc, tables)
		LockRelationOid(lfirst_oid(lc), mode);
	tenancy_exec_end(&exec);
}

/* Lock the source's tables. */
void
tenancy_move_lock_tables(const TenancyTenant *tenant, LOCKMODE mode)
{
	lock_all(tenancy_registry_tables(tenant), mode);
}

/*
 * Keep writers off the tables outside from which a foreign key's cascade comes to the
 * source's rows: no policy would refuse that.  Before these are locked, as they do.
 * Where the target will have foreign keys to them, the lock is the one that it takes to
 * add these, and on all tables outside: in order, or not at all before the end.
 */
void
tenancy_move_lock_cascades(const TenancyTenant *tenant, TenancyMode to)
{
	char	   *tables = as_array(tenancy_registry_tables(tenant));
	List	   *referenced = NIL;
	bool		cascades = false;
	ListCell   *lc;

	foreach(lc, tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT pg_catalog.format('%%s %%s', k.confrelid, (k.confupdtype OPERATOR(pg_catalog.=) ANY ('{c,n,d}'::pg_catalog.\"char\"[])"
		"  OR k.confdeltype OPERATOR(pg_catalog.=) ANY ('{c,n,d}'::pg_catalog.\"char\"[]))::pg_catalog.int4)"
		" FROM pg_catalog.pg_constraint k"
		" JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) k.confrelid"
		" WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.conrelid OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])"
		" AND k.confrelid OPERATOR(pg_catalog.<>) ALL ('%s'::pg_catalog.oid[])"
		" AND c.relnamespace OPERATOR(pg_catalog.<>) 'tenancy'::pg_catalog.regnamespace", tables, tables)))
	{
		char	   *is_cascade;
		Oid			relid = strtoul(lfirst(lc), &is_cascade, 10);

		if (is_cascade[1] == '1')
			cascades = true;
		if (is_cascade[1] == '1' || to == TENANCY_SCHEMA)
			referenced = list_append_unique_oid(referenced, relid);
	}
	if (cascades)
		lock_all(referenced, to == TENANCY_SCHEMA ? ShareRowExclusiveLock : ShareLock);
}

/* Nobody changes the source's tables, and a tenant's own are not written to. */
void
tenancy_move_lock_source(const TenancyTenant *tenant)
{
	tenancy_move_lock_tables(tenant, tenant->mode == TENANCY_SCHEMA ? ShareLock : AccessShareLock);
}

/* Can the source be left? */
void
tenancy_move_check_source(const TenancyMove *move)
{
	ListCell   *lc;

	foreach(lc, move->parts)
	{
		const TenancyModule *module = &((TenancyMovePart *) lfirst(lc))->module;

		tenancy_registry_refuse_recording(module->name);
		if (move->from.mode != TENANCY_SHARED)
			check_level(move, module);
		if (move->from.mode == TENANCY_SCHEMA)
			tenancy_registry_refuse_foreign_schema(&move->from, tenancy_registry_schema(&move->from, module));
	}
	if (move->from.mode == TENANCY_SCHEMA)
		tenancy_drop_check_dependents(psprintf("the schema of tenant \"%s\"", move->from.slug),
									  tenancy_registry_schemas(&move->from), "Drop them first.");
	tenancy_plugin_refuse_strays(&move->from);
}

/*
 * Make ready where the rows go to.  The foreign keys that lead out of new schemas are
 * left for tenancy_move_add_keys().
 */
void
tenancy_move_prepare_target(TenancyMove *move)
{
	List	   *schemas = NIL;
	char	   *constraint;
	ListCell   *lc;

	foreach(lc, move->parts)
	{
		TenancyMovePart *part = lfirst(lc);

		if (move->to.mode == TENANCY_SCHEMA)
			move->keys = lappend(move->keys, tenancy_clone_schema_without_keys(&move->to, &part->module));
		part->target_schema = get_namespace_oid(tenancy_registry_schema(&move->to, &part->module), false);
		schemas = lappend_oid(schemas, part->target_schema);
	}
	move->target_schemas = as_array(schemas);
	constraint = move->to.mode == TENANCY_SHARED ?
		tenancy_rows_deferrable_constraint(move->target_schemas) : NULL;
	if (constraint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move a tenant to shared tables with deferrable constraint \"%s\"", constraint),
				 errdetail("The tenant column is not a part of it.")));
}

/* The same, and find what is to be copied. */
void
tenancy_move_prepare(TenancyMove *move)
{
	ListCell   *lc;

	tenancy_move_prepare_target(move);
	foreach(lc, move->parts)
		find_pairs(move, lfirst(lc));
	foreach(lc, move->pairs)
		find_columns(move, lfirst(lc));
}

/*
 * Add the foreign keys that lead out of new schemas, and check them for all rows that
 * have come by now.  From here on, nobody writes to the tables that they lead to; so
 * this comes when there is little left to be done.
 */
void
tenancy_move_add_keys(const TenancyMove *move)
{
	if (move->keys == NIL)
		return;
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: adding foreign keys");
	tenancy_clone_add_keys(move->keys);
	tenancy_rows_check_outside_keys(move->target_schemas);
}

/* Let those who may act for the tenant into the model schemas. */
void
tenancy_move_grant_model(const TenancyMove *move)
{
	ListCell   *lc;
	List	   *roles = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT pg_catalog.quote_ident(r.rolname) FROM tenancy.access a"
		" JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.role"
		" WHERE a.tenant_id OPERATOR(pg_catalog.=) '%s'", move->id));

	if (roles != NIL)
		tenancy_registry_lock_grants();
	foreach(lc, roles)
	{
		TenancyExec exec;
		ListCell   *lc2;

		tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
		foreach(lc2, move->parts)
			tenancy_exec_format("GRANT USAGE ON SCHEMA %s TO %s",
								quote_identifier(((TenancyMovePart *) lfirst(lc2))->module.model_schema),
								(char *) lfirst(lc));
		tenancy_exec_end(&exec);
	}
}

static char *
literal_or_null(const char *name)
{
	return name[0] == '\0' ? "NULL" : quote_literal_cstr(name);
}

/* Let the tenant live where its rows now are.  Its copies there are noted. */
void
tenancy_move_switch(const TenancyTenant *tenant)
{
	char	   *id = tenancy_ident_uuid_text(&tenant->id);
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_format("UPDATE tenancy.tenant SET mode = '%s', schema_name = %s, database_name = %s,"
						" status = 'active', moved_in = pg_catalog.pg_current_xact_id(),"
						" status_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) '%s'",
						tenancy_mode_text(tenant->mode), literal_or_null(tenant->schema_name),
						literal_or_null(tenant->database_name), id);
	if (tenant->mode != TENANCY_DATABASE)
		tenancy_exec_format("DELETE FROM tenancy.module_copy WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
							" AND module OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT name FROM tenancy.module%s))", id,
							tenant->mode == TENANCY_SHARED ? "" :
							psprintf(" WHERE position OPERATOR(pg_catalog.>) 1 AND name OPERATOR(pg_catalog.<>) ALL"
									 " (ARRAY(SELECT module FROM tenancy.tenant_module WHERE tenant_id OPERATOR(pg_catalog.=) '%s'))", id));
	tenancy_exec_format("UPDATE tenancy.move SET phase = 'switched' WHERE tenant_id OPERATOR(pg_catalog.=) '%s'", id);
	tenancy_exec_end(&exec);
}

static void
check_worker(void)
{
	if (MyBgworkerEntry == NULL || !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only a background worker can call this function"),
				 errhint("Call tenancy.move_tenant().")));
}

/* What a worker in the source's database does; the argument is the tenant's id, and the versions. */
void
tenancy_move_check_unwritten_main(const char *argument)
{
	TenancyMove move;
	char	   *versions;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	memset(&move, 0, sizeof(move));
	move.id = pstrdup(argument);
	versions = strchr(move.id, '\n');
	*versions++ = '\0';
	tenancy_registry_get(move.id, &move.from);
	tenancy_move_find_parts(&move);
	if (strcmp(tenancy_move_versions(&move), versions) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of tenant \"%s\" have been written since they were copied", move.from.slug),
				 errhint("While a tenant is moving, nobody whom row security does not bind may write to its tables.")));
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Rows that went into files: are they still what a manifest, as a literal, says?  Row
 * security has not held up a superuser.
 */
void
tenancy_move_check_unwritten(const TenancyTenant *from, const char *manifest)
{
	TenancyJob *job = tenancy_worker_job(from->mode == TENANCY_DATABASE ? tenancy_database_oid(from) : MyDatabaseId);

	job->function = "tenancy_move_check_unwritten_main";
	job->argument = psprintf("%s\n%s", tenancy_ident_uuid_text(&from->id), tenancy_import_member(manifest, "versions"));
	(void) tenancy_worker_run(job);
}

/* Tell the planner of the rows that have been copied. */
void
tenancy_move_analyze(const TenancyMove *move)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, move->pairs)
		tables = lappend_oid(tables, ((TenancyMovePair *) lfirst(lc))->target);
	tenancy_rows_analyze(tables);
}

/* Copy the rows, and check them on both sides. */
static void
copy_all(TenancyMove *move)
{
	ListCell   *lc;

	tenancy_move_prepare(move);
	tenancy_move_begin_copy(move);
	foreach(lc, move->pairs)
		tenancy_move_copy(move, lfirst(lc), NULL, NULL);
	tenancy_progress_end_tally();
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: checking rows");
	tenancy_move_set_sequences(move);
	if (move->to.mode == TENANCY_SCHEMA)
		tenancy_clone_refresh(&move->to);
	tenancy_move_analyze(move);
	tenancy_rows_begin_checks(2 * list_length(move->pairs));
	foreach(lc, move->pairs)
	{
		TenancyMovePair *pair = lfirst(lc);

		tenancy_rows_check_foreign_keys(pair->target, pair->owner,
										move->to.mode == TENANCY_SHARED ? pair->tenant_column : NULL, move->id);
	}
	foreach(lc, move->pairs)
	{
		compare_rows(move, lfirst(lc));
		tenancy_progress_add(1);
	}
	tenancy_progress_end_tally();
}

/*
 * move_rows(id uuid): the worker's part of move_tenant().  Rows that go to a
 * database go there through files, and all that is done here is to look at what
 * they leave.
 */
Datum
tenancy_move_rows(PG_FUNCTION_ARGS)
{
	TenancyMove move;

	check_worker();
	memset(&move, 0, sizeof(move));
	move.id = tenancy_ident_uuid_text(PG_GETARG_UUID_P(0));
	tenancy_move_read(&move, true);
	tenancy_move_lock_cascades(&move.from, move.to.mode);
	tenancy_move_lock_source(&move.from);
	tenancy_move_check_source(&move);
	if (move.to.mode != TENANCY_DATABASE)
		copy_all(&move);
	if (move.from.mode == TENANCY_SHARED)
		tenancy_move_check_references(&move);
	if (move.to.mode == TENANCY_SHARED)
		tenancy_move_grant_model(&move);
	tenancy_move_add_keys(&move);
	if (move.to.mode != TENANCY_DATABASE)
		tenancy_move_switch(&move.to);
	PG_RETURN_VOID();
}

/*
 * move_load(id uuid, manifest jsonb, directory text): the same for rows that
 * come from a tenant's database, in files.
 */
Datum
tenancy_move_load(PG_FUNCTION_ARGS)
{
	Jsonb	   *manifest_json = PG_GETARG_JSONB_P(1);
	char	   *manifest = quote_literal_cstr(JsonbToCString(NULL, &manifest_json->root, VARSIZE(manifest_json)));
	TenancyMove move;

	check_worker();
	memset(&move, 0, sizeof(move));
	move.id = tenancy_ident_uuid_text(PG_GETARG_UUID_P(0));
	tenancy_move_read(&move, true);
	tenancy_move_check_source(&move);
	tenancy_move_prepare_target(&move);
	tenancy_import_load(manifest, text_to_cstring(PG_GETARG_TEXT_PP(2)), &move.to);
	tenancy_move_check_unwritten(&move.from, manifest);
	if (move.to.mode == TENANCY_SHARED)
		tenancy_move_grant_model(&move);
	tenancy_move_add_keys(&move);
	tenancy_move_switch(&move.to);
	PG_RETURN_VOID();
}
