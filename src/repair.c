/*-------------------------------------------------------------------------
 *
 * repair.c
 *	  repair(): what a crash left half done, finished, undone or reported.
 *
 * What each kind of work needs is known by its own module (database_settle.c,
 * move.c, ...), which leaves a row of what it has begun; here these rows are
 * gone through.  It may be called at any time, and again: what somebody is
 * still at is left to him, and what fails is reported and does not keep the rest
 * from being tried.
 *
 * Nothing that may hold anybody's last rows is dropped: schemas and databases
 * without a tenant, and tenants without theirs, are only reported.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "database_settle.h"
#include "exec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ident.h"
#include "miscadmin.h"
#include "move.h"
#include "registry.h"
#include "remove.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(tenancy_repair);

static void
report(ReturnSetInfo *rsinfo, const char *object, const char *problem,
	   const char *action)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	values[0] = CStringGetTextDatum(object);
	values[1] = CStringGetTextDatum(problem);
	values[2] = CStringGetTextDatum(action);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static List *
query_list(const char *sql)
{
	return tenancy_exec_list_as(tenancy_registry_owner(), sql);
}

/* Work on databases whose transaction has ended without finishing it. */
static void
repair_databases(ReturnSetInfo *rsinfo)
{
	const char *pending = "SELECT DISTINCT tenant_id FROM tenancy.pending_database"
		" WHERE pg_catalog.pg_xact_status(xid) IS DISTINCT FROM 'in progress'";
	List	   *ids = query_list(pending);
	List	   *left;
	ListCell   *lc;

	foreach(lc, ids)
	{
		pg_uuid_t	id;

		if (tenancy_ident_parse_uuid(lfirst(lc), &id))
			tenancy_database_settle(&id);
	}
	left = query_list(pending);
	foreach(lc, ids)
	{
		bool		done = true;
		ListCell   *lc_left;

		foreach(lc_left, left)
			done = done && strcmp(lfirst(lc), lfirst(lc_left)) != 0;
		report(rsinfo, psprintf("database of tenant %s", (char *) lfirst(lc)),
			   "work on it was begun and not finished",
			   done ? "finished or undone" : "failed; the server's log tells why");
	}
}

static void
repair_rows(ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	foreach(lc, query_list("DELETE FROM tenancy.access a"
						   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_authid r WHERE r.oid OPERATOR(pg_catalog.=) a.role)"
						   " RETURNING a.role"))
		report(rsinfo, psprintf("access of role %s", (char *) lfirst(lc)),
			   "the role does not exist", "access deleted");
	foreach(lc, query_list("DELETE FROM tenancy.protected_table p"
						   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) p.relation)"
						   " RETURNING p.relation"))
		report(rsinfo, psprintf("protected table %s", (char *) lfirst(lc)),
			   "the table does not exist", "entry deleted");
	foreach(lc, query_list("DELETE FROM tenancy.reference_table r"
						   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) r.relation)"
						   " RETURNING r.relation"))
		report(rsinfo, psprintf("reference table %s", (char *) lfirst(lc)),
			   "the table does not exist", "entry deleted");
}

/*
 * A dump that was made with --create within a recording brings its settings, but not the
 * recording.  Who set session_preload_libraries, and for what, cannot be told.
 */
static void
repair_recording(ReturnSetInfo *rsinfo)
{
	if (query_list(psprintf("SELECT c FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) c"
							" WHERE s.setdatabase OPERATOR(pg_catalog.=) %u AND s.setrole OPERATOR(pg_catalog.=) 0"
							" AND pg_catalog.starts_with(c, 'tenancy.recording=')"
							" AND NOT EXISTS (SELECT FROM tenancy.recording)", MyDatabaseId)) == NIL)
		return;
	tenancy_exec_format_as(tenancy_registry_owner(),
						   "ALTER DATABASE %s RESET tenancy.recording",
						   quote_identifier(get_database_name(MyDatabaseId)));
	report(rsinfo, "setting tenancy.recording of the database", "there is no recording",
		   "reset; session_preload_libraries is left as it is");
}

/* Spares whose schema or database is gone: nothing is lost with the rest of them. */
static void
repair_spares(ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	foreach(lc, query_list("SELECT pg_catalog.format('%s %s', t.id, t.slug) FROM tenancy.tenant t"
						   " WHERE t.status OPERATOR(pg_catalog.=) 'spare'"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname OPERATOR(pg_catalog.=) t.schema_name)"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) t.database_name)"
						   " ORDER BY t.slug"))
	{
		char	   *slug = strchr(lfirst(lc), ' ');
		pg_uuid_t	id;

		*slug++ = '\0';
		if (!tenancy_ident_parse_uuid(lfirst(lc), &id))
			continue;
		tenancy_remove(&id);
		report(rsinfo, psprintf("spare %s", slug), "its schema or database does not exist", "spare deleted");
	}
}

