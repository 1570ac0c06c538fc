/*-------------------------------------------------------------------------
 *
 * move_log.c
 *	  What is written to a tenant's tables while it moves online.
 *
 * Triggers on the source's tables write the keys of the tenant's rows that
 * somebody inserts, updates or deletes to tenancy.move_change, in the writer's
 * own transaction: what a snapshot shows of the log is what it shows of the
 * changes.  Logical decoding would do without them, but needs wal_level =
 * logical, which is not the default, and a restart.
 *
 * The triggers are the extension's own in every respect:
 *
 * - They are internal ones, as those of foreign keys are: clones, migrations,
 *	 drift() and dumps do not take them for the application's, and their owner
 *	 can neither drop them by DISABLE TRIGGER USER nor make another one.  The
 *	 function works for no other trigger, so that nobody can make entries up.
 * - They fire ALWAYS, for replication and for whoever has switched triggers off.
 * - Each is on a table that has rows of its own, never on a partitioned one: an
 *	 internal trigger does not come to a partition that is attached later.  Such
 *	 a partition is noticed before the switch.
 * - A log entry is written past the privileges on the log, which nobody has.
 * - They hold up whom row security does not: see refuse_late().
 *
 * Creating a trigger needs a lock that keeps writers off the table, dropping it
 * one that keeps everybody off.  Nobody waits behind us for one of these longer
 * than LOCK_TIMEOUT_MS: we give up, let the others pass, and try again.
 *
 * An entry has the id of its transaction.  Those that a snapshot does not show
 * are from transactions that were running then, or came later: whoever has dealt
 * with a snapshot's entries looks, the next time, only at those of such
 * transactions, however long the log has become.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "compat.h"
#include "context.h"
#include "exec.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ident.h"
#include "miscadmin.h"
#include "move_log.h"
#include "nodes/parsenodes.h"
#include "parser/parse_func.h"
#include "pgstat.h"
#include "registry.h"
#include "rows.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/xid8.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(tenancy_move_note);

PGDLLEXPORT void tenancy_move_log_detach_main(const char *argument);

/* How long others may wait behind us, how long we let them pass, how often. */
#define LOCK_TIMEOUT		"200"
#define LOCK_PAUSE_MS		300
#define LOCK_TRIES			60

/* A trigger's arguments: the tenant's id, the table that the log names, its columns. */
#define ARG_TENANT	0
#define ARG_ROOT	1
#define ARG_COLUMNS	2

typedef struct Attachment
{
	const char *id;
	Oid			root;
	const char *tenant_column;	/* NULL if all rows are the tenant's */
	List	   *columns;
} Attachment;

typedef void (*LockedWork) (Oid table, void *argument);


/* ----------------------------------------------------------------
 * The triggers' function
 * ----------------------------------------------------------------
 */

/*
 * The lock on a tenant's log, in the database where its rows are: whoever writes
 * an entry shares it to the end of his transaction, and the last round excludes all
 * others.
 */
static void
init_tag(LOCKTAG *tag, Oid database, const pg_uuid_t *id)
{
	SET_LOCKTAG_OBJECT(*tag, database, RelationRelationId, hash_bytes(id->data, UUID_LEN), 2);
}

/*
 * Let nobody write to the tenant's rows from here to the end of the transaction,
 * whoever he is, and wait for those who have.
 */
