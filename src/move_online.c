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
 *	  writers in flight are waited for.  The last rounds go on until there is
 *	  nothing new; then the sequences are set, and the tenant is switched.
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
 * waits for the locks of the copying.
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
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "move_log.h"
#include "move_online.h"
#include "move_rows.h"
#include "pgstat.h"
#include "plugin.h"
#include "registry.h"
#include "rows.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "worker.h"

PGDLLEXPORT void tenancy_move_online_main(const char *argument);

/* How long to wait for older writers, unless lock_timeout says so. */
#define WRITERS_TIMEOUT_MS	30000

/* The locks that keep SHARE locks away, but for VACUUM's. */
#define WRITERS_LOCKS		"'{RowExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'"

/* When a round is short enough to refuse writers for the next one. */
#define SHORT_ROUND_MS		200
#define SHORT_ROUND_KEYS	1000
#define MAX_ROUNDS			20

/* How many rounds there may be while writers are refused: somebody goes on. */
#define MAX_LAST_ROUNDS		20

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
 * The triggers
 * ----------------------------------------------------------------
 */

/*
 * The source's tables that have rows of their own, each with the table that
 * stands for it, as "table root column"; the column only where others have rows
 * there.
 */
static List *
logged_tables(const Online *online)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.concat_ws(' ', l.relid, c.oid, %s) FROM pg_catalog.pg_class c"
		" CROSS JOIN LATERAL (SELECT c.oid AS relid WHERE c.relkind OPERATOR(pg_catalog.=) 'r'"
		"  UNION ALL SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(c.oid) p"
		"  WHERE p.isleaf AND c.relkind OPERATOR(pg_catalog.=) 'p') l"
		" WHERE c.relnamespace OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[]) AND NOT c.relispartition"
		" AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[]) ORDER BY l.relid",
		online->move.from.mode == TENANCY_SHARED ? TENANCY_MOVE_TENANT_COLUMN("c.oid") : "NULL",
		online->move.source_schemas));
}

/* The model schema of a table of the source. */
static Oid
model_of(const Online *online, Oid table)
{
	Oid			schema = get_rel_namespace(table);
	ListCell   *lc;

	foreach(lc, online->move.parts)
	{
		const TenancyMovePart *part = lfirst(lc);

		if (part->source_schema == schema)
			return get_namespace_oid(part->module.model_schema, false);
	}
	elog(ERROR, "table %u is of no module", table);
	return InvalidOid;			/* keep compiler quiet */
}

/* Call attach or is_attached for each of them; returns whether all are. */
static bool
for_logged_tables(const Online *online, List *tables, bool attach)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		char	   *column;
		Oid			table = strtoul(lfirst(lc), &column, 10);
		Oid			root = strtoul(column, &column, 10);
		List	   *columns;

		column = *column == ' ' ? column + 1 : NULL;
		if (attach)
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			MemoryContextSwitchTo(online->context);
		}
		columns = tenancy_move_log_columns(root, model_of(online, root));
		if (!attach)
		{
			if (!tenancy_move_log_is_attached(&online->id, table, root, column, columns))
				return false;
			continue;
		}
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(online->context);
		tenancy_move_log_attach(&online->id, table, root, column, columns);
	}
	return true;
}

static void
attach_triggers(Online *online)
{
	List	   *tables;

	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: creating triggers");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(online->context);
	tenancy_move_read(&online->move, false);
	tables = logged_tables(online);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(online->context);
	(void) for_logged_tables(online, tables, true);
}

static void
check_triggers(const Online *online)
{
	if (!for_logged_tables(online, logged_tables(online), false))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("tables of tenant \"%s\" were created or changed during the move", online->move.from.slug),
				 errdetail("What was written to one of them may not have been noted."),
				 errhint("Call tenancy.move_tenant() again.")));
}


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

/* Has a row, called by that name, one of the keys? */
static char *
key_condition(const TenancyMovePair *pair, const char *row)
{
	StringInfoData sql;
	ListCell   *lc_name;
	ListCell   *lc_operator;
	int			n = 0;

	initStringInfo(&sql);
	forboth(lc_name, pair->logged, lc_operator, pair->operators)
	{
		n++;
		appendStringInfo(&sql, "%s%s.%s %s k.k%d", n > 1 ? " AND " : "", row,
						 quote_identifier(lfirst(lc_name)), (char *) lfirst(lc_operator), n);
	}
	return sql.data;
}

