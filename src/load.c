/*-------------------------------------------------------------------------
 *
 * load.c
 *	  Rows into a table, many at once.
 *
 * What INSERT ... SELECT does for each row is done for a thousand, as COPY
 * does.  Rows come into a table that is new and empty before its indexes do,
 * which are built when all rows are there: sorting is faster than searching.
 * Checks and NOT NULL are checked and generated columns computed for each row, and
 * unique and exclusion constraints by the indexes.
 *
 * The caller is the table's owner, restricted (exec.c), with
 * session_replication_role replica, so that most triggers and rules would not
 * fire.  Where some would, and where the table is partitioned, there is no load: it
 * is left to statements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "load.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* How many rows, and bytes of them, are inserted at once. */
#define MAX_ROWS	1000
#define MAX_BYTES	65536

struct TenancyLoad
{
	Relation	rel;
	bool		is_ours;		/* nobody else can have seen the table */
	bool		indexes_later;
	bool		indexes_open;
	int			options;		/* for the table's access method */
	EState	   *estate;
	ResultRelInfo *result;
	BulkInsertState bulk;
	CommandId	command;
	TupleTableSlot *slots[MAX_ROWS];
	int			nslots;			/* of these with a row */
	Size		nbytes;
	uint64		nrows;			/* in the table */
};

/* Would a trigger or rule fire for an INSERT or DELETE, as a replica's? */
bool
tenancy_load_has_reactions(Relation rel, CmdType event)
{
	TriggerDesc *triggers = rel->trigdesc;
	RuleLock   *rules = rel->rd_rules;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if ((event == CMD_INSERT ? TRIGGER_FOR_INSERT(trigger->tgtype) : TRIGGER_FOR_DELETE(trigger->tgtype)) &&
			(trigger->tgenabled == TRIGGER_FIRES_ALWAYS || trigger->tgenabled == TRIGGER_FIRES_ON_REPLICA))
			return true;
	}
	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
	{
		if (rules->rules[i]->event == event &&
			(rules->rules[i]->enabled == RULE_FIRES_ALWAYS || rules->rules[i]->enabled == RULE_FIRES_ON_REPLICA))
			return true;
	}
	return false;
}

/*
 * Begin to load rows into a table, or return NULL: see above.  It is ours if
 * nobody else can have seen it, and has then a chance to get its indexes later.
 */
TenancyLoad *
tenancy_load_begin(Oid table, bool is_ours)
{
	Relation	rel = table_open(table, RowExclusiveLock);
	TenancyLoad *load;

	if (rel->rd_rel->relkind != RELKIND_RELATION || rel->rd_rel->relispartition ||
		tenancy_load_has_reactions(rel, CMD_INSERT))
	{
		table_close(rel, NoLock);
		return NULL;
	}
	load = palloc0(sizeof(TenancyLoad));
	load->rel = rel;
	load->is_ours = is_ours && RelationGetNumberOfBlocks(rel) == 0;
	load->options = load->is_ours ? TABLE_INSERT_SKIP_FSM : 0;
	load->estate = CreateExecutorState();
	load->result = makeNode(ResultRelInfo);
	InitResultRelInfo(load->result, rel, 0, NULL, 0);
	load->bulk = GetBulkInsertState();
	load->command = GetCurrentCommandId(true);
	return load;
}

/* For what the caller does for the next row; emptied when that is added. */
ExprContext *
tenancy_load_context(TenancyLoad *load)
{
	return GetPerTupleExprContext(load->estate);
}

/* A slot for the next row: the caller sets all of its values. */
TupleTableSlot *
tenancy_load_next(TenancyLoad *load)
{
	TupleTableSlot **slot = &load->slots[load->nslots];

	if (*slot == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(load->estate->es_query_cxt);

		*slot = table_slot_create(load->rel, NULL);
		MemoryContextSwitchTo(old);
	}
	return ExecClearTuple(*slot);
}

static void
insert_into_indexes(TenancyLoad *load)
{
	if (!load->indexes_open)
		ExecOpenIndices(load->result, false);
	load->indexes_open = true;
	if (load->result->ri_NumIndices == 0)
		return;
	for (int i = 0; i < load->nslots; i++)
	{
		(void) tenancy_insert_index_tuples(load->result, load->slots[i], load->estate);
		ResetPerTupleExprContext(load->estate);
	}
}

/* Insert the rows that are there; will there be more? */
static void
flush(TenancyLoad *load, bool more)
{
	MemoryContext old;

	if (load->nrows == 0 && load->is_ours && more)
		load->indexes_later = true;
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(load->estate));
	table_multi_insert(load->rel, load->slots, load->nslots, load->command, load->options, load->bulk);
	MemoryContextSwitchTo(load->estate->es_query_cxt);
	ResetPerTupleExprContext(load->estate);
	if (!load->indexes_later)
		insert_into_indexes(load);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < load->nslots; i++)
		ExecClearTuple(load->slots[i]);
	load->nrows += load->nslots;
	load->nslots = 0;
	load->nbytes = 0;
	CHECK_FOR_INTERRUPTS();
}

/* Have the slot's row checked, and take it over: its values may go. */
void
tenancy_load_add(TenancyLoad *load)
{
	TupleTableSlot *slot = ExecStoreVirtualTuple(load->slots[load->nslots]);
	TupleConstr *constr = RelationGetDescr(load->rel)->constr;
	HeapTuple	tuple;
	bool		should_free;

	slot->tts_tableOid = RelationGetRelid(load->rel);
	if (constr != NULL && constr->has_generated_stored)
		ExecComputeStoredGenerated(load->result, load->estate, slot, CMD_INSERT);
	if (constr != NULL)
		ExecConstraints(load->result, slot, load->estate);
	ExecMaterializeSlot(slot);
	tuple = ExecFetchSlotHeapTuple(slot, true, &should_free);
	load->nbytes += tuple->t_len;
	if (should_free)
		heap_freetuple(tuple);
	ResetPerTupleExprContext(load->estate);
	load->nslots++;
	if (load->nslots == MAX_ROWS || load->nbytes > MAX_BYTES)
		flush(load, true);
}

/* All rows are there: build the indexes.  Returns how many rows were added. */
uint64
tenancy_load_end(TenancyLoad *load)
{
	Oid			table = RelationGetRelid(load->rel);
	bool		indexes_later;
	uint64		nrows;

	if (load->nslots > 0)
		flush(load, false);
	nrows = load->nrows;
	indexes_later = load->indexes_later;
	FreeBulkInsertState(load->bulk);
	table_finish_bulk_insert(load->rel, load->options);
	for (int i = 0; i < MAX_ROWS && load->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(load->slots[i]);
	if (load->indexes_open)
		ExecCloseIndices(load->result);
	FreeExecutorState(load->estate);
	table_close(load->rel, NoLock);
	pfree(load);
	CommandCounterIncrement();
	if (indexes_later)
		tenancy_reindex_table(table);
	return nrows;
}