void
tenancy_move_log_close(const pg_uuid_t *id, Oid database)
{
	LOCKTAG		tag;

	init_tag(&tag, database, id);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * What is written when the last round has looked at the log would be lost.  The
 * policies refuse whoever begins to write while the tenant is "moving" (context.c).
 * But they ask no superuser, and not the cascades of a foreign key that refers to
 * a table that is no tenant's.
 *
 * From the switch on, other rows of the tenant's count, and these go: nobody adds
 * any, and a statement from before does not change them.  Migrations may, because no
 * rows are copied while they have the models.
 *
 * The tenant is not named: a cascade may be anybody's, who may not act for it.
 */
static void
refuse_late(const TriggerData *data, const pg_uuid_t *id)
{
	TenancyTenant tenant;
	TenancyTenant home;
	TenancyMode here = data->tg_trigger->tgqual != NULL ? TENANCY_SHARED :
		tenancy_registry_home(&home) ? TENANCY_DATABASE : TENANCY_SCHEMA;
	LOCKTAG		tag;
	bool		is_open = true;

	init_tag(&tag, MyDatabaseId, id);
	if (!tenancy_lock_held_by_me(&tag, RowExclusiveLock))
	{
		is_open = LockAcquire(&tag, RowExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
		AcceptInvalidationMessages();
	}
	if (!tenancy_registry_by_id(id, &tenant) ||
		(is_open && tenant.mode == here && tenant.status != TENANCY_MOVING) ||
		tenancy_registry_has_models())
		return;
	if (!is_open ||
		(tenant.mode == here && check_enable_rls(RelationGetRelid(data->tg_relation), InvalidOid, true) != RLS_ENABLED))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_NOT_ACTIVE),
				 errmsg("rows of a tenant that is being moved can only be read"),
				 errhint("Try the transaction again when tenancy.move_tenant() has ended.")));
	if (tenant.mode != here &&
		(TRIGGER_FIRED_BY_INSERT(data->tg_event) || tenancy_context_moved_since(&tenant, GetActiveSnapshot())))
		ereport(ERROR,
				(errcode(ERRCODE_TENANCY_ELSEWHERE),
				 errmsg("the tenant of a row has moved away from table \"%s\"",
						RelationGetRelationName(data->tg_relation)),
				 errhint("Write to where it lives now, or try the transaction again when tenancy.move_tenant() has ended.")));
}

/* Write one entry. */
static void
add_entry(const Trigger *trigger, const pg_uuid_t *id, Datum key)
{
	Relation	rel = table_open(tenancy_registry_relation("move_change"), RowExclusiveLock);
	Datum		values[Natts_move_change];
	bool		nulls[Natts_move_change] = {false};

	values[Anum_move_change_tenant_id - 1] = UUIDPGetDatum(id);
	values[Anum_move_change_relation - 1] = ObjectIdGetDatum(atooid(trigger->tgargs[ARG_ROOT]));
	values[Anum_move_change_xact - 1] = FullTransactionIdGetDatum(GetTopFullTransactionId());
	values[Anum_move_change_key - 1] = key;
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	table_close(rel, NoLock);
}

/* What the log has of a row: its columns as text. */
static Datum
key_of(const TriggerData *data, HeapTuple row)
{
	const Trigger *trigger = data->tg_trigger;
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	int			n = trigger->tgnargs - ARG_COLUMNS;
	Datum	   *values = palloc(n * sizeof(Datum));
	bool	   *nulls = palloc(n * sizeof(bool));
	int			lower = 1;

	for (int i = 0; i < n; i++)
	{
		int			attnum = SPI_fnumber(desc, trigger->tgargs[ARG_COLUMNS + i]);
		Datum		value;
		Oid			output;
		bool		is_varlena;

		if (attnum <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							trigger->tgargs[ARG_COLUMNS + i], RelationGetRelationName(data->tg_relation)),
					 errdetail("A tenant whose rows are in the table is being moved.")));
		value = heap_getattr(row, attnum, desc, &nulls[i]);
		if (nulls[i])
			continue;
		getTypeOutputInfo(TupleDescAttr(desc, attnum - 1)->atttypid, &output, &is_varlena);
		values[i] = CStringGetTextDatum(OidOutputFunctionCall(output, value));
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, &n, &lower,
											  TEXTOID, -1, false, TYPALIGN_INT));
}