/* The tenant's rows on a side that have one of the keys: what stands behind FROM. */
static char *
rows_with_keys(const Online *online, const TenancyMovePair *pair, const TenancyTenant *side)
{
	return psprintf("(SELECT * FROM %s) s WHERE EXISTS (SELECT FROM %s WHERE %s)",
					tenancy_move_rows_of(&online->move, pair, side),
					keys_as_table(pair, side == &online->move.from ? pair->source : pair->target),
					key_condition(pair, "s"));
}

/* " AND row.tenant_column = the tenant", where others have rows at the target. */
static char *
tenant_condition(const Online *online, const TenancyMovePair *pair, const char *row)
{
	return online->move.to.mode != TENANCY_SHARED ? "" :
		psprintf(" AND %s.%s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
				 row, quote_identifier(pair->tenant_column), online->move.id);
}

static void
compare(const Online *online, const TenancyMovePair *pair, const TenancyMoveKeys *keys, Snapshot snapshot)
{
	const TenancyTenant *sides[] = {&online->move.from, &online->move.to};
	char	   *descriptions[2];

	for (int i = 0; i < 2; i++)
		descriptions[i] = run_at(online, pair,
								 psprintf("SELECT %s FROM %s", tenancy_move_description(pair),
										  keys ? rows_with_keys(online, pair, sides[i]) :
										  tenancy_move_rows_of(&online->move, pair, sides[i])),
								 keys, snapshot);
	tenancy_move_compare(pair, descriptions[0], descriptions[1]);
}


/* ----------------------------------------------------------------
 * The copy
 * ----------------------------------------------------------------
 */

/* The operators by which the columns of a table's key are compared. */
static List *
key_operators(Oid table)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('OPERATOR(%%I.%%s)', n.nspname, o.oprname) FROM pg_catalog.pg_index i"
		" CROSS JOIN LATERAL pg_catalog.unnest(i.indclass) WITH ORDINALITY u(opclass, n)"
		" JOIN pg_catalog.pg_opclass c ON c.oid OPERATOR(pg_catalog.=) u.opclass"
		" JOIN pg_catalog.pg_amop a ON a.amopfamily OPERATOR(pg_catalog.=) c.opcfamily"
		"  AND a.amoplefttype OPERATOR(pg_catalog.=) c.opcintype AND a.amoprighttype OPERATOR(pg_catalog.=) c.opcintype"
		"  AND a.amopstrategy OPERATOR(pg_catalog.=) 3"
		" JOIN pg_catalog.pg_operator o ON o.oid OPERATOR(pg_catalog.=) a.amopopr"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace"
		" WHERE i.indexrelid OPERATOR(pg_catalog.=) " TENANCY_MOVE_KEY_INDEX("%u") " ORDER BY u.n", table));
}

/* Copy all rows as they are now, and check them. */
static void
copy_all(Online *online)
{
	TenancyMove *move = &online->move;
	Snapshot	snapshot;
	ListCell   *lc;

	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: copying rows");
	tenancy_move_read(move, false);
	tenancy_move_lock_tables(&move->from, AccessShareLock);
	check_triggers(online);
	tenancy_move_check_source(move);
	tenancy_move_prepare(move);
	foreach(lc, move->pairs)
	{
		TenancyMovePair *pair = lfirst(lc);

		pair->logged = tenancy_move_log_columns(pair->source, model_of(online, pair->source));
		pair->operators = key_operators(pair->source);
	}

	snapshot = RegisterSnapshot(GetLatestSnapshot());
	tenancy_move_log_moment(snapshot, &online->moment);
	foreach(lc, move->pairs)
		(void) run_at(online, lfirst(lc), tenancy_move_copy_statement(move, lfirst(lc), tenancy_move_rows_of(move, lfirst(lc), &move->from)),
					  NULL, snapshot);
	foreach(lc, move->pairs)
	{
		TenancyMovePair *pair = lfirst(lc);

		tenancy_rows_check_foreign_keys(pair->target, pair->owner,
										move->to.mode == TENANCY_SHARED ? pair->tenant_column : NULL, move->id);
	}
	foreach(lc, move->pairs)
		compare(online, lfirst(lc), NULL, snapshot);
	UnregisterSnapshot(snapshot);
	if (move->from.mode == TENANCY_SHARED)
		tenancy_move_check_references(move);
}


/* ----------------------------------------------------------------
 * Rounds
 * ----------------------------------------------------------------
 */

/*
 * Queries that find rows which refer to one that was noted and is gone: for each
 * foreign key that refers to the table, the catalogs write one.
 */
