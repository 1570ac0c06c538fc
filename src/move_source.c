/*-------------------------------------------------------------------------
 *
 * move_source.c
 *	  Where a tenant is that moves: its writers, and its rows as files.
 *
 * While it moves online, triggers on its tables note what they write
 * (move_log.c).  Then they are refused, and those who have begun are waited for.
 *
 * The triggers are in the database where the rows are, which is the tenant's own
 * for a tenant in mode database; a worker there does it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "database.h"
#include "exec.h"
#include "export.h"
#include "ident.h"
#include "import.h"
#include "miscadmin.h"
#include "move_log.h"
#include "move_rows.h"
#include "move_source.h"
#include "pgstat.h"
#include "registry.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "worker.h"
#include "writers.h"

PGDLLEXPORT void tenancy_move_attach_main(const char *argument);
PGDLLEXPORT void tenancy_move_check_attached_main(const char *argument);

/* When a round is short enough to refuse writers for the next one. */
#define SHORT_ROUND_MS		200
#define SHORT_ROUND_KEYS	1000


/* ----------------------------------------------------------------
 * The triggers
 * ----------------------------------------------------------------
 */

/* SQL: the source's tables that have rows of their own, "l", and the tables that stand for them, "c". */
#define LOGGED_TABLES \
	" FROM " TENANCY_RELATIONS_OF("'%s'::pg_catalog.oid[]") " c" \
	" CROSS JOIN LATERAL (SELECT c.oid AS relid WHERE c.relkind OPERATOR(pg_catalog.=) 'r'" \
	"  UNION ALL SELECT p.relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(c.oid) p" \
	"  WHERE p.isleaf AND c.relkind OPERATOR(pg_catalog.=) 'p') l" \
	" WHERE NOT c.relispartition" \
	" AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog.\"char\"[])"

/* These, as "table root column"; the column only where others have rows there. */
static List *
logged_tables(const TenancyMove *move)
{
	return tenancy_exec_lookup_as(tenancy_registry_owner(), psprintf(
		"SELECT pg_catalog.concat_ws(' ', l.relid, c.oid, %s)" LOGGED_TABLES " ORDER BY l.relid",
		move->from.mode == TENANCY_SHARED ? "(" TENANCY_TENANT_COLUMN_OF("c.oid") ")" : "NULL",
		move->source_schemas));
}

/*
 * A text that changes if one of these is rewritten, dropped or detached: that
 * changes rows, and no trigger notes it.
 */
char *
tenancy_move_storage(const TenancyMove *move)
{
	return tenancy_exec_text_as(tenancy_registry_owner(),
								"SELECT pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat(l.relid, ' ', c.oid, ' ',"
								" pg_catalog.pg_relation_filenode(l.relid)), ',' ORDER BY l.relid))" LOGGED_TABLES,
								move->source_schemas);
}

/* The model schema of a table of the source. */
Oid
tenancy_move_model_of(const TenancyMove *move, Oid table)
{
	Oid			schema = get_rel_namespace(table);
	ListCell   *lc;

	foreach(lc, move->parts)
	{
		const TenancyMovePart *part = lfirst(lc);

		if (part->source_schema == schema)
			return get_namespace_oid(part->module.model_schema, false);
	}
	elog(ERROR, "table %u is of no module", table);
	return InvalidOid;			/* keep compiler quiet */
}

/*
 * With a context, which outlives transactions, call attach for each of them; else
 * return whether all are.
 */
static bool
for_logged_tables(const TenancyMove *move, List *tables, MemoryContext context)
{
	pg_uuid_t	id;
	ListCell   *lc;

	if (!tenancy_ident_parse_uuid(move->id, &id))
		elog(ERROR, "invalid id \"%s\"", move->id);

	foreach(lc, tables)
	{
		char	   *column;
		Oid			table = strtoul(lfirst(lc), &column, 10);
		Oid			root = strtoul(column, &column, 10);
		List	   *columns;

		column = *column == ' ' ? column + 1 : NULL;
		if (context != NULL)
		{
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			MemoryContextSwitchTo(context);
		}
		columns = tenancy_move_log_columns(root, tenancy_move_model_of(move, root));
		if (context == NULL)
		{
			if (!tenancy_move_log_is_attached(&id, table, root, column, columns))
				return false;
			continue;
		}
		PopActiveSnapshot();
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		tenancy_move_log_attach(&id, table, root, column, columns);
	}
	return true;
}

/* The move as the tenant's own database knows it. */
static void
read_home(TenancyMove *move)
{
	tenancy_registry_get(move->id, &move->from);
	tenancy_move_find_parts(move);
}

/* An error: DDL came in between. */
void
tenancy_move_refuse_changed(const TenancyMove *move)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("tables of tenant \"%s\" were created or changed during the move", move->from.slug),
			 errdetail("What was written to one of them may not have been noted."),
			 errhint("Call tenancy.move_tenant() again.")));
}

/*
 * Have what is written to the tenant's tables noted from now on.  In its own
 * database, there is no row of tenancy.move.
 */
void
tenancy_move_attach(TenancyMove *move, MemoryContext context)
{
	List	   *tables;
	TenancyTenant home;

	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: creating triggers");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(context);
	if (tenancy_registry_home(&home))
		read_home(move);
	else
		tenancy_move_read(move, false);
	tables = logged_tables(move);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	(void) for_logged_tables(move, tables, context);
}

/* That has been so all the time, or it is an error. */
void
tenancy_move_check_attached(const TenancyMove *move)
{
	if (!for_logged_tables(move, logged_tables(move), NULL))
		tenancy_move_refuse_changed(move);
}