/* The trigger's function: note the keys of a row that is written. */
Datum
tenancy_move_note(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	pg_uuid_t	id;
	int			level;
	Datum		key;

	if (!CALLED_AS_TRIGGER(fcinfo) || !data->tg_trigger->tgisinternal)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only triggers that tenancy.move_tenant() has made can call this function")));
	if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot truncate table \"%s\" while a tenant whose rows are in it is being moved",
						RelationGetRelationName(data->tg_relation)),
				 errhint("Try again when tenancy.move_tenant() has ended.")));

	if (!tenancy_ident_parse_uuid(data->tg_trigger->tgargs[ARG_TENANT], &id))
		elog(ERROR, "invalid argument of trigger \"%s\"", data->tg_trigger->tgname);
	refuse_late(data, &id);

	/* The worker reads what the settings of any session have written. */
	level = NewGUCNestLevel();
	tenancy_exec_set("DateStyle", "ISO");
	tenancy_exec_set("IntervalStyle", "postgres");
	tenancy_exec_set("extra_float_digits", "3");
	tenancy_exec_set("lc_monetary", "C");
	key = key_of(data, data->tg_trigtuple);
	add_entry(data->tg_trigger, &id, key);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
	{
		Datum		other = key_of(data, data->tg_newtuple);

		if (!datum_image_eq(key, other, false, -1))
			add_entry(data->tg_trigger, &id, other);
	}
	AtEOXact_GUC(false, level);
	return PointerGetDatum(NULL);
}


/* ----------------------------------------------------------------
 * The triggers
 * ----------------------------------------------------------------
 */

static Oid
note_function(void)
{
	return LookupFuncName(list_make2(makeString("tenancy"), makeString("move_note")), 0, NULL, false);
}

/* A table whose rows nothing tells apart cannot be caught up with. */
void
tenancy_move_log_refuse_keyless(Oid schema)
{
	List	   *tables = tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.quote_ident(c.relname) FROM " TENANCY_RELATIONS_OF("ARRAY[%u]::pg_catalog.oid[]") " c"
		" WHERE NOT c.relispartition"
		" AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[])"
		" AND " TENANCY_ROWS_KEY_INDEX("c.oid") " IS NULL ORDER BY 1", schema));

	if (tables != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move the tenant online: not all of its tables have a primary key"),
				 errdetail("Tables without one: %s.", tenancy_ident_enumerate(tables)),
				 errhint("Add a primary key that is not deferrable, or a replica identity index, or use online => false.")));
}

/*
 * The names of a table's columns that the log is to have: first those that tell
 * its rows apart, then others to which foreign keys of the model refer.
 */
List *
tenancy_move_log_columns(Oid table, Oid model)
{
	return tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT n.attname FROM (SELECT a.attname, pg_catalog.min(r.n) AS n"
		" FROM (SELECT i.indrelid AS relid, u.attnum, u.n FROM pg_catalog.pg_index i"
		"  CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY u(attnum, n)"
		"  WHERE i.indexrelid OPERATOR(pg_catalog.=) " TENANCY_ROWS_KEY_INDEX("%u")
		"  AND u.n OPERATOR(pg_catalog.<=) i.indnkeyatts"
		"  UNION ALL SELECT k.confrelid, u.attnum, 1000 OPERATOR(pg_catalog.+) u.attnum"
		"  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_class m ON m.relname OPERATOR(pg_catalog.=) c.relname"
		"  CROSS JOIN LATERAL " TENANCY_KEYS_TO("m.oid") " k"
		"  CROSS JOIN LATERAL pg_catalog.unnest(k.confkey) u(attnum)"
		"  WHERE c.oid OPERATOR(pg_catalog.=) %u AND m.relnamespace OPERATOR(pg_catalog.=) %u) r"
		" JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) r.relid"
		"  AND a.attnum OPERATOR(pg_catalog.=) r.attnum GROUP BY a.attname) n ORDER BY n.n",
		table, table, model));
}

/*
 * Run work with a lock on a table, in a transaction of its own.  A table that
 * is gone needs none.
 */