/*
 * Databases that belong to an application's database which is gone: this one is
 * its copy, restored from a dump, and takes them over.  If there is a database
 * of that OID, only a DBA can tell whether it is the same; and if a database
 * does not say to whom it belongs, which only a superuser can have it say, then
 * whose it is at all.
 */
static void
repair_belonging(ReturnSetInfo *rsinfo)
{
	char	   *others = psprintf(" FROM tenancy.tenant t"
								  " JOIN pg_catalog.pg_database d ON d.datname = t.database_name"
								  " WHERE NOT " TENANCY_DATABASE_IS_OURS, MyDatabaseId);
	ListCell   *lc;

	foreach(lc, query_list(psprintf("SELECT d.datname%s AND EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s,"
									" pg_catalog.unnest(s.setconfig) c"
									" WHERE s.setdatabase = d.oid AND s.setrole = 0"
									" AND pg_catalog.starts_with(c, 'tenancy.application_database=')"
									" AND NOT EXISTS (SELECT FROM pg_catalog.pg_database other"
									"  WHERE c = 'tenancy.application_database=' || other.oid))", others)))
	{
		tenancy_exec_format_as(tenancy_registry_owner(),
							   "ALTER DATABASE %s SET tenancy.application_database = '%u'",
							   quote_identifier(lfirst(lc)), MyDatabaseId);
		report(rsinfo, psprintf("database %s", (char *) lfirst(lc)),
			   "it belongs to a database that does not exist", "taken over by this one");
	}
	foreach(lc, query_list(psprintf("SELECT d.datname%s", others)))
		report(rsinfo, psprintf("database %s", (char *) lfirst(lc)),
			   "it belongs to another database",
			   psprintf("none: if it is this one's, use ALTER DATABASE ... SET tenancy.application_database = '%u'",
						MyDatabaseId));
}

/* Settle a move; returns what became of it, or NULL if somebody is at it. */
static const char *
settle_move(const pg_uuid_t *id)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile TenancyMoveResult result = TENANCY_MOVE_NONE;
	const char *volatile failure = NULL;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		result = tenancy_move_settle(id);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		failure = psprintf("failed: %s", edata->message);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (failure != NULL)
		return failure;
	return result == TENANCY_MOVE_UNDONE ? "undone: it is active where it was" :
		result == TENANCY_MOVE_FINISHED ? "finished" : NULL;
}

/* Moves whose leader has died. */
static void
repair_moves(ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	foreach(lc, query_list("SELECT pg_catalog.format('%s %s', t.id, t.slug) FROM tenancy.tenant t"
						   " WHERE t.status OPERATOR(pg_catalog.=) 'moving'"
						   " OR t.id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT tenant_id FROM tenancy.move))"
						   " ORDER BY t.slug"))
	{
		char	   *slug = strchr(lfirst(lc), ' ');
		pg_uuid_t	id;
		const char *action;

		*slug++ = '\0';
		if (!tenancy_ident_parse_uuid(lfirst(lc), &id))
			continue;
		action = settle_move(&id);
		if (action != NULL)
			report(rsinfo, psprintf("tenant %s", slug), "its move was begun and not finished", action);
	}
	(void) query_list("DELETE FROM tenancy.move m WHERE NOT EXISTS"
					  " (SELECT FROM tenancy.tenant t WHERE t.id OPERATOR(pg_catalog.=) m.tenant_id)");
}