static List *
left_behind_queries(const Online *online, const TenancyMovePair *pair)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, pair->logged)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "ARRAY[", quote_literal_cstr(lfirst(lc)));
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.format('SELECT %%L FROM (SELECT * FROM %%s WHERE NOT EXISTS (SELECT FROM %%s%%s p WHERE %%s)) k"
		" JOIN %%s%%s f ON %%s%%s LIMIT 1',"
		" q.conname, %s, q.ponly, q.confrelid::pg_catalog.regclass, q.pmatch, q.fonly, q.conrelid::pg_catalog.regclass, q.fmatch,"
		" CASE WHEN %s THEN pg_catalog.format(' AND f.%%I OPERATOR(pg_catalog.=) %%L::pg_catalog.uuid',"
		"  " TENANCY_MOVE_TENANT_COLUMN("q.conrelid") ", '%s') END)"
		" FROM (SELECT c.conname, c.conrelid, c.confrelid,"
		"  CASE fc.relkind WHEN 'r' THEN 'ONLY ' END AS fonly, CASE pc.relkind WHEN 'r' THEN 'ONLY ' END AS ponly,"
		"  pg_catalog.string_agg(pg_catalog.format('p.%%I OPERATOR(%%I.%%s) k.k%%s', pa.attname, ppn.nspname, ppo.oprname, l.n), ' AND ') AS pmatch,"
		"  pg_catalog.string_agg(pg_catalog.format('k.k%%s OPERATOR(%%I.%%s) f.%%I', l.n, pfn.nspname, pfo.oprname, fa.attname), ' AND ') AS fmatch"
		"  FROM pg_catalog.pg_constraint c"
		"  JOIN pg_catalog.pg_class fc ON fc.oid OPERATOR(pg_catalog.=) c.conrelid"
		"  JOIN pg_catalog.pg_class pc ON pc.oid OPERATOR(pg_catalog.=) c.confrelid"
		"  CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey),"
		"   pg_catalog.unnest(c.conpfeqop), pg_catalog.unnest(c.conppeqop)) AS u(fk, pk, pf, pp)"
		"  JOIN pg_catalog.pg_attribute fa ON fa.attrelid OPERATOR(pg_catalog.=) c.conrelid AND fa.attnum OPERATOR(pg_catalog.=) u.fk"
		"  JOIN pg_catalog.pg_attribute pa ON pa.attrelid OPERATOR(pg_catalog.=) c.confrelid AND pa.attnum OPERATOR(pg_catalog.=) u.pk"
		"  JOIN pg_catalog.unnest(%s]) WITH ORDINALITY l(name, n) ON l.name OPERATOR(pg_catalog.=) pa.attname::pg_catalog.text"
		"  JOIN pg_catalog.pg_operator pfo ON pfo.oid OPERATOR(pg_catalog.=) u.pf"
		"  JOIN pg_catalog.pg_namespace pfn ON pfn.oid OPERATOR(pg_catalog.=) pfo.oprnamespace"
		"  JOIN pg_catalog.pg_operator ppo ON ppo.oid OPERATOR(pg_catalog.=) u.pp"
		"  JOIN pg_catalog.pg_namespace ppn ON ppn.oid OPERATOR(pg_catalog.=) ppo.oprnamespace"
		"  WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND c.conparentid OPERATOR(pg_catalog.=) 0"
		"  AND c.confrelid OPERATOR(pg_catalog.=) %u AND fc.relnamespace OPERATOR(pg_catalog.=) ANY ('%s'::pg_catalog.oid[])"
		"  GROUP BY c.oid, c.conname, c.conrelid, c.confrelid, fc.relkind, pc.relkind) q",
		quote_literal_cstr(keys_as_table(pair, pair->target)),
		online->move.to.mode == TENANCY_SHARED ? "true" : "false", online->move.id,
		names.data, pair->target, online->move.target_schemas));
}

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
																	key_condition(pair, "f")));
	ListCell   *lc;

	queries = list_concat(queries, left_behind_queries(online, pair));
	foreach(lc, queries)
	{
		char	   *broken = run_at(online, pair, lfirst(lc), &change->keys, snapshot);

		if (broken != NULL)
			tenancy_rows_refuse_broken(pair->target, broken);
	}
	compare(online, pair, &change->keys, snapshot);
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
						   keys_as_table(pair, pair->target), key_condition(pair, "t"),
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
	tenancy_move_log_moment(snapshot, &online->moment);
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
	for (int i = 0; i < MAX_ROUNDS; i++)
	{
		TimestampTz start = GetCurrentTimestamp();

		if (catch_up(online) < SHORT_ROUND_KEYS ||
			!TimestampDifferenceExceeds(start, GetCurrentTimestamp(), SHORT_ROUND_MS))
			return;
	}
}


/* ----------------------------------------------------------------
 * The pause
 * ----------------------------------------------------------------
 */