static void
with_lock(Oid table, LOCKMODE mode, LockedWork work, void *argument)
{
	MemoryContext context = CurrentMemoryContext;

	for (volatile int tries = 1;; tries++)
	{
		volatile bool done = false;

		PG_TRY();
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			(void) set_config_option("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_SESSION,
									 GUC_ACTION_LOCAL, true, 0, false);
			LockRelationOid(table, mode);
			if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
				work(table, argument);
			PopActiveSnapshot();
			CommitTransactionCommand();
			done = true;
		}
		PG_CATCH();
		{
			if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE || tries >= LOCK_TRIES)
				PG_RE_THROW();
			FlushErrorState();
			AbortCurrentTransaction();
		}
		PG_END_TRY();
		MemoryContextSwitchTo(context);
		if (done)
			return;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_PAUSE_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
create_trigger(Oid table, const char *sql)
{
	CreateTrigStmt *stmt = castNode(CreateTrigStmt, linitial_node(RawStmt, pg_parse_query(sql))->stmt);

	(void) CreateTriggerFiringOn(stmt, sql, table, InvalidOid, InvalidOid, InvalidOid,
								 note_function(), InvalidOid, NULL, true, false,
								 TRIGGER_FIRES_ALWAYS);
	CommandCounterIncrement();
}

/* Create a table's triggers.  Where others have rows in it, these do not fire for them. */
static void
create_triggers(Oid table, void *argument)
{
	static const char *const events[] = {"INSERT", "UPDATE", "DELETE"};
	static const char *const sides[] = {"new", "old,new", "old"};
	const Attachment *attachment = argument;
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
	StringInfoData function;
	ListCell   *lc;

	initStringInfo(&function);
	appendStringInfo(&function, "EXECUTE FUNCTION tenancy.move_note('%s', '%u'",
					 attachment->id, attachment->root);
	foreach(lc, attachment->columns)
		appendStringInfo(&function, ", %s", quote_literal_cstr(lfirst(lc)));
	appendStringInfoChar(&function, ')');

	create_trigger(table, psprintf("CREATE TRIGGER tenancy_move BEFORE TRUNCATE ON %s FOR EACH STATEMENT %s",
								   name, function.data));
	for (int i = 0; i < lengthof(events); i++)
	{
		StringInfoData when;

		initStringInfo(&when);
		if (attachment->tenant_column != NULL)
		{
			char	   *side_list = pstrdup(sides[i]);

			for (char *side = strtok(side_list, ","); side != NULL; side = strtok(NULL, ","))
				appendStringInfo(&when, "%s%s.%s OPERATOR(pg_catalog.=) '%s'::pg_catalog.uuid",
								 when.len > 0 ? " OR " : "WHEN (", side,
								 quote_identifier(attachment->tenant_column), attachment->id);
			appendStringInfoChar(&when, ')');
		}
		create_trigger(table, psprintf("CREATE TRIGGER tenancy_move AFTER %s ON %s FOR EACH ROW %s %s",
									   events[i], name, when.data, function.data));
	}
}

/*
 * Have a table's changes noted, under the name of root, from the end of this
 * call on.  In a worker, between transactions.
 */
void
tenancy_move_log_attach(const pg_uuid_t *id, Oid table, Oid root,
						const char *tenant_column, List *columns)
{
	Attachment	attachment = {tenancy_ident_uuid_text(id), root, tenant_column, columns};

	with_lock(table, ShareRowExclusiveLock, create_triggers, &attachment);
}