/* What a worker in the tenant's own database does; the argument is the tenant's id. */
void
tenancy_move_attach_main(const char *argument)
{
	TenancyMove *move = MemoryContextAllocZero(TopMemoryContext, sizeof(TenancyMove));
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "tenancy move", ALLOCSET_DEFAULT_SIZES);

	move->id = MemoryContextStrdup(context, argument);
	tenancy_move_attach(move, context);
}

void
tenancy_move_check_attached_main(const char *argument)
{
	TenancyMove move;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	memset(&move, 0, sizeof(move));
	move.id = pstrdup(argument);
	read_home(&move);
	tenancy_move_check_attached(&move);
	PopActiveSnapshot();
	CommitTransactionCommand();
}


/* ----------------------------------------------------------------
 * Refusing writers
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
	if (tenant->mode == TENANCY_DATABASE)
		return tenancy_exec_list_as(tenancy_registry_owner(), psprintf(
			"SELECT DISTINCT l.virtualtransaction FROM pg_catalog.pg_locks l"
			" WHERE l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.database OPERATOR(pg_catalog.=) %u"
			" AND l.relation OPERATOR(pg_catalog.>=) %u AND l.granted"
			" AND l.mode OPERATOR(pg_catalog.=) ANY (" TENANCY_WRITERS_LOCKS ")"
			" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a"
			"  WHERE a.pid OPERATOR(pg_catalog.=) l.pid AND a.backend_type OPERATOR(pg_catalog.=) 'autovacuum worker')",
			tenancy_database_oid(tenant), FirstNormalObjectId));
	return tenancy_writers_find(tenancy_registry_tables(tenant));
}

/* Wait for those whom the policies do not ask, who may have begun since the others were refused. */
static void
close_log(const TenancyTenant *tenant, int timeout_ms)
{
	TenancyExec exec;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	tenancy_exec_set("lock_timeout", psprintf("%d", timeout_ms > 0 ? timeout_ms : TENANCY_WRITERS_TIMEOUT_MS));
	tenancy_move_log_close(&tenant->id, tenant->mode == TENANCY_DATABASE ? tenancy_database_oid(tenant) : MyDatabaseId);
	tenancy_exec_end(&exec);
}

/*
 * Let nobody begin to write to the tenant, and wait for those who are writing.
 * Another worker commits that, and one in the tenant's own database.
 */
void
tenancy_move_refuse_writers(const TenancyMove *move, int timeout_ms)
{
	TenancyJob *job = tenancy_worker_job(MyDatabaseId);

	tenancy_worker_add(job, "UPDATE tenancy.tenant SET status = 'moving', status_reason = NULL,"
					   " status_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) '%s'"
					   " AND status OPERATOR(pg_catalog.=) 'active'", move->id)->expectation =
		_("the tenant is no longer active");
	tenancy_worker_add(job, "UPDATE tenancy.move SET phase = 'copying', refused_at = pg_catalog.clock_timestamp()"
					   " WHERE tenant_id OPERATOR(pg_catalog.=) '%s' AND phase OPERATOR(pg_catalog.=) 'capturing'",
					   move->id)->expectation =
		_("the move was undone by another session");
	(void) tenancy_worker_run(job);
	if (move->from.mode == TENANCY_DATABASE)
		tenancy_move_set_status_inside(&move->from, "active", "moving");
	pgstat_report_activity(STATE_RUNNING, "tenancy.move_tenant: waiting for writers");
	tenancy_writers_wait(tenancy_move_find_writers(&move->from), timeout_ms);
	close_log(&move->from, timeout_ms);
}

/* Change the tenant's status in its own database, where its sessions are. */
void
tenancy_move_set_status_inside(const TenancyTenant *tenant, const char *old, const char *new)
{
	TenancyJob *job = tenancy_worker_job(tenancy_database_oid(tenant));

	tenancy_worker_add(job, "UPDATE tenancy.tenant SET status = '%s' WHERE id OPERATOR(pg_catalog.=) '%s'"
					   " AND status OPERATOR(pg_catalog.=) '%s'",
					   new, tenancy_ident_uuid_text(&tenant->id), old);
	(void) tenancy_worker_run(job);
}

/*
 * Have a worker write the tenant's rows to files, as one moment shows them; returns the
 * manifest, as a literal.  Online, the transaction that leads gives its id; after the
 * first time, what has changed since an earlier moment is written.
 */
char *
tenancy_move_write_files(const TenancyTenant *from, const char *directory, const char *since, const char *leader)
{
	TenancyJob *job = tenancy_worker_job(from->mode == TENANCY_DATABASE ? tenancy_database_oid(from) : MyDatabaseId);

	tenancy_worker_add_toplevel(job, "SET default_transaction_isolation = 'repeatable read'");
	tenancy_worker_commit(job);
	tenancy_worker_add(job, "SELECT tenancy.move_write(%s, %s, %s, %s)",
					   quote_literal_cstr(tenancy_export_head(from)), quote_literal_cstr(directory),
					   since ? quote_literal_cstr(since) : "NULL", leader ? leader : "NULL");
	(void) tenancy_worker_run(job);
	return tenancy_import_manifest(directory);
}

/* Is there so little to catch up with that writers can be refused for the next round? */
bool
tenancy_move_is_short(TimestampTz round_start, uint64 nkeys)
{
	return nkeys < SHORT_ROUND_KEYS ||
		!TimestampDifferenceExceeds(round_start, GetCurrentTimestamp(), SHORT_ROUND_MS);
}
