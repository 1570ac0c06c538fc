/*-------------------------------------------------------------------------
 *
 * drift_database.c
 *	  What is in a tenant's database, described by a worker there.
 *
 * The worker describes the schemas of all modules that the database's own registry
 * has, and sends them to the caller: a message for each schema, and one for each of its
 * objects.  Both sides are of one server and one library, so that the texts are in
 * one encoding, and the form of the messages is nobody else's business.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "drift_database.h"
#include "drift_describe.h"
#include "exec.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "registry.h"
#include "utils/snapmgr.h"
#include "worker.h"

PGDLLEXPORT void tenancy_drift_send(const char *argument);


/* ----------------------------------------------------------------
 * The worker
 * ----------------------------------------------------------------
 */

static void
send_text(StringInfo message, const char *value)
{
	int			len = value ? strlen(value) : -1;

	pq_sendint32(message, len);
	if (len > 0)
		pq_sendbytes(message, value, len);
}

static void
send_object(const TenancyDescribed *row)
{
	StringInfoData message;

	initStringInfo(&message);
	send_text(&message, row->whole);
	send_text(&message, row->object);
	pq_sendint32(&message, row->nproperties);
	for (int i = 0; i < row->nproperties; i++)
	{
		send_text(&message, row->properties[i]);
		send_text(&message, row->settings[i]);
	}
	tenancy_worker_send(message.data, message.len);
	pfree(message.data);
}

static void
send_schema(const TenancyPlace *place)
{
	TenancyDescription *description = tenancy_drift_describe(place);
	StringInfoData message;

	initStringInfo(&message);
	send_text(&message, place->schema);
	send_text(&message, place->main_schema);
	pq_sendint32(&message, description->count);
	tenancy_worker_send(message.data, message.len);
	pfree(message.data);
	for (int i = 0; i < description->count; i++)
		send_object(&description->rows[i]);
}

/* The schemas of the modules, as far as they are there. */
static List *
read_places(void)
{
	List	   *places = NIL;
	TenancyExec exec;
	uint64		nrows;
	MemoryContext old;

	tenancy_exec_begin(&exec, tenancy_registry_owner(), TENANCY_PATH_NONE);
	nrows = tenancy_exec_sql("SELECT n.oid, m.model_schema,"
							 " (SELECT f.model_schema FROM tenancy.module f WHERE f.position OPERATOR(pg_catalog.=) 1)"
							 " FROM tenancy.module m"
							 " JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) m.model_schema"
							 " ORDER BY m.position");
	old = MemoryContextSwitchTo(exec.caller_context);
	for (uint64 i = 0; i < nrows; i++)
	{
		TenancyPlace *place = palloc0(sizeof(TenancyPlace));

		place->namespace = tenancy_drift_column_oid(i, 1);
		place->schema = tenancy_drift_column(i, 2);
		place->main_schema = tenancy_drift_column(i, 3);
		place->side = "database";
		places = lappend(places, place);
	}
	MemoryContextSwitchTo(old);
	tenancy_exec_end(&exec);
	return places;
}

/* What a worker in a tenant's database does. */
void
tenancy_drift_send(const char *argument)
{
	ListCell   *lc;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, read_places())
		send_schema(lfirst(lc));
	PopActiveSnapshot();
	CommitTransactionCommand();
}


/* ----------------------------------------------------------------
 * The caller
 * ----------------------------------------------------------------
 */

/* What has been received */
typedef struct Receiver
{
	MemoryContext context;
	List	   *descriptions;
	int			missing;		/* rows of the last one that have not come yet */
} Receiver;

static char *
receive_text(StringInfo message)
{
	int			len = pq_getmsgint(message, 4);

	return len < 0 ? NULL : pnstrdup(pq_getmsgbytes(message, len), len);
}

static void
receive_schema(Receiver *receiver, StringInfo message)
{
	TenancyPlace *place = palloc0(sizeof(TenancyPlace));
	TenancyDescription *description = palloc(sizeof(TenancyDescription));

	place->schema = receive_text(message);
	place->main_schema = receive_text(message);
	place->side = "database";
	description->place = place;
	description->count = receiver->missing = pq_getmsgint(message, 4);
	description->rows = palloc0(sizeof(TenancyDescribed) * Max(description->count, 1));
	receiver->descriptions = lappend(receiver->descriptions, description);
}

static void
receive_object(Receiver *receiver, StringInfo message)
{
	TenancyDescription *description = llast(receiver->descriptions);
	TenancyDescribed *row = &description->rows[description->count - receiver->missing];

	row->whole = receive_text(message);
	row->object = receive_text(message);
	row->nproperties = pq_getmsgint(message, 4);
	row->properties = palloc(sizeof(char *) * Max(row->nproperties, 1));
	row->settings = palloc(sizeof(char *) * Max(row->nproperties, 1));
	for (int i = 0; i < row->nproperties; i++)
	{
		row->properties[i] = receive_text(message);
		row->settings[i] = receive_text(message);
	}
	receiver->missing--;
}

static void
receive(StringInfo message, void *arg)
{
	Receiver   *receiver = arg;
	MemoryContext old = MemoryContextSwitchTo(receiver->context);

	if (receiver->missing > 0)
		receive_object(receiver, message);
	else
		receive_schema(receiver, message);
	pq_getmsgend(message);
	MemoryContextSwitchTo(old);
}

/* The modules' schemas in a tenant's database, as a List of TenancyDescription. */
List *
tenancy_drift_describe_database(Oid database)
{
	TenancyJob *job = tenancy_worker_job(database);
	Receiver	receiver = {.context = CurrentMemoryContext};

	job->function = "tenancy_drift_send";
	job->receive = receive;
	job->receive_arg = &receiver;
	(void) tenancy_worker_run(job);
	return receiver.descriptions;
}

/* The description of a schema, NULL if it is not there. */
const TenancyDescription *
tenancy_drift_find_description(List *descriptions, const char *schema)
{
	ListCell   *lc;

	foreach(lc, descriptions)
	{
		TenancyDescription *description = lfirst(lc);

		if (strcmp(description->place->schema, schema) == 0)
			return description;
	}
	return NULL;
}