/* Are a table's changes noted, all and as we want them? */
bool
tenancy_move_log_is_attached(const pg_uuid_t *id, Oid table, Oid root,
							 const char *tenant_column, List *columns)
{
	StringInfoData arguments;
	StringInfoData hex;
	TenancyExec exec;
	char	   *found;
	ListCell   *lc;

	initStringInfo(&arguments);
	initStringInfo(&hex);
	appendStringInfo(&arguments, "%s%c%u%c", tenancy_ident_uuid_text(id), '\0', root, '\0');
	foreach(lc, columns)
		appendStringInfo(&arguments, "%s%c", (char *) lfirst(lc), '\0');
	for (int i = 0; i < arguments.len; i++)
		appendStringInfo(&hex, "%02x", (unsigned char) arguments.data[i]);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	found = tenancy_exec_text_format(&exec, "SELECT pg_catalog.count(DISTINCT t.tgtype) OPERATOR(pg_catalog.=) 4 FROM pg_catalog.pg_trigger t"
									 " WHERE t.tgrelid OPERATOR(pg_catalog.=) %u AND t.tgfoid OPERATOR(pg_catalog.=) %u"
									 " AND t.tgenabled OPERATOR(pg_catalog.=) 'A' AND t.tgisinternal"
									 " AND (t.tgqual IS NOT NULL OR %s OR (t.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) %d) OPERATOR(pg_catalog.<>) 0)"
									 " AND t.tgargs OPERATOR(pg_catalog.=) '\\x%s'::pg_catalog.bytea",
									 table, note_function(), tenant_column == NULL ? "true" : "false",
									 TRIGGER_TYPE_TRUNCATE, hex.data);
	tenancy_exec_end(&exec);
	return found != NULL && *found == 't';
}

/* Drop a table's triggers; the argument is the tenant's id. */
static void
drop_triggers(Oid table, void *argument)
{
	List	   *triggers = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT t.oid FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) %u"
		" AND t.tgfoid OPERATOR(pg_catalog.=) %u AND pg_catalog.starts_with(pg_catalog.encode(t.tgargs, 'escape'), '%s')",
		table, note_function(), (const char *) argument));
	ListCell   *lc;

	foreach(lc, triggers)
	{
		ObjectAddress address;

		ObjectAddressSet(address, TriggerRelationId, atooid(lfirst(lc)));
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
}

/*
 * The worker's function that ends the noting for a tenant, and forgets what was
 * noted.  Its argument is the tenant's id.
 */
void
tenancy_move_log_detach_main(const char *argument)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tenancy move", ALLOCSET_DEFAULT_SIZES);
	List	   *tables;
	ListCell   *lc;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);

	/* By what depends on the function: there is no index for it. */
	tables = tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
		"SELECT DISTINCT t.tgrelid FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_trigger t ON t.oid OPERATOR(pg_catalog.=) d.objid"
		" WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass"
		" AND d.refobjid OPERATOR(pg_catalog.=) %u"
		" AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_trigger'::pg_catalog.regclass"
		" AND pg_catalog.starts_with(pg_catalog.encode(t.tgargs, 'escape'), '%s') ORDER BY 1",
		note_function(), argument));
	PopActiveSnapshot();
	CommitTransactionCommand();

	MemoryContextSwitchTo(context);
	foreach(lc, tables)
		with_lock(atooid(lfirst(lc)), AccessExclusiveLock, drop_triggers, unconstify(char *, argument));

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	tenancy_move_log_forget(argument);
	PopActiveSnapshot();
	CommitTransactionCommand();
}


/* ----------------------------------------------------------------
 * The log
 * ----------------------------------------------------------------
 */

static int
compare_ids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

/*
 * What a snapshot shows, to be told from what comes later.  Our own transaction,
 * or the one that leads, which may have been running for long, writes no entries:
 * it does not count.
 */
void
tenancy_move_log_moment(Snapshot snapshot, TransactionId leader, TenancyMoveMoment *moment)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint64	   *running = palloc((snapshot->xcnt + 1) * sizeof(uint64));
	uint64		end = U64FromFullTransactionId(next) - (XidFromFullTransactionId(next) - snapshot->xmax);
	StringInfoData list;
	int			n = 0;

	for (uint32 i = 0; i < snapshot->xcnt; i++)
	{
		if (!TransactionIdIsCurrentTransactionId(snapshot->xip[i]) && snapshot->xip[i] != leader)
			running[n++] = U64FromFullTransactionId(next) - (XidFromFullTransactionId(next) - snapshot->xip[i]);
	}
	qsort(running, n, sizeof(uint64), compare_ids);
	moment->oldest = n > 0 ? running[0] : end;
	initStringInfo(&list);
	appendStringInfo(&list, UINT64_FORMAT ":" UINT64_FORMAT ":", moment->oldest, end);
	for (int i = 0; i < n; i++)
		appendStringInfo(&list, "%s" UINT64_FORMAT, i > 0 ? "," : "", running[i]);
	moment->snapshot = list.data;
}