/* What only a DBA can decide about. */
static void
report_missing(ReturnSetInfo *rsinfo)
{
	bool		models_are_there = true;
	ListCell   *lc;

	foreach(lc, query_list("SELECT relation FROM tenancy.protected_tables WHERE NOT policies_intact"))
		report(rsinfo, psprintf("table %s", (char *) lfirst(lc)),
			   "its protection is incomplete", "none: call tenancy.protect_table() again");
	foreach(lc, query_list("SELECT slug FROM tenancy.tenant WHERE status OPERATOR(pg_catalog.=) 'dropping'"))
		report(rsinfo, psprintf("tenant %s", (char *) lfirst(lc)),
			   "its removal was begun and not finished", "none: call tenancy.drop_tenant() again");
	foreach(lc, query_list("SELECT t.slug FROM tenancy.tenant t WHERE t.schema_name IS NOT NULL"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n"
						   " WHERE n.nspname OPERATOR(pg_catalog.=) t.schema_name)"))
		report(rsinfo, psprintf("tenant %s", (char *) lfirst(lc)),
			   "its schema does not exist", "none: restore the schema, or drop the tenant");
	foreach(lc, query_list("SELECT m.name FROM tenancy.module m"
						   " WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n"
						   "  WHERE n.nspname OPERATOR(pg_catalog.=) m.model_schema) ORDER BY m.position"))
	{
		report(rsinfo, psprintf("module %s", (char *) lfirst(lc)), "its model schema does not exist",
			   "none: if it was renamed, give it the name in tenancy.module again; otherwise restore it");
		models_are_there = false;
	}
	foreach(lc, query_list("SELECT t.schema_name FROM tenancy.tenant t WHERE t.schema_name IS NOT NULL ORDER BY 1"))
	{
		if (models_are_there && tenancy_registry_is_foreign_schema(lfirst(lc)))
			report(rsinfo, psprintf("schema %s", (char *) lfirst(lc)),
				   "its owner is not the owner of the model",
				   "none: find out who made it, and drop it or change its owner");
	}
	foreach(lc, query_list("SELECT t.slug FROM tenancy.tenant t WHERE t.database_name IS NOT NULL"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.pg_database d"
						   " WHERE d.datname OPERATOR(pg_catalog.=) t.database_name)"))
		report(rsinfo, psprintf("tenant %s", (char *) lfirst(lc)),
			   "its database does not exist", "none: restore the database, or drop the tenant");
}

/*
 * Schemas and databases that have outlived their tenant: a row deleted by hand,
 * or a registry restored from an older dump.  What is in them may be somebody's
 * last copy, so that they are only reported.  A database that is being created
 * has a pending row.  The names of plug-ins' schemas are taken apart, so that no
 * schema need be compared with every tenant.
 */
static void
report_orphans(ReturnSetInfo *rsinfo)
{
	ListCell   *lc;

	foreach(lc, query_list("SELECT n.nspname FROM pg_catalog.pg_namespace n"
						   " WHERE pg_catalog.starts_with(n.nspname::pg_catalog.text, 'tenant_')"
						   " AND NOT EXISTS (SELECT FROM tenancy.tenant t"
						   "  WHERE t.schema_name OPERATOR(pg_catalog.=) n.nspname)"
						   " AND NOT EXISTS (SELECT FROM pg_catalog.generate_series(1, pg_catalog.length(n.nspname)) i"
						   "  JOIN tenancy.tenant t ON t.schema_name OPERATOR(pg_catalog.=)"
						   "   pg_catalog.\"left\"(n.nspname::pg_catalog.text, i OPERATOR(pg_catalog.-) 1)::pg_catalog.name"
						   "  WHERE pg_catalog.starts_with(pg_catalog.substr(n.nspname::pg_catalog.text, i), '_plugin_'))"
						   " ORDER BY n.nspname"))
		report(rsinfo, psprintf("schema %s", (char *) lfirst(lc)),
			   "it is named as a tenant's, but no tenant has it",
			   "none: drop the schema if nobody needs its tables");
	foreach(lc, query_list(psprintf("SELECT d.datname FROM pg_catalog.pg_database d"
									" WHERE " TENANCY_DATABASE_IS_OURS
									" AND NOT EXISTS (SELECT FROM tenancy.tenant t"
									"  WHERE t.database_name OPERATOR(pg_catalog.=) d.datname)"
									" AND NOT EXISTS (SELECT FROM tenancy.pending_database p"
									"  WHERE p.database_oid OPERATOR(pg_catalog.=) d.oid)"
									" ORDER BY d.datname", MyDatabaseId)))
		report(rsinfo, psprintf("database %s", (char *) lfirst(lc)),
			   "it belongs to this database, but no tenant has it",
			   "none: drop the database if nobody needs its tables");
}

/* repair() */
Datum
tenancy_repair(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	tenancy_registry_refuse_home();
	tenancy_registry_refuse_read_only();
	repair_databases(rsinfo);
	repair_moves(rsinfo);
	repair_rows(rsinfo);
	repair_recording(rsinfo);
	repair_spares(rsinfo);
	repair_belonging(rsinfo);
	report_missing(rsinfo);
	report_orphans(rsinfo);
	return (Datum) 0;
}
