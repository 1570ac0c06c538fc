/*-------------------------------------------------------------------------
 *
 * move_online.c
 *	  A move's worker, for a tenant that is written to while it moves.
 *
 * 1. The source's tables get triggers that note what is written (move_log.c),
 *	  in short transactions.
 * 2. One long transaction does the rest, so that nobody sees the new place
 *	  before the switch, and that nothing is left of it if the move ends earlier.
 *	  It copies the rows as one snapshot shows them, and checks all of them.
 * 3. Rounds: each takes a new snapshot, and of the rows whose keys were noted
 *	  since the last one, deletes those at the target, copies those at the source
 *	  (those of before and after an update are both noted), and checks these.
 * 4. When a round is short, another worker commits that the tenant is "moving";
 *	  writers in flight are waited for.  Nothing is written from then on, so one
 *	  more round is the last one; the sequences are set, and the tenant is switched.
 *
 * What the target is checked for, and why that is enough without reading all of
 * it again while writers are refused: after the first copy, every row is counted
 * and hashed on both sides, and every foreign key checked, under the snapshot
 * that was copied.  What differs between the snapshots of two rounds are rows
 * whose keys were noted, because the triggers fire for everybody, and nothing
 * else writes to the target.  These rows are compared under the later snapshot,
 * and their foreign keys checked from both sides: those that refer, and those
 * that are referred to and have gone.  So each round leaves a target that is the
 * source as its snapshot shows it.  That the triggers were there all along is
 * looked at before and after; TRUNCATE, which tells of no rows, is refused; DDL
 * waits for the locks of the copying.  The foreign keys that lead out of a schema
 * come after the rounds of step 3, which go on then, and are checked for all rows there are:
 * nobody writes to the tables that they lead to from then on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "clone.h"
#include "compat.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "move_log.h"
#include "move_rows.h"
#include "move_source.h"
#include "pgstat.h"
#include "plugin.h"
#include "progress.h"
#include "registry.h"
#include "rows.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "worker.h"

PGDLLEXPORT void tenancy_move_online_main(const char *argument);

typedef struct Online
{
	TenancyMove move;
	pg_uuid_t	id;
	TenancyMoveMoment moment;	/* what the target is like */
	MemoryContext context;		/* for as long as the long transaction */
} Online;

/* A table of which something was noted, in a round. */
typedef struct Change
{
	TenancyMovePair *pair;
	TenancyMoveKeys keys;
} Change;



/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

/*
 * Run a statement as the tables' owner, with a snapshot, and with keys as its
 * parameters.  Returns the first value of its result, if there is one.
 */
static char *
run_at(const Online *online, const TenancyMovePair *pair, const char *sql,
	   const TenancyMoveKeys *keys, Snapshot snapshot)
{
	TenancyExec exec;
	SPIPlanPtr	plan;
	char	   *value = NULL;

	tenancy_move_exec_begin(&online->move, pair, &exec);
	plan = SPI_prepare(sql, keys ? keys->ncolumns : 0, keys ? keys->types : NULL);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, keys ? keys->columns : NULL, NULL, snapshot, InvalidSnapshot, false, true, 0) < 0)
		elog(ERROR, "SPI_execute_snapshot failed for \"%s\"", sql);
	if (SPI_tuptable != NULL && SPI_processed > 0)
		value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (value != NULL)
		value = MemoryContextStrdup(exec.caller_context, value);
	tenancy_exec_end(&exec);
	return value;
}

/* The keys, as a table k with columns k1, k2, ... of the types that they have on a side. */
static char *
keys_as_table(const TenancyMovePair *pair, Oid table)
{
	StringInfoData sql;
	StringInfoData arrays;
	StringInfoData names;
	int			n = 0;
	ListCell   *lc;

	initStringInfo(&sql);
	initStringInfo(&arrays);
	initStringInfo(&names);
	foreach(lc, pair->logged)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		n++;
		get_atttypetypmodcoll(table, get_attnum(table, lfirst(lc)), &type, &typmod, &collation);
		appendStringInfo(&sql, "%s u.k%d::%s AS k%d", n > 1 ? "," : "(SELECT", n,
						 format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY), n);
		appendStringInfo(&arrays, "%s pg_catalog.unnest($%d)", n > 1 ? "," : "", n);
		appendStringInfo(&names, "%sk%d", n > 1 ? ", " : "", n);
	}
	appendStringInfo(&sql, " FROM ROWS FROM (%s) u(%s)) k", arrays.data, names.data);
	return sql.data;
}