/* Run a query on the log; SPI has its rows. */
static void
read_log(const char *query, Snapshot snapshot)
{
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);

	if (plan == NULL ||
		SPI_execute_snapshot(plan, NULL, NULL, snapshot, InvalidSnapshot, true, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read tenancy.move_change");
}

/* The entries that were not there at an earlier moment; the first condition is for the index. */
static char *
entries_since(const char *id, const TenancyMoveMoment *since)
{
	return psprintf("FROM tenancy.move_change WHERE tenant_id OPERATOR(pg_catalog.=) '%s'"
					" AND xact OPERATOR(pg_catalog.>=) '" UINT64_FORMAT "'::pg_catalog.xid8"
					" AND NOT pg_catalog.pg_visible_in_snapshot(xact, '%s'::pg_catalog.pg_snapshot)",
					id, since->oldest, since->snapshot);
}

/* The tables (as the log names them) of which a snapshot shows changes. */
List *
tenancy_move_log_tables(const char *id, const TenancyMoveMoment *since, Snapshot snapshot)
{
	TenancyExec exec;
	List	   *tables = NIL;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	read_log(psprintf("SELECT DISTINCT relation %s", entries_since(id, since)), snapshot);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);

		tables = lappend_oid(tables, atooid(SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1)));
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
	return tables;
}

/* The keys of a table's changes that a snapshot shows, each once. */
void
tenancy_move_log_keys(const char *id, Oid root, int ncolumns, const TenancyMoveMoment *since,
					  Snapshot snapshot, TenancyMoveKeys *keys)
{
	TenancyExec exec;
	StringInfoData query;

	keys->ncolumns = ncolumns;
	keys->columns = palloc(ncolumns * sizeof(Datum));
	keys->types = palloc(ncolumns * sizeof(Oid));
	initStringInfo(&query);
	appendStringInfoString(&query, "SELECT pg_catalog.count(*)");
	for (int i = 1; i <= ncolumns; i++)
		appendStringInfo(&query, ", COALESCE(pg_catalog.array_agg(k.key[%d]), '{}')", i);
	appendStringInfo(&query, " FROM (SELECT DISTINCT key %s AND relation OPERATOR(pg_catalog.=) %u) k",
					 entries_since(id, since), root);
	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	read_log(query.data, snapshot);
	for (int i = 0; i <= ncolumns; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(exec.caller_context);
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull);

		if (i == 0)
			keys->n = DatumGetInt64(value);
		else
		{
			keys->columns[i - 1] = datumCopy(value, false, -1);
			keys->types[i - 1] = TEXTARRAYOID;
		}
		MemoryContextSwitchTo(old);
	}
	tenancy_exec_end(&exec);
}

/* A query for these keys, of a transaction that has one snapshot. */
char *
tenancy_move_log_keys_query(const char *id, Oid root, int ncolumns, const TenancyMoveMoment *since)
{
	StringInfoData query;

	initStringInfo(&query);
	for (int i = 1; i <= ncolumns; i++)
		appendStringInfo(&query, "%s key[%d]", i > 1 ? "," : "SELECT DISTINCT", i);
	appendStringInfo(&query, " %s AND relation OPERATOR(pg_catalog.=) %u", entries_since(id, since), root);
	return query.data;
}

/* Delete a tenant's entries. */
void
tenancy_move_log_forget(const char *id)
{
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "DELETE FROM tenancy.move_change WHERE tenant_id OPERATOR(pg_catalog.=) '%s'", id);
}