/*
 * The transactions that are writing to the tenant's tables, as virtual ids.  In
 * a tenant's own database, we know the tables by no more than that they are not
 * PostgreSQL's.
 */
List *
tenancy_move_find_writers(const TenancyTenant *tenant)
{
	StringInfoData tables;
	ListCell   *lc;

	if (tenant->mode == TENANCY_DATABASE)
		return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
			"SELECT DISTINCT l.virtualtransaction FROM pg_catalog.pg_locks l"
			" WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.database OPERATOR(pg_catalog.=) %u"
			" AND l.relation OPERATOR(pg_catalog.>=) %u AND l.granted"
			" AND l.mode OPERATOR(pg_catalog.=) ANY (" WRITERS_LOCKS ")"
			" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a"
			"  WHERE a.pid OPERATOR(pg_catalog.=) l.pid AND a.backend_type OPERATOR(pg_catalog.=) 'autovacuum worker')",
			tenancy_database_oid(tenant), FirstNormalObjectId));
	initStringInfo(&tables);
	foreach(lc, tenancy_registry_tables(tenant))
		appendStringInfo(&tables, "%s%u", tables.len > 0 ? "," : "", lfirst_oid(lc));
	return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT virtualtransaction FROM pg_catalog.pg_locks"
		" WHERE locktype OPERATOR(pg_catalog.=) 'relation' AND database OPERATOR(pg_catalog.=) %u"
		" AND relation OPERATOR(pg_catalog.=) ANY ('{%s}'::pg_catalog.oid[]) AND granted"
		" AND mode OPERATOR(pg_catalog.=) ANY (" WRITERS_LOCKS ")"
		" AND pid IS DISTINCT FROM %d",
		MyDatabaseId, tables.data, MyProcPid));
}

/*
 * Wait for the transactions that were writing when the tenant became moving.
 * Whoever locks a table later hears of it by that, and is refused.
 *
 * Nobody can tell for which tenant a transaction writes to a shared table, so
 * that it is all of them.
 */
void
tenancy_move_wait_for_writers(List *writers, int timeout_ms)
{
	TenancyExec exec;
	ListCell   *lc;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_set("lock_timeout", psprintf("%d", timeout_ms > 0 ? timeout_ms : WRITERS_TIMEOUT_MS));
	foreach(lc, writers)
	{
		VirtualTransactionId id;

		if (sscanf(lfirst(lc), "%d/%u", &tenancy_vxid_process(id), &id.localTransactionId) == 2)
			(void) VirtualXactLock(id, true);
	}
	tenancy_exec_end(&exec);
}

/* Let nobody begin to write to the tenant: another worker commits that. */
static void
refuse_writers(const Online *online)
{
	TenancyJob *job = tenancy_move_job();

	tenancy_worker_add(job, "UPDATE tenancy.tenant SET status = 'moving', status_reason = NULL,"
					   " status_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) '%s'"
					   " AND status OPERATOR(pg_catalog.=) 'active'", online->move.id)->expectation =
		_("the tenant is no longer active");
	tenancy_worker_add(job, "UPDATE tenancy.move SET phase = 'copying', refused_at = pg_catalog.clock_timestamp()"
					   " WHERE tenant_id OPERATOR(pg_catalog.=) '%s' AND phase OPERATOR(pg_catalog.=) 'capturing'",
					   online->move.id)->expectation =
		_("the move was undone by another session");
	(void) tenancy_worker_run(job);
}

/* Catch up with the last writers, and switch. */
static void
switch_tenant(Online *online)
{
	TenancyMove *move = &online->move;
	int			rounds = 0;

	tenancy_move_read(move, true);
	tenancy_move_lock_source(&move->from);
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: catching up for the last time");
	while (catch_up(online) > 0)
	{
		if (++rounds >= MAX_LAST_ROUNDS)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("somebody goes on writing to the rows of tenant \"%s\"", move->from.slug),
					 errhint("While a tenant is moving, nobody whom row security does not bind may write to its tables.")));
	}
	check_triggers(online);
	tenancy_plugin_refuse_strays(&move->from);
	tenancy_move_set_sequences(move);
	if (move->to.mode == TENANCY_SCHEMA)
		tenancy_clone_refresh(&move->to);
	if (move->to.mode == TENANCY_SHARED)
		tenancy_move_grant_model(move);
	tenancy_move_log_forget(move->id);
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
	attach_triggers(online);

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(online->context);
	copy_all(online);
	catch_up_online(online);
	refuse_writers(online);
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: waiting for writers");
	tenancy_move_wait_for_writers(tenancy_move_find_writers(&online->move.from), atoi(timeout));
	switch_tenant(online);
	PopActiveSnapshot();
	CommitTransactionCommand();
}