/* The tenant's rows on a side that have one of the keys: what stands behind FROM. */
static char *
rows_with_keys(const Online *online, const TenancyMovePair *pair, const TenancyTenant *side)
{
	return psprintf("(SELECT * FROM %s) s WHERE EXISTS (SELECT FROM %s WHERE %s)",
					tenancy_move_rows_of(&online->move, pair, side),
					keys_as_table(pair, side == &online->move.from ? pair->source : pair->target),
					tenancy_rows_key_condition(pair->logged, pair->operators, "s"));
}

/* " AND row.tenant_column = the tenant", where others have rows at the target. */
static char *
tenant_condition(const Online *online, const TenancyMovePair *pair, const char *row)
{
	return online->move.to.mode != TENANCY_SHARED ? "" :
		psprintf(" AND %s.%s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
				 row, quote_identifier(pair->tenant_column), online->move.id);
}

/* The keys as parameters of a statement. */
static ParamListInfo
keys_as_params(const TenancyMoveKeys *keys)
{
	ParamListInfo params = makeParamList(keys->ncolumns);

	for (int i = 0; i < keys->ncolumns; i++)
	{
		params->params[i].value = keys->columns[i];
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = keys->types[i];
	}
	return params;
}

/* What is to be compared of one side: all rows, or those that have one of the keys. */
static TenancyChecksum
checksum(const Online *online, const TenancyMovePair *pair, bool is_source, const TenancyMoveKeys *keys, Snapshot snapshot)
{
	const TenancyTenant *side = is_source ? &online->move.from : &online->move.to;
	const char *rows = keys ? rows_with_keys(online, pair, side) : tenancy_move_rows_of(&online->move, pair, side);
	TenancyChecksum result;
	TenancyExec exec;

	tenancy_move_exec_begin(&online->move, pair, &exec);
	result = tenancy_checksum_query(is_source ? tenancy_move_source_query(pair, rows) : tenancy_move_target_query(pair, rows),
									keys ? keys_as_params(keys) : NULL, snapshot);
	tenancy_exec_end(&exec);
	return result;
}


/* ----------------------------------------------------------------
 * The copy
 * ----------------------------------------------------------------
 */

/* Copy all rows as they are now, and check them. */
static void
copy_all(Online *online)
{
	TenancyMove *move = &online->move;
	Snapshot	snapshot;
	TenancyChecksum *checksums;
	ListCell   *lc;

	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: copying rows");
	tenancy_move_read(move, false);
	tenancy_move_lock_tables(&move->from, AccessShareLock);
	tenancy_move_check_attached(move);
	tenancy_move_check_source(move);
	tenancy_move_prepare(move);
	foreach(lc, move->pairs)
	{
		TenancyMovePair *pair = lfirst(lc);

		pair->logged = tenancy_move_log_columns(pair->source, tenancy_move_model_of(move, pair->source));
		pair->operators = tenancy_rows_key_operators(pair->source);
	}

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	tenancy_move_log_moment(snapshot, InvalidTransactionId, &online->moment);
	checksums = palloc0(list_length(move->pairs) * sizeof(TenancyChecksum));
	tenancy_move_begin_copy(move);
	foreach(lc, move->pairs)
		tenancy_move_copy(move, lfirst(lc), snapshot, &checksums[foreach_current_index(lc)]);
	tenancy_progress_end_tally();
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: checking rows");
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
		tenancy_move_compare(lfirst(lc), checksums[foreach_current_index(lc)],
							 checksum(online, lfirst(lc), false, NULL, snapshot));
		tenancy_progress_add(1);
	}
	tenancy_progress_end_tally();
	UnregisterSnapshot(snapshot);
	if (move->from.mode == TENANCY_SHARED)
		tenancy_move_check_references(move);
}


/* ----------------------------------------------------------------
 * Rounds
 * ----------------------------------------------------------------
 */

/* Check what a round has done to a table. */
static void
check_change(const Online *online, const Change *change, Snapshot snapshot)
{
	const TenancyMovePair *pair = change->pair;
	List	   *queries = tenancy_rows_foreign_key_queries(pair->target, pair->owner,
														   online->move.to.mode == TENANCY_SHARED ? pair->tenant_column : NULL,
														   online->move.id,
														   psprintf(" AND EXISTS (SELECT FROM %s WHERE %s)",
																	keys_as_table(pair, pair->target),
																	tenancy_rows_key_condition(pair->logged, pair->operators, "f")));
	ListCell   *lc;

	queries = list_concat(queries, tenancy_rows_left_behind_queries(pair->target, pair->owner, pair->logged, keys_as_table(pair, pair->target),
																	online->move.target_schemas,
																	online->move.to.mode == TENANCY_SHARED ? online->move.id : NULL));
	foreach(lc, queries)
	{
		char	   *broken = run_at(online, pair, lfirst(lc), &change->keys, snapshot);

		if (broken != NULL)
			tenancy_rows_refuse_broken(pair->target, broken);
	}
	tenancy_move_compare(pair, checksum(online, pair, true, &change->keys, snapshot),
						 checksum(online, pair, false, &change->keys, snapshot));
}

/* Let the target have what was noted for a table. */
static void
apply_change(const Online *online, const Change *change, Snapshot snapshot)
{
	const TenancyMove *move = &online->move;
	const TenancyMovePair *pair = change->pair;

	(void) run_at(online, pair,
				  psprintf("DELETE FROM %s%s t USING %s WHERE %s%s",
						   pair->target_kind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
						   quote_qualified_identifier(tenancy_registry_schema(&move->to, &pair->part->module), pair->name),
						   keys_as_table(pair, pair->target), tenancy_rows_key_condition(pair->logged, pair->operators, "t"),
						   tenant_condition(online, pair, "t")),
				  &change->keys, snapshot);
	(void) run_at(online, pair,
				  tenancy_move_copy_statement(move, pair, rows_with_keys(online, pair, &move->from)),
				  &change->keys, snapshot);
}

/* Catch up with what is committed now.  Returns how many keys were noted. */
static uint64
catch_up(Online *online)
{
	MemoryContext context = AllocSetContextCreate(online->context, "tenancy round", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	List	   *tables = tenancy_move_log_tables(online->move.id, &online->moment, snapshot);
	List	   *changes = NIL;
	uint64		n = 0;
	ListCell   *lc;

	foreach(lc, online->move.pairs)
	{
		Change	   *change = palloc0(sizeof(Change));

		change->pair = lfirst(lc);
		if (!list_member_oid(tables, change->pair->source))
			continue;
		tenancy_move_log_keys(online->move.id, change->pair->source, list_length(change->pair->logged),
							  &online->moment, snapshot, &change->keys);
		n += change->keys.n;
		apply_change(online, change, snapshot);
		changes = lappend(changes, change);
	}
	foreach(lc, changes)
		check_change(online, lfirst(lc), snapshot);

	MemoryContextSwitchTo(online->context);
	tenancy_move_log_moment(snapshot, InvalidTransactionId, &online->moment);
	UnregisterSnapshot(snapshot);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	CHECK_FOR_INTERRUPTS();
	return n;
}

/* Rounds, while writers go on, until the next one will be short. */
static void
catch_up_online(Online *online)
{
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: catching up");
	for (int i = 0; i < TENANCY_MOVE_MAX_ROUNDS; i++)
	{
		TimestampTz start = GetCurrentTimestamp();

		if (tenancy_move_is_short(start, catch_up(online)))
			return;
	}
}

/*
 * Add the foreign keys that lead out of the target, while writers go on: the rounds check
 * them from now on.
 */
static void
add_keys(Online *online)
{
	if (online->move.keys == NIL)
		return;
	tenancy_move_add_keys(&online->move);
	catch_up_online(online);
}


/* ----------------------------------------------------------------
 * The pause
 * ----------------------------------------------------------------
 */

/* Catch up with the last writers, and switch. */
static void
switch_tenant(Online *online)
{
	TenancyMove *move = &online->move;

	tenancy_move_read(move, true);
	tenancy_move_lock_source(&move->from);
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: catching up for the last time");
	(void) catch_up(online);
	tenancy_move_check_attached(move);
	tenancy_plugin_refuse_strays(&move->from);
	tenancy_move_set_sequences(move);
	if (move->to.mode == TENANCY_SCHEMA)
		tenancy_clone_refresh(&move->to);
	if (move->to.mode == TENANCY_SHARED)
		tenancy_move_grant_model(move);
	tenancy_move_switch(&move->to);
}

/* The worker's function.  Its argument is the tenant's id, and the caller's lock_timeout. */
void
tenancy_move_online_main(const char *argument)
{
	Online	   *online = MemoryContextAllocZero(TopMemoryContext, sizeof(Online));
	char	   *id = pstrdup(argument);
	char	   *timeout = strchr(id, ' ');

	*timeout++ = '\0';
	if (!tenancy_ident_parse_uuid(id, &online->id))
		elog(ERROR, "invalid id \"%s\"", id);
	online->context = AllocSetContextCreate(TopMemoryContext, "tenancy move", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(online->context);
	online->move.id = tenancy_ident_uuid_text(&online->id);
	tenancy_move_attach(&online->move, online->context);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(online->context);
	copy_all(online);
	catch_up_online(online);
	add_keys(online);
	tenancy_move_refuse_writers(&online->move, atoi(timeout));
	switch_tenant(online);
	PopActiveSnapshot();
	CommitTransactionCommand();
}
